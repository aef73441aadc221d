"""Fields of files and folders in a panel: their texts among the choices or for a button, and what is wrong in them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _


class PathFields:
    """Keeps the texts of ctkPathLineEdit widgets among the choices of a parameter node.

    Slicer's `connectGui` binds such a widget to a `Path` alone, which cannot be empty. The widget sends
    `currentPathChanged` for texts that its validator accepts and no others: an emptied field is told by
    `validInputChanged` at most. Both are heard; `take` reads what is shown before anything is computed. With name
    filters the step from one refused text to another would send nothing at all, so that the fields have none.

    Parameters
    ----------
    fields
        Widgets and the names of the parameters that they show.
    onText
        Called with the name of a parameter and its new text.
    """

    def __init__(self, fields: Sequence[tuple[Any, str]], onText: Callable[[str, str], None]) -> None:
        self._fields, self._onText = tuple(fields), onText

    def connect(self) -> None:
        """Hear of every change."""
        for edit, name in self._fields:
            hear(edit, partial(self._tell, edit, name))

    def show(self, parameters) -> None:
        """Show the texts of a parameter node; a field that shows its own already keeps its cursor."""
        for edit, name in self._fields:
            if edit.currentPath != getattr(parameters, name):
                edit.currentPath = getattr(parameters, name)

    def take(self) -> None:
        """Read all fields as they are shown."""
        for edit, name in self._fields:
            self._tell(edit, name)

    def _tell(self, edit, name: str, *_news) -> None:
        self._onText(name, edit.currentPath)


class PictureFolder:
    """The field of a folder and the button that saves pictures into it.

    Parameters
    ----------
    edit
        ctkPathLineEdit of the folder.
    button
        Enabled while there is a result and a folder is named.
    """

    def __init__(self, edit, button) -> None:
        self._edit, self._button, self._missing, self._words = edit, button, "", button.toolTip

    def connect(self, onSave: Callable[[], None]) -> None:
        """Hear of every change, and save at a click."""
        hear(self._edit, self._update)
        self._button.connect("clicked(bool)", onSave)

    def show(self, missing: str) -> None:
        """Say why there is nothing to save now; empty if there is something."""
        self._missing = missing
        self._update()

    def path(self) -> Path:
        """The folder as it is typed."""
        return Path(self._edit.currentPath.strip()).expanduser()

    def written(self, files: Sequence[Path]) -> str:
        """What was written, for the user."""
        first, others = files[0], len(files) - 1
        if others < 2:
            names = ", ".join(file.name for file in files)
            return _("Written to {folder}: {names}.").format(folder=first.parent, names=names)
        return _("Written to {folder}: {first} and {others} other pictures.").format(
            folder=first.parent, first=first.name, others=others
        )

    def _update(self, *_news) -> None:
        missing = self._missing or ("" if self._edit.currentPath.strip() else _("Choose the folder of the pictures."))
        self._button.enabled = not missing
        self._button.toolTip = missing or self._words


def hear(edit, onChanged: Callable[..., None]) -> None:
    """Call a function, with what the signal brings, once the text of a ctkPathLineEdit has changed."""
    edit.connect("currentPathChanged(QString)", onChanged)
    edit.connect("validInputChanged(bool)", onChanged)


def unusableFile(path: str, what: str) -> str:
    """Why a chosen file cannot be used, a sentence; empty if it can, or if none is chosen.

    Parameters
    ----------
    path
        As it was typed.
    what
        What the file is for, in words.
    """
    if not path or (os.path.isfile(path) and os.access(path, os.R_OK)):
        return ""
    return _("'{path}' is no file that can be read: choose another {what}, or empty the field.").format(
        path=path, what=what
    )
