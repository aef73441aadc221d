"""Lesions of the parametric torso: in the liver, in bone, in and beside the lungs, in soft tissue."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .canvas import Blob, Canvas
from .parametric_torso import Tissue

LARGEST_COUNT = 12
"""Of lesions in one patient: they are drawn, painted and named one by one."""

_MEDIAN_DIAMETER_MM, _LOG_SPREAD, _DIAMETERS_MM = 24.0, 0.45, (10.0, 70.0)
"""An assumption: most lesions that are treated and can be measured are some 1 to 5 cm large."""

SITES: dict[str, tuple[float, tuple[Tissue, ...], float]] = {
    # site: mean number, tissues a lesion's middle lies in, factor of the diameter
    "liver": (1.7, (Tissue.LIVER,), 1.2),
    "bone": (1.2, (Tissue.MARROW, Tissue.SPONGY_SURFACE), 0.85),
    "lung": (0.7, (Tissue.LEFT_LUNG, Tissue.RIGHT_LUNG), 0.8),
    "soft tissue": (1.2, (Tissue.VISCERAL_FAT, Tissue.MEDIASTINUM, Tissue.PANCREAS), 0.9),
}
"""Where lesions are, by Poisson numbers (an assumption), and one more in the liver of every patient."""

_NEVER_COVERED = (Tissue.AIR, Tissue.COUCH, Tissue.HEART_CONTENTS, Tissue.LEFT_KIDNEY, Tissue.RIGHT_KIDNEY)


@dataclass(frozen=True)
class Lesion:
    """One lesion.

    Attributes
    ----------
    name
        lesion_1, lesion_2, ...
    site
        "liver", "bone", "lung" or "soft tissue".
    ct_number_hu
        Mean CT number [HU].
    """

    name: str
    site: str
    ct_number_hu: float


def paint_lesions(canvas: Canvas, rng: np.random.Generator) -> list[Lesion]:
    """Paint lesions as tissues `FIRST_LESION` and on, largest first, and say what they are."""
    drawn = [
        (site, _diameter_mm(rng, factor)) for site, (mean, _, factor) in SITES.items() for _ in range(rng.poisson(mean))
    ]
    drawn.append(("liver", _diameter_mm(rng, SITES["liver"][2])))
    # A patient's list of drawn lesions is cut, and painted, by size: small ones are not swallowed.
    drawn = sorted(drawn, key=lambda row: -row[1])[:LARGEST_COUNT]
    lesions: list[Lesion] = []
    for site, diameter_mm in drawn:
        code = Tissue.FIRST_LESION + len(lesions)
        if _paint_one(canvas, int(code), site, diameter_mm, rng):
            lesions.append(Lesion(f"lesion_{len(lesions) + 1}", site, _ct_number_hu(rng, site)))
    return lesions


def _diameter_mm(rng: np.random.Generator, factor: float) -> float:
    return float(np.clip(factor * _MEDIAN_DIAMETER_MM * math.exp(_LOG_SPREAD * rng.standard_normal()), *_DIAMETERS_MM))


def _paint_one(canvas: Canvas, code: int, site: str, diameter_mm: float, rng: np.random.Generator) -> bool:
    """One lesion around a random voxel of its tissue; whether any voxel took it."""
    host = np.isin(canvas.index_kji, SITES[site][1])
    positions = np.flatnonzero(host)
    place, lobes = rng.random(), rng.standard_normal((3, 3))
    stretch = np.exp(0.15 * rng.standard_normal(3))
    if not positions.size:
        return False
    k, j, i = np.unravel_index(int(positions[int(place * positions.size)]), host.shape)
    centre = np.array([axis[k, j, i] for axis in (canvas.x_mm, canvas.y_mm, canvas.z_mm)], dtype=np.float64)
    semi = diameter_mm / 2 * stretch / np.prod(stretch) ** (1 / 3)
    nodules = [Blob((centre[0], centre[1], centre[2]), (semi[0], semi[1], semi[2]))]
    if diameter_mm > 25:  # larger ones are lobulated
        for lobe in lobes[:2]:
            away = centre + 0.45 * diameter_mm / 2 * lobe / max(float(np.linalg.norm(lobe)), 1e-6)
            nodules.append(Blob((away[0], away[1], away[2]), (0.33 * diameter_mm,) * 3))
    over = tuple(int(t) for t in Tissue if t not in _NEVER_COVERED and t != Tissue.FIRST_LESION)
    reach = (diameter_mm,) * 3
    before = int(np.count_nonzero(canvas.index_kji == code))
    for nodule in nodules:
        canvas.paint(code, nodule.inside, nodule.centre_mm, reach, over)
    painted: NDArray[np.bool_] = canvas.index_kji == code
    return int(np.count_nonzero(painted)) > before


def _ct_number_hu(rng: np.random.Generator, site: str) -> float:
    """Lesions of the liver are a little darker than it, those of bone dense or dissolved."""
    normal = float(rng.standard_normal())
    sclerotic = rng.random() < 0.6
    if site == "bone":
        return 480.0 + 120.0 * normal if sclerotic else 70.0 + 25.0 * normal
    return {"liver": 42.0, "lung": 30.0}.get(site, 38.0) + 10.0 * normal
