"""Fits under random input: integral = quadrature, linear in activity, no unit of time, averages between parts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from radiodosimetry.time_activity.curve_fit import CurveFit
from radiodosimetry.time_activity.fitting import fit_curve
from radiodosimetry.time_activity.model_choice import aicc, akaike_weights
from radiodosimetry.time_activity.models import ExponentialSum, GammaUptake, PiecewiseLinear
from radiodosimetry.time_activity.time_activity_curve import TimeActivityCurve
from radiodosimetry.time_activity.uncertainty import ChainInputs, dose_uncertainty

HOUR = 3600.0
DECAY = math.log(2) / (160 * HOUR)
TIMES_H = np.array([1.5, 6.0, 20.0, 45.0, 90.0, 150.0, 220.0])

rates = st.floats(0.005, 2.0)
amplitudes = st.floats(1e5, 1e9)
noises = st.lists(st.floats(-0.05, 0.05), min_size=TIMES_H.size, max_size=TIMES_H.size)


def fit(times_s, activity_bq, decay=DECAY, model="auto", std=None) -> CurveFit:
    return fit_curve(TimeActivityCurve("organ", times_s, activity_bq, std), decay, model)


@given(st.lists(st.tuples(st.floats(-1e8, 1e8), rates), min_size=1, max_size=3), st.floats(0, 100), st.floats(0.1, 300))
def test_integral_of_exponentials_is_that_of_quadrature(terms, start_h, length_h):
    curve = ExponentialSum(np.array([a for a, _ in terms]), np.array([rate for _, rate in terms]) / HOUR)
    end_h = start_h + length_h
    expected = quad(lambda hour: float(curve.value(hour * HOUR)), start_h, end_h, epsabs=0, epsrel=1e-11, limit=200)[0]
    size = sum(abs(a) for a, _ in terms) * length_h
    found = curve.integral_bq_s(start_h * HOUR, end_h * HOUR) / HOUR
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-10 * size)


@given(amplitudes, st.floats(0.3, 20.0), rates, st.floats(0.0, 60.0))
def test_integral_of_a_gamma_uptake_is_that_of_quadrature(amplitude, shape, rate, start_h):
    curve = GammaUptake(amplitude, shape, rate / HOUR, DECAY)
    corners = [start_h + (200 - start_h) * part for part in (0.01, 0.05, 0.2, 0.5)]
    expected = quad(lambda hour: float(curve.value(hour * HOUR)), start_h, 200.0, points=corners, epsrel=1e-10)[0]
    found = curve.integral_bq_s(start_h * HOUR, 200 * HOUR) / HOUR
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9 * amplitude)


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=6), st.data())
def test_integral_of_straight_lines_is_additive_and_that_of_their_tail(gaps_h, data):
    times_s = np.cumsum(gaps_h) * HOUR
    activity = np.array(data.draw(st.lists(st.floats(0, 1e9), min_size=len(gaps_h), max_size=len(gaps_h))))
    curve = PiecewiseLinear(times_s, activity, DECAY)
    corners = np.concatenate([[0.0], times_s])
    values = np.concatenate([[0.0], activity])
    whole = np.trapezoid(values, corners) + activity[-1] / DECAY
    assert curve.integral_bq_s() == pytest.approx(whole, rel=1e-12, abs=1e-6)
    middle = data.draw(st.floats(0.0, 2.0)) * times_s[-1]
    assert curve.integral_bq_s(0, middle) + curve.integral_bq_s(middle) == pytest.approx(whole, rel=1e-12, abs=1e-3)


@settings(max_examples=15)
@given(st.sampled_from(["auto", "mono", "uptake-clearance", "trapezoid"]), noises, st.floats(1e-3, 1e3))
def test_a_fit_is_linear_in_activity(model, noise, factor):
    activity = 80e6 * np.exp(-0.02 * TIMES_H) * (1 + np.array(noise))
    one = fit(TIMES_H * HOUR, activity, model=model)
    other = fit(TIMES_H * HOUR, factor * activity, model=model)
    assert other.model == one.model
    assert other.tia_bq_s == pytest.approx(factor * one.tia_bq_s, rel=1e-6)
    assert other.effective_half_life_s == pytest.approx(one.effective_half_life_s, rel=1e-6)
    assert other.aicc_weights == pytest.approx(one.aicc_weights, abs=1e-6)


@settings(max_examples=15)
@given(st.sampled_from(["auto", "mono", "uptake-clearance", "trapezoid"]), noises, st.floats(1e-2, 1e2))
def test_a_fit_knows_no_unit_of_time(model, noise, factor):
    activity = 80e6 * np.exp(-0.02 * TIMES_H) * (1 + np.array(noise))
    one = fit(TIMES_H * HOUR, activity, model=model)
    other = fit(factor * TIMES_H * HOUR, activity, DECAY / factor, model)
    assert other.model == one.model
    assert other.tia_bq_s == pytest.approx(factor * one.tia_bq_s, rel=1e-6)
    assert other.effective_half_life_s == pytest.approx(factor * one.effective_half_life_s, rel=1e-6)


@settings(max_examples=15)
@given(noises, st.booleans())
def test_the_average_over_models_lies_between_its_parts(noise, stated):
    clean = 60e6 * np.exp(-0.012 * TIMES_H) + 30e6 * np.exp(-0.1 * TIMES_H)
    found = fit(TIMES_H * HOUR, clean * (1 + np.array(noise)), std=0.03 * clean if stated else None)
    assume(found.model_average is not None)
    parts = found.model_average.tia_of_model_bq_s
    assert set(parts) == set(found.aicc_weights)
    assert min(parts.values()) <= found.model_average.tia_bq_s <= max(parts.values())
    assert parts[found.model] == pytest.approx(found.tia_bq_s)


@settings(max_examples=25)
@given(st.sampled_from(["mono", "uptake-clearance", "trapezoid", "bi", "tri"]), noises, st.floats(0.0, 0.05))
def test_no_fit_is_slower_than_physical_decay_or_negative(model, noise, rate_per_h):
    activity = 80e6 * np.exp(-rate_per_h * TIMES_H) * (1 + np.array(noise))
    found = fit(TIMES_H * HOUR, activity, model=model)
    assert found.curve.final_rate_per_s >= DECAY * (1 - 1e-12)
    assert found.tia_bq_s > 0
    assert np.all(found.value(np.linspace(0, 1000, 300) * HOUR) >= -1e-6 * activity.max())
    assert found.curve.integral_bq_s() == pytest.approx(found.tia_bq_s, rel=1e-12)


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(-1e3, 1e3), min_size=1, max_size=5))
def test_akaike_weights_add_up_to_one_in_the_order_of_support(criteria):
    weights = akaike_weights(criteria)
    assert sum(weights.values()) == pytest.approx(1.0)
    best = min(criteria.values())
    assert all(weights[name] == max(weights.values()) for name, value in criteria.items() if value == best)


@given(st.floats(1e-6, 1e6), st.integers(4, 40), st.integers(1, 6), st.booleans())
def test_more_parameters_must_earn_their_place(total, points, count, weighted):
    assume(points >= count + 3)
    assert aicc(total, points, count + 1, weighted) > aicc(total, points, count, weighted)


@given(*(st.floats(0, 0.3) for _ in range(6)), st.floats(0, 1), st.floats(-1, 0))
def test_shares_of_the_dose_variance_are_a_whole(volume, recovery, calibration, own, model, s_value, slope, mass):
    inputs = ChainInputs(volume, recovery, calibration, own, model, s_value, 1.0, slope, mass)
    result = dose_uncertainty(1e13, 1e-13, inputs)
    total = sum(result.variance_shares.values())
    assert total == pytest.approx(1.0) if result.relative_std > 1e-150 else total in (0.0, pytest.approx(1.0))
    assert all(share >= 0 for share in result.variance_shares.values())
    assert -1 - 1e-12 <= result.correlation <= 1 + 1e-12
