"""Dose by Monte Carlo as the methods see it: energy, seeds, uncertainty, and the commands that run it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import GeometryMismatchError, InputError, RegionError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.media import MediaMap, named_material
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.transport.voxels import TransportSettings
from radiodosimetry.units import JOULE_PER_MEV, Quantity
from radiodosimetry.voxel_dose.monte_carlo import monte_carlo_dose, simulated_kernel
from radiodosimetry.voxel_dose.radiobiology import Radiobiology
from radiodosimetry.voxel_dose.sources import EmissionSource
from radiodosimetry.workflows import dose as dose_workflow

SHAPE = (7, 7, 7)
GEOMETRY = VolumeGeometry(SHAPE, (5.0, 5.0, 5.0))
MEDIA = MediaMap.homogeneous(named_material("soft-tissue"), GEOMETRY)
LU_177 = EmissionSource.from_nuclide(Radionuclide("Lu-177"))


def tia() -> QuantitativeVolume:
    array = np.zeros(SHAPE)
    array[2:5, 2:5, 2:5] = 1e9
    return QuantitativeVolume(array, GEOMETRY, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)


def test_electron_energy_is_conserved_in_the_dose_map():
    source = EmissionSource.from_nuclide(Radionuclide("Lu-177"), "electrons")
    result = monte_carlo_dose(tia(), MEDIA, source, TransportSettings(histories=20_000))
    mass_kg = 1.04e-3 * 0.125
    energy_mev = result.dose.array_kji.sum() * mass_kg / JOULE_PER_MEV
    assert energy_mev == pytest.approx(27 * 0.125e9 * source.charged_energy_mev, rel=0.01)


def test_alphas_and_recoils_are_added_where_they_arise():
    source = EmissionSource.from_nuclide(Radionuclide("Ac-225"))
    result = monte_carlo_dose(tia(), MEDIA, source, TransportSettings(histories=4_000))
    expected = 1e9 * source.local_energy_mev * JOULE_PER_MEV / 1.04e-3
    centre = result.dose.array_kji[3, 3, 3]
    assert expected < centre < 1.04 * expected
    assert result.uncertainty.array_kji[3, 3, 3] < 0.02


def test_the_same_seed_gives_the_same_dose_and_another_one_another():
    results = [
        monte_carlo_dose(tia(), MEDIA, LU_177, TransportSettings(histories=2_000, seed=seed)).dose.array_kji
        for seed in (7, 7, 8)
    ]
    assert np.array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])


def test_regions_get_an_uncertainty_and_the_record_says_how():
    mask = tia().array_kji > 0
    result = monte_carlo_dose(tia(), MEDIA, LU_177, TransportSettings(histories=4_000, seed=5), {"source": mask})
    assert 0 < result.region_uncertainty["source"] < 0.1
    record = result.dose.record
    assert record.seed == 5
    assert record.parameters["histories"] == result.histories
    assert record.device
    assert result.uncertainty.quantity is Quantity.RELATIVE_UNCERTAINTY


def test_energy_that_stays_where_it_arises_lowers_the_uncertainty_of_a_region():
    source = EmissionSource.from_nuclide(Radionuclide("Ac-225"))
    masks = {"source": tia().array_kji > 0}
    result = monte_carlo_dose(tia(), MEDIA, source, TransportSettings(histories=4_000), masks)
    assert result.region_uncertainty["source"] < 0.002


def test_a_region_without_dose_has_no_uncertainty():
    weak = EmissionSource.mono_energetic("electron", 20.0)
    far = np.zeros(SHAPE, dtype=bool)
    far[0, 0, 0] = True
    result = monte_carlo_dose(tia(), MEDIA, weak, TransportSettings(histories=400), {"far": far})
    assert result.dose.array_kji[0, 0, 0] == 0
    assert "far" not in result.region_uncertainty


def test_regions_and_radiobiology_are_checked_before_any_history_is_run(monkeypatch):
    monkeypatch.setattr(dose_workflow, "segment_media", lambda *_: pytest.fail("the work has begun"))
    ct = QuantitativeVolume(np.zeros(SHAPE), GEOMETRY, Quantity.CT_NUMBER)
    region = Region("kidney", tia().array_kji > 0, "kidney")
    effect = {"liver": Radiobiology(2.5, 9e3, 1e5)}
    with pytest.raises(RegionError, match="Radiobiology is given for liver"):
        dose_workflow.compute_dose(ct, tia(), "Lu-177", "monte-carlo", [region], radiobiology=effect)
    small = Region("kidney", np.ones((2, 2, 2), dtype=bool), "kidney")
    with pytest.raises(GeometryMismatchError, match="resample the labels"):
        dose_workflow.compute_dose(ct, tia(), "Lu-177", "monte-carlo", [small])


def test_no_activity_is_refused():
    empty = tia().with_array(np.zeros(SHAPE))
    with pytest.raises(InputError, match="nothing to simulate"):
        monte_carlo_dose(empty, MEDIA, LU_177, TransportSettings(histories=2_000))


def test_a_simulated_kernel_holds_the_emitted_energy():
    source = EmissionSource.mono_energetic("electron", 497.0)
    kernel = simulated_kernel(source, named_material("water"), (3.87, 3.87, 3.87), 2, histories=4_000)
    assert kernel.energy_balance == pytest.approx(1.0, abs=0.01)
    assert kernel.octant_kji[0, 0, 0] == pytest.approx(9.742e-10, rel=0.03)
    assert kernel.summary()["centre_uncertainty_percent"] > 0


def test_a_simulated_kernel_may_be_wider_along_one_axis_than_along_another():
    source = EmissionSource.mono_energetic("electron", 497.0)
    kernel = simulated_kernel(source, named_material("water"), (3.0, 4.0, 5.0), (2, 1, 0), histories=2_000)
    assert kernel.octant_kji.shape == (1, 2, 3)
    assert kernel.record.parameters["half_width_ijk"] == [2, 1, 0]
    assert kernel.octant_kji[0, 0, 1] > kernel.octant_kji[0, 1, 0] > 0


@pytest.mark.parametrize("half_width", [-1, 0.5, 1000, (1, 2), float("nan")])
def test_a_half_width_that_is_none_is_refused_before_the_simulation(half_width):
    source = EmissionSource.mono_energetic("electron", 497.0)
    with pytest.raises(InputError, match="The half-width must be one or three whole numbers from 0 to 512"):
        simulated_kernel(source, named_material("water"), (4.0, 4.0, 4.0), half_width)


def test_the_kernel_command_simulates_on_request(tmp_path, capsys):
    words = ["kernel", "--particle", "electron", "--energy-kev", "133", "--medium", "water"]
    words += ["--spacing-mm", "4", "4", "4", "--half-width", "1", "--json"]
    words += ["--engine", "transport", "--histories", "2000", "--seed", "3"]
    assert main([*words, "--output", str(tmp_path / "k.nrrd")]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["energy_balance"] == pytest.approx(1.0, abs=0.01)
    assert values["centre_uncertainty_percent"] is not None
    assert json.loads((tmp_path / "k.nrrd.json").read_text())["seed"] == 3


def test_the_dose_command_runs_monte_carlo_with_an_uncertainty_map(tmp_path, capsys):
    write_volume(tia(), tmp_path / "tia.nrrd")
    write_volume(QuantitativeVolume(np.full(SHAPE, 40.0), GEOMETRY, Quantity.CT_NUMBER), tmp_path / "ct.nrrd")
    labels = QuantitativeVolume((tia().array_kji > 0).astype(np.uint8), GEOMETRY, Quantity.LABEL)
    write_volume(labels, tmp_path / "labels.nrrd")
    words = ["dose", "--method", "monte-carlo", "--nuclide", "Lu-177", "--ct", str(tmp_path / "ct.nrrd")]
    words += ["--tia", str(tmp_path / "tia.nrrd"), "--labels", str(tmp_path / "labels.nrrd"), "--seed", "4"]
    words += ["--output", str(tmp_path / "d.nrrd"), "--uncertainty", str(tmp_path / "u.nrrd")]
    assert main([*words, "--table", str(tmp_path / "t.csv"), "--target-uncertainty-percent", "3"]) == 0
    row = (tmp_path / "t.csv").read_text().splitlines()[1].split(",")
    assert 0 < float(row[-1]) <= 3
    assert read_volume(tmp_path / "u.nrrd").quantity is Quantity.RELATIVE_UNCERTAINTY
    assert json.loads((tmp_path / "d.nrrd.json").read_text())["seed"] == 4


def test_a_target_region_that_no_energy_reaches_fails_the_run(tmp_path, capsys):
    ct, activity = np.full(SHAPE, 40.0), np.zeros(SHAPE)
    activity[0, 0, 0] = 1e9
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[6, 6, 6] = 1
    write_volume(QuantitativeVolume(ct, GEOMETRY, Quantity.CT_NUMBER), tmp_path / "ct.nrrd")
    write_volume(tia().with_array(activity), tmp_path / "tia.nrrd")
    write_volume(QuantitativeVolume(labels, GEOMETRY, Quantity.LABEL), tmp_path / "labels.nrrd")
    words = ["dose", "--method", "monte-carlo", "--nuclide", "H-3", "--ct", str(tmp_path / "ct.nrrd")]
    words += ["--tia", str(tmp_path / "tia.nrrd"), "--labels", str(tmp_path / "labels.nrrd")]
    words += ["--output", str(tmp_path / "d.nrrd"), "--target-uncertainty-percent", "5"]
    before = sorted(tmp_path.iterdir())
    assert main(words) == 1
    assert "no energy has reached label_1" in capsys.readouterr().err.replace("label 1", "label_1")
    assert sorted(tmp_path.iterdir()) == before


def test_few_histories_are_refused(tmp_path, capsys):
    write_volume(tia(), tmp_path / "tia.nrrd")
    write_volume(QuantitativeVolume(np.full(SHAPE, 40.0), GEOMETRY, Quantity.CT_NUMBER), tmp_path / "ct.nrrd")
    words = ["dose", "--method", "monte-carlo", "--nuclide", "Lu-177", "--ct", str(tmp_path / "ct.nrrd")]
    words += ["--tia", str(tmp_path / "tia.nrrd"), "--output", str(tmp_path / "d.nrrd")]
    assert main([*words, "--histories", "10"]) == 2
    assert "Found 10 histories; expected" in capsys.readouterr().err
    assert not (tmp_path / "d.nrrd").exists()
