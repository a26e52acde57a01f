"""Train and test a network by a protocol of the literature: `python -m train.protocols --protocol xray_random --data ...`.

The protocols ask what is left of a published figure when copies, patients and hospitals are kept apart. Every fold trains the
same plain way: whole pictures, light augmentation, no cure against shortcuts. Written is a row for every picture that was
tested, `train/results/PROTOCOL-MODEL.csv`, from which every figure is computed; "split" in it is the data's own, whatever
the protocol made of it, or `BLACKED`.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from covid_core import plain, preprocess, registry, shortcuts
from train import datasets, initial, loading, looks, script, tables, trainer
from train.classifier import CELL, NOBODY, ClassifierTask, Example
from train.datasets.records import Record
from train.overlap import without_returning

FOLDS = 5
TENTHS = 10  # of a random split: one to choose on, one to test on
BLACKED = "lungs_blacked_out"  # split of the test images once more, changed


@dataclass(frozen=True)
class Fold:
    """What trains, what is watched meanwhile, and what is tested in the end."""

    train: list[Record]
    val: list[Record]
    test: list[Record]


def random_split(records: Sequence[Record], seed: int) -> list[Fold]:
    """80 / 10 / 10 per cent of the images, whoever they are of: the protocol of most published figures."""
    order = np.random.default_rng(seed).permutation(len(records))
    tenth = len(records) // TENTHS
    test, val, train = np.split(order, [tenth, 2 * tenth])
    return [Fold(*([records[i] for i in part] for part in (train, val, test)))]


def grouped_folds(records: Sequence[Record], seed: int) -> list[Fold]:
    """`FOLDS` folds with every group in one of them, each tested once; the next one is watched."""
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    labels, groups = [int(r.covid or 0) for r in records], [r.group for r in records]
    return in_turn([[records[i] for i in test] for _, test in folds.split(labels, labels, groups)])


def in_turn(parts: Sequence[list[Record]]) -> list[Fold]:
    """Each part tested once, the next one watched, the others trained on."""
    count = len(parts)
    return [
        Fold([r for k in range(count) if k not in (n, (n + 1) % count) for r in parts[k]], parts[(n + 1) % count], part)
        for n, part in enumerate(parts)
    ]


def to_elsewhere(dataset: str) -> Callable[[Sequence[Record], int], list[Fold]]:
    """Trained on one data set's train and test rows, tested on all of the others."""

    def folds(records: Sequence[Record], _seed: int) -> list[Fold]:
        own = [r for r in records if r.dataset == dataset]
        val = [r for r in own if r.split == "val"]
        return [Fold([r for r in own if r.split != "val"], val, [r for r in records if r.dataset != dataset])]

    return folds


def own_split(records: Sequence[Record], _seed: int) -> list[Fold]:
    """By the data's own split, groups apart: tested on its test part, other hospitals and children."""
    kept = without_returning(records)
    parts = [[r for r in kept if r.split in splits] for splits in (["train"], ["val"], looks.REPORTED)]
    return [Fold(*parts)]


@dataclass(frozen=True)
class Protocol:
    """Which images, and how they are parted.

    Attributes:
        modality: "xray" or "ct".
        wanted: whether a record takes part.
        folds: (records, seed) -> folds.
        by_part: whether `train.evaluate`'s parts of what is tested have figures of their own, by the data's own split, and the
            test images are asked with their lungs blacked out, too.
    """

    modality: str
    wanted: Callable[[Record], bool]
    folds: Callable[[Sequence[Record], int], list[Fold]]
    by_part: bool = False


def _radiography(record: Record) -> bool:
    """The COVID-19 and normal images of the Radiography Database, copies and children among them."""
    folders = {record.image.parent.name, record.image.parent.parent.name, record.dataset}
    return bool({"radiography_db", "radiography_database"} & folders) and record.finding in ("covid", "normal")


def _sao_paulo(record: Record) -> bool:
    return record.dataset == "sars_cov_2_ct"


def _either_ct_set(record: Record) -> bool:
    return record.dataset in ("covid_ct", "sars_cov_2_ct")


PROTOCOLS = {
    "xray_random": Protocol("xray", _radiography, random_split),
    "xray_grouped": Protocol("xray", lambda record: bool(record.finding), own_split, by_part=True),
    "sars_random": Protocol("ct", _sao_paulo, random_split),
    "sars_grouped": Protocol("ct", _sao_paulo, grouped_folds),
    "covid_ct_to_sars": Protocol("ct", _either_ct_set, to_elsewhere("covid_ct")),
    "sars_to_covid_ct": Protocol("ct", _either_ct_set, to_elsewhere("sars_cov_2_ct")),
}


def square(pixels: NDArray[np.float32], modality: str, size: int) -> NDArray[np.uint8]:
    """A whole picture [H, W] in 0..1 as a network sees it, [size, size] in 0..255."""
    whole, _ = preprocess.whole_square(pixels, modality, size)
    return np.round(whole * 255).astype(np.uint8)


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
