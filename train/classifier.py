"""Train one backbone for X-ray and CT: `python -m train.classifier --data manifests=ROOT --segmenters FOLDER`.

The network sees the box around the lungs, drawn by the U-Net of the modality. Source and class are balanced together, so
that no source can stand for a class by its size, and where opacities are marked the features must also locate them. What
it writes is the backbone alone; `train.heads` fits the heads that the app uses.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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

from covid_core import networks, preprocess, registry, segment
from train import datasets, initial, loading, trainer
from train.augment import classifier_augmentation
from train.datasets.records import Record
from train.overlap import without_copies

MODALITIES = ("xray", "ct")
CELLS = 6  # the grid on which opacities are located, S / 32
NOBODY = -1.0  # not marked by anybody

Example = tuple[Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class View:
    """What the classifier sees of a record.

    Attributes:
        crop: [S, S] uint8.
        opacity: [CELLS, CELLS] float32, share of each cell that is lesion, or `NOBODY`.
    """

    crop: NDArray[np.uint8]
    opacity: NDArray[np.float32]


def view(record: Record, segmenter: segment.Segmenter, size: int) -> View:
    """Crop one record with the very functions the app uses."""
    picture = loading.pixels(record)
    probability, frame = segmenter.probabilities(picture)
    lungs = segment.lungs_from(frame.restore(probability[0]))
    crop, box = preprocess.lung_crop(picture, lungs, record.modality, size)
    opacity = np.full((CELLS, CELLS), NOBODY, np.float32)
    if record.lesions or record.lesions_known:
        opacity = box.extract(loading.mask(record, record.lesions, picture.shape), CELLS)
    elif record.finding == "normal":
        opacity = np.zeros((CELLS, CELLS), np.float32)
    return View(np.round(crop * 255).astype(np.uint8), opacity)


def views(records: Sequence[Record], segmenters: dict[str, segment.Segmenter], size: int) -> list[View]:
    """`view` of each record, in order."""
    return loading.in_parallel(lambda record: view(record, segmenters[record.modality], size), records, "lung crops")


def select(records: Sequence[Record], modalities: Sequence[str], without: Sequence[str], seed: int = 0) -> list[Record]:
    """Training records: those with a finding, and CT slices and X-rays with lesion masks; no source of `without`.

    Of a source and finding with more than `MOST` images a random part is taken: beyond it they only cost time.
    X-rays with lesion masks are of COVID-19 patients; those that come back in a part kept for choices or tests are left
    out.
    """
    chosen = [r for r in records if r.split == "train" and r.modality in modalities and r.source not in without]
    found = [r for r in chosen if r.finding]
    kept_back = [r for r in records if r.modality == "xray" and r.finding == "covid" and r.split != "train"]
    marked = without_copies([r for r in chosen if r.dataset == "xray_lesions"], kept_back)
    marked = [Record(**{**r.__dict__, "finding": "covid"}) for r in marked]
    slices = [r for r in chosen if r.dataset == "ct_lesions"]
    rng = np.random.default_rng(seed)
    result: list[Record] = []
    for key, members in _by(found + marked + slices).items():
        limit = 1000 if key[0] == "ct_lesions" else MOST
        result += [members[i] for i in rng.permutation(len(members))[:limit]]
    return result


MOST = 2500


def _by(records: Sequence[Record]) -> dict[tuple[str, str, str], list[Record]]:
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.dataset, record.source, record.finding), []).append(record)
    return groups


def balance(records: Sequence[Record]) -> list[float]:
    """Sampling weights: both modalities alike, in each both classes alike, in a class the sources by the square root.

    Full equality would repeat the small sources until they are known by heart.
    """
    share = {"xray": 0.5, "ct": 0.5}
    cells = [(r.modality, r.covid, r.source if r.finding else r.dataset, r.finding) for r in records]
    counts = Counter(cells)
    roots: dict[tuple[str, int | None], float] = {}
    for cell, count in counts.items():
        roots[cell[:2]] = roots.get(cell[:2], 0.0) + count**0.5
    # Slices with lesion masks but without a finding teach location only: a seventh of a modality's draws.
    part = {0: 3.0, 1: 3.0, None: 1.0}
    return [share[c[0]] * part[c[1]] * counts[c] ** 0.5 / roots[c[:2]] / counts[c] for c in cells]


class Views(Dataset[Example]):
    """Crop in -1..1, modality 0 or 1, label 0, 1 or `NOBODY`, opacity grid."""

    def __init__(self, records: Sequence[Record], crops: Sequence[View], augment: bool) -> None:
        self.crops = np.stack([v.crop for v in crops])
        self.opacity = np.stack([v.opacity for v in crops])
        self.modality = [MODALITIES.index(r.modality) for r in records]
        self.label = [NOBODY if r.covid is None else float(r.covid) for r in records]
        size = self.crops.shape[-1]
        self.augmentations = [classifier_augmentation(m, size) for m in MODALITIES] if augment else None

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> Example:
        image = torch.from_numpy(self.crops[index])[None].float() / 255
        opacity = torch.from_numpy(self.opacity[index])
        if self.augmentations is not None:
            image, opacity = self.augmentations[self.modality[index]](image, opacity)
        return image * 2 - 1, torch.tensor(self.modality[index]), torch.tensor(self.label[index]), opacity


class ClassifierTask(lightning.LightningModule):
    """Backbone, one linear head a modality, one opacity map a modality."""

    def __init__(self, architecture: str, rate: float, opacity_weight: float, smoothing: float) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.network = networks.Backbone(architecture)
        self.rate, self.opacity_weight, self.smoothing = rate, opacity_weight, smoothing
        self.head = torch.nn.Linear(self.network.channels, len(MODALITIES))
        self.locator = torch.nn.Conv2d(self.network.channels, len(MODALITIES), 1)
        for layer in (self.head, self.locator):
            for parameter in layer.parameters():
                torch.nn.init.zeros_(parameter)
        self.auroc: Any = torch.nn.ModuleList(BinaryAUROC() for _ in MODALITIES)

    def forward(self, image: Tensor, modality: Tensor) -> tuple[Tensor, Tensor]:
        """Logit [N] and opacity logits [N, CELLS, CELLS] of each image's own modality."""
        features = self.network(image)
        pooled = F.dropout(features.mean(dim=(2, 3)), 0.3, self.training)
        row = torch.arange(len(image), device=image.device)
        return self.head(pooled)[row, modality], self.locator(features)[row, modality]

    def training_step(self, batch: Example, _: int) -> Tensor:
        image, modality, label, opacity = batch
        logit, location = self(image, modality)
        known = (label != NOBODY).float()
        target = label.clamp(0, 1) * (1 - 2 * self.smoothing) + self.smoothing
        loss = (F.binary_cross_entropy_with_logits(logit, target, reduction="none") * known).sum() / known.sum()
        marked = (opacity >= 0).float()
        located = F.binary_cross_entropy_with_logits(location, opacity.clamp(0, 1), reduction="none") * marked
        total: Tensor = loss + self.opacity_weight * located.sum() / marked.sum().clamp(1)
        self.log_dict({"loss": loss, "located": total - loss}, prog_bar=True)
        return total

    def validation_step(self, batch: Example, _: int) -> None:
        image, modality, label, _opacity = batch
        logit, _location = self(image, modality)
        for index, name in enumerate(MODALITIES):
            mine = (modality == index) & (label != NOBODY)
            if mine.any():
                self.auroc[index].update(logit[mine], label[mine].long())
                self.log(f"val_{name}_auroc", self.auroc[index], prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return trainer.one_cycle(self, self.rate)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=registry.DEFAULT)
    parser.add_argument("--segmenters", type=Path, help="folder with unet_xray and unet_ct; default: the bundled ones")
    parser.add_argument("--modalities", nargs="+", default=list(MODALITIES), choices=MODALITIES)
    parser.add_argument("--without", nargs="*", default=[], metavar="SOURCE", help="sources to hold out")
    parser.add_argument("--unseen", nargs="*", default=[], metavar="SOURCE:SPLIT", help="validate on these instead")
    parser.add_argument("--examples", type=int, default=6000, help="drawn per epoch")
    parser.add_argument("--opacity-weight", type=float, default=1.0)
    parser.add_argument("--smoothing", type=float, default=0.05)
    trainer.add_arguments(parser, epochs=10, batch=32, rate=1e-3)
    options = parser.parse_args(arguments)
    generator = initial.seed_everything(options.seed)

    spec = registry.get(options.model)
    size = options.size or spec.size
    records = datasets.read(options.data)
    task = ClassifierTask(spec.architecture, options.rate, options.opacity_weight, options.smoothing)
    print(initial.initialise(task.network, spec.architecture, options.init), flush=True)
    train = select(records, options.modalities, options.without)
    for key, members in sorted(_by(train).items()):
        print(*key, len(members), flush=True)
    segmenters = loading.segmenters(options.segmenters, options.modalities)
    sampler = WeightedRandomSampler(balance(train), options.examples, generator=generator)
    unseen = {tuple(pair.split(":")) for pair in options.unseen}
    val = [
        r
        for r in records
        if r.finding
        and r.modality in options.modalities
        and ((r.source, r.split) in unseen if unseen else r.split == "val")
    ]
    trainer.fit(
        task,
        DataLoader(
            Views(train, views(train, segmenters, size), augment=True),
            options.batch,
            sampler=sampler,
            drop_last=True,
            **trainer.workers(options),
        ),
        DataLoader(Views(val, views(val, segmenters, size), augment=False), 32),
        options,
    )
    if task.trainer.is_global_zero:
        initial.save(task.network, Path(options.out) / "backbone.safetensors")


if __name__ == "__main__":
    main()
