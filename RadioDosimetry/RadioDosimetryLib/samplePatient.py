"""The virtual patient of the Sample Data module: CT, regions, Lu-177 scans of a therapy, Cu-64 PET of an antibody.

The man of `radiodosimetry.virtual_patients.sample_patient`, whom `radiodosimetry demo` shows too, as nodes.
Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

import numpy as np
import slicer

from .display import DOSE_OPACITY, shareWindow
from .hierarchy import itemOf
from .segmentations import segmentationFromRegions
from .volumes import nodeFromVolume

if TYPE_CHECKING:
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.virtual_patients.sample_patient import SampleStudy

LUTETIUM_HOURS = (4.0, 24.0, 72.0, 168.0)
"""Times of the Lu-177 SPECT scans after the administration [h]."""

COPPER_HOURS = (1.0, 24.0)
"""Times of the Cu-64 PET scans after the administration [h]."""

CT_WINDOW_HU = (-160.0, 240.0)
"""Soft tissue: width 400, level 40."""

_ORGAN_COLORS = {
    "liver": (0.72, 0.42, 0.28),
    "spleen": (0.62, 0.38, 0.62),
    "left_kidney": (0.95, 0.75, 0.30),
    "right_kidney": (0.85, 0.58, 0.15),
    "left_lung": (0.55, 0.78, 0.90),
    "right_lung": (0.35, 0.62, 0.80),
    "red_marrow": (0.98, 0.60, 0.60),
}
"""Organs that are segments, and their colours."""

_LESION_COLORS = (
    (0.90, 0.10, 0.20), (0.20, 0.80, 0.25), (0.95, 0.25, 0.85), (0.10, 0.75, 0.75), (0.95, 0.90, 0.20),
    (0.40, 0.40, 0.95), (0.10, 0.45, 0.25),
)  # fmt: skip
"""Colours of the lesions, in turn."""


def lutetiumNodes(hours: Sequence[float] = LUTETIUM_HOURS, voxelMm: float = 4.0):
    """CT, Lu-177 DOTATATE SPECT at some times and the segmentation of the sample patient, as new nodes of the scene.

    Parameters
    ----------
    hours
        Times after the administration [h].
    voxelMm
        Edge of the cubic voxels [mm].

    Returns
    -------
    tuple
        vtkMRMLScalarVolumeNode with CT numbers [HU]; list of those with activity concentration [Bq/mL present at the
        time of the scan]; vtkMRMLSegmentationNode.
    """
    _ensurePackages()
    with _waitCursor():
        from radiodosimetry.virtual_patients.sample_patient import LUTETIUM_SPECT

        scans = _scans(LUTETIUM_SPECT, hours, voxelMm)
        return _nodes(voxelMm, scans, [f"Patient Lu-177 {at:g} h" for at in hours])


def copperNodes(voxelMm: float = 4.0):
    """CT, Cu-64 antibody PET at `COPPER_HOURS` and the segmentation of the sample patient; as `lutetiumNodes`."""
    _ensurePackages()
    with _waitCursor():
        from radiodosimetry.virtual_patients.sample_patient import COPPER_PET

        scans = _scans(COPPER_PET, COPPER_HOURS, voxelMm)
        return _nodes(voxelMm, scans, [f"Patient Cu-64 PET {at:g} h" for at in COPPER_HOURS])


def showPatient(ct, scan, segmentation) -> None:
    """Show the patient in the slice views, at the lesion that holds most activity; nothing without a window."""
    if slicer.app.layoutManager() is None:
        return
    slicer.util.setSliceViewerLayers(background=ct, foreground=scan, foregroundOpacity=DOSE_OPACITY, fit=True)
    slicer.vtkMRMLSliceNode.JumpAllSlices(slicer.mrmlScene, *lesionPlace(segmentation, scan))


def lesionPlace(segmentation, volumeNode, startsWith: str = "lesion") -> tuple[float, float, float]:
    """Middle (RAS) [mm] of that lesion that holds most of an activity or dose, or of another kind of segments."""
    from .geometries import geometryOfVolume
    from .segmentations import regionsFromSegmentation, segmentNames

    wanted = [segmentID for segmentID, name in segmentNames(segmentation).items() if name.startswith(startsWith)]
    geometry = geometryOfVolume(volumeNode)
    regions = regionsFromSegmentation(segmentation, geometry, wanted or None)
    array = slicer.util.arrayFromVolume(volumeNode)
    hottest = max(regions, key=lambda region: float(array[region.mask_kji].sum()))
    middle_kji = np.argwhere(hottest.mask_kji).mean(axis=0)
    x, y, z = (geometry.ijk_to_lps @ (*middle_kji[::-1], 1.0))[:3]
    return -float(x), -float(y), float(z)


def _scans(study: SampleStudy, hours: Sequence[float], voxelMm: float) -> list[QuantitativeVolume]:
    """Images of a tracer; the same in every call."""
    from radiodosimetry.virtual_patients.sample_patient import as_scanned, sample_activity, sample_anatomy

    return as_scanned(study, hours, sample_activity(study, hours, sample_anatomy(voxelMm)))


def _nodes(voxelMm: float, scans: Sequence[QuantitativeVolume], names: Sequence[str]):
    """CT, scans in one window and the colours of activity, and segmentation with thin outlines."""
    from radiodosimetry.images.regions import regions_of
    from radiodosimetry.virtual_patients.sample_patient import sample_anatomy, sample_labels

    anatomy = sample_anatomy(voxelMm)
    ct = nodeFromVolume(anatomy.ct, "Patient CT")
    itemOf(ct)  # outside Slicer the subject hierarchy comes with the first question for it
    ct.GetDisplayNode().SetAutoWindowLevel(False)
    ct.GetDisplayNode().SetWindowLevelMinMax(*CT_WINDOW_HU)
    nodes = [nodeFromVolume(scan, name) for scan, name in zip(scans, names, strict=True)]
    shareWindow(nodes)
    regions = regions_of(sample_labels(anatomy))
    lesions = [region.name for region in regions if region.name not in _ORGAN_COLORS]
    lesionColors = {name: _LESION_COLORS[number % len(_LESION_COLORS)] for number, name in enumerate(lesions)}
    colors = [(_ORGAN_COLORS | lesionColors)[region.name] for region in regions]
    segmentation = segmentationFromRegions(regions, anatomy.ct.geometry, "Patient regions", colors=colors)
    segmentation.GetDisplayNode().SetVisibility2DFill(False)
    segmentation.GetDisplayNode().SetSliceIntersectionThickness(1)
    return ct, nodes, segmentation


def _ensurePackages() -> None:
    """Have the packages installed that make the patient, with the user's leave where there is a user to ask."""
    from slicer.util import mainWindow

    from .requirements import ensureRequirements

    ensureRequirements(interactive=mainWindow() is not None)


def _waitCursor():
    """The host's wait cursor while the patient is made; nothing without a window."""
    return nullcontext() if slicer.app.layoutManager() is None else slicer.util.WaitCursor()
