"""Whole CTs: every way their files can lie, and what their values can be."""

import gzip
import io
import struct

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from covid_core import scan, volume
from covid_core.hounsfield import LUNG_WINDOW, windowed
from covid_core.images import decode
from covid_core.volume import WINDOWS, read_volume, slice_pixels, slice_png
from tests import pictures
from tests.volumes import SIDE, SPACING, WHO, check, enhanced, nifti, packed, refusal, slices


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "LPI", "PIR", "ASL", "SAR", "IRP"])
def test_axes_of_a_nifti_file(hounsfield: np.ndarray, codes: str) -> None:
    found = read_volume([("a/b\\case.nii", nifti(hounsfield, codes))])
    check(found, hounsfield)
    assert (found.name, found.source_format, found.remarks) == ("case.nii", "NIFTI", ())


def test_a_tilted_nifti_file_is_not_resampled(hounsfield: np.ndarray) -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    tilt = np.array([[1, 0, 0, 9], [0, c, -s, 7], [0, s, c, -4], [0, 0, 0, 1]])
    check(read_volume([("t.nii", nifti(hounsfield, affine=tilt @ np.diag([5, 5, 30, 1])))]), hounsfield)


def test_a_nifti_file_turned_too_far(hounsfield: np.ndarray) -> None:
    c = np.cos(np.pi / 4)
    around_the_patient = np.array([[c, -c, 0, 0], [c, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    said = refusal(nifti(hounsfield, affine=around_the_patient @ np.diag([5, 5, 30, 1])))
    assert "turned by 45 degrees" in said


# 2 is mm, 0 says nothing, 7 and 58 hold what no standard knows; the last two are mm that call themselves metres and micrometres.
@pytest.mark.parametrize(
    ("unit", "mm"), [(1, 1000), (3, 0.001), (2, 1), (0, 1), (7, 1), (58, 1), (9, 1000), (1, 1), (3, 1)]
)
def test_units_of_a_nifti_file(hounsfield: np.ndarray, unit: int, mm: float) -> None:
    image = nibabel.Nifti1Image(np.flip(hounsfield).T, np.diag([*(np.array(SPACING[::-1]) / mm), 1]))
    image.header["xyzt_units"] = unit
    check(read_volume([("a.nii", image.to_bytes())]), hounsfield)


def test_kinds_of_nifti_files(hounsfield: np.ndarray) -> None:
    plain = nifti(hounsfield)
    check(read_volume([("a.nii.gz", gzip.compress(plain))]), hounsfield)
    parts = gzip.compress(plain[:1000]) + gzip.compress(plain[1000:])
    check(read_volume([("a.nii.gz", parts)]), hounsfield)
    check(read_volume([("a.zip", packed([("x/", b""), ("x/read.txt", b"hello"), ("x/a.nii", plain)]))]), hounsfield)
    check(read_volume([("a.nii", nifti(hounsfield, kind=nibabel.Nifti2Image))]), hounsfield)
    check(read_volume([("a.nii", nifti(hounsfield.astype(">f4")))]), hounsfield)
    image = nibabel.Nifti1Image(np.flip(hounsfield + 1000).T[..., None], np.diag([5, 5, 30, 1]))
    image.header.set_slope_inter(0.5, -500)
    data = image.to_bytes()
    np.testing.assert_allclose(read_volume([("a.nii", data)]).hounsfield, hounsfield / 2, atol=0.5)


def test_values_below_air_and_no_numbers_become_air(hounsfield: np.ndarray) -> None:
    values = hounsfield.astype(np.float32)
    values[:, :9], values[:, 9:12], values[:, 12] = -3024, np.nan, 9999
    found = read_volume([("a.nii", nifti(values))]).hounsfield
    assert (found[:, :12] == -1024).all() and (found[:, 12] == 3071).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_dicom_files_in_any_order(hounsfield: np.ndarray, seed: int) -> None:
    files = slices(hounsfield)
    first = read_volume(files)
    check(first, hounsfield)
    shuffled = [files[i] for i in np.random.default_rng(seed).permutation(len(files))]
    found = read_volume(shuffled)
    check(found, hounsfield)
    assert found.sha256 == first.sha256 == read_volume([("a.zip", packed(shuffled))]).sha256
    assert found.name == f"{shuffled[0][0]} and 5 more" and found.source_format == "DICOM"
    check(read_volume([*files, ("again.dcm", files[0][1])]), hounsfield)


@pytest.mark.parametrize(
    ("stored", "directions"),
    [
        (lambda v: v[:, ::-1, ::-1], [-1, 0, 0, 0, -1, 0]),  # turned by half a circle
        (lambda v: v[:, ::-1], [1, 0, 0, 0, -1, 0]),
        (lambda v: v.transpose(0, 2, 1), [0, 1, 0, 1, 0, 0]),
    ],
)
def test_directions_of_dicom_files(hounsfield: np.ndarray, stored, directions: list[int]) -> None:
    check(read_volume(slices(stored(hounsfield), ImageOrientationPatient=directions)), hounsfield)


def test_a_transposed_series_keeps_its_spacing(hounsfield: np.ndarray) -> None:
    tags = {"ImageOrientationPatient": [0, 1, 0, 1, 0, 0], "PixelSpacing": [5, 4]}
    found = read_volume(slices(hounsfield[:, :, :60], **tags))
    assert found.hounsfield.shape[1:] == (48, 72) and found.spacing == pytest.approx(SPACING)


def test_frames_of_one_dicom_file(hounsfield: np.ndarray) -> None:
    check(read_volume([("e.dcm", enhanced(hounsfield))]), hounsfield)
    stored = (hounsfield[::-1] + 1024).astype(np.uint16)
    frames = encapsulate([pictures.jpeg2000(Image.fromarray(plane)) for plane in stored])
    check(
        read_volume([("e.dcm", enhanced(hounsfield, syntax=JPEG2000Lossless, frame=b"\0\0", PixelData=frames))]),
        hounsfield,
    )
    assert "where its slices lie" in refusal(enhanced(hounsfield, frames=2))
    assert "too large" in refusal(enhanced(hounsfield, NumberOfFrames=scan.MAX_FILES + 1))
    assert "not all of it" in refusal(enhanced(hounsfield, PixelData=b"\0\0"))


def test_what_is_no_slice_is_left_out_and_said(hounsfield: np.ndarray) -> None:
    overview = pictures.dicom(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    report = pictures.dicom(Modality="SR", Rows=None, Columns=None, PixelData=None)
    beside = ("photo.png", b"no part of the CT")
    note = ("__MACOSX/._0.dcm", b"\0\5\x16\7")
    found = read_volume([("a.zip", packed([("o", overview), ("r", report), note, *slices(hounsfield)]))])
    check(found, hounsfield)
    assert found.remarks == ("Files that are not CT slices were left out: 2.",)
    found = read_volume([("o.dcm", overview), beside, *slices(hounsfield)])
    assert found.remarks == ("Files that are not CT slices were left out: 2.",)
    for files in ([("a.nii", nifti(hounsfield)), beside], [("a.zip", packed([("a.nii", nifti(hounsfield)), beside]))]):
        assert read_volume(files).remarks == ("Files that are not CT slices were left out: 1.",)
    assert "localizer" in refusal(overview)


def test_a_picture_without_a_place_is_left_out_and_said(hounsfield: np.ndarray) -> None:
    report = pictures.dicom(SeriesInstanceUID="1.2.826.99", ImageType=["DERIVED", "SECONDARY"])  # of the dose
    found = read_volume([*slices(hounsfield), ("dose.dcm", report)])
    check(found, hounsfield)
    assert found.remarks == ("Files that are not CT slices were left out: 1.",)
    assert "where its slices lie" in refusal([("dose.dcm", report)])


def test_files_of_one_frame_each(hounsfield: np.ndarray) -> None:
    each = []
    for number, plane in enumerate(hounsfield):
        data = enhanced(plane[None], heights=[500 - SPACING[0] * number])
        each.append((f"{number}.dcm", data))
    check(read_volume(each), hounsfield)


def test_missing_slices_are_said(hounsfield: np.ndarray) -> None:
    files = slices(hounsfield)
    assert read_volume(files[:2] + files[3:]).remarks == (
        "Slices are missing: two neighbours are 60.0 mm apart, most 30.0 mm.",
    )


def test_values_stored_from_zero(hounsfield: np.ndarray) -> None:
    found = read_volume([("a.nii", nifti((hounsfield + 1024).astype(np.uint16)))])
    check(found, hounsfield)
    assert "1024 was subtracted" in found.remarks[0]
    padded = hounsfield + 1024
    padded[:, :20] = -2000
    assert "no soft tissue" in refusal(nifti(padded))


def test_values_that_are_no_hounsfield_units(hounsfield: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    tissue = hounsfield > -300
    no_ct = {
        "mask": tissue.astype(np.uint8),
        "window": np.clip((hounsfield + 1250) * (255 / 1500), 0, 255).astype(np.uint8),
        "mr": (tissue * rng.uniform(100, 2000, hounsfield.shape)).astype(np.int16),
        "mr in standard deviations": rng.normal(size=hounsfield.shape).astype(np.float32),
        "share": np.clip((hounsfield + 1024) / 4095, 0, 1).astype(np.float32),
        "one value": np.zeros_like(hounsfield),
        "air": np.full_like(hounsfield, -1000),
    }
    for kind, values in no_ct.items():
        assert "not Hounsfield units" in refusal(nifti(values)), kind
    bare = slices(hounsfield, RescaleSlope=None, RescaleIntercept=None)
    assert "no Hounsfield units" in refusal(bare)


def test_reduced_evenly_and_said(hounsfield: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume, "MAX_SLICES", 3)
    monkeypatch.setattr(volume, "MAX_SIDE", 48)
    found = read_volume(slices(hounsfield))
    assert found.hounsfield.shape == (3, 48, 48) and found.total == 6 and found.numbers == (1, 3, 6)
    assert found.spacing == pytest.approx((75, 7.5, 7.5))
    assert found.remarks == ("3 of 6 slices were used, evenly spaced.",)
    assert abs(found.hounsfield[0].mean() - hounsfield[0].mean()) < 10


def test_pixels_become_square(hounsfield: np.ndarray) -> None:
    found = read_volume(slices(np.repeat(hounsfield, 2, axis=2), PixelSpacing=[5, 2.5]))
    assert found.hounsfield.shape == hounsfield.shape and found.spacing == pytest.approx(SPACING)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"ImagePositionPatient": None}, "where its slices lie"),
        ({"ImageOrientationPatient": None}, "where its slices lie"),
        ({"PixelSpacing": None}, "where its slices lie"),
        ({"PixelSpacing": [0, 0]}, "damaged"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "same place"),
        ({"ImagePositionPatient": [0, 0, 0]}, "same place"),
        ({"Modality": "MR"}, "an MR image (modality MR)"),
        ({"Modality": "PT"}, "a PET image (modality PT)"),
        ({"Modality": "DX"}, "an X-ray (modality DX)"),
        ({"Modality": "DOE JANE"}, "unknown modality"),
        ({"Rows": None}, "no picture"),
        ({"Rows": SIDE + 9}, "damaged"),
        ({"Rows": 40}, "too small"),
        ({"syntax": DeflatedExplicitVRLittleEndian}, "deflated"),
    ],
)
def test_unusable_dicom_files(hounsfield: np.ndarray, tags: dict[str, object], said: str) -> None:
    assert said in refusal(slices(hounsfield, **(WHO | tags)))


def test_slices_that_do_not_fit_together(hounsfield: np.ndarray) -> None:
    files, half = slices(hounsfield, SeriesInstanceUID="1.2.3"), len(hounsfield) // 2
    other = slices(hounsfield, **WHO)
    assert "2 series (slices: 6, 1)" in refusal([*files, other[0]])
    assert "size or direction" in refusal([*slices(hounsfield[:, :60])[:half], *slices(hounsfield)[half:]])
    coronal = [
        (name, pictures.dicom(pictures.RAMP.astype(np.uint16), **place))
        for name, place in (
            (
                f"{k}.dcm",
                {
                    "ImagePositionPatient": [0, k, 0],
                    "ImageOrientationPatient": [1, 0, 0, 0, 0, -1],
                    "PixelSpacing": [1, 1],
                },
            )
            for k in range(5)
        )
    ]
    assert "not axial" in refusal(coronal)
    assert "only 1 axial slice." in refusal(files[:1])
    assert "only 2 axial slices." in refusal(files[:2])


def test_unusable_nifti_files(hounsfield: np.ndarray) -> None:
    plain = nifti(hounsfield)

    def changed(at: int, kind: str, *values: float, data: bytes = plain) -> bytes:
        return data[:at] + struct.pack("<" + kind, *values) + data[at + struct.calcsize("<" + kind) :]

    cases = {
        "4-D": nibabel.Nifti1Image(np.stack([hounsfield] * 2, -1), np.eye(4)).to_bytes(),
        "only 1 axial slice": nifti(hounsfield[:1]),
        "only 2 axial slices": nifti(hounsfield[:2]),
        "colours or complex": nibabel.Nifti1Image(hounsfield.T.astype(np.complex64), np.eye(4)).to_bytes(),
        "how the patient lies": changed(252, "hh", 0, 0),
        "where its slices lie": changed(280, "4f", *[0] * 4),
        "without its values": changed(344, "4s", b"ni1\0"),
        "too large": changed(42, "hhh", 30_000, 30_000, 30_000),
        "damaged": plain[:-5],
        "too small": nifti(hounsfield[:, :40, :40]),
        "more than 4 times": nifti(np.repeat(hounsfield[:, :50], 4, axis=2)),
    }
    for said, data in cases.items():
        assert said in refusal(data), said
        assert said in refusal(gzip.compress(data)), said
    assert "too large" in refusal(changed(108, "f", 1e12))
    for broken in (changed(108, "f", float("nan")), changed(42, "h", -4), changed(70, "h", 999), plain[:350]):
        assert "damaged" in refusal(broken)
    assert "damaged" in refusal(gzip.compress(plain)[:-3000])


def test_windows_and_pictures(hounsfield: np.ndarray) -> None:
    assert WINDOWS["lung"] == LUNG_WINDOW
    files = slices(hounsfield)
    found = read_volume(files)
    pixels = slice_pixels(found, 2)
    alone = decode(files[2][1])  # the same slice as a picture of its own
    np.testing.assert_allclose(pixels, alone.pixels, atol=1e-6)
    np.testing.assert_array_equal(found.hounsfield[2], alone.hounsfield)
    shown = [windowed(found.hounsfield[index], *window) for index in (2, 3) for window in WINDOWS.values()]
    assert len({one.tobytes() for one in shown}) == len(shown)
    assert {(one.dtype, one.min() >= 0, one.max() <= 1) for one in shown} == {(np.dtype(np.float32), True, True)}
    np.testing.assert_array_equal(shown[0], pixels)
    assert windowed(found.hounsfield[2], *WINDOWS["mediastinum"])[hounsfield[2] < -160].max() == 0
    png = np.asarray(Image.open(io.BytesIO(slice_png(found, 2))))
    np.testing.assert_allclose(png / 255, pixels, atol=0.002)
    for index, said in ((6, "from 0 to 5"), (-1, "no slice")):
        with pytest.raises(ValueError, match=said):
            slice_pixels(found, index)
