"""Anatomies of virtual patients: a torso by formula, or the user's own CT with a label map; and copies deformed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import InputError
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity
from .body_plan import BodyPlan, draw_body_plan
from .canvas import Canvas, Distortion
from .ct_numbers import paint_ct
from .deformation import deformed
from .labelled_ct import anatomy_from_labels
from .parametric_lesions import Lesion, paint_lesions
from .parametric_skeleton import paint_skeleton
from .parametric_torso import Tissue, Torso
from .patient import LESION_PREFIX, REMAINDER, Anatomy

__all__ = [
    "LESION_PREFIX",
    "REMAINDER",
    "REGION_OF_TISSUE",
    "Anatomy",
    "anatomy_from_labels",
    "deformed",
    "parametric_anatomy",
]

FIELD_OF_VIEW_MM = (512.0, 384.0, 672.0)
"""Width, depth and length of the default grid: from the hips to the neck [mm]."""

MIDDLE_Z_MM = 6.0
"""Height of the middle of a grid over the upper end of the first lumbar vertebra [mm]."""

_DISTORTION_MM = 3.5
"""Root mean square by which organs are bent along each axis [mm]."""

REGION_OF_TISSUE: Mapping[Tissue, str] = {
    Tissue.LEFT_LUNG: "left_lung",
    Tissue.RIGHT_LUNG: "right_lung",
    Tissue.HEART_WALL: "heart_wall",
    Tissue.HEART_CONTENTS: "heart_contents",
    Tissue.VESSEL: "blood_vessels",
    Tissue.LIVER: "liver",
    Tissue.GALLBLADDER: "gallbladder_contents",
    Tissue.SPLEEN: "spleen",
    Tissue.STOMACH_WALL: "stomach",
    Tissue.STOMACH_CONTENTS: "stomach",
    Tissue.SMALL_INTESTINE: "small_intestine",
    Tissue.COLON_WALL: "colon",
    Tissue.COLON_CONTENTS: "colon",
    Tissue.LEFT_KIDNEY: "left_kidney",
    Tissue.RIGHT_KIDNEY: "right_kidney",
    Tissue.PANCREAS: "pancreas",
    Tissue.ADRENALS: "adrenals",
    Tissue.BLADDER_CONTENTS: "urinary_bladder_contents",
    Tissue.THYROID: "thyroid",
    Tissue.CORTICAL_BONE: "cortical_bone",
    Tissue.SPONGY_SURFACE: "cortical_bone",
    Tissue.MARROW: "red_marrow",
}
"""Region of each tissue; the rest of the body is the remainder. Gas of the bowel belongs to the remainder."""

_REGIONS = tuple(dict.fromkeys(REGION_OF_TISSUE.values()))


def parametric_anatomy(
    seed: int,
    *,
    sex: str | None = None,
    spacing_mm: tuple[float, float, float] = (4.0, 4.0, 4.0),
    shape_kji: tuple[int, int, int] | None = None,
    middle_z_mm: float = MIDDLE_Z_MM,
) -> Anatomy:
    """An adult's torso by formula: every seed another patient, the same one on every grid.

    Sex, height, mass, organ volumes and places, filling of the hollow organs, lesions, arms, couch, CT numbers and
    noise are drawn. Noise and texture belong to the grid, all else to the seed.

    Parameters
    ----------
    seed
        Whole number not below zero.
    sex
        "female" or "male"; drawn if None.
    spacing_mm
        Voxel size along x, y, z [mm].
    shape_kji
        Number of voxels; what covers `FIELD_OF_VIEW_MM` if None. What lies outside of the grid is cut off.
    middle_z_mm
        Height of the middle of the grid over the upper end of L1, before scaling by stature [mm]: 0 shows the abdomen,
        150 the chest.

    Returns
    -------
    Anatomy
        Source "torso:<seed>". The record holds height, mass and where the lesions are.

    Raises
    ------
    InputError
        Sex, seed, voxel size or shape cannot be used.
    """
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"The seed of a virtual patient must be a whole number from 0, found {seed!r}.")
    grid = _grid(spacing_mm, shape_kji, middle_z_mm)
    # One stream for each purpose: the sex or the grid asked for never changes what else is drawn.
    sizes, places, lesion_draws, image = (np.random.default_rng(s) for s in np.random.SeedSequence(int(seed)).spawn(4))
    plan = draw_body_plan(sizes, sex)
    canvas = Canvas(grid, Distortion.draw(places, _DISTORTION_MM))
    torso = Torso(plan, places)
    torso.paint_body(canvas)
    torso.paint_viscera(canvas)
    paint_skeleton(canvas, torso)
    lesions = paint_lesions(canvas, lesion_draws)
    if plan.couch:
        _paint_couch(canvas, plan)
    overrides_hu = _drawn_ct_numbers_hu(plan, lesions)
    record = _record(int(seed), plan, lesions)
    ct_kji = paint_ct(canvas.index_kji, grid, overrides_hu, image)
    ct = QuantitativeVolume(ct_kji, grid, Quantity.CT_NUMBER, None, record)
    return Anatomy(ct, _labels(canvas, lesions, record), f"torso:{int(seed)}", plan.sex, record)


def _grid(
    spacing_mm: tuple[float, float, float], shape_kji: tuple[int, int, int] | None, middle_z_mm: float
) -> VolumeGeometry:
    """A grid whose middle is the middle of the body across and `middle_z_mm` along it."""
    # A geometry refuses spacings and shapes that cannot be.
    checked = VolumeGeometry(shape_kji or (1, 1, 1), spacing_mm)
    if shape_kji is None:
        counts = [
            max(1, round(extent / step)) for extent, step in zip(FIELD_OF_VIEW_MM, checked.spacing_mm, strict=True)
        ]
    else:
        counts = list(checked.shape_kji[::-1])
    x_mm, y_mm, z_mm = (-(count - 1) / 2 * step for count, step in zip(counts, checked.spacing_mm, strict=True))
    return VolumeGeometry((counts[2], counts[1], counts[0]), checked.spacing_mm, (x_mm, y_mm, z_mm + middle_z_mm))


def _drawn_ct_numbers_hu(plan: BodyPlan, lesions: list[Lesion]) -> dict[int, float]:
    own = {
        int(Tissue.LEFT_LUNG): plan.lung_hu,
        int(Tissue.RIGHT_LUNG): plan.lung_hu,
        int(Tissue.MARROW): plan.marrow_hu,
    }
    return own | {int(Tissue.FIRST_LESION) + n: lesion.ct_number_hu for n, lesion in enumerate(lesions)}


def _paint_couch(canvas: Canvas, plan: BodyPlan) -> None:
    """A hollow shell under the patient's back."""
    top_mm = 112.0 * plan.frame + 0.5 * plan.fat_mm + 8.0

    def shell(x, y, z):  # type: ignore[no-untyped-def]
        sag = np.float32(top_mm) - 18.0 * (x / 200.0) ** 2
        return (y > sag) & (y < sag + 16) & (np.abs(x) < 205)

    canvas.paint(Tissue.COUCH, shell, (0.0, top_mm, 0.0), (210.0, 45.0, 1e4), (Tissue.AIR,))


def _labels(canvas: Canvas, lesions: list[Lesion], record: Record) -> LabelMap:
    """Regions 1, 2, ... in a fixed order, then lesions, the remainder last; only what the grid shows."""
    names = [*_REGIONS, *(lesion.name for lesion in lesions), REMAINDER]
    number = {name: label for label, name in enumerate(names, start=1)}
    label_of_tissue = np.full(256, number[REMAINDER], dtype=np.int32)
    label_of_tissue[[Tissue.AIR, Tissue.COUCH]] = 0
    for tissue, name in REGION_OF_TISSUE.items():
        label_of_tissue[tissue] = number[name]
    for n, lesion in enumerate(lesions):
        label_of_tissue[Tissue.FIRST_LESION + n] = number[lesion.name]
    labels_kji = label_of_tissue[canvas.index_kji]
    present = set(np.unique(labels_kji).tolist())
    kept = {label: name for name, label in number.items() if label in present}
    return LabelMap(labels_kji, canvas.grid, kept, record)


def _record(seed: int, plan: BodyPlan, lesions: list[Lesion]) -> Record:
    return Record(
        "parametric torso",
        parameters={
            "height_mm": round(plan.height_mm, 1),
            "body_mass_kg": round(plan.body_mass_kg, 2),
            "arms_down": plan.arms_down,
            "couch": plan.couch,
            "organ_volumes_drawn_ml": {name: round(value, 2) for name, value in plan.organ_volumes_ml.items()},
            "lesion_sites": {lesion.name: lesion.site for lesion in lesions},
        },
        inputs={"generator": f"parametric torso, seed {seed}"},
        seed=seed,
    )
