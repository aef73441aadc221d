# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""Drawing regions in VoxelDose: the segment editor in the panel where the host has one, else the module of that name.

The stand-in for tests has no segment editor widget; that half is tried in a real Slicer (`Testing/MANUAL.md`).
"""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

PERCENT_OF_MAXIMUM = 41.0
"""Isocontour of PET and SPECT lesions, in percent of the maximum (Boellaard et al., Eur J Nucl Med Mol Imaging 42
(2015) 328-354)."""

EDITOR_TAG = "VoxelDoseSegmentEditor"
"""Singleton tag of the editor's own node."""


class RegionEditor:
    """Opens the segment editor below a widget of the panel.

    Parameters
    ----------
    layout
        Layout that the embedded editor is put into.
    """

    def __init__(self, layout) -> None:
        self._layout = layout
        self._editor = None
        self._frame = None
        self._source = None

    def toggle(self, segmentationNode, ctNode, activityNode) -> None:
        """Open the editor on a segmentation, or close it again."""
        if not isEmbeddable():
            slicer.util.selectModule("SegmentEditor")
            return
        if self._frame is None:
            self._build()
        self._frame.visible = not self._frame.visible
        if self._frame.visible:
            self._source = activityNode or ctNode
            self._editor.setMRMLSegmentEditorNode(_editorNode())
            self._editor.setSegmentationNode(segmentationNode)
            self._editor.setSourceVolumeNode(self._source)
        else:
            self.release()

    def release(self) -> None:
        """Let go of the scene's nodes."""
        self._source = None
        if self._editor is not None:
            self._editor.setActiveEffectByName("")
            self._editor.setSegmentationNode(None)
            self._editor.setMRMLSegmentEditorNode(None)
            self._frame.visible = False

    def _build(self) -> None:
        """Make the editor with its threshold presets."""
        import qt

        self._frame = qt.QWidget()
        layout = qt.QVBoxLayout(self._frame)
        self._editor = slicer.qMRMLSegmentEditorWidget()
        self._editor.setMRMLScene(slicer.mrmlScene)
        presets = qt.QHBoxLayout()
        percent = qt.QPushButton(_("Threshold at {percent:g} % of maximum").format(percent=PERCENT_OF_MAXIMUM))
        percent.toolTip = _(
            "Paint what is above this share of the activity's maximum, as for lesions in PET and SPECT."
        )
        percent.connect("clicked(bool)", self._onPercent)
        fixed = qt.QDoubleSpinBox()
        fixed.maximum = 1e12
        fixed.toolTip = _("Lower threshold in the unit of the activity volume.")
        fixed.connect("valueChanged(double)", self._threshold)
        presets.addWidget(percent)
        presets.addWidget(fixed)
        layout.addLayout(presets)
        layout.addWidget(self._editor)
        self._frame.visible = False
        self._layout.addWidget(self._frame)

    def _onPercent(self) -> None:
        if self._source is not None and not self._source.IsA("vtkMRMLSequenceNode"):
            self._threshold(PERCENT_OF_MAXIMUM / 100.0 * self._source.GetImageData().GetScalarRange()[1])

    def _threshold(self, lowest: float) -> None:
        """Open the editor's threshold effect with this lower limit."""
        self._editor.setActiveEffectByName("Threshold")
        effect = self._editor.activeEffect()
        if effect is not None and self._source is not None:
            effect.setParameter("MinimumThreshold", str(lowest))
            effect.setParameter("MaximumThreshold", str(self._source.GetImageData().GetScalarRange()[1]))


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
            "There is no segment editor here, expected that of Slicer's main window; choose a segmentation instead."
        )


def newSegmentation(volumeNode):
    """An empty segmentation on the grid of a volume."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", slicer.mrmlScene.GenerateUniqueName("Regions"))
    node.CreateDefaultDisplayNodes()
    if volumeNode is not None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
    return node


def _editorNode():
    """The node that keeps the editor's state."""
    scene = slicer.mrmlScene
    found = scene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
    if found is None:
        found = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        found.UnRegister(None)
        found.SetSingletonTag(EDITOR_TAG)
        found = scene.AddNode(found)
    return found
