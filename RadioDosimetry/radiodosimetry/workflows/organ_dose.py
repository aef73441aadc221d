"""Organ doses from residence times: S-values of the phantom or the user's own, the MIRD sum, and what follows of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..errors import InputError, RegionError
from ..nuclides import Radionuclide
from ..organ_dose.decay_fate import FateMatrix
from ..organ_dose.effective_dose import EffectiveDose, effective_dose
from ..organ_dose.lesions import with_lesions
from ..organ_dose.mird import OrganDoseTable, organ_doses
from ..organ_dose.organ_names import organ_named
from ..organ_dose.residence_times import ResidenceTime
from ..organ_dose.s_value_table import SValueTable
from ..voxel_dose.radiobiology import Radiobiology, biologically_effective_dose_gy
from .s_values import phantom_s_value_table

SEX_OF_PHANTOM = {"adult-male": "male", "adult-female": "female"}


@dataclass(frozen=True, eq=False)
class OrganDoseResult:
    """Organ doses with what was made of them.

    Attributes
    ----------
    doses
        Absorbed doses, their uncertainty and the sources' shares.
    effective
        Effective dose; None without a phantom, and where the user's S-values lack what it needs (the record says).
    bed_gy
        Target to its biologically effective dose [Gy]; None without radiobiology.
    alpha_weight
        Weight of α particles asked for; None if none was.
    """

    doses: OrganDoseTable
    effective: EffectiveDose | None
    bed_gy: Mapping[str, float] | None
    alpha_weight: float | None


def compute_organ_doses(
    residence_times: Mapping[str, ResidenceTime],
    nuclide: Radionuclide | str,
    phantom: str | None,
    organ_masses_g: Mapping[str, float] | None = None,
    administered_bq: float | None = None,
    s_values: SValueTable | None = None,
    alpha_weight: float | None = None,
    radiobiology: Mapping[str, Radiobiology] | None = None,
    fates: FateMatrix | None = None,
    lesion_masses_g: Mapping[str, float] | None = None,
    common_relative_std: float = 0.0,
) -> OrganDoseResult:
    """Organ absorbed doses, effective dose and BED from residence times.

    Parameters
    ----------
    residence_times
        Source organ to its residence time.
    nuclide
        The radionuclide, or its name.
    phantom
        "adult-male" or "adult-female": whose S-values are used, and whose sex decides on the effective dose. May be
        None with `s_values`; no effective dose is computed then.
    organ_masses_g
        The patient's organ masses [g], to scale the phantom's S-values to.
    administered_bq
        Administered activity [Bq], for doses in Gy.
    s_values
        S-values to use in the place of the phantom's.
    alpha_weight
        Weight of α particles (RBE, or w_R) for a weighted dose beside the absorbed one.
    radiobiology
        Target to α/β and half-lives, for BED of its mean dose.
    fates
        Which daughters of a chain leave which organs; in place if None.
    lesion_masses_g
        Regions that are no organs to their masses [g]: spheres with a dose of their own.
    common_relative_std
        See `organ_doses`.

    Raises
    ------
    RegionError
        A source or target that the S-values have not; the text offers the nearest.
    InputError
        Options that contradict each other, or values that cannot be used.
    UnknownNuclideError
        The nuclide is not in the decay dataset.
    """
    table = with_lesions(_s_values(nuclide, phantom, organ_masses_g, s_values, fates), lesion_masses_g or {})
    doses = organ_doses(residence_times, table, administered_bq, common_relative_std)
    if alpha_weight is not None:
        doses.weighted_dose_gy_per_bq(alpha_weight)
    bed = None if radiobiology is None else _bed_gy(doses, radiobiology)
    effective = None
    if phantom is not None:
        try:
            effective = effective_dose(doses, SEX_OF_PHANTOM[phantom])
        except InputError as error:
            if s_values is None:
                raise
            record = doses.record.with_warnings(f"No effective dose with these S-values: {error}")
            doses = replace(doses, record=record)
    return OrganDoseResult(doses, effective, bed, alpha_weight)


def _s_values(
    nuclide: Radionuclide | str,
    phantom: str | None,
    organ_masses_g: Mapping[str, float] | None,
    given: SValueTable | None,
    fates: FateMatrix | None,
) -> SValueTable:
    name = nuclide.name if isinstance(nuclide, Radionuclide) else Radionuclide(nuclide).name
    if given is None:
        if phantom is None:
            raise InputError("Neither a phantom nor S-values are given; name adult-male or adult-female.")
        return phantom_s_value_table(name, phantom, organ_masses_g, fates)
    if fates is not None:
        raise InputError("Fates of daughters are part of the S-values given; compute those with the fates.")
    if organ_masses_g is not None:
        raise InputError(
            "Organ masses scale the S-values of a phantom, but S-values were given; scale those beforehand, or leave "
            "the masses out."
        )
    if given.nuclide != name:
        raise InputError(f"The S-values are for {given.nuclide}, the residence times for {name}; give matching ones.")
    return given


def _bed_gy(doses: OrganDoseTable, radiobiology: Mapping[str, Radiobiology]) -> dict[str, float]:
    """BED of the targets that have radiobiology [Gy], from their mean dose."""
    dose_gy = doses.dose_gy
    if dose_gy is None:
        raise InputError("BED needs absorbed doses in Gy; give the administered activity.")
    found: dict[str, float] = {}
    for written, tissue in radiobiology.items():
        name = organ_named(written, doses.targets, "target of the S-values that BED is asked for")
        if name in found:
            raise RegionError(f"Radiobiology of {name} is given twice; keep one row of it.")
        found[name] = float(biologically_effective_dose_gy(dose_gy[doses.targets.index(name)], tissue))
    return found
