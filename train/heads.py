"""Fit the heads and the gate on cached features: `python -m train.heads --features FILE --backbone FILE --out FOLDER`.

Writes model.safetensors (backbone, heads, gate) and config.json (temperature, conformal scores, gate thresholds).
Parameters are fitted on train rows; temperature, conformal scores and thresholds on val rows.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from covid_core import classify, gate, registry, uncertainty
from train import features

HEADS = 5
MASKS = 50
DROPOUT = 0.3
DIRECTIONS = 64  # main directions of the features that the gate measures distance in
ACCEPTED = 0.985  # share of val images the gate's distance lets through as typical

Floats = NDArray[np.float32]


def weights(table: pd.DataFrame) -> Floats:
    """Sampling weights: both classes alike, in a class the sources by the square root of their number."""
    covid = table.finding == "covid"
    cells = table.source + "/" + table.finding
    counts = cells.map(cells.value_counts())
    root = 1 / np.sqrt(counts)
    result = root / root.groupby(covid).transform("sum")
    return result.to_numpy(np.float32)


def fit_head(pooled: Floats, covid: Floats, weight: Floats, groups: Sequence[str], seed: int) -> tuple[Floats, float]:
    """One linear head with dropout, trained on a bootstrap of the groups.

    Args:
        pooled: [N, C].
        covid: [N] of 0 and 1.
        weight: [N].
        groups: [N].
        seed: of bootstrap and dropout.

    Returns:
        weight [C] and bias.
    """
    rng = np.random.default_rng(seed)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    drawn = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[index]
    w = torch.from_numpy(weight * drawn)
    w = w / w.sum()
    x, y = torch.from_numpy(pooled), torch.from_numpy(covid)
    torch.manual_seed(seed)
    head = torch.nn.Linear(x.shape[1], 1)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW(head.parameters(), 3e-3, weight_decay=0.1)
    for _ in range(300):
        logit = head(F.dropout(x, DROPOUT))[:, 0]
        loss = (F.binary_cross_entropy_with_logits(logit, y * 0.96 + 0.02, reduction="none") * w).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head.weight.detach().numpy()[0].copy(), float(head.bias.detach()[0])


def cloud(pooled: Floats) -> tuple[Floats, Floats]:
    """Mean [C] and whitening directions [C, k] of features [N, C]."""
    mean = pooled.mean(axis=0)
    _, size, directions = np.linalg.svd(pooled - mean, full_matrices=False)
    k = min(DIRECTIONS, len(size) - 1)
    return mean, (directions[:k] / np.maximum(size[:k, None], 1e-6) * np.sqrt(len(pooled))).T


def fit_gate(table: pd.DataFrame, whole: Floats) -> tuple[dict[str, Floats], dict[str, object]]:
    """The gate's tensors and its part of the config."""
    from sklearn.linear_model import LogisticRegression

    train, val = table.split == "train", table.split == "val"
    regression = LogisticRegression(C=0.01, max_iter=500, class_weight="balanced")
    regression.fit(whole[train], table.modality[train] == "ct")
    tensors: dict[str, Floats] = {"gate.weight": regression.coef_[0].astype(np.float32)}
    thresholds = {}
    for modality in gate.MODALITIES:
        mine = table.modality == modality
        mean, basis = cloud(whole[train & mine])
        tensors |= {f"gate.{modality}.mean": mean, f"gate.{modality}.basis": basis}
        distances = [gate.mahalanobis(row, mean, basis) for row in whole[val & mine]]
        thresholds[modality] = float(np.quantile(distances, ACCEPTED))
    return tensors, {"bias": float(regression.intercept_[0]), "thresholds": thresholds}


def calibrate(classifier: classify.Classifier, table: pd.DataFrame, crop: Floats) -> None:
    """Temperature and conformal scores from val rows, written into the classifier's config."""
    for modality in classifier.spec.modalities:
        val = ((table.split == "val") & (table.modality == modality)).to_numpy()
        covid = (table.finding[val] == "covid").to_numpy().astype(int)
        logit = classifier.sample(crop[val], modality)
        pairs = np.stack([np.zeros_like(logit), logit], axis=-1)
        classifier.config["temperature"][modality] = uncertainty.temperature(pairs, covid)
        classifier.config["conformal"][modality] = {
            method: {
                str(c): [round(float(s), 6) for s in scores]
                for c, scores in uncertainty.conformal_scores(
                    classifier.probabilities(crop[val], modality, method).mean(axis=1), covid
                ).items()
            }
            for method in get_args(classify.Method)
        }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("--features", type=Path, required=True, help="written by train.features")
    parser.add_argument("--backbone", type=Path, required=True, help="the file the features came from")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)
    table, crop, whole = features.load(options.features)

    tensors, gate_config = fit_gate(table, whole)
    for modality in spec.modalities:
        rows = ((table.split == "train") & (table.modality == modality)).to_numpy()
        part = table[rows]
        covid = (part.finding == "covid").to_numpy(np.float32)
        heads = [fit_head(crop[rows], covid, weights(part), list(part.group), seed) for seed in range(HEADS)]
        tensors[f"heads.{modality}.weight"] = np.stack([w for w, _ in heads])
        tensors[f"heads.{modality}.bias"] = np.array([b for _, b in heads], np.float32)

    # Stored as fp16, so calibrated as fp16.
    stored = {n: torch.from_numpy(np.ascontiguousarray(v)).half() for n, v in tensors.items()}
    config = {
        "model": spec.name,
        "size": spec.size,
        "classes": list(classify.CLASSES),
        "heads": {"count": HEADS, "masks": MASKS, "dropout": DROPOUT, "seed": 0},
        "gate": gate_config,
        "temperature": {},
        "conformal": {m: {} for m in spec.modalities},
    }
    run = lambda batch: batch  # noqa: E731  (the features are there already)
    classifier = classify.Classifier(spec, run, {n: v.float().numpy() for n, v in stored.items()}, config)
    calibrate(classifier, table, crop)
    options.out.mkdir(parents=True, exist_ok=True)
    save_file({**load_file(options.backbone), **stored}, str(options.out / registry.WEIGHTS))
    (options.out / registry.CONFIG).write_text(json.dumps(config) + "\n")


if __name__ == "__main__":
    main()
