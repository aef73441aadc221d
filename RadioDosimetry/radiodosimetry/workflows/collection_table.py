"""The table of a user's own serial scans: one row per scan, read into patients, with everything wrong told at once."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..delayed_pet.early_scan import SUV_UNITS
from ..errors import FileFormatError, InputError
from ..organ_dose.csv_rows import number_of, rows_of_csv
from ..time_activity.time_activity_curve import require_rising_times
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR, Quantity, factor_to_core_unit
from ..virtual_patients.dataset import scan_name

REQUIRED = ("patient", "hours", "scan")
"""Columns that the table must have; the field of `hours` may be empty where the header of the scan knows them."""

OPTIONAL = ("unit", "ct", "labels", "label_names", "administered_mbq", "source")

FEWEST_SCANS = 2
"""An early scan and one to be predicted from it."""

_WHAT = "patients"
_SAFE_NAME = re.compile(r"\w[\w.-]*(?<!\.)")
"""What can be a folder on every system."""


@dataclass(frozen=True)
class ScanRow:
    """One scan of a patient.

    Attributes
    ----------
    where
        File and line of the table, for messages.
    hours
        Time after injection [h]; None: as the header of the scan says.
    path
        NIfTI, NRRD or MetaImage file, or DICOM file or folder.
    unit
        Of an image file that does not say it; None if it does.
    ct
        CT named in this row; None if none is.
    """

    where: str
    hours: float | None
    path: Path
    unit: str | None = None
    ct: Path | None = None

    @property
    def label(self) -> str:
        """The scan in a few words, without the name of its file, which may hold the patient's."""
        if self.hours is None:
            return f"the scan of {self.where.partition(' of ')[0].lower()}"
        return f"the scan at {self.hours:g} h"


@dataclass(frozen=True)
class PatientRows:
    """All rows of a patient.

    Attributes
    ----------
    id
        As in the table; also the name of the folder.
    source
        The unit of leakage: patients that share it never stand on both sides of a split.
    scans
        In the order of the table, which is that of time.
    ct
        The patient's CT: the only one, or of several that of the earliest scan.
    labels, label_names
        Regions; None without.
    administered_bq
        Administered activity [Bq]; None if the table does not say it.
    """

    id: str
    source: str
    scans: tuple[ScanRow, ...]
    ct: Path
    labels: Path | None = None
    label_names: Path | None = None
    administered_bq: float | None = None


def read_patient_table(path: Path, several_cts: bool = False) -> tuple[PatientRows, ...]:
    """Patients and their scans from a CSV file.

    Parameters
    ----------
    path
        UTF-8, comma-separated, with the columns `REQUIRED` and any of `OPTIONAL`; lines that begin with # are skipped.
        Paths start from the folder of the file.
    several_cts
        Whether later scans may name CTs of their own.

    Returns
    -------
    tuple of PatientRows
        In the order in which the table first names them.

    Raises
    ------
    FileFormatError
        The file cannot be read, or its columns are not those.
    InputError
        Rows cannot be used; the text names all that is wrong.
    """
    path = Path(path)
    _require_columns(path)
    by_patient: dict[str, list[tuple[str, dict[str, str]]]] = {}
    problems: list[str] = []
    for where, row in rows_of_csv(path, _WHAT, REQUIRED):
        if _SAFE_NAME.fullmatch(row["patient"]) is None:
            problems.append(
                f"{where}: the patient is '{row['patient']}', expected letters, digits, '-', '_' and '.', since it "
                "names a folder."
            )
        by_patient.setdefault(row["patient"], []).append((where, row))
    patients = [_patient(id, rows, path.parent, several_cts, problems) for id, rows in by_patient.items()]
    problems += _shared_by_patients(by_patient)
    require_no_problems(problems)
    return tuple(patient for patient in patients if patient is not None)


def require_no_problems(problems: Sequence[str]) -> None:
    """Refuse with everything that was found, each once.

    Raises
    ------
    InputError
        There is something.
    """
    found = list(dict.fromkeys(problems))
    if len(found) == 1:
        raise InputError(f"{found[0]} Nothing was written.")
    if found:
        listed = " ".join(f"({number}) {text}" for number, text in enumerate(found, start=1))
        raise InputError(f"{len(found)} things must be put right, nothing was written: {listed}")


@contextlib.contextmanager
def gathered(problems: list[str], name: str = "") -> Iterator[None]:
    """Keep what the block refuses as a problem and go on after it."""
    try:
        yield
    except InputError as error:
        problems.append(f"{name}: {error}" if name else str(error))


def _require_columns(path: Path) -> None:
    """Refuse semicolons, and columns that are not known, with the nearest that is."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        return  # rows_of_csv says it
    header = next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")
    known = (*REQUIRED, *OPTIONAL)
    if ";" in header and "," not in header:
        raise FileFormatError(
            f"The {_WHAT} '{path.name}' are separated by semicolons (found '{header.strip()[:80]}'); expected commas. "
            "Save the table as CSV with commas."
        )
    names = [name.strip().strip('"').lower() for name in header.split(",")]
    for name in names if header else []:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            offer = f"did you mean '{near[0]}'?" if near else f"expected some of {', '.join(known)}."
            raise FileFormatError(f"The {_WHAT} '{path.name}' have the unknown column '{name}'; {offer}")
        if names.count(name) > 1:
            raise FileFormatError(f"The {_WHAT} '{path.name}' have the column '{name}' twice; leave one.")


def _patient(
    id: str, rows: Sequence[tuple[str, dict[str, str]]], folder: Path, several_cts: bool, problems: list[str]
) -> PatientRows | None:
    """A patient from all its rows; None, and problems told, where it cannot be."""
    before = len(problems)
    scans = [scan for where, row in rows if (scan := _scan(where, row, folder, problems)) is not None]
    values = {name: _one_value(id, name, rows, problems) for name in OPTIONAL if name not in ("unit", "ct")}
    labels, names = (_existing(values[name], name, id, folder, problems) for name in ("labels", "label_names"))
    administered_bq = None
    if values["administered_mbq"]:
        with gathered(problems):
            given = number_of(values["administered_mbq"], id, "administered_mbq")
            if not given > 0:
                raise InputError(f"{id}: administered_mbq is {given:g}, expected a number above zero.")
            administered_bq = given * BECQUEREL_PER_MEGABECQUEREL
    if names is not None and labels is None and not values["labels"]:
        problems.append(f"{id}: label_names are given without labels; give both or none.")
    ct = _ct_of(id, scans, several_cts, problems)
    if len(rows) < FEWEST_SCANS:
        problems.append(f"{id} has one scan; expected an early one and at least one later.")
    if len(problems) > before or ct is None:
        return None
    with gathered(problems):
        hours = [scan.hours for scan in scans if scan.hours is not None]
        require_scan_hours(id, hours)
    return PatientRows(id, values["source"] or id, tuple(scans), ct, labels, names, administered_bq)


def require_scan_hours(id: str, hours: Sequence[float]) -> None:
    """Refuse times [h] that do not rise, or that the names of files cannot tell apart.

    Raises
    ------
    InputError
        As said; the text names the patient.
    """
    if not hours:
        return
    require_rising_times([one * SECONDS_PER_HOUR for one in hours], f"the scans of {id}")
    names = [scan_name("scan", one) for one in hours]
    if len(set(names)) < len(names):
        listed = ", ".join(f"{one:g}" for one in hours)
        raise InputError(f"Scans of {id} lie less than six minutes apart (found {listed} h); leave one of them out.")


def _scan(where: str, row: dict[str, str], folder: Path, problems: list[str]) -> ScanRow | None:
    before, hours, unit = len(problems), None, row.get("unit") or None
    with gathered(problems):
        hours = number_of(row["hours"], where, "hours") if row["hours"] else None
    if unit is not None and unit.lower() in {one.lower() for one in SUV_UNITS}:
        problems.append(
            f"{where}: the scan is in SUV, which depends on what weight and activity it was made with; expected Bq/mL. "
            "Export it in Bq/mL, or multiply it by the activity left at the scan [Bq] ÷ (1000 × body weight [kg])."
        )
    elif unit is not None:
        with gathered(problems, where):
            factor_to_core_unit(Quantity.ACTIVITY_CONCENTRATION, unit)
    if not row["scan"]:
        problems.append(f"{where}: the scan is missing; give the path of an image file or a DICOM folder.")
    path = _existing(row["scan"], "scan", where, folder, problems)
    ct = _existing(row.get("ct", ""), "ct", where, folder, problems)
    return ScanRow(where, hours, path, unit, ct) if path is not None and len(problems) == before else None


def _existing(text: str, column: str, where: str, folder: Path, problems: list[str]) -> Path | None:
    """The path of a field; None where it is empty, or there is nothing, which is told."""
    if not text:
        return None
    path = folder / Path(text).expanduser()
    try:
        exists = path.exists()
    except (OSError, ValueError):
        exists = False
    if not exists:
        problems.append(f"{where}: the {column} {path} does not exist; paths start from the folder of the table.")
    return path if exists else None


def _one_value(id: str, column: str, rows: Sequence[tuple[str, dict[str, str]]], problems: list[str]) -> str:
    """What the rows of a patient say in a column that holds for all of them; "" where none says anything."""
    found = list(dict.fromkeys(row[column] for _, row in rows if row.get(column)))
    if len(found) > 1:
        problems.append(f"{id}: the column {column} holds {' and '.join(found)}; expected one value for the patient.")
    return found[0] if found else ""


def _ct_of(id: str, scans: Sequence[ScanRow], several_cts: bool, problems: list[str]) -> Path | None:
    """The patient's CT; several are those of the sessions."""
    found = list(dict.fromkeys(scan.ct for scan in scans if scan.ct is not None))
    if not found and scans:
        problems.append(
            f"{id} has no CT; a data set keeps one for every patient. Give the CT of the early scan in the column ct."
        )
    if len(found) > 1 and not several_cts:
        listed = " and ".join(str(path) for path in found)
        problems.append(
            f"{id}: the column ct holds {listed}; expected one, or register the scans (--register), which uses the CT "
            "of each session."
        )
    elif len(found) > 1 and scans[0].ct is None:
        problems.append(f"{id} names several CTs and none for its first scan; give that of the first scan too.")
    return found[0] if found else None


def _shared_by_patients(by_patient: dict[str, list[tuple[str, dict[str, str]]]]) -> list[str]:
    """Scans that stand twice, and names that differ in capitals alone."""
    problems: list[str] = []
    seen: dict[str, str] = {}
    ids: dict[str, str] = {}
    for id, rows in by_patient.items():
        if id.lower() in ids:
            problems.append(f"The patients {ids[id.lower()]} and {id} differ in capitals alone; give one name.")
        ids[id.lower()] = id
        for where, row in rows:
            scan = row["scan"]
            if scan and scan in seen:
                problems.append(f"{where}: the scan {scan} stands in {seen[scan]} already; give each scan once.")
            seen.setdefault(scan, where[0].lower() + where[1:])
    return problems
