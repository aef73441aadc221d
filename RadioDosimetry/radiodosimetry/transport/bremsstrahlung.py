"""Bremsstrahlung of electrons that slow down to rest in one medium, as one photon spectrum per slowing-down.

A β particle radiates about 1 % of its energy, most of it within the first part of its range and forward. The photons
of a whole slowing-down are handed out where the electron was born, isotropically, with the mean distance they are
ahead of photons that start there: position times direction of emission, the first order of where and whither they
are emitted. Thin-target spectra have the shape of the Born approximation 3BN with Elwert's factor [1]_ and the angular
distribution of a moving dipole; their energy is that of the radiative stopping power of the media tables. The mean
advance of an electron along its direction follows Lewis' equation [2]_.

References
----------
.. [1] H. W. Koch, J. W. Motz, Rev Mod Phys 31 (1959) 920, doi:10.1103/RevModPhys.31.920.
.. [2] H. W. Lewis, Phys Rev 78 (1950) 526, doi:10.1103/PhysRev.78.526.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..media.electrons import electron_table
from ..media.elements import known_elements
from ..media.materials import Material
from ..nuclides.spectrum import ParticleSpectrum
from ..units import ELECTRON_REST_ENERGY_KEV
from .tables import transport_cross_section_cm2_per_g

Floats = NDArray[np.float64]

FINE_STRUCTURE = 7.2973525693e-3

ELECTRON_GRID_KEV: Floats = np.geomspace(2.0, 3000.0, 160)
"""Energies of the slowing electron [keV]."""

PHOTON_EDGES_KEV: Floats = np.geomspace(1.0, 3000.0, 97)
"""Edges of the photon bins [keV]; softer photons stay where they are born."""


@dataclass(frozen=True, eq=False)
class Bremsstrahlung:
    """What electrons radiate until they rest.

    Attributes
    ----------
    photons
        Photons per decay above 1 keV. Their energy plus what collisions deposit is the electrons' energy, but for
        softer photons, which the bins above take along.
    lead_g_per_cm2
        Mean distance, along their own direction, from the decay to where photons of each energy are emitted; shape
        (photon energy,).
    """

    photons: ParticleSpectrum
    lead_g_per_cm2: Floats


def bremsstrahlung(electrons: ParticleSpectrum, material: Material) -> Bremsstrahlung:
    """Photons radiated by electrons or positrons that come to rest in a medium.

    Parameters
    ----------
    electrons
        Electrons or positrons per decay.
    material
        The medium they slow down in.

    """
    grid, numbers, leads = _thick_target(material)
    energies = np.clip(electrons.energy_kev, None, grid[-1])
    usable = energies > grid[0]
    if not usable.any():
        return Bremsstrahlung(ParticleSpectrum.empty("photon", "bremsstrahlung"), np.empty(0))
    position = np.interp(np.log(energies[usable]), np.log(grid), np.arange(grid.size))
    low = np.minimum(position.astype(int), grid.size - 2)
    share = (position - low)[:, None]
    per_electron, lead_sum = (rows[low] * (1 - share) + rows[low + 1] * share for rows in (numbers, leads))
    centres = _bin_centres()
    radiated = np.where(per_electron.sum(axis=1) > 0, per_electron @ centres, 1.0)
    wanted = electron_table(material).at("radiation_yield", energies[usable]) * energies[usable]
    electrons_per_decay = electrons.yield_per_decay[usable] * wanted / radiated
    total = electrons_per_decay @ per_electron
    keep = total > 0
    photons = ParticleSpectrum("photon", centres[keep], total[keep], "bremsstrahlung")
    return Bremsstrahlung(photons, (electrons_per_decay @ lead_sum)[keep] / total[keep])


def _bin_centres() -> Floats:
    return np.sqrt(PHOTON_EDGES_KEV[1:] * PHOTON_EDGES_KEV[:-1])


@lru_cache(maxsize=128)
def _thick_target(material: Material) -> tuple[Floats, Floats, Floats]:
    """Photons per bin radiated by an electron of each grid energy on its way to rest, and the sum of their leads.

    Returns the grid [keV] and two arrays of shape (energy, bin).
    """
    table, energy = electron_table(material), ELECTRON_GRID_KEV
    widths = np.diff(PHOTON_EDGES_KEV)
    thin = _thin_target_shape(energy, _bin_centres(), _effective_atomic_number(material))
    radiated = (thin * _bin_centres() * widths).sum(axis=1)
    radiative = table.at("radiative_mev_cm2_per_g", energy)
    stopping = table.at("total_mev_cm2_per_g", energy)
    scale = np.where(radiated > 0, radiative / stopping / np.maximum(radiated, 1e-300), 0.0)
    per_kev = thin * scale[:, None] * widths
    # Lewis: on its path s an electron advances along its own direction by x, dx/ds = 1 - x G with the transport
    # cross-section G; slowing down from E to T, x = exp(g(T)) (h(E) - h(T)).
    g = _from_the_lowest(transport_cross_section_cm2_per_g(material, energy) / (1e3 * stopping), energy)
    h = _from_the_lowest(np.exp(-g) / (1e3 * stopping), energy)
    forward = per_kev * (np.exp(g) * _mean_emission_cosine(energy))[:, None]
    leads = h[:, None] * _from_the_lowest(forward, energy) - _from_the_lowest(forward * h[:, None], energy)
    return energy, _from_the_lowest(per_kev, energy), leads


def _from_the_lowest(values: Floats, energy: Floats) -> Floats:
    """Integral over the energy from the lowest grid point up to each, along the first axis."""
    steps = 0.5 * (values[1:] + values[:-1]) * np.diff(energy).reshape(-1, *[1] * (values.ndim - 1))
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(steps, axis=0)])


def _mean_emission_cosine(electron_kev: Floats) -> Floats:
    """Mean cosine between electron and photon of a moving dipole, density ∝ 1 / (1 - β cos θ)²."""
    start = 1 + electron_kev / ELECTRON_REST_ENERGY_KEV
    beta = np.sqrt(1 - start**-2)
    return 1 / beta - (1 - beta**2) / (2 * beta**2) * np.log((1 + beta) / (1 - beta))


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
