"""Multi-frame CT, PET and segmentations whose frames say in their groups where they lie; other writers and readers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence

from dicom_samples import ct_slice, pet_slice, save, save_series
from radiodosimetry.errors import FileFormatError
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.images.dicom_seg import read_segmentation

STORED = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)
HEIGHTS_MM = (9.0, 3.0, 6.0)


def item(**attributes: object) -> Sequence:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def enhanced(dataset: FileDataset, **frame_groups: Sequence) -> FileDataset:
    """The dataset with position and further groups per frame, orientation and spacing shared."""
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(dataset, keyword)
    shared = Dataset()
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=["1", "0", "0", "0", "1", "0"])
    shared.PixelMeasuresSequence = item(PixelSpacing=["2", "1.5"], SliceThickness="3")
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for index, height_mm in enumerate(HEIGHTS_MM):
        group = Dataset()
        group.PlanePositionSequence = item(ImagePositionPatient=["-10", "-20", f"{height_mm}"])
        group.PixelValueTransformationSequence = item(
            RescaleSlope=f"{index + 1}", RescaleIntercept="0", RescaleType="HU"
        )
        for keyword, value in frame_groups.items():
            setattr(group, keyword, value)
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(groups)
    return dataset


def test_frames_of_an_enhanced_ct_are_sorted_and_rescaled_one_by_one(tmp_path: Path) -> None:
    dataset = enhanced(ct_slice(1, STORED, 0.0))
    volume = read_dicom(save(dataset, tmp_path / "ct.dcm"))
    assert volume.geometry.origin_mm == (-10.0, -20.0, 3.0)
    assert volume.geometry.spacing_mm == (1.5, 2.0, 3.0)
    np.testing.assert_array_equal(volume.array_kji, np.stack([STORED[1] * 2, STORED[2] * 3, STORED[0]]))


def test_an_enhanced_pet_holds_at_its_decay_correction_date_time(tmp_path: Path) -> None:
    unit = item(CodeValue="Bq/ml", CodingSchemeDesignator="UCUM", CodeMeaning="Bq/ml")
    dataset = enhanced(
        pet_slice(1, STORED.astype(np.int16), 0.0, Units=None, DecayCorrection=None),
        RealWorldValueMappingSequence=item(MeasurementUnitsCodeSequence=unit),
    )
    dataset.DecayCorrectionDateTime = "20240301115500"
    volume = read_dicom(save(dataset, tmp_path / "pet.dcm"))
    assert volume.time == datetime(2024, 3, 1, 11, 55)
    np.testing.assert_array_equal(volume.array_kji[0], STORED[1] * 2.0)


def test_frames_without_groups_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="has 3 frames and no functional groups"):
        read_dicom(save(ct_slice(1, STORED, 0.0), tmp_path / "ct.dcm"))


def test_frames_and_groups_must_be_as_many(tmp_path: Path) -> None:
    dataset = enhanced(ct_slice(1, STORED, 0.0))
    dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[:2]
    with pytest.raises(FileFormatError, match="has 3 frames but functional groups for 2"):
        read_dicom(save(dataset, tmp_path / "ct.dcm"))


def test_numbers_beyond_every_float_are_an_error_of_ours(tmp_path: Path) -> None:
    dataset = ct_slice(1, STORED[0], 0.0, RescaleSlope="1e200")
    with pytest.raises(ValueError, match="NaN or infinite"):
        read_dicom(save(dataset, tmp_path / "ct.dcm"))


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
def test_a_segmentation_written_by_highdicom_comes_back_voxel_by_voxel(tmp_path: Path, kind: str) -> None:
    study = {"StudyDate": "20240101", "StudyTime": "000000", "StudyID": "", "AccessionNumber": ""}
    patient = {"PatientBirthDate": "", "PatientSex": "", "ReferringPhysicianName": ""}
    slices = [ct_slice(k, np.zeros((8, 9), np.uint16), 30.0 - 3 * k, **study, **patient) for k in range(6)]
    folder = save_series(slices, tmp_path / "ct")
    masks = np.random.default_rng(1).random((6, 8, 9, 2)) > 0.7
    masks[2] = False
    organ = CodedConcept("113343008", "SCT", "Organ")
    manual = highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    segments = [
        highdicom.seg.SegmentDescription(number, name, organ, organ, manual)
        for number, name in enumerate(("liver", "spleen"), start=1)
    ]
    segmentation = highdicom.seg.Segmentation(
        [pydicom.dcmread(path) for path in sorted(folder.iterdir())],
        masks.astype(np.uint8) if kind == "BINARY" else masks * 0.8,
        highdicom.seg.SegmentationTypeValues[kind],
        segments,
        highdicom.UID(),
        1,
        highdicom.UID(),
        1,
        "maker",
        "model",
        "1",
        "1",
    )
    segmentation.save_as(tmp_path / "seg.dcm")
    regions = read_segmentation(tmp_path / "seg.dcm", read_dicom(folder).geometry)
    for number, region in enumerate(regions):
        np.testing.assert_array_equal(region.mask_kji, masks[::-1, ..., number])


@pytest.mark.shared_data
def test_the_series_reader_of_simpleitk_sees_the_same_real_ct(shared_data: Path) -> None:
    volume = read_dicom(shared_data / "ct_dicom_series")
    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(shared_data / "ct_dicom_series"))
    image = sitk.ReadImage(files)
    np.testing.assert_allclose(image.GetOrigin(), volume.geometry.origin_mm)
    np.testing.assert_allclose(image.GetSpacing(), volume.geometry.spacing_mm)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array_kji)
