"""Scattered photons that a gamma camera counts: one Compton scattering, from first principles, as a convolution.

In the frame of the camera the photons that scatter once towards the detector form an effective source: activity
convolved with (attenuation in water along the way to the scattering) × (Klein-Nishina, bound electrons, towards the
detector) × (share of the scattered energy that the window counts), times the density of electrons where they scatter.
That source is then attenuated and blurred as any other (the idea of Frey and Tsui's effective source scatter, with a
kernel computed here instead of tabulated by Monte Carlo).

What this leaves out: second and higher scatterings (about a fifth of the scatter in a photopeak window, more in the
lower window), other lines of the nuclide scattering down, backscatter from behind the crystal, and the patient's
heterogeneity between emission and scattering.

References
----------
.. [1] Frey, Tsui, IEEE Nuclear Science Symposium 1996, 1082, DOI 10.1109/NSSMIC.1996.591559.
.. [2] Klein, Nishina, Z Phys 52 (1929) 853, DOI 10.1007/BF01366453.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import zoom

from ..media import named_material, photon_table
from ..media.photons import PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM
from ..units import ELECTRON_REST_ENERGY_KEV
from .gamma_camera import window_share
from .rotating_camera import Blur, CameraGrid, RotatingCamera

Floats = NDArray[np.float32]
Window = tuple[float, float]

COARSE_MM = 8.0
"""Voxel side on which scatter is computed; it holds no finer detail."""

MOST_ANGLES = 24
"""Angles at which scatter is computed; between them it is interpolated."""

_SUBSAMPLES, _CENTRAL_SUBSAMPLES = 3, 16


def scatter_projections(
    activity: Floats,
    attenuation_per_mm: Floats,
    scattering: Floats,
    grid: CameraGrid,
    angles_rad: NDArray[np.float64],
    radii_mm: NDArray[np.float64],
    blur: Blur,
    energy_kev: float,
    windows_kev: Sequence[Window],
) -> list[Floats]:
    """Scattered photons per window, in the unit in which `RotatingCamera.forward` gives the unscattered ones.

    Parameters
    ----------
    activity
        Photons emitted per voxel, shape (x, y, z).
    attenuation_per_mm, scattering
        As `attenuation.PhotonMap` has them, shape (x, y, z).
    grid, angles_rad, radii_mm, blur
        The camera.
    energy_kev
        Energy of the line [keV].
    windows_kev
        Limits of the windows [keV].

    Returns
    -------
    list of array
        Per window the projections (angle, side, z), counted with the window's share of the scattered energies.
    """
    factor = max(1, round(COARSE_MM / grid.pixel_mm))
    coarse = grid.coarser(factor)
    step = max(1, len(angles_rad) // MOST_ANGLES)
    camera = RotatingCamera(coarse, angles_rad[::step], _blocks(attenuation_per_mm, factor), blur, radii_mm[::step])
    emitted, electrons = _blocks(activity, factor) * np.float32(factor**3), _blocks(scattering, factor)
    size = [fft.next_fast_len(2 * count - 1, real=True) for count in emitted.shape]
    kernels = [_transformed_kernel(coarse, energy_kev, window, tuple(size)) for window in windows_kev]
    found: list[list[Floats]] = [[] for _ in windows_kev]
    for number in range(len(camera.angles_rad)):
        transformed = fft.rfftn(camera.turned(emitted, number).numpy(), size)
        turned_electrons = camera.turned(electrons, number)
        for rows, kernel in zip(found, kernels, strict=True):
            source = fft.irfftn(transformed * kernel, size)[tuple(slice(count) for count in emitted.shape)]
            scattered = turned_electrons * _tensor(np.maximum(source, 0).astype(np.float32))
            rows.append(camera.project_turned(scattered, number).numpy())
    return [_refined(np.stack(rows), grid, factor, step, len(angles_rad)) for rows in found]


def scatter_kernel(grid: CameraGrid, energy_kev: float, window_kev: Window) -> NDArray[np.float64]:
    """Effective scatter source around one photon emitted, detector ahead along the first axis.

    Returns
    -------
    array
        Shape (2 width − 1, 2 width − 1, 2 slices − 1), the emitting voxel in the middle: photons that appear to be
        emitted by each voxel of water, weighted with the window's share.
    """
    counts = (grid.width, grid.width, grid.slices)
    sides = (grid.pixel_mm, grid.pixel_mm, grid.slice_mm)
    axes = [np.arange(-(count - 1), count) * side for count, side in zip(counts, sides, strict=True)]
    kernel = np.zeros([len(axis) for axis in axes])
    offsets = [_midpoints(_SUBSAMPLES) * side for side in sides]
    for shift_x in offsets[0]:
        for shift_y in offsets[1]:
            for shift_z in offsets[2]:
                shifted = (axes[0] + shift_x, axes[1] + shift_y, axes[2] + shift_z)
                kernel += _single_scatter(shifted, energy_kev, window_kev)
    kernel /= _SUBSAMPLES**3
    fine = tuple(_midpoints(_CENTRAL_SUBSAMPLES) * side for side in sides)
    kernel[tuple(count - 1 for count in counts)] = _single_scatter(fine, energy_kev, window_kev).mean()
    return np.asarray(kernel * np.prod(sides))


@lru_cache(maxsize=8)
def _transformed_kernel(
    grid: CameraGrid, energy_kev: float, window_kev: Window, size: tuple[int, ...]
) -> NDArray[np.complex64]:
    kernel = scatter_kernel(grid, energy_kev, window_kev)
    padded = np.zeros(size, np.float32)
    padded[tuple(slice(count) for count in kernel.shape)] = kernel
    middle = [-(count // 2) for count in kernel.shape]
    return np.asarray(fft.rfftn(np.roll(padded, middle, (0, 1, 2))))


def _single_scatter(
    axes_mm: tuple[NDArray[np.float64], ...], energy_kev: float, window_kev: Window
) -> NDArray[np.float64]:
    """Scattering towards the detector per volume [1/mm³] at offsets from the emission [mm]."""
    x, y, z = np.meshgrid(*axes_mm, indexing="ij", sparse=True)
    square = np.maximum(x**2 + y**2 + z**2, 1e-6)
    distance = np.sqrt(square)
    cosines = np.linspace(-1, 1, 2001)
    table = photon_table(named_material("water"))
    attenuation = 0.1 * float(table.at("total", energy_kev) - table.at("coherent", energy_kev))
    towards = np.interp(x / distance, cosines, _towards_detector(cosines, energy_kev, window_kev))
    return np.asarray(np.exp(-attenuation * distance) / square * towards)


def _towards_detector(cosines: NDArray[np.float64], energy_kev: float, window_kev: Window) -> NDArray[np.float64]:
    """Incoherent scattering of water per length and solid angle [1/(mm sr)] times the share the window counts."""
    table = photon_table(named_material("water"))
    ratio = 1 / (1 + energy_kev / ELECTRON_REST_ENERGY_KEV * (1 - cosines))
    transfer = energy_kev / PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM * np.sqrt((1 - cosines) / 2)
    bound = np.interp(transfer, table.momentum_transfer_per_angstrom, table.incoherent_scattering_function)
    density = ratio**2 * (ratio + 1 / ratio - 1 + cosines**2) * bound
    density /= 2 * np.pi * np.trapezoid(density, cosines)
    per_mm = 0.1 * float(table.at("incoherent", energy_kev))
    return np.asarray(per_mm * density * window_share(energy_kev * ratio, window_kev))


def _midpoints(count: int) -> NDArray[np.float64]:
    return (np.arange(count) + 0.5) / count - 0.5


def _blocks(volume: Floats, factor: int) -> Floats:
    """Means of blocks of `factor`³ voxels, zeros beyond the edge."""
    missing = [(0, -count % factor) for count in volume.shape]
    padded = np.pad(volume, missing)
    x, y, z = (count // factor for count in padded.shape)
    return np.asarray(padded.reshape(x, factor, y, factor, z, factor).mean(axis=(1, 3, 5)), dtype=np.float32)


def _refined(coarse: Floats, grid: CameraGrid, factor: int, step: int, angles: int) -> Floats:
    """Coarse projections on the fine pixels, and at all angles."""
    fine = coarse if factor == 1 else zoom(coarse, (1, factor, factor), order=1, mode="nearest", grid_mode=True)
    fine = np.maximum(fine[:, : grid.width, : grid.slices], 0) / factor**2
    if step == 1:
        return np.asarray(fine, dtype=np.float32)
    position = np.arange(angles) / step
    before = np.minimum(position.astype(np.int64), len(fine) - 1)
    last_gap = angles - (len(fine) - 1) * step
    share = np.where(before == len(fine) - 1, (np.arange(angles) - before * step) / last_gap, position - before)
    share = share.astype(np.float32)[:, None, None]
    return np.asarray((1 - share) * fine[before] + share * fine[(before + 1) % len(fine)], dtype=np.float32)


def _tensor(values: Floats) -> object:
    import torch

    return torch.from_numpy(values)
