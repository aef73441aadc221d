"""From a patient's maps to the inputs of a `ResidualUNet3D` and from its output to dose: all in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..voxel_dose.convolution_settings import AIR_DENSITY_G_PER_CM3
from .architectures import UNetArchitecture
from .patient_maps import HU_LIMITS, HU_UNIT, LOG_UNIT, REFERENCE_ENERGY_KEV, REFERENCE_VOLUME_ML, PatientMaps

if TYPE_CHECKING:
    from torch import Tensor

    from .residual_unet import ResidualUNet3D

KIND = "residual-unet-3d"
"""Kind of its model files."""

BASE = "multiple-vsv"
"""The dose it corrects (Kim et al. 2022)."""

CARRIED = ("base", "activity", "density")
"""What the head takes besides the network's output; these follow the input channels. `transport` takes `photon` too."""


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


def carried(architecture: UNetArchitecture) -> tuple[str, ...]:
    """Names of the channels that the head of this architecture takes."""
    return (*CARRIED, "photon") if architecture.head == "transport" else CARRIED


def inputs_and_carried(maps: PatientMaps, architecture: UNetArchitecture) -> NDArray[np.float32]:
    """Input channels and then what the head takes, float32 (c, k, j, i)."""
    behind = {name: maps.channel(name) for name in carried(architecture)}
    behind["density"] = np.maximum(behind["density"], np.float32(AIR_DENSITY_G_PER_CM3))
    return np.stack([*(maps.channel(name) for name in architecture.inputs), *behind.values()])


def in_air(maps: PatientMaps, architecture: UNetArchitecture) -> NDArray[np.float32]:
    """What each channel of `inputs_and_carried` is in air without activity."""
    air = float(maps.density_kji.min())
    values = {"hu": -1.0, "density": air, "nuclide": float(maps.channel("nuclide").flat[0])}
    behind = {"density": max(air, AIR_DENSITY_G_PER_CM3)}
    return np.array(
        [
            *(values.get(name, 0.0) for name in architecture.inputs),
            *(behind.get(name, 0.0) for name in carried(architecture)),
        ],
        dtype=np.float32,
    )


def network_dose(network: ResidualUNet3D, channels: Tensor) -> Tensor:
    """Normalised dose (n, 1, k, j, i) of stacked channels (n, c, k, j, i) as `inputs_and_carried` orders them."""
    count = len(network.architecture.inputs)
    dose: Tensor = network(channels[:, :count], *channels[:, count:].split(1, dim=1))
    return dose
