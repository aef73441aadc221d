"""Connectors between widgets and parameters, for the pairs that Slicer's own `guiConnectors` offers."""

from __future__ import annotations

import enum
import pathlib
from typing import Any

import ctk
import qt
import slicer
from slicer.parameterNodeWrapper import (
    Choice,
    Decimals,
    GuiConnector,
    Maximum,
    Minimum,
    SingleStep,
    WithinRange,
    findFirstAnnotation,
    getNodeTypes,
    isNodeOrUnionOfNodes,
    parameterNodeGuiConnector,
    splitAnnotations,
    unannotatedType,
)


class _PropertyConnector(GuiConnector):
    """Connector whose value is one property of the widget and whose change is one signal."""

    WIDGETS: tuple[Any, ...] = ()
    TYPES: tuple[type, ...] = ()
    PROPERTY = ""
    SIGNAL = ""

    @classmethod
    def canRepresent(cls, widget: Any, datatype: Any) -> bool:
        return type(widget) in cls.WIDGETS and unannotatedType(datatype) in cls.TYPES

    @classmethod
    def create(cls, widget: Any, datatype: Any) -> Any:
        return cls(widget, datatype)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__()
        self._widget = widget
        self._type, self._annotations = splitAnnotations(datatype)

    def _annotation(self, kind: type) -> Any:
        return findFirstAnnotation(self._annotations, kind)

    def _connect(self) -> None:
        getattr(self._widget, self.SIGNAL).connect(self.changed)

    def _disconnect(self) -> None:
        getattr(self._widget, self.SIGNAL).disconnect(self.changed)

    def widget(self) -> Any:
        return self._widget

    def read(self) -> Any:
        return getattr(self._widget, self.PROPERTY)

    def write(self, value: Any) -> None:
        if getattr(self._widget, self.PROPERTY) != value:
            setattr(self._widget, self.PROPERTY, value)


@parameterNodeGuiConnector
class CheckBoxConnector(_PropertyConnector):
    """Check boxes show bool."""

    WIDGETS, TYPES, PROPERTY, SIGNAL = (qt.QCheckBox,), (bool,), "checked", "stateChanged"


@parameterNodeGuiConnector
class CheckableButtonConnector(_PropertyConnector):
    """Push buttons show bool, and become checkable for it."""

    WIDGETS, TYPES, PROPERTY, SIGNAL = (qt.QPushButton,), (bool,), "checked", "toggled"

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        widget.checkable = True


@parameterNodeGuiConnector
class SpinBoxConnector(_PropertyConnector):
    """Spin boxes show int."""

    WIDGETS, TYPES, PROPERTY, SIGNAL = (qt.QSpinBox,), (int,), "value", "valueChanged"

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        step, span = self._annotation(SingleStep), self._annotation(WithinRange)
        low, high = self._annotation(Minimum), self._annotation(Maximum)
        if step is not None:
            widget.singleStep = step.value
        if span is not None:
            widget.setRange(span.minimum, span.maximum)
        else:
            widget.minimum = low.minimum if low is not None else -(2**31)
            widget.maximum = high.maximum if high is not None else 2**31 - 1


@parameterNodeGuiConnector
class DoubleSpinBoxConnector(_PropertyConnector):
    """Spin boxes and sliders of real numbers show float and int."""

    WIDGETS = (qt.QDoubleSpinBox, ctk.ctkSliderWidget, ctk.ctkDoubleSpinBox)
    TYPES, PROPERTY, SIGNAL = (float, int), "value", "valueChanged"

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        step, span, decimals = (self._annotation(kind) for kind in (SingleStep, WithinRange, Decimals))
        low, high = self._annotation(Minimum), self._annotation(Maximum)
        if self._type is int:
            widget.decimals = 0
        elif decimals is not None:
            widget.decimals = decimals.value
        if step is not None:
            widget.singleStep = step.value
        if type(widget) is ctk.ctkSliderWidget and span is None and (low is None or high is None):
            raise RuntimeError("Cannot have a connection to ctkSliderWidget where the float types is unbounded.")
        if span is not None:
            widget.minimum, widget.maximum = span.minimum, span.maximum
        else:
            widget.minimum = low.minimum if low is not None else float("-inf")
            widget.maximum = high.maximum if high is not None else float("inf")

    def read(self) -> Any:
        return self._type(self._widget.value)

    def write(self, value: Any) -> None:
        self._widget.value = self._type(value)


@parameterNodeGuiConnector
class ComboBoxConnector(_PropertyConnector):
    """Combo boxes show one of the choices of an int, float, str or bool."""

    WIDGETS, TYPES = (qt.QComboBox, ctk.ctkComboBox), (int, float, str, bool)
    PROPERTY, SIGNAL = "currentIndex", "currentIndexChanged"

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        choice = self._annotation(Choice)
        if choice is None:
            raise RuntimeError("ComboBoxToStringableConnector requires the Choice annotation to be used.")
        self._values = list(choice.choices)
        self._fill([str(value) for value in self._values])

    def _fill(self, labels: list[str]) -> None:
        self._widget.clear()
        for label in labels:
            self._widget.addItem(label)

    def read(self) -> Any:
        return self._values[self._widget.currentIndex]

    def write(self, value: Any) -> None:
        if value not in self._values:
            raise ValueError(f"Unable to find value {value} in choices {self._values}")
        self._widget.currentIndex = self._values.index(value)


@parameterNodeGuiConnector
class EnumComboBoxConnector(ComboBoxConnector):
    """Combo boxes show the members of an Enum by their `label()`, or their names."""

    @classmethod
    def canRepresent(cls, widget: Any, datatype: Any) -> bool:
        bare = unannotatedType(datatype)
        return type(widget) in cls.WIDGETS and isinstance(bare, type) and issubclass(bare, enum.Enum)

    def __init__(self, widget: Any, datatype: Any) -> None:
        _PropertyConnector.__init__(self, widget, datatype)
        self._values = list(self._type)
        label = getattr(self._type, "label", lambda member: member.name)
        chosen = widget.currentIndex
        self._fill([label(member) for member in self._values])
        widget.currentIndex = max(0, min(chosen, len(self._values) - 1))


@parameterNodeGuiConnector
class LineEditConnector(_PropertyConnector):
    """Line edits show str."""

    WIDGETS, TYPES, PROPERTY, SIGNAL = (qt.QLineEdit,), (str,), "text", "textChanged"


@parameterNodeGuiConnector
class LabelConnector(_PropertyConnector):
    """Labels show str; nobody changes them."""

    WIDGETS, TYPES, PROPERTY = (qt.QLabel,), (str,), "text"

    def _connect(self) -> None:
        pass

    def _disconnect(self) -> None:
        pass


@parameterNodeGuiConnector
class PathConnector(_PropertyConnector):
    """Path line edits show paths."""

    WIDGETS, TYPES = (ctk.ctkPathLineEdit,), (pathlib.Path, pathlib.PurePath, pathlib.PosixPath)
    PROPERTY, SIGNAL = "currentPath", "currentPathChanged"

    def read(self) -> Any:
        return self._type(self._widget.currentPath)

    def write(self, value: Any) -> None:
        text = "" if value is None else str(value)
        if self._widget.currentPath != text:
            self._widget.currentPath = text


@parameterNodeGuiConnector
class NodeConnector(_PropertyConnector):
    """Node combo boxes show nodes."""

    SIGNAL = "currentNodeChanged"

    @classmethod
    def canRepresent(cls, widget: Any, datatype: Any) -> bool:
        return type(widget) is slicer.qMRMLNodeComboBox and isNodeOrUnionOfNodes(datatype)

    def __init__(self, widget: Any, datatype: Any) -> None:
        super().__init__(widget, datatype)
        widget.nodeTypes = getNodeTypes(datatype)

    def _connect(self) -> None:
        self._widget.connect("currentNodeChanged(vtkMRMLNode*)", self.changed)

    def _disconnect(self) -> None:
        self._widget.disconnect("currentNodeChanged(vtkMRMLNode*)", self.changed)

    def read(self) -> Any:
        return self._widget.currentNode()

    def write(self, value: Any) -> None:
        self._widget.setCurrentNode(value)

