"""Start of the application: scene, application logic, module logics, and the names that modules import."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import slicer
import vtk

from .application import Application
from .modules import LOGICS, SlicerModule
from .namespace import addMissingNames
from .reports import watchObservers

__all__ = ["Application", "start"]


def start() -> Any:
    """Start the application at the first call; inside a real Slicer, its application."""
    if getattr(slicer, "app", None) is not None:
        return slicer.app
    _print_errors_of_vtk()
    watchObservers()
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    application = Application(scene, logic)
    slicer.app = application
    slicer.mrmlScene = scene
    for name in ("modules", "moduleNames"):
        module = ModuleType(f"slicer.{name}")
        sys.modules[module.__name__] = module
        setattr(slicer, name, module)
    _start_logics(application, scene, logic)
    _let_scene_read_bundles(application, scene, logic)
    addMissingNames()
    return application


def _print_errors_of_vtk() -> None:
    """Errors of VTK go to the terminal, not into a window."""
    window = vtk.vtkOutputWindow()
    window.SetDisplayModeToAlwaysStdErr()
    vtk.vtkOutputWindow.SetInstance(window)


def _start_logics(application: Application, scene: Any, logic: Any) -> None:
    """Application logic first; a module logic gets it before the scene, whose nodes it registers."""
    logic.SetTemporaryPath(application.temporaryPath)
    logic.SetHomeDirectory(application.slicerHome)
    logic.SetShareDirectory("share/Slicer-5.12")
    # Slicer's colour tables are not part of slicer-core: an empty folder is searched without complaint.
    (Path(application.slicerHome) / "share" / "Slicer-5.12" / "ColorFiles").mkdir(parents=True)
    logic.SetMRMLScene(scene)
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    for name, className in LOGICS.items():
        module = getattr(slicer, className)()
        module.SetMRMLApplicationLogic(logic)
        module.SetMRMLScene(scene)
        logic.SetModuleLogic(name, module)
        application.moduleManager().register(SlicerModule(name, module))
    colors = logic.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    scene.AddNode(slicer.vtkMRMLCrosshairNode())


def _let_scene_read_bundles(application: Application, scene: Any, logic: Any) -> None:
    """Reading an `.mrb` needs a cache folder and the logic that reads data of a scene."""
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(logic)
    cache = Path(application.temporaryPath) / "RemoteIO"
    cache.mkdir()
    (cache / ".slicer-cache").touch()  # says that the folder is a cache and may be emptied
    remote.GetCacheManager().SetRemoteCacheDirectory(str(cache))
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLScene(scene)
    data.SetMRMLApplicationLogic(logic)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    application._kept_alive = (remote, data)
