"""An analytic chest in three dimensions: Hounsfield units at any box of points, from a handful of numbers.

Organs are formulas for the distance to their surface, so the same chest can be sampled as a coarse block for an X-ray
or as one fine plane for a CT slice; bones, airways and vessels are tubes along curves (`shapes`). Coordinates, in mm:
x from the patient's right to the left, as in a picture; y from front to back; z from head to feet. Arrays and points
are ordered z, y, x. The numbers are round figures for an adult, set by hand until the pictures looked right, and
most of them got the answers they should: what is right about phantoms says nothing about patients.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from covid_core.shapes import (
    Array,
    Grid,
    Material,
    Points,
    Tube,
    both,
    either,
    ellipsoid,
    fill,
    merge,
    paint,
    smooth,
    tree,
    tube,
)

AIR, FAT, MUSCLE, LIVER, LUNG = -1000.0, -100.0, 45.0, 60.0, -855.0  # HU
BLOOD = 250.0  # with contrast medium, as in most CT of the chest; without it, in an X-ray, it is as muscle
COUCH_SHELL, COUCH_FOAM = -350.0, -930.0
BONE: Material = ((0.0, 750.0), (2.0, 340.0))
SPONGE: Material = ((0.0, 330.0), (1.4, 110.0))
CARTILAGE: Material = ((0.0, 90.0),)
AIRWAY: Material = ((0.0, -50.0), (1.3, -980.0))

# What runs upright through the mediastinum: x, y, radius, and how far below the lungs' tops it begins, mm.
AORTA, CAVA, AZYGOS, GULLET = (22.0, 46.0, 9.0, 60), (-24.0, 2.0, 9.0, 30), (-8.0, 46.0, 4.0, 70), (6.0, 40.0, 6.0, 0)
SPINE_Y, VERTEBRA = 64.0, 24.0  # middle of the vertebral bodies, and the distance from one to the next


@dataclass(frozen=True)
class Anatomy:
    """One person, drawn from a seed.

    Attributes:
        seed: at least 0.
        width: half width of the rib cage, mm.
        depth: half depth of the rib cage, mm.
        apex: height of the tops of the lungs, mm.
        dome: height of the right dome of the diaphragm, mm.
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
        """Draw a person; equal seeds give equal people."""
        rng = np.random.default_rng([seed, 1])
        return cls(
            seed=seed,
            width=rng.uniform(122, 136),
            depth=rng.uniform(96, 109),
            apex=rng.uniform(52, 66),
            dome=rng.uniform(230, 252),
            heart=rng.uniform(0.86, 1.06),
            slant=rng.uniform(70, 100),
            fat=rng.uniform(7, 18),
            breast=rng.uniform(0.6, 1.1) * (rng.random() < 0.5),
            gas=rng.uniform(6, 17),
        )

    @property
    def base(self) -> float:
        """Height of the lowest point of the lungs, mm."""
        return self.dome + 55

    @property
    def hila(self) -> tuple[Points, Points]:
        """Where vessels and bronchi enter the right and the left lung."""
        return np.array([self.apex + 101, 8, -42.0]), np.array([self.apex + 93, 12, 42.0])

    def height(self, level: float) -> float:
        """From a share of the lungs' height, 0 apex .. 1 base, to z in mm, keeping off the very tips."""
        return self.apex + 10 + level * (self.base - self.apex - 45)

    def cage(self, z: Any) -> tuple[Any, Any, Any]:
        """Half width, half depth and middle (y) of the rib cage at a height."""
        u = np.clip((z - self.apex + 25) / (self.base - self.apex + 25), 0.004, 1)
        rise = np.sqrt(1 - (1 - u) ** 2.8)
        return self.width * rise, self.depth * (0.12 + 0.88 * rise), 14 * (1 - u)

    def rib_cage(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the inner wall of the rib cage; the abdomen below the diaphragm counts as inside."""
        width, depth, middle = self.cage(z)
        wall = (np.sqrt((x / width) ** 2 + ((y - middle) / depth) ** 2) - 1) * np.sqrt(width * depth)
        # At the top the wall is a dome over each lung, not one over both.
        dome = self.apex + 14 * (((np.abs(x) - 42) / 40) ** 2 + ((y - 14) / 55) ** 2) - z
        return both(wall, 0.8 * dome, 12)

    def diaphragm(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the diaphragm, negative above: lower on the left, lowest at the sides and behind."""
        across = (np.abs(x) - 64) / (self.width - 64)
        rim = np.where(across > 0, 42 * np.abs(across) ** 2.4, 16 * across**2)
        along = (y - 4) / self.depth
        rim = rim + np.where(along > 0, np.float32(46), np.float32(20)) * np.abs(along) ** 2.2
        return np.asarray(0.8 * (z - self.dome - 13 / (1 + np.exp(-x / 8)) - rim), np.float32)

    def heart_and_vessels(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to what bulges into the lungs: heart, aorta, hila."""
        top, size = self.apex, np.array([self.heart] * 3)
        foot = self.dome - 14
        surface = ellipsoid(z, y, x, (foot - 8, -17, 30), size * (46, 62, 63), tilt=(0.6, -0.3))
        surface = either(surface, ellipsoid(z, y, x, (foot - 18, -4, -13), size * (56, 58, 33)), 14)
        surface = either(surface, ellipsoid(z, y, x, (foot - 74, -8, 9), size * (54, 46, 31)), 24)
        surface = either(surface, ellipsoid(z, y, x, (top + 62, 14, 18), (18, 40, 20)), 8)
        descending = np.maximum(np.hypot(y - 46, x - 22) - 13, top + 60 - z)
        surface = either(surface, descending, 6)
        return either(surface, ellipsoid(z, y, np.abs(x), (top + 97, 8, 34), (19, 15, 15)), 8)

    def lungs(self, z: Array, y: Array, x: Array, heart: Array | None = None) -> Array:
        """Distance to the surface of the nearer lung; `heart` saves time where `heart_and_vessels` is known."""
        # The lungs nearly touch behind the breastbone and part around the great vessels and the spine.
        front = 8 + 15 * np.clip((y + 85) / 85, 0, 1) + 8 / (1 + np.exp((z - self.apex - 42) / 9))
        spine = 25 - np.hypot(x, 0.9 * (y - SPINE_Y - 8))
        surface = both(self.rib_cage(z, y, x), self.diaphragm(z, y, x), 6)
        surface = both(surface, both(front - np.abs(x), spine, 8), 10)
        return both(surface, -(self.heart_and_vessels(z, y, x) if heart is None else heart), 8)

    def body(self, z: Array, y: Array, x: Array, arms: bool) -> Array:
        """Distance to the skin; arms hang at the sides or, without, are raised out of the picture."""
        chest, deep = self.width + 17 + self.fat, self.depth + 12 + self.fat
        width = smooth(
            z,
            (-20, 15, 48, 75, 98, 130, 170, 250, 330, 420),
            (56, 60, 108, 170, 194, 186, chest - 2, chest, chest - 7, chest),
        )
        depth = smooth(z, (-20, 15, 60, 110, 160, 400), (56, 58, deep - 34, deep - 14, deep, deep + 4))
        ratio = (np.abs(x) / width) ** 2.5 + np.abs((y - 8) / depth) ** 2.5
        skin = (ratio - 1) / 2.5 * np.sqrt(width * depth)
        if self.breast:
            place = (self.dome - 12, 8 - deep, 68)
            skin = either(skin, ellipsoid(z, y, np.abs(x), place, self.breast * np.array([64, 18, 60])), 30)
        if arms:
            down, out = z - 100, np.abs(x) - 168
            run = np.clip(0.9 * down + 0.44 * out, 0, 200)
            arm = np.sqrt(((down - 0.9 * run) ** 2 + (out - 0.44 * run) ** 2) + (y - 8) ** 2) - 42
            skin = either(skin, arm, 10)
        return np.asarray(skin, np.float32)

    def bones(self, arms: bool) -> Iterator[tuple[Tube, Material]]:
        """Ribs with their cartilage, spine, breastbone, collar bones, shoulder blades and, with arms, the humeri."""
        for side in (-1, 1):
            for number in range(12):
                yield from self._rib(number, side)
            mirror = np.array([1, 1, side])
            top = self.apex
            clavicle = [(top + 38, -46, 15), (top + 30, -54, 60), (top + 14, -34, 108), (top + 5, -4, 152)]
            spine_of_scapula = [(top + 62, 84, 96), (top + 34, 72, 132), (top + 8, 28, 166)]
            border = [(top + 44, 46, 150), (top + 90, 66, 134), (top + 142, 76, 112)]
            blade = [(top + 30, 80, 90), (top + 90, 86, 96), (top + 142, 76, 112)]
            yield tube(mirror * clavicle, (5.5, 6, 6)), BONE
            yield tube(mirror * spine_of_scapula, (4, 4, 4)), BONE
            yield tube(mirror * border, (4.5, 4, 4)), BONE
            yield tube(mirror * blade, (2.5, 2, 2.5)), BONE
            if arms:
                yield tube(mirror * [(100, 12, 172), (104, 10, 176)], (21, 20, 21)), BONE
                yield tube(mirror * [(104, 10, 178), (260, 8, 256)], (11, 11, 11)), BONE
        yield from self._spine()
        plate = np.arange(self.apex + 30, self.apex + 185, 4)
        _, depth, middle = self.cage(plate)
        yield tube(np.stack([plate, middle - depth - 8, 0 * plate], 1), (5, 5.5, 17)), BONE

    def _rib(self, number: int, side: int) -> Iterator[tuple[Tube, Material]]:
        end = (2.62, 2.62, 2.62, 2.62, 2.6, 2.58, 2.55, 2.4, 2.2, 2.0, 1.5, 1.1)[number]
        angle = np.linspace(0.24, end, 160)
        fall = min(self.slant, 30 + 17 * number)
        z = self.apex - 6 + VERTEBRA * number + fall * (1 - np.cos(angle)) / 2
        width, depth, middle = self.cage(np.maximum(z, self.apex + 17))
        rib = np.stack([z, middle + (depth + 6) * np.cos(angle), side * (width + 6) * np.sin(angle)], 1)
        yield tube(rib, (6.5, 3.8, 3.8)), BONE
        if number < 7:
            last = self.apex + 34 + 20 * number
            _, depth, middle = self.cage(last)
            yield tube([rib[-1], (last, middle - depth - 7, 16 * side)], (5, 3.5, 3.5)), CARTILAGE

    def _spine(self) -> Iterator[tuple[Tube, Material]]:
        for number in range(-4, 15):
            middle = np.array([self.apex - 2 + VERTEBRA * number, SPINE_Y, 0])
            size = 1 + 0.018 * number
            yield tube(middle + [(-7, 0, 0), (7, 0, 0)], (2.5, 14 * size, 17 * size)), SPONGE
            yield tube(middle + [(11, 0, 0), (13, 0, 0)], (2, 13 * size, 16 * size)), CARTILAGE
            yield tube(middle + [(0, 33, 0), (16, 44, 0)], (4, 4, 2.5)), SPONGE
            for side in (-1, 1):
                arch = [(-3, 10, 11 * side), (0, 23, 13 * side), (3, 33, 0)]
                yield tube(middle + arch, (5, 3.5, 3)), SPONGE
                yield tube(middle + [(0, 22, 12 * side), (-3, 31, 28 * side)], (4, 3.5, 3.5)), SPONGE

    def airways(self) -> Iterator[Tube]:
        """Windpipe and main bronchi."""
        carina = (self.apex + 72, 28, 1)
        yield tube([(-30, -4, 0), (self.apex, 14, 0), carina], (9.5, 9.5, 9.5))
        for hilum, radius in zip(self.hila, (7.5, 6.8), strict=True):
            yield tube([carina, (carina[0] + 16, 27, hilum[2] * 0.5), hilum + (0, 8, 0)], (radius,) * 3)

    def trees(self) -> tuple[Tube, Tube]:
        """Vessels and small bronchi of both lungs, grown from the hila towards random places."""
        rng = np.random.default_rng([self.seed, 2])
        corner = np.array([self.apex, -self.depth, -self.width])
        places = rng.uniform(corner, (self.base, self.depth + 14, self.width), (12000, 3))
        places = places[self.lungs(*places.T.astype(np.float32)) < -5]
        vessels, bronchi = [], []
        for hilum in self.hila:
            own = places[places[:, 2] * hilum[2] > 0]
            vessels += [tree(hilum + (4, -6, 0), own[:800], 0.45), tree(hilum + (12, 6, 0), own[800:1300], 0.42)]
            bronchi.append(tree(hilum + (2, 6, 0), own[1300:1340], 1.1))
        return merge(vessels), merge(bronchi)


@dataclass(frozen=True)
class Thorax:
    """A sampled chest.

    Attributes:
        anatomy: the person.
        grid: where it was sampled.
        hounsfield: [z, y, x] float32, HU.
        lung: [z, y, x] float32, the share of each sample that is lung, 0..1.
        tissue: [z, x] float32, how much inside the rib cage is not lung, summed from front to back, mm.
    """

    anatomy: Anatomy
    grid: Grid
    hounsfield: Array
    lung: Array
    tissue: Array


def build(anatomy: Anatomy, grid: Grid, arms: bool = False, couch: bool = False) -> Thorax:
    """Sample a person.

    Args:
        anatomy: the person.
        grid: where to sample.
        arms: hanging at the sides, as for an X-ray; otherwise raised out of the picture.
        couch: the person lies on the couch of a CT scanner.

    Returns:
        The chest; its arrays are read-only.
    """
    hu = np.full(grid.shape, AIR, np.float32)
    axes = grid.axes()
    if couch:
        below = axes[1] - (14 + anatomy.depth + 14 + anatomy.fat) + axes[2] ** 2 / 1400
        fill(hu, np.where(np.abs(below - 12) > 10, COUCH_SHELL, COUCH_FOAM), grid.cover(np.abs(below - 12) - 12))
    skin = anatomy.body(*axes, arms)
    fill(hu, FAT, grid.cover(skin))
    fill(hu, MUSCLE, grid.cover(skin + anatomy.fat))

    # From above the lungs to the foot of the picture, so that the liver fills all of the upper abdomen.
    chest = grid.box((anatomy.apex + 180, 8, 0), (190, anatomy.depth + 20, anatomy.width + 5))
    axes = grid.axes(chest)
    cavity = grid.cover(anatomy.rib_cage(*axes))
    inside = hu[chest]
    # The mediastinum is fat, in which heart, vessels and gullet lie; of the heart that is the outermost layer, too.
    blood = BLOOD if couch else MUSCLE
    heart = anatomy.heart_and_vessels(*axes)
    fill(inside, FAT, cavity)
    fill(inside, blood, cavity * grid.cover(heart + 11))
    for (x, y, radius, start), value in ((AORTA, blood), (CAVA, blood), (AZYGOS, blood), (GULLET, MUSCLE)):
        near = np.maximum(np.hypot(axes[1] - y, axes[2] - x) - radius, anatomy.apex + start - axes[0])
        fill(inside, value, cavity * grid.cover(near))
    fill(inside, LIVER, cavity * grid.cover(-anatomy.diaphragm(*axes)))
    share = grid.cover(anatomy.lungs(*axes, heart))
    # Lying on the back the lower lung holds more blood, which shows as a slow brightening towards the back.
    fill(inside, LUNG + 0.35 * axes[1], share)
    lung = np.zeros(grid.shape, np.float32)
    lung[chest] = share
    tissue = np.zeros((grid.shape[0], grid.shape[2]), np.float32)
    tissue[chest[0], chest[2]] = (cavity - share).sum(1) * grid.spacing[1]

    vessels, bronchi = anatomy.trees()
    paint(hu, grid, [vessels], ((0.0, blood),))
    paint(hu, grid, [bronchi, *anatomy.airways()], AIRWAY)
    bubble = (anatomy.dome + 24 + anatomy.gas, 10, 62)
    box = grid.box(bubble, (anatomy.gas, 2 * anatomy.gas, 2 * anatomy.gas))
    gas = ellipsoid(*grid.axes(box), bubble, anatomy.gas * np.array([1.0, 1.7, 1.7]))
    # Swallowed air floats on the stomach's contents.
    fill(hu[box], AIR + 40, grid.cover(both(gas, grid.axes(box)[0] - bubble[0], 3)))
    bones = list(anatomy.bones(arms))
    for material in (CARTILAGE, SPONGE, BONE):
        paint(hu, grid, [shape for shape, made_of in bones if made_of is material], material)
    lung[hu > BLOOD + 20] = 0  # where a bone dents the lung
    for array in (hu, lung, tissue):
        array.flags.writeable = False
    return Thorax(anatomy, grid, hu, lung, tissue)
