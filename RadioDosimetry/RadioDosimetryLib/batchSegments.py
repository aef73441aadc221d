"""Regions that may overlap as a DICOM Segmentation, the one file format in which the command reads such regions.

The file serves to hand regions over inside a run; it is not made to be archived (no patient, no study, no codes).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import Region


def writeSegmentationFile(regions: Sequence[Region], geometry: VolumeGeometry, path: Path) -> None:
    """Write regions of one grid as a binary DICOM Segmentation; every slice of the grid is in the file.

    Parameters
    ----------
    regions
        Masks of shape `geometry.shape_kji`.
    geometry
        Their grid.
    path
        File to write, `.dcm`.
    """
    import numpy as np
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SegmentationStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.SegmentationType = "SEG", "BINARY"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    if geometry.frame_of_reference_uid:
        dataset.FrameOfReferenceUID = geometry.frame_of_reference_uid
    masks = [region.mask_kji for region in regions]
    # Only slices that a segment has, and the first and last of the grid so that the whole grid is in the file.
    frames = [
        (number, k)
        for number, mask in enumerate(masks)
        for k in range(len(mask))
        if mask[k].any() or (number == 0 and k in (0, len(mask) - 1))
    ]
    _setPixels(dataset, np.stack([masks[number][k] for number, k in frames]))
    dataset.SegmentSequence = [_segment(number, region.name) for number, region in enumerate(regions, start=1)]
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [_decimal(value) for value in geometry.direction[:, :2].T.ravel()]
    column_mm, row_mm, slice_mm = geometry.spacing_mm
    measures.PixelSpacing = [_decimal(row_mm), _decimal(column_mm)]
    measures.SpacingBetweenSlices = measures.SliceThickness = _decimal(slice_mm)
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    step_mm = geometry.direction[:, 2] * slice_mm
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(number + 1, np.asarray(geometry.origin_mm) + k * step_mm) for number, k in frames
    ]
    dataset.save_as(path, enforce_file_format=True)


def _setPixels(dataset, frames) -> None:
    """Frames of truth values, one bit each."""
    import numpy as np

    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    bits = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.PixelData = bits + b"\0" * (len(bits) % 2)
    dataset["PixelData"].VR = "OB"


def _segment(number: int, name: str):
    from pydicom.dataset import Dataset

    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, name
    return segment


def _frame(number: int, position_mm):
    """Functional groups of a frame: segment and position."""
    from pydicom.dataset import Dataset

    group, position, identification = Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [_decimal(value) for value in position_mm]
    identification.ReferencedSegmentNumber = number
    group.PlanePositionSequence, group.SegmentIdentificationSequence = [position], [identification]
    return group


def _decimal(value: float) -> str:
    """A number in the 16 characters that DICOM gives it."""
    for digits in range(15, 5, -1):
        text = f"{float(value):.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{float(value):.6g}"
