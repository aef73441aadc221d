"""The models that are fitted to a region's points: parameters, bounds, derivatives, integrals and where to start.

Rates are effective, λ = λ_phys + λ_bio with λ_bio not below zero: the lowest rate a fit may take is physical decay.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .least_squares import FitModel
from .models import ActivityFunction, ExponentialSum, GammaUptake, gammainc_shape_derivative

FASTEST_RATE_TIMES_FIRST_POINT = 50.0
"""No fitted rate is above this over the first time after zero: such a phase is over (e⁻⁵⁰) before anyone looks."""

_SLOWEST_RATE_TIMES_LAST_POINT = 0.02
_GRID_OF_RATES = {1: 24, 2: 16, 3: 12}
_STARTS_OF_A_KIND = 3
_APART = math.log(2.0)
"""Two starts differ in a rate by this factor at least, in its logarithm, or they would end in the same valley."""

_SHAPES = (0.5, 1.0, 2.0, 4.0)
_LARGEST_SHAPE = 100.0

MODEL_PARAMETERS = {
    "mono": ("a_bq", "lambda1_per_s"),
    "bi": ("a1_bq", "a2_bq", "lambda1_per_s", "lambda2_per_s"),
    "tri": ("a1_bq", "a2_bq", "a3_bq", "lambda1_per_s", "lambda2_per_s", "lambda3_per_s"),
    "uptake-clearance": ("a_bq", "lambda1_per_s", "lambda2_per_s"),
    "gamma-uptake": ("a_bq", "shape", "beta_per_s"),
}
"""Names of each model's parameters in the order of its covariance; the unit ends the name, λ1 is the slowest."""

MODEL_FORMULAS = {
    "mono": "A·exp(−λ1·t)",
    "bi": "A1·exp(−λ1·t) + A2·exp(−λ2·t)",
    "tri": "A1·exp(−λ1·t) + A2·exp(−λ2·t) + A3·exp(−λ3·t)",
    "uptake-clearance": "A·(exp(−λ1·t) − exp(−λ2·t))",
    "gamma-uptake": "A·P(shape, β·t)·exp(−λ_phys·t)",
}

_SIGNS = {
    "mono": ((1.0,),),
    "bi": ((1.0, 0.0), (0.0, 1.0)),
    "tri": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "uptake-clearance": ((1.0,), (-1.0,)),
}
"""Amplitude of each exponential (rows) from the amplitudes that are parameters (columns)."""


class CurveModel(FitModel, Protocol):
    """A `FitModel` of an activity that falls in the end, with its closed integral."""

    @property
    def name(self) -> str:
        """Name as in `MODEL_PARAMETERS`."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters."""

    def starts(
        self, times_s: NDArray[np.float64], activity_bq: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> list[NDArray[np.float64]]:
        """Where to start the fit, best first."""

    def in_order(
        self, parameters: NDArray[np.float64], covariance: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Parameters and covariance with the slowest phase first."""

    def curve(self, parameters: NDArray[np.float64]) -> ActivityFunction:
        """The activity as a function of time."""

    def integral_gradient(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of the whole integral by the parameters, shape (k,)."""


@dataclass(frozen=True, eq=False)
class ExponentialModel:
    """Exponentials whose amplitudes are free, or tied by A(0) = 0.

    Attributes
    ----------
    name
        "mono", "bi", "tri" or "uptake-clearance".
    lowest_rate_per_s, highest_rate_per_s
        Bounds of every rate [1/s]; the lower one is the decay constant.
    washout_only
        Whether no amplitude may be negative.
    """

    name: str
    lowest_rate_per_s: float
    highest_rate_per_s: float
    washout_only: bool = False

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Amplitudes [Bq], then rates [1/s]."""
        return MODEL_PARAMETERS[self.name]

    @property
    def lower(self) -> NDArray[np.float64]:
        """Amplitudes are free except a single one, which is not below zero; rates are at least physical decay."""
        lowest = 0.0 if self._free_amplitudes == 1 or self.washout_only else -np.inf
        amplitudes = [lowest] * self._free_amplitudes
        return np.array(amplitudes + [self.lowest_rate_per_s] * self.rate_count)

    @property
    def upper(self) -> NDArray[np.float64]:
        """Rates are at most what the first point could show a trace of."""
        return np.array([np.inf] * self._free_amplitudes + [self.highest_rate_per_s] * self.rate_count)

    def value(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Activity [Bq] at times [s], shape (n,)."""
        amplitudes, rates = self._split(parameters)
        return np.asarray(np.exp(-np.outer(x, rates)) @ amplitudes)

    def jacobian(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives by amplitudes and rates, shape (n, k)."""
        amplitudes, rates = self._split(parameters)
        decayed = np.exp(-np.outer(x, rates))
        return np.hstack([decayed @ self._signs, -x[:, None] * decayed * amplitudes])

    def integral_gradient(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of Σ a/λ by amplitudes and rates, shape (k,)."""
        amplitudes, rates = self._split(parameters)
        return np.concatenate([self._signs.T @ (1.0 / rates), -amplitudes / rates**2])

    def curve(self, parameters: NDArray[np.float64]) -> ExponentialSum:
        """The sum of exponentials."""
        return ExponentialSum(*self._split(parameters))

    def in_order(
        self, parameters: NDArray[np.float64], covariance: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Parameters and covariance with the rates ascending; uptake is the faster rate already, as A is positive."""
        if self._free_amplitudes != self.rate_count:
            return parameters, covariance
        order = np.argsort(parameters[self.rate_count :], kind="stable")
        whole = np.concatenate([order, order + self.rate_count])
        return parameters[whole], None if covariance is None else covariance[np.ix_(whole, whole)]

    def starts(
        self, times_s: NDArray[np.float64], activity_bq: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> list[NDArray[np.float64]]:
        """The best of all combinations of a grid of rates; for given rates the amplitudes are a linear fit."""
        weight = np.ones_like(activity_bq) if weights is None else weights
        found: list[tuple[float, NDArray[np.float64]]] = []
        for rates in itertools.combinations(self._grid(times_s), self.rate_count):
            design = weight[:, None] * (np.exp(-np.outer(times_s, rates)) @ self._signs)
            amplitudes = np.linalg.lstsq(design, weight * activity_bq, rcond=1e-12)[0]
            amplitudes = np.maximum(amplitudes, self.lower[: self._free_amplitudes])
            cost = float(np.sum((weight * activity_bq - design @ amplitudes) ** 2))
            found.append((cost, np.concatenate([amplitudes, rates])))
        return _best_apart(found, self._free_amplitudes)

    def _grid(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        lowest = max(self.lowest_rate_per_s * 1.02, _SLOWEST_RATE_TIMES_LAST_POINT / float(times_s.max()))
        highest = max(0.5 * self.highest_rate_per_s, 4.0 * lowest)
        return np.geomspace(lowest, highest, _GRID_OF_RATES[self.rate_count])

    def _split(self, parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Amplitude and rate of every exponential."""
        return self._signs @ parameters[: self._free_amplitudes], parameters[self._free_amplitudes :]

    @property
    def _signs(self) -> NDArray[np.float64]:
        return np.array(_SIGNS[self.name])

    @property
    def _free_amplitudes(self) -> int:
        return len(_SIGNS[self.name][0])

    @property
    def rate_count(self) -> int:
        """Number of exponentials."""
        return len(_SIGNS[self.name])


@dataclass(frozen=True, eq=False)
class NotNegativeAtStart:
    """Two or three free exponentials whose sum at administration is not below zero.

    The last amplitude's place is taken by that sum, so that a plain bound holds it; `in_amplitudes` translates back.

    Attributes
    ----------
    model
        A model with as many amplitudes as rates.
    others_not_negative
        Whether the other amplitudes are not below zero either: only the last phase may be uptake. Where it is the
        fastest, the activity is then negative at no time.
    """

    model: ExponentialModel
    others_not_negative: bool = False

    @property
    def lower(self) -> NDArray[np.float64]:
        """As of the model, with the sum of the amplitudes not below zero."""
        bounds = self.model.lower.copy()
        count = self.model.rate_count
        bounds[0 if self.others_not_negative else count - 1 : count] = 0.0
        return bounds

    @property
    def upper(self) -> NDArray[np.float64]:
        """As of the model."""
        return self.model.upper

    def value(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Activity [Bq] at times [s], shape (n,)."""
        return self.model.value(x, self._matrix @ parameters)

    def jacobian(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives by the parameters with the sum among them, shape (n, k)."""
        return self.model.jacobian(x, self._matrix @ parameters) @ self._matrix

    def from_amplitudes(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """The model's own parameters with the sum in the place of the last amplitude."""
        return np.asarray(np.linalg.solve(self._matrix, parameters))

    def in_amplitudes(
        self, parameters: NDArray[np.float64], covariance: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Parameters and covariance with the last amplitude back in its place."""
        matrix = self._matrix
        return matrix @ parameters, None if covariance is None else matrix @ covariance @ matrix.T

    @property
    def _matrix(self) -> NDArray[np.float64]:
        """From the sum to the last amplitude: what the other amplitudes leave of it."""
        count = self.model.rate_count
        matrix = np.eye(2 * count)
        matrix[count - 1, : count - 1] = -1.0
        return matrix


@dataclass(frozen=True, eq=False)
class GammaUptakeModel:
    """`GammaUptake` with amplitude, shape and uptake rate free.

    Attributes
    ----------
    decay_constant_per_s
        λ_phys [1/s], not fitted.
    highest_rate_per_s
        Upper bound of the uptake rate [1/s].
    """

    decay_constant_per_s: float
    highest_rate_per_s: float
    name: str = "gamma-uptake"

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Amplitude [Bq], shape, uptake rate [1/s]."""
        return MODEL_PARAMETERS[self.name]

    @property
    def lower(self) -> NDArray[np.float64]:
        """Amplitude not below zero, shape and rate above."""
        return np.array([0.0, 1.0 / _LARGEST_SHAPE, 1e-6 * self.highest_rate_per_s])

    @property
    def upper(self) -> NDArray[np.float64]:
        """Shape at most 100, rate at most what the first point could show a trace of."""
        return np.array([np.inf, _LARGEST_SHAPE, self.highest_rate_per_s])

    def value(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Activity [Bq] at times [s], shape (n,)."""
        return self.curve(parameters).value(x)

    def jacobian(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives by amplitude, shape and rate, shape (n, 3)."""
        from scipy.special import gammainc, gammaln, xlogy

        amplitude, shape, rate = parameters
        decay = np.exp(-self.decay_constant_per_s * x)
        by_rate = np.exp(xlogy(shape, rate * x) - rate * x - gammaln(shape)) / rate
        by_shape = gammainc_shape_derivative(float(shape), rate * x)
        return np.column_stack(
            [gammainc(shape, rate * x) * decay, amplitude * by_shape * decay, amplitude * by_rate * decay]
        )

    def integral_gradient(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of A·(β/(β+λ))^α/λ by A, α and β, shape (3,)."""
        amplitude, shape, rate = parameters
        decay = self.decay_constant_per_s
        ratio = rate / (rate + decay)
        whole = ratio**shape / decay
        return np.array(
            [whole, amplitude * whole * math.log(ratio), amplitude * whole * shape * decay / (rate * (rate + decay))]
        )

    def curve(self, parameters: NDArray[np.float64]) -> GammaUptake:
        """Uptake and physical decay."""
        amplitude, shape, rate = (float(value) for value in parameters)
        return GammaUptake(amplitude, shape, rate, self.decay_constant_per_s)

    def in_order(
        self, parameters: NDArray[np.float64], covariance: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """As they are."""
        return parameters, covariance

    def starts(
        self, times_s: NDArray[np.float64], activity_bq: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> list[NDArray[np.float64]]:
        """The best of a grid of shapes and mean uptake times; for given ones the amplitude is a linear fit."""
        weight = np.ones_like(activity_bq) if weights is None else weights
        found = []
        for shape, rate in itertools.product(
            _SHAPES, np.geomspace(0.1 / times_s.max(), 0.5 * self.highest_rate_per_s, 16)
        ):
            unit = weight * self.value(times_s, np.array([1.0, shape, rate]))
            amplitude = max(float(unit @ (weight * activity_bq) / max(float(unit @ unit), 1e-300)), 0.0)
            found.append(
                (float(np.sum((weight * activity_bq - amplitude * unit) ** 2)), np.array([amplitude, shape, rate]))
            )
        return _best_apart(found, 1)


def exponential_model(
    name: str, decay_constant_per_s: float, times_s: Sequence[float] | NDArray[np.float64]
) -> ExponentialModel:
    """An exponential model with the bounds that nuclide and times set."""
    return ExponentialModel(name, decay_constant_per_s, _highest_rate_per_s(decay_constant_per_s, times_s))


def curve_model(name: str, decay_constant_per_s: float, times_s: Sequence[float] | NDArray[np.float64]) -> CurveModel:
    """The model of this name, with the bounds that nuclide and times set.

    Parameters
    ----------
    name
        A key of `MODEL_PARAMETERS`.
    decay_constant_per_s
        λ_phys [1/s], the lower bound of every effective rate.
    times_s
        Times of the points [s], shape (n,); the first above zero bounds the rates from above.

    Raises
    ------
    InputError
        The name is unknown or no time is above zero.
    """
    if name not in MODEL_PARAMETERS:
        raise InputError(f"Model '{name}' is unknown; expected one of: {', '.join(MODEL_PARAMETERS)}.")
    if name == "gamma-uptake":
        return GammaUptakeModel(decay_constant_per_s, _highest_rate_per_s(decay_constant_per_s, times_s))
    return exponential_model(name, decay_constant_per_s, times_s)


def _best_apart(found: list[tuple[float, NDArray[np.float64]]], amplitude_count: int) -> list[NDArray[np.float64]]:
    """The best starts of each pattern of signs of the amplitudes, which lead into different valleys; best first."""
    kinds: dict[tuple[bool, ...], list[NDArray[np.float64]]] = {}
    chosen: list[NDArray[np.float64]] = []
    for _, start in sorted(found, key=lambda item: item[0]):
        same = kinds.setdefault(tuple(start[:amplitude_count] < 0), [])
        rates = np.log(start[amplitude_count:])
        apart = all(np.max(np.abs(rates - np.log(other[amplitude_count:]))) > _APART for other in same)
        if apart and len(same) < max(1, _STARTS_OF_A_KIND + 1 - amplitude_count):
            same.append(start)
            chosen.append(start)
    return chosen


def _highest_rate_per_s(decay_constant_per_s: float, times_s: Sequence[float] | NDArray[np.float64]) -> float:
    later = np.asarray(times_s, dtype=np.float64)
    later = later[later > 0]
    if later.size == 0:
        raise InputError("A fit needs a point after administration, found none; give the times since administration.")
    return max(FASTEST_RATE_TIMES_FIRST_POINT / float(later.min()), 10.0 * decay_constant_per_s)
