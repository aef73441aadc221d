"""Time-integrated activity from one measurement: what each method assumes, when it holds, and how wrong it may be.

All methods suppose that activity has been taken up at once and leaves the region with one effective half-life T. The
true time-integrated activity is then A(t) exp(λt)/λ with λ = ln 2/T, and what a method makes of A(t) is in error by a
closed form of t and T. The expected errors given here are that closed form, over the T that may well be true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR

HANSCHEID_WINDOW = (0.75, 2.5)
"""Scan times, in effective half-lives, between which Hänscheid's estimate is within −12 and +6 % (closed form:
−11.6 % at 2.5, −10.8 % at 0.75, +6.15 % at 1/ln 2)."""

POPULATION_RELATIVE_STD = 0.25
"""Spread of effective half-lives between patients taken where none is given: an assumption, said with the result."""

PRIOR_CYCLE_RELATIVE_STD = 0.10
"""Change of the effective half-life from one cycle to the next taken where none is given: an assumption, as above."""

TOLERATED_ERROR = 0.10
"""Error of the time-integrated activity that bounds the window of methods that presume a half-life: inside, a true
half-life one relative standard deviation off does not err by more."""

HALF_LIFE_TOLERANCE = 0.01
"""Share by which an effective half-life may exceed the physical one, for half-lives printed with few digits."""

SHORTEST_CLEARANCE = 0.5
"""Shortest effective half-life, as share of the physical one, for which `physical` says its error."""

_HERMITE_NODES, _HERMITE_WEIGHTS = np.polynomial.hermite_e.hermegauss(31)


@dataclass(frozen=True)
class SingleTimePoint:
    """Time-integrated activity from one measurement.

    Attributes
    ----------
    method
        "hanscheid", "madsen", "known-half-life" or "physical".
    time_s, activity_bq
        The measurement: time after administration [s], activity present then [Bq].
    tia_bq_s
        Time-integrated activity from administration to infinity [Bq s].
    effective_half_life_s
        Effective half-life that was presumed (of `hanscheid`: that its window was judged with) [s], None if none was.
    window_s
        Scan times [s] between which the method holds, None where that is not known or there is no such time.
    error_bounds
        Lowest and highest relative error of `tia_bq_s` over the half-lives that may well be true.
    method_relative_std
        Root mean square of that error.
    relative_std
        The same joined with the relative standard uncertainty of the measured activity.
    warnings
        What the result leans on.
    """

    method: str
    time_s: float
    activity_bq: float
    tia_bq_s: float
    effective_half_life_s: float | None
    window_s: tuple[float, float] | None
    error_bounds: tuple[float, float]
    method_relative_std: float
    relative_std: float
    warnings: tuple[str, ...] = ()

    def error_if(self, effective_half_life_s: float) -> float:
        """Relative error of `tia_bq_s` if the region cleared with this effective half-life [s]."""
        true_bq_s = mono_exponential_tia_bq_s(self.time_s, self.activity_bq, effective_half_life_s)
        return self.tia_bq_s / true_bq_s - 1.0


def mono_exponential_tia_bq_s(time_s: float, activity_bq: float, effective_half_life_s: float) -> float:
    """A(t) exp(λt)/λ: time-integrated activity [Bq s] of a region that clears with one effective half-life."""
    rate_per_s = math.log(2.0) / effective_half_life_s
    return activity_bq * math.exp(rate_per_s * time_s) / rate_per_s


def hanscheid(
    time_s: float,
    activity_bq: float,
    *,
    physical_half_life_s: float,
    effective_half_life_s: float | None = None,
    half_life_relative_std: float | None = None,
    activity_std_bq: float | None = None,
) -> SingleTimePoint:
    """Hänscheid's estimate à ≈ A(t)·2t/ln 2, which needs no half-life but a scan in its window.

    Parameters
    ----------
    time_s
        Time of the measurement after administration [s].
    activity_bq
        Activity present then [Bq].
    physical_half_life_s
        Of the nuclide [s].
    effective_half_life_s
        A guess of the effective half-life [s], by which the window is judged; it does not change the estimate.
    half_life_relative_std
        How uncertain the guess is; `POPULATION_RELATIVE_STD` if None. Ignored without a guess.
    activity_std_bq
        Standard uncertainty of `activity_bq` [Bq].

    Returns
    -------
    SingleTimePoint
        Without a guess its expected error supposes a scan anywhere in the window (uniform in the logarithm of t/T).

    Raises
    ------
    InputError
        A number is not positive, or the guess is longer than the physical half-life.

    References
    ----------
    .. [1] Hänscheid et al., Dose mapping after endoradiotherapy with 177Lu-DOTATATE/DOTATOC by a single measurement
       after 4 days, J Nucl Med 59 (2018) 75-81, doi:10.2967/jnumed.117.193706.
    """
    _require_positive(time_s=time_s, activity_bq=activity_bq)
    guess_s = _checked_half_life_s(effective_half_life_s, physical_half_life_s)
    tia_bq_s = activity_bq * 2.0 * time_s / math.log(2.0)
    shortest, longest = HANSCHEID_WINDOW
    if guess_s is None:
        bounds, rms = _hanscheid_error_in_window()
        warnings = [
            f"Hänscheid's estimate holds if the effective half-life lies between {_hours(time_s / longest)} and "
            f"{_hours(time_s / shortest)}; none was given to judge that."
        ]
        if time_s > longest * physical_half_life_s:
            bounds, rms = _error_below_physical(time_s, activity_bq, tia_bq_s, physical_half_life_s)
            warnings = [
                f"The scan at {_hours(time_s)} is later than {longest:g} physical half-lives "
                f"({_hours(longest * physical_half_life_s)}): Hänscheid's estimate is too low by more than 12 %."
            ]
        return _result("hanscheid", time_s, activity_bq, tia_bq_s, None, None, bounds, rms, activity_std_bq, warnings)
    spread, warnings = _spread(half_life_relative_std, POPULATION_RELATIVE_STD)
    bounds, rms = _expected_error(time_s, activity_bq, tia_bq_s, guess_s, spread, physical_half_life_s)
    window_s = (shortest * guess_s, longest * guess_s)
    warnings += _outside(time_s, window_s, guess_s, activity_bq, tia_bq_s, "Hänscheid's estimate")
    return _result(
        "hanscheid", time_s, activity_bq, tia_bq_s, guess_s, window_s, bounds, rms, activity_std_bq, warnings
    )


def madsen(
    time_s: float,
    activity_bq: float,
    *,
    physical_half_life_s: float,
    effective_half_life_s: float,
    half_life_relative_std: float | None = None,
    activity_std_bq: float | None = None,
) -> SingleTimePoint:
    """Madsen's estimate à = A(t) exp(λt)/λ with the effective half-life of a population.

    At t = 1/λ (1.44 half-lives) the error is zero to first order in the patient's departure from the population.

    Parameters
    ----------
    time_s, activity_bq, activity_std_bq
        The measurement, as for `hanscheid`; the time may be 0.
    physical_half_life_s
        Of the nuclide [s].
    effective_half_life_s
        Mean effective half-life of the population [s].
    half_life_relative_std
        Its relative spread between patients; `POPULATION_RELATIVE_STD`, with a warning, if None.

    Raises
    ------
    InputError
        A number is not positive, or the half-life is longer than the physical one.

    References
    ----------
    .. [1] Madsen, Menda, O'Dorisio and O'Dorisio, Technical Note: Single time point dose estimate for exponential
       clearance, Med Phys 45 (2018) 2318-2324, doi:10.1002/mp.12886.
    """
    spread, warnings = _spread(half_life_relative_std, POPULATION_RELATIVE_STD)
    return _presumed(
        "madsen", time_s, activity_bq, physical_half_life_s, effective_half_life_s, spread, activity_std_bq, warnings
    )


def known_half_life(
    time_s: float,
    activity_bq: float,
    *,
    physical_half_life_s: float,
    effective_half_life_s: float,
    half_life_relative_std: float | None = None,
    activity_std_bq: float | None = None,
) -> SingleTimePoint:
    """The same closed form with the patient's own effective half-life, from an earlier cycle.

    Parameters and errors are those of `madsen`; `half_life_relative_std` is the change to be expected from cycle to
    cycle, `PRIOR_CYCLE_RELATIVE_STD`, with a warning, if None.
    """
    spread, warnings = _spread(half_life_relative_std, PRIOR_CYCLE_RELATIVE_STD)
    return _presumed(
        "known-half-life",
        time_s,
        activity_bq,
        physical_half_life_s,
        effective_half_life_s,
        spread,
        activity_std_bq,
        warnings,
    )


def physical(
    time_s: float,
    activity_bq: float,
    *,
    physical_half_life_s: float,
    effective_half_life_s: float | None = None,
    half_life_relative_std: float | None = None,
    activity_std_bq: float | None = None,
) -> SingleTimePoint:
    """Physical decay alone, before the scan and after: à = A(t) exp(λ_phys t)/λ_phys, without any clearance.

    Parameters
    ----------
    time_s, activity_bq, physical_half_life_s, activity_std_bq
        As for `madsen`.
    effective_half_life_s
        A guess of the true effective half-life [s], from which the expected error is told; it does not change the
        estimate. Without it the error is that of half-lives between `SHORTEST_CLEARANCE` and 1 physical half-life.
    half_life_relative_std
        How uncertain the guess is; `POPULATION_RELATIVE_STD` if None. Ignored without a guess.

    Raises
    ------
    InputError
        A number is not positive, or the guess is longer than the physical half-life.
    """
    _require_positive(activity_bq=activity_bq)
    _require_time(time_s)
    guess_s = _checked_half_life_s(effective_half_life_s, physical_half_life_s)
    tia_bq_s = mono_exponential_tia_bq_s(time_s, activity_bq, physical_half_life_s)
    warnings = ["Only physical decay was assumed, before the scan and after it: no uptake phase and no clearance."]
    if guess_s is None:
        bounds, rms = _error_below_physical(time_s, activity_bq, tia_bq_s, physical_half_life_s)
        shorter_s = SHORTEST_CLEARANCE * physical_half_life_s
        error = float(_errors(time_s, activity_bq, tia_bq_s, np.array([shorter_s]))[0])
        warnings.append(
            f"With an effective half-life of {_hours(shorter_s)} instead, the time-integrated activity would be in "
            f"error by {100 * error:+.0f} %."
        )
    else:
        spread, more = _spread(half_life_relative_std, POPULATION_RELATIVE_STD)
        bounds, rms = _expected_error(time_s, activity_bq, tia_bq_s, guess_s, spread, physical_half_life_s)
        error = float(_errors(time_s, activity_bq, tia_bq_s, np.array([guess_s]))[0])
        warnings += [
            *more,
            f"With the given effective half-life of {_hours(guess_s)} it is in error by {100 * error:+.0f} %.",
        ]
    return _result(
        "physical", time_s, activity_bq, tia_bq_s, physical_half_life_s, None, bounds, rms, activity_std_bq, warnings
    )


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


def _presumed(
    method: str,
    time_s: float,
    activity_bq: float,
    physical_half_life_s: float,
    effective_half_life_s: float,
    spread: float,
    activity_std_bq: float | None,
    warnings: list[str],
) -> SingleTimePoint:
    """A(t) exp(λt)/λ with a presumed half-life."""
    _require_positive(activity_bq=activity_bq)
    _require_time(time_s)
    half_life_s = _checked_half_life_s(effective_half_life_s, physical_half_life_s)
    if half_life_s is None:
        raise InputError(f"Method {method} needs an effective half-life, found none; give one, or use hanscheid.")
    tia_bq_s = mono_exponential_tia_bq_s(time_s, activity_bq, half_life_s)
    bounds, rms = _expected_error(time_s, activity_bq, tia_bq_s, half_life_s, spread, physical_half_life_s)
    window_s = presumed_window_s(half_life_s, spread, physical_half_life_s)
    if window_s is None:
        warnings.append(
            f"With an effective half-life uncertain by {100 * spread:.0f} % no scan time keeps the error below "
            f"{100 * TOLERATED_ERROR:.0f} %."
        )
    else:
        warnings += _outside(time_s, window_s, half_life_s, activity_bq, tia_bq_s, "The estimate", bounds)
    return _result(method, time_s, activity_bq, tia_bq_s, half_life_s, window_s, bounds, rms, activity_std_bq, warnings)


def _result(
    method: str,
    time_s: float,
    activity_bq: float,
    tia_bq_s: float,
    half_life_s: float | None,
    window_s: tuple[float, float] | None,
    bounds: tuple[float, float],
    method_std: float,
    activity_std_bq: float | None,
    warnings: list[str],
) -> SingleTimePoint:
    if activity_std_bq is not None and not (math.isfinite(activity_std_bq) and activity_std_bq >= 0):
        raise InputError(f"The uncertainty of the activity must not be negative, found {activity_std_bq:g} Bq.")
    relative_std = math.hypot(method_std, (activity_std_bq or 0.0) / activity_bq)
    return SingleTimePoint(
        method,
        float(time_s),
        float(activity_bq),
        tia_bq_s,
        half_life_s,
        window_s,
        bounds,
        method_std,
        relative_std,
        tuple(warnings),
    )


def _hanscheid_error_in_window() -> tuple[tuple[float, float], float]:
    """Bounds and root mean square of r − 1, r = (2/ln 2)·u·exp(−u) with u = t·ln 2/T, u uniform in its logarithm."""
    factor = 2.0 / math.log(2.0)
    first, last = (edge * math.log(2.0) for edge in HANSCHEID_WINDOW)
    width = math.log(last / first)
    mean = factor * (math.exp(-first) - math.exp(-last)) / width
    square_from = [(2.0 * u + 1.0) / 4.0 * math.exp(-2.0 * u) for u in (first, last)]
    mean_square = factor**2 * (square_from[0] - square_from[1]) / width
    lowest = min(factor * u * math.exp(-u) for u in (first, last)) - 1.0
    return (lowest, factor * math.exp(-1.0) - 1.0), math.sqrt(mean_square - 2.0 * mean + 1.0)


def _error_below_physical(
    time_s: float, activity_bq: float, tia_bq_s: float, physical_half_life_s: float
) -> tuple[tuple[float, float], float]:
    """Bounds and root mean square over half-lives from `SHORTEST_CLEARANCE` to 1 physical half-life, all alike."""
    half_lives_s = physical_half_life_s * np.linspace(SHORTEST_CLEARANCE, 1.0, 101)
    errors = _errors(time_s, activity_bq, tia_bq_s, half_lives_s)
    mean_square = float(np.trapezoid(errors**2, half_lives_s)) / float(half_lives_s[-1] - half_lives_s[0])
    return (float(errors.min()), float(errors.max())), math.sqrt(mean_square)


def _expected_error(
    time_s: float, activity_bq: float, tia_bq_s: float, half_life_s: float, spread: float, physical_half_life_s: float
) -> tuple[tuple[float, float], float]:
    """Bounds over ± one standard deviation of the half-life, and root mean square over its log-normal distribution."""
    apart_s = _one_std_apart_s(half_life_s, spread, physical_half_life_s)
    near = _errors(time_s, activity_bq, tia_bq_s, np.linspace(*apart_s, 101))
    widths = math.sqrt(math.log1p(spread**2))
    half_lives_s = np.minimum(half_life_s * np.exp(widths * _HERMITE_NODES), max(physical_half_life_s, half_life_s))
    errors = _errors(time_s, activity_bq, tia_bq_s, half_lives_s)
    rms = math.sqrt(float(np.average(errors**2, weights=_HERMITE_WEIGHTS)))
    return (float(near.min()), float(near.max())), rms


def _errors(
    time_s: float, activity_bq: float, tia_bq_s: float, half_lives_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Relative error of an estimate for each true half-life; the truth is written so that it cannot overflow."""
    rates_per_s = math.log(2.0) / half_lives_s
    return np.asarray(tia_bq_s / activity_bq * rates_per_s * np.exp(-rates_per_s * time_s) - 1.0)


def _one_std_apart_s(half_life_s: float, spread: float, physical_half_life_s: float) -> tuple[float, float]:
    """The half-lives one standard deviation below and above, none longer than the physical one."""
    longest_s = max(physical_half_life_s, half_life_s)
    return half_life_s * max(1.0 - spread, 0.05), min(half_life_s * (1.0 + spread), longest_s)


def _outside(
    time_s: float,
    window_s: tuple[float, float],
    half_life_s: float,
    activity_bq: float,
    tia_bq_s: float,
    name: str,
    bounds: tuple[float, float] | None = None,
) -> list[str]:
    if window_s[0] <= time_s <= window_s[1]:
        return []
    if bounds is None:
        error = float(_errors(time_s, activity_bq, tia_bq_s, np.array([half_life_s]))[0])
        expected = f"{100 * error:+.0f} %"
    else:
        expected = f"{100 * bounds[0]:+.0f} to {100 * bounds[1]:+.0f} %"
    return [
        f"The scan at {_hours(time_s)} lies outside the window of {_hours(window_s[0])} to {_hours(window_s[1])} for "
        f"an effective half-life of {_hours(half_life_s)}: {name} is expected to be in error by {expected}."
    ]


def _spread(given: float | None, assumed: float) -> tuple[float, list[str]]:
    """The relative spread of the half-life, and a warning where it had to be assumed."""
    if given is None:
        return assumed, [
            f"The uncertainty of the effective half-life was not given: {100 * assumed:.0f} % (1 σ) was assumed for "
            "the expected error."
        ]
    if not (math.isfinite(given) and 0 <= given < 1):
        raise InputError(f"The relative spread of the half-life must be from 0 to below 1, found {given:g}.")
    return float(given), []


def _checked_half_life_s(effective_half_life_s: float | None, physical_half_life_s: float) -> float | None:
    _require_positive(physical_half_life_s=physical_half_life_s)
    if effective_half_life_s is None:
        return None
    _require_positive(effective_half_life_s=effective_half_life_s)
    if effective_half_life_s > physical_half_life_s * (1.0 + HALF_LIFE_TOLERANCE):
        raise InputError(
            f"The effective half-life of {_hours(effective_half_life_s)} is longer than the physical one of "
            f"{_hours(physical_half_life_s)}; expected at most that, since clearance only shortens it. "
            "Check its unit and the nuclide."
        )
    return float(effective_half_life_s)


def _require_positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"A single time point needs a finite {name} above zero, found {value:g}.")


def _require_time(time_s: float) -> None:
    if not (math.isfinite(time_s) and time_s >= 0):
        raise InputError(
            f"The scan must not precede the administration, found a time of {time_s:g} s; check the times."
        )


def _hours(seconds: float) -> str:
    return f"{seconds / SECONDS_PER_HOUR:.3g} h"
