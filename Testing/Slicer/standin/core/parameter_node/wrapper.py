"""`@parameterNodeWrapper`: a class whose annotated members are the parameters in a node of the scene."""

from __future__ import annotations

import logging
import typing
import weakref
from typing import Any

import vtk

from . import containers  # noqa: F401  (its serializers make themselves known)
from .connectors import GuiConnector, createGuiConnector
from .packs import ParameterInfo, checkMember, isParameterPack
from .serializers import createSerializer, nodeModify
from .typing_tools import Default, extractDefault, splitAnnotations, splitDottedName, unannotatedType

SlicerParameterNamePropertyName = "SlicerParameterName"
"""Dynamic property of a widget that names its parameter."""


def isParameterNodeWrapper(classOrObj: Any) -> bool:
    """Whether a class or object was made by `@parameterNodeWrapper`."""
    return bool(getattr(classOrObj, "_is_parameter_node_wrapper", False))


def parameterNodeWrapper(classtype: Any = None) -> Any:
    """Class decorator: the annotated members become typed, checked parameters of the node given at construction."""
    if classtype is None:
        return parameterNodeWrapper
    hints = typing.get_type_hints(classtype, include_extras=True)
    parameters = {name: _parameter(classtype, name, hint) for name, hint in hints.items()}
    for name in parameters:
        setattr(classtype, name, _property(name))
    reserved = {name: getattr(_Wrapper, name) for name in vars(_Wrapper) if not name.startswith("__")}
    for name in ("allParameters", "_is_parameter_node_wrapper", "dataType", *reserved):
        if hasattr(classtype, name):
            raise ValueError(f"Cannot use reserved name '{name}' in a parameterNodeWrapper")
    for name, method in reserved.items():
        setattr(classtype, name, method)
    classtype.__init__ = _start
    classtype.allParameters = parameters
    classtype._is_parameter_node_wrapper = True
    classtype.dataType = staticmethod(lambda membername: _dataType(classtype, membername))
    return classtype


def findChildWidgetForParameter(widget: Any, parameter: str) -> Any:
    """Widget inside another that is bound to a parameter, None when there is none."""
    import qt

    children = widget.findChildren(qt.QWidget)
    return next((child for child in children if child.property(SlicerParameterNamePropertyName) == parameter), None)


def _parameter(classtype: Any, name: str, hint: Any) -> ParameterInfo:
    bare, annotations = splitAnnotations(hint)
    try:
        serializer, others = createSerializer(bare, annotations)
    except Exception as error:
        raise Exception(f"Unable to create serializer for {classtype} member {name}") from error
    default, unused = extractDefault(others)
    if hasattr(classtype, name):
        default, unused = Default(getattr(classtype, name)), others
    # Decimals and SingleStep are for the widgets.
    _warn_of_unused([item for item in unused if type(item).__name__ not in ("Decimals", "SingleStep")])
    return ParameterInfo(name, serializer, default or Default(serializer.default()), hint)


def _warn_of_unused(annotations: list[Any]) -> None:
    if annotations:
        logging.warning("Unused annotations: %s", annotations)


def _property(name: str) -> property:
    return property(
        lambda self: self._values_by_name[name].read(), lambda self, value: self._values_by_name[name].write(value)
    )


class _Value:
    """One parameter in one node; what was read is kept until the node changes, where that is safe."""

    def __init__(self, info: ParameterInfo, node: Any, name: str) -> None:
        self.info = info
        self._node = node
        self._name = name
        self._serializer = info.serializer
        self.cached = self._serializer.supportsCaching()
        if not self._serializer.isIn(node, name):
            self._serializer.write(node, name, info.default.value)
        if self.cached:
            self._kept = self._read()
            self._writing = False
            reference = weakref.ref(self)
            self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _forward(reference))
            weakref.finalize(self, node.RemoveObserver, self._tag)

    def read(self) -> Any:
        """Value of the parameter."""
        return self._kept if self.cached else self._read()

    def write(self, value: Any) -> None:
        """Change the parameter, or raise for a value that is refused."""
        if not self.cached:
            self._serializer.write(self._node, self._name, value)
            return
        self._writing = True
        try:
            # Observers of the node already see the new value.
            with nodeModify(self._node):
                self._serializer.write(self._node, self._name, value)
                self._kept = self._read()
        finally:
            self._writing = False

    def onModified(self) -> None:
        """Read anew, as somebody else may have changed the node.

        What a cleared scene has taken out of the node is its default again, and is not written from here: every write
        would call the observers of all other parameters within this call.
        """
        if self._writing:
            return
        there = self._serializer.isIn(self._node, self._name)
        self._kept = self._serializer.read(self._node, self._name) if there else self.info.default.value

    def _read(self) -> Any:
        if not self._serializer.isIn(self._node, self._name):
            self._serializer.write(self._node, self._name, self.info.default.value)
        return self._serializer.read(self._node, self._name)


def _forward(reference: weakref.ref[_Value]) -> None:
    value = reference()
    if value is not None:
        value.onModified()


def _start(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
    if parameterNode is None:
        raise ValueError("found no parameter node, expected a vtkMRMLScriptedModuleNode")
    self.parameterNode = parameterNode
    self._connectors: dict[int, dict[str, GuiConnector]] = {}
    self._observers: dict[int, int] = {}
    self._next_tag = 0
    self._updating_gui = False
    self._values_by_name = {
        name: _Value(info, parameterNode, f"{prefix or ''}{name}") for name, info in self.allParameters.items()
    }


def _check(owner: Any, name: str) -> None:
    top, rest = splitDottedName(name)
    if top not in owner.allParameters:
        raise ValueError(f"Cannot find a param with the given name: {top}; found {', '.join(owner.allParameters)}")
    if rest is not None:
        inner = unannotatedType(owner.allParameters[top].unalteredType)
        if not isParameterPack(inner):
            raise ValueError(f"{inner} is not a parameter pack but expects to have '{rest}'")
        checkMember(inner, rest)


def _dataType(classtype: Any, membername: str) -> Any:
    """Type of a parameter, with its annotations."""
    _check(classtype, membername)
    top, rest = splitDottedName(membername)
    hint = classtype.allParameters[top].unalteredType
    return hint if rest is None else unannotatedType(hint).dataType(rest)


class _Wrapper:
    """Methods that every wrapper class is given."""

    def default(self: Any, paramName: str) -> Default:
        """Default of a parameter."""
        _check(self, paramName)
        return self.allParameters[splitDottedName(paramName)[0]].default

    def isCached(self: Any, paramName: str) -> bool:
        """Whether a value that was read is kept."""
        _check(self, paramName)
        return self._values_by_name[paramName].cached

    def getValue(self: Any, name: str) -> Any:
        """Value of a parameter by its dotted name."""
        _check(self, name)
        top, rest = splitDottedName(name)
        value = self._values_by_name[top].read()
        return value if rest is None else value.getValue(rest)

    def setValue(self: Any, name: str, value: Any) -> None:
        """Change a parameter by its dotted name."""
        _check(self, name)
        top, rest = splitDottedName(name)
        if rest is None:
            self._values_by_name[top].write(value)
        else:
            self._values_by_name[top].read().setValue(rest, value)

    def connectGui(self: Any, gui: Any) -> int:
        """Bind every widget with the property `SlicerParameterName`; the tag returned undoes it."""
        widgets = _widgets_of(gui)
        named = {widget.property(SlicerParameterNamePropertyName): widget for widget in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self: Any, mapping: dict[str, Any]) -> int:
        """Bind parameters to widgets or connectors by name; the tag returned undoes it."""
        for name in mapping:
            _check(self, name)
        connectors = {
            name: item if isinstance(item, GuiConnector) else createGuiConnector(item, self.dataType(name))
            for name, item in mapping.items()
        }
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        self._connectors[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.onChanged(_to_parameter(self, name, connector))
        self._observers[tag] = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: _update_gui(self))
        return tag

    def disconnectGui(self: Any, guiTag: int) -> None:
        """Undo a binding."""
        for connector in self._connectors.pop(guiTag, {}).values():
            connector.onChanged(None)
        if guiTag in self._observers:
            self.RemoveObserver(self._observers.pop(guiTag))

    def StartModify(self: Any) -> Any:
        """Hold the events of the node."""
        return self.parameterNode.StartModify()

    def EndModify(self: Any, wasModified: Any) -> Any:
        """Send the events held back."""
        return self.parameterNode.EndModify(wasModified)

    def AddObserver(self: Any, event: Any, callback: Any, priority: float = 0.0) -> Any:
        """Observe the node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self: Any, tag: Any) -> Any:
        """Observe the node no more."""
        return self.parameterNode.RemoveObserver(tag)

    def Modified(self: Any) -> None:
        """Send the event of a change."""
        self.parameterNode.Modified()


def _widgets_of(gui: Any) -> list[Any]:
    """Widgets inside a widget, or those that `childWidgetVariables` returned."""
    if getattr(gui, "isWidgetType", lambda: False)():
        import qt

        return list(gui.findChildren(qt.QWidget))
    return list(vars(gui).values())


def _to_parameter(self: Any, name: str, connector: GuiConnector) -> Any:
    def changed() -> None:
        with nodeModify(self):
            if not self._updating_gui:
                self.setValue(name, connector.read())

    return changed


def _update_gui(self: Any) -> None:
    """Show all parameters; what the widgets say meanwhile is not taken back."""
    if self._updating_gui:
        return
    self._updating_gui = True
    try:
        with nodeModify(self):
            for connectors in list(self._connectors.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
    finally:
        self._updating_gui = False
