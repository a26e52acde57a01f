"""What the networks make of every image, once: `python -m train.features --data manifests=ROOT --backbone FILE --out FILE`.

Heads, gate, calibration and evaluation all work on this table, computed by the functions the app runs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from covid_core import classify, engine, images, preprocess, registry, segment
from train import datasets, loading
from train.datasets.records import Record

# Splits whose images train nothing and calibrate nothing.
REPORTED = ("test", "external", "pediatric", "lateral", "photograph")
MOST_TRAINING = 1500  # of one source and finding; heads on 1280 features need no more


def wanted(records: Sequence[Record], seed: int = 0) -> list[Record]:
    """Records with a finding, of the splits a classifier is made and measured with, and pictures to be refused."""
    rng = np.random.default_rng(seed)
    kept = [r for r in records if r.split in (*REPORTED, "val") and (r.finding or r.split in ("lateral", "photograph"))]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.split == "train" and record.finding:
            groups.setdefault((record.source, record.finding), []).append(record)
    for members in groups.values():
        kept += [members[i] for i in rng.permutation(len(members))[:MOST_TRAINING]]
    return kept


def describe(
    record: Record, run: engine.Run, size: int, segmenters: dict[str, segment.Segmenter]
) -> tuple[dict[str, object], NDArray[np.float32], NDArray[np.float32]]:
    """One row of the table, the features of the box around the lungs and of the whole picture.

    A picture that the app would not even decode keeps a row, for it is refused all the same.
    """
    try:
        image = images.read(record.image)
    except images.ImageError:
        image = images.DecodedImage(np.zeros((size, size), np.float32), None, 0.0, "", None, "", record.image.name)
    pixels = image.pixels.T.copy() if record.transposed else image.pixels
    probability, frame = segmenters[record.modality].probabilities(pixels)
    lung = frame.restore(probability[0])
    lungs = segment.lungs_from(lung)
    shape = segment.lung_shape(lungs, lung)
    crop, _ = preprocess.lung_crop(pixels, lungs, record.modality, size)
    pooled = run(preprocess.to_input(crop)[None, None])[0].mean(axis=(1, 2))
    row = {
        "image": record.image.name,
        "modality": record.modality,
        "dataset": record.dataset,
        "source": record.source,
        "group": record.group,
        "split": record.split,
        "official_split": record.official_split,
        "finding": record.finding,
        "chroma": image.chroma,
        "contrast": float(pixels.std()),
        "area": shape.area,
        "certainty": shape.certainty,
        "balance": shape.balance,
    }
    return row, pooled, classify.glance_features(run, pixels, size)


def load(file: Path) -> tuple[pd.DataFrame, NDArray[np.float32], NDArray[np.float32]]:
    """The table, the crops' features [N, C] and the whole pictures' features [N, C]."""
    table = pd.read_csv(file.with_suffix(".csv"), keep_default_na=False)
    with np.load(file.with_suffix(".npz")) as arrays:
        return table, arrays["crop"].astype(np.float32), arrays["whole"].astype(np.float32)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("--backbone", type=Path, required=True, help="safetensors file written by train.classifier")
    parser.add_argument("--segmenters", type=Path, help="folder with unet_xray and unet_ct; default: the bundled ones")
    parser.add_argument("--out", type=Path, required=True, help="name of the .csv and .npz files")
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)
    run = engine.of_file(spec, options.backbone)
    segmenters = loading.segmenters(options.segmenters, spec.modalities)
    records = wanted(datasets.read(options.data))
    rows = loading.in_parallel(lambda r: describe(r, run, spec.size, segmenters), records, "features")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row for row, _, _ in rows]).to_csv(options.out.with_suffix(".csv"), index=False)
    np.savez(
        options.out.with_suffix(".npz"),
        crop=np.stack([c for _, c, _ in rows]).astype(np.float16),
        whole=np.stack([w for _, _, w in rows]).astype(np.float16),
    )


if __name__ == "__main__":
    main()
