"""How much of the lungs is lesion in a whole CT, measured by the U-Net slice by slice.

worst = burden(volume).most_affected
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from covid_core.diagnose import segmenter
from covid_core.volume import Volume, evenly, slice_pixels

MEASURED = 60  # slices the U-Net looks at: every fifth millimetre of a chest


@dataclass(frozen=True)
class SliceBurden:
    """What the U-Net marked in a slice.

    Attributes:
        index: of the slice in the volume.
        number: of the slice among all of the files, from 1.
        lung_pixels: 0 where the lung mask is implausible.
        lesion_pixels: inside the lungs; 0 where the lung mask is implausible.
        percent: lesions in per cent of the lungs; None where the lung mask is implausible, as above and below the lungs.
        interval: (low, high) of that, or None.
    """

    index: int
    number: int
    lung_pixels: int
    lesion_pixels: int
    percent: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Burden:
    """How much of the lungs is lesion.

    Attributes:
        slices: those measured, from the head to the feet.
        percent: lesion area over lung area, summed over the slices with plausible lungs; None without any.
        interval: (low, high) of that, or None: the sum of the slices' own low and high lesion areas over the lung area. The
            U-Net errs alike in neighbouring slices, so their errors are not taken to cancel out, and the interval is wide
            rather than narrow. Nothing in it says how the slices differ.
        level: of the intervals, 0..1; set on single slices.
        most_affected: index in the volume of the slice with the largest lesion area; None where there is no lesion.
    """

    slices: tuple[SliceBurden, ...]
    percent: float | None
    interval: tuple[float, float] | None
    level: float
    most_affected: int | None


def burden(volume: Volume, progress: Callable[[int, int], object] = lambda done, total: None) -> Burden:
    """Measure lesions and lungs in at most `MEASURED` slices, evenly taken, in the lung window.

    Args:
        volume: of a CT.
        progress: called after every slice with how many are done and how many there are. What it raises leaves, which is
            the way to stop.
    """
    unet = segmenter("ct")
    chosen = evenly(len(volume.numbers), MEASURED)
    slices = []
    for index in chosen:
        found = unet.segment(slice_pixels(volume, index))
        lungs, lesions = (int(np.count_nonzero(mask)) * found.plausible for mask in (found.lungs, found.lesions))
        percent, interval = found.lesion_percent_of_lung, found.lesion_interval
        slices.append(SliceBurden(index, volume.numbers[index], lungs, lesions, percent, interval))
        progress(len(slices), len(chosen))
    return summed(tuple(slices), found.level)


def summed(slices: tuple[SliceBurden, ...], level: float) -> Burden:
    """The burden of a whole volume from that of its slices; see `Burden`."""
    area = sum(one.lung_pixels for one in slices)
    worst = max(slices, key=lambda one: one.lesion_pixels)
    most_affected = worst.index if worst.lesion_pixels else None
    if not area:
        return Burden(slices, None, None, level, most_affected)
    percent = 100 * sum(one.lesion_pixels for one in slices) / area
    known = [(one.lung_pixels, *one.interval) for one in slices if one.interval is not None]
    low, high = (sum(one[0] * one[end] for one in known) / area for end in (1, 2))
    return Burden(slices, percent, (low, high), level, most_affected)
