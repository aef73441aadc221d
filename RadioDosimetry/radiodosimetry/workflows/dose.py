"""Dose by any method: from a CT and an activity image to a dose map, its uncertainty and its region table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError, UnitError
from ..images.activity import without_negative_activity
from ..images.body import without_surroundings
from ..images.coverage import CtCoverage, ct_coverage
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap, Region, evaluate_expression, read_label_map, regions_of
from ..images.resampling import resample_ct, resample_labels
from ..images.volume import QuantitativeVolume
from ..learned_dose.shipped import LEARNED_METHODS, model_of
from ..media import DensityBands, MediaMap, SchneiderConversion, segment_media
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import Quantity
from ..voxel_dose.convolution import density_scaled, local_deposition, multiple_vsv, single_vsv
from ..voxel_dose.convolution_settings import AIR_DENSITY_G_PER_CM3, ConvolutionOptions
from ..voxel_dose.radiobiology import Radiobiology
from ..voxel_dose.sources import EmissionSource
from ..voxel_dose.statistics import RegionDose, radiobiology_warnings, region_statistics, require_usable_regions

if TYPE_CHECKING:
    from ..transport.voxels import TransportSettings

DOSE_METHODS = ("local", "single-vsv", "density-scaled", "multiple-vsv", "monte-carlo", *LEARNED_METHODS)
"""Methods by rising faithfulness to the patient, and those that a network learned."""

DEFAULT_METHOD = "multiple-vsv"

AIR_ACTIVITY_WARNING = 0.01
"""Share of the activity in air voxels beyond which the record warns: it leaves no dose in its own voxel."""

DEFAULT_HISTORIES = 2_000_000
"""Histories of a Monte Carlo run where neither histories nor a target uncertainty are asked for."""


@dataclass(frozen=True)
class DoseOptions:
    """How dose is computed; what a method does not use is ignored.

    Attributes
    ----------
    convolution
        Settings of the convolution methods.
    histories
        Monte Carlo: number of histories, `DEFAULT_HISTORIES` if None.
    target_uncertainty
        Monte Carlo: go on until the largest relative standard uncertainty of a region's mean is below this.
    seed
        Monte Carlo: names the random numbers.
    device
        Monte Carlo and learned methods: "cpu" or "cuda".
    secondaries
        Monte Carlo: whether electrons set free by photons are followed ("transported", by analog scoring) or give
        their energy where they arise ("local", by the much faster track length).
    conversion
        CT calibration; Schneider et al. 2000 if None.
    bands
        Density bands of `multiple-vsv`.
    body_mask
        Whether what lies outside the body on the CT (couch, blankets) counts as air and gets no dose.
    model
        Learned methods: file of the model; the one that comes with RadioDosimetry if None.
    """

    convolution: ConvolutionOptions = field(default_factory=ConvolutionOptions)
    histories: int | None = None
    target_uncertainty: float | None = None
    seed: int = 1
    device: str = "cpu"
    secondaries: str = "local"
    conversion: SchneiderConversion | None = None
    bands: DensityBands = field(default_factory=DensityBands)
    body_mask: bool = False
    model: Path | None = None

    def __post_init__(self) -> None:
        if self.histories is not None and self.target_uncertainty is not None:
            raise InputError("Give either a number of histories or a target uncertainty, not both.")


@dataclass(frozen=True, eq=False)
class DoseResult:
    """A dose map with what is known about it.

    Attributes
    ----------
    dose
        Absorbed dose [Gy] on the grid of the activity.
    uncertainty
        Relative standard uncertainty per voxel, None for methods that state none.
    table
        Dose statistics of each region.
    regions
        The regions, on the grid of the dose.
    media
        Density and medium of every voxel.
    record
        How the result came to be; also the dose's.
    """

    dose: QuantitativeVolume
    uncertainty: QuantitativeVolume | None
    table: tuple[RegionDose, ...]
    regions: tuple[Region, ...]
    media: MediaMap
    record: Record

    def with_record(self, record: Record) -> DoseResult:
        """The same result under another record."""
        uncertainty = None if self.uncertainty is None else self.uncertainty.with_record(record)
        return replace(self, dose=self.dose.with_record(record), uncertainty=uncertainty, record=record)


def compute_dose(
    ct: QuantitativeVolume,
    tia: QuantitativeVolume,
    nuclide: Radionuclide | str,
    method: str = DEFAULT_METHOD,
    regions: Sequence[Region] = (),
    options: DoseOptions | None = None,
    radiobiology: Mapping[str, Radiobiology] | None = None,
    progress: Progress | None = None,
) -> DoseResult:
    """Absorbed dose of a patient from CT and time-integrated activity.

    Parameters
    ----------
    ct
        CT numbers [HU], any grid that overlaps the activity; resampled onto it, with air where it does not reach.
    tia
        Time-integrated activity concentration [Bq s/mL]; its grid is the dose's. Negative noise is set to zero.
    nuclide
        The radionuclide, or its name; its short-lived progeny decays where it does.
    method
        One of `DOSE_METHODS`.
    regions
        Regions on the grid of `tia` (`regions_on_grid`); they may overlap.
    options
        Settings; see `DoseOptions`.
    radiobiology
        Region to its radiobiology, for EUD and BED.
    progress
        Told the share of the work done.

    Returns
    -------
    DoseResult
        Dose, uncertainty, region table and record.

    Raises
    ------
    InputError
        The method is unknown, or negative activity is more than reconstruction noise.
    UnitError
        `ct` is not a CT or `tia` not time-integrated activity.
    GeometryMismatchError
        CT and activity do not overlap or lie in different frames of reference, more than half of the activity lies
        outside the CT, or a region is on another grid.
    UnknownNuclideError, UnknownMediumError
        Nuclide or medium have no data.
    RegionError
        Two regions have the same name, one lies outside the CT, or radiobiology names an absent one.
    RadioDosimetryError
        Monte Carlo cannot reach the target uncertainty, or no energy reaches a region.
    FileFormatError, InputError
        The model of a learned method is absent or damaged, or does not hold for the nuclide.
    CancelledError
        The user cancelled.
    """
    options = options or DoseOptions()
    if method not in DOSE_METHODS:
        raise InputError(f"Method '{method}' is unknown; expected one of: {', '.join(DOSE_METHODS)}.")
    _require_quantities(ct, tia)
    require_usable_regions(tia.geometry.shape_kji, regions, radiobiology)
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    source = EmissionSource.from_nuclide(nuclide)
    model = model_of(method, options.model) if method in LEARNED_METHODS else None
    report_progress(progress, 0.0, "Media from the CT")
    tia = without_negative_activity(tia)
    bands = None if method == "monte-carlo" else options.bands
    ct_on_grid, body = resample_ct(ct, tia.geometry), None
    if options.body_mask:
        ct_on_grid, body = without_surroundings(ct_on_grid)
    media = segment_media(ct_on_grid, options.conversion, bands)
    coverage = ct_coverage(ct.geometry, tia, regions)
    tia = replace(tia, geometry=media.geometry)
    region_uncertainty: Mapping[str, float] = {}
    uncertainty = None
    work = PartialProgress(progress, 0.05, 0.95)
    if method == "monte-carlo":
        from ..voxel_dose.monte_carlo import monte_carlo_dose

        masks = {region.name: region.mask_kji for region in regions}
        simulated = monte_carlo_dose(tia, media, source, _transport_settings(options), masks, work)
        dose, uncertainty, region_uncertainty = simulated.dose, simulated.uncertainty, simulated.region_uncertainty
    elif model is not None:
        from ..learned_dose.prediction import learned_dose

        learned = learned_dose(
            model, ct_on_grid, media, tia, nuclide, kind=method, regions=regions, device=options.device, progress=work
        )
        dose, uncertainty, region_uncertainty = learned.dose, learned.uncertainty, learned.region_uncertainty
    elif method == "local":
        dose = local_deposition(tia, media, source)
    else:
        convolve = {"single-vsv": single_vsv, "density-scaled": density_scaled, "multiple-vsv": multiple_vsv}[method]
        dose = convolve(tia, media, source, options.convolution, work)
    report_progress(progress, 0.95, "Region statistics")
    record = _complete(dose.record, ct, tia, media, coverage, radiobiology or {})
    record = record.with_parameters(body_mask=options.body_mask)
    dose = dose.with_array(dose.array_kji if body is None else np.where(body, dose.array_kji, 0), record=record)
    if uncertainty is not None:
        uncertainty = uncertainty.with_record(record)
    table = region_statistics(dose, media.density_kji, regions, region_uncertainty, radiobiology)
    report_progress(progress, 1.0, "Dose done")
    return DoseResult(dose, uncertainty, tuple(table), tuple(regions), media, record)


def integrate_physical_decay(activity: QuantitativeVolume, nuclide: Radionuclide | str) -> QuantitativeVolume:
    """Time-integrated activity from scan time on if nothing but physical decay removes the nuclide: A/λ.

    Parameters
    ----------
    activity
        Activity concentration [Bq/mL] at scan time, not decay-corrected to injection.
    nuclide
        The radionuclide, or its name.

    Returns
    -------
    QuantitativeVolume
        Time-integrated activity concentration [Bq s/mL].

    Raises
    ------
    UnitError
        `activity` is not an activity concentration.
    UnknownNuclideError
        The nuclide is not in the dataset.
    """
    if activity.quantity is not Quantity.ACTIVITY_CONCENTRATION:
        raise UnitError(
            f"Only activity concentration [Bq/mL] is integrated over time, found {activity.quantity.value} "
            f"[{activity.unit}]; give time-integrated activity as such."
        )
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    record = activity.record.with_parameters(
        integration="physical decay from scan time on", half_life_s=nuclide.half_life_s
    ).with_warnings("Activity was integrated by physical decay alone: no clearance, nothing before the scan.")
    values = activity.array_kji.astype(np.float64) / nuclide.decay_constant_per_s
    return activity.with_array(values, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, record)


def regions_on_grid(
    label_map: LabelMap, geometry: VolumeGeometry, expressions: Mapping[str, str] = MappingProxyType({})
) -> list[Region]:
    """Regions of a label map on another grid, and those that expressions make of them.

    Raises
    ------
    GeometryMismatchError
        Labels and grid do not overlap or lie in different frames of reference.
    RegionError
        A region has no voxel, or an expression cannot be read.
    """
    return regions_of(_labels_on_grid(label_map, geometry), expressions)


def read_regions(
    path: Path,
    names_csv: Path | None,
    geometry: VolumeGeometry,
    expressions: Mapping[str, str] = MappingProxyType({}),
) -> tuple[list[Region], Record]:
    """Regions on a grid from a label image with its names, or from an RTSTRUCT or SEG file; and their record.

    The record of a label image that was resampled has the parameter `resampling`.

    Raises
    ------
    FileFormatError
        A file is missing or cannot be read.
    InputError
        A CSV of names is given for an RTSTRUCT or SEG, which holds its own.
    GeometryMismatchError, RegionError
        As `regions_on_grid`.
    """
    path = Path(path)
    if path.suffix.lower() not in (".dcm", ".dicom", ".ima"):
        label_map = _labels_on_grid(read_label_map(path, names_csv), geometry)
        return regions_of(label_map, expressions), label_map.record
    from ..images.dicom_regions import read_dicom_regions

    if names_csv is not None:
        raise InputError(
            f"Label names are given for {path.name}, but RTSTRUCT and SEG hold their own names; leave the CSV out."
        )
    found = read_dicom_regions(path, geometry)
    masks: dict[str, NDArray[np.bool_]] = {region.name: region.mask_kji for region in found}
    regions = list(found)
    for name, expression in expressions.items():
        if name in masks:
            raise RegionError(f"The name '{name}' of the region {expression} is taken; choose another.")
        regions.append(Region(name, evaluate_expression(expression, masks), expression))
        masks[name] = regions[-1].mask_kji
    return regions, found.record


def _labels_on_grid(label_map: LabelMap, geometry: VolumeGeometry) -> LabelMap:
    """The label map on the grid, with every region it had."""
    before = set(label_map.absent)
    resampled = resample_labels(label_map, geometry)
    vanished = [name for name in resampled.absent if name not in before]
    if vanished:
        raise RegionError(
            f"No voxel of the image belongs to: {', '.join(vanished)}. The region lies outside the image or is smaller "
            "than its voxels; leave it out."
        )
    return resampled


def _require_quantities(ct: QuantitativeVolume, tia: QuantitativeVolume) -> None:
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(f"The CT must hold CT numbers in HU, found {ct.quantity.value} [{ct.unit}].")
    if tia.quantity is not Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION:
        raise UnitError(
            f"Dose needs time-integrated activity [Bq s/mL], found {tia.quantity.value} [{tia.unit}]; "
            "integrate the activity over time first."
        )


def _transport_settings(options: DoseOptions) -> TransportSettings:
    from ..transport.voxels import TransportSettings

    chosen: Any = options.secondaries
    estimator: Any = "analog" if options.secondaries == "transported" else "track-length"
    return TransportSettings(
        histories=DEFAULT_HISTORIES if options.histories is None else options.histories,
        target_uncertainty=options.target_uncertainty,
        seed=options.seed,
        estimator=estimator,
        secondaries=chosen,
        device=options.device,
    )


def _complete(
    record: Record,
    ct: QuantitativeVolume,
    tia: QuantitativeVolume,
    media: MediaMap,
    coverage: CtCoverage,
    radiobiology: Mapping[str, Radiobiology],
) -> Record:
    """The method's record with inputs, data sets, and every warning collected on the way."""
    conversion = media.record.datasets
    return replace(
        record.with_parameters(
            radiobiology={name: vars(values) for name, values in radiobiology.items()} or None,
            time_integrated_activity=dict(tia.record.parameters),
            media=dict(media.record.parameters),
            activity_outside_ct_share=coverage.activity_outside_share,
        ),
        inputs={
            "ct": dict(ct.record.inputs),
            "activity": dict(tia.record.inputs),
            **({"model": record.inputs["model"]} if "model" in record.inputs else {}),
        },
        datasets={**record.datasets, **conversion},
    ).with_warnings(
        *tia.record.warnings,
        *ct.record.warnings,
        *media.warnings,
        *coverage.warnings,
        *_air_warning(tia, media, coverage),
        *radiobiology_warnings(radiobiology),
    )


def _air_warning(tia: QuantitativeVolume, media: MediaMap, coverage: CtCoverage) -> tuple[str, ...]:
    """Activity in air that the CT shows; what lies outside the CT has its own warning."""
    total = float(tia.array_kji.sum(dtype=np.float64))
    air = (media.density_kji < AIR_DENSITY_G_PER_CM3) & coverage.covered_kji
    in_air = float(tia.array_kji[air].sum(dtype=np.float64))
    if total <= 0 or in_air <= AIR_ACTIVITY_WARNING * total:
        return ()
    return (
        f"{100 * in_air / total:.1f} % of the activity lies in voxels of air (below {AIR_DENSITY_G_PER_CM3:g} g/cm³): "
        "check the registration of CT and activity.",
    )
