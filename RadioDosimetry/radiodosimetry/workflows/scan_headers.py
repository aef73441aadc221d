"""What the header of one scan says: its patient, nuclide and administered activity."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..delayed_pet.pairs import PatientIdentity
from ..errors import InputError
from ..images.dicom_files import choose_series, find_series
from ..images.dicom_header import dicom_errors, is_positive, number, text
from ..images.dicom_pet import LARGEST_USUAL_INJECTION_BQ, SMALLEST_USUAL_INJECTION_BQ
from ..images.readers import read_as_dicom
from ..nuclides import Radionuclide
from ..nuclides.names import possible_names, symbol_and_mass
from ..provenance import Record

EMISSION = ("PT", "NM")
"""Modalities of the scans."""

ACTIVITY_DIFFERENCE_WARNING = 0.1
"""Relative difference of administered activities, as given against the header's, above which a result has a warning."""

HALF_LIFE_TOLERANCE = 0.05
"""Relative difference of half-lives beyond which a header means another nuclide: scanners round, and keep old data."""

LARGEST_HEIGHT_M = 3.0
"""Beyond this a Patient's Size was written in centimetres."""

_CODE_MEANING = re.compile(r"\^(\d{1,3})(m?)\^")
"""How DICOM's code meanings write nuclides: "^64^Copper"."""


def identity_of(path: Path, modalities: Sequence[str] = EMISSION) -> PatientIdentity | None:
    """What the header of a DICOM series says of the patient; None for other files.

    Raises
    ------
    InputError
        There is no such series, or its header cannot be read.
    """
    if not read_as_dicom(path):
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


def administered_activity(given_bq: float | None, record: Record) -> tuple[float | None, list[str]]:
    """Administered activity [Bq]: the given one, or else that of the header where it can be meant; and doubts.

    Parameters
    ----------
    given_bq
        What was typed; None where nothing was.
    record
        Of the scan.

    Returns
    -------
    tuple
        The activity, None where it is unknown, and a sentence where header and typed one differ by more than
        `ACTIVITY_DIFFERENCE_WARNING`.
    """
    known = record.parameters.get("injected_activity_bq")
    usual = known and SMALLEST_USUAL_INJECTION_BQ <= float(known) <= LARGEST_USUAL_INJECTION_BQ
    said_bq = float(known) if known and usual else None
    if given_bq is None or said_bq is None:
        return (said_bq if given_bq is None else given_bq), []
    if abs(given_bq / said_bq - 1) <= ACTIVITY_DIFFERENCE_WARNING:
        return given_bq, []
    return given_bq, [
        f"The administered activity is {said_bq / 1e6:.4g} MBq by the header of the early scan; {given_bq / 1e6:.4g} "
        "MBq were given and taken."
    ]


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
