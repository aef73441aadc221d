"""`slicer.app`: the members of qSlicerApplication that a module may use, and no others."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path
from typing import Any

from .host import NoGui
from .io_manager import IOManager
from .modules import ModuleManager
from .signals import Signals


class CommandOptions:
    """`slicer.app.commandOptions()`: how the application was started."""

    def __init__(self) -> None:
        self.runPythonAndExit = False
        self.testingEnabled = True
        self.noMainWindow = True


class Application(Signals):
    """The application object. It behaves like `Slicer --testing`, without a main window until a GUI is added."""

    SIGNALS = frozenset(
        {"startupCompleted()", "aboutToQuit()", "lastWindowClosed()", "mrmlSceneChanged(vtkMRMLScene*)"}
    )
    applicationName = "Slicer"
    mainApplicationName = "Slicer"
    applicationVersion = "5.12.4"
    majorVersion = 5
    minorVersion = 12
    documentationBaseUrl = "https://slicer.readthedocs.io/en/5.12/"

    def __init__(self, scene: Any, logic: Any) -> None:
        super().__init__()
        self._scene = scene
        self._logic = logic
        self._host = NoGui()
        self._io_manager = IOManager(scene)
        self._module_manager = ModuleManager()
        self._options = CommandOptions()
        self._exit_codes: list[int] = []
        self._folder = tempfile.TemporaryDirectory(prefix="Slicer-", ignore_cleanup_errors=True)
        self.temporaryPath = self._folder.name
        self.slicerHome = str(Path(self.temporaryPath) / "home")
        atexit.register(self._folder.cleanup)
        self._complete = True

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and self.__dict__.get("_complete") and not hasattr(self, name):
            raise AttributeError(f"found slicer.app.{name} = ..., expected a property of qSlicerApplication")
        super().__setattr__(name, value)

    def mrmlScene(self) -> Any:
        """The scene, the same as `slicer.mrmlScene`."""
        return self._scene

    def applicationLogic(self) -> Any:
        """The application logic."""
        return self._logic

    def coreIOManager(self) -> IOManager:
        """Reader and writer of files."""
        return self._io_manager

    def ioManager(self) -> IOManager:
        """Reader and writer of files; the same object as `coreIOManager`."""
        return self._io_manager

    def moduleManager(self) -> ModuleManager:
        """The modules of the application."""
        return self._module_manager

    def commandOptions(self) -> CommandOptions:
        """How the application was started."""
        return self._options

    def testingEnabled(self) -> bool:
        """Whether the application runs tests: no dialogs then."""
        return self._options.testingEnabled

    def moduleDocumentationUrl(self, moduleName: str) -> str:
        """Address of a module's documentation page."""
        return f"{self.documentationBaseUrl}user_guide/modules/{moduleName.lower()}.html"

    def startupEnvironment(self) -> dict[str, str]:
        """Environment variables before Slicer added its own."""
        return dict(os.environ)

    def translate(self, context: str, text: str) -> str:
        """Text in the language of the application: English."""
        if not isinstance(context, str) or not isinstance(text, str):
            raise ValueError(f"found translate({context!r}, {text!r}), expected two texts")
        return text

    def exit(self, status: int = 0) -> None:
        """End the event loop with an exit code once the waiting events are handled."""
        self._exit_codes.append(int(status))

    def quit(self) -> None:
        """End the event loop with exit code 0."""
        self.exit(0)

    def processEvents(self) -> None:
        """Handle the waiting events."""
        self._host.processEvents()

    def setOverrideCursor(self, cursor: Any) -> None:
        """Show another cursor until `restoreOverrideCursor`."""
        self._host.setOverrideCursor(cursor)

    def restoreOverrideCursor(self) -> None:
        """Show the cursor of before."""
        self._host.restoreOverrideCursor()

    def topLevelWidgets(self) -> list[Any]:
        """Every window."""
        return self._host.topLevelWidgets()

    def layoutManager(self) -> Any:
        """The layout manager, None without a main window."""
        return self._host.layoutManager()

    def settings(self) -> Any:
        """The application's settings (a QSettings)."""
        return self._host.settings()

    def userSettings(self) -> Any:
        """The user's settings; the same object as `settings`."""
        return self._host.settings()

    def pauseRender(self) -> None:
        """Hold all views."""
        self._host.pauseRender()

    def resumeRender(self) -> None:
        """Let all views draw again."""
        self._host.resumeRender()

    def hasGui(self) -> bool:
        """Whether the GUI half was added (the stand-in's own, Slicer has no such method)."""
        return type(self._host) is not NoGui

    def addGui(self, host: NoGui) -> None:
        """Let a user interface answer from now on (the stand-in's own)."""
        self._host = host
        self._options.noMainWindow = False

    def exitCodes(self) -> list[int]:
        """Codes that `exit` was called with since the start (the stand-in's own)."""
        return list(self._exit_codes)

    def completeStartup(self) -> None:
        """Emit `startupCompleted()` to the modules loaded since the last time (the stand-in's own)."""
        self._emit("startupCompleted()")
        self._slots.pop("startupCompleted()", None)
