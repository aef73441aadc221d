"""Why a training ends before its time."""

from __future__ import annotations

from ..errors import RadioDosimetryError


class TrainingStoppedError(RadioDosimetryError):
    """A training stopped because going on was pointless: the loss is not a number, a network collapsed, …

    The run's last checkpoint stays as it was.
    """
