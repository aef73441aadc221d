"""Drawing regions: the segment editor in a panel where the host has it as a widget, else the module of that name.

The embedded editor comes with fills for PET and SPECT: above a fixed value, and above a share of the maximum. They go
through the editor's own Threshold effect, so that they can be undone, and its range is there to paint with as a mask.
"""

from __future__ import annotations

from collections.abc import Callable

import slicer
from slicer.i18n import tr as _

from .quantities import unitOf

PERCENT_OF_MAXIMUM = 41.0
"""Isocontour of PET and SPECT lesions, in percent of the maximum (Boellaard et al., Eur J Nucl Med Mol Imaging 42
(2015) 328-354)."""

LARGEST_THRESHOLD = 1e12
"""Highest fixed threshold that can be typed [unit of the image]."""


class RegionEditor:
    """Opens the segment editor below a widget of a panel.

    Parameters
    ----------
    layout
        Layout that the embedded editor is put into.
    tag
        Singleton tag of the editor's own node: panels with different tags remember their own effect and segment.
    guarded
        Calls a function and tells the user what goes wrong in it.
    """

    def __init__(self, layout, tag: str, guarded: Callable[[Callable[[], object]], None]) -> None:
        self._layout, self._tag, self._guarded = layout, tag, guarded
        self._editor = self._frame = self._percent = self._fixed = self._fill = None
        self._segmentation = None

    @property
    def isOpen(self) -> bool:
        """Whether the embedded editor is on a segmentation."""
        return self._segmentation is not None

    def toggle(self, segmentationNode, ctNode, activityNode) -> None:
        """Open the editor on a segmentation, or close it again where it is open on it.

        Parameters
        ----------
        segmentationNode
            What is drawn in.
        ctNode, activityNode
            What is looked at first: the activity, or the CT where there is none (None). The editor's own selector
            offers every other volume.

        Raises
        ------
        RadioDosimetryError
            Neither the widget nor the module is there.
        """
        requireEditor()
        if not isEmbeddable():
            slicer.util.selectModule("SegmentEditor")
            return
        if segmentationNode is self._segmentation:
            self.release()
            return
        if self._frame is None:
            self._build()
        self._segmentation = segmentationNode
        self._frame.visible = True
        self._editor.setMRMLSegmentEditorNode(_editorNode(self._tag))
        self._editor.setSegmentationNode(segmentationNode)
        self._editor.setSourceVolumeNode(activityNode or ctNode)
        self._update()

    def release(self) -> None:
        """Let go of the scene's nodes, and close."""
        if self._segmentation is not None:
            self._segmentation = None
            self._editor.setActiveEffectByName("")
            self._editor.setSegmentationNode(None)
            self._editor.setMRMLSegmentEditorNode(None)
            self._frame.visible = False

    def follow(self, segmentationNode) -> None:
        """Close the editor once the panel has turned to another segmentation."""
        if self.isOpen and self._segmentation is not segmentationNode:
            self.release()

    def _build(self) -> None:
        """Make the editor with its fills."""
        import qt

        self._frame = qt.QWidget()
        self._frame.objectName = "regionEditorFrame"
        layout = qt.QVBoxLayout(self._frame)
        layout.setContentsMargins(0, 0, 0, 0)
        self._editor = slicer.qMRMLSegmentEditorWidget()
        self._editor.segmentationNodeSelectorVisible = False
        self._editor.setMRMLScene(slicer.mrmlScene)
        self._percent = qt.QPushButton(_("Fill at {percent:g} % of maximum").format(percent=PERCENT_OF_MAXIMUM))
        self._percent.objectName = "percentThresholdButton"
        self._percent.connect("clicked(bool)", lambda: self._guarded(self._fillPercent))
        self._fill = qt.QPushButton(_("Fill above"))
        self._fill.objectName = "fixedThresholdButton"
        self._fill.connect("clicked(bool)", lambda: self._guarded(lambda: self._fillAbove(self._fixed.value)))
        self._fixed = qt.QDoubleSpinBox()
        self._fixed.objectName = "fixedThresholdSpinBox"
        self._fixed.maximum = LARGEST_THRESHOLD
        self._fixed.toolTip = _("Lowest value that belongs to the segment, in the unit of the source volume.")
        presets = qt.QHBoxLayout()
        for widget in (self._percent, self._fill, self._fixed):
            presets.addWidget(widget)
        layout.addLayout(presets)
        layout.addWidget(self._editor)
        self._editor.connect("sourceVolumeNodeChanged(vtkMRMLVolumeNode*)", lambda: self._update())
        self._frame.visible = False
        self._layout.addWidget(self._frame)

    def _update(self) -> None:
        """Show the unit of the source volume, and enable what it can answer to."""
        source = self._editor.sourceVolumeNode()
        unit = unitOf(source) if source is not None else None
        self._fixed.suffix = f" {unit}" if unit else ""
        share = _(
            "Fill the segment where the source volume is at least this share of its maximum: of that inside the "
            "segment if something is drawn already, else of that in the whole volume."
        )
        fixed = _(
            "Fill the segment where the source volume is at least this high; only inside what is drawn already, if "
            "anything is."
        )
        for button, words in ((self._percent, share), (self._fill, fixed)):
            button.enabled = source is not None and source.GetImageData() is not None
            button.toolTip = words if button.enabled else _("Select the source volume of the editor.")

    def _fillPercent(self) -> None:
        segmentID = self._editor.currentSegmentID()
        highest = highestValue(self._editor.sourceVolumeNode(), self._segmentation, segmentID)
        self._fillAbove(PERCENT_OF_MAXIMUM / 100.0 * highest)

    def _fillAbove(self, lowest: float) -> None:
        """Fill the chosen segment, or a new one, from a value on; inside what is drawn in it already."""
        from radiodosimetry.errors import RadioDosimetryError

        source = self._editor.sourceVolumeNode()
        highest = float(source.GetImageData().GetScalarRange()[1])
        if not lowest <= highest:
            raise RadioDosimetryError(
                _(
                    "The threshold {lowest} is above the highest value of '{name}', {highest}; choose a lower one."
                ).format(lowest=f"{lowest:g}", name=source.GetName(), highest=f"{highest:g}")
            )
        if not self._editor.currentSegmentID():
            self._editor.setCurrentSegmentID(self._segmentation.GetSegmentation().AddEmptySegment())
        segmentID = self._editor.currentSegmentID()
        self._editor.setActiveEffectByName("Threshold")
        effect = self._editor.activeEffect()
        if effect is None:
            raise RadioDosimetryError(_("The segment editor has no threshold effect; draw the region by hand."))
        # As text: a number would be kept with six digits, and the highest voxel could fall out.
        effect.setParameter("MinimumThreshold", repr(float(lowest)))
        effect.setParameter("MaximumThreshold", repr(highest))
        node = self._editor.mrmlSegmentEditorNode()
        mask = node.GetMaskMode(), node.GetMaskSegmentID()
        if _hasVoxels(self._segmentation, segmentID):
            node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
            node.SetMaskSegmentID(segmentID)
        try:
            effect.self().onApply()
        finally:
            node.SetMaskMode(mask[0])
            node.SetMaskSegmentID(mask[1])
        if not _hasVoxels(self._segmentation, segmentID):
            raise RadioDosimetryError(
                _("No voxel of the segment reaches {lowest}; undo, and lower the threshold or draw elsewhere.").format(
                    lowest=f"{lowest:g}"
                )
            )


def highestValue(volumeNode, segmentationNode=None, segmentID: str | None = None) -> float:
    """Highest value of a volume in a segment; in all of it where there is no segment, or an empty one.

    Raises
    ------
    RadioDosimetryError
        The segment lies outside the volume.
    """
    from radiodosimetry.errors import RadioDosimetryError

    if segmentationNode is None or not _hasVoxels(segmentationNode, segmentID):
        return float(volumeNode.GetImageData().GetScalarRange()[1])
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentID, volumeNode) > 0
    if not mask.any():
        raise RadioDosimetryError(
            _("The segment has no voxel inside '{name}'; choose another source volume or segment.").format(
                name=volumeNode.GetName()
            )
        )
    return float(slicer.util.arrayFromVolume(volumeNode)[mask].max())


def isEmbeddable() -> bool:
    """Whether the host has the segment editor as a widget."""
    return hasattr(slicer, "qMRMLSegmentEditorWidget")


def requireEditor() -> None:
    """Refuse to draw where there is neither the widget nor a window with modules.

    Raises
    ------
    RadioDosimetryError
        Neither is there.
    """
    from radiodosimetry.errors import RadioDosimetryError

    if not isEmbeddable() and slicer.util.mainWindow() is None:
        raise RadioDosimetryError(
            _("There is no segment editor here, expected that of Slicer's main window; choose a segmentation instead.")
        )


def newSegmentation(volumeNode, name: str = "Regions"):
    """An empty segmentation on the grid of a volume."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName(name))
    node.CreateDefaultDisplayNodes()
    if volumeNode is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    return node


def shownScan(activityNode):
    """What an activity can be drawn on: a volume, or the scan of a sequence that its browser shows; else None."""
    if activityNode is None or not activityNode.IsA("vtkMRMLSequenceNode"):
        return activityNode
    browser = slicer.modules.sequences.logic().GetFirstBrowserNodeForSequenceNode(activityNode)
    return browser.GetProxyNode(activityNode) if browser is not None else None


def _hasVoxels(segmentationNode, segmentID: str | None) -> bool:
    """Whether anything is drawn in a segment."""
    if not segmentID or segmentationNode.GetSegmentation().GetSegment(segmentID) is None:
        return False
    array = slicer.util.arrayFromSegmentBinaryLabelmap(segmentationNode, segmentID)
    return array is not None and bool(array.any())


def _editorNode(tag: str):
    """The node that keeps the editor's state."""
    scene = slicer.mrmlScene
    found = scene.GetSingletonNode(tag, "vtkMRMLSegmentEditorNode")
    if found is None:
        found = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        found.UnRegister(None)
        found.SetSingletonTag(tag)
        found = scene.AddNode(found)
    return found
