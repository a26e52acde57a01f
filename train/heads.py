"""Fit the heads and the gate on cached features: `python -m train.heads --features FOLDER --backbones FOLDER --out FOLDER`.

Writes model.safetensors, or its shards (backbones, heads, gate), and config.json (temperature, conformal scores, gate thresholds).
Parameters are fitted on train rows, those of the X-ray heads also on restyled ones; temperature, conformal scores and
thresholds on val rows. With `--keep` the files in the folder stay but for the config, whose temperature and conformal scores are
fitted again: enough after a change of how a picture is looked at. The probabilities that an answer needs follow a few pictures
of a small class in one draw of styles, so that those in the folder only give way to stricter ones.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import torch
from huggingface_hub import save_torch_state_dict
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch.nn import functional as F

from covid_core import classify, gate, networks, registry, uncertainty
from train import answers, features, looks, script
from train.classifier import soft_target

HEADS = 5
MOST_IN_A_FILE = "49MB"  # what is larger is stored in shards; with its header a file stays below 50 MB
MASKS = 50
DROPOUT = 0.3
BLIND = 0.3  # share of the training rows on which a head must do with `log_opacity` alone, so that it learns its worth
DIRECTIONS = 64  # main directions of the features that the gate measures distance in
CALLED = 0.02  # share of restyled val images of the other class that may get as far as an answer needs to be
# Pictures from the web differ so much from each other that a cloud with them in it holds much of other hospitals too.
SCATTERED = ("cxnet_web",)
ACCEPTED = 0.97  # share of val images that each of the gate's distances lets through as typical

Floats = NDArray[np.float32]


def targets(table: pd.DataFrame, modality: str) -> Floats:
    """What the heads of a modality are taught, as the backbone was: [N] float32 in 0..1."""
    covid = (table.finding == "covid").astype(int)
    if modality != "xray":
        return covid.to_numpy(np.float32)
    return np.array([soft_target(c, e) for c, e in zip(covid, table.log_opacity, strict=True)], np.float32)


def fit_head(pooled: Floats, target: Floats, weight: Floats, groups: Sequence[str], seed: int) -> tuple[Floats, float]:
    """One linear head with dropout, trained on a bootstrap of the groups.

    On a part of the rows the backbone's features are replaced by their mean: they give the training labels away so well
    that beside them the opacity would be thought worthless, and it is what holds in another hospital.

    Args:
        pooled: [N, C + 1], log_opacity last.
        target: [N] in 0..1.
        weight: [N].
        groups: [N].
        seed: of bootstrap and dropout.

    Returns:
        weight [C + 1], log_opacity last, and bias.
    """
    rng = np.random.default_rng(seed)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    drawn = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[index]
    w = torch.from_numpy(weight * drawn)
    w = w / w.sum()
    x, y = torch.from_numpy(pooled), torch.from_numpy(target)
    mean = x[:, :-1].mean(dim=0)
    torch.manual_seed(seed)
    head = torch.nn.Linear(x.shape[1], 1)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    optimizer = torch.optim.AdamW(head.parameters(), 3e-3, weight_decay=0.1)
    for _ in range(300):
        features = torch.where(torch.rand(len(x), 1) < BLIND, mean, F.dropout(x[:, :-1], DROPOUT))
        logit = head(torch.cat([features, x[:, -1:]], dim=1))[:, 0]
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


def fit_gate(table: pd.DataFrame, style: Floats, whole: Floats) -> tuple[dict[str, Floats], dict[str, object]]:
    """The gate's tensors, and what of it belongs into the config."""
    from sklearn.linear_model import LogisticRegression

    train, val = table.split == "train", table.split == "val"
    regression = LogisticRegression(C=1.0, max_iter=500, class_weight="balanced")
    regression.fit(whole[train], table.modality[train] == "ct")
    tensors: dict[str, Floats] = {"gate.weight": regression.coef_[0].astype(np.float32)}
    thresholds = {}
    near = train & ~table.source.isin(SCATTERED)
    for name in gate.CLOUDS:
        modality, _, is_style = name.partition(".")
        points, mine = style if is_style else whole, table.modality == modality
        # Stored as fp16, so the distances to come are those from the rounded ones.
        mean, basis = (values.astype(np.float16).astype(np.float32) for values in cloud(points[near & mine]))
        tensors |= {f"gate.{name}.mean": mean, f"gate.{name}.basis": basis}
        distances = [gate.mahalanobis(row, mean, basis) for row in points[val & mine]]
        thresholds[name] = float(np.quantile(distances, ACCEPTED))
    return tensors, {"gate": {"bias": float(regression.intercept_[0]), "thresholds": thresholds}}


def bounds(probability: Floats, table: pd.DataFrame) -> tuple[float, float]:
    """Up to which probability "not COVID-19" and from which on COVID-19 is answered: one half, or less and more.

    Args:
        probability: [N] of COVID-19.
        table: [N] rows. In no source and finding among the restyled val rows may more than `CALLED` of the other class
            get that far: the healthy are many and easy, and those with another disease few.
    """
    restyled = (table.split == features.RESTYLED["val"]).to_numpy()
    covid = (table.finding == "covid").to_numpy()
    cells = table.source + table.finding

    def reached(chosen: NDArray[np.bool_], share: float) -> list[float]:
        return list(pd.Series(probability[chosen]).groupby(cells[chosen].to_numpy()).quantile(share))

    return min([0.5, *reached(restyled & covid, CALLED)]), max([0.5, *reached(restyled & ~covid, 1 - CALLED)])


def alike(table: pd.DataFrame) -> NDArray[np.int64]:
    """Row numbers with those of the smaller data sets repeated, so that each set has about as many.

    What holds in the largest set alone would pass for what holds in general.
    """
    counts = table.dataset.map(table.dataset.value_counts())
    return np.repeat(np.arange(len(table)), np.round(counts.max() / counts).astype(int))


def calibrate(model: classify.Model, table: pd.DataFrame, pooled: Floats) -> None:
    """Temperature, conformal scores and `bounds` from val rows, written into the model's config."""
    for modality in model.spec.modalities:
        val = np.flatnonzero((table.split == "val") & (table.modality == modality))
        val = val[alike(table.iloc[val])]
        covid = (table.finding.iloc[val] == "covid").to_numpy().astype(int)
        logit = model.sample(pooled[val], modality)
        pairs = np.stack([np.zeros_like(logit), logit], axis=-1)
        model.config["temperature"][modality] = uncertainty.temperature(pairs, covid)
        model.config["conformal"][modality] = {
            method: {
                str(c): [round(float(s), 6) for s in scores]
                for c, scores in uncertainty.conformal_scores(
                    model.probabilities(pooled[val], modality, method).mean(axis=1), covid
                ).items()
            }
            for method in get_args(classify.Method)
        }
        mine = (table.modality == modality).to_numpy()
        probability = model.probabilities(pooled[mine], modality).mean(axis=1)[:, 1]
        clear, firm = bounds(probability, table[mine])
        model.config["clear"][modality], model.config["firm"][modality] = round(clear, 4), round(firm, 4)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=script.TRAINED, default=registry.DEFAULT)
    parser.add_argument("--features", type=Path, required=True, help="written by train.features")
    start = parser.add_mutually_exclusive_group(required=True)
    start.add_argument("--backbones", type=Path, help="what the features came from")
    start.add_argument("--keep", action="store_true", help="calibrate the heads in --out, FOLDER/MODEL, again")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)
    if options.keep and options.out.name != spec.name:
        parser.error(
            f"--keep calibrates {spec.name} again, which --out is to name: FOLDER/{spec.name}, not {options.out}."
        )
    table, arrays = features.load(options.features)
    if lacking := set(spec.modalities) - set(table.modality):
        parser.error(
            f"{options.features} holds no {' and no '.join(sorted(lacking))} images, and {spec.title} reads both."
        )
    pooled = arrays["pooled"]
    if options.keep:
        kept = answers.without_networks(spec, options.out.parent)
        before = {name: dict(kept.config[name]) for name in ("clear", "firm")}
        calibrate(kept, table, pooled)
        for name, stricter in (("clear", min), ("firm", max)):
            kept.config[name] = {m: stricter(p, before[name][m]) for m, p in kept.config[name].items()}
        kept.config.pop("metrics", None)  # they were of the former calibration
        (options.out / registry.CONFIG).write_text(json.dumps(kept.config) + "\n")
        return

    # The default model takes the first look at every picture; the others need no gate of their own.
    is_default = spec.name == registry.DEFAULT
    tensors, settings = fit_gate(table, arrays["style"], arrays["whole"]) if is_default else ({}, {})
    for modality in spec.modalities:
        rows = (table.split.isin(["train", features.RESTYLED["train"]]) & (table.modality == modality)).to_numpy()
        part = table[rows]
        target = targets(part, modality)
        heads = [
            fit_head(pooled[rows], target, features.weights(part), list(part.group), seed) for seed in range(HEADS)
        ]
        tensors[f"heads.{modality}.weight"] = np.stack([w for w, _ in heads])
        tensors[f"heads.{modality}.bias"] = np.array([b for _, b in heads], np.float32)

    # Stored as fp16, so calibrated as fp16.
    stored = {n: torch.from_numpy(np.ascontiguousarray(v)).half() for n, v in tensors.items()}
    config: dict[str, Any] = {
        "model": spec.name,
        "sizes": dict(spec.sizes),
        "classes": list(classify.CLASSES),
        "heads": {"count": HEADS, "masks": MASKS, "dropout": DROPOUT, "seed": 0},
        **settings,
        "temperature": {},
        "conformal": {m: {} for m in spec.modalities},
        "clear": {},
        "firm": {},
    }
    rounded = {n: v.float().numpy() for n, v in stored.items()}
    looked = gate.Gate.load(rounded, config["gate"]) if is_default else gate.Gate.of_default()
    # No networks: the features are there already.
    classifier = classify.Classifier(spec, {}, rounded, config, looked)
    calibrate(classifier, table, pooled)
    files = {m: looks.backbone_file(options.backbones, m) for m in spec.modalities}
    for file in set(files.values()):
        held, needed = load_file(file), networks.build(spec).state_dict()
        if {name: t.shape for name, t in held.items()} != {name: t.shape for name, t in needed.items()}:
            raise ValueError(f"{file} holds another network than {spec.title}.")
    options.out.mkdir(parents=True, exist_ok=True)
    is_shared = len(set(files.values())) == 1
    for modality, file in files.items():
        prefix = "" if is_shared else f"{modality}."
        stored |= {prefix + name: value for name, value in load_file(file).items()}
    save_torch_state_dict(stored, options.out, max_shard_size=MOST_IN_A_FILE)
    (options.out / registry.CONFIG).write_text(json.dumps(config) + "\n")


if __name__ == "__main__":
    script.run(main)
