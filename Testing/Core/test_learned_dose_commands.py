"""`train`, `evaluate` and `dose` of the learned dose methods on a dataset folder of toy patients."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from toy_dose_patients import NUCLIDE, toy_images, toy_truth

pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("monai", reason="networks need MONAI")

from radiodosimetry.cli import main
from radiodosimetry.errors import InputError
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.learned_dose import dblur_dose, stated_uncertainty, unet_dose
from radiodosimetry.learned_dose.dataset_patients import stream_patients
from radiodosimetry.learned_dose.patients import DosePatient
from radiodosimetry.learned_dose.training_config import (
    DblurLoop,
    DblurTrainingConfig,
    PatchSampling,
    SliceSampling,
    UNetTrainingConfig,
)
from radiodosimetry.learned_dose.training_patients import further_patients
from radiodosimetry.learning.splits import require_no_leak
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.dataset import describe_patient, read_dataset, write_manifest

CONFIGS = {
    "unet": """
validation_fraction = 0.4
[network]
inputs = ["density", "log-activity", "log-base", "photon", "nuclide"]
head = "transport"
features = 4
levels = 2
[sampling]
scan_pairs = true
patch = 16
samples_per_patient = 2
validation_per_patient = 1
[training]
epochs = 1
batch_size = 2
threads = 1
""",
    "dblurdosenet": """
validation_fraction = 0.4
[network]
inputs = ["density", "local-share", "share-6mm"]
head = "log-ratio"
features = 4
[sampling]
crop = 16
samples_per_patient = 4
shifted_share = 1.0
validation_per_patient = 2
[training]
epochs = 1
batch_size = 4
threads = 1
""",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three toy patients, as whoever has patients of his own may write one."""
    folder = tmp_path_factory.mktemp("toys") / "data"
    entries = []
    for seed in (1, 2, 3):
        name = f"patient_{seed:04d}"
        (folder / name).mkdir(parents=True)
        ct, tia, labels = toy_images(seed)
        truth = toy_truth(seed, histories=100_000)
        decay_per_s = Radionuclide(NUCLIDE).decay_constant_per_s
        scan = QuantitativeVolume(tia.array_kji * decay_per_s, tia.geometry, Quantity.ACTIVITY_CONCENTRATION)
        images = {"ct": ct, "tia": tia, "dose": truth, "scan_dose": truth, "scan_024h": scan, "truth_024h": scan}
        for file, volume in images.items():
            write_volume(volume, folder / name / f"{file}.nrrd")
        write_label_map(labels, folder / name / "labels.nrrd", folder / name / "labels.csv")
        files = {file: f"{file}.nrrd" for file in (*images, "labels")}
        files["label_names"] = "labels.csv"
        entries.append(describe_patient(folder, name, f"toy:{seed}", [24.0], files, scan_dose_hour=24.0))
    write_manifest(folder, entries, seed=1, tracer="toy", nuclide=NUCLIDE)
    return folder


def train(network: str, data: Path, folder: Path, *words: str) -> int:
    config = folder / f"{network}.toml"
    config.write_text(CONFIGS[network], encoding="utf-8")
    where = ["--data", str(data), "--config", str(config), "--output", str(folder / network)]
    return main(["train", network, *where, *words])


@pytest.mark.parametrize("network", ["unet", "dblurdosenet"])
def test_training_a_fold_ends_in_a_model_that_evaluate_and_dose_take(network: str, data: Path, tmp_path: Path) -> None:
    assert train(network, data, tmp_path, "--fold", "1/3") == 0
    model = tmp_path / network / "model.safetensors"
    card = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["declared"]["nuclides"] == [NUCLIDE]
    assert card["training"]["metrics"]["patients"] == "held out"
    assert set(card["training"]["metrics"]["network"]["mae_percent"]) == {"liver", "marrow", "tumours"}
    assert len(card["training"]["sources"]) == 2
    assert (tmp_path / network / "error_maps.png").read_bytes().startswith(b"\x89PNG")
    assert card["training"]["patients"] == 2
    bases = [path.name for path in (tmp_path / "base-doses").glob("*.npz")]
    assert len(bases) == 4  # three patients, and what the one that trains gives besides
    assert sum("@" in name for name in bases) == 1

    out = tmp_path / "evaluation"
    assert main(["evaluate", "--model", str(model), "--data", str(data), "--output", str(out)]) == 0
    numbers = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    assert numbers["patients"] == 1
    assert numbers["methods"][-1] == "network"
    assert {"single-vsv", "density-scaled", "multiple-vsv"} <= set(numbers["methods"])
    for name in ("table_kim2022.csv", "table_li2022.csv", "per_patient.csv", "error_maps.png", "profiles.png"):
        assert (out / name).stat().st_size > 0

    dose = tmp_path / "dose.nrrd"
    patient = data / "patient_0001"
    words = ["--nuclide", NUCLIDE, "--ct", str(patient / "ct.nrrd"), "--tia", str(patient / "tia.nrrd")]
    words += ["--method", network, "--model", str(model), "--output", str(dose)]
    assert main(["dose", *words]) == 0
    volume = read_volume(dose, Quantity.ABSORBED_DOSE)
    assert volume.array_kji.min() >= 0
    assert np.isfinite(volume.array_kji).all()
    assert "body" in json.loads(Path(f"{dose}.json").read_text(encoding="utf-8"))["parameters"]["base_comparison"]


def test_a_second_distribution_of_activity_has_the_source_of_its_patient_and_its_own_label(data: Path) -> None:
    dataset = read_dataset(data)
    known = list(stream_patients(dataset, dataset.patients, unet_dose.KIND))
    config = UNetTrainingConfig(sampling=PatchSampling(scan_pairs=True))
    further = further_patients(dataset, dataset.patients, known, config)
    assert [one.id for one in further] == ["patient_0001@scan", "patient_0002@scan", "patient_0003@scan"]
    for one, patient in zip(further, known, strict=True):
        # The toys' scan is their time-integrated activity times the decay constant.
        np.testing.assert_allclose(one.maps.activity_kji, patient.maps.activity_kji, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(one.label_gy, patient.label_gy, rtol=1e-4)
        assert one.maps.density_kji is patient.maps.density_kji
    with pytest.raises(InputError, match=r"split leaks: patient_0002@scan and patient_0002 derive from 'toy:2'"):
        require_no_leak([known[0], further[1]], [known[1]])
    assert further_patients(dataset, dataset.patients, known, UNetTrainingConfig()) == []


def test_a_moved_scan_keeps_its_label_and_moves_as_its_seed_says(data: Path) -> None:
    dataset = read_dataset(data)
    known = list(stream_patients(dataset, dataset.patients, dblur_dose.KIND))

    def moved(seed: int) -> list[DosePatient]:
        sampling = SliceSampling(shifted_share=0.67, shift_mm=2.5)
        config = DblurTrainingConfig(sampling=sampling, training=DblurLoop(seed=seed))
        return further_patients(dataset, dataset.patients, known, config)

    first, again, other = moved(1), moved(1), moved(2)
    assert [one.id for one in first] == ["patient_0001@shifted", "patient_0002@shifted"]
    for one, same, another, patient in zip(first, again, other, known, strict=False):
        assert np.array_equal(one.maps.activity_kji, same.maps.activity_kji)
        assert not np.array_equal(one.maps.activity_kji, another.maps.activity_kji)
        np.testing.assert_allclose(one.label_gy, patient.label_gy, rtol=1e-5)
        assert one.source == patient.source
        assert one.maps.density_kji is patient.maps.density_kji
        correlation = np.corrcoef(one.maps.base_kji.ravel(), patient.maps.base_kji.ravel())[0, 1]
        assert 0.5 < correlation < 0.999


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "{tmp}/absent.safetensors"], "does not exist; give the file of a model"),
        (["--secondaries", "local"], "--secondaries of a learned method is that of its training"),
        (["--histories", "1000"], "--histories belongs to --method monte-carlo"),
    ],
)
def test_dose_by_a_network_refuses(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    patient = data / "patient_0001"
    given = ["--nuclide", NUCLIDE, "--ct", str(patient / "ct.nrrd"), "--tia", str(patient / "tia.nrrd")]
    given += ["--method", "unet", "--output", str(tmp_path / "dose.nrrd")]
    assert main(["dose", *given, *(word.format(tmp=tmp_path) for word in words)]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "dose.nrrd").exists()


def test_a_training_ends_with_the_uncertainty_that_its_validation_patients_speak_for(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stated_uncertainty, "FEWEST_REGIONS", 4)  # toys have four each
    monkeypatch.setitem(CONFIGS, "dblurdosenet", CONFIGS["dblurdosenet"].replace("0.4", "0.6"))
    assert train("dblurdosenet", data, tmp_path) == 0
    model = tmp_path / "dblurdosenet" / "model.safetensors"
    stated = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))["training"]["calibration"]
    assert (stated["regions"]["patients"], stated["regions"]["count"]) == (2, 8)
    patient = data / "patient_0001"
    words = ["--nuclide", NUCLIDE, "--ct", str(patient / "ct.nrrd"), "--tia", str(patient / "tia.nrrd")]
    words += ["--labels", str(patient / "labels.nrrd"), "--table", str(tmp_path / "table.csv")]
    words += ["--method", "dblurdosenet", "--model", str(model)]
    words += ["--output", str(tmp_path / "d.nrrd"), "--uncertainty", str(tmp_path / "u.nrrd")]
    assert main(["dose", *words]) == 0
    uncertainty = read_volume(tmp_path / "u.nrrd")
    assert uncertainty.quantity is Quantity.RELATIVE_UNCERTAINTY
    assert uncertainty.array_kji.max() > 0.01
    assert any("no other image" in warning for warning in uncertainty.record.warnings)
    with (tmp_path / "table.csv").open(encoding="utf-8") as stream:
        assert all(float(row["mean_uncertainty_percent"]) >= 0.2 for row in csv.DictReader(stream))


def test_an_uncertainty_that_no_card_states_is_not_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train("dblurdosenet", data, tmp_path) == 0
    patient = data / "patient_0001"
    words = ["--nuclide", NUCLIDE, "--ct", str(patient / "ct.nrrd"), "--tia", str(patient / "tia.nrrd")]
    words += ["--method", "dblurdosenet", "--model", str(tmp_path / "dblurdosenet" / "model.json")]
    words += ["--output", str(tmp_path / "d.nrrd"), "--uncertainty", str(tmp_path / "u.nrrd")]
    assert main(["dose", *words]) == 2
    assert "The card of the model states no uncertainty" in capsys.readouterr().err


@pytest.mark.parametrize(("network", "undoes_reconstruction"), [("unet", False), ("dblurdosenet", True)])
def test_a_model_of_reconstructed_scans_warns_that_it_cannot_tell_what_it_is_given(
    data: Path, tmp_path: Path, network: str, undoes_reconstruction: bool
) -> None:
    assert train(network, data, tmp_path) == 0
    patient = data / "patient_0001"
    words = ["--nuclide", NUCLIDE, "--ct", str(patient / "ct.nrrd"), "--tia", str(patient / "tia.nrrd")]
    words += ["--method", network, "--model", str(tmp_path / network / "model.json"), "--output"]
    assert main(["dose", *words, str(tmp_path / "dose.nrrd")]) == 0
    warnings = json.loads((tmp_path / "dose.nrrd.json").read_text(encoding="utf-8"))["warnings"]
    assert any("taken for a SPECT reconstructed as" in one for one in warnings) is undoes_reconstruction


def test_a_dataset_without_doses_is_refused_by_name(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = json.loads((data / "manifest.json").read_text(encoding="utf-8"))
    entries = manifest["patients"]
    del entries[1]["files"]["dose"]
    poor = tmp_path / "poor"
    poor.mkdir()
    for entry in entries:
        (poor / entry["id"]).symlink_to(data / entry["id"])
    write_manifest(poor, entries, seed=1, tracer="toy", nuclide=NUCLIDE)
    assert train("unet", poor, tmp_path) == 2
    assert "patient_0002 has no dose; a residual-unet-3d is trained on ct, tia, dose" in capsys.readouterr().err
