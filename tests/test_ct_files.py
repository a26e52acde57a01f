"""Which files are a whole CT, and what is refused before or while they are unpacked."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest

from covid_core import archive, ct_files, series
from covid_core import nifti as reader
from covid_core.volume import read_volume
from tests import pictures
from tests.volumes import SIDE, WHO, check, enhanced, nifti, packed, refusal, slices


def test_a_gzip_bomb_is_not_unpacked(hounsfield: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = nifti(hounsfield)
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as bomb:
        bomb.write(plain)
        for _ in range(100):
            bomb.write(bytes(2**20))
    unpacked = []

    class Counting(gzip.GzipFile):
        def read(self, size: int | None = -1) -> bytes:
            unpacked.append(super().read(size))
            return unpacked[-1]

    monkeypatch.setattr(gzip, "GzipFile", Counting)
    check(read_volume([("bomb.nii.gz", file.getvalue())]), hounsfield)
    assert sum(map(len, unpacked)) < len(plain) + 1000  # the header twice; what follows the volume is never looked at


def test_limits(hounsfield: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    files = slices(hounsfield)
    packed_files = packed(files)
    with monkeypatch.context() as patch:
        patch.setattr(ct_files, "MAX_BYTES", 5000)
        assert "too large" in refusal(files)
    with monkeypatch.context() as patch:
        patch.setattr(ct_files, "MAX_UNPACKED", 20_000)
        patch.setattr(reader, "MAX_UNPACKED", 20_000)
        assert "too large" in refusal(packed_files)
        assert "too large" in refusal(gzip.compress(nifti(hounsfield)))
    with monkeypatch.context() as patch:
        patch.setattr(ct_files, "MAX_FILES", 5)
        patch.setattr(archive, "MAX_FILES", 5)
        assert "6 files" in refusal(files) and "more than 5 files" in refusal(packed_files)
    monkeypatch.setattr(series, "MAX_VOXELS", SIDE * SIDE * 5)
    assert "too large" in refusal(files) and "too large" in refusal(enhanced(hounsfield))


def test_which_files_are_volumes(hounsfield: np.ndarray) -> None:
    single = slices(hounsfield)[0]
    picture = ("a.png", pictures.png(9, 9))
    wholes = [("a.nii", b""), ("a", nifti(hounsfield)), ("a.zip", packed([single])), ("a", enhanced(hounsfield))]
    for file in wholes:
        assert ct_files.is_volume([file]) and ct_files.is_volume([picture, file])
    for file in (single, picture, ("a.dcm", b"broken"), ("a", b"\0" * 128 + b"DICMbroken")):
        assert not ct_files.is_volume([file])
    assert ct_files.is_volume([single, single]) and not ct_files.is_volume([picture, picture])
    xray = ("x.dcm", pictures.dicom(np.zeros((9, 9), np.uint16), Modality="CR"))
    assert not ct_files.is_volume([xray, xray]) and not ct_files.is_volume([xray, single])


def test_what_lies_beside_a_ct_on_a_disc_is_not_unpacked(
    hounsfield: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [*slices(hounsfield), ("viewer/film.avi", bytes(10**6)), ("viewer/run.exe", bytes(10**6))]
    monkeypatch.setattr(ct_files, "MAX_UNPACKED", 10**6)
    check(read_volume([("disc.zip", packed(files))]), hounsfield)


def test_values_that_would_begin_in_the_header(hounsfield: np.ndarray) -> None:
    data = bytearray(nifti(hounsfield))
    data[108:112] = bytes(4)  # where the header says they begin
    assert "damaged" in refusal(bytes(data))


def test_unusable_archives(hounsfield: np.ndarray) -> None:
    files = slices(hounsfield)
    archive = packed(files)
    entry = archive.index(b"PK\1\2")
    locked = bytearray(archive)
    locked[entry + 8] |= 1
    assert "encrypted" in refusal(bytes(locked))
    lying = bytearray(archive)
    lying[entry + 24 : entry + 28] = struct.pack("<I", 100)  # it says that it becomes 100 bytes
    assert "damaged" in refusal(bytes(lying))
    assert "damaged" in refusal(archive[:-200])
    assert "unusual way" in refusal(packed(files, zipfile.ZIP_LZMA))
    assert "among several files" in refusal([("a.zip", archive), ("b.zip", archive)])
    assert "no CT" in refusal(packed([("a.png", pictures.encode(pictures.GREY)), ("inner.zip", archive)]))
    assert "more than one volume" in refusal(
        packed([("ct.nii", nifti(hounsfield)), ("mask.nii", nifti(np.uint8(hounsfield > 0)))])
    )
    assert "more than one volume" in refusal([("ct.nii", nifti(hounsfield)), *files])


@pytest.mark.parametrize("files", [[], [("a.nii", b"")], b"hello", b"\x1f\x8b" + b"\0" * 50, b"PK\x03\x04 not really"])
def test_what_is_no_ct_at_all(files: list[tuple[str, bytes]] | bytes) -> None:
    assert "Upload" in refusal(files) or "Export" in refusal(files)
    assert "no CT" in refusal(pictures.encode(pictures.GREY))
    assert "named as NIfTI" in refusal([("brain.nii", b"not a volume at all")])
    refusal([("a.dcm", b"\x08\0\x05\0\xf3\x99" * 60)])


def test_nothing_of_the_patient_is_kept(hounsfield: np.ndarray, recwarn: pytest.WarningsRecorder) -> None:
    odd = WHO | {"SeriesInstanceUID": "1.2.826.77"}
    found = read_volume([("a.zip", packed(slices(hounsfield, **odd)))])
    held = repr(vars(found)) + " ".join(str(warning.message) for warning in recwarn)
    assert not any(value in held for value in odd.values())
