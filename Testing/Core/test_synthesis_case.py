"""A case with synthetic scans: their uncertainty is in budget, doses and report, and a lost file runs it anew."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from case_folders import change, write_torso_case

from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.workflows.case import run_case

STD = {"096": 0.2, "168": 0.3}
UNKNOWN = "is synthetic and its uncertainty is not known here"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """The torso, whose later scans count as synthetic."""
    case = write_torso_case(tmp_path / "torso")
    change(case, '["local", "multiple-vsv"]', '["local"]')
    for hours, share in STD.items():
        path, beside = case / f"scan_{hours}h.nii.gz", case / f"scan_{hours}h_uncertainty.nii.gz"
        volume = read_volume(path)
        record = volume.record.with_parameters(synthetic=True)
        write_volume(volume.with_array(share * abs(volume.array_kji), record=record), beside)
        write_volume(volume.with_record(record.with_parameters(uncertainty_file=beside.name)), path)
    return case


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_synthetic_scans_are_a_cause_of_their_own_to_the_report(case: Path) -> None:
    run = run_case(case)
    budget = rows(run.report.parent / "tables" / "uncertainty_budget.csv")
    causes = ("volume", "recovery", "calibration", "synthesis", "fit", "model", "statistics")
    for row in budget:
        parts = [float(row[f"{cause}_percent"] or 0) for cause in causes]
        assert parts[3] > 1.0
        assert float(row["total_percent"]) == pytest.approx(sum(part**2 for part in parts) ** 0.5, rel=1e-5)
    for row in rows(run.results / "organ_dose" / "organ_dose.csv"):
        assert float(row["std"]) > 0.055 * float(row["absorbed_dose_mgy_per_mbq"])  # beyond the calibration's 5 %
    page = run.report.read_text(encoding="utf-8")
    assert "Synthetic scans" in page
    assert UNKNOWN not in page
    inputs = {row["role"] for row in rows(run.report.parent / "tables" / "inputs.csv")}
    assert {"scan 3 uncertainty", "scan 4 uncertainty"} <= inputs
    assert run_case(case).done == ()
    (case / "scan_168h_uncertainty.nii.gz").unlink()
    again = run_case(case)
    assert {"curves", "fits", "organ_dose", "report"} <= set(again.done)
    assert f"The scan at 168 h {UNKNOWN}" in again.report.read_text(encoding="utf-8")
