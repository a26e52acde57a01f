"""Move lesions between X-rays, so that a picture's source says the opposite of its label.

The training X-rays without COVID-19 come from one hospital, and none of those with it do. In a transplant the lesions of a
patient lie in healthy lungs of the other source, or healthy lungs take the place of a patient's lesions: who answers
rightly knows the lesions. Both crops are boxes around the lungs, so that lungs lie on lungs.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from train.augment import Rings

Array = NDArray[np.float32]
MOST_COVERED = 0.5  # share of the crop; of a picture that is nearly all lesion too little is left to fit another to
BLACK = 0.03  # grey level up to which a pixel counts as border
MOST_CONTRAST = 1.5  # of the patch, raised or lowered by no more than this
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
