"""CT series to Hounsfield units."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileFormatError, UnitError
from ..progress import Progress
from ..provenance import Record
from ..units import Quantity
from .dicom_files import DicomSeries, without_localizers
from .dicom_header import date_and_time, date_time, integer, missing, text
from .dicom_series import Frame, frames_of, read_stack, rescaling, stack_frames
from .volume import QuantitativeVolume

AIR_HU = -1024.0
"""What padding and everything below becomes: the CT number of air at the bottom of a 12-bit scale."""

_HOUNSFIELD_TYPES = (None, "HU", "HU_MOD", "US")
"""Rescale types of a CT in Hounsfield units; "US" means unspecified, a missing type means HU (PS3.3 C.8.2.1)."""


def read_ct(series: DicomSeries, progress: Progress | None = None) -> QuantitativeVolume:
    """CT numbers of a series.

    Parameters
    ----------
    series
        Headers and files of one CT series; localizers in it are left out.
    progress
        Who is told how far reading has come.

    Returns
    -------
    QuantitativeVolume
        CT numbers [HU], array (k, j, i) of float32. Pixel padding, and whatever lies below, is set to `AIR_HU`.

    Raises
    ------
    FileFormatError
        The rescaling is missing or the pixels cannot be read.
    UnitError
        The rescale type says that the numbers are no Hounsfield units.
    GeometryMismatchError
        The slices do not make one regular grid.
    """
    series = without_localizers(series)
    stack = stack_frames(
        [
            frame
            for dataset, path in zip(series.datasets, series.paths, strict=True)
            for frame in frames_of(dataset, path)
        ]
    )
    stored_kji = read_stack(stack, progress)
    hu_kji = np.empty(stored_kji.shape, dtype=np.float32)
    padded_count = low_count = 0
    for k, frame in enumerate(stack.frames):
        slope, intercept = _hounsfield_rescaling(frame)
        hu_kji[k] = stored_kji[k] * slope + intercept
        padding = _padding(frame, stored_kji[k])
        padded_count += int(padding.sum())
        low = (hu_kji[k] < AIR_HU) & ~padding
        low_count += int(low.sum())
        hu_kji[k][padding | low] = AIR_HU
    warnings = list(stack.warnings)
    if low_count:
        warnings.append(
            f"{low_count} voxels below {AIR_HU:g} HU were set to {AIR_HU:g} HU (outside the scanner's circle)."
        )
    first = stack.frames[0].dataset
    if text(first, "LossyImageCompression") == "01":
        warnings.append("The CT was stored with lossy compression: its CT numbers are approximate.")
    record = Record(
        "read a CT series from DICOM",
        parameters={
            "slices": len(stack.frames),
            "padded_voxels": padded_count,
            "tube_voltage_kv": text(first, "KVP"),
            "convolution_kernel": text(first, "ConvolutionKernel"),
        },
        warnings=tuple(warnings),
    )
    return QuantitativeVolume(hu_kji, stack.geometry, Quantity.CT_NUMBER, _acquisition_time(stack.frames[0]), record)


def _hounsfield_rescaling(frame: Frame) -> tuple[float, float]:
    slope, intercept = rescaling(frame)
    if slope is None or intercept is None:
        raise missing(frame.dataset, "RescaleSlope" if slope is None else "RescaleIntercept", "to get Hounsfield units")
    kind = text(frame.macro("PixelValueTransformationSequence"), "RescaleType")
    if kind not in _HOUNSFIELD_TYPES:
        raise UnitError(
            f"Rescale Type (0028,1054) of {frame.name} is '{kind}'; expected HU. Give a CT in Hounsfield units."
        )
    if slope == 0:
        raise FileFormatError(
            f"Rescale Slope (0028,1053) of {frame.name} is 0; expected a number that keeps the image."
        )
    return slope, intercept


def _padding(frame: Frame, stored_ji: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels outside the reconstructed circle, by Pixel Padding Value and its range limit."""
    bits = integer(frame.dataset, "BitsAllocated", 1) or 16
    signed = stored_ji.dtype.kind == "i"
    value = integer(frame.dataset, "PixelPaddingValue", lowest=-(2**31))
    if value is None:
        return np.zeros(stored_ji.shape, dtype=bool)
    limit = integer(frame.dataset, "PixelPaddingRangeLimit", lowest=-(2**31))
    bounds = [_as_stored(bound, bits, signed) for bound in (value, value if limit is None else limit)]
    return (stored_ji >= min(bounds)) & (stored_ji <= max(bounds))


def _as_stored(value: int, bits: int, signed: bool) -> int:
    """A padding value whose sign was written the other way than the pixels', as the pixels have it."""
    if signed and value >= 2 ** (bits - 1):
        return value - 2**bits
    if not signed and value < 0:
        return value + 2**bits
    return value


def _acquisition_time(frame: Frame) -> datetime | None:
    dataset = frame.dataset
    return (
        date_time(dataset, "AcquisitionDateTime")
        or date_and_time(dataset, "AcquisitionDate", "AcquisitionTime")
        or date_and_time(dataset, "SeriesDate", "SeriesTime")
        or date_and_time(dataset, "ContentDate", "ContentTime")
    )
