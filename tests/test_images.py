"""Every way a picture file can be read or refused. DICOM has its own tests."""

import gzip
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from pydicom.uid import JPEG2000Lossless

from covid_core import images, raster
from covid_core.images import ImageError, decode, read
from tests.pictures import (
    GREY,
    HEIGHT,
    RAMP,
    SMALLEST,
    UNIT,
    WIDTH,
    check,
    colour,
    dicom,
    encode,
    jpeg2000,
    png,
    refusal,
    xray,
)

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


def test_a_dead_pixel_does_not_darken_the_others() -> None:
    stored = np.linspace(100, 4095, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    stored[5, 5] = 65535
    found = decode(encode(Image.fromarray(stored), "PNG")).pixels
    expected = np.clip((stored - 100.0) / (4095 - 100), 0, 1)
    assert found[5, 5] == 1 and np.abs(found - expected).max() < 0.002


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
    assert said in refusal(png(width, height))
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
    said = refusal(encode(picture, "TIFF", save_all=True, append_images=[picture] * (raster.MAX_COUNTED_FRAMES + 9)))
    assert "100 or more frames" in said


# Other files


def test_jpeg_of_endless_passes() -> None:
    whole = encode(GREY, "JPEG", progressive=True)
    last = whole[whole.rfind(b"\xff\xda") : -2]
    assert decode(whole[:-2] + last * 9 + whole[-2:]).shape == (HEIGHT, WIDTH)
    assert "unusual kind" in refusal(whole[:-2] + last * 200 + whole[-2:])


def test_tiff_of_tiles_larger_than_any_picture() -> None:
    def entry(*numbers: int) -> bytes:
        return struct.pack("<HHII", *numbers)

    tags = {256: WIDTH, 257: HEIGHT, 258: 8, 259: 8, 262: 1, 277: 1, 322: 40_000, 323: 40_000, 324: 8, 325: 4}
    table = struct.pack("<H", len(tags)) + b"".join(entry(tag, 4, 1, value) for tag, value in tags.items()) + bytes(4)
    assert "unusual kind" in refusal(b"II*\0" + struct.pack("<I", 12) + bytes(4) + table)


def test_gif() -> None:
    assert refusal(encode(GREY, "GIF")) == "This is a GIF, which cannot be read here. Save one frame as PNG."
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
        (gzip.compress(b"\0" * 999, mtime=0), "a gzip archive"),
        (b"\x1f\x8b not gzip", "a gzip archive"),
        (NIFTI, "Open it on the app's page Diagnose, or export one axial slice as PNG or DICOM."),
        (gzip.compress(NIFTI, mtime=0), "This is a whole CT (NIfTI)"),
        (struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + b"\0" * 600, "This is a whole CT (NIfTI)"),
        (b"\x80\x81\0\0\x82" * 50, "kind of file cannot be read here"),
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

    monkeypatch.setattr(raster, "reader_of", fail)
    refusal(encode(GREY))
    monkeypatch.undo()
    monkeypatch.setattr(raster, "_grey", fail)
    refusal(encode(GREY))


def test_pydicom_is_imported_only_for_dicom() -> None:
    code = "import sys, covid_core.images; sys.exit('pydicom' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
