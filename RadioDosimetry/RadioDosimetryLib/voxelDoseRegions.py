"""The table of segments with check marks in VoxelDose's panel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from .organNames import organOfSegment
from .segmentations import segmentNames
from .voxelDoseWork import isLesion


class RegionsTable(VTKObservationMixin):
    """Shows the segments of a segmentation and follows its changes.

    Parameters
    ----------
    widget
        QTableWidget.
    onExcluded
        Called with the IDs of the segments without a check mark when the user changed one.
    """

    def __init__(self, widget, onExcluded: Callable[[list[str]], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._widget = widget
        self._onExcluded = onExcluded
        self._segmentation = None
        self._excluded: tuple[str, ...] = ()
        self._shown: list[tuple[str, str, bool]] = []
        self._isFilling = False
        widget.setColumnCount(2)
        widget.setHorizontalHeaderLabels([_("Segment"), _("Taken as")])
        widget.verticalHeader().setVisible(False)
        widget.horizontalHeader().setStretchLastSection(True)

    def setSegmentation(self, node, excludedSegmentIDs: Sequence[str]) -> None:
        """Show a segmentation, with check marks on all segments but the excluded ones."""
        self._excluded = tuple(excludedSegmentIDs)
        if node is not self._segmentation:
            self.removeObservers()
            self._segmentation = node
            if node is not None:
                segmentation = slicer.vtkSegmentation
                for event in (segmentation.SegmentAdded, segmentation.SegmentRemoved, segmentation.SegmentModified):
                    self.addObserver(node.GetSegmentation(), event, self._onSegmentationModified)
        self._fill()

    def checkedSegmentIDs(self) -> list[str] | None:
        """IDs of the segments with a check mark; None without a segmentation."""
        if self._segmentation is None:
            return None
        return [segmentID for segmentID in segmentNames(self._segmentation) if segmentID not in self._excluded]

    def checkAll(self, isChecked: bool) -> None:
        """Set or clear every check mark."""
        self._onExcluded([] if isChecked else list(segmentNames(self._segmentation)))

    def onItemChanged(self) -> None:
        """The user changed a check mark."""
        if not self._isFilling:
            checked = qt.Qt.Checked
            ids = [segmentID for segmentID, _name, _isChecked in self._shown]
            self._onExcluded([id for row, id in enumerate(ids) if self._widget.item(row, 0).checkState() != checked])

    def _onSegmentationModified(self, caller=None, event=None) -> None:
        self._fill()

    def _fill(self) -> None:
        """Bring the rows up to date, if anything changed."""
        names = segmentNames(self._segmentation)
        wanted = [(segmentID, name, segmentID not in self._excluded) for segmentID, name in names.items()]
        if wanted == self._shown:
            return
        self._isFilling = True
        try:
            self._widget.setRowCount(len(wanted))
            segmentation = self._segmentation.GetSegmentation() if wanted else None
            for row, (segmentID, name, isChecked) in enumerate(wanted):
                item = qt.QTableWidgetItem(name)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
                item.setCheckState(qt.Qt.Checked if isChecked else qt.Qt.Unchecked)
                self._widget.setItem(row, 0, item)
                meaning = qt.QTableWidgetItem(_meaning(segmentation.GetSegment(segmentID)))
                meaning.setFlags(qt.Qt.ItemIsEnabled)
                self._widget.setItem(row, 1, meaning)
            self._widget.resizeColumnToContents(0)
            self._shown = wanted
        finally:
            self._isFilling = False


def _meaning(segment) -> str:
    """What a segment is by its name or terminology: a lesion, an organ, or unknown."""
    if isLesion(segment.GetName()):
        return _("lesion")
    organ = organOfSegment(segment)
    return organ.replace("_", " ") if organ else _("region")
