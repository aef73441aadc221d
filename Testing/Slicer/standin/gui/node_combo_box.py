"""`qMRMLWidget` and `qMRMLNodeComboBox`: a choice among the nodes of the scene, with None and actions as rows."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Property, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QWidget

from .scene_observer import SceneObserver


class qMRMLWidget(QWidget):
    """A widget that knows the scene and tells it on."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        """The scene, None before it is set."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Set the scene and tell it to the widgets that are connected."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """A combo box of nodes of given classes."""

    currentNodeChanged = Signal(object)
    currentNodeValid = Signal(bool)
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAddedByUserAction = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    nodeAboutToBeEdited = Signal(object)
    currentNodeRenamed = Signal(str)
    ACTION = "action:"

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._types: list[str] = []
        self._settings: dict[str, Any] = {
            "noneEnabled": False, "addEnabled": True, "removeEnabled": True, "editEnabled": False,
            "renameEnabled": False, "showHidden": False, "showChildNodeTypes": True, "hideChildNodeTypes": [],
            "selectNodeUponCreation": True, "noneDisplay": "None", "baseName": "", "interactionNodeSingletonTag": "",
        }  # fmt: skip
        self._attributes: list[tuple[str, str, str | None]] = []
        self._labels: dict[str, str] = {}
        self._toldID = self._toldText = ""
        self._rebuilding = False
        self._observer = SceneObserver(self)
        self._combo = QComboBox(self)
        self._combo.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._combo.setMinimumContentsLength(8)
        self._combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self._combo.currentIndexChanged.connect(self._tell)
        self._combo.activated.connect(self._onActivated)
        self.setEnabled(False)

    # --- scene -----------------------------------------------------------------------------------------------------

    def mrmlScene(self) -> Any:
        """The scene, None before it is set."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Offer the nodes of that scene."""
        if scene is self._scene:
            return
        self._observer.stop()
        self._scene = scene
        self.setEnabled(scene is not None)
        if scene is not None:
            kind = slicer.vtkMRMLScene
            # Slicer's model of the scene hears first of nodes that are added, and last of those that go.
            self._observer.observe(scene, kind.NodeAddedEvent, qMRMLNodeComboBox._onNodeAdded, 10.0)
            self._observer.observe(scene, kind.NodeAboutToBeRemovedEvent, qMRMLNodeComboBox._onNodeRemoved, -10.0)
            for event in (kind.EndBatchProcessEvent, kind.EndCloseEvent, kind.EndImportEvent, kind.EndRestoreEvent):
                self._observer.observe(scene, event, lambda widget, data: widget._rebuild())
        self._rebuild()

    def _offers(self, node: Any) -> bool:
        settings = self._settings
        if node.GetHideFromEditors() and not settings["showHidden"]:
            return False
        kinds = [kind for kind in self._types if node.IsA(kind)]
        if not settings["showChildNodeTypes"]:
            kinds = [kind for kind in kinds if node.GetClassName() == kind]
        if not kinds or any(node.IsA(kind) for kind in settings["hideChildNodeTypes"]):
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _onNodeAdded(self, node: Any) -> None:
        if not self._scene.IsBatchProcessing() and self._offers(node) and self._row(node.GetID()) < 0:
            self._insert(node)
            self.nodeAdded.emit(node)

    def _insert(self, node: Any) -> None:
        row = self._firstAction()
        self._combo.insertItem(row, node.GetName(), node.GetID())
        self._observer.observe(node, vtk.vtkCommand.ModifiedEvent, lambda w, d, n=node: w._onNodeModified(n))

    def _onNodeModified(self, node: Any) -> None:
        row = self._row(node.GetID())
        if row < 0:
            return
        if not self._offers(node):
            self._combo.removeItem(row)
        elif self._combo.itemText(row) != node.GetName():
            self._combo.setItemText(row, node.GetName())
            if row == self._combo.currentIndex():
                self._tell()
                self.currentNodeRenamed.emit(node.GetName())

    def _onNodeRemoved(self, node: Any) -> None:
        row = self._row(node.GetID()) if node is not None else -1
        if row >= 0:
            self.nodeAboutToBeRemoved.emit(node)
            self._observer.stop(node)
            self._combo.removeItem(row)
            if self.currentNode() is None:
                self.setCurrentNodeID("")

    def _row(self, nodeID: str) -> int:
        return next((row for row in range(self._combo.count()) if self._combo.itemData(row) == nodeID), -1)

    def _firstAction(self) -> int:
        data = [self._combo.itemData(row) for row in range(self._combo.count())]
        return next((row for row, value in enumerate(data) if str(value).startswith(self.ACTION)), len(data))

    def _rebuild(self) -> None:
        """Write all rows anew; the chosen node stays chosen if it is still offered."""
        chosen = self.currentNodeID
        self._rebuilding = True
        self._combo.clear()
        if self._scene is not None:
            if self._settings["noneEnabled"]:
                self._combo.addItem(self._settings["noneDisplay"], "")
            before = self._combo.currentIndex()
            for text, action in self._actions():
                self._combo.addItem(text, self.ACTION + action)
            self._combo.setCurrentIndex(before)
            nodes = [self._scene.GetNthNode(i) for i in range(self._scene.GetNumberOfNodes())]
            for node in nodes:
                self._observer.stop(node)
                if self._offers(node):
                    self._insert(node)
        self._rebuilding = False
        if chosen and self._row(chosen) >= 0:
            self._combo.setCurrentIndex(self._row(chosen))
        if self._currentID() != self._toldID:
            self._tell()

    def _actions(self) -> list[tuple[str, str]]:
        settings = self._settings
        label = self.nodeTypeLabel(self._types[0]) if len(self._types) == 1 else "node"
        rows = []
        if settings["renameEnabled"]:
            rows.append((f"Rename current {label}", "RENAME"))
        if settings["editEnabled"]:
            rows.append((f"Edit current {label}", "EDIT"))
        if settings["addEnabled"]:
            rows += [(f"Create new {self.nodeTypeLabel(kind)}", f"CREATE/{kind}") for kind in self._types]
        if settings["removeEnabled"]:
            rows.append((f"Delete current {label}", "DELETE"))
        return rows

    # --- choice ----------------------------------------------------------------------------------------------------

    def _currentID(self) -> str:
        data = self._combo.currentData()
        return "" if data is None or data.startswith(self.ACTION) else str(data)

    def currentNode(self) -> Any:
        """The chosen node, None when none is chosen."""
        nodeID = self._currentID()
        return self._scene.GetNodeByID(nodeID) if nodeID and self._scene is not None else None

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node by itself or by its ID."""
        self.setCurrentNodeID(node if isinstance(node, str) else "" if node is None else node.GetID())

    def setCurrentNodeID(self, nodeID: str) -> None:
        """Choose a node by its ID; an unknown or empty one chooses None."""
        row = self._row(nodeID) if nodeID else -1
        self._combo.setCurrentIndex(row if row >= 0 else 0 if self._settings["noneEnabled"] else -1)

    def setCurrentNodeIndex(self, index: int) -> None:
        """Choose the n-th node."""
        self.setCurrentNode(self.nodeFromIndex(index))

    def nodeCount(self) -> int:
        """Number of offered nodes."""
        return self._firstAction() - int(self._settings["noneEnabled"]) if self._scene is not None else 0

    def nodeFromIndex(self, index: int) -> Any:
        """The n-th offered node."""
        nodeID = self._combo.itemData(index + int(self._settings["noneEnabled"]))
        return self._scene.GetNodeByID(nodeID) if nodeID and self._scene is not None else None

    def _tell(self, index: int = 0) -> None:
        """Tell the chosen node: also the same one again, when its row moves up or its name changes.

        Between nodes of one name nothing is told. The first is so with Qt 5, the second with Qt 6: Slicer 5.12 listens
        to the text of its combo box.
        """
        if self._rebuilding:
            return
        if str(self._combo.currentData() or "").startswith(self.ACTION):
            # The row of the chosen node is gone and an action has taken its place: the last node is chosen.
            last = self.nodeFromIndex(self.nodeCount() - 1) if self.nodeCount() else None
            if last is not None:
                self.setCurrentNode(last)
            return
        nodeID, text = self._currentID(), self._combo.currentText()
        isNamesake = bool(nodeID) and nodeID != self._toldID and text == self._toldText
        self._toldID, self._toldText = nodeID, text
        if isNamesake:
            return
        node = self.currentNode()
        self.currentNodeChanged.emit(node)
        self.currentNodeValid.emit(node is not None)
        self.currentNodeIDChanged.emit(nodeID)

    def _onActivated(self, index: int) -> None:
        data = self._combo.itemData(index) or ""
        if not data.startswith(self.ACTION):
            self.nodeActivated.emit(self.currentNode())
            return
        self._combo.blockSignals(True)
        self.setCurrentNodeID(self._toldID)
        self._combo.blockSignals(False)
        action, _, kind = data.removeprefix(self.ACTION).partition("/")
        if action == "CREATE":
            node = self.addNode(kind)
            self.setCurrentNode(node)
            self.nodeAddedByUserAction.emit(node)
        elif action == "DELETE":
            self.removeCurrentNode()
        elif action == "EDIT":
            self.nodeAboutToBeEdited.emit(self.currentNode())

    def choose(self, text: str) -> None:
        """Do what a person does who opens the box and clicks on a row (the stand-in's own)."""
        row = self._combo.findText(text)
        if row < 0:
            raise ValueError(f"no row {text!r} among {[self._combo.itemText(i) for i in range(self._combo.count())]}")
        self._combo.setCurrentIndex(row)
        self._combo.activated.emit(row)

    # --- nodes made and removed ------------------------------------------------------------------------------------

    def addNode(self, kind: str | None = None) -> Any:
        """Make a node of the given, or of the first, class."""
        kind = kind or self._types[0]
        base = self._settings["baseName"] or self.nodeTypeLabel(kind)
        node = self._scene.CreateNodeByClass(kind)
        node.UnRegister(None)
        node.SetName(self._scene.GenerateUniqueName(base))
        for _, name, value in self._attributes:
            node.SetAttribute(name, value or "")
        node = self._scene.AddNode(node)
        if self._settings["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """Take the chosen node out of the scene."""
        node = self.currentNode()
        if node is not None:
            self._scene.RemoveNode(node)

    def addAttribute(self, nodeType: str, name: str, value: Any = None) -> None:
        """Offer only nodes of that class that have the attribute (with that value)."""
        self._attributes.append((nodeType, name, None if value is None else str(value)))
        self._rebuild()

    def removeAttribute(self, nodeType: str, name: str) -> None:
        """Undo :meth:`addAttribute`."""
        self._attributes = [entry for entry in self._attributes if entry[:2] != (nodeType, name)]
        self._rebuild()

    def nodeTypeLabel(self, nodeType: str) -> str:
        """Words for a class of nodes."""
        display = self._scene.GetTypeDisplayNameByClassName(nodeType) if self._scene is not None else ""
        return self._labels.get(nodeType) or display or "node"

    def setNodeTypeLabel(self, label: str, nodeType: str) -> None:
        """Set the words for a class of nodes."""
        self._labels[nodeType] = label
        self._rebuild()

    # --- properties ------------------------------------------------------------------------------------------------

    def _setTypes(self, types: list[str]) -> None:
        self._types = list(types)
        self._rebuild()

    def _set(self, name: str, value: Any) -> None:
        if self._settings[name] != value:
            self._settings[name] = value
            self._rebuild()

    nodeTypes = Property("QStringList", lambda self: self._types, _setTypes)
    currentNodeID = Property(str, _currentID, setCurrentNodeID)
    noneEnabled = Property(bool, lambda s: s._settings["noneEnabled"], lambda s, v: s._set("noneEnabled", v))
    addEnabled = Property(bool, lambda s: s._settings["addEnabled"], lambda s, v: s._set("addEnabled", v))
    removeEnabled = Property(bool, lambda s: s._settings["removeEnabled"], lambda s, v: s._set("removeEnabled", v))
    editEnabled = Property(bool, lambda s: s._settings["editEnabled"], lambda s, v: s._set("editEnabled", v))
    renameEnabled = Property(bool, lambda s: s._settings["renameEnabled"], lambda s, v: s._set("renameEnabled", v))
    showHidden = Property(bool, lambda s: s._settings["showHidden"], lambda s, v: s._set("showHidden", v))
    showChildNodeTypes = Property(
        bool, lambda s: s._settings["showChildNodeTypes"], lambda s, v: s._set("showChildNodeTypes", v)
    )
    hideChildNodeTypes = Property(
        "QStringList", lambda s: s._settings["hideChildNodeTypes"], lambda s, v: s._set("hideChildNodeTypes", list(v))
    )
    selectNodeUponCreation = Property(
        bool, lambda s: s._settings["selectNodeUponCreation"], lambda s, v: s._set("selectNodeUponCreation", v)
    )
    noneDisplay = Property(str, lambda s: s._settings["noneDisplay"], lambda s, v: s._set("noneDisplay", v))
    baseName = Property(str, lambda s: s._settings["baseName"], lambda s, v: s._set("baseName", v))
    interactionNodeSingletonTag = Property(
        str,
        lambda s: s._settings["interactionNodeSingletonTag"],
        lambda s, v: s._set("interactionNodeSingletonTag", v),
    )
