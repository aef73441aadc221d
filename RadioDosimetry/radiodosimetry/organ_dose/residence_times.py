"""Residence times of source organs: what a patient's kinetics hand to the MIRD sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import FileFormatError, InputError
from ..units import SECONDS_PER_HOUR
from .csv_rows import number_of, rows_of_csv

RESIDENCE_TIME_COLUMNS = ("region", "residence_time_h")
"""Columns a residence-time table must have; `std` [h] may follow."""

ORGAN_MASS_COLUMNS = ("organ", "mass_g")
"""Columns of a table of a patient's organ masses."""


@dataclass(frozen=True)
class ResidenceTime:
    """Time-integrated activity of a source per administered activity.

    Attributes
    ----------
    value_s
        Residence time [s], not negative.
    std_s
        Its standard uncertainty [s].

    Raises
    ------
    InputError
        A negative or infinite number.
    """

    value_s: float
    std_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("value_s", "std_s"):
            value = float(getattr(self, name))
            if not math.isfinite(value) or value < 0:
                raise InputError(f"A residence time's {name} must be zero or more seconds, found {value}.")
            object.__setattr__(self, name, value)


def read_residence_times(path: Path) -> dict[str, ResidenceTime]:
    """Residence times of source organs from a CSV file.

    Parameters
    ----------
    path
        Columns `region,residence_time_h` and, if known, `std` [h] (0 where absent or empty); more columns are ignored.

    Returns
    -------
    dict
        Region, as written, to its residence time.

    Raises
    ------
    FileFormatError
        The file cannot be read, lacks a column, has an unnamed or repeated region, or a value that is not a number of
        at least 0.
    """
    found: dict[str, ResidenceTime] = {}
    for where, row in rows_of_csv(path, "residence-time table", RESIDENCE_TIME_COLUMNS):
        name = _new_name(row["region"], found, where, "region")
        value_h = number_of(row["residence_time_h"], where, "residence_time_h")
        std_h = number_of(row.get("std") or "0", where, "std")
        found[name] = ResidenceTime(value_h * SECONDS_PER_HOUR, std_h * SECONDS_PER_HOUR)
    return found


def read_organ_masses_g(path: Path) -> dict[str, float]:
    """A patient's organ masses [g] from a CSV file with the columns `organ,mass_g`.

    Raises
    ------
    FileFormatError
        The file cannot be read, lacks a column, has an unnamed or repeated organ, or a mass that is not above 0.
    """
    found: dict[str, float] = {}
    for where, row in rows_of_csv(path, "table of organ masses", ORGAN_MASS_COLUMNS):
        name = _new_name(row["organ"], found, where, "organ")
        found[name] = number_of(row["mass_g"], where, "mass_g")
        if found[name] == 0:
            raise FileFormatError(f"{where}: the mass of {name} is 0, expected grams above zero.")
    return found


def _new_name(name: str, found: Mapping[str, object], where: str, what: str) -> str:
    if not name:
        raise FileFormatError(f"{where} has no {what}; name it.")
    if name in found:
        raise FileFormatError(f"{where} names {what} '{name}' a second time; keep one row of it.")
    return name
