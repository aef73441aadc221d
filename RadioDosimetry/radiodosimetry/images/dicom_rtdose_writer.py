"""Absorbed dose as a DICOM RT Dose file that treatment planning systems and Slicer read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import ExplicitVRLittleEndian, RTDoseStorage, RTPlanStorage, generate_uid
from pydicom.valuerep import format_number_as_ds

from ..__about__ import __version__
from ..errors import GeometryMismatchError, InputError, UnitError
from ..units import Quantity
from .atomic import OutputTransaction
from .dicom_files import find_series, read_header
from .dicom_header import dicom_errors, text, value_of
from .geometry import VolumeGeometry
from .sidecar import Sidecar, sidecar_path
from .volume import QuantitativeVolume

LARGEST_STORED_DOSE = 2**31 - 1
"""Largest pixel value written into the 32 bits: half of them, so that readers that take them as signed are right too.

The rounding is then at most 2.4e-10 of the largest dose.
"""

LARGEST_STORED_DOSE_16_BITS = 2**16 - 1
"""Largest pixel value written into 16 bits; the rounding is then at most 7.7e-6 of the largest dose."""

_LARGEST_BY_BITS = {32: LARGEST_STORED_DOSE, 16: LARGEST_STORED_DOSE_16_BITS}

_SCALING_ROUNDING = 1e-9
"""Relative headroom of the scaling: a decimal string of 16 characters holds at least ten digits."""

_LARGEST_PIXEL_BYTES = 2**32 - 2
"""Native pixel data has a 32-bit length."""

_TEXT_LENGTH = 64

_LONG_TEXT_LENGTH = 1024

_COPIED_KEYWORDS = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "PositionReferenceIndicator",
    "FrameOfReferenceUID",
)

PLACEHOLDER_PATIENT = "ANONYMOUS"
"""Patient's Name and ID where no reference says whose dose it is."""


def write_rtdose(
    dose: QuantitativeVolume,
    path: Path,
    *,
    reference: Path | None = None,
    description: str = "Absorbed dose by RadioDosimetry",
    transaction: OutputTransaction | None = None,
    bits: int = 32,
) -> None:
    """Write absorbed dose as RT Dose Storage, with its sidecar `<file name>.json`.

    Parameters
    ----------
    dose
        Absorbed dose [Gy], none below zero, on any orthonormal grid; a left-handed one is written with its slices in
        the opposite order.
    path
        File to write, complete or not at all.
    reference
        DICOM file or folder (the CT) whose patient, study and frame of reference the dose belongs to. Without it the
        patient is `PLACEHOLDER_PATIENT`, the study is new, and so is a frame of reference the dose does not have: such
        a file lies over the CT only where software is told so.
    description
        Series Description and Dose Comment, at most 64 characters are kept.
    transaction
        Group of outputs this one belongs to; None writes it alone.
    bits
        Bits of a voxel: 32, or 16 for readers that know no others.

    Raises
    ------
    UnitError
        `dose` is another quantity.
    InputError
        Negative dose, a grid too large for the format, or another number of bits.
    GeometryMismatchError
        The reference lies in another frame of reference than the dose.
    FileFormatError
        The reference cannot be read, or holds several patients, studies or frames of reference.
    OutputError
        The file could not be written.

    Notes
    -----
    The standard wants a reference to the plan of a dose (Dose Summation Type PLAN). Radiopharmaceutical therapy has
    none: the reference is a generated identifier, and Dose Comment says how the dose came to be. DICOM PS3.3 C.8.8.3.
    Derivation Description holds what the dose's record warns of, since files part from their sidecars.
    """
    path = Path(path)
    if dose.quantity is not Quantity.ABSORBED_DOSE:
        raise UnitError(
            f"RT Dose holds absorbed dose [Gy]; found {dose.quantity.value} [{dose.unit}]. Convert it first."
        )
    if bits not in _LARGEST_BY_BITS:
        raise InputError(f"A voxel of RT Dose has 16 or 32 bits, found {bits}.")
    attributes = _reference_attributes(reference, dose.geometry)
    dataset = _dataset(dose, attributes, description, bits)
    if transaction is None:
        with OutputTransaction() as own:
            _write(dataset, dose, path, own)
    else:
        _write(dataset, dose, path, transaction)


def _write(dataset: FileDataset, dose: QuantitativeVolume, path: Path, transaction: OutputTransaction) -> None:
    dataset.save_as(transaction.path_for(path), enforce_file_format=True)
    record = dose.record.with_parameters(
        dose_grid_scaling_gy=float(dataset.DoseGridScaling),
        frame_of_reference_uid=str(dataset.FrameOfReferenceUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
    )
    if dataset.PatientID == PLACEHOLDER_PATIENT:
        record = record.with_warnings(
            f"The RT Dose file names no patient ({PLACEHOLDER_PATIENT}): no DICOM reference said whose dose it is."
        )
    sidecar = Sidecar(
        dose.quantity, dose.unit, dose.time, str(dataset.FrameOfReferenceUID), record, f"uint{dataset.BitsAllocated}"
    )
    transaction.write_text(sidecar_path(path), sidecar.as_json())


def _reference_attributes(reference: Path | None, geometry: VolumeGeometry) -> Dataset:
    """Patient, study and frame of reference of the file to be written."""
    source = _reference_header(Path(reference)) if reference is not None else Dataset()
    attributes = Dataset()
    for keyword in _COPIED_KEYWORDS:
        value = value_of(source, keyword)
        setattr(attributes, keyword, "" if value is None else value)
    if reference is None:
        attributes.PatientName, attributes.PatientID = f"{PLACEHOLDER_PATIENT}^", PLACEHOLDER_PATIENT
    if not attributes.PatientID:
        attributes.PatientID = PLACEHOLDER_PATIENT
    if not attributes.StudyInstanceUID:
        attributes.StudyInstanceUID = generate_uid()
    if not attributes.StudyID:
        attributes.StudyID = "1"
    own, other = geometry.frame_of_reference_uid, text(source, "FrameOfReferenceUID")
    if own is not None and other is not None and own != other:
        raise GeometryMismatchError(
            f"The dose lies in frame of reference {own}, the reference {Path(str(reference)).name} in {other}; "
            "expected the same. Give the CT the dose was calculated on."
        )
    attributes.FrameOfReferenceUID = own or other or generate_uid()
    charset = value_of(source, "SpecificCharacterSet")
    if charset is not None:
        attributes.SpecificCharacterSet = charset
        attributes.decode()
    return attributes


def _reference_header(reference: Path) -> Dataset:
    if reference.is_file():
        return read_header(reference)
    with dicom_errors(reference):
        headers = [dataset for series in find_series(reference) for dataset in series.datasets]
        for keyword, word in (
            ("PatientID", "patients"),
            ("StudyInstanceUID", "studies"),
            ("FrameOfReferenceUID", "frames of reference"),
        ):
            found = {text(header, keyword) for header in headers} - {None}
            if len(found) > 1:
                raise InputError(
                    f"{reference.name} holds {len(found)} {word}; expected the series of one CT as reference. Give "
                    "one file of it."
                )
        return headers[0]


def _dataset(dose: QuantitativeVolume, attributes: Dataset, description: str, bits: int) -> FileDataset:
    now = datetime.now()
    geometry, dose_gy_kji = _right_handed(dose)
    stored_kji, scaling = _stored(dose_gy_kji, bits)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = RTDoseStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.update(attributes)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = RTDoseStorage
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "RTDOSE"
    dataset.Manufacturer = dataset.ManufacturerModelName = "RadioDosimetry"
    dataset.SoftwareVersions = __version__
    dataset.OperatorsName = ""
    dataset.SeriesInstanceUID = generate_uid()
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = description[:_TEXT_LENGTH]
    dataset.InstanceNumber = 1
    if dose.record.warnings:
        dataset.DerivationDescription = _shortened(" ".join(dose.record.warnings))
    for prefix in ("InstanceCreation", "Content"):
        setattr(dataset, f"{prefix}Date", now.strftime("%Y%m%d"))
        setattr(dataset, f"{prefix}Time", now.strftime("%H%M%S"))
    if not dataset.StudyDate:
        dataset.StudyDate, dataset.StudyTime = dataset.ContentDate, dataset.ContentTime
    _set_grid(dataset, geometry)
    _set_dose(dataset, stored_kji, scaling, description)
    return dataset


def _shortened(text: str) -> str:
    """A text that fits into one of 1024 characters, cut between words; dots say that there is more."""
    if len(text) <= _LONG_TEXT_LENGTH:
        return text
    return f"{text[: _LONG_TEXT_LENGTH - 3].rpartition(' ')[0]}..."


def _set_grid(dataset: Dataset, geometry: VolumeGeometry) -> None:
    column_spacing_mm, row_spacing_mm, slice_spacing_mm = geometry.spacing_mm
    count = geometry.shape_kji[0]
    dataset.ImagePositionPatient = _decimals(geometry.origin_mm)
    dataset.ImageOrientationPatient = _decimals([*geometry.direction[:, 0], *geometry.direction[:, 1]])
    dataset.PixelSpacing = _decimals([row_spacing_mm, column_spacing_mm])
    dataset.SliceThickness = _decimals([slice_spacing_mm])[0]
    dataset.NumberOfFrames = count
    dataset.FrameIncrementPointer = 0x3004000C
    dataset.GridFrameOffsetVector = _decimals([index * slice_spacing_mm for index in range(count)])


def _set_dose(dataset: Dataset, stored_kji: NDArray[np.unsignedinteger], scaling: str, description: str) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored_kji.shape[1:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * stored_kji.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = 0
    dataset.DoseUnits = "GY"
    dataset.DoseType = "PHYSICAL"
    dataset.DoseSummationType = "PLAN"
    dataset.DoseComment = description[:_TEXT_LENGTH]
    dataset.DoseGridScaling = scaling
    plan = Dataset()
    plan.ReferencedSOPClassUID = RTPlanStorage
    plan.ReferencedSOPInstanceUID = generate_uid()
    dataset.ReferencedRTPlanSequence = DicomSequence([plan])
    dataset.PixelData = stored_kji.astype(stored_kji.dtype.newbyteorder("<")).tobytes()


def _right_handed(dose: QuantitativeVolume) -> tuple[VolumeGeometry, NDArray[np.float64]]:
    """The same voxels on a grid whose slice axis is row × column, as RT Dose has it."""
    geometry, array_kji = dose.geometry, np.asarray(dose.array_kji, dtype=np.float64)
    if np.linalg.det(geometry.direction) > 0:
        return geometry, array_kji
    direction = geometry.direction * np.array([1.0, 1.0, -1.0])
    last = (0.0, 0.0, geometry.shape_kji[0] - 1.0, 1.0)
    origin = (geometry.ijk_to_lps @ np.array(last))[:3]
    flipped = VolumeGeometry(
        geometry.shape_kji, geometry.spacing_mm, tuple(origin), direction, geometry.frame_of_reference_uid
    )
    return flipped, array_kji[::-1]


def _stored(dose_gy_kji: NDArray[np.float64], bits: int) -> tuple[NDArray[np.unsignedinteger], str]:
    """Whole numbers and the decimal string that turns them into Gy again."""
    lowest, largest = float(dose_gy_kji.min()), float(dose_gy_kji.max())
    if lowest < 0:
        raise InputError(
            f"The lowest dose is {lowest:.4g} Gy; RT Dose (PHYSICAL) holds none below zero. Clip or check it."
        )
    if dose_gy_kji.size * bits // 8 > _LARGEST_PIXEL_BYTES:
        raise InputError(
            f"The grid has {dose_gy_kji.size} voxels, too many for one RT Dose file; write a coarser or smaller one."
        )
    scaling = format_number_as_ds(largest / _LARGEST_BY_BITS[bits] * (1 + _SCALING_ROUNDING)) if largest > 0 else "1"
    step_gy = float(scaling)
    if largest > 0 and not (math.isfinite(step_gy) and step_gy > 0):
        raise InputError(f"The largest dose is {largest:.4g} Gy, too small for the decimals of DICOM; check its unit.")
    return np.rint(dose_gy_kji / step_gy).astype(np.uint32 if bits == 32 else np.uint16), scaling


def _decimals(values: Sequence[float]) -> list[str]:
    """Decimal strings of at most 16 characters, negative zeros as zeros."""
    return [format_number_as_ds(float(value) + 0.0) for value in values]
