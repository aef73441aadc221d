"""What uncertainties that the points of a curve share make of its integral and of its parameters.

One error of a cause moves all points together. Where it moves each by the same share (a calibration), the curve goes up
or down as a whole. Where the shares differ (a synthetic scan beside a measured one), its shape changes too, and only a
fit to the moved points tells by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from .fit_points import FitPoints

Refit = Callable[[FitPoints], tuple[float, NDArray[np.float64]]]
"""Time-integrated activity [Bq s] and parameters, shape (k,), of the method that is used, for moved points."""

_ONE_SHARE = 1e-9
"""Relative difference of shares below which they are one: rounding."""

_LARGEST_STEP = 1.0
"""Points move by no more than a factor e at once; what a larger uncertainty does is scaled up from there."""


@dataclass(frozen=True, eq=False)
class SharedUncertainty:
    """Shifts by one standard uncertainty of each cause; causes are independent of each other.

    Attributes
    ----------
    of_the_whole
        Cause that all points have the same share of to that share: integral and amplitudes move by it, rates do not.
    tia_bq_s
        Any other cause to the shift of the time-integrated activity [Bq s], signed.
    parameters
        The same causes to the shifts of the parameters, shape (k,).
    """

    of_the_whole: Mapping[str, float]
    tia_bq_s: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def relative_std(self, tia_bq_s: float) -> dict[str, float]:
        """Cause to its relative standard uncertainty of a time-integrated activity [Bq s]."""
        moved = {cause: abs(shift) / tia_bq_s for cause, shift in self.tia_bq_s.items()} if tia_bq_s > 0 else {}
        return {**self.of_the_whole, **moved}

    def words(self, tia_bq_s: float) -> tuple[str, ...]:
        """What is said of them with a fit."""
        found = []
        whole = float(np.sqrt(sum(share**2 for share in self.of_the_whole.values())))
        if whole > 0:
            found.append(
                f"An uncertainty of {100 * whole:.2g} % that all points share ({', '.join(self.of_the_whole)}) is "
                "added to the whole."
            )
        found += [
            f"An uncertainty that the points share to unlike parts ({cause}) moves the time-integrated activity by "
            f"{100 * abs(shift) / tia_bq_s:.2g} %."
            for cause, shift in self.tia_bq_s.items()
            if tia_bq_s > 0
        ]
        return tuple(found)


def shared_uncertainty(points: FitPoints, refit: Refit) -> SharedUncertainty:
    """Shift of integral and parameters by each cause that the points share.

    Points of a cause with unlike shares r are moved to A·exp(±r), the same method is used on them as they are weighted
    already, and half the difference is the shift. That takes the errors at different times as one: of two synthetic
    scans of a patient both come from the same kinetics of the same regions.

    Parameters
    ----------
    points
        The points with what they share.
    refit
        What to do with moved points.
    """
    whole, tia, parameters = {}, {}, {}
    for cause, shares in points.shared.items():
        largest = float(shares.max())
        if largest == 0:
            continue
        if float(np.ptp(shares)) <= _ONE_SHARE * largest:
            whole[cause] = float(shares.mean())
            continue
        step = min(1.0, _LARGEST_STEP / largest)
        (high, above), (low, below) = (
            refit(replace(points, activity_bq=points.activity_bq * np.exp(sign * step * shares))) for sign in (1, -1)
        )
        tia[cause] = (high - low) / (2.0 * step)
        parameters[cause] = (above - below) / (2.0 * step)
    return SharedUncertainty(whole, tia, parameters)
