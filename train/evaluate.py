"""Measure a finished model: `python -m train.evaluate --folder FOLDER --model NAME --data ... --features FOLDER`.

Writes "metrics" into the folder's config.json, from which the app, the model card and the README take every figure. Each
figure carries n and a 95 % interval by bootstrap over groups (patients), 1,000 resamples, and is computed from a row an image
that is kept (`train.answers`, `train.marks`).
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from covid_core import classify, metrics, registry, segment, weights
from covid_core.ensemble import Ensemble
from train import datasets, marks, script, tables
from train.datasets.records import GREY, REPORTED, TRANSPLANTED, Record
from train.masks import pooled_dice
from train.overlap import again, untrained

Figure = dict[str, Any]  # its value, the ends of its interval, and how many images and groups it rests on
Figures = dict[str, Any]  # by name, also in parts that have names


def figure(statistic: Callable[..., float], *arrays: NDArray[Any], groups: Sequence[str]) -> Figure:
    """A figure with its interval; null where it is not defined (a single class, say).

    Args:
        statistic: of the arrays.
        arrays: each [N, ...].
        groups: [N], of patients; resampled are these.
    """
    counted = {"n": len(arrays[0]), "groups": len(set(groups))}
    try:
        if counted["groups"] < 2:
            raise ValueError("One patient alone says nothing about others.")
        value = statistic(*arrays)
        low, high = metrics.bootstrap(statistic, *arrays, groups=np.asarray(groups), n=1000, seed=0)
    except ValueError:
        return {"value": None, **counted}
    return {"value": round(value, 4), "low": round(low, 4), "high": round(high, 4), **counted}


def proportion(statistic: Callable[..., float], *arrays: NDArray[Any], groups: Sequence[str]) -> Figure:
    """A `figure` that counts a share of the images.

    Where that is none or all of them, resampling has nothing to vary. There the interval is Clopper's and Pearson's, with one
    trial for each group (1934, doi:10.1093/biomet/26.4.404).
    """
    found = figure(statistic, *arrays, groups=groups)
    if found["value"] in (0, 1) and found["low"] == found["high"]:
        found["low"], found["high"] = exactly(found["value"], found["groups"])
    return found


def exactly(value: float, groups: int) -> tuple[float, float]:
    """Clopper's and Pearson's interval of a share, 0 or 1, of so many."""
    from scipy.stats import binomtest

    exact = binomtest(round(value * groups), groups).proportion_ci()
    return round(float(exact.low), 4), round(float(exact.high), 4)


def by_chance(both: NDArray[Any], groups: Sequence[str]) -> Figure:
    """The ECE of a model that is perfectly calibrated, on as many images: their labels are drawn from its probabilities.

    Args:
        both: [N, 2] probabilities, rows sum to 1.
        groups: [N], only counted: labels are drawn one by one, so that this is the least to be expected.
    """
    rng = np.random.default_rng(0)
    drawn = [metrics.ece(both, rng.random(len(both)) < both[:, 1]) for _ in range(200)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    counted = {"n": len(both), "groups": len(set(groups))}
    return {
        "value": round(float(np.mean(drawn)), 4),
        "low": round(float(low), 4),
        "high": round(float(high), 4),
        **counted,
    }


def of_probabilities(probability: NDArray[Any], covid: NDArray[Any], groups: Sequence[str]) -> Figures:
    """What needs nothing but probabilities of COVID-19 [N] and labels [N]."""
    likelier, both = (probability > 0.5).astype(int), np.stack([1 - probability, probability], axis=1)
    return {
        "auc": figure(metrics.auroc, probability, covid, groups=groups),
        "accuracy": proportion(metrics.accuracy, likelier, covid, groups=groups),
        "f1": figure(metrics.f1, likelier, covid, groups=groups),
        "ece": figure(metrics.ece, both, covid, groups=groups),
        "ece_by_chance": by_chance(both, groups),
        "nll": figure(metrics.nll, both, covid, groups=groups),
        "brier": figure(metrics.brier, both, covid, groups=groups),
    }


def part(rows: pd.DataFrame) -> Figures:
    """All figures of one protocol.

    Args:
        rows: as `train.answers` makes them.
    """
    covid = (rows.finding == "covid").to_numpy().astype(int)
    probability = rows.probability.to_numpy()
    groups = rows.group.to_numpy()
    decided = rows.decision.isin(["covid", "non_covid"]).to_numpy()
    right = (rows.decision == "covid").to_numpy() == (covid == 1)
    result: Figures = {
        "n": len(rows),
        "n_covid": int(covid.sum()),
        "groups": int(rows.group.nunique()),
        **of_probabilities(probability, covid, groups),
        "decided": share(decided, groups),
        "called_covid": share(rows.decision == "covid", groups),
        "refused": share(rows.decision == "refused", groups),
        "unlike_training": share(rows.distance > 1, groups),
    }
    if decided.any():
        result["accuracy_of_decided"] = share(right[decided], groups[decided])
    for name in classify.CLASSES:
        given = (rows.decision == name).to_numpy()
        if given.any():
            result[f"right_when_{name}"] = share(right[given], groups[given])
    for c, name in enumerate(classify.CLASSES):
        mine = covid == c
        if mine.any():
            covered = rows.set.str.split("+").map(lambda held, name=name: name in held)
            result[f"coverage_{name}"] = share(covered[mine], groups[mine])
            result[f"called_covid_{name}"] = share(rows.decision[mine] == "covid", groups[mine])
            result[f"opacity_{name}"] = share(rows.opacity[mine], groups[mine])
    if len(set(covid)) == 2:
        result["reliability"] = metrics.reliability(np.stack([1 - probability, probability], axis=1), covid)
    return result


def share(holds: ArrayLike, groups: Sequence[str]) -> Figure:
    """The part of the rows for which something holds."""
    return proportion(lambda d: float(np.mean(d)), np.asarray(holds, bool), groups=groups)


def protocols(rows: pd.DataFrame) -> dict[str, dict[str, "pd.Series[bool]"]]:
    """Modality -> protocol -> which of a classifier's rows belong to it; only protocols that have some."""
    xray, ct = rows.modality == "xray", rows.modality == "ct"
    external = xray & (rows.split == "external")
    shown = {
        "xray": {
            "test": xray & (rows.split == "test"),
            "external": external,
            "external_unseen": external & ~rows.get("masked", pd.Series(True, rows.index)).astype(bool),
            "external_ieee8023": external & (rows.source == "ieee8023"),
            "external_shenzhen": external & (rows.source == "nlm_shenzhen"),
            "external_covid_normal": external & rows.finding.isin(["covid", "normal"]),
            "external_covid_pneumonia": external & rows.finding.isin(["covid", "pneumonia"]),
            "external_covid_tuberculosis": external & rows.finding.isin(["covid", "tuberculosis"]),
            "pediatric": xray & (rows.split == "pediatric"),
            "transplanted": xray & (rows.split == TRANSPLANTED),
        },
        "ct": {
            "covid_ct_official_test": ct & (rows.official_split == "test"),
            "sars_cov_2_grouped_test": ct & (rows.dataset == "sars_cov_2_ct") & (rows.split == "test"),
            "test": ct & (rows.split == "test"),
            "external": ct & (rows.split == "external"),
        },
    }
    return {m: {name: chosen for name, chosen in parts.items() if chosen.any()} for m, parts in shown.items()}


def classifier_metrics(rows: pd.DataFrame) -> Figures:
    """All figures of a classifier, from its rows."""
    result: Figures = {m: {name: part(rows[r]) for name, r in parts.items()} for m, parts in protocols(rows).items()}
    test, lateral = rows[rows.split == "test"], rows[rows.split == "lateral"]
    photographs = rows[rows.split == "photograph"]
    grey = rows[(rows.split == GREY) & (rows.found == rows.modality)]
    refused_or_marked = (lateral.decision == "refused") | (lateral.distance > 1)
    counts = {
        "photographs_refused": [int((photographs.decision == "refused").sum()), len(photographs)],
        "grey_photographs_refused": [int((grey.decision == "refused").sum()), len(grey)],
        "grey_photographs_answered": [int(grey.decision.isin(["covid", "non_covid"]).sum()), len(grey)],
        "lateral_refused": [int((lateral.decision == "refused").sum()), len(lateral)],
        "lateral_refused_or_marked": [int(refused_or_marked.sum()), len(lateral)],
    }
    result["gate"] = {
        **{name: [some, of] for name, (some, of) in counts.items() if of},
        "test_accepted": share(test.decision != "refused", test.group.to_numpy()),
        "modality_right": share(test.found == test.modality, test.group.to_numpy()),
    }
    return result


def dice_figure(rows: pd.DataFrame, channel: str) -> Figure:
    """Pooled Dice of "lung", "lesion", "ground_glass" or "consolidation" over the images where it is marked."""
    marked = rows[rows[f"{channel}_total"].notna()]
    sums = marked[[f"{channel}_overlap", f"{channel}_total"]].to_numpy()
    return figure(pooled_dice, sums, groups=marked.group.to_numpy())


def dice_by_image(rows: pd.DataFrame, channel: str) -> Figure:
    """Mean of the Dice of each image that has some of a channel, by truth or by what was marked."""
    some = rows[rows[f"{channel}_total"] > 0]
    dice = 2 * some[f"{channel}_overlap"] / some[f"{channel}_total"]
    return figure(lambda d: float(np.mean(d)), dice.to_numpy(), groups=list(some.group))


def mean_figure(rows: pd.DataFrame, column: str) -> Figure:
    """Mean over the images for which it is known."""
    known = rows[rows[column].notna()]
    return figure(lambda d: float(np.mean(d)), known[column].to_numpy(), groups=known.group.to_numpy())


def segmenter_metrics(rows: pd.DataFrame) -> Figures:
    """All figures of a U-Net, from its rows by `train.marks`."""
    slices, others = rows[rows.dataset == "infnet"], rows[rows.dataset != "infnet"]
    result: Figures = {
        "test": {
            "lesion_dice": dice_figure(others, "lesion"),
            "lesion_dice_by_image": dice_by_image(others, "lesion"),
            "lung_dice": dice_figure(others, "lung"),
            "interval_coverage": mean_figure(others, "share_inside"),
        }
    }
    for source in sorted(set(others.source[others.lung_total.notna()])):
        result["test"][f"lung_dice_{source}"] = dice_figure(others[others.source == source], "lung")
    if len(slices):
        result["infnet_test"] = {
            "mean_dice_over_thresholds": mean_figure(slices, "mean_dice"),
            "dice_at_0.5": mean_figure(slices, "dice"),
            "ground_glass_dice": dice_figure(slices, "ground_glass"),
            "consolidation_dice": dice_figure(slices, "consolidation"),
        }
        own = slices.assign(dice=2 * slices.lesion_overlap / slices.lesion_total)
        if own.dice.notna().any():  # earlier tables have no pixels of these slices
            result["infnet_test"]["dice_at_own_threshold"] = mean_figure(own, "dice")
    return result


def lung_limits(folder: Path, modality: str) -> dict[str, Any]:
    """What the U-Net of a modality says of plausible lungs: that in the folder, or else the bundled one."""
    spec = registry.segmenter_for(modality)
    file = folder / spec.name / registry.CONFIG
    limits: dict[str, Any] = (json.loads(file.read_text()) if file.exists() else weights.load_config(spec))[
        "lung_limits"
    ]
    return limits


def masked(records: Sequence[Record]) -> set[str]:
    """Files of the external X-rays from which, or from copies of which, the X-ray U-Net learned where lungs or lesions are."""
    # Here, for the scoreboard computes its figures by this module and is not to wait for what trains.
    from train import segmenter

    external = [r for r in records if r.split == "external"]
    learned = segmenter.select(untrained([r for r in records if r.modality == "xray"]), "xray", "train")
    return {str(file) for file in again(external, learned)}


def among_masked(table: pd.DataFrame, records: Sequence[Record]) -> NDArray[np.bool_]:
    """Which rows [N] of a feature table are of `masked` X-rays.

    Raises:
        ValueError: the records lack external X-rays of the table, of which nothing could be told.
    """
    outside = table.split == "external"
    if not table.file[outside].isin([str(r.image) for r in records]).all():
        raise ValueError("--data lacks external X-rays that --features were made from. Give the same data sets.")
    return (table.file.isin(masked(records)) & outside).to_numpy()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, choices=[s.name for s in registry.SPECS])
    parser.add_argument("--folder", type=Path, required=True, help="holds NAME/config.json and NAME/model.safetensors")
    parser.add_argument(
        "--data",
        nargs="+",
        metavar="NAME=FOLDER",
        help="for a U-Net; for a classifier, to tell the external X-rays from which the U-Net that finds their lungs learned",
    )
    parser.add_argument(
        "--features", type=Path, nargs="+", help="for a classifier, by train.features; of an ensemble's members in turn"
    )
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the rows")
    options = parser.parse_args(arguments)
    from train import answers, features

    spec = registry.get(options.model)
    needed = "features" if spec.task == "classify" else "data"
    if not getattr(options, needed):
        parser.error(f"{spec.title} is measured on --{needed}.")
    home = options.folder / spec.name
    config = json.loads((home / registry.CONFIG).read_text())
    if spec.task == "classify":
        table, arrays = features.joined(options.features)
        wanted = table.split.isin((*REPORTED, TRANSPLANTED)).to_numpy()
        members = [answers.without_networks(registry.get(m), options.folder) for m in spec.members or [spec.name]]
        model = Ensemble(spec, members, config) if spec.members else members[0]
        limits = {m: lung_limits(options.folder, m) for m in spec.modalities}
        reported = {name: values[wanted] for name, values in arrays.items()}
        file = tables.file(options.results, tables.Kind.ANSWERS, spec.name)
        rows = answers.rows(model, limits, table[wanted], reported)
        if options.data:
            rows["masked"] = among_masked(table[wanted], datasets.read(options.data))
        tables.write(rows, file)
        config["metrics"] = classifier_metrics(tables.read(file))
    else:
        network = segment.Segmenter.of_files(spec, weights.in_folder(home), config)
        file = tables.file(options.results, tables.Kind.MASKS, spec.name)
        records = untrained([r for r in datasets.read(options.data) if r.modality == network.modality])
        found = marks.rows(network, records)
        if found.empty:
            raise ValueError(f"--data holds no {network.modality} image with masks of the split test.")
        tables.write(found, file)
        config["metrics"] = segmenter_metrics(tables.read(file))
    (home / registry.CONFIG).write_text(json.dumps(config, indent=1) + "\n")
    print(json.dumps(config["metrics"], indent=1))


if __name__ == "__main__":
    script.run(main)
