"""Properties of Qt objects by their names, and whether PythonQt takes a value for one."""

from __future__ import annotations

import numbers
from typing import Any

import slicer
from PySide6.QtCore import Property, QObject

ALIASES = {"name": "objectName"}
"""PythonQt's second names of properties."""


def readProperty(real: Any, name: str) -> Any:
    """Value of a property through its getter: `text()`, `isEnabled()`, `hasFrame()`, or a Python property."""
    if isinstance(getattr(type(real), name, None), Property):
        return getattr(real, name)
    name = ALIASES.get(name, name)
    for candidate in ("is" + _capital(name), "has" + _capital(name), name):
        member = getattr(real, candidate, None)
        if member is not None:
            return member() if callable(member) else member
    return real.property(name)


def writeProperty(real: Any, name: str, value: Any) -> None:
    """Set a property through its setter."""
    name = ALIASES.get(name, name)
    setter = getattr(real, "set" + _capital(name), None)
    if isinstance(getattr(type(real), name, None), Property):
        setattr(real, name, value)
    elif setter is not None:
        setter(value)
    elif not real.setProperty(name, value):
        raise ValueError(f"Property '{name}' of {type(real).__name__} could not be set to {value!r}")


def _capital(name: str) -> str:
    return name[0].upper() + name[1:]


def isOfType(value: Any, kind: str) -> bool:
    """Whether PythonQt converts `value` to a parameter of that type.

    Types are `bool int float str strings any`, names of Qt classes, `enum`, names of VTK classes (None is a null
    pointer); `|` joins alternatives, `?` at the end marks an optional parameter.
    """
    return any(_isOfOneType(value, alternative) for alternative in kind.rstrip("?!").split("|"))


def _isOfOneType(value: Any, kind: str) -> bool:
    if kind in _CHECKS:
        return bool(_CHECKS[kind](value))
    if kind.startswith("vtk"):
        return value is None or (getattr(value, "IsA", None) is not None and isinstance(value, _vtkClass(kind)))
    return value is None if kind.endswith("*") and value is None else type(value).__name__ == kind or _inherits(
        value, kind
    )


def _inherits(value: Any, kind: str) -> bool:
    return any(base.__name__ == kind.rstrip("*") for base in type(value).__mro__)


def _vtkClass(kind: str) -> type:
    found = getattr(slicer, kind, None)
    if found is None:
        import vtk

        found = getattr(vtk, kind)
    return found


def _isWhole(value: Any) -> bool:
    return isinstance(value, numbers.Integral)


_CHECKS = {
    "any": lambda value: True,
    "bool": lambda value: isinstance(value, bool) or _isWhole(value),
    "int": lambda value: _isWhole(value) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, numbers.Real) and not isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "strings": lambda value: isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value),
    "enum": lambda value: _isWhole(value) and not isinstance(value, bool),
    "callable": callable,
    "QObject": lambda value: isinstance(value, QObject) or type(value).__name__.startswith("Q"),
}
