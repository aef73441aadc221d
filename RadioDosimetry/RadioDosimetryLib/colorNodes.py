"""Colour tables of the project: dose, differences, activity, uncertainty; made once per scene and saved with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer

COLOR_COUNT = 256

TRANSPARENT_SHARE = 0.012
"""Differences below this share of the end of their scale are transparent, so that the CT shows where there is none, as
in the figures of the report (1 %; a display has 256 levels, of which three span this). A display's threshold keeps one
range of values: the table does it."""

_ANCHORS = {
    "dose": (
        (0.00, (0.05, 0.03, 0.35)), (0.15, (0.10, 0.25, 0.75)), (0.35, (0.05, 0.65, 0.75)), (0.50, (0.25, 0.75, 0.30)),
        (0.65, (0.95, 0.90, 0.20)), (0.85, (0.95, 0.45, 0.10)), (1.00, (0.75, 0.05, 0.10)),
    ),
    "difference": (
        (0.00, (0.05, 0.20, 0.55)), (0.25, (0.30, 0.60, 0.85)), (0.50, (0.97, 0.97, 0.97)), (0.75, (0.95, 0.55, 0.40)),
        (1.00, (0.60, 0.05, 0.15)),
    ),
    "activity": (
        (0.00, (0.00, 0.00, 0.00)), (0.35, (0.60, 0.05, 0.00)), (0.65, (0.95, 0.45, 0.00)), (0.85, (1.00, 0.85, 0.25)),
        (1.00, (1.00, 1.00, 0.90)),
    ),
    "uncertainty": ((0.00, (0.98, 0.97, 0.85)), (0.50, (0.60, 0.55, 0.80)), (1.00, (0.20, 0.05, 0.35))),
}  # fmt: skip
"""Position (0 to 1) and colour between which a table runs straight: dose from dark blue over green to red, the order
that isodose displays have; differences from blue over white to red; activity as hot metal."""

_NODE_NAMES = {
    "dose": "RadioDosimetry_Dose",
    "difference": "RadioDosimetry_Difference",
    "activity": "RadioDosimetry_Activity",
    "uncertainty": "RadioDosimetry_Uncertainty",
}


_VERSION_ATTRIBUTE, _VERSION = "RadioDosimetry.ColorTable", "2"
"""Which colours a table has; those of older scenes are filled anew."""


def colorNode(kind: str):
    """The scene's colour table of a kind ("dose", "difference", "activity", "uncertainty"); made if there is none."""
    name = _NODE_NAMES[kind]
    node = slicer.mrmlScene.GetFirstNodeByName(name)
    if node is None or not node.IsA("vtkMRMLColorTableNode"):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", name)
        node.SetTypeToUser()
    elif node.GetAttribute(_VERSION_ATTRIBUTE) == _VERSION:
        return node
    node.SetNumberOfColors(COLOR_COUNT)
    for index, share in enumerate(np.linspace(0.0, 1.0, COLOR_COUNT)):
        node.SetColor(index, *colorAt(kind, float(share)), 0.0 if _isTransparent(kind, index) else 1.0)
        node.SetColorName(index, str(index))
    node.SetAttribute("Category", "RadioDosimetry")
    node.SetAttribute(_VERSION_ATTRIBUTE, _VERSION)
    node.SetHideFromEditors(False)
    return node


def _isTransparent(kind: str, index: int) -> bool:
    """Whether a level of a table stands for next to nothing: it holds the values up to the next level."""
    ends = (2.0 * level / (COLOR_COUNT - 1) - 1.0 for level in (index, index + 1))
    return kind == "difference" and all(abs(end) < TRANSPARENT_SHARE for end in ends)


def colorAt(kind: str, share: float) -> tuple[float, float, float]:
    """Colour (red, green, blue; 0 to 1) of a kind's table at a share (0 to 1) of its length."""
    positions, colors = zip(*_ANCHORS[kind], strict=True)
    columns: Sequence = np.array(colors).T
    red, green, blue = (float(np.interp(share, positions, column)) for column in columns)
    return red, green, blue
