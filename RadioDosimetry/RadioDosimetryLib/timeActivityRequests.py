"""The choices of a parameter node as tasks: what the panel computes, without a widget."""

from __future__ import annotations

from dataclasses import replace

from .outputs import refuseInputAsOutput
from .segmentations import segmentNames
from .timeActivityChecks import leadingSegmentation, organDoseInputs, scanRows
from .timeActivityDoses import FILE, LESION, PATIENT, DoseOptions, lesionMasses
from .timeActivityKept import curvesFromTable, fitsFromTable
from .timeActivityRadiobiology import BedOptions, Tissue
from .timeActivityRegistration import registrationTask
from .timeActivityResults import organsByName
from .timeActivityScans import ImageUnits
from .timeActivitySeries import Series
from .timeActivityTasks import Task, measurementTask, organDoseTask, patientInput, tiaTask
from .timeActivityWork import FitOptions, MeasurementOptions


def seriesOf(parameters) -> Series:
    """The scans."""
    units = ImageUnits(parameters.imageUnit, parameters.calibrationBqPerMlPerCount or None)
    return Series(tuple(scanRows(parameters)), units, parameters.referenceScan)


def measurementOf(parameters) -> MeasurementOptions:
    """How curves are measured."""
    names = segmentNames(leadingSegmentation(parameters))
    return MeasurementOptions(
        parameters.nuclide,
        parameters.administeredActivityMBq or None,
        parameters.correctedToInjection,
        parameters.remainder,
        parameters.wholeBody,
        names.get(parameters.bodySegmentID) if parameters.remainder or parameters.wholeBody else None,
        parameters.recoveryFile or None,
        parameters.calibrationUncertaintyPercent,
        parameters.volumeUncertaintyPercent,
    )


def fitTask(parameters) -> Task:
    """Measure and fit."""
    series = seriesOf(parameters)
    names = segmentNames(series.leadingSegmentation(parameters.segmentation))
    options = measurementOf(parameters)
    wanted = [one for one in names if one not in parameters.excludedSegmentIDs or names[one] == options.body]
    if options.body is None:
        wanted = [one for one in wanted if one != parameters.bodySegmentID]
    models = {names[one]: model for one, model in parameters.segmentModels.items() if one in wanted}
    models.pop(options.body or "", None)
    fits = FitOptions(
        parameters.model.value, models, parameters.effectiveHalfLifeHours or None, parameters.tail.value or None
    )
    nodes = {
        "curves": parameters.curvesTable,
        "fits": parameters.fitsTable,
        "residenceTimes": parameters.residenceTimeTable,
    }
    if not wanted:
        series = replace(series, rows=tuple(replace(row, segmentation=None) for row in series.rows))
    segmentation = parameters.segmentation if wanted else None
    return measurementTask(series, segmentation, options, wanted, fits, nodes)


def mapTask(parameters) -> Task:
    """Map of time-integrated activity; the shapes of organs are those of the fits of the table."""
    method = parameters.tiaMethod.value
    fits = fitsFromTable(parameters.fitsTable) if method == "organ-shape" else None
    return tiaTask(
        seriesOf(parameters),
        measurementOf(parameters),
        method,
        parameters.noisePercent or None,
        leadingSegmentation(parameters),
        fits,
        parameters.tiaVolume,
        parameters.tiaUncertaintyVolume,
    )


def organTask(parameters) -> Task:
    """Organ doses of the fits of the table."""
    fits = fitsFromTable(parameters.fitsTable)
    segmentation, source = leadingSegmentation(parameters), parameters.sValues.value
    names = segmentNames(segmentation)
    chosen = {names[one]: organ for one, organ in parameters.segmentOrgans.items() if one in names}
    organs = {region: organ for region, organ in (organsByName(fits) | chosen).items() if organ}
    isPatient, isFile = source == PATIENT, source == FILE
    patient = None
    if isPatient:
        patient = patientInput(
            parameters.patientCT,
            segmentation,
            fits,
            parameters.patientSpacingMm,
            parameters.histories,
            parameters.device.value,
        )
    options = DoseOptions(
        organs,
        None if isPatient or isFile else source,
        patient,
        parameters.sValuesFile if isFile else None,
        parameters.sValuesUnit.value or None,
        None if isPatient or isFile else parameters.massesFile or None,
        lesionMasses(curvesFromTable(parameters.curvesTable)[0]) if LESION in organs.values() else {},
        bedOf(parameters) if parameters.bed else None,
    )
    beside = parameters.scanNodes[0] if len(parameters.scanNodes) else None
    refuseInputAsOutput(parameters.organDoseTable, organDoseInputs(parameters))
    return organDoseTask(fits, options, parameters.organDoseTable, beside)


def bedOf(parameters) -> BedOptions:
    """How biologically effective doses are computed."""
    return BedOptions(
        Tissue(parameters.organAlphaBetaGy, parameters.organRepairHours),
        Tissue(parameters.lesionAlphaBetaGy, parameters.lesionRepairHours),
        parameters.radiobiologyFile or None,
    )


def registerTask(parameters) -> Task:
    """Registration of the scans by their CTs."""
    return registrationTask(seriesOf(parameters), parameters.registration.value)
