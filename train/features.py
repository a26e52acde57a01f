"""What a network makes of every picture: `python -m train.features --model NAME --modality xray --looks FOLDER --out FOLDER`.

Heads, gate, calibration and evaluation all work on these tables, one a modality, made from those of `train.looks`. X-rays of
the train and val splits have another row, of the splits `RESTYLED`: the same crop in the style of a training picture with the
other label. On them the heads learn, and calibration measures, what holds whatever a picture looks like.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from covid_core import classify, encode, engine, preprocess, registry
from train import loading, looks, script, tables
from train.augment import StyleExchange

Arrays = dict[str, NDArray[np.float32]]
# The other rows of the train and val splits.
RESTYLED = {"train": "restyled_train", "val": "restyled_val"}
CHUNK = 1024  # pictures held at a time
BATCH = 32  # of them in a batch, each seen twice


def weights(table: pd.DataFrame) -> NDArray[np.float32]:
    """Sampling weights [N]: both classes alike, in a class the sources by the square root of their number."""
    covid = table.finding == "covid"
    cells = table.source + "/" + table.finding
    counts = cells.map(cells.value_counts())
    root = 1 / np.sqrt(counts)
    result = root / root.groupby(covid).transform("sum")
    return result.to_numpy(np.float32)


def crop_of(row: dict[str, Any], modality: str, size: int) -> NDArray[np.float32]:
    """The box around the lungs of a row of `train.looks`, [size, size] in 0..1."""
    pixels = looks.decoded(Path(row["file"]), row["transposed"], row["split"]).pixels
    return preprocess.stretch(looks.box_of(row, pixels.shape).extract(pixels, size), modality)


def pooled(crops: NDArray[np.float32], run: engine.Run, modality: str) -> NDArray[np.float32]:
    """[N, C], of crops [N, S, S] the mean over the cells of `classify.cells_of`, in batches."""
    parts = np.split(crops, range(BATCH, len(crops), BATCH))
    return np.concatenate([classify.cells_of(run, part, modality).mean(axis=(2, 3)) for part in parts])


def restyled(table: pd.DataFrame, crops: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each crop in the style of a random training picture of the other label.

    Args:
        table: [N] rows of the splits train and val.
        crops: [N, S, S] in 0..1, theirs.

    Returns:
        [N, S, S] in 0..1.
    """
    torch.manual_seed(0)
    covid = (table.finding == "covid").to_numpy()
    train = (table.split == "train").to_numpy()
    weight = np.zeros(len(table), np.float32)
    weight[train] = weights(table[train])
    if not {False, True} <= set(covid[train]):
        raise ValueError(
            "--looks needs training X-rays with COVID-19 and without: styles are taken from the other kind."
        )
    exchanges, drawn = {}, np.zeros(len(table), int)
    for label in (False, True):
        mine = train & (covid == label)
        exchanges[label] = StyleExchange(encode.grey8(crops[mine]), weight[mine].tolist())
    for i, label in enumerate(covid):
        drawn[i] = exchanges[not label].draw()

    def styled(i: int) -> NDArray[np.float32]:
        return exchanges[not covid[i]].styled(crops[i], drawn[i])

    return np.stack(loading.in_parallel(styled, range(len(table)), "restyled"))


def load(folder: Path) -> tuple[pd.DataFrame, Arrays]:
    """The tables of all modalities as one, and "pooled" (`classify.Features.pooled`), "style" and "whole" of its rows."""
    found, parts = [], []
    for file in sorted(folder.glob("*.csv")):
        found.append(tables.read(file))
        with np.load(file.with_suffix(".npz")) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in ("crop", "style", "whole")}
        log_opacity = found[-1].log_opacity.to_numpy(np.float32)[:, None]
        parts.append({**arrays, "pooled": np.concatenate([arrays["crop"], log_opacity], axis=1)})
    if not found:
        raise ValueError(f"{folder} holds no table of train.features.")
    return pd.concat(found, ignore_index=True), {
        name: np.concatenate([p[name] for p in parts]) for name in ("pooled", "style", "whole")
    }


def joined(folders: Sequence[Path]) -> tuple[pd.DataFrame, Arrays]:
    """`load` of the first folder, "pooled" of all beside each other, as `covid_core.ensemble` takes them.

    Raises:
        ValueError: their rows are not of the same pictures.
    """
    loaded = [load(folder) for folder in folders]
    table, arrays = loaded[0]
    for other, _ in loaded[1:]:
        if not other[["image", "split", "finding"]].equals(table[["image", "split", "finding"]]):
            raise ValueError(f"{', '.join(map(str, folders))} do not hold rows of the same pictures.")
    return table, {**arrays, "pooled": np.concatenate([a["pooled"] for _, a in loaded], axis=1)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=script.TRAINED, default=registry.DEFAULT)
    parser.add_argument("--modality", choices=["xray", "ct"], required=True)
    parser.add_argument("--looks", type=Path, required=True, help="written by train.looks")
    parser.add_argument(
        "--backbones", type=Path, help="holds MODALITY/backbone.safetensors, or both/; default: the bundled model's"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for MODALITY.csv and MODALITY.npz")
    options = parser.parse_args(arguments)
    spec, modality = registry.get(options.model), options.modality
    size = spec.sizes[modality]
    run = looks.network(spec, modality, options.backbones)
    table, seen_by_gate = looks.load(options.looks, modality)
    rows = table.to_dict("records")
    again = (table.split.isin(RESTYLED) & (modality == "xray")).to_numpy()
    kept, crop = [], []
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        seen = np.stack(loading.in_parallel(lambda row: crop_of(row, modality, size), rows[part], "crops"))
        crop.append(pooled(seen, run, modality))
        kept.append(seen[again[part]])
    if again.any():
        seen = restyled(table[again], np.concatenate(kept))
        crop.append(pooled(seen, run, modality))
        other = table[again].assign(split=table.split[again].map(RESTYLED))
        table = pd.concat([table, other])
        # The gate goes by no restyled row; there it has what it saw of the picture as it is.
        seen_by_gate = {name: np.concatenate([values, values[again]]) for name, values in seen_by_gate.items()}
    options.out.mkdir(parents=True, exist_ok=True)
    table.drop(columns=["transposed", "top", "left", "side"]).to_csv(options.out / f"{modality}.csv", index=False)
    np.savez(
        options.out / f"{modality}.npz",
        crop=np.concatenate(crop).astype(np.float16),
        whole=seen_by_gate["whole"].astype(np.float16),
        style=seen_by_gate["style"].astype(np.float16),
    )


if __name__ == "__main__":
    script.run(main)
