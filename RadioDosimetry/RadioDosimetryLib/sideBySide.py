"""Early scan, delayed scan and dose beside each other: which volumes of the scene belong there."""

from __future__ import annotations

from typing import Any

import slicer

from .geometries import frameOfReferenceOf
from .quantities import quantityOf

_HOURS_ATTRIBUTE, _TIME_ATTRIBUTE = "RadioDosimetry.HoursAfterInjection", "RadioDosimetry.Time"
"""When a scan was taken, where its volume says it: hours after injection, or a date and time."""


def scansBesideDose(doseNode, otherDoseNode=None, activityNode=None) -> list[Any]:
    """At most three volumes to look at together.

    Parameters
    ----------
    doseNode
        The dose.
    otherDoseNode
        A dose by another method; None without.
    activityNode
        What the dose was computed from, shown where the scene holds no scans of activity.

    Returns
    -------
    list of vtkMRMLScalarVolumeNode
        The earliest and the latest scan of activity on the patient of the dose and the dose; with another dose one scan
        and both doses.
    """
    scans = _scans(doseNode)
    if not scans and activityNode is not None and activityNode.IsA("vtkMRMLScalarVolumeNode"):
        scans = [activityNode]
    if otherDoseNode is not None and otherDoseNode is not doseNode:
        return [*scans[:1], doseNode, otherDoseNode]
    return [*dict.fromkeys([*scans[:1], *scans[-1:]]), doseNode]


def newestDose():
    """The dose volume that came last into the scene; None where there is none."""
    doses = [node for node in _volumes() if _name(node) == "absorbed_dose"]
    return doses[-1] if doses else None


def _scans(doseNode) -> list[Any]:
    """Scans of activity in the frame of reference of a dose, or moved there by a transform, the earliest first."""
    frame = frameOfReferenceOf(doseNode)
    found = []
    for node in _volumes():
        own = None if node.GetParentTransformNode() is not None else frameOfReferenceOf(node)
        if _name(node) == "activity_concentration" and (own is None or frame is None or own == frame):
            found.append(node)
    if all(node.GetAttribute(_HOURS_ATTRIBUTE) for node in found):
        return sorted(found, key=lambda node: float(node.GetAttribute(_HOURS_ATTRIBUTE)))
    if all(node.GetAttribute(_TIME_ATTRIBUTE) for node in found):
        return sorted(found, key=lambda node: node.GetAttribute(_TIME_ATTRIBUTE))
    return found


def _volumes() -> list[Any]:
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in volumes if node.GetImageData() is not None]


def _name(node) -> str:
    quantity = quantityOf(node)
    return "" if quantity is None else quantity.value
