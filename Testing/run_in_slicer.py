"""Run the tests of `Testing/Slicer` inside a real Slicer, and fail when none of them ran.

    Slicer --no-splash --testing --additional-module-paths RadioDosimetry --python-script Testing/run_in_slicer.py

Slicer's Python needs pytest and hypothesis once: `PythonSlicer -m pip install pytest hypothesis`. Arguments after `--`
go to pytest instead of the folder. Exit code: 0 when tests passed and none failed, 1 when one failed or none ran, 2
when they could not be started.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent / "Slicer"
"""The tests that run alike inside Slicer and on the stand-in."""


class Count:
    """Counts the tests that passed, for pytest tells success also when every test was skipped."""

    def __init__(self) -> None:
        self.passed = 0
        self.skipped: list[str] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called by pytest after every step of a test."""
        self.passed += report.when == "call" and report.passed
        if report.skipped:
            self.skipped.append(report.nodeid)


def main(arguments: list[str]) -> int:
    """Run pytest with the arguments; the exit code."""
    if not _inside_slicer():
        _say(
            "found no Slicer application; run this script with `Slicer --testing --python-script` (see its first lines)"
        )
        return 2
    try:
        import hypothesis  # noqa: F401
        import pytest
    except ModuleNotFoundError as error:
        _say(
            f"found no {error.name} in Slicer's Python; install it with `PythonSlicer -m pip install pytest hypothesis`"
        )
        return 2
    count = Count()
    # Slicer's own Python code warns here and there; the project's tests elsewhere take every warning as an error.
    options = ["-p", "no:cacheprovider", "-o", "filterwarnings="]
    code = int(pytest.main([*options, *(arguments or [str(TESTS)])], plugins=[count]))
    if code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and count.passed == 0:
        _say(f"found no test that ran ({len(count.skipped)} skipped), expected at least one")
        return 1
    _say(f"{count.passed} tests passed, {len(count.skipped)} skipped, pytest's exit code {code}")
    return 0 if code == 0 else 1


def _inside_slicer() -> bool:
    try:
        import slicer
    except ModuleNotFoundError:
        return False
    return getattr(slicer, "app", None) is not None


def _say(text: str) -> None:
    print(f"run_in_slicer: {text}", flush=True)


if __name__ == "__main__":
    exit_code = main(sys.argv[1:])
    if _inside_slicer():
        import slicer

        # Queued: Slicer ends with this code after the script, also with --testing.
        slicer.util.exit(exit_code)
    else:
        sys.exit(exit_code)
