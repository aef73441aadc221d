"""The synthetic torso: volumes in closed form, uptake and CT numbers as said, the same patient every time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients import (
    Structure,
    SyntheticPatient,
    centred_geometry,
    default_geometry,
    torso_patient,
    torso_scans,
    torso_structures,
)
from radiodosimetry.virtual_patients.shapes import Ellipsoid, EllipticCylinder, Shell

_INSIDE_OTHERS = {"liver": ("tumour1", "tumour2"), "marrow": ("tumour3",)}
"""Lesions and the structures they are taken out of; all other structures are apart."""

_WHOLE_IN_GRID = ("left_lung", "right_lung", "liver", "left_kidney", "right_kidney", "spleen", "tumour1", "tumour2")
"""What the default grid does not cut off."""


@pytest.fixture(scope="module")
def patient() -> SyntheticPatient:
    return torso_patient()


@pytest.fixture(scope="module")
def structures() -> dict[str, Structure]:
    return {structure.name: structure for structure in torso_structures()}


def _solid_volume_ml(structure: Structure) -> float:
    return sum(solid.volume_ml for solid in structure.solids)


def _closed_form_volume_ml(structures: dict[str, Structure], name: str) -> float:
    lesions = _INSIDE_OTHERS.get(name, ())
    return _solid_volume_ml(structures[name]) - sum(_solid_volume_ml(structures[lesion]) for lesion in lesions)


@pytest.mark.parametrize("name", _WHOLE_IN_GRID)
def test_organ_volumes_are_those_of_the_closed_form(
    patient: SyntheticPatient, structures: dict[str, Structure], name: str
) -> None:
    label = structures[name].label
    counted_ml = float(np.sum(patient.labels.array_kji == label)) * patient.labels.geometry.voxel_volume_ml
    expected_ml = _closed_form_volume_ml(structures, name)
    # Whether a surface voxel counts is a coin toss: sqrt(surface voxels / 4) voxels, here at three times that, with
    # the surface of a sphere of that volume enlarged by half for the flatter organs.
    surface_mm2 = 1.5 * math.pi ** (1 / 3) * (6e3 * expected_ml) ** (2 / 3)
    tolerance_ml = 3 * math.sqrt(surface_mm2 / 4.0**2 / 4) * patient.labels.geometry.voxel_volume_ml
    assert counted_ml == pytest.approx(expected_ml, abs=tolerance_ml)


def test_structures_are_apart_but_for_lesions_in_their_organs(
    structures: dict[str, Structure], rng: np.random.Generator
) -> None:
    position_mm = rng.uniform((-190, -128, -160), (190, 128, 160), (200_000, 3))
    inside = {
        name: np.any([solid.contains(position_mm) for solid in structure.solids], axis=0)
        for name, structure in structures.items()
    }
    regions = [name for name, structure in structures.items() if structure.label]
    for first, second in itertools.combinations(regions, 2):
        overlap = inside[first] & inside[second]
        expected = inside[second] if second in _INSIDE_OTHERS.get(first, ()) else np.zeros_like(overlap)
        assert np.array_equal(overlap, expected), (first, second)
        assert not np.any(inside[first] & ~inside["muscle"]), first
    assert not np.any(inside["muscle"] & ~inside["fat"])


@pytest.mark.parametrize("name", [*_WHOLE_IN_GRID, "tumour3", "marrow", "cortical_bone"])
def test_mean_uptake_of_each_structure_is_the_one_given(
    patient: SyntheticPatient, structures: dict[str, Structure], name: str
) -> None:
    mask = patient.labels.array_kji == structures[name].label
    mean_bq_per_ml = float(patient.activity.array_kji[mask].mean(dtype=np.float64))
    assert mean_bq_per_ml == pytest.approx(structures[name].activity_bq_per_ml, rel=1e-5)  # float32 voxels


@pytest.mark.parametrize("name", ["left_lung", "liver", "spleen", "left_kidney"])
def test_ct_numbers_inside_an_organ_are_the_ones_given(
    patient: SyntheticPatient, structures: dict[str, Structure], name: str
) -> None:
    mask = patient.labels.array_kji == structures[name].label
    # Blurred edges pull the mean of an organ towards its neighbours; its median stays.
    assert float(np.median(patient.ct.array_kji[mask])) == pytest.approx(structures[name].ct_number_hu, abs=8)


def test_no_activity_lies_outside_the_body(patient: SyntheticPatient) -> None:
    far_outside = patient.ct.array_kji < -900
    assert patient.activity.array_kji.min() == 0.0
    assert np.all(patient.activity.array_kji[:, 0, 0] == 0.0)
    assert float(np.mean(patient.activity.array_kji[far_outside])) < 50.0


def test_volumes_say_what_they_are(patient: SyntheticPatient) -> None:
    assert patient.ct.quantity is Quantity.CT_NUMBER
    assert patient.activity.quantity is Quantity.ACTIVITY_CONCENTRATION
    assert patient.ct.time == patient.activity.time
    assert patient.activity.record.seed == 0
    assert patient.labels.geometry.same_grid(patient.ct.geometry)
    assert patient.ct.geometry.same_grid(default_geometry())


def test_the_same_seed_gives_the_same_patient_and_another_seed_another_texture() -> None:
    grid = centred_geometry((20, 16, 24), (16.0, 16.0, 16.0))
    first, second, other = torso_patient(grid, seed=3), torso_patient(grid, seed=3), torso_patient(grid, seed=4)
    assert np.array_equal(first.ct.array_kji, second.ct.array_kji)
    assert np.array_equal(first.activity.array_kji, second.activity.array_kji)
    assert not np.array_equal(first.activity.array_kji, other.activity.array_kji)
    assert np.array_equal(first.labels.array_kji, other.labels.array_kji)


def test_a_turned_grid_shows_the_same_anatomy() -> None:
    straight = centred_geometry((16, 12, 20), (20.0, 20.0, 20.0))
    turned = VolumeGeometry(
        (16, 20, 12),
        (20.0, 20.0, 20.0),
        (straight.origin_mm[0], straight.origin_mm[1], straight.origin_mm[2]),
        np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    )
    expected = torso_patient(straight).labels.array_kji
    assert np.array_equal(torso_patient(turned).labels.array_kji, expected.transpose(0, 2, 1))


def test_a_small_grid_names_only_the_structures_it_shows() -> None:
    grid = VolumeGeometry((4, 4, 4), (4.0, 4.0, 4.0), (-98.0, -28.0, -36.0))
    assert set(torso_patient(grid).labels.names.values()) == {"tumour1"}


@pytest.mark.parametrize(
    ("solid", "volume_ml"),
    [
        (Ellipsoid((0, 0, 0), (10.0, 10.0, 10.0)), 4.18879),
        (EllipticCylinder((0, 0, 0), (10.0, 20.0), 30.0), 18.84956),
        (
            Shell(EllipticCylinder((0, 0, 0), (10.0, 20.0), 30.0), EllipticCylinder((0, 0, 0), (5.0, 10.0), 30.0)),
            14.13717,
        ),
    ],
)
def test_solids_have_their_volume_by_formula_and_by_counting(
    solid: Ellipsoid | EllipticCylinder | Shell, volume_ml: float, rng: np.random.Generator
) -> None:
    assert solid.volume_ml == pytest.approx(volume_ml, rel=1e-5)
    box_ml = 60.0**3 * 1e-3
    share = float(solid.contains(rng.uniform(-30, 30, (200_000, 3))).mean())
    assert share * box_ml == pytest.approx(volume_ml, abs=4 * box_ml * math.sqrt(share / 200_000))


def test_a_solid_without_extent_is_refused() -> None:
    with pytest.raises(InputError, match=r"semi_axis_y must be a positive length in mm, found 0\.0"):
        Ellipsoid((0, 0, 0), (1.0, 0.0, 1.0))
    with pytest.raises(InputError, match="height must be a positive length in mm, found nan"):
        EllipticCylinder((0, 0, 0), (1.0, 1.0), math.nan)


def test_serial_scans_fall_with_the_half_life_of_each_structure(
    patient: SyntheticPatient, structures: dict[str, Structure]
) -> None:
    early, same, late = torso_scans((4, 24, 124))
    assert np.array_equal(same.array_kji, patient.activity.array_kji)
    assert late.time is not None
    assert early.time is not None
    assert (late.time - early.time).total_seconds() == 120 * 3600
    for label, name in patient.labels.names.items():
        inside = patient.labels.array_kji == label
        fallen = float(late.array_kji[inside].sum() / early.array_kji[inside].sum())
        assert fallen == pytest.approx(2 ** (-120 / structures[name].effective_half_life_h), rel=1e-5), name
