"""Tomographic NM images: calibration, geometry with gaps in the header, and what is no tomogram."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_samples import nm_tomogram, save
from radiodosimetry.errors import FileFormatError, InputError, UnitError
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.units import Quantity

COUNTS = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


def tomogram(folder: Path, **attributes: object) -> Path:
    return save(nm_tomogram(COUNTS, **attributes), folder / "nm.dcm")


def test_counts_without_a_calibration_ask_for_one(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match=r"Give calibration_bq_per_ml_per_count or calibration_bq_per_count_per_s"):
        read_dicom(tomogram(tmp_path))


def test_counts_are_given_as_they_are_when_asked_for(tmp_path: Path) -> None:
    volume = read_dicom(tomogram(tmp_path), Quantity.COUNTS)
    np.testing.assert_array_equal(volume.array_kji, COUNTS)
    assert volume.unit == "counts"
    with pytest.raises(UnitError, match="leave out one of the two"):
        read_dicom(tmp_path, Quantity.COUNTS, calibration_bq_per_ml_per_count=2.0)


def test_a_factor_in_bq_per_ml_per_count_multiplies(tmp_path: Path) -> None:
    volume = read_dicom(tomogram(tmp_path), calibration_bq_per_ml_per_count=2.5)
    np.testing.assert_allclose(volume.array_kji, COUNTS * 2.5)
    assert volume.time == datetime(2024, 3, 2, 9, 0)
    assert volume.geometry.origin_mm == (-8.0, -8.0, 100.0)


def test_a_factor_in_bq_per_count_rate_divides_by_time_and_voxel_volume(tmp_path: Path) -> None:
    path = tomogram(tmp_path)
    volume = read_dicom(path, calibration_bq_per_count_per_s=1e5, acquisition_duration_s=1000.0)
    np.testing.assert_allclose(volume.array_kji, COUNTS * 1e5 / 1000.0 / 0.064, rtol=1e-6)
    with pytest.raises(UnitError, match=r"Rotation Information Sequence .* Give acquisition_duration_s"):
        read_dicom(path, calibration_bq_per_count_per_s=1e5)


def test_the_counting_time_of_the_header_is_used_with_a_warning(tmp_path: Path) -> None:
    rotation = Dataset()
    rotation.ActualFrameDuration, rotation.NumberOfFramesInRotation = "20000", 60
    path = tomogram(tmp_path, RotationInformationSequence=Sequence([rotation]))
    volume = read_dicom(path, calibration_bq_per_count_per_s=1e5)
    np.testing.assert_allclose(volume.array_kji, COUNTS * 1e5 / 1200.0 / 0.064, rtol=1e-6)
    assert "60 projections of 20 s" in volume.record.warnings[0]


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_factor_is_refused(tmp_path: Path, factor: float) -> None:
    with pytest.raises(InputError, match="expected a finite number above zero"):
        read_dicom(tomogram(tmp_path), calibration_bq_per_ml_per_count=factor)


def test_two_factors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give one of them"):
        read_dicom(tomogram(tmp_path), calibration_bq_per_ml_per_count=1.0, calibration_bq_per_count_per_s=1.0)


def test_a_file_in_bq_per_ml_needs_no_factor_and_refuses_one(tmp_path: Path) -> None:
    code, mapping = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "Bq/ml", "UCUM", "Bq/ml"
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.5, 0.0
    mapping.MeasurementUnitsCodeSequence = Sequence([code])
    path = tomogram(tmp_path, RealWorldValueMappingSequence=Sequence([mapping]))
    np.testing.assert_allclose(read_dicom(path).array_kji, COUNTS * 0.5)
    with pytest.raises(UnitError, match="would be applied twice"):
        read_dicom(path, calibration_bq_per_ml_per_count=2.0)


def test_a_negative_spacing_turns_the_frames_so_that_each_keeps_its_place(tmp_path: Path) -> None:
    volume = read_dicom(tomogram(tmp_path, SpacingBetweenSlices="-4"), Quantity.COUNTS)
    np.testing.assert_array_equal(volume.array_kji, COUNTS[::-1])
    assert volume.geometry.origin_mm == (-8.0, -8.0, 92.0)
    assert volume.geometry.spacing_mm[2] == 4.0


def test_orientation_and_position_of_the_detector_item_are_used(tmp_path: Path) -> None:
    detector = Dataset()
    detector.ImagePositionPatient = ["1", "2", "3"]
    detector.ImageOrientationPatient = ["0", "1", "0", "0", "0", "-1"]
    path = tomogram(
        tmp_path,
        DetectorInformationSequence=Sequence([detector]),
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
    )
    volume = read_dicom(path, Quantity.COUNTS)
    assert volume.geometry.origin_mm == (1.0, 2.0, 3.0)
    np.testing.assert_allclose(volume.geometry.direction[:, 2], [-1, 0, 0])
    assert volume.record.warnings == ()


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]}, "is TOMO; expected RECON TOMO"),
        ({"EnergyWindowVector": [1, 2, 2]}, "holds 2 energy windows in one file"),
        ({"SliceVector": [1, 3, 2]}, "each of 3 slices once and in order"),
        ({"PixelSpacing": None}, r"Pixel Spacing \(0028,0030\) is missing"),
    ],
)
def test_what_is_no_single_tomogram_is_refused(tmp_path: Path, attributes: dict, text: str) -> None:
    with pytest.raises(FileFormatError, match=text):
        read_dicom(tomogram(tmp_path, **attributes), Quantity.COUNTS)


def test_the_injected_activity_of_nm_files_is_in_megabecquerel(tmp_path: Path) -> None:
    item = Dataset()
    item.RadionuclideTotalDose, item.RadiopharmaceuticalStartTime = "7400", "080000"
    path = tomogram(tmp_path, RadiopharmaceuticalInformationSequence=Sequence([item]))
    parameters = read_dicom(path, Quantity.COUNTS).record.parameters
    assert parameters["injected_activity_bq"] == 7.4e9
    assert parameters["injection_time"] == "2024-03-02T08:00:00"


@pytest.mark.shared_data
def test_a_real_tomogram_without_orientation_and_with_old_dates_is_read(shared_data: Path) -> None:
    volume = read_dicom(shared_data / "nm_dicom", calibration_bq_per_ml_per_count=3.0)
    assert volume.geometry.shape_kji == (13, 64, 64)
    assert volume.geometry.spacing_mm == pytest.approx((3.11583, 3.11583, 6.231669))
    assert volume.time == datetime(1993, 11, 24, 9, 53)
    assert volume.array_kji.max() == 3 * 141
    assert "no Image Orientation (0020,0037): the slices are taken as axial" in volume.record.warnings[0]
