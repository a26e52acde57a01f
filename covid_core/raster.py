"""PNG, JPEG, WebP, TIFF and BMP files, decoded by Pillow: 8 and 16 bits, palettes, transparency, CMYK, a camera's rotation."""

import contextlib
from io import BytesIO

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

from covid_core.picture import MAX_PIXELS, Array, ImageError, check_size, over_full_range

# A TIFF file can hold millions of pages, and each has to be visited to be counted.
MAX_COUNTED_FRAMES = 100
MAX_SCANS = 100  # of a progressive JPEG, which has about ten; each passes over the whole picture
TILE_WIDTH, TILE_LENGTH = 322, 323  # tags of TIFF
# ITU-R 601, the weights of Pillow's mode "L".
LUMA = (0.299, 0.587, 0.114)
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def reader_of(data: bytes) -> type[ImageFile] | None:
    """The Pillow class that reads what begins with these bytes; None of anything else."""
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


def decode(data: bytes, reader: type[ImageFile]) -> tuple[Array, float]:
    """Decode a file.

    Args:
        data: the file's content.
        reader: what `reader_of` gives of it.

    Returns:
        Grey levels [H, W] float32, 0..1, as `images.decode` describes them.
        Chroma, 0..1.

    Raises:
        ImageError: damaged, incomplete, of several frames, or of a size that `check_size` refuses.
    """
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
        return pixels, chroma
    except (ImageError, MemoryError):
        raise
    except DecompressionBombError as error:
        raise ImageError("The picture is too large. Save a smaller copy of it.") from error
    except Exception as error:  # Pillow has no exception of its own for a damaged file; a dozen kinds are seen
        raise ImageError(
            f"This {kind} file is damaged, incomplete or of an unusual kind. Open it in a picture viewer and save it "
            "again as PNG."
        ) from error


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
