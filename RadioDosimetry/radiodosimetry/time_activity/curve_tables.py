"""Time-activity curves as CSV tables: hours and megabecquerels outside, seconds and becquerels inside."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from ..errors import FileFormatError, InputError
from ..images.file_checks import check_file
from ..provenance import Record, file_identity
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from .time_activity_curve import TimeActivityCurve

CURVE_COLUMNS = ("region", "time_h", "activity_mbq", "std_mbq", "percent_id", "volume_ml")
"""Columns of a curve table. `percent_id` is the activity present, not decay-corrected, in percent of what was
administered; it is empty where that is unknown, as `std_mbq` and `volume_ml` are."""

NEEDED_COLUMNS = CURVE_COLUMNS[:3]
"""Columns a table to be read must have."""


def curves_csv(curves: Sequence[TimeActivityCurve], administered_bq: float | None = None) -> str:
    """The table of curves, one line per region and time, regions in their order.

    Parameters
    ----------
    curves
        The curves.
    administered_bq
        Administered activity [Bq]; without it `percent_id` stays empty.

    Returns
    -------
    str
        CSV with the columns `CURVE_COLUMNS`; numbers keep ten digits.

    Raises
    ------
    InputError
        The administered activity is not above zero, or two curves have the same region.
    """
    require_administered(administered_bq)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CURVE_COLUMNS)
    require_different_regions(curves)
    for curve in curves:
        for index, activity_bq in enumerate(curve.activity_bq):
            share = None if administered_bq is None else 100.0 * activity_bq / administered_bq
            writer.writerow(
                (
                    curve.region,
                    _number(curve.times_h[index]),
                    _number(activity_bq / BECQUEREL_PER_MEGABECQUEREL),
                    "" if curve.std_bq is None else _number(curve.std_bq[index] / BECQUEREL_PER_MEGABECQUEREL),
                    "" if share is None else _number(share),
                    "" if curve.volume_ml is None else _number(curve.volume_ml[index]),
                )
            )
    return stream.getvalue()


def read_curves(path: Path) -> list[TimeActivityCurve]:
    """Curves from a CSV table.

    Only `region`, `time_h` [h after administration] and `activity_mbq` [MBq present, not decay-corrected] are needed;
    `std_mbq` and `volume_ml` are taken where every time of a region has them; further columns are ignored. The lines
    of a region must be in order of time; regions may alternate. A byte-order mark, Windows line ends, blank lines,
    capitals in the header and semicolons instead of commas are accepted.

    Parameters
    ----------
    path
        The table.

    Returns
    -------
    list of TimeActivityCurve
        In the order of first appearance.

    Raises
    ------
    FileFormatError
        The file is missing or unreadable, lacks a column or every line, or holds something that is no number.
    InputError
        Times of a region are out of order, come twice or precede the administration, its activities are negative or
        all zero, or an optional column is filled for some of its times only.
    """
    path = Path(path)
    rows: dict[str, list[tuple[int, list[float]]]] = {}
    for line, cells in table_rows(path, NEEDED_COLUMNS):
        name = cells.get("region", "")
        if not name:
            raise FileFormatError(f"Line {line} of {path} names no region; name it or remove the line.")
        numbers = [_cell(cells, column, line, path) for column in ("time_h", "activity_mbq", "std_mbq", "volume_ml")]
        rows.setdefault(name, []).append((line, numbers))
    if not rows:
        raise FileFormatError(f"{path} has a header and no line below it; expected one line per region and time.")
    record = Record("time-activity curves read from a table", inputs={"curves": file_identity(path)})
    return [_curve(name, lines, record, path) for name, lines in rows.items()]


def table_rows(path: Path, needed: Sequence[str]) -> Iterable[tuple[int, dict[str, str]]]:
    """Lines of a CSV table with their numbers, as cells by lower-case column name; blank lines are passed over.

    Raises
    ------
    FileFormatError
        The file is missing, unreadable or empty, lacks a column of `needed`, or names a column twice.
    """
    path = Path(path)
    check_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        separator = ";" if ";" in text.lstrip().split("\n", 1)[0] else ","
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"{path} cannot be read as a CSV table: {error}.") from error
    rows = [(line, row) for line, row in rows if any(row)]
    header = [cell.lower() for cell in rows[0][1]] if rows else []
    missing = [column for column in needed if column not in header]
    if missing:
        raise FileFormatError(
            f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}; found "
            f"{', '.join(header)[:200] or 'none'}, expected at least {', '.join(needed)}."
        )
    twice = sorted({column for column in header if column and header.count(column) > 1})
    if twice:
        raise FileFormatError(f"{path} has the column {', '.join(twice)} more than once; keep one.")
    too_long = next((line for line, row in rows if len(row) > len(header) and any(row[len(header) :])), None)
    if too_long is not None:
        raise FileFormatError(
            f"Line {too_long} of {path} has more cells than the header; expected {len(header)}. Write decimals with a "
            "point, and quote names that hold a comma."
        )
    return [(line, dict(zip(header, row, strict=False))) for line, row in rows[1:]]


def require_administered(administered_bq: float | None) -> None:
    """Refuse an administered activity [Bq] that is not a finite number above zero.

    Raises
    ------
    InputError
        As said.
    """
    if administered_bq is not None and not (math.isfinite(administered_bq) and administered_bq > 0):
        raise InputError(
            f"The administered activity is {administered_bq:g} Bq; expected a number above zero. Give what was "
            "injected, or leave it out."
        )


def require_different_regions(curves: Sequence[TimeActivityCurve]) -> None:
    """Refuse two curves of one name.

    Raises
    ------
    InputError
        As said.
    """
    names = [curve.region for curve in curves]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Two curves have the same region: {', '.join(twice)}; give each its own name.")


def cell_number(text: str, what: str) -> float:
    """A finite number from a cell.

    Raises
    ------
    FileFormatError
        It is none; `what` says which cell.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FileFormatError(f"{what} is '{text[:40]}'; expected a number with a decimal point.")
    return value


def _cell(cells: dict[str, str], column: str, line: int, path: Path) -> float:
    """A number; NaN where an optional cell is empty."""
    text = cells.get(column, "")
    if not text and column not in NEEDED_COLUMNS:
        return math.nan
    return cell_number(text, f"{column} in line {line} of {path}")


def _curve(region: str, lines: list[tuple[int, list[float]]], record: Record, path: Path) -> TimeActivityCurve:
    times_h, activity_mbq, std_mbq, volume_ml = np.array([numbers for _, numbers in lines]).T
    for column, values in (("std_mbq", std_mbq), ("volume_ml", volume_ml)):
        empty = np.isnan(values)
        if empty.any() and not empty.all():
            raise InputError(
                f"{column} of region '{region}' is empty in line {lines[int(np.argmax(empty))][0]} of {path} and "
                "filled in others; expected it at every time of the region or at none."
            )
    try:
        return TimeActivityCurve(
            region,
            times_h * SECONDS_PER_HOUR,
            activity_mbq * BECQUEREL_PER_MEGABECQUEREL,
            None if np.isnan(std_mbq[0]) else std_mbq * BECQUEREL_PER_MEGABECQUEREL,
            None if np.isnan(volume_ml[0]) else volume_ml,
            record,
        )
    except InputError as error:
        raise type(error)(f"{path}: {error}") from error


def _number(value: float) -> str:
    return f"{value:.10g}"
