"""Zip archives, read a file at a time; what an archive says about itself is checked before anything is unpacked."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from covid_core.picture import ImageError

MAX_FILES = 1500  # a chest CT of half-millimetre slices has 800
SIGNATURE = b"PK\x03\x04"


@dataclass(frozen=True)
class Member:
    """A file in an archive.

    Attributes:
        name: with its folders.
        size: bytes when unpacked, as the archive says.
        read: gives the content, never more than `size` bytes; raises ImageError if it is damaged, encrypted or packed in an
            unusual way.
    """

    name: str
    size: int
    read: Callable[[], bytes]


def is_zip(data: bytes) -> bool:
    """Tell whether this is a zip archive that holds anything."""
    return data.startswith(SIGNATURE)


def members(data: bytes) -> list[Member]:
    """The files in an archive, in its order, none unpacked yet; not what systems note about folders (`._x`, `.DS_Store`).

    Raises:
        ImageError: the archive is damaged, all of it encrypted or packed in an unusual way, or it holds more than
            `MAX_FILES` files.
    """
    # Counted by their signature, because an object is made of every entry as soon as the archive is opened.
    if data.count(b"PK\x01\x02") > MAX_FILES:
        raise ImageError(f"The zip archive holds more than {MAX_FILES:,} files. Pack fewer of them.")
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ImageError(
            "The zip archive is damaged or incomplete. Upload it packed anew, or the files in it."
        ) from error
    named = [e for e in archive.infolist() if e.filename]  # `is_dir` fails on a name that is empty
    entries = [e for e in named if not e.is_dir() and not e.filename.rpartition("/")[2].startswith(".")]
    if entries and all(_locked(entry) for entry in entries):
        raise ImageError(_locked(entries[0]))
    return [Member(entry.filename, entry.file_size, partial(_read, archive, entry)) for entry in entries]


def _locked(entry: zipfile.ZipInfo) -> str:
    """Why a file in an archive cannot be unpacked, or ""."""
    if entry.flag_bits & 1:
        return "The zip archive is encrypted. Upload it without a password."
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "The zip archive is packed in an unusual way. Pack it again as an ordinary zip archive."
    return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    if reason := _locked(entry):
        raise ImageError(reason)
    try:
        with archive.open(entry) as file:
            # Not all at once, which would unpack more than the entry says before finding out.
            return file.read(entry.file_size)
    except Exception as error:  # zipfile, zlib and struct each have their own
        raise ImageError("This file in the zip archive is damaged. Pack it again.") from error
