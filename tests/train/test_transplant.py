"""Lesions and labels that change hands together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covid_core import images, preprocess
from train import classifier, loading, looks, transplant
from train.augment import Rings
from train.datasets.records import Record
from train.transplant import softened

SIZE = 96
BARE = Record(Path("a.png"), "xray", "xray", "here", "g", "train", "covid")


def lungs(level: float, contrast: float) -> np.ndarray:
    """A picture without lesion: a smooth wave of this mean and contrast."""
    wave = np.sin(np.arange(SIZE) / 7)
    return (level + contrast * np.outer(wave, wave)).astype(np.float32)


@pytest.fixture
def lesion() -> np.ndarray:
    result = np.zeros((SIZE, SIZE), np.float32)
    result[30:50, 40:60] = 1
    return result


def test_a_lesion_is_widened_and_its_border_soft(lesion: np.ndarray) -> None:
    mask = softened(lesion)
    assert mask[34:46, 44:56].min() > 0.99 and mask[lesion == 1].min() > 0.5
    assert 0.05 < mask[26, 50] < 0.95
    assert mask[:20].max() == 0


def test_lesions_come_into_healthy_lungs_as_bright_against_them_as_they_were(lesion: np.ndarray) -> None:
    healthy, patient = lungs(0.3, 0.1), lungs(0.6, 0.1) + 0.2 * lesion
    result = transplant.transplant(healthy, patient, lesion, Rings(SIZE))
    assert result is not None
    assert np.array_equal(result[softened(lesion) == 0], healthy[softened(lesion) == 0])
    assert (result - healthy)[lesion == 1].mean() == pytest.approx(0.2, abs=0.05)


def test_healthy_lungs_take_the_place_of_lesions(lesion: np.ndarray) -> None:
    healthy, patient = lungs(0.3, 0.1), lungs(0.6, 0.1) + 0.2 * lesion
    result = transplant.transplant(patient, healthy, lesion, Rings(SIZE))
    assert result is not None
    assert np.abs(result - lungs(0.6, 0.1)).max() < 0.1


def test_nothing_is_made_of_a_picture_that_is_nearly_all_lesion() -> None:
    assert (
        transplant.transplant(lungs(0.3, 0.1), lungs(0.6, 0.1), np.ones((SIZE, SIZE), np.float32), Rings(SIZE)) is None
    )


def test_the_label_goes_with_the_lesions(monkeypatch: pytest.MonkeyPatch, lesion: np.ndarray) -> None:
    monkeypatch.setattr(classifier, "TRANSPLANT_SHARE", 1.0)
    side = classifier.wide_side(SIZE)
    wide = np.zeros((side, side), np.uint8)
    wide[30:60, 30:60] = 255

    def seen(level: float, mark: np.ndarray, target: float) -> classifier.View:
        grey = np.random.default_rng(0).normal(level, 0.1, (side, side)).clip(0, 1)
        return classifier.View(np.round(grey * 255).astype(np.uint8), None, mark, target)

    records = [BARE, replace(BARE, finding="normal"), replace(BARE, finding="pneumonia"), BARE]
    nothing = np.zeros_like(wide)
    crops = [seen(0.6, wide, 1.0), seen(0.3, nothing, 0.0), seen(0.4, wide, 0.0), seen(0.6, nothing, 0.4)]
    views = classifier.Views(records, crops, SIZE, augment=True)
    found = [views[i] for i in range(4)]
    assert [float(label) for _, _, label, _ in found] == [0.0, 1.0, 0.0, 1.0]
    assert [float(target) for _, target, _, _ in found] == pytest.approx([0.0, 1.0, 0.0, 0.4])
    assert found[0][3].max() == 0 and found[1][3].max() > 0.2  # the opacity that is taught
    assert found[2][3].max() == classifier.NOBODY


def test_rows_give_and_take_lesions(tmp_path: Path, lesion: np.ndarray) -> None:
    nothing, plain = float(np.log(0.01)), float(np.log(0.3))
    records, rows = [], []
    for index, (split, finding, log_opacity) in enumerate(
        [
            ("train", "covid", plain),
            ("train", "covid", nothing),  # nothing to give
            ("val", "normal", nothing),
            ("train", "normal", nothing),
            ("val", "covid", plain),
            ("test", "covid", plain),
        ]
    ):
        mark = lesion * (log_opacity == plain)
        pixels = lungs(0.3 if finding == "normal" else 0.6, 0.1) + 0.2 * mark
        file = tmp_path / f"{index}.png"
        Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(file)
        records.append(replace(BARE, image=file, split=split, finding=finding))
        arrays = {
            "pixels": preprocess.stretch(pixels, "xray"),
            "lesion": mark,
        }
        place = {"top": 0, "left": 0, "side": SIZE}
        rows.append(
            ({"finding": finding, "log_opacity": log_opacity, **place}, arrays if split in ("train", "val") else {})
        )

    def look(record: Record, image: images.DecodedImage) -> looks.Row:
        inside, outside = image.pixels[lesion == 1].mean(), image.pixels[softened(lesion) == 0].mean()
        return {"name": record.image.name, "split": record.split, "finding": record.finding}, {
            "step": np.array(inside - outside),
            "level": np.array(outside),
        }

    found = {
        str(row["name"]): (row, arrays) for row, arrays in looks.transplanted(records, rows, look, tmp_path / "changed")
    }
    assert {name: (row["split"], row["finding"]) for name, (row, _) in found.items()} == {
        "00000-2.png": ("transplanted_val", "covid"),
        "00001-4.png": ("transplanted_val", "normal"),
    }
    (_, one), (_, other) = found["00000-2.png"], found["00001-4.png"]
    assert one["step"] - other["step"] > 0.05  # who is called COVID-19 has the lesion
    assert one["level"] < 0.4 < other["level"]  # the rest of the picture stays


def test_lesions_and_marks_change_hands_together(lesion: np.ndarray) -> None:
    healthy, patient = lungs(0.3, 0.1), lungs(0.6, 0.1) + 0.2 * lesion
    unmarked = np.full_like(lesion, loading.UNKNOWN)
    place = np.zeros((SIZE, SIZE), bool)
    place[20:60, 30:70] = True
    holed = place.copy()
    holed[40:60, 50:70] = False  # a part of the lesion lies outside of the healthy one's lungs
    pictures = np.round(np.stack([healthy, patient, healthy]) * 255).astype(np.uint8)
    exchange = transplant.Exchange(
        pictures, np.stack([0 * lesion, lesion, unmarked]).astype(np.uint8), np.stack([holed, place, place])
    )
    implanted, marks = exchange(0)
    assert set(np.unique(marks)) == {0, 1, loading.UNKNOWN}
    assert (implanted - healthy)[marks == 1].mean() > 0.1
    erased, marks = exchange(1)
    assert set(np.unique(marks)) == {0, loading.UNKNOWN}
    assert (erased - patient)[(lesion == 1) & (marks == 0)].mean() < -0.1
    same, marks = exchange(2)
    assert np.array_equal(same, pictures[2] / np.float32(255)) and (marks == loading.UNKNOWN).all()
