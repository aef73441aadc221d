"""Activity concentration as a DICOM PET series: a file per slice, marked as derived, and as synthetic where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, PositronEmissionTomographyImageStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from ..__about__ import __version__
from ..errors import GeometryMismatchError, InputError, UnitError
from ..units import Quantity
from .atomic import OutputTransaction
from .dicom_files import find_series, read_header
from .dicom_header import dicom_errors, text, value_of
from .volume import QuantitativeVolume

LARGEST_STORED_VALUE = 32767
"""Largest number in the 16 bits: readers that take them as signed are right too. Each slice has its own slope."""

PLACEHOLDER_PATIENT = "ANONYMOUS"
"""Patient's Name and ID where no reference says whose image it is."""

MOMENT_MS = "1"
"""Actual Frame Duration [ms] of an image that holds at a moment and was not acquired over a time; DICOM wants one."""

_COPIED_KEYWORDS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientWeight", "PatientSize", "PatientAge",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
    "StudyDescription", "PatientPosition",
)  # fmt: skip

_SHORT_LENGTH, _LONG_LENGTH = 64, 1024


@dataclass(frozen=True)
class PetSeriesDescription:
    """What a PET series says of itself.

    Attributes
    ----------
    series
        Series Description; at most 64 characters are kept.
    derivation
        Derivation Description: how the values came to be; at most 1024 characters are kept.
    nuclide, half_life_s
        Of the tracer [s].
    injection
        When it was given; None if unknown.
    administered_bq
        Administered activity [Bq]; None if unknown.
    synthetic
        Whether a model made it: said first in both descriptions, and as Reconstruction Method.
    """

    series: str
    derivation: str
    nuclide: str
    half_life_s: float
    injection: datetime | None = None
    administered_bq: float | None = None
    synthetic: bool = False


def write_pet_series(
    activity: QuantitativeVolume,
    folder: Path,
    description: PetSeriesDescription,
    *,
    reference: Path | None = None,
    transaction: OutputTransaction | None = None,
) -> list[Path]:
    """Write activity concentration as Positron Emission Tomography Image Storage, one file per slice.

    Parameters
    ----------
    activity
        Activity concentration [Bq/mL] with its time, none below zero.
    folder
        An existing folder without other DICOM files; files are called `slice_0001.dcm`, ….
    description
        What the series says of itself.
    reference
        DICOM file or folder (the early scan) whose patient, study and frame of reference the series belongs to. Without
        it the patient is `PLACEHOLDER_PATIENT` and the study is new.
    transaction
        Group of outputs these belong to; None writes them alone.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    UnitError
        Another quantity.
    InputError
        Negative activity, or no time.
    GeometryMismatchError
        The reference lies in another frame of reference.
    FileFormatError
        The reference cannot be read.
    OutputError
        The files could not be written.

    Notes
    -----
    Values hold at the series' time (Decay Correction START with a frame of `MOMENT_MS`). DICOM PS3.3 A.21 and C.8.9.
    """
    if activity.quantity is not Quantity.ACTIVITY_CONCENTRATION:
        raise UnitError(f"A PET series holds activity concentration [Bq/mL]; found {activity.quantity.value}.")
    if activity.time is None:
        raise InputError(
            "A PET series needs the time at which its activity holds; the scan names none. Give the time of injection."
        )
    if float(activity.array_kji.min()) < 0:
        raise InputError(
            f"The lowest activity is {float(activity.array_kji.min()):.4g} Bq/mL; expected none below zero."
        )
    common = _common(activity, description, reference)
    folder = Path(folder)
    paths = [folder / f"slice_{number:04d}.dcm" for number in range(1, activity.geometry.shape_kji[0] + 1)]
    if transaction is None:
        with OutputTransaction() as own:
            _write(activity, common, paths, own)
    else:
        _write(activity, common, paths, transaction)
    return paths


def _write(activity: QuantitativeVolume, common: Dataset, paths: list[Path], transaction: OutputTransaction) -> None:
    for index, path in enumerate(paths):
        _slice(activity, common, index).save_as(transaction.path_for(path), enforce_file_format=True)


def _common(activity: QuantitativeVolume, description: PetSeriesDescription, reference: Path | None) -> Dataset:
    """What all slices share."""
    source = Dataset() if reference is None else _reference_header(Path(reference))
    dataset = Dataset()
    for keyword in _COPIED_KEYWORDS:
        value = value_of(source, keyword)
        setattr(dataset, keyword, "" if value is None else value)
    if not dataset.PatientID:
        dataset.PatientName, dataset.PatientID = f"{PLACEHOLDER_PATIENT}^", PLACEHOLDER_PATIENT
    dataset.StudyInstanceUID = dataset.StudyInstanceUID or generate_uid()
    dataset.StudyID = dataset.StudyID or "1"
    for keyword in ("PatientWeight", "PatientSize", "PatientAge"):
        if not dataset.get(keyword):
            delattr(dataset, keyword)
    charset = value_of(source, "SpecificCharacterSet")
    if charset is not None:
        dataset.SpecificCharacterSet = charset
        dataset.decode()
    own, other = activity.geometry.frame_of_reference_uid, text(source, "FrameOfReferenceUID")
    if own is not None and other is not None and own != other:
        raise GeometryMismatchError(
            f"The activity lies in frame of reference {own}, the reference {Path(str(reference)).name} in {other}; "
            "expected the same. Give the scan that it was made from."
        )
    dataset.FrameOfReferenceUID = own or other or generate_uid()
    dataset.PositionReferenceIndicator = ""
    _set_series(dataset, activity, description)
    return dataset


def _set_series(dataset: Dataset, activity: QuantitativeVolume, description: PetSeriesDescription) -> None:
    """Series, equipment and PET series modules."""
    mark = "SYNTHETIC " if description.synthetic else ""
    moment = activity.time or datetime.now()
    dataset.SOPClassUID = PositronEmissionTomographyImageStorage
    dataset.Modality = "PT"
    dataset.Manufacturer = dataset.ManufacturerModelName = "RadioDosimetry"
    dataset.SoftwareVersions = __version__
    dataset.SeriesInstanceUID = generate_uid()
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = f"{mark}{description.series}"[:_SHORT_LENGTH]
    for prefix in ("Series", "Acquisition", "Content"):
        setattr(dataset, f"{prefix}Date", moment.strftime("%Y%m%d"))
        setattr(dataset, f"{prefix}Time", moment.strftime("%H%M%S.%f"))
    if not dataset.StudyDate:
        dataset.StudyDate, dataset.StudyTime = dataset.SeriesDate, dataset.SeriesTime
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.DerivationDescription = f"{mark}{description.derivation}"[:_LONG_LENGTH]
    dataset.BurnedInAnnotation = "NO"
    dataset.LossyImageCompression = "00"
    dataset.Units, dataset.CountsSource, dataset.SeriesType = "BQML", "EMISSION", ["WHOLE BODY", "IMAGE"]
    dataset.NumberOfSlices = activity.geometry.shape_kji[0]
    dataset.CorrectedImage = ["NORM", "ATTN", "SCAT", "DECY"]
    dataset.DecayCorrection = "START"
    dataset.DecayFactor = "1"
    dataset.FrameReferenceTime = "0"
    dataset.ActualFrameDuration = MOMENT_MS
    dataset.CollimatorType = "NONE"
    dataset.ReconstructionMethod = "SYNTHETIC" if description.synthetic else "DERIVED"
    item = Dataset()
    item.Radiopharmaceutical = description.nuclide
    item.RadionuclideHalfLife = format_number_as_ds(description.half_life_s)
    if description.administered_bq is not None:
        item.RadionuclideTotalDose = format_number_as_ds(description.administered_bq)
    if description.injection is not None:
        item.RadiopharmaceuticalStartDateTime = description.injection.strftime("%Y%m%d%H%M%S.%f")
        item.RadiopharmaceuticalStartTime = description.injection.strftime("%H%M%S.%f")
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "nuclide", "99RADIODOSIMETRY", description.nuclide
    item.RadionuclideCodeSequence = DicomSequence([code])
    dataset.RadiopharmaceuticalInformationSequence = DicomSequence([item])
    dataset.PatientOrientationCodeSequence = DicomSequence([])
    dataset.PatientGantryRelationshipCodeSequence = DicomSequence([])


def _slice(activity: QuantitativeVolume, common: Dataset, index: int) -> FileDataset:
    """One slice with its place, its scale and its pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = PositronEmissionTomographyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.update(common)
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    geometry = activity.geometry
    values = np.asarray(activity.array_kji[index], dtype=np.float64)
    column_mm, row_mm, slice_mm = geometry.spacing_mm
    position = (geometry.ijk_to_lps @ np.array([0.0, 0.0, index, 1.0]))[:3]
    dataset.InstanceNumber = dataset.ImageIndex = index + 1
    dataset.ImagePositionPatient = [format_number_as_ds(float(value) + 0.0) for value in position]
    cosines = (*geometry.direction[:, 0], *geometry.direction[:, 1])
    dataset.ImageOrientationPatient = [format_number_as_ds(float(value) + 0.0) for value in cosines]
    dataset.PixelSpacing = [format_number_as_ds(row_mm), format_number_as_ds(column_mm)]
    dataset.SliceThickness = format_number_as_ds(slice_mm)
    largest = float(values.max())
    slope = format_number_as_ds(largest / LARGEST_STORED_VALUE * (1 + 1e-9)) if largest > 0 else "1"
    if not (math.isfinite(float(slope)) and float(slope) > 0):
        raise InputError(f"The largest activity of a slice is {largest:.4g} Bq/mL, too small for DICOM; check it.")
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = slope, "0", "BQML"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = values.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelData = np.rint(values / float(slope)).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def _reference_header(reference: Path) -> Dataset:
    if reference.is_file():
        return read_header(reference)
    with dicom_errors(reference):
        headers = [dataset for series in find_series(reference) for dataset in series.datasets]
        for keyword, word in (("PatientID", "patients"), ("StudyInstanceUID", "studies")):
            found = {text(header, keyword) for header in headers} - {None}
            if len(found) > 1:
                raise InputError(f"{reference.name} holds {len(found)} {word}; give one file of the early scan.")
        return headers[0]


def injection_time_of(volume: QuantitativeVolume, time_s: float) -> datetime | None:
    """When the tracer was given, of a volume that holds `time_s` [s] after it; None if the volume names no time."""
    return None if volume.time is None else volume.time - timedelta(seconds=time_s)
