"""What the classifier is taught, how it is drawn, and augmentation that keeps shapes and range."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from train import augment, classifier, segmenter
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


def test_a_patient_of_one_marked_slice_is_not_lost_among_volumes() -> None:
    marked = replace(BARE, modality="ct", dataset="marked", finding="", lesions=Path("m.png"), lesions_known=True)
    volume, alone = [replace(marked, group="volume")] * 16, [replace(marked, group=f"patient {i}") for i in range(3)]
    unmarked = [replace(BARE, modality="ct", dataset="unmarked", group=f"g{i}") for i in range(9)]
    weights = np.array(segmenter.sampling_weights(volume + alone + unmarked))
    assert weights[:16].sum() == pytest.approx(4 * weights[16])
    assert np.allclose(weights[16:19], weights[16])
    assert weights[19:].sum() == pytest.approx(3 * weights[16])


@pytest.mark.parametrize("modality", ["xray", "ct"])
def test_augmentation_keeps_shape_and_range(modality: str) -> None:
    torch.manual_seed(0)
    wide = classifier.wide_side(96)
    exchange = augment.StyleExchange(np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8))
    move = augment.ClassifierAugmentation(modality, 96, exchange if modality == "xray" else None)
    for _ in range(20):
        image, opacity = move(torch.rand(1, wide, wide), (torch.rand(1, wide, wide) > 0.5).float())
        assert image.shape == opacity.shape == (1, 96, 96)
        assert image.min() >= 0 and image.max() <= 1 and opacity.min() >= 0 and opacity.max() <= 1


@pytest.mark.parametrize("modality", ["xray", "ct"])
def test_augmentation_can_be_sent_to_workers(modality: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 96, 96), np.uint8)
    for made in (
        augment.ClassifierAugmentation(modality, 96, augment.StyleExchange(pictures)),
        augment.SegmentationAugmentation(modality, pictures),
    ):
        again = pickle.loads(pickle.dumps(made))  # as macOS and Windows do
        image, _ = again(torch.rand(1, 96, 96), torch.rand(1, 96, 96))
        assert image.shape == (1, 96, 96)


def test_a_tone_curve_rises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment.Tone, "SHADING", 0.0)
    torch.manual_seed(0)
    ramp = torch.linspace(0, 1, 50)[None, None].expand(1, 50, 50)
    for _ in range(10):
        bent = augment.Tone()(ramp)
        assert (bent.diff(dim=-1) >= -1e-6).all()


def test_a_picture_takes_on_the_style_of_another() -> None:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0.2, 0.9, 64)[:, None] * np.ones((1, 64))
    rough = np.clip(smooth**2 + rng.normal(0, 0.1, smooth.shape), 0, 1)
    exchange = augment.StyleExchange(np.round(rough[None] * 255).astype(np.uint8))
    result = exchange(torch.from_numpy(smooth[None].astype(np.float32)))[0].numpy()
    assert result.min() >= 0 and result.max() <= 1 and result.dtype == np.float32
    levels = np.linspace(0.05, 0.95, 10)
    assert np.allclose(np.quantile(result, levels), np.quantile(rough, levels), atol=0.02)
    # What lies where stays: rows still get brighter downwards.
    assert np.corrcoef(result.mean(axis=1), smooth.mean(axis=1))[0, 1] > 0.9


def test_a_picture_keeps_its_own_style() -> None:
    own = np.random.default_rng(1).integers(0, 256, (64, 64), np.uint8)
    result = augment.StyleExchange(own[None])(torch.from_numpy(own[None] / np.float32(255)))[0].numpy()
    assert np.abs(result - own / 255).max() < 0.02


def test_styles_come_from_the_other_label_as_often_as_training_draws_them() -> None:
    records = [BARE] * 4 + [replace(BARE, source="there")] + [replace(BARE, finding="normal")] * 2
    crops = np.zeros((7, 48, 48), np.uint8) + np.arange(7, dtype=np.uint8)[:, None, None] * 30
    torch.manual_seed(0)
    exchange = classifier.exchanges_by_label(records, crops)
    taken = [round(float(exchange[0](torch.rand(1, 48, 48)).median()) * 255 / 30) for _ in range(150)]
    # Four of one source and one of another: two draws to one.
    assert set(taken) == {0, 1, 2, 3, 4} and 30 < taken.count(4) < 70
    assert {round(float(exchange[1](torch.rand(1, 48, 48)).median()) * 255 / 30) for _ in range(20)} == {5, 6}


@pytest.mark.parametrize("cells", [3, 4, 5])
def test_opacities_are_located_on_the_cells_of_any_network(cells: int) -> None:
    task = classifier.ClassifierTask("mobilenetv2_100", 1e-3, smoothing=0.0)
    task.log_dict = lambda *_, **__: None  # there is no trainer
    features = torch.zeros(2, task.network.channels, cells, cells)
    marked = torch.stack([torch.ones(4, 4), torch.full((4, 4), classifier.NOBODY)])
    loss = task.supervised(features, (features, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), marked))
    assert float(loss.detach()) == pytest.approx(2 * np.log(2), abs=1e-5)  # knows nothing of either
