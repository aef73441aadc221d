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
        Per cent of the administered activity in the acquired and in the method's volume; None where that is unknown.
    error_percent
        Of the activity [%].
    """

    patient: str
    method: str
    hour: float
    region: str
    acquired_percent_id: float | None
    found_percent_id: float | None
    error_percent: float


def share_errors(rows: Sequence[OrganRow]) -> list[float]:
    """Differences of a patient's organs in per cent of the administered activity, where that is known."""
    shares = ((row.found_percent_id, row.acquired_percent_id) for row in rows)
    return [abs(found - wanted) for found, wanted in shares if found is not None and wanted is not None]


def organ_table_csv(rows: Sequence[OrganRow]) -> str:
    """A row per organ, patient, time and method."""
    header = ["patient", "method", "hour", "region", "acquired_percent_id", "found_percent_id", "error_percent"]
    return table_csv(
        header,
        [
            [row.patient, row.method, f"{row.hour:g}", row.region, row.acquired_percent_id, row.found_percent_id,
             row.error_percent]
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
