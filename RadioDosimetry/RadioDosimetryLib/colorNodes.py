# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""Colour tables of the project: dose, differences, uncertainty; made once per scene and saved with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer

COLOR_COUNT = 256

_ANCHORS = {
    "dose": (
        (0.00, (0.05, 0.03, 0.35)), (0.15, (0.10, 0.25, 0.75)), (0.35, (0.05, 0.65, 0.75)), (0.50, (0.25, 0.75, 0.30)),
        (0.65, (0.95, 0.90, 0.20)), (0.85, (0.95, 0.45, 0.10)), (1.00, (0.75, 0.05, 0.10)),
    ),
    "difference": (
        (0.00, (0.05, 0.20, 0.55)), (0.25, (0.30, 0.60, 0.85)), (0.50, (0.97, 0.97, 0.97)), (0.75, (0.95, 0.55, 0.40)),
        (1.00, (0.60, 0.05, 0.15)),
    ),
    "uncertainty": ((0.00, (0.98, 0.97, 0.85)), (0.50, (0.60, 0.55, 0.80)), (1.00, (0.20, 0.05, 0.35))),
}  # fmt: skip
"""Position (0 to 1) and colour between which a table runs straight: dose from dark blue over green to red, the order
that isodose displays have; differences from blue over white to red."""

_NODE_NAMES = {
    "dose": "RadioDosimetry_Dose",
    "difference": "RadioDosimetry_Difference",
    "uncertainty": "RadioDosimetry_Uncertainty",
}


def colorNode(kind: str):
    """The scene's colour table of a kind ("dose", "difference", "uncertainty"); made if there is none."""
    name = _NODE_NAMES[kind]
    found = slicer.mrmlScene.GetFirstNodeByName(name)
    if found is not None and found.IsA("vtkMRMLColorTableNode"):
        return found
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
    node.SetTypeToUser()
    node.SetNumberOfColors(COLOR_COUNT)
    for index, color in enumerate(np.linspace(0.0, 1.0, COLOR_COUNT)):
        red, green, blue = colorAt(kind, float(color))
        node.SetColor(index, red, green, blue, 1.0)
        node.SetColorName(index, str(index))
    node.SetAttribute("Category", "RadioDosimetry")
    node.SetHideFromEditors(False)
    return node


def colorAt(kind: str, share: float) -> tuple[float, float, float]:
    """Colour (red, green, blue; 0 to 1) of a kind's table at a share (0 to 1) of its length."""
    positions, colors = zip(*_ANCHORS[kind], strict=True)
    columns: Sequence = np.array(colors).T
    red, green, blue = (float(np.interp(share, positions, column)) for column in columns)
    return red, green, blue
