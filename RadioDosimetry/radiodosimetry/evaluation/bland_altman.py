"""Bland-Altman agreement of two methods that measure the same doses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError

LIMITS_OF_AGREEMENT_SIGMA = 1.96
"""Standard deviations between bias and limits: 95 % of normally distributed differences lie inside."""


@dataclass(frozen=True, eq=False)
class BlandAltman:
    """Differences of pairs against their means.

    Attributes
    ----------
    mean_gy
        Mean of each pair [Gy], 1-D.
    difference_percent
        Test minus reference in percent of the pair's mean, same shape.
    bias_percent
        Mean of the differences [%].
    lower_limit_percent, upper_limit_percent
        Limits of agreement, bias ± 1.96 standard deviations [%]; both the bias for a single pair.
    """

    mean_gy: NDArray[np.float64]
    difference_percent: NDArray[np.float64]
    bias_percent: float
    lower_limit_percent: float
    upper_limit_percent: float


def bland_altman(reference_gy: ArrayLike, test_gy: ArrayLike) -> BlandAltman:
    """Agreement of two methods over pairs of doses.

    Parameters
    ----------
    reference_gy, test_gy
        Doses of the same regions or voxels [Gy], 1-D of equal length. Pairs that are zero in both are left out.

    Returns
    -------
    BlandAltman
        Means, relative differences, bias and limits of agreement.

    Raises
    ------
    InputError
        The lengths differ or no pair has dose.

    References
    ----------
    .. [1] Bland and Altman, Statistical methods for assessing agreement between two methods of clinical measurement,
       Lancet 327 (1986) 307-310, doi:10.1016/S0140-6736(86)90837-8.
    """
    reference = np.asarray(reference_gy, dtype=np.float64).ravel()
    test = np.asarray(test_gy, dtype=np.float64).ravel()
    if reference.shape != test.shape:
        raise InputError(f"Found {reference.size} reference and {test.size} test doses; expected pairs.")
    mean = (reference + test) / 2
    counted = mean > 0
    if not counted.any():
        raise InputError("No pair of doses is above zero, so relative differences do not exist.")
    difference = 100.0 * (test - reference)[counted] / mean[counted]
    bias = float(difference.mean())
    spread = LIMITS_OF_AGREEMENT_SIGMA * float(difference.std(ddof=1)) if difference.size > 1 else 0.0
    return BlandAltman(mean[counted], difference, bias, bias - spread, bias + spread)
