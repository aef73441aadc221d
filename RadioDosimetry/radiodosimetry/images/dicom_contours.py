"""Filling planar contours into voxels: a voxel belongs to a region if its centre lies inside, by the even-odd rule.

All contours of one plane are filled together, so that a contour inside another cuts a hole and the two edges of a
keyhole channel cancel, as the standard describes it (PS3.3 C.8.8.6.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError
from .geometry import VolumeGeometry

PLANE_TOLERANCE_MM = 0.05
"""Contours closer than this along the slice axis lie in one plane, and a contour may be uneven by as much."""

TILT_TOLERANCE_MM = 0.5
"""How far the points of a contour may depart from a plane of the grid: coordinates are printed to 0.01–0.1 mm."""


@dataclass(frozen=True, eq=False)
class PlanarContour:
    """One closed contour on one plane of a grid.

    Attributes
    ----------
    depth_mm
        Distance of its plane from the plane of the first slice, along the slice axis.
    points
        Corners, N × 2, as continuous voxel indices along the two axes within the slice: (fast, slow).
    """

    depth_mm: float
    points: NDArray[np.float64]


@dataclass(frozen=True)
class SliceAxis:
    """The index axis (0 = i, 1 = j, 2 = k) perpendicular to the contours."""

    axis: int

    @property
    def in_plane(self) -> tuple[int, int]:
        """The other two index axes: (fast, slow)."""
        fast, slow = (axis for axis in range(3) if axis != self.axis)
        return fast, slow


def slice_axis_of(contours_mm: Sequence[NDArray[np.float64]], geometry: VolumeGeometry, name: str) -> SliceAxis:
    """The axis of the grid along which every contour is flat.

    Raises
    ------
    GeometryMismatchError
        The contours lie across the planes of the grid.
    """
    spreads_mm = np.zeros(3)
    for points_mm in contours_mm:
        index = _to_index(points_mm, geometry)
        spreads_mm = np.maximum(spreads_mm, np.ptp(index, axis=0) * np.array(geometry.spacing_mm))
    axis = 2 if spreads_mm[2] <= TILT_TOLERANCE_MM else int(np.argmin(spreads_mm))
    if spreads_mm[axis] > TILT_TOLERANCE_MM:
        raise GeometryMismatchError(
            f"Contours of {name} are not parallel to the slices of the image: their points spread over "
            f"{spreads_mm[axis]:.2f} mm across the slices; expected at most {TILT_TOLERANCE_MM} mm. Use the image "
            "they were drawn on, or resample the image to its orientation."
        )
    return SliceAxis(axis)


def planar_contour(points_mm: NDArray[np.float64], geometry: VolumeGeometry, axis: SliceAxis) -> PlanarContour:
    """A contour [mm, LPS], N × 3, in the indices of a grid."""
    index = _to_index(points_mm, geometry)
    depth_mm = float(np.median(index[:, axis.axis])) * geometry.spacing_mm[axis.axis]
    return PlanarContour(depth_mm, index[:, list(axis.in_plane)])


def plane_depths_mm(contours: Sequence[PlanarContour]) -> NDArray[np.float64]:
    """Depths of the planes that hold contours, ascending, those within `PLANE_TOLERANCE_MM` as one."""
    depths = np.sort([contour.depth_mm for contour in contours])
    starts = np.concatenate([[True], np.diff(depths) > PLANE_TOLERANCE_MM])
    return depths[starts]


def fill_contours(
    contours: Sequence[PlanarContour], plane_spacing_mm: float, geometry: VolumeGeometry, axis: SliceAxis
) -> NDArray[np.bool_]:
    """Voxels inside contours, shape (k, j, i).

    A slice takes the contours of the plane nearest to it, if that is not farther than half the distance between
    planes (of two equally near planes the lower): each plane stands for a slab of that thickness.
    """
    mask_kji = np.zeros(geometry.shape_kji, dtype=bool)
    by_slice = np.moveaxis(mask_kji, 2 - axis.axis, 0)
    planes_mm = plane_depths_mm(contours)
    step_mm = geometry.spacing_mm[axis.axis]
    for number in range(by_slice.shape[0]):
        distances_mm = np.abs(planes_mm - number * step_mm)
        nearest = int(np.argmin(np.round(distances_mm, 6)))
        if distances_mm[nearest] > plane_spacing_mm / 2 + PLANE_TOLERANCE_MM:
            continue
        plane_mm = planes_mm[nearest]
        polygons = [
            contour.points
            for contour in contours
            if -1e-9 <= contour.depth_mm - plane_mm <= PLANE_TOLERANCE_MM * (1 + 1e-9)
        ]
        by_slice[number] = fill_even_odd(polygons, by_slice.shape[1:])
    return mask_kji


def fill_even_odd(polygons: Sequence[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels whose centre is inside an odd number of closed polygons.

    Parameters
    ----------
    polygons
        Corners, N × 2 as (column, row) in pixel indices; the last joins the first.
    shape
        (rows, columns).

    Notes
    -----
    Every edge is cut with the centre lines of the rows it crosses (the lower end counts, the upper does not). Left
    of a crossing nothing changes, from it on every pixel changes sides: the parity of a running sum. The crossing
    is calculated from the lower end whichever way the edge is drawn, so that an edge drawn twice cancels exactly.
    """
    rows, columns = shape
    toggles = np.zeros((rows, columns + 1), dtype=np.int64)
    for points in polygons:
        start, end = points, np.roll(points, -1, axis=0)
        upward = (start[:, 1] < end[:, 1]) | ((start[:, 1] == end[:, 1]) & (start[:, 0] <= end[:, 0]))
        low = np.where(upward[:, None], start, end)
        high = np.where(upward[:, None], end, start)
        first = np.clip(np.ceil(low[:, 1]), 0, rows).astype(np.int64)
        last = np.clip(np.ceil(high[:, 1]), 0, rows).astype(np.int64)
        counts = np.maximum(last - first, 0)
        edge = np.repeat(np.arange(len(points)), counts)
        row = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
        slope = (high[edge, 0] - low[edge, 0]) / (high[edge, 1] - low[edge, 1])
        crossing = low[edge, 0] + slope * (row - low[edge, 1])
        column = np.clip(np.ceil(crossing), 0, columns).astype(np.int64)
        np.add.at(toggles, (row, column), 1)
    return (np.cumsum(toggles[:, :columns], axis=1) % 2).astype(bool)


def _to_index(points_mm: NDArray[np.float64], geometry: VolumeGeometry) -> NDArray[np.float64]:
    matrix = geometry.lps_to_ijk
    return points_mm @ matrix[:3, :3].T + matrix[:3, 3]
