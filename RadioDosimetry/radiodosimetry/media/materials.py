"""What a medium is made of: elements by mass, density, and what follows from these alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..errors import InputError, UnknownMediumError
from .elements import known_elements

SUM_TOLERANCE = 0.02
"""How far mass fractions may be from a sum of one before they are refused: published tables round to 0.1 %."""

HIGHEST_DENSITY_G_PER_CM3 = 25.0
"""Above the densest element; a larger number is a density in kg/m³ by mistake."""


class Material:
    """A homogeneous mixture of elements, right from birth, immutable and hashable.

    Parameters
    ----------
    name
        What results call it.
    mass_fractions
        Element symbol to mass fraction; must sum to one within `SUM_TOLERANCE` and is then normalised.
        Zero fractions are dropped.
    density_g_per_cm3
        Mass density [g/cm³].
    mean_excitation_energy_ev
        Mean excitation energy [eV] where one was measured (liquid water: 75 eV, ICRU Report 37); None takes the
        additivity rule over the elements.

    Raises
    ------
    UnknownMediumError
        An element has no tables.
    InputError
        A fraction is negative or not finite, the sum is not one, or the density is not a positive density.
    """

    __slots__ = ("_key", "density_g_per_cm3", "mass_fractions", "mean_excitation_energy_ev", "name")

    name: str
    mass_fractions: Mapping[str, float]
    density_g_per_cm3: float
    mean_excitation_energy_ev: float
    _key: tuple[object, ...]

    def __init__(
        self,
        name: str,
        mass_fractions: Mapping[str, float],
        density_g_per_cm3: float,
        mean_excitation_energy_ev: float | None = None,
    ) -> None:
        fractions = _checked_fractions(name, mass_fractions)
        density = float(density_g_per_cm3)
        if not 0 < density <= HIGHEST_DENSITY_G_PER_CM3:
            raise InputError(
                f"The density of '{name}' is {density} g/cm³; expected a number above 0 and up to "
                f"{HIGHEST_DENSITY_G_PER_CM3:g} g/cm³. Give it in g/cm³, not kg/m³."
            )
        energy = (
            additive_mean_excitation_energy_ev(fractions)
            if mean_excitation_energy_ev is None
            else float(mean_excitation_energy_ev)
        )
        if not 10 < energy < 1000:
            raise InputError(
                f"The mean excitation energy of '{name}' is {energy} eV; expected 10 to 1000 eV. Give it in eV."
            )
        values = {
            "name": str(name),
            "mass_fractions": MappingProxyType(fractions),
            "density_g_per_cm3": density,
            "mean_excitation_energy_ev": energy,
            "_key": (str(name), tuple(fractions.items()), density, energy),
        }
        for attribute, value in values.items():
            object.__setattr__(self, attribute, value)

    def __setattr__(self, attribute: str, value: object) -> None:
        raise AttributeError(f"A Material does not change; make a new one instead of setting '{attribute}'.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Material) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[object, ...]:
        return Material, (self.name, dict(self.mass_fractions), self.density_g_per_cm3, self.mean_excitation_energy_ev)

    def __repr__(self) -> str:
        composition = ", ".join(f"{symbol} {100 * share:.3g} %" for symbol, share in self.mass_fractions.items())
        return f"Material({self.name!r}, {self.density_g_per_cm3:.4g} g/cm³, {composition})"

    def with_density(self, density_g_per_cm3: float, name: str | None = None) -> Material:
        """The same composition at another density [g/cm³], under the same or another name.

        Raises
        ------
        InputError
            The density is not a positive density.
        """
        return Material(name or self.name, self.mass_fractions, density_g_per_cm3, self.mean_excitation_energy_ev)

    def as_dict(self) -> dict[str, Any]:
        """Everything that changes its numbers, JSON-ready: for records and cache keys."""
        return {
            "name": self.name,
            "mass_fractions": dict(self.mass_fractions),
            "density_g_per_cm3": self.density_g_per_cm3,
            "mean_excitation_energy_ev": self.mean_excitation_energy_ev,
        }

    @property
    def electrons_mol_per_g(self) -> float:
        """Electrons per gram in mol: the mass-weighted mean of Z/A."""
        elements = known_elements()
        return sum(share * elements[symbol].electrons_mol_per_g for symbol, share in self.mass_fractions.items())


def additive_mean_excitation_energy_ev(mass_fractions: Mapping[str, float]) -> float:
    """Mean excitation energy [eV] by Bragg's additivity rule, ln I = Σ w (Z/A) ln I_element / Σ w (Z/A).

    Elements in compounds take the values of ICRU Report 37 (1984), Table 5.1, for liquids and solids; an element
    alone its own value.
    """
    elements = known_elements()
    if len(mass_fractions) == 1:
        return elements[next(iter(mass_fractions))].mean_excitation_energy_ev
    weighted = weight = 0.0
    for symbol, share in mass_fractions.items():
        element = elements[symbol]
        weighted += share * element.electrons_mol_per_g * math.log(element.mean_excitation_energy_in_compounds_ev)
        weight += share * element.electrons_mol_per_g
    return math.exp(weighted / weight)


def _checked_fractions(name: str, mass_fractions: Mapping[str, float]) -> dict[str, float]:
    elements = known_elements()
    given = {str(symbol): float(share) for symbol, share in mass_fractions.items()}
    unknown = [symbol for symbol in given if symbol not in elements]
    if unknown:
        raise UnknownMediumError(
            f"'{name}' holds the element(s) {', '.join(unknown)}, for which there are no cross-sections; expected only "
            f"{', '.join(elements)}. Replace the element by one of these of similar atomic number."
        )
    for symbol, share in given.items():
        if not (math.isfinite(share) and share >= 0):
            raise InputError(f"The mass fraction of {symbol} in '{name}' is {share}; expected a number from 0 to 1.")
    total = sum(given.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise InputError(
            f"The mass fractions of '{name}' sum to {total:.4g}; expected 1 within {SUM_TOLERANCE:g}. "
            "Give fractions (not percent) of all elements."
        )
    return {symbol: given[symbol] / total for symbol in elements if given.get(symbol, 0.0) > 0}
