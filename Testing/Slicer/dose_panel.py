"""VoxelDose's panel opened for tests, and the hands of a person on it: choosing, clicking, waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

VOXEL_MM = 16.0
"""Coarse enough for a dose in a fraction of a second."""

LONGEST_WAIT_S = 30.0


def opened_panel() -> Iterator[SimpleNamespace]:
    """The panel of the module, opened; what runs is stopped and the module left in the end."""
    import standin

    _module, representation = standin.loadModule("VoxelDose")
    widget = representation.self()
    if not representation.isEntered:
        representation.enter()
    yield SimpleNamespace(ui=widget.ui, widget=widget, logic=widget.logic, run=widget._panel)
    widget._panel.abandon()
    representation.exit()


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


def choose(box: Any, text: str) -> None:
    """Choose an entry of a combo box as a person does."""
    index = next(number for number in range(box.count) if text in box.itemText(number))
    box.currentIndex = index


def pick(selector: Any, node: Any) -> None:
    """Choose a node as a person does who opens the box and clicks on its row."""
    selector.setCurrentNode(node)
    selector.nodeActivated.emit(node)


def type_path(edit: Any, text: str) -> None:
    """Put another text into a field of a file, as a person does who empties it and pastes."""
    line = edit.comboBox().lineEdit()
    line.clear()
    line.setText(text)


def wait(panel: SimpleNamespace, until: Callable[[], bool] | None = None) -> None:
    """Let the window live until the run ends, or something else comes true."""
    import slicer

    end = time.monotonic() + LONGEST_WAIT_S
    done = until or (lambda: not panel.run.isRunning)
    while not done():
        assert time.monotonic() < end, f"still waiting: {panel.ui.statusLabel.text}"
        slicer.app.processEvents()


def node_ids() -> set[str]:
    import slicer

    scene = slicer.mrmlScene
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}


def columns(table: Any) -> dict[str, list[Any]]:
    from RadioDosimetryLib.tables import columnsOf

    return columnsOf(table)


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
