"""Regions in TimeActivityFit's panel, by clicks: one segmentation for all scans or one each, drawn in the panel."""

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
    ORGAN,
    OWN_REGIONS,
    REGION,
    click,
    columns,
    loaded_torso,
    node_ids,
    opened_panel,
    parameters,
    row_of,
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


def _moved_regions(segmentation: Any, source: Any, target: Any, name: str) -> Any:
    """The regions drawn on a moved scan: the same voxels of it."""
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.segmentations import regionsFromSegmentation, segmentationFromRegions

    regions = regionsFromSegmentation(segmentation, geometryOfVolume(source))
    return segmentationFromRegions(regions[::-1], geometryOfVolume(target), name)  # in another order, found by name


def test_each_scan_may_have_regions_of_its_own(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    """Regions drawn on a scan that lies elsewhere measure as those of all scans do where it lies in its place."""
    ui = panel.ui
    click(panel, ui.applyButton)
    expected = columns(parameters(panel).curvesTable)
    moved = second_scan_moved(panel, torso)
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


def test_regions_of_a_scan_stay_with_it(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    """Whatever becomes of the rows, also where another module puts other scans into the table."""
    ui = panel.ui
    select(panel, 2)
    ui.ownRegionsSelector.setCurrentNode(torso.segmentation)
    type_hours(panel, 2, "1")
    ui.sortScansButton.click()
    tips = [ui.scansTable.item(row, OWN_REGIONS).toolTip() for row in range(4)]
    assert tips == [torso.segmentation.GetName(), "", "", ""]
    chosen = parameters(panel)
    chosen.scanNodes, chosen.scanHours = [torso.scans[0], torso.ct], [1.0, 2.0]
    chosen.scanCTs, chosen.scanTransforms = [None, None], [None, None]
    assert [ui.scansTable.item(row, OWN_REGIONS).toolTip() for row in range(2)] == ["", ""]


def test_regions_of_a_scan_come_back_with_the_scene(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    import slicer

    moved = second_scan_moved(panel, torso)
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
