"""What the application asks of its user interface, and the answers of an application without one."""

from __future__ import annotations

from typing import Any


class NoGui:
    """The answers of `Slicer --no-main-window`: no windows, no layout, no cursor. The GUI half overrides them all."""

    def processEvents(self) -> None:
        """Handle the waiting events: none without a GUI."""

    def setOverrideCursor(self, cursor: Any) -> None:
        """Show another cursor."""

    def restoreOverrideCursor(self) -> None:
        """Show the cursor of before."""

    def topLevelWidgets(self) -> list[Any]:
        """Every window."""
        return []

    def layoutManager(self) -> Any:
        """The layout manager; None without a main window."""
        return None

    def settings(self) -> Any:
        """The application's settings."""
        raise RuntimeError("the stand-in has settings only with a GUI: start(gui=True)")

    def pauseRender(self) -> None:
        """Hold all views."""

    def resumeRender(self) -> None:
        """Let all views draw again."""
