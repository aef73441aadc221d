"""DelayedPETSynthesis's panel driven by clicks, with a model of known output."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from delayed_panel import HALF_LIFE_H, Doubles

LONGEST_WAIT_S = 20.0


@pytest.fixture(autouse=True)
def _no_shipped_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The models of these tests are the only ones, whatever comes with the package."""
    from radiodosimetry.delayed_pet import shipped

    monkeypatch.setattr(shipped, "MODELS_FOLDER", tmp_path)


@pytest.fixture
def model(application: Any) -> Iterator[Doubles]:
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel

    model = Doubles()
    registerModel(model)
    yield model
    model.go.set()
    unregisterModel(model.card.name)


@pytest.fixture
def open_panel(application: Any, scene: Any) -> Iterator[Callable[[], SimpleNamespace]]:
    """Opens the panel of the module on the scene as it is."""
    import standin

    opened = []

    def open_it() -> SimpleNamespace:
        _module, representation = standin.loadModule("DelayedPETSynthesis")
        widget = representation.self()
        if not representation.isEntered:
            representation.enter()
        opened.append((widget, representation))
        return SimpleNamespace(ui=widget.ui, widget=widget, logic=widget.logic, run=widget._panel)

    yield open_it
    for widget, representation in opened:
        widget._panel.abandon()
        representation.exit()


@pytest.fixture
def panel(model: Doubles, open_panel: Callable[[], SimpleNamespace]) -> SimpleNamespace:
    """The panel, opened with the model installed."""
    return open_panel()


@pytest.fixture
def early(panel: SimpleNamespace) -> Any:
    """An early scan, chosen in the panel."""
    from RadioDosimetryLib.delayedPetSample import sampleEarlyScan
    from RadioDosimetryLib.hierarchy import itemOf

    early = sampleEarlyScan()
    itemOf(early)
    panel.ui.earlySelector.setCurrentNode(early)
    _live()
    return early


def _live() -> None:
    import slicer

    slicer.app.processEvents()


def _wait(panel: SimpleNamespace, until: Callable[[], bool] | None = None) -> None:
    """Let the window live until the run ends, or something else comes true."""
    end = time.monotonic() + LONGEST_WAIT_S
    done = until or (lambda: not panel.run.isRunning)
    while not done():
        assert time.monotonic() < end, f"still waiting: {panel.ui.statusLabel.text}"
        _live()


def _node_ids() -> set[str]:
    import slicer

    scene = slicer.mrmlScene
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def _type(line: Any, text: str) -> None:
    line.text = text
    _live()


def test_without_a_model_the_panel_says_why_nothing_can_be_done(open_panel: Callable[[], SimpleNamespace]) -> None:
    ui = open_panel().ui
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip.startswith("No model is installed")
    assert ui.statusLabel.text.startswith("No model is installed")
    assert ui.cardTextEdit.plainText.startswith("No model is installed")
    for section in (ui.modelCollapsibleButton, ui.inputsCollapsibleButton, ui.outputsCollapsibleButton):
        assert not section.enabled


def test_a_model_installed_later_is_there_when_the_module_is_opened_again(
    open_panel: Callable[[], SimpleNamespace], application: Any
) -> None:
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel

    panel = open_panel()
    assert not panel.ui.inputsCollapsibleButton.enabled
    model = Doubles("Late model")
    registerModel(model)
    try:
        panel.widget.exit()
        panel.widget.enter()
        assert panel.ui.inputsCollapsibleButton.enabled
        assert panel.ui.modelComboBox.currentText == "Late model"
        assert panel.ui.statusLabel.text == ""
    finally:
        unregisterModel("Late model")


def test_the_card_of_the_chosen_model_is_shown(panel: SimpleNamespace, model: Doubles) -> None:
    from RadioDosimetryLib.delayedPet import cardText, registerModel, unregisterModel

    assert panel.ui.cardTextEdit.plainText == cardText(model.card)
    other = Doubles("Another model", nuclides=("Zr-89",), gives_uncertainty=False)
    registerModel(other)
    try:
        panel.widget.exit()
        panel.widget.enter()
        assert panel.ui.modelComboBox.currentText == "Doubling model"
        panel.ui.modelComboBox.currentIndex = 0
        _live()
        assert panel.ui.cardTextEdit.plainText == cardText(other.card)
        assert panel.ui.nuclideComboBox.currentText == "Zr-89"
        assert not panel.ui.uncertaintyCheckBox.enabled
        assert panel.ui.uncertaintyCheckBox.toolTip == "The model gives no uncertainty."
    finally:
        unregisterModel("Another model")


def test_apply_says_what_is_missing_until_all_is_there(panel: SimpleNamespace) -> None:
    from RadioDosimetryLib.delayedPetSample import sampleEarlyScan

    ui = panel.ui
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "Select the early PET."
    ui.earlySelector.setCurrentNode(sampleEarlyScan())
    _live()
    assert ui.applyButton.enabled
    _type(ui.targetTimesLineEdit, "24, 36")
    assert not ui.applyButton.enabled
    assert "cannot synthesise 36 h after injection, only 24 h, 48 h" in ui.applyButton.toolTip
    _type(ui.targetTimesLineEdit, "soon")
    assert "are not numbers of hours" in ui.applyButton.toolTip
    ui.modelTimesButton.click()
    _live()
    assert ui.targetTimesLineEdit.text == "24, 48"
    assert ui.applyButton.enabled
    ui.earlyTimeSpinBox.value = 30.0
    _live()
    assert "expects the early scan 0.5 to 2 h after injection, found 30 h" in ui.applyButton.toolTip
    assert "The target time 24 h is not after the early scan." in ui.applyButton.toolTip


def test_apply_leaves_the_volumes_of_the_model_in_the_scene(panel: SimpleNamespace, early: Any) -> None:
    import slicer

    voxels = slicer.util.arrayFromVolume(early).copy()
    panel.ui.applyButton.click()
    assert not panel.ui.applyButton.enabled
    assert panel.ui.cancelButton.enabled
    _wait(panel)
    for hours in (24.0, 48.0):
        node = slicer.util.getNode(f"Early PET synthetic {hours:g} h")
        expected = 2.0 * voxels * 2.0 ** (-(hours - 1.0) / HALF_LIFE_H)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), expected, rtol=1e-5)
        assert slicer.util.getNode(f"Early PET synthetic {hours:g} h uncertainty") is not None
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(early), voxels)
    assert panel.ui.statusLabel.text.count("This volume is synthetic") == 1  # of both volumes
    assert "The model is Doubling model" in panel.ui.statusLabel.text
    assert "its card lists 1 limit." in panel.ui.statusLabel.text
    assert "Made up." not in panel.ui.statusLabel.text
    assert "Limit: Made up." in panel.ui.cardTextEdit.plainText
    assert "more than the" in panel.ui.statusLabel.text  # a doubled scan holds more than decay leaves
    assert panel.ui.applyButton.enabled
    assert panel.ui.handOverButton.enabled


def test_a_scan_of_the_output_sequence_is_no_early_scan(panel: SimpleNamespace, early: Any) -> None:
    """It would change with the sequence: an input is never written."""
    from RadioDosimetryLib.sequences import browserOf

    ui = panel.ui
    ui.oneSequenceCheckBox.click()
    ui.applyButton.click()
    _wait(panel)
    sequence = ui.outputSequenceSelector.currentNode()
    ui.earlySelector.setCurrentNode(browserOf(sequence).GetProxyNode(sequence))
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "The early PET shows a scan of that sequence; choose another one, or a new one."
    ui.outputSequenceSelector.setCurrentNode(None)
    assert ui.applyButton.enabled


def test_one_sequence_is_made_and_filled_anew(panel: SimpleNamespace, early: Any) -> None:
    from RadioDosimetryLib.sequences import volumesFromSequence

    ui = panel.ui
    assert not ui.outputSequenceSelector.enabled
    ui.oneSequenceCheckBox.click()
    ui.uncertaintyCheckBox.click()
    _live()
    assert ui.outputSequenceSelector.enabled
    ui.applyButton.click()
    _wait(panel)
    sequence = ui.outputSequenceSelector.currentNode()
    assert [hours for hours, _ in volumesFromSequence(sequence)] == [1.0, 24.0, 48.0]
    before = _node_ids()
    _type(ui.targetTimesLineEdit, "48")
    ui.applyButton.click()
    _wait(panel)
    assert [hours for hours, _ in volumesFromSequence(sequence)] == [1.0, 48.0]
    assert _node_ids() == before


def test_cancel_leaves_the_scene_as_it_was(panel: SimpleNamespace, early: Any, model: Doubles) -> None:
    before = _node_ids()
    model.go.clear()
    panel.ui.applyButton.click()
    _wait(panel, lambda: panel.ui.progressBar.value == 25)
    assert panel.ui.statusLabel.text == "doubling"
    panel.ui.cancelButton.click()
    assert not panel.ui.cancelButton.enabled
    _wait(panel)
    assert panel.ui.statusLabel.text == "Cancelled; the scene is unchanged."
    assert _node_ids() == before
    assert panel.ui.applyButton.enabled


def test_a_second_run_is_refused_while_one_is_under_way(panel: SimpleNamespace, early: Any, model: Doubles) -> None:
    model.go.clear()
    panel.ui.applyButton.click()
    assert not panel.ui.applyButton.enabled
    assert "A computation is under way" in panel.ui.applyButton.toolTip
    panel.run.onApply()
    assert "A computation is under way" in panel.ui.statusLabel.text
    model.go.set()
    _wait(panel)
    assert len(panel.logic.results()) == 2


def test_a_failing_model_ends_as_a_message_and_the_scene_is_unchanged(
    panel: SimpleNamespace, early: Any, model: Doubles
) -> None:
    from radiodosimetry.errors import InputError

    before = _node_ids()
    model.failure = InputError("The model file is of another version; install that of this release.")
    panel.ui.applyButton.click()
    _wait(panel)
    assert panel.ui.statusLabel.text == "The model file is of another version; install that of this release."
    model.failure = ZeroDivisionError("division by zero")
    panel.ui.applyButton.click()
    _wait(panel)
    assert panel.ui.statusLabel.text.startswith("Unexpected failure: division by zero")
    assert _node_ids() == before


def test_what_the_card_does_not_cover_is_a_message(panel: SimpleNamespace, early: Any) -> None:
    before = _node_ids()
    early.SetSpacing(8.0, 8.0, 8.0)
    panel.ui.applyButton.click()
    _wait(panel)
    assert "expects voxel edges of 2 to 6 mm, found 8 × 8 × 8 mm" in panel.ui.statusLabel.text
    assert _node_ids() == before


def test_a_scan_under_a_transform_that_scales_is_a_message(panel: SimpleNamespace, early: Any) -> None:
    import slicer
    import vtk

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Scaling")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 0, 2.0)
    transform.SetMatrixTransformToParent(matrix)
    early.SetAndObserveTransformNodeID(transform.GetID())
    before = _node_ids()
    panel.ui.applyButton.click()
    assert "harden the transform" in panel.ui.statusLabel.text
    assert not panel.run.isRunning
    assert _node_ids() == before


def test_closing_the_scene_during_a_run_stops_it(panel: SimpleNamespace, early: Any, model: Doubles) -> None:
    import slicer

    model.go.clear()
    panel.ui.applyButton.click()
    _wait(panel, lambda: panel.ui.progressBar.value == 25)
    slicer.mrmlScene.Clear(0)
    assert not panel.run.isRunning
    model.go.set()
    _live()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert panel.ui.applyButton.toolTip == "Select the early PET."


def test_the_comparison_with_an_acquired_scan_fills_the_table(panel: SimpleNamespace, early: Any) -> None:
    import slicer

    from RadioDosimetryLib.tables import columnsOf
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    ui = panel.ui
    assert ui.compareButton.toolTip == "Synthesise volumes first."
    ui.applyButton.click()
    _wait(panel)
    assert ui.compareButton.toolTip == "Select the acquired scan."
    synthetic = volumeFromNode(slicer.util.getNode("Early PET synthetic 24 h"))
    acquired = nodeFromVolume(synthetic.with_array(synthetic.array_kji / 1.25), "Acquired")
    ui.acquiredSelector.setCurrentNode(acquired)
    _live()
    assert ui.compareButton.enabled
    ui.compareButton.click()
    table = ui.comparisonTableSelector.currentNode()
    assert columnsOf(table)["Error (%)"][0] == pytest.approx(25.0, abs=0.01)
    assert ui.comparisonTableView.mrmlTableNode() is table
    ui.acquiredTimeSpinBox.value = 30.0
    _live()
    ui.compareButton.click()
    assert "expected one within 2 h" in ui.statusLabel.text


def test_hours_without_dicom_headers_are_a_message(panel: SimpleNamespace, early: Any) -> None:
    panel.ui.earlyTimeButton.click()
    assert "was not loaded from the DICOM database" in panel.ui.statusLabel.text
    assert panel.ui.earlyTimeSpinBox.value == 1.0


def test_the_series_is_shown_and_handed_over_by_clicks(
    panel: SimpleNamespace, early: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    from TimeActivityFit import TimeActivityFitLogic

    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: panel.widget)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.ui.applyButton.click()
    _wait(panel)
    panel.ui.showButton.click()
    assert "failure" not in panel.ui.statusLabel.text
    panel.ui.handOverButton.click()
    assert panel.ui.statusLabel.text == "TimeActivityFit has the early scan and the synthetic volumes now."
    fit = TimeActivityFitLogic().getParameterNode()
    names = ["Early PET", "Early PET synthetic 24 h", "Early PET synthetic 48 h"]
    assert [node.GetName() for node in fit.scanNodes] == names
    assert list(fit.scanHours) == [1.0, 24.0, 48.0]
    assert opened == ["TimeActivityFit"]


def test_choices_come_back_with_the_scene(panel: SimpleNamespace, early: Any, tmp_path: Any) -> None:
    import slicer

    panel.ui.nuclideComboBox.currentIndex = 1
    _type(panel.ui.targetTimesLineEdit, "48")
    file = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(file))
    slicer.mrmlScene.Clear(0)
    _live()
    assert panel.ui.targetTimesLineEdit.text == "24, 48"
    slicer.util.loadScene(str(file))
    panel.widget.exit()
    panel.widget.enter()
    assert panel.ui.targetTimesLineEdit.text == "48"
    assert panel.ui.nuclideComboBox.currentText == "Zr-89"
    assert panel.ui.earlySelector.currentNode().GetName() == "Early PET"
