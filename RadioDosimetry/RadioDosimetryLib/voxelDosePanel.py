"""The panel of VoxelDose: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .display import arrangeSideBySide, showDifference, showDose, showSideBySide, showUncertainty
from .isodose import LEVEL_ATTRIBUTE, isodoseLines, removeIsodoseLines
from .pathFields import PathFields, PictureFolder, hear
from .plots import showInPlotView
from .regionEditor import RegionEditor, newSegmentation, requireEditor, shownScan
from .runningPanel import RunningPanel, Work
from .sideBySide import scansBesideDose
from .tissues import Tissue
from .voxelDoseChecks import isDose, missingForDifference, missingForDose, missingForPictures
from .voxelDoseModels import isLearned
from .voxelDoseOutputs import (
    ACTIVITY_ROLE,
    CHART_ROLE,
    CT_ROLE,
    SEGMENTATION_ROLE,
    TABLE_ROLE,
    UNCERTAINTY_ROLE,
    DoseTargets,
    storeDose,
)
from .voxelDoseRadiobiology import BiologySettings
from .voxelDoseRegions import RegionsTable

LOWEST_SHOWN_SHARE = 0.02
"""Dose below this share of the highest is transparent, so that the CT shows."""


class VoxelDosePanel(RunningPanel):
    """Wires the widgets of `VoxelDose.ui` to the logic.

    Parameters
    ----------
    ui
        Widgets by name.
    logic
        `VoxelDoseLogic`.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic, ui.statusLabel)
        self._regions = RegionsTable(ui.regionsTable, self._onSegmentsChanged)
        self._editor = RegionEditor(ui.regionsWidget.layout(), "VoxelDoseSegmentEditor", self._guarded)
        self._paths = PathFields(
            (
                (ui.ctCalibrationPathLineEdit, "ctCalibrationFile"),
                (ui.modelPathLineEdit, "modelFile"),
                (ui.radiobiologyPathLineEdit, "radiobiologyFile"),
            ),
            self._onPath,
        )
        self._pictures = PictureFolder(ui.picturesPathLineEdit, ui.savePicturesButton)
        for selector in (ui.shownDoseSelector, ui.referenceDoseSelector, ui.testDoseSelector):
            selector.addAttribute("vtkMRMLScalarVolumeNode", "DicomRtImport.DoseVolume", "1")

    def connect(self) -> None:
        """Connect the widgets; after that the panel answers to clicks."""
        ui = self._ui
        for button, slot in (
            (ui.applyButton, self.onApply),
            (ui.cancelButton, self.onCancel),
            (ui.showDoseButton, self.onShowDose),
            (ui.showUncertaintyButton, self.onShowUncertainty),
            (ui.showHistogramButton, self.onShowHistogram),
            (ui.isodoseButton, self.onShowIsodose),
            (ui.sideBySideButton, self.onShowSideBySide),
            (ui.exportButton, self.onExport),
            (ui.compareButton, self.onCompare),
            (ui.checkAllButton, self.onCheckAll),
            (ui.checkNoneButton, self.onCheckNone),
            (ui.editRegionsButton, self.onEditRegions),
        ):
            button.connect("clicked(bool)", slot)
        hear(ui.exportPathLineEdit, self.onExportPathChanged)
        self._paths.connect()
        self._pictures.connect(self.onSavePictures)
        ui.regionsTable.connect("itemChanged(QTableWidgetItem*)", self.onRegionChecked)

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._editor.release()
            self._regions.setSegmentation(None, ())
            self._showTable(None)
            self._ui.applyButton.enabled = False
            self._updateActions()
            return
        self.update()

    def update(self) -> None:
        """Bring the panel up to date with the choices."""
        parameters = self._parameters
        if parameters is None:
            return
        ui = self._ui
        self._paths.show(parameters)
        monteCarlo = parameters.method.value == "monte-carlo"
        convolution = parameters.method.value in ("single-vsv", "density-scaled", "multiple-vsv")
        ui.calibrationSpinBox.enabled = parameters.activityUnit.value == "counts"
        learned = isLearned(parameters.method.value)
        for widget in (ui.targetUncertaintySpinBox, ui.seedSpinBox):
            widget.enabled = monteCarlo
        for widget in (ui.deviceComboBox, ui.uncertaintySelector):
            widget.enabled = monteCarlo or learned
        for widget in (ui.modelLabel, ui.modelPathLineEdit):
            widget.visible = learned
        for widget in (
            ui.organAlphaBetaSpinBox, ui.organRepairSpinBox, ui.lesionAlphaBetaSpinBox, ui.lesionRepairSpinBox,
            ui.effectiveHalfLifeSpinBox, ui.alphaSpinBox, ui.radiobiologyPathLineEdit,
        ):  # fmt: skip
            widget.enabled = parameters.bed
        ui.historiesSpinBox.enabled = monteCarlo and not parameters.targetUncertaintyPercent > 0
        ui.kernelReachSpinBox.enabled = convolution
        ui.mediumComboBox.enabled = parameters.method.value == "single-vsv"
        self._regions.setSegmentation(parameters.segmentation, tuple(parameters.excludedSegmentIDs))
        self._editor.follow(parameters.segmentation)
        ui.editRegionsButton.enabled = parameters.ctVolume is not None
        for button in (ui.checkAllButton, ui.checkNoneButton):
            button.enabled = parameters.segmentation is not None
        self._updateResults(parameters.shownDose)
        self._updateActions()

    def _updateActions(self) -> None:
        """Enable what can be pressed, and say on the others what is missing."""
        ui, parameters = self._ui, self._parameters
        running = self._run.isRunning
        ui.cancelButton.enabled = running
        ui.progressBar.visible = running
        self._pictures.show(self._busy() or missingForPictures(parameters))
        if parameters is None:
            return
        missing = self._busy() or missingForDose(parameters)
        ui.applyButton.enabled = not missing
        ui.applyButton.toolTip = missing or _("Compute the absorbed dose.")
        missing = missingForDifference(parameters)
        ui.compareButton.enabled = not missing
        ui.compareButton.toolTip = missing or _("Subtract the reference dose from the other dose.")

    def _updateResults(self, doseNode) -> None:
        """Show the table of a dose, and enable what can be done with it."""
        hasDose = isDose(doseNode) and doseNode.GetImageData() is not None
        ui = self._ui
        ui.showDoseButton.enabled = hasDose
        ui.isodoseButton.enabled = ui.sideBySideButton.enabled = hasDose
        ui.showUncertaintyButton.enabled = hasDose and doseNode.GetNodeReference(UNCERTAINTY_ROLE) is not None
        ui.showHistogramButton.enabled = hasDose and doseNode.GetNodeReference(CHART_ROLE) is not None
        ui.exportButton.enabled = hasDose and bool(ui.exportPathLineEdit.currentPath.strip())
        ui.exportButton.toolTip = (
            _("Write the dose volume as a DICOM RT Dose file.")
            if ui.exportButton.enabled
            else _("Compute a dose, and choose the RT Dose file.")
        )
        self._showTable(doseNode.GetNodeReference(TABLE_ROLE) if hasDose else None)

    def _showTable(self, tableNode) -> None:
        view = self._ui.resultsTableView
        view.setMRMLTableNode(tableNode)
        if tableNode is not None:
            view.resizeColumnsToContents()

    # Computing

    def onApply(self) -> None:
        """Read the nodes and compute in the background."""
        self._start(self._doseWork, _("Computing the dose..."))

    def _doseWork(self) -> Work:
        """What the choices ask for, read from the nodes."""
        from radiodosimetry.errors import InputError

        from .requirements import ensureLearning
        from .voxelDoseWork import computeRequest, doseRequest

        self._paths.take()
        parameters = self._parameters
        missing = missingForDose(parameters)
        if missing:
            raise InputError(missing)
        targets = _targets(parameters)
        targets.requireDistinct()
        method = parameters.method.value
        if isLearned(method):
            ensureLearning(interactive=True)
        request = doseRequest(
            targets.ct,
            targets.activity,
            parameters.nuclide,
            method,
            targets.segmentation,
            self._regions.checkedSegmentIDs(),
            parameters.activityUnit.value or None,
            parameters.calibrationFactor or None,
            _settings(parameters),
        )
        title = self._logic.title(targets.activity, method)
        return (
            lambda progress: computeRequest(request, progress),
            lambda result: self._onStored(storeDose(result, targets, title), result),
        )

    def _onStored(self, nodes, result) -> None:
        self._choose(nodes.dose)
        self._ui.resultsCollapsibleButton.collapsed = False
        self._showDose(nodes.dose)
        self._sayDone(_("Dose done."), result.record.warnings)

    def _choose(self, doseNode) -> None:
        """Take a new dose for the results, and for a difference where none is chosen yet."""
        parameters = self._choices()
        with slicer.util.NodeModify(parameters):
            parameters.shownDose = doseNode
            if parameters.referenceDose is None:
                parameters.referenceDose = doseNode
            elif parameters.testDose is None and parameters.referenceDose is not doseNode:
                parameters.testDose = doseNode

    # Showing

    def onShowDose(self) -> None:
        """Dose over CT in the slice views."""
        self._guarded(lambda: self._showDose(self._parameters.shownDose))

    def onShowUncertainty(self) -> None:
        """Relative uncertainty over CT in the slice views."""
        self._guarded(self._showUncertainty)

    def _showUncertainty(self) -> None:
        dose = self._parameters.shownDose
        showUncertainty(dose.GetNodeReference(UNCERTAINTY_ROLE), dose.GetNodeReference(CT_ROLE))

    def onShowHistogram(self) -> None:
        """Dose-volume histogram in a plot view."""
        self._guarded(self._showHistogram)

    def onShowSideBySide(self) -> None:
        """Early scan, delayed scan and dose in linked views."""
        self._guarded(self._showSideBySide)

    def _showSideBySide(self) -> None:
        parameters = self._parameters
        dose = parameters.shownDose
        other = parameters.testDose if parameters.referenceDose is dose else parameters.referenceDose
        activity = dose.GetNodeReference(ACTIVITY_ROLE)
        shown = scansBesideDose(dose, other if parameters.testDose is not None else None, activity)
        arrangeSideBySide(showSideBySide(shown, dose.GetNodeReference(CT_ROLE)))
        names = ", ".join(node.GetName() for node in shown)
        self._say(_("Beside each other, linked: {names}.").format(names=names))

    def onShowIsodose(self) -> None:
        """Isodose lines in the slice views, or none any more."""
        self._guarded(self._toggleIsodose)

    def _toggleIsodose(self) -> None:
        dose = self._parameters.shownDose
        if not self._ui.isodoseButton.checked:
            removeIsodoseLines(dose)
            return
        models = isodoseLines(dose)
        levels = ", ".join(model.GetAttribute(LEVEL_ATTRIBUTE) for model in models)
        self._say(_("Isodose lines of {levels} Gy.").format(levels=levels))

    def _showDose(self, doseNode) -> None:
        highest = doseNode.GetImageData().GetScalarRange()[1]
        lowest = LOWEST_SHOWN_SHARE * highest if highest > 0 else None
        showDose(doseNode, doseNode.GetNodeReference(CT_ROLE), minimumGy=lowest)
        segmentation = doseNode.GetNodeReference(SEGMENTATION_ROLE)
        if segmentation is not None and segmentation.GetDisplayNode() is not None:
            segmentation.GetDisplayNode().SetVisibility2DFill(False)  # outlines, so that the dose is seen

    def _showHistogram(self) -> None:
        manager = slicer.app.layoutManager()
        manager.setLayout(slicer.modules.plots.logic().GetLayoutWithPlot(manager.layout))
        showInPlotView(self._parameters.shownDose.GetNodeReference(CHART_ROLE))

    # Differences and files

    def onCompare(self) -> None:
        """Difference of two doses as a volume."""
        self._guarded(self._compare)

    def _compare(self) -> None:
        parameters = self._parameters
        node = self._logic.computeDifference(parameters.referenceDose, parameters.testDose, parameters.differenceVolume)
        parameters.differenceVolume = node
        background = parameters.referenceDose.GetNodeReference(CT_ROLE) or parameters.ctVolume
        showDifference(node, background, title=_("Dose difference") + "\nGy")
        lowest, highest = node.GetImageData().GetScalarRange()
        self._say(_("Difference from {lowest:.4g} to {highest:.4g} Gy.").format(lowest=lowest, highest=highest))

    def onExport(self) -> None:
        """Dose as an RT Dose file."""
        self._guarded(self._export)

    def _export(self) -> None:
        path = Path(self._ui.exportPathLineEdit.currentPath.strip())
        if not path.suffix:
            path = path.with_suffix(".dcm")
        self._logic.exportRtDose(self._parameters.shownDose, path)
        self._say(_("Written: {path}").format(path=path))

    def onExportPathChanged(self) -> None:
        """Allow the export while a file is chosen."""
        if self._parameters is not None:
            self._updateResults(self._parameters.shownDose)

    def onSavePictures(self) -> None:
        """Pictures of the dose as the report has them."""
        self._start(self._picturesWork, _("Drawing..."))

    def _picturesWork(self) -> Work:
        from .pictures import dosePictures

        task = dosePictures(self._parameters.shownDose, self._pictures.path())
        return task.work, lambda made: self._say(self._pictures.written(task.finish(made)))

    def _onPath(self, name: str, path: str) -> None:
        """Keep a file among the choices."""
        if self._parameters is not None and getattr(self._parameters, name) != path:
            setattr(self._parameters, name, path)

    # Regions

    def onRegionChecked(self) -> None:
        """Keep the check marks among the choices."""
        self._regions.onItemChanged()

    def onCheckAll(self) -> None:
        """Take every segment."""
        self._regions.checkAll(True)

    def onCheckNone(self) -> None:
        """Take no segment."""
        self._regions.checkAll(False)

    def onEditRegions(self) -> None:
        """Open the segment editor; a segmentation is made where none is chosen."""
        self._guarded(self._editRegions)

    def _editRegions(self) -> None:
        requireEditor()
        parameters = self._parameters
        if parameters.segmentation is None:
            parameters.segmentation = newSegmentation(parameters.ctVolume)
        self._editor.toggle(parameters.segmentation, parameters.ctVolume, shownScan(parameters.activityVolume))

    def _onSegmentsChanged(self, excludedSegmentIDs: list[str]) -> None:
        if self._parameters is not None:
            self._parameters.excludedSegmentIDs = excludedSegmentIDs


def _targets(parameters) -> DoseTargets:
    return DoseTargets(
        parameters.ctVolume,
        parameters.activityVolume,
        parameters.segmentation,
        parameters.doseVolume,
        parameters.uncertaintyVolume,
        parameters.doseTable,
    )


def _settings(parameters):
    from .voxelDoseWork import DoseSettings

    return DoseSettings(
        histories=parameters.histories,
        targetUncertaintyPercent=parameters.targetUncertaintyPercent or None,
        seed=parameters.seed,
        device=parameters.device.value,
        clampCtNumbers=parameters.clampCtNumbers,
        bodyMask=parameters.bodyMask,
        ctCalibrationFile=parameters.ctCalibrationFile,
        kernelReachMm=parameters.kernelReachMm,
        singleMedium=parameters.singleMedium,
        lesionsExcluded=parameters.lesionsExcluded,
        biology=_biology(parameters) if parameters.bed else None,
        modelFile=parameters.modelFile if isLearned(parameters.method.value) else "",
    )


def _biology(parameters) -> BiologySettings:
    return BiologySettings(
        Tissue(parameters.organAlphaBetaGy, parameters.organRepairHours),
        Tissue(parameters.lesionAlphaBetaGy, parameters.lesionRepairHours),
        parameters.effectiveHalfLifeHours or None,
        parameters.alphaPerGy or None,
        parameters.radiobiologyFile,
    )
