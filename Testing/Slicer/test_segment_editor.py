"""Drawing regions inside VoxelDose's panel: the segment editor's threshold presets, by clicks; and the stand-in's
editor widget, which follows the real one's rules."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

VOXEL_MM = 8.0


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """VoxelDose with the CT and activity of the torso, no segmentation, and the editor open on a new one."""
    import standin

    import VoxelDose

    ct, activity, segmentation = VoxelDose.loadSampleTorso(VOXEL_MM)
    slicer.mrmlScene.RemoveNode(segmentation)
    _module, representation = standin.loadModule("VoxelDose")
    widget = representation.self()
    if not representation.isEntered:
        representation.enter()
    ui = widget.ui
    ui.ctSelector.setCurrentNode(ct)
    ui.activitySelector.setCurrentNode(activity)
    ui.segmentationSelector.setCurrentNode(None)
    ui.editRegionsButton.click()
    frame = slicer.util.findChild(ui.regionsWidget, "regionEditorFrame")
    yield SimpleNamespace(
        ui=ui, widget=widget, ct=ct, activity=activity, frame=frame, editor=widget._panel._editor._editor,
        **{name: slicer.util.findChild(frame, name) for name in (
            "percentThresholdButton", "fixedThresholdButton", "fixedThresholdSpinBox", "AddSegmentButton", "UndoButton",
        )},
    )  # fmt: skip
    representation.exit()


def _mask(panel: SimpleNamespace, number: int = 0) -> Any:
    """Voxels of a segment on the grid of the activity."""
    node = panel.ui.segmentationSelector.currentNode()
    segmentID = node.GetSegmentation().GetNthSegmentID(number)
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, segmentID, panel.activity) > 0


def _isShown(panel: SimpleNamespace) -> bool:
    """Whether the editor's part of the panel is open, also while the panel itself is in no window."""
    return bool(panel.frame.isVisibleTo(panel.ui.regionsWidget))


def _values(panel: SimpleNamespace) -> Any:
    return slicer.util.arrayFromVolume(panel.activity)


def test_the_editor_opens_on_a_new_segmentation_over_the_activity(panel: SimpleNamespace) -> None:
    assert panel.ui.segmentationSelector.currentNode().GetName().startswith("Regions")
    assert panel.editor.segmentationNode() is panel.ui.segmentationSelector.currentNode()
    assert panel.editor.sourceVolumeNode() is panel.activity
    assert _isShown(panel)
    assert panel.fixedThresholdSpinBox.suffix == " Bq/mL"


def test_41_percent_of_the_maximum_fills_a_new_segment(panel: SimpleNamespace) -> None:
    panel.percentThresholdButton.click()
    values = _values(panel)
    expected = values >= 0.41 * values.max()
    assert 0 < expected.sum() < expected.size / 2
    np.testing.assert_array_equal(_mask(panel), expected)
    assert panel.ui.regionsTable.rowCount == 1


def test_a_fixed_threshold_fills_the_segment_that_was_added(panel: SimpleNamespace) -> None:
    panel.AddSegmentButton.click()
    values = _values(panel)
    limit = float(np.percentile(values, 99.0))
    panel.fixedThresholdSpinBox.value = limit
    panel.fixedThresholdButton.click()
    np.testing.assert_array_equal(_mask(panel), values >= panel.fixedThresholdSpinBox.value)
    assert panel.ui.regionsTable.rowCount == 1


def test_the_volume_of_a_region_is_that_of_the_voxels_above(panel: SimpleNamespace) -> None:
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.segmentations import regionsFromSegmentation

    panel.percentThresholdButton.click()
    (region,) = regionsFromSegmentation(panel.ui.segmentationSelector.currentNode(), geometryOfVolume(panel.activity))
    values = _values(panel)
    voxelMl = np.prod(panel.activity.GetSpacing()) / 1000.0
    volumeMl = region.mask_kji.sum() * geometryOfVolume(panel.activity).voxel_volume_ml
    assert volumeMl == pytest.approx((values >= 0.41 * values.max()).sum() * voxelMl, rel=1e-12)


def test_inside_what_is_drawn_the_maximum_is_that_of_the_segment(panel: SimpleNamespace) -> None:
    values = _values(panel)
    panel.AddSegmentButton.click()
    panel.fixedThresholdSpinBox.value = float(np.percentile(values, 90.0))
    panel.fixedThresholdButton.click()
    drawn = _mask(panel)
    node = panel.ui.segmentationSelector.currentNode()
    half = drawn.copy()
    half[:, :, values.argmax() % values.shape[2] - 1 :] = False  # the part without the hottest voxels
    segmentID = node.GetSegmentation().GetNthSegmentID(0)
    slicer.util.updateSegmentBinaryLabelmapFromArray(half.astype(np.uint8), node, segmentID, panel.activity)
    highest = values[half].max()
    assert highest < values.max()
    panel.percentThresholdButton.click()
    np.testing.assert_array_equal(_mask(panel), half & (values >= 0.41 * highest))
    parameters = panel.editor.mrmlSegmentEditorNode()
    assert parameters.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere


def test_the_hottest_voxel_is_kept_however_many_digits_it_has(panel: SimpleNamespace) -> None:
    values = _values(panel)
    values[tuple(np.unravel_index(values.argmax(), values.shape))] = 98765432.0
    slicer.util.arrayFromVolumeModified(panel.activity)
    panel.fixedThresholdSpinBox.value = 98765424.0
    panel.fixedThresholdButton.click()
    assert _mask(panel).sum() == 1


def test_a_fill_can_be_undone(panel: SimpleNamespace) -> None:
    panel.AddSegmentButton.click()
    panel.percentThresholdButton.click()
    assert _mask(panel).any()
    panel.UndoButton.click()
    node = panel.ui.segmentationSelector.currentNode()
    segment = node.GetSegmentation().GetNthSegment(0)
    extent = segment.GetRepresentation("Binary labelmap").GetExtent()
    assert extent[1] < extent[0]


@pytest.mark.parametrize(("share", "words"), [(2.0, "is above the highest value"), (1.0, "is above")])
def test_a_threshold_above_the_volume_ends_as_a_message(panel: SimpleNamespace, share: float, words: str) -> None:
    panel.fixedThresholdSpinBox.value = share * float(_values(panel).max()) + 1.0
    panel.fixedThresholdButton.click()
    assert words in panel.ui.statusLabel.text
    assert panel.ui.segmentationSelector.currentNode().GetSegmentation().GetNumberOfSegments() == 0


def test_the_editor_closes_with_the_second_click_another_segmentation_and_the_scene(panel: SimpleNamespace) -> None:
    panel.ui.editRegionsButton.click()
    assert not _isShown(panel)
    assert panel.editor.mrmlSegmentEditorNode() is None
    panel.ui.editRegionsButton.click()
    assert _isShown(panel)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Other")
    panel.ui.segmentationSelector.setCurrentNode(other)
    assert not _isShown(panel)
    panel.ui.editRegionsButton.click()
    assert panel.editor.segmentationNode() is other
    slicer.mrmlScene.Clear(0)
    assert not _isShown(panel)
    assert panel.editor.segmentationNode() is None


def test_without_a_source_volume_the_presets_say_what_is_missing(panel: SimpleNamespace) -> None:
    panel.editor.setSourceVolumeNode(None)
    assert not panel.percentThresholdButton.enabled
    assert panel.percentThresholdButton.toolTip == "Select the source volume of the editor."


def test_a_host_without_the_widget_opens_the_module_instead(
    panel: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    import standin

    opened: list[str] = []
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: panel)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    panel.ui.editRegionsButton.click()
    with standin.without("qMRMLSegmentEditorWidget"):
        panel.ui.editRegionsButton.click()
    assert opened == ["SegmentEditor"]
    assert not _isShown(panel)


# The widget itself


@pytest.fixture
def editor(application: Any, scene: Any) -> Any:
    """An editor widget on the scene, with nothing to edit yet."""
    import standin

    if standin.insideSlicer():
        pytest.skip("these are properties of the stand-in, and this is Slicer")
    widget = slicer.qMRMLSegmentEditorWidget()
    widget.setMRMLScene(slicer.mrmlScene)
    return widget


def _volume(values: Any) -> Any:
    return slicer.util.addVolumeFromArray(np.asarray(values, np.float32))


def _editable(editor: Any) -> Any:
    """A segmentation with one empty segment, chosen in the editor."""
    editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    source = _volume(np.arange(60).reshape(3, 4, 5))
    node.SetReferenceImageGeometryParameterFromVolumeNode(source)
    editor.setSegmentationNode(node)
    editor.setSourceVolumeNode(source)
    node.GetSegmentation().AddEmptySegment("one", "one")
    editor.setCurrentSegmentID("one")
    return node


def test_an_effect_fills_by_its_parameters(editor: Any) -> None:
    node = _editable(editor)
    assert editor.activeEffect() is None
    editor.setActiveEffectByName("Threshold")
    effect = editor.activeEffect()
    assert effect.name == "Threshold"
    assert effect.perSegment
    effect.setParameter("MinimumThreshold", "50")
    effect.self().applyButton.click()
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, "one", editor.sourceVolumeNode()).sum() == 10
    assert editor.activeEffect() is None


def test_numbers_are_kept_with_six_digits_and_text_as_it_is(editor: Any) -> None:
    _editable(editor)
    editor.setActiveEffectByName("Threshold")
    effect = editor.activeEffect()
    effect.setParameter("MinimumThreshold", 123456.75)
    assert effect.doubleParameter("MinimumThreshold") == 123457.0
    effect.setParameter("MinimumThreshold", "123456.75")
    assert effect.doubleParameter("MinimumThreshold") == 123456.75


def test_the_source_follows_the_reference_of_the_segmentation(editor: Any) -> None:
    node = _editable(editor)
    first = editor.sourceVolumeNode()
    editor.setSourceVolumeNode(_volume(np.ones((3, 4, 5))))
    editor.setSegmentationNode(None)
    editor.setSegmentationNode(node)
    assert editor.sourceVolumeNode() is first
    assert editor.currentSegmentID() == "one"


def _withoutNode(editor: Any) -> None:
    editor.setActiveEffect(editor.effectByName("Threshold"))


def _withoutEditorNode(editor: Any) -> None:
    editor.setSegmentationNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))


def _sourceBeforeSegmentation(editor: Any) -> None:
    editor.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    editor.setSourceVolumeNode(_volume(np.ones((3, 4, 5))))


@pytest.mark.parametrize("mistake", [_withoutNode, _withoutEditorNode, _sourceBeforeSegmentation])
def test_what_slicer_prints_as_an_error_is_a_problem(editor: Any, mistake: Any) -> None:
    import standin

    mistake(editor)
    assert standin.forgetProblems()


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda editor: editor.setActiveEffectByName("Paint"), NotImplementedError),
        (lambda editor: editor.setSegmentationNode("Regions"), ValueError),
        (lambda editor: editor.setMRMLSegmentEditorNode(slicer.vtkMRMLTextNode()), ValueError),
        (lambda editor: editor.setMasterVolume(None), AttributeError),
        (lambda editor: editor.activeEffect().setParameter("MinimumThreshold", None), ValueError),
    ],
)
def test_the_widget_refuses_what_slicer_refuses(editor: Any, mistake: Any, error: type) -> None:
    _editable(editor)
    editor.setActiveEffectByName("Threshold")
    with pytest.raises(error):
        mistake(editor)


def test_a_hidden_segment_would_wait_for_a_person(editor: Any) -> None:
    node = _editable(editor)
    node.GetDisplayNode().SetSegmentVisibility("one", False)
    editor.setActiveEffectByName("Threshold")
    with pytest.raises(RuntimeError, match="would wait for a person"):
        editor.activeEffect().self().onApply()
