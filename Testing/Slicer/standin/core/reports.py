"""What went wrong where nobody could catch it: in slots, in observers of nodes, in `.ui` files.

Qt and VTK print such errors and go on, and so a test would pass over them. The stand-in keeps them.
"""

from __future__ import annotations

import sys
from types import TracebackType

_problems: list[BaseException] = []
_hook_before = None


def report(error: BaseException) -> None:
    """Keep an error that its caller cannot raise."""
    _problems.append(error)


def problems() -> list[BaseException]:
    """Every error kept so far, oldest first."""
    return list(_problems)


def forgetProblems() -> list[BaseException]:
    """Return the errors kept so far and start anew."""
    kept = list(_problems)
    _problems.clear()
    return kept


def watchObservers() -> None:
    """Keep the errors of VTK observers as well: VTK hands them to `sys.excepthook`, prints them and goes on."""
    global _hook_before
    if _hook_before is None:
        _hook_before = sys.excepthook
        sys.excepthook = _keep_and_print


def _keep_and_print(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    report(error)
    if _hook_before is not None:
        _hook_before(kind, error, trace)
