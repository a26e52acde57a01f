"""Train a U-Net that marks lungs and lesions: `python -m train.segmenter --modality xray --data manifests=ROOT --out FOLDER`.

A mask nobody drew is ignored in the loss, so that sets with only lungs and sets with only lesions train one network.
With `--teacher` a finished U-Net also marks the training images that nobody marked, where it is sure, and the strongly
augmented student learns from both (self-training, as Semi-Inf-Net and "noisy student" do).

With `--kinds` it also learns, in a third channel, which lesions in CT are consolidation and which ground glass, where that was
marked: the variant that `train.kinds` measures. The app's U-Net is one without, and tells the two apart by their density.

Every X-ray with marked lesions comes from other hospitals than the healthy ones, so a network may mark "lesion" for the look
of a hospital. With `--lungs` a finished U-Net finds the lungs and lesions change hands (`train.transplant`), with their marks.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
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
from torchmetrics.classification import BinaryF1Score

from covid_core import networks, registry, segment
from train import datasets, initial, loading, script, trainer
from train.augment import SegmentationAugmentation
from train.datasets.records import Record
from train.overlap import untrained, without_returning
from train.transplant import Exchange

MEASURED = ("lung", "lesion")  # on val, where no kinds are marked
LOSSES = {"both": (1.0, 1.0), "entropy": (1.0, 0.0), "dice": (0.0, 1.0)}  # what cross-entropy and soft Dice count
KINDS_WEIGHT = 0.3  # what telling the kinds of lesions counts beside finding them
TRANSPLANT_SHARE = 0.5  # of the draws of X-rays that give or take lesions
HEALTHY = 1500  # X-rays without a lesion added to those with one: the network must also learn to mark nothing


def unmarked(records: Sequence[Record], modality: str) -> list[Record]:
    """Training images without any mask, for a teacher to mark."""
    return [
        r
        for r in without_returning(records)
        if r.modality == modality and r.split == "train" and r.finding and not (r.lungs or r.lesions_known)
    ]


def select(records: Sequence[Record], modality: str, split: str) -> list[Record]:
    """Records with masks of one modality and split; for X-ray training also healthy adults, marked as free of lesions.

    Of X-rays with marked lesions and of healthy ones, those that a classifier is validated or tested on are left out of
    training, also where they come back in another data set. Lung masks of external X-rays train; `evaluate.masked` names them.
    """
    marked = [r for r in records if r.modality == modality and r.split == split and (r.lungs or r.lesions_known)]
    if split != "train" or modality != "xray":
        return marked
    lesions = [r for r in without_returning(records) if r.modality == modality and r.split == split and r.lesions_known]
    healthy = [r for r in records if r.modality == "xray" and r.finding == "normal" and r.split == "train"]
    order = np.random.default_rng(0).permutation(len(healthy))[:HEALTHY]
    return [r for r in marked if r.lungs] + lesions + [replace(healthy[i], lesions_known=True) for i in order]


class Examples(Dataset[tuple[Tensor, Tensor]]):
    """Images and masks in memory, augmented on the way out when training; a teacher marks those that nobody did.

    Args:
        records: the images.
        size: side in pixels.
        augment: whether for training.
        channels: 2, or 3 with consolidation.
        teacher: marks the pictures on which nobody marked anything.
        finder: finds the lungs that lesions are moved between; without it none are.
    """

    def __init__(
        self,
        records: Sequence[Record],
        size: int,
        augment: bool,
        channels: int = 2,
        teacher: segment.Segmenter | None = None,
        finder: segment.Segmenter | None = None,
    ) -> None:
        pairs = loading.in_parallel(
            lambda r: loading.segmentation_example(r, size, teacher, channels), records, "images"
        )
        self.images = np.stack([image for image, _ in pairs])
        self.masks = np.stack([masks for _, masks in pairs])
        self.augmentation = SegmentationAugmentation(records[0].modality, self.images) if augment else None
        self.exchange = None
        if finder is not None:
            lungs = loading.in_parallel(lambda r: lungs_of(r, finder), records, "lungs")
            self.exchange = Exchange(self.images, self.masks[:, 1], np.stack(lungs))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture, marks = self.images[index] / np.float32(255), self.masks[index]
        if self.exchange is not None and torch.rand(1) < TRANSPLANT_SHARE:
            picture, lesion = self.exchange(index)
            marks = np.stack([marks[0], lesion])
        image, masks = torch.from_numpy(picture)[None], torch.from_numpy(marks)
        if self.augmentation is not None:
            image, masks = self.augmentation(image, masks)
        return image * 2 - 1, masks


def lungs_of(record: Record, finder: segment.Segmenter) -> NDArray[np.bool_]:
    """Where the U-Net finds the lungs, in its own view of a picture."""
    probability = finder.probabilities(finder.view(loading.pixels(record))[0])
    return segment.lungs_from(probability[0])


def sampling_weights(records: Sequence[Record]) -> list[float]:
    """Balance patients a little, and slices with a lesion against those without; what a teacher marks counts by its data set."""
    if records[0].modality == "xray":
        return [1.0] * len(records)
    keys = [(r.group if r.lesions_known else r.dataset, r.lesions is not None or not r.lesions_known) for r in records]
    counts = Counter(keys)
    return [(3.0 if key[1] else 1.0) * counts[key] ** -0.5 for key in keys]


def masked_loss(logits: Tensor, masks: Tensor, loss: str = "both") -> Tensor:
    """Binary cross-entropy plus soft Dice of lung and lesion, and `KINDS_WEIGHT` times the cross-entropy of consolidation, each
    over the known pixels.

    Args:
        logits: [N, channels, S, S].
        masks: [N, channels, S, S] of 0, 1 or `UNKNOWN`.
        loss: of `LOSSES`, which of the first two counts.
    """
    entropy_counts, dice_counts = LOSSES[loss]
    kinds = _entropy(logits[:, 2:], masks[:, 2:])
    logits, masks = logits[:, :2], masks[:, :2]
    known = (masks != loading.UNKNOWN).float()
    truth = (masks == 1).float()
    probability = torch.sigmoid(logits) * known
    overlap = (probability * truth).sum(dim=(0, 2, 3))
    total = probability.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    measured = dice[known.sum(dim=(0, 2, 3)) > 0].mean()
    return entropy_counts * _entropy(logits, masks) + dice_counts * measured + KINDS_WEIGHT * kinds


def _entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean binary cross-entropy over the known pixels; 0 without any."""
    known = (masks != loading.UNKNOWN).float()
    entropy = F.binary_cross_entropy_with_logits(logits, (masks == 1).float(), reduction="none")
    return (entropy * known).sum() / known.sum().clamp(1)


class SegmenterTask(lightning.LightningModule):
    """The U-Net with its loss, one-cycle schedule and pooled Dice on val."""

    def __init__(self, architecture: str, channels: int, rate: float, loss: str = "both") -> None:
        super().__init__()
        self.network = networks.UNet(architecture, channels)
        self.rate, self.loss = rate, loss
        # Pooled over all pixels the F1 score is the Dice coefficient.
        self.dice: Any = torch.nn.ModuleList(BinaryF1Score(ignore_index=loading.UNKNOWN) for _ in MEASURED)

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        images, masks = batch
        loss = masked_loss(self.network(images), masks, self.loss)
        self.log("loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        images, masks = batch
        probability = torch.sigmoid(self.network(images))
        for index, name in enumerate(MEASURED):
            self.dice[index].update(probability[:, index].flatten(), masks[:, index].flatten().long())
            self.log(f"val_{name}_dice", self.dice[index], prog_bar=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        return trainer.one_cycle(self, self.rate)


def train(options: argparse.Namespace) -> None:
    """Train a U-Net by the options of the command line.

    Raises:
        ValueError: the data hold no image to learn from, or to validate on.
    """
    generator = initial.seed_everything(options.seed)
    spec = registry.segmenter_for(options.modality)
    size = options.size or spec.sizes[options.modality]
    spec = replace(spec, sizes={options.modality: size})  # teacher and finder see what the network sees
    records = untrained([r for r in datasets.read(options.data) if r.modality == options.modality])
    channels = len(spec.channels) + options.kinds
    architecture = registry.get(options.encoder).architecture
    task = SegmenterTask(architecture, channels, options.rate, options.loss)
    print(initial.initialise(task.network, architecture, options.init, options.modality), flush=True)
    train_records = select(records, options.modality, "train")
    teacher, finder = (
        segment.Segmenter.of_files(spec, [file]) if file else None for file in (options.teacher, options.lungs)
    )
    if teacher:
        train_records += unmarked(records, options.modality)
    for kind in ("lungs", "lesions"):
        if not any(getattr(r, kind) for r in records if r.split == "train"):
            raise ValueError(f"--data holds no {options.modality} image of the split train with {kind} marked.")
    if not select(records, options.modality, "val"):
        raise ValueError(f"--data holds no {options.modality} image of the split val with masks.")
    examples = Examples(train_records, size, augment=True, channels=channels, teacher=teacher, finder=finder)
    sampler = WeightedRandomSampler(
        sampling_weights(train_records), options.examples or len(examples), generator=generator
    )
    trainer.fit(
        task,
        DataLoader(examples, options.batch, sampler=sampler, drop_last=True, **trainer.workers(options)),
        DataLoader(Examples(select(records, options.modality, "val"), size, augment=False), 32),
        options,
        options.out,
    )
    if task.trainer.is_global_zero:
        initial.save(task.network, options.out / registry.WEIGHTS)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line; see `--help`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modality", choices=["xray", "ct"], required=True)
    parser.add_argument(
        "--encoder",
        choices=script.TRAINED,
        default="mobilenetv2",
        help="whose backbone; to bundle a U-Net with another one, name its architecture in covid_core/registry.py",
    )
    parser.add_argument("--loss", choices=list(LOSSES), default="both", help="cross-entropy, soft Dice or their sum")
    parser.add_argument("--examples", type=int, help="drawn per epoch; default: as many as there are")
    parser.add_argument(
        "--kinds", action="store_true", help="CT: tell consolidation from ground glass, in a third channel"
    )
    parser.add_argument("--teacher", type=Path, help="weights of a finished U-Net that marks unmarked images")
    parser.add_argument("--lungs", type=Path, help="weights of one that finds the lungs that lesions are moved between")
    trainer.add_arguments(parser, epochs=10, batch=24, rate=1e-3)
    options = parser.parse_args(arguments)
    if options.kinds and options.modality != "ct":
        parser.error("--kinds is for CT: nobody marked them in X-rays.")
    if options.lungs and options.modality != "xray":
        parser.error("--lungs is for X-rays: in CT nothing changes hands.")
    train(options)


if __name__ == "__main__":
    script.run(main)
