"""Effects of the segment editor: what `qMRMLSegmentEditorWidget.activeEffect()` gives, and the one called Threshold.

What an effect does to a segment is done by Slicer's own `vtkSlicerSegmentEditorLogic`, which slicer-core has.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtCore import Property, QObject
from PySide6.QtWidgets import QDoubleSpinBox, QFormLayout, QFrame, QPushButton

from ..core.reports import report
from .conventions import wrap
from .messages import QtWarning

NOT_HERE = (
    "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices", "Margin", "Hollow",
    "Smoothing", "Scissors", "Islands", "Logical operators", "Mask volume",
)  # fmt: skip
"""Effects of Slicer that the stand-in has not: asking for one is no mistake of the panel's, but cannot be tried."""


class qSlicerSegmentEditorScriptedEffect(QObject):
    """One effect, as C++ shows it: parameters on the editor's node, images from the editor's logic."""

    def __init__(self, editor: Any = None, makePython: Any = None) -> None:
        super().__init__(editor)
        self._editor = editor
        self._name = self._title = ""
        self._node: Any = None
        self._isActive = False
        self._frame = QFrame()
        QFormLayout(self._frame)
        self._python = (makePython or SegmentEditorThresholdEffect)(self)
        self._name = self._title = self._python.NAME
        self._python.setupOptionsFrame()
        self._frame.hide()

    def self(self) -> Any:
        """The effect's Python object."""
        return self._python

    def optionsFrame(self) -> QFrame:
        """Widgets of the effect."""
        return self._frame

    def parameterSetNode(self) -> Any:
        """Node that keeps the parameters."""
        return self._node

    def setParameterSetNode(self, node: Any) -> None:
        """Set the node that keeps the parameters."""
        self._node = node

    def active(self) -> bool:
        """Whether the effect is the chosen one."""
        return self._isActive

    def activate(self) -> None:
        """Show the widgets."""
        self._isActive = True
        self._python.activate()
        self._frame.show()
        self._python.updateGUIFromMRML()

    def deactivate(self) -> None:
        """Hide the widgets."""
        self._isActive = False
        self._frame.hide()

    def helpText(self) -> str:
        """What the effect does."""
        return str(self._python.helpText())

    # --- parameters ------------------------------------------------------------------------------------------------

    def setParameter(self, name: str, value: Any) -> None:
        """Set a parameter: text as it stands, a number with six digits, as QString::number writes it."""
        if self._node is None:
            report(QtWarning(f"Invalid segment editor parameter set node set to effect {self._name}"))
            return
        text = value if isinstance(value, str) else f"{value:.6g}"
        if self._node.GetAttribute(f"{self._name}.{name}") == text:
            return
        wasModifying = self._node.GetDisableModifiedEvent()
        self._node.SetDisableModifiedEvent(1)
        self._node.SetAttribute(f"{self._name}.{name}", text)
        self._node.SetDisableModifiedEvent(wasModifying)
        self._node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def setParameterDefault(self, name: str, value: Any) -> None:
        """Set a parameter that has no value."""
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def parameterDefined(self, name: str) -> bool:
        """Whether a parameter has a value."""
        return self._node is not None and self._node.GetAttribute(f"{self._name}.{name}") is not None

    def parameter(self, name: str) -> str:
        """Value of a parameter."""
        if not self.parameterDefined(name):
            report(QtWarning(f"Parameter named '{name}' cannot be found for effect {self._name}"))
            return ""
        return str(self._node.GetAttribute(f"{self._name}.{name}"))

    def doubleParameter(self, name: str) -> float:
        """Value of a parameter as a number."""
        try:
            return float(self.parameter(name))
        except ValueError:
            report(QtWarning(f"Parameter named '{name}' cannot be converted to a floating point number"))
            return 0.0

    def integerParameter(self, name: str) -> int:
        """Value of a parameter as a whole number."""
        return int(self.doubleParameter(name))

    # --- images ----------------------------------------------------------------------------------------------------

    def sourceVolumeImageData(self) -> Any:
        """The source volume on the grid of the segmentation."""
        logic = self._editor.logic()
        return logic.GetAlignedSourceVolume() if logic.UpdateAlignedSourceVolume() else None

    def defaultModifierLabelmap(self) -> Any:
        """An empty image on the grid of the segmentation."""
        logic = self._editor.logic()
        return logic.GetModifierLabelmap() if logic.ResetModifierLabelmapToDefault() else None

    def modifySelectedSegmentByLabelmap(self, labelmap: Any, mode: int, bypassMasking: bool = False) -> None:
        """Put an image into the chosen segment."""
        for node in (self._node.GetSegmentationNode(), self._node.GetSourceVolumeNode()):
            _listInHierarchy(node)
        logic = slicer.vtkSlicerSegmentEditorLogic
        modes = [getattr(logic, f"ModificationMode{name}") for name in ("Set", "Add", "Remove", "RemoveAll")]
        segmentID = self._node.GetSelectedSegmentID() or ""
        self._editor.logic().ModifySegmentByLabelmap(
            self._node.GetSegmentationNode(), segmentID, labelmap, modes[int(mode)], True, bypassMasking
        )

    def saveStateForUndo(self) -> None:
        """Keep the segmentation as it is, for `undo`."""
        self._editor.saveStateForUndo()

    def selectEffect(self, name: str) -> None:
        """Choose another effect."""
        self._editor.setActiveEffectByName(name)

    def confirmCurrentSegmentVisible(self) -> int:
        """1 if the chosen segment is visible; Slicer asks a person where it is hidden."""
        node, segmentID = self._node.GetSegmentationNode(), self._node.GetSelectedSegmentID()
        if node is None or not segmentID:
            return 1
        displays = [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
        if any(display.GetVisibility() and display.GetSegmentVisibility(segmentID) for display in displays):
            return 1
        raise RuntimeError("'Operate on invisible segment?' would wait for a person: show the segment first")

    def _set(self, name: str) -> None:
        raise AttributeError(f"Cannot set effect {name} by method, only in constructor!")

    name = Property(str, lambda s: s._name, lambda s, v: s._set("name"))
    title = Property(str, lambda s: s._title, lambda s, v: setattr(s, "_title", v))
    perSegment = Property(bool, lambda s: True, lambda s, v: s._set("per-segment flag"))
    requireSegments = Property(bool, lambda s: True, lambda s, v: None)


class SegmentEditorThresholdEffect:
    """`effect.self()` of the threshold effect: fills the chosen segment where the source volume lies in a range."""

    NAME = "Threshold"

    def __init__(self, scriptedEffect: qSlicerSegmentEditorScriptedEffect) -> None:
        self._effect = scriptedEffect

    @property
    def scriptedEffect(self) -> Any:
        """The effect, as C++ shows it."""
        return wrap(self._effect)

    @property
    def applyButton(self) -> Any:
        """The button that fills the segment."""
        return wrap(self._apply)

    def helpText(self) -> str:
        """What the effect does."""
        return "<html>Fill segment based on source volume intensity range.</html>"

    def setupOptionsFrame(self) -> None:
        """Make the range and the button."""
        self._low, self._high = QDoubleSpinBox(), QDoubleSpinBox()
        for box in (self._low, self._high):
            box.setRange(-1e15, 1e15)
            box.valueChanged.connect(self.onThresholdValuesChanged)
        self._apply = QPushButton("Apply")
        self._apply.setObjectName("SegmentEditorThresholdEffectApply")
        self._apply.clicked.connect(lambda: self.onApply())
        layout = self._effect.optionsFrame().layout()
        layout.addRow("Threshold Range:", self._low)
        layout.addRow("", self._high)
        layout.addRow(self._apply)

    def setMRMLDefaults(self) -> None:
        """Parameters of a new node."""
        self._effect.setParameterDefault("MinimumThreshold", 0.0)
        self._effect.setParameterDefault("MaximumThreshold", 0)

    def activate(self) -> None:
        """Begin with the upper three quarters of the values where no range was chosen yet."""
        self.sourceVolumeNodeChanged()

    def sourceVolumeNodeChanged(self) -> None:
        """Take the range of another source volume."""
        image, effect = self._effect.sourceVolumeImageData(), self._effect
        if image is None:
            return
        low, high = image.GetScalarRange()
        if effect.doubleParameter("MinimumThreshold") == effect.doubleParameter("MaximumThreshold"):
            effect.setParameter("MinimumThreshold", low + (high - low) * 0.25)
            effect.setParameter("MaximumThreshold", high)

    def updateGUIFromMRML(self) -> None:
        """Show the parameters."""
        if not self._effect.active():
            return
        for box, name in ((self._low, "MinimumThreshold"), (self._high, "MaximumThreshold")):
            box.blockSignals(True)
            box.setValue(self._effect.doubleParameter(name))
            box.blockSignals(False)

    def onThresholdValuesChanged(self) -> None:
        """A person changed the range."""
        self._effect.setParameter("MinimumThreshold", self._low.value())
        self._effect.setParameter("MaximumThreshold", self._high.value())

    def onApply(self) -> None:
        """Fill the chosen segment, and choose no effect any more."""
        effect = self._effect
        if not effect.confirmCurrentSegmentVisible():
            return
        source, modifier = effect.sourceVolumeImageData(), effect.defaultModifierLabelmap()
        effect.saveStateForUndo()
        threshold = vtk.vtkImageThreshold()
        threshold.SetInputData(source)
        threshold.ThresholdBetween(
            effect.doubleParameter("MinimumThreshold"), effect.doubleParameter("MaximumThreshold")
        )
        threshold.SetInValue(1)
        threshold.SetOutValue(0)
        threshold.SetOutputScalarType(modifier.GetScalarType())
        threshold.Update()
        filled = slicer.vtkOrientedImageData()
        filled.ShallowCopy(threshold.GetOutput())
        filled.CopyDirections(modifier)
        modifier.DeepCopy(filled)
        effect.modifySelectedSegmentByLabelmap(modifier, slicer.vtkSlicerSegmentEditorLogic.ModificationModeSet)
        effect.selectEffect("")


def _listInHierarchy(node: Any) -> None:
    """Give a node its place in the subject hierarchy, as Slicer does when the node is added."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if node is not None and not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def makeEffects(editor: Any) -> dict[str, qSlicerSegmentEditorScriptedEffect]:
    """Every effect of an editor, by name."""
    effects = [qSlicerSegmentEditorScriptedEffect(editor, kind) for kind in (SegmentEditorThresholdEffect,)]
    return {effect._name: effect for effect in effects}
