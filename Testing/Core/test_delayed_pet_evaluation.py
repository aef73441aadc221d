"""Judging a model of delayed PET: who is compared with whom, what is stated, and which features a distance is of."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient

pytest.importorskip("torch")

from radiodosimetry.delayed_pet.baselines import early_decayed, population_kinetics
from radiodosimetry.delayed_pet.dosimetry import PatientDosimetry, patient_dosimetry, residence_errors
from radiodosimetry.delayed_pet.evaluation import DECAYED, MODEL, POPULATION, WITH_REGIONS, evaluate_on_patients
from radiodosimetry.delayed_pet.evaluation_statistics import paired_differences, stated_coverage
from radiodosimetry.delayed_pet.network_files import DelayedPetNetwork, load_network
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.region_names import is_lesion, known_tissue, tissue_of
from radiodosimetry.delayed_pet.shipped import model_named
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.errors import InputError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap
from radiodosimetry.learning.model_files import read_card


@pytest.fixture(scope="module")
def patients() -> list[SerialPet]:
    return [toy_patient(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def network(patients: list[SerialPet], tmp_path_factory: pytest.TempPathFactory) -> DelayedPetNetwork:
    return load_network(train_on_patients(patients, ratio_settings(epochs=3), tmp_path_factory.mktemp("ratio")))


def test_patients_without_regions_are_judged_by_their_images_alone(network: DelayedPetNetwork) -> None:
    first, second = replace(toy_patient(1001), administered_bq=None), replace(toy_patient(1002), labels=None)
    result, tables, _ = evaluate_on_patients(network, [first, second])
    at = result.as_dict()["hours"]["24"]
    both = at[f"{MODEL} minus {DECAYED}"]
    assert "ssim" in both
    assert "organ_error_percent" not in both, "one patient makes no interval"
    assert at[MODEL]["organ_error_percent"]["std"] == 0.0
    assert "organ_percent_id_error" not in at[MODEL], "nobody knows what was administered"
    assert tables["organs.csv"].splitlines()[1].split(",")[4:6] == ["", ""]
    # The model with regions saw one patient alone: nothing to compare over patients.
    assert at[f"{WITH_REGIONS} minus {DECAYED}"] == {}


def test_differences_are_of_the_same_patients() -> None:
    ours = {"mae": {"a": 1.0, "b": 2.0, "c": 9.0}}
    theirs = {"mae": {"c": 10.0, "a": 2.0, "d": 100.0}}
    found = paired_differences(ours, theirs)["mae"]
    assert (found["mean"], found["low_95"], found["high_95"]) == (-1.0, -1.0, -1.0)


def test_coverage_is_of_the_interval_about_the_models_activity() -> None:
    # Stated 100 ± 31: 70 lies within, though ln(100/70) = 0.36; 132 lies outside, though ln(100/132) = −0.28.
    rows = [("liver", math.log(100 / acquired), 0.31) for acquired in (70.0, 132.0)]
    assert stated_coverage(rows[:1]) == 1.0
    assert stated_coverage(rows[1:]) == 0.0
    assert stated_coverage([]) is None


def test_every_method_comes_to_residence_times_and_doses(network: DelayedPetNetwork) -> None:
    patients = [toy_patient(1001), toy_patient(1002)]
    found = evaluate_on_patients(network, patients)[0].as_dict()["dosimetry"]
    assert found["generated_by"] == WITH_REGIONS
    assert set(found["methods"]) == {MODEL, DECAYED, POPULATION, WITH_REGIONS}

    def by_the_early_scan_alone(patient: SerialPet) -> PatientDosimetry:
        early, scans = patient.scans[HOUR_S], {}
        for time_s in patient.scans:
            scans[time_s] = early.with_array(early_decayed(early, "Cu-64", HOUR_S, time_s).astype(np.float32))
        return patient_dosimetry(scans | {HOUR_S: early}, patient.labels, "Cu-64", 3e8)

    at_1_h_alone = [by_the_early_scan_alone(one) for one in patients]
    acquired = [patient_dosimetry(one.scans, one.labels, "Cu-64", 3e8) for one in patients]
    decayed = found["methods"][DECAYED]
    assert decayed["residence_time_relative_error"] == pytest.approx(residence_errors(acquired, at_1_h_alone), rel=1e-5)
    liver = np.mean([
        abs(b.doses_gy_per_bq["liver"] / a.doses_gy_per_bq["liver"] - 1)
        for a, b in zip(acquired, at_1_h_alone, strict=True)
    ])  # fmt: skip
    assert decayed["mean_patient_dose_relative_error"]["liver"] == pytest.approx(liver, rel=1e-5)


def test_pairs_that_do_not_fit_are_not_judged_in_silence(network: DelayedPetNetwork) -> None:
    patient = toy_patient(1001)
    late = patient.scans[24 * HOUR_S]
    elsewhere = replace(late, array_kji=np.roll(np.asarray(late.array_kji), 4, axis=1))
    shifted = replace(patient, scans={**patient.scans, 24 * HOUR_S: elsewhere}, labels=_with_pancreas(patient),
                      tracer="other")  # fmt: skip
    result = evaluate_on_patients(network, [shifted])[0].as_dict()
    assert result["regions_unknown_to_population"] == {"toy_1001": ["Pancreas"]}
    *doubts, tracer = result["doubts"]
    assert tracer == "The model was trained on the tracer toy, the data are of other."
    assert doubts
    assert all(text.startswith("toy_1001, 1 h and 24 h: the ") for text in doubts)
    geometry = late.geometry
    moved = VolumeGeometry(geometry.shape_kji, geometry.spacing_mm, (500.0, 0.0, 0.0))
    with pytest.raises(InputError, match="make no pair"):
        evaluate_on_patients(
            network, [replace(patient, scans={**patient.scans, 24 * HOUR_S: replace(late, geometry=moved)})]
        )


def test_another_extractor_is_named_beside_its_distance(network: DelayedPetNetwork) -> None:
    def means(slices: np.ndarray) -> np.ndarray:
        return np.stack([slices.mean(axis=(1, 2)), slices.std(axis=(1, 2))], axis=1)

    result, _, _ = evaluate_on_patients(network, [toy_patient(1001)], extractor=(means, "two numbers"))
    assert result.as_dict()["hours"]["24"][MODEL]["frechet"]["extractor"] == "two numbers"


@pytest.mark.parametrize(
    ("spelled", "tissue"),
    [("Liver", "liver"), ("kidney_left", "left_kidney"), ("Lesion 1", "lesion"), ("Tumour1", "lesion"),
     ("tumor-1", "lesion"), ("vertebrae_L1", "red_marrow"), ("rib_left_4", "cortical_bone"), ("Muscle", "remainder")],
)  # fmt: skip
def test_a_tissue_has_one_name_however_it_is_spelled(spelled: str, tissue: str) -> None:
    assert tissue_of(spelled) == tissue
    assert is_lesion(spelled) is (tissue == "lesion")


def test_tissues_of_the_shipped_model_keep_their_names() -> None:
    tissues = read_card(model_named("cu64_antibody")).architecture["tissue_names"]
    assert len(tissues) == 22
    assert [tissue_of(name) for name in tissues] == tissues


def test_the_population_knows_organs_by_the_same_names_as_the_model(patients: list[SerialPet]) -> None:
    population = population_kinetics(patients, HOUR_S, [24 * HOUR_S])
    patient = toy_patient(1001)
    assert patient.labels is not None
    spelled = {label: {"liver": "Liver", "kidneys": "Kidney Left"}.get(name, name)
               for label, name in patient.labels.names.items()}  # fmt: skip
    renamed = LabelMap(patient.labels.array_kji, patient.labels.geometry, spelled)
    early = patient.scans[HOUR_S]
    wanted, _ = population.forecast(early, patient.labels, "Cu-64", HOUR_S, 24 * HOUR_S)
    found, _ = population.forecast(early, renamed, "Cu-64", HOUR_S, 24 * HOUR_S)
    assert np.array_equal(found, wanted)
    assert known_tissue("Pancreas", ("liver",)) is None
    assert population.unknown_regions(renamed) == []
    assert population.unknown_regions(_with_pancreas(patient)) == ["Pancreas"]


def _with_pancreas(patient: SerialPet) -> LabelMap:
    """Its regions, the liver under a name that no population knows."""
    labels = patient.labels
    assert labels is not None
    names = {label: {"liver": "Pancreas"}.get(name, name) for label, name in labels.names.items()}
    return LabelMap(labels.array_kji, labels.geometry, names)
