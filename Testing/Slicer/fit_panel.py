"""TimeActivityFit's panel opened for tests, and the hands of a person on it: choosing, typing, clicking, waiting."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
from panel_hands import choose as choose
from panel_hands import columns as columns
from panel_hands import node_ids as node_ids
from panel_hands import opened
from panel_hands import pick as pick
from panel_hands import type_path as type_path
from panel_hands import wait as wait

VOXEL_MM = 16.0
"""Coarse enough for everything in a fraction of a second."""

GIVEN_MBQ = 7400.0
NAME, HOURS, CT, OWN_REGIONS, TRANSFORM = range(5)
REGION, MODEL, ORGAN = range(3)


def opened_panel() -> Iterator[SimpleNamespace]:
    """The panel of the module, opened; what runs is stopped and the module left in the end."""
    yield from opened("TimeActivityFit", "messageLabel")


def loaded_torso(panel: SimpleNamespace, voxel_mm: float = VOXEL_MM) -> SimpleNamespace:
    """The virtual torso in the scene, its scans put into the table and its hours typed by hand."""
    import TimeActivityFit

    ct, scans, hours, segmentation = TimeActivityFit.loadSampleScans(voxel_mm, noisePercent=3.0)
    for scan in scans:
        add(panel, scan)
    for row, value in enumerate(hours):
        type_hours(panel, row, f"{value:g}")
    panel.ui.segmentationSelector.setCurrentNode(segmentation)
    panel.ui.administeredSpinBox.value = GIVEN_MBQ
    rows = list(zip(scans, hours, strict=True))
    return SimpleNamespace(ct=ct, scans=scans, hours=hours, segmentation=segmentation, rows=rows)


def add(panel: SimpleNamespace, node: Any) -> None:
    """Put a scan into the table."""
    panel.ui.scanSelector.setCurrentNode(node)
    panel.ui.addScanButton.click()


def type_hours(panel: SimpleNamespace, row: int, text: str) -> None:
    """Type the hours of a scan."""
    panel.ui.scansTable.item(row, HOURS).setText(text)


def select(panel: SimpleNamespace, row: int) -> None:
    """Select a scan."""
    panel.ui.scansTable.setCurrentCell(row, NAME)


def row_of(panel: SimpleNamespace, region: str) -> int:
    """Row of a region in the table."""
    table = panel.ui.regionsTable
    return next(row for row in range(table.rowCount) if table.item(row, REGION).text() == region)


def click(panel: SimpleNamespace, button: Any) -> None:
    """Press a button that can be pressed, and wait for what it starts."""
    assert button.enabled, button.toolTip
    button.click()
    wait(panel)


def parameters(panel: SimpleNamespace) -> Any:
    """The choices."""
    return panel.logic.getParameterNode()


def moved_scan(node: Any, shift_mm: tuple[float, float, float], name: str) -> Any:
    """A scan as it would be had the patient lain elsewhere (RAS)."""
    from dataclasses import replace

    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    volume = volumeFromNode(node)
    lps = np.array(shift_mm) * [-1.0, -1.0, 1.0]
    origin = tuple(np.array(volume.geometry.origin_mm) + lps)
    return nodeFromVolume(replace(volume, geometry=replace(volume.geometry, origin_mm=origin)), name)


def second_scan_moved(panel: SimpleNamespace, torso: SimpleNamespace) -> Any:
    """The second row holds a scan of a patient who lay 40 mm further; its regions of its own are not chosen yet."""
    moved = moved_scan(torso.scans[1], (40.0, 0.0, 0.0), "moved")
    select(panel, 1)
    panel.ui.removeScanButton.click()
    add(panel, moved)
    type_hours(panel, 3, "24")
    panel.ui.sortScansButton.click()
    select(panel, 1)
    return moved
