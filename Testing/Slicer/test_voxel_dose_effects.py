"""VoxelDose's panel: biologically effective and equivalent uniform doses, and methods that need a trained network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from dose_panel import apply, choose, columns, loaded_torso, node_ids, opened_panel, type_path

HOUR_S = 3600.0


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """The panel of the module, opened on an empty scene."""
    yield from opened_panel()


@pytest.fixture
def torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso, chosen in the panel."""
    return loaded_torso(panel)


def _expected(torso: SimpleNamespace, ofRegion: Callable[[str], Any]) -> dict[str, Any]:
    """Region to the core's row, with the radiobiology asked for."""
    from radiodosimetry.workflows.dose import DoseOptions, compute_dose, integrate_physical_decay
    from RadioDosimetryLib.segmentations import regionsFromSegmentation
    from RadioDosimetryLib.volumes import volumeFromNode

    tia = integrate_physical_decay(volumeFromNode(torso.activity), "Lu-177")
    regions = regionsFromSegmentation(torso.segmentation, tia.geometry)
    radiobiology = {region.name: ofRegion(region.name) for region in regions}
    ct = volumeFromNode(torso.ct)
    result = compute_dose(ct, tia, "Lu-177", "local", regions, DoseOptions(), radiobiology)
    return {row.region: row for row in result.table}


def _table(panel: SimpleNamespace) -> dict[str, list[Any]]:
    return columns(panel.ui.resultsTableView.mrmlTableNode())


def test_a_table_has_no_effect_unless_it_is_asked_for(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    assert not panel.ui.organAlphaBetaSpinBox.enabled
    apply(panel)
    assert not {"EUD (Gy)", "BED (Gy)"} & set(_table(panel))


def test_effects_by_clicks_are_those_of_the_core(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology

    ui = panel.ui
    ui.bedCheckBox.click()
    assert ui.organAlphaBetaSpinBox.enabled
    ui.organAlphaBetaSpinBox.value = 3.0
    ui.lesionRepairSpinBox.value = 0.5
    ui.effectiveHalfLifeSpinBox.value = 60.0
    ui.alphaSpinBox.value = 0.2
    apply(panel)

    def chosen(name: str) -> Radiobiology:
        values = (10.0, 0.5) if name.startswith("tumour") else (3.0, 2.8)
        return Radiobiology(values[0], values[1] * HOUR_S, 60.0 * HOUR_S, 0.2)

    expected, table = _expected(torso, chosen), _table(panel)
    assert "tumour1" in table["Structure"]
    for name, eud, bed in zip(table["Structure"], table["EUD (Gy)"], table["BED (Gy)"], strict=True):
        assert (eud, bed) == (expected[name].eud_gy, expected[name].bed_gy)
    assert "nothing of this was measured" in ui.statusLabel.text
    assert "physical half-life" not in ui.statusLabel.text


def test_without_an_effective_half_life_the_physical_one_is_taken_and_said(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology

    panel.ui.bedCheckBox.click()
    apply(panel)
    halfLifeS = Radionuclide("Lu-177").half_life_s
    expected = _expected(torso, lambda name: Radiobiology(2.5, 2.8 * HOUR_S, halfLifeS))
    table = _table(panel)
    row = table["Structure"].index("liver")
    assert table["BED (Gy)"][row] == expected["liver"].bed_gy
    assert "BED takes the physical half-life of Lu-177" in panel.ui.statusLabel.text
    assert "assumed radiosensitivity" in panel.ui.statusLabel.text


def test_a_table_of_radiobiology_takes_the_place_of_the_panels_values(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology

    file = tmp_path / "radiobiology.csv"
    header = "region,alpha_beta_gy,repair_half_life_h,effective_half_life_h,alpha_per_gy\n"
    file.write_text(f"{header}liver,4,2,40,0.3\nbladder,2,1,10,\n", encoding="utf-8")
    panel.ui.bedCheckBox.click()
    panel.ui.radiobiologyPathLineEdit.currentPath = str(file)
    apply(panel)
    given = Radiobiology(4.0, 2 * HOUR_S, 40 * HOUR_S, 0.3)
    expected, table = _expected(torso, lambda name: given), _table(panel)
    row = table["Structure"].index("liver")
    assert (table["EUD (Gy)"][row], table["BED (Gy)"][row]) == (expected["liver"].eud_gy, expected["liver"].bed_gy)
    assert "No chosen region is named bladder" in panel.ui.statusLabel.text


def test_a_table_of_radiobiology_that_cannot_be_read_is_a_message(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    (tmp_path / "other.csv").write_text("region,alpha\nliver,1\n", encoding="utf-8")
    panel.ui.bedCheckBox.click()
    type_path(panel.ui.radiobiologyPathLineEdit, str(tmp_path / "other.csv"))
    before = node_ids()
    apply(panel)
    assert "other.csv" in panel.ui.statusLabel.text
    assert node_ids() == before
    type_path(panel.ui.radiobiologyPathLineEdit, str(tmp_path / "absent.csv"))
    assert not panel.ui.applyButton.enabled
    assert "absent.csv' is no file that can be read: choose another table of" in panel.ui.applyButton.toolTip
    panel.ui.bedCheckBox.click()  # then the table is not needed
    assert panel.ui.applyButton.enabled


def test_effects_need_regions(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.bedCheckBox.click()
    panel.ui.segmentationSelector.setCurrentNode(None)
    assert "Select the regions" in panel.ui.applyButton.toolTip
    panel.ui.segmentationSelector.setCurrentNode(torso.segmentation)
    panel.ui.checkNoneButton.click()
    apply(panel)
    assert "choose a segmentation" in panel.ui.statusLabel.text


def test_files_come_back_with_the_choices(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    edits = (panel.ui.modelPathLineEdit, panel.ui.radiobiologyPathLineEdit)
    for edit in edits:
        edit.currentPath = f"/data/{edit.name}"
    panel.widget.exit()
    for edit in edits:
        edit.currentPath = ""
    panel.widget.enter()
    assert [edit.currentPath for edit in edits] == [f"/data/{edit.name}" for edit in edits]


# What users bring and what the machine has


def test_the_users_own_registration_of_the_activity_is_applied(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer
    import vtk

    apply(panel)
    before = slicer.util.arrayFromVolume(panel.ui.shownDoseSelector.currentNode()).copy()
    matrix, back = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    torso.activity.GetIJKToRASMatrix(matrix)
    matrix.SetElement(0, 3, matrix.GetElement(0, 3) + 24.0)
    back.SetElement(0, 3, -24.0)
    torso.activity.SetIJKToRASMatrix(matrix)
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Registration of the user")
    own.SetMatrixTransformToParent(back)
    torso.activity.SetAndObserveTransformNodeID(own.GetID())
    apply(panel)
    dose = panel.ui.shownDoseSelector.currentNode()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(dose), before)
    assert dose.GetVoxelValueUnits().GetCodeMeaning() == "Gy"


def test_a_graphics_card_that_is_not_there_is_a_message(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    from radiodosimetry.errors import RadioDosimetryError
    from radiodosimetry.transport.engine import require_device

    with suppress(RadioDosimetryError):
        require_device("cuda")
        pytest.skip("this machine has a graphics card")
    panel.ui.historiesSpinBox.value = 1000
    choose(panel.ui.deviceComboBox, "CUDA")
    apply(panel, "Monte Carlo")
    assert "Device 'cuda' is not available" in panel.ui.statusLabel.text


# Networks


def test_the_model_file_is_shown_where_a_method_needs_one(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    field, inputs = panel.ui.modelPathLineEdit, panel.ui.inputsCollapsibleButton
    choose(panel.ui.methodComboBox, "Multiple")
    assert not field.isVisibleTo(inputs)
    choose(panel.ui.methodComboBox, "DblurDoseNet")
    assert field.isVisibleTo(inputs)


def test_apply_says_that_pytorch_is_missing(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from RadioDosimetryLib import requirements, voxelDoseModels

    monkeypatch.setattr(requirements.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(voxelDoseModels, "missingTorch", requirements.missingTorch)
    monkeypatch.setattr("radiodosimetry.workflows.dose.DOSE_METHODS", ("local", "unet", "dblurdosenet"))
    choose(panel.ui.methodComboBox, "U-Net")
    assert "install the extension PyTorch" in panel.ui.applyButton.toolTip
    assert not panel.ui.applyButton.enabled


def test_a_core_without_networks_is_said(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radiodosimetry.workflows.dose.DOSE_METHODS", ("local",))
    choose(panel.ui.methodComboBox, "U-Net")
    assert "no networks" in panel.ui.applyButton.toolTip
    assert not panel.ui.applyButton.enabled


@pytest.fixture
def networks() -> Any:
    """The core's networks, where this version has them and PyTorch is installed."""
    from radiodosimetry.workflows.dose import DOSE_METHODS

    pytest.importorskip("torch", reason="PyTorch is not installed")
    if "unet" not in DOSE_METHODS:
        pytest.skip("this core computes no dose with networks")
    return pytest.importorskip("radiodosimetry.learned_dose.shipped", reason="this core has no networks")


def test_apply_says_what_is_wrong_with_a_model_file(
    panel: SimpleNamespace, torso: SimpleNamespace, networks: Any, tmp_path: Path
) -> None:
    choose(panel.ui.methodComboBox, "U-Net")
    panel.ui.modelPathLineEdit.currentPath = str(tmp_path / "none.safetensors")
    assert "does not exist" in panel.ui.applyButton.toolTip
    _save_nothing(tmp_path / "old", networks.KINDS["unet"])
    card = json.loads((tmp_path / "old.json").read_text(encoding="utf-8")) | {"format": 999}
    (tmp_path / "old.json").write_text(json.dumps(card), encoding="utf-8")
    panel.ui.modelPathLineEdit.currentPath = str(tmp_path / "old.safetensors")
    assert "has format 999" in panel.ui.applyButton.toolTip
    _save_nothing(tmp_path / "other", "delayed-pet")
    panel.ui.modelPathLineEdit.currentPath = str(tmp_path / "other.safetensors")
    assert "a network of another kind (delayed-pet)" in panel.ui.applyButton.toolTip
    assert not panel.ui.applyButton.enabled
    _save_nothing(tmp_path / "right", networks.KINDS["unet"])
    panel.ui.modelPathLineEdit.currentPath = str(tmp_path / "right.safetensors")
    assert panel.ui.applyButton.enabled


def _save_nothing(path: Path, kind: str) -> None:
    from radiodosimetry.learning.model_files import ModelCard, save_model

    save_model(path, {"weight": np.ones(1, np.float32)}, ModelCard(kind))


def test_a_network_gives_the_dose_of_the_core_with_its_model_in_the_record(
    panel: SimpleNamespace, torso: SimpleNamespace, networks: Any, tmp_path: Path
) -> None:
    import slicer

    from radiodosimetry.workflows.dose import DoseOptions, compute_dose, integrate_physical_decay
    from RadioDosimetryLib.volumes import recordOf, volumeFromNode

    pytest.importorskip("monai", reason="networks need MONAI")
    model = _untrained_network(tmp_path / "untrained")
    choose(panel.ui.methodComboBox, "U-Net")
    panel.ui.modelPathLineEdit.currentPath = str(model)
    assert panel.ui.applyButton.enabled, panel.ui.applyButton.toolTip
    apply(panel, "U-Net")
    dose = panel.ui.shownDoseSelector.currentNode()
    tia = integrate_physical_decay(volumeFromNode(torso.activity), "Lu-177")
    expected = compute_dose(volumeFromNode(torso.ct), tia, "Lu-177", "unet", (), DoseOptions(model=model))
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(dose), expected.dose.array_kji)
    assert recordOf(dose).inputs["model"]["sha256"] == expected.record.inputs["model"]["sha256"]


def test_a_network_refuses_a_nuclide_it_was_not_trained_for(
    panel: SimpleNamespace, torso: SimpleNamespace, networks: Any, tmp_path: Path
) -> None:
    pytest.importorskip("monai", reason="networks need MONAI")
    panel.ui.modelPathLineEdit.currentPath = str(_untrained_network(tmp_path / "untrained"))
    choose(panel.ui.nuclideComboBox, "I-131")
    before = node_ids()
    apply(panel, "U-Net")
    assert "I-131" in panel.ui.statusLabel.text
    assert node_ids() == before


def _untrained_network(path: Path) -> Path:
    """A model with the weights a network begins with."""
    from radiodosimetry.learned_dose import unet_dose
    from radiodosimetry.learned_dose.architectures import UNetArchitecture
    from radiodosimetry.learned_dose.bases import base_settings
    from radiodosimetry.learned_dose.dose_model import build_network
    from radiodosimetry.learning.model_files import ModelCard, save_model

    architecture = UNetArchitecture(("density", "activity", "base"), levels=2).as_dict()
    card = ModelCard(
        unet_dose.KIND,
        architecture=architecture,
        preprocessing={**unet_dose.preprocessing((16.0, 16.0, 16.0)), "base": base_settings(unet_dose.BASE)},
        declared={"nuclides": ["Lu-177"], "spacing_mm": [[15.0, 17.0]] * 3, "density_g_per_cm3": [0.0, 3.0]},
    )
    return save_model(path, build_network(unet_dose.KIND, architecture, seed=1).state_dict(), card)
