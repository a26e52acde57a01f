"""Pictures and DICOM files made in memory, and what has to hold of whatever is read from them."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian

from covid_core.images import DecodedImage, ImageError, decode
from covid_core.picture import MIN_SIDE

HEIGHT, WIDTH = 70, 90
SMALLEST = MIN_SIDE
RAMP = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint8)
GREY = Image.fromarray(RAMP)
UNIT = RAMP.astype(np.float32) / np.float32(255)


def encode(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def colour(red: int, green: int, blue: int) -> Image.Image:
    return Image.new("RGB", (WIDTH, HEIGHT), (red, green, blue))


def png(width: int, height: int, *, depth: int = 8, rows: bytes = b"", extra: bytes = b"") -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), extra, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def dicom(
    stored: np.ndarray | None = None,
    *,
    syntax: str = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    preamble: bool = True,
    **tags: object,
) -> bytes:
    """Write a CT with a slope of 2 and an intercept of -1000, changed by `tags`; a tag set to None is left out."""
    stored = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) if stored is None else stored
    dataset = Dataset()
    bits = stored.dtype.itemsize * 8
    values: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "SOPInstanceUID": "1.2.3",
        "Modality": "CT",
        "Rows": stored.shape[-2],
        "Columns": stored.shape[-1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(stored.dtype.kind == "i"),
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "PixelData": stored.tobytes() if frame is None else encapsulate([frame]),
    }
    for tag, value in (values | tags).items():
        if value is not None:
            setattr(dataset, tag, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OW" if frame is None else "OB"
        dataset["PixelData"].is_undefined_length = frame is not None
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", UID("1.2"))
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    file = io.BytesIO()
    if preamble:
        dataset.save_as(file, enforce_file_format=True)
    else:
        plain = Dataset(dataset)
        plain.save_as(file, implicit_vr=UID(syntax).is_implicit_VR, little_endian=UID(syntax).is_little_endian)
    return file.getvalue()


def xray(stored: np.ndarray | None = None, **tags: object) -> bytes:
    return dicom(stored, **({"Modality": "DX", "RescaleSlope": None, "RescaleIntercept": None} | tags))


def refusal(data: bytes, name: str = "image") -> str:
    with pytest.raises(ImageError) as caught:
        decode(data, name)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "Error" not in sentence and "Traceback" not in sentence
    return sentence


def check(image: DecodedImage) -> None:
    """What holds of every picture."""
    assert image.pixels.dtype == np.float32 and image.pixels.ndim == 2
    assert image.pixels.min() >= 0 and image.pixels.max() <= 1
    assert 0 <= image.chroma <= 1
    assert image.shape == image.pixels.shape
    if image.hounsfield is not None:
        assert image.hounsfield.dtype == np.float32 and image.hounsfield.shape == image.shape
        assert np.isfinite(image.hounsfield).all() and image.hounsfield.min() >= -1024


def unusable() -> dict[str, tuple[bytes, str]]:
    """Files that get a sentence and no answer, and a word of it, by their names."""
    noise = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    return {
        "empty.png": (b"", "empty"),
        "text.png": (b"no picture at all, just words", "text file"),
        "cut.jpg": (encode(GREY, "JPEG")[:400], "damaged"),
        "huge.png": (png(40_000, 40_000), "too large"),
        "dot.png": (encode(Image.new("L", (1, 1))), "too small"),
        "moving.gif": (encode(GREY, "GIF", save_all=True, append_images=[Image.fromarray(255 - RAMP)]), "GIF"),
        "empty.dcm": (dicom(PixelData=None), "no picture"),
        "colour.dcm": (
            dicom(noise, SamplesPerPixel=3, Rows=HEIGHT, Columns=WIDTH, PhotometricInterpretation="RGB"),
            "colour",
        ),
        "photo.png": (encode(Image.fromarray(noise)), "colour picture"),
        "blank.png": (encode(Image.new("L", (WIDTH, HEIGHT), 90)), "blank"),
    }


def jpeg2000(picture: Image.Image) -> bytes:
    return encode(picture, "JPEG2000", no_jp2=True)
