"""`qMRMLTableView`: the columns of a MRML table, with titles and units from the node."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Property, Qt, Signal
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import QTableView, QWidget

from .scene_observer import SceneObserver


class qMRMLTableView(QTableView):
    """A table that follows its node."""

    mrmlSceneChanged = Signal(object)
    selectionChangedSignal = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._node: Any = None
        self._observer = SceneObserver(self)
        self._flags = {"transposed": False, "firstRowLocked": False, "firstColumnLocked": False}
        self._rows = QStandardItemModel(self)
        self.setModel(self._rows)
        self.selectionModel().selectionChanged.connect(lambda *_: self.selectionChangedSignal.emit())
        self._rows.itemChanged.connect(self._onEdited)

    def mrmlScene(self) -> Any:
        """The scene, None before it is set."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Set the scene; without one no table is shown."""
        if scene is not self._scene:
            self._scene = scene
            if scene is None:
                self.setMRMLTableNode(None)
            self.mrmlSceneChanged.emit(scene)

    def mrmlTableNode(self) -> Any:
        """The shown table node, None when there is none."""
        return self._node

    def setMRMLTableNode(self, node: Any) -> None:
        """Show a table node."""
        if node is not None and not node.IsA("vtkMRMLTableNode"):
            node = None
        if node is self._node:
            return
        self._observer.stop()
        self._node = node
        if node is not None:
            self._observer.observe(node, vtk.vtkCommand.ModifiedEvent, lambda view, data: view._show())
            if node.GetScene() is not None:
                self._observer.observe(
                    node.GetScene(), slicer.vtkMRMLScene.NodeRemovedEvent, qMRMLTableView._onNodeRemoved
                )
        self._show()

    def _onNodeRemoved(self, node: Any) -> None:
        if node is self._node:
            self.setMRMLTableNode(None)

    def _show(self) -> None:
        self._rows.blockSignals(True)
        self._rows.clear()
        table = self._node.GetTable() if self._node is not None else None
        columns = table.GetNumberOfColumns() if table is not None else 0
        rows = table.GetNumberOfRows() if table is not None else 0
        locked = self._node is None or self._node.GetLocked()
        for column in range(columns):
            for row in range(rows):
                item = QStandardItem(self._node.GetCellText(row, column))
                item.setEditable(not locked)
                self._put(row, column, item)
        if columns:
            names = [self._title(table.GetColumnName(column)) for column in range(columns)]
            if self._flags["transposed"]:
                self._rows.setVerticalHeaderLabels(names)
            else:
                self._rows.setHorizontalHeaderLabels(names)
        self._rows.blockSignals(False)
        self._rows.layoutChanged.emit()

    def _put(self, row: int, column: int, item: QStandardItem) -> None:
        if self._flags["transposed"]:
            row, column = column, row
        self._rows.setItem(row, column, item)

    def _title(self, name: str) -> str:
        return str(self._node.GetColumnTitle(name) or name)

    def _onEdited(self, item: QStandardItem) -> None:
        row, column = item.row(), item.column()
        if self._flags["transposed"]:
            row, column = column, row
        if self._node is not None and not self._node.SetCellText(row, column, item.data(Qt.ItemDataRole.EditRole)):
            self._show()

    def _set(self, name: str, value: bool) -> None:
        self._flags[name] = value
        self._show()

    transposed = Property(bool, lambda s: s._flags["transposed"], lambda s, v: s._set("transposed", v))
    firstRowLocked = Property(bool, lambda s: s._flags["firstRowLocked"], lambda s, v: s._set("firstRowLocked", v))
    firstColumnLocked = Property(
        bool, lambda s: s._flags["firstColumnLocked"], lambda s, v: s._set("firstColumnLocked", v)
    )

    def setTransposed(self, transposed: bool) -> None:
        """Show columns as rows."""
        self._set("transposed", transposed)

    def setFirstRowLocked(self, locked: bool) -> None:
        """Make the first row a header."""
        self._set("firstRowLocked", locked)

    def setFirstColumnLocked(self, locked: bool) -> None:
        """Make the first column a header."""
        self._set("firstColumnLocked", locked)
