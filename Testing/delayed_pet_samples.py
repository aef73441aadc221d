"""Small made-up patients whose clearance follows from their early uptake, and tiny settings to learn it with."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.settings import (
    DelayedPetSettings,
    ImageSettings,
    Pix2PixSettings,
    PublishedTraining,
    RatioSettings,
)
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity

HOUR_S = 3600.0
NAMES = {1: "remainder", 2: "liver", 3: "spleen", 4: "kidneys"}
_UPTAKE = {1: 1.0, 2: 4.0, 3: 6.0, 4: 8.0}
_LOG_RATIO = {1: -0.3, 2: 0.4, 3: -0.2, 4: -1.0}
_SLOPE = -0.6
_BALLS = {2: ((0.1, 0.0, -0.4), 0.45), 3: ((0.1, 0.1, 0.5), 0.3), 4: ((-0.5, 0.3, 0.1), 0.28)}


def toy_patient(seed: int, source: str | None = None, shape: tuple[int, int, int] = (16, 20, 24)) -> SerialPet:
    """A patient with scans at 1, 24 and 48 h of Cu-64 in voxels of 10 mm, and a CT on which organs differ little."""
    rng = np.random.default_rng(seed)
    geometry = VolumeGeometry(shape, (10.0, 10.0, 10.0))
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, count) for count in shape), indexing="ij")
    body = (x / 0.9) ** 2 + (y / 0.8) ** 2 < 1
    labels = np.where(body, 1, 0).astype(np.int32)
    for label, (centre, radius) in _BALLS.items():
        at, size = np.array(centre) + rng.normal(0, 0.04, 3), radius * rng.uniform(0.9, 1.1)
        labels[((z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2 < size**2) & body] = label
    hu = np.where(body, 20.0 + 20.0 * labels, -1000.0)
    early = np.zeros(shape)
    ratios = {24.0: np.zeros(shape), 48.0: np.zeros(shape)}
    for label, uptake in _UPTAKE.items():
        excess = rng.normal(0, 0.3)
        early[labels == label] = uptake * np.exp(excess)
        for hours, ratio in ratios.items():
            mean = _LOG_RATIO[label] * (1.5 if hours == 48.0 else 1.0)
            ratio[labels == label] = mean + _SLOPE * excess + rng.normal(0, 0.05)
    early *= np.exp(rng.normal(0, 0.1, shape))
    half_life_s = Radionuclide("Cu-64").half_life_s
    scans = {}
    for hours in (1.0, 24.0, 48.0):
        present = early * np.exp(ratios.get(hours, np.zeros(shape))) * 1e4 * 2.0 ** (-hours * HOUR_S / half_life_s)
        noisy = gaussian_filter(present, 0.4) * np.exp(rng.normal(0, 0.03, shape))
        scans[hours * HOUR_S] = QuantitativeVolume(
            noisy.astype(np.float32), geometry, Quantity.ACTIVITY_CONCENTRATION
        )
    ct = QuantitativeVolume(hu.astype(np.float32), geometry, Quantity.CT_NUMBER)
    return SerialPet(
        f"toy_{seed}", source or f"toy:{seed}", "Cu-64", scans, ct, LabelMap(labels, geometry, NAMES), 3e8, tracer="toy"
    )


def ratio_settings(epochs: int = 20, members: int = 1, **images: object) -> DelayedPetSettings:
    """A tissue network that learns toy patients in seconds."""
    return DelayedPetSettings(
        network="ratio-3d",
        images=ImageSettings(**({"use_ct": True} | images)),  # type: ignore[arg-type]
        ratio=RatioSettings(
            features=8, levels=1, patch=1, grid_mm=10.0, members=members, slab=0, resolution_mm=9.0, tail_share=0.0
        ),
        training=PublishedTraining(
            epochs=epochs, batch_size=1, learning_rate=5e-3, schedule="cosine", threads=1
        ),
    )


def pix2pix_settings(epochs: int = 1, **changes: object) -> DelayedPetSettings:
    """The published network made small."""
    network = {"features": 4, "discriminator_features": 4, "blocks": 1} | changes
    return DelayedPetSettings(
        images=ImageSettings(target_hours=(24.0,)),
        pix2pix=Pix2PixSettings(**network),  # type: ignore[arg-type]
        training=PublishedTraining(epochs=epochs, batch_size=8, learning_rate=2e-3, threads=1),
    )
