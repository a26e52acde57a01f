"""The synthetic chests: what they promise about pictures, masks and Hounsfield units."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from covid_core.phantom import Lesions, ct, png_bytes, xray
from covid_core.thorax import Anatomy

MAKERS = pytest.mark.parametrize("make", [xray, ct])
SEED = 3
SIZE = 160  # small pictures keep the tests quick; the chest behind an X-ray is the same at any size


@MAKERS
def test_equal_seeds_give_equal_pictures(make):
    first, second = (make(SEED, Lesions(), SIZE) for _ in range(2))
    assert np.array_equal(first.pixels, second.pixels)
    assert np.array_equal(first.lesions, second.lesions)
    assert png_bytes(first) == png_bytes(second)


@MAKERS
def test_another_seed_is_another_person(make):
    first, second = make(SEED, size=SIZE), make(SEED + 1, size=SIZE)
    assert (first.lungs != second.lungs).mean() > 0.005


@MAKERS
def test_arrays_have_the_promised_shape_type_and_range(make):
    phantom = make(SEED, Lesions())
    assert phantom.pixels.shape == phantom.lungs.shape == phantom.lesions.shape == (320, 320)
    assert phantom.pixels.dtype == np.float32
    assert phantom.lungs.dtype == phantom.lesions.dtype == bool
    assert phantom.pixels.min() >= 0 and phantom.pixels.max() <= 1
    assert np.ptp(phantom.pixels) > 0.7
    assert (phantom.hounsfield is not None) == (make is ct)


@MAKERS
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_there_are_two_lungs_of_like_size_one_on_each_side(make, seed):
    lungs = make(seed, size=SIZE).lungs
    labels, count = ndimage.label(lungs)
    areas = np.sort(ndimage.sum_labels(lungs, labels, range(1, count + 1)))[::-1]
    assert areas[:2].sum() > 0.98 * lungs.sum()
    assert areas[1] > 0.5 * areas[0]
    assert 0.07 < lungs.mean() < 0.4
    right, left = (ndimage.center_of_mass(labels == label)[1] / SIZE for label in (1, 2))
    assert min(right, left) < 0.42 and max(right, left) > 0.58


@MAKERS
def test_lungs_are_darker_than_what_is_between_them(make):
    phantom = make(SEED, size=SIZE)
    rows = phantom.lungs.any(1)
    middle = phantom.pixels[rows, SIZE // 2 - 2 : SIZE // 2 + 3]
    assert phantom.pixels[phantom.lungs].mean() < middle.mean() - 0.2


@MAKERS
def test_healthy_means_no_lesion(make):
    assert not make(SEED, size=SIZE).lesions.any()
    none = make(SEED, Lesions(count=0), SIZE)
    assert not none.lesions.any()
    assert np.array_equal(none.pixels, make(SEED, size=SIZE).pixels)


@MAKERS
@pytest.mark.parametrize(
    "settings", [{}, {"size": 0.4}, {"count": 12, "size": 0.05}, {"depth": 1}, {"level": 0.45, "spread": 0}]
)
def test_lesions_lie_inside_the_lungs(make, settings):
    phantom = make(SEED, Lesions(**settings), SIZE)
    assert phantom.lesions.any()
    assert not (phantom.lesions & ~phantom.lungs).any()


@MAKERS
def test_more_or_larger_lesions_cover_more(make):
    by_count = [make(SEED, Lesions(count=n), SIZE).lesions for n in (1, 3, 8)]
    by_size = [make(SEED, Lesions(size=s), SIZE).lesions.sum() for s in (0.08, 0.16, 0.32)]
    assert by_count[0].sum() < by_count[1].sum() < by_count[2].sum()
    assert not (by_count[0] & ~by_count[1]).any(), "a further patch moved the earlier ones"
    assert by_size[0] < by_size[1] < by_size[2]


@MAKERS
def test_denser_lesions_are_brighter_and_cover_the_same(make):
    phantoms = [make(SEED, Lesions(density=d), SIZE) for d in (0.0, 0.5, 1.0)]
    where = phantoms[0].lesions
    assert all(np.array_equal(phantom.lesions, where) for phantom in phantoms)
    values = [make(SEED, size=SIZE).pixels[where].mean()] + [phantom.pixels[where].mean() for phantom in phantoms]
    assert np.all(np.diff(values) > 0.01)


@MAKERS
def test_before_and_after_differ_near_the_lesions_only(make):
    before, after = make(SEED, size=SIZE), make(SEED, Lesions(), SIZE)
    assert np.array_equal(before.lungs, after.lungs)
    # Scatter and the console's contrast reach some way; a CT slice differs only where the haze is.
    reach = {xray: 90, ct: 25}[make] * SIZE / 381
    far = ndimage.distance_transform_edt(~after.lesions) > reach
    assert far.mean() > 0.2
    assert np.abs(before.pixels - after.pixels)[far].max() < 2e-3
    assert (after.pixels - before.pixels)[after.lesions].mean() > 0.02


def test_a_lesion_at_a_fixed_level_is_cut_by_slices_at_that_level_only():
    lesions = Lesions(level=0.5, spread=0, size=0.12)
    assert ct(SEED, lesions, SIZE, level=0.5).lesions.any()
    assert not ct(SEED, lesions, SIZE, level=0.8).lesions.any()
    assert ct(SEED, Lesions(), SIZE, level=0.8).lesions.any(), "without a level they follow the slice"


def test_lesions_can_be_moved_up_and_down_in_an_xray():
    high, low = (xray(SEED, Lesions(level=level, spread=0.05), SIZE).lesions for level in (0.25, 0.7))
    assert ndimage.center_of_mass(high)[0] < ndimage.center_of_mass(low)[0] - 0.1 * SIZE


def test_hounsfield_units_are_those_of_tissue():
    phantom = ct(SEED)
    hu = phantom.hounsfield
    assert hu.dtype == np.float32
    assert np.abs(np.median(hu[:20]) + 1000) < 5, "air above the patient"
    assert -850 < np.median(hu[phantom.lungs]) < -700
    inside = ndimage.binary_erosion(ndimage.binary_fill_holes(hu > -300), iterations=25) & ~phantom.lungs
    soft = hu[ndimage.binary_erosion(inside & (hu > -50) & (hu < 120), iterations=2)]
    assert 30 < np.median(soft) < 60
    assert (hu > 250).sum() > 100, "bone"
    assert 15 < (hu[:20] - np.median(hu[:20])).std() < 30, "noise"


def test_the_picture_of_a_slice_is_its_lung_window():
    phantom = ct(SEED, Lesions(), SIZE)
    assert np.allclose(phantom.pixels, np.clip((phantom.hounsfield + 1350) / 1500, 0, 1), atol=1e-6)


def test_lesions_lie_between_lung_and_soft_tissue():
    phantom = ct(SEED, Lesions(density=0.5))
    core = ndimage.binary_erosion(phantom.lesions, iterations=4)
    assert -550 < np.median(phantom.hounsfield[core]) < -330


@pytest.mark.parametrize("level", [0, 0.25, 0.5, 0.75, 1])
def test_every_level_shows_lung(level):
    assert ct(SEED, size=SIZE, level=level).lungs.mean() > 0.005


@MAKERS
def test_png_holds_the_pixels(make):
    phantom = make(SEED, Lesions(), SIZE)
    with Image.open(io.BytesIO(png_bytes(phantom))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("PNG", "L", (SIZE, SIZE))
        assert np.abs(np.asarray(picture) / 255 - phantom.pixels).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(
    "settings",
    [{"count": -1}, {"count": 25}, {"count": 2.5}, {"size": 0}, {"size": 0.6}, {"density": 1.1}, {"density": -0.1},
     {"density": float("nan")}, {"level": 1.5}, {"spread": -1}, {"depth": 2}],
)  # fmt: skip
def test_bad_lesions_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Lesions(**settings)


@pytest.mark.parametrize("settings", [{"seed": -1}, {"seed": 1.5}, {"size": 10}, {"size": 5000}])
@MAKERS
def test_bad_settings_are_refused(make, settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        make(**settings)


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_a_slice_outside_the_lungs_is_refused(level):
    with pytest.raises(ValueError, match="level"):
        ct(level=level)


def test_distances_are_negative_inside_and_bones_keep_their_place():
    person = Anatomy.draw(SEED)
    z = np.float32(person.apex + 100)
    assert person.lungs(z, np.float32(20), np.float32(-80)) < -10
    assert person.lungs(z, np.float32(20), np.float32(0)) > 5
    assert person.body(z, np.float32(8), np.float32(0), arms=False) < -30
    spread = [Anatomy.draw(seed).width for seed in range(20)]
    assert np.std(spread) > 1
