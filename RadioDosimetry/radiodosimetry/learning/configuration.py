"""Settings from a TOML file into a frozen dataclass: a key that does not exist is an error that offers the nearest."""

from __future__ import annotations

import dataclasses
import difflib
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..errors import FileFormatError, InputError

Settings = TypeVar("Settings")

_LARGEST_CONFIG_BYTES = 1 << 20
"""Settings are kilobytes; what is larger was given by mistake."""


def read_config(path: Path | None, settings_type: type[Settings]) -> Settings:
    """Settings of a run; keys that the file leaves out keep their defaults.

    Parameters
    ----------
    path
        TOML file; a field of `settings_type` that is a dataclass itself is a table of that name, whose missing keys
        are as in the field's default. None: all defaults.
    settings_type
        Frozen dataclass whose fields are `bool`, `int`, `float`, `str`, `Literal`, a tuple of these, a dataclass, or
        one of these or None; it checks their ranges when it is made.

    Raises
    ------
    FileFormatError
        The file is missing, cannot be read, or is not TOML.
    InputError
        A key does not exist (the nearest one is offered), a value has another type, is out of its range, or is missing.
    """
    if path is None:
        return _made(settings_type, {}, "the default settings", "")
    path = Path(path)
    try:
        if path.stat().st_size > _LARGEST_CONFIG_BYTES:
            raise FileFormatError(f"The configuration {path} is larger than any settings; give a TOML file.")
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise FileFormatError(f"The configuration {path} does not exist; give an existing TOML file.") from error
    except (OSError, ValueError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"The configuration {path} is not a TOML file: {error}; repair it.") from error
    return _made(settings_type, values, str(path), "")


def config_text(settings: Any) -> str:
    """The TOML text that `read_config` reads as these settings, every value written out.

    Parameters
    ----------
    settings
        A dataclass instance as `read_config` makes it; None values are left out.
    """
    plain, tables = [], []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            tables.append(f"\n[{field.name}]\n{config_text(value)}")
        elif value is not None:
            plain.append(f"{field.name} = {_toml_value(value)}\n")
    return "".join(plain) + "".join(tables)


def nearest_names(name: str, known: typing.Iterable[str]) -> str:
    """Words for an error: what an unknown name may have been meant for, or all there are if none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"known are {', '.join(names)}." if names else "there are none."


def _made(
    settings_type: type[Settings], values: Mapping[str, Any], source: str, table: str, base: Settings | None = None
) -> Settings:
    """The settings of one table, each value checked against its field's type; what they leave out is as in `base`."""
    if not dataclasses.is_dataclass(settings_type):
        raise TypeError(f"{settings_type.__name__} must be a dataclass.")
    hints = typing.get_type_hints(settings_type)
    fields = {field.name: field for field in dataclasses.fields(settings_type) if field.init}
    checked: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{table}{key}"
        if key not in fields:
            raise InputError(f"{source} has the key '{name}', which does not exist; {nearest_names(key, fields)}")
        default = getattr(base, key) if base is not None else _default(fields[key])
        checked[key] = _checked(value, hints[key], source, name, default)
    for key, field in fields.items():
        if key not in checked and base is not None:
            checked[key] = getattr(base, key)
        without_default = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if key not in checked and without_default:
            if dataclasses.is_dataclass(hints[key]):
                checked[key] = _made(typing.cast(type[Any], hints[key]), {}, source, f"{table}{key}.")
                continue
            raise InputError(f"{source} lacks the key '{table}{key}', which has no default; add it.")
    try:
        return settings_type(**checked)
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def _default(field: dataclasses.Field[Any]) -> Any:
    """What a field is where nothing is said; None where something must be."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return None if field.default is dataclasses.MISSING else field.default


def _checked(value: Any, hint: Any, source: str, name: str, default: Any = None) -> Any:
    """A value as its field wants it, or an error that says what was found and what was expected."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
        return _checked(value, hint, source, name, default)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise InputError(f"{source}: '{name}' must be a table [{name}], found {_described(value)}.")
        table_type = typing.cast(type[Any], hint)
        return _made(table_type, value, source, f"{name}.", default if isinstance(default, table_type) else None)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        if value not in choices or isinstance(value, bool) != any(isinstance(one, bool) for one in choices):
            raise InputError(
                f"{source}: '{name}' must be one of {', '.join(map(repr, choices))}, found {_described(value)}."
            )
        return value
    if origin is tuple:
        return _checked_tuple(value, typing.get_args(hint), source, name)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if hint is Path and isinstance(value, str):
        return Path(value).expanduser()
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        raise InputError(f"{source}: '{name}' must be {_TYPE_WORDS.get(hint, hint)}, found {_described(value)}.")
    return value


def _checked_tuple(value: Any, members: tuple[Any, ...], source: str, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InputError(f"{source}: '{name}' must be a list [ … ], found {_described(value)}.")
    if len(members) == 2 and members[1] is Ellipsis:
        members = (members[0],) * len(value)
    if len(value) != len(members):
        raise InputError(f"{source}: '{name}' must have {len(members)} entries, found {len(value)}.")
    return tuple(
        _checked(one, hint, source, f"{name}[{number}]")
        for number, (one, hint) in enumerate(zip(value, members, strict=True))
    )


_TYPE_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text in quotation marks",
    Path: "a path in quotation marks",
}

_FOUND_WORDS = {bool: "truth value", int: "whole number", float: "number", str: "text", list: "list", dict: "table"}


def _described(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"a {_FOUND_WORDS[type(value)]}"
    return f"{value!r} ({_FOUND_WORDS.get(type(value), type(value).__name__)})"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_toml_value, value))}]"
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in str(value))
    return f'"{escaped}"'


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
