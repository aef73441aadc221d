"""Delayed PET in the scene: nodes to a request, synthetic volumes to nodes, and the table of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer

from .delayedPet import DelayedPetModel, SyntheticVolume
from .delayedPetWork import ScanComparison, SynthesisRequest, compareWithAcquired, nearestInTime
from .hierarchy import placeUnderStudyOf
from .outputs import inputBehind, inScene
from .segmentations import regionsFromSegmentation
from .sequences import browserOf, sequenceFromVolumes, volumesFromSequence
from .tables import tableNode
from .volumes import nodeFromVolume, recordOf, volumeFromNode

SYNTHETIC_ATTRIBUTE = "RadioDosimetry.Synthetic"
"""Node attribute: "1" on volumes and sequences that hold what was never measured."""

HOURS_ATTRIBUTE = "RadioDosimetry.HoursAfterInjection"
"""Node attribute with the time of a volume after injection [h]."""

RESULT_REFERENCE = "RadioDosimetry.SyntheticResult"
"""Reference role from a parameter node to what its last run made: volumes, or one sequence."""

EARLY_REFERENCE = "RadioDosimetry.EarlyVolume"
"""Reference role from a result to the scan it was made from."""

_COLUMNS = (
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


def requestFromNodes(
    model: DelayedPetModel, earlyNode, nuclide: str, earlyHours: float, targetHours: Sequence[float], ctNode=None
) -> SynthesisRequest:
    """A request from nodes of the scene, which are read and never written.

    Raises
    ------
    InputError
        A volume cannot be used: no voxels, another quantity, a transform that is not rigid.
    """
    from radiodosimetry.units import Quantity

    early = volumeFromNode(earlyNode, Quantity.ACTIVITY_CONCENTRATION)
    ct = volumeFromNode(ctNode, Quantity.CT_NUMBER) if ctNode is not None else None
    times_s = tuple(3600.0 * hours for hours in targetHours)
    return SynthesisRequest(model, early, nuclide, 3600.0 * earlyHours, times_s, ct)


def nodesFromResults(results: Sequence[SyntheticVolume], earlyNode, withUncertainty: bool) -> list[Any]:
    """A volume node for each synthetic volume, and for its uncertainty if wanted; named, marked and placed.

    Returns
    -------
    list of vtkMRMLScalarVolumeNode
        The synthetic volumes in the order of their times; uncertainties are not among them.
    """
    nodes = []
    for item in results:
        name = f"{earlyNode.GetName()} synthetic {item.time_s / 3600:g} h"
        node = nodeFromVolume(item.volume, name, inputs=[earlyNode])
        _mark(node, item.time_s, earlyNode)
        nodes.append(node)
        if withUncertainty and item.uncertainty is not None:
            uncertain = nodeFromVolume(item.uncertainty, f"{name} uncertainty", inputs=[earlyNode])
            _mark(uncertain, item.time_s, earlyNode)
    return nodes


def sequenceFromResults(
    results: Sequence[SyntheticVolume], request: SynthesisRequest, earlyNode, withUncertainty: bool, node=None
):
    """One sequence over hours after injection: the early scan, then the synthetic volumes.

    Parameters
    ----------
    results, request
        What was made, from what.
    earlyNode
        The early scan.
    withUncertainty
        Whether a second sequence holds the uncertainties, where the model gives them.
    node
        Sequence to fill anew; a new one if None.

    Returns
    -------
    vtkMRMLSequenceNode
        The sequence of volumes.

    Raises
    ------
    InputError
        `node` holds scans that were not made here, or the early scan is one of its own.
    """
    from radiodosimetry.errors import InputError

    if not isOwnSequence(node):
        raise InputError(f"The sequence '{node.GetName()}' holds scans that were not made here; choose another one.")
    if showsScanOf(earlyNode, node):
        raise InputError(
            f"'{earlyNode.GetName()}' shows a scan of the sequence '{node.GetName()}', which would be filled anew; "
            "choose another sequence."
        )
    scans = [(request.early_time_s / 3600, request.early), *((item.time_s / 3600, item.volume) for item in results)]
    name = f"{earlyNode.GetName()} with synthetic scans"
    node = sequenceFromVolumes(scans, name, node)
    _mark(node, None, earlyNode)
    if withUncertainty and all(item.uncertainty is not None for item in results):
        uncertain = [(item.time_s / 3600, item.uncertainty) for item in results]
        _mark(sequenceFromVolumes(uncertain, f"{name} uncertainty"), None, earlyNode)
    return node


def isOwnSequence(node) -> bool:
    """Whether a sequence node may be filled anew: there is none yet, it is empty, or it was made here."""
    return node is None or not node.GetNumberOfDataNodes() or node.GetAttribute(SYNTHETIC_ATTRIBUTE) == "1"


def showsScanOf(volumeNode, sequenceNode) -> bool:
    """Whether a sequence browser shows a scan of a sequence in a volume: a new scan in the sequence changes it."""
    return inputBehind(volumeNode, [sequenceNode]) is not None


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


def handOverTo(fit, results: Sequence, nuclide: str, earlyHours: float, segmentationNode=None) -> None:
    """Put the early scan and results into the choices of TimeActivityFit (its parameter node), scans before put aside.

    A sequence holds the early scan already and has its own times.

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


def comparisonTable(rows: Sequence[ScanComparison], name: str = "Delayed PET comparison", node=None):
    """A table node of a comparison, a row for the whole image and for each region."""
    columns, units = {}, {}
    for title, attribute, unit, factor in _COLUMNS:
        cells = [getattr(row, attribute) for row in rows]
        columns[title] = cells if unit is None else [None if cell is None else cell * factor for cell in cells]
        units[title] = unit or ""
    return tableNode(name, columns, units, node)


def _mark(node, time_s: float | None, earlyNode) -> None:
    node.SetAttribute(SYNTHETIC_ATTRIBUTE, "1")
    if time_s is not None:
        node.SetAttribute(HOURS_ATTRIBUTE, f"{time_s / 3600:.10g}")
    if inScene(earlyNode) is None:
        return
    node.SetNodeReferenceID(EARLY_REFERENCE, earlyNode.GetID())
    colours = earlyNode.GetDisplayNode()
    if time_s is not None and colours is not None and colours.GetColorNodeID():
        node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetColorNodeID())
    placeUnderStudyOf(node, earlyNode)


def _proxyOf(sequenceNode):
    """The volume in the scene that steps through a sequence."""
    browser = browserOf(sequenceNode)
    return browser.GetProxyNode(sequenceNode)


def _isSynthetic(node) -> bool:
    """Whether the record of a sequence's volume says that a model made it."""
    record = recordOf(node)
    return record is not None and record.operation == "delayed PET synthesis"
