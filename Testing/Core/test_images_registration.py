"""Serial scans: known movements are found, activity follows, and registrations survive their file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from radiodosimetry.errors import CancelledError, FileFormatError, GeometryMismatchError, InputError, UnitError
from radiodosimetry.images import (
    LabelMap,
    QuantitativeVolume,
    Registration,
    VolumeGeometry,
    load_registration,
    register_bspline,
    register_rigid,
    total_activity,
)
from radiodosimetry.units import Quantity

LARGEST_ERROR_MM = 1.0
"""Anywhere in the scan; a sixth of the voxels used here."""

EDGE_WIDTH_MM = 2.0
"""Edges as blurred as voxels of 6 mm make them."""

FIXED_GRID = VolumeGeometry((32, 40, 48), (6.0, 6.0, 6.0), (-140.0, -120.0, -90.0), frame_of_reference_uid="1.1")
MOVING_GRID = VolumeGeometry((36, 44, 52), (6.0, 6.0, 6.0), (-150.0, -125.0, -100.0), frame_of_reference_uid="1.2")


def hounsfield_at(points_mm: np.ndarray) -> np.ndarray:
    """A torso with two lungs, a spine and a liver; points (…, 3)."""
    x, y, z = np.moveaxis(points_mm, -1, 0)
    hu = np.full(x.shape, -1000.0, np.float32)
    for inside_mm, value in (
        (90 * (1 - np.hypot(x / 110, y / 85)), 40),
        (50 * (1 - np.sqrt(((x - 45) / 35) ** 2 + (y / 50) ** 2 + ((z - 20) / 70) ** 2)), -800),
        (45 * (1 - np.sqrt(((x + 45) / 35) ** 2 + (y / 45) ** 2 + ((z - 30) / 60) ** 2)), -780),
        (15 - np.hypot(x, y - 60), 600),
        (35 * (1 - np.sqrt(((x + 40) / 50) ** 2 + ((y + 10) / 40) ** 2 + ((z + 50) / 30) ** 2)), 150),
    ):
        share = 1 / (1 + np.exp(-np.clip(inside_mm / EDGE_WIDTH_MM, -50, 50)))
        hu += share * (value - hu)
    return hu


def points_of(grid: VolumeGeometry) -> np.ndarray:
    k, j, i = np.indices(grid.shape_kji)
    return (np.stack([i, j, k, np.ones_like(i)], axis=-1) @ grid.ijk_to_lps.T)[..., :3]


def ct_on(grid: VolumeGeometry, to_model: sitk.Transform | None = None) -> QuantitativeVolume:
    points = points_of(grid)
    if to_model is not None:
        flat = points.reshape(-1, 3)
        points = np.array([to_model.TransformPoint(point) for point in flat.tolist()]).reshape(points.shape)
    return QuantitativeVolume(hounsfield_at(points), grid, Quantity.CT_NUMBER)


@pytest.fixture(scope="module")
def truth() -> sitk.Euler3DTransform:
    """Points of the fixed scan to points of the moving scan."""
    return sitk.Euler3DTransform((0.0, 0.0, 0.0), 0.05, -0.04, 0.1, (11.0, -8.0, 7.0))


@pytest.fixture(scope="module")
def fixed() -> QuantitativeVolume:
    return ct_on(FIXED_GRID)


@pytest.fixture(scope="module")
def moving(truth: sitk.Euler3DTransform) -> QuantitativeVolume:
    return ct_on(MOVING_GRID, truth.GetInverse())


@pytest.fixture(scope="module")
def rigid(fixed: QuantitativeVolume, moving: QuantitativeVolume) -> Registration:
    return register_rigid(fixed, moving, threads=1)


def test_a_known_rotation_and_shift_is_recovered(rigid: Registration, truth: sitk.Euler3DTransform) -> None:
    errors = [
        np.linalg.norm(np.subtract(rigid.transform.TransformPoint(point), truth.TransformPoint(point)))
        for point in FIXED_GRID.corners_lps_mm().tolist()
    ]
    assert max(errors) < LARGEST_ERROR_MM
    quality = rigid.quality
    assert quality["mutual_information_after"] > quality["mutual_information_before"]
    assert quality["correlation_after"] > max(0.85, quality["correlation_before"])
    assert quality["body_dice_after"] > 0.95
    assert 10 < quality["mean_displacement_mm"] < quality["largest_displacement_mm"] < 40
    assert quality["jacobian_min"] == quality["jacobian_max"] == 1.0
    assert rigid.record.warnings == ()


def test_the_same_seed_gives_the_same_transform(
    fixed: QuantitativeVolume, moving: QuantitativeVolume, rigid: Registration
) -> None:
    again = register_rigid(fixed, moving, threads=1)
    assert again.transform.GetParameters() == rigid.transform.GetParameters()
    assert dict(again.quality) == pytest.approx(dict(rigid.quality))


def test_the_emission_image_follows_with_its_activity(
    rigid: Registration, moving: QuantitativeVolume, truth: sitk.Euler3DTransform
) -> None:
    lesion_mm = np.array([30.0, -20.0, 10.0])
    distance = np.linalg.norm(points_of(MOVING_GRID) - np.array(truth.TransformPoint(lesion_mm.tolist())), axis=-1)
    spot = QuantitativeVolume(np.exp(-0.5 * (distance / 10) ** 2), MOVING_GRID, Quantity.ACTIVITY_CONCENTRATION)
    moved = rigid.apply_to_activity(spot)
    assert total_activity(moved) == pytest.approx(total_activity(spot), rel=1e-5)
    centre = np.average(points_of(FIXED_GRID).reshape(-1, 3), axis=0, weights=moved.array_kji.ravel())
    assert np.linalg.norm(centre - lesion_mm) < LARGEST_ERROR_MM
    assert moved.geometry.frame_of_reference_uid == "1.1"
    assert moved.record.parameters["registration"]["kind"] == "rigid"


def test_ct_and_labels_follow(rigid: Registration, fixed: QuantitativeVolume, moving: QuantitativeVolume) -> None:
    moved = rigid.apply_to_ct(moving)
    assert np.corrcoef(moved.array_kji.ravel(), fixed.array_kji.ravel())[0, 1] > 0.9
    bones = LabelMap((moving.array_kji > 400).astype(int), MOVING_GRID, {1: "spine"})
    here, there = rigid.apply_to_labels(bones).mask("spine"), fixed.array_kji > 400
    assert 2 * (here & there).sum() / (here.sum() + there.sum()) > 0.75


def test_an_image_of_a_third_frame_is_refused(rigid: Registration, fixed: QuantitativeVolume) -> None:
    with pytest.raises(GeometryMismatchError, match="different frames of reference"):
        rigid.apply_to_ct(fixed)
    with pytest.raises(UnitError, match="Expected an activity concentration, found ct_number"):
        rigid.apply_to_activity(fixed)


@pytest.mark.parametrize("suffix", [".tfm", ".h5"])
def test_a_registration_survives_its_file(rigid: Registration, tmp_path: Path, suffix: str) -> None:
    rigid.save(tmp_path / f"day1{suffix}")
    back = load_registration(tmp_path / f"day1{suffix}")
    point = (12.0, -30.0, 50.0)
    np.testing.assert_allclose(back.transform.TransformPoint(point), rigid.transform.TransformPoint(point), atol=1e-9)
    assert (back.kind, back.moving_frame_uid, dict(back.quality)) == ("rigid", "1.2", dict(rigid.quality))
    assert back.geometry.same_grid(FIXED_GRID)
    assert back.record.seed == 1


def test_a_damaged_registration_is_refused(rigid: Registration, tmp_path: Path) -> None:
    path = tmp_path / "day1.tfm"
    rigid.save(path)
    path.write_text("#Insight Transform File V1.0\nTransform: Nonsense\n")
    with pytest.raises(FileFormatError, match="cannot be used as a saved registration"):
        load_registration(path)
    (tmp_path / "day1.tfm.json").write_text("{}")
    with pytest.raises(FileFormatError, match="cannot be used as a saved registration"):
        load_registration(path)
    with pytest.raises(FileFormatError, match="does not exist"):
        load_registration(tmp_path / "none.tfm")
    with pytest.raises(InputError, match=r"expected a name in \.tfm or \.h5"):
        rigid.save(tmp_path / "day1.txt")


def test_a_bend_is_followed_by_the_spline(fixed: QuantitativeVolume) -> None:
    points = points_of(FIXED_GRID)
    bent = points + np.stack([6 * np.sin(points[..., 2] / 40), 5 * np.cos(points[..., 2] / 50), 0 * points[..., 0]], -1)
    moving = QuantitativeVolume(hounsfield_at(bent), FIXED_GRID, Quantity.CT_NUMBER)
    start = register_rigid(fixed, moving, threads=1, iterations=60)
    spline = register_bspline(fixed, moving, start, iterations=8, threads=1)
    assert spline.quality["correlation_after"] > start.quality["correlation_after"]
    assert spline.quality["mutual_information_after"] > start.quality["mutual_information_after"]
    assert 0.7 < spline.quality["jacobian_min"] < 1 < spline.quality["jacobian_max"] < 1.4
    blob = np.exp(-0.5 * (np.linalg.norm(points - [20.0, 0.0, 0.0], axis=-1) / 25) ** 2)
    activity = QuantitativeVolume(blob, FIXED_GRID, Quantity.ACTIVITY_CONCENTRATION)
    assert spline.apply_to_activity(activity).record.parameters["activity_kept_share"] == pytest.approx(1, abs=0.01)


def test_only_cts_are_registered(fixed: QuantitativeVolume) -> None:
    with pytest.raises(UnitError, match="Registration is CT to CT; the moving image is counts"):
        register_rigid(fixed, fixed.with_array(fixed.array_kji, Quantity.COUNTS))


def test_cancel_stops_a_registration(fixed: QuantitativeVolume, moving: QuantitativeVolume) -> None:
    class StopsSoon:
        def __init__(self) -> None:
            self.reports = 0

        def report(self, fraction: float, message: str) -> None:
            self.reports += 1

        def cancelled(self) -> bool:
            return self.reports > 3

    with pytest.raises(CancelledError, match="Cancelled by the user"):
        register_rigid(fixed, moving, progress=StopsSoon())
