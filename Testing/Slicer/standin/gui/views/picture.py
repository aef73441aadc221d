"""A picture of a panel with the views beside it, arranged as Slicer's window is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QScrollArea, QWidget

from ..conventions import unwrap
from ..plot_widget import qMRMLPlotWidget
from ..table_view import qMRMLTableView

PANEL_WIDTH = 480
"""Width of the panel [pixels]; more where its widgets need more, as Slicer's module panel grows too."""

SCROLL_BAR_WIDTH = 20
"""Room for the bar of the panel [pixels]."""

WINDOW_SIZE = (1600, 1000)
"""Width and height of the picture [pixels]."""


def save(panel: Any, path: Path) -> Path:
    """Save panel and views into a PNG file."""
    widget = unwrap(panel)
    window = QWidget()
    window.resize(*WINDOW_SIZE)
    row = QHBoxLayout(window)
    row.setContentsMargins(4, 4, 4, 4)
    before = widget.parentWidget()
    scroll = QScrollArea(window)
    scroll.setWidgetResizable(True)
    scroll.setFixedWidth(max(PANEL_WIDTH, widget.minimumSizeHint().width() + SCROLL_BAR_WIDTH))
    scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    scroll.setWidget(widget)
    row.addWidget(scroll)
    views = slicer.app.layoutManager().views()
    grid = QGridLayout()
    grid.setSpacing(2)
    row.addLayout(grid, 1)
    extra = _chartsAndTable(window)
    if extra is None:
        grid.addWidget(views["Red"], 0, 0, 2, 1)
        grid.addWidget(views["Yellow"], 0, 1)
        grid.addWidget(views["Green"], 1, 1)
    else:
        grid.addWidget(views["Red"], 0, 0)
        grid.addWidget(extra, 0, 1)
        grid.addWidget(views["Green"], 1, 0)
        grid.addWidget(views["Yellow"], 1, 1)
    for index in range(2):
        grid.setRowStretch(index, 1)
        grid.setColumnStretch(index, 3 if index == 0 and extra is None else 2)
    widget.show()
    window.show()
    slicer.app.processEvents()
    for view in views.values():
        view.fit(keepOffset=True)
    slicer.app.processEvents()
    path.parent.mkdir(parents=True, exist_ok=True)
    window.grab().save(str(path))
    for view in views.values():
        view.setParent(None)
    scroll.takeWidget()
    widget.setParent(before)
    window.deleteLater()
    return path


def _chartsAndTable(parent: QWidget) -> QWidget | None:
    """The chart that a plot view shows, else the table that a table view shows, else nothing."""
    scene = slicer.mrmlScene
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLPlotViewNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLPlotViewNode")
        if node.GetPlotChartNode() is not None:
            plot = qMRMLPlotWidget(parent)
            plot.setMRMLPlotViewNode(node)
            return plot
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLTableViewNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLTableViewNode")
        if node.GetTableNode() is not None:
            table = qMRMLTableView(parent)
            table.setMRMLTableNode(node.GetTableNode())
            table.resizeColumnsToContents()
            return table
    return None
