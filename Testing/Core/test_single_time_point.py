"""Single-time-point methods: closed forms, windows, expected errors, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from radiodosimetry.errors import InputError
from radiodosimetry.time_activity.single_time_point import (
    HANSCHEID_WINDOW,
    TOLERATED_ERROR,
    hanscheid,
    known_half_life,
    madsen,
    mono_exponential_tia_bq_s,
    physical,
    presumed_window_s,
)

HOUR = 3600.0
LU177 = 159.528 * HOUR
LN2 = math.log(2.0)


def test_true_time_integrated_activity_is_the_quadrature_of_the_exponential():
    half_life_s, time_s = 50 * HOUR, 24 * HOUR
    rate = LN2 / half_life_s
    start_bq = 3e6 * math.exp(rate * time_s)
    integral, _ = quad(lambda t: start_bq * math.exp(-rate * t), 0, 60 * half_life_s, limit=200)
    assert mono_exponential_tia_bq_s(time_s, 3e6, half_life_s) == pytest.approx(integral, rel=1e-9)


def test_hanscheid_is_activity_times_two_t_over_ln_two():
    found = hanscheid(96 * HOUR, 5e6, physical_half_life_s=LU177)
    assert found.tia_bq_s == pytest.approx(5e6 * 2 * 96 * HOUR / LN2, rel=1e-14)


@pytest.mark.parametrize(
    ("time_in_half_lives", "error"),
    [(0.75, 1.5 * 2**-0.75 - 1), (1.0, 0.0), (1 / LN2, 2 / (LN2 * math.e) - 1), (2.0, 0.0), (2.5, 5 * 2**-2.5 - 1)],
)
def test_hanscheids_error_is_that_of_the_closed_form(time_in_half_lives, error):
    half_life_s = 60 * HOUR
    found = hanscheid(
        time_in_half_lives * half_life_s, 1e6, physical_half_life_s=LU177, effective_half_life_s=half_life_s
    )
    assert found.error_if(half_life_s) == pytest.approx(error, abs=1e-12)
    assert not any("outside" in warning for warning in found.warnings)


def test_hanscheids_published_range_is_that_of_the_window():
    """Hänscheid 2018: within −12 and +6 % for 0.75 T < t < 2.5 T."""
    found = hanscheid(96 * HOUR, 1e6, physical_half_life_s=LU177)
    assert found.error_bounds[0] == pytest.approx(-0.116, abs=5e-4)
    assert found.error_bounds[1] == pytest.approx(+0.0615, abs=5e-5)


def test_hanscheids_expected_error_without_a_half_life_is_the_mean_square_over_its_window():
    def square(x: float) -> float:
        return (2 * x * 2**-x - 1) ** 2 / x

    first, last = HANSCHEID_WINDOW
    mean_square = quad(square, first, last)[0] / math.log(last / first)
    found = hanscheid(96 * HOUR, 1e6, physical_half_life_s=LU177)
    assert found.method_relative_std == pytest.approx(math.sqrt(mean_square), rel=1e-10)
    assert "lies between 38.4 h and 128 h; none was given" in found.warnings[0]


@pytest.mark.parametrize("time_h", [20.0, 160.0])
def test_hanscheid_warns_outside_its_window_with_the_error(time_h):
    found = hanscheid(time_h * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=50 * HOUR)
    error = 100 * found.error_if(50 * HOUR)
    assert found.window_s == pytest.approx((37.5 * HOUR, 125 * HOUR))
    assert any("outside the window of 37.5 h to 125 h" in text and f"{error:+.0f} %" in text for text in found.warnings)


def test_hanscheid_warns_later_than_any_half_life_allows():
    found = hanscheid(500 * HOUR, 1e6, physical_half_life_s=LU177)
    assert "later than 2.5 physical half-lives (399 h)" in found.warnings[0]
    assert found.error_bounds[1] < -0.116  # worse than anywhere in the window, even without clearance


def test_madsen_is_exact_for_the_population_and_follows_its_closed_form_beside_it():
    time_s, presumed_s = 70 * HOUR, 50 * HOUR
    found = madsen(time_s, 1e6, physical_half_life_s=LU177, effective_half_life_s=presumed_s)
    assert found.error_if(presumed_s) == pytest.approx(0.0, abs=1e-14)
    for true_s in (30 * HOUR, 45 * HOUR, 80 * HOUR):
        q, tau = presumed_s / true_s, LN2 * time_s / presumed_s
        assert found.error_if(true_s) == pytest.approx(q * math.exp(tau * (1 - q)) - 1, rel=1e-12)


def test_madsen_is_insensitive_at_the_mean_life():
    presumed_s = 50 * HOUR
    at_mean_life = madsen(presumed_s / LN2, 1e6, physical_half_life_s=LU177, effective_half_life_s=presumed_s)
    early = madsen(10 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=presumed_s)
    assert abs(at_mean_life.error_if(1.01 * presumed_s)) < 1e-4
    assert abs(early.error_if(1.01 * presumed_s)) > 5e-3
    assert at_mean_life.method_relative_std < early.method_relative_std


def test_expected_error_is_that_of_a_sampled_population(rng):
    presumed_s, spread = 50 * HOUR, 0.2
    found = madsen(
        24 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=presumed_s, half_life_relative_std=spread
    )
    width = math.sqrt(math.log1p(spread**2))
    half_lives_s = np.minimum(presumed_s * np.exp(width * rng.standard_normal(200_000)), LU177)
    errors = found.tia_bq_s / np.array([mono_exponential_tia_bq_s(24 * HOUR, 1e6, t) for t in half_lives_s]) - 1
    assert found.method_relative_std == pytest.approx(math.sqrt(np.mean(errors**2)), rel=0.01)
    assert found.warnings[-1].startswith("The scan at 24 h lies outside the window")


def test_presumed_half_life_errs_by_the_tolerated_share_at_the_edges_of_its_window():
    half_life_s, spread = 50 * HOUR, 0.2
    window_s = presumed_window_s(half_life_s, spread, LU177)
    assert window_s is not None
    for inside in np.linspace(*window_s, 21):
        found = madsen(
            inside, 1e6, physical_half_life_s=LU177, effective_half_life_s=half_life_s, half_life_relative_std=spread
        )
        errors = [found.error_if(half_life_s * (1 - spread)), found.error_if(half_life_s * (1 + spread))]
        assert max(map(abs, errors)) <= TOLERATED_ERROR + 1e-9
        assert len(found.warnings) == 0
    for outside in (0.98 * window_s[0], 1.02 * window_s[1]):
        found = madsen(
            outside, 1e6, physical_half_life_s=LU177, effective_half_life_s=half_life_s, half_life_relative_std=spread
        )
        errors = [found.error_if(half_life_s * (1 - spread)), found.error_if(half_life_s * (1 + spread))]
        assert max(map(abs, errors)) > TOLERATED_ERROR
        assert "outside the window" in found.warnings[0]


def test_a_half_life_too_uncertain_has_no_window():
    found = madsen(
        70 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=50 * HOUR, half_life_relative_std=0.6
    )
    assert found.window_s is None
    assert "no scan time keeps the error below 10 %" in found.warnings[0]


def test_prior_cycle_is_narrower_than_a_population_and_says_what_it_assumed():
    known = known_half_life(70 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=50 * HOUR)
    population = madsen(70 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=50 * HOUR)
    assert known.tia_bq_s == population.tia_bq_s
    assert known.method_relative_std < population.method_relative_std
    assert "10 % (1 σ) was assumed" in known.warnings[0]
    assert "25 % (1 σ) was assumed" in population.warnings[0]


def test_a_known_half_life_without_spread_is_exact():
    found = known_half_life(
        24 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=50 * HOUR, half_life_relative_std=0.0
    )
    assert found.method_relative_std == pytest.approx(0.0, abs=1e-12)
    assert found.warnings == ()


def test_physical_decay_is_the_known_half_life_of_the_nuclide_and_says_its_error():
    found = physical(96 * HOUR, 1e6, physical_half_life_s=LU177)
    assert found.tia_bq_s == pytest.approx(mono_exponential_tia_bq_s(96 * HOUR, 1e6, LU177), rel=1e-14)
    error = 100 * found.error_if(LU177 / 2)
    assert found.warnings[0].startswith("Only physical decay was assumed")
    assert "79.8 h instead" in found.warnings[1]
    assert f"{error:+.0f} %" in found.warnings[1]
    assert found.error_bounds[0] == pytest.approx(0.0, abs=1e-12)
    assert found.error_bounds[1] >= found.error_if(LU177 / 2) > 0.3


def test_physical_decay_with_a_guess_tells_the_error_of_the_guess():
    found = physical(96 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=50 * HOUR)
    assert f"50 h it is in error by {100 * found.error_if(50 * HOUR):+.0f} %" in found.warnings[-1]


def test_uncertainty_of_the_activity_joins_that_of_the_method():
    found = hanscheid(96 * HOUR, 1e6, physical_half_life_s=LU177, activity_std_bq=5e4)
    assert found.relative_std == pytest.approx(math.hypot(found.method_relative_std, 0.05), rel=1e-12)


def test_no_true_half_life_is_taken_longer_than_the_physical_one():
    found = known_half_life(
        400 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=LU177, half_life_relative_std=0.2
    )
    assert found.error_bounds[1] == pytest.approx(0.0, abs=1e-12)  # only shorter half-lives err, so late downwards
    assert found.error_if(0.8 * LU177) == pytest.approx(found.error_bounds[0], rel=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: hanscheid(0.0, 1e6, physical_half_life_s=LU177), "finite time_s above zero, found 0"),
        (lambda: hanscheid(HOUR, 0.0, physical_half_life_s=LU177), "finite activity_bq above zero, found 0"),
        (lambda: physical(-1.0, 1e6, physical_half_life_s=LU177), "must not precede the administration"),
        (
            lambda: madsen(HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=200 * HOUR),
            "effective half-life of 200 h is longer than the physical one of 160 h",
        ),
        (
            lambda: madsen(HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=HOUR, half_life_relative_std=1),
            "relative spread of the half-life must be from 0 to below 1, found 1",
        ),
        (
            lambda: known_half_life(math.nan, 1e6, physical_half_life_s=LU177, effective_half_life_s=HOUR),
            "must not precede the administration, found a time of nan s",
        ),
        (
            lambda: hanscheid(HOUR, 1e6, physical_half_life_s=LU177, activity_std_bq=-1.0),
            "uncertainty of the activity must not be negative",
        ),
    ],
)
def test_impossible_numbers_are_refused_by_name(call, text):
    with pytest.raises(InputError, match=text.replace("(", r"\(")):
        call()


def test_a_half_life_in_the_wrong_unit_is_an_error_not_an_overflow():
    with pytest.raises(InputError, match="effective half-lives of 0.01 h after the administration; expected far fewer"):
        madsen(96 * HOUR, 1e6, physical_half_life_s=LU177, effective_half_life_s=36.0)
