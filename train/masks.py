"""What a U-Net makes of every image with masks: its probabilities beside the truth, in the picture's own pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covid_core import segment
from train import loading
from train.datasets.records import Record

LEAST_LUNG = 0.02  # share of the picture; below it a share of the lungs means nothing


@dataclass(frozen=True)
class Outcome:
    """Prediction and truth of one image, in the picture's pixels.

    Attributes:
        record: the image.
        lung: [H, W] float16, probability.
        lesion: [H, W] float16, probability.
        lung_truth: [H, W] bool, or None where nobody marked it.
        lesion_truth: [H, W] bool, or None.
        density: [H, W] float16, `segment.density` of the picture as the network sees it.
        consolidation: [H, W] float16, probability given a lesion, or None of a U-Net without that channel.
        kinds: [H, W] uint8, 1 ground glass, 2 consolidation, or None where nobody told them apart.
    """

    record: Record
    lung: NDArray[np.float16]
    lesion: NDArray[np.float16]
    lung_truth: NDArray[np.bool_] | None
    lesion_truth: NDArray[np.bool_] | None
    density: NDArray[np.float16]
    consolidation: NDArray[np.float16] | None
    kinds: NDArray[np.uint8] | None


def outcome(record: Record, segmenter: segment.Segmenter) -> Outcome:
    """Run the app's own segmenter on one record."""
    picture = loading.pixels(record)
    view, frame = segmenter.view(picture)
    lung, lesion, *further = (frame.restore(p).astype(np.float16) for p in segmenter.probabilities(view))
    lungs_known, lesions_known = record.lungs is not None, record.lesions_known
    return Outcome(
        record,
        lung,
        lesion,
        loading.mask(record, record.lungs, picture.shape) > 0.5 if lungs_known else None,
        loading.mask(record, record.lesions, picture.shape) > 0.5 if lesions_known else None,
        frame.restore(segment.density(view)).astype(np.float16),
        further[0] if further else None,
        None if record.kinds is None else loading.stored(record, record.kinds, picture.shape),
    )


def outcomes(records: Sequence[Record], segmenter: segment.Segmenter) -> list[Outcome]:
    """`outcome` of each record, in order."""
    return loading.in_parallel(lambda record: outcome(record, segmenter), records, "masks")


def pooled_dice(sums: NDArray[np.float64]) -> float:
    """Dice over all pixels of all rows.

    Args:
        sums: [N, 2], overlap and sum of both areas of each image.
    """
    overlap, total = sums.sum(axis=0)
    if total == 0:
        raise ValueError("Nothing is marked and nothing was found: Dice is not defined.")
    return float(2 * overlap / total)


def sums(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Overlap and sum of both areas, what `pooled_dice` adds up."""
    return float((predicted & truth).sum()), float(predicted.sum() + truth.sum())


def shares(found: Outcome, threshold: float) -> tuple[float, float]:
    """Predicted and true lesion share of the predicted lungs."""
    lungs = segment.lungs_from(found.lung.astype(np.float32))
    truth = found.lesion_truth if found.lesion_truth is not None else np.zeros_like(lungs)
    return segment.lesion_share(lungs, found.lesion > threshold), segment.lesion_share(lungs, truth)
