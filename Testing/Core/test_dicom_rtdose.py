"""RT Dose: reading both forms of plane offsets, writing, and reading back what was written."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dicom_samples import FRAME_OF_REFERENCE, STUDY_UID, ct_slice, dose_file, save, save_series
from radiodosimetry.errors import (
    FileFormatError,
    GeometryMismatchError,
    InputError,
    OutputError,
    UnitError,
)
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.images.dicom_rtdose_writer import LARGEST_STORED_DOSE, PLACEHOLDER_PATIENT, write_rtdose
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.provenance import Record
from radiodosimetry.units import Quantity

STORED = np.arange(60, dtype=np.uint32).reshape(3, 4, 5)


def rotation(angle_degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(angle_degrees)), np.sin(np.radians(angle_degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


def dose_volume(direction: np.ndarray | None = None, frame: str | None = FRAME_OF_REFERENCE) -> QuantitativeVolume:
    geometry = VolumeGeometry(
        (3, 4, 5),
        (1.953125, 2.0, 4.41960001),
        (-123.456789012, 0.1, -1e-7),
        np.eye(3) if direction is None else direction,
        frame,
    )
    dose_gy = np.random.default_rng(3).random((3, 4, 5)) * 37.123
    record = Record("test", parameters={"nuclide": "Lu-177"})
    return QuantitativeVolume(dose_gy, geometry, Quantity.ABSORBED_DOSE, datetime(2024, 3, 1), record)


@pytest.mark.parametrize("offsets_mm", [(0, 3, 6), (30, 33, 36)])
def test_relative_and_absolute_offsets_give_the_same_grid(tmp_path: Path, offsets_mm: tuple[float, ...]) -> None:
    volume = read_dicom(save(dose_file(STORED, offsets_mm), tmp_path / "dose.dcm"))
    assert volume.quantity is Quantity.ABSORBED_DOSE
    np.testing.assert_allclose(volume.array_kji, STORED * 1e-3)
    assert volume.geometry.origin_mm == (-10.0, -20.0, 30.0)
    assert volume.geometry.spacing_mm == (1.5, 2.0, 3.0)


@pytest.mark.parametrize("offsets_mm", [(0, -3, -6), (30, 27, 24)])
def test_planes_that_run_downward_are_turned(tmp_path: Path, offsets_mm: tuple[float, ...]) -> None:
    volume = read_dicom(save(dose_file(STORED, offsets_mm), tmp_path / "dose.dcm"))
    np.testing.assert_allclose(volume.array_kji, STORED[::-1] * 1e-3)
    assert volume.geometry.origin_mm == (-10.0, -20.0, 24.0)


def test_absolute_offsets_of_a_prone_grid_follow_z_and_not_the_normal(tmp_path: Path) -> None:
    dataset = dose_file(STORED, (30, 33, 36), ImageOrientationPatient=["1", "0", "0", "0", "-1", "0"])
    volume = read_dicom(save(dataset, tmp_path / "dose.dcm"))
    top = volume.geometry.ijk_to_lps @ np.array([0, 0, 0, 1.0])
    assert top[2] == 36.0
    np.testing.assert_allclose(volume.array_kji[0], STORED[2] * 1e-3)


@pytest.mark.parametrize(
    ("attributes", "error", "text"),
    [
        ({"DoseUnits": "RELATIVE"}, UnitError, r"Dose Units \(3004,0002\) of dose.dcm is RELATIVE"),
        ({"DoseType": "EFFECTIVE"}, UnitError, "is EFFECTIVE; expected PHYSICAL"),
        ({"DoseGridScaling": "0"}, FileFormatError, "expected a number above zero"),
        ({"DoseGridScaling": None}, FileFormatError, r"Dose Grid Scaling \(3004,000E\) is missing"),
        ({"GridFrameOffsetVector": ["0", "3"]}, FileFormatError, "has 2 values for 3 planes"),
        ({"GridFrameOffsetVector": ["0", "3", "7"]}, GeometryMismatchError, "3 to 4 mm apart; expected equal steps"),
        ({"GridFrameOffsetVector": ["5", "8", "11"]}, FileFormatError, "starts with 5 mm; expected 0"),
        ({"GridFrameOffsetVector": None}, FileFormatError, r"Grid Frame Offset Vector \(3004,000C\) is missing"),
    ],
)
def test_a_dose_that_cannot_be_used_is_refused(tmp_path: Path, attributes: dict, error: type, text: str) -> None:
    path = save(dose_file(STORED, (0, 3, 6), **attributes), tmp_path / "dose.dcm")
    with pytest.raises(error, match=text):
        read_dicom(path)


@pytest.mark.parametrize(
    "direction", [np.eye(3), np.diag([1, 1, -1.0]), np.diag([-1, 1, 1.0]), rotation(20.0), rotation(20.0)[:, [1, 0, 2]]]
)
def test_a_written_dose_is_read_back_within_half_a_step_at_the_same_place(
    tmp_path: Path, direction: np.ndarray
) -> None:
    dose = dose_volume(direction)
    write_rtdose(dose, tmp_path / "dose.dcm")
    again = read_dicom(tmp_path / "dose.dcm")
    left_handed = np.linalg.det(direction) < 0
    array_kji = again.array_kji[::-1] if left_handed else again.array_kji
    half_step_gy = again.record.parameters["dose_grid_scaling_gy"] / 2
    assert np.abs(array_kji - dose.array_kji).max() <= half_step_gy * (1 + 1e-6)
    assert half_step_gy * 2 == pytest.approx(dose.array_kji.max() / LARGEST_STORED_DOSE, rel=1e-8)
    first = again.geometry.ijk_to_lps @ np.array([4, 3, 2 if not left_handed else 0, 1.0])
    np.testing.assert_allclose(first, dose.geometry.ijk_to_lps @ np.array([4, 3, 2, 1.0]), atol=1e-6)
    assert again.geometry.frame_of_reference_uid == FRAME_OF_REFERENCE


def test_another_program_reads_the_same_grid_and_numbers(tmp_path: Path) -> None:
    dose = dose_volume(rotation(20.0))
    write_rtdose(dose, tmp_path / "dose.dcm")
    image = sitk.ReadImage(str(tmp_path / "dose.dcm"))
    np.testing.assert_allclose(image.GetOrigin(), dose.geometry.origin_mm, atol=1e-6)
    np.testing.assert_allclose(image.GetSpacing(), dose.geometry.spacing_mm, rtol=1e-9)
    np.testing.assert_allclose(image.GetDirection(), dose.geometry.direction.ravel(), atol=1e-9)
    scaling_gy = float(pydicom.dcmread(tmp_path / "dose.dcm").DoseGridScaling)
    np.testing.assert_allclose(sitk.GetArrayFromImage(image) * scaling_gy, dose.array_kji, atol=scaling_gy)


def test_what_rt_dose_requires_is_there_and_pydicom_reads_it(tmp_path: Path) -> None:
    write_rtdose(dose_volume(), tmp_path / "dose.dcm", description="Lu-177 by multiple-vsv")
    dataset = pydicom.dcmread(tmp_path / "dose.dcm")
    assert dataset.SOPClassUID.name == "RT Dose Storage"
    assert (dataset.Modality, dataset.DoseUnits, dataset.DoseType) == ("RTDOSE", "GY", "PHYSICAL")
    assert (dataset.BitsAllocated, dataset.HighBit, dataset.PixelRepresentation) == (32, 31, 0)
    assert dataset.FrameIncrementPointer == 0x3004000C
    assert [float(offset) for offset in dataset.GridFrameOffsetVector] == [0.0, 4.41960001, 8.83920002]
    assert dataset.SeriesDescription == dataset.DoseComment == "Lu-177 by multiple-vsv"
    assert dataset.PatientID == PLACEHOLDER_PATIENT
    assert dataset.pixel_array.shape == (3, 4, 5)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "ReferencedRTPlanSequence"):
        assert dataset.get(keyword), keyword
    for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "ReferringPhysicianName", "OperatorsName"):
        assert keyword in dataset


@pytest.mark.parametrize("count", [0, 2, 60])
def test_the_header_holds_what_the_dose_warns_of(tmp_path: Path, count: int) -> None:
    """Up to the 1024 characters that Derivation Description has; what is left out is cut between words."""
    warnings = tuple(f"Warning {number} of a dose in 1e-3 g/cm³." for number in range(count))
    dose = dose_volume()
    dose = dose.with_array(dose.array_kji, record=Record("dose").with_warnings(*warnings))
    write_rtdose(dose, tmp_path / "dose.dcm")
    dataset = pydicom.dcmread(tmp_path / "dose.dcm")
    said, found = " ".join(warnings), str(dataset.get("DerivationDescription", ""))
    if count == 60:
        assert 1000 < len(found) <= 1024
        assert said.startswith(found.removesuffix("...") + " ")
    else:
        assert found == said
        assert ("DerivationDescription" in dataset) == (count > 0)


def test_the_sidecar_carries_the_record_and_says_that_the_patient_is_unknown(tmp_path: Path) -> None:
    write_rtdose(dose_volume(), tmp_path / "dose.dcm")
    sidecar = json.loads((tmp_path / "dose.dcm.json").read_text())
    assert (sidecar["quantity"], sidecar["unit"]) == ("absorbed_dose", "Gy")
    assert sidecar["parameters"]["nuclide"] == "Lu-177"
    assert "names no patient" in sidecar["warnings"][0]


def test_patient_study_and_frame_come_from_the_reference_folder(tmp_path: Path) -> None:
    folder = save_series(
        [ct_slice(index, np.zeros((4, 5), np.uint16), 3.0 * index) for index in range(2)], tmp_path / "ct"
    )
    write_rtdose(dose_volume(frame=None), tmp_path / "dose.dcm", reference=folder)
    dataset = pydicom.dcmread(tmp_path / "dose.dcm")
    assert (dataset.PatientID, str(dataset.PatientName)) == ("T1", "Test^Patient")
    assert dataset.StudyInstanceUID == STUDY_UID
    assert dataset.FrameOfReferenceUID == FRAME_OF_REFERENCE
    with pytest.raises(GeometryMismatchError, match=r"frame of reference 5\.5, the reference ct in 1\.2\.3"):
        write_rtdose(dose_volume(frame="5.5"), tmp_path / "other.dcm", reference=folder)
    assert not (tmp_path / "other.dcm").exists()


@pytest.mark.parametrize(("charset", "name"), [("ISO_IR 100", "Müller^Jörg"), ("ISO_IR 192", "山田^太郎")])
def test_names_in_any_alphabet_are_kept(tmp_path: Path, charset: str, name: str) -> None:
    reference = ct_slice(0, np.zeros((4, 5), np.uint16), 0.0, SpecificCharacterSet=charset, PatientName=name)
    write_rtdose(dose_volume(), tmp_path / "dose.dcm", reference=save(reference, tmp_path / "ct.dcm"))
    assert str(pydicom.dcmread(tmp_path / "dose.dcm").PatientName) == name


def test_zero_dose_everywhere_is_written(tmp_path: Path) -> None:
    dose = dose_volume().with_array(np.zeros((3, 4, 5)))
    write_rtdose(dose, tmp_path / "dose.dcm")
    assert read_dicom(tmp_path / "dose.dcm").array_kji.max() == 0.0


@pytest.mark.parametrize("largest_gy", [1e-30, 1e-6, 1e6])
def test_tiny_and_huge_doses_keep_their_relative_precision(tmp_path: Path, largest_gy: float) -> None:
    dose = dose_volume().with_array(np.linspace(0, largest_gy, 60).reshape(3, 4, 5))
    write_rtdose(dose, tmp_path / "dose.dcm")
    again = read_dicom(tmp_path / "dose.dcm")
    np.testing.assert_allclose(again.array_kji, dose.array_kji, rtol=0, atol=largest_gy / LARGEST_STORED_DOSE)


def test_negative_dose_and_other_quantities_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    dose = dose_volume()
    with pytest.raises(InputError, match=r"lowest dose is -1 Gy"):
        write_rtdose(dose.with_array(-np.ones((3, 4, 5))), tmp_path / "dose.dcm")
    with pytest.raises(UnitError, match="found counts"):
        write_rtdose(dose.with_array(dose.array_kji, quantity=Quantity.COUNTS), tmp_path / "dose.dcm")
    with pytest.raises(OutputError, match="does not exist"):
        write_rtdose(dose, tmp_path / "nowhere" / "dose.dcm")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.shared_data
def test_a_dose_goes_into_the_study_of_a_real_ct(shared_data: Path, tmp_path: Path) -> None:
    reference = shared_data / "rt_dicom" / "dicompyler_ct.0.dcm"
    ct = read_dicom(reference)
    dose = QuantitativeVolume(np.abs(ct.array_kji) * 1e-3, ct.geometry, Quantity.ABSORBED_DOSE)
    write_rtdose(dose, tmp_path / "dose.dcm", reference=reference)
    again = read_dicom(tmp_path / "dose.dcm")
    assert again.geometry.same_grid(ct.geometry)
    assert again.geometry.same_frame(ct.geometry)
    np.testing.assert_allclose(again.array_kji, dose.array_kji, atol=1e-8)
