"""A fitted curve: model, parameters, time-integrated activity, what it rests on and what to beware of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .least_squares import LeastSquaresFit
from .models import ActivityFunction
from .parametric import CurveModel


@dataclass(frozen=True)
class FittedParameter:
    """A fitted number with its standard uncertainty.

    Attributes
    ----------
    value
        In `unit`.
    std
        Standard uncertainty in `unit`; None where it is not known (held at a bound, or as many points as parameters and
        no stated uncertainty).
    unit
        "Bq", "1/s" or "1".
    """

    value: float
    std: float | None
    unit: str


@dataclass(frozen=True)
class ModelAverage:
    """Time-integrated activity averaged over models by their Akaike weights.

    Attributes
    ----------
    tia_bq_s
        Weighted mean [Bq s].
    tia_std_bq_s
        Standard uncertainty with the spread between models in it [Bq s]; None where a model's is not known.
    tia_of_model_bq_s
        Each model's own [Bq s].
    """

    tia_bq_s: float
    tia_std_bq_s: float | None
    tia_of_model_bq_s: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class CurveFit:
    """What a region's points say about its activity at all times.

    Attributes
    ----------
    region
        Name of the region.
    model
        Name of the model that was used (never "auto").
    parameters
        Name to value, standard uncertainty and unit, in the order of `covariance`; rates are effective.
    covariance
        Covariance of the parameters [products of their units], shape (k, k); None where not known.
    curve
        Activity [Bq] as a function of time.
    aicc_weights
        Akaike weights of the models that the data could choose between; empty where they could not.
    tia_bq_s
        Time-integrated activity from administration to infinity [Bq s].
    tia_std_bq_s
        Its standard uncertainty [Bq s], None where not known.
    effective_half_life_s
        Of the final phase [s]; None where the method does not say.
    warnings
        What to beware of, one sentence each.
    quality
        How good the fit is, in words.
    model_average
        The average over the models of `aicc_weights`; None where there is one model only.
    solution
        The least-squares solution in the order of the fitted model's parameters; None where nothing was fitted.
    fitted_model
        The model behind `solution`.
    shared_relative_std
        What the uncertainties that the points share (calibration, recovery, volume, synthesis) make of `tia_bq_s`,
        relative, by cause; in `tia_std_bq_s` and `covariance` already.
    own_std_known
        Whether the rest of the uncertainty, each point's own, is known and in `tia_std_bq_s` too.
    """

    region: str
    model: str
    parameters: Mapping[str, FittedParameter]
    covariance: NDArray[np.float64] | None
    curve: ActivityFunction
    aicc_weights: Mapping[str, float]
    tia_bq_s: float
    tia_std_bq_s: float | None
    effective_half_life_s: float | None
    warnings: tuple[str, ...] = ()
    quality: tuple[str, ...] = ()
    model_average: ModelAverage | None = None
    solution: LeastSquaresFit | None = field(default=None, repr=False)
    fitted_model: CurveModel | None = field(default=None, repr=False)
    shared_relative_std: Mapping[str, float] = field(default_factory=dict)
    own_std_known: bool = True

    def value(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Activity [Bq] at times after administration [s], shape of `times_s`."""
        return self.curve.value(times_s)

    def value_std_bq(self, times_s: ArrayLike) -> NDArray[np.float64] | None:
        """Standard uncertainty of the fitted activity [Bq], shape of `times_s`; None where not known."""
        if self.fitted_model is None or self.covariance is None:
            return None
        times = np.asarray(times_s, dtype=np.float64)
        values = np.array([parameter.value for parameter in self.parameters.values()])
        gradient = self.fitted_model.jacobian(times.ravel(), values)
        variance = np.einsum("ni,ij,nj->n", gradient, self.covariance, gradient)
        return np.sqrt(np.maximum(variance, 0.0)).reshape(times.shape)

    @property
    def common_relative_std(self) -> float:
        """Relative standard uncertainty of `tia_bq_s` from all that the points share."""
        return math.hypot(*self.shared_relative_std.values())

    @property
    def tia_own_std_bq_s(self) -> float | None:
        """Standard uncertainty of `tia_bq_s` without what the points share [Bq s]; None where not known."""
        if self.tia_std_bq_s is None or not self.own_std_known:
            return None
        return math.sqrt(max(self.tia_std_bq_s**2 - (self.common_relative_std * self.tia_bq_s) ** 2, 0.0))

    def residence_time_s(self, administered_bq: float) -> float:
        """Time-integrated activity per administered activity [s]."""
        return self.tia_bq_s / administered_bq


def half_life_of_rate_s(rate_per_s: float) -> float:
    """ln 2 over a rate [s]."""
    return math.log(2.0) / rate_per_s
