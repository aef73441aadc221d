"""Time-integrated activity voxel by voxel: closed forms, scipy on the same voxels, fallbacks, and what is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy.optimize import curve_fit

from radiodosimetry.errors import CancelledError, GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.resampling import total_activity
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.time_activity.scans import Scan, ordered_scans
from radiodosimetry.time_activity.voxelwise import LARGEST_RELATIVE_STD, TiaOptions, residual_degrees, tia_map
from radiodosimetry.time_activity.voxelwise_models import LEGEND, VoxelModel
from radiodosimetry.time_activity.voxelwise_trapezoid import trapezoid_weights, trapezoids
from radiodosimetry.units import Quantity

HOUR = 3600.0
DECAY_PER_S = np.log(2.0) / (6.647 * 86400.0)
"""Of Lu-177."""

TIMES_H = np.array([4.0, 24.0, 72.0, 120.0])
SPACING = (4.0, 4.0, 5.0)

CHALLENGE_TIMES_H = np.array([3.741, 27.725, 103.094, 123.984])
"""SNMMI 2021 dosimetry challenge, patient 4 (Lu-177 DOTATATE)."""

CHALLENGE = {
    "left kidney": ([98.56, 73.60, 25.40, 19.05], (108.742, 0.014081, 0.8454), 7593.75, 0.43),
    "liver": ([378.47, 347.40, 192.66, 173.23], (426.698, 0.0074762, 0.6576), 56425.3, 0.30),
}
"""Activity [MBq] at the scans, fit A (e^(−λ₁t) − e^(−λ₂t)) [MBq, 1/h], TIA [MBq h], excess of a physical tail."""


def scans_of(curves_sv: np.ndarray, times_h=TIMES_H, shape=None, **geometry) -> list[Scan]:
    """Scans of voxels in a row from values (scans, voxels)."""
    shape = shape or (1, 1, curves_sv.shape[1])
    grid = VolumeGeometry(shape, geometry.pop("spacing_mm", SPACING), **geometry)
    return [
        Scan(time_h * HOUR, QuantitativeVolume(values.reshape(shape), grid, Quantity.ACTIVITY_CONCENTRATION))
        for time_h, values in zip(times_h, curves_sv, strict=True)
    ]


def exponentials(times_h, amplitudes, rates_per_h) -> np.ndarray:
    """Sum over terms of A e^(−λt), shape (times, voxels)."""
    exponents = -np.asarray(times_h)[:, None, None] * np.asarray(rates_per_h)
    return (np.asarray(amplitudes) * np.exp(exponents)).sum(axis=1)


def mono_voxels(rng, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random mono-exponentials well faster than decay, with half-lives down to twelve hours."""
    rates = np.exp(rng.uniform(np.log(1.5 * DECAY_PER_S * HOUR), np.log(0.06), count))
    amplitudes = np.exp(rng.uniform(np.log(1e3), np.log(1e7), count))
    return exponentials(TIMES_H, amplitudes[None], rates[None]), amplitudes, rates


@dataclass(frozen=True)
class OrganFit:
    """A fit as `organ-shape` needs it."""

    amplitude_bq: float
    rate_per_s: float
    tia_std_bq_s: float | None = None

    @property
    def tia_bq_s(self) -> float:
        return self.amplitude_bq / self.rate_per_s

    def value(self, times_s):
        return self.amplitude_bq * np.exp(-self.rate_per_s * np.asarray(times_s))


def test_noise_free_mono_exponentials_come_back_to_eight_digits(rng):
    data, amplitudes, rates = mono_voxels(rng, 5000)
    made = tia_map(scans_of(data), DECAY_PER_S, "mono")
    np.testing.assert_allclose(made.tia.array_kji.ravel(), amplitudes / rates * HOUR, rtol=1e-8)
    assert set(np.unique(made.model_map_kji)) == {VoxelModel.MONO_EXPONENTIAL}
    assert made.tia.quantity is Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
    assert made.uncertainty.array_kji.max() < 1e-6


@pytest.mark.parametrize("times_h", [(1.0, 4.0, 24.0, 96.0), (1.0, 4.0, 24.0, 48.0, 96.0, 168.0)])
def test_noise_free_bi_exponentials_come_back_to_six_digits(rng, times_h):
    count = 3000
    slow = rng.uniform(1.1, 3.0, count) * DECAY_PER_S * HOUR
    rates = np.stack([slow, slow * rng.uniform(6.0, 15.0, count)])
    first = rng.uniform(1e3, 1e6, count)
    amplitudes = np.stack([first, first * np.where(rng.random(count) < 0.5, 1.0, -1.0) * rng.uniform(0.3, 0.95, count)])
    made = tia_map(scans_of(exponentials(times_h, amplitudes, rates), times_h), DECAY_PER_S, "bi")
    bi = made.model_map_kji.ravel() == VoxelModel.BI_EXPONENTIAL
    assert bi.mean() > 0.99
    expected = (amplitudes / rates).sum(axis=0) * HOUR
    np.testing.assert_allclose(made.tia.array_kji.ravel()[bi], expected[bi], rtol=1e-6)


def test_bi_recovers_uptake_from_nothing_where_free_amplitudes_overshoot(rng):
    amplitudes, slow, fast = rng.uniform(1e3, 1e6, 500), rng.uniform(0.005, 0.02, 500), rng.uniform(0.15, 0.5, 500)
    data = exponentials((1, 4, 24, 96), np.stack([amplitudes, -amplitudes]), np.stack([slow, fast]))
    made = tia_map(scans_of(data, (1, 4, 24, 96)), DECAY_PER_S, "bi")
    np.testing.assert_allclose(made.tia.array_kji.ravel(), amplitudes * (1 / slow - 1 / fast) * HOUR, rtol=1e-6)
    assert set(np.unique(made.model_map_kji)) <= {VoxelModel.BI_EXPONENTIAL, VoxelModel.UPTAKE_CLEARANCE}


def test_bi_takes_mono_exponentials_for_what_they_are(rng):
    data, amplitudes, rates = mono_voxels(rng, 500)
    made = tia_map(scans_of(data), DECAY_PER_S, "bi")
    # A second term of next to nothing has no rate to be found: the search ends where the residuals gain no more.
    np.testing.assert_allclose(made.tia.array_kji.ravel(), amplitudes / rates * HOUR, rtol=1e-4)


def test_noisy_mono_exponentials_agree_with_curve_fit_on_the_same_voxels(rng):
    clean, _, _ = mono_voxels(rng, 200)
    data = np.maximum(clean * (1 + 0.08 * rng.normal(size=clean.shape)), 0)
    made = tia_map(scans_of(data), DECAY_PER_S, "mono")
    integrals, stds = [], []
    for voxel in data.T:
        (a, rate), covariance = curve_fit(
            lambda t, a, rate: a * np.exp(-rate * t), TIMES_H, voxel, p0=(voxel[0], 0.02), xtol=1e-12, ftol=1e-12
        )
        gradient = np.array([1 / rate, -a / rate**2])
        integrals.append(a / rate * HOUR)
        stds.append(np.sqrt(gradient @ covariance @ gradient) * HOUR)
    free = made.model_map_kji.ravel() == VoxelModel.MONO_EXPONENTIAL
    assert free.mean() > 0.9
    np.testing.assert_allclose(made.tia.array_kji.ravel()[free], np.array(integrals)[free], rtol=1e-6)
    ours = (made.uncertainty.array_kji * made.tia.array_kji).ravel()[free]
    # One voxel's own scatter of two degrees of freedom is steadied by its neighbours in activity: the same on average.
    assert np.median(ours / np.array(stds)[free]) == pytest.approx(np.sqrt(1 / (2 * np.log(2) / 2)), rel=0.25)


def test_noisy_voxels_are_unbiased_and_their_uncertainty_covers_the_truth(rng):
    count, amplitude, rate = 20000, 1e5, 0.012
    clean = exponentials(TIMES_H, np.full((1, count), amplitude), np.full((1, count), rate))
    made = tia_map(scans_of(clean + 2000 * rng.normal(size=clean.shape)), DECAY_PER_S, "mono")
    truth = amplitude / rate * HOUR
    deviation = made.tia.array_kji.ravel() / truth - 1
    spread = made.uncertainty.array_kji.ravel()
    # The nonlinearity of the fit leaves a bias of second order in the noise, here below a thirtieth of its spread.
    assert abs(deviation.mean()) < deviation.std() / 30 + 4 * deviation.std() / np.sqrt(count)
    assert np.sqrt(np.mean(spread**2)) == pytest.approx(deviation.std(), rel=0.03)
    assert np.mean(np.abs(deviation) < spread) == pytest.approx(0.683, abs=0.02)


def test_stated_noise_gives_the_uncertainty_that_repeated_scans_show(rng):
    clean = exponentials((1, 4, 24, 96), [[1e5], [6e4]], [[0.008], [0.12]])
    data = np.repeat(clean, 4000, axis=1) * (1 + 0.002 * rng.normal(size=(4, 4000)))
    made = tia_map(scans_of(data, (1, 4, 24, 96)), DECAY_PER_S, "bi", TiaOptions(noise_fraction=0.002))
    bi = made.model_map_kji.ravel() == VoxelModel.BI_EXPONENTIAL
    assert bi.mean() > 0.95
    low, middle, high = np.quantile(made.tia.array_kji.ravel()[bi], [0.1587, 0.5, 0.8413])
    truth = (1e5 / 0.008 + 6e4 / 0.12) * HOUR
    spread = (high - low) / 2
    # As many parameters as scans: the estimate is skewed, to second order in the noise.
    assert abs(middle - truth) < spread / 10
    assert np.median(made.uncertainty.array_kji.ravel()[bi]) == pytest.approx(spread / truth, rel=0.05)


@pytest.mark.parametrize(("method", "count"), [("bi", 4), ("trapezoid", 3)])
def test_methods_without_residuals_take_their_noise_from_simpler_curves_and_say_so(rng, method, count):
    clean = exponentials(TIMES_H[:count], np.full((1, 3000), 1e5), np.full((1, 3000), 0.0055))
    scans = scans_of(clean * (1 + 0.02 * rng.normal(size=clean.shape)), TIMES_H[:count])
    told = tia_map(scans, DECAY_PER_S, method)
    stated = tia_map(scans, DECAY_PER_S, method, TiaOptions(noise_fraction=0.02))
    same = told.model_map_kji == stated.model_map_kji
    # A curve that may rise first takes up some of the noise of what does not; noise of later, lower scans is less than
    # the one variance that is told for all scans of a voxel.
    assert 0.7 < np.median(told.uncertainty.array_kji[same] / stated.uncertainty.array_kji[same]) < 1.4
    assert "simpler curves" in told.record.parameters["uncertainty"]
    assert any("simpler curves" in warning for warning in told.record.warnings)
    assert not any("simpler curves" in warning for warning in stated.record.warnings)


def test_a_noise_of_simpler_curves_takes_no_voxel_from_its_model(rng):
    times_h = TIMES_H
    curves = exponentials(times_h, np.array([[1e5] * 50, [9e5] * 50]), np.array([[0.006] * 50, [0.2] * 50]))
    made = tia_map(scans_of(curves, times_h), DECAY_PER_S, "bi")
    assert (made.model_map_kji == VoxelModel.BI_EXPONENTIAL).all()
    assert made.uncertainty is not None
    assert made.uncertainty.array_kji.min() > 0


@pytest.mark.parametrize("name", CHALLENGE)
def test_a_physical_tail_overstates_the_challenge_patient_as_published(name):
    values, _, tia_mbq_h, overstatement = CHALLENGE[name]
    scans = scans_of(np.array(values)[:, None], CHALLENGE_TIMES_H)
    made = tia_map(scans, DECAY_PER_S, "trapezoid", TiaOptions(tail="physical"))
    assert made.tia.array_kji.item() / HOUR / tia_mbq_h - 1 == pytest.approx(overstatement, abs=0.005)
    assert any("physical decay alone" in warning for warning in made.record.warnings)
    fitted = tia_map(scans, DECAY_PER_S, "trapezoid")
    assert fitted.tia.array_kji.item() / HOUR == pytest.approx(tia_mbq_h, rel=0.03)


def test_trapezoid_with_physical_tail_is_the_formula_of_kim_2022():
    data = np.array([[5.0], [8.0], [4.0], [1.0]])
    expected = 0.5 * 4 * 5 + 0.5 * 20 * 13 + 0.5 * 48 * 12 + 0.5 * 48 * 5 + 1 / (DECAY_PER_S * HOUR)
    made = tia_map(scans_of(data), DECAY_PER_S, "trapezoid", TiaOptions(tail="physical"))
    assert made.tia.array_kji.item() / HOUR == pytest.approx(expected, rel=1e-12)
    constant = tia_map(scans_of(data), DECAY_PER_S, "trapezoid", TiaOptions(tail="physical", start="constant"))
    assert constant.tia.array_kji.item() / HOUR == pytest.approx(expected + 0.5 * 4 * 5, rel=1e-12)


def test_trapezoid_weights_integrate_straight_lines_exactly():
    times = np.array([0.0, 1.0, 5.0, 7.0])
    assert trapezoid_weights(times) @ (3 * times + 2) == pytest.approx(1.5 * 49 + 14)


def test_a_tail_that_falls_no_faster_than_decay_is_physical_and_said_so():
    data = np.array([[1.0, 9.0], [2.0, 8.0], [3.0, 6.0], [4.0, 4.0]]) * 1e4
    made = tia_map(scans_of(data), DECAY_PER_S, "trapezoid", TiaOptions(noise_fraction=0.01))
    assert made.model_map_kji.ravel().tolist() == [
        VoxelModel.TRAPEZOID_PHYSICAL_TAIL, VoxelModel.TRAPEZOID_FITTED_TAIL
    ]  # fmt: skip
    physical = tia_map(scans_of(data), DECAY_PER_S, "trapezoid", TiaOptions(tail="physical"))
    assert made.tia.array_kji.ravel()[0] == physical.tia.array_kji.ravel()[0]
    assert any("physical decay was assumed after their last scan" in warning for warning in made.record.warnings)


def test_rising_voxels_of_a_mono_map_fall_back_to_trapezoids():
    data = np.array([[1.0, 9.0], [2.0, 8.0], [3.0, 6.0], [4.0, 4.0]]) * 1e4
    made = tia_map(scans_of(data), DECAY_PER_S, "mono")
    assert made.model_map_kji.ravel()[0] == VoxelModel.TRAPEZOID_PHYSICAL_TAIL
    expected = trapezoids(TIMES_H * HOUR, data[:, :1], DECAY_PER_S, "physical").integrals[0]
    assert made.tia.array_kji.ravel()[0] == pytest.approx(expected)


def test_no_voxel_clears_slower_than_decay(rng):
    slow = exponentials(TIMES_H, np.full((1, 50), 1e5), rng.uniform(0.1, 0.9, (1, 50)) * DECAY_PER_S * HOUR)
    made = tia_map(scans_of(slow), DECAY_PER_S, "mono")
    assert set(np.unique(made.model_map_kji)) == {VoxelModel.MONO_PHYSICAL}
    decay = np.exp(-DECAY_PER_S * HOUR * TIMES_H)
    np.testing.assert_allclose(made.tia.array_kji.ravel(), decay @ slow / (decay @ decay) / DECAY_PER_S, rtol=1e-9)


def test_voxels_too_noisy_for_a_fit_take_the_shape_of_their_sum_and_keep_its_total(rng):
    strong = exponentials(TIMES_H, np.full((1, 3000), 1e5), np.full((1, 3000), 0.012))
    weak = exponentials(TIMES_H, np.full((1, 3000), 1e3), np.full((1, 3000), 0.02))
    noise = rng.normal(size=(4, 6000)) * np.repeat([1000.0, 600.0], 3000)
    made = tia_map(scans_of(np.concatenate([strong, weak], axis=1) + noise), DECAY_PER_S, "mono")
    pooled = made.model_map_kji.ravel() == VoxelModel.POOLED_SHAPE
    assert pooled[3000:].mean() > 0.5
    assert not pooled[:3000].any()
    curve = np.array(made.record.parameters["pooled_curve_mean_bq_per_ml"])
    together = tia_map(scans_of(curve[:, None]), DECAY_PER_S, "mono").tia.array_kji.item()
    assert made.tia.array_kji.ravel()[pooled].mean() == pytest.approx(together, rel=1e-9)
    assert made.record.parameters["pooled_voxels"] == pooled.sum()


def test_certain_voxels_are_within_the_stated_limit(rng):
    clean, _, _ = mono_voxels(rng, 3000)
    made = tia_map(scans_of(np.maximum(clean + 3000 * rng.normal(size=clean.shape), 0)), DECAY_PER_S, "mono")
    own = np.isin(made.model_map_kji, (VoxelModel.MONO_EXPONENTIAL, VoxelModel.MONO_PHYSICAL))
    assert 0.3 < own.mean() < 1
    assert made.uncertainty.array_kji[own].max() <= LARGEST_RELATIVE_STD * (1 + 1e-6)


def test_voxels_without_activity_stay_zero_in_every_map(rng):
    data, _, _ = mono_voxels(rng, 64)
    data[:, ::2] = 0
    for method in ("trapezoid", "mono", "bi"):
        made = tia_map(scans_of(data, shape=(4, 4, 4)), DECAY_PER_S, method, TiaOptions(noise_fraction=0.05))
        empty = ~data.any(axis=0).reshape(4, 4, 4)
        assert not made.tia.array_kji[empty].any()
        assert not made.uncertainty.array_kji[empty].any()
        assert not made.model_map_kji[empty].any()
        assert (made.tia.array_kji[~empty] > 0).all()


def test_negative_reconstruction_noise_is_set_to_zero_and_said(rng):
    data, amplitudes, rates = mono_voxels(rng, 100)
    data = np.concatenate([data, np.full((4, 1), -0.001 * data.sum(axis=1).min())], axis=1)
    made = tia_map(scans_of(data), DECAY_PER_S, "mono")
    assert made.tia.array_kji.ravel()[-1] == 0
    assert any("taken for reconstruction noise and set to zero" in warning for warning in made.record.warnings)
    with pytest.raises(InputError, match=r"The scan at 4 h cannot be used: Negative activity is .* at most 5 %"):
        tia_map(scans_of(np.concatenate([data, -data], axis=1)), DECAY_PER_S, "mono")


def test_results_do_not_depend_on_threads_nor_on_neighbouring_voxels(rng):
    clean, _, _ = mono_voxels(rng, 9000)
    data = clean * (1 + 0.05 * rng.normal(size=clean.shape))
    for method in ("mono", "bi"):
        options = [TiaOptions(noise_fraction=0.05, threads=threads) for threads in (1, 3)]
        one, three = (tia_map(scans_of(data), DECAY_PER_S, method, option) for option in options)
        np.testing.assert_array_equal(one.tia.array_kji, three.tia.array_kji)
        alone = tia_map(scans_of(data[:, :7]), DECAY_PER_S, method, options[0])
        same = alone.model_map_kji.ravel() == one.model_map_kji.ravel()[:7]
        np.testing.assert_allclose(alone.tia.array_kji.ravel()[same], one.tia.array_kji.ravel()[:7][same], rtol=1e-6)
        assert same.all()


def organ_scans(rng):
    """Two organs of twelve voxels each with their own kinetics and voxel noise, and some activity around."""
    amplitudes = rng.uniform(0.5, 1.5, 30) * 1e5
    rates = np.repeat([0.012, 0.03, 0.02], [12, 12, 6])
    data = exponentials(TIMES_H, amplitudes[None], rates[None]) * (1 + 0.1 * rng.normal(size=(4, 30)))
    label = np.repeat([1, 2, 0], [12, 12, 6]).reshape(1, 1, 30)
    return data, [Region("kidneys", label == 1, "kidneys"), Region("spleen", label == 2, "spleen")]


def test_organ_shape_keeps_the_total_of_each_organ_fit(rng):
    data, regions = organ_scans(rng)
    fits = {"kidneys": OrganFit(5e4, 0.011 / HOUR, 2e8), "spleen": OrganFit(3e4, 0.032 / HOUR, 1e8)}
    made = tia_map(scans_of(data), DECAY_PER_S, "organ-shape", TiaOptions(), regions, fits)
    for region in regions:
        voxels = made.tia.array_kji[region.mask_kji]
        assert voxels.sum() * made.tia.geometry.voxel_volume_ml == pytest.approx(fits[region.name].tia_bq_s, rel=1e-12)
        assert (made.model_map_kji[region.mask_kji] == VoxelModel.ORGAN_SHAPE).all()
        assert (
            made.uncertainty.array_kji[region.mask_kji] > fits[region.name].tia_std_bq_s / fits[region.name].tia_bq_s
        ).all()
    outside = ~(regions[0].mask_kji | regions[1].mask_kji)
    assert (made.tia.array_kji[outside] > 0).all()
    assert not (made.model_map_kji[outside] == VoxelModel.ORGAN_SHAPE).any()
    assert any("to keep the fitted total" in warning for warning in made.record.warnings)


def test_organ_shape_scales_by_least_squares_and_needs_no_scaling_where_the_fit_is_of_the_same_scans(rng):
    data, regions = organ_scans(rng)
    volume_ml = np.prod(SPACING) * 1e-3
    fits = {}
    for region in regions:
        total = data[:, region.mask_kji.ravel()].sum(axis=1) * volume_ml
        (a, rate), _ = curve_fit(lambda t, a, rate: a * np.exp(-rate * t), TIMES_H, total, (total[0], 0.02), xtol=1e-14)
        fits[region.name] = OrganFit(a, rate / HOUR)
    made = tia_map(scans_of(data), DECAY_PER_S, "organ-shape", TiaOptions(conserve_organ_tia=False), regions, fits)
    for region in regions:
        shape = fits[region.name].value(TIMES_H * HOUR)
        voxel = data[:, region.mask_kji.ravel()][:, 3]
        expected = fits[region.name].tia_bq_s * (voxel @ shape) / (shape @ shape)
        assert made.tia.array_kji[region.mask_kji][3] == pytest.approx(expected, rel=1e-12)
        assert made.record.parameters["organs"][region.name]["factor_to_organ_tia"] == pytest.approx(1, abs=1e-6)


def test_one_scan_is_enough_for_the_shape_of_an_organ(rng):
    data, regions = organ_scans(rng)
    fits = {region.name: OrganFit(1e5, 0.012 / HOUR) for region in regions}
    options = TiaOptions(conserve_organ_tia=False)
    made = tia_map(scans_of(data[1:2], [24.0]), DECAY_PER_S, "organ-shape", options, regions, fits)
    inside = regions[0].mask_kji
    expected = data[1][inside.ravel()] * np.exp(0.012 * 24) / 0.012 * HOUR
    np.testing.assert_allclose(made.tia.array_kji[inside], expected, rtol=1e-12)
    assert made.uncertainty is None


def test_scans_on_other_grids_are_brought_to_the_reference_scan_with_their_activity(rng):
    fine = np.zeros((8, 8, 8))
    fine[2:6, 2:6, 2:6] = rng.uniform(1, 2, (4, 4, 4)) * 1e5
    coarse_grid = VolumeGeometry((4, 4, 4), (4.0, 4.0, 4.0), (1.0, 1.0, 1.0))
    fine_grid = VolumeGeometry((8, 8, 8), (2.0, 2.0, 2.0))
    coarse = fine.reshape(4, 2, 4, 2, 4, 2).mean(axis=(1, 3, 5))
    scans = [
        Scan(t * HOUR, QuantitativeVolume(array * np.exp(-0.02 * t), grid, Quantity.ACTIVITY_CONCENTRATION))
        for t, array, grid in ((4, coarse, coarse_grid), (24, fine, fine_grid), (72, fine, fine_grid))
    ]
    made = tia_map(scans, DECAY_PER_S, "mono")
    assert made.tia.geometry.same_grid(coarse_grid)
    assert total_activity(made.tia) == pytest.approx(fine.sum() * 8e-3 / 0.02 * HOUR, rel=1e-9)
    on_fine = tia_map(scans, DECAY_PER_S, "trapezoid", TiaOptions(reference_scan=1, tail="physical"))
    assert on_fine.tia.geometry.same_grid(fine_grid)


def test_grids_far_apart_or_of_other_frames_are_refused():
    here = VolumeGeometry((2, 2, 2), SPACING, frame_of_reference_uid="1.2")
    far = VolumeGeometry((2, 2, 2), SPACING, (500.0, 0.0, 0.0), frame_of_reference_uid="1.2")
    other = VolumeGeometry((2, 2, 2), SPACING, frame_of_reference_uid="1.3")

    def scan(time_h, grid):
        return Scan(time_h * HOUR, QuantitativeVolume(np.ones((2, 2, 2)), grid, Quantity.ACTIVITY_CONCENTRATION))

    with pytest.raises(GeometryMismatchError, match=r"do not overlap"):
        tia_map([scan(1, here), scan(5, far)], DECAY_PER_S, "mono")
    with pytest.raises(GeometryMismatchError, match=r"Scan 1 and scan 2 lie in different frames .* Register them"):
        tia_map([scan(1, here), scan(5, other)], DECAY_PER_S, "mono")


@pytest.mark.parametrize(
    ("times_h", "text"),
    [
        ((24.0, 4.0), r"Scan times must rise, found 24, 4 h"),
        ((4.0, 4.0), r"Two scans have the same time \(found 4, 4 h\)"),
        ((), r"Found no scan; expected at least one"),
    ],
)
def test_series_out_of_order_are_refused(times_h, text):
    with pytest.raises(InputError, match=text):
        ordered_scans(scans_of(np.ones((len(times_h), 1)), times_h))


def test_scans_before_the_administration_or_of_another_quantity_are_refused():
    with pytest.raises(InputError, match=r"A scan lies 1 h before the administration"):
        scans_of(np.ones((1, 1)), (-1.0,))
    with pytest.raises(InputError, match=r"needs its time after administration, found nan"):
        scans_of(np.ones((1, 1)), (np.nan,))
    counts = QuantitativeVolume(np.ones((1, 1, 1)), VolumeGeometry((1, 1, 1), SPACING), Quantity.COUNTS)
    with pytest.raises(UnitError, match=r"must hold activity concentration \[Bq/mL\], found counts"):
        Scan(1.0, counts)


@pytest.mark.parametrize(
    ("method", "count", "text"),
    [
        ("mono", 1, r"Method mono has 2 parameters and needs at least 2 scans, found 1; add scans"),
        ("bi", 3, r"Method bi has 4 parameters and needs at least 4 scans, found 3"),
        ("trapezoid", 1, r"A fitted tail needs at least two scans, found one; take the physical tail"),
        ("cubic", 4, r"Method 'cubic' is unknown; expected one of: trapezoid, mono, bi, organ-shape"),
    ],
)
def test_too_few_scans_and_unknown_methods_are_refused(method, count, text):
    with pytest.raises(InputError, match=text):
        tia_map(scans_of(np.ones((count, 1)), TIMES_H[:count]), DECAY_PER_S, method)


def test_settings_that_cannot_be_are_refused():
    data = np.ones((4, 1))
    with pytest.raises(InputError, match=r"Region.* belong to the method organ-shape, found mono"):
        tia_map(scans_of(data), DECAY_PER_S, "mono", None, [Region("a", np.ones((1, 1, 1), bool), "a")])
    with pytest.raises(InputError, match=r"decay constant must be a number above zero"):
        tia_map(scans_of(data), 0.0, "mono")
    with pytest.raises(InputError, match=r"physical half-lives after the administration, expected at most 30"):
        tia_map(scans_of(data), np.log(2) / 6586.2, "mono")
    with pytest.raises(InputError, match=r"The image|The activity image|scan at 4 h cannot be used"):
        tia_map(scans_of(0 * data), DECAY_PER_S, "mono")
    for options, text in (
        ({"tail": "none"}, r"The tail 'none' is unknown"),
        ({"start": "none"}, r"The start 'none' is unknown"),
        ({"noise_fraction": 0.0}, r"must be a fraction above zero"),
        ({"threads": 0}, r"number of threads must be at least 1"),
    ):
        with pytest.raises(InputError, match=text):
            TiaOptions(**options)
    with pytest.raises(InputError, match=r"There is no scan with index 4; found 4 scans"):
        tia_map(scans_of(data), DECAY_PER_S, "mono", TiaOptions(reference_scan=4))


def test_organ_shapes_that_cannot_be_are_refused(rng):
    data, regions = organ_scans(rng)
    fits = {"kidneys": OrganFit(5e4, 0.011 / HOUR), "spleen": OrganFit(3e4, 0.032 / HOUR)}

    def made(regions, fits):
        return tia_map(scans_of(data), DECAY_PER_S, "organ-shape", None, regions, fits)

    with pytest.raises(RegionError, match=r"organ-shape needs regions and the fits of their curves; give both"):
        made([], fits)
    with pytest.raises(RegionError, match=r"No fit for the region spleen; found fits of: kidneys"):
        made(regions, {"kidneys": fits["kidneys"]})
    twin = Region("spleen", regions[0].mask_kji, "spleen")
    with pytest.raises(RegionError, match=r"Region 'spleen' shares 12 voxels with regions before it"):
        made([regions[0], twin], fits)
    with pytest.raises(InputError, match=r"expected positive numbers. Fit it again"):
        made(regions, {**fits, "spleen": OrganFit(-1.0, 0.01 / HOUR)})
    small = Region("spleen", np.ones((1, 1, 2), bool), "spleen")
    with pytest.raises(GeometryMismatchError, match=r"Region 'spleen' has the grid \(1, 1, 2\), the map \(1, 1, 30\)"):
        made([small], fits)
    data[:, 12:24] = 0
    with pytest.raises(RegionError, match=r"No voxel of region 'spleen' has activity in any scan"):
        made(regions, fits)


def test_a_user_can_stop_the_work(rng):
    data, _, _ = mono_voxels(rng, 100)

    class Stop:
        def report(self, fraction, message):
            pass

        def cancelled(self):
            return True

    with pytest.raises(CancelledError, match="Cancelled by the user"):
        tia_map(scans_of(data), DECAY_PER_S, "mono", progress=Stop())


def test_progress_rises_to_one(rng):
    data, _, _ = mono_voxels(rng, 20000)
    seen = []

    class Watch:
        def report(self, fraction, message):
            seen.append(fraction)

        def cancelled(self):
            return False

    tia_map(scans_of(data * (1 + 0.2 * rng.normal(size=data.shape))), DECAY_PER_S, "mono", progress=Watch())
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 5


def test_the_record_says_how_every_voxel_was_made(rng):
    clean, _, _ = mono_voxels(rng, 3000)
    made = tia_map(scans_of(clean + 5000 * np.abs(rng.normal(size=clean.shape))), DECAY_PER_S, "mono")
    parameters = json.loads(json.dumps(made.tia.record.as_dict()))["parameters"]
    counts = np.bincount(made.model_map_kji.ravel(), minlength=len(LEGEND))
    assert parameters["voxels_by_model"] == {LEGEND[value]: counts[value] for value in LEGEND if counts[value]}
    assert sum(parameters["tia_share_by_model"].values()) == pytest.approx(1)
    assert parameters["scan_times_h"] == TIMES_H.tolist()
    assert parameters["model_map_legend"]["3"] == "mono-exponential"
    assert set(made.model_map.names.values()) == set(parameters["voxels_by_model"])


def test_times_in_the_images_that_contradict_those_given_are_said(rng):
    data, _, _ = mono_voxels(rng, 3)
    moment = datetime(2024, 5, 31, 12, tzinfo=UTC)

    def timed(hours):
        scans = scans_of(data)
        return [
            Scan(scan.time_s, QuantitativeVolume(
                scan.volume.array_kji, scan.volume.geometry, scan.volume.quantity, moment + timedelta(hours=hour)
            ))
            for scan, hour in zip(scans, hours, strict=True)
        ]  # fmt: skip

    assert not any(
        "apart according to their files" in text
        for text in tia_map(timed((0, 20, 68, 116)), DECAY_PER_S, "mono").record.warnings
    )
    told = tia_map(timed((0, 0, 0, 0)), DECAY_PER_S, "mono").record.warnings
    assert any("4 and 120 h hold at times 0 h apart according to their files" in text for text in told)


def test_degrees_of_freedom_left_to_judge_noise_by():
    assert [residual_degrees("mono", count) for count in (2, 3, 4)] == [0, 1, 2]
    assert [residual_degrees("bi", count) for count in (4, 5)] == [0, 1]
    assert [residual_degrees("trapezoid", count) for count in (1, 3, 4)] == [0, 0, 1]
    assert residual_degrees("trapezoid", 9, "physical") == 0
    assert residual_degrees("organ-shape", 2) == 1


def test_activity_gone_before_the_second_scan_is_not_extrapolated_to_the_administration():
    data = np.array([[1e5, 9e4], [0.0, 8e4], [0.0, 5e4], [0.0, 2e4]])
    made = tia_map(scans_of(data), DECAY_PER_S, "mono", TiaOptions(noise_fraction=0.05))
    assert made.model_map_kji.ravel()[0] == VoxelModel.TRAPEZOID_PHYSICAL_TAIL
    assert made.tia.array_kji.ravel()[0] / HOUR == pytest.approx(1e5 * (0.5 * 4 + 0.5 * 20))
