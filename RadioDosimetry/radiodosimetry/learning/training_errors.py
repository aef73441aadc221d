"""Why a training ends without a result."""

from __future__ import annotations

from ..errors import RadioDosimetryError


class TrainingStoppedError(RadioDosimetryError):
    """A training stopped because going on was pointless: the loss is not a number, a network collapsed, …

    The run's last checkpoint stays as it was.
    """


class ShareDoneError(RadioDosimetryError):
    """One of several processes of a training, but not the first, has done its share: nothing is left for it to do.

    Raised instead of giving a result, so that the model is judged and written by the first process alone.
    """
