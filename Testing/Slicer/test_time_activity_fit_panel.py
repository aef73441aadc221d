"""TimeActivityFit's panel driven by clicks: scans and hours, regions, runs, results, cancel, and what is refused."""

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

VOXEL_MM = 16.0
"""Coarse enough for everything in a fraction of a second."""

GIVEN_MBQ = 7400.0
LONGEST_WAIT_S = 30.0
NAME, HOURS, CT, OWN_REGIONS, TRANSFORM = range(5)
REGION, MODEL, ORGAN = range(3)


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """The panel of the module, opened on an empty scene."""
    import standin

    _module, representation = standin.loadModule("TimeActivityFit")
    widget = representation.self()
    if not representation.isEntered:
        representation.enter()
    yield SimpleNamespace(ui=widget.ui, widget=widget, logic=widget.logic, run=widget._panel)
    widget._panel.abandon()
    representation.exit()


@pytest.fixture
def torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso in the scene, its scans put into the table and its hours typed by hand."""
    import TimeActivityFit

    ct, scans, hours, segmentation = TimeActivityFit.loadSampleScans(VOXEL_MM, noisePercent=3.0)
    for scan in scans:
        _add(panel, scan)
    for row, value in enumerate(hours):
        _type_hours(panel, row, f"{value:g}")
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    panel.ui.administeredSpinBox.value = GIVEN_MBQ
    rows = list(zip(scans, hours, strict=True))
    return SimpleNamespace(ct=ct, scans=scans, hours=hours, segmentation=segmentation, rows=rows)


def _add(panel: SimpleNamespace, node: Any) -> None:
    panel.ui.scanSelector.setCurrentNode(node)
    panel.ui.addScanButton.click()


def _type_hours(panel: SimpleNamespace, row: int, text: str) -> None:
    panel.ui.scansTable.item(row, HOURS).setText(text)


def _choose(box: Any, text: str) -> None:
    """Choose an entry of a combo box as a person does."""
    box.currentIndex = next(number for number in range(box.count) if text in box.itemText(number))


def _wait(panel: SimpleNamespace, until: Callable[[], bool] | None = None) -> None:
    """Let the window live until the run ends, or something else comes true."""
    import slicer

    end = time.monotonic() + LONGEST_WAIT_S
    done = until or (lambda: not panel.run.isRunning)
    while not done():
        assert time.monotonic() < end, f"still waiting: {panel.ui.messageLabel.text}"
        slicer.app.processEvents()


def _click(panel: SimpleNamespace, button: Any) -> None:
    assert button.enabled, button.toolTip
    button.click()
    _wait(panel)


def _columns(table: Any) -> dict[str, list[Any]]:
    from RadioDosimetryLib.tables import columnsOf

    return columnsOf(table)


def _node_ids() -> set[str]:
    import slicer

    scene = slicer.mrmlScene
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def _parameters(panel: SimpleNamespace) -> Any:
    return panel.logic.getParameterNode()


def test_the_button_says_what_is_missing_until_all_is_there(panel: SimpleNamespace) -> None:
    import TimeActivityFit

    ui = panel.ui
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "Add at least one scan."
    assert not ui.addScanButton.enabled
    assert not ui.removeScanButton.enabled
    _ct, scans, _hours, segmentation = TimeActivityFit.loadSampleScans(VOXEL_MM)
    _add(panel, scans[1])
    assert ui.applyButton.toolTip == "Type the hours from the injection to Torso Lu-177 24 h."
    _type_hours(panel, 0, "a day")
    assert "Type the hours" in ui.applyButton.toolTip
    _type_hours(panel, 0, "-1")
    assert "lies before the injection" in ui.applyButton.toolTip
    _type_hours(panel, 0, "24,5")
    assert ui.applyButton.toolTip == "Choose a segmentation, or tick Whole body."
    _add(panel, scans[0])
    _type_hours(panel, 1, "24.5")
    assert "Two scans have the same time (24.5, 24.5 h)" in ui.applyButton.toolTip
    _type_hours(panel, 1, "4")
    assert "The times of the scans must rise (24.5, 4 h)" in ui.applyButton.toolTip
    assert "must rise" in ui.messageLabel.text
    ui.sortScansButton.click()
    assert [ui.scansTable.item(row, HOURS).text() for row in (0, 1)] == ["4", "24.5"]
    ui.segmentationSelector.setCurrentNode(segmentation)
    assert ui.applyButton.enabled
    assert ui.messageLabel.text == ""
    assert ui.organDosesButton.toolTip == "Measure and fit first."
    assert ui.registerButton.toolTip.startswith("Choose the CT of Torso")


def test_fits_by_clicks_are_those_of_the_console(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    _choose(ui.modelComboBox, "One exponential")
    ui.wholeBodyCheckBox.click()
    ui.calibrationUncertaintySpinBox.value = 5.0
    _choose(ui.regionsTable.cellWidget(2, MODEL), "Trapezoids")
    _click(panel, ui.applyButton)
    curves = panel.logic.measureCurves(
        torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ, wholeBody=True,
        calibrationUncertaintyPercent=5.0,
    )  # fmt: skip
    expected = panel.logic.fitCurves(curves, model="mono", models={"liver": "trapezoid"})
    parameters = _parameters(panel)
    assert _columns(parameters.curvesTable) == _columns(curves)
    assert _columns(parameters.fitsTable)["TIA (MBq h)"] == _columns(expected)["TIA (MBq h)"]
    assert _columns(parameters.fitsTable)["Model"][2] == "trapezoid"
    assert _columns(parameters.residenceTimeTable) == _columns(panel.logic.residenceTimes(expected))
    assert "Curves of 11 regions fitted." in ui.messageLabel.text
    assert ui.fitsTableView.mrmlTableNode().GetID() == parameters.fitsTable.GetID()


def test_a_second_run_fills_the_same_tables(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    _click(panel, panel.ui.applyButton)
    before = _node_ids()
    item = panel.ui.regionsTable.item(0, REGION)
    import qt

    item.setCheckState(qt.Qt.Unchecked)
    _click(panel, panel.ui.applyButton)
    kept = {one for one in before if "PlotSeries" not in one}  # lines of charts are drawn anew
    assert kept <= _node_ids()
    assert len(_node_ids()) == len(before)
    assert "left_lung" not in _columns(_parameters(panel).fitsTable)["Region"]


def test_the_map_for_voxel_dose_is_that_of_the_console_and_says_its_unit(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    import slicer

    _choose(panel.ui.tiaMethodComboBox, "Trapezoids")
    panel.ui.uncertaintyVolumeSelector.addNode()
    _click(panel, panel.ui.tiaButton)
    node = panel.ui.tiaVolumeSelector.currentNode()
    expected = panel.logic.timeIntegratedActivity(torso.rows, method="trapezoid")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(expected))
    assert node.GetVoxelValueUnits().GetCodeValue() == "Bq.s/ml"
    uncertainty = panel.ui.uncertaintyVolumeSelector.currentNode()
    assert uncertainty.GetImageData() is not None
    assert "Time-integrated activity done." in panel.ui.messageLabel.text


def test_the_shape_of_organs_is_offered_once_there_are_fits(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    _choose(ui.tiaMethodComboBox, "Shape of the organ")
    assert "measure and fit first" in ui.tiaButton.toolTip
    _click(panel, ui.applyButton)
    _click(panel, ui.tiaButton)
    assert "Time-integrated activity done." in ui.messageLabel.text


def test_voxel_dose_opens_with_the_map(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    import VoxelDose

    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.ui.patientCTSelector.setCurrentNode(torso.ct)
    _choose(panel.ui.nuclideComboBox, "Tb-161")
    panel.ui.openVoxelDoseCheckBox.click()
    _click(panel, panel.ui.tiaButton)
    chosen = VoxelDose.VoxelDoseLogic().getParameterNode()
    assert opened == ["VoxelDose"]
    assert chosen.activityVolume.GetID() == panel.ui.tiaVolumeSelector.currentNodeID
    assert (chosen.nuclide, chosen.ctVolume.GetID()) == ("Tb-161", torso.ct.GetID())


def test_organ_doses_by_clicks_are_those_of_the_console(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    from RadioDosimetryLib.timeActivityDoses import lesionMasses
    from RadioDosimetryLib.timeActivityKept import curvesFromTable
    from RadioDosimetryLib.timeActivityResults import organsByName

    ui = panel.ui
    assert ui.regionsTable.cellWidget(3, ORGAN).currentText == "kidneys"
    _click(panel, ui.applyButton)
    _choose(ui.sValuesComboBox, "female")
    _choose(ui.regionsTable.cellWidget(6, ORGAN), "none")
    _click(panel, ui.organDosesButton)
    parameters = _parameters(panel)
    regions = _columns(parameters.fitsTable)["Region"]
    organs = {region: organ for region, organ in organsByName(regions).items() if region != regions[6]}
    masses = lesionMasses(curvesFromTable(parameters.curvesTable)[0])
    expected = panel.logic.organDoses(parameters.fitsTable, "adult-female", organs, lesionMassesG=masses)
    found = _columns(ui.organDoseTableSelector.currentNode())
    assert found["Target"] == _columns(expected)["Target"]
    np.testing.assert_allclose(found["Dose (Gy)"], _columns(expected)["Dose (Gy)"], rtol=1e-12)
    assert ui.effectiveDoseLabel.text.startswith("Effective dose (ICRP 103): ")


def test_s_values_of_the_patient_need_the_patients_ct(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import qt

    ui = panel.ui
    for row in range(ui.regionsTable.rowCount):
        if ui.regionsTable.item(row, REGION).text() not in ("liver", "spleen"):
            ui.regionsTable.item(row, REGION).setCheckState(qt.Qt.Unchecked)
    _click(panel, ui.applyButton)
    _choose(ui.sValuesComboBox, "Patient")
    assert ui.organDosesButton.toolTip == "Choose the CT of the patient."
    ui.patientCTSelector.setCurrentNode(torso.ct)
    ui.spacingSpinBox.value = 16.0
    ui.historiesSpinBox.value = 2000
    _click(panel, ui.organDosesButton)
    assert _columns(ui.organDoseTableSelector.currentNode())["Target"] == ["liver", "spleen"]
    assert ui.effectiveDoseLabel.text == ""


def test_charts_follow_the_region_and_the_axis(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    assert not ui.showCurvesButton.enabled
    _click(panel, ui.applyButton)
    _choose(ui.shownRegionComboBox, "spleen")
    ui.logCheckBox.click()
    ui.showCurvesButton.click()
    parameters = _parameters(panel)
    chart = parameters.curveChart
    assert "spleen" in chart.GetTitle()
    assert chart.GetYAxisLogScale()
    ui.showResidualsButton.click()
    assert "spleen" in parameters.residualChart.GetTitle()
    ui.showTableButton.click()
    nodes = _node_ids()
    _choose(ui.shownRegionComboBox, "liver")
    ui.showCurvesButton.click()
    assert parameters.curveChart.GetID() == chart.GetID()
    assert len(_node_ids()) == len(nodes)


def test_a_sequence_brings_its_own_hours(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    from RadioDosimetryLib.sequences import sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    ui = panel.ui
    _click(panel, ui.applyButton)
    expected = _columns(_parameters(panel).curvesTable)
    sequence = sequenceFromVolumes([(hours, volumeFromNode(scan)) for scan, hours in torso.rows], "Torso")
    for _ in torso.scans:
        ui.removeScanButton.click()
    assert ui.scansTable.rowCount == 0
    _add(panel, sequence)
    assert ui.scansTable.item(0, HOURS).text() == "in the sequence"
    assert ui.referenceComboBox.count == 4
    assert not ui.ctSelector.enabled
    _click(panel, ui.applyButton)
    assert _columns(_parameters(panel).curvesTable) == expected


def test_registration_by_clicks_puts_transforms_into_the_table(panel: SimpleNamespace) -> None:
    import TimeActivityFit

    ui = panel.ui
    ct, scans, hours, _segmentation = TimeActivityFit.loadSampleScans(12.0)
    for scan in scans[:2]:
        _add(panel, scan)
    for row in (0, 1):
        _type_hours(panel, row, f"{hours[row]:g}")
        ui.scansTable.setCurrentCell(row, NAME)
        ui.ctSelector.setCurrentNode(ct)
    assert [ui.scansTable.item(row, CT).toolTip() for row in (0, 1)] == ["Torso CT", "Torso CT"]
    before = _node_ids()
    _click(panel, ui.registerButton)
    assert _node_ids() == before  # one CT for both: nothing to register
    import slicer

    other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, ct, "other CT")
    ui.ctSelector.setCurrentNode(other)
    _click(panel, ui.registerButton)
    assert ui.scansTable.item(1, TRANSFORM).toolTip() == "Torso Lu-177 24 h to Torso Lu-177 4 h"
    assert ui.transformSelector.currentNode() is not None


def test_recovery_coefficients_that_cannot_be_read_are_a_message(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "recovery.csv"
    path.write_text("volume,rc\n1,0.5\n", encoding="utf-8")
    before = _node_ids()
    panel.ui.recoveryPathLineEdit.currentPath = str(path)
    _click(panel, panel.ui.applyButton)
    assert "lacks the columns volume_ml, recovery" in panel.ui.messageLabel.text
    assert _node_ids() == before
    panel.ui.recoveryPathLineEdit.currentPath = ""
    assert panel.ui.messageLabel.text == ""  # the reason is gone


def test_one_scan_is_too_few_for_a_model_of_two_parameters(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    for _ in range(3):
        ui.removeScanButton.click()
    _choose(ui.modelComboBox, "One exponential")
    before = _node_ids()
    _click(panel, ui.applyButton)
    assert "mono" in ui.messageLabel.text
    assert "1 " in ui.messageLabel.text
    assert _node_ids() == before
    _choose(ui.modelComboBox, "Physical decay alone")
    _click(panel, ui.applyButton)
    assert "fitted" in ui.messageLabel.text


def test_an_empty_segmentation_is_refused(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    panel.ui.segmentationSelector.setCurrentNode(empty)
    assert panel.ui.applyButton.toolTip == "Segmentation 'empty' has no segment: draw the regions."
    empty.GetSegmentation().AddEmptySegment("liver", "liver")
    panel.widget.onParameterNodeModified()
    before = _node_ids()
    _click(panel, panel.ui.applyButton)
    assert "liver" in panel.ui.messageLabel.text
    assert _node_ids() == before


def test_an_unhardened_transform_that_scales_is_refused(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    scaling = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "scaling")
    scaling.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([2.0, 1.0, 1.0, 1.0])))
    torso.scans[1].SetAndObserveTransformNodeID(scaling.GetID())
    before = _node_ids()
    _click(panel, panel.ui.applyButton)
    assert "harden the transform first" in panel.ui.messageLabel.text
    assert _node_ids() == before


def test_an_injection_time_that_is_none_is_refused(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.injectionTimeLineEdit.text = "yesterday"
    panel.ui.timesFromDicomButton.click()
    assert "'yesterday' is no date and time" in panel.ui.messageLabel.text
    panel.ui.injectionTimeLineEdit.text = ""
    panel.ui.timesFromDicomButton.click()
    assert "give its hours by hand" in panel.ui.messageLabel.text
    assert panel.ui.scansTable.item(0, HOURS).text() == "4"


def _slow(panel: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the next run last until it is cancelled."""
    from radiodosimetry.progress import report_progress
    from RadioDosimetryLib import timeActivityTasks

    def endless(scans: Any, options: Any, progress: Any) -> None:
        while True:
            report_progress(progress, 0.25, "Measuring")
            time.sleep(0.005)

    monkeypatch.setattr(timeActivityTasks, "measuredCurves", endless)


def test_cancel_leaves_the_scene_as_it_was(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ui = panel.ui
    _slow(panel, monkeypatch)
    before = _node_ids()
    ui.applyButton.click()
    _wait(panel, lambda: ui.progressBar.value > 0)
    assert not ui.applyButton.enabled
    assert "under way" in ui.applyButton.toolTip
    panel.run.onApply()  # a second click that came too early to be stopped
    assert "A computation is under way" in ui.messageLabel.text
    ui.cancelButton.click()
    _wait(panel)
    assert ui.messageLabel.text == "Cancelled; the scene is unchanged."
    assert ui.applyButton.enabled
    assert _node_ids() == before


def test_closing_the_scene_stops_the_run(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    _slow(panel, monkeypatch)
    panel.ui.applyButton.click()
    _wait(panel, lambda: panel.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear(0)
    assert not panel.run.isRunning
    assert panel.ui.scansTable.rowCount == 0
    assert panel.ui.applyButton.toolTip == "Add at least one scan."
    tables = [node for node in slicer.util.getNodesByClass("vtkMRMLTableNode") if "ctivity" in node.GetName()]
    assert tables == []


def test_a_run_ends_well_while_another_module_is_shown(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.applyButton.click()
    panel.widget.exit()
    _wait(panel)
    assert "Curves of 10 regions fitted." in panel.ui.messageLabel.text
    assert panel.ui.fitsTableView.mrmlTableNode() is None
    panel.widget.enter()
    assert len(_columns(panel.ui.fitsTableView.mrmlTableNode())["Region"]) == 10
    _click(panel, panel.ui.organDosesButton)
    assert "Organ doses done." in panel.ui.messageLabel.text


def test_a_scan_that_leaves_the_scene_is_asked_for(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(torso.scans[1])
    assert panel.ui.applyButton.toolTip == "A scan has left the scene: remove its row."
    panel.ui.scansTable.setCurrentCell(1, NAME)
    panel.ui.removeScanButton.click()
    assert panel.ui.scansTable.rowCount == 3
    assert panel.ui.applyButton.enabled


def test_choices_come_back_with_the_scene(panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path) -> None:
    import qt
    import slicer

    ui = panel.ui
    ui.regionsTable.item(1, REGION).setCheckState(qt.Qt.Unchecked)
    _choose(ui.regionsTable.cellWidget(2, ORGAN), "stomach wall")
    _click(panel, ui.applyButton)
    shown = _columns(ui.fitsTableView.mrmlTableNode())
    path = tmp_path / "case.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert ui.scansTable.rowCount == 0
    slicer.util.loadScene(str(path))
    panel.widget.initializeParameterNode()
    assert [ui.scansTable.item(row, HOURS).text() for row in range(4)] == ["4", "24", "72", "168"]
    assert ui.regionsTable.item(1, REGION).checkState() == qt.Qt.Unchecked
    assert ui.regionsTable.cellWidget(2, ORGAN).currentText == "stomach wall"
    again = _columns(ui.fitsTableView.mrmlTableNode())
    assert again["Region"] == shown["Region"]
    np.testing.assert_allclose(again["TIA (MBq h)"], shown["TIA (MBq h)"], rtol=1e-5)  # tables keep six digits
    _click(panel, ui.organDosesButton)
    assert "Organ doses done." in ui.messageLabel.text


def test_every_widget_tells_what_it_is_for(panel: SimpleNamespace) -> None:
    kinds = ("Selector", "Button", "SpinBox", "CheckBox", "ComboBox")
    named = [name for name in vars(panel.ui) if name.endswith(kinds)]
    silent = [name for name in named if not name.endswith("CollapsibleButton") and not getattr(panel.ui, name).toolTip]
    assert len(named) > 30
    assert silent == []


def test_the_self_test_of_the_module_passes(application: Any, scene: Any) -> None:
    import TimeActivityFit

    TimeActivityFit.TimeActivityFitTest().runTest()
