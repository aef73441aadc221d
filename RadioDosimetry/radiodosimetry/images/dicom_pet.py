"""PET series to activity concentration [Bq/mL] at a known time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ..errors import FileFormatError, UnitError
from ..progress import Progress
from ..provenance import Record
from ..units import Quantity
from .dicom_decay import DecayReference, decay_factor_of, decay_reference, injection_time, timing_of
from .dicom_files import DicomSeries, without_localizers
from .dicom_header import file_name, first_item, is_positive, items, missing, number, tag_name, text, texts
from .dicom_series import Frame, FrameStack, frames_of, read_stack, rescaling, stack_frames
from .volume import QuantitativeVolume

PHILIPS_GROUP = 0x7053
PHILIPS_CREATOR = "Philips PET Private Group"
_PHILIPS_SUV_FACTOR = 0x00
_PHILIPS_ACTIVITY_FACTOR = 0x09

LARGEST_USUAL_INJECTION_BQ = 1.5e9
"""Above this a diagnostic injection of a nuclide of hours is suspicious: 4.27 GBq of FDG stands in a real header."""

SMALLEST_USUAL_INJECTION_BQ = 1e5
"""Below this the total dose was probably written in MBq instead of Bq."""

_USUAL_HALF_LIVES_S = (1000.0, 86400.0)
"""Nuclides the upper bound is for: from C-11 to Cu-64. Rb-82 and O-15 are given in more, Y-90 as therapy."""

PHILIPS_FACTORS_TOLERANCE = 0.02
"""Largest relative difference of activity by the two private factors of Philips before a warning."""

_REFUSED_UNITS = {
    "PROPCPS": "counts per second in proportion to activity, without a calibration to Bq/mL",
    "PROPCNTS": "counts in proportion to activity, without a calibration to Bq/mL",
    "CPS": "counts per second without a calibration to Bq/mL",
    "PCNT": "per cent of something",
    "NONE": "numbers without a unit",
    "MGMINML": "a metabolic rate, not an activity",
    "UMOLMINML": "a metabolic rate, not an activity",
    "MLMING": "a perfusion, not an activity",
    "MLG": "a volume of distribution, not an activity",
    "STDDEV": "standard deviations, not an activity",
}


@dataclass(frozen=True)
class Injection:
    """What the header says about the injected activity.

    Attributes
    ----------
    activity_bq, time, half_life_s, weight_kg
        None where the header has none.
    nuclide
        Code meaning or name as the scanner wrote it, None if unknown.
    """

    activity_bq: float | None
    time: datetime | None
    half_life_s: float | None
    weight_kg: float | None
    nuclide: str | None

    @property
    def decay_constant_per_s(self) -> float | None:
        """ln 2 over the half-life, None if unknown."""
        return math.log(2) / self.half_life_s if self.half_life_s else None

    def suv_factor_ml_per_g(self, reference: DecayReference) -> float | None:
        """SUVbw [g/mL] per Bq/mL: body weight over the injected activity decayed to the reference time.

        None where weight, activity, injection time or half-life is unknown, or the series is not decay-corrected.
        """
        if self.weight_kg is None or self.activity_bq is None or reference.correction == "NONE":
            return None
        if self.time is None or self.decay_constant_per_s is None:
            return None
        decays = self.decay_constant_per_s * (reference.time - self.time).total_seconds()
        if abs(decays) > 50:
            return None
        return 1000.0 * self.weight_kg / (self.activity_bq * math.exp(-decays))


def read_pet(
    series: DicomSeries, *, reference_time: datetime | None = None, progress: Progress | None = None
) -> QuantitativeVolume:
    """Activity concentration of a PET series.

    Parameters
    ----------
    series
        Headers and files of one PET series.
    reference_time
        Moment at which the activity holds, instead of the header's; recorded with a warning. Local time of the scanner.
    progress
        Who is told how far reading has come.

    Returns
    -------
    QuantitativeVolume
        Activity concentration [Bq/mL], array (k, j, i) of float32, with `time` the decay reference. Injection, weight,
        half-life and the SUVbw factor are parameters of the record.

    Raises
    ------
    UnitError
        Units (0054,1001) other than BQML, CNTS with Philips' private factors, or GML of type body weight.
    FileFormatError
        Missing attributes, each by name; a decay reference that contradicts the slices' Decay Factors.
    GeometryMismatchError
        The slices do not make one regular grid.
    """
    series = without_localizers(series)
    stack = stack_frames(
        [
            frame
            for dataset, path in zip(series.datasets, series.paths, strict=True)
            for frame in frames_of(dataset, path)
        ]
    )
    datasets = [frame.dataset for frame in stack.frames]
    units = _units(stack)
    radiopharmaceutical = first_item(datasets[0], "RadiopharmaceuticalInformationSequence")
    half_life_s = number(radiopharmaceutical, "RadionuclideHalfLife") if radiopharmaceutical is not None else None
    half_life_s = half_life_s if is_positive(half_life_s) else None
    decay_constant_per_s = math.log(2) / half_life_s if half_life_s else None
    reference = decay_reference(datasets, radiopharmaceutical, decay_constant_per_s, reference_time)
    injection, warnings = injection_of(datasets[0], radiopharmaceutical, reference.time)
    factors, unit_warnings = _factors_to_bq_per_ml(stack, units, injection, reference)
    slices = read_stack(stack, progress)
    array_kji = np.empty(slices.shape, dtype=np.float32)
    for k, frame in enumerate(stack.frames):
        slope, intercept = rescaling(frame)
        if slope is None:
            raise missing(frame.dataset, "RescaleSlope", "to turn stored numbers into activity (it differs per slice)")
        array_kji[k] = (slices[k].astype(np.float64) * slope + (intercept or 0.0)) * factors[k]
    record = Record(
        "read a PET series from DICOM",
        parameters=_parameters(units, injection, reference, stack),
        warnings=tuple(
            dict.fromkeys(
                (
                    *_synthetic_warning(datasets[0]),
                    *stack.warnings,
                    *reference.warnings,
                    *_given_time_warning(reference),
                    *warnings,
                    *unit_warnings,
                    *_correction_warnings(datasets[0], reference),
                )
            )
        ),
    )
    return QuantitativeVolume(array_kji, stack.geometry, Quantity.ACTIVITY_CONCENTRATION, reference.time, record)


def injection_of(
    dataset: Dataset, radiopharmaceutical: Dataset | None, reference: datetime | None
) -> tuple[Injection, tuple[str, ...]]:
    """Injected activity, its time, the half-life and the patient's weight, with warnings where they look wrong."""
    weight_kg = number(dataset, "PatientWeight")
    weight_kg = weight_kg if is_positive(weight_kg) else None
    if radiopharmaceutical is None:
        return Injection(None, None, None, weight_kg, None), ()
    activity_bq = number(radiopharmaceutical, "RadionuclideTotalDose")
    activity_bq = activity_bq if is_positive(activity_bq) else None
    half_life_s = number(radiopharmaceutical, "RadionuclideHalfLife")
    half_life_s = half_life_s if is_positive(half_life_s) else None
    moment, warnings = injection_time(radiopharmaceutical, reference)
    code = first_item(radiopharmaceutical, "RadionuclideCodeSequence")
    nuclide = text(code, "CodeMeaning") if code is not None else text(radiopharmaceutical, "Radiopharmaceutical")
    injection = Injection(activity_bq, moment, half_life_s, weight_kg, nuclide)
    return injection, (*warnings, *_activity_warnings(injection))


def _activity_warnings(injection: Injection) -> tuple[str, ...]:
    activity_bq, half_life_s = injection.activity_bq, injection.half_life_s
    if activity_bq is None:
        return ()
    shortest_s, longest_s = _USUAL_HALF_LIVES_S
    if activity_bq > LARGEST_USUAL_INJECTION_BQ and half_life_s and shortest_s < half_life_s < longest_s:
        return (
            f"The header says {activity_bq / 1e9:.3g} GBq were injected, more than the "
            f"{LARGEST_USUAL_INJECTION_BQ / 1e9:g} GBq "
            "usual for a diagnostic injection: check Radionuclide Total Dose before using SUV or uptake fractions.",
        )
    if activity_bq < SMALLEST_USUAL_INJECTION_BQ:
        return (
            f"The header says {activity_bq:.4g} Bq were injected; expected Bq in a PET header, this looks like MBq: "
            "check Radionuclide Total Dose before using SUV or uptake fractions.",
        )
    return ()


def _units(stack: FrameStack) -> str:
    found = {_unit_of(frame) for frame in stack.frames}
    if len(found) > 1:
        raise UnitError(
            f"Slices differ in Units (0054,1001): {sorted(map(str, found))}; expected one unit in a series."
        )
    units = found.pop()
    if units is None:
        raise missing(stack.frames[0].dataset, "Units", "to know what the pixels mean; expected BQML, CNTS or GML")
    if units not in ("BQML", "CNTS", "GML"):
        reason = _REFUSED_UNITS.get(units, "no unit of activity concentration")
        raise UnitError(
            f"Units (0054,1001) of {stack.frames[0].name} is {units}: {reason}; expected BQML, CNTS with Philips' "
            "private factors, or GML. Export the series in Bq/mL."
        )
    return units


def _unit_of(frame: Frame) -> str | None:
    units = text(frame.dataset, "Units")
    if units is not None:
        return units.upper()
    mapping = frame.macro("RealWorldValueMappingSequence")
    code = first_item(mapping, "MeasurementUnitsCodeSequence")
    rescale_type = text(frame.macro("PixelValueTransformationSequence"), "RescaleType") if frame.groups else None
    named = (text(code, "CodeValue") if code is not None else None) or rescale_type or ""
    return {"BQ/ML": "BQML", "BQML": "BQML", "G/ML{SUVBW}": "GML"}.get(named.upper())


def _factors_to_bq_per_ml(
    stack: FrameStack, units: str, injection: Injection, reference: DecayReference
) -> tuple[Sequence[float], tuple[str, ...]]:
    """Per slice, what turns rescaled values into Bq/mL at the reference time."""
    count = len(stack.frames)
    factors: Sequence[float] = [1.0] * count
    warnings: tuple[str, ...] = ()
    if units == "GML":
        factors = [1 / _required_suv_factor(stack.frames[0], injection, reference)] * count
    elif units == "CNTS":
        factors, warnings = _philips_factors(stack, injection, reference)
    if reference.correction == "NONE":
        return _corrected_to_one_time(stack, factors, injection, reference), warnings
    return factors, warnings


def _required_suv_factor(frame: Frame, injection: Injection, reference: DecayReference) -> float:
    kind = text(frame.dataset, "SUVType")
    if kind not in (None, "BW"):
        raise UnitError(
            f"{tag_name('SUVType')} of {frame.name} is {kind}; expected BW (body weight): the other types cannot be "
            "turned into Bq/mL safely. Export the series in Bq/mL."
        )
    why = "to turn SUV into Bq/mL"
    for keyword, value in (
        ("PatientWeight", injection.weight_kg),
        ("RadionuclideTotalDose", injection.activity_bq),
        ("RadionuclideHalfLife", injection.half_life_s),
        ("RadiopharmaceuticalStartTime", injection.time),
    ):
        if value is None:
            raise missing(frame.dataset, keyword, why)
    if injection.activity_bq is not None and injection.activity_bq < SMALLEST_USUAL_INJECTION_BQ:
        raise UnitError(
            f"{tag_name('RadionuclideTotalDose')} of {frame.name} is {injection.activity_bq:g}; expected Bq, needed "
            f"{why}. Correct the header."
        )
    factor = injection.suv_factor_ml_per_g(reference)
    if factor is None:
        raise UnitError(
            f"The SUV of {frame.name} cannot be turned into Bq/mL: injection at {injection.time}, decay reference "
            f"{reference.time} (Decay Correction {reference.correction}). Export the series in Bq/mL."
        )
    return factor


def philips_factor(dataset: Dataset, element: int) -> float | None:
    """A scale factor of Philips' private group: 0x00 SUV per count, 0x09 Bq/mL per count; None if absent or zero."""
    block = next(
        (
            tag.element
            for tag in list(dataset.keys())
            if tag.group == PHILIPS_GROUP and 0x10 <= tag.element <= 0xFF and PHILIPS_CREATOR in str(dataset[tag].value)
        ),
        0x10,
    )
    tag = (PHILIPS_GROUP, (block << 8) + element)
    if tag not in dataset:
        return None
    value = dataset[tag].value
    try:
        factor = float(value.decode("latin-1").strip(" \0") if isinstance(value, bytes) else value)
    except (TypeError, ValueError):
        raise FileFormatError(
            f"Philips' private factor ({tag[0]:04X},{tag[1]:04X}) of {file_name(dataset)} is {str(value)[:40]!r}; "
            "expected a number."
        ) from None
    return factor if is_positive(factor) else None


def _philips_factors(
    stack: FrameStack, injection: Injection, reference: DecayReference
) -> tuple[Sequence[float], tuple[str, ...]]:
    activity = [philips_factor(frame.dataset, _PHILIPS_ACTIVITY_FACTOR) for frame in stack.frames]
    suv = [philips_factor(frame.dataset, _PHILIPS_SUV_FACTOR) for frame in stack.frames]
    known_activity = [factor for factor in activity if factor is not None]
    known_suv = [factor for factor in suv if factor is not None]
    suv_per_bq_per_ml = injection.suv_factor_ml_per_g(reference)
    if len(known_activity) == len(stack.frames):
        if suv_per_bq_per_ml is None or len(known_suv) != len(stack.frames):
            return known_activity, ()
        ratios = np.array(known_suv) / suv_per_bq_per_ml / np.array(known_activity)
        worst = float(ratios[np.argmax(np.abs(ratios - 1))])
        if abs(worst - 1) <= PHILIPS_FACTORS_TOLERANCE:
            return known_activity, ()
        return known_activity, (
            f"Philips' SUV factor (7053,1000) gives {100 * (worst - 1):+.1f} % another activity than its activity "
            "factor (7053,1009), which is used: check weight, injected activity and times.",
        )
    if len(known_suv) == len(stack.frames):
        per_suv = 1 / _required_suv_factor(stack.frames[0], injection, reference)
        return [factor * per_suv for factor in known_suv], (
            "Activity was calculated back from SUV (Philips (7053,1000)): it is as right as weight and injection in "
            "the header.",
        )
    raise UnitError(
        f"Units (0054,1001) of {stack.frames[0].name} is CNTS and Philips' factors (7053,1009) [Bq/mL per count] and "
        "(7053,1000) [SUV per count] are missing or zero; expected one of them on every slice. Export in Bq/mL."
    )


def _corrected_to_one_time(
    stack: FrameStack, factors: Sequence[float], injection: Injection, reference: DecayReference
) -> Sequence[float]:
    decay_constant_per_s = injection.decay_constant_per_s
    if decay_constant_per_s is None:
        raise missing(
            stack.frames[0].dataset,
            "RadionuclideHalfLife",
            "because Decay Correction is NONE: the slices are brought to one time by it",
        )
    return [
        factor * decay_factor_of(timing_of(frame.dataset), reference.time, decay_constant_per_s)
        for factor, frame in zip(factors, stack.frames, strict=True)
    ]


def _correction_warnings(dataset: Dataset, reference: DecayReference) -> tuple[str, ...]:
    done = texts(dataset, "CorrectedImage")
    if not done:
        return ()
    lacking = [
        f"{word} ({code})"
        for code, word in (("ATTN", "attenuation"), ("SCAT", "scatter"), ("NORM", "detector normalisation"))
        if not any(item.startswith(code) for item in done)
    ]
    if reference.correction != "NONE" and "DECY" not in done:
        lacking.append("decay (DECY), although Decay Correction says it was")
    if not lacking:
        return ()
    return (f"Corrected Image (0028,0051) does not list {', '.join(lacking)}: the activity may not be quantitative.",)


def _given_time_warning(reference: DecayReference) -> tuple[str, ...]:
    if reference.rule != "given by the user":
        return ()
    return (f"The decay reference {reference.time.isoformat()} was given by the user, not taken from the header.",)


def says_synthetic(dataset: Dataset) -> bool:
    """Whether a header says, as those of `dicom_pet_writer` do, that the image was never measured."""
    return str(dataset.get("DerivationDescription", "")).startswith("SYNTHETIC")


def _synthetic_warning(dataset: Dataset) -> tuple[str, ...]:
    if not says_synthetic(dataset):
        return ()
    how = str(dataset.DerivationDescription).removeprefix("SYNTHETIC").strip().rstrip(".")
    return (f"The series is synthetic and was never measured; its header says: {how or 'nothing more'}.",)


def _parameters(units: str, injection: Injection, reference: DecayReference, stack: FrameStack) -> Mapping[str, Any]:
    timings = [timing_of(frame.dataset) for frame in stack.frames]
    durations_s = [timing.duration_s for timing in timings if timing.duration_s is not None]
    starts = [timing.acquisition for timing in timings if timing.acquisition is not None]
    return {
        "units": units,
        "synthetic": says_synthetic(stack.frames[0].dataset),
        "slices": len(stack.frames),
        "decay_correction": reference.correction,
        "decay_reference_time": reference.time.isoformat(),
        "decay_reference_rule": reference.rule,
        "decay_factors_checked": sum(timing.decay_factor is not None for timing in timings)
        if injection.decay_constant_per_s
        else 0,
        "first_acquisition_time": min(starts).isoformat() if starts else None,
        "longest_frame_duration_s": max(durations_s, default=None),
        "radionuclide": injection.nuclide,
        "half_life_s": injection.half_life_s,
        "injected_activity_bq": injection.activity_bq,
        "injection_time": injection.time.isoformat() if injection.time else None,
        "patient_weight_kg": injection.weight_kg,
        "suvbw_factor_ml_per_g": injection.suv_factor_ml_per_g(reference),
        "corrections": list(texts(stack.frames[0].dataset, "CorrectedImage")),
        "radiopharmaceuticals": len(items(stack.frames[0].dataset, "RadiopharmaceuticalInformationSequence")),
    }
