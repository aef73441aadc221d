"""A stand-in for the Slicer application, for tests alone: it is never shipped.

Slicer's real scene, logics and file formats come from the package `slicer-core`; what that package lacks is written
here from its documentation and refuses what Slicer refuses, so that unmodified module scripts run against it.
`standin.core` needs nothing but slicer-core: application, module logics, files, `slicer.ScriptedLoadableModule`,
`slicer.parameterNodeWrapper`, `slicer.i18n`, `slicer.packaging`. `standin.gui` adds `qt`, `ctk`, the qMRML widgets,
views and screenshots through PySide6.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .core.reports import forgetProblems, problems, report

__all__ = [
    "forgetProblems", "insideSlicer", "isStandin", "loadModule", "problems", "report", "screenshot", "start", "without",
]  # fmt: skip


_REFERENCES_LENT = 1 << 40


def start(gui: bool = True) -> Any:
    """Start the application once and return `slicer.app`; `gui=True` also brings `qt`, `ctk` and the widgets.

    Inside a real Slicer nothing is started: its own application is returned. A second call with `gui=True` adds the
    widgets to an application that was started without them.
    """
    from .core import session

    application = session.start()
    if gui and isinstance(application, session.Application) and not application.hasGui():
        _keep_constants_alive()
        from . import gui as widgets

        widgets.install(application)
    return application


def _keep_constants_alive() -> None:
    """Lend None, True and False references enough for any session with PySide6.

    PySide6 6.12 takes a reference from None at every call that returns nothing (from True and False likewise), as if
    they were immortal, which they are from Python 3.12 on only: after some ten thousand calls Python 3.11 ends with
    "none_dealloc". Slicer has 3.12.
    """
    if sys.version_info >= (3, 12):
        return
    for constant in (None, True, False):
        if sys.getrefcount(constant) < _REFERENCES_LENT:
            ctypes.c_ssize_t.from_address(id(constant)).value += _REFERENCES_LENT


def isStandin() -> bool:
    """Whether the running application is the stand-in: False inside a real Slicer and before the start."""
    import slicer

    from .core import session

    return isinstance(getattr(slicer, "app", None), session.Application)


def insideSlicer() -> bool:
    """Whether a real Slicer runs these lines: what starts processes of its own cannot be tried there."""
    import slicer

    return getattr(slicer, "app", None) is not None and not isStandin()


def loadModule(name: str) -> tuple[Any, Any]:
    """Load the module script `RadioDosimetry/<name>.py` as Slicer does: the module, and its widget representation.

    Inside a real Slicer, which has loaded its modules already, the module is opened.
    """
    start(gui=True)
    if not isStandin():
        import slicer

        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(name)
        module = slicer.util.getModule(name)
        return module, module.widgetRepresentation()
    from . import gui as widgets

    return widgets.loadModule(name)


def screenshot(widget: Any, path: Path | str) -> Path:
    """Save a picture of a panel with the slice views beside it; inside a real Slicer, of its main window."""
    if not isStandin():
        import slicer

        slicer.app.processEvents()
        slicer.util.mainWindow().grab().save(str(path))
        return Path(path)
    from . import gui as widgets

    return widgets.screenshot(widget, Path(path))


@contextmanager
def without(name: str) -> Iterator[None]:
    """A host without one of Slicer's widget classes, such as `qMRMLSegmentEditorWidget`."""
    import slicer

    kept = getattr(slicer, name)
    delattr(slicer, name)
    try:
        yield
    finally:
        setattr(slicer, name, kept)
