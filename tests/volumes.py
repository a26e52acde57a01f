"""CTs for the tests: a NIfTI file and DICOM files of the same slices, and what to expect of them."""

import io
import zipfile

import nibabel
import numpy as np
import pytest
from nibabel import orientations
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from covid_core import phantom
from covid_core.images import ImageError
from covid_core.volume import Volume, read_volume
from tests import pictures

SIDE = 72
SPACING = (30.0, 5.0, 5.0)  # of the phantoms, mm
ACROSS = [1, 0, 0, 0, 1, 0]  # rows to the left, columns to the back
WHO = {"PatientName": "Doe^Jane", "PatientID": "ID-4711", "StudyDate": "20200401", "SeriesInstanceUID": "1.2.826.77"}
LEVELS = np.linspace(0.25, 0.75, 6)


def planes() -> np.ndarray:
    """[Z, H, W] int16 Hounsfield units of a phantom's slices, as a volume shows them; not to be written to."""
    shown = [phantom.ct(5, size=SIDE, level=float(level)).hounsfield for level in LEVELS]
    values = np.rint(np.stack(shown)).astype(np.int16)
    values.setflags(write=False)
    return values


def nifti(values: np.ndarray, codes: str = "RAS", affine: np.ndarray | None = None, kind: type = nibabel.Nifti1Image):
    """A NIfTI file whose axes run as `codes` say, of values [Z, H, W] in the view of radiologists."""
    z, y, x = SPACING
    straight = np.diag([x, y, z, 1]) if affine is None else affine
    image = kind(np.flip(values).T, straight)
    turn = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), orientations.axcodes2ornt(codes))
    return image.as_reoriented(turn).to_bytes()


def slices(values: np.ndarray, **tags: object) -> list[tuple[str, bytes]]:
    """A DICOM series of values [Z, H, W], from the head to the feet."""
    files = []
    for number, plane in enumerate(values):
        place = {
            "ImagePositionPatient": [-100, -80, 500 - SPACING[0] * number],
            "ImageOrientationPatient": ACROSS,
            "PixelSpacing": list(SPACING[1:]),
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "InstanceNumber": number,
        }
        files.append((f"{number}.dcm", pictures.dicom((plane + 1024).astype(np.uint16), **(place | tags))))
    return files


def enhanced(
    hounsfield: np.ndarray, frames: int | None = None, heights: list[float] | None = None, **tags: object
) -> bytes:
    """A DICOM file of several frames, the feet first."""

    def item(**values: object) -> Dataset:
        made = Dataset()
        for tag, value in values.items():
            setattr(made, tag, value)
        return made

    values = item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    shared = item(
        PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=ACROSS)]),
        PixelMeasuresSequence=Sequence([item(PixelSpacing=list(SPACING[1:]))]),
        PixelValueTransformationSequence=Sequence([values]),
    )
    count = len(hounsfield) if frames is None else frames
    places = [item(ImagePositionPatient=[0, 0, z]) for z in heights or [SPACING[0] * k for k in range(count)]]
    given = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1",
        "NumberOfFrames": len(hounsfield),
        "SharedFunctionalGroupsSequence": Sequence([shared]),
        "PerFrameFunctionalGroupsSequence": Sequence([item(PlanePositionSequence=Sequence([p])) for p in places]),
        "RescaleSlope": None,
        "RescaleIntercept": None,
    }
    return pictures.dicom((hounsfield[::-1] + 1024).astype(np.uint16), **(given | tags))


def packed(files: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return file.getvalue()


def check(found: Volume, values: np.ndarray) -> None:
    np.testing.assert_array_equal(found.hounsfield, values)
    assert found.hounsfield.dtype == np.int16 and not found.hounsfield.flags.writeable
    assert found.spacing == pytest.approx(SPACING)
    assert found.numbers == tuple(range(1, len(values) + 1)) and found.total == len(values)


def refusal(files: list[tuple[str, bytes]] | bytes) -> str:
    with pytest.raises(ImageError) as caught:
        read_volume([("ct", files)] if isinstance(files, bytes) else files)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "Error" not in sentence and "Traceback" not in sentence
    assert not any(value in sentence for value in WHO.values())
    return sentence
