"""DICOM Segmentations to regions on a grid."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy.ndimage import affine_transform

from ..errors import FileFormatError, GeometryMismatchError, InputError, RegionError
from ..provenance import Record, file_identity
from .dicom_files import read_header
from .dicom_header import dicom_errors, integer, is_positive, items, missing, number, text
from .dicom_pixels import stored_pixels
from .dicom_regions import DicomRegions, unique_names
from .dicom_series import ORIENTATION_TOLERANCE, SLICE_POSITION_TOLERANCE_MM, Frame, frames_of
from .geometry import VolumeGeometry
from .regions import Region

DEFAULT_FRACTION = 0.5
"""A voxel of a fractional segmentation belongs to the region from this fraction (or probability) on."""


def read_segmentation(
    path: Path, geometry: VolumeGeometry, names: Sequence[str] | None = None, threshold: float = DEFAULT_FRACTION
) -> DicomRegions:
    """Segments of a DICOM Segmentation as regions of a grid.

    Parameters
    ----------
    path
        SEG file: BINARY, FRACTIONAL or LABELMAP. Frames that it leaves out are empty.
    geometry
        Grid wanted. Where it is not the segmentation's, each voxel takes the segmentation voxel its centre lies in.
    names
        Segment labels wanted; None takes all.
    threshold
        Fraction from which a voxel of a FRACTIONAL segmentation belongs to the segment, in (0, 1]; ignored for others.

    Raises
    ------
    FileFormatError
        No SEG, or damaged.
    GeometryMismatchError
        Another frame of reference, or frames that make no regular grid.
    RegionError
        A wanted name is not there, or no region is left.
    """
    path = Path(path)
    if not 0 < threshold <= 1:
        raise InputError(f"The threshold of a fractional segmentation is {threshold}; expected more than 0, at most 1.")
    dataset = read_header(path)
    with dicom_errors(path):
        if (text(dataset, "Modality") or "").upper() != "SEG":
            raise FileFormatError(f"{path.name} is {text(dataset, 'Modality') or 'unknown'}; expected a SEG file.")
        _require_same_frame(dataset, geometry, path)
        segments = _segments(dataset, names, path)
        frames = frames_of(dataset, path)
        own, slice_of_frame = _own_grid(frames, dataset)
        present, numbers_of_frames = _segment_pixels(dataset, frames, path, threshold)
        warnings: list[str] = []
        regions = []
        for segment, name in segments.items():
            own_kji = np.zeros(own.shape_kji, dtype=bool)
            for index, k in enumerate(slice_of_frame):
                if numbers_of_frames is None:
                    own_kji[k] |= present[index] == segment
                elif numbers_of_frames[index] == segment:
                    own_kji[k] |= present[index].astype(bool)
            mask_kji = _on_grid(own_kji, own, geometry)
            if not mask_kji.any():
                warnings.append(f"'{name}' has no voxel on the grid; skipped.")
            else:
                if int(own_kji.sum()) * own.voxel_volume_ml > 1.05 * int(mask_kji.sum()) * geometry.voxel_volume_ml:
                    warnings.append(f"'{name}' loses volume on the grid: cut by its edge, or finer than its voxels.")
                regions.append(Region(name, mask_kji, name))
    if not regions:
        raise RegionError(
            f"No segment of {path.name} has a voxel on the grid: {'; '.join(warnings) or 'none is defined'}."
        )
    kind = text(dataset, "SegmentationType")
    record = Record(
        "read regions from a DICOM Segmentation",
        parameters={
            "segmentation_type": kind,
            "fraction_threshold": threshold if kind == "FRACTIONAL" else None,
            "regions": [region.name for region in regions],
        },
        inputs={"file": file_identity(path)},
        warnings=tuple(warnings),
    )
    return DicomRegions(regions, record)


def _require_same_frame(dataset: Dataset, geometry: VolumeGeometry, path: Path) -> None:
    uid = text(dataset, "FrameOfReferenceUID")
    if uid is not None and geometry.frame_of_reference_uid not in (None, uid):
        raise GeometryMismatchError(
            f"{path.name} lies in frame of reference {uid}, the image in {geometry.frame_of_reference_uid}; expected "
            "the same. Use the image it was drawn on, or register the two first."
        )


def _segments(dataset: Dataset, names: Sequence[str] | None, path: Path) -> dict[int, str]:
    entries = items(dataset, "SegmentSequence")
    labels = unique_names([text(item, "SegmentLabel") or f"segment {index + 1}" for index, item in enumerate(entries)])
    found: dict[int, str] = {}
    for label, item in zip(labels, entries, strict=True):
        segment = integer(item, "SegmentNumber")
        if segment is None:
            raise missing(item, "SegmentNumber", f"to find the frames of '{label}'")
        found[segment] = label
    if (text(dataset, "SegmentationType") or "").upper() == "LABELMAP":
        found.pop(0, None)
    if names is None:
        return found
    for name in names:
        if name not in found.values():
            near = difflib.get_close_matches(name, list(found.values()), n=3, cutoff=0.4) or list(found.values())
            raise RegionError(
                f"No segment '{name}' in {path.name}; nearest: {', '.join(near)}. Give one of its labels."
            )
    return {segment: label for segment, label in found.items() if label in names}


def _own_grid(frames: Sequence[Frame], dataset: Dataset) -> tuple[VolumeGeometry, list[int]]:
    """The regular grid through the frames, and the slice of each frame; slices without a frame are empty."""
    first = frames[0]
    normal = np.cross(*first.orientation)
    for frame in frames[1:]:
        if np.abs(frame.orientation - first.orientation).max() > ORIENTATION_TOLERANCE:
            raise GeometryMismatchError(
                f"{frame.name} is oriented otherwise than {first.name}; expected one orientation."
            )
    shifts_mm = np.stack([frame.position_mm - first.position_mm for frame in frames])
    depths_mm = shifts_mm @ normal
    sideways_mm = np.linalg.norm(shifts_mm - np.outer(depths_mm, normal), axis=1)
    if sideways_mm.max() > SLICE_POSITION_TOLERANCE_MM:
        worst = frames[int(np.argmax(sideways_mm))]
        raise GeometryMismatchError(
            f"{worst.name} is shifted {sideways_mm.max():.2f} mm sideways; expected a straight stack."
        )
    spacing_mm = _slice_spacing_mm(first, depths_mm)
    steps = (depths_mm - depths_mm.min()) / spacing_mm
    indices = np.round(steps)
    if np.abs(steps - indices).max() * spacing_mm > SLICE_POSITION_TOLERANCE_MM:
        raise GeometryMismatchError(
            f"Frames of {first.path.name} lie up to {np.abs(steps - indices).max() * spacing_mm:.2f} mm off a "
            f"regular grid of {spacing_mm:.3f} mm; expected a regular grid. Export the segmentation again."
        )
    rows, columns = integer(dataset, "Rows", 1), integer(dataset, "Columns", 1)
    if indices.max() > 100_000 or rows is None or columns is None:
        raise GeometryMismatchError(
            f"Frames of {first.path.name} span {depths_mm.max() - depths_mm.min():.0f} mm; too far."
        )
    row_spacing_mm, column_spacing_mm = first.pixel_spacing_mm
    geometry = VolumeGeometry(
        (int(indices.max()) + 1, rows, columns),
        (float(column_spacing_mm), float(row_spacing_mm), spacing_mm),
        tuple(frames[int(np.argmin(depths_mm))].position_mm),
        np.stack([*first.orientation, normal], axis=1),
        text(dataset, "FrameOfReferenceUID"),
    )
    return geometry, [int(index) for index in indices]


def _slice_spacing_mm(frame: Frame, depths_mm: NDArray[np.float64]) -> float:
    measures = frame.macro("PixelMeasuresSequence")
    stated_mm = number(measures, "SpacingBetweenSlices")
    if stated_mm is not None and stated_mm != 0:
        return abs(stated_mm)
    steps_mm = np.diff(np.unique(depths_mm.round(3)))
    steps_mm = steps_mm[steps_mm > SLICE_POSITION_TOLERANCE_MM]
    if steps_mm.size:
        return float(steps_mm.min())
    thickness_mm = number(measures, "SliceThickness")
    if thickness_mm is None or not is_positive(thickness_mm):
        raise missing(frame.dataset, "SliceThickness", "to know how thick the only slice is")
    return thickness_mm


def _segment_pixels(
    dataset: Dataset, frames: Sequence[Frame], path: Path, threshold: float
) -> tuple[NDArray[np.generic], list[int] | None]:
    """Pixels of each frame (labels, or whether they belong), and the segment of each frame (None: a label map)."""
    pixels = stored_pixels(path)
    kind = (text(dataset, "SegmentationType") or "").upper()
    if kind == "LABELMAP":
        return pixels, None
    if kind not in ("BINARY", "FRACTIONAL"):
        raise FileFormatError(
            f"Segmentation Type (0062,0001) of {path.name} is '{kind}'; expected BINARY, FRACTIONAL or LABELMAP."
        )
    if kind == "FRACTIONAL":
        largest = integer(dataset, "MaximumFractionalValue", 1) or 255
        pixels = pixels >= threshold * largest
    segments = []
    for frame in frames:
        segment = integer(frame.macro("SegmentIdentificationSequence"), "ReferencedSegmentNumber")
        if segment is None:
            raise missing(dataset, "ReferencedSegmentNumber", f"to know the segment of {frame.name}")
        segments.append(segment)
    return pixels, segments


def _on_grid(own_kji: NDArray[np.bool_], own: VolumeGeometry, geometry: VolumeGeometry) -> NDArray[np.bool_]:
    if own.same_grid(geometry):
        return own_kji
    matrix = own.lps_to_ijk @ geometry.ijk_to_lps
    reverse = np.ix_([2, 1, 0], [2, 1, 0])
    moved = affine_transform(
        own_kji.astype(np.uint8),
        matrix[:3, :3][reverse],
        matrix[:3, 3][::-1],
        output_shape=geometry.shape_kji,
        order=0,
        mode="grid-constant",
    )
    return np.asarray(moved).astype(bool)
