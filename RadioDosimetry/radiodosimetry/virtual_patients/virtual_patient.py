"""One virtual patient from its number: anatomy, kinetics, true activity, scans, dose maps, written into a folder.

Everything is drawn from the data set's seed and the patient's number alone, and records carry no time of creation:
the same settings give the same bytes wherever and whenever the patient is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from ..errors import InputError
from ..images.atomic import write_text_atomically
from ..images.geometry import VolumeGeometry
from ..images.readers import read_volume
from ..images.regions import LabelMap, read_label_map, write_label_map
from ..images.resampling import resample_ct, resample_labels
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..media import segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, to_json
from ..units import SECONDS_PER_HOUR, Quantity
from ..voxel_dose.edges import edge_mask
from .anatomy import REMAINDER, Anatomy, anatomy_from_labels, deformed, parametric_anatomy
from .dataset import patient_entry, scan_name
from .dose_labels import DoseLabel, dose_label
from .kinetics import draw_kinetics
from .pet import simulate_pet
from .simulation_settings import SimulationSettings
from .spect import simulate_spect
from .tracers import TRACERS
from .uptake import activity_at, true_tia, uptake_map

NO_TIME = "1970-01-01T00:00:00+00:00"
"""Stands where records say when they were made: the same patient has the same bytes at any time."""

AIR_HU = -1000.0

EDGES = "edges"
"""Name under which the manifest keeps the statistics of voxels near the surfaces of lung and bone."""


def patient_id(number: int) -> str:
    """Name of patient `number`, counted from 1."""
    return f"patient_{number:04d}"


def make_patient(
    settings: SimulationSettings, tracer: str, number: int, folder: Path, progress: Progress | None = None
) -> dict[str, Any]:
    """Simulate patient `number` (from 1) and write its files into an existing folder.

    Parameters
    ----------
    settings
        What to simulate.
    tracer
        Name of the tracer.
    number
        Number of the patient, from 1.
    folder
        Where to write; it will be called `patient_id(number)`.
    progress
        Told the share of the work done.

    Returns
    -------
    dict
        The manifest's entry.

    Raises
    ------
    InputError
        The settings cannot be used.
    OutputError
        A file could not be written.
    MissingDependencyError
        PyTomography is not installed.
    CancelledError
        The user cancelled.
    """
    draws = _Draws.of(settings.seed, number)
    report_progress(progress, 0.0, f"{patient_id(number)}: anatomy")
    anatomy = _anatomy(settings, draws, number)
    kinetics = draw_kinetics(TRACERS[tracer], anatomy, draws.kinetics)
    pattern = uptake_map(anatomy, kinetics, draws.uptake)
    truths = [activity_at(anatomy, kinetics, pattern, hours * SECONDS_PER_HOUR) for hours in settings.hours]
    writer = _Writer(folder)
    writer.volume("ct", anatomy.ct, "ct.nii.gz")
    writer.labels(anatomy.labels)
    scans_end = 0.5 if settings.histories != 0 else 1.0
    work = PartialProgress(progress, 0.05, scans_end)
    registered = _scan_all(settings, anatomy, truths, draws, writer, work)
    tia = true_tia(anatomy, kinetics, pattern)
    writer.volume("tia", tia, "tia.nrrd")
    writer.json("kinetics", kinetics.as_dict(), "kinetics.json")
    more: dict[str, Any] = {"sex": anatomy.sex, "misregistration_mm": registered}
    if settings.histories != 0:
        truth = truths[settings.hours.index(settings.dose_hour)]
        more |= _label(settings, anatomy, tia, truth, draws, writer, PartialProgress(progress, scans_end, 1.0))
    return patient_entry(folder, patient_id(number), anatomy.source, settings.hours, writer.files, **more)


def timeless(record: Record) -> Record:
    """The record without any time of creation, its own or that of its inputs."""
    return replace(record, created=NO_TIME, inputs=_timeless(record.inputs), parameters=_timeless(record.parameters))


@dataclass(frozen=True)
class _Draws:
    """Seeds of one patient, one per purpose."""

    anatomy: int
    deformation: int
    kinetics: int
    uptake: int
    counts: int
    shifts: int
    scans: int
    dose: int
    scan_dose: int

    @classmethod
    def of(cls, seed: int, number: int) -> _Draws:
        return cls(*map(int, np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(9)))


class _Writer:
    """Writes files of a patient and keeps their names."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files: dict[str, str] = {}

    def volume(self, name: str, volume: QuantitativeVolume, file_name: str) -> None:
        write_volume(volume.with_record(timeless(volume.record)), self._folder / file_name)
        self.files[name] = file_name

    def labels(self, labels: LabelMap) -> None:
        undated = replace(labels, record=timeless(labels.record))
        write_label_map(undated, self._folder / "labels.nii.gz", self._folder / "labels.csv")
        self.files |= {"labels": "labels.nii.gz", "label_names": "labels.csv"}

    def json(self, name: str, values: Mapping[str, Any], file_name: str) -> None:
        write_text_atomically(self._folder / file_name, to_json(_timeless(values)))
        self.files[name] = file_name


def _anatomy(settings: SimulationSettings, draws: _Draws, number: int) -> Anatomy:
    """The parametric torso, or the user's patient; the first copy of the latter is left as it is."""
    if settings.ct is None:
        anatomy = parametric_anatomy(draws.anatomy, spacing_mm=settings.spacing_mm, shape_kji=settings.used_shape_kji)
    else:
        anatomy = given_anatomy(settings)
        if number == 1:
            return anatomy
    return deformed(anatomy, draws.deformation, settings.deformation) if settings.deformation > 0 else anatomy


def given_anatomy(settings: SimulationSettings) -> Anatomy:
    """The user's CT and labels as an anatomy on a grid of the voxel size asked for.

    Raises
    ------
    InputError
        The files cannot be read or do not fit.
    """
    if settings.ct is None or settings.labels is None:
        raise InputError("No CT and label map are given to derive patients from.")
    ct = read_volume(settings.ct, Quantity.CT_NUMBER)
    labels = read_label_map(settings.labels, settings.label_names)
    grid = _grid_over(ct.geometry, settings.spacing_mm)
    return anatomy_from_labels(resample_ct(ct, grid), resample_labels(labels, grid))


def _grid_over(geometry: VolumeGeometry, spacing_mm: tuple[float, float, float]) -> VolumeGeometry:
    """The grid of another voxel size with the same axes and the same middle, inside the old one's edges."""
    count_ijk = np.array(geometry.shape_kji[::-1])
    extent_mm = count_ijk * geometry.spacing_mm
    new_ijk = np.maximum(1, np.floor(extent_mm / spacing_mm + 1e-6)).astype(int)
    middle = geometry.ijk_to_lps @ np.array([*((count_ijk - 1) / 2), 1.0])
    origin = middle[:3] - geometry.direction @ ((new_ijk - 1) / 2 * np.array(spacing_mm))
    shape = (int(new_ijk[2]), int(new_ijk[1]), int(new_ijk[0]))
    return replace(geometry, shape_kji=shape, spacing_mm=spacing_mm, origin_mm=tuple(origin))


def _scan_all(
    settings: SimulationSettings,
    anatomy: Anatomy,
    truths: list[QuantitativeVolume],
    draws: _Draws,
    writer: _Writer,
    progress: Progress,
) -> list[list[float]]:
    """Write truth and scan of each time; the residual misregistration of each [mm along i, j, k]."""
    counts = _counts(settings, truths, draws)
    rng = np.random.default_rng(draws.shifts)
    seeds = np.random.SeedSequence(draws.scans).generate_state(len(truths))
    moved: list[list[float]] = []
    for index, (hours, truth) in enumerate(zip(settings.hours, truths, strict=True)):
        writer.volume(scan_name("truth", hours), truth, f"{scan_name('truth', hours)}.nii.gz")
        drawn_mm = rng.standard_normal(3) * settings.used_misregistration_mm
        off_mm = np.zeros(3) if index == 0 else np.round(drawn_mm, 3)
        share = PartialProgress(progress, index / len(truths), (index + 1) / len(truths))
        report_progress(share, 0.0, f"Scan at {hours:g} h")
        activity, ct = (_moved(volume, off_mm) for volume in (truth, anatomy.ct))
        if settings.used_kind == "spect":
            spect = replace(settings.used_spect, counts=counts[index])
            scan = simulate_spect(activity, ct, spect, int(seeds[index]), share)
        else:
            pet = replace(settings.pet, counts=counts[index])
            scan = simulate_pet(activity, ct, pet, int(seeds[index]), share)
        scan = scan.with_record(scan.record.with_parameters(misregistration_ijk_mm=off_mm.tolist()))
        writer.volume(scan_name("scan", hours), scan, f"{scan_name('scan', hours)}.nii.gz")
        moved.append(off_mm.tolist())
    return moved


def _counts(settings: SimulationSettings, truths: list[QuantitativeVolume], draws: _Draws) -> list[float]:
    """Counts of each scan: of the strongest drawn, of the others as the activity, but never below the range.

    A scan that would count too little lasts longer.
    """
    given = settings.used_spect.counts if settings.used_kind == "spect" else settings.pet.counts
    if not settings.draw_counts:
        return [given] * len(truths)
    low, high = settings.counts_range
    strongest = float(np.exp(np.random.default_rng(draws.counts).uniform(np.log(low), np.log(high))))
    present = [float(truth.array_kji.sum(dtype=np.float64)) for truth in truths]
    return [float(round(max(low, strongest * one / max(present)))) for one in present]


def _moved(volume: QuantitativeVolume, off_ijk_mm: NDArray[np.float64]) -> QuantitativeVolume:
    """The volume displaced along its axes, linearly interpolated."""
    if not off_ijk_mm.any():
        return volume
    steps = off_ijk_mm[::-1] / np.array(volume.geometry.spacing_mm[::-1])
    outside = AIR_HU if volume.quantity is Quantity.CT_NUMBER else 0.0
    array = shift(volume.array_kji.astype(np.float32), steps, order=1, mode="constant", cval=outside)
    return volume.with_array(array)


def _label(
    settings: SimulationSettings,
    anatomy: Anatomy,
    tia: QuantitativeVolume,
    truth: QuantitativeVolume,
    draws: _Draws,
    writer: _Writer,
    progress: Progress,
) -> dict[str, Any]:
    """Write dose maps of the true TIA and of one scan's true activity; their statistics for the manifest."""
    organs = {name: anatomy.labels.mask(name) for name in anatomy.regions if name != REMAINDER}
    edges = edge_mask(segment_media(anatomy.ct, bands=None).density_kji, organs)
    found: dict[str, Any] = {}
    decayed = physical_tia(truth, settings.nuclide)
    for name, source, seed, masks, start in (
        ("dose", tia, draws.dose, {**organs, EDGES: edges}, 0.0),
        ("scan_dose", decayed, draws.scan_dose, organs, 0.5),
    ):
        part = PartialProgress(progress, start, start + 0.5)
        label: DoseLabel = dose_label(
            source,
            anatomy.ct,
            settings.nuclide,
            masks,
            settings.histories or None,
            seed,
            part,
            voxel_uncertainty=settings.voxel_uncertainty,
            always=(EDGES,),
        )
        writer.volume(name, label.dose, f"{name}.nrrd")
        writer.volume(f"{name}_uncertainty", label.uncertainty, f"{name}_uncertainty.nrrd")
        found[f"{name}_histories"] = label.histories
        found[f"{name}_voxel_uncertainty"] = dict(label.voxel_uncertainty_of_regions)
        found[f"{name}_region_uncertainty"] = dict(label.uncertainty_of_regions)
    return {**found, "scan_dose_hour": settings.dose_hour}


def physical_tia(activity: QuantitativeVolume, nuclide: str) -> QuantitativeVolume:
    """Time-integrated activity from a scan on if nothing but physical decay removes the nuclide: A/λ [Bq s/mL]."""
    known = Radionuclide(nuclide)
    record = activity.record.with_parameters(
        integration="physical decay from scan time on", half_life_s=known.half_life_s
    )
    values = activity.array_kji.astype(np.float64) / known.decay_constant_per_s
    return activity.with_array(values.astype(np.float32), Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, record)


def _timeless(values: Any) -> Any:
    """The same values with every `created` in them undated."""
    if isinstance(values, Mapping):
        return {name: NO_TIME if name == "created" else _timeless(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [_timeless(value) for value in values]
    return values
