"""A test dose map against a reference, per region and per voxel: what `radiodosimetry compare` reports."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError, UnitError
from ..images.geometry import require_same_grid
from ..images.volume import QuantitativeVolume
from ..progress import Progress
from ..units import Quantity
from .differences import (
    mean_absolute_error_percent,
    mean_error_percent,
    normalized_root_mean_square_error,
    pearson_correlation,
    voxel_mean_absolute_error_percent,
)
from .gamma import DEFAULT_CUTOFF_PERCENT, DEFAULT_GAMMA_MM, DEFAULT_GAMMA_PERCENT, GammaMap, gamma_index

if TYPE_CHECKING:
    from ..images.regions import Region

COMPARABLE = (Quantity.ABSORBED_DOSE, Quantity.ABSORBED_DOSE_RATE)
"""Quantities that `compare_doses` accepts."""


@dataclass(frozen=True)
class RegionComparison:
    """Differences inside one region.

    Attributes
    ----------
    region
        Name of the region.
    reference_mean_gy, test_mean_gy
        Mean doses [Gy], by mass where a density was given, else by volume.
    mean_error_percent
        Signed error of the test's mean in percent of the reference's; None where the reference is zero.
    mae_percent
        Kim 2022 Eq. 3 for this one data set: the absolute value of `mean_error_percent`. Over several patients, average
        it (`mean_absolute_error_percent`).
    voxel_mae_percent
        Mean absolute voxel difference in percent of the mean reference dose.
    nrmse, pearson_r
        NRMSE (Li 2022) and correlation over the voxels of the region.
    gamma_pass_percent
        Share of the region's judged voxels that pass; None where none was judged.
    """

    region: str
    reference_mean_gy: float
    test_mean_gy: float
    mean_error_percent: float | None
    mae_percent: float | None
    voxel_mae_percent: float | None
    nrmse: float | None
    pearson_r: float | None
    gamma_pass_percent: float | None


@dataclass(frozen=True, eq=False)
class DoseComparison:
    """Differences of a test dose from a reference.

    Attributes
    ----------
    regions
        One entry per region.
    nrmse
        NRMSE over the whole grid; voxels that are zero in both change nothing.
    pearson_r
        Correlation over the voxels that are not zero in both.
    gamma_pass_percent
        Share of the judged voxels with a gamma of at most one [%].
    gamma
        The gamma index of every voxel.
    gamma_percent, gamma_mm, gamma_cutoff_percent
        The criteria used.
    """

    regions: tuple[RegionComparison, ...]
    nrmse: float | None
    pearson_r: float | None
    gamma_pass_percent: float
    gamma: GammaMap
    gamma_percent: float
    gamma_mm: float
    gamma_cutoff_percent: float

    def as_dict(self) -> dict[str, Any]:
        """The numbers without the maps, JSON-ready."""
        return {
            "regions": [asdict(region) for region in self.regions],
            "nrmse": self.nrmse,
            "pearson_r": self.pearson_r,
            "gamma_pass_percent": self.gamma_pass_percent,
            "gamma_percent": self.gamma_percent,
            "gamma_mm": self.gamma_mm,
            "gamma_cutoff_percent": self.gamma_cutoff_percent,
            "gamma_judged_voxels": int(self.gamma.judged_kji.sum()),
        }


def compare_doses(
    reference: QuantitativeVolume,
    test: QuantitativeVolume,
    regions: Sequence[Region] = (),
    gamma_percent: float = DEFAULT_GAMMA_PERCENT,
    gamma_mm: float = DEFAULT_GAMMA_MM,
    gamma_cutoff_percent: float = DEFAULT_CUTOFF_PERCENT,
    density_kji: NDArray[np.floating] | None = None,
    progress: Progress | None = None,
) -> DoseComparison:
    """Compare a dose map with a reference.

    Parameters
    ----------
    reference, test
        Absorbed doses [Gy] (or dose rates [Gy/s]) on one grid.
    regions
        Regions on that grid; they may overlap.
    gamma_percent, gamma_mm, gamma_cutoff_percent
        Criteria of the global gamma index: dose in percent of the reference's maximum, distance [mm], and the share of
        the maximum below which a voxel is not judged [%].
    density_kji
        Mass density [g/cm³] on the grid, for mean doses by mass; by volume if absent.
    progress
        Told how much is done.

    Returns
    -------
    DoseComparison
        Numbers per region and over the grid, and the gamma map.

    Raises
    ------
    UnitError
        The volumes are not both doses or both dose rates.
    GeometryMismatchError
        Grids or frames of reference differ, or a region lies on another grid.
    RegionError
        A region has no voxel.
    InputError
        The reference is zero everywhere or a criterion is not positive.

    References
    ----------
    .. [1] Kim et al., Nucl Med Mol Imaging (2022), Eq. 3.
    .. [2] Li et al., Med Phys 49 (2022) 1216-1230, doi:10.1002/mp.15397.
    """
    if reference.quantity not in COMPARABLE or test.quantity is not reference.quantity:
        raise UnitError(
            f"Found {reference.quantity.value} as reference and {test.quantity.value} as test; "
            "expected two absorbed doses or two absorbed dose rates."
        )
    require_same_grid(reference.geometry, test.geometry, "Reference and", "test")
    expected = np.asarray(reference.array_kji, dtype=np.float64)
    found = np.asarray(test.array_kji, dtype=np.float64)
    if density_kji is not None and density_kji.shape != expected.shape:
        raise InputError(f"The density has shape {density_kji.shape}, the doses {expected.shape} (k, j, i).")
    gamma = gamma_index(
        expected, found, reference.geometry.spacing_mm, gamma_percent, gamma_mm, gamma_cutoff_percent, progress=progress
    )
    nonzero = (expected != 0) | (found != 0)
    return DoseComparison(
        tuple(_compare_region(expected, found, region, density_kji, gamma) for region in regions),
        normalized_root_mean_square_error(expected, found),
        pearson_correlation(expected[nonzero], found[nonzero]),
        gamma.pass_percent,
        gamma,
        gamma_percent,
        gamma_mm,
        gamma_cutoff_percent,
    )


def _compare_region(
    expected_kji: NDArray[np.float64],
    found_kji: NDArray[np.float64],
    region: Region,
    density_kji: NDArray[np.floating] | None,
    gamma: GammaMap,
) -> RegionComparison:
    mask = np.asarray(region.mask_kji, dtype=bool)
    if mask.shape != expected_kji.shape:
        raise RegionError(
            f"Region '{region.name}' has a mask of shape {mask.shape}, the doses have {expected_kji.shape} (k, j, i); "
            "resample the labels onto the dose grid first."
        )
    if not mask.any():
        raise RegionError(f"Region '{region.name}' has no voxel on the dose grid; remove it or check the labels.")
    expected, found = expected_kji[mask], found_kji[mask]
    weights = None if density_kji is None else np.asarray(density_kji[mask], dtype=np.float64)
    expected_mean, found_mean = (float(np.average(values, weights=weights)) for values in (expected, found))
    return RegionComparison(
        region.name,
        expected_mean,
        found_mean,
        mean_error_percent(expected_mean, found_mean),
        mean_absolute_error_percent(expected_mean, found_mean) if expected_mean > 0 else None,
        voxel_mean_absolute_error_percent(expected, found),
        normalized_root_mean_square_error(expected, found),
        pearson_correlation(expected, found),
        gamma.pass_percent_inside(mask),
    )


def comparison_csv(regions: Sequence[RegionComparison]) -> str:
    """Table of the regions as CSV text; unknowns are empty."""
    columns = list(RegionComparison.__dataclass_fields__)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for region in regions:
        values = (getattr(region, column) for column in columns)
        writer.writerow(["" if v is None else v if isinstance(v, str) else f"{v:.7g}" for v in values])
    return stream.getvalue()
