"""What the maps that others published of Inf-Net's test slices amount to: `python -m train.published --data manifests=ROOT`.

ROOT/ct_lesions_infnet/published_predictions holds a folder a model, with a soft map a slice, named like the slice (from
github.com/DengPingFan/Inf-Net). Of each a row is kept, `train/peers_infnet.csv`: the Scoreboard computes the peers' figures from
them as it computes ours, with their intervals, and the paper's own figures show whether our metric is the paper's.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from covid_core import metrics
from train import datasets, evaluate, loading, script, tables

FILE = Path(__file__).parent / "peers_infnet.csv"
MAPS = "published_predictions"
TITLES = {"UNet": "U-Net", "UNet++": "U-Net++"}  # of folders that are named otherwise than the paper names the model
SOURCE = "computed from the maps that Fan 2020, Inf-Net, arXiv 2004.14133, published"


def rows(data: Sequence[str]) -> pd.DataFrame:
    """A row for each model and test slice: "model", "image", "group", "mean_dice" over all thresholds and "dice" at 0.5.

    Args:
        data: NAME=FOLDER, as `datasets.read` takes them.

    Raises:
        ValueError: there are no maps, or one of a slice is missing.
    """
    found = []
    for record in datasets.read(data):
        if record.dataset != "infnet" or record.split != "test":
            continue
        truth = loading.mask(record, record.lesions, loading.pixels(record).shape) > 0
        for folder in sorted(record.image.parents[2].joinpath(MAPS).glob("[!.]*/")):
            file = next(folder.glob(f"{record.image.stem}.*"), None)
            if file is None:
                raise ValueError(f"{folder} holds no map of the slice {record.image.name}.")
            maps = [loading.stored(record, file, truth.shape) / 255]
            row = {"model": folder.name, "image": record.image.name, "group": record.group}
            dice = metrics.mean_dice_over_thresholds(maps, [truth]), metrics.dice_at(maps, [truth])
            found.append({**row, "mean_dice": dice[0], "dice": dice[1]})
    if not found:
        raise ValueError(f"--data holds no test slices of Inf-Net with {MAPS} beside them.")
    return pd.DataFrame(found).drop_duplicates().sort_values("model", kind="stable").round(6)


def peers() -> list[dict[str, object]]:
    """The rows of the scoreboard that `rows` give."""
    found: list[dict[str, object]] = []
    for model, part in tables.read(FILE).groupby("model"):
        figures = {
            "mean_dice_over_thresholds": evaluate.mean_figure(part, "mean_dice"),
            "dice_at_0.5": evaluate.mean_figure(part, "dice"),
        }
        row = {"protocol": "unet_ct / infnet_test", "modality": "lesions", "model": TITLES.get(str(model), model)}
        found.append({**row, "kind": "published", "figures": figures, "source": SOURCE})
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, default=FILE)
    options = parser.parse_args(arguments)
    tables.write(rows(options.data), options.out)


if __name__ == "__main__":
    script.run(main)
