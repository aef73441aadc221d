"""The launcher for a real Slicer tells success only when tests ran and passed."""

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

LAUNCHER = Path(__file__).resolve().parent.parent / "run_in_slicer.py"

TESTS = {
    "passing": "def test_it():\n    import slicer\n    assert slicer.app.applicationName == 'Slicer'\n",
    "failing": "def test_it():\n    assert False\n",
    "skipped_file": "import pytest\npytest.importorskip('no_such_module')\n",
    "skipped_test": "import pytest\ndef test_it():\n    pytest.skip('not here')\n",
    "empty": "",
    "broken": "import no_such_module\n",
}


def _run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=LAUNCHER.parent)


def test_the_launcher_succeeds_only_when_a_test_ran_and_none_failed(tmp_path: Path) -> None:
    for name, text in TESTS.items():
        (tmp_path / f"test_{name}.py").write_text(text, encoding="utf-8")
    result = _run(f"""
import json, sys
sys.path[:0] = [{str(LAUNCHER.parent)!r}, {str(LAUNCHER.parent / "Slicer")!r}]
import standin
standin.start(gui=False)
import run_in_slicer
names = {list(TESTS)!r}
codes = {{name: run_in_slicer.main([{str(tmp_path)!r} + f"/test_{{name}}.py"]) for name in names}}
print(json.dumps(codes))
""")
    codes = json.loads(result.stdout.strip().splitlines()[-1])
    assert codes == {name: int(name != "passing") for name in TESTS}
    assert result.stdout.count("found no test that ran") == 3


def test_outside_slicer_the_launcher_refuses_to_run() -> None:
    result = subprocess.run([sys.executable, str(LAUNCHER)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "found no Slicer application" in result.stdout


def test_as_a_script_the_launcher_ends_slicer_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "test_failing.py").write_text(TESTS["failing"], encoding="utf-8")
    result = _run(f"""
import runpy, sys
sys.path.insert(0, {str(LAUNCHER.parent / "Slicer")!r})
import standin
application = standin.start(gui=False)
sys.argv = ["run_in_slicer.py", {str(tmp_path)!r}]
runpy.run_path({str(LAUNCHER)!r}, run_name="__main__")
print(application.exitCodes())
""")
    assert result.stdout.strip().splitlines()[-1] == "[1]"
