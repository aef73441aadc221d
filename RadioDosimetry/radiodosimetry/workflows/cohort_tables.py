"""Tables and figures of a cohort, gathered from the results of its cases."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import RadioDosimetryError
from ..images.atomic import OutputTransaction
from ..provenance import Record, to_json
from .case_settings import Case, read_case

if TYPE_CHECKING:
    from .cohort import CaseOutcome

CASES_FILE, REGIONS_FILE, ORGANS_FILE, SUMMARY_FILE = (
    "cohort.csv", "region_doses.csv", "organ_doses.csv", "summary.csv",
)  # fmt: skip
REGIONS_FIGURE, ORGANS_FIGURE = "region_doses.png", "organ_doses.png"

CASES_COLUMNS = (
    "case", "state", "nuclide", "administered_mbq", "steps_computed", "steps_kept", "seconds", "report", "message",
)  # fmt: skip
SUMMARY_COLUMNS = ("region", "method", "cases", "mean_gy", "std_gy", "min_gy", "median_gy", "max_gy")

Row = dict[str, Any]


def write_cohort(folder: Path, outcomes: Sequence[CaseOutcome]) -> tuple[str, ...]:
    """Write the tables and figures of a cohort; cases that are not done are in the first table alone.

    Returns
    -------
    tuple of str
        Names of the files: `cohort.csv` (a row per case), `region_doses.csv` (voxel dose per case, method and region),
        `organ_doses.csv` (MIRD sum per case and target), `summary.csv` (regions over the cases), and two figures,
        those left out for which no case has results.

    Raises
    ------
    OutputError
        The folder cannot be written.
    """
    done = [(outcome, _case_of(outcome)) for outcome in outcomes if outcome.state == "done"]
    regions = [row for outcome, case in done if case for row in _region_rows(outcome, case)]
    organs = [row for outcome, case in done if case for row in _organ_rows(outcome)]
    tables: dict[str, list[Row]] = {CASES_FILE: [_case_row(outcome) for outcome in outcomes]}
    if regions:
        tables |= {REGIONS_FILE: regions, SUMMARY_FILE: _summary(regions)}
    if organs:
        tables[ORGANS_FILE] = organs
    record = Record(
        "cohort of cases",
        inputs={outcome.case: {"path": str(outcome.path), "state": outcome.state} for outcome in outcomes},
        warnings=tuple(
            f"{outcome.case}: {outcome.state}: {outcome.message}" for outcome in outcomes if outcome.state != "done"
        ),
    )
    with OutputTransaction() as transaction:
        for name, rows in tables.items():
            transaction.write_text(folder / name, _csv(rows))
        figures = _draw(folder, regions, organs, transaction)
        for name in (*tables, *figures):
            values = {"quantity": "cohort of cases", "unit": "see column names", "time": None, **record.as_dict()}
            transaction.write_text(folder / f"{name}.json", to_json(values))
    return (*tables, *figures)


def _case_of(outcome: CaseOutcome) -> Case | None:
    """Settings of a case; None if its file has gone since it ran."""
    try:
        return read_case(outcome.path)
    except RadioDosimetryError:
        return None


def _case_row(outcome: CaseOutcome) -> Row:
    case = _case_of(outcome)
    report = outcome.results / "report" / "report.html"
    values = (
        outcome.case,
        outcome.state,
        case.nuclide if case else "",
        f"{case.administered_mbq:g}" if case and case.administered_mbq is not None else "",
        outcome.computed,
        outcome.kept,
        f"{outcome.seconds:.1f}",
        report if report.is_file() else "",
        outcome.message,
    )
    return dict(zip(CASES_COLUMNS, values, strict=True))


def _region_rows(outcome: CaseOutcome, case: Case) -> Iterable[Row]:
    """Rows of the region tables of all methods of a case."""
    for method in case.dose.methods:
        shown = "yes" if method == case.dose.shown_method else "no"
        for row in _rows(outcome.results / "dose" / method / "table.csv"):
            yield {"case": outcome.case, "method": method, "shown": shown, **row}


def _organ_rows(outcome: CaseOutcome) -> Iterable[Row]:
    for row in _rows(outcome.results / "organ_dose" / "organ_dose.csv"):
        yield {"case": outcome.case, **row}


def _rows(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV that a case wrote, comment lines left out; none where the case has no such table."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(line for line in stream if not line.startswith("#")))


def _summary(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Mean dose of each region over the cases, method by method."""
    doses: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        doses.setdefault((row["region"], row["method"]), []).append(float(row["mean_gy"]))
    found = []
    for (region, method), values in doses.items():
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        measures = (float(np.mean(values)), spread, min(values), float(np.median(values)), max(values))
        numbers = ("" if value is None else f"{value:.6g}" for value in measures)
        found.append(dict(zip(SUMMARY_COLUMNS, (region, method, len(values), *numbers), strict=True)))
    return found


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV; the columns are those of all rows, in the order they first come."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def _draw(
    folder: Path, regions: Sequence[Row], organs: Sequence[Row], transaction: OutputTransaction
) -> tuple[str, ...]:
    """Figures of dose over the cases: voxel dose by the method each case shows, and the MIRD sum."""
    from ..report.cohort import cohort_dose_figure
    from ..report.figure_style import save_figure

    drawn = []
    for name, rows, of, column, label, title in (
        (
            REGIONS_FIGURE, [row for row in regions if row["shown"] == "yes"], "region", "mean_gy",
            "Mean absorbed dose [Gy]", "Voxel dose of regions",
        ),
        (
            ORGANS_FIGURE, organs, "target", "absorbed_dose_mgy_per_mbq",
            "Absorbed dose per administered activity [mGy/MBq]", "Organ doses by the MIRD sum",
        ),
    ):  # fmt: skip
        values: dict[str, dict[str, float]] = {}
        for row in rows:
            if row.get(column):
                values.setdefault(row[of], {})[row["case"]] = float(row[column])
        if values:
            save_figure(cohort_dose_figure(values, label, title), folder / name, transaction)
            drawn.append(name)
    return tuple(drawn)
