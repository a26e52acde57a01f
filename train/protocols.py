"""Train and test a network by a protocol of the literature: `python -m train.protocols --protocol xray_random --data ...`.

The protocols ask what is left of a published figure when copies, patients and hospitals are kept apart. Every fold trains the
same plain way: whole pictures, light augmentation, no cure against shortcuts. Written is a row for every picture that was
tested, `train/results/PROTOCOL-MODEL.csv`, from which every figure is computed; "split" in it is the data's own, whatever
the protocol made of it, `BLACKED` or `TRANSPLANTED`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from covid_core import encode, plain, preprocess, registry, shortcuts
from train import datasets, initial, loading, looks, script, tables, trainer
from train.classifier import CELL, NOBODY, ClassifierTask, Example
from train.datasets.records import BLACKED, TRANSPLANTED, Record
from train.splits import PROTOCOLS, Fold, Protocol


def square(pixels: NDArray[np.float32], modality: str, size: int) -> NDArray[np.uint8]:
    """A whole picture [H, W] in 0..1 as a network sees it, [size, size] in 0..255."""
    whole, _ = preprocess.whole_square(pixels, modality, size)
    return encode.grey8(whole)


def squares(records: Sequence[Record], size: int) -> list[NDArray[np.uint8]]:
    """`square` of each of them; ValueError for one that cannot be read."""
    return loading.in_parallel(lambda r: square(loading.pixels(r), r.modality, size), records, "pictures")


def blacked_out(records: Sequence[Record], size: int) -> tuple[list[Record], list[NDArray[np.uint8]]]:
    """Records of the split `BLACKED`, and their pictures with the lungs blacked out that the app finds.

    Pictures that it refuses, or cannot read, are left out.
    """

    def changed(record: Record) -> NDArray[np.uint8] | None:
        chest = shortcuts.chest(looks.decode(record), record.modality)
        if chest.evidence.refusal:
            return None
        return square(shortcuts.without_lungs(chest).pixels, record.modality, size)

    found = list(zip(records, loading.in_parallel(changed, records, "lungs blacked out"), strict=True))
    kept = [(replace(record, split=BLACKED), picture) for record, picture in found if picture is not None]
    return [record for record, _ in kept], [picture for _, picture in kept]


def moved(folder: Path) -> list[Record]:
    """The pictures of the split `TRANSPLANTED` that `train.looks` left in its folder."""
    table = tables.read(folder / "xray.csv")
    return [
        Record(Path(row.file), row.modality, row.dataset, row.source, row.group, row.split, row.finding)
        for row in table[table.split == TRANSPLANTED].itertuples()
    ]


class Pictures(Dataset[Example]):
    """Whole pictures in -1..1 with their label, in the classifier's form; no opacity is marked.

    Args:
        images: by `square`.
        records: theirs.
        augment: whether for training.
    """

    def __init__(self, images: Sequence[NDArray[np.uint8]], records: Sequence[Record], augment: bool) -> None:
        self.images, self.labels = images, [float(r.covid or 0) for r in records]
        turned = v2.RandomAffine(degrees=7, translate=(0.04, 0.04), scale=(0.93, 1.07))
        self.augmentation = v2.Compose([v2.RandomHorizontalFlip(), turned]) if augment else v2.Identity()
        cells = images[0].shape[0] // CELL
        self.unmarked = torch.full((cells, cells), NOBODY)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Example:
        image: Tensor = self.augmentation(torch.from_numpy(self.images[index])[None]).float() / 255
        label = torch.tensor(self.labels[index])
        return image * 2 - 1, label, label, self.unmarked


def probabilities(task: ClassifierTask, pictures: Pictures) -> NDArray[np.float32]:
    """COVID-19 probability of every picture, mean over it and its mirror image, [N] float32."""
    task.eval()
    found = []
    with torch.inference_mode():
        for image, *_ in DataLoader(pictures, 32):
            seen, mirrored = (task(look.to(task.device))[0].sigmoid() for look in (image, image.flip(-1)))
            found.append(((seen + mirrored) / 2).cpu().numpy())
    return np.concatenate(found)


def keep(task: ClassifierTask, file: Path) -> None:
    """Write backbone and head, as `covid_core.plain` reads them; what is tested afterwards is what was written."""
    kept = torch.nn.ModuleDict({"body": task.network.body, "head": task.head})
    initial.save(kept, file)
    kept.load_state_dict(load_file(file))


def measured(number: int, fold: Fold, protocol: Protocol, options: argparse.Namespace) -> list[dict[str, object]]:
    """Train and test a network; a row for every picture that was tested, none in a process that only helped to train."""
    spec, modality = registry.get(options.model), protocol.modality
    size = options.size or spec.sizes[modality]
    folder = options.out / f"fold{number}"
    generator = initial.seed_everything(options.seed + number)
    task = ClassifierTask(spec.architecture, options.rate, opacity_weight=0.0, smoothing=0.0)
    print(initial.initialise(task.network, spec.architecture, options.init, modality), flush=True)
    tested, pictures = fold.test, squares(fold.test, size)
    batches = DataLoader(
        Pictures(squares(fold.train, size), fold.train, augment=True),
        options.batch,
        shuffle=True,
        generator=generator,
        drop_last=True,
        **trainer.workers(options),
    )
    watched = Pictures(squares(fold.val, size), fold.val, augment=False)
    trainer.fit(task, batches, DataLoader(watched, 32), options, folder)
    if not task.trainer.is_global_zero:
        return []
    if protocol.by_part:
        keep(task, folder / plain.FILE)
        others, changed = blacked_out([r for r in tested if r.split == "test"], size)
        tested, pictures = tested + others, pictures + changed
        if options.looks:
            others = moved(options.looks)
            tested, pictures = tested + others, pictures + squares(others, size)
    answers = probabilities(task, Pictures(pictures, tested, augment=False))
    return [
        {
            "image": record.image.name,
            "source": record.source,
            "group": record.group,
            "split": record.split,
            "finding": record.finding,
            "fold": number,
            "covid_probability": round(float(p), 5),
        }
        for record, p in zip(tested, answers, strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=script.TRAINED, default=registry.DEFAULT)
    parser.add_argument("--protocol", choices=list(PROTOCOLS), required=True)
    parser.add_argument("--results", type=Path, default=tables.RESULTS, help="folder for the table")
    parser.add_argument(
        "--looks", type=Path, help="written by train.looks: xray_grouped asks about its moved lesions, too"
    )
    trainer.add_arguments(parser, epochs=5, batch=32, rate=1e-3)
    options = parser.parse_args(arguments)
    spec, protocol = registry.get(options.model), PROTOCOLS[options.protocol]
    records = [r for r in datasets.read(options.data) if r.modality == protocol.modality and protocol.wanted(r)]
    if not records:
        parser.error(f"--data holds no image of the protocol '{options.protocol}'.")
    folds = protocol.folds(records, options.seed)
    if lacking := {name for fold in folds for name, part in vars(fold).items() if not part}:
        parser.error(
            f"--data leaves no image for {' and '.join(sorted(lacking))} of the protocol '{options.protocol}'."
        )
    rows = [row for number, fold in enumerate(folds) for row in measured(number, fold, protocol, options)]
    if rows:
        tables.write(pd.DataFrame(rows), tables.file(options.results, options.protocol, spec.name))


if __name__ == "__main__":
    script.run(main)
