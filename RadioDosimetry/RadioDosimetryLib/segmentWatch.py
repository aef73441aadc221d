"""Hears when segments come, go or change."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import slicer
from slicer.util import VTKObservationMixin


class SegmentWatch(VTKObservationMixin):
    """Follows the segments of some segmentations.

    Parameters
    ----------
    onChanged
        Called without arguments once segments of one of them have changed.
    """

    def __init__(self, onChanged: Callable[[], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._onChanged = onChanged
        self._followed: list = []

    def follow(self, segmentationNodes: Iterable) -> None:
        """Follow these segmentations, None left out, and no others."""
        wanted: list = []
        for node in segmentationNodes:
            if node is not None and node not in wanted:
                wanted.append(node)
        if wanted == self._followed:
            return
        self.removeObservers()
        self._followed = wanted
        events = slicer.vtkSegmentation
        for node in wanted:
            for event in (events.SegmentAdded, events.SegmentRemoved, events.SegmentModified):
                self.addObserver(node.GetSegmentation(), event, self._onEvent)

    def _onEvent(self, caller=None, event=None) -> None:
        self._onChanged()
