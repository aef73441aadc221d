"""An image whose numbers are known: array, grid, quantity, unit, time and record in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..provenance import Record
from ..units import Quantity, factor_to_core_unit
from .geometry import VolumeGeometry


@dataclass(frozen=True, eq=False)
class QuantitativeVolume:
    """A volume in the core's unit of its quantity.

    Attributes
    ----------
    array_kji
        Values, shape (k, j, i) = (slices, rows, columns), in the unit of `quantity`. Read-only.
    geometry
        Where the voxels lie.
    quantity
        What the values are; its `unit` is the unit of the array.
    time
        When the values hold (of an activity image: the time it is decay-corrected to), None if unknown.
    record
        How the volume came to be.
    """

    array_kji: NDArray[Any]
    geometry: VolumeGeometry
    quantity: Quantity
    time: datetime | None = None
    record: Record = field(default_factory=lambda: Record("given as an array"))

    def __post_init__(self) -> None:
        array = np.asarray(self.array_kji)
        if array.shape != self.geometry.shape_kji:
            raise InputError(
                f"The array has shape {array.shape}, its geometry says {self.geometry.shape_kji} (k, j, i)."
            )
        if array.dtype.kind not in "fiub":
            raise InputError(f"A volume holds real numbers, found an array of type {array.dtype}.")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad_count = int(array.size - np.isfinite(array).sum())
            raise InputError(
                f"{bad_count} of {array.size} voxels of the {self.quantity.value} volume are NaN or infinite; "
                "every voxel must be a finite number. Repair the image first."
            )
        view = array.view()
        view.setflags(write=False)
        object.__setattr__(self, "array_kji", view)

    @classmethod
    def from_unit(
        cls,
        array_kji: NDArray[Any],
        unit: str,
        geometry: VolumeGeometry,
        quantity: Quantity,
        time: datetime | None = None,
        record: Record | None = None,
    ) -> QuantitativeVolume:
        """A volume from values in any unit of the quantity.

        Raises
        ------
        UnitError
            `unit` is not a unit of `quantity`.
        """
        factor = factor_to_core_unit(quantity, unit)
        array = np.asarray(array_kji)
        if factor != 1.0:
            array = array.astype(np.float64) * factor
        return cls(array, geometry, quantity, time, record or Record("given as an array"))

    @property
    def unit(self) -> str:
        """Unit of the array."""
        return self.quantity.unit

    def with_array(
        self, array_kji: NDArray[Any], quantity: Quantity | None = None, record: Record | None = None
    ) -> QuantitativeVolume:
        """A volume on the same grid and time with other values."""
        return replace(
            self, array_kji=array_kji, quantity=quantity or self.quantity, record=record or self.record
        )

    def with_record(self, record: Record) -> QuantitativeVolume:
        """The same volume under another record."""
        return replace(self, record=record)
