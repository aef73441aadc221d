"""The points of one region with what every way of fitting asks of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from .time_activity_curve import TimeActivityCurve

MOST_HALF_LIVES = 60.0
"""Physical half-lives after which not one of 1e18 nuclei is left: a later point has another nuclide or unit of time."""

UPTAKE_SEEN = 0.1
"""Share by which the first point must lie below the peak, both without physical decay, for uptake to be seen where no
uncertainties are stated."""

_ROUNDING = 0.01
"""Share of a stated uncertainty below which what its shared part leaves is rounding."""

UPTAKE_SEEN_STD = 2.0
"""The same in standard uncertainties of the difference, where they are stated."""


@dataclass(frozen=True, eq=False)
class FitPoints:
    """Points to be fitted; made by `checked_points`.

    Attributes
    ----------
    region
        Name of the region.
    times_s, activity_bq
        Times [s] and activity present [Bq], shape (n,).
    std_bq
        The part of the stated uncertainty that is each point's own [Bq], shape (n,); None if none is stated. Points
        are weighted by it.
    decay_constant_per_s
        λ_phys [1/s].
    shared
        What the points share, by cause ("calibration", "synthesis"): relative standard uncertainty of each point,
        shape (n,). One error moves all points of a cause together, each by its own share.
    has_zero_uncertainty
        Whether stated uncertainties were set aside because one of them is zero.
    """

    region: str
    times_s: NDArray[np.float64]
    activity_bq: NDArray[np.float64]
    std_bq: NDArray[np.float64] | None
    decay_constant_per_s: float
    shared: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    has_zero_uncertainty: bool = False

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.times_s.size)

    @property
    def peak(self) -> int:
        """Index of the largest activity."""
        return int(np.argmax(self.activity_bq))

    @property
    def shows_uptake(self) -> bool:
        """Whether more of the tracer is there at some later point than at the first, by more than noise.

        Judged without physical decay, which no uptake can undo: of a nuclide with a short half-life an organ still
        takes up the tracer while its activity falls, and no model of clearance alone goes through such points.
        """
        factor, peak = self._decay_correction, self._tracer_peak
        rise = float(self.activity_bq[peak] * factor[peak] - self.activity_bq[0])
        if self.std_bq is None:
            return rise > UPTAKE_SEEN * float(self.activity_bq[peak] * factor[peak])
        return rise > UPTAKE_SEEN_STD * math.hypot(self.std_bq[peak] * factor[peak], self.std_bq[0])

    @property
    def is_still_taken_up(self) -> bool:
        """Whether uptake shows and most of the tracer is there at the last point."""
        return self.shows_uptake and self._tracer_peak == self.count - 1

    @property
    def _decay_correction(self) -> NDArray[np.float64]:
        """What takes physical decay since the first point away, shape (n,)."""
        return np.exp(self.decay_constant_per_s * (self.times_s - self.times_s[0]))

    @property
    def _tracer_peak(self) -> int:
        """Index of the most tracer."""
        return int(np.argmax(self.activity_bq * self._decay_correction))

    @property
    def rises_at_the_end(self) -> bool:
        """Whether the last activity is above the one before."""
        return self.count > 1 and bool(self.activity_bq[-1] > self.activity_bq[-2])

    @property
    def last_h(self) -> float:
        """Time of the last point [h]."""
        return float(self.times_s[-1]) / SECONDS_PER_HOUR


def checked_points(curve: TimeActivityCurve, decay_constant_per_s: float) -> FitPoints:
    """The curve's arrays, refused where no method could use them.

    Raises
    ------
    InputError
        The decay constant is not above zero, an activity is negative or all are zero, or a point lies more than
        `MOST_HALF_LIVES` after administration.
    """
    if not (math.isfinite(decay_constant_per_s) and decay_constant_per_s > 0):
        raise InputError(f"The decay constant must be above zero, found {decay_constant_per_s} per s.")
    activity = np.asarray(curve.activity_bq, dtype=np.float64)
    if np.any(activity < 0):
        raise InputError(
            f"Region '{curve.region}' has a negative activity, {activity.min() * 1e-6:.4g} MBq; expected zero or more. "
            "Correct the background or leave the point out."
        )
    if not np.any(activity > 0):
        raise InputError(f"Region '{curve.region}' has no activity at any time; leave it out or check its unit.")
    times = np.asarray(curve.times_s, dtype=np.float64)
    half_lives = float(times[-1]) * decay_constant_per_s / math.log(2.0)
    if half_lives > MOST_HALF_LIVES:
        raise InputError(
            f"Region '{curve.region}' has a point at {times[-1] / SECONDS_PER_HOUR:.4g} h, {half_lives:.0f} physical "
            f"half-lives after administration; expected at most {MOST_HALF_LIVES:g}. Check nuclide and unit of time."
        )
    std = None if curve.std_bq is None else np.asarray(curve.std_bq, dtype=np.float64)
    shared = shared_parts(curve)
    own, exact = None, False
    if std is not None:
        total = np.sqrt(sum((part**2 for part in shared.values()), np.zeros(times.size)))
        own, exact = _own_part(std, total * activity)
    return FitPoints(curve.region, times, activity, own, float(decay_constant_per_s), shared, exact)


def shared_parts(curve: TimeActivityCurve) -> dict[str, NDArray[np.float64]]:
    """What the points of a curve share, as its record tells (`relative_std`): cause to relative sizes, shape (n,).

    Causes are "calibration", "recovery", "volume" and "synthesis"; the last is zero at scans that were measured.
    """
    record = getattr(curve, "record", None)
    stated = {} if record is None else record.parameters.get("relative_std") or {}
    count = np.size(curve.times_s)
    return {
        str(name): np.broadcast_to(np.asarray(values, dtype=np.float64), (count,)) for name, values in stated.items()
    }


def _own_part(
    std_bq: NDArray[np.float64], shared_bq: NDArray[np.float64]
) -> tuple[NDArray[np.float64] | None, bool]:
    """What the shared part leaves of the stated uncertainty, None where that is nothing; and whether a zero is why.

    Where all of every uncertainty is shared, a point that has no part in it may well state zero.
    """
    left = std_bq**2 - shared_bq**2
    nothing = left <= (_ROUNDING * std_bq) ** 2
    own = None if nothing.any() else np.sqrt(left)
    return own, bool(np.any(std_bq == 0) and not (nothing.all() and shared_bq.any()))
