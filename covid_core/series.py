"""DICOM series: many files of one slice, or one file of many frames, put in order by where they lie in the body.

Pixels are decoded by `covid_core.dicom`, a slice at a time. Of the tags that say who the patient is none is kept; the
series' identifier is compared and forgotten.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

from covid_core import dicom
from covid_core.archive import MAX_FILES
from covid_core.picture import Array, ImageError
from covid_core.scan import DAMAGED, MAX_VOXELS, NO_PLACE, TOO_LONG, Scan, check_count, to_view, turned

# What is read of a file beyond `dicom.TAGS`.
PLACE = ["SeriesInstanceUID", *dicom.GROUPS]
FRAMES = "PerFrameFunctionalGroupsSequence"
OF_ALL_FRAMES = (
    *("NumberOfFrames", "ExtendedOffsetTable", "ExtendedOffsetTableLengths", "PixelData"),
    *("SharedFunctionalGroupsSequence", FRAMES),
)
NEAREST = 0.01  # mm; slices nearer to each other lie at the same place
WIDEST = 1.5  # times the usual distance, from which on a slice is missing
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])  # DICOM counts to the left and the back, NIfTI to the right and the front


class NotCTError(ImageError):
    """A DICOM file that is no slice of a CT, or does not say of which place; among slices it is left out."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice or frame.

    Attributes:
        series: the same in all slices of a series.
        position: [3] float64, of the first pixel, mm to the left, back and head.
        directions: [2, 3] float64, unit vectors along a row and along a column.
        spacing: from one row and from one column to the next, mm.
        shape: rows and columns.
        decode: gives [rows, columns] float32, HU.
    """

    series: str
    position: NDArray[np.float64]
    directions: NDArray[np.float64]
    spacing: tuple[float, float]
    shape: tuple[int, int]
    decode: Callable[[], Array]


def open_series(files: Sequence[bytes]) -> Scan:
    """Put the slices of DICOM files in order.

    Args:
        files: contents; what is no slice of a CT is left out, and counted.

    Raises:
        ImageError: they are no CT, of several series, not axial, or do not say where they lie.
    """
    slices: list[Slice] = []
    wrong: list[NotCTError] = []
    for data in files:
        try:
            slices += _slices(data)
        except NotCTError as error:
            wrong.append(error)
    if not slices:
        raise wrong[0]
    return replace(_stack(slices), left_out=len(wrong))


def count_frames(data: bytes) -> int:
    """Of a DICOM file that may be of a CT: 0 of an X-ray, 1 of one that cannot be parsed."""
    try:
        tags = _tags(data)
        is_xray = str(tags.get("Modality")).strip().upper() in dicom.XRAY
        return 0 if is_xray else int(tags.get("NumberOfFrames") or 1)
    except Exception:  # whatever the file is, decoding it as a picture says what is wrong
        return 1


def _slices(data: bytes) -> list[Slice]:
    """The slices of one file, not decoded."""
    tags = _tags(data)
    _check_modality(tags)
    frames = int(tags.get("NumberOfFrames") or 1)
    if frames > MAX_FILES or frames * int(tags.Rows) * int(tags.Columns) > MAX_VOXELS:
        raise ImageError(TOO_LONG)
    if frames > 1 or tags.get(FRAMES):
        return _frames(_tags(data, with_pixels=True), frames)
    return [_slice(tags, tags.get, partial(_hounsfield, data))]


def _tags(data: bytes, with_pixels: bool = False) -> Dataset:
    """Parse a file without decoding its pixels."""
    dicom.check_not_deflated(data)
    wanted = [*dicom.TAGS, *PLACE]
    return dcmread(BytesIO(data), force=True, specific_tags=wanted, stop_before_pixels=not with_pixels)


def _check_modality(tags: Dataset) -> None:
    """Raise NotCTError for what is no picture, no CT, or an overview."""
    modality = str(tags.get("Modality") or "").strip().upper()
    if "Rows" not in tags or "Columns" not in tags:
        raise NotCTError("The DICOM file holds no picture. Upload the files of the CT series.")
    if modality != "CT":
        code = dicom.modality_code(modality)
        what = "an X-ray" if modality in dicom.XRAY else dicom.OTHER_MODALITIES.get(modality, "of another kind")
        raise NotCTError(f"The DICOM file is {what} ({code}), not a CT. Upload the files of a CT series.")
    if dicom.is_localizer(tags):
        raise NotCTError("This is a CT localizer, an overview for planning. Upload the files of the axial series.")


def _slice(tags: Dataset, find: Callable[[str], Any], decode: Callable[[], Array]) -> Slice:
    """Where a slice lies.

    Args:
        tags: of the file.
        find: gives the value of a tag of the slice, or None.
        decode: gives its values.
    """
    lengths = {"ImagePositionPatient": 3, "ImageOrientationPatient": 6, "PixelSpacing": 2}
    values = [find(tag) for tag in lengths]
    if any(value is None or len(value) != n for value, n in zip(values, lengths.values(), strict=True)):
        raise NotCTError(NO_PLACE)  # such as the picture of a dose report
    position, directions, spacing = (np.array(value, np.float64) for value in values)
    # As stored, because pydicom warns of an odd identifier by printing it.
    series = tags.get_item("SeriesInstanceUID") if "SeriesInstanceUID" in tags else None
    return Slice(
        str(series and series.value),
        position,
        directions.reshape(2, 3),
        (float(spacing[0]), float(spacing[1])),
        (int(tags.Rows), int(tags.Columns)),
        decode,
    )


def _frames(tags: Dataset, count: int) -> list[Slice]:
    """The frames of an Enhanced CT, each with what is said of it alone or of all."""
    if len(tags.get(FRAMES) or []) != count:
        raise NotCTError(NO_PLACE)
    return [
        _slice(tags, partial(dicom.in_groups, tags, index), partial(_frame, tags, index, count))
        for index in range(count)
    ]


def _frame(tags: Dataset, index: int, count: int) -> Array:
    """Decode a frame as a file of its own, so that all that holds for single pictures holds for it."""
    alone = Dataset()
    for tag in dicom.TAGS:
        if tag in tags and tag not in OF_ALL_FRAMES:
            alone[tag] = copy(tags[tag])  # else a new value would be one of the whole file
    for tag, value in dicom.rescale_of(tags, index).items():
        setattr(alone, tag, value)
    syntax = tags.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        pixels = encapsulate([get_frame(tags.PixelData, index, number_of_frames=count)])
    else:
        size = int(tags.Rows) * int(tags.Columns) * int(tags.BitsAllocated) // 8
        pixels = tags.PixelData[index * size : (index + 1) * size]
        pixels += b"\0" * (len(pixels) % 2)
    alone.PixelData = pixels
    alone["PixelData"].VR = "OB" if syntax.is_encapsulated else "OW"
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = syntax
    file = BytesIO()
    alone.save_as(file, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return _hounsfield(file.getvalue())


def _hounsfield(data: bytes) -> Array:
    """Decode a file of one slice: [rows, columns] float32, HU."""
    _, hounsfield, _ = dicom.decode(data, is_alone=False)
    if hounsfield is None:
        raise ImageError(
            "The slices hold no Hounsfield units (no rescale slope and intercept). Export the original series."
        )
    return hounsfield


def _stack(slices: list[Slice]) -> Scan:
    """Order slices from the head to the feet."""
    first = slices[0]
    check_count(len(slices))
    _check_alike(slices)
    row, column = first.directions
    heights = np.array([s.position for s in slices]) @ np.cross(row, column)
    order = np.argsort(heights, kind="stable")
    gaps = np.diff(heights[order])
    if gaps.min() < NEAREST:
        raise ImageError(
            "Several slices lie at the same place, as in a series of several passes. Upload the files of one pass."
        )
    affine = np.eye(4)
    steps = (row * first.spacing[1], column * first.spacing[0], np.cross(row, column))
    affine[:3, :3] = LPS_TO_RAS @ np.column_stack(steps)
    view = to_view(affine)
    if view[2, 0] != 2:
        raise ImageError("The slices of this series are not axial. Upload the axial series of the same scan.")
    usual = float(np.median(gaps))
    remarks: tuple[str, ...] = ()
    if gaps.max() > WIDEST * usual:
        remarks = (f"Slices are missing: two neighbours are {gaps.max():.1f} mm apart, most {usual:.1f} mm.",)
    decode = [slices[i].decode for i in order[:: int(view[2, 1])]]
    (height, width), (y, x) = first.shape, first.spacing
    if view[0, 0] == 1:  # rows of the file are columns of the view
        height, width, y, x = width, height, x, y

    def plane(index: int) -> Array:
        return turned(decode[index]().T, view[:2])

    return Scan(len(slices), (height, width), (usual, y, x), plane, "DICOM", remarks=remarks)


def _check_alike(slices: list[Slice]) -> None:
    """Raise ImageError unless the slices can be laid on each other."""
    sizes = Counter(s.series for s in slices)
    if len(sizes) > 1:
        counts = ", ".join(str(n) for _, n in sizes.most_common(5))
        raise ImageError(
            f"The files belong to {len(sizes)} series (slices: {counts}{', ...' * (len(sizes) > 5)}). Upload the files of "
            "one of them."
        )
    first = slices[0]
    for one in slices:
        if (
            one.shape != first.shape
            or not np.allclose(one.directions, first.directions, atol=1e-3)
            or not np.allclose(one.spacing, first.spacing, rtol=1e-3)
        ):
            raise ImageError("The slices differ in size or direction. Upload the files of one axial series.")
    if len(slices) * first.shape[0] * first.shape[1] > MAX_VOXELS:
        raise ImageError(TOO_LONG)
    if not (all(np.isfinite(s.position).all() for s in slices) and min(first.spacing) > 0):
        raise ImageError(DAMAGED)
