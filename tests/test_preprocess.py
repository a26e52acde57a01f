"""Frames: what is cut out comes back to its place, whatever the picture's shape."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from covid_core import preprocess
from covid_core.preprocess import (
    SAMPLED,
    Frame,
    around,
    limits,
    quantiles,
    resampled,
    resampling,
    spread,
    stretch,
    whole,
    whole_square,
)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).random((height, width)).astype(np.float32)


@pytest.mark.parametrize(("height", "width"), [(40, 40), (30, 40), (40, 31)])
def test_a_whole_picture_comes_back(height: int, width: int) -> None:
    pixels = picture(height, width)
    frame = whole((height, width))
    assert np.allclose(frame.restore(frame.extract(pixels, frame.side)), pixels, atol=1e-6)


def test_a_square_picture_is_cut_like_any_other() -> None:
    """A window that is the picture gives what a picture with a black row more would give."""
    pixels = picture(40, 40)
    taller = np.concatenate([pixels, np.zeros((1, 40), np.float32)])
    short, long = Frame(0, 0, 40, 40, 40), Frame(0, 0, 40, 41, 40)
    assert np.array_equal(short.extract(pixels, 16), long.extract(taller, 16))
    small = picture(16, 16)
    assert np.array_equal(short.restore(small), long.restore(small)[:40])


def test_a_window_beyond_the_picture_is_black_there() -> None:
    window = Frame(-10, -10, 60, 40, 40).extract(np.ones((40, 40), np.float32), 60)
    assert window[:10].max() == 0 and window[50:].max() == 0 and window[10:50, 10:50].min() == 1


def test_a_long_picture_costs_no_more_memory_than_it_has_pixels() -> None:
    """Its window is a square of its longer side."""
    pixels = np.zeros((400, 16_000), np.float32)
    frame = whole(pixels.shape)
    mask = np.ones(pixels.shape, bool)
    tracemalloc.start()
    small = frame.extract(pixels, 64)
    assert frame.restore(small).shape == pixels.shape
    assert frame.shares(mask, 4).sum() == pytest.approx(16 * 400 / 16_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 4 * pixels.nbytes < 16_000**2


SIDES = st.integers(1, 120)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, rows=SIDES, columns=SIDES)
def test_resampling_is_that_of_pillow(height: int, width: int, rows: int, columns: int) -> None:
    pixels = picture(height, width)
    expected = np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR))
    found = resampled(resampling(height, rows), pixels, resampling(width, columns))
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert np.allclose(found, expected, atol=1e-6)


def test_shares_are_those_of_the_mask_in_each_cell() -> None:
    mask = np.zeros((40, 40), bool)
    mask[:20, :10] = True
    # Cells of 20 x 20; the window's first row of them lies above the picture.
    assert np.allclose(Frame(-20, 0, 40, 40, 40).shares(mask, 2), [[0, 0], [0.5, 0]], atol=0.005)
    assert np.allclose(Frame(0, 0, 40, 40, 40).shares(mask, 2), [[0.5, 0], [0, 0]], atol=0.005)


def test_widened_keeps_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "CROP_MARGIN", 0.0)
    mask = np.zeros((50, 50), bool)
    mask[10:30, 20:40] = True
    frame = around(mask)
    assert (frame.top, frame.left, frame.side) == (10, 20, 20)
    wide = frame.widened(0.25)
    assert (wide.top, wide.left, wide.side) == (5, 15, 30)


def test_stretch_lies_between_the_limits() -> None:
    pixels = picture(60, 60)
    low, high = limits(pixels, "xray")
    result = stretch(pixels, "xray")
    assert result.min() == 0 and result.max() == 1
    assert np.allclose(
        result[(pixels > low) & (pixels < high)],
        (pixels[(pixels > low) & (pixels < high)] - low) / (high - low),
        atol=1e-5,
    )
    assert stretch(np.full((9, 9), 0.3, np.float32), "ct").max() == 0


def test_limits_of_a_large_picture_are_those_of_all_its_pixels() -> None:
    pixels = picture(SAMPLED * 5 + 3, SAMPLED * 4)
    assert np.allclose(limits(pixels, "xray"), np.percentile(pixels, (1, 99)), atol=0.01)


def test_what_lies_beyond_a_picture_stays_black_in_the_whole_square() -> None:
    square, frame = whole_square(picture(40, 30) / 2 + 0.25, "xray", 40)
    assert frame == whole((40, 30))
    assert square[:, :4].max() == 0 and square[:, 36:].max() == 0
    assert square[:, 6:34].mean() > 0.4


def test_spread_cuts_off_beyond_its_limits() -> None:
    result = spread(np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), 0.2, 0.4)
    assert np.allclose(result, [[0, 0, 0.5, 1]]) and result.dtype == np.float32


@pytest.mark.parametrize("values", [picture(37, 41), np.float32([[3]]), np.float32([2, 2, 2, 7])])
def test_quantiles_are_numpys(values: np.ndarray) -> None:
    shares = [0.0, 0.01, 0.5, 0.95, 1.0]
    assert np.array_equal(quantiles(values, shares), np.quantile(values, shares))
