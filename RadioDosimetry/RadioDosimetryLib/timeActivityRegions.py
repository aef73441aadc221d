"""Regions of serial scans: one segmentation that they have in common, or one drawn on each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .segmentations import regionsFromSegmentation, segmentNames
from .timeActivitySeries import Series
from .timeActivityWork import TimedVolume

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import Region


def scansWithRegions(series: Series, segmentationNode, segmentIDs: Sequence[str] | None = None) -> list[TimedVolume]:
    """The scans with the regions wanted, on each one's grid.

    Parameters
    ----------
    series
        The scans; those without a segmentation of their own are moved to the reference scan.
    segmentationNode
        Regions that those have in common; None where every scan has its own, or none is wanted.
    segmentIDs
        Segments wanted, of `Series.leadingSegmentation`; all if None. They are found by name in the others.

    Raises
    ------
    InputError
        A scan has no segmentation while another one has its own.
    RegionError
        A scan's own segmentation lacks a segment that is wanted, or as `regionsFromSegmentation`.
    """
    from radiodosimetry.errors import InputError

    leading = series.leadingSegmentation(segmentationNode)
    if leading is None:
        return [scan for scan, _row in series.scansWithRows()]
    names = segmentNames(leading)
    wanted = list(names) if segmentIDs is None else list(segmentIDs)
    known: list[tuple[object, VolumeGeometry, tuple[Region, ...]]] = []
    found = []
    for scan, row in series.scansWithRows():
        node, grid = row.segmentation or segmentationNode, scan.volume.geometry
        if node is None:
            raise InputError(
                f"{scan.name} has no segmentation, while other scans have their own; choose the regions of that scan, "
                "or a segmentation for all scans without one."
            )
        regions = next((masks for other, on, masks in known if other is node and on.same_grid(grid)), None)
        if regions is None:
            ids = wanted if node is leading else _sameNamed(node, [names.get(one, one) for one in wanted], scan.name)
            regions = tuple(regionsFromSegmentation(node, grid, ids))
            known.append((node, grid, regions))
        found.append(replace(scan, regions=regions, ownRegions=row.segmentation is not None))
    return found


def _sameNamed(segmentationNode, names: Sequence[str], scanName: str) -> list[str]:
    """IDs of the segments with these names."""
    from radiodosimetry.errors import RegionError

    idOf: dict[str, str] = {}
    for segmentID, name in segmentNames(segmentationNode).items():
        if name in idOf and name in names:
            raise RegionError(f"'{segmentationNode.GetName()}' has two segments called {name}; rename one.")
        idOf[name] = segmentID
    missing = [name for name in names if name not in idOf]
    if missing:
        raise RegionError(
            f"'{segmentationNode.GetName()}', the regions of {scanName}, lacks the segment{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}; draw it there under that name, or untick it."
        )
    return [idOf[name] for name in names]
