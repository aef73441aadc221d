"""Simulated SPECT and PET: what comes back is what was there, as far as noise and resolution let it."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import numpy as np
import pytest

from radiodosimetry.errors import GeometryMismatchError, InputError, MissingDependencyError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients import centred_geometry
from radiodosimetry.virtual_patients.attenuation import photon_map
from radiodosimetry.virtual_patients.gamma_camera import COLLIMATORS, PHOTOPEAKS, window_share
from radiodosimetry.virtual_patients.pet import PetSettings, simulate_pet
from radiodosimetry.virtual_patients.pytomography_import import pytomography_module
from radiodosimetry.virtual_patients.rotating_camera import CameraGrid
from radiodosimetry.virtual_patients.scatter import _towards_detector, scatter_kernel
from radiodosimetry.virtual_patients.shapes import Ellipsoid, EllipticCylinder
from radiodosimetry.virtual_patients.spect import SpectSettings, calibration_factor, simulate_spect

GRID = centred_geometry((20, 32, 32), (8.0, 8.0, 8.0))
BODY = EllipticCylinder((0, 0, 0), (100.0, 90.0), 120.0)
INNER = EllipticCylinder((0, 0, 0), (70.0, 60.0), 60.0)
SPHERE = Ellipsoid((40.0, 0.0, 0.0), (20.0, 20.0, 20.0))
BQ_PER_ML = 1e5

QUICK = SpectSettings(counts=1e7, angles=32, iterations=6, subsets=8)


@pytest.fixture(scope="module", autouse=True)
def _pytomography() -> None:
    try:
        pytomography_module()
    except MissingDependencyError as error:
        pytest.skip(str(error))


def inside(solid: object, grid: VolumeGeometry = GRID) -> np.ndarray:
    k, j, i = np.meshgrid(*(np.arange(count) for count in grid.shape_kji), indexing="ij")
    matrix = grid.ijk_to_lps
    position_mm = np.stack([i, j, k], axis=-1) @ matrix[:3, :3].T + matrix[:3, 3]
    return np.asarray(solid.contains(position_mm))  # type: ignore[attr-defined]


def water_ct() -> QuantitativeVolume:
    return QuantitativeVolume(np.where(inside(BODY), 0, -1000).astype(np.int16), GRID, Quantity.CT_NUMBER)


def activity(sphere_factor: float = 1.0) -> QuantitativeVolume:
    array = inside(BODY) * BQ_PER_ML
    array[inside(SPHERE)] *= sphere_factor
    return QuantitativeVolume(array.astype(np.float32), GRID, Quantity.ACTIVITY_CONCENTRATION)


def mean_ratio(image: QuantitativeVolume, truth: QuantitativeVolume, solid: object) -> float:
    mask = inside(solid)
    return float(image.array_kji[mask].mean() / truth.array_kji[mask].mean())


def test_spect_of_a_uniform_cylinder_returns_its_activity() -> None:
    truth = activity()
    image = simulate_spect(truth, water_ct(), replace(QUICK, scatter=False), seed=1)
    assert image.quantity is Quantity.ACTIVITY_CONCENTRATION
    assert image.geometry.same_grid(GRID)
    assert mean_ratio(image, truth, INNER) == pytest.approx(1.0, abs=0.01)
    assert image.array_kji.sum() == pytest.approx(truth.array_kji.sum(), rel=0.01)


def test_a_calibrated_camera_is_right_in_a_body_that_is_not_its_phantom() -> None:
    truth = activity()
    image = simulate_spect(truth, water_ct(), QUICK, seed=1)
    assert 0.08 < image.record.parameters["scatter_share"] < 0.3
    # Triple windows under-estimate scatter that peaks at small angles: uncalibrated, the image would be too bright.
    factor = image.record.parameters["calibration_factor"]
    assert 1.03 < factor < 1.08
    assert mean_ratio(image, truth, INNER) == pytest.approx(1.0, abs=0.02)


def test_calibration_knows_the_settings_but_not_the_counts() -> None:
    assert calibration_factor(QUICK) == calibration_factor(replace(QUICK, counts=2e6))
    assert calibration_factor(replace(QUICK, scatter=False)) == pytest.approx(1.0, abs=0.005)
    assert calibration_factor(replace(QUICK, nuclide="Tc-99m", subsets=8)) > calibration_factor(QUICK) + 0.01


def test_counts_are_those_asked_for() -> None:
    image = simulate_spect(activity(), water_ct(), replace(QUICK, iterations=1), seed=3)
    assert image.record.parameters["counted"] == pytest.approx(1e7, abs=5 * np.sqrt(1e7))


def test_resolution_recovery_gives_back_more_of_a_small_sphere() -> None:
    truth = activity(sphere_factor=10.0)
    with_recovery = mean_ratio(simulate_spect(truth, water_ct(), QUICK, seed=1), truth, SPHERE)
    without = replace(QUICK, resolution_recovery=False)
    assert mean_ratio(simulate_spect(truth, water_ct(), without, seed=1), truth, SPHERE) < with_recovery - 0.05
    assert 0.6 < with_recovery < 1.0


def test_same_seed_same_image_and_scaled_activity_scaled_image() -> None:
    quick = replace(QUICK, iterations=1)
    first = simulate_spect(activity(), water_ct(), quick, seed=7).array_kji
    again = simulate_spect(activity(), water_ct(), quick, seed=7).array_kji
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, simulate_spect(activity(), water_ct(), quick, seed=8).array_kji)
    double = activity().with_array(activity().array_kji * np.float32(2))
    np.testing.assert_allclose(simulate_spect(double, water_ct(), quick, seed=7).array_kji, 2 * first, rtol=1e-4)


def test_noise_falls_with_the_root_of_the_counts() -> None:
    truth, mask, spread = activity(), inside(INNER), []
    for counts in (1e6, 1.6e7):
        settings = replace(QUICK, counts=counts, scatter=False, iterations=3, resolution_recovery=False)
        pair = [simulate_spect(truth, water_ct(), settings, seed).array_kji[mask] for seed in (1, 2)]
        spread.append(np.std(pair[0] - pair[1]))
    assert spread[0] / spread[1] == pytest.approx(4.0, rel=0.15)


def test_pet_of_a_uniform_cylinder_returns_its_activity_whatever_the_noise() -> None:
    truth, mask, spread = activity(), inside(INNER), []
    for counts in (1e6, 1.6e7):
        settings = PetSettings(counts=counts, angles=32, subsets=8, iterations=4)
        pair = [simulate_pet(truth, water_ct(), settings, seed) for seed in (1, 2)]
        assert mean_ratio(pair[0], truth, INNER) == pytest.approx(1.0, abs=0.01)
        spread.append(np.std(pair[0].array_kji[mask] - pair[1].array_kji[mask]))
    assert spread[0] / spread[1] == pytest.approx(4.0, rel=0.15)


def test_pet_resolution_is_that_of_detector_and_filter() -> None:
    grid = centred_geometry((15, 48, 48), (2.0, 2.0, 2.0))
    array = np.zeros(grid.shape_kji, np.float32)
    array[7, 24, 30] = 1e6
    truth = QuantitativeVolume(array, grid, Quantity.ACTIVITY_CONCENTRATION)
    ct = QuantitativeVolume(np.full(grid.shape_kji, -1000, np.int16), grid, Quantity.CT_NUMBER)
    ct = ct.with_array(np.where(inside(EllipticCylinder((0, 0, 0), (40, 40), 100), grid), 0, -1000).astype(np.int16))
    settings = PetSettings(counts=1e8, angles=48, subsets=8, iterations=10, randoms_per_true=0, scatter_fraction=0)
    image = simulate_pet(truth, ct, settings, 1).array_kji.astype(np.float64)
    near = image[2:13, 19:30, 25:36]
    for axis in range(3):
        profile = near.sum(axis=tuple(other for other in range(3) if other != axis))
        place = 2.0 * (np.arange(len(profile)) - len(profile) // 2)
        fwhm_mm = 2.355 * np.sqrt(np.sum(profile * place**2) / profile.sum())
        assert fwhm_mm == pytest.approx(np.hypot(5.0, 5.0), rel=0.08)


def test_scatter_kernel_holds_the_closed_form_of_one_scattering() -> None:
    energy_kev, window = 208.4, PHOTOPEAKS["Lu-177"].window_kev
    grid = CameraGrid(26, 26, 8.0, 8.0)
    kernel = scatter_kernel(grid, energy_kev, window)
    line = np.arange(-25, 26) * 8.0
    distance = np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2)
    radius_mm, per_mm = 150.0, 0.1 * 0.13384  # XCOM water at 208.4 keV without coherent scattering
    cosines = np.linspace(-1, 1, 20001)
    per_length = 2 * np.pi * np.trapezoid(_towards_detector(cosines, energy_kev, window), cosines)
    expected = per_length * (1 - np.exp(-per_mm * radius_mm)) / per_mm
    assert kernel[distance < radius_mm].sum() == pytest.approx(expected, rel=0.03)


def test_a_window_counts_what_the_energy_resolution_lets_it() -> None:
    sigma_kev = 0.099 * np.sqrt(140.5 * 208.4) / 2.35482
    share = math.erf(20.84 / sigma_kev / math.sqrt(2))
    assert window_share(208.4, PHOTOPEAKS["Lu-177"].window_kev) == pytest.approx(share, abs=1e-5)
    assert window_share(187.56, PHOTOPEAKS["Lu-177"].window_kev) == pytest.approx(0.5, abs=0.01)


def test_blur_of_a_collimator_at_its_face_and_ten_centimetres_away() -> None:
    lead_per_mm = PHOTOPEAKS["Tc-99m"].lead_attenuation_per_mm
    effective_mm = 24.05 - 2 / lead_per_mm
    expected = np.hypot(1.11 * (effective_mm + 110) / effective_mm, 4.5)
    assert COLLIMATORS["lehr"].fwhm_mm(100.0, lead_per_mm) == pytest.approx(expected)
    at_face, away = COLLIMATORS["megp"].fwhm_mm(np.array([0.0, 200.0]), PHOTOPEAKS["Lu-177"].lead_attenuation_per_mm)
    assert at_face < away / 2


def test_attenuation_of_water_and_bone_comes_from_the_media() -> None:
    grid = VolumeGeometry((1, 1, 2), (4.0, 4.0, 4.0))
    ct = QuantitativeVolume(np.array([[[10, 1200]]], np.int16), grid, Quantity.CT_NUMBER)
    soft, bone = photon_map(ct, 208.4).attenuation_per_mm_kji[0, 0]
    assert soft == pytest.approx(0.1 * 0.1338 * 1.03, rel=0.02)
    assert bone > 1.4 * soft


def test_what_cannot_be_scanned_is_refused() -> None:
    truth, ct = activity(), water_ct()
    with pytest.raises(InputError, match="SPECT of Cu-64 is not simulated; expected one of Tc-99m, Lu-177, I-131"):
        SpectSettings(nuclide="Cu-64")
    with pytest.raises(InputError, match="Choose a number of subsets that divides the angles"):
        SpectSettings(angles=60, subsets=8)
    with pytest.raises(InputError, match="There is no collimator 'pinhole'; expected one of lehr, megp, hegp"):
        SpectSettings(collimator="pinhole")
    with pytest.raises(InputError, match="counts of a PET must be a positive number, found 0"):
        PetSettings(counts=0)
    with pytest.raises(UnitError, match="A scan needs a CT in HU"):
        simulate_spect(truth, truth, QUICK, 1)
    with pytest.raises(InputError, match="must not be negative and not be zero everywhere"):
        simulate_spect(truth.with_array(-truth.array_kji), ct, QUICK, 1)
    other = QuantitativeVolume(ct.array_kji[1:], centred_geometry((19, 32, 32), (8.0,) * 3), Quantity.CT_NUMBER)
    with pytest.raises(GeometryMismatchError, match="The activity and the CT have different grids"):
        simulate_pet(truth, other, PetSettings(), 1)
    flat = centred_geometry((20, 32, 32), (8.0, 4.0, 8.0))
    with pytest.raises(InputError, match="voxels as long along i as along j, found 8 × 4 mm"):
        simulate_spect(replace(truth, geometry=flat), replace(ct, geometry=flat), QUICK, 1)


def test_without_pytomography_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytomography", None)
    with pytest.raises(MissingDependencyError, match=r"install the extra 'simulation': pip install '.*\[simulation\]'"):
        simulate_spect(activity(), water_ct(), QUICK, 1)
