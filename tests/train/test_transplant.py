"""Lesions and labels that change hands together."""

import numpy as np
import pytest

from train import features
from train.augment import Rings
from train.transplant import softened, transplant

SIZE = 96


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
    result = transplant(healthy, patient, lesion, Rings(SIZE))
    assert result is not None
    assert np.array_equal(result[softened(lesion) == 0], healthy[softened(lesion) == 0])
    assert (result - healthy)[lesion == 1].mean() == pytest.approx(0.2, abs=0.05)


def test_healthy_lungs_take_the_place_of_lesions(lesion: np.ndarray) -> None:
    healthy, patient = lungs(0.3, 0.1), lungs(0.6, 0.1) + 0.2 * lesion
    result = transplant(patient, healthy, lesion, Rings(SIZE))
    assert result is not None
    assert np.abs(result - lungs(0.6, 0.1)).max() < 0.1


def test_nothing_is_made_of_a_picture_that_is_nearly_all_lesion() -> None:
    assert transplant(lungs(0.3, 0.1), lungs(0.6, 0.1), np.ones((SIZE, SIZE), np.float32), Rings(SIZE)) is None


def test_rows_give_and_take_lesions(lesion: np.ndarray) -> None:
    nothing, plain = float(np.log(0.01)), float(np.log(0.3))

    def row(split: str, finding: str, evidence: float, mark: np.ndarray) -> tuple[dict[str, object], features.Arrays]:
        facts = {
            "split": split,
            "source": split + finding,
            "finding": finding,
            "evidence": evidence,
            "lesser_side": 0.1,
        }
        level = 0.3 if finding == "normal" else 0.6
        return facts, {"crop": np.zeros(2, np.float32), "pixels": lungs(level, 0.1) + 0.2 * mark, "lesion": mark}

    rows = [
        row("train", "covid", plain, lesion),
        row("train", "covid", nothing, 0 * lesion),  # nothing to give
        row("val", "normal", nothing, 0 * lesion),
        row("val", "covid", plain, lesion),
        row("train", "normal", nothing, 0 * lesion),
        row("test", "covid", plain, lesion),
    ]
    found = features.transplanted(rows, lambda batch: np.full((1, 2, 1, 1), batch.mean(), np.float32))
    assert sorted((r["split"], r["source"], r["finding"], r["evidence"]) for r, _ in found) == [
        ("transplanted_val", "valcovid", "normal", nothing),
        ("transplanted_val", "valnormal", "covid", plain),
    ]
    level = {r["source"]: arrays["crop"][0] for r, arrays in found}
    assert level["valcovid"] > level["valnormal"]  # the rest of the picture stays
