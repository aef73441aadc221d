"""Segments as regions on a volume's grid: layers, overlaps, transforms, surfaces, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import OBLIQUE, STRAIGHT, ball, dose_volume, region, rotation  # noqa: E402

from radiodosimetry.errors import InputError, RegionError  # noqa: E402
from radiodosimetry.images.geometry import VolumeGeometry  # noqa: E402
from radiodosimetry.images.regions import LabelMap, Region, regions_of  # noqa: E402
from radiodosimetry.images.resampling import resample_labels  # noqa: E402
from RadioDosimetryLib.segmentations import (  # noqa: E402
    orientedImage,
    regionsFromSegmentation,
    segmentationFromRegions,
    segmentNames,
)
from RadioDosimetryLib.volumes import nodeFromVolume  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

FINE = VolumeGeometry((40, 44, 48), (1.0, 1.25, 1.5), (-30.0, 12.0, -7.0), np.eye(3))
WIDE = VolumeGeometry((50, 54, 58), (1.0, 1.25, 1.5), (-36.3, 6.4, -13.7), np.eye(3))
TURNED = VolumeGeometry((30, 30, 30), (2.0, 2.0, 2.0), (-40.0, -10.0, -15.0), rotation(10, 5, -20))


def _imported(label_map: LabelMap) -> object:
    """A segmentation as Slicer makes it of a label map: segments that share one layer, and the grid it came from."""
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    slicer.util.updateVolumeFromArray(volume, label_map.array_kji.astype(np.int16))
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ label_map.geometry.ijk_to_lps
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(matrix))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "imported")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    assert slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(volume, node)
    return node


def _two_labels(geometry: VolumeGeometry) -> LabelMap:
    labels = np.zeros(geometry.shape_kji, np.int32)
    labels[ball(geometry, (9, 10, 9), 5)] = 1
    labels[ball(geometry, (9, 10, 15), 4)] = 2
    return LabelMap(labels, geometry, {1: "a", 2: "b"})


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_overlapping_regions_come_back_from_a_segmentation_voxel_by_voxel(geometry: VolumeGeometry) -> None:
    regions = [region("kidney", geometry, (5, 6, 6), 4), region("lesion", geometry, (5, 6, 8), 3)]
    node = segmentationFromRegions(regions, geometry, "regions")
    assert node.GetSegmentation().GetNumberOfLayers() == 2
    found = regionsFromSegmentation(node, geometry)
    assert [entry.name for entry in found] == ["kidney", "lesion"]
    for given, back in zip(regions, found, strict=True):
        assert np.array_equal(given.mask_kji, back.mask_kji)


@pytest.mark.parametrize("target", [STRAIGHT, FINE, TURNED], ids=["same grid", "finer", "turned"])
def test_segments_of_one_layer_give_the_masks_that_the_core_gives_of_the_label_map(target: VolumeGeometry) -> None:
    label_map = _two_labels(STRAIGHT)
    node = _imported(label_map)
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    expected = regions_of(resample_labels(label_map, target))
    found = regionsFromSegmentation(node, target)
    for wanted, got in zip(expected, found, strict=True):
        assert np.array_equal(wanted.mask_kji, got.mask_kji)


@pytest.mark.parametrize("target", [FINE, WIDE], ids=["within the grid", "reaching beyond it"])
def test_a_label_at_the_edge_of_its_grid_gives_the_masks_of_the_core_too(target: VolumeGeometry) -> None:
    labels = np.zeros(STRAIGHT.shape_kji, np.int32)
    labels[:6, :7, :8] = 1
    label_map = LabelMap(labels, STRAIGHT, {1: "corner"})
    (expected,) = regions_of(resample_labels(label_map, target))
    (found,) = regionsFromSegmentation(_imported(label_map), target)
    assert np.array_equal(expected.mask_kji, found.mask_kji)


def test_a_layer_that_is_cut_to_its_segments_gives_the_same_masks() -> None:
    node = segmentationFromRegions([region("a", STRAIGHT, (9, 10, 9), 4)], STRAIGHT, "whole")
    whole = regionsFromSegmentation(node, FINE)
    cut = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "cut")
    image = orientedImage(ball(STRAIGHT, (9, 10, 9), 4)[4:15, 5:16, 4:15].astype(np.uint8), STRAIGHT)
    image.SetExtent(4, 14, 5, 15, 4, 14)
    segment = slicer.vtkSegment()
    segment.SetName("a")
    segment.AddRepresentation("Binary labelmap", image)
    cut.GetSegmentation().AddSegment(segment)
    assert np.array_equal(regionsFromSegmentation(cut, FINE)[0].mask_kji, whole[0].mask_kji)


def test_chosen_segments_alone_are_returned_in_the_order_of_the_segmentation() -> None:
    node = segmentationFromRegions([region(name, STRAIGHT, (9, 9, 9), 3) for name in "abc"], STRAIGHT, "regions")
    identifiers = {name: identifier for identifier, name in segmentNames(node).items()}
    found = regionsFromSegmentation(node, STRAIGHT, [identifiers["c"], identifiers["a"]])
    assert [entry.name for entry in found] == ["a", "c"]


def test_a_rigid_transform_of_the_segmentation_moves_its_regions() -> None:
    node = segmentationFromRegions([region("a", STRAIGHT, (9, 9, 9), 3)], STRAIGHT, "regions")
    shift = np.eye(4)
    shift[:3, 3] = (-2 * STRAIGHT.spacing_mm[0], 0.0, 3 * STRAIGHT.spacing_mm[2])
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    node.SetAndObserveTransformNodeID(transform.GetID())
    (found,) = regionsFromSegmentation(node, STRAIGHT)
    # two voxels towards -R is +L, the direction of i; three along S is the direction of k
    assert np.array_equal(found.mask_kji, ball(STRAIGHT, (12, 9, 11), 3))
    shift[0, 0] = 1.5
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    with pytest.raises(InputError, match="'regions' lies under the transform 'moved', which scales"):
        regionsFromSegmentation(node, STRAIGHT)


def test_surfaces_alone_are_filled_on_the_grid_and_the_segmentation_is_left_as_it_was() -> None:
    grid = VolumeGeometry((40, 40, 40), (2.0, 2.0, 2.0))
    mask = ball(grid, (19, 20, 21), 12)
    node = segmentationFromRegions([Region("ball", mask, "ball")], grid, "surface")
    segmentation = node.GetSegmentation()
    assert segmentation.CreateRepresentation("Closed surface")
    segmentation.SetSourceRepresentationName("Closed surface")
    segmentation.RemoveRepresentation("Binary labelmap")
    (found,) = regionsFromSegmentation(node, grid)
    # smoothing of the surface may move its edge by a part of a voxel
    assert np.count_nonzero(found.mask_kji ^ mask) < 0.02 * mask.sum()
    assert not segmentation.ContainsRepresentation("Binary labelmap")


def test_reading_regions_leaves_the_segmentation_as_it_was() -> None:
    node = _imported(_two_labels(STRAIGHT))
    changed = node.GetMTime(), node.GetSegmentation().GetMTime()
    regionsFromSegmentation(node, TURNED)
    assert (node.GetMTime(), node.GetSegmentation().GetMTime()) == changed


def test_an_empty_segment_and_one_outside_the_volume_are_refused_by_name() -> None:
    node = segmentationFromRegions([region("liver", STRAIGHT, (9, 9, 9), 3)], STRAIGHT, "regions")
    node.GetSegmentation().AddEmptySegment("s", "nothing")
    with pytest.raises(RegionError, match="Segment 'nothing' is empty, or has no voxel inside the volume"):
        regionsFromSegmentation(node, STRAIGHT)
    (identifier,) = [key for key, name in segmentNames(node).items() if name == "liver"]
    assert [entry.name for entry in regionsFromSegmentation(node, STRAIGHT, [identifier])] == ["liver"]
    far = VolumeGeometry((4, 4, 4), (1.0, 1.0, 1.0), (500.0, 500.0, 500.0))
    with pytest.raises(RegionError, match="Segment 'liver' is empty, or has no voxel inside the volume"):
        regionsFromSegmentation(node, far, [identifier])


def test_no_segmentation_no_segment_none_ticked_and_unknown_ones_are_refused() -> None:
    with pytest.raises(InputError, match="No segmentation is chosen"):
        regionsFromSegmentation(None, STRAIGHT)
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    with pytest.raises(RegionError, match="Segmentation 'empty' has no segment; draw a region"):
        regionsFromSegmentation(empty, STRAIGHT)
    node = segmentationFromRegions([region("liver", STRAIGHT, (9, 9, 9), 3)], STRAIGHT, "regions")
    with pytest.raises(RegionError, match="No segment of 'regions' is chosen; tick at least one"):
        regionsFromSegmentation(node, STRAIGHT, [])
    with pytest.raises(RegionError, match="has no segment nonsense"):
        regionsFromSegmentation(node, STRAIGHT, ["nonsense"])


def test_two_segments_of_one_name_are_refused() -> None:
    regions = [region("lesion", STRAIGHT, (9, 9, 9), 3), region("lesion", STRAIGHT, (9, 9, 14), 3)]
    node = segmentationFromRegions(regions, STRAIGHT, "regions")
    with pytest.raises(RegionError, match="share the name lesion; give each its own name"):
        regionsFromSegmentation(node, STRAIGHT)


def test_a_segmentation_of_regions_is_one_that_slicer_reads_and_it_can_be_filled_anew() -> None:
    dose = nodeFromVolume(dose_volume(), "dose")
    regions = [region("a", STRAIGHT, (9, 9, 9), 3), region("b", STRAIGHT, (9, 9, 11), 3)]
    node = segmentationFromRegions(regions, STRAIGHT, "regions")
    for identifier, given in zip(segmentNames(node), regions, strict=True):
        array = slicer.util.arrayFromSegmentBinaryLabelmap(node, identifier, dose)
        assert np.array_equal(array > 0, given.mask_kji)
    assert segmentationFromRegions(regions[:1], STRAIGHT, "other", node) is node
    assert list(segmentNames(node).values()) == ["a"]
