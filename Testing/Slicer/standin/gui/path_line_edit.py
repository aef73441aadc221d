"""`ctkPathLineEdit` with the validator of CTK: it tells a new path only where its text is one that it accepts."""

from __future__ import annotations

import enum
import re
from typing import Any

from PySide6.QtCore import Property, QRegularExpression, Signal
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QWidget

HISTORY_LENGTH = 5
"""Paths that the widget remembers."""


class ctkPathLineEdit(QWidget):
    """A path with a history and a browse button.

    `currentPathChanged` is sent for texts that the validator accepts alone: those that end as a name filter says, or,
    without name filters, all but the empty one. `validInputChanged` is sent where accepted turns to refused or back;
    from one refused text to another nothing is sent.
    """

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    class Filter(enum.IntFlag):
        """What the path may lead to."""

        Dirs = 0x001
        Files = 0x002
        Drives = 0x004
        NoSymLinks = 0x008
        Readable = 0x010
        Writable = 0x020
        Executable = 0x040
        Modified = 0x080
        Hidden = 0x100
        System = 0x200
        AllDirs = 0x400
        CaseSensitive = 0x800
        NoDotAndDotDot = 0x1000
        NoDot = 0x2000
        NoDotDot = 0x4000

    Dirs, Files, Readable, Writable, Hidden = (
        Filter.Dirs, Filter.Files, Filter.Readable, Filter.Writable, Filter.Hidden
    )  # fmt: skip

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo = QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._combo.setValidator(QRegularExpressionValidator(self))
        self._browse = QToolButton(self)
        self._browse.setText("…")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo, 1)
        layout.addWidget(self._browse)
        self._texts: dict[str, Any] = {"label": "", "settingKey": "", "nameFilters": []}
        self._filters = self.Filter.Dirs | self.Filter.Files | self.Filter.Drives
        self._isAccepted = False
        self._setNameFilters([])
        self._combo.lineEdit().textChanged.connect(self._onText)

    def _onText(self, text: str) -> None:
        was, self._isAccepted = self._isAccepted, self._combo.lineEdit().hasAcceptableInput()
        if self._isAccepted:
            self.currentPathChanged.emit(text)
        if self._isAccepted != was:
            self.validInputChanged.emit(self._isAccepted)

    def setCurrentPath(self, path: str) -> None:
        """Set the text."""
        self._combo.lineEdit().setText(path)

    def addCurrentPathToHistory(self) -> None:
        """Keep the path for the next time, first in the list and once."""
        path = self._combo.currentText()
        if not path:
            return
        if self._combo.findText(path) >= 0:
            self._combo.removeItem(self._combo.findText(path))
        self._combo.insertItem(0, path)
        self._combo.setCurrentIndex(0)
        while self._combo.count() > HISTORY_LENGTH:
            self._combo.removeItem(HISTORY_LENGTH)

    def comboBox(self) -> QComboBox:
        """The combo box inside."""
        return self._combo

    def _setFilters(self, filters: int) -> None:
        self._filters = self.Filter(int(filters))

    def _setNameFilters(self, nameFilters: list[str]) -> None:
        self._texts["nameFilters"] = list(nameFilters)
        self._combo.validator().setRegularExpression(QRegularExpression(acceptedPattern(nameFilters)))

    currentPath = Property(str, lambda self: self._combo.lineEdit().text(), setCurrentPath)
    filters = Property(int, lambda self: int(self._filters), _setFilters)
    label = Property(str, lambda self: self._texts["label"], lambda self, v: self._texts.update(label=v))
    settingKey = Property(
        str, lambda self: self._texts["settingKey"], lambda self, v: self._texts.update(settingKey=v)
    )
    nameFilters = Property("QStringList", lambda self: self._texts["nameFilters"], _setNameFilters)
    showBrowseButton = Property(
        bool, lambda self: not self._browse.isHidden(), lambda self, visible: self._browse.setVisible(visible)
    )
    showHistoryButton = Property(bool, lambda self: False, lambda self, visible: None)


def acceptedPattern(nameFilters: list[str]) -> str:
    """What a text must match as a whole: the endings `*.name` of the filters; anything but nothing without any.

    CTK takes the last letter of an ending for optional, and tells upper from lower case.
    """
    endings = [word for text in nameFilters for word in re.findall(r"\*\.(\w+)", text[text.rfind("(") + 1 :])]
    return "|".join(rf".*\.{ending}?" for ending in endings) or ".+"
