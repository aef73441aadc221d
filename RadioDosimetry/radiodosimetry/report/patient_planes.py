"""Slices of a volume as a radiologist looks at them, whatever the order and sense of its axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.geometry import VolumeGeometry

PLANES = ("axial", "coronal", "sagittal")

_RIGHT_AXIS = {"axial": 0, "coronal": 0, "sagittal": 1}
_UP_AXIS = {"axial": 1, "coronal": 2, "sagittal": 2}
_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice ready for `imshow(image, extent=extent_mm, origin="upper")`.

    Attributes
    ----------
    image
        Rows from top to bottom, columns from left to right.
    extent_mm
        Left, right, bottom, top edge along the slice's own axes [mm] (LPS coordinates for axis-aligned images).
    position_mm
        Where the slice lies along its normal [mm].
    letters
        Directions of the patient at the left, right, top and bottom edge.
    """

    image: NDArray[Any]
    extent_mm: tuple[float, float, float, float]
    position_mm: float
    letters: tuple[str, str, str, str]


class PatientView:
    """Axes of a grid, reordered and flipped to the patient's left, posterior and superior (the nearest ones)."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        cosines = np.abs(geometry.direction)
        # Rows of `direction` are L, P, S, its columns i, j, k: give each patient axis its own array axis.
        self._axis_of = _assign_axes(cosines)
        self._sense = [1 if geometry.direction[row, column] >= 0 else -1 for row, column in enumerate(self._axis_of)]
        self._geometry = geometry
        self.spacing_lps_mm = [geometry.spacing_mm[column] for column in self._axis_of]
        self.shape_lps = [geometry.shape_kji[2 - column] for column in self._axis_of]
        first_ijk = [0 if self._sense[self._axis_of.index(c)] > 0 else geometry.shape_kji[2 - c] - 1 for c in range(3)]
        first_lps = (geometry.ijk_to_lps @ np.array([*first_ijk, 1.0]))[:3]
        self.first_lps_mm = [float(value) for value in first_lps]

    def oriented(self, array_kji: NDArray[Any]) -> NDArray[Any]:
        """The array with axes (L, P, S), each rising."""
        array = np.transpose(array_kji, [2 - column for column in self._axis_of])
        return array[tuple(slice(None, None, sense) for sense in self._sense)]

    def index_lps(self, voxel_kji: tuple[int, int, int]) -> tuple[int, int, int]:
        """Index of a voxel along (L, P, S)."""
        along = [voxel_kji[2 - column] for column in self._axis_of]
        return tuple(  # type: ignore[return-value]
            index if sense > 0 else count - 1 - index
            for index, sense, count in zip(along, self._sense, self.shape_lps, strict=True)
        )

    def slice_of(self, array_kji: NDArray[Any], plane: str, voxel_kji: tuple[int, int, int]) -> Slice:
        """The slice of a plane through a voxel: axial and coronal with the patient's right at the left."""
        if plane not in PLANES:
            raise InputError(f"Plane '{plane}' is unknown; expected one of: {', '.join(PLANES)}.")
        right, up = _RIGHT_AXIS[plane], _UP_AXIS[plane]
        normal = 3 - right - up
        index = self.index_lps(voxel_kji)[normal]
        image = np.take(self.oriented(array_kji), index, axis=normal).T  # rows: the upward axis, columns: rightward
        left_mm, right_mm = self._edges_mm(right)
        low_mm, high_mm = self._edges_mm(up)
        position_mm = self.first_lps_mm[normal] + index * self.spacing_lps_mm[normal]
        (left, to_right), (low, high) = _LETTERS[right], _LETTERS[up]
        if plane == "axial":  # anterior on top
            return Slice(image, (left_mm, right_mm, high_mm, low_mm), position_mm, (left, to_right, low, high))
        return Slice(image[::-1], (left_mm, right_mm, low_mm, high_mm), position_mm, (left, to_right, high, low))

    def point_mm(self, voxel_kji: tuple[int, int, int], plane: str) -> tuple[float, float]:
        """Where a voxel lies in the coordinates of a slice's extent [mm]."""
        index = self.index_lps(voxel_kji)
        axes = _RIGHT_AXIS[plane], _UP_AXIS[plane]
        x_mm, y_mm = (self.first_lps_mm[axis] + index[axis] * self.spacing_lps_mm[axis] for axis in axes)
        return x_mm, y_mm

    def plane_to_lps(self, plane: str, voxel_kji: tuple[int, int, int]) -> NDArray[np.float64]:
        """From millimetres to the right, up and out of a slice, from its middle, to patient coordinates (4 × 4).

        The slice is that of `slice_of`, whose extent is `size_mm`; on an oblique grid it lies along the grid.
        """
        right, up = _RIGHT_AXIS[plane], _UP_AXIS[plane]
        normal = 3 - right - up
        index = [(count - 1) / 2 for count in self.shape_lps]
        index[normal] = self.index_lps(voxel_kji)[normal]
        ijk = np.zeros(4)
        ijk[3] = 1.0
        for axis, column in enumerate(self._axis_of):
            along = index[axis]
            ijk[column] = along if self._sense[axis] > 0 else self.shape_lps[axis] - 1 - along
        matrix = np.eye(4)
        for place, axis in enumerate((right, up)):
            matrix[:3, place] = self._sense[axis] * self._geometry.direction[:, self._axis_of[axis]]
        if plane == "axial":  # anterior on top: the posterior axis points down
            matrix[:3, 1] *= -1
        matrix[:3, 2] = np.cross(matrix[:3, 0], matrix[:3, 1])
        matrix[:3, 3] = (self._geometry.ijk_to_lps @ ijk)[:3]
        return matrix

    def size_mm(self, plane: str) -> tuple[float, float]:
        """Width and height of a plane [mm]."""
        width_mm, height_mm = (
            self.shape_lps[axis] * self.spacing_lps_mm[axis] for axis in (_RIGHT_AXIS[plane], _UP_AXIS[plane])
        )
        return width_mm, height_mm

    def _edges_mm(self, axis: int) -> tuple[float, float]:
        start = self.first_lps_mm[axis] - self.spacing_lps_mm[axis] / 2
        return start, start + self.shape_lps[axis] * self.spacing_lps_mm[axis]


def _assign_axes(cosines: NDArray[np.float64]) -> list[int]:
    """Array axis (i, j, k as 0, 1, 2) nearest to each patient axis, each used once."""
    from itertools import permutations

    best = max(permutations(range(3)), key=lambda order: sum(cosines[row, column] for row, column in enumerate(order)))
    return list(best)
