"""TimeActivityFit's panel driven by clicks: fits, charts, maps, messages, cancel, and scenes that are closed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from fit_panel import (
    GIVEN_MBQ,
    HOURS,
    MODEL,
    ORGAN,
    REGION,
    VOXEL_MM,
    add,
    choose,
    click,
    columns,
    loaded_torso,
    node_ids,
    opened_panel,
    parameters,
    pick,
    type_hours,
    wait,
)


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """The panel of the module, opened on an empty scene."""
    yield from opened_panel()


@pytest.fixture
def torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso in the table of scans."""
    return loaded_torso(panel)


def test_the_button_says_what_is_missing_until_all_is_there(panel: SimpleNamespace) -> None:
    import TimeActivityFit

    ui = panel.ui
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "Add at least one scan."
    assert not ui.addScanButton.enabled
    assert not ui.removeScanButton.enabled
    _ct, scans, _hours, segmentation = TimeActivityFit.loadSampleScans(VOXEL_MM)
    add(panel, scans[1])
    assert ui.applyButton.toolTip == "Type the hours from the injection to Torso Lu-177 24 h."
    type_hours(panel, 0, "a day")
    assert "Type the hours" in ui.applyButton.toolTip
    type_hours(panel, 0, "-1")
    assert "lies before the injection" in ui.applyButton.toolTip
    type_hours(panel, 0, "24,5")
    assert ui.applyButton.toolTip == "Choose a segmentation, or tick Whole body."
    add(panel, scans[0])
    type_hours(panel, 1, "24.5")
    assert "Two scans have the same time (24.5, 24.5 h)" in ui.applyButton.toolTip
    type_hours(panel, 1, "4")
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
    choose(ui.modelComboBox, "One exponential")
    ui.wholeBodyCheckBox.click()
    ui.calibrationUncertaintySpinBox.value = 5.0
    choose(ui.regionsTable.cellWidget(2, MODEL), "Trapezoids")
    click(panel, ui.applyButton)
    curves = panel.logic.measureCurves(
        torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ, wholeBody=True,
        calibrationUncertaintyPercent=5.0,
    )  # fmt: skip
    expected = panel.logic.fitCurves(curves, model="mono", models={"liver": "trapezoid"})
    chosen = parameters(panel)
    assert columns(chosen.curvesTable) == columns(curves)
    assert columns(chosen.fitsTable)["TIA (MBq h)"] == columns(expected)["TIA (MBq h)"]
    assert columns(chosen.fitsTable)["Model"][2] == "trapezoid"
    assert columns(chosen.residenceTimeTable) == columns(panel.logic.residenceTimes(expected))
    assert "Curves of 11 regions fitted." in ui.messageLabel.text
    assert ui.fitsTableView.mrmlTableNode().GetID() == chosen.fitsTable.GetID()


def test_a_second_run_fills_the_same_tables(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    click(panel, panel.ui.applyButton)
    before = node_ids()
    item = panel.ui.regionsTable.item(0, REGION)
    import qt

    item.setCheckState(qt.Qt.Unchecked)
    click(panel, panel.ui.applyButton)
    kept = {one for one in before if "PlotSeries" not in one}  # lines of charts are drawn anew
    assert kept <= node_ids()
    assert len(node_ids()) == len(before)
    assert "left_lung" not in columns(parameters(panel).fitsTable)["Region"]


def test_the_map_for_voxel_dose_is_that_of_the_console_and_says_its_unit(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    import slicer

    choose(panel.ui.tiaMethodComboBox, "Trapezoids")
    panel.ui.uncertaintyVolumeSelector.addNode()
    click(panel, panel.ui.tiaButton)
    node = panel.ui.tiaVolumeSelector.currentNode()
    expected = panel.logic.timeIntegratedActivity(torso.rows, method="trapezoid")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(expected))
    assert node.GetVoxelValueUnits().GetCodeValue() == "Bq.s/ml"
    uncertainty = panel.ui.uncertaintyVolumeSelector.currentNode()
    assert uncertainty.GetImageData() is not None
    assert "Time-integrated activity done." in panel.ui.messageLabel.text


def test_the_shape_of_organs_is_offered_once_there_are_fits(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    choose(ui.tiaMethodComboBox, "Shape of the organ")
    assert "measure and fit first" in ui.tiaButton.toolTip
    click(panel, ui.applyButton)
    click(panel, ui.tiaButton)
    assert "Time-integrated activity done." in ui.messageLabel.text


def test_outputs_that_are_inputs_are_named_on_the_button(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    reason = "'{}' is an input and is not overwritten; select another output."
    for selector in (ui.tiaVolumeSelector, ui.uncertaintyVolumeSelector):
        assert ui.tiaButton.enabled
        selector.setCurrentNode(torso.scans[2])
        assert not ui.tiaButton.enabled
        assert ui.tiaButton.toolTip == reason.format(torso.scans[2].GetName())
        selector.setCurrentNode(None)
    node = ui.tiaVolumeSelector.addNode()
    ui.uncertaintyVolumeSelector.setCurrentNode(node)
    assert ui.tiaButton.toolTip == "Select different volumes for the map and its uncertainty."
    click(panel, ui.applyButton)
    chosen = parameters(panel)
    for table in (chosen.curvesTable, chosen.fitsTable, chosen.residenceTimeTable):
        ui.organDoseTableSelector.setCurrentNode(table)
        assert not ui.organDosesButton.enabled
        assert ui.organDosesButton.toolTip == reason.format(table.GetName())
    ui.organDoseTableSelector.setCurrentNode(None)
    assert ui.organDosesButton.enabled


def test_what_lies_beside_a_scan_and_is_deleted_is_not_replaced_by_the_next_in_the_list(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    import slicer

    ui, chosen = panel.ui, parameters(panel)
    classes = ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLLinearTransformNode")
    for selector, className, name in zip(
        (ui.ctSelector, ui.ownRegionsSelector, ui.transformSelector), classes,
        ("scanCTs", "scanSegmentations", "scanTransforms"), strict=True,
    ):  # fmt: skip
        pair = [slicer.mrmlScene.AddNewNodeByClass(className, each) for each in ("first", "second")]
        selector.setCurrentNode(pair[0])
        assert pair[0] in list(getattr(chosen, name))
        slicer.mrmlScene.RemoveNode(pair[0])
        assert selector.currentNode() is None
        assert not any(getattr(chosen, name))
    slicer.mrmlScene.RemoveNode(torso.scans[0])
    assert "A scan has left the scene" in ui.applyButton.toolTip
    assert list(chosen.scanNodes)[1:] == torso.scans[1:]


def test_of_two_cts_with_one_name_the_one_that_is_picked_lies_beside_the_scan(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    import slicer

    other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, torso.ct, "Other")
    other.SetName(torso.ct.GetName())
    for node in (torso.ct, other, torso.ct):
        pick(panel.ui.ctSelector, node)
        assert node in list(parameters(panel).scanCTs)


def test_voxel_dose_opens_with_the_map(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    import VoxelDose

    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: panel)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.ui.patientCTSelector.setCurrentNode(torso.ct)
    choose(panel.ui.nuclideComboBox, "Tb-161")
    click(panel, panel.ui.tiaButton)
    chosen = VoxelDose.VoxelDoseLogic().getParameterNode()
    assert opened == ["VoxelDose"]
    assert chosen.activityVolume.GetID() == panel.ui.tiaVolumeSelector.currentNodeID
    assert (chosen.nuclide, chosen.ctVolume.GetID()) == ("Tb-161", torso.ct.GetID())
    panel.ui.tiaButton.click()
    panel.widget.exit()  # who has gone elsewhere meanwhile stays there
    wait(panel)
    panel.widget.enter()
    panel.ui.openVoxelDoseCheckBox.click()
    click(panel, panel.ui.tiaButton)
    assert opened == ["VoxelDose"]


def test_charts_follow_the_region_and_the_axis(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    assert not ui.showCurvesButton.enabled
    click(panel, ui.applyButton)
    choose(ui.shownRegionComboBox, "spleen")
    ui.logCheckBox.click()
    ui.showCurvesButton.click()
    chosen = parameters(panel)
    chart = chosen.curveChart
    assert "spleen" in chart.GetTitle()
    assert chart.GetYAxisLogScale()
    ui.showResidualsButton.click()
    assert "spleen" in chosen.residualChart.GetTitle()
    ui.showTableButton.click()
    nodes = node_ids()
    choose(ui.shownRegionComboBox, "liver")
    ui.showCurvesButton.click()
    assert chosen.curveChart.GetID() == chart.GetID()
    assert len(node_ids()) == len(nodes)


def test_recovery_coefficients_that_cannot_be_read_are_a_message(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "recovery.csv"
    path.write_text("volume,rc\n1,0.5\n", encoding="utf-8")
    panel.ui.ctSelector.setCurrentNode(torso.ct)
    before = node_ids()
    panel.ui.recoveryPathLineEdit.currentPath = str(path)
    click(panel, panel.ui.applyButton)
    assert "lacks the columns volume_ml, recovery" in panel.ui.messageLabel.text
    assert node_ids() == before
    torso.ct.SetName("Another name")
    assert "lacks the columns" in panel.ui.messageLabel.text  # nobody has chosen anything else
    panel.ui.recoveryPathLineEdit.currentPath = ""
    assert panel.ui.messageLabel.text == ""  # the reason is gone


def test_one_scan_is_too_few_for_a_model_of_two_parameters(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    for _ in range(3):
        ui.removeScanButton.click()
    choose(ui.modelComboBox, "One exponential")
    before = node_ids()
    click(panel, ui.applyButton)
    assert "mono" in ui.messageLabel.text
    assert "1 " in ui.messageLabel.text
    assert node_ids() == before
    choose(ui.modelComboBox, "Physical decay alone")
    click(panel, ui.applyButton)
    assert "fitted" in ui.messageLabel.text


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
    before = node_ids()
    ui.applyButton.click()
    wait(panel, lambda: ui.progressBar.value > 0)
    assert not ui.applyButton.enabled
    assert "under way" in ui.applyButton.toolTip
    panel.run.onApply()  # a second click that came too early to be stopped
    assert "A computation is under way" in ui.messageLabel.text
    ui.cancelButton.click()
    wait(panel)
    assert ui.messageLabel.text == "Cancelled; the scene is unchanged."
    assert ui.applyButton.enabled
    assert node_ids() == before


def test_closing_the_scene_stops_the_run(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    _slow(panel, monkeypatch)
    panel.ui.applyButton.click()
    wait(panel, lambda: panel.ui.progressBar.value > 0)
    slicer.mrmlScene.Clear(0)
    assert not panel.run.isRunning
    assert panel.ui.scansTable.rowCount == 0
    assert panel.ui.applyButton.toolTip == "Add at least one scan."
    tables = [node for node in slicer.util.getNodesByClass("vtkMRMLTableNode") if "ctivity" in node.GetName()]
    assert tables == []


def test_a_run_ends_well_while_another_module_is_shown(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.applyButton.click()
    panel.widget.exit()
    wait(panel)
    assert "Curves of 10 regions fitted." in panel.ui.messageLabel.text
    assert panel.ui.fitsTableView.mrmlTableNode() is None
    panel.widget.enter()
    assert len(columns(panel.ui.fitsTableView.mrmlTableNode())["Region"]) == 10
    click(panel, panel.ui.organDosesButton)
    assert "Organ doses done." in panel.ui.messageLabel.text


def test_choices_come_back_with_the_scene(panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path) -> None:
    import qt
    import slicer

    ui = panel.ui
    ui.regionsTable.item(1, REGION).setCheckState(qt.Qt.Unchecked)
    choose(ui.regionsTable.cellWidget(2, ORGAN), "stomach wall")
    click(panel, ui.applyButton)
    shown = columns(ui.fitsTableView.mrmlTableNode())
    path = tmp_path / "case.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert ui.scansTable.rowCount == 0
    slicer.util.loadScene(str(path))
    panel.widget.initializeParameterNode()
    assert [ui.scansTable.item(row, HOURS).text() for row in range(4)] == ["4", "24", "72", "168"]
    assert ui.regionsTable.item(1, REGION).checkState() == qt.Qt.Unchecked
    assert ui.regionsTable.cellWidget(2, ORGAN).currentText == "stomach wall"
    again = columns(ui.fitsTableView.mrmlTableNode())
    assert again["Region"] == shown["Region"]
    np.testing.assert_allclose(again["TIA (MBq h)"], shown["TIA (MBq h)"], rtol=1e-5)  # tables keep six digits
    click(panel, ui.organDosesButton)
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


def _series_of(chart: Any) -> dict[str, dict[str, list[float]]]:
    """Cells of the tables behind each line of a chart."""
    found = {}
    for number in range(chart.GetNumberOfPlotSeriesNodes()):
        line = chart.GetNthPlotSeriesNode(number)
        cells = columns(line.GetTableNode())
        found[line.GetName()] = {title: cells[title] for title in (line.GetXColumnName(), line.GetYColumnName())}
    return found


@pytest.mark.parametrize("model", ["One exponential", "Uptake and clearance", "Gamma-shaped"])
def test_a_reopened_scene_draws_band_error_bars_and_residuals(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path, model: str
) -> None:
    """What the chart showed before the scene was saved it shows when it is drawn anew from the scene alone."""
    import slicer

    ui = panel.ui
    choose(ui.modelComboBox, model)
    ui.calibrationUncertaintySpinBox.value = 5.0
    ui.volumeUncertaintySpinBox.value = 8.0
    click(panel, ui.applyButton)
    choose(ui.shownRegionComboBox, "spleen")
    ui.showCurvesButton.click()
    chosen = parameters(panel)
    before, residuals = _series_of(chosen.curveChart), _series_of(chosen.residualChart)
    assert list(before) == ["spleen fit", "spleen − 1 SD", "spleen + 1 SD", "spleen ± 1 SD", "spleen"]
    band = np.subtract(before["spleen + 1 SD"]["Upper (MBq)"], before["spleen fit"]["Fit (MBq)"])
    assert band.min() > 0
    path = tmp_path / "case.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    panel.widget.initializeParameterNode()
    chosen = parameters(panel)
    assert list(_series_of(chosen.curveChart)) == list(before)  # complete before anything is pressed
    choose(ui.shownRegionComboBox, "liver")
    choose(ui.shownRegionComboBox, "spleen")
    for chart, expected in ((chosen.curveChart, before), (chosen.residualChart, residuals)):
        found = _series_of(chart)
        assert list(found) == list(expected)
        for name, cells in expected.items():
            for title, values in cells.items():
                np.testing.assert_allclose(found[name][title], values, rtol=1e-9, atol=1e-12)


def test_charts_are_there_without_being_asked_for(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    click(panel, panel.ui.applyButton)
    chart = parameters(panel).curveChart
    assert "left_lung" in chart.GetTitle()
    choose(panel.ui.shownRegionComboBox, "liver")
    assert "liver" in chart.GetTitle()
    panel.ui.logCheckBox.click()
    assert chart.GetYAxisLogScale()
