"""Copies of an anatomy, turned, stretched and bent at random without folding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from ..errors import InputError
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap
from .canvas import Distortion
from .patient import Anatomy

AIR_HU = -1000.0

SMALLEST_JACOBIAN = 0.3
"""No place is squeezed further than this: the bending is weakened until that holds."""

_TURN_DEG = 4.0
_STRETCH = 0.06
_SHEAR = 0.03
_SHIFT_MM = 5.0
_BEND_MM = 5.0
_LARGEST_STRENGTH = 4.0
"""Standard deviations at strength 1: turns, logarithm of stretches, shears, shifts, bending."""


@dataclass(frozen=True, eq=False)
class Deformation:
    """From places of the deformed image to those of the original, about the middle of the grid.

    Attributes
    ----------
    matrix
        3 × 3, LPS.
    shift_mm
        Shift after it [mm], LPS.
    centre_mm
        The middle [mm], LPS.
    bending
        Smooth displacement [mm] of the deformed image's places, before the matrix.
    bending_factor
        What the displacement was multiplied with so that nothing folds.
    """

    matrix: NDArray[np.float64]
    shift_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    bending: Distortion
    bending_factor: float

    def original_mm(self, position_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Places [mm] of the original for places [mm] of the deformed image, x, y, z on the last axis."""
        bent = position_mm + self.bending_factor * self.bending.displacement_mm(position_mm)
        return np.asarray((bent - self.centre_mm) @ self.matrix.T + self.centre_mm + self.shift_mm)

    def jacobian(self, position_mm: NDArray[np.floating]) -> NDArray[np.float64]:
        """Volume of the original per volume of the deformed image at places [mm]: above 0 where nothing folds."""
        waves = self.bending
        slope = np.cos(np.tensordot(position_mm, waves.wave_vectors_per_mm, axes=(-1, 1)) + waves.phases)
        gradient = np.einsum("...w,wa,wb->...ab", slope, waves.amplitudes_mm, waves.wave_vectors_per_mm)
        return np.asarray(np.linalg.det(np.eye(3) + self.bending_factor * gradient) * np.linalg.det(self.matrix))


def draw_deformation(grid: VolumeGeometry, seed: int, strength: float = 1.0) -> Deformation:
    """A random deformation of a grid that folds nowhere.

    Parameters
    ----------
    grid
        Where it must not fold.
    seed
        Whole number not below zero.
    strength
        1 for the variety of adults, 0 for none, at most 4.

    Raises
    ------
    InputError
        Strength or seed cannot be used.
    """
    if not (math.isfinite(strength) and 0 <= strength <= _LARGEST_STRENGTH):
        raise InputError(
            f"The strength of a deformation must lie between 0 and {_LARGEST_STRENGTH:g}, found {strength}."
        )
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"The seed of a deformation must be a whole number from 0, found {seed!r}.")
    rng = np.random.default_rng(np.random.SeedSequence([int(seed), 0xDEF]))
    matrix = _matrix(rng, strength)
    shift_mm = strength * _SHIFT_MM * rng.standard_normal(3)
    bending = Distortion.draw(rng, _BEND_MM)
    corners_mm = grid.corners_lps_mm()
    whole = Deformation(matrix, shift_mm, corners_mm.mean(axis=0), bending, strength)
    # The Jacobian is smooth over the shortest wave (110 mm): a lattice of 16 mm finds its smallest value.
    lattice = np.stack(
        np.meshgrid(*(np.arange(a, b + 16, 16.0) for a, b in zip(corners_mm.min(0), corners_mm.max(0), strict=True))),
        -1,
    )
    while whole.bending_factor > 1e-6 and float(whole.jacobian(lattice).min()) < SMALLEST_JACOBIAN:
        whole = replace(whole, bending_factor=0.8 * whole.bending_factor)
    return whole


def deformed(anatomy: Anatomy, seed: int, strength: float = 1.0) -> Anatomy:
    """A copy, turned, stretched and bent at random; CT by straight lines between voxels, labels by the nearest.

    Parameters
    ----------
    anatomy
        The original.
    seed, strength
        As for `draw_deformation`.

    Returns
    -------
    Anatomy
        On the same grid, with the same source: it is the same patient wherever patients are split. Regions too small
        to keep a voxel are gone; what comes from outside of the grid is air. Its record keeps the smallest Jacobian
        and all of the original's parameters, the body's mass times the mean Jacobian's inverse.

    Raises
    ------
    InputError
        Strength or seed cannot be used.
    """
    grid = anatomy.ct.geometry
    change = draw_deformation(grid, seed, strength)
    ct_kji = np.empty(grid.shape_kji, dtype=np.float32)
    labels_kji = np.empty(grid.shape_kji, dtype=np.int32)
    to_ijk = grid.lps_to_ijk
    original_ct, original_labels = anatomy.ct.array_kji.astype(np.float32), anatomy.labels.array_kji
    smallest = math.inf
    for k in range(grid.shape_kji[0]):
        position_mm = _plane_mm(grid, k)
        smallest = min(smallest, float(change.jacobian(position_mm[::4, ::4]).min()))
        ijk = change.original_mm(position_mm) @ to_ijk[:3, :3].T + to_ijk[:3, 3]
        kji = np.moveaxis(ijk[..., ::-1], -1, 0)
        ct_kji[k] = map_coordinates(original_ct, kji, order=1, mode="constant", cval=AIR_HU, prefilter=False)
        labels_kji[k] = map_coordinates(original_labels, kji, order=0, mode="constant", cval=0, prefilter=False)
    present = set(np.unique(labels_kji).tolist())
    names = {label: name for label, name in anatomy.labels.names.items() if label in present}
    growth = 1 / float(np.linalg.det(change.matrix))
    record = anatomy.record.with_parameters(
        deformation={
            "seed": int(seed),
            "strength": float(strength),
            "bending_factor": change.bending_factor,
            "smallest_jacobian": smallest,
        },
        body_mass_kg=round(anatomy.body_mass_kg * growth, 2),
    )
    array = np.rint(ct_kji).astype(anatomy.ct.array_kji.dtype) if anatomy.ct.array_kji.dtype.kind == "i" else ct_kji
    return Anatomy(
        anatomy.ct.with_array(array, record=record),
        LabelMap(labels_kji, grid, names, record),
        anatomy.source,
        anatomy.sex,
        record,
    )


def _matrix(rng: np.random.Generator, strength: float) -> NDArray[np.float64]:
    """Turn, stretch and shear."""
    a, b, c = np.radians(strength * _TURN_DEG) * rng.standard_normal(3)
    about_x = np.array([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    about_y = np.array([[math.cos(b), 0, math.sin(b)], [0, 1, 0], [-math.sin(b), 0, math.cos(b)]])
    about_z = np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    stretch = np.diag(np.exp(np.clip(strength * _STRETCH * rng.standard_normal(3), -0.3, 0.3)))
    shear = np.eye(3) + np.triu(np.clip(strength * _SHEAR * rng.standard_normal((3, 3)), -0.15, 0.15), 1)
    return np.asarray(about_z @ about_y @ about_x @ stretch @ shear)


def _plane_mm(grid: VolumeGeometry, k: int) -> NDArray[np.float64]:
    """Positions of the voxels of a plane [mm], shape (j, i, 3)."""
    j, i = np.meshgrid(np.arange(grid.shape_kji[1]), np.arange(grid.shape_kji[2]), indexing="ij")
    ijk = np.stack([i, j, np.full_like(i, k)], axis=-1)
    return np.asarray(ijk @ grid.ijk_to_lps[:3, :3].T + grid.ijk_to_lps[:3, 3])
