"""Solids of an analytic anatomy: planes, cylinders, cones, ellipsoids, tori, and what is cut or joined of them.

Lengths are centimetres, as in the reports that print such anatomies. Every solid answers two questions: which
points lie inside, and which box holds it. Coordinates come as three arrays that broadcast against each other, so
that the same code serves a list of points (three arrays of one length) and a grid (an axis each), where a cylinder
costs a plane of ellipse tests and not a volume of them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float64]
"""One coordinate of the points [cm]; x, y and z broadcast against each other."""

Inside = NDArray[np.bool_]
"""Which points lie inside; broadcasts to the common shape of x, y and z (a plane's answer has the plane's axis)."""

Triple = tuple[float, float, float]
"""A position or lengths along x (to the left), y (to the back) and z (to the head) [cm]."""

Pair = tuple[float, float]
"""A position or lengths in the cross-section of a cylinder or torus [cm]."""

_INFINITE: Triple = (math.inf, math.inf, math.inf)
_MINUS_INFINITE: Triple = (-math.inf, -math.inf, -math.inf)


class Box(NamedTuple):
    """Faces of an upright box [cm]; infinite where the solid has no end, lower above upper where it is empty."""

    lower_cm: Triple = _MINUS_INFINITE
    upper_cm: Triple = _INFINITE

    def common(self, other: Box) -> Box:
        """The box both share."""
        return Box(_largest(self.lower_cm, other.lower_cm), _smallest(self.upper_cm, other.upper_cm))

    def around(self, other: Box) -> Box:
        """The smallest box that holds both."""
        return Box(_smallest(self.lower_cm, other.lower_cm), _largest(self.upper_cm, other.upper_cm))

    def meets(self, other: Box) -> bool:
        """Whether the boxes share a point."""
        shared = self.common(other)
        return all(low <= high for low, high in zip(shared.lower_cm, shared.upper_cm, strict=True))


class Solid(Protocol):
    """A set of points with a box around it."""

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Which points lie inside or on the surface; coordinates [cm] that broadcast against each other."""

    @property
    def box(self) -> Box:
        """A box that holds the solid [cm]."""


@dataclass(frozen=True)
class Ellipsoid:
    """An upright ellipsoid.

    Attributes
    ----------
    centre_cm, semi_axes_cm
        Centre and semi-axes along x, y, z [cm].
    """

    centre_cm: Triple
    semi_axes_cm: Triple

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points with Σ ((p − centre) / semi-axis)² ≤ 1."""
        (cx, cy, cz), (a, b, c) = self.centre_cm, self.semi_axes_cm
        return np.asarray(((x_cm - cx) / a) ** 2 + ((y_cm - cy) / b) ** 2 + ((z_cm - cz) / c) ** 2 <= 1.0)

    @property
    def box(self) -> Box:
        """Centre ± semi-axes."""
        return _box_about(self.centre_cm, self.semi_axes_cm)


@dataclass(frozen=True)
class Slab:
    """What lies between two planes across one axis; one side may be open.

    Attributes
    ----------
    axis
        0, 1, 2 for x, y, z.
    lower_cm, upper_cm
        Where the planes cut the axis [cm].
    """

    axis: int
    lower_cm: float = -math.inf
    upper_cm: float = math.inf

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points between the planes."""
        along = (x_cm, y_cm, z_cm)[self.axis]
        return np.asarray((along >= self.lower_cm) & (along <= self.upper_cm))

    @property
    def box(self) -> Box:
        """Finite along the axis alone."""
        lower, upper = list(_MINUS_INFINITE), list(_INFINITE)
        lower[self.axis], upper[self.axis] = self.lower_cm, self.upper_cm
        return Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))


@dataclass(frozen=True)
class EllipticCylinder:
    """A cylinder with elliptic section along x, y or z, from one plane across its axis to another.

    Attributes
    ----------
    centre_cm, semi_axes_cm
        Centre and semi-axes of the section along the two other axes, in the order x, y, z [cm].
    lower_cm, upper_cm
        Ends along the axis [cm].
    axis
        0, 1, 2 for x, y, z.
    """

    centre_cm: Pair
    semi_axes_cm: Pair
    lower_cm: float = -math.inf
    upper_cm: float = math.inf
    axis: int = 2

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of the elliptic section between the ends."""
        position = [x_cm, y_cm, z_cm]
        along = position.pop(self.axis)
        first, second = position
        (c1, c2), (r1, r2) = self.centre_cm, self.semi_axes_cm
        section = ((first - c1) / r1) ** 2 + ((second - c2) / r2) ** 2 <= 1.0
        return np.asarray(section & (along >= self.lower_cm) & (along <= self.upper_cm))

    @property
    def box(self) -> Box:
        """The section's rectangle between the ends."""
        lower = [centre - radius for centre, radius in zip(self.centre_cm, self.semi_axes_cm, strict=True)]
        upper = [centre + radius for centre, radius in zip(self.centre_cm, self.semi_axes_cm, strict=True)]
        lower.insert(self.axis, self.lower_cm)
        upper.insert(self.axis, self.upper_cm)
        return Box((lower[0], lower[1], lower[2]), (upper[0], upper[1], upper[2]))


@dataclass(frozen=True)
class EllipticCone:
    """A solid whose sections across z are ellipses, centre and semi-axes of which change linearly with z.

    Slanted cylinders, frusta and slanted frusta are of this kind.

    Attributes
    ----------
    centre_cm, semi_axes_cm
        Centre and semi-axes of the section at z = 0, along x and y [cm].
    centre_slope, semi_axes_slope
        How much they grow per length of z.
    lower_cm, upper_cm
        Ends along z [cm].
    """

    centre_cm: Pair
    centre_slope: Pair
    semi_axes_cm: Pair
    semi_axes_slope: Pair
    lower_cm: float
    upper_cm: float

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of the section at their z, between the ends."""
        (cx, cy), (a, b) = self._section(z_cm)
        section = ((x_cm - cx) / a) ** 2 + ((y_cm - cy) / b) ** 2 <= 1.0
        return np.asarray(section & (z_cm >= self.lower_cm) & (z_cm <= self.upper_cm))

    @property
    def box(self) -> Box:
        """The box around both end sections, which bound all between."""
        (x, y), (a, b) = self._section(np.array([self.lower_cm, self.upper_cm]))
        lower = float(np.min(x - a)), float(np.min(y - b)), self.lower_cm
        upper = float(np.max(x + a)), float(np.max(y + b)), self.upper_cm
        return Box(lower, upper)

    def _section(self, z_cm: Coordinates) -> tuple[list[Coordinates], list[Coordinates]]:
        centre = [start + slope * z_cm for start, slope in zip(self.centre_cm, self.centre_slope, strict=True)]
        axes = [start + slope * z_cm for start, slope in zip(self.semi_axes_cm, self.semi_axes_slope, strict=True)]
        return centre, axes


@dataclass(frozen=True)
class Torus:
    """A ring around y or z with an elliptic section.

    Attributes
    ----------
    centre_cm
        Centre [cm].
    ring_radius_cm
        From the centre to the middle of the tube [cm].
    section_cm
        Semi-axes of the tube's section: in the ring's plane, and along the axis [cm].
    axis
        The ring's axis: 1, 2 for y, z.
    """

    centre_cm: Triple
    ring_radius_cm: float
    section_cm: Pair
    axis: int

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points with ((√(u² + v²) − R) / r₁)² + (w / r₂)² ≤ 1 about the centre, w along the axis."""
        offsets = [coordinate - centre for coordinate, centre in zip((x_cm, y_cm, z_cm), self.centre_cm, strict=True)]
        along = offsets.pop(self.axis)
        radial = np.sqrt(offsets[0] ** 2 + offsets[1] ** 2) - self.ring_radius_cm
        return np.asarray((radial / self.section_cm[0]) ** 2 + (along / self.section_cm[1]) ** 2 <= 1.0)

    @property
    def box(self) -> Box:
        """Ring plus tube."""
        reach = [self.ring_radius_cm + self.section_cm[0]] * 2
        reach.insert(self.axis, self.section_cm[1])
        return _box_about(self.centre_cm, (reach[0], reach[1], reach[2]))


@dataclass(frozen=True)
class HalfSpace:
    """What lies on one side of an oblique plane: normal · p ≤ offset.

    Attributes
    ----------
    normal_per_cm, offset
        Coefficients of x, y and z [1/cm], and the limit of the sum.
    """

    normal_per_cm: Triple
    offset: float

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points on the chosen side."""
        nx, ny, nz = self.normal_per_cm
        return np.asarray(nx * x_cm + ny * y_cm + nz * z_cm <= self.offset)

    @property
    def box(self) -> Box:
        """Everywhere."""
        return Box()


@dataclass(frozen=True)
class Wedge:
    """Two mirrored sectors about the z axis at (0, y₀): lowest ≤ ± (y − y₀) / |x| ≤ highest.

    Attributes
    ----------
    apex_y_cm
        y₀ [cm].
    towards_back
        The sectors open to the back (+y) or to the front (−y).
    lowest, highest
        Limits of the ratio of depth to half-width.
    """

    apex_y_cm: float
    towards_back: bool
    lowest: float
    highest: float

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of the two sectors."""
        depth = (y_cm - self.apex_y_cm) if self.towards_back else (self.apex_y_cm - y_cm)
        width = np.abs(x_cm)
        return np.asarray((depth >= self.lowest * width) & (depth <= self.highest * width))

    @property
    def box(self) -> Box:
        """Behind or in front of the apex."""
        low, high = (self.apex_y_cm, math.inf) if self.towards_back else (-math.inf, self.apex_y_cm)
        return Slab(1, low, high).box


@dataclass(frozen=True)
class Bands:
    """Every second of the equal bands across z that begin at a height: the ribs.

    Attributes
    ----------
    start_cm, height_cm
        Where the first band begins, and the height of each band and of each gap [cm].
    """

    start_cm: float
    height_cm: float

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points whose band counts even from zero."""
        return np.asarray(np.floor((z_cm - self.start_cm) / self.height_cm) % 2 == 0)

    @property
    def box(self) -> Box:
        """Everywhere: a slab bounds the ribs."""
        return Box()


@dataclass(frozen=True)
class Mirrored:
    """A solid and its mirror image across the sagittal plane x = 0."""

    solid: Solid

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of the solid or of its image."""
        return np.asarray(self.solid.contains(x_cm, y_cm, z_cm) | self.solid.contains(-x_cm, y_cm, z_cm))

    @property
    def box(self) -> Box:
        """The box around both."""
        (x0, y0, z0), (x1, y1, z1) = self.solid.box
        return self.solid.box.around(Box((-x1, y0, z0), (-x0, y1, z1)))


@dataclass(frozen=True)
class Turned:
    """A solid described in a frame of its own: local = rows · (p − origin).

    Attributes
    ----------
    solid
        The solid in local coordinates.
    origin_cm
        Origin of the frame [cm].
    rows
        The frame's unit vectors, one row each. As printed: rounded decimals, used as they are.
    """

    solid: Solid
    origin_cm: Triple
    rows: tuple[Triple, Triple, Triple]

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points whose local coordinates lie in the solid."""
        dx, dy, dz = (c - origin for c, origin in zip((x_cm, y_cm, z_cm), self.origin_cm, strict=True))
        local = [row[0] * dx + row[1] * dy + row[2] * dz for row in self.rows]
        return self.solid.contains(local[0], local[1], local[2])

    @property
    def box(self) -> Box:
        """The upright box around the corners of the solid's own box."""
        corners = np.array(list(itertools.product(*zip(*self.solid.box, strict=True))))
        placed = corners @ np.linalg.inv(np.array(self.rows)).T + np.array(self.origin_cm)
        low, high = placed.min(axis=0).tolist(), placed.max(axis=0).tolist()
        return Box((low[0], low[1], low[2]), (high[0], high[1], high[2]))


@dataclass(frozen=True)
class Union:
    """What lies in at least one of several solids."""

    solids: tuple[Solid, ...]

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of any solid."""
        inside = self.solids[0].contains(x_cm, y_cm, z_cm)
        for solid in self.solids[1:]:
            inside = inside | solid.contains(x_cm, y_cm, z_cm)
        return inside

    @property
    def box(self) -> Box:
        """The box around all."""
        box = self.solids[0].box
        for solid in self.solids[1:]:
            box = box.around(solid.box)
        return box


@dataclass(frozen=True)
class Intersection:
    """What lies in all of several solids."""

    solids: tuple[Solid, ...]

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of every solid."""
        inside = self.solids[0].contains(x_cm, y_cm, z_cm)
        for solid in self.solids[1:]:
            inside = inside & solid.contains(x_cm, y_cm, z_cm)
        return inside

    @property
    def box(self) -> Box:
        """The box all share."""
        box = self.solids[0].box
        for solid in self.solids[1:]:
            box = box.common(solid.box)
        return box


@dataclass(frozen=True)
class Difference:
    """What lies in one solid and not in another."""

    solid: Solid
    removed: Solid

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of the solid outside what is removed."""
        return np.asarray(self.solid.contains(x_cm, y_cm, z_cm) & ~self.removed.contains(x_cm, y_cm, z_cm))

    @property
    def box(self) -> Box:
        """The solid's."""
        return self.solid.box


def _box_about(centre: Triple, reach: Triple) -> Box:
    (x, y, z), (a, b, c) = centre, reach
    return Box((x - a, y - b, z - c), (x + a, y + b, z + c))


def _smallest(first: Triple, second: Triple) -> Triple:
    return min(first[0], second[0]), min(first[1], second[1]), min(first[2], second[2])


def _largest(first: Triple, second: Triple) -> Triple:
    return max(first[0], second[0]), max(first[1], second[1]), max(first[2], second[2])
