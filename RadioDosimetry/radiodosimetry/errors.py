"""Every error the package raises on purpose, with one root to catch them all.

The text of an error says what was found, what was expected and what to do about it. The command turns
`InputError` into exit code 2, any other `RadioDosimetryError` into 1 and `CancelledError` into 130.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname


class RadioDosimetryError(Exception):
    """Root of the errors that RadioDosimetry raises on purpose."""


class InputError(RadioDosimetryError, ValueError):
    """Something the user gave cannot be used as it is."""


class FileFormatError(InputError):
    """A file is missing, unreadable or not what it claims to be."""


class GeometryMismatchError(InputError):
    """Two images do not share the grid, the space or the frame of reference they must share."""


class UnitError(InputError):
    """A quantity or unit is missing, unknown, or another one than the operation needs."""


class UnknownNuclideError(InputError):
    """A nuclide is not in the decay dataset."""


class UnknownMediumError(InputError):
    """A medium has no composition, cross-section or kernel table."""


class RegionError(InputError):
    """A region is empty, absent or its expression cannot be read."""


class OutputError(RadioDosimetryError, OSError):
    """A result could not be written; nothing half-written was left behind."""


class DeviceError(RadioDosimetryError, RuntimeError):
    """The computing device asked for is not there or failed."""


class MissingDependencyError(RadioDosimetryError, ImportError):
    """An optional package is needed and not installed."""


class CancelledError(RadioDosimetryError):
    """The user cancelled a long computation; no result was written."""


def extra_advice(extra: str) -> str:
    """What to do where an optional part of this package is not installed, as the end of a sentence.

    The package is in no index: it is installed from a copy of its repository, the one it runs from where that is known.

    Parameters
    ----------
    extra
        Name of the extra in `pyproject.toml`.
    """
    source = _repository()
    if source is None:
        return f"install the extra '{extra}': in a copy of the repository of RadioDosimetry, pip install '.[{extra}]'"
    return f"install the extra '{extra}': pip install '{source}[{extra}]'"


def _repository() -> Path | None:
    """The copy of the repository that the package runs or was installed from; None where there is none."""
    beside = Path(__file__).resolve().parents[2]
    if (beside / "pyproject.toml").is_file():
        return beside
    try:
        origin = json.loads(distribution("radiodosimetry").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return None
    address = urlsplit(str(origin.get("url", "")))
    folder = Path(url2pathname(address.path))
    return folder if address.scheme == "file" and (folder / "pyproject.toml").is_file() else None
