"""Tables of an evaluation as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class OrganRow:
    """Activity of one organ of one patient at one time by one method.

    Attributes
    ----------
    patient, method, region, hour
        Whose.
    acquired_percent_id, found_percent_id
        Per cent of the administered activity in the acquired and in the method's volume; of the scan's activity where
        the administered one is unknown.
    error_percent
        Of the activity [%].
    """

    patient: str
    method: str
    hour: float
    region: str
    acquired_percent_id: float
    found_percent_id: float
    error_percent: float


def organ_table_csv(rows: Sequence[OrganRow]) -> str:
    """A row per organ, patient, time and method."""
    header = ["patient", "method", "hour", "region", "acquired_percent_id", "found_percent_id", "error_percent"]
    return table_csv(
        header,
        [
            [row.patient, row.method, f"{row.hour:g}", row.region]
            + [f"{value:.6g}" for value in (row.acquired_percent_id, row.found_percent_id, row.error_percent)]
            for row in rows
        ],
    )


def table_csv(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows under a header; numbers have six digits, unknowns are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([["" if cell is None else _short(cell) for cell in row] for row in rows])
    return stream.getvalue()


def _short(cell: Any) -> Any:
    return f"{cell:.6g}" if isinstance(cell, float) and math.isfinite(cell) else cell
