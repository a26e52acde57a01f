"""A whole CT: read from its files, and looked at slice by slice.

middle = slice_pixels(read_volume([("ct.nii.gz", data)]), 100)
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covid_core import encode, phantom
from covid_core.ct_files import open_scan
from covid_core.hounsfield import AIR, LUNG_WINDOW, windowed
from covid_core.picture import Array, ImageError, check_size
from covid_core.scan import DAMAGED
from covid_core.thorax import Anatomy

MAX_SLICES, MAX_SIDE = 200, 320  # kept of a volume; 40 MB
PERSON = 1  # seed of the phantom
STORED_WATER = 1024  # where 12 bits without a sign have water
DENSEST = 3071  # HU; the most that 12 bits hold, and more than any bone
WINDOWS: dict[str, tuple[float, float]] = {  # level and width, HU
    "lung": LUNG_WINDOW,
    "mediastinum": (40, 400),
    "bone": (400, 1800),
    "wide": (0, 2000),
}
NOT_HU = (
    "The values of this volume are not Hounsfield units: there is {} in it. It may be a mask, an MR or PET image, or a CT "
    "whose grey levels were changed. Use the original CT."
)


@dataclass(frozen=True, eq=False)
class Volume:
    """A CT in the view of radiologists, reduced to what a page needs. Nothing else of its files is kept.

    Attributes:
        hounsfield: [Z, H, W] int16, HU, -1024..3071, read-only; from the head to the feet, front up, the patient's right on
            the left, pixels square. At most `MAX_SLICES` slices and `MAX_SIDE` px a side.
        spacing: from one slice, row and column to the next, mm.
        numbers: of the slices kept, counted from 1 nearest the head among all `total` slices.
        total: slices in the files. Where that is more than are kept, they were taken evenly.
        name: of the file, without folders.
        sha256: of the content, hexadecimal.
        source_format: "NIFTI", "DICOM" or "PHANTOM".
        remarks: sentences on what was left out or changed.
    """

    hounsfield: NDArray[np.int16] = field(repr=False)
    spacing: tuple[float, float, float]
    numbers: tuple[int, ...] = field(repr=False)
    total: int
    name: str
    sha256: str
    source_format: str
    remarks: tuple[str, ...]


def read_volume(files: Sequence[tuple[str, bytes]]) -> Volume:
    """Read a CT.

    Args:
        files: names and contents: one NIfTI file, one DICOM file of several frames, the DICOM files of one series in any
            order, or one zip archive that holds one of these.

    Returns:
        The volume. The same content always gives the same volume.

    Raises:
        ImageError: the files are no CT, damaged, too large, or do not fit together; the text says what to do. No other
            exception leaves.
    """
    try:
        scan = open_scan(files)
        height, width, pixel = _reduced_size(scan.shape, scan.spacing[1:])
        check_size(width, height)
        kept = evenly(scan.count, MAX_SLICES)
        values = np.empty((len(kept), height, width), np.int16)
        for index, slice_ in enumerate(kept):
            values[index] = _reduce(scan.plane(slice_), height, width)
        remarks = scan.remarks
        if len(kept) < scan.count:
            remarks += (f"{len(kept)} of {scan.count} slices were used, evenly spaced.",)
        if offset := _offset(values):
            values -= offset
            remarks += (f"The values begin at 0, so {offset} was subtracted to make them Hounsfield units.",)
        np.clip(values, AIR, DENSEST, out=values)
        values.flags.writeable = False
        step = scan.spacing[0] * (scan.count - 1) / (len(kept) - 1)
        numbers = tuple(slice_ + 1 for slice_ in kept)
        return Volume(values, (step, *pixel), numbers, scan.count, scan.name, scan.sha256, scan.source_format, remarks)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError("There is not enough memory to open this CT. Upload one with fewer slices.") from error
    except Exception as error:  # the last boundary: readers can raise anything on a file made to break them
        raise ImageError(DAMAGED) from error


def of_phantom() -> Volume:
    """A computed chest with lesions at its bases, [30, 320, 320], to look through without a patient's CT."""
    levels = np.linspace(0.04, 0.96, 30)
    count = len(levels)
    lesions = phantom.Lesions(count=8, size=0.2, density=0.7, level=0.65)
    planes = [phantom.ct(PERSON, lesions, MAX_SIDE, float(level)).hounsfield for level in levels]
    values = np.rint(np.stack([p for p in planes if p is not None])).clip(AIR, DENSEST).astype(np.int16)
    values.flags.writeable = False
    anatomy = Anatomy.draw(PERSON)
    step = (anatomy.height(0.96) - anatomy.height(0.04)) / (count - 1)
    pixel = phantom.FIELD / MAX_SIDE
    sha256 = hashlib.sha256(values.tobytes()).hexdigest()
    return Volume(values, (step, pixel, pixel), tuple(range(1, count + 1)), count, "Phantom CT", sha256, "PHANTOM", ())


def evenly(count: int, most: int) -> list[int]:
    """At most so many of the indices 0..count - 1, evenly spread, with the first and the last."""
    return [int(i) for i in np.linspace(0, count - 1, min(count, most)).round()]


def slice_pixels(volume: Volume, index: int) -> Array:
    """[H, W] float32, 0..1, of one slice in the lung window, the only one that the networks know.

    Args:
        volume: of a CT.
        index: of the slice, from 0 nearest the head.

    Raises:
        ValueError: there is no such slice.
    """
    if not 0 <= index < len(volume.numbers):
        raise ValueError(f"There is no slice {index}. Choose one from 0 to {len(volume.numbers) - 1}.")
    return windowed(volume.hounsfield[index], *LUNG_WINDOW)


def slice_png(volume: Volume, index: int) -> bytes:
    """The same as an 8-bit grey PNG file."""
    return encode.png(encode.grey8(slice_pixels(volume, index)))


def _reduced_size(shape: tuple[int, int], spacing: tuple[float, float]) -> tuple[int, int, tuple[float, float]]:
    """Height, width and spacing of square pixels, no smaller than those of the file, at most `MAX_SIDE` a side."""
    height, width = shape[0] * spacing[0], shape[1] * spacing[1]
    side = max(height / MAX_SIDE, width / MAX_SIDE, *spacing)
    rows, columns = max(round(height / side), 1), max(round(width / side), 1)
    return rows, columns, (height / rows, width / columns)


def _reduce(plane: Array, height: int, width: int) -> NDArray[np.int16]:
    """[height, width], whole numbers."""
    plane = np.clip(plane, AIR, np.iinfo(np.int16).max)
    if plane.shape != (height, width):
        plane = np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))
    return np.rint(plane).astype(np.int16)


def _offset(values: NDArray[np.int16]) -> int:
    """What has to be taken off to make these Hounsfield units: 0, or 1024 if values were stored from 0 without a note.

    Fat, muscle and blood fill most of a chest that is not air, and lie within 200 HU of water. No MR or PET image is so
    narrow, at just this place; so a volume that is, 1024 higher, is a CT.

    Raises:
        ImageError: the values are not those of a CT with air and soft tissue in it.
    """
    counts = np.bincount(values.ravel().view(np.uint16), minlength=2**16)
    shares = np.roll(counts, 2**15) / values.size  # from the lowest to the highest

    def share(low: int, high: int) -> float:
        return float(shares[low + 2**15 : high + 2**15].sum())

    if share(AIR, -200) < 0.01:
        dense = share(STORED_WATER - 400, 2**15)
        is_soft = dense > 0.1 and share(STORED_WATER - 200, STORED_WATER + 200) > 0.6 * dense
        if is_soft and dense < 0.95 and share(STORED_WATER + 300, STORED_WATER + DENSEST) > 0:
            return STORED_WATER
        raise ImageError(NOT_HU.format("no air (no value below -200)"))
    if share(-200, 200) < 0.01 or share(STORED_WATER - 200, STORED_WATER + 200) > 0.1:
        raise ImageError(NOT_HU.format("no soft tissue where it should be (values near 0)"))
    return 0
