# ruff: noqa: N801, N802, N803, N806, N815 - the names are Qt's and Slicer's
"""The panel that holds a module's own widget, as Slicer's module panel makes it."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6.QtCore import Property
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ..core.reports import report
from .node_combo_box import qMRMLWidget


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """Parent of a scripted module's widget: calls its `setup`, `enter` and `exit`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._entered = False
        self._python: Any = None
        self._name = ""
        QVBoxLayout(self)

    def fill(self, name: str, python: Any) -> None:
        """Set the widget object of the module script and let it make its widgets."""
        self._name, self._python = name, python
        python.setup()
        self.setMRMLScene(slicer.mrmlScene)

    def self(self) -> Any:
        """The widget object of the module script."""
        return self._python

    def reload(self) -> None:
        """Slicer makes the panel anew; the stand-in does not."""
        raise NotImplementedError("the stand-in does not reload modules")

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
