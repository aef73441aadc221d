"""The JSON file beside an image that says what its numbers are: quantity, unit, time, frame and record."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import FileFormatError, UnitError
from ..provenance import Record, to_json
from ..units import Quantity, factor_to_core_unit, quantity_named

_LARGEST_SIDECAR_BYTES = 64 * 1024 * 1024
"""A record is kilobytes; what is larger than this is not ours and would only fill the memory."""


@dataclass(frozen=True)
class Sidecar:
    """What NRRD, NIfTI and MetaImage files cannot say about their voxels.

    Attributes
    ----------
    quantity, unit
        What the numbers in the file are, and in which unit.
    time
        When the values hold; None if unknown.
    frame_of_reference_uid
        DICOM's name of the space; None if unknown.
    record
        How the image came to be.
    stored_type
        Number type in the file, where writing rounded to it ("float32").
    """

    quantity: Quantity
    unit: str
    time: datetime | None = None
    frame_of_reference_uid: str | None = None
    record: Record | None = None
    stored_type: str | None = None

    def __post_init__(self) -> None:
        factor_to_core_unit(self.quantity, self.unit)

    def as_json(self) -> str:
        """The text of the file: quantity, unit and time first, then the record."""
        values: dict[str, Any] = {
            "quantity": self.quantity.value,
            "unit": self.unit,
            "time": self.time.isoformat() if self.time else None,
            "frame_of_reference_uid": self.frame_of_reference_uid,
            "stored_type": self.stored_type,
        }
        return to_json(values | (self.record.as_dict() if self.record else {}))


def sidecar_path(image_path: Path) -> Path:
    """`dose.nrrd` → `dose.nrrd.json`, in the same folder."""
    return image_path.with_name(image_path.name + ".json")


def read_sidecar(image_path: Path) -> Sidecar | None:
    """What the sidecar of an image says, None where there is no sidecar.

    Raises
    ------
    FileFormatError
        The sidecar cannot be read, is not JSON, or lacks or garbles quantity, unit, time or record.
    """
    path = sidecar_path(image_path)
    try:
        if not path.exists():
            return None
        if path.stat().st_size > _LARGEST_SIDECAR_BYTES:
            raise FileFormatError(f"The sidecar {path} is larger than any record; repair or remove it.")
        values = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"The sidecar {path} cannot be read ({error}); repair or remove it.") from error
    return _sidecar_from(values, path)


def table_warnings(path: Path) -> tuple[str, ...]:
    """What the record beside a table warns of; empty where there is none, or one that cannot be read."""
    try:
        values = json.loads(sidecar_path(path).read_text(encoding="utf-8-sig"))
        return tuple(str(text) for text in values["warnings"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return ()


def _sidecar_from(values: object, path: Path) -> Sidecar:
    if not isinstance(values, dict):
        raise FileFormatError(f"The sidecar {path} must hold a JSON object, found {type(values).__name__}.")
    for name in ("quantity", "unit"):
        if not isinstance(values.get(name), str):
            raise FileFormatError(
                f"The sidecar {path} must name its {name} as text, found {values.get(name)!r}; repair or remove it."
            )
    try:
        return Sidecar(
            quantity_named(values["quantity"]),
            values["unit"],
            _time_from(values.get("time")),
            _optional_text(values, "frame_of_reference_uid"),
            _record_from(values),
            _optional_text(values, "stored_type"),
        )
    except (UnitError, ValueError, TypeError) as error:
        raise FileFormatError(f"The sidecar {path} cannot be used: {error} Repair or remove it.") from error


def _time_from(value: object) -> datetime | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"The time must be ISO 8601 text, found {value!r}.")
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"The time must be ISO 8601, as 2024-05-31T14:05:00+02:00, found '{value}'.") from None


def _optional_text(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be text, found {value!r}.")
    return value


def _record_from(values: dict[str, Any]) -> Record | None:
    """The record among the values; None where a sidecar written by hand names quantity and unit alone."""
    if "operation" not in values:
        return None
    for name in ("parameters", "inputs", "datasets"):
        if not isinstance(values.get(name, {}), dict):
            raise ValueError(f"{name} must be a JSON object, found {values[name]!r}.")
    warnings = values.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(warning, str) for warning in warnings):
        raise ValueError(f"warnings must be a list of texts, found {warnings!r}.")
    return Record.from_dict(values)
