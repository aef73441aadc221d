"""Segmentation and structured report beside an RT Dose: what they hold, and that dciodvfy has nothing to say."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib.image
import numpy as np
import pydicom
import pytest
from case_folders import CASE_TEXT, write_torso_case

from radiodosimetry.errors import InputError, RegionError
from radiodosimetry.images.atomic import OutputTransaction
from radiodosimetry.images.dicom_dose_report import write_dose_report
from radiodosimetry.images.dicom_regions import read_dicom_regions
from radiodosimetry.images.dicom_rtdose_writer import LARGEST_STORED_DOSE_16_BITS, write_rtdose
from radiodosimetry.images.dicom_seg_writer import write_segmentation
from radiodosimetry.images.dicom_terms import terms_of
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import Region
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity
from radiodosimetry.workflows.case import run_case

highdicom = pytest.importorskip("highdicom")

_NAMES = ("liver", "left_kidney", "tumour1")


def _direction(kind: str) -> np.ndarray:
    """Directions of the axes: straight, turned about two axes, or with slices towards the feet."""
    if kind == "straight":
        return np.eye(3)
    if kind == "left-handed":
        return np.diag([1.0, 1.0, -1.0])
    a, b = np.deg2rad(11.0), np.deg2rad(-7.0)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    return about_z @ about_x


def _written(folder: Path, kind: str = "straight", bits: int = 32) -> tuple[QuantitativeVolume, list[Region], Path]:
    """RT Dose, Segmentation and Structured Report of three regions, two of which overlap."""
    rng = np.random.default_rng(5)
    geometry = VolumeGeometry((9, 8, 10), (4.0, 3.5, 4.4), (-20.0, 13.0, 7.0), _direction(kind))
    dose = QuantitativeVolume(rng.uniform(0, 30, geometry.shape_kji), geometry, Quantity.ABSORBED_DOSE)
    masks = [np.zeros(geometry.shape_kji, dtype=bool) for _ in _NAMES]
    masks[0][1:6, 2:7, 1:8] = True
    masks[1][6:8, 1:4, 2:9] = True
    masks[2][3:5, 4:6, 5:8] = True
    regions = [Region(name, mask, name) for name, mask in zip(_NAMES, masks, strict=True)]
    rows = [
        {"region": r.name, "mean_gy": float(dose.array_kji[r.mask_kji].mean()), "volume_ml": 1.5, "mass_g": None}
        for r in regions
    ]
    with OutputTransaction() as transaction:
        write_rtdose(dose, folder / "dose.dcm", transaction=transaction, bits=bits)
        dose_file = pydicom.dcmread(transaction.written(folder / "dose.dcm"))
        made = write_segmentation(regions, geometry, folder / "regions.dcm", dose_file, transaction)
        write_dose_report(rows, folder / "report.dcm", made, dose_file, "multiple-vsv", transaction)
    return dose, regions, folder


@pytest.mark.parametrize("kind", ["straight", "turned", "left-handed"])
def test_regions_come_back_as_they_were(tmp_path: Path, kind: str) -> None:
    dose, regions, folder = _written(tmp_path, kind)
    again = read_dicom_regions(folder / "regions.dcm", dose.geometry)
    assert [region.name for region in again] == list(_NAMES)
    for found, expected in zip(again, regions, strict=True):
        assert np.array_equal(found.mask_kji, expected.mask_kji), expected.name


def test_dose_and_regions_lie_on_each_other_in_the_files(tmp_path: Path) -> None:
    dose, regions, folder = _written(tmp_path, "left-handed")
    back = read_volume(folder / "dose.dcm", Quantity.ABSORBED_DOSE)
    for region in read_dicom_regions(folder / "regions.dcm", back.geometry):
        expected = next(each for each in regions if each.name == region.name)
        assert back.array_kji[region.mask_kji].mean() == pytest.approx(
            dose.array_kji[expected.mask_kji].mean(), rel=1e-6
        )


def test_all_three_share_patient_study_and_frame(tmp_path: Path) -> None:
    folder = _written(tmp_path)[2]
    dose, seg, report = (pydicom.dcmread(folder / f"{name}.dcm") for name in ("dose", "regions", "report"))
    assert dose.StudyInstanceUID == seg.StudyInstanceUID == report.StudyInstanceUID
    assert dose.PatientID == seg.PatientID == report.PatientID
    assert dose.FrameOfReferenceUID == seg.FrameOfReferenceUID
    assert len({dose.SeriesInstanceUID, seg.SeriesInstanceUID, report.SeriesInstanceUID}) == 3


def test_segments_are_coded_by_their_names(tmp_path: Path) -> None:
    seg = highdicom.seg.segread(_written(tmp_path)[2] / "regions.dcm")
    meanings = [seg.get_segment_description(number).segmented_property_type.meaning for number in (1, 2, 3)]
    assert meanings == ["Liver", "Kidney", "Lesion"]
    assert terms_of("left_kidney").side == ("7771000", "SCT", "Left")
    assert terms_of("Kidney_R").kind[2] == "Kidney"
    assert terms_of("something else").kind[2] == "Anatomical structure"


def test_the_report_holds_the_doses_and_points_to_their_segments(tmp_path: Path) -> None:
    dose, regions, folder = _written(tmp_path)
    report = highdicom.sr.srread(folder / "report.dcm")
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    groups = report.content.get_volumetric_roi_measurement_groups()
    seg = pydicom.dcmread(folder / "regions.dcm")
    assert [group.tracking_identifier for group in groups] == list(_NAMES)
    for number, (group, region) in enumerate(zip(groups, regions, strict=True), start=1):
        assert group.reference_type.meaning == "Referenced Segment"
        names = {each.name.meaning: each for each in group.get_measurements()}
        assert set(names) == {"Absorbed Dose", "Volume"}
        found = names["Absorbed Dose"]
        assert found.value == pytest.approx(float(dose.array_kji[region.mask_kji].mean()), rel=1e-6)
        assert found.unit.value == "Gy"
        assert group.tracking_uid == seg.SegmentSequence[number - 1].TrackingUID


def test_sixteen_bits_round_to_their_step(tmp_path: Path) -> None:
    dose, _, folder = _written(tmp_path, bits=16)
    back = read_volume(folder / "dose.dcm", Quantity.ABSORBED_DOSE)
    step_gy = float(dose.array_kji.max()) / LARGEST_STORED_DOSE_16_BITS
    np.testing.assert_allclose(back.array_kji, dose.array_kji, rtol=0, atol=0.51 * step_gy)
    with pytest.raises(InputError, match="16 or 32 bits, found 12"):
        write_rtdose(dose, tmp_path / "other.dcm", bits=12)


def _complaints(file: Path) -> list[str]:
    """What dciodvfy says of a file besides its name."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian: dicom3tools) is not installed")
    ran = subprocess.run([program, str(file)], capture_output=True, text=True, timeout=60, check=False)
    lines = (ran.stdout + ran.stderr).splitlines()
    assert ran.returncode == 0, lines[-3:]
    return [line for line in lines if line.startswith(("Error", "Warning"))]


@pytest.mark.parametrize("name", ["dose", "regions", "report"])
@pytest.mark.parametrize("kind", ["straight", "turned", "left-handed"])
def test_dciodvfy_has_nothing_to_say(tmp_path: Path, name: str, kind: str) -> None:
    # dciodvfy of dicom3tools 1.00 (2022) stops at an assertion of its own where pixels have 32 bits, which PS3.3
    # C.8.8.3.4.4 allows for RT Dose; the header of both is the same (next test).
    assert _complaints(_written(tmp_path, kind, bits=16)[2] / f"{name}.dcm") == []


def test_thirty_two_bits_change_pixels_and_their_description_alone(tmp_path: Path) -> None:
    (tmp_path / "16").mkdir()
    (tmp_path / "32").mkdir()
    first = pydicom.dcmread(_written(tmp_path / "16", bits=16)[2] / "dose.dcm")
    second = pydicom.dcmread(_written(tmp_path / "32", bits=32)[2] / "dose.dcm")
    assert [element.tag for element in first] == [element.tag for element in second]
    different = {e.keyword for e in first if e.value != second[e.tag].value and not e.keyword.endswith(("UID", "Time"))}
    assert different - {"ReferencedRTPlanSequence"} == {
        "BitsAllocated", "BitsStored", "HighBit", "DoseGridScaling", "PixelData",
    }  # fmt: skip


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    dose, regions, folder = _written(tmp_path)
    dose_file = pydicom.dcmread(folder / "dose.dcm")
    with OutputTransaction() as transaction:
        with pytest.raises(RegionError, match="at least one region"):
            write_segmentation([], dose.geometry, folder / "a.dcm", dose_file, transaction)
        smaller = VolumeGeometry((3, 3, 3), (1.0, 1.0, 1.0))
        with pytest.raises(InputError, match="another shape"):
            write_segmentation(regions, smaller, folder / "b.dcm", dose_file, transaction)
        seg = pydicom.dcmread(folder / "regions.dcm")
        with pytest.raises(InputError, match="The doses are of spleen, the segments of liver"):
            write_dose_report([{"region": "spleen"}], folder / "c.dcm", seg, dose_file, "local", transaction)


def test_a_case_writes_all_four_and_dciodvfy_accepts_them(tmp_path: Path) -> None:
    text = CASE_TEXT.replace("dicom = false", "").replace('["local", "multiple-vsv"]', '["local"]')
    done = run_case(write_torso_case(tmp_path / "torso", text))
    files = sorted((done.results / "report" / "dicom").glob("*.dcm"))
    assert [file.name for file in files] == ["dose.dcm", "dose.sc.dcm", "region_doses.sr.dcm", "regions.seg.dcm"]
    dose, capture = (pydicom.dcmread(file) for file in files[:2])
    assert dose.BitsAllocated == 16
    assert capture.SOPClassUID.name == "Secondary Capture Image Storage"
    assert (capture.StudyInstanceUID, capture.PatientName) == (dose.StudyInstanceUID, dose.PatientName)
    assert capture.SeriesInstanceUID != dose.SeriesInstanceUID
    html = (done.report).read_text(encoding="utf-8")
    shown = base64.b64decode(re.findall(r"data:image/png;base64,([^\"]*)", html)[-1])
    pixels = np.round(255 * matplotlib.image.imread(io.BytesIO(shown), format="png")[..., :3])
    np.testing.assert_array_equal(capture.pixel_array, pixels)
    report = highdicom.sr.srread(files[2])
    names = [group.tracking_identifier for group in report.content.get_volumetric_roi_measurement_groups()]
    assert "kidneys" in names
    for file in files:
        assert _complaints(file) == [], file.name
