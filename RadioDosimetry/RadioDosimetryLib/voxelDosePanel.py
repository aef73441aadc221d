# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""The panel of VoxelDose: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

import logging
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from .background import BackgroundRun
from .display import showDifference, showDose, showUncertainty
from .isodose import LEVEL_ATTRIBUTE, isodoseLines, removeIsodoseLines
from .plots import showInPlotView
from .voxelDoseChecks import isDose, missingForDifference, missingForDose
from .voxelDoseEditor import RegionEditor, newSegmentation, requireEditor
from .voxelDoseOutputs import (
    CHART_ROLE,
    CT_ROLE,
    SEGMENTATION_ROLE,
    TABLE_ROLE,
    UNCERTAINTY_ROLE,
    DoseTargets,
    storeDose,
)
from .voxelDoseRegions import RegionsTable
from .voxelDoseWork import isSequence

LOWEST_SHOWN_SHARE = 0.02
"""Dose below this share of the highest is transparent, so that the CT shows."""

_LOG = logging.getLogger(__name__)


class VoxelDosePanel:
    """Wires the widgets of `VoxelDose.ui` to the logic.

    Parameters
    ----------
    ui
        Widgets by name.
    logic
        `VoxelDoseLogic`.
    """

    def __init__(self, ui, logic) -> None:
        self._ui = ui
        self._logic = logic
        self._parameters = None
        self._run = BackgroundRun()
        self._regions = RegionsTable(ui.regionsTable, self._onSegmentsChanged)
        self._editor = RegionEditor(ui.regionsWidget.layout())
        ui.progressBar.visible = False

    @property
    def isRunning(self) -> bool:
        """Whether a dose is being computed."""
        return self._run.isRunning

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._editor.release()
            self._regions.setSegmentation(None, ())
            self._showTable(None)
            self._ui.applyButton.enabled = False
            return
        self._ui.ctCalibrationPathLineEdit.currentPath = parameters.ctCalibrationFile
        self.update()

    def update(self) -> None:
        """Bring the panel up to date with the choices."""
        parameters = self._parameters
        if parameters is None:
            return
        ui = self._ui
        monteCarlo = parameters.method.value == "monte-carlo"
        convolution = parameters.method.value in ("single-vsv", "density-scaled", "multiple-vsv")
        ui.calibrationSpinBox.enabled = parameters.activityUnit.value == "counts"
        for widget in (ui.targetUncertaintySpinBox, ui.seedSpinBox, ui.deviceComboBox, ui.uncertaintySelector):
            widget.enabled = monteCarlo
        ui.historiesSpinBox.enabled = monteCarlo and not parameters.targetUncertaintyPercent > 0
        ui.kernelReachSpinBox.enabled = convolution
        ui.mediumComboBox.enabled = parameters.method.value == "single-vsv"
        self._regions.setSegmentation(parameters.segmentation, tuple(parameters.excludedSegmentIDs))
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
        if parameters is None:
            return
        missing = _("A dose is being computed; wait or cancel it.") if running else missingForDose(parameters)
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
        ui.isodoseButton.enabled = hasDose
        ui.showUncertaintyButton.enabled = hasDose and doseNode.GetNodeReference(UNCERTAINTY_ROLE) is not None
        ui.showHistogramButton.enabled = hasDose and doseNode.GetNodeReference(CHART_ROLE) is not None
        ui.exportButton.enabled = hasDose and bool(ui.exportPathLineEdit.currentPath)
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
        if self._run.isRunning:
            self._say(_("A dose is being computed; wait or cancel it."), isError=True)
            return
        from .requirements import ensureRequirements
        from .voxelDoseWork import computeRequest, doseRequest

        parameters = self._parameters
        try:
            ensureRequirements(interactive=True)
            targets = _targets(parameters)
            targets.requireDistinct()
            method = parameters.method.value
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
            self._run.start(
                lambda progress: computeRequest(request, progress),
                lambda result, error: self._onFinished(result, error, targets, title),
                self._onProgress,
            )
        except Exception as error:  # every failure ends as a message in the panel
            self._sayError(error)
        else:
            self._ui.progressBar.value = 0
            self._say(_("Computing the dose..."))
        self._updateActions()

    def onCancel(self) -> None:
        """Ask the computation to stop."""
        if self._run.isRunning:
            self._run.cancel()
            self._ui.cancelButton.enabled = False
            self._say(_("Cancelling..."))

    def abandon(self) -> None:
        """Stop the computation and forget its result: the scene or the panel goes away."""
        if self._run.isRunning:
            self._run.abandon()
            self._say(_("The computation was stopped, since the scene was closed."))
        self._updateActions()

    def _onProgress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(100 * fraction)
        if self._ui.cancelButton.enabled:
            self._say(message)

    def _onFinished(self, result, error, targets: DoseTargets, title: str) -> None:
        """Leave the result in the scene and show it; or say why there is none."""
        from radiodosimetry.errors import CancelledError

        if isinstance(error, CancelledError):
            self._say(_("Cancelled; the scene is unchanged."))
        elif error is not None:
            self._sayError(error)
        else:
            try:
                nodes = storeDose(result, targets, title)
            except Exception as failure:  # as in onApply
                self._sayError(failure)
            else:
                self._onStored(nodes, result)
        self._updateActions()

    def _onStored(self, nodes, result) -> None:
        self._choose(nodes.dose)
        self._ui.resultsCollapsibleButton.collapsed = False
        self._showDose(nodes.dose)
        warnings = result.record.warnings
        text = _("Dose done.")
        if warnings:
            text = _("Dose done. Beware: {warnings}").format(warnings=" ".join(warnings))
        self._say(text, isWarning=bool(warnings))

    def _choose(self, doseNode) -> None:
        """Take a new dose for the results, and for a difference where none is chosen yet."""
        parameters = self._parameters
        if parameters is None:
            return
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
        showDifference(node, parameters.referenceDose.GetNodeReference(CT_ROLE) or parameters.ctVolume)
        lowest, highest = node.GetImageData().GetScalarRange()
        self._say(_("Difference from {lowest:.4g} to {highest:.4g} Gy.").format(lowest=lowest, highest=highest))

    def onExport(self) -> None:
        """Dose as an RT Dose file."""
        self._guarded(self._export)

    def _export(self) -> None:
        path = Path(self._ui.exportPathLineEdit.currentPath)
        if not path.suffix:
            path = path.with_suffix(".dcm")
        self._logic.exportRtDose(self._parameters.shownDose, path)
        self._say(_("Written: {path}").format(path=path))

    def onPathChanged(self) -> None:
        """Allow the export once a file is chosen."""
        if self._parameters is not None:
            self._updateResults(self._parameters.shownDose)

    def onCalibrationChanged(self) -> None:
        """Keep the file of the CT calibration among the choices."""
        if self._parameters is not None:
            self._parameters.ctCalibrationFile = self._ui.ctCalibrationPathLineEdit.currentPath

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
        activity = None if isSequence(parameters.activityVolume) else parameters.activityVolume
        self._editor.toggle(parameters.segmentation, parameters.ctVolume, activity)

    def _onSegmentsChanged(self, excludedSegmentIDs: list[str]) -> None:
        if self._parameters is not None:
            self._parameters.excludedSegmentIDs = excludedSegmentIDs

    # Messages

    def _guarded(self, action) -> None:
        """Do something on the scene; a failure ends as a message."""
        try:
            action()
        except Exception as error:  # as in onApply
            self._sayError(error)

    def _sayError(self, error: Exception) -> None:
        from radiodosimetry.errors import RadioDosimetryError

        if isinstance(error, RadioDosimetryError):
            _LOG.warning("%s", error)
            self._say(str(error), isError=True)
        else:
            _LOG.exception("VoxelDose failed", exc_info=error)
            self._say(_("Unexpected failure: {error}. The log has the details.").format(error=error), isError=True)

    def _say(self, text: str, isError: bool = False, isWarning: bool = False) -> None:
        label = self._ui.statusLabel
        label.styleSheet = "color: #b00020;" if isError else "color: #8a5a00;" if isWarning else ""
        label.text = text


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
    )
