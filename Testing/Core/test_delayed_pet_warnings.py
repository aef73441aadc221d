"""What results made of synthetic scans warn of: once and shortly that they are, and what holds for this one scan."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest

pytest.importorskip("torch", reason="torch is not installed")

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient
from radiodosimetry.cli import main
from radiodosimetry.delayed_pet.inference import DOUBTFUL_STD, NO_REGIONS_WARNING, SYNTHETIC_WARNING, synthesize
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.shipped import shipped_models
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.images.dicom_pet_writer import PetSeriesDescription, write_pet_series
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.writers import write_volume
from radiodosimetry.learning.model_files import load_model, model_sentence, read_card, save_model
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity

LIMITS = ("It knows toys alone.", "It was given little time to learn.", "No patient is a ball.")
SENTENCE = f"{SYNTHETIC_WARNING} The model is toy, trained on 5 virtual patients alone; its card lists 3 limits."
TIMES_S = (24 * HOUR_S, 48 * HOUR_S)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a moment, with limits of its own on its card."""
    folder = tmp_path_factory.mktemp("models")
    trained = train_on_patients([toy_patient(seed) for seed in range(5)], ratio_settings(epochs=1), folder / "run")
    card, state = load_model(trained, "delayed-pet")
    training = {**card.training, "data": {**card.training["data"], "seed": 7, "virtual": True}}
    return save_model(folder / "toy", state, replace(card, limits=LIMITS, training=training))


@pytest.fixture
def patient() -> SerialPet:
    patient = toy_patient(99)
    assert patient.labels is not None
    names = {**patient.labels.names, 1: "remainder_of_body"}
    return replace(patient, labels=replace(patient.labels, names=names))


def written(patient: SerialPet, folder: Path) -> None:
    """Early scan, CT and labels as files."""
    assert patient.ct is not None
    assert patient.labels is not None
    write_volume(patient.scans[HOUR_S], folder / "early.nii.gz")
    write_volume(patient.ct, folder / "ct.nii.gz")
    write_label_map(patient.labels, folder / "labels.nii.gz", folder / "labels.csv")


def commands(model: Path, folder: Path) -> dict[str, list[str]]:
    """From an early scan to organ doses and a dose map; each with the file whose record says how it came to be."""
    path = {path.name: str(path) for path in (folder / name for name in (
        "early.nii.gz", "ct.nii.gz", "labels.nii.gz", "labels.csv", "curves.csv", "fits.json", "organs.csv",
        "tia.nii.gz", "dose.nii.gz",
    ))}  # fmt: skip
    regions = ["--labels", path["labels.nii.gz"], "--label-names", path["labels.csv"]]
    given = ["--nuclide", "Cu-64", "--administered-mbq", "300"]
    scans = ["--scan", f"1={path['early.nii.gz']}"]
    scans += [word for hours in (24, 48) for word in ("--scan", f"{hours}={folder / f'pet_{hours}h.nii.gz'}")]
    return {
        "pet_24h.nii.gz.json": ["synthesize", "--model", str(model), "--early", path["early.nii.gz"],
                                "--early-time-h", "1", "--time-h", "24", "--time-h", "48", "--ct", path["ct.nii.gz"],
                                "--tracer", "toy", *regions, *given, "--output", str(folder)],
        "curves.csv.json": ["curves", *scans, *regions, *given, "--output", path["curves.csv"]],
        "fits.json": ["fit", path["curves.csv"], "--model", "mono", *given, "--output", path["fits.json"]],
        "organs.csv.json": ["organ-dose", "--fits", path["fits.json"], "--phantom", "adult-male", *given, "--output",
                            path["organs.csv"]],
        "tia.nii.gz.json": ["tia", "--method", "mono", *scans, "--nuclide", "Cu-64", "--output", path["tia.nii.gz"]],
        "dose.nii.gz.json": ["dose", "--method", "local", "--tia", path["tia.nii.gz"], "--ct", path["ct.nii.gz"],
                             "--nuclide", "Cu-64", *regions, "--output", path["dose.nii.gz"], "--rtdose",
                             str(folder / "dose.dcm")],
    }  # fmt: skip


def test_every_later_result_says_once_that_scans_were_synthetic_and_repeats_no_limit(
    model: Path, patient: SerialPet, tmp_path: Path
) -> None:
    written(patient, tmp_path)
    for beside, words in commands(model, tmp_path).items():
        assert main(words) == 0, words[0]
        warnings = json.loads((tmp_path / beside).read_text(encoding="utf-8"))["warnings"]
        assert [text for text in warnings if SYNTHETIC_WARNING in text] == [SENTENCE], beside
        assert not [text for text in warnings if any(limit in text for limit in LIMITS)], beside
    assert pydicom.dcmread(tmp_path / "dose.dcm").DerivationDescription.count(SENTENCE) == 1


def test_limits_stand_in_full_beside_the_model_and_are_told_where_it_is_used(
    model: Path, patient: SerialPet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(patient, tmp_path)
    words = commands(model, tmp_path)["pet_24h.nii.gz.json"]
    assert main(words) == 0
    shown = capsys.readouterr()
    for name in ("pet_24h", "pet_48h", "pet_24h_uncertainty"):
        record = read_volume(tmp_path / f"{name}.nii.gz").record
        assert record.parameters["model"] == "toy"
        assert record.parameters["model_trained_on"] == "5 virtual patients alone"
        assert record.parameters["model_limits"] == list(LIMITS)
    for limit in LIMITS:
        assert f"Limit of toy: {limit}" in shown.out
        assert limit not in shown.err
    assert SENTENCE in shown.err
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model_limits"] == list(LIMITS)


def test_the_dicom_series_says_whom_the_model_learned_from(model: Path, patient: SerialPet, tmp_path: Path) -> None:
    written(patient, tmp_path)
    dicom = ["--dicom", "--injection-time", "2024-05-31T09:00"]
    assert main([*commands(model, tmp_path)["pet_24h.nii.gz.json"], *dicom]) == 0
    for file in (tmp_path / "pet_24h_dicom").iterdir():
        said = pydicom.dcmread(file).DerivationDescription
        assert said.startswith("SYNTHETIC by a model (toy")
        assert "trained on 5 virtual patients alone" in said
        assert "never measured" in said
    again = read_volume(tmp_path / "pet_24h_dicom", Quantity.ACTIVITY_CONCENTRATION).record
    assert again.warnings[0].startswith("The series is synthetic and was never measured")
    assert "trained on 5 virtual patients alone" in again.warnings[0]


def test_the_dicom_series_is_of_the_patient_of_the_early_scan_with_the_activity_of_its_header(
    model: Path, patient: SerialPet, tmp_path: Path
) -> None:
    written(patient, tmp_path)
    injected = datetime(2024, 5, 31, 9, 0)  # noqa: DTZ001 - the scanner's clock
    early = replace(patient.scans[HOUR_S], time=injected + timedelta(hours=1))
    half_life_s = Radionuclide("Cu-64").half_life_s
    description = PetSeriesDescription("early", "as acquired", "Cu-64", half_life_s, injected, 300e6)
    (tmp_path / "early").mkdir()
    for file in write_pet_series(early, tmp_path / "early", description):
        header = pydicom.dcmread(file)
        header.PatientID = "P1"
        header.save_as(file)
    words = ["--early", str(tmp_path / "early"), "--early-time-h", "1", "--time-h", "24", "--nuclide", "Cu-64"]
    words += ["--ct", str(tmp_path / "ct.nii.gz"), "--output", str(tmp_path), "--dicom"]
    assert main(["synthesize", "--model", str(model), *words]) == 0
    (file, *_) = (tmp_path / "pet_24h_dicom").iterdir()
    made = pydicom.dcmread(file)
    assert made.PatientID == "P1"
    assert made.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose == pytest.approx(300e6)


def test_warnings_of_the_early_scan_and_of_missing_regions_are_kept(model: Path, patient: SerialPet) -> None:
    early = patient.scans[HOUR_S]
    doubted = replace(early, record=early.record.with_warnings("Its clock was wrong."))
    for labels in (None, patient.labels):
        for volume in synthesize(model, doubted, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=labels).volumes:
            assert "Its clock was wrong." in volume.record.warnings
            assert (NO_REGIONS_WARNING in volume.record.warnings) == (labels is None)


def test_regions_that_the_model_is_unsure_of_are_named_with_their_largest_uncertainty(
    model: Path, patient: SerialPet, tmp_path: Path
) -> None:
    """The liver's scatter of the training patients is made large; one sentence serves both times."""
    card, state = load_model(model, "delayed-pet")
    kinetics = json.loads(json.dumps(card.training["kinetics"]))
    number = kinetics["tissues"].index("liver")
    for time, log_std in enumerate((np.log(0.3), np.log(0.5))):
        kinetics["lines"]["given"]["log_std"][time] = [float(np.log(0.1))] * len(kinetics["tissues"])
        kinetics["lines"]["given"]["log_std"][time][number] = float(log_std)
    training = {**card.training, "kinetics": kinetics, "calibration_with_regions": {"factor": 1.0}}
    unsure = save_model(tmp_path / "unsure", state, replace(card, training=training))
    made = synthesize(unsure, patient.scans[HOUR_S], HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=patient.labels)
    assert patient.labels is not None
    shares = []
    for volume, uncertainty in zip(made.volumes, made.uncertainties, strict=True):
        assert uncertainty is not None
        sums = {name: [float(one.array_kji[patient.labels.mask(name)].sum()) for one in (volume, uncertainty)]
                for name in patient.labels.names.values()}  # fmt: skip
        shares.append({name: stated / present for name, (present, stated) in sums.items()})
    assert [name for name, share in shares[1].items() if share > DOUBTFUL_STD] == ["liver"]
    expected = f"The model's standard uncertainty is large in liver ({100 * shares[1]['liver']:.0f} %)."
    assert all(volume.record.warnings.count(expected) == 1 for volume in made.volumes)
    assert not any("uncertainty is large" in text for text in synthesize(
        unsure, patient.scans[HOUR_S], HOUR_S, TIMES_S, "Cu-64", patient.ct
    ).record.warnings)  # fmt: skip


def test_the_models_that_come_with_the_package_say_that_virtual_patients_taught_them() -> None:
    for name, path in shipped_models().items():
        card = read_card(path)
        assert "virtual patients alone" in card.sentence(name)
        assert f"lists {len(card.limits)} limits" in card.sentence(name)


@pytest.mark.parametrize(
    ("limits", "words"), [((), "trained on dogs."), (("One.",), "trained on dogs; its card lists 1 limit.")]
)
def test_a_model_is_named_with_the_number_of_its_limits(limits: tuple[str, ...], words: str) -> None:
    assert model_sentence("rex", "dogs", limits) == f"The model is rex, {words}"
