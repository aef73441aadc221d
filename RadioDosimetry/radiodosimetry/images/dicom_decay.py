"""The clock of a PET series: to which moment its activity is decay-corrected, and whether every slice agrees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom.dataset import Dataset

from ..errors import FileFormatError, InputError
from .dicom_header import (
    MILLISECONDS_PER_SECOND,
    date_and_time,
    date_time,
    file_name,
    is_positive,
    missing,
    number,
    text,
    value_of,
)

DECAY_FACTOR_TOLERANCE = 0.01
"""Largest relative difference between a slice's Decay Factor and the one its clock gives.

Vendors average over the frame in slightly different ways (below 0.1 % for frames shorter than a tenth of the
half-life) and print times to 1 s; a wrong clock shows up as several per cent.
"""

LONGEST_UPTAKE = timedelta(days=60)
"""An injection longer ago than this is a date changed by de-identification, not an uptake time."""


@dataclass(frozen=True)
class SliceTiming:
    """What one slice says about time.

    Attributes
    ----------
    name
        File name.
    acquisition
        Start of the acquisition, None if unknown.
    duration_s
        Actual Frame Duration, None if unknown.
    decay_factor
        Decay Factor (0054,1321) that its values were multiplied with, None if unknown.
    """

    name: str
    acquisition: datetime | None
    duration_s: float | None
    decay_factor: float | None


@dataclass(frozen=True)
class DecayReference:
    """The moment at which the activity of a series holds.

    Attributes
    ----------
    time
        The moment, local time of the scanner.
    rule
        Where it comes from, in words.
    correction
        START, ADMIN or NONE, as the header says.
    warnings
        What is doubtful.
    """

    time: datetime
    rule: str
    correction: str
    warnings: tuple[str, ...] = ()


def mean_decay_delay_s(decay_constant_per_s: float, duration_s: float) -> float:
    """When, after the start of a frame, the activity equals its mean over the frame [s].

    t = ln(λT / (1 − exp(−λT))) / λ, DICOM PS3.3 C.8.9.4.1.5 (Frame Reference Time).
    """
    decays = decay_constant_per_s * duration_s
    if decays < 1e-8:
        return duration_s / 2
    return math.log(decays / -math.expm1(-decays)) / decay_constant_per_s


def timing_of(dataset: Dataset) -> SliceTiming:
    """Acquisition time, duration and decay factor of one slice."""
    duration_ms = number(dataset, "ActualFrameDuration")
    factor = number(dataset, "DecayFactor")
    return SliceTiming(
        file_name(dataset),
        acquisition_time(dataset),
        duration_ms / MILLISECONDS_PER_SECOND if duration_ms is not None and duration_ms > 0 else None,
        factor if is_positive(factor) else None,
    )


def acquisition_time(dataset: Dataset) -> datetime | None:
    """Start of the acquisition of a slice; where it has no date, with the date of the series or study."""
    return (
        date_time(dataset, "AcquisitionDateTime")
        or date_and_time(dataset, "AcquisitionDate", "AcquisitionTime")
        or date_and_time(dataset, "SeriesDate", "AcquisitionTime")
        or date_and_time(dataset, "StudyDate", "AcquisitionTime")
    )


def series_time(dataset: Dataset) -> datetime | None:
    """Start of the series; where it has no date, with the date of the study."""
    return date_and_time(dataset, "SeriesDate", "SeriesTime") or date_and_time(dataset, "StudyDate", "SeriesTime")


def injection_time(radiopharmaceutical: Dataset, reference: datetime | None) -> tuple[datetime | None, tuple[str, ...]]:
    """Radiopharmaceutical Start Date Time, or Start Time on the last day before `reference`.

    Returns
    -------
    tuple
        The moment (None if the header has none, or a time without any date) and warnings.
    """
    moment = date_time(radiopharmaceutical, "RadiopharmaceuticalStartDateTime")
    if moment is not None:
        if reference is None or timedelta(0) <= reference - moment <= LONGEST_UPTAKE:
            return moment, ()
        if text(radiopharmaceutical, "RadiopharmaceuticalStartTime") is None:
            return moment, (f"The injection at {moment} does not precede the scan at {reference} by hours or days.",)
    if reference is None:
        return None, ()
    bare = Dataset()
    bare.SeriesDate = reference.strftime("%Y%m%d")
    start = value_of(radiopharmaceutical, "RadiopharmaceuticalStartTime")
    if start is None:
        return None, ()
    bare.RadiopharmaceuticalStartTime = start
    clock = date_and_time(bare, "SeriesDate", "RadiopharmaceuticalStartTime")
    warnings: list[str] = []
    if clock is not None and clock > reference:
        clock -= timedelta(days=1)
        warnings.append(
            f"The injection time {start} is later in the day than the scan at {reference}: taken as the day before, "
            f"{clock}."
        )
    if moment is not None:
        warnings.append(
            f"Radiopharmaceutical Start Date Time {moment} is impossible for a scan at {reference}; its time of day "
            "is used."
        )
    return clock, tuple(warnings)


def decay_reference(
    datasets: Sequence[Dataset],
    radiopharmaceutical: Dataset | None,
    decay_constant_per_s: float | None,
    given: datetime | None = None,
) -> DecayReference:
    """The moment to which a PET series is decay-corrected.

    DecayCorrection START means Series Time when it does not follow the earliest Acquisition Time, else (a series made
    by post-processing) the earliest Acquisition Time of the whole series, never the slice's own. ADMIN means the
    radiopharmaceutical's start. NONE means no correction: the earliest Acquisition Time, to which
    `none_correction_factors` bring every slice. Every slice's Decay Factor is compared with exp(λ(t − reference + mean
    delay in the frame)).

    Parameters
    ----------
    datasets
        Headers of all slices.
    radiopharmaceutical
        Item of the Radiopharmaceutical Information Sequence, None if absent.
    decay_constant_per_s
        Of the nuclide, None if unknown: then nothing is checked.
    given
        A reference time from the user, which wins over the rules.

    Raises
    ------
    FileFormatError
        Decay Correction or the times it needs are missing, or START contradicts the slices' Decay Factors.
    """
    first = datasets[0]
    corrections = {(text(dataset, "DecayCorrection") or "").upper() for dataset in datasets}
    if len(corrections) > 1:
        raise FileFormatError(
            f"Slices differ in Decay Correction (0054,1102): {sorted(corrections)}; expected one value."
        )
    correction = corrections.pop()
    enhanced = date_time(first, "DecayCorrectionDateTime")
    if given is None and correction not in ("START", "ADMIN", "NONE") and enhanced is None:
        if not correction:
            raise missing(first, "DecayCorrection", "to know at which time the activity holds; or give reference_time")
        raise FileFormatError(
            f"Decay Correction (0054,1102) of {file_name(first)} is '{correction}'; expected START, ADMIN or NONE. "
            "Give reference_time."
        )
    timings = [timing_of(dataset) for dataset in datasets]
    if given is not None:
        reference = DecayReference(given.replace(tzinfo=None), "given by the user", correction)
    elif enhanced is not None and correction not in ("START", "ADMIN", "NONE"):
        reference = DecayReference(enhanced, "Decay Correction Date Time (0018,9701)", "START")
    elif correction == "ADMIN":
        reference = _injection_reference(datasets, radiopharmaceutical)
    elif correction == "START":
        reference = _start_reference(datasets, timings)
    else:
        reference = DecayReference(
            _earliest(datasets, timings), "earliest Acquisition Time, not decay-corrected", "NONE"
        )
    return _checked(reference, timings, decay_constant_per_s, [series_time(first), _earliest_or_none(timings)])


def _injection_reference(datasets: Sequence[Dataset], radiopharmaceutical: Dataset | None) -> DecayReference:
    known = [moment for moment in map(acquisition_time, datasets) if moment is not None]
    scan = min(known) if known else series_time(datasets[0])
    moment, warnings = injection_time(radiopharmaceutical, scan) if radiopharmaceutical is not None else (None, ())
    if moment is None:
        raise missing(
            datasets[0],
            "RadiopharmaceuticalStartTime",
            "because Decay Correction is ADMIN: the activity holds at the injection; or give reference_time",
        )
    return DecayReference(moment, "radiopharmaceutical start (ADMIN)", "ADMIN", warnings)


def _start_reference(datasets: Sequence[Dataset], timings: Sequence[SliceTiming]) -> DecayReference:
    series_times = {moment for moment in map(series_time, datasets) if moment is not None}
    earliest = _earliest_or_none(timings)
    start = min(series_times) if series_times else None
    if start is not None and (earliest is None or start <= earliest):
        warnings = ("No slice has an Acquisition Time: Series Time could not be checked.",) if earliest is None else ()
        return DecayReference(start, "Series Time", "START", warnings)
    return DecayReference(_earliest(datasets, timings), "earliest Acquisition Time of the series", "START")


def _earliest_or_none(timings: Sequence[SliceTiming]) -> datetime | None:
    return min((timing.acquisition for timing in timings if timing.acquisition is not None), default=None)


def _earliest(datasets: Sequence[Dataset], timings: Sequence[SliceTiming]) -> datetime:
    earliest = _earliest_or_none(timings)
    if earliest is None:
        raise missing(
            datasets[0], "AcquisitionTime", "to know at which time the activity holds; or give reference_time"
        )
    return earliest


def _checked(
    reference: DecayReference,
    timings: Sequence[SliceTiming],
    decay_constant_per_s: float | None,
    other_clocks: Sequence[datetime | None],
) -> DecayReference:
    if decay_constant_per_s is None:
        return reference
    deviation, name = _worst_deviation(reference, timings, decay_constant_per_s)
    if name is None:
        return _with_warnings(reference, "No slice has a Decay Factor (0054,1321): the reference time is unchecked.")
    if abs(deviation) <= DECAY_FACTOR_TOLERANCE:
        return reference
    better = ""
    for clock in other_clocks:
        if clock is not None and clock != reference.time:
            other = DecayReference(clock, "", reference.correction)
            if abs(_worst_deviation(other, timings, decay_constant_per_s)[0]) <= DECAY_FACTOR_TOLERANCE:
                better = f" The Decay Factors fit a reference time of {clock.isoformat()}."
    message = (
        f"The Decay Factor of {name} differs by {100 * deviation:+.1f} % from the one of its clock ({reference.rule}, "
        f"{reference.time.isoformat()}, Decay Correction {reference.correction or 'unknown'}); expected within "
        f"{100 * DECAY_FACTOR_TOLERANCE:g} %.{better}"
    )
    if reference.rule == "given by the user" or reference.correction == "ADMIN":
        return _with_warnings(reference, message)
    raise FileFormatError(f"{message} Find out the decay reference and give reference_time.")


def _worst_deviation(
    reference: DecayReference, timings: Sequence[SliceTiming], decay_constant_per_s: float
) -> tuple[float, str | None]:
    """Largest relative deviation of a slice's Decay Factor from the expected one, and the slice's name."""
    worst, name = 0.0, None
    for timing in timings:
        if timing.decay_factor is None or (timing.acquisition is None and reference.correction != "NONE"):
            continue
        expected = 1.0
        if reference.correction != "NONE":
            expected = decay_factor_of(timing, reference.time, decay_constant_per_s)
        deviation = timing.decay_factor / expected - 1
        if name is None or abs(deviation) > abs(worst):
            worst, name = deviation, timing.name
    return worst, name


def decay_factor_of(timing: SliceTiming, reference: datetime, decay_constant_per_s: float) -> float:
    """What the mean activity over a frame is multiplied with to hold at `reference`.

    Raises
    ------
    InputError
        The times are so far apart that the factor is no number.
    """
    if timing.acquisition is None:
        raise FileFormatError(f"{timing.name} has no Acquisition Time (0008,0032); it is needed to correct for decay.")
    delay_s = (timing.acquisition - reference).total_seconds()
    if timing.duration_s is not None:
        delay_s += mean_decay_delay_s(decay_constant_per_s, timing.duration_s)
    exponent = decay_constant_per_s * delay_s
    if abs(exponent) > 50:
        raise InputError(
            f"{timing.name} was acquired {delay_s / 3600:.1f} h after the decay reference {reference.isoformat()}, "
            f"{exponent / math.log(2):.0f} half-lives; expected fewer. Check dates, half-life and reference time."
        )
    return math.exp(exponent)


def _with_warnings(reference: DecayReference, *warnings: str) -> DecayReference:
    return DecayReference(reference.time, reference.rule, reference.correction, (*reference.warnings, *warnings))
