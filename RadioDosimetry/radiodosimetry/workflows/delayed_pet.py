"""An early PET file and a model to files of later PET volumes: read, synthesised, written together, all marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from ..delayed_pet.early_scan import SUV_UNITS, activity_from_suv
from ..delayed_pet.inference import DelayedPet, synthesize
from ..delayed_pet.shipped import model_named
from ..errors import InputError
from ..images.atomic import OutputTransaction, refuse_overwriting
from ..images.dicom_pet_writer import PetSeriesDescription, injection_time_of, write_pet_series
from ..images.geometry import VolumeGeometry
from ..images.readers import read_as_dicom, read_volume
from ..images.regions import LabelMap, label_map_of
from ..images.volume import QuantitativeVolume
from ..images.writers import write_volume
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..time_activity.acquisition_times import injection_of, moment_of
from ..units import SECONDS_PER_HOUR, Quantity
from .curves import UNCERTAINTY_FILE
from .dose import read_regions
from .output_folder import output_folder
from .scan_headers import administered_activity, require_nuclide

LARGEST_TIME_DIFFERENCE_S = 1800.0
"""Between the time of the early scan as given and as its header has it [s]."""

@dataclass(frozen=True)
class SynthesisRequest:
    """What to synthesise from which files.

    Attributes
    ----------
    model
        Model file, or the name of a model that comes with RadioDosimetry.
    early
        The early scan: NIfTI, NRRD, MetaImage, or DICOM file or folder.
    early_time_h, times_h
        Times after injection [h].
    nuclide
        Of the tracer.
    ct
        CT of the session; None without.
    labels, label_names, expressions
        Regions of the patient, where they are known: label image, RTSTRUCT or SEG, the table of a label image's names,
        and further regions by name (see `images.regions.regions_of`). Where regions overlap the smallest counts.
    tracer
        Name of the tracer that was given; a model of another one is refused. None: not stated.
    unit
        Unit of an early scan that does not say it: one of activity concentration, or "SUV".
    weight_kg, administered_bq
        Body weight [kg] and administered activity [Bq]; both are needed for SUV, the latter also bounds the totals and
        is taken from a DICOM header where it is None.
    injection
        When the tracer was given, for a scan that does not name its time.
    dicom
        Write each volume as a DICOM series too.
    device
        "cpu" or "cuda".
    """

    model: Path | str
    early: Path
    early_time_h: float
    times_h: tuple[float, ...]
    nuclide: str
    ct: Path | None = None
    labels: Path | None = None
    label_names: Path | None = None
    expressions: Mapping[str, str] = field(default_factory=dict)
    tracer: str | None = None
    unit: str | None = None
    weight_kg: float | None = None
    administered_bq: float | None = None
    injection: datetime | None = None
    dicom: bool = False
    device: str = "cpu"


def synthesize_files(
    request: SynthesisRequest, output: Path, progress: Progress | None = None
) -> tuple[DelayedPet, list[Path]]:
    """Synthesise and write `pet_24h.nii.gz`, `pet_24h_uncertainty.nii.gz`, … and, if asked for, `pet_24h_dicom/`.

    Parameters
    ----------
    request
        What to do.
    output
        Folder, made if absent. All files appear, or none.
    progress
        Who watches, and may cancel.

    Returns
    -------
    tuple
        The volumes and the image files written (each with a sidecar; of a DICOM series its folder).

    Raises
    ------
    InputError
        There is no such model, or the early scan or the times cannot be used with it; the text gives every reason.
    RegionError, GeometryMismatchError
        The regions cannot be used, or do not lie in the early scan.
    OutputError
        The folder cannot be written.
    """
    times_s = [hours * SECONDS_PER_HOUR for hours in request.times_h]
    early_time_s = request.early_time_h * SECONDS_PER_HOUR
    model = model_named(request.model)
    report_progress(progress, 0.0, "reading the early scan")
    early = read_early_scan(request)
    administered_bq, doubts = administered_activity(request.administered_bq, early.record)
    early = early.with_record(early.record.with_warnings(*doubts))
    request = replace(request, administered_bq=administered_bq)
    ct = None if request.ct is None else read_volume(request.ct, Quantity.CT_NUMBER)
    labels = _known_regions(request, early.geometry)
    made = synthesize(
        model, early, early_time_s, times_s, request.nuclide, ct, labels=labels, tracer=request.tracer,
        administered_bq=request.administered_bq, device=request.device, progress=PartialProgress(progress, 0.1, 0.9),
    )  # fmt: skip
    with output_folder(Path(output)):
        paths = _write(made, request, Path(output))
    report_progress(progress, 1.0, "written")
    return made, paths


def read_early_scan(request: SynthesisRequest) -> QuantitativeVolume:
    """The early scan as activity concentration [Bq/mL], SUV converted where weight and activity are known.

    Raises
    ------
    UnitError
        It is not quantitative.
    InputError
        It is in SUV and something is missing, or its header names another nuclide or another time after injection.
    """
    if request.unit in SUV_UNITS:
        raw = read_volume(request.early, Quantity.DIMENSIONLESS)
        elapsed_s = request.early_time_h * SECONDS_PER_HOUR
        early = activity_from_suv(raw, request.weight_kg, request.administered_bq, elapsed_s, request.nuclide)
    else:
        early = read_volume(request.early, Quantity.ACTIVITY_CONCENTRATION, request.unit)
    _require_header(early, request)
    if request.injection is None:
        return early
    given, scanned = request.injection + timedelta(hours=request.early_time_h), _scanned_at(early)
    if scanned is not None and abs(_seconds_between(given, scanned)) > LARGEST_TIME_DIFFERENCE_S:
        raise InputError(
            f"The early scan was acquired at {scanned}, {request.early_time_h:g} h after the injection is {given}; "
            "correct the time of injection or the early time."
        )
    return early if early.time is not None else replace(early, time=given)


def _require_header(early: QuantitativeVolume, request: SynthesisRequest) -> None:
    """Compare nuclide and time with what the scan's header says, where it says it."""
    require_nuclide(early.record, Radionuclide(request.nuclide))
    injected, scanned = injection_of(early.record), _scanned_at(early)
    if injected is None or scanned is None:
        return
    elapsed_h = _seconds_between(injected, scanned) / SECONDS_PER_HOUR
    if abs(elapsed_h - request.early_time_h) * SECONDS_PER_HOUR > LARGEST_TIME_DIFFERENCE_S:
        raise InputError(
            f"By its header the early scan was acquired {elapsed_h:.3g} h after the injection, "
            f"{request.early_time_h:g} h was given; give the time of the header, or correct the header."
        )


def _scanned_at(early: QuantitativeVolume) -> datetime | None:
    """When the scan was, by its header: not always what its activity is counted at."""
    if early.record.parameters.get("decay_correction") != "ADMIN":
        return early.time
    return moment_of(early.record, "first_acquisition_time")


def _seconds_between(first: datetime, second: datetime) -> float:
    """Both as local time of the scanner where one of them names no time zone."""
    if first.tzinfo is None or second.tzinfo is None:
        first, second = first.replace(tzinfo=None), second.replace(tzinfo=None)
    return (second - first).total_seconds()


def output_names(times_h: Sequence[float], with_uncertainty: bool = True) -> list[str]:
    """Names of the image files for times [h]: pet_24h.nii.gz, pet_24h_uncertainty.nii.gz, …"""
    stems = [f"pet_{hours:g}h" for hours in times_h]
    suffixes = ("", "_uncertainty") if with_uncertainty else ("",)
    return [f"{stem}{suffix}.nii.gz" for stem in stems for suffix in suffixes]


def _known_regions(request: SynthesisRequest, geometry: VolumeGeometry) -> LabelMap | None:
    """The regions on the grid of the early scan; None where none are given."""
    if request.labels is None:
        if request.label_names is not None or request.expressions:
            raise InputError("Names or expressions of regions are given, but no labels; give the labels too.")
        return None
    regions, record = read_regions(request.labels, request.label_names, geometry, request.expressions)
    return label_map_of(regions, geometry, record)


def _write(made: DelayedPet, request: SynthesisRequest, output: Path) -> list[Path]:
    names = [output / name for name in output_names(request.times_h)]
    refuse_overwriting(names, [request.early, request.ct, request.labels])
    paths: list[Path] = []
    folders = [output / f"pet_{hours:g}h_dicom" for hours in request.times_h] if request.dicom else []
    for folder in folders:
        if folder.exists() and any(folder.iterdir()):
            raise InputError(f"The folder {folder} holds files already; empty it, or give another output folder.")
    with OutputTransaction() as transaction:
        for hours, volume, uncertainty in zip(request.times_h, made.volumes, made.uncertainties, strict=True):
            name, beside = output_names([hours])
            record = volume.record.with_parameters(**{UNCERTAINTY_FILE: None if uncertainty is None else beside})
            write_volume(volume.with_record(record), output / name, transaction)
            paths.append(output / name)
            if uncertainty is not None:
                write_volume(uncertainty, output / beside, transaction)
                paths.append(output / beside)
        for folder, time_s, volume in zip(folders, made.times_s, made.volumes, strict=False):
            folder.mkdir(exist_ok=True)
            reference = request.early if read_as_dicom(request.early) else None
            nuclide = Radionuclide(request.nuclide)
            model = volume.record.inputs["model"]
            description = PetSeriesDescription(
                series=f"PET {time_s / SECONDS_PER_HOUR:g} h",
                derivation=(
                    f"by a model ({model['path']}, sha256 {model['sha256'][:16]}, trained on "
                    f"{volume.record.parameters['model_trained_on']}) from the scan at "
                    f"{request.early_time_h:g} h; never measured, not for diagnosis"
                ),
                nuclide=nuclide.name,
                half_life_s=nuclide.half_life_s,
                injection=injection_time_of(volume, time_s),
                administered_bq=request.administered_bq,
                synthetic=True,
            )
            write_pet_series(volume, folder, description, reference=reference, transaction=transaction)
            paths.append(folder)
    return paths
