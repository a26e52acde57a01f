"""From the files of a CT to its axial slices, decoded one at a time, or to a sentence that says why not.

Read are a NIfTI volume, the DICOM files of one series, one DICOM file of several frames, and a zip archive that holds one
of these. As in `covid_core.images`, sizes are checked before anything is unpacked or decoded. DICOM files are read in
`covid_core.series`.
"""

import gzip
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covid_core import archive
from covid_core.archive import MAX_FILES
from covid_core.images import Array, ImageError, is_nifti

MAX_BYTES = 256 * 1024**2  # of all files as they come
MAX_UNPACKED = 512 * 1024**2
MAX_VOXELS = MAX_FILES * 512 * 512
MIN_SLICES = 3
OBLIQUE = 35  # degrees by which a CT may be turned; gantries tilt by 30 at most, and at 45 no axis is the nearest
MM = {1: 1000.0, 3: 0.001}  # metres and micrometres, by NIfTI's numbers; else a length is in mm
APART = (0.05, 50.0)  # mm from one voxel to the next; units that lead elsewhere are not believed
AIR = -1024  # HU; nothing is thinner, lower values are padding
# Level and width, HU. The usual lung window, and a fixed one: a file carries the window that its last viewer liked, often one for
# soft tissue, in which lungs are black, and the same patient would look different to a model from one hospital to the next.
LUNG_WINDOW = (-600.0, 1500.0)
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


def windowed(values: NDArray[Any], level: float, width: float) -> Array:
    """Values [H, W], such as HU, as grey levels, [H, W] float32 in 0..1: `width` values around `level` from black to white."""
    scaled = (values.astype(np.float32) - np.float32(level)) / np.float32(width)
    return np.asarray(np.clip(scaled + 0.5, 0, 1), np.float32)


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
    """

    count: int
    shape: tuple[int, int]
    spacing: tuple[float, float, float]
    plane: Callable[[int], Array] = field(repr=False)
    source_format: str
    name: str = ""
    sha256: str = ""
    remarks: tuple[str, ...] = ()


def is_volume(files: Sequence[tuple[str, bytes]]) -> bool:
    """Whether files are to be opened as a CT rather than decoded as pictures.

    That is where there is NIfTI, an archive, or more than one frame of DICOM, X-rays left aside, among them.

    Args:
        files: names and contents.
    """
    if any(is_nifti(d) or archive.is_zip(d) or n.lower().endswith((".nii", ".gz", ".zip")) for n, d in files):
        return True
    slices = [data for name, data in files if _is_dicom(name, data)]
    if not slices:
        return False
    from covid_core import series  # as in `_series`

    return sum(map(series.count_frames, slices)) > 1


def open_scan(files: Sequence[tuple[str, bytes]]) -> Scan:
    """Find out what the files hold, and check it as far as that goes without decoding.

    Args:
        files: names and contents.

    Raises:
        ImageError: the files are no CT, too large, encrypted, of several series, or do not say where the slices lie. A
            damaged file can raise anything else.
    """
    members, others = _unpack(files)
    volumes = {_sha256(data): data for _, data in members if is_nifti(data)}
    images = {_sha256(data): data for name, data in members if _is_dicom(name, data)}
    others += sum(not (is_nifti(data) or _is_dicom(name, data)) for name, data in members)
    if not volumes and not images:
        if any(name.lower().endswith((".nii", ".nii.gz")) for name, _ in members):
            raise ImageError(
                "This file is named as NIfTI but is none, or is damaged. Save the CT as .nii or .nii.gz again."
            )
        raise ImageError(f"There is no CT in this. Upload {ACCEPTED}. A zip archive of pictures is for the page Batch.")
    if len(volumes) > 1 or (volumes and images):
        raise ImageError("There is more than one volume in this. Upload a single one: the CT itself, without masks.")
    scan = _nifti(next(iter(volumes.values())), others) if volumes else _series(list(images.values()), others)
    used = [name for name, data in files if is_nifti(data) or _is_dicom(name, data)] or [files[0][0]]
    name = PurePosixPath(used[0].replace("\\", "/")).name or "CT"
    digests = sorted([*volumes, *images])
    return replace(
        scan,
        name=name if len(used) == 1 else f"{name} and {len(used) - 1} more",
        sha256=digests[0] if len(digests) == 1 else _sha256("".join(digests).encode()),
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _unpack(files: Sequence[tuple[str, bytes]]) -> tuple[list[tuple[str, bytes]], int]:
    """The files, or those in a zip archive that may be of a CT, and how many others are in it."""
    if not any(data for _, data in files):
        raise ImageError(f"The file is empty. Upload {ACCEPTED}.")
    if len(files) > MAX_FILES:
        raise ImageError(f"These are {len(files):,} files; at most {MAX_FILES:,} are read. Upload the CT series alone.")
    if sum(len(data) for _, data in files) > MAX_BYTES:
        raise ImageError(TOO_LONG)
    if not any(archive.is_zip(data) for _, data in files):
        return list(files), 0
    if len(files) > 1:
        raise ImageError("There is a zip archive among several files. Upload it alone, or the files in it.")
    packed = archive.members(files[0][1])
    # Next to the slices on a CD there are a viewer and films, which are not to be unpacked.
    members = [m for m in packed if _may_be_ct(m.name)] or packed
    if sum(member.size for member in members) > MAX_UNPACKED:
        raise ImageError(TOO_LONG)
    return [(member.name, member.read()) for member in members], len(packed) - len(members)


def _may_be_ct(name: str) -> bool:
    """Whether a file of this name can be a slice or a volume: many DICOM files have no ending, or the end of a number."""
    ending = PurePosixPath(name).suffix.lower()[1:]
    return ending in ("", "dcm", "dicom", "ima", "img", "nii", "gz") or ending.isdigit()


def _is_dicom(name: str, data: bytes) -> bool:
    return data[128:132] == b"DICM" or name.lower().endswith((".dcm", ".dicom"))


def _series(files: list[bytes], others: int) -> Scan:
    from covid_core import series  # here, because it imports this module, and pydicom, which a NIfTI file does not need

    return series.open_series(files, others)


def left_out(files: int) -> tuple[str, ...]:
    """The remark that so many files beside a CT are no part of it; none of none."""
    return (f"Files that are not CT slices were left out: {files}.",) if files else ()


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
    tools = _nibabel().orientations
    view = tools.ornt_transform(tools.io_orientation(affine), tools.axcodes2ornt("LPI"))
    return np.asarray(view, np.float64)


def turned(values: NDArray[Any], view: NDArray[np.float64]) -> NDArray[Any]:
    """The values with their axes turned by `to_view` and in reverse, so that the last is the left: no copy."""
    return np.asarray(_nibabel().apply_orientation(values, view)).T


def _nibabel() -> Any:
    import nibabel  # here, because it is slow to import; most of it has no types

    return nibabel


def _nifti(data: bytes, others: int) -> Scan:
    """Open a NIfTI file beside so many others; only its header is read before its size is known to be bearable."""
    nifti = _nibabel()
    stream = gzip.GzipFile(fileobj=BytesIO(data)) if data.startswith(b"\x1f\x8b") else BytesIO(data)
    head = stream.read(540)
    is_second = head[4:8] == b"n+2\0"
    header = nifti.Nifti2Header(head, check=False) if is_second else nifti.Nifti1Header(head[:348], check=False)
    if not is_second and head[344:348] != b"n+1\0":
        raise ImageError("This is the header of a NIfTI volume without its values. Save both in one file, as .nii.")
    shape, offset, kind = _nifti_layout(header)
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
    return Scan(len(volume), (volume.shape[1], volume.shape[2]), (z, y, x), plane, "NIFTI", remarks=left_out(others))


def _nifti_layout(header: Any) -> tuple[tuple[int, ...], int, np.dtype[Any]]:
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
