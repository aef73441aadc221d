"""Time-activity curves: the value, tables, regions over scans, times and decay, recovery, quantities, counts."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from dicom_samples import nm_tomogram, pet_slice, save_series
from radiodosimetry.errors import FileFormatError, GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.provenance import Record
from radiodosimetry.time_activity.acquisition_times import (
    ImageTiming,
    mean_to_start_factor,
    region_scan,
    slice_middles_of,
)
from radiodosimetry.time_activity.counts import calibrated_volume, curve_from_counts
from radiodosimetry.time_activity.curve_quantities import (
    CurveQuantity,
    CurveScales,
    curve_values,
    quantities_csv,
    uptake_warnings,
)
from radiodosimetry.time_activity.curves import (
    REMAINDER,
    VOIDED,
    WHOLE_BODY,
    CurveOptions,
    RegionScan,
    TimeActivityCurve,
    curves_csv,
    curves_from_volumes,
    read_curves,
)
from radiodosimetry.time_activity.recovery import RecoveryCurve, read_recovery
from radiodosimetry.units import Quantity

HOUR = 3600.0
LU177_PER_S = math.log(2) / 574300.8
F18_PER_S = math.log(2) / 6586.2
GRID = VolumeGeometry((4, 6, 8), (2.0, 3.0, 5.0))
VOXEL_ML = 0.03


def block(name: str, *part: slice) -> Region:
    mask = np.zeros(GRID.shape_kji, dtype=bool)
    mask[part] = True
    return Region(name, mask, name)


LIVER = block("liver", slice(0, 2))
SPLEEN = block("spleen", slice(2, 3), slice(0, 3))
TUMOUR = block("tumour", slice(0, 1), slice(0, 2))


def image(values, time: datetime | None = None, parameters: dict | None = None) -> QuantitativeVolume:
    array = np.broadcast_to(np.asarray(values, dtype=np.float64), GRID.shape_kji)
    record = Record("made for a test", parameters=parameters or {})
    return QuantitativeVolume(array, GRID, Quantity.ACTIVITY_CONCENTRATION, time, record)


def series(rng, *times_h: float, regions=(LIVER, SPLEEN)) -> list[RegionScan]:
    return [RegionScan(time * HOUR, image(rng.random(GRID.shape_kji) * 1e5), regions) for time in times_h]


# The value


def test_a_curve_keeps_its_numbers_and_cannot_be_changed():
    curve = TimeActivityCurve(" liver ", [0, 3600], [4e6, 1e6], [1e5, 2e5], [1500, 1500])
    assert curve.region == "liver"
    assert curve.times_h.tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="read-only"):
        curve.activity_bq[0] = 1.0


def test_decay_correction_undoes_physical_decay():
    times_s = np.array([1.0, 24.0, 96.0]) * HOUR
    curve = TimeActivityCurve("liver", times_s, 5e6 * np.exp(-LU177_PER_S * times_s))
    np.testing.assert_allclose(curve.decay_corrected_bq(LU177_PER_S), 5e6, rtol=1e-13)


@pytest.mark.parametrize(
    ("times_h", "activity_mbq", "text"),
    [
        ([24, 4], [1, 2], r"times of region 'liver' are out of order \(found 24, 4 h\)"),
        ([4, 4], [1, 2], r"comes twice \(found 4, 4 h\)"),
        ([-1, 4], [1, 2], r"lies before the administration \(found -1, 4 h\)"),
        ([1, 4], [1, -2], r"activity of region 'liver' is -2 MBq at 4 h; expected none below zero"),
        ([1, 4], [0, 0], "activity of region 'liver' is zero at every time"),
        ([1, 4], [1, math.nan], "activities of region 'liver' hold 1 values that are no finite number"),
        ([1, math.inf], [1, 1], "times of region 'liver' hold 1 values"),
        ([1, 4], [1], r"activities of region 'liver' have shape \(1,\); expected 2, one per time"),
        ([], [], "expected at least one number"),
    ],
)
def test_a_curve_that_cannot_be_is_refused_by_name(times_h, activity_mbq, text):
    with pytest.raises(InputError, match=text):
        TimeActivityCurve("liver", np.array(times_h) * HOUR, np.array(activity_mbq) * 1e6)


def test_uncertainties_volumes_and_name_are_checked_too():
    with pytest.raises(InputError, match="uncertainty of region 'liver' is -1 Bq"):
        TimeActivityCurve("liver", [0.0], [1.0], [-1.0])
    with pytest.raises(InputError, match="volume of region 'liver' is 0 mL"):
        TimeActivityCurve("liver", [0.0], [1.0], None, [0.0])
    with pytest.raises(RegionError, match="needs the name of its region"):
        TimeActivityCurve("  ", [0.0], [1.0])


# Tables


def test_a_table_says_what_it_knows_and_reads_back(tmp_path):
    curves = [
        TimeActivityCurve('kidney, "left"', [1 * HOUR, 24 * HOUR], [98.56e6, 73.6e6], [1e6, 2e6], [241, 241]),
        TimeActivityCurve("liver", [3.741 * HOUR], [378.47e6]),
    ]
    text = curves_csv(curves, 7210.43e6)
    assert text.splitlines()[0] == "region,time_h,activity_mbq,std_mbq,percent_id,volume_ml"
    assert text.splitlines()[1] == '"kidney, ""left""",1,98.56,1,1.36690877,241'
    assert text.splitlines()[3] == "liver,3.741,378.47,,5.248924128,"
    (tmp_path / "curves.csv").write_text(text)
    back = read_curves(tmp_path / "curves.csv")
    assert [curve.region for curve in back] == ['kidney, "left"', "liver"]
    np.testing.assert_allclose(back[0].activity_bq, curves[0].activity_bq, rtol=1e-10)
    np.testing.assert_allclose(back[0].std_bq, curves[0].std_bq, rtol=1e-10)
    assert back[1].std_bq is None
    assert back[1].volume_ml is None
    assert len(back[0].record.inputs["curves"]["sha256"]) == 64


def test_a_table_needs_three_columns_in_any_order_and_dialect(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_bytes(
        "\ufeffActivity_MBq;note;Time_h;REGION\r\n5;a;1;liver\r\n\r\n9;b;1;spleen\r\n4;c;24;liver\r\n".encode()
    )
    liver, spleen = read_curves(path)
    assert liver.activity_bq.tolist() == [5e6, 4e6]
    assert spleen.times_s.tolist() == [3600.0]
    assert curves_csv([liver]).splitlines()[1] == "liver,1,5,,,"


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("region,time_h\nliver,1\n", FileFormatError, "lacks the column activity_mbq; found region, time_h"),
        ("region,time_h,activity_mbq\n", FileFormatError, "a header and no line below it"),
        ("", FileFormatError, "is empty"),
        ("\n\n", FileFormatError, "lacks the columns region, time_h, activity_mbq; found none"),
        ("region,time_h,activity_mbq\nliver,1,x\n", FileFormatError, "activity_mbq in line 2 of .* is 'x'"),
        ("region,time_h,activity_mbq\nliver,1,nan\n", FileFormatError, "activity_mbq in line 2 of .* is 'nan'"),
        ("region,time_h,activity_mbq\nliver,,5\n", FileFormatError, "time_h in line 2 of .* is ''"),
        ("region,time_h,activity_mbq\n,1,5\n", FileFormatError, "Line 2 of .* names no region"),
        ("region,time_h,activity_mbq,time_h\nliver,1,5,1\n", FileFormatError, "column time_h more than once"),
        ("region,time_h,activity_mbq\nliver,1,5,7\n", FileFormatError, "Line 2 of .* has more cells than the header"),
        ("region,time_h,activity_mbq\nliver,24,5\nliver,1,7\n", InputError, "'liver' are out of order"),
        ("region,time_h,activity_mbq\nliver,24,5\nliver,24,7\n", InputError, "comes twice"),
        ("region,time_h,activity_mbq\nliver,-2,5\n", InputError, "lies before the administration"),
        ("region,time_h,activity_mbq\nliver,1,-5\n", InputError, "is -5 MBq at 1 h"),
        ("region,time_h,activity_mbq\nliver,1,0\n", InputError, "is zero at every time"),
        (
            "region,time_h,activity_mbq,std_mbq\nliver,1,5,1\nliver,2,5,\n",
            InputError,
            "std_mbq of region 'liver' is empty in line 3",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_by_line(tmp_path, text, kind, message):
    path = tmp_path / "curves.csv"
    path.write_text(text)
    with pytest.raises(kind, match=message) as caught:
        read_curves(path)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(FileFormatError, match="cannot be read as a CSV table"):
        read_curves(path)


def test_two_curves_of_one_region_are_no_table():
    curve = TimeActivityCurve("liver", [0.0], [1.0])
    with pytest.raises(InputError, match="same region: liver"):
        curves_csv([curve, curve])
    with pytest.raises(InputError, match="administered activity is 0 Bq"):
        curves_csv([curve], 0.0)


# Regions over scans


def test_activity_is_concentration_times_volume(rng):
    scans = series(rng, 4, 24)
    liver, spleen = curves_from_volumes(scans)
    expected = [scan.volume.array_kji[:2].sum() * VOXEL_ML for scan in scans]
    np.testing.assert_allclose(liver.activity_bq, expected, rtol=1e-13)
    assert spleen.volume_ml.tolist() == pytest.approx([24 * VOXEL_ML] * 2)
    assert liver.times_h.tolist() == [4.0, 24.0]
    assert liver.std_bq is None


def test_disjoint_regions_and_remainder_are_the_whole_body(rng):
    curves = curves_from_volumes(series(rng, 1, 24, 96), CurveOptions(remainder=True, whole_body=True))
    assert [curve.region for curve in curves] == ["liver", "spleen", REMAINDER, WHOLE_BODY]
    np.testing.assert_allclose(sum(curve.activity_bq for curve in curves[:3]), curves[3].activity_bq, rtol=1e-13)
    assert sum(curve.volume_ml[0] for curve in curves[:3]) == pytest.approx(curves[3].volume_ml[0])
    assert any("every voxel of the scan" in warning for warning in curves[3].record.warnings)


def test_the_remainder_of_overlapping_regions_is_outside_their_union(rng):
    scans = series(rng, 1, regions=(LIVER, TUMOUR))
    *_, remainder, whole = curves_from_volumes(scans, CurveOptions(remainder=True, whole_body=True))
    liver = scans[0].volume.array_kji[:2].sum() * VOXEL_ML
    assert remainder.activity_bq[0] == pytest.approx(whole.activity_bq[0] - liver, rel=1e-13)


def test_the_body_may_be_a_region_and_holds_every_other(rng):
    body = block("body", slice(0, 3), slice(1, 6))
    scans = series(rng, 1, regions=(LIVER, body))
    curves = {
        curve.region: curve
        for curve in curves_from_volumes(scans, CurveOptions(remainder=True, whole_body=True, body="body"))
    }
    assert list(curves) == ["liver", REMAINDER, WHOLE_BODY]
    together = scans[0].volume.array_kji[LIVER.mask_kji | body.mask_kji].sum() * VOXEL_ML
    assert curves[WHOLE_BODY].activity_bq[0] == pytest.approx(together, rel=1e-13)
    assert curves["liver"].activity_bq + curves[REMAINDER].activity_bq == pytest.approx(together, rel=1e-13)
    assert not curves[WHOLE_BODY].record.warnings


def test_recovery_moves_activity_from_the_remainder_into_the_regions(rng):
    recovery = RecoveryCurve([0.1, 10.0], [0.4, 0.9], method="interpolated")
    plain = curves_from_volumes(series(rng, 1), CurveOptions(remainder=True, whole_body=True))
    scans = [RegionScan(HOUR, image(plain[0].activity_bq[0] / 1.0), (LIVER, SPLEEN))]
    raw = curves_from_volumes(scans, CurveOptions(remainder=True, whole_body=True))
    corrected = curves_from_volumes(scans, CurveOptions(remainder=True, whole_body=True, recovery=recovery))
    for before, after in zip(raw[:2], corrected[:2], strict=True):
        coefficient = recovery.at(before.volume_ml)
        np.testing.assert_allclose(after.activity_bq, before.activity_bq / coefficient, rtol=1e-13)
        np.testing.assert_allclose(after.record.parameters["recovery"]["applied"], coefficient)
    assert corrected[2].activity_bq[0] < raw[2].activity_bq[0]
    total = sum(curve.activity_bq for curve in corrected[:3])
    np.testing.assert_allclose(total, corrected[3].activity_bq, rtol=1e-13)
    assert corrected[3].record.parameters["recovery"] is None


def test_recovery_of_overlapping_regions_leaves_the_remainder_and_says_so():
    scans = [RegionScan(HOUR, image(1e4), (LIVER, TUMOUR))]
    recovery = RecoveryCurve([0.1, 10.0], [0.4, 0.9], method="interpolated")
    *_, remainder = curves_from_volumes(scans, CurveOptions(remainder=True, recovery=recovery))
    assert remainder.activity_bq[0] == pytest.approx(96 * VOXEL_ML * 1e4)
    assert any("Regions overlap" in warning for warning in remainder.record.warnings)


def test_what_the_body_lacks_was_voided():
    times_s = np.array([1.0, 24.0]) * HOUR
    administered_bq = 1e6
    left = administered_bq * np.exp(-LU177_PER_S * times_s)
    kept = np.array([0.99, 0.6])
    scans = [
        RegionScan(time, image(activity / (192 * VOXEL_ML)), (LIVER,))
        for time, activity in zip(times_s, kept * left, strict=True)
    ]
    options = CurveOptions(LU177_PER_S, administered_bq, whole_body=True, voided=True, calibration_relative_std=0.05)
    _, whole, voided = curves_from_volumes(scans, options)
    assert voided.region == VOIDED
    np.testing.assert_allclose(voided.activity_bq, (1 - kept) * left, rtol=1e-9)
    np.testing.assert_allclose(voided.std_bq, 0.05 * whole.activity_bq, rtol=1e-12)
    assert voided.volume_ml is None


def test_a_body_with_more_than_was_left_has_voided_nothing():
    scans = [RegionScan(24 * HOUR, image(1e6), (LIVER,))]
    with pytest.raises(InputError, match="more than the .* MBq that decay leaves of the administered activity"):
        curves_from_volumes(scans, CurveOptions(LU177_PER_S, 1e6, voided=True))


def test_uncertainties_of_calibration_volume_and_recovery_add_in_quadrature():
    scans = [RegionScan(HOUR, image(1e4), (LIVER,))]
    recovery = RecoveryCurve([0.1, 10.0], [0.4, 0.9], [0.04, 0.09], method="interpolated")
    options = CurveOptions(recovery=recovery, calibration_relative_std=0.03, volume_relative_std=0.04, whole_body=True)
    liver, whole = curves_from_volumes(scans, options)
    parts = liver.record.parameters["relative_std"]
    assert parts["recovery"][0] == pytest.approx(0.1, rel=0.05)
    expected = math.sqrt(0.03**2 + 0.04**2 + parts["recovery"][0] ** 2)
    assert liver.std_bq[0] / liver.activity_bq[0] == pytest.approx(expected, rel=1e-12)
    assert whole.std_bq[0] / whole.activity_bq[0] == pytest.approx(0.03, rel=1e-12)


def test_slices_with_their_own_times_give_each_region_its_own():
    """Two beds, half an hour apart: what is only in one has its time, and the activity decayed to it."""
    slices_s = np.array([1.0, 1.0, 1.5, 1.5]) * HOUR
    scan = RegionScan(1.25 * HOUR, image(1e4), (LIVER, SPLEEN), slices_s)
    liver, spleen, whole = curves_from_volumes([scan], CurveOptions(F18_PER_S, whole_body=True))
    assert (liver.times_h[0], spleen.times_h[0], whole.times_h[0]) == pytest.approx((1.0, 1.5, 1.25))
    present = 96 * VOXEL_ML * 1e4
    assert liver.activity_bq[0] == pytest.approx(present * math.exp(F18_PER_S * 0.25 * HOUR), rel=1e-12)
    assert whole.activity_bq[0] == pytest.approx(2 * present, rel=1e-12)
    with pytest.raises(InputError, match="Slices with their own times need the nuclide's decay constant"):
        curves_from_volumes([scan])


def test_a_region_absent_in_one_scan_is_named_with_the_scan(rng):
    first, second = series(rng, 4, 24)
    second = RegionScan(second.time_s, second.volume, (LIVER,))
    with pytest.raises(RegionError, match="scan at 24 h lacks the region spleen, which another scan has"):
        curves_from_volumes([first, second])
    with pytest.raises(RegionError, match="scan at 4 h lacks the region spleen"):
        curves_from_volumes(
            [RegionScan(4 * HOUR, first.volume, (LIVER,)), RegionScan(24 * HOUR, first.volume, (SPLEEN,))]
        )


def test_a_region_without_activity_in_one_scan_is_warned_of(rng):
    first, second = series(rng, 4, 24)
    empty = RegionScan(24 * HOUR, image(np.where(SPLEEN.mask_kji, 0.0, second.volume.array_kji)), (LIVER, SPLEEN))
    liver, spleen = curves_from_volumes([first, empty])
    assert any("'spleen' holds no activity at all in the scan at 24 h" in text for text in spleen.record.warnings)
    assert not any("no activity at all" in text for text in liver.record.warnings)


def test_scans_that_make_no_series_are_refused(rng):
    first, second = series(rng, 4, 24)
    with pytest.raises(InputError, match=r"times of the scans are out of order \(found 24, 4 h\)"):
        curves_from_volumes([second, first])
    with pytest.raises(InputError, match=r"comes twice \(found 4, 4 h\)"):
        curves_from_volumes([first, first])
    with pytest.raises(InputError, match="Found no scan"):
        curves_from_volumes([])
    with pytest.raises(InputError, match="1 h before the administration"):
        RegionScan(-HOUR, first.volume, (LIVER,))
    with pytest.raises(RegionError, match="Found no region"):
        curves_from_volumes([RegionScan(HOUR, first.volume)])
    with pytest.raises(
        RegionError, match="No region is called 'trunk', which should be the body; found: liver, spleen"
    ):
        curves_from_volumes([first], CurveOptions(whole_body=True, body="trunk"))


def test_regions_must_fit_the_scan_and_have_names_of_their_own(rng):
    (scan,) = series(rng, 1)
    small = Region("liver", np.ones((2, 2, 2), dtype=bool), "liver")
    with pytest.raises(GeometryMismatchError, match=r"'liver' has a mask of shape \(2, 2, 2\)"):
        RegionScan(HOUR, scan.volume, (small,))
    with pytest.raises(RegionError, match="two regions called liver"):
        RegionScan(HOUR, scan.volume, (LIVER, LIVER))
    whole = block(WHOLE_BODY, slice(0, 1))
    with pytest.raises(RegionError, match="name whole_body of an added curve belongs to a region"):
        curves_from_volumes([RegionScan(HOUR, scan.volume, (whole,))], CurveOptions(whole_body=True))
    everything = block("everything", slice(0, 4))
    with pytest.raises(RegionError, match="there is no remainder"):
        curves_from_volumes([RegionScan(HOUR, scan.volume, (everything,))], CurveOptions(remainder=True))


def test_a_volume_that_is_no_activity_is_refused():
    dose = QuantitativeVolume(np.ones(GRID.shape_kji), GRID, Quantity.ABSORBED_DOSE)
    with pytest.raises(UnitError, match=r"activity concentration \[Bq/mL\], found absorbed_dose"):
        RegionScan(HOUR, dose, (LIVER,))


def test_a_region_cut_by_the_field_of_view_is_seen_in_its_volume(rng):
    part = block("liver", slice(0, 1))
    scans = [
        RegionScan(4 * HOUR, image(1.0), (LIVER,)),
        RegionScan(24 * HOUR, image(1.0), (part,)),
    ]
    (liver,) = curves_from_volumes(scans)
    assert "has 1.44 mL in the scan at 24 h and 2.88 mL in another" in liver.record.warnings[0]
    (own_labels,) = curves_from_volumes(scans, CurveOptions(same_labels=False))
    assert own_labels.record.warnings == ()


# Times and decay


def test_mean_over_a_frame_is_brought_to_its_start_by_the_integral():
    rate, duration_s = F18_PER_S, 1800.0
    mean = (1 - math.exp(-rate * duration_s)) / (rate * duration_s)
    assert mean_to_start_factor(rate, duration_s) * mean == pytest.approx(1.0, rel=1e-14)
    assert mean_to_start_factor(1e-20, 1.0) == 1.0


def test_a_frame_duration_is_applied_once_and_recorded():
    timing = ImageTiming(2 * HOUR, frame_duration_s=1800.0)
    scan = region_scan(image(1e4), (LIVER,), F18_PER_S, timing)
    factor = mean_to_start_factor(F18_PER_S, 1800.0)
    np.testing.assert_allclose(scan.volume.array_kji, 1e4 * factor, rtol=1e-14)
    assert scan.volume.record.parameters["decay_factor_applied"] == pytest.approx(factor)
    assert "mean over 1800 s brought to the start" in scan.volume.record.parameters["timing"]
    with pytest.raises(InputError, match="was brought to its time after administration before"):
        region_scan(scan.volume, (LIVER,), F18_PER_S, timing)


def test_an_image_corrected_to_the_administration_is_decayed_to_its_time():
    timing = ImageTiming(2 * HOUR, corrected_to_administration=True)
    scan = region_scan(image(1e4), (LIVER,), F18_PER_S, timing)
    np.testing.assert_allclose(scan.volume.array_kji, 1e4 * math.exp(-F18_PER_S * 2 * HOUR), rtol=1e-14)
    with pytest.raises(InputError, match="A frame duration was given for images that are decay-corrected"):
        ImageTiming(2 * HOUR, 60.0, True)


def test_an_image_given_its_time_is_left_as_it_is():
    volume = image(1e4)
    scan = region_scan(volume, (LIVER,), F18_PER_S, ImageTiming(2 * HOUR))
    assert scan.time_s == 2 * HOUR
    assert np.array_equal(scan.volume.array_kji, volume.array_kji)
    assert scan.volume.record.parameters["timing"] == "taken as the activity present at the scan's time"


def test_the_time_of_an_image_counts_from_the_administration():
    volume = image(1e4, datetime(2024, 5, 2, 9, 30))
    timing = ImageTiming(administration=datetime(2024, 5, 1, 9, 0))
    scan = region_scan(volume, (LIVER,), LU177_PER_S, timing)
    assert scan.time_h == pytest.approx(24.5)
    assert "gives no time per slice" in scan.volume.record.warnings[0]
    late = ImageTiming(administration=datetime(2024, 5, 3, 9, 0))
    with pytest.raises(InputError, match="23.5 h before the administration"):
        region_scan(volume, (LIVER,), LU177_PER_S, late)
    with pytest.raises(InputError, match="does not say when the activity was administered"):
        region_scan(volume, (LIVER,), LU177_PER_S, ImageTiming())
    with pytest.raises(InputError, match="does not say when it was measured"):
        region_scan(image(1e4), (LIVER,), LU177_PER_S, timing)


def test_an_administration_in_a_time_zone_that_the_image_does_not_know_is_refused():
    zoned = ImageTiming(administration=datetime(2024, 5, 1, 9, 0, tzinfo=UTC))
    with pytest.raises(InputError, match="names a time zone, the clock of the image none"):
        region_scan(image(1e4, datetime(2024, 5, 2, 9, 30)), (LIVER,), LU177_PER_S, zoned)
    scan = region_scan(image(1e4, datetime(2024, 5, 2, 9, 30, tzinfo=UTC)), (LIVER,), LU177_PER_S, zoned)
    assert scan.time_h == pytest.approx(24.5)


def test_a_time_far_from_the_headers_is_used_with_a_warning():
    volume = image(1e4, datetime(2024, 5, 2, 9, 30), {"injection_time": "2024-05-01T09:30:00"})
    scan = region_scan(volume, (LIVER,), LU177_PER_S, ImageTiming(20 * HOUR))
    assert "24 h after the administration by its header, 20 h were given" in scan.volume.record.warnings[0]


def pet_folder(tmp_path, name: str, **attributes):
    """Two slices of a first bed and two of a second one, half an hour later, decay-corrected to the series' start."""
    slices = []
    for number in range(4):
        second = number >= 2
        frame = {"AcquisitionTime": "123000" if second else "120000", "ActualFrameDuration": "600000"}
        stored = np.full((4, 5), 1000, dtype=np.int16)
        slices.append(pet_slice(number + 1, stored, 3.0 * number, **{**frame, **attributes}))
    return save_series(slices, tmp_path / name)


def everything(volume: QuantitativeVolume, *slices: int) -> Region:
    mask = np.zeros(volume.array_kji.shape, dtype=bool)
    mask[list(slices)] = True
    return Region(f"slices {slices}", mask, "drawn")


def test_times_of_a_pet_series_are_the_middles_of_each_beds_frames(tmp_path):
    folder = pet_folder(tmp_path, "pet")
    volume = read_volume(folder, Quantity.ACTIVITY_CONCENTRATION)
    middles = slice_middles_of(folder)
    assert [moment.strftime("%H:%M") for moment in middles] == ["12:05", "12:05", "12:35", "12:35"]
    first, second = everything(volume, 0, 1), everything(volume, 2, 3)
    scan = region_scan(volume, (first, second), F18_PER_S, ImageTiming(slice_middles=middles))
    one, two = curves_from_volumes([scan], CurveOptions(F18_PER_S))
    assert one.times_h[0] == pytest.approx(65 / 60)
    assert two.times_h[0] == pytest.approx(95 / 60)
    at_start = volume.array_kji[:2].sum(dtype=float) * volume.geometry.voxel_volume_ml
    assert one.activity_bq[0] == pytest.approx(at_start * math.exp(-F18_PER_S * 300), rel=1e-9)
    assert two.activity_bq[0] == pytest.approx(at_start * math.exp(-F18_PER_S * 2100), rel=1e-9)


def test_start_and_administration_corrected_series_agree(tmp_path):
    """The same patient, exported corrected to the start of the scan and to the injection one hour before."""
    start = read_volume(pet_folder(tmp_path, "start"), Quantity.ACTIVITY_CONCENTRATION)
    folder = pet_folder(tmp_path, "admin", DecayCorrection="ADMIN")
    admin = read_volume(folder, Quantity.ACTIVITY_CONCENTRATION)
    admin = admin.with_array(admin.array_kji * math.exp(F18_PER_S * HOUR))
    region = everything(start, 0, 1, 2, 3)
    for timing in (ImageTiming(slice_middles=slice_middles_of(folder)), ImageTiming(HOUR)):
        found = [
            curves_from_volumes([region_scan(volume, (region,), F18_PER_S, timing)], CurveOptions(F18_PER_S))[0]
            for volume in (start, admin)
        ]
        assert found[0].times_s == pytest.approx(found[1].times_s)
        np.testing.assert_allclose(found[0].activity_bq, found[1].activity_bq, rtol=1e-6)


def test_decay_of_a_pet_series_is_not_corrected_twice(tmp_path):
    volume = read_volume(pet_folder(tmp_path, "pet"), Quantity.ACTIVITY_CONCENTRATION)
    with pytest.raises(InputError, match="it would be corrected twice"):
        region_scan(volume, (), F18_PER_S, ImageTiming(HOUR, frame_duration_s=600.0))
    with pytest.raises(InputError, match=r"header says to which time it is decay-corrected \(START\)"):
        region_scan(volume, (), F18_PER_S, ImageTiming(HOUR, corrected_to_administration=True))


def test_a_spect_of_counts_is_mean_over_its_acquisition(tmp_path):
    stored = np.full((3, 4, 4), 10, dtype=np.uint16)
    path = tmp_path / "nm.dcm"
    nm_tomogram(stored).save_as(path)
    volume = read_volume(path, Quantity.ACTIVITY_CONCENTRATION, calibration_bq_per_ml_per_count=50.0)
    scan = region_scan(volume, (everything(volume, 0, 1, 2),), F18_PER_S, ImageTiming(HOUR, frame_duration_s=1200.0))
    (curve,) = curves_from_volumes([scan])
    expected = 10 * 50 * volume.geometry.voxel_volume_ml * 48 * mean_to_start_factor(F18_PER_S, 1200.0)
    assert curve.activity_bq[0] == pytest.approx(expected, rel=1e-6)


# Recovery


def test_a_fitted_recovery_curve_finds_the_parameters_it_was_made_of():
    volumes = np.array([0.5, 1.0, 2.0, 8.0, 30.0, 110.0])
    recovery = RecoveryCurve(volumes, 1 / (1 + (3.0 / volumes) ** 0.8))
    assert recovery.parameters["b_ml"] == pytest.approx(3.0, rel=1e-6)
    assert recovery.parameters["c"] == pytest.approx(0.8, rel=1e-6)
    assert recovery.at(3.0) == pytest.approx(0.5, rel=1e-6)
    assert recovery.at(1e6) == pytest.approx(1.0, abs=1e-3)
    assert recovery.warnings_for("tumour", [4.0]) == ()


def test_uncertainty_of_a_fitted_recovery_follows_its_covariance(rng):
    volumes = np.array([0.5, 1.0, 2.0, 8.0, 30.0, 110.0])
    truth = 1 / (1 + (3.0 / volumes) ** 0.8)
    std = 0.02 * np.ones_like(volumes)
    expected = RecoveryCurve(volumes, truth, std).relative_std(np.array([1.0, 5.0, 200.0]))
    spread = [RecoveryCurve(volumes, truth + rng.normal(0, std), std).at([1.0, 5.0, 200.0]) for _ in range(300)]
    observed = np.std(spread, axis=0) / np.mean(spread, axis=0)
    np.testing.assert_allclose(expected, observed, rtol=0.2)


def test_interpolated_recovery_is_linear_over_the_logarithm_and_stays_at_its_ends():
    recovery = RecoveryCurve([1.0, 100.0], [0.4, 0.8], method="interpolated")
    assert recovery.at([1.0, 10.0, 100.0, 1e4, 0.1]) == pytest.approx([0.4, 0.6, 0.8, 0.8, 0.4])
    assert recovery.relative_std([10.0]) == pytest.approx([0.0])
    (warning,) = recovery.warnings_for("tumour", [0.1])
    assert "'tumour', 0.1 mL, lies outside the 1 to 100 mL" in warning
    assert "nearest coefficient was kept to 0.400" in warning


def test_extrapolation_and_poor_fits_are_warned_of():
    volumes = np.array([1.0, 4.0, 16.0, 64.0])
    recovery = RecoveryCurve(volumes, [0.3, 0.9, 0.4, 0.9])
    warnings = recovery.warnings_for("liver", [1500.0])
    assert "misses its points by" in warnings[0]
    assert "the fitted curve was extrapolated to" in warnings[1]


def test_recovery_is_read_from_a_table_in_any_order(tmp_path):
    path = tmp_path / "recovery.csv"
    path.write_text("volume_ml,recovery,std\n16,0.75,0.02\n1,0.3,0.02\n4,0.55,0.02\n")
    recovery = read_recovery(path)
    assert recovery.method == "fitted"
    assert recovery.volumes_ml.tolist() == [1.0, 4.0, 16.0]
    assert recovery.std is not None
    path.write_text("volume_ml,recovery\n16,0.75\n1,0.3\n")
    assert read_recovery(path).method == "interpolated"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("volume_ml,recovery\n1,30\n2,40\n3,50\n", "A recovery coefficient is 30; expected a share"),
        ("volume_ml,recovery\n1,0\n2,0.4\n3,0.5\n", "A recovery coefficient is 0"),
        ("volume_ml,recovery\n0,0.3\n2,0.4\n3,0.5\n", "must be above zero, found 0 mL"),
        ("volume_ml,recovery\n2,0.3\n2,0.4\n3,0.5\n", "must differ and rise"),
        ("volume_ml,recovery,std\n1,0.3,-1\n2,0.4,1\n3,0.5,1\n", "must not be negative, found -1"),
        ("volume_ml,recovery\n1,x\n", "recovery in line 2 of .* is 'x'"),
        ("volume_ml\n1\n", "lacks the column recovery"),
        ("volume_ml,recovery\n", "no line below it"),
    ],
)
def test_a_recovery_table_that_cannot_be_used_is_refused(tmp_path, text, message):
    path = tmp_path / "recovery.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_recovery(path)


def test_two_points_are_not_fitted(tmp_path):
    with pytest.raises(InputError, match="fitted to at least 3 points, found 2"):
        RecoveryCurve([1.0, 2.0], [0.4, 0.5])
    with pytest.raises(InputError, match="Recovery method 'spline' is unknown"):
        RecoveryCurve([1.0, 2.0], [0.4, 0.5], method="spline")


# Quantities


def test_quantities_follow_their_definitions():
    times_s = np.array([0.0, 10 * HOUR])
    curve = TimeActivityCurve("liver", times_s, [8e6, 2e6], None, [1000.0, 1000.0])
    scales = CurveScales(1e8, F18_PER_S, body_weight_g=70e3, density_g_per_ml=1.06)
    decay = np.exp(F18_PER_S * times_s)
    present = {
        CurveQuantity.ACTIVITY: [8e6, 2e6],
        CurveQuantity.CONCENTRATION: [8e3, 2e3],
        CurveQuantity.PERCENT_ID: [8.0, 2.0],
        CurveQuantity.PERCENT_ID_PER_G: np.array([8.0, 2.0]) / 1060,
        CurveQuantity.SUV: np.array([8e3, 2e3]) * 70e3 / 1e8,
    }
    for quantity, values in present.items():
        np.testing.assert_allclose(curve_values(curve, quantity, False, scales), values, rtol=1e-12)
        np.testing.assert_allclose(curve_values(curve, quantity, True, scales), values * decay, rtol=1e-12)
    by_mass = CurveScales(1e8, mass_g=1800.0)
    assert curve_values(curve, CurveQuantity.PERCENT_ID_PER_G, False, by_mass)[0] == pytest.approx(8 / 1800)


def test_suv_of_the_whole_body_without_excretion_is_one():
    times_s = np.array([1.0, 2.0]) * HOUR
    curve = TimeActivityCurve("body", times_s, 3.7e8 * np.exp(-F18_PER_S * times_s), None, [70e3, 70e3])
    suv = curve_values(curve, CurveQuantity.SUV, True, CurveScales(3.7e8, F18_PER_S, body_weight_g=70e3))
    np.testing.assert_allclose(suv, 1.0, rtol=1e-12)


@pytest.mark.parametrize(
    ("quantity", "corrected", "scales", "text"),
    [
        (CurveQuantity.PERCENT_ID, False, CurveScales(), "%ID needs administered bq, found none"),
        (CurveQuantity.ACTIVITY, True, CurveScales(), "Decay correction needs decay constant per s"),
        (CurveQuantity.CONCENTRATION, False, CurveScales(), "concentration of region 'liver' needs its volume"),
        (CurveQuantity.PERCENT_ID_PER_G, False, CurveScales(1e6), "%ID/g of region 'liver' needs its volume"),
    ],
)
def test_a_quantity_names_what_it_lacks(quantity, corrected, scales, text):
    with pytest.raises(InputError, match=text):
        curve_values(TimeActivityCurve("liver", [0.0], [1.0]), quantity, corrected, scales)


def test_the_table_of_quantities_leaves_empty_what_cannot_be_known():
    curve = TimeActivityCurve("liver", [HOUR], [8e6], None, [1000.0])
    header, row = quantities_csv([curve], CurveScales(1e8, F18_PER_S)).splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert cells["concentration_kbq_per_ml"] == "8"
    assert cells["percent_id"] == "8"
    assert float(cells["percent_id_decay_corrected"]) == pytest.approx(8 * math.exp(F18_PER_S * HOUR), rel=1e-9)
    assert cells["suv_g_per_ml"] == cells["percent_id_per_g"] == ""


def test_uptake_that_cannot_be_is_warned_of_with_its_number():
    times_s = np.array([1.0, 100.0]) * HOUR
    too_much = TimeActivityCurve("liver", times_s, [1.5e6, 1e5])
    not_decayed = TimeActivityCurve("body", times_s, [0.99e6, 0.98e6])
    fine = TimeActivityCurve("spleen", times_s, [0.5e6, 0.3e6])
    found = uptake_warnings([too_much, not_decayed, fine], 1e6, LU177_PER_S)
    assert "'liver' holds 150 % of the administered activity at 1 h: more than 100 %" in found["liver"]
    assert (
        "'body' holds 98 % of the administered activity at 100 h, when physical decay has left 64.76 %" in found["body"]
    )
    assert "spleen" not in found
    assert uptake_warnings([too_much], None, LU177_PER_S) == {}


# Counts


def test_counts_become_activity_with_poissons_uncertainty():
    curve = curve_from_counts(
        "probe", [HOUR, 24 * HOUR], [10_000, 5_000], 60.0, 2000.0, background_counts=400, calibration_relative_std=0.05
    )
    np.testing.assert_allclose(curve.activity_bq, [9600 / 60 * 2000, 4600 / 60 * 2000], rtol=1e-12)
    relative = np.hypot(np.sqrt([10_400, 5_400]) / [9600, 4600], 0.05)
    np.testing.assert_allclose(curve.std_bq / curve.activity_bq, relative, rtol=1e-12)


def test_decay_while_counting_is_brought_to_the_start():
    mean = curve_from_counts("probe", [HOUR], [10_000], 1800.0, 2000.0)
    start = curve_from_counts("probe", [HOUR], [10_000], 1800.0, 2000.0, decay_constant_per_s=F18_PER_S)
    assert start.activity_bq / mean.activity_bq == pytest.approx(mean_to_start_factor(F18_PER_S, 1800.0))
    assert start.std_bq / mean.std_bq == pytest.approx(mean_to_start_factor(F18_PER_S, 1800.0))


def test_few_counts_are_warned_of_and_impossible_ones_refused():
    assert "fewer than 100 net counts at 1 times" in curve_from_counts("p", [1.0], [50], 1.0, 1.0).record.warnings[0]
    with pytest.raises(InputError, match="counting times above zero"):
        curve_from_counts("p", [1.0], [50], 0.0, 1.0)
    with pytest.raises(InputError, match="calibration factor must be above zero, found 0"):
        curve_from_counts("p", [1.0], [50], 1.0, 0.0)
    with pytest.raises(InputError, match="counts must be 2 finite numbers"):
        curve_from_counts("p", [1.0, 2.0], [50, 50, 50], 1.0, 1.0)
    with pytest.raises(InputError, match="activity of region 'p' is"):
        curve_from_counts("p", [1.0], [50], 1.0, 1.0, background_counts=80)


def test_a_tomogram_of_counts_is_calibrated_by_sensitivity():
    counts = QuantitativeVolume(np.full(GRID.shape_kji, 30.0), GRID, Quantity.COUNTS)
    activity = calibrated_volume(counts, 100.0, 600.0)
    assert activity.array_kji.sum() * VOXEL_ML == pytest.approx(30 * 192 / 600 * 100)
    with pytest.raises(UnitError, match="found activity_concentration"):
        calibrated_volume(activity, 100.0, 600.0)
    with pytest.raises(InputError, match="duration must be above zero, found 0"):
        calibrated_volume(counts, 100.0, 0.0)


def test_thousands_of_half_lives_are_no_overflow():
    curve = TimeActivityCurve("liver", [0.0, 5000 * HOUR], [1.0, 1.0])
    with pytest.raises(InputError, match="reaches 5000 h, too many half-lives to be decay-corrected"):
        curve_values(curve, CurveQuantity.ACTIVITY, True, CurveScales(1e6, F18_PER_S))
    assert "when physical decay has left" in uptake_warnings([curve], 1e6, F18_PER_S)["liver"]
