"""Photon interaction coefficients and scattering functions of a medium, from the element tables.

A medium is a mixture: cross-sections per gram add by mass fraction, and so do form factors squared and
incoherent scattering functions per atom (independent atoms).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..units import ELECTRON_REST_ENERGY_KEV
from .data_tables import read_package_table
from .electrons import electron_table
from .elements import known_elements
from .energy_tables import EnergyTable
from .materials import Material

Floats = NDArray[np.float64]

AVOGADRO_PER_MOL_TIMES_BARN_CM2 = 0.602214076
"""Avogadro's number times one barn [cm²/mol]."""

PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM = 12.398419843
"""h·c: photon energy [keV] times wavelength [Å] (CODATA 2018, exact)."""

LOWEST_ENERGY_KEV = 1.0
"""Where all tables begin."""

_ANGLE_NODES = 160


@dataclass(frozen=True, eq=False)
class PhotonTable(EnergyTable):
    """Photon interactions of one medium, 1 keV to 3 MeV. All arrays are read-only.

    Interpolate the logarithms linearly against the logarithm of energy (`at` does it). Absorption edges
    are two grid points one millionth apart.

    Attributes
    ----------
    material
        The medium.
    energy_kev
        Photon energy [keV], ascending, the same grid for every medium.
    coherent, incoherent, photoelectric, pair, total
        Mass attenuation coefficients [cm²/g]; `pair` is in the field of nuclei and electrons together, zero below
        1022 keV; `total` includes coherent scattering.
    energy_transfer
        Mass energy-transfer coefficient [cm²/g]: kerma per fluence and energy. Fluorescence photons count as
        absorbed: below the K edge of calcium their range is a few µm.
    energy_absorption
        Mass energy-absorption coefficient [cm²/g]: `energy_transfer` without what the electrons radiate again.
    compton_energy_transfer_fraction
        Mean share of the photon's energy given to the electron in a Compton event, scattering function included.
    momentum_transfer_per_angstrom
        Grid x = sin(θ/2)/λ [1/Å] of the three arrays below, logarithmic, the same for every medium.
    form_factor_squared
        Σ n F² of the mixture, scaled to one at the first point.
    coherent_cumulative
        ∫ F² d(x²) from 0 to x, scaled to one at the last point: invert between 0 and its value at the largest x of
        the energy (E/hc) to draw x², then accept by (1 + cos²θ)/2.
    incoherent_scattering_function
        S(x)/Z of the mixture, from 0 to 1: the acceptance of a free Klein-Nishina scattering.
    """

    coherent: Floats
    incoherent: Floats
    photoelectric: Floats
    pair: Floats
    total: Floats
    energy_transfer: Floats
    energy_absorption: Floats
    compton_energy_transfer_fraction: Floats
    momentum_transfer_per_angstrom: Floats
    form_factor_squared: Floats
    coherent_cumulative: Floats
    incoherent_scattering_function: Floats


@lru_cache(maxsize=256)
def photon_table(material: Material) -> PhotonTable:
    """Photon interactions of a medium, 1 keV to 3 MeV, mixed from the element tables.

    References
    ----------
    .. [1] Berger et al., XCOM: Photon Cross Sections Database, NIST, DOI 10.18434/T48G6X.
    .. [2] Hubbell et al., J Phys Chem Ref Data 4 (1975) 471, DOI 10.1063/1.555523.
    """
    energy, processes = _mixed_cross_sections(material)
    momentum, form_squared, scattering = _mixed_scattering(material)
    to_electron, kept = _compton_transfer(material, energy, momentum, scattering)
    total = sum(processes.values(), np.zeros_like(energy))
    pair_share = np.maximum(0.0, 1 - 2 * ELECTRON_REST_ENERGY_KEV / energy)
    photo, incoherent, pair = processes["photoelectric"], processes["incoherent"], processes["pair"]
    electrons = electron_table(material)
    photo_kept = 1 - electrons.at("radiation_yield", energy)
    pair_electron_kev = np.clip((energy - 2 * ELECTRON_REST_ENERGY_KEV) / 2, LOWEST_ENERGY_KEV, None)
    pair_kept = 1 - electrons.at("radiation_yield", pair_electron_kev)
    return PhotonTable(
        material=material,
        energy_kev=energy,
        **processes,
        total=total,
        energy_transfer=photo + incoherent * to_electron + pair * pair_share,
        energy_absorption=photo * photo_kept + incoherent * kept + pair * pair_share * pair_kept,
        compton_energy_transfer_fraction=to_electron,
        momentum_transfer_per_angstrom=momentum,
        form_factor_squared=form_squared / form_squared[0],
        coherent_cumulative=_cumulative_over_square(momentum, form_squared),
        incoherent_scattering_function=scattering,
    )


def _mixed_cross_sections(material: Material) -> tuple[Floats, dict[str, Floats]]:
    table = read_package_table("photon_cross_sections")
    energy = np.array(table["energy_kev"][table["element"] == "H"])
    processes = {name: np.zeros_like(energy) for name in ("coherent", "incoherent", "photoelectric", "pair")}
    for symbol, share in material.mass_fractions.items():
        mine = table["element"] == symbol
        per_barn = share * AVOGADRO_PER_MOL_TIMES_BARN_CM2 / known_elements()[symbol].atomic_weight_g_per_mol
        for name in ("coherent", "incoherent", "photoelectric"):
            processes[name] += per_barn * table[f"{name}_barn"][mine]
        processes["pair"] += per_barn * (table["pair_nuclear_barn"][mine] + table["pair_electron_barn"][mine])
    return energy, processes


def _mixed_scattering(material: Material) -> tuple[Floats, Floats, Floats]:
    """Grid x [1/Å], Σ n F² and Σ n S / Σ n Z, n the atoms per gram."""
    table = read_package_table("form_factors")
    momentum = np.array(table["momentum_transfer_per_angstrom"][table["element"] == "H"])
    form_squared, scattering, electrons = np.zeros_like(momentum), np.zeros_like(momentum), 0.0
    for symbol, share in material.mass_fractions.items():
        mine, element = table["element"] == symbol, known_elements()[symbol]
        atoms = share / element.atomic_weight_g_per_mol
        form_squared += atoms * table["form_factor"][mine] ** 2
        scattering += atoms * table["scattering_function"][mine]
        electrons += atoms * element.atomic_number
    return momentum, form_squared, np.minimum(scattering / electrons, 1.0)


def _compton_transfer(
    material: Material, energy_kev: Floats, momentum: Floats, scattering: Floats
) -> tuple[Floats, Floats]:
    """Mean share of the photon's energy given to the Compton electron, and that share without its bremsstrahlung.

    Integrates Klein-Nishina times S(x) over t = sin(θ/2), dΩ ∝ t dt.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_ANGLE_NODES)
    t, weights = 0.5 * (nodes + 1), 0.5 * weights
    alpha = energy_kev[:, None] / ELECTRON_REST_ENERGY_KEV
    ratio = 1 / (1 + 2 * alpha * t**2)
    cosine = 1 - 2 * t**2
    klein_nishina = ratio**2 * (ratio + 1 / ratio - 1 + cosine**2)
    x = energy_kev[:, None] / PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM * t
    bound = _scattering_function_at(x, momentum, scattering)
    weight = klein_nishina * bound * t * weights
    electron_kev = energy_kev[:, None] * (1 - ratio)
    share = 1 - ratio
    radiated = electron_table(material).at("radiation_yield", np.clip(electron_kev, LOWEST_ENERGY_KEV, None))
    norm = weight.sum(axis=1)
    return (weight * share).sum(axis=1) / norm, (weight * share * (1 - radiated)).sum(axis=1) / norm


def _scattering_function_at(x: Floats, momentum: Floats, scattering: Floats) -> Floats:
    """S(x)/Z, falling with the square of x below the first point of the grid."""
    inside = np.exp(np.interp(np.log(x), np.log(momentum), np.log(scattering)))
    return np.asarray(inside * np.minimum(1.0, x / momentum[0]) ** 2)


def _cumulative_over_square(momentum: Floats, form_squared: Floats) -> Floats:
    """∫ F² d(x²) from zero, exact for F² that is a power of x² in each cell and constant below the grid."""
    square = momentum**2
    log_step, log_fall = np.diff(np.log(square)), np.diff(np.log(form_squared))
    power = log_fall / log_step + 1
    first = form_squared[:-1] * square[:-1]
    close = np.abs(power * log_step) < 1e-6
    safe = np.where(close, 1.0, power)
    cells = first * np.where(close, log_step, np.expm1(safe * log_step) / safe)
    cumulative = np.concatenate(([form_squared[0] * square[0]], cells)).cumsum()
    return np.asarray(cumulative / cumulative[-1])
