"""A CT as its files hold it, decoded a slice at a time; what NIfTI volumes and DICOM series have in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covid_core.archive import MAX_FILES
from covid_core.picture import Array, ImageError

MAX_BYTES = 256 * 1024**2  # of all files as they come
MAX_UNPACKED = 512 * 1024**2
MAX_VOXELS = MAX_FILES * 512 * 512
MIN_SLICES = 3
OBLIQUE = 35  # degrees by which a CT may be turned; gantries tilt by 30 at most, and at 45 no axis is the nearest
ACCEPTED = "a NIfTI file (.nii, .nii.gz), the DICOM files of one CT series, or a zip archive of them"
DAMAGED = f"This CT is damaged, incomplete or of an unusual kind. Export it again, as {ACCEPTED}."
TOO_LONG = (
    f"The CT is too large: at most {MAX_BYTES // 1024**2} MB are read, {MAX_UNPACKED // 1024**2} MB when unpacked. Export "
    "it with thicker slices or 16-bit values."
)
NO_PLACE = (
    "The file does not say where its slices lie in the body, so they cannot be put in order. Export the series again from "
    "the original, with Image Position and Image Orientation kept."
)


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT as its files hold it, in the view of radiologists.

    Attributes:
        count: number of axial slices.
        shape: height and width of a slice in pixels.
        spacing: from one slice, row and column to the next, mm.
        plane: from the index of a slice, 0 nearest the head, to [H, W] float32, values as stored with slope and
            intercept applied, at least `AIR`; front up, the patient's right on the left.
        source_format: "NIFTI" or "DICOM".
        name: of the file, without folders.
        sha256: of the content, hexadecimal; of a series the same in whatever order and archive it comes.
        remarks: sentences on what is not as it should be.
        left_out: number of files that were no part of it.
    """

    count: int
    shape: tuple[int, int]
    spacing: tuple[float, float, float]
    plane: Callable[[int], Array] = field(repr=False)
    source_format: str
    name: str = ""
    sha256: str = ""
    remarks: tuple[str, ...] = ()
    left_out: int = 0


def check_count(count: int) -> None:
    """Raise ImageError if there are too few slices for a volume."""
    if count < MIN_SLICES:
        raise ImageError(
            f"This CT has only {count} axial slice{'s' * (count > 1)}. Upload the whole series, or save a single slice as PNG or "
            "DICOM and upload that."
        )


def to_view(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """How to turn axes to the left, the back and the feet: [3, 2], for each its new place and 1, or -1 if it is flipped.

    Args:
        affine: [4, 4], from indices to mm to the right, the front and the head.

    Raises:
        ImageError: it says no place, or the axes lie too far from those of the body.
    """
    axes = affine[:3, :3]
    if not (np.isfinite(axes).all() and abs(np.linalg.det(axes)) > 1e-6):
        raise ImageError(NO_PLACE)
    along = np.abs(axes / np.linalg.norm(axes, axis=0)).max(axis=0)  # cosines of the axes with those of the body
    if (turn := float(np.rad2deg(np.arccos(along.min().clip(0, 1))))) > OBLIQUE:
        raise ImageError(
            f"This CT is turned by {turn:.0f} degrees from the axes of the body; up to {OBLIQUE} are read. Export its axial slices."
        )
    tools = nibabel().orientations
    view = tools.ornt_transform(tools.io_orientation(affine), tools.axcodes2ornt("LPI"))
    return np.asarray(view, np.float64)


def turned(values: NDArray[Any], view: NDArray[np.float64]) -> NDArray[Any]:
    """The values with their axes turned by `to_view` and in reverse, so that the last is the left: no copy."""
    return np.asarray(nibabel().apply_orientation(values, view)).T


def nibabel() -> Any:
    """The library, for orientations and headers."""
    import nibabel  # here, because it is slow to import; most of it has no types

    return nibabel
