"""What is the same for every classifier: `python -m train.looks --modality xray --data manifests=ROOT --out FOLDER`.

Of every picture that a classifier is made or measured with, what the U-Net and the first look say, computed by the functions
the app runs: one table a modality, from which `train.features` makes those of each network. Many X-rays of the val split have
a second row, of the split `TRANSPLANTED`, in which they gave or took lesions; these pictures lie beside the table.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from covid_core import classify, engine, images, preprocess, registry, segment
from train import datasets, loading, script, tables
from train.augment import Rings
from train.classifier import soft_target
from train.datasets.records import GREY, REPORTED, TRANSPLANTED, Record
from train.overlap import without_returning
from train.transplant import softened, transplant

Arrays = dict[str, NDArray[np.float32]]
Row = tuple[dict[str, Any], Arrays]
Look = Callable[[Record, images.DecodedImage], Row]
SEEN = ("whole", "style")  # by the gate
MOST_TRAINING = 1500  # of one source and finding; heads on 1280 features need no more


def wanted(records: Sequence[Record]) -> list[Record]:
    """Records with a finding, of the splits a classifier is made and measured with, and pictures to be refused."""
    rng = np.random.default_rng(0)
    shown = (*REPORTED, "val")
    kept = [r for r in records if r.split in shown and (r.finding or r.split in ("lateral", "photograph"))]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.split == "train" and record.finding:
            groups.setdefault((record.source, record.finding), []).append(record)
    for members in groups.values():
        kept += [members[i] for i in rng.permutation(len(members))[:MOST_TRAINING]]
    return kept


def greyed(records: Sequence[Record], modality: str) -> list[Record]:
    """The photographs among them as pictures of a modality, of the split `GREY`."""
    return [replace(r, modality=modality, split=GREY) for r in records if r.split == "photograph"]


def decode(record: Record) -> images.DecodedImage:
    """`decoded` of a record's file."""
    return decoded(record.image, record.transposed, record.split)


def decoded(file: Path, is_transposed: bool, split: str) -> images.DecodedImage:
    """A picture, colourless if of the split `GREY`; of `REPORTED` black where the app would not decode it, for it is refused all
    the same.

    Raises:
        ValueError: there is no such file, or it cannot be decoded and belongs to another split.
    """
    try:
        image = images.read(file)
    except images.ImageError as error:
        if split not in REPORTED or not file.is_file():
            raise ValueError(f"{file}: {error}") from error
        black = np.zeros((preprocess.SAMPLED, preprocess.SAMPLED), np.float32)
        return images.DecodedImage(black, None, 0.0, "", None, "", file.name)
    if split == GREY:
        image = replace(image, chroma=0.0)
    return replace(image, pixels=image.pixels.T.copy()) if is_transposed else image


def describe(
    record: Record,
    image: images.DecodedImage,
    size: int,
    glance: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    segmenter: segment.Segmenter,
) -> Row:
    """One row of the table, with the box around the lungs, and what the gate goes by: "whole", features of the whole picture, and
    "style" of the box.

    X-rays that can give or take lesions have the box along as "pixels", [size, size] in 0..1, and as "lesion" the
    probability of each of them.
    """
    pixels = image.pixels
    lungs, lung, lesion = segmenter.find(pixels)
    shape = segment.lung_shape(lungs, lung)
    box = preprocess.around(lungs)
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
        "middle": shape.middle,
        "log_opacity": segment.log_opacity(lungs, lesion),
        "lesser_side": segment.lesser_side(lungs, lesion),
        "file": str(record.image),
        "transposed": record.transposed,
        "top": box.top,
        "left": box.left,
        "side": box.side,
    }
    arrays = {"whole": glance(pixels), "style": classify.style_of(pixels, box, record.modality)}
    if record.modality == "xray" and record.split in ("train", "val"):
        crop = preprocess.stretch(box.extract(pixels, size), record.modality)
        arrays |= {"pixels": crop, "lesion": box.extract(lesion, size)}
    return row, arrays


def transplanted(records: Sequence[Record], rows: Sequence[Row], look: Look, folder: Path) -> list[Row]:
    """Val rows of the healthy with a training patient's lesions, of patients with healthy lungs in place of theirs.

    Args:
        records: [N].
        rows: [N], of these records.
        look: makes a row of a record and its picture.
        folder: where the changed pictures are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    chosen = [(record, row) for record, row in zip(records, rows, strict=True) if "lesion" in row[1]]
    if not chosen:
        return []
    able = {
        "normal": [pair for pair in chosen if pair[0].finding == "normal"],
        "covid": [pair for pair in chosen if is_plain(pair[1][0])],
    }
    rings = Rings(len(chosen[0][1][1]["pixels"]))
    exchanges: list[tuple[int, Record, Row, Arrays, str]] = []
    for finding, other in (("normal", "covid"), ("covid", "normal")):
        givers = [arrays for record, (_, arrays) in able[other] if record.split == "train"]
        takers = [(record, row) for record, row in able[finding] if record.split == "val"]
        for record, own in takers if givers else []:
            exchanges.append((len(exchanges), record, own, givers[rng.integers(len(givers))], other))

    def exchanged(exchange: tuple[int, Record, Row, Arrays, str]) -> Row | None:
        number, record, (place, own), given, finding = exchange
        lesion = (given if finding == "covid" else own)["lesion"]
        crop = transplant(own["pixels"], given["pixels"], lesion, rings)
        if crop is None:
            return None
        pixels = decode(record).pixels
        box = box_of(place, pixels.shape)
        low, high = preprocess.limits(box.extract(pixels, rings.size), record.modality)
        share = box.restore(softened(lesion))
        changed = pixels * (1 - share) + box.restore(low + crop * (high - low)) * share
        file = folder / f"{number:05}-{record.image.stem}.png"  # stems need not differ
        Image.fromarray(np.round(changed * 255).clip(0, 255).astype(np.uint8)).save(file)
        record = replace(record, image=file, transposed=False, split=TRANSPLANTED, finding=finding)
        return look(record, decode(record))

    return [row for row in loading.in_parallel(exchanged, exchanges, "transplanted") if row is not None]


def box_of(row: Mapping[str, Any], shape: tuple[int, ...]) -> preprocess.Frame:
    """The box around the lungs, as a row has it, of a picture of this (height, width)."""
    return preprocess.Frame(int(row["top"]), int(row["left"]), int(row["side"]), shape[0], shape[1])


def is_plain(row: dict[str, Any]) -> bool:
    """Whether it is an X-ray of a COVID-19 patient on which opacity is plainly to be seen."""
    return row["finding"] == "covid" and soft_target(1, row["log_opacity"]) == 1


def load(folder: Path, modality: str) -> tuple[pd.DataFrame, Arrays]:
    """The table of a modality, and `SEEN` of its rows."""
    with np.load(folder / f"{modality}.npz") as stored:
        arrays = {name: stored[name].astype(np.float32) for name in SEEN}
    return tables.read(folder / f"{modality}.csv"), arrays


def backbone_file(folder: Path, modality: str) -> Path:
    """Where `train.classifier` left the backbone of a modality, or that of both."""
    shared = folder / "both" / "backbone.safetensors"
    return shared if shared.exists() else folder / modality / "backbone.safetensors"


def network(spec: registry.ModelSpec, modality: str, backbones: Path | None) -> engine.Run:
    """The backbone of a modality: of a folder of freshly trained ones, else the bundled one."""
    if backbones is None:
        return engine.start(spec, modality)
    return engine.of_files(spec, modality, [backbone_file(backbones, modality)])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--modality", choices=["xray", "ct"], required=True)
    parser.add_argument(
        "--backbones", type=Path, help="of the default model, which takes the first look; default: the bundled ones"
    )
    parser.add_argument("--segmenters", type=Path, help="folder with unet_xray and unet_ct; default: the bundled ones")
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for MODALITY.csv, MODALITY.npz and transplanted/"
    )
    options = parser.parse_args(arguments)
    first = registry.get(registry.DEFAULT)
    looking = network(first, "xray", options.backbones)
    segmenter = loading.segmenters(options.segmenters, [options.modality])[options.modality]
    everything = wanted(without_returning(datasets.read(options.data)))
    records = [r for r in everything if r.modality == options.modality] + greyed(everything, options.modality)
    if not records:
        parser.error(f"--data holds no {options.modality} image with a finding.")

    def glance(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return classify.glance_features(looking, pixels, first.sizes["xray"])

    def look(record: Record, image: images.DecodedImage) -> Row:
        return describe(record, image, first.sizes[options.modality], glance, segmenter)

    rows = loading.in_parallel(lambda r: look(r, decode(r)), records, "looks")
    if options.modality == "xray":
        rows += transplanted(records, rows, look, options.out / "transplanted")
    options.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row for row, _ in rows]).to_csv(options.out / f"{options.modality}.csv", index=False)
    seen = {name: np.stack([arrays[name] for _, arrays in rows]).astype(np.float16) for name in SEEN}
    np.savez(options.out / f"{options.modality}.npz", whole=seen["whole"], style=seen["style"])


if __name__ == "__main__":
    script.run(main)
