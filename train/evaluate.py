"""Measure a finished model: `python -m train.evaluate --folder FOLDER --model NAME --data ... --features FILE`.

Writes "metrics" into the folder's config.json, from which the app, the model card and the README take every figure. Each
figure carries n and a 95 % interval by bootstrap over groups (patients), 1,000 resamples.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load_file

from covid_core import classify, diagnose, engine, gate, metrics, registry, segment, uncertainty
from train import calibrate, datasets, features
from train.datasets.records import Record
from train.masks import Outcome, outcomes, pooled_dice, sums

Figure = dict[str, Any]


def figure(statistic: Callable[..., float], *arrays: NDArray[Any], groups: Sequence[str]) -> Figure:
    """A figure with its interval; null where it is not defined (a single class, say)."""
    try:
        value = statistic(*arrays)
        low, high = metrics.bootstrap(statistic, *arrays, groups=np.asarray(groups), n=1000, seed=0)
    except ValueError:
        return {"value": None, "n": len(arrays[0])}
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), "n": len(arrays[0])}


class Answers:
    """The app's decisions for rows of a feature table, by the app's own functions."""

    def __init__(
        self,
        classifier: classify.Classifier,
        limits: dict[str, dict[str, Any]],
        table: pd.DataFrame,
        arrays: features.Arrays,
    ) -> None:
        self.table = table.reset_index(drop=True)
        glances = [classifier.gate.look(row) for row in arrays["whole"]]
        self.modality_found = np.array([g.modality for g in glances])
        self.distance = np.array(
            [
                max(g.distance[m], classifier.gate.style_distance(style, m))
                for g, m, style in zip(glances, table.modality, arrays["style"], strict=True)
            ]
        )
        self.probability = np.zeros((len(table), 2))
        for modality in classifier.spec.modalities:
            mine = (table.modality == modality).to_numpy()
            if mine.any():
                self.probability[mine] = classifier.probabilities(arrays["pooled"][mine], modality).mean(axis=1)
        self.sets = np.zeros((len(table), 2), bool)
        decisions, refused = [], []
        for i, (row, glance) in enumerate(zip(table.itertuples(), glances, strict=True)):
            scores = classifier.conformal[row.modality]["ensemble_mc_dropout"]
            chosen = uncertainty.prediction_set(self.probability[i], scores, classify.LEVEL)
            self.sets[i, list(chosen)] = True
            shape = segment.LungShape(row.area, row.certainty, row.middle)
            # An automatic answer uses the modality found, and with it that U-Net's limits.
            reason = segment.implausible(shape, limits[row.modality])
            colour = row.chroma > gate.MOST_COLOUR or row.contrast < gate.LEAST_CONTRAST
            refused.append(bool(colour or diagnose.refusal(glance, reason, row.modality)))
            firm = classifier.config["firm"][row.modality]
            decided = classify.verdict(
                chosen, self.probability[i, 1], firm, self.distance[i], row.evidence, row.lesser_side, row.modality
            )[0]
            decisions.append("refused" if refused[-1] else decided)
        self.decision, self.refused = np.array(decisions), np.array(refused)

    def part(self, rows: NDArray[np.bool_]) -> Figure:
        """All figures of one protocol."""
        table, p = self.table[rows], self.probability[rows]
        covid = (table.finding == "covid").to_numpy().astype(int)
        groups = table.group.to_numpy()
        decision = self.decision[rows]
        decided = np.isin(decision, ["covid", "non_covid"])
        seen = table.evidence.map(segment.mean_probability) >= table.modality.map(segment.VISIBLE)
        right = (decision == "covid") == (covid == 1)
        result: Figure = {
            "n": int(rows.sum()),
            "n_covid": int(covid.sum()),
            "groups": int(table.group.nunique()),
            "auc": figure(metrics.auroc, p[:, 1], covid, groups=groups),
            "accuracy": figure(metrics.accuracy, (p[:, 1] > 0.5).astype(int), covid, groups=groups),
            "f1": figure(metrics.f1, (p[:, 1] > 0.5).astype(int), covid, groups=groups),
            "ece": figure(metrics.ece, p, covid, groups=groups),
            "nll": figure(metrics.nll, p, covid, groups=groups),
            "brier": figure(metrics.brier, p, covid, groups=groups),
            "decided": figure(lambda d: float(np.mean(d)), decided, groups=groups),
            "called_covid": figure(lambda d: float(np.mean(d)), decision == "covid", groups=groups),
            "refused": figure(lambda d: float(np.mean(d)), self.refused[rows], groups=groups),
            "unlike_training": figure(lambda d: float(np.mean(d)), self.distance[rows] > 1, groups=groups),
        }
        if decided.any():
            result["accuracy_of_decided"] = figure(lambda d: float(np.mean(d)), right[decided], groups=groups[decided])
        for c, name in enumerate(classify.CLASSES):
            mine = covid == c
            if mine.any():
                covered = self.sets[rows][mine, c]
                result[f"coverage_{name}"] = figure(lambda d: float(np.mean(d)), covered, groups=groups[mine])
                result[f"opacity_{name}"] = figure(lambda d: float(np.mean(d)), seen[mine], groups=groups[mine])
        if len(set(covid)) == 2:
            result["reliability"] = metrics.reliability(p, covid)
        return result


def classifier_metrics(answers: Answers) -> Figure:
    """The protocols of a classifier."""
    t = answers.table
    xray, ct = t.modality == "xray", t.modality == "ct"
    external = xray & (t.split == "external")
    shown = {
        "xray": {
            "test": xray & (t.split == "test"),
            "external": external,
            "external_ieee8023": external & (t.source == "ieee8023"),
            "external_shenzhen": external & (t.source == "nlm_shenzhen"),
            "external_covid_normal": external & t.finding.isin(["covid", "normal"]),
            "external_covid_pneumonia": external & t.finding.isin(["covid", "pneumonia"]),
            "external_covid_tuberculosis": external & t.finding.isin(["covid", "tuberculosis"]),
            "pediatric": xray & (t.split == "pediatric"),
            "transplanted": xray & (t.split == features.TRANSPLANTED),
        },
        "ct": {
            "covid_ct_official_test": ct & (t.official_split == "test"),
            "sars_cov_2_grouped_test": ct & (t.dataset == "sars_cov_2_ct") & (t.split == "test"),
            "test": ct & (t.split == "test"),
        },
    }
    result: Figure = {m: {n: answers.part(r.to_numpy()) for n, r in p.items() if r.any()} for m, p in shown.items()}
    proper = t.split.isin(["test"]).to_numpy()
    result["gate"] = {
        "photographs_refused": [
            int(answers.refused[t.split == "photograph"].sum()),
            int((t.split == "photograph").sum()),
        ],
        "lateral_refused": [int(answers.refused[t.split == "lateral"].sum()), int((t.split == "lateral").sum())],
        "lateral_refused_or_marked": [
            int((answers.refused | (answers.distance > 1))[t.split == "lateral"].sum()),
            int((t.split == "lateral").sum()),
        ],
        "test_accepted": figure(
            lambda d: float(np.mean(d)), ~answers.refused[proper], groups=t.group[proper].to_numpy()
        ),
        "modality_right": figure(
            lambda d: float(np.mean(d)),
            (answers.modality_found == t.modality)[proper].to_numpy(),
            groups=t.group[proper].to_numpy(),
        ),
    }
    return result


def dice_figure(found: Sequence[Outcome], channel: str, threshold: float) -> Figure:
    """Pooled Dice of one channel over the images where it is marked."""
    rows, groups = [], []
    for o in found:
        truth, probability = (o.lung_truth, o.lung) if channel == "lung" else (o.lesion_truth, o.lesion)
        if truth is not None:
            rows.append(sums(probability > threshold, truth))
            groups.append(o.record.group)
    return figure(pooled_dice, np.array(rows), groups=groups)


def infnet_figures(found: Sequence[Outcome]) -> Figure:
    """The paper's mean Dice over 256 thresholds, and Dice at 0.5, both means over slices."""
    maps = [o.lesion.astype(np.float32) for o in found]
    truth = [o.lesion_truth for o in found if o.lesion_truth is not None]
    rows = np.array(
        [
            [metrics.mean_dice_over_thresholds([m], [t]), metrics.dice_at([m], [t], 0.5)]
            for m, t in zip(maps, truth, strict=True)
        ]
    )
    groups = [o.record.group for o in found]
    return {
        "mean_dice_over_thresholds": figure(lambda d: float(np.mean(d)), rows[:, 0], groups=groups),
        "dice_at_0.5": figure(lambda d: float(np.mean(d)), rows[:, 1], groups=groups),
    }


def segmenter_metrics(segmenter: segment.Segmenter, records: Sequence[Record]) -> Figure:
    """The protocols of a U-Net."""
    threshold = float(segmenter.config["lesion_threshold"])
    mine = [
        r for r in records if r.modality == segmenter.modality and r.split == "test" and (r.lungs or r.lesions_known)
    ]
    found = outcomes([r for r in mine if r.dataset != "infnet"], segmenter)
    result: Figure = {
        "test": {
            "lesion_dice": dice_figure(found, "lesion", threshold),
            "lung_dice": dice_figure(found, "lung", 0.5),
            "interval_coverage": _interval_coverage(segmenter, found, threshold),
        }
    }
    sources = sorted({o.record.source for o in found if o.lung_truth is not None})
    for source in sources:
        part = [o for o in found if o.record.source == source]
        result["test"][f"lung_dice_{source}"] = dice_figure(part, "lung", 0.5)
    slices = [r for r in mine if r.dataset == "infnet"]
    if slices:
        result["infnet_test"] = infnet_figures(outcomes(slices, segmenter))
    return result


def _interval_coverage(segmenter: segment.Segmenter, found: Sequence[Outcome], threshold: float) -> Figure:
    spread = float(segmenter.config["lesion_interval"]["spread"])
    marked = [o for o in found if o.lesion_truth is not None and (o.lung > 0.5).mean() > 0.02]
    rows = [calibrate.shares(o, threshold) for o in marked]
    intervals = [segment.share_interval(p, spread) for p, _ in rows]
    inside = np.array([low <= t <= high for (low, high), (_, t) in zip(intervals, rows, strict=True)])
    return figure(lambda d: float(np.mean(d)), inside, groups=[o.record.group for o in marked])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, choices=list(registry.MODELS))
    parser.add_argument("--folder", type=Path, required=True, help="holds NAME/config.json and NAME/model.safetensors")
    parser.add_argument("--data", nargs="+", metavar="NAME=FOLDER", help="for a U-Net")
    parser.add_argument("--features", type=Path, help="for a classifier, folder by train.features")
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)
    home = options.folder / spec.name
    config = json.loads((home / registry.CONFIG).read_text())
    if spec.task == "classify":
        table, arrays = features.load(options.features)
        rows = table.split.isin((*features.REPORTED, features.TRANSPLANTED)).to_numpy()
        tensors = {
            n: v.astype(np.float32)
            for n, v in load_file(home / registry.WEIGHTS).items()
            if n.startswith(("heads", "gate"))
        }
        classifier = classify.Classifier(spec, {}, tensors, config)
        limits = {
            m: json.loads((options.folder / f"unet_{m}" / registry.CONFIG).read_text())["lung_limits"]
            for m in spec.modalities
        }
        config["metrics"] = classifier_metrics(
            Answers(classifier, limits, table[rows], {name: values[rows] for name, values in arrays.items()})
        )
    else:
        segmenter = segment.Segmenter(spec, engine.of_file(spec, spec.modalities[0], home / registry.WEIGHTS), config)
        config["metrics"] = segmenter_metrics(segmenter, datasets.read(options.data))
    (home / registry.CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    print(json.dumps(config["metrics"], indent=1))


if __name__ == "__main__":
    main()
