"""RT Dose files to absorbed dose [Gy]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..errors import FileFormatError, GeometryMismatchError, InputError, UnitError
from ..progress import Progress, report_progress
from ..provenance import Record
from ..units import Quantity
from .dicom_files import DicomSeries
from .dicom_header import integer, is_positive, missing, number, numbers, required_integer, required_number, text
from .dicom_pixels import stored_pixels
from .dicom_series import SLICE_POSITION_TOLERANCE_MM, orientation_of, pixel_spacing_of
from .geometry import VolumeGeometry
from .volume import QuantitativeVolume


def read_rtdose(series: DicomSeries, progress: Progress | None = None) -> QuantitativeVolume:
    """Absorbed dose of an RT Dose file.

    Parameters
    ----------
    series
        One RT Dose file; Grid Frame Offset Vector may be relative (first value 0) or absolute (first value the z of
        Image Position, axial grids only), PS3.3 C.8.8.3.2.
    progress
        Who is told how far reading has come.

    Returns
    -------
    QuantitativeVolume
        Absorbed dose [Gy], array (k, j, i) of float64, on a right-handed grid.

    Raises
    ------
    UnitError
        Dose Units other than GY, or Dose Type other than PHYSICAL.
    FileFormatError
        Attributes are missing, damaged or contradict each other.
    GeometryMismatchError
        The planes are not equally spaced.
    """
    if len(series.datasets) != 1:
        raise InputError(
            f"{series} has {len(series.paths)} dose files ({', '.join(path.name for path in series.paths[:4])}); "
            "expected one. Give the file that is meant."
        )
    dataset, path = series.datasets[0], series.paths[0]
    _require_physical_gray(dataset, path)
    scaling_gy = required_number(dataset, "DoseGridScaling", "to turn stored numbers into Gy")
    if not is_positive(scaling_gy):
        raise FileFormatError(
            f"Dose Grid Scaling (3004,000E) of {path.name} is {scaling_gy:g}; expected a number above zero."
        )
    geometry, flipped, warnings = _geometry(dataset, path)
    report_progress(progress, 0.5, "Reading DICOM pixels")
    stored_kji = stored_pixels(path)
    dose_gy_kji = (stored_kji[::-1] if flipped else stored_kji).astype(np.float64) * scaling_gy
    record = Record(
        "read absorbed dose from DICOM RT Dose",
        parameters={
            "dose_grid_scaling_gy": scaling_gy,
            "dose_summation_type": text(dataset, "DoseSummationType"),
            "tissue_heterogeneity_correction": text(dataset, "TissueHeterogeneityCorrection"),
            "dose_comment": text(dataset, "DoseComment"),
        },
        warnings=warnings,
    )
    return QuantitativeVolume(dose_gy_kji, geometry, Quantity.ABSORBED_DOSE, None, record)


def _require_physical_gray(dataset: Dataset, path: Path) -> None:
    units = text(dataset, "DoseUnits")
    if units is None:
        raise missing(dataset, "DoseUnits", "to know whether the dose is in Gy")
    if units.upper() != "GY":
        raise UnitError(
            f"Dose Units (3004,0002) of {path.name} is {units}: a dose relative to a normalisation; expected GY. "
            "Export it in Gy."
        )
    kind = text(dataset, "DoseType")
    if kind is not None and kind.upper() != "PHYSICAL":
        raise UnitError(
            f"Dose Type (3004,0004) of {path.name} is {kind}; expected PHYSICAL absorbed dose (EFFECTIVE is "
            "weighted, ERROR a difference). Export the physical dose."
        )


def _geometry(dataset: Dataset, path: Path) -> tuple[VolumeGeometry, bool, tuple[str, ...]]:
    """The right-handed grid, whether the planes run against its slice axis, and the assumptions taken."""
    orientation = orientation_of(dataset, path)
    normal = np.cross(*orientation)
    position = numbers(dataset, "ImagePositionPatient", 3)
    if position is None:
        raise missing(dataset, "ImagePositionPatient", "to place the dose in the patient")
    row_spacing_mm, column_spacing_mm = pixel_spacing_of(dataset, path)
    count = integer(dataset, "NumberOfFrames", 1) or 1
    offsets_mm, warnings = _plane_offsets_mm(dataset, path, count, float(position[2]), normal)
    spacing_mm, thickness_warnings = _spacing_mm(dataset, path, offsets_mm)
    flipped = bool(offsets_mm[-1] < offsets_mm[0])
    origin = position + min(offsets_mm[0], offsets_mm[-1]) * normal
    geometry = VolumeGeometry(
        (count, required_integer(dataset, "Rows", 1), required_integer(dataset, "Columns", 1)),
        (float(column_spacing_mm), float(row_spacing_mm), spacing_mm),
        tuple(origin),
        np.stack([*orientation, normal], axis=1),
        text(dataset, "FrameOfReferenceUID"),
    )
    return geometry, flipped, (*warnings, *thickness_warnings)


def _plane_offsets_mm(
    dataset: Dataset, path: Path, count: int, first_z_mm: float, normal: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Distance of each plane from Image Position along the normal."""
    offsets_mm = numbers(dataset, "GridFrameOffsetVector")
    if offsets_mm is None:
        if count == 1:
            return np.zeros(1), ()
        raise missing(dataset, "GridFrameOffsetVector", "to know where the planes lie")
    if offsets_mm.size != count:
        raise FileFormatError(
            f"Grid Frame Offset Vector (3004,000C) of {path.name} has {offsets_mm.size} values for {count} planes; "
            "expected one for each. Export the dose again."
        )
    if offsets_mm[0] == 0:
        return offsets_mm, ()
    axial = abs(abs(normal[2]) - 1) < 1e-6
    if not axial or abs(offsets_mm[0] - first_z_mm) > SLICE_POSITION_TOLERANCE_MM:
        raise FileFormatError(
            f"Grid Frame Offset Vector (3004,000C) of {path.name} starts with {offsets_mm[0]:g} mm; expected 0 "
            "(relative) or, in "
            f"an axial grid, the z of Image Position, {first_z_mm:g} mm (absolute). Export the dose again."
        )
    return (offsets_mm - offsets_mm[0]) * np.sign(normal[2]), ()


def _spacing_mm(dataset: Dataset, path: Path, offsets_mm: NDArray[np.float64]) -> tuple[float, tuple[str, ...]]:
    if offsets_mm.size == 1:
        thickness_mm = number(dataset, "SliceThickness")
        if thickness_mm is None or thickness_mm <= 0:
            raise missing(dataset, "SliceThickness", "to know how thick the only plane is")
        return thickness_mm, (f"The dose has one plane; its thickness of {thickness_mm:g} mm is Slice Thickness.",)
    steps_mm = np.diff(offsets_mm)
    step_mm = float(offsets_mm[-1] - offsets_mm[0]) / (offsets_mm.size - 1)
    regular_mm = offsets_mm[0] + step_mm * np.arange(offsets_mm.size)
    worst_mm = float(np.abs(offsets_mm - regular_mm).max())
    if worst_mm > SLICE_POSITION_TOLERANCE_MM or abs(step_mm) < SLICE_POSITION_TOLERANCE_MM:
        raise GeometryMismatchError(
            f"The dose planes of {path.name} are {steps_mm.min():g} to {steps_mm.max():g} mm apart; expected equal "
            f"steps within {SLICE_POSITION_TOLERANCE_MM} mm. Export the dose on a regular grid."
        )
    return abs(step_mm), ()
