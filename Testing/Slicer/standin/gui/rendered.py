"""Pictures of VTK's render windows for Qt."""

from __future__ import annotations

from typing import Any

import numpy as np
import vtk
from PySide6.QtGui import QImage
from vtk.util.numpy_support import vtk_to_numpy


def imageOf(window: Any) -> QImage:
    """Picture of a render window that has been rendered."""
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.SetInputBufferTypeToRGB()
    grabber.ReadFrontBufferOff()
    grabber.ShouldRerenderOff()
    grabber.Update()
    output = grabber.GetOutput()
    width, height, _ = output.GetDimensions()
    pixels = vtk_to_numpy(output.GetPointData().GetScalars()).reshape(height, width, 3)
    flipped = np.ascontiguousarray(pixels[::-1])
    return QImage(flipped.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
