"""Biologically effective and equivalent uniform doses of VoxelDose's regions: what is assumed of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .tissues import LATE_REACTING, SECONDS_PER_HOUR, TUMOUR, Tissue

if TYPE_CHECKING:
    from radiodosimetry.voxel_dose.radiobiology import Radiobiology


@dataclass(frozen=True)
class BiologySettings:
    """How biological effect is computed.

    Attributes
    ----------
    organs, lesions
        Of regions that `file` does not name.
    effectiveHalfLifeHours
        Half-life of the dose rate in those regions [h]; the nuclide's physical half-life if None.
    alphaPerGy
        Radiosensitivity α of those regions, for the EUD [1/Gy]; the core's assumption if None.
    file
        CSV with the columns of `radiodosimetry.voxel_dose.radiobiology.RADIOBIOLOGY_COLUMNS` and, if known,
        `alpha_per_gy`; empty without.
    """

    organs: Tissue = LATE_REACTING
    lesions: Tissue = TUMOUR
    effectiveHalfLifeHours: float | None = None
    alphaPerGy: float | None = None
    file: str = ""


def radiobiologyOf(
    regions: Sequence[str], nuclide: str, settings: BiologySettings, isLesion: Callable[[str], bool]
) -> tuple[dict[str, Radiobiology], list[str]]:
    """Radiobiology of each region, and what the record must say about it.

    Parameters
    ----------
    regions
        Names of the regions.
    nuclide
        Whose physical half-life is taken where no effective one is given.
    settings
        What was chosen.
    isLesion
        Whether a region is a lesion by its name.

    Raises
    ------
    InputError
        A value is not above zero, or the table cannot be read.
    """
    from pathlib import Path

    from radiodosimetry.nuclides import Radionuclide
    from radiodosimetry.voxel_dose.radiobiology import DEFAULT_ALPHA_PER_GY, Radiobiology, read_radiobiology

    given = read_radiobiology(Path(settings.file)) if settings.file else {}
    hours = settings.effectiveHalfLifeHours
    halfLifeS = Radionuclide(nuclide).half_life_s if hours is None else hours * SECONDS_PER_HOUR
    alpha = DEFAULT_ALPHA_PER_GY if settings.alphaPerGy is None else settings.alphaPerGy
    found = {name: given[name] for name in regions if name in given}
    others = [name for name in regions if name not in given]
    for name in others:
        tissue = settings.lesions if isLesion(name) else settings.organs
        found[name] = Radiobiology(
            tissue.alphaBetaGy,
            tissue.repairHalfLifeHours * SECONDS_PER_HOUR,
            halfLifeS,
            alpha,
            settings.alphaPerGy is None,
        )
    return found, _warnings(given, others, regions, nuclide, settings, isLesion)


def _warnings(
    given: dict[str, Radiobiology],
    others: Sequence[str],
    regions: Sequence[str],
    nuclide: str,
    settings: BiologySettings,
    isLesion: Callable[[str], bool],
) -> list[str]:
    found = []
    kinds = (("organs", settings.organs, False), ("lesions", settings.lesions, True))
    used = [f"{kind} {tissue}" for kind, tissue, wanted in kinds if any(isLesion(n) is wanted for n in others)]
    if used:
        found.append(f"BED takes for {'; for '.join(used)}: nothing of this was measured in this patient's tissue.")
    if others and settings.effectiveHalfLifeHours is None:
        found.append(
            f"BED takes the physical half-life of {nuclide} for the dose rate, since no effective one is given; with "
            "clearance it is shorter, and BED higher."
        )
    unknown = [name for name in given if name not in regions]
    if unknown:
        found.append(f"No chosen region is named {', '.join(unknown)}: that radiobiology is not used.")
    return found
