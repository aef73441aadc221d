"""How the distance between two points spreads over the voxels around a source voxel.

Two points, one uniform in a source voxel, the other a fixed distance away in a random direction: which voxel holds
the second one? The answer depends on the voxel's shape alone. Everything else (nuclide, energy, medium) enters a
voxel kernel through the energy deposited per distance, which is why kernels for any voxel size need no simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

FARTHEST_RADIUS_MM = 1e6
"""Radial cells end here at the latest (1 km: photons in air); what lies beyond goes into the last cell."""

_FIRST_RADIUS = 1e-4
"""Inner end of the geometric cells, in the smallest voxel edge: W changes by less than 1e-4 below it."""

_NEAR_RATIO, _NEAR_STEP = 1.03, 1 / 40
"""Growth of the innermost cells, and the widest cell near the source in the smallest voxel edge."""

_FAR_RATIO = 1.01
"""Growth of the cells beyond the near voxels, where only the slope of the cumulative energy is used."""

_DIRECTIONS_PER_EDGE, _FEWEST_DIRECTIONS, _MOST_DIRECTIONS = 12, 16, 160
"""Polar (and azimuthal) angles of one octant: per smallest edge of distance, least and most."""

_NEAR_REACH, _MOST_NEAR = 1.5, 8
"""Near voxels reach this far in the largest edge, and no farther than this many voxels."""

_LEAST_NEAR = 3


@dataclass(frozen=True, eq=False)
class NearWeights:
    """Where a uniform source voxel's energy goes, for the voxels next to it.

    Attributes
    ----------
    edges_mm
        Edges of the radial cells, 1-D, from 0 far beyond the near voxels.
    weights
        Shape (z, y, x, near cells): the mean over the cell and over all directions of Π max(0, 1 − |r n_i/a_i − D_i|)
        for the offset D ≥ 0 of one octant; cells beyond the near voxels are left out, their weight is 0.
    """

    edges_mm: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def near_counts(self) -> tuple[int, int, int]:
        """Number of near voxels of the octant along z, y and x, the source voxel included."""
        counts = self.weights.shape
        return counts[0], counts[1], counts[2]


@lru_cache(maxsize=8)
def near_weights(spacing_mm: tuple[float, float, float]) -> NearWeights:
    """Geometric weights of the voxels next to a uniform source voxel.

    Parameters
    ----------
    spacing_mm
        Voxel edges along x, y, z [mm].

    Returns
    -------
    NearWeights
        Weights of one octant; the other seven are mirror images.

    Raises
    ------
    InputError
        An edge is not a positive finite number, or the longest is more than 50 times the shortest.

    Notes
    -----
    The integral over directions is a product of two Gauss–Legendre rules over one octant (cos θ and φ), the one over
    a cell has two Gauss–Legendre radii. Each point falls between eight voxels and is shared among them linearly, so
    that the weights of a distance add up to 1 whatever the number of points.
    """
    edges = np.asarray(spacing_mm, dtype=np.float64)
    if edges.shape != (3,) or not np.isfinite(edges).all() or edges.min() <= 0:
        raise InputError(f"Voxel sizes must be three positive numbers in mm, found {spacing_mm}.")
    if edges.max() > 50 * edges.min():
        raise InputError(f"Voxels up to 50 times as long as wide are supported, found {spacing_mm} mm; resample first.")
    near_count = np.clip(np.ceil(_NEAR_REACH * edges.max() / edges).astype(int), _LEAST_NEAR, _MOST_NEAR)
    near_radius = float(np.linalg.norm((near_count + 1) * edges))
    cell_edges, near_cell_count = _radial_cells(float(edges.min()), near_radius)
    counts_xyz = near_count + 2  # one more than kept: the outermost shares are incomplete
    weights = np.empty((near_cell_count, int(np.prod(counts_xyz))))
    for cell in range(near_cell_count):
        weights[cell] = _weights_of_cell(cell_edges[cell], cell_edges[cell + 1], edges, counts_xyz)
    folded = weights.reshape(near_cell_count, *counts_xyz[::-1]) * _octant_share(counts_xyz)
    kept = folded[:, : near_count[2] + 1, : near_count[1] + 1, : near_count[0] + 1]
    return NearWeights(cell_edges, np.ascontiguousarray(np.moveaxis(kept, 0, -1)))


def triangle_rule(points_per_half: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights of ∫_{−1}^{1} (1 − |t|) f(t) dt: Gauss–Legendre on either side of the kink; 0: midpoint."""
    if points_per_half == 0:
        return np.zeros(1), np.ones(1)
    node, weight = np.polynomial.legendre.leggauss(points_per_half)
    node, weight = 0.5 * (node + 1), 0.5 * weight
    right = weight * (1 - node)
    nodes, weights = np.concatenate([-node[::-1], node]), np.concatenate([right[::-1], right])
    return nodes, weights / weights.sum()


def _radial_cells(smallest_edge_mm: float, near_radius_mm: float) -> tuple[NDArray[np.float64], int]:
    """Edges of the radial cells from 0 outwards, and how many of them lie within the near radius."""
    radii = [0.0, _FIRST_RADIUS * smallest_edge_mm]
    while radii[-1] < near_radius_mm:
        widest_mm = _near_step(radii[-1] / smallest_edge_mm) * smallest_edge_mm
        radii.append(radii[-1] + min((_NEAR_RATIO - 1) * radii[-1], widest_mm))
    near_cell_count = len(radii) - 1
    far_count = max(2, int(np.ceil(np.log(FARTHEST_RADIUS_MM / radii[-1]) / np.log(_FAR_RATIO))))
    far = np.geomspace(radii[-1], max(FARTHEST_RADIUS_MM, 2 * radii[-1]), far_count + 1)[1:]
    return np.concatenate([radii, far]), near_cell_count


def _near_step(radius_in_edges: float) -> float:
    """Widest near cell [smallest edge]: fine within eight edges, coarser where only long voxels are still near."""
    return _NEAR_STEP if radius_in_edges < 8 else 2 * _NEAR_STEP


def _weights_of_cell(
    inner_mm: float, outer_mm: float, edges_mm: NDArray[np.float64], counts_xyz: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Shares of the octant's voxels (flattened z, y, x), averaged over the distances of one cell."""
    middle, half = 0.5 * (inner_mm + outer_mm), 0.5 * (outer_mm - inner_mm)
    total = np.zeros(int(np.prod(counts_xyz)))
    for radius in (middle - half / np.sqrt(3), middle + half / np.sqrt(3)):
        angle_count = int(np.clip(_DIRECTIONS_PER_EDGE * radius / edges_mm.min(), _FEWEST_DIRECTIONS, _MOST_DIRECTIONS))
        directions, direction_weights = _octant_directions(angle_count)
        total += 0.5 * _share_linearly(radius * directions / edges_mm[:, None], direction_weights, counts_xyz)
    return total


@lru_cache(maxsize=256)
def _octant_directions(angle_count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (3 × n, x y z ≥ 0) and weights (sum 1) of a product rule over one octant."""
    cosine, weight = np.polynomial.legendre.leggauss(angle_count)
    cosine, weight = 0.5 * (cosine + 1), 0.5 * weight
    azimuth = 0.5 * np.pi * cosine
    sine = np.sqrt(1 - cosine**2)
    directions = np.stack(
        [
            (sine[:, None] * np.cos(azimuth)).ravel(),
            (sine[:, None] * np.sin(azimuth)).ravel(),
            np.repeat(cosine, angle_count),
        ]
    )
    return directions, np.outer(weight, weight).ravel()


def _share_linearly(
    position: NDArray[np.float64], weight: NDArray[np.float64], counts_xyz: NDArray[np.int_]
) -> NDArray[np.float64]:
    """Share points at `position` (3 × n, in voxels) among the eight voxels around each; points outside are dropped."""
    inside = (position < (counts_xyz - 1)[:, None]).all(axis=0)
    position, weight = position[:, inside], weight[inside]
    low = position.astype(np.int64)
    fraction = position - low
    flat = (low[2] * counts_xyz[1] + low[1]) * counts_xyz[0] + low[0]
    shares = np.zeros(int(np.prod(counts_xyz)))
    for step_z in (0, 1):
        share_z = weight * (fraction[2] if step_z else 1 - fraction[2])
        for step_y in (0, 1):
            share_zy = share_z * (fraction[1] if step_y else 1 - fraction[1])
            offset = flat + (step_z * counts_xyz[1] + step_y) * counts_xyz[0]
            shares += np.bincount(offset, share_zy * (1 - fraction[0]), shares.size)
            shares += np.bincount(offset + 1, share_zy * fraction[0], shares.size)
    return shares


def _octant_share(counts_xyz: NDArray[np.int_]) -> NDArray[np.float64]:
    """Share of a voxel in a full sphere against one octant: 1/8, twice that for every axis on which it lies at 0."""
    per_axis = [np.where(np.arange(count) == 0, 1.0, 0.5) for count in counts_xyz]
    share: NDArray[np.float64] = per_axis[2][:, None, None] * per_axis[1][:, None] * per_axis[0]
    return share
