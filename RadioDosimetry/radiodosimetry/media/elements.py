"""The chemical elements that media may hold, with what the tables know of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .data_tables import read_package_table


@dataclass(frozen=True, eq=False)
class Element:
    """What the stopping-power formulas need of one element.

    Attributes
    ----------
    symbol, atomic_number, atomic_weight_g_per_mol
        The element.
    mean_excitation_energy_ev
        Of the element itself [eV] (ICRU Report 37).
    mean_excitation_energy_in_compounds_ev
        To put into the additivity rule for liquid and solid compounds [eV] (ICRU Report 37, Table 5.1).
    shell_binding_energy_ev, shell_electrons
        Binding energy [eV] and number of electrons of each atomic shell, innermost first.
    conduction_shell
        Whether the last shell's electrons are free when the element stands alone (a metal).
    """

    symbol: str
    atomic_number: int
    atomic_weight_g_per_mol: float
    mean_excitation_energy_ev: float
    mean_excitation_energy_in_compounds_ev: float
    shell_binding_energy_ev: NDArray[np.float64]
    shell_electrons: NDArray[np.float64]
    conduction_shell: bool

    @property
    def electrons_mol_per_g(self) -> float:
        """Electrons per gram in mol: Z/A."""
        return self.atomic_number / self.atomic_weight_g_per_mol


@cache
def known_elements() -> Mapping[str, Element]:
    """All elements of the tables by symbol, in the order of atomic number."""
    table = read_package_table("elements")
    shells = read_package_table("atomic_shells")
    elements = {}
    for index, symbol in enumerate(table["element"]):
        mine = shells["element"] == symbol
        elements[str(symbol)] = Element(
            symbol=str(symbol),
            atomic_number=int(table["atomic_number"][index]),
            atomic_weight_g_per_mol=float(table["atomic_weight_g_per_mol"][index]),
            mean_excitation_energy_ev=float(table["mean_excitation_energy_ev"][index]),
            mean_excitation_energy_in_compounds_ev=float(table["mean_excitation_energy_in_compounds_ev"][index]),
            shell_binding_energy_ev=shells["binding_energy_ev"][mine],
            shell_electrons=shells["electrons"][mine],
            conduction_shell=bool(shells["conduction"][mine][-1]),
        )
    return MappingProxyType(elements)
