"""A grid to paint tissues on, seen through a smooth random distortion, and the surfaces that tissues are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..images.geometry import VolumeGeometry
from .shapes import Point

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
Inside = Callable[[Field, Field, Field], Mask]
"""Which positions x, y, z [mm] lie inside."""

_WAVE_COUNT = 10
_SHORTEST_WAVE_MM, _LONGEST_WAVE_MM = 110.0, 400.0
_CONTROL_STEP_MM = 16.0


@dataclass(frozen=True, eq=False)
class Distortion:
    """A smooth displacement of space as a few plane waves, the same on every grid.

    Attributes
    ----------
    wave_vectors_per_mm
        Wave vectors [1/mm], shape (waves, 3).
    amplitudes_mm
        Displacement along x, y, z of each wave [mm], shape (waves, 3).
    phases
        Phases, shape (waves,).
    """

    wave_vectors_per_mm: NDArray[np.float64]
    amplitudes_mm: NDArray[np.float64]
    phases: NDArray[np.float64]

    @classmethod
    def draw(cls, rng: np.random.Generator, amplitude_mm: float) -> Distortion:
        """Random waves with a root mean square displacement of `amplitude_mm` along each axis."""
        directions = rng.standard_normal((_WAVE_COUNT, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths_mm = rng.uniform(_SHORTEST_WAVE_MM, _LONGEST_WAVE_MM, (_WAVE_COUNT, 1))
        amplitudes = rng.standard_normal((_WAVE_COUNT, 3)) * lengths_mm
        amplitudes *= amplitude_mm / np.sqrt(0.5 * np.sum(amplitudes**2, axis=0))
        return cls(2 * math.pi * directions / lengths_mm, amplitudes, rng.uniform(0, 2 * math.pi, _WAVE_COUNT))

    @property
    def reach_mm(self) -> float:
        """No displacement along an axis is larger [mm]."""
        return float(np.abs(self.amplitudes_mm).sum(axis=0).max())

    def displacement_mm(self, position_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Displacement [mm] at positions [mm], x, y, z on the last axis of both."""
        waves = np.sin(np.tensordot(position_mm, self.wave_vectors_per_mm, axes=(-1, 1)) + self.phases)
        return np.asarray(waves @ self.amplitudes_mm)


class Canvas:
    """Which tissue each voxel is of; a later one takes its place from what it covers.

    Parameters
    ----------
    grid
        Axes along x, y, z.
    distortion
        Through which shapes are seen.
    """

    def __init__(self, grid: VolumeGeometry, distortion: Distortion) -> None:
        self.grid = grid
        self.index_kji: NDArray[np.uint8] = np.zeros(grid.shape_kji, dtype=np.uint8)
        counts = grid.shape_kji[::-1]
        self._axes_mm = [grid.origin_mm[axis] + grid.spacing_mm[axis] * np.arange(counts[axis]) for axis in range(3)]
        self._reach_mm = distortion.reach_mm + max(grid.spacing_mm)
        self.x_mm, self.y_mm, self.z_mm = self._distorted(distortion)

    def paint(self, code: int, inside: Inside, centre_mm: Point, reach_mm: Point, over: Sequence[int] = ()) -> None:
        """Give the voxels inside a shape a tissue.

        Parameters
        ----------
        code
            The tissue.
        inside
            The shape.
        centre_mm, reach_mm
            A box that holds it [mm].
        over
            Tissues that may be covered; all if empty.
        """
        box = self._box(centre_mm, reach_mm)
        if box is None:
            return
        mask = inside(self.x_mm[box], self.y_mm[box], self.z_mm[box])
        part = self.index_kji[box]
        if over:
            mask = mask & np.isin(part, over)
        part[mask] = code

    def _box(self, centre_mm: Point, reach_mm: Point) -> tuple[slice, slice, slice] | None:
        slices: list[slice] = []
        for axis_mm, centre, reach in zip(self._axes_mm, centre_mm, reach_mm, strict=True):
            first = int(np.searchsorted(axis_mm, centre - reach - self._reach_mm))
            last = int(np.searchsorted(axis_mm, centre + reach + self._reach_mm))
            if first >= last:
                return None
            slices.append(slice(first, last))
        return slices[2], slices[1], slices[0]

    def _distorted(self, distortion: Distortion) -> tuple[Field, Field, Field]:
        """Positions of all voxels, displaced: waves on a coarse lattice, straight lines between its points."""
        nodes_mm = [
            np.arange(axis[0] - _CONTROL_STEP_MM, axis[-1] + 2 * _CONTROL_STEP_MM, _CONTROL_STEP_MM)
            for axis in self._axes_mm
        ]
        lattice = np.stack(np.meshgrid(*nodes_mm, indexing="ij"), axis=-1)
        displacement = distortion.displacement_mm(lattice).astype(np.float32)
        to_x, to_y, to_z = (_interpolation(*pair) for pair in zip(nodes_mm, self._axes_mm, strict=True))
        parts = []
        for axis in range(3):
            along_x = np.tensordot(to_x, displacement[..., axis], axes=(1, 0))  # i, y, z
            along_y = np.tensordot(to_y, along_x, axes=(1, 1))  # j, i, z
            shape = [1, 1, 1]
            shape[2 - axis] = -1
            base = self._axes_mm[axis].astype(np.float32).reshape(shape)
            parts.append(np.asarray(np.tensordot(to_z, along_y, axes=(1, 2)) + base))  # k, j, i
        return parts[0], parts[1], parts[2]


def _interpolation(nodes_mm: NDArray[np.floating], points_mm: NDArray[np.floating]) -> NDArray[np.float32]:
    """Matrix of linear interpolation from nodes to points."""
    step = nodes_mm[1] - nodes_mm[0]
    place = (points_mm - nodes_mm[0]) / step
    left = np.floor(place).astype(int)
    matrix = np.zeros((points_mm.size, nodes_mm.size), dtype=np.float32)
    rows = np.arange(points_mm.size)
    matrix[rows, left] = 1 - (place - left)
    matrix[rows, left + 1] = place - left
    return matrix


@dataclass(frozen=True, eq=False)
class Blob:
    """An ellipsoid turned in space.

    Attributes
    ----------
    centre_mm, semi_axes_mm
        Centre and semi-axes [mm].
    tilt_deg
        Turn about x, y and z, in this order [degrees].
    """

    centre_mm: Point
    semi_axes_mm: Point
    tilt_deg: Point = (0.0, 0.0, 0.0)

    @classmethod
    def of_volume(
        cls, volume_ml: float, centre_mm: Point, proportions: Point, tilt_deg: Point = (0.0, 0.0, 0.0)
    ) -> Blob:
        """An ellipsoid of a volume [mL] with semi-axes in the given proportions."""
        scale = (volume_ml * 1e3 / (4 / 3 * math.pi * math.prod(proportions))) ** (1 / 3)
        return cls(centre_mm, (scale * proportions[0], scale * proportions[1], scale * proportions[2]), tilt_deg)

    def level(self, x_mm: Field, y_mm: Field, z_mm: Field) -> Field:
        """Square of the distance from the centre relative to the surface: 1 on it, less inside."""
        matrix = _turn(self.tilt_deg).T / np.array(self.semi_axes_mm)[:, None]
        dx, dy, dz = (v - np.float32(c) for v, c in zip((x_mm, y_mm, z_mm), self.centre_mm, strict=True))
        rows = (np.float32(r[0]) * dx + np.float32(r[1]) * dy + np.float32(r[2]) * dz for r in matrix)
        total: Field = np.zeros((), dtype=np.float32)
        for row in rows:
            total = total + row * row
        return total

    def inside(self, x_mm: Field, y_mm: Field, z_mm: Field) -> Mask:
        """Which positions lie inside."""
        return np.asarray(self.level(x_mm, y_mm, z_mm) <= 1)

    def shrunk(self, factor: float) -> Blob:
        """The same ellipsoid with all semi-axes times a factor."""
        a, b, c = self.semi_axes_mm
        return Blob(self.centre_mm, (factor * a, factor * b, factor * c), self.tilt_deg)

    @property
    def reach_mm(self) -> Point:
        """Half the box that holds it however it is turned [mm]."""
        largest = max(self.semi_axes_mm)
        return self.semi_axes_mm if self.tilt_deg == (0.0, 0.0, 0.0) else (largest, largest, largest)


def tube(path_mm: Sequence[Point], radius_mm: float) -> tuple[Inside, Point, Point]:
    """A tube around straight pieces: the shape and a box that holds it (centre and half lengths [mm])."""
    points = np.array(path_mm)
    low, high = points.min(axis=0) - radius_mm, points.max(axis=0) + radius_mm

    def inside(x_mm: Field, y_mm: Field, z_mm: Field) -> Mask:
        result = np.zeros(x_mm.shape, dtype=bool)
        for start, end in zip(points[:-1], points[1:], strict=True):
            step = end - start
            length_2 = max(float(step @ step), 1e-6)
            dx, dy, dz = x_mm - np.float32(start[0]), y_mm - np.float32(start[1]), z_mm - np.float32(start[2])
            along = np.clip((dx * step[0] + dy * step[1] + dz * step[2]) / length_2, 0, 1)
            square = (dx - along * step[0]) ** 2 + (dy - along * step[1]) ** 2 + (dz - along * step[2]) ** 2
            result |= square <= radius_mm**2
        return result

    centre, half = (low + high) / 2, (high - low) / 2
    return inside, (centre[0], centre[1], centre[2]), (half[0], half[1], half[2])


def both(first: Inside, second: Inside) -> Inside:
    """What lies in two shapes."""
    return lambda x_mm, y_mm, z_mm: first(x_mm, y_mm, z_mm) & second(x_mm, y_mm, z_mm)


def _turn(tilt_deg: Point) -> NDArray[np.float64]:
    """Rotation matrix of turns about x, then y, then z."""
    a, b, c = np.radians(tilt_deg)
    about_x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    about_y = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)
