"""From the energy a point source deposits within a distance to the energy in the voxels around a uniform source voxel.

Voxels next to the source use the geometric weights (any point kernel, however sharp); voxels farther away average the
energy density, smooth there, over the pairs of points in the two voxels. Every step is linear in the energy per
distance, so that a family of kernels (one per medium) can be voxelised as combinations of a few.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .geometric_weights import NearWeights, near_weights, triangle_rule

_RULES = ((4.0, 4), (12.0, 3), (24.0, 2), (np.inf, 0))
"""Points per half edge of the far rule up to a distance in the largest edge (0: the centre alone): < 0.1 % each."""

_BLOCK_POINTS = 2_000_000
"""Points evaluated at a time: bounds the working memory to about 50 MB."""


class RadialEnergy(Protocol):
    """What voxelisation needs of a point kernel; `transport` makes them, tests use closed forms."""

    @property
    def radius_mm(self) -> NDArray[np.float64]:
        """Ascending radii [mm], the first one 0."""

    @property
    def cumulative_energy_mev(self) -> NDArray[np.float64]:
        """Energy deposited within each radius [MeV]; the first value is what stays at the point itself."""


def energy_per_cell(kernel: RadialEnergy, edges_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy a point source deposits between consecutive `edges_mm` [MeV], its own point in the first cell.

    Parameters
    ----------
    kernel
        Cumulative energy by radius; interpolated monotonically (PCHIP), constant beyond its last radius.
    edges_mm
        Edges of the cells, ascending from 0, 1-D.

    Returns
    -------
    numpy.ndarray
        Shape (edges − 1,), ≥ 0; its sum is the kernel's last cumulative value.

    Raises
    ------
    InputError
        Radii do not ascend from 0, or the cumulative energy decreases.
    """
    from scipy.interpolate import PchipInterpolator

    radius = np.asarray(kernel.radius_mm, dtype=np.float64)
    cumulative = np.asarray(kernel.cumulative_energy_mev, dtype=np.float64)
    if radius.ndim != 1 or radius.shape != cumulative.shape or len(radius) < 2 or radius[0] != 0:
        raise InputError("A point kernel needs ascending radii from 0 with one cumulative energy each.")
    if (np.diff(radius) <= 0).any() or (np.diff(cumulative) < 0).any():
        raise InputError("A point kernel's radii must ascend and its cumulative energy must not decrease.")
    values = PchipInterpolator(radius, cumulative, extrapolate=False)(np.minimum(edges_mm, radius[-1]))
    values[0], values[-1] = 0.0, cumulative[-1]
    return np.diff(values)


def voxelise(
    cell_energy_mev: NDArray[np.float64],
    spacing_mm: tuple[float, float, float],
    half_width_kji: tuple[int, int, int],
) -> NDArray[np.float64]:
    """Energy in the voxels of one octant around a uniform source voxel.

    Parameters
    ----------
    cell_energy_mev
        Energy [MeV] per radial cell of `near_weights(spacing_mm)`, shape (cells,) or (kernels, cells); may be signed.
    spacing_mm
        Voxel edges along x, y, z [mm].
    half_width_kji
        Voxels beside the source voxel along z, y and x.

    Returns
    -------
    numpy.ndarray
        Energy [MeV], shape ([kernels,] z + 1, y + 1, x + 1), offset (0, 0, 0) first; `unfold` makes the full array.
    """
    single = cell_energy_mev.ndim == 1
    energies = np.atleast_2d(np.asarray(cell_energy_mev, dtype=np.float64))
    weights = near_weights(spacing_mm)
    shape = tuple(half + 1 for half in half_width_kji)
    octant = np.zeros((len(energies), *shape))
    _add_far(octant, energies, weights.edges_mm, np.asarray(spacing_mm))
    near = tuple(min(count, size) for count, size in zip(weights.near_counts, shape, strict=True))
    kept = weights.weights[: near[0], : near[1], : near[2]]
    octant[:, : near[0], : near[1], : near[2]] = np.moveaxis(kept @ energies[:, : kept.shape[-1]].T, -1, 0)
    for energy in octant[:, : near[0], : near[1], : near[2]]:  # the far rule is symmetric as it stands
        _make_symmetric(energy, spacing_mm)
    return octant[0] if single else octant


def voxelised_source(cell_energy_mev: NDArray[np.float64], weights: NearWeights) -> NDArray[np.float64]:
    """Energy in the near voxels alone, shape (kernels, z, y, x): what decides how alike two media's kernels are."""
    near = np.atleast_2d(cell_energy_mev)[:, : weights.weights.shape[-1]]
    values: NDArray[np.float64] = np.moveaxis(weights.weights @ near.T, -1, 0)
    return values


def unfold(octant: NDArray[np.float64]) -> NDArray[np.float64]:
    """The full odd-sized array of an octant: mirrored about offset 0 on the last three axes."""
    full = octant
    for axis in (-3, -2, -1):
        mirrored = np.flip(np.take(full, np.arange(1, full.shape[axis]), axis=axis), axis=axis)
        full = np.concatenate([mirrored, full], axis=axis)
    return full


def _add_far(
    octant: NDArray[np.float64],
    cell_energy_mev: NDArray[np.float64],
    edges_mm: NDArray[np.float64],
    spacing_mm: NDArray[np.float64],
) -> None:
    """Fill the octant with the pair-averaged energy density times the voxel's volume; near voxels come later."""
    centre = 0.5 * (edges_mm[1:] + edges_mm[:-1])
    slope = cell_energy_mev / np.diff(edges_mm) / (4 * np.pi) * np.prod(spacing_mm)
    reach = _outer_radius(cell_energy_mev, edges_mm)
    axes = [np.arange(size) * spacing for size, spacing in zip(octant.shape[1:], spacing_mm[::-1], strict=True)]
    distance = np.sqrt(axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2)
    in_edges = distance / spacing_mm.max()
    flat = octant.reshape(len(octant), -1)
    within_reach = distance - np.linalg.norm(spacing_mm) < reach
    inner = 0.0
    for outer, points in _RULES:
        chosen = np.flatnonzero((in_edges >= inner) & (in_edges < outer) & within_reach)
        if points == 0:
            _take_density(flat, chosen, distance.ravel(), centre, slope)
        else:
            _average_density(flat, chosen, octant.shape[1:], points, centre, slope, spacing_mm)
        inner = outer


def _take_density(
    flat_octant: NDArray[np.float64],
    chosen: NDArray[np.int_],
    distance_mm: NDArray[np.float64],
    centre_mm: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> None:
    """slope(r)/r² at the distance of the voxels' centres, for offsets far away."""
    for start in range(0, len(chosen), _BLOCK_POINTS):
        part = chosen[start : start + _BLOCK_POINTS]
        radius = distance_mm[part]
        inverse_square = 1 / radius**2
        for kernel, values in enumerate(slope):
            flat_octant[kernel, part] = np.interp(radius, centre_mm, values) * inverse_square


def _outer_radius(cell_energy_mev: NDArray[np.float64], edges_mm: NDArray[np.float64]) -> float:
    """Radius beyond which no kernel deposits energy [mm]."""
    filled = np.nonzero(np.any(cell_energy_mev != 0, axis=0))[0]
    return float(edges_mm[filled[-1] + 1]) if len(filled) else 0.0


def _average_density(
    flat_octant: NDArray[np.float64],
    chosen: NDArray[np.int_],
    shape_kji: tuple[int, ...],
    points_per_half: int,
    centre_mm: NDArray[np.float64],
    slope: NDArray[np.float64],
    spacing_mm: NDArray[np.float64],
) -> None:
    """Average slope(r)/r² over the triangle-weighted differences of two voxels' points, for the chosen offsets."""
    node, weight = triangle_rule(points_per_half)
    grid_weight = (weight[:, None, None] * weight[:, None] * weight).ravel()
    shifts = [shift.ravel() for shift in np.meshgrid(node, node, node, indexing="ij")]
    block = max(1, _BLOCK_POINTS // len(grid_weight))
    for start in range(0, len(chosen), block):
        part = chosen[start : start + block]
        squared = np.zeros((len(part), len(grid_weight)))
        for index, shift, spacing in zip(np.unravel_index(part, shape_kji), shifts, spacing_mm[::-1], strict=True):
            squared += ((index[:, None] + shift) * spacing) ** 2
        np.maximum(squared, (1e-9 * spacing_mm.min()) ** 2, out=squared)
        radius = np.sqrt(squared)
        for kernel, values in enumerate(slope):
            flat_octant[kernel, part] = (np.interp(radius, centre_mm, values) / squared) @ grid_weight


def _make_symmetric(octant: NDArray[np.float64], spacing_mm: tuple[float, float, float]) -> None:
    """Average over the exchanges of axes with equal edges and counts: removes the rule's preference for one axis."""
    if len(set(spacing_mm)) == 1 and len(set(octant.shape)) == 1:
        octant[...] = (
            octant + octant.transpose(1, 0, 2) + octant.transpose(2, 1, 0) + octant.transpose(0, 2, 1)
            + octant.transpose(1, 2, 0) + octant.transpose(2, 0, 1)
        ) / 6  # fmt: skip
    elif spacing_mm[0] == spacing_mm[1] and octant.shape[1] == octant.shape[2]:
        octant[...] = 0.5 * (octant + octant.transpose(0, 2, 1))
