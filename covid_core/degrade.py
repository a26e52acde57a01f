"""Degrade a picture by a chosen amount, to watch how the answer and its uncertainty follow.

Every kind runs from 0 (the picture as it is) to 1 (hardly to be recognised), and is seeded, so that a curve over the
strength is that of one picture spoilt more and more.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from covid_core import encode
from covid_core.picture import DecodedImage

Array = NDArray[np.float32]
# Larger pictures are reduced to this side first: the networks see less, and eleven strengths must not take eleven seconds.
SIDE = 512


@dataclass(frozen=True)
class Degradation:
    """One way to spoil a picture.

    Attributes:
        title: for a page.
        most: what strength 1 is, in words.
        apply: from pixels [H, W] float32 in 0..1 and a strength to pixels of any size.
    """

    title: str
    most: str
    apply: Callable[[Array, float], Array]


def _noise(pixels: Array, strength: float) -> Array:
    grain = np.random.default_rng(0).standard_normal(pixels.shape, np.float32)
    return pixels + np.float32(0.3 * strength) * grain


def _blur(pixels: Array, strength: float) -> Array:
    return np.asarray(ndimage.gaussian_filter(pixels, strength * max(pixels.shape) / 40), np.float32)


def _contrast(pixels: Array, strength: float) -> Array:
    return np.asarray(pixels.mean() + (pixels - pixels.mean()) * (1 - 0.95 * strength), np.float32)


def _rotation(pixels: Array, strength: float) -> Array:
    return np.asarray(ndimage.rotate(pixels, 90 * strength, reshape=False, order=1), np.float32)


def _crop(pixels: Array, strength: float) -> Array:
    # Towards the upper left corner, so that one lung goes before the other.
    height, width = (max(round(side * (1 - 0.7 * strength)), 1) for side in pixels.shape)
    return pixels[:height, :width]


def _jpeg(pixels: Array, strength: float) -> Array:
    if strength == 0:
        return pixels
    file = BytesIO()
    Image.fromarray(encode.grey8(pixels)).save(file, "JPEG", quality=max(round(60 * (1 - strength)), 1))
    return np.asarray(Image.open(file), np.float32) / np.float32(255)


def _resolution(pixels: Array, strength: float) -> Array:
    longer = max(pixels.shape)
    share = (16 / longer) ** strength  # each step loses the same part of what is left
    height, width = (max(round(side * share), 1) for side in pixels.shape)
    small = Image.fromarray(pixels).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small.resize(pixels.shape[::-1], Image.Resampling.BILINEAR), np.float32)


KINDS: Mapping[str, Degradation] = MappingProxyType(
    {
        "noise": Degradation("Noise", "grain of 30 % of the grey scale", _noise),
        "blur": Degradation("Blur", "smeared over a fortieth of the picture", _blur),
        "contrast": Degradation("Contrast", "5 % of the contrast left", _contrast),
        "rotation": Degradation("Rotation", "turned by 90 degrees", _rotation),
        "crop": Degradation("Crop", "30 % of each side left", _crop),
        "jpeg": Degradation("JPEG", "quality 1", _jpeg),
        "resolution": Degradation("Resolution", "16 pixels a side", _resolution),
    }
)


def reduced(image: DecodedImage) -> DecodedImage:
    """The picture with at most `SIDE` pixels a side, without Hounsfield units."""
    height, width = image.shape
    pixels = image.pixels
    if max(height, width) > SIDE:
        share = SIDE / max(height, width)
        size = max(round(width * share), 1), max(round(height * share), 1)
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), np.float32)
    return replace(image, pixels=pixels, hounsfield=None)


def degrade(image: DecodedImage, kind: str, strength: float) -> DecodedImage:
    """The picture, reduced and spoilt.

    Args:
        image: any picture.
        kind: one of `KINDS`.
        strength: 0 (only reduced) to 1.

    Raises:
        ValueError: no such kind, or no such strength.
    """
    if kind not in KINDS:
        raise ValueError(f"Nothing spoils a picture by '{kind}'. Choose one of: {', '.join(KINDS)}.")
    if not 0 <= strength <= 1:
        raise ValueError(f"The strength must lie between 0 and 1, not at {strength}.")
    small = reduced(image)
    spoilt = KINDS[kind].apply(small.pixels, strength) if strength else small.pixels
    # In 256 greys, as a file would keep it: without that low contrast alone would lose nothing.
    return replace(small, pixels=(np.round(np.clip(spoilt, 0, 1) * 255) / 255).astype(np.float32))
