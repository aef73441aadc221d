# ruff: noqa: N802, N999 (camelCase, as everywhere in Slicer)
"""The generated patient of VoxelDose's sample data and self-test."""

from __future__ import annotations

import numpy as np

from .segmentations import segmentationFromRegions
from .volumes import nodeFromVolume

TORSO_MM = (384.0, 256.0, 320.0)
"""Extent of the virtual torso along x, y and z [mm]."""


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
    segmentation = segmentationFromRegions(regions_of(patient.labels), patient.labels.geometry, "Torso regions")
    _show(ct, -160.0, 240.0)
    _show(activity, 0.0, float(np.max(patient.activity.array_kji)))
    return ct, activity, segmentation


def _show(node, lowest: float, highest: float) -> None:
    """Window of a volume."""
    display = node.GetScalarVolumeDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(lowest, highest)
