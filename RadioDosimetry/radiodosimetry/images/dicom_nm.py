"""Tomographic NM (SPECT) images to activity concentration [Bq/mL], or to counts where that is what is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from ..errors import FileFormatError, InputError, UnitError
from ..progress import Progress, report_progress
from ..provenance import Record
from ..units import BECQUEREL_PER_MEGABECQUEREL, Quantity
from .dicom_decay import acquisition_time, injection_time
from .dicom_files import DicomSeries
from .dicom_header import (
    MILLISECONDS_PER_SECOND,
    date_and_time,
    first_item,
    integer,
    is_positive,
    items,
    missing,
    number,
    numbers,
    text,
    texts,
)
from .dicom_pixels import stored_pixels
from .dicom_series import orientation_of, pixel_spacing_of
from .geometry import VolumeGeometry
from .volume import QuantitativeVolume

_OTHER_VECTORS = {
    "EnergyWindowVector": "energy windows",
    "DetectorVector": "detectors",
    "TimeSlotVector": "time slots (gated)",
    "PhaseVector": "phases (dynamic)",
}


@dataclass(frozen=True)
class Calibration:
    """What turns counts into activity, given by the user.

    Attributes
    ----------
    bq_per_ml_per_count
        Activity concentration per count in a voxel.
    bq_per_count_per_s
        Activity per count rate: the inverse of the camera's sensitivity [counts/s per Bq] in reconstructed counts.
    acquisition_duration_s
        Time the counts were collected over, for `bq_per_count_per_s`; from the header where not given.
    """

    bq_per_ml_per_count: float | None = None
    bq_per_count_per_s: float | None = None
    acquisition_duration_s: float | None = None

    def __post_init__(self) -> None:
        for name in ("bq_per_ml_per_count", "bq_per_count_per_s", "acquisition_duration_s"):
            value = getattr(self, name)
            if value is not None and not is_positive(value):
                raise InputError(f"The calibration {name} is {value}; expected a finite number above zero.")
        if self.bq_per_ml_per_count is not None and self.bq_per_count_per_s is not None:
            raise InputError(
                "Two calibration factors were given, Bq/mL per count and Bq per count/s; give one of them."
            )


def read_nm(
    series: DicomSeries,
    quantity: Quantity | None = None,
    calibration: Calibration | None = None,
    *,
    reference_time: datetime | None = None,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """A reconstructed tomographic NM image.

    Parameters
    ----------
    series
        One multi-frame file.
    quantity
        `COUNTS` for the counts as they are; else activity concentration.
    calibration
        Factor from counts to activity. Not needed where the file says that it is in Bq/mL; refused then.
    reference_time
        Moment at which the activity holds; else the acquisition time. No decay correction is made or undone.
    progress
        Who is told how far reading has come.

    Returns
    -------
    QuantitativeVolume
        Activity concentration [Bq/mL] or counts, array (k, j, i) of float32. A missing orientation is taken as axial
        and a missing position as zero, with warnings.

    Raises
    ------
    UnitError
        Activity is wanted and there is neither a calibration nor a unit in the file.
    FileFormatError
        No reconstructed tomogram, several energy windows, gates or phases in one file, or missing attributes.
    """
    calibration = calibration or Calibration()
    dataset, path = _single_file(series)
    _require_tomogram(dataset, path)
    geometry, flipped, warnings = _geometry(dataset, path)
    report_progress(progress, 0.5, "Reading DICOM pixels")
    stored_kji = stored_pixels(path).astype(np.float64)
    values_kji = stored_kji[::-1] if flipped else stored_kji
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    values_kji = values_kji * (1.0 if slope is None else slope) + (intercept or 0.0)
    quantity, factor_text, values_kji, more = _calibrated(dataset, path, quantity, calibration, values_kji, geometry)
    moment = reference_time.replace(tzinfo=None) if reference_time is not None else _time(dataset)
    if moment is None:
        more = (*more, "The file has no acquisition time: give reference_time to place the scan on a time axis.")
    parameters, injection_warnings = _parameters(dataset, moment)
    record = Record(
        "read a tomographic NM image from DICOM",
        parameters={"slices": geometry.shape_kji[0], "calibration": factor_text, **parameters},
        warnings=(*warnings, *more, *injection_warnings),
    )
    return QuantitativeVolume(values_kji.astype(np.float32), geometry, quantity, moment, record)


def _single_file(series: DicomSeries) -> tuple[Dataset, Path]:
    if len(series.datasets) != 1:
        raise InputError(
            f"{series} has {len(series.paths)} NM images ({', '.join(path.name for path in series.paths[:4])}, …); "
            "expected one reconstructed tomogram. Give that file."
        )
    return series.datasets[0], series.paths[0]


def _require_tomogram(dataset: Dataset, path: Path) -> None:
    kinds = texts(dataset, "ImageType")
    kind = kinds[2] if len(kinds) > 2 else "unknown"
    if kind != "RECON TOMO":
        raise FileFormatError(
            f"Image Type (0008,0008) of {path.name} is {kind}; expected RECON TOMO, a reconstructed ungated tomogram "
            "(projections, planar and gated images hold no activity per voxel). Give the reconstruction."
        )
    for keyword, word in _OTHER_VECTORS.items():
        values = numbers(dataset, keyword)
        if values is not None and np.unique(values).size > 1:
            raise FileFormatError(
                f"{path.name} holds {np.unique(values).size} {word} in one file; expected one volume. Export it alone."
            )


def _geometry(dataset: Dataset, path: Path) -> tuple[VolumeGeometry, bool, tuple[str, ...]]:
    """The grid, whether the frames run against it, and the assumptions taken."""
    warnings: list[str] = []
    detector = first_item(dataset, "DetectorInformationSequence") or Dataset()
    where = detector if "ImageOrientationPatient" in detector else dataset
    if numbers(where, "ImageOrientationPatient") is None:
        orientation = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        warnings.append(
            "The file has no Image Orientation (0020,0037): the slices are taken as axial, head first, supine."
        )
    else:
        orientation = orientation_of(where, path)
    where = detector if "ImagePositionPatient" in detector else dataset
    position = numbers(where, "ImagePositionPatient", 3)
    if position is None:
        position = np.zeros(3)
        warnings.append(
            "The file has no Image Position (0020,0032): the grid starts at 0 mm; register before combining."
        )
    row_spacing_mm, column_spacing_mm = pixel_spacing_of(dataset, path)
    step_mm = number(dataset, "SpacingBetweenSlices")
    if step_mm is None or step_mm == 0:
        step_mm = number(dataset, "SliceThickness")
        if not is_positive(step_mm):
            raise missing(dataset, "SpacingBetweenSlices", "to know the distance between slices")
        warnings.append(
            f"The file has no Spacing Between Slices (0018,0088): its Slice Thickness of {step_mm:g} mm is used."
        )
    frame_count = integer(dataset, "NumberOfFrames", 1) or 1
    flipped = _runs_backwards(dataset, path, frame_count) != (step_mm is not None and step_mm < 0)
    spacing_mm = abs(float(step_mm or 0))
    normal = np.cross(*orientation)
    if step_mm is not None and step_mm < 0:
        position = position - (frame_count - 1) * spacing_mm * normal
    rows, columns = integer(dataset, "Rows", 1), integer(dataset, "Columns", 1)
    geometry = VolumeGeometry(
        (frame_count, rows or 0, columns or 0),
        (float(column_spacing_mm), float(row_spacing_mm), spacing_mm),
        tuple(position),
        np.stack([*orientation, normal], axis=1),
        text(dataset, "FrameOfReferenceUID"),
    )
    return geometry, flipped, tuple(warnings)


def _runs_backwards(dataset: Dataset, path: Path, frame_count: int) -> bool:
    """Whether Slice Vector counts down; it must name every slice once, in order."""
    vector = numbers(dataset, "SliceVector")
    if vector is None or frame_count == 1:
        return False
    steps = np.diff(vector)
    if vector.size != frame_count or not (np.all(steps == 1) or np.all(steps == -1)):
        raise FileFormatError(
            f"Slice Vector (0054,0080) of {path.name} is {vector[:8].astype(int).tolist()}…, {vector.size} values; "
            f"expected each of {frame_count} slices once and in order. Export the reconstruction again."
        )
    return bool(steps[0] == -1)


def _unit_in_file(dataset: Dataset) -> tuple[float, float] | None:
    """Slope and intercept from stored values to Bq/mL where the file says so itself."""
    for mapping in items(dataset, "RealWorldValueMappingSequence"):
        code = first_item(mapping, "MeasurementUnitsCodeSequence")
        if code is not None and (text(code, "CodeValue") or "").upper() == "BQ/ML":
            slope = number(mapping, "RealWorldValueSlope")
            if slope is not None:
                return slope, number(mapping, "RealWorldValueIntercept") or 0.0
    if (text(dataset, "Units") or "").upper() == "BQML":
        return number(dataset, "RescaleSlope") or 1.0, number(dataset, "RescaleIntercept") or 0.0
    return None


def _calibrated(
    dataset: Dataset,
    path: Path,
    quantity: Quantity | None,
    calibration: Calibration,
    values_kji: NDArray[np.float64],
    geometry: VolumeGeometry,
) -> tuple[Quantity, str, NDArray[np.float64], tuple[str, ...]]:
    given = calibration.bq_per_ml_per_count is not None or calibration.bq_per_count_per_s is not None
    if quantity is Quantity.COUNTS:
        if given:
            raise UnitError("Counts are wanted and a calibration factor was given; leave out one of the two.")
        return quantity, "none: counts", values_kji, ()
    in_file = _unit_in_file(dataset)
    if in_file is not None:
        if given:
            raise UnitError(
                f"{path.name} says that it is in Bq/mL; a calibration factor would be applied twice. Leave it out."
            )
        slope = number(dataset, "RescaleSlope")
        stored_kji = (values_kji - (number(dataset, "RescaleIntercept") or 0.0)) / (slope or 1.0)
        return Quantity.ACTIVITY_CONCENTRATION, "Bq/mL by the file", stored_kji * in_file[0] + in_file[1], ()
    activity = Quantity.ACTIVITY_CONCENTRATION
    if calibration.bq_per_ml_per_count is not None:
        factor = calibration.bq_per_ml_per_count
        return activity, f"{factor:g} Bq/mL per count", values_kji * factor, ()
    if calibration.bq_per_count_per_s is not None:
        duration_s, warnings = _duration_s(dataset, path, calibration)
        factor = calibration.bq_per_count_per_s / duration_s / geometry.voxel_volume_ml
        note = f"{calibration.bq_per_count_per_s:g} Bq per count/s over {duration_s:g} s"
        return activity, note, values_kji * factor, warnings
    raise UnitError(
        f"{path.name} holds counts and no calibration; expected activity. Give calibration_bq_per_ml_per_count or "
        "calibration_bq_per_count_per_s of your camera and reconstruction, or ask for the quantity counts."
    )


def _duration_s(dataset: Dataset, path: Path, calibration: Calibration) -> tuple[float, tuple[str, ...]]:
    if calibration.acquisition_duration_s is not None:
        return calibration.acquisition_duration_s, ()
    rotation = first_item(dataset, "RotationInformationSequence")
    duration_ms = number(rotation, "ActualFrameDuration") if rotation is not None else None
    frames = number(rotation, "NumberOfFramesInRotation") if rotation is not None else None
    if duration_ms is None or frames is None or not is_positive(duration_ms * frames):
        raise UnitError(
            f"{path.name} does not say how long was counted (Rotation Information Sequence (0054,0052)); it is "
            "needed for a factor in Bq per count/s. Give acquisition_duration_s."
        )
    duration_s = frames * duration_ms / MILLISECONDS_PER_SECOND
    return duration_s, (
        f"The counting time of {duration_s:g} s is {frames:g} projections of "
        f"{duration_ms / MILLISECONDS_PER_SECOND:g} s from "
        "the header: give acquisition_duration_s if the camera's factor was measured with another definition.",
    )


def _time(dataset: Dataset) -> datetime | None:
    return (
        acquisition_time(dataset)
        or date_and_time(dataset, "SeriesDate", "SeriesTime")
        or date_and_time(dataset, "ContentDate", "ContentTime")
    )


def _parameters(dataset: Dataset, moment: datetime | None) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    item = first_item(dataset, "RadiopharmaceuticalInformationSequence")
    weight_kg = number(dataset, "PatientWeight")
    common = {"image_id": text(dataset, "ImageID"), "patient_weight_kg": weight_kg if is_positive(weight_kg) else None}
    if item is None:
        return {**common, "injected_activity_bq": None, "injection_time": None, "radionuclide": None}, ()
    dose_mbq = number(item, "RadionuclideTotalDose")
    warnings: tuple[str, ...] = ()
    if dose_mbq is not None and dose_mbq > 1e5:
        warnings = (
            f"Radionuclide Total Dose is {dose_mbq:g}; NM files hold MBq, this looks like Bq: check before using it.",
        )
    start, start_warnings = injection_time(item, moment)
    code = first_item(item, "RadionuclideCodeSequence")
    # Radionuclide Total Dose is in MBq in NM images, in Bq in PET images (PS3.3 C.8.4.10 and C.8.9.2).
    activity_bq = dose_mbq * BECQUEREL_PER_MEGABECQUEREL if dose_mbq is not None and is_positive(dose_mbq) else None
    return {
        **common,
        "injected_activity_bq": activity_bq if activity_bq is None or math.isfinite(activity_bq) else None,
        "injection_time": start.isoformat() if start else None,
        "radionuclide": text(code, "CodeMeaning") if code is not None else text(item, "Radiopharmaceutical"),
    }, (*warnings, *start_warnings)
