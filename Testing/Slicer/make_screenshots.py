"""Screenshots of the three panels with views, from the stand-in: `python Testing/Slicer/make_screenshots.py`.

Each module is opened, filled by clicks with the virtual torso of `radiodosimetry.virtual_patients`, run by its Apply
button, and shot when it has finished. The pictures go to Resources/Screenshots, or to the folder named as argument.
Views, charts and tables are drawn by Slicer's own classes (slicer-core), the widgets by the stand-in: what a picture is
used for says "rendered by the stand-in, not a screenshot of Slicer".
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "Testing" / "Slicer"), str(PROJECT / "RadioDosimetry")]

LONGEST_WAIT_S = 300.0
"""A demonstration that takes longer has failed."""

BACKGROUND_SHARE = 0.027
"""Activity below this share of the highest is background, and not shown."""


def wait(until: Callable[[], bool]) -> None:
    """Let the window live until something comes true."""
    import slicer

    end = time.monotonic() + LONGEST_WAIT_S
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the demonstration did not finish")
        slicer.app.processEvents()
        time.sleep(0.01)


def choose(box: Any, text: str) -> None:
    """Choose the entry of a combo box that contains a text."""
    box.currentIndex = next(index for index in range(box.count) if text in box.itemText(index))


def press(button: Any, cancelButton: Any) -> None:
    """Press a button that can be pressed, and wait until nothing can be cancelled any more."""
    if not button.enabled:
        raise RuntimeError(f"{button.text} is disabled: {button.toolTip}")
    button.click()
    wait(lambda: not cancelButton.enabled)


def lookAt(node: Any) -> None:
    """Move all slice views to the highest value of a volume."""
    import numpy as np
    import slicer

    array = slicer.util.arrayFromVolume(node)
    k, j, i = np.unravel_index(int(array.argmax()), array.shape)
    place = (_ijkToRAS(node) @ (i, j, k, 1.0))[:3]
    slicer.util.resetSliceViews()
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        sliceNode.JumpSliceByOffsetting(*place)


def _ijkToRAS(node: Any) -> Any:
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def outlines(segmentation: Any) -> None:
    """Show segments as outlines, so that what lies below is seen."""
    display = segmentation.GetDisplayNode()
    display.SetVisibility2DFill(False)
    display.SetVisibility2DOutline(True)
    display.SetSliceIntersectionThickness(2)


def legend(node: Any, size: tuple[float, float] = (0.08, 0.4)) -> None:
    """Make the colour legend of a volume small enough for small views."""
    import slicer

    display = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
    for words in (display.GetTitleTextProperty(), display.GetLabelTextProperty()):
        words.SetFontSize(14)
        words.SetFontFamilyToArial()
    display.SetVisibility(False)
    display.SetSize(*size)
    display.SetPosition(0.99, 0.9)
    display.SetVisibility(True)


def voxelDose(voxelMm: float) -> Any:
    """Dose of the virtual torso by multiple voxel S-values, with table, histogram and overlay."""
    import standin

    import VoxelDose

    ct, activity, segmentation = VoxelDose.loadSampleTorso(voxelMm)
    outlines(segmentation)
    _module, panel = standin.loadModule("VoxelDose")
    ui = panel.self().ui
    ui.ctSelector.setCurrentNode(ct)
    ui.activitySelector.setCurrentNode(activity)
    ui.segmentationSelector.setCurrentNode(segmentation)
    choose(ui.methodComboBox, "Multiple")
    press(ui.applyButton, ui.cancelButton)
    ui.showDoseButton.click()
    ui.showHistogramButton.click()
    dose = ui.shownDoseSelector.currentNode()
    legend(dose)
    lookAt(dose)
    return panel


def timeActivityFit(voxelMm: float) -> Any:
    """Four scans over a week, fitted per region, with a curve, its uncertainty and the table of the fits."""
    import TimeActivityFit
    from RadioDosimetryLib.display import showDose

    ct, scans, hours, segmentation = TimeActivityFit.loadSampleScans(voxelMm, noisePercent=2.0)
    panel, ui = _fitted(ct, scans, hours, segmentation)
    choose(ui.shownRegionComboBox, "left_kidney")
    ui.showCurvesButton.click()
    for section in (ui.injectionCollapsibleButton, ui.regionsCollapsibleButton):
        section.collapsed = True
    _overlay(ct, scans[0], showDose)
    return panel


def timeActivityFitDoses(voxelMm: float) -> Any:
    """The same patient's organ doses with BED, and the map of time-integrated activity that VoxelDose takes."""
    import TimeActivityFit
    from RadioDosimetryLib.display import showDose

    ct, scans, hours, segmentation = TimeActivityFit.loadSampleScans(voxelMm, noisePercent=2.0)
    panel, ui = _fitted(ct, scans, hours, segmentation)
    for section in (ui.scansCollapsibleButton, ui.injectionCollapsibleButton, ui.resultsCollapsibleButton):
        section.collapsed = True
    ui.tiaCollapsibleButton.collapsed = False
    press(ui.tiaButton, ui.cancelButton)
    ui.tiaCollapsibleButton.collapsed = True
    ui.organDosesCollapsibleButton.collapsed = False
    ui.bedCheckBox.click()
    press(ui.organDosesButton, ui.cancelButton)
    choose(ui.shownRegionComboBox, "tumour1")
    ui.logCheckBox.click()
    ui.showCurvesButton.click()
    _overlay(ct, ui.tiaVolumeSelector.currentNode(), showDose)
    return panel


def _fitted(ct: Any, scans: list[Any], hours: list[float], segmentation: Any) -> tuple[Any, Any]:
    """The panel with the sample patient in it, measured and fitted."""
    import standin

    outlines(segmentation)
    _module, panel = standin.loadModule("TimeActivityFit")
    ui = panel.self().ui
    for row, (scan, at) in enumerate(zip(scans, hours, strict=True)):
        ui.scanSelector.setCurrentNode(scan)
        ui.addScanButton.click()
        ui.scansTable.item(row, 1).setText(f"{at:g}")
        ui.scansTable.setCurrentCell(row, 0)
        ui.ctSelector.setCurrentNode(ct)
    ui.administeredSpinBox.value = 7400.0
    ui.calibrationUncertaintySpinBox.value = 5.0
    ui.volumeUncertaintySpinBox.value = 8.0
    ui.segmentationSelector.setCurrentNode(segmentation)
    press(ui.applyButton, ui.cancelButton)
    return panel, ui


def _overlay(ct: Any, activity: Any, showDose: Callable[..., None]) -> None:
    """An activity over the CT at its highest value, without the speckle of the background."""
    ct.GetDisplayNode().SetAutoWindowLevel(False)
    ct.GetDisplayNode().SetWindowLevelMinMax(-160.0, 240.0)
    showDose(activity, ct, minimumGy=BACKGROUND_SHARE * activity.GetImageData().GetScalarRange()[1])
    legend(activity, (0.12, 0.5))
    lookAt(activity)


def delayedPETSynthesis(voxelMm: float) -> Any:
    """The panel with the model of its self-test, compared with a later scan: decay alone, the floor of real models."""
    import standin

    import DelayedPETSynthesis
    from RadioDosimetryLib.delayedPet import registerModel
    from RadioDosimetryLib.delayedPetSample import DecayOnly

    registerModel(DecayOnly())
    ct, early, late, segmentation = DelayedPETSynthesis.loadSampleScans(voxelMm)
    _module, panel = standin.loadModule("DelayedPETSynthesis")
    ui = panel.self().ui
    ui.earlySelector.setCurrentNode(early)
    ui.ctSelector.setCurrentNode(ct)
    press(ui.applyButton, ui.cancelButton)
    ui.comparisonCollapsibleButton.collapsed = False
    ui.acquiredSelector.setCurrentNode(late)
    ui.segmentationSelector.setCurrentNode(segmentation)
    ui.compareButton.click()
    ui.showButton.click()
    lookAt(late)
    return panel


DEMONSTRATIONS = {
    "VoxelDose": voxelDose,
    "TimeActivityFit": timeActivityFit,
    "TimeActivityFitDoses": timeActivityFitDoses,
    "DelayedPETSynthesis": delayedPETSynthesis,
}


def main(arguments: list[str] | None = None) -> int:
    """Make the pictures; 1 when something went wrong in a slot or an observer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=PROJECT / "Resources" / "Screenshots")
    parser.add_argument("--module", action="append", choices=list(DEMONSTRATIONS), help="only this one")
    parser.add_argument("--voxel-mm", type=float, default=4.0, help="edge of the voxels of the virtual torso")
    chosen = parser.parse_args(arguments)

    import standin

    standin.start(gui=True)
    import slicer

    failed = False
    for name in chosen.module or DEMONSTRATIONS:
        slicer.mrmlScene.Clear(0)
        panel = DEMONSTRATIONS[name](chosen.voxel_mm)
        print(standin.screenshot(panel, chosen.folder / f"{name}.png"))
        panel.exit()
        for problem in standin.forgetProblems():
            print(f"{name}: {problem!r}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
