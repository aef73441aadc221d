"""How wrong a time-integrated activity from one measurement is: closed forms of scan time and true half-life.

A region that has taken up its activity at once and clears with the effective half-life T holds, after a scan at t, the
time-integrated activity A(t) exp(λt)/λ with λ = ln 2/T. What a method makes of A(t) is compared with that.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR

HANSCHEID_WINDOW = (0.75, 2.5)
"""Scan times, in effective half-lives, between which Hänscheid's estimate is within −12 and +6 % (closed form:
−11.6 % at 2.5, −10.8 % at 0.75, +6.15 % at 1/ln 2)."""

TOLERATED_ERROR = 0.10
"""Error of the time-integrated activity that bounds the window of methods that presume a half-life: inside, a true
half-life one relative standard deviation off does not err by more."""

SHORTEST_CLEARANCE = 0.5
"""Shortest effective half-life, as share of the physical one, for which `physical` says its error."""

LARGEST_EXPONENT = 700.0
"""Decays λt beyond which a back-extrapolated activity leaves the range of numbers (1e304)."""

_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


def mono_exponential_tia_bq_s(time_s: float, activity_bq: float, effective_half_life_s: float) -> float:
    """A(t) exp(λt)/λ: time-integrated activity [Bq s] of a region that clears with one effective half-life.

    Raises
    ------
    InputError
        The scan is more than about a thousand half-lives after the administration.
    """
    rate_per_s = math.log(2.0) / effective_half_life_s
    if rate_per_s * time_s > LARGEST_EXPONENT:
        raise InputError(
            f"The scan at {time_s / SECONDS_PER_HOUR:.4g} h is {time_s / effective_half_life_s:.0f} effective half-"
            f"lives of {effective_half_life_s / SECONDS_PER_HOUR:.4g} h after the administration; expected far fewer. "
            "Check the half-life and its unit."
        )
    return activity_bq * math.exp(rate_per_s * time_s) / rate_per_s


def presumed_window_s(
    effective_half_life_s: float, half_life_relative_std: float, physical_half_life_s: float
) -> tuple[float, float] | None:
    """Scan times [s] at which a presumed half-life one standard deviation off errs by at most `TOLERATED_ERROR`.

    With q = T_presumed/T_true and τ = λt the estimate is q exp(τ(1 − q)) times the truth; the window is where that
    stays within 1 ± `TOLERATED_ERROR` for the longer and for the shorter half-life. None where there is no such time.
    """
    earliest, latest = 0.0, math.inf
    for true_s in _one_std_apart_s(effective_half_life_s, half_life_relative_std, physical_half_life_s):
        q = effective_half_life_s / true_s
        if abs(q - 1.0) < 1e-9:
            continue
        ends = sorted(math.log(limit / q) / (1.0 - q) for limit in (1.0 - TOLERATED_ERROR, 1.0 + TOLERATED_ERROR))
        earliest, latest = max(earliest, ends[0]), min(latest, ends[1])
    if earliest >= latest:
        return None
    mean_life_s = effective_half_life_s / math.log(2.0)
    return earliest * mean_life_s, latest * mean_life_s


def hanscheid_error_in_window() -> tuple[tuple[float, float], float]:
    """Bounds and root mean square of r − 1, r = (2/ln 2)·u·exp(−u) with u = t·ln 2/T, u uniform in its logarithm."""
    factor = 2.0 / math.log(2.0)
    first, last = (edge * math.log(2.0) for edge in HANSCHEID_WINDOW)
    width = math.log(last / first)
    mean = factor * (math.exp(-first) - math.exp(-last)) / width
    square_from = [(2.0 * u + 1.0) / 4.0 * math.exp(-2.0 * u) for u in (first, last)]
    mean_square = factor**2 * (square_from[0] - square_from[1]) / width
    lowest = min(factor * u * math.exp(-u) for u in (first, last)) - 1.0
    return (lowest, factor * math.exp(-1.0) - 1.0), math.sqrt(mean_square - 2.0 * mean + 1.0)


def error_below_physical(
    time_s: float, activity_bq: float, tia_bq_s: float, physical_half_life_s: float
) -> tuple[tuple[float, float], float]:
    """Bounds and root mean square over half-lives from `SHORTEST_CLEARANCE` to 1 physical half-life, all alike."""
    half_lives_s = physical_half_life_s * np.linspace(SHORTEST_CLEARANCE, 1.0, 101)
    errors = relative_errors(time_s, activity_bq, tia_bq_s, half_lives_s)
    mean_square = float(np.trapezoid(errors**2, half_lives_s)) / float(half_lives_s[-1] - half_lives_s[0])
    return (float(errors.min()), float(errors.max())), math.sqrt(mean_square)


def expected_error(
    time_s: float, activity_bq: float, tia_bq_s: float, half_life_s: float, spread: float, physical_half_life_s: float
) -> tuple[tuple[float, float], float]:
    """Bounds over ± one standard deviation of the half-life, and root mean square over its log-normal distribution."""
    apart_s = _one_std_apart_s(half_life_s, spread, physical_half_life_s)
    near = relative_errors(time_s, activity_bq, tia_bq_s, np.linspace(*apart_s, 101))
    widths = math.sqrt(math.log1p(spread**2))
    half_lives_s = np.minimum(half_life_s * np.exp(widths * _HERMITE_NODES), max(physical_half_life_s, half_life_s))
    errors = relative_errors(time_s, activity_bq, tia_bq_s, half_lives_s)
    rms = math.sqrt(float(np.average(errors**2, weights=_HERMITE_WEIGHTS)))
    return (float(near.min()), float(near.max())), rms


def relative_errors(
    time_s: float, activity_bq: float, tia_bq_s: float, half_lives_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Relative error of an estimate for each true half-life; the truth is written so that it cannot overflow."""
    rates_per_s = math.log(2.0) / half_lives_s
    return np.asarray(tia_bq_s / activity_bq * rates_per_s * np.exp(-rates_per_s * time_s) - 1.0)


def _one_std_apart_s(half_life_s: float, spread: float, physical_half_life_s: float) -> tuple[float, float]:
    """The half-lives one standard deviation below and above, none longer than the physical one."""
    longest_s = max(physical_half_life_s, half_life_s)
    return half_life_s * max(1.0 - spread, 0.05), min(half_life_s * (1.0 + spread), longest_s)
