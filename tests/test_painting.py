"""Layers over a picture: which there are, and what they are painted on."""

from dataclasses import replace

import numpy as np
import pytest

from covid_core import images, painting
from covid_core.diagnose import Diagnosis, diagnose
from tests import golden


@pytest.fixture(scope="module")
def result() -> Diagnosis:
    return diagnose(images.decode(golden.png("ct-lesions")), "ct")


def test_only_lungs_are_painted_where_they_are_implausible(result: Diagnosis) -> None:
    assert painting.available(result) == list(painting.LAYERS)
    found = result.segmentation
    assert found is not None
    assert painting.available(replace(result, segmentation=replace(found, plausible=False))) == ["Lungs"]
    assert painting.available(replace(result, segmentation=None)) == []
    assert "Evidence for COVID-19 (Grad-CAM)" not in painting.available(replace(result, explanation=None))


def test_layers_are_painted_on_other_grey_levels(result: Diagnosis) -> None:
    black = np.zeros_like(result.image.pixels)
    plain, painted = (painting.layers(result, shown, 0.5, black) for shown in ([], ["Consolidation"]))
    found = result.segmentation
    assert found is not None and found.consolidation is not None and found.consolidation.any()
    assert not plain.any()
    np.testing.assert_array_equal(painted.any(axis=2), found.consolidation)


def test_a_true_mask_is_outlined_and_compared() -> None:
    mask = np.zeros((512, 512), bool)
    mask[100:300, 100:300] = True
    grey = np.full((512, 512, 3), 128, np.uint8)
    drawn = painting.outlined(grey, mask)
    assert drawn[100, 200].tolist() == [255] * 3 and drawn[97, 200].tolist() == [0] * 3  # the edge, and its rim
    assert drawn[200, 200].tolist() == drawn[20, 20].tolist() == [128] * 3
    np.testing.assert_array_equal(painting.outlined(grey[::2, ::2], mask)[50, 100], [255] * 3)  # painted smaller
    marked = np.roll(mask, 100, axis=1)
    shown = painting.compared(np.zeros((512, 512), np.float32), mask, marked)
    patches = [painting.patch(colour)[0, 0] for colour in painting.COMPARED.values()]
    for place, colour in zip((250, 150, 350), patches, strict=True):  # found, missed, marked but healthy
        np.testing.assert_allclose(shown[200, place], 0.6 * colour, atol=1)
    assert not shown[20, 20].any()


def test_a_large_picture_is_painted_smaller(result: Diagnosis, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = painting.layers(result, ["Lesions"], 0.5)
    monkeypatch.setattr(painting, "LARGEST", max(whole.shape) // 2)
    half = painting.layers(result, ["Lesions"], 0.5)
    assert half.shape == (whole.shape[0] // 2, whole.shape[1] // 2, 3)
    means = whole.reshape(half.shape[0], 2, half.shape[1], 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).max() < 30 and np.abs(half - means).mean() < 1


def test_a_legend_says_how_coarse_grad_cam_is(result: Diagnosis) -> None:
    assert result.explanation is not None
    coarse = replace(result, explanation=replace(result.explanation, cells=np.ones((2, 2), np.float32)))
    assert painting.described(coarse, painting.CAM) == "Evidence for COVID-19 (Grad-CAM), 2 x 2 cells"
    assert painting.described(coarse, "Lungs") == "Lungs"


def test_hatched_layers_differ_in_pattern(result: Diagnosis) -> None:
    grey = {name: painting.swatch(name, True).astype(float).mean(axis=2) for name in painting.LAYERS}
    patterns = {(values < values.mean()).tobytes() for values in grey.values()}
    assert len(patterns) == len(painting.LAYERS)
    assert np.array_equal(painting.patch(painting.LAYERS["Lesions"]), painting.swatch("Lesions", False))
    assert all(len(np.unique(painting.swatch(name, False).reshape(-1, 3), axis=0)) == 1 for name in painting.LAYERS)
    plain, hatched = (painting.layers(result, ["Lesions"], 0.5, hatched=on) for on in (False, True))
    found = result.segmentation
    assert found is not None
    differs = (plain != hatched).any(axis=2)
    assert 0.2 < differs[found.lesions].mean() < 0.8 and not differs[~found.lesions].any()
