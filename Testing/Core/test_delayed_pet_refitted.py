"""Kinetics on the tissue networks of a model that is there: what the card says of them, and who may calibrate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, pix2pix_settings, ratio_settings, toy_patient

pytest.importorskip("torch")

from radiodosimetry.delayed_pet.inference import UNCALIBRATED_WARNING, DelayedPet, synthesize
from radiodosimetry.delayed_pet.normalisation import decay_factor
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.settings import DelayedPetSettings
from radiodosimetry.delayed_pet.shipped import model_named
from radiodosimetry.delayed_pet.training import train_on_patients, with_kinetics
from radiodosimetry.errors import InputError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.resampling import total_activity
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.learning.model_files import load_model, read_card, save_model
from radiodosimetry.learning.splits import fold_of
from radiodosimetry.workflows.evaluation import training_sources

TIMES_S = (24 * HOUR_S, 48 * HOUR_S)
CALIBRATIONS = ("calibration", "calibration_with_regions")


@pytest.fixture(scope="module")
def patients() -> list[SerialPet]:
    return [toy_patient(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def model(patients: list[SerialPet], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_on_patients(patients, ratio_settings(epochs=4), tmp_path_factory.mktemp("ratio"))


@pytest.fixture
def own(model: Path, tmp_path: Path) -> Path:
    """A copy of the model to change."""
    card, state = load_model(model)
    return save_model(tmp_path / "own", state, card)


def on_tissues_of(model: Path, **ratio: object) -> DelayedPetSettings:
    settings = ratio_settings()
    return replace(settings, ratio=replace(settings.ratio, tissue_model=str(model), **ratio))  # type: ignore[arg-type]


def test_kinetics_are_used_with_the_response_that_they_were_fitted_with(own: Path, patients: list[SerialPet]) -> None:
    assert read_card(own).preprocessing["response"]["resolution_mm"] == 9.0
    settings = ratio_settings()
    settings = replace(settings, ratio=replace(settings.ratio, resolution_mm=0.0))
    with_kinetics(own, patients[:6], patients[6:], settings)
    assert read_card(own).preprocessing["response"]["resolution_mm"] == 0.0


def test_calibrating_twice_gives_the_same_factor(own: Path, patients: list[SerialPet]) -> None:
    factors = []
    for _ in range(2):
        with_kinetics(own, patients[:6], patients[6:], ratio_settings())
        factors.append([read_card(own).training[name]["factor"] for name in CALIBRATIONS])
    assert factors[0] == factors[1]
    assert 1.0 not in factors[0]


def test_an_uncertainty_without_calibration_is_warned_of(own: Path, patients: list[SerialPet]) -> None:
    patient = patients[0]

    def warnings(regions: bool) -> tuple[str, ...]:
        early, labels = patient.scans[HOUR_S], patient.labels if regions else None
        return synthesize(own, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, labels=labels).record.warnings

    assert UNCALIBRATED_WARNING not in (*warnings(True), *warnings(False))
    card, state = load_model(own)
    save_model(own, state, replace(card, training={k: v for k, v in card.training.items() if k != CALIBRATIONS[0]}))
    assert UNCALIBRATED_WARNING in warnings(False)
    assert UNCALIBRATED_WARNING not in warnings(True)
    with_kinetics(own, patients[:6], [], ratio_settings())
    assert UNCALIBRATED_WARNING in warnings(True)


def test_patients_that_taught_the_networks_may_not_calibrate(
    model: Path, patients: list[SerialPet], tmp_path: Path
) -> None:
    settings = on_tissues_of(model)
    train_on_patients(patients, settings, tmp_path / "same split")
    other = replace(settings, training=replace(settings.training, seed=3))
    assert set(fold_of(patients, None, 0, 0.2).validation) != set(fold_of(patients, None, 3, 0.2).validation)
    with pytest.raises(InputError, match=r"have learned from toy_\d.*the split of their training"):
        train_on_patients(patients, other, tmp_path / "other split")
    assert not (tmp_path / "other split").exists()


def test_those_who_taught_the_networks_are_not_judges_of_a_refit_either(
    model: Path, patients: list[SerialPet], tmp_path: Path
) -> None:
    others = [toy_patient(seed) for seed in range(100, 104)]
    refit = train_on_patients(others, on_tissues_of(model), tmp_path / "refit")
    assert training_sources(read_card(refit)) == {patient.source for patient in (*patients, *others)}


def test_the_shipped_card_says_who_calibrated_it() -> None:
    split = read_card(model_named("cu64_antibody")).training["split"]
    assert len(split["validation_sources"]) == len(split["validation"]) == 9
    assert set(split["validation_sources"]) < set(split["training_sources"])


def test_networks_are_given_the_grid_that_they_know(model: Path, patients: list[SerialPet], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="see voxels of 10 mm, the configuration says 8 mm; set grid_mm = 10"):
        train_on_patients(patients, on_tissues_of(model, grid_mm=8.0), tmp_path / "run")
    published = train_on_patients(patients[:3], pix2pix_settings(), tmp_path / "published")
    with pytest.raises(InputError, match="tells no tissues apart"):
        train_on_patients(patients, on_tissues_of(published), tmp_path / "run")


def test_a_model_in_the_folder_is_kept(model: Path, patients: list[SerialPet]) -> None:
    before = model.read_bytes()
    with pytest.raises(InputError, match="holds a model already; add --resume"):
        train_on_patients(patients, on_tissues_of(model), model.parent)
    assert model.read_bytes() == before


def test_target_times_that_do_not_rise_are_refused() -> None:
    with pytest.raises(InputError, match="must rise, found 48, 24 h"):
        ratio_settings(target_hours=(48.0, 24.0))


def test_a_batch_of_bodies_of_different_size_is_refused() -> None:
    settings = ratio_settings()
    with pytest.raises(InputError, match="set batch_size = 1, found 32"):
        replace(settings, training=replace(settings.training, batch_size=32))


# -- the administered activity -----------------------------------------------------------------------------------------


def total_mbq(made: DelayedPet) -> np.ndarray:
    return np.array([total_activity(one) / 1e6 for one in made.volumes])


def test_no_volume_holds_more_than_decay_leaves_of_the_administered(own: Path, patients: list[SerialPet]) -> None:
    settings = ratio_settings()
    # Without early uptake the forecast does not depend on the administered activity; it alone is bounded by it.
    with_kinetics(own, patients[:6], patients[6:], replace(settings, ratio=replace(settings.ratio, use_uptake=False)))
    patient = patients[0]
    early = patient.scans[HOUR_S]
    seen_bq = float(np.maximum(early.array_kji, 0).sum()) * early.geometry.voxel_volume_ml

    def made(share: float) -> DelayedPet:
        given_bq = share * seen_bq / decay_factor("Cu-64", HOUR_S)
        return synthesize(own, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, administered_bq=given_bq)

    left_mbq = [seen_bq / 1e6 * decay_factor("Cu-64", time_s - HOUR_S) / 1.45 for time_s in TIMES_S]
    free, bounded = made(10.0), made(1 / 1.45)
    assert (total_mbq(free) > left_mbq).all(), "the bound would not bind"
    assert total_mbq(bounded) == pytest.approx(left_mbq, rel=1e-5)
    assert any("was scaled by" in text for text in bounded.record.warnings)
    assert any("Check the scan's calibration" in text for text in bounded.record.warnings)
    assert not any("scaled" in text or "calibration" in text for text in free.record.warnings)


def test_activities_that_cannot_be_are_refused_or_doubted(model: Path, patients: list[SerialPet]) -> None:
    patient = patients[0]
    early = patient.scans[HOUR_S]
    with pytest.raises(InputError, match="decay leaves .* of the administered .* check the unit of the scan"):
        synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, administered_bq=300.0)
    made = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct, administered_bq=3e12)
    assert any("whether it shows the body's larger part" in text for text in made.record.warnings)


def test_a_ct_that_ends_within_the_scan_is_warned_of(model: Path, patients: list[SerialPet]) -> None:
    patient = patients[0]
    assert patient.ct is not None
    geometry = patient.ct.geometry
    half = geometry.shape_kji[0] // 2
    shorter = VolumeGeometry((half, *geometry.shape_kji[1:]), geometry.spacing_mm, geometry.origin_mm)
    ended = QuantitativeVolume(patient.ct.array_kji[:half], shorter, patient.ct.quantity)
    early = patient.scans[HOUR_S]
    share = 100 * (1 - np.maximum(early.array_kji[:half], 0).sum() / np.maximum(early.array_kji, 0).sum())
    made = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", ended)
    assert any(f"{share:.0f} % of the activity lies beyond it" in text for text in made.record.warnings)
    whole = synthesize(model, early, HOUR_S, TIMES_S, "Cu-64", patient.ct)
    assert not any("CT ends" in text for text in whole.record.warnings)
