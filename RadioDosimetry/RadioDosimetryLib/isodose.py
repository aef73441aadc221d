"""Isodose lines: surfaces of equal dose as models, which slice views cut to lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer
import vtk

from .colorNodes import colorAt
from .display import niceCeiling
from .geometries import ijkToRasMatrix
from .hierarchy import placeInFolder
from .outputs import allOrNothing, removeOnceStored
from .volumes import volumeFromNode

LEVEL_SHARES = (0.1, 0.2, 0.4, 0.6, 0.8, 0.95)
"""Levels of isodose lines where none are given, as shares of the highest dose."""

LEVEL_ATTRIBUTE = "RadioDosimetry.IsodoseGy"
"""Mark of an isodose model, with its dose [Gy]."""


def isodoseLines(doseNode, levelsGy: Sequence[float] | None = None, lineWidth: int = 2) -> list:
    """Models of equal dose, shown as lines in the slice views and off in 3-D; those of an earlier call are replaced.

    Parameters
    ----------
    doseNode
        Dose volume; a rigid parent transform is applied.
    levelsGy
        Doses [Gy]; `LEVEL_SHARES` of the highest, rounded to two digits, if None.
    lineWidth
        In pixels.

    Returns
    -------
    list of vtkMRMLModelNode
        One per level that some voxel reaches, from low to high.

    Raises
    ------
    InputError
        The node is no dose, or a level is not above zero.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.units import Quantity

    dose = volumeFromNode(doseNode, Quantity.ABSORBED_DOSE)
    highest = float(dose.array_kji.max())
    levels = sorted(set(levelsGy)) if levelsGy is not None else defaultLevelsGy(highest)
    if any(not np.isfinite(level) or level <= 0 for level in levels):
        raise InputError(f"Isodose levels must be above zero, found {', '.join(f'{level:g}' for level in levels)} Gy.")
    reached = [level for level in levels if level <= highest]
    with allOrNothing():
        removeIsodoseLines(doseNode)
        models = [_model(doseNode, dose, level, niceCeiling(highest), lineWidth) for level in reached]
        if models:
            placeInFolder(models, f"{doseNode.GetName()} isodose lines", doseNode)
    return models


def defaultLevelsGy(highestGy: float) -> list[float]:
    """`LEVEL_SHARES` of a dose, rounded to two digits; none of no dose."""
    if not highestGy > 0:
        return []
    return sorted({float(f"{share * highestGy:.2g}") for share in LEVEL_SHARES})


def removeIsodoseLines(doseNode) -> None:
    """Take the isodose lines of a dose out of the scene."""
    for model in slicer.util.getNodesByClass("vtkMRMLModelNode"):
        if model.GetAttribute(LEVEL_ATTRIBUTE) and model.GetNodeReferenceID("doseVolumeRef") == doseNode.GetID():
            removeOnceStored((model, model.GetDisplayNode()))


def _model(doseNode, dose, levelGy: float, topGy: float, lineWidth: int):
    node = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLModelNode", slicer.mrmlScene.GenerateUniqueName(f"{levelGy:g} Gy isodose")
    )
    node.SetAndObservePolyData(_surface(dose, levelGy))
    node.SetAttribute(LEVEL_ATTRIBUTE, f"{levelGy:.9g}")
    node.SetNodeReferenceID("doseVolumeRef", doseNode.GetID())
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetColor(*colorAt("dose", min(levelGy / topGy, 1.0)))
    display.SetVisibility2D(True)
    display.SetVisibility3D(False)
    display.SetSliceIntersectionThickness(lineWidth)
    display.SetOpacity(0.4)
    return node


def _surface(dose, levelGy: float):
    """Surface of one dose, in RAS; closed where the dose reaches the edge of the volume."""
    from vtk.util import numpy_support

    padded = np.pad(dose.array_kji.astype(np.float32), 1)
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(padded.shape))
    image.SetOrigin(-1.0, -1.0, -1.0)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(padded.ravel(), deep=True))
    edges = vtk.vtkFlyingEdges3D()
    edges.SetInputData(image)
    edges.SetValue(0, levelGy)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    edges.ComputeScalarsOff()
    toRas = vtk.vtkTransform()
    toRas.SetMatrix(ijkToRasMatrix(dose.geometry))
    transformed = vtk.vtkTransformPolyDataFilter()
    transformed.SetInputConnection(edges.GetOutputPort())
    transformed.SetTransform(toRas)
    transformed.Update()
    surface = vtk.vtkPolyData()
    surface.ShallowCopy(transformed.GetOutput())
    return surface
