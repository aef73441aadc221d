"""The dose values inside a region."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, RegionError, UnitError
from ..images.volume import QuantitativeVolume
from ..units import Quantity

if TYPE_CHECKING:
    from ..images.regions import Region


def region_values(dose: QuantitativeVolume, region: Region) -> NDArray[np.float64]:
    """Absorbed doses of the voxels of a region [Gy], 1-D in array order.

    Raises
    ------
    UnitError
        The volume is not an absorbed dose.
    GeometryMismatchError
        The mask has another shape than the dose.
    RegionError
        The mask has no voxel.
    """
    if dose.quantity is not Quantity.ABSORBED_DOSE:
        raise UnitError(
            f"Dose statistics need a volume of absorbed dose [Gy], found {dose.quantity.value} [{dose.unit}]; "
            "integrate or convert it first."
        )
    return values_inside(dose.array_kji, region).astype(np.float64)


def values_inside(array_kji: NDArray[Any], region: Region) -> NDArray[Any]:
    """Values of an array inside a region, 1-D in array order, after checking that the region fits and is not empty."""
    require_shape(region, array_kji.shape)
    values = array_kji[np.asarray(region.mask_kji, dtype=bool)]
    if values.size == 0:
        raise RegionError(f"Region '{region.name}' has no voxel on the dose grid; remove it or check the labels.")
    return values


def require_shape(region: Region, shape_kji: tuple[int, ...]) -> None:
    """Refuse a region whose mask has another shape than the dose.

    Raises
    ------
    GeometryMismatchError
        The shapes differ.
    """
    found = np.shape(region.mask_kji)
    if found != shape_kji:
        raise GeometryMismatchError(
            f"Region '{region.name}' has a mask of shape {found}, the dose has {shape_kji} (k, j, i); "
            "resample the labels onto the dose grid first."
        )
