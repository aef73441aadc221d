"""Kinetics and uptake of virtual patients: decay by construction, sums that are exact, the same draws every time."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.anatomy import Anatomy, parametric_anatomy
from radiodosimetry.virtual_patients.kinetics import TRACERS, PatientKinetics, draw_kinetics
from radiodosimetry.virtual_patients.tracers import RegionKinetics, tracer_named
from radiodosimetry.virtual_patients.uptake import ADMINISTRATION_TIME, activity_at, true_tia, uptake_map

HOUR_S = 3600.0


@pytest.fixture(scope="module")
def patient() -> Anatomy:
    return parametric_anatomy(5, spacing_mm=(6.0, 6.0, 6.0))


def test_the_tracers_are_those_promised() -> None:
    assert set(TRACERS) == {
        "lu177-dotatate", "lu177-psma-617", "y90-microspheres", "i131-iodide", "cu64-antibody", "cu64-dotatate",
    }  # fmt: skip
    for tracer in TRACERS.values():
        assert tracer.citations
        assert tracer.assumptions
        assert tracer.correlation_reason
        assert Radionuclide(tracer.nuclide).name == tracer.nuclide


@pytest.mark.parametrize("name", TRACERS)
def test_every_effective_rate_is_decay_plus_clearance(patient: Anatomy, name: str) -> None:
    kinetics = draw_kinetics(name, patient, 3)
    decay = Radionuclide(TRACERS[name].nuclide).decay_constant_per_s
    assert set(kinetics.regions) == set(patient.regions)
    for curve in kinetics.regions.values():
        assert curve.rates_per_s.min() >= decay
    for region, draw in kinetics.draws.items():
        assert kinetics.regions[region].rates_per_s[0] == pytest.approx(decay + draw.clearance_rate_per_s)


@pytest.mark.parametrize("name", TRACERS)
def test_the_early_fraction_is_what_the_region_holds_then(patient: Anatomy, name: str) -> None:
    kinetics, tracer = draw_kinetics(name, patient, 8, administered_bq=1e9), TRACERS[name]
    left = math.exp(-kinetics.decay_constant_per_s * tracer.early_time_s)
    for region, draw in kinetics.draws.items():
        held = kinetics.activity_bq(region, tracer.early_time_s)
        assert held == pytest.approx(1e9 * draw.early_fraction * left, rel=1e-9), region


def test_draws_are_log_normal_with_the_tracers_spread_and_correlation(patient: Anatomy) -> None:
    tracer, volume_ml = TRACERS["lu177-dotatate"], patient.volumes_ml["liver"]
    liver = tracer.regions["liver"]
    draws = [draw_kinetics(tracer, patient, seed, 1e9).draws["liver"] for seed in range(800)]
    early = np.log([draw.early_fraction for draw in draws])
    half_time = -np.log([draw.clearance_rate_per_s for draw in draws])
    error = 1 / math.sqrt(800)
    assert early.mean() == pytest.approx(math.log(volume_ml * liver.early_per_ml), abs=4 * error * early.std())
    assert early.std() == pytest.approx(liver.early_log_spread, rel=3 * error)
    assert half_time.std() == pytest.approx(liver.clearance_log_spread, rel=3 * error)
    assert np.corrcoef(early, half_time)[0, 1] == pytest.approx(liver.correlation, abs=4 * error)


def test_both_kidneys_take_up_alike_and_lesions_do_not(patient: Anatomy) -> None:
    kinetics, volumes = draw_kinetics("lu177-dotatate", patient, 1), patient.volumes_ml
    left, right = (kinetics.activity_bq(s, 1e5) / volumes[s] for s in ("left_kidney", "right_kidney"))
    assert left == pytest.approx(right)
    lesions = {round(kinetics.activity_bq(name, 1e5) / volumes[name], 3) for name in patient.lesions}
    assert len(lesions) == len(patient.lesions)


def test_the_same_seed_gives_the_same_draws_whatever_else_the_patient_has(patient: Anatomy) -> None:
    chest = parametric_anatomy(5, spacing_mm=(6.0, 6.0, 6.0), shape_kji=(40, 64, 85), middle_z_mm=100.0)
    whole, part = (draw_kinetics("cu64-antibody", a, 2, 1e8) for a in (patient, chest))
    assert whole.draws["liver"].clearance_rate_per_s == part.draws["liver"].clearance_rate_per_s
    assert whole.as_dict()["regions"] == draw_kinetics("cu64-antibody", patient, 2, 1e8).as_dict()["regions"]
    assert whole.draws["liver"] != draw_kinetics("cu64-antibody", patient, 3, 1e8).draws["liver"]


def test_microspheres_stay_where_they_are_and_are_all_there(patient: Anatomy) -> None:
    kinetics = draw_kinetics("y90-microspheres", patient, 0, 2e9)
    decay = Radionuclide("Y-90").decay_constant_per_s
    for hours in (0.0, 1.0, 100.0):
        assert kinetics.total_activity_bq(hours * HOUR_S) == pytest.approx(2e9 * math.exp(-decay * hours * HOUR_S))
    assert kinetics.activity_bq("spleen", 0.0) == 0
    outside = [lesion for lesion in patient.lesions if patient.lesion_site(lesion) != "liver"]
    assert all(kinetics.activity_bq(lesion, 0.0) == 0 for lesion in outside)
    pelvis = parametric_anatomy(5, spacing_mm=(8.0, 8.0, 8.0), shape_kji=(16, 48, 64), middle_z_mm=-280.0)
    with pytest.raises(InputError, match="the anatomy has none of them"):
        draw_kinetics("y90-microspheres", pelvis, 0)


def test_half_a_body_in_the_image_holds_less_of_the_remainder(patient: Anatomy) -> None:
    part = parametric_anatomy(5, spacing_mm=(6.0, 6.0, 6.0), shape_kji=(40, 64, 85))
    whole, cut = (draw_kinetics("lu177-psma-617", a, 0, 1e9) for a in (patient, part))
    concentration = [
        k.activity_bq("remainder", 9e4) / a.volumes_ml["remainder"] for k, a in ((whole, patient), (cut, part))
    ]
    assert cut.activity_bq("remainder", 9e4) < 0.7 * whole.activity_bq("remainder", 9e4)
    assert concentration[1] == pytest.approx(concentration[0], rel=0.15)


def test_kinetics_survive_json(patient: Anatomy) -> None:
    kinetics = draw_kinetics("i131-iodide", patient, 4)
    again = PatientKinetics.from_dict(json.loads(json.dumps(kinetics.as_dict())))
    assert again.administered_bq == kinetics.administered_bq
    assert again.draws == kinetics.draws
    for region in kinetics.regions:
        assert again.tia_bq_s(region) == kinetics.tia_bq_s(region)
    with pytest.raises(InputError, match="cannot be read"):
        PatientKinetics.from_dict({"tracer": "x"})


def test_more_than_can_be_given_is_scaled_down_and_said(patient: Anatomy) -> None:
    from dataclasses import replace

    tracer = TRACERS["lu177-dotatate"]
    greedy = replace(tracer, regions={**tracer.regions, "liver": RegionKinetics(5e-3, 0.0, 200.0)})
    kinetics = draw_kinetics(greedy, patient, 0, 1e9)
    assert sum(draw.plateau_fraction for draw in kinetics.draws.values()) == pytest.approx(0.97)
    assert any("scaled to 97 %" in warning for warning in kinetics.record.warnings)
    assert kinetics.total_activity_bq(0.0) <= 1e9 * (1 + 1e-12)


def test_what_cannot_be_a_tracer_is_refused(patient: Anatomy) -> None:
    with pytest.raises(InputError, match="Tracer 'gold' is unknown; expected one of: lu177-dotatate"):
        tracer_named("gold")
    with pytest.raises(InputError, match="A correlation must lie between -1 and 1, found 1.0"):
        RegionKinetics(1e-4, 0.1, 10.0, correlation=1.0)
    with pytest.raises(InputError, match="uptake from 0 h and below clearance; found 10.0 and 20.0"):
        RegionKinetics(1e-4, 0.1, 10.0, uptake_half_time_h=20.0)
    with pytest.raises(InputError, match="positive number of Bq, found 0.0"):
        draw_kinetics("cu64-antibody", patient, 0, 0.0)


@pytest.mark.parametrize("name", ["lu177-dotatate", "y90-microspheres", "cu64-antibody"])
def test_images_hold_the_activity_of_each_region_exactly(patient: Anatomy, name: str) -> None:
    kinetics = draw_kinetics(name, patient, 1)
    pattern = uptake_map(patient, kinetics, 2)
    image, tia = activity_at(patient, kinetics, pattern, 24 * HOUR_S), true_tia(patient, kinetics, pattern)
    assert image.quantity is Quantity.ACTIVITY_CONCENTRATION
    assert tia.quantity is Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
    assert image.time is not None
    assert (image.time - ADMINISTRATION_TIME).total_seconds() == 24 * HOUR_S
    voxel_ml = patient.ct.geometry.voxel_volume_ml
    for region in patient.regions:
        mask = patient.labels.mask(region)
        held = float(image.array_kji[mask].sum(dtype=np.float64)) * voxel_ml
        # float32 voxels
        assert held == pytest.approx(kinetics.activity_bq(region, 24 * HOUR_S), rel=1e-6)
        assert float(tia.array_kji[mask].sum(dtype=np.float64)) * voxel_ml == pytest.approx(
            kinetics.tia_bq_s(region), rel=1e-6
        )
        assert pattern.array_kji[mask].mean() == pytest.approx(1.0)
    assert not image.array_kji[patient.labels.array_kji == 0].any()


def test_the_time_integral_is_that_of_the_images(patient: Anatomy) -> None:
    kinetics = draw_kinetics("cu64-dotatate", patient, 1)
    times = np.concatenate([np.linspace(0, 4 * HOUR_S, 400), np.geomspace(4 * HOUR_S, 400 * HOUR_S, 1200)[1:]])
    for region in ("liver", "lesion_1", "remainder", "heart_contents"):
        area = np.trapezoid(kinetics.regions[region].value(times), times)
        assert kinetics.tia_bq_s(region) == pytest.approx(area, rel=2e-4), region


def test_uptake_has_cortex_and_medulla_fat_and_lumps(patient: Anatomy) -> None:
    kinetics = draw_kinetics("lu177-dotatate", patient, 1)
    pattern = uptake_map(patient, kinetics, 2).array_kji
    kidney = patient.labels.mask("left_kidney")
    assert pattern[kidney].std() > 0.15
    from scipy.ndimage import binary_erosion

    core = binary_erosion(kidney, iterations=2)
    assert pattern[core].mean() < 0.75 * pattern[kidney & ~core].mean()
    rest = patient.labels.mask("remainder")
    ct = patient.ct.array_kji
    assert pattern[rest & (ct < -70) & (ct > -140)].mean() < 0.5 * pattern[rest & (ct > 20) & (ct < 80)].mean()
    assert 0.05 < pattern[patient.labels.mask("liver")].std() < 0.3
    same, other = (uptake_map(patient, kinetics, seed).array_kji for seed in (2, 3))
    assert np.array_equal(pattern, same)
    assert not np.array_equal(pattern, other)


def test_some_large_lesions_have_a_core_that_takes_up_little(patient: Anatomy) -> None:
    kinetics = draw_kinetics("lu177-dotatate", patient, 1)
    largest = max(patient.lesions, key=lambda name: patient.volumes_ml[name])
    mask = patient.labels.mask(largest)
    darkest = [np.percentile(uptake_map(patient, kinetics, seed).array_kji[mask], 5) for seed in range(12)]
    assert min(darkest) < 0.3 < 0.5 < max(darkest)


def test_kinetics_of_another_patient_are_refused(patient: Anatomy) -> None:
    part = parametric_anatomy(5, spacing_mm=(8.0, 8.0, 8.0), shape_kji=(20, 48, 64), middle_z_mm=-250.0)
    foreign = draw_kinetics("cu64-antibody", part, 0)
    with pytest.raises(InputError, match="The kinetics lack the regions .*draw them for this anatomy"):
        uptake_map(patient, foreign, 0)
    own = draw_kinetics("cu64-antibody", patient, 0)
    with pytest.raises(InputError, match="seconds from 0, found -1"):
        activity_at(patient, own, uptake_map(patient, own, 0), -1.0)
