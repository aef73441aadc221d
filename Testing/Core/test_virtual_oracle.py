"""The oracle against patients drawn by brute force: mean, spread, coverage; and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.virtual_patients.anatomy import Anatomy, parametric_anatomy
from radiodosimetry.virtual_patients.kinetics import TRACERS, draw_kinetics, plateau_shape, rate_per_s
from radiodosimetry.virtual_patients.oracle import (
    COVERAGE,
    conditional_clearance,
    oracle_forecast,
    population_forecast,
    region_forecast,
)
from radiodosimetry.virtual_patients.tracers import RegionKinetics

HOUR_S = 3600.0
TIMES_S = (24 * HOUR_S, 48 * HOUR_S)
DRAWS = 2_000_000


@pytest.fixture(scope="module")
def patient() -> Anatomy:
    return parametric_anatomy(5, spacing_mm=(8.0, 8.0, 8.0))


def _brute_force(
    kinetics: RegionKinetics, scan_h: float, early_h: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Parts at the scan and at the later times of many regions of 100 mL, without decay."""
    first, second, third = rng.standard_normal((3, DRAWS))
    early = 100 * kinetics.early_per_ml * np.exp(kinetics.early_log_spread * first)
    joint = kinetics.correlation * first + math.sqrt(1 - kinetics.correlation**2) * second
    clearance = rate_per_s(kinetics.clearance_half_time_h, 0.0) * np.exp(-kinetics.clearance_log_spread * joint)
    uptake = np.full(DRAWS, rate_per_s(kinetics.uptake_half_time_h, 0.0)) * np.exp(-kinetics.uptake_log_spread * third)
    plateau = early / plateau_shape(early_h * HOUR_S, clearance, uptake)
    at_scan = plateau * plateau_shape(scan_h * HOUR_S, clearance, uptake)
    return at_scan, np.stack([plateau * plateau_shape(t, clearance, uptake) for t in TIMES_S])


@pytest.mark.parametrize(
    ("kinetics", "scan_h", "deviation"),
    [
        (TRACERS["cu64-antibody"].lesions["liver"], 1.0, 1.0),
        (TRACERS["cu64-antibody"].lesions["liver"], 1.0, -1.5),
        (TRACERS["cu64-antibody"].regions["liver"], 1.0, 0.7),
        (TRACERS["cu64-antibody"].regions["heart_contents"], 1.0, -0.5),
        (TRACERS["cu64-antibody"].lesions["liver"], 3.0, 1.0),  # another time than the tracer's own
        (RegionKinetics(1e-4, 0.5, 20.0, 0.6, 0.5, 0.3, -0.7), 4.0, 0.5),
    ],
)
def test_conditional_moments_are_those_of_patients_with_the_same_early_value(
    kinetics: RegionKinetics, scan_h: float, deviation: float, rng: np.random.Generator
) -> None:
    at_scan, later = _brute_force(kinetics, scan_h, 1.0, rng)
    logs = np.log(at_scan)
    wanted = float(np.exp(logs.mean() + deviation * logs.std()))
    near = np.abs(logs - math.log(wanted)) < 0.01
    # Within so narrow a window the later activity still scales with the early one.
    sample = later[:, near] * (wanted / at_scan[near])
    decay = Radionuclide("Cu-64").decay_constant_per_s
    forecast = region_forecast(
        "cu64-antibody",
        kinetics,
        100.0,
        1e9,
        1e9 * wanted * math.exp(-decay * scan_h * HOUR_S),
        scan_h * HOUR_S,
        TIMES_S,
    )
    left = 1e9 * np.exp(-decay * np.array(TIMES_S))
    error = sample.std(axis=1) / math.sqrt(near.sum())
    assert near.sum() > 2000
    assert np.all(np.abs(forecast.mean_bq / left - sample.mean(axis=1)) < 4.5 * error)
    assert forecast.std_bq / left == pytest.approx(sample.std(axis=1), rel=0.06)
    for bound, probability in ((forecast.lower_bq, (1 - COVERAGE) / 2), (forecast.upper_bq, (1 + COVERAGE) / 2)):
        below = np.mean(sample < (bound / left)[:, None], axis=1)
        assert below == pytest.approx(probability, abs=5 * 0.5 / math.sqrt(near.sum()))


def test_closed_form_and_bayes_rule_meet_at_the_tracers_own_time() -> None:
    lesion = TRACERS["cu64-antibody"].lesions["liver"]
    exact, nearly = (
        region_forecast("cu64-antibody", lesion, 20.0, 1e8, 1.5e4, HOUR_S + shift, TIMES_S) for shift in (0.0, 0.01)
    )
    assert nearly.mean_bq == pytest.approx(exact.mean_bq, rel=1e-4)
    assert nearly.std_bq == pytest.approx(exact.std_bq, rel=1e-4)
    assert nearly.median_bq == pytest.approx(exact.median_bq, rel=1e-3)


def test_conditional_clearance_is_the_closed_form() -> None:
    kinetics = RegionKinetics(1e-4, 0.5, 40.0, 0.3, 1.0, 0.0, 0.6)
    mean, spread = conditional_clearance(kinetics, 100.0, 1e-2 * math.exp(0.5 * 2.0))
    assert mean == pytest.approx(math.log(40.0) + 0.3 * 0.6 * 2.0)
    assert spread == pytest.approx(0.3 * 0.8)


@pytest.mark.parametrize("name", ["cu64-antibody", "cu64-dotatate"])
def test_over_patients_the_oracle_is_unbiased_covers_and_beats_the_population(patient: Anatomy, name: str) -> None:
    tracer = TRACERS[name]
    regions = ("liver", "spleen", "left_kidney", "lesion_1", "red_marrow", "remainder")
    population = population_forecast(tracer, patient, 1e8, TIMES_S)
    scores: dict[str, list[np.ndarray]] = {region: [] for region in regions}
    errors: dict[str, list[np.ndarray]] = {region: [] for region in regions}
    patients = 100
    for seed in range(patients):
        kinetics = draw_kinetics(tracer, patient, seed, 1e8)
        early = {region: kinetics.activity_bq(region, tracer.early_time_s) for region in kinetics.draws}
        oracle = oracle_forecast(tracer, patient, 1e8, early, tracer.early_time_s, TIMES_S)
        for region in regions:
            truth = kinetics.regions[region].value(TIMES_S)
            forecast = oracle[region]
            inside = (truth > forecast.lower_bq) & (truth < forecast.upper_bq)
            scores[region].append(np.stack([(truth - forecast.mean_bq) / forecast.std_bq, inside]))
            errors[region].append(np.stack([truth - forecast.mean_bq, truth - population[region].mean_bq]) ** 2)
    for region in regions:
        standard, inside = np.mean(scores[region], axis=0)
        assert np.all(np.abs(standard) < 4 / math.sqrt(patients)), region
        assert np.all(np.abs(inside - COVERAGE) < 4 * 0.47 / math.sqrt(patients)), region
        own, without = np.mean(errors[region], axis=0)
        assert np.all(own < without * (1.0 if region == "remainder" else 0.6)), region


def test_the_population_forecast_has_the_moments_of_its_patients(patient: Anatomy) -> None:
    tracer = TRACERS["cu64-antibody"]
    forecast = population_forecast(tracer, patient, 1e8, TIMES_S)
    draws = np.array(
        [
            [
                draw_kinetics(tracer, patient, seed, 1e8).regions[region].value(TIMES_S)
                for region in ("liver", "lesion_1")
            ]
            for seed in range(600)
        ]
    )
    for number, region in enumerate(("liver", "lesion_1")):
        sample = draws[:, number]
        error = forecast[region].std_bq / math.sqrt(600)
        assert np.all(np.abs(sample.mean(axis=0) - forecast[region].mean_bq) < 4 * error), region
        assert sample.std(axis=0) == pytest.approx(forecast[region].std_bq, rel=0.25), region
        inside = np.mean((sample > forecast[region].lower_bq) & (sample < forecast[region].upper_bq), axis=0)
        assert inside == pytest.approx(COVERAGE, abs=0.08)


def test_what_the_oracle_cannot_forecast_is_refused(patient: Anatomy) -> None:
    with pytest.raises(InputError, match="stays where it is"):
        population_forecast("y90-microspheres", patient, 1e9, TIMES_S)
    with pytest.raises(InputError, match="The early scan lacks the regions .*liver"):
        oracle_forecast("cu64-antibody", patient, 1e8, {}, HOUR_S, TIMES_S)
    with pytest.raises(InputError, match="Times must be finite numbers"):
        population_forecast("cu64-antibody", patient, 1e8, [math.nan])
    with pytest.raises(InputError, match="no clearance half-time"):
        conditional_clearance(RegionKinetics(1e-4, 0.1, math.inf), 1.0, 1e-4)
