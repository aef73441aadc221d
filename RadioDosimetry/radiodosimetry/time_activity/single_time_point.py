"""Time-integrated activity from one measurement: what each method assumes, when it holds, and how wrong it may be.

All methods suppose that activity has been taken up at once and leaves the region with one effective half-life T. The
true time-integrated activity is then A(t) exp(λt)/λ with λ = ln 2/T, and what a method makes of A(t) is in error by a
closed form of t and T. The expected errors given here are that closed form, over the T that may well be true.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..units import SECONDS_PER_HOUR
from .single_time_point_errors import (
    HANSCHEID_WINDOW,
    SHORTEST_CLEARANCE,
    TOLERATED_ERROR,
    error_below_physical,
    expected_error,
    hanscheid_error_in_window,
    mono_exponential_tia_bq_s,
    presumed_window_s,
    relative_errors,
)

POPULATION_RELATIVE_STD = 0.25
"""Spread of effective half-lives between patients taken where none is given: an assumption, said with the result."""

PRIOR_CYCLE_RELATIVE_STD = 0.10
"""Change of the effective half-life from one cycle to the next taken where none is given: an assumption, as above."""

HALF_LIFE_TOLERANCE = 0.01
"""Share by which an effective half-life may exceed the physical one, for half-lives printed with few digits."""


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
        half_lives_s = np.array([effective_half_life_s], dtype=np.float64)
        return float(relative_errors(self.time_s, self.activity_bq, self.tia_bq_s, half_lives_s)[0])


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
        bounds, rms = hanscheid_error_in_window()
        warnings = [
            f"Hänscheid's estimate holds if the effective half-life lies between {_hours(time_s / longest)} and "
            f"{_hours(time_s / shortest)}; none was given to judge that."
        ]
        if time_s > longest * physical_half_life_s:
            bounds, rms = error_below_physical(time_s, activity_bq, tia_bq_s, physical_half_life_s)
            warnings = [
                f"The scan at {_hours(time_s)} is later than {longest:g} physical half-lives "
                f"({_hours(longest * physical_half_life_s)}): Hänscheid's estimate is too low by more than 12 %."
            ]
        return _result("hanscheid", time_s, activity_bq, tia_bq_s, None, None, bounds, rms, activity_std_bq, warnings)
    spread, warnings = _spread(half_life_relative_std, POPULATION_RELATIVE_STD)
    bounds, rms = expected_error(time_s, activity_bq, tia_bq_s, guess_s, spread, physical_half_life_s)
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
        bounds, rms = error_below_physical(time_s, activity_bq, tia_bq_s, physical_half_life_s)
        shorter_s = SHORTEST_CLEARANCE * physical_half_life_s
        error = float(relative_errors(time_s, activity_bq, tia_bq_s, np.array([shorter_s]))[0])
        warnings.append(
            f"With an effective half-life of {_hours(shorter_s)} instead, the time-integrated activity would be in "
            f"error by {100 * error:+.0f} %."
        )
    else:
        spread, more = _spread(half_life_relative_std, POPULATION_RELATIVE_STD)
        bounds, rms = expected_error(time_s, activity_bq, tia_bq_s, guess_s, spread, physical_half_life_s)
        error = float(relative_errors(time_s, activity_bq, tia_bq_s, np.array([guess_s]))[0])
        warnings += [
            *more,
            f"With the given effective half-life of {_hours(guess_s)} it is in error by {100 * error:+.0f} %.",
        ]
    return _result(
        "physical", time_s, activity_bq, tia_bq_s, physical_half_life_s, None, bounds, rms, activity_std_bq, warnings
    )


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
    bounds, rms = expected_error(time_s, activity_bq, tia_bq_s, half_life_s, spread, physical_half_life_s)
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
        error = float(relative_errors(time_s, activity_bq, tia_bq_s, np.array([half_life_s]))[0])
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
