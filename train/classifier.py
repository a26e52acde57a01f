"""Train the backbone of a modality, or of both: `python -m train.classifier --modality xray --data manifests=ROOT --out FOLDER`.

The network sees the box around the lungs, drawn by the U-Net of the modality. Source and class are balanced together, so
that no source can stand for a class by its size, and where opacities are marked the features must also locate them. What
it writes is the backbone alone; `train.heads` fits the heads that the app uses.

X-rays of COVID-19 patients on which nothing is to be seen can only teach where the picture comes from: PCR told their
label, and the picture cannot. They are taught as "hardly known" (`soft_target`), which also gives the network pictures
without opacities from the source of the positives.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, WeightedRandomSampler
from torchmetrics.classification import BinaryAUROC
from torchvision.transforms.v2 import CenterCrop

from covid_core import encode, networks, preprocess, registry, segment
from train import datasets, initial, loading, script, trainer
from train.augment import ClassifierAugmentation, Rings, StyleExchange
from train.datasets.records import Record
from train.overlap import without_returning
from train.transplant import transplant

CELL = 32  # side in pixels of a cell of the grid on which opacities are located
NOBODY = -1.0  # not marked by anybody
MARGIN = 0.08  # kept around the crop, as a share of it, so that augmentation can move without inventing black borders
NOTHING = 0.02  # mean lesion probability in the lungs up to which there is nothing to see
HARDLY_KNOWN = 0.4  # target of a COVID-19 X-ray without visible opacity
MOST_IMAGES, MOST = 2500, {"ct_lesions": 1000}  # of one source and finding, by data set; more only cost time
TRANSPLANT_SHARE = 0.4  # of the draws of pictures that can give or take lesions

Example = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class View:
    """What the classifier sees of a record.

    Attributes:
        crop: [W, W] uint8, the box around the lungs with `MARGIN` on every side.
        opacity: [W, W] uint8, 255 where there is lesion, for the same window; None where nobody marked it.
        lesion: [W, W] uint8, the U-Net's lesion probability times 255.
        target: what the head is taught, 0..1, or `NOBODY` without a finding.
    """

    crop: NDArray[np.uint8]
    opacity: NDArray[np.uint8] | None
    lesion: NDArray[np.uint8]
    target: float


def soft_target(covid: int, log_opacity: float) -> float:
    """What an X-ray with this label and `segment.log_opacity` is taught as: 0, `HARDLY_KNOWN` to 1 for COVID-19."""
    seen = (segment.mean_probability(log_opacity) - NOTHING) / (segment.VISIBLE["xray"] - NOTHING)
    return covid * (HARDLY_KNOWN + (1 - HARDLY_KNOWN) * float(np.clip(seen, 0, 1)))


def view(record: Record, segmenter: segment.Segmenter, size: int) -> View:
    """Crop one record with the very functions the app uses."""
    picture = loading.pixels(record)
    lungs, _, lesion = segmenter.find(picture)
    box = preprocess.around(lungs)
    low, high = preprocess.limits(box.extract(picture, size), record.modality)
    wide, side = box.widened(MARGIN), wide_side(size)
    crop = preprocess.spread(wide.extract(picture, side), low, high)
    opacity = None
    if record.lesions_known or record.finding == "normal":
        opacity = _bytes(wide.extract(loading.mask(record, record.lesions, picture.shape), side))
    target = NOBODY
    if record.covid is not None:
        is_seen_through = record.modality == "xray"
        target = (
            soft_target(record.covid, segment.log_opacity(lungs, lesion)) if is_seen_through else float(record.covid)
        )
    return View(_bytes(crop), opacity, _bytes(wide.extract(lesion, side)), target)


def _bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return encode.grey8(values)


def wide_side(size: int) -> int:
    """Side of a view whose middle is a crop of this size."""
    return size + 2 * round(size * MARGIN)


def views(records: Sequence[Record], segmenter: segment.Segmenter, size: int) -> list[View]:
    """`view` of each record, in order."""
    return loading.in_parallel(lambda record: view(record, segmenter, size), records, "lung crops")


def select(records: Sequence[Record], modality: str, without: Sequence[str]) -> list[Record]:
    """Training records: those with a finding, and CT slices and X-rays with lesion masks; no source of `without`.

    Of a source and finding with more than `MOST_IMAGES` a random part is taken.
    X-rays with lesion masks are of COVID-19 patients.
    """
    chosen = [
        r
        for r in without_returning([r for r in records if r.modality == modality])
        if r.split == "train" and r.source not in without
    ]
    found = [r for r in chosen if r.finding]
    marked = [replace(r, finding="covid") for r in chosen if r.dataset == "xray_lesions"]
    slices = [r for r in chosen if r.dataset == "ct_lesions"]
    rng = np.random.default_rng(0)
    result: list[Record] = []
    for key, members in _by(found + marked + slices).items():
        result += [members[i] for i in rng.permutation(len(members))[: MOST.get(key[0], MOST_IMAGES)]]
    return result


def _by(records: Sequence[Record]) -> dict[tuple[str, str, str], list[Record]]:
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.dataset, record.source, record.finding), []).append(record)
    return groups


def balance(records: Sequence[Record]) -> list[float]:
    """Sampling weights: data sets that have both classes alike, in them both classes alike.

    In a class the sources count by the square root of their number: full equality would repeat the small ones until they
    are known by heart. A data set with one class (or none: it teaches only where opacities are) joins by that root too
    where one set has both; where several have, it counts like that class of one of them.
    """
    classes: dict[str, set[int | None]] = {}
    for r in records:
        classes.setdefault(r.dataset, set()).add(r.covid)
    whole = {dataset for dataset, found in classes.items() if {0, 1} <= found}
    cells = [(r.dataset if len(whole) > 1 else "", r.covid, r.source, r.finding) for r in records]
    counts = Counter(cells)
    roots: dict[tuple[str, int | None], float] = {}
    for cell, count in counts.items():
        roots[cell[:2]] = roots.get(cell[:2], 0.0) + count**0.5
    # Slices with lesion masks but without a finding: each set of them a third of a class's draws.
    part = {0: 3.0, 1: 3.0, None: 1.0}
    return [part[c[1]] * counts[c] ** 0.5 / roots[c[:2]] / counts[c] for c in cells]


def middles(crops: Sequence[View], size: int) -> NDArray[np.uint8]:
    """[N, size, size], the views without their margins."""
    cut = CenterCrop(size)
    return np.stack([cut(torch.from_numpy(v.crop)).numpy() for v in crops])


def exchanges_by_label(records: Sequence[Record], crops: NDArray[np.uint8]) -> dict[float, StyleExchange]:
    """By label, the exchange that draws from the crops of the other label as often as training draws these.

    Args:
        records: [N], of both labels.
        crops: [N, S, S].
    """
    label, weight = np.array([r.covid for r in records]), np.array(balance(records))
    return {c: StyleExchange(crops[label == 1 - c], weight[label == 1 - c].tolist()) for c in (0, 1)}


class Views(Dataset[Example]):
    """Crop in -1..1, target 0..1 or `NOBODY`, label 0, 1 or `NOBODY`, opacity grid with `NOBODY` where unmarked.

    X-rays are augmented across the labels. They take on the style of one with the other label, so that by its style alone
    neither is more likely. And of pictures of the healthy and of patients with plain lesions some give and take lesions
    (`train.transplant`), and the label with them.
    """

    def __init__(self, records: Sequence[Record], crops: Sequence[View], size: int, augment: bool) -> None:
        self.records = records
        self.modality = [r.modality for r in records]
        self.crops = [v.crop for v in crops]
        self.opacity = [v.opacity for v in crops]
        self.lesion = [v.lesion for v in crops]
        self.target = [v.target for v in crops]
        self.label = [NOBODY if r.covid is None else float(r.covid) for r in records]
        self.size = size
        self.augmentation = {}
        self.partners: dict[float, NDArray[np.int64]] = {}
        self.rings = Rings(crops[0].crop.shape[0])
        if augment:
            exchanges: dict[float, StyleExchange] = {}
            xrays = [i for i, modality in enumerate(self.modality) if modality == "xray"]
            if xrays:
                exchanges = exchanges_by_label([records[i] for i in xrays], middles([crops[i] for i in xrays], size))
                plain = [i for i in xrays if self.target[i] == 1]
                healthy = [i for i in xrays if records[i].finding == "normal"]
                if healthy and plain:
                    self.partners = {0.0: np.array(healthy), 1.0: np.array(plain)}
            for modality, label in set(zip(self.modality, self.label, strict=True)):
                exchange = exchanges.get(label) if modality == "xray" else None
                self.augmentation[modality, label] = ClassifierAugmentation(modality, size, exchange)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> Example:
        crop, marked, target, label = self._transplanted(index) or (
            self.crops[index],
            self.opacity[index],
            self.target[index],
            self.label[index],
        )
        image = torch.from_numpy(crop)[None].float() / 255
        opacity = torch.zeros_like(image) if marked is None else torch.from_numpy(marked)[None].float() / 255
        if self.augmentation:
            image, opacity = self.augmentation[self.modality[index], label](image, opacity)
        else:
            image, opacity = (CenterCrop(self.size)(t) for t in (image, opacity))
        grid = F.avg_pool2d(opacity, CELL)[0] if marked is not None else F.avg_pool2d(opacity, CELL)[0] + NOBODY
        return image * 2 - 1, torch.tensor(target), torch.tensor(label), grid

    def _transplanted(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], float, float] | None:
        """Crop, opacity, target and label after lesions were given or taken; None where that is not to be or cannot."""
        label = self.label[index]
        if index not in self.partners.get(label, ()) or torch.rand(1) > TRANSPLANT_SHARE:
            return None
        others = self.partners[1 - label]
        partner = int(others[torch.randint(len(others), (1,))])
        lesion = self.lesion[index if label else partner]
        base, patch, mask = ((a / 255).astype(np.float32) for a in (self.crops[index], self.crops[partner], lesion))
        crop = transplant(base, patch, mask, self.rings)
        if crop is None:
            return None
        return _bytes(crop), np.zeros_like(lesion) if label else lesion, 1 - label, 1 - label


class ClassifierTask(lightning.LightningModule):
    """Backbone, linear head, opacity map; watched on as many validation sets as there are names in `watched`."""

    def __init__(
        self,
        architecture: str,
        rate: float,
        watched: Sequence[str] = ("val",),
        opacity_weight: float = 1.0,
        smoothing: float = 0.05,
    ) -> None:
        super().__init__()
        self.network = networks.Backbone(architecture)
        self.rate, self.opacity_weight, self.smoothing = rate, opacity_weight, smoothing
        self.head = torch.nn.Linear(self.network.channels, 1)
        self.locator = torch.nn.Conv2d(self.network.channels, 1, 1)
        for layer in (self.head, self.locator):
            for parameter in layer.parameters():
                torch.nn.init.zeros_(parameter)
        self.watched = watched
        self.auroc: Any = torch.nn.ModuleList(BinaryAUROC() for _ in watched)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Logit [N] and opacity logits [N, S / CELL, S / CELL]."""
        return self.read(self.network(image))

    def read(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`forward` from the backbone's features [N, C, s, s]."""
        pooled = F.dropout(features.mean(dim=(2, 3)), 0.3, self.training)
        return self.head(pooled)[:, 0], self.locator(features)[:, 0]

    def training_step(self, batch: Example, _: int) -> Tensor:
        return self.supervised(self.network(batch[0]), batch)

    def supervised(self, features: Tensor, batch: Example) -> Tensor:
        """Loss of what the labels and marks say."""
        _image, target, _label, opacity = batch
        logit, location = self.read(features)
        known = (target != NOBODY).float()
        smooth = target.clamp(0, 1) * (1 - 2 * self.smoothing) + self.smoothing
        loss = (F.binary_cross_entropy_with_logits(logit, smooth, reduction="none") * known).sum() / known.sum().clamp(
            1
        )
        # Not every network's cells are `CELL` pixels wide.
        location = F.adaptive_avg_pool2d(location, (opacity.shape[1], opacity.shape[2]))
        marked = (opacity >= 0).float()
        located = F.binary_cross_entropy_with_logits(location, opacity.clamp(0, 1), reduction="none") * marked
        total: Tensor = loss + self.opacity_weight * located.sum() / marked.sum().clamp(1)
        self.log_dict({"loss": loss, "located": total - loss}, prog_bar=True)
        return total

    def validation_step(self, batch: Example, _: int, dataloader_idx: int = 0) -> None:
        image, _target, label, _opacity = batch
        logit, _location = self(image)
        auroc = self.auroc[dataloader_idx]
        # Not of the logits: torchmetrics would take those of a batch that all lie within 0..1 for probabilities.
        auroc.update(logit.float().sigmoid(), label.long())
        self.log(f"{self.watched[dataloader_idx]}_auroc", auroc, prog_bar=True, add_dataloader_idx=False)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return trainer.one_cycle(self, self.rate)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every training of a backbone is told."""
    parser.add_argument("--model", choices=script.TRAINED, default=registry.DEFAULT)
    parser.add_argument("--modality", choices=["xray", "ct", "both"], required=True, help="both: one backbone for both")
    parser.add_argument("--segmenters", type=Path, help="folder with unet_xray and unet_ct; default: the bundled ones")
    parser.add_argument(
        "--without",
        nargs="*",
        default=[],
        metavar="SOURCE",
        help="sources the backbone is not to learn from; U-Nets and heads are trained apart and know nothing of this",
    )
    parser.add_argument("--unseen", nargs="*", default=[], metavar="SOURCE:SPLIT", help="validate on these instead")
    parser.add_argument("--examples", type=int, default=5000, help="drawn per epoch, of both modalities alike")


def modalities(options: argparse.Namespace) -> tuple[str, ...]:
    """Those the backbone is to read."""
    return registry.get(options.model).modalities if options.modality == "both" else (options.modality,)


def data(options: argparse.Namespace) -> tuple[Views, list[float], list[DataLoader[Example]]]:
    """What trains, how often each of it is drawn, and what is watched meanwhile, for the options of `add_arguments`."""
    size = options.size or max(registry.get(options.model).sizes[m] for m in modalities(options))
    records = datasets.read(options.data)
    segmenters = loading.segmenters(options.segmenters, modalities(options))
    if strange := set(options.without) - {r.source for r in records}:
        raise ValueError(f"--data holds no source {', '.join(sorted(strange))} to leave out.")
    unseen = {tuple(pair.split(":")) for pair in options.unseen}
    told = " or ".join(options.unseen) or "the split val"
    train: list[Record] = []
    crops: list[View] = []
    weight: list[float] = []
    watched: list[DataLoader[Example]] = []
    for modality, segmenter in segmenters.items():
        chosen = select(records, modality, options.without)
        if not {r.covid for r in chosen} >= {0, 1}:
            raise ValueError(
                f"--data needs {modality} images to train on with COVID-19 and without, of sources not left out."
            )
        for key, members in sorted(_by(chosen).items()):
            print(*key, len(members), flush=True)
        drawn = balance(chosen)
        train += chosen
        crops += views(chosen, segmenter, size)
        weight += [w / sum(drawn) for w in drawn]
        val = [
            r
            for r in records
            if r.finding and r.modality == modality and ((r.source, r.split) in unseen if unseen else r.split == "val")
        ]
        if not val:
            raise ValueError(f"no {modality} image to validate on: --data holds none of {told}.")
        watched.append(DataLoader(Views(val, views(val, segmenter, size), size, augment=False), 32))
    return Views(train, crops, size, augment=True), weight, watched


def fit(
    task: ClassifierTask,
    train: Dataset[Any],
    weight: list[float],
    watched: list[DataLoader[Example]],
    options: argparse.Namespace,
    folder: Path,
) -> None:
    """Initialise a task's network and train it on examples drawn by their weight, which are what `data` returned."""
    architecture = registry.get(options.model).architecture
    print(initial.initialise(task.network, architecture, options.init, options.modality), flush=True)
    generator = torch.Generator().manual_seed(options.seed)
    sampler = WeightedRandomSampler(weight, options.examples, generator=generator)
    batches = DataLoader(train, options.batch, sampler=sampler, drop_last=True, **trainer.workers(options))
    trainer.fit(task, batches, watched, options, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    trainer.add_arguments(parser, epochs=10, batch=32, rate=1e-3)
    options = parser.parse_args(arguments)
    initial.seed_everything(options.seed)
    train, weight, watched = data(options)
    architecture = registry.get(options.model).architecture
    task = ClassifierTask(architecture, options.rate, [f"val_{m}" for m in modalities(options)])
    fit(task, train, weight, watched, options, options.out)
    if task.trainer.is_global_zero:
        initial.save(task.network, options.out / "backbone.safetensors")


if __name__ == "__main__":
    script.run(main)
