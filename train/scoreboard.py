"""Every figure of the protocols from their stored rows: `python -m train.scoreboard`.

Reads `train/results/PROTOCOL-MODEL.csv`, as `train.protocols` leaves them, and writes `scoreboard.json` beside them. Each
figure carries n and a 95 % interval by bootstrap over groups; anyone can compute it again without a GPU and without images.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from covid_core import metrics
from train.evaluate import figure
from train.protocols import PROTOCOLS, RESULTS

BOARD = "scoreboard.json"
OF_ANSWERS = {
    "accuracy": metrics.accuracy,
    "sensitivity": metrics.sensitivity,
    "specificity": metrics.specificity,
    "f1": metrics.f1,
}
OF_SCORES = {"auc": metrics.auroc, "auprc": metrics.auprc}
OF_PROBABILITIES = {"nll": metrics.nll, "brier": metrics.brier, "ece": metrics.ece}


def figures(table: pd.DataFrame) -> dict[str, Any]:
    """The figures of one protocol and model.

    Args:
        table: [N] rows with "covid_probability", "finding" and "group".
    """
    probability = table.covid_probability.to_numpy()
    covid = (table.finding == "covid").to_numpy().astype(int)
    groups = list(table.group)
    found: dict[str, Any] = {"n": len(table), "n_covid": int(covid.sum()), "groups": int(table.group.nunique())}
    for measures, values in (
        (OF_ANSWERS, (probability > 0.5).astype(int)),
        (OF_SCORES, probability),
        (OF_PROBABILITIES, np.stack([1 - probability, probability], axis=1)),
    ):
        found |= {name: figure(measure, values, covid, groups=groups) for name, measure in measures.items()}
    return found


def board(folder: Path) -> dict[str, Any]:
    """Protocol -> its title and, by model, its figures."""
    result: dict[str, Any] = {}
    for file in sorted(folder.glob("*-*.csv")):
        name, _, model = file.stem.partition("-")
        if name in PROTOCOLS:
            row = result.setdefault(name, {"title": PROTOCOLS[name].title, "models": {}})
            row["models"][model] = figures(pd.read_csv(file, keep_default_na=False))
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the tables")
    options = parser.parse_args(arguments)
    found = board(options.results)
    if not found:
        parser.error(f"{options.results} holds no table of train.protocols.")
    (options.results / BOARD).write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
