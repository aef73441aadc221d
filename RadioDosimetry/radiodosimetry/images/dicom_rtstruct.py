"""RT Structure Sets to regions on a grid."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..errors import FileFormatError, GeometryMismatchError, RegionError
from ..provenance import Record, file_identity
from .dicom_contours import (
    PLANE_TOLERANCE_MM,
    PlanarContour,
    SliceAxis,
    fill_contours,
    planar_contour,
    plane_depths_mm,
    slice_axis_of,
)
from .dicom_files import read_header
from .dicom_header import dicom_errors, first_item, integer, items, number, numbers, tag_name, text
from .dicom_regions import DicomRegions, unique_names
from .geometry import VolumeGeometry
from .regions import Region

_FILLED_TYPES = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def read_structure_set(path: Path, geometry: VolumeGeometry, names: Sequence[str] | None = None) -> DicomRegions:
    """Regions of an RT Structure Set, filled into the voxels of a grid.

    Parameters
    ----------
    path
        RTSTRUCT file.
    geometry
        Grid to fill; its slices must be parallel to the contours. Its frame of reference is compared where known.
    names
        ROI names wanted; None takes all.

    Returns
    -------
    DicomRegions
        One region per ROI with voxels on the grid, and a record whose warnings name what was skipped: points and
        open contours, ROIs without contours or outside the grid.

    Raises
    ------
    FileFormatError
        No RTSTRUCT, or damaged contours.
    GeometryMismatchError
        Another frame of reference, or contours that cross the slices.
    RegionError
        A wanted name is not there, or no region is left.
    """
    path = Path(path)
    dataset = read_header(path)
    with dicom_errors(path):
        if (text(dataset, "Modality") or "").upper() != "RTSTRUCT":
            raise FileFormatError(
                f"{path.name} is {text(dataset, 'Modality') or 'unknown'}; expected an RTSTRUCT file."
            )
        rois = _rois(dataset, path)
        wanted = _wanted(rois, names, path)
        contours = {
            int(integer(item, "ReferencedROINumber") or 0): items(item, "ContourSequence")
            for item in items(dataset, "ROIContourSequence")
        }
        warnings: list[str] = []
        closed = {
            roi: _closed_contours(name, contours.get(roi, []), warnings, path) for roi, (name, _) in wanted.items()
        }
        _require_same_frame(wanted, dataset, geometry, path)
        regions = _filled(wanted, closed, contours, geometry, warnings)
    if not regions:
        raise RegionError(
            f"No structure of {path.name} has a voxel on the grid: {'; '.join(warnings) or 'none is defined'}."
        )
    record = Record(
        "filled the contours of an RT Structure Set",
        parameters={"rule": "even-odd at voxel centres, nearest plane", "regions": [region.name for region in regions]},
        inputs={"file": file_identity(path)},
        warnings=tuple(warnings),
    )
    return DicomRegions(regions, record)


def _rois(dataset: Dataset, path: Path) -> dict[int, tuple[str, str | None]]:
    """Number of each ROI to its name and frame of reference."""
    found: dict[int, tuple[str, str | None]] = {}
    rois = items(dataset, "StructureSetROISequence")
    labels = unique_names([text(item, "ROIName") or f"ROI {index + 1}" for index, item in enumerate(rois)])
    for name, item in zip(labels, rois, strict=True):
        roi = integer(item, "ROINumber")
        if roi is None:
            raise FileFormatError(f"{tag_name('ROINumber')} of '{name}' is missing in {path.name}; export it again.")
        if roi in found:
            raise FileFormatError(
                f"{path.name} gives ROI number {roi} to '{found[roi][0]}' and '{name}'; expected one each."
            )
        found[roi] = (name, text(item, "ReferencedFrameOfReferenceUID"))
    return found


def _wanted(
    rois: dict[int, tuple[str, str | None]], names: Sequence[str] | None, path: Path
) -> dict[int, tuple[str, str | None]]:
    if names is None:
        return rois
    known = [name for name, _ in rois.values()]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known
            raise RegionError(
                f"No structure '{name}' in {path.name}; nearest: {', '.join(near)}. Give one of its names."
            )
    return {roi: value for roi, value in rois.items() if value[0] in names}


def _closed_contours(
    name: str, contours: Sequence[Dataset], warnings: list[str], path: Path
) -> list[NDArray[np.float64]]:
    """Corners [mm, LPS] of the contours that enclose an area, N × 3 each."""
    closed: list[NDArray[np.float64]] = []
    skipped: dict[str, int] = {}
    for contour in contours:
        kind = (text(contour, "ContourGeometricType") or "unknown").upper()
        points = numbers(contour, "ContourData")
        if kind not in _FILLED_TYPES or points is None:
            skipped[kind if points is not None else "empty"] = skipped.get(kind, 0) + 1
            continue
        if points.size % 3 or points.size < 9:
            raise FileFormatError(
                f"A contour of '{name}' in {path.name} has {points.size} coordinates; expected three for each of at "
                "least three points. Export the structure set again."
            )
        stated = integer(contour, "NumberOfContourPoints")
        if stated is not None and stated != points.size // 3:
            raise FileFormatError(
                f"A contour of '{name}' in {path.name} announces {stated} points and has {points.size // 3}: it is "
                "damaged or cut short. Export the structure set again."
            )
        closed.append(points.reshape(-1, 3))
    for kind, count in skipped.items():
        warnings.append(
            f"'{name}': {count} contour{'s' if count != 1 else ''} of type {kind} enclose no area; skipped."
        )
    return closed


def _require_same_frame(
    wanted: dict[int, tuple[str, str | None]], dataset: Dataset, geometry: VolumeGeometry, path: Path
) -> None:
    referenced = first_item(dataset, "ReferencedFrameOfReferenceSequence")
    default = (
        text(referenced, "FrameOfReferenceUID") if referenced is not None else text(dataset, "FrameOfReferenceUID")
    )
    for name, frame in wanted.values():
        uid = frame or default
        if uid is not None and geometry.frame_of_reference_uid not in (None, uid):
            raise GeometryMismatchError(
                f"'{name}' of {path.name} lies in frame of reference {uid}, the image in "
                f"{geometry.frame_of_reference_uid}; "
                "expected the same. Use the image it was drawn on, or register the two first."
            )


def _filled(
    wanted: dict[int, tuple[str, str | None]],
    closed: dict[int, list[NDArray[np.float64]]],
    sequences: dict[int, list[Dataset]],
    geometry: VolumeGeometry,
    warnings: list[str],
) -> list[Region]:
    planar: dict[int, tuple[SliceAxis, list[PlanarContour]]] = {}
    for roi, contours_mm in closed.items():
        if contours_mm:
            axis = slice_axis_of(contours_mm, geometry, f"'{wanted[roi][0]}'")
            planar[roi] = axis, [planar_contour(points_mm, geometry, axis) for points_mm in contours_mm]
    spacing_mm = _plane_spacing_mm(planar, sequences, geometry)
    regions = []
    for roi, (name, _) in wanted.items():
        if roi not in planar:
            warnings.append(f"'{name}' has no closed contour; skipped.")
            continue
        axis, contours = planar[roi]
        _warn_of_gaps(name, contours, spacing_mm, warnings)
        mask_kji = fill_contours(contours, spacing_mm, geometry, axis)
        if not mask_kji.any():
            warnings.append(
                f"'{name}' contains no voxel centre of the grid (outside, or smaller than a voxel); skipped."
            )
            continue
        _warn_if_cut(name, contours, geometry, axis, warnings)
        regions.append(Region(name, mask_kji, name))
    return regions


def _plane_spacing_mm(
    planar: dict[int, tuple[SliceAxis, list[PlanarContour]]],
    sequences: dict[int, list[Dataset]],
    geometry: VolumeGeometry,
) -> float:
    """The distance between contour planes that most neighbours in the structure set have."""
    steps = [np.diff(plane_depths_mm(contours)) for _, contours in planar.values()]
    pooled_mm = np.concatenate([*steps, np.empty(0)])
    if pooled_mm.size:
        return float(np.median(pooled_mm))
    for sequence in sequences.values():
        for contour in sequence:
            thickness_mm = number(contour, "ContourSlabThickness")
            if thickness_mm is not None and thickness_mm > 0:
                return thickness_mm
    axis = next((axis.axis for axis, _ in planar.values()), 2)
    return float(geometry.spacing_mm[axis])


def _warn_of_gaps(name: str, contours: Sequence[PlanarContour], spacing_mm: float, warnings: list[str]) -> None:
    gaps_mm = np.diff(plane_depths_mm(contours))
    wide_mm = gaps_mm[gaps_mm > 1.5 * spacing_mm + PLANE_TOLERANCE_MM]
    if wide_mm.size:
        warnings.append(
            f"'{name}' has {wide_mm.size} gap{'s' if wide_mm.size != 1 else ''} of up to {wide_mm.max():.1f} mm "
            f"between planes {spacing_mm:.1f} mm apart elsewhere; left empty."
        )


def _warn_if_cut(
    name: str, contours: Sequence[PlanarContour], geometry: VolumeGeometry, axis: SliceAxis, warnings: list[str]
) -> None:
    count_ijk = geometry.shape_kji[::-1]
    last_mm = (count_ijk[axis.axis] - 0.5) * geometry.spacing_mm[axis.axis]
    first_mm = -0.5 * geometry.spacing_mm[axis.axis]
    limits = np.array([count_ijk[index] - 0.5 for index in axis.in_plane])
    outside = sum(
        not first_mm <= contour.depth_mm <= last_mm
        or bool((contour.points < -0.5).any() or (contour.points > limits).any())
        for contour in contours
    )
    if outside:
        warnings.append(
            f"'{name}' is cut by the edge of the grid: {outside} of {len(contours)} contours reach outside."
        )
