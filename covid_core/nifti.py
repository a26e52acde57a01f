"""NIfTI files: a whole CT, of which only the header is read before its size is known to be bearable."""

import gzip
import zlib
from io import BytesIO
from typing import Any

import numpy as np

from covid_core.hounsfield import AIR
from covid_core.picture import Array, ImageError
from covid_core.scan import (
    DAMAGED,
    MAX_UNPACKED,
    MAX_VOXELS,
    TOO_LONG,
    Scan,
    check_count,
    nibabel,
    to_view,
    turned,
)

MM = {1: 1000.0, 3: 0.001}  # metres and micrometres, by NIfTI's numbers; else a length is in mm
APART = (0.05, 50.0)  # mm from one voxel to the next; units that lead elsewhere are not believed


def is_nifti(data: bytes) -> bool:
    """Tell whether this is a NIfTI-1 or NIfTI-2 file, compressed or not."""
    header = data[:352]
    if data.startswith(b"\x1f\x8b"):
        try:
            header = zlib.decompressobj(wbits=31).decompress(data[:4096], 352)
        except zlib.error:
            return False
    return header[344:348] in (b"n+1\0", b"ni1\0") or header[4:8] in (b"n+2\0", b"ni2\0")


def open_volume(data: bytes) -> Scan:
    """Find out what a file holds, without turning its values into Hounsfield units.

    Args:
        data: the file's content.

    Raises:
        ImageError: it is no CT, too large, or does not say how the patient lies in it. A damaged file can raise anything else.
    """
    nifti = nibabel()
    stream = gzip.GzipFile(fileobj=BytesIO(data)) if data.startswith(b"\x1f\x8b") else BytesIO(data)
    head = stream.read(540)
    is_second = head[4:8] == b"n+2\0"
    header = nifti.Nifti2Header(head, check=False) if is_second else nifti.Nifti1Header(head[:348], check=False)
    if not is_second and head[344:348] != b"n+1\0":
        raise ImageError("This is the header of a NIfTI volume without its values. Save both in one file, as .nii.")
    shape, offset, kind = _layout(header)
    stream.seek(offset)
    # Views all the way: of the whole volume there is never a second copy.
    size = int(np.prod(shape))
    stored = np.frombuffer(stream.read(size * kind.itemsize), kind, size).reshape(shape, order="F")
    affine = np.asarray(header.get_best_affine(), np.float64)
    scale = MM.get(int(header["xyzt_units"]) & 7, 1.0)
    lengths = np.linalg.norm(affine[:3, :3], axis=0) * scale
    if APART[0] <= lengths.min() and lengths.max() <= APART[1]:
        affine[:3] *= scale
    view = to_view(affine)
    volume = turned(stored, view)
    check_count(len(volume))
    slope, intercept = header.get_slope_inter()  # both None where the file gives none
    slope, intercept = np.float32(1 if slope is None else slope), np.float32(intercept or 0)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(view[:, 0])]

    def plane(index: int) -> Array:
        values = volume[index].astype(np.float32) * slope + intercept
        return np.asarray(np.maximum(np.nan_to_num(values, nan=AIR), AIR), np.float32)

    x, y, z = spacing.tolist()
    return Scan(len(volume), (volume.shape[1], volume.shape[2]), (z, y, x), plane, "NIFTI")


def _layout(header: Any) -> tuple[tuple[int, ...], int, np.dtype[Any]]:
    """Shape, where the values begin and their type; raise ImageError if they are not one bearable volume."""
    shape, offset = tuple(int(n) for n in header.get_data_shape()), int(header.get_data_offset())
    kind = header.get_data_dtype()
    if min(shape, default=0) < 1:
        raise ImageError(DAMAGED)
    if any(n > 1 for n in shape[3:]):
        raise ImageError(f"This NIfTI file holds {max(shape[3:])} volumes (4-D). Save one of them, the CT, as 3-D.")
    if kind.kind not in "iuf":
        raise ImageError("This NIfTI file holds colours or complex numbers, not a CT. Use the original CT.")
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise ImageError(
            "This NIfTI file does not say how the patient lies in it (neither qform nor sform), so left and right cannot "
            "be told. Convert the original DICOM files again."
        )
    shape = (*shape[:3], *(1,) * (3 - len(shape)))
    voxels = np.prod([float(n) for n in shape])  # not of integers, which could overflow
    if offset < len(header.binaryblock) + 4:  # then values would be taken from the header
        raise ImageError(DAMAGED)
    if voxels > MAX_VOXELS or not 0 <= offset <= MAX_UNPACKED - voxels * kind.itemsize:
        raise ImageError(TOO_LONG)
    return shape, offset, kind
