"""What is missing before TimeActivityFit can start, in words for the disabled buttons; "" where nothing is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from slicer.i18n import tr as _

from .outputChecks import inputAsOutput
from .pathFields import unusableFile
from .segmentations import segmentNames
from .timeActivityKept import FITS_ATTRIBUTE
from .timeActivityScans import ScanNode, isSequence
from .timeActivitySeries import Series


def scanRows(parameters) -> list[ScanNode]:
    """The rows of the table of scans of a parameter node."""
    columns = (parameters.scanNodes, parameters.scanHours, parameters.scanCTs, parameters.scanTransforms)
    own = _ownRegions(parameters)
    return [ScanNode(*row, own.get(row[0].GetID() if row[0] else "")) for row in zip(*columns, strict=False)]


def _ownRegions(parameters) -> dict[str, Any]:
    """ID of a scan to the segmentation drawn on it; kept apart from the rows, which other modules fill as well."""
    pairs = zip(parameters.segmentedScans, parameters.scanSegmentations, strict=False)
    return {scan.GetID(): node for scan, node in pairs if scan is not None and node is not None}


def leadingSegmentation(parameters):
    """The segmentation whose segments the table of regions shows; None without any."""
    return Series(tuple(scanRows(parameters)), referenceScan=parameters.referenceScan).leadingSegmentation(
        parameters.segmentation
    )


def scanNames(rows: Sequence[ScanNode]) -> list[str]:
    """Names of all scans, those of a sequence one by one."""
    return [name for name, _hours in _namesAndHours(rows)]


def missingScans(rows: Sequence[ScanNode]) -> str:
    """What the table of scans lacks."""
    if not rows:
        return _("Add at least one scan.")
    if any(row.node is None for row in rows):
        return _("A scan has left the scene: remove its row.")
    try:
        scans = _namesAndHours(rows)
    except ValueError as error:
        return str(error)
    for name, hours in scans:
        if hours is None or math.isnan(hours):
            return _("Type the hours from the injection to {name}.").format(name=name)
        if hours < 0:
            return _("{name} lies before the injection; its hours must be zero or more.").format(name=name)
    times = [hours for _name, hours in scans]
    listed = ", ".join(f"{hours:g}" for hours in times)
    if len(set(times)) < len(times):
        return _("Two scans have the same time ({hours} h); give each its own.").format(hours=listed)
    if times != sorted(times):
        return _("The times of the scans must rise ({hours} h): correct them, or sort by time.").format(hours=listed)
    return ""


def missingForFit(parameters) -> str:
    """What measuring and fitting lacks."""
    missing = missingScans(scanRows(parameters))
    missing = missing or unusableFile(parameters.recoveryFile, _("table of recovery coefficients"))
    if missing:
        return missing
    segmentation = leadingSegmentation(parameters)
    if segmentation is None:
        return "" if parameters.wholeBody else _("Choose a segmentation, or tick Whole body.")
    without = [row.node.GetName() for row in scanRows(parameters) if row.segmentation is None]
    if parameters.segmentation is None and without:
        return _("Choose the regions of {names}, or a segmentation for all.").format(names=", ".join(without))
    names = segmentNames(segmentation)
    if not names:
        return _("Segmentation '{name}' has no segment: draw the regions.").format(name=segmentation.GetName())
    if not set(names) - set(parameters.excludedSegmentIDs) - {parameters.bodySegmentID} and not parameters.wholeBody:
        return _("Tick at least one region.")
    return ""


def missingForMap(parameters) -> str:
    """What a map of time-integrated activity lacks."""
    rows = scanRows(parameters)
    missing = missingScans(rows)
    if missing:
        return missing
    if parameters.tiaMethod.value == "organ-shape" and (
        leadingSegmentation(parameters) is None or not hasFits(parameters.fitsTable)
    ):
        return _("The shape of the organs' curves needs regions and their fits: measure and fit first.")
    outputs = (parameters.tiaVolume, parameters.tiaUncertaintyVolume)
    if outputs[0] is not None and outputs[0] is outputs[1]:
        return _("Select different volumes for the map and its uncertainty.")
    return inputAsOutput(outputs, (*Series(tuple(rows)).inputs(), parameters.patientCT))


def missingForOrganDoses(parameters) -> str:
    """What organ doses lack."""
    if not hasFits(parameters.fitsTable):
        return _("Measure and fit first.")
    if parameters.residenceTimeTable is None:
        return _("Give the administered activity, and measure and fit anew.")
    missing = _missingSValues(parameters)
    if not missing and parameters.bed:
        missing = unusableFile(parameters.radiobiologyFile, _("table of radiobiology"))
    return missing or inputAsOutput((parameters.organDoseTable,), organDoseInputs(parameters))


def organDoseInputs(parameters) -> tuple[Any, ...]:
    """Tables that organ doses are computed from, or stand beside; none is written."""
    return parameters.fitsTable, parameters.curvesTable, parameters.residenceTimeTable


def _missingSValues(parameters) -> str:
    """What the S-values of the source that is chosen lack."""
    source = parameters.sValues.value
    if source == "file":
        if not parameters.sValuesFile:
            return _("Choose the file of S-values.")
        return unusableFile(parameters.sValuesFile, _("file of S-values"))
    if source != "patient":
        return unusableFile(parameters.massesFile, _("table of organ masses"))
    if parameters.patientCT is None:
        return _("Choose the CT of the patient.")
    return "" if leadingSegmentation(parameters) is not None else _("Choose the segmentation.")


def missingForRegistration(parameters) -> str:
    """What registration lacks."""
    rows = scanRows(parameters)
    if any(isSequence(row.node) for row in rows):
        return _("The volumes of a sequence share one space: only single volumes are registered.")
    if len(rows) < 2:
        return _("Add at least two scans.")
    without = [row.node.GetName() for row in rows if row.node is not None and row.ct is None]
    if without:
        return _("Choose the CT of {names}: registration compares the CTs.").format(names=", ".join(without))
    return ""


def hasFits(tableNode) -> bool:
    """Whether a table node holds fits."""
    return tableNode is not None and bool(tableNode.GetAttribute(FITS_ATTRIBUTE))


def missingForPictures(parameters) -> str:
    """Why there are no pictures of curves to save; empty if there are."""
    hasAll = parameters.curvesTable is not None and hasFits(parameters.fitsTable)
    return "" if hasAll else _("Measure the regions and fit their curves.")


def injectionMoment(text: str) -> datetime | None:
    """The moment that a user typed; None if nothing.

    Raises
    ------
    InputError
        It is no date and time.
    """
    from radiodosimetry.errors import InputError

    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise InputError(f"'{text}' is no date and time; write the injection as 2026-01-05 09:30.") from None


def _namesAndHours(rows: Sequence[ScanNode]) -> list[tuple[str, float | None]]:
    from .timeActivityScans import volumesOfRow

    return [(name, hours) for row in rows if row.node is not None for name, hours, _node in volumesOfRow(row)]
