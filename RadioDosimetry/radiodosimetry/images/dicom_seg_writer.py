"""Regions as a DICOM Segmentation on the grid of a dose file, which it refers to."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import format_number_as_ds

from ..__about__ import __version__
from ..errors import InputError, MissingDependencyError, RegionError
from .atomic import OutputTransaction
from .dicom_terms import Code, terms_of
from .geometry import VolumeGeometry
from .regions import Region

MANUFACTURER = "RadioDosimetry"

SERIAL_NUMBER = "none"
"""DICOM wants a serial number of what made an object; software has none."""

_LABEL_LENGTH = 64


def highdicom_module() -> Any:
    """The module highdicom.

    Raises
    ------
    MissingDependencyError
        It is not installed.
    """
    try:
        import highdicom
    except ImportError as error:
        raise MissingDependencyError(
            "Segmentations and structured reports need highdicom, which is not installed: `pip install highdicom`."
        ) from error
    return highdicom


def coded(code: Code) -> Any:
    """A code as highdicom takes it."""
    return highdicom_module().sr.CodedConcept(*code)


def write_segmentation(
    regions: Sequence[Region],
    geometry: VolumeGeometry,
    path: Path,
    dose_file: Dataset,
    transaction: OutputTransaction,
) -> Dataset:
    """Write regions as Segmentation Storage, one binary segment each.

    Parameters
    ----------
    regions
        Masks on `geometry`; they may overlap.
    geometry
        Grid of the dose; a left-handed one is written with its slices in the opposite order, as the dose is.
    path
        File to write.
    dose_file
        The RT Dose on the same grid, whose patient, study and frame of reference the segmentation shares.
    transaction
        The group of outputs it belongs to.

    Returns
    -------
    Dataset
        The segmentation, for what refers to it.

    Raises
    ------
    RegionError
        There is no region.
    InputError
        A region or the dose file has another grid.
    MissingDependencyError
        highdicom is not installed.
    """
    highdicom = highdicom_module()
    if not regions:
        raise RegionError("A segmentation needs at least one region, found none.")
    for region in regions:
        if region.mask_kji.shape != geometry.shape_kji:
            raise InputError(f"Region '{region.name}' has another shape than the dose; resample it first.")
    count_k, count_j, count_i = geometry.shape_kji
    if (int(dose_file.NumberOfFrames), int(dose_file.Rows), int(dose_file.Columns)) != (count_k, count_j, count_i):
        raise InputError("The dose file has another grid than the regions; write both from the same dose.")
    masks = np.stack([region.mask_kji for region in regions], axis=-1).astype(np.uint8)
    if np.linalg.det(geometry.direction) < 0:  # as the dose file, whose first slice then is the last
        masks = masks[::-1]
    volume = highdicom.Volume(
        array=masks,
        affine=_index_to_position(dose_file, geometry.spacing_mm[2]),
        coordinate_system="PATIENT",
        frame_of_reference_uid=dose_file.FrameOfReferenceUID,
        channels={"SegmentNumber": list(range(1, len(regions) + 1))},
    )
    segmentation = highdicom.seg.Segmentation(
        source_images=[_as_source(dose_file)],
        pixel_array=volume,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(number, region) for number, region in enumerate(regions, start=1)],
        series_instance_uid=highdicom.UID(),
        series_number=2,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number=SERIAL_NUMBER,
        content_label="REGIONS",
        content_description="Regions of the dosimetry",
        series_description="Regions of the dosimetry",
    )
    _shorten_decimals(segmentation)
    segmentation.save_as(transaction.path_for(path), enforce_file_format=True)
    return segmentation  # type: ignore[no-any-return]


def _description(number: int, region: Region) -> Any:
    """One segment with its codes; who drew it is not known here, so it counts as drawn with a program's help."""
    highdicom = highdicom_module()
    terms = terms_of(region.name)
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=region.name[:_LABEL_LENGTH],
        segmented_property_category=coded(terms.category),
        segmented_property_type=coded(terms.kind),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name="regions as given",
            family=coded(("123109", "DCM", "Manual Processing")),
            version=__version__,
        ),
        tracking_uid=highdicom.UID(),
        tracking_id=region.name[:_LABEL_LENGTH],
        anatomic_regions=None,
    )


def _as_source(dose_file: Dataset) -> Dataset:
    """The RT Dose with the functional groups that other multi-frame images have and RT Dose has not."""
    source = copy.copy(dose_file)
    measures, orientation, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = dose_file.PixelSpacing
    measures.SliceThickness = dose_file.SliceThickness
    measures.SpacingBetweenSlices = dose_file.SliceThickness
    orientation.ImageOrientationPatient = dose_file.ImageOrientationPatient
    shared.PixelMeasuresSequence = DicomSequence([measures])
    shared.PlaneOrientationSequence = DicomSequence([orientation])
    source.SharedFunctionalGroupsSequence = DicomSequence([shared])
    first, normal = _first_and_normal(dose_file)
    frames = []
    for offset_mm in dose_file.GridFrameOffsetVector:
        place, frame = Dataset(), Dataset()
        place.ImagePositionPatient = [float(value) for value in first + float(offset_mm) * normal]
        frame.PlanePositionSequence = DicomSequence([place])
        frames.append(frame)
    source.PerFrameFunctionalGroupsSequence = DicomSequence(frames)
    return source


def _shorten_decimals(dataset: Dataset) -> None:
    """Decimal strings of positions in the 16 characters that DICOM gives them."""
    for element in dataset.iterall():
        if element.VR == "DS" and element.value is not None:
            several = isinstance(element.value, MultiValue | list)
            values = element.value if several else [element.value]
            texts = [format_number_as_ds(float(value) + 0.0) for value in values]
            element.value = texts if several else texts[0]


def _index_to_position(dose_file: Dataset, slice_spacing_mm: float) -> np.ndarray:
    """4 × 4 matrix from (slice, row, column) to the position in the patient [mm] (LPS)."""
    first, normal = _first_and_normal(dose_file)
    orientation = np.array(dose_file.ImageOrientationPatient, dtype=np.float64)
    row_spacing_mm, column_spacing_mm = (float(value) for value in dose_file.PixelSpacing)
    matrix = np.eye(4)
    matrix[:3, 0] = normal * slice_spacing_mm
    matrix[:3, 1] = orientation[3:] * row_spacing_mm
    matrix[:3, 2] = orientation[:3] * column_spacing_mm
    matrix[:3, 3] = first
    return matrix


def _first_and_normal(dose_file: Dataset) -> tuple[np.ndarray, np.ndarray]:
    orientation = np.array(dose_file.ImageOrientationPatient, dtype=np.float64)
    first = np.array(dose_file.ImagePositionPatient, dtype=np.float64)
    return first, np.cross(orientation[:3], orientation[3:])
