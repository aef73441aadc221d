"""The panel of DelayedPETSynthesis: what its buttons do, what it says, and what it lets be pressed. No science."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from .delayedPet import cardText, installedModels
from .delayedPetChecks import missingForSynthesis, noModel, tracerChoices
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
        self._tracers: dict[str, str] = {}
        self._hours: list[float] = []

    def connect(self) -> None:
        """Connect the widgets; after that the panel answers to clicks."""
        ui = self._ui
        for button, slot in (
            (ui.applyButton, self.onApply),
            (ui.cancelButton, self.onCancel),
            (ui.compareButton, self.onCompare),
            (ui.showButton, self.onShow),
            (ui.showUncertaintyButton, self.onShowUncertainty),
            (ui.handOverButton, self.onHandOver),
            (ui.modelTimesButton, self.onModelTimes),
            (ui.earlyTimeButton, self.onEarlyTime),
        ):
            button.connect("clicked(bool)", slot)
        ui.modelComboBox.connect("currentIndexChanged(int)", self.onModelChosen)
        ui.nuclideComboBox.connect("currentIndexChanged(int)", self.onNuclideChosen)
        ui.tracerComboBox.connect("currentIndexChanged(int)", self.onTracerChosen)

    def setParameterNode(self, parameters) -> None:
        """Take the choices of a parameter node; None: of none."""
        self._parameters = parameters
        if parameters is None:
            self._ui.applyButton.enabled = False
            for view in (self._ui.activitiesTableView, self._ui.comparisonTableView):
                view.setMRMLTableNode(None)
            return
        self._logic.models()
        self.update()
        if not installedModels() and not self._run.isRunning:
            self._say(noModel(), isWarning=True)
        elif self._ui.statusLabel.text == noModel():
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
        self._showTables()
        self._updateActions()

    def _showTables(self) -> None:
        """Show the tables that are chosen, each column as wide as what it holds."""
        for view, table in (
            (self._ui.activitiesTableView, self._parameters.activitiesTable),
            (self._ui.comparisonTableView, self._parameters.comparisonTable),
        ):
            view.setMRMLTableNode(table)
            view.resizeColumnsToContents()

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
        self._tracers = tracerChoices(card, parameters.tracer)
        stated = next((words for words, tracer in self._tracers.items() if tracer == parameters.tracer), "")
        _fill(ui.tracerComboBox, list(self._tracers), stated)
        ui.regionsSelector.enabled = card is not None and card.takes_regions
        ui.regionsSelector.toolTip = _regionsTip(ui.regionsSelector.enabled)
        text = cardText(card) if card is not None else noModel()
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
        self._offerTimes(results)
        missing = self._busy() or self._missingForUncertainty(results)
        ui.showUncertaintyButton.enabled = not missing
        ui.showUncertaintyButton.toolTip = missing or _(
            "The synthetic volume and its standard uncertainty beside each other, linked; each has a window of its own."
        )
        none = "" if results and not running else _("Synthesise volumes first.")
        for button, words in (
            (ui.showButton, _("Early, synthetic and acquired scan beside each other, linked and at one window.")),
            (ui.handOverButton, _("Open TimeActivityFit with the early scan and the synthetic volumes.")),
        ):
            button.enabled = not none
            button.toolTip = none or words

    def _missingForApply(self) -> str:
        """Why Apply cannot be pressed, a sentence; empty if it can."""
        return self._busy() or missingForSynthesis(self._parameters, installedModels())

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

    def onTracerChosen(self, index: int = 0) -> None:
        """Keep the tracer that was given."""
        if self._parameters is not None and not self._isFilling:
            self._parameters.tracer = self._tracers.get(self._ui.tracerComboBox.currentText, "")

    def onNuclideChosen(self, index: int = 0) -> None:
        """Keep the chosen nuclide."""
        if self._parameters is not None and not self._isFilling:
            self._parameters.nuclide = self._ui.nuclideComboBox.currentText

    def onModelTimes(self) -> None:
        """Fill in the times that the chosen model was trained for, as far as they lie after the early scan."""
        models, parameters = installedModels(), self._parameters
        if parameters is None or parameters.modelName not in models:
            return
        card = models[parameters.modelName].card
        times_s = card.target_times_s or {end for limits in card.target_time_ranges_s for end in limits}
        later = sorted(time_s / 3600 for time_s in times_s if time_s / 3600 > parameters.earlyTimeH)
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
        warnings = [*warnings, *self._tabulate()]
        names = ", ".join(node.GetName() for node in nodes)
        self._sayDone(_("Made: {names}.").format(names=names), warnings)

    # After the run

    def _tabulate(self) -> list[str]:
        """Tabulate the activities of the results in the regions that were given, else in those of the comparison; why
        those of the comparison cannot be used."""
        from radiodosimetry.errors import InputError

        choices, problems = self._choices(), []
        try:
            table = self._logic.activities(choices.regions or choices.segmentation, choices.activitiesTable)
        except InputError as error:
            problems = [str(error)]
            table = self._logic.activities(None, choices.activitiesTable)
        choices.activitiesTable = table
        self._showTables()
        self._ui.resultsCollapsibleButton.collapsed = False
        return problems

    def onShowUncertainty(self) -> None:
        """A synthetic volume and its uncertainty beside each other."""
        self._guarded(self._showUncertainty)

    def _showUncertainty(self) -> None:
        from .delayedPetResults import shownUncertainty
        from .display import arrangeSideBySide, showWithUncertainty

        hours = self._hours[self._ui.shownTimeComboBox.currentIndex]
        volume, uncertain = shownUncertainty(self._logic.results(), hours)
        arrangeSideBySide(showWithUncertainty(volume, uncertain, self._parameters.ctVolume))
        tops = [node.GetDisplayNode().GetWindowLevelMax() / 1e3 for node in (volume, uncertain)]
        text = _(
            "Shown at {hours:g} h: the activity from 0 to {activity:g} kBq/mL, its standard uncertainty from 0 to "
            "{std:g} kBq/mL. The colours of the two do not compare."
        )
        self._say(text.format(hours=hours, activity=tops[0], std=tops[1]))

    def _offerTimes(self, results) -> None:
        """Offer the times of the results whose uncertainty is there."""
        from .delayedPetResults import uncertainHours

        box = self._ui.shownTimeComboBox
        self._hours = uncertainHours(results)
        _fill(box, [f"{hours:g} h" for hours in self._hours], box.currentText)

    def _missingForUncertainty(self, results) -> str:
        if not results:
            return _("Synthesise volumes first.")
        return "" if self._hours else _("No uncertainty was made with the results.")

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
        self._showTables()
        self._say(_("Compared: {name}.").format(name=table.GetName()))

    def onShow(self) -> None:
        """Early and synthetic scans beside each other."""
        self._guarded(self._show)

    def _show(self) -> None:
        from .delayedPetResults import shownVolumes
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
        parameters = self._parameters
        self._logic.handOver(
            parameters.nuclide,
            parameters.earlyTimeH,
            parameters.segmentation or parameters.regions,
            parameters.administeredActivityMBq,
        )
        self._say(_("TimeActivityFit has the early scan and the synthetic volumes now."))
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("TimeActivityFit")


def _regionsTip(taken: bool) -> str:
    if not taken:
        return _("This model does not look at regions.")
    return _(
        "Organs and lesions of the patient, drawn on the early PET or its CT. They help most with lesions that take up "
        "the tracer late, which an early scan hardly shows. Without them the model finds the tissues itself. Where "
        "segments overlap the smallest counts."
    )


def _fill(comboBox, texts, chosen: str) -> None:
    """Offer texts in a combo box, leaving it alone where it does already, and choose one of them, else the first."""
    if [comboBox.itemText(index) for index in range(comboBox.count)] != texts:
        comboBox.clear()
        comboBox.addItems(texts)
    if texts:
        comboBox.currentIndex = texts.index(chosen) if chosen in texts else 0
