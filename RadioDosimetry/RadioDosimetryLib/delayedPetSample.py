"""Sample data and self-test of DelayedPETSynthesis: generated scans, and a model whose output is known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .delayedPet import ANY_TRACER, ModelCard, SyntheticVolume

if TYPE_CHECKING:
    from radiodosimetry.images.regions import LabelMap
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress


EARLY_HOURS, LATE_HOURS = 1.0, 24.0
"""Times of the two scans of the sample data after injection [h]."""

CU64_HALF_LIFE_H = 12.7006
"""ICRP Publication 107 [h]."""

_PATTERN = {
    "liver": (14.0, 12.0), "spleen": (12.0, 8.0), "left_kidney": (16.0, 9.0), "right_kidney": (16.0, 9.0),
    "left_lung": (3.0, 1.2), "right_lung": (3.0, 1.2), "marrow": (5.0, 3.5), "cortical_bone": (1.5, 1.0),
    "tumour1": (5.0, 22.0), "tumour2": (6.0, 26.0), "tumour3": (4.0, 18.0),
}  # fmt: skip
"""Structure of the virtual torso to its concentration at the early and the late scan, decay taken out [kBq/mL]: made up
in the manner of a Cu-64 antibody, which leaves the blood for the tumours; no patient's."""

_SOFT_TISSUE = (2.5, 1.0)
"""The same of all other tissue [kBq/mL]."""

_BLUR_FWHM_MM = 6.0
"""Resolution of the generated scans [mm]."""


def sampleScans(voxelMm: float = 4.0):
    """CT, early and late Cu-64 PET and the segmentation of the virtual torso, as new nodes of the scene.

    Parameters
    ----------
    voxelMm
        Edge of the cubic voxels [mm].

    Returns
    -------
    tuple of nodes
        CT [HU], PET at `EARLY_HOURS` and at `LATE_HOURS` [Bq/mL present at that time], segmentation.
    """
    from scipy.ndimage import gaussian_filter

    from radiodosimetry.images.regions import regions_of
    from radiodosimetry.virtual_patients.torso import centred_geometry, torso_patient

    from .segmentations import segmentationFromRegions
    from .volumes import nodeFromVolume
    from .voxelDoseSample import REGION_COLORS, TORSO_MM

    i, j, k = (max(1, round(extent / voxelMm)) for extent in TORSO_MM)
    patient = torso_patient(centred_geometry((k, j, i), (voxelMm, voxelMm, voxelMm)))
    regions = regions_of(patient.labels)
    body = patient.activity.array_kji > 0
    sigma_voxels = _BLUR_FWHM_MM / 2.3548 / voxelMm
    pets = []
    for index, hours in enumerate((EARLY_HOURS, LATE_HOURS)):
        pattern = np.where(body, _SOFT_TISSUE[index], 0.0)
        for region in regions:
            pattern[region.mask_kji] = _PATTERN[region.name][index]
        decayed = 1e3 * pattern * 2.0 ** (-hours / CU64_HALF_LIFE_H)
        array = gaussian_filter(decayed, sigma_voxels).astype(np.float32)
        volume = patient.activity.with_array(array)
        pets.append(nodeFromVolume(volume, f"Torso Cu-64 PET {hours:g} h"))
        _showAsHeat(pets[-1], float(np.max(array)))
    colors = [REGION_COLORS[region.name] for region in regions]
    segmentation = segmentationFromRegions(regions, patient.labels.geometry, "Torso regions", colors=colors)
    ct = nodeFromVolume(patient.ct, "Torso CT")
    ct.GetDisplayNode().SetAutoWindowLevel(False)
    ct.GetDisplayNode().SetWindowLevelMinMax(-160.0, 240.0)
    segmentation.GetDisplayNode().SetVisibility2DFill(False)
    return ct, pets[0], pets[1], segmentation


def _showAsHeat(node, highest: float) -> None:
    """Show an activity image in the colours of heat, from zero."""
    import slicer

    display = node.GetDisplayNode()
    logic = slicer.modules.colors.logic()
    display.SetAndObserveColorNodeID(logic.GetPETColorNodeID(slicer.vtkMRMLPETProceduralColorNode.PETheat))
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, highest)


class DecayOnly:
    """The early scan, decayed physically: no model of the body, but the floor that every model must beat."""

    card = ModelCard(
        name="Early scan, decayed",
        version="1",
        summary="Every voxel of the early scan decays where it is; nothing moves and nothing is excreted.",
        trained_on="nothing",
        nuclides=("Cu-64", "Zr-89", "I-124"),
        tracer=ANY_TRACER,
        early_time_range_s=(0.0, 24 * 3600.0),
        target_time_ranges_s=((0.0, 200 * 3600.0),),
        spacing_range_mm=(0.5, 20.0),
        limits=("Only for trying the panel: later uptake and clearance are ignored.",),
    )

    def synthesise(
        self,
        early: QuantitativeVolume,
        *,
        nuclide: str,
        early_time_s: float,
        times_s: Sequence[float],
        ct: QuantitativeVolume | None = None,
        labels: LabelMap | None = None,
        tracer: str | None = None,
        administered_bq: float | None = None,
        progress: Progress | None = None,
    ) -> list[SyntheticVolume]:
        """The decayed volumes; what is known of the patient is ignored."""
        from radiodosimetry.nuclides import Radionuclide
        from radiodosimetry.progress import report_progress

        half_life_s = Radionuclide(nuclide).half_life_s
        made = []
        for number, time_s in enumerate(times_s):
            report_progress(progress, number / len(times_s), f"decaying to {time_s / 3600:g} h")
            factor = 2.0 ** (-(time_s - early_time_s) / half_life_s)
            made.append(SyntheticVolume(time_s, early.with_array((early.array_kji * factor).astype(np.float32))))
        return made


def sampleEarlyScan(name: str = "Early PET"):
    """A volume node of a warm ellipsoid with two hot spheres [Bq/mL], 4 mm voxels, generated."""
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.provenance import Record
    from radiodosimetry.units import Quantity

    from .volumes import nodeFromVolume

    shape = (24, 32, 40)
    z, y, x = (4.0 * (np.arange(count) - (count - 1) / 2) for count in shape)
    z_mm, y_mm, x_mm = np.meshgrid(z, y, x, indexing="ij")
    activity = np.where((x_mm / 75) ** 2 + (y_mm / 58) ** 2 + (z_mm / 44) ** 2 < 1, 2000.0, 0.0)
    for centre_mm, radius_mm, concentration in (((-30, 5, 0), 16.0, 20000.0), ((28, -10, 8), 12.0, 35000.0)):
        squares = [(axis - at) ** 2 for axis, at in zip((x_mm, y_mm, z_mm), centre_mm, strict=True)]
        activity[sum(squares) < radius_mm**2] = concentration
    geometry = VolumeGeometry(shape, (4.0, 4.0, 4.0), (-78.0, -62.0, -46.0))
    record = Record("generated early scan")
    volume = QuantitativeVolume(
        activity.astype(np.float32), geometry, Quantity.ACTIVITY_CONCENTRATION, record=record
    )
    return nodeFromVolume(volume, name)
