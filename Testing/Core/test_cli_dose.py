"""`radiodosimetry dose` on a small patient: outputs, tables, records, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from dicom_samples import save, structure_set
from radiodosimetry.cli import main
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import image_of, read_volume
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import JOULE_PER_MEV, Quantity
from radiodosimetry.voxel_dose.statistics import TABLE_COLUMNS
from voxel_dose_samples import use_closed_forms

SHAPE = (10, 12, 14)
SPACING = (4.0, 4.0, 5.0)


@pytest.fixture(autouse=True)
def closed_forms(monkeypatch, tmp_path):
    """Closed forms in the place of the radial tables, and a cache of this test's own."""
    use_closed_forms(monkeypatch, tmp_path / "cache")


@pytest.fixture
def patient(tmp_path) -> Path:
    """A block of soft tissue with a lung, an organ, a lesion in it, and activity in both, as NIfTI files."""
    folder = tmp_path / "patient"
    folder.mkdir()
    ct = np.full(SHAPE, 40.0, dtype=np.float32)
    ct[:, :2] = -1000.0
    ct[7:, 4:8, 4:8] = -750.0
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:6, 4:9, 3:10] = 1
    labels[3:5, 5:7, 5:8] = 2
    activity = np.where(labels == 1, 2e5, np.where(labels == 2, 8e5, 1e3)).astype(np.float32)
    write(folder / "ct.nii.gz", ct)
    write(folder / "activity.nii.gz", activity)
    write(folder / "labels.nii.gz", labels)
    (folder / "labels.csv").write_text("label,name,note\n1,liver,x\n2,tumour1,y\n")
    return folder


def write(path: Path, array: np.ndarray, spacing=SPACING, origin=(0.0, 0.0, 0.0)) -> None:
    import SimpleITK as sitk

    geometry = VolumeGeometry(array.shape, spacing, origin)
    sitk.WriteImage(image_of(array, geometry), str(path))


def run(patient: Path, tmp_path: Path, *words: str, method: str = "multiple-vsv", output: str = "dose.nrrd") -> int:
    inputs = ["--ct", str(patient / "ct.nii.gz")]
    if "--tia" not in words:
        inputs += ["--activity", str(patient / "activity.nii.gz"), "--activity-unit", "Bq/mL"]
        inputs += ["--integrate", "physical-decay"]
    nuclide = [] if "--nuclide" in words else ["--nuclide", "Lu-177"]
    return main(["dose", "--method", method, *nuclide, *inputs, "--output", str(tmp_path / output), *words])


def sitk_array(path: Path) -> np.ndarray:
    import SimpleITK as sitk

    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def with_regions(patient: Path) -> list[str]:
    return ["--labels", str(patient / "labels.nii.gz"), "--label-names", str(patient / "labels.csv")]


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open() as stream:
        return {row["region"]: row for row in csv.DictReader(stream)}


def left_behind(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir() if path.name not in ("patient", "cache"))


@pytest.mark.parametrize("method", ["local", "single-vsv", "density-scaled", "multiple-vsv"])
def test_every_method_writes_a_dose_map_with_its_record(patient, tmp_path, method):
    assert run(patient, tmp_path, method=method) == 0
    dose = read_volume(tmp_path / "dose.nrrd")
    assert dose.quantity is Quantity.ABSORBED_DOSE
    assert dose.geometry.shape_kji == SHAPE
    assert dose.array_kji.max() > 0
    assert not dose.array_kji[:, :2].any()
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    assert record["parameters"]["method"] == method
    assert record["unit"] == "Gy"
    assert "ICRP" in record["datasets"]["emissions"]
    assert "ICRP" in record["dataset"]
    assert {"quantity", "unit", "time", "version", "parameters", "seed", "device", "inputs"} <= set(record)
    assert record["inputs"]["ct"]["file"]["path"] == "ct.nii.gz"
    assert len(record["inputs"]["activity"]["file"]["sha256"]) == 64
    assert any("physical decay" in warning for warning in record["warnings"])
    assert left_behind(tmp_path) == ["dose.nrrd", "dose.nrrd.json"]


def test_local_deposition_of_physical_decay_is_what_one_computes_by_hand(patient, tmp_path):
    assert run(patient, tmp_path, method="local") == 0
    dose = read_volume(tmp_path / "dose.nrrd").array_kji
    nuclide = Radionuclide("Lu-177")
    decays_per_ml = 2e5 / nuclide.decay_constant_per_s
    electrons_mev = nuclide.energy_per_decay_kev["electrons"] * 1e-3
    density = 1.0310 + (1.1199 - 1.0310) / (100 - 23) * (40 - 23)
    assert dose[2, 5, 4] == pytest.approx(decays_per_ml * electrons_mev * JOULE_PER_MEV / (density * 1e-3), rel=1e-4)


def test_table_and_histogram_have_the_columns_of_the_interface(patient, tmp_path, capsys):
    words = ["--table", str(tmp_path / "t.csv"), "--dvh", str(tmp_path / "d.csv"), "--region", "healthy=liver-tumour1"]
    words += ["--region", "whole = liver+tumour1"]
    assert run(patient, tmp_path, *with_regions(patient), *words) == 0
    header = (tmp_path / "t.csv").read_text().splitlines()[0]
    assert header == (
        "region,volume_ml,mass_g,mean_gy,std_gy,min_gy,d98_gy,d90_gy,d70_gy,d50_gy,d30_gy,d10_gy,d2_gy,max_gy,"
        "mean_uncertainty_percent"
    )
    rows = rows_of(tmp_path / "t.csv")
    assert list(rows) == ["liver", "tumour1", "healthy", "whole"]
    assert float(rows["tumour1"]["mean_gy"]) > 2 * float(rows["liver"]["mean_gy"])
    assert float(rows["whole"]["volume_ml"]) == pytest.approx(140 * 0.08)
    assert rows["liver"]["mean_uncertainty_percent"] == ""
    header = (tmp_path / "d.csv").read_text().splitlines()[0]
    assert header == "region,dose_gy,cumulative_volume_percent,differential_volume_percent_per_gy"
    for name in ("t.csv.json", "d.csv.json"):
        record = json.loads((tmp_path / name).read_text())
        assert record["inputs"]["regions"]["healthy"] == "liver-tumour1"
        promised = ("quantity", "unit", "time", "version", "datasets", "parameters", "seed", "device", "inputs")
        assert set(promised) <= set(record)
    assert "tumour1" in capsys.readouterr().out


def test_radiobiology_adds_effect_to_the_table(patient, tmp_path):
    (patient / "r.csv").write_text(
        "region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\ntumour1,10,1.5,60\n"
    )
    words = ["--table", str(tmp_path / "t.csv"), "--radiobiology", str(patient / "r.csv")]
    assert run(patient, tmp_path, *with_regions(patient), *words) == 0
    rows = rows_of(tmp_path / "t.csv")
    assert list(rows["liver"]) == [*TABLE_COLUMNS, "eud_gy", "bed_gy"]
    assert rows["liver"]["bed_gy"] == ""
    assert float(rows["tumour1"]["bed_gy"]) > float(rows["tumour1"]["mean_gy"])


def test_a_coarser_activity_grid_is_the_grid_of_the_dose(patient, tmp_path):
    coarse = np.zeros((5, 6, 7), dtype=np.float32)
    coarse[1:3, 2:4, 2:5] = 3e5
    write(patient / "activity.nii.gz", coarse, (8.0, 8.0, 10.0), (2.0, 2.0, 2.5))
    assert run(patient, tmp_path, *with_regions(patient), "--table", str(tmp_path / "t.csv")) == 0
    dose = read_volume(tmp_path / "dose.nrrd")
    assert dose.geometry.shape_kji == (5, 6, 7)
    assert float(rows_of(tmp_path / "t.csv")["liver"]["mean_gy"]) > 0


def test_integrated_activity_is_taken_as_it_is(patient, tmp_path):
    activity = read_volume(patient / "activity.nii.gz", Quantity.ACTIVITY_CONCENTRATION, "Bq/mL")
    integral = activity.array_kji / Radionuclide("Lu-177").decay_constant_per_s
    tia = activity.with_array(integral, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    write_volume(tia, tmp_path / "patient" / "tia.nrrd")
    assert run(patient, tmp_path, output="a.nrrd") == 0
    assert run(patient, tmp_path, "--tia", str(patient / "tia.nrrd"), output="b.nrrd") == 0
    first, second = (read_volume(tmp_path / name).array_kji for name in ("a.nrrd", "b.nrrd"))
    assert second == pytest.approx(first, rel=1e-5)


def test_activity_units_are_understood(patient, tmp_path):
    write(patient / "kbq.nii.gz", read_volume(
        patient / "activity.nii.gz", Quantity.ACTIVITY_CONCENTRATION, "Bq/mL"
    ).array_kji.astype(np.float32) * np.float32(1e-3))  # fmt: skip
    assert run(patient, tmp_path, output="a.nrrd") == 0
    words = ["dose", "--nuclide", "Lu-177", "--ct", str(patient / "ct.nii.gz")]
    words += ["--activity", str(patient / "kbq.nii.gz"), "--activity-unit", "kBq/mL"]
    words += ["--integrate", "physical-decay", "--output", str(tmp_path / "b.nrrd")]
    assert main(words) == 0
    first, second = (read_volume(tmp_path / name).array_kji for name in ("a.nrrd", "b.nrrd"))
    assert second == pytest.approx(first, rel=1e-5)


def test_the_couch_gets_no_dose_where_the_body_is_asked_for(patient, tmp_path):
    ct = sitk_array(patient / "ct.nii.gz")
    ct[:, 2] = -1000.0
    ct[:, :2] = 300.0  # two rows of couch below a gap
    write(patient / "ct.nii.gz", ct)
    assert run(patient, tmp_path, "--body-mask", output="body.nrrd") == 0
    assert run(patient, tmp_path, output="all.nrrd") == 0
    body, everything = (read_volume(tmp_path / name).array_kji for name in ("body.nrrd", "all.nrrd"))
    assert (everything[:, :2] > 0).any()
    assert not body[:, :2].any()
    assert body[4, 6, 6] == pytest.approx(everything[4, 6, 6], rel=0.01)
    assert json.loads((tmp_path / "body.nrrd.json").read_text())["parameters"]["body_mask"] is True


def test_noise_below_zero_is_removed_and_recorded(patient, tmp_path):
    activity = np.full(SHAPE, 1e5, dtype=np.float32)
    activity[0, 0, :10] = -1e4
    write(patient / "activity.nii.gz", activity)
    assert run(patient, tmp_path) == 0
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    share = record["parameters"]["time_integrated_activity"]["negative_activity_share"]
    assert share == pytest.approx(10 * 1e4 / (1e5 * (np.prod(SHAPE) - 10)), rel=1e-4)
    assert any("reconstruction noise" in warning for warning in record["warnings"])


def test_rt_dose_is_written_with_the_map(patient, tmp_path):
    pydicom = pytest.importorskip("pydicom")
    assert run(patient, tmp_path, "--rtdose", str(tmp_path / "dose.dcm")) == 0
    dataset = pydicom.dcmread(tmp_path / "dose.dcm")
    dose = read_volume(tmp_path / "dose.nrrd").array_kji
    assert dataset.DoseUnits == "GY"
    assert dataset.pixel_array.max() * float(dataset.DoseGridScaling) == pytest.approx(dose.max(), rel=1e-4)
    assert (tmp_path / "dose.dcm.json").exists()


def test_padding_and_teeth_are_air_and_bone_with_a_warning(patient, tmp_path):
    ct = np.full(SHAPE, 40.0, dtype=np.float32)
    ct[0, 0, 0], ct[0, 0, 1] = -3024.0, 3071.0
    write(patient / "ct.nii.gz", ct)
    assert run(patient, tmp_path) == 0
    warnings = json.loads((tmp_path / "dose.nrrd.json").read_text())["warnings"]
    assert any(text.startswith("1 of 1680 CT voxels lie below -1050 HU (padding") for text in warnings)
    assert any(text.startswith("1 of 1680 CT voxels lie above 1640 HU") for text in warnings)


def test_an_implant_on_an_extended_scale_is_bone_on_request(patient, tmp_path):
    ct = np.full(SHAPE, 40.0, dtype=np.float32)
    ct[0, 0, :3] = -32768.0, 9000.0, 2999.0
    write(patient / "ct.nii.gz", ct)
    assert run(patient, tmp_path, "--clamp-hu") == 0
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    assert any(text.startswith("2 of 1680 CT voxels lie above 1640 HU") for text in record["warnings"])
    media = record["parameters"]["media"]
    assert (media["clamp_hu"], media["lowest_hu"], media["highest_hu"]) == (True, -32768.0, 9000.0)


def test_a_ct_smaller_than_the_activity_is_said_with_the_share_it_does_not_show(patient, tmp_path):
    # slices 3 to 8 of 10; one of the liver's four lies below them, 35 of its 128 voxels
    ct = np.full((6, 12, 14), 40.0, dtype=np.float32)
    write(patient / "ct.nii.gz", ct, origin=(0.0, 0.0, 15.0))
    activity = read_volume(patient / "activity.nii.gz", Quantity.ACTIVITY_CONCENTRATION, "Bq/mL").array_kji
    assert run(patient, tmp_path, *with_regions(patient)) == 0
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    share = (activity[:3].sum() + activity[9:].sum()) / activity.sum()
    assert record["parameters"]["activity_outside_ct_share"] == pytest.approx(share, rel=1e-6)
    [said] = [warning for warning in record["warnings"] if "of the activity lies outside the CT" in warning]
    assert said.startswith(f"{100 * share:.3g} % of the activity")
    assert any(warning.startswith("27.3 % of region 'liver' lies outside the CT") for warning in record["warnings"])
    assert not any("check the registration" in warning for warning in record["warnings"])


def test_a_ct_that_shows_all_of_the_activity_is_not_spoken_of(patient, tmp_path):
    write(patient / "ct.nii.gz", np.full((12, 14, 16), 40.0, dtype=np.float32), origin=(-4.0, -4.0, -5.0))
    assert run(patient, tmp_path, *with_regions(patient), method="local") == 0
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    assert record["parameters"]["activity_outside_ct_share"] == 0.0
    assert not any("outside the CT" in warning for warning in record["warnings"])


# --- bad input --------------------------------------------------------------------------------------------------------


def refuse(patient: Path, tmp_path: Path, capsys, *words: str, code: int = 2, **options: str) -> str:
    """Run, check the exit code, one line on standard error and that nothing is left behind; return the line."""
    before = left_behind(tmp_path)
    assert run(patient, tmp_path, *words, **options) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("radiodosimetry")
    assert "Traceback" not in "\n".join(lines)
    assert left_behind(tmp_path) == before
    return lines[-1]


def test_a_missing_file_is_refused(patient, tmp_path, capsys):
    (patient / "ct.nii.gz").unlink()
    assert "ct.nii.gz" in refuse(patient, tmp_path, capsys)


def test_a_calibration_of_counts_is_refused_where_no_counts_are_read(patient, tmp_path, capsys):
    words = ["dose", "--nuclide", "Lu-177", "--ct", str(patient / "ct.nii.gz"), "--tia", str(patient / "tia.nii.gz")]
    words += ["--calibration-bq-per-ml-per-count", "2", "--output", str(tmp_path / "dose.nrrd")]
    assert main(words) == 2
    assert "--calibration-bq-per-ml-per-count belongs to --activity" in capsys.readouterr().err


def test_a_damaged_file_is_refused(patient, tmp_path, capsys):
    content = (patient / "activity.nii.gz").read_bytes()
    (patient / "activity.nii.gz").write_bytes(content[: len(content) // 2])
    assert "activity.nii.gz" in refuse(patient, tmp_path, capsys)


def test_ct_and_activity_without_overlap_are_refused(patient, tmp_path, capsys):
    write(patient / "ct.nii.gz", np.zeros(SHAPE, dtype=np.float32), origin=(5000.0, 0.0, 0.0))
    assert "do not overlap" in refuse(patient, tmp_path, capsys)


@pytest.mark.parametrize(("hu", "found"), [(3100.0, "40 to 3100"), (9000.0, "40 to 9000"), (-5000.0, "-5000 to 40")])
def test_numbers_that_no_ct_holds_are_refused(patient, tmp_path, capsys, hu, found):
    ct = np.full(SHAPE, 40.0, dtype=np.float32)
    ct[5, 5, 5:7] = hu
    write(patient / "ct.nii.gz", ct)
    said = refuse(patient, tmp_path, capsys)
    assert f"2 of 1680 voxels outside -3100 to 3095 HU (found {found}); expected a CT in HU" in said
    assert "--clamp-hu" in said


def test_numbers_that_are_not_hu_are_refused_even_on_request(patient, tmp_path, capsys):
    write(patient / "ct.nii.gz", np.full(SHAPE, 60000.0, dtype=np.float32))
    assert "expected CT numbers up to 31000 HU" in refuse(patient, tmp_path, capsys, "--clamp-hu")


def test_a_ct_of_another_part_of_the_body_is_refused(patient, tmp_path, capsys):
    write(patient / "ct.nii.gz", np.full((4, 12, 14), 40.0, dtype=np.float32), origin=(0.0, 0.0, 40.0))
    said = refuse(patient, tmp_path, capsys)
    assert "% of the activity lies outside the CT, expected at most 50 %; give the CT of the whole activity" in said


def test_a_region_that_the_ct_does_not_show_is_refused(patient, tmp_path, capsys):
    write(patient / "ct.nii.gz", np.full((7, 12, 14), 40.0, dtype=np.float32))
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:6, 4:9, 3:10], labels[8:, 5:7, 5:8] = 1, 2
    write(patient / "labels.nii.gz", labels)
    said = refuse(patient, tmp_path, capsys, *with_regions(patient))
    assert "Region 'tumour1' lies outside the CT, so its mass is unknown; give the CT that shows it" in said


def test_labels_without_overlap_are_refused(patient, tmp_path, capsys):
    write(patient / "labels.nii.gz", np.ones(SHAPE, dtype=np.uint8), origin=(5000.0, 0.0, 0.0))
    assert "overlap" in refuse(patient, tmp_path, capsys, *with_regions(patient))


def test_nan_is_refused(patient, tmp_path, capsys):
    activity = np.full(SHAPE, 1e5, dtype=np.float32)
    activity[1, 2, 3] = np.nan
    write(patient / "activity.nii.gz", activity)
    assert "NaN" in refuse(patient, tmp_path, capsys)


def test_much_negative_activity_is_refused(patient, tmp_path, capsys):
    activity = np.full(SHAPE, 1e5, dtype=np.float32)
    activity[:2] = -1e5
    write(patient / "activity.nii.gz", activity)
    assert "Negative activity is 25.0 %" in refuse(patient, tmp_path, capsys)


def test_an_activity_of_zero_is_refused(patient, tmp_path, capsys):
    write(patient / "activity.nii.gz", np.zeros(SHAPE, dtype=np.float32))
    assert "no positive voxel" in refuse(patient, tmp_path, capsys)


def test_an_unknown_nuclide_is_refused_with_the_nearest_names(patient, tmp_path, capsys):
    assert "Lu-177" in refuse(patient, tmp_path, capsys, "--nuclide", "Lu-178m2")


def test_a_nuclide_without_the_emissions_of_its_fission_is_refused(patient, tmp_path, capsys):
    said = refuse(patient, tmp_path, capsys, "--nuclide", "Cf-252")
    assert "The emissions of Cf-252 lack the neutrons, fragments and β particles of spontaneous fission" in said


def test_different_frames_of_reference_are_refused(patient, tmp_path, capsys):
    for name, quantity, uid in (
        ("ct", Quantity.CT_NUMBER, "1.2.3"),
        ("tia", Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, "1.2.4"),
    ):
        geometry = VolumeGeometry(SHAPE, SPACING, frame_of_reference_uid=uid)
        write_volume(QuantitativeVolume(np.full(SHAPE, 10.0), geometry, quantity), patient / f"{name}.nrrd")
    words = ["dose", "--nuclide", "Lu-177", "--ct", str(patient / "ct.nrrd"), "--tia", str(patient / "tia.nrrd")]
    assert main([*words, "--output", str(tmp_path / "dose.nrrd")]) == 2
    assert "frames of reference" in capsys.readouterr().err
    assert left_behind(tmp_path) == []


def test_a_label_without_a_voxel_is_refused(patient, tmp_path, capsys):
    (patient / "labels.csv").write_text("label,name\n1,liver\n2,tumour1\n3,spleen\n")
    assert "spleen" in refuse(patient, tmp_path, capsys, *with_regions(patient))


def test_an_expression_that_selects_nothing_is_refused(patient, tmp_path, capsys):
    words = [*with_regions(patient), "--table", str(tmp_path / "t.csv"), "--region", "none=liver-liver"]
    assert "has no voxel" in refuse(patient, tmp_path, capsys, *words)


def test_an_expression_with_an_unknown_name_is_refused(patient, tmp_path, capsys):
    words = [*with_regions(patient), "--region", "a=livre-tumour1"]
    assert "liver" in refuse(patient, tmp_path, capsys, *words)


def test_radiobiology_of_an_absent_region_is_refused(patient, tmp_path, capsys):
    (patient / "r.csv").write_text("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nspleen,10,1.5,60\n")
    words = [*with_regions(patient), "--table", str(tmp_path / "t.csv"), "--radiobiology", str(patient / "r.csv")]
    assert "spleen" in refuse(patient, tmp_path, capsys, *words)


def test_a_medium_without_a_kernel_is_refused(patient, tmp_path, capsys, monkeypatch):
    from radiodosimetry.errors import UnknownMediumError
    from radiodosimetry.voxel_dose import radial_energy

    def no_table(*_: object) -> None:
        raise UnknownMediumError("There is no kernel table for this medium; make one.")

    monkeypatch.setattr(radial_energy, "_folded", no_table)
    assert "no kernel table" in refuse(patient, tmp_path, capsys)


def test_a_full_disk_leaves_nothing_behind(patient, tmp_path, capsys, monkeypatch):
    import errno

    from radiodosimetry.cli import dose

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dose, "write_table", full)
    words = [*with_regions(patient), "--table", str(tmp_path / "t.csv")]
    assert "no space left" in refuse(patient, tmp_path, capsys, *words, code=1)


def test_ctrl_c_leaves_nothing_behind(patient, tmp_path, capsys, monkeypatch):
    from radiodosimetry.cli import dose

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(dose, "write_table", interrupt)
    words = [*with_regions(patient), "--table", str(tmp_path / "t.csv")]
    refuse(patient, tmp_path, capsys, *words, code=130)


def test_a_folder_that_is_missing_is_found_before_the_work(patient, tmp_path, capsys):
    assert "does not exist" in refuse(patient, tmp_path, capsys, output="none/dose.nrrd", code=1)


def test_an_output_that_is_also_an_input_is_refused(patient, tmp_path, capsys):
    before = {path: path.read_bytes() for path in patient.iterdir() if path.is_file()}
    words = [*with_regions(patient), "--table", str(patient / ".." / patient.name / "labels.csv")]
    assert "also an input" in refuse(patient, tmp_path, capsys, *words)
    assert "also an input" in refuse(patient, tmp_path, capsys, output=str(patient / "ct.nii.gz"))
    assert {path: path.read_bytes() for path in patient.iterdir() if path.is_file()} == before


def test_two_outputs_of_one_name_are_refused(patient, tmp_path, capsys):
    words = [*with_regions(patient), "--table", str(tmp_path / "x.csv"), "--dvh", str(tmp_path / "x.csv")]
    assert "its own path" in refuse(patient, tmp_path, capsys, *words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--histories", "1000"], "--histories belongs to --method monte-carlo"),
        (["--seed", "1"], "--seed belongs to --method monte-carlo"),
        (["--uncertainty", "u.nrrd"], "--uncertainty belongs to --method monte-carlo"),
        (["--table", "t.csv"], "give --labels"),
        (["--region", "a=b"], "give --labels"),
        (["--model", "m.safetensors"], "--model belongs to a learned method"),
        (["--published-density-scaling"], "belongs to --method density-scaled"),
        (["--medium", "water"], "belongs to --method single-vsv"),
        (["--tia-unit", "Bq s/mL"], "--tia-unit belongs to --tia"),
    ],
)
def test_options_that_do_not_fit_are_refused(patient, tmp_path, capsys, words, message):
    assert message in refuse(patient, tmp_path, capsys, *words)


def test_secondaries_of_photons_that_are_left_out_are_refused(patient, tmp_path, capsys):
    said = refuse(patient, tmp_path, capsys, "--secondaries", "local", method="local")
    assert "--secondaries belongs to methods with photons, found --method local" in said


def test_activity_must_be_integrated(patient, tmp_path, capsys):
    words = ["dose", "--nuclide", "Lu-177", "--ct", str(patient / "ct.nii.gz"), "--activity-unit", "Bq/mL"]
    words += ["--activity", str(patient / "activity.nii.gz"), "--output", str(tmp_path / "dose.nrrd")]
    assert main(words) == 2
    assert "--integrate physical-decay" in capsys.readouterr().err


def test_integrated_activity_without_a_unit_is_refused(patient, tmp_path, capsys):
    assert "unit" in refuse(patient, tmp_path, capsys, "--tia", str(patient / "activity.nii.gz"))
    assert run(patient, tmp_path, "--tia", str(patient / "activity.nii.gz"), "--tia-unit", "MBq s/mL") == 0


def test_what_the_structures_warn_of_is_in_the_record(patient, tmp_path):
    # the plan knows two structures; one lies beyond the last slice
    def square(z_mm: float) -> np.ndarray:
        return np.array([(10.0, 14.0, z_mm), (38.0, 14.0, z_mm), (38.0, 34.0, z_mm), (10.0, 34.0, z_mm)])

    structures = [("liver", [("CLOSED_PLANAR", square(z)) for z in (10.0, 15.0, 20.0)])]
    structures.append(("knee", [("CLOSED_PLANAR", square(z)) for z in (500.0, 505.0)]))
    plan = save(structure_set(structures), patient / "rs.dcm")
    assert run(patient, tmp_path, "--labels", str(plan), method="local") == 0
    record = json.loads((tmp_path / "dose.nrrd.json").read_text())
    assert any("knee" in warning for warning in record["warnings"])
