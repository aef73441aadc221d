"""`qMRMLSegmentsTableView` and `qMRMLSegmentSelectorWidget`: the segments of a segmentation, shown and chosen."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtGui import QColor
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .node_combo_box import qMRMLNodeComboBox, qMRMLWidget
from .scene_observer import SceneObserver

SEGMENT_EVENTS = ("SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified")


def observeSegments(widget: Any, observer: SceneObserver, node: Any, method: Any) -> None:
    """Call `method(widget)` when segments of a node come, go or change."""
    for event in SEGMENT_EVENTS:
        observer.observe(node, getattr(slicer.vtkSegmentation, event), lambda w, data: method(w))


def segmentIDsOf(node: Any) -> list[str]:
    """Segment IDs of a segmentation node, in their order."""
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]


class qMRMLSegmentsTableView(qMRMLWidget):
    """One row per segment: visible (a tick), colour, opacity, name; rows are selected."""

    selectionChanged = Signal(object, object)
    segmentAboutToBeModified = Signal(str)
    VISIBLE, COLOR, OPACITY, NAME = range(4)
    TITLES = ("", "", "Opacity", "Name")

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._hidden: list[str] = []
        self._filter = ""
        self._flags = {"readOnly": False, "filterBarVisible": False, "jumpToSelectedSegmentEnabled": False}
        self._observer = SceneObserver(self)
        self._table = QTableWidget(0, len(self.TITLES), self)
        self._table.setHorizontalHeaderLabels(list(self.TITLES))
        self._table.verticalHeader().hide()
        self._table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setStretchLastSection(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._table.itemChanged.connect(self._onItemChanged)
        self._table.selectionModel().selectionChanged.connect(lambda a, b: self.selectionChanged.emit(a, b))

    # --- segments --------------------------------------------------------------------------------------------------

    def segmentationNode(self) -> Any:
        """The shown segmentation, None when there is none."""
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        """Show the segments of a segmentation."""
        if node is not None and not node.IsA("vtkMRMLSegmentationNode"):
            raise ValueError(f"qMRMLSegmentsTableView.setSegmentationNode: {node.GetClassName()} is no segmentation")
        if node is self._node:
            return
        self._observer.stop()
        self._node = node
        if node is not None:
            observeSegments(self, self._observer, node, qMRMLSegmentsTableView._fill)
            self._observer.observe(node, slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent, lambda w, d: w._fill())
            if node.GetScene() is not None:
                self._observer.observe(
                    node.GetScene(), slicer.vtkMRMLScene.NodeRemovedEvent, qMRMLSegmentsTableView._onNodeRemoved
                )
        self._table.clearSelection()
        self._fill()

    def _onNodeRemoved(self, node: Any) -> None:
        if node is self._node:
            self.setSegmentationNode(None)

    def setMRMLScene(self, scene: Any) -> None:
        """Set the scene; without one no segments are shown."""
        if scene is None:
            self.setSegmentationNode(None)
        super().setMRMLScene(scene)

    def _fill(self) -> None:
        chosen = self.selectedSegmentIDs()
        self._table.blockSignals(True)
        self._table.selectionModel().blockSignals(True)
        shown = [] if self._node is None else [i for i in segmentIDsOf(self._node) if self._isShown(i)]
        self._table.setRowCount(len(shown))
        for row, segmentID in enumerate(shown):
            self._fillRow(row, segmentID)
        self._select(chosen)
        self._table.selectionModel().blockSignals(False)
        self._table.blockSignals(False)

    def _isShown(self, segmentID: str) -> bool:
        name = self._node.GetSegmentation().GetSegment(segmentID).GetName()
        return segmentID not in self._hidden and self._filter.lower() in name.lower()

    def _fillRow(self, row: int, segmentID: str) -> None:
        segment, display = self._node.GetSegmentation().GetSegment(segmentID), self._node.GetDisplayNode()
        name = QTableWidgetItem(segment.GetName())
        name.setData(Qt.ItemDataRole.UserRole, segmentID)
        tick = QTableWidgetItem()
        isVisible = display is None or display.GetSegmentVisibility(segmentID)
        tick.setCheckState(Qt.CheckState.Checked if isVisible else Qt.CheckState.Unchecked)
        color = QTableWidgetItem()
        color.setBackground(QColor.fromRgbF(*segment.GetColor()))
        opacity = 1.0 if display is None else display.GetSegmentOpacity3D(segmentID)
        for column, item in (
            (self.VISIBLE, tick), (self.COLOR, color), (self.OPACITY, QTableWidgetItem(f"{opacity:.2f}")),
            (self.NAME, name),
        ):  # fmt: skip
            if self._flags["readOnly"] or column in (self.VISIBLE, self.COLOR):
                item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEditable)
            self._table.setItem(row, column, item)

    def _onItemChanged(self, item: QTableWidgetItem) -> None:
        segmentID = self.segmentIDForRow(item.row())
        if item.column() == self.VISIBLE and self._node.GetDisplayNode() is not None:
            self._node.GetDisplayNode().SetSegmentVisibility(segmentID, item.checkState() == Qt.CheckState.Checked)
        elif item.column() == self.NAME:
            self._node.GetSegmentation().GetSegment(segmentID).SetName(item.text())

    # --- selection -------------------------------------------------------------------------------------------------

    def tableWidget(self) -> QTableWidget:
        """The table inside."""
        return self._table

    def segmentIDForRow(self, row: int) -> str:
        """Segment ID of a row."""
        item = self._table.item(row, self.NAME)
        return str(item.data(Qt.ItemDataRole.UserRole)) if item is not None else ""

    def rowForSegmentID(self, segmentID: str) -> int:
        """Row of a segment, -1 when it is not shown."""
        shown = self.displayedSegmentIDs()
        return shown.index(segmentID) if segmentID in shown else -1

    def displayedSegmentIDs(self) -> list[str]:
        """Segment IDs of all rows."""
        return [self.segmentIDForRow(row) for row in range(self._table.rowCount())]

    def selectedSegmentIDs(self) -> list[str]:
        """Segment IDs of the selected rows."""
        rows = sorted({index.row() for index in self._table.selectionModel().selectedRows()})
        return [self.segmentIDForRow(row) for row in rows]

    def setSelectedSegmentIDs(self, segmentIDs: list[str]) -> None:
        """Select the rows of these segments alone."""
        self._select(segmentIDs)

    def _select(self, segmentIDs: list[str]) -> None:
        self._table.clearSelection()
        mode = self._table.selectionMode()
        self._table.setSelectionMode(QAbstractItemView.SelectionMode.MultiSelection)
        for segmentID in segmentIDs:
            if self.rowForSegmentID(segmentID) >= 0:
                self._table.selectRow(self.rowForSegmentID(segmentID))
        self._table.setSelectionMode(mode)

    def clearSelection(self) -> None:
        """Select no row."""
        self._table.clearSelection()

    def setHideSegments(self, segmentIDs: list[str]) -> None:
        """Show no rows for these segments."""
        self._hidden = list(segmentIDs)
        self._fill()

    def hideSegments(self) -> list[str]:
        """Segments without rows."""
        return list(self._hidden)

    def setSelectionMode(self, mode: int) -> None:
        """Set how many rows can be selected (QAbstractItemView::SelectionMode)."""
        self._table.setSelectionMode(QAbstractItemView.SelectionMode(int(mode)))

    def _set(self, name: str, value: Any) -> None:
        self._flags[name] = value
        self._fill()

    def _setFilter(self, text: str) -> None:
        self._filter = text
        self._fill()

    selectionMode = Property(int, lambda s: int(s._table.selectionMode().value), lambda s, v: s.setSelectionMode(v))
    headerVisible = Property(
        bool,
        lambda s: not s._table.horizontalHeader().isHidden(),
        lambda s, v: s._table.horizontalHeader().setVisible(v),
    )
    visibilityColumnVisible = Property(
        bool, lambda s: not s._table.isColumnHidden(0), lambda s, v: s._table.setColumnHidden(0, not v)
    )
    colorColumnVisible = Property(
        bool, lambda s: not s._table.isColumnHidden(1), lambda s, v: s._table.setColumnHidden(1, not v)
    )
    opacityColumnVisible = Property(
        bool, lambda s: not s._table.isColumnHidden(2), lambda s, v: s._table.setColumnHidden(2, not v)
    )
    statusColumnVisible = Property(bool, lambda s: False, lambda s, v: None)
    layerColumnVisible = Property(bool, lambda s: False, lambda s, v: None)
    readOnly = Property(bool, lambda s: s._flags["readOnly"], lambda s, v: s._set("readOnly", v))
    filterBarVisible = Property(
        bool, lambda s: s._flags["filterBarVisible"], lambda s, v: s._set("filterBarVisible", v)
    )
    jumpToSelectedSegmentEnabled = Property(
        bool,
        lambda s: s._flags["jumpToSelectedSegmentEnabled"],
        lambda s, v: s._set("jumpToSelectedSegmentEnabled", v),
    )
    textFilter = Property(str, lambda s: s._filter, _setFilter)
    segmentCount = Property(int, lambda s: s._table.rowCount())


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation, and one of its segments."""

    currentNodeChanged = Signal(object)
    currentNodeValid = Signal(bool)
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal(object)
    nodeAboutToBeEdited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._flags = {"noneEnabled": False, "multiSelection": False, "horizontalLayout": False}
        self._observer = SceneObserver(self)
        self._nodes = qMRMLNodeComboBox(self)
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = self._nodes.removeEnabled = False
        self._segments = QComboBox(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nodes)
        layout.addWidget(self._segments)
        self._nodes.currentNodeChanged.connect(self._onNode)
        self._segments.currentIndexChanged.connect(lambda *_: self.currentSegmentChanged.emit(self.currentSegmentID()))

    def setMRMLScene(self, scene: Any) -> None:
        """Offer the segmentations of that scene."""
        super().setMRMLScene(scene)
        self._nodes.setMRMLScene(scene)

    def _onNode(self, node: Any) -> None:
        self._observer.stop()
        if node is not None:
            observeSegments(self, self._observer, node, qMRMLSegmentSelectorWidget._fill)
        self._fill()
        self.currentNodeChanged.emit(node)
        self.currentNodeValid.emit(node is not None)

    def _fill(self) -> None:
        chosen, node = self.currentSegmentID(), self.currentNode()
        self._segments.blockSignals(True)
        self._segments.clear()
        if self._flags["noneEnabled"]:
            self._segments.addItem("None", "")
        for segmentID in segmentIDsOf(node) if node is not None else ():
            self._segments.addItem(node.GetSegmentation().GetSegment(segmentID).GetName(), segmentID)
        self._segments.setCurrentIndex(max(self._segments.findData(chosen), 0 if self._segments.count() else -1))
        self._segments.blockSignals(False)
        if self.currentSegmentID() != chosen:
            self.currentSegmentChanged.emit(self.currentSegmentID())

    def currentNode(self) -> Any:
        """The chosen segmentation."""
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        """ID of the chosen segmentation."""
        return str(self._nodes.currentNodeID)

    def currentSegmentID(self) -> str:
        """ID of the chosen segment."""
        return str(self._segments.currentData() or "")

    def segmentIDs(self) -> list[str]:
        """IDs of all segments of the chosen segmentation."""
        node = self.currentNode()
        return segmentIDsOf(node) if node is not None else []

    def selectedSegmentIDs(self) -> list[str]:
        """IDs of the chosen segments."""
        return [self.currentSegmentID()] if self.currentSegmentID() else []

    def setCurrentNode(self, node: Any) -> None:
        """Choose a segmentation."""
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, nodeID: str) -> None:
        """Choose a segmentation by its ID."""
        self._nodes.setCurrentNodeID(nodeID)

    def setCurrentSegmentID(self, segmentID: str) -> None:
        """Choose a segment."""
        self._segments.setCurrentIndex(self._segments.findData(segmentID))

    def _set(self, name: str, value: bool) -> None:
        self._flags[name] = value
        self._fill()

    noneEnabled = Property(bool, lambda s: s._flags["noneEnabled"], lambda s, v: s._set("noneEnabled", v))
    editEnabled = Property(bool, lambda s: s._nodes.editEnabled, lambda s, v: setattr(s._nodes, "editEnabled", v))
    multiSelection = Property(bool, lambda s: s._flags["multiSelection"], lambda s, v: s._set("multiSelection", v))
    segmentationNodeSelectorVisible = Property(
        bool, lambda s: not s._nodes.isHidden(), lambda s, v: s._nodes.setVisible(v)
    )
