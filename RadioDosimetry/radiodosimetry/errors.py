"""Every error the package raises on purpose, with one root to catch them all.

The text of an error says what was found, what was expected and what to do about it. The command turns
`InputError` into exit code 2, any other `RadioDosimetryError` into 1 and `CancelledError` into 130.
"""

from __future__ import annotations


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
