"""Serial scans as sequence nodes: hours after administration and volumes, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import slicer

from .outputs import allOrNothing
from .volumes import nodeFromVolume

if TYPE_CHECKING:
    from radiodosimetry.images.volume import QuantitativeVolume

_HOURS_PER_UNIT = {
    "h": 1.0, "hr": 1.0, "hour": 1.0, "hours": 1.0,
    "min": 1 / 60, "minute": 1 / 60, "minutes": 1 / 60,
    "s": 1 / 3600, "sec": 1 / 3600, "second": 1 / 3600, "seconds": 1 / 3600, "ms": 1 / 3.6e6,
    "d": 24.0, "day": 24.0, "days": 24.0,
}  # fmt: skip

TIME_PRECISION_H = 1e-6
"""Times closer than this are the same item of a sequence [h]: 4 ms."""


def volumesFromSequence(sequenceNode) -> list[tuple[float, object]]:
    """Times [h] and volume nodes of a sequence, rising in time.

    Parameters
    ----------
    sequenceNode
        A sequence of scalar volumes over a time; its index unit says in what.

    Returns
    -------
    list of (float, vtkMRMLScalarVolumeNode)
        Hours, and the sequence's own data node: read it (`volumeFromNode`), never write it.

    Raises
    ------
    InputError
        There is no sequence, it is empty or holds something else, its index is no number, or its unit is no time.
    """
    from radiodosimetry.errors import InputError

    if sequenceNode is None:
        raise InputError("No sequence is chosen; choose one.")
    name = sequenceNode.GetName()
    count = sequenceNode.GetNumberOfDataNodes()
    if count == 0:
        raise InputError(f"Sequence '{name}' is empty; add volumes to it or choose another.")
    unit = (sequenceNode.GetIndexUnit() or "").strip()
    factor = _HOURS_PER_UNIT.get(unit.lower())
    if factor is None:
        raise InputError(
            f"The index of sequence '{name}' is in '{unit}', expected a time in h, min, s or d; set its unit in the "
            "module Sequences."
        )
    found = []
    for item in range(count):
        node, text = sequenceNode.GetNthDataNode(item), sequenceNode.GetNthIndexValue(item)
        if not node.IsA("vtkMRMLScalarVolumeNode"):
            raise InputError(
                f"Sequence '{name}' holds {node.GetNodeTagName()} nodes, expected volumes; choose another."
            )
        found.append((_number(text, name) * factor, node))
    return sorted(found, key=lambda entry: entry[0])


def sequenceFromVolumes(scans: Sequence[tuple[float, QuantitativeVolume]], name: str, node=None):
    """A sequence node of volumes over hours, with a browser to step through them.

    Parameters
    ----------
    scans
        Hours after administration and volumes.
    name
        Name of a new node, made unique; ignored with `node`.
    node
        Sequence to fill anew; a new one if None.

    Returns
    -------
    vtkMRMLSequenceNode
        Index "time" [h]; each item keeps quantity, unit and record.
    """
    with allOrNothing((node,)):
        if node is None:
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", slicer.mrmlScene.GenerateUniqueName(name))
        node.RemoveAllDataNodes()
        node.SetIndexName("time")
        node.SetIndexUnit("h")
        node.SetIndexType(slicer.vtkMRMLSequenceNode.NumericIndex)
        node.SetNumericIndexValueTolerance(TIME_PRECISION_H)
        for hours, volume in scans:
            item = nodeFromVolume(volume, f"{name} {hours:g} h")
            node.SetDataNodeAtValue(item, f"{hours:.10g}")
            _removeWithDisplay(item)
    return node


def browserOf(sequenceNode):
    """The sequence browser that shows a sequence; made if there is none."""
    for index in range(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSequenceBrowserNode")):
        browser = slicer.mrmlScene.GetNthNodeByClass(index, "vtkMRMLSequenceBrowserNode")
        if browser.IsSynchronizedSequenceNode(sequenceNode, True):
            return browser
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{sequenceNode.GetName()} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequenceNode.GetID())
    return browser


def _removeWithDisplay(node) -> None:
    """Take a helper node and what shows it out of the scene again."""
    for index in reversed(range(node.GetNumberOfDisplayNodes())):
        slicer.mrmlScene.RemoveNode(node.GetNthDisplayNode(index))
    slicer.mrmlScene.RemoveNode(node)


def _number(text: str, name: str) -> float:
    from radiodosimetry.errors import InputError

    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"An item of sequence '{name}' stands at '{text}', expected a number; correct its index value."
        )
    return value
