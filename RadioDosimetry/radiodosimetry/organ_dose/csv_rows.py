"""Reading small tables of organs: rows by column name, with the line in every complaint."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import FileFormatError


def rows_of_csv(path: Path, what: str, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a CSV file as ("Line 3 of residence times 'rt.csv'", column to text).

    Parameters
    ----------
    path
        UTF-8, comma-separated; lines that begin with # and empty lines are skipped, further columns are kept.
    what
        What the table is, for messages.
    columns
        Columns it must have.

    Raises
    ------
    FileFormatError
        The file cannot be read, lacks a column, has a row of another length, or no row at all.
    """
    path = Path(path)
    expected = ",".join(columns)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(
            f"The {what} '{path}' cannot be read ({error}); give a UTF-8 CSV with the columns {expected}."
        ) from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        raise FileFormatError(f"The {what} '{path.name}' is empty; expected the columns {expected} and a row for each.")
    header, *rows = list(csv.reader(line for _, line in lines))
    names = [name.strip().lower() for name in header]
    missing = [name for name in columns if name not in names]
    if missing:
        raise FileFormatError(
            f"The {what} '{path.name}' lacks the columns {', '.join(missing)}: found {','.join(header)}, "
            f"expected {expected}."
        )
    if not rows:
        raise FileFormatError(f"The {what} '{path.name}' has a header and no row; expected at least one.")
    for (number, _), row in zip(lines[1:], rows, strict=False):
        where = f"Line {number} of the {what} '{path.name}'"
        if len(row) != len(names):
            raise FileFormatError(f"{where} has {len(row)} fields, expected {len(names)} ({','.join(names)}).")
        yield where, {name: field.strip() for name, field in zip(names, row, strict=True)}


def number_of(text: str, where: str, column: str, least: float | None = 0.0) -> float:
    """A finite number, not below `least` (None: any).

    Raises
    ------
    FileFormatError
        The text is not such a number.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or (least is not None and value < least):
        wanted = "a number" if least is None else f"a number of at least {least:g}"
        raise FileFormatError(f"{where}: {column} is '{text}', expected {wanted}.")
    return value
