"""Seeded synthetic chest X-rays and CT slices with true lung and lesion masks, from the chest model in `thorax`.

    before, after = xray(seed=3), xray(seed=3, lesions=Lesions(count=5))

Nothing here was learned or copied from a patient, so the pictures can be shown, shared and tested against freely. They
teach and test; they are no evidence of how well a model works on people.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from covid_core.hounsfield import LUNG_WINDOW, windowed
from covid_core.shapes import Array, Grid, Points
from covid_core.thorax import Anatomy, Thorax, build

Mask = NDArray[np.bool_]
Modality = Literal["xray", "ct"]

FIELD = 345.0  # side of either picture at the patient, mm
WATER = 0.0165  # attenuation of water per mm, for the hardened beam of a chest X-ray
NOISE = 22.0  # standard deviation in a CT slice, HU
GROUND_GLASS = (-600.0, -100.0)  # HU of a lesion at density 0 and 1
SMALLEST, LARGEST = 64, 1024  # pixels
MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Lesions:
    """Patches of ground-glass opacity; the defaults look like COVID-19: several, on both sides, along the pleura.

    Attributes:
        count: number of patches, 0..24.
        size: diameter of a patch as a share of the width of both lungs together, 0.02..0.5.
        density: 0 faintest ground glass (-600 HU) .. 1 almost consolidated (-100 HU).
        level: height of the patches, 0 apex .. 1 base; None: at the bases in an X-ray, in the plane of a CT slice.
        spread: how far patches stray from that height, as a share of the lungs' height, 0..1; unused on a CT slice
            unless `level` is given.
        depth: 0 along the pleura .. 1 near the hilum.
    """

    count: int = 4
    size: float = 0.16
    density: float = 0.6
    level: float | None = None
    spread: float = 0.15
    depth: float = 0.1

    def __post_init__(self) -> None:
        _check_whole("count", self.count, 24)
        _check_between("size", self.size, 0.02, 0.5)
        for name in ("density", "spread", "depth"):
            _check_between(name, getattr(self, name))
        if self.level is not None:
            _check_between("level", self.level)


@dataclass(frozen=True)
class Phantom:
    """A picture and the truth about it.

    Attributes:
        pixels: [height, width] float32, 0..1, as shown on a screen: bone white, air black.
        hounsfield: [height, width] float32, HU, CT only.
        lungs: [height, width] bool. In an X-ray the fields that can be seen: without heart and diaphragm.
        lesions: [height, width] bool, inside the lungs.
    """

    pixels: Array
    hounsfield: Array | None
    lungs: Mask
    lesions: Mask


def xray(seed: int = 0, lesions: Lesions | None = None, size: int = 320) -> Phantom:
    """Make a frontal (PA) chest X-ray.

    Args:
        seed: of the person and the noise, at least 0; the same with and without lesions is a before and after.
        lesions: None for healthy lungs.
        size: width and height in pixels, 64..1024.

    Returns:
        The picture with its masks.

    Raises:
        ValueError: a setting is out of range.
    """
    _check_whole("seed", seed, MOST_SEED)
    _check_whole("size", size, LARGEST, SMALLEST)
    chest = _standing(seed)
    share, hounsfield = _infiltrate(chest, lesions, None)
    healthy = _shadow(chest.hounsfield, chest.grid, size)
    path = healthy if lesions is None else _shadow(hounsfield, chest.grid, size)
    depth = chest.grid.spacing[1]
    lung = _resize(chest.lung.sum(1) * depth, size)  # mm
    # Where much else lies in front of or behind the lung, its edge is lost: heart and diaphragm hide it.
    lungs = (lung > 20) & (_resize(chest.tissue, size) < 32)
    # The screen is set on the healthy chest, so that before and after differ only by the lesions.
    plain = _detect(healthy, None)
    dark, bright = np.percentile(plain[lungs], 30), np.percentile(plain[lung > 0], 99)
    pixels = _develop(_detect(path, seed), float(dark), float(bright))
    return Phantom(pixels, None, lungs, lungs & (_resize(share.sum(1) * depth, size) > 8))


def ct(seed: int = 0, lesions: Lesions | None = None, size: int = 320, level: float = 0.45) -> Phantom:
    """Make an axial CT slice in the lung window, seen from the feet.

    Args:
        seed: of the person and the noise, at least 0; the same with and without lesions is a before and after.
        lesions: None for healthy lungs.
        size: width and height in pixels, 64..1024.
        level: height of the slice, 0 apex .. 1 base of the lungs.

    Returns:
        The picture with its masks and its Hounsfield units.

    Raises:
        ValueError: a setting is out of range.
    """
    _check_whole("seed", seed, MOST_SEED)
    _check_whole("size", size, LARGEST, SMALLEST)
    _check_between("level", level)
    chest = _lying(seed, size, level)
    share, clean = _infiltrate(chest, lesions, level)
    step = chest.grid.spacing[2]
    # Reconstruction blurs the picture by about half a millimetre and its noise by a little more.
    grain = ndimage.gaussian_filter(np.random.default_rng([seed, 5]).standard_normal((size, size)), 0.8 / step)
    noisy = ndimage.gaussian_filter(clean[0], 0.5 / step) + NOISE / grain.std() * grain
    hounsfield = np.clip(noisy, -1024, 3071).astype(np.float32)
    pixels = windowed(hounsfield, *LUNG_WINDOW)
    lungs = chest.lung[0] > 0.5
    return Phantom(pixels, hounsfield, lungs, lungs & (share[0] > 0.4))


def png_bytes(phantom: Phantom) -> bytes:
    """Encode the pixels as an 8-bit grey PNG; equal phantoms give equal bytes."""
    from covid_core import encode  # here, because it imports Pillow

    return encode.png(encode.grey8(phantom.pixels))


def _check_whole(name: str, value: int, high: int, low: int = 0) -> None:
    if not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number between {low} and {high}, not {value!r}")


def _check_between(name: str, value: float, low: float = 0, high: float = 1) -> None:
    if not low <= value <= high:  # so written, NaN is refused as well
        raise ValueError(f"{name} must lie between {low} and {high}, not {value!r}")


@lru_cache(maxsize=1)  # about 50 MB
def _standing(seed: int) -> Thorax:
    grid = Grid((12.0, -147.0, 0.75 - FIELD / 2), (1.5, 3.0, 1.5), (230, 100, 230))
    return build(Anatomy.draw(seed), grid, arms=True)


@lru_cache(maxsize=4)
def _lying(seed: int, size: int, level: float) -> Thorax:
    anatomy = Anatomy.draw(seed)
    step = FIELD / size
    grid = Grid(
        (anatomy.height(level), 10 + (step - FIELD) / 2, (step - FIELD) / 2), (step, step, step), (1, size, size)
    )
    return build(anatomy, grid, couch=True)


def _infiltrate(chest: Thorax, lesions: Lesions | None, plane: float | None) -> tuple[Array, Array]:
    """Return the share of lesion in each sample, 0..1, and the HU with lesions."""
    share = np.zeros(chest.grid.shape, np.float32)
    if lesions is None:
        return share, chest.hounsfield
    radius = lesions.size * chest.anatomy.width
    places: list[Points] = []
    for number in range(lesions.count):
        # Each patch has its own generator: adding one, or changing the size, leaves the others where they are.
        rng = np.random.default_rng([chest.anatomy.seed, 4, number])
        places.append(_place(chest.anatomy, lesions, plane, places, rng))
        centre = places[-1].tolist()
        box = chest.grid.box(centre, (1.9 * radius,) * 3)
        at = [(a - c) / radius for a, c in zip(chest.grid.axes(box), centre, strict=True)]
        edge = 1.15 - np.sqrt(at[0] ** 2 + at[1] ** 2 + at[2] ** 2)
        edge = edge + 0.22 * _waves(rng, at, 1.6) + 0.06 * _waves(rng, at, 0.6)
        patch = np.clip(edge / 0.65, 0, 1) * np.clip(0.9 + 0.07 * _waves(rng, at, 0.3), 0, 1)
        np.maximum(share[box], patch * chest.lung[box], out=share[box])
    fog = GROUND_GLASS[0] + lesions.density * (GROUND_GLASS[1] - GROUND_GLASS[0])
    # Vessels are denser than the fog and stay visible in it, as in real ground glass.
    return share, chest.hounsfield + share * np.maximum(np.float32(fog) - chest.hounsfield, 0)


def _place(
    person: Anatomy, lesions: Lesions, plane: float | None, others: list[Points], rng: np.random.Generator
) -> Points:
    """Draw a place in the lungs: of many, the one that suits the settings best, with some chance."""
    top, bottom = person.height(0), person.height(1)
    level, spread = (0.62, lesions.spread) if plane is None else (plane, 0.0)
    if lesions.level is not None:
        level, spread = lesions.level, lesions.spread
    places = rng.uniform((top, -person.depth, -person.width), (bottom, person.depth + 14, person.width), (6000, 3))
    z, y, x = places.T.astype(np.float32)
    inside = -person.lungs(z, y, x)
    score = rng.gumbel(size=len(places)) - 0.5 * ((z - person.height(level)) / (spread * (bottom - top) + 3)) ** 2
    score -= 0.5 * ((-person.rib_cage(z, y, x) - 6 - 45 * lesions.depth) / 6) ** 2
    score += np.minimum(y / 40, 1) + np.minimum(np.abs(x) / 18, 4.5)  # behind and to the sides rather than in front
    for other in others:
        score -= 6 * np.exp(-(((places - other) / 45) ** 2).sum(1))
    return np.asarray(places[np.argmax(np.where(inside > 3, score, -np.inf))])


def _waves(rng: np.random.Generator, at: list[Array], length: float) -> Array:
    """Smooth noise of about unit size: the same at a point whatever the grid around it."""
    total: Any = 0
    for _ in range(12):
        direction = rng.standard_normal(3)
        turn = 2 * np.pi / (length * rng.uniform(0.6, 1.8)) * direction / np.linalg.norm(direction)
        z, y, x = (t * a for t, a in zip(turn.tolist(), at, strict=True))
        total = total + np.cos(z + y + x + rng.uniform(0, 2 * np.pi))
    return np.asarray(total / 6**0.5, np.float32)


def _resize(plane: Array, size: int) -> Array:
    zoom = size / plane.shape[0]
    return np.asarray(ndimage.zoom(plane, zoom, order=1, mode="nearest", grid_mode=True), np.float32)


def _shadow(hounsfield: Array, grid: Grid, size: int) -> Array:
    """Return what the beam meets from front to back, as mm of water."""
    # The beam of an X-ray tube is softer than a CT scanner's, and the softer the beam, the more bone stands out.
    bone = np.maximum(hounsfield - 120, 0).sum(1) * np.float32(0.6)
    water = (hounsfield.sum(1) + bone) / 1000 + hounsfield.shape[1]
    return _resize(water * np.float32(grid.spacing[1]), size)


def _detect(path: Array, seed: int | None) -> Array:
    """Beer-Lambert, scatter, blur and counting noise (None: no noise); returns minus the log of the dose."""
    pixel = FIELD / len(path)
    primary = np.exp(-WATER * np.maximum(path, 0))
    # Scatter is born in the body along the beam and arrives as a wide veil.
    veil = ndimage.gaussian_filter(primary * WATER * path, 16 / pixel)
    dose = ndimage.gaussian_filter(primary, 0.5 / pixel) + 0.15 * veil
    if seed is not None:
        # Normal noise rather than Poisson counts: the same draws whatever the dose, so before and after share it.
        dose = dose + np.sqrt(dose / 150000) * np.random.default_rng([seed, 3]).standard_normal(path.shape)
    return np.asarray(-np.log(np.maximum(dose, 1e-3)), np.float32)


def _develop(signal: Array, dark: float, bright: float) -> Array:
    """Flatten coarse contrast and raise detail, as radiography consoles do, then apply the S-curve of film."""
    pixel = FIELD / len(signal)
    coarse = ndimage.gaussian_filter(signal, 6 / pixel)
    signal = signal + 0.6 * (signal - coarse)
    scaled = (signal - dark) / (bright - dark)
    return np.asarray(np.clip(1 / (1 + np.exp(-4 * (scaled - 0.2))), 0, 1), np.float32)
