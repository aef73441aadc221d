"""The generated patient of TimeActivityFit's sample data and self-test: four scans over a week."""

from __future__ import annotations

from .hierarchy import itemOf
from .segmentations import segmentationFromRegions
from .volumes import nodeFromVolume

HOURS = (4.0, 24.0, 72.0, 168.0)
"""Times of the scans after injection [h]."""

TORSO_MM = (384.0, 256.0, 320.0)
"""Extent of the virtual torso along x, y and z [mm]."""


def sampleScans(voxelMm: float = 4.0, noisePercent: float = 0.0):
    """CT, scans, their hours and the segmentation of the virtual torso, as new nodes of the scene.

    Parameters
    ----------
    voxelMm
        Edge of the cubic voxels [mm]; the torso is generated on that grid.
    noisePercent
        Standard deviation by which each scan is wrong as a whole and each voxel in it [%]; the same in every call.

    Returns
    -------
    tuple
        vtkMRMLScalarVolumeNode with CT numbers [HU]; list of four with activity concentration [Bq/mL]; their times
        after injection [h]; vtkMRMLSegmentationNode.
    """
    from dataclasses import replace

    import numpy as np

    from radiodosimetry.images.regions import regions_of
    from radiodosimetry.virtual_patients.torso import centred_geometry, torso_patient, torso_scans

    i, j, k = (max(1, round(extent / voxelMm)) for extent in TORSO_MM)
    grid = centred_geometry((k, j, i), (voxelMm, voxelMm, voxelMm))
    patient, rng = torso_patient(grid), np.random.default_rng(1)
    ct = nodeFromVolume(patient.ct, "Torso CT")
    itemOf(ct)  # outside Slicer the subject hierarchy comes with the first question for it
    scans = []
    for hours, volume in zip(HOURS, torso_scans(HOURS, grid), strict=True):
        share = 1.0 + 0.01 * noisePercent * rng.standard_normal(grid.shape_kji)
        share *= 1.0 + 0.01 * noisePercent * rng.standard_normal()
        record = volume.record.with_parameters(hours_after_injection=hours, noise_percent=noisePercent)
        noisy = volume.with_array(np.maximum(volume.array_kji * share, 0.0), record=record)
        scans.append(nodeFromVolume(replace(noisy, time=None), f"Torso Lu-177 {hours:g} h"))
    segmentation = segmentationFromRegions(regions_of(patient.labels), patient.labels.geometry, "Torso regions")
    return ct, scans, list(HOURS), segmentation
