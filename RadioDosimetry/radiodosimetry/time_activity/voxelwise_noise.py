"""How noisy the voxels of a series of scans are, told from what a model leaves over."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from .voxelwise_fit import Array

LARGEST_GROUPS = 64
"""Voxels are pooled in at most this many groups of similar activity."""

SMALLEST_GROUP = 100
"""Voxels a group needs (all together are one group where there are fewer)."""

MOST_POOLED = 100_000
"""More voxels than this tell no more about the variance: every so many-th of them is taken."""

POOLED_DEGREES = 8.0
"""Degrees of freedom the pooled variance of a group counts with beside a voxel's own residuals."""


@dataclass(frozen=True, eq=False)
class PooledNoise:
    """Variance of voxels of similar activity, joined with what each voxel leaves over itself.

    One voxel's residuals say little: four scans less two parameters leave two degrees of freedom. The median
    over a group of voxels of similar activity, divided by that of χ² over its degrees, is steady and unmoved by the
    few voxels that the model does not describe; within a group variance is taken to rise with activity, as that of
    counts.

    Attributes
    ----------
    upper_levels
        Largest mean activity of each group but the last, rising, shape (groups - 1,).
    variance_per_level
        Variance of one datum over the mean activity of its voxel, shape (groups,).
    """

    upper_levels: Array
    variance_per_level: Array

    @classmethod
    def of(
        cls, level: Array, residual_squares: Array, degrees: NDArray[np.integer], regular: NDArray[np.bool_]
    ) -> PooledNoise | None:
        """The noise that residuals tell; None where no regular voxel has a degree of freedom.

        Parameters
        ----------
        level
            Mean activity of each voxel, above zero, shape (voxels,).
        residual_squares
            Sum over the scans of squared residuals, shape (voxels,).
        degrees
            Scans less parameters of each voxel's model.
        regular
            Voxels that the model describes without being held at a bound. The others have no say: what is left over
            of them is misfit rather than noise.
        """
        usable = np.flatnonzero(regular & (degrees > 0))
        if usable.size == 0:
            return None
        usable = usable[:: 1 + usable.size // MOST_POOLED]
        order = usable[np.argsort(level[usable], kind="stable")]
        groups = np.array_split(order, int(np.clip(usable.size // SMALLEST_GROUP, 1, LARGEST_GROUPS)))
        pooled = [_pooled(residual_squares[group] / level[group], degrees[group]) for group in groups]
        return cls(np.array([level[group[-1]] for group in groups[:-1]]), np.array(pooled))

    def variance(
        self, level: Array, residual_squares: Array, degrees: NDArray[np.integer], regular: NDArray[np.bool_]
    ) -> Array:
        """Variance of one datum of each voxel, arguments as `of`; voxels that are not regular take their group's."""
        of_group = self.variance_per_level[np.searchsorted(self.upper_levels, level)] * level
        joined = (residual_squares + POOLED_DEGREES * of_group) / (degrees + POOLED_DEGREES)
        return np.where(regular, joined, of_group)


def _pooled(residual_squares: Array, degrees: NDArray[np.integer]) -> float:
    """Median of the squares over their expected median; of zeros, which leave no scatter, zero."""
    kinds, kind = np.unique(degrees, return_inverse=True)
    return float(np.median(residual_squares / chi2.ppf(0.5, kinds)[kind]))
