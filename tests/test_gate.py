"""The gate's three kinds of evidence: the picture's own pixels, distance of features, style of the lungs' box."""

import numpy as np
import pytest

from covid_core import gate, phantom


def test_colour_and_blank_pictures_are_refused_before_any_network() -> None:
    grey = np.random.default_rng(0).random((50, 50)).astype(np.float32)
    assert gate.refusable(0.0, float(grey.std())) == ""
    assert "colour" in gate.refusable(0.2, float(grey.std()))
    assert "blank" in gate.refusable(0.0, 0.0)


def test_mahalanobis_by_hand() -> None:
    mean, basis = np.array([1.0, 2.0], np.float32), np.array([[0.5, 0.0], [0.0, 2.0]], np.float32)
    # Coordinates (3 - 1) / 2 = 1 and (2 - 2) * 2 = 0: root mean square of 1 and 0.
    assert gate.mahalanobis(np.array([3.0, 2.0], np.float32), mean, basis) == pytest.approx(0.5**0.5)


def made_up() -> gate.Gate:
    clouds = dict.fromkeys(gate.CLOUDS, np.zeros(2, np.float32))
    bases = dict.fromkeys(gate.CLOUDS, np.eye(2, dtype=np.float32))
    return gate.Gate(np.array([1.0, 0.0], np.float32), 0.0, clouds, bases, dict.fromkeys(gate.CLOUDS, 2.0))


def test_a_glance_tells_modality_and_distance() -> None:
    seen = made_up().look(np.array([3.0, 0.0], np.float32))
    assert seen.modality == "ct"
    assert seen.distance["ct"] == pytest.approx(3 / 2**0.5 / 2)
    assert made_up().look(np.array([-3.0, 0.0], np.float32)).modality == "xray"
    assert made_up().style_distance(np.array([0.0, 4.0], np.float32), "xray") == pytest.approx(4 / 2**0.5 / 2)


def test_style_tells_blur_noise_and_exposure() -> None:
    from scipy import ndimage

    crop = phantom.xray(seed=2, size=gate.STYLE_SIDE).pixels
    noise = np.random.default_rng(0).normal(0, 0.05, crop.shape)
    plain, blurred, noisy, dark = (
        gate.style(np.clip(p, 0, 1).astype(np.float32))
        for p in (crop, ndimage.gaussian_filter(crop, 1.5), crop + noise, crop**2)
    )
    finest, greys = gate.RINGS - 1, slice(gate.RINGS, None)
    assert blurred[finest] < plain[finest] - 1 and noisy[finest] > plain[finest] + 1
    assert (dark[greys] <= plain[greys] + 1e-6).all() and dark[greys].sum() < plain[greys].sum()
    assert plain.shape == (gate.RINGS + len(gate.GREYS),) and plain.dtype == np.float32
