"""The panel of TimeActivityFit: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import slicer
from slicer.i18n import tr as _

from .pathFields import PathFields, PictureFolder
from .regionEditor import RegionEditor, newSegmentation, requireEditor, shownScan
from .runningPanel import ERROR_STYLE, WARNING_STYLE, RunningPanel, Work
from .segmentations import segmentNames
from .segmentWatch import SegmentWatch
from .tables import columnsOf
from .timeActivityChecks import (
    hasFits,
    leadingSegmentation,
    missingForFit,
    missingForMap,
    missingForOrganDoses,
    missingForPictures,
    missingForRegistration,
    scanRows,
)
from .timeActivityDoses import FILE, LESION, PATIENT
from .timeActivityRegistration import displacementWords
from .timeActivityRequests import fitTask, mapTask, organTask, registerTask
from .timeActivityResults import EFFECTIVE_DOSE_ATTRIBUTE, organsByName
from .timeActivityScanPart import ScanPart
from .timeActivityTables import DoseTable, RegionTable
from .timeActivityViews import (
    FileSources,
    fill,
    handToVoxelDose,
    joinedWarnings,
    saidOfRegions,
    showChart,
    showInView,
    showTable,
    warningsOf,
)

_HINT_STYLE = "color: gray;"


class TimeActivityPanel(ScanPart, RunningPanel):
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

        super().__init__(ui, logic, ui.messageLabel)
        self._updating = False
        self._said = ("", "")
        self._sources = FileSources()
        self._watch = SegmentWatch(self.update)
        self._editor = RegionEditor(ui.regionsWidget.layout(), "TimeActivityFitSegmentEditor", self._guarded)
        self._makeScanTable()
        organs = {"": _("none"), LESION: _("lesion (sphere)")}
        organs |= {name: name.replace("_", " ") for name in STYLISED_SOURCES}
        self._regions = RegionTable(
            ui.regionsTable,
            (_("Region"), _("Model"), _("Organ")),
            {"": _("as all"), **models},
            organs,
            self._onRegions,
        )
        self._paths = PathFields(
            (
                (ui.recoveryPathLineEdit, "recoveryFile"),
                (ui.massesPathLineEdit, "massesFile"),
                (ui.sValuesPathLineEdit, "sValuesFile"),
                (ui.radiobiologyPathLineEdit, "radiobiologyFile"),
            ),
            self._onPath,
        )
        self._pictures = PictureFolder(ui.picturesPathLineEdit, ui.savePicturesButton)
        self._doses = DoseTable(ui.organDosesTable, (_("Target"), _("Dose [Gy]"), _("SD [Gy]"), _("BED [Gy]")))

    def connect(self) -> None:
        """Connect the widgets; after that the panel answers to clicks."""
        ui = self._ui
        self._connectScans()
        for button, slot in (
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
        for combo, index in (
            (ui.bodyComboBox, self._onBody),
            (ui.shownRegionComboBox, self._onShownRegion),
        ):
            combo.connect("currentIndexChanged(int)", index)
        ui.logCheckBox.connect("toggled(bool)", self._onLogarithmic)
        self._paths.connect()
        self._pictures.connect(self.onSavePictures)

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._editor.release()
            self._watch.follow(())
            self._ui.fitsTableView.setMRMLTableNode(None)
        self.update()

    def abandon(self) -> None:
        """Stop the computation and forget what was said: the scene or the panel goes away."""
        self._said = ("", "")
        super().abandon()

    # Bringing the panel up to date

    def update(self) -> None:
        """Bring the panel up to date with the choices."""
        if self._updating:
            return
        self._updating = True
        try:
            self._updateActions()
            if self._parameters is not None:
                self._paths.show(self._parameters)
                self._updateScans()
                self._updateRegions()
                self._updateResults()
                self._updateOrganDoses()
        finally:
            self._updating = False

    def _updateRegions(self) -> None:
        ui, parameters = self._ui, self._parameters
        leading = leadingSegmentation(parameters)
        self._watch.follow([leading, *(row.segmentation for row in scanRows(parameters))])
        self._editor.follow(self._drawnSegmentation())
        names = segmentNames(leading)
        known = organsByName(names.values())
        organs = {one: parameters.segmentOrgans.get(one, known.get(name, "")) for one, name in names.items()}
        others = self._sources.of(parameters) if parameters.sValues.value == FILE else ()
        excluded, models = list(parameters.excludedSegmentIDs), dict(parameters.segmentModels)
        self._regions.show(names, excluded, models, organs, others)
        body = list(names).index(parameters.bodySegmentID) + 1 if parameters.bodySegmentID in names else 0
        fill(ui.bodyComboBox, [_("all of the scan"), *names.values()], body)
        ui.bodyComboBox.enabled = parameters.remainder or parameters.wholeBody

    def _updateResults(self) -> None:
        ui, parameters = self._ui, self._parameters
        table = parameters.fitsTable if hasFits(parameters.fitsTable) else None
        regions = [] if table is None else columnsOf(table)["Region"]
        shown = regions.index(parameters.shownRegion) if parameters.shownRegion in regions else 0
        fill(ui.shownRegionComboBox, regions, shown)
        showInView(ui.fitsTableView, table)

    def _updateOrganDoses(self) -> None:
        """Show those fields that the choice of S-values and of BED asks for."""
        ui, parameters = self._ui, self._parameters
        source = parameters.sValues.value
        table = parameters.organDoseTable
        hasDoses = self._doses.show(table)
        ui.effectiveDoseLabel.text = (table.GetAttribute(EFFECTIVE_DOSE_ATTRIBUTE) or "") if hasDoses else ""
        for widgets, isAsked in (
            ((ui.massesLabel, ui.massesPathLineEdit), source not in (PATIENT, FILE)),
            ((ui.sValuesFileLabel, ui.sValuesPathLineEdit), source == FILE),
            ((ui.sValuesUnitLabel, ui.sValuesUnitComboBox), source == FILE),
            ((ui.patientCTLabel, ui.patientCTSelector), source == PATIENT),
            ((ui.historiesLabel, ui.historiesSpinBox), source == PATIENT),
            ((ui.spacingLabel, ui.spacingSpinBox), source == PATIENT),
            ((ui.deviceLabel, ui.deviceComboBox), source == PATIENT),
            ((ui.organBedLabel, ui.organAlphaBetaSpinBox, ui.organRepairSpinBox), parameters.bed),
            ((ui.lesionBedLabel, ui.lesionAlphaBetaSpinBox, ui.lesionRepairSpinBox), parameters.bed),
            ((ui.radiobiologyLabel, ui.radiobiologyPathLineEdit), parameters.bed),
            ((ui.organDosesTable,), hasDoses),
        ):
            for widget in widgets:
                widget.visible = isAsked

    def _updateActions(self) -> None:
        """Enable what can be pressed, and say on the others what is missing."""
        ui, parameters, running = self._ui, self._parameters, self._run.isRunning
        ui.cancelButton.visible = ui.cancelButton.enabled = running
        ui.progressBar.visible = running
        busy = self._busy()
        gone = _("There is no scene to work in.") if parameters is None else ""
        rows = [] if parameters is None else scanRows(parameters)
        fits = parameters is not None and hasFits(parameters.fitsTable)
        ui.addScanButton.enabled = parameters is not None and ui.scanSelector.currentNode() is not None
        for button in (ui.removeScanButton, ui.sortScansButton, ui.timesFromDicomButton):
            button.enabled = bool(rows)
        for button in (ui.showCurvesButton, ui.showResidualsButton):
            button.enabled = fits
        ui.showTableButton.enabled = parameters is not None and parameters.residenceTimeTable is not None
        self._pictures.show(busy or gone or missingForPictures(parameters))
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
        if hint and not running and style != ERROR_STYLE:
            text, style = (f"{text} {hint}", style) if text else (hint, _HINT_STYLE)
        ui.messageLabel.text, ui.messageLabel.styleSheet = text, style

    # Choices that `connectGui` does not reach

    def _onBody(self, index: int) -> None:
        names = [] if self._parameters is None else list(segmentNames(leadingSegmentation(self._parameters)))
        self._store(bodySegmentID=names[index - 1] if 0 < index <= len(names) else "")

    def _onShownRegion(self, index: int) -> None:
        if not self._updating and self._parameters is not None:
            self._store(shownRegion=self._ui.shownRegionComboBox.currentText)
            self._drawAnew()

    def _onLogarithmic(self, isLogarithmic: bool) -> None:
        if not self._updating and self._parameters is not None:
            self._drawAnew()

    def _onPath(self, name: str, path: str) -> None:
        if self._parameters is not None and getattr(self._parameters, name) != path:
            self._store(**{name: path})

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

    # Computing

    def onApply(self) -> None:
        """Measure the regions and fit their curves."""
        self._begin(missingForFit, fitTask, self._onFitted, _("Measuring..."))

    def onOrganDoses(self) -> None:
        """Compute organ doses."""
        self._begin(missingForOrganDoses, organTask, self._onOrganDoses, _("Computing organ doses..."))

    def onMap(self) -> None:
        """Compute a map of time-integrated activity."""
        self._begin(missingForMap, mapTask, self._onMapped, _("Integrating activity..."))

    def onRegister(self) -> None:
        """Register the scans by their CTs."""
        self._begin(missingForRegistration, registerTask, self._onRegistered, _("Registering..."))

    def _begin(
        self,
        missingFor: Callable[[Any], str],
        makeTask: Callable[[Any], Any],
        onDone: Callable[[Any], None],
        words: str,
    ) -> None:
        """Start a task of `timeActivityTasks` where nothing is missing, and do something with its nodes in the end."""

        def prepare() -> tuple[Any, Any]:
            from radiodosimetry.errors import InputError

            self._scans.finishTyping()
            self._paths.take()
            missing = missingFor(self._parameters)
            if missing:
                raise InputError(missing)
            task = makeTask(self._parameters)
            return task.work, lambda result: onDone(task.finish(result))

        self._start(prepare, words)

    def _onFitted(self, made: Mapping[str, Any]) -> None:
        fits = made["fitsMade"]
        regions = list(fits)
        shown = self._ui.shownRegionComboBox.currentText
        self._storeResult(
            curvesTable=made["curves"],
            fitsTable=made["fits"],
            residenceTimeTable=made.get("residenceTimes"),
            shownRegion=shown if shown in regions else regions[0],
        )
        self._ui.resultsCollapsibleButton.collapsed = False
        self._ui.fitsTableView.resizeColumnsToContents()
        self._charts()  # so that a scene that is saved now has them
        self._sayDone(_("Curves of {count} regions fitted.").format(count=len(regions)), fits.record.warnings)

    def _onOrganDoses(self, made: tuple[Any, Any]) -> None:
        node, result = made
        self._storeResult(organDoseTable=node)
        showTable(node)
        told = saidOfRegions(self._choices().fitsTable)  # when they were fitted
        self._sayDone(_("Organ doses done."), [text for text in result.doses.record.warnings if text not in told])

    def _onMapped(self, node) -> None:
        from .display import showDose
        from .volumes import recordOf

        self._storeResult(tiaVolume=node)
        showDose(node, self._ct())
        record = recordOf(node)
        self._sayDone(_("Time-integrated activity done."), record.warnings if record is not None else ())
        if self._choices().openVoxelDose:
            handToVoxelDose(self._choices(), node, self._ct())
            if self._parameters is not None and slicer.util.mainWindow() is not None:  # the user has not gone elsewhere
                slicer.util.selectModule("VoxelDose")

    def _ct(self) -> Any:
        """A CT that shows the patient; None where none is chosen."""
        rows = scanRows(self._choices())
        return self._choices().patientCT or next((row.ct for row in rows if row.ct is not None), None)

    def _onRegistered(self, nodes: list[Any]) -> None:
        rows = scanRows(self._choices())
        self._storeRows(
            [replace(row, transform=node or row.transform) for row, node in zip(rows, nodes, strict=True)]
        )
        made = [node for node in nodes if node is not None]
        text = _("Scans registered.")
        moved = ", ".join(words for words in map(displacementWords, made) if words)
        if moved:
            text = _("Scans registered; largest displacement in the body: {moved}.").format(moved=moved)
        self._sayDone(text, [warning for node in made for warning in warningsOf(node)])

    # Drawing and showing

    def onEditRegions(self) -> None:
        """Open the segment editor; a segmentation is made where none is chosen."""
        self._guarded(self._editRegions)

    def _editRegions(self) -> None:
        requireEditor()
        row = self._currentScan()
        scan = None if row is None else shownScan(row.node)
        segmentation = self._drawnSegmentation()
        if segmentation is None:
            segmentation = newSegmentation(scan)
            self._store(segmentation=segmentation)
        self._editor.toggle(segmentation, None if row is None else row.ct, scan)

    def _drawnSegmentation(self) -> Any:
        """The selected scan's own regions where it has some, else those of all scans."""
        row = self._currentScan()
        own = None if row is None else row.segmentation
        return own if own is not None else self._parameters.segmentation

    def onShowCurves(self) -> None:
        """Points and fit in a plot view."""
        self._guarded(lambda: showChart(self._charts()[0]))

    def onShowResiduals(self) -> None:
        """Residuals in a plot view."""
        self._guarded(lambda: showChart(self._charts()[1]))

    def onShowTable(self) -> None:
        """Residence times in a table view."""
        self._guarded(lambda: showTable(self._parameters.residenceTimeTable))

    def onSavePictures(self) -> None:
        """Pictures of all curves."""
        self._start(self._picturesWork, _("Drawing..."))

    def _picturesWork(self) -> Work:
        from .pictures import curvePictures

        task = curvePictures(self._parameters.curvesTable, self._parameters.fitsTable, self._pictures.path())
        return task.work, lambda made: self._say(self._pictures.written(task.finish(made)))

    def _drawAnew(self) -> None:
        """Bring the charts up to date with the region and the axis, wherever they are shown."""
        if hasFits(self._parameters.fitsTable):
            self._guarded(self._charts)

    def _charts(self) -> tuple[Any, Any]:
        parameters = self._choices()
        charts = self._logic.charts(
            parameters.curvesTable,
            parameters.fitsTable,
            parameters.shownRegion,
            parameters.curveChart,
            parameters.residualChart,
            parameters.logarithmicAxis,
        )
        self._storeResult(curveChart=charts[0], residualChart=charts[1])
        return charts

    # Messages

    def _sayDone(self, text: str, warnings) -> None:
        super()._sayDone(text, [joinedWarnings(warnings)] if warnings else [])

    def _forgetError(self) -> None:
        """What was wrong may be right now: the user has changed something."""
        if self._said[1] == ERROR_STYLE:
            self._said = ("", "")

    def _say(self, text: str, isError: bool = False, isWarning: bool = False) -> None:
        self._said = (text, ERROR_STYLE if isError else WARNING_STYLE if isWarning else "")
        self._updateActions()
