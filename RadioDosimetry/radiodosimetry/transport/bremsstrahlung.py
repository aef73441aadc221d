"""Bremsstrahlung of electrons that slow down to rest in one medium, as a photon spectrum at the point of emission.

The photons of a whole slowing-down are handed out where the electron was born, isotropically: a β particle radiates
about 1 % of its energy, most of it within the first part of its range, and the photons travel centimetres. Thin-target
spectra have the shape of the Born approximation 3BN with Elwert's factor [1]_; their energy is that of the radiative
stopping power of the media tables.

References
----------
.. [1] H. W. Koch, J. W. Motz, Rev Mod Phys 31 (1959) 920, doi:10.1103/RevModPhys.31.920.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..media.electrons import electron_table
from ..media.elements import known_elements
from ..media.materials import Material
from ..nuclides.spectrum import ParticleSpectrum
from ..units import ELECTRON_REST_ENERGY_KEV

Floats = NDArray[np.float64]

FINE_STRUCTURE = 7.2973525693e-3

ELECTRON_GRID_KEV: Floats = np.geomspace(2.0, 3000.0, 160)
"""Energies of the slowing electron [keV]."""

PHOTON_EDGES_KEV: Floats = np.geomspace(1.0, 3000.0, 97)
"""Edges of the photon bins [keV]; softer photons stay where they are born."""


def bremsstrahlung_spectrum(electrons: ParticleSpectrum, material: Material) -> ParticleSpectrum:
    """Photons radiated by electrons or positrons that come to rest in a medium.

    Parameters
    ----------
    electrons
        Electrons or positrons per decay.
    material
        The medium they slow down in.

    Returns
    -------
    ParticleSpectrum
        Photons per decay above 1 keV. Its energy plus what collisions deposit is the electrons' energy, but for
        softer photons, which the bins above take along.
    """
    grid, numbers = _thick_target_numbers(material)
    energies = np.clip(electrons.energy_kev, None, grid[-1])
    usable = energies > grid[0]
    if not usable.any():
        return ParticleSpectrum.empty("photon", "bremsstrahlung")
    position = np.interp(np.log(energies[usable]), np.log(grid), np.arange(grid.size))
    low = np.minimum(position.astype(int), grid.size - 2)
    share = (position - low)[:, None]
    per_electron = numbers[low] * (1 - share) + numbers[low + 1] * share
    centres = _bin_centres()
    radiated = np.where(per_electron.sum(axis=1) > 0, per_electron @ centres, 1.0)
    wanted = electron_table(material).at("radiation_yield", energies[usable]) * energies[usable]
    total = (electrons.yield_per_decay[usable] * wanted / radiated) @ per_electron
    keep = total > 0
    return ParticleSpectrum("photon", centres[keep], total[keep], "bremsstrahlung")


def _bin_centres() -> Floats:
    return np.sqrt(PHOTON_EDGES_KEV[1:] * PHOTON_EDGES_KEV[:-1])


@lru_cache(maxsize=128)
def _thick_target_numbers(material: Material) -> tuple[Floats, Floats]:
    """Photons per bin radiated by an electron of each grid energy on its way to rest, shape (energy, bin)."""
    table, energy = electron_table(material), ELECTRON_GRID_KEV
    widths = np.diff(PHOTON_EDGES_KEV)
    thin = _thin_target_shape(energy, _bin_centres(), _effective_atomic_number(material))
    radiated = (thin * _bin_centres() * widths).sum(axis=1)
    radiative = table.at("radiative_mev_cm2_per_g", energy)
    stopping = table.at("total_mev_cm2_per_g", energy)
    scale = np.where(radiated > 0, radiative / stopping / np.maximum(radiated, 1e-300), 0.0)
    per_kev = thin * scale[:, None]
    steps = 0.5 * (per_kev[1:] + per_kev[:-1]) * np.diff(energy)[:, None]
    numbers = np.concatenate([np.zeros((1, widths.size)), np.cumsum(steps, axis=0)]) * widths
    return energy, numbers


def _effective_atomic_number(material: Material) -> float:
    """Atomic number weighted as bremsstrahlung is: Σ w Z³/A over Σ w Z²/A."""
    elements = [(known_elements()[symbol], share) for symbol, share in material.mass_fractions.items()]
    weights = np.array([share * e.atomic_number**2 / e.atomic_weight_g_per_mol for e, share in elements])
    return float(weights @ np.array([e.atomic_number for e, _ in elements]) / weights.sum())


def _thin_target_shape(electron_kev: Floats, photon_kev: Floats, atomic_number: float) -> Floats:
    """dσ/dk up to a factor, shape (electron, photon): formula 3BN of Koch and Motz with Elwert's correction."""
    start = 1 + electron_kev[:, None] / ELECTRON_REST_ENERGY_KEV
    k = np.broadcast_to(photon_kev / ELECTRON_REST_ENERGY_KEV, (electron_kev.size, photon_kev.size))
    possible = k < 0.999 * (start - 1)
    end = np.where(possible, start - k, 1.5)
    p0, p = np.sqrt(start**2 - 1), np.sqrt(end**2 - 1)
    e0, e = 2 * np.log(start + p0), 2 * np.log(end + p)
    product = start * end
    log_term = 2 * np.log(np.maximum((product + p0 * p - 1) / k, 1.0))
    bracket = (
        4 / 3
        - 2 * product * (p**2 + p0**2) / (p0 * p) ** 2
        + e0 * end / p0**3
        + e * start / p**3
        - e * e0 / (p0 * p)
        + log_term
        * (
            8 * product / (3 * p0 * p)
            + k**2 * (product**2 + (p0 * p) ** 2) / (p0 * p) ** 3
            + k / (2 * p0 * p)
            * ((product + p0**2) / p0**3 * e0 - (product + p**2) / p**3 * e + 2 * k * product / (p * p0) ** 2)
        )
    )
    beta0, beta = p0 / start, p / end
    coulomb = 2 * np.pi * atomic_number * FINE_STRUCTURE
    elwert = beta0 * -np.expm1(-coulomb / beta0) / (beta * -np.expm1(-coulomb / beta))
    return np.where(possible, np.maximum(p / p0 * bracket * elwert / k, 0.0), 0.0)
