"""Stopping powers and ranges of electrons and positrons in any medium, 1 keV to 3 MeV.

Collisions follow Bethe's formula with Møller (electrons) or Bhabha (positrons) scattering and the
density effect of Sternheimer, Berger and Seltzer computed for the medium's own density, as ESTAR does;
so any composition works. Radiative losses add over the elements by weight (Bragg).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import ELECTRON_REST_ENERGY_KEV
from .data_tables import read_package_table
from .elements import known_elements
from .energy_tables import EnergyTable
from .materials import Material

Floats = NDArray[np.float64]
Particle = Literal["electron", "positron"]

BETHE_CONSTANT_MEV_CM2_PER_MOL = 0.153537
"""2π r_e² m_e c² N_A [MeV cm²/mol]."""

PLASMA_ENERGY_EV = 28.816
"""Plasma energy [eV] of one mol of electrons per cm³; grows with the square root of their density."""

ENERGY_GRID_KEV: Floats = np.geomspace(1.0, 3000.0, 192)
"""Kinetic energies [keV] of every electron table."""
ENERGY_GRID_KEV.setflags(write=False)

_STEPS_PER_CELL = 8


@dataclass(frozen=True, eq=False)
class ElectronTable(EnergyTable):
    """Slowing down of electrons or positrons in one medium. All arrays are read-only.

    Attributes
    ----------
    material, particle
        The medium and "electron" or "positron".
    energy_kev
        Kinetic energy [keV], logarithmic, the same grid for every medium.
    collision_mev_cm2_per_g, radiative_mev_cm2_per_g, total_mev_cm2_per_g
        Mass stopping powers [MeV cm²/g].
    density_effect
        Correction δ of the collision stopping power.
    csda_range_g_per_cm2
        Range in the continuous-slowing-down approximation [g/cm²].
    radiation_yield
        Mean share of the initial energy that ends as bremsstrahlung.
    """

    particle: Particle
    collision_mev_cm2_per_g: Floats
    radiative_mev_cm2_per_g: Floats
    total_mev_cm2_per_g: Floats
    density_effect: Floats
    csda_range_g_per_cm2: Floats
    radiation_yield: Floats

    def at(self, quantity: str, energy_kev: NDArray[np.floating] | float) -> Floats:
        """As of `EnergyTable`; the density effect, which is zero at low energies, by its values."""
        if quantity != "density_effect":
            return super().at(quantity, energy_kev)
        energy = self.tabulated(energy_kev)
        return np.asarray(np.interp(np.log(energy), np.log(self.energy_kev), self.density_effect))


@lru_cache(maxsize=512)
def electron_table(material: Material, particle: Particle = "electron") -> ElectronTable:
    """Stopping powers, range and radiation yield of electrons or positrons in a medium.

    Ranges start at half the energy over the stopping power at 1 keV, as ESTAR's do; below about 10 keV
    Bethe's formula has no shell corrections and is good to a few per cent.

    References
    ----------
    .. [1] Berger and Seltzer, ICRU Report 37 (1984); ESTAR, DOI 10.18434/T4NC7P.
    .. [2] Sternheimer, Berger, Seltzer, At Data Nucl Data Tables 30 (1984) 261, DOI 10.1016/0092-640X(84)90002-0.
    .. [3] Rohrlich and Carlson, Phys Rev 93 (1954) 38, DOI 10.1103/PhysRev.93.38.
    .. [4] Kim, Pratt, Seltzer, Berger, Phys Rev A 33 (1986) 3002, DOI 10.1103/PhysRevA.33.3002.
    """
    if particle not in ("electron", "positron"):
        raise InputError(f"Found the particle '{particle}'; expected 'electron' or 'positron'.")
    energy = ENERGY_GRID_KEV
    delta = density_effect(material, energy)
    collision = collision_stopping_power_mev_cm2_per_g(material, energy, particle, delta)
    radiative = radiative_stopping_power_mev_cm2_per_g(material, energy, particle)
    range_g_per_cm2, radiation_yield = _range_and_yield(energy, collision + radiative, radiative)
    return ElectronTable(
        material=material,
        particle=particle,
        energy_kev=energy,
        collision_mev_cm2_per_g=collision,
        radiative_mev_cm2_per_g=radiative,
        total_mev_cm2_per_g=collision + radiative,
        density_effect=delta,
        csda_range_g_per_cm2=range_g_per_cm2,
        radiation_yield=radiation_yield,
    )


def collision_stopping_power_mev_cm2_per_g(
    material: Material, energy_kev: Floats, particle: Particle = "electron", delta: Floats | None = None
) -> Floats:
    """Mass collision stopping power [MeV cm²/g] at kinetic energies [keV]; `delta` is the density effect, if known."""
    tau = energy_kev / ELECTRON_REST_ENERGY_KEV
    beta_squared = tau * (tau + 2) / (tau + 1) ** 2
    excitation = material.mean_excitation_energy_ev * 1e-3 / ELECTRON_REST_ENERGY_KEV
    if delta is None:
        delta = density_effect(material, energy_kev)
    if particle == "electron":
        exchange = (1 - beta_squared) * (1 + tau**2 / 8 - (2 * tau + 1) * np.log(2))
    else:
        s = tau + 2
        exchange = 2 * np.log(2) - beta_squared / 12 * (23 + 14 / s + 10 / s**2 + 4 / s**3)
    bracket: Floats = np.log(tau**2 * (tau + 2) / (2 * excitation**2)) + exchange - delta
    return BETHE_CONSTANT_MEV_CM2_PER_MOL * material.electrons_mol_per_g / beta_squared * bracket


def density_effect(material: Material, energy_kev: Floats) -> Floats:
    """Density-effect correction δ at kinetic energies [keV], from the binding energies of all shells.

    Every shell is an oscillator of strength f; their energies are scaled by one factor until the oscillators
    give the medium's mean excitation energy, then δ(β) follows in closed form from one root per energy.
    """
    strength, resonance, width = _oscillators(material)
    tau = energy_kev / ELECTRON_REST_ENERGY_KEV
    wanted = tau * (tau + 2)  # 1 / (1/β² − 1)
    beta_squared = wanted / (tau + 1) ** 2
    insulating = bool(np.all(resonance > 0))
    threshold = 1 / np.sum(strength / resonance) if insulating else 0.0
    low, high = np.full_like(wanted, 0.0), wanted + resonance.max()
    for _ in range(80):
        middle = 0.5 * (low + high)
        reached = 1 / np.sum(strength / (resonance + middle[:, None]), axis=1)
        low, high = np.where(reached < wanted, middle, low), np.where(reached < wanted, high, middle)
    root = 0.5 * (low + high)
    delta = np.sum(strength * np.log1p(root[:, None] / width), axis=1) - root * (1 - beta_squared)
    return np.where(wanted > threshold, np.maximum(delta, 0.0), 0.0)


def _oscillators(material: Material) -> tuple[Floats, Floats, Floats]:
    """Strength f, squared resonance energy and squared effective energy of all shells [plasma energies]."""
    elements = known_elements()
    electrons = material.electrons_mol_per_g
    plasma_ev = PLASMA_ENERGY_EV * np.sqrt(material.density_g_per_cm3 * electrons)
    alone = len(material.mass_fractions) == 1
    strengths, energies = [], []
    for symbol, share in material.mass_fractions.items():
        element = elements[symbol]
        part = share * element.electrons_mol_per_g / electrons
        energy_ev = np.array(element.shell_binding_energy_ev)
        if alone and element.conduction_shell:
            energy_ev[-1] = 0.0
        strengths.append(part * element.shell_electrons / element.shell_electrons.sum())
        energies.append(energy_ev / plasma_ev)
    strength, energy_squared = np.concatenate(strengths), np.concatenate(energies) ** 2
    sharing = np.where(energy_squared > 0, 2 / 3, 1.0) * strength
    wanted = 2 * np.log(material.mean_excitation_energy_ev / plasma_ev)
    scale_squared = 1.0
    for _ in range(100):
        width = scale_squared * energy_squared + sharing
        excess = np.sum(strength * np.log(width)) - wanted
        step = excess / np.sum(strength * energy_squared / width)
        scale_squared = max(scale_squared - step, scale_squared / 10)
        if abs(step) < 1e-12 * scale_squared:
            break
    return strength, scale_squared * energy_squared, scale_squared * energy_squared + sharing


def radiative_stopping_power_mev_cm2_per_g(
    material: Material, energy_kev: Floats, particle: Particle = "electron"
) -> Floats:
    """Mass radiative stopping power [MeV cm²/g] at kinetic energies [keV] within 1 to 3000 keV."""
    table = read_package_table("radiative_stopping_powers")
    result = np.zeros_like(energy_kev)
    for symbol, share in material.mass_fractions.items():
        mine = table["element"] == symbol
        log_values = np.interp(
            np.log(energy_kev), np.log(table["energy_kev"][mine]), np.log(table["radiative_mev_cm2_per_g"][mine])
        )
        part = share * np.exp(log_values)
        if particle == "positron":
            part = part * _positron_bremsstrahlung_ratio(energy_kev, known_elements()[symbol].atomic_number)
        result += part
    return result


def _positron_bremsstrahlung_ratio(energy_kev: Floats, atomic_number: int) -> Floats:
    """Radiative stopping power of positrons over that of electrons: fit to the results of Kim et al. 1986."""
    t = np.log1p(1e6 / atomic_number**2 * energy_kev / ELECTRON_REST_ENERGY_KEV)
    powers = (-1.2359e-1, 6.1274e-2, -3.1516e-2, 7.7446e-3, -1.0595e-3, 7.0568e-5, -1.8080e-6)
    return -np.expm1(sum(factor * t ** (order + 1) for order, factor in enumerate(powers)))


def _range_and_yield(energy_kev: Floats, total: Floats, radiative: Floats) -> tuple[Floats, Floats]:
    """Integrals of dE/S and of (S_rad/S) dE by Simpson's rule on log-log interpolated stopping powers."""
    log_energy = np.log(energy_kev)
    cells, steps = len(energy_kev) - 1, _STEPS_PER_CELL
    fine = np.interp(np.arange(cells * steps + 1) / steps, np.arange(cells + 1), log_energy)
    energy_mev = np.exp(fine) * 1e-3
    path = energy_mev / np.exp(np.interp(fine, log_energy, np.log(total)))
    radiated = path * np.exp(np.interp(fine, log_energy, np.log(radiative)))
    pattern = np.array([1.0] + [4.0, 2.0] * (steps // 2 - 1) + [4.0, 1.0]) / 3
    windows = np.arange(cells)[:, None] * steps + np.arange(steps + 1)
    step = np.diff(log_energy) / steps
    range_cells = (path[windows] * pattern).sum(axis=1) * step
    radiated_cells = (radiated[windows] * pattern).sum(axis=1) * step
    csda = np.concatenate(([0.5 * path[0]], range_cells)).cumsum()
    lost = np.concatenate(([0.5 * radiated[0]], radiated_cells)).cumsum()
    return csda, lost / (energy_kev * 1e-3)
