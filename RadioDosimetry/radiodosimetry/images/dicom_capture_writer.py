"""A picture of the results as DICOM Secondary Capture, for archives and viewers that show nothing else of them."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from ..__about__ import __version__
from ..errors import InputError
from .atomic import OutputTransaction
from .dicom_seg_writer import MANUFACTURER, SERIAL_NUMBER

SERIES_NUMBER = 999
"""Of the series with the picture: after those that an archive numbers from one."""

_OF_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate",
    "StudyTime", "StudyDescription", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip


def write_capture(
    picture: NDArray[np.uint8],
    path: Path,
    dose_file: Dataset,
    description: str,
    transaction: OutputTransaction,
) -> Dataset:
    """Write a picture as Secondary Capture Image Storage of the same patient and study as a dose.

    The picture says what it is within itself: text is burned in, and its planes differ, so that it has no place in the
    patient and no pixel size.

    Parameters
    ----------
    picture
        Red, green and blue, 0 to 255, shape (rows, columns, 3).
    path
        File to write.
    dose_file
        RT Dose whose patient and study are taken.
    description
        Of the series.
    transaction
        The group of outputs it belongs to.

    Raises
    ------
    InputError
        The picture has another shape or type.
    OutputError
        The file cannot be written.
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"A picture must be 8-bit (rows, columns, 3), found {picture.dtype} {picture.shape}.")
    uid = generate_uid()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, uid
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    for keyword in _OF_PATIENT_AND_STUDY:
        if keyword in dose_file:
            dataset.add(dose_file[keyword])
    now = datetime.now()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, uid
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.Modality, dataset.ConversionType = "OT", "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.SeriesInstanceUID, dataset.SeriesNumber = generate_uid(), SERIES_NUMBER
    dataset.SeriesDescription = description[:64]
    dataset.InstanceNumber, dataset.PatientOrientation, dataset.ImageLaterality = 1, "", "U"
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    dataset.ContentDate, dataset.ContentTime = dataset.InstanceCreationDate, dataset.InstanceCreationTime
    dataset.BurnedInAnnotation = "YES"
    dataset.Manufacturer = dataset.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    dataset.ManufacturerModelName, dataset.DeviceSerialNumber = MANUFACTURER, SERIAL_NUMBER
    dataset.SoftwareVersions = dataset.SecondaryCaptureDeviceSoftwareVersions = __version__
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    pixels = picture.tobytes()
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
    dataset.save_as(transaction.path_for(path), enforce_file_format=True)
    return dataset
