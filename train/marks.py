"""What a U-Net's masks amount to on every test image, one row each, kept without the images in `train/results/masks-MODEL.csv`.

Every figure of a U-Net is computed from these rows, so that anyone can compute it again.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from covid_core import metrics, segment
from train import loading
from train.datasets.records import Record
from train.loading import CONSOLIDATION, GROUND_GLASS
from train.masks import LEAST_LUNG, Outcome, outcome, shares, sums


def rows(segmenter: segment.Segmenter, records: Sequence[Record]) -> pd.DataFrame:
    """A row for each test image with masks, of the U-Net's modality.

    Returns:
        "image", "dataset", "source", "group";
        "lung_overlap", "lung_total", "lesion_overlap", "lesion_total": pixels, as `masks.sums` counts them;
        "share_inside": 1.0 where the lesion share's interval holds the true share, else 0.0;
        of Inf-Net's slices "mean_dice", over all thresholds, and "dice", at 0.5;
        "ground_glass_overlap", "ground_glass_total", "consolidation_overlap", "consolidation_total": pixels, of the lesions
        found, where the kinds are known. Empty where it is not known.
    """
    mine = [
        r for r in records if r.modality == segmenter.modality and r.split == "test" and (r.lungs or r.lesions_known)
    ]
    # One image at a time: masks in the pictures' own pixels would fill the memory.
    return pd.DataFrame(loading.in_parallel(lambda r: _row(outcome(r, segmenter), segmenter), mine, "masks"))


def overlaps(found: Sequence[Outcome], threshold: float) -> pd.DataFrame:
    """A row for each image: who it is, and the overlaps and totals of lungs and lesions, as in `rows`."""
    return pd.DataFrame([_facts(o) | _lesions(o, threshold) for o in found])


def _facts(found: Outcome) -> dict[str, object]:
    record = found.record
    row: dict[str, object] = {"image": record.image.name}
    row |= {"dataset": record.dataset, "source": record.source, "group": record.group}
    if found.lung_truth is not None:
        row["lung_overlap"], row["lung_total"] = sums(found.lung > 0.5, found.lung_truth)
    return row


def _lesions(found: Outcome, threshold: float) -> dict[str, object]:
    if found.lesion_truth is None:
        return {}
    overlap, total = sums(found.lesion > threshold, found.lesion_truth)
    return {"lesion_overlap": overlap, "lesion_total": total}


def _row(found: Outcome, segmenter: segment.Segmenter) -> dict[str, object]:
    threshold = float(segmenter.config["lesion_threshold"])
    record, row = found.record, _facts(found)
    if found.lesion_truth is None:
        return row
    row |= _lesions(found, threshold)
    if found.kinds is not None:
        lesion = found.lesion > threshold
        told = found.consolidation
        dense = told > 0.5 if told is not None else found.density > segmenter.config["densest_glass"]
        row["ground_glass_overlap"], row["ground_glass_total"] = sums(lesion & ~dense, found.kinds == GROUND_GLASS)
        row["consolidation_overlap"], row["consolidation_total"] = sums(lesion & dense, found.kinds == CONSOLIDATION)
    if record.dataset == "infnet":
        maps, truth = [found.lesion.astype(np.float32)], [found.lesion_truth]
        row["mean_dice"] = metrics.mean_dice_over_thresholds(maps, truth)
        row["dice"] = metrics.dice_at(maps, truth, 0.5)
        return row
    if (found.lung > 0.5).mean() > LEAST_LUNG:
        share, true_share = shares(found, threshold)
        low, high = segment.share_interval(share, float(segmenter.config["lesion_interval"]["spread"]))
        row["share_inside"] = float(low <= true_share <= high)
    return row
