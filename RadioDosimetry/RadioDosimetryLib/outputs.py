"""What results may be written into, and that all of a result comes into the scene or nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import slicer
import vtk

from .hierarchy import subjectHierarchy

_replaced: list[list[Any]] = []
"""Nodes that leave the scene once all is stored, a list for each `allOrNothing` that is open."""


@contextmanager
def allOrNothing(outputs: Iterable = ()) -> Iterator[None]:
    """Leave the scene as it was where anything fails inside: added nodes go, outputs get back what they held.

    Those inside another one belong to it: its failure takes back what they stored too.

    Parameters
    ----------
    outputs
        Nodes of the scene that are filled anew; None among them stands for a new one.
    """
    kept = [_contentOf(node) for node in dict.fromkeys(outputs) if node is not None]
    before, items = _nodeIDs(), _items()
    _replaced.append([])
    try:
        yield
    except BaseException:
        _replaced.pop()
        for putBack in kept:
            putBack()
        for item in _items() - items:
            subjectHierarchy().RemoveItem(item, False, False)
        _remove(node for node in _nodes() if node.GetID() not in before)
        raise
    old = _replaced.pop()
    if _replaced:
        _replaced[-1].extend(old)
    else:
        _remove(old)


def removeOnceStored(nodes: Iterable) -> None:
    """Take nodes that others replace out of the scene, as soon as nothing can fail any more: at once outside of
    `allOrNothing`. None among them is passed over."""
    gone = [node for node in nodes if node is not None]
    if _replaced:
        _replaced[-1].extend(gone)
    else:
        _remove(gone)


def inScene(node) -> Any:
    """A node that is still in the scene; None for one that has left it."""
    return node if node is not None and slicer.mrmlScene.IsNodePresent(node) else None


def refuseInputAsOutput(output, inputs: Sequence) -> None:
    """Refuse to write a result into a node that it was made from, or into what shows a scan of an input sequence.

    Raises
    ------
    InputError
        `output` is such a node.
    """
    from radiodosimetry.errors import InputError

    source = inputBehind(output, inputs)
    if source is not None:
        shows = "" if source is output else f" shows a scan of '{source.GetName()}', which"
        raise InputError(
            f"'{output.GetName()}'{shows} is an input and is not overwritten; choose another output, or let a new one "
            "be made."
        )


def inputBehind(output, inputs: Sequence) -> Any:
    """The input that writing into an output would change: itself, or the sequence of which it shows a scan; or None."""
    if output is None:
        return None
    for node in inputs:
        if node is output or any(proxy is output for proxy in _proxiesOf(node)):
            return node
    return None


def _proxiesOf(node) -> list[Any]:
    """Volumes in which sequence browsers show the scans of a sequence; none of another node."""
    if node is None or not node.IsA("vtkMRMLSequenceNode"):
        return []
    return [browser.GetProxyNode(node) for browser in slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")]


def _contentOf(node) -> Callable[[], None]:
    """What puts a node back into its state of now.

    Voxels are not copied: results come as a new image (`nodeFromVolume`), and the old one stays as it is.
    """
    isVolume, isSequence = node.IsA("vtkMRMLVolumeNode"), node.IsA("vtkMRMLSequenceNode")
    copy = node.CreateNodeInstance()
    copy.CopyContent(node, not isVolume)
    copy.CopyReferences(node)
    codes = (node.GetVoxelValueQuantity(), node.GetVoxelValueUnits()) if node.IsA("vtkMRMLScalarVolumeNode") else None
    scans = [(node.GetNthIndexValue(n), node.GetNthDataNode(n)) for n in range(_countOf(node))] if isSequence else []
    hierarchy = subjectHierarchy()
    item = hierarchy.GetItemByDataNode(node)
    parent = hierarchy.GetItemParent(item) if item else 0

    def putBack() -> None:
        with slicer.util.NodeModify(node):
            node.CopyContent(copy, not isVolume)
            node.CopyReferences(copy)
            if codes is not None:
                node.SetVoxelValueQuantity(codes[0])
                node.SetVoxelValueUnits(codes[1])
            if isSequence:
                node.RemoveAllDataNodes()
                for value, scan in scans:
                    node.SetDataNodeAtValue(scan, value)
        if parent:
            hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node), parent)

    return putBack


def _countOf(sequenceNode) -> int:
    return int(sequenceNode.GetNumberOfDataNodes())


def _nodes() -> list[Any]:
    scene = slicer.mrmlScene
    return [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]


def _nodeIDs() -> set[str]:
    return {node.GetID() for node in _nodes()}


def _items() -> set[int]:
    """All items of the subject hierarchy."""
    hierarchy, items = subjectHierarchy(), vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return {items.GetId(number) for number in range(items.GetNumberOfIds())}


def _remove(nodes: Iterable) -> None:
    for node in list(nodes):
        if inScene(node) is not None:
            item = subjectHierarchy().GetItemByDataNode(node)
            if item:
                subjectHierarchy().RemoveItem(item, False, False)  # outside Slicer it would outlive its node
            slicer.mrmlScene.RemoveNode(node)
