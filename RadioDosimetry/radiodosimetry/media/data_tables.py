"""Reading the cited tables that lie in `media/data`: one folder per table, its CSV beside its SOURCE.toml.

A table starts with sentences behind `#` (quantity, unit, edition), then one line of column names, then
the numbers. Columns that are not numbers (names, element symbols) come back as arrays of strings.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError

MEDIA_DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "photon cross-sections": "NIST XCOM",
        "form factors": "Hubbell 1975",
        "stopping powers": "ICRU 37 (ESTAR)",
    }
)
"""What every result of transport names as the origin of its media, for `Record.datasets`."""

Columns = Mapping[str, NDArray[Any]]
"""Name of each column to its values, in the order of the lines."""


@cache
def read_package_table(name: str) -> Columns:
    """The columns of the table `data/<name>/<name>.csv` of this package, read once.

    Raises
    ------
    FileFormatError
        The table is missing from the installation or its lines differ in length.
    """
    table = files(__package__).joinpath("data", name, f"{name}.csv")
    try:
        text = table.read_text(encoding="utf-8")
    except OSError as error:
        raise FileFormatError(
            f"The table '{name}' cannot be read ({error}); expected in the installed package. Reinstall it."
        ) from None
    return columns_of(text.splitlines(), f"table '{name}'")


def columns_of(lines: Iterable[str], what: str) -> Columns:
    """The columns of CSV lines with `#` comments and one line of names; `what` names the source in errors.

    Raises
    ------
    FileFormatError
        There is no line of names, no line of values, or a line of another length.
    """
    rows = [row for row in csv.reader(line for line in lines if not line.lstrip().startswith("#")) if row]
    if len(rows) < 2:
        raise FileFormatError(f"The {what} holds no values; expected one line of column names, then numbers.")
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(names):
            raise FileFormatError(
                f"Line {number} of the {what} has {len(row)} values, expected {len(names)} ({', '.join(names)})."
            )
    columns = {name: _numbers_or_words([row[index] for row in rows[1:]]) for index, name in enumerate(names)}
    return MappingProxyType(columns)


def _numbers_or_words(values: list[str]) -> NDArray[Any]:
    try:
        column = np.array([float(value) for value in values])
    except ValueError:
        column = np.array([value.strip() for value in values])
    column.setflags(write=False)
    return column
