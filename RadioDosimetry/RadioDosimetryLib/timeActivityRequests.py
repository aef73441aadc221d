# ruff: noqa: N802, N815, N999 (camelCase, as everywhere in Slicer)
"""The choices of a parameter node as tasks: what the panel computes, without a widget."""

from __future__ import annotations

from .segmentations import segmentNames
from .timeActivityChecks import scanRows
from .timeActivityResults import curvesFromTable, fitsFromTable, organsByName
from .timeActivityScans import ImageUnits
from .timeActivityTasks import (
    Series,
    Task,
    measurementTask,
    organDoseTask,
    patientInput,
    registrationTask,
    tiaTask,
)
from .timeActivityWork import LESION, FitOptions, MeasurementOptions, lesionMasses


def seriesOf(parameters) -> Series:
    """The scans."""
    units = ImageUnits(parameters.imageUnit, parameters.calibrationBqPerMlPerCount or None)
    return Series(tuple(scanRows(parameters)), units, parameters.referenceScan)


def measurementOf(parameters) -> MeasurementOptions:
    """How curves are measured."""
    names = segmentNames(parameters.segmentation)
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
    names = segmentNames(parameters.segmentation)
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
    segmentation = parameters.segmentation if wanted else None
    return measurementTask(seriesOf(parameters), segmentation, options, wanted, fits, nodes)


def mapTask(parameters, fits=None) -> Task:
    """Map of time-integrated activity; `fits` of the last run, else those of the table."""
    method = parameters.tiaMethod.value
    if method != "organ-shape":
        fits = None
    elif fits is None:
        fits = fitsFromTable(parameters.fitsTable)
    return tiaTask(
        seriesOf(parameters),
        measurementOf(parameters),
        method,
        parameters.noisePercent or None,
        parameters.segmentation,
        fits,
        parameters.tiaVolume,
        parameters.tiaUncertaintyVolume,
    )


def organTask(parameters, fits=None) -> Task:
    """Organ doses; `fits` of the last run, else those of the table."""
    fits = fits if fits is not None else fitsFromTable(parameters.fitsTable)
    names = segmentNames(parameters.segmentation)
    organs = organsByName(fits) | {names[one]: organ for one, organ in parameters.segmentOrgans.items() if one in names}
    patient, phantom = None, parameters.sValues.value
    if phantom == "patient":
        phantom = None
        patient = patientInput(
            parameters.patientCT,
            parameters.segmentation,
            fits,
            parameters.patientSpacingMm,
            parameters.histories,
            parameters.device.value,
        )
    masses = None if phantom is None else parameters.massesFile or None
    beside = parameters.scanNodes[0] if len(parameters.scanNodes) else None
    lesions = lesionMasses(curvesFromTable(parameters.curvesTable)[0]) if LESION in organs.values() else {}
    return organDoseTask(fits, organs, phantom, masses, patient, lesions, parameters.organDoseTable, beside)


def registerTask(parameters) -> Task:
    """Registration of the scans by their CTs."""
    return registrationTask(seriesOf(parameters))
