"""Quantities of one medium over a grid of energies: what tables of photons and of electrons have in common."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .materials import Material

Floats = NDArray[np.float64]

ENERGY_TOLERANCE = 1e-9
"""Share by which an energy may lie beyond the ends of a grid: rounding."""


@dataclass(frozen=True, eq=False)
class EnergyTable:
    """Quantities of one medium over energy. All arrays are read-only.

    Attributes
    ----------
    material
        The medium.
    energy_kev
        Energies [keV], ascending, the same grid for every medium.
    """

    material: Material
    energy_kev: Floats

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    def at(self, quantity: str, energy_kev: NDArray[np.floating] | float) -> Floats:
        """`quantity` (the name of an array over energy) at any energies [keV] within the grid, by its logarithms.

        Raises
        ------
        InputError
            An energy lies outside the table or is not a number.
        """
        return interpolate_log(self.tabulated(energy_kev), self.energy_kev, getattr(self, quantity))

    def tabulated(self, energy_kev: NDArray[np.floating] | float) -> Floats:
        """The energies [keV], once they are known to lie within the grid; errors as of `at`."""
        energy = np.asarray(energy_kev, dtype=np.float64)
        lowest, highest = self.energy_kev[0], self.energy_kev[-1]
        inside = (energy >= lowest * (1 - ENERGY_TOLERANCE)) & (energy <= highest * (1 + ENERGY_TOLERANCE))
        if not np.all(inside):
            raise InputError(
                f"Found energies from {np.min(energy):.6g} to {np.max(energy):.6g} keV; the tables reach from "
                f"{lowest:g} to {highest:g} keV. Leave out lower energies, which stay local."
            )
        return energy


def interpolate_log(x: Floats, grid: Floats, values: Floats) -> Floats:
    """Linear interpolation of logarithms; a zero of the table stays zero in the cell above it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.exp(np.interp(np.log(x), np.log(grid), np.log(values)))
    return np.asarray(np.nan_to_num(result, nan=0.0))
