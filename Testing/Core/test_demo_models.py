"""The demonstration where models come with the package: learned dose in the case, delayed PET beside it."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import toy_dose_patients

from delayed_pet_samples import ratio_settings
from delayed_pet_samples import toy_patient as toy_pet_patient

pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("monai", reason="networks need MONAI")

from radiodosimetry.delayed_pet import shipped as shipped_pet
from radiodosimetry.delayed_pet.training import train_on_patients as train_delayed_pet
from radiodosimetry.images.readers import read_volume
from radiodosimetry.learned_dose import shipped
from radiodosimetry.learned_dose.architectures import UNetArchitecture
from radiodosimetry.learned_dose.declared import RECONSTRUCTED
from radiodosimetry.learned_dose.shipped import MODELS_FOLDER
from radiodosimetry.learned_dose.training import train_on_patients as train_dose
from radiodosimetry.learned_dose.training_config import LossSettings, PatchSampling, UNetLoop, UNetTrainingConfig
from radiodosimetry.learning.model_files import read_card, save_model
from radiodosimetry.workflows import demo_case, demo_delayed_pet
from radiodosimetry.workflows.case_settings import read_case
from radiodosimetry.workflows.demo import DemoResult, run_demo
from radiodosimetry.workflows.demo_delayed_pet import COLUMNS, run_demo_delayed_pet


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as context:
        yield context


@pytest.fixture(scope="module")
def models(patch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Networks trained for a moment in the place of those that come with the package."""
    folder = tmp_path_factory.mktemp("models")
    patch.setattr(toy_dose_patients, "NUCLIDE", "Lu-177")
    patients = [toy_dose_patients.toy_patient(seed) for seed in (1, 2)]
    config = UNetTrainingConfig(
        UNetArchitecture(("density", "activity", "base"), levels=1, features=2),
        PatchSampling(patch=16, samples_per_patient=1, validation_per_patient=1),
        LossSettings(),
        UNetLoop(epochs=1, batch_size=1, threads=1),
    )
    trained = train_dose(patients[:1], patients[1:], config, folder / "unet")
    (folder / "dose").mkdir()
    save_model(folder / "dose" / "unet", trained.state, trained.model.card)
    pets = [toy_pet_patient(seed, shape=(8, 10, 12)) for seed in range(3)]
    delayed = train_delayed_pet(pets, ratio_settings(epochs=1), folder / "delayed")
    (folder / "pet").mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(delayed.with_suffix(suffix), folder / "pet" / f"toy{suffix}")
    patch.setattr(shipped, "MODELS_FOLDER", folder / "dose")
    patch.setattr(shipped_pet, "MODELS_FOLDER", folder / "pet")
    return folder


@pytest.fixture(scope="module")
def demo(models: Path, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run_demo(tmp_path_factory.mktemp("learned") / "demo", histories=2000, voxel_mm=16.0)


def test_learned_dose_is_a_method_of_the_case_and_in_its_report(demo: DemoResult) -> None:
    assert read_case(demo.folder).dose.methods == ("multiple-vsv", "unet", "monte-carlo")
    report = demo.report.read_text(encoding="utf-8")
    assert "Residual U-Net [Gy]" in report
    assert read_volume(demo.folder / "results/dose/unet/dose.nrrd").array_kji.max() > 0


def test_a_model_for_another_nuclide_takes_no_part(models: Path) -> None:
    assert demo_case._methods("Lu-177") == ["multiple-vsv", "unet", "monte-carlo"]
    assert demo_case._methods("Y-90") == ["multiple-vsv", "monte-carlo"]


def test_a_model_of_reconstructed_scans_takes_no_part_as_the_demonstrations_are_blurred(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shipped, "MODELS_FOLDER", MODELS_FOLDER)
    declared = read_card(MODELS_FOLDER / "dblurdosenet.safetensors").declared
    assert "Lu-177" in declared["nuclides"], declared
    assert declared["activity"] == RECONSTRUCTED
    assert demo_case._methods("Lu-177") == ["multiple-vsv", "unet", "monte-carlo"]


def test_delayed_pet_is_compared_with_the_later_scans(demo: DemoResult) -> None:
    delayed = demo.delayed
    assert delayed is not None
    assert (delayed.model, delayed.nuclide, delayed.early_h) == ("toy", "Cu-64", 1.0)
    assert delayed.folder == demo.folder / "delayed_pet"
    assert {row.time_h for row in delayed.table} == {24.0, 48.0}
    with (delayed.folder / "delayed_pet.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    liver = next(row for row in rows if row["region"] == "liver")
    synthetic = read_volume(delayed.folder / "pet_24h.nii.gz")
    assert synthetic.record.parameters["synthetic"] is True
    expected = 100 * (float(liver["synthetic_mbq"]) / float(liver["acquired_mbq"]) - 1)
    assert float(liver["difference_percent"]) == pytest.approx(expected, abs=1e-3)
    for name in ("acquired_24h.nii.gz", "acquired_24h.png", "synthetic_24h.png", "pet_48h_uncertainty.nii.gz"):
        assert (delayed.folder / name).is_file(), name
    assert "never measured, against the later scan" in demo.text()


def test_a_model_that_does_not_take_the_patient_is_said_and_nothing_fails(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    weak = replace(demo_delayed_pet.COPPER_PET, administered_bq=1e15)
    monkeypatch.setattr(demo_delayed_pet, "COPPER_PET", weak)
    found = run_demo_delayed_pet(tmp_path, 1, "cpu")
    assert found is not None
    assert found.folder is None
    assert "does not take the virtual patient: The scan reaches" in found.text()


def test_without_models_there_is_no_delayed_pet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_pet, "MODELS_FOLDER", tmp_path / "none")
    assert run_demo_delayed_pet(tmp_path, 1, "cpu") is None
    assert list(tmp_path.iterdir()) == []
