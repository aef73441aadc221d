"""What the best possible forecast from one early scan knows: the generator's own conditional distribution.

The logarithms of a region's early value, clearance half-time and uptake half-time are jointly normal (`tracers.py`), so
that given the early value the other two are normal again, with mean and spread in closed form:

    (clearance | early) ~ N(ρ·e, 1 − ρ²) in standard deviations, with e = (ln early − mean)/σ; uptake is independent.

Later activity is early activity times a known function of these two; its mean, spread and quantiles follow by summing
over a grid of both, exact to the rounding shown in `Testing`. No network that sees one early scan can have a smaller
mean squared error on patients of this generator; one that sees the anatomy as well knows nothing more, since draws do
not depend on it but through the volume, which the early activity already holds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..nuclides import Radionuclide
from .kinetics import CLEARANCE_OVER_UPTAKE, alike, plateau_shape, rate_per_s
from .patient import REMAINDER, Anatomy
from .tracers import RegionKinetics, RemainderKinetics, Tracer, tracer_named

COVERAGE = 0.6827
"""Share of patients within the interval: one standard deviation of a normal distribution to each side."""

_CLEARANCE_NODES, _UPTAKE_NODES = 241, 25
_REACH = 6.0
_EQUAL_TIMES_S = 1e-6

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Forecast:
    """Activity of a region at later times as far as it can be known.

    Attributes
    ----------
    times_s
        Times after the administration [s], shape (n,).
    mean_bq, std_bq
        Conditional mean, and standard deviation around it [Bq], shape (n,).
    median_bq, lower_bq, upper_bq
        Median and bounds of the interval that holds `COVERAGE` of the patients [Bq], shape (n,).
    """

    times_s: Array
    mean_bq: Array
    std_bq: Array
    median_bq: Array
    lower_bq: Array
    upper_bq: Array


@dataclass(frozen=True, eq=False)
class _Grid:
    """Pairs of rates with the probability of each."""

    clearance_per_s: Array
    uptake_per_s: Array
    weights: Array


def conditional_clearance(kinetics: RegionKinetics, volume_ml: float, early_fraction: float) -> tuple[float, float]:
    """Mean and standard deviation of ln(clearance half-time / h) given the early value: the closed form.

    Parameters
    ----------
    kinetics
        Of the region.
    volume_ml
        Of the region [mL].
    early_fraction
        Part of the administered activity in it at the tracer's early time, without decay.

    Raises
    ------
    InputError
        The fraction is not above zero, or the region never clears.
    """
    if math.isinf(kinetics.clearance_half_time_h):
        raise InputError("A region that nothing leaves has no clearance half-time to forecast.")
    deviation = _early_deviation(kinetics, volume_ml, early_fraction)
    mean = math.log(kinetics.clearance_half_time_h) + kinetics.clearance_log_spread * kinetics.correlation * deviation
    return mean, kinetics.clearance_log_spread * math.sqrt(1 - kinetics.correlation**2)


def region_forecast(
    tracer: Tracer | str,
    kinetics: RegionKinetics,
    volume_ml: float,
    administered_bq: float,
    early_bq: float,
    early_time_s: float,
    times_s: Sequence[float],
) -> Forecast:
    """Later activity of one region given its activity in one scan.

    Parameters
    ----------
    tracer
        Of which the region's kinetics are.
    kinetics, volume_ml
        Of the region; volume in mL.
    administered_bq
        Activity given [Bq].
    early_bq, early_time_s
        Activity present in the region [Bq] at the time of the scan [s], free of noise. The tracer's own early time is
        where the closed form holds; at other times the same distribution follows by Bayes' rule on the grid.
    times_s
        Later (or any) times after the administration [s].

    Raises
    ------
    InputError
        An activity or time cannot be used.
    """
    chosen = tracer_named(tracer) if isinstance(tracer, str) else tracer
    times = _times(times_s)
    if not (math.isfinite(early_bq) and early_bq >= 0 and early_time_s > 0):
        raise InputError(
            f"The early scan needs an activity from 0 Bq and a time above 0 s, found {early_bq} and {early_time_s}."
        )
    if early_bq == 0 or kinetics.early_per_ml == 0:
        zero = np.zeros_like(times)
        return Forecast(times, zero, zero, zero, zero, zero)
    decay = Radionuclide(chosen.nuclide).decay_constant_per_s
    fraction = early_bq / administered_bq * math.exp(decay * early_time_s)
    grid = _posterior(chosen, kinetics, volume_ml, fraction, early_time_s)
    start = plateau_shape(early_time_s, grid.clearance_per_s, grid.uptake_per_s)
    values = np.stack([plateau_shape(t, grid.clearance_per_s, grid.uptake_per_s) / start for t in times])
    return _forecast(times, values, grid.weights, administered_bq * fraction * np.exp(-decay * times))


def oracle_forecast(
    tracer: Tracer | str,
    anatomy: Anatomy,
    administered_bq: float,
    early_bq: Mapping[str, float],
    early_time_s: float,
    times_s: Sequence[float],
) -> dict[str, Forecast]:
    """Later activity of every region of a patient given the activities of one early scan.

    Parameters
    ----------
    tracer, anatomy, administered_bq
        As for `draw_kinetics`.
    early_bq
        Activity present in each region with kinetics of its own [Bq].
    early_time_s, times_s
        Time of the scan and times asked for [s].

    Returns
    -------
    dict
        By region of the anatomy. What shares the kinetics of the remainder is forecast from the regions' early values
        and the population's clearance; its own early value is not used: it tells of the slow clearance only through
        differences far below any scanner's noise.

    Raises
    ------
    InputError
        A region's early activity is missing.
    """
    chosen = tracer_named(tracer) if isinstance(tracer, str) else tracer
    times, volumes_ml = _times(times_s), anatomy.volumes_ml
    own = _own_kinetics(chosen, anatomy)
    missing = [name for name in own if name not in early_bq]
    if missing:
        raise InputError(f"The early scan lacks the regions {', '.join(missing)}; measure them too.")
    decay = Radionuclide(chosen.nuclide).decay_constant_per_s
    result: dict[str, Forecast] = {}
    parts: dict[str, list[tuple[float, _Grid]]] = {}
    for name, kinetics in own.items():
        result[name] = region_forecast(
            chosen, kinetics, volumes_ml[name], administered_bq, early_bq[name], early_time_s, times_s
        )
        fraction = early_bq[name] / administered_bq * math.exp(decay * early_time_s)
        if fraction > 0:
            grid = _posterior(chosen, kinetics, volumes_ml[name], fraction, early_time_s)
            start = plateau_shape(early_time_s, grid.clearance_per_s, grid.uptake_per_s)
            parts.setdefault(alike(name), []).append((0.0, _with_plateau(grid, fraction / start)))
    rest = _remainder_forecast(chosen, parts, times, administered_bq, decay)
    return _share_remainder(result, rest, anatomy, own)


def population_forecast(
    tracer: Tracer | str, anatomy: Anatomy, administered_bq: float, times_s: Sequence[float]
) -> dict[str, Forecast]:
    """Activity of every region of a patient without any scan: the population's mean and spread for its volumes.

    Median and interval are those of a log-normal distribution with the logarithm's true mean and spread.
    """
    chosen = tracer_named(tracer) if isinstance(tracer, str) else tracer
    times, volumes_ml = _times(times_s), anatomy.volumes_ml
    decay = Radionuclide(chosen.nuclide).decay_constant_per_s
    own = _own_kinetics(chosen, anatomy)
    result: dict[str, Forecast] = {}
    parts: dict[str, list[tuple[float, _Grid]]] = {}
    for name, kinetics in own.items():
        if kinetics.early_per_ml == 0:
            continue
        result[name], grid = _prior_forecast(chosen, kinetics, volumes_ml[name], administered_bq, times, decay)
        parts.setdefault(alike(name), []).append((kinetics.early_log_spread, grid))
    rest = _remainder_forecast(chosen, parts, times, administered_bq, decay)
    return _share_remainder(result, rest, anatomy, own)


# -- distributions of the rates ---------------------------------------------------------------------------------------


def _own_kinetics(tracer: Tracer, anatomy: Anatomy) -> dict[str, RegionKinetics]:
    if tracer.lodged:
        raise InputError(f"{tracer.name} stays where it is: later activity is early activity times physical decay.")
    found = {
        name: tracer.kinetics_of(name, anatomy.lesion_site(name)) for name in anatomy.volumes_ml if name != REMAINDER
    }
    return {name: kinetics for name, kinetics in found.items() if kinetics is not None}


def _early_deviation(kinetics: RegionKinetics, volume_ml: float, early_fraction: float) -> float:
    if not early_fraction > 0:
        raise InputError(f"The early fraction must be above zero, found {early_fraction}.")
    if kinetics.early_log_spread == 0:
        return 0.0
    return (math.log(early_fraction) - math.log(volume_ml * kinetics.early_per_ml)) / kinetics.early_log_spread


def _standard_nodes(used: bool, count: int) -> tuple[Array, Array]:
    """Standard normal deviations and their probabilities; one node where there is no spread."""
    if not used:
        return np.zeros(1), np.ones(1)
    nodes = np.linspace(-_REACH, _REACH, count)
    weights = np.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum()


def _uptake_varies(kinetics: RegionKinetics) -> bool:
    return kinetics.uptake_log_spread > 0 and kinetics.uptake_half_time_h > 0


def _rates(kinetics: RegionKinetics, clearance_deviation: Array, uptake_deviation: Array) -> tuple[Array, Array]:
    """Clearance and uptake rates [1/s] of deviations in standard deviations."""
    clearance = rate_per_s(kinetics.clearance_half_time_h, 0.0) * np.exp(
        -kinetics.clearance_log_spread * clearance_deviation
    )
    uptake = rate_per_s(kinetics.uptake_half_time_h, 0.0) * np.exp(-kinetics.uptake_log_spread * uptake_deviation)
    return np.minimum(clearance, CLEARANCE_OVER_UPTAKE * uptake), uptake


def _posterior(
    tracer: Tracer, kinetics: RegionKinetics, volume_ml: float, fraction: float, early_time_s: float
) -> _Grid:
    """Rates given the early value: in closed form at the tracer's early time, else by Bayes' rule on a grid."""
    rho = kinetics.correlation
    second, second_weight = _standard_nodes(kinetics.clearance_log_spread > 0, _CLEARANCE_NODES)
    third, third_weight = _standard_nodes(_uptake_varies(kinetics), _UPTAKE_NODES)
    weights = second_weight[:, None] * third_weight[None, :]
    if abs(early_time_s - tracer.early_time_s) <= _EQUAL_TIMES_S:
        deviation = _early_deviation(kinetics, volume_ml, fraction)
        joint = rho * deviation + math.sqrt(1 - rho**2) * second
        clearance, uptake = _rates(kinetics, joint[:, None], third[None, :])
        clearance, uptake = np.broadcast_arrays(clearance, uptake)
        return _Grid(clearance.ravel(), uptake.ravel(), weights.ravel())
    clearance, uptake = _rates(kinetics, second[:, None], third[None, :])
    clearance, uptake = np.broadcast_arrays(clearance, uptake)
    if kinetics.early_log_spread > 0:
        at_early = plateau_shape(tracer.early_time_s, clearance, uptake)
        at_scan = plateau_shape(early_time_s, clearance, uptake)
        median = math.log(volume_ml * kinetics.early_per_ml)
        deviation_of = (math.log(fraction) + np.log(at_early / at_scan) - median) / kinetics.early_log_spread
        log_likelihood = -((deviation_of - rho * second[:, None]) ** 2) / (2 * (1 - rho**2))
        weights = weights * np.exp(log_likelihood - log_likelihood.max())
    return _Grid(clearance.ravel(), uptake.ravel(), (weights / weights.sum()).ravel())


@dataclass(frozen=True, eq=False)
class _PlateauGrid(_Grid):
    """Rates with the plateau fraction that belongs to each pair, and the square of its mean's spread."""

    plateau: Array
    plateau_square: Array


def _with_plateau(grid: _Grid, plateau: Array, plateau_square: Array | None = None) -> _PlateauGrid:
    square = plateau**2 if plateau_square is None else plateau_square
    return _PlateauGrid(grid.clearance_per_s, grid.uptake_per_s, grid.weights, plateau, square)


def _forecast(times: Array, values: Array, weights: Array, scale: Array) -> Forecast:
    """Moments and quantiles of values (n, nodes) with probabilities, times a scale (n,)."""
    mean = values @ weights
    std = np.sqrt(np.maximum((values - mean[:, None]) ** 2 @ weights, 0.0))
    low, middle, high = (np.array([_quantile(row, weights, p) for row in values]) for p in _probabilities())
    return Forecast(times, scale * mean, scale * std, scale * middle, scale * low, scale * high)


def _probabilities() -> tuple[float, float, float]:
    return (1 - COVERAGE) / 2, 0.5, (1 + COVERAGE) / 2


def _quantile(values: Array, weights: Array, probability: float) -> float:
    """Value below which the probability lies, by straight lines between the middles of the nodes' steps."""
    order = np.argsort(values)
    cumulative = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(probability, cumulative, values[order]))


def _prior_forecast(
    tracer: Tracer, kinetics: RegionKinetics, volume_ml: float, administered_bq: float, times: Array, decay: float
) -> tuple[Forecast, _PlateauGrid]:
    """Forecast of a region without a scan, and the grid behind it."""
    rho, spread = kinetics.correlation, kinetics.early_log_spread
    second, second_weight = _standard_nodes(kinetics.clearance_log_spread > 0, _CLEARANCE_NODES)
    third, third_weight = _standard_nodes(_uptake_varies(kinetics), _UPTAKE_NODES)
    clearance, uptake = np.broadcast_arrays(*_rates(kinetics, second[:, None], third[None, :]))
    weights = (second_weight[:, None] * third_weight[None, :]).ravel()
    grid = _Grid(clearance.ravel(), uptake.ravel(), weights)
    # The early value given the clearance is log-normal: its moments in closed form.
    log_mean = math.log(volume_ml * kinetics.early_per_ml) + spread * rho * np.repeat(second, third.size)
    own = spread**2 * (1 - rho**2)
    first_moment, second_moment = np.exp(log_mean + own / 2), np.exp(2 * log_mean + 2 * own)
    start = plateau_shape(tracer.early_time_s, grid.clearance_per_s, grid.uptake_per_s)
    ratios = np.stack([plateau_shape(t, grid.clearance_per_s, grid.uptake_per_s) / start for t in times])
    mean, square = ratios @ (weights * first_moment), ratios**2 @ (weights * second_moment)
    with np.errstate(divide="ignore"):
        logs = np.log(ratios) + log_mean
    finite = np.isfinite(logs).all(axis=1)
    centre = np.where(finite, np.where(finite[:, None], logs, 0.0) @ weights, -np.inf)
    about = np.where(finite[:, None], logs - np.where(finite, centre, 0.0)[:, None], 0.0)
    deviation = np.sqrt(about**2 @ weights + own)
    scale = administered_bq * np.exp(-decay * times)
    std = np.sqrt(np.maximum(square - mean**2, 0.0))
    low, middle, high = (np.exp(centre + sign * deviation) for sign in (-1, 0, 1))
    forecast = Forecast(times, scale * mean, scale * std, scale * middle, scale * low, scale * high)
    return forecast, _with_plateau(grid, first_moment / start, second_moment / start**2)


# -- the remainder ----------------------------------------------------------------------------------------------------


def _remainder_forecast(
    tracer: Tracer,
    parts: Mapping[str, list[tuple[float, _Grid]]],
    times: Array,
    administered_bq: float,
    decay: float,
) -> Forecast:
    """What is on its way to regions plus what no region takes up, of the whole body.

    T = Σ a_r + h·(1 − Σ u_r), with u_r the plateaus, a_r = u_r·exp(−k_u t) and h the retention of the rest,
    independent of both: its variance is Σ (Var a − 2 E[h] Cov(a, u) + E[h²] Var u) + Var(h)·(1 − Σ E[u])². Regions that
    are drawn alike add their deviations, all others their variances.
    """
    mean_h, square_h = _retention(tracer.remainder, times)
    arriving, plateau = np.zeros_like(times), 0.0
    variance = np.zeros_like(times)
    for group in parts.values():
        deviation = np.zeros_like(times)
        for _, grid in group:
            assert isinstance(grid, _PlateauGrid)
            moving = _still_arriving(grid, times)
            u_mean, u_square = float(grid.weights @ grid.plateau), float(grid.weights @ grid.plateau_square)
            a_mean, a_square = moving @ (grid.weights * grid.plateau), moving**2 @ (grid.weights * grid.plateau_square)
            both = moving @ (grid.weights * grid.plateau_square)
            own = a_square - a_mean**2 - 2 * mean_h * (both - a_mean * u_mean) + square_h * (u_square - u_mean**2)
            deviation += np.sqrt(np.maximum(own, 0.0))
            arriving, plateau = arriving + a_mean, plateau + u_mean
        variance += deviation**2
    left = max(1 - plateau, 0.0)
    mean = arriving + mean_h * left
    std = np.sqrt(variance + np.maximum(square_h - mean_h**2, 0.0) * left**2)
    scale = administered_bq * np.exp(-decay * times)
    log_spread = np.sqrt(np.log1p((std / np.maximum(mean, 1e-300)) ** 2))
    middle = mean * np.exp(-(log_spread**2) / 2)
    return Forecast(
        times,
        scale * mean,
        scale * std,
        scale * middle,
        scale * middle * np.exp(-log_spread),
        scale * middle * np.exp(log_spread),
    )


def _still_arriving(grid: _Grid, times: Array) -> Array:
    """exp(−k_u t) of each node, shape (n, nodes); 0 for what arrives at once."""
    rate = np.where(np.isinf(grid.uptake_per_s), 0.0, grid.uptake_per_s)
    return np.where(np.isinf(grid.uptake_per_s), 0.0, np.exp(-times[:, None] * rate))


def _retention(remainder: RemainderKinetics, times: Array) -> tuple[Array, Array]:
    """Mean and mean square of the part of the rest that is retained, over the population, without decay."""
    nodes, weights = _standard_nodes(remainder.slow_log_spread > 0, _CLEARANCE_NODES)
    slow = rate_per_s(remainder.slow_half_time_h, 0.0) * np.exp(-remainder.slow_log_spread * nodes)
    fast = np.exp(-rate_per_s(remainder.fast_half_time_h, 0.0) * times)
    values = remainder.fast_fraction * fast[:, None] + (1 - remainder.fast_fraction) * np.exp(-times[:, None] * slow)
    return values @ weights, values**2 @ weights


def _share_remainder(
    result: dict[str, Forecast], rest: Forecast, anatomy: Anatomy, own: Mapping[str, RegionKinetics]
) -> dict[str, Forecast]:
    """Forecasts of all regions in the order of the anatomy; those without kinetics share the remainder by volume."""
    volumes_ml = anatomy.volumes_ml
    shared = [name for name in volumes_ml if name not in own]
    seen_ml = sum(volumes_ml[name] for name in shared)
    whole_ml = max(anatomy.body_mass_kg * 1e3 - sum(volumes_ml[name] for name in own), seen_ml)
    everything = dict(result)
    for name in shared:
        share = volumes_ml[name] / whole_ml
        everything[name] = Forecast(
            rest.times_s,
            *(share * part for part in (rest.mean_bq, rest.std_bq, rest.median_bq, rest.lower_bq, rest.upper_bq)),
        )
    return {name: everything[name] for name in volumes_ml if name in everything}


def _times(times_s: Sequence[float]) -> Array:
    times = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    if times.ndim != 1 or not times.size or not np.all(np.isfinite(times)) or times.min() < 0:
        raise InputError(f"Times must be finite numbers of seconds from 0, found {times.tolist()}.")
    return times
