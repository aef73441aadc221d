"""Effective dose of ICRP 103 from the targets of a stylised adult, with what stands in for tissues it lacks.

Effective dose is a quantity of radiation protection: stochastic risk of a reference population at low doses. For a
therapy it says nothing of effect or side effect of the treatment; the result is flagged then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..errors import InputError
from ..nuclides import Radionuclide
from .mird import ALPHA_RADIATION_WEIGHT, OrganDoseTable
from .organ_names import organ_named

TISSUE_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "red marrow": 0.12,
        "colon": 0.12,
        "lung": 0.12,
        "stomach": 0.12,
        "breast": 0.12,
        "remainder": 0.12,
        "gonads": 0.08,
        "bladder": 0.04,
        "oesophagus": 0.04,
        "liver": 0.04,
        "thyroid": 0.04,
        "bone surface": 0.01,
        "brain": 0.01,
        "salivary glands": 0.01,
        "skin": 0.01,
    }
)
"""Tissue weighting factors w_T; they add up to 1 (ICRP Publication 103, Ann ICRP 37(2-4), 2007, Table 3)."""

ULI_SHARE_OF_COLON = 0.57
"""Mass share of the upper large intestine in the colon, the lower has the rest (ICRP Publication 67, Ann ICRP 23(3-4),
1993)."""

_TARGETS_OF_TISSUE: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "red marrow": {"red_marrow": 1.0},
        "colon": {"uli_wall": ULI_SHARE_OF_COLON, "lli_wall": 1.0 - ULI_SHARE_OF_COLON},
        "lung": {"lungs": 1.0},
        "stomach": {"stomach_wall": 1.0},
        "breast": {"breasts": 1.0},
        "bladder": {"urinary_bladder_wall": 1.0},
        "oesophagus": {"thymus": 1.0},
        "liver": {"liver": 1.0},
        "thyroid": {"thyroid": 1.0},
        "bone surface": {"osteogenic_cells": 1.0},
        "brain": {"brain": 1.0},
        "skin": {"skin": 1.0},
    }
)
"""Targets a tissue's dose is made of; gonads and remainder depend on the sex."""

GONADS: Mapping[str, str] = MappingProxyType({"male": "testes", "female": "ovaries"})

_REMAINDER_OF_BOTH = (
    "adrenals",
    "gallbladder_wall",
    "heart_wall",
    "kidneys",
    "muscle",
    "pancreas",
    "small_intestine",
    "spleen",
    "thymus",
)

REMAINDER_TISSUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"male": _REMAINDER_OF_BOTH, "female": (*_REMAINDER_OF_BOTH, "uterus")}
)
"""Targets whose plain mean is the dose of the remainder tissues; the stylised adults lack the extrathoracic region,
lymphatic nodes, oral mucosa and prostate."""

SURROGATES = (
    "thymus for oesophagus",
    f"{ULI_SHARE_OF_COLON:g} ULI + {1 - ULI_SHARE_OF_COLON:g} LLI wall for colon",
    "osteogenic cells for bone surface",
    "remainder without extrathoracic region, lymphatic nodes, oral mucosa and prostate",
    "salivary glands absent: their weight of 0.01 counts no dose",
)
"""What stands in for tissues that a stylised adult lacks."""

THERAPY_NUCLIDES = frozenset(
    [
        "Ac-225",
        "At-211",
        "Au-198",
        "Bi-212",
        "Bi-213",
        "Cu-67",
        "Dy-165",
        "Er-169",
        "Ho-166",
        "I-131",
        "Lu-177",
        "P-32",
        "Pb-212",
        "Ra-223",
        "Ra-224",
        "Re-186",
        "Re-188",
        "Rh-105",
        "Sc-47",
        "Sm-153",
        "Sn-117m",
        "Sr-89",
        "Tb-149",
        "Tb-161",
        "Th-227",
        "Y-90",
        "Yb-175",
    ]
)
"""Nuclides given to treat; I-131 and a few others also serve diagnosis in small activities."""

THERAPY_DOSE_GY = 0.5
"""Absorbed dose of an organ from which tissue reactions are the matter, whatever the nuclide: the threshold of the most
sensitive ones (ICRP Publication 118, Ann ICRP 41(1/2), 2012)."""


@dataclass(frozen=True)
class EffectiveDose:
    """Effective dose with its shares and what to know about it.

    Attributes
    ----------
    value_sv_per_bq
        Effective dose per administered activity [Sv/Bq].
    value_sv
        The same of the administered activity [Sv]; None if that is not known.
    equivalent_dose_sv_per_bq
        Tissue of `TISSUE_WEIGHTS` to its equivalent dose [Sv/Bq]; salivary glands are absent.
    surrogates
        `SURROGATES`.
    flags
        Why the number must not be used, or with care; empty if there is no reason.
    """

    value_sv_per_bq: float
    value_sv: float | None
    equivalent_dose_sv_per_bq: Mapping[str, float]
    surrogates: tuple[str, ...]
    flags: tuple[str, ...]


def effective_dose(doses: OrganDoseTable, sex: str) -> EffectiveDose:
    """Effective dose of one sex, which stands for the mean of both.

    Parameters
    ----------
    doses
        Organ doses of a stylised adult.
    sex
        "male" or "female": decides on gonads and remainder tissues. ICRP 103 takes the mean of both sexes; see
        `sex_averaged`.

    Raises
    ------
    InputError
        The sex is another word, or the nuclide emits α particles and the S-values do not tell them apart.
    RegionError
        A target that is needed is absent, as it is where the S-values are not those of a stylised adult.

    References
    ----------
    .. [1] ICRP Publication 103, Ann ICRP 37(2-4) (2007), doi:10.1016/j.icrp.2007.10.003.
    """
    if sex not in GONADS:
        raise InputError(f"The sex of an effective dose is '{sex}', expected male or female.")
    equivalent = _equivalent_doses(doses)
    tissues = {
        tissue: sum(share * equivalent[_target(doses, name)] for name, share in parts.items())
        for tissue, parts in _TARGETS_OF_TISSUE.items()
    }
    tissues["gonads"] = equivalent[_target(doses, GONADS[sex])]
    tissues["remainder"] = float(np.mean([equivalent[_target(doses, name)] for name in REMAINDER_TISSUES[sex]]))
    flags = (*_flags(doses), f"Effective dose of an adult {sex} alone; ICRP 103 takes the mean of both sexes.")
    return _weighted(tissues, doses.administered_bq, flags)


def sex_averaged(male: EffectiveDose, female: EffectiveDose) -> EffectiveDose:
    """Effective dose from the equivalent doses of both sexes, as ICRP 103 defines it; both of the same activity."""
    tissues = {
        name: 0.5 * (value + female.equivalent_dose_sv_per_bq[name])
        for name, value in male.equivalent_dose_sv_per_bq.items()
    }
    alone = "ICRP 103 takes the mean of both sexes."
    flags = tuple(flag for flag in dict.fromkeys((*male.flags, *female.flags)) if not flag.endswith(alone))
    of_both = _weighted(tissues, None, flags)
    if male.value_sv is None or female.value_sv is None:
        return of_both
    return replace(of_both, value_sv=0.5 * (male.value_sv + female.value_sv))


def is_therapy_nuclide(nuclide: str) -> bool:
    """Whether a nuclide is given to treat: one of `THERAPY_NUCLIDES` or an emitter of α particles."""
    known = Radionuclide(nuclide)
    return known.name in THERAPY_NUCLIDES or known.energy_per_decay_kev["alphas"] > 0


def _weighted(tissues: Mapping[str, float], administered_bq: float | None, flags: tuple[str, ...]) -> EffectiveDose:
    value = sum(TISSUE_WEIGHTS[tissue] * dose for tissue, dose in tissues.items())
    total = None if administered_bq is None else value * administered_bq
    return EffectiveDose(value, total, MappingProxyType(dict(tissues)), SURROGATES, flags)


def _equivalent_doses(doses: OrganDoseTable) -> dict[str, float]:
    """Equivalent dose of each target [Sv/Bq]."""
    if Radionuclide(doses.nuclide).energy_per_decay_kev["alphas"] > 0:
        values = doses.weighted_dose_gy_per_bq(ALPHA_RADIATION_WEIGHT)
    else:
        values = doses.dose_gy_per_bq
    return dict(zip(doses.targets, map(float, values), strict=True))


def _target(doses: OrganDoseTable, name: str) -> str:
    return organ_named(name, doses.targets, "target of the S-values, needed for the effective dose")


def _flags(doses: OrganDoseTable) -> list[str]:
    """Why this number must not guide a treatment."""
    found = []
    if is_therapy_nuclide(doses.nuclide):
        found.append(
            f"{doses.nuclide} is given for therapy: effective dose is meaningless there; judge by the absorbed doses "
            "of organs and tumours."
        )
    organ_gy = doses.dose_gy
    if organ_gy is not None and organ_gy.max() > THERAPY_DOSE_GY:
        hottest = doses.targets[int(organ_gy.argmax())]
        found.append(
            f"{hottest} gets {organ_gy.max():.3g} Gy, more than {THERAPY_DOSE_GY:g} Gy: effective dose does not hold "
            "where tissue reactions are possible."
        )
    return found
