"""How much of the activity, and which regions, the CT does not show: around it is taken to be air."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, RegionError
from .geometry import VolumeGeometry
from .regions import Region
from .resampling import voxels_inside
from .volume import QuantitativeVolume

UNCOVERED_ACTIVITY_WARNING = 1e-3
"""Share of the activity outside the CT above which there is a warning; noise around the patient is less."""

MOST_UNCOVERED_ACTIVITY = 0.5
"""Share of the activity outside the CT above which the CT is not that of this activity: most dose would be to air."""


@dataclass(frozen=True, eq=False)
class CtCoverage:
    """What of an activity image the CT shows.

    Attributes
    ----------
    covered_kji
        Whether the centre of a voxel of the activity lies in the CT, (k, j, i).
    activity_outside_share
        Share of the activity in the other voxels, 0 to 1.
    warnings
        What a reader must know, one sentence each.
    """

    covered_kji: NDArray[np.bool_]
    activity_outside_share: float
    warnings: tuple[str, ...]


def ct_coverage(ct: VolumeGeometry, activity: QuantitativeVolume, regions: Sequence[Region] = ()) -> CtCoverage:
    """What of an activity image, and of regions on its grid, the CT shows.

    Parameters
    ----------
    ct
        Grid of the CT as it was read, before any resampling.
    activity
        Activity concentration or its time integral, not negative, array (k, j, i).
    regions
        On the grid of `activity`.

    Returns
    -------
    CtCoverage
        It warns from `UNCOVERED_ACTIVITY_WARNING` of the activity on, and of regions that reach beyond the CT.

    Raises
    ------
    GeometryMismatchError
        More than `MOST_UNCOVERED_ACTIVITY` of the activity lies outside the CT.
    RegionError
        A region lies outside the CT as a whole.
    """
    covered = voxels_inside(ct, activity.geometry)
    outside = ~covered
    total = float(activity.array_kji.sum(dtype=np.float64))
    share = float(activity.array_kji[outside].sum(dtype=np.float64)) / total if total > 0 else 0.0
    if share > MOST_UNCOVERED_ACTIVITY:
        raise GeometryMismatchError(
            f"{100 * share:.0f} % of the activity lies outside the CT, expected at most "
            f"{100 * MOST_UNCOVERED_ACTIVITY:.0f} %; give the CT of the whole activity image, or crop the activity."
        )
    warnings = []
    if share > UNCOVERED_ACTIVITY_WARNING:
        warnings.append(
            f"{100 * share:.3g} % of the activity lies outside the CT, in voxels taken as air: what it gives to the "
            "tissue there is missing, and tissue beyond the CT does not scatter."
        )
    return CtCoverage(covered, share, (*warnings, *_region_warnings(outside, regions)))


def _region_warnings(outside_kji: NDArray[np.bool_], regions: Sequence[Region]) -> list[str]:
    """Regions that the CT cuts; a region without any CT has neither mass nor dose."""
    warnings = []
    for region in regions:
        share = float(outside_kji[region.mask_kji].mean()) if outside_kji.any() else 0.0
        if share == 1.0:
            raise RegionError(
                f"Region '{region.name}' lies outside the CT, so its mass is unknown; give the CT that shows it, or "
                "leave the region out."
            )
        if share > 0:
            warnings.append(
                f"{100 * share:.3g} % of region '{region.name}' lies outside the CT and counts as air in its mass, "
                "mean dose and histogram."
            )
    return warnings
