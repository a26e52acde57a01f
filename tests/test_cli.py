"""The command line: keys, exit codes, bad files that do not take the good ones with them."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covid_core import classify, diagnose, images, segment, verdict
from covid_core.__main__ import main
from covid_core.weights import WeightsError
from tests import golden, pictures

CLASSIFY = (
    "file modality decision covid_probability covid_interval aleatoric epistemic prediction_set gate model "
    "weights_sha256 seconds"
).split()
SEGMENT = (
    "file modality lung_percent lesion_percent_of_lung lesion_interval mask_file uncertainty_file "
    "model weights_sha256 seconds consolidation_percent_of_lesions"
).split()


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.png"
    file.write_bytes(golden.png("ct-lesions"))
    return file


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_classify_answers_the_good_and_names_the_bad(good: Path, tmp_path: Path, capsys) -> None:
    empty, text, photo = tmp_path / "empty.png", tmp_path / "text.png", tmp_path / "photo.png"
    empty.write_bytes(b"")
    text.write_text("this is no picture")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(photo)
    blank = tmp_path / "blank.png"
    Image.new("L", (200, 200), 90).save(blank)
    none = (tmp_path / "missing.png", tmp_path / ("long" * 99 + ".png"))
    assert main(["classify", *map(str, (empty, text, photo, blank, *none, good)), "--json"]) == 1
    first, second, third, fourth, missing, long, fifth = lines(capsys)
    for row in (first, second, missing, long):
        assert set(row) == {"file", "error"} and row["error"].endswith(".")
    assert third["decision"] == "refused" and "colour" in third["gate"]["reason"]
    assert fourth["decision"] == "refused" and "blank" in fourth["gate"]["reason"]
    assert list(fifth) == CLASSIFY
    assert list(fifth["gate"]) == ["accepted", "reason", "ood_score"]


def test_whatever_is_unusable_gets_a_sentence_and_the_rest_an_answer(good: Path, tmp_path: Path, capsys) -> None:
    files = {tmp_path / name: (data, word) for name, (data, word) in pictures.unusable().items()}
    for file, (data, _) in files.items():
        file.write_bytes(data)
    for command in ("classify", "segment"):
        assert main([command, *map(str, files), str(good), "--json"]) == 1
        *bad, answered = lines(capsys)
        assert answered["file"] == str(good) and "error" not in answered
        for row, (_, word) in zip(bad, files.values(), strict=True):
            sentence = row.get("error") or row["gate"]["reason"]
            assert word in sentence and sentence.endswith("."), row


def test_words_hold_no_probability_that_means_nothing(good: Path, monkeypatch, capsys) -> None:
    assert main(["classify", str(good), "--modality", "ct"]) == 0
    assert "COVID-19 probability 0." in capsys.readouterr().out
    monkeypatch.setattr(verdict, "verdict", lambda *_, **__: ("uncertain", verdict.UNLIKE))
    monkeypatch.setattr(classify, "verdict", verdict.verdict)
    assert main(["classify", str(good), "--modality", "ct"]) == 0
    said = capsys.readouterr().out
    assert verdict.UNLIKE in said and "0." not in said


def test_segment_writes_masks(good: Path, tmp_path: Path, capsys) -> None:
    assert main(["segment", str(good), "--modality", "ct", "--out", str(tmp_path / "masks"), "--json"]) == 0
    (row,) = lines(capsys)
    assert list(row) == SEGMENT
    mask = np.asarray(Image.open(row["mask_file"]))
    assert mask.shape == Image.open(good).size[::-1]
    assert set(np.unique(mask)) <= {0, 128, 255}
    assert row["lung_percent"] == pytest.approx(100 * (mask > 0).mean(), abs=0.01)


def test_score_writes_a_row_a_file(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.png").write_bytes(b"")
    (tmp_path / "whole.nii.gz").write_bytes(b"")
    out = tmp_path / "results.csv"
    assert main(["score", str(tmp_path), "--out", str(out)]) == 1
    assert "2 files, 1 failed, 1 left out" in capsys.readouterr().out
    with out.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [Path(r["file"]).name for r in rows] == ["bad.png", "good.png"]
    assert rows[0]["error"] and not rows[1]["error"]
    assert list(rows[0]) == [*CLASSIFY, "error"]


def test_score_looks_everywhere_and_says_what_it_could_not_open(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    for place in (folder / "closed", elsewhere):
        place.mkdir(parents=True)
    (folder / "._a.png").write_bytes(b"what a Mac notes about a file")
    (folder / os.fsdecode(b"b\xff.png")).write_bytes(b"")
    shutil.copy(good, elsewhere / "linked.png")
    (folder / "link").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    (folder / "loop.png").symlink_to("loop.png")
    whole = os.scandir

    def scandir(path: str) -> Any:  # who runs the tests may be allowed everything
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return whole(path)

    monkeypatch.setattr(os, "scandir", scandir)
    out = tmp_path / "results.csv"
    assert main(["score", str(folder), "--out", str(out)]) == 1
    assert "3 files, 2 failed, folders not opened: 1" in capsys.readouterr().out
    with out.open() as stream:
        rows = [(Path(row["file"]).name, row["error"][:28]) for row in csv.DictReader(stream)]
    assert rows == [
        ("closed", "This folder cannot be opened"),
        ("b\\udcff.png", "The file is empty. Choose it"),
        ("linked.png", ""),
        ("loop.png", "There is no file " + str(folder)[:11]),
    ]


def test_older_results_stay_where_no_answer_can_be_given(
    good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "results.csv"
    out.write_text("yesterday's")

    def missing(name: str) -> None:
        raise WeightsError(f"{name} was not found.")

    monkeypatch.setattr(diagnose, "classifier", missing)
    assert main(["score", str(tmp_path), "--out", str(out)]) == 2
    assert "mobilenetv2 was not found" in capsys.readouterr().err and out.read_text() == "yesterday's"


def test_one_picture_too_large_for_the_memory_takes_no_other_along(good: Path, capsys, monkeypatch) -> None:
    whole, asked = segment.Segmenter.segment, []

    def first_fails(self: segment.Segmenter, image: images.DecodedImage) -> segment.Segmentation:
        asked.append(image)
        if len(asked) == 1:
            raise MemoryError
        return whole(self, image)

    monkeypatch.setattr(segment.Segmenter, "segment", first_fails)
    for command in ("classify", "segment"):
        asked.clear()
        assert main([command, str(good), str(good), "--json"]) == 1
        first, second = lines(capsys)
        assert "not enough memory" in first["error"] and "error" not in second


def test_names_too_long_for_their_masks_are_cut(good: Path, tmp_path: Path, capsys) -> None:
    long = good.rename(tmp_path / f"{'ä' * 120}.png")
    assert main(["segment", str(long), "--modality", "ct", "--out", str(tmp_path / "masks"), "--json"]) == 0
    (row,) = lines(capsys)
    assert Path(row["mask_file"]).is_file() and Path(row["mask_file"]).name.startswith("ä" * 100)


def test_what_is_refused_gets_no_masks(good: Path, tmp_path: Path, capsys) -> None:
    blank, colour = tmp_path / "blank.png", tmp_path / "colour.png"
    Image.new("L", (200, 200), 90).save(blank)
    Image.merge("RGB", [Image.effect_noise((200, 200), 60) for _ in range(3)]).save(colour)
    out = tmp_path / "masks"
    assert main(["segment", str(blank), str(colour), str(good), "--out", str(out), "--json"]) == 1
    first, second, third = lines(capsys)
    assert "is blank" in first["error"] and "colour picture" in second["error"] and "error" not in third
    assert len(list(out.iterdir())) == 2


def test_dicom_without_an_ending_is_scored(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "IM0001").write_bytes(bytes(128) + b"DICM")
    (folder / "1.2.840.7").write_bytes(bytes(128) + b"DICM")
    (folder / "README").write_bytes(b"read me")
    assert main(["score", str(folder), "--out", str(tmp_path / "out.csv")]) == 1
    assert "2 files, 2 failed, 1 left out" in capsys.readouterr().out


def test_masks_of_names_that_differ_in_case_alone_do_not_meet(good: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / good.name.upper()
    other.write_bytes(good.read_bytes())
    assert main(["segment", str(good), str(other), "--modality", "ct", "--out", str(tmp_path / "masks"), "--json"]) == 0
    assert len({row["mask_file"].lower() for row in lines(capsys)}) == 2


def test_masks_overwrite_nothing_else(good: Path, tmp_path: Path, capsys) -> None:
    other, out = tmp_path / "other.png", tmp_path / "masks"
    shutil.copy(good, other)
    (out / "other-mask.png").mkdir(parents=True)
    (out / "good-mask.png").write_bytes(b"drawn by hand")
    asked = ["segment", str(good), str(other), str(good), "--modality", "ct", "--out", str(out), "--json"]
    assert main(asked) == 1
    first, second, third = lines(capsys)
    assert "holds something else" in first["error"] and "cannot be written" in second["error"] and "error" not in third
    assert (out / "good-mask.png").read_bytes() == b"drawn by hand"
    again = ["segment", str(good), "--modality", "ct", "--out", str(tmp_path / "again"), "--json"]
    assert main(again) == main(again) == 0
    capsys.readouterr()


def test_results_never_take_the_place_of_a_picture(good: Path, tmp_path: Path, capsys) -> None:
    before = good.read_bytes()
    assert main(["score", str(tmp_path), "--out", str(good)]) == 2
    assert "is one of the pictures" in capsys.readouterr().err and good.read_bytes() == before
    (tmp_path / "folder").mkdir()
    assert main(["score", str(tmp_path), "--out", str(tmp_path / "folder")]) == 2
    assert "is a folder" in capsys.readouterr().err


def test_ctrl_c_is_no_error(good: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "read_bytes", stop)
    assert main(["classify", str(good)]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_who_reads_only_the_first_answer_stops_the_others(good: Path) -> None:
    command = f"{sys.executable} -m covid_core classify {good} missing.png {good} | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1 and "Broken pipe" not in done.stderr and "Traceback" not in done.stderr


def test_models_lists_all(capsys) -> None:
    assert main(["models", "--json"]) == 0
    names = ["mobilenetv2", "resnet50", "inception_resnet_v2", "ensemble", "unet_xray", "unet_ct"]
    assert [row["name"] for row in lines(capsys)] == names


def test_wrong_use(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["classify"])
    assert stop.value.code == 2
    assert main(["score", str(tmp_path / "nowhere"), "--out", str(tmp_path / "x.csv")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["segment", "x.png", "--out", str(tmp_path / "file")]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
