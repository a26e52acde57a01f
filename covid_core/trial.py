"""Put a U-Net to the test on a phantom: the truth beside what it marked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from covid_core import images, metrics, painting, phantom
from covid_core.diagnose import segmenter
from covid_core.segment import Segmentation, lesion_share

PERSON = 1  # seed of the phantom


@dataclass(frozen=True)
class Trial:
    """A phantom, as it is and as it was marked.

    Attributes:
        picture: [H, W] float32 in 0..1.
        compared: [H, W, 3] uint8, the same with what of the lesions was found and what was not; see `painting.compared`.
        true_percent: of the lungs that are lesion.
        marked_percent: the same as the U-Net sees it.
        dice: of the lesions; None without any.
    """

    picture: NDArray[np.float32]
    compared: painting.Pixels
    true_percent: float
    marked_percent: float
    dice: float | None


def lesions(count: int, size: float, density: float) -> Trial:
    """A phantom with lesions, and what the U-Net for CT makes of it.

    Args:
        count: of patches.
        size: of a patch, as in `phantom.Lesions`.
        density: of a patch, as there.
    """
    made = phantom.ct(PERSON, lesions=phantom.Lesions(count=count, size=size, density=density))
    return compare(made, segmenter("ct").segment(images.decode(phantom.png_bytes(made), "phantom.png").pixels))


def compare(made: phantom.Phantom, found: Segmentation) -> Trial:
    """A phantom beside what was marked in its picture."""
    return Trial(
        picture=made.pixels,
        compared=painting.compared(made.pixels, made.lesions, found.lesions),
        true_percent=100 * lesion_share(made.lungs, made.lesions),
        marked_percent=100 * lesion_share(found.lungs, found.lesions),
        dice=metrics.dice(made.lesions, found.lesions) if made.lesions.any() else None,
    )
