"""CT numbers of painted tissues: means that vary between patients, texture, partial volumes, noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..images.geometry import VolumeGeometry
from .parametric_torso import Tissue

AIR_HU = -1000.0
CT_RANGE_HU = (-1024, 3071)
"""What a 12-bit CT can hold."""

BLUR_SIGMA_MM = 1.5
"""Edges of a soft-kernel CT, as the standard deviation of a Gaussian."""

TEXTURE_LENGTH_MM = 7.0
"""Size of lumps in tissue, as the standard deviation of the Gaussian that correlates them."""

_NOISE_HU = (6.0, 22.0)
"""Range of voxel noise, from a diagnostic to a low-dose CT."""

TISSUE_HU: Mapping[Tissue, tuple[float, float, float]] = {
    # mean, spread between patients, texture within the tissue [HU]
    Tissue.AIR: (AIR_HU, 0.0, 0.0),
    Tissue.FAT: (-102.0, 5.0, 6.0),
    Tissue.MUSCLE: (48.0, 8.0, 14.0),
    Tissue.VISCERAL_FAT: (-92.0, 7.0, 14.0),
    Tissue.LEFT_LUNG: (-800.0, 0.0, 35.0),
    Tissue.RIGHT_LUNG: (-800.0, 0.0, 35.0),
    Tissue.MEDIASTINUM: (10.0, 12.0, 25.0),
    Tissue.HEART_WALL: (44.0, 4.0, 5.0),
    Tissue.HEART_CONTENTS: (40.0, 5.0, 3.0),
    Tissue.VESSEL: (40.0, 5.0, 3.0),
    Tissue.LIVER: (56.0, 9.0, 5.0),
    Tissue.GALLBLADDER: (6.0, 4.0, 2.0),
    Tissue.SPLEEN: (48.0, 5.0, 4.0),
    Tissue.STOMACH_WALL: (38.0, 6.0, 6.0),
    Tissue.STOMACH_CONTENTS: (12.0, 15.0, 15.0),
    Tissue.SMALL_INTESTINE: (24.0, 10.0, 22.0),
    Tissue.COLON_WALL: (36.0, 6.0, 8.0),
    Tissue.COLON_CONTENTS: (20.0, 25.0, 60.0),
    Tissue.COLON_GAS: (-860.0, 40.0, 30.0),
    Tissue.LEFT_KIDNEY: (32.0, 4.0, 4.0),
    Tissue.RIGHT_KIDNEY: (32.0, 4.0, 4.0),
    Tissue.PANCREAS: (34.0, 9.0, 12.0),
    Tissue.ADRENALS: (22.0, 8.0, 5.0),
    Tissue.BLADDER_WALL: (34.0, 5.0, 4.0),
    Tissue.BLADDER_CONTENTS: (7.0, 4.0, 2.0),
    Tissue.PELVIC_ORGAN: (42.0, 6.0, 6.0),
    Tissue.THYROID: (95.0, 15.0, 8.0),
    Tissue.AIRWAY: (-985.0, 5.0, 5.0),
    Tissue.GLAND: (0.0, 20.0, 35.0),
    Tissue.CARTILAGE: (95.0, 15.0, 15.0),
    Tissue.CORTICAL_BONE: (820.0, 120.0, 80.0),
    Tissue.SPONGY_SURFACE: (430.0, 60.0, 70.0),
    Tissue.MARROW: (165.0, 0.0, 28.0),
    Tissue.SPINAL_CORD: (32.0, 4.0, 3.0),
    Tissue.COUCH: (-650.0, 80.0, 0.0),
}
"""Usual CT numbers without contrast medium (tube voltages of 110 to 130 kV); the spreads are assumptions."""


def paint_ct(
    index_kji: NDArray[np.uint8],
    grid: VolumeGeometry,
    overrides_hu: Mapping[int, float],
    rng: np.random.Generator,
) -> NDArray[np.int16]:
    """CT numbers [HU] of painted tissues, array (k, j, i).

    Parameters
    ----------
    index_kji
        Tissue of each voxel.
    grid
        Its grid.
    overrides_hu
        Mean CT number of tissues that this patient has drawn already: lungs, marrow, lesions [HU].
    rng
        Of means, texture and noise.
    """
    count = int(max(index_kji.max(), max(Tissue))) + 1
    mean_hu, texture_hu = np.full(count, 40.0, dtype=np.float32), np.full(count, 8.0, dtype=np.float32)
    for tissue, (mean, spread, texture) in TISSUE_HU.items():
        mean_hu[tissue] = mean + spread * float(np.clip(rng.standard_normal(), -2.5, 2.5))
        texture_hu[tissue] = texture
    for code, value in overrides_hu.items():
        if code < count:
            mean_hu[code] = value
    image_hu = mean_hu[index_kji] + texture_hu[index_kji] * lumps(grid, TEXTURE_LENGTH_MM, rng)
    image_hu = gaussian_filter(image_hu, sigma_voxels(BLUR_SIGMA_MM, grid), mode="nearest")
    noise_hu = float(rng.uniform(*_NOISE_HU))
    image_hu += noise_hu * rng.standard_normal(grid.shape_kji, dtype=np.float32)
    return np.clip(np.rint(image_hu), *CT_RANGE_HU).astype(np.int16)


def lumps(grid: VolumeGeometry, length_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Correlated Gaussian noise of mean 0 and standard deviation 1, array (k, j, i)."""
    white = rng.standard_normal(grid.shape_kji, dtype=np.float32)
    noise = gaussian_filter(white, sigma_voxels(length_mm, grid), mode="wrap", truncate=3.0)
    spread = float(noise.std())
    return np.asarray((noise - noise.mean()) / spread if spread > 0 else np.zeros_like(noise), dtype=np.float32)


def sigma_voxels(sigma_mm: float, grid: VolumeGeometry) -> tuple[float, ...]:
    """A length in voxels along k, j and i."""
    return tuple(sigma_mm / step for step in grid.spacing_mm[::-1])
