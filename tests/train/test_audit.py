"""The auditor on sets of pictures with a leak of each kind, and with none."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import audit

COLUMNS = ("file", "label", "source", "patient", "group", "split")


def picture(seed: int, size: int = 96) -> Image.Image:
    """Clouds: phantoms of one kind are too much alike for a test of what strangers are."""
    coarse = np.random.default_rng(seed).integers(40, 216, (9, 9), np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def write(folder: Path, rows: list[tuple[str, ...]], pictures: dict[str, Image.Image] | None = None) -> Path:
    for number, row in enumerate(rows):
        ((pictures or {}).get(row[0]) or picture(number)).save(folder / row[0])
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return folder / "manifest.csv"


def rows() -> list[tuple[str, ...]]:
    """Patients apart, both labels from both sources, which number their patients alike."""
    return [
        (f"{i}.png", "ab"[i % 2], "xy"[i // 2 % 2], str(i // 4), str(i), "train" if i < 4 else "test") for i in range(8)
    ]


def run(manifest: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict]:
    code = audit.main([str(manifest), "--json", *more])
    return code, json.loads(capsys.readouterr().out)


def test_a_clean_split_has_no_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(write(tmp_path, rows()), capsys)
    assert code == 0
    assert found["leaks"] == 0 and found["near_copies"] == [] and found["patients"] == {}
    assert found["splits"] == {"train": 4, "test": 4}
    assert found["sources"] == {"test / train": ["x", "y"]}
    assert found["label_source_cramers_v"] == pytest.approx(0)


def test_a_patient_in_both_splits_is_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = rows()
    shared[7] = (*shared[7][:3], "0", *shared[7][4:])
    code, found = run(write(tmp_path, shared), capsys)
    assert code == 1
    assert found["patients"] == {"test / train": ["y/0"]}


def test_another_column_can_be_the_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write(tmp_path, rows())
    header, *lines = manifest.read_text().splitlines()
    official = ["train", "test", "train", "test", "", "", "", ""]  # which parts the patients 0 of both hospitals
    manifest.write_text("\n".join([f"{header},official", *(f"{a},{b}" for a, b in zip(lines, official, strict=True))]))
    assert run(manifest, capsys)[0] == 0
    code, found = run(manifest, capsys, "--split", "official")
    assert code == 1 and found["splits"] == {"train": 2, "test": 2} and found["images"] == 4
    assert found["patients"] == {"test / train": ["x/0", "y/0"]}
    with pytest.raises(SystemExit):
        run(manifest, capsys, "--split", "other")
    assert "no column 'other'" in capsys.readouterr().err


def test_the_same_number_in_another_hospital_is_another_patient(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = [("0.png", "a", "x", "7", "", "train"), ("1.png", "a", "y", "7", "", "test")]
    assert run(write(tmp_path, same), capsys)[0] == 0


def test_a_near_copy_is_found_behind_compression_and_another_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.BytesIO()
    picture(0, 150).point(lambda v: v * 0.8 + 20).save(stream, "JPEG", quality=40)
    code, found = run(write(tmp_path, rows(), {"6.png": Image.open(stream)}), capsys)
    assert code == 1
    assert found["near_copies"] == [{"images": ["0.png", "6.png"], "splits": ["train", "test"]}]
    assert run(tmp_path / "manifest.csv", capsys, "--without", "test")[0] == 0


def test_a_source_that_is_the_label_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [(f"{i}.png", "ab"[i % 2], "xy"[i % 2], "", str(i), "train") for i in range(20)]
    dark = {f"{i}.png": picture(i).point(lambda v: v // 2) for i in range(0, 20, 2)}
    _, found = run(write(tmp_path, names, dark), capsys)
    assert found["label_source_cramers_v"] == pytest.approx(1)
    assert found["label_probe_auc"] > 0.95
    assert found["source_probe_auc"] == found["label_probe_auc"]


def test_an_unreadable_image_is_named_and_the_rest_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = write(tmp_path, rows())
    (tmp_path / "3.png").write_text("no picture")
    (tmp_path / "4.png").unlink()
    code, found = run(manifest, capsys)
    assert code == 2  # no leak was found, but not all was looked at
    assert [sentence.split(":")[0] for sentence in found["unreadable"]] == ["3.png", "4.png"]
    audit.main([str(manifest)])
    said = capsys.readouterr().out
    assert "not readable  3.png" in said and "2 of them could not be looked at" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "cannot be read"), ("file,label\n1.png,a\n", "no column 'split'"), ("file,split\n", "names no image")],
)
def test_a_manifest_of_no_use_is_answered_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(SystemExit) as stop:
        audit.main([str(tmp_path / "m.csv")])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


def test_no_such_manifest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing.csv cannot be read"):
        audit.read(tmp_path / "missing.csv")
