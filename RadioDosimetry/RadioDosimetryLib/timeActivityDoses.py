"""Organ doses of fits in TimeActivityFit, from core values to core values: whose S-values, which organs, which BED."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .timeActivityRadiobiology import BedOptions, radiobiologyOf, tissueValues

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import Region
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.organ_dose import ResidenceTime, SValueTable
    from radiodosimetry.progress import Progress
    from radiodosimetry.time_activity import FitSet, TimeActivityCurve
    from radiodosimetry.workflows.organ_dose import OrganDoseResult

NO_ORGANS = ("whole_body", "voided")
"""Curves that are no source organ: all of the body is counted in its organs and remainder already."""

PATIENT, FILE = "patient", "file"
"""S-values of the patient's own CT, or of a user's file, in the place of a phantom's."""

LESION = "lesion"
"""In the place of an organ: a sphere of the region's mass, which gives no dose to organs and gets none from them."""


@dataclass(frozen=True, eq=False)
class PatientInput:
    """What S-values of a patient are computed from: CT, regions on a grid, histories per region, "cpu" or "cuda"."""

    ct: QuantitativeVolume
    regions: tuple[Region, ...]
    geometry: VolumeGeometry
    histories: int
    device: str = "cpu"
    seed: int = 1


@dataclass(frozen=True, eq=False)
class DoseOptions:
    """How organ doses are computed.

    Attributes
    ----------
    organs
        Region to its source organ, or `LESION`.
    phantom
        "adult-male" or "adult-female"; None with one of the next two.
    patient
        What S-values of the patient are computed from.
    sValuesFile, sValuesUnit
        A user's S-values, and the unit of a matrix that does not state it; see
        `radiodosimetry.organ_dose.importers.read_s_value_table`.
    massesFile
        CSV `organ,mass_g` of the patient's organs, to scale the phantom's S-values to.
    lesionMassesG
        Masses of the regions that are `LESION` [g]; see `lesionMasses`.
    bed
        How biologically effective doses are computed; None computes none.
    """

    organs: Mapping[str, str] = field(default_factory=dict)
    phantom: str | None = None
    patient: PatientInput | None = None
    sValuesFile: str | None = None
    sValuesUnit: str | None = None
    massesFile: str | None = None
    lesionMassesG: Mapping[str, float] = field(default_factory=dict)
    bed: BedOptions | None = None


def organDosesOf(fitSet: FitSet, options: DoseOptions, progress: Progress | None = None) -> OrganDoseResult:
    """Organ doses of the fits: with the S-values of a phantom, of the patient's own CT, or of a file.

    Parameters
    ----------
    fitSet
        Fits with the administered activity.
    options
        Organs, S-values, masses and radiobiology.
    progress
        Told the share of the work done.

    Raises
    ------
    InputError
        There is no region with an organ, a lesion has no mass, or as
        `radiodosimetry.workflows.organ_dose.compute_organ_doses`, `read_s_value_table` and `radiobiologyOf`.
    """
    from pathlib import Path

    from radiodosimetry.errors import InputError
    from radiodosimetry.organ_dose import read_organ_masses_g
    from radiodosimetry.progress import report_progress
    from radiodosimetry.workflows.organ_dose import compute_organ_doses

    isPatient = options.patient is not None
    regionsOf, warnings = regionsOfOrgans(fitSet, options.organs, own=isPatient)
    times, doubts = residenceTimesOfOrgans(fitSet, regionsOf)
    if not times:
        raise InputError("No region has an organ of the S-values; choose the organ of at least one region.")
    masses = None if options.massesFile is None else read_organ_masses_g(Path(options.massesFile))
    table = _sValueTable(options, fitSet.nuclide, list(times), progress)
    lesions = {} if isPatient else _massesOfLesions(fitSet, options.organs, options.lesionMassesG)
    tissues = None
    if options.bed is not None:
        targets = _targetsOf(table, lesions)
        tissues, bedWarnings = radiobiologyOf(fitSet, regionsOf, targets, _lesionsOf(options), options.bed)
        warnings += bedWarnings
    result = compute_organ_doses(
        times,
        fitSet.nuclide,
        options.phantom if table is None else None,
        masses,
        fitSet.administered_bq,
        table,
        radiobiology=tissues,
        lesion_masses_g=lesions,
    )
    report_progress(progress, 1.0, "Organ doses done")
    record = result.doses.record.with_warnings(*doubts, *warnings)
    if tissues:
        record = record.with_parameters(radiobiology=tissueValues(tissues))
    return replace(result, doses=replace(result.doses, record=record))


def regionsOfOrgans(
    fitSet: FitSet, organs: Mapping[str, str], own: bool = False
) -> tuple[dict[str, list[str]], list[str]]:
    """Which regions make up each source organ.

    Parameters
    ----------
    fitSet
        Fits of the regions.
    organs
        Region to organ, or `LESION`; regions without one are left out, and a warning says so.
    own
        Every region is its own organ, as with S-values of the patient; `organs` is left aside.

    Returns
    -------
    tuple
        Organ to its regions, and warnings.
    """
    from radiodosimetry.organ_dose.organ_names import REMAINDER, plain_name

    grouped: dict[str, list[str]] = {}
    warnings = []
    for region in fitSet:
        if region in NO_ORGANS:
            continue
        organ = REMAINDER if region == REMAINDER else organs.get(region)
        if region != REMAINDER and (own or organ == LESION):
            organ = plain_name(region)
        if organ:
            grouped.setdefault(organ, []).append(region)
        else:
            warnings.append(f"{region} has no organ of the S-values: its activity gives no dose in this table.")
    return grouped, warnings


def residenceTimesOfOrgans(
    fitSet: FitSet, regionsOf: Mapping[str, Sequence[str]]
) -> tuple[dict[str, ResidenceTime], list[str]]:
    """Residence times of source organs, those of several regions of one organ added.

    Returns
    -------
    tuple
        Organ to residence time, and warnings. Uncertainties add up in quadrature, but for the part that the points of a
        region share (calibration, recovery, synthesis), which is taken as common to the regions of an organ too.
    """
    from radiodosimetry.organ_dose import ResidenceTime
    from radiodosimetry.workflows.theranostics import residence_times_of_fits

    times, warnings = residence_times_of_fits(fitSet, fitSet.nuclide)
    found = {}
    for organ, regions in regionsOf.items():
        if len(regions) == 1:
            found[organ] = times[regions[0]]
            continue
        common = {region: fitSet[region].common_relative_std * times[region].value_s for region in regions}
        square = sum(max(times[region].std_s ** 2 - common[region] ** 2, 0.0) for region in regions)
        std = math.sqrt(square + sum(common.values()) ** 2)
        found[organ] = ResidenceTime(sum(times[region].value_s for region in regions), std)
    return found, warnings


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


def sourcesOfFile(path: str, nuclide: str, unit: str | None = None) -> tuple[str, ...]:
    """Source organs of a user's S-values.

    Raises
    ------
    RadioDosimetryError
        The file cannot be used.
    """
    from pathlib import Path

    from radiodosimetry.organ_dose.importers import read_s_value_table

    return read_s_value_table(Path(path), nuclide, unit or None).sources


def _sValueTable(
    options: DoseOptions, nuclide: str, sources: Sequence[str], progress: Progress | None
) -> SValueTable | None:
    """S-values that take the place of a phantom's; None for a phantom's."""
    from pathlib import Path

    if options.patient is not None:
        return _patientTable(options.patient, nuclide, sources, progress)
    if options.sValuesFile is None:
        return None
    from radiodosimetry.organ_dose.importers import read_s_value_table

    return read_s_value_table(Path(options.sValuesFile), nuclide, options.sValuesUnit or None)


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


def _targetsOf(table: SValueTable | None, lesions: Mapping[str, float]) -> tuple[str, ...]:
    """What gets a dose: targets of the S-values, and lesions."""
    from radiodosimetry.organ_dose.organ_names import STYLISED_TARGETS

    return (*(STYLISED_TARGETS if table is None else table.targets), *lesions)


def _lesionsOf(options: DoseOptions) -> set[str]:
    """Targets that are lesions; with S-values of the patient a lesion is a target under its own name."""
    from radiodosimetry.organ_dose.organ_names import plain_name

    return {plain_name(region) for region, organ in options.organs.items() if organ == LESION}


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
