"""VoxelDose's panel driven by clicks: choices, reasons on the disabled button, runs, cancel, results, messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from dose_panel import (
    VOXEL_MM,
    apply,
    choose,
    columns,
    core_dose,
    loaded_torso,
    node_ids,
    opened_panel,
    pick,
    type_path,
    wait,
)

ENDLESS_HISTORIES = 2_000_000_000
"""Nobody waits for so many."""


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """The panel of the module, opened on an empty scene."""
    yield from opened_panel()


@pytest.fixture
def torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso, chosen in the panel."""
    return loaded_torso(panel)


def test_apply_says_what_is_missing_until_all_is_there(panel: SimpleNamespace) -> None:
    import VoxelDose
    from RadioDosimetryLib.quantities import QUANTITY_ATTRIBUTE

    ui = panel.ui
    assert not ui.applyButton.enabled
    assert ui.applyButton.toolTip == "Select the CT."
    ct, activity, _segmentation = VoxelDose.loadSampleTorso(VOXEL_MM)
    activity.SetVoxelValueQuantity(None)
    activity.SetVoxelValueUnits(None)
    activity.RemoveAttribute(QUANTITY_ATTRIBUTE)
    ui.ctSelector.setCurrentNode(ct)
    assert "activity" in ui.applyButton.toolTip
    ui.activitySelector.setCurrentNode(ct)
    assert ui.applyButton.toolTip == "Select different volumes as CT and as activity."
    ui.activitySelector.setCurrentNode(activity)
    assert "does not say its unit" in ui.applyButton.toolTip
    choose(ui.activityUnitComboBox, "counts")
    assert "calibration factor" in ui.applyButton.toolTip
    assert ui.calibrationSpinBox.enabled
    ui.calibrationSpinBox.value = 2.5
    assert ui.applyButton.enabled
    choose(ui.activityUnitComboBox, "kBq/mL (")
    assert "belongs to the unit 'counts'" in ui.applyButton.toolTip
    ui.calibrationSpinBox.value = 0.0
    assert ui.applyButton.enabled
    ui.doseSelector.setCurrentNode(activity)
    assert "is an input and is not overwritten" in ui.applyButton.toolTip
    assert not ui.applyButton.enabled


def test_a_dose_by_clicks_is_that_of_the_core(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    assert panel.ui.applyButton.enabled
    apply(panel, "Single voxel")
    expected = core_dose(torso, "single-vsv")
    dose = panel.ui.shownDoseSelector.currentNode()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(dose), expected.dose.array_kji)
    table = panel.ui.resultsTableView.mrmlTableNode()
    assert columns(table)["Structure"] == [row.region for row in expected.table]
    assert columns(table)["Mean dose (Gy)"] == [row.mean_gy for row in expected.table]
    chart = dose.GetNodeReference("RadioDosimetry.dvhChartRef")
    assert chart.GetNumberOfPlotSeriesNodes() == len(expected.table)
    assert panel.ui.statusLabel.text.startswith("Dose done.")
    assert panel.ui.applyButton.enabled
    assert not panel.ui.cancelButton.enabled


def test_the_dose_lies_over_the_ct_in_colours_with_zero_transparent(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    apply(panel)
    dose = panel.ui.shownDoseSelector.currentNode()
    display = dose.GetDisplayNode()
    assert display.GetColorNode().GetName() == "RadioDosimetry_Dose" or "ose" in display.GetColorNode().GetName()
    assert display.GetApplyThreshold()
    assert display.GetLowerThreshold() > 0


def test_monte_carlo_takes_histories_and_seed_and_gives_its_uncertainty(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    import slicer

    choose(panel.ui.methodComboBox, "Monte Carlo")
    panel.ui.historiesSpinBox.value = 4000
    panel.ui.seedSpinBox.value = 9
    apply(panel, "Monte Carlo")
    expected = core_dose(torso, "monte-carlo", histories=4000, seed=9)
    dose = panel.ui.shownDoseSelector.currentNode()
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(dose), expected.dose.array_kji)
    uncertainty = slicer.mrmlScene.GetFirstNodeByName(f"{dose.GetName()} uncertainty")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(uncertainty), expected.uncertainty.array_kji)
    panel.ui.showUncertaintyButton.click()
    assert uncertainty.GetDisplayNode().GetApplyThreshold()
    apply(panel, "Local")
    assert not panel.ui.showUncertaintyButton.enabled


def test_settings_can_be_set_where_the_method_uses_them(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    ui = panel.ui
    choose(ui.methodComboBox, "Local")
    assert not ui.historiesSpinBox.enabled
    assert not ui.kernelReachSpinBox.enabled
    choose(ui.methodComboBox, "Single")
    assert ui.kernelReachSpinBox.enabled
    assert ui.mediumComboBox.enabled
    choose(ui.methodComboBox, "Monte Carlo")
    assert ui.historiesSpinBox.enabled
    ui.targetUncertaintySpinBox.value = 5.0
    assert not ui.historiesSpinBox.enabled


def test_the_volume_that_shows_a_scan_of_the_sequence_is_no_output(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    from RadioDosimetryLib.sequences import browserOf, sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    volume = volumeFromNode(torso.activity)
    sequence = sequenceFromVolumes([(4.0, volume), (24.0, volume)], "Series")
    proxy = browserOf(sequence).GetProxyNode(sequence)
    ui = panel.ui
    ui.activitySelector.setCurrentNode(sequence)
    for selector in (ui.doseSelector, ui.uncertaintySelector):
        assert ui.applyButton.enabled
        selector.setCurrentNode(proxy)
        assert not ui.applyButton.enabled
        assert f"'{proxy.GetName()}' shows a scan of the input '{sequence.GetName()}'" in ui.applyButton.toolTip
        selector.setCurrentNode(None)


@pytest.mark.parametrize("name", ["ctSelector", "activitySelector", "doseSelector", "differenceSelector"])
def test_a_chosen_volume_that_is_deleted_is_not_replaced_by_the_next_in_the_list(
    panel: SimpleNamespace, torso: SimpleNamespace, name: str
) -> None:
    """Slicer's selectors turn to a neighbour: as an output, it would be overwritten."""
    import slicer

    selector = getattr(panel.ui, name)
    new = [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name) for name in "ab"]
    for node in (torso.ct, torso.activity, *new):
        selector.setCurrentNode(node)
        slicer.mrmlScene.RemoveNode(node)
        assert selector.currentNode() is None
        chosen = panel.logic.getParameterNode()
        assert None is chosen.doseVolume is chosen.differenceVolume
        assert chosen.ctVolume in (None, torso.ct)
        assert chosen.activityVolume in (None, torso.activity)


def test_of_two_volumes_with_one_name_the_one_that_is_picked_is_read(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    """As scans of one protocol come from DICOM; with Qt 6 Slicer's selector is silent between them."""
    import slicer

    other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, torso.activity, "Later")
    slicer.util.updateVolumeFromArray(other, slicer.util.arrayFromVolume(torso.activity) / 4)
    other.SetName(torso.activity.GetName())
    pick(panel.ui.activitySelector, other)
    apply(panel)
    dose = panel.ui.shownDoseSelector.currentNode()
    assert dose.GetNodeReference("RadioDosimetry.activityRef") is other
    expected = core_dose(SimpleNamespace(**{**vars(torso), "activity": other}), "local").dose.array_kji
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(dose), expected)


CALIBRATION = "hu,density_g_per_cm3\n-1000,0.0012\n0,0.5\n3000,2.5\n"
"""Soft tissue at half its density: nobody's scanner, and twice the dose."""


@pytest.mark.parametrize("text", ["", "scanner", "no/such/scanner.csv", "no/such/scanner.txt"])
def test_a_dose_never_follows_a_calibration_that_the_field_no_longer_shows(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path, text: str
) -> None:
    import slicer

    ui = panel.ui
    (tmp_path / "curve.csv").write_text(CALIBRATION, encoding="utf-8")
    type_path(ui.ctCalibrationPathLineEdit, str(tmp_path / "curve.csv"))
    assert ui.applyButton.enabled
    ui.ctCalibrationPathLineEdit.comboBox().lineEdit().setText(text)
    assert panel.logic.getParameterNode().ctCalibrationFile == text
    assert ui.applyButton.enabled == (text == "")
    if text:
        assert f"'{text}' is no file that can be read: choose another CT calibration" in ui.applyButton.toolTip
        before = node_ids()
        panel.run.onApply()  # a click that came before the button was disabled
        assert "is no file that can be read" in ui.statusLabel.text
        assert node_ids() == before
        return
    apply(panel)
    dose = slicer.util.arrayFromVolume(ui.shownDoseSelector.currentNode())
    np.testing.assert_array_equal(dose, core_dose(torso, "local").dose.array_kji)


def test_what_a_field_shows_is_read_again_at_apply(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    """Whatever a field of another host keeps to itself."""
    import slicer

    (tmp_path / "curve.csv").write_text(CALIBRATION, encoding="utf-8")
    choose(panel.ui.methodComboBox, "Local")
    type_path(panel.ui.ctCalibrationPathLineEdit, str(tmp_path / "curve.csv"))
    panel.ui.ctCalibrationPathLineEdit.blockSignals(True)
    type_path(panel.ui.ctCalibrationPathLineEdit, "")
    panel.ui.ctCalibrationPathLineEdit.blockSignals(False)
    panel.ui.applyButton.click()
    wait(panel)
    dose = slicer.util.arrayFromVolume(panel.ui.shownDoseSelector.currentNode())
    np.testing.assert_array_equal(dose, core_dose(torso, "local").dose.array_kji)


def test_segments_without_a_check_mark_get_no_row(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import qt

    table = panel.ui.regionsTable
    names = [table.item(row, 0).text() for row in range(table.rowCount)]
    assert names == [row.region for row in core_dose(torso, "local").table]
    assert table.item(names.index("tumour1"), 1).text() == "lesion"
    panel.ui.checkNoneButton.click()
    table.item(names.index("liver"), 0).setCheckState(qt.Qt.Checked)
    apply(panel)
    assert columns(panel.ui.resultsTableView.mrmlTableNode())["Structure"] == ["liver"]
    panel.ui.checkAllButton.click()
    assert all(table.item(row, 0).checkState() == qt.Qt.Checked for row in range(table.rowCount))


def test_a_new_segment_appears_in_the_list(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    count = panel.ui.regionsTable.rowCount
    torso.segmentation.GetSegmentation().AddEmptySegment("metastasis", "metastasis")
    assert panel.ui.regionsTable.rowCount == count + 1
    torso.segmentation.GetSegmentation().RemoveSegment("metastasis")
    assert panel.ui.regionsTable.rowCount == count


def _start_endless_run(panel: SimpleNamespace) -> None:
    """A Monte Carlo run that is under way and would not end."""
    choose(panel.ui.methodComboBox, "Monte Carlo")
    panel.ui.historiesSpinBox.value = ENDLESS_HISTORIES
    panel.ui.applyButton.click()
    wait(panel, lambda: panel.ui.progressBar.value > 0)
    assert panel.run.isRunning


def test_cancel_in_the_middle_leaves_the_scene_as_it_was(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    before = node_ids()
    _start_endless_run(panel)
    assert panel.ui.cancelButton.enabled
    panel.ui.cancelButton.click()
    wait(panel)
    assert panel.ui.statusLabel.text == "Cancelled; the scene is unchanged."
    assert node_ids() == before
    assert panel.ui.applyButton.enabled


def test_a_second_apply_is_refused_while_one_runs(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    _start_endless_run(panel)
    assert not panel.ui.applyButton.enabled
    assert "A computation is under way" in panel.ui.applyButton.toolTip
    panel.run.onApply()
    assert "A computation is under way" in panel.ui.statusLabel.text
    assert panel.run.isRunning
    panel.ui.cancelButton.click()
    wait(panel)


def test_a_dose_that_ends_while_another_module_is_shown_is_there_when_the_user_comes_back(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    choose(panel.ui.methodComboBox, "Local")
    panel.ui.applyButton.click()
    panel.widget.exit()
    wait(panel)
    assert panel.ui.statusLabel.text.startswith("Dose done.")
    panel.widget.enter()
    dose = panel.ui.shownDoseSelector.currentNode()
    assert dose is panel.ui.referenceDoseSelector.currentNode() is not None
    assert panel.ui.resultsTableView.mrmlTableNode() is dose.GetNodeReference("RadioDosimetry.doseTableRef")


def test_a_scene_closed_during_a_run_stays_empty(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    _start_endless_run(panel)
    slicer.mrmlScene.Clear(0)
    assert not panel.run.isRunning
    slicer.app.processEvents()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTableNode") == 0
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Select the CT."


def _bend(node: Any) -> None:
    import slicer
    import vtk

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    transform.SetAndObserveTransformToParent(vtk.vtkThinPlateSplineTransform())
    node.SetAndObserveTransformNodeID(transform.GetID())


def _move_far(node: Any) -> None:
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 5000.0)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Far")
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())


def _name_frames(torso: SimpleNamespace) -> None:
    torso.ct.SetAttribute("RadioDosimetry.FrameOfReferenceUID", "1.2.3")
    torso.activity.SetAttribute("RadioDosimetry.FrameOfReferenceUID", "1.2.4")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda torso: _bend(torso.ct), "harden the transform"),
        (lambda torso: _bend(torso.activity), "harden the transform"),
        (lambda torso: _bend(torso.segmentation), "harden the transform"),
        (lambda torso: _move_far(torso.segmentation), "no voxel inside the volume"),
        (lambda torso: _move_far(torso.ct), "do not overlap"),
        (lambda torso: torso.segmentation.GetSegmentation().AddEmptySegment("empty", "empty"), "'empty' is empty"),
        (_name_frames, "different frames of reference"),
    ],
)
def test_bad_input_ends_as_a_message_with_the_scene_unchanged(
    panel: SimpleNamespace, torso: SimpleNamespace, spoil: Callable[[Any], Any], text: str
) -> None:
    spoil(torso)
    before = node_ids()
    apply(panel)
    assert text in panel.ui.statusLabel.text
    assert node_ids() == before
    assert panel.ui.applyButton.enabled


def test_an_empty_segmentation_is_named_on_the_button(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    torso.segmentation.GetSegmentation().RemoveAllSegments()
    panel.widget.onParameterNodeModified()
    assert "has no segment" in panel.ui.applyButton.toolTip
    assert not panel.ui.applyButton.enabled


def test_two_doses_give_a_difference_by_clicks(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    assert panel.ui.compareButton.toolTip == "Select two doses on one grid."
    apply(panel, "Single voxel")
    reference = panel.ui.shownDoseSelector.currentNode()
    apply(panel, "Local")
    test = panel.ui.shownDoseSelector.currentNode()
    assert test is not reference
    assert panel.ui.referenceDoseSelector.currentNode() is reference
    assert panel.ui.testDoseSelector.currentNode() is test
    panel.ui.compareButton.click()
    difference = panel.ui.differenceSelector.currentNode()
    arrays = [slicer.util.arrayFromVolume(node) for node in (difference, test, reference)]
    np.testing.assert_array_equal(arrays[0], arrays[1] - arrays[2])
    assert panel.ui.statusLabel.text.startswith("Difference from")


def test_early_and_delayed_scan_and_dose_lie_beside_each_other_at_one_window(
    panel: SimpleNamespace, torso: SimpleNamespace, application: Any
) -> None:
    import slicer

    from radiodosimetry.units import Quantity
    from RadioDosimetryLib.display import niceCeiling
    from RadioDosimetryLib.quantities import setQuantity

    assert not panel.ui.sideBySideButton.enabled
    late = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, torso.activity, "Late scan")
    slicer.util.updateVolumeFromArray(late, slicer.util.arrayFromVolume(torso.activity) / 4)
    setQuantity(late, Quantity.ACTIVITY_CONCENTRATION)
    late.SetAttribute("RadioDosimetry.HoursAfterInjection", "96")
    torso.activity.SetAttribute("RadioDosimetry.HoursAfterInjection", "24")
    apply(panel)
    panel.ui.sideBySideButton.click()
    dose = panel.ui.shownDoseSelector.currentNode()
    manager = application.layoutManager()
    composites = [manager.sliceWidget(name).mrmlSliceCompositeNode() for name in ("Red", "Yellow", "Green")]
    shown = [composite.GetForegroundVolumeID() for composite in composites]
    assert shown == [torso.activity.GetID(), late.GetID(), dose.GetID()]
    assert all(composite.GetBackgroundVolumeID() == torso.ct.GetID() for composite in composites)
    assert all(composite.GetLinkedControl() for composite in composites)
    windows = [node.GetDisplayNode().GetWindowLevelMax() for node in (torso.activity, late)]
    values = slicer.util.arrayFromVolume(torso.activity)
    assert windows == [niceCeiling(np.percentile(values[values > 0], 99.9))] * 2
    assert dose.GetDisplayNode().GetColorNode().GetName() == "RadioDosimetry_Dose"
    assert 'type="horizontal"' in manager.layoutLogic().GetLayoutNode().GetLayoutDescription(manager.layout)
    apply(panel, "Single voxel")
    panel.ui.sideBySideButton.click()
    other = panel.ui.shownDoseSelector.currentNode()
    assert other is not dose
    shown = [composite.GetForegroundVolumeID() for composite in composites]
    assert shown == [torso.activity.GetID(), other.GetID(), dose.GetID()]
    assert other.GetDisplayNode().GetWindowLevelMax() == dose.GetDisplayNode().GetWindowLevelMax()


def test_isodose_lines_come_and_go(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    apply(panel)
    panel.ui.isodoseButton.click()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLModelNode") > 2
    panel.ui.isodoseButton.click()
    assert all(
        not slicer.mrmlScene.GetNthNodeByClass(number, "vtkMRMLModelNode").GetAttribute("RadioDosimetry.IsodoseGy")
        for number in range(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLModelNode"))
    )


def test_the_dose_is_exported_and_a_folder_that_takes_no_file_gives_a_message(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    apply(panel)
    assert not panel.ui.exportButton.enabled
    for name in ("dose.dcm", "other", "third.DCM"):
        type_path(panel.ui.exportPathLineEdit, "")
        assert not panel.ui.exportButton.enabled
        type_path(panel.ui.exportPathLineEdit, str(tmp_path / name))
        assert panel.ui.exportButton.enabled
        panel.ui.exportButton.click()
    assert all((tmp_path / name).is_file() for name in ("dose.dcm", "other.dcm", "third.DCM"))
    (tmp_path / "taken").write_text("a file, not a folder")
    before = node_ids()
    panel.ui.exportPathLineEdit.currentPath = str(tmp_path / "taken" / "dose.dcm")
    panel.ui.exportButton.click()
    assert "dose.dcm" in panel.ui.statusLabel.text
    assert "Written" not in panel.ui.statusLabel.text
    assert node_ids() == before


def test_choices_come_back_when_the_module_is_opened_again(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.nuclideComboBox.currentText = "Y-90"
    choose(panel.ui.nuclideComboBox, "Y-90")
    panel.ui.ctCalibrationPathLineEdit.currentPath = "/data/scanner.csv"
    panel.widget.exit()
    panel.ui.ctCalibrationPathLineEdit.currentPath = ""
    panel.widget.enter()
    assert panel.ui.nuclideComboBox.currentText == "Y-90"
    assert panel.ui.ctSelector.currentNode() is torso.ct
    assert panel.ui.ctCalibrationPathLineEdit.currentPath == "/data/scanner.csv"


def test_drawing_without_an_editor_ends_as_a_message(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer
    import standin

    if slicer.util.mainWindow() is not None:
        pytest.skip("this host has the module Segment Editor")
    panel.ui.segmentationSelector.setCurrentNode(None)
    before = node_ids()
    with standin.without("qMRMLSegmentEditorWidget"):
        panel.ui.editRegionsButton.click()
    assert "There is no segment editor here" in panel.ui.statusLabel.text
    assert node_ids() == before


def test_drawing_opens_the_segment_editor_on_a_new_segmentation(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer
    import standin

    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: panel)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.ui.segmentationSelector.setCurrentNode(None)
    with standin.without("qMRMLSegmentEditorWidget"):
        panel.ui.editRegionsButton.click()
    assert opened == ["SegmentEditor"]
    assert panel.ui.segmentationSelector.currentNode().GetName() == "Regions"


def test_a_saved_scene_reopens_with_choices_and_results(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path, application: Any
) -> None:
    import slicer

    panel.ui.seedSpinBox.value = 17
    panel.ui.checkNoneButton.click()
    apply(panel)
    name = panel.ui.shownDoseSelector.currentNode().GetName()
    dose = slicer.util.arrayFromVolume(panel.ui.shownDoseSelector.currentNode()).copy()
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert panel.ui.shownDoseSelector.currentNode() is None
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.widget.enter()
    application.processEvents()
    shown = panel.ui.shownDoseSelector.currentNode()
    assert shown.GetName() == name
    assert shown.GetVoxelValueUnits().GetCodeValue() == "Gy"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(shown), dose)
    assert shown.GetNodeReference("RadioDosimetry.ctRef").GetName() == "Torso CT"
    assert panel.ui.seedSpinBox.value == 17
    assert panel.ui.applyButton.enabled
    assert panel.run._regions.checkedSegmentIDs() == []


def test_the_sample_patient_comes_from_sample_data_without_a_download(panel: SimpleNamespace) -> None:
    import slicer

    import VoxelDose

    VoxelDose.registerSampleData()
    sources = slicer.modules.sampleDataSources["RadioDosimetry"]
    source = next(source for source in sources if "Lu-177 SPECT, organs" in source.sampleName)
    source.customDownloader(source)
    # The scene numbers names that it has given before, even to nodes that are gone.
    names = [node.GetName() for node in slicer.util.getNodes("Patient*").values()]
    for start in ("Patient CT", "Patient Lu-177 24 h", "Patient regions"):
        assert any(name.startswith(start) for name in names), names
    panel.widget.enter()
    assert panel.ui.applyButton.enabled


def test_the_module_tests_itself(panel: SimpleNamespace) -> None:
    import unittest

    import VoxelDose

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(VoxelDose.VoxelDoseTest).run(result)
    assert result.testsRun == 2
    assert not result.failures + result.errors
