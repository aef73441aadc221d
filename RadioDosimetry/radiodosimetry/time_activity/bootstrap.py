"""What else the points could have been: the spread of a fit over resampled data."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..progress import Progress, report_progress
from .curve_fit import CurveFit
from .fit_points import FitPoints, checked_points
from .parametric_fit import solve_parametric
from .time_activity_curve import TimeActivityCurve

BOOTSTRAP_KINDS = ("parametric", "residual")
"""Noise drawn from the stated (else the residual) standard deviation, or the fit's own residuals dealt out again."""

DEFAULT_SAMPLES = 400


@dataclass(frozen=True, eq=False)
class BootstrapResult:
    """Fits to resampled points.

    Attributes
    ----------
    parameter_names
        As in `CurveFit.parameters`.
    parameters
        Of each sample [unit of the parameter], shape (m, k).
    tia_bq_s
        Time-integrated activity of each sample [Bq s], shape (m,).
    kind, seed
        How and with which random numbers.
    """

    parameter_names: tuple[str, ...]
    parameters: NDArray[np.float64]
    tia_bq_s: NDArray[np.float64]
    kind: str
    seed: int

    @property
    def tia_std_bq_s(self) -> float:
        """Standard deviation of the time-integrated activity over the samples [Bq s]."""
        return float(np.std(self.tia_bq_s, ddof=1))

    def tia_interval_bq_s(self, coverage: float = 0.95) -> tuple[float, float]:
        """Percentile interval of the time-integrated activity [Bq s] that holds this share of the samples."""
        if not 0 < coverage < 1:
            raise InputError(f"An interval covers a share between 0 and 1, found {coverage:g}.")
        low, high = np.quantile(self.tia_bq_s, [(1 - coverage) / 2, (1 + coverage) / 2])
        return float(low), float(high)


def bootstrap_fit(
    curve: TimeActivityCurve,
    fit: CurveFit,
    decay_constant_per_s: float,
    kind: str = "parametric",
    samples: int = DEFAULT_SAMPLES,
    seed: int = 1,
    progress: Progress | None = None,
) -> BootstrapResult:
    """Fit the same model again and again to points drawn around the fit.

    Parameters
    ----------
    curve, fit, decay_constant_per_s
        The points, their fit by `fit_curve` with a model that has parameters, and λ_phys [1/s].
    kind
        One of `BOOTSTRAP_KINDS`. "parametric" adds normal noise of each point's own stated uncertainty to the fitted
        values, of the residuals' standard deviation where none is stated. "residual" deals out the residuals, each
        over its uncertainty and its leverage, with replacement.
    samples
        Number of samples, at least two.
    seed
        Names the random numbers: the same seed gives the same samples.
    progress
        Told the share of samples done.

    Returns
    -------
    BootstrapResult
        What all points share (calibration) is not in the spread; add it, or take `CurveFit.tia_std_bq_s`.

    Raises
    ------
    InputError
        The fit has no parameters, there is neither a stated uncertainty nor a degree of freedom, the kind is unknown,
        or there are fewer than two samples.
    CancelledError
        The user cancelled.

    References
    ----------
    .. [1] Efron and Tibshirani, An introduction to the bootstrap, Chapman and Hall 1993, chapters 6 and 9.
    """
    if kind not in BOOTSTRAP_KINDS:
        raise InputError(f"Bootstrap '{kind}' is unknown; expected one of: {', '.join(BOOTSTRAP_KINDS)}.")
    if samples < 2:
        raise InputError(f"A bootstrap needs at least two samples, found {samples}.")
    if fit.fitted_model is None or fit.solution is None:
        raise InputError(f"A bootstrap needs a model with fitted parameters, found '{fit.model}'; use such a model.")
    points = checked_points(curve, decay_constant_per_s)
    values = np.array([parameter.value for parameter in fit.parameters.values()])
    expected = fit.fitted_model.value(points.times_s, values)
    noise = _noise(points, fit, values, kind, samples, np.random.default_rng(seed))
    parameters = np.empty((samples, values.size))
    tia = np.empty(samples)
    for number in range(samples):
        report_progress(progress, number / samples, f"Bootstrap of {points.region}")
        drawn = replace(points, activity_bq=expected + noise[number])
        _, parameters[number], _ = solve_parametric(fit.fitted_model, drawn, [values])
        tia[number] = fit.fitted_model.curve(parameters[number]).integral_bq_s()
    report_progress(progress, 1.0, "Bootstrap done")
    return BootstrapResult(tuple(fit.parameters), parameters, tia, kind, seed)


def _noise(
    points: FitPoints,
    fit: CurveFit,
    values: NDArray[np.float64],
    kind: str,
    samples: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """What is added to the fitted values [Bq], shape (samples, n)."""
    assert fit.solution is not None
    assert fit.fitted_model is not None
    freedom = fit.solution.degrees_of_freedom
    if freedom == 0 and (kind == "residual" or points.std_bq is None):
        raise InputError(
            f"Region '{points.region}' has as many points as parameters: a bootstrap needs stated uncertainties (and "
            "the kind 'parametric') or more points."
        )
    scale = points.std_bq if points.std_bq is not None else np.full(points.count, fit.solution.residual_std)
    if kind == "parametric":
        return np.asarray(scale * random.standard_normal((samples, points.count)))
    jacobian = fit.fitted_model.jacobian(points.times_s, values) / scale[:, None]
    leverage = np.einsum("ij,ji->i", jacobian, np.linalg.pinv(jacobian))
    standard = fit.solution.residuals / scale / np.sqrt(np.maximum(1.0 - leverage, 1e-3))
    standard = standard - standard.mean()
    return np.asarray(scale * random.choice(standard, size=(samples, points.count)))
