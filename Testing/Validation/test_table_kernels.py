"""Kernels from radial tables against direct transport, the same physics by another way, down to voxels of 0.3 mm."""

from __future__ import annotations

import numpy as np
import pytest
from egsnrc_reference import VoxelReference, kernel_energies, simulated_energies, table_kernel

from radiodosimetry.nuclides.spectrum import ParticleSpectrum

TOLERANCE_PERCENT = 1.5
"""Interpolation of the tables in energy and radius."""

OFFSETS = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 0, 0)])


@pytest.mark.parametrize("medium", ["water", "lung", "bone"])
@pytest.mark.parametrize(
    ("particle", "energy_kev", "spacing_mm", "histories"),
    [
        ("electron", 133.0, 0.3, 60_000),
        ("electron", 600.0, 1.0, 60_000),
        ("electron", 935.0, 0.3, 60_000),
        ("electron", 2000.0, 1.0, 60_000),
        ("electron", 2000.0, 3.0, 60_000),
    ],
)
def test_electron_kernels_of_any_voxel_size_equal_transport(
    medium: str, particle: str, energy_kev: float, spacing_mm: float, histories: int
) -> None:
    spectrum = ParticleSpectrum(particle, np.array([energy_kev]), np.array([1.0]))
    case = VoxelReference("", medium, lambda: (spectrum,), spacing_mm=spacing_mm)
    tables = kernel_energies(table_kernel(case, 2), OFFSETS)
    direct = simulated_energies(case, OFFSETS, histories).folded
    percent = 100 * (tables.energy_mev / direct.energy_mev - 1)
    sigma_percent = 100 * direct.sigma_mev / direct.energy_mev
    near = slice(0, 2)
    assert np.all(np.abs(percent[near]) <= TOLERANCE_PERCENT + 2 * sigma_percent[near]), (percent, sigma_percent)
