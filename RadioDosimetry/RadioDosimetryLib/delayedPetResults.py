"""What a run of delayed PET left in the scene: found again, tabulated, shown, compared, and handed over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import slicer

from .delayedPet import SyntheticVolume
from .delayedPetNodes import EARLY_REFERENCE, HOURS_ATTRIBUTE, UNCERTAINTY_REFERENCE
from .delayedPetWork import ScanComparison, compareWithAcquired, nearestInTime, regionActivities
from .segmentations import regionsFromSegmentation
from .sequences import TIME_PRECISION_H, browserOf, volumesFromSequence
from .tables import tableNode
from .volumes import recordOf, volumeFromNode

if TYPE_CHECKING:
    from radiodosimetry.provenance import Record

RESULT_REFERENCE = "RadioDosimetry.SyntheticResult"
"""Reference role from a parameter node to what its last run made: volumes, or one sequence."""

_ACTIVITY_COLUMNS = (
    ("Region", "region", None, 1.0),
    ("Time (h)", "time_h", "h", 1.0),
    ("Activity (MBq)", "activity_bq", "MBq", 1e-6),
    ("± (MBq)", "std_bq", "MBq", 1e-6),
    ("± (%)", "std_percent", "%", 1.0),
    ("Mean (kBq/mL)", "mean_bq_per_ml", "kBq/mL", 1e-3),
)
"""Column, attribute of `RegionActivity`, unit and factor to it."""

_COMPARISON_COLUMNS = (
    ("Region", "region", None, 1.0),
    ("Error (%)", "error_percent", "%", 1.0),
    ("Acquired (MBq)", "acquired_bq", "MBq", 1e-6),
    ("Synthetic (MBq)", "synthetic_bq", "MBq", 1e-6),
    ("Acquired mean (kBq/mL)", "acquired_mean_bq_per_ml", "kBq/mL", 1e-3),
    ("Synthetic mean (kBq/mL)", "synthetic_mean_bq_per_ml", "kBq/mL", 1e-3),
    ("NRMSE (%)", "nrmse", "%", 100.0),
    ("Correlation", "correlation", "1", 1.0),
)
"""Column, attribute of `ScanComparison`, unit and factor to it."""


def rememberResults(parameterNode, nodes: Sequence) -> None:
    """Refer from a parameter node to what its last run made, so that a saved scene still knows it."""
    parameterNode.RemoveNodeReferenceIDs(RESULT_REFERENCE)
    for node in nodes:
        parameterNode.AddNodeReferenceID(RESULT_REFERENCE, node.GetID())


def rememberedResults(parameterNode) -> list[Any]:
    """Volumes, or the one sequence, that the last run of a parameter node made and that are still in the scene."""
    count = parameterNode.GetNumberOfNodeReferences(RESULT_REFERENCE)
    nodes = [parameterNode.GetNthNodeReference(RESULT_REFERENCE, index) for index in range(count)]
    return [node for node in nodes if node is not None]


def timedResults(nodes: Sequence) -> list[tuple[float, Any]]:
    """Hours and volume node of each synthetic volume among results; of a sequence all but those not synthetic.

    Volume nodes of a sequence are its own: read them, never write them.
    """
    found = []
    for node in nodes:
        if node.IsA("vtkMRMLSequenceNode"):
            found += [(hours, volume) for hours, volume in volumesFromSequence(node) if _isSynthetic(volume)]
        else:
            found.append((float(node.GetAttribute(HOURS_ATTRIBUTE)), node))
    return found


def shownVolumes(results: Sequence, acquiredNode=None, acquiredHours: float = 0.0) -> list[Any]:
    """Volume nodes to look at beside each other: early scan, then all synthetic volumes, or the one nearest in time to
    the acquired scan and that scan.

    A sequence is shown through its browser's volume.
    """
    early = next((node.GetNodeReference(EARLY_REFERENCE) for node in results), None)
    volumes = [_proxyOf(node) if node.IsA("vtkMRMLSequenceNode") else node for node in results]
    if acquiredNode is not None:
        distance = [abs(float(node.GetAttribute(HOURS_ATTRIBUTE) or 0.0) - acquiredHours) for node in results]
        volumes = [volumes[distance.index(min(distance))], acquiredNode]
    return volumes if early is None else [early, *volumes]


def uncertainHours(results: Sequence) -> list[float]:
    """Hours after injection of the results whose standard uncertainty is in the scene too."""
    return [hours for hours, _, uncertain in _withUncertainties(results) if uncertain is not None]


def shownUncertainty(results: Sequence, hours: float) -> list[Any]:
    """Volume nodes of the result at this time and of its standard uncertainty; sequences are turned to it.

    Raises
    ------
    InputError
        No uncertainty of this time is in the scene.
    """
    from radiodosimetry.errors import InputError

    if not any(abs(known - hours) < TIME_PRECISION_H for known in uncertainHours(results)):
        raise InputError(f"There is no uncertainty of a volume {hours:g} h after injection; let it be made.")
    if results[0].IsA("vtkMRMLSequenceNode"):
        return [_proxyOf(node, hours) for node in (results[0], results[0].GetNodeReference(UNCERTAINTY_REFERENCE))]
    node = next(node for known, node in timedResults(results) if abs(known - hours) < TIME_PRECISION_H)
    return [node, node.GetNodeReference(UNCERTAINTY_REFERENCE)]


def activitiesTable(results: Sequence, segmentationNode=None, name: str = "Delayed PET activities", node=None):
    """A table node of what the results hold in the whole image and in each segment, with standard uncertainty where it
    was made.

    Raises
    ------
    InputError, RegionError
        There are no results, or a segment cannot be used.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.units import Quantity

    if not results:
        raise InputError("There are no synthetic volumes; synthesise them first.")
    volumes = []
    for hours, volumeNode, uncertain in _withUncertainties(results):
        pair = [None if one is None else volumeFromNode(one, Quantity.ACTIVITY_CONCENTRATION)
                for one in (volumeNode, uncertain)]  # fmt: skip
        volumes.append(SyntheticVolume(3600.0 * hours, *pair))
    geometry = volumes[0].volume.geometry
    regions = [] if segmentationNode is None else regionsFromSegmentation(segmentationNode, geometry)
    isStated = any(item.uncertainty is not None for item in volumes)
    columns = [one for one in _ACTIVITY_COLUMNS if isStated or not one[1].startswith("std_")]
    return _table(columns, regionActivities(volumes, regions), volumes[0].volume.record, name, node)


def handOverTo(
    fit, results: Sequence, nuclide: str, earlyHours: float, segmentationNode=None, administeredMBq: float = 0.0
) -> None:
    """Put the early scan and results into the choices of TimeActivityFit (its parameter node), scans before put aside.

    A sequence holds the early scan already and has its own times. Without a segmentation, or an administered activity
    above zero, those of TimeActivityFit stay.

    Raises
    ------
    InputError
        There are no results, or the early scan is gone.
    """
    from radiodosimetry.errors import InputError

    if not results:
        raise InputError("There are no synthetic volumes; synthesise them first.")
    if results[0].IsA("vtkMRMLSequenceNode"):
        nodes, hours = list(results), [0.0] * len(results)
    else:
        early = results[0].GetNodeReference(EARLY_REFERENCE)
        if early is None:
            raise InputError("The early scan is no longer in the scene; synthesise the volumes anew.")
        later = sorted(timedResults(results), key=lambda item: item[0])
        nodes, hours = [early, *(node for _, node in later)], [earlyHours, *(hour for hour, _ in later)]
    with slicer.util.NodeModify(fit):
        fit.scanNodes, fit.scanHours = nodes, hours
        fit.scanCTs, fit.scanTransforms = [None] * len(nodes), [None] * len(nodes)
        fit.nuclide = nuclide
        if segmentationNode is not None:
            fit.segmentation = segmentationNode
        if administeredMBq > 0:
            fit.administeredActivityMBq = administeredMBq


def comparisonOf(
    results: Sequence, acquiredNode, acquiredHours: float, nuclide: str, segmentationNode=None
) -> tuple[SyntheticVolume, list[ScanComparison]]:
    """The synthetic volume nearest in time to an acquired scan, and how close the two are.

    Raises
    ------
    InputError
        No synthetic volume is near in time, or a node cannot be used.
    """
    from radiodosimetry.units import Quantity

    volumes = [
        SyntheticVolume(3600.0 * hours, volumeFromNode(node, Quantity.ACTIVITY_CONCENTRATION))
        for hours, node in timedResults(results)
    ]
    synthetic = nearestInTime(volumes, 3600.0 * acquiredHours)
    acquired = volumeFromNode(acquiredNode, Quantity.ACTIVITY_CONCENTRATION)
    regions = [] if segmentationNode is None else regionsFromSegmentation(segmentationNode, synthetic.volume.geometry)
    return synthetic, compareWithAcquired(synthetic, acquired, 3600.0 * acquiredHours, nuclide, regions)


def comparisonTable(
    synthetic: SyntheticVolume, rows: Sequence[ScanComparison], name: str = "Delayed PET comparison", node=None
):
    """A table node of a comparison, a row for the whole image and for each region."""
    return _table(_COMPARISON_COLUMNS, rows, synthetic.volume.record, name, node)


def _table(columns: Sequence[tuple], rows: Sequence, record: Record, name: str, node=None):
    """A table node of rows; its record is that of the volume that they speak of."""
    cellsOf, units = {}, {}
    for title, attribute, unit, factor in columns:
        cells = [getattr(row, attribute) for row in rows]
        cellsOf[title] = cells if unit is None else [None if cell is None else cell * factor for cell in cells]
        units[title] = unit or ""
    return tableNode(name, cellsOf, units, node, record)


def _withUncertainties(results: Sequence) -> list[tuple[float, Any, Any]]:
    """Hours, volume node and node of the uncertainty (None without) of each result; of a sequence its own nodes."""
    found = []
    for node in results:
        stated = node.GetNodeReference(UNCERTAINTY_REFERENCE)
        if not node.IsA("vtkMRMLSequenceNode"):
            found += [(hours, volume, stated) for hours, volume in timedResults([node])]
            continue
        known = [] if stated is None else volumesFromSequence(stated)
        for hours, volume in timedResults([node]):
            near = (one for at, one in known if abs(at - hours) < TIME_PRECISION_H)
            found.append((hours, volume, next(near, None)))
    return found


def _proxyOf(sequenceNode, hours: float | None = None):
    """The volume in the scene that steps through a sequence, after a step to these hours if they are given."""
    browser = browserOf(sequenceNode)
    if hours is not None:
        browser.SetSelectedItemNumber(sequenceNode.GetItemNumberFromIndexValue(f"{hours:.10g}"))
    return browser.GetProxyNode(sequenceNode)


def _isSynthetic(node) -> bool:
    """Whether the record of a sequence's volume says that a model made it."""
    record = recordOf(node)
    return record is not None and record.operation == "delayed PET synthesis"
