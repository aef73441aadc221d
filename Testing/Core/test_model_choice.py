"""The choice of a model: AICc and its weights, averaging, and the words where data cannot choose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from radiodosimetry.time_activity.curve_fit import CurveFit
from radiodosimetry.time_activity.fitting import fit_curve
from radiodosimetry.time_activity.model_choice import (
    aicc,
    akaike_weights,
    names_with_points_enough,
    probability_of_so_few_runs,
    residual_signs,
)
from radiodosimetry.time_activity.time_activity_curve import TimeActivityCurve

HOUR = 3600.0
DECAY = math.log(2) / (160 * HOUR)
TIMES_H = np.array([1.0, 4.0, 10.0, 24.0, 48.0, 72.0, 96.0, 144.0, 200.0])


def mono(hours):
    return 80e6 * np.exp(-0.02 * hours)


def bi(hours):
    return 60e6 * np.exp(-0.012 * hours) + 90e6 * np.exp(-0.2 * hours)


def uptake(hours):
    return 100e6 * (np.exp(-0.015 * hours) - np.exp(-0.25 * hours))


SHAPES = {"mono": mono, "bi": bi, "uptake-clearance": uptake}


def fit(times_h, activity, std=None, model="auto") -> CurveFit:
    return fit_curve(TimeActivityCurve("liver", np.asarray(times_h) * HOUR, np.asarray(activity), std), DECAY, model)


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("stated", [True, False], ids=["stated uncertainties", "none stated"])
def test_the_data_choose_the_model_they_came_from(name, stated, rng):
    clean = SHAPES[name](TIMES_H)
    std = 0.01 * clean
    noisy = clean + std * rng.standard_normal(TIMES_H.size)
    found = fit(TIMES_H, noisy, std if stated else None)
    assert found.model == name
    assert max(found.aicc_weights, key=lambda key: found.aicc_weights[key]) == name
    assert sum(found.aicc_weights.values()) == pytest.approx(1.0)
    expected = fit(TIMES_H, clean, model=name).tia_bq_s
    assert found.tia_bq_s == pytest.approx(expected, rel=0.05)
    assert not any("not selected by data" in warning for warning in found.warnings)


def test_a_perfect_mono_exponential_is_not_taken_for_more():
    found = fit(TIMES_H, mono(TIMES_H))
    assert found.model == "mono"
    assert found.aicc_weights["mono"] > 0.9


@pytest.mark.parametrize("count", [2, 3, 4])
def test_few_points_do_not_choose_and_the_result_says_so(count):
    found = fit(TIMES_H[:count], bi(TIMES_H[:count]))
    assert found.model == "mono"
    assert found.aicc_weights == {}
    assert any(f"not selected by data: {count} points" in warning for warning in found.warnings)


@pytest.mark.parametrize("count", [3, 4])
def test_few_points_with_uptake_take_the_model_that_can_rise(count):
    times_h = np.array([1.0, 8.0, 60.0, 120.0])[:count]
    found = fit(times_h, uptake(times_h))
    assert found.model == "uptake-clearance"
    assert any("tracer comes before it leaves" in warning for warning in found.warnings)


def test_a_prescribed_model_at_few_points_is_said_to_be_prescribed():
    found = fit(TIMES_H[:4], mono(TIMES_H[:4]), model="uptake-clearance")
    assert any("uptake-clearance was prescribed" in warning for warning in found.warnings)


def test_a_curve_that_has_not_begun_to_fall_gets_trapezoids():
    found = fit([1, 24, 48], [10e6, 20e6, 30e6])
    assert found.model == "trapezoid"
    assert any("has not begun to fall" in warning for warning in found.warnings)


COPPER_DECAY = math.log(2) / (12.7 * HOUR)


def tracer(hours, amounts_bq):
    """A curve of Cu-64 by what would be there without physical decay."""
    hours = np.asarray(hours, dtype=float)
    return TimeActivityCurve("lesion", hours * HOUR, np.asarray(amounts_bq) * np.exp(-COPPER_DECAY * hours * HOUR))


@pytest.mark.parametrize(("hours", "amounts_bq"), [([1, 24], [1e6, 3e6]), ([1, 24, 48], [1e6, 3e6, 4e6])])
def test_uptake_that_decay_hides_is_no_clearance(hours, amounts_bq):
    """Activity falls while the tracer still comes; a single exponential would lose half of what is there."""
    curve = tracer(hours, amounts_bq)
    assert (np.diff(curve.activity_bq) < 0).all()
    found = fit_curve(curve, COPPER_DECAY)
    assert found.model == "trapezoid"
    tail_bq_s = curve.activity_bq[-1] / COPPER_DECAY
    known_bq_s = np.trapezoid(curve.activity_bq, curve.times_s) + curve.activity_bq[0] * curve.times_s[0] / 2
    assert found.tia_bq_s == pytest.approx(known_bq_s + tail_bq_s, rel=0.05)
    mono_alone = fit_curve(curve, COPPER_DECAY, "mono")
    assert mono_alone.tia_bq_s < 0.75 * found.tia_bq_s


def test_uptake_before_clearance_is_seen_behind_decay_and_noise_of_a_tenth_is_none():
    found = fit_curve(tracer([1, 24, 48], [1e6, 3e6, 1.5e6]), COPPER_DECAY)
    assert found.model == "uptake-clearance"
    assert fit_curve(tracer([1, 24, 48], [1e6, 1.08e6, 1.05e6]), COPPER_DECAY).model == "mono"
    large = replace(tracer([1, 24, 48], [1e6, 1.4e6, 1.2e6]), std_bq=np.array([3e5, 9e4, 2e4]))
    assert fit_curve(large, COPPER_DECAY).model == "mono"  # within two standard uncertainties


def test_one_model_alone_is_no_choice():
    """Five points allow three parameters, and what rises is no mono-exponential."""
    found = fit([1, 8, 24, 60, 120], uptake(np.array([1, 8, 24, 60, 120])))
    assert found.model == "uptake-clearance"
    assert found.model_average is None
    assert any("allow no other than uptake-clearance" in warning for warning in found.warnings)


def test_only_models_with_two_points_beyond_their_parameters_take_part():
    assert names_with_points_enough(4) == ("mono",)
    assert names_with_points_enough(5) == ("mono", "uptake-clearance")
    assert names_with_points_enough(6) == ("mono", "uptake-clearance", "bi")
    assert names_with_points_enough(8) == ("mono", "uptake-clearance", "bi", "tri")
    assert names_with_points_enough(5, uptake_seen=True) == ("uptake-clearance",)


def test_aicc_is_the_printed_formula():
    """Burnham and Anderson 2002, section 2.4: n·ln(RSS/n) + 2k + 2k(k+1)/(n−k−1)."""
    assert aicc(12.0, 6, 2, weighted=False) == pytest.approx(6 * math.log(2.0) + 4 + 12 / 3)
    assert aicc(12.0, 6, 2, weighted=True) == pytest.approx(12 + 4 + 12 / 3)
    assert aicc(12.0, 5, 4, weighted=True) == math.inf


def test_akaike_weights_are_relative_likelihoods():
    weights = akaike_weights({"mono": 10.0, "bi": 12.0, "tri": math.inf})
    assert set(weights) == {"mono", "bi"}
    assert weights["bi"] / weights["mono"] == pytest.approx(math.exp(-1.0))


def test_the_average_carries_the_spread_between_models(rng):
    times_h = TIMES_H[2:]
    std = 0.04 * mono(times_h)
    noisy = mono(times_h) + std * rng.standard_normal(times_h.size)
    found = fit(times_h, noisy, std)
    average = found.model_average
    assert average is not None
    assert min(average.tia_of_model_bq_s.values()) <= average.tia_bq_s <= max(average.tia_of_model_bq_s.values())
    mean = sum(found.aicc_weights[name] * tia for name, tia in average.tia_of_model_bq_s.items())
    assert average.tia_bq_s == pytest.approx(mean)
    expected = sum(
        weight * math.hypot(fit(times_h, noisy, std, name).tia_std_bq_s, average.tia_of_model_bq_s[name] - mean)
        for name, weight in found.aicc_weights.items()
    )
    assert average.tia_std_bq_s == pytest.approx(expected)


def test_a_model_with_a_spike_nobody_measured_does_not_enter_the_average(rng):
    """A third phase that is over before the first point fits a little better and integrates to anything."""
    clean = bi(TIMES_H)
    for _ in range(3):
        found = fit(TIMES_H, clean * (1 + 0.02 * rng.standard_normal(TIMES_H.size)))
        assert found.model_average is not None
        assert found.model_average.tia_bq_s == pytest.approx(found.tia_bq_s, rel=0.1)


def test_words_on_a_fit_name_poor_parameters_and_correlations(rng):
    std = 0.1 * uptake(TIMES_H)
    found = fit(TIMES_H, uptake(TIMES_H) + 0.3 * std * rng.standard_normal(TIMES_H.size), std, "tri")
    words = " ".join(found.quality)
    assert "strongly correlated" in words
    assert "expected below 0.8" in words
    assert "poorly known" in words
    assert "expected below 50 %" in words
    assert set(found.quality[1:]) <= set(found.warnings)


def test_a_good_fit_is_said_to_pass(rng):
    times_h = np.linspace(0, 150, 9)
    std = np.full(9, 1e6)
    found = fit(times_h, mono(times_h) + 1e6 * np.array([1, -1, 1, -1, 1, -1, 1, -1, 1.0]), std, "mono")
    assert any("pass the goodness gate" in words for words in found.quality)


def test_residuals_that_run_together_are_said():
    times_h = np.linspace(1, 150, 14)
    found = fit(times_h, bi(times_h), model="mono")
    assert any("run together" in warning for warning in found.warnings)


def test_probability_of_few_runs_is_that_of_counting_orders():
    """+++−−− and its mirror are 2 of the 20 orders of three and three; three runs or fewer have 6."""
    assert probability_of_so_few_runs("+++−−−") == pytest.approx(2 / 20)
    assert probability_of_so_few_runs("++−−−+") == pytest.approx(6 / 20)
    assert probability_of_so_few_runs("+−+−+−") == pytest.approx(1.0)
    assert probability_of_so_few_runs("++++") == 1.0
    assert residual_signs(np.array([0.1, -0.2, 0.0])) == "+−+"


def test_models_that_disagree_are_said(rng):
    """Stated uncertainties so large that one phase or two fit alike, with different tails."""
    times_h = np.array([1.0, 3.0, 6.0, 12.0, 24.0, 36.0, 48.0])
    clean = 60e6 * np.exp(-0.006 * times_h) + 60e6 * np.exp(-0.08 * times_h)
    found = fit(times_h, clean, 0.08 * clean)
    assert len(found.aicc_weights) > 1
    average = found.model_average
    assert average is not None
    disagree = abs(average.tia_bq_s / found.tia_bq_s - 1) > 0.1
    assert any("Models disagree" in warning for warning in found.warnings) == disagree


def test_uncertainties_too_small_for_the_residuals_are_said():
    found = fit(TIMES_H, bi(TIMES_H), 0.001 * bi(TIMES_H), "mono")
    assert any("larger than the stated uncertainties" in warning for warning in found.warnings)
