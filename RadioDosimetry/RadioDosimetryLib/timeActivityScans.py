"""Scans of a time series as nodes: which image, when, moved by which transform; and what the core makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import slicer
import vtk

from .delayedPetNodes import UNCERTAINTY_REFERENCE
from .dicomHeaders import headerOf, withHeader
from .timeActivityTransforms import movedBy
from .timeActivityWork import TimedVolume
from .volumes import volumeFromNode

if TYPE_CHECKING:
    from pydicom import Dataset

    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.volume import QuantitativeVolume


@dataclass(frozen=True)
class ScanNode:
    """One row of the table of scans.

    Attributes
    ----------
    node
        Volume node, or a sequence node of volumes whose index values are times after injection.
    hours
        Time after injection [h]; None for a sequence, which has its own.
    ct
        CT of the same session, for registration; None without.
    transform
        Transform node from this scan to the reference scan (Slicer's direction: to parent); None where they fit.
    segmentation
        Regions drawn on this scan itself, where it lies; None for those that all scans have in common.
    """

    node: Any
    hours: float | None = None
    ct: Any = None
    transform: Any = None
    segmentation: Any = None

    @classmethod
    def of(cls, scan) -> ScanNode:
        """The row that a row, a pair (volume node, hours) or a sequence node means."""
        return scan if isinstance(scan, cls) else cls(*scan) if isinstance(scan, tuple | list) else cls(scan)


@dataclass(frozen=True)
class ImageUnits:
    """How voxels of images that do not say their unit are read.

    Attributes
    ----------
    unit
        Unit of activity concentration.
    bqPerMlPerCount
        Calibration factor of images that hold counts [Bq/mL per count]; None if they are calibrated.
    """

    unit: str = "Bq/mL"
    bqPerMlPerCount: float | None = None


def isSequence(node) -> bool:
    """Whether a row holds a sequence."""
    return node is not None and node.IsA("vtkMRMLSequenceNode")


def timedVolumes(rows: Sequence[ScanNode], units: ImageUnits, referenceScan: int = 0) -> list[TimedVolume]:
    """The scans of all rows as core values, sequences taken apart, each moved to the reference scan.

    Parameters
    ----------
    rows
        The table.
    units
        How images without a unit are read.
    referenceScan
        Index of the scan onto whose grid deformed scans are brought.

    Raises
    ------
    InputError
        A time is missing, an image cannot be used, or a sequence holds no volumes.
    GeometryMismatchError
        A scan without a transform lies in another frame of reference than the reference scan.
    """
    return [scan for scan, _row in _movedScans([replace(row, segmentation=None) for row in rows], units, referenceScan)]


def timedRows(
    rows: Sequence[ScanNode], units: ImageUnits, referenceScan: int = 0
) -> list[tuple[TimedVolume, ScanNode]]:
    """As `timedVolumes`, each with its row; a scan with regions of its own stays where they were drawn."""
    return _movedScans(rows, units, referenceScan)


def _movedScans(
    rows: Sequence[ScanNode], units: ImageUnits, referenceScan: int
) -> list[tuple[TimedVolume, ScanNode]]:
    """Scans with their rows; those without regions of their own are moved to the reference scan."""
    from radiodosimetry.errors import GeometryMismatchError, InputError

    found: list[tuple[TimedVolume, ScanNode]] = []
    for row in rows:
        for name, hours, node in volumesOfRow(row):
            if hours is None:
                raise InputError(f"The scan {name} has no time; give the hours from the injection to it.")
            volume = withHeader(activityOf(node, units), node)
            uncertainty = _uncertaintyOf(row, float(hours), node, volume)
            found.append((TimedVolume(name, float(hours), volume, uncertainty=uncertainty), row))
    if not found:
        raise InputError("There is no scan; add at least one volume or a sequence.")
    if not 0 <= referenceScan < len(found):
        raise InputError(f"There is no scan {referenceScan + 1} to be the reference; found {len(found)} scans.")
    reference = found[referenceScan][0]
    moved = []
    for scan, row in found:
        if row.segmentation is None and row.transform is not None:
            scan = _moved(scan, row.transform, reference.volume.geometry)
        if row.segmentation is None and not scan.volume.geometry.same_frame(reference.volume.geometry):
            raise GeometryMismatchError(
                f"{scan.name} and the reference scan {reference.name} lie in different frames of reference; "
                f"register them, or give {scan.name} a transform: the identity where they fit already."
            )
        moved.append((scan, row))
    return moved


def _moved(scan: TimedVolume, transform, reference: VolumeGeometry) -> TimedVolume:
    """A scan and its uncertainty moved alike."""
    uncertainty = scan.uncertainty
    return replace(
        scan,
        volume=movedBy(scan.volume, transform, reference),
        uncertainty=None if uncertainty is None else movedBy(uncertainty, transform, reference),
    )


def _uncertaintyOf(row: ScanNode, hours: float, node, volume: QuantitativeVolume) -> QuantitativeVolume | None:
    """Standard uncertainty of a scan of a row [Bq/mL], which a synthetic volume or sequence refers to; None without.

    What moves the volume node in the scene moves it too.
    """
    from radiodosimetry.units import Quantity

    stated = row.node.GetNodeReference(UNCERTAINTY_REFERENCE)
    if stated is not None and isSequence(stated):
        from .sequences import TIME_PRECISION_H, volumesFromSequence

        items = [item for time, item in volumesFromSequence(stated) if abs(time - hours) <= TIME_PRECISION_H]
        stated = items[0] if items else None
    if stated is None:
        return None
    uncertainty = volumeFromNode(stated, Quantity.ACTIVITY_CONCENTRATION)
    onOneGrid = np.allclose(_ownMatrix(stated), _ownMatrix(node), rtol=0.0, atol=1e-4)
    return replace(uncertainty, geometry=volume.geometry) if onOneGrid else uncertainty


def _ownMatrix(node) -> np.ndarray:
    """Voxel indices to RAS of a volume node without the transforms above it."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def activityOf(node, units: ImageUnits) -> QuantitativeVolume:
    """Activity concentration of a volume node [Bq/mL]; counts are calibrated.

    Raises
    ------
    InputError
        The node holds something else, or a calibration factor is given for a calibrated image.
    """
    from radiodosimetry.units import Quantity

    from .quantities import unitOf

    if units.bqPerMlPerCount is None:
        return volumeFromNode(node, Quantity.ACTIVITY_CONCENTRATION, None if unitOf(node) else units.unit)
    counts = volumeFromNode(node, Quantity.COUNTS, "counts")
    factor = float(units.bqPerMlPerCount)
    record = counts.record.with_parameters(calibration=f"{factor:g} Bq/mL per count")
    return counts.with_array(counts.array_kji * factor, Quantity.ACTIVITY_CONCENTRATION, record)


def hoursFromDicom(node, injection: datetime | None = None) -> tuple[float, tuple[str, ...]]:
    """Hours from the injection to a scan that was loaded from DICOM, and what is doubtful about them.

    Parameters
    ----------
    node
        Volume node with the attribute `DICOM.instanceUIDs`, its files in Slicer's DICOM database; or one that the core
        made, whose record tells both times.
    injection
        Moment of the injection, local time of the scanner; that of the header if None.

    Raises
    ------
    InputError
        The node is not from DICOM, or its header lacks one of the times.
    """
    from radiodosimetry.errors import InputError

    name = node.GetName()
    scan, ownInjection, warnings = _momentsOf(node)
    injection = injection or ownInjection
    if scan is None:
        raise InputError(f"{name} does not say when it was measured; give the hours from the injection to it.")
    if injection is None:
        raise InputError(f"{name} does not say when the activity was injected; give that moment, or the hours.")
    hours = (scan.replace(tzinfo=None) - injection.replace(tzinfo=None)).total_seconds() / 3600.0
    if hours < 0:
        raise InputError(f"{name} lies {-hours:.4g} h before the injection at {injection}; check both times.")
    return hours, warnings


def volumesOfRow(row: ScanNode) -> list[tuple[str, float | None, Any]]:
    """Name, hours and volume node of each scan of a row."""
    from radiodosimetry.errors import InputError

    if row.node is None:
        raise InputError("A row of the table of scans has lost its volume; remove the row.")
    if not isSequence(row.node):
        return [(row.node.GetName(), row.hours, row.node)]
    from .sequences import volumesFromSequence

    return [(f"{row.node.GetName()} at {hours:g} h", hours, node) for hours, node in volumesFromSequence(row.node)]


def _momentsOf(node) -> tuple[datetime | None, datetime | None, tuple[str, ...]]:
    """Moment of the scan, of the injection, and warnings, from a node's record or from its DICOM header."""
    from radiodosimetry.errors import InputError
    from radiodosimetry.time_activity.acquisition_times import injection_of, moment_of

    from .volumes import TIME_ATTRIBUTE, recordOf

    record, text = recordOf(node), node.GetAttribute(TIME_ATTRIBUTE)
    if record is not None and text:
        if record.parameters.get("decay_correction") == "ADMIN":
            return moment_of(record, "first_acquisition_time"), injection_of(record), (_correctedToInjection(node),)
        return datetime.fromisoformat(text), injection_of(record), ()
    header = headerOf(node)
    if header is None:
        raise InputError(f"{node.GetName()} was not loaded from the DICOM database; give its hours by hand.")
    scan, injection, warnings = _headerMoments(header, node.GetName())
    if header.get("DecayCorrection") == "ADMIN":
        warnings = (*warnings, _correctedToInjection(node))
    return scan, injection, warnings


def _correctedToInjection(node) -> str:
    return f"{node.GetName()} is decay-corrected to the injection; it will be decayed to its time."


def _headerMoments(header: Dataset, name: str) -> tuple[datetime | None, datetime | None, tuple[str, ...]]:
    """Moments that a DICOM header tells."""
    from radiodosimetry.images.dicom_decay import acquisition_time, injection_time, series_time
    from radiodosimetry.images.dicom_header import dicom_errors

    with dicom_errors(Path(name)):
        scan = series_time(header) or acquisition_time(header)
        items = list(header.get("RadiopharmaceuticalInformationSequence") or [])
        injection, warnings = injection_time(items[0], scan) if items else (None, ())
    return scan, injection, warnings
