"""Outputs that cannot be written, in words for disabled buttons."""

from __future__ import annotations

from collections.abc import Sequence

from slicer.i18n import tr as _

from .outputs import inputBehind


def inputAsOutput(outputs: Sequence, inputs: Sequence) -> str:
    """Which output is an input, or shows a scan of an input sequence, a sentence; empty if none does."""
    for output in outputs:
        source = inputBehind(output, inputs)
        if source is output and output is not None:
            return _("'{name}' is an input and is not overwritten; select another output.").format(
                name=output.GetName()
            )
        if source is not None:
            return _("'{name}' shows a scan of the input '{sequence}'; select another output.").format(
                name=output.GetName(), sequence=source.GetName()
            )
    return ""
