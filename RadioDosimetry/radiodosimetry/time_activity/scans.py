"""A quantitative scan at its time after administration, and what a series of them must fulfil."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError, UnitError
from ..images.geometry import require_same_frame
from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR, Quantity


@dataclass(frozen=True, eq=False)
class Scan:
    """An activity image and when it holds.

    Attributes
    ----------
    time_s
        Time of the image after administration [s], zero or later.
    volume
        Activity concentration present at that time [Bq/mL], not decay-corrected to administration.
    """

    time_s: float
    volume: QuantitativeVolume

    def __post_init__(self) -> None:
        try:
            time_s = float(self.time_s)
        except (TypeError, ValueError):
            time_s = math.nan
        if not math.isfinite(time_s):
            raise InputError(f"A scan needs its time after administration, found {self.time_s!r}; give a number.")
        if time_s < 0:
            raise InputError(
                f"A scan lies {-time_s / SECONDS_PER_HOUR:g} h before the administration; expected a time of zero or "
                "later. Check the times of scan and injection."
            )
        if self.volume.quantity is not Quantity.ACTIVITY_CONCENTRATION:
            raise UnitError(
                f"A scan must hold activity concentration [Bq/mL], found {self.volume.quantity.value} "
                f"[{self.volume.unit}]; calibrate it or give another image."
            )
        object.__setattr__(self, "time_s", time_s)


def is_synthetic(volume: QuantitativeVolume) -> bool:
    """Whether an image was never measured: its record says so, or the header of its DICOM files."""
    return volume.record.parameters.get("synthetic") is True


def ordered_scans(scans: Sequence[Scan]) -> tuple[Scan, ...]:
    """The scans, once they are known to be a series in time of one patient in one space.

    Nothing is sorted: times out of order are more often swapped by mistake than meant.

    Parameters
    ----------
    scans
        Scans by rising time.

    Returns
    -------
    tuple of Scan
        The same, at least one.

    Raises
    ------
    InputError
        There is no scan, a time comes twice, or the times do not rise.
    GeometryMismatchError
        Two scans name different frames of reference.
    """
    series = tuple(scans)
    if not series:
        raise InputError("Found no scan; expected at least one. Give each scan with its time after administration.")
    times_h = [scan.time_s / SECONDS_PER_HOUR for scan in series]
    listed = ", ".join(f"{time:g}" for time in times_h)
    if len(set(times_h)) < len(times_h):
        raise InputError(f"Two scans have the same time (found {listed} h); give every scan its own time.")
    if times_h != sorted(times_h):
        raise InputError(
            f"Scan times must rise, found {listed} h; give the scans in the order of their times, each with its own."
        )
    for number, scan in enumerate(series[1:], start=2):
        require_same_frame(series[0].volume.geometry, scan.volume.geometry, "Scan 1", f"scan {number}")
    return series
