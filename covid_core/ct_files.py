"""From what a visitor chose to a CT: which files are one, and what is in them.

Read are a NIfTI volume (`covid_core.nifti`), the DICOM files of one series, one DICOM file of several frames
(`covid_core.series`), and a zip archive that holds one of these. As in `covid_core.images`, sizes are checked before anything is
unpacked or decoded.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from covid_core import archive, nifti
from covid_core.archive import MAX_FILES
from covid_core.nifti import is_nifti
from covid_core.picture import ImageError
from covid_core.scan import ACCEPTED, MAX_BYTES, MAX_UNPACKED, TOO_LONG, Scan


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
    from covid_core import series  # here, because it imports pydicom, which other files do not need

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
    if volumes:
        scan = nifti.open_volume(next(iter(volumes.values())))
    else:
        from covid_core import series

        scan = series.open_series(list(images.values()))
    used = [name for name, data in files if is_nifti(data) or _is_dicom(name, data)] or [files[0][0]]
    name = PurePosixPath(used[0].replace("\\", "/")).name or "CT"
    digests = sorted([*volumes, *images])
    others += scan.left_out
    return replace(
        scan,
        name=name if len(used) == 1 else f"{name} and {len(used) - 1} more",
        sha256=digests[0] if len(digests) == 1 else _sha256("".join(digests).encode()),
        remarks=(f"Files that are not CT slices were left out: {others}.",) * (others > 0) + scan.remarks,
        left_out=others,
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
