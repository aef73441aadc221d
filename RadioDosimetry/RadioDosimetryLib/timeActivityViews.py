"""What TimeActivityFit's panel shows: items of combo boxes, warnings in few words, charts and tables in views."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import slicer


def joinedWarnings(warnings: Iterable[str]) -> str:
    """Warnings in one paragraph; one that several regions share ("region: text") is said once, with their names."""
    regions: dict[str, list[str]] = {}
    for warning in warnings:
        region, colon, text = warning.partition(": ")
        if not colon:
            region, text = "", warning
        regions.setdefault(text, []).append(region)
    words = []
    for text, names in regions.items():
        named = [name for name in names if name]
        words.append(f"{', '.join(named)}: {text}" if named else text)
    return " ".join(words)


def saidOfRegions(fitsNode) -> set[str]:
    """What the record of a table of fits warns of single regions ("region: text"); empty without a table."""
    from .tables import columnsOf
    from .volumes import recordOf

    record = None if fitsNode is None else recordOf(fitsNode)
    if record is None:
        return set()
    names = set(columnsOf(fitsNode)["Region"])
    return {text for text in record.warnings if text.partition(": ")[0] in names}


class FileSources:
    """Source organs of the user's S-values, read once for each state of the file; none where it cannot be used."""

    def __init__(self) -> None:
        self._key: tuple = ()
        self._found: tuple[str, ...] = ()

    def of(self, parameters) -> tuple[str, ...]:
        """Of the choices of a parameter node."""
        from radiodosimetry.errors import RadioDosimetryError

        from .timeActivityDoses import sourcesOfFile

        path, unit = parameters.sValuesFile, parameters.sValuesUnit.value
        if not path or not Path(path).is_file():
            return ()
        key = (path, Path(path).stat().st_mtime_ns, parameters.nuclide, unit)
        if key != self._key:
            try:
                found = sourcesOfFile(path, parameters.nuclide, unit)
            except RadioDosimetryError:  # said once the doses are computed
                found = ()
            self._key, self._found = key, found
        return self._found


def fill(combo, texts: list[str], index: int) -> None:
    """Other items in a combo box; left alone where they are the same."""
    if [combo.itemText(number) for number in range(combo.count)] != texts:
        combo.clear()
        combo.addItems(texts)
    combo.setCurrentIndex(index)


def showInView(view, table) -> None:
    """Show a table in a table view of the panel, its columns as wide as their cells; None shows nothing."""
    if view.mrmlTableNode() is not table:
        view.setMRMLTableNode(table)
        if table is not None:
            view.resizeColumnsToContents()


def warningsOf(node) -> tuple[str, ...]:
    """Warnings of the record of a node, with its name."""
    from .volumes import recordOf

    record = recordOf(node)
    return () if record is None else tuple(f"{node.GetName()}: {text}" for text in record.warnings)


def showChart(chart) -> None:
    """Show a chart in a plot view, in a layout that has one; nothing without a main window."""
    manager, plots = slicer.app.layoutManager(), slicer.modules.plots.logic()
    if manager is not None:
        manager.setLayout(plots.GetLayoutWithPlot(manager.layout))
        plots.ShowChartInLayout(chart)


def showTable(table) -> None:
    """Show a table in a table view, in a layout that has one; nothing without a main window."""
    manager, tables = slicer.app.layoutManager(), slicer.modules.tables.logic()
    if manager is None:
        return
    manager.setLayout(tables.GetLayoutWithTable(manager.layout))
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveTableID(table.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()


def handToVoxelDose(choices, tiaNode, ctNode=None) -> None:
    """Hand a map, the nuclide and what else is known to VoxelDose.

    Parameters
    ----------
    choices
        Parameter node of TimeActivityFit.
    tiaNode
        Volume of time-integrated activity.
    ctNode
        CT of the patient; VoxelDose keeps its own if None.
    """
    import VoxelDose

    from .timeActivityChecks import leadingSegmentation

    segmentation = leadingSegmentation(choices)
    wanted = VoxelDose.VoxelDoseLogic().getParameterNode()
    with slicer.util.NodeModify(wanted):
        wanted.activityVolume, wanted.nuclide = tiaNode, choices.nuclide
        if segmentation is not None:
            wanted.segmentation = segmentation
        if ctNode is not None:
            wanted.ctVolume = ctNode
