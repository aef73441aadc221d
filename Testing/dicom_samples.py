"""Small DICOM files that tests write for themselves: CT, PET, SPECT, dose, structures and segmentations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    RTDoseStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

FRAME_OF_REFERENCE = "1.2.3.4.1"
SERIES_UID = "1.2.3.4.2"
STUDY_UID = "1.2.3.4.3"


def empty_file(sop_class: str, modality: str, number: int = 1) -> FileDataset:
    """A dataset with what every file needs."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = f"{SERIES_UID}.{number}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = modality
    dataset.PatientName, dataset.PatientID = "Test^Patient", "T1"
    dataset.StudyInstanceUID = STUDY_UID
    dataset.SeriesInstanceUID = f"{SERIES_UID}.{5 if modality == 'CT' else 6}"
    dataset.FrameOfReferenceUID = FRAME_OF_REFERENCE
    dataset.InstanceNumber = number
    return dataset


def set_pixels(dataset: Dataset, array: NDArray[Any], bits_stored: int | None = None) -> None:
    """Put whole numbers, (rows, columns) or (frames, rows, columns), into a dataset."""
    bits = array.dtype.itemsize * 8
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = array.shape[-2:]
    dataset.BitsAllocated = bits
    dataset.BitsStored = bits_stored or bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(array.dtype.kind == "i")
    if array.ndim == 3:
        dataset.NumberOfFrames = array.shape[0]
    dataset.PixelData = np.ascontiguousarray(array).tobytes()
    dataset["PixelData"].VR = "OW"


def set_plane(
    dataset: Dataset,
    position_mm: Sequence[float],
    orientation: Sequence[float] = (1, 0, 0, 0, 1, 0),
    spacing_mm: Sequence[float] = (2.0, 1.5),
    thickness_mm: float = 3.0,
) -> None:
    """Where a slice lies; spacing is between rows, between columns."""
    dataset.ImagePositionPatient = [f"{value:.10g}" for value in position_mm]
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in orientation]
    dataset.PixelSpacing = [f"{value:.10g}" for value in spacing_mm]
    dataset.SliceThickness = f"{thickness_mm:.10g}"


def ct_slice(number: int, stored: NDArray[Any], z_mm: float, **attributes: Any) -> FileDataset:
    """One CT slice with intercept −1024."""
    dataset = empty_file(CTImageStorage, "CT", number)
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20240301", "101500"
    set_plane(dataset, (-10.0, -20.0, z_mm))
    set_pixels(dataset, stored)
    dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = "1", "-1024", "HU"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def pet_slice(number: int, stored: NDArray[Any], z_mm: float, **attributes: Any) -> FileDataset:
    """One PET slice: BQML, START, F-18 injected one hour before; keywords of the injection go into its item."""
    dataset = empty_file(PositronEmissionTomographyImageStorage, "PT", number)
    dataset.SeriesDate = dataset.AcquisitionDate = "20240301"
    dataset.SeriesTime = dataset.AcquisitionTime = "120000"
    dataset.Units, dataset.DecayCorrection = "BQML", "START"
    dataset.CorrectedImage = ["NORM", "ATTN", "SCAT", "DECY"]
    dataset.ActualFrameDuration = "120000"
    dataset.PatientWeight = "70"
    set_plane(dataset, (-10.0, -20.0, z_mm))
    set_pixels(dataset, stored)
    dataset.RescaleSlope, dataset.RescaleIntercept = "2.5", "0"
    item = Dataset()
    item.RadionuclideTotalDose, item.RadionuclideHalfLife = "370000000", "6586.2"
    item.RadiopharmaceuticalStartTime = "110000"
    for keyword, value in attributes.items():
        target = item if keyword.startswith("Radi") else dataset
        if value is None:
            if keyword in target:
                delattr(target, keyword)
        else:
            setattr(target, keyword, value)
    dataset.RadiopharmaceuticalInformationSequence = DicomSequence([item])
    return dataset


def nm_tomogram(stored: NDArray[Any], **attributes: Any) -> FileDataset:
    """A reconstructed SPECT image."""
    dataset = empty_file(NuclearMedicineImageStorage, "NM")
    dataset.SeriesInstanceUID = f"{SERIES_UID}.7"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "RECON TOMO", "EMISSION"]
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20240302", "090000"
    dataset.PixelSpacing, dataset.SpacingBetweenSlices, dataset.SliceThickness = ["4", "4"], "4", "4"
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = ["-8", "-8", "100"], ["1", "0", "0", "0", "1", "0"]
    set_pixels(dataset, stored)
    dataset.SliceVector = list(range(1, stored.shape[0] + 1))
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def dose_file(stored: NDArray[Any], offsets_mm: Sequence[float], **attributes: Any) -> FileDataset:
    """An RT Dose of 1 mGy per stored unit."""
    dataset = empty_file(RTDoseStorage, "RTDOSE")
    dataset.SeriesInstanceUID = f"{SERIES_UID}.8"
    set_plane(dataset, (-10.0, -20.0, 30.0))
    set_pixels(dataset, stored)
    dataset.FrameIncrementPointer = 0x3004000C
    dataset.GridFrameOffsetVector = [f"{value:.10g}" for value in offsets_mm]
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.DoseGridScaling = "0.001"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def structure_set(structures: Sequence[tuple[str, Sequence[tuple[str, NDArray[Any]]]]]) -> FileDataset:
    """An RTSTRUCT from (name, [(geometric type, points N × 3 [mm]), …])."""
    dataset = empty_file(RTStructureSetStorage, "RTSTRUCT")
    dataset.SeriesInstanceUID = f"{SERIES_UID}.9"
    rois, contours = [], []
    for number, (name, polygons) in enumerate(structures, start=1):
        roi, contour = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, FRAME_OF_REFERENCE
        contour.ReferencedROINumber = number
        entries = []
        for kind, points in polygons:
            entry = Dataset()
            entry.ContourGeometricType = kind
            entry.NumberOfContourPoints = len(points)
            entry.ContourData = [f"{value:.10g}" for value in np.ravel(points)]
            entries.append(entry)
        contour.ContourSequence = DicomSequence(entries)
        rois.append(roi)
        contours.append(contour)
    dataset.StructureSetROISequence = DicomSequence(rois)
    dataset.ROIContourSequence = DicomSequence(contours)
    return dataset


def segmentation(
    frames: NDArray[Any], segments: Sequence[int], z_mm: Sequence[float], kind: str, names: Sequence[str]
) -> FileDataset:
    """A SEG with one segment and one height per frame; fractional frames go from 0 to 100."""
    dataset = empty_file(SegmentationStorage, "SEG")
    dataset.SeriesInstanceUID = f"{SERIES_UID}.10"
    dataset.SegmentationType = kind
    set_pixels(dataset, frames.astype(np.uint8))
    dataset["PixelData"].VR = "OB"
    if kind == "BINARY":
        dataset.BitsAllocated = dataset.BitsStored = 1
        dataset.HighBit = 0
        bits = np.packbits(frames.astype(np.uint8).ravel(), bitorder="little").tobytes()
        dataset.PixelData = bits + b"\0" * (len(bits) % 2)
    if kind == "FRACTIONAL":
        dataset.MaximumFractionalValue = 100
    entries = []
    for number, name in enumerate(names, start=1):
        entry = Dataset()
        entry.SegmentNumber, entry.SegmentLabel = number, name
        entries.append(entry)
    dataset.SegmentSequence = DicomSequence(entries)
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    measures.PixelSpacing, measures.SpacingBetweenSlices, measures.SliceThickness = ["2", "1.5"], "3", "3"
    shared.PlaneOrientationSequence = DicomSequence([orientation])
    shared.PixelMeasuresSequence = DicomSequence([measures])
    dataset.SharedFunctionalGroupsSequence = DicomSequence([shared])
    groups = []
    for segment, height_mm in zip(segments, z_mm, strict=True):
        group, position, identification = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = ["-10", "-20", f"{height_mm:g}"]
        identification.ReferencedSegmentNumber = segment
        group.PlanePositionSequence = DicomSequence([position])
        group.SegmentIdentificationSequence = DicomSequence([identification])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = DicomSequence(groups)
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    """Write a dataset and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def save_series(datasets: Sequence[FileDataset], folder: Path) -> Path:
    """Write a series and return its folder."""
    for index, dataset in enumerate(datasets):
        save(dataset, folder / f"{dataset.Modality}_{index:03d}.dcm")
    return folder
