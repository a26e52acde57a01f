"""Every way a file can be read or refused, on pictures made here."""

import gzip
import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from covid_core import images
from covid_core.images import DecodedImage, ImageError, decode, read

HEIGHT, WIDTH = 70, 90
SMALLEST = images.MIN_SIDE
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


# Formats, modes and depths


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "WEBP"])
def test_lossless_grey_is_exact(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode(encode(GREY, kind, **options), "scans/a.b.png")
    check(image)
    np.testing.assert_array_equal(image.pixels, UNIT)
    assert (image.source_format, image.chroma, image.modality_hint, image.hounsfield) == (kind, 0, None, None)
    assert image.shape == (HEIGHT, WIDTH) and image.name == "a.b.png"


def test_jpeg_is_close() -> None:
    image = decode(encode(GREY, "JPEG", quality=95))
    assert image.source_format == "JPEG"
    np.testing.assert_allclose(image.pixels, UNIT, atol=0.02)


def test_name_and_hash() -> None:
    data = encode(GREY)
    image = decode(data, "C:\\scans\\Röntgen 1.png")
    assert image.name == "Röntgen 1.png"
    assert decode(data).sha256 == image.sha256 and len(image.sha256) == 64


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit(kind: str) -> None:
    image = decode(encode(GREY.point(lambda value: 255 * (value > 99), "1"), kind))
    np.testing.assert_array_equal(image.pixels, (RAMP > 99).astype(np.float32))


def test_colour_is_luma_and_has_chroma() -> None:
    image = decode(encode(colour(200, 100, 50)))
    np.testing.assert_allclose(image.pixels, (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255, atol=1e-6)
    assert image.chroma == pytest.approx(150 / 255)
    assert decode(encode(colour(255, 255, 255))).pixels.max() == 1


def test_grey_saved_as_colour_is_the_same_picture() -> None:
    image = decode(encode(GREY.convert("RGB")))
    np.testing.assert_array_equal(image.pixels, UNIT)
    assert image.chroma == 0


def test_palette() -> None:
    image = decode(encode(GREY.convert("P")))
    np.testing.assert_array_equal(image.pixels, UNIT)
    picture = Image.new("P", (WIDTH, HEIGHT), 1)
    picture.putpalette([0, 0, 0, 0, 0, 255])
    assert decode(encode(picture)).pixels.max() == pytest.approx(0.114)
    assert decode(encode(picture, transparency=1)).pixels.max() == 0


def test_transparency_is_black() -> None:
    half = Image.new("L", GREY.size, 51)
    for mode in ("LA", "RGBA"):
        picture = GREY.convert(mode)
        picture.putalpha(half)
        np.testing.assert_allclose(decode(encode(picture)).pixels, UNIT * np.float32(0.2), atol=1e-6)
    red = colour(255, 0, 0)
    red.putalpha(half)
    assert decode(encode(red)).chroma == pytest.approx(0.2)
    masked = decode(encode(GREY, transparency=255)).pixels
    np.testing.assert_array_equal(masked, np.where(RAMP == 255, 0, UNIT))


@pytest.mark.parametrize(("mode", "kind"), [("CMYK", "TIFF"), ("CMYK", "JPEG"), ("YCbCr", "TIFF"), ("YCbCr", "JPEG")])
def test_other_colour_spaces(mode: str, kind: str) -> None:
    image = decode(encode(colour(200, 100, 50).convert(mode), kind))
    np.testing.assert_allclose(image.pixels, (0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255, atol=0.02)


def test_lab() -> None:
    picture = Image.new("LAB", (WIDTH, HEIGHT), (255, 128, 128))
    np.testing.assert_allclose(decode(encode(picture, "TIFF")).pixels, 1, atol=0.01)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("top", [4095, 65535])
def test_sixteen_bits_are_scaled_to_their_range(kind: str, top: int) -> None:
    stored = np.linspace(100, top, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    image = decode(encode(Image.fromarray(stored), kind))
    check(image)
    np.testing.assert_allclose(image.pixels, (stored - 100.0) / (top - 100.0), atol=1e-6)
    assert image.chroma == 0


def test_big_endian_sixteen_bits() -> None:
    stored = np.linspace(7, 60000, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    raw = Image.frombytes("I;16B", GREY.size, stored.astype(">u2").tobytes())
    np.testing.assert_array_equal(
        decode(encode(raw, "TIFF")).pixels, decode(encode(Image.fromarray(stored), "TIFF")).pixels
    )


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thirty_two_bits(dtype: type) -> None:
    stored = (RAMP.astype(np.float64) * 1000 - 70_000).astype(dtype)
    np.testing.assert_allclose(decode(encode(Image.fromarray(stored), "TIFF")).pixels, UNIT, atol=1e-6)


def test_large_integers_that_differ_little() -> None:
    stored = 2_000_000_000 + RAMP.astype(np.int32)
    np.testing.assert_allclose(decode(encode(Image.fromarray(stored), "TIFF")).pixels, UNIT, atol=1e-6)


def test_huge_floats() -> None:
    stored = np.where(RAMP > 100, 3e38, -3e38).astype(np.float32)
    np.testing.assert_array_equal(decode(encode(Image.fromarray(stored), "TIFF")).pixels, RAMP > 100)


def test_deep_picture_of_one_value_is_black() -> None:
    assert decode(encode(Image.fromarray(np.full((HEIGHT, WIDTH), 4000, np.uint16)))).pixels.max() == 0


def test_deep_tiff_in_which_white_is_zero() -> None:
    stored = RAMP.astype(np.uint16) * 16
    data = encode(Image.fromarray(stored), "TIFF")
    assert data.count(struct.pack("<HHIH", 262, 3, 1, 1)) == 1
    turned = data.replace(struct.pack("<HHIH", 262, 3, 1, 1), struct.pack("<HHIH", 262, 3, 1, 0))
    np.testing.assert_allclose(decode(turned).pixels, 1 - decode(data).pixels, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers(bad: float) -> None:
    stored = RAMP.astype(np.float32)
    stored[3, 3] = bad
    assert "not numbers" in refusal(encode(Image.fromarray(stored), "TIFF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(2, RAMP[:, ::-1]), (3, RAMP[::-1, ::-1]), (6, np.rot90(RAMP, -1)), (8, np.rot90(RAMP)), (5, RAMP.T)],
)
def test_rotation_of_cameras(kind: str, orientation: int, turned: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    image = decode(encode(GREY, kind, exif=exif, **options))
    np.testing.assert_allclose(image.pixels, turned / np.float32(255), atol=0.06 if kind == "JPEG" else 1e-6)


# What is refused before the pixels are decoded


@pytest.fixture
def no_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: object) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


@pytest.mark.usefixtures("no_pixels")
@pytest.mark.parametrize(
    ("width", "height", "said"),
    [
        (40_000, 40_000, "40,000 x 40,000 px, which is too large"),
        (20_001, 100, "too large"),
        (19_000, 19_000, "too large"),
        (9_500, 9_500, "too large"),  # the size of which Pillow would warn
        (1, 1, f"1 x 1 px, which is too small to read. Use the original picture, with at least {SMALLEST} px on each"),
        (SMALLEST - 1, SMALLEST, "too small"),
        (SMALLEST, 4 * SMALLEST + 1, "more than 4 times as long as wide"),
    ],
)
def test_sizes(width: int, height: int, said: str, recwarn: pytest.WarningsRecorder) -> None:
    start = time.perf_counter()
    assert said in refusal(png(width, height))
    assert time.perf_counter() - start < 1
    assert not recwarn.list


def test_smallest_and_longest_accepted() -> None:
    assert decode(encode(Image.new("L", (SMALLEST, 4 * SMALLEST)))).shape == (4 * SMALLEST, SMALLEST)


def test_webp_that_claims_to_be_huge() -> None:
    data = encode(GREY.convert("RGB"), "WEBP", lossless=True)
    header = b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<II", 10, 0) + b"\xff\xff\0" * 2
    assert "too large" in refusal(header + data[12:])


def test_size_limit_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    assert "larger than 64 MB" in refusal(b"\0" * 101)
    path = tmp_path / "long.png"
    path.write_bytes(b"\0" * 101)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was opened"))
    with pytest.raises(ImageError, match="larger than 64 MB"):
        read(path)


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP"])
def test_more_than_one_frame(kind: str) -> None:
    others = [GREY.point(lambda value, step=step: value // step) for step in (2, 3)]
    said = refusal(encode(GREY, kind, save_all=True, append_images=others))
    assert kind in said and "3 frames" in said


def test_endless_tiff_is_not_counted_to_the_end() -> None:
    picture = Image.new("1", (SMALLEST, SMALLEST))
    said = refusal(encode(picture, "TIFF", save_all=True, append_images=[picture] * (images.MAX_COUNTED_FRAMES + 9)))
    assert "100 or more frames" in said


# Other files


def test_gif() -> None:
    assert refusal(encode(GREY, "GIF")) == "This is a GIF, which is not read. Save one frame as PNG."
    animated = encode(GREY, "GIF", save_all=True, append_images=[GREY.rotate(180)], duration=50)
    assert "an animated GIF" in refusal(animated)


NIFTI = struct.pack("<i", 348) + b"\0" * 340 + b"n+1\0" + b"\0" * 100


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"patient,age\n1,2\n", "a text file"),
        (b"<!DOCTYPE html><html><body>", "a web page"),
        (b'<?xml version="1.0"?><svg width="3">', "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0", "a HEIC photo"),
        (b"\0\0\0\x18ftypavif\0\0", "an AVIF picture"),
        (b"\0\0\0\x18ftypmp42\0\0", "a video"),
        (b"PK\x03\x04\0\0", "a ZIP archive"),
        (gzip.compress(b"\0" * 999), "a gzip archive"),
        (b"\x1f\x8b not gzip", "a gzip archive"),
        (NIFTI, "volumes are not read yet. Export one axial slice as PNG or DICOM."),
        (gzip.compress(NIFTI), "volumes are not read yet"),
        (struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + b"\0" * 600, "volumes are not read yet"),
        (b"\x80\x81\0\0\x82" * 50, "not a picture of a kind that is read here"),
    ],
)
def test_foreign_files(data: bytes, said: str) -> None:
    assert said in refusal(data, "scan.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_cut_files(kind: str) -> None:
    data = encode(GREY.resize((300, 300)), kind)
    for part in (0.1, 0.5, 0.9):
        assert f"This {kind} file is damaged" in refusal(data[: int(len(data) * part)])


def test_cut_progressive_jpeg() -> None:
    data = encode(GREY.resize((300, 300)), "JPEG", progressive=True)
    assert "damaged" in refusal(data[: len(data) // 2])


@pytest.mark.parametrize(
    "start", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"II*\0", b"MM\0*", b"BM", b"RIFF\0\0\0\0WEBP"]
)
def test_only_the_first_bytes_are_right(start: bytes) -> None:
    assert "damaged" in refusal(start + b"\x01\x02\x03\0" * 40)


def test_reading_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "chest.png"
    path.write_bytes(encode(GREY))
    assert read(str(path)).name == "chest.png"
    np.testing.assert_array_equal(read(path).pixels, UNIT)
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(ImageError, match=r"no file .*absent\.png"):
        read(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="no file"):
        read("a\0b")


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    path = tmp_path / "chest.png"
    path.write_bytes(encode(GREY))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match="allowed to read it"):
        read(path)


@pytest.mark.parametrize("error", [MemoryError, RecursionError, KeyError])
def test_no_other_exception_leaves(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(images, "_reader", fail)
    refusal(encode(GREY))
    monkeypatch.undo()
    monkeypatch.setattr(images, "_grey", fail)
    refusal(encode(GREY))


def test_pydicom_is_imported_only_for_dicom() -> None:
    code = "import sys, covid_core.images; sys.exit('pydicom' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# DICOM


def test_hounsfield_units_and_lung_window() -> None:
    stored = np.resize(np.array([0, 100, 500, 1100, 2000], np.uint16), (HEIGHT, WIDTH))
    image = decode(dicom(stored, WindowCenter=40, WindowWidth=400), "slice.dcm")
    check(image)
    assert (image.source_format, image.modality_hint, image.chroma) == ("DICOM", "ct", 0)
    assert image.hounsfield is not None
    np.testing.assert_array_equal(image.hounsfield[0, :5], [-1000, -800, 0, 1200, 3000])
    np.testing.assert_allclose(image.pixels[0, :5], [350 / 1500, 550 / 1500, 0.9, 1, 1], atol=1e-6)


def test_padding_and_less_than_air_become_air() -> None:
    stored = np.full((HEIGHT, WIDTH), 40, np.int16)
    stored[0] = -2000
    stored[1] = -3024
    common = {"RescaleSlope": 1, "RescaleIntercept": 0}
    for padding in ({}, {"PixelPaddingValue": -2000}):
        found = decode(dicom(stored, **common, **padding)).hounsfield
        assert found is not None and (found[:2] == -1024).all() and (found[2:] == 40).all()
    ends = {"PixelPaddingValue": 30, "PixelPaddingRangeLimit": 50}
    found = decode(dicom(stored, **common, **ends)).hounsfield
    assert found is not None and (found == -1024).all()


def test_hounsfield_units_do_not_depend_on_how_they_were_shown() -> None:
    np.testing.assert_array_equal(decode(dicom(PhotometricInterpretation="MONOCHROME1")).pixels, decode(dicom()).pixels)


@pytest.mark.parametrize("tags", [{"RescaleSlope": None, "RescaleIntercept": None}, {"RescaleType": "US"}])
def test_ct_without_hounsfield_units(tags: dict[str, object]) -> None:
    image = decode(dicom(**tags))
    assert image.hounsfield is None and image.modality_hint == "ct"
    assert image.pixels.min() == 0 and image.pixels.max() == 1


@pytest.mark.parametrize("tags", [{"RescaleSlope": 0}, {"RescaleSlope": "1e300"}])
def test_senseless_slope(tags: dict[str, object]) -> None:
    assert "damaged" in refusal(dicom(**tags))


@pytest.mark.parametrize("modality", ["CR", "DX", "RG", "RF"])
def test_xray_without_window_goes_from_smallest_to_largest(modality: str) -> None:
    stored = 300 + RAMP.astype(np.uint16)
    image = decode(xray(stored, Modality=modality))
    check(image)
    assert image.modality_hint == "xray" and image.hounsfield is None
    np.testing.assert_allclose(image.pixels, UNIT, atol=1e-6)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"WindowCenter": 2000, "WindowWidth": 3000},
        {"VOILUTFunction": "SIGMOID", "WindowCenter": 9, "WindowWidth": 8},
    ],
)
def test_monochrome1_is_monochrome2_turned_round(tags: dict[str, object]) -> None:
    plain = decode(xray(**tags)).pixels
    turned = decode(xray(PhotometricInterpretation="MONOCHROME1", **tags)).pixels
    np.testing.assert_allclose(turned, 1 - plain, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR", 0.5 + 0.5 / 99),
        ("LINEAR_EXACT", 0.5),
        ("SIGMOID", 0.5),
    ],
)
def test_window_of_the_file(function: str, expected: float) -> None:
    stored = np.resize(np.array([0, 150, 900], np.uint16), (HEIGHT, WIDTH))
    stored[:, ::2] = 150
    tags = {"WindowCenter": [150, 7], "WindowWidth": [100, 7], "VOILUTFunction": function}
    pixels = decode(xray(stored, **tags)).pixels
    assert pixels[stored == 150] == pytest.approx(expected, abs=1e-6)
    assert pixels[stored == 0].max() < 0.01 and pixels[stored == 900].min() > 0.99


@pytest.mark.parametrize("width", [0, 1, -5])
def test_useless_window_is_ignored(width: int) -> None:
    stored = RAMP.astype(np.uint16)
    np.testing.assert_allclose(decode(xray(stored, WindowCenter=9, WindowWidth=width)).pixels, UNIT, atol=1e-6)


def table(entries: np.ndarray, first: int) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(entries), first, 16])
    item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    return Sequence([item])


@pytest.mark.parametrize("tag", ["VOILUTSequence", "ModalityLUTSequence"])
def test_look_up_tables(tag: str) -> None:
    stored = np.resize(np.array([0, 10, 11, 12, 99], np.uint16), (HEIGHT, WIDTH))
    pixels = decode(xray(stored, **{tag: table(np.array([1000, 1500, 3000]), 10)})).pixels
    np.testing.assert_allclose(pixels[0, :5], [0, 0, 0.25, 1, 1], atol=1e-6)


def test_padding_of_an_xray_is_black_and_does_not_count() -> None:
    stored = 300 + RAMP.astype(np.uint16)
    stored[:5] = 60_000
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        pixels = decode(xray(stored, PixelPaddingValue=60_000, PhotometricInterpretation=kind)).pixels
        assert (pixels[:5] == 0).all() and pixels[5:].max() == 1


@pytest.mark.parametrize("modality", ["OT", None, ""])
def test_unknown_modality_gives_no_hint(modality: str | None) -> None:
    assert decode(xray(Modality=modality)).modality_hint is None


@pytest.mark.parametrize(("modality", "said"), [("MR", "an MR image"), ("US", "an ultrasound"), ("MG", "a mammogram")])
def test_other_modalities(modality: str, said: str) -> None:
    sentence = refusal(dicom(Modality=modality))
    assert said in sentence and f"modality {modality}" in sentence


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "a CT localizer"),
        ({"PixelData": None}, "holds no picture"),
        ({"NumberOfFrames": 120}, "120 frames. Export one of them"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
        ({"Rows": 30_000, "Columns": 30_000}, "too large"),
        ({"Rows": SMALLEST - 1}, "too small"),
        ({"Rows": HEIGHT + 9}, "damaged"),
        ({"Rows": None}, "damaged"),
    ],
)
def test_unusable_dicom(tags: dict[str, object], said: str) -> None:
    assert said in refusal(dicom(**tags))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_byte_orders(syntax: str) -> None:
    stored = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH)
    data = dicom(stored.byteswap() if syntax == ExplicitVRBigEndian else stored, syntax=syntax)
    np.testing.assert_array_equal(decode(data).hounsfield, stored * 2.0 - 1000)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_without_preamble_the_name_must_say_dicom(syntax: str) -> None:
    data = dicom(syntax=syntax, preamble=False)
    np.testing.assert_array_equal(decode(data, "A.DCM").pixels, decode(dicom()).pixels)
    assert "not a picture" in refusal(data, "A.png")
    assert "though its name says so" in refusal(dicom(syntax=syntax, preamble=False, SOPClassUID=None), "a.dcm")
    refusal(b"\x08\0\x05\0\xf3\x99" * 60, "a.dcm")
    assert decode(encode(GREY), "a.dcm").source_format == "PNG"


def jpeg2000(picture: Image.Image) -> bytes:
    return encode(picture, "JPEG2000", no_jp2=True)


def test_compressed() -> None:
    common = {"RescaleSlope": 1, "RescaleIntercept": 0}
    rle = struct.pack("<16I", 1, 64, *[0] * 14) + b"".join(bytes([len(row) - 1]) + row.tobytes() for row in RAMP)
    for syntax, frame, error in [
        (JPEG2000Lossless, jpeg2000(GREY), 0),
        (RLELossless, rle + b"\x80" * (len(rle) % 2), 0),
        (JPEGBaseline8Bit, encode(GREY, "JPEG", quality=95), 5),
    ]:
        found = decode(dicom(RAMP, syntax=syntax, frame=frame, **common)).hounsfield
        np.testing.assert_allclose(found, RAMP, atol=error)


def test_compressed_picture_must_have_the_size_the_tags_promise() -> None:
    for syntax, make in [(JPEG2000Lossless, jpeg2000), (JPEGBaseline8Bit, lambda picture: encode(picture, "JPEG"))]:
        assert "damaged" in refusal(dicom(RAMP, syntax=syntax, frame=make(GREY.resize((WIDTH * 9, HEIGHT * 9)))))


def test_cut_and_unread_compression() -> None:
    frame = jpeg2000(GREY)
    assert "damaged" in refusal(dicom(RAMP, syntax=JPEG2000Lossless, frame=frame[: len(frame) // 8 * 2]))
    assert "not read" in refusal(dicom(RAMP, syntax=MPEG2MPML, frame=b"\0\0"))
    assert "deflated" in refusal(dicom(RAMP, syntax=DeflatedExplicitVRLittleEndian))
    data = dicom()
    assert "damaged" in refusal(data[: len(data) * 3 // 4])


def test_nothing_of_the_patient_is_kept() -> None:
    who = {"PatientName": "Doe^Jane", "PatientID": "ID-4711", "InstitutionName": "Clinic", "StudyDate": "20200401"}
    image = decode(dicom(**who), "slice.dcm")
    held = repr(image) + repr(vars(image))
    assert not any(value in held for value in who.values())
    for modality in ("CT", "MR"):
        with pytest.raises(ImageError) as caught:
            decode(dicom(Modality=modality, PixelData=None, **who))
        assert not any(value in str(caught.value) for value in who.values())


# Anything at all

VALID: dict[str, Callable[[], bytes]] = {
    "png": lambda: encode(GREY),
    "palette": lambda: encode(GREY.convert("P"), transparency=3),
    "deep": lambda: encode(Image.fromarray(RAMP.astype(np.uint16) * 9)),
    "jpeg": lambda: encode(GREY, "JPEG"),
    "webp": lambda: encode(GREY, "WEBP"),
    "tiff": lambda: encode(GREY, "TIFF"),
    "bmp": lambda: encode(GREY, "BMP"),
    "gif": lambda: encode(GREY, "GIF"),
    "ct": dicom,
    "xray": lambda: xray(WindowCenter=99, WindowWidth=99, PixelPaddingValue=5),
    "jpeg2000": lambda: dicom(RAMP, syntax=JPEG2000Lossless, frame=jpeg2000(GREY)),
}
FILES = {kind: make() for kind, make in VALID.items()}
QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def decode_or_refuse(data: bytes, name: str) -> None:
    try:
        image = decode(data, name)
    except ImageError as error:
        assert str(error).endswith(".")
    else:
        check(image)


@QUICK
@given(
    data=st.binary(max_size=600),
    start=st.sampled_from([b"", *(file[:24] for file in FILES.values()), FILES["ct"][:400]]),
    name=st.sampled_from(["a.png", "a.dcm", "", "/", "a\0b"]),
)
def test_random_bytes(data: bytes, start: bytes, name: str) -> None:
    decode_or_refuse(start + data, name)


@pytest.mark.parametrize("kind", sorted(FILES))
@pytest.mark.filterwarnings("ignore")
@QUICK
@given(data=st.data())
def test_damaged_files(kind: str, data: st.DataObject) -> None:
    changed = bytearray(FILES[kind])
    ends = st.one_of(st.integers(0, min(700, len(changed) - 1)), st.integers(0, len(changed) - 1))
    for at in data.draw(st.lists(ends, max_size=5)):
        changed[at] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del changed[data.draw(ends) :]
    decode_or_refuse(bytes(changed), "a.dcm")


@pytest.mark.parametrize("kind", sorted(set(FILES) - {"gif"}))
def test_same_bytes_same_picture(kind: str) -> None:
    first, second = decode(FILES[kind]), decode(FILES[kind])
    check(first)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert (first.chroma, first.sha256) == (second.chroma, second.sha256)
