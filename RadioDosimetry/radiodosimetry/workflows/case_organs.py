"""From the regions of a case to the source organs of an S-value table: names, parts of one organ, lesions, masses."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..images.regions import Region
from ..organ_dose.csv_rows import number_of, rows_of_csv
from ..organ_dose.organ_names import REMAINDER, organ_named, plain_name
from ..organ_dose.residence_times import ResidenceTime
from ..organ_dose.s_value_table import SValueTable
from ..time_activity.fit_files import FitSet
from .case_settings import Case
from .s_values import phantom_s_value_table
from .theranostics import residence_times_of_fits

MASS_COLUMNS = ("region", "volume_ml", "mass_g")
"""Columns of the table of masses."""

UNLIKE_MASS = 0.15
"""Share by which an organ's mass may differ from that of the S-values before a warning says so."""

_SIDES = re.compile(r"^(left|right|l|r)_|_(left|right|l|r)$")
_PLURALS = {"kidney": "kidneys", "lung": "lungs", "adrenal": "adrenals", "breast": "breasts"}


@dataclass(frozen=True)
class OrganSources:
    """What the MIRD sum needs of a case.

    Attributes
    ----------
    residence_times
        Source organ or lesion to its residence time.
    organ_masses_g
        The patient's organ masses [g]; empty unless asked for.
    lesion_masses_g
        Lesions' masses [g].
    regions_of_organs
        Source to the regions it is made of.
    warnings
        What a record must say.
    """

    residence_times: Mapping[str, ResidenceTime]
    organ_masses_g: Mapping[str, float]
    lesion_masses_g: Mapping[str, float]
    regions_of_organs: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...]


def region_masses_csv(regions: Sequence[Region], density_kji: NDArray[np.floating], voxel_volume_ml: float) -> str:
    """Volume and mass of each region as CSV with the columns `MASS_COLUMNS`.

    Parameters
    ----------
    regions
        Masks (k, j, i).
    density_kji
        Density [g/cm³] on the same grid.
    voxel_volume_ml
        Volume of a voxel [mL].
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(MASS_COLUMNS)
    for region in regions:
        mass_g = float(density_kji[region.mask_kji].sum(dtype=np.float64)) * voxel_volume_ml
        writer.writerow((region.name, f"{region.voxel_count * voxel_volume_ml:.7g}", f"{mass_g:.7g}"))
    return stream.getvalue()


def read_region_masses_g(path: Path) -> dict[str, float]:
    """Region to its mass [g], from the table of `region_masses_csv`."""
    return {row["region"]: number_of(row["mass_g"], where, "mass_g") for where, row in _rows(path)}


def _rows(path: Path) -> list[tuple[str, dict[str, str]]]:
    return [(where, dict(row)) for where, row in rows_of_csv(path, "table of masses", MASS_COLUMNS)]


def organ_sources(
    case: Case, fits: FitSet, masses_g: Mapping[str, float], s_values: SValueTable | None
) -> OrganSources:
    """Residence times by source organ and lesion.

    Parameters
    ----------
    case
        Its `[organ_dose]` names organs and lesions; regions it does not name go by their own name, left and right
        together, unless a region of the whole organ is there.
    fits
        Fits of the regions with the administered activity.
    masses_g
        Region to its mass [g].
    s_values
        S-values in the place of the phantom's.

    Raises
    ------
    RegionError
        A region or organ of `[organ_dose]` is unknown.
    InputError
        No region is a source organ.
    """
    asked = case.organ_dose
    times, warnings = residence_times_of_fits(fits, case.nuclide)
    for name in (*asked.organs, *asked.lesions):
        if name not in times:
            raise RegionError(f"[organ_dose] names {name}, which has no curve; the curves are of {', '.join(times)}.")
    table = s_values if s_values is not None else phantom_s_value_table(case.nuclide, asked.phantom or "", None)
    known = {*table.sources, REMAINDER}
    organs: dict[str, tuple[str, ...]] = {}
    for region, organ in asked.organs.items():
        organs[organ] = (*organs.get(organ, ()), region)
    if not asked.organs:
        organs = _by_name([region for region in times if region not in asked.lesions], known)
    taken = {region for parts in organs.values() for region in parts} | set(asked.lesions)
    taken |= _parts_of(taken, case)
    left_out = [region for region in times if region not in taken]
    if left_out:
        warnings.append(
            f"Regions that are neither organs of the S-values nor lesions give no organ dose: {', '.join(left_out)}."
        )
    if not organs and not asked.lesions:
        raise InputError(
            f"None of the regions {', '.join(times)} is a source organ; name their organs in [organ_dose.organs]."
        )
    together = {organ: parts for organ, parts in organs.items() if len(parts) > 1}
    if together:
        said = "; ".join(f"{organ} = {' + '.join(parts)}" for organ, parts in together.items())
        warnings.append(f"Residence times of parts were added, their uncertainties linearly: {said}.")
    found = {
        organ: ResidenceTime(sum(times[part].value_s for part in parts), sum(times[part].std_s for part in parts))
        for organ, parts in organs.items()
    }
    found |= {lesion: times[lesion] for lesion in asked.lesions}
    patient = {}
    if asked.patient_masses:
        weighed = {organ: parts for organ, parts in organs.items() if all(part in masses_g for part in parts)}
        patient = {organ: sum(masses_g[part] for part in parts) for organ, parts in weighed.items()}
    else:
        warnings += _unlike_masses(organs, masses_g, table)
    lesions = {lesion: masses_g[lesion] for lesion in asked.lesions}
    made_of = {**organs, **{lesion: (lesion,) for lesion in asked.lesions}}
    return OrganSources(found, patient, lesions, made_of, tuple(warnings))


def _unlike_masses(
    organs: Mapping[str, tuple[str, ...]], masses_g: Mapping[str, float], table: SValueTable
) -> list[str]:
    """Organs whose mass in the CT is far from that of the S-values, to which their self-dose is inversely bound."""
    unlike = []
    for organ, parts in organs.items():
        if organ in table.source_masses_g and all(part in masses_g for part in parts):
            own_g, other_g = sum(masses_g[part] for part in parts), table.source_masses_g[organ]
            if abs(own_g / other_g - 1) > UNLIKE_MASS:
                unlike.append(f"{organ} {own_g:.0f} g in the CT, {other_g:.0f} g in the S-values")
    if not unlike:
        return []
    return [f"Organ doses are not scaled to the patient's masses (patient_masses = true does): {'; '.join(unlike)}."]


def _parts_of(regions: Collection[str], case: Case) -> set[str]:
    """Labels that expressions have made these regions of: they are in them already."""
    expressions = case.regions.expressions
    used = [expressions[region] for region in regions if region in expressions]
    return {part.strip() for expression in used for part in expression.split("+")}


def _by_name(regions: Sequence[str], known: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Source organs that the regions' names mean; halves only where the whole is absent."""
    wholes: dict[str, tuple[str, ...]] = {}
    halves: dict[str, list[str]] = {}
    for region in regions:
        plain = plain_name(region)
        organ = _organ(plain, known)
        if organ is not None:
            wholes.setdefault(organ, (region,))
            continue
        single = _SIDES.sub("", plain)
        organ = _organ(_PLURALS.get(single, single), known)
        if organ is not None:
            halves.setdefault(organ, []).append(region)
    return {**{organ: tuple(parts) for organ, parts in halves.items() if organ not in wholes}, **wholes}


def _organ(name: str, known: Collection[str]) -> str | None:
    try:
        return organ_named(name, known, "source organ")
    except RegionError:
        return None
