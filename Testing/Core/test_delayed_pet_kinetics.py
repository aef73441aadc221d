"""Regions that spill into one another are told apart, and what becomes of them is found again."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient

torch = pytest.importorskip("torch")

from radiodosimetry.delayed_pet.kinetics_fit import fit_lines, patient_sums, tissues_of  # noqa: E402
from radiodosimetry.delayed_pet.normalisation import DecayNormalisation  # noqa: E402
from radiodosimetry.delayed_pet.ratio_inputs import ratio_inputs  # noqa: E402
from radiodosimetry.delayed_pet.spill_over import FWHM_PER_SIGMA, Response, SpillOver, unmix  # noqa: E402
from radiodosimetry.delayed_pet.tissue_kinetics import (  # noqa: E402
    SMALL_REGION_ML,
    SMOOTHING_MM,
    Lines,
    TissueKinetics,
    components,
)
from radiodosimetry.errors import FileFormatError, InputError  # noqa: E402

VOXEL_MM, RESOLUTION_MM = 4.0, 7.0
RESPONSE = Response(RESOLUTION_MM)
LARGE_ML = np.full(2, 1e9)


def _nested() -> tuple[np.ndarray, np.ndarray]:
    """A small sphere in a larger one in air, as zeros and ones (3, k, j, i), and their concentrations."""
    z, y, x = np.meshgrid(*(np.arange(32) - 15.5 for _ in range(3)), indexing="ij")
    distance = np.sqrt(z**2 + y**2 + x**2)
    places = np.stack([distance > 12, (distance <= 12) & (distance > 2.5), distance <= 2.5]).astype(np.float32)
    return places, np.array([0.0, 1.0, 8.0])


def _seen(places: np.ndarray, uptake: np.ndarray) -> np.ndarray:
    true = np.tensordot(uptake, places.astype(np.float64), axes=1)
    return gaussian_filter(true, RESOLUTION_MM / FWHM_PER_SIGMA / VOXEL_MM, mode="nearest").astype(np.float32)


def _lines(level: list[float], slope: list[float]) -> Lines:
    zero = np.zeros(len(level))
    return Lines(zero, np.array([level]), np.array([slope]), np.log(np.full((1, len(level)), 0.1)), np.eye(4)[:1])


def test_the_true_concentrations_come_back_from_a_blurred_scan() -> None:
    places, uptake = _nested()
    scan = _seen(places, uptake)
    assert scan[places[2] > 0].mean() < 0.75 * uptake[2]
    found = unmix(scan, places, np.arange(3), RESPONSE, VOXEL_MM)
    assert found.uptake[1:] == pytest.approx(uptake[1:], rel=0.02)
    assert found.uptake[0] == pytest.approx(0.0, abs=0.02)
    np.testing.assert_allclose(found.image_kji, scan, atol=0.1)
    np.testing.assert_allclose(found.fractions.sum(axis=0), 1.0, rtol=1e-4)


def test_a_later_scan_is_what_the_changed_regions_would_show() -> None:
    places, uptake = _nested()
    regions = unmix(_seen(places, uptake), places, np.arange(3), RESPONSE, VOXEL_MM)
    change = np.array([1.0, 0.5, 3.0])
    ratio = np.tensordot(change.astype(np.float32), regions.fractions, axes=1)
    later = _seen(places, uptake) * ratio
    wanted = _seen(places, uptake * change)
    body = places[0] == 0
    np.testing.assert_allclose(later[body], wanted[body], rtol=0.05)
    # without spill-over the small region's image is wrong by far more
    apart = unmix(_seen(places, uptake), places, np.arange(3), Response(0.0), VOXEL_MM)
    blunt = _seen(places, uptake) * np.tensordot(change.astype(np.float32), apart.fractions, axes=1)
    assert np.abs(blunt - wanted)[body].max() > 5 * np.abs(later - wanted)[body].max()


def test_a_wide_tail_is_a_gaussian_of_its_width() -> None:
    point = np.zeros((61, 63, 65), np.float32)
    point[30, 31, 32] = 1.0
    seen = Response(9.0, 0.25, 45.0).of(point, VOXEL_MM).astype(np.float64)
    assert seen.sum() == pytest.approx(1.0, abs=0.02)
    squares = [np.sum((np.arange(n) - c) ** 2 * seen.sum(axis=tuple({0, 1, 2} - {axis}))) for axis, (n, c) in enumerate(
        ((61, 30), (63, 31), (65, 32))
    )]
    wanted = (0.75 * 9.0**2 + 0.25 * 45.0**2) / FWHM_PER_SIGMA**2 / VOXEL_MM**2
    assert np.mean(squares) / seen.sum() == pytest.approx(wanted, rel=0.06)
    np.testing.assert_allclose(Response(9.0, 0.25).of(np.ones((20, 20, 20), np.float32), VOXEL_MM), 1.0, rtol=1e-4)


def test_without_resolution_every_region_is_its_own_mean() -> None:
    places, uptake = _nested()
    scan = _seen(places, uptake)
    found = unmix(scan, places, np.arange(3), Response(0.0), VOXEL_MM)
    assert found.uptake == pytest.approx([scan[one > 0].mean() for one in places], rel=1e-4, abs=1e-6)


def test_a_line_is_followed_as_far_as_it_was_seen_and_no_further() -> None:
    lines = _lines([0.0, 0.4], [0.0, -0.5])
    regions = SpillOver(np.zeros((2, 1, 1, 1), np.float32), np.array([1.0, math.e]), np.array([0, 1]), LARGE_ML)
    assert lines.log_ratios(regions, 1.0, [1.0]) == pytest.approx([0.0, -0.1])
    # twice the administered activity is no greater uptake
    assert lines.log_ratios(regions, math.e, [1.0])[1] == pytest.approx(0.4)
    far = SpillOver(regions.shares, np.array([1.0, 1e6]), regions.tissues, LARGE_ML)
    assert lines.log_ratios(far, 1.0, [1.0])[1] == pytest.approx(0.4 - 0.5 * 1.5)


def test_what_a_small_region_seems_to_hold_is_believed_by_its_size() -> None:
    lines = _lines([0.0, 0.4], [0.0, -0.5])
    for volume_ml, share in ((SMALL_REGION_ML, 0.5), (3 * SMALL_REGION_ML, 0.75), (0.0, 0.0)):
        regions = SpillOver(
            np.zeros((2, 1, 1, 1), np.float32), np.array([1.0, math.e]), np.array([0, 1]), np.array([1.0, volume_ml])
        )
        assert lines.log_ratios(regions, 1.0, [1.0])[1] == pytest.approx(0.4 - 0.5 * share)


def test_regions_know_their_volume() -> None:
    places, uptake = _nested()
    found = unmix(_seen(places, uptake), places, np.arange(3), RESPONSE, VOXEL_MM)
    assert found.volume_ml == pytest.approx([0.064 * one.sum() for one in places], rel=1e-5)


def test_smoothing_moves_no_activity_between_regions() -> None:
    places, uptake = _nested()
    scan = _seen(places, uptake)
    noisy = (scan * np.exp(np.random.default_rng(1).normal(0, 0.3, scan.shape))).astype(np.float32)
    model = unmix(noisy, places, np.arange(3), RESPONSE, VOXEL_MM).image_kji
    raw, fine, coarse, flat = components(noisy, model, (VOXEL_MM,) * 3)
    assert raw is noisy
    for image in (fine, coarse, flat):
        for place in places[1:]:
            assert float(image[place > 0].sum()) == pytest.approx(float(noisy[place > 0].sum()), rel=0.03)
    inner = gaussian_filter(places[1], 1.0) > 0.99
    # A Gaussian of σ voxels leaves (2 σ √π)^(−3/2) of the noise of independent voxels.
    left = [(2 * width / FWHM_PER_SIGMA / VOXEL_MM * math.sqrt(math.pi)) ** -1.5 for width in SMOOTHING_MM]
    found = [float((image[inner] / scan[inner]).std()) for image in (raw, fine, coarse)]
    assert np.array(found[1:]) / found[0] == pytest.approx(left, rel=0.3)


@pytest.fixture(scope="module")
def lines() -> tuple[tuple[str, ...], Lines]:
    patients = [toy_patient(300 + seed) for seed in range(40)]
    tissues = tissues_of(patients)
    sums = [patient_sums(one, ratio_settings(), [], tissues, 1.0, given=True) for one in patients]
    return tissues, fit_lines(sums, len(tissues))


def test_the_fit_finds_how_clearance_depends_on_early_uptake(lines: tuple[tuple[str, ...], Lines]) -> None:
    tissues, found = lines
    assert tissues == ("outside", "kidneys", "liver", "remainder", "spleen")
    organs = [tissues.index(name) for name in ("kidneys", "liver", "spleen")]
    # The toy patients' slope is −0.6; the prior holds it towards zero.
    assert -0.7 < found.slope[:, organs].mean() < -0.35
    assert found.level[0, organs] == pytest.approx([-1.0, 0.4, -0.2], abs=0.15)
    assert np.exp(found.log_std[:, organs]).max() < 0.2
    assert found.mixture.sum(axis=1) == pytest.approx(1.0)


def test_without_early_uptake_and_smoothing_the_lines_are_level(lines: tuple[tuple[str, ...], Lines]) -> None:
    patients = [toy_patient(300 + seed) for seed in range(6)]
    sums = [patient_sums(one, ratio_settings(), [], lines[0], 1.0, given=True) for one in patients]
    plain = fit_lines(sums, len(lines[0]), use_uptake=False, smooth=False)
    assert not plain.slope.any()
    assert plain.mixture.tolist() == [[1.0, 0.0, 0.0, 0.0]] * 2


def test_lines_fitted_to_voxels_alone_forecast_organs_less_well(lines: tuple[tuple[str, ...], Lines]) -> None:
    patients = [toy_patient(300 + seed) for seed in range(40)]
    sums = [patient_sums(one, ratio_settings(), [], lines[0], 1.0, given=True) for one in patients]
    voxels_alone = fit_lines(sums, len(lines[0]), fit_organs=False)
    organs = [lines[0].index(name) for name in ("kidneys", "liver", "spleen")]
    assert np.exp(voxels_alone.log_std[:, organs]).mean() > 1.05 * np.exp(lines[1].log_std[:, organs]).mean()


def test_kinetics_come_back_from_a_card(lines: tuple[tuple[str, ...], Lines]) -> None:
    tissues, found = lines
    kinetics = TissueKinetics(tissues, 3e8, {"own": found, "given": found})
    again = TissueKinetics.from_dict(kinetics.as_dict(), "m")
    assert again.as_dict() == kinetics.as_dict()
    assert again.activity_scale(6e8) == 2.0
    assert again.activity_scale(None) == 1.0
    with pytest.raises(FileFormatError, match="does not hold the kinetics of its tissues"):
        TissueKinetics.from_dict({}, "m")
    with pytest.raises(FileFormatError, match="do not fit together"):
        TissueKinetics.from_dict(kinetics.as_dict() | {"tissues": ["outside"]}, "m")


def test_patients_without_regions_cannot_teach() -> None:
    from dataclasses import replace

    with pytest.raises(InputError, match="has no regions"):
        tissues_of([replace(toy_patient(1), labels=None)])
    with pytest.raises(InputError, match="need training patients"):
        fit_lines([], 3)


def test_a_field_is_spread_to_a_finer_scan_linearly() -> None:
    patient = toy_patient(1)
    early = patient.scans[HOUR_S]
    inputs = ratio_inputs(early, HOUR_S, DecayNormalisation("Cu-64"), patient.ct, 20.0)
    k = np.arange(inputs.early_kji.shape[0], dtype=np.float32)[:, None, None]
    fine = inputs.spread(np.broadcast_to(k, inputs.early_kji.shape))
    assert fine.shape == early.geometry.shape_kji
    steps = np.diff(fine[:, 10, 12])[1:-1]
    assert steps == pytest.approx(0.5, abs=1e-5)
