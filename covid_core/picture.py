"""One grey picture: what is kept of a file, which sizes are read, and how values become grey levels."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
MIN_SIDE = 48  # the smallest picture of the training data has a side of 61 px
MAX_ASPECT = 4

# Share of the pixels, at each end, that may be outliers.
OUTLIERS = 0.0005
ENOUGH = 1_000_000


class ImageError(ValueError):
    """A file that cannot be used; its text says what is wrong and what the user can do."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """One grey picture. Nothing else of the file is kept, so neither are a patient's name or the time of a photo.

    Attributes:
        pixels: [H, W] float32, 0..1, grey as a viewer shows it; of a CT whose HU are known, the lung window.
        hounsfield: [H, W] float32, HU, at least -1024; None unless the file is a CT that holds them.
        chroma: colourfulness 0..1, the mean over all pixels of the difference between the largest and the smallest of
            red, green and blue; 0 of a grey picture.
        source_format: "PNG", "JPEG", "WEBP", "TIFF", "BMP", "DICOM", "NIFTI" or "PHANTOM".
        modality_hint: "xray" or "ct" if the file says so (DICOM and NIfTI do), else None.
        sha256: of the file's bytes, hexadecimal.
        name: the file's name without folders.
    """

    pixels: Array = field(repr=False)
    hounsfield: Array | None = field(repr=False)
    chroma: float
    source_format: str
    modality_hint: str | None
    sha256: str
    name: str

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.pixels.shape
        return height, width


@contextlib.contextmanager
def enough_memory() -> Iterator[None]:
    """Raise ImageError where what is done with a picture needs more memory than there is."""
    try:
        yield
    except MemoryError as error:
        raise ImageError("There is not enough memory for this picture. Use a smaller copy of it.") from error


def check_size(width: int, height: int) -> None:
    """Raise ImageError if a picture of this many pixels is too small, too large or too long to be read."""
    if width > MAX_SIDE or height > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(
            f"The picture has {width:,} x {height:,} px, which is too large. Save a smaller copy of it: at most "
            f"{MAX_SIDE:,} px on each side and {MAX_PIXELS // 10**6} million px in all."
        )
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f"The picture has {width} x {height} px, which is too small to read. Use the original picture, with at "
            f"least {MIN_SIDE} px on each side."
        )
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f"The picture has {width:,} x {height:,} px, so it is more than {MAX_ASPECT} times as long as wide. Use a "
            "picture of the whole chest."
        )


def over_full_range(values: NDArray[Any], used: NDArray[np.bool_] | None = None) -> Array:
    """Scale so that the smallest value becomes 0 and the largest 1.

    Of outliers, a few pixels (`OUTLIERS`) that make the range more than twice as wide, the range is that of the others.

    Args:
        values: [H, W] integers or floats.
        used: [H, W], which pixels count for the smallest and the largest value; the others are clipped. None: all.

    Returns:
        [H, W], 0..1; all 0 if the values do not differ.

    Raises:
        ImageError: a value is infinite or not a number.
    """
    if not np.isfinite(values).all():
        raise ImageError("The picture holds values that are not numbers. Export it again, as 8-bit PNG.")
    counted = values if used is None or not used.any() else values[used]
    low, high = float(counted.min()), float(counted.max())
    # A million pixels say it as well as fifty, which take seconds to sort.
    ordered = np.sort(counted.ravel()[:: counted.size // ENOUGH + 1])
    few = int(OUTLIERS * len(ordered))
    inner_low, inner_high = float(ordered[few]), float(ordered[-1 - few])
    if inner_high - inner_low < (high - low) / 2:  # a dead pixel would darken all others
        low, high = inner_low, inner_high
    if low == high:
        return np.zeros(values.shape, np.float32)
    # 32-bit values can differ by less than float32 can tell apart, and by more than it can hold.
    scaled: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    return np.asarray(np.clip((scaled - low) / (high - low), 0, 1), np.float32)
