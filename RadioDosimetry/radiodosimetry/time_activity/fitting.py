"""Fit a time-activity curve by any model: one point or many, prescribed model or the data's choice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR
from .curve_fit import CurveFit, FittedParameter, half_life_of_rate_s
from .fit_points import FitPoints, checked_points
from .model_choice import (
    FEWEST_POINTS_TO_CHOOSE,
    LARGEST_DISAGREEMENT,
    akaike_weights,
    average_over_models,
    curve_criteria,
    models_determined,
    names_with_points_enough,
)
from .models import ActivityFunction, ExponentialSum
from .parametric import MODEL_PARAMETERS
from .parametric_fit import fit_parametric, only_common_words
from .shared_uncertainty import SharedUncertainty, shared_uncertainty
from .single_time_point import SingleTimePoint, hanscheid, madsen, physical
from .trapezoid import trapezoid_integral

if TYPE_CHECKING:
    from .time_activity_curve import TimeActivityCurve

SINGLE_POINT_METHODS = ("hanscheid", "madsen", "physical")
"""Methods that need one point only."""

FIT_MODELS = ("auto", *MODEL_PARAMETERS, "trapezoid", *SINGLE_POINT_METHODS)
"""All that `fit_curve` knows."""

LARGEST_EXTRAPOLATION = 0.5
"""Share of the time-integrated activity after the last point from which the tail is worth a warning."""


def fit_curve(
    curve: TimeActivityCurve,
    decay_constant_per_s: float,
    model: str = "auto",
    effective_half_life_s: float | None = None,
    tail: str | None = None,
) -> CurveFit:
    """Time-integrated activity of a region from its points.

    Parameters
    ----------
    curve
        Times after administration [s], activity present in the region [Bq] and, if known, its standard uncertainty
        [Bq]. With it the fit is weighted and the stated uncertainties are believed; without it all points count alike
        and the scatter about the fit is the uncertainty.
    decay_constant_per_s
        λ_phys of the nuclide [1/s]; no effective rate is below it.
    model
        One of `FIT_MODELS`. "auto" lets the data choose by AICc where there are at least `FEWEST_POINTS_TO_CHOOSE`
        points; below, it takes the mono-exponential, uptake-clearance where the peak is neither first nor last, and
        trapezoids with a physical tail where the activity has its peak at the last point, and says so.
    effective_half_life_s
        Effective half-life [s] of a population or an earlier cycle: needed by "madsen", tells "hanscheid" and
        "physical" their expected error, the tail of "trapezoid" and, with one point, makes "auto" take "madsen". Of no
        use to the other models, which then warn.
    tail
        Of "trapezoid": one of `trapezoid.TAILS`; by default "half-life" if one is given, else "physical" (Kim 2022).

    Returns
    -------
    CurveFit
        Parameters, curve, time-integrated activity, uncertainties, warnings; the same for the same input.

    Raises
    ------
    InputError
        The model is unknown, there are fewer points than parameters, an activity is negative or all are zero, or the
        half-life a method needs is missing or longer than the physical one.
    """
    if model not in FIT_MODELS:
        raise InputError(f"Model '{model}' is unknown; expected one of: {', '.join(FIT_MODELS)}.")
    if tail is not None and model != "trapezoid":
        raise InputError(f"A tail belongs to the model 'trapezoid', found '{model}'; leave it out.")
    points = checked_points(curve, decay_constant_per_s)
    unused: tuple[str, ...] = ()
    if points.has_zero_uncertainty:
        unused = ("A point states an uncertainty of zero, which no weight can express: all points counted alike.",)
    if effective_half_life_s is not None and (model in MODEL_PARAMETERS or (model == "auto" and points.count > 1)):
        unused += (f"The given effective half-life is not used by the model '{model}', which fits its own.",)
    if model == "auto":
        fit = _automatic(points, effective_half_life_s)
    elif model in SINGLE_POINT_METHODS:
        fit = _from_one_point(points, model, effective_half_life_s)
    elif model == "trapezoid":
        fit = _trapezoid(points, tail, effective_half_life_s)
    else:
        fit = _prescribed(points, model)
    return replace(fit, warnings=tuple(dict.fromkeys((*fit.warnings, *_tail_warnings(points, fit), *unused))))


def _automatic(points: FitPoints, effective_half_life_s: float | None) -> CurveFit:
    """The data's choice, or the prescribed model where they have none."""
    if points.count == 1:
        if effective_half_life_s is None:
            raise InputError(_one_point_words(points.region, "auto", 2))
        return _from_one_point(points, "madsen", effective_half_life_s)
    if points.peak == points.count - 1:
        return _with_physical_tail(points, f"the activity of '{points.region}' has not begun to fall")
    if points.count >= FEWEST_POINTS_TO_CHOOSE:
        return _chosen_by_data(points)
    if points.is_still_taken_up:
        return _with_physical_tail(points, f"'{points.region}' still takes up tracer, seen without physical decay")
    name, reason = "mono", "no uptake is seen"
    if points.shows_uptake:
        name, reason = "uptake-clearance", "tracer comes before it leaves, seen without physical decay"
    return _noting(
        fit_parametric(points, name),
        f"Model not selected by data: {points.count} points cannot tell models apart; "
        f"{name} was taken because {reason}.",
    )


def _with_physical_tail(points: FitPoints, reason: str) -> CurveFit:
    fit = _trapezoid(points, "physical", None)
    return _noting(fit, f"Model not selected by data: trapezoid with a physical tail, as {reason}.")


def _chosen_by_data(points: FitPoints) -> CurveFit:
    """The model of lowest AICc among those with points enough, with the average over all of them beside it."""
    fits = {name: fit_parametric(points, name) for name in names_with_points_enough(points.count, points.shows_uptake)}
    solutions = {name: fit.solution for name, fit in fits.items() if fit.solution is not None}
    criteria = curve_criteria(solutions, float(points.activity_bq.max()))
    possible = models_determined(fits, criteria)
    weights = akaike_weights({name: criteria[name] for name in possible})
    best = possible[max(weights, key=lambda name: weights[name])]
    average = average_over_models(possible, weights) if len(weights) > 1 else None
    best = replace(best, aicc_weights=weights, model_average=average)
    if len(weights) == 1:
        return _noting(best, f"Model not selected by data: {points.count} points allow no other than {best.model}.")
    if average is not None and abs(average.tia_bq_s / best.tia_bq_s - 1.0) > LARGEST_DISAGREEMENT:
        return _noting(
            best,
            f"Models disagree: their average time-integrated activity differs from that of {best.model} by "
            f"{100 * (average.tia_bq_s / best.tia_bq_s - 1.0):+.0f} %.",
        )
    return best


def _prescribed(points: FitPoints, name: str) -> CurveFit:
    """The model the user asked for."""
    needed = len(MODEL_PARAMETERS[name])
    if points.count == 1:
        raise InputError(_one_point_words(points.region, name, needed))
    if points.count < needed:
        fewer = [other for other, names in MODEL_PARAMETERS.items() if len(names) <= points.count]
        raise InputError(
            f"Region '{points.region}' has {points.count} time points, {name} has {needed} parameters; expected at "
            f"least {needed} points. Use a model with fewer parameters ({', '.join(fewer)}) or trapezoid."
        )
    fit = fit_parametric(points, name)
    if points.count < FEWEST_POINTS_TO_CHOOSE:
        return _noting(
            fit,
            f"Model not selected by data: {name} was prescribed, and {points.count} points cannot tell models apart.",
        )
    return fit


def _one_point_words(region: str, name: str, needed: int) -> str:
    return (
        f"Region '{region}' has 1 time point, the model '{name}' needs at least {needed}; use a single-time-point "
        "method: hanscheid, madsen (with an effective half-life) or physical."
    )


def _trapezoid(points: FitPoints, tail: str | None, half_life_s: float | None) -> CurveFit:
    """Straight lines and a tail."""
    chosen = tail or ("physical" if half_life_s is None else "half-life")
    result = trapezoid_integral(
        points.times_s, points.activity_bq, points.std_bq, points.decay_constant_per_s, chosen, half_life_s
    )
    rate = result.curve.tail_rate_per_s
    warnings = list(result.warnings)
    if chosen == "physical" and not points.rises_at_the_end:
        warnings.append(
            f"A physical tail was assumed after the last point at {points.last_h:.4g} h: an upper limit if the region "
            "clears."
        )
    shared = shared_uncertainty(points, lambda moved: _trapezoid_again(moved, chosen, half_life_s))
    relative_std = shared.relative_std(result.tia_bq_s)
    tia_std = result.tia_std_bq_s
    if relative_std:
        tia_std = math.hypot(tia_std or 0.0, *(part * result.tia_bq_s for part in relative_std.values()))
    if result.tia_std_bq_s is None:
        warnings.append(
            f"No uncertainties are stated for the points: that of the integral is not known{only_common_words(points)}."
        )
    rate_std = result.tail_rate_std_per_s
    moved = math.hypot(*(float(shift[0]) for shift in shared.parameters.values()))
    if moved > 0 and rate > points.decay_constant_per_s:  # one held at physical decay has no uncertainty of its own
        rate_std = math.hypot(rate_std or 0.0, moved)
    return CurveFit(
        points.region,
        "trapezoid",
        {"lambda_tail_per_s": FittedParameter(rate, rate_std, "1/s")},
        None,
        result.curve,
        {},
        result.tia_bq_s,
        tia_std,
        half_life_of_rate_s(rate),
        tuple(warnings),
        (
            "Straight lines through all points: nothing was fitted but, if asked for, the tail.",
            *shared.words(result.tia_bq_s),
        ),
        shared_relative_std=relative_std,
        own_std_known=result.tia_std_bq_s is not None,
    )


def _trapezoid_again(moved: FitPoints, tail: str, half_life_s: float | None) -> tuple[float, NDArray[np.float64]]:
    """Integral and rate of the tail through moved points."""
    result = trapezoid_integral(
        moved.times_s, moved.activity_bq, moved.std_bq, moved.decay_constant_per_s, tail, half_life_s
    )
    return result.tia_bq_s, np.array([result.curve.tail_rate_per_s])


def _from_one_point(points: FitPoints, method: str, half_life_s: float | None) -> CurveFit:
    """A single-time-point method, on the latest point inside its window, else on the last one."""
    if method == "madsen" and half_life_s is None:
        raise InputError("The method 'madsen' needs an effective half-life, found none; give one, or use hanscheid.")
    physical_half_life_s = half_life_of_rate_s(points.decay_constant_per_s)
    estimates = {
        index: _single_estimate(points, index, method, physical_half_life_s, half_life_s)
        for index in range(points.count)
        if points.activity_bq[index] > 0 and (points.times_s[index] > 0 or method != "hanscheid")
    }
    if not estimates:
        raise InputError(
            f"Region '{points.region}' has no activity after administration; {method} needs a point there."
        )
    inside = [
        index for index, one in estimates.items() if one.window_s and one.window_s[0] <= one.time_s <= one.window_s[1]
    ]
    index = (inside or list(estimates))[-1]
    used = estimates[index]
    shared = SharedUncertainty({cause: part for cause, part in _shared_at(points, index).items() if part > 0})
    warnings = list(used.warnings)
    if points.count > 1:
        warnings.append(
            f"{method} uses one point: that at {used.time_s / SECONDS_PER_HOUR:.4g} h of {points.count}; the others "
            "were ignored."
        )
    if method == "hanscheid":
        # The estimate is exact for a half-life equal to the time of the scan, which lends it a curve.
        curve: ActivityFunction = ExponentialSum(
            np.array([2.0 * used.activity_bq]), np.array([math.log(2.0) / used.time_s])
        )
        parameters: Mapping[str, FittedParameter] = {}
        warnings.append(
            "Hänscheid's estimate has no curve of its own: one with a half-life equal to the time of the scan, "
            "which has the same integral, stands for it."
        )
    else:
        rate = math.log(2.0) / float(used.effective_half_life_s or physical_half_life_s)
        amplitude = used.activity_bq * math.exp(rate * used.time_s)
        curve = ExponentialSum(np.array([amplitude]), np.array([rate]))
        parameters = {
            "a_bq": FittedParameter(amplitude, None, "Bq"),
            "lambda1_per_s": FittedParameter(rate, None, "1/s"),
        }
    low, high = used.error_bounds
    quality = (
        f"One point, an assumed shape: expected error of the time-integrated activity {100 * low:+.0f} to "
        f"{100 * high:+.0f} %.",
    )
    return CurveFit(
        points.region,
        method,
        parameters,
        None,
        curve,
        {},
        used.tia_bq_s,
        used.relative_std * used.tia_bq_s,
        used.effective_half_life_s,
        tuple(warnings),
        (*quality, *shared.words(used.tia_bq_s)),
        shared_relative_std=shared.relative_std(used.tia_bq_s),
    )


def _single_estimate(
    points: FitPoints, index: int, method: str, physical_half_life_s: float, half_life_s: float | None
) -> SingleTimePoint:
    time, activity = float(points.times_s[index]), float(points.activity_bq[index])
    own = 0.0 if points.std_bq is None else float(points.std_bq[index])
    std = math.hypot(own, *(part * activity for part in _shared_at(points, index).values()))
    if method == "madsen":
        assert half_life_s is not None
        return madsen(
            time, activity, physical_half_life_s=physical_half_life_s, effective_half_life_s=half_life_s,
            activity_std_bq=std,
        )  # fmt: skip
    function = hanscheid if method == "hanscheid" else physical
    return function(
        time, activity, physical_half_life_s=physical_half_life_s, effective_half_life_s=half_life_s,
        activity_std_bq=std,
    )  # fmt: skip


def _shared_at(points: FitPoints, index: int) -> dict[str, float]:
    """What one point has of each cause that the points share, relative: the integral is proportional to it."""
    return {cause: float(shares[index]) for cause, shares in points.shared.items()}


def _tail_warnings(points: FitPoints, fit: CurveFit) -> list[str]:
    """What is assumed after the last point."""
    found = []
    final_h = half_life_of_rate_s(fit.curve.final_rate_per_s) / SECONDS_PER_HOUR
    if fit.model in SINGLE_POINT_METHODS:
        if points.rises_at_the_end:
            found.append(
                f"The activity still rises at the last point ({points.last_h:.4g} h), where {fit.model} takes it to "
                f"have fallen all along (half-life {final_h:.4g} h): a tail cannot be told from it."
            )
        return found
    is_physical = fit.curve.final_rate_per_s <= points.decay_constant_per_s * (1.0 + 1e-6)
    if points.rises_at_the_end:
        assumed = "a physical tail" if is_physical else f"the final phase of {fit.model}"
        found.append(
            f"The activity still rises at the last point ({points.last_h:.4g} h): a tail cannot be fitted to it; "
            f"{assumed} (half-life {final_h:.4g} h) was assumed from there on."
        )
    after = fit.curve.integral_bq_s(float(points.times_s[-1]))
    if fit.tia_bq_s > 0 and after / fit.tia_bq_s > LARGEST_EXTRAPOLATION:
        found.append(
            f"{100 * after / fit.tia_bq_s:.0f} % of the time-integrated activity lies after the last point "
            f"({points.last_h:.4g} h) and rests on the tail (half-life {final_h:.4g} h)."
        )
    return found


def _noting(fit: CurveFit, *warnings: str) -> CurveFit:
    return replace(fit, warnings=(*fit.warnings, *warnings))
