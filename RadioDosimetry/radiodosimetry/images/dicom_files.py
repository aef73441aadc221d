"""Finding DICOM files, telling their series apart and choosing the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from ..errors import FileFormatError, InputError
from ..progress import Progress, report_progress
from .dicom_header import dicom_errors, text, texts

_PREAMBLE_BYTES = 128
_MAGIC = b"DICM"
_BARE_STARTS = (b"\x08\x00", b"\x02\x00")
"""First bytes of a file without preamble: group 0008 or 0002, little endian."""


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """The headers of one series.

    Attributes
    ----------
    uid
        Series Instance UID; empty where the file has none.
    modality
        CT, PT, NM, RTDOSE, RTSTRUCT, SEG, …; empty where the file has none.
    description
        Series Description, for messages.
    datasets
        One header (without pixels) per file, in the order of the file names.
    paths
        The files, in the same order.
    """

    uid: str
    modality: str
    description: str
    datasets: tuple[Dataset, ...]
    paths: tuple[Path, ...]

    def __str__(self) -> str:
        name = f" '{self.description}'" if self.description else ""
        files = f"{len(self.paths)} file{'s' if len(self.paths) != 1 else ''}"
        return f"{self.modality or 'unknown modality'}{name} ({files}), series_uid {self.uid or 'empty'}"


def is_dicom_file(path: Path) -> bool:
    """Whether the first bytes of a file are those of DICOM, with or without preamble."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_PREAMBLE_BYTES + len(_MAGIC))
    except OSError:
        return False
    return start[_PREAMBLE_BYTES:] == _MAGIC or start[:2] in _BARE_STARTS


def read_header(path: Path, *, pixels: bool = False) -> Dataset:
    """The dataset of one file, without its pixels unless asked for.

    Raises
    ------
    FileFormatError
        The file is missing or no readable DICOM.
    """
    if not path.is_file():
        raise FileFormatError(f"{path} is no file; expected a DICOM file. Check the path.")
    if not is_dicom_file(path):
        raise FileFormatError(f"{path.name} is no DICOM file (no DICM mark); give a DICOM file or folder.")
    with dicom_errors(path):
        dataset = dcmread(path, stop_before_pixels=not pixels, force=True)
        if len(dataset) == 0:
            raise FileFormatError(f"{path.name} holds no DICOM attributes; it seems cut short. Export it again.")
        return dataset


def find_series(path: Path, progress: Progress | None = None) -> list[DicomSeries]:
    """All series in a file or in a folder and its subfolders; files that are no DICOM are passed over.

    Raises
    ------
    FileFormatError
        The path does not exist, holds no DICOM, or a DICOM file in it cannot be read.
    """
    if not path.exists():
        raise FileFormatError(f"{path} does not exist; expected a DICOM file or folder. Check the path.")
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    groups: dict[tuple[str, str], list[tuple[Path, Dataset]]] = {}
    for index, file in enumerate(files):
        report_progress(progress, 0.5 * index / len(files), "Reading DICOM headers")
        if path.is_dir() and (not is_dicom_file(file) or file.name.upper() == "DICOMDIR"):
            continue
        dataset = read_header(file)
        key = (text(dataset, "SeriesInstanceUID") or "", (text(dataset, "Modality") or "").upper())
        groups.setdefault(key, []).append((file, dataset))
    if not groups:
        raise FileFormatError(
            f"{path} holds {len(files)} files, none of them DICOM. Give the folder with the DICOM files."
        )
    return [
        DicomSeries(
            uid,
            modality,
            text(members[0][1], "SeriesDescription") or "",
            tuple(dataset for _, dataset in members),
            tuple(file for file, _ in members),
        )
        for (uid, modality), members in groups.items()
    ]


def choose_series(
    path: Path, found: list[DicomSeries], modalities: tuple[str, ...], series_uid: str | None
) -> DicomSeries:
    """The one series of the wanted modalities, or the one named by `series_uid`.

    Raises
    ------
    InputError
        No series or several fit; the text lists what is there.
    """
    listing = "; ".join(str(series) for series in found)
    if series_uid is not None:
        named = [series for series in found if series.uid == series_uid]
        if not named:
            raise InputError(f"No series {series_uid} in {path.name}; found: {listing}. Give one of these series_uid.")
        found = named
    wanted = [series for series in found if series.modality in modalities]
    if not wanted:
        raise InputError(f"{path.name} holds no {' or '.join(modalities)} series; found: {listing}.")
    if len(wanted) > 1:
        listing = "; ".join(str(series) for series in wanted)
        raise InputError(
            f"{path.name} holds {len(wanted)} series where one is needed: {listing}. Give series_uid or a folder "
            "with one."
        )
    return wanted[0]


def without_localizers(series: DicomSeries) -> DicomSeries:
    """The same series without the overview images that scanners add to it."""
    kept = [
        (dataset, path)
        for dataset, path in zip(series.datasets, series.paths, strict=True)
        if "LOCALIZER" not in texts(dataset, "ImageType")
    ]
    if not kept:
        raise InputError(f"All {len(series.paths)} images of {series} are localizers; give the axial series.")
    return DicomSeries(
        series.uid,
        series.modality,
        series.description,
        tuple(item[0] for item in kept),
        tuple(item[1] for item in kept),
    )
