"""`slicer.testing`: runs the tests inside a module script."""

from __future__ import annotations

import sys
import unittest
from collections.abc import Iterator

from .scripted_module import ScriptedLoadableModuleTest


def exitSuccess() -> None:
    """End a test script well: nothing to do."""


def exitFailure(message: str = "") -> None:
    """End a test script badly."""
    raise Exception(message)


def runUnitTest(path: str | list[str], testname: str) -> None:
    """Run every `test_*` method of every test class in a module script; an exception when one of them fails.

    Slicer is content with a script that has no test at all; here that is a failure.
    """
    sys.path.extend([path] if isinstance(path, str) else path)
    suite = unittest.TestLoader().loadTestsFromName(testname)
    if all(type(case) is ScriptedLoadableModuleTest for group in suite for case in _cases(group)):
        exitFailure(f"found no test in {testname}, expected at least one")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        exitFailure(f"{len(result.failures) + len(result.errors)} tests of {testname} failed")


def _cases(group: unittest.TestCase | unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Every test in a suite of suites."""
    if isinstance(group, unittest.TestCase):
        yield group
        return
    for part in group:
        yield from _cases(part)
