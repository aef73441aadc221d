"""The modules' own tests where the packages they need are missing: installed with the user's leave, else skipped."""

from __future__ import annotations

import logging
import unittest
from collections.abc import Callable, Iterable


def requirePackages() -> None:
    """Have the packages that the core needs.

    Raises
    ------
    unittest.SkipTest
        They are missing and were not installed; with the reason.
    """
    from radiodosimetry.errors import MissingDependencyError

    from .requirements import ensureWithUser

    try:
        ensureWithUser()
    except MissingDependencyError as error:
        raise unittest.SkipTest(str(error)) from error


def runSelfTests(case, tests: Iterable[Callable[[], None]]) -> None:
    """Run tests of a `ScriptedLoadableModuleTest` one after the other, each after `setUp`; skipped ones say why."""
    for test in tests:
        try:
            case.setUp()
            test()
        except unittest.SkipTest as reason:
            logging.warning("%s is skipped: %s", type(case).__name__, reason)
            case.delayDisplay(f"Skipped: {reason}")
            return
