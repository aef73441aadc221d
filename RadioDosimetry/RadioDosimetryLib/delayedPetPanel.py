# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""The panel of DelayedPETSynthesis: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

import logging

import slicer
from slicer.i18n import tr as _

from .background import BackgroundRun
from .delayedPet import cardText, hoursFromText, installedModels

_LOG = logging.getLogger(__name__)


class DelayedPetPanel:
    """Wires the widgets of `DelayedPETSynthesis.ui` to the logic.

    Parameters
    ----------
    ui
        Widgets by name.
    logic
        `DelayedPETSynthesisLogic`.
    """

    def __init__(self, ui, logic) -> None:
        self._ui = ui
        self._logic = logic
        self._parameters = None
        self._run = BackgroundRun()
        self._isFilling = False
        ui.progressBar.visible = False

    @property
    def isRunning(self) -> bool:
        """Whether a model is at work."""
        return self._run.isRunning

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._ui.applyButton.enabled = False
            self._ui.comparisonTableView.setMRMLTableNode(None)
            return
        self.update()
        if not installedModels() and not self._run.isRunning:
            self._say(_noModel(), isWarning=True)
        elif self._ui.statusLabel.text == _noModel():
            self._say("")

    def update(self) -> None:
        """Bring the panel up to date with the choices and the installed models."""
        parameters = self._parameters
        if parameters is None or self._isFilling:
            return
        self._isFilling = True
        try:
            self._fillModels()
        finally:
            self._isFilling = False
        ui = self._ui
        hasModel = bool(installedModels())
        for section in (ui.modelCollapsibleButton, ui.inputsCollapsibleButton, ui.outputsCollapsibleButton):
            section.enabled = hasModel
        ui.earlyTimeButton.enabled = parameters.earlyVolume is not None
        ui.outputSequenceSelector.enabled = parameters.oneSequence
        ui.comparisonTableView.setMRMLTableNode(parameters.comparisonTable)
        self._updateActions()

    def _fillModels(self) -> None:
        """Show the installed models and the nuclides and card of the chosen one; choose the first where none is."""
        ui, parameters, models = self._ui, self._parameters, installedModels()
        _fill(ui.modelComboBox, list(models), parameters.modelName)
        name = ui.modelComboBox.currentText if models else ""
        if models and parameters.modelName not in models:
            parameters.modelName = name
        card = models[name].card if models else None
        nuclides = list(card.nuclides) if card is not None else []
        _fill(ui.nuclideComboBox, nuclides, parameters.nuclide)
        if nuclides and parameters.nuclide not in nuclides:
            parameters.nuclide = nuclides[0]
        text = cardText(card) if card is not None else _noModel()
        if ui.cardTextEdit.plainText != text:
            ui.cardTextEdit.plainText = text
        ui.uncertaintyCheckBox.enabled = card is not None and card.gives_uncertainty
        ui.uncertaintyCheckBox.toolTip = (
            _("Also make a volume of the standard uncertainty [Bq/mL] of every voxel.")
            if ui.uncertaintyCheckBox.enabled
            else _("The model gives no uncertainty.")
        )

    def _updateActions(self) -> None:
        """Enable what can be pressed, and say on the others what is missing."""
        ui, running = self._ui, self._run.isRunning
        ui.cancelButton.enabled = running
        ui.progressBar.visible = running
        if self._parameters is None:
            return
        missing = self._missingForApply()
        ui.applyButton.enabled = not missing
        ui.applyButton.toolTip = missing or _("Synthesise the later volumes.")
        results = self._logic.results()
        missing = self._missingForComparison(results)
        ui.compareButton.enabled = not missing
        ui.compareButton.toolTip = missing or _("Compare the last results with the acquired scan.")
        none = "" if results and not running else _("Synthesise volumes first.")
        for button, words in (
            (ui.showButton, _("Early, synthetic and acquired scan beside each other, linked and at one window.")),
            (ui.handOverButton, _("Open TimeActivityFit with the early scan and the synthetic volumes.")),
        ):
            button.enabled = not none
            button.toolTip = none or words

    def _missingForApply(self) -> str:
        """Why Apply cannot be pressed, a sentence; empty if it can."""
        from radiodosimetry.errors import InputError

        from .delayedPetNodes import isOwnSequence

        parameters, models = self._parameters, installedModels()
        if self._run.isRunning:
            return _("A model is at work; wait or cancel it.")
        if not models:
            return _noModel()
        if parameters.earlyVolume is None:
            return _("Select the early PET.")
        if parameters.oneSequence and not isOwnSequence(parameters.outputSequence):
            return _("The sequence holds scans that were not made here; choose another one, or a new one.")
        card = models[parameters.modelName].card if parameters.modelName in models else None
        if card is None:
            return _("Select a model.")
        try:
            hours = hoursFromText(parameters.targetTimesH)
        except InputError as error:
            return str(error)
        problems = [card.earlyProblem(3600.0 * parameters.earlyTimeH)]
        problems += [card.targetProblem(3600.0 * hour) for hour in hours]
        problems += [_noTimeToGo(hour) for hour in hours if hour <= parameters.earlyTimeH]
        if card.needs_ct and parameters.ctVolume is None:
            problems.append(_("This model needs the CT of the early scan; select it."))
        return " ".join(problem for problem in problems if problem)

    def _missingForComparison(self, results) -> str:
        if self._run.isRunning:
            return _("A model is at work; wait or cancel it.")
        if not results:
            return _("Synthesise volumes first.")
        if self._parameters.acquiredVolume is None:
            return _("Select the acquired scan.")
        return ""

    # Choosing

    def onModelChosen(self, index: int = 0) -> None:
        """Keep the chosen model, and show its card."""
        if self._parameters is not None and not self._isFilling:
            self._parameters.modelName = self._ui.modelComboBox.currentText

    def onNuclideChosen(self, index: int = 0) -> None:
        """Keep the chosen nuclide."""
        if self._parameters is not None and not self._isFilling:
            self._parameters.nuclide = self._ui.nuclideComboBox.currentText

    def onModelTimes(self) -> None:
        """Fill in the times of the chosen model: both ends of each range that lies after the early scan."""
        models, parameters = installedModels(), self._parameters
        if parameters is None or parameters.modelName not in models:
            return
        ends = {end / 3600 for limits in models[parameters.modelName].card.target_time_ranges_s for end in limits}
        later = sorted(hour for hour in ends if hour > parameters.earlyTimeH)
        parameters.targetTimesH = ", ".join(f"{hour:g}" for hour in later)

    def onEarlyTime(self) -> None:
        """Read the hours from injection to the early scan from its DICOM headers."""
        self._guarded(self._readEarlyTime)

    def _readEarlyTime(self) -> None:
        from .timeActivityScans import hoursFromDicom

        hours, warnings = hoursFromDicom(self._parameters.earlyVolume)
        self._parameters.earlyTimeH = hours
        text = _("The early scan began {hours:.2f} h after injection.").format(hours=hours)
        self._say(" ".join((text, *warnings)), isWarning=bool(warnings))

    # Running

    def onApply(self) -> None:
        """Read the nodes and run the model in the background."""
        if self._run.isRunning:
            self._say(_("A model is at work; wait or cancel it."), isError=True)
            return
        from .delayedPetWork import runSynthesis
        from .requirements import ensureRequirements

        parameters = self._parameters
        try:
            ensureRequirements(interactive=True)
            request = self._logic.request(parameters)
            early = parameters.earlyVolume
            choices = (parameters.withUncertainty, parameters.oneSequence, parameters.outputSequence)
            self._run.start(
                lambda progress: runSynthesis(request, progress),
                lambda results, error: self._onFinished(results, error, request, early, choices),
                self._onProgress,
            )
        except Exception as error:  # every failure ends as a message in the panel
            self._sayError(error)
        else:
            self._ui.progressBar.value = 0
            self._say(_("Synthesising..."))
        self._updateActions()

    def onCancel(self) -> None:
        """Ask the model to stop."""
        if self._run.isRunning:
            self._run.cancel()
            self._ui.cancelButton.enabled = False
            self._say(_("Cancelling..."))

    def abandon(self) -> None:
        """Stop the model and forget its result: the scene or the panel goes away."""
        if self._run.isRunning:
            self._run.abandon()
            self._say(_("The run was stopped, since the scene was closed."))
        self._updateActions()

    def _onProgress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(100 * fraction)
        if self._ui.cancelButton.enabled:
            self._say(message)

    def _onFinished(self, results, error, request, early, choices) -> None:
        """Leave the volumes in the scene and say so; or say why there are none."""
        from radiodosimetry.errors import CancelledError

        if isinstance(error, CancelledError):
            self._say(_("Cancelled; the scene is unchanged."))
        elif error is not None:
            self._sayError(error)
        else:
            self._guarded(lambda: self._store(results, request, early, choices))
        self._updateActions()

    def _store(self, results, request, early, choices) -> None:
        withUncertainty, oneSequence, sequence = choices
        nodes = self._logic.store(results, request, early, withUncertainty, oneSequence, sequence)
        if oneSequence and self._parameters is not None:
            self._parameters.outputSequence = nodes[0]
        warnings = dict.fromkeys(warning for item in results for warning in item.volume.record.warnings)
        text = _("Made: {names}. Beware: {warnings}").format(
            names=", ".join(node.GetName() for node in nodes), warnings=" ".join(warnings)
        )
        self._say(text, isWarning=True)

    # After the run

    def onCompare(self) -> None:
        """Compare the last results with the acquired scan."""
        self._guarded(self._compare)

    def _compare(self) -> None:
        parameters = self._parameters
        table = self._logic.compare(
            parameters.acquiredVolume,
            parameters.acquiredTimeH,
            parameters.nuclide,
            parameters.segmentation,
            parameters.comparisonTable,
        )
        parameters.comparisonTable = table
        self._say(_("Compared: {name}.").format(name=table.GetName()))

    def onShow(self) -> None:
        """Early and synthetic scans beside each other."""
        self._guarded(self._show)

    def _show(self) -> None:
        from .delayedPetNodes import shownVolumes
        from .display import showSideBySide

        parameters = self._parameters
        shown = shownVolumes(self._logic.results(), parameters.acquiredVolume, parameters.acquiredTimeH)
        showSideBySide(shown, parameters.ctVolume)

    def onHandOver(self) -> None:
        """Give the series to TimeActivityFit and open it."""
        self._guarded(self._handOver)

    def _handOver(self) -> None:
        self._logic.handOver(self._parameters.nuclide, self._parameters.earlyTimeH, self._parameters.segmentation)
        self._say(_("TimeActivityFit has the early scan and the synthetic volumes now."))
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("TimeActivityFit")

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
            _LOG.exception("DelayedPETSynthesis failed", exc_info=error)
            self._say(_("Unexpected failure: {error}. The log has the details.").format(error=error), isError=True)

    def _say(self, text: str, isError: bool = False, isWarning: bool = False) -> None:
        label = self._ui.statusLabel
        label.styleSheet = "color: #b00020;" if isError else "color: #8a5a00;" if isWarning else ""
        label.text = text


def _noModel() -> str:
    return _("No model is installed, so that nothing can be synthesised; install one and open this module again.")


def _noTimeToGo(hours: float) -> str:
    return _("The target time {hours:g} h is not after the early scan.").format(hours=hours)


def _fill(comboBox, texts, chosen: str) -> None:
    """Offer texts in a combo box, leaving it alone where it does already, and choose one of them, else the first."""
    if [comboBox.itemText(index) for index in range(comboBox.count)] != texts:
        comboBox.clear()
        comboBox.addItems(texts)
    if texts:
        comboBox.currentIndex = texts.index(chosen) if chosen in texts else 0
