"""The documented configurations of delayed PET can be read, and the published one is the default."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from radiodosimetry.delayed_pet.settings import DelayedPetSettings, ImageSettings, Pix2PixSettings, RatioSettings
from radiodosimetry.errors import InputError
from radiodosimetry.learning.configuration import read_config

NAMES = ("delayed_pet_published", "delayed_pet_published_hour", "delayed_pet_ratio")


@pytest.mark.parametrize("name", NAMES)
def test_a_documented_configuration_can_be_read(project_root: Path, name: str) -> None:
    settings = read_config(project_root / "Resources" / "Docs" / "training" / f"{name}.toml", DelayedPetSettings)
    assert settings.network == ("ratio-3d" if "ratio" in name else "pix2pix")


def test_the_defaults_are_the_published_configuration(project_root: Path) -> None:
    path = project_root / "Resources" / "Docs" / "training" / "delayed_pet_published.toml"
    settings, defaults = read_config(path, DelayedPetSettings), DelayedPetSettings()
    assert replace(settings, images=replace(settings.images, target_hours=(24.0, 48.0))) == defaults
    training = defaults.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (200, 32, 2e-5)


def test_settings_that_contradict_are_refused() -> None:
    with pytest.raises(InputError, match="needs 'vgg_weights'"):
        Pix2PixSettings(similarity="perceptual")
    with pytest.raises(InputError, match="must lie after the early scan"):
        ImageSettings(early_hour=24.0, target_hours=(24.0,))
    with pytest.raises(InputError, match="multiple of 4"):
        RatioSettings(features=6)
    with pytest.raises(InputError, match="needs the normalisation 'decay'"):
        DelayedPetSettings(network="ratio-3d", images=ImageSettings(normalisation="early-maximum"))


def test_a_key_that_does_not_exist_is_refused_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[pix2pix]\nfeature = 8\n", encoding="utf-8")
    with pytest.raises(InputError, match="features"):
        read_config(tmp_path / "c.toml", DelayedPetSettings)
