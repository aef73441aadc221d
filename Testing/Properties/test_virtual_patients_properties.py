"""What holds for every virtual patient: no activity from nowhere, no folding, sums that stay."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.anatomy import Anatomy, parametric_anatomy
from radiodosimetry.virtual_patients.deformation import draw_deformation
from radiodosimetry.virtual_patients.kinetics import TRACERS, draw_kinetics
from radiodosimetry.virtual_patients.uptake import activity_at, uptake_map


@cache
def _patient(seed: int) -> Anatomy:
    return parametric_anatomy(seed, spacing_mm=(12.0, 12.0, 12.0))


def _full_of_lesions() -> Anatomy:
    """A body of little but lesions and liver: as much uptake as can be."""
    grid = VolumeGeometry((20, 20, 20), (20.0, 20.0, 20.0))
    labels = np.ones(grid.shape_kji, dtype=np.int32)
    labels[10:] = 2
    ct = QuantitativeVolume(np.full(grid.shape_kji, 40, dtype=np.int16), grid, Quantity.CT_NUMBER)
    return Anatomy(ct, LabelMap(labels, grid, {1: "liver", 2: "lesion_1"}), "box")


@settings(max_examples=120)
@given(
    tracer=st.sampled_from(sorted(TRACERS)),
    patient=st.integers(0, 4),
    seed=st.integers(0, 10**6),
    hours=st.floats(0.0, 2000.0),
)
def test_no_patient_ever_holds_more_than_was_given_less_decay(
    tracer: str, patient: int, seed: int, hours: float
) -> None:
    anatomy = _full_of_lesions() if patient == 4 else _patient(patient)
    kinetics = draw_kinetics(tracer, anatomy, seed)
    left = kinetics.administered_bq * math.exp(-kinetics.decay_constant_per_s * hours * 3600)
    assert kinetics.total_activity_bq(hours * 3600) <= left * (1 + 1e-9)
    # Each region's activity is a difference of exponentials; rounding may leave a trace below zero at time 0.
    for region in anatomy.regions:
        assert kinetics.activity_bq(region, hours * 3600) >= -1e-9 * kinetics.administered_bq
        assert 0 <= kinetics.tia_bq_s(region) <= kinetics.administered_bq / kinetics.decay_constant_per_s


@settings(max_examples=15)
@given(tracer=st.sampled_from(sorted(TRACERS)), seed=st.integers(0, 10**6), hours=st.floats(0.1, 300.0))
def test_images_are_never_negative_and_hold_the_patients_activity(tracer: str, seed: int, hours: float) -> None:
    anatomy = _patient(seed % 3)
    kinetics = draw_kinetics(tracer, anatomy, seed)
    image = activity_at(anatomy, kinetics, uptake_map(anatomy, kinetics, seed), hours * 3600)
    assert image.array_kji.min() >= 0
    total = float(image.array_kji.sum(dtype=np.float64)) * image.geometry.voxel_volume_ml
    assert math.isclose(total, kinetics.total_activity_bq(hours * 3600), rel_tol=1e-6)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), strength=st.floats(0.0, 4.0))
def test_deformations_keep_their_orientation_everywhere(seed: int, strength: float) -> None:
    grid = VolumeGeometry((30, 24, 32), (16.0, 16.0, 16.0))
    change = draw_deformation(grid, seed, strength)
    corners = grid.corners_lps_mm()
    places = np.random.default_rng(seed).uniform(corners.min(0), corners.max(0), (2000, 3))
    assert change.jacobian(places).min() > 0
