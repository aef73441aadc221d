"""The two tables of TimeActivityFit's panel: scans with their hours, and regions with their model and organ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import qt

from .tables import columnsOf
from .timeActivityScans import ScanNode, isSequence

SCAN_COLUMNS = 5
_NAME, _HOURS, _CT, _OWN_REGIONS, _TRANSFORM = range(SCAN_COLUMNS)

REGION_COLUMNS = 3
_REGION, _MODEL, _ORGAN = range(REGION_COLUMNS)

_DOSE_TITLES = ("Dose (Gy)", "Dose per activity (mGy/MBq)", "SD (mGy/MBq)")

_TICK = "✓"
_SHORTEST_CHOICE = 6
"""Characters of a choice that a narrow panel still shows."""


class ScanTable:
    """Rows of scans in a QTableWidget.

    Parameters
    ----------
    widget
        The table.
    titles
        Titles of its five columns: scan, hours, CT, regions of its own, transform.
    inSequence
        Words in place of hours where a row is a sequence.
    onHours
        Called with row and hours (NaN if empty or no number) once the user has typed them.
    onSelected
        Called without arguments once another row is selected.
    """

    def __init__(
        self,
        widget,
        titles: Sequence[str],
        inSequence: str,
        onHours: Callable[[int, float], None],
        onSelected: Callable[[], None],
    ) -> None:
        self._widget, self._inSequence, self._onHours, self._onSelected = widget, inSequence, onHours, onSelected
        self._filling = False
        widget.setColumnCount(SCAN_COLUMNS)
        widget.setHorizontalHeaderLabels(list(titles))
        widget.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        widget.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        for column in range(SCAN_COLUMNS):
            mode = qt.QHeaderView.Stretch if column == _NAME else qt.QHeaderView.ResizeToContents
            widget.horizontalHeader().setSectionResizeMode(column, mode)
        widget.connect("itemChanged(QTableWidgetItem*)", self._changed)
        widget.connect("itemSelectionChanged()", self._selected)

    @property
    def currentRow(self) -> int:
        """Index of the selected row, -1 if none is."""
        return self._widget.currentRow()

    def show(self, rows: Sequence[ScanNode]) -> None:
        """Fill the table anew, the same row selected where it is still there."""
        self._filling = True
        try:
            selected = self.currentRow
            self._widget.setRowCount(len(rows))
            for number, row in enumerate(rows):
                for column, (text, toolTip) in enumerate(self._texts(row)):
                    editable = column == _HOURS and not isSequence(row.node)
                    _setCell(self._widget, number, column, text, editable, toolTip)
            if rows:
                self._widget.setCurrentCell(min(max(selected, 0), len(rows) - 1), _HOURS)
        finally:
            self._filling = False

    def finishTyping(self) -> None:
        """Take what is being typed into a cell: a button pressed on macOS leaves the cursor where it is."""
        row = self.currentRow
        if row >= 0:
            self._widget.setCurrentCell(row, _NAME)
            self._widget.setCurrentCell(row, _HOURS)

    def _texts(self, row: ScanNode) -> list[tuple[str, str]]:
        """Text and tool tip of each cell; nodes beside the scan are ticked, for their names are below the table."""
        hours = "" if row.hours is None or math.isnan(row.hours) else f"{row.hours:.10g}"
        nodes = (row.node, row.ct, row.segmentation, row.transform)
        name, *others = (node.GetName() if node is not None else "" for node in nodes)
        time = self._inSequence if isSequence(row.node) else hours
        return [(name or "?", name), (time, time), *((_TICK if other else "", other) for other in others)]

    def _changed(self, item) -> None:
        if self._filling or item.column() != _HOURS:
            return
        self._onHours(item.row(), hoursOf(item.text()))

    def _selected(self) -> None:
        if not self._filling:
            self._onSelected()


class RegionTable:
    """Segments with a check box, a model and an organ each, in a QTableWidget.

    Parameters
    ----------
    widget
        The table.
    titles
        Titles of its three columns: region, model, organ.
    models, organs
        Choices: stored value to the words shown; the first of each is taken where nothing is stored.
    onChanged
        Called without arguments once the user has changed something.
    """

    def __init__(
        self,
        widget,
        titles: Sequence[str],
        models: Mapping[str, str],
        organs: Mapping[str, str],
        onChanged: Callable[[], None],
    ) -> None:
        self._widget, self._models, self._known, self._onChanged = widget, dict(models), dict(organs), onChanged
        self._organs = dict(organs)
        self._ids: list[str] = []
        self._filling = False
        widget.setColumnCount(REGION_COLUMNS)
        widget.setHorizontalHeaderLabels(list(titles))
        for column in range(REGION_COLUMNS):
            widget.horizontalHeader().setSectionResizeMode(column, qt.QHeaderView.Stretch)
        widget.connect("itemChanged(QTableWidgetItem*)", self._itemChanged)

    def show(
        self,
        names: Mapping[str, str],
        unchecked: Sequence[str],
        models: Mapping[str, str],
        organs: Mapping[str, str],
        otherOrgans: Sequence[str] = (),
    ) -> None:
        """Fill the table anew.

        Parameters
        ----------
        names
            Segment ID to name.
        unchecked
            IDs of the segments that are not measured.
        models, organs
            Segment ID to its model and organ; "" where it has none.
        otherOrgans
            Organs beside the phantom's that may be chosen.
        """
        self._filling = True
        try:
            offered = {**self._known, **{organ: organ.replace("_", " ") for organ in otherOrgans}}
            if list(names) != self._ids or list(offered) != list(self._organs):
                self._organs = offered
                self._ids = list(names)
                self._widget.setRowCount(0)
                self._widget.setRowCount(len(names))
                for number in range(len(names)):
                    self._addCombo(number, _MODEL, self._models)
                    self._addCombo(number, _ORGAN, self._organs)
            for number, (segmentID, name) in enumerate(names.items()):
                _setCell(self._widget, number, _REGION, name, False, name)
                item = self._widget.item(number, _REGION)
                item.setFlags(item.flags() | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Unchecked if segmentID in unchecked else qt.Qt.Checked)
                self._setChoice(number, _MODEL, self._models, models.get(segmentID, ""))
                self._setChoice(number, _ORGAN, self._organs, organs.get(segmentID, ""))
        finally:
            self._filling = False

    @property
    def currentSegmentID(self) -> str:
        """ID of the selected segment; empty if none is."""
        row = self._widget.currentRow()
        return self._ids[row] if 0 <= row < len(self._ids) else ""

    def unchecked(self) -> list[str]:
        """IDs of the segments that are not measured."""
        return [
            segmentID
            for number, segmentID in enumerate(self._ids)
            if self._widget.item(number, _REGION).checkState() == qt.Qt.Unchecked
        ]

    def models(self) -> dict[str, str]:
        """Segment ID to its own model, where it has one."""
        return self._chosen(_MODEL, self._models)

    def organs(self) -> dict[str, str]:
        """Segment ID to its organ, "" where it is none of the phantom's."""
        return self._chosen(_ORGAN, self._organs)

    def _addCombo(self, row: int, column: int, choices: Mapping[str, str]) -> None:
        combo = qt.QComboBox()
        for words in choices.values():
            combo.addItem(words)
        combo.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        combo.minimumContentsLength = _SHORTEST_CHOICE
        combo.connect("currentIndexChanged(int)", self._comboChanged)
        self._widget.setCellWidget(row, column, combo)

    def _setChoice(self, row: int, column: int, choices: Mapping[str, str], value: str) -> None:
        values = list(choices)
        self._widget.cellWidget(row, column).setCurrentIndex(values.index(value) if value in values else 0)

    def _chosen(self, column: int, choices: Mapping[str, str]) -> dict[str, str]:
        values = list(choices)
        return {
            segmentID: values[self._widget.cellWidget(number, column).currentIndex]
            for number, segmentID in enumerate(self._ids)
        }

    def _itemChanged(self, item) -> None:
        if not self._filling:
            self._onChanged()

    def _comboChanged(self, index: int) -> None:
        if not self._filling:
            self._onChanged()


class DoseTable:
    """Organ doses in a QTableWidget, the highest first, to three digits: for reading, not for computing.

    Parameters
    ----------
    widget
        The table.
    titles
        Titles of its four columns: target, dose, uncertainty, BED [Gy].
    """

    def __init__(self, widget, titles: Sequence[str]) -> None:
        self._widget = widget
        widget.setColumnCount(len(titles))
        widget.setHorizontalHeaderLabels(list(titles))
        widget.verticalHeader().setVisible(False)
        for column in range(len(titles)):
            mode = qt.QHeaderView.Stretch if column == 0 else qt.QHeaderView.ResizeToContents
            widget.horizontalHeader().setSectionResizeMode(column, mode)

    def show(self, tableNode) -> bool:
        """Show a table node of `organDoseTable`; False, and nothing shown, where it holds no doses."""
        columns = {} if tableNode is None else columnsOf(tableNode)
        if not {"Target", *_DOSE_TITLES} <= columns.keys():
            self._widget.setRowCount(0)
            return False
        count = len(columns["Target"])
        bed = columns.get("BED (Gy)", [math.nan] * count)
        rows = sorted(range(count), key=lambda row: -columns["Dose (Gy)"][row])
        self._widget.setRowCount(count)
        for number, row in enumerate(rows):
            dose, perActivity, std = (columns[title][row] for title in _DOSE_TITLES)
            stdGy = dose * std / perActivity if perActivity > 0 else math.nan
            name = columns["Target"][row].replace("_", " ")
            for column, text in enumerate((name, _digits(dose), _digits(stdGy), _digits(bed[row]))):
                _setCell(self._widget, number, column, text, False, columns["Target"][row])
        return True


def _digits(value: float) -> str:
    """Three digits of a number; nothing where it is none."""
    return f"{value:.3g}" if math.isfinite(value) else ""


def hoursOf(text: str) -> float:
    """Hours that a user typed, a decimal comma understood; NaN where it is no finite number."""
    try:
        hours = float(text.strip().replace(",", "."))
    except ValueError:
        return math.nan
    return hours if math.isfinite(hours) else math.nan


def _setCell(widget, row: int, column: int, text: str, editable: bool, toolTip: str = "") -> None:
    """Text of a cell; an item that is there stays, for it may be the one whose change is being told."""
    item = widget.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem()
        widget.setItem(row, column, item)
    flags = qt.Qt.ItemIsSelectable | qt.Qt.ItemIsEnabled
    item.setFlags(flags | qt.Qt.ItemIsEditable if editable else flags)
    if item.text() != text:
        item.setText(text)
    item.setToolTip(toolTip)
