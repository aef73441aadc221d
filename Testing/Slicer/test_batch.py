"""Batch: the numbers of the command on files, DICOM folders and scenes; scenes that reopen; failures in one line."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import ball  # noqa: E402

from radiodosimetry import cli  # noqa: E402
from radiodosimetry.errors import MissingDependencyError  # noqa: E402
from radiodosimetry.images.readers import read_array, read_volume  # noqa: E402
from radiodosimetry.images.regions import Region, read_label_map, regions_of  # noqa: E402
from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.images.writers import write_volume  # noqa: E402
from radiodosimetry.provenance import Record  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from radiodosimetry.workflows.demo import DemoResult  # noqa: E402
from RadioDosimetryLib import batch, batchWords, requirements  # noqa: E402
from RadioDosimetryLib.quantities import quantityOf, unitOf  # noqa: E402
from RadioDosimetryLib.segmentations import segmentationFromRegions  # noqa: E402
from RadioDosimetryLib.sequences import sequenceFromVolumes  # noqa: E402
from RadioDosimetryLib.tables import columnsOf  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume, recordOf  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

FLOAT32_ROUNDING = 1e-6
"""Images pass through float32 files once: half a step is 6e-8, and a dose adds up many voxels."""

TABLE_FILE_ROUNDING = 1e-5
"""Slicer's table files hold six digits."""

BATCH_FILE = Path(batch.__file__)
DOSE = ["dose", "--method", "multiple-vsv", "--nuclide", "Lu-177"]


@pytest.fixture(scope="session")
def demo(coarse_demo: DemoResult) -> Path:
    """Folder of the coarse synthetic patient."""
    return coarse_demo.folder


@pytest.fixture
def demo_words(demo: Path) -> list[str]:
    """Command line of a dose on its files, without outputs."""
    return [
        *DOSE, "--ct", str(demo / "ct.nii.gz"), "--activity", str(demo / "activity.nii.gz"), "--integrate",
        "physical-decay", "--labels", str(demo / "labels.nii.gz"), "--label-names", str(demo / "labels.csv"),
    ]  # fmt: skip


@pytest.fixture
def demo_scene(demo: Path, tmp_path: Path) -> Path:
    """A saved scene with CT, activity, regions (the liver with its lesions in it) and the four scans as a sequence."""
    for file, name in (("ct.nii.gz", "CT"), ("activity.nii.gz", "SPECT")):
        nodeFromVolume(read_volume(demo / file), name)
    labels = read_label_map(demo / "labels.nii.gz", demo / "labels.csv")
    regions = regions_of(labels, {"whole_liver": "liver+lesion_1+lesion_2+lesion_3+lesion_6"})
    segmentationFromRegions([r for r in regions if r.name != "whole_liver"], labels.geometry, "Organs")
    segmentationFromRegions(
        [r for r in regions if r.name in ("whole_liver", "lesion_3", "spleen")], labels.geometry, "Overlapping"
    )
    scans = [(hours, read_volume(demo / f"scan_{hours:03d}h.nii.gz")) for hours in (4, 24, 96, 168)]
    sequenceFromVolumes(scans, "Scans")
    nodeFromVolume(scans[0][1], "Twice").SetName("Scan")
    nodeFromVolume(scans[1][1], "Twice").SetName("Scan")
    path = tmp_path / "patient.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for results."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def reference(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run the command itself."""
    assert cli.main(words) == 0, capsys.readouterr().err


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def reopened(path: Path) -> Any:
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    return slicer.mrmlScene


def numbers_alike(found: Path, expected: Path, tolerance: float) -> None:
    """Tables with the same columns, texts and numbers."""
    assert [list(row) for row in rows(found)] == [list(row) for row in rows(expected)]
    for one, other in zip(rows(found), rows(expected), strict=True):
        for column, text in other.items():
            try:
                number = float(text)
            except ValueError:
                assert one[column] == text
            else:
                assert float(one[column]) == pytest.approx(number, rel=tolerance, abs=1e-12), column


# What words are files


def test_a_word_that_is_no_file_is_not_taken_for_one() -> None:
    words = ["case", "run", "patients/one", "--json"]
    assert [(word.option, word.path) for word in batchWords.fileWords("case", words)] == [("case", "patients/one")]
    assert batchWords.fileWords("cohort", ["cohort", "run", "cases"]) == []


@pytest.mark.parametrize("command", list(cli.COMMANDS))
def test_every_file_of_every_command_has_a_role(command: str) -> None:
    module = __import__(f"radiodosimetry.cli.{command.replace('-', '_')}", fromlist=["add_parser"])
    parser = cli.build_parser(command, module)
    choices = next(action.choices for action in parser._actions if action.dest == "command")
    file_types = {"Path", "existing_path", "existing_file", "scan_argument"}
    files = {
        action.option_strings[-1] if action.option_strings else action.dest
        for action in choices[command]._actions
        if getattr(action.type, "__name__", "") in file_types
    }
    assert files == set(batchWords.FILES[command])


def test_files_are_found_in_every_spelling_an_option_has() -> None:
    words = ["-v", "curves", "--scan", "4=a b.nii", "--scan=24=node:B=C", "--labels", "x.dcm", "--region", "a=b-c",
             "--frame-duration-s", "60", "--out", "o.csv", "--scan", "node:Q"]  # fmt: skip
    found = [(file.option, file.hours, file.path) for file in batchWords.fileWords("curves", words)]
    assert found == [
        ("--scan", "4", "a b.nii"),
        ("--scan", "24", "node:B=C"),
        ("--labels", "", "x.dcm"),
        ("--output", "", "o.csv"),
        ("--scan", "", "node:Q"),
    ]
    found = [(file.option, file.path) for file in batchWords.fileWords("compare", ["compare", "--json", "A", "node:B"])]
    assert found == [("reference", "A"), ("test", "node:B")]


# The numbers of the command


def test_files_give_the_bytes_of_the_command(
    demo_words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference([*demo_words, "--output", str(out / "a.nrrd"), "--table", str(out / "a.csv")], capsys)
    expected = capsys.readouterr().out
    assert batch.main(["--", *demo_words, "--output", str(out / "b.nrrd"), "--table", str(out / "b.csv")]) == 0
    assert capsys.readouterr().out == expected
    assert (out / "a.nrrd").read_bytes() == (out / "b.nrrd").read_bytes()
    assert (out / "a.csv").read_bytes() == (out / "b.csv").read_bytes()


def test_nodes_of_a_scene_give_the_numbers_of_their_files(
    demo_words: list[str], demo_scene: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference([*demo_words, "--output", str(out / "a.nrrd"), "--table", str(out / "a.csv")], capsys)
    words = [*DOSE, "--ct", "node:CT", "--activity=node:SPECT", "--integrate", "physical-decay", "--labels"]
    outputs = ["node:Organs", "--output", str(out / "b.nrrd"), "--table", str(out / "b.csv")]
    assert batch.main(["--scene", str(demo_scene), *words, *outputs]) == 0, capsys.readouterr().err
    numbers_alike(out / "b.csv", out / "a.csv", FLOAT32_ROUNDING)
    found, expected = read_array(out / "b.nrrd")[0], read_array(out / "a.nrrd")[0]
    np.testing.assert_allclose(found, expected, rtol=FLOAT32_ROUNDING, atol=float(expected.max()) * FLOAT32_ROUNDING)


def test_nodes_go_by_their_id_and_label_maps_serve_as_regions(
    demo: Path, demo_words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference([*demo_words, "--output", str(out / "a.nrrd"), "--table", str(out / "a.csv")], capsys)
    ct, activity = (nodeFromVolume(read_volume(demo / name), "Same") for name in ("ct.nii.gz", "activity.nii.gz"))
    activity.SetName("Same")
    labels = nodeFromVolume(read_volume(demo / "labels.nii.gz"), "Numbers")
    colors = activity.GetDisplayNode().GetColorNodeID()
    words = [*DOSE, "--ct", f"node:{ct.GetID()}", "--activity", f"node:{activity.GetID()}", "--integrate"]
    words += ["physical-decay", "--labels", f"node:{labels.GetID()}", "--output", "node:Dose", "--table"]
    count = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    assert batch.main([*words, str(out / "b.csv")]) == 0, capsys.readouterr().err
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == count + 1
    assert activity.GetDisplayNode().GetColorNodeID() == colors
    expected, found = rows(out / "a.csv"), rows(out / "b.csv")
    assert [row["region"] for row in found] == [f"label_{number}" for number in range(1, len(expected) + 1)]
    for one, other in zip(found, expected, strict=True):
        assert float(one["mean_gy"]) == pytest.approx(float(other["mean_gy"]), rel=FLOAT32_ROUNDING)


def test_overlapping_segments_keep_all_their_voxels(
    demo_words: list[str], demo_scene: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    region = ["--region", "whole_liver=liver+lesion_1+lesion_2+lesion_3+lesion_6"]
    reference([*demo_words, *region, "--output", str(out / "a.nrrd"), "--table", str(out / "a.csv")], capsys)
    words = [*DOSE, "--ct", "node:CT", "--activity", "node:SPECT", "--integrate", "physical-decay", "--labels"]
    outputs = ["node:Overlapping", "--output", str(out / "b.nrrd"), "--table", str(out / "b.csv")]
    assert batch.main(["--scene", str(demo_scene), *words, *outputs]) == 0, capsys.readouterr().err
    expected = {row["region"]: row for row in rows(out / "a.csv")}
    found = {row["region"]: row for row in rows(out / "b.csv")}
    assert set(found) == {"whole_liver", "lesion_3", "spleen"}
    for name, row in found.items():
        for column in ("volume_ml", "mass_g", "mean_gy", "d98_gy", "max_gy"):
            assert float(row[column]) == pytest.approx(float(expected[name][column]), rel=FLOAT32_ROUNDING), name


def test_a_sequence_goes_to_organ_doses_through_nodes_alone(
    demo: Path, demo_scene: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scans = [word for hours in (4, 24, 96, 168) for word in ("--scan", f"{hours}={demo}/scan_{hours:03d}h.nii.gz")]
    labels = ["--labels", str(demo / "labels.nii.gz"), "--label-names", str(demo / "labels.csv")]
    nuclide = ["--nuclide", "Lu-177", "--administered-mbq", "7400"]
    unit = ["--activity-unit", "Bq/mL"]  # Slicer's sequence files forget the units of their volumes
    reference(["curves", *scans, *labels, *nuclide, "--output", str(out / "curves.csv")], capsys)
    fits = ["--output", str(out / "fits.json"), "--residence-times", str(out / "times.csv")]
    reference(["fit", str(out / "curves.csv"), *nuclide, *fits], capsys)

    def scene(number: int) -> Path:
        return out / f"scene{number}.mrb"

    def step(number: int, words: list[str]) -> None:
        given = demo_scene if number == 1 else scene(number - 1)
        slicer.mrmlScene.Clear(0)
        run = ["--scene", str(given), "--output-scene", str(scene(number)), *words]
        assert batch.main(run) == 0, capsys.readouterr().err

    step(1, ["curves", "--scan", "node:Scans", *unit, "--labels", "node:Organs", *nuclide, "--output", "node:Curves"])
    step(2, ["fit", "node:Curves", *nuclide, "--output", "node:Fits", "--residence-times", "node:Times"])
    curves = columnsOf(slicer.util.getNode("Curves"))
    for row, expected in enumerate(rows(out / "curves.csv")):
        assert curves["region"][row] == expected["region"]
        assert curves["activity_mbq"][row] == pytest.approx(float(expected["activity_mbq"]), rel=TABLE_FILE_ROUNDING)
    assert slicer.util.getNode("Curves").GetColumnUnitLabel("activity_mbq") == "MBq"
    times = columnsOf(slicer.util.getNode("Times"))
    for row, expected in enumerate(rows(out / "times.csv")):
        found = times["residence_time_h"][row]
        assert found == pytest.approx(float(expected["residence_time_h"]), rel=1e2 * TABLE_FILE_ROUNDING)
    fits_found = json.loads(slicer.util.getNode("Fits").GetText())
    assert fits_found.keys() == json.loads((out / "fits.json").read_text(encoding="utf-8")).keys()


@pytest.mark.shared_data
def test_real_patient_from_files_and_from_the_scene_made_of_them(
    shared_data: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shared_data / "lu177_dotatate_patient"
    names = ["--label-names", str(folder / "labels.csv")]
    activity = folder / "patient15_activity_235MBq_Bqml.nii.gz"
    files = ["--ct", str(folder / "patient15_ct_hu.nii.gz"), "--activity", str(activity), "--activity-unit", "Bq/mL"]
    files += ["--integrate", "physical-decay", "--labels", str(folder / "patient15_labels.nii.gz"), *names]
    reference([*DOSE, *files, "--output", str(out / "a.nrrd"), "--table", str(out / "a.csv")], capsys)

    first = ["--output-scene", str(out / "b.mrb"), *DOSE, *files, "--output", str(out / "b.nrrd"), "--table"]
    assert batch.main([*first, str(out / "b.csv"), "--rtdose", str(out / "b.dcm")]) == 0, capsys.readouterr().err
    assert (out / "a.nrrd").read_bytes() == (out / "b.nrrd").read_bytes()
    assert (out / "a.csv").read_bytes() == (out / "b.csv").read_bytes()
    step = float(read_volume(out / "a.nrrd").array_kji.max()) / 2**31
    rt_dose = read_volume(out / "b.dcm").array_kji
    np.testing.assert_allclose(rt_dose, read_volume(out / "a.nrrd").array_kji, rtol=1e-6, atol=step)

    nodes = ["--ct", "node:patient15_ct_hu", "--activity", "node:patient15_activity_235MBq_Bqml", "--integrate"]
    nodes += ["physical-decay", "--labels", "node:patient15_labels", "--output", "node:Dose"]
    slicer.mrmlScene.Clear(0)
    second = ["--scene", str(out / "b.mrb"), "--output-scene", str(out / "c.mrb"), *DOSE, *nodes]
    assert batch.main([*second, "--table", str(out / "c.csv")]) == 0, capsys.readouterr().err
    numbers_alike(out / "c.csv", out / "a.csv", FLOAT32_ROUNDING)
    dose = reopened(out / "c.mrb").GetFirstNodeByName("Dose")
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(dose), read_array(out / "a.nrrd")[0], rtol=FLOAT32_ROUNDING, atol=step
    )


@pytest.mark.shared_data
def test_dicom_folders_of_ct_and_pet(
    shared_data: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ct_folder = shared_data / "ct_dicom_series"
    ct = read_volume(ct_folder, Quantity.CT_NUMBER)
    tia = tmp_path / "tia.nrrd"
    grid = _coarse(ct)
    spot = ball(grid, tuple((n - 1) / 2 for n in grid.shape_kji), 3.0)
    values = np.where(spot, 1e9, 0.0)
    write_volume(QuantitativeVolume(values, grid, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION), tia)
    words = ["dose", "--method", "local", "--nuclide", "Lu-177", "--ct", str(ct_folder), "--tia", str(tia)]
    reference([*words, "--output", str(out / "a.nrrd")], capsys)
    run = ["--output-scene", str(out / "b.mrb"), *words, "--output", str(out / "b.nrrd"), "--rtdose"]
    assert batch.main([*run, str(out / "b.dcm")]) == 0, capsys.readouterr().err
    assert (out / "a.nrrd").read_bytes() == (out / "b.nrrd").read_bytes()
    scene = reopened(out / "b.mrb")
    node = scene.GetFirstNodeByName("ct_dicom_series")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), ct.array_kji)
    dose = scene.GetFirstNodeByName("b")
    assert dose.GetNodeReference("RadioDosimetry.ctRef") is node

    pet = ["curves", "--scan", f"header={shared_data / 'pet_dicom' / '1.dcm'}", "--nuclide", "F-18", "--whole-body"]
    reference([*pet, "--output", str(out / "a.csv")], capsys)
    slicer.mrmlScene.Clear(0)
    run = ["--output-scene", str(out / "c.mrb"), *pet, "--output", str(out / "c.csv")]
    assert batch.main(run) == 0, capsys.readouterr().err
    assert (out / "c.csv").read_bytes() == (out / "a.csv").read_bytes()
    table = reopened(out / "c.mrb").GetFirstNodeByName("c")
    found = columnsOf(table)["activity_mbq"][0]
    assert found == pytest.approx(float(rows(out / "a.csv")[0]["activity_mbq"]), rel=TABLE_FILE_ROUNDING)


def _coarse(volume: QuantitativeVolume) -> Any:
    """The space of a volume in voxels of 12 × 12 × 4 mm."""
    geometry = volume.geometry
    factors = (12, 12, 2)
    shape = tuple(count // factor for count, factor in zip(geometry.shape_kji, reversed(factors), strict=True))
    spacing = tuple(size * factor for size, factor in zip(geometry.spacing_mm, factors, strict=True))
    return type(geometry)(shape, spacing, geometry.origin_mm, geometry.direction, geometry.frame_of_reference_uid)


# The scene that is saved


def test_saved_scene_reopens_with_units_colours_tables_and_references(
    demo_words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--output-scene", str(out / "s.mrb"), *demo_words, "--output", str(out / "dose.nrrd")]
    assert batch.main(words) == 0, capsys.readouterr().err
    scene = reopened(out / "s.mrb")
    dose, ct, activity = (scene.GetFirstNodeByName(name) for name in ("dose", "ct", "activity"))
    expected = [
        (dose, Quantity.ABSORBED_DOSE, "Gy"),
        (ct, Quantity.CT_NUMBER, "HU"),
        (activity, Quantity.ACTIVITY_CONCENTRATION, "Bq/mL"),
    ]
    for node, quantity, unit in expected:
        assert (quantityOf(node), unitOf(node)) == (quantity, unit), node.GetName()
    assert dose.GetAttribute("DicomRtImport.DoseVolume") == "1"
    record = recordOf(dose)
    assert record is not None
    assert record.parameters == recordOf_file(out / "dose.nrrd").parameters
    display = dose.GetDisplayNode()
    colors = display.GetColorNode()
    assert colors.GetNumberOfColors() > 100
    assert display.GetApplyThreshold()
    assert display.GetLowerThreshold() > 0
    assert display.GetWindowLevelMin() == 0
    table = scene.GetFirstNodeByName("dose table")
    columns = columnsOf(table)
    assert {"left_kidney", "liver", "lesion_3"} <= set(columns["region"])
    assert table.GetColumnUnitLabel("mean_gy") == "Gy"
    mean = dict(zip(columns["region"], columns["mean_gy"], strict=True))["left_kidney"]
    mask = next(
        region.mask_kji
        for region in regions_of(read_label_map(_after(demo_words, "--labels"), _after(demo_words, "--label-names")))
        if region.name == "left_kidney"
    )
    assert mean == pytest.approx(float(slicer.util.arrayFromVolume(dose)[mask].mean()), rel=0.01)
    segmentation = dose.GetNodeReference("RadioDosimetry.segmentationRef")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == len(columns["region"])
    histogram = scene.GetFirstNodeByName("left_kidney_DvhTable")
    assert histogram.GetAttribute("DoseVolumeHistogram.DVH") == "1"
    assert histogram.GetNodeReference("doseVolumeRef") is dose
    assert columnsOf(histogram)["Volume"][0] == 100.0
    chart = dose.GetNodeReference("RadioDosimetry.dvhChartRef")
    assert chart.GetNumberOfPlotSeriesNodes() == len(columns["region"])


def recordOf_file(path: Path) -> Record:  # noqa: N802
    return read_volume(path).record


def _after(words: list[str], option: str) -> Path:
    return Path(words[words.index(option) + 1])


def test_monte_carlo_leaves_its_uncertainty_and_the_summary_seed_and_device(
    demo_words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word if word != "multiple-vsv" else "monte-carlo" for word in demo_words]
    options = ["--output-scene", str(out / "s.mrb"), "--summary", str(out / "s.json"), "--log", str(out / "s.log")]
    run = ["--histories", "20000", "--seed", "7", "--output", "node:Dose MC", "--uncertainty", "node:Sigma"]
    assert batch.main([*options, *words, *run]) == 0, capsys.readouterr().err
    summary = json.loads((out / "s.json").read_text(encoding="utf-8"))
    assert (summary["status"], summary["exit_code"], summary["command"]) == ("done", 0, "dose")
    assert (summary["seed"], summary["message"]) == (7, None)
    assert summary["device"].startswith("cpu")
    assert summary["nodes"]["--output"] == ["Dose MC"]
    assert summary["output_scene"] == str(out / "s.mrb")
    assert any("physical decay" in warning for warning in summary["warnings"])
    assert [entry["option"] for entry in summary["inputs"]] == ["--ct", "--activity", "--labels", "--label-names"]
    assert all(len(entry["sha256"]) == 64 for entry in summary["inputs"])
    assert "WARNING: Activity was integrated by physical decay" in (out / "s.log").read_text(encoding="utf-8")
    assert {path.name for path in out.iterdir()} == {"s.mrb", "s.json", "s.log"}
    sigma = reopened(out / "s.mrb").GetFirstNodeByName("Sigma")
    assert quantityOf(sigma) is Quantity.RELATIVE_UNCERTAINTY


def test_the_case_of_the_command_line_runs_in_batch_and_the_summary_lists_its_files(
    demo: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = Path(shutil.copytree(demo, tmp_path / "case"))
    text = (case / "case.toml").read_text(encoding="utf-8")
    text = re.sub(r"^methods = .*$", 'methods = ["local"]', text, flags=re.MULTILINE)
    (case / "case.toml").write_text(text, encoding="utf-8")
    summary, scene = out / "summary.json", out / "case.mrb"
    words = ["--summary", str(summary), "--output-scene", str(scene), "case", "run", str(case)]
    assert batch.main(words) == 0, capsys.readouterr().err
    said = json.loads(summary.read_text(encoding="utf-8"))
    assert said["status"] == "done"
    inputs = {entry["role"]: entry for entry in said["inputs"]}
    assert set(inputs) == {"case.toml", "ct", "scan 1", "scan 2", "scan 3", "scan 4", "labels", "label names"}
    assert all(len(entry["sha256"]) == 64 for entry in inputs.values())
    written = {Path(entry["path"]): entry["step"] for entry in said["outputs"]}
    assert all(path.is_file() for path in written)
    assert written[case / "results" / "report" / "report.html"] == "report"
    assert written[case / "results" / "dose" / "local" / "dose.nrrd"] == "dose/local"
    assert said["record"]["operation"] == "voxel dose by local"
    assert said["warnings"][0].startswith("Partial volume: No recovery coefficients were given")
    assert said["nodes"]["dose"] == ["virtual patient dose, local"]
    reopened(scene)
    dose = slicer.util.getNode("virtual patient dose, local")
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(dose), read_volume(case / "results/dose/local/dose.nrrd").array_kji, rtol=1e-6
    )
    assert dose.GetNodeReference("RadioDosimetry.ctRef").GetName() == "virtual patient CT"
    assert "liver" in columnsOf(slicer.util.getNode("virtual patient region doses"))["region"]
    again = out / "again.json"
    assert batch.main(["--summary", str(again), "report", str(case)]) == 0, capsys.readouterr().err
    assert json.loads(again.read_text(encoding="utf-8"))["outputs"] == said["outputs"]


def test_a_case_that_cannot_run_lists_no_outputs_and_a_cohort_its_tables(
    demo: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = out / "summary.json"
    assert batch.main(["--summary", str(summary), "case", "run", str(tmp_path / "nowhere")]) == 2
    said = json.loads(summary.read_text(encoding="utf-8"))
    assert said["outputs"] == []
    assert "There is no case" in said["message"]
    words = ["cohort", "run", str(demo), "--output", str(out / "cohort")]
    assert batch.main(["--summary", str(summary), *words]) == 0, capsys.readouterr().err
    files = {Path(entry["path"]).name for entry in json.loads(summary.read_text(encoding="utf-8"))["outputs"]}
    assert {"cohort.csv", "region_doses.csv", "summary.csv", "organ_doses.csv", "region_doses.png"} <= files


def test_folder_of_a_comparison_goes_into_the_scene(demo: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", str(demo / "dose_multiple_vsv.nrrd"), str(demo / "dose_monte_carlo.nrrd"), "--output"]
    run = ["--output-scene", str(out / "s.mrb"), *words, str(out / "comparison")]
    assert batch.main(run) == 0, capsys.readouterr().err
    scene = reopened(out / "s.mrb")
    tables = scene.GetNumberOfNodesByClass("vtkMRMLTableNode")
    assert tables >= len(list((out / "comparison").glob("*.csv")))
    images = [path for path in (out / "comparison").iterdir() if path.name.endswith(".nrrd")]
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == len(images) + 2


def test_rigid_transform_is_applied_and_another_is_refused(
    demo_words: list[str], demo: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = nodeFromVolume(read_volume(demo / "ct.nii.gz"), "CT")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Scaled")
    matrix = np.diag([1.1, 1.0, 1.0, 1.0])
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    words = ["node:CT" if word == str(demo / "ct.nii.gz") else word for word in demo_words]
    assert batch.main([*words, "--output", str(out / "a.nrrd")]) == 2
    assert "harden the transform" in capsys.readouterr().err
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.eye(4)))
    assert batch.main([*words, "--output", str(out / "a.nrrd")]) == 0, capsys.readouterr().err
    reference([*demo_words, "--output", str(out / "b.nrrd")], capsys)
    np.testing.assert_allclose(
        read_array(out / "a.nrrd")[0], read_array(out / "b.nrrd")[0], rtol=FLOAT32_ROUNDING, atol=1e-6
    )


def test_unit_of_a_node_without_any_is_asked_for_and_taken_from_the_command_line(
    demo: Path, demo_words: list[str], out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    activity = read_volume(demo / "activity.nii.gz")
    node = nodeFromVolume(activity, "SPECT")
    slicer.util.updateVolumeFromArray(node, (activity.array_kji / 1e3).astype(np.float32))
    node.RemoveAttribute("RadioDosimetry.Quantity")
    node.SetVoxelValueQuantity(None)
    node.SetVoxelValueUnits(None)
    words = ["node:SPECT" if word == str(demo / "activity.nii.gz") else word for word in demo_words]
    assert batch.main([*words, "--output", str(out / "a.nrrd")]) == 2
    assert "says too little" in capsys.readouterr().err
    assert batch.main([*words, "--activity-unit", "kBq/mL", "--output", str(out / "a.nrrd")]) == 0
    reference([*demo_words, "--output", str(out / "b.nrrd")], capsys)
    np.testing.assert_allclose(
        read_array(out / "a.nrrd")[0], read_array(out / "b.nrrd")[0], rtol=FLOAT32_ROUNDING, atol=1e-5
    )


# What is refused, and what is left behind


NODES = "dose --nuclide Lu-177 --ct node:CT --activity node:SPECT --integrate physical-decay --output {out}/d.nrrd"
BAD = {
    "no command": ("", "COMMAND"),
    "unknown command": ("dosse --ct x", "invalid choice: 'dosse'"),
    "unknown option": ("nuclide Lu-177 --nix", "unrecognized arguments"),
    "batch option without value": ("nuclide Lu-177 --summary", "--summary: expected one argument"),
    "missing scene": ("--scene {out}/nix.mrb " + NODES, "nix.mrb does not exist"),
    "scene is no scene": ("--scene {junk} " + NODES, "cannot be read"),
    "scene is cut off": ("--scene {cut} " + NODES, "cannot be read"),
    "scene is a CSV": ("--scene {demo}/labels.csv " + NODES, "of another format"),
    "missing node": ("--scene {scene} " + NODES.replace("node:CT", "node:MR"), "has no node 'MR' for --ct; it has: CT"),
    "node of another class": ("--scene {scene} " + NODES.replace("node:CT", "node:Organs"), "expected ScalarVolume"),
    "node of another quantity": ("--scene {scene} " + NODES.replace("node:CT", "node:SPECT"), "ct_number is needed"),
    "name that is not unique": ("--scene {scene} " + NODES.replace("node:SPECT", "node:Scan"), "2 nodes are called"),
    "names for a segmentation": (
        "--scene {scene} " + NODES + " --labels node:Organs --label-names {demo}/labels.csv", "holds its own names",
    ),
    "output node that is there": (
        "--scene {scene} --output-scene {out}/s.mrb " + NODES.replace("{out}/d.nrrd", "node:CT"), "'CT' already",
    ),
    "node for a DICOM file": (
        "--scene {scene} --output-scene {out}/s.mrb " + NODES + " --rtdose node:RT", "cannot become a node",
    ),
    "output scene that is the input": ("--scene {scene} --output-scene {scene} " + NODES, "would be overwritten"),
    "output scene of another format": ("--output-scene {out}/s.nrrd " + NODES, "must end in .mrb"),
    "wrong image": (
        "--output-scene {out}/s.mrb dose --nuclide Lu-177 --ct {demo}/labels.csv --tia {demo}/activity.nii.gz "
        "--output {out}/d.nrrd", "neither DICOM nor one of the known image files",
    ),
    "empty segmentation": ("--scene {scene} " + NODES + " --labels node:Empty", "has no segment"),
}  # fmt: skip
"""Command line, and what the one line must say; all end with exit code 2 and leave nothing."""


@pytest.mark.parametrize("case", list(BAD))
def test_bad_input_is_one_line_and_exit_code_2(
    case: str, demo: Path, demo_scene: Path, tmp_path: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junk, cut = tmp_path / "junk.mrb", tmp_path / "cut.mrb"
    junk.write_text("no scene\n", encoding="utf-8")
    cut.write_bytes(demo_scene.read_bytes()[:20_000])
    if case == "empty segmentation":
        reopened(demo_scene)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
        assert slicer.util.saveScene(str(demo_scene))
        slicer.mrmlScene.Clear(0)
    words, expected = BAD[case]
    given = words.format(out=out, demo=demo, scene=demo_scene, junk=junk, cut=cut).split()
    content = demo_scene.read_bytes()
    capsys.readouterr()
    assert batch.main(given) == 2
    printed = capsys.readouterr()
    assert expected in printed.err
    assert len(printed.err.strip().splitlines()) == 1, printed.err
    assert printed.out == ""
    assert list(out.iterdir()) == []
    assert demo_scene.read_bytes() == content


def test_failed_runs_write_summary_and_log_with_the_users_own_words(
    demo_scene: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = NODES.replace("node:CT", "node:SPECT").format(out=out).split()
    run = ["--scene", str(demo_scene), "--summary", str(out / "s.json"), "--log", str(out / "s.log"), *words]
    assert batch.main(run) == 2
    line = capsys.readouterr().err.strip()
    assert "node:SPECT holds activity_concentration" in line
    summary = json.loads((out / "s.json").read_text(encoding="utf-8"))
    assert (summary["status"], summary["exit_code"], summary["outputs"]) == ("bad input", 2, [])
    assert summary["message"] == line.removeprefix("radiodosimetry: ")
    assert (out / "s.log").read_text(encoding="utf-8").strip() == line
    assert {path.name for path in out.iterdir()} == {"s.json", "s.log"}


@pytest.mark.parametrize("option", ["--output-scene", "--summary", "--log", "--output"])
def test_folder_that_takes_no_files_is_found_out_before_the_work(
    option: str, demo_words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = out / "closed"
    closed.mkdir()
    touch, opened = Path.touch, Path.open

    def refuse(path: Path) -> None:
        if path.parent == closed:
            raise PermissionError(13, "Permission denied", str(path))

    def closed_touch(path: Path, *arguments: Any, **options: Any) -> None:
        refuse(path)
        touch(path, *arguments, **options)

    def closed_open(path: Path, *arguments: Any, **options: Any) -> Any:
        refuse(path)
        return opened(path, *arguments, **options)

    # The superuser may write anywhere, so the folder is closed for this process.
    monkeypatch.setattr(Path, "touch", closed_touch)
    monkeypatch.setattr(Path, "open", closed_open)
    place = {"--output-scene": "s.mrb", "--summary": "s.json", "--log": "s.log", "--output": "d.nrrd"}[option]
    words = [*demo_words, "--output", str((closed if option == "--output" else out) / "d.nrrd")]
    if option != "--output":
        words = [option, str(closed / place), *words]
    assert batch.main(words) == 1
    printed = capsys.readouterr().err.strip()
    assert f"Cannot write {closed / place}: permission denied" in printed
    assert len(printed.splitlines()) == 1
    assert [path for path in out.rglob("*") if path.is_file()] == []


def test_scene_that_cannot_be_saved_fails_and_leaves_no_scene(
    demo_words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slicer.util, "saveScene", lambda *_: False)
    words = ["--output-scene", str(out / "s.mrb"), *demo_words, "--output", "node:Dose"]
    assert batch.main(words) == 1
    assert "Could not write the scene" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_results_that_cannot_be_put_into_the_scene_leave_it_as_it_was(
    demo_words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from RadioDosimetryLib import display

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no colours")

    kept = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTextNode", "Kept")
    before = slicer.mrmlScene.GetNumberOfNodes()
    monkeypatch.setattr(display, "showDose", broken)
    words = ["--output-scene", str(out / "s.mrb"), *demo_words, "--output", "node:Dose"]
    assert batch.main(words) == 1
    assert "Unexpected RuntimeError: no colours" in capsys.readouterr().err
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert slicer.mrmlScene.IsNodePresent(kept)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("where", ["command", "scene"])
def test_ctrl_c_is_130_and_leaves_nothing(
    where: str, demo_words: list[str], out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    if where == "command":
        monkeypatch.setattr("radiodosimetry.cli.dose.compute_dose", interrupted)
    else:
        monkeypatch.setattr(slicer.util, "saveScene", interrupted)
    words = ["--output-scene", str(out / "s.mrb"), "--summary", str(out / "s.json"), *demo_words]
    assert batch.main([*words, "--output", "node:Dose"]) == 130
    assert "Cancelled; no result was written." in capsys.readouterr().err
    assert json.loads((out / "s.json").read_text(encoding="utf-8"))["status"] == "cancelled"
    assert [path.name for path in out.iterdir()] == ["s.json"]


def test_scene_with_unsaved_changes_is_not_thrown_away(
    demo: Path, demo_scene: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = nodeFromVolume(read_volume(demo / "ct.nii.gz"), "Mine")
    assert batch.main(["--scene", str(demo_scene), *NODES.format(out=out).split()]) == 2
    assert "changes that are not saved" in capsys.readouterr().err
    assert slicer.mrmlScene.IsNodePresent(node)


def test_missing_packages_are_named_and_installed_only_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import slicer.packaging

    missing = ["warp-lang>=1.19"]
    asked: list[dict[str, Any]] = []

    def check(interactive: bool) -> None:
        if missing:
            raise MissingDependencyError(f"Packages are missing: {', '.join(missing)}; install them.")

    def install(_: Any, **options: Any) -> None:
        asked.append(options)
        missing.clear()

    monkeypatch.setattr(requirements, "missingRequirements", lambda: missing)
    monkeypatch.setattr(requirements, "ensureRequirements", check)
    monkeypatch.setattr(slicer.packaging, "pip_ensure", install)
    assert batch.main(["nuclide", "Lu-177"]) == 1
    assert capsys.readouterr().err == "radiodosimetry: Packages are missing: warp-lang>=1.19; install them.\n"
    assert batch.main(["--install-dependencies", "nuclide", "Lu-177"]) == 0
    assert asked[0]["prompt_install"] is False
    assert asked[0]["prompt_restart"] is False


def test_package_that_fails_to_import_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "radiodosimetry.cli.nuclide", None)
    assert batch.main(["nuclide", "Lu-177"]) == 1
    assert "The package 'radiodosimetry.cli.nuclide' is missing" in capsys.readouterr().err


# As a script


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the script in another folder, with nothing of the project on Python's path."""
    folder = tmp_path_factory.mktemp("elsewhere")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(BATCH_FILE), *words], cwd=folder, env=environment, text=True, capture_output=True,
            timeout=120, check=False,
        )  # fmt: skip

    return run


def test_script_takes_a_scene_on_slicer_core_alone(
    demo_scene: Path, demo_words: list[str], out: Path, script: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*DOSE, "--ct", "node:CT", "--activity", "node:SPECT", "--integrate", "physical-decay"]
    words += ["--labels", "node:Organs", "--output", "node:Dose", "--table", str(out / "a.csv")]
    run = script("--scene", str(demo_scene), "--output-scene", str(out / "a.mrb"), "--", *words)
    assert run.returncode == 0, run.stderr
    assert run.stderr.strip().splitlines() == [
        "WARNING: Activity was integrated by physical decay alone: no clearance, nothing before the scan."
    ]
    reference([*demo_words, "--output", str(out / "b.nrrd"), "--table", str(out / "b.csv")], capsys)
    numbers_alike(out / "a.csv", out / "b.csv", FLOAT32_ROUNDING)
    dose = reopened(out / "a.mrb").GetFirstNodeByName("Dose")
    np.testing.assert_allclose(
        slicer.util.arrayFromVolume(dose), read_array(out / "b.nrrd")[0], rtol=FLOAT32_ROUNDING, atol=1e-6
    )
    assert unitOf(dose) == "Gy"


def test_script_ends_with_the_exit_code(script: Callable[..., Any], out: Path) -> None:
    run = script("--scene", str(out / "nix.mrb"), *NODES.format(out=out).split())
    assert run.returncode == 2
    assert run.stderr.startswith("radiodosimetry: The scene")
    assert len(run.stderr.splitlines()) == 1


AS_SLICER_RUNS_IT = """
import sys
sys.path.insert(0, {tests!r})
import standin
application = standin.start(gui=False)
sys.path.insert(0, {folder!r})
sys.argv = {argv!r}
__file__ = {file!r}
exec(open({file!r}, encoding="ascii").read(), globals())
print(application.exitCodes(), [entry for entry in sys.path if entry == {folder!r}])
"""
"""`--python-script` executes the text of a file, in the platform's encoding, in the names of `__main__`."""


@pytest.mark.parametrize(("scene_name", "code"), [("patient.mrb", 0), ("nix.mrb", 2)])
def test_python_script_of_an_application_ends_its_event_loop(
    scene_name: str, code: int, demo_scene: Path, out: Path
) -> None:
    argv = [str(BATCH_FILE), "--scene", str(demo_scene.with_name(scene_name)), "--output-scene", str(out / "s.mrb")]
    argv += [*NODES.format(out=out).split(), "--labels", "node:Organs"]
    program = AS_SLICER_RUNS_IT.format(
        tests=str(Path(__file__).parent), folder=str(BATCH_FILE.parent), argv=argv, file=str(BATCH_FILE)
    )
    run = subprocess.run([sys.executable, "-c", program], text=True, capture_output=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == f"[{code}] []"
    assert (out / "s.mrb").is_file() == (code == 0)


def test_inside_an_application_the_exit_goes_through_it(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setitem(sys.modules, "slicer", SimpleNamespace(app=object(), util=SimpleNamespace(exit=codes.append)))
    batch._exit(2)
    assert codes == [2]


def test_help_is_the_documentation_of_the_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert batch.main(["--help"]) == 0
    assert "--output-scene FILE" in capsys.readouterr().out
    assert batch.main(["dose", "--help"]) == 0
    assert "--activity" in capsys.readouterr().out


def test_cells_of_tables_come_back_as_they_were(tmp_path: Path) -> None:
    from RadioDosimetryLib.batchNodes import _csv
    from RadioDosimetryLib.batchTables import tableFromCsv

    columns = {"region": ["a, b", 'c"d'], "dose_gy": [0.1 + 0.2, math.nan], "count": [3.0, -1e22]}
    path = tmp_path / "t.csv"
    path.write_text(_csv(columns), encoding="utf-8", newline="\n")
    found = columnsOf(tableFromCsv(path, "T"))
    assert found["region"] == columns["region"]
    np.testing.assert_array_equal(found["dose_gy"], columns["dose_gy"])
    np.testing.assert_array_equal(found["count"], columns["count"])


def test_regions_on_oblique_and_mirrored_grids_survive_the_dicom_file(tmp_path: Path) -> None:
    from lib_samples import MIRRORED, OBLIQUE, PERMUTED

    from radiodosimetry.images.dicom_regions import read_dicom_regions
    from RadioDosimetryLib.batchSegments import writeSegmentationFile

    for number, geometry in enumerate((OBLIQUE, MIRRORED, PERMUTED)):
        middle = tuple((n - 1) / 2 for n in geometry.shape_kji)
        regions = [
            Region("whole", ball(geometry, middle, 2.5), "whole"),
            Region("in", ball(geometry, middle, 1.2), "in"),
        ]
        path = tmp_path / f"{number}.dcm"
        writeSegmentationFile(regions, geometry, path)
        found = read_dicom_regions(path, geometry)
        assert [region.name for region in found] == ["whole", "in"]
        for one, other in zip(found, regions, strict=True):
            np.testing.assert_array_equal(one.mask_kji, other.mask_kji)
