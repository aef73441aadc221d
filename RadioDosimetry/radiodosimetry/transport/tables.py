"""Interaction data of a list of media, as plain arrays on the grids the transport kernels use.

Elastic scattering of electrons is Wentzel's law (screened Rutherford) with Molière's screening [1]_, split at a cut
deflection into hard events, simulated one by one, and soft ones, gathered at a hinge [2]_.

References
----------
.. [1] G. Molière, Z Naturforsch A 2 (1947) 133, doi:10.1515/zna-1947-0302; compounds as I. Kawrakow, Med Phys 27
   (2000) 485, doi:10.1118/1.598917.
.. [2] F. Salvat, PENELOPE-2018, OECD/NEA (2019), chapters 3 and 4, doi:10.1787/32da5043-en.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..media.electrons import BETHE_CONSTANT_MEV_CM2_PER_MOL, electron_table
from ..media.elements import known_elements
from ..media.materials import Material
from ..media.photons import photon_table
from ..units import ELECTRON_REST_ENERGY_KEV

Floats = NDArray[np.float64]

ENERGY_GRID_MEV: Floats = np.geomspace(1e-3, 3.0, 512)
"""Energies of all tables [MeV]; linear interpolation between them errs by less than 0.05 %."""

LN_X_GRID: Floats = np.linspace(np.log(1e-3), np.log(250.0), 192)
"""Logarithms of the momentum transfer x [1/Å], up to backscatter of 3 MeV."""

HARD_SHARE_OF_TRANSPORT_PATH = 0.1
"""Mean path between hard elastic events as a share of the transport mean free path (PENELOPE's C1)."""

HARD_COLLISION_SHARE = 0.06
"""Collisions that take more than this share of the electron's energy are simulated one by one."""

ELECTRON_REST_ENERGY_MEV = ELECTRON_REST_ENERGY_KEV * 1e-3
CLASSICAL_RADIUS_CM = 2.8179403262e-13
FINE_STRUCTURE = 7.2973525693e-3
AVOGADRO_PER_MOL = 6.02214076e23


@dataclass(frozen=True, eq=False)
class MediumTables:
    """Rows of the transport tables for one medium; shapes (energy, …) or (x,). See `physics.PhysicsTables`."""

    photon: Floats
    photon_pair: Floats
    scattering_function: Floats
    form_factor_cumulative: Floats
    electron: Floats
    hard_collision: Floats
    elastic: Floats
    elastic_screening: Floats


@lru_cache(maxsize=256)
def medium_tables(material: Material) -> MediumTables:
    """Transport tables of one medium."""
    photon, pair = _photon_rows(material)
    scattering, form_factor = _scattering_rows(material)
    elastic, screening = _elastic_rows(material)
    electron, hard_collision = _electron_rows(material)
    return MediumTables(photon, pair, scattering, form_factor, electron, hard_collision, elastic, screening)


def transport_cross_section_cm2_per_g(material: Material, energy_kev: Floats) -> Floats:
    """Inverse mean path over which elastic scattering turns an electron around [cm²/g], by energy [keV]."""
    strength, screening = _wentzel_parameters(material)
    return np.interp(energy_kev, ENERGY_GRID_MEV * 1e3, _transport(strength, screening))


def _photon_rows(material: Material) -> tuple[Floats, Floats]:
    table, energy_kev = photon_table(material), _energy_kev()
    incoherent, photoelectric, pair, coherent = (
        table.at(name, energy_kev) for name in ("incoherent", "photoelectric", "pair", "coherent")
    )
    total = incoherent + photoelectric + pair + coherent
    transfer = table.at("energy_transfer", energy_kev)
    rows = np.stack([total, transfer, incoherent / total, (incoherent + photoelectric) / total], axis=-1)
    return rows, pair / total


def _scattering_rows(material: Material) -> tuple[Floats, Floats]:
    table = photon_table(material)
    ln_grid = np.log(table.momentum_transfer_per_angstrom)
    scattering = np.exp(np.interp(LN_X_GRID, ln_grid, np.log(table.incoherent_scattering_function)))
    below = ln_grid[0] > LN_X_GRID
    scattering[below] *= np.exp(2 * (LN_X_GRID[below] - ln_grid[0]))
    cumulative = np.exp(np.interp(LN_X_GRID, ln_grid, np.log(np.maximum(table.coherent_cumulative, 1e-300))))
    cumulative[below] *= np.exp(2 * (LN_X_GRID[below] - ln_grid[0]))
    return scattering, cumulative


def _electron_rows(material: Material) -> tuple[Floats, Floats]:
    table, energy_kev = electron_table(material), _energy_kev()
    cut = HARD_COLLISION_SHARE * ENERGY_GRID_MEV
    half = 0.5 * ENERGY_GRID_MEV
    strength = BETHE_CONSTANT_MEV_CM2_PER_MOL * material.electrons_mol_per_g / _beta_squared()
    hard_stopping = strength * _moller_integral(cut, half, power=1)
    soft_variance = strength * _moller_integral(np.zeros_like(cut), cut, power=2)
    ceiling = np.maximum(_moller_bracket(half[:, None])[:, 0], 1.0)
    rows = np.stack(
        [
            table.at("total_mev_cm2_per_g", energy_kev) - hard_stopping,
            table.at("csda_range_g_per_cm2", energy_kev),
            1 - table.at("radiation_yield", energy_kev),
            soft_variance,
        ],
        axis=-1,
    )
    return rows, np.stack([strength * ceiling * (1 / cut - 1 / half), ceiling], axis=-1)


def _moller_bracket(transfer_mev: Floats) -> Floats:
    """Møller's cross-section times the square of the energy transfer, over its limit for small transfers.

    Transfers [MeV] have shape (energy, any) on the rows of `ENERGY_GRID_MEV`.
    """
    energy = ENERGY_GRID_MEV[:, None]
    total = energy + ELECTRON_REST_ENERGY_MEV
    interference = ELECTRON_REST_ENERGY_MEV * (2 * energy + ELECTRON_REST_ENERGY_MEV) / total**2
    rest = energy - transfer_mev
    return 1 + (transfer_mev / rest) ** 2 + (transfer_mev / total) ** 2 - interference * transfer_mev / rest


def _moller_integral(low_mev: Floats, high_mev: Floats, power: int) -> Floats:
    """Integral of transfer^(power − 2) times Møller's bracket between two transfers per energy."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    width = (high_mev - low_mev)[:, None]
    transfer = low_mev[:, None] + 0.5 * width * (nodes + 1)
    return (_moller_bracket(transfer) * transfer ** (power - 2) * weights * 0.5 * width).sum(axis=1)


def _elastic_rows(material: Material) -> tuple[Floats, Floats]:
    strength, screening = _wentzel_parameters(material)
    total = strength / (screening * (1 + screening))
    transport = _transport(strength, screening)
    hard = np.minimum(total, transport / HARD_SHARE_OF_TRANSPORT_PATH)
    cut = 1 / (hard / strength + 1 / (1 + screening)) - screening
    cut = np.maximum(cut, 0.0)
    log_term = np.log1p(cut / screening)
    first = log_term - cut / (cut + screening)
    second = cut - 2 * screening * log_term + screening * cut / (cut + screening)
    soft_first = 2 * strength * first
    soft_second = 6 * strength * (first - second)
    return np.stack([hard, soft_first, soft_second, cut], axis=-1), screening


def _transport(strength: Floats, screening: Floats) -> Floats:
    return 2 * strength * (np.log1p(1 / screening) - 1 / (1 + screening))


def _wentzel_parameters(material: Material) -> tuple[Floats, Floats]:
    """Strength π Σ n K [cm²/g] of dσ/dμ = strength / (μ + η)² and screening η, by energy.

    Z (Z + 1) counts the deflections by atomic electrons; ln η of a compound is the strength-weighted mean.
    """
    beta_squared = _beta_squared()
    momentum_squared = ENERGY_GRID_MEV * (ENERGY_GRID_MEV + 2 * ELECTRON_REST_ENERGY_MEV) / ELECTRON_REST_ENERGY_MEV**2
    strength = np.zeros_like(beta_squared)
    ln_screening = np.zeros_like(beta_squared)
    for symbol, share in material.mass_fractions.items():
        element = known_elements()[symbol]
        atomic_number = element.atomic_number
        atoms_per_g = share * AVOGADRO_PER_MOL / element.atomic_weight_g_per_mol
        nuclear = np.pi * atoms_per_g * atomic_number * (atomic_number + 1) * CLASSICAL_RADIUS_CM**2
        part = nuclear / (momentum_squared * beta_squared)
        angle_squared = (
            (FINE_STRUCTURE / 0.885) ** 2
            * atomic_number ** (2 / 3)
            / momentum_squared
            * (1.13 + 3.76 * (FINE_STRUCTURE * atomic_number) ** 2 / beta_squared)
        )
        strength += part
        ln_screening += part * np.log(angle_squared / 4)
    return strength, np.exp(ln_screening / strength)


def _beta_squared() -> Floats:
    tau = ENERGY_GRID_MEV / ELECTRON_REST_ENERGY_MEV
    return tau * (tau + 2) / (tau + 1) ** 2


def _energy_kev() -> Floats:
    return np.clip(ENERGY_GRID_MEV * 1e3, 1.0, 3000.0)
