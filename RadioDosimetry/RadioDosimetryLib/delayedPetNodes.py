"""Delayed PET in the scene: nodes to a request, and synthetic volumes to nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .delayedPet import DelayedPetModel, SyntheticVolume
from .delayedPetWork import SynthesisRequest
from .dicomHeaders import withHeader
from .hierarchy import placeUnderStudyOf
from .outputs import inputBehind, inScene
from .segmentations import regionsFromSegmentation
from .sequences import sequenceFromVolumes
from .volumes import nodeFromVolume, volumeFromNode

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import LabelMap
    from radiodosimetry.images.volume import QuantitativeVolume

SYNTHETIC_ATTRIBUTE = "RadioDosimetry.Synthetic"
"""Node attribute: "1" on volumes and sequences that hold what was never measured."""

HOURS_ATTRIBUTE = "RadioDosimetry.HoursAfterInjection"
"""Node attribute with the time of a volume after injection [h]."""

EARLY_REFERENCE = "RadioDosimetry.EarlyVolume"
"""Reference role from a result to the scan it was made from."""

UNCERTAINTY_REFERENCE = "RadioDosimetry.Uncertainty"
"""Reference role from a volume or sequence to that of its standard uncertainty."""


def requestFromNodes(
    model: DelayedPetModel,
    earlyNode,
    nuclide: str,
    earlyHours: float,
    targetHours: Sequence[float],
    ctNode=None,
    regionsNode=None,
    tracer: str = "",
    administeredMBq: float = 0.0,
) -> SynthesisRequest:
    """A request from nodes of the scene, which are read and never written; see `DelayedPETSynthesisLogic.synthesise`.

    Raises
    ------
    InputError
        A volume cannot be used: no voxels, another quantity, a transform that is not rigid.
    RegionError
        A segment cannot be used: it is empty, lies outside of the early scan, or shares its name.
    """
    from radiodosimetry.units import Quantity

    early = _earlyScan(earlyNode, earlyHours, nuclide)
    return SynthesisRequest(
        model,
        early,
        nuclide,
        3600.0 * earlyHours,
        tuple(3600.0 * hours for hours in targetHours),
        volumeFromNode(ctNode, Quantity.CT_NUMBER) if ctNode is not None else None,
        labelsFromSegmentation(regionsNode, early.geometry) if regionsNode is not None else None,
        tracer.strip() or None,
        1e6 * administeredMBq if administeredMBq > 0 else None,
    )


def _earlyScan(node, hours: float, nuclide: str) -> QuantitativeVolume:
    """The early scan as the activity present at its time, decayed to it where its header counts at the injection."""
    from radiodosimetry.delayed_pet.early_scan import present_at
    from radiodosimetry.units import Quantity

    early = withHeader(volumeFromNode(node, Quantity.ACTIVITY_CONCENTRATION), node)
    return present_at(early, 3600.0 * hours, nuclide)


def labelsFromSegmentation(segmentationNode, geometry: VolumeGeometry) -> LabelMap:
    """Segments as one label map on a grid; where they overlap the smallest counts.

    Raises
    ------
    InputError, RegionError
        As `regionsFromSegmentation`.
    """
    from radiodosimetry.images.regions import label_map_of
    from radiodosimetry.provenance import Record

    regions = regionsFromSegmentation(segmentationNode, geometry)
    record = Record("segments", {"segmentation": segmentationNode.GetName(), "segments": [one.name for one in regions]})
    return label_map_of(regions, geometry, record)


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
            node.SetNodeReferenceID(UNCERTAINTY_REFERENCE, uncertain.GetID())
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
    uncertain = None
    if withUncertainty and all(item.uncertainty is not None for item in results):
        stated = [(item.time_s / 3600, item.uncertainty) for item in results]
        uncertain = sequenceFromVolumes(stated, f"{name} uncertainty", node.GetNodeReference(UNCERTAINTY_REFERENCE))
        _mark(uncertain, None, earlyNode)
    node.SetNodeReferenceID(UNCERTAINTY_REFERENCE, uncertain.GetID() if uncertain is not None else None)
    return node


def isOwnSequence(node) -> bool:
    """Whether a sequence node may be filled anew: there is none yet, it is empty, or it was made here."""
    return node is None or not node.GetNumberOfDataNodes() or node.GetAttribute(SYNTHETIC_ATTRIBUTE) == "1"


def showsScanOf(volumeNode, sequenceNode) -> bool:
    """Whether a sequence browser shows a scan of a sequence in a volume: a new scan in the sequence changes it."""
    return inputBehind(volumeNode, [sequenceNode]) is not None


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
