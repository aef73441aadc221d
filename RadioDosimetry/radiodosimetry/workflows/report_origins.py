"""What a report says of where its numbers come from: inputs, scans, methods, steps and their records."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from ..nuclides import Radionuclide
from ..provenance import json_ready
from ..report.document import Column, ReportTable, table_from_records
from ..report.methods_text import MethodsFacts
from ..units import SECONDS_PER_HOUR
from .report_results import CaseResults

RECORD_LINE = 74
"""Characters of a line of an appended record; two columns of them fit a page."""


def scan_hours(found: CaseResults) -> list[float]:
    """Times of the scans as measured [h]."""
    rows = found.table("curves", "curves.csv")
    return sorted({float(row["time_h"]) for row in rows})


def input_table(found: CaseResults) -> ReportTable:
    """Every input file with its hash."""
    columns = (Column("role", "Input"), Column("file", "File or folder"), Column("sha256", "SHA-256"))
    files = found.case.input_files()
    rows = tuple((role, path.name, found.state.hash_of(path)) for role, path in files.items())
    return ReportTable("inputs", "Input files with the hash of their content", columns, rows)


def scan_table(found: CaseResults) -> ReportTable:
    """Every scan with its time and calibration."""
    record = found.record("curves", "curves.csv")
    rows = []
    for scan, image in zip(record["parameters"]["scans"], found.case.scans, strict=True):
        calibration = scan.get("calibration") or "as in the image"
        rows.append({"image": image.image.name, "time_h": scan["time_h"], "calibration": calibration})
    columns = (Column("image", "Scan"), Column("time_h", "Time after administration", "h"))
    return table_from_records("scans", "Scans", (*columns, Column("calibration", "Calibration")), rows)


def methods_facts(found: CaseResults) -> MethodsFacts:
    """What the methods paragraph tells."""
    case = found.case
    organ = found.records.get("Organ dose", {}).get("parameters", {})
    monte_carlo = found.records.get("Dose, monte-carlo", {}).get("parameters", {})
    return MethodsFacts(
        nuclide=case.nuclide,
        half_life_h=Radionuclide(case.nuclide).half_life_s / SECONDS_PER_HOUR,
        hours=scan_hours(found),
        tia_method=case.tia_method,
        fit_models=list(dict.fromkeys(fit.model for fit in found.fits.values())),
        dose_methods=case.dose.methods,
        version=str(found.records["Curves"]["version"]),
        histories=monte_carlo.get("histories"),
        phantom=case.organ_dose.phantom if case.organ_dose.asked_for else None,
        patient_masses=case.organ_dose.patient_masses,
        with_lesions=bool(case.organ_dose.lesions),
        with_radiobiology=bool(case.radiobiology),
        with_recovery=case.regions.recovery is not None,
        effective_dose=organ.get("effective_dose") is not None,
        calibration_std_percent=case.regions.calibration_std_percent,
    )


def step_table(found: CaseResults) -> ReportTable:
    """Every step with what it computed and when."""
    columns = [
        Column("step", "Step"),
        Column("operation", "Operation"),
        Column("dataset", "Data sets"),
        Column("seed", "Seed"),
        Column("device", "Device"),
        Column("finished", "Computed on (UTC)"),
        Column("version", "Version"),
    ]
    rows = []
    for step, record in found.records.items():
        row: dict[str, Any] = {"step": step}
        row |= {name: record.get(name) for name in ("operation", "dataset", "seed", "device", "version")}
        row["finished"] = str(record.get("created", ""))[:19].replace("T", " ")
        row["seed"] = None if row["seed"] is None else str(row["seed"])
        rows.append(row)
    return table_from_records("steps", "Steps of the computation", columns, rows)


def record_texts(found: CaseResults) -> tuple[str, ...]:
    """The records of all steps as JSON, one text each."""
    return tuple(f"{step}\n{compact_json(json_ready(record))}" for step, record in found.records.items())


def compact_json(value: Any, indent: str = "") -> str:
    """JSON for reading: what fits into a line stands in one."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(line) + len(indent) <= RECORD_LINE:
        return line
    deeper = f"{indent}  "
    if isinstance(value, dict):
        parts = [f"{deeper}{json.dumps(name)}: {compact_json(item, deeper)}" for name, item in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}"
    if all(isinstance(item, int | float) or item is None for item in value):
        words = textwrap.fill(line[1:-1], RECORD_LINE, initial_indent=deeper, subsequent_indent=deeper)
        return f"[\n{words}\n{indent}]"
    return "[\n" + ",\n".join(f"{deeper}{compact_json(item, deeper)}" for item in value) + f"\n{indent}]"
