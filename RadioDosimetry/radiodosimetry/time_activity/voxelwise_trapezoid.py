"""Trapezoids through the scans of every voxel, and what follows the last scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .voxelwise_fit import Array, by_voxel, fit_mono

Tail = Literal["fitted", "physical"]
Start = Literal["zero", "constant"]

FEWEST_SCANS_FOR_THREE_TAIL_POINTS = 4
"""From so many scans on a fitted tail goes through the last three, else through the last two."""


@dataclass(frozen=True, eq=False)
class VoxelTrapezoids:
    """Integrals of many voxels by trapezoids with a tail.

    Attributes
    ----------
    integrals
        From 0 to infinity [unit of the data × s], shape (voxels,).
    sensitivity
        Change of the integral with each datum [s], shape (scans, voxels).
    residual_squares
        Of the tail's fit, shape (voxels,); zeros for physical tails.
    physical
        Where the tail is physical decay: asked for, or since the last scans fall no faster.
    """

    integrals: Array
    sensitivity: Array
    residual_squares: Array
    physical: NDArray[np.bool_]


def tail_points(scan_count: int) -> int:
    """How many of the last scans a fitted tail goes through."""
    return 3 if scan_count >= FEWEST_SCANS_FOR_THREE_TAIL_POINTS else 2


def trapezoid_weights(times_s: Array, start: Start = "zero") -> Array:
    """Weight of each scan in the trapezoids from 0 to the last scan [s], shape (scans,).

    Parameters
    ----------
    times_s
        Scan times after administration [s], rising, shape (scans,).
    start
        "zero": A(0) = 0, as Kim et al. 2022; "constant": A(0) is the activity of the first scan.
    """
    weights = np.zeros(times_s.size)
    gaps = np.diff(times_s)
    weights[:-1] += 0.5 * gaps
    weights[1:] += 0.5 * gaps
    weights[0] += times_s[0] * (0.5 if start == "zero" else 1.0)
    return weights


def trapezoids(
    times_s: Array, data: Array, decay_constant_per_s: float, tail: Tail = "fitted", start: Start = "zero"
) -> VoxelTrapezoids:
    """Integral of each voxel: Σ ½ (A_i + A_(i+1)) Δt from A(0), then a tail.

    The fitted tail is a mono-exponential through the last scans (`tail_points`), no slower than physical decay;
    where they fall no faster than that, and for `physical`, it is A_last/λ_phys.

    Parameters
    ----------
    times_s
        Scan times after administration [s], rising, shape (scans,); after a single scan the tail is physical.
    data
        Activity concentrations, none negative, each voxel with a positive one; shape (scans, voxels).
    decay_constant_per_s
        Physical decay [1/s].
    tail, start
        See above and `trapezoid_weights`.

    References
    ----------
    .. [1] Kim et al., Nucl Med Mol Imaging 56 (2022): the form with A(0) = 0 and a physical tail.
    """
    weights = trapezoid_weights(times_s, start)
    sensitivity = np.repeat(weights[:, None], data.shape[1], axis=1)
    physical = np.ones(data.shape[1], bool)
    tails, residual_squares = data[-1] / decay_constant_per_s, np.zeros(data.shape[1])
    if tail == "fitted" and times_s.size > 1:
        last = data[-tail_points(times_s.size) :]
        filled = np.flatnonzero((last > 0).any(axis=0))
        fits = fit_mono(times_s[-len(last) :], last[:, filled], decay_constant_per_s, integral_from_s=times_s[-1])
        fitted = filled[~fits.at_slowest]
        tails[fitted] = fits.integrals_from(times_s[-1])[~fits.at_slowest]
        sensitivity[-len(last) :, fitted] += fits.sensitivity[:, ~fits.at_slowest]
        residual_squares[filled] = fits.residual_squares
        physical[fitted] = False
    sensitivity[-1, physical] += 1.0 / decay_constant_per_s
    return VoxelTrapezoids(weights @ data + tails, sensitivity, residual_squares, physical)


def scaled_shape(shape: Array, data: Array, integral: float) -> tuple[Array, Array, Array]:
    """A curve's shape scaled to each voxel by least squares over the scans.

    Parameters
    ----------
    shape
        Values of the curve at the scan times, shape (scans,), at least one positive.
    data
        Shape (scans, voxels).
    integral
        Of the curve from 0 to infinity.

    Returns
    -------
    integrals, sensitivity, residual_squares
        Of each voxel, as `VoxelTrapezoids`.
    """
    gain = shape / float(shape @ shape)
    scale = gain @ data
    residual = data - shape[:, None] * scale
    sensitivity = np.repeat((integral * gain)[:, None], data.shape[1], axis=1)
    return integral * scale, sensitivity, by_voxel(residual, residual)
