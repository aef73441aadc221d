"""The demonstration: what it computes, what it writes, and that a run that fails leaves nothing behind."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import CancelledError, OutputError
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import read_label_map
from radiodosimetry.time_activity.fit_files import read_fits
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.kinetics import draw_kinetics
from radiodosimetry.virtual_patients.sample_patient import (
    LUTETIUM_SPECT,
    SEED,
    as_scanned,
    sample_activity,
    sample_anatomy,
    sample_labels,
)
from radiodosimetry.workflows.case import run_case
from radiodosimetry.workflows.demo import FILES, LABELLED, SERIAL_HOURS, TABLE_COLUMNS, DemoResult, run_demo

_VOXEL_MM = 12.0
"""Of `coarse_demo`; every region has a voxel."""


def test_everything_promised_is_written_and_nothing_else(coarse_demo: DemoResult) -> None:
    records = {f"{name}.json" for name in FILES}
    case = {"case.toml", "results"}
    delayed = {"delayed_pet"} if coarse_demo.delayed else set()  # where a model of it and PyTorch are there
    assert {path.name for path in coarse_demo.folder.iterdir()} == set(FILES) | records | case | delayed
    assert coarse_demo.report == coarse_demo.folder / "results" / "report" / "report.html"
    assert coarse_demo.report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_every_record_says_version_and_operation(coarse_demo: DemoResult) -> None:
    for path in coarse_demo.folder.glob("*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["operation"], path.name
        assert record["version"], path.name
    dose_record = json.loads((coarse_demo.folder / "dose_monte_carlo.nrrd.json").read_text(encoding="utf-8"))
    assert dose_record["quantity"] == "absorbed_dose"
    assert dose_record["unit"] == "Gy"
    assert dose_record["seed"] == 5


def test_images_written_are_the_patient_generated(coarse_demo: DemoResult) -> None:
    anatomy = sample_anatomy(_VOXEL_MM)
    true = sample_activity(LUTETIUM_SPECT, SERIAL_HOURS, anatomy)
    scans = as_scanned(LUTETIUM_SPECT, SERIAL_HOURS, true, seed=5)
    expected = sample_labels(anatomy, LABELLED)
    ct = read_volume(coarse_demo.folder / "ct.nii.gz")
    activity = read_volume(coarse_demo.folder / "activity.nii.gz")
    scan = read_volume(coarse_demo.folder / "scan_096h.nii.gz")
    labels = read_label_map(coarse_demo.folder / "labels.nii.gz", coarse_demo.folder / "labels.csv")
    assert ct.quantity is Quantity.CT_NUMBER
    assert np.array_equal(ct.array_kji, anatomy.ct.array_kji)
    assert np.array_equal(activity.array_kji, true[1].array_kji)
    assert np.array_equal(scan.array_kji, scans[2].array_kji)
    assert np.array_equal(labels.array_kji, expected.array_kji)
    assert dict(labels.names) == dict(expected.names)
    assert "lesion_7" in labels.names.values()


def test_table_holds_every_region_with_its_difference(coarse_demo: DemoResult) -> None:
    with (coarse_demo.folder / "demo.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == TABLE_COLUMNS
    assert [row["region"] for row in rows] == [row.region for row in coarse_demo.table]
    assert "whole_liver" in {row["region"] for row in rows}
    for row in rows:
        expected = 100 * (float(row["multiple_vsv_gy"]) / float(row["monte_carlo_gy"]) - 1)
        assert float(row["difference_percent"]) == pytest.approx(expected, abs=1e-3)


def test_both_methods_agree_in_organs_of_soft_tissue(coarse_demo: DemoResult) -> None:
    table = {row.region: row for row in coarse_demo.table}
    for name in ("liver", "spleen", "left_kidney", "right_kidney"):
        row = table[name]
        assert row.difference_percent is not None
        assert row.monte_carlo_uncertainty_percent is not None
        # Kim 2022 found 1.56 to 2.79 % in these organs; the short run adds its own uncertainty.
        assert abs(row.difference_percent) < 2.8 + 3 * row.monte_carlo_uncertainty_percent, name


def test_text_shows_every_region_and_where_the_files_are(coarse_demo: DemoResult) -> None:
    text = coarse_demo.text()
    assert text.splitlines()[0] == f"Report of all four scans: {coarse_demo.report}"
    for row in coarse_demo.table:
        assert row.region in text
    assert str(coarse_demo.folder) in text
    assert max(len(line) for line in text.splitlines()[1:-1]) <= 100


def test_the_case_of_the_demo_is_up_to_date_and_finds_the_half_lives_of_the_kinetics(coarse_demo: DemoResult) -> None:
    again = run_case(coarse_demo.folder)
    assert again.done == ()
    fits = read_fits(again.results / "fits" / "fits.json")
    anatomy = sample_anatomy(_VOXEL_MM)
    kinetics = draw_kinetics(LUTETIUM_SPECT.tracer, anatomy, SEED, LUTETIUM_SPECT.administered_bq)
    for region in ("liver", "spleen", "lesion_3"):
        curve = kinetics.regions[region]
        found, expected = fits[region].effective_half_life_s, np.log(2) / curve.rates_per_s.min()
        # Blur mixes the regions' curves at their edges; noise is below a percent of an organ.
        assert found == pytest.approx(expected, rel=0.1), region


def test_the_same_seed_gives_the_same_table(coarse_demo: DemoResult, tmp_path: Path) -> None:
    again = run_demo(tmp_path / "again", seed=5, histories=50_000, voxel_mm=_VOXEL_MM)
    assert again.table == coarse_demo.table


class _CancelAfterDose:
    """A user who cancels when the results are about to be written."""

    def __init__(self) -> None:
        self._late = False

    def report(self, fraction: float, message: str) -> None:
        self._late = fraction > 0.85

    def cancelled(self) -> bool:
        return self._late


def test_a_cancelled_run_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        run_demo(tmp_path / "out", histories=1000, voxel_mm=_VOXEL_MM, progress=_CancelAfterDose())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="Cannot make the folder"):
        run_demo(tmp_path / "file" / "out")


def test_command_says_in_one_line_that_the_folder_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["demo", "--output", str(tmp_path / "file" / "out")]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("radiodosimetry: Cannot make the folder")
