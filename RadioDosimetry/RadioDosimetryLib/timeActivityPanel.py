# ruff: noqa: N802, N815, N999 (camelCase, as everywhere in Slicer)
"""The panel of TimeActivityFit: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import slicer
from slicer.i18n import tr as _

from .background import BackgroundRun
from .segmentations import segmentNames
from .tables import columnsOf
from .timeActivityChecks import (
    hasFits,
    injectionMoment,
    missingForFit,
    missingForMap,
    missingForOrganDoses,
    missingForRegistration,
    scanNames,
    scanRows,
)
from .timeActivityRequests import fitTask, mapTask, organTask, registerTask
from .timeActivityResults import effectiveDoseWords, organsByName
from .timeActivityScans import ScanNode, hoursFromDicom, isSequence
from .timeActivityTables import RegionTable, ScanTable
from .timeActivityViews import fill, joinedWarnings, openVoxelDose, showChart, showTable, warningsOf
from .timeActivityWork import LESION

_ERROR_STYLE, _WARNING_STYLE, _HINT_STYLE = "color: #b00020;", "color: #8a5a00;", "color: gray;"

_LOG = logging.getLogger(__name__)


class TimeActivityPanel:
    """Wires the widgets of `TimeActivityFit.ui` to the logic.

    Parameters
    ----------
    ui
        Widgets by name.
    logic
        `TimeActivityFitLogic`.
    models
        Models that a region may have: stored value to words.
    """

    def __init__(self, ui, logic, models: Mapping[str, str]) -> None:
        from radiodosimetry.organ_dose.reference_masses import STYLISED_SOURCES

        self._ui, self._logic, self._parameters = ui, logic, None
        self._run = BackgroundRun()
        self._updating = False
        self._curves, self._fits = None, None  # of the last run: tables keep no covariances
        self._said = ("", "")
        organs = {"": _("none"), LESION: _("lesion (sphere)")}
        organs |= {name: name.replace("_", " ") for name in STYLISED_SOURCES}
        self._scans = ScanTable(
            ui.scansTable,
            (_("Scan"), _("Hours [h]"), _("CT"), _("Transform")),
            _("in the sequence"),
            self._onHours,
            self.update,
        )
        self._regions = RegionTable(
            ui.regionsTable,
            (_("Region"), _("Model"), _("Organ")),
            {"": _("as all"), **models},
            organs,
            self._onRegions,
        )
        ui.effectiveDoseLabel.text = ""

    def connect(self) -> None:
        """Connect the widgets; after that the panel answers to clicks."""
        ui = self._ui
        for button, slot in (
            (ui.addScanButton, self.onAddScan),
            (ui.removeScanButton, self.onRemoveScan),
            (ui.sortScansButton, self.onSortScans),
            (ui.timesFromDicomButton, self.onTimesFromDicom),
            (ui.registerButton, self.onRegister),
            (ui.applyButton, self.onApply),
            (ui.cancelButton, self.onCancel),
            (ui.showCurvesButton, self.onShowCurves),
            (ui.showResidualsButton, self.onShowResiduals),
            (ui.showTableButton, self.onShowTable),
            (ui.organDosesButton, self.onOrganDoses),
            (ui.tiaButton, self.onMap),
            (ui.editRegionsButton, self.onEditRegions),
        ):
            button.connect("clicked(bool)", slot)
        ui.scanSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onAnyNode)
        ui.ctSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onCT)
        ui.transformSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._onTransform)
        ui.referenceComboBox.connect("currentIndexChanged(int)", self._onReference)
        ui.bodyComboBox.connect("currentIndexChanged(int)", self._onBody)
        ui.shownRegionComboBox.connect("currentIndexChanged(int)", self._onShownRegion)
        ui.recoveryPathLineEdit.connect("currentPathChanged(QString)", self._onRecovery)
        ui.massesPathLineEdit.connect("currentPathChanged(QString)", self._onMasses)

    @property
    def isRunning(self) -> bool:
        """Whether something is being computed."""
        return self._run.isRunning

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._curves = self._fits = None
            self._ui.fitsTableView.setMRMLTableNode(None)
        self.update()

    def abandon(self) -> None:
        """Stop the computation and forget its result: the scene or the panel goes away."""
        if self._run.isRunning:
            self._run.abandon()
            self._say(_("The computation was stopped, since the scene was closed."))
        self._curves = self._fits = None

    # Bringing the panel up to date

    def update(self) -> None:
        """Bring the panel up to date with the choices."""
        if self._updating:
            return
        self._updating = True
        try:
            self._updateButtons()
            if self._parameters is not None:
                self._updateScans()
                self._updateRegions()
                self._updateResults()
        finally:
            self._updating = False

    def _updateScans(self) -> None:
        ui, parameters, rows = self._ui, self._parameters, scanRows(self._parameters)
        self._scans.show(rows)
        row = rows[self._scans.currentRow] if 0 <= self._scans.currentRow < len(rows) else None
        single = row is not None and not isSequence(row.node)
        for selector, node in ((ui.ctSelector, row and row.ct), (ui.transformSelector, row and row.transform)):
            selector.setCurrentNode(node)
            selector.enabled = single if selector is ui.ctSelector else row is not None
        try:
            names = scanNames(rows)
        except ValueError:
            names = []
        fill(ui.referenceComboBox, names, min(parameters.referenceScan, len(names) - 1))

    def _updateRegions(self) -> None:
        ui, parameters = self._ui, self._parameters
        names = segmentNames(parameters.segmentation)
        known = organsByName(names.values())
        organs = {one: parameters.segmentOrgans.get(one, known.get(name, "")) for one, name in names.items()}
        self._regions.show(names, list(parameters.excludedSegmentIDs), dict(parameters.segmentModels), organs)
        body = list(names).index(parameters.bodySegmentID) + 1 if parameters.bodySegmentID in names else 0
        fill(ui.bodyComboBox, [_("all of the scan"), *names.values()], body)
        ui.recoveryPathLineEdit.currentPath = parameters.recoveryFile
        ui.massesPathLineEdit.currentPath = parameters.massesFile
        ui.bodyComboBox.enabled = parameters.remainder or parameters.wholeBody

    def _updateResults(self) -> None:
        ui, parameters = self._ui, self._parameters
        table = parameters.fitsTable if hasFits(parameters.fitsTable) else None
        regions = [] if table is None else columnsOf(table)["Region"]
        shown = regions.index(parameters.shownRegion) if parameters.shownRegion in regions else 0
        fill(ui.shownRegionComboBox, regions, shown)
        ui.fitsTableView.setMRMLTableNode(table)
        isPatient = parameters.sValues.value == "patient"
        for widget in (ui.patientCTSelector, ui.historiesSpinBox, ui.spacingSpinBox, ui.deviceComboBox):
            widget.enabled = isPatient
        ui.massesPathLineEdit.enabled = not isPatient

    def _updateButtons(self) -> None:
        """Enable what can be pressed, and say on the others what is missing."""
        ui, parameters, running = self._ui, self._parameters, self._run.isRunning
        ui.cancelButton.visible = ui.cancelButton.enabled = running
        ui.progressBar.visible = running
        busy = _("A computation is under way: wait or cancel it.") if running else ""
        gone = _("There is no scene to work in.") if parameters is None else ""
        rows = [] if parameters is None else scanRows(parameters)
        fits = parameters is not None and hasFits(parameters.fitsTable)
        ui.addScanButton.enabled = parameters is not None and ui.scanSelector.currentNode() is not None
        for button in (ui.removeScanButton, ui.sortScansButton, ui.timesFromDicomButton):
            button.enabled = bool(rows)
        for button in (ui.showCurvesButton, ui.showResidualsButton):
            button.enabled = fits
        ui.showTableButton.enabled = parameters is not None and parameters.residenceTimeTable is not None
        hint = ""
        for button, check, words in (
            (ui.registerButton, missingForRegistration, _("Register every scan to the reference scan.")),
            (ui.tiaButton, missingForMap, _("Compute time-integrated activity in every voxel.")),
            (ui.organDosesButton, missingForOrganDoses, _("Compute the absorbed doses of the organs.")),
            (ui.applyButton, missingForFit, _("Measure the regions in every scan and fit their curves.")),
        ):
            missing = busy or gone or check(parameters)
            button.enabled = not missing
            button.toolTip = missing or words
            hint = "" if gone else missing
        text, style = self._said
        if hint and not running and style != _ERROR_STYLE:
            text, style = hint, _HINT_STYLE
        ui.messageLabel.text, ui.messageLabel.styleSheet = text, style

    # The table of scans

    def onAddScan(self) -> None:
        """Put the chosen image into the table."""
        node = self._ui.scanSelector.currentNode()
        rows = scanRows(self._parameters)
        if any(row.node is node for row in rows):
            self._say(_("{name} is in the table already.").format(name=node.GetName()), isError=True)
            return
        self._storeRows([*rows, ScanNode(node, math.nan)])

    def onRemoveScan(self) -> None:
        """Take the selected row out of the table."""
        rows, current = scanRows(self._parameters), self._scans.currentRow
        self._storeRows([row for number, row in enumerate(rows) if number != current])

    def onSortScans(self) -> None:
        """Put the rows in the order of time, those without a time last."""
        rows = scanRows(self._parameters)
        self._storeRows(sorted(rows, key=lambda row: math.inf if math.isnan(row.hours) else row.hours))

    def onTimesFromDicom(self) -> None:
        """Fill in the hours of all scans whose header tells them."""
        self._guarded(self._timesFromDicom)

    def _timesFromDicom(self) -> None:
        from radiodosimetry.errors import InputError

        injection = injectionMoment(self._parameters.injectionTime)
        rows, words = scanRows(self._parameters), []
        for number, row in enumerate(rows):
            if row.node is None or isSequence(row.node):
                continue
            try:
                hours, warnings = hoursFromDicom(row.node, injection)
            except InputError as error:
                words.append(str(error))
            else:
                rows[number] = replace(row, hours=hours)
                words.extend(warnings)
        self._storeRows(rows)
        self._say(" ".join(words) or _("Hours taken from DICOM."), isError=bool(words))

    def _onHours(self, number: int, hours: float) -> None:
        rows = scanRows(self._parameters)
        rows[number] = replace(rows[number], hours=hours)
        self._storeRows(rows)

    def _onCT(self, node) -> None:
        self._storeInCurrentRow(ct=node)

    def _onTransform(self, node) -> None:
        self._storeInCurrentRow(transform=node)

    def _storeInCurrentRow(self, **changes: Any) -> None:
        if self._updating or self._parameters is None:
            return
        rows, current = scanRows(self._parameters), self._scans.currentRow
        if 0 <= current < len(rows):
            rows[current] = replace(rows[current], **changes)
            self._storeRows(rows)

    def _storeRows(self, rows: list[ScanNode]) -> None:
        parameters = self._choices()
        self._forgetError()
        with slicer.util.NodeModify(parameters):
            parameters.scanNodes = [row.node for row in rows]
            parameters.scanHours = [math.nan if row.hours is None else float(row.hours) for row in rows]
            parameters.scanCTs = [row.ct for row in rows]
            parameters.scanTransforms = [row.transform for row in rows]
        self.update()

    # Other choices that `connectGui` does not reach

    def _onAnyNode(self, node) -> None:
        self.update()

    def _onReference(self, index: int) -> None:
        self._store(referenceScan=max(index, 0))

    def _onBody(self, index: int) -> None:
        names = list(segmentNames(self._parameters.segmentation)) if self._parameters is not None else []
        self._store(bodySegmentID=names[index - 1] if 0 < index <= len(names) else "")

    def _onShownRegion(self, index: int) -> None:
        self._store(shownRegion=self._ui.shownRegionComboBox.currentText)

    def _onRecovery(self, path: str) -> None:
        self._store(recoveryFile=path)

    def _onMasses(self, path: str) -> None:
        self._store(massesFile=path)

    def _onRegions(self) -> None:
        table = self._regions
        models = {one: model for one, model in table.models().items() if model}
        self._store(excludedSegmentIDs=table.unchecked(), segmentModels=models, segmentOrgans=table.organs())

    def _store(self, **values: Any) -> None:
        if not self._updating and self._parameters is not None:
            self._forgetError()
            self._storeResult(**values)

    def _storeResult(self, **values: Any) -> None:
        parameters = self._choices()
        with slicer.util.NodeModify(parameters):
            for name, value in values.items():
                setattr(parameters, name, value)
        self.update()

    def _choices(self) -> Any:
        """The scene's choices, also while another module is shown and a run of this one ends."""
        return self._parameters if self._parameters is not None else self._logic.getParameterNode()

    # Computing

    def onApply(self) -> None:
        """Measure the regions and fit their curves."""
        self._start(lambda: fitTask(self._parameters), self._onFitted, _("Measuring..."))

    def onOrganDoses(self) -> None:
        """Compute organ doses."""
        self._start(lambda: organTask(self._parameters, self._fits), self._onOrganDoses, _("Computing organ doses..."))

    def onMap(self) -> None:
        """Compute a map of time-integrated activity."""
        self._start(lambda: mapTask(self._parameters, self._fits), self._onMapped, _("Integrating activity..."))

    def onRegister(self) -> None:
        """Register the scans by their CTs."""
        self._start(lambda: registerTask(self._parameters), self._onRegistered, _("Registering..."))

    def onCancel(self) -> None:
        """Ask the computation to stop."""
        if self._run.isRunning:
            self._run.cancel()
            self._say(_("Cancelling..."))
            self._ui.cancelButton.enabled = False

    def _start(self, makeTask: Callable[[], Any], onDone: Callable[[Any], None], words: str) -> None:
        from .requirements import ensureRequirements

        try:
            if self._run.isRunning:
                from radiodosimetry.errors import InputError

                raise InputError(_("A computation is under way: wait or cancel it."))
            ensureRequirements(interactive=True)
            task = makeTask()
            self._run.start(
                task.work, lambda result, error: self._onEnd(task, onDone, result, error), self._onProgress
            )
        except Exception as error:  # every failure ends as a message in the panel
            self._sayError(error)
        else:
            self._ui.progressBar.value = 0
            self._say(words)

    def _onProgress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(100 * fraction)
        if self._ui.cancelButton.enabled:
            self._say(message)

    def _onEnd(self, task, onDone: Callable[[Any], None], result, error) -> None:
        """Leave the result in the scene and show it; or say why there is none."""
        from radiodosimetry.errors import CancelledError

        if isinstance(error, CancelledError):
            self._say(_("Cancelled; the scene is unchanged."))
        elif error is not None:
            self._sayError(error)
        else:
            self._guarded(lambda: onDone(task.finish(result)))

    def _onFitted(self, made: Mapping[str, Any]) -> None:
        self._curves, self._fits = made["curvesMeasured"], made["fitsMade"]
        regions = list(self._fits)
        shown = self._ui.shownRegionComboBox.currentText
        self._storeResult(
            curvesTable=made["curves"],
            fitsTable=made["fits"],
            residenceTimeTable=made.get("residenceTimes"),
            shownRegion=shown if shown in regions else regions[0],
        )
        self._ui.resultsCollapsibleButton.collapsed = False
        self._sayDone(_("Curves of {count} regions fitted.").format(count=len(regions)), self._fits.record.warnings)

    def _onOrganDoses(self, made: tuple[Any, Any]) -> None:
        node, result = made
        self._storeResult(organDoseTable=node)
        self._ui.effectiveDoseLabel.text = effectiveDoseWords(result)
        showTable(node)
        self._sayDone(_("Organ doses done."), result.doses.record.warnings)

    def _onMapped(self, node) -> None:
        from .display import showDose
        from .volumes import recordOf

        self._storeResult(tiaVolume=node)
        showDose(node, self._ct())
        record = recordOf(node)
        self._sayDone(_("Time-integrated activity done."), record.warnings if record is not None else ())
        if self._choices().openVoxelDose:
            openVoxelDose(self._choices(), node, self._ct())

    def _ct(self) -> Any:
        """A CT that shows the patient; None where none is chosen."""
        rows = scanRows(self._choices())
        return self._choices().patientCT or next((row.ct for row in rows if row.ct is not None), None)

    def _onRegistered(self, nodes: list[Any]) -> None:
        rows = scanRows(self._choices())
        self._storeRows(
            [replace(row, transform=node or row.transform) for row, node in zip(rows, nodes, strict=True)]
        )
        warnings = [warning for node in nodes if node is not None for warning in warningsOf(node)]
        self._sayDone(_("Scans registered."), warnings)

    # Showing

    def onEditRegions(self) -> None:
        """Open Segment Editor."""
        self._guarded(lambda: slicer.util.selectModule("SegmentEditor"))

    def onShowCurves(self) -> None:
        """Points and fit in a plot view."""
        self._guarded(lambda: showChart(self._charts()[0]))

    def onShowResiduals(self) -> None:
        """Residuals in a plot view."""
        self._guarded(lambda: showChart(self._charts()[1]))

    def onShowTable(self) -> None:
        """Residence times in a table view."""
        self._guarded(lambda: showTable(self._parameters.residenceTimeTable))

    def _charts(self) -> tuple[Any, Any]:
        parameters = self._parameters
        curves = self._curves if self._curves is not None else parameters.curvesTable
        fits = self._fits if self._fits is not None else parameters.fitsTable
        region = self._ui.shownRegionComboBox.currentText
        charts = self._logic.charts(
            curves, fits, region, parameters.curveChart, parameters.residualChart, parameters.logarithmicAxis
        )
        self._store(curveChart=charts[0], residualChart=charts[1])
        return charts

    # Messages

    def _guarded(self, action: Callable[[], Any]) -> None:
        """Do something on the scene; a failure ends as a message."""
        try:
            action()
        except Exception as error:  # as in _start
            self._sayError(error)

    def _sayDone(self, text: str, warnings) -> None:
        if warnings:
            text = _("{done} Beware: {warnings}").format(done=text, warnings=joinedWarnings(warnings))
        self._say(text, isWarning=bool(warnings))

    def _sayError(self, error: Exception) -> None:
        from radiodosimetry.errors import RadioDosimetryError

        if isinstance(error, RadioDosimetryError):
            _LOG.warning("%s", error)
            self._say(str(error), isError=True)
        else:
            _LOG.exception("TimeActivityFit failed", exc_info=error)
            self._say(_("Unexpected failure: {error}. The log has the details.").format(error=error), isError=True)

    def _forgetError(self) -> None:
        """What was wrong may be right now: the user has changed something."""
        if self._said[1] == _ERROR_STYLE:
            self._said = ("", "")

    def _say(self, text: str, isError: bool = False, isWarning: bool = False) -> None:
        self._said = (text, _ERROR_STYLE if isError else _WARNING_STYLE if isWarning else "")
        self._updateButtons()
