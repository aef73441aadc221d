"""What the headers of serial scans say of patient, injection and nuclide, and whether it agrees."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ..delayed_pet.pairs import PatientIdentity
from ..errors import InputError
from ..images.atomic import full_suffix
from ..images.dicom_files import choose_series, find_series
from ..images.dicom_header import dicom_errors, is_positive, number, text
from ..images.dicom_pet import LARGEST_USUAL_INJECTION_BQ, SMALLEST_USUAL_INJECTION_BQ
from ..images.file_checks import IMAGE_IO_OF_SUFFIX
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..nuclides.names import possible_names, symbol_and_mass
from ..provenance import Record
from .collection_table import PatientRows

EMISSION = ("PT", "NM")
"""Modalities of the scans."""

HALF_LIFE_TOLERANCE = 0.05
"""Relative difference of half-lives beyond which a header means another nuclide: scanners round, and keep old data."""

INJECTION_TOLERANCE_S = 600.0
"""Ten minutes between the injections of two headers: more is another injection or another clock."""

LARGEST_HEIGHT_M = 3.0
"""Beyond this a Patient's Size was written in centimetres."""

_OF_THE_FILE = ("decay_correction", "decay_reference_time", "decay_reference_rule", "decay_factor_applied")
"""Parameters that say how the activity stands in the file it was read from."""

_DAY_S = 86400.0
_CODE_MEANING = re.compile(r"\^(\d{1,3})(m?)\^")
"""How DICOM's code meanings write nuclides: "^64^Copper"."""


def is_dicom(path: Path) -> bool:
    """Whether a scan is read as DICOM."""
    return path.is_dir() or full_suffix(path) not in IMAGE_IO_OF_SUFFIX


def identity_of(path: Path, modalities: Sequence[str] = EMISSION) -> PatientIdentity | None:
    """What the header of a DICOM series says of the patient; None for other files.

    Raises
    ------
    InputError
        There is no such series, or its header cannot be read.
    """
    if not is_dicom(path):
        return None
    with dicom_errors(path):
        header = choose_series(path, find_series(path), tuple(modalities), None).datasets[0]
        weight_kg, height_m = (
            value if is_positive(value) else None
            for value in (number(header, "PatientWeight"), number(header, "PatientSize"))
        )
        if height_m is not None and height_m > LARGEST_HEIGHT_M:
            height_m /= 100.0
        return PatientIdentity(
            text(header, "PatientID"), text(header, "PatientSex"), weight_kg, height_m,
            text(header, "FrameOfReferenceUID"),
        )  # fmt: skip


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


def require_nuclide(record: Record, nuclide: Radionuclide) -> None:
    """Refuse a scan whose header means another nuclide.

    Raises
    ------
    InputError
        Half-life or name contradict the nuclide.
    """
    half_life_s, said = record.parameters.get("half_life_s"), record.parameters.get("radionuclide")
    if half_life_s and abs(half_life_s / nuclide.half_life_s - 1) > HALF_LIFE_TOLERANCE:
        raise InputError(
            f"The header gives a half-life of {half_life_s:.6g} s, {nuclide.name} has "
            f"{nuclide.half_life_s:.6g} s. Give the nuclide of the scans, or correct the header."
        )
    if said and not _may_mean(str(said), nuclide.name):
        raise InputError(
            f"The header names the nuclide '{said}', expected {nuclide.name}. Give the nuclide of the scans, "
            "or correct the header."
        )


def _may_mean(said: str, nuclide: str) -> bool:
    """Whether a header's words for a nuclide, or for the drug, leave room for this one."""
    readings = possible_names(said)
    if readings:
        return nuclide in readings
    coded = _CODE_MEANING.search(said)
    if coded is None:
        return True  # the name of a drug
    return int(coded[1]) == symbol_and_mass(nuclide)[1] and bool(coded[2]) == nuclide.endswith("m")


def injection_of(record: Record) -> datetime | None:
    """When the header of a scan says that the tracer was given."""
    known = record.parameters.get("injection_time")
    try:
        return datetime.fromisoformat(str(known)) if known else None
    except ValueError:
        return None


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


def administered_activity_of(volume: QuantitativeVolume) -> float | None:
    """Injected activity [Bq] of the header, None where it is unknown or cannot be meant."""
    known = volume.record.parameters.get("injected_activity_bq")
    usual = known and SMALLEST_USUAL_INJECTION_BQ <= float(known) <= LARGEST_USUAL_INJECTION_BQ
    return float(known) if known and usual else None


def at_its_time(record: Record, injection: datetime | None) -> Record:
    """The record of a scan that holds at its own time: how it stood in its file is kept aside under `as_read`.

    Whatever reads the scan then takes it as the activity present, and corrects nothing again.
    """
    parameters = {name: value for name, value in record.parameters.items() if name not in _OF_THE_FILE}
    aside = {name: value for name, value in record.parameters.items() if name in _OF_THE_FILE}
    if injection is not None:
        parameters["injection_time"] = injection.isoformat()
    return replace(record, parameters={**parameters, "as_read": aside})


def without_names(record: Record, name: str) -> Record:
    """The record with its inputs known by hash and UID alone: names of files and folders often are those of patients.

    Parameters
    ----------
    record
        Of what was read.
    name
        What stands in the place of a file's name.
    """
    return replace(record, inputs=_renamed(dict(record.inputs), name))


def _renamed(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return {key: name if key == "path" else _renamed(item, name) for key, item in value.items()}
    return [_renamed(item, name) for item in value] if isinstance(value, list | tuple) else value
