"""From a patient's maps to the inputs of a `ResidualUNet3D` and from its output to dose: all in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..voxel_dose.convolution_settings import AIR_DENSITY_G_PER_CM3
from .patient_maps import HU_LIMITS, HU_UNIT, LOG_UNIT, REFERENCE_ENERGY_KEV, REFERENCE_VOLUME_ML, PatientMaps

if TYPE_CHECKING:
    from torch import Tensor

    from .residual_unet import ResidualUNet3D

KIND = "residual-unet-3d"
"""Kind of its model files."""

BASE = "multiple-vsv"
"""The dose it corrects (Kim et al. 2022)."""

CARRIED = ("base", "activity", "density")
"""What the head takes besides the network's output; these follow the input channels."""


def preprocessing(spacing_mm: tuple[float, float, float]) -> dict[str, Any]:
    """What the card says of the way from images to inputs; a reader refuses a card that says otherwise."""
    return {
        "spacing_mm": list(spacing_mm),
        "normalisation": "total activity",
        "reference_volume_ml": REFERENCE_VOLUME_ML,
        "hu_unit": HU_UNIT,
        "hu_limits": list(HU_LIMITS),
        "log_unit": LOG_UNIT,
        "reference_energy_kev": REFERENCE_ENERGY_KEV,
        "air_density_g_per_cm3": AIR_DENSITY_G_PER_CM3,
    }


def inputs_and_carried(maps: PatientMaps, inputs: tuple[str, ...]) -> NDArray[np.float32]:
    """Input channels and then what the head takes, float32 (c, k, j, i)."""
    density = np.maximum(maps.density_kji, np.float32(AIR_DENSITY_G_PER_CM3))
    return np.stack([*(maps.channel(name) for name in inputs), maps.base_kji, maps.activity_kji, density])


def network_dose(network: ResidualUNet3D, channels: Tensor) -> Tensor:
    """Normalised dose (n, 1, k, j, i) of stacked channels (n, c, k, j, i) as `inputs_and_carried` orders them."""
    count = len(network.architecture.inputs)
    base, energy, density = (channels[:, count + number : count + number + 1] for number in range(len(CARRIED)))
    dose: Tensor = network(channels[:, :count], base, energy, density)
    return dose
