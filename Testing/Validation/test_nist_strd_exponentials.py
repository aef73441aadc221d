"""Certified non-linear regressions of NIST: the engine that fits curves finds the parameters and standard errors.

Statistical Reference Datasets, National Institute of Standards and Technology. Certified values were computed in 128
bits and are good to 11 digits; the standard errors of Lanczos1 rest on residuals of 1e-13 of the data, of which 64 bits
leave about three digits.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.time_activity.least_squares import least_squares_fit
from radiodosimetry.time_activity.parametric import exponential_model

DATA = Path(__file__).resolve().parents[1] / "Data" / "nist_strd"

CERTIFIED_DIGITS = 1e-8
"""Relative difference from certified parameters and standard errors that 64-bit arithmetic leaves."""

LANCZOS1_STANDARD_ERROR = 5e-3
"""Its residuals are 4e-14 of the data: of their squares, 64-bit arithmetic has about three digits."""


@dataclass(frozen=True)
class Problem:
    """One certified regression."""

    x: np.ndarray
    y: np.ndarray
    starts: tuple[np.ndarray, np.ndarray]
    certified: np.ndarray
    standard_deviation: np.ndarray
    residual_sum_of_squares: float


@dataclass(frozen=True)
class Formula:
    """A model of the collection, unbounded, with derivatives by complex step (exact to rounding)."""

    function: Callable[[np.ndarray, np.ndarray], np.ndarray]
    count: int
    lower: np.ndarray = field(init=False)
    upper: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", np.full(self.count, -np.inf))
        object.__setattr__(self, "upper", np.full(self.count, np.inf))

    def value(self, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        return self.function(x, parameters)

    def jacobian(self, x: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        step = 1e-100j * np.eye(self.count)
        return np.column_stack([self.function(x, parameters + row).imag / 1e-100 for row in step])


FORMULAS = {
    "misra1a": Formula(lambda x, b: b[0] * (1 - np.exp(-b[1] * x)), 2),
    "boxbod": Formula(lambda x, b: b[0] * (1 - np.exp(-b[1] * x)), 2),
    "chwirut1": Formula(lambda x, b: np.exp(-b[0] * x) / (b[1] + b[2] * x), 3),
    "chwirut2": Formula(lambda x, b: np.exp(-b[0] * x) / (b[1] + b[2] * x), 3),
    "mgh10": Formula(lambda x, b: b[0] * np.exp(b[1] / (x + b[2])), 3),
    "mgh17": Formula(lambda x, b: b[0] + b[1] * np.exp(-x * b[3]) + b[2] * np.exp(-x * b[4]), 5),
    "gauss1": Formula(
        lambda x, b: (
            b[0] * np.exp(-b[1] * x)
            + b[2] * np.exp(-((x - b[3]) ** 2) / b[4] ** 2)
            + b[5] * np.exp(-((x - b[6]) ** 2) / b[7] ** 2)
        ),
        8,
    ),
}
"""The exponential problems that are no activity curve of ours; Lanczos' are."""

INTERLEAVED = [0, 3, 1, 4, 2, 5]
"""Our parameters are amplitudes, then rates; NIST's b1 … b6 alternate."""


def read_problem(name: str) -> Problem:
    lines = [line for line in (DATA / f"{name}.csv").read_text().splitlines() if not line.startswith("#")]
    header = (DATA / f"{name}.csv").read_text().splitlines()[1]
    split = lines.index("x,y")
    parameters = list(csv.DictReader(lines[:split]))
    points = list(csv.DictReader(lines[split:]))

    def column(rows: list[dict[str, str]], key: str) -> np.ndarray:
        return np.array([float(row[key]) for row in rows])

    return Problem(
        column(points, "x"),
        column(points, "y"),
        (column(parameters, "start_1"), column(parameters, "start_2")),
        column(parameters, "certified"),
        column(parameters, "standard_deviation"),
        float(header.split("residual_sum_of_squares ")[1].split(",")[0]),
    )


@pytest.mark.parametrize("which", [0, 1], ids=["from the far start", "from the near start"])
@pytest.mark.parametrize("name", list(FORMULAS))
def test_certified_parameters_and_standard_errors_are_reproduced(name: str, which: int) -> None:
    problem = read_problem(name)
    fit = least_squares_fit(FORMULAS[name], problem.x, problem.y, None, [problem.starts[which]])
    assert fit.covariance is not None
    np.testing.assert_allclose(fit.parameters, problem.certified, rtol=CERTIFIED_DIGITS)
    np.testing.assert_allclose(np.sqrt(np.diag(fit.covariance)), problem.standard_deviation, rtol=CERTIFIED_DIGITS)
    assert fit.sum_of_squares == pytest.approx(problem.residual_sum_of_squares, rel=CERTIFIED_DIGITS)


@pytest.mark.parametrize("which", [0, 1, None], ids=["far start", "near start", "own starts"])
@pytest.mark.parametrize(
    ("name", "error_digits"), [("lanczos1", LANCZOS1_STANDARD_ERROR), ("lanczos2", 1e-6), ("lanczos3", 1e-8)]
)
def test_three_exponentials_of_lanczos_are_told_apart(name: str, error_digits: float, which: int | None) -> None:
    problem = read_problem(name)
    model = exponential_model("tri", decay_constant_per_s=0.0, times_s=problem.x)
    starts = model.starts(problem.x, problem.y) if which is None else [problem.starts[which][[0, 2, 4, 1, 3, 5]]]
    fit = least_squares_fit(model, problem.x, problem.y, None, starts)
    assert fit.covariance is not None
    parameters, covariance = model.in_order(fit.parameters, fit.covariance)
    assert covariance is not None
    np.testing.assert_allclose(parameters[INTERLEAVED], problem.certified, rtol=CERTIFIED_DIGITS)
    errors = np.sqrt(np.diag(covariance))[INTERLEAVED]
    np.testing.assert_allclose(errors, problem.standard_deviation, rtol=error_digits)
    assert fit.sum_of_squares == pytest.approx(problem.residual_sum_of_squares, rel=2 * error_digits)
