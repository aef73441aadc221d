"""Scans and regions in TimeActivityFit's panel, by clicks: sequences, transforms, registration."""

from __future__ import annotations

from collections.abc import Iterator
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
    second_scan_moved,
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


def test_hours_that_are_still_being_typed_count_when_a_button_is_pressed(
    panel: SimpleNamespace, torso: SimpleNamespace
) -> None:
    """On macOS a click on a button leaves the cursor in the cell, whose text nobody has heard of yet."""
    import standin

    if not standin.isStandin():
        pytest.skip("the editor of a cell is reached through the stand-in")
    ui = panel.ui
    choose(ui.modelComboBox, "One exponential")
    ui.scansTable.setCurrentCell(3, HOURS)
    table = ui.scansTable.real_()
    table.editItem(table.item(3, HOURS))
    table.focusWidget().setText("200")
    assert list(parameters(panel).scanHours) == [4.0, 24.0, 72.0, 168.0]
    click(panel, ui.applyButton)
    assert list(parameters(panel).scanHours) == [4.0, 24.0, 72.0, 200.0]
    assert columns(parameters(panel).curvesTable)["Time (h)"][:4] == [4.0, 24.0, 72.0, 200.0]


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


def test_a_transform_of_the_users_own_brings_a_moved_scan_back(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import slicer

    ui = panel.ui
    click(panel, ui.applyButton)
    expected = columns(parameters(panel).curvesTable)
    second_scan_moved(panel, torso)
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
    largest = found.quality["largest_displacement_mm"]
    assert f"largest displacement in the body: {node.GetName()}: {largest:.1f} mm" in ui.messageLabel.text
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
