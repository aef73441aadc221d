"""The steps of a case: each reads the case's inputs and the files of earlier steps, and writes its own all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..images.readers import read_volume
from ..images.regions import Region, read_label_map
from ..images.resampling import resample_ct
from ..images.sidecar import sidecar_path
from ..images.volume import QuantitativeVolume
from ..images.writers import write_table, write_volume
from ..learned_dose.shipped import LEARNED_METHODS
from ..media import schneider_2000, segment_media
from ..nuclides import Radionuclide
from ..organ_dose.dose_tables import contributions_csv, effective_dose_values, organ_dose_csv
from ..organ_dose.importers import read_s_value_table
from ..progress import PartialProgress, Progress
from ..provenance import Record, file_identity
from ..time_activity.curve_tables import curves_csv
from ..time_activity.curves import CurveOptions
from ..time_activity.fit_files import FitSet, fits_json, read_fits, residence_times_csv
from ..time_activity.recovery import read_recovery
from ..time_activity.region_scans import RegionScan
from ..time_activity.time_activity_curve import TimeActivityCurve
from ..time_activity.voxelwise import TiaOptions
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR, Quantity
from ..voxel_dose.dose_volume import dvh, dvh_csv
from ..voxel_dose.radiobiology import Radiobiology
from ..voxel_dose.statistics import table_csv
from .case_budget import budget_csv
from .case_organs import organ_sources, read_region_masses_g, region_masses_csv
from .case_settings import Case, CaseFit
from .curves import ImageOptions, ScanFile, curves_from_files
from .dose import DoseOptions, DoseResult, compute_dose, read_regions
from .fits import fit_curves, read_measured_curves
from .organ_dose import compute_organ_doses
from .tia import tia_from_files

SCAN_TIME_TOLERANCE_H = 0.5
"""How far a scan's own time may lie from the hours given: preparation and the length of the scan itself."""

FIT_FIGURE = "curves_{}.svg"
"""Names of the figures of the fits, which stand one below the other."""

Step = Callable[[Case, Path, Progress | None], list[Path]]
"""Writes into the results folder and returns its files."""


def masses_step(case: Case, results: Path, progress: Progress | None) -> list[Path]:
    """Volume and mass of each region, from the CT on the grid of the labels: `masses/masses.csv`."""
    ct = read_volume(case.ct, Quantity.CT_NUMBER)
    labels = case.regions.labels
    is_image = labels.suffix.lower() not in (".dcm", ".dicom", ".ima")
    geometry = read_label_map(labels, case.regions.label_names).geometry if is_image else ct.geometry
    regions, _ = read_regions(labels, case.regions.label_names, geometry, case.regions.expressions)
    conversion = schneider_2000().with_clamped_hu() if case.dose.clamp_hu else None
    media = segment_media(resample_ct(ct, geometry), conversion, None)
    record = Record(
        "masses of regions from the CT",
        parameters=dict(media.record.parameters),
        inputs={"ct": dict(ct.record.inputs), "labels": file_identity(labels)},
        datasets=dict(media.record.datasets),
        warnings=media.warnings,
    )
    path = results / "masses" / "masses.csv"
    text = region_masses_csv(regions, media.density_kji, geometry.voxel_volume_ml)
    return _written({path: ("volumes and masses of regions", text, record)})


def curves_step(case: Case, results: Path, progress: Progress | None) -> list[Path]:
    """Time-activity curves of the regions: `curves/curves.csv`."""
    regions = case.regions
    recovery = None if regions.recovery is None else read_recovery(regions.recovery, regions.recovery_method)
    options = CurveOptions(
        administered_bq=_administered_bq(case),
        remainder=regions.remainder,
        body=regions.body,
        recovery=recovery,
        calibration_relative_std=regions.calibration_std_percent / 100.0,
        volume_relative_std=regions.volume_std_percent / 100.0,
    )
    only = [*regions.only, *([regions.body] if regions.only and regions.body else [])]
    found = curves_from_files(
        _scans(case), case.nuclide, regions.label_names, regions.expressions, _images(case), options, progress, only
    )
    if case.images.check_times:
        _require_matching_times(case, found.scans)
    text = curves_csv(found.curves, options.administered_bq)
    return _written({results / "curves" / "curves.csv": ("time-activity curves", text, found.record)})


def fits_step(case: Case, results: Path, progress: Progress | None) -> list[Path]:
    """Fits, residence times, uncertainties and figures: `fits/fits.json`, `fits/residence_times.csv`, …"""
    from ..report.figure_style import save_figure
    from ..report.time_activity import time_activity_rows

    nuclide = Radionuclide(case.nuclide)
    curves = read_measured_curves(results / "curves" / "curves.csv", nuclide)
    unknown = sorted(set(case.fit.regions) - {curve.region for curve in curves})
    if unknown:
        known = ", ".join(curve.region for curve in curves)
        raise InputError(f"[fit.regions] names {', '.join(unknown)}, which has no curve; the curves are of {known}.")
    fits = _fit_all(case.fit, curves, nuclide, _administered_bq(case), progress)
    folder = results / "fits"
    folder.mkdir(exist_ok=True)
    rows = time_activity_rows(curves, fits)
    figures = [folder / FIT_FIGURE.format(number) for number in range(1, len(rows) + 1)]
    files = [folder / "fits.json", *figures]
    with OutputTransaction() as transaction:
        transaction.write_text(files[0], fits_json(fits))
        for path, figure in zip(figures, rows, strict=True):
            save_figure(figure, path, transaction)
        budget = folder / "uncertainty.csv"
        files += _add_table(transaction, budget, "uncertainty budget", budget_csv(fits), fits.record)
        if case.administered_mbq is not None:
            table = folder / "residence_times.csv"
            files += _add_table(transaction, table, "residence time", residence_times_csv(fits), fits.record)
    for path in set(folder.glob(FIT_FIGURE.format("*"))) - set(figures):
        path.unlink()  # of a run with more regions
    return files


def tia_step(case: Case, results: Path, progress: Progress | None) -> list[Path]:
    """Map of time-integrated activity with its uncertainty: `tia/tia.nrrd`."""
    method = case.tia_method
    options = TiaOptions(
        tail="physical" if case.tia.tail == "physical" else "fitted",
        start="constant" if case.tia.start == "constant" else "zero",
        noise_fraction=None if case.tia.noise_percent is None else case.tia.noise_percent / 100.0,
    )
    organs: dict[str, Any] = {}
    if method == "organ-shape":
        organs = {
            "fits": results / "fits" / "fits.json",
            "labels": case.regions.labels,
            "label_names": case.regions.label_names,
            "expressions": case.regions.expressions,
        }
    made = tia_from_files(
        _scans(case), case.nuclide, method, options, images=_images(case), progress=progress, **organs
    )
    models = QuantitativeVolume(made.model_map_kji, made.tia.geometry, Quantity.LABEL, None, made.record)
    return _written(
        {},
        {
            results / "tia" / "tia.nrrd": made.tia,
            results / "tia" / "uncertainty.nrrd": made.uncertainty,
            results / "tia" / "models.nrrd": models,
        },
    )


def dose_step(method: str) -> Step:
    """The step that computes the dose by a method: `dose/METHOD/dose.nrrd`, `table.csv`, `dvh.csv`."""

    def step(case: Case, results: Path, progress: Progress | None) -> list[Path]:
        ct = read_volume(case.ct, Quantity.CT_NUMBER)
        tia = read_volume(results / "tia" / "tia.nrrd")
        regions, label_record = case_regions(case, tia)
        radiobiology = case_radiobiology(case, results, [region.name for region in regions])
        options = dose_options(case, method)
        made = compute_dose(ct, tia, case.nuclide, method, regions, options, radiobiology or None, progress)
        record = made.record.with_inputs(labels=file_identity(case.regions.labels)).with_warnings(
            *label_record.warnings
        )
        return _write_dose(results / "dose" / method, made, record, bool(radiobiology))

    return step


def organ_dose_step(case: Case, results: Path, progress: Progress | None) -> list[Path]:
    """Organ doses: `organ_dose/organ_dose.csv`, `organ_dose/contributions.csv`."""
    asked = case.organ_dose
    fits = read_fits(results / "fits" / "fits.json")
    masses_g = read_region_masses_g(results / "masses" / "masses.csv")
    s_values = None if asked.s_values is None else read_s_value_table(asked.s_values, case.nuclide)
    sources = organ_sources(case, fits, masses_g, s_values)
    made = compute_organ_doses(
        sources.residence_times,
        case.nuclide,
        asked.phantom,
        sources.organ_masses_g or None,
        _administered_bq(case),
        s_values,
        asked.alpha_weight,
        lesion_masses_g=sources.lesion_masses_g,
        common_relative_std=case.regions.calibration_std_percent / 100.0,
    )
    # Of what the fits left the table, which unlike their file holds no time at which it was made.
    record = made.doses.record.with_inputs(residence_times=file_identity(results / "fits" / "residence_times.csv"))
    record = record.with_parameters(regions_of_organs=sources.regions_of_organs).with_warnings(*sources.warnings)
    folder = results / "organ_dose"
    effective = None if made.effective is None else effective_dose_values(made.effective)
    return _written(
        {
            folder / "organ_dose.csv": (
                "organ absorbed dose",
                organ_dose_csv(made.doses, made.alpha_weight, made.bed_gy),
                record.with_parameters(effective_dose=effective),
            ),
            folder / "contributions.csv": ("organ absorbed dose by source", contributions_csv(made.doses), record),
        }
    )


def dose_options(case: Case, method: str) -> DoseOptions:
    """Settings of a method, those it does not use at their defaults."""
    conversion = schneider_2000().with_clamped_hu() if case.dose.clamp_hu else None
    options = DoseOptions(conversion=conversion, body_mask=case.dose.body_mask)
    if method == "monte-carlo":
        percent = case.dose.target_uncertainty_percent
        options = replace(
            options,
            histories=case.dose.histories,
            target_uncertainty=None if percent is None else percent / 100.0,
            seed=case.dose.seed,
            device=case.dose.device,
        )
    elif method in LEARNED_METHODS:
        options = replace(options, model=case.dose.models.get(method), device=case.dose.device)
    return options


def case_regions(case: Case, grid_of: QuantitativeVolume) -> tuple[list[Region], Record]:
    """The regions of a case on the grid of a volume, and the record of their labels."""
    regions = case.regions
    return read_regions(regions.labels, regions.label_names, grid_of.geometry, regions.expressions)


def case_radiobiology(case: Case, results: Path, regions: Sequence[str]) -> dict[str, Radiobiology]:
    """Radiobiology of the regions that have one, half-lives from their fits where none is given.

    Raises
    ------
    InputError
        A region is unknown, or has neither a half-life nor a fit that tells one.
    """
    if not case.radiobiology:
        return {}
    fits = read_fits(results / "fits" / "fits.json")
    found = {}
    for name, asked in case.radiobiology.items():
        if name not in regions:
            raise InputError(f"[radiobiology] names {name}, which is no region; found {', '.join(regions)}.")
        half_life_s = fits[name].effective_half_life_s if name in fits else None
        if half_life_s is None and asked.effective_half_life_h is None:
            raise InputError(
                f"The fit of {name} tells no effective half-life for its BED; give effective_half_life_h in "
                f"[radiobiology.{name}]."
            )
        found[name] = asked.with_half_life_s(half_life_s or 0.0)
    return found


def first_scan_image(case: Case) -> QuantitativeVolume:
    """Activity concentration of the first scan, calibrated [Bq/mL]."""
    scan = replace(_scans(case)[0], labels=None)
    found = curves_from_files([scan], case.nuclide, images=_images(case), options=CurveOptions(whole_body=True))
    return found.scans[0].volume


def _scans(case: Case) -> list[ScanFile]:
    return [
        ScanFile(
            scan.image,
            None if scan.hours is None else scan.hours * SECONDS_PER_HOUR,
            scan.labels or case.regions.labels,
            scan.frame_duration_s,
        )
        for scan in case.scans
    ]


def _images(case: Case) -> ImageOptions:
    images = case.images
    timed_by_header = any(scan.hours is None for scan in case.scans)
    return ImageOptions(
        images.unit,
        images.bq_per_ml_per_count,
        images.bq_per_count_per_s,
        images.decay_corrected_to_administration,
        case.study.administered_on if timed_by_header else None,
    )


def _administered_bq(case: Case) -> float | None:
    return None if case.administered_mbq is None else case.administered_mbq * BECQUEREL_PER_MEGABECQUEREL


def _require_matching_times(case: Case, scans: Sequence[RegionScan]) -> None:
    """Refuse hours that the images' own times contradict."""
    timed = [
        (asked, scan.time_h, scan.volume.time)
        for asked, scan in zip(case.scans, scans, strict=True)
        if scan.volume.time is not None and asked.hours is not None
    ]
    administered = case.study.administered_on
    if not timed or case.images.decay_corrected_to_administration:
        return
    first, first_h, first_time = timed[0]
    naive = administered is not None and (administered.tzinfo is None) != (first_time.tzinfo is None)
    for asked, hours, time in timed:
        apart_h = (time - first_time).total_seconds() / SECONDS_PER_HOUR
        since, expected_h, found_h = f"after {first.image.name}", hours - first_h, apart_h
        if administered is not None and not naive:
            found_h = (time - administered).total_seconds() / SECONDS_PER_HOUR
            since, expected_h = "after the administration", hours
        if abs(found_h - expected_h) > SCAN_TIME_TOLERANCE_H:
            raise InputError(
                f"Case '{case.name}': the image {asked.image.name} says {time.isoformat()}, {found_h:.2f} h {since}, "
                f"but its hours say {expected_h:.2f} h. Give each scan its own time (check_times = false in [images] "
                "where the images' times were changed on purpose)."
            )


def _fit_all(
    asked: CaseFit,
    curves: Sequence[TimeActivityCurve],
    nuclide: Radionuclide,
    administered_bq: float | None,
    progress: Progress | None,
) -> FitSet:
    """Fits of all curves, those with settings of their own one by one."""
    sets = []
    for number, curve in enumerate(curves):
        own = asked.regions.get(curve.region)
        half_life_h = asked.effective_half_life_h
        if own is not None and own.effective_half_life_h is not None:
            half_life_h = own.effective_half_life_h
        sets.append(
            fit_curves(
                [curve],
                nuclide,
                asked.model if own is None or own.model is None else own.model,
                None if half_life_h is None else half_life_h * SECONDS_PER_HOUR,
                asked.tail if own is None or own.tail is None else own.tail,
                administered_bq,
                PartialProgress(progress, number / len(curves), (number + 1) / len(curves)),
            )
        )
    first = sets[0].record
    record = first.with_parameters(
        model=asked.model, effective_half_life_s=None, models_of_regions={s: vars(f) for s, f in asked.regions.items()}
    ).with_warnings(*(warning for each in sets for warning in each.record.warnings))
    return FitSet(nuclide.name, {r: fit for each in sets for r, fit in each.items()}, administered_bq, record)


def _write_dose(folder: Path, made: DoseResult, record: Record, with_radiobiology: bool) -> list[Path]:
    """Dose map, uncertainty, region table and histograms, all with the same record."""
    made = made.with_record(record)
    histograms = dvh_csv([dvh(made.dose, region) for region in made.regions])
    return _written(
        {
            folder / "table.csv": ("region dose statistics", table_csv(made.table, with_radiobiology), record),
            folder / "dvh.csv": ("dose-volume histogram", histograms, record),
        },
        {folder / "dose.nrrd": made.dose, folder / "uncertainty.nrrd": made.uncertainty},
    )


def _written(
    tables: Mapping[Path, tuple[str, str, Record]],
    volumes: Mapping[Path, QuantitativeVolume | None] | None = None,
) -> list[Path]:
    """Write tables and volumes, with their records, in one transaction."""
    files: list[Path] = []
    present = {path: volume for path, volume in (volumes or {}).items() if volume is not None}
    for path in (*tables, *present):
        path.parent.mkdir(parents=True, exist_ok=True)
    with OutputTransaction() as transaction:
        for path, volume in present.items():
            write_volume(volume, path, transaction)
            files += [path, sidecar_path(path)]
        for path, (quantity, text, record) in tables.items():
            files += _add_table(transaction, path, quantity, text, record)
    return files


def _add_table(transaction: OutputTransaction, path: Path, quantity: str, text: str, record: Record) -> list[Path]:
    """A CSV and its record."""
    write_table(transaction, path, text, quantity, record, time=None)
    return [path, sidecar_path(path)]
