"""Watching a MRML node or scene from a widget without keeping either alive longer than it lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import shiboken6
import slicer
import vtk

NODE_EVENTS = (
    slicer.vtkMRMLScene.NodeAddedEvent,
    slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent,
    slicer.vtkMRMLScene.NodeRemovedEvent,
)
"""Events that come with a node; those of segments come with a text, which must not be read as an object."""


class SceneObserver:
    """Observations of one widget: they end with the widget."""

    def __init__(self, widget: Any) -> None:
        self._widget = weakref.ref(widget)
        self._tags: list[tuple[Any, int]] = []

    def observe(
        self, subject: Any, event: int, method: Callable[[Any, Any], None], priority: float = 0.0
    ) -> None:
        """Call `method(widget, node)` on an event; the node is what the scene tells of, None for all other events."""
        reference = self._widget

        def onEvent(caller: Any, eventName: str, data: Any = None) -> None:
            widget = reference()
            if widget is not None and shiboken6.isValid(widget):
                method(widget, data)

        if event in NODE_EVENTS:
            onEvent.CallDataType = vtk.VTK_OBJECT  # type: ignore[attr-defined]
        self._tags.append((subject, subject.AddObserver(event, onEvent, priority)))

    def stop(self, subject: Any = None) -> None:
        """End the observations of one subject, or all."""
        kept = []
        for observed, tag in self._tags:
            if subject is None or observed is subject:
                observed.RemoveObserver(tag)
            else:
                kept.append((observed, tag))
        self._tags = kept
