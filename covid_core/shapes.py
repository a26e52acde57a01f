"""Shapes on a grid of points: surfaces as distances (mm, negative inside) and tubes along curves.

Points, sizes and arrays are ordered z, y, x. Distances are exact at a surface and good enough near it, which is all
that drawing needs. Everything broadcasts, so a formula serves for a block, a plane or a list of points alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

Array = NDArray[np.float32]
Points = NDArray[np.float64]
Box = tuple[slice, slice, slice]
Tube = tuple[Points, Points]  # places and radii, both [n, 3]
Material = tuple[tuple[float, float], ...]  # pairs: depth below the surface in mm, HU from there on


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
        """Return the coordinates z [n, 1, 1], y [1, n, 1] and x [1, 1, n] of the grid or a box of it, mm."""
        z, y, x = (o + s * np.arange(n) for o, s, n in zip(self.origin, self.spacing, self.shape, strict=True))
        z, y, x = (np.asarray(axis[part], np.float32) for axis, part in zip((z, y, x), box, strict=True))
        return z[:, None, None], y[None, :, None], x[None, None, :]

    def box(self, centre: Sequence[float], reach: Sequence[float]) -> Box:
        """Return the part of the grid within `reach` mm of `centre`."""
        sides = zip(centre, reach, self.origin, self.spacing, self.shape, strict=True)
        ends = [((c - r - o) / s, (c + r - o) / s, n) for c, r, o, s, n in sides]
        a, b, c = (slice(max(int(np.ceil(low)), 0), max(min(int(high) + 1, n), 0)) for low, high, n in ends)
        return a, b, c

    def cover(self, distance: Array) -> Array:
        """Return the share of a sample inside a surface, 0..1; it fades over a step, so that edges show no stairs."""
        return np.asarray(np.clip(0.5 - distance / (1.2 * self.spacing[2]), 0, 1), np.float32)


def both(a: Any, b: Any, rounding: float) -> Array:
    """Return the distance to what lies inside both surfaces, their edge rounded over some mm."""
    surface = np.maximum(a, b)
    surface += _rounded(a, b, rounding)
    return np.asarray(surface, np.float32)


def either(a: Any, b: Any, rounding: float) -> Array:
    """Return the distance to what lies inside either surface, their crease filled over some mm."""
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


def ellipsoid(z: Any, y: Any, x: Any, centre: Any, radii: Any, tilt: tuple[float, float] = (0, 0)) -> Array:
    """Return the distance to an ellipsoid whose x axis is tilted, in radians, to the feet and the back."""
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


def smooth(z: Any, heights: Sequence[float], values: Sequence[float]) -> Array:
    """Interpolate values given at some heights, without overshoot."""
    return np.asarray(PchipInterpolator(heights, values)(z), np.float32)


def tube(control: Any, radii: Sequence[float]) -> Tube:
    """Lay a tube of one size along a smooth curve through some points."""
    control = np.asarray(control, float)
    run = np.r_[0, np.cumsum(np.linalg.norm(np.diff(control, axis=0), axis=1))]
    points = PchipInterpolator(run, control)(np.linspace(0, run[-1], int(run[-1] / 0.4 / min(radii)) + 2))
    return points, np.broadcast_to(np.asarray(radii, float), points.shape)


def merge(tubes: Sequence[Tube]) -> Tube:
    """Make one of many."""
    return np.concatenate([points for points, _ in tubes]), np.concatenate([radii for _, radii in tubes])


def tree(root: Points, places: Points, twig: float) -> Tube:
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


def fill(hu: Array, value: Any, share: Array) -> None:
    """Mix a value into an array in place, by a share 0..1 for each sample."""
    hu += share * (value - hu)


def paint(hu: Array, grid: Grid, tubes: Sequence[Tube], material: Material) -> None:
    """Draw tubes into an array in place, as overlapping ellipsoids that touch only the samples around them."""
    points, radii = merge(tubes)
    spacing, shape = np.array(grid.spacing), np.array(grid.shape)
    distance = np.full(hu.size, np.inf, np.float32)
    fade = grid.spacing[2]
    reaches = np.ceil((radii + fade) / spacing).astype(int)
    for reach in np.unique(reaches, axis=0):
        at = (points - grid.origin) / spacing
        near = (reaches == reach).all(1) & ((at > -reach - 1) & (at < shape + reach)).all(1)
        flat, length, scaled = (
            np.zeros((int(near.sum()), 1, 1, 1), kind) for kind in (np.int64, np.float32, np.float32)
        )
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
        fill(values, value, grid.cover(distance[touched] + depth))
    hu.reshape(-1)[touched] = values
