"""Where a head looked: Grad-CAM from cached features.

The heads are linear in the mean of the feature map, so the gradient of a head's logit with respect to a cell is its
weight vector over the number of cells: Grad-CAM needs no backward pass, and the cells' contributions add up to the logit
but for the bias and the part of the opacity that the U-Net found. They are kept in that unit. A map rescaled to its own
maximum would make weak evidence look strong.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from covid_core import preprocess, segment
from covid_core.classify import Features, Model

Array = NDArray[np.float32]
# Contribution per cell, in units of the tempered logit, that is shown at full strength: six such cells together move
# the probability from one half to 95 %.
FULL_SCALE = 0.5


@dataclass(frozen=True)
class Explanation:
    """Grad-CAM for COVID-19.

    Attributes:
        cells: [s, s] float32, each cell's contribution to the mean logit of the heads; their sum plus `opacity`
            plus `bias` is it.
        frame: the window of the picture that they cover.
        opacity: what the opacity marked by the U-Net contributes, in the same unit: 0 for lungs without any.
        bias: the heads' mean bias over the temperature, with what lungs without opacity contribute.
        share_in_lungs: part of the positive contributions that lies inside the lung mask, 0..1, where a cell counts by
            the share of it that is lung; None without any.
        lung_share: part of the map that is lung, 0..1.
    """

    cells: Array
    frame: preprocess.Frame
    opacity: float
    bias: float
    share_in_lungs: float | None
    lung_share: float

    @cached_property
    def heatmap(self) -> Array:
        """[H, W] float32 in the picture's pixels, same unit as a cell; 0 outside the window."""
        return self.frame.restore(self.cells)


def explain(model: Model, features: Features, modality: str, lungs: NDArray[np.bool_]) -> Explanation:
    """Grad-CAM of the head ensemble; of several backbones the mean, on the finest of their grids.

    Args:
        model: whose heads to explain.
        features: cached by `Classifier.features`.
        modality: "xray" or "ct".
        lungs: [H, W] bool.
    """
    heads = model.mean_heads(modality)
    worth, clear = float(np.mean([weight[-1] for weight, _ in heads])), float(np.log(segment.FLOOR))
    side = max(cells.shape[-1] for cells in features.cells)
    maps = [
        _on_grid(np.tensordot(weight[:-1] / cells[0].size, cells, axes=1), side)
        for (weight, _), cells in zip(heads, features.cells, strict=True)
    ]
    cells: Array = np.mean(maps, axis=0).astype(np.float32)
    bias = float(np.mean([bias for _, bias in heads])) + worth * clear
    return explanation_of(cells, features.frame, worth * (features.log_opacity - clear), bias, lungs)


def explanation_of(
    cells: Array, frame: preprocess.Frame, opacity: float, bias: float, lungs: NDArray[np.bool_]
) -> Explanation:
    """An `Explanation` of these contributions, with what lies in the lungs [H, W] counted."""
    positive = np.maximum(cells, 0)
    total = float(positive.sum())
    shares = frame.shares(lungs, len(cells))
    in_lungs = float((positive * shares).sum()) / total if total > 0 else None
    return Explanation(cells, frame, opacity, bias, in_lungs, float(shares.mean()))


def _on_grid(cells: Array, side: int) -> Array:
    """A map [s, s] on a grid [side, side] with the same sum."""
    if len(cells) == side:
        return cells
    part = preprocess.covered(len(cells), side)
    return np.asarray(part @ cells @ part.T, np.float32)
