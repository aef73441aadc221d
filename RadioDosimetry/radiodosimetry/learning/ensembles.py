"""Several networks trained from different seeds: their mean, their spread, and how far the spread can be believed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

CENTRAL_68_PERCENT = 0.6827
"""Share of a normal distribution within one standard deviation of its mean."""


@dataclass(frozen=True, eq=False)
class MemberSummary:
    """What members of an ensemble say together.

    Attributes
    ----------
    mean
        Of the members, float32.
    spread
        Sample standard deviation of the members (n − 1), float32, in the unit of the mean.
    count
        Number of members.
    """

    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    count: int


def combine_members(predictions: Iterable[NDArray[np.floating[Any]]]) -> MemberSummary:
    """Mean and spread of predictions that come one after the other; only sums are kept in memory.

    Uses Welford's recurrence (Technometrics 4 (1962) 419), which does not lose the spread of nearly equal members.

    Raises
    ------
    InputError
        There are fewer than two members, or their shapes differ.
    """
    count = 0
    for prediction in predictions:
        values = np.asarray(prediction, dtype=np.float64)
        if count == 0:
            mean, squares = np.zeros_like(values), np.zeros_like(values)
        if values.shape != mean.shape:
            raise InputError(f"Members of an ensemble must share one shape, found {values.shape} and {mean.shape}.")
        count += 1
        difference = values - mean
        mean += difference / count
        squares += difference * (values - mean)
    if count < 2:
        raise InputError(f"The spread of an ensemble needs at least two members, found {count}.")
    spread = np.sqrt(np.maximum(squares, 0.0) / (count - 1))
    return MemberSummary(mean.astype(np.float32), spread.astype(np.float32), count)


@dataclass(frozen=True)
class CoverageCalibration:
    """How a stated uncertainty compares with the errors that were made.

    Attributes
    ----------
    factor
        Times the spread is an interval half-width that holds `coverage` of the errors.
    coverage
        Share of errors that the factor was chosen for.
    coverage_before
        Share of errors within once the spread, before calibration.
    count
        Number of errors used.
    """

    factor: float
    coverage: float
    coverage_before: float
    count: int

    def as_dict(self) -> dict[str, float | int]:
        """For cards and records."""
        return {
            "factor": self.factor,
            "coverage": self.coverage,
            "coverage_before": self.coverage_before,
            "count": self.count,
        }


def calibrate_coverage(
    errors: NDArray[np.floating[Any]], spreads: NDArray[np.floating[Any]], coverage: float = CENTRAL_68_PERCENT
) -> CoverageCalibration:
    """The factor on a spread that makes stated intervals hold as many truths as they should.

    Found from patients that the networks did not train on and that do not judge the model either.

    Parameters
    ----------
    errors, spreads
        Prediction − truth, and the spread stated for it, of as many quantities (organs rather than voxels, which are
        correlated); spreads above zero.
    coverage
        Share of truths that the interval ± factor × spread shall hold.

    Returns
    -------
    CoverageCalibration
        The factor is the (n + 1)-corrected quantile of |error| / spread, as in split conformal prediction
        (Lei et al., J Am Stat Assoc 113 (2018) 1094), which holds the coverage in new patients on average.

    Raises
    ------
    InputError
        There are too few errors for the coverage, a spread is not above zero, or numbers are not finite.
    """
    error = np.abs(np.asarray(errors, dtype=np.float64)).ravel()
    spread = np.asarray(spreads, dtype=np.float64).ravel()
    if error.size != spread.size:
        raise InputError(f"Found {error.size} errors for {spread.size} spreads; give one spread for each error.")
    if not 0.0 < coverage < 1.0:
        raise InputError(f"The coverage must lie between 0 and 1, found {coverage:g}.")
    if not (np.isfinite(error).all() and np.isfinite(spread).all() and (spread > 0.0).all()):
        raise InputError("Errors must be finite and spreads finite and above zero.")
    rank = int(np.ceil((error.size + 1) * coverage))
    if rank > error.size:
        raise InputError(f"{error.size} errors are too few to calibrate an interval of {100 * coverage:g} %.")
    ratios = np.sort(error / spread)
    return CoverageCalibration(float(ratios[rank - 1]), coverage, float((ratios <= 1.0).mean()), error.size)


def coverage_of(errors: NDArray[np.floating[Any]], half_widths: NDArray[np.floating[Any]]) -> float:
    """Share of errors that lie within the half-widths stated for them."""
    return float((np.abs(np.asarray(errors)) <= np.asarray(half_widths)).mean())
