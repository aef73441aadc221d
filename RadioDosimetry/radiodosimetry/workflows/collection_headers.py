"""Whether the headers of serial scans agree on patient and injection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from ..delayed_pet.pairs import PatientIdentity
from ..errors import InputError
from .collection_table import PatientRows

INJECTION_TOLERANCE_S = 600.0
"""Ten minutes between the injections of two headers: more is another injection or another clock."""

_DAY_S = 86400.0


def require_one_patient(
    patient: PatientRows, scans: Sequence[PatientIdentity | None], cts: Mapping[Path, PatientIdentity | None]
) -> list[str]:
    """Why the files of a patient cannot be of one person, a sentence each.

    Parameters
    ----------
    patient
        Its rows.
    scans
        What the header of each scan says.
    cts
        What those of its CTs say.
    """
    named = [(scan.label, one) for scan, one in zip(patient.scans, scans, strict=True)]
    named += [("the CT", one) for one in cts.values()]
    known = [(label, one) for label, one in named if one is not None]
    problems = []
    for label, one in known[1:]:
        differences = known[0][1].differences(one)
        if differences:
            problems.append(
                f"{patient.id}: {known[0][0]} and {label} are of different patients: {'; '.join(differences)}. "
                "Give each patient rows of its own."
            )
    return problems


def shared_patients(patients: Sequence[PatientRows], found: Sequence[Sequence[PatientIdentity | None]]) -> list[str]:
    """Persons who stand under several names without a common source, a sentence each."""
    problems: list[str] = []
    seen: dict[str, PatientRows] = {}
    for patient, identities in zip(patients, found, strict=True):
        for id in sorted({one.patient_id for one in identities if one is not None and one.patient_id}):
            other = seen.setdefault(id, patient)
            if other.source != patient.source:
                problems.append(
                    f"{other.id} and {patient.id} have the same Patient ID ({id}) in their headers: one person would "
                    "stand on both sides of a split. Give both the same source, or one name."
                )
    return problems


def common_injection(first: datetime | None, own: datetime | None, hours_given: bool) -> datetime | None:
    """The injection that a later scan counts from: that of the first scan.

    A header that gives the time of day alone is read as the last such time before its scan: on the second day that is
    24 h too late, which the header of the first scan puts right.

    Raises
    ------
    InputError
        The two headers mean different injections, and nothing else says when the scan was.
    """
    if first is None or own is None or hours_given:
        return first or own
    first, own = first.replace(tzinfo=None), own.replace(tzinfo=None)
    apart_s = abs((own - first) % timedelta(days=1)).total_seconds()
    if min(apart_s, _DAY_S - apart_s) > INJECTION_TOLERANCE_S:
        raise InputError(
            f"The header counts from an injection at {own}, that of the first scan from {first}. Give the "
            "hours after the injection in the table."
        )
    return first
