"""Resampling over random grids: totals, volumes and constants."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.images import LabelMap, QuantitativeVolume, VolumeGeometry, resample_activity, resample_labels
from radiodosimetry.images import total_activity as total
from radiodosimetry.units import Quantity

SOURCE = VolumeGeometry((6, 7, 8), (3.0, 4.0, 5.0), (-17.5, -12.0, -7.5))


def covering_grid(spacing: tuple[float, float, float], angles: tuple[float, float, float]) -> VolumeGeometry:
    direction = np.array(sitk.Euler3DTransform((0, 0, 0), *angles).GetMatrix()).reshape(3, 3)
    shape = tuple(int(np.ceil(75 / step)) for step in spacing[::-1])
    origin = direction @ (-np.array(shape[::-1]) * spacing / 2)
    return VolumeGeometry(shape, spacing, tuple(origin), direction)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    spacing=st.tuples(*[st.floats(2, 12)] * 3),
    angles=st.one_of(st.just((0.0, 0.0, 0.0)), st.tuples(*[st.floats(-1.5, 1.5)] * 3)),
    seed=st.integers(0, 1000),
)
def test_any_covering_grid_conserves_the_total(
    spacing: tuple[float, float, float], angles: tuple[float, float, float], seed: int
) -> None:
    values = np.random.default_rng(seed).random(SOURCE.shape_kji)
    activity = QuantitativeVolume(values, SOURCE, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    new = resample_activity(activity, covering_grid(spacing, angles))
    assert total(new) == pytest.approx(total(activity), rel=1e-5)
    assert new.array_kji.min() >= 0


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    spacing=st.tuples(*[st.floats(1, 4)] * 3), angles=st.tuples(*[st.floats(-1.5, 1.5)] * 3), seed=st.integers(0, 1000)
)
def test_labels_keep_their_volume_to_a_voxel_or_a_tenth(
    spacing: tuple[float, float, float], angles: tuple[float, float, float], seed: int
) -> None:
    low = np.random.default_rng(seed).integers(1, 3, 3)
    labels = np.zeros(SOURCE.shape_kji, int)
    labels[low[0] : 5, low[1] : 6, low[2] : 7] = 4
    label_map = LabelMap(labels, SOURCE, {4: "liver"})
    new = resample_labels(label_map, covering_grid(spacing, angles))
    before = label_map.mask("liver").sum() * SOURCE.voxel_volume_ml
    after = new.mask("liver").sum() * new.geometry.voxel_volume_ml
    assert abs(after - before) <= max(new.geometry.voxel_volume_ml, 0.1 * before)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(factor=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_resampling_is_linear_in_the_activity(factor: float, seed: int) -> None:
    values = np.random.default_rng(seed).random(SOURCE.shape_kji)
    grid = covering_grid((4.0, 5.0, 6.0), (0.0, 0.0, 0.0))
    once = QuantitativeVolume(values, SOURCE, Quantity.ACTIVITY_CONCENTRATION)
    scaled = once.with_array(values * factor)
    np.testing.assert_allclose(
        resample_activity(scaled, grid).array_kji, factor * resample_activity(once, grid).array_kji, rtol=1e-12
    )
