"""How the protocols of the literature part the images: what trains, what is watched meanwhile, what is tested."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from train.datasets.records import REPORTED, Record
from train.overlap import without_returning

FOLDS = 5
TENTHS = 10  # of a random split: one to choose on, one to test on


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
    parts = [[r for r in kept if r.split in splits] for splits in (["train"], ["val"], REPORTED)]
    return [Fold(*parts)]


@dataclass(frozen=True)
class Protocol:
    """Which images, and how they are parted.

    Attributes:
        modality: "xray" or "ct".
        wanted: whether a record takes part.
        folds: (records, seed) -> folds.
        by_part: whether `train.evaluate`'s parts of what is tested have figures of their own, by the data's own split, and the
            test images are asked with their lungs blacked out, too, and, with --looks, val images with moved lesions.
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
