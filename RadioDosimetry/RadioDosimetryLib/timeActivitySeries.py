"""The scans of a patient as one value: rows of the table, how images are read, which scan is the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .timeActivityScans import ImageUnits, ScanNode, timedRows, timedVolumes
from .timeActivityWork import TimedVolume


@dataclass(frozen=True)
class Series:
    """The scans of a patient: rows of the table, how images are read, and which scan the others are moved to."""

    rows: tuple[ScanNode, ...]
    units: ImageUnits = ImageUnits()
    referenceScan: int = 0

    def scans(self) -> list[TimedVolume]:
        """The scans as core values; see `timedVolumes`."""
        return timedVolumes(self.rows, self.units, self.referenceScan)

    def scansWithRows(self) -> list[tuple[TimedVolume, ScanNode]]:
        """The scans with their rows; see `timedRows`."""
        return timedRows(self.rows, self.units, self.referenceScan)

    def leadingSegmentation(self, common=None):
        """The segmentation whose segments are the regions wanted: the common one, else the reference scan's own.

        Where that has none either, the first that there is; None without any.
        """
        if common is not None:
            return common
        own = [row.segmentation for row in self.rows]
        ofReference = own[self.referenceScan] if 0 <= self.referenceScan < len(own) else None
        return ofReference or next((node for node in own if node is not None), None)

    def inputs(self) -> list[Any]:
        """All image nodes of the rows."""
        return [node for row in self.rows for node in (row.node, row.ct) if node is not None]
