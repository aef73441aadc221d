"""A Slicer in which our requirements are not installed yet: everything says so, and nothing is left half made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import without_packages

WORDS = "Packages are missing: icrp107-database"


@pytest.fixture(scope="module")
def found(application: Any) -> dict[str, Any]:
    """What a process without the packages finds."""
    import standin

    if standin.insideSlicer():
        pytest.skip("this process is Slicer's own")
    script = Path(without_packages.__file__)
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False, env=os.environ
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    return dict(json.loads(ended.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", without_packages.MODULES)
def test_sample_data_says_what_is_missing_and_adds_nothing(found: dict[str, Any], name: str) -> None:
    module = found["modules"][name]
    assert module["loaded"] == module["added"] == 0
    (said,) = module["said"]
    assert said.startswith(f"The sample data could not be made. {WORDS}")
    (refused,) = module["refused"]
    assert refused.startswith(WORDS)


@pytest.mark.parametrize("name", without_packages.MODULES)
def test_self_tests_are_skipped_with_the_reason(found: dict[str, Any], name: str) -> None:
    module = found["modules"][name]
    assert module["failed"] == []
    assert len(module["skipped"]) == module["run"] == 2
    assert all(reason.startswith(WORDS) for reason in module["skipped"])


def test_panels_open_and_apply_says_what_is_missing(found: dict[str, Any]) -> None:
    pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")
    assert found["problems"] == []
    assert found["panels"]["VoxelDose"] == "Select the CT."
    assert found["panels"]["TimeActivityFit"] == "Add at least one scan."
    assert found["panels"]["Apply"].startswith("Packages are still missing: icrp107-database")  # nobody is asked
