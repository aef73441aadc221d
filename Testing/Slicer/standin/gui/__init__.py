"""The stand-in's widgets: `qt`, `ctk` and Slicer's qMRML widgets on PySide6, views and screenshots."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")

import slicer
from PySide6.QtCore import QSettings
from PySide6.QtWidgets import QApplication

from .conventions import CLASSES, define, wrap

MODULE_FOLDER = Path(__file__).resolve().parents[4] / "RadioDosimetry"
"""Where the module scripts lie."""


def install(application: Any) -> None:
    """Make `qt`, `ctk` and the widgets known and give the application its user interface."""
    from . import appearance, messages
    from .host import Gui
    from .tables_qt import defineQt
    from .tables_slicer import defineCtk, defineQMRML
    from .views.layout_manager import LayoutManager

    program = QApplication.instance() or QApplication(["Slicer"])
    messages.listen()
    appearance.apply(program)
    _useTemporarySettings()
    defineQt()
    ctk = ModuleType("ctk", "CTK's widgets, as the stand-in has them.")
    sys.modules["ctk"] = ctk
    defineCtk(ctk)
    defineQMRML(slicer)
    sys.modules["qt"] = _qtModule()
    host = Gui(program)
    application.addGui(host)
    host.setLayoutManager(LayoutManager(application))
    from . import connectors  # noqa: F401 - registers them


def _useTemporarySettings() -> None:
    folder = tempfile.mkdtemp(prefix="Slicer-settings-")
    QApplication.setOrganizationName("NA-MIC")
    QApplication.setApplicationName("Slicer")
    QSettings.setDefaultFormat(QSettings.Format.IniFormat)
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, folder)


def _qtModule() -> ModuleType:
    """Flat module with every class that has a table, and the namespace Qt."""
    from PySide6.QtCore import Qt

    from .ui_loader import UiLoader

    define("QUiLoader", UiLoader, "QObject", methods="load")
    define("Qt", Qt, None)
    module = ModuleType("qt", "Qt's classes, as the stand-in has them.")
    for name, kind in CLASSES.items():
        if name.startswith("Q"):
            setattr(module, name, kind)
    return module


def loadModule(name: str) -> tuple[Any, Any]:
    """Open a module as a person does who chooses it in the list: script run, panel made, `enter` called."""
    module = slicer.app.moduleManager().loadScript(MODULE_FOLDER / f"{name}.py")
    module._make_widget = _makePanel
    panel = module.widgetRepresentation()
    if not panel.isEntered:
        panel.enter()
    return module, panel


def _makePanel(module: Any) -> Any:
    panel = CLASSES["qSlicerScriptedLoadableModuleWidget"]()
    panel.real_().fill(module.name)
    return panel


def screenshot(widget: Any, path: Path) -> Path:
    """Save a picture of a panel with the slice views, and charts and tables where there are some, beside it."""
    from .views import picture

    return picture.save(widget, path)


__all__ = ["install", "loadModule", "screenshot", "wrap"]
