"""The panel of DelayedPETSynthesis: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from .delayedPet import cardText, hoursFromText, installedModels
from .runningPanel import RunningPanel, Work


class DelayedPetPanel(RunningPanel):
    """Wires the widgets of `DelayedPETSynthesis.ui` to the logic.

    Parameters
    ----------
    ui
        Widgets by name.
    logic
        `DelayedPETSynthesisLogic`.
    """

    def __init__(self, ui, logic) -> None:
        super().__init__(ui, logic, ui.statusLabel)
        self._isFilling = False

    def connect(self) -> None:
        """Connect the widgets; after that the panel answers to clicks."""
        ui = self._ui
        for button, slot in (
            (ui.applyButton, self.onApply),
            (ui.cancelButton, self.onCancel),
            (ui.compareButton, self.onCompare),
            (ui.showButton, self.onShow),
            (ui.handOverButton, self.onHandOver),
            (ui.modelTimesButton, self.onModelTimes),
            (ui.earlyTimeButton, self.onEarlyTime),
        ):
            button.connect("clicked(bool)", slot)
        ui.modelComboBox.connect("currentIndexChanged(int)", self.onModelChosen)
        ui.nuclideComboBox.connect("currentIndexChanged(int)", self.onNuclideChosen)

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._ui.applyButton.enabled = False
            self._ui.comparisonTableView.setMRMLTableNode(None)
            return
        self._logic.models()
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

        from .delayedPetNodes import isOwnSequence, showsScanOf

        parameters, models = self._parameters, installedModels()
        if self._run.isRunning:
            return self._busy()
        if not models:
            return _noModel()
        if parameters.earlyVolume is None:
            return _("Select the early PET.")
        if parameters.oneSequence and not isOwnSequence(parameters.outputSequence):
            return _("The sequence holds scans that were not made here; choose another one, or a new one.")
        if parameters.oneSequence and showsScanOf(parameters.earlyVolume, parameters.outputSequence):
            return _("The early PET shows a scan of that sequence; choose another one, or a new one.")
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
            return self._busy()
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
        self._start(self._synthesisWork, _("Synthesising..."))

    def _synthesisWork(self) -> Work:
        """What the choices ask for, read from the nodes."""
        from .delayedPetWork import runSynthesis

        parameters = self._parameters
        request = self._logic.request(parameters)
        early = parameters.earlyVolume
        choices = (parameters.withUncertainty, parameters.oneSequence, parameters.outputSequence)
        return (
            lambda progress: runSynthesis(request, progress),
            lambda results: self._store(results, request, early, choices),
        )

    def _store(self, results, request, early, choices) -> None:
        withUncertainty, oneSequence, sequence = choices
        nodes = self._logic.store(results, request, early, withUncertainty, oneSequence, sequence)
        if oneSequence:
            self._choices().outputSequence = nodes[0]
        warnings = dict.fromkeys(warning for item in results for warning in item.volume.record.warnings)
        names = ", ".join(node.GetName() for node in nodes)
        self._sayDone(_("Made: {names}.").format(names=names), list(warnings))

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
        from .display import arrangeSideBySide, showSideBySide
        from .sideBySide import newestDose

        parameters = self._parameters
        shown = shownVolumes(self._logic.results(), parameters.acquiredVolume, parameters.acquiredTimeH)
        dose = newestDose()
        if dose is not None and parameters.acquiredVolume is None:
            shown = [*shown[:2], dose]
        arrangeSideBySide(showSideBySide(shown, parameters.ctVolume))

    def onHandOver(self) -> None:
        """Give the series to TimeActivityFit and open it."""
        self._guarded(self._handOver)

    def _handOver(self) -> None:
        self._logic.handOver(self._parameters.nuclide, self._parameters.earlyTimeH, self._parameters.segmentation)
        self._say(_("TimeActivityFit has the early scan and the synthetic volumes now."))
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("TimeActivityFit")


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
