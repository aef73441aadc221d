"""Where voxels lie in the patient: grid, spacing, origin, axes and frame of reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError

SPACING_TOLERANCE_MM = 1e-3
"""Voxel sizes closer than this are the same: DICOM prints decimals, NIfTI keeps float32."""

POSITION_TOLERANCE_MM = 1e-2
"""Grids whose corners lie closer than this are the same: far below any voxel, above float32 of 1 m."""

DIRECTION_TOLERANCE = 1e-4
"""Largest departure of direction cosines from orthonormal, and between equal grids."""


def _identity_direction() -> NDArray[np.float64]:
    return np.eye(3)


@dataclass(frozen=True, eq=False)
class VolumeGeometry:
    """A regular voxel grid in patient space (LPS, as DICOM and ITK).

    Attributes
    ----------
    shape_kji
        Number of voxels (slices, rows, columns): the shape of the array.
    spacing_mm
        Voxel size along the columns, rows and slices (x, y, z of an axial image): the order of i, j, k.
    origin_mm
        Position of the centre of voxel (0, 0, 0), LPS.
    direction
        3 × 3, column c holds the unit vector (LPS) of axis c in the order i, j, k.
    frame_of_reference_uid
        DICOM's name of the space, None where the file format has none.
    """

    shape_kji: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: NDArray[np.float64] = field(default_factory=_identity_direction)
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(count) for count in self.shape_kji)
        spacing = tuple(float(step) for step in self.spacing_mm)
        origin = tuple(float(value) for value in self.origin_mm)
        direction = np.array(self.direction, dtype=np.float64)
        if len(shape) != 3 or min(shape) < 1:
            raise InputError(f"A volume needs three axes with at least one voxel each, found shape {shape}.")
        if len(spacing) != 3 or not np.all(np.isfinite(spacing)) or min(spacing) <= 0:
            raise InputError(f"Voxel sizes must be three positive numbers in mm, found {spacing}.")
        if len(origin) != 3 or not np.all(np.isfinite(origin)):
            raise InputError(f"The origin must be three finite numbers in mm, found {origin}.")
        if direction.shape != (3, 3) or not np.all(np.isfinite(direction)):
            raise InputError(f"Direction cosines must be a finite 3 × 3 matrix, found {direction.tolist()}.")
        if np.abs(direction.T @ direction - np.eye(3)).max() > DIRECTION_TOLERANCE:
            raise InputError(
                f"Direction cosines must be orthonormal, found {direction.tolist()}; resample sheared images first."
            )
        direction.setflags(write=False)
        object.__setattr__(self, "shape_kji", shape)
        object.__setattr__(self, "spacing_mm", spacing)
        object.__setattr__(self, "origin_mm", origin)
        object.__setattr__(self, "direction", direction)

    @property
    def voxel_count(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape_kji))

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel [mL]."""
        return float(np.prod(self.spacing_mm)) * 1e-3

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """4 × 4 matrix from voxel index (i, j, k, 1) to position [mm] (LPS)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * np.array(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def lps_to_ijk(self) -> NDArray[np.float64]:
        """4 × 4 matrix from position [mm] (LPS) to continuous voxel index (i, j, k, 1)."""
        return np.asarray(np.linalg.inv(self.ijk_to_lps), dtype=np.float64)

    def corners_lps_mm(self) -> NDArray[np.float64]:
        """Positions of the eight outer corners of the grid (voxel faces, not centres), 8 × 3."""
        count_i, count_j, count_k = self.shape_kji[::-1]
        corners = np.array(
            [
                (i, j, k, 1.0)
                for k in (-0.5, count_k - 0.5)
                for j in (-0.5, count_j - 0.5)
                for i in (-0.5, count_i - 0.5)
            ]
        )
        return (corners @ self.ijk_to_lps.T)[:, :3]

    def same_grid(self, other: VolumeGeometry) -> bool:
        """Whether both grids have the same voxels within the named tolerances (frames of reference aside)."""
        return (
            self.shape_kji == other.shape_kji
            and bool(np.allclose(self.spacing_mm, other.spacing_mm, rtol=0, atol=SPACING_TOLERANCE_MM))
            and bool(np.allclose(self.direction, other.direction, rtol=0, atol=10 * DIRECTION_TOLERANCE))
            and bool(np.abs(self.corners_lps_mm() - other.corners_lps_mm()).max() < POSITION_TOLERANCE_MM)
        )

    def same_frame(self, other: VolumeGeometry) -> bool:
        """Whether the frames of reference do not contradict each other; an unknown frame contradicts none."""
        known = self.frame_of_reference_uid, other.frame_of_reference_uid
        return None in known or known[0] == known[1]


def require_same_grid(first: VolumeGeometry, second: VolumeGeometry, first_name: str, second_name: str) -> None:
    """Refuse two volumes that do not share grid and frame of reference.

    Raises
    ------
    GeometryMismatchError
        Grids or frames of reference differ.
    """
    require_same_frame(first, second, first_name, second_name)
    if not first.same_grid(second):
        raise GeometryMismatchError(
            f"{first_name} and {second_name} have different grids: {describe_grid(first)} against "
            f"{describe_grid(second)}. Resample one onto the other first."
        )


def require_same_frame(first: VolumeGeometry, second: VolumeGeometry, first_name: str, second_name: str) -> None:
    """Refuse two volumes that say they lie in different frames of reference.

    Raises
    ------
    GeometryMismatchError
        Both name a frame of reference and the names differ.
    """
    if not first.same_frame(second):
        raise GeometryMismatchError(
            f"{first_name} and {second_name} lie in different frames of reference "
            f"({first.frame_of_reference_uid} and {second.frame_of_reference_uid}). Register them first."
        )


def describe_grid(geometry: VolumeGeometry) -> str:
    """The grid in a few words, for messages."""
    size = " × ".join(str(count) for count in geometry.shape_kji[::-1])
    spacing = " × ".join(f"{step:.4g}" for step in geometry.spacing_mm)
    origin = ", ".join(f"{value:.1f}" for value in geometry.origin_mm)
    return f"{size} voxels of {spacing} mm from ({origin}) mm"
