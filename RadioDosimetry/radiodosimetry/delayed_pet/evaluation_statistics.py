"""What is said of many patients: means, paired differences with intervals, and how often the uncertainty held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..evaluation.image_measures import paired_difference_interval
from ..learning.ensembles import coverage_of

BOOTSTRAP_SEED = 20250101
"""Of the intervals of paired differences."""


def mean_and_std(column: Mapping[str, float]) -> tuple[float, float]:
    """Mean and standard deviation over patients; a single patient has no spread."""
    values = list(column.values())
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def paired_differences(
    first: Mapping[str, Mapping[str, float]], second: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Mean difference, first minus second, of every measure that two patients and more have in both, with its interval.

    Parameters
    ----------
    first, second
        Measure to patient to value.
    """
    found = {}
    for measure, theirs in second.items():
        mine = first.get(measure, {})
        both = [patient for patient in theirs if patient in mine]
        if len(both) > 1:
            mean, low, high = paired_difference_interval(
                [mine[patient] for patient in both], [theirs[patient] for patient in both], BOOTSTRAP_SEED
            )
            found[measure] = {"mean": mean, "low_95": low, "high_95": high}
    return found


def stated_coverage(rows: Sequence[tuple[str, float, float]]) -> float | None:
    """Share of organs whose acquired activity lies within the uncertainty stated about the model's; None without any.

    Parameters
    ----------
    rows
        Of `organ_uncertainty.organ_errors_of`. Their errors e are logarithmic, so that the acquired activity lies
        |exp(−e) − 1| from the model's, in units of the model's.
    """
    if not rows:
        return None
    return coverage_of(np.expm1([-error for _, error, _ in rows]), np.array([spread for _, _, spread in rows]))
