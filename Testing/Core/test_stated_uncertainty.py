"""The uncertainty that a model states: geometry against closed forms, the fit against errors of a known law."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import Generator

pytest.importorskip("torch", reason="networks need PyTorch")
pytest.importorskip("monai", reason="networks need MONAI")

from toy_dose_patients import toy_patient

from radiodosimetry.errors import InputError
from radiodosimetry.learned_dose.stated_uncertainty import (
    FEWEST_PATIENTS,
    FEWEST_REGIONS,
    LEAST_FLOOR,
    ErrorModel,
    Errors,
    StatedUncertainty,
    calibrated,
    coverage,
    fitted,
    patient_errors,
    slope_gy_per_mm,
    surface_over_volume_per_mm,
)


def errors_of(rng: Generator, model: ErrorModel, count: int, noise: float = 0.0, spread: bool = True) -> Errors:
    """Normal errors of the size that a model says, of doses over two decades; noise of unequal size."""
    dose = 10 ** rng.uniform(-1, 1, count)
    change, edge = dose * rng.exponential(0.2, count), dose * rng.exponential(0.1, count)
    spreads = dose * rng.exponential(0.02, count) if spread else np.zeros(count)
    noises = noise * dose * rng.uniform(0.3, 1.7, count)
    sigma = np.hypot(model.sigma_gy(dose, change, edge, spreads), noises)
    return Errors(sigma * rng.standard_normal(count), dose, change, edge, spreads, noises)


@pytest.mark.parametrize("radius_mm", [16.0, 32.0])
def test_the_surface_of_a_ball_over_its_volume_is_three_over_its_radius(radius_mm: float) -> None:
    spacing = (2.0, 2.5, 4.0)
    axes = [(np.arange(-22, 23)) * step for step in reversed(spacing)]
    k, j, i = np.meshgrid(*axes, indexing="ij")
    ball = k**2 + j**2 + i**2 <= radius_mm**2
    assert surface_over_volume_per_mm(ball, spacing) == pytest.approx(3 / radius_mm, rel=0.03)


def test_a_region_at_the_border_of_the_image_has_a_surface_there_and_an_empty_one_has_none() -> None:
    whole = np.ones((5, 4, 3), dtype=bool)
    assert surface_over_volume_per_mm(whole, (1, 2, 4)) == pytest.approx(2 / 3 * (2 / 3 + 2 / 8 + 2 / 20))
    assert surface_over_volume_per_mm(~whole, (1, 2, 4)) == 0.0


def test_the_slope_of_a_plane_is_its_gradient_with_unequal_voxels() -> None:
    k, j, i = np.meshgrid(np.arange(6) * 4.0, np.arange(5) * 2.0, np.arange(7) * 1.0, indexing="ij")
    dose = 0.3 * k + 0.4 * j + 1.2 * i
    np.testing.assert_allclose(slope_gy_per_mm(dose, (1.0, 2.0, 4.0)), 1.3, rtol=1e-5)
    np.testing.assert_allclose(slope_gy_per_mm(dose[:1], (1.0, 2.0, 4.0)), np.hypot(0.4, 1.2), rtol=1e-5)


@pytest.mark.parametrize(
    "law",
    [
        ErrorModel(floor=0.05),
        ErrorModel(change=0.4),
        ErrorModel(shift_mm=0.8),
        ErrorModel(floor=0.02, change=0.3, shift_mm=0.5, spread=2.0),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_known_law_of_errors_is_found_again_and_holds_fresh_errors(
    rng: Generator, law: ErrorModel, noise: float
) -> None:
    spread = law.spread > 0
    found = fitted([errors_of(rng, law, 5000, noise, spread) for _ in range(4)])
    fresh = errors_of(rng, law, 20_000, noise, spread)
    np.testing.assert_allclose(np.median(found.of(fresh) / law.of(fresh)), 1.0, rtol=0.05)
    held = coverage(found, fresh)
    assert held["within_1_sigma"] == pytest.approx(0.6827, abs=0.015)
    assert held["within_2_sigma"] == pytest.approx(0.9545, abs=0.015)
    assert (found.count, found.patients) == (20_000, 4)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 1.0])
@pytest.mark.parametrize("count", [30, 1000])
def test_errors_that_the_truths_noise_explains_leave_little_to_state_and_never_nothing(
    rng: Generator, share: float, count: int
) -> None:
    patients = [errors_of(rng, ErrorModel(), count, noise=0.1) for _ in range(4)]
    for one in patients:
        one.error_gy[:] *= share
    found = fitted(patients)
    assert found.floor >= LEAST_FLOOR
    assert coverage(found, Errors.together(patients))["median_sigma_percent"] < (8.0 if count == 30 else 4.0)


def test_a_patient_unlike_the_others_widens_the_interval(rng: Generator) -> None:
    alike = [errors_of(rng, ErrorModel(floor=0.05), 200) for _ in range(3)]
    other = errors_of(rng, ErrorModel(floor=0.5), 400)
    assert fitted([*alike, other]).floor > 1.3 * fitted([*alike, alike[0]]).floor


def test_doses_of_another_unit_have_the_same_relative_uncertainty(rng: Generator) -> None:
    errors = errors_of(rng, ErrorModel(0.02, 0.3, 0.5), 500, spread=False)
    found = fitted([errors, errors])
    thousandfold = fitted([Errors(*(1000.0 * values for values in vars(errors).values()))] * 2)
    assert vars(thousandfold) == pytest.approx(vars(found), rel=1e-3, abs=1e-6)


def test_errors_of_a_patient_are_those_of_its_regions_and_voxels() -> None:
    patient = toy_patient(1)
    truth = patient.label_gy.astype(np.float64)
    regions, voxels = patient_errors(patient, 1.1 * truth, None, {})
    assert regions.count == len(patient.regions)
    np.testing.assert_allclose(regions.error_gy, regions.dose_gy / 11, rtol=1e-6)
    np.testing.assert_allclose(voxels.error_gy, voxels.dose_gy / 11, rtol=1e-5)
    assert not regions.spread_gy.any()
    assert (regions.edge_gy_per_mm > 0).all()
    stated = calibrated([(regions, voxels)] * (FEWEST_REGIONS // regions.count + 1))
    assert stated is not None
    assert coverage(stated.regions, regions)["within_1_sigma"] > 0.68
    assert stated.regions.of(regions) == pytest.approx(np.abs(regions.error_gy), rel=0.2)
    assert StatedUncertainty.from_dict(stated.as_dict()) == stated


def test_too_few_patients_and_regions_and_bad_numbers_calibrate_nothing_and_the_log_says_why(
    rng: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    enough = errors_of(rng, ErrorModel(0.1), FEWEST_REGIONS)
    for few in ([], [(enough, enough)] * (FEWEST_PATIENTS - 1), [(errors_of(rng, ErrorModel(0.1), 3), enough)] * 2):
        assert calibrated(few) is None
    assert caplog.text.count("it takes 20 regions of 2 patients") == 3
    assert "found 6 of 2" in caplog.text
    bad = errors_of(rng, ErrorModel(0.1), FEWEST_REGIONS)
    bad.error_gy[3] = np.nan
    assert calibrated([(enough, enough), (enough, bad)]) is None
    assert "finite errors of doses above zero" in caplog.text


@pytest.mark.parametrize("wrong", [-0.1, np.nan, np.inf])
def test_numbers_that_make_no_uncertainty_are_refused(wrong: float) -> None:
    with pytest.raises(InputError, match="finite numbers from zero on"):
        ErrorModel(change=wrong)


def test_voxels_without_dose_have_no_uncertainty() -> None:
    stated = StatedUncertainty(ErrorModel(floor=0.1), ErrorModel(floor=0.1, shift_mm=1.0))
    dose = np.zeros((4, 4, 4), dtype=np.float32)
    dose[1:3] = 2.0
    relative = stated.of_voxels(dose, dose, (2.0, 2.0, 2.0))
    assert relative.dtype == np.float32
    np.testing.assert_array_equal(relative > 0, dose > 0)
    assert relative.max() == pytest.approx(np.hypot(0.1, 0.5 / 2.0), rel=1e-5)  # slope 2 Gy over two voxels of 2 mm
