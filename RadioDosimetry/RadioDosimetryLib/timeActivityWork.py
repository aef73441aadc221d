# ruff: noqa: N802, N815, N999 (camelCase, as everywhere in Slicer)
"""What TimeActivityFit computes, from core values to core values: no node is touched, so that it may run in a thread.

Each function joins core functions the way the panel and the console need them; the numbers are the core's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import Region
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.organ_dose import ResidenceTime, SValueTable
    from radiodosimetry.progress import Progress
    from radiodosimetry.time_activity import FitSet, TimeActivityCurve
    from radiodosimetry.time_activity.voxelwise import TiaMap
    from radiodosimetry.workflows.organ_dose import OrganDoseResult

NO_ORGANS = ("whole_body", "voided")
"""Curves that are no source organ: all of the body is counted in its organs and remainder already."""

PATIENT = "patient"
"""S-values of the patient's own CT in the place of a phantom's."""


MANY_GRIDS_WARNING = (
    "One segmentation serves scans on different grids: they must be registered to each other, which nothing checks."
)

LESION = "lesion"
"""In the place of an organ: a sphere of the region's mass, which gives no dose to organs and gets none from them."""


@dataclass(frozen=True, eq=False)
class TimedVolume:
    """A scan as core values.

    Attributes
    ----------
    name
        Name of its node, for messages.
    timeHours
        Time after injection [h].
    volume
        Activity concentration [Bq/mL] as the image says it.
    regions
        Regions on its grid.
    """

    name: str
    timeHours: float
    volume: QuantitativeVolume
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True)
class MeasurementOptions:
    """How curves are measured; the names of the core with the units of the panel.

    Attributes
    ----------
    nuclide
        Name of the radionuclide.
    administeredActivityMBq
        Administered activity [MBq]; None if not known.
    correctedToInjection
        The images are decay-corrected to the injection.
    remainder, wholeBody
        Add these curves.
    body
        Name of the segment that is the body; the whole scan if None.
    recoveryFile
        CSV of recovery coefficients by volume.
    calibrationUncertaintyPercent, volumeUncertaintyPercent
        Relative standard uncertainties of calibration and of the regions' volumes [%].
    """

    nuclide: str = "Lu-177"
    administeredActivityMBq: float | None = None
    correctedToInjection: bool = False
    remainder: bool = False
    wholeBody: bool = False
    body: str | None = None
    recoveryFile: str | None = None
    calibrationUncertaintyPercent: float = 0.0
    volumeUncertaintyPercent: float = 0.0

    @property
    def administeredBq(self) -> float | None:
        """Administered activity [Bq]."""
        return None if self.administeredActivityMBq is None else self.administeredActivityMBq * 1e6


@dataclass(frozen=True)
class FitOptions:
    """How curves are fitted.

    Attributes
    ----------
    model
        Model of the regions that `models` does not name; see `radiodosimetry.time_activity.FIT_MODELS`.
    models
        Region to its model.
    effectiveHalfLifeHours
        For the single-time-point methods and the tail of trapezoids [h]; None if not known.
    tail
        Tail of trapezoids; the core's default if None.
    """

    model: str = "auto"
    models: Mapping[str, str] = field(default_factory=dict)
    effectiveHalfLifeHours: float | None = None
    tail: str | None = None


def regionScans(scans: Sequence[TimedVolume], options: MeasurementOptions) -> list[Any]:
    """Each scan brought to the activity present at its time; errors name the scan.

    Raises
    ------
    InputError
        A time is missing or lies before the injection, or a decay correction would be made twice.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.time_activity.acquisition_times import ImageTiming, region_scan
    from radiodosimetry.units import SECONDS_PER_HOUR

    rate = Radionuclide(options.nuclide).decay_constant_per_s
    found = []
    for scan in scans:
        timing = ImageTiming(
            time_s=scan.timeHours * SECONDS_PER_HOUR, corrected_to_administration=options.correctedToInjection
        )
        try:
            found.append(region_scan(scan.volume, scan.regions, rate, timing, scan.name))
        except InputError as error:
            if scan.name in str(error):
                raise
            raise type(error)(f"Scan {scan.name}: {error}") from error
    return found


def measuredCurves(
    scans: Sequence[TimedVolume], options: MeasurementOptions, progress: Progress | None = None
) -> list[TimeActivityCurve]:
    """Time-activity curves of the regions of serial scans.

    Raises
    ------
    RadioDosimetryError
        As `radiodosimetry.time_activity.curves_from_volumes` and `read_recovery`.
    """
    from pathlib import Path

    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.time_activity import CurveOptions, curves_from_volumes
    from radiodosimetry.time_activity.curve_quantities import uptake_warnings
    from radiodosimetry.time_activity.recovery import read_recovery

    rate = Radionuclide(options.nuclide).decay_constant_per_s
    settings = CurveOptions(
        decay_constant_per_s=rate,
        administered_bq=options.administeredBq,
        remainder=options.remainder,
        whole_body=options.wholeBody,
        body=options.body,
        recovery=None if options.recoveryFile is None else read_recovery(Path(options.recoveryFile)),
        calibration_relative_std=options.calibrationUncertaintyPercent / 100.0,
        volume_relative_std=options.volumeUncertaintyPercent / 100.0,
    )
    curves = curves_from_volumes(regionScans(scans, options), settings, progress)
    uptake = uptake_warnings(curves, options.administeredBq, rate)
    own = {region.name for scan in scans for region in scan.regions} if _onManyGrids(scans) else set()
    warnings = {
        curve.region: [*([uptake[curve.region]] if curve.region in uptake else []),
                       *([MANY_GRIDS_WARNING] if curve.region in own else [])]
        for curve in curves
    }  # fmt: skip
    return [curve.with_warnings(*warnings[curve.region]) if warnings[curve.region] else curve for curve in curves]


def _onManyGrids(scans: Sequence[TimedVolume]) -> bool:
    return any(not scan.volume.geometry.same_grid(scans[0].volume.geometry) for scan in scans)


def fittedCurves(
    curves: Sequence[TimeActivityCurve],
    nuclide: str,
    options: FitOptions,
    administeredBq: float | None,
    progress: Progress | None = None,
) -> FitSet:
    """Fits of all curves, each by its own model.

    Raises
    ------
    InputError
        A model is named for a region that is not there, or as `radiodosimetry.workflows.fits.fit_curves`.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.progress import PartialProgress
    from radiodosimetry.time_activity import FitSet
    from radiodosimetry.units import SECONDS_PER_HOUR
    from radiodosimetry.workflows.fits import fit_curves

    regions = [curve.region for curve in curves]
    unknown = sorted(set(options.models) - set(regions))
    if unknown:
        raise InputError(
            f"A model is given for {', '.join(unknown)}, found curves of {', '.join(regions)}; correct it."
        )
    hours = options.effectiveHalfLifeHours
    halfLife = None if hours is None else hours * SECONDS_PER_HOUR
    chosen = {region: options.models.get(region, options.model) for region in regions}
    groups = {model: [curve for curve in curves if chosen[curve.region] == model] for model in chosen.values()}
    sets = []
    for number, (model, group) in enumerate(groups.items()):
        part = PartialProgress(progress, number / len(groups), (number + 1) / len(groups))
        tail = options.tail if model == "trapezoid" else None
        sets.append(fit_curves(group, nuclide, model, halfLife, tail, administeredBq, part))
    if len(sets) < 2:
        return sets[0] if sets else fit_curves(curves, nuclide, options.model)
    fits = {region: fit for one in sets for region, fit in one.fits.items()}
    record = (
        sets[0]
        .record.with_parameters(model=chosen)
        .with_warnings(*(warning for one in sets[1:] for warning in one.record.warnings))
    )
    return FitSet(sets[0].nuclide, {region: fits[region] for region in regions}, administeredBq, record)


def residenceTimesOfOrgans(
    fitSet: FitSet, organs: Mapping[str, str], own: bool = False
) -> tuple[dict[str, ResidenceTime], list[str]]:
    """Residence times of source organs, those of several regions of one organ added.

    Parameters
    ----------
    fitSet
        Fits with the administered activity.
    organs
        Region to organ, or `LESION`; regions without one are left out, and a warning says so.
    own
        Every region is its own organ, as with S-values of the patient; `organs` is left aside.

    Returns
    -------
    tuple
        Organ to residence time, and warnings. Uncertainties add up in quadrature, but for the part that all points of
        a region share (calibration, recovery), which is taken as common to the regions of an organ too.
    """
    from radiodosimetry.organ_dose import ResidenceTime
    from radiodosimetry.organ_dose.organ_names import REMAINDER, plain_name
    from radiodosimetry.workflows.theranostics import residence_times_of_fits

    times, warnings = residence_times_of_fits(fitSet, fitSet.nuclide)
    grouped: dict[str, list[str]] = {}
    for region in times:
        if region in NO_ORGANS:
            continue
        organ = REMAINDER if region == REMAINDER else organs.get(region)
        if region != REMAINDER and (own or organ == LESION):
            organ = plain_name(region)
        if organ:
            grouped.setdefault(organ, []).append(region)
        else:
            warnings.append(f"{region} has no organ of the phantom: its activity gives no dose in this table.")
    found = {}
    for organ, regions in grouped.items():
        if len(regions) == 1:
            found[organ] = times[regions[0]]
            continue
        common = {region: fitSet[region].common_relative_std * times[region].value_s for region in regions}
        square = sum(max(times[region].std_s ** 2 - common[region] ** 2, 0.0) for region in regions)
        std = math.sqrt(square + sum(common.values()) ** 2)
        found[organ] = ResidenceTime(sum(times[region].value_s for region in regions), std)
    return found, warnings


@dataclass(frozen=True, eq=False)
class PatientInput:
    """What S-values of a patient are computed from: CT, regions on a grid, histories per region, "cpu" or "cuda"."""

    ct: QuantitativeVolume
    regions: tuple[Region, ...]
    geometry: VolumeGeometry
    histories: int
    device: str = "cpu"
    seed: int = 1


def organDosesOf(
    fitSet: FitSet,
    organs: Mapping[str, str],
    phantom: str | None,
    massesFile: str | None = None,
    patient: PatientInput | None = None,
    lesionMassesG: Mapping[str, float] | None = None,
    progress: Progress | None = None,
) -> OrganDoseResult:
    """Organ doses of the fits: with a phantom's S-values, or with those of the patient's own CT.

    Parameters
    ----------
    fitSet
        Fits with the administered activity.
    organs
        Region to organ of the phantom.
    phantom
        "adult-male" or "adult-female"; None with `patient`.
    massesFile
        CSV `organ,mass_g` of the patient's organs, to scale the phantom's S-values to.
    patient
        What S-values of the patient are computed from.
    lesionMassesG
        Masses of the regions that are `LESION` [g]; see `lesionMasses`.
    progress
        Told the share of the work done.

    Raises
    ------
    InputError
        There is no region with an organ, a lesion has no mass, or as
        `radiodosimetry.workflows.organ_dose.compute_organ_doses`.
    """
    from pathlib import Path

    from radiodosimetry.errors import InputError
    from radiodosimetry.organ_dose import read_organ_masses_g
    from radiodosimetry.progress import report_progress
    from radiodosimetry.workflows.organ_dose import compute_organ_doses

    times, warnings = residenceTimesOfOrgans(fitSet, organs, own=patient is not None)
    if not times:
        raise InputError("No region has an organ of the phantom; choose the organ of at least one region.")
    masses = None if massesFile is None else read_organ_masses_g(Path(massesFile))
    table = None if patient is None else _patientTable(patient, fitSet.nuclide, list(times), progress)
    lesions = {} if patient is not None else _massesOfLesions(fitSet, organs, lesionMassesG or {})
    result = compute_organ_doses(
        times, fitSet.nuclide, phantom, masses, fitSet.administered_bq, table, lesion_masses_g=lesions
    )
    report_progress(progress, 1.0, "Organ doses done")
    return replace(result, doses=replace(result.doses, record=result.doses.record.with_warnings(*warnings)))


def lesionMasses(curves: Sequence[TimeActivityCurve]) -> dict[str, float]:
    """Mass of every region, should it be a lesion: its mean volume times the density of the core's soft tissue [g]."""
    from radiodosimetry.media.catalogue import named_material
    from radiodosimetry.organ_dose.spheres import DEFAULT_TISSUE

    density = named_material(DEFAULT_TISSUE).density_g_per_cm3
    return {
        curve.region: float(curve.volume_ml.mean()) * density
        for curve in curves
        if curve.volume_ml is not None
    }


def _massesOfLesions(
    fitSet: FitSet, organs: Mapping[str, str], massesG: Mapping[str, float]
) -> dict[str, float]:
    from radiodosimetry.errors import InputError
    from radiodosimetry.organ_dose.organ_names import plain_name

    lesions = [region for region in fitSet if organs.get(region) == LESION]
    missing = [region for region in lesions if region not in massesG]
    if missing:
        raise InputError(f"The mass of the lesion {', '.join(missing)} is not known; give it, or another organ.")
    return {plain_name(region): massesG[region] for region in lesions}


def _patientTable(
    patient: PatientInput, nuclide: str, sources: Sequence[str], progress: Progress | None
) -> SValueTable:
    from radiodosimetry.organ_dose import patient_s_values
    from radiodosimetry.organ_dose.organ_names import REMAINDER

    return patient_s_values(
        patient.ct,
        patient.regions,
        nuclide,
        patient.histories,
        patient.seed,
        progress,
        geometry=patient.geometry,
        remainder=REMAINDER in sources,
        sources=sources,
        device=patient.device,
    )


def tiaMapOf(
    scans: Sequence[TimedVolume],
    options: MeasurementOptions,
    method: str,
    referenceScan: int = 0,
    noisePercent: float | None = None,
    regions: Sequence[Region] = (),
    fits: FitSet | None = None,
    progress: Progress | None = None,
) -> TiaMap:
    """Time-integrated activity of every voxel, on the grid of the reference scan.

    Parameters
    ----------
    scans
        Registered scans by rising time.
    options
        Nuclide and decay correction; the rest is left aside.
    method
        One of `radiodosimetry.time_activity.voxelwise.TIA_METHODS`.
    referenceScan
        Index of the scan on whose grid the map lies.
    noisePercent
        Relative standard deviation of one voxel in one scan [%]; told from the residuals if None.
    regions, fits
        For `organ-shape`: regions on the grid of the reference scan, and the fits of their curves.
    progress
        Told the share of the work done.

    Raises
    ------
    RadioDosimetryError
        As `radiodosimetry.time_activity.voxelwise.tia_map`.
    """
    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.time_activity.voxelwise import TiaOptions, tia_map

    nuclide = Radionuclide(options.nuclide)
    settings = TiaOptions(
        reference_scan=referenceScan, noise_fraction=None if noisePercent is None else noisePercent / 100.0
    )
    series = regionScans([replace(scan, regions=()) for scan in scans], options)
    made = tia_map(series, nuclide.decay_constant_per_s, method, settings, regions, fits or {}, progress)
    record = replace(made.record.with_parameters(nuclide=nuclide.name), datasets={"decay data": nuclide.dataset})
    uncertainty = made.uncertainty
    if uncertainty is not None:
        uncertainty = uncertainty.with_array(uncertainty.array_kji, record=record)
    return replace(
        made, tia=made.tia.with_array(made.tia.array_kji, record=record), uncertainty=uncertainty, record=record
    )
