"""The uncertainty of synthetic scans in curves, fits and doses: closed forms of shared uncertainties of unlike size."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.errors import GeometryMismatchError, InputError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap, Region, write_label_map
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.provenance import Record
from radiodosimetry.time_activity.acquisition_times import ImageTiming, region_scan
from radiodosimetry.time_activity.curves import (
    REMAINDER,
    VOIDED,
    WHOLE_BODY,
    CurveOptions,
    RegionScan,
    TimeActivityCurve,
    curves_from_volumes,
)
from radiodosimetry.time_activity.fit_files import FitSet, fits_json, read_fits
from radiodosimetry.time_activity.fitting import fit_curve
from radiodosimetry.time_activity.recovery import RecoveryCurve
from radiodosimetry.time_activity.uncertainty import chain_inputs_of, dose_uncertainty
from radiodosimetry.time_activity.voxelwise import tia_map
from radiodosimetry.units import Quantity
from radiodosimetry.workflows.case_budget import budget_csv, read_budget
from radiodosimetry.workflows.curves import ScanFile, curves_from_files, uncertainty_file_of

HOUR = 3600.0
HALF_LIFE_H = 12.701
DECAY = math.log(2) / (HALF_LIFE_H * HOUR)
GRID = VolumeGeometry((4, 5, 6), (4.0, 4.0, 5.0))
VOXEL_ML = 0.08
TIMES_H = (1.0, 24.0, 48.0)
RATES_PER_H = 0.07
STD = {24.0: 0.2, 48.0: 0.35}
UNKNOWN = "is synthetic and its uncertainty is not known here"


def curve_of(times_h, activity_bq, std_bq=None, **relative_std) -> TimeActivityCurve:
    record = Record("measured", {"relative_std": {cause: list(values) for cause, values in relative_std.items()}})
    return TimeActivityCurve("liver", np.asarray(times_h) * HOUR, np.asarray(activity_bq), std_bq, None, record)


def synthetic_curve(times_h, activity_bq, shares) -> TimeActivityCurve:
    """Points that state nothing but the uncertainty of a synthesis."""
    return curve_of(times_h, activity_bq, np.asarray(shares) * np.asarray(activity_bq), synthesis=shares)


# Fits


@pytest.mark.parametrize("model", ["mono", "uptake-clearance", "bi", "trapezoid", "auto"])
def test_one_share_at_all_times_moves_the_whole_and_nothing_else(model):
    """The same share for all points: that of the integral, of every amplitude, of no rate, as for a calibration."""
    times_h = np.array([1.0, 4, 24, 48, 72, 96, 120])
    activity = 60e6 * np.exp(-0.1 * times_h) + 20e6 * np.exp(-0.06 * times_h)
    own, share = 0.01 * activity, 0.15
    alone = fit_curve(curve_of(times_h, activity, own), DECAY, model)
    both = fit_curve(
        curve_of(times_h, activity, np.hypot(own, share * activity), synthesis=[share] * 7), DECAY, model
    )
    assert both.tia_bq_s == pytest.approx(alone.tia_bq_s, rel=1e-9)
    assert both.shared_relative_std == {"synthesis": pytest.approx(share, rel=1e-12)}
    whole = math.hypot(alone.tia_std_bq_s, share * alone.tia_bq_s)
    assert both.tia_std_bq_s == pytest.approx(whole, rel=1e-9)
    for name, parameter in both.parameters.items():
        before = alone.parameters[name]
        if before.std is not None:
            amplitude = parameter.value if name.endswith("_bq") else 0.0
            assert parameter.std == pytest.approx(math.hypot(before.std, share * amplitude), rel=1e-6), name


@pytest.mark.parametrize("share", [0.02, 0.4])
def test_a_synthetic_point_beside_a_measured_one_turns_the_exponential(share):
    """Two points and one exponential: A and λ pass through both, whatever the second one is moved to."""
    (first_h, second_h), (first, second) = (1.0, 30.0), (50e6, 4e6)

    def through(moved):
        rate = math.log(first / moved) / ((second_h - first_h) * HOUR)
        return first * math.exp(rate * first_h * HOUR) / rate, rate

    (high, slow), (low, fast) = through(second * math.exp(share)), through(second * math.exp(-share))
    fit = fit_curve(synthetic_curve([first_h, second_h], np.array([first, second]), [0.0, share]), DECAY, "mono")
    assert fit.tia_std_bq_s == pytest.approx((high - low) / 2, rel=1e-6)
    assert fit.shared_relative_std["synthesis"] == pytest.approx((high - low) / 2 / fit.tia_bq_s, rel=1e-6)
    assert fit.parameters["lambda1_per_s"].std == pytest.approx((fast - slow) / 2, rel=1e-6)
    assert fit.tia_own_std_bq_s is None  # two points, two parameters: nothing else is known
    assert not any("uncertainty of zero" in warning for warning in fit.warnings)
    assert any("to unlike parts (synthesis)" in words for words in fit.quality)


def test_first_order_agrees_with_the_derivative_of_the_closed_form():
    """d ln(A/λ)/d ln A₂ = 1/(λ(t₂ − t₁)) − t₁/(t₂ − t₁) at two points."""
    first_h, second_h, rate = 1.0, 30.0, 0.09
    activity = 50e6 * np.exp(-rate * np.array([first_h, second_h]))
    fit = fit_curve(synthetic_curve([first_h, second_h], activity, [0.0, 1e-3]), DECAY, "mono")
    slope = (1.0 / rate - first_h) / (second_h - first_h)
    assert fit.tia_std_bq_s / fit.tia_bq_s == pytest.approx(1e-3 * slope, rel=1e-3)


@pytest.mark.parametrize("largest", [0.3, 2.0])
def test_trapezoids_move_by_the_weights_of_their_points(largest):
    """Points that move together: Σ wᵢAᵢ sinh(rᵢ), from one standard uncertainty of a factor e on in proportion."""
    times_h, activity = np.array(TIMES_H), np.array([50e6, 20e6, 8e6])
    shares = np.array([0.0, 0.5, 1.0]) * largest
    fit = fit_curve(synthetic_curve(times_h, activity, shares), DECAY, "trapezoid", tail="physical")
    weights = np.array([24.0, 47.0, 24.0]) / 2 * HOUR + [0.0, 0.0, 1 / DECAY]
    step = min(1.0, 1.0 / largest)
    assert fit.tia_std_bq_s == pytest.approx(float(np.sum(weights * activity * np.sinh(step * shares))) / step)
    assert fit.tia_own_std_bq_s is None


def test_a_tail_fitted_to_synthetic_points_knows_its_rate_no_better_than_they_do():
    """Two points: λ = ln(A₁/A₂)/Δt moves by r/Δt. A rate that physical decay holds has no uncertainty of its own."""
    fit = fit_curve(synthetic_curve([24.0, 48], [20e6, 4e6], [0.0, 0.2]), DECAY, "trapezoid", tail="mono")
    assert fit.parameters["lambda_tail_per_s"].std == pytest.approx(0.2 / (24 * HOUR), rel=1e-6)
    held = fit_curve(synthetic_curve([24.0, 48], [20e6, 18e6], [0.0, 0.2]), DECAY, "trapezoid", tail="mono")
    assert held.parameters["lambda_tail_per_s"].std is None


@pytest.mark.parametrize(("model", "share"), [("hanscheid", 0.35), ("madsen", 0.35)])
def test_one_point_has_its_own_share(model, share):
    activity = np.array([50e6, 20e6, 8e6])
    bare = fit_curve(curve_of(TIMES_H, activity), DECAY, model, 10 * HOUR)
    fit = fit_curve(synthetic_curve(TIMES_H, activity, [0.0, share, share]), DECAY, model, 10 * HOUR)
    assert fit.shared_relative_std == {"synthesis": share}
    assert fit.tia_std_bq_s == pytest.approx(math.hypot(bare.tia_std_bq_s, share * bare.tia_bq_s))
    early = fit_curve(synthetic_curve(TIMES_H[:1], activity[:1], [0.0]), DECAY, model, 10 * HOUR)
    assert early.shared_relative_std == {}


def test_points_that_state_only_a_synthesis_count_alike():
    """The early scan states nothing, which is neither a weight without end nor a zero to be warned of."""
    activity = np.array([50e6, 12e6, 3e6])
    bare = fit_curve(curve_of(TIMES_H, activity), DECAY, "mono")
    fit = fit_curve(synthetic_curve(TIMES_H, activity, [0.0, 0.2, 0.35]), DECAY, "mono")
    assert fit.tia_bq_s == bare.tia_bq_s
    assert fit.tia_own_std_bq_s == pytest.approx(bare.tia_std_bq_s, rel=1e-6)
    assert not any("uncertainty of zero" in warning for warning in fit.warnings)
    stated = curve_of(TIMES_H, activity, np.array([0.0, 1e6, 1e6]), synthesis=[0.0, 0.01, 0.01])
    assert any("uncertainty of zero" in warning for warning in fit_curve(stated, DECAY, "mono").warnings)


def test_causes_are_independent_of_each_other():
    activity = np.array([50e6, 12e6, 3e6])
    parts = {"calibration": [0.05] * 3, "synthesis": [0.0, 0.2, 0.35]}
    total = np.hypot(*(np.array(part) for part in parts.values())) * activity
    fit = fit_curve(curve_of(TIMES_H, activity, total, **parts), DECAY, "mono")
    alone = fit_curve(synthetic_curve(TIMES_H, activity, parts["synthesis"]), DECAY, "mono")
    assert fit.shared_relative_std["calibration"] == pytest.approx(0.05)
    assert fit.shared_relative_std["synthesis"] == pytest.approx(alone.shared_relative_std["synthesis"])
    assert fit.tia_std_bq_s == pytest.approx(math.hypot(alone.tia_std_bq_s, 0.05 * fit.tia_bq_s))


# What follows of a fit


def test_a_file_of_fits_keeps_the_causes_and_older_files_are_read(tmp_path):
    fit = fit_curve(synthetic_curve(TIMES_H, np.array([50e6, 12e6, 3e6]), [0.0, 0.2, 0.35]), DECAY, "mono")
    path = tmp_path / "fits.json"
    path.write_text(fits_json(FitSet("Cu-64", {"liver": fit}, 300e6)), encoding="utf-8")
    found = read_fits(path)["liver"]
    assert dict(found.shared_relative_std) == pytest.approx(dict(fit.shared_relative_std))
    assert found.tia_own_std_bq_s == pytest.approx(fit.tia_own_std_bq_s, rel=1e-6)
    older = json.loads(path.read_text(encoding="utf-8"))
    del older["regions"]["liver"]["shared_relative_std"]
    path.write_text(json.dumps(older), encoding="utf-8")
    assert read_fits(path)["liver"].shared_relative_std == {}
    assert read_fits(path)["liver"].tia_std_bq_s == pytest.approx(fit.tia_std_bq_s)


def test_the_synthesis_is_a_cause_of_its_own_in_dose_and_budget(tmp_path):
    fit = fit_curve(synthetic_curve(TIMES_H, np.array([50e6, 12e6, 3e6]), [0.0, 0.2, 0.35]), DECAY, "mono")
    share = fit.shared_relative_std["synthesis"]
    found = dose_uncertainty(fit.tia_bq_s, 1e-13, chain_inputs_of(fit))
    assert found.relative_std == pytest.approx(fit.tia_std_bq_s / fit.tia_bq_s)
    assert found.variance_shares["synthesis"] == pytest.approx((share / found.relative_std) ** 2)
    assert found.variance_shares["synthesis"] > 0.5
    path = tmp_path / "uncertainty.csv"
    text = budget_csv({"liver": fit})
    path.write_text(text)
    assert read_budget(path)["liver"]["synthesis"] == pytest.approx(100 * share, rel=1e-5)
    columns = [line.split(",") for line in text.splitlines()]
    left = columns[0].index("synthesis_percent")
    path.write_text("\n".join(",".join(row[:left] + row[left + 1 :]) for row in columns) + "\n")
    assert read_budget(path)["liver"]["synthesis"] is None


# Scans


def block(name: str, *part: slice) -> Region:
    mask = np.zeros(GRID.shape_kji, dtype=bool)
    mask[part] = True
    return Region(name, mask, name)


LIVER, SPLEEN = block("liver", slice(0, 2)), block("spleen", slice(2, 3), slice(0, 3))


def image(values, **parameters) -> QuantitativeVolume:
    array = np.broadcast_to(np.asarray(values, dtype=np.float64), GRID.shape_kji)
    return QuantitativeVolume(array, GRID, Quantity.ACTIVITY_CONCENTRATION, None, Record("made for a test", parameters))


def uneven(scale: float) -> np.ndarray:
    return scale * (1.0 + np.arange(np.prod(GRID.shape_kji)).reshape(GRID.shape_kji))


def test_errors_of_the_voxels_of_a_region_add_up():
    std = uneven(3.0)
    scans = [
        RegionScan(HOUR, image(uneven(100.0)), (LIVER, SPLEEN)),
        RegionScan(24 * HOUR, image(uneven(40.0), synthetic=True), (LIVER, SPLEEN), uncertainty=image(std)),
    ]
    options = CurveOptions(DECAY, 1e9, remainder=True, whole_body=True, voided=True)
    curves = {curve.region: curve for curve in curves_from_volumes(scans, options)}
    outside = ~(LIVER.mask_kji | SPLEEN.mask_kji)
    for name, mask in {"liver": LIVER.mask_kji, "spleen": SPLEEN.mask_kji, REMAINDER: outside}.items():
        expected = std[mask].sum() * VOXEL_ML
        np.testing.assert_allclose(curves[name].std_bq, [0.0, expected], rtol=1e-12, atol=0)
        shares = curves[name].record.parameters["relative_std"]["synthesis"]
        np.testing.assert_allclose(shares, curves[name].std_bq / curves[name].activity_bq, rtol=1e-12, atol=0)
    for name in (WHOLE_BODY, VOIDED):  # what the one has too much the other lacks
        np.testing.assert_allclose(curves[name].std_bq, [0.0, std.sum() * VOXEL_ML], rtol=1e-12, atol=0)
        shares = curves[name].record.parameters["relative_std"]["synthesis"]
        np.testing.assert_allclose(shares, curves[name].std_bq / curves[name].activity_bq, rtol=1e-12, atol=0)
    assert "uncertainty of the scan at 24 h" in curves["liver"].record.inputs
    assert not any(UNKNOWN in warning for warning in curves["liver"].record.warnings)


def test_recovery_leaves_the_relative_uncertainty_as_it_is():
    scans = [RegionScan(24 * HOUR, image(1e4, synthetic=True), (LIVER,), uncertainty=image(2e3))]
    recovery = RecoveryCurve([0.1, 10.0], [0.4, 0.9], None, method="interpolated")
    (liver,) = curves_from_volumes(scans, CurveOptions(recovery=recovery))
    assert liver.record.parameters["relative_std"]["synthesis"] == [pytest.approx(0.2, rel=1e-12)]


def test_decay_to_the_time_of_a_scan_takes_the_uncertainty_along():
    timing = ImageTiming(time_s=24 * HOUR, corrected_to_administration=True)
    scan = region_scan(image(1e4), (LIVER,), DECAY, timing, uncertainty=image(2e3))
    left = math.exp(-DECAY * 24 * HOUR)
    np.testing.assert_allclose(scan.uncertainty.array_kji, 2e3 * left, rtol=1e-12)
    np.testing.assert_allclose(scan.volume.array_kji, 1e4 * left, rtol=1e-12)


def test_slices_with_their_own_times_take_their_uncertainty_along():
    slices_s = np.array([1.0, 1.0, 1.5, 1.5]) * HOUR
    scan = RegionScan(1.25 * HOUR, image(1e4), (LIVER,), slices_s, image(2e3))
    (liver,) = curves_from_volumes([scan], CurveOptions(DECAY))
    assert liver.std_bq[0] / liver.activity_bq[0] == pytest.approx(0.2, rel=1e-12)


def test_an_uncertainty_that_does_not_belong_to_the_scan_is_refused():
    scan = RegionScan(24 * HOUR, image(1e4))
    other = replace(image(1.0), geometry=replace(GRID, origin_mm=(9.0, 0.0, 0.0)))
    with pytest.raises(GeometryMismatchError, match="The scan at 24 h and its uncertainty have different grids"):
        replace(scan, uncertainty=other)
    with pytest.raises(UnitError, match="uncertainty of the scan at 24 h must be an activity concentration"):
        replace(scan, uncertainty=image(1.0).with_array(np.ones(GRID.shape_kji), Quantity.COUNTS))
    with pytest.raises(InputError, match="below zero in some voxel"):
        replace(scan, uncertainty=image(-1.0))


def test_a_synthetic_scan_without_uncertainty_is_warned_of():
    scans = [RegionScan(HOUR, image(1e4), (LIVER,)), RegionScan(24 * HOUR, image(4e3, synthetic=True), (LIVER,))]
    (liver,) = curves_from_volumes(scans)
    assert [text for text in liver.record.warnings if UNKNOWN in text] == [
        f"The scan at 24 h {UNKNOWN}: what is stated for curves, residence times and doses leaves it out and is too "
        "small."
    ]
    assert liver.std_bq is None


def test_a_map_says_that_the_uncertainty_of_synthetic_scans_is_not_in_it():
    scans = [RegionScan(HOUR, image(1e4)), RegionScan(24 * HOUR, image(2e3, synthetic=True), uncertainty=image(1e3))]
    warnings = tia_map(scans, DECAY, "mono").record.warnings
    assert any(
        "Of synthetic scans (at 24 h) the uncertainty" in text and "not in that of this map." in text
        for text in warnings
    )
    measured = [replace(scan, volume=image(values)) for scan, values in zip(scans, (1e4, 2e3), strict=True)]
    assert not any("synthetic" in text for text in tia_map(measured, DECAY, "mono").record.warnings)


# Files


@pytest.fixture
def series(tmp_path) -> list[ScanFile]:
    """An early scan, and two synthetic ones with their uncertainties beside, as `synthesize` writes them."""
    labels = np.where(LIVER.mask_kji, 1, 0).astype(np.uint8)
    write_label_map(LabelMap(labels, GRID, {1: "liver"}), tmp_path / "labels.nii.gz", tmp_path / "labels.csv")
    files = []
    for hours in TIMES_H:
        activity = 1e4 * math.exp(-RATES_PER_H * hours)
        path = tmp_path / f"pet_{hours:g}h.nii.gz"
        if hours in STD:
            beside = f"pet_{hours:g}h_uncertainty.nii.gz"
            write_volume(image(activity, synthetic=True, uncertainty_file=beside), path)
            write_volume(image(STD[hours] * activity, synthetic=True), tmp_path / beside)
        else:
            write_volume(image(activity), path)
        files.append(ScanFile(path, hours * HOUR, tmp_path / "labels.nii.gz"))
    return files


def test_the_file_that_a_synthetic_scan_names_is_in_curves_and_record(series):
    found = curves_from_files(series, "Cu-64", series[0].path.with_name("labels.csv"))
    (liver,) = found.curves
    np.testing.assert_allclose(liver.std_bq / liver.activity_bq, [0.0, *STD.values()], rtol=1e-6)
    assert found.record.inputs["uncertainty of scan 2"]["file"]["path"].endswith("pet_24h_uncertainty.nii.gz")
    assert "uncertainty of scan 1" not in found.record.inputs
    assert not found.record.warnings
    assert uncertainty_file_of(series[1].path).name == "pet_24h_uncertainty.nii.gz"
    assert uncertainty_file_of(series[0].path) is None


def test_a_missing_file_of_uncertainty_is_warned_of_and_one_of_another_grid_refused(series):
    beside = series[1].path.with_name("pet_24h_uncertainty.nii.gz")
    beside.unlink()
    found = curves_from_files(series, "Cu-64", series[0].path.with_name("labels.csv"))
    assert any("names pet_24h_uncertainty.nii.gz as its uncertainty, which is not beside it" in text
               for text in found.record.warnings)  # fmt: skip
    assert any(f"The scan at 24 h {UNKNOWN}" in text for text in found.record.warnings)
    assert found.curves[0].std_bq[1] == 0
    assert found.curves[0].std_bq[2] > 0
    moved = replace(image(1.0), geometry=replace(GRID, origin_mm=(9.0, 0.0, 0.0)))
    write_volume(moved, beside)
    with pytest.raises(GeometryMismatchError, match="pet_24h.nii.gz.*its uncertainty have different grids"):
        curves_from_files(series, "Cu-64", series[0].path.with_name("labels.csv"))


def test_a_synthetic_scan_of_a_model_without_uncertainty_is_warned_of(series, tmp_path: Path):
    write_volume(image(2e3, synthetic=True, uncertainty_file=None), series[1].path)
    found = curves_from_files(series, "Cu-64", tmp_path / "labels.csv")
    assert any(f"The scan at 24 h {UNKNOWN}" in text for text in found.record.warnings)
