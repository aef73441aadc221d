"""Invariants of time-activity curves over random images, tables and times."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from radiodosimetry.errors import InputError, RadioDosimetryError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.time_activity.acquisition_times import ImageTiming, mean_to_start_factor, region_scan
from radiodosimetry.time_activity.curves import (
    CurveOptions,
    RegionScan,
    TimeActivityCurve,
    curves_csv,
    curves_from_volumes,
    read_curves,
)
from radiodosimetry.time_activity.recovery import RecoveryCurve
from radiodosimetry.time_activity.single_time_point import hanscheid, known_half_life, madsen, physical
from radiodosimetry.units import Quantity

HOUR = 3600.0
GRID = VolumeGeometry((3, 4, 5), (4.0, 4.0, 5.0))
images = hnp.arrays(np.float64, GRID.shape_kji, elements=st.floats(1.0, 1e7))
labels = hnp.arrays(np.int8, GRID.shape_kji, elements=st.integers(0, 3)).filter(
    lambda array: set(np.unique(array)) == {0, 1, 2, 3}
)


def scan(time_h: float, values: np.ndarray, drawn: np.ndarray, scale: float = 1.0) -> RegionScan:
    regions = tuple(Region(f"r{label}", drawn == label, f"r{label}") for label in (1, 2, 3))
    volume = QuantitativeVolume(scale * values, GRID, Quantity.ACTIVITY_CONCENTRATION)
    return RegionScan(time_h * HOUR, volume, regions)


@given(values=images, drawn=labels, recovery=st.floats(0.2, 1.0))
def test_regions_and_remainder_are_the_whole_body_with_and_without_recovery(values, drawn, recovery):
    for curve in (None, RecoveryCurve([0.01, 10.0], [recovery, recovery], method="interpolated")):
        options = CurveOptions(remainder=True, whole_body=True, recovery=curve)
        if curve is not None and values[drawn == 0].sum() <= values[drawn > 0].sum() * (1 / recovery - 1) * (1 + 1e-9):
            with pytest.raises(InputError, match="below zero"):  # more is brought back than lies outside the regions
                curves_from_volumes([scan(1, values, drawn)], options)
            continue
        *parts, whole = curves_from_volumes([scan(1, values, drawn)], options)
        total = sum(part.activity_bq[0] for part in parts)
        assert total == pytest.approx(whole.activity_bq[0], rel=1e-9)


@given(values=images, drawn=labels, scale=st.floats(1e-3, 1e3))
def test_curves_are_linear_in_activity(values, drawn, scale):
    once = curves_from_volumes([scan(1, values, drawn)])
    scaled = curves_from_volumes([scan(1, values, drawn, scale)])
    for first, second in zip(once, scaled, strict=True):
        np.testing.assert_allclose(second.activity_bq, scale * first.activity_bq, rtol=1e-12)


@given(
    times_h=st.lists(st.floats(0.0, 1e3).map(lambda t: round(t, 4)), min_size=1, max_size=8, unique=True).map(sorted),
    data=st.data(),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12),
)
def test_a_table_of_curves_reads_back(times_h, data, name):
    count = len(times_h)
    column = st.lists(st.floats(1e-3, 1e12), min_size=count, max_size=count)
    curve = TimeActivityCurve(
        name, np.array(times_h) * HOUR, data.draw(column), data.draw(st.none() | column), data.draw(st.none() | column)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.csv"
        path.write_text(curves_csv([curve]), encoding="utf-8")
        (back,) = read_curves(path)
    assert back.region == name
    for column_name in ("times_s", "activity_bq", "std_bq", "volume_ml"):
        before, after = getattr(curve, column_name), getattr(back, column_name)
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_allclose(after, before, rtol=1e-9)


@given(text=st.text(st.sampled_from('region,time_h,activity_mbq\n"liver;1 2.5-e;\x00é'), max_size=200))
def test_any_text_is_a_table_or_an_error_of_ours(text):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "curves.csv"
        path.write_text("region,time_h,activity_mbq\n" + text, encoding="utf-8")
        try:
            curves = read_curves(path)
        except RadioDosimetryError:
            return
        else:
            assert all(curve.activity_bq.max() > 0 for curve in curves)


@given(rate=st.floats(1e-7, 1e-2), duration_s=st.floats(1.0, 1e4), time_s=st.floats(0.0, 1e4))
def test_the_mean_of_a_decaying_frame_gives_back_its_start(rate, duration_s, time_s):
    steps = (np.arange(2000) + 0.5) / 2000 * duration_s
    mean = float(np.mean(np.exp(-rate * steps)))
    assert mean * mean_to_start_factor(rate, duration_s) == pytest.approx(1.0, rel=1e-3)
    volume = QuantitativeVolume(np.full(GRID.shape_kji, mean), GRID, Quantity.ACTIVITY_CONCENTRATION)
    brought = region_scan(volume, (), rate, ImageTiming(time_s, frame_duration_s=duration_s))
    assert brought.volume.array_kji.max() == pytest.approx(1.0, rel=1e-3)


@given(b_ml=st.floats(0.05, 50.0), c=st.floats(0.4, 2.0))
def test_recovery_rises_with_volume_and_the_fit_finds_its_curve(b_ml, c):
    volumes = np.geomspace(b_ml / 20, b_ml * 20, 7)
    recovery = RecoveryCurve(volumes, 1 / (1 + (b_ml / volumes) ** c))
    fine = recovery.at(np.geomspace(b_ml / 100, b_ml * 100, 50))
    assert np.all(np.diff(fine) > 0)
    assert recovery.parameters["b_ml"] == pytest.approx(b_ml, rel=1e-4)
    assert recovery.parameters["c"] == pytest.approx(c, rel=1e-4)


@given(
    time_h=st.floats(1.0, 300.0),
    half_life_h=st.floats(5.0, 150.0),
    activity_bq=st.floats(1.0, 1e9),
    unit=st.sampled_from([1.0, 60.0, 3600.0]),
)
def test_single_time_points_are_linear_in_activity_and_know_no_unit_of_time(time_h, half_life_h, activity_bq, unit):
    """Times and half-lives in another unit give the product in that unit; twice the activity twice the result."""
    for method, presumed in ((hanscheid, {}), (physical, {}), (madsen, {"T": 1}), (known_half_life, {"T": 1})):
        found = []
        for scale, factor in ((1.0, 1.0), (unit, 1.0), (1.0, 2.0)):
            half_lives = {"physical_half_life_s": 159.5 * scale}
            if presumed:
                half_lives["effective_half_life_s"] = half_life_h * scale
            found.append(method(time_h * scale, factor * activity_bq, **half_lives))
        assert found[1].tia_bq_s == pytest.approx(unit * found[0].tia_bq_s, rel=1e-12)
        assert found[2].tia_bq_s == pytest.approx(2 * found[0].tia_bq_s, rel=1e-12)
        assert found[1].method_relative_std == pytest.approx(found[0].method_relative_std, rel=1e-9)


@given(x=st.floats(0.75 + 1e-9, 2.5 - 1e-9), half_life_h=st.floats(1.0, 150.0))
def test_hanscheid_errs_within_the_published_range_everywhere_in_its_window(x, half_life_h):
    found = hanscheid(
        x * half_life_h * HOUR, 1e6, physical_half_life_s=159.5 * HOUR, effective_half_life_s=half_life_h * HOUR
    )
    assert -0.12 < found.error_if(half_life_h * HOUR) <= 2 / (math.log(2) * math.e) - 1 + 1e-12
    assert not any("outside" in warning for warning in found.warnings)
