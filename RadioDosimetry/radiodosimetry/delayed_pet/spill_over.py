"""Which tissue the activity of each voxel comes from, once the scanner has blurred them into one another.

A scan shows of every tissue more than its own place: b_r = G ⊗ m_r, with m_r the share of tissue r in each voxel and G
the scanner's response. With a_r the concentration in tissue r, voxel x holds Σ a_r b_r(x). The mean of the scan over
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


@dataclass(frozen=True)
class Response:
    """What a scanner makes of a point: a Gaussian, and a wide one for what few iterations and scatter leave around it.

    Attributes
    ----------
    resolution_mm
        Full width at half maximum of the first [mm]; 0 for none.
    tail_share, tail_mm
        Share of the activity in the second, and its full width at half maximum [mm].
    """

    resolution_mm: float
    tail_share: float = 0.0
    tail_mm: float = 45.0

    def of(self, place_kji: Floats, spacing_mm: float) -> Floats:
        """A field of cubic voxels of this edge [mm] as the scanner shows it, float32."""
        sigma = self.resolution_mm / FWHM_PER_SIGMA / spacing_mm
        seen = ndimage.gaussian_filter(place_kji, sigma, mode="nearest", truncate=3.0) if sigma > 0 else place_kji
        if self.tail_share == 0:
            return np.asarray(seen, dtype=np.float32)
        tail = _smoothed(place_kji, self.tail_mm / FWHM_PER_SIGMA / spacing_mm)
        return np.asarray((1.0 - self.tail_share) * seen + self.tail_share * tail, dtype=np.float32)


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
    volume_ml
        Size of each region, (regions,).
    """

    shares: Floats
    uptake: NDArray[np.float64]
    tissues: NDArray[np.int64]
    volume_ml: NDArray[np.float64]

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
    scan_kji: Floats, places: Floats, tissues: NDArray[np.int64], response: Response, spacing_mm: float
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
    response
        Of the scanner.
    spacing_mm
        Edge of the cubic voxels [mm].
    """
    shares = places
    if response.resolution_mm > 0 or response.tail_share > 0:
        shares = np.stack([response.of(place, spacing_mm) for place in places])
        shares /= np.maximum(shares.sum(axis=0), np.float32(_SMALLEST))
    flat, blurred = places.reshape(len(places), -1), shares.reshape(len(places), -1)
    volume_ml = flat.sum(axis=1, dtype=np.float64) * spacing_mm**3 * 1e-3
    content = (flat @ scan_kji.reshape(-1).astype(np.float32)).astype(np.float64)
    return SpillOver(shares, _solved(content, (flat @ blurred.T).astype(np.float64)), tissues, volume_ml)


def _smoothed(field_kji: Floats, sigma_voxels: float) -> Floats:
    """A wide Gaussian, on cubes of voxels where it is much wider than they are."""
    step = max(1, int(sigma_voxels / 1.2))
    if step == 1:
        return np.asarray(ndimage.gaussian_filter(field_kji, sigma_voxels, mode="nearest"), dtype=np.float32)
    counts = [-(-size // step) for size in field_kji.shape]
    ends = [(0, count * step - size) for count, size in zip(counts, field_kji.shape, strict=True)]
    k, j, i = counts
    cubes = np.pad(field_kji, ends, mode="edge").reshape(k, step, j, step, i, step).mean(axis=(1, 3, 5))
    # A cube and the way back by straight lines widen by (step² − 1)/12 and step²/6.
    rest = math.sqrt(max(sigma_voxels**2 - (step**2 - 1) / 12 - step**2 / 6, 0.25))
    found = ndimage.gaussian_filter(cubes, rest / step, mode="nearest")
    for axis, size in enumerate(field_kji.shape):
        found = np.moveaxis(np.tensordot(_lines_between(size, step, counts[axis]), found, axes=(1, axis)), 0, axis)
    return np.asarray(found, dtype=np.float32)


def _lines_between(size: int, step: int, count: int) -> Floats:
    """Matrix (size, count) that interpolates linearly between the middles of cubes of `step` voxels."""
    places = np.clip((np.arange(size) - (step - 1) / 2) / step, 0, count - 1)
    low = np.minimum(places.astype(int), max(count - 2, 0))
    weights = np.zeros((size, count), dtype=np.float32)
    rows = np.arange(size)
    weights[rows, low] = 1.0 - (places - low)
    if count > 1:
        weights[rows, low + 1] += (places - low).astype(np.float32)
    return weights


def _solved(content: NDArray[np.float64], transfer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Concentrations a ≥ 0 with transfer @ a = content, by the multiplicative steps of maximum likelihood."""
    seen = np.maximum(transfer.sum(axis=0), _SMALLEST)
    uptake = np.maximum(content, 0.0) / np.maximum(transfer.sum(axis=1), _SMALLEST) + _SMALLEST
    for _ in range(UNMIXING_STEPS):
        expected = np.maximum(transfer @ uptake, _SMALLEST)
        uptake = uptake * (transfer.T @ (content / expected)) / seen
    return uptake
