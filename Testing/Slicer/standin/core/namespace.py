"""The names that Slicer's Python has and slicer-core lacks, put where module scripts import them."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import slicer

from . import i18n, modules, packaging, parameter_node, sample_data, scripted_module, segment_statistics, testing

_PUBLIC = {
    "slicer.ScriptedLoadableModule": (
        scripted_module,
        (
            "ScriptedLoadableModule",
            "ScriptedLoadableModuleWidget",
            "ScriptedLoadableModuleLogic",
            "ScriptedLoadableModuleTest",
        ),
    ),
    "slicer.i18n": (i18n, ("tr", "translate", "getContext")),
    "slicer.packaging": (
        packaging,
        (
            "load_requirements",
            "load_pyproject_dependencies",
            "pip_check",
            "pip_ensure",
            "pip_install",
            "pip_uninstall",
            "isPipInstallInProgress",
        ),
    ),
    "slicer.parameterNodeWrapper": (parameter_node, tuple(parameter_node.__all__)),
    "slicer.testing": (testing, ("runUnitTest", "exitSuccess", "exitFailure")),
    "SampleData": (sample_data, ("SampleDataSource", "SampleDataLogic", "downloadSample", "downloadSamples")),
    "SegmentStatistics": (segment_statistics, ("SegmentStatisticsLogic", "SegmentStatisticsPluginBase")),
    "SegmentStatisticsPlugins": (segment_statistics, ("SegmentStatisticsPluginBase",)),
}
"""What Slicer's Python offers by these names: the module that stands in, and its names; no others are there."""


def addMissingNames() -> None:
    """Make `from slicer.X import Y` work for the parts that slicer-core lacks; what it has already is left alone."""
    importlib.import_module("slicer.util")
    for path, (source, names) in _PUBLIC.items():
        module = ModuleType(path, source.__doc__)
        module.__file__ = source.__file__
        module.__dict__["__all__"] = list(names)
        for name in names:
            setattr(module, name, getattr(source, name))
        sys.modules[path] = module
        if path.startswith("slicer."):
            setattr(slicer, path.removeprefix("slicer."), module)
    slicer.qSlicerScriptedLoadableModule = modules.ScriptedModule
