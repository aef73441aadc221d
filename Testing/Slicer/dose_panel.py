"""VoxelDose's panel opened for tests, and the hands of a person on it: choosing, clicking, waiting."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from panel_hands import choose as choose
from panel_hands import columns as columns
from panel_hands import node_ids as node_ids
from panel_hands import opened
from panel_hands import pick as pick
from panel_hands import type_path as type_path
from panel_hands import wait as wait

VOXEL_MM = 16.0
"""Coarse enough for a dose in a fraction of a second."""


def opened_panel() -> Iterator[SimpleNamespace]:
    """The panel of the module, opened; what runs is stopped and the module left in the end."""
    yield from opened("VoxelDose", "statusLabel")


def loaded_torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso in the scene, chosen in the panel by hand."""
    import slicer

    import VoxelDose
    from RadioDosimetryLib.hierarchy import itemOf

    ct, activity, segmentation = VoxelDose.loadSampleTorso(VOXEL_MM)
    itemOf(ct)
    panel.ui.ctSelector.setCurrentNode(ct)
    panel.ui.activitySelector.setCurrentNode(activity)
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    slicer.app.processEvents()
    return SimpleNamespace(ct=ct, activity=activity, segmentation=segmentation)


def core_dose(torso: SimpleNamespace, method: str, **options: Any) -> Any:
    """What the core computes."""
    from radiodosimetry.workflows.dose import DoseOptions, compute_dose, integrate_physical_decay
    from RadioDosimetryLib.segmentations import regionsFromSegmentation
    from RadioDosimetryLib.volumes import volumeFromNode

    tia = integrate_physical_decay(volumeFromNode(torso.activity), "Lu-177")
    regions = regionsFromSegmentation(torso.segmentation, tia.geometry)
    return compute_dose(volumeFromNode(torso.ct), tia, "Lu-177", method, regions, DoseOptions(**options))


def apply(panel: SimpleNamespace, method: str = "Local") -> None:
    choose(panel.ui.methodComboBox, method)
    panel.ui.applyButton.click()
    wait(panel)
