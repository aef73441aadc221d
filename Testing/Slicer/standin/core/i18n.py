"""`slicer.i18n`: translation in the application's language, with the context taken from the caller's file."""

from __future__ import annotations

import inspect
import string
from pathlib import Path


def translate(context: str, text: str) -> str:
    """Text in the application's language."""
    import slicer

    return str(slicer.app.translate(context, text))


def getContext(sourceFile: str) -> str:
    """Context of a source file: its name, led by the name of its package when it lies in one."""
    path = Path(sourceFile)
    if path.is_file() and (path.parent / "__init__.py").is_file():
        return f"{path.parent.name}.{path.stem}"
    return path.stem if path.is_file() else path.name


def tr(text: str) -> str:
    """Text in the application's language; every placeholder must survive the translation."""
    if not isinstance(text, str):
        raise ValueError(f"found tr({text!r}), expected a text")
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    context = getContext(caller.f_code.co_filename) if caller is not None else ""
    translated = translate(context, text)
    return translated if _placeholders(translated) == _placeholders(text) else text


def _placeholders(text: str) -> set[str]:
    try:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return set()
