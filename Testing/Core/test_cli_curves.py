"""`radiodosimetry curves` on a small patient and a real one: table, record, options, and what it refuses."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dicom_samples import pet_slice, save_series
from radiodosimetry.cli import main
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import image_of, read_volume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.time_activity.acquisition_times import mean_to_start_factor
from radiodosimetry.time_activity.curves import read_curves

SHAPE = (6, 7, 8)
SPACING = (4.0, 4.0, 5.0)
VOXEL_ML = 0.08
LIVER, SPLEEN, OUTSIDE = 2e5, 8e5, 1e3
COLUMNS = ["region", "time_h", "activity_mbq", "std_mbq", "percent_id", "volume_ml"]


@pytest.fixture
def patient(tmp_path) -> Path:
    """Two organs in a weak background at 4, 24 and 96 h, each with its own half-life, as NIfTI files."""
    folder = tmp_path / "patient"
    folder.mkdir()
    labels = drawn()
    for time_h in (4, 24, 96):
        write(folder / f"t{time_h}.nii.gz", activity(labels, time_h))
    write(folder / "labels.nii.gz", labels)
    (folder / "labels.csv").write_text("label,name\n1,liver\n2,spleen\n")
    return folder


def drawn() -> np.ndarray:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1:4, 1:5, 1:6] = 1
    labels[4:5, 2:4, 2:4] = 2
    return labels


def activity(labels: np.ndarray, time_h: float) -> np.ndarray:
    return np.where(
        labels == 1, LIVER * 2 ** (-time_h / 50), np.where(labels == 2, SPLEEN * 2 ** (-time_h / 80), OUTSIDE)
    )


def write(path: Path, array: np.ndarray, origin=(0.0, 0.0, 0.0)) -> None:
    array = array if array.dtype == np.uint8 else array.astype(np.float32)
    sitk.WriteImage(image_of(array, VolumeGeometry(array.shape, SPACING, origin)), str(path))


def scans(patient: Path, *times_h: float) -> list[str]:
    return [word for time in times_h or (4, 24, 96) for word in ("--scan", f"{time:g}={patient / f't{time:g}.nii.gz'}")]


def with_regions(patient: Path) -> list[str]:
    return ["--labels", str(patient / "labels.nii.gz"), "--label-names", str(patient / "labels.csv")]


def run(patient: Path, *words: str, times_h=(), unit: bool = True) -> int:
    given = [] if "--scan" in words else scans(patient, *times_h)
    labels = [] if "--labels" in words or "--no-labels" in words else with_regions(patient)
    others = [word for word in words if word != "--no-labels"]
    units = ["--activity-unit", "Bq/mL"] if unit else []
    nuclide = [] if "--nuclide" in words else ["--nuclide", "Lu-177"]
    output = [] if "--output" in words else ["--output", str(patient.parent / "curves.csv")]
    return main(["curves", *given, *units, *labels, *nuclide, *output, *others])


def rows(patient: Path, name: str = "curves.csv") -> list[dict[str, str]]:
    with (patient.parent / name).open() as stream:
        return list(csv.DictReader(stream))


def record(patient: Path, name: str = "curves.csv") -> dict:
    return json.loads((patient.parent / f"{name}.json").read_text())


def left_behind(patient: Path) -> list[str]:
    return sorted(path.name for path in patient.parent.iterdir() if path.name != "patient")


def test_the_table_has_the_activity_of_each_region_at_each_time(patient, capsys):
    assert run(patient, "--administered-mbq", "200") == 0
    table = rows(patient)
    assert list(table[0]) == COLUMNS
    assert [(row["region"], row["time_h"]) for row in table] == [
        (region, time) for region in ("liver", "spleen") for time in ("4", "24", "96")
    ]
    liver_mbq = 60 * VOXEL_ML * LIVER * 2 ** (-24 / 50) / 1e6
    assert float(table[1]["activity_mbq"]) == pytest.approx(liver_mbq, rel=1e-6)
    assert float(table[1]["percent_id"]) == pytest.approx(liver_mbq / 2, rel=1e-6)
    assert float(table[1]["volume_ml"]) == pytest.approx(60 * VOXEL_ML)
    assert {row["std_mbq"] for row in table} == {""}
    assert "liver" in capsys.readouterr().out
    assert len(read_curves(patient.parent / "curves.csv")) == 2


def test_the_record_says_what_was_read_and_done(patient):
    assert run(patient) == 0
    found = record(patient)
    assert found["operation"] == "time-activity curves of regions over serial images"
    assert found["parameters"]["nuclide"] == "Lu-177"
    assert found["parameters"]["scans"][1]["time_h"] == 24
    assert found["parameters"]["scans"][1]["timing"] == "taken as the activity present at the scan's time"
    assert set(found["inputs"]) == {"scan 1", "scan 2", "scan 3", "labels", "label_names"}
    assert len(found["inputs"]["scan 1"]["file"]["sha256"]) == 64
    assert "ICRP-107" in found["dataset"]
    assert found["warnings"] == []
    assert {row["percent_id"] for row in rows(patient)} == {""}


def test_regions_remainder_and_whole_body_add_up(patient):
    assert run(patient, "--remainder", "--whole-body") == 0
    by_name = {row["region"]: float(row["activity_mbq"]) for row in rows(patient) if row["time_h"] == "96"}
    parts = by_name["liver"] + by_name["spleen"] + by_name["remainder_of_body"]
    assert parts == pytest.approx(by_name["whole_body"], rel=1e-8)
    assert len(record(patient)["warnings"]) == 2


def test_further_regions_are_made_by_expressions(patient):
    assert run(patient, "--region", "both=liver+spleen") == 0
    by_name = {row["region"]: float(row["activity_mbq"]) for row in rows(patient) if row["time_h"] == "4"}
    assert by_name["both"] == pytest.approx(by_name["liver"] + by_name["spleen"], rel=1e-8)


def test_only_some_regions_can_be_kept_and_the_remainder_is_outside_of_them(patient):
    assert run(patient, "--region", "both=liver+spleen", "--only", "both,liver", "--remainder", "--whole-body") == 0
    by_name = {row["region"]: float(row["activity_mbq"]) for row in rows(patient) if row["time_h"] == "4"}
    assert list(by_name) == ["liver", "both", "remainder_of_body", "whole_body"]
    assert by_name["both"] + by_name["remainder_of_body"] == pytest.approx(by_name["whole_body"], rel=1e-8)


def test_a_region_to_keep_that_is_not_there_is_refused(patient, capsys):
    assert run(patient, "--only", "kidney") == 2
    assert "no region kidney to keep; the regions are liver, spleen" in capsys.readouterr().err
    assert left_behind(patient) == []


def test_uncertainties_and_recovery_fill_their_columns(patient):
    recovery = patient / "recovery.csv"
    recovery.write_text("volume_ml,recovery\n0.1,0.4\n1,0.6\n10,0.9\n")
    words = ("--recovery", str(recovery), "--calibration-std-percent", "3", "--volume-std-percent", "4")
    assert run(patient, *words) == 0
    plain_mbq = 4 * VOXEL_ML * SPLEEN * 2 ** (-4 / 80) / 1e6
    row = next(row for row in rows(patient) if row["region"] == "spleen")
    applied = record(patient)["parameters"]["regions"]["spleen"]["recovery"]["applied"][0]
    assert 0.4 < applied < 0.6
    assert float(row["activity_mbq"]) == pytest.approx(plain_mbq / applied, rel=1e-6)
    assert float(row["std_mbq"]) / float(row["activity_mbq"]) >= math.hypot(0.03, 0.04)
    assert "recovery" in record(patient)["inputs"]
    assert run(patient, *words, "--recovery-method", "interpolated") == 0
    assert record(patient)["parameters"]["regions"]["spleen"]["recovery"]["method"] == "interpolated"


def test_what_was_excreted_is_what_the_body_lacks(patient):
    assert run(patient, "--voided", "--whole-body", "--administered-mbq", "5") == 0
    decay = Radionuclide("Lu-177").decay_constant_per_s
    by_name = {row["region"]: float(row["activity_mbq"]) for row in rows(patient) if row["time_h"] == "96"}
    left = 5 * math.exp(-decay * 96 * 3600)
    assert by_name["voided"] + by_name["whole_body"] == pytest.approx(left, rel=1e-8)


def test_frames_and_decay_corrected_images_are_brought_to_their_time(patient):
    decay = Radionuclide("Lu-177").decay_constant_per_s
    assert run(patient) == 0
    plain = [float(row["activity_mbq"]) for row in rows(patient)][:3]
    durations = ("--frame-duration-s", "600", "--frame-duration-s", "1200", "--frame-duration-s", "3600")
    assert run(patient, *durations) == 0
    found = [float(row["activity_mbq"]) for row in rows(patient)][:3]
    expected = [mean_to_start_factor(decay, duration) for duration in (600, 1200, 3600)]
    np.testing.assert_allclose(np.array(found) / plain, expected, rtol=1e-8)
    assert run(patient, "--decay-corrected-to-administration") == 0
    found = [float(row["activity_mbq"]) for row in rows(patient)][:3]
    expected = [math.exp(-decay * time_h * 3600) for time_h in (4, 24, 96)]
    np.testing.assert_allclose(np.array(found) / plain, expected, rtol=1e-8)
    assert record(patient)["parameters"]["scans"][2]["timing"] == "decayed from the administration to 96 h"


def test_counts_are_calibrated_by_either_factor(patient):
    assert run(patient, "--calibration-bq-per-ml-per-count", "2", unit=False) == 0
    doubled = float(rows(patient)[0]["activity_mbq"])
    assert run(patient) == 0
    assert doubled == pytest.approx(2 * float(rows(patient)[0]["activity_mbq"]), rel=1e-8)
    assert run(patient, "--calibration-bq-per-count-per-s", "2", "--frame-duration-s", "10", unit=False) == 0
    decay = Radionuclide("Lu-177").decay_constant_per_s
    expected = doubled / 10 / VOXEL_ML * mean_to_start_factor(decay, 10)
    assert float(rows(patient)[0]["activity_mbq"]) == pytest.approx(expected, rel=1e-8)


def test_each_scan_may_have_its_own_labels(patient):
    moved = np.roll(drawn(), 1, axis=2)
    write(patient / "labels24.nii.gz", moved)
    write(patient / "t24.nii.gz", activity(moved, 24))
    own = ["--labels", str(patient / "labels.nii.gz"), "--labels", str(patient / "labels24.nii.gz")]
    assert run(patient, *own, "--label-names", str(patient / "labels.csv"), times_h=(4, 24)) == 0
    by_time = {row["time_h"]: float(row["activity_mbq"]) for row in rows(patient) if row["region"] == "liver"}
    assert by_time["24"] / by_time["4"] == pytest.approx(2 ** (-20 / 50), rel=1e-6)
    assert record(patient)["parameters"]["one_label_map_for_all_scans"] is False


def test_quantities_are_written_beside_the_curves(patient):
    table = patient.parent / "quantities.csv"
    words = ("--quantities", str(table), "--weight-kg", "70", "--density-g-per-ml", "1.05", "--administered-mbq", "200")
    assert run(patient, *words) == 0
    row = rows(patient, "quantities.csv")[1]
    concentration = LIVER * 2 ** (-24 / 50)
    decay = math.exp(Radionuclide("Lu-177").decay_constant_per_s * 24 * 3600)
    assert float(row["concentration_kbq_per_ml"]) == pytest.approx(concentration / 1e3, rel=1e-6)
    assert float(row["suv_g_per_ml_decay_corrected"]) == pytest.approx(concentration * decay * 70e3 / 200e6, rel=1e-6)
    assert float(row["percent_id_per_g"]) == pytest.approx(concentration / 1.05 / 200e6 * 100, rel=1e-6)
    assert record(patient, "quantities.csv")["quantity"] == "quantities of time-activity curves"


def test_uptake_above_a_hundred_per_cent_is_warned_of_with_its_number(patient, capsys):
    assert run(patient, "--administered-mbq", "0.5") == 0
    liver = 100 * 60 * VOXEL_ML * LIVER * 2 ** (-4 / 50) / 0.5e6
    assert f"'liver' holds {liver:.4g} % of the administered activity at 4 h" in capsys.readouterr().err
    assert "more than 100 % cannot be" in record(patient)["warnings"][0]


def test_a_pet_series_takes_its_times_from_its_header(patient):
    stored = np.full((7, 8), 1000, dtype=np.int16)
    words = []
    for day in (1, 2):
        date = f"2024030{day}"
        frames = [
            pet_slice(number + 1, stored, 5.0 * number, SeriesDate=date, AcquisitionDate=date,
                      RadiopharmaceuticalStartDateTime="20240301110000", RadionuclideHalfLife="45720")
            for number in range(6)
        ]  # fmt: skip
        for frame in frames:
            frame.SeriesInstanceUID = f"{frame.SeriesInstanceUID}.{day}"
        words += ["--scan", f"header={save_series(frames, patient / f'pet{day}')}"]
    assert run(patient, *words, "--no-labels", "--whole-body", "--nuclide", "Cu-64", unit=False) == 0
    found = rows(patient)
    assert [float(row["time_h"]) for row in found] == pytest.approx([1 + 1 / 60, 25 + 1 / 60])
    assert found[0]["activity_mbq"] == found[1]["activity_mbq"]  # each decay-corrected to its own start
    assert record(patient)["parameters"]["scans"][0]["times_per_slice"] is True


BAD = [
    (["--scan", "24={t24}", "--scan", "4={t4}"], r"times of the scans are out of order (found 24, 4 h)"),
    (["--scan", "24={t24}", "--scan", "24={t4}"], "comes twice (found 24, 24 h)"),
    (["--scan", "-4={t4}", "--scan", "24={t24}"], "a scan at -4 h lies before the administration"),
    (["--scan", "t4.nii.gz"], "expected HOURS=PATH, as 24=scan2.nii.gz"),
    (["--scan", "4=absent.nii.gz"], "'absent.nii.gz' does not exist"),
    (["--scan", "soon={t4}"], "found 'soon' before '=', expected hours"),
    (["--scan", "nan={t4}"], "found 'nan' before '=', expected hours"),
    (["--scan", "header={t4}"], "does not say when the activity was administered"),
    (["--administered-mbq", "0"], "found '0', expected a number above zero"),
    (["--nuclide", "Xx-1"], "not in the decay dataset"),
    (["--region", "liver=spleen"], "name 'liver' of the region spleen is taken"),
    (["--region", "a=liver", "--region", "a=spleen"], "given more than once for a"),
    (["--region", "a=lung"], "No region is called 'lung'"),
    (["--body", "trunk", "--whole-body"], "No region is called 'trunk'"),
    (["--body", "liver"], "--body belongs to --remainder"),
    (["--no-labels"], "Curves need regions: give --labels"),
    (["--labels", "{labels}", "--labels", "{labels}"], "--labels is given 2 times for 3 scans"),
    (["--frame-duration-s", "1", "--frame-duration-s", "2"], "--frame-duration-s is given 2 times for 3 scans"),
    (["--frame-duration-s", "60", "--decay-corrected-to-administration"], "expected one of the two"),
    (["--voided"], "--voided needs --administered-mbq"),
    (["--voided", "--administered-mbq", "0.1"], "decay leaves of the administered activity"),
    (["--recovery-method", "fitted"], "--recovery-method belongs to --recovery"),
    (["--administration-time", "2024-05-01T09:00"], "all have hours; leave it out"),
    (["--administration-time", "yesterday"], "expected a moment as 2024-05-31T09:30:00"),
    (["--weight-kg", "70"], "--weight-kg belongs to --quantities"),
    (["--calibration-std-percent", "100"], "must be below 100, found 100"),
    (["--calibration-bq-per-ml-per-count", "3"], "A unit and a calibration factor were given"),
    (["--output", "{t4}"], "is also an input and would be overwritten"),
]


@pytest.mark.parametrize(("words", "text"), BAD)
def test_bad_input_ends_in_one_line_and_no_file(patient, capsys, words, text):
    paths = {"t4": patient / "t4.nii.gz", "t24": patient / "t24.nii.gz", "labels": patient / "labels.nii.gz"}
    assert run(patient, *(word.format(**paths) for word in words)) == 2
    message = capsys.readouterr().err.strip()
    assert text in message
    assert "\n" not in message
    assert left_behind(patient) == []


def test_an_output_that_cannot_be_written_is_a_failed_run(patient, capsys):
    assert run(patient, "--output", str(patient / "absent" / "curves.csv")) == 1
    assert "does not exist; create it first" in capsys.readouterr().err


def test_a_region_absent_in_one_scan_is_named_with_the_scan(patient, capsys):
    lacking = drawn()
    lacking[lacking == 2] = 0
    write(patient / "lacking.nii.gz", lacking)
    own = ["--labels", str(patient / "labels.nii.gz"), "--labels", str(patient / "lacking.nii.gz")]
    names = ["--label-names", str(patient / "labels.csv")]
    assert run(patient, *own, *names, times_h=(4, 24)) == 2
    message = capsys.readouterr().err
    assert "In the scan at 24 h (t24.nii.gz): No voxel carries the label of: spleen" in message
    assert run(patient, *own, times_h=(4, 24)) == 2
    assert "scan at 24 h lacks the region label_2" in capsys.readouterr().err


def test_a_scan_that_does_not_reach_a_region_is_refused_and_one_that_cuts_it_warned_of(patient, capsys):
    write(patient / "t24.nii.gz", activity(drawn(), 24)[:4])
    assert run(patient, times_h=(4, 24)) == 2
    assert "In the scan at 24 h (t24.nii.gz): No voxel of the image belongs to: spleen" in capsys.readouterr().err
    write(patient / "t24.nii.gz", activity(drawn(), 24)[3:], origin=(0.0, 0.0, 15.0))
    assert run(patient, times_h=(4, 24)) == 0
    assert any("part of it lies outside that scan" in warning for warning in record(patient)["warnings"])
    assert any("on different grids" in warning for warning in record(patient)["warnings"])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda array, labels: -array, "activity of region 'liver' is"),
        (lambda array, labels: 0 * array, "In the scan at 24 h (t24.nii.gz): The image is zero everywhere"),
        (lambda array, labels: np.where(labels == 2, np.nan, array), "NaN or infinite"),
        (lambda array, labels: np.where(labels == 2, -1e5, array), "activity of region 'spleen' is"),
    ],
)
def test_images_that_hold_no_activity_are_refused(patient, capsys, change, text):
    write(patient / "t24.nii.gz", change(activity(drawn(), 24), drawn()))
    assert run(patient) == 2
    assert text in capsys.readouterr().err
    assert left_behind(patient) == []


def test_a_region_without_activity_at_any_time_is_refused(patient, capsys):
    for time_h in (4, 24, 96):
        write(patient / f"t{time_h}.nii.gz", np.where(drawn() == 2, 0.0, activity(drawn(), time_h)))
    assert run(patient) == 2
    assert "activity of region 'spleen' is zero at every time" in capsys.readouterr().err


def test_an_image_without_a_unit_is_refused(patient, capsys):
    assert run(patient, unit=False) == 2
    assert "does not say its unit" in capsys.readouterr().err


@pytest.mark.shared_data
def test_a_real_patients_labels_find_the_activity_their_table_states(shared_data, tmp_path):
    """Measured activity per label at four times of published kinetics, against the sums of the table."""
    folder = shared_data / "lu177_dotatate_patient"
    image = sitk.ReadImage(str(folder / "patient15_activity_235MBq_Bqml.nii.gz"))
    values = sitk.GetArrayFromImage(image).astype(np.float64)
    words = []
    times_h = (4.0, 24.0, 96.0, 168.0)
    for time_h in times_h:
        scaled = sitk.GetImageFromArray((values * 2 ** (-(time_h - 24) / 60)).astype(np.float32))
        scaled.CopyInformation(image)
        path = tmp_path / f"t{time_h:g}.nii.gz"
        sitk.WriteImage(scaled, str(path))
        words += ["--scan", f"{time_h:g}={path}"]
    output, sidecar = tmp_path / "curves.csv", tmp_path / "curves.csv.json"
    labels = ["--labels", str(folder / "patient15_labels.nii.gz"), "--label-names", str(folder / "labels.csv")]
    units = ["--activity-unit", "Bq/mL", "--nuclide", "Lu-177", "--administered-mbq", "7400", "--remainder"]
    assert main(["curves", *words, *units, *labels, "--output", str(output), "--whole-body"]) == 0
    curves = {curve.region: curve for curve in read_curves(output)}
    with (folder / "labels.csv").open() as stream:
        for row in csv.DictReader(stream):
            curve = curves[row["name"]]
            expected = float(row["activity_MBq"]) * 2 ** (-(np.array(times_h) - 24) / 60)
            np.testing.assert_allclose(curve.activity_bq / 1e6, expected, rtol=1e-3)
            np.testing.assert_allclose(curve.volume_ml, float(row["volume_mL"]), rtol=1e-3)
    assert curves["whole_body"].activity_bq[1] == pytest.approx(235e6, rel=1e-3)
    assert "remainder_of_body" not in curves  # the image holds nothing outside its labels
    assert any("no activity outside the regions" in text for text in json.loads(sidecar.read_text())["warnings"])


@pytest.mark.shared_data
def test_a_real_pet_slice_has_its_time_and_its_known_suv(shared_data, tmp_path):
    """Siemens, BQML, START: injected 14:17:00, series 15:23:16.921, SUVbw factor 5.942485e-4 g/Bq (data's README)."""
    path = shared_data / "pet_dicom" / "1.dcm"
    output, quantities = tmp_path / "curves.csv", tmp_path / "quantities.csv"
    words = ["--scan", f"header={path}", "--whole-body", "--nuclide", "F-18", "--administered-mbq", "178.3400116"]
    more = ["--quantities", str(quantities), "--weight-kg", "69.7344", "--output", str(output)]
    assert main(["curves", *words, *more]) == 0
    volume = read_volume(path)
    (curve,) = read_curves(output)
    frame_s = volume.record.parameters["longest_frame_duration_s"]
    assert curve.times_s[0] == pytest.approx(3976.921 + frame_s / 2, abs=1e-3)
    with quantities.open() as stream:
        (row,) = csv.DictReader(stream)
    suv = float(volume.array_kji.mean(dtype=np.float64)) * 5.942485e-4
    assert float(row["suv_g_per_ml_decay_corrected"]) == pytest.approx(suv, rel=2e-4)  # half-lives differ: 6586.2 s
