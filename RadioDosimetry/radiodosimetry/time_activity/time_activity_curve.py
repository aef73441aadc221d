"""The activity in a region over time: one frozen value, right from birth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, RegionError
from ..provenance import Record
from ..units import SECONDS_PER_HOUR


@dataclass(frozen=True, eq=False)
class TimeActivityCurve:
    """Activity present in one region at rising times.

    Attributes
    ----------
    region
        Name of the region.
    times_s
        Times after administration [s], shape (n,), n ≥ 1, zero or later, strictly rising. Read-only.
    activity_bq
        Activity present in the region at these times [Bq], not decay-corrected, shape (n,): none negative, not all
        zero. Read-only.
    std_bq
        Standard uncertainty of `activity_bq` [Bq], shape (n,); None if unknown. What is common to all times
        (calibration, recovery) is in it: the record's parameter `relative_std` tells the parts.
    volume_ml
        Volume of the region at these times [mL], shape (n,); None if unknown.
    record
        How the curve came to be.

    Raises
    ------
    InputError
        Times are out of order, come twice or lie before the administration; activities are negative or all zero; a
        number is not finite; or lengths differ. The text names the region.
    """

    region: str
    times_s: NDArray[np.float64]
    activity_bq: NDArray[np.float64]
    std_bq: NDArray[np.float64] | None = None
    volume_ml: NDArray[np.float64] | None = None
    record: Record = field(default_factory=lambda: Record("given as numbers"))

    def __post_init__(self) -> None:
        name = str(self.region).strip()
        if not name:
            raise RegionError("A time-activity curve needs the name of its region; found an empty one.")
        times_s = _column(self.times_s, "times", name)
        require_rising_times(times_s, f"region '{name}'")
        activity_bq = _column(self.activity_bq, "activities", name, len(times_s))
        _require_activity(activity_bq, times_s, name)
        object.__setattr__(self, "region", name)
        object.__setattr__(self, "times_s", times_s)
        object.__setattr__(self, "activity_bq", activity_bq)
        if self.std_bq is not None:
            std_bq = _column(self.std_bq, "uncertainties", name, len(times_s))
            if std_bq.min() < 0:
                raise InputError(f"An uncertainty of region '{name}' is {std_bq.min():g} Bq; expected none below zero.")
            object.__setattr__(self, "std_bq", std_bq)
        if self.volume_ml is not None:
            volume_ml = _column(self.volume_ml, "volumes", name, len(times_s))
            if volume_ml.min() <= 0:
                raise InputError(f"A volume of region '{name}' is {volume_ml.min():g} mL; expected all above zero.")
            object.__setattr__(self, "volume_ml", volume_ml)

    @property
    def times_h(self) -> NDArray[np.float64]:
        """Times after administration [h], shape (n,)."""
        return self.times_s / SECONDS_PER_HOUR

    def decay_corrected_bq(self, decay_constant_per_s: float) -> NDArray[np.float64]:
        """Activity [Bq] decay-corrected to the administration: what biology alone would have left, shape (n,)."""
        return np.asarray(self.activity_bq * np.exp(decay_constant_per_s * self.times_s))

    def with_warnings(self, *warnings: str) -> TimeActivityCurve:
        """The same curve, its record with further warnings."""
        return replace(self, record=self.record.with_warnings(*warnings))


def require_rising_times(times_s: Sequence[float] | NDArray[np.float64], what: str) -> None:
    """Refuse times before the administration, twice the same, or out of order; nothing is sorted silently.

    Parameters
    ----------
    times_s
        Times after administration [s].
    what
        Whose times, for the message: "region 'liver'", "the scans".

    Raises
    ------
    InputError
        As said; the text lists the times in hours.
    """
    times = np.asarray(times_s, dtype=np.float64)
    listed = _listed([f"{time / SECONDS_PER_HOUR:g}" for time in times])
    if times.min() < 0:
        raise InputError(
            f"A time of {what} lies before the administration (found {listed} h); expected hours after it, zero or "
            "more. Check the times of scan and injection."
        )
    if np.unique(times).size < times.size:
        raise InputError(f"A time of {what} comes twice (found {listed} h); expected each once. Give each its own.")
    if (np.diff(times) < 0).any():
        raise InputError(
            f"The times of {what} are out of order (found {listed} h); expected rising ones. Put them in the order of "
            "time, each with its own activity."
        )


def _column(values: ArrayLike, what: str, region: str, count: int | None = None) -> NDArray[np.float64]:
    """Numbers as a read-only float64 column, all finite, as many as there are times."""
    try:
        column: NDArray[Any] = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"The {what} of region '{region}' must be numbers, found {values!r:.80}.") from None
    if column.ndim != 1 or column.size == 0 or (count is not None and column.size != count):
        expected = "at least one number" if count is None else f"{count}, one per time"
        raise InputError(f"The {what} of region '{region}' have shape {column.shape}; expected {expected}.")
    if not np.isfinite(column).all():
        raise InputError(
            f"The {what} of region '{region}' hold {int((~np.isfinite(column)).sum())} values that are no finite "
            "number; expected one at each time. Leave out times without a measurement."
        )
    column.setflags(write=False)
    return column


def _require_activity(activity_bq: NDArray[np.float64], times_s: NDArray[np.float64], region: str) -> None:
    lowest = int(np.argmin(activity_bq))
    if activity_bq[lowest] < 0:
        raise InputError(
            f"The activity of region '{region}' is {activity_bq[lowest] / 1e6:.4g} MBq at "
            f"{times_s[lowest] / SECONDS_PER_HOUR:g} h; expected none below zero. Check background and scatter "
            "correction, or leave the region out."
        )
    if activity_bq.max() == 0:
        raise InputError(
            f"The activity of region '{region}' is zero at every time; expected some. Check image and labels, or leave "
            "the region out."
        )


def _listed(words: list[str], most: int = 12) -> str:
    return ", ".join(words) if len(words) <= most else ", ".join(words[:most]) + ", …"
