"""A torso painted by formula: body, cavities, viscera, vessels; sizes from a `BodyPlan`.

Positions are in mm: x to the patient's left, y to the back, z to the head, with z = 0 at the upper end of the first
lumbar vertebra of a male of 1.76 m. Shapes and places are our own drawing of adult anatomy, not a measurement.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import IntEnum

import numpy as np

from .body_plan import HEART_CONTENTS_SHARE, BodyPlan
from .canvas import Blob, Canvas, Field, Inside, Mask, both, tube
from .shapes import Point


class Tissue(IntEnum):
    """What is painted; several tissues may make one region."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    VISCERAL_FAT = 3
    LEFT_LUNG = 4
    RIGHT_LUNG = 5
    MEDIASTINUM = 6
    HEART_WALL = 7
    HEART_CONTENTS = 8
    VESSEL = 9
    LIVER = 10
    GALLBLADDER = 11
    SPLEEN = 12
    STOMACH_WALL = 13
    STOMACH_CONTENTS = 14
    SMALL_INTESTINE = 15
    COLON_WALL = 16
    COLON_CONTENTS = 17
    COLON_GAS = 18
    LEFT_KIDNEY = 19
    RIGHT_KIDNEY = 20
    PANCREAS = 21
    ADRENALS = 22
    BLADDER_WALL = 23
    BLADDER_CONTENTS = 24
    PELVIC_ORGAN = 25
    THYROID = 26
    AIRWAY = 27
    GLAND = 28
    CARTILAGE = 29
    CORTICAL_BONE = 30
    SPONGY_SURFACE = 31
    MARROW = 32
    SPINAL_CORD = 33
    COUCH = 34
    FIRST_LESION = 40


_SECTION_Z_MM = (-400.0, -300.0, -240.0, -180.0, -100.0, 0.0, 80.0, 150.0, 220.0, 255.0, 285.0, 310.0, 420.0)
_LEAN_HALF_WIDTH_MM = (176.0, 176.0, 168.0, 152.0, 140.0, 144.0, 152.0, 162.0, 172.0, 166.0, 112.0, 68.0, 62.0)
_LEAN_HALF_DEPTH_MM = (102.0, 108.0, 104.0, 99.0, 96.0, 101.0, 110.0, 112.0, 100.0, 86.0, 72.0, 64.0, 64.0)
_GIRTH_SHARE = (0.2, 0.4, 0.8, 1.0, 1.0, 0.8, 0.5, 0.3, 0.1, 0.0, 0.0, 0.0, 0.0)
"""Outer surface of muscle at several heights, and how much of the girth counts there."""

_CHEST_Z_MM = (-10.0, 0.0, 60.0, 120.0, 180.0, 230.0, 260.0, 282.0, 290.0)
_CHEST_HALF_WIDTH_MM = (120.0, 122.0, 130.0, 130.0, 119.0, 92.0, 64.0, 26.0, 1.0)
_CHEST_HALF_DEPTH_MM = (84.0, 85.0, 91.0, 92.0, 83.0, 64.0, 46.0, 20.0, 1.0)

_BELLY_Z_MM = (-345.0, -330.0, -280.0, -240.0, -200.0, -100.0, 0.0, 100.0)
_BELLY_HALF_WIDTH_MM = (1.0, 45.0, 72.0, 92.0, 112.0, 122.0, 123.0, 128.0)
_BELLY_HALF_DEPTH_MM = (1.0, 40.0, 62.0, 70.0, 76.0, 78.0, 82.0, 90.0)

_SPINE_Z_MM = (-290.0, -240.0, -190.0, -100.0, 0.0, 100.0, 180.0, 260.0, 330.0)
_SPINE_Y_MM = (76.0, 62.0, 46.0, 32.0, 40.0, 55.0, 58.0, 42.0, 26.0)

_DOMES = ((-62.0, -6.0, 80.0, 92.0, 100.0), (62.0, -6.0, 78.0, 92.0, 84.0))
"""Right and left half of the diaphragm: centre x, y, half width, half depth, height [mm]."""

_DIAPHRAGM_LOW_MM = 2.0

Level = Callable[[Field, Field, Field], Field]
"""A number at positions x, y, z [mm] that rises outwards."""


class Torso:
    """The places of one patient's organs, and painting them.

    Parameters
    ----------
    plan
        Sizes.
    rng
        For the places of organs and the loops of the bowel.
    """

    def __init__(self, plan: BodyPlan, rng: np.random.Generator) -> None:
        self.plan = plan
        self.across, self.along = plan.frame, plan.length
        self._breath_mm = float(rng.uniform(-12.0, 12.0))
        self._shift = {name: rng.normal(0.0, 1.0, 3) for name in plan.organ_volumes_ml}
        self._tilt = {name: rng.normal(0.0, 1.0, 3) for name in plan.organ_volumes_ml}
        self._waves = rng.uniform(0, 2 * math.pi, (3, 4))
        self._colon_radius_mm = float(rng.uniform(18.0, 28.0))
        self._gas_share = float(rng.uniform(0.1, 0.6))

    def place(self, x_mm: float, y_mm: float, z_mm: float) -> Point:
        """A position of the reference frame in this patient [mm]."""
        return (x_mm * self.across, y_mm * self.across, z_mm * self.along)

    def spine_y_mm(self, z_mm: float) -> float:
        """How far back the middle of the vertebral bodies is at a height [mm], both in this patient."""
        return float(np.interp(z_mm / self.along, _SPINE_Z_MM, _SPINE_Y_MM)) * self.across

    # -- outlines ---------------------------------------------------------------------------------------------------

    def body(self, inward_mm: float) -> Inside:
        """The body less a layer under the skin: 0 for skin, the thickness of fat for muscle."""
        girth = self.plan.girth_mm

        def inside(x_mm: Field, y_mm: Field, z_mm: Field) -> Mask:
            height = z_mm / np.float32(self.along)
            share = _profile(height, _SECTION_Z_MM, _GIRTH_SHARE)
            layer = self.plan.fat_mm - inward_mm
            # The neck and the thighs carry less fat than the belly.
            thick = layer * np.where(height > 285, 0.35, 1.0)
            width = _profile(height, _SECTION_Z_MM, _LEAN_HALF_WIDTH_MM) * self.across + girth * share + thick
            lean_depth = _profile(height, _SECTION_Z_MM, _LEAN_HALF_DEPTH_MM) * self.across
            front = lean_depth + 1.3 * girth * share + 0.8 * thick
            back = lean_depth + 0.5 * thick
            depth = np.where(y_mm < 0, front, back)
            order = 2.4
            round_ = (np.abs(x_mm) / width) ** order + (np.abs(y_mm) / depth) ** order <= 1
            legs = z_mm < -345 * self.along
            if not legs.any():
                return np.asarray(round_)
            away = np.abs(x_mm) - 88 * self.across
            thigh = np.float32(80 * self.across + 0.8 * thick)
            return np.asarray(np.where(legs, (away**2 + y_mm**2) <= thigh**2, round_))

        return inside

    def belly(self, margin_mm: float = 0.0) -> Inside:
        """The abdominal and pelvic cavity less a margin."""

        def inside(x_mm: Field, y_mm: Field, z_mm: Field) -> Mask:
            height = z_mm / np.float32(self.along)
            girth = self.plan.girth_mm * _profile(height, _SECTION_Z_MM, _GIRTH_SHARE)
            width = _profile(height, _BELLY_Z_MM, _BELLY_HALF_WIDTH_MM) * self.across + girth - margin_mm
            depth = _profile(height, _BELLY_Z_MM, _BELLY_HALF_DEPTH_MM) * self.across + 0.65 * girth - margin_mm
            middle = -12 * self.across - 0.65 * girth
            round_ = (np.abs(x_mm) / np.maximum(width, 1)) ** 2.3 + (
                np.abs(y_mm - middle) / np.maximum(depth, 1)
            ) ** 2.3
            return np.asarray(
                (round_ <= 1) & (z_mm > -345 * self.along) & self._below_diaphragm(x_mm, y_mm, z_mm, margin_mm)
            )

        return inside

    def chest_level(self, x_mm: Field, y_mm: Field, z_mm: Field, outward_mm: float = 0.0) -> Field:
        """1 on the inner surface of the ribs, less inside; `outward_mm` moves the surface out."""
        height = z_mm / np.float32(self.along)
        width = _profile(height, _CHEST_Z_MM, _CHEST_HALF_WIDTH_MM) * self.across + outward_mm
        depth = _profile(height, _CHEST_Z_MM, _CHEST_HALF_DEPTH_MM) * self.across + outward_mm
        return np.asarray((x_mm / width) ** 2 + ((y_mm + 2 * self.across) / depth) ** 2)

    def _below_diaphragm(self, x_mm: Field, y_mm: Field, z_mm: Field, margin_mm: float) -> Mask:
        return np.asarray(z_mm < self._diaphragm_mm(x_mm, y_mm) - margin_mm)

    def _diaphragm_mm(self, x_mm: Field, y_mm: Field) -> Field:
        """Height of the diaphragm [mm]."""
        u, v = x_mm / np.float32(self.across), y_mm / np.float32(self.across)
        height = np.zeros_like(u)
        for x0, y0, half_width, half_depth, top in _DOMES:
            square = 1 - ((u - x0) / half_width) ** 2 - ((v - y0) / half_depth) ** 2
            height = np.maximum(height, top * np.sqrt(np.maximum(square, 0)))
        return np.asarray((height + _DIAPHRAGM_LOW_MM) * self.along + self._breath_mm, dtype=np.float32)

    # -- painting ---------------------------------------------------------------------------------------------------

    def paint_body(self, canvas: Canvas) -> None:
        """Fat, muscle, breasts, arms, cavities and lungs."""
        everywhere: tuple[Point, Point] = ((0.0, 0.0, 0.0), (1e4, 1e4, 1e4))
        if self.plan.arms_down:
            self._paint_arms(canvas)
        if self.plan.sex == "female":
            for side in (-1, 1):
                breast = Blob(self.place(side * 72, -112, 140), (52.0, 38.0 + 0.4 * self.plan.fat_mm, 55.0))
                canvas.paint(Tissue.FAT, breast.inside, breast.centre_mm, breast.reach_mm)
                gland = breast.shrunk(0.6)
                canvas.paint(Tissue.GLAND, gland.inside, gland.centre_mm, gland.reach_mm)
        canvas.paint(Tissue.FAT, self.body(0.0), *everywhere)
        canvas.paint(Tissue.MUSCLE, self.body(self.plan.fat_mm), *everywhere)
        middle, reach = self.place(0, 0, -120), (180.0 * self.across, 150.0, 260.0)
        canvas.paint(Tissue.VISCERAL_FAT, self.belly(), middle, reach)
        middle, reach = self.place(0, 0, 140), (140.0 * self.across, 110.0, 190.0)
        canvas.paint(Tissue.MEDIASTINUM, self._chest, middle, reach)
        canvas.paint(Tissue.LEFT_LUNG, lambda x, y, z: self._lung(x, y, z, 1), middle, reach)
        canvas.paint(Tissue.RIGHT_LUNG, lambda x, y, z: self._lung(x, y, z, -1), middle, reach)

    def _paint_arms(self, canvas: Canvas) -> None:
        half_width = max(_LEAN_HALF_WIDTH_MM[:8]) * self.across + self.plan.fat_mm + max(self.plan.girth_mm, 0.0)
        for side in (-1, 1):
            x_mm = side * (half_width + 34.0)
            top = (side * 168 * self.across, 5.0, 225 * self.along)
            path = [(x_mm, 0.0, -450 * self.along), (x_mm, 5.0, 40 * self.along), top]
            for tissue, radius_mm in ((Tissue.FAT, 42.0), (Tissue.MUSCLE, 42.0 - 0.4 * self.plan.fat_mm)):
                canvas.paint(tissue, *tube(path, max(radius_mm, 24.0)))
            canvas.paint(Tissue.CORTICAL_BONE, *tube(path, 11.0))
            canvas.paint(Tissue.MARROW, *tube(path, 5.0))

    def _chest(self, x_mm: Field, y_mm: Field, z_mm: Field) -> Mask:
        return np.asarray(
            (self.chest_level(x_mm, y_mm, z_mm) <= 1)
            & ~self._below_diaphragm(x_mm, y_mm, z_mm, 0.0)
            & (z_mm < 288 * self.along)
        )

    def _lung(self, x_mm: Field, y_mm: Field, z_mm: Field, side: int) -> Mask:
        half_gap = (16 + 14 * np.exp(-(((y_mm - 15) / 45) ** 2))) * self.across
        apart = side * x_mm > half_gap
        above = z_mm > self._diaphragm_mm(x_mm, y_mm) + 4
        return np.asarray(apart & above & (self.chest_level(x_mm, y_mm, z_mm, -3.0) <= 1) & (z_mm < 280 * self.along))

    def paint_viscera(self, canvas: Canvas) -> None:
        """Organs of chest, abdomen, pelvis and neck, and the great vessels."""
        self._paint_heart(canvas)
        self._paint_vessels(canvas)
        self._paint_small_intestine(canvas)
        self._paint_colon(canvas)
        self._paint_liver(canvas)
        self._paint_pancreas_and_adrenals(canvas)
        self._paint_stomach_and_spleen(canvas)
        self._paint_kidneys(canvas)
        self._paint_pelvis_organs(canvas)
        self._paint_neck(canvas)

    def _organ(self, name: str, centre_mm: Point, proportions: Point, tilt_deg: Point, wander_mm: float = 5.0) -> Blob:
        """An organ of its drawn volume near a place of the reference frame, shifted and turned a little."""
        shift, tilt = wander_mm * self._shift[name], tuple(np.array(tilt_deg) + 6.0 * self._tilt[name])
        centre = np.array(self.place(*centre_mm)) + shift + np.array([0, 0, self._breath_mm])
        return Blob.of_volume(
            self.plan.organ_volumes_ml[name],
            (centre[0], centre[1], centre[2]),
            proportions,
            (tilt[0], tilt[1], tilt[2]),
        )

    def _paint_heart(self, canvas: Canvas) -> None:
        heart = self._organ("heart", (26, -34, 128), (60, 48, 56), (20, 35, 20), 4.0)
        over = (Tissue.MEDIASTINUM, Tissue.LEFT_LUNG, Tissue.RIGHT_LUNG, Tissue.VISCERAL_FAT)
        sac = heart.shrunk(1.07)
        canvas.paint(Tissue.MEDIASTINUM, sac.inside, sac.centre_mm, sac.reach_mm, over)
        canvas.paint(Tissue.HEART_WALL, heart.inside, heart.centre_mm, heart.reach_mm, over)
        inner = heart.shrunk(HEART_CONTENTS_SHARE ** (1 / 3))
        canvas.paint(Tissue.HEART_CONTENTS, inner.inside, inner.centre_mm, inner.reach_mm, (Tissue.HEART_WALL,))

    def _paint_vessels(self, canvas: Canvas) -> None:
        def beside(x_mm: float, forward_mm: float, z_mm: float) -> Point:
            return (
                x_mm * self.across,
                self.spine_y_mm(z_mm * self.along) - forward_mm * self.across,
                z_mm * self.along,
            )

        aorta = [beside(8, 28, -105), beside(10, 28, 0), beside(18, 24, 90), beside(24, 20, 200)]
        arch = [aorta[-1], self.place(8, 0, 222), self.place(-6, -30, 205), self.place(4, -32, 165)]
        cava = [beside(-20, 28, -105), beside(-20, 30, 0), self.place(-22, 5, 80), self.place(-18, -20, 130)]
        upper = [self.place(-22, -15, 150), self.place(-20, -8, 225)]
        for side, start in ((1, aorta[0]), (-1, cava[0])):
            fork = self.place(side * 60, 10, -215)
            for path in ([start, fork], [fork, self.place(side * 82, -55, -320)]):
                canvas.paint(Tissue.VESSEL, *tube(path, 7.0))
        for path, radius_mm in ((aorta, 11.0), (arch, 14.0), (cava, 11.0), (upper, 10.0)):
            canvas.paint(Tissue.VESSEL, *tube(path, radius_mm * self.across))

    def _paint_small_intestine(self, canvas: Canvas) -> None:
        region = Blob(
            self.place(4, -38 - 0.4 * self.plan.girth_mm, -115), (98.0 * self.across, 50.0, 95.0 * self.along)
        )
        belly = self.belly(8.0)

        def loops(x: Field, y: Field, z: Field) -> Mask:
            waves = sum(
                np.sin(2 * math.pi * (x * math.cos(a) + y * math.sin(a) + 0.7 * z * math.cos(b)) / 48 + c)
                for a, b, c in zip(*self._waves[:, :4], strict=True)
            )
            return np.asarray((region.level(x, y, z) <= 1) & belly(x, y, z) & (np.abs(waves) < 1.35))

        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE)
        canvas.paint(Tissue.SMALL_INTESTINE, loops, region.centre_mm, region.reach_mm, over)

    def _paint_colon(self, canvas: Canvas) -> None:
        forward = -0.7 * self.plan.girth_mm
        path = [
            (-96, 8, -180), (-98, 18, -110), (-94, 16, -45), (-70, -48 + forward, -48), (0, -66 + forward, -72),
            (68, -50 + forward, -30), (98, 18, 0), (100, 26, -90), (96, 12, -170), (60, -8, -215), (20, 5, -235),
            (4, 48, -255), (0, 50, -300),
        ]  # fmt: skip
        places = [self.place(*point) for point in path]
        belly = self.belly(3.0)
        radius_mm = self._colon_radius_mm
        phases = self._waves[0]

        def gas(x: Field, y: Field, z: Field) -> Mask:
            # Gas gathers in front, in some stretches of the bowel.
            ripple = np.sin(x / 31 + phases[0]) + np.sin(z / 27 + phases[1]) - y / 60
            return np.asarray(ripple > 2.2 - 3.2 * self._gas_share)

        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.SMALL_INTESTINE)
        for start, end in zip(places[:-1], places[1:], strict=True):
            wall, centre, reach = tube([start, end], radius_mm)
            core, _, _ = tube([start, end], radius_mm - 4.0)
            canvas.paint(Tissue.COLON_WALL, both(wall, belly), centre, reach, over)
            canvas.paint(Tissue.COLON_CONTENTS, core, centre, reach, (Tissue.COLON_WALL,))
            canvas.paint(Tissue.COLON_GAS, gas, centre, reach, (Tissue.COLON_CONTENTS,))

    def _paint_liver(self, canvas: Canvas) -> None:
        shift = 4.0 * self._shift["liver"] + np.array([0, 0, self._breath_mm])
        centres = [np.array(self.place(*point)) + shift for point in ((-64, -4, 28), (14, -44, 52))]
        axes = [np.array(point) * self.across for point in ((84, 80, 82), (70, 40, 36))]
        lobes = [
            Blob((c[0], c[1], c[2]), (a[0], a[1], a[2]), (0.0, float(8 + 4 * self._tilt["liver"][1]), 0.0))
            for c, a in zip(centres, axes, strict=True)
        ]
        belly = self.belly(4.0)

        def level(x: Field, y: Field, z: Field) -> Field:
            both = np.minimum(lobes[0].level(x, y, z), lobes[1].level(x, y, z))
            # The lower face slopes up to the left.
            sloped = z < (-75 + 0.75 * (x + 64)) * self.along
            return np.asarray(np.where(belly(x, y, z) & ~sloped, both, np.inf))

        inside = self._of_volume(level, "liver", self.place(-35, -10, 35), (170.0, 140.0, 170.0))
        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.COLON_WALL, Tissue.COLON_CONTENTS, Tissue.COLON_GAS,
                Tissue.SMALL_INTESTINE, Tissue.MEDIASTINUM)  # fmt: skip
        self._liver = inside
        canvas.paint(Tissue.LIVER, inside, self.place(-35, -10, 35), (170.0, 140.0, 170.0), over)
        bladder = self._organ("gallbladder_contents", (-52, -42, -30), (1.0, 1.0, 2.0), (30, 0, 0))
        canvas.paint(Tissue.GALLBLADDER, bladder.inside, bladder.centre_mm, bladder.reach_mm, (*over, Tissue.LIVER))

    def _paint_stomach_and_spleen(self, canvas: Canvas) -> None:
        belly = self.belly(3.0)
        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.SMALL_INTESTINE)
        stomach = self._organ("stomach", (60, -34, 26), (1.0, 0.8, 1.35), (15, 20, 0))
        core = stomach.shrunk(0.82)
        around = (95.0, 95.0, 110.0)
        outer = self._of_volume(self._clear_of_liver(stomach, belly), "stomach", stomach.centre_mm, around)
        canvas.paint(Tissue.STOMACH_WALL, outer, stomach.centre_mm, around, over)
        canvas.paint(Tissue.STOMACH_CONTENTS, core.inside, core.centre_mm, core.reach_mm, (Tissue.STOMACH_WALL,))
        gas_above = stomach.centre_mm[1] - 0.35 * stomach.semi_axes_mm[1]
        canvas.paint(
            Tissue.COLON_GAS,
            lambda x, y, z: y < gas_above - 20 * (1 - self._gas_share),
            stomach.centre_mm,
            stomach.reach_mm,
            (Tissue.STOMACH_CONTENTS,),
        )
        # The spleen gives way to nothing but the kidney, which comes later.
        spleen = self._organ("spleen", (90, 38, 48), (0.55, 1.0, 0.9), (25, 10, -15), 4.0)

        def level(x: Field, y: Field, z: Field) -> Field:
            return np.asarray(np.where(belly(x, y, z), spleen.level(x, y, z), np.inf))

        reach = (80.0, 90.0, 100.0)
        inside = self._of_volume(level, "spleen", spleen.centre_mm, reach)
        canvas.paint(Tissue.SPLEEN, inside, spleen.centre_mm, reach, (*over, Tissue.STOMACH_WALL, Tissue.COLON_WALL,
                     Tissue.COLON_CONTENTS, Tissue.COLON_GAS, Tissue.STOMACH_CONTENTS))  # fmt: skip

    def _clear_of_liver(self, organ: Blob, cavity: Inside) -> Level:
        """The level of an organ within the cavity, infinite where the liver is."""

        def level(x: Field, y: Field, z: Field) -> Field:
            free = cavity(x, y, z) & ~self._liver(x, y, z)
            return np.asarray(np.where(free, organ.level(x, y, z), np.inf))

        return level

    def _of_volume(self, level: Level, name: str, centre_mm: Point, reach_mm: Point) -> Inside:
        """The surface of a level function that holds the drawn volume of an organ, found on a lattice of 5 mm."""
        step = 5.0
        axes = [
            np.arange(-reach, reach, step, dtype=np.float32) + np.float32(c)
            for c, reach in zip(centre_mm, reach_mm, strict=True)
        ]
        z, y, x = np.meshgrid(axes[2], axes[1], axes[0], indexing="ij")
        values = level(x, y, z).ravel()
        wanted = min(int(round(self.plan.organ_volumes_ml[name] * 1e3 / step**3)), int(np.isfinite(values).sum())) - 1
        threshold = float(np.partition(values, wanted)[wanted])
        return lambda x, y, z: np.asarray(level(x, y, z) <= threshold)

    def _paint_pancreas_and_adrenals(self, canvas: Canvas) -> None:
        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.SMALL_INTESTINE, Tissue.COLON_WALL, Tissue.COLON_CONTENTS)
        pancreas = self._organ("pancreas", (20, 2, -6), (1.0, 0.27, 0.32), (0, -18, 14), 3.0)
        around = (100.0, 60.0, 60.0)
        outer = self._of_volume(self._clear_of_liver(pancreas, self.belly(3.0)), "pancreas", pancreas.centre_mm, around)
        canvas.paint(Tissue.PANCREAS, outer, pancreas.centre_mm, around, over)
        for side in (-1, 1):
            x_mm, y_mm, z_mm = self.place(side * 42, 30, 34)
            adrenal = Blob((x_mm, y_mm, z_mm + self._breath_mm), (13.0, 5.5, 16.0), (0.0, side * 30.0, 0.0))
            canvas.paint(Tissue.ADRENALS, adrenal.inside, adrenal.centre_mm, adrenal.reach_mm, (*over, Tissue.LIVER))

    def _paint_kidneys(self, canvas: Canvas) -> None:
        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.LIVER, Tissue.SPLEEN, Tissue.COLON_WALL, Tissue.COLON_GAS,
                Tissue.COLON_CONTENTS, Tissue.SMALL_INTESTINE, Tissue.PANCREAS, Tissue.STOMACH_WALL)  # fmt: skip
        for name, tissue, side, z_mm in (
            ("left_kidney", Tissue.LEFT_KIDNEY, 1, -14),
            ("right_kidney", Tissue.RIGHT_KIDNEY, -1, -30),
        ):
            kidney = self._organ(name, (side * 64, 40, z_mm), (27, 24, 54), (12, side * -10, side * 25), 4.0)
            x0, y0, _ = kidney.centre_mm
            # The sinus opens to the middle and front, and holds fat.
            sinus = Blob((x0 - side * 20, y0 - 8, kidney.centre_mm[2]), (15.0, 11.0, 19.0))
            grown = kidney.shrunk(1.03)
            capsule = kidney.shrunk(1.22)
            canvas.paint(Tissue.VISCERAL_FAT, capsule.inside, capsule.centre_mm, capsule.reach_mm, over[:2])
            canvas.paint(tissue, grown.inside, grown.centre_mm, grown.reach_mm, over)
            canvas.paint(Tissue.VISCERAL_FAT, sinus.inside, sinus.centre_mm, sinus.reach_mm, (tissue,))

    def _paint_pelvis_organs(self, canvas: Canvas) -> None:
        over = (Tissue.VISCERAL_FAT, Tissue.MUSCLE, Tissue.SMALL_INTESTINE, Tissue.COLON_WALL)
        low = (0, -14, -318) if self.plan.sex == "male" else (0, 14, -268)
        axes = (22.0, 18.0, 19.0) if self.plan.sex == "male" else (26.0, 22.0, 34.0)
        organ = Blob(self.place(*low), axes)
        canvas.paint(Tissue.PELVIC_ORGAN, organ.inside, organ.centre_mm, organ.reach_mm, over)
        bladder = self._organ("urinary_bladder_contents", (0, -30, -282), (1.15, 0.9, 0.95), (0, 0, 0), 2.0)
        thickness = 1 + 4.0 / min(bladder.semi_axes_mm)
        wall = bladder.shrunk(thickness)
        canvas.paint(Tissue.BLADDER_WALL, wall.inside, wall.centre_mm, wall.reach_mm, (*over, Tissue.PELVIC_ORGAN))
        canvas.paint(
            Tissue.BLADDER_CONTENTS, bladder.inside, bladder.centre_mm, bladder.reach_mm, (Tissue.BLADDER_WALL,)
        )

    def _paint_neck(self, canvas: Canvas) -> None:
        windpipe = [self.place(0, 2, 195), self.place(0, -12, 290), self.place(0, -14, 420)]
        canvas.paint(Tissue.AIRWAY, *tube(windpipe, 8.5))
        for side in (-1, 1):
            bronchus = [windpipe[0], self.place(side * 32, 10, 170)]
            canvas.paint(Tissue.AIRWAY, *tube(bronchus, 6.0))
            lobe = Blob.of_volume(
                self.plan.organ_volumes_ml["thyroid"] / 2, self.place(side * 17, -20, 318), (0.7, 0.7, 1.7)
            )
            canvas.paint(Tissue.THYROID, lobe.inside, lobe.centre_mm, lobe.reach_mm, (Tissue.MUSCLE, Tissue.FAT))


def _profile(height: Field, nodes: tuple[float, ...], values: tuple[float, ...]) -> Field:
    """A length that varies with height."""
    return np.interp(height, nodes, values).astype(np.float32)
