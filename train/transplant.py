"""Move lesions between X-rays, so that a picture's source says the opposite of its label.

The training X-rays without COVID-19 come from one hospital, and none of those with it do. In a transplant the lesions of a
patient lie in healthy lungs of the other source, or healthy lungs take the place of a patient's lesions: who answers
rightly knows the lesions. Both crops are boxes around the lungs, so that lungs lie on lungs.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from covid_core.preprocess import around
from train.augment import Rings
from train.loading import UNKNOWN

Array = NDArray[np.float32]
MOST_COVERED = 0.5  # share of the crop; of a picture that is nearly all lesion too little is left to fit another to
BLACK = 0.03  # grey level up to which a pixel counts as border
MOST_CONTRAST = 1.5  # of the patch, raised or lowered by no more than this
HEALTHY, SICK = 0, 1  # the largest value of a lesion mask
SOFT = 40  # a lesion is widened, and its border softened, by this part of the crop's side


def softened(lesion: Array) -> Array:
    """[S, S] in 0..1: the lesion a little widened, with soft borders."""
    reach = lesion.shape[0] // SOFT
    wide = F.max_pool2d(torch.tensor(lesion)[None], 2 * reach + 1, 1, reach)
    for _ in range(2):
        wide = F.avg_pool2d(wide, 2 * reach + 1, 1, reach, count_include_pad=False)
    return wide[0].numpy()


def transplant(base: Array, patch: Array, lesion: Array, rings: Rings) -> Array | None:
    """`base` with what `patch` shows where there is a lesion in either of them.

    The patch takes on the grain of the base, and its mean and contrast outside of the lesion.

    Args:
        base: [S, S] in 0..1.
        patch: [S, S] in 0..1.
        lesion: [S, S] in 0..1, lesion probability of the one that has it.
        rings: of pictures of this size.

    Returns:
        [S, S] in 0..1, or None where the lesion covers too much.
    """
    mask = softened(lesion)
    if mask.mean() > MOST_COVERED:
        return None
    patch = rings.filtered(patch, rings.of(base))
    outside = (1 - mask) * (base > BLACK) * (patch > BLACK)  # borders are of no body
    weight = max(float(outside.sum()), 1.0)

    def moments(picture: Array) -> tuple[float, float]:
        mean = float((picture * outside).sum()) / weight
        return mean, float(np.sqrt(((picture - mean) ** 2 * outside).sum() / weight))

    (mean, spread), (own_mean, own_spread) = moments(base), moments(patch)
    contrast = np.clip(spread / max(own_spread, 1e-3), 1 / MOST_CONTRAST, MOST_CONTRAST)
    fitted = (patch - own_mean) * contrast + mean
    return np.clip(base * (1 - mask) + fitted * mask, 0, 1).astype(np.float32)


class Exchange:
    """Lesions and their marks change hands between pictures with lesions and healthy ones.

    Args:
        images: [N, S, S] uint8.
        lesions: [N, S, S] of 0 and 1; `UNKNOWN` in all of a picture in which nobody looked for lesions.
        lungs: [N, S, S] bool.
    """

    def __init__(self, images: NDArray[np.uint8], lesions: NDArray[np.uint8], lungs: NDArray[np.bool_]) -> None:
        self.images, self.lesions, self.lungs = images, lesions, lungs
        self.boxes = [around(mask) for mask in lungs]
        self.state = lesions.reshape(len(lesions), -1).max(axis=1)
        self.partners = {SICK: np.flatnonzero(self.state == HEALTHY), HEALTHY: np.flatnonzero(self.state == SICK)}
        self.rings = Rings(images.shape[-1])

    def __call__(self, index: int) -> tuple[Array, NDArray[np.uint8]]:
        """The picture [S, S] in 0..1 with what is not its own, and its lesions [S, S]; as it was where that cannot be.

        Where a lesion does not lie on lungs of the healthy one, nobody knows what is to be marked.
        """
        picture, marks = self.images[index] / np.float32(255), self.lesions[index]
        state = int(self.state[index])
        partners = self.partners.get(state, ())
        if not len(partners):
            return picture, marks
        other = int(partners[int(torch.randint(len(partners), ()))])
        sick, healthy = (index, other) if state == SICK else (other, index)

        def boxed(of: int, values: NDArray[Any]) -> Array:
            return self.boxes[of].extract(values[of].astype(np.float32), self.rings.size)

        lesion = boxed(sick, self.lesions)
        own, given = (boxed(of, self.images) / np.float32(255) for of in (index, other))
        crop = transplant(own, given, lesion, self.rings)
        if crop is None:
            return picture, marks
        here = self.boxes[index].restore
        share = here(softened(lesion))
        is_marked = here(lesion if state == HEALTHY else np.zeros_like(lesion)) > 0.5
        is_unsure = (share > 0.5) & (here(boxed(healthy, self.lungs)) < 0.5)
        return picture * (1 - share) + here(crop) * share, np.where(is_unsure, UNKNOWN, is_marked).astype(np.uint8)
