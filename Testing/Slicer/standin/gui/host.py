"""What the application's user interface answers when it has one."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QApplication

from ..core.host import NoGui
from .conventions import CLASSES, unwrap, wrap


class Gui(NoGui):
    """Windows, cursor, settings and layout through Qt."""

    def __init__(self, application: QApplication) -> None:
        self._application = application
        self._layoutManager: Any = None

    def processEvents(self) -> None:
        """Handle the waiting events."""
        self._application.processEvents()

    def setOverrideCursor(self, cursor: Any) -> None:
        """Show another cursor until it is restored."""
        QApplication.setOverrideCursor(unwrap(cursor))

    def restoreOverrideCursor(self) -> None:
        """Show the cursor of before."""
        QApplication.restoreOverrideCursor()

    def topLevelWidgets(self) -> list[Any]:
        """Every window."""
        return list(wrap(QApplication.topLevelWidgets()))

    def layoutManager(self) -> Any:
        """The layout manager; the GUI half sets it once the application has its user interface."""
        return self._layoutManager

    def setLayoutManager(self, manager: Any) -> None:
        """Set the layout manager."""
        self._layoutManager = manager

    def settings(self) -> Any:
        """The application's settings."""
        return CLASSES["QSettings"]()
