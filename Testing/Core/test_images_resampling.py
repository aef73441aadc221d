"""One grid onto another: what must be kept is kept, and what cannot match is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.errors import GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.images import (
    LabelMap,
    QuantitativeVolume,
    VolumeGeometry,
    body_mask,
    read_label_map,
    resample_activity,
    resample_ct,
    resample_labels,
    total_activity,
    without_negative_activity,
)
from radiodosimetry.units import Quantity

TOTAL_TOLERANCE = 1e-5
"""Relative; the overlap method is exact, the averages are scaled: rounding is all that is left."""


def rotated(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def an_activity(rng: np.random.Generator) -> QuantitativeVolume:
    geometry = VolumeGeometry((9, 11, 13), (4.0, 4.0, 5.0), (-24.0, -20.0, -20.0))
    return QuantitativeVolume(rng.random(geometry.shape_kji), geometry, Quantity.ACTIVITY_CONCENTRATION)


@pytest.mark.parametrize("degrees", [0.0, 12.0, 90.0, 180.0])
@pytest.mark.parametrize("spacing", [(2.0, 3.0, 2.5), (7.0, 6.0, 9.0)])
def test_activity_is_conserved_where_the_new_grid_covers_the_old(
    rng: np.random.Generator, degrees: float, spacing: tuple[float, float, float]
) -> None:
    activity = an_activity(rng)
    shape = tuple(int(np.ceil(90.0 / step)) for step in spacing[::-1])
    direction = rotated(degrees)
    origin = direction @ (-np.array(shape[::-1]) * spacing / 2)
    new = resample_activity(activity, VolumeGeometry(shape, spacing, tuple(origin), direction))
    assert total_activity(new) == pytest.approx(total_activity(activity), rel=TOTAL_TOLERANCE)
    assert new.record.warnings == ()
    assert abs(new.record.parameters["activity_outside_share"]) < TOTAL_TOLERANCE


def test_flipped_and_permuted_axes_move_values_unchanged(rng: np.random.Generator) -> None:
    activity = an_activity(rng)
    old = activity.geometry
    # target axes run along -k, +i, -j of the source and begin at its far corner
    direction = old.direction @ np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0]])
    far = old.ijk_to_lps @ [0, old.shape_kji[1] - 1, old.shape_kji[0] - 1, 1]
    new = VolumeGeometry((11, 13, 9), (5.0, 4.0, 4.0), tuple(far[:3]), direction)
    expected = activity.array_kji[::-1, ::-1, :].transpose(1, 2, 0)
    np.testing.assert_allclose(resample_activity(activity, new).array_kji, expected, atol=1e-12)


def test_a_voxel_that_straddles_two_gets_the_mean_by_overlap() -> None:
    source = VolumeGeometry((1, 1, 2), (2.0, 1.0, 1.0))
    volume = QuantitativeVolume(np.array([[[10.0, 20.0]]]), source, Quantity.ACTIVITY_CONCENTRATION)
    # faces at -1, 1, 3 mm; the new voxel from 0.5 to 2.5 mm holds a quarter of the first, three of the second
    new = resample_activity(volume, VolumeGeometry((1, 1, 1), (2.0, 1.0, 1.0), (1.5, 0.0, 0.0)))
    assert new.array_kji[0, 0, 0] == pytest.approx(0.25 * 10 + 0.75 * 20)


@pytest.mark.parametrize("degrees", [0.0, 10.0])
def test_activity_outside_the_new_grid_is_recorded_with_a_warning(degrees: float) -> None:
    source = VolumeGeometry((20, 20, 20), (2.0, 2.0, 2.0), (-19.0, -19.0, -19.0))
    volume = QuantitativeVolume(np.ones(source.shape_kji), source, Quantity.ACTIVITY_CONCENTRATION)
    direction = rotated(degrees)
    half = VolumeGeometry((10, 60, 60), (1.0, 1.0, 2.0), tuple(direction @ (-29.5, -29.5, 1.0)), direction)
    new = resample_activity(volume, half)
    assert new.record.parameters["activity_outside_share"] == pytest.approx(0.5, abs=1e-4)
    assert "50.00 % of the activity lies outside the new grid" in new.record.warnings[0]


def test_a_constant_stays_constant_inside(rng: np.random.Generator) -> None:
    source = VolumeGeometry((20, 20, 20), (3.0, 3.0, 3.0), (-28.5, -28.5, -28.5))
    volume = QuantitativeVolume(np.full(source.shape_kji, 7.0), source, Quantity.ACTIVITY_CONCENTRATION)
    new = resample_activity(volume, VolumeGeometry((10, 10, 10), (2.0, 2.0, 2.0), (-9, -9, -9), rotated(20)))
    assert np.ptp(new.array_kji) < 1e-5
    # scaled to the total, whose sub-voxel points miss a little at the faces of an image that is not zero there
    np.testing.assert_allclose(new.array_kji, 7.0, rtol=2e-3)


def test_only_concentrations_are_conserved() -> None:
    dose = QuantitativeVolume(np.ones((2, 2, 2)), VolumeGeometry((2, 2, 2), (1, 1, 1)), Quantity.ABSORBED_DOSE)
    with pytest.raises(UnitError, match="found absorbed_dose"):
        resample_activity(dose, dose.geometry)


def test_ct_is_linear_inside_and_air_outside() -> None:
    source = VolumeGeometry((4, 4, 4), (2.0, 2.0, 2.0))
    ramp = np.broadcast_to(np.arange(4) * 100.0, (4, 4, 4))
    ct = QuantitativeVolume(ramp, source, Quantity.CT_NUMBER)
    new = resample_ct(ct, VolumeGeometry((1, 1, 12), (1.0, 1.0, 1.0), (0.0, 3.0, 3.0)))
    np.testing.assert_allclose(new.array_kji[0, 0], [0, 50, 100, 150, 200, 250, 300] + [-1000.0] * 5)
    assert new.record.parameters["outside_share"] == pytest.approx(5 / 12)


def test_grids_without_overlap_are_refused_with_their_extents() -> None:
    ct = QuantitativeVolume(np.zeros((4, 4, 4)), VolumeGeometry((4, 4, 4), (2.0, 2.0, 2.0)), Quantity.CT_NUMBER)
    far = VolumeGeometry((4, 4, 4), (2.0, 2.0, 2.0), (500.0, 0.0, 0.0))
    with pytest.raises(GeometryMismatchError, match="do not overlap: x -1 to 7 mm.* against x 499 to 507 mm"):
        resample_ct(ct, far)
    diagonal = VolumeGeometry((1, 40, 1), (1.0, 1.0, 8.0), (12.0, -20.0, 3.0), rotated(45))
    with pytest.raises(GeometryMismatchError, match="do not overlap"):
        resample_ct(ct, diagonal)


def test_different_frames_of_reference_are_refused() -> None:
    geometry = VolumeGeometry((4, 4, 4), (2.0, 2.0, 2.0), frame_of_reference_uid="1.1")
    ct = QuantitativeVolume(np.zeros((4, 4, 4)), geometry, Quantity.CT_NUMBER)
    other = VolumeGeometry((4, 4, 4), (2.0, 2.0, 2.0), frame_of_reference_uid="1.2")
    with pytest.raises(GeometryMismatchError, match=r"different frames of reference \(1\.1 and 1\.2\)"):
        resample_ct(ct, other)
    unnamed = VolumeGeometry((3, 3, 3), (2.0, 2.0, 2.0))
    assert resample_ct(ct, unnamed).geometry.frame_of_reference_uid == "1.1"


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 3.0, 3.0), (2.0, 2.0, 2.0)])
@pytest.mark.parametrize("degrees", [0.0, 25.0])
def test_labels_keep_their_volumes_and_places(spacing: tuple[float, float, float], degrees: float) -> None:
    geometry = VolumeGeometry((30, 40, 40), (2.0, 2.0, 2.0), (-39.0, -39.0, -29.0))
    k, j, i = np.indices(geometry.shape_kji)
    radius = np.sqrt((i - 19.5) ** 2 + (j - 19.5) ** 2 + (k - 14.5) ** 2)
    labels = np.where(radius < 11, 5, 0)
    labels[np.sqrt((i - 24) ** 2 + (j - 19) ** 2 + (k - 14) ** 2) < 3.5] = 7
    shape = tuple(int(110 / step) for step in spacing)
    origin = rotated(degrees) @ (-np.array(shape[::-1]) * spacing / 2)
    label_map = LabelMap(labels, geometry, {5: "liver", 7: "lesion"})
    new = resample_labels(label_map, VolumeGeometry(shape, spacing, tuple(origin), rotated(degrees)))
    for name, tolerance in (("liver", 0.01), ("lesion", 0.06)):
        before = label_map.mask(name).sum() * label_map.geometry.voxel_volume_ml
        assert new.mask(name).sum() * new.geometry.voxel_volume_ml == pytest.approx(before, rel=tolerance)
        places = [
            (np.argwhere(one.mask(name)).mean(axis=0)[::-1].tolist() + [1.0]) @ one.geometry.ijk_to_lps.T
            for one in (label_map, new)
        ]
        np.testing.assert_allclose(places[1], places[0], atol=0.4)


def test_labels_that_vanish_are_named() -> None:
    labels = np.zeros((4, 4, 4), int)
    labels[0, 0, 0] = 3
    labels[1:, 1:, 1:] = 1
    label_map = LabelMap(labels, VolumeGeometry((4, 4, 4), (1.0, 1.0, 1.0)), {3: "dot", 1: "block"})
    new = resample_labels(label_map, VolumeGeometry((2, 2, 2), (2.0, 2.0, 2.0), (0.9, 0.9, 0.9)))
    assert new.record.warnings == ("Regions without a voxel on the new grid: dot.",)
    assert new.absent == ("dot",)


def a_torso_ct() -> QuantitativeVolume:
    geometry = VolumeGeometry((20, 50, 60), (5.0, 5.0, 5.0))
    _, j, i = np.indices(geometry.shape_kji)
    hu = np.full(geometry.shape_kji, -1000.0)
    hu[((i - 30) / 20) ** 2 + ((j - 22) / 13) ** 2 < 1] = 30
    hu[((i - 22) / 6) ** 2 + ((j - 20) / 6) ** 2 < 1] = -850
    hu[:, 40, 10:50] = -100
    hu[:, 46:48, 5:55] = 200
    return QuantitativeVolume(hu, geometry, Quantity.CT_NUMBER)


def test_the_body_holds_its_lungs_and_not_the_couch() -> None:
    ct = a_torso_ct()
    _, j, i = np.indices(ct.geometry.shape_kji)
    truth = ((i - 30) / 20) ** 2 + ((j - 22) / 13) ** 2 < 1
    body = body_mask(ct)
    assert np.count_nonzero(body != truth) < 0.02 * truth.sum()
    assert body[10, 20, 22]
    assert not body[:, 44:].any()


def test_a_ct_of_air_has_no_body() -> None:
    ct = a_torso_ct()
    with pytest.raises(RegionError, match="No voxel of the CT is above -400 HU"):
        body_mask(ct.with_array(np.full(ct.array_kji.shape, -1000.0)))
    with pytest.raises(UnitError, match="found counts"):
        body_mask(ct.with_array(ct.array_kji, Quantity.COUNTS))


def test_negative_activity_is_set_to_zero_and_its_share_recorded() -> None:
    grid = VolumeGeometry((1, 1, 3), (1, 1, 1))
    noisy = QuantitativeVolume(np.array([[[100.0, -4.0, 0.0]]]), grid, Quantity.ACTIVITY_CONCENTRATION)
    clean = without_negative_activity(noisy)
    assert clean.array_kji.ravel().tolist() == [100.0, 0.0, 0.0]
    assert clean.record.parameters["negative_activity_share"] == pytest.approx(0.04)
    assert "4 % of the positive" in clean.record.warnings[0]
    assert without_negative_activity(clean) is clean
    with pytest.raises(InputError, match="Negative activity is 6.0 % of the positive, at most 5 %"):
        without_negative_activity(noisy.with_array(np.array([[[100.0, -6.0, 0.0]]])))
    with pytest.raises(InputError, match="no positive voxel"):
        without_negative_activity(noisy.with_array(np.zeros((1, 1, 3))))


@pytest.mark.shared_data
def test_the_lesions_of_a_real_patient_keep_their_volume_on_a_rotated_grid(shared_data: Path) -> None:
    folder = shared_data / "lu177_dotatate_patient"
    label_map = read_label_map(folder / "patient15_labels.nii.gz", folder / "labels.csv")
    grid = VolumeGeometry((100, 130, 140), (4.0, 4.0, 4.5), (-280.0, -200.0, -220.0), rotated(7))
    new = resample_labels(label_map, grid)
    for name in label_map.names.values():
        before = label_map.mask(name).sum() * label_map.geometry.voxel_volume_ml
        assert new.mask(name).sum() * new.geometry.voxel_volume_ml == pytest.approx(before, rel=0.03)
