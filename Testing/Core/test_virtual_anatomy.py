"""Anatomies of virtual patients: by formula, from a CT with labels, deformed; what they hold and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from radiodosimetry.errors import GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import LabelMap, read_label_map
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.anatomy import Anatomy, anatomy_from_labels, deformed, parametric_anatomy
from radiodosimetry.virtual_patients.body_plan import ORGAN_VOLUMES_ML, draw_body_plan
from radiodosimetry.virtual_patients.deformation import draw_deformation
from radiodosimetry.virtual_patients.labelled_ct import region_of_label

COARSE_MM = (6.0, 6.0, 6.0)
ORGANS = (
    "left_lung", "right_lung", "heart_wall", "heart_contents", "blood_vessels", "liver", "spleen", "stomach",
    "pancreas", "small_intestine", "colon", "left_kidney", "right_kidney", "adrenals", "urinary_bladder_contents",
    "cortical_bone", "red_marrow", "remainder",
)  # fmt: skip


@pytest.fixture(scope="module")
def patients() -> list[Anatomy]:
    return [parametric_anatomy(seed, spacing_mm=COARSE_MM) for seed in range(12)]


def test_every_patient_has_all_organs_and_lesions_inside_and_outside_of_the_liver(patients: list[Anatomy]) -> None:
    for patient in patients:
        assert set(ORGANS) <= set(patient.regions), patient.source
        assert any(patient.lesion_site(lesion) == "liver" for lesion in patient.lesions), patient.source
    sites = {patient.lesion_site(lesion) for patient in patients for lesion in patient.lesions}
    assert sites == {"liver", "bone", "lung", "soft tissue"}


def test_organ_volumes_are_close_to_those_drawn(patients: list[Anatomy]) -> None:
    """Kidneys and hollow organs are whole; what lesions and neighbours take from the others is less than a half."""
    for patient in patients:
        drawn, painted = patient.record.parameters["organ_volumes_drawn_ml"], dict(patient.volumes_ml)
        painted["heart"] = painted["heart_wall"] + painted["heart_contents"]
        for name in ("left_kidney", "right_kidney", "urinary_bladder_contents", "heart"):
            # 6 mm voxels count a 140 mL organ to 5 %; bending and lesions add as much again.
            assert painted[name] == pytest.approx(drawn[name], rel=0.25), (patient.source, name)
        for name in ("liver", "spleen", "stomach", "pancreas"):
            assert 0.35 * drawn[name] < painted[name] < 1.2 * drawn[name], (patient.source, name)


def test_drawn_volumes_have_the_means_of_reference_adults_and_their_spread() -> None:
    rng = np.random.default_rng(0)
    plans = [draw_body_plan(rng, "male") for _ in range(3000)]
    for name, (male_ml, _, spread) in ORGAN_VOLUMES_ML.items():
        volumes = np.array([plan.organ_volumes_ml[name] for plan in plans])
        # Deviations are cut at 2.5 standard deviations, and stature adds 4 %: the spread stays within a tenth.
        assert volumes.mean() == pytest.approx(male_ml, rel=4 * spread / np.sqrt(3000) + 0.01), name
        assert volumes.std() / volumes.mean() == pytest.approx(np.hypot(spread, 0.037), rel=0.1), name
    kidneys = np.log([[plan.organ_volumes_ml[side] for side in ("left_kidney", "right_kidney")] for plan in plans])
    assert 0.75 < np.corrcoef(kidneys.T)[0, 1] < 0.9


def test_ct_numbers_tell_air_lung_fat_soft_tissue_and_bone_apart(patients: list[Anatomy]) -> None:
    for patient in patients:
        ct, labels = patient.ct.array_kji, patient.labels
        lung, bone = np.median(ct[labels.mask("left_lung")]), np.percentile(ct[labels.mask("cortical_bone")], 90)
        assert -900 < lung < -600
        assert bone > 500
        assert 20 < np.median(ct[labels.mask("liver")]) < 90
        assert np.median(ct[:, 0, 0]) < -950
        outside = ct[labels.array_kji == 0]
        assert np.mean(outside < -900) > 0.9  # the couch is the rest


def test_heavier_patients_have_larger_torsos() -> None:
    coarse = [parametric_anatomy(seed, spacing_mm=(16.0, 16.0, 16.0)) for seed in range(40)]
    slim = [patient for patient in coarse if not patient.record.parameters["arms_down"]]
    torsos_l = [patient.body_mask().sum() * patient.ct.geometry.voxel_volume_ml * 1e-3 for patient in slim]
    masses_kg = [patient.body_mass_kg for patient in slim]
    assert np.corrcoef(torsos_l, masses_kg)[0, 1] > 0.7
    assert all(0.4 < torso / mass < 0.75 for torso, mass in zip(torsos_l, masses_kg, strict=True))


def test_the_same_seed_is_the_same_patient_to_the_last_bit() -> None:
    first, again, other = (parametric_anatomy(seed, spacing_mm=(12.0, 12.0, 12.0)) for seed in (3, 3, 4))
    assert np.array_equal(first.ct.array_kji, again.ct.array_kji)
    assert np.array_equal(first.labels.array_kji, again.labels.array_kji)
    assert not np.array_equal(first.labels.array_kji, other.labels.array_kji)
    assert (first.source, other.source) == ("torso:3", "torso:4")


def test_a_patient_is_the_same_on_every_grid(patients: list[Anatomy]) -> None:
    fine = parametric_anatomy(1, spacing_mm=(4.0, 4.0, 4.0)).volumes_ml
    for name in ("liver", "left_lung", "left_kidney", "urinary_bladder_contents", "heart_contents"):
        assert patients[1].volumes_ml[name] == pytest.approx(fine[name], rel=0.12), name


def test_sex_can_be_asked_for_and_shape_and_place_of_the_grid_too() -> None:
    patient = parametric_anatomy(2, sex="female", spacing_mm=(8.0, 8.0, 8.0), shape_kji=(40, 48, 64), middle_z_mm=120.0)
    assert patient.sex == "female"
    assert patient.ct.geometry.shape_kji == (40, 48, 64)
    assert "urinary_bladder_contents" not in patient.regions
    assert {"heart_contents", "liver"} <= set(patient.regions)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(InputError, match="Sex must be one of female, male or None"):
        parametric_anatomy(0, sex="none")
    with pytest.raises(InputError, match=r"must be a whole number from 0, found -1"):
        parametric_anatomy(-1)
    with pytest.raises(InputError, match="Voxel sizes must be three positive numbers"):
        parametric_anatomy(0, spacing_mm=(4.0, 0.0, 4.0))


def test_a_deformed_copy_keeps_its_source_and_folds_nowhere(patients: list[Anatomy]) -> None:
    original = patients[0]
    copy = deformed(original, 5)
    assert copy.source == original.source
    assert copy.ct.geometry.same_grid(original.ct.geometry)
    assert copy.record.parameters["deformation"]["smallest_jacobian"] > 0.25
    assert not np.array_equal(copy.labels.array_kji, original.labels.array_kji)
    assert copy.volumes_ml["liver"] == pytest.approx(original.volumes_ml["liver"], rel=0.45)
    # CT and labels move together.
    for name in ("left_lung", "liver"):
        cores = (binary_erosion(anatomy.labels.mask(name), iterations=2) for anatomy in (original, copy))
        before, after = (np.median(a.ct.array_kji[c]) for a, c in zip((original, copy), cores, strict=True))
        assert after == pytest.approx(before, abs=10)
    assert np.array_equal(copy.ct.array_kji, deformed(original, 5).ct.array_kji)


def test_no_strength_is_no_change(patients: list[Anatomy]) -> None:
    original = patients[0]
    copy = deformed(original, 5, strength=0.0)
    assert np.array_equal(copy.labels.array_kji, original.labels.array_kji)
    assert np.array_equal(copy.ct.array_kji, original.ct.array_kji)


def test_the_jacobian_is_that_of_finite_differences() -> None:
    grid = VolumeGeometry((20, 20, 20), (10.0, 10.0, 10.0))
    change = draw_deformation(grid, 3, 1.5)
    place = np.array([40.0, 70.0, 110.0])
    step = 1e-3
    columns = [
        (change.original_mm(place + step * axis) - change.original_mm(place - step * axis)) / (2 * step)
        for axis in np.eye(3)
    ]
    assert change.jacobian(place) == pytest.approx(np.linalg.det(np.array(columns).T), rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_even_the_strongest_bending_does_not_fold(seed: int) -> None:
    grid = VolumeGeometry((60, 40, 50), (8.0, 8.0, 8.0))
    change = draw_deformation(grid, seed, 4.0)
    rng = np.random.default_rng(seed)
    corners = grid.corners_lps_mm()
    places = rng.uniform(corners.min(0), corners.max(0), (20_000, 3))
    assert change.jacobian(places).min() > 0.2


def test_a_strength_beyond_the_largest_is_refused(patients: list[Anatomy]) -> None:
    with pytest.raises(InputError, match=r"must lie between 0 and 4, found 5\.0"):
        deformed(patients[0], 1, 5.0)


@pytest.mark.parametrize(
    ("name", "region"),
    [
        ("lung_upper_lobe_left", "left_lung"),
        ("kidney_right", "right_kidney"),
        ("vertebrae_L3", "marrow-bearing"),
        ("hip_left", "marrow-bearing"),
        ("rib_left_7", "bone"),
        ("urinary_bladder", "urinary_bladder_contents"),
        ("aorta", "blood_vessels"),
        ("small_bowel", "small_intestine"),
        ("tumour2", "lesion"),
        ("Liver", "liver"),
        ("autochthon_left", "remainder"),
        ("heart", "heart_contents"),
        ("my own thing", "my_own_thing"),
    ],
)
def test_names_of_total_segmentator_and_of_hand_drawn_maps_are_understood(name: str, region: str) -> None:
    assert region_of_label(name) == region


def _box(labels: dict[str, tuple[slice, slice, slice]]) -> tuple[QuantitativeVolume, LabelMap]:
    grid = VolumeGeometry((30, 30, 30), (5.0, 5.0, 5.0))
    ct = np.full(grid.shape_kji, -1000, dtype=np.int16)
    ct[3:27, 3:27, 3:27] = 40
    label_kji = np.zeros(grid.shape_kji, dtype=np.int32)
    for number, place in enumerate(labels.values(), start=1):
        label_kji[place] = number
    names = dict(enumerate(labels, start=1))
    return QuantitativeVolume(ct, grid, Quantity.CT_NUMBER), LabelMap(label_kji, grid, names)


def test_an_unknown_label_keeps_its_name_and_is_warned_of() -> None:
    place = (slice(8, 14), slice(8, 14), slice(8, 14))
    patient = anatomy_from_labels(*_box({"Liver": place, "oddity": (slice(16, 20),) * 3}))
    assert set(patient.regions) == {"liver", "oddity", "remainder"}
    assert any("oddity" in warning for warning in patient.record.warnings)
    assert patient.source.startswith("ct:")
    assert len(patient.source) == len("ct:") + 12


def test_labels_that_do_not_fit_the_ct_are_refused() -> None:
    ct, labels = _box({"liver": (slice(8, 14),) * 3})
    elsewhere = LabelMap(labels.array_kji, VolumeGeometry((30, 30, 30), (4.0, 4.0, 4.0)), dict(labels.names))
    with pytest.raises(GeometryMismatchError, match="The CT and the labels have different grids"):
        anatomy_from_labels(ct, elsewhere)
    with pytest.raises(UnitError, match="needs CT numbers"):
        anatomy_from_labels(ct.with_array(ct.array_kji, quantity=Quantity.COUNTS), labels)
    with pytest.raises(RegionError, match="No label has a voxel inside the body"):
        anatomy_from_labels(*_box({"liver": (slice(0, 1),) * 3}))


@pytest.mark.shared_data
def test_a_real_patient_with_few_labels_gets_lungs_and_bone_from_the_ct(shared_data: Path) -> None:
    folder = shared_data / "lu177_dotatate_patient"
    ct = read_volume(folder / "patient15_ct_hu.nii.gz", Quantity.CT_NUMBER)
    labels = read_label_map(folder / "patient15_labels.nii.gz", folder / "labels.csv")
    patient = anatomy_from_labels(ct, labels)
    assert patient.lesions == ("lesion_1", "lesion_2", "lesion_3")
    assert {"lungs", "cortical_bone", "red_marrow"} <= set(patient.regions)
    assert 600 < patient.volumes_ml["lungs"] < 2500
    assert 300 < patient.volumes_ml["red_marrow"] < 1500
    # All of the liver that the label map has is still the liver's.
    assert patient.volumes_ml["liver"] == pytest.approx(1037.29, abs=1)
    assert deformed(patient, 1).source == patient.source


@pytest.mark.shared_data
def test_a_map_of_total_segmentator_gives_the_regions_of_this_project(shared_data: Path) -> None:
    folder = shared_data / "ct_abdomen_labels"
    ct = read_volume(folder / "example_ct.nii.gz", Quantity.CT_NUMBER)
    labels = read_label_map(folder / "example_seg_fast_force_split.nii.gz", folder / "labels.csv")
    patient = anatomy_from_labels(ct, labels)
    expected = {"liver", "spleen", "left_kidney", "right_kidney", "left_lung", "right_lung", "stomach", "pancreas",
                "adrenals", "small_intestine", "colon", "urinary_bladder_contents", "gallbladder_contents",
                "blood_vessels", "cortical_bone", "red_marrow", "remainder"}  # fmt: skip
    assert set(patient.regions) == expected
    assert patient.record.warnings == ()
    assert patient.volumes_ml["small_intestine"] == pytest.approx(532.4 + 62.6, abs=1)
