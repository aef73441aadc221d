"""The record every result carries: what made it, from what, with which settings, and what to beware of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .__about__ import __version__

_HASH_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Record:
    """How a result came to be.

    Attributes
    ----------
    operation
        What was computed, as a verb phrase ("voxel dose by multiple-vsv").
    parameters
        Every setting that changes the numbers; names end in their unit.
    inputs
        Name of each input to its identity: `{"path": …, "sha256": …}` or `{"uid": …}`.
    datasets
        Role of each data set to its name ("decay data": "ICRP-107", …).
    warnings
        Guesses taken and limits crossed, in plain English; the first thing a reader must see.
    seed, device
        Of a stochastic computation, else None.
    created
        Time of creation, ISO 8601 in UTC.
    version
        Version of RadioDosimetry.
    """

    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seed: int | None = None
    device: str | None = None
    created: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    version: str = __version__

    def with_warnings(self, *warnings: str) -> Record:
        """The same record with further warnings, each kept once."""
        return replace(self, warnings=tuple(dict.fromkeys((*self.warnings, *warnings))))

    def with_inputs(self, **inputs: Any) -> Record:
        """The same record with further inputs."""
        return replace(self, inputs={**self.inputs, **inputs})

    def with_parameters(self, **parameters: Any) -> Record:
        """The same record with further parameters."""
        return replace(self, parameters={**self.parameters, **parameters})

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values; `dataset` names all data sets in one line, `datasets` each by its role."""
        return {
            "operation": self.operation,
            "version": self.version,
            "created": self.created,
            "warnings": list(self.warnings),
            "dataset": "; ".join(dict.fromkeys(map(str, self.datasets.values()))) or None,
            "datasets": json_ready(self.datasets),
            "parameters": json_ready(self.parameters),
            "seed": self.seed,
            "device": self.device,
            "inputs": json_ready(self.inputs),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """The record that `as_dict` wrote; unknown keys are ignored, missing ones take their default."""
        known = {name: values[name] for name in cls.__dataclass_fields__ if values.get(name) is not None}
        known["warnings"] = tuple(known.get("warnings", ()))
        known.setdefault("operation", "unknown")
        return cls(**known)


def json_ready(value: Any) -> Any:
    """`value` with NumPy scalars and arrays, paths, tuples and mappings turned into what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_ready(item) for item in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def file_identity(path: Path) -> dict[str, str]:
    """Name and SHA-256 of a file, or of all files of a folder in the order of their names."""
    digest = hashlib.sha256()
    files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(_HASH_BLOCK_BYTES):
                digest.update(block)
    return {"path": path.name, "sha256": digest.hexdigest()}


def to_json(values: Mapping[str, Any]) -> str:
    """Readable JSON with a closing newline."""
    return json.dumps(json_ready(values), indent=2, ensure_ascii=False) + "\n"
