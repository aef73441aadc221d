"""A user's own serial PET as a data set: read, checked to be of one patient each, brought onto one grid, written.

    patients.csv                      a row per scan: patient, hours, scan, and what else is known
    DIR/manifest.json                 as `virtual_patients.dataset` describes it, without a seed
    DIR/P01/ct.nii.gz                 CT on the grid of the earliest scan
            scan_001h.nii.gz, …       activity at each time, on that grid
            labels.nii.gz, labels.csv regions, where there are some
            kinetics.json             administered activity, where it is known

Everything that is wrong with any patient is told at once, and nothing is written unless all of them can be used.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ..delayed_pet.pairs import PatientIdentity, check_pair, require_quantitative_pet
from ..errors import GeometryMismatchError, InputError, OutputError, RadioDosimetryError
from ..images.atomic import write_text_atomically
from ..images.geometry import VolumeGeometry
from ..images.readers import read_as_dicom, read_volume
from ..images.regions import LabelMap, label_map_of, read_label_map, write_label_map
from ..images.registered import Registration
from ..images.registration import register_rigid
from ..images.resampling import resample_activity, resample_ct, resample_labels
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import to_json
from ..time_activity.acquisition_times import ImageTiming, at_its_time, injection_of, region_scan, slice_middles_of
from ..units import SECONDS_PER_HOUR, Quantity
from ..virtual_patients.dataset import Dataset, describe_patient, read_dataset, scan_name, write_manifest
from ..virtual_patients.tracers import TRACERS
from .collection_headers import common_injection, require_one_patient, shared_patients
from .collection_table import (
    PatientRows,
    ScanRow,
    gathered,
    read_patient_table,
    require_no_problems,
    require_scan_hours,
)
from .dose import read_regions
from .output_folder import output_folder
from .scan_headers import EMISSION, administered_activity, identity_of, require_nuclide, without_names

LEAST_MOVE_VOXELS = 0.5
"""A registration that moves no point by more than this many voxels is not worth the blur of resampling."""

_HEADERS_SHARE = 0.1
_SMOOTHING_MM = 4.0
"""Gaussian sigma over PETs before they are registered: their noise is no landmark."""

Identities = Sequence[PatientIdentity | None]
"""What the headers of a patient's scans say, in their order."""


@dataclass(frozen=True, eq=False)
class _Scan:
    """A scan at its time, and where it was named."""

    row: ScanRow
    hours: float
    volume: QuantitativeVolume


def collect_patients(
    table: Path,
    nuclide: Radionuclide | str,
    tracer: str,
    output: Path,
    *,
    register: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """A data set for training and judging delayed PET, from serial scans in a table.

    Parameters
    ----------
    table
        CSV with one row per scan; see `collection_table.read_patient_table`.
    nuclide
        Of the tracer: a radionuclide or its name.
    tracer
        Its name, kept in the data set.
    output
        Folder to write; must be absent or empty.
    register
        Register later scans rigidly to the earliest: CT to CT where their rows name a CT of their own, else PET to PET.
        What lies within half a voxel already stays as it is.
    progress
        Told the share of the work done.

    Returns
    -------
    Dataset
        The folder, read. Warnings of each patient stand in its entry under `warnings`, what DICOM headers say of the
        person, without the Patient ID, under `identities`.

    Raises
    ------
    InputError
        Rows, scans or headers cannot be used, or belong to different patients: the text names all that is wrong.
    UnknownNuclideError
        The nuclide is not in the dataset.
    OutputError
        The folder cannot be written.
    CancelledError
        The user cancelled; nothing is left behind.
    """
    table, output = Path(table), Path(output)
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    _require_tracer(tracer, nuclide)
    _require_free(output)
    patients = read_patient_table(table, several_cts=register)
    problems: list[str] = []
    identities = _identities(patients, problems, PartialProgress(progress, 0.0, _HEADERS_SHARE))
    entries = []
    with output_folder(output.parent), _new_folder(output) as partial:
        for number, (patient, known) in enumerate(zip(patients, identities, strict=True)):
            start, step = _HEADERS_SHARE, (1 - _HEADERS_SHARE) / len(patients)
            share = PartialProgress(progress, start + number * step, start + (number + 1) * step)
            report_progress(share, 0.0, f"reading {patient.id}")
            scans = _read_scans(patient, nuclide, problems)
            if not problems:  # else nothing will be written: the others are only checked
                with gathered(problems, patient.id):
                    entries.append(_written(patient, scans, known, partial, register, share))
        require_no_problems(problems)
        write_manifest(partial, entries, seed=None, tracer=tracer, nuclide=nuclide.name, registered=register)
        report_progress(progress, 1.0, f"{len(entries)} patients collected")
    return read_dataset(output, verify=False)


def _require_tracer(tracer: str, nuclide: Radionuclide) -> None:
    if not tracer.strip():
        raise InputError("The tracer has no name; give it, as the models that learn from the data set will state it.")
    known = TRACERS.get(tracer)
    if known is not None and str(known.nuclide) != nuclide.name:
        raise InputError(f"Tracer '{tracer}' carries {known.nuclide}, not {nuclide.name}; give the one or the other.")


def _require_free(output: Path) -> None:
    """Refuse to write over anything."""
    if output.exists() and not output.is_dir():
        raise InputError(f"{output} is a file; give a folder for the data set.")
    found = sorted(one.name for one in output.iterdir()) if output.exists() else []
    if found:
        raise InputError(
            f"{output} holds {', '.join(found[:3])}{', …' if len(found) > 3 else ''}; patients are never written over. "
            "Give an empty or a new folder."
        )


@contextlib.contextmanager
def _new_folder(final: Path) -> Iterator[Path]:
    """A temporary folder beside `final` that gets its name when the block ends well, else is removed."""
    partial = final.parent / f".partial-{secrets.token_hex(6)}"
    try:
        partial.mkdir()
        yield partial
        if final.exists():
            final.rmdir()
        os.replace(partial, final)
    except OSError as error:
        if isinstance(error, RadioDosimetryError):
            raise
        reason = (error.strerror or str(error)).lower()
        raise OutputError(
            f"Could not write {final}: {reason}; nothing was left behind. Free some space or choose another place."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _identities(
    patients: Sequence[PatientRows], problems: list[str], progress: Progress | None
) -> list[list[PatientIdentity | None]]:
    """What the headers say of each patient's scans; differences are problems."""
    found = []
    for number, patient in enumerate(patients):
        report_progress(progress, number / len(patients), f"reading the headers of {patient.id}")
        scans: list[PatientIdentity | None] = []
        cts: dict[Path, PatientIdentity | None] = {}
        for row in patient.scans:
            scans.append(None)
            with gathered(problems, f"{patient.id}, {row.label}"):
                scans[-1] = identity_of(row.path, EMISSION)
        for path in dict.fromkeys((patient.ct, *(row.ct for row in patient.scans if row.ct is not None))):
            with gathered(problems, f"{patient.id}, the CT"):
                cts[path] = identity_of(path, ("CT",))
        problems += require_one_patient(patient, scans, cts)
        found.append(scans)
    problems += shared_patients(patients, found)
    return found


def _read_scans(patient: PatientRows, nuclide: Radionuclide, problems: list[str]) -> list[_Scan]:
    """The scans of a patient, each brought to its time; those that cannot be used are problems."""
    found: list[_Scan] = []
    injection = None
    for row in patient.scans:
        name = f"{patient.id}, {row.label}"
        with gathered(problems, name):
            volume = read_volume(row.path, Quantity.ACTIVITY_CONCENTRATION, row.unit)
            require_nuclide(volume.record, nuclide)
            with gathered(problems):
                require_quantitative_pet(volume, name)
            injection = common_injection(injection, injection_of(volume.record), row.hours is not None)
            timing = ImageTiming(
                None if row.hours is None else row.hours * SECONDS_PER_HOUR,
                administration=injection,
                slice_middles=_slice_middles(row, volume),
            )
            timed = region_scan(volume, (), nuclide.decay_constant_per_s, timing, "the scan")
            record = at_its_time(without_names(timed.volume.record, row.label), injection)
            hours = row.hours if row.hours is not None else round(timed.time_s / SECONDS_PER_HOUR, 6)
            found.append(_Scan(row, hours, timed.volume.with_record(record)))
    if len(found) == len(patient.scans):
        with gathered(problems):
            require_scan_hours(patient.id, [scan.hours for scan in found])
    return found


def _slice_middles(row: ScanRow, volume: QuantitativeVolume) -> Any:
    """The slices' own times, where the scan's time comes from the header of a PET series."""
    if row.hours is not None or "decay_correction" not in volume.record.parameters or not read_as_dicom(row.path):
        return None
    return slice_middles_of(row.path) or None


def _written(
    patient: PatientRows,
    scans: Sequence[_Scan],
    identities: Identities,
    folder: Path,
    register: bool,
    progress: Progress | None,
) -> dict[str, Any]:
    """Write a patient on the grid of the earliest scan; its entry for the manifest."""
    early = scans[0]
    ct = resample_ct(read_volume(patient.ct, Quantity.CT_NUMBER), early.volume.geometry)
    ct = ct.with_record(without_names(ct.record, "the CT"))
    labels = None if patient.labels is None else _labels_of(patient, early.volume.geometry)
    placed = [early.volume]
    for number, scan in enumerate(scans[1:], start=1):
        part = PartialProgress(progress, 0.2 + 0.6 * (number - 1) / len(scans), 0.2 + 0.6 * number / len(scans))
        report_progress(part, 0.0, f"{patient.id}, {scan.hours:g} h")
        placed.append(_on_early_grid(scan, early, ct, patient.ct, register, part))
    administered_bq, warnings = administered_activity(patient.administered_bq, early.volume.record)
    warnings += _warnings(scans, placed, ct, labels)
    report_progress(progress, 0.8, f"writing {patient.id}")
    home, files = folder / patient.id, {"ct": "ct.nii.gz"}
    home.mkdir()
    write_volume(ct, home / files["ct"])
    for scan, volume in zip(scans, placed, strict=True):
        name = scan_name("scan", scan.hours)
        files[name] = f"{name}.nii.gz"
        write_volume(volume, home / files[name])
    if labels is not None:
        files |= {"labels": "labels.nii.gz", "label_names": "labels.csv"}
        write_label_map(labels, home / files["labels"], home / files["label_names"])
    if administered_bq is not None:
        files["kinetics"] = "kinetics.json"
        write_text_atomically(home / files["kinetics"], to_json({"administered_bq": administered_bq}))
    hours = [scan.hours for scan in scans]
    kept = _kept_identities(hours, identities)
    return describe_patient(
        folder, patient.id, patient.source, hours, files, identities=kept,
        warnings=[f"{patient.id}, {text}" for text in warnings],
    )  # fmt: skip


def _labels_of(patient: PatientRows, geometry: VolumeGeometry) -> LabelMap:
    """Regions on the patient's grid."""
    path = patient.labels
    if path is None:
        raise InputError(f"{patient.id} has no labels.")
    if read_as_dicom(path):
        regions, record = read_regions(path, patient.label_names, geometry)
        labels = label_map_of(regions, geometry, record)
    else:
        labels = resample_labels(read_label_map(path, patient.label_names), geometry)
    return replace(labels, record=without_names(labels.record, "the labels"))


def _on_early_grid(
    scan: _Scan, early: _Scan, ct: QuantitativeVolume, ct_path: Path, register: bool, progress: Progress | None
) -> QuantitativeVolume:
    """A later scan on the grid of the early one, moved there by a registration or as it lies."""
    first, later = early.volume, scan.volume
    one_frame = first.geometry.same_frame(later.geometry)
    if not register:
        if not one_frame:
            raise GeometryMismatchError(
                f"The scans at {early.hours:g} h and {scan.hours:g} h lie in different frames of reference; register "
                "them (--register), or register them elsewhere and give the results."
            )
        return resample_activity(later, first.geometry)
    registration, how = _registration(scan, early, ct, ct_path, progress)
    left_mm = LEAST_MOVE_VOXELS * min(first.geometry.spacing_mm)
    if one_frame and registration.quality["largest_displacement_mm"] <= left_mm:
        placed = resample_activity(later, first.geometry)
        how += f"; left as it lay, since no voxel moves more than {left_mm:.3g} mm"
        quality = {"kind": registration.kind, "quality": dict(registration.quality)}
        placed = placed.with_record(placed.record.with_parameters(registration=quality))
    else:
        placed = registration.apply_to_activity(later)
    return placed.with_record(placed.record.with_parameters(registered_by=how))


def _registration(
    scan: _Scan, early: _Scan, ct: QuantitativeVolume, ct_path: Path, progress: Progress | None
) -> tuple[Registration, str]:
    """How a later scan lies on the early one: CT to CT where its session has a CT of its own, else PET to PET."""
    own = scan.row.ct if scan.row.ct != ct_path else None
    if own is not None:
        fixed, moving, how = ct, read_volume(own, Quantity.CT_NUMBER), "CT to CT"
    else:
        fixed, moving, how = _as_ct(early.volume), _as_ct(scan.volume), "PET to PET, logarithms as CT numbers"
    # one thread: the same data set on every machine
    return register_rigid(fixed, moving, threads=1, progress=progress), how


def _as_ct(pet: QuantitativeVolume) -> QuantitativeVolume:
    """A PET as numbers from −1000 to 1000 that registration takes for a CT: the body is then above its threshold."""
    sigma = [_SMOOTHING_MM / edge for edge in pet.geometry.spacing_mm[::-1]]
    array = np.maximum(ndimage.gaussian_filter(np.asarray(pet.array_kji, dtype=np.float64), sigma), 0.0)
    logarithm = np.log1p(array / (0.1 * array[array > 0].mean()))
    top = float(np.percentile(logarithm[logarithm > 0], 99.5))
    values = 2000.0 * np.minimum(logarithm / top, 1.0) - 1000.0
    return pet.with_array(values.astype(np.float32), Quantity.CT_NUMBER)


def _warnings(
    scans: Sequence[_Scan], placed: Sequence[QuantitativeVolume], ct: QuantitativeVolume, labels: LabelMap | None
) -> list[str]:
    """Doubts about pairs first, then what the records of scans, CT and labels warn of, each with its time."""
    found = []
    for scan, volume in zip(scans[1:], placed[1:], strict=True):
        found += [f"{scan.hours:g} h: {doubt}." for doubt in check_pair(placed[0], volume).doubts]
    for scan, volume in zip(scans, placed, strict=True):
        found += [f"{scan.hours:g} h: {text}" for text in volume.record.warnings]
    found += [f"CT: {text}" for text in ct.record.warnings]
    return found + [f"labels: {text}" for text in (labels.record.warnings if labels is not None else ())]


def _kept_identities(hours: Sequence[float], identities: Identities) -> Mapping[str, dict[str, Any]]:
    """Hours to what is kept of a header."""
    # No Patient ID, not even its hash: so short a text is found again by trying all. It has been compared already.
    return {
        str(float(one)): replace(identity, patient_id=None).as_dict()
        for one, identity in zip(hours, identities, strict=True)
        if identity is not None
    }
