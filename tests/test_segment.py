"""Lung shape, lesion share and its interval, opacity: by hand on masks of a few pixels and on phantoms."""

import numpy as np
import pytest

from covid_core import images, phantom, preprocess, registry, segment
from covid_core.diagnose import segmenter

LIMITS = {"area": [0.1, 0.5], "certainty": 0.8, "middle": 0.35}


def two_lungs() -> np.ndarray:
    mask = np.zeros((40, 40), bool)
    mask[10:30, 5:16] = mask[10:30, 24:35] = True
    return mask


def test_two_lungs_leave_the_middle_free() -> None:
    mask = two_lungs()
    shape = segment.lung_shape(mask, mask.astype(np.float32))
    assert shape.area == pytest.approx(440 / 1600)
    assert shape.certainty == 1 and shape.middle == 0
    assert segment.implausible(shape, LIMITS) == ""


def test_one_lung_over_the_other_is_refused() -> None:
    mask = np.zeros((40, 40), bool)
    mask[8:32, 8:32] = True
    shape = segment.lung_shape(mask, mask.astype(np.float32))
    assert shape.middle == 1
    assert "Two lungs side by side" in segment.implausible(shape, LIMITS)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (segment.LungShape(0.0, 0.0, 0.0), "No lungs"),
        (segment.LungShape(0.7, 1.0, 0.0), "cropped closely"),
        (segment.LungShape(0.3, 0.6, 0.0), "uncertain"),
    ],
)
def test_other_implausible_masks(shape: segment.LungShape, words: str) -> None:
    assert words in segment.implausible(shape, LIMITS)


def test_an_empty_mask_has_no_shape() -> None:
    nothing = np.zeros((8, 8), bool)
    assert segment.lung_shape(nothing, nothing.astype(np.float32)) == segment.LungShape(0.0, 0.0, 0.0)
    assert segment.mean_probability(segment.log_opacity(nothing, nothing.astype(np.float32))) == pytest.approx(0)


def test_phantom_lungs_have_the_shape_of_lungs() -> None:
    lungs = phantom.xray(seed=3).lungs
    assert segment.lung_shape(lungs, lungs.astype(np.float32)).middle < 0.35


def test_specks_and_a_third_component_are_dropped() -> None:
    probability = two_lungs().astype(np.float32)
    probability[0, 0] = 1
    assert (segment.lungs_from(probability) == two_lungs()).all()
    # Under one lung and beside the other: a third component, large enough for a lung, in the box of both.
    shorter, third = probability.copy(), np.zeros_like(probability, bool)
    shorter[20:, 5:16] = 0
    third[24:30, 5:16] = True
    shorter[third] = 1
    assert (segment.lungs_from(shorter) == (shorter > 0.5) & ~third & (two_lungs() | third)).all()


def test_share_and_interval() -> None:
    lungs = two_lungs()
    lesions = np.zeros_like(lungs)
    lesions[10:20, 5:16] = True
    lesions[0:5] = True  # outside the lungs does not count
    share = segment.lesion_share(lungs, lesions)
    assert share == pytest.approx(0.25)
    assert segment.share_interval(share, 0.1) == pytest.approx((0.16, 0.36))
    assert segment.share_interval(0.0, 0.1) == pytest.approx((0.0, 0.01))
    assert segment.share_interval(0.9, 0.5)[1] == 1


def test_log_opacity_is_the_logarithm_of_the_mean_inside_the_lungs() -> None:
    lungs = two_lungs()
    probability = np.where(lungs, 0.09, 1.0).astype(np.float32)
    assert segment.log_opacity(lungs, probability) == pytest.approx(np.log(0.10), abs=1e-5)
    assert segment.mean_probability(segment.log_opacity(lungs, probability)) == pytest.approx(0.09, abs=1e-6)


@pytest.mark.parametrize("modality", ["xray", "ct"])
def test_the_mirror_image_is_laid_back_over_the_picture(modality: str) -> None:
    spec = registry.segmenter_for(modality)
    segmenter = segment.Segmenter(spec, lambda batch: np.concatenate([batch, batch], axis=1) * 9, {})
    picture = np.zeros((64, 64), np.float32)
    picture[:20, :20] = 1
    view, frame = segmenter.view(picture)
    probability = segmenter.probabilities(view)
    # Were it not, another corner would be half certain.
    assert ((frame.restore(probability[0]) > 0.4) != (picture > 0.5)).mean() < 0.02
    assert not np.allclose(view, np.flip(view, preprocess.FLIPPED[modality]))


def test_the_lesser_side_is_the_lung_with_less_opacity() -> None:
    lungs = two_lungs()
    left = np.zeros_like(lungs)
    left[:, : lungs.shape[1] // 2] = True
    probability = np.where(left, 0.6, 0.1).astype(np.float32)
    assert segment.lesser_side(lungs, probability) == pytest.approx(0.1, abs=1e-6)
    assert segment.lesser_side(lungs, probability[:, ::-1]) == pytest.approx(0.1, abs=1e-6)
    assert segment.lesser_side(np.zeros_like(lungs), probability) == 0


def test_dense_lesions_are_consolidation_and_faint_ones_ground_glass() -> None:
    def consolidation(density: float) -> float | None:
        lesions = phantom.Lesions(count=8, size=0.24, density=density)
        picture = images.decode(phantom.png_bytes(phantom.ct(seed=1, lesions=lesions)), "ct.png")
        found = segmenter("ct").segment(picture.pixels)
        assert found.consolidation is not None and not (found.consolidation & ~found.lesions).any()
        return found.consolidation_percent_of_lesions

    faint, dense = consolidation(0.0), consolidation(1.0)
    assert faint is not None and dense is not None and faint < 1 and dense > 50
    healthy = segmenter("xray").segment(images.decode(phantom.png_bytes(phantom.xray(seed=1)), "xray.png").pixels)
    assert healthy.consolidation is None and healthy.consolidation_percent_of_lesions is None


def test_density_is_the_mean_of_the_neighbourhood() -> None:
    square = np.zeros((100, 100), np.float32)
    square[50, 50] = 1
    found = segment.density(square)
    assert found.sum() == pytest.approx(1) and found.max() == pytest.approx(0.25)  # of two by two pixels
