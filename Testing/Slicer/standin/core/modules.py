"""`slicer.modules` and the module manager: Slicer's own modules by their logics, scripted modules by their scripts."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer

from .signals import Signals

LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Texts": "vtkSlicerTextsLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
}
"""Modules of Slicer whose logic slicer-core has, with its class."""


class SlicerModule:
    """One of Slicer's own modules: name and logic."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = name
        self.title = name
        self.path = ""
        self._logic = logic

    def logic(self) -> Any:
        """Logic of the module."""
        return self._logic

    def widgetRepresentation(self) -> Any:
        """Panel of the module: the stand-in has none for Slicer's own modules."""
        return None


class ScriptedModule(SlicerModule):
    """What Slicer hands to a module script as `parent`: its members are those of qSlicerScriptedLoadableModule."""

    _MEMBERS = frozenset(
        {
            "title", "categories", "dependencies", "contributors", "helpText", "acknowledgementText", "icon", "hidden",
            "index", "associatedNodeTypes", "defaultDocumentationLink", "widgetRepresentationCreationEnabled", "path",
            "name",
        }
    )  # fmt: skip

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(name, None)
        self.path = str(path)
        self.title = ""
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.helpText = ""
        self.acknowledgementText = ""
        self.icon: Any = None
        self.hidden = False
        self.index = -1
        self.associatedNodeTypes: list[str] = []
        self.defaultDocumentationLink = ""
        self.widgetRepresentationCreationEnabled = True
        self._instance: Any = None
        self._widget: Any = None
        self._make_widget: Any = None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._MEMBERS and not name.startswith("_"):
            raise AttributeError(f"found parent.{name} = ..., expected a member of qSlicerScriptedLoadableModule")
        wanted = type(getattr(self, name)) if name in self.__dict__ and name != "icon" else None
        if wanted in (str, list, bool) and not isinstance(value, (list, tuple) if wanted is list else wanted):
            raise ValueError(f"found parent.{name} = {value!r}, expected a {wanted.__name__}")
        super().__setattr__(name, value)

    def self(self) -> Any:
        """The Python object of the script."""
        return self._instance

    def widgetRepresentation(self) -> Any:
        """Panel of the module, made at the first call; the GUI half says how."""
        if self._widget is None and self._make_widget is not None:
            self._widget = self._make_widget(self)
        return self._widget


class ModuleFactoryManager:
    """`slicer.app.moduleManager().factoryManager()`."""

    def __init__(self, manager: ModuleManager) -> None:
        self._manager = manager

    def loadedModuleNames(self) -> tuple[str, ...]:
        """Names of the modules."""
        return tuple(self._manager.modulesNames())


class ModuleManager(Signals):
    """`slicer.app.moduleManager()`."""

    SIGNALS = frozenset({"moduleLoaded(QString)", "moduleAboutToBeUnloaded(QString)", "moduleUnloaded(QString)"})

    def __init__(self) -> None:
        super().__init__()
        self._modules: dict[str, SlicerModule] = {}

    def module(self, name: str) -> SlicerModule | None:
        """A module by its name, None when there is none."""
        return self._modules.get(name)

    def modulesNames(self) -> list[str]:
        """Names of the modules."""
        return list(self._modules)

    def factoryManager(self) -> ModuleFactoryManager:
        """The list of loaded modules."""
        return ModuleFactoryManager(self)

    def register(self, module: SlicerModule) -> None:
        """Make a module known to `slicer.modules` (the stand-in's own)."""
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)
        setattr(slicer.moduleNames, module.name, module.name)
        self._emit("moduleLoaded(QString)", module.name)

    def loadScript(self, path: Path) -> ScriptedModule:
        """Load a module script as Slicer does: run it once, make its module object (the stand-in's own).

        Slicer loads all modules and then tells them that its start is complete; here that follows each module.
        """
        name = path.stem
        known = self._modules.get(name)
        if isinstance(known, ScriptedModule):
            return known
        folder = str(path.parent)
        if folder not in sys.path:
            sys.path.append(folder)
        script = sys.modules.get(name) or _run(name, path)
        if not hasattr(script, name):
            raise RuntimeError(f"found no class {name} in {path}, expected the module class, named as the file")
        module = ScriptedModule(name, path)
        module._instance = getattr(script, name)(module)
        if not module.title:
            raise RuntimeError(f"found no title of the module {name}, expected parent.title to be set by its class")
        self.register(module)
        setattr(slicer.modules, f"{name}Instance", module._instance)
        slicer.app.completeStartup()
        return module


def _run(name: str, path: Path) -> Any:
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    sys.modules[name] = script
    try:
        specification.loader.exec_module(script)
    except BaseException:
        del sys.modules[name]
        raise
    return script
