"""Straight lines between the points, from zero at administration, with a tail: integral and its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR
from .curve_fit import half_life_of_rate_s
from .least_squares import LeastSquaresFit, least_squares_fit
from .models import PiecewiseLinear
from .parametric import exponential_model

TAILS = ("physical", "mono", "half-life")
"""After the last point: physical decay, an exponential fitted to the last points, or a given half-life."""

FITTED_TAIL_POINTS = 3
"""Last points that a fitted tail takes, if there are so many."""

LARGEST_BEFORE_FIRST_POINT = 0.1
"""Share of the time-integrated activity before the first point from which the rise from zero is worth a word."""


@dataclass(frozen=True, eq=False)
class TrapezoidIntegral:
    """A polyline with its tail and the uncertainty of their integral.

    Attributes
    ----------
    curve
        The polyline and its tail.
    tia_bq_s, tia_std_bq_s
        Integral [Bq s] and its standard uncertainty, None where none is stated for the points.
    tail_rate_std_per_s
        Of a fitted tail [1/s], else None.
    warnings
        What was assumed.
    """

    curve: PiecewiseLinear
    tia_bq_s: float
    tia_std_bq_s: float | None
    tail_rate_std_per_s: float | None
    warnings: tuple[str, ...]


def trapezoid_integral(
    times_s: NDArray[np.float64],
    activity_bq: NDArray[np.float64],
    std_bq: NDArray[np.float64] | None,
    decay_constant_per_s: float,
    tail: str = "physical",
    tail_half_life_s: float | None = None,
    tail_points: int | None = None,
) -> TrapezoidIntegral:
    """Integrate straight lines through the points and a tail.

    Parameters
    ----------
    times_s, activity_bq, std_bq
        The points: times [s], activity present [Bq] and its standard uncertainty [Bq] or None, shape (n,).
    decay_constant_per_s
        λ_phys [1/s]; no tail falls more slowly.
    tail
        One of `TAILS`.
    tail_half_life_s
        Effective half-life of the tail [s]; needed by "half-life", not allowed with another tail.
    tail_points
        Last points that a "mono" tail is fitted to, at least two; up to `FITTED_TAIL_POINTS` by default.

    Raises
    ------
    InputError
        The tail is unknown, lacks its half-life, is slower than physical decay, or has too few points.

    References
    ----------
    .. [1] Kim et al., Nucl Med Mol Imaging 56 (2022), eq. 1.
    """
    rate, start_bq, solution = decay_constant_per_s, float(activity_bq[-1]), None
    warnings: list[str] = []
    if tail == "half-life":
        rate = _given_rate_per_s(tail_half_life_s, decay_constant_per_s)
    elif tail_half_life_s is not None:
        raise InputError(f"A tail's half-life belongs to the tail 'half-life', found '{tail}'; leave one out.")
    elif tail == "mono":
        solution, used = _fit_tail(times_s, activity_bq, std_bq, decay_constant_per_s, tail_points)
        amplitude, rate = (float(value) for value in solution.parameters)
        start_bq = amplitude * math.exp(-rate * float(times_s[-1]))
        warnings += _tail_words(solution, used)
    elif tail != "physical":
        raise InputError(f"Tail '{tail}' is unknown; expected one of: {', '.join(TAILS)}.")
    curve = PiecewiseLinear(times_s, activity_bq, rate, start_bq)
    tia_bq_s = curve.integral_bq_s()
    warnings += _rise_words(curve, tia_bq_s)
    std = None if std_bq is None else _integral_std_bq_s(curve, std_bq, solution)
    rate_std = None
    if solution is not None and solution.covariance is not None and not solution.at_bound[1]:
        rate_std = float(np.sqrt(solution.covariance[1, 1]))
    return TrapezoidIntegral(curve, tia_bq_s, std, rate_std, tuple(warnings))


def _given_rate_per_s(tail_half_life_s: float | None, decay_constant_per_s: float) -> float:
    if tail_half_life_s is None or not (math.isfinite(tail_half_life_s) and tail_half_life_s > 0):
        raise InputError(f"The tail 'half-life' needs an effective half-life above zero, found {tail_half_life_s}.")
    rate = math.log(2.0) / tail_half_life_s
    if rate < decay_constant_per_s * (1.0 - 1e-2):
        raise InputError(
            f"An effective half-life of {tail_half_life_s / SECONDS_PER_HOUR:.4g} h is longer than the physical one of "
            f"{half_life_of_rate_s(decay_constant_per_s) / SECONDS_PER_HOUR:.4g} h; give one that is not."
        )
    return rate


def _fit_tail(
    times_s: NDArray[np.float64],
    activity_bq: NDArray[np.float64],
    std_bq: NDArray[np.float64] | None,
    decay_constant_per_s: float,
    tail_points: int | None,
) -> tuple[LeastSquaresFit, int]:
    """Mono-exponential through the last points."""
    count = min(FITTED_TAIL_POINTS, times_s.size) if tail_points is None else tail_points
    if not 2 <= count <= times_s.size:
        raise InputError(
            f"A fitted tail needs two points or more and no more than there are, found {count} of {times_s.size}; use "
            "the tail 'physical' or measure again."
        )
    times, activity = times_s[-count:], activity_bq[-count:]
    sigma = None if std_bq is None else std_bq[-count:]
    model = exponential_model("mono", decay_constant_per_s, times)
    return least_squares_fit(model, times, activity, sigma, model.starts(times, activity)), count


def _tail_words(solution: LeastSquaresFit, used: int) -> list[str]:
    half_life_h = half_life_of_rate_s(float(solution.parameters[1])) / SECONDS_PER_HOUR
    if solution.at_bound[1]:
        return [
            f"The last {used} points fall no faster than physical decay: a physical tail (half-life "
            f"{half_life_h:.4g} h) was assumed."
        ]
    return [f"The tail was fitted to the last {used} points: effective half-life {half_life_h:.4g} h."]


def _rise_words(curve: PiecewiseLinear, tia_bq_s: float) -> list[str]:
    first_s = float(curve.times_s[0])
    share = 0.0 if tia_bq_s <= 0 else curve.integral_bq_s(0.0, first_s) / tia_bq_s
    if curve.times_s[0] == 0 or share < LARGEST_BEFORE_FIRST_POINT:
        return []
    return [
        f"Trapezoids rise from zero at administration: {100 * share:.0f} % of the time-integrated activity lies "
        f"before the first point at {first_s / SECONDS_PER_HOUR:.4g} h."
    ]


def _integral_std_bq_s(curve: PiecewiseLinear, std_bq: NDArray[np.float64], solution: LeastSquaresFit | None) -> float:
    """Each point's uncertainty through lines and tail; of a fitted tail through its fit."""
    times = curve.times_s
    before = np.diff(np.concatenate([[0.0], times]))
    after = np.concatenate([np.diff(times), [0.0]])
    weight = (before + after) / 2.0
    if solution is None:
        weight[-1] += 1.0 / curve.tail_rate_per_s
        return float(np.sqrt(np.sum((weight * std_bq) ** 2)))
    count = solution.residuals.size
    tail_times, sigma = times[-count:], std_bq[-count:]
    amplitude, rate = solution.parameters
    left = math.exp(-rate * float(times[-1]))
    gradient = np.array([left / rate, -amplitude * left * (float(times[-1]) / rate + 1.0 / rate**2)])
    decayed = np.exp(-rate * tail_times)
    jacobian = np.column_stack([decayed, -amplitude * tail_times * decayed])
    free = ~solution.at_bound
    # A change of a point changes the fitted parameters by (JᵀWJ)⁻¹JᵀW.
    response = np.linalg.pinv(jacobian[:, free] / sigma[:, None]) / sigma
    weight[-count:] += gradient[free] @ response
    return float(np.sqrt(np.sum((weight * std_bq) ** 2)))
