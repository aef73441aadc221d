"""Spine, ribs, pelvis and femora of the parametric torso, with cortex, spongiosa and marrow."""

from __future__ import annotations

import numpy as np

from .canvas import Blob, Canvas, Field, Inside, Mask, tube
from .parametric_torso import Tissue, Torso
from .shapes import Point

THORACIC_PITCH_MM, LUMBAR_PITCH_MM = 23.0, 37.0
"""From one vertebra to the next: twelve thoracic in 276 mm, five lumbar in 185 mm; some 46 cm of an adult's spine."""

_DISC_MM = 6.0
_CORTEX_MM = 2.5
_RIB_HALF_HEIGHT_MM, _RIB_THICKNESS_MM = 6.5, 8.0
_RIB_BACK_MM = 62.0
_RIB_SLOPE = 0.42
"""How far a rib falls from back to front, per length."""


def vertebra_levels_mm() -> list[tuple[str, float, float]]:
    """Name, middle and height of the bodies of T1 to L5 in the reference frame [mm]."""
    thoracic = [(f"T{12 - n}", (n + 0.5) * THORACIC_PITCH_MM, THORACIC_PITCH_MM - _DISC_MM) for n in range(12)]
    lumbar = [(f"L{n + 1}", -(n + 0.5) * LUMBAR_PITCH_MM, LUMBAR_PITCH_MM - 1.5 * _DISC_MM) for n in range(5)]
    cervical = [(f"C{7 - n}", 276 + (n + 0.5) * 17.0, 12.0) for n in range(7)]
    return [*cervical, *thoracic, *lumbar]


def paint_skeleton(canvas: Canvas, torso: Torso) -> None:
    """All bones but those of the arms."""
    _paint_muscles_of_the_back(canvas, torso)
    _paint_spine(canvas, torso)
    _paint_ribs(canvas, torso)
    _paint_pelvis(canvas, torso)


def _paint_muscles_of_the_back(canvas: Canvas, torso: Torso) -> None:
    """Psoas, and what lies on both sides of the spine."""
    for side in (-1, 1):
        psoas = [torso.place(side * 34, 32, -30), torso.place(side * 42, 34, -150), torso.place(side * 78, -20, -280)]
        canvas.paint(Tissue.MUSCLE, *tube(psoas, 18.0), (Tissue.VISCERAL_FAT, Tissue.SMALL_INTESTINE))


def _paint_spine(canvas: Canvas, torso: Torso) -> None:
    spine_over = tuple(tissue for tissue in Tissue if tissue not in (Tissue.AIR, Tissue.COUCH))
    for name, middle_mm, height_mm in vertebra_levels_mm():
        size = {"C": 0.55, "T": 0.85, "L": 1.05}[name[0]] * torso.across
        z_mm = middle_mm * torso.along
        centre = (0.0, torso.spine_y_mm(z_mm), z_mm)
        half = height_mm / 2 * torso.along
        back = 17 * size + 9 * torso.across
        arch = Blob((0.0, centre[1] + back, z_mm), (20 * size, 15 * size, 0.42 * height_mm))
        canvas.paint(Tissue.SPONGY_SURFACE, arch.inside, arch.centre_mm, arch.reach_mm, spine_over)
        wings = Blob((0.0, centre[1] + 0.8 * back, z_mm), (38 * size, 5.0, 6.0))
        canvas.paint(Tissue.SPONGY_SURFACE, wings.inside, wings.centre_mm, wings.reach_mm, spine_over)
        spine = [(0.0, centre[1] + back, z_mm), (0.0, centre[1] + back + 22 * size, z_mm - 10)]
        canvas.paint(Tissue.SPONGY_SURFACE, *tube(spine, 4.0), spine_over)
        _paint_cylinder(canvas, Tissue.CORTICAL_BONE, centre, (23 * size, 17 * size), half)
        inner = (23 * size - _CORTEX_MM, 17 * size - _CORTEX_MM)
        _paint_cylinder(canvas, Tissue.MARROW, centre, inner, half - _CORTEX_MM)
        disc = (0.0, centre[1], z_mm - half - _DISC_MM / 2)
        _paint_cylinder(canvas, Tissue.CARTILAGE, disc, (22 * size, 16 * size), _DISC_MM / 2)
        # Its upper neighbour's cortex reaches down to the disc.
        canal = [(0.0, centre[1] + back - 2, z_mm - 20), (0.0, centre[1] + back - 2, z_mm + 20)]
        canvas.paint(Tissue.SPINAL_CORD, *tube(canal, 8.0 * size), spine_over)


def _paint_cylinder(canvas: Canvas, tissue: Tissue, centre: Point, axes: tuple[float, float], half_mm: float) -> None:
    def inside(x: Field, y: Field, z: Field) -> Mask:
        section = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 <= 1
        return np.asarray(section & (np.abs(z - centre[2]) <= half_mm))

    canvas.paint(tissue, inside, centre, (axes[0], axes[1], half_mm))


def _paint_ribs(canvas: Canvas, torso: Torso) -> None:
    flesh = (Tissue.FAT, Tissue.MUSCLE, Tissue.VISCERAL_FAT, Tissue.MEDIASTINUM, Tissue.LEFT_LUNG, Tissue.RIGHT_LUNG)
    thoracic = [row for row in vertebra_levels_mm() if row[0].startswith("T")]
    for name, middle_mm, _ in thoracic:
        number = int(name[1:])
        slope = _RIB_SLOPE * (0.6 if number <= 2 else 1.0)
        # Ribs 11 and 12 float; cartilage follows where a rib's bone ends in front.
        front_mm = {11: -5.0, 12: 25.0}.get(number, -150.0) * torso.across
        bone_until_mm = (-58.0 if number <= 7 else -30.0) * torso.across
        top_mm = middle_mm * torso.along

        rib = _rib(torso, top_mm, slope, front_mm)
        bony = _rib(torso, top_mm, slope, max(front_mm, bone_until_mm))
        centre, reach = (0.0, 0.0, top_mm - 40), (145.0 * torso.across, 110.0 * torso.across, 75.0)
        canvas.paint(Tissue.CARTILAGE, rib, centre, reach, flesh)
        canvas.paint(Tissue.SPONGY_SURFACE, bony, centre, reach, (Tissue.CARTILAGE,))
    _paint_breastbone(canvas, torso, flesh)


def _rib(torso: Torso, top_mm: float, slope: float, front_mm: float) -> Inside:
    """A pair of ribs, from the spine to where they end in front."""
    back_mm = _RIB_BACK_MM * torso.across

    def inside(x: Field, y: Field, z: Field) -> Mask:
        height = top_mm - slope * np.maximum(back_mm - y, 0)
        # Below the chest the wall goes straight down.
        level_z = np.maximum(z, np.float32(5.0))
        outer = torso.chest_level(x, y, level_z, _RIB_THICKNESS_MM) <= 1
        inner = torso.chest_level(x, y, level_z, 0.0) <= 1
        return np.asarray(
            outer & ~inner & (np.abs(z - height) <= _RIB_HALF_HEIGHT_MM) & (y > front_mm) & (np.abs(x) > 12)
        )

    return inside


def _paint_breastbone(canvas: Canvas, torso: Torso, flesh: tuple[Tissue, ...]) -> None:
    def plate(x: Field, y: Field, z: Field, inward: float = 0.0) -> Mask:
        outer = torso.chest_level(x, y, z, 13.0 - inward) <= 1
        inner = torso.chest_level(x, y, z, 1.0 + inward) <= 1
        width = (17.0 - inward) * torso.across
        tall = (z > 75 * torso.along) & (z < 235 * torso.along)
        return np.asarray(outer & ~inner & (np.abs(x) < width) & (y < 0) & tall)

    centre, reach = torso.place(0, -90, 155), (25.0, 70.0, 95.0 * torso.along)
    canvas.paint(Tissue.SPONGY_SURFACE, plate, centre, reach, (*flesh, Tissue.CARTILAGE))
    canvas.paint(Tissue.MARROW, lambda x, y, z: plate(x, y, z, 3.0), centre, reach, (Tissue.SPONGY_SURFACE,))


def _paint_pelvis(canvas: Canvas, torso: Torso) -> None:
    _paint_sacrum(canvas, torso)
    for side in (-1, 1):
        _paint_hip(canvas, torso, side)


def _paint_sacrum(canvas: Canvas, torso: Torso) -> None:
    def wedge(x: Field, y: Field, z: Field, inward: float = 0.0) -> Mask:
        height = z / np.float32(torso.along)
        share = np.clip((height + 310) / 125, 0.05, 1)
        middle = (76 - 30 * share) * torso.across
        width = 52 * share * torso.across - inward
        depth = 17 * np.sqrt(share) * torso.across - inward
        section = (x / width) ** 2 + ((y - middle) / depth) ** 2 <= 1
        return np.asarray(section & (height > -300) & (height < -188 - inward))

    centre, reach = torso.place(0, 58, -245), (60.0, 45.0, 70.0)
    canvas.paint(Tissue.CORTICAL_BONE, wedge, centre, reach)
    canvas.paint(Tissue.MARROW, lambda x, y, z: wedge(x, y, z, _CORTEX_MM), centre, reach)


def _paint_hip(canvas: Canvas, torso: Torso, side: int) -> None:
    bowl = Blob(torso.place(0, 2, -205), (134.0 * torso.across, 84.0 * torso.across, 118.0 * torso.along))

    def wing(x: Field, y: Field, z: Field, inward: float = 0.0) -> Mask:
        half = (7.0 - inward) / (110.0 * torso.across)
        level = np.sqrt(bowl.level(x, y, z))
        height = z / np.float32(torso.along)
        crest = -172 - 0.006 * (y + 10) ** 2 - inward
        return np.asarray(
            (np.abs(level - 1) <= half) & (side * x > 42 * torso.across) & (height < crest) & (height > -275 + inward)
            & (y > -62 * torso.across + inward)
        )  # fmt: skip

    over = (Tissue.FAT, Tissue.MUSCLE, Tissue.VISCERAL_FAT, Tissue.SMALL_INTESTINE, Tissue.COLON_WALL)
    centre, reach = torso.place(side * 90, 0, -225), (70.0 * torso.across, 100.0, 70.0)
    canvas.paint(Tissue.CORTICAL_BONE, wing, centre, reach, over)
    canvas.paint(Tissue.MARROW, lambda x, y, z: wing(x, y, z, _CORTEX_MM), centre, reach, (Tissue.CORTICAL_BONE,))
    joint = torso.place(side * 86, 2, -290)
    solids = [
        Blob(joint, (31.0 * torso.across, 33.0 * torso.across, 34.0 * torso.across)),
        Blob(torso.place(side * 52, 30, -330), (17.0, 18.0, 36.0), (20.0, 0.0, 0.0)),
    ]
    rami = [torso.place(side * 66, -22, -290), torso.place(side * 8, -52, -318), torso.place(side * 46, 18, -352)]
    for solid in solids:
        _paint_bone(canvas, solid, over)
    canvas.paint(Tissue.CORTICAL_BONE, *tube(rami, 9.0), over)
    canvas.paint(Tissue.MARROW, *tube(rami, 9.0 - _CORTEX_MM), (Tissue.CORTICAL_BONE,))
    # The femur's head in its socket, neck and shaft.
    shaft = [joint, torso.place(side * 118, 4, -328), torso.place(side * 108, 0, -460)]
    head = Blob(joint, (23.0 * torso.across,) * 3)
    canvas.paint(Tissue.CARTILAGE, head.shrunk(1.12).inside, head.centre_mm, head.shrunk(1.12).reach_mm)
    canvas.paint(Tissue.CORTICAL_BONE, *tube(shaft, 15.0))
    canvas.paint(Tissue.CORTICAL_BONE, head.inside, head.centre_mm, head.reach_mm)
    canvas.paint(Tissue.MARROW, *tube(shaft, 9.5))
    canvas.paint(Tissue.MARROW, head.shrunk(0.88).inside, head.centre_mm, head.reach_mm)


def _paint_bone(canvas: Canvas, solid: Blob, over: tuple[Tissue, ...]) -> None:
    inner = solid.shrunk(1 - _CORTEX_MM / min(solid.semi_axes_mm))
    canvas.paint(Tissue.CORTICAL_BONE, solid.inside, solid.centre_mm, solid.reach_mm, over)
    canvas.paint(Tissue.MARROW, inner.inside, inner.centre_mm, inner.reach_mm, (Tissue.CORTICAL_BONE,))
