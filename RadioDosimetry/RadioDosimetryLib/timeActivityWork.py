"""What TimeActivityFit computes, from core values to core values: no node is touched, so that it may run in a thread.

Each function joins core functions the way the panel and the console need them; the numbers are the core's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radiodosimetry.images.regions import Region
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress
    from radiodosimetry.time_activity import FitSet, TimeActivityCurve
    from radiodosimetry.time_activity.voxelwise import TiaMap

MANY_GRIDS_WARNING = (
    "One segmentation serves scans on different grids: they must be registered to each other, which nothing checks."
)

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
    ownRegions
        The regions were drawn on this scan; else on the reference scan, for all that lie as it does.
    uncertainty
        Standard uncertainty of each voxel [Bq/mL] of a synthetic scan, on the grid of `volume`; None if not known.
    """

    name: str
    timeHours: float
    volume: QuantitativeVolume
    regions: tuple[Region, ...] = ()
    ownRegions: bool = False
    uncertainty: QuantitativeVolume | None = None


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
            found.append(region_scan(scan.volume, scan.regions, rate, timing, scan.name, scan.uncertainty))
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
        same_labels=not any(scan.ownRegions for scan in scans),
    )
    curves = curves_from_volumes(regionScans(scans, options), settings, progress)
    uptake = uptake_warnings(curves, options.administeredBq, rate)
    shared = [scan for scan in scans if not scan.ownRegions]
    own = {region.name for scan in shared for region in scan.regions} if _onManyGrids(shared) else set()
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
    return made.with_record(record)
