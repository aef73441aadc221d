"""Which model described a voxel, and one step of the work: one model fitted to many voxels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from .voxelwise_bi import fit_bi
from .voxelwise_fit import Array, VoxelFits, fit_mono
from .voxelwise_trapezoid import Start, Tail, tail_points, trapezoids


class VoxelModel(IntEnum):
    """What a voxel of the model map says."""

    NONE = 0
    BI_EXPONENTIAL = 1
    UPTAKE_CLEARANCE = 2
    MONO_EXPONENTIAL = 3
    MONO_PHYSICAL = 4
    TRAPEZOID_FITTED_TAIL = 5
    TRAPEZOID_PHYSICAL_TAIL = 6
    ORGAN_SHAPE = 7
    POOLED_SHAPE = 8


LEGEND: Mapping[int, str] = MappingProxyType(
    {
        VoxelModel.NONE.value: "no activity",
        VoxelModel.BI_EXPONENTIAL.value: "bi-exponential",
        VoxelModel.UPTAKE_CLEARANCE.value: "bi-exponential held to zero at administration",
        VoxelModel.MONO_EXPONENTIAL.value: "mono-exponential",
        VoxelModel.MONO_PHYSICAL.value: "mono-exponential held at physical decay",
        VoxelModel.TRAPEZOID_FITTED_TAIL.value: "trapezoid with fitted tail",
        VoxelModel.TRAPEZOID_PHYSICAL_TAIL.value: "trapezoid with physical tail",
        VoxelModel.ORGAN_SHAPE.value: "shape of the organ's curve",
        VoxelModel.POOLED_SHAPE.value: "shape of the mean curve of the voxels too noisy for a fit of their own",
    }
)
"""Value of the model map to its meaning."""

FEWEST_SCANS = MappingProxyType({"bi": 4, "mono": 2, "trapezoid": 1, "organ-shape": 1})
"""Scans that each method needs: as many as its parameters."""


def residual_degrees(method: str, scan_count: int, tail: Tail = "fitted") -> int:
    """Scans less parameters that a method leaves to judge the noise by; zero where there is none."""
    parameters = {"bi": 4, "mono": 2, "organ-shape": 1, "trapezoid": 2}[method]
    if method != "trapezoid":
        return max(scan_count - parameters, 0)
    return max(tail_points(scan_count) - parameters, 0) if tail == "fitted" and scan_count > 1 else 0


@dataclass(frozen=True, eq=False)
class Described:
    """Many voxels under one model.

    Attributes
    ----------
    integrals
        Time-integrated activity concentration [Bq s/mL], shape (voxels,).
    sensitivity
        Its change with each datum [s], shape (scans, voxels).
    residual_squares
        Shape (voxels,).
    degrees
        Scans less parameters, shape (voxels,).
    models
        `VoxelModel` of each voxel, uint8.
    valid
        Voxels that the model describes.
    regular
        Voxels whose model is not held at a bound.
    """

    integrals: Array
    sensitivity: Array
    residual_squares: Array
    degrees: NDArray[np.int_]
    models: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    regular: NDArray[np.bool_]


def describe(
    model: str, times_s: Array, data: Array, decay_constant_per_s: float, tail: Tail = "fitted", start: Start = "zero"
) -> Described:
    """Fit one model to many voxels.

    Parameters
    ----------
    model
        "bi", "mono", "trapezoid", or "simple": uptake and clearance where that describes a voxel and leaves a residual,
        else mono-exponential.
    times_s, data, decay_constant_per_s, tail, start
        As `fit_bi`, `fit_mono` and `trapezoids`.
    """
    if model == "bi":
        return _bi(times_s, data, decay_constant_per_s)
    if model == "simple":
        return _simple(times_s, data, decay_constant_per_s)
    if model == "mono":
        return _mono(times_s, data, decay_constant_per_s)
    return _trapezoid(times_s, data, decay_constant_per_s, tail, start)


def _bi(times_s: Array, data: Array, decay_constant_per_s: float) -> Described:
    """Free amplitudes first; curves negative at administration once more, held to zero there."""
    free = fit_bi(times_s, data, decay_constant_per_s)
    found = _from_fits(free, times_s.size - 4, VoxelModel.BI_EXPONENTIAL)
    again = np.flatnonzero(~free.valid)
    if again.size == 0:
        return found
    held = fit_bi(times_s, data[:, again], decay_constant_per_s, from_zero=True)
    found.integrals[again] = held.integrals
    found.sensitivity[:, again] = held.sensitivity
    found.residual_squares[again] = held.residual_squares
    found.degrees[again] = times_s.size - 3
    found.models[again] = VoxelModel.UPTAKE_CLEARANCE
    found.valid[again] = held.valid
    found.regular[again] = False
    return found


def _simple(times_s: Array, data: Array, decay_constant_per_s: float) -> Described:
    """The residuals of what has fewer parameters than scans, for methods that leave none."""
    found = _mono(times_s, data, decay_constant_per_s)
    if times_s.size < FEWEST_SCANS["bi"]:
        return found
    fits = fit_bi(times_s, data, decay_constant_per_s, from_zero=True)
    uptake = _from_fits(fits, times_s.size - 3, VoxelModel.UPTAKE_CLEARANCE)
    better = uptake.regular
    for name in ("integrals", "residual_squares", "degrees", "models", "valid", "regular"):
        getattr(found, name)[better] = getattr(uptake, name)[better]
    found.sensitivity[:, better] = uptake.sensitivity[:, better]
    return found


def _mono(times_s: Array, data: Array, decay_constant_per_s: float) -> Described:
    """Voxels held at physical decay count as described unless they hold more at the last scan than at the first."""
    fits = fit_mono(times_s, data, decay_constant_per_s)
    found = _from_fits(fits, times_s.size - 2, VoxelModel.MONO_EXPONENTIAL)
    found.models[fits.at_slowest] = VoxelModel.MONO_PHYSICAL
    rising = fits.at_slowest & (data[-1] > data[0])
    found.valid[rising | fits.at_fastest] = False
    return found


def _trapezoid(times_s: Array, data: Array, decay_constant_per_s: float, tail: Tail, start: Start) -> Described:
    found = trapezoids(times_s, data, decay_constant_per_s, tail, start)
    fitted_degrees = tail_points(times_s.size) - 2
    models = np.where(found.physical, VoxelModel.TRAPEZOID_PHYSICAL_TAIL, VoxelModel.TRAPEZOID_FITTED_TAIL)
    return Described(
        found.integrals,
        found.sensitivity,
        found.residual_squares,
        np.where(found.physical, 0, fitted_degrees),
        models.astype(np.uint8),
        np.ones(data.shape[1], bool),
        ~found.physical,
    )


def _from_fits(fits: VoxelFits, degrees: int, model: VoxelModel) -> Described:
    return Described(
        fits.integrals,
        fits.sensitivity,
        fits.residual_squares,
        np.full(fits.valid.size, degrees),
        np.full(fits.valid.size, model, np.uint8),
        fits.valid.copy(),
        fits.valid & ~fits.at_slowest & ~fits.at_fastest,
    )
