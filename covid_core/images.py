"""From the bytes of a file to one grey picture, or to a sentence that says why not.

Everything that a visitor can choose as a file goes through `decode`. What is wrong with it is found out as early as
possible: its length before it is read, its kind from its first bytes, its size and number of frames from its header,
and only then are its pixels decoded. DICOM files are read in `covid_core.dicom`.
"""

import contextlib
import hashlib
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.Image import DecompressionBombError, Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

Array = NDArray[np.float32]

MAX_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
MIN_SIDE = 48  # the smallest picture of the training data has a side of 61 px
MAX_ASPECT = 4
# A TIFF file can hold millions of pages, and each has to be visited to be counted.
MAX_COUNTED_FRAMES = 100
MAX_SCANS = 100  # of a progressive JPEG, which has about ten; each passes over the whole picture
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF

ACCEPTED = "PNG, JPEG, WebP, TIFF, BMP or DICOM"
TOO_LONG = f"The file is larger than {MAX_BYTES // 1024**2} MB. Export a single picture, or save a smaller copy of it."

# Share of the pixels, at each end, that may be outliers.
OUTLIERS = 0.0005
ENOUGH = 1_000_000
# ITU-R 601, the weights of Pillow's mode "L".
LUMA = (0.299, 0.587, 0.114)
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")

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
    if reader := _reader(data):
        return _decode_picture(data, reader, sha256, name)
    if foreign := _foreign(data):
        raise ImageError(foreign)
    if name.lower().endswith((".dcm", ".dicom")):
        return _decode_dicom(data, sha256, name)
    raise ImageError(f"This kind of file cannot be read here. Use {ACCEPTED}.")


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


def _decode_dicom(data: bytes, sha256: str, name: str) -> DecodedImage:
    from covid_core import dicom  # here, because it imports this module, and pydicom, which few files need

    pixels, hounsfield, modality = dicom.decode(data)
    return DecodedImage(pixels, hounsfield, 0.0, "DICOM", modality, sha256, name)


def _reader(data: bytes) -> type[ImageFile] | None:
    """Choose the Pillow class that reads what begins with these bytes."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return PngImageFile
    if data.startswith(b"\xff\xd8\xff"):
        return JpegImageFile
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return WebPImageFile
    if data.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return TiffImageFile
    if data.startswith(b"BM"):
        return BmpImageFile
    return None


def _decode_picture(data: bytes, reader: type[ImageFile], sha256: str, name: str) -> DecodedImage:
    """Decode what `reader` reads."""
    kind = reader.format or "picture"
    try:
        # Not `Image.open`, which warns of large pictures, and warnings can be silenced only for all threads at once.
        # Like it, this reads no more than the header.
        image = reader(BytesIO(data))
        check_size(*image.size)
        scans = data.count(b"\xff\xda") if reader is JpegImageFile else 0
        if scans > MAX_SCANS or _tile(image) > MAX_PIXELS:
            raise ImageError(f"This {kind} file is of an unusual kind. Open it in a picture viewer and save it as PNG.")
        if (frames := _count_frames(image)) > 1:
            many = f"{frames} or more" if frames == MAX_COUNTED_FRAMES else str(frames)
            raise ImageError(f"This {kind} file holds {many} frames or pages. Save the one you want as PNG.")
        # Raises if the file ends too early, instead of leaving the rest of the picture grey.
        image.load()
        with contextlib.suppress(Exception):  # what a camera noted is often damaged, and the picture whole
            ImageOps.exif_transpose(image, in_place=True)
        pixels, chroma = _grey(image)
        if image.mode in DEEP_MODES and _white_is_zero(image):
            pixels = 1 - pixels
    except (ImageError, MemoryError):
        raise
    except DecompressionBombError as error:
        raise ImageError("The picture is too large. Save a smaller copy of it.") from error
    except Exception as error:  # Pillow has no exception of its own for a damaged file; a dozen kinds are seen
        raise ImageError(
            f"This {kind} file is damaged, incomplete or of an unusual kind. Open it in a picture viewer and save it "
            "again as PNG."
        ) from error
    return DecodedImage(pixels, None, chroma, kind, None, sha256, name)


def _tile(image: ImageFile) -> int:
    """Pixels in each part of a TIFF file, which is unpacked whole, however small the picture; 0 where there are no parts."""
    if not isinstance(image, TiffImageFile):
        return 0
    return int(image.tag_v2.get(TILE_WIDTH) or 0) * int(image.tag_v2.get(TILE_LENGTH) or 0)


def _count_frames(image: ImageFile) -> int:
    """Count the frames, up to `MAX_COUNTED_FRAMES`."""
    if not isinstance(image, TiffImageFile):
        return int(getattr(image, "n_frames", 1))
    frames = 1
    while image.is_animated and frames < MAX_COUNTED_FRAMES:
        try:
            image.seek(frames)
        except EOFError:
            break
        frames += 1
    return frames


def _white_is_zero(image: ImageFile) -> bool:
    """Tell whether large values are dark. Pillow turns such TIFF files round only if they have 8 bits or fewer."""
    return isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == 0


def _grey(image: Image) -> tuple[Array, float]:
    """Return grey levels 0..1 [H, W], and chroma 0..1."""
    if image.mode in DEEP_MODES:
        return over_full_range(np.asarray(image)), 0.0
    if image.mode in ("1", "L") and not image.has_transparency_data:
        return _unit(image.convert("L")), 0.0
    alpha: Array | np.float32 = np.float32(1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = _unit(image.getchannel("A"))
    colours = [np.asarray(channel) for channel in image.convert("RGB").split()]
    spread = np.maximum.reduce(colours) - np.minimum.reduce(colours)
    if spread.any():
        luma = np.zeros(spread.shape, np.float32)
        for channel, weight in zip(colours, LUMA, strict=True):
            luma += channel * np.float32(weight / 255)
    else:
        luma = _unit(colours[0])  # a grey picture saved as colour gives exactly what the grey one does
    # Luma and spread are linear, so they can be blended with black after they are taken.
    return np.clip(luma * alpha, 0, 1), float(np.mean(spread * alpha, dtype=np.float64) / 255)


def _unit(values: Image | NDArray[np.uint8]) -> Array:
    """Scale 8 bits to 0..1."""
    return np.asarray(values, np.float32) / np.float32(255)


def _foreign(data: bytes) -> str | None:
    """Say what the file is if its kind is known but not read; None if the kind is not known."""
    if is_nifti(data):
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


def is_nifti(data: bytes) -> bool:
    """Tell whether this is a NIfTI-1 or NIfTI-2 file, compressed or not."""
    header = data[:352]
    if data.startswith(b"\x1f\x8b"):
        try:
            header = zlib.decompressobj(wbits=31).decompress(data[:4096], 352)
        except zlib.error:
            return False
    return header[344:348] in (b"n+1\0", b"ni1\0") or header[4:8] in (b"n+2\0", b"ni2\0")
