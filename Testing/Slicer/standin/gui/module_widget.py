"""The panel that holds a module's own widget, as Slicer's module panel makes it."""

from __future__ import annotations

import sys
from typing import Any

import slicer
from PySide6.QtCore import Property
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ..core.reports import report
from .conventions import wrap
from .node_combo_box import qMRMLWidget


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """Parent of a scripted module's widget: calls its `setup`, `enter` and `exit`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entered = False
        self._python: Any = None
        self._name = ""
        QVBoxLayout(self)

    def fill(self, name: str) -> None:
        """Make the widget object of the module script and let it make its widgets."""
        self._name = name
        self._instantiate()
        self.setMRMLScene(slicer.mrmlScene)

    def _instantiate(self) -> None:
        widgetName = f"{self._name}Widget"
        self._python = getattr(sys.modules[self._name], widgetName)(wrap(self))
        setattr(slicer.modules, widgetName, self._python)
        self._python.setup()

    def self(self) -> Any:
        """The widget object of the module script."""
        return self._python

    def reload(self) -> None:
        """Make the widget object and its widgets anew, in the same parent, from the script as it is loaded now."""
        self._instantiate()

    def enter(self) -> None:
        """Tell the module that its panel is shown."""
        self._entered = True
        self._call("enter")

    def exit(self) -> None:
        """Tell the module that another panel is shown."""
        self._entered = False
        self._call("exit")

    def _call(self, name: str) -> None:
        method = getattr(self._python, name, None)
        if method is not None:
            try:
                method()
            except Exception as error:
                report(error)

    isEntered = Property(bool, lambda self: self._entered)
    moduleName = Property(str, lambda self: self._name)
