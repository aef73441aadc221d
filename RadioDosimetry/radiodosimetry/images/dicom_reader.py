"""One door to DICOM images: find the series that is meant and hand it to the reader of its modality."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from ..errors import InputError, UnitError
from ..progress import Progress, report_progress
from ..provenance import file_identity
from ..units import Quantity
from .dicom_ct import read_ct
from .dicom_files import DicomSeries, choose_series, find_series
from .dicom_header import dicom_errors
from .dicom_nm import Calibration, read_nm
from .dicom_pet import read_pet
from .dicom_rtdose import read_rtdose
from .volume import QuantitativeVolume

_MODALITIES_OF_QUANTITY = {
    None: ("CT", "PT", "NM", "RTDOSE"),
    Quantity.CT_NUMBER: ("CT",),
    Quantity.ACTIVITY_CONCENTRATION: ("PT", "NM"),
    Quantity.COUNTS: ("NM",),
    Quantity.ABSORBED_DOSE: ("RTDOSE",),
}


def read_dicom(
    path: Path,
    quantity: Quantity | None = None,
    *,
    series_uid: str | None = None,
    calibration_bq_per_ml_per_count: float | None = None,
    calibration_bq_per_count_per_s: float | None = None,
    acquisition_duration_s: float | None = None,
    reference_time: datetime | None = None,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """An image from a DICOM file or folder, in the unit of its quantity.

    Parameters
    ----------
    path
        A file, or a folder (with subfolders) in which one series fits; files that are no DICOM are passed over.
    quantity
        What is wanted: CT numbers (CT), activity concentration (PET, SPECT), counts (SPECT) or absorbed dose (RT Dose).
        It also chooses among the modalities of a folder. None takes the only image series there is.
    series_uid
        Series Instance UID, where several series fit.
    calibration_bq_per_ml_per_count, calibration_bq_per_count_per_s
        Factor from counts to activity for SPECT without a unit; one of the two. Refused for other modalities.
    acquisition_duration_s
        Time over which counts were collected, for `calibration_bq_per_count_per_s`; from the header if not given.
    reference_time
        Moment at which an activity image holds, instead of the header's. Local time of the scanner.
    progress
        Who is told how far reading has come.

    Returns
    -------
    QuantitativeVolume
        CT [HU], activity [Bq/mL], counts or dose [Gy], array (k, j, i), right-handed grid with its frame of reference;
        guesses taken are warnings of the record, series and files its inputs.

    Raises
    ------
    FileFormatError
        Files are missing, damaged, cut short, or lack an attribute, which is named.
    UnitError
        The numbers cannot be turned into the quantity; the text says why.
    GeometryMismatchError
        The slices do not make one regular grid.
    InputError
        No series or several fit; the text lists them. Or an option does not belong to this modality.
    """
    path = Path(path)
    if quantity not in _MODALITIES_OF_QUANTITY:
        known = ", ".join(item.value for item in _MODALITIES_OF_QUANTITY if item is not None)
        raise UnitError(
            f"DICOM images hold {known}; {quantity.value if quantity else None} was asked for. Give one of these."
        )
    with dicom_errors(path):
        series = choose_series(path, find_series(path, progress), _MODALITIES_OF_QUANTITY[quantity], series_uid)
        calibration = Calibration(
            calibration_bq_per_ml_per_count, calibration_bq_per_count_per_s, acquisition_duration_s
        )
        _refuse_misplaced_options(series, calibration, reference_time)
        volume = _read(series, quantity, calibration, reference_time, progress)
        report_progress(progress, 1.0, "Read DICOM")
        identity = {**file_identity(path), "series_uid": series.uid or None, "modality": series.modality}
        return replace(volume, record=volume.record.with_inputs(file=identity))


def _refuse_misplaced_options(series: DicomSeries, calibration: Calibration, reference_time: datetime | None) -> None:
    if series.modality != "NM" and calibration != Calibration():
        raise InputError(f"A calibration factor was given for {series}; only SPECT (NM) counts need one. Leave it out.")
    if series.modality not in ("PT", "NM") and reference_time is not None:
        raise InputError(f"A reference time was given for {series}; only activity images have one. Leave it out.")


def _read(
    series: DicomSeries,
    quantity: Quantity | None,
    calibration: Calibration,
    reference_time: datetime | None,
    progress: Progress | None,
) -> QuantitativeVolume:
    if series.modality == "CT":
        return read_ct(series, progress)
    if series.modality == "PT":
        return read_pet(series, reference_time=reference_time, progress=progress)
    if series.modality == "NM":
        return read_nm(series, quantity, calibration, reference_time=reference_time, progress=progress)
    return read_rtdose(series, progress)
