"""A module's panel opened for tests, and what a person does on any panel: choosing, typing, waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

LONGEST_WAIT_S = 60.0


def opened(module_name: str, message_label: str) -> Iterator[SimpleNamespace]:
    """The panel of a module, opened; what runs is stopped and the module left in the end.

    Parameters
    ----------
    module_name
        Name of the module.
    message_label
        Name of the label on which the panel says how it goes.
    """
    import standin

    _module, representation = standin.loadModule(module_name)
    widget = representation.self()
    if not representation.isEntered:
        representation.enter()
    message = getattr(widget.ui, message_label)
    yield SimpleNamespace(ui=widget.ui, widget=widget, logic=widget.logic, run=widget._panel, message=message)
    widget._panel.abandon()
    representation.exit()


def choose(box: Any, text: str) -> None:
    """Choose an entry of a combo box as a person does."""
    box.currentIndex = next(number for number in range(box.count) if text in box.itemText(number))


def pick(selector: Any, node: Any) -> None:
    """Choose a node as a person does who opens the box and clicks on its row."""
    selector.setCurrentNode(node)
    selector.nodeActivated.emit(node)


def type_path(edit: Any, text: str) -> None:
    """Put another text into a field of a file, as a person does who empties it and pastes."""
    line = edit.comboBox().lineEdit()
    line.clear()
    line.setText(text)


def wait(panel: SimpleNamespace, until: Callable[[], bool] | None = None) -> None:
    """Let the window live until the run ends, or something else comes true."""
    import slicer

    end = time.monotonic() + LONGEST_WAIT_S
    done = until or (lambda: not panel.run.isRunning)
    while not done():
        assert time.monotonic() < end, f"still waiting: {panel.message.text}"
        slicer.app.processEvents()
        time.sleep(0.002)  # as a window that waits for a person; a thread may compute


def columns(table: Any) -> dict[str, list[Any]]:
    """Cells of a table node."""
    from RadioDosimetryLib.tables import columnsOf

    return columnsOf(table)


def node_ids() -> set[str]:
    """IDs of all nodes of the scene."""
    import slicer

    scene = slicer.mrmlScene
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}
