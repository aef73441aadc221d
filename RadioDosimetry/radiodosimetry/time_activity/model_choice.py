"""Which model the data support: Akaike weights where there are points enough, and words on the quality of a fit.

With three points, or between models at four, data cannot choose; the prescribed model is used, which the result says.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

from .curve_fit import CurveFit, FittedParameter, ModelAverage
from .least_squares import LeastSquaresFit
from .parametric import MODEL_PARAMETERS

POINTS_BEYOND_PARAMETERS = 2
"""A model takes part in the choice only with this many more points than parameters: below, AICc has no value."""

FEWEST_POINTS_TO_CHOOSE = 5
"""At four points the mono-exponential alone has two points beyond its parameters: there is nothing to choose from."""

AUTOMATIC_MODELS = ("mono", "uptake-clearance", "bi", "tri")
"""Models that `auto` chooses between."""

LARGEST_COEFFICIENT_OF_VARIATION = 0.5
LARGEST_CORRELATION = 0.8
RUNS_PROBABILITY = 0.05
"""Parameters known to worse than 50 %, correlated by 0.8 or more, or residuals whose signs run together as in less than
5 % of random orders, are said in words (the first two as in NUKFIT, Kletting et al. 2013)."""

NO_SUPPORT = 10.0
"""Difference of AICc from the best beyond which a model has essentially no support (Burnham and Anderson 2002, 2.6)."""

FINEST_MEASUREMENT = 1e-6
"""Residuals below this share of the largest activity count as this: no measurement is finer, and the logarithm of the
rounding error of a perfect fit chooses nothing."""

LARGEST_DISAGREEMENT = 0.1
"""Relative difference between chosen model and model average that is worth a warning."""


def aicc(sum_of_squares: float, point_count: int, parameter_count: int, weighted: bool) -> float:
    """Akaike's information criterion corrected for few points.

    Parameters
    ----------
    sum_of_squares
        Of the residuals, in units of the stated variances if `weighted`.
    point_count, parameter_count
        n and k.
    weighted
        Whether uncertainties were stated. The likelihood then gives χ², else n·ln(sum/n), up to a constant that is
        the same for all models.

    Returns
    -------
    float
        −2 ln L + 2k + 2k(k+1)/(n−k−1); infinite where n < k + 2.

    References
    ----------
    .. [1] Burnham and Anderson, Model selection and multimodel inference, 2nd ed., Springer 2002, section 2.4.
    .. [2] Kletting et al., Molecular radiotherapy: the NUKFIT software for calculating the time-integrated activity
       coefficient, Med Phys 40 (2013) 102504 (k counts the fitted parameters; the models' weights).
    """
    n, k = point_count, parameter_count
    if n < k + POINTS_BEYOND_PARAMETERS:
        return math.inf
    misfit = sum_of_squares if weighted else n * math.log(sum_of_squares / n)
    return misfit + 2 * k + 2 * k * (k + 1) / (n - k - 1)


def akaike_weights(criteria: Mapping[str, float]) -> dict[str, float]:
    """Relative support of each model, exp(−Δ/2) normalised to a sum of one; models with infinite criteria are left out.

    Parameters
    ----------
    criteria
        Model to its AICc.
    """
    finite = {name: value for name, value in criteria.items() if math.isfinite(value)}
    if not finite:
        return {}
    best = min(finite.values())
    likelihood = {name: math.exp(-0.5 * (value - best)) for name, value in finite.items()}
    total = sum(likelihood.values())
    return {name: value / total for name, value in likelihood.items()}


def curve_criteria(fits: Mapping[str, LeastSquaresFit], largest_activity_bq: float) -> dict[str, float]:
    """AICc of each model's least-squares fit to the same points.

    Parameters
    ----------
    fits
        Model to its fit.
    largest_activity_bq
        Largest activity of the curve [Bq], which sets how small an unweighted residual can mean anything.
    """
    criteria = {}
    for name, fit in fits.items():
        n = fit.residuals.size
        least = 0.0 if fit.weighted else n * (FINEST_MEASUREMENT * largest_activity_bq) ** 2
        criteria[name] = aicc(max(fit.sum_of_squares, least), n, fit.parameters.size, fit.weighted)
    return criteria


def average_over_models(fits: Mapping[str, CurveFit], weights: Mapping[str, float]) -> ModelAverage:
    """Time-integrated activity over all models, each by its Akaike weight.

    The variance of each model has its squared distance from the average added.

    References
    ----------
    .. [1] Burnham and Anderson, Model selection and multimodel inference, 2nd ed., Springer 2002, eq. 4.9.
    """
    tia = {name: fits[name].tia_bq_s for name in weights}
    mean = sum(weights[name] * tia[name] for name in weights)
    # Within its parts whatever rounding does.
    mean = min(max(mean, min(tia.values())), max(tia.values()))
    std: float | None = 0.0
    for name, weight in weights.items():
        own = fits[name].tia_std_bq_s
        if own is None or std is None:
            std = None
        else:
            std += weight * math.hypot(own, tia[name] - mean)
    return ModelAverage(mean, std, tia)


def names_with_points_enough(point_count: int, uptake_seen: bool = False) -> tuple[str, ...]:
    """Models of `auto` with at least two points more than parameters; where uptake is seen, those that can rise."""
    return tuple(
        name
        for name in AUTOMATIC_MODELS
        if point_count >= len(MODEL_PARAMETERS[name]) + POINTS_BEYOND_PARAMETERS
        and not (uptake_seen and name == "mono")
    )


def models_determined(fits: Mapping[str, CurveFit], criteria: Mapping[str, float]) -> dict[str, CurveFit]:
    """The models among which the data may choose: those whose integral they determine.

    A model with so much freedom that its integral is known to worse than `LARGEST_COEFFICIENT_OF_VARIATION` (such as a
    spike before the first point) is set aside, unless the others have no support beside it.

    Parameters
    ----------
    fits
        Model to its fit.
    criteria
        Model to its AICc.
    """
    determined = {
        name: fit
        for name, fit in fits.items()
        if fit.tia_std_bq_s is not None and fit.tia_std_bq_s < LARGEST_COEFFICIENT_OF_VARIATION * abs(fit.tia_bq_s)
    }
    if not determined:
        return dict(fits)
    best = min(fits, key=lambda name: criteria[name])
    if min(criteria[name] for name in determined) - criteria[best] > NO_SUPPORT:
        return {**determined, best: fits[best]}
    return determined


def doubts_about(
    parameters: Mapping[str, FittedParameter],
    covariance: NDArray[np.float64] | None,
    solution: LeastSquaresFit,
    largest_activity_bq: float,
) -> tuple[str, ...]:
    """What the goodness gate finds wrong, in words; empty if nothing.

    Parameters
    ----------
    parameters, covariance
        Of the fit, in the same order.
    solution
        Residuals in the order of time.
    largest_activity_bq
        Largest activity of the curve [Bq]; residuals below `FINEST_MEASUREMENT` of it are rounding errors.
    """
    found, poor = [], []
    for name, parameter in parameters.items():
        if parameter.std is not None and parameter.value != 0:
            variation = abs(parameter.std / parameter.value)
            if variation >= LARGEST_COEFFICIENT_OF_VARIATION:
                poor.append(f"{name_without_unit(name)} to {_percent(variation)}")
    if poor:
        found.append(
            f"Parameters are poorly known: {', '.join(poor)} (coefficient of variation; expected below "
            f"{100 * LARGEST_COEFFICIENT_OF_VARIATION:.0f} %)."
        )
    found += _strong_correlations(list(parameters), covariance)
    signs = residual_signs(solution.residuals)
    real = np.max(np.abs(solution.residuals)) > FINEST_MEASUREMENT * largest_activity_bq
    if real and solution.degrees_of_freedom > 0 and probability_of_so_few_runs(signs) < RUNS_PROBABILITY:
        found.append(f"The residuals' signs {signs} run together: the model has another shape than the data.")
    return tuple(found)


def quality_in_words(doubts: Sequence[str], solution: LeastSquaresFit) -> tuple[str, ...]:
    """One sentence on the residuals, then the doubts, or that there are none."""
    n, freedom = solution.residuals.size, solution.degrees_of_freedom
    if freedom == 0:
        return (f"Interpolation: {n} points, as many parameters; the residuals say nothing.", *doubts)
    if solution.weighted:
        first = (
            f"Residuals {residual_signs(solution.residuals)}; their squares are "
            f"{solution.sum_of_squares / freedom:.3g} times the stated variances per degree of freedom ({freedom})."
        )
    else:
        first = (
            f"Residuals {residual_signs(solution.residuals)} with a standard deviation of "
            f"{(solution.residual_std or 0.0) * 1e-6:.3g} MBq on {freedom} degrees of freedom."
        )
    if not doubts and solution.covariance is not None:
        return (first, "Parameters, correlations and residual runs pass the goodness gate.")
    return (first, *doubts)


def name_without_unit(name: str) -> str:
    """`lambda1_per_s` → `lambda1`, `a_bq` → `a`."""
    for ending in ("_per_s", "_bq"):
        name = name.removesuffix(ending)
    return name


def residual_signs(residuals: NDArray[np.float64]) -> str:
    """Signs in the order of time, as `++−−+`."""
    return "".join("+" if residual >= 0 else "−" for residual in residuals)


def probability_of_so_few_runs(signs: str) -> float:
    """Probability that a random order of these signs has no more runs than these.

    References
    ----------
    .. [1] Wald and Wolfowitz, On a test whether two samples are from the same population, Ann Math Statist 11 (1940)
       147-162, doi:10.1214/aoms/1177731909.
    """
    plus, minus = signs.count("+"), signs.count("−")
    if plus == 0 or minus == 0:
        return 1.0
    runs = 1 + sum(a != b for a, b in zip(signs, signs[1:], strict=False))
    ways = 0
    for count in range(2, runs + 1):
        half = count // 2
        if count % 2 == 0:
            ways += 2 * comb(plus - 1, half - 1) * comb(minus - 1, half - 1)
        else:
            ways += comb(plus - 1, half - 1) * comb(minus - 1, half) + comb(plus - 1, half) * comb(minus - 1, half - 1)
    return ways / comb(plus + minus, plus)


def _percent(variation: float) -> str:
    return f"{100 * variation:.0f} %" if variation < 10 else "more than 1000 %"


def _strong_correlations(names: Sequence[str], covariance: NDArray[np.float64] | None) -> list[str]:
    """One sentence on all pairs of parameters that the data hardly tell apart; none if there is no such pair."""
    if covariance is None:
        return []
    std = np.sqrt(np.diag(covariance))
    pairs = []
    for first, second in itertools.combinations(range(len(names)), 2):
        if std[first] > 0 and std[second] > 0:
            correlation = float(covariance[first, second] / (std[first] * std[second]))
            if abs(correlation) >= LARGEST_CORRELATION:
                both = f"{name_without_unit(names[first])} and {name_without_unit(names[second])}"
                pairs.append(f"{both} {correlation:+.2f}")
    if not pairs:
        return []
    return [f"Parameters are strongly correlated: {', '.join(pairs)} (expected below {LARGEST_CORRELATION:g} in size)."]
