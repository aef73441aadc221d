"""Sample data and self-tests in a Slicer in which none of our requirements is installed; run in a process of its own.

Prints what it finds as JSON.
"""

from __future__ import annotations

import importlib.abc
import importlib.metadata
import importlib.util
import json
import sys
import unittest
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
MODULES = ("VoxelDose", "TimeActivityFit", "DelayedPETSynthesis")
IMPORT_NAMES = {"icrp107-database": "icrp107_database", "warp-lang": "warp"}
"""Names of packages that are imported under another one."""


class Blocked(importlib.abc.MetaPathFinder):
    """Finds nothing of some packages."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> None:
        """Refuse what is blocked, and leave the rest to others."""
        if name.partition(".")[0] in self._names:
            raise ModuleNotFoundError(f"No module named '{name}' (blocked)", name=name)


def block(packages: Sequence[str]) -> None:
    """Let packages be missing, to imports and to pip's check."""
    sys.meta_path.insert(0, Blocked([IMPORT_NAMES.get(name, name) for name in packages]))
    version = importlib.metadata.version

    def known(name: str) -> str:
        if name in packages:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    importlib.metadata.version = known


def main() -> None:
    """Try everything that a user without the packages can press."""
    sys.path[:0] = [str(HERE), str(HERE.parent.parent / "RadioDosimetry")]
    from RadioDosimetryLib.requirements import REQUIREMENTS_FILE, requirementLines

    packages = [line.partition(">=")[0] for line in requirementLines(REQUIREMENTS_FILE)]
    block(packages)
    import standin

    hasWidgets = importlib.util.find_spec("PySide6") is not None
    standin.start(gui=hasWidgets)
    import slicer

    from radiodosimetry.errors import MissingDependencyError

    said: list[str] = []
    slicer.util.errorDisplay = lambda text, *arguments, **named: said.append(text)
    found: dict[str, Any] = {"packages": packages, "modules": {}}
    for name in MODULES:
        module = importlib.import_module(name)
        before = slicer.mrmlScene.GetNumberOfNodes()
        module.registerSampleData()
        source = slicer.modules.sampleDataSources["RadioDosimetry"][-1]
        loaded = source.customDownloader(source)
        refused = []
        for loader in (module.loadSampleTorso if name == "VoxelDose" else module.loadSampleScans,):
            try:
                loader(16.0)
            except MissingDependencyError as error:
                refused.append(str(error))
        added = slicer.mrmlScene.GetNumberOfNodes() - before
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(getattr(module, f"{name}Test")).run(result)
        getattr(module, f"{name}Test")().runTest()  # as the button does
        found["modules"][name] = {
            "loaded": len(loaded), "said": said[:], "refused": refused, "added": added,
            "run": result.testsRun, "skipped": [reason for _, reason in result.skipped],
            "failed": [text for _, text in result.failures + result.errors],
        }  # fmt: skip
        said.clear()
    found["panels"] = openedPanels(standin) if hasWidgets else {}
    found["problems"] = [str(problem) for problem in standin.problems()]
    print(json.dumps(found))


def openedPanels(standin: Any) -> dict[str, str]:
    """Open every panel; what VoxelDose says when it is asked for a dose."""
    import numpy as np
    import slicer

    from radiodosimetry.units import Quantity
    from RadioDosimetryLib.quantities import setQuantity

    said = {}
    for name in MODULES:
        _module, representation = standin.loadModule(name)
        representation.enter()
        said[name] = representation.self().ui.applyButton.toolTip
        representation.exit()
    _module, representation = standin.loadModule("VoxelDose")
    representation.enter()
    ui = representation.self().ui
    kinds = ((ui.ctSelector, Quantity.CT_NUMBER), (ui.activitySelector, Quantity.ACTIVITY_CONCENTRATION))
    for selector, quantity in kinds:
        node = slicer.util.addVolumeFromArray(np.ones((4, 4, 4)), name=quantity.value)
        setQuantity(node, quantity)
        selector.setCurrentNode(node)
    before = slicer.mrmlScene.GetNumberOfNodes()
    ui.applyButton.click()
    said["Apply"] = ui.statusLabel.text
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    representation.exit()
    return said


if __name__ == "__main__":
    main()
