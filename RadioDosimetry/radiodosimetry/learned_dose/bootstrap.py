"""How sure a mean over few patients is: bootstrap over patients, paired between methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

RESAMPLES = 10_000
"""Draws of patients with replacement."""

LEVEL = 0.95
"""Of the intervals."""


@dataclass(frozen=True)
class Estimate:
    """A number over patients with its interval.

    Attributes
    ----------
    value
        Over the patients as they are.
    low, high
        Ends of the 95 % interval (percentiles of the bootstrap); both `value` for a single patient.
    patients
        Number of patients.
    """

    value: float
    low: float
    high: float
    patients: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return asdict(self)


def bootstrap(
    columns: Sequence[Sequence[float]],
    statistic: Callable[..., NDArray[np.floating]],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Estimate:
    """A statistic of paired numbers per patient and its 95 % interval.

    Parameters
    ----------
    columns
        One sequence per method (or quantity), in the same order of patients: a draw takes whole patients.
    statistic
        Takes as many arrays (…, patients) as there are columns and reduces the last axis.
    seed
        Of the draws.
    resamples
        Number of draws.

    Returns
    -------
    Estimate
        Percentile interval [1]_.

    Raises
    ------
    InputError
        There is no patient, or columns of unequal length.

    References
    ----------
    .. [1] Efron and Tibshirani, An Introduction to the Bootstrap, Chapman & Hall (1993), chapter 13.
    """
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    count = values[0].size
    if count == 0 or any(column.shape != (count,) for column in values):
        raise InputError(f"A bootstrap needs the same patients in every column, found {[c.size for c in values]}.")
    value = float(statistic(*values))
    if count == 1:
        return Estimate(value, value, value, 1)
    draws = np.random.default_rng(seed).integers(0, count, size=(resamples, count))
    spread = statistic(*(column[draws] for column in values))
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.nanpercentile(spread, [tail, 100.0 - tail])
    return Estimate(value, float(low), float(high), count)


def mean(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Mean over patients."""
    return np.asarray(np.mean(values, axis=-1))


def reduction_percent(before: NDArray[np.floating], after: NDArray[np.floating]) -> NDArray[np.floating]:
    """By how much the mean over patients falls from one method to another, in percent of the first."""
    first = np.mean(before, axis=-1)
    return np.asarray(100.0 * (first - np.mean(after, axis=-1)) / first)


def root_reduction_percent(before: NDArray[np.floating], after: NDArray[np.floating]) -> NDArray[np.floating]:
    """By how much the root of the mean over patients falls, in percent, of squares that may have lost their noise.

    A mean that noise has pushed below zero counts as zero; NaN where that of the first method is.
    """
    first = np.sqrt(np.maximum(np.mean(before, axis=-1), 0.0))
    second = np.sqrt(np.maximum(np.mean(after, axis=-1), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(first > 0, 100.0 * (first - second) / first, np.nan))
