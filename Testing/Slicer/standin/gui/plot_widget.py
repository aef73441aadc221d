"""`qMRMLPlotWidget`: the chart that a MRML plot view node points to, drawn by VTK's own charts."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import QSize, Signal
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from .charts import chartImage
from .messages import reported
from .node_combo_box import qMRMLWidget
from .scene_observer import SceneObserver


class qMRMLPlotView(QWidget):
    """Draws the chart of a plot view node."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._observer = SceneObserver(self)
        self._image: QImage | None = None
        self.setMinimumSize(180, 140)

    def setMRMLScene(self, scene: Any) -> None:
        """Set the scene."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)

    def setMRMLPlotViewNode(self, node: Any) -> None:
        """Draw the chart that this view node points to, now and when it changes."""
        self._observer.stop()
        self._node = node
        if node is not None:
            self._observer.observe(node, vtk.vtkCommand.ModifiedEvent, lambda view, data: view._forget())
            if node.GetScene() is not None:
                for event in (slicer.vtkMRMLScene.NodeAddedEvent, slicer.vtkMRMLScene.NodeRemovedEvent):
                    self._observer.observe(node.GetScene(), event, lambda view, data: view._forget())
        self._forget()

    def chartNode(self) -> Any:
        """The chart node, None when there is none (the stand-in's own)."""
        return self._node.GetPlotChartNode() if self._node is not None else None

    def fitToContent(self) -> None:
        """Show all points."""
        self._forget()

    def _forget(self) -> None:
        self._image = None
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(360, 260)

    @reported
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        chart = self.chartNode()
        if chart is None:
            painter.fillRect(self.rect(), "#ffffff")
        else:
            painter.drawImage(0, 0, chartImage(chart, self.width(), self.height()))


class qMRMLPlotWidget(qMRMLWidget):
    """A plot view with its controller (which the stand-in does not draw)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self.viewLabel = ""
        self._view = qMRMLPlotView(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._view)

    def setMRMLScene(self, scene: Any) -> None:
        """Set the scene of the view."""
        super().setMRMLScene(scene)
        self._view.setMRMLScene(scene)

    def mrmlPlotViewNode(self) -> Any:
        """The plot view node, None before it is set."""
        return self._node

    def setMRMLPlotViewNode(self, node: Any) -> None:
        """Draw the chart that this view node points to."""
        self._node = node
        self._view.setMRMLPlotViewNode(node)

    def plotView(self) -> qMRMLPlotView:
        """The view inside."""
        return self._view

    def viewWidget(self) -> qMRMLPlotView:
        """The view inside."""
        return self._view
