"""Which tissue the activity of each voxel comes from, once the scanner has blurred them into one another.

A scan shows of every tissue more than its own place: b_r = G ⊗ m_r, with m_r the share of tissue r in each voxel and G
the scanner's resolution. With a_r the concentration in tissue r, voxel x holds Σ a_r b_r(x). The mean of the scan over
each tissue gives as many equations as there are tissues (the geometric transfer matrix of Rousset 1998), from which
the a_r follow. Later, when tissue r has changed by R_r, the voxel has changed by Σ a_r R_r b_r / Σ a_r b_r: the image
of a small lesion or a thin wall becomes what its neighbours make of it, without any image being deblurred.

.. [1] Rousset et al., J Nucl Med 39 (1998) 904-911.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

UNMIXING_STEPS = 50
"""Iterations of the unmixing; it converges slowly where tissues cannot be told apart, which keeps noise small."""

_SMALLEST = 1e-9


@dataclass(frozen=True, eq=False)
class SpillOver:
    """A scan as a sum of tissues.

    Attributes
    ----------
    shares
        Share of the blurred regions in each voxel b_r, summing to 1, float32, shape (regions, k, j, i).
    uptake
        Concentration a_r in each region in the unit of the scan, (regions,).
    tissues
        Number of the tissue of each region, (regions,).
    voxels
        Size of each region in voxels, (regions,).
    """

    shares: Floats
    uptake: NDArray[np.float64]
    tissues: NDArray[np.int64]
    voxels: NDArray[np.float64]

    @property
    def image_kji(self) -> Floats:
        """Σ a_r b_r, the scan without noise and without differences inside a region, shape (k, j, i)."""
        return np.tensordot(self.uptake.astype(np.float32), self.shares, axes=1)

    @property
    def fractions(self) -> Floats:
        """What part of each voxel's activity comes from each region, shape (regions, k, j, i)."""
        parts = self.shares * np.maximum(self.uptake, _SMALLEST).astype(np.float32)[:, None, None, None]
        parts /= parts.sum(axis=0)
        return parts


def unmix(
    scan_kji: Floats, places: Floats, tissues: NDArray[np.int64], resolution_mm: float, spacing_mm: float
) -> SpillOver:
    """What each region of a scan holds.

    Parameters
    ----------
    scan_kji
        Concentration, not negative, shape (k, j, i).
    places
        Share of each region m_r in each voxel, summing to 1, shape (regions, k, j, i): zeros and ones where regions are
        given, probabilities where a network sees them.
    tissues
        Number of the tissue of each region.
    resolution_mm
        Full width at half maximum of the scanner's resolution [mm]; 0 leaves spill-over out.
    spacing_mm
        Edge of the cubic voxels [mm].
    """
    sigma = resolution_mm / FWHM_PER_SIGMA / spacing_mm
    shares = places
    if sigma > 0:
        shares = np.empty_like(places)
        for number, place in enumerate(places):
            ndimage.gaussian_filter(place, sigma, output=shares[number], mode="nearest", truncate=3.0)
        shares /= np.maximum(shares.sum(axis=0), np.float32(_SMALLEST))
    flat, blurred = places.reshape(len(places), -1), shares.reshape(len(places), -1)
    voxels = flat.sum(axis=1, dtype=np.float64)
    content = (flat @ scan_kji.reshape(-1).astype(np.float32)).astype(np.float64)
    return SpillOver(shares, _solved(content, (flat @ blurred.T).astype(np.float64)), tissues, voxels)


def _solved(content: NDArray[np.float64], transfer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concentrations a ≥ 0 with transfer @ a = content, by the multiplicative steps of maximum likelihood."""
    seen = np.maximum(transfer.sum(axis=0), _SMALLEST)
    uptake = np.maximum(content, 0.0) / np.maximum(transfer.sum(axis=1), _SMALLEST) + _SMALLEST
    for _ in range(UNMIXING_STEPS):
        expected = np.maximum(transfer @ uptake, _SMALLEST)
        uptake = uptake * (transfer.T @ (content / expected)) / seen
    return uptake
