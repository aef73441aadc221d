"""The generated patient of VoxelDose's sample data and self-test."""

from __future__ import annotations

import numpy as np

from .segmentations import segmentationFromRegions
from .volumes import nodeFromVolume

TORSO_MM = (384.0, 256.0, 320.0)
"""Extent of the virtual torso along x, y and z [mm]."""

REGION_COLORS = {
    "left_lung": (0.55, 0.78, 0.90),
    "right_lung": (0.35, 0.62, 0.80),
    "liver": (0.72, 0.42, 0.28),
    "left_kidney": (0.95, 0.75, 0.30),
    "right_kidney": (0.85, 0.58, 0.15),
    "spleen": (0.62, 0.38, 0.62),
    "cortical_bone": (0.88, 0.86, 0.78),
    "marrow": (0.98, 0.60, 0.60),
    "tumour1": (0.90, 0.10, 0.20),
    "tumour2": (0.20, 0.80, 0.25),
    "tumour3": (0.95, 0.25, 0.85),
}
"""Colour of each structure of the torso."""


def sampleTorso(voxelMm: float = 4.0):
    """CT, activity and segmentation of the virtual torso, as new nodes of the scene.

    Parameters
    ----------
    voxelMm
        Edge of the cubic voxels [mm]; the torso is generated on that grid.

    Returns
    -------
    tuple of nodes
        vtkMRMLScalarVolumeNode with CT numbers [HU], vtkMRMLScalarVolumeNode with activity concentration [Bq/mL],
        vtkMRMLSegmentationNode with the structures that the grid resolves.
    """
    from radiodosimetry.images.regions import regions_of
    from radiodosimetry.virtual_patients.torso import centred_geometry, torso_patient

    i, j, k = (max(1, round(extent / voxelMm)) for extent in TORSO_MM)
    patient = torso_patient(centred_geometry((k, j, i), (voxelMm, voxelMm, voxelMm)))
    ct = nodeFromVolume(patient.ct, "Torso CT")
    activity = nodeFromVolume(patient.activity, "Torso Lu-177 activity")
    regions = regions_of(patient.labels)
    colors = [REGION_COLORS[region.name] for region in regions]
    segmentation = segmentationFromRegions(regions, patient.labels.geometry, "Torso regions", colors=colors)
    _show(ct, -160.0, 240.0)
    _show(activity, 0.0, float(np.max(patient.activity.array_kji)))
    return ct, activity, segmentation


def _show(node, lowest: float, highest: float) -> None:
    """Window of a volume."""
    display = node.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(lowest, highest)
