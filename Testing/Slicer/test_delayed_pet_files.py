"""A model file in the panel: its card is shown without torch, its volumes are in the scene, its limits hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("torch", reason="torch is not installed")

from radiodosimetry.delayed_pet.inference import SYNTHETIC_WARNING, synthesize
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.errors import InputError
from radiodosimetry.learning.model_files import read_card


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
    from RadioDosimetryLib.volumes import recordOf

    nodes = DelayedPETSynthesisLogic().synthesise(shipped, early, "Cu-64", 1.0, [24.0, 48.0], ct)
    patient = toy_patient(99)
    expected = synthesize(trained, patient.scans[HOUR_S], HOUR_S, [24 * HOUR_S, 48 * HOUR_S], "Cu-64", patient.ct)
    for node, volume, uncertainty in zip(nodes, expected.volumes, expected.uncertainties, strict=True):
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), volume.array_kji, rtol=1e-4, atol=1e-3)
        assert node.GetAttribute("RadioDosimetry.Synthetic") == "1"
        record = recordOf(node)
        assert record.parameters["model_limits"] == list(read_card(trained).limits)
        assert record.parameters["model_trained_on"] == "5 patients"
        sentence = "The model is model, trained on 5 patients; its card lists 2 limits."
        assert record.warnings[0] == f"{SYNTHETIC_WARNING} {sentence}"
        assert not set(record.warnings) & set(record.parameters["model_limits"])
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


@pytest.fixture
def drawn(scene: Any) -> Any:
    """Liver and kidneys, and a body that lies under them, as a person draws them."""
    from radiodosimetry.images.regions import Region
    from RadioDosimetryLib.segmentations import segmentationFromRegions

    labels = toy_patient(99).labels
    assert labels is not None
    parts = {"Body": labels.array_kji > 0, "Liver": labels.mask("liver"), "kidneys": labels.mask("kidneys")}
    regions = [Region(name, mask, name) for name, mask in parts.items()]
    return segmentationFromRegions(regions, labels.geometry, "Drawn")


def finer_ct() -> Any:
    """The patient's CT in voxels of 5 mm."""
    ct = toy_patient(99).ct
    assert ct is not None
    shape = tuple(2 * count for count in ct.geometry.shape_kji)
    geometry = replace(ct.geometry, shape_kji=shape, spacing_mm=(5.0, 5.0, 5.0), origin_mm=(-2.5, -2.5, -2.5))
    return replace(ct, array_kji=np.kron(ct.array_kji, np.ones((2, 2, 2), np.float32)), geometry=geometry)


def expected_with_regions(trained: Path, ct: Any = None) -> list[Any]:
    """What the core makes where spleen and remainder are one."""
    patient = toy_patient(99)
    assert patient.labels is not None
    array = np.where(patient.labels.array_kji == 3, 1, patient.labels.array_kji)
    labels = replace(patient.labels, array_kji=array, names={1: "remainder", 2: "liver", 4: "kidneys"})
    made = synthesize(
        trained, patient.scans[HOUR_S], HOUR_S, [24 * HOUR_S, 48 * HOUR_S], "Cu-64", ct or patient.ct, labels=labels,
        tracer="toy", administered_bq=3e8,
    )  # fmt: skip
    return [volume.array_kji for volume in made.volumes]


def test_segments_that_overlap_are_regions_as_in_the_core(trained: Path, early: Any, ct: Any, drawn: Any) -> None:
    """The model is given by its file."""
    import slicer

    from DelayedPETSynthesis import DelayedPETSynthesisLogic
    from RadioDosimetryLib.volumes import recordOf

    nodes = DelayedPETSynthesisLogic().synthesise(
        str(trained), early, "Cu-64", 1.0, [24.0, 48.0], ct, regionsNode=drawn, tracer="toy", administeredMBq=300.0
    )
    for node, expected in zip(nodes, expected_with_regions(trained), strict=True):
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), expected, rtol=1e-4, atol=1e-3)
        record = recordOf(node)
        assert record is not None
        assert record.parameters["regions"] == ["Body", "Liver", "kidneys"]
        assert not any("not stated" in text or "not given" in text for text in record.warnings)


def test_batch_takes_scan_and_overlapping_segments_from_the_scene(
    shipped: str, trained: Path, early: Any, drawn: Any, tmp_path: Path
) -> None:
    """The CT has another grid: segments go to that of the early scan."""
    from radiodosimetry.images.readers import read_volume
    from RadioDosimetryLib import batch
    from RadioDosimetryLib.volumes import nodeFromVolume

    nodeFromVolume(finer_ct(), "CT")
    words = ["synthesize", "--model", shipped, "--early", "node:Early PET", "--early-time-h", "1", "--time-h", "24",
             "--time-h", "48", "--ct", "node:CT", "--labels", "node:Drawn", "--nuclide", "Cu-64", "--tracer", "toy",
             "--administered-mbq", "300", "--output", str(tmp_path / "out")]  # fmt: skip
    assert batch.main(words) == 0
    for hours, expected in zip((24, 48), expected_with_regions(trained, finer_ct()), strict=True):
        found = read_volume(tmp_path / "out" / f"pet_{hours}h.nii.gz")
        np.testing.assert_allclose(found.array_kji, expected, rtol=1e-4, atol=1e-3)
        assert found.record.parameters["regions"] == ["Body", "Liver", "kidneys"]


def test_a_name_of_no_model_is_refused_with_the_names_there_are(shipped: str, early: Any) -> None:
    from DelayedPETSynthesis import DelayedPETSynthesisLogic

    with pytest.raises(InputError, match=r"no model 'modle'.*that comes with RadioDosimetry \(model\)"):
        DelayedPETSynthesisLogic().synthesise("modle", early, "Cu-64", 1.0, [24.0])


def test_a_card_tells_what_kind_of_network_it_is(shipped: str, tmp_path: Path) -> None:
    from delayed_pet_samples import pix2pix_settings
    from DelayedPETSynthesis import DelayedPETSynthesisLogic
    from RadioDosimetryLib.delayedPet import cardText
    from RadioDosimetryLib.delayedPetFiles import cardOfFile

    card = DelayedPETSynthesisLogic().models()[shipped].card
    assert card.takes_regions
    assert "tells the tissues apart, unless regions are given" in cardText(card)
    assert "Regions: those given, else tissues that it finds itself" in cardText(card)
    slices = cardOfFile(train_on_patients([toy_patient(seed) for seed in range(3)], pix2pix_settings(), tmp_path))
    assert not slices.takes_regions
    assert "makes each axial slice by itself" in cardText(slices)
    assert "Kim et al., Sci Rep 15 (2025)" in cardText(slices)
