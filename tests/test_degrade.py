"""Pictures spoilt more and more: each kind does what it says, reproducibly, and nothing at strength 0."""

import numpy as np
import pytest

from covid_core import degrade, images
from tests import golden


@pytest.fixture(scope="module")
def picture() -> images.DecodedImage:
    return images.decode(golden.png("ct-lesions"), "ct.png")


@pytest.mark.parametrize("kind", degrade.KINDS)
def test_every_kind_changes_more_with_more_strength(picture: images.DecodedImage, kind: str) -> None:
    plain = degrade.degrade(picture, kind, 0)
    assert np.abs(plain.pixels - degrade.reduced(picture).pixels).max() <= 0.5 / 255 + 1e-6
    changed = []
    for strength in (0.2, 1.0):
        spoilt = degrade.degrade(picture, kind, strength).pixels
        assert spoilt.dtype == np.float32 and spoilt.min() >= 0 and spoilt.max() <= 1
        assert np.array_equal(spoilt, degrade.degrade(picture, kind, strength).pixels)
        height, width = spoilt.shape
        changed.append(float(np.abs(spoilt - plain.pixels[:height, :width]).mean()) + plain.pixels.size - spoilt.size)
    assert 0 < changed[0] < changed[1]


def test_a_large_picture_is_reduced_and_keeps_its_shape(picture: images.DecodedImage) -> None:
    wide = np.zeros((600, 1200), np.float32)
    small = degrade.reduced(images.DecodedImage(wide, None, 0.0, "PNG", None, "", "wide.png"))
    assert small.shape == (256, 512)
    assert degrade.reduced(picture).shape == picture.shape


@pytest.mark.parametrize(("kind", "strength"), [("smoke", 0.5), ("blur", 1.5), ("blur", -0.1)])
def test_wrong_use_is_told(picture: images.DecodedImage, kind: str, strength: float) -> None:
    with pytest.raises(ValueError, match="Choose one of|between 0 and 1"):
        degrade.degrade(picture, kind, strength)
