"""The gamma index against cases whose answer is known on paper."""

import numpy as np
import pytest

from radiodosimetry.errors import CancelledError, GeometryMismatchError, InputError
from radiodosimetry.evaluation import gamma_index

SHAPE = (9, 10, 41)


def ramp(gradient_per_mm, spacing_mm, shift_mm=0.0):
    """A dose rising along i, shifted by `shift_mm`, with a maximum of 100 at the end of the unshifted one."""
    position_mm = np.arange(SHAPE[2]) * spacing_mm[0]
    values = 100 + gradient_per_mm * (position_mm - position_mm[-1] - shift_mm)
    return np.broadcast_to(values, SHAPE).copy()


def inner(array_kji):
    """Voxels so far from the border that the nearest agreeing point lies inside the image."""
    return array_kji[2:-2, 2:-2, 12:-12]


def test_identical_doses_have_zero_gamma_everywhere():
    dose = np.random.default_rng(1).uniform(1, 2, SHAPE)
    result = gamma_index(dose, dose, (2.0, 2.0, 2.0))
    assert result.gamma_kji.max() == 0
    assert result.pass_percent == 100


@pytest.mark.parametrize("shift_mm", [0.4, 1.1, 1.9, 2.3, 3.5])
@pytest.mark.parametrize("gradient_per_mm", [0.2, 0.6, 1.2])
def test_gamma_of_a_shifted_ramp_is_its_distance_in_the_dose_distance_plane(shift_mm, gradient_per_mm):
    spacing_mm, percent, distance_mm = (2.0, 3.0, 2.5), 2.0, 3.0
    reference, test = ramp(gradient_per_mm, spacing_mm), ramp(gradient_per_mm, spacing_mm, shift_mm)
    # The test is a plane in (x/Δd, dose/ΔD); its distance from a point that lies g·s below or above it:
    slope = gradient_per_mm * distance_mm / percent
    expected = gradient_per_mm * shift_mm / percent / np.sqrt(1 + slope**2)
    result = gamma_index(reference, test, spacing_mm, percent, distance_mm, cutoff_percent=0.0)
    assert inner(result.gamma_kji) == pytest.approx(min(expected, 2.0), abs=2e-4)


def test_gamma_of_a_flat_dose_is_the_dose_difference_in_units_of_the_criterion():
    reference = np.full(SHAPE, 50.0)
    result = gamma_index(reference, reference * 1.005, (2.0, 2.0, 2.0), 1.0, 2.0)
    assert result.gamma_kji == pytest.approx(0.5, abs=1e-5)
    assert gamma_index(reference, reference * 1.015, (2.0, 2.0, 2.0), 1.0, 2.0).pass_percent == 0
    assert gamma_index(reference, reference * 1.01, (2.0, 2.0, 2.0), 1.0, 2.0).pass_percent == 100


def test_gamma_does_not_see_a_shift_smaller_than_the_distance_at_a_steep_edge():
    x_mm = np.arange(60) * 1.0
    edge = np.broadcast_to(np.where(x_mm < 30, 100.0, 20.0), (8, 8, 60))
    shifted = np.broadcast_to(np.where(x_mm < 31, 100.0, 20.0), (8, 8, 60))
    assert gamma_index(edge, shifted, (1.0, 1.0, 1.0), 1.0, 2.0).pass_percent == 100
    assert gamma_index(edge, shifted, (1.0, 1.0, 1.0), 1.0, 0.5).pass_percent < 100


def test_gamma_beyond_the_largest_is_cut_there():
    result = gamma_index(np.full(SHAPE, 50.0), np.full(SHAPE, 80.0), (2.0, 2.0, 2.0), 1.0, 2.0, largest=1.5)
    assert result.gamma_kji.min() == pytest.approx(1.5)
    assert result.largest == 1.5


def test_voxels_below_the_cutoff_are_not_judged():
    reference = np.zeros(SHAPE)
    reference[4, 4] = 9.9
    reference[5, 5] = 100.0
    test = reference.copy()
    test[4, 4] = 0
    result = gamma_index(reference, test, (2.0, 2.0, 2.0), cutoff_percent=10.0)
    assert result.judged_kji.sum() == SHAPE[2]
    assert result.pass_percent == 100
    assert result.pass_percent_inside(reference == 9.9) is None


def test_gamma_agrees_with_a_dense_search(rng):
    from scipy.ndimage import gaussian_filter, map_coordinates

    reference = gaussian_filter(rng.uniform(0, 1, (9, 9, 9)), 1.5)
    test = gaussian_filter(rng.uniform(0, 1, (9, 9, 9)), 1.5) * 0.2 + 0.8 * reference
    percent, distance_mm, spacing_mm = 3.0, 3.0, (4.0, 3.0, 2.0)
    found = gamma_index(reference, test, spacing_mm, percent, distance_mm, 0.0).gamma_kji[4, 4, 4]
    steps = np.linspace(-6, 6, 97)
    z, y, x = np.meshgrid(steps, steps, steps, indexing="ij")
    values = map_coordinates(test, [4 + z / 2, 4 + y / 3, 4 + x / 4], order=1, mode="nearest")
    squared = (x**2 + y**2 + z**2) / distance_mm**2
    squared += ((values - reference[4, 4, 4]) / (reference.max() * percent / 100)) ** 2
    assert found == pytest.approx(np.sqrt(squared.min()), rel=0.02)
    assert found <= np.sqrt(squared.min()) * 1.01


def test_bad_criteria_and_shapes_are_refused():
    dose = np.ones((3, 3, 3))
    with pytest.raises(InputError, match="positive criteria, found 0"):
        gamma_index(dose, dose, (1, 1, 1), 0.0, 2.0)
    with pytest.raises(InputError, match="zero everywhere"):
        gamma_index(dose * 0, dose, (1, 1, 1))
    with pytest.raises(GeometryMismatchError, match="resample one onto the other"):
        gamma_index(dose, np.ones((2, 2, 2)), (1, 1, 1))


def test_gamma_can_be_cancelled():
    class Cancelled:
        def report(self, fraction, message):
            raise AssertionError("a cancelled search must not go on")

        def cancelled(self):
            return True

    with pytest.raises(CancelledError, match="gamma index"):
        gamma_index(np.ones((3, 3, 3)), np.full((3, 3, 3), 2.0), (1, 1, 1), progress=Cancelled())
