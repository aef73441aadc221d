"""What Sample Data's buttons do with our generated data: nodes in the scene, or a message that says why not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import slicer
from slicer.i18n import tr as _

from .outputs import allOrNothing


def loadOrSay(load: Callable[[], Iterable]) -> list:
    """Nodes of sample data; none, with a message box and the scene as it was, where they cannot be made.

    Slicer writes what a button of Sample Data raises to its console alone.
    """
    from radiodosimetry.errors import RadioDosimetryError

    try:
        with allOrNothing():
            return list(load())
    except Exception as error:  # every failure ends as a message
        if not isinstance(error, RadioDosimetryError):
            logging.exception("Sample data could not be made")
        slicer.util.errorDisplay(_("The sample data could not be made. {reason}").format(reason=error))
        return []
