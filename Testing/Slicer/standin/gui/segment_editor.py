"""`qMRMLSegmentEditorWidget`: segments, effects and their options on Slicer's own `vtkSlicerSegmentEditorLogic`.

It says what the real widget's header says, follows the editor's node as its source does, and keeps as problems what
that prints as errors. Of the effects it has Threshold.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Property, QSignalBlocker, Signal
from PySide6.QtWidgets import QButtonGroup, QGroupBox, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from ..core.reports import report
from .messages import QtWarning
from .node_combo_box import qMRMLNodeComboBox, qMRMLWidget
from .scene_observer import SceneObserver
from .segment_effects import NOT_HERE, makeEffects
from .segment_widgets import qMRMLSegmentsTableView


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Editor of the segments of one segmentation."""

    currentSegmentIDChanged = Signal(str)
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._shownSegmentation: Any = None
        self._shownSource: Any = None
        self._active: Any = None
        self._observer, self._segments_observer = SceneObserver(self), SceneObserver(self)
        self._scene_observer = SceneObserver(self)
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.AddObserver(vtk.vtkCommand.ErrorEvent, _keepError)
        self._hidden = {"segmentationNodeSelectorVisible": False, "sourceVolumeNodeSelectorVisible": False}
        self._makeWidgets()
        self._effects = makeEffects(self)
        self._buttons = QButtonGroup(self)
        for name, effect in self._effects.items():
            button = QToolButton()
            button.setText(name)
            button.setObjectName(name)
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, e=effect: self.setActiveEffect(e))
            self._buttons.addButton(button)
            self._effectsBox.layout().addWidget(button)
            self._optionsBox.layout().addWidget(effect.optionsFrame())

    def _makeWidgets(self) -> None:
        self._segmentations, self._sources = qMRMLNodeComboBox(self), qMRMLNodeComboBox(self)
        self._segmentations.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._sources.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        for box in (self._segmentations, self._sources):
            box.noneEnabled, box.addEnabled, box.removeEnabled = True, False, False
        self._add, self._remove = QPushButton("Add"), QPushButton("Remove")
        self._add.setObjectName("AddSegmentButton")
        self._remove.setObjectName("RemoveSegmentButton")
        self._undo, self._redo = QToolButton(), QToolButton()
        for button, name in ((self._undo, "Undo"), (self._redo, "Redo")):
            button.setText(name)
            button.setObjectName(f"{name}Button")
        self._table = qMRMLSegmentsTableView(self)
        self._table.setSelectionMode(1)
        self._effectsBox, self._optionsBox = QGroupBox("Effects"), QGroupBox()
        QHBoxLayout(self._effectsBox)
        QVBoxLayout(self._optionsBox)
        self._optionsBox.hide()
        buttons = QHBoxLayout()
        for widget in (self._add, self._remove, self._undo, self._redo):
            buttons.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for item in (self._segmentations, self._sources, buttons, self._table, self._effectsBox, self._optionsBox):
            layout.addWidget(item) if isinstance(item, QWidget) else layout.addLayout(item)
        self._segmentations.currentNodeChanged.connect(self._onSegmentationChosen)
        self._sources.currentNodeChanged.connect(self._onSourceChosen)
        self._table.selectionChanged.connect(self._onSegmentChosen)
        self._add.clicked.connect(lambda: self._logic.AddEmptySegment("", 0))
        self._remove.clicked.connect(lambda: self._logic.RemoveSelectedSegment())
        self._undo.clicked.connect(self.undo)
        self._redo.clicked.connect(self.redo)

    def logic(self) -> Any:
        """What edits; Slicer's own."""
        return self._logic

    # --- scene and nodes -------------------------------------------------------------------------------------------

    def setMRMLScene(self, scene: Any) -> None:
        """Offer the segmentations and volumes of a scene."""
        if scene is self.mrmlScene():
            return
        with QSignalBlocker(self._segmentations), QSignalBlocker(self._sources):
            super().setMRMLScene(scene)
            self._segmentations.setMRMLScene(scene)
            self._sources.setMRMLScene(scene)
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(scene)
        self._logic.SetVerbose(True)
        self._scene_observer.stop()
        if scene is not None:
            self._scene_observer.observe(scene, scene.EndCloseEvent, lambda w, d: w._onEndClose())
        self.updateWidgetFromMRML()

    def _onEndClose(self) -> None:
        self._initializeParameterSetNode()
        self.updateWidgetFromMRML()

    def mrmlSegmentEditorNode(self) -> Any:
        """The node that keeps the editor's state."""
        return self._node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        """Set the node that keeps the editor's state."""
        if node is self._node:
            return
        self._observer.stop()
        self._node = node
        self._logic.SetSegmentEditorNode(node)
        if node is None:
            return
        self._observer.observe(node, vtk.vtkCommand.ModifiedEvent, lambda w, d: w.updateWidgetFromMRML())
        self._observer.observe(
            node, slicer.vtkMRMLSegmentEditorNode.EffectParameterModified, lambda w, d: w._showParameters()
        )
        self._initializeParameterSetNode()
        self.updateWidgetFromMRML()

    def _initializeParameterSetNode(self) -> None:
        if self._node is not None:
            for effect in self._effects.values():
                effect.setParameterSetNode(self._node)
                effect.self().setMRMLDefaults()

    def _showParameters(self) -> None:
        for effect in self._effects.values():
            effect.self().updateGUIFromMRML()

    def segmentationNode(self) -> Any:
        """The segmentation."""
        return self._segmentations.currentNode()

    def segmentationNodeID(self) -> str:
        """ID of the segmentation."""
        return str(self._segmentations.currentNodeID)

    def setSegmentationNode(self, node: Any) -> None:
        """Edit another segmentation; no effect is active then."""
        if self._logic.GetSegmentationNode() is node:
            return
        self._logic.SetSegmentationNode(node)
        self.setActiveEffect(None)

    def sourceVolumeNode(self) -> Any:
        """The volume that thresholds speak of."""
        return self._logic.GetSourceVolumeNode()

    def sourceVolumeNodeID(self) -> str:
        """ID of that volume."""
        node = self.sourceVolumeNode()
        return "" if node is None else str(node.GetID())

    def setSourceVolumeNode(self, node: Any) -> None:
        """Set the volume that thresholds speak of."""
        self._logic.SetSourceVolumeNode(node)

    def currentSegmentID(self) -> str:
        """ID of the chosen segment."""
        return str(self._logic.GetCurrentSegmentID())

    def setCurrentSegmentID(self, segmentID: str) -> None:
        """Choose a segment."""
        if self._node is not None:
            self._node.SetSelectedSegmentID(segmentID)

    def _onSegmentationChosen(self, node: Any) -> None:
        if self.mrmlScene() is not None and not self.mrmlScene().IsBatchProcessing():
            self.setSegmentationNode(node)

    def _onSourceChosen(self, node: Any) -> None:
        if self.mrmlScene() is not None and not self.mrmlScene().IsBatchProcessing():
            self.setSourceVolumeNode(node)

    def _onSegmentChosen(self, *_: Any) -> None:
        if self._node is None:
            return
        chosen = self._table.selectedSegmentIDs()
        segmentID = chosen[0] if chosen else ""
        if segmentID == (self._node.GetSelectedSegmentID() or ""):
            return
        self._node.SetSelectedSegmentID(segmentID or None)
        if not segmentID:
            self.setActiveEffect(None)
        self.currentSegmentIDChanged.emit(segmentID)

    # --- effects ---------------------------------------------------------------------------------------------------

    def activeEffect(self) -> Any:
        """The effect that is active, None when there is none."""
        return self._active

    def setActiveEffect(self, effect: Any) -> None:
        """Activate an effect, or none."""
        if self._node is None:
            if effect is not None:
                report(QtWarning("qMRMLSegmentEditorWidget.setActiveEffect: Invalid segment editor parameter set node"))
            return
        self._node.SetActiveEffectName(effect._name if effect is not None else "")

    def setActiveEffectByName(self, name: str) -> None:
        """Activate an effect by its name; none where no effect has it."""
        self.setActiveEffect(self.effectByName(name))

    def effectByName(self, name: str) -> Any:
        """An effect, None when there is none of this name."""
        if name in NOT_HERE:
            raise NotImplementedError(f"the stand-in has no effect '{name}', which Slicer has")
        return self._effects.get(name)

    def availableEffectNames(self) -> list[str]:
        """Names of the effects."""
        return list(self._effects)

    # --- bringing the widgets up to date ---------------------------------------------------------------------------

    def updateWidgetFromMRML(self) -> None:
        """Show what the editor's node says."""
        scene, node = self.mrmlScene(), self._node
        if scene is None or scene.IsClosing() or scene.IsBatchProcessing():
            return
        for widget in (self._segmentations, self._sources, self._effectsBox, self._optionsBox):
            widget.setEnabled(node is not None)
        if node is None:
            return
        self._updateSegmentation()
        self._updateSource()
        isReady = self._shownSegmentation is not None and self._logic.CanAddSegments()
        self._add.setEnabled(isReady)
        self._remove.setEnabled(self._shownSegmentation is not None and self._logic.CanRemoveSegments())
        segmentID = self.currentSegmentID()
        with QSignalBlocker(self._table):
            self._table.setSelectedSegmentIDs([segmentID] if segmentID else [])
        self._updateEffects()
        self._undo.setEnabled(self._logic.CanUndo())
        self._redo.setEnabled(self._logic.CanRedo())

    def _updateSegmentation(self) -> None:
        segmentation = self._logic.GetSegmentationNode()
        with QSignalBlocker(self._segmentations):
            self._segmentations.setCurrentNode(segmentation)
        if segmentation is self._shownSegmentation:
            return
        self._shownSegmentation = segmentation
        self._segments_observer.stop()
        with QSignalBlocker(self._table):
            self._table.setSegmentationNode(segmentation)
        if segmentation is not None:
            for event in ("SegmentAdded", "SegmentRemoved"):
                self._segments_observer.observe(
                    segmentation, getattr(slicer.vtkSegmentation, event), lambda w, d: w.updateWidgetFromMRML()
                )
            role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
            self._logic.SetSourceVolumeNode(segmentation.GetNodeReference(role))
            segmentation.CreateDefaultDisplayNodes()
            if segmentation.GetSegmentation().GetNumberOfSegments() > 0:
                self._node.SetSelectedSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))
        self.segmentationNodeChanged.emit(segmentation)

    def _updateSource(self) -> None:
        if self._shownSegmentation is None:
            return
        source = self._logic.GetSourceVolumeNode()
        if source is self._shownSource:
            return
        self._shownSource = source
        with QSignalBlocker(self._sources):
            self._sources.setCurrentNode(source)
        if source is not None and slicer.app.layoutManager() is not None:
            slicer.util.setSliceViewerLayers(background=source)
        self.sourceVolumeNodeChanged.emit(source)
        for effect in self._effects.values():
            effect.self().sourceVolumeNodeChanged()

    def _updateEffects(self) -> None:
        hasSource = self._node.GetSourceVolumeNode() is not None
        self._effectsBox.setEnabled(hasSource)
        self._optionsBox.setEnabled(hasSource)
        for button in self._buttons.buttons():
            button.setEnabled(hasSource and bool(self.currentSegmentID()))
        wanted = self._effects.get(self._node.GetActiveEffectName() or "")
        if wanted is self._active:
            return
        if self._active is not None:
            self._active.deactivate()
        if wanted is not None and not self._hasLabelmap():
            wanted = None
        if wanted is not None:
            wanted.activate()
        self._optionsBox.setVisible(wanted is not None)
        self._optionsBox.setTitle("" if wanted is None else wanted._title)
        self._buttons.setExclusive(False)
        for button in self._buttons.buttons():
            button.setChecked(wanted is not None and button.objectName() == wanted._name)
        self._buttons.setExclusive(True)
        self._active = wanted

    def _hasLabelmap(self) -> bool:
        if self._logic.CanTriviallyConvertSourceRepresentationToBinaryLabelMap():
            return bool(self._logic.TrivialSetSourceRepresentationToBinaryLabelmap())
        if self._shownSegmentation is None:
            return False
        raise RuntimeError(
            "'Change source representation to binary labelmap?' would wait for a person: change it first"
        )

    # --- undo ------------------------------------------------------------------------------------------------------

    def saveStateForUndo(self) -> None:
        """Keep the segmentation as it is."""
        self._logic.SaveStateForUndo()
        self.updateWidgetFromMRML()

    def undo(self) -> None:
        """Go back by one step."""
        self._logic.Undo()
        self.updateWidgetFromMRML()

    def redo(self) -> None:
        """Go forth again by one step."""
        self._logic.Redo()
        self.updateWidgetFromMRML()

    def setupViewObservations(self) -> None:
        """Let effects hear of clicks in the views; the stand-in's effects need none."""

    def removeViewObservations(self) -> None:
        """Let effects hear of them no more."""

    segmentationNodeSelectorVisible = Property(
        bool, lambda s: not s._segmentations.isHidden(), lambda s, v: s._segmentations.setVisible(v)
    )
    sourceVolumeNodeSelectorVisible = Property(
        bool, lambda s: not s._sources.isHidden(), lambda s, v: s._sources.setVisible(v)
    )
    switchToSegmentationsButtonVisible = Property(bool, lambda s: False, lambda s, v: None)


def _keepError(caller: Any, event: str, text: str) -> None:
    report(QtWarning(text))


_keepError.CallDataType = "string0"  # type: ignore[attr-defined]
