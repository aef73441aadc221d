"""From the frames of a series to one regular grid: sorted along the normal, checked for gaps, doubles and shear.

A frame is one image plane: a classic single-frame file, or one frame of a multi-frame file whose position and
rescaling stand in its functional groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..errors import FileFormatError, GeometryMismatchError
from ..progress import Progress, report_progress
from .dicom_header import first_item, integer, is_positive, items, missing, number, numbers, required_integer, text
from .dicom_pixels import stored_pixels
from .geometry import VolumeGeometry

SLICE_POSITION_TOLERANCE_MM = 0.1
"""Farthest a slice may lie from its place on the regular grid: scanners print positions to 0.1 mm or better."""

ORIENTATION_TOLERANCE = 1e-3
"""Largest difference of direction cosines within a series, and departure from orthonormal: 0.06 degrees."""

SHEAR_TOLERANCE = 2e-3
"""Sideways drift per mm along the normal above which a series is tilted (0.11 degrees): beyond rounding of cosines."""

PIXEL_SPACING_TOLERANCE_MM = 1e-3
"""Largest difference of pixel spacing within a series."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One image plane and where to look for its attributes.

    Attributes
    ----------
    dataset
        Header of the file.
    path
        The file.
    index
        Number of the frame in the file, from 0.
    groups
        Functional group items of a multi-frame file, the frame's own before the shared; empty for a classic file.
    position_mm
        Centre of the first pixel, LPS.
    orientation
        Row and column cosines, 2 × 3: directions of growing column and row index.
    pixel_spacing_mm
        Distance between rows, between columns.
    """

    dataset: Dataset
    path: Path
    index: int
    groups: tuple[Dataset, ...]
    position_mm: NDArray[np.float64]
    orientation: NDArray[np.float64]
    pixel_spacing_mm: NDArray[np.float64]

    @property
    def name(self) -> str:
        """File, and frame where the file has several, for messages."""
        return f"{self.path.name} frame {self.index + 1}" if self.groups else self.path.name

    def macro(self, sequence_keyword: str) -> Dataset:
        """Where the attributes of a functional group stand: its item, or the root of a classic file."""
        return _macro(self.dataset, self.groups, sequence_keyword)


@dataclass(frozen=True, eq=False)
class FrameStack:
    """Frames in the order of the slices of one regular grid.

    Attributes
    ----------
    frames
        Sorted along the normal (row × column), so that the grid is right-handed.
    geometry
        The grid.
    warnings
        Assumptions taken.
    """

    frames: tuple[Frame, ...]
    geometry: VolumeGeometry
    warnings: tuple[str, ...]


def _macro(dataset: Dataset, groups: Sequence[Dataset], sequence_keyword: str) -> Dataset:
    for group in groups:
        item = first_item(group, sequence_keyword)
        if item is not None:
            return item
    return dataset


def frames_of(dataset: Dataset, path: Path) -> list[Frame]:
    """The image planes of one file.

    Raises
    ------
    FileFormatError
        Position, orientation or pixel spacing is missing or impossible; the text names the attribute.
    """
    per_frame = items(dataset, "PerFrameFunctionalGroupsSequence")
    shared = items(dataset, "SharedFunctionalGroupsSequence")[:1]
    if not per_frame:
        count = integer(dataset, "NumberOfFrames", 1) or 1
        if count > 1:
            raise FileFormatError(
                f"{path.name} has {count} frames and no functional groups that say where each lies; expected a classic "
                "series of single slices or an enhanced multi-frame file."
            )
        return [_frame(dataset, path, 0, ())]
    count = required_integer(dataset, "NumberOfFrames", 1)
    if count != len(per_frame):
        raise FileFormatError(
            f"{path.name} has {count} frames but functional groups for {len(per_frame)}. Export it again."
        )
    return [_frame(dataset, path, index, (group, *shared)) for index, group in enumerate(per_frame)]


def _frame(dataset: Dataset, path: Path, index: int, groups: tuple[Dataset, ...]) -> Frame:
    position_item = _macro(dataset, groups, "PlanePositionSequence")
    position = numbers(position_item, "ImagePositionPatient", 3)
    if position is None:
        raise missing(dataset, "ImagePositionPatient", "to place the slice in the patient")
    orientation_item = _macro(dataset, groups, "PlaneOrientationSequence")
    measures = _macro(dataset, groups, "PixelMeasuresSequence")
    return Frame(
        dataset, path, index, groups, position, orientation_of(orientation_item, path), pixel_spacing_of(measures, path)
    )


def orientation_of(item: Dataset, path: Path) -> NDArray[np.float64]:
    """Row and column cosines of Image Orientation (Patient), made exactly orthonormal, 2 × 3.

    Raises
    ------
    FileFormatError
        The attribute is missing, or farther from orthonormal than `ORIENTATION_TOLERANCE`.
    """
    cosines = numbers(item, "ImageOrientationPatient", 6)
    if cosines is None:
        raise missing(item, "ImageOrientationPatient", "to place the slice in the patient")
    row, column = cosines[:3], cosines[3:]
    lengths = np.linalg.norm([row, column], axis=1)
    departure = max(float(np.abs(lengths - 1).max()), abs(float(row @ column)))
    if not departure <= ORIENTATION_TOLERANCE:
        raise FileFormatError(
            f"Image Orientation (0020,0037) of {path.name} is {cosines.tolist()}; expected two perpendicular unit "
            "vectors. Repair the header."
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    return np.stack([row, column / np.linalg.norm(column)])


def pixel_spacing_of(item: Dataset, path: Path) -> NDArray[np.float64]:
    """Distance between rows and between columns [mm].

    Raises
    ------
    FileFormatError
        The attribute is missing or not positive.
    """
    spacing = numbers(item, "PixelSpacing", 2)
    if spacing is None:
        raise missing(item, "PixelSpacing", "to know the size of a voxel")
    if spacing.min() <= 0:
        raise FileFormatError(
            f"Pixel Spacing (0028,0030) of {path.name} is {spacing.tolist()} mm; expected positive numbers."
        )
    return spacing


def stack_frames(frames: Sequence[Frame]) -> FrameStack:
    """Sort frames along their common normal and lay the regular grid through them.

    Raises
    ------
    GeometryMismatchError
        Frames differ in orientation, size or frame of reference; two share a position; one is missing;
        or they are sheared (gantry tilt).
    """
    reference = frames[0]
    _require_alike(frames)
    normal = np.cross(*reference.orientation)
    depths_mm = np.array([float(frame.position_mm @ normal) for frame in frames])
    order = np.argsort(depths_mm, kind="stable")
    ordered = [frames[index] for index in order]
    spacing_mm, warnings = _slice_spacing_mm(ordered, depths_mm[order])
    _require_no_shear(ordered, normal)
    rows, columns = _size(reference)
    direction = np.stack([*reference.orientation, normal], axis=1)
    row_spacing_mm, column_spacing_mm = reference.pixel_spacing_mm
    geometry = VolumeGeometry(
        (len(ordered), rows, columns),
        (float(column_spacing_mm), float(row_spacing_mm), spacing_mm),
        tuple(ordered[0].position_mm),
        direction,
        text(reference.dataset, "FrameOfReferenceUID"),
    )
    return FrameStack(tuple(ordered), geometry, warnings)


def _size(frame: Frame) -> tuple[int, int]:
    return required_integer(frame.dataset, "Rows", 1), required_integer(frame.dataset, "Columns", 1)


def _require_alike(frames: Sequence[Frame]) -> None:
    reference = frames[0]
    for frame in frames[1:]:
        if np.abs(frame.orientation - reference.orientation).max() > ORIENTATION_TOLERANCE:
            raise GeometryMismatchError(
                f"{frame.name} is oriented {frame.orientation.ravel().round(4).tolist()}, {reference.name} "
                f"{reference.orientation.ravel().round(4).tolist()}; expected one orientation in a series. Split the "
                "series."
            )
        if (
            _size(frame) != _size(reference)
            or np.abs(frame.pixel_spacing_mm - reference.pixel_spacing_mm).max() > PIXEL_SPACING_TOLERANCE_MM
        ):
            raise GeometryMismatchError(
                f"{frame.name} has {_size(frame)} pixels of {frame.pixel_spacing_mm.tolist()} mm, {reference.name} "
                f"{_size(reference)} of {reference.pixel_spacing_mm.tolist()} mm; expected one size in a series. "
                "Split it."
            )
        uids = [text(item.dataset, "FrameOfReferenceUID") for item in (frame, reference)]
        if uids[0] != uids[1]:
            raise GeometryMismatchError(
                f"{frame.name} lies in frame of reference {uids[0]}, {reference.name} in {uids[1]}; expected one in "
                "a series."
            )


def _slice_spacing_mm(ordered: Sequence[Frame], depths_mm: NDArray[np.float64]) -> tuple[float, tuple[str, ...]]:
    if len(ordered) == 1:
        return _thickness_mm(ordered[0])
    steps_mm = np.diff(depths_mm)
    closest = int(np.argmin(steps_mm))
    if steps_mm[closest] < SLICE_POSITION_TOLERANCE_MM:
        doubles = int((steps_mm < SLICE_POSITION_TOLERANCE_MM).sum())
        raise GeometryMismatchError(
            f"{ordered[closest].name} and {ordered[closest + 1].name} lie {steps_mm[closest]:.3f} mm apart "
            f"({doubles} such pair{'s' if doubles != 1 else ''} in {len(ordered)} slices): duplicates, or a dynamic "
            "or gated series; expected one slice per position. Keep one of them, or one time frame."
        )
    usual_mm = float(np.median(steps_mm))
    widest = int(np.argmax(steps_mm))
    missing_slices = round(steps_mm[widest] / usual_mm) - 1
    if missing_slices >= 1:
        raise GeometryMismatchError(
            f"{ordered[widest].name} and {ordered[widest + 1].name} lie {steps_mm[widest]:.3f} mm apart where the "
            "series has "
            f"steps of {usual_mm:.3f} mm: {missing_slices} slice{'s are' if missing_slices > 1 else ' is'} missing. "
            "Export the complete series."
        )
    spacing_mm = float(depths_mm[-1] - depths_mm[0]) / (len(ordered) - 1)
    offsets_mm = np.abs(depths_mm - depths_mm[0] - spacing_mm * np.arange(len(ordered)))
    worst = int(np.argmax(offsets_mm))
    if offsets_mm[worst] > SLICE_POSITION_TOLERANCE_MM:
        raise GeometryMismatchError(
            f"{ordered[worst].name} lies {offsets_mm[worst]:.3f} mm off a regular spacing of {spacing_mm:.3f} mm "
            f"(steps from {steps_mm.min():.3f} to {steps_mm.max():.3f} mm); expected equal steps within "
            f"{SLICE_POSITION_TOLERANCE_MM} mm. Reconstruct the series with one spacing."
        )
    return spacing_mm, ()


def _thickness_mm(frame: Frame) -> tuple[float, tuple[str, ...]]:
    measures = frame.macro("PixelMeasuresSequence")
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = number(measures, keyword)
        if value is not None and is_positive(abs(value)):
            return abs(value), (
                f"The series has one slice; its thickness of {abs(value):g} mm is taken from {keyword}.",
            )
    raise missing(frame.dataset, "SliceThickness", "to know how thick the only slice is")


def _require_no_shear(ordered: Sequence[Frame], normal: NDArray[np.float64]) -> None:
    if len(ordered) == 1:
        return
    shifts_mm = np.stack([frame.position_mm - ordered[0].position_mm for frame in ordered])
    depths_mm = shifts_mm @ normal
    sideways_mm = np.linalg.norm(shifts_mm - np.outer(depths_mm, normal), axis=1)
    worst = int(np.argmax(sideways_mm))
    if sideways_mm[worst] > max(SLICE_POSITION_TOLERANCE_MM, SHEAR_TOLERANCE * depths_mm[-1]):
        tilt = number(ordered[0].dataset, "GantryDetectorTilt")
        stated = f" (Gantry/Detector Tilt says {tilt:g}°)" if tilt else ""
        raise GeometryMismatchError(
            f"{ordered[worst].name} is shifted {sideways_mm[worst]:.2f} mm sideways against "
            f"{ordered[0].name}{stated}; expected "
            "slices stacked along their normal. Resample the tilted series to a straight grid first."
        )


def read_stack(stack: FrameStack, progress: Progress | None = None) -> NDArray[Any]:
    """Stored pixel values of a stack, shape (k, j, i), without rescaling."""
    decoded: dict[Path, NDArray[Any]] = {}
    slices = []
    single = len({frame.path for frame in stack.frames}) == len(stack.frames)
    for number_done, frame in enumerate(stack.frames):
        report_progress(progress, 0.5 + 0.5 * number_done / len(stack.frames), "Reading DICOM pixels")
        if frame.path not in decoded:
            pixels = stored_pixels(frame.path)
            decoded = {frame.path: pixels} if single else {**decoded, frame.path: pixels}
        slices.append(decoded[frame.path][frame.index])
    return np.stack(slices)


def rescaling(frame: Frame) -> tuple[float | None, float | None]:
    """Rescale slope and intercept of a frame, None where the header has none."""
    item = frame.macro("PixelValueTransformationSequence")
    return number(item, "RescaleSlope"), number(item, "RescaleIntercept")
