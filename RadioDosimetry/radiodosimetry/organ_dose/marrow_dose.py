"""Red marrow as a source: its residence time from the blood, or from the marrow seen in an image."""

from __future__ import annotations

import math

from ..errors import InputError
from .residence_times import ResidenceTime

EXTRACELLULAR_FRACTION_OF_MARROW = 0.19
"""Share of the red marrow that blood-borne molecules reach: blood and extracellular fluid (Sgouros, J Nucl Med 34
(1993) 689-694)."""

DEFAULT_HAEMATOCRIT = 0.40
"""Share of cells in the blood where the patient's is not given."""

LUMBAR_MARROW_SHARE = 0.123
"""Share of an adult's red marrow that lies in the five lumbar vertebrae (Cristy, Phys Med Biol 26 (1981) 389;
ICRP Publication 70, Ann ICRP 25(2), 1995)."""

BLOOD_DENSITY_G_PER_ML = 1.06
"""Density of whole blood (ICRP Publication 89, Ann ICRP 32(3-4), 2002)."""


def marrow_to_blood_ratio(haematocrit: float = DEFAULT_HAEMATOCRIT) -> float:
    """Ratio of the activity concentrations of red marrow and blood, for molecules that stay out of cells.

    RMBLR = 0.19 / (1 − haematocrit) [1]_: the activity is in the plasma and in the marrow's extracellular fluid alone.
    Antibodies behave so; for small peptides a ratio of 1 is used instead [2]_.

    Raises
    ------
    InputError
        The haematocrit is not between 0 and 0.8.

    References
    ----------
    .. [1] Sgouros, Bone marrow dosimetry for radioimmunotherapy: theoretical considerations, J Nucl Med 34 (1993)
       689-694.
    .. [2] Hindorf et al., EANM Dosimetry Committee guidelines for bone marrow and whole-body dosimetry, Eur J Nucl Med
       Mol Imaging 37 (2010) 1238-1250, doi:10.1007/s00259-010-1422-4.
    """
    if not 0 <= haematocrit <= 0.8:
        raise InputError(f"The haematocrit must be a share between 0 and 0.8, found {haematocrit:g}.")
    return EXTRACELLULAR_FRACTION_OF_MARROW / (1.0 - haematocrit)


def marrow_residence_time_from_blood(
    blood_s_per_ml: ResidenceTime, marrow_mass_g: float, ratio: float | None = None
) -> ResidenceTime:
    """Residence time of red marrow from that of a millilitre of blood.

    ã_RM = RMBLR · ã_blood · m_RM [1]_, concentrations per gram.

    Parameters
    ----------
    blood_s_per_ml
        Time-integrated activity concentration of whole blood per administered activity [s/mL].
    marrow_mass_g
        Mass of the red marrow the S-values hold for [g]: 1120 g for the adult male. The marrow's dose from itself does
        not depend on it.
    ratio
        Ratio of the concentrations of marrow and blood; `marrow_to_blood_ratio()` if None.

    Raises
    ------
    InputError
        Mass or ratio are not positive.

    References
    ----------
    .. [1] Hindorf et al., Eur J Nucl Med Mol Imaging 37 (2010) 1238-1250, doi:10.1007/s00259-010-1422-4.
    """
    ratio = marrow_to_blood_ratio() if ratio is None else ratio
    _require_positive(marrow_mass_g, "mass of the red marrow [g]")
    _require_positive(ratio, "ratio of marrow to blood")
    factor_ml = ratio * marrow_mass_g / BLOOD_DENSITY_G_PER_ML
    return ResidenceTime(blood_s_per_ml.value_s * factor_ml, blood_s_per_ml.std_s * factor_ml)


def marrow_residence_time_from_image(region: ResidenceTime, marrow_share: float = LUMBAR_MARROW_SHARE) -> ResidenceTime:
    """Residence time of all red marrow from that of a region that holds a known share of it.

    Parameters
    ----------
    region
        Residence time of the region, the five lumbar vertebrae by default. All of its activity counts as the marrow's.
    marrow_share
        Share of the red marrow that lies in the region, above 0 and at most 1.

    Raises
    ------
    InputError
        The share is out of its range.

    References
    ----------
    .. [1] Hindorf et al., Eur J Nucl Med Mol Imaging 37 (2010) 1238-1250, doi:10.1007/s00259-010-1422-4.
    """
    if not 0 < marrow_share <= 1:
        raise InputError(f"The region's share of the red marrow must be above 0 and at most 1, found {marrow_share:g}.")
    return ResidenceTime(region.value_s / marrow_share, region.std_s / marrow_share)


def _require_positive(value: float, what: str) -> None:
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"The {what} must be a number above zero, found {value:g}.")
