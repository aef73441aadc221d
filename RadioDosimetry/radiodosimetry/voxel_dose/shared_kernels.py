"""Kernels of many media as combinations of a few: what the media share is convolved once.

The kernels of twenty density bands look alike: on a list of voxels and distances they form a matrix of twenty rows
whose rank, at the accuracy asked for, is smaller. Its left singular vectors say which combinations of media to convolve
and how to put the media together again. Since voxelisation is linear, the combination is made of the energies per
distance, before any voxel is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .geometric_weights import near_weights
from .voxelisation import voxelised_source

USUAL_TOLERANCE = 2e-3
"""Error allowed to a shared kernel: in each near voxel relative to the medium's kernel there, farther out in sum over
all distances relative to the energy that the medium's kernel puts there; a single far distance may err by ten times
that."""

FLOOR = 0.02
"""Where a medium's kernel is below this share of the largest medium's, the error is relative to that share."""

NEAR_FLOOR = 0.01
"""Where a near voxel is below this share of the source voxel, the error is relative to that share."""

_SINGLE_FAR = 10.0


@dataclass(frozen=True, eq=False)
class SharedKernels:
    """A few kernels that replace those of many media.

    Attributes
    ----------
    cell_energy
        Shape (shared kernels, cells): energy per radial cell over density, of each combination.
    coefficients
        Shape (media, shared kernels): the kernel of a medium is this combination of the shared ones.
    largest_error
        Largest error found, relative as `USUAL_TOLERANCE` says.
    """

    cell_energy: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    largest_error: float


def share_kernels(
    cell_energy: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    reach_mm: float,
    tolerance: float = USUAL_TOLERANCE,
) -> SharedKernels:
    """The fewest kernels whose combinations give the kernel of every medium within a tolerance.

    Parameters
    ----------
    cell_energy
        Shape (media, cells): energy per radial cell over the medium's density, cells of `near_weights(spacing_mm)`.
    spacing_mm
        Voxel edges along x, y, z [mm].
    reach_mm
        Distance beyond which no kernel is used [mm].
    tolerance
        See `USUAL_TOLERANCE`; 0 keeps one kernel per medium.

    Returns
    -------
    SharedKernels
        At most as many kernels as media; none if no medium has energy.
    """
    medium_count = len(cell_energy)
    if tolerance == 0 and cell_energy.any():
        return SharedKernels(cell_energy, np.eye(medium_count), 0.0)
    near, far = _features(cell_energy, spacing_mm, reach_mm)
    features = np.concatenate([near, far], axis=1)
    largest = features.max(axis=0)
    if not largest.any():
        return SharedKernels(cell_energy[:0], np.zeros((medium_count, 0)), 0.0)
    scale = np.where(largest > 0, largest, 1.0)
    vectors = np.linalg.svd(features / scale, full_matrices=False)[0]
    for count in range(1, medium_count):
        kept = vectors[:, :count]
        projection = np.eye(medium_count) - kept @ kept.T
        error = max(_near_error(near, projection), _far_error(far, near.sum(axis=1), projection))
        if error <= tolerance:
            return SharedKernels(kept.T @ cell_energy, kept, error)
    return SharedKernels(cell_energy, np.eye(medium_count), 0.0)


def _near_error(near: NDArray[np.float64], projection: NDArray[np.float64]) -> float:
    """Largest error of a near voxel, relative to the medium's kernel there or to a hundredth of its source voxel."""
    allowed = near + FLOOR * near.max(axis=0) + NEAR_FLOOR * near[:, :1]
    return float((np.abs(projection @ near) / np.where(allowed > 0, allowed, 1.0)).max(initial=0.0))


def _far_error(far: NDArray[np.float64], near_sum: NDArray[np.float64], projection: NDArray[np.float64]) -> float:
    """Error of the distances beyond, in sum relative to the kernel's sum, and one by one at a tenth."""
    error = np.abs(projection @ far)
    total = far.sum(axis=1) + 1e-3 * near_sum
    in_sum = float((error.sum(axis=1) / np.where(total > 0, total, 1.0)).max(initial=0.0))
    allowed = far + FLOOR * far.max(axis=0, initial=0.0)
    one_by_one = float((error / np.where(allowed > 0, allowed, 1.0)).max(initial=0.0))
    return max(in_sum, one_by_one / _SINGLE_FAR)


def _features(
    cell_energy: NDArray[np.float64], spacing_mm: tuple[float, float, float], reach_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Dose in the near voxels and dose per distance beyond (up to a factor), one row per medium."""
    weights = near_weights(spacing_mm)
    near = voxelised_source(cell_energy, weights).reshape(len(cell_energy), -1)
    first_far = weights.weights.shape[-1]
    last = int(np.searchsorted(weights.edges_mm, reach_mm + np.linalg.norm(spacing_mm)))
    return near, cell_energy[:, first_far : max(last, first_far)]
