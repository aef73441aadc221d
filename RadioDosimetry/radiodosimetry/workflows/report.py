"""The report of a case: its finished steps gathered into one HTML file, tables as CSV and JSON, and DICOM objects."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import to_json
from ..report.document import Picture, Report, render_html
from ..report.slice_rendering import SliceRenderer
from .case_settings import Case, read_case
from .case_state import CaseState, one_run_at_a_time
from .report_results import CaseResults, read_results
from .report_sections import report_of

REPORT_FILES = ("report.html", "report.json")
"""The report, and all its tables, facts and warnings as JSON."""


def write_report(path: Path, progress: Progress | None = None, renderer: SliceRenderer | None = None) -> Path:
    """Write the report of a case from what its steps left, computing nothing.

    Parameters
    ----------
    path
        Folder of the case, or its `case.toml`.
    progress
        Told the share of the work done.
    renderer
        Draws the slices of the pictures; matplotlib if None.

    Returns
    -------
    Path
        The HTML file `results/report/report.html`; beside it `report.json`, `tables/*.csv` and `dicom/`.

    Raises
    ------
    InputError
        A step is missing or out of date; the text says which. Another run holds the folder.
    OutputError
        The report cannot be written.
    """
    from .case import planned_steps, results_folder, step_keys

    case = read_case(path)
    results = results_folder(path)
    if not results.is_dir():
        raise InputError(f"Case '{case.name}' has no results yet; compute them with `radiodosimetry case run {path}`.")
    with one_run_at_a_time(results):
        state = CaseState.read(results)
        steps = planned_steps(case)
        keys = step_keys(case, steps, state)
        stale = [step.name for step in steps[:-1] if not state.is_done(step.name, keys[step.name])]
        if stale:
            raise InputError(
                f"Case '{case.name}' has steps that are missing or older than its settings or inputs: "
                f"{', '.join(stale)}. Compute them with `radiodosimetry case run {path}`."
            )
        files = report_step(case, results, progress, renderer)
        state.finish("report", keys["report"], files)
    return results / "report" / "report.html"


def report_step(
    case: Case, results: Path, progress: Progress | None, renderer: SliceRenderer | None = None
) -> list[Path]:
    """Write everything of the report; the step `report` of a case."""
    report_progress(progress, 0.0, "Reading the results")
    found = read_results(case, results)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    report = report_of(found, now, PartialProgress(progress, 0.1, 0.7), renderer)
    report_progress(progress, 0.7, "Writing the report")
    return write_report_files(report, found, results / "report")


def write_report_files(report: Report, found: CaseResults, folder: Path) -> list[Path]:
    """HTML, JSON, tables and DICOM objects in one transaction.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        A file cannot be written; none is left half-written.
    """
    tables, dicom = folder / "tables", folder / "dicom"
    for each in (folder, tables, *([dicom] if found.case.report.dicom else [])):
        each.mkdir(parents=True, exist_ok=True)
    texts = {folder / "report.html": render_html(report), folder / "report.json": to_json(report.tables_dict())}
    texts |= {tables / f"{table.name}.csv": table.csv_text() for table in report.tables}
    texts[tables / "dvh.csv"] = (found.dose_folder / "dvh.csv").read_text(encoding="utf-8")
    files = list(texts)
    with OutputTransaction() as transaction:
        for path, text in texts.items():
            transaction.write_text(path, text)
        if found.case.report.dicom:
            from .report_dicom import write_dicom_objects

            pictures = [block for section in report.sections for block in section.blocks if isinstance(block, Picture)]
            shown = [picture for picture in pictures if picture.suffix == ".png"]
            files += write_dicom_objects(found, dicom, transaction, shown[-1])
    return files

