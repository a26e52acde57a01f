"""Where the rows behind every figure lie: one table of a kind and a model, `train/results/KIND-MODEL.csv`."""

from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"


def file(folder: Path, kind: str, model: str) -> Path:
    """Where a model's rows of this kind lie."""
    return folder / f"{kind}-{model}.csv"


def write(rows: pd.DataFrame, path: Path) -> None:
    """Write them, and the folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_csv(path, index=False)
