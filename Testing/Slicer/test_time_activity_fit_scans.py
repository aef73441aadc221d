"""Scans and regions in TimeActivityFit's panel, by clicks: sequences, transforms, registration, drawing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from fit_panel import (
    CT,
    HOURS,
    NAME,
    ORGAN,
    OWN_REGIONS,
    REGION,
    TRANSFORM,
    VOXEL_MM,
    add,
    choose,
    click,
    columns,
    loaded_torso,
    node_ids,
    opened_panel,
    parameters,
    row_of,
    select,
    type_hours,
)


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """The panel of the module, opened on an empty scene."""
    yield from opened_panel()


@pytest.fixture
def torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso in the table of scans."""
    return loaded_torso(panel)


def test_a_sequence_brings_its_own_hours(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    from RadioDosimetryLib.sequences import sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    ui = panel.ui
    click(panel, ui.applyButton)
    expected = columns(parameters(panel).curvesTable)
    sequence = sequenceFromVolumes([(hours, volumeFromNode(scan)) for scan, hours in torso.rows], "Torso")
    for _ in torso.scans:
        ui.removeScanButton.click()
    assert ui.scansTable.rowCount == 0
    add(panel, sequence)
    assert ui.scansTable.item(0, HOURS).text() == "in the sequence"
    assert ui.referenceComboBox.count == 4
    assert not ui.ctSelector.enabled
    click(panel, ui.applyButton)
    assert columns(parameters(panel).curvesTable) == expected


def test_registration_by_clicks_puts_transforms_into_the_table(panel: SimpleNamespace) -> None:
    import TimeActivityFit

    ui = panel.ui
    ct, scans, hours, _segmentation = TimeActivityFit.loadSampleScans(12.0)
    for scan in scans[:2]:
        add(panel, scan)
    for row in (0, 1):
        type_hours(panel, row, f"{hours[row]:g}")
        ui.scansTable.setCurrentCell(row, NAME)
        ui.ctSelector.setCurrentNode(ct)
    assert [ui.scansTable.item(row, CT).toolTip() for row in (0, 1)] == ["Torso CT", "Torso CT"]
    before = node_ids()
    click(panel, ui.registerButton)
    assert node_ids() == before  # one CT for both: nothing to register
    import slicer

    other = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, ct, "other CT")
    ui.ctSelector.setCurrentNode(other)
    click(panel, ui.registerButton)
    assert ui.scansTable.item(1, TRANSFORM).toolTip() == "Torso Lu-177 24 h to Torso Lu-177 4 h"
    assert ui.transformSelector.currentNode() is not None


def test_an_unhardened_transform_that_scales_is_refused(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    scaling = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "scaling")
    scaling.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([2.0, 1.0, 1.0, 1.0])))
    torso.scans[1].SetAndObserveTransformNodeID(scaling.GetID())
    before = node_ids()
    click(panel, panel.ui.applyButton)
    assert "harden the transform first" in panel.ui.messageLabel.text
    assert node_ids() == before


def test_an_injection_time_that_is_none_is_refused(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.injectionTimeLineEdit.text = "yesterday"
    panel.ui.timesFromDicomButton.click()
    assert "'yesterday' is no date and time" in panel.ui.messageLabel.text
    panel.ui.injectionTimeLineEdit.text = ""
    panel.ui.timesFromDicomButton.click()
    assert "give its hours by hand" in panel.ui.messageLabel.text
    assert panel.ui.scansTable.item(0, HOURS).text() == "4"


def test_a_scan_that_leaves_the_scene_is_asked_for(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(torso.scans[1])
    assert panel.ui.applyButton.toolTip == "A scan has left the scene: remove its row."
    panel.ui.scansTable.setCurrentCell(1, NAME)
    panel.ui.removeScanButton.click()
    assert panel.ui.scansTable.rowCount == 3
    assert panel.ui.applyButton.enabled


def test_an_empty_segmentation_is_refused(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    panel.ui.segmentationSelector.setCurrentNode(empty)
    assert panel.ui.applyButton.toolTip == "Segmentation 'empty' has no segment: draw the regions."
    empty.GetSegmentation().AddEmptySegment("liver", "liver")
    panel.widget.onParameterNodeModified()
    before = node_ids()
    click(panel, panel.ui.applyButton)
    assert "liver" in panel.ui.messageLabel.text
    assert node_ids() == before


def _moved(node: Any, shift_mm: tuple[float, float, float], name: str) -> Any:
    """A scan or segmentation's source as it would be had the patient lain elsewhere (RAS)."""
    from dataclasses import replace

    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    volume = volumeFromNode(node)
    lps = np.array(shift_mm) * [-1.0, -1.0, 1.0]
    origin = tuple(np.array(volume.geometry.origin_mm) + lps)
    return nodeFromVolume(replace(volume, geometry=replace(volume.geometry, origin_mm=origin)), name)


def _moved_regions(segmentation: Any, source: Any, target: Any, name: str) -> Any:
    """The regions drawn on a moved scan: the same voxels of it."""
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.segmentations import regionsFromSegmentation, segmentationFromRegions

    regions = regionsFromSegmentation(segmentation, geometryOfVolume(source))
    return segmentationFromRegions(regions[::-1], geometryOfVolume(target), name)  # in another order, found by name


def _second_scan_moved(panel: SimpleNamespace, torso: SimpleNamespace) -> Any:
    """The second row holds a scan of a patient who lay 40 mm further; its regions of its own are not chosen yet."""
    moved = _moved(torso.scans[1], (40.0, 0.0, 0.0), "moved")
    select(panel, 1)
    panel.ui.removeScanButton.click()
    add(panel, moved)
    type_hours(panel, 3, "24")
    panel.ui.sortScansButton.click()
    select(panel, 1)
    return moved


def test_each_scan_may_have_regions_of_its_own(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    """Regions drawn on a scan that lies elsewhere measure as those of all scans do where it lies in its place."""
    ui = panel.ui
    click(panel, ui.applyButton)
    expected = columns(parameters(panel).curvesTable)
    moved = _second_scan_moved(panel, torso)
    click(panel, ui.applyButton)
    assert columns(parameters(panel).curvesTable)["Activity (MBq)"] != expected["Activity (MBq)"]
    own = _moved_regions(torso.segmentation, torso.scans[1], moved, "regions at 24 h")
    ui.ownRegionsSelector.setCurrentNode(own)
    assert ui.scansTable.item(1, OWN_REGIONS).toolTip() == "regions at 24 h"
    click(panel, ui.applyButton)
    assert columns(parameters(panel).curvesTable) == expected
    assert "they must be registered" not in ui.messageLabel.text


def _activities(panel: SimpleNamespace) -> dict[tuple[str, float], float]:
    """Activity by region and hours [MBq]."""
    found = columns(parameters(panel).curvesTable)
    keys = zip(found["Region"], found["Time (h)"], strict=True)
    return dict(zip(keys, found["Activity (MBq)"], strict=True))


def test_regions_of_each_scan_need_no_common_segmentation(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import qt

    ui = panel.ui
    click(panel, ui.applyButton)
    before = _activities(panel)
    ui.segmentationSelector.setCurrentNode(None)
    assert ui.applyButton.toolTip == "Choose a segmentation, or tick Whole body."
    for row, scan in enumerate(torso.scans):
        select(panel, row)
        own = _moved_regions(torso.segmentation, torso.scans[0], scan, f"regions {row}")
        ui.ownRegionsSelector.setCurrentNode(own)
        if row < 3:
            missing = ", ".join(one.GetName() for one in torso.scans[row + 1 :])
            assert ui.applyButton.toolTip == f"Choose the regions of {missing}, or a segmentation for all."
    assert 4 * ui.regionsTable.rowCount == len(before)
    click(panel, ui.applyButton)
    assert _activities(panel) == before
    segment = own.GetSegmentation().GetNthSegment(0)
    name = segment.GetName()
    segment.SetName("elsewhere")
    click(panel, ui.applyButton)
    assert f"the regions of {torso.scans[3].GetName()}, lacks the segment {name}; draw it there" in ui.messageLabel.text
    ui.regionsTable.item(row_of(panel, name), REGION).setCheckState(qt.Qt.Unchecked)
    click(panel, ui.applyButton)
    assert "Curves of 9 regions fitted." in ui.messageLabel.text


def test_regions_of_a_scan_come_back_with_the_scene(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    import slicer

    moved = _second_scan_moved(panel, torso)
    panel.ui.ownRegionsSelector.setCurrentNode(_moved_regions(torso.segmentation, torso.scans[1], moved, "own"))
    click(panel, panel.ui.applyButton)
    expected = columns(parameters(panel).curvesTable)["Activity (MBq)"]
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    panel.widget.initializeParameterNode()
    tips = [panel.ui.scansTable.item(row, OWN_REGIONS).toolTip() for row in range(4)]
    assert tips == ["", "own", "", ""]
    click(panel, panel.ui.applyButton)
    np.testing.assert_allclose(columns(parameters(panel).curvesTable)["Activity (MBq)"], expected, rtol=1e-12)


def test_a_transform_of_the_users_own_brings_a_moved_scan_back(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    ui = panel.ui
    click(panel, ui.applyButton)
    expected = columns(parameters(panel).curvesTable)
    _second_scan_moved(panel, torso)
    back = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "back")
    matrix = np.eye(4)
    matrix[0, 3] = -40.0
    back.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    ui.transformSelector.setCurrentNode(back)
    assert ui.scansTable.item(1, TRANSFORM).toolTip() == "back"
    click(panel, ui.applyButton)
    assert columns(parameters(panel).curvesTable) == expected


LEAST_BENT_MM = 15.0
"""Some point of the bent torso lies at least as far from its place."""


def _bending(geometry: Any) -> Any:
    """A smooth displacement in the middle of the torso, as of breathing, as the core's registration."""
    import SimpleITK as sitk

    from radiodosimetry.images.registered import Registration
    from radiodosimetry.provenance import Record

    k, j, i = np.indices(geometry.shape_kji)
    lps = np.stack([i, j, k], -1) @ geometry.ijk_to_lps[:3, :3].T + geometry.ijk_to_lps[:3, 3]
    share = np.exp(-np.square(lps / [110.0, 90.0, 90.0]).sum(axis=-1))
    field = sitk.GetImageFromArray(share[..., None] * [0.0, -8.0, 16.0], isVector=True)
    field.SetSpacing(geometry.spacing_mm)
    field.SetOrigin(geometry.origin_mm)
    return Registration(sitk.DisplacementFieldTransform(field), "b-spline", geometry, None, {}, Record("bent"))


@pytest.fixture
def registrations(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the core finds, kept; its nodes far apart, which is fast."""
    from radiodosimetry.images import registration

    kept: list[Any] = []
    original = registration.register_bspline

    def keeping(*arguments: Any, **options: Any) -> Any:
        kept.append(original(*arguments, grid_spacing_mm=90.0, **options))
        return kept[-1]

    monkeypatch.setattr(registration, "register_bspline", keeping)
    return kept


def test_a_bent_patient_is_registered_by_a_b_spline(panel: SimpleNamespace, registrations: list[Any]) -> None:
    """The deformation found by clicks is the core's, undoes part of the bending, carries the activity as the core."""
    import slicer
    import vtk

    import TimeActivityFit
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.segmentations import regionsFromSegmentation
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    ui = panel.ui
    ct, scans, hours, segmentation = TimeActivityFit.loadSampleScans(VOXEL_MM)
    grid = geometryOfVolume(ct)
    bending = _bending(grid)
    bent_ct = nodeFromVolume(bending.apply_to_ct(volumeFromNode(ct)), "bent CT")
    bent = nodeFromVolume(bending.apply_to_activity(volumeFromNode(scans[1])), "bent")
    for row, (scan, its_ct) in enumerate(((scans[0], ct), (bent, bent_ct))):
        add(panel, scan)
        type_hours(panel, row, f"{hours[row]:g}")
        select(panel, row)
        ui.ctSelector.setCurrentNode(its_ct)
    choose(ui.registrationComboBox, "B-spline")
    click(panel, ui.registerButton)
    node = ui.transformSelector.currentNode()
    assert node.GetName().endswith("(deforming)")
    assert not node.IsTransformToWorldLinear()
    (found,) = registrations
    from_world = vtk.vtkGeneralTransform()
    node.GetTransformFromWorld(from_world)
    errors, before = [], []
    for point in np.array([(x, y, z) for x in (-80, 0, 80) for y in (-40, 0, 40) for z in (-60, 0, 60)], float):
        ras = np.array(from_world.TransformPoint(point * [-1.0, -1.0, 1.0]))
        lps = ras * [-1.0, -1.0, 1.0]
        np.testing.assert_allclose(lps, found.transform.TransformPoint(point), atol=1e-3)
        errors.append(np.linalg.norm(np.subtract(bending.transform.TransformPoint(lps), point)))
        before.append(np.linalg.norm(np.subtract(bending.transform.TransformPoint(point), point)))
    assert max(before) > LEAST_BENT_MM
    assert np.mean(errors) < 0.75 * np.mean(before)
    ui.segmentationSelector.setCurrentNode(segmentation)
    click(panel, ui.applyButton)
    curves = columns(parameters(panel).curvesTable)
    carried = found.apply_to_activity(volumeFromNode(bent))
    for region in regionsFromSegmentation(segmentation, grid):
        row = curves["Region"].index(region.name) + 1
        inside = carried.array_kji[region.mask_kji].sum() * grid.voxel_volume_ml / 1e6
        assert curves["Activity (MBq)"][row] == pytest.approx(inside, rel=0.02)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTransformStorageNode") == 0  # no trace of a file


def _in_editor(panel: SimpleNamespace, name: str) -> Any:
    """A widget of the embedded editor."""
    import slicer

    return slicer.util.findChild(panel.ui.regionsWidget, name)


@pytest.fixture
def embedded(application: Any) -> None:
    """A host that has the segment editor as a widget."""
    import slicer

    if not hasattr(slicer, "qMRMLSegmentEditorWidget"):
        pytest.skip("this host has no segment editor widget")


def test_a_lesion_is_drawn_in_the_panel_and_measured(
    panel: SimpleNamespace, torso: SimpleNamespace, embedded: None
) -> None:
    """From no segmentation to a curve by clicks: new regions on the scan, 41 % of its maximum, measure and fit."""
    import slicer

    ui = panel.ui
    ui.segmentationSelector.setCurrentNode(None)
    select(panel, 1)
    ui.editRegionsButton.click()
    drawn = ui.segmentationSelector.currentNode()
    assert drawn.GetName().startswith("Regions")
    _in_editor(panel, "percentThresholdButton").click()
    assert ui.regionsTable.rowCount == 1  # the table hears of it
    values = slicer.util.arrayFromVolume(torso.scans[1])
    expected = values >= 0.41 * values.max()
    click(panel, ui.applyButton)
    curves = columns(parameters(panel).curvesTable)
    voxel_ml = np.prod(torso.scans[1].GetSpacing()) / 1000.0
    assert curves["Activity (MBq)"][1] == pytest.approx(values[expected].sum() * voxel_ml / 1e6, rel=1e-6)
    assert curves["Volume (mL)"][1] == pytest.approx(expected.sum() * voxel_ml, rel=1e-9)


def test_the_editor_draws_in_the_regions_of_the_selected_scan(
    panel: SimpleNamespace, torso: SimpleNamespace, embedded: None
) -> None:
    ui, count = panel.ui, torso.segmentation.GetSegmentation().GetNumberOfSegments()
    select(panel, 2)
    ui.ownRegionsSelector.addNode()
    own = ui.ownRegionsSelector.currentNode()
    assert own is not None
    assert own is not torso.segmentation
    ui.editRegionsButton.click()
    fixed = _in_editor(panel, "fixedThresholdSpinBox")
    assert fixed.suffix == " Bq/mL"
    import slicer

    values = slicer.util.arrayFromVolume(torso.scans[2])
    fixed.value = round(float(np.percentile(values, 99.0)))
    _in_editor(panel, "fixedThresholdButton").click()
    assert own.GetSegmentation().GetNumberOfSegments() == 1
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(own, own.GetSegmentation().GetNthSegmentID(0), torso.scans[2])
    np.testing.assert_array_equal(mask > 0, values >= fixed.value)
    assert torso.segmentation.GetSegmentation().GetNumberOfSegments() == count
    frame = _in_editor(panel, "regionEditorFrame")
    assert frame.isVisibleTo(ui.regionsWidget)
    select(panel, 0)  # another scan, whose regions are those of all
    assert not frame.isVisibleTo(ui.regionsWidget)


def test_without_an_editor_widget_the_module_opens(
    panel: SimpleNamespace, torso: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    opened: list[str] = []
    monkeypatch.delattr(slicer, "qMRMLSegmentEditorWidget", raising=False)
    panel.ui.editRegionsButton.click()
    assert "There is no segment editor here" in panel.ui.messageLabel.text
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: panel)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.ui.editRegionsButton.click()
    assert opened == ["SegmentEditor"]


def test_a_segment_that_comes_or_goes_is_seen(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    table, segments = panel.ui.regionsTable, torso.segmentation.GetSegmentation()
    count = table.rowCount
    segments.AddEmptySegment("metastasis", "metastasis")
    assert table.rowCount == count + 1
    assert table.cellWidget(row_of(panel, "metastasis"), ORGAN).currentText == "lesion (sphere)"
    segments.GetSegment("metastasis").SetName("bone metastasis")
    assert table.item(row_of(panel, "bone metastasis"), REGION).text() == "bone metastasis"
    segments.RemoveSegment("metastasis")
    assert table.rowCount == count
