"""What every panel of this extension does with a computation: start, progress, cancel, end, and a line that tells."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from slicer.i18n import tr as _

from .background import BackgroundRun

ERROR_STYLE, WARNING_STYLE = "color: #b00020;", "color: #8a5a00;"
"""Colours of what a panel says."""

Work = tuple[Callable[[Any], Any], Callable[[Any], None]]
"""What computes, off the GUI thread and without touching a node, and what leaves its result in the scene."""


class RunningPanel:
    """One computation at a time behind the widgets of a panel; its failures end as messages.

    Parameters
    ----------
    ui
        Widgets by name, `progressBar` and `cancelButton` among them.
    logic
        Logic of the module.
    messageLabel
        Where the panel speaks.
    """

    def __init__(self, ui, logic, messageLabel) -> None:
        self._ui, self._logic, self._parameters = ui, logic, None
        self._messageLabel = messageLabel
        self._run = BackgroundRun()
        ui.progressBar.visible = False

    @property
    def isRunning(self) -> bool:
        """Whether something is being computed."""
        return self._run.isRunning

    def _choices(self) -> Any:
        """The scene's choices, also while another module is shown and a run of this one ends."""
        return self._parameters if self._parameters is not None else self._logic.getParameterNode()

    def onCancel(self) -> None:
        """Ask the computation to stop."""
        if self._run.isRunning:
            self._run.cancel()
            self._say(_("Cancelling..."))
            self._ui.cancelButton.enabled = False

    def abandon(self) -> None:
        """Stop the computation and forget its result: the scene or the panel goes away."""
        if self._run.isRunning:
            self._run.abandon()
            self._say(_("The computation was stopped, since the scene was closed."))
        self._updateActions()

    def _updateActions(self) -> None:
        """Enable what can be pressed, and say on the others what is missing."""
        raise NotImplementedError(f"{type(self).__name__} does not say what can be pressed.")

    def _busy(self) -> str:
        """Why nothing can be started now; empty if something can."""
        return _("A computation is under way: wait or cancel it.") if self._run.isRunning else ""

    def _start(self, prepare: Callable[[], Work], words: str) -> None:
        """Compute in the background.

        Parameters
        ----------
        prepare
            Reads the nodes, and gives what computes and what stores.
        words
            Said while it begins.
        """
        from radiodosimetry.errors import InputError

        from .requirements import ensureRequirements

        try:
            if self._run.isRunning:
                raise InputError(self._busy())
            ensureRequirements(interactive=True)
            compute, store = prepare()
            self._run.start(compute, lambda result, error: self._onEnd(result, error, store), self._onProgress)
        except Exception as error:  # every failure ends as a message in the panel
            self._sayError(error)
        else:
            self._ui.progressBar.value = 0
            self._say(words)
        self._updateActions()

    def _onProgress(self, fraction: float, message: str) -> None:
        self._ui.progressBar.value = round(100 * fraction)
        if self._ui.cancelButton.enabled:
            self._say(message)

    def _onEnd(self, result, error, store: Callable[[Any], None]) -> None:
        """Leave the result in the scene; or say why there is none."""
        from radiodosimetry.errors import CancelledError

        if isinstance(error, CancelledError):
            self._say(_("Cancelled; the scene is unchanged."))
        elif error is not None:
            self._sayError(error)
        else:
            self._guarded(lambda: store(result))
        self._updateActions()

    def _guarded(self, action: Callable[[], Any]) -> None:
        """Do something on the scene; a failure ends as a message."""
        try:
            action()
        except Exception as error:  # as in _start
            self._sayError(error)

    def _sayDone(self, text: str, warnings: Sequence[str]) -> None:
        """Say that something is done, with what the user must know of the result."""
        if warnings:
            text = _("{done} Beware: {warnings}").format(done=text, warnings=" ".join(warnings))
        self._say(text, isWarning=bool(warnings))

    def _sayError(self, error: Exception) -> None:
        from radiodosimetry.errors import RadioDosimetryError

        log = logging.getLogger(type(self).__module__)
        if isinstance(error, RadioDosimetryError):
            log.warning("%s", error)
            self._say(str(error), isError=True)
        else:
            log.exception("%s failed", type(self).__name__, exc_info=error)
            self._say(_("Unexpected failure: {error}. The log has the details.").format(error=error), isError=True)

    def _say(self, text: str, isError: bool = False, isWarning: bool = False) -> None:
        self._messageLabel.styleSheet = ERROR_STYLE if isError else WARNING_STYLE if isWarning else ""
        self._messageLabel.text = text
