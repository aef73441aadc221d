"""A scene without the application: what batch runs need of Slicer where only its MRML libraries are (slicer-core).

Inside Slicer, or wherever else `slicer.app` is there already, nothing is started: the application's own scene serves.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}
"""Logics that register the node classes of a scene file, or that our conversions call."""

_KEPT_ALIVE: list = []


def hasApplication() -> bool:
    """Whether this Python runs inside Slicer (or a stand-in for it), with a scene of its own."""
    slicer = sys.modules.get("slicer")
    return slicer is not None and getattr(slicer, "app", None) is not None


def ensureScene():
    """`slicer.mrmlScene`, with the logics that scene files need; started at the first call outside Slicer.

    Raises
    ------
    MissingDependencyError
        Neither Slicer nor slicer-core is there.
    """
    from radiodosimetry.errors import MissingDependencyError

    try:
        import slicer
        import slicer.util
    except ImportError as error:
        raise MissingDependencyError(
            "Scenes and nodes need 3D Slicer and this Python has none; run `Slicer --no-main-window --python-script`, "
            "or install slicer-core."
        ) from error
    scene = getattr(slicer, "mrmlScene", None)
    if scene is None:
        if not hasattr(slicer, "vtkMRMLScene") or not hasattr(slicer, "vtkSlicerApplicationLogic"):
            raise MissingDependencyError(
                "This Python has no MRML scene; run the script with `Slicer --no-main-window --python-script`."
            )
        from radiodosimetry.images.readers import quiet_stderr

        with quiet_stderr():  # the colour logic misses the colour files of an installed Slicer; nothing here needs them
            scene = _start(slicer)
    return scene


def _start(slicer):
    """Scene, application logic, module logics, and what reads the files of an `.mrb`."""
    import tempfile

    import vtk

    window = vtk.vtkOutputWindow()
    window.SetDisplayModeToAlwaysStdErr()
    vtk.vtkOutputWindow.SetInstance(window)
    cache = tempfile.TemporaryDirectory(prefix="RadioDosimetry-cache-")
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerApplicationLogic()
    logic.SetTemporaryPath(cache.name)
    logic.SetMRMLScene(scene)
    logic.SetSliceLogics(vtk.vtkCollection())
    logic.SetViewLogics(vtk.vtkCollection())
    slicer.mrmlScene = scene
    slicer.modules = SimpleNamespace()
    for name, className in _LOGICS.items():
        module = getattr(slicer, className)()
        module.SetMRMLApplicationLogic(logic)
        module.SetMRMLScene(scene)
        logic.SetModuleLogic(name, module)
        setattr(slicer.modules, name.lower(), SimpleNamespace(name=name, logic=lambda module=module: module))
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(logic)
    remote.GetCacheManager().SetRemoteCacheDirectory(cache.name)
    data = slicer.vtkDataIOManagerLogic()
    data.SetMRMLScene(scene)
    data.SetMRMLApplicationLogic(logic)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    _KEPT_ALIVE.extend((cache, logic, remote, data))
    return scene
