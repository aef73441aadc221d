"""Slicer imports every module script as it starts: ours load nothing beside themselves and say nothing wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import standin  # noqa: E402

if standin.insideSlicer():
    pytest.skip("starts processes of its own, which a real Slicer's Python cannot serve", allow_module_level=True)

HERE = Path(__file__).resolve().parent
MODULES_FOLDER = HERE.parent.parent / "RadioDosimetry"
MODULES = ("DelayedPETSynthesis", "TimeActivityFit", "VoxelDose")

_HEAVY = {
    "radiodosimetry",
    "scipy",
    "SimpleITK",
    "pydicom",
    "highdicom",
    "warp",
    "matplotlib",
    "torch",
    "monai",
    "tqdm",
}
"""Packages that only a run may load."""

_SCRIPT = """
import json, sys
sys.path[:0] = [{standin!r}, {folder!r}]
import standin
application = standin.start(gui=False)
before = set(sys.modules)
for name in {names!r}:
    application.moduleManager().loadScript(__import__("pathlib").Path({folder!r}) / (name + ".py"))
print(json.dumps([sorted(set(sys.modules) - before), [repr(problem) for problem in standin.problems()]]))
"""


def _load(folder: Path, *names: str) -> tuple[list[str], list[str]]:
    """Python modules that loading module scripts brings, and what went wrong when Slicer says that it has started."""
    script = _SCRIPT.format(standin=str(HERE), folder=str(folder), names=names)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded, problems = json.loads(result.stdout.strip().splitlines()[-1])
    return loaded, problems


def _heavy(loaded: list[str]) -> set[str]:
    return {name.split(".")[0] for name in loaded} & _HEAVY


def test_loading_the_module_scripts_loads_nothing_heavy() -> None:
    loaded, problems = _load(MODULES_FOLDER, *MODULES)
    assert set(MODULES) <= set(loaded)
    assert _heavy(loaded) == set()
    assert problems == []


def test_a_heavy_import_or_a_failing_start_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "Heavy.py").write_text(
        "import slicer\n"
        "import scipy.ndimage\n"
        "from slicer.ScriptedLoadableModule import ScriptedLoadableModule\n"
        "class Heavy(ScriptedLoadableModule):\n"
        "    def __init__(self, parent):\n"
        "        ScriptedLoadableModule.__init__(self, parent)\n"
        "        parent.title = 'Heavy'\n"
        "        slicer.app.connect('startupCompleted()', lambda: 1 / 0)\n",
        encoding="utf-8",
    )
    loaded, problems = _load(tmp_path, "Heavy")
    assert _heavy(loaded) == {"scipy"}
    assert problems == ["ZeroDivisionError('division by zero')"]
