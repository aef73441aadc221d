"""A slice view: Slicer's slice logic and displayable managers in an offscreen window, painted on a widget."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QWheelEvent
from PySide6.QtWidgets import QWidget

from ..messages import reported
from ..rendered import imageOf
from ..scene_observer import SceneObserver

DISPLAYABLE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLColorLegendDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)
"""What is drawn over the images: contours of models and segments, legends, rulers."""

BAR_HEIGHT = 22
"""Height of the bar with the letter and the position of the view [pixels]."""


def registerDisplayableManagers(applicationLogic: Any) -> None:
    """Let every slice view draw with Slicer's displayable managers; once, before views and legends are made."""
    factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
    factory.SetMRMLApplicationLogic(applicationLogic)
    for name in DISPLAYABLE_MANAGERS:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)


class SliceView(QWidget):
    """View of one slice node."""

    def __init__(self, sliceNode: Any, applicationLogic: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setMinimumSize(160, 140)
        self._node = sliceNode
        self._observer = SceneObserver(self)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(applicationLogic)
        self._logic.SetMRMLScene(sliceNode.GetScene())
        self._logic.SetSliceNode(sliceNode)
        applicationLogic.GetSliceLogics().AddItem(self._logic)
        self._makeWindow()
        self._observer.observe(self._logic, vtk.vtkCommand.ModifiedEvent, lambda view, data: view.update())
        self._observer.observe(sliceNode, vtk.vtkCommand.ModifiedEvent, lambda view, data: view.update())

    def _makeWindow(self) -> None:
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._image = vtk.vtkActor2D()
        self._image.SetMapper(self._mapper)
        self._image.GetProperty().SetDisplayLocationToBackground()
        self._renderer = vtk.vtkRenderer()
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._renderer.AddViewProp(self._image)
        self._words = vtk.vtkCornerAnnotation()
        self._words.SetMaximumFontSize(14)
        self._words.GetTextProperty().SetShadow(True)
        self._renderer.AddViewProp(self._words)
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._window.AddRenderer(self._renderer)
        # Managers look for the interactor of their renderer.
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        self._managers = factory.InstantiateDisplayableManagers(self._renderer)
        self._managers.SetMRMLDisplayableNode(self._node)

    def logic(self) -> Any:
        """Slice logic of the view."""
        return self._logic

    def node(self) -> Any:
        """Slice node of the view."""
        return self._node

    def sizeHint(self) -> QSize:
        return QSize(400, 350)

    def imageSize(self) -> tuple[int, int]:
        """Width and height of the picture below the bar [pixels]."""
        return max(self.width(), 1), max(self.height() - BAR_HEIGHT, 1)

    def fit(self, keepOffset: bool = False) -> None:
        """Show the whole background, in its middle slice or in the slice that is shown."""
        offset = self._logic.GetSliceOffset()
        self._resize()
        self._logic.FitSliceToBackground()
        if keepOffset:
            self._logic.SetSliceOffset(offset)
        self._logic.SnapSliceOffsetToIJK()

    def _resize(self) -> None:
        width, height = self.imageSize()
        if self._window.GetSize() != (width, height):
            self._window.SetSize(width, height)
        if self._node.GetDimensions()[:2] != (width, height):
            self._logic.ResizeSliceNode(width, height)

    def render(self) -> QImage:
        """Draw the view."""
        self._resize()
        connection = self._logic.GetImageDataConnection()
        self._mapper.SetInputConnection(connection)
        self._image.SetVisibility(connection is not None)
        self._words.SetText(0, self._layers())
        self._window.Render()
        return imageOf(self._window)

    def _layers(self) -> str:
        """The two lines that tell which volumes are shown."""
        lines = []
        composite = self._logic.GetSliceCompositeNode()
        scene = self._node.GetScene()
        for letter, nodeID in (("F", composite.GetForegroundVolumeID()), ("B", composite.GetBackgroundVolumeID())):
            volume = scene.GetNodeByID(nodeID) if nodeID else None
            if volume is not None:
                percent = f" ({composite.GetForegroundOpacity():.0%})" if letter == "F" else ""
                lines.append(f"{letter}: {volume.GetName()}{percent}")
        return "\n".join(lines)

    @reported
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.drawImage(0, BAR_HEIGHT, self.render())
        red, green, blue = self._node.GetLayoutColor()
        bar = QRect(0, 0, self.width(), BAR_HEIGHT)
        painter.fillRect(bar, QColor.fromRgbF(red, green, blue))
        painter.setPen(QColor("black" if red + green + blue > 1.2 else "white"))
        painter.drawText(bar.adjusted(8, 0, 0, 0), Qt.AlignmentFlag.AlignVCenter, self._node.GetLayoutLabel())
        painter.drawText(
            bar.adjusted(0, 0, -8, 0),
            Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            f"{self._node.GetOrientation()}  {self._logic.GetSliceOffset():.1f} mm",
        )

    def wheelEvent(self, event: QWheelEvent) -> None:
        step = self._logic.GetLowestVolumeSliceSpacing()[2]
        self._logic.SetSliceOffset(self._logic.GetSliceOffset() + (step if event.angleDelta().y() > 0 else -step))
