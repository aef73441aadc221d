"""Weighted non-linear least squares with bounds, from several starts, down to the last digit; with covariance.

One engine for all curves: it knows nothing of activity. The trust-region method of SciPy finds the valley, Gauss-Newton
steps by orthogonal factorisation then settle at its bottom, where finite differences of the cost no longer tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult

_FUNCTION_TOLERANCE = 1e-12
DEFAULT_EVALUATIONS = 2000
_POLISHING_STEPS = 30
_AT_BOUND = 1e-6
"""Distance from a bound, relative to the parameter's size, below which the fit is tried again with it held there."""

_SINGULAR = 1e-7
"""Ratio of the smallest to the largest singular value of the column-scaled Jacobian below which the data do not
determine the parameters."""

_IDLE = 1e-9
"""Change of all values, relative to the data, below which a parameter has no effect on them."""

_SAME_COST = 1e-9
_PERFECT = 1e-12
"""Norm of the residuals, relative to the data's, below which there is nothing to search for but to settle."""


class FitModel(Protocol):
    """What can be fitted: values and derivatives by the parameters, and bounds."""

    @property
    def lower(self) -> NDArray[np.float64]:
        """Lowest allowed parameters, shape (k,); −inf where free."""

    @property
    def upper(self) -> NDArray[np.float64]:
        """Highest allowed parameters, shape (k,); inf where free."""

    def value(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at `x`, shape (n,)."""

    def jacobian(self, x: NDArray[np.float64], parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Derivatives of the values by the parameters, shape (n, k)."""


@dataclass(frozen=True, eq=False)
class LeastSquaresFit:
    """The best parameters and what the data say about them.

    Attributes
    ----------
    parameters
        Shape (k,).
    covariance
        Covariance of the parameters, shape (k, k): from the stated uncertainties, or scaled by the residual variance
        where none are stated. Rows and columns of parameters held at a bound are zero. None where it cannot be known:
        no stated uncertainties and no degrees of freedom, or data that do not determine the parameters.
    residuals
        Data minus model, in the unit of the data, shape (n,).
    sum_of_squares
        Of the residuals, each over its stated uncertainty where there is one.
    degrees_of_freedom
        Points minus parameters.
    at_bound
        Which parameters lie on a bound, shape (k,).
    singular
        Whether the data fail to determine the free parameters.
    weighted
        Whether uncertainties were stated.
    """

    parameters: NDArray[np.float64]
    covariance: NDArray[np.float64] | None
    residuals: NDArray[np.float64]
    sum_of_squares: float
    degrees_of_freedom: int
    at_bound: NDArray[np.bool_]
    singular: bool
    weighted: bool

    @property
    def residual_std(self) -> float | None:
        """Standard deviation of the residuals, by the degrees of freedom; None where there are none."""
        if self.degrees_of_freedom == 0:
            return None
        return float(np.sqrt(self.sum_of_squares / self.degrees_of_freedom))


def least_squares_fit(
    model: FitModel,
    x: ArrayLike,
    y: ArrayLike,
    sigma: ArrayLike | None,
    starts: Iterable[ArrayLike],
    evaluations: int = DEFAULT_EVALUATIONS,
) -> LeastSquaresFit:
    """The parameters that minimise Σ((y − model(x))/σ)², the best from several starts.

    Parameters
    ----------
    model
        Values, derivatives and bounds.
    x, y
        Data, shape (n,).
    sigma
        Standard uncertainties of `y`, shape (n,), all above zero; None for an unweighted fit.
    starts
        Parameters to start from, each of shape (k,); moved inside the bounds.
    evaluations
        Most evaluations of the model from each start.

    Returns
    -------
    LeastSquaresFit
        The same for the same input: there is no chance in it.

    Raises
    ------
    InputError
        There are fewer points than parameters, shapes differ, an uncertainty is not above zero, or no start gives
        finite values.

    References
    ----------
    .. [1] Branch, Coleman and Li, A subspace, interior, and conjugate gradient method for large-scale bound-constrained
       minimization problems, SIAM J Sci Comput 21 (1999) 1-23, doi:10.1137/S1064827595289108.
    """
    problem = _Problem(model, x, y, sigma, evaluations)
    best: NDArray[np.float64] | None = None
    best_cost = np.inf
    with np.errstate(all="ignore"):
        for start in starts:
            found = problem.solve(np.asarray(start, dtype=np.float64))
            if found is None:
                continue
            cost = problem.cost(found)
            # A later start must be better by more than rounding, so that equal valleys do not depend on it.
            if best is None or cost < best_cost * (1.0 - _SAME_COST):
                best, best_cost = found, cost
            if best_cost <= (_PERFECT * problem.scale) ** 2:
                break
        if best is None:
            raise InputError("The fit has no finite value at any start; check the data for numbers out of range.")
        best, at_bound = problem.settle(best)
        covariance, singular = problem.covariance(best, ~at_bound)
        residuals = problem.y - model.value(problem.x, best)
    return LeastSquaresFit(
        best,
        covariance,
        residuals,
        problem.cost(best),
        problem.y.size - best.size,
        at_bound,
        singular,
        sigma is not None,
    )


class _Problem:
    """Data, weights and bounds of one fit, with residuals scaled to order one."""

    def __init__(self, model: FitModel, x: ArrayLike, y: ArrayLike, sigma: ArrayLike | None, evaluations: int) -> None:
        self.model = model
        self.evaluations = evaluations
        self.x = np.asarray(x, dtype=np.float64)
        self.y = np.asarray(y, dtype=np.float64)
        self.lower, self.upper = np.asarray(model.lower, dtype=float), np.asarray(model.upper, dtype=float)
        self.weighted = sigma is not None
        self.weight = np.ones_like(self.y) if sigma is None else self._weights(np.asarray(sigma, dtype=np.float64))
        if self.x.shape != self.y.shape or self.x.ndim != 1:
            raise InputError(f"A fit needs as many x as y, found shapes {self.x.shape} and {self.y.shape}.")
        if not (np.all(np.isfinite(self.x)) and np.all(np.isfinite(self.y))):
            raise InputError("A fit needs finite data; remove what is not a number.")
        if self.y.size < self.lower.size:
            raise InputError(
                f"A model of {self.lower.size} parameters needs at least as many points, found {self.y.size}."
            )
        self.scale = float(np.linalg.norm(self.weight * self.y)) or 1.0

    def _weights(self, sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        if sigma.shape != self.y.shape or not (np.all(np.isfinite(sigma)) and np.all(sigma > 0)):
            raise InputError(f"Stated uncertainties must be above zero, one per point, found {sigma.tolist()}.")
        return 1.0 / sigma

    def residual(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted model minus data."""
        return self.weight * (self.model.value(self.x, parameters) - self.y)

    def jacobian(self, parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        """Weighted derivatives."""
        return self.weight[:, None] * self.model.jacobian(self.x, parameters)

    def cost(self, parameters: NDArray[np.float64]) -> float:
        """Sum of squares, infinite where not a number."""
        total = float(np.sum(self.residual(parameters) ** 2))
        return total if np.isfinite(total) else np.inf

    def solve(self, start: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """From one start to its minimum; None where the start has no finite value."""
        from scipy.optimize import least_squares

        inside = np.clip(start, self.lower, self.upper)
        if not np.isfinite(self.cost(inside)) or not np.all(np.isfinite(self.jacobian(inside))):
            return None
        found = least_squares(
            lambda p: self.residual(p) / self.scale,
            inside,
            jac=lambda p: self.jacobian(p) / self.scale,
            bounds=(self.lower, self.upper),
            method="trf",
            x_scale="jac",
            ftol=_FUNCTION_TOLERANCE,
            xtol=_FUNCTION_TOLERANCE,
            gtol=_FUNCTION_TOLERANCE,
            max_nfev=self.evaluations,
            callback=_stop_when_perfect,
        )
        return np.asarray(found.x, dtype=np.float64)

    def settle(self, parameters: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Put parameters that cling to a bound onto it where that costs nothing, and polish the others."""
        held = np.zeros(parameters.size, dtype=bool)
        best = self.polish(parameters, ~held)
        for index in np.flatnonzero(self._near_bound(best) | self._idle(best)):
            trial_held = held.copy()
            trial_held[index] = True
            for bound in (self.lower[index], self.upper[index]):
                trial = best.copy()
                trial[index] = bound
                if not np.isfinite(bound) or not np.isfinite(self.cost(trial)):
                    continue
                trial = self.polish(trial, ~trial_held)
                if self.cost(trial) <= self.cost(best) * (1.0 + _AT_BOUND) + (_IDLE * self.scale) ** 2:
                    best, held = trial, trial_held
                    break
        held |= (best <= self.lower) | (best >= self.upper)
        return best, held

    def _near_bound(self, parameters: NDArray[np.float64]) -> NDArray[np.bool_]:
        size = np.abs(parameters)
        with np.errstate(invalid="ignore"):
            low = np.isfinite(self.lower) & (
                parameters - self.lower <= _AT_BOUND * np.maximum(size, np.abs(self.lower))
            )
            high = np.isfinite(self.upper) & (self.upper - parameters <= _AT_BOUND * np.abs(self.upper))
        return np.asarray(low | high)

    def _idle(self, parameters: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Parameters that could change by all of themselves without a trace in the values."""
        effect = np.linalg.norm(self.jacobian(parameters), axis=0) * np.abs(parameters)
        return np.asarray(effect < _IDLE * self.scale)

    def polish(self, parameters: NDArray[np.float64], free: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Gauss-Newton steps on the free parameters while they lower the cost or it stays, inside the bounds."""
        best, best_cost, last_step = parameters, self.cost(parameters), np.inf
        if not free.any():
            return best
        for _ in range(_POLISHING_STEPS):
            jacobian = self.jacobian(best)[:, free]
            size = np.linalg.norm(jacobian, axis=0)
            if not np.all(np.isfinite(jacobian)) or np.any(size == 0):
                break
            move = np.linalg.lstsq(jacobian / size, -self.residual(best), rcond=_SINGULAR)[0] / size
            step = float(np.linalg.norm(move * size))
            trial = best.copy()
            trial[free] += move
            if np.any(trial < self.lower) or np.any(trial > self.upper) or step >= last_step:
                break
            cost = self.cost(trial)
            if not cost <= best_cost * (1.0 + 1e-12):
                break
            best, best_cost, last_step = trial, min(cost, best_cost), step
        return best

    def covariance(
        self, parameters: NDArray[np.float64], free: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64] | None, bool]:
        """Covariance of the parameters, and whether the data fail to determine them."""
        whole = np.zeros((parameters.size, parameters.size))
        freedom = self.y.size - parameters.size
        if not free.any():
            return whole, False
        jacobian = self.jacobian(parameters)[:, free]
        size = np.linalg.norm(jacobian, axis=0)
        if not np.all(np.isfinite(jacobian)) or np.any(size == 0):
            return None, True
        _, singular_values, rows = np.linalg.svd(jacobian / size, full_matrices=False)
        if singular_values[-1] < _SINGULAR * singular_values[0]:
            return None, True
        if not self.weighted and freedom == 0:
            return None, False
        inverse = (rows.T / singular_values**2) @ rows / np.outer(size, size)
        variance = 1.0 if self.weighted else self.cost(parameters) / freedom
        whole[np.ix_(free, free)] = inverse * variance
        return whole, False


def _stop_when_perfect(intermediate_result: OptimizeResult) -> None:
    """End SciPy's search where the residuals are rounding errors."""
    if 2.0 * intermediate_result.cost < _PERFECT**2:
        raise StopIteration
