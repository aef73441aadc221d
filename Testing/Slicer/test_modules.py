"""The three modules as Slicer's own generic test sees them, and the tests inside them, run as their button does."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

if importlib.util.find_spec("PySide6") is None and getattr(slicer, "app", None) is None:
    pytest.skip("PySide6 is not installed: no widgets", allow_module_level=True)

MODULES = ("DelayedPETSynthesis", "TimeActivityFit", "VoxelDose")


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest, scene: Any) -> Any:
    import standin

    return standin.loadModule(request.param)[0]


def test_slicer_can_show_who_made_a_module_and_what_it_does(module: Any) -> None:
    assert module.title
    assert list(module.categories) == ["Nuclear Medicine"]
    assert list(module.contributors)
    assert len(module.helpText) > 100
    assert len(module.acknowledgementText) > 20
    assert not module.icon.isNull()
    assert all(slicer.util.getModule(name) for name in module.dependencies)


def test_a_module_has_a_logic_of_its_own_without_a_panel(module: Any) -> None:
    logic = getattr(sys.modules[module.name], f"{module.name}Logic")()
    assert logic.getParameterNode().parameterNode.GetAttribute("ModuleName") == module.name
    assert logic.getParameterNode().parameterNode is logic.getParameterNode().parameterNode


def test_a_panel_lives_through_closing_the_scene_and_other_modules(module: Any) -> None:
    panel = module.widgetRepresentation()
    for _ in range(2):
        slicer.mrmlScene.Clear(0)
        panel.exit()
        slicer.mrmlScene.Clear(0)
        panel.enter()
    nodes = slicer.util.getNodesByClass("vtkMRMLScriptedModuleNode")
    assert [node.GetAttribute("ModuleName") for node in nodes].count(module.name) == 1


def test_the_tests_inside_a_module_pass(module: Any) -> None:
    slicer.selfTests[module.name]()
