"""What the networks make of every image: `python -m train.features --modality xray --data manifests=ROOT --out FOLDER`.

Heads, gate, calibration and evaluation all work on these tables, one a modality, computed by the functions the app runs.
X-rays of the train and val splits have a second row, of the splits `RESTYLED`: the same crop in the style of a training
picture with the other label. On them the heads learn, and calibration measures, what holds whatever a picture looks like.
Many of the val split have a third, of the split `TRANSPLANTED`, in which they gave or took lesions: there the source says
the opposite of the label, and what is measured is which of the two the answers follow.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from covid_core import classify, engine, images, preprocess, registry, segment
from train import datasets, loading
from train.augment import Rings, StyleExchange
from train.classifier import soft_target
from train.datasets.records import Record
from train.overlap import without_returning
from train.transplant import softened, transplant

Arrays = dict[str, NDArray[np.float32]]
Row = tuple[dict[str, object], Arrays]
Look = Callable[[Record, images.DecodedImage], Row]
# Splits whose images train nothing and calibrate nothing.
REPORTED = ("test", "external", "pediatric", "lateral", "photograph")
# Splits for choices: of the training sources, and of a source that trains nothing.
CHOSEN_ON = ("val", "extra_val", "extra_test")
# The second rows of the train and val splits.
RESTYLED = {"train": "restyled_train", "val": "restyled_val"}
# Val rows with lesions, or healthy lungs, that were not theirs; see `train.transplant`.
TRANSPLANTED = "transplanted_val"
MOST_TRAINING = 1500  # of one source and finding; heads on 1280 features need no more


def wanted(records: Sequence[Record], seed: int = 0) -> list[Record]:
    """Records with a finding, of the splits a classifier is made and measured with, and pictures to be refused."""
    rng = np.random.default_rng(seed)
    shown = (*REPORTED, *CHOSEN_ON)
    kept = [r for r in records if r.split in shown and (r.finding or r.split in ("lateral", "photograph"))]
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.split == "train" and record.finding:
            groups.setdefault((record.source, record.finding), []).append(record)
    for members in groups.values():
        kept += [members[i] for i in rng.permutation(len(members))[:MOST_TRAINING]]
    return kept


def weights(table: pd.DataFrame) -> NDArray[np.float32]:
    """Sampling weights [N]: both classes alike, in a class the sources by the square root of their number."""
    covid = table.finding == "covid"
    cells = table.source + "/" + table.finding
    counts = cells.map(cells.value_counts())
    root = 1 / np.sqrt(counts)
    result = root / root.groupby(covid).transform("sum")
    return result.to_numpy(np.float32)


def decode(record: Record) -> images.DecodedImage:
    """A record's picture; black where the app would not even decode it, for it is refused all the same."""
    try:
        image = images.read(record.image)
    except images.ImageError:
        black = np.zeros((preprocess.SAMPLED, preprocess.SAMPLED), np.float32)
        return images.DecodedImage(black, None, 0.0, "", None, "", record.image.name)
    return replace(image, pixels=image.pixels.T.copy()) if record.transposed else image


def describe(
    record: Record,
    image: images.DecodedImage,
    run: engine.Run,
    size: int,
    glance: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    segmenter: segment.Segmenter,
) -> Row:
    """One row of the table, and "crop" and "style" of the box around the lungs, "whole" of the whole picture.

    Of records of which there are to be more rows the box comes along as "pixels", [size, size] in 0..1, the "lesion"
    probability of each of them, and the "place" (top, left, side) of the box.
    """
    pixels = image.pixels
    probability, frame = segmenter.probabilities(pixels)
    lung, lesion = (frame.restore(p) for p in probability)
    lungs = segment.lungs_from(lung)
    shape = segment.lung_shape(lungs, lung)
    crop, box = preprocess.lung_crop(pixels, lungs, record.modality, size)
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
        "evidence": segment.evidence(lungs, lesion),
        "lesser_side": segment.lesser_side(lungs, lesion),
    }
    arrays = {
        "crop": classify.cells_of(run, crop, record.modality).mean(axis=(1, 2)),
        "style": classify.style_of(crop),
        "whole": glance(pixels),
    }
    if record.split in RESTYLED:
        place = np.array([box.top, box.left, box.side], np.float32)
        arrays |= {"pixels": crop, "lesion": box.extract(lesion, size), "place": place}
    return row, arrays


def restyled(rows: Sequence[Row], run: engine.Run, seed: int = 0) -> list[Row]:
    """The rows of the splits in `RESTYLED` again, each crop in the style of a random training picture of the other label."""
    torch.manual_seed(seed)
    chosen = [(row, arrays) for row, arrays in rows if row["split"] in RESTYLED]
    styles = [(row, arrays["pixels"]) for row, arrays in chosen if row["split"] == "train"]
    weight = weights(pd.DataFrame([row for row, _ in styles]))
    exchanges = {}
    for is_covid in (False, True):
        mine = [i for i, (row, _) in enumerate(styles) if (row["finding"] == "covid") == is_covid]
        crops = np.round(np.stack([styles[i][1] for i in mine]) * 255).astype(np.uint8)
        exchanges[is_covid] = StyleExchange(crops, weight[mine].tolist())
    result = []
    for row, arrays in tqdm(chosen, desc="restyled", mininterval=10):
        exchange = exchanges[row["finding"] != "covid"]
        crop = exchange(torch.from_numpy(arrays["pixels"])[None])[0].numpy()
        result.append(_seen_as(({**row, "split": RESTYLED[str(row["split"])]}, arrays), crop, run))
    return result


def transplanted(records: Sequence[Record], rows: Sequence[Row], look: Look, seed: int = 0) -> list[Row]:
    """Val rows of the healthy with a training patient's lesions, of patients with healthy lungs in place of theirs.

    Args:
        records: [N].
        rows: [N], of these records.
        look: makes a row of a record and its changed picture.
        seed: of who gives to whom.
    """
    rng = np.random.default_rng(seed)
    chosen = [(record, row) for record, row in zip(records, rows, strict=True) if record.split in RESTYLED]
    able = {
        "normal": [pair for pair in chosen if pair[0].finding == "normal"],
        "covid": [pair for pair in chosen if is_plain(pair[1][0])],
    }
    rings = Rings(len(chosen[0][1][1]["pixels"]))
    exchanges = []
    for finding, other in (("normal", "covid"), ("covid", "normal")):
        givers = [arrays for record, (_, arrays) in able[other] if record.split == "train"]
        takers = [(record, arrays) for record, (_, arrays) in able[finding] if record.split == "val"]
        exchanges += [(record, own, givers[rng.integers(len(givers))], other) for record, own in takers if givers]

    def exchanged(exchange: tuple[Record, Arrays, Arrays, str]) -> Row | None:
        record, own, given, finding = exchange
        lesion = (given if finding == "covid" else own)["lesion"]
        crop = transplant(own["pixels"], given["pixels"], lesion, rings)
        if crop is None:
            return None
        image = decode(record)
        top, left, side = own["place"].astype(int)
        box = preprocess.Frame(top, left, side, *image.pixels.shape)
        low, high = preprocess.limits(box.extract(image.pixels, rings.size), record.modality)
        share = box.restore(softened(lesion))
        pixels = image.pixels * (1 - share) + box.restore(low + crop * (high - low)) * share
        return look(replace(record, split=TRANSPLANTED, finding=finding), replace(image, pixels=pixels))

    return [row for row in loading.in_parallel(exchanged, exchanges, "transplanted") if row is not None]


def is_plain(row: dict[str, object]) -> bool:
    """Whether it is an X-ray of a COVID-19 patient on which opacity is plainly to be seen."""
    return row["finding"] == "covid" and soft_target(1, float(str(row["evidence"]))) == 1


def _seen_as(row: Row, crop: NDArray[np.float32], run: engine.Run) -> Row:
    """The row with another crop."""
    facts, arrays = row
    return facts, {**arrays, "crop": classify.pooled_features(run, crop), "style": classify.style_of(crop)}


def load(folder: Path) -> tuple[pd.DataFrame, Arrays]:
    """The tables of all modalities as one, and "pooled" (`classify.Features.pooled`), "style" and "whole" of its rows."""
    tables, parts = [], []
    for file in sorted(folder.glob("*.csv")):
        tables.append(pd.read_csv(file, keep_default_na=False))
        with np.load(file.with_suffix(".npz")) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in ("crop", "style", "whole")}
        evidence = tables[-1].evidence.to_numpy(np.float32)[:, None]
        parts.append({**arrays, "pooled": np.concatenate([arrays["crop"], evidence], axis=1)})
    if not tables:
        raise ValueError(f"{folder} holds no table of train.features.")
    return pd.concat(tables, ignore_index=True), {
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


def backbone_file(folder: Path, modality: str) -> Path:
    """Where `train.classifier` left the backbone of a modality, or that of both."""
    shared = folder / "both" / "backbone.safetensors"
    return shared if shared.exists() else folder / modality / "backbone.safetensors"


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("--modality", choices=["xray", "ct"], required=True)
    parser.add_argument(
        "--backbones", type=Path, help="holds MODALITY/backbone.safetensors, or both/; default: the bundled model's"
    )
    parser.add_argument("--segmenters", type=Path, help="folder with unet_xray and unet_ct; default: the bundled ones")
    parser.add_argument("--out", type=Path, required=True, help="folder for MODALITY.csv and MODALITY.npz")
    options = parser.parse_args(arguments)
    spec = registry.get(options.model)

    def backbone(of: registry.ModelSpec, modality: str) -> engine.Run:
        if options.backbones is None or of is not spec:
            return engine.start(of, modality)
        return engine.of_files(of, modality, [backbone_file(options.backbones, modality)])

    # The default model's X-ray backbone takes the first look at every picture.
    first = registry.get(registry.DEFAULT)
    run, looking = backbone(spec, options.modality), backbone(first, "xray")
    segmenter = loading.segmenters(options.segmenters, [options.modality])[options.modality]
    records = [r for r in wanted(without_returning(datasets.read(options.data))) if r.modality == options.modality]

    def glance(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        return classify.glance_features(looking, pixels, first.sizes["xray"])

    def look(record: Record, image: images.DecodedImage) -> Row:
        return describe(record, image, run, spec.sizes[options.modality], glance, segmenter)

    rows = loading.in_parallel(lambda r: look(r, decode(r)), records, "features")
    if options.modality == "xray":
        rows += [*restyled(rows, run), *transplanted(records, rows, look)]
    options.out.mkdir(parents=True, exist_ok=True)
    pd.DataFrame([row for row, _ in rows]).to_csv(options.out / f"{options.modality}.csv", index=False)
    np.savez(
        options.out / f"{options.modality}.npz",
        crop=np.stack([arrays["crop"] for _, arrays in rows]).astype(np.float16),
        style=np.stack([arrays["style"] for _, arrays in rows]).astype(np.float16),
        whole=np.stack([arrays["whole"] for _, arrays in rows]).astype(np.float16),
    )


if __name__ == "__main__":
    main()
