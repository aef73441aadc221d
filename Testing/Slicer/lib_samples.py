"""Grids, volumes and regions that the tests of RadioDosimetryLib share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.provenance import Record
from radiodosimetry.units import Quantity

FRAME = "1.2.826.0.1.3680043.8.498.1"


def rotation(x_deg: float, y_deg: float, z_deg: float) -> NDArray[np.float64]:
    """A rotation about the three axes in turn."""
    return Rotation.from_euler("xyz", [x_deg, y_deg, z_deg], degrees=True).as_matrix()


STRAIGHT = VolumeGeometry((20, 22, 24), (2.0, 2.5, 3.0), (-30.0, 12.0, -7.0), np.eye(3), FRAME)
OBLIQUE = VolumeGeometry((12, 14, 16), (1.25, 2.5, 3.75), (-11.0, 22.0, 33.0), rotation(20, -30, 40), FRAME)
MIRRORED = VolumeGeometry((6, 7, 8), (4.0, 4.0, 2.0), (100.0, -50.0, 900.0), np.diag([-1.0, 1.0, 1.0]))
PERMUTED = VolumeGeometry((6, 7, 8), (1.0, 2.0, 3.0), (1.0, 2.0, 3.0), np.eye(3)[[2, 0, 1]])


def ball(geometry: VolumeGeometry, centre_kji: tuple[float, float, float], radius: float) -> NDArray[np.bool_]:
    """Voxels within a radius (in voxels) of a voxel."""
    index = np.indices(geometry.shape_kji)
    distance = sum((axis - middle) ** 2 for axis, middle in zip(index, centre_kji, strict=True))
    return np.asarray(distance <= radius**2)


def region(name: str, geometry: VolumeGeometry, centre_kji: tuple[float, float, float], radius: float) -> Region:
    """A ball as a region."""
    return Region(name, ball(geometry, centre_kji, radius), name)


def dose_volume(geometry: VolumeGeometry = STRAIGHT, **changes: Any) -> QuantitativeVolume:
    """A dose [Gy] that falls off from the middle, zero far out."""
    middle = (np.array(geometry.shape_kji) - 1) / 2
    index = np.indices(geometry.shape_kji)
    distance = np.sqrt(sum((axis - centre) ** 2 for axis, centre in zip(index, middle, strict=True)))
    dose = np.where(distance < 8, 20.0 * np.exp(-distance / 4), 0.0).astype(np.float32)
    record = Record("a dose for tests", {"method": "made up"}, warnings=("not a real dose",), seed=3)
    return QuantitativeVolume(dose, geometry, Quantity.ABSORBED_DOSE, record=record, **changes)
