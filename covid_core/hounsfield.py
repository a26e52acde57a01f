"""Hounsfield units of a CT, and the window in which networks and pages see them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from covid_core.picture import Array

AIR = -1024  # HU; nothing is thinner, lower values are padding
# Level and width, HU. The usual lung window, and a fixed one: a file carries the window that its last viewer liked, often one for
# soft tissue, in which lungs are black, and the same patient would look different to a model from one hospital to the next.
LUNG_WINDOW = (-600.0, 1500.0)


def windowed(values: NDArray[Any], level: float, width: float) -> Array:
    """Values [H, W], such as HU, as grey levels, [H, W] float32 in 0..1: `width` values around `level` from black to white."""
    scaled = (values.astype(np.float32) - np.float32(level)) / np.float32(width)
    return np.asarray(np.clip(scaled + 0.5, 0, 1), np.float32)
