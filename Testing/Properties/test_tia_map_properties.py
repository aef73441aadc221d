"""Time-integrated activity maps over random curves: scale, clock, order of voxels, bounds by decay, quadrature."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.integrate import quad

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.time_activity.scans import Scan
from radiodosimetry.time_activity.voxelwise import TiaMap, TiaOptions, tia_map
from radiodosimetry.time_activity.voxelwise_bi import fit_bi
from radiodosimetry.time_activity.voxelwise_fit import fastest_rate_per_s, fit_mono
from radiodosimetry.time_activity.voxelwise_models import VoxelModel
from radiodosimetry.time_activity.voxelwise_trapezoid import trapezoid_weights
from radiodosimetry.units import Quantity

HOUR = 3600.0
DECAY_PER_S = np.log(2.0) / (6.647 * 86400.0)

METHODS = st.sampled_from(["trapezoid", "mono", "bi"])

gaps_h = st.lists(st.floats(1.0, 60.0), min_size=4, max_size=6)
"""Hours to the first scan and between scans."""


def values_of(count: int):
    """Non-negative activity of a few voxels at each scan, zeros and jumps among them."""
    cells = st.one_of(st.just(0.0), st.floats(1.0, 1e6))
    return hnp.arrays(np.float64, (count, 5), elements=cells).filter(lambda data: (data > 0).any(axis=1).all())


@st.composite
def series(draw):
    """Scan times [s] and curves (scans, voxels)."""
    times_s = np.cumsum(draw(gaps_h)) * HOUR
    return times_s, draw(values_of(times_s.size))


def made_of(times_s, data, method, decay=DECAY_PER_S, options=None) -> TiaMap:
    grid = VolumeGeometry((1, 1, data.shape[1]), (4.0, 4.0, 4.0))
    scans = [
        Scan(time_s, QuantitativeVolume(values.reshape(1, 1, -1), grid, Quantity.ACTIVITY_CONCENTRATION))
        for time_s, values in zip(times_s, data, strict=True)
    ]
    return tia_map(scans, decay, method, options or TiaOptions(noise_fraction=1e-3, threads=1))


@given(series(), METHODS)
@settings(max_examples=20)
def test_every_map_is_finite_not_negative_and_zero_only_where_there_is_no_activity(scans, method):
    times_s, data = scans
    made = made_of(times_s, data, method)
    tia = made.tia.array_kji.ravel()
    assert (tia >= 0).all()
    assert not tia[~data.any(axis=0)].any()
    assert ((made.model_map_kji.ravel() == VoxelModel.NONE) == ~data.any(axis=0)).all()
    assert (made.uncertainty.array_kji >= 0).all()


@given(series(), METHODS, st.sampled_from([2.0**-10, 8.0, 2.0**14]))
@settings(max_examples=15)
def test_maps_are_linear_in_activity(scans, method, factor):
    times_s, data = scans
    once, scaled = made_of(times_s, data, method), made_of(times_s, factor * data, method)
    # Powers of two round alike, so that even searches without a sharp optimum take the same way.
    np.testing.assert_array_equal(scaled.model_map_kji, once.model_map_kji)
    np.testing.assert_allclose(scaled.tia.array_kji, factor * once.tia.array_kji, rtol=1e-12)
    np.testing.assert_allclose(scaled.uncertainty.array_kji, once.uncertainty.array_kji, rtol=1e-6)


@given(series(), st.floats(0.2, 5.0))
@settings(max_examples=15)
def test_a_stretched_clock_stretches_the_integral(scans, factor):
    times_s, data = scans
    data = data[:, data.any(axis=0)]
    if data.shape[1] == 0:
        return
    once = fit_mono(times_s, data, DECAY_PER_S)
    stretched = fit_mono(factor * times_s, data, DECAY_PER_S / factor)
    both = once.valid & stretched.valid
    np.testing.assert_allclose(stretched.integrals[both], factor * once.integrals[both], rtol=1e-6)


@given(series())
@settings(max_examples=15)
def test_rates_stay_within_physical_decay_and_what_scans_resolve_and_integrals_are_those_of_the_curves(scans):
    times_s, data = scans
    data = data[:, data.any(axis=0)]
    for fits in (fit_mono(times_s, data, DECAY_PER_S), fit_bi(times_s, data, DECAY_PER_S)):
        assert (fits.rates_per_s >= DECAY_PER_S * (1 - 1e-12)).all()
        for voxel in np.flatnonzero(fits.valid)[:2]:
            amplitudes, rates = fits.amplitudes[:, voxel], fits.rates_per_s[:, voxel]
            reach = 40 / rates.min()
            points = np.log(np.linspace(1, 9, 4)) / rates.max()
            numeric, _ = quad(lambda t, a=amplitudes, r=rates: a @ np.exp(-r * t), 0, reach, points=points, limit=400)
            np.testing.assert_allclose(
                fits.integrals[voxel], numeric, rtol=1e-6, atol=1e-9 * np.abs(amplitudes / rates).sum()
            )


@given(series())
@settings(max_examples=15)
def test_a_mono_fit_leaves_no_more_than_any_rate_of_a_fine_grid(scans):
    times_s, data = scans
    data = data[:, data.any(axis=0)]
    fits = fit_mono(times_s, data, DECAY_PER_S)
    # Faster rates than these are none of its choice.
    resolved_s = max(times_s[0], times_s[1] - times_s[0])
    for rate in np.geomspace(DECAY_PER_S, fastest_rate_per_s(resolved_s, times_s[-1], DECAY_PER_S), 60):
        shape = np.exp(-rate * times_s)
        residual = data - np.outer(shape, shape @ data / (shape @ shape))
        rounding = 1e-12 * (data**2).sum(axis=0)
        found, other = fits.residual_squares, (residual**2).sum(axis=0)
        assert (found <= other + rounding)[~fits.at_fastest].all()


@given(series(), METHODS, st.randoms(use_true_random=False))
@settings(max_examples=10)
def test_the_order_of_voxels_does_not_matter(scans, method, random):
    times_s, data = scans
    order = list(range(data.shape[1]))
    random.shuffle(order)
    once, shuffled = made_of(times_s, data, method), made_of(times_s, data[:, order], method)
    np.testing.assert_allclose(shuffled.tia.array_kji.ravel(), once.tia.array_kji.ravel()[order], rtol=1e-9)


@given(gaps_h, st.sampled_from(["zero", "constant"]))
def test_trapezoid_weights_add_up_to_the_time_they_cover(gaps, start):
    times_s = np.cumsum(gaps) * HOUR
    covered = times_s[-1] - (0.5 * times_s[0] if start == "zero" else 0.0)
    np.testing.assert_allclose(trapezoid_weights(times_s, start).sum(), covered, rtol=1e-12)
