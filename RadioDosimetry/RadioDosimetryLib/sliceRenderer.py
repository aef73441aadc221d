# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""Slicer's own slice renderer for the figures of the core: volumes and colours go through its slice logic, off-screen.

Neither the views of the user nor a window take part: a slice node of its own is made for each picture and removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from radiodosimetry.report.slice_rendering import Layers

VIEW_NAME = "RadioDosimetryReport"
"""Layout name of the slice node; no layout shows it."""

PIXELS_PER_MM = 2.0
"""Of the pictures: a voxel of 4 mm has eight pixels, which print without steps."""

_COLORS = 1024
"""Entries of the colour table; transparency begins at one of them."""


class SlicerSlices:
    """A `radiodosimetry.report.slice_rendering.SliceRenderer` that draws as Slicer's slice views do.

    Parameters
    ----------
    pixelsPerMm
        Resolution of the pictures.
    """

    def __init__(self, pixelsPerMm: float = PIXELS_PER_MM) -> None:
        self._pixelsPerMm = pixelsPerMm

    def draw(self, axes: Axes, layers: Layers, plane: str, voxel_kji: tuple[int, int, int]) -> None:
        """Draw the whole slice of a plane through a voxel; see the Protocol."""
        from radiodosimetry.report.patient_planes import PatientView

        part = PatientView(layers.foreground.geometry).slice_of(layers.foreground.array_kji, plane, voxel_kji)
        axes.imshow(self.picture(layers, plane, voxel_kji), extent=part.extent_mm, interpolation="antialiased")

    def picture(self, layers: Layers, plane: str, voxelKji: tuple[int, int, int]) -> np.ndarray:
        """Red, green and blue of the slice, 0 to 255, rows from top to bottom."""
        from radiodosimetry.report.patient_planes import PatientView

        view = PatientView(layers.foreground.geometry)
        size = view.size_mm(plane)
        pixels = [max(1, round(self._pixelsPerMm * edge)) for edge in size]
        with _sliceOf(layers) as logic:
            node = logic.GetSliceNode()
            node.SetDimensions(*pixels, 1)
            node.SetFieldOfView(*size, 1.0)
            planeToLps = view.plane_to_lps(plane, voxelKji)
            # A slice node puts the corner of the first pixel where pictures have its middle.
            half = [edge / count / 2.0 for edge, count in zip(size, pixels, strict=True)]
            planeToLps[:3, 3] += planeToLps[:3, :2] @ half
            _place(node, planeToLps)
            logic.UpdatePipeline()
            return _pixelsOf(logic)


@contextlib.contextmanager
def _sliceOf(layers: Layers) -> Iterator[Any]:
    """A slice logic with the layers in nodes of their own, all of which go again, with what the logic made."""
    import slicer

    from .headless import ensureScene

    scene = ensureScene()
    before = _nodesOf(scene)
    logic = slicer.vtkMRMLSliceLogic()
    try:
        logic.SetMRMLScene(scene)
        logic.AddSliceNode(VIEW_NAME)
        composite = logic.GetSliceCompositeNode()
        composite.SetForegroundVolumeID(_foregroundNode(layers).GetID())
        composite.SetForegroundOpacity(layers.opacity)
        if layers.background is not None:
            composite.SetBackgroundVolumeID(_backgroundNode(layers).GetID())
        yield logic
    finally:
        logic.SetMRMLScene(None)
        for node in _nodesOf(scene) - before:
            if scene.IsNodePresent(node):
                scene.RemoveNode(node)


def _nodesOf(scene: Any) -> set[Any]:
    return {scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())}


def _backgroundNode(layers: Layers) -> Any:
    node = _volumeNode(layers.background, "anatomy")
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID("vtkMRMLColorTableNodeGrey")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(*layers.window)
    display.SetInterpolate(True)
    return node


def _foregroundNode(layers: Layers) -> Any:
    import slicer

    colors = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", f"{VIEW_NAME} colours")
    colors.SetTypeToUser()
    colors.SetNumberOfColors(_COLORS)
    for index, color in enumerate(layers.colours(_COLORS)):
        colors.SetColor(index, "", *map(float, color))
    node = _volumeNode(layers.foreground, "colours")
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colors.GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(layers.lowest, layers.highest)
    display.SetInterpolate(True)
    return node


def _volumeNode(volume: Any, name: str) -> Any:
    """A volume as a node that the user does not see and no scene file keeps."""
    from .volumes import nodeFromVolume

    node = nodeFromVolume(volume, f"{VIEW_NAME} {name}")
    node.CreateDefaultDisplayNodes()
    for each in (node, node.GetDisplayNode()):
        each.SetHideFromEditors(True)
        each.SetSaveWithScene(False)
    return node


def _place(node: Any, planeToLps: np.ndarray) -> None:
    """Turn a slice node to a plane given by its axes and middle in LPS."""
    planeToRas = np.diag([-1.0, -1.0, 1.0, 1.0]) @ planeToLps
    matrix = node.GetSliceToRAS()
    for row in range(4):
        for column in range(4):
            matrix.SetElement(row, column, float(planeToRas[row, column]))
    node.UpdateMatrices()


def _pixelsOf(logic: Any) -> np.ndarray:
    from vtk.util.numpy_support import vtk_to_numpy

    producer = logic.GetImageDataConnection().GetProducer()
    producer.Update()
    image = producer.GetOutputDataObject(0)
    columns, rows, _ = image.GetDimensions()
    pixels = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1).astype(np.float64)
    if pixels.shape[2] == 4:  # over black
        pixels = pixels[..., :3] * pixels[..., 3:] / 255.0
    return np.ascontiguousarray(np.round(pixels[::-1, :, :3]).astype(np.uint8))
