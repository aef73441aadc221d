"""SSIM, Fréchet distance, jumps between slices and organ errors: closed forms, and what they must not hide."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from radiodosimetry.errors import FileFormatError, GeometryMismatchError, InputError
from radiodosimetry.evaluation.frechet import (
    compare_slices,
    frechet_distance,
    inception_extractor,
    pyramid_features,
)
from radiodosimetry.evaluation.image_measures import (
    image_measures,
    mean_absolute_organ_error_percent,
    mean_and_spread,
    organ_errors,
    paired_difference_interval,
    peak_signal_to_noise_db,
    slice_to_slice_jump,
)
from radiodosimetry.evaluation.ssim import structural_similarity, structural_similarity_map
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity


@pytest.fixture
def body() -> np.ndarray:
    k, j, i = np.meshgrid(np.linspace(-1, 1, 12), np.linspace(-1, 1, 40), np.linspace(-1, 1, 48), indexing="ij")
    return np.asarray(i**2 + j**2 + 0 * k < 0.8)


@pytest.fixture
def pet(rng: np.random.Generator, body: np.ndarray) -> np.ndarray:
    """Soft tissue at one, an organ at eight, a bladder at two hundred, with noise and blur."""
    image = np.where(body, 1.0, 0.0)
    image[3:9, 12:24, 8:20] = 8.0
    image[4:8, 27:32, 29:34] = 200.0
    return gaussian_filter(image * np.exp(rng.normal(0, 0.2, image.shape)), 0.8)


def test_equal_images_score_one(pet: np.ndarray, body: np.ndarray) -> None:
    measures = image_measures(pet, pet, body)
    assert measures.ssim == pytest.approx(1.0, abs=1e-12)
    assert math.isinf(measures.psnr_db)
    assert measures.mae == measures.slice_jump == 0.0
    assert measures.as_dict()["psnr_db"] is None


def test_a_zero_image_scores_about_zero(pet: np.ndarray, body: np.ndarray) -> None:
    assert abs(structural_similarity(pet, np.zeros_like(pet), body)) < 0.01


def test_with_the_largest_voxel_as_range_a_zero_image_would_score_well(pet: np.ndarray, body: np.ndarray) -> None:
    usual = structural_similarity_map(pet, np.zeros_like(pet), float(pet.max()))[body].mean()
    assert usual > 0.2


def test_similarity_does_not_depend_on_the_unit(pet: np.ndarray, body: np.ndarray) -> None:
    test = gaussian_filter(pet, 1.0)
    assert structural_similarity(1e4 * pet, 1e4 * test, body) == pytest.approx(structural_similarity(pet, test, body))


def test_similarity_of_constants_is_the_luminance_term() -> None:
    a, b = np.full((1, 30, 30), 2.0), np.full((1, 30, 30), 1.0)
    c1 = (0.01 * 2.0) ** 2
    found = structural_similarity(a, b, np.ones(a.shape, dtype=bool))
    assert found == pytest.approx((2 * 2 * 1 + c1) / (4 + 1 + c1), rel=1e-9)


def test_more_noise_is_less_similar(rng: np.random.Generator, pet: np.ndarray, body: np.ndarray) -> None:
    noise = rng.normal(0, 1, pet.shape)
    found = [structural_similarity(pet, pet + level * noise, body) for level in (0.05, 0.2, 0.8)]
    assert found == sorted(found, reverse=True)


def test_signal_to_noise_of_a_known_error() -> None:
    reference, mask = np.full((2, 4, 4), 10.0), np.ones((2, 4, 4), dtype=bool)
    assert peak_signal_to_noise_db(reference, reference + 1.0, mask) == pytest.approx(20.0)


def test_jumps_are_of_independent_slices_and_not_of_a_common_error(
    rng: np.random.Generator, pet: np.ndarray, body: np.ndarray
) -> None:
    tall, mask = np.tile(pet[6:7], (400, 1, 1)), np.tile(body[6:7], (400, 1, 1))
    assert slice_to_slice_jump(tall, 1.3 * tall, mask) == pytest.approx(0.0, abs=1e-12)
    factors = 1.0 + 0.1 * rng.standard_normal(400)
    jump = slice_to_slice_jump(tall, tall * factors[:, None, None], mask)
    assert jump == pytest.approx(0.1 * math.sqrt(2), rel=0.1)


def test_shapes_and_masks_that_do_not_fit_are_refused(pet: np.ndarray, body: np.ndarray) -> None:
    with pytest.raises(GeometryMismatchError, match="of one shape"):
        image_measures(pet, pet[1:], body)
    with pytest.raises(InputError, match="at least one voxel inside"):
        image_measures(pet, pet, np.zeros_like(body))
    with pytest.raises(InputError, match="data range above zero"):
        structural_similarity(np.zeros_like(pet), pet, body)


def test_frechet_distance_of_two_normal_sets_is_the_closed_form(rng: np.random.Generator) -> None:
    first = rng.normal(0.0, 1.0, (200_000, 2))
    second = rng.normal([3.0, 0.0], [2.0, 0.5], (200_000, 2))
    expected = 9.0 + (2.0 - 1.0) ** 2 + (1.0 - 0.5) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected, rel=0.01)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-9)


def test_a_frechet_distance_names_its_features_counts_and_floor(rng: np.random.Generator) -> None:
    real = gaussian_filter(rng.random((60, 32, 32)), (0, 1, 1))
    other = gaussian_filter(rng.random((40, 32, 32)), (0, 1, 1))
    same = compare_slices(real, other)
    blurred = compare_slices(real, gaussian_filter(other, (0, 2, 2)))
    assert same.name.startswith("Fréchet distance (pyramid statistics")
    assert (same.real_count, same.test_count) == (60, 40)
    assert same.as_dict()["real_against_real_floor"] == same.floor > 0
    assert same.distance < 3 * same.floor
    assert blurred.distance > 10 * same.distance


def test_features_have_the_length_that_their_name_says(rng: np.random.Generator) -> None:
    assert pyramid_features(rng.random((3, 40, 40))).shape == (3, 20)


def test_an_extractor_without_a_name_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(InputError, match="name of its features"):
        compare_slices(rng.random((9, 8, 8)), rng.random((9, 8, 8)), pyramid_features)


def test_fid_needs_a_file_of_inception(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(FileFormatError, match="There is no file"):
        inception_extractor(tmp_path / "inception.pt")
    (tmp_path / "inception.pt").write_text("no network", encoding="utf-8")
    with pytest.raises(FileFormatError, match="is no TorchScript module"):
        inception_extractor(tmp_path / "inception.pt")


def test_organ_errors_are_of_activities() -> None:
    geometry = VolumeGeometry((2, 5, 5), (10.0, 10.0, 10.0))
    reference = QuantitativeVolume(np.full((2, 5, 5), 100.0), geometry, Quantity.ACTIVITY_CONCENTRATION)
    mask = np.zeros((2, 5, 5), dtype=bool)
    mask[0, :2] = True
    region = Region("liver", mask, "liver")
    (error,) = organ_errors(reference, reference.with_array(reference.array_kji * 1.2), [region], 1e4)
    assert error.reference_bq == pytest.approx(1000.0)
    assert error.error_percent == pytest.approx(20.0)
    assert error.reference_percent_id == pytest.approx(10.0)
    assert error.percent_id_error == pytest.approx(2.0)
    assert mean_absolute_organ_error_percent([error]) == pytest.approx(20.0)


def test_a_paired_interval_holds_the_mean_difference(rng: np.random.Generator) -> None:
    first = rng.normal(5.0, 3.0, 40)
    mean, low, high = paired_difference_interval(first, first - 1.0 + 0.1 * rng.standard_normal(40), seed=3)
    assert low < 1.0 < high
    assert low < mean < high
    with pytest.raises(InputError, match="two or more"):
        paired_difference_interval([1.0], [2.0], seed=1)


def test_spread_is_over_patients() -> None:
    assert mean_and_spread([{"a": 1.0}, {"a": 3.0}])["a"] == pytest.approx((2.0, math.sqrt(2.0)))
