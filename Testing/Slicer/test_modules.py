"""The three modules as Slicer's own generic test sees them, and the tests inside them, run as their button does."""

from __future__ import annotations

import gc
import importlib.util
import sys
import weakref
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


def test_a_panel_that_was_left_forgets_its_choices(module: Any) -> None:
    """Each wrapper of a parameter node that lives on answers to every change: panels would slow down with every use."""
    panel = module.widgetRepresentation()
    panel.enter()
    reference = weakref.ref(panel.self()._parameterNode)
    panel.exit()
    gc.collect()
    assert reference() is None


def test_slicers_reload_makes_a_panel_that_works_and_lets_go_of_the_old_one(module: Any) -> None:
    panel = module.widgetRepresentation()
    old = panel.self()
    panel.enter()
    script = sys.modules[module.name]
    try:
        slicer.util.reloadScriptedModule(module.name)
        new = panel.self()
        assert type(new) is not type(old)
        assert getattr(slicer.modules, f"{module.name}Widget") is new
        assert old.Observations == []
        panel.enter()
        assert new._parameterNode is not None
        slicer.mrmlScene.Clear(0)
        assert new._parameterNode.parameterNode.GetAttribute("ModuleName") == module.name
    finally:
        panel.exit()
        sys.modules[module.name] = script


def test_the_tests_inside_a_module_pass(module: Any) -> None:
    slicer.selfTests[module.name]()
