"""How results are shown: colours, windows, thresholds, legends, views, isodose lines, places in the hierarchy."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import OBLIQUE, STRAIGHT, dose_volume  # noqa: E402

from radiodosimetry.errors import InputError, UnitError  # noqa: E402
from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from RadioDosimetryLib import display, hierarchy, isodose  # noqa: E402
from RadioDosimetryLib.colorNodes import colorAt, colorNode  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")


def _node(array: np.ndarray, quantity: Quantity, name: str) -> Any:
    return nodeFromVolume(QuantitativeVolume(array, STRAIGHT, quantity), name)


def _composite(view: str) -> Any:
    return _view_node("vtkMRMLSliceCompositeNode", view)


def _view_node(class_name: str, view: str) -> Any:
    """The node of a view: one per name, which clearing the scene leaves."""
    node = slicer.mrmlScene.CreateNodeByClass(class_name)
    node.UnRegister(None)
    node.SetLayoutName(view)
    return slicer.mrmlScene.AddNode(node)


def _isodose_models() -> set[Any]:
    models = slicer.util.getNodesByClass("vtkMRMLModelNode")
    return {model for model in models if model.GetAttribute(isodose.LEVEL_ATTRIBUTE)}


def test_zero_dose_is_transparent_and_every_dose_from_the_threshold_on_is_shown() -> None:
    dose = nodeFromVolume(dose_volume(), "dose")
    display.showDose(dose)
    shown = dose.GetDisplayNode()
    array = slicer.util.arrayFromVolume(dose)
    assert shown.GetApplyThreshold()
    assert shown.GetLowerThreshold() == pytest.approx(0.01 * shown.GetWindowLevelMax())
    assert shown.GetUpperThreshold() > array.max()
    assert shown.GetWindowLevelMin() == pytest.approx(0.0)
    assert shown.GetWindowLevelMax() == pytest.approx(display.niceCeiling(np.percentile(array[array > 0], 99.99)))
    assert not shown.GetAutoWindowLevel()


def test_a_single_hot_voxel_does_not_set_the_window() -> None:
    array = np.full(STRAIGHT.shape_kji, 2.0)
    array[0, 0, 0] = 900.0
    dose = _node(array, Quantity.ABSORBED_DOSE, "hot")
    display.showDose(dose)
    assert dose.GetDisplayNode().GetWindowLevelMax() == pytest.approx(2.0)
    assert dose.GetDisplayNode().GetUpperThreshold() > 900.0


def test_a_dose_of_zero_everywhere_is_shown_without_fuss() -> None:
    dose = _node(np.zeros(STRAIGHT.shape_kji), Quantity.ABSORBED_DOSE, "nothing")
    display.showDose(dose)
    assert dose.GetDisplayNode().GetWindowLevelMax() == pytest.approx(1.0)
    assert dose.GetDisplayNode().GetLowerThreshold() > 0


def test_the_window_asked_for_is_taken() -> None:
    dose = nodeFromVolume(dose_volume(), "dose")
    display.showDose(dose, maximumGy=40.0, minimumGy=5.0)
    assert dose.GetDisplayNode().GetWindowLevelMax() == pytest.approx(40.0)
    assert dose.GetDisplayNode().GetLowerThreshold() == pytest.approx(5.0)


def test_the_dose_lies_over_the_ct_in_every_slice_view() -> None:
    composites = [_composite(view) for view in ("Red", "Yellow")]
    dose = nodeFromVolume(dose_volume(), "dose")
    ct = _node(np.zeros(STRAIGHT.shape_kji, np.int16), Quantity.CT_NUMBER, "ct")
    display.showDose(dose, ct, opacity=0.4)
    for composite in composites:
        assert composite.GetBackgroundVolumeID() == ct.GetID()
        assert composite.GetForegroundVolumeID() == dose.GetID()
        assert composite.GetForegroundOpacity() == pytest.approx(0.4)


def test_the_legend_says_quantity_and_unit_and_is_made_once() -> None:
    dose = nodeFromVolume(dose_volume(), "dose")
    display.showDose(dose)
    display.showDose(dose)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(dose)
    assert legend.GetTitleText() == "Absorbed dose\nGy"
    assert legend.GetVisibility()


def test_colours_are_made_once_per_scene_and_are_what_they_are_said_to_be() -> None:
    node = colorNode("dose")
    assert colorNode("dose") is node
    assert node.GetNumberOfColors() == 256
    found = [0.0] * 4
    for index in (0, 100, 255):
        node.GetColor(index, found)
        assert found[:3] == pytest.approx(colorAt("dose", index / 255), abs=1 / 255)
    assert colorAt("difference", 0.5) == pytest.approx((0.97, 0.97, 0.97))
    assert colorAt("dose", 0.0) != colorAt("dose", 1.0)


def test_a_difference_is_symmetric_about_white_and_not_cut_off() -> None:
    array = np.zeros(STRAIGHT.shape_kji)
    array[5] = -3.0
    array[6] = 1.0
    difference = _node(array, Quantity.DIMENSIONLESS, "difference")
    display.showDifference(difference, title="Monte Carlo − local")
    shown = difference.GetDisplayNode()
    assert shown.GetWindowLevelMin() == pytest.approx(-3.0)
    assert shown.GetWindowLevelMax() == pytest.approx(3.0)
    assert not shown.GetApplyThreshold()
    assert shown.GetColorNode() is colorNode("difference")
    assert slicer.modules.colors.logic().GetColorLegendDisplayNode(difference).GetTitleText() == "Monte Carlo − local"


def test_a_difference_near_zero_lets_the_ct_show() -> None:
    from vtk.util.numpy_support import vtk_to_numpy

    ramp = np.zeros(STRAIGHT.shape_kji)
    ramp[0, 0, :] = np.linspace(-1.2, 1.2, STRAIGHT.shape_kji[2])
    ramp[1, 0, :4] = (0.004, -0.004, 0.02, -0.02)
    difference = _node(ramp, Quantity.DIMENSIONLESS, "difference")
    display.showDifference(difference, largest=1.0)
    shown = difference.GetDisplayNode()
    shown.GetImageDataConnection().GetProducer().Update()
    rgba = vtk_to_numpy(shown.GetOutputImageData().GetPointData().GetScalars()).reshape(*STRAIGHT.shape_kji, 4)
    alpha = rgba[..., 3]
    assert alpha[5, 5, 5] == 0
    assert list(alpha[1, 0, :4]) == [0, 0, 255, 255]
    np.testing.assert_array_equal(alpha[0, 0] == 255, np.abs(ramp[0, 0]) > 0.012)


def test_a_table_of_an_older_scene_is_brought_up_to_date() -> None:
    node = colorNode("difference")
    node.RemoveAttribute("RadioDosimetry.ColorTable")
    node.SetColor(127, 1.0, 1.0, 1.0, 1.0)
    assert colorNode("difference") is node
    color = [1.0] * 4
    node.GetColor(127, color)
    assert color[3] == 0.0


def test_an_uncertainty_is_shown_up_to_all_of_the_value_at_most() -> None:
    array = np.full(STRAIGHT.shape_kji, 4.0)
    uncertainty = _node(array, Quantity.RELATIVE_UNCERTAINTY, "uncertainty")
    display.showUncertainty(uncertainty)
    assert uncertainty.GetDisplayNode().GetWindowLevelMax() == pytest.approx(1.0)
    assert uncertainty.GetDisplayNode().GetUpperThreshold() >= 4.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, 1.0),
        (-3.0, 1.0),
        (float("nan"), 1.0),
        (1.0, 1.0),
        (1.01, 1.2),
        (9.1, 10.0),
        (0.0007, 0.0008),
        (37.0, 40.0),
    ],
)
def test_windows_end_at_round_numbers(value: float, expected: float) -> None:
    assert display.niceCeiling(value) == pytest.approx(expected)


def test_side_by_side_views_are_axial_linked_and_early_and_delayed_share_a_window() -> None:
    composites = [_composite(view) for view in ("Red", "Yellow", "Green")]
    slices = [_view_node("vtkMRMLSliceNode", view) for view in ("Red", "Yellow", "Green")]
    slices[1].SetOrientation("Sagittal")
    early = _node(np.full(STRAIGHT.shape_kji, 100.0), Quantity.ACTIVITY_CONCENTRATION, "early")
    delayed = _node(np.full(STRAIGHT.shape_kji, 30.0), Quantity.ACTIVITY_CONCENTRATION, "delayed")
    dose = nodeFromVolume(dose_volume(), "dose")
    assert display.showSideBySide([early, delayed, dose]) == ["Red", "Yellow", "Green"]
    for composite, node in zip(composites, (early, delayed, dose), strict=True):
        assert composite.GetBackgroundVolumeID() == node.GetID()
        assert composite.GetLinkedControl()
        assert composite.GetHotLinkedControl()
    windows = [node.GetDisplayNode().GetWindowLevelMax() for node in (early, delayed)]
    assert windows == pytest.approx([100.0, 100.0])
    assert slices[1].GetOrientation() == "Axial"
    ct = _node(np.zeros(STRAIGHT.shape_kji, np.int16), Quantity.CT_NUMBER, "ct")
    display.showSideBySide([early, dose], ct)
    assert composites[1].GetBackgroundVolumeID() == ct.GetID()
    assert composites[1].GetForegroundVolumeID() == dose.GetID()
    display.linkSliceViews(False)
    assert not composites[0].GetLinkedControl()


def test_volumes_beside_each_other_may_have_windows_of_their_own() -> None:
    bright = _node(np.full(STRAIGHT.shape_kji, 5000.0), Quantity.ACTIVITY_CONCENTRATION, "bright")
    dim = _node(np.full(STRAIGHT.shape_kji, 30.0), Quantity.ACTIVITY_CONCENTRATION, "dim")
    display.showSideBySide([bright, dim], windowsOfTheirOwn=True)
    assert [node.GetDisplayNode().GetWindowLevelMax() for node in (bright, dim)] == pytest.approx([5000.0, 30.0])
    legends = [slicer.modules.colors.logic().GetColorLegendDisplayNode(node) for node in (bright, dim)]
    assert [legend.GetLabelFormat() for legend in legends] == ["%.0f", "%.3g"]


def test_the_layout_of_views_beside_each_other_names_them_in_order() -> None:
    tree = ElementTree.fromstring(display.sideBySideLayout(["Red", "Yellow"]))
    assert tree.get("type") == "horizontal"
    assert [view.get("singletontag") for view in tree.iter("view")] == ["Red", "Yellow"]
    layout = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLayoutNode")
    assert layout.AddLayoutDescription(593, display.sideBySideLayout(["Red", "Yellow"]))


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_an_isodose_surface_lies_where_the_dose_has_its_value(geometry: Any) -> None:
    volume = dose_volume(geometry)
    dose = nodeFromVolume(volume, "dose")
    (model,) = isodose.isodoseLines(dose, [6.0])
    points = np.array([model.GetPolyData().GetPoint(n) for n in range(model.GetPolyData().GetNumberOfPoints())])
    lps = np.c_[points * (-1, -1, 1), np.ones(len(points))]
    index = (lps @ geometry.lps_to_ijk.T)[:, :3]
    # every vertex lies on an edge between two voxels, where the dose runs straight
    low, high = np.floor(index + 1e-3).astype(int), np.ceil(index - 1e-3).astype(int)
    share = np.abs(index - low).max(axis=1)
    at = [volume.array_kji[corner[:, 2], corner[:, 1], corner[:, 0]] for corner in (low, high)]
    assert at[0] * (1 - share) + at[1] * share == pytest.approx(6.0, abs=2e-3)


def test_isodose_lines_are_closed_at_the_edge_of_the_volume() -> None:
    dose = _node(np.full(STRAIGHT.shape_kji, 5.0), Quantity.ABSORBED_DOSE, "everywhere")
    (model,) = isodose.isodoseLines(dose, [2.5])
    bounds = model.GetPolyData().GetBounds()
    corners = STRAIGHT.corners_lps_mm() * (-1, -1, 1)
    assert bounds[0::2] == pytest.approx(corners.min(axis=0), abs=1e-3)
    assert bounds[1::2] == pytest.approx(corners.max(axis=0), abs=1e-3)


def test_isodose_lines_are_shown_in_slices_and_replaced_by_the_next_ones() -> None:
    dose = nodeFromVolume(dose_volume(), "dose")
    other = isodose.isodoseLines(nodeFromVolume(dose_volume(), "other dose"), [3.0])
    first = isodose.isodoseLines(dose)
    assert len(first) > 3
    shown = first[0].GetDisplayNode()
    assert shown.GetVisibility2D()
    assert not shown.GetVisibility3D()
    second = isodose.isodoseLines(dose, [2.0, 4.0, 1e6])
    assert [model.GetAttribute(isodose.LEVEL_ATTRIBUTE) for model in second] == ["2", "4"]
    assert _isodose_models() == {*other, *second}
    isodose.removeIsodoseLines(dose)
    assert _isodose_models() == set(other)


def test_isodose_levels_are_round_and_bad_ones_are_refused() -> None:
    assert isodose.defaultLevelsGy(20.0) == [2.0, 4.0, 8.0, 12.0, 16.0, 19.0]
    assert isodose.defaultLevelsGy(0.0) == []
    dose = nodeFromVolume(dose_volume(), "dose")
    with pytest.raises(InputError, match="Isodose levels must be above zero, found 0, 3 Gy"):
        isodose.isodoseLines(dose, [3.0, 0.0])
    ct = _node(np.zeros(STRAIGHT.shape_kji, np.int16), Quantity.CT_NUMBER, "ct")
    with pytest.raises(UnitError, match="'ct' holds ct_number, expected absorbed_dose"):
        isodose.isodoseLines(ct)


def test_an_output_stands_in_the_study_of_its_input_which_learns_the_dose_unit() -> None:
    tree = hierarchy.subjectHierarchy()
    patient = tree.CreateSubjectItem(tree.GetSceneItemID(), "Patient")
    study = tree.CreateStudyItem(patient, "Study")
    ct = _node(np.zeros(STRAIGHT.shape_kji, np.int16), Quantity.CT_NUMBER, "ct")
    tree.SetItemParent(hierarchy.itemOf(ct), study)
    dose = nodeFromVolume(dose_volume(), "dose")
    item = hierarchy.placeUnderStudyOf(dose, ct)
    assert tree.GetItemParent(item) == study
    assert tree.GetItemAttribute(study, "DicomRtImport.DoseUnitName") == "GY"
    assert tree.GetItemAttribute(study, "DicomRtImport.DoseUnitValue") == "1.0"
    lines = isodose.isodoseLines(dose, [2.0, 4.0])
    folders = {tree.GetItemParent(hierarchy.itemOf(line)) for line in lines}
    assert {tree.GetItemParent(folder) for folder in folders} == {study}
    assert len(folders) == 1


def test_an_output_without_study_stands_in_the_scene() -> None:
    tree = hierarchy.subjectHierarchy()
    ct = _node(np.zeros(STRAIGHT.shape_kji, np.int16), Quantity.CT_NUMBER, "ct")
    dose = nodeFromVolume(dose_volume(), "dose")
    assert tree.GetItemParent(hierarchy.placeUnderStudyOf(dose, ct)) == tree.GetSceneItemID()
    assert hierarchy.placeUnderStudyOf(dose, None) == hierarchy.itemOf(dose)


def test_a_volume_knows_the_frame_of_reference_that_its_dicom_import_left() -> None:
    from RadioDosimetryLib.geometries import frameOfReferenceOf

    node = _node(np.zeros(STRAIGHT.shape_kji, np.int16), Quantity.CT_NUMBER, "ct")
    node.RemoveAttribute("RadioDosimetry.FrameOfReferenceUID")
    assert frameOfReferenceOf(node) is None
    name = slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMFrameOfReferenceUIDAttributeName()
    hierarchy.subjectHierarchy().SetItemAttribute(hierarchy.itemOf(node), name, "1.2.3.4")
    assert frameOfReferenceOf(node) == "1.2.3.4"


def test_legends_of_what_is_no_longer_shown_are_hidden_and_side_by_side_each_view_has_its_own() -> None:
    dose, activity = nodeFromVolume(dose_volume(), "dose"), _node(
        np.arange(np.prod(STRAIGHT.shape_kji), dtype=float).reshape(STRAIGHT.shape_kji),
        Quantity.ACTIVITY_CONCENTRATION, "activity",
    )  # fmt: skip
    for view in ("Red", "Yellow"):
        _composite(view)
        _view_node("vtkMRMLSliceNode", view)
    red, yellow = (_view_node("vtkMRMLSliceNode", view) for view in ("Red", "Yellow"))
    red.SetOrientation("Axial")
    red.SetSliceOffset(17.0)
    legendOf = slicer.modules.colors.logic().GetColorLegendDisplayNode
    display.showDose(dose)
    display.showDose(activity)
    assert not legendOf(dose).GetVisibility()
    assert legendOf(activity).GetVisibility()
    display.showSideBySide([activity, dose])
    assert legendOf(dose).GetVisibility()
    assert legendOf(activity).GetVisibility()
    assert yellow.GetSliceOffset() == pytest.approx(17.0)


def test_grey_activity_gets_its_colours_and_coloured_activity_keeps_its_own() -> None:
    array = np.ones(STRAIGHT.shape_kji)
    grey, own = (_node(array, Quantity.ACTIVITY_CONCENTRATION, name) for name in ("grey", "own"))
    for node, color in ((grey, "vtkMRMLColorTableNodeGrey"), (own, colorNode("difference").GetID())):
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetAndObserveColorNodeID(color)
    display.shareWindow([grey, own])
    assert grey.GetDisplayNode().GetColorNode() is colorNode("activity")
    assert own.GetDisplayNode().GetColorNode() is colorNode("difference")
