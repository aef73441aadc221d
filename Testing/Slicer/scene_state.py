"""All that a scene holds, as values to compare; and a store that fails at each of its steps in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest


class BrokenStepError(Exception):
    """What the failing step raises."""


def state() -> dict[str, Any]:
    """Every node by ID with attributes, references and content, and the tree of the subject hierarchy."""
    import slicer

    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(number) for number in range(scene.GetNumberOfNodes())]
    found: dict[str, Any] = {node.GetID(): _ofNode(node) for node in nodes}
    found["hierarchy"] = _tree()
    return found


def failing_steps(
    monkeypatch: pytest.MonkeyPatch, steps: list[tuple[Any, str]], action: Callable[[], Any], smallest: int
) -> Iterator[int]:
    """Run an action again and again, each time with another call of its steps failing, before or after its work.

    Parameters
    ----------
    steps
        Modules and names of functions that are called during the action.
    action
        What is run; it must raise what a step raises.
    smallest
        So many failures there must be at least, or the test tries less than it says.

    Yields
    ------
    int
        The number of the step that has just failed; the scene is there to be looked at.
    """
    calls, wanted = [0], [0]

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any, **named: Any) -> Any:
            _fail(calls, wanted)
            made = function(*arguments, **named)
            _fail(calls, wanted)
            return made

        return step

    with monkeypatch.context() as patched:
        for module, name in steps:
            patched.setattr(module, name, counted(getattr(module, name)))
        while True:
            calls[0], wanted[0] = 0, wanted[0] + 1
            try:
                action()
            except BrokenStepError:
                yield wanted[0]
            else:
                break
    assert wanted[0] > smallest, f"only {wanted[0] - 1} steps failed"


def _fail(calls: list[int], wanted: list[int]) -> None:
    calls[0] += 1
    if calls[0] == wanted[0]:
        raise BrokenStepError(f"step {wanted[0]}")


def _ofNode(node: Any) -> dict[str, Any]:
    names = list(node.GetAttributeNames())
    roles: list[str] = []
    node.GetNodeReferenceRoles(roles)
    found: dict[str, Any] = {
        "class": node.GetClassName(),
        "name": node.GetName(),
        "attributes": {name: node.GetAttribute(name) for name in names},
        "references": {
            role: [node.GetNthNodeReferenceID(role, number) for number in range(node.GetNumberOfNodeReferences(role))]
            for role in roles
            if node.GetNumberOfNodeReferences(role)
        },
    }
    if node.IsA("vtkMRMLSubjectHierarchyNode"):
        return {"class": found["class"]}  # its items are in the tree
    if node.IsA("vtkMRMLVolumeNode"):
        found |= _ofVolume(node)
    if node.IsA("vtkMRMLTableNode"):
        found["cells"] = _cells(node)
    if node.IsA("vtkMRMLSequenceNode"):
        count = node.GetNumberOfDataNodes()
        found["scans"] = [(node.GetNthIndexValue(n), _ofVolume(node.GetNthDataNode(n))) for n in range(count)]
    if node.IsA("vtkMRMLPlotChartNode"):
        found["titles"] = (node.GetTitle(), node.GetXAxisTitle(), node.GetYAxisTitle(), node.GetYAxisLogScale())
    return found


def _ofVolume(node: Any) -> dict[str, Any]:
    import slicer
    import vtk

    if node.GetImageData() is None:
        return {"voxels": None}
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    codes = (node.GetVoxelValueQuantity(), node.GetVoxelValueUnits())
    return {
        "voxels": slicer.util.arrayFromVolume(node).tobytes(),
        "shape": slicer.util.arrayFromVolume(node).shape,
        "grid": slicer.util.arrayFromVTKMatrix(matrix).tolist(),
        "codes": [None if code is None else code.GetCodeValue() for code in codes],
    }


def _cells(node: Any) -> list[Any]:
    from RadioDosimetryLib.tables import columnsOf

    columns = columnsOf(node) if node.GetTable() is not None else {}
    units = [node.GetColumnUnitLabel(name) for name in columns]
    return [[name, *(str(np.array(cells).tolist()),)] for name, cells in columns.items()] + [units]


def _tree() -> list[tuple[str, str, str]]:
    """Parent, name and node of every item of the subject hierarchy."""
    import slicer
    import vtk

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    found = []
    for number in range(items.GetNumberOfIds()):
        item = items.GetId(number)
        node = hierarchy.GetItemDataNode(item)
        parent = hierarchy.GetItemName(hierarchy.GetItemParent(item))
        found.append((parent, hierarchy.GetItemName(item), "" if node is None else node.GetID()))
    return sorted(found)
