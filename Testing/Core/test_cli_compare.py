"""`radiodosimetry compare` as a user calls it: numbers, files, refusals."""

import csv
import json

import numpy as np
import pytest

from dicom_samples import save, segmentation, structure_set
from radiodosimetry.cli import main
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import LabelMap, write_label_map
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.units import Quantity

SHAPE = (10, 12, 14)
GEOMETRY = VolumeGeometry(SHAPE, (4.0, 4.0, 5.0), (-20.0, 30.0, 100.0))


@pytest.fixture
def folder(tmp_path):
    """A reference, a test 4 % above it in the liver and 2 % below it elsewhere, and labels."""
    array = np.random.default_rng(5).uniform(1.0, 2.0, SHAPE)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[2:5, 2:6, 2:7] = 1
    labels[3, 3, 3:5] = 2
    labels[6:9, 7:10, 8:12] = 3
    test = array * np.where((labels == 1) | (labels == 2), 1.04, 0.98)
    for name, values in (("ref", array), ("test", test)):
        write_volume(QuantitativeVolume(values, GEOMETRY, Quantity.ABSORBED_DOSE), tmp_path / f"{name}.nrrd")
    write_label_map(
        LabelMap(labels, GEOMETRY, {1: "liver", 2: "tumour", 3: "spleen"}),
        tmp_path / "labels.nii.gz",
        tmp_path / "labels.csv",
    )
    return tmp_path


def compare(folder, *words, reference="ref.nrrd", test="test.nrrd"):
    return main(["compare", str(folder / reference), str(folder / test), "--output", str(folder / "out"), *words])


def with_labels(folder):
    return "--labels", str(folder / "labels.nii.gz"), "--label-names", str(folder / "labels.csv")


def test_json_holds_the_documented_numbers(folder, capsys):
    assert compare(folder, *with_labels(folder), "--region", "both=liver+tumour", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    of = {region["region"]: region for region in result["regions"]}
    assert list(of) == ["liver", "tumour", "spleen", "both"]
    assert of["liver"]["mean_error_percent"] == pytest.approx(4.0, abs=1e-4)
    assert of["spleen"]["mean_error_percent"] == pytest.approx(-2.0, abs=1e-4)
    assert of["spleen"]["mae_percent"] == pytest.approx(2.0, abs=1e-4)
    assert of["both"]["mae_percent"] == pytest.approx(4.0, abs=1e-4)
    reference, test = (read_volume(folder / f"{name}.nrrd").array_kji.astype(float) for name in ("ref", "test"))
    assert result["nrmse"] == pytest.approx(np.sqrt(np.sum((test - reference) ** 2) / np.sum(reference**2)))
    assert result["pearson_r"] == pytest.approx(np.corrcoef(reference.ravel(), test.ravel())[0, 1])
    assert 0 <= result["gamma_pass_percent"] <= 100


def test_every_output_is_there_with_its_record(folder, capsys):
    assert compare(folder, *with_labels(folder)) == 0
    names = {path.name for path in (folder / "out").iterdir()}
    results = {"comparison.json", "relative_error.nrrd", "gamma.nrrd", "regions.csv"}
    results |= {"error_map.png", "profiles.png", "bland_altman.png", "dvh.png"}
    assert names == results | {f"{name}.json" for name in results}
    for name in results:
        said = json.loads((folder / "out" / f"{name}.json").read_text())
        assert {"quantity", "unit", "time", "version", "dataset", "parameters", "seed", "device", "inputs"} <= set(said)
    record = json.loads((folder / "out" / "comparison.json").read_text())
    assert set(record["inputs"]) == {"reference", "test", "labels"}
    assert record["inputs"]["test"]["path"] == "test.nrrd"
    assert record["parameters"]["gamma_mm"] == 2.0
    with (folder / "out" / "regions.csv").open(newline="") as stream:
        assert [row["region"] for row in csv.DictReader(stream)] == ["liver", "tumour", "spleen"]
    error = read_volume(folder / "out" / "relative_error.nrrd")
    assert error.array_kji[3, 3, 2] == pytest.approx(0.04, abs=1e-5)
    assert error.geometry.same_grid(GEOMETRY)
    assert "gamma pass" in capsys.readouterr().out


def test_without_labels_there_are_no_regions(folder, capsys):
    assert compare(folder, "--json", "--gamma-percent", "50") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["regions"] == []
    assert result["gamma_pass_percent"] == 100
    assert not (folder / "out" / "dvh.png").exists()


def test_identical_doses_agree_perfectly(folder, capsys):
    assert compare(folder, "--json", test="ref.nrrd") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["nrmse"], result["pearson_r"], result["gamma_pass_percent"]) == (0.0, pytest.approx(1.0), 100.0)


def test_labels_on_another_grid_are_resampled_and_it_is_recorded(folder, capsys):
    fine = VolumeGeometry((20, 12, 14), (4.0, 4.0, 2.5), (-20.0, 30.0, 98.75))
    labels = np.zeros(fine.shape_kji, dtype=np.uint8)
    labels[4:10, 2:6, 2:7] = 1
    write_label_map(LabelMap(labels, fine, {1: "liver"}), folder / "fine.nii.gz", folder / "fine.csv")
    words = "--labels", str(folder / "fine.nii.gz"), "--label-names", str(folder / "fine.csv")
    assert compare(folder, *words, "--json") == 0
    assert json.loads(capsys.readouterr().out)["regions"][0]["mean_error_percent"] == pytest.approx(4.0, abs=1e-4)
    assert "resampled" in (folder / "out" / "comparison.json").read_text()


def test_structures_of_a_plan_are_regions_as_for_dose(folder, capsys):
    # squares around the liver of the labels: rows 2 to 5, columns 2 to 6 of slices 2 to 4
    x, y = (-20.0 + 4.0 * np.array([1.5, 6.5]), 30.0 + 4.0 * np.array([1.5, 5.5]))
    planes = [
        np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)]) for z in (110.0, 115.0, 120.0)
    ]
    plan = save(structure_set([("liver", [("CLOSED_PLANAR", plane) for plane in planes])]), folder / "rs.dcm")
    assert compare(folder, "--labels", str(plan), "--region", "same=liver", "--json") == 0
    of = {region["region"]: region for region in json.loads(capsys.readouterr().out)["regions"]}
    assert list(of) == ["liver", "same"]
    assert of["liver"]["mean_error_percent"] == pytest.approx(4.0, abs=1e-4)
    record = json.loads((folder / "out" / "comparison.json").read_text())
    assert record["inputs"]["labels"]["path"] == "rs.dcm"
    assert compare(folder, "--labels", str(plan), "--label-names", str(folder / "labels.csv")) == 2
    assert "RTSTRUCT and SEG hold their own names; leave the CSV out" in capsys.readouterr().err


def test_segments_are_regions_as_for_dose(folder, capsys):
    grid = VolumeGeometry((3, 4, 5), (1.5, 2.0, 3.0), (-10.0, -20.0, 30.0))
    for name, factor in (("ref", 1.0), ("test", 1.1)):
        dose = QuantitativeVolume(np.full(grid.shape_kji, factor), grid, Quantity.ABSORBED_DOSE)
        write_volume(dose, folder / f"{name}.nrrd")
    frames = np.zeros((2, 4, 5))
    frames[:, 1:3, 1:4] = 1
    segments = save(segmentation(frames, [1, 1], [30.0, 33.0], "BINARY", ["tumour"]), folder / "seg.dcm")
    assert compare(folder, "--labels", str(segments), "--json") == 0
    [region] = json.loads(capsys.readouterr().out)["regions"]
    assert region["region"] == "tumour"
    assert region["mean_error_percent"] == pytest.approx(10.0, abs=1e-4)


@pytest.mark.parametrize("name", ["gamma.nrrd", "comparison.json", "regions.csv.json", "dvh.png"])
def test_an_output_never_takes_an_inputs_place(folder, capsys, name):
    given = folder / "out" / name
    given.parent.mkdir()
    source, words = ("ref.nrrd", []) if name.endswith(".nrrd") else ("labels.csv", with_labels(folder)[:2])
    given.write_bytes((folder / source).read_bytes())
    if words:
        words = [*words, "--label-names", str(given)]
    else:
        (folder / "out" / f"{name}.json").write_bytes((folder / "ref.nrrd.json").read_bytes())
    before = {path.name: path.read_bytes() for path in given.parent.iterdir()}
    assert compare(folder, *words, reference="ref.nrrd" if words else f"out/{name}") == 2
    assert "is also an input and would be overwritten" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in given.parent.iterdir()} == before


def test_a_dose_without_sidecar_needs_its_unit(folder, capsys):
    (folder / "test.nrrd.json").unlink()
    assert compare(folder) == 2
    assert "no sidecar test.nrrd.json" in capsys.readouterr().err
    assert not (folder / "out").exists()
    assert compare(folder, "--dose-unit", "Gy") == 0
    assert compare(folder, "--dose-unit", "parsec") == 2
    assert "Unit 'parsec' is not a unit of absorbed_dose" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--region", "a=liver"], "need a label map"),
        (["--gamma-percent", "0"], "above zero"),
        (["--gamma-mm", "nan"], "above zero"),
        (["--labels", "absent.nii.gz"], "does not exist"),
    ],
)
def test_bad_options_are_refused_and_leave_nothing(folder, capsys, words, message):
    assert compare(folder, *words) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_unknown_names_in_expressions_are_refused(folder, capsys):
    assert compare(folder, *with_labels(folder), "--region", "x=liver-tumuor") == 2
    assert "tumour" in capsys.readouterr().err
    assert compare(folder, *with_labels(folder), "--region", "x=liver", "--region", "x=spleen") == 2
    assert "the same name twice" in capsys.readouterr().err


def test_different_grids_are_refused(folder, capsys):
    shifted = VolumeGeometry(SHAPE, (4.0, 4.0, 5.0), (-21.0, 30.0, 100.0))
    dose = QuantitativeVolume(np.ones(SHAPE), shifted, Quantity.ABSORBED_DOSE)
    write_volume(dose, folder / "shifted.nrrd")
    assert compare(folder, test="shifted.nrrd") == 2
    assert "different grids" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_an_activity_image_is_not_a_dose(folder, capsys):
    volume = QuantitativeVolume(np.ones(SHAPE), GEOMETRY, Quantity.ACTIVITY_CONCENTRATION)
    write_volume(volume, folder / "activity.nrrd")
    assert compare(folder, test="activity.nrrd") == 2
    assert "expected two absorbed doses" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_an_output_that_is_a_file_fails_without_touching_it(folder, capsys):
    (folder / "out").write_text("precious")
    assert compare(folder) == 1
    assert "Cannot make the folder" in capsys.readouterr().err
    assert (folder / "out").read_text() == "precious"


def test_an_interrupted_run_leaves_nothing(folder, monkeypatch, capsys):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("radiodosimetry.workflows.compare.save_figure", interrupt)
    assert compare(folder) == 130
    assert not (folder / "out").exists()
