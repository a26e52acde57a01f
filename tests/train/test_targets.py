"""What the classifier is taught, how it is drawn, and augmentation that keeps shapes and range."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train import augment, classifier
from train.datasets.records import Record

BARE = Record(Path("a.png"), "xray", "xray", "here", "g", "train", "covid")


@pytest.mark.parametrize(
    ("covid", "mean", "target"),
    [(0, 0.9, 0.0), (0, 0.0, 0.0), (1, 0.0, 0.4), (1, 0.02, 0.4), (1, 0.05, 0.7), (1, 0.08, 1.0), (1, 0.9, 1.0)],
)
def test_covid_without_visible_opacity_is_hardly_known(covid: int, mean: float, target: float) -> None:
    assert classifier.soft_target(covid, float(np.log(mean + 0.01))) == pytest.approx(target, abs=1e-6)


def test_both_classes_are_drawn_alike_and_small_sources_more_often() -> None:
    records = [BARE] * 9 + [replace(BARE, source="there")] * 1 + [replace(BARE, finding="normal")] * 30
    weights = np.array(classifier.balance(records))
    assert weights[:10].sum() == pytest.approx(weights[10:].sum())
    assert weights[:9].sum() == pytest.approx(3 * weights[9])


def test_data_sets_with_both_classes_are_drawn_alike() -> None:
    small = [replace(BARE, dataset="small", finding=f) for f in ("covid", "normal", "normal")]
    large = [replace(BARE, dataset="large", finding=f) for f in ["covid"] * 20 + ["normal"] * 5]
    masks = [replace(BARE, dataset="masks", finding="")] * 4
    weights = np.array(classifier.balance(small + large + masks))
    assert weights[:3].sum() == pytest.approx(weights[3:28].sum())
    assert weights[28:].sum() == pytest.approx(weights[:3].sum() / 6)


@pytest.mark.parametrize("modality", ["xray", "ct"])
def test_augmentation_keeps_shape_and_range(modality: str) -> None:
    torch.manual_seed(0)
    wide = classifier.wide_side(96)
    move = augment.classifier_augmentation(modality, 96)
    for _ in range(20):
        image, opacity = move(torch.rand(1, wide, wide), (torch.rand(1, wide, wide) > 0.5).float())
        assert image.shape == opacity.shape == (1, 96, 96)
        assert image.min() >= 0 and image.max() <= 1 and opacity.min() >= 0 and opacity.max() <= 1


def test_a_tone_curve_rises() -> None:
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 50)[None, None].expand(1, 50, 50)
    for _ in range(10):
        bent = augment.Tone(shading=0.0)(ramp)
        assert (bent.diff(dim=-1) >= -1e-6).all()
