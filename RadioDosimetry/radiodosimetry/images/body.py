"""Where the patient is on a CT: everything inside the skin, without the couch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import RegionError, UnitError
from ..units import Quantity
from .volume import QuantitativeVolume

BODY_THRESHOLD_HU = -400.0
"""Halfway between lung tissue (-800) and soft tissue (0): skin is found, clothes and blankets are not."""

AIR_HU = -1000
"""CT number of what is not the body."""

COUCH_GAP_MM = 4.0
"""Structures thinner than about twice this (couch covers, cables) are cut from the body."""


def body_mask(ct: QuantitativeVolume, threshold_hu: float = BODY_THRESHOLD_HU) -> NDArray[np.bool_]:
    """Where the patient is: the largest piece denser than `threshold_hu`, cut from the couch, with lungs and gas.

    Parameters
    ----------
    ct
        CT numbers [HU].
    threshold_hu
        What is denser may be body [HU].

    Returns
    -------
    ndarray of bool
        Shape (k, j, i); holes are filled slice by slice along k.

    Raises
    ------
    UnitError
        The volume is not a CT.
    RegionError
        No voxel is denser than the threshold.
    """
    if ct.quantity is not Quantity.CT_NUMBER:
        raise UnitError(f"The body is found on CT numbers, found {ct.quantity.value}.")
    dense = ct.array_kji > threshold_hu
    if not dense.any():
        raise RegionError(
            f"No voxel of the CT is above {threshold_hu:g} HU (largest {ct.array_kji.max():g}); "
            "check that the image is a CT in HU."
        )
    ball = _ball(COUCH_GAP_MM, ct.geometry.spacing_mm)
    core = _largest_piece(ndimage.binary_opening(dense, ball))
    if not core.any():
        core = _largest_piece(dense)
    body = _largest_piece(ndimage.binary_dilation(core, ball) & dense)
    return np.stack([ndimage.binary_fill_holes(plane) for plane in body])


def without_surroundings(ct: QuantitativeVolume) -> tuple[QuantitativeVolume, NDArray[np.bool_]]:
    """The CT with air outside the body (no couch, no blankets), and the body; raises what `body_mask` does."""
    body = body_mask(ct)
    record = ct.record.with_parameters(body_mask=f"air outside the body, found from {BODY_THRESHOLD_HU:g} HU on")
    air = np.asarray(AIR_HU, dtype=ct.array_kji.dtype)
    return ct.with_array(np.where(body, ct.array_kji, air), record=record), body


def _ball(radius_mm: float, spacing_mm: tuple[float, float, float]) -> NDArray[np.bool_]:
    """Structuring element (k, j, i) of all voxels within the radius, at least the six neighbours."""
    reach = [max(1, int(radius_mm // step)) for step in spacing_mm[::-1]]
    grids = np.ogrid[tuple(slice(-count, count + 1) for count in reach)]
    return np.asarray(sum((grid / count) ** 2 for grid, count in zip(grids, reach, strict=True)) <= 1.0 + 1e-9)


def _largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())
