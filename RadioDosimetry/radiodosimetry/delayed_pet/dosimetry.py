"""From serial PET to organ doses, twice: with the scans that were acquired, and with one early scan and synthetic ones.

The chain of Kim 2025: activity of each organ at each time, a mono-exponential through the points, residence times, and
organ doses by the S-values of a stylised adult.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import InputError
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..organ_dose.mird import organ_doses
from ..organ_dose.organ_names import REMAINDER, organ_named
from ..organ_dose.residence_times import ResidenceTime
from ..organ_dose.s_value_table import SValueTable
from ..organ_dose.s_values import phantom_s_values
from ..time_activity.fitting import fit_curve
from ..time_activity.time_activity_curve import TimeActivityCurve
from ..units import SECONDS_PER_HOUR
from .baselines import region_activities
from .region_names import EVERYTHING_ELSE, is_lesion, tissue_of

PHANTOM = "adult-male"
"""Whose S-values are used: those of Kim 2025's Table 2."""

MODEL = "mono"
"""Of the curves, as Kim 2025: three points would not tell a second phase."""

SOURCE_OF_REGION: Mapping[str, str] = {
    "left_kidney": "kidneys",
    "right_kidney": "kidneys",
    "left_lung": "lungs",
    "right_lung": "lungs",
    "stomach": "stomach_contents",
    "small_intestine": "small_intestine_contents",
    "colon": "uli_contents",
    "urinary_bladder_contents": "bladder_contents",
    "cortical_bone": "cortical_bone_volume",
    "blood_vessels": "heart_contents",
    "remainder": REMAINDER,
    EVERYTHING_ELSE: REMAINDER,
}
"""Regions that a phantom knows by another name, or as parts of one source. Blood in the large vessels counts with that
of the heart, the colon with the upper large intestine: the phantom has no closer source."""

LESIONS = "lesions"
"""What stands for the lesions of all patients."""


@dataclass(frozen=True)
class PatientDosimetry:
    """Residence times and organ doses of one patient from one series of scans.

    Attributes
    ----------
    residence_times_h
        Source organ or lesion to its residence time [h].
    doses_gy_per_bq
        Target organ to its absorbed dose per administered activity [Gy/Bq]; lesions have none.
    curves_percent_id
        Source organ or lesion to its activity at the scans [% of the administered activity, present].
    times_h
        Of the scans.
    """

    residence_times_h: Mapping[str, float]
    doses_gy_per_bq: Mapping[str, float]
    curves_percent_id: Mapping[str, tuple[float, ...]]
    times_h: tuple[float, ...]


def patient_dosimetry(
    scans: Mapping[float, QuantitativeVolume],
    labels: LabelMap,
    nuclide: str,
    administered_bq: float,
    phantom: str = PHANTOM,
    model: str = MODEL,
) -> PatientDosimetry:
    """Organ doses of a patient from serial scans.

    Parameters
    ----------
    scans
        Time after injection [s] to activity concentration present at that time [Bq/mL].
    labels
        Regions on the grid of the scans.
    nuclide
        Of the tracer.
    administered_bq
        Administered activity [Bq].
    phantom
        "adult-male" or "adult-female".
    model
        Of the curves, one of `fitting.FIT_MODELS`.

    Raises
    ------
    InputError
        The administered activity is not positive, or no region is a source that the phantom knows.
    """
    if not administered_bq > 0:
        raise InputError(f"Residence times need an administered activity above zero, found {administered_bq:g} Bq.")
    table = _s_values(Radionuclide(nuclide).name, phantom)
    activities = source_activities(scans, labels, table)
    times_s = np.array(sorted(scans))
    decay_constant = Radionuclide(nuclide).decay_constant_per_s
    residence_h: dict[str, float] = {}
    for source, values in activities.items():
        column = np.maximum(np.array(values), 0.0)
        if not column.max() > 0:
            continue
        curve = TimeActivityCurve(source, times_s, column)
        fit = fit_curve(curve, decay_constant, model)
        residence_h[source] = fit.tia_bq_s / administered_bq / SECONDS_PER_HOUR
    organs = {
        source: ResidenceTime(hours * SECONDS_PER_HOUR)
        for source, hours in residence_h.items()
        if not is_lesion(source)
    }
    if not organs:
        raise InputError("No region of the patient is a source organ of the phantom; name regions as organs.")
    doses = organ_doses(organs, table)
    return PatientDosimetry(
        residence_h,
        dict(zip(doses.targets, map(float, doses.dose_gy_per_bq), strict=True)),
        {source: tuple(100.0 * value / administered_bq for value in values) for source, values in activities.items()},
        tuple(float(time) / SECONDS_PER_HOUR for time in times_s),
    )


def source_activities(
    scans: Mapping[float, QuantitativeVolume], labels: LabelMap, table: SValueTable
) -> dict[str, list[float]]:
    """Activity [Bq] of each source at each time in rising order, parts of one organ together.

    Lesions keep their names; what is no source of the phantom counts with the remainder.
    """
    found: dict[str, list[float]] = {}
    for index, time_s in enumerate(sorted(scans)):
        voxel_ml = scans[time_s].geometry.voxel_volume_ml
        for region, total in region_activities(scans[time_s].array_kji, labels).items():
            row = found.setdefault(source_of(region, table), [0.0] * len(scans))
            row[index] += total * voxel_ml
    return found


def source_of(region: str, table: SValueTable) -> str:
    """The source that a region is, or is part of."""
    if is_lesion(region):
        return region
    name = tissue_of(region)
    name = SOURCE_OF_REGION.get(name, name)
    if name == REMAINDER:
        return name
    try:
        return organ_named(name, table.sources, "source of the S-values")
    except InputError:
        return REMAINDER


@dataclass(frozen=True)
class DoseRow:
    """A target in the form of Kim 2025's Table 2.

    Attributes
    ----------
    target
        Organ.
    acquired_gy_per_bq, generated_gy_per_bq
        Mean over patients [Gy/Bq].
    relative_error
        |generated − acquired| / acquired of these means, as the paper has it.
    mean_patient_error, patient_error_std
        Mean over patients of the same of each patient, and its standard deviation.
    """

    target: str
    acquired_gy_per_bq: float
    generated_gy_per_bq: float
    relative_error: float
    mean_patient_error: float
    patient_error_std: float


def dose_table(acquired: Sequence[PatientDosimetry], generated: Sequence[PatientDosimetry]) -> list[DoseRow]:
    """Doses by acquired and by generated scans of the same patients, a row per target.

    Raises
    ------
    InputError
        No patient, or different numbers of them.
    """
    if not acquired or len(acquired) != len(generated):
        raise InputError(f"Found {len(acquired)} and {len(generated)} patients; expected the same, at least one.")
    rows = []
    for target in acquired[0].doses_gy_per_bq:
        a = np.array([one.doses_gy_per_bq[target] for one in acquired])
        b = np.array([one.doses_gy_per_bq[target] for one in generated])
        if not a.min() > 0:
            continue
        each = np.abs(b - a) / a
        spread = float(each.std(ddof=1)) if each.size > 1 else 0.0
        error = abs(float(b.mean() - a.mean())) / float(a.mean())
        rows.append(DoseRow(target, float(a.mean()), float(b.mean()), error, float(each.mean()), spread))
    return rows


def dose_table_csv(rows: Sequence[DoseRow]) -> str:
    """The table as CSV, doses in mGy/MBq; equivalent doses in mSv/MBq are the same numbers (w_R = 1)."""
    lines = [
        "target,acquired_mgy_per_mbq,generated_mgy_per_mbq,relative_error,mean_patient_relative_error,"
        "std_patient_relative_error"
    ]
    for row in rows:
        doses = f"{row.acquired_gy_per_bq * 1e9:.3e},{row.generated_gy_per_bq * 1e9:.3e}"
        errors = f"{row.relative_error:.3e},{row.mean_patient_error:.3e},{row.patient_error_std:.3e}"
        lines.append(f"{row.target},{doses},{errors}")
    return "\n".join(lines) + "\n"


def residence_errors(acquired: Sequence[PatientDosimetry], generated: Sequence[PatientDosimetry]) -> dict[str, float]:
    """Source to the mean over patients of |generated / acquired − 1| of its residence time; all lesions together."""
    errors: dict[str, list[float]] = {}
    for first, second in zip(acquired, generated, strict=True):
        for source, hours in first.residence_times_h.items():
            if source in second.residence_times_h and hours > 0:
                name = LESIONS if is_lesion(source) else source
                errors.setdefault(name, []).append(abs(second.residence_times_h[source] / hours - 1.0))
    return {name: float(np.mean(column)) for name, column in errors.items()}


def residence_table_csv(
    names: Sequence[str], acquired: Sequence[PatientDosimetry], generated: Sequence[PatientDosimetry]
) -> str:
    """Residence times of every patient and source by both series of scans, as CSV [h]; the data of Kim's Figure 4."""
    lines = ["patient,source,acquired_h,generated_h"]
    for name, first, second in zip(names, acquired, generated, strict=True):
        for source, hours in first.residence_times_h.items():
            lines.append(f"{name},{source},{hours:.5g},{second.residence_times_h.get(source, float('nan')):.5g}")
    return "\n".join(lines) + "\n"


def curve_table_csv(
    names: Sequence[str], acquired: Sequence[PatientDosimetry], generated: Sequence[PatientDosimetry]
) -> str:
    """Activities of every patient and source at every time by both series, as CSV [%ID]; the data of Kim's Figure 3."""
    lines = ["patient,source,time_h,acquired_percent_id,generated_percent_id"]
    for name, first, second in zip(names, acquired, generated, strict=True):
        for source, values in first.curves_percent_id.items():
            pairs = zip(first.times_h, values, second.curves_percent_id[source], strict=True)
            lines += [f"{name},{source},{hours:g},{a:.5g},{b:.5g}" for hours, a, b in pairs]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=4)
def _s_values(nuclide: str, phantom: str) -> SValueTable:
    return phantom_s_values(nuclide, phantom)
