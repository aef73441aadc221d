"""Segmentation nodes to the core's regions on a grid and back. Input nodes are read, never written.

Segments that cannot overlap share a layer: one label map on one grid. Each layer goes to the core's
`resample_labels` as a whole, so that a panel gives the same masks as the command does with the layer's file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from .geometries import geometryFromMatrix, ijkToRasMatrix, rigidParentMatrix

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import LabelMap, Region

PADDING_VOXELS = 1
"""A layer without a reference grid is surrounded by this many empty voxels, so that its edges interpolate to zero."""


def regionsFromSegmentation(
    segmentationNode, geometry: VolumeGeometry, segmentIDs: Sequence[str] | None = None
) -> list[Region]:
    """Segments as regions on a grid; they may overlap.

    Parameters
    ----------
    segmentationNode
        Segmentation with binary label maps or closed surfaces. A rigid parent transform is applied.
    geometry
        Grid of the regions (of a volume node: `geometryOfVolume`).
    segmentIDs
        Segments wanted; all if None.

    Returns
    -------
    list of Region
        Named as the segments, in the order of the segmentation.

    Raises
    ------
    InputError
        There is no segmentation, or its parent transform is no rigid motion.
    RegionError
        There is no segment, one is unknown, empty or outside the grid, or two have the same name.
    """
    from radiodosimetry.images.regions import Region

    names = _namesOf(segmentationNode, segmentIDs)
    parent = rigidParentMatrix(segmentationNode)
    segmentation = _withLabelmaps(segmentationNode, geometry, parent)
    masks: dict[str, np.ndarray] = {}
    for layer in range(segmentation.GetNumberOfLayers()):
        ids = _segmentIDsOfLayer(segmentation, layer)
        if names.keys() & set(ids):
            masks |= _masksOfLayer(segmentation, ids, names, parent, geometry)
    return [Region(name, _mask(masks, segmentID, name), name) for segmentID, name in names.items()]


def segmentationFromRegions(
    regions: Sequence[Region], geometry: VolumeGeometry, name: str, node=None, colors: Sequence | None = None
):
    """A segmentation node of regions on one grid; regions that overlap keep all their voxels.

    Parameters
    ----------
    regions
        Regions on `geometry`.
    geometry
        Their grid; becomes the segmentation's reference grid.
    name
        Name of a new node; ignored with `node`.
    node
        Segmentation to fill anew; a new one if None.
    colors
        Colour (red, green, blue; 0 to 1) of each region; Slicer's own if None.

    Returns
    -------
    vtkMRMLSegmentationNode
        Segments named as the regions.
    """
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(name))
    segmentation = node.GetSegmentation()
    segmentation.RemoveAllSegments()
    node.SetAndObserveTransformNodeID(None)
    converter = slicer.vtkSegmentationConverter
    reference = orientedImage(np.zeros(geometry.shape_kji, np.uint8), geometry)
    segmentation.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(reference)
    )
    for number, region in enumerate(regions):
        segment = slicer.vtkSegment()
        segment.SetName(region.name)
        segment.AddRepresentation(
            converter.GetBinaryLabelmapRepresentationName(),
            orientedImage(region.mask_kji.astype(np.uint8), geometry),
        )
        segment.SetColor(*(colors[number] if colors is not None else COLORS[number % len(COLORS)]))
        segmentation.AddSegment(segment)
    node.CreateDefaultDisplayNodes()
    return node


def orientedImage(array: np.ndarray, geometry: VolumeGeometry):
    """vtkOrientedImageData (RAS) with a copy of an array (k, j, i)."""
    from vtk.util import numpy_support

    image = slicer.vtkOrientedImageData()
    image.SetDimensions(*reversed(array.shape))
    scalars = numpy_support.numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True)
    image.GetPointData().SetScalars(scalars)
    image.SetImageToWorldMatrix(ijkToRasMatrix(geometry))
    return image


def segmentNames(segmentationNode) -> dict[str, str]:
    """Segment ID to name, in the order of the segmentation; empty without a segmentation."""
    if segmentationNode is None:
        return {}
    segmentation = segmentationNode.GetSegmentation()
    return {
        segmentID: segmentation.GetSegment(segmentID).GetName()
        for segmentID in (segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments()))
    }


COLORS = (
    (0.90, 0.62, 0.00), (0.34, 0.71, 0.91), (0.00, 0.62, 0.45), (0.94, 0.89, 0.26),
    (0.00, 0.45, 0.70), (0.84, 0.37, 0.00), (0.80, 0.47, 0.65), (0.60, 0.60, 0.60),
)  # fmt: skip
"""Colours that people with any colour vision tell apart (Okabe and Ito, Color Universal Design, 2008), then grey."""


def _namesOf(segmentationNode, segmentIDs: Sequence[str] | None) -> dict[str, str]:
    """ID and name of the segments wanted."""
    from radiodosimetry.errors import InputError, RegionError

    if segmentationNode is None:
        raise InputError("No segmentation is chosen; choose one, or draw regions in Segment Editor.")
    title = segmentationNode.GetName()
    known = segmentNames(segmentationNode)
    if not known:
        raise RegionError(f"Segmentation '{title}' has no segment; draw a region in Segment Editor first.")
    wanted = list(known) if segmentIDs is None else list(segmentIDs)
    unknown = [segmentID for segmentID in wanted if segmentID not in known]
    if unknown:
        raise RegionError(f"Segmentation '{title}' has no segment {', '.join(unknown)}; choose among its own.")
    if not wanted:
        raise RegionError(f"No segment of '{title}' is chosen; tick at least one.")
    names = {segmentID: known[segmentID].strip() or segmentID for segmentID in known if segmentID in wanted}
    repeated = sorted({name for name in names.values() if list(names.values()).count(name) > 1})
    if repeated:
        raise RegionError(
            f"Segments of '{title}' share the name {', '.join(repeated)}; give each its own name in Segment Editor."
        )
    return names


def _withLabelmaps(segmentationNode, geometry: VolumeGeometry, parent: np.ndarray | None):
    """The segmentation, or a copy with label maps on the grid where it has surfaces alone."""
    from radiodosimetry.errors import RegionError

    segmentation = segmentationNode.GetSegmentation()
    converter = slicer.vtkSegmentationConverter
    labelmapName = converter.GetBinaryLabelmapRepresentationName()
    if segmentation.ContainsRepresentation(labelmapName):
        return segmentation
    copied = slicer.vtkSegmentation()
    copied.DeepCopy(segmentation)
    reference = orientedImage(np.zeros(geometry.shape_kji, np.uint8), geometry)
    if parent is not None:
        matrix = slicer.util.vtkMatrixFromArray(
            np.linalg.inv(parent) @ slicer.util.arrayFromVTKMatrix(_imageToWorld(reference))
        )
        reference.SetImageToWorldMatrix(matrix)
    copied.SetConversionParameter(
        converter.GetReferenceImageGeometryParameterName(), converter.SerializeImageGeometry(reference)
    )
    if not copied.CreateRepresentation(labelmapName, True):
        raise RegionError(
            f"Segmentation '{segmentationNode.GetName()}' cannot be turned into label maps; create its binary "
            "label map in the module Segmentations."
        )
    return copied


def _segmentIDsOfLayer(segmentation, layer: int) -> list[str]:
    return list(segmentation.GetSegmentIDsForLayer(layer))


def _masksOfLayer(
    segmentation, ids: Sequence[str], names: dict[str, str], parent: np.ndarray | None, geometry: VolumeGeometry
) -> dict[str, np.ndarray]:
    """Masks on the grid of those segments of a layer that are wanted; those outside it are absent."""
    from radiodosimetry.errors import GeometryMismatchError
    from radiodosimetry.images.resampling import resample_labels

    labelOf = {segmentID: segmentation.GetSegment(segmentID).GetLabelValue() for segmentID in ids}
    layer = _labelMapOfLayer(segmentation, ids[0], labelOf, parent, geometry)
    if layer is None:
        return {}
    try:
        resampled = resample_labels(layer, geometry)
    except GeometryMismatchError:
        return {}
    return {segmentID: np.asarray(resampled.array_kji == labelOf[segmentID]) for segmentID in ids if segmentID in names}


def _labelMapOfLayer(
    segmentation, segmentID: str, labelOf: dict[str, int], parent: np.ndarray | None, geometry: VolumeGeometry
) -> LabelMap | None:
    """A layer as the core's label map; None if it is empty."""
    from radiodosimetry.images.regions import LabelMap

    converter = slicer.vtkSegmentationConverter
    image = segmentation.GetSegment(segmentID).GetRepresentation(converter.GetBinaryLabelmapRepresentationName())
    if image is None or image.IsEmpty() or min(image.GetDimensions()) < 1:
        return None
    extent = np.array(image.GetExtent()).reshape(3, 2)
    array = _onlyLabels(_arrayOf(image), list(labelOf.values()))
    if not array.any():
        return None
    whole = _wholeExtent(segmentation, image, extent, parent, geometry)
    before, after = extent[:, 0] - whole[:, 0], whole[:, 1] - extent[:, 1]
    array = np.pad(array, list(zip(before[::-1], after[::-1], strict=True)))
    matrix = slicer.util.arrayFromVTKMatrix(_imageToWorld(image))
    matrix[:3, 3] += matrix[:3, :3] @ whole[:, 0]
    ownGeometry = geometryFromMatrix(matrix if parent is None else parent @ matrix, array.shape)
    return LabelMap(array, ownGeometry, {label: segmentID for segmentID, label in labelOf.items()})


def _wholeExtent(
    segmentation, image, extent: np.ndarray, parent: np.ndarray | None, geometry: VolumeGeometry
) -> np.ndarray:
    """Extent (3 × 2, the image's own indices) of the label map.

    A layer whose reference grid is the grid wanted is laid out on all of it, so that its labels are copied. Any other
    is padded by one voxel where its reference grid goes on, and not beyond: a label at the edge of the grid of its
    file ends there for the command too.
    """
    padded = extent + np.array([-PADDING_VOXELS, PADDING_VOXELS])
    reference = slicer.vtkOrientedImageData()
    converter = slicer.vtkSegmentationConverter
    text = segmentation.GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    if not text or not converter.DeserializeImageGeometry(text, reference, False):
        return padded
    ofReference = slicer.util.arrayFromVTKMatrix(_imageToWorld(reference))
    toImage = np.linalg.inv(slicer.util.arrayFromVTKMatrix(_imageToWorld(image))) @ ofReference
    shift = np.round(toImage[:3, 3]).astype(int)
    if np.abs(toImage[:3, :3] - np.eye(3)).max() > 1e-4 or np.abs(toImage[:3, 3] - shift).max() > 1e-3:
        return padded
    ofReferenceIndices = np.array(reference.GetExtent()).reshape(3, 2)
    whole = ofReferenceIndices + shift[:, None]
    if np.any(whole[:, 0] > extent[:, 0]) or np.any(whole[:, 1] < extent[:, 1]):
        return padded
    ofReference[:3, 3] += ofReference[:3, :3] @ ofReferenceIndices[:, 0]
    shape = tuple(int(count) for count in reversed(np.diff(whole).ravel() + 1))
    grid = geometryFromMatrix(ofReference if parent is None else parent @ ofReference, shape)
    if grid.same_grid(geometry):
        return whole
    return np.column_stack([np.maximum(padded[:, 0], whole[:, 0]), np.minimum(padded[:, 1], whole[:, 1])])


def _onlyLabels(array: np.ndarray, labels: Sequence[int]) -> np.ndarray:
    """The array with every other label set to zero, int32."""
    kept = np.zeros(int(max(array.max(initial=0), *labels)) + 1, np.int32)
    kept[labels] = labels
    return kept[array]


def _arrayOf(image) -> np.ndarray:
    """The voxels of a vtkOrientedImageData (k, j, i), read only."""
    from vtk.util import numpy_support

    scalars = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    return scalars.reshape(tuple(reversed(image.GetDimensions())))


def _imageToWorld(image):
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrix


def _mask(masks: dict[str, np.ndarray], segmentID: str, name: str) -> np.ndarray:
    from radiodosimetry.errors import RegionError

    mask = masks.get(segmentID)
    if mask is None or not mask.any():
        raise RegionError(f"Segment '{name}' is empty, or has no voxel inside the volume; draw it there or untick it.")
    return mask
