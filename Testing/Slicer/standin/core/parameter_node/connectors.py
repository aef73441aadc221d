"""Between widgets and parameters: the registry; the connectors themselves come with the widgets."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SlicerPackParameterNamePropertyName = "SlicerPackParameterName"
"""Dynamic property of a widget inside a widget of a whole pack."""

_registered: list[type[GuiConnector]] = []


@dataclass
class Decimals:
    """Annotation: digits after the point in a spin box."""

    value: int


@dataclass
class SingleStep:
    """Annotation: step of a spin box."""

    value: float


class GuiConnector(abc.ABC):
    """Reads and writes one kind of widget as one type of parameter."""

    def __init__(self) -> None:
        super().__init__()
        self._callback: Callable[[], None] | None = None

    @staticmethod
    @abc.abstractmethod
    def canRepresent(widget: Any, datatype: Any) -> bool:
        """Whether the widget can show the type."""

    @staticmethod
    @abc.abstractmethod
    def create(widget: Any, datatype: Any) -> Any:
        """Connector of a widget."""

    def onChanged(self, callback: Callable[[], None] | None) -> None:
        """Call back when the user changes the widget; None ends that."""
        self._callback = callback
        if callback is None:
            self._disconnect()
        else:
            self._connect()

    def changed(self, *_: Any) -> None:
        """Pass a change on."""
        if self._callback is not None:
            self._callback()

    @abc.abstractmethod
    def _connect(self) -> None:
        """Listen to the widget."""

    @abc.abstractmethod
    def _disconnect(self) -> None:
        """Listen no more."""

    @abc.abstractmethod
    def widget(self) -> Any:
        """The widget."""

    @abc.abstractmethod
    def read(self) -> Any:
        """Value that the widget shows."""

    @abc.abstractmethod
    def write(self, value: Any) -> None:
        """Show a value."""


def parameterNodeGuiConnector(classtype: Any = None) -> Any:
    """Class decorator: make a connector known."""
    if classtype is None:
        return parameterNodeGuiConnector
    if not issubclass(classtype, GuiConnector):
        raise TypeError(f"found {classtype}, expected a GuiConnector")
    _registered.append(classtype)
    return classtype


def createGuiConnector(widget: Any, datatype: Any) -> GuiConnector:
    """Connector between a widget and a type; RuntimeError when none fits."""
    maker = next((known for known in _registered if known.canRepresent(widget, datatype)), None)
    if maker is None:
        raise RuntimeError(
            f"Unable to create GUI connector from datatype '{datatype}' to widget type '{type(widget)}'."
        )
    return maker.create(widget, datatype)
