"""The stylised adults and their solids over random points, spacings and sizes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.organ_dose.phantom import PHANTOM_NAMES, stylised_phantom
from radiodosimetry.organ_dose.shapes import (
    Box,
    Difference,
    Ellipsoid,
    EllipticCone,
    EllipticCylinder,
    Intersection,
    Mirrored,
    Slab,
    Solid,
    Torus,
    Turned,
    Union,
)

PAIRED = ("adrenals", "breasts", "kidneys", "ovaries", "testes", "clavicles", "scapulae", "arm_bones", "leg_bones")

lengths = st.floats(0.5, 5.0)
places = st.floats(-4.0, 4.0)
triples = st.tuples(places, places, places)
sizes = st.tuples(lengths, lengths, lengths)
names = st.sampled_from(PHANTOM_NAMES)


def turn_about(x: float, y: float, z: float) -> tuple[tuple[float, float, float], ...]:
    rotation = np.linalg.qr(np.array([[x, 1, 0], [0, y, 1], [1, 0, z]]))[0]
    return tuple(tuple(row) for row in rotation.tolist())


ellipsoids = st.builds(Ellipsoid, triples, sizes)
cylinders = st.builds(
    lambda centre, axes, start, height, axis: EllipticCylinder(centre, axes, start, start + height, axis),
    st.tuples(places, places),
    st.tuples(lengths, lengths),
    places,
    lengths,
    st.sampled_from([0, 1, 2]),
)
cones = st.builds(
    lambda centre, slope, axes, start, height: EllipticCone(centre, slope, axes, (0.01, -0.02), start, start + height),
    st.tuples(places, places),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.tuples(lengths, lengths),
    places,
    lengths,
)
tori = st.builds(Torus, triples, st.floats(2.0, 5.0), st.tuples(lengths, lengths), st.sampled_from([1, 2]))
simple = st.one_of(ellipsoids, cylinders, cones, tori)
composite = st.one_of(
    simple,
    st.builds(Mirrored, simple),
    st.builds(lambda a, b: Union((a, b)), simple, simple),
    st.builds(lambda a, b: Intersection((a, b)), simple, simple),
    st.builds(Difference, simple, simple),
    st.builds(lambda a, limit: Intersection((a, Slab(0, limit))), simple, places),
    st.builds(lambda a, origin, t: Turned(a, origin, turn_about(*t)), simple, triples, triples),
)


@given(composite, st.integers(0, 2**31))
@settings(max_examples=150)
def test_no_point_of_a_solid_lies_outside_its_box(solid: Solid, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-15, 15, (4000, 3))
    inside = points[solid.contains(*points.T)]
    assert np.all(inside >= np.array(solid.box.lower_cm) - 1e-9)
    assert np.all(inside <= np.array(solid.box.upper_cm) + 1e-9)


@given(composite, st.integers(0, 2**31))
@settings(max_examples=80)
def test_a_grid_and_a_list_of_points_get_the_same_answer(solid: Solid, seed: int) -> None:
    x, y, z = (np.sort(axis) for axis in np.random.default_rng(seed).uniform(-10, 10, (3, 9)))
    grid = np.broadcast_to(solid.contains(x, y[:, None], z[:, None, None]), (9, 9, 9))
    k, j, i = np.indices((9, 9, 9)).reshape(3, -1)
    np.testing.assert_array_equal(grid.ravel(), solid.contains(x[i], y[j], z[k]))


@given(simple, simple, st.integers(0, 2**31))
@settings(max_examples=60)
def test_set_operations_follow_their_logic(first: Solid, second: Solid, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-8, 8, (3, 2000))
    a, b = first.contains(*points), second.contains(*points)
    np.testing.assert_array_equal(Union((first, second)).contains(*points), a | b)
    np.testing.assert_array_equal(Intersection((first, second)).contains(*points), a & b)
    np.testing.assert_array_equal(Difference(first, second).contains(*points), a & ~b)


def measured(solid: Solid) -> float:
    """Volume by a lattice of 160³ cells in the solid's box."""
    (lower, upper), count = solid.box, 160
    x, y, z = (low + (high - low) * (np.arange(count) + 0.5) / count for low, high in zip(lower, upper, strict=True))
    share = np.broadcast_to(solid.contains(x, y[:, None], z[:, None, None]), (count,) * 3).mean()
    return float(share * math.prod(np.subtract(upper, lower)))


@given(st.floats(3.0, 6.0), st.floats(0.5, 2.5), st.floats(0.5, 2.5), st.sampled_from([1, 2]))
@settings(max_examples=8)
def test_a_torus_has_the_volume_of_pappus(ring: float, radial: float, axial: float, axis: int) -> None:
    expected = 2 * math.pi * ring * math.pi * radial * axial
    assert measured(Torus((1, 2, 3), ring, (radial, axial), axis)) == pytest.approx(expected, rel=5e-3)


@given(lengths, lengths, st.floats(0.2, 0.9), lengths, st.floats(-1, 1))
@settings(max_examples=8)
def test_a_slanted_cone_has_the_volume_of_a_frustum(
    a: float, b: float, shrink: float, height: float, lean: float
) -> None:
    taper = (shrink - 1) / height
    solid = EllipticCone((0, 0), (lean, -lean), (a, b), (a * taper, b * taper), 0, height)
    expected = math.pi * a * b * height * (1 + shrink + shrink**2) / 3
    assert measured(solid) == pytest.approx(expected, rel=5e-3)


@given(names, st.tuples(st.floats(9, 25), st.floats(9, 25), st.floats(9, 25)))
@settings(max_examples=12)
def test_a_raster_is_what_the_solids_say_at_its_voxels_centres(name: str, spacing: tuple[float, float, float]) -> None:
    phantom = stylised_phantom(name)
    raster = phantom.rasterise(spacing)
    k, j, i = np.indices(raster.label_kji.shape).reshape(3, -1)
    centres = np.stack([i, j, k], axis=1) * raster.geometry.spacing_mm + raster.geometry.origin_mm
    index = phantom.region_index_at(centres / 10)
    np.testing.assert_array_equal(raster.label_kji.ravel(), index + 1)


@given(names, st.data(), st.integers(0, 2**31))
@settings(max_examples=25)
def test_every_sampled_point_lies_in_its_region(name: str, data: st.DataObject, seed: int) -> None:
    phantom = stylised_phantom(name)
    region = data.draw(st.sampled_from(phantom.regions))
    points = phantom.sample_points_cm(region, 300, seed)
    assert points.shape == (300, 3)
    assert np.all(phantom.region_index_at(points) == phantom.regions.index(region))


@pytest.mark.parametrize("region", PAIRED)
@pytest.mark.parametrize("name", PHANTOM_NAMES)
def test_paired_organs_mirror_each_other(name: str, region: str) -> None:
    phantom = stylised_phantom(name)
    points = phantom.sample_points_cm(region, 3000, 11)
    solid = phantom.solids[region]
    np.testing.assert_array_equal(solid.contains(*(points * (-1, 1, 1)).T), solid.contains(*points.T))
    left = np.count_nonzero(points[:, 0] > 0)
    assert abs(left - 1500) < 5 * math.sqrt(3000) / 2


@given(st.tuples(triples, sizes), st.tuples(triples, sizes))
def test_boxes_meet_where_they_have_something_in_common(first: tuple, second: tuple) -> None:
    a, b = (Box(low, tuple(np.add(low, size).tolist())) for low, size in (first, second))
    common, around = a.common(b), a.around(b)
    volume = math.prod(np.maximum(np.subtract(common.upper_cm, common.lower_cm), 0))
    assert a.meets(b) == b.meets(a)
    if volume > 0:
        assert a.meets(b)
    assert math.prod(np.subtract(around.upper_cm, around.lower_cm)) >= math.prod(first[1]) * (1 - 1e-9)
