"""CT series, files and slices: sorted, rescaled, and refused by name where they make no volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from dicom_samples import FRAME_OF_REFERENCE, ct_slice, pet_slice, save, save_series
from radiodosimetry.errors import FileFormatError, GeometryMismatchError, InputError, UnitError
from radiodosimetry.images import dicom_pixels
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.units import Quantity


def slices(count: int = 4, step_mm: float = 3.0) -> list:
    rng = np.random.default_rng(5)
    return [
        ct_slice(index, rng.integers(0, 3000, (5, 6)).astype(np.uint16), 100.0 - step_mm * index)
        for index in range(count)
    ]


def test_slices_stored_from_head_to_feet_are_sorted_along_the_normal(tmp_path: Path) -> None:
    datasets = slices()
    volume = read_dicom(save_series(datasets, tmp_path))
    assert volume.quantity is Quantity.CT_NUMBER
    assert volume.geometry.shape_kji == (4, 5, 6)
    assert volume.geometry.spacing_mm == (1.5, 2.0, 3.0)
    assert volume.geometry.origin_mm == (-10.0, -20.0, 91.0)
    assert volume.geometry.frame_of_reference_uid == FRAME_OF_REFERENCE
    stored = np.stack([dataset.pixel_array for dataset in reversed(datasets)]).astype(float)
    np.testing.assert_array_equal(volume.array_kji, stored - 1024)
    assert volume.record.inputs["file"]["series_uid"] == datasets[0].SeriesInstanceUID


def test_sagittal_slices_get_their_own_right_handed_axes(tmp_path: Path) -> None:
    datasets = slices(3)
    for index, dataset in enumerate(datasets):
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.ImagePositionPatient = [str(5 - 3 * index), "-20", "40"]
    volume = read_dicom(save_series(datasets, tmp_path))
    assert np.linalg.det(volume.geometry.direction) == pytest.approx(1.0)
    np.testing.assert_allclose(volume.geometry.direction[:, 2], [-1, 0, 0])
    np.testing.assert_array_equal(volume.array_kji[0], datasets[0].pixel_array.astype(float) - 1024)


def test_a_missing_slice_is_named_with_its_neighbours_and_the_gap(tmp_path: Path) -> None:
    datasets = slices(6)
    del datasets[3]
    with pytest.raises(GeometryMismatchError, match=r"lie 6\.000 mm apart .* steps of 3\.000 mm: 1 slice is missing"):
        read_dicom(save_series(datasets, tmp_path))


def test_two_slices_at_one_position_are_refused(tmp_path: Path) -> None:
    datasets = [*slices(), ct_slice(9, np.zeros((5, 6), np.uint16), 97.0)]
    with pytest.raises(GeometryMismatchError, match=r"0\.000 mm apart .*duplicates, or a dynamic or gated series"):
        read_dicom(save_series(datasets, tmp_path))


def test_uneven_steps_are_refused_with_the_departure(tmp_path: Path) -> None:
    datasets = slices(5)
    datasets[2].ImagePositionPatient[2] = "94.5"
    with pytest.raises(GeometryMismatchError, match=r"0\.500 mm off a regular spacing of 3\.000 mm"):
        read_dicom(save_series(datasets, tmp_path))


def test_a_tilted_gantry_is_refused_with_its_shift(tmp_path: Path) -> None:
    datasets = slices(5)
    for index, dataset in enumerate(datasets):
        dataset.ImagePositionPatient[1] = f"{-20 + 0.5 * index}"
        dataset.GantryDetectorTilt = "9.5"
    with pytest.raises(GeometryMismatchError, match=r"2\.00 mm sideways .*Tilt says 9\.5°"):
        read_dicom(save_series(datasets, tmp_path))


@pytest.mark.parametrize(
    ("keyword", "value", "text"),
    [
        ("ImageOrientationPatient", ["0", "1", "0", "-1", "0", "0"], "one orientation in a series"),
        ("PixelSpacing", ["2", "1.6"], "one size in a series"),
        ("FrameOfReferenceUID", "9.9", "frame of reference 9.9"),
    ],
)
def test_slices_that_differ_are_refused(tmp_path: Path, keyword: str, value: object, text: str) -> None:
    datasets = slices()
    setattr(datasets[1], keyword, value)
    with pytest.raises(GeometryMismatchError, match=text):
        read_dicom(save_series(datasets, tmp_path))


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("ImagePositionPatient", r"Image Position \(Patient\) \(0020,0032\) is missing"),
        ("ImageOrientationPatient", r"Image Orientation \(Patient\) \(0020,0037\) is missing"),
        ("PixelSpacing", r"Pixel Spacing \(0028,0030\) is missing"),
        ("RescaleSlope", r"Rescale Slope \(0028,1053\) is missing"),
        ("Rows", r"Rows \(0028,0010\) is missing"),
        ("PixelData", r"no Pixel Data \(7FE0,0010\)"),
    ],
)
def test_a_missing_attribute_is_named(tmp_path: Path, keyword: str, text: str) -> None:
    datasets = slices()
    for dataset in datasets:
        delattr(dataset, keyword)
    with pytest.raises(FileFormatError, match=text):
        read_dicom(save_series(datasets, tmp_path))


@pytest.mark.parametrize(("value_type", "padding"), [("SS", -2000), ("US", 63536)])
def test_padding_and_what_lies_below_becomes_air(tmp_path: Path, value_type: str, padding: int) -> None:
    datasets = []
    for index in range(2):
        stored = np.full((5, 6), 1024, np.int16)
        stored[0, 0], stored[0, 1], stored[0, 2] = -2000, -1500, 0
        datasets.append(ct_slice(index, stored, 3.0 * index))
        datasets[-1].add_new("PixelPaddingValue", value_type, padding)
    volume = read_dicom(save_series(datasets, tmp_path))
    assert volume.array_kji[0, 0, :4].tolist() == [-1024.0, -1024.0, -1024.0, 0.0]
    assert volume.record.parameters["padded_voxels"] == 2
    assert volume.record.warnings == ("2 voxels below -1024 HU were set to -1024 HU (outside the scanner's circle).",)


def test_a_ct_in_other_units_than_hounsfield_is_refused(tmp_path: Path) -> None:
    datasets = slices()
    datasets[0].RescaleType = "MGML"
    with pytest.raises(UnitError, match="is 'MGML'; expected HU"):
        read_dicom(save_series(datasets, tmp_path))


def test_localizers_are_left_out(tmp_path: Path) -> None:
    localizer = ct_slice(50, np.zeros((9, 9), np.uint16), 0.0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    assert read_dicom(save_series([*slices(), localizer], tmp_path)).geometry.shape_kji == (4, 5, 6)


def test_one_slice_takes_its_thickness_with_a_warning(tmp_path: Path) -> None:
    volume = read_dicom(save(slices()[0], tmp_path / "one.dcm"))
    assert volume.geometry.spacing_mm[2] == 3.0
    assert "one slice; its thickness of 3 mm" in volume.record.warnings[0]


def test_several_series_are_listed_and_one_is_taken_by_its_uid(tmp_path: Path) -> None:
    first, second = slices(), slices()
    for dataset in second:
        dataset.SeriesInstanceUID, dataset.SeriesDescription = "1.9", "thin"
    save_series(first, tmp_path / "a")
    save_series(second, tmp_path / "b")
    (tmp_path / "notes.txt").write_text("not DICOM")
    with pytest.raises(
        InputError, match=r"holds 2 series where one is needed: .*CT 'thin' \(4 files\), series_uid 1\.9"
    ):
        read_dicom(tmp_path)
    assert read_dicom(tmp_path, series_uid="1.9").record.inputs["file"]["series_uid"] == "1.9"
    with pytest.raises(InputError, match=r"No series 7\.7 .*found: CT"):
        read_dicom(tmp_path, series_uid="7.7")


def test_the_wanted_quantity_chooses_between_ct_and_pet(tmp_path: Path) -> None:
    pet = [pet_slice(index, np.ones((5, 6), np.int16), 3.0 * index) for index in range(3)]
    save_series([*slices(), *pet], tmp_path)
    assert read_dicom(tmp_path, Quantity.CT_NUMBER).quantity is Quantity.CT_NUMBER
    assert read_dicom(tmp_path, Quantity.ACTIVITY_CONCENTRATION).unit == "Bq/mL"
    with pytest.raises(InputError, match="holds no RTDOSE series; found: CT"):
        read_dicom(tmp_path, Quantity.ABSORBED_DOSE)
    with pytest.raises(UnitError, match="mass_density was asked for"):
        read_dicom(tmp_path, Quantity.MASS_DENSITY)
    with pytest.raises(InputError, match="only SPECT"):
        read_dicom(tmp_path, Quantity.CT_NUMBER, calibration_bq_per_ml_per_count=2.0)


def test_missing_paths_and_folders_without_dicom_are_said_so(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="does not exist"):
        read_dicom(tmp_path / "nowhere")
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(FileFormatError, match="holds 1 files, none of them DICOM"):
        read_dicom(tmp_path)
    with pytest.raises(FileFormatError, match="is no DICOM file"):
        read_dicom(tmp_path / "readme.txt")


def test_a_file_cut_in_its_pixels_is_said_to_be_cut_short(tmp_path: Path) -> None:
    path = save(slices()[0], tmp_path / "cut.dcm")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileFormatError, match="cut"):
        read_dicom(path)


@pytest.mark.shared_data
def test_a_real_jpeg_2000_series_descending_in_z_is_one_volume_in_hounsfield_units(shared_data: Path) -> None:
    volume = read_dicom(shared_data / "ct_dicom_series")
    assert volume.geometry.shape_kji == (20, 512, 512)
    assert volume.geometry.spacing_mm == pytest.approx((0.9765625, 0.9765625, 2.0))
    assert volume.geometry.origin_mm == pytest.approx((-249.51171875, -437.51171875, -804.5))
    assert volume.array_kji.min() == -1024
    assert 1000 < volume.array_kji.max() < 3072
    assert volume.record.warnings == ()


@pytest.mark.shared_data
def test_gdcm_decodes_jpeg_2000_to_the_same_stored_numbers_as_a_codec_of_pydicom(
    shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not dicom_pixels._pydicom_decodes(JPEG2000Lossless):
        pytest.skip("no JPEG 2000 codec for pydicom is installed to compare with")
    path = sorted((shared_data / "ct_dicom_series").iterdir())[7]
    by_pydicom = dicom_pixels.stored_pixels(path)
    monkeypatch.setattr(dicom_pixels, "_pydicom_decodes", lambda syntax: False)
    np.testing.assert_array_equal(dicom_pixels.stored_pixels(path), by_pydicom)
