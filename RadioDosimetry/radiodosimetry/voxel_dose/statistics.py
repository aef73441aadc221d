"""What a dose map says about each region: mass, mean, spread, dose-volume figures, effect and uncertainty."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, RegionError
from ..images.volume import QuantitativeVolume
from .dose_volume import dose_to_hottest_percent_gy
from .radiobiology import Radiobiology, biologically_effective_dose_gy, equivalent_uniform_dose_gy
from .region_values import region_values, require_shape, values_inside

if TYPE_CHECKING:
    from ..images.regions import Region

HOTTEST_PERCENT = (98, 90, 70, 50, 30, 10, 2)
"""The x of the D_x of a region table, in the order of its columns."""

TABLE_COLUMNS = (
    "region",
    "volume_ml",
    "mass_g",
    "mean_gy",
    "std_gy",
    "min_gy",
    *(f"d{percent}_gy" for percent in HOTTEST_PERCENT),
    "max_gy",
    "mean_uncertainty_percent",
)
"""Columns of a region table."""

RADIOBIOLOGY_TABLE_COLUMNS = ("eud_gy", "bed_gy")
"""Columns that radiobiology adds."""


@dataclass(frozen=True)
class RegionDose:
    """Dose statistics of one region; the names of the attributes are the columns of the table.

    Attributes
    ----------
    region
        Name of the region.
    volume_ml
        Volume [mL].
    mass_g
        Mass [g], None where no density was given.
    mean_gy, std_gy
        Mean and standard deviation over the voxels, weighted by voxel mass (by volume where no density was given) [Gy].
    min_gy, max_gy
        Lowest and highest voxel dose [Gy].
    d98_gy, d90_gy, d70_gy, d50_gy, d30_gy, d10_gy, d2_gy
        D_x, the least dose to the hottest x % of the volume [Gy].
    mean_uncertainty_percent
        Standard uncertainty (1 σ) of `mean_gy` that the method states, in percent of it; None where it states none.
    eud_gy, bed_gy
        Equivalent uniform dose, and mean over the voxels (by mass) of their biologically effective dose [Gy]; None
        without radiobiology.
    """

    region: str
    volume_ml: float
    mass_g: float | None
    mean_gy: float
    std_gy: float
    min_gy: float
    d98_gy: float
    d90_gy: float
    d70_gy: float
    d50_gy: float
    d30_gy: float
    d10_gy: float
    d2_gy: float
    max_gy: float
    mean_uncertainty_percent: float | None = None
    eud_gy: float | None = None
    bed_gy: float | None = None


def region_statistics(
    dose: QuantitativeVolume,
    density_kji: NDArray[np.floating] | None,
    regions: Sequence[Region],
    uncertainty: Mapping[str, float] | None = None,
    radiobiology: Mapping[str, Radiobiology] | None = None,
) -> list[RegionDose]:
    """Dose statistics of each region.

    Parameters
    ----------
    dose
        Absorbed dose [Gy], array (k, j, i).
    density_kji
        Mass density [g/cm³] on the same grid. None: masses are unknown and the means are by volume.
    regions
        Regions on the same grid; they may overlap.
    uncertainty
        Name of each region to the relative standard uncertainty (1 σ) of its mean dose, as Monte Carlo and networks
        state it; regions that are absent get none.
    radiobiology
        Name of each region to its radiobiology; regions that are absent get no EUD and BED.

    Returns
    -------
    list of RegionDose
        In the order of `regions`.

    Raises
    ------
    UnitError
        `dose` is not an absorbed dose.
    GeometryMismatchError
        Density or a mask has another shape than the dose.
    RegionError
        A region has no voxel or no mass, two have the same name, or radiobiology names a region that is absent.

    Notes
    -----
    Means are by mass and D_x by volume, as in the field. The BED is taken voxel by voxel and then averaged: the effect
    is local; the statistical noise of a Monte Carlo map raises it by its variance.
    """
    require_usable_regions(dose.geometry.shape_kji, regions, radiobiology)
    if density_kji is not None and density_kji.shape != dose.geometry.shape_kji:
        raise GeometryMismatchError(
            f"The density has shape {density_kji.shape}, the dose {dose.geometry.shape_kji} (k, j, i); "
            "resample the CT onto the dose grid first."
        )
    return [
        _statistics_of(
            dose,
            density_kji,
            region,
            None if uncertainty is None else uncertainty.get(region.name),
            None if radiobiology is None else radiobiology.get(region.name),
        )
        for region in regions
    ]


def require_usable_regions(
    shape_kji: tuple[int, int, int], regions: Sequence[Region], radiobiology: Mapping[str, Radiobiology] | None = None
) -> None:
    """Refuse regions that `region_statistics` cannot use, before a dose is computed for them.

    Raises
    ------
    GeometryMismatchError
        A mask has another shape than the dose.
    RegionError
        Two regions have the same name, or radiobiology names a region that is absent.
    """
    _require_distinct_names(regions)
    _require_known_names(radiobiology or {}, regions)
    for region in regions:
        require_shape(region, shape_kji)


def _statistics_of(
    dose: QuantitativeVolume,
    density_kji: NDArray[np.floating] | None,
    region: Region,
    uncertainty: float | None,
    radiobiology: Radiobiology | None,
) -> RegionDose:
    dose_gy = region_values(dose, region)
    voxel_volume_ml = dose.geometry.voxel_volume_ml
    voxel_mass_g = _voxel_masses_g(density_kji, region, voxel_volume_ml)
    weights = np.full(dose_gy.size, voxel_volume_ml) if voxel_mass_g is None else voxel_mass_g
    mean_gy = float(np.average(dose_gy, weights=weights))
    hottest_gy = dose_to_hottest_percent_gy(dose_gy, HOTTEST_PERCENT)
    eud_gy = bed_gy = None
    if radiobiology is not None:
        eud_gy = equivalent_uniform_dose_gy(dose_gy, radiobiology.alpha_per_gy, weights)
        bed_gy = float(np.average(biologically_effective_dose_gy(dose_gy, radiobiology), weights=weights))
    return RegionDose(
        region=region.name,
        volume_ml=dose_gy.size * voxel_volume_ml,
        mass_g=None if voxel_mass_g is None else float(voxel_mass_g.sum()),
        mean_gy=mean_gy,
        std_gy=float(np.sqrt(np.average((dose_gy - mean_gy) ** 2, weights=weights))),
        min_gy=float(dose_gy.min()),
        max_gy=float(dose_gy.max()),
        mean_uncertainty_percent=None if uncertainty is None else 100.0 * float(uncertainty),
        eud_gy=eud_gy,
        bed_gy=bed_gy,
        **{f"d{percent}_gy": float(value) for percent, value in zip(HOTTEST_PERCENT, hottest_gy, strict=True)},
    )


def _voxel_masses_g(
    density_kji: NDArray[np.floating] | None, region: Region, voxel_volume_ml: float
) -> NDArray[np.float64] | None:
    if density_kji is None:
        return None
    masses_g = values_inside(density_kji, region).astype(np.float64) * voxel_volume_ml
    if not np.all(np.isfinite(masses_g)) or masses_g.min() < 0 or masses_g.sum() <= 0:
        raise RegionError(
            f"Region '{region.name}' has no mass or a negative or undefined density; check that the CT covers it."
        )
    return masses_g


def radiobiology_warnings(radiobiology: Mapping[str, Radiobiology]) -> tuple[str, ...]:
    """What a record must say about the radiobiology it used."""
    assumed = [name for name, values in radiobiology.items() if values.alpha_is_assumed]
    if not assumed:
        return ()
    alpha = radiobiology[assumed[0]].alpha_per_gy
    return (
        f"EUD of {', '.join(assumed)} uses an assumed radiosensitivity of {alpha:g} per Gy; "
        "give a column alpha_per_gy to set it.",
    )


def table_csv(doses: Sequence[RegionDose], with_radiobiology: bool = False) -> str:
    """Region table as CSV text with the columns `TABLE_COLUMNS`, plus EUD and BED on request; unknowns are empty."""
    columns = TABLE_COLUMNS + (RADIOBIOLOGY_TABLE_COLUMNS if with_radiobiology else ())
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in doses:
        writer.writerow([_field(getattr(row, column)) for column in columns])
    return stream.getvalue()


def table_text(doses: Sequence[RegionDose]) -> str:
    """Region table for a terminal: name, mass, mean, standard deviation, D98, D2 and uncertainty."""
    width = max([len("region"), *(len(row.region) for row in doses)])
    headings = ("mass [g]", "mean [Gy]", "SD [Gy]", "D98 [Gy]", "D2 [Gy]")
    lines = [f"{'region':<{width}} " + " ".join(f"{heading:>10}" for heading in headings) + f" {'±1σ [%]':>8}"]
    for row in doses:
        mass = "-" if row.mass_g is None else f"{row.mass_g:.1f}"
        sigma = "-" if row.mean_uncertainty_percent is None else f"{row.mean_uncertainty_percent:.2f}"
        numbers = " ".join(f"{value:>10.4g}" for value in (row.mean_gy, row.std_gy, row.d98_gy, row.d2_gy))
        lines.append(f"{row.region:<{width}} {mass:>10} {numbers} {sigma:>8}")
    return "\n".join(lines) + "\n"


def _field(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:.7g}"


def _require_distinct_names(regions: Sequence[Region]) -> None:
    names = [region.name for region in regions]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RegionError(f"Regions must have different names, found {', '.join(repeated)} more than once.")


def _require_known_names(radiobiology: Mapping[str, Radiobiology], regions: Sequence[Region]) -> None:
    names = [region.name for region in regions]
    unknown = [name for name in radiobiology if name not in names]
    if unknown:
        raise RegionError(
            f"Radiobiology is given for {', '.join(unknown)}, which are not among the regions: {', '.join(names)}."
        )
