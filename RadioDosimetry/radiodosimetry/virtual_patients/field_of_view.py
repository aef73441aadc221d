"""From a patient's voxels to the square of voxels that a turning camera sees, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.geometry import SPACING_TOLERANCE_MM, VolumeGeometry
from .rotating_camera import CameraGrid

Floats = NDArray[np.float32]

MARGIN_VOXELS = 3
"""Voxels of air kept around the body."""

SMALLEST_WIDTH = 8
"""Voxels across the smallest field of view."""


@dataclass(frozen=True)
class FieldOfView:
    """A square of voxels around the body's middle, wide enough that the body lies in the circle inside it.

    Attributes
    ----------
    grid
        The camera's voxels; its rotation axis is the patient's k axis.
    shape_kji
        Shape of the patient's arrays.
    offset_ij
        Index in the patient's array of the square's first voxel along i and j; may be negative.
    """

    grid: CameraGrid
    shape_kji: tuple[int, int, int]
    offset_ij: tuple[int, int]

    @classmethod
    def around(cls, inside_kji: NDArray[np.bool_], geometry: VolumeGeometry) -> FieldOfView:
        """The field of view for the voxels that are `inside_kji`.

        Raises
        ------
        InputError
            Voxels are not square across k, or nothing is inside.
        """
        step_i, step_j, step_k = geometry.spacing_mm
        if abs(step_i - step_j) > SPACING_TOLERANCE_MM:
            raise InputError(
                f"A scan is simulated on voxels as long along i as along j, found {step_i:g} × {step_j:g} mm; "
                "resample activity and CT first."
            )
        j, i = np.nonzero(inside_kji.any(axis=0))
        if not len(i):
            raise InputError("There is neither a body nor activity to scan: CT and activity are empty.")
        middle = [(int(index.min()) + int(index.max())) / 2 for index in (i, j)]
        reach = float(np.hypot(i - middle[0], j - middle[1]).max())
        width = max(2 * math.ceil(reach + 0.5) + 2 * MARGIN_VOXELS, SMALLEST_WIDTH)
        offset = [math.ceil(one - (width - 1) / 2) for one in middle]
        grid = CameraGrid(width, geometry.shape_kji[0], step_i, step_k)
        return cls(grid, geometry.shape_kji, (offset[0], offset[1]))

    def seen(self, array_kji: NDArray[np.generic]) -> Floats:
        """The array in the square, shape (x, y, z), zeros where the patient's array does not reach."""
        square = np.zeros((self.grid.width, self.grid.width, self.grid.slices), np.float32)
        into, out_of = self._overlap()
        square[into] = array_kji[:, out_of[1], out_of[0]].transpose(2, 1, 0)
        return square

    def put_back(self, square: Floats) -> Floats:
        """The square as an array (k, j, i) of the patient, zeros outside."""
        array = np.zeros(self.shape_kji, np.float32)
        into, out_of = self._overlap()
        array[:, out_of[1], out_of[0]] = square[into].transpose(2, 1, 0)
        return array

    def _overlap(self) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Slices of the square (x, y) and of the array (i, j) that are the same voxels."""
        into, out_of = [], []
        for offset, count in zip(self.offset_ij, (self.shape_kji[2], self.shape_kji[1]), strict=True):
            first, last = max(offset, 0), min(offset + self.grid.width, count)
            into.append(slice(first - offset, last - offset))
            out_of.append(slice(first, last))
        return (into[0], into[1]), (out_of[0], out_of[1])
