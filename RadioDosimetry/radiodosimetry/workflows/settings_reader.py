"""From the tables of a TOML file to frozen dataclasses: unknown keys are offered the nearest, wrong types are said."""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, TypeVar, Union

from ..errors import InputError

Settings = TypeVar("Settings")

_WORDS = {
    str: "a text in quotes",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    Path: "the path of a file in quotes",
    datetime: "a date and time such as 2026-01-05T10:00:00",
}


def settings_from(values: Mapping[str, Any], kind: type[Settings], where: str, folder: Path) -> Settings:
    """A dataclass from a TOML table.

    Parameters
    ----------
    values
        The table as `tomllib` reads it.
    kind
        A dataclass whose fields have the types str, float, int, bool, Path, datetime, another such dataclass, tuples
        and mappings of these, or one of them or None. A field's metadata `key` is its name in the file.
    where
        What the table is, for messages: "case.toml", "[dose] of case.toml".
    folder
        What relative paths start from.

    Returns
    -------
    Settings
        With defaults for what the table lacks.

    Raises
    ------
    InputError
        A key is unknown (the nearest is offered), a needed one is missing, or a value has another type; or the
        dataclass itself refuses a value. The text names the table and the key.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where} must be a table, found {values!r:.60}; write it under its own heading.")
    hints = typing.get_type_hints(kind)
    fields = {field.metadata.get("key", field.name): field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [key for key in values if key not in fields]
    if unknown:
        near = difflib.get_close_matches(unknown[0], fields, n=2, cutoff=0.5)
        offer = f"did you mean {' or '.join(near)}?" if near else f"expected one of: {', '.join(fields)}."
        raise InputError(f"{where} has the unknown key '{unknown[0]}'; {offer}")
    found: dict[str, Any] = {}
    for key, field in fields.items():
        if key in values:
            found[field.name] = _converted(values[key], hints[field.name], f"{key} in {where}", folder)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where} lacks the key '{key}'; give it.")
    try:
        return kind(**found)
    except InputError as error:
        raise type(error)(f"In {where}: {error}") from error


def _converted(value: Any, hint: Any, where: str, folder: Path) -> Any:
    """A TOML value as the type of its field."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (Union, types.UnionType):
        inner = next(argument for argument in arguments if argument is not type(None))
        return _converted(value, inner, where, folder)
    if origin is tuple:
        if not isinstance(value, list):
            raise InputError(f"{where} must be a list in square brackets, found {value!r:.60}.")
        items = enumerate(value, start=1)
        return tuple(_converted(item, arguments[0], f"entry {number} of {where}", folder) for number, item in items)
    if hint is typing.Any:
        return value
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise InputError(f"{where} must be a table of names and values, found {value!r:.60}.")
        return {
            name: _converted(item, arguments[1], f"{name} of {where}", folder) for name, item in value.items()
        }
    if dataclasses.is_dataclass(hint):
        return settings_from(value, hint, where, folder)  # type: ignore[arg-type]
    return _plain(value, hint, where, folder)


def _plain(value: Any, kind: type, where: str, folder: Path) -> Any:
    """A text, number, switch, path or moment."""
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if kind is datetime and isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if kind is Path and isinstance(value, str) and value.strip():
        return folder / Path(value).expanduser()
    is_bool = isinstance(value, bool)
    if kind is Path or not isinstance(value, kind) or (is_bool and kind is not bool):
        raise InputError(f"{where} must be {_WORDS[kind]}, found {value!r:.60}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{where} must be a finite number, found {value}.")
    return value
