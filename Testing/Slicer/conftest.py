"""The application and its scene, for the tests of what runs inside Slicer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent

if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))

MODULES_FOLDER = HERE.parent.parent / "RadioDosimetry"
"""Folder of the module scripts and their packages, which Slicer puts on `sys.path`."""

if str(MODULES_FOLDER) not in sys.path:
    sys.path.append(str(MODULES_FOLDER))


@pytest.fixture(scope="session")
def application() -> Any:
    """Slicer's application: its own inside Slicer, else the stand-in, with widgets where PySide6 is installed."""
    pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
    import standin

    return standin.start(gui=_can_show_widgets())


@pytest.fixture
def scene(application: Any) -> Iterator[Any]:
    """The scene, empty; no error may be left in a slot or an observer when the test ends."""
    import slicer
    import standin

    slicer.mrmlScene.Clear(0)
    standin.forgetProblems()
    yield slicer.mrmlScene
    problems = standin.forgetProblems()
    slicer.mrmlScene.Clear(0)
    assert problems == []


def _can_show_widgets() -> bool:
    from importlib.util import find_spec

    return find_spec("PySide6") is not None and (HERE / "standin" / "gui" / "__init__.py").is_file()
