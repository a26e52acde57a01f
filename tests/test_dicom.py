"""Every way a DICOM file can be read or refused."""

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from covid_core.images import ImageError, decode
from tests.pictures import GREY, HEIGHT, RAMP, SMALLEST, UNIT, WIDTH, check, dicom, encode, jpeg2000, refusal, xray
from tests.volumes import enhanced, planes


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


@pytest.mark.parametrize("intercept", [0, 200])
def test_a_slice_without_air_is_not_in_hounsfield_units(intercept: int) -> None:
    image = decode(dicom(RAMP, RescaleSlope=1, RescaleIntercept=intercept))  # such as 8 bits saved as they were shown
    assert image.hounsfield is None and image.modality_hint == "ct"
    np.testing.assert_allclose(image.pixels, (RAMP - RAMP.min()) / np.ptp(RAMP), atol=1e-6)


def test_an_enhanced_ct_of_one_frame_is_a_slice() -> None:
    plane = planes()[2]
    image = decode(enhanced(plane[None]))
    assert image.hounsfield is not None
    np.testing.assert_array_equal(image.hounsfield, plane)


@pytest.mark.parametrize("tags", [{"RescaleSlope": 0}, {"RescaleSlope": "1e300"}, {"RescaleSlope": "1e-46"}])
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


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_a_window_too_narrow_for_float32_is_ignored(function: str) -> None:
    tags = {"WindowCenter": 9, "WindowWidth": "1E-46", "VOILUTFunction": function}
    np.testing.assert_allclose(decode(xray(RAMP.astype(np.uint16), **tags)).pixels, UNIT, atol=1e-6)


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


def test_a_padding_of_more_bits_than_the_picture_is_none() -> None:
    plain = decode(xray(RAMP)).pixels
    np.testing.assert_array_equal(decode(xray(RAMP, PixelPaddingValue=63536)).pixels, plain)  # 48, if it wrapped


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
        ({"ImageType": "LOCALIZER"}, "a CT localizer"),
        ({"PixelData": None}, "holds no picture"),
        ({"NumberOfFrames": 120}, "120 frames. Open a CT on the app's page Diagnose"),
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
    assert "kind of file cannot be read" in refusal(data, "A.png")
    assert "though its name says so" in refusal(dicom(syntax=syntax, preamble=False, SOPClassUID=None), "a.dcm")
    refusal(b"\x08\0\x05\0\xf3\x99" * 60, "a.dcm")
    assert decode(encode(GREY), "a.dcm").source_format == "PNG"


def test_compressed() -> None:
    common = {"RescaleSlope": 1, "RescaleIntercept": -1000}
    rle = struct.pack("<16I", 1, 64, *[0] * 14) + b"".join(bytes([len(row) - 1]) + row.tobytes() for row in RAMP)
    for syntax, frame, error in [
        (JPEG2000Lossless, jpeg2000(GREY), 0),
        (RLELossless, rle + b"\x80" * (len(rle) % 2), 0),
        (JPEGBaseline8Bit, encode(GREY, "JPEG", quality=95), 5),
    ]:
        found = decode(dicom(RAMP, syntax=syntax, frame=frame, **common)).hounsfield
        np.testing.assert_allclose(found, RAMP - 1000.0, atol=error)


def test_compressed_picture_must_have_the_size_the_tags_promise() -> None:
    for syntax, make in [(JPEG2000Lossless, jpeg2000), (JPEGBaseline8Bit, lambda picture: encode(picture, "JPEG"))]:
        assert "damaged" in refusal(dicom(RAMP, syntax=syntax, frame=make(GREY.resize((WIDTH * 9, HEIGHT * 9)))))


def test_compressed_picture_must_be_one_channel() -> None:
    colour = GREY.convert("RGB")  # of the right size; thousands of channels would fit in a few kilobytes
    for syntax, frame in [(JPEG2000Lossless, jpeg2000(colour)), (JPEGBaseline8Bit, encode(colour, "JPEG"))]:
        assert "damaged" in refusal(dicom(RAMP, syntax=syntax, frame=frame))


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
