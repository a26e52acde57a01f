"""The picture with layers painted over it: lungs, lesions, uncertainty, Grad-CAM."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from covid_core.diagnose import Diagnosis
from covid_core.explain import FULL_SCALE, Explanation

Pixels = NDArray[np.uint8]
Places = NDArray[np.float32]
Mask = NDArray[np.bool_]
# Okabe and Ito's palette, told apart with every kind of colour vision.
BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
GREY = "#767676"
CAM = "Evidence for COVID-19 (Grad-CAM)"
LAYERS = {
    "Lungs": BLUE,
    "Lesions": ORANGE,
    "Consolidation": VERMILION,
    "Lesion uncertainty": PURPLE,
    CAM: GREEN,
}
# What became of a true mask, in the colours in which it is shown.
COMPARED = {"found": ORANGE, "missed": BLUE, "marked, but healthy": PURPLE}
# How layers are hatched where colours may be lost, as on a grey printer: whether a place, counted in stripes down and across,
# is painted fully. The lungs, below all others, are plain.
HATCHES: dict[str, Callable[[Places, Places], NDArray[np.bool_]]] = {
    "Lesions": lambda down, across: (down + across) % 1 < 0.5,
    "Consolidation": lambda down, across: ((down + across) % 1 < 0.5) | ((down - across) % 1 < 0.5),
    "Lesion uncertainty": lambda down, across: (down % 1 - 0.5) ** 2 + (across % 1 - 0.5) ** 2 < 0.1,
    CAM: lambda down, across: (down + 0 * across) % 1 < 0.5,
}
STRIPES = 40  # in the longer side of a picture
LARGEST = 2048  # side of a painted picture, px: more than a screen shows, and seconds and gigabytes to paint
BETWEEN = 0.35  # of a layer's strength, between its stripes
DIMMED = 0.55  # brightness of a picture beneath Grad-CAM, whose green is lost on white bones
OUTLINE = 2  # px at each side of an edge, in a picture of 512


def available(diagnosis: Diagnosis) -> list[str]:
    """Names of the `LAYERS` that there are of this picture."""
    found = diagnosis.segmentation
    if found is None:
        return []
    if not found.plausible:
        return ["Lungs"]
    without = {"Consolidation"} if found.consolidation_percent_of_lesions is None else set()
    if diagnosis.explanation is None:
        without.add(CAM)
    return [name for name in LAYERS if name not in without]


def grid(explanation: Explanation) -> str:
    """How coarse a Grad-CAM is, in words: what its cells say is of all that lies in them."""
    side = len(explanation.cells)
    return f"{side} x {side} cells"


def described(diagnosis: Diagnosis, name: str) -> str:
    """A layer's name as in a legend, that of Grad-CAM with its grid."""
    explanation = diagnosis.explanation
    return name if name != CAM or explanation is None else f"{name}, {grid(explanation)}"


def _hatch(name: str, shape: tuple[int, ...], stripe: float) -> Places:
    """How strongly a hatched layer is painted at each pixel, [H, W] in 0..1.

    Args:
        name: of `LAYERS`.
        shape: H and W.
        stripe: from one stripe to the next, px.
    """
    down, across = (np.arange(side, dtype=np.float32) / np.float32(stripe) for side in shape)
    full = HATCHES[name](down[:, None], across[None]) if name in HATCHES else np.ones(shape, bool)
    return np.where(full, 1, BETWEEN).astype(np.float32)


def _mixed(picture: NDArray[Any], name: str, amount: NDArray[Any]) -> NDArray[Any]:
    """The picture [H, W, 3] with so much [H, W] of a layer's colour."""
    return _blended(picture, LAYERS[name], amount)


def _blended(picture: NDArray[Any], colour: str, amount: NDArray[Any]) -> NDArray[Any]:
    """The picture [H, W, 3] with so much [H, W] of a colour "#RRGGBB"."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)], np.float32)
    mixed: NDArray[Any] = picture * (1 - amount[:, :, None]) + rgb * amount[:, :, None]
    return mixed


def _grey(pixels: NDArray[np.float32]) -> NDArray[Any]:
    """A picture [H, W] in 0..1 as colours, [H, W, 3] in 0..255."""
    return np.repeat(pixels[:, :, None], 3, axis=2) * 255


def _rounded(picture: NDArray[Any]) -> Pixels:
    painted: Pixels = np.round(np.clip(picture, 0, 255)).astype(np.uint8)
    return painted


def _strength(explanation: Explanation) -> NDArray[Any]:
    """How strongly evidence for COVID-19 is painted, [H, W] in 0..1."""
    shown: NDArray[Any] = np.clip(explanation.heatmap / FULL_SCALE, 0, 1)
    return shown


def _reduced(array: NDArray[Any], step: int) -> Places:
    """[H, W] -> [H / step, W / step], each the mean of what it stands for."""
    whole = np.asarray(array, np.float32)
    return whole if step == 1 else np.asarray(Image.fromarray(whole).reduce(step))


def swatch(name: str, hatched: bool) -> Pixels:
    """A small patch of a layer for the key beside a picture, [24, 36, 3]."""
    paper = np.full((24, 36, 3), 255, np.float32)
    amount = _hatch(name, paper.shape[:2], 12) if hatched else np.ones(paper.shape[:2], np.float32)
    return _rounded(_mixed(paper, name, amount))


def patch(colour: str) -> Pixels:
    """A small patch of a colour "#RRGGBB" for a key, [24, 36, 3]."""
    return _rounded(_blended(np.zeros((24, 36, 3), np.float32), colour, np.ones((24, 36), np.float32)))


def grad_cam(pixels: NDArray[np.float32], explanation: Explanation, opacity: float) -> Pixels:
    """A picture [H, W] in 0..1 with a Grad-CAM painted over it, [H, W, 3]."""
    return _rounded(_mixed(_grey(pixels) * DIMMED, CAM, _strength(explanation) * np.float32(opacity)))


def outlined(picture: Pixels, mask: Mask) -> Pixels:
    """A painted picture [H, W, 3] with the edge of a mask, of its size or larger, in white with a dark rim."""
    height, width = picture.shape[:2]
    inside = np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
    steps = max(1, round(OUTLINE * max(height, width) / 512))
    edge = ndimage.binary_dilation(inside ^ ndimage.binary_erosion(inside), iterations=steps)
    rim = ndimage.binary_dilation(edge, iterations=steps)
    return np.where(edge[..., None], 255, np.where(rim[..., None], 0, picture)).astype(np.uint8)


def compared(pixels: NDArray[np.float32], true: Mask, marked: Mask) -> Pixels:
    """A picture [H, W] in 0..1 with what of a mask was found, missed and marked without cause, in the colours of `COMPARED`."""
    picture = _grey(pixels)
    for name, where in zip(COMPARED, (true & marked, true & ~marked, marked & ~true), strict=True):
        picture = _blended(picture, COMPARED[name], where * np.float32(0.6))
    return _rounded(picture)


def layers(
    diagnosis: Diagnosis,
    shown: list[str],
    opacity: float,
    below: NDArray[np.float32] | None = None,
    hatched: bool = False,
) -> Pixels:
    """The picture with layers painted over it.

    Args:
        diagnosis: with masks; a layer that was not computed is skipped.
        shown: names of `LAYERS`.
        opacity: 0..1.
        below: [H, W] float32, 0..1, the same picture in other grey levels; None for those that were answered.
        hatched: each layer in a pattern of its own, so that they are told apart without colours.

    Returns:
        [H, W, 3] uint8; of a picture of more than `LARGEST` pixels a side, fewer of them.
    """
    pixels = diagnosis.image.pixels if below is None else below
    step = -(-max(pixels.shape) // LARGEST)
    picture = _grey(_reduced(pixels, step))
    found, explanation = diagnosis.segmentation, diagnosis.explanation
    # Functions, for some are costly, and mostly few are shown.
    strength: dict[str, Callable[[], NDArray[Any]]] = {}
    if found is not None:
        strength = {
            "Lungs": lambda: found.lungs * np.float32(0.5),
            "Lesions": lambda: found.lesions,
            "Lesion uncertainty": lambda: found.uncertainty,
        }
        if (dense := found.consolidation) is not None:
            strength["Consolidation"] = lambda: dense
    if explanation is not None:
        strength[CAM] = lambda: _strength(explanation)
    if CAM in shown and CAM in strength:
        picture = picture * DIMMED
    for name in LAYERS:
        if name in shown and name in strength:
            amount = _reduced(strength[name](), step) * np.float32(opacity)
            if hatched:
                amount = amount * _hatch(name, amount.shape, max(amount.shape) / STRIPES)
            picture = _mixed(picture, name, amount)
    return _rounded(picture)
