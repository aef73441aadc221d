"""Two exponentials fitted to every voxel at once: a slow one and a fast one, which may be an uptake."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .voxelwise_fit import Array, VoxelFits, by_voxel, fastest_rate_per_s, sensitivities

CLOSEST_RATIO = 1.05
"""Two rates of a bi-exponential closer than this are one rate."""

_GRID = 14
_START_VOXELS = 1024
"""Voxels whose starts are sought at once: few enough that the linear algebra library starts no threads of its own."""

_MOST_STEPS = 60
_LARGEST_LOG_STEP = 1.0
_FIRST_DAMPING = 1e-3
_LARGEST_DAMPING = 1e12
_RATE_TOLERANCE = 1e-8
"""Gauss–Newton step of the logarithm of a rate that ends the search."""

_SQUARES_TOLERANCE = 1e-9
"""Relative gain in the residual squares that ends the search: below that of `scipy.optimize.curve_fit`."""

_NEGATIVE_TOLERANCE = 1e-9
"""Share of the slow amplitude by which the curve may be negative at administration: rounding."""

_AT_BOUND = 0.01
"""Logarithm of the fastest rate over a rate that counts as at the bound: residuals are flat there."""

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True, eq=False)
class _State:
    """Best amplitudes, residuals and Gauss–Newton steps for given logarithms of the rates, by voxel."""

    logs: Array
    amplitudes: Array
    residual: Array
    squares: Array
    gradient: Array
    normal: Array

    def part(self, which: NDArray[np.bool_]) -> _State:
        return _State(*(getattr(self, name)[..., which] for name in self.__dataclass_fields__))

    def put(self, other: _State, which: NDArray[np.bool_]) -> None:
        """Take over the voxels `which` of a state of the same voxels."""
        for name in self.__dataclass_fields__:
            np.copyto(getattr(self, name), getattr(other, name), where=which)


def fit_bi(times_s: Array, data: Array, decay_constant_per_s: float, from_zero: bool = False) -> VoxelFits:
    """A₁ e^(−λ₁t) + A₂ e^(−λ₂t) fitted to each voxel by least squares, λ₁ < λ₂, from physical decay up.

    The fast rate is no faster than the shortest interval between administration and scans resolves. The fast amplitude
    may be negative: an uptake. A curve that is negative at administration is not valid; fit
    it again with `from_zero`.

    Parameters
    ----------
    times_s
        Scan times after administration [s], rising, shape (scans,), at least four (three with `from_zero`).
    data
        Activity concentrations, none negative, each voxel with a positive one; shape (scans, voxels).
    decay_constant_per_s
        Lower bound of both rates [1/s].
    from_zero
        Hold A₂ = −A₁: uptake and clearance from no activity at administration.

    Returns
    -------
    VoxelFits
        Two terms, the slow one first. Rates held at a bound are left out of the sensitivity.

    References
    ----------
    .. [1] Golub, Pereyra, SIAM J Numer Anal 10 (1973) 413-432, doi:10.1137/0710036: variable projection.
    .. [2] Kaufman, BIT 15 (1975) 49-57, doi:10.1007/BF01932995: its shorter Jacobian.
    """
    low = np.log(decay_constant_per_s)
    intervals_s = np.diff(times_s, prepend=0.0)
    shortest_s = float(intervals_s[intervals_s > 0].min())
    high = np.log(fastest_rate_per_s(shortest_s, float(times_s[-1]), decay_constant_per_s))
    start = _start(times_s, data, low, high, from_zero)
    state, settled = _descend(times_s, data, start, low, high, from_zero)
    slow, fast = state.logs
    at_slowest, at_fastest = slow <= low, fast >= high - _AT_BOUND
    amplitudes, rates = state.amplitudes, np.exp(state.logs)
    distinct = fast - slow > np.log(CLOSEST_RATIO) * (1 + 1e-9)
    positive = (amplitudes[0] > 0) & (amplitudes.sum(axis=0) >= -_NEGATIVE_TOLERANCE * amplitudes[0])
    return VoxelFits(
        amplitudes,
        rates,
        _sensitivity(times_s, amplitudes, rates, at_slowest, at_fastest, from_zero),
        state.squares,
        at_slowest,
        at_fastest,
        settled & distinct & positive & ~at_fastest,
    )


def _start(times_s: Array, data: Array, low: float, high: float, from_zero: bool) -> Array:
    """Logarithms of the pair of grid rates that explains most of each voxel, shape (2, voxels)."""
    grid = np.linspace(low, high, _GRID)
    slow, fast = np.triu_indices(_GRID, 1)
    shapes = np.exp(-times_s[:, None] * np.exp(grid))
    if from_zero:
        difference = shapes[:, slow] - shapes[:, fast]
        units = [difference / (np.sqrt((difference**2).sum(axis=0)) + _TINY)]
    else:
        first = shapes[:, slow] / np.sqrt((shapes[:, slow] ** 2).sum(axis=0))
        second = shapes[:, fast] - first * (first * shapes[:, fast]).sum(axis=0)
        units = [first, second / (np.sqrt((second**2).sum(axis=0)) + _TINY)]
    best = np.empty(data.shape[1], np.intp)
    for begin in range(0, data.shape[1], _START_VOXELS):
        part = data[:, begin : begin + _START_VOXELS].T
        best[begin : begin + _START_VOXELS] = sum((part @ unit) ** 2 for unit in units).argmax(axis=1)
    return np.stack([grid[slow[best]], grid[fast[best]]])


def _descend(
    times_s: Array, data: Array, logs: Array, low: float, high: float, from_zero: bool
) -> tuple[_State, NDArray[np.bool_]]:
    """Damped Gauss–Newton steps of all voxels, those that have arrived left out; and which have arrived."""
    result = _evaluate(times_s, data, logs, from_zero)
    settled = np.zeros(data.shape[1], bool)
    alive = np.arange(data.shape[1])
    here, state = data, result.part(np.ones(data.shape[1], bool))
    damping = np.full(alive.size, _FIRST_DAMPING)
    norm = by_voxel(here, here)
    for _ in range(_MOST_STEPS):
        step = _step(state, damping, low, high)
        proposed = _evaluate(times_s, here, _within(state.logs + step, low, high), from_zero)
        gain = state.squares - proposed.squares
        better = gain >= 0
        moved = np.abs(proposed.logs - state.logs).max(axis=0)
        state.put(proposed, better)
        small = (moved <= _RATE_TOLERANCE) | (gain <= _SQUARES_TOLERANCE * state.squares)
        done = (better & small) | (state.squares <= 1e-28 * norm) | (damping > _LARGEST_DAMPING)
        damping = np.where(better, np.maximum(0.1 * damping, 1e-15), 10.0 * damping)
        settled[alive[done]] = True
        if 3 * np.count_nonzero(done) >= done.size:
            _store(result, state, alive)
            going = ~done
            alive, here, state = alive[going], here[:, going], state.part(going)
            damping, norm = damping[going], norm[going]
            if alive.size == 0:
                return result, settled
    _store(result, state, alive)
    return result, settled


def _store(result: _State, state: _State, alive: NDArray[np.intp]) -> None:
    for name in _State.__dataclass_fields__:
        getattr(result, name)[..., alive] = getattr(state, name)


def _within(logs: Array, low: float, high: float) -> Array:
    """Logarithms of rates inside the bounds, the second at least `CLOSEST_RATIO` above the first."""
    gap = np.log(CLOSEST_RATIO)
    slow = np.clip(logs[0], low, high - gap)
    return np.stack([slow, np.clip(logs[1], slow + gap, high)])


def _step(state: _State, damping: Array, low: float, high: float) -> Array:
    """Damped Gauss–Newton step of both logarithms; a rate pressed against its bound stays there."""
    a, b, d = state.normal
    g = state.gradient
    stays_slow = (state.logs[0] <= low) & (g[0] > 0)
    stays_fast = (state.logs[1] >= high) & (g[1] < 0)
    b = np.where(stays_slow | stays_fast, 0.0, b)
    a, d = a * (1 + damping) + _TINY, d * (1 + damping) + _TINY
    determinant = np.maximum(a * d - b * b, 1e-16 * a * d + _TINY)
    slow = np.where(stays_slow, 0.0, -(d * g[0] - b * np.where(stays_fast, 0.0, g[1])) / determinant)
    fast = np.where(stays_fast, 0.0, -(a * g[1] - b * np.where(stays_slow, 0.0, g[0])) / determinant)
    return np.clip(np.stack([slow, fast]), -_LARGEST_LOG_STEP, _LARGEST_LOG_STEP)


def _evaluate(times_s: Array, data: Array, logs: Array, from_zero: bool) -> _State:
    """Amplitudes by linear least squares, residuals orthogonal to the curves, and the projected Jacobian's products."""
    rates = np.exp(logs)
    slow, fast = np.exp(-times_s[:, None] * rates[0]), np.exp(-times_s[:, None] * rates[1])
    if from_zero:
        basis = [_unit(slow - fast)]
        c = by_voxel(basis[0], data) / (by_voxel(basis[0], slow - fast) + _TINY)
        amplitudes = np.stack([c, -c])
    else:
        first = _unit(slow)
        overlap = by_voxel(first, fast)
        rest = fast - first * overlap
        second = _unit(rest)
        a_fast = by_voxel(second, data) / (by_voxel(second, rest) + _TINY)
        a_slow = (by_voxel(first, data) - overlap * a_fast) / by_voxel(first, slow)
        basis, amplitudes = [first, second], np.stack([a_slow, a_fast])
    residual = _without(basis, data)
    scaled = times_s[:, None]
    j_slow = _without(basis, (amplitudes[0] * rates[0]) * scaled * slow)
    j_fast = _without(basis, (amplitudes[1] * rates[1]) * scaled * fast)
    gradient = np.stack([by_voxel(j_slow, residual), by_voxel(j_fast, residual)])
    normal = np.stack([by_voxel(j_slow, j_slow), by_voxel(j_slow, j_fast), by_voxel(j_fast, j_fast)])
    return _State(logs, amplitudes, residual, by_voxel(residual, residual), gradient, normal)


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / (np.sqrt(by_voxel(vectors, vectors)) + _TINY))


def _without(basis: list[Array], vectors: Array) -> Array:
    """The part of the vectors that is orthogonal to the basis."""
    for unit in basis:
        vectors = vectors - unit * by_voxel(unit, vectors)
    return vectors


def _sensitivity(
    times_s: Array,
    amplitudes: Array,
    rates: Array,
    at_slowest: NDArray[np.bool_],
    at_fastest: NDArray[np.bool_],
    from_zero: bool,
) -> Array:
    """Change of A₁/λ₁ + A₂/λ₂ with each datum; what is held has neither column nor slope."""
    slow, fast = np.exp(-times_s[:, None] * rates[0]), np.exp(-times_s[:, None] * rates[1])
    free = np.stack([~at_slowest, ~at_fastest]).astype(np.float64)
    by_rate = [-amplitudes[index] * free[index] * times_s[:, None] * shape for index, shape in enumerate((slow, fast))]
    slope = [-amplitudes[index] * free[index] / rates[index] ** 2 for index in range(2)]
    if from_zero:
        columns, gradient = [slow - fast, *by_rate], [1.0 / rates[0] - 1.0 / rates[1], *slope]
    else:
        columns, gradient = [slow, fast, *by_rate], [1.0 / rates[0], 1.0 / rates[1], *slope]
    return sensitivities(columns, gradient)
