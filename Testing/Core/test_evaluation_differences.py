"""Errors, correlation, profiles and Bland-Altman against closed forms."""

import numpy as np
import pytest

from radiodosimetry.errors import GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.evaluation import (
    axis_profile,
    bland_altman,
    compare_doses,
    comparison_csv,
    line_profile,
    mean_absolute_error_percent,
    mean_error_percent,
    normalized_root_mean_square_error,
    pearson_correlation,
    relative_error_map_percent,
    voxel_mean_absolute_error_percent,
)
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity


def dose_of(array, quantity=Quantity.ABSORBED_DOSE, **geometry):
    array = np.asarray(array, dtype=float)
    return QuantitativeVolume(array, VolumeGeometry(array.shape, (2.0, 3.0, 4.0), **geometry), quantity)


def test_mean_error_is_signed_and_relative_to_the_reference():
    assert mean_error_percent(2.0, 1.9) == pytest.approx(-5.0)
    assert mean_error_percent(0.0, 1.0) is None


def test_mean_absolute_error_averages_relative_errors_over_data_sets():
    assert mean_absolute_error_percent([1.0, 2.0, 4.0], [1.1, 1.9, 4.0]) == pytest.approx((10 + 5 + 0) / 3)
    assert mean_absolute_error_percent(2.0, 1.9) == pytest.approx(5.0)
    with pytest.raises(InputError, match="Found 2 reference and 1 test"):
        mean_absolute_error_percent([1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="positive reference doses, found 0"):
        mean_absolute_error_percent([0.0], [1.0])


def test_nrmse_of_a_scaled_image_is_the_scale_error_and_ignores_empty_voxels():
    reference = np.random.default_rng(1).uniform(1, 2, 50)
    assert normalized_root_mean_square_error(reference, 1.02 * reference) == pytest.approx(0.02)
    padded = np.concatenate([reference, np.zeros(100)])
    assert normalized_root_mean_square_error(padded, 1.02 * padded) == pytest.approx(0.02)
    assert normalized_root_mean_square_error([3.0, 4.0], [3.0, 5.0]) == pytest.approx(1 / 5)
    assert normalized_root_mean_square_error([0.0], [1.0]) is None


def test_pearson_correlation_of_linear_and_constant_images():
    x = np.arange(5.0)
    assert pearson_correlation(x, 3 * x + 1) == pytest.approx(1.0)
    assert pearson_correlation(x, -x) == pytest.approx(-1.0)
    assert pearson_correlation(x, np.ones(5)) is None
    assert pearson_correlation([1.0], [2.0]) is None
    noisy = np.random.default_rng(2).normal(size=5) + x
    assert pearson_correlation(x, noisy) == pytest.approx(np.corrcoef(x, noisy)[0, 1])


def test_voxel_error_and_error_map():
    assert voxel_mean_absolute_error_percent([1.0, 3.0], [1.2, 2.8]) == pytest.approx(10.0)
    assert voxel_mean_absolute_error_percent([0.0], [1.0]) is None
    error = relative_error_map_percent(np.array([[[100.0, 0.5, 0.0]]]), np.array([[[90.0, 0.0, 1.0]]]))
    assert error.ravel() == pytest.approx([-10.0, 0.0, 0.0])
    with pytest.raises(GeometryMismatchError, match="resample one onto the other"):
        relative_error_map_percent(np.ones((1, 1, 2)), np.ones((1, 1, 3)))


def test_comparison_of_a_scaled_dose_gives_the_scale_everywhere():
    reference = dose_of(np.random.default_rng(3).uniform(1, 2, (6, 7, 8)))
    test = reference.with_array(reference.array_kji * 1.05)
    mask = np.zeros((6, 7, 8), dtype=bool)
    mask[2:4, 2:5, 1:6] = True
    result = compare_doses(reference, test, [Region("liver", mask, "liver")], gamma_percent=20.0)
    (liver,) = result.regions
    assert liver.mean_error_percent == pytest.approx(5.0)
    assert liver.mae_percent == pytest.approx(5.0)
    assert liver.voxel_mae_percent == pytest.approx(5.0)
    assert liver.nrmse == pytest.approx(0.05)
    assert result.nrmse == pytest.approx(0.05)
    assert result.pearson_r == pytest.approx(1.0)
    assert result.gamma_pass_percent == 100
    assert set(result.as_dict()) >= {"regions", "nrmse", "pearson_r", "gamma_pass_percent"}
    assert comparison_csv(result.regions).startswith(
        "region,reference_mean_gy,test_mean_gy,mean_error_percent,mae_percent"
    )


def test_region_means_are_by_mass_where_density_is_known():
    reference, test = dose_of([[[1.0, 1.0]]]), dose_of([[[2.0, 1.0]]])
    region = Region("all", np.ones((1, 1, 2), dtype=bool), "all")
    by_mass = compare_doses(reference, test, [region], density_kji=np.array([[[1.0, 3.0]]]))
    assert by_mass.regions[0].mean_error_percent == pytest.approx(25.0)
    assert compare_doses(reference, test, [region]).regions[0].mean_error_percent == pytest.approx(50.0)


def test_comparison_refuses_what_cannot_be_compared():
    dose = dose_of(np.ones((2, 2, 2)))
    with pytest.raises(UnitError, match="found|Found activity_concentration"):
        compare_doses(dose_of(np.ones((2, 2, 2)), Quantity.ACTIVITY_CONCENTRATION), dose)
    with pytest.raises(GeometryMismatchError, match="different grids"):
        compare_doses(dose, dose_of(np.ones((2, 2, 2)), origin_mm=(1.0, 0.0, 0.0)))
    with pytest.raises(GeometryMismatchError, match="different frames of reference"):
        compare_doses(
            dose_of(np.ones((2, 2, 2)), frame_of_reference_uid="1.2"),
            dose_of(np.ones((2, 2, 2)), frame_of_reference_uid="1.3"),
        )
    with pytest.raises(RegionError, match="mask of shape"):
        compare_doses(dose, dose, [Region("x", np.ones((1, 1, 1), dtype=bool), "x")])
    with pytest.raises(InputError, match="zero everywhere"):
        compare_doses(dose_of(np.zeros((2, 2, 2))), dose)
    with pytest.raises(InputError, match="density has shape"):
        compare_doses(dose, dose, density_kji=np.ones((1, 1, 1)))


def test_line_profile_of_a_linear_dose_is_linear_in_any_orientation():
    direction = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
    geometry = VolumeGeometry((5, 6, 7), (2.0, 3.0, 4.0), (10.0, -20.0, 30.0), direction)
    k, j, i = np.meshgrid(*(np.arange(n) for n in geometry.shape_kji), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ geometry.ijk_to_lps.T
    dose = points[..., 0] + 2 * points[..., 1] + 3 * points[..., 2]
    start, end = points[1, 1, 1, :3], points[3, 4, 5, :3]
    profile = line_profile(dose, geometry, start, end, sample_count=9)
    assert profile.distance_mm[-1] == pytest.approx(np.linalg.norm(end - start))
    assert profile.values == pytest.approx(np.linspace(dose[1, 1, 1], dose[3, 4, 5], 9))


def test_axis_profile_passes_through_the_voxel():
    dose = np.arange(24.0).reshape(2, 3, 4)
    geometry = VolumeGeometry((2, 3, 4), (2.0, 3.0, 4.0))
    profile = axis_profile(dose, geometry, (1, 2, 0), 1)
    assert profile.values.tolist() == dose[1, :, 0].tolist()
    assert profile.distance_mm.tolist() == [0.0, 3.0, 6.0]
    assert profile.start_lps_mm == (0.0, 0.0, 4.0)


def test_profiles_outside_the_volume_or_without_length_are_refused():
    geometry = VolumeGeometry((2, 3, 4), (2.0, 3.0, 4.0))
    dose = np.zeros((2, 3, 4))
    with pytest.raises(InputError, match="two different points"):
        line_profile(dose, geometry, (0, 0, 0), (0, 0, 0))
    with pytest.raises(InputError, match="leaves the volume"):
        line_profile(dose, geometry, (0, 0, 0), (100, 0, 0))
    with pytest.raises(InputError, match="at least two samples, found 1"):
        line_profile(dose, geometry, (0, 0, 0), (1, 0, 0), sample_count=1)


def test_bland_altman_of_known_pairs():
    result = bland_altman([1.0, 1.0, 0.0], [1.1, 0.9, 0.0])
    first, second = 100 * 0.1 / 1.05, -100 * 0.1 / 0.95
    assert result.difference_percent == pytest.approx([first, second])
    assert result.bias_percent == pytest.approx((first + second) / 2)
    spread = 1.96 * np.std([first, second], ddof=1)
    assert result.upper_limit_percent - result.bias_percent == pytest.approx(spread)
    assert bland_altman([1.0], [1.0]).upper_limit_percent == 0
    with pytest.raises(InputError, match="No pair"):
        bland_altman([0.0], [0.0])
    with pytest.raises(InputError, match="expected pairs"):
        bland_altman([0.0], [0.0, 1.0])
