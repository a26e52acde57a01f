"""Restyled rows; calibration: sets that count alike, and from which probability on COVID-19 is answered."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from covid_core import classify, gate
from train import features, heads, looks
from train.datasets.records import GREY, Record


def table(split: str, finding: str, n: int, source: str = "here") -> pd.DataFrame:
    return pd.DataFrame({"split": [split] * n, "finding": finding, "source": source})


def test_the_worst_source_and_finding_decides_where_an_answer_is_given() -> None:
    rows = [
        (table("restyled_val", "normal", 101), np.linspace(0.0, 0.2, 101)),
        (table("restyled_val", "pneumonia", 11), np.linspace(0.0, 0.8, 11)),
        (table("restyled_val", "covid", 9), np.full(9, 0.99)),
        (table("restyled_val", "covid", 11, "there"), np.linspace(0.1, 1.0, 11)),
        (table("val", "pneumonia", 9), np.full(9, 0.95)),
    ]
    probability = np.concatenate([p for _, p in rows]).astype(np.float32)
    clear, firm = heads.bounds(probability, pd.concat([t for t, _ in rows], ignore_index=True))
    assert np.isclose(clear, 0.1 + 0.02 * 0.9) and np.isclose(firm, 0.98 * 0.8)


def test_no_class_is_answered_against_its_probability() -> None:
    assert heads.bounds(np.array([0.1, 0.2], np.float32), table("restyled_val", "normal", 2)) == (0.5, 0.5)
    assert heads.bounds(np.array([0.8, 0.9], np.float32), table("restyled_val", "covid", 2)) == (0.5, 0.5)
    assert heads.bounds(np.array([0.9], np.float32), table("val", "normal", 1)) == (0.5, 0.5)


def test_small_data_sets_are_repeated_until_they_count_alike() -> None:
    rows = pd.DataFrame({"dataset": ["large"] * 7 + ["small"] * 2})
    assert list(heads.alike(rows)) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 8, 8, 8, 8]
    assert list(heads.alike(rows[:7])) == list(range(7))


def test_pictures_take_on_the_style_of_a_training_picture_with_the_other_label() -> None:
    rng = np.random.default_rng(0)
    rows = [("train", "covid", 0.5), ("val", "covid", 1), ("train", "covid", 2), ("train", "normal", 4)]
    own = np.stack([rng.random((48, 48), np.float32) ** exponent for _, _, exponent in rows])
    facts = pd.DataFrame([{"split": split, "source": "here", "finding": finding} for split, finding, _ in rows])
    found = features.restyled(facts, own)
    for crop, givers in zip(found, ([3], [3], [3], [0, 2]), strict=True):
        assert min(distance(crop, own[giver]) for giver in givers) < 0.08
    assert np.array_equal(found, features.restyled(facts, own))


def test_photographs_are_also_shown_without_their_colour(tmp_path: Path) -> None:
    file = tmp_path / "cat.png"
    Image.merge("RGB", [Image.effect_noise((64, 64), 60) for _ in range(3)]).save(file)
    photograph = Record(file, "xray", "photographs", "photographs", "photographs/cat", "photograph")
    (other,) = looks.greyed([photograph, replace(photograph, split="lateral")], "ct")
    assert (other.image, other.modality, other.split) == (file, "ct", GREY)
    coloured, grey = (looks.decode(record) for record in (photograph, other))
    assert coloured.chroma > gate.MOST_COLOUR and grey.chroma == 0 and np.array_equal(coloured.pixels, grey.pixels)


def test_what_trains_or_calibrates_must_be_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    assert not looks.decoded(broken, False, "photograph").pixels.any()  # which the app refuses, too
    for file, split in ((broken, "train"), (broken, "val"), (tmp_path / "none.png", "test")):
        with pytest.raises(ValueError, match=file.name):
            looks.decoded(file, False, split)


def test_features_of_many_crops_are_those_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    crops = np.random.default_rng(0).random((5, 8, 8), np.float32)

    def run(batch: np.ndarray) -> np.ndarray:
        return np.concatenate([batch[:, :, ::2, ::2], batch[:, :, 1::2, ::2] ** 2], axis=1)

    monkeypatch.setattr(features, "BATCH", 2)
    for modality in ("xray", "ct"):
        each = [classify.cells_of(run, crop[None], modality)[0].mean(axis=(1, 2)) for crop in crops]
        np.testing.assert_allclose(features.pooled(crops, run, modality), each, atol=1e-6)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Largest difference between the sorted grey levels."""
    return float(np.abs(np.sort(one.ravel()) - np.sort(other.ravel())).max())


def test_features_of_two_models_are_joined_only_for_the_same_pictures(tmp_path: Path) -> None:
    rows = pd.DataFrame({"image": ["a", "b"], "split": "val", "finding": "covid", "log_opacity": [0.1, 0.2]})
    for folder, table, channels in (("one", rows, 3), ("two", rows, 5), ("other", rows[::-1], 5)):
        (tmp_path / folder).mkdir()
        table.to_csv(tmp_path / folder / "ct.csv", index=False)
        crop = np.ones((2, channels), np.float32)
        np.savez(tmp_path / folder / "ct.npz", crop=crop, style=crop, whole=crop)
    _, arrays = features.joined([tmp_path / "one", tmp_path / "two"])
    assert arrays["pooled"].shape == (2, 3 + 1 + 5 + 1)
    with pytest.raises(ValueError, match="same pictures"):
        features.joined([tmp_path / "one", tmp_path / "other"])
