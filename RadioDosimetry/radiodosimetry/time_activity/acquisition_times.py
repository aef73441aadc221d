"""When an image holds on the clock of the administration, and what decay during and after its frames makes of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.dicom_decay import timing_of
from ..images.dicom_files import choose_series, find_series, without_localizers
from ..images.dicom_header import dicom_errors
from ..images.dicom_series import frames_of, stack_frames
from ..images.regions import Region
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import SECONDS_PER_HOUR
from .region_scans import RegionScan

CLOCK_DIFFERENCE_WARNING_S = 600.0
"""Ten minutes between a time given by the user and the header's: more is no rounding."""

_OF_THE_FILE = ("decay_correction", "decay_reference_time", "decay_reference_rule", "decay_factor_applied")
"""Parameters that say how the activity stands in the file it was read from."""


@dataclass(frozen=True)
class ImageTiming:
    """What the user says about the time of one image; everything may be left to its header.

    Attributes
    ----------
    time_s
        Time after administration [s]: when the image holds, start of the frame where `frame_duration_s` is given. None
        takes it from image and administration.
    frame_duration_s
        The image is the mean over a frame of this length [s] that starts at `time_s`: activity is multiplied with
        λT/(1 − exp(−λT)) to hold at its start. None where that is done already, or nothing.
    corrected_to_administration
        The image was decay-corrected to the administration: its activity is decayed to `time_s`.
    administration
        Moment of the administration, local time of the scanner; None takes the header's.
    slice_middles
        Middle of the frame of every slice, from `slice_middles_of`; None where unknown.
    """

    time_s: float | None = None
    frame_duration_s: float | None = None
    corrected_to_administration: bool = False
    administration: datetime | None = None
    slice_middles: tuple[datetime, ...] | None = None

    def __post_init__(self) -> None:
        time_s, duration_s = self.time_s, self.frame_duration_s
        if time_s is not None and not math.isfinite(time_s):
            raise InputError(f"The time of a scan must be a number of hours, found {time_s}.")
        if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
            raise InputError(f"The duration of a frame must be above zero, found {duration_s:g} s.")
        if duration_s is not None and self.corrected_to_administration:
            raise InputError(
                "A frame duration was given for images that are decay-corrected to the administration; expected one of "
                "the two, since that correction counts from the frame's own time. Leave the duration out."
            )


def mean_to_start_factor(decay_constant_per_s: float, duration_s: float) -> float:
    """λT/(1 − exp(−λT)): activity at the start of a frame over its mean in the frame, without other clearance.

    References
    ----------
    .. [1] DICOM PS3.3 C.8.9.4.1.5, Frame Reference Time, whose exponential it is.
    """
    decays = decay_constant_per_s * duration_s
    return decays / -math.expm1(-decays) if decays > 1e-12 else 1.0


def region_scan(
    volume: QuantitativeVolume,
    regions: Sequence[Region],
    decay_constant_per_s: float,
    timing: ImageTiming,
    name: str = "the image",
    uncertainty: QuantitativeVolume | None = None,
) -> RegionScan:
    """An image brought to the activity present at its time after administration.

    A PET series read from DICOM holds at its decay reference: scan start (START, and NONE once its slices have been
    brought to one time), or administration (ADMIN). Of all others the user says what they are. Where the time comes
    from the header, a PET series is decayed to the mean of the middles of its slices' frames, and each slice
    keeps its own middle, so that the regions of a scan of several beds have their own times. Nothing is corrected
    twice: what was done is the record's parameter `timing`.

    Parameters
    ----------
    volume
        Activity concentration [Bq/mL].
    regions
        Regions on its grid.
    decay_constant_per_s
        Of the nuclide [1/s].
    timing
        What is known about its time.
    name
        What to call the image in messages.
    uncertainty
        Standard uncertainty of each voxel on the same grid [Bq/mL], which what is done to the image is done to as well.

    Raises
    ------
    InputError
        The time is neither given nor in the header, lies before the administration or in another time zone than that,
        or a correction would be made twice.
    UnitError
        The volume is no activity concentration.
    """
    pet = "decay_correction" in volume.record.parameters
    _refuse_double_correction(volume, timing, pet, name)
    administration, reference = _administration(volume, timing), volume.time
    at_administration = timing.corrected_to_administration or (pet and _correction(volume) == "ADMIN")
    slice_times_s = None
    warnings: tuple[str, ...] = ()
    if timing.time_s is None:
        time_s, slice_times_s, warnings = _header_time(volume, administration, timing, at_administration, name)
        holds_at_s = 0.0 if at_administration else _seconds(reference, administration)
    else:
        time_s = timing.time_s
        holds_at_s = 0.0 if at_administration else time_s
        if reference is not None and administration is not None and not at_administration:
            warnings = _clock_warning(name, time_s, _seconds(reference, administration))
    if time_s < 0:
        raise InputError(
            f"{name} lies {-time_s / SECONDS_PER_HOUR:g} h before the administration; expected a time of zero or "
            "later. Check the times of scan and injection."
        )
    factor = math.exp(-decay_constant_per_s * (time_s - holds_at_s))
    words = [_moved_words(time_s, holds_at_s, factor, at_administration)]
    if timing.frame_duration_s is not None:
        factor *= mean_to_start_factor(decay_constant_per_s, timing.frame_duration_s)
        words.append(f"mean over {timing.frame_duration_s:g} s brought to the start of the frame")
    record = volume.record.with_parameters(
        timing="; ".join(words),
        time_after_administration_h=time_s / SECONDS_PER_HOUR,
        time_source="given" if timing.time_s is not None else "header",
        decay_factor_applied=factor,
        frame_duration_s=timing.frame_duration_s,
    ).with_warnings(*warnings)
    array_kji = volume.array_kji if factor == 1.0 else volume.array_kji.astype(np.float64) * factor
    moment = volume.time if factor == 1.0 else None
    if timing.time_s is None and administration is not None:
        moment = administration + timedelta(seconds=time_s)
    moved = replace(volume.with_array(array_kji, record=record), time=moment)
    if uncertainty is not None and factor != 1.0:
        uncertainty = uncertainty.with_array(uncertainty.array_kji.astype(np.float64) * factor)
    return RegionScan(time_s, moved, tuple(regions), slice_times_s, uncertainty)


def at_its_time(record: Record, injection: datetime | None) -> Record:
    """The record of a scan that holds at its own time: how it stood in its file is kept aside under `as_read`.

    Whatever reads the scan then takes it as the activity present, and corrects nothing again.
    """
    parameters = {name: value for name, value in record.parameters.items() if name not in _OF_THE_FILE}
    aside = {name: value for name, value in record.parameters.items() if name in _OF_THE_FILE}
    if injection is not None:
        parameters["injection_time"] = injection.isoformat()
    return replace(record, parameters={**parameters, "as_read": aside})


def injection_of(record: Record) -> datetime | None:
    """When the header of a scan says that the tracer was given; None where it does not, or not as a moment."""
    return moment_of(record, "injection_time")


def moment_of(record: Record, name: str) -> datetime | None:
    """A moment among the parameters of a record; None where there is none, or what cannot be understood as one."""
    known = record.parameters.get(name)
    try:
        return datetime.fromisoformat(str(known)) if known else None
    except ValueError:
        return None


def slice_middles_of(path: Path, series_uid: str | None = None) -> tuple[datetime, ...]:
    """Middle of the frame of every slice of a DICOM PET series, in the order of the volume's slices.

    Empty where a slice has no Acquisition Time. A slice without Actual Frame Duration counts from its start.

    Raises
    ------
    FileFormatError, InputError, GeometryMismatchError
        As `read_dicom`.
    """
    path = Path(path)
    with dicom_errors(path):
        series = without_localizers(choose_series(path, find_series(path), ("PT",), series_uid))
        frames = [
            frame
            for dataset, file in zip(series.datasets, series.paths, strict=True)
            for frame in frames_of(dataset, file)
        ]
        timings = [timing_of(frame.dataset) for frame in stack_frames(frames).frames]
    middles = [
        timing.acquisition + timedelta(seconds=(timing.duration_s or 0.0) / 2.0)
        for timing in timings
        if timing.acquisition is not None
    ]
    return tuple(middles) if len(middles) == len(timings) else ()


def _refuse_double_correction(volume: QuantitativeVolume, timing: ImageTiming, pet: bool, name: str) -> None:
    if pet and timing.frame_duration_s is not None:
        raise InputError(
            f"A frame duration was given for {name}, a PET series whose slices are corrected for decay during their "
            f"frames (Decay Correction {_correction(volume)}); it would be corrected twice. Leave it out."
        )
    if pet and timing.corrected_to_administration:
        raise InputError(
            f"{name} is a PET series, whose header says to which time it is decay-corrected "
            f"({_correction(volume)}); leave decay-corrected-to-administration out."
        )
    if "decay_factor_applied" in volume.record.parameters:
        raise InputError(
            f"{name} was brought to its time after administration before "
            f"({volume.record.parameters.get('timing')}); expected the image as it was read, give that."
        )


def _correction(volume: QuantitativeVolume) -> str:
    return str(volume.record.parameters.get("decay_correction") or "")


def _administration(volume: QuantitativeVolume, timing: ImageTiming) -> datetime | None:
    if timing.administration is not None:
        if timing.administration.tzinfo is not None and volume.time is not None and volume.time.tzinfo is None:
            raise InputError(
                f"The administration at {timing.administration.isoformat()} names a time zone, the clock of the image "
                "none; give the local time of the scanner, without a zone."
            )
        return timing.administration
    return injection_of(volume.record)


def _header_time(
    volume: QuantitativeVolume,
    administration: datetime | None,
    timing: ImageTiming,
    at_administration: bool,
    name: str,
) -> tuple[float, NDArray[np.float64] | None, tuple[str, ...]]:
    """Time after administration, of the scan and of each slice, from image and administration."""
    if administration is None:
        raise InputError(
            f"{name} does not say when the activity was administered; give that moment, or the hours from it to the "
            "scan."
        )
    if timing.slice_middles:
        slice_times_s = np.array([_seconds(moment, administration) for moment in timing.slice_middles])
        if len(slice_times_s) != volume.array_kji.shape[0]:
            raise InputError(
                f"{name} has {volume.array_kji.shape[0]} slices and times for {len(slice_times_s)}; expected as many."
            )
        if slice_times_s.min() < 0:
            return float(slice_times_s.min()), None, ()
        return float(slice_times_s.mean()), slice_times_s, ()
    if at_administration or volume.time is None:
        raise InputError(f"{name} does not say when it was measured; give the hours from administration to scan.")
    time_s = _seconds(volume.time, administration)
    return time_s, None, (f"The header of {name} gives no time per slice: the whole scan counts as one moment.",)


def _seconds(moment: datetime | None, since: datetime | None) -> float:
    """Seconds between two moments; a time zone that only the image has is left out: both are the scanner's time."""
    if moment is None or since is None:
        raise InputError("The image has no time; give the hours from administration to scan.")
    if moment.tzinfo is None or since.tzinfo is None:
        moment, since = moment.replace(tzinfo=None), since.replace(tzinfo=None)
    return (moment - since).total_seconds()


def _clock_warning(name: str, given_s: float, header_s: float) -> tuple[str, ...]:
    if abs(given_s - header_s) <= CLOCK_DIFFERENCE_WARNING_S:
        return ()
    return (
        f"{name} is {header_s / SECONDS_PER_HOUR:.4g} h after the administration by its header, "
        f"{given_s / SECONDS_PER_HOUR:.4g} h were given: the given time was used.",
    )


def _moved_words(time_s: float, holds_at_s: float, factor: float, at_administration: bool) -> str:
    if factor == 1.0:
        return "taken as the activity present at the scan's time"
    where = "the administration" if at_administration else f"{holds_at_s / SECONDS_PER_HOUR:.6g} h"
    return f"decayed from {where} to {time_s / SECONDS_PER_HOUR:.6g} h"
