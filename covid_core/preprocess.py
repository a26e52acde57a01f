"""From a picture's pixels to a network's input, and from a network's masks back to the picture.

The only place where pixels are scaled; training calls the same functions. A network sees a square window of the picture,
described by a `Frame`: the whole picture for the segmenter and for telling X-ray from CT, the box around the lungs for
the classifier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[np.float32]

# Percentiles that become black and white. CT slices keep more of the bright end out: in slices stored over the whole
# CT range the lungs are almost black, and a low upper percentile brings them close to a lung window.
STRETCH = {"xray": (1.0, 99.0), "ct": (0.5, 95.0)}
# Networks look at a square twice, the second time turned over along this axis (test-time augmentation): an X-ray left to right,
# a CT slice upside down. Some slices are stored so, the networks learned both, and it told more on val than left and right,
# which are alike anyway.
FLIPPED = {"xray": -1, "ct": -2}
# Percentiles are taken from a grid with about this many rows and columns, never fewer where the picture has as many: more
# pixels cost time and hardly change them.
SAMPLED = 96
# How far the crop reaches beyond the lungs' bounding box, as a share of its longer side.
CROP_MARGIN = 0.06


@dataclass(frozen=True)
class Frame:
    """A square window of a picture, in the picture's pixels; it may reach beyond the picture.

    Attributes:
        top: first row.
        left: first column.
        side: height and width, at least 1.
        height: of the picture.
        width: of the picture.
    """

    top: int
    left: int
    side: int
    height: int
    width: int

    def extract(self, pixels: Array, size: int) -> Array:
        """The window, resampled with anti-aliasing; what lies beyond the picture is 0.

        Args:
            pixels: [height, width] float.
            size: side of the result.

        Returns:
            [size, size] float32.
        """
        rows, columns, inner_rows, inner_columns = self._overlap()
        taken = resampling(self.side, size)
        # Not of a square filled up with 0, which of a long picture can be far larger than it.
        inside = np.asarray(pixels, np.float32)[rows, columns]
        return resampled(_columns(taken, inner_rows), inside, _columns(taken, inner_columns))

    def restore(self, values: Array) -> Array:
        """The inverse: a square of values laid back on the picture; 0 where the window does not reach.

        Args:
            values: [n, n] float, any n.

        Returns:
            [height, width] float32.
        """
        rows, columns, inner_rows, inner_columns = self._overlap()
        given = resampling(len(values), self.side)
        enlarged = resampled(_rows(given, inner_rows), np.asarray(values, np.float32), _rows(given, inner_columns))
        if enlarged.shape == (self.height, self.width):
            return enlarged
        picture = np.zeros((self.height, self.width), np.float32)
        picture[rows, columns] = enlarged
        return picture

    def shares(self, mask: NDArray[np.bool_], count: int) -> Array:
        """How much of each cell of the window a mask [height, width] covers, [count, count] float32 in 0..1."""
        rows, columns, inner_rows, inner_columns = self._overlap()
        part = covered(self.side, count) * np.float32(count / self.side)
        result: Array = part[:, inner_rows] @ mask[rows, columns].astype(np.float32) @ part[:, inner_columns].T
        return result

    def widened(self, margin: float) -> "Frame":
        """The window with this share of its side added on each of its sides."""
        extra = round(self.side * margin)
        return Frame(self.top - extra, self.left - extra, self.side + 2 * extra, self.height, self.width)

    def _overlap(self) -> tuple[slice, slice, slice, slice]:
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.side, self.height), min(self.left + self.side, self.width)
        return (
            slice(top, bottom),
            slice(left, right),
            slice(top - self.top, bottom - self.top),
            slice(left - self.left, right - self.left),
        )


def whole(shape: tuple[int, int]) -> Frame:
    """The smallest square around the whole picture of this (height, width)."""
    height, width = shape
    side = max(height, width)
    return Frame((height - side) // 2, (width - side) // 2, side, height, width)


def bounding_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rows and columns between the outermost pixels of a mask [H, W] with at least one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def around(mask: NDArray[np.bool_]) -> Frame:
    """The square around the bounding box of a mask [height, width], with a margin; the whole picture when the mask is empty."""
    height, width = mask.shape
    if not mask.any():
        return whole((height, width))
    rows, columns = bounding_box(mask)
    box_height, box_width = rows.stop - rows.start, columns.stop - columns.start
    side = round(max(box_height, box_width) * (1 + 2 * CROP_MARGIN))
    top = rows.start + (box_height - side) // 2
    left = columns.start + (box_width - side) // 2
    return Frame(top, left, max(side, 1), height, width)


def resampled(rows: "csr_array", values: Array, columns: "csr_array") -> Array:
    """Sums of the values by these weights along both axes; those of `resampling` resample, in a third of Pillow's time.

    Args:
        rows: [new rows, H].
        values: [H, W] float32.
        columns: [new columns, W].

    Returns:
        [new rows, new columns] float32.
    """
    # The smaller product first.
    result = rows @ (columns @ values.T).T if rows.shape[0] > len(values) else (columns @ (rows @ values).T).T
    return np.ascontiguousarray(result)


@lru_cache(maxsize=64)
def resampling(old: int, new: int) -> "csr_array":
    """How much of every old pixel of a row a new one takes, [new, old] float32: a triangle around the new one's middle.

    Bilinear, with anti-aliasing where pixels become fewer: what Pillow gives.
    """
    from scipy import sparse

    reach = max(old / new, 1.0)
    middle = (np.arange(new)[:, None] + 0.5) * old / new
    nearest = np.floor(middle - reach).astype(int) + np.arange(int(np.ceil(2 * reach)) + 2)
    share = np.maximum(1 - np.abs(nearest + 0.5 - middle) / reach, 0) * ((nearest >= 0) & (nearest < old))
    share /= share.sum(axis=1, keepdims=True)
    row, place = share.nonzero()
    return sparse.csr_array((share[row, place].astype(np.float32), (row, nearest[row, place])), (new, old))


def _rows(matrix: "csr_array", part: slice) -> "csr_array":
    """These rows of a matrix; cutting takes time, also where nothing is cut off."""
    return matrix if part == slice(0, matrix.shape[0]) else matrix[part]


def _columns(matrix: "csr_array", part: slice) -> "csr_array":
    return matrix if part == slice(0, matrix.shape[1]) else matrix[:, part]


def covered(old: int, new: int) -> Array:
    """How much of every old cell of a row each new one covers, [new, old] float32, in old cells."""
    edges = np.linspace(0, old, new + 1)[:, None]
    low, high = np.maximum(edges[:-1], np.arange(old)), np.minimum(edges[1:], np.arange(old) + 1)
    return np.asarray(np.clip(high - low, 0, None), np.float32)


def limits(pixels: Array, modality: str) -> tuple[float, float]:
    """The grey levels that become black and white: two percentiles of the picture (`STRETCH`).

    Args:
        pixels: [H, W] float, any range.
        modality: "xray" or "ct".
    """
    step = max(min(pixels.shape) // SAMPLED, 1)
    low, high = quantiles(pixels[::step, ::step], [share / 100 for share in STRETCH[modality]])
    return float(low), float(high)


def quantiles(values: Array, shares: Sequence[float]) -> Array:
    """What `np.quantile` gives, in a third of its time: for float32 numpy's sort is far faster than its partition.

    Args:
        values: any shape, float32, at least one.
        shares: each 0..1.

    Returns:
        [len(shares)] float64.
    """
    ordered = np.sort(values, axis=None)
    place = np.asarray(shares) * (len(ordered) - 1)
    lower = place.astype(int)
    upper = np.minimum(lower + 1, len(ordered) - 1)
    result: Array = ordered[lower] + (place - lower) * (ordered[upper] - ordered[lower])
    return result


def spread(pixels: Array, low: float, high: float) -> Array:
    """Grey levels between two limits spread over the full range.

    Args:
        pixels: [H, W] float, any range.
        low: becomes 0, as does what is darker.
        high: becomes 1, as does what is brighter.

    Returns:
        [H, W] float32 in 0..1; all 0 when the limits are one grey.
    """
    if high - low < 1e-6:
        return np.zeros(pixels.shape, np.float32)
    # In one piece of memory: fresh pages for every step would take longer than the steps.
    scaled: Array = np.subtract(pixels, low, dtype=np.float32)
    scaled /= np.float32(high - low)
    return np.clip(scaled, 0, 1, out=scaled)


def stretch(pixels: Array, modality: str) -> Array:
    """Grey levels spread between the picture's own `limits`; arguments and result as there and in `spread`."""
    return spread(pixels, *limits(pixels, modality))


def whole_square(pixels: Array, modality: str, size: int) -> tuple[Array, Frame]:
    """The segmenter's view: the whole picture, its grey levels spread over the full range.

    Args:
        pixels: [H, W] float.
        modality: "xray" or "ct".
        size: side of the result.

    Returns:
        [size, size] float32 in 0..1, and the window it shows.
    """
    frame = whole((pixels.shape[0], pixels.shape[1]))
    # Scaled after resampling: most pictures have more pixels than the network's input.
    return spread(frame.extract(pixels, size), *limits(pixels, modality)), frame


def to_input(square: Array) -> Array:
    """[..., S, S] in 0..1 to the networks' range -1..1."""
    return np.asarray(square * 2 - 1, np.float32)


def lung_crop(pixels: Array, lungs: NDArray[np.bool_], modality: str, size: int) -> tuple[Array, Frame]:
    """The classifier's view: the box around the lungs, its grey levels spread over the full range.

    Cropping takes away markers, borders, shoulders and the way a hospital frames its pictures, by all of which a
    network can tell the hospital; spreading the grey levels of the crop alone takes away the way it exposes them.

    Args:
        pixels: [H, W] float.
        lungs: [H, W] bool; when empty the whole picture is used.
        modality: "xray" or "ct".
        size: side of the result.

    Returns:
        [size, size] float32 in 0..1, and the window it shows.
    """
    frame = around(lungs)
    return stretch(frame.extract(pixels, size), modality), frame
