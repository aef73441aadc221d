"""Simulating a data set: repeatable to the byte, resumable after any stop, and strict about what it is given."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from radiodosimetry.cli import main
from radiodosimetry.errors import CancelledError, InputError, MissingDependencyError, OutputError
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.media import segment_media
from radiodosimetry.provenance import file_identity
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients import centred_geometry, dose_labels, simulation, torso_patient, virtual_patient
from radiodosimetry.virtual_patients.dataset import MANIFEST, read_dataset
from radiodosimetry.virtual_patients.dose_labels import dose_label
from radiodosimetry.virtual_patients.pet import PetSettings
from radiodosimetry.virtual_patients.pytomography_import import pytomography_module
from radiodosimetry.virtual_patients.simulation import simulate_dataset
from radiodosimetry.virtual_patients.simulation_settings import SimulationSettings
from radiodosimetry.virtual_patients.spect import SpectSettings
from radiodosimetry.voxel_dose.edges import edge_mask

LungAndLiver = tuple[QuantitativeVolume, QuantitativeVolume, dict[str, NDArray[np.bool_]]]


@pytest.fixture(scope="module", autouse=True)
def _pytomography() -> None:
    try:
        pytomography_module()
    except MissingDependencyError as error:
        pytest.skip(str(error))


SMALL = SimulationSettings(
    patients=2,
    nuclide="Lu-177",
    seed=5,
    scan_hours=(24.0, 96.0),
    spacing_mm=(16.0, 16.0, 16.0),
    histories=20_000,
    spect=SpectSettings(angles=16, iterations=2, subsets=4),
)
SCANS_ALONE = replace(SMALL, histories=0, scan_hours=(24.0,))


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): file_identity(path)["sha256"]
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small patients with everything."""
    folder = tmp_path_factory.mktemp("simulated") / "data"
    simulate_dataset(SMALL, folder)
    return folder


class StopAfter:
    """Progress that asks to stop once a patient is done."""

    def __init__(self) -> None:
        self.stop = False

    def report(self, fraction: float, message: str) -> None:
        self.stop = self.stop or message.endswith("is done")

    def cancelled(self) -> bool:
        return self.stop


def test_a_patient_has_truth_scans_labels_and_dose_on_one_grid(made: Path) -> None:
    dataset = read_dataset(made)
    assert [patient.id for patient in dataset.patients] == ["patient_0001", "patient_0002"]
    assert dataset.complete
    dataset.require("ct", "labels", "truth_024h", "scan_024h", "truth_096h", "scan_096h", "tia", "dose", "kinetics")
    first, second = dataset.patients
    assert first.source != second.source
    for name in first.names:
        if name not in ("labels", "label_names", "kinetics"):
            assert first.volume(name).geometry.same_grid(first.geometry)
    truth, scan = first.volume("truth_024h"), first.volume("scan_024h")
    assert truth.time == scan.time
    assert scan.array_kji.sum() == pytest.approx(truth.array_kji.sum(), rel=0.25)
    later = first.volume("truth_096h")
    assert later.time is not None
    assert (later.time - truth.time).total_seconds() == 72 * 3600
    assert set(first.kinetics()["regions"]) >= {"liver", "spleen", "remainder"}


def test_dose_is_that_of_the_true_activity(made: Path) -> None:
    patient = read_dataset(made).patients[0]
    tia, dose, ct = (patient.volume(name) for name in ("tia", "dose", "ct"))
    body = ct.array_kji > -200
    # Electrons of Lu-177 stay: 147.9 keV per decay of 181 keV in all (ICRP 107), the photons mostly leave.
    mass_kg = ct.geometry.voxel_volume_ml * 1e-3
    energy = float(np.sum(dose.array_kji[body] * mass_kg, dtype=np.float64))
    decays = float(np.sum(tia.array_kji, dtype=np.float64)) * tia.geometry.voxel_volume_ml
    assert 0.75 < energy / (decays * 147.9 * 1.602176634e-16) < 1.25
    assert patient.entry["dose_region_uncertainty"]["liver"] < 0.02
    assert patient.entry["scan_dose_hour"] == 24.0


def test_workers_change_no_byte(made: Path, tmp_path: Path) -> None:
    simulate_dataset(SMALL, tmp_path / "data", workers=2)
    assert hashes(tmp_path / "data") == hashes(made)


def a_patient_at_once(settings: object, tracer: str, number: int, output: Path, cores: int) -> dict[str, int]:
    return {"number": number}


class StopsAfterTwoMinutes:
    """Progress that gives up, so that workers that are not replaced fail a test and do not hang it."""

    def __init__(self) -> None:
        self.until = time.monotonic() + 120

    def report(self, fraction: float, message: str) -> None:
        pass

    def cancelled(self) -> bool:
        return time.monotonic() > self.until


def test_many_patients_for_each_worker_are_all_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A pool whose workers retire after several tasks stands still once all have retired (python/cpython#115634).
    monkeypatch.setattr(simulation, "_make_limited", a_patient_at_once)
    numbers, made = list(range(1, 21)), []
    simulation._run_in_processes(
        SMALL, "", tmp_path, numbers, 2, lambda number, entry: made.append(entry["number"]), StopsAfterTwoMinutes()
    )
    assert sorted(made) == numbers


KILLED = """
import os, time
from pathlib import Path
from radiodosimetry.virtual_patients import simulation

def long_patient(settings, tracer, number, output, cores):
    (output / f"{os.getpid()}.pid").touch()
    time.sleep(600)

if __name__ == "__main__":
    simulation._make_limited = long_patient
    simulation._run_in_processes(None, "", Path("."), [1, 2], 2, lambda number, entry: None, None)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(KILLED, encoding="utf-8")
    run = subprocess.Popen([sys.executable, "run.py"], cwd=tmp_path)
    workers: list[int] = []
    try:
        assert _within_a_minute(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        workers = [int(path.stem) for path in tmp_path.glob("*.pid")]
        run.kill()
        run.wait()
        assert _within_a_minute(lambda: not any(_runs(worker) for worker in workers))
    finally:
        run.kill()
        for worker in filter(_runs, workers):
            os.kill(worker, signal.SIGKILL)


def _within_a_minute(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 60
    while not holds() and time.monotonic() < until:
        time.sleep(0.2)
    return holds()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{process}/stat").exists() or " Z " not in Path(f"/proc/{process}/stat").read_text()


def test_a_cancelled_run_leaves_whole_patients_and_goes_on_to_the_same_bytes(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with pytest.raises(CancelledError):
        simulate_dataset(SMALL, folder, progress=StopAfter())
    dataset = read_dataset(folder)
    assert [patient.id for patient in dataset.patients] == ["patient_0001"]
    assert not dataset.complete
    assert not list(folder.glob(".partial-*"))
    before = (folder / "patient_0001" / "ct.nii.gz").stat().st_mtime_ns
    (folder / ".partial-patient_0002-killed").mkdir()
    simulate_dataset(SMALL, folder)
    assert (folder / "patient_0001" / "ct.nii.gz").stat().st_mtime_ns == before
    assert hashes(folder) == hashes(made)


def test_a_damaged_patient_is_made_again(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    one = replace(SCANS_ALONE, patients=1)
    simulate_dataset(one, folder)
    whole = hashes(folder)
    (folder / "patient_0001" / "tia.nrrd").write_bytes(b"")
    simulate_dataset(one, folder)
    assert hashes(folder) == whole


def test_a_full_disk_leaves_a_folder_that_can_be_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    original = virtual_patient.write_volume

    def full(volume: QuantitativeVolume, path: Path, *rest: object) -> None:
        if "patient_0002" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(volume, path, *rest)

    monkeypatch.setattr(virtual_patient, "write_volume", full)
    with pytest.raises(OutputError, match="no space left on device; patients that are complete were kept"):
        simulate_dataset(SCANS_ALONE, folder)
    assert [patient.id for patient in read_dataset(folder).patients] == ["patient_0001"]
    assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "patient_0001"]
    monkeypatch.undo()
    assert len(simulate_dataset(SCANS_ALONE, folder).patients) == 2


def test_other_settings_and_foreign_folders_are_refused(made: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="simulated with another seed, histories; give another folder"):
        simulate_dataset(replace(SMALL, seed=6, histories=10_000), made)
    with pytest.raises(InputError, match="holds 2 patients, 1 were asked for; ask for 2 or more"):
        simulate_dataset(replace(SMALL, patients=1), made)
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds thesis.txt and no data set"):
        simulate_dataset(SMALL, tmp_path)
    with pytest.raises(InputError, match="is a file; give a folder"):
        simulate_dataset(SMALL, tmp_path / "thesis.txt")


def test_settings_that_cannot_be_are_refused() -> None:
    for change, words in (
        ({"patients": 0}, "Found 0 patients to simulate"),
        ({"kind": "mri"}, "no scan of kind 'mri'; expected spect or pet"),
        ({"scan_hours": (24.0, 4.0)}, "Scan hours must ascend"),
        ({"scan_hours": (24.01, 24.02)}, "a tenth of an hour apart"),
        ({"scan_dose_hour": 5.0}, "expected one of 24, 96 h"),
        ({"histories": 5}, "expected 10000 or more, or 0"),
        ({"voxel_uncertainty": 0.0}, "must lie between 0.1 and 100 %, found 0 %"),
        ({"ct": Path("ct.nii.gz")}, "needs a CT and a label map; give both"),
        ({"deformation": 9.0}, "must lie between 0 and 4"),
        ({"spacing_mm": (4.0, 4.0, 0.0)}, "three lengths from 0.2 to 50 mm"),
    ):
        with pytest.raises(InputError, match=words):
            replace(SMALL, **change)
    with pytest.raises(InputError, match="There is no tracer with Tc-99m; expected one of lu177-dotatate"):
        simulation.chosen_tracer(SimulationSettings(1, "Tc-99m"))
    with pytest.raises(InputError, match="carries Cu-64, not Lu-177; tracers with Lu-177: lu177-dotatate"):
        simulation.chosen_tracer(replace(SMALL, tracer="cu64-antibody"))


def test_serial_pet_falls_with_the_activity_and_moves_a_little(tmp_path: Path) -> None:
    settings = SimulationSettings(
        patients=1, nuclide="Cu-64", tracer="cu64-antibody", seed=2, spacing_mm=(16.0,) * 3, histories=0,
        pet=PetSettings(angles=16, subsets=4, iterations=2),
    )  # fmt: skip
    patient = simulate_dataset(settings, tmp_path / "data").patients[0]
    assert patient.scan_hours == (1.0, 24.0, 48.0)
    assert patient.entry["misregistration_mm"][0] == [0.0, 0.0, 0.0]
    assert 0 < np.abs(patient.entry["misregistration_mm"][1]).max() < 10
    prompts = [patient.volume(name).record.parameters["counts"] for name in ("scan_001h", "scan_024h", "scan_048h")]
    assert prompts[0] > prompts[1] >= prompts[2] >= 3e6
    for hours in (1, 24, 48):
        truth, scan = (patient.volume(f"{kind}_{hours:03d}h").array_kji.sum() for kind in ("truth", "scan"))
        assert scan == pytest.approx(truth, rel=0.05)


def test_patients_derive_from_a_given_ct(tmp_path: Path) -> None:
    given = torso_patient(centred_geometry((20, 16, 24), (16.0, 16.0, 16.0)))
    write_volume(given.ct, tmp_path / "ct.nii.gz")
    write_label_map(given.labels, tmp_path / "labels.nii.gz", tmp_path / "labels.csv")
    words = [
        "simulate", "--patients", "2", "--nuclide", "Lu-177", "--output", str(tmp_path / "data"), "--seed", "4",
        "--ct", str(tmp_path / "ct.nii.gz"), "--labels", str(tmp_path / "labels.nii.gz"),
        "--label-names", str(tmp_path / "labels.csv"), "--histories", "0", "--scan-hours", "24", "--spacing-mm", "16",
        "--angles", "16", "--iterations", "1", "--subsets", "4",
    ]  # fmt: skip
    assert main(words) == 0
    first, second = read_dataset(tmp_path / "data").patients
    assert first.source == second.source
    assert first.source.startswith("ct:")
    assert not np.array_equal(first.volume("ct").array_kji, second.volume("ct").array_kji)
    manifest = json.loads((tmp_path / "data" / MANIFEST).read_text())
    assert manifest["simulation"]["derived_from"]["ct"]["path"] == "ct.nii.gz"


def test_levels_of_activity_do_not_bias_the_dose() -> None:
    grid = centred_geometry((9, 9, 9), (8.0, 8.0, 8.0))
    ct = QuantitativeVolume(np.zeros(grid.shape_kji, np.int16), grid, Quantity.CT_NUMBER)
    array = np.full(grid.shape_kji, 1e6, np.float32)
    array[4, 4, 4], array[:2] = 1e9, 0.0
    tia = QuantitativeVolume(array, grid, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    hot = array > 1e8
    cool = (array > 0) & ~hot
    label = dose_label(tia, ct, "Lu-177", {"hot": hot, "cool": cool}, 200_000, seed=1)
    from radiodosimetry.workflows.dose import DoseOptions, compute_dose

    plain = compute_dose(ct, tia, "Lu-177", "monte-carlo", (), DoseOptions(histories=2_000_000)).dose
    for name, mask in (("hot", hot), ("cool", cool)):
        expected = float(plain.array_kji[mask].mean())
        error = 4 * label.uncertainty_of_regions[name] + 0.002
        assert float(label.dose.array_kji[mask].mean()) == pytest.approx(expected, rel=error)
    assert label.voxel_uncertainty_of_regions["cool"] < 0.25
    doubled = dose_label(
        tia.with_array(2 * array), ct, "Lu-177", {"hot": hot, "cool": cool}, 200_000, seed=1
    ).dose.array_kji
    np.testing.assert_allclose(doubled, 2 * label.dose.array_kji, rtol=1e-5)
    faint = dose_label(tia.with_array(array * np.float32(1e-18)), ct, "Lu-177", {"cool": cool}, 200_000, seed=1)
    np.testing.assert_allclose(faint.uncertainty.array_kji, label.uncertainty.array_kji, rtol=1e-4)


@pytest.fixture
def lung_and_liver(monkeypatch: pytest.MonkeyPatch) -> LungAndLiver:
    """A hot liver beside a lung with little activity, and targets that take few histories."""
    monkeypatch.setattr(dose_labels, "PILOT_HISTORIES", 100_000)
    monkeypatch.setattr(dose_labels, "TARGET_REGION_UNCERTAINTY", 0.01)
    grid = centred_geometry((12, 12, 12), (6.0, 6.0, 6.0))
    hu = np.zeros(grid.shape_kji, np.int16)
    hu[:, :, :4] = -750
    activity = np.full(grid.shape_kji, 1e6, np.float32)
    liver = np.zeros(grid.shape_kji, bool)
    liver[4:8, 4:8, 8:11] = True
    activity[liver] = 2e8
    ct = QuantitativeVolume(hu, grid, Quantity.CT_NUMBER)
    tia = QuantitativeVolume(activity, grid, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    return tia, ct, {"liver": liver, "left_lung": hu < -500}


def test_histories_go_where_lung_edges_lack_them(
    lung_and_liver: LungAndLiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tia, ct, masks = lung_and_liver
    activity = tia.array_kji
    edges = edge_mask(segment_media(ct, bands=None).density_kji, masks)
    assert activity[edges].max() < 0.01 * activity.max()  # too little dose for a target of its own
    rest = (activity > 0) & ~np.logical_or.reduce([*masks.values(), edges])
    alone = dose_label(tia, ct, "Lu-177", masks, None, 3, voxel_uncertainty=0.08)
    label = dose_label(tia, ct, "Lu-177", {**masks, "edges": edges}, None, 3, voxel_uncertainty=0.08, always=["edges"])
    for name in ("liver", "edges"):
        assert label.voxel_uncertainty_of_regions[name] < 0.08
        assert label.uncertainty_of_regions[name] <= dose_labels.TARGET_REGION_UNCERTAINTY
    elsewhere = float(np.sqrt(np.mean(label.uncertainty.array_kji[rest] ** 2)))
    assert 0.08 < elsewhere < 0.08 * dose_labels.REST_FACTOR
    monkeypatch.setattr(dose_labels, "MOST_ROUNDS", 0)
    at_once = dose_label(tia, ct, "Lu-177", masks, None, 3, voxel_uncertainty=0.08)
    assert at_once.histories == alone.histories  # what the forecast met is not run again
    without = float(np.sqrt(np.mean(alone.uncertainty.array_kji[edges] ** 2)))
    assert without > 0.08


def test_what_the_pilot_forecast_too_low_is_run_until_the_targets_are_met(
    lung_and_liver: LungAndLiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tia, ct, masks = lung_and_liver
    expected = dose_label(tia, ct, "Lu-177", masks, 4_000_000, 5).dose.array_kji
    monkeypatch.setattr(dose_labels, "NOISE_EXPONENT", 2.0)  # noise does not fall so fast
    words = {"voxel_uncertainty": 0.05, "always": ["left_lung"]}
    label = dose_label(tia, ct, "Lu-177", masks, None, 3, **words)
    monkeypatch.setattr(dose_labels, "MOST_ROUNDS", 0)
    short = dose_label(tia, ct, "Lu-177", masks, None, 3, **words)
    assert label.voxel_uncertainty_of_regions["left_lung"] <= 0.05 < short.voxel_uncertainty_of_regions["left_lung"]
    assert max(label.uncertainty_of_regions.values()) <= 0.01
    assert short.histories < label.histories
    for name, mask in masks.items():  # runs are weighted by their histories: no bias, and σ is what it says
        pulls = (label.dose.array_kji - expected)[mask] / (label.uncertainty.array_kji * label.dose.array_kji)[mask]
        assert abs(pulls.mean()) < 0.5, name
        assert 0.6 < pulls.std() < 1.4, name


def test_every_target_is_met_by_the_histories_asked_for() -> None:
    variances = np.array([[4e-4, 1e-6, 0.0], [1e-5, 9e-2, 2e-3], [0.0, 1e-9, 1e-9]])
    wanted = np.array([4e-4, 4e-4, 4e-6])
    powers = np.array([1.4, 1.4, 1.0])
    factors = dose_labels.needed_factors(variances, wanted, powers)
    after = (variances * factors ** -powers[:, None]).sum(axis=1)
    assert (after <= wanted * (1 + 1e-9)).all()
    assert after[1] == pytest.approx(wanted[1], rel=0.2)
    assert factors[0] < 3 < factors[2] < factors[1]


def test_no_scheduler_answers_in_words(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(InputError, match="The Dask scheduler nonsense://nowhere does not answer"):
        simulate_dataset(SCANS_ALONE, tmp_path / "data", scheduler="nonsense://nowhere")


@pytest.mark.filterwarnings("ignore")
def test_a_dask_scheduler_changes_no_byte(made: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        simulate_dataset(SMALL, tmp_path / "data", scheduler=cluster.scheduler_address)
    assert hashes(tmp_path / "data") == hashes(made)


def test_ctrl_c_says_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "make_patient", interrupted)
    folder = tmp_path / "data"
    assert main(["simulate", "--patients", "1", "--nuclide", "Lu-177", "--output", str(folder)]) == 130
    assert "complete patients stay in" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [MANIFEST]
