"""Voxels near the surfaces of lung and bone, where kernels of one medium err."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .convolution_settings import AIR_DENSITY_G_PER_CM3

EDGE_VOXELS = 2
"""Voxels this near to an edge count (face to face)."""

LUNG_BELOW_G_PER_CM3 = 0.6
"""What is lighter than this and heavier than air is lung, where no labels say so."""

BONE_FROM_G_PER_CM3 = 1.15
"""What is at least this heavy is bone, where no labels say so."""

_LUNG_WORDS = ("lung",)
_BONE_WORDS = (
    "bone",
    "vertebra",
    "rib",
    "spine",
    "pelvis",
    "femur",
    "femora",
    "skeleton",
    "skull",
    "sternum",
    "scapula",
)


def edge_mask(
    density_kji: NDArray[np.floating],
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    reach: int = EDGE_VOXELS,
) -> NDArray[np.bool_]:
    """Voxels of the body within `reach` voxels of the surface of lung or bone.

    Parameters
    ----------
    density_kji
        Mass density [g/cm³], (k, j, i).
    regions
        Masks of named regions; those whose name says lung or bone are taken. Density decides where none does.
    reach
        Voxels on either side of the surface.

    Returns
    -------
    ndarray
        bool (k, j, i). The surface between the body and the air around it does not count.
    """
    parts = edge_parts(density_kji, regions, reach)
    return np.asarray(parts["lung"] | parts["bone"])


def edge_parts(
    density_kji: NDArray[np.floating],
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    reach: int = EDGE_VOXELS,
) -> dict[str, NDArray[np.bool_]]:
    """As `edge_mask`, the surfaces of "lung" and of "bone" apart; a voxel may be near both."""
    matter = density_kji >= AIR_DENSITY_G_PER_CM3
    found = {}
    for tissue, words, by_density in (
        ("lung", _LUNG_WORDS, matter & (density_kji < LUNG_BELOW_G_PER_CM3)),
        ("bone", _BONE_WORDS, density_kji >= BONE_FROM_G_PER_CM3),
    ):
        named = [mask for name, mask in (regions or {}).items() if any(word in name.lower() for word in words)]
        inside = np.logical_or.reduce(named) & matter if named else by_density
        found[tissue] = np.asarray(_near(inside, reach) & _near(matter & ~inside, reach) & matter)
    return found


def _near(mask_kji: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    if not mask_kji.any():
        return np.zeros(mask_kji.shape, dtype=bool)
    return np.asarray(ndimage.binary_dilation(mask_kji, iterations=reach))
