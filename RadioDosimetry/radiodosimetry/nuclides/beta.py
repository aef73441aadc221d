"""From the tabulated β spectra of a nuclide to fine bins that keep its number of particles and its energy.

The dataset tabulates at about a hundred energies the sum of β− and β+; the lists of branches give number and mean
energy of each. A nuclide with both signs is split in the proportion of calculated allowed spectra, and every
spectrum is bent by a straight line, a fraction of a percent, so that the bins return the branches' sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from ..units import ELECTRON_REST_ENERGY_KEV
from .spectrum import ParticleSpectrum

BETA_BIN_COUNT = 256
"""Bins of equal width from 0 to the endpoint: 9 keV for Y-90, 2 keV for Lu-177, far below what a voxel resolves."""

FINE_STRUCTURE_CONSTANT = 7.2973525693e-3
"""CODATA 2018."""

_NODES_PER_INTERVAL = 8
_SHAPE_NODES = 1001
_ENDPOINT_PER_MEAN = (1.05, 12.0)


def binned_spectrum(
    density: NDArray[np.float64],
    branches: NDArray[np.float64],
    particle: str,
    label: str,
    count: int = BETA_BIN_COUNT,
) -> ParticleSpectrum:
    """A tabulated β spectrum in bins of equal width, each at its mean energy.

    Parameters
    ----------
    density
        Energy [keV] and β particles per keV and decay, (n, 2); only its shape counts.
    branches
        Mean energy [keV] and yield per decay of each β branch, (m, 2): the sums the bins must return.
    particle, label
        Of the result.
    count
        Number of bins.

    Returns
    -------
    ParticleSpectrum
        Particles and energy per decay equal those of `branches`.
    """
    yields, energies = _bins(density, count)
    intensity = float(branches[:, 1].sum())
    mean_kev = float(branches[:, 0] @ branches[:, 1]) / intensity
    yields *= intensity / yields.sum()
    return ParticleSpectrum(particle, *_with_mean(energies, yields, mean_kev), label)


def split_by_sign(
    density: NDArray[np.float64],
    minus_branches: NDArray[np.float64],
    plus_branches: NDArray[np.float64],
    atomic_number: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The β− and the β+ part of a tabulated sum of both, each (n, 2) as `density`.

    Parameters
    ----------
    density
        Energy [keV] and particles of both signs per keV and decay, (n, 2).
    minus_branches, plus_branches
        Mean energy [keV] and yield per decay of each branch, (m, 2).
    atomic_number
        Of the nuclide that decays.
    """
    energy_kev = density[:, 0]
    minus = allowed_density(energy_kev, minus_branches, atomic_number + 1)
    plus = allowed_density(energy_kev, plus_branches, -(atomic_number - 1))
    both = minus + plus
    reached = both > 0
    share = np.divide(minus, both, out=np.zeros_like(both), where=reached)
    share[~reached] = share[reached][-1]  # above both calculated endpoints: of the sign that reaches farther
    return (
        np.column_stack([energy_kev, density[:, 1] * share]),
        np.column_stack([energy_kev, density[:, 1] * (1.0 - share)]),
    )


def allowed_density(
    energy_kev: NDArray[np.float64], branches: NDArray[np.float64], signed_atomic_number: int
) -> NDArray[np.float64]:
    """β particles per keV and decay if every branch had the shape of an allowed transition.

    N(T) ∝ F(Z, T) p W (T0 − T)², the endpoint T0 such that the mean energy is that of the branch [1]_; the Fermi
    function with the relativistic factor of Bethe and Bacher [2]_.

    Parameters
    ----------
    energy_kev
        Kinetic energies T [keV], shape (n,).
    branches
        Mean energy [keV] and yield per decay of each branch, (m, 2).
    signed_atomic_number
        Of the progeny, negative for β+.

    Returns
    -------
    numpy.ndarray
        Shape (n,) [1/keV].

    References
    ----------
    .. [1] Evans, The Atomic Nucleus, McGraw-Hill (1955), chapter 17.
    .. [2] Bethe and Bacher, Rev Mod Phys 8 (1936) 82, doi:10.1103/RevModPhys.8.82.
    """
    total = np.zeros_like(energy_kev, dtype=np.float64)
    for mean_kev, branch_yield in branches:
        endpoint_kev = _endpoint_kev(float(mean_kev), signed_atomic_number)
        norm, _ = _moments(endpoint_kev, signed_atomic_number)
        total += branch_yield / norm * _shape(energy_kev, endpoint_kev, signed_atomic_number)
    return total


def _bins(density: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Particles and mean energy [keV] of each bin that is not empty."""
    grid, values = density.T
    grid, first = np.unique(grid, return_index=True)
    values = values[first]
    last = min(int(np.flatnonzero(values > 0)[-1]) + 1, grid.size - 1)
    edges = np.linspace(0.0, grid[last], count + 1)
    steps = np.arange(_NODES_PER_INTERVAL) / _NODES_PER_INTERVAL
    inner = (grid[:last, None] + np.diff(grid[: last + 1])[:, None] * steps).ravel()
    nodes = np.union1d(np.clip(inner, edges[0], edges[-1]), edges)
    height = np.clip(PchipInterpolator(grid, values)(np.clip(nodes, grid[0], grid[-1])), 0.0, None)
    width = np.diff(nodes)
    low, high, start, stop = height[:-1], height[1:], nodes[:-1], nodes[1:]
    particles = 0.5 * (low + high) * width
    energy = width / 6.0 * (low * (2 * start + stop) + high * (start + 2 * stop))
    bin_of = np.clip(np.searchsorted(edges, 0.5 * (start + stop), side="right") - 1, 0, count - 1)
    yields = np.bincount(bin_of, weights=particles, minlength=count).astype(np.float64)
    energies = np.bincount(bin_of, weights=energy, minlength=count)
    kept = yields > 0
    return yields[kept], energies[kept] / yields[kept]


def _with_mean(
    energy_kev: NDArray[np.float64], yields: NDArray[np.float64], mean_kev: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The same number of particles with another mean energy: yields bent by a line, or else energies stretched."""
    found_kev = float(energy_kev @ yields) / float(yields.sum())
    variance = float((energy_kev - found_kev) ** 2 @ yields) / float(yields.sum())
    if variance > 0:
        bend = 1.0 + (mean_kev - found_kev) / variance * (energy_kev - found_kev)
        if bend.min() > 0:
            return energy_kev, yields * bend
    return energy_kev * (mean_kev / found_kev), yields


def _endpoint_kev(mean_kev: float, signed_atomic_number: int) -> float:
    def excess(endpoint_kev: float) -> float:
        norm, energy = _moments(endpoint_kev, signed_atomic_number)
        return energy / norm - mean_kev

    low, high = (factor * mean_kev for factor in _ENDPOINT_PER_MEAN)
    return float(brentq(excess, low, high, rtol=1e-6))


def _moments(endpoint_kev: float, signed_atomic_number: int) -> tuple[float, float]:
    energy_kev = np.linspace(0.0, endpoint_kev, _SHAPE_NODES)
    shape = _shape(energy_kev, endpoint_kev, signed_atomic_number)
    return float(np.trapezoid(shape, energy_kev)), float(np.trapezoid(shape * energy_kev, energy_kev))


def _shape(energy_kev: NDArray[np.float64], endpoint_kev: float, signed_atomic_number: int) -> NDArray[np.float64]:
    """Allowed shape, not normalised; zero above the endpoint."""
    kinetic = np.maximum(energy_kev, 1e-6 * endpoint_kev) / ELECTRON_REST_ENERGY_KEV
    total = 1.0 + kinetic
    momentum = np.sqrt(kinetic * (kinetic + 2.0))
    coupling = FINE_STRUCTURE_CONSTANT * signed_atomic_number
    strength = 2.0 * np.pi * abs(coupling) * total / momentum
    coulomb = strength / -np.expm1(-strength) * (np.exp(-strength) if coupling < 0 else 1.0)
    relativistic = (total**2 * (1.0 + 4.0 * coupling**2) - 1.0) ** (np.sqrt(1.0 - coupling**2) - 1.0)
    left = np.clip(endpoint_kev - energy_kev, 0.0, None) / ELECTRON_REST_ENERGY_KEV
    return coulomb * relativistic * momentum * total * left**2
