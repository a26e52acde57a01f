"""An analytic chest in three dimensions: Hounsfield units at any box of points, from a handful of numbers.

Every organ is a formula for the distance to its surface (negative inside), so the same chest can be sampled as a coarse
block for an X-ray or as one fine plane for a CT slice. Bones, airways and vessels are tubes along curves. Coordinates
are millimetres: x from the patient's right to the left (as in a picture, seen from the front or from the feet), y from
front to back, z from head to feet. Arrays are ordered [z, y, x].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float32]
Points = NDArray[np.float64]
Box = tuple[slice, slice, slice]
Layers = tuple[tuple[float, float], ...]

AIR, FAT, MEDIASTINUM, MUSCLE, LIVER = -1000.0, -100.0, 10.0, 45.0, 60.0
PARENCHYMA = -830.0
# What a tube is made of: pairs of depth below its surface in mm and HU from there on.
BONE: Layers = ((0.0, 750.0), (1.6, 220.0))
SPONGY: Layers = ((0.0, 420.0), (1.5, 200.0))
CARTILAGE: Layers = ((0.0, 105.0),)
VESSEL: Layers = ((0.0, MUSCLE),)
AIRWAY: Layers = ((0.0, -50.0), (1.4, -980.0))

SPINE_Y, VERTEBRA = 62.0, 24.0  # centre of the vertebral bodies, and their pitch
SIDES = (-1, 1)


@dataclass(frozen=True)
class Anatomy:
    """One person, drawn from a seed.

    Attributes:
        seed: whose person this is, at least 0.
        width: half width of the rib cage at its widest, mm.
        depth: half depth of the rib cage, mm.
        apex: height of the tops of the lungs, mm.
        dome: height of the right diaphragm dome, mm.
        heart: size of the heart, 1 is average.
        slant: how far a rib falls from back to front, mm.
        fat: thickness of the fat under the skin, mm.
        breast: size of the breasts, 0 for none.
        gas: radius of the gas bubble in the stomach, mm.
    """

    seed: int
    width: float
    depth: float
    apex: float
    dome: float
    heart: float
    slant: float
    fat: float
    breast: float
    gas: float

    @classmethod
    def draw(cls, seed: int) -> "Anatomy":
        """Equal seeds draw equal people."""
        rng = np.random.default_rng([seed, 1])
        return cls(
            seed=seed,
            width=rng.uniform(122, 136),
            depth=rng.uniform(84, 97),
            apex=rng.uniform(52, 66),
            dome=rng.uniform(244, 268),
            heart=rng.uniform(0.86, 1.06),
            slant=rng.uniform(70, 100),
            fat=rng.uniform(7, 20),
            breast=rng.uniform(0.6, 1.1) * (rng.random() < 0.5),
            gas=rng.uniform(10, 26),
        )

    @property
    def base(self) -> float:
        """Height of the lowest point of the lungs, mm."""
        return self.dome + 55

    @property
    def hila(self) -> Points:
        """Where vessels and bronchi enter the right and the left lung, [2, 3] as z, y, x."""
        return np.array([[self.apex + 108, 6, -44], [self.apex + 100, 10, 44]], float)

    def height(self, level: float) -> float:
        """From a share of the lungs' height, 0 apex .. 1 base, to z in mm, keeping off the very tips."""
        return self.apex + 8 + level * (self.base - self.apex - 30)

    def cage(self, z: Any) -> tuple[Any, Any, Any]:
        """Half width, half depth and middle (y) of the rib cage at a height."""
        u = np.clip((z - self.apex) / (self.base - self.apex), 0.004, 1)
        rise = np.sqrt(1 - (1 - u) ** 2.1)
        return self.width * rise, self.depth * (0.12 + 0.88 * rise), 14 * (1 - u)

    def rib_cage(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the inner wall of the rib cage; the abdomen below the diaphragm counts as inside."""
        width, depth, middle = self.cage(z)
        ratio = np.sqrt((x / width) ** 2 + ((y - middle) / depth) ** 2)
        # At the apex the wall is a dome over each lung, not one over both.
        dome = self.apex + 20 * (((np.abs(x) - 40) / 30) ** 2 + ((y - 12) / 60) ** 2) - z
        return np.asarray(_both((ratio - 1) * np.sqrt(width * depth), 0.7 * dome, 12), np.float32)

    def diaphragm(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the diaphragm, negative above it. The left dome is lower, the rim deepest behind."""
        left = x > 0
        across = (np.abs(x) - 64) / (self.width - 64)
        rim = np.where(across > 0, 42 * np.abs(across) ** 2.4, 16 * (across * (self.width - 64) / 64) ** 2)
        back = (y - 4) / self.depth
        surface = self.dome + 13 * left + rim + np.where(back > 0, 46.0, 20.0) * np.abs(back) ** 2.2
        return np.asarray(0.8 * (z - surface), np.float32)

    def heart_surface(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the heart with the roots of the great vessels."""
        foot, s = self.dome, self.heart
        ventricles = _ellipsoid(z, y, x, (foot - 36, -20, 31), (47 * s, 41 * s, 57 * s), turn=(0.42, -0.3))
        atrium = _ellipsoid(z, y, x, (foot - 42, -6, -14), (46 * s, 40 * s, 33 * s))
        outflow = _ellipsoid(z, y, x, (foot - 88, -14, 8), (46, 30, 33 * s))
        return -np.asarray(_both(-_both(-ventricles, -atrium, -14), -outflow, -14), np.float32) * -1

    def lungs(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the surface of the nearer lung."""
        # The lungs nearly touch behind the breastbone and part around the great vessels and the spine.
        front = 9 + 17 / (1 + np.exp((y + 26) / -7)) + 18 / (1 + np.exp((z - self.apex - 42) / 9))
        column = 25 - np.hypot(x, 0.9 * (y - SPINE_Y - 6))
        middle = _both(front - np.abs(x), column, 8)
        inside = _both(self.rib_cage(z, y, x), self.diaphragm(z, y, x), 6)
        return np.asarray(_both(inside, _both(middle, -self.heart_surface(z, y, x), 8), 8), np.float32)

    def body(self, z: Array, y: Array, x: Array, shrink: float = 0.0) -> Array:
        """Distance to the skin without arms, or to a surface that lies deeper by `shrink` mm."""
        chest = self.width + 24 + self.fat
        width = _smooth(z, (-20, 20, 48, 72, 98, 130, 165, 250, 400), (56, 62, 118, 176, 196, 188, 168, chest, chest))
        depth = _smooth(z, (-20, 20, 60, 100, 160, 400), (58, 60, 72, 94, 104, 108)) + self.depth - 90 + self.fat
        width, depth = width - shrink, depth - 0.7 * shrink
        ratio = (np.abs(x) / width) ** 2.5 + np.abs((y - 8) / depth) ** 2.5
        return np.asarray((ratio - 1) / 2.5 * np.sqrt(width * depth), np.float32)
