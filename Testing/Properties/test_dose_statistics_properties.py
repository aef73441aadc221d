"""What holds for the statistics and comparisons of any dose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from radiodosimetry.evaluation import gamma_index
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.voxel_dose.dose_volume import dvh
from radiodosimetry.voxel_dose.radiobiology import Radiobiology
from radiodosimetry.voxel_dose.statistics import region_statistics

SHAPE = (3, 4, 5)
doses = arrays(np.float64, SHAPE, elements=st.floats(0, 200, allow_subnormal=False))
densities = arrays(np.float64, SHAPE, elements=st.floats(0.01, 3.0))
WHOLE = Region("all", np.ones(SHAPE, dtype=bool), "all")


def dose_of(array):
    return QuantitativeVolume(array, VolumeGeometry(SHAPE, (2.0, 3.0, 4.0)), Quantity.ABSORBED_DOSE)


@given(doses, densities)
def test_statistics_are_ordered(array, density):
    tissue = {"all": Radiobiology(2.5, 9000.0, 2e5)}
    (row,) = region_statistics(dose_of(array), density, [WHOLE], radiobiology=tissue)
    ordered = [
        row.min_gy,
        row.d98_gy,
        row.d90_gy,
        row.d70_gy,
        row.d50_gy,
        row.d30_gy,
        row.d10_gy,
        row.d2_gy,
        row.max_gy,
    ]
    assert np.all(np.diff(ordered) >= -1e-9)
    assert row.min_gy - 1e-9 <= row.eud_gy <= row.mean_gy + 1e-9 <= row.max_gy + 2e-9
    assert row.bed_gy >= row.mean_gy - 1e-9


@given(doses, densities, st.floats(0.1, 10.0))
def test_statistics_scale_with_the_dose(array, density, factor):
    (one,) = region_statistics(dose_of(array), density, [WHOLE])
    (other,) = region_statistics(dose_of(array * factor), density, [WHOLE])
    for name in ("mean_gy", "std_gy", "min_gy", "max_gy", "d50_gy", "d2_gy"):
        assert getattr(other, name) == pytest.approx(factor * getattr(one, name), rel=1e-9, abs=1e-9)
    assert other.mass_g == one.mass_g


@given(doses, densities)
def test_the_mass_weighted_means_of_two_parts_add_up_to_the_whole(array, density):
    lower = np.zeros(SHAPE, dtype=bool)
    lower[:1] = True
    regions = [WHOLE, Region("lower", lower, "lower"), Region("upper", ~lower, "upper")]
    whole, *parts = region_statistics(dose_of(array), density, regions)
    assert sum(part.mass_g for part in parts) == pytest.approx(whole.mass_g)
    assert sum(part.mass_g * part.mean_gy for part in parts) == pytest.approx(whole.mass_g * whole.mean_gy)


@given(doses, st.integers(1, 300))
def test_a_histogram_falls_from_all_to_nothing_and_its_integral_is_one(array, bins):
    histogram = dvh(dose_of(array), WHOLE, bins)
    widths = np.diff(histogram.dose_gy)
    assert histogram.cumulative_volume_percent[0] == 100
    assert histogram.cumulative_volume_percent[-1] == 0
    assert np.all(np.diff(histogram.cumulative_volume_percent) <= 0)
    assert np.sum(histogram.differential_volume_percent_per_gy[:-1] * widths) == pytest.approx(100)


@settings(deadline=None, max_examples=30)
@given(doses.filter(lambda array: array.max() > 1e-3), st.floats(0.5, 5.0), st.floats(0.5, 6.0))
def test_gamma_never_exceeds_the_dose_difference_in_place(array, percent, distance_mm):
    test = array[::-1].copy()
    found = gamma_index(array, test, (2.0, 3.0, 4.0), percent, distance_mm, cutoff_percent=0.0)
    in_place = np.abs(test - array) / (array.max() * percent / 100)
    assert np.all(found.gamma_kji[found.judged_kji] <= np.minimum(in_place, found.largest)[found.judged_kji] + 1e-5)
