"""Screenshots of the three panels with views, from the stand-in: `python Testing/Slicer/make_screenshots.py`.

Each module is opened, filled by clicks with the virtual patient of the sample data, run by its Apply button, and shot
when it has finished; the way from one early PET to doses is shot at each panel. The pictures go to
Resources/Screenshots, or to the folder named as argument.
Views, charts and tables are drawn by Slicer's own classes (slicer-core), the widgets by the stand-in: what a picture is
used for says "rendered by the stand-in, not a screenshot of Slicer".
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "Testing" / "Slicer"), str(PROJECT / "RadioDosimetry")]

LONGEST_WAIT_S = 300.0
"""A demonstration that takes longer has failed."""

BACKGROUND_SHARE = 0.05
"""Activity and dose below this share of the top of their window are background, and not shown."""

PET_WINDOW_BQ_PER_ML = 1.5e4
"""Top of the window of early, synthetic and acquired PET: the lesions, not the blood of the first hour."""

BELOW_MIDDLE_MM = 8.0
"""Axial views cut the lesion so far below its middle, nearer to the kidneys."""


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


def lookAt(segmentation: Any, volume: Any) -> None:
    """Turn the axial and sagittal views to the lesion that holds most, the coronal ones to the kidneys."""
    import slicer

    from RadioDosimetryLib.samplePatient import lesionPlace

    slicer.util.resetSliceViews()
    right, front, up = lesionPlace(segmentation, volume)
    lesion = (right, front, up - BELOW_MIDDLE_MM)
    kidney = lesionPlace(segmentation, volume, "left_kidney")
    for sliceNode in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        sliceNode.JumpSliceByOffsetting(*(kidney if sliceNode.GetOrientation() == "Coronal" else lesion))


def withoutBackground(volume: Any) -> None:
    """Let the CT show where there is next to no activity or dose."""
    display = volume.GetDisplayNode()
    display.SetLowerThreshold(BACKGROUND_SHARE * display.GetWindowLevelMax())


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
    """Dose of the virtual patient by multiple voxel S-values, with table, histogram and overlay."""
    import standin

    import VoxelDose

    ct, activity, segmentation = VoxelDose.loadSamplePatient(voxelMm)
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
    withoutBackground(dose)
    legend(dose)
    lookAt(segmentation, dose)
    return panel


def timeActivityFit(voxelMm: float) -> Any:
    """Four scans over a week, fitted per region, with a curve, its uncertainty and the table of the fits."""
    import TimeActivityFit

    ct, scans, hours, segmentation = TimeActivityFit.loadSamplePatient(voxelMm)
    panel, ui = _fitted(ct, scans, hours, segmentation)
    choose(ui.shownRegionComboBox, "left_kidney")
    ui.showCurvesButton.click()
    for section in (ui.injectionCollapsibleButton, ui.regionsCollapsibleButton):
        section.collapsed = True
    _overlay(ct, scans[1], segmentation)
    return panel


def timeActivityFitDoses(voxelMm: float) -> Any:
    """The same patient's organ doses with BED, and the map of time-integrated activity that VoxelDose takes."""
    import TimeActivityFit

    ct, scans, hours, segmentation = TimeActivityFit.loadSamplePatient(voxelMm)
    panel, ui = _fitted(ct, scans, hours, segmentation)
    for section in (ui.scansCollapsibleButton, ui.injectionCollapsibleButton, ui.resultsCollapsibleButton):
        section.collapsed = True
    ui.tiaCollapsibleButton.collapsed = False
    press(ui.tiaButton, ui.cancelButton)
    ui.tiaCollapsibleButton.collapsed = True
    ui.organDosesCollapsibleButton.collapsed = False
    ui.bedCheckBox.click()
    press(ui.organDosesButton, ui.cancelButton)
    choose(ui.shownRegionComboBox, "lesion_3")
    ui.logCheckBox.click()
    ui.showCurvesButton.click()
    _overlay(ct, ui.tiaVolumeSelector.currentNode(), segmentation)
    return panel


def _fitted(ct: Any, scans: list[Any], hours: list[float], segmentation: Any) -> tuple[Any, Any]:
    """The panel with the sample patient in it, measured and fitted."""
    import standin

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


def _overlay(ct: Any, activity: Any, segmentation: Any) -> None:
    """An activity over the CT at the lesion, without the speckle of the background."""
    from RadioDosimetryLib.display import shareWindow, showInSliceViews, showLegend

    shareWindow([activity])
    withoutBackground(activity)
    showInSliceViews(activity, ct)
    showLegend(activity)
    legend(activity, (0.12, 0.5))
    lookAt(segmentation, activity)


def delayedPET(voxelMm: float, model: str | None = None) -> Iterator[tuple[str, Any]]:
    """From one early PET to organ doses and a dose map: the panel of each step, with the name of its picture."""
    import standin

    import DelayedPETSynthesis

    name = _delayedModel(model)
    ct, early, late, segmentation = DelayedPETSynthesis.loadSamplePatient(voxelMm)
    _module, panel = standin.loadModule("DelayedPETSynthesis")
    ui = panel.self().ui
    ui.earlySelector.setCurrentNode(early)
    ui.ctSelector.setCurrentNode(ct)
    choose(ui.modelComboBox, name)
    ui.tracerComboBox.currentIndex = min(1, ui.tracerComboBox.count - 2)  # the model's own, where it has one
    ui.administeredSpinBox.value = _givenMBq()
    if ui.regionsSelector.enabled:
        ui.regionsSelector.setCurrentNode(segmentation)
    ui.segmentationSelector.setCurrentNode(segmentation)
    press(ui.applyButton, ui.cancelButton)
    _collapse(ui.modelCollapsibleButton, ui.outputsCollapsibleButton)
    ui.comparisonCollapsibleButton.collapsed = False
    ui.acquiredSelector.setCurrentNode(late)
    ui.compareButton.click()
    ui.showButton.click()
    made = panel.self().logic.results()
    _showWell((early, late, *made))
    lookAt(segmentation, late)
    yield "DelayedPETSynthesis", panel
    if ui.showUncertaintyButton.enabled:
        ui.modelCollapsibleButton.collapsed = False
        _collapse(ui.inputsCollapsibleButton, ui.comparisonCollapsibleButton)
        ui.showUncertaintyButton.click()
        _third(early)
        lookAt(segmentation, late)
        yield "DelayedPETUncertainty", panel
    press(ui.handOverButton, ui.cancelButton)
    yield "DelayedPETOrganDoses", _organDosesOfSynthetic(ct, made[0], segmentation)
    yield "DelayedPETVoxelDose", _doseOfSynthetic(segmentation)


def _delayedModel(model: str | None) -> str:
    """Name in the panel of a model by its file or name; else of the first that comes with the package, or of the floor
    of all models, decay alone."""
    from radiodosimetry.delayed_pet.shipped import model_named, shipped_models
    from RadioDosimetryLib.delayedPet import registerModel
    from RadioDosimetryLib.delayedPetFiles import registerModelFile
    from RadioDosimetryLib.delayedPetSample import DecayOnly

    found = model or next(iter(shipped_models()), None)
    if found is not None:
        return registerModelFile(model_named(found)).card.name
    registerModel(DecayOnly())
    return DecayOnly.card.name


def _givenMBq() -> float:
    """Activity that the patient of the sample data was given [MBq]."""
    from radiodosimetry.virtual_patients.sample_patient import COPPER_PET

    return 1e-6 * COPPER_PET.administered_bq


def _third(volume: Any) -> None:
    """Put a volume into the third view, which a layout of two does not have and the stand-in always shows."""
    from RadioDosimetryLib.display import showLegend, sliceCompositeNodes

    composite = next(node for node in sliceCompositeNodes() if node.GetLayoutName() == "Green")
    composite.SetForegroundVolumeID(volume.GetID())
    showLegend(volume)


def _showWell(volumes: tuple[Any, ...]) -> None:
    """One window for PET volumes."""
    for volume in volumes:
        volume.GetDisplayNode().SetWindowLevelMinMax(0.0, PET_WINDOW_BQ_PER_ML)
        volume.GetDisplayNode().SetLowerThreshold(1.0)  # Bq/mL: colours everywhere, so that noise makes no holes


def _threePlanes() -> None:
    """Turn the views away from those that lay beside each other: axial, sagittal and coronal."""
    import slicer

    for name, orientation in (("Red", "Axial"), ("Yellow", "Sagittal"), ("Green", "Coronal")):
        slicer.util.getNode(f"vtkMRMLSliceNode{name}").SetOrientation(orientation)


def _collapse(*sections: Any) -> None:
    """Fold parts of a panel, so that others are in the picture."""
    for section in sections:
        section.collapsed = True


def _organDosesOfSynthetic(ct: Any, synthetic: Any, segmentation: Any) -> Any:
    """TimeActivityFit as it was handed the scans: fitted, with organ doses, and the map that VoxelDose takes."""
    import standin

    _module, panel = standin.loadModule("TimeActivityFit")
    panel.enter()
    ui = panel.self().ui
    press(ui.applyButton, ui.cancelButton)
    ui.patientCTSelector.setCurrentNode(ct)
    press(ui.tiaButton, ui.cancelButton)
    press(ui.organDosesButton, ui.cancelButton)
    _collapse(
        ui.scansCollapsibleButton, ui.injectionCollapsibleButton, ui.regionsCollapsibleButton,
        ui.resultsCollapsibleButton, ui.tiaCollapsibleButton,
    )  # fmt: skip
    ui.organDosesCollapsibleButton.collapsed = False
    choose(ui.shownRegionComboBox, "liver")
    ui.showCurvesButton.click()
    _threePlanes()
    _overlay(ct, synthetic, segmentation)
    legend(synthetic)
    return panel


def _doseOfSynthetic(segmentation: Any) -> Any:
    """VoxelDose as it was handed the map: the dose over the CT, with its table."""
    import standin

    _module, panel = standin.loadModule("VoxelDose")
    panel.enter()
    ui = panel.self().ui
    ui.segmentationSelector.setCurrentNode(segmentation)
    choose(ui.methodComboBox, "Multiple")
    press(ui.applyButton, ui.cancelButton)
    _collapse(ui.inputsCollapsibleButton, ui.outputsCollapsibleButton)
    ui.showDoseButton.click()
    ui.showHistogramButton.click()
    dose = ui.shownDoseSelector.currentNode()
    _threePlanes()
    withoutBackground(dose)
    legend(dose)
    lookAt(segmentation, dose)
    return panel


DEMONSTRATIONS: dict[str, Callable[[float], Any]] = {
    "VoxelDose": voxelDose,
    "TimeActivityFit": timeActivityFit,
    "TimeActivityFitDoses": timeActivityFitDoses,
}
"""Pictures of one panel."""

DELAYED_PET = "DelayedPETSynthesis"
"""Name of the way from one early PET to doses, and of its first picture."""


def pictures(name: str, voxelMm: float, model: str | None) -> Iterator[tuple[str, Any]]:
    """Panels of a demonstration as they are to be shot, each with the name of its picture."""
    if name == DELAYED_PET:
        yield from delayedPET(voxelMm, model)
    else:
        yield name, DEMONSTRATIONS[name](voxelMm)


def _smaller(path: Path) -> Path:
    """A picture with a table of 256 colours: less than half of the size, and no difference that is seen."""
    from PIL import Image

    with Image.open(path) as picture:
        table = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
    table.save(path, optimize=True)
    return path


def main(arguments: list[str] | None = None) -> int:
    """Make the pictures; 1 when something went wrong in a slot or an observer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=PROJECT / "Resources" / "Screenshots")
    names = [*DEMONSTRATIONS, DELAYED_PET]
    parser.add_argument("--module", action="append", choices=names, help="only this one")
    parser.add_argument("--model", metavar="M", help="of delayed PET: a shipped model's name, or a file")
    parser.add_argument("--voxel-mm", type=float, default=4.0, help="edge of the voxels of the virtual patient")
    chosen = parser.parse_args(arguments)

    import standin

    standin.start(gui=True)
    import slicer

    failed = False
    for name in chosen.module or names:
        slicer.mrmlScene.Clear(0)
        shown = None
        for picture, panel in pictures(name, chosen.voxel_mm, chosen.model):
            if shown not in (None, panel):
                shown.exit()
            shown = panel
            print(_smaller(standin.screenshot(panel, chosen.folder / f"{picture}.png")))
        shown.exit()
        for problem in standin.forgetProblems():
            print(f"{name}: {problem!r}", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
