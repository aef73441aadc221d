"""One model with parameters through the points of one region: least squares, uncertainties, words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..units import SECONDS_PER_HOUR
from .curve_fit import CurveFit, FittedParameter, half_life_of_rate_s
from .fit_points import FitPoints
from .least_squares import FitModel, LeastSquaresFit, least_squares_fit
from .model_choice import doubts_about, name_without_unit, quality_in_words
from .parametric import CurveModel, ExponentialModel, NotNegativeAtStart, curve_model
from .shared_uncertainty import SharedUncertainty, shared_uncertainty

LARGEST_REDUCED_CHI_SQUARE = 4.0
"""Squared residuals per stated variance and degree of freedom beyond which stated uncertainties look too small."""

_NEGLIGIBLE = 1e-9

EVALUATIONS = 400
"""Most evaluations of a model from each start: interpolations by more phases than a curve shows have no bottom."""


def fit_parametric(points: FitPoints, name: str) -> CurveFit:
    """Fit one model with parameters.

    Parameters
    ----------
    points
        At least as many as the model has parameters.
    name
        A key of `parametric.MODEL_PARAMETERS`.
    """
    model = curve_model(name, points.decay_constant_per_s, points.times_s)
    weights = None if points.std_bq is None else 1.0 / points.std_bq
    starts = model.starts(points.times_s, points.activity_bq, weights)
    solution, values, covariance = solve_parametric(model, points, starts)
    doubts = doubts_about(_named(model, values, covariance), covariance, solution, float(points.activity_bq.max()))
    curve = model.curve(values)
    tia = curve.integral_bq_s()
    shared = shared_uncertainty(points, lambda moved: _refitted(model, moved, values))
    covariance = _with_whole(model, values, covariance, solution, shared)
    tia_std = None
    if covariance is not None:
        gradient = model.integral_gradient(values)
        tia_std = math.hypot(
            math.sqrt(max(float(gradient @ covariance @ gradient), 0.0)), *shared.tia_bq_s.values()
        )
        covariance = covariance + sum(np.outer(shift, shift) for shift in shared.parameters.values())
    parameters = _named(model, values, covariance)
    warnings = [*_fit_warnings(points, model, values, solution), *doubts]
    return CurveFit(
        points.region,
        name,
        parameters,
        covariance,
        curve,
        {},
        tia,
        tia_std,
        half_life_of_rate_s(curve.final_rate_per_s),
        tuple(warnings),
        (*quality_in_words(doubts, solution), *shared.words(tia)),
        None,
        solution,
        model,
        shared.relative_std(tia),
        solution.covariance is not None,
    )


def only_common_words(points: FitPoints) -> str:
    """What a warning of an unknown uncertainty adds where the part that all points share is known."""
    return ", but for the part that all points share" if any(part.any() for part in points.shared.values()) else ""


def solve_parametric(
    model: CurveModel, points: FitPoints, starts: list[NDArray[np.float64]]
) -> tuple[LeastSquaresFit, NDArray[np.float64], NDArray[np.float64] | None]:
    """Least squares; several free exponentials are kept from negative activities, first at administration.

    Where that is not enough, only the last phase may be uptake; where that is not enough either, none.

    Parameters
    ----------
    model, points
        What is fitted to what.
    starts
        Parameters of `model` to start from.

    Returns
    -------
    tuple
        The solution as found, then parameters and covariance of `model` with the slowest phase first.
    """
    if not isinstance(model, ExponentialModel) or model.name not in ("bi", "tri"):
        solution = _least_squares(model, points, starts)
        return solution, *model.in_order(solution.parameters, solution.covariance)
    found = _solve_bounded(NotNegativeAtStart(model), points, starts)
    if goes_negative(model, found[1], points):
        found = _solve_bounded(NotNegativeAtStart(model, others_not_negative=True), points, starts)
    if goes_negative(model, found[1], points):
        washout = replace(model, washout_only=True)
        solution = _least_squares(washout, points, starts)
        found = (solution, *model.in_order(solution.parameters, solution.covariance))
    return found


def goes_negative(model: CurveModel, parameters: NDArray[np.float64], points: FitPoints) -> bool:
    """Whether the activity falls below zero anywhere from administration to ten times the last point."""
    first, last = points.times_s[points.times_s > 0][0], points.times_s[-1]
    times = np.concatenate([[0.0], np.geomspace(first * 1e-3, 10 * last, 300)])
    return bool(np.any(model.value(times, parameters) < -_NEGLIGIBLE * float(points.activity_bq.max())))


def _solve_bounded(
    bounded: NotNegativeAtStart, points: FitPoints, starts: list[NDArray[np.float64]]
) -> tuple[LeastSquaresFit, NDArray[np.float64], NDArray[np.float64] | None]:
    solution = _least_squares(bounded, points, [bounded.from_amplitudes(start) for start in starts])
    return solution, *bounded.model.in_order(*bounded.in_amplitudes(solution.parameters, solution.covariance))


def _least_squares(model: FitModel, points: FitPoints, starts: list[NDArray[np.float64]]) -> LeastSquaresFit:
    return least_squares_fit(model, points.times_s, points.activity_bq, points.std_bq, starts, EVALUATIONS)


def _refitted(
    model: CurveModel, moved: FitPoints, values: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Integral and parameters of a model through moved points, from where it was before."""
    weights = None if moved.std_bq is None else 1.0 / moved.std_bq
    starts = [values, *model.starts(moved.times_s, moved.activity_bq, weights)]
    parameters = solve_parametric(model, moved, starts)[1]
    return model.curve(parameters).integral_bq_s(), parameters


def _with_whole(
    model: CurveModel,
    values: NDArray[np.float64],
    covariance: NDArray[np.float64] | None,
    solution: LeastSquaresFit,
    shared: SharedUncertainty,
) -> NDArray[np.float64] | None:
    """Add what moves the whole curve: the amplitudes together, rates not at all; zeros where only the rest is known."""
    if solution.singular or not (shared.of_the_whole or shared.tia_bq_s):
        return covariance
    amplitudes = np.array([name.endswith("_bq") for name in model.parameter_names]) * values
    whole = sum(share**2 for share in shared.of_the_whole.values()) * np.outer(amplitudes, amplitudes)
    return whole if covariance is None else covariance + whole


def _named(
    model: CurveModel, values: NDArray[np.float64], covariance: NDArray[np.float64] | None
) -> dict[str, FittedParameter]:
    """Parameters by name; one held at a bound has no uncertainty of its own."""
    at_bound = (values <= model.lower) | (values >= model.upper)
    parameters = {}
    for index, name in enumerate(model.parameter_names):
        unit = "Bq" if name.endswith("_bq") else "1/s" if name.endswith("_per_s") else "1"
        known = covariance is not None and covariance[index, index] > 0 and not at_bound[index]
        std = math.sqrt(covariance[index, index]) if covariance is not None and known else None
        parameters[name] = FittedParameter(float(values[index]), std, unit)
    return parameters


def _fit_warnings(
    points: FitPoints, model: CurveModel, values: NDArray[np.float64], solution: LeastSquaresFit
) -> list[str]:
    """Bounds that are active, and what is not known."""
    found = []
    for index, name in enumerate(model.parameter_names):
        plain = name_without_unit(name)
        if values[index] <= model.lower[index]:
            if name.startswith("lambda"):
                found.append(
                    f"{plain} lies at its lower bound, physical decay without clearance (half-life "
                    f"{half_life_of_rate_s(float(values[index])) / SECONDS_PER_HOUR:.4g} h); its uncertainty is not "
                    "known."
                )
            else:
                found.append(f"{plain} lies at its lower bound; the model {model.name} does not suit these points.")
        elif values[index] >= model.upper[index]:
            found.append(
                f"{plain} lies at its upper bound: that phase is over before the first point and the data do not "
                "determine it."
            )
    if solution.singular:
        found.append(
            f"The points do not determine the parameters of {model.name}: their uncertainties are not known; use a "
            "model with fewer parameters."
        )
    elif solution.covariance is None:
        found.append(
            f"As many parameters as points ({points.count}) and no stated uncertainties: the curve interpolates and "
            f"its uncertainty is not known{only_common_words(points)}."
        )
    freedom = solution.degrees_of_freedom
    if solution.weighted and freedom > 0 and solution.sum_of_squares / freedom > LARGEST_REDUCED_CHI_SQUARE:
        found.append(
            f"Residuals are larger than the stated uncertainties ({solution.sum_of_squares / freedom:.3g} times their "
            "variance): these are too small or the model does not suit."
        )
    if model.name in ("bi", "tri") and solution.at_bound[: len(values) // 2].any():
        found.append("An amplitude was held at a bound: without it the activity would be negative at some time.")
    return found
