"""Dose along a straight line through the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..images.geometry import VolumeGeometry


@dataclass(frozen=True, eq=False)
class LineProfile:
    """Values along a line.

    Attributes
    ----------
    distance_mm
        Distance from the start [mm], 1-D.
    values
        Linearly interpolated values in the unit of the volume, same shape.
    start_lps_mm, end_lps_mm
        Ends of the line [mm], LPS.
    """

    distance_mm: NDArray[np.float64]
    values: NDArray[np.float64]
    start_lps_mm: tuple[float, float, float]
    end_lps_mm: tuple[float, float, float]


def line_profile(
    array_kji: NDArray[np.floating],
    geometry: VolumeGeometry,
    start_lps_mm: ArrayLike,
    end_lps_mm: ArrayLike,
    sample_count: int | None = None,
) -> LineProfile:
    """Values of a volume along the straight line between two points of the patient.

    Parameters
    ----------
    array_kji
        Values, shape (k, j, i).
    geometry
        Where the voxels lie.
    start_lps_mm, end_lps_mm
        Two different points [mm], LPS; both inside the volume (its outermost half voxel takes the border's value).
    sample_count
        Number of equidistant samples; by default two per smallest voxel edge.

    Returns
    -------
    LineProfile
        Trilinear values from start to end.

    Raises
    ------
    InputError
        The points coincide, lie outside the volume, or fewer than two samples are asked for.
    """
    from scipy.ndimage import map_coordinates

    start, end = np.asarray(start_lps_mm, dtype=np.float64), np.asarray(end_lps_mm, dtype=np.float64)
    length_mm = float(np.linalg.norm(end - start))
    if length_mm == 0:
        raise InputError("A line profile needs two different points; both are the same.")
    count = int(np.ceil(2 * length_mm / min(geometry.spacing_mm))) + 1 if sample_count is None else sample_count
    if count < 2:
        raise InputError(f"A line profile needs at least two samples, found {count}.")
    fraction = np.linspace(0.0, 1.0, count)
    points = start + fraction[:, None] * (end - start)
    index_ijk = (np.column_stack([points, np.ones(count)]) @ geometry.lps_to_ijk.T)[:, :3]
    size_ijk = np.array(geometry.shape_kji[::-1])
    if np.any(index_ijk < -0.5 - 1e-6) or np.any(index_ijk > size_ijk - 0.5 + 1e-6):
        raise InputError(
            f"The line from {start.tolist()} to {end.tolist()} mm leaves the volume; choose points inside it."
        )
    values = map_coordinates(
        np.asarray(array_kji, dtype=np.float64), np.clip(index_ijk, 0, size_ijk - 1).T[::-1], order=1, mode="nearest"
    )
    return LineProfile(fraction * length_mm, values, _point(start), _point(end))


def axis_profile(
    array_kji: NDArray[np.floating], geometry: VolumeGeometry, voxel_kji: tuple[int, int, int], axis_kji: int
) -> LineProfile:
    """Values along a whole axis of the array (0, 1, 2 = k, j, i) through one voxel, at the voxel centres."""
    first, last = list(voxel_kji), list(voxel_kji)
    first[axis_kji], last[axis_kji] = 0, geometry.shape_kji[axis_kji] - 1
    ends = [(np.array([*index[::-1], 1.0]) @ geometry.ijk_to_lps.T)[:3] for index in (first, last)]
    selection: list[int | slice] = list(voxel_kji)
    selection[axis_kji] = slice(None)
    values = np.asarray(array_kji, dtype=np.float64)[tuple(selection)]
    step_mm = geometry.spacing_mm[::-1][axis_kji]
    return LineProfile(np.arange(values.size, dtype=np.float64) * step_mm, values, _point(ends[0]), _point(ends[1]))


def _point(values: NDArray[np.floating]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
