"""Where the rows behind every figure lie: one table of a kind and a model, `train/results/KIND-MODEL.csv`."""

from enum import StrEnum
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"
UNET = "unet_ct"  # of whose variants the tables of choices, folds and kinds tell
STARTS = ("random", "taught")  # columns of answers: of a network taught by labels alone, or by a teacher too
# Columns that hold text even where it looks like a number, or where there is none.
TEXT = ("image", "dataset", "source", "group", "split", "official_split", "finding", "file", "source_guessed", "set")


class Kind(StrEnum):
    """Of tables, by the script that makes the rows; those of networks that were trained for a protocol are named after it."""

    ANSWERS = "answers"
    CHOICES = "choices"
    KINDS = "kinds"
    LESION_FOLDS = "lesion_folds"
    MASKS = "masks"  # by train.marks
    PROBES = "probes"
    STARTS = "starts"


def file(folder: Path, kind: str, model: str) -> Path:
    """Where a model's rows of this kind lie."""
    return folder / f"{kind}-{model}.csv"


def read(path: Path) -> pd.DataFrame:
    """The rows as written: an empty text stays one, where there is no number is nan."""
    rows = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values=[""])
    return rows.fillna(dict.fromkeys(TEXT, ""))


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write them, and the folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
