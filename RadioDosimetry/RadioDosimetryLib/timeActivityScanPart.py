"""The table of scans in TimeActivityFit's panel: its rows, and what lies beside the selected one. No science."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import slicer
from slicer.i18n import tr as _

from .timeActivityChecks import injectionMoment, scanNames, scanRows
from .timeActivityScans import ScanNode, hoursFromDicom, isSequence
from .timeActivityTables import ScanTable
from .timeActivityViews import fill


class ScanPart:
    """Base of the panel that answers to the widgets of the table of scans.

    Its subclass has `_ui`, `_parameters`, `_choices()`, `_updating`, `update()`, `_say` and `_guarded`.
    """

    def _makeScanTable(self) -> None:
        """The table; once, before `_connectScans`."""
        self._scans = ScanTable(
            self._ui.scansTable,
            (_("Scan"), _("Hours [h]"), _("CT"), _("Regions"), _("Transform")),
            _("in the sequence"),
            self._onHours,
            self.update,
        )

    def _connectScans(self) -> None:
        """Connect the widgets."""
        ui = self._ui
        for button, slot in (
            (ui.addScanButton, self.onAddScan),
            (ui.removeScanButton, self.onRemoveScan),
            (ui.sortScansButton, self.onSortScans),
            (ui.timesFromDicomButton, self.onTimesFromDicom),
        ):
            button.connect("clicked(bool)", slot)
        for selector, slot in (
            (ui.scanSelector, self._onAnyNode),
            (ui.ctSelector, self._onCT),
            (ui.ownRegionsSelector, self._onOwnRegions),
            (ui.transformSelector, self._onTransform),
        ):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", slot)
            selector.connect("nodeActivated(vtkMRMLNode*)", slot)  # with Qt 6 the other is silent between namesakes
        ui.referenceComboBox.connect("currentIndexChanged(int)", self._onReference)

    def _updateScans(self) -> None:
        """Show the rows, and what lies beside the selected one."""
        ui, rows, row = self._ui, scanRows(self._parameters), None
        self._scans.show(rows)
        row = self._currentScan()
        for selector, node in (
            (ui.ctSelector, row and row.ct),
            (ui.ownRegionsSelector, row and row.segmentation),
            (ui.transformSelector, row and row.transform),
        ):
            selector.setCurrentNode(node)
            selector.enabled = row is not None
        ui.ctSelector.enabled = row is not None and not isSequence(row.node)
        try:
            names = scanNames(rows)
        except ValueError:
            names = []
        fill(ui.referenceComboBox, names, min(self._parameters.referenceScan, len(names) - 1))

    def _currentScan(self) -> ScanNode | None:
        """The selected row."""
        rows, current = scanRows(self._parameters), self._scans.currentRow
        return rows[current] if 0 <= current < len(rows) else None

    def onAddScan(self) -> None:
        """Put the chosen image into the table."""
        node = self._ui.scanSelector.currentNode()
        rows = scanRows(self._parameters)
        if any(row.node is node for row in rows):
            self._say(_("{name} is in the table already.").format(name=node.GetName()), isError=True)
            return
        self._storeRows([*rows, ScanNode(node, math.nan)])

    def onRemoveScan(self) -> None:
        """Take the selected row out of the table."""
        rows, current = scanRows(self._parameters), self._scans.currentRow
        self._storeRows([row for number, row in enumerate(rows) if number != current])

    def onSortScans(self) -> None:
        """Put the rows in the order of time, those without a time last."""
        rows = scanRows(self._parameters)
        self._storeRows(sorted(rows, key=lambda row: math.inf if math.isnan(row.hours) else row.hours))

    def onTimesFromDicom(self) -> None:
        """Fill in the hours of all scans whose header tells them."""
        self._guarded(self._timesFromDicom)

    def _timesFromDicom(self) -> None:
        from radiodosimetry.errors import InputError

        injection = injectionMoment(self._parameters.injectionTime)
        rows, words = scanRows(self._parameters), []
        for number, row in enumerate(rows):
            if row.node is None or isSequence(row.node):
                continue
            try:
                hours, warnings = hoursFromDicom(row.node, injection)
            except InputError as error:
                words.append(str(error))
            else:
                rows[number] = replace(row, hours=hours)
                words.extend(warnings)
        self._storeRows(rows)
        self._say(" ".join(words) or _("Hours taken from DICOM."), isError=bool(words))

    def _onHours(self, number: int, hours: float) -> None:
        rows = scanRows(self._parameters)
        rows[number] = replace(rows[number], hours=hours)
        self._storeRows(rows)

    def _onAnyNode(self, node) -> None:
        self.update()

    def _onCT(self, node) -> None:
        self._storeInCurrentRow(ct=node)

    def _onOwnRegions(self, node) -> None:
        self._storeInCurrentRow(segmentation=node)

    def _onTransform(self, node) -> None:
        self._storeInCurrentRow(transform=node)

    def _onReference(self, index: int) -> None:
        self._store(referenceScan=max(index, 0))

    def _storeInCurrentRow(self, **changes: Any) -> None:
        if self._updating or self._parameters is None:
            return
        rows, current = scanRows(self._parameters), self._scans.currentRow
        if 0 <= current < len(rows):
            row = replace(rows[current], **changes)
            if row != rows[current]:  # selectors tell the same node again when another one goes or it gets another name
                rows[current] = row
                self._storeRows(rows)

    def _storeRows(self, rows: list[ScanNode]) -> None:
        parameters = self._choices()
        self._forgetError()
        with slicer.util.NodeModify(parameters):
            parameters.scanNodes = [row.node for row in rows]
            parameters.scanHours = [math.nan if row.hours is None else float(row.hours) for row in rows]
            parameters.scanCTs = [row.ct for row in rows]
            parameters.scanTransforms = [row.transform for row in rows]
            segmented = [row for row in rows if row.node is not None and row.segmentation is not None]
            parameters.segmentedScans = [row.node for row in segmented]
            parameters.scanSegmentations = [row.segmentation for row in segmented]
        self.update()
