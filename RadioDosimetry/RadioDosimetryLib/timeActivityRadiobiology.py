"""Biologically effective doses of organs in TimeActivityFit: α/β and repair of organs and lesions, or of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .tissues import LATE_REACTING, SECONDS_PER_HOUR, TUMOUR, Tissue

if TYPE_CHECKING:
    from radiodosimetry.time_activity import FitSet
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology


@dataclass(frozen=True)
class BedOptions:
    """How biologically effective doses are computed.

    Attributes
    ----------
    organs, lesions
        Of organs and of lesions that `file` does not name.
    file
        CSV `region,alpha_beta_gy,repair_half_life_h,effective_half_life_h`; None without.
    """

    organs: Tissue = LATE_REACTING
    lesions: Tissue = TUMOUR
    file: str | None = None


def radiobiologyOf(
    fitSet: FitSet,
    regionsOf: Mapping[str, Sequence[str]],
    targets: Collection[str],
    lesions: Collection[str],
    options: BedOptions,
) -> tuple[dict[str, Radiobiology], list[str]]:
    """Radiobiology of the targets whose own activity was measured, and of those that the table names.

    Parameters
    ----------
    fitSet
        Fits, for the half-lives of the dose rates.
    regionsOf
        Source organ to its regions.
    targets
        What gets a dose.
    lesions
        Those that are lesions.
    options
        α/β, repair, table.

    Returns
    -------
    tuple
        Target to its radiobiology, and warnings. The dose rate of an organ falls with the effective half-life of the
        last phase of its fit; of several regions, with the mean weighted by their time-integrated activity. Organs
        that only others irradiate have no such half-life, and no BED unless the table gives one.

    Raises
    ------
    InputError
        A value is not above zero, or the table cannot be read.
    """
    from pathlib import Path

    from radiodosimetry.organ_dose.organ_names import plain_name
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology, read_radiobiology

    given = {} if options.file is None else read_radiobiology(Path(options.file))
    named = {plain_name(name) for name in given}
    found: dict[str, Radiobiology] = dict(given)
    without, assumed = [], []
    for organ, regions in regionsOf.items():
        if organ not in targets or organ in named:
            continue
        halfLifeS = _effectiveHalfLifeS(fitSet, regions)
        if halfLifeS is None:
            without.append(organ)
            continue
        tissue = options.lesions if organ in lesions else options.organs
        found[organ] = Radiobiology(tissue.alphaBetaGy, tissue.repairHalfLifeHours * SECONDS_PER_HOUR, halfLifeS)
        assumed.append(organ)
    return found, _warnings(options, assumed, without, lesions)


def tissueValues(tissues: Mapping[str, Radiobiology]) -> dict[str, dict[str, float]]:
    """What BED was computed with, for a record."""
    return {
        target: {
            "alpha_beta_gy": tissue.alpha_beta_gy,
            "repair_half_life_h": tissue.repair_half_life_s / SECONDS_PER_HOUR,
            "effective_half_life_h": tissue.effective_half_life_s / SECONDS_PER_HOUR,
        }
        for target, tissue in tissues.items()
    }


def _effectiveHalfLifeS(fitSet: FitSet, regions: Sequence[str]) -> float | None:
    """Of the regions of one organ [s]; None where one of them has none."""
    halfLives = [fitSet[region].effective_half_life_s for region in regions]
    if any(value is None for value in halfLives):
        return None
    weights = [max(fitSet[region].tia_bq_s, 0.0) for region in regions]
    total = sum(weights)
    if total <= 0:
        return None
    return sum(float(value) * weight for value, weight in zip(halfLives, weights, strict=True)) / total


def _warnings(
    options: BedOptions, assumed: Sequence[str], without: Sequence[str], lesions: Collection[str]
) -> list[str]:
    found = []
    kinds = [
        (f"organs α/β {options.organs.alphaBetaGy:g} Gy, repair half-life {options.organs.repairHalfLifeHours:g} h",
         any(organ not in lesions for organ in assumed)),
        (f"lesions α/β {options.lesions.alphaBetaGy:g} Gy, repair half-life {options.lesions.repairHalfLifeHours:g} h",
         any(organ in lesions for organ in assumed)),
    ]  # fmt: skip
    used = [words for words, isUsed in kinds if isUsed]
    if used:
        found.append(
            f"BED assumes for {'; for '.join(used)}, and a dose rate that falls with the effective half-life of the "
            "last phase: nothing of this was measured in this patient's tissue."
        )
    if without:
        found.append(f"No BED of {', '.join(without)}: the fit has no effective half-life.")
    return found
