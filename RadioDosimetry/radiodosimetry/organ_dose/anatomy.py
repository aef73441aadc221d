"""The organs of the stylised adults as solids, made of the constants that the report prints for them.

The surfaces are those of ORNL/TM-8381: Cristy M, Eckerman KF, Specific absorbed fractions of energy at various ages
from internal photon sources, I Methods, Oak Ridge National Laboratory (1987). The order of the regions is part of the
anatomy: a point belongs to the first region that contains it, so a wall is written as the whole organ behind its
contents, and the trunk's ellipse of the small intestine behind the colon that runs through it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .shapes import (
    Bands,
    Box,
    Coordinates,
    Difference,
    Ellipsoid,
    EllipticCone,
    EllipticCylinder,
    HalfSpace,
    Inside,
    Intersection,
    Mirrored,
    Slab,
    Solid,
    Torus,
    Triple,
    Turned,
    Union,
    Wedge,
)

X, Y, Z = 0, 1, 2

Constants = Mapping[str, Any]
"""Constants of the organs by name, as the tables under `data/stylised_adults` hold them [cm, degrees]."""

SKELETON = (
    "cranium",
    "facial_skeleton",
    "lower_spine",
    "middle_spine",
    "upper_spine",
    "pelvis",
    "rib_cage",
    "clavicles",
    "scapulae",
    "arm_bones",
    "leg_bones",
)
"""Regions of the skeleton: bone and marrow mixed, with the skeleton's tissue."""

LUNGS = ("lungs",)
"""Regions of lung tissue."""


@dataclass(frozen=True)
class TaperedBlock:
    """Between the fronts of both legs: half-width and depth to the front shrink with depth below the trunk.

    Attributes
    ----------
    half_width_cm, front_cm
        Half-width in x and reach to the front at z = 0 [cm].
    slope
        How much both grow per length of z.
    lower_cm
        Lowest z [cm]; the block ends at the trunk, z = 0.
    """

    half_width_cm: float
    front_cm: float
    slope: float
    lower_cm: float

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points of the block."""
        height = (z_cm >= self.lower_cm) & (z_cm <= 0)
        width = np.abs(x_cm) <= self.half_width_cm + self.slope * z_cm
        depth = (y_cm <= 0) & (y_cm >= -(self.front_cm + self.slope * z_cm))
        return np.asarray(height & width & depth)

    @property
    def box(self) -> Box:
        """The box at z = 0 down to the lowest z."""
        width = self.half_width_cm
        return Box((-width, -self.front_cm, self.lower_cm), (width, 0.0, 0.0))


@dataclass(frozen=True)
class ThyroidCut:
    """The notch between the lobes: (d − |x|)² ≥ 2 τ² (x² + d²), d = y − y₀, τ falling and rising with height.

    τ(u) = 1 − (1 − 1/√2)(u / ¼) up to a quarter of the height, then (2√2 − 1)/3 + (1 − 1/√2)(u / ¾).

    Attributes
    ----------
    centre_y_cm, base_z_cm, height_cm
        y₀, where the lobes begin, and their height [cm].
    """

    centre_y_cm: float
    base_z_cm: float
    height_cm: float

    def contains(self, x_cm: Coordinates, y_cm: Coordinates, z_cm: Coordinates) -> Inside:
        """Points outside the notch."""
        fall = 1 - math.sqrt(0.5)
        u = (z_cm - self.base_z_cm) / self.height_cm
        tau = np.where(u <= 0.25, 1 - 4 * fall * u, (2 * math.sqrt(2) - 1) / 3 + fall * u / 0.75)
        depth = y_cm - self.centre_y_cm
        return np.asarray((depth - np.abs(x_cm)) ** 2 >= 2 * tau**2 * (x_cm**2 + depth**2))

    @property
    def box(self) -> Box:
        """Everywhere: the lobes bound it."""
        return Box()


def exterior(c: Constants) -> Solid:
    """The surface of the body: trunk, head, legs, genitalia and breasts."""
    return Union(_body(c, 0.0) + (Difference(_breasts(c, 0.0), _trunk_column(c)),))


def interior(c: Constants) -> Solid:
    """The body less its skin. The breasts keep what of them lies in front, inside the trunk too."""
    skin = c["skin"]["thickness"]
    return Union(_body(c, skin) + (Intersection((_breasts(c, skin), Slab(Y, upper_cm=0.0))),))


def regions(c: Constants) -> dict[str, Solid]:
    """All regions by name, in order of precedence; skin and remaining tissue come last."""
    body = exterior(c)
    return {
        **_head(c),
        **_skeleton(c),
        **_glands(c),
        **_upper_abdomen(c),
        **_bowel(c),
        **_thorax_and_kidneys(c),
        **_pelvic_organs(c),
        "skin": Difference(body, interior(c)),
        "remaining_tissue": body,
    }


def _body(c: Constants, skin: float) -> tuple[Solid, ...]:
    """Trunk, head, legs and genitalia, each `skin` [cm] within its surface."""
    (a, b), top = c["trunk"]["semi_axes"], c["trunk"]["height"]
    (ha, hb), crown = c["head"]["semi_axes"], _crown_z(c)
    dome = Ellipsoid((0, 0, crown), (ha - skin, hb - skin, c["head"]["dome_height"] - skin))
    lowest = -(2 * c["testes"]["semi_axes"][2] + c["skin"]["thickness"]) + skin
    slope = a / 2 / c["legs"]["length_to_apex"]
    groin = TaperedBlock(a / 2, a / 2 - skin, slope, lowest)
    return (
        EllipticCylinder((0, 0), (a - skin, b - skin), 0, top - skin),
        EllipticCylinder((0, 0), (ha - skin, hb - skin), top - skin, crown),
        Intersection((dome, Slab(Z, crown))),
        _legs(c, skin),
        Difference(groin, _legs(c, 0.0)),
    )


def _legs(c: Constants, skin: float) -> Solid:
    half = c["trunk"]["semi_axes"][0] / 2
    slope = half / c["legs"]["length_to_apex"]
    radius = half - skin
    return Mirrored(EllipticCone((half, 0), (slope, 0), (radius,) * 2, (slope,) * 2, skin - c["legs"]["length"], 0))


def _trunk_column(c: Constants) -> Solid:
    a, b = c["trunk"]["semi_axes"]
    return EllipticCylinder((0, 0), (a, b))


def _breasts(c: Constants, skin: float) -> Solid:
    """Ellipsoids whose centres lie on the trunk's surface."""
    (a, b), x = c["trunk"]["semi_axes"], c["breasts"]["centre_x"]
    p, q, r = c["breasts"]["semi_axes"]
    centre = (x, -b * math.sqrt(1 - (x / a) ** 2), c["breasts"]["centre_z"])
    return Mirrored(Ellipsoid(centre, (p - skin, q - skin, r - skin)))


def _crown_z(c: Constants) -> float:
    """Where the head's cylinder ends and its dome begins, the height of the brain's centre [cm]."""
    return float(c["trunk"]["height"] + c["head"]["cylinder_height"])


def _ellipsoid(organ: Constants, wall: float = 0.0) -> Ellipsoid:
    x, y, z = organ["centre"]
    a, b, c = organ["semi_axes"]
    return Ellipsoid((x, y, z), (a - wall, b - wall, c - wall))


def _head(c: Constants) -> dict[str, Solid]:
    a, b, height = c["brain"]["semi_axes"]
    bone = c["cranium"]["thickness"]
    centre = (0.0, 0.0, _crown_z(c))
    face, top = c["facial_skeleton"], c["trunk"]["height"]
    (fa, fb), thick = face["semi_axes"], face["thickness"]
    low, high = (top + above for above in face["height_above_trunk"])
    tube = Difference(EllipticCylinder((0, 0), (fa, fb), low, high), EllipticCylinder((0, 0), (fa - thick, fb - thick)))
    return {
        "brain": Ellipsoid(centre, (a, b, height)),
        "cranium": Ellipsoid(centre, (a + bone, b + bone, height + bone)),
        "facial_skeleton": Intersection((tube, Slab(Y, upper_cm=0.0))),
    }


def _skeleton(c: Constants) -> dict[str, Solid]:
    spine = c["spine"]
    limits, centre, axes = spine["section_limits_z"], (0.0, spine["centre_y"]), tuple(spine["semi_axes"])
    sections = [EllipticCylinder(centre, axes, low, high) for low, high in zip(limits, limits[1:], strict=False)]
    return {
        "lower_spine": sections[0],
        "middle_spine": sections[1],
        "upper_spine": sections[2],
        "pelvis": _pelvis(c["pelvis"]),
        "rib_cage": _rib_cage(c["rib_cage"]),
        "clavicles": _clavicles(c["clavicles"]),
        "scapulae": _scapulae(c["scapulae"]),
        "arm_bones": _arm_bones(c["arm_bones"]),
        "leg_bones": _leg_bones(c),
    }


def _pelvis(p: Constants) -> Solid:
    """Between two cylinders, behind the outer one's axis; open to the back below the sacrum."""
    outer = EllipticCylinder((0, p["outer_centre_y"]), tuple(p["outer_semi_axes"]), 0, p["top_z"])
    inner = EllipticCylinder((0, p["inner_centre_y"]), tuple(p["inner_semi_axes"]))
    sides_or_sacrum = Union((Slab(Y, upper_cm=p["front_wall_y"]), Slab(Z, p["front_wall_top_z"])))
    return Intersection((Difference(outer, inner), Slab(Y, p["outer_centre_y"]), sides_or_sacrum))


def _rib_cage(r: Constants) -> Solid:
    (a, b), thick, (low, high) = r["semi_axes"], r["thickness"], r["limits_z"]
    tube = Difference(EllipticCylinder((0, 0), (a, b), low, high), EllipticCylinder((0, 0), (a - thick, b - thick)))
    return Intersection((tube, Bands(low, r["band_height"])))


def _clavicles(k: Constants) -> Solid:
    ring = Torus((0, k["centre_y"], k["centre_z"]), k["ring_radius"], (k["tube_radius"],) * 2, Z)
    return Intersection((ring, Slab(Y, upper_cm=0.0), Wedge(k["centre_y"], False, *k["cotangents"])))


def _scapulae(s: Constants) -> Solid:
    b, (low, high) = s["semi_axis_y"], s["limits_z"]
    outer = EllipticCylinder((0, 0), (s["outer_semi_axis_x"], b), low, high)
    plate = Difference(outer, EllipticCylinder((0, 0), (s["inner_semi_axis_x"], b)))
    return Intersection((plate, Wedge(0.0, True, *s["slopes"])))


def _arm_bones(arm: Constants) -> Solid:
    """Cones that lean outwards and halve towards the base of the trunk."""
    (a, b), top = arm["semi_axes"], arm["top_z"]
    lean = -a / (2 * top)
    section, taper = (a / 2, b / 2), (a / (2 * top), b / (2 * top))
    return Mirrored(EllipticCone((arm["centre_x"] + a / 2, 0), (lean, 0), section, taper, 0, top))


def _leg_bones(c: Constants) -> Solid:
    """Frusta along the legs' axes, 0.175 A wide at the top and A (C' − C) / (4 C') at the sole."""
    a, length, apex = c["trunk"]["semi_axes"][0], c["legs"]["length"], c["legs"]["length_to_apex"]
    height, remains = length - c["skin"]["thickness"], 1 - length / apex
    top, sole = 0.175 * a, a / 4 * remains
    lean, taper = a / 2 * (1 - remains) / height, (top - sole) / height
    return Mirrored(EllipticCone((a / 2, 0), (lean, 0), (top, top), (taper, taper), -height, 0))


def _glands(c: Constants) -> dict[str, Solid]:
    t, top = c["thyroid"], c["trunk"]["height"]
    lobes = EllipticCylinder((0, t["centre_y"]), (t["outer_radius"],) * 2, top, top + t["height"])
    windpipe = EllipticCylinder((0, t["centre_y"]), (t["inner_radius"],) * 2)
    notch = ThyroidCut(t["centre_y"], top, t["height"])
    a, b, half = c["testes"]["semi_axes"]
    return {
        "breasts": Difference(_breasts(c, c["skin"]["thickness"]), _trunk_column(c)),
        "testes": Mirrored(Ellipsoid((a, c["testes"]["centre_y"], -half), (a, b, half))),
        "thymus": _ellipsoid(c["thymus"]),
        "thyroid": Intersection((Difference(lobes, windpipe), Slab(Y, upper_cm=t["centre_y"]), notch)),
        "adrenals": Mirrored(_left_adrenal(c["adrenals"])),
    }


def _left_adrenal(organ: Constants) -> Solid:
    """Half an ellipsoid on top of the kidney, turned about z."""
    angle = math.radians(organ["angle_degrees"])
    rows = ((math.cos(angle), math.sin(angle), 0.0), (-math.sin(angle), math.cos(angle), 0.0), (0.0, 0.0, 1.0))
    half = Intersection((Ellipsoid((0, 0, 0), tuple(organ["semi_axes"])), Slab(Z, 0.0)))
    return Turned(half, tuple(organ["centre"]), rows)


def _upper_abdomen(c: Constants) -> dict[str, Solid]:
    g, stomach = c["gallbladder"], c["stomach"]
    return {
        "gallbladder_contents": _gallbladder(g, g["inner_radius"]),
        "gallbladder_wall": _gallbladder(g, g["outer_radius"]),
        "stomach_contents": _ellipsoid(stomach, stomach["wall"]),
        "stomach_wall": _ellipsoid(stomach),
    }


def _gallbladder(g: Constants, radius: float) -> Solid:
    """A hemisphere that goes on as a frustum, in its own frame."""
    dome = Intersection((Ellipsoid((0, 0, 0), (radius,) * 3), Slab(Z, upper_cm=0.0)))
    body = EllipticCone((0, 0), (0, 0), (radius, radius), (-g["taper"], -g["taper"]), 0, g["length"])
    return Turned(Union((dome, body)), tuple(g["origin"]), _rows(g))


def _rows(organ: Constants) -> tuple[Triple, Triple, Triple]:
    first, second, third = (tuple(row) for row in organ["rows"])
    return first, second, third


def _bowel(c: Constants) -> dict[str, Solid]:
    rising, crossing = c["ascending_colon"], c["transverse_colon"]
    falling, sigmoid = c["descending_colon"], c["sigmoid_colon"]
    gut = c["small_intestine"]
    loops = EllipticCylinder((0, gut["centre_y"]), tuple(gut["semi_axes"]), *gut["limits_z"])
    return {
        "uli_contents": _upper_colon(rising, crossing, rising["wall"], crossing["wall"]),
        "uli_wall": _upper_colon(rising, crossing, 0.0, 0.0),
        "lli_contents": _lower_colon(falling, sigmoid, falling["wall"], sigmoid["wall"]),
        "lli_wall": _lower_colon(falling, sigmoid, 0.0, 0.0),
        "small_intestine": Intersection((loops, Slab(Y, *gut["limits_y"]))),
    }


def _upper_colon(rising: Constants, crossing: Constants, rising_wall: float, crossing_wall: float) -> Solid:
    up = EllipticCylinder(tuple(rising["centre"]), _shrunk(rising["semi_axes"], rising_wall), *rising["limits_z"])
    reach = crossing["half_length"]
    across = EllipticCylinder(
        tuple(crossing["centre"]), _shrunk(crossing["semi_axes"], crossing_wall), -reach, reach, X
    )
    return Union((up, across))


def _lower_colon(falling: Constants, sigmoid: Constants, falling_wall: float, sigmoid_wall: float) -> Solid:
    """A slanted cylinder, then two quarters of tori in the plane y = 0."""
    low, high = falling["limits_z"]
    slope = falling["drift"][0] / (high - low), -falling["drift"][1] / (high - low)
    start = falling["centre_x_at_top"] - slope[0] * high, -falling["drift"][1] - slope[1] * high
    down = EllipticCone(start, slope, _shrunk(falling["semi_axes"], falling_wall), (0, 0), low, high)
    x, z, section = sigmoid["centre_x"], sigmoid["centre_z"], _shrunk(sigmoid["section"], sigmoid_wall)
    upper_bend = Torus((x, 0, z), sigmoid["ring_radii"][0], section, Y)
    lower_bend = Torus((x, 0, 0), sigmoid["ring_radii"][1], section, Y)
    return Union(
        (
            down,
            Intersection((upper_bend, Slab(X, x), Slab(Z, upper_cm=z))),
            Intersection((lower_bend, Slab(X, upper_cm=x), Slab(Z, 0.0))),
        )
    )


def _shrunk(semi_axes: list[float], wall: float) -> tuple[float, float]:
    return semi_axes[0] - wall, semi_axes[1] - wall


def _thorax_and_kidneys(c: Constants) -> dict[str, Solid]:
    kidneys, liver = c["kidneys"], c["liver"]
    x, y, z = liver["plane_intercepts"]
    face = kidneys["inner_face_x"]
    right_lobe = HalfSpace((1 / x, 1 / y, -1 / z), -1.0)
    return {
        "heart_contents": Turned(_heart_contents(c["heart"]), tuple(c["heart"]["origin"]), _rows(c["heart"])),
        "heart_wall": Turned(_heart(c["heart"]), tuple(c["heart"]["origin"]), _rows(c["heart"])),
        "kidneys": Mirrored(Intersection((_ellipsoid(kidneys), Slab(X, face)))),
        "liver": Intersection((EllipticCylinder((0, 0), tuple(liver["semi_axes"]), *liver["limits_z"]), right_lobe)),
        "lungs": _lungs(c["lungs"]),
    }


def _heart(h: Constants) -> Solid:
    """Ventricles to +x of the heart's frame, atria to −x; the left side reaches to +z, the right to −z."""
    length, breadth, atrium = h["ventricle_length"], h["breadth"], h["atrium_length"]
    left, right = h["left_depth"], h["right_depth"]
    return Union(
        (
            _part((length, breadth, left), Slab(X, 0.0)),
            _part((length, breadth, right), Slab(X, 0.0), Slab(Z, upper_cm=0.0)),
            _part((atrium, breadth, left), Slab(X, upper_cm=0.0), Slab(Z, 0.0)),
            _part((atrium, breadth, right), Slab(X, upper_cm=0.0), Slab(Z, upper_cm=0.0)),
        )
    )


def _heart_contents(h: Constants) -> Solid:
    """The blood of the four chambers; the right ones end at the septum of ventricles and atria."""
    length, breadth, atrium = h["ventricle_length"], h["breadth"], h["atrium_length"]
    left, right = h["left_depth"], h["right_depth"]
    lv, rv, at = h["left_ventricle_wall"], h["right_ventricle_wall"], h["atrium_wall"]
    septum = left - lv
    towards_right = Slab(X, upper_cm=0.0), Slab(Z, upper_cm=0.0)
    right_ventricle = _part((length - rv, breadth - rv, right - rv), Slab(X, 0.0), Slab(Z, upper_cm=0.0))
    right_atrium = _part((atrium - at, breadth - at, right - at), *towards_right)
    return Union(
        (
            _part((length - lv, breadth - lv, septum), Slab(X, 0.0)),
            Difference(right_ventricle, Ellipsoid((0, 0, 0), (length, breadth, left))),
            _part((atrium - at, breadth - at, left - at), Slab(X, upper_cm=0.0), Slab(Z, 0.0)),
            _part((atrium - at, breadth - at, septum), *towards_right),
            Difference(right_atrium, Ellipsoid((0, 0, 0), (atrium, breadth, septum + at))),
        )
    )


def _part(semi_axes: tuple[float, float, float], *cuts: Solid) -> Solid:
    """Part of an ellipsoid about the origin."""
    return Intersection((Ellipsoid((0, 0, 0), semi_axes), *cuts))


def _lungs(lung: Constants) -> Solid:
    """Half ellipsoids with a notch at the front for the heart."""
    (x, y, z), axes = lung["centre"], tuple(lung["semi_axes"])
    right_notch = Intersection(
        (
            Slab(Z, *lung["right_notch_z"]),
            Slab(Y, upper_cm=lung["right_notch_y"]),
            Slab(X, lung["right_notch_x"]),
        )
    )
    left_notch = Intersection(
        (
            Slab(Z, z, lung["left_notch_top_z"]),
            Slab(Y, upper_cm=lung["left_notch_y"]),
            Slab(X, upper_cm=lung["left_notch_x"]),
        )
    )
    right = Intersection((Ellipsoid((-x, y, z), axes), Slab(Z, z)))
    left = Intersection((Ellipsoid((x, y, z), axes), Slab(Z, z)))
    return Union((Difference(right, right_notch), Difference(left, left_notch)))


def _pelvic_organs(c: Constants) -> dict[str, Solid]:
    """Ovaries to uterus in the report's order, with pancreas and spleen, which no other organ touches."""
    pancreas, bladder = c["pancreas"], c["bladder"]
    below_tail = Intersection((Slab(X, pancreas["head_end_x"]), Slab(Z, upper_cm=pancreas["centre"][2])))
    half = Intersection((_ellipsoid(pancreas), Slab(X, pancreas["centre"][0])))
    return {
        "ovaries": Mirrored(_ellipsoid(c["ovaries"])),
        "pancreas": Difference(half, below_tail),
        "spleen": _ellipsoid(c["spleen"]),
        "bladder_contents": _ellipsoid(bladder, bladder["wall"]),
        "bladder_wall": _ellipsoid(bladder),
        "uterus": Intersection((_ellipsoid(c["uterus"]), Slab(Y, c["uterus"]["front_y"]))),
    }
