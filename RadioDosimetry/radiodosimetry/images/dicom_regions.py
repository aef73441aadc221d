"""What RT Structure Sets and DICOM Segmentations are read into: regions with the record of how."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..provenance import Record
from .dicom_files import read_header
from .dicom_header import text
from .geometry import VolumeGeometry
from .regions import Region


@dataclass(frozen=True, eq=False)
class DicomRegions:
    """Regions of one file on one grid; iterating gives the regions.

    Attributes
    ----------
    regions
        In the order of the file; they may overlap.
    record
        How they were made, with warnings about what was skipped or cut.
    """

    regions: list[Region]
    record: Record

    def __iter__(self) -> Iterator[Region]:
        return iter(self.regions)

    def __len__(self) -> int:
        return len(self.regions)


def read_dicom_regions(path: Path, geometry: VolumeGeometry, names: Sequence[str] | None = None) -> DicomRegions:
    """Regions of an RTSTRUCT or SEG file on a grid; see `read_structure_set` and `read_segmentation`.

    Raises
    ------
    InputError
        The file is neither; or whatever its reader refuses.
    """
    from .dicom_rtstruct import read_structure_set
    from .dicom_seg import read_segmentation

    path = Path(path)
    modality = (text(read_header(path), "Modality") or "unknown").upper()
    if modality == "RTSTRUCT":
        return read_structure_set(path, geometry, names)
    if modality == "SEG":
        return read_segmentation(path, geometry, names)
    raise InputError(f"{path.name} is {modality}; expected regions as RTSTRUCT or SEG. Give such a file.")


def unique_names(names: Sequence[str]) -> list[str]:
    """The names, those that occur again with (2), (3), … behind them."""
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return unique
