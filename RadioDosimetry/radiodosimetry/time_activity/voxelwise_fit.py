"""Exponentials fitted to every voxel at once: variable projection over arrays instead of a loop over voxels.

For given rates the amplitudes of a sum of exponentials follow from linear least squares, so only the rates are
searched. A grid of rates, common to all voxels, gives each voxel its start near the global optimum; a few Newton
(one rate) or damped Gauss–Newton steps (two rates) polish it. Arrays are (scans, voxels): each step is a handful of
operations on long rows. Least squares are unweighted, as those of `scipy.optimize.curve_fit` without sigma.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

UNRESOLVED_HALVINGS = 8.0
"""A rate so fast that the activity halves this often between two scans cannot be told from a faster one."""

LARGEST_EXPONENT = 300.0
"""Largest rate times the last scan's time: squares of exponentials stay within double precision."""

_MONO_GRID = 32
_MOST_NEWTON_STEPS = 40
_NEWTON_TOLERANCE = 3e-5
"""Relative Newton step of a rate that ends the search: each step squares the error of the last."""

_AT_BOUND = 0.01
"""Share of the fastest rate below it that counts as the bound: residuals are flat there."""

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class VoxelFits:
    """Sums of one or two exponentials of many voxels.

    Attributes
    ----------
    amplitudes, rates_per_s
        Shape (terms, voxels), in the unit of the data and 1/s; effective rates, the slow term first.
    sensitivity
        Change of the integral from 0 to infinity with each datum [s], shape (scans, voxels): its square times the
        variance of the data, summed over the scans, is the variance of the integral.
    residual_squares
        Sum over the scans of squared residuals, shape (voxels,).
    at_slowest, at_fastest
        Where the slow rate is held at physical decay, and where the fast one cannot be resolved.
    valid
        Where the search ended at a curve that is not negative at any time from 0 on and whose terms are distinct.
    """

    amplitudes: Array
    rates_per_s: Array
    sensitivity: Array
    residual_squares: Array
    at_slowest: NDArray[np.bool_]
    at_fastest: NDArray[np.bool_]
    valid: NDArray[np.bool_]

    @property
    def integrals(self) -> Array:
        """Integral of the curve from 0 to infinity [unit of the data × s], shape (voxels,)."""
        return np.asarray((self.amplitudes / self.rates_per_s).sum(axis=0))

    def values(self, times_s: Array) -> Array:
        """Values of the curves at some times, shape (times, voxels)."""
        exponents = -times_s[:, None, None] * self.rates_per_s
        return np.asarray((self.amplitudes * np.exp(exponents)).sum(axis=1))

    def integrals_from(self, start_s: float) -> Array:
        """Integral of the curve from a time to infinity, shape (voxels,)."""
        return np.asarray((self.amplitudes * np.exp(-start_s * self.rates_per_s) / self.rates_per_s).sum(axis=0))


def fastest_rate_per_s(interval_s: float, last_s: float, decay_constant_per_s: float) -> float:
    """The fastest rate that an interval between scans can resolve [1/s]; see `UNRESOLVED_HALVINGS`.

    Parameters
    ----------
    interval_s
        Interval that must show the fall [s].
    last_s
        Time of the last scan [s]; see `LARGEST_EXPONENT`.
    decay_constant_per_s
        Physical decay; the fastest rate is at least ten times this.
    """
    resolved = UNRESOLVED_HALVINGS * np.log(2.0) / interval_s
    return max(min(resolved, LARGEST_EXPONENT / last_s), 10.0 * decay_constant_per_s)


def fit_mono(times_s: Array, data: Array, decay_constant_per_s: float, integral_from_s: float = 0.0) -> VoxelFits:
    """A e^(−λt) fitted to each voxel by least squares, λ from physical decay up to what the scans resolve.

    That is `UNRESOLVED_HALVINGS` between the first two scans, and as many from the start of the integral to the first.

    Parameters
    ----------
    times_s
        Scan times after administration [s], rising, shape (scans,), at least two.
    data
        Activity concentrations, none negative, each voxel with a positive one; shape (scans, voxels).
    decay_constant_per_s
        Lower bound of λ [1/s].
    integral_from_s
        Start of the integral whose sensitivity is returned [s].

    Returns
    -------
    VoxelFits
        One term; where λ is held at its bound, the sensitivity is that of the amplitude alone.

    References
    ----------
    .. [1] Golub, Pereyra, SIAM J Numer Anal 10 (1973) 413-432, doi:10.1137/0710036: variable projection.
    """
    # What the first two scans cannot resolve no later one can; and what has fallen as far before the first scan as
    # between the two is not known at its start either.
    interval_s = max(float(times_s[1] - times_s[0]), float(times_s[0]) - integral_from_s)
    low, high = decay_constant_per_s, fastest_rate_per_s(interval_s, float(times_s[-1]), decay_constant_per_s)
    rates, at_slowest, at_fastest, converged = _best_rates(times_s, data, low, high)
    shape = np.exp(-times_s[:, None] * rates)
    squares = by_voxel(shape, shape)
    amplitudes = by_voxel(data, shape) / squares
    residual = data - amplitudes * shape
    remaining = np.exp(-integral_from_s * rates) / rates
    columns = [shape, -amplitudes * times_s[:, None] * shape]
    gradient = [remaining, -amplitudes * remaining * (integral_from_s + 1.0 / rates)]
    sensitivity = sensitivities(columns, gradient)
    held = shape / squares * remaining
    sensitivity[:, at_slowest] = held[:, at_slowest]
    return VoxelFits(
        amplitudes[None], rates[None], sensitivity, by_voxel(residual, residual), at_slowest, at_fastest, converged
    )


def by_voxel(first: Array, second: Array) -> Array:
    """Sum over the scans of products, shape (scans, voxels) to (voxels,)."""
    return np.asarray(np.einsum("nv,nv->v", first, second))


def sensitivities(columns: Sequence[Array], gradient: Sequence[Array]) -> Array:
    """How a function of least-squares parameters changes with each datum.

    With the Jacobian J = QR of the model and the gradient g of the function, this is Q R^(−T) g, voxel by voxel.

    Parameters
    ----------
    columns
        Derivatives of the model by each parameter, each of shape (scans, voxels).
    gradient
        Derivatives of the function by each parameter, each of shape (voxels,).

    Returns
    -------
    ndarray
        Shape (scans, voxels). Where a column depends on those before it, it is left out.
    """
    basis: list[Array] = []
    solved: list[Array] = []
    result = np.zeros_like(columns[0])
    for column, slope in zip(columns, gradient, strict=True):
        rest, target = column, slope
        for unit, known in zip(basis, solved, strict=True):
            overlap = by_voxel(unit, rest)
            rest = rest - unit * overlap
            target = target - overlap * known
        length = np.sqrt(by_voxel(rest, rest))
        usable = length > 1e-10 * np.sqrt(by_voxel(column, column)) + _TINY
        inverse = np.where(usable, 1.0 / np.where(usable, length, 1.0), 0.0)
        basis.append(rest * inverse)
        solved.append(target * inverse)
        result += basis[-1] * solved[-1]
    return result


def _best_rates(
    times_s: Array, data: Array, low: float, high: float
) -> tuple[Array, NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Rates of the best mono-exponentials; where they are at the lower and upper bound; where the search ended."""
    grid, shapes = _grid_of_rates(tuple(times_s.tolist()), low, high)
    best = (data.T @ shapes).argmax(axis=1)
    rates = grid[best]
    lower, upper = grid[np.maximum(best - 1, 0)], grid[np.minimum(best + 1, _MONO_GRID - 1)]
    slope, curvature = _slopes(times_s, data, rates)
    at_slowest = (best == 0) & (slope <= 0)
    at_fastest = (best == _MONO_GRID - 1) & (slope >= 0)
    settled = at_slowest | at_fastest
    alive, here, current, done = np.arange(rates.size), data, rates.copy(), settled.copy()
    for _ in range(_MOST_NEWTON_STEPS):
        rising = slope > 0
        lower, upper = np.where(rising, current, lower), np.where(rising, upper, current)
        proposed = current - slope / np.where(curvature < 0, curvature, -1.0)
        newton = (curvature < 0) & (proposed >= lower) & (proposed <= upper)
        proposed = np.where(newton, proposed, 0.5 * (lower + upper))
        proposed = np.where(done, current, proposed)
        done |= newton & (np.abs(proposed - current) <= _NEWTON_TOLERANCE * current)
        current = proposed
        going = ~done
        count = np.count_nonzero(going)
        if 2 * count < alive.size:
            rates[alive], settled[alive] = current, done
            if count == 0:
                break
            alive, here, current, done = alive[going], here[:, going], current[going], done[going]
            lower, upper = lower[going], upper[going]
        slope, curvature = _slopes(times_s, here, current)
    else:
        rates[alive], settled[alive] = current, done
    return rates, at_slowest, at_fastest | (rates >= (1.0 - _AT_BOUND) * high), settled


@lru_cache(maxsize=16)
def _grid_of_rates(times_s: tuple[float, ...], low: float, high: float) -> tuple[Array, Array]:
    """Rates from bound to bound, and their exponentials at the scans as unit vectors, shape (scans, rates)."""
    grid = np.geomspace(low, high, _MONO_GRID)
    shapes = np.exp(-np.outer(times_s, grid))
    shapes /= np.sqrt((shapes**2).sum(axis=0))
    grid.setflags(write=False)
    shapes.setflags(write=False)
    return grid, shapes


def _slopes(times_s: Array, data: Array, rates: Array) -> tuple[Array, Array]:
    """Half the derivative of ln((y·e)²/(e·e)) by the rate, e = e^(−λt), and its own derivative."""
    shape = np.exp(-times_s[:, None] * rates)
    powers = np.stack([np.ones_like(times_s), times_s, times_s**2])
    s0, s1, s2 = powers @ (data * shape)
    q0, q1, q2 = powers @ (shape * shape)
    mean_s, mean_q = s1 / s0, q1 / q0
    return mean_q - mean_s, 2.0 * (mean_q**2 - q2 / q0) + s2 / s0 - mean_s**2
