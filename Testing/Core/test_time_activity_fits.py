"""Fits of time-activity curves: models, integrals, bounds, uncertainties, what is refused and what is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from radiodosimetry.errors import InputError
from radiodosimetry.provenance import Record
from radiodosimetry.time_activity.bootstrap import bootstrap_fit
from radiodosimetry.time_activity.curve_fit import CurveFit
from radiodosimetry.time_activity.fitting import FIT_MODELS, fit_curve
from radiodosimetry.time_activity.least_squares import least_squares_fit
from radiodosimetry.time_activity.models import (
    ExponentialSum,
    GammaUptake,
    PiecewiseLinear,
    gammainc_shape_derivative,
)
from radiodosimetry.time_activity.parametric import MODEL_PARAMETERS, curve_model, exponential_model
from radiodosimetry.time_activity.time_activity_curve import TimeActivityCurve
from radiodosimetry.time_activity.uncertainty import CAUSES, ChainInputs, chain_inputs_of, dose_uncertainty

HOUR = 3600.0
HALF_LIFE_H = 160.0
DECAY = math.log(2) / (HALF_LIFE_H * HOUR)
TIMES_H = np.array([1.0, 4.0, 24.0, 48.0, 96.0, 144.0, 240.0])

PARAMETERS = {
    "mono": [80e6, 0.02 / HOUR],
    "bi": [60e6, 30e6, 0.012 / HOUR, 0.2 / HOUR],
    "tri": [60e6, 30e6, -50e6, 0.012 / HOUR, 0.1 / HOUR, 0.9 / HOUR],
    "uptake-clearance": [100e6, 0.015 / HOUR, 0.6 / HOUR],
    "gamma-uptake": [70e6, 1.7, 0.12 / HOUR],
}
"""Effective rates, all above physical decay (0.0043 per hour)."""


def curve_of(times_h, activity_bq, std_bq=None, **parameters) -> TimeActivityCurve:
    record = Record("test", parameters=parameters)
    return TimeActivityCurve("kidney", np.asarray(times_h) * HOUR, np.asarray(activity_bq), std_bq, record=record)


def fit_to(name: str, times_h=TIMES_H, std=None, noise=None, model=None) -> CurveFit:
    function = curve_model(name, DECAY, np.asarray(times_h) * HOUR)
    activity = function.value(np.asarray(times_h) * HOUR, np.array(PARAMETERS[name]))
    if noise is not None:
        activity = activity + noise
    return fit_curve(curve_of(times_h, activity, std), DECAY, model or name)


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_every_model_finds_its_own_parameters(name):
    fit = fit_to(name)
    assert list(fit.parameters) == list(MODEL_PARAMETERS[name])
    found = [parameter.value for parameter in fit.parameters.values()]
    np.testing.assert_allclose(found, PARAMETERS[name], rtol=1e-6)
    assert fit.value(30 * HOUR) == pytest.approx(fit.curve.value(30 * HOUR), rel=1e-12)


@pytest.mark.parametrize("name", list(PARAMETERS))
def test_jacobians_are_the_derivatives(name):
    times = TIMES_H * HOUR
    model = curve_model(name, DECAY, times)
    parameters = np.array(PARAMETERS[name])
    for index, size in enumerate(parameters):
        step = np.zeros_like(parameters)
        step[index] = 1e-5 * size
        difference = (model.value(times, parameters + step) - model.value(times, parameters - step)) / (2 * step[index])
        derivative = model.jacobian(times, parameters)[:, index]
        np.testing.assert_allclose(derivative, difference, rtol=2e-6, atol=1e-8 * np.abs(derivative).max())
        whole = [model.curve(parameters + sign * step).integral_bq_s() for sign in (1, -1)]
        expected = (whole[0] - whole[1]) / (2 * step[index])
        assert model.integral_gradient(parameters)[index] == pytest.approx(expected, rel=1e-6)


CURVES = {
    "exponentials": ExponentialSum(np.array([60e6, -50e6]), np.array([0.012, 0.9]) / HOUR),
    "gamma uptake": GammaUptake(70e6, 2.4, 0.12 / HOUR, DECAY),
    "lines": PiecewiseLinear(np.array([3.0, 20.0, 70.0]) * HOUR, np.array([30e6, 50e6, 20e6]), 0.02 / HOUR),
}


@pytest.mark.parametrize("name", list(CURVES))
@pytest.mark.parametrize(("start_h", "end_h"), [(0.0, 2.0), (0.0, 100.0), (10.0, 11.0), (80.0, 200.0)])
def test_integrals_between_times_are_those_of_quadrature(name, start_h, end_h):
    curve = CURVES[name]
    corners = [corner for corner in (3.0, 20.0, 70.0) if start_h < corner < end_h]
    expected = quad(lambda hour: float(curve.value(hour * HOUR)), start_h, end_h, points=corners, epsrel=1e-11)[0]
    assert curve.integral_bq_s(start_h * HOUR, end_h * HOUR) == pytest.approx(expected * HOUR, rel=1e-9)
    whole = curve.integral_bq_s(0, start_h * HOUR) + curve.integral_bq_s(start_h * HOUR)
    assert curve.integral_bq_s() == pytest.approx(whole, rel=1e-12)


def test_integral_of_a_mono_exponential_is_amplitude_over_rate():
    assert ExponentialSum(np.array([5.0]), np.array([0.1])).integral_bq_s() == 50.0


def test_trapezoids_rise_from_zero_and_end_in_a_physical_tail():
    """Kim 2022, eq. 1: A(0) = 0, λ that of the nuclide."""
    fit = fit_curve(curve_of([4, 24, 100], [10e6, 20e6, 5e6]), DECAY, "trapezoid")
    by_hand = 0.5 * 4 * 10 + 20 * 15 + 76 * 12.5 + 5 / (DECAY * HOUR)
    assert fit.tia_bq_s / 3.6e9 == pytest.approx(by_hand, rel=1e-12)
    assert fit.effective_half_life_s == pytest.approx(HALF_LIFE_H * HOUR)
    assert any("physical tail was assumed" in warning for warning in fit.warnings)


def test_a_trapezoid_takes_the_tail_that_is_asked_for():
    curve = curve_of([0, 24, 100], 100e6 * np.exp(-0.02 * np.array([0, 24, 100])), np.full(3, 1e5))
    given = fit_curve(curve, DECAY, "trapezoid", effective_half_life_s=30 * HOUR)
    fitted = fit_curve(curve, DECAY, "trapezoid", tail="mono")
    assert given.parameters["lambda_tail_per_s"].value == pytest.approx(math.log(2) / (30 * HOUR))
    assert fitted.parameters["lambda_tail_per_s"].value == pytest.approx(0.02 / HOUR, rel=1e-6)
    assert fitted.curve.integral_bq_s(100 * HOUR) == pytest.approx(100e6 * math.exp(-2) / (0.02 / HOUR), rel=1e-6)


@pytest.mark.parametrize("tail", ["physical", "mono"])
def test_uncertainty_of_a_trapezoid_is_that_of_repeated_measurements(tail, rng):
    times_h = [2, 24, 72, 120]
    activity = np.array([40e6, 35e6, 15e6, 7e6])
    std = 0.02 * activity
    stated = fit_curve(curve_of(times_h, activity, std), DECAY, "trapezoid", tail=tail)
    repeated = [
        fit_curve(
            curve_of(times_h, activity + std * rng.standard_normal(4), std), DECAY, "trapezoid", tail=tail
        ).tia_bq_s
        for _ in range(200)
    ]
    assert stated.tia_std_bq_s == pytest.approx(np.std(repeated), rel=0.15)


def test_no_rate_falls_below_physical_decay():
    fit = fit_curve(curve_of([1, 24, 72, 120], [50e6, 50e6, 49e6, 48.5e6]), DECAY, "mono")
    assert fit.parameters["lambda1_per_s"].value == DECAY
    assert fit.parameters["lambda1_per_s"].std is None
    assert any("lower bound, physical decay without clearance" in warning for warning in fit.warnings)


def test_a_phase_over_before_the_first_point_is_said():
    activity = 100e6 * np.exp(-0.02 * TIMES_H)
    fit = fit_curve(curve_of(TIMES_H, activity), DECAY, "uptake-clearance")
    assert any("lambda2 lies at its upper bound" in warning for warning in fit.warnings)
    assert fit.tia_bq_s / 3.6e9 == pytest.approx(100 / 0.02, rel=1e-3)


def test_activity_at_administration_is_not_fitted_below_zero():
    activity = 100e6 * (np.exp(-0.02 * TIMES_H) - 1.3 * np.exp(-0.5 * TIMES_H))
    activity[0] = 1e4
    fit = fit_curve(curve_of(TIMES_H, activity), DECAY, "bi")
    assert fit.value(0.0) >= -1e-3
    assert any("held at a bound" in warning for warning in fit.warnings)


def test_stated_uncertainties_are_believed_and_without_them_the_scatter_counts(rng):
    noise = 1e6 * rng.standard_normal(TIMES_H.size)
    small = fit_to("mono", std=np.full(TIMES_H.size, 0.5e6), noise=noise)
    large = fit_to("mono", std=np.full(TIMES_H.size, 2e6), noise=noise)
    unweighted = fit_to("mono", noise=noise)
    assert large.tia_std_bq_s == pytest.approx(4 * small.tia_std_bq_s, rel=1e-9)
    assert unweighted.tia_bq_s == pytest.approx(small.tia_bq_s, rel=1e-9)
    scatter = unweighted.solution.residual_std
    assert unweighted.tia_std_bq_s == pytest.approx(small.tia_std_bq_s * scatter / 0.5e6, rel=1e-6)


def test_covariance_of_a_mono_exponential_is_that_of_a_straight_line_in_the_logarithm():
    """With σ ∝ A and small errors the fit is ln A = ln a − λt, whose covariance is a closed form."""
    std = 0.001 * 80e6 * np.exp(-0.02 * TIMES_H)
    fit = fit_to("mono", std=std)
    seconds = TIMES_H * HOUR
    spread = np.sum((seconds - seconds.mean()) ** 2)
    assert fit.parameters["lambda1_per_s"].std == pytest.approx(0.001 / math.sqrt(spread), rel=1e-6)
    intercept = 0.001 * math.sqrt(1 / seconds.size + seconds.mean() ** 2 / spread)
    assert fit.parameters["a_bq"].std == pytest.approx(80e6 * intercept, rel=1e-6)


def test_as_many_points_as_parameters_leave_the_uncertainty_to_stated_ones():
    curve = curve_of([24, 96], [50e6, 20e6])
    bare = fit_curve(curve, DECAY, "mono")
    assert bare.tia_std_bq_s is None
    assert bare.covariance is None
    assert all(parameter.std is None for parameter in bare.parameters.values())
    assert any("interpolates" in warning for warning in bare.warnings)
    stated = fit_curve(curve_of([24, 96], [50e6, 20e6], np.array([1e6, 1e6])), DECAY, "mono")
    assert stated.tia_std_bq_s > 0
    assert stated.tia_bq_s == pytest.approx(bare.tia_bq_s, rel=1e-9)


def test_what_all_points_share_is_added_to_the_whole():
    """Calibration moves every point alike: 5 % of the integral whatever the number of points, and no rate."""
    activity = 80e6 * np.exp(-0.02 * TIMES_H)
    own, common = np.full(TIMES_H.size, 0.5e6), 0.05
    alone = fit_curve(curve_of(TIMES_H, activity, own), DECAY, "mono")
    both = fit_curve(
        curve_of(TIMES_H, activity, np.hypot(own, common * activity), relative_std={"calibration": [common] * 7}),
        DECAY,
        "mono",
    )
    expected = math.hypot(alone.tia_std_bq_s, common * alone.tia_bq_s)
    assert both.tia_std_bq_s == pytest.approx(expected, rel=1e-9)
    assert both.parameters["lambda1_per_s"].std == pytest.approx(alone.parameters["lambda1_per_s"].std, rel=1e-9)
    assert both.tia_own_std_bq_s == pytest.approx(alone.tia_std_bq_s, rel=1e-9)
    assert any("share" in words for words in both.quality)


@pytest.mark.parametrize("model", ["uptake-clearance", "trapezoid"])
def test_what_all_points_share_does_not_stand_for_what_is_not_known(model):
    """Three points with nothing but a calibration uncertainty: the integral's own uncertainty stays unknown."""
    activity = np.array([50e6, 60e6, 20e6])
    curve = curve_of([1, 24, 96], activity, 0.05 * activity, relative_std={"calibration": [0.05] * 3})
    fit = fit_curve(curve, DECAY, model)
    assert fit.tia_std_bq_s == pytest.approx(0.05 * fit.tia_bq_s)
    assert fit.tia_own_std_bq_s is None
    assert any("not known, but for the part that all points share" in warning for warning in fit.warnings)
    with pytest.raises(InputError, match="no known uncertainty"):
        chain_inputs_of(fit)


@pytest.mark.parametrize("model", ["hanscheid", "physical", "madsen"])
def test_one_point_of_a_rising_curve_says_that_it_takes_it_to_fall(model):
    curve = curve_of([1, 24, 48], [5e6, 10e6, 20e6])
    fit = fit_curve(curve, DECAY, model, 40 * HOUR)
    assert any("still rises at the last point (48 h)" in warning for warning in fit.warnings)


def test_a_zero_uncertainty_is_set_aside_and_said():
    fit = fit_curve(curve_of([0, 24, 96], [60e6, 50e6, 20e6], np.array([0.0, 1e6, 1e6])), DECAY, "mono")
    assert any("uncertainty of zero" in warning for warning in fit.warnings)


@pytest.mark.parametrize("kind", ["parametric", "residual"])
def test_bootstrap_agrees_with_the_covariance(kind, rng):
    times_h = np.linspace(1, 200, 14)
    activity = 80e6 * np.exp(-0.02 * times_h) + 0.3e6 * rng.standard_normal(14)
    curve = curve_of(times_h, activity)
    fit = fit_curve(curve, DECAY, "mono")
    result = bootstrap_fit(curve, fit, DECAY, kind, samples=200, seed=4)
    assert result.tia_std_bq_s == pytest.approx(fit.tia_std_bq_s, rel=0.2)
    low, high = result.tia_interval_bq_s(0.95)
    assert low < fit.tia_bq_s < high
    assert high - low == pytest.approx(2 * 1.96 * fit.tia_std_bq_s, rel=0.25)
    again = bootstrap_fit(curve, fit, DECAY, kind, samples=200, seed=4)
    np.testing.assert_array_equal(again.tia_bq_s, result.tia_bq_s)


def test_bootstrap_says_what_it_needs():
    curve = curve_of([24, 96], [50e6, 20e6])
    with pytest.raises(InputError, match="as many points as parameters"):
        bootstrap_fit(curve, fit_curve(curve, DECAY, "mono"), DECAY)
    with pytest.raises(InputError, match="model with fitted parameters, found 'trapezoid'"):
        bootstrap_fit(curve, fit_curve(curve, DECAY, "trapezoid"), DECAY)


def test_one_point_with_a_two_parameter_model_names_the_single_time_point_methods():
    curve = curve_of([96], [20e6])
    for model in ("mono", "auto"):
        with pytest.raises(InputError, match=r"'kidney' has 1 time point.*hanscheid, madsen .* or physical"):
            fit_curve(curve, DECAY, model)


def test_more_parameters_than_points_are_refused_with_the_models_that_remain():
    with pytest.raises(InputError, match=r"has 3 time points, bi has 4 parameters.*mono, uptake-clearance"):
        fit_curve(curve_of([1, 24, 96], [60e6, 50e6, 20e6]), DECAY, "bi")


@pytest.mark.parametrize("activity", [[0.0, 0.0, 0.0], [5e6, -1e6, 1e6]], ids=["all zero", "negative"])
def test_curves_without_or_with_negative_activity_are_refused(activity):
    with pytest.raises(InputError, match="kidney"):
        fit_curve(curve_of([1, 24, 96], activity), DECAY)


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="'quad' is unknown; expected one of: auto, mono"):
        fit_curve(curve_of([1, 24], [2e6, 1e6]), DECAY, "quad")


@pytest.mark.parametrize("model", [name for name in FIT_MODELS if name not in ("hanscheid", "madsen", "physical")])
def test_a_curve_that_still_rises_says_what_tail_was_assumed(model):
    times_h = [1, 10, 24, 48, 72, 96, 120]
    fit = fit_curve(curve_of(times_h, np.array([10, 20, 30, 38, 44, 47, 50]) * 1e6), DECAY, model)
    rising = [warning for warning in fit.warnings if "still rises at the last point (120 h)" in warning]
    assert len(rising) == 1
    assert "a physical tail (half-life 160 h) was assumed" in rising[0]
    assert fit.curve.final_rate_per_s == pytest.approx(DECAY, rel=1e-6)


@pytest.mark.parametrize(
    ("method", "half_life_h", "tia"),
    [
        ("hanscheid", None, 20.0 * 2 * 96 / math.log(2)),
        ("madsen", 60.0, 20.0 * 2 ** (96 / 60) * 60 / math.log(2)),
        ("physical", None, 20.0 * 2 ** (96 / HALF_LIFE_H) * HALF_LIFE_H / math.log(2)),
    ],
)
def test_single_time_point_methods_have_a_curve_with_their_integral(method, half_life_h, tia):
    half_life_s = None if half_life_h is None else half_life_h * HOUR
    fit = fit_curve(curve_of([96], [20e6]), DECAY, method, half_life_s)
    assert fit.tia_bq_s / 3.6e9 == pytest.approx(tia, rel=1e-9)
    assert fit.curve.integral_bq_s() == pytest.approx(fit.tia_bq_s, rel=1e-12)
    assert fit.value(96 * HOUR) == pytest.approx(20e6, rel=1e-12)
    assert fit.tia_std_bq_s > 0


def test_a_single_time_point_method_says_which_of_several_points_it_used():
    fit = fit_curve(curve_of([4, 96, 400], [60e6, 20e6, 1e6]), DECAY, "hanscheid", 70 * HOUR)
    assert fit.tia_bq_s / 3.6e9 == pytest.approx(20.0 * 2 * 96 / math.log(2))
    assert any("that at 96 h of 3" in warning for warning in fit.warnings)


def test_madsen_asks_for_its_half_life():
    with pytest.raises(InputError, match="madsen' needs an effective half-life"):
        fit_curve(curve_of([96], [20e6]), DECAY, "madsen")


def test_a_half_life_that_a_model_does_not_use_is_said():
    fit = fit_curve(curve_of([1, 24, 96], [60e6, 50e6, 20e6]), DECAY, "mono", 60 * HOUR)
    assert any("is not used by the model 'mono'" in warning for warning in fit.warnings)


def test_the_gamma_uptake_of_shape_one_is_uptake_at_a_constant_rate():
    """P(1, x) = 1 − e^(−x): the difference of two exponentials."""
    gamma = GammaUptake(70e6, 1.0, 0.3 / HOUR, DECAY)
    pair = ExponentialSum(np.array([70e6, -70e6]), np.array([DECAY, DECAY + 0.3 / HOUR]))
    np.testing.assert_allclose(gamma.value(TIMES_H * HOUR), pair.value(TIMES_H * HOUR), rtol=1e-12)
    assert gamma.integral_bq_s() == pytest.approx(pair.integral_bq_s(), rel=1e-12)


@pytest.mark.parametrize("shape", [0.3, 1.0, 4.5, 60.0])
def test_the_derivative_of_the_incomplete_gamma_function_by_its_shape(shape):
    from scipy.special import gammainc

    x = np.array([0.0, 1e-3, 0.2, 1.0, 5.0, 30.0, 80.0, 500.0])
    step = 1e-5 * shape
    difference = (gammainc(shape + step, x) - gammainc(shape - step, x)) / (2 * step)
    np.testing.assert_allclose(gammainc_shape_derivative(shape, x), difference, atol=2e-9)


def test_the_engine_refuses_what_it_cannot_fit():
    model = exponential_model("mono", DECAY, [1.0, 2.0])
    with pytest.raises(InputError, match="2 parameters needs at least as many points, found 1"):
        least_squares_fit(model, [1.0], [1.0], None, [[1.0, 1.0]])
    with pytest.raises(InputError, match="above zero, one per point"):
        least_squares_fit(model, [1.0, 2.0], [2.0, 1.0], [1.0, 0.0], [[1.0, 1.0]])
    with pytest.raises(InputError, match="finite data"):
        least_squares_fit(model, [1.0, 2.0], [2.0, np.nan], None, [[1.0, 1.0]])


def test_shares_of_the_chain_add_up_and_follow_the_closed_form():
    """One volume in three links: counts, recovery and mass (Gear et al. 2018): (1 − 0.4 − 1)·8 % of the dose."""
    inputs = ChainInputs(
        volume=0.08,
        recovery=0.03,
        calibration=0.05,
        fit=0.04,
        s_value=0.02,
        recovery_by_volume=0.4,
        s_value_by_volume=-1,
    )
    result = dose_uncertainty(2.7e13, 7.6e-14, inputs)
    volume = (1 - 0.4 - 1) * 0.08
    expected = math.sqrt(volume**2 + 0.03**2 + 0.05**2 + 0.04**2 + 0.02**2)
    assert result.relative_std == pytest.approx(expected, rel=1e-12)
    assert result.dose_std_gy == pytest.approx(2.7e13 * 7.6e-14 * expected)
    assert sum(result.variance_shares.values()) == pytest.approx(1.0)
    assert result.variance_shares["calibration"] == pytest.approx(0.05**2 / expected**2)
    tia, s = result.stage_relative_std["time_integrated_activity"], result.stage_relative_std["s_value"]
    by_covariance = math.sqrt(tia**2 + s**2 + 2 * result.correlation * tia * s)
    assert result.relative_std == pytest.approx(by_covariance, rel=1e-12)
    assert result.correlation < 0


def test_the_chain_agrees_with_drawn_samples(rng):
    inputs = ChainInputs(volume=0.06, recovery=0.02, calibration=0.03, fit=0.04, model=0.01, s_value=0.02,
                         recovery_by_volume=0.3)  # fmt: skip
    cause = {name: np.exp(getattr(inputs, name) * rng.standard_normal(40_000)) for name in CAUSES}
    activity = cause["calibration"] * cause["volume"] / (cause["volume"] ** 0.3 * cause["recovery"])
    dose = activity * cause["fit"] * cause["model"] * cause["volume"] ** -1 * cause["s_value"]
    assert np.std(np.log(dose)) == pytest.approx(dose_uncertainty(1e13, 1e-13, inputs).relative_std, rel=0.02)


def test_the_chain_takes_its_parts_from_the_fit():
    activity = 80e6 * np.exp(-0.02 * TIMES_H)
    parts = {"calibration": [0.05] * 7, "volume": [0.1] * 7}
    std = np.hypot(0.02 * activity, math.hypot(0.05, 0.1) * activity)
    curve = curve_of(TIMES_H, activity, std, relative_std=parts)
    fit = fit_curve(curve, DECAY, "mono")
    inputs = chain_inputs_of(fit, s_value=0.01)
    assert inputs.calibration == pytest.approx(0.05)
    assert inputs.volume == pytest.approx(0.1)
    assert inputs.fit == pytest.approx(fit.tia_own_std_bq_s / fit.tia_bq_s)
    result = dose_uncertainty(fit.tia_bq_s, 1e-13, inputs)
    assert result.contributions["volume"] == pytest.approx(0.0)
    assert result.relative_std == pytest.approx(math.sqrt(0.05**2 + inputs.fit**2 + 0.01**2))


def test_the_chain_refuses_what_it_cannot_use():
    with pytest.raises(
        InputError, match="uncertainty of calibration must be a finite number, zero or more, found -0.1"
    ):
        ChainInputs(calibration=-0.1)
    with pytest.raises(InputError, match="S-value must be"):
        dose_uncertainty(1.0, math.nan, ChainInputs())
    curve = curve_of([24, 96], [50e6, 20e6])
    with pytest.raises(InputError, match="no known uncertainty"):
        chain_inputs_of(fit_curve(curve, DECAY, "mono"))


def test_points_after_all_has_decayed_are_taken_for_a_wrong_unit():
    with pytest.raises(InputError, match=r"75 physical half-lives after administration.*unit of time"):
        fit_curve(curve_of([1, 24, 75 * HALF_LIFE_H], [60e6, 50e6, 20e6]), DECAY, "mono")
