"""From the bytes of a file to one grey picture, or to a sentence that says why not.

Everything that a visitor can choose as a file goes through `decode`. What is wrong with it is found out as early as
possible: its length before it is read, its kind from its first bytes, its size and number of frames from its header,
and only then are its pixels decoded, by Pillow (`covid_core.raster`) or as DICOM (`covid_core.dicom`).
"""

import hashlib
import re
from pathlib import Path, PurePosixPath

from covid_core import nifti, raster
from covid_core.picture import DecodedImage as DecodedImage  # handed on: who decodes needs no other module
from covid_core.picture import ImageError as ImageError
from covid_core.picture import enough_memory

MAX_BYTES = 64 * 1024 * 1024
ACCEPTED = "PNG, JPEG, WebP, TIFF, BMP or DICOM"
TOO_LONG = f"The file is larger than {MAX_BYTES // 1024**2} MB. Export a single picture, or save a smaller copy of it."

# (offset, bytes found there, what the file is then). The first that fits counts.
FOREIGN_FORMATS = (
    (0, b"%PDF", "a PDF document"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"ftypavi", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC photo"),
    (4, b"ftyphev", "a HEIC photo"),
    (4, b"ftypmif1", "a HEIC photo"),
    (4, b"ftypmsf1", "a HEIC photo"),
    (4, b"ftyp", "a video"),
    (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"\0\0\1\0", "an icon"),
    (0, b"PK\x03\x04", "a ZIP archive or an Office document"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x93NUMPY", "a NumPy array"),
)


def read(path: str | Path) -> DecodedImage:
    """Read and decode a file.

    Args:
        path: of the file.

    Returns:
        The picture; see `decode`.

    Raises:
        ImageError: there is no such file, it cannot be read, it is too long, or `decode` refuses it.
    """
    path = Path(path)
    return decode(read_bytes(path), path.name)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        ImageError: there is no such file, it cannot be read, or it is too long.
    """
    try:
        if path.is_dir():
            raise ImageError(f"{path} is a folder. Choose one picture in it.")
        if not path.exists():
            raise ImageError(f"There is no file {path}. Check the name and the folder.")
        if not path.is_file():
            raise ImageError(f"{path} is a pipe or a device. Save the picture as a file first.")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(TOO_LONG)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)  # no more, even if the file grows meanwhile
    except OSError as error:
        raise ImageError(f"The file {path} cannot be opened. Check that you are allowed to read it.") from error


def decode(data: bytes, name: str = "image") -> DecodedImage:
    """Decode a picture file.

    Colour becomes ITU-R 601 luma, what is transparent becomes black, and the rotation noted by a camera is applied.
    Grey of more than 8 bits (16 and 32-bit integers, floats) is scaled so that its smallest value becomes 0 and its
    largest 1 (outliers aside), because the file does not say how many of its bits are in use; if all are equal, they
    become 0.

    Args:
        data: the file's content, of one of the formats in `ACCEPTED`.
        name: the file's name. Only a name that ends in .dcm or .dicom changes anything: a file that no first bytes
            tell apart is then tried as DICOM without a preamble.

    Returns:
        The picture. The same bytes always give the same picture.

    Raises:
        ImageError: the file is empty, damaged, incomplete, of another format, longer than `MAX_BYTES`, has more than
            one frame, or its picture is smaller, larger or longer than the limits above. No other exception leaves.
    """
    name = PurePosixPath(name.replace("\\", "/")).name or "image"
    try:
        with enough_memory():
            return _decode(data, name)
    except ImageError:
        raise
    except Exception as error:  # the last boundary: a decoder can raise anything on a file made to break it
        raise ImageError(f"This file cannot be read. Save the picture again as {ACCEPTED}.") from error


def _decode(data: bytes, name: str) -> DecodedImage:
    if not data:
        raise ImageError("The file is empty. Choose it again or export the picture again.")
    if len(data) > MAX_BYTES:
        raise ImageError(TOO_LONG)
    sha256 = hashlib.sha256(data).hexdigest()
    if data[128:132] == b"DICM":
        return _decode_dicom(data, sha256, name)
    if reader := raster.reader_of(data):
        pixels, chroma = raster.decode(data, reader)
        return DecodedImage(pixels, None, chroma, str(reader.format), None, sha256, name)
    if foreign := _foreign(data):
        raise ImageError(foreign)
    if name.lower().endswith((".dcm", ".dicom")):
        return _decode_dicom(data, sha256, name)
    raise ImageError(f"This kind of file cannot be read here. Use {ACCEPTED}.")


def _decode_dicom(data: bytes, sha256: str, name: str) -> DecodedImage:
    from covid_core import dicom  # here, because it imports pydicom, which few files need

    pixels, hounsfield, modality = dicom.decode(data)
    return DecodedImage(pixels, hounsfield, 0.0, "DICOM", modality, sha256, name)


def _foreign(data: bytes) -> str | None:
    """Say what the file is if its kind is known but not read; None if the kind is not known."""
    if nifti.is_nifti(data):
        return (
            "This is a whole CT (NIfTI). Open it on the app's page Diagnose, or export one axial slice as PNG or DICOM."
        )
    if data.startswith(b"GIF8"):
        # Every frame begins with a block that says how long it is shown; a still picture has at most one.
        times = re.findall(rb"\x21\xf9\x04.{4}\0[\x21\x2c]", data, re.DOTALL)
        kind = "an animated GIF" if len(times) > 1 else "a GIF"
        return f"This is {kind}, which cannot be read here. Save one frame as PNG."
    found = next((kind for at, magic, kind in FOREIGN_FORMATS if data.startswith(magic, at)), None)
    head = data[:1024].lower()
    if found is None and b"<svg" in head:
        found = "an SVG drawing"
    elif found is None and b"<html" in head:
        found = "a web page"
    elif found is None and head.isascii() and not any(byte < 32 and byte not in b"\t\n\f\r" for byte in head):
        found = "a text file"
    return found and f"This is {found}, which cannot be read here. Save the picture itself as {ACCEPTED}."
