"""An analytic chest in three dimensions: Hounsfield units at any box of points, from a handful of numbers.

Organs are formulas for the distance to their surface (mm, negative inside), so the same chest can be sampled as a coarse
block for an X-ray or as one fine plane for a CT slice. Bones, airways and vessels are tubes along curves. Coordinates
are millimetres: x from the patient's right to the left, as in a picture; y from front to back; z from head to feet.
Arrays and points are ordered z, y, x.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float32]
Points = NDArray[np.float64]
Box = tuple[slice, slice, slice]
Tube = tuple[Points, Points]  # [n, 3] places and [n, 3] radii
Material = tuple[tuple[float, float], ...]  # pairs: depth below the surface in mm, HU from there on

AIR, FAT, MEDIASTINUM, MUSCLE, LIVER, LUNG = -1000.0, -100.0, 35.0, 45.0, 60.0, -825.0
BONE: Material = ((0.0, 750.0), (2.0, 340.0))
SPONGE: Material = ((0.0, 330.0), (1.4, 110.0))
CARTILAGE: Material = ((0.0, 90.0),)
VESSEL: Material = ((0.0, MUSCLE),)
AIRWAY: Material = ((0.0, -50.0), (1.3, -980.0))
COUCH: Material = ((0.0, -250.0),)

SPINE_Y, VERTEBRA = 64.0, 24.0  # middle of the vertebral bodies, and the distance from one to the next


@dataclass(frozen=True)
class Grid:
    """A box of sample points.

    Attributes:
        origin: the first point, mm.
        spacing: from one point to the next, mm.
        shape: number of points.
    """

    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]

    def axes(self, box: Box = (slice(None), slice(None), slice(None))) -> tuple[Array, Array, Array]:
        """Coordinates z [n, 1, 1], y [1, n, 1] and x [1, 1, n] of the grid or a box of it, mm."""
        z, y, x = (o + s * np.arange(n) for o, s, n in zip(self.origin, self.spacing, self.shape, strict=True))
        z, y, x = (np.asarray(axis[part], np.float32) for axis, part in zip((z, y, x), box, strict=True))
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def box(self, centre: Sequence[float], reach: Sequence[float]) -> Box:
        """The part of the grid within `reach` mm of `centre`."""
        sides = zip(centre, reach, self.origin, self.spacing, self.shape, strict=True)
        ends = [((c - r - o) / s, (c + r - o) / s, n) for c, r, o, s, n in sides]
        a, b, c = (slice(max(int(np.ceil(low)), 0), max(min(int(high) + 1, n), 0)) for low, high, n in ends)
        return a, b, c

    def cover(self, distance: Array) -> Array:
        """The share of a sample that is inside a surface, 0..1: fading over a step, so that edges show no stairs."""
        return np.clip(0.5 - distance / (1.2 * self.spacing[2]), 0, 1)


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
            depth=rng.uniform(84, 97),
            apex=rng.uniform(52, 66),
            dome=rng.uniform(244, 266),
            heart=rng.uniform(0.86, 1.06),
            slant=rng.uniform(70, 100),
            fat=rng.uniform(7, 18),
            breast=rng.uniform(0.6, 1.1) * (rng.random() < 0.5),
            gas=rng.uniform(8, 22),
        )

    @property
    def base(self) -> float:
        """Height of the lowest point of the lungs, mm."""
        return self.dome + 55

    @property
    def hila(self) -> tuple[Points, Points]:
        """Where vessels and bronchi enter the right and the left lung."""
        return np.array([self.apex + 108, 8, -42.0]), np.array([self.apex + 100, 12, 42.0])

    def height(self, level: float) -> float:
        """From a share of the lungs' height, 0 apex .. 1 base, to z in mm, keeping off the very tips."""
        return self.apex + 10 + level * (self.base - self.apex - 35)

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
        return _both(wall, 0.8 * dome, 12)

    def diaphragm(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the diaphragm, negative above. The left dome is lower, the rim deepest at the sides and behind."""
        across = (np.abs(x) - 64) / (self.width - 64)
        rim = np.where(across > 0, 42 * np.abs(across) ** 2.4, 16 * across**2)
        along = (y - 4) / self.depth
        rim = rim + np.where(along > 0, np.float32(46), np.float32(20)) * np.abs(along) ** 2.2
        return np.asarray(0.8 * (z - self.dome - 13 / (1 + np.exp(-x / 8)) - rim), np.float32)

    def heart_and_vessels(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to what bulges into the lungs: heart, aorta, hila."""
        top, size = self.apex, np.array([self.heart] * 3)
        foot = self.dome - 14
        surface = _ellipsoid(z, y, x, (foot - 8, -17, 30), size * (46, 55, 62), tilt=(0.6, -0.3))
        surface = _either(surface, _ellipsoid(z, y, x, (foot - 18, -4, -13), size * (56, 50, 33)), 14)
        surface = _either(surface, _ellipsoid(z, y, x, (foot - 74, -8, 9), size * (54, 40, 31)), 24)
        surface = _either(surface, _ellipsoid(z, y, x, (top + 68, 14, 18), (18, 40, 20)), 8)
        descending = np.maximum(np.hypot(y - 46, x - 22) - 13, top + 66 - z)
        surface = _either(surface, descending, 6)
        return _either(surface, _ellipsoid(z, y, np.abs(x), (top + 104, 8, 34), (19, 15, 15)), 8)

    def lungs(self, z: Array, y: Array, x: Array) -> Array:
        """Distance to the surface of the nearer lung."""
        # The lungs nearly touch behind the breastbone and part around the great vessels and the spine.
        front = 8 + 15 * np.clip((y + 85) / 85, 0, 1) + 8 / (1 + np.exp((z - self.apex - 42) / 9))
        spine = 25 - np.hypot(x, 0.9 * (y - SPINE_Y - 8))
        surface = _both(self.rib_cage(z, y, x), self.diaphragm(z, y, x), 6)
        surface = _both(surface, _both(front - np.abs(x), spine, 8), 10)
        return _both(surface, -self.heart_and_vessels(z, y, x), 8)

    def body(self, z: Array, y: Array, x: Array, arms: bool) -> Array:
        """Distance to the skin; arms hang at the sides or, without, are raised out of the picture."""
        chest, deep = self.width + 17 + self.fat, self.depth + 12 + self.fat
        width = _smooth(z, (-20, 15, 48, 75, 98, 130, 170, 250, 330, 420), (56, 60, 108, 170, 194, 186, chest - 2, chest, chest - 7, chest))
        depth = _smooth(z, (-20, 15, 60, 110, 160, 400), (56, 58, deep - 34, deep - 14, deep, deep + 4))
        ratio = (np.abs(x) / width) ** 2.5 + np.abs((y - 8) / depth) ** 2.5
        skin = (ratio - 1) / 2.5 * np.sqrt(width * depth)
        if self.breast:
            place = (self.dome - 12, 8 - deep, 68)
            skin = _either(skin, _ellipsoid(z, y, np.abs(x), place, self.breast * np.array([66, 23, 60])), 40)
        if arms:
            down, out = z - 100, np.abs(x) - 168
            run = np.clip(0.9 * down + 0.44 * out, 0, 200)
            arm = np.sqrt(((down - 0.9 * run) ** 2 + (out - 0.44 * run) ** 2) + (y - 8) ** 2) - 42
            skin = _either(skin, arm, 10)
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
            yield _tube(mirror * clavicle, (5.5, 6, 6)), BONE
            yield _tube(mirror * spine_of_scapula, (4, 4, 4)), BONE
            yield _tube(mirror * border, (4.5, 4, 4)), BONE
            yield _tube(mirror * blade, (2.5, 2, 2.5)), BONE
            if arms:
                yield _tube(mirror * [(100, 12, 172), (104, 10, 176)], (21, 20, 21)), BONE
                yield _tube(mirror * [(104, 10, 178), (260, 8, 256)], (11, 11, 11)), BONE
        yield from self._spine()
        plate = np.arange(self.apex + 30, self.apex + 185, 4)
        _, depth, middle = self.cage(plate)
        yield _tube(np.stack([plate, middle - depth - 8, 0 * plate], 1), (5, 5.5, 17)), BONE

    def _rib(self, number: int, side: int) -> Iterator[tuple[Tube, Material]]:
        end = (2.62, 2.62, 2.62, 2.62, 2.6, 2.58, 2.55, 2.4, 2.2, 2.0, 1.5, 1.1)[number]
        angle = np.linspace(0.24, end, 160)
        fall = min(self.slant, 30 + 17 * number)
        z = self.apex - 6 + VERTEBRA * number + fall * (1 - np.cos(angle)) / 2
        width, depth, middle = self.cage(np.maximum(z, self.apex + 17))
        rib = np.stack([z, middle + (depth + 6) * np.cos(angle), side * (width + 6) * np.sin(angle)], 1)
        yield _tube(rib, (6.5, 3.8, 3.8)), BONE
        if number < 7:
            last = self.apex + 34 + 20 * number
            _, depth, middle = self.cage(last)
            yield _tube([rib[-1], (last, middle - depth - 7, 16 * side)], (5, 3.5, 3.5)), CARTILAGE

    def _spine(self) -> Iterator[tuple[Tube, Material]]:
        for number in range(-4, 15):
            middle = np.array([self.apex - 2 + VERTEBRA * number, SPINE_Y, 0])
            size = 1 + 0.018 * number
            yield _tube(middle + [(-7, 0, 0), (7, 0, 0)], (2.5, 14 * size, 17 * size)), SPONGE
            yield _tube(middle + [(11, 0, 0), (13, 0, 0)], (2, 13 * size, 16 * size)), CARTILAGE
            yield _tube(middle + [(0, 33, 0), (16, 44, 0)], (4, 4, 2.5)), SPONGE
            for side in (-1, 1):
                arch = [(-3, 10, 11 * side), (0, 23, 13 * side), (3, 33, 0)]
                yield _tube(middle + arch, (5, 3.5, 3)), SPONGE
                yield _tube(middle + [(0, 22, 12 * side), (-3, 28, 32 * side)], (4, 3.5, 3.5)), SPONGE

    def airways(self) -> Iterator[Tube]:
        """Windpipe and main bronchi."""
        carina = (self.apex + 78, 28, 1)
        yield _tube([(-30, -4, 0), (self.apex, 14, 0), carina], (9.5, 9.5, 9.5))
        for hilum, radius in zip(self.hila, (7.5, 6.8), strict=True):
            yield _tube([carina, (carina[0] + 16, 27, hilum[2] * 0.5), hilum + (0, 8, 0)], (radius,) * 3)

    def trees(self) -> tuple[Tube, Tube]:
        """Vessels and small bronchi of both lungs, grown from the hila towards random places."""
        rng = np.random.default_rng([self.seed, 2])
        corner = np.array([self.apex, -self.depth, -self.width])
        places = rng.uniform(corner, (self.base, self.depth + 14, self.width), (9000, 3))
        places = places[self.lungs(*places.T.astype(np.float32)) < -5]
        vessels, bronchi = [], []
        for hilum in self.hila:
            own = places[places[:, 2] * hilum[2] > 0]
            vessels += [_tree(hilum + (4, -6, 0), own[:400], 0.55), _tree(hilum + (12, 6, 0), own[400:650], 0.52)]
            bronchi.append(_tree(hilum + (2, 6, 0), own[650:690], 1.1))
        return _merge(vessels), _merge(bronchi)


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
        _fill(hu, np.where(np.abs(below - 12) > 10, -350.0, -930.0), grid.cover(np.abs(below - 12) - 12))
    skin = anatomy.body(*axes, arms)
    _fill(hu, FAT, grid.cover(skin))
    _fill(hu, MUSCLE, grid.cover(skin + anatomy.fat))

    chest = grid.box(((anatomy.base + 15) / 2, 8, 0), ((anatomy.base + 100) / 2, anatomy.depth + 20, anatomy.width + 5))
    axes = grid.axes(chest)
    cavity = grid.cover(anatomy.rib_cage(*axes))
    inside = hu[chest]
    _fill(inside, MEDIASTINUM, cavity)
    _fill(inside, LIVER, cavity * grid.cover(-anatomy.diaphragm(*axes)))
    share = grid.cover(anatomy.lungs(*axes))
    # Lying on the back the lower lung holds more blood, which shows as a slow brightening towards the back.
    _fill(inside, LUNG + 0.35 * axes[1], share)
    lung = np.zeros(grid.shape, np.float32)
    lung[chest] = share
    tissue = np.zeros((grid.shape[0], grid.shape[2]), np.float32)
    tissue[chest[0], chest[2]] = (cavity - share).sum(1) * grid.spacing[1]

    vessels, bronchi = anatomy.trees()
    _paint(hu, grid, [vessels], VESSEL)
    _paint(hu, grid, [bronchi, *anatomy.airways()], AIRWAY)
    bubble = (anatomy.dome + 24 + anatomy.gas, 10, 62)
    box = grid.box(bubble, (anatomy.gas, 2 * anatomy.gas, 2 * anatomy.gas))
    gas = _ellipsoid(*grid.axes(box), bubble, anatomy.gas * np.array([1.0, 1.7, 1.7]))
    # Swallowed air floats on the stomach's contents.
    _fill(hu[box], AIR + 40, grid.cover(_both(gas, grid.axes(box)[0] - bubble[0], 3)))
    bones = list(anatomy.bones(arms))
    for material in (CARTILAGE, SPONGE, BONE):
        _paint(hu, grid, [tube for tube, made_of in bones if made_of is material], material)
    for array in (hu, lung, tissue):
        array.flags.writeable = False
    return Thorax(anatomy, grid, hu, lung, tissue)


def _both(a: Any, b: Any, rounding: float) -> Array:
    """Distance to what lies inside both surfaces, with the edge between them rounded over some mm."""
    surface = np.maximum(a, b)
    surface += _rounded(a, b, rounding)
    return np.asarray(surface, np.float32)


def _either(a: Any, b: Any, rounding: float) -> Array:
    """Distance to what lies inside either surface, with the crease between them filled over some mm."""
    surface = np.minimum(a, b)
    surface -= _rounded(a, b, rounding)
    return np.asarray(surface, np.float32)


def _rounded(a: Any, b: Any, rounding: float) -> Any:
    # In place, as fresh memory costs more than the sums; https://iquilezles.org/articles/smin explains the formula.
    edge = np.asarray(a - b)
    np.abs(edge, out=edge)
    np.subtract(rounding, edge, out=edge)
    np.maximum(edge, 0, out=edge)
    edge *= edge
    edge *= 0.25 / rounding
    return edge


def _ellipsoid(z: Any, y: Any, x: Any, centre: Any, radii: Any, tilt: tuple[float, float] = (0, 0)) -> Array:
    """Distance to an ellipsoid whose long x axis is tilted, in radians, towards the feet and towards the back."""
    (cz, cy), (sz, sy) = np.cos(tilt), np.sin(tilt)
    frame = np.array([[cz, 0, -sz], [-sz * sy, cy, -cz * sy], [sz * cy, sy, cz * cy]]) / np.array(radii)[:, None]
    form = (frame.T @ frame).tolist()
    z, y, x = z - centre[0], y - centre[1], x - centre[2]
    # Grouped so that on a grid all but two sums are over planes.
    square = (form[0][0] * z**2 + 2 * form[0][1] * z * y + form[1][1] * y**2) + (
        2 * form[0][2] * z * x + form[2][2] * x**2
    )
    square = square + 2 * form[1][2] * y * x if form[1][2] else square
    return np.asarray((np.sqrt(np.maximum(square, 0)) - 1) * float(np.prod(radii)) ** (1 / 3), np.float32)


def _smooth(z: Any, heights: Sequence[float], values: Sequence[float]) -> Array:
    return np.asarray(PchipInterpolator(heights, values)(z), np.float32)


def _tube(control: Any, radii: Sequence[float]) -> Tube:
    """A tube of one size along a smooth curve through some points."""
    control = np.asarray(control, float)
    run = np.r_[0, np.cumsum(np.linalg.norm(np.diff(control, axis=0), axis=1))]
    points = PchipInterpolator(run, control)(np.linspace(0, run[-1], int(run[-1] / 0.4 / min(radii)) + 2))
    return points, np.broadcast_to(np.asarray(radii, float), points.shape)


def _merge(tubes: Sequence[Tube]) -> Tube:
    return np.concatenate([points for points, _ in tubes]), np.concatenate([radii for _, radii in tubes])


def _tree(root: Points, places: Points, twig: float) -> Tube:
    """Join each place to the growing tree where the way is short, and thicken branches by how many places they feed."""
    places = places[np.argsort(np.linalg.norm(places - root, axis=1))]
    nodes = np.vstack([root, places])
    way = np.zeros(len(nodes))
    parent = np.zeros(len(nodes), int)
    for i in range(1, len(nodes)):
        step = np.linalg.norm(nodes[:i] - nodes[i], axis=1)
        # Counting part of the way from the root makes branches fan out instead of winding from place to place.
        parent[i] = np.argmin(step + 0.6 * way[:i])
        way[i] = way[parent[i]] + step[parent[i]]
    feeds = np.ones(len(nodes))
    for i in range(len(nodes) - 1, 0, -1):
        feeds[parent[i]] += feeds[i]
    start, end = nodes[parent[1:]], nodes[1:]
    count = np.ceil(np.linalg.norm(end - start, axis=1)).astype(int) + 1
    which = np.repeat(np.arange(len(count)), count)
    share = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)) / count[which]
    points = start[which] + share[:, None] * (end - start)[which]
    # Murray's law: flow grows with about the cube of the radius.
    return points, np.repeat(twig * feeds[1:][which, None] ** 0.4, 3, axis=1)


def _fill(hu: Array, value: Any, share: Array) -> None:
    hu += share * (value - hu)


def _paint(hu: Array, grid: Grid, tubes: Sequence[Tube], material: Material) -> None:
    """Draw tubes as overlapping ellipsoids, each only into the samples around it."""
    points, radii = _merge(tubes)
    spacing, shape = np.array(grid.spacing), np.array(grid.shape)
    distance = np.full(hu.size, np.inf, np.float32)
    fade = grid.spacing[2]
    reaches = np.ceil((radii + fade) / spacing).astype(int)
    for reach in np.unique(reaches, axis=0):
        at = (points - grid.origin) / spacing
        near = (reaches == reach).all(1) & ((at > -reach - 1) & (at < shape + reach)).all(1)
        flat, length, scaled = (np.zeros((int(near.sum()), 1, 1, 1), kind) for kind in (np.int64, np.float32, np.float32))
        for axis, n in enumerate(reach):
            middle = at[near, axis][:, None]
            index = np.rint(middle).astype(int) + np.arange(-n, n + 1)
            square = ((index - middle) * spacing[axis]) ** 2
            square[(index < 0) | (index >= shape[axis])] = np.inf
            sides = [len(index), 1, 1, 1]
            sides[axis + 1] = index.shape[1]
            flat = flat + (np.clip(index, 0, shape[axis] - 1) * np.prod(shape[axis + 1 :], dtype=int)).reshape(sides)
            length = length + square.astype(np.float32).reshape(sides)
            scaled = scaled + (square / radii[near, axis][:, None] ** 2).astype(np.float32).reshape(sides)
        close = scaled < (1 + fade / radii[near].min(initial=np.inf)) ** 2
        length, scaled = np.sqrt(length[close] + 1e-6), np.sqrt(scaled[close] + 1e-6)
        # Along the ray from the middle of the ellipsoid, its surface lies at length / scaled.
        np.minimum.at(distance, flat[close], length - length / scaled)
    touched = np.flatnonzero(distance < fade)
    values = hu.reshape(-1)[touched]
    for depth, value in material:
        _fill(values, value, grid.cover(distance[touched] + depth))
    hu.reshape(-1)[touched] = values
