"""What holds for every voxel size, range and activity: energy, scaling, linearity, shift."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.media import MediaMap, named_material
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.convolution import multiple_vsv
from radiodosimetry.voxel_dose.convolution_settings import ConvolutionOptions
from radiodosimetry.voxel_dose.geometric_weights import near_weights
from radiodosimetry.voxel_dose.sources import EmissionSource
from radiodosimetry.voxel_dose.voxelisation import energy_per_cell, unfold, voxelise
from voxel_dose_samples import closed_form_provider, straight_tracks

EDGE = st.floats(1.0, 4.0)
LU_177 = EmissionSource.from_nuclide(Radionuclide("Lu-177"))
OPTIONS = ConvolutionOptions(point_kernels=closed_form_provider)


@settings(max_examples=8, deadline=None)
@given(spacing_mm=st.tuples(EDGE, EDGE, EDGE), range_in_edges=st.floats(0.01, 4.0))
def test_all_energy_is_in_the_kernel_whatever_voxel_and_range(spacing_mm, range_in_edges):
    range_mm = range_in_edges * min(spacing_mm)
    half_width = tuple(int(np.ceil(range_mm / step)) + 1 for step in spacing_mm[::-1])
    cells = energy_per_cell(straight_tracks(range_mm), near_weights(spacing_mm).edges_mm)
    octant = voxelise(cells, spacing_mm, half_width)
    assert unfold(octant).sum() == pytest.approx(1.0, rel=2e-3)
    assert np.all(octant >= 0)


@settings(max_examples=6, deadline=None)
@given(spacing_mm=st.tuples(EDGE, EDGE, EDGE), factor=st.floats(0.1, 10.0), range_mm=st.floats(0.1, 10.0))
def test_kernels_depend_on_ratios_of_lengths_alone(spacing_mm, factor, range_mm):
    larger = tuple(step * factor for step in spacing_mm)
    first, second = (
        voxelise(energy_per_cell(straight_tracks(length_mm), near_weights(edges_mm).edges_mm), edges_mm, (2, 2, 2))
        for length_mm, edges_mm in ((range_mm, spacing_mm), (range_mm * factor, larger))
    )
    assert second == pytest.approx(first, rel=2e-3, abs=1e-5)


@settings(max_examples=10, deadline=None)
@given(shift=st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), seed=st.integers(0, 1000))
def test_moving_the_activity_moves_the_dose(shift, seed):
    rng = np.random.default_rng(seed)
    geometry = VolumeGeometry((12, 12, 12), (3.0, 3.0, 4.0))
    media = MediaMap.homogeneous(named_material("soft-tissue"), geometry)
    blob = rng.random((4, 4, 4)) * 1e9
    doses = []
    for start in ((2, 2, 2), tuple(2 + step for step in shift)):
        array = np.zeros(geometry.shape_kji)
        array[start[0] : start[0] + 4, start[1] : start[1] + 4, start[2] : start[2] + 4] = blob
        tia = QuantitativeVolume(array, geometry, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
        doses.append(multiple_vsv(tia, media, LU_177, OPTIONS).array_kji)
    whole = doses[0][: 12 - shift[0], : 12 - shift[1], : 12 - shift[2]]
    moved = doses[1][shift[0] :, shift[1] :, shift[2] :]
    assert moved == pytest.approx(whole, rel=1e-6, abs=1e-9 * whole.max())
