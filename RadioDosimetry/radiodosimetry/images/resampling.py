"""One grid onto another: linear for CT, activity-conserving for activity, by label for labels.

An activity image is a density: a voxel stands for concentration times volume. On axes that run parallel the overlap
volume of every pair of voxels is known exactly (a product of three lengths), and the new concentration is the
overlap-weighted mean: nothing is lost but what lies outside the new grid. On rotated grids the new voxel is averaged
over sub-voxel points and scaled to the total.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import GeometryMismatchError, UnitError
from ..provenance import Record
from ..units import Quantity
from .body import body_mask as body_mask
from .geometry import DIRECTION_TOLERANCE, VolumeGeometry, require_same_frame
from .readers import image_of
from .regions import LabelMap
from .volume import QuantitativeVolume

AIR_HU = -1000.0
"""CT number of air, which surrounds the patient where the CT ends."""

LOST_ACTIVITY_WARNING = 1e-3
"""Share of the activity outside the new grid above which the record warns."""

FINEST_SUBDIVISION = 6
"""Most points per axis that a voxel of a rotated grid is averaged over."""

DENSITY_LIKE = frozenset(
    {
        Quantity.ACTIVITY_CONCENTRATION,
        Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION,
    }
)
"""Quantities per volume whose volume integral resampling conserves."""


def resample_ct(ct: QuantitativeVolume, geometry: VolumeGeometry, outside: float = AIR_HU) -> QuantitativeVolume:
    """A CT on another grid by linear interpolation.

    Parameters
    ----------
    ct
        CT numbers [HU] (any other quantity that may be interpolated works too: give `outside`).
    geometry
        The new grid.
    outside
        Value where the CT does not reach [HU].

    Returns
    -------
    QuantitativeVolume
        float32 on `geometry`; the record says which share of the new grid lies outside the CT.

    Raises
    ------
    GeometryMismatchError
        The grids do not overlap or lie in different frames of reference.
    """
    _require_overlap(ct.geometry, geometry, f"The {ct.quantity.value} image")
    target = _in_frame_of(geometry, ct.geometry)
    if ct.geometry.same_grid(geometry):
        return QuantitativeVolume(ct.array_kji, target, ct.quantity, ct.time, ct.record)
    image = image_of(ct.array_kji.astype(np.float32), ct.geometry)
    array = _interpolated(image, target, outside, sitk.sitkLinear)
    outside_share = float(1 - voxels_inside(ct.geometry, target).mean())
    record = ct.record.with_parameters(resampling="linear", outside_value=outside, outside_share=outside_share)
    return QuantitativeVolume(array, target, ct.quantity, ct.time, record)


def resample_activity(activity: QuantitativeVolume, geometry: VolumeGeometry) -> QuantitativeVolume:
    """An activity image on another grid with its total activity conserved.

    Parameters
    ----------
    activity
        Activity or time-integrated activity concentration [Bq/mL, Bq s/mL].
    geometry
        The new grid.

    Returns
    -------
    QuantitativeVolume
        float64 on `geometry`, zero outside the old grid. The record says the method and the share of the
        activity that lies outside the new grid; beyond `LOST_ACTIVITY_WARNING` it warns.

    Raises
    ------
    UnitError
        The quantity is not one per volume of `DENSITY_LIKE`.
    GeometryMismatchError
        The grids do not overlap or lie in different frames of reference.
    """
    if activity.quantity not in DENSITY_LIKE:
        raise UnitError(
            f"Only activity concentrations are resampled with their total conserved, found {activity.quantity.value}."
        )
    _require_overlap(activity.geometry, geometry, "The activity image")
    target = _in_frame_of(geometry, activity.geometry)
    if activity.geometry.same_grid(geometry):
        return QuantitativeVolume(activity.array_kji, target, activity.quantity, activity.time, activity.record)
    if _parallel_axes(activity.geometry, target) is not None:
        method = "overlap volumes"
        array = _by_overlap(activity, target)
    else:
        method = "sub-voxel averages, scaled to the total"
        array = conserved_averages(activity, target)
    record = _with_lost_share(activity, array, target, activity.record.with_parameters(resampling=method))
    return QuantitativeVolume(array, target, activity.quantity, activity.time, record)


def resample_labels(label_map: LabelMap, geometry: VolumeGeometry) -> LabelMap:
    """A label map on another grid, label by label.

    Each label's mask is interpolated linearly, and the label takes as many voxels as its volume on the new grid
    asks for, those with the largest shares: a fixed threshold of one half would shrink a small lesion by a quarter.
    Where two labels want a voxel, the smaller region has it and the larger takes its next best.

    Returns
    -------
    LabelMap
        On `geometry`; its record names the labels that vanished between the voxels.

    Raises
    ------
    GeometryMismatchError
        The grids do not overlap or lie in different frames of reference.
    """
    _require_overlap(label_map.geometry, geometry, "The label map")
    target = _in_frame_of(geometry, label_map.geometry)
    if label_map.geometry.same_grid(geometry):
        return LabelMap(label_map.array_kji, target, label_map.names, label_map.record)
    labels = np.zeros(target.shape_kji, np.int32)
    for label, box in _boxes(label_map):
        part, share = _share_of(label_map, label, box, target)
        if part is not None:
            labels[part][_largest_shares(share, labels[part] == 0)] = label
    before = set(np.unique(label_map.array_kji).tolist())
    lost = [label_map.names[label] for label in sorted(before - set(np.unique(labels).tolist()) - {0})]
    record = label_map.record.with_parameters(resampling="linear by label, volume of each label kept")
    if lost:
        record = record.with_warnings(f"Regions without a voxel on the new grid: {', '.join(lost)}.")
    return LabelMap(labels, target, label_map.names, record)


def voxels_inside(source: VolumeGeometry, target: VolumeGeometry) -> NDArray[np.bool_]:
    """Whether the centre of each voxel of `target` lies in a voxel of `source`, bool (k, j, i) on `target`."""
    if source.same_grid(target):
        return np.ones(target.shape_kji, dtype=np.bool_)
    everywhere = image_of(np.ones(source.shape_kji, np.uint8), source)
    return np.asarray(_interpolated(everywhere, target, 0.0, sitk.sitkNearestNeighbor) > 0)


def total_activity(volume: QuantitativeVolume) -> float:
    """Volume integral of a concentration [Bq or Bq s]."""
    return float(volume.array_kji.sum(dtype=np.float64)) * volume.geometry.voxel_volume_ml


def _require_overlap(source: VolumeGeometry, target: VolumeGeometry, name: str) -> None:
    """Refuse grids that share no space, saying where each lies."""
    require_same_frame(source, target, name, "the new grid")
    inside = _box_reaches(source, target) and _box_reaches(target, source)
    if not inside:
        raise GeometryMismatchError(
            f"{name} and the new grid do not overlap: {_extent(source)} against {_extent(target)} (LPS). "
            "Check that both are of the same patient and position, or register them first."
        )


def _box_reaches(first: VolumeGeometry, second: VolumeGeometry) -> bool:
    """Whether the corners of `second`, in voxels of `first`, reach into its box along each of its axes."""
    corners = np.c_[second.corners_lps_mm(), np.ones(8)] @ first.lps_to_ijk.T
    low, high = corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)
    count = np.array(first.shape_kji[::-1])
    return bool(np.all(high > -0.5) and np.all(low < count - 0.5))


def _extent(geometry: VolumeGeometry) -> str:
    corners = geometry.corners_lps_mm()
    return ", ".join(
        f"{axis} {low:.0f} to {high:.0f} mm"
        for axis, low, high in zip("xyz", corners.min(axis=0), corners.max(axis=0), strict=True)
    )


def _in_frame_of(target: VolumeGeometry, source: VolumeGeometry) -> VolumeGeometry:
    """The target grid, in the frame of the source where it names none itself."""
    if target.frame_of_reference_uid is not None or source.frame_of_reference_uid is None:
        return target
    return VolumeGeometry(
        target.shape_kji, target.spacing_mm, target.origin_mm, target.direction, source.frame_of_reference_uid
    )


def _interpolated(
    image: sitk.Image,
    target: VolumeGeometry,
    outside: float,
    interpolator: int,
    transform: sitk.Transform | None = None,
) -> NDArray[np.float32]:
    """Values of an image on a grid, float32; `transform` takes points of the grid to points of the image."""
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(target.shape_kji[::-1])
    resampler.SetOutputSpacing(target.spacing_mm)
    resampler.SetOutputOrigin(target.origin_mm)
    resampler.SetOutputDirection(target.direction.ravel().tolist())
    resampler.SetInterpolator(interpolator)
    resampler.SetDefaultPixelValue(outside)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    if transform is not None:
        resampler.SetTransform(transform)
    return np.asarray(sitk.GetArrayFromImage(resampler.Execute(image)))


def _parallel_axes(source: VolumeGeometry, target: VolumeGeometry) -> list[int] | None:
    """Which source axis runs along each target axis (i, j, k order), None if the grids are rotated."""
    cosines = np.abs(target.direction.T @ source.direction)
    axes = cosines.argmax(axis=1)
    permutation = np.zeros((3, 3))
    permutation[range(3), axes] = 1.0
    if np.abs(cosines - permutation).max() > DIRECTION_TOLERANCE:
        return None
    return [int(axis) for axis in axes]


def _by_overlap(activity: QuantitativeVolume, target: VolumeGeometry) -> NDArray[np.float64]:
    """Overlap-weighted means along the three axes in turn."""
    source = activity.geometry
    axes = _parallel_axes(source, target) or [0, 1, 2]
    array_ijk = activity.array_kji.astype(np.float64).transpose(2, 1, 0).transpose(axes)
    to_target = target.lps_to_ijk @ source.ijk_to_lps
    for target_axis, source_axis in enumerate(axes):
        step, start = to_target[target_axis, source_axis], to_target[target_axis, 3]
        # the other two columns are zero up to the tolerance of parallel axes
        weights = _overlap_weights(target.shape_kji[2 - target_axis], array_ijk.shape[target_axis], start, step)
        array_ijk = np.moveaxis(np.tensordot(weights, array_ijk, axes=(1, target_axis)), 0, target_axis)
    return np.ascontiguousarray(array_ijk.transpose(2, 1, 0))


def _overlap_weights(target_count: int, source_count: int, start: float, step: float) -> NDArray[np.float64]:
    """Length of each source voxel inside each target voxel, in target voxels, shape (target, source)."""
    centres = start + step * np.arange(source_count)
    low, high = centres - abs(step) / 2, centres + abs(step) / 2
    cells = np.arange(target_count)[:, None]
    overlap = np.minimum(high, cells + 0.5) - np.maximum(low, cells - 0.5)
    return np.asarray(np.clip(overlap, 0.0, None))


def conserved_averages(
    activity: QuantitativeVolume, target: VolumeGeometry, to_source: sitk.Transform | None = None
) -> NDArray[np.float64]:
    """Averages of the interpolated concentration over each voxel of a grid that may be turned against the image.

    The averages are taken on a grid wide enough for all the activity and scaled to its total there; then the target
    is cut out. So what the target covers is conserved, and a constant stays one.

    Parameters
    ----------
    activity
        The image.
    target
        The grid.
    to_source
        Linear transform from points of the grid to points of the image; None if both share their space.

    Returns
    -------
    ndarray
        Concentration in the unit of `activity`, shape (k, j, i) of `target`.
    """
    wide, part = _widened(target, activity.geometry, to_source)
    image = image_of(activity.array_kji.astype(np.float32), activity.geometry)
    array = averaged_over_voxels(image, wide, min(activity.geometry.spacing_mm), to_source)
    found = float(array.sum()) * target.voxel_volume_ml
    wanted = total_activity(activity)
    return array[part] * (wanted / found) if found > 0 and wanted > 0 else array[part]


def _widened(
    target: VolumeGeometry, source: VolumeGeometry, to_source: sitk.Transform | None
) -> tuple[VolumeGeometry, tuple[slice, slice, slice]]:
    """The target grid continued until it covers the source, and where the target lies in it."""
    to_target = np.linalg.inv(_matrix_of(to_source))
    corners = np.c_[source.corners_lps_mm(), np.ones(8)] @ (target.lps_to_ijk @ to_target).T
    count_ijk = np.array(target.shape_kji[::-1])
    before = np.maximum(0, np.ceil(-corners[:, :3].min(axis=0)).astype(int))
    after = np.maximum(0, np.ceil(corners[:, :3].max(axis=0) - (count_ijk - 1)).astype(int))
    shape = (before + count_ijk + after)[::-1]
    origin = (target.ijk_to_lps @ np.array([*(-before), 1.0]))[:3]
    wide = VolumeGeometry(_triple(shape), target.spacing_mm, _triple(origin), target.direction)
    starts = before[::-1].tolist()
    part = [slice(start, start + count) for start, count in zip(starts, target.shape_kji, strict=True)]
    return wide, (part[0], part[1], part[2])


def averaged_over_voxels(
    image: sitk.Image, target: VolumeGeometry, source_spacing_mm: float, transform: sitk.Transform | None = None
) -> NDArray[np.float64]:
    """Mean of the linearly interpolated image over sub-voxel points of each target voxel, shape (k, j, i).

    Points lie half a source voxel apart or closer, at most `FINEST_SUBDIVISION` per axis. `transform` takes points
    of the target to points of the image.
    """
    counts = [int(np.clip(np.ceil(2 * step / source_spacing_mm), 2, FINEST_SUBDIVISION)) for step in target.spacing_mm]
    total = np.zeros(target.shape_kji)
    for point in itertools.product(*(range(count) for count in counts)):
        shift_ijk = [(index + 0.5) / count - 0.5 for index, count in zip(point, counts, strict=True)]
        origin = (target.ijk_to_lps @ np.array([*shift_ijk, 1.0]))[:3]
        shifted = VolumeGeometry(target.shape_kji, target.spacing_mm, _triple(origin), target.direction)
        total += _interpolated(image, shifted, 0.0, sitk.sitkLinear, transform)
    return np.asarray(total / np.prod(counts))


def _matrix_of(transform: sitk.Transform | None) -> NDArray[np.float64]:
    """4 × 4 matrix of a linear transform."""
    matrix = np.eye(4)
    if transform is not None:
        origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
        matrix[:3, :3] = np.array([np.array(transform.TransformPoint(tuple(unit))) - origin for unit in np.eye(3)]).T
        matrix[:3, 3] = origin
    return matrix


def _with_lost_share(
    activity: QuantitativeVolume, array: NDArray[np.float64], target: VolumeGeometry, record: Record
) -> Record:
    before = total_activity(activity)
    after = float(array.sum()) * target.voxel_volume_ml
    lost = 1.0 - after / before if before > 0 else 0.0
    record = record.with_parameters(activity_outside_share=lost)
    if abs(lost) > LOST_ACTIVITY_WARNING:
        record = record.with_warnings(f"{100 * lost:.2f} % of the activity lies outside the new grid and is left out.")
    return record


def _boxes(label_map: LabelMap) -> list[tuple[int, tuple[slice, slice, slice]]]:
    """Each label present with its bounding box, the smallest region first."""
    present, index, counts = np.unique(label_map.array_kji, return_inverse=True, return_counts=True)
    found = ndimage.find_objects(index.reshape(label_map.array_kji.shape) + 1)
    order = np.argsort(counts, kind="stable")
    return [(int(present[place]), found[place]) for place in order if present[place] != 0]


def _share_of(
    label_map: LabelMap, label: int, box: tuple[slice, slice, slice], target: VolumeGeometry
) -> tuple[tuple[slice, slice, slice] | None, NDArray[np.float32]]:
    """Share of one label in the target voxels around it: which part of the target, and the shares there."""
    source = label_map.geometry
    wide = tuple(
        slice(max(piece.start - 1, 0), min(piece.stop + 1, count))
        for piece, count in zip(box, source.shape_kji, strict=True)
    )
    cropped = _cropped(source, wide)
    corners = np.c_[cropped.corners_lps_mm(), np.ones(8)] @ target.lps_to_ijk.T
    low = np.maximum(np.floor(corners[:, :3].min(axis=0)).astype(int), 0)[::-1]
    high = np.minimum(np.ceil(corners[:, :3].max(axis=0)).astype(int) + 1, target.shape_kji[::-1])[::-1]
    if np.any(low >= high):
        return None, np.zeros((0, 0, 0), np.float32)
    part = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    mask = (label_map.array_kji[wide] == label).astype(np.float32)
    share = _interpolated(image_of(mask, cropped), _cropped(target, part), 0.0, sitk.sitkLinear)
    return (part[0], part[1], part[2]), share


def _largest_shares(share: NDArray[np.float32], free: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The free voxels with the largest shares, as many as all shares add up to; of equals, those amid larger ones."""
    taken = np.zeros(share.shape, bool)
    open_share = np.where(free, share, 0)
    wanted = min(int(np.round(share.sum(dtype=np.float64))), int(np.count_nonzero(open_share)))
    if wanted == 0:
        return taken
    limit = np.partition(open_share, share.size - wanted, axis=None)[share.size - wanted]
    taken[open_share > limit] = True
    equals = np.flatnonzero(open_share == limit)
    around = ndimage.uniform_filter(share, 3, mode="constant").flat[equals]
    order = np.argsort(-around, kind="stable")
    taken.flat[equals[order[: wanted - int(taken.sum())]]] = True
    return taken


def _cropped(geometry: VolumeGeometry, part: tuple[slice, ...]) -> VolumeGeometry:
    start_ijk = np.array([*(piece.start for piece in part[::-1]), 1.0])
    return VolumeGeometry(
        _triple([piece.stop - piece.start for piece in part]),
        geometry.spacing_mm,
        _triple((geometry.ijk_to_lps @ start_ijk)[:3]),
        geometry.direction,
    )


def _triple(values: Any) -> tuple[Any, Any, Any]:
    first, second, third = (value.item() if isinstance(value, np.generic) else value for value in values)
    return first, second, third
