"""Sizes of one virtual patient: sex, height, mass, organ volumes, drawn around those of reference adults.

Volumes are log-normal with the means of the reference adults of ICRP Publication 89 and the relative spreads of adult
autopsies. What neither source gives is said to be an assumption where it stands.

References
----------
.. [1] ICRP Publication 89, Basic anatomical and physiological data for use in radiological protection, Ann ICRP 32
   (2002): masses of the adult male and female.
.. [2] de la Grandmaison, Clairand and Durigon, Organ weight in 684 adult autopsies, Forensic Sci Int 119 (2001)
   149-154, doi:10.1016/s0379-0738(00)00401-1: spread of organ masses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .patient import SEXES

ORGAN_VOLUMES_ML: Mapping[str, tuple[float, float, float]] = {
    # name: male, female [mL, taken as the mass in g / 1.04 to two digits], relative standard deviation
    "liver": (1730.0, 1350.0, 0.24),
    "spleen": (145.0, 125.0, 0.40),
    "left_kidney": (149.0, 132.0, 0.22),
    "right_kidney": (149.0, 132.0, 0.22),
    "heart": (790.0, 580.0, 0.20),
    "pancreas": (135.0, 115.0, 0.27),
    "thyroid": (19.0, 16.0, 0.35),
    "stomach": (390.0, 360.0, 0.35),
    "urinary_bladder_contents": (200.0, 200.0, 0.55),
    "gallbladder_contents": (40.0, 35.0, 0.45),
}
"""Mean volume of the adult male and female [1] and relative spread.

Liver, kidneys, heart and pancreas spread as in [2]. There the spleen spreads by some 0.55, autopsies of large spleens
among them; 0.40 is taken. Filling of stomach, bladder and gallbladder, and its spread, is an assumption.
"""

HEART_CONTENTS_SHARE = 0.6
"""Blood within the heart by the volume of heart and blood (ICRP 89: 510 g of 840 g in the male, 370 of 620)."""

_HEIGHT_MM = {"male": (1760.0, 65.0), "female": (1630.0, 60.0)}
"""Mean of the reference adult (ICRP 89) and standard deviation (an assumption of usual size) [mm]."""

_BODY_MASS_INDEX = (25.5, 0.16)
"""Median [kg/m²] and standard deviation of the logarithm: an assumption that puts 95 % between 18.6 and 35."""

_ARMS_DOWN_PROBABILITY = 0.3
_COUCH_PROBABILITY = 0.5


@dataclass(frozen=True)
class BodyPlan:
    """What is drawn of a patient before anything is painted.

    Attributes
    ----------
    sex
        "female" or "male".
    height_mm, body_mass_kg
        Height [mm] and mass [kg] of the whole body.
    frame, length
        Size of the skeleton across and along the body, relative to a male of 1.76 m.
    fat_mm
        Thickness of subcutaneous fat at the side [mm]; four fifths of it in front, half behind.
    girth_mm
        By how much the abdomen is wider than the frame says (visceral fat) [mm].
    organ_volumes_ml
        Volume of each organ of `ORGAN_VOLUMES_ML` [mL].
    arms_down, couch
        Whether arms and couch are in the image.
    marrow_hu, lung_hu
        Mean CT numbers of spongiosa (falls with age) and of lung (rises when it is exhaled) [HU].
    """

    sex: str
    height_mm: float
    body_mass_kg: float
    frame: float
    length: float
    fat_mm: float
    girth_mm: float
    organ_volumes_ml: Mapping[str, float]
    arms_down: bool
    couch: bool
    marrow_hu: float
    lung_hu: float


def draw_body_plan(rng: np.random.Generator, sex: str | None = None) -> BodyPlan:
    """Sizes of one patient.

    Parameters
    ----------
    rng
        Source of randomness; the same draws are taken whatever `sex` is.
    sex
        "female" or "male"; drawn if None.

    Raises
    ------
    InputError
        The sex is neither.
    """
    drawn = SEXES[int(rng.random() < 0.5)]
    chosen = drawn if sex is None else sex
    if chosen not in SEXES:
        raise InputError(f"Sex must be one of {', '.join(SEXES)} or None (drawn), found '{sex}'.")
    mean_mm, spread_mm = _HEIGHT_MM[chosen]
    height_mm = mean_mm + spread_mm * float(np.clip(rng.standard_normal(), -2.5, 2.5))
    mass_index = _BODY_MASS_INDEX[0] * math.exp(_BODY_MASS_INDEX[1] * float(np.clip(rng.standard_normal(), -2.2, 2.2)))
    stature = height_mm / _HEIGHT_MM["male"][0]
    return BodyPlan(
        sex=chosen,
        height_mm=height_mm,
        body_mass_kg=mass_index * (height_mm * 1e-3) ** 2,
        frame=stature**0.7 * math.exp(0.03 * rng.standard_normal()),
        length=stature * math.exp(0.02 * rng.standard_normal()),
        fat_mm=float(np.clip((10.0 if chosen == "male" else 15.0) + 1.7 * (mass_index - 24.0), 4.0, 50.0)),
        girth_mm=float(np.clip((1.5 if chosen == "male" else 1.0) * (mass_index - 24.0), -6.0, 30.0)),
        organ_volumes_ml=_draw_volumes_ml(rng, chosen, stature),
        arms_down=bool(rng.random() < _ARMS_DOWN_PROBABILITY),
        couch=bool(rng.random() < _COUCH_PROBABILITY),
        marrow_hu=float(np.clip(rng.normal(165.0, 40.0), 70.0, 280.0)),
        lung_hu=float(rng.uniform(-860.0, -700.0)),
    )


def _draw_volumes_ml(rng: np.random.Generator, sex: str, stature: float) -> dict[str, float]:
    """Log-normal organ volumes, larger in taller patients; the kidneys of one patient resemble each other."""
    column = 0 if sex == "male" else 1
    tallness = stature * _HEIGHT_MM["male"][0] / _HEIGHT_MM[sex][0]
    shared = rng.standard_normal()
    volumes_ml: dict[str, float] = {}
    for name, row in ORGAN_VOLUMES_ML.items():
        log_spread = math.sqrt(math.log1p(row[2] ** 2))
        own = rng.standard_normal()
        deviation = 0.9 * shared + math.sqrt(1 - 0.9**2) * own if name.endswith("kidney") else own
        median_ml = row[column] * math.exp(-(log_spread**2) / 2)
        volumes_ml[name] = median_ml * tallness * math.exp(log_spread * float(np.clip(deviation, -2.5, 2.5)))
    return volumes_ml
