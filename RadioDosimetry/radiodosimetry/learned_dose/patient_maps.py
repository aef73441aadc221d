"""What the networks see of a patient: maps free of the amount of activity, and the way back to gray.

Dose is linear in activity. Every map of activity or dose is therefore divided by the patient's total before a network
sees it, and the dose it returns is multiplied by it again: twice the activity gives twice the dose, and the same
network serves every administered activity. The unit of dose is what `REFERENCE_VOLUME_ML` of unit density would get if
the total activity lay in it and gave it all electron energy, so that doses are of the order of one for every nuclide.

References
----------
.. [1] Li et al., Med Phys 49 (2022) 1216-1230, section 2.4: activity normalised to sum to one, times a constant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from ..images.geometry import VolumeGeometry, require_same_grid
from ..images.volume import QuantitativeVolume
from ..media import MediaMap
from ..units import JOULE_PER_MEV
from ..voxel_dose.convolution_settings import AIR_DENSITY_G_PER_CM3
from ..voxel_dose.sources import EmissionSource
from .architectures import BLURRED_MM, RELIEF_VOXELS

REFERENCE_VOLUME_ML = 1e4
"""Volume [mL] that the total activity is spread over to give normalised activity and dose of one."""

HU_UNIT = 1000.0
"""CT numbers are divided by this."""

HU_LIMITS = (-1000.0, 3000.0)
"""CT numbers are cut off here [HU]: padding and metal look like air and dense bone."""

LOG_UNIT = 1e-2
"""Normalised activity or dose at which the logarithmic channels turn from linear to logarithmic."""

REFERENCE_ENERGY_KEV = 100.0
"""The channel `nuclide` is the logarithm of the mean electron energy over this [keV]."""


@dataclass(frozen=True, eq=False)
class PatientMaps:
    """Maps of one patient and one activity, float32 (k, j, i) on one grid.

    Attributes
    ----------
    hu_kji
        CT numbers [HU].
    density_kji
        Mass density [g/cm³].
    activity_kji
        Activity concentration over the mean one of the total in `REFERENCE_VOLUME_ML`, without unit.
    base_kji
        Base dose in units of `dose_scale_gy`.
    photon_kji
        The photons' part of it, None if no network asks.
    dose_scale_gy
        Gray per unit of `base_kji`; 0 without activity.
    activity_scale_bq_s_per_ml
        Time-integrated activity concentration per unit of `activity_kji` [Bq s/mL].
    electron_energy_kev
        Mean energy of the electrons, weighted by energy [keV].
    geometry
        Where the voxels lie.
    """

    hu_kji: NDArray[np.float32]
    density_kji: NDArray[np.float32]
    activity_kji: NDArray[np.float32]
    base_kji: NDArray[np.float32]
    photon_kji: NDArray[np.float32] | None
    dose_scale_gy: float
    activity_scale_bq_s_per_ml: float
    electron_energy_kev: float
    geometry: VolumeGeometry

    def __post_init__(self) -> None:
        for name in ("hu_kji", "density_kji", "activity_kji", "base_kji", "photon_kji"):
            values = getattr(self, name)
            if values is None:
                continue
            if values.shape != self.geometry.shape_kji:
                raise InputError(f"{name} has shape {values.shape}, the grid {self.geometry.shape_kji} (k, j, i).")
            object.__setattr__(self, name, np.ascontiguousarray(values, dtype=np.float32))

    @property
    def matter_kji(self) -> NDArray[np.bool_]:
        """Where there is more than air, and so dose."""
        return np.asarray(self.density_kji >= AIR_DENSITY_G_PER_CM3)

    def channel(self, name: str) -> NDArray[np.float32]:
        """An input channel by its name, float32 (k, j, i).

        `hu`: CT number / 1000; `density` [g/cm³]; `activity`, `base`, `photon`: normalised; `log-activity`, `log-base`:
        log10(1 + value / `LOG_UNIT`); `photon-share`: the photons' part over the base; `local-share`: l / (l + base)
        with l the dose that electrons of the voxel itself would give if none left it; `share-3mm`, …: the same of the
        activity blurred by a Gaussian of this σ, which tells how sharp an image is here; `peak-1`, …: base over the
        highest within so many voxels along each axis, `valley-1`, …: the lowest over the base; `nuclide`: log10(mean
        electron energy / 100 keV) everywhere. Shares, peaks and valleys lie between 0 and 1 and do not change with the
        amount of activity.

        Raises
        ------
        InputError
            The name is unknown, or the map was not made.
        """
        if name == "hu":
            return np.clip(self.hu_kji, *HU_LIMITS) / np.float32(HU_UNIT)
        if name == "nuclide":
            value = np.log10(self.electron_energy_kev / REFERENCE_ENERGY_KEV)
            return np.full(self.geometry.shape_kji, value, dtype=np.float32)
        if name == "photon-share":
            return _share(self.channel("photon"), self.base_kji)
        if name == "local-share" or name in BLURRED_MM:
            energy = self.activity_kji
            if name in BLURRED_MM:
                width = [BLURRED_MM[name] / step for step in self.geometry.spacing_mm[::-1]]
                energy = ndimage.gaussian_filter(energy, width, mode="nearest")
            local = np.divide(energy, np.maximum(self.density_kji, AIR_DENSITY_G_PER_CM3), dtype=np.float32)
            return _share(local, local + self.base_kji)
        if name in RELIEF_VOXELS:
            size = 2 * RELIEF_VOXELS[name] + 1
            if name.startswith("peak"):
                return _share(self.base_kji, ndimage.maximum_filter(self.base_kji, size))
            return _share(ndimage.minimum_filter(self.base_kji, size), self.base_kji)
        if name.startswith("log-"):
            values = self.channel(name.removeprefix("log-"))
            return np.log10(1 + values / np.float32(LOG_UNIT), dtype=np.float32)
        found: NDArray[np.float32] | None = getattr(self, f"{name}_kji", None)
        if found is None:
            raise InputError(f"There is no input channel '{name}' for this patient.")
        return found

    def normalised(self, dose_gy: NDArray[np.floating]) -> NDArray[np.float32]:
        """A dose map [Gy] in units of `dose_scale_gy`."""
        if self.dose_scale_gy == 0:
            return np.zeros(self.geometry.shape_kji, dtype=np.float32)
        return np.asarray(dose_gy / self.dose_scale_gy, dtype=np.float32)

    def dose_gy(self, normalised_kji: NDArray[np.floating]) -> NDArray[np.float32]:
        """The dose [Gy] of a network's result: not below zero, zero in air."""
        dose = np.where(self.matter_kji, np.maximum(normalised_kji, 0.0), 0.0)
        return np.asarray(dose * self.dose_scale_gy, dtype=np.float32)


def patient_maps(
    ct: QuantitativeVolume,
    media: MediaMap,
    tia: QuantitativeVolume,
    source: EmissionSource,
    base: QuantitativeVolume,
    photon: QuantitativeVolume | None = None,
) -> PatientMaps:
    """The maps of a patient.

    Parameters
    ----------
    ct
        CT numbers [HU] on the grid of the activity.
    media
        Density of every voxel.
    tia
        Time-integrated activity concentration [Bq s/mL], not negative.
    source
        Emissions per decay.
    base, photon
        Base dose [Gy] and the part of it that photons give.

    Raises
    ------
    GeometryMismatchError
        The maps lie on different grids.
    """
    for other, name in ((media.geometry, "media"), (tia.geometry, "activity"), (base.geometry, "base dose")):
        require_same_grid(ct.geometry, other, "CT and", name)
    scale_bq_s_per_ml = float(tia.array_kji.sum(dtype=np.float64)) * tia.geometry.voxel_volume_ml / REFERENCE_VOLUME_ML
    energy_mev = source.charged_energy_mev + source.local_energy_mev or source.emitted_energy_mev
    scale_gy = scale_bq_s_per_ml * energy_mev * JOULE_PER_MEV * 1e3

    def divided(values: NDArray[Any], scale: float) -> NDArray[np.float32]:
        return np.asarray(values / scale if scale else np.zeros_like(values), dtype=np.float32)

    return PatientMaps(
        hu_kji=ct.array_kji,
        density_kji=media.density_kji,
        activity_kji=divided(tia.array_kji, scale_bq_s_per_ml),
        base_kji=divided(base.array_kji, scale_gy),
        photon_kji=None if photon is None else divided(photon.array_kji, scale_gy),
        dose_scale_gy=scale_gy,
        activity_scale_bq_s_per_ml=scale_bq_s_per_ml,
        electron_energy_kev=mean_electron_energy_kev(source),
        geometry=tia.geometry,
    )


def scaled_channel(name: str, values: NDArray[np.float32], factor: np.float32) -> NDArray[np.float32]:
    """An input channel as it would be with so many times the activity."""
    if name in ("activity", "base", "photon"):
        return values * factor
    if name.startswith("log-"):
        before = np.power(np.float32(10.0), values) - np.float32(1.0)
        return np.log10(np.float32(1.0) + before * factor)
    return values


def _share(part_kji: NDArray[np.float32], whole_kji: NDArray[np.float32]) -> NDArray[np.float32]:
    """A part over the whole, zero where there is nothing."""
    return np.divide(part_kji, whole_kji, out=np.zeros_like(whole_kji), where=whole_kji > 0)


def mean_electron_energy_kev(source: EmissionSource) -> float:
    """Energy of electrons and positrons averaged with their energy as weight [keV]; 1 keV if there are none."""
    energies = [spectrum.energy_kev for spectrum in source.charged]
    if not energies:
        return 1.0
    energy = np.concatenate(energies)
    carried = energy * np.concatenate([spectrum.yield_per_decay for spectrum in source.charged])
    return float(max(1.0, (carried * energy).sum() / carried.sum()))
