"""A model file in the panel: its card is shown without torch, its volumes are in the scene, its limits hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("torch", reason="torch is not installed")

from radiodosimetry.delayed_pet.inference import synthesize
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.errors import InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    patients = [toy_patient(seed) for seed in range(5)]
    return train_on_patients(patients, ratio_settings(epochs=1), tmp_path_factory.mktemp("models"))


@pytest.fixture
def shipped(trained: Path, scene: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The model in the place of those that come with the package."""
    from radiodosimetry.delayed_pet import shipped
    from RadioDosimetryLib.delayedPet import unregisterModel

    monkeypatch.setattr(shipped, "MODELS_FOLDER", trained.parent)
    yield "model"
    unregisterModel("model")


@pytest.fixture
def early(scene: Any) -> Any:
    from RadioDosimetryLib.volumes import nodeFromVolume

    return nodeFromVolume(toy_patient(99).scans[HOUR_S], "Early PET")


@pytest.fixture
def ct(scene: Any) -> Any:
    from RadioDosimetryLib.volumes import nodeFromVolume

    return nodeFromVolume(toy_patient(99).ct, "CT")


def test_a_shipped_model_shows_its_card(shipped: str) -> None:
    from DelayedPETSynthesis import DelayedPETSynthesisLogic
    from RadioDosimetryLib.delayedPet import cardText

    card = DelayedPETSynthesisLogic().models()[shipped].card
    assert card.nuclides == ("Cu-64",)
    assert card.gives_uncertainty
    text = cardText(card)
    assert "0.5 to 1.5 h after injection" in text
    assert "Limit: Synthetic volumes must not be read as acquired scans" in text


def test_the_scene_gets_what_the_core_computes(shipped: str, trained: Path, early: Any, ct: Any) -> None:
    import slicer

    from DelayedPETSynthesis import DelayedPETSynthesisLogic

    nodes = DelayedPETSynthesisLogic().synthesise(shipped, early, "Cu-64", 1.0, [24.0, 48.0], ct)
    patient = toy_patient(99)
    expected = synthesize(trained, patient.scans[HOUR_S], HOUR_S, [24 * HOUR_S, 48 * HOUR_S], "Cu-64", patient.ct)
    for node, volume, uncertainty in zip(nodes, expected.volumes, expected.uncertainties, strict=True):
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), volume.array_kji, rtol=1e-4, atol=1e-3)
        assert node.GetAttribute("RadioDosimetry.Synthetic") == "1"
        assert "virtual patients" in node.GetAttribute("RadioDosimetry.Record") or "synthetic" in node.GetName()
        assert uncertainty is not None
        stated = slicer.util.getNode(f"{node.GetName()} uncertainty")
        np.testing.assert_allclose(slicer.util.arrayFromVolume(stated), uncertainty.array_kji, rtol=1e-4, atol=1e-3)


def test_what_the_card_does_not_cover_is_refused(shipped: str, early: Any) -> None:
    from DelayedPETSynthesis import DelayedPETSynthesisLogic

    logic = DelayedPETSynthesisLogic()
    with pytest.raises(InputError, match="early scan 0.5 to 1.5 h after injection, found 4 h"):
        logic.synthesise(shipped, early, "Cu-64", 4.0, [24.0])
    with pytest.raises(InputError, match="was made for Cu-64, found Zr-89"):
        logic.synthesise(shipped, early, "Zr-89", 1.0, [24.0])


def test_a_damaged_file_is_left_out_and_logged(
    trained: Path, scene: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from DelayedPETSynthesis import DelayedPETSynthesisLogic
    from radiodosimetry.delayed_pet import shipped

    (tmp_path / "broken.safetensors").write_bytes(trained.read_bytes())
    (tmp_path / "broken.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(shipped, "MODELS_FOLDER", tmp_path)
    assert "broken" not in DelayedPETSynthesisLogic().models()
    assert "broken.safetensors of RadioDosimetry cannot be used" in caplog.text
