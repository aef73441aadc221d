"""Dose-volume histograms and the doses read from them; everything here is by volume, not by mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, RegionError
from ..images.volume import QuantitativeVolume
from .region_values import region_values

if TYPE_CHECKING:
    from ..images.regions import Region

DEFAULT_DVH_BINS = 400
"""Dose bins from zero to the region's maximum: 0.25 % of the maximum each."""

DVH_COLUMNS = "region,dose_gy,cumulative_volume_percent,differential_volume_percent_per_gy"
"""Header of a DVH table."""


@dataclass(frozen=True, eq=False)
class DoseVolumeHistogram:
    """How much of a region receives how much dose.

    Attributes
    ----------
    region
        Name of the region.
    dose_gy
        Lower edges of the dose bins [Gy], ascending from 0, equally spaced, shape (bins + 2,); the last lies above
        the region's maximum.
    cumulative_volume_percent
        Share of the volume that receives at least `dose_gy` [%], from 100 down to 0.
    differential_volume_percent_per_gy
        Share of the volume in the bin that begins at `dose_gy`, divided by the bin's width [%/Gy]; times the width it
        adds up to 100 %.
    volume_ml
        Volume of the region [mL].
    """

    region: str
    dose_gy: NDArray[np.float64]
    cumulative_volume_percent: NDArray[np.float64]
    differential_volume_percent_per_gy: NDArray[np.float64]
    volume_ml: float

    def volume_percent_at(self, dose_gy: ArrayLike) -> NDArray[np.float64]:
        """Share of the volume that receives at least each dose [%], linear between the edges."""
        return np.interp(np.asarray(dose_gy, dtype=np.float64), self.dose_gy, self.cumulative_volume_percent)


def dose_to_hottest_percent_gy(dose_gy: ArrayLike, volume_percent: ArrayLike) -> NDArray[np.float64]:
    """D_x: the least dose that the hottest x % of the volume receives.

    The voxel doses, sorted upwards, are knots at equal steps from 0 to 100 % of the volume with straight lines between
    them, so that D100 is the minimum, D0 the maximum and D50 the median.

    Parameters
    ----------
    dose_gy
        Doses of equally large voxels [Gy], 1-D.
    volume_percent
        x, 0 to 100.

    Returns
    -------
    ndarray
        D_x [Gy], shape of `volume_percent`.

    Raises
    ------
    InputError
        A share is below 0 or above 100 %.
    """
    percent = np.asarray(volume_percent, dtype=np.float64)
    if np.any((percent < 0) | (percent > 100)):
        raise InputError(f"A share of a volume lies between 0 and 100 %, found {percent.tolist()}.")
    return np.asarray(np.percentile(np.asarray(dose_gy, dtype=np.float64), 100.0 - percent))


def dose_to_hottest_volume_gy(dose_gy: ArrayLike, voxel_volume_ml: float, volume_ml: float) -> float:
    """D_Vcc: the least dose that the hottest `volume_ml` of a region receives [Gy].

    Raises
    ------
    RegionError
        The region is smaller than `volume_ml`.
    """
    dose = np.asarray(dose_gy, dtype=np.float64).ravel()
    whole_ml = dose.size * voxel_volume_ml
    if volume_ml > whole_ml:
        raise RegionError(f"The region has {whole_ml:.4g} mL, so there is no dose to its hottest {volume_ml:.4g} mL.")
    return float(dose_to_hottest_percent_gy(dose, 100.0 * volume_ml / whole_ml))


def dvh(dose: QuantitativeVolume, region: Region, bins: int = DEFAULT_DVH_BINS) -> DoseVolumeHistogram:
    """Cumulative and differential dose-volume histogram of a region.

    Parameters
    ----------
    dose
        Absorbed dose [Gy], array (k, j, i).
    region
        Mask (k, j, i) on the same grid.
    bins
        Number of bins from 0 to the region's maximum dose.

    Returns
    -------
    DoseVolumeHistogram
        `bins` + 2 edges from 0 to one bin above the maximum, where the cumulative curve reaches zero.

    Raises
    ------
    UnitError
        `dose` is not an absorbed dose.
    RegionError
        The region has no voxel or another shape than the dose.
    InputError
        `bins` is not positive, or a dose is negative.
    """
    if bins < 1:
        raise InputError(f"A dose-volume histogram needs at least one bin, found {bins}.")
    values = np.sort(region_values(dose, region))
    if values[0] < 0:
        raise InputError(f"Region '{region.name}' has a negative dose ({values[0]:.4g} Gy); a DVH begins at zero.")
    width_gy = (values[-1] if values[-1] > 0 else 1.0) / bins
    edges = np.linspace(0.0, values[-1] if values[-1] > 0 else 1.0, bins + 1)
    edges = np.append(edges, edges[-1] + width_gy)
    at_least = 100.0 * (values.size - np.searchsorted(values, edges, side="left")) / values.size
    in_bin = np.append(at_least[:-1] - at_least[1:], 0.0)
    volume_ml = values.size * dose.geometry.voxel_volume_ml
    return DoseVolumeHistogram(region.name, edges, at_least, in_bin / width_gy, volume_ml)


def dvh_csv(histograms: Sequence[DoseVolumeHistogram]) -> str:
    """DVH table of several regions as CSV text, one row per region and edge."""
    lines = [DVH_COLUMNS]
    for histogram in histograms:
        name = _quoted(histogram.region)
        columns = histogram.dose_gy, histogram.cumulative_volume_percent, histogram.differential_volume_percent_per_gy
        lines += [f"{name},{dose:.7g},{share:.7g},{density:.7g}" for dose, share, density in zip(*columns, strict=True)]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    """A name as a CSV field."""
    return '"' + name.replace('"', '""') + '"' if any(mark in name for mark in ',"\n') else name
