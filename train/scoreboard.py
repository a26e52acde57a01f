"""Every figure from stored rows: `python -m train.scoreboard`.

Reads `train/results`: the app's answers of the bundled classifiers (`train.answers`), what else these could follow
(`train.probes`), what the masks of the U-Nets amount to (`train.marks`, `train.kinds`), and the tables of networks that
were trained for one protocol of the literature (`train.protocols`, `train.lesion_folds`), from two starts (`train.starts`)
or by several choices (`train.choices`). Writes `scoreboard.json` beside them, with the figures that others published under
the same protocols. Each figure of ours carries n and a 95 % interval by bootstrap over groups; anyone can compute it again
without a GPU and without images.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covid_core import classify, metrics, registry, uncertainty
from train import evaluate, published, script, tables
from train.datasets.records import BLACKED
from train.evaluate import Figure, Figures, exactly, figure, of_probabilities, share
from train.splits import PROTOCOLS

Row = dict[str, Any]

BOARD = "scoreboard.json"
PEERS = Path(__file__).parent / "peers.json"
SUREST = 0.8  # share of the images whose answers "risk_at_80_percent" counts
RARE = 0.02  # share of the people examined who have COVID-19, for PPV and NPV; the Uncertainty lab begins there
SHOWN = ("accuracy", "auc", "lesion_dice", "mean_dice_over_thresholds")  # on the command line
LINEAR = "logistic regression"
SHORT = "U-Net trained briefly"
MULTI_CLASS = "U-Net with a channel for consolidation"
PROBES = ("as_it_is", "lungs_blacked_out", "only_border", "thumbnail")
METHODS = {
    "ensemble_mc_dropout": "probability",
    "ensemble": "probability_ensemble",
    "mc_dropout": "probability_mc_dropout",
}


def _risk_of_surest(confidence: NDArray[np.float64], right: NDArray[np.bool_], groups: Sequence[str]) -> Figure:
    """Share wrong among the surest; without any wrong, its interval goes by the groups of those alone."""
    found = figure(partial(metrics.risk_at_coverage, coverage=SUREST), confidence, right, groups=groups)
    if found["value"] == found.get("high") == 0:
        surest = np.argsort(-confidence, kind="stable")[: metrics.answered(SUREST, len(right))]
        found["low"], found["high"] = exactly(0, len({groups[i] for i in surest}))
    return found


def further(probability: NDArray[np.float64], covid: NDArray[np.int64], groups: Sequence[str]) -> Figures:
    """What the board shows beside `evaluate.of_probabilities`, from the same."""
    likelier = (probability > 0.5).astype(int)
    confidence, right = np.maximum(probability, 1 - probability), likelier == covid
    ill, every = covid == 1, np.asarray(groups)
    found = {"sensitivity": share(right[ill], every[ill]), "specificity": share(right[~ill], every[~ill])}
    measures: dict[str, tuple[Any, ...]] = {
        f"ppv_at_{RARE:.0%}": (partial(metrics.ppv, prevalence=RARE), likelier, covid),
        f"npv_at_{RARE:.0%}": (partial(metrics.npv, prevalence=RARE), likelier, covid),
        "auprc": (metrics.auprc, probability, covid),
        "risk_coverage_area": (metrics.aurc, confidence, right),
        "misclassification_auroc": (metrics.misclassification_auroc, 1 - confidence, right),
    }
    found |= {name: figure(*given, groups=groups) for name, given in measures.items()}
    found["risk_at_80_percent"] = _risk_of_surest(confidence, right, groups)
    # Without a wrong answer of the kind in question every resample has the value 1; how many there could be is known.
    for name, own, other, prevalence in (
        ("ppv", "sensitivity", "specificity", RARE),
        ("npv", "specificity", "sensitivity", 1 - RARE),
    ):
        value = found[f"{name}_at_{RARE:.0%}"]
        if value["value"] == 1 and "low" in found[own] and "low" in found[other]:
            value["low"] = round(metrics.predictive_value(found[own]["low"], 1 - found[other]["low"], prevalence), 4)
    return found


def of_doubt(probability: NDArray[np.float64], covid: NDArray[np.int64], groups: Sequence[str]) -> Figures:
    """Rates of the uncertainty confusion matrix; answers of more than `uncertainty.DOUBT` bits count as uncertain.

    USen is the share of the wrong answers that is uncertain, USpe of the right ones that is certain, UPre of the uncertain ones
    that is wrong, UAcc of all that is wrong and uncertain or right and certain.
    Asgharnezhad 2022, doi:10.1038/s41598-022-05052-x.
    """
    every: Any = np.asarray(groups)
    right = (probability > 0.5) == (covid == 1)
    doubtful = uncertainty.entropy(np.stack([1 - probability, probability], axis=1)) > uncertainty.DOUBT
    return {
        "USen": share(doubtful[~right], every[~right]),
        "USpe": share(~doubtful[right], every[right]),
        "UPre": share(~right[doubtful], every[doubtful]),
        "UAcc": share(doubtful != right, every),
    }


def apart(inside: pd.DataFrame, outside: pd.DataFrame) -> Figure:
    """How well the distance tells a part's images from the test images of its modality (AUROC); n counts the part's.

    Hendrycks 2017, arXiv:1610.02136.
    """
    both = pd.concat([inside, outside])
    is_outside = np.repeat([False, True], [len(inside), len(outside)])
    found = figure(metrics.auroc, both.distance.to_numpy(), is_outside, groups=list(both.group))
    return found | {"n": len(outside), "groups": int(outside.group.nunique())}


def counts(table: pd.DataFrame) -> dict[str, int]:
    """How much a row of the board rests on."""
    return {"n": len(table), "n_covid": int((table.finding == "covid").sum()), "groups": int(table.group.nunique())}


def better_ranked(probability: NDArray[np.float64], usual: NDArray[np.float64], covid: NDArray[np.int64]) -> float:
    """AUC of one model minus that of another, [N] probabilities of the same images."""
    return metrics.auroc(probability, covid) - metrics.auroc(usual, covid)


def bundled(model: str, table: pd.DataFrame, usual: pd.DataFrame) -> list[Row]:
    """The rows of a bundled model, one a protocol.

    Args:
        model: its name.
        table: the app's answers, by `train.answers`.
        usual: those of the default model; the difference to it has a figure of its own where they are of the same images.
    """
    is_paired = model != registry.DEFAULT and list(table.image) == list(usual.image)
    inside = {m: table[(table.modality == m) & (table.split == "test")] for m in ("xray", "ct")}
    found = []
    for modality, parts in evaluate.protocols(table).items():
        for name, chosen in parts.items():
            part = table[chosen]
            covid, groups = (part.finding == "covid").to_numpy().astype(int), list(part.group)
            own = evaluate.part(part)
            figures = {measure: value for measure, value in own.items() if isinstance(value, dict)}
            figures |= further(part.probability.to_numpy(), covid, groups)
            if is_paired:
                both = part.probability.to_numpy(), usual.probability.to_numpy()[chosen]
                figures["auc_difference"] = figure(better_ranked, *both, covid, groups=groups)
            sizes = part.set.str.split("+").map(lambda held: len([*filter(None, held)])).to_numpy()
            for c, label in enumerate(classify.CLASSES):
                if (covid == c).any():
                    mine = np.asarray(groups)[covid == c]
                    figures[f"set_size_{label}"] = figure(lambda d: float(np.mean(d)), sizes[covid == c], groups=mine)
            if not (part.split == "test").any():  # its own images are not to be told from themselves
                figures["ood_auroc"] = apart(inside[modality], part)
            for method, column in METHODS.items():
                rates = of_doubt(part[column].to_numpy(), covid, groups)
                figures |= {f"{name} ({method})": value for name, value in rates.items()}
            row = {"protocol": f"{modality} / {name}", "modality": modality, "model": model, "kind": "bundled"}
            found.append({**row, **counts(part), "figures": figures})
    return found


def marked(model: str, table: pd.DataFrame, variant: str = "") -> list[Row]:
    """The rows of a bundled U-Net, or of a variant of it, from its rows by `train.marks`."""
    asked = {"modality": "lesions", "model": variant or model, "kind": "trained for it" if variant else "bundled"}
    return [
        {"protocol": f"{model} / {name}", **asked, "figures": figures}
        for name, figures in evaluate.segmenter_metrics(table).items()
    ]


def folded(table: pd.DataFrame) -> Row:
    """The row of the U-Nets that `train.lesion_folds` trained."""
    volumes = table.groupby("group")[["lesion_overlap", "lesion_total"]].sum()
    each = (2 * volumes.lesion_overlap / volumes.lesion_total).to_numpy()
    figures = {
        "lesion_dice": evaluate.dice_figure(table, "lesion"),
        "lesion_dice_by_patient": figure(lambda d: float(np.mean(d)), each, groups=list(volumes.index)),
        "lung_dice": evaluate.dice_figure(table, "lung"),
    }
    row = {"protocol": tables.Kind.LESION_FOLDS, "modality": "lesions", "model": tables.UNET, "kind": "trained for it"}
    return {**row, "n": len(table), "groups": len(volumes), "figures": figures}


def chosen(table: pd.DataFrame) -> list[Row]:
    """What encoder, start and loss are worth on val, from the rows of `train.choices`."""
    found = []
    for name, part in table.groupby("choice", sort=False):
        figures = {f"{channel}_dice": evaluate.dice_figure(part, channel) for channel in ("lesion", "lung")}
        row = {"protocol": f"choices / {name}", "modality": "lesions", "model": SHORT, "kind": "trained for it"}
        counted = {"n": len(part), "groups": int(part.group.nunique()), "slices": int(part.slices.iloc[0])}
        found.append({**row, **counted, "figures": figures})
    return found


def probed(model: str, table: pd.DataFrame) -> list[Row]:
    """What the answers could follow besides the lungs, from the rows of `train.probes`."""
    found = []
    for modality, part in table.groupby("modality", sort=False):
        for name in (n for n in PROBES if n in part):
            is_thumbnail = name == "thumbnail"
            rows = part[part[name].notna()]
            covid = (rows.finding == "covid").to_numpy().astype(int)
            figures = of_probabilities(rows[name].to_numpy(), covid, list(rows.group))
            asked = LINEAR if is_thumbnail else model
            kind = "trained for it" if is_thumbnail else "bundled"
            found.append(
                {"protocol": f"{modality} / {name}", "modality": modality, "model": asked, "kind": kind}
                | counts(rows)
                | {"figures": figures}
            )
        if "source_guessed" not in part or not part.source_guessed.any():  # of one source there is none to guess
            continue
        named, own = part.source_guessed.to_numpy(str), part.source.to_numpy(str)
        figures = {
            "balanced_accuracy": figure(metrics.balanced_accuracy, named, own, groups=list(part.group)),
            "balanced_accuracy_by_chance": {"value": round(1 / part.source.nunique(), 4), "n": len(part)},
        }
        row = {"protocol": f"{modality} / source_from_features", "modality": modality, "model": model}
        found.append({**row, "kind": "bundled", **counts(part), "figures": figures})
    return found


def started(model: str, table: pd.DataFrame) -> list[Row]:
    """What a network answers to val images after two starts, from its table by `train.starts`."""
    found = []
    for modality, part in table.groupby("modality", sort=False):
        covid = (part.finding == "covid").to_numpy().astype(int)
        for start in tables.STARTS:
            figures = of_probabilities(part[start].to_numpy(), covid, list(part.group))
            row = {"protocol": f"{modality} / start_{start}", "modality": "starts", "model": model}
            shown = {"kind": "trained for it", "pictures": int(part.pictures.iloc[0]), "figures": figures}
            found.append({**row, **counts(part), **shown})
    return found


def trained(protocol: str, model: str, table: pd.DataFrame) -> list[Row]:
    """The rows of a network that was trained for one protocol, from its table by `train.protocols`."""
    modality, parts = PROTOCOLS[protocol].modality, {protocol: table}
    if PROTOCOLS[protocol].by_part:
        known = table.assign(modality=modality, dataset="", official_split="")
        chosen = evaluate.protocols(known)[modality] | {BLACKED: table.split == BLACKED}
        parts = {f"{protocol} / {name}": table[mine] for name, mine in chosen.items() if mine.any()}
    found = []
    for name, part in parts.items():
        covid = (part.finding == "covid").to_numpy().astype(int)
        given = part.covid_probability.to_numpy(), covid, list(part.group)
        row = {"protocol": name, "modality": modality, "model": model, "kind": "trained for it"}
        found.append({**row, **counts(part), "figures": of_probabilities(*given) | further(*given)})
    return found


def together(tables: Mapping[str, pd.DataFrame]) -> tuple[str, pd.DataFrame]:
    """What to call networks that were trained for one protocol when asked as one, and their mean answer to each image.

    Args:
        tables: model -> its table by `train.protocols`; of the splits that all of them have, the same images in the same order.

    Raises:
        ValueError: they are not.
    """
    asked = set.intersection(*(set(table.split) for table in tables.values()))
    tables = {model: table[table.split.isin(asked)] for model, table in tables.items()}
    first = next(iter(tables.values()))
    if any(list(table.image) != list(first.image) for table in tables.values()):
        raise ValueError(f"The tables of {', '.join(tables)} hold different images.")
    *others, last = (registry.get(model).title for model in tables)
    name = f"{', '.join(others)} and {last} together"
    return name, first.assign(covid_probability=np.mean([t.covid_probability for t in tables.values()], axis=0))


def board(folder: Path) -> list[Row]:
    """All rows: of ours what the folder's tables hold, and what others published."""
    first = tables.file(folder, tables.Kind.ANSWERS, registry.DEFAULT)
    usual = tables.read(first) if first.exists() else pd.DataFrame({"image": []})
    made: dict[str, Callable[[str, pd.DataFrame], list[Row]]] = {
        tables.Kind.ANSWERS: partial(bundled, usual=usual),
        tables.Kind.PROBES: probed,
        tables.Kind.MASKS: marked,
        tables.Kind.STARTS: started,
    }
    rows: list[Row] = []
    for model in registry.MODELS:
        for kind, figures in made.items():
            if (file := tables.file(folder, kind, model)).exists():
                rows += figures(model, tables.read(file))
    for protocol in PROTOCOLS:
        files = {model: tables.file(folder, protocol, model) for model in registry.MODELS}
        found = {model: tables.read(file) for model, file in files.items() if file.exists()}
        if len(found) > 1:
            try:
                name, joined = together(found)
            except ValueError as error:  # one was trained on other data, or with another --seed
                print(f"{protocol}: no row of all together. {error}")
            else:
                found[name] = joined
        rows += [row for model, table in found.items() for row in trained(protocol, model, table)]
    if (file := tables.file(folder, tables.Kind.KINDS, tables.UNET)).exists():
        rows += marked(tables.UNET, tables.read(file), MULTI_CLASS)
    if (file := tables.file(folder, tables.Kind.CHOICES, tables.UNET)).exists():
        rows += chosen(tables.read(file))
    if (file := tables.file(folder, tables.Kind.LESION_FOLDS, tables.UNET)).exists():
        rows.append(folded(tables.read(file)))
    told = [{**peer, "kind": "published"} for peer in json.loads(PEERS.read_text(encoding="utf-8"))]
    return rows + published.peers() + told


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder of the tables")
    options = parser.parse_args(arguments)
    found = board(options.results)
    if all(row["kind"] == "published" for row in found):
        parser.error(f"{options.results} holds no table of train.answers, train.marks or train.protocols.")
    (options.results / BOARD).write_text(json.dumps(found, indent=1) + "\n")
    for row in found:
        shown = {name: row["figures"][name]["value"] for name in SHOWN if name in row["figures"]}
        print(row["protocol"], row["model"], row["kind"], shown)


if __name__ == "__main__":
    script.run(main)
