"""`radiodosimetry kernel`: image, record, JSON, and what it refuses. Radial tables are closed forms here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.images.readers import read_volume
from radiodosimetry.units import Quantity
from voxel_dose_samples import use_closed_forms


@pytest.fixture(autouse=True)
def closed_forms(monkeypatch, tmp_path):
    """Closed forms in the place of the radial tables, and a cache of this test's own."""
    use_closed_forms(monkeypatch, tmp_path / "cache")


def run(tmp_path: Path, *words: str) -> int:
    return main(["kernel", *words, "--output", str(tmp_path / "kernel.nrrd")])


GRID = ["--spacing-mm", "4", "4", "5", "--half-width", "3"]


def test_a_nuclide_kernel_is_written_with_its_source_at_the_origin(tmp_path, capsys):
    assert run(tmp_path, "--nuclide", "Lu177", "--medium", "water", *GRID, "--json") == 0
    volume = read_volume(tmp_path / "kernel.nrrd")
    assert volume.quantity is Quantity.VOXEL_S_VALUE
    assert volume.array_kji.shape == (7, 7, 7)
    assert volume.geometry.origin_mm == (-12.0, -12.0, -15.0)
    values = json.loads(capsys.readouterr().out)
    assert list(values) == [
        "unit", "centre", "face_x", "face_y", "face_z", "energy_balance",
        "centre_uncertainty_percent", "face_uncertainty_percent",
    ]  # fmt: skip
    assert values["unit"] == "Gy/(Bq s)"
    assert values["centre"] == pytest.approx(volume.array_kji[3, 3, 3], rel=1e-6)
    assert values["face_x"] == pytest.approx(volume.array_kji[3, 3, 4], rel=1e-6)
    assert values["face_z"] == pytest.approx(volume.array_kji[4, 3, 3], rel=1e-6)
    assert values["face_x"] > values["face_z"]
    assert values["energy_balance"] == pytest.approx(1.0, abs=1e-6)


def test_the_record_beside_the_kernel_says_what_it_is(tmp_path):
    assert run(tmp_path, "--nuclide", "Lu-177", "--medium", "bone", "--density-g-per-cm3", "1.4", *GRID) == 0
    record = json.loads((tmp_path / "kernel.nrrd.json").read_text())
    assert record["quantity"] == "voxel_s_value"
    assert record["unit"] == "Gy/(Bq s)"
    assert record["parameters"]["medium"] == "bone"
    assert record["parameters"]["density_g_per_cm3"] == 1.4
    assert "ICRP" in record["datasets"]["emissions"]
    assert record["seed"] is None


def test_a_particle_kernel_is_dose_per_particle(tmp_path, capsys):
    words = ["--particle", "electron", "--energy-kev", "133", "--medium", "lung", *GRID, "--json"]
    assert run(tmp_path, *words) == 0
    assert json.loads(capsys.readouterr().out)["unit"] == "Gy"


def test_the_kernel_is_the_same_from_the_cache(tmp_path, capsys):
    printed = []
    for _ in range(2):
        assert run(tmp_path, "--nuclide", "Y-90", "--medium", "soft-tissue", *GRID, "--json") == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert list((tmp_path / "cache").glob("*.npz"))


def test_electrons_and_photons_add_up_to_all(tmp_path, capsys):
    centres = []
    for emissions in ("electrons", "photons", "all"):
        words = ["--nuclide", "I-131", "--medium", "water", "--emissions", emissions, *GRID, "--json"]
        assert run(tmp_path, *words) == 0
        centres.append(json.loads(capsys.readouterr().out)["centre"])
    assert centres[0] + centres[1] == pytest.approx(centres[2], rel=1e-9)


def test_a_line_list_replaces_the_nuclide(tmp_path, capsys):
    lines = tmp_path / "lines.csv"
    lines.write_text("particle,energy_kev,yield\nelectron,133,1.0\nphoton,208.4,0.104\n")
    for words in (["--spectrum", str(lines)], ["--nuclide", "Lu-177", "--spectrum", str(lines)]):
        assert run(tmp_path, *words, "--medium", "water", *GRID, "--json") == 0
        values = json.loads(capsys.readouterr().out)
        assert values["unit"] == "Gy/(Bq s)"
        assert values["energy_balance"] == pytest.approx(1.0, abs=1e-6)
    record = json.loads((tmp_path / "kernel.nrrd.json").read_text())
    assert record["inputs"]["spectrum"]["path"] == "lines.csv"


@pytest.mark.parametrize(
    ("photons", "warned"),
    [("photon,511,1.935\n", False), ("", False), ("photon,511,1.0\n", True), ("photon,511,2.5\n", True)],
)
def test_annihilation_photons_that_are_not_two_per_positron_are_warned_of(tmp_path, capsys, photons, warned):
    lines = tmp_path / "lines.csv"
    lines.write_text(f"particle,energy_kev,yield\npositron,250,0.967\nphoton,100,0.1\n{photons}")
    assert run(tmp_path, "--spectrum", str(lines), "--medium", "water", *GRID) == 0
    said = "photons of 511 keV are listed for 0.967 positrons, expected 1.934, two each"
    assert (said in capsys.readouterr().err) is warned
    record = json.loads((tmp_path / "kernel.nrrd.json").read_text())
    assert any(said in warning for warning in record["warnings"]) is warned


def test_a_half_width_of_zero_has_no_neighbours(tmp_path, capsys):
    words = ["--nuclide", "Lu-177", "--medium", "water", "--spacing-mm", "4", "4", "4", "--half-width", "0", "--json"]
    assert run(tmp_path, *words) == 0
    assert json.loads(capsys.readouterr().out)["face_x"] is None


WATER = ["--medium", "water"]
NUCLIDE = ["--nuclide", "Lu-177"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*NUCLIDE, *WATER, *GRID, "--seed", "3"], "--seed belongs to --engine transport"),
        ([*NUCLIDE, *WATER, *GRID, "--histories", "1e5"], "--histories belongs to --engine transport"),
        ([*WATER, *GRID], "A source is missing"),
        (["--particle", "photon", *WATER, *GRID], "belong together"),
        ([*NUCLIDE, "--energy-kev", "100", *WATER, *GRID], "belong together"),
        (["--nuclide", "Lu-999", *WATER, *GRID], "is not in the decay dataset"),
        (["--nuclide", "Cf-252", *WATER, *GRID], "lack the neutrons, fragments and β particles"),
        ([*NUCLIDE, "--medium", "watre", *GRID], "did you mean water"),
        ([*NUCLIDE, *WATER, "--density-g-per-cm3", "1000", *GRID], "expected a number above 0 and up to 25"),
        ([*NUCLIDE, *WATER, "--spacing-mm", "1", "1", "90", "--half-width", "2"], "50 times as long as wide"),
        ([*NUCLIDE, *WATER, "--spacing-mm", "1", "1", "1", "--half-width", "400"], "more than fit"),
        (["--nuclide", "P-32", "--emissions", "photons", *WATER, *GRID], "emits nothing of the kind chosen"),
        (["--particle", "photon", "--energy-kev", "9", "--emissions", "electrons", *WATER, *GRID], "leaves no photon"),
        ([*NUCLIDE, *WATER, "--spacing-mm", "4", "-4", "4", "--half-width", "2"], "found '-4'"),
    ],
)
def test_bad_input_is_refused_with_one_sentence_and_leaves_nothing(tmp_path, capsys, words, message):
    code = run(tmp_path, *words)
    assert code == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []


def test_an_unknown_image_format_is_refused_before_the_work(tmp_path, capsys):
    assert main(["kernel", *NUCLIDE, *WATER, *GRID, "--output", str(tmp_path / "kernel.txt")]) == 2
    assert ".nrrd" in capsys.readouterr().err


def test_a_folder_that_is_missing_is_a_failed_run(tmp_path, capsys):
    assert main(["kernel", *NUCLIDE, *WATER, *GRID, "--output", str(tmp_path / "none" / "kernel.nrrd")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_the_values_are_finite_and_fall_away_from_the_source(tmp_path):
    assert run(tmp_path, *NUCLIDE, *WATER, *GRID) == 0
    array = read_volume(tmp_path / "kernel.nrrd").array_kji
    assert np.isfinite(array).all()
    assert np.all(np.diff(array[3, 3, 3:]) < 0)
