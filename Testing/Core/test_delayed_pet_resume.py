"""Trainings of delayed PET that are stopped within an epoch go on to the same bits; the early maximum knows no time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, pix2pix_settings, ratio_settings, toy_patient

pytest.importorskip("torch")

from radiodosimetry.delayed_pet.inference import synthesize
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.settings import DelayedPetSettings
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.errors import CancelledError
from radiodosimetry.learning.model_files import load_model


class StopAfter:
    """Progress that cancels after so many reports of a step."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def report(self, fraction: float, message: str) -> None:
        self.left -= "epoch" in message

    def cancelled(self) -> bool:
        return self.left <= 0


@pytest.fixture(scope="module")
def patients() -> list[SerialPet]:
    return [toy_patient(seed) for seed in range(4)]


@pytest.mark.parametrize(
    "settings", [pix2pix_settings(epochs=2), ratio_settings(epochs=3, members=2)], ids=["pix2pix", "ratio-3d"]
)
def test_a_training_that_was_stopped_goes_on_to_the_same_bits(
    settings: DelayedPetSettings, patients: list[SerialPet], tmp_path: Path
) -> None:
    settings = replace(settings, training=replace(settings.training, checkpoint_steps=1))
    whole = load_model(train_on_patients(patients, settings, tmp_path / "whole"))[1]
    with pytest.raises(CancelledError):
        train_on_patients(patients, settings, tmp_path / "stopped", progress=StopAfter(4))
    assert (tmp_path / "stopped" / "checkpoint.pt").exists()
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    resumed = load_model(train_on_patients(patients, settings, tmp_path / "stopped", resume=True))[1]
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[name].numpy(), resumed[name].numpy()) for name in whole)


def test_the_early_maximum_decays_between_the_trained_time_and_another(
    patients: list[SerialPet], tmp_path: Path
) -> None:
    settings = pix2pix_settings()
    settings = replace(settings, images=replace(settings.images, normalisation="early-maximum"))
    model = train_on_patients(patients, settings, tmp_path)
    early, hours = patients[0].scans[HOUR_S], (23.0, 24.0, 25.0)
    made = [
        synthesize(model, early, HOUR_S, [hour * HOUR_S], "Cu-64").volumes[0].array_kji.sum() for hour in hours
    ]
    assert made[0] / made[1] == pytest.approx(2 ** (1 / 12.7), rel=1e-3)
    assert made[1] / made[2] == pytest.approx(2 ** (1 / 12.7), rel=1e-3)
