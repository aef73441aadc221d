"""A folder of virtual patients: what lies where, whether it is whole, and reading it.

    DIR/manifest.json                 what the folder holds: patients, files, SHA-256 of each
    DIR/patient_0001/ct.nii.gz        CT
                     labels.nii.gz    regions, named in labels.csv
                     truth_024h.nii.gz, scan_024h.nii.gz, …   true and reconstructed activity at each time
                     tia.nrrd         true time-integrated activity
                     dose.nrrd, dose_uncertainty.nrrd         Monte Carlo dose of it
                     scan_dose.nrrd, scan_dose_uncertainty.nrrd   of the true activity at one scan and physical decay
                     kinetics.json    what was drawn

Each image has its sidecar. Scans of real patients come in by `workflows.collection`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ..__about__ import __version__
from ..errors import FileFormatError, GeometryMismatchError, InputError, RadioDosimetryError
from ..images.atomic import full_suffix, write_text_atomically
from ..images.file_checks import IMAGE_IO_OF_SUFFIX
from ..images.geometry import VolumeGeometry, describe_grid
from ..images.readers import read_volume
from ..images.regions import LabelMap, read_label_map
from ..images.sidecar import sidecar_path
from ..images.volume import QuantitativeVolume
from ..provenance import file_identity, to_json
from ..units import Quantity

FORMAT = 1
"""Number of the manifest's format that this package writes and reads."""

MANIFEST = "manifest.json"

LARGEST_MANIFEST_BYTES = 256 * 1024 * 1024

_LABELS, _LABEL_NAMES, _KINETICS = "labels", "label_names", "kinetics"


def scan_name(prefix: str, hours: float) -> str:
    """Name of an image at a time: `scan_name("truth", 24)` is "truth_024h", 3.5 h give "truth_003.5h"."""
    whole = round(hours)
    return f"{prefix}_{whole:03d}h" if hours == whole else f"{prefix}_{hours:05.1f}h"


def quantity_of(name: str) -> Quantity | None:
    """What the image of this name must hold; None for names that this format does not know."""
    known = {
        "ct": Quantity.CT_NUMBER,
        "tia": Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION,
        "dose": Quantity.ABSORBED_DOSE,
        "scan_dose": Quantity.ABSORBED_DOSE,
        "dose_uncertainty": Quantity.RELATIVE_UNCERTAINTY,
        "scan_dose_uncertainty": Quantity.RELATIVE_UNCERTAINTY,
    }
    if name in known:
        return known[name]
    return Quantity.ACTIVITY_CONCENTRATION if name.startswith(("truth_", "scan_")) else None


@dataclass(frozen=True, eq=False)
class PatientFolder:
    """One patient of a data set.

    Attributes
    ----------
    id
        "patient_0001", …
    source
        The patient that this one derives from; what shares it may not stand on both sides of a split.
    dataset_path
        Folder of the data set.
    entry
        What the manifest says of the patient.
    """

    id: str
    source: str
    dataset_path: Path
    entry: Mapping[str, Any]

    @property
    def scan_hours(self) -> tuple[float, ...]:
        """Hours after the administration at which the patient was scanned."""
        return tuple(float(hours) for hours in self.entry["scan_hours"])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what there is."""
        return tuple(self.entry["files"])

    def has(self, name: str) -> bool:
        """Whether there is a file of this name ("ct", "scan_024h", "dose", …)."""
        return name in self.entry["files"]

    def path(self, name: str) -> Path:
        """Where the file of this name lies.

        Raises
        ------
        InputError
            The patient has none.
        """
        if not self.has(name):
            raise InputError(
                f"{self.id} of {self.dataset_path} has no '{name}'; it has {', '.join(self.names)}. "
                "Simulate the data set with it, or choose what needs it not."
            )
        return self.dataset_path / PurePosixPath(self.entry["files"][name]["path"])

    def volume(self, name: str) -> QuantitativeVolume:
        """An image of the patient, checked against the manifest.

        Raises
        ------
        InputError
            There is none of this name, it was changed since the manifest was written, or it cannot be read.
        GeometryMismatchError
            It does not lie on the patient's grid.
        """
        path = self.path(name)
        try:
            volume = read_volume(path, quantity_of(name))
        except InputError as error:
            raise FileFormatError(f"{name} of {self.id} cannot be used: {error}") from error
        self._require_identity(name, path, volume.record.inputs["file"]["sha256"])
        self._require_grid(name, path, volume.geometry)
        return volume

    def labels(self) -> LabelMap:
        """Regions of the patient.

        Raises
        ------
        InputError, GeometryMismatchError
            As `volume`.
        """
        path, names = self.path(_LABELS), self.path(_LABEL_NAMES)
        try:
            labels = read_label_map(path, names)
        except InputError as error:
            raise FileFormatError(f"The labels of {self.id} cannot be used: {error}") from error
        self._require_identity(_LABELS, path, labels.record.inputs["file"]["sha256"])
        self._require_identity(_LABEL_NAMES, names, file_identity(names)["sha256"])
        self._require_grid(_LABELS, path, labels.geometry)
        return labels

    def kinetics(self) -> dict[str, Any]:
        """What was drawn of the patient's kinetics.

        Raises
        ------
        InputError
            There is none, or it was changed or cannot be read.
        """
        path = self.path(_KINETICS)
        self._require_identity(_KINETICS, path, _sha256(self.id, path))
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FileFormatError(f"{path} of {self.id} cannot be read: {error}.") from error
        return dict(found)

    @cached_property
    def geometry(self) -> VolumeGeometry:
        """The grid of all images of the patient."""
        return _geometry_from(self.entry["grid"])

    def require_whole(self) -> None:
        """Compare every file with its hash.

        Raises
        ------
        InputError
            A file is missing or was changed; patient and file are named.
        """
        for name, file in self.entry["files"].items():
            path = self.path(name)
            self._require_identity(name, path, _sha256(self.id, path))
            beside = file.get("sidecar_sha256")
            if beside is not None and _sha256(self.id, sidecar_path(path)) != beside:
                raise _changed(self.id, name, sidecar_path(path))

    def _require_identity(self, name: str, path: Path, sha256: str) -> None:
        if sha256 != self.entry["files"][name]["sha256"]:
            raise _changed(self.id, name, path)

    def _require_grid(self, name: str, path: Path, geometry: VolumeGeometry) -> None:
        if not geometry.same_grid(self.geometry):
            raise GeometryMismatchError(
                f"{name} of {self.id} ({path}) lies on {describe_grid(geometry)}, the patient on "
                f"{describe_grid(self.geometry)}; all images of a patient must share one grid. Resample it."
            )


@dataclass(frozen=True, eq=False)
class Dataset:
    """A folder of patients, read.

    Attributes
    ----------
    path
        The folder.
    patients
        The patients in the order of the manifest.
    manifest
        The manifest as read.
    """

    path: Path
    patients: tuple[PatientFolder, ...]
    manifest: Mapping[str, Any]

    @property
    def nuclide(self) -> str:
        """Nuclide of all patients."""
        return str(self.manifest["nuclide"])

    @property
    def complete(self) -> bool:
        """Whether all patients that were asked for are there."""
        return len(self.patients) >= int(self.manifest.get("requested_patients", len(self.patients)))

    def require(self, *names: str) -> None:
        """Refuse a data set in which a patient lacks something.

        Raises
        ------
        InputError
            Patient and file are named.
        """
        for patient in self.patients:
            for name in names:
                patient.path(name)


def read_dataset(path: Path, verify: bool = True) -> Dataset:
    """Read the manifest of a data set and check that the files it names are there.

    Parameters
    ----------
    path
        Folder with `manifest.json`.
    verify
        Also compare all files with their hashes. `PatientFolder.volume` compares what it reads in any case.

    Raises
    ------
    FileFormatError
        The manifest is missing, cannot be read, is of another format, or lacks something.
    InputError
        A file of a patient is missing or was changed; patient and file are named.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    patients = tuple(_patient_from(entry, path) for entry in manifest["patients"])
    _require_unique([patient.id for patient in patients], path)
    if not patients:
        raise InputError(f"The data set {path} holds no patient yet; simulate some into it first.")
    for patient in patients:
        for name in patient.names:
            file = patient.path(name)
            if not file.is_file():
                raise InputError(f"{name} of {patient.id} is missing: {file} does not exist. Restore or simulate it.")
        if verify:
            patient.require_whole()
    return Dataset(path, patients, manifest)


def describe_patient(
    dataset_path: Path, id: str, source: str, scan_hours: Sequence[float], files: Mapping[str, str], **more: Any
) -> dict[str, Any]:
    """The manifest's entry of a patient whose files lie in `dataset_path`/`id`.

    Parameters
    ----------
    dataset_path, id, source, scan_hours
        As in `PatientFolder`.
    files
        Name of each file ("ct", "scan_024h", …) to its file name inside the patient's folder; "ct" is among them.
    **more
        Further values to keep.

    Raises
    ------
    InputError
        A file is missing or there is no CT.
    """
    if "ct" not in files:
        raise InputError(f"{id} needs a CT, whose grid is the patient's; found {', '.join(files) or 'nothing'}.")
    folder = Path(dataset_path) / id
    return patient_entry(folder, id, source, scan_hours, files, **more)


def patient_entry(
    folder: Path, id: str, source: str, scan_hours: Sequence[float], files: Mapping[str, str], **more: Any
) -> dict[str, Any]:
    """As `describe_patient`, for files that lie in a folder that will be called after the patient."""
    described: dict[str, dict[str, str]] = {}
    for name, file_name in files.items():
        path = folder / file_name
        described[name] = {"path": f"{id}/{file_name}", "sha256": _sha256(id, path)}
        if full_suffix(path) in IMAGE_IO_OF_SUFFIX and sidecar_path(path).exists():
            described[name]["sidecar_sha256"] = _sha256(id, sidecar_path(path))
    grid = read_volume(folder / files["ct"], Quantity.CT_NUMBER).geometry
    return {
        "id": id,
        "source": source,
        "scan_hours": [float(hours) for hours in scan_hours],
        "grid": {
            "shape_kji": list(grid.shape_kji),
            "spacing_mm": list(grid.spacing_mm),
            "origin_mm": list(grid.origin_mm),
            "direction": np.asarray(grid.direction).tolist(),
        },
        "files": described,
        **more,
    }


def write_manifest(
    path: Path, patients: Sequence[Mapping[str, Any]], *, seed: int | None, tracer: str, nuclide: str, **more: Any
) -> None:
    """Write `manifest.json`, complete or not at all.

    Parameters
    ----------
    path
        Folder of the data set.
    patients
        Entries of `describe_patient`.
    seed, tracer, nuclide
        Of the data set; no seed where the patients were not simulated.
    **more
        Further values to keep.

    Raises
    ------
    OutputError
        The folder cannot be written; an older manifest stays as it was.
    """
    manifest = {
        "format": FORMAT, "version": __version__, "seed": seed, "tracer": tracer, "nuclide": nuclide, **more,
        "patients": list(patients),
    }  # fmt: skip
    write_text_atomically(Path(path) / MANIFEST, to_json(manifest))


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / MANIFEST
    try:
        if not file.is_file():
            raise FileFormatError(
                f"{path} is not a data set: it has no {MANIFEST}. Give the folder that 'radiodosimetry simulate' or "
                "'radiodosimetry collect' wrote."
            )
        if file.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise FileFormatError(f"{file} is larger than any manifest; it is damaged or of another kind.")
        found = json.loads(file.read_text(encoding="utf-8-sig"))
    except RadioDosimetryError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise FileFormatError(f"{file} cannot be read as a manifest: {error}. Restore or simulate it again.") from error
    if not isinstance(found, dict) or "format" not in found:
        raise FileFormatError(f"{file} is not a manifest of a data set: it names no format.")
    if found["format"] != FORMAT:
        raise FileFormatError(
            f"{file} has format {found['format']!r}, this version reads format {FORMAT}; "
            "use the version of RadioDosimetry that wrote it, or simulate again."
        )
    for name, kind in (("patients", list), ("nuclide", str), ("tracer", str)):
        if not isinstance(found.get(name), kind):
            raise FileFormatError(f"{file} lacks '{name}' or garbles it; restore it or simulate again.")
    return found


def _patient_from(entry: Any, path: Path) -> PatientFolder:
    """A patient of the manifest, once its entry has all that is needed."""
    try:
        id, source = str(entry["id"]), str(entry["source"])
        hours = [float(one) for one in entry["scan_hours"]]
        files = {str(name): (str(file["path"]), str(file["sha256"])) for name, file in entry["files"].items()}
        _geometry_from(entry["grid"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"A patient of {path / MANIFEST} cannot be understood ({type(error).__name__}: {error}); "
            "restore the manifest or simulate again."
        ) from error
    if not all(np.isfinite(hours)) or not source.strip():
        raise FileFormatError(f"{id} of {path / MANIFEST} has no source or a scan hour that is not a number.")
    for name, (file, _) in files.items():
        parts = PurePosixPath(file).parts
        if not parts or PurePosixPath(file).is_absolute() or ".." in parts or "\\" in file or ":" in file:
            raise FileFormatError(f"{name} of {id} would lie outside {path}: found '{file}' in the manifest.")
    return PatientFolder(id, source, path, entry)


def _geometry_from(grid: Mapping[str, Any]) -> VolumeGeometry:
    return VolumeGeometry(
        tuple(grid["shape_kji"]), tuple(grid["spacing_mm"]), tuple(grid["origin_mm"]), np.array(grid["direction"])
    )


def _require_unique(ids: Sequence[str], path: Path) -> None:
    repeated = sorted({one for one in ids if ids.count(one) > 1})
    if repeated:
        raise FileFormatError(
            f"{path / MANIFEST} holds {', '.join(repeated)} more than once; each patient needs its own id."
        )


def _sha256(id: str, path: Path) -> str:
    try:
        return file_identity(path)["sha256"]
    except OSError as error:
        raise InputError(f"{path.name} of {id} cannot be read: {error.strerror or error} ({path}).") from error


def _changed(id: str, name: str, path: Path) -> InputError:
    return InputError(
        f"{name} of {id} is not the file that the manifest describes: the SHA-256 of {path} differs. "
        "Restore the file, or simulate the patient again."
    )
