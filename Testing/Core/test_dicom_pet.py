"""PET series: units, the clock of the decay correction, SUV factors of real headers."""

from __future__ import annotations

import json
import math
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from dicom_samples import pet_slice, save_series
from radiodosimetry.errors import FileFormatError, UnitError
from radiodosimetry.images.dicom_decay import mean_decay_delay_s
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.units import Quantity

DECAY_CONSTANT_PER_S = math.log(2) / 6586.2

HEADERS = {
    "SIEMENS": (4.27483e-4, "Series Time"),
    "GE_MEDICAL_AND_BQML": (5.36739e-4, "Series Time"),
    "PHILIPS_BQML": (7.46375e-4, "Series Time"),
    "BQML_AC_DT_lessThan_S_DT_SIEMENS": (4.06916e-4, "earliest Acquisition Time of the series"),
}
"""Body-weight SUV factors calculated by calculate-suv for these headers, and the rule that gives them."""

SUV_FACTOR_TOLERANCE = 2e-6
"""Half a unit of the sixth digit, in which the reference factors are printed."""


def series(folder: Path, count: int = 3, **attributes: object) -> Path:
    stored = np.full((4, 5), 100, np.int16)
    return save_series([pet_slice(index, stored, 3.0 * index, **attributes) for index in range(count)], folder)


def with_private_factors(folder: Path, suv: str | None, activity: str | None, **attributes: object) -> Path:
    datasets = []
    for index in range(3):
        dataset = pet_slice(index, np.full((4, 5), 100, np.int16), 3.0 * index, Units="CNTS", **attributes)
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        if suv is not None:
            block.add_new(0x00, "DS", suv)
        if activity is not None:
            block.add_new(0x09, "DS", activity)
        datasets.append(dataset)
    return save_series(datasets, folder)


def test_every_slice_has_its_own_slope(tmp_path: Path) -> None:
    datasets = [pet_slice(index, np.full((4, 5), 10, np.int16), 3.0 * index) for index in range(3)]
    for index, dataset in enumerate(datasets):
        dataset.RescaleSlope = str(index + 1)
    volume = read_dicom(save_series(datasets, tmp_path))
    assert volume.quantity is Quantity.ACTIVITY_CONCENTRATION
    assert volume.array_kji[:, 0, 0].tolist() == [10.0, 20.0, 30.0]


def test_start_means_series_time_when_it_does_not_follow_the_acquisition(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, SeriesTime="115900"))
    assert volume.time == datetime(2024, 3, 1, 11, 59)
    assert volume.record.parameters["decay_reference_rule"] == "Series Time"


def test_start_means_the_earliest_acquisition_of_all_slices_when_the_series_was_made_later(tmp_path: Path) -> None:
    datasets = [pet_slice(index, np.ones((4, 5), np.int16), 3.0 * index, SeriesTime="150000") for index in range(3)]
    for dataset, time in zip(datasets, ("120500", "120000", "121000"), strict=True):
        dataset.AcquisitionTime = time
    assert read_dicom(save_series(datasets, tmp_path)).time == datetime(2024, 3, 1, 12, 0)


def test_admin_means_the_injection(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, DecayCorrection="ADMIN"))
    assert volume.time == datetime(2024, 3, 1, 11, 0)
    assert volume.record.parameters["suvbw_factor_ml_per_g"] == pytest.approx(70e3 / 370e6)
    with pytest.raises(FileFormatError, match=r"Radiopharmaceutical Start Time \(0018,1072\) is missing"):
        read_dicom(series(tmp_path, DecayCorrection="ADMIN", RadiopharmaceuticalStartTime=None))


def test_none_brings_the_mean_over_each_frame_to_the_earliest_start(tmp_path: Path) -> None:
    datasets = [
        pet_slice(index, np.full((4, 5), 100, np.int16), 3.0 * index, DecayCorrection="NONE") for index in (0, 1)
    ]
    datasets[1].AcquisitionTime = "121000"
    volume = read_dicom(save_series(datasets, tmp_path))
    decays = DECAY_CONSTANT_PER_S * 120
    in_frame = decays / (1 - math.exp(-decays))
    assert volume.time == datetime(2024, 3, 1, 12, 0)
    assert volume.array_kji[0, 0, 0] == pytest.approx(250 * in_frame, rel=1e-6)
    assert volume.array_kji[1, 0, 0] == pytest.approx(250 * in_frame * math.exp(DECAY_CONSTANT_PER_S * 600), rel=1e-6)
    with pytest.raises(FileFormatError, match=r"Radionuclide Half Life .* because Decay Correction is NONE"):
        read_dicom(series(tmp_path, DecayCorrection="NONE", RadionuclideHalfLife=None))


def test_the_mean_delay_in_a_frame_is_half_of_a_short_one_and_ln_x_of_a_long_one() -> None:
    assert mean_decay_delay_s(1e-12, 60.0) == 30.0
    assert mean_decay_delay_s(0.01, 1000.0) == pytest.approx(100 * math.log(10 / (1 - math.exp(-10))))


def test_decay_factors_that_fit_another_clock_are_refused_with_that_clock(tmp_path: Path) -> None:
    true_factor = math.exp(DECAY_CONSTANT_PER_S * mean_decay_delay_s(DECAY_CONSTANT_PER_S, 120))
    attributes = {"SeriesTime": "113000", "DecayFactor": f"{true_factor:.6f}"}
    with pytest.raises(FileFormatError, match=r"-17\.3 %.*Series Time.*fit a reference time of 2024-03-01T12:00:00"):
        read_dicom(series(tmp_path, **attributes))
    given = datetime(2024, 3, 1, 12, 0)
    volume = read_dicom(tmp_path, reference_time=given)
    assert volume.time == given
    assert "given by the user" in volume.record.warnings[0]


def test_admin_with_decay_factors_of_the_scan_is_a_warning(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, DecayCorrection="ADMIN", DecayFactor="1.0063"))
    assert any("differs by -31.5 % from the one of its clock" in warning for warning in volume.record.warnings)


@pytest.mark.parametrize(
    ("units", "reason"), [("PROPCPS", "in proportion to activity"), ("CM2ML", "no unit of activity")]
)
def test_other_units_are_refused_with_the_reason(tmp_path: Path, units: str, reason: str) -> None:
    with pytest.raises(UnitError, match=rf"Units \(0054,1001\) of .* is {units}: .*{reason}"):
        read_dicom(series(tmp_path, Units=units))


def test_suv_is_turned_back_into_activity_by_weight_and_decayed_dose(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, Units="GML"))
    decayed_bq = 370e6 * math.exp(-DECAY_CONSTANT_PER_S * 3600)
    assert volume.array_kji[0, 0, 0] == pytest.approx(250 * decayed_bq / 70e3, rel=1e-6)
    with pytest.raises(UnitError, match=r"\(0054,1006\) of .* is LBM; expected BW"):
        read_dicom(series(tmp_path, Units="GML", SUVType="LBM"))


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        ("PatientWeight", r"Patient's Weight \(0010,1030\)"),
        ("RadionuclideTotalDose", r"Radionuclide Total Dose \(0018,1074\)"),
        ("RadionuclideHalfLife", r"Radionuclide Half Life \(0018,1075\)"),
        ("RadiopharmaceuticalStartTime", r"Radiopharmaceutical Start Time \(0018,1072\)"),
    ],
)
def test_suv_without_what_it_was_divided_by_is_refused_naming_the_attribute(
    tmp_path: Path, keyword: str, name: str
) -> None:
    with pytest.raises(FileFormatError, match=f"{name} is missing .*to turn SUV into Bq/mL"):
        read_dicom(series(tmp_path, Units="GML", **{keyword: None}))


@pytest.mark.parametrize("keyword", ["Units", "DecayCorrection", "RescaleSlope"])
def test_a_missing_attribute_of_the_values_is_named(tmp_path: Path, keyword: str) -> None:
    with pytest.raises(FileFormatError, match=r"\([0-9A-F]{4},[0-9A-F]{4}\) is missing or empty"):
        read_dicom(series(tmp_path, **{keyword: None}))


def test_a_series_without_any_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"Acquisition Time \(0008,0032\) is missing .*or give reference_time"):
        read_dicom(series(tmp_path, SeriesTime=None, AcquisitionTime=None))


def test_bq_per_ml_needs_neither_weight_nor_injection(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, PatientWeight=None, RadionuclideTotalDose=None))
    assert volume.array_kji[0, 0, 0] == 250.0
    assert volume.record.parameters["suvbw_factor_ml_per_g"] is None


def test_an_injection_after_the_scan_by_the_clock_was_the_day_before(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, RadiopharmaceuticalStartTime="233000"))
    assert volume.record.parameters["injection_time"] == "2024-02-29T23:30:00"
    assert any("taken as the day before" in warning for warning in volume.record.warnings)


@pytest.mark.parametrize(("dose", "text"), [("4270000000", "4.27 GBq were injected"), ("370", "looks like MBq")])
def test_an_injected_activity_that_cannot_be_is_a_warning(tmp_path: Path, dose: str, text: str) -> None:
    volume = read_dicom(series(tmp_path, RadionuclideTotalDose=dose))
    assert any(text in warning for warning in volume.record.warnings)


def test_an_image_without_attenuation_correction_is_a_warning(tmp_path: Path) -> None:
    volume = read_dicom(series(tmp_path, CorrectedImage=["NORM", "SCAT", "DECY"]))
    assert any("does not list attenuation (ATTN)" in warning for warning in volume.record.warnings)


def test_philips_counts_become_activity_by_the_private_factor(tmp_path: Path) -> None:
    volume = read_dicom(with_private_factors(tmp_path, None, "4.709921", RescaleSlope="1"))
    assert volume.array_kji[0, 0, 0] == pytest.approx(470.9921, rel=1e-6)


def test_philips_counts_become_activity_by_the_suv_factor_and_the_injection(tmp_path: Path) -> None:
    volume = read_dicom(with_private_factors(tmp_path, "0.000728", "0.0", RescaleSlope="1"))
    suv_per_bq_per_ml = volume.record.parameters["suvbw_factor_ml_per_g"]
    assert volume.array_kji[0, 0, 0] * suv_per_bq_per_ml == pytest.approx(0.0728, rel=1e-6)
    assert any("calculated back from SUV" in warning for warning in volume.record.warnings)


def test_philips_factors_that_contradict_each_other_are_a_warning(tmp_path: Path) -> None:
    volume = read_dicom(with_private_factors(tmp_path, "0.003", "4.709921"))
    assert any("(7053,1000) gives" in warning and "(7053,1009)" in warning for warning in volume.record.warnings)


def test_counts_without_private_factors_are_refused_naming_the_tags(tmp_path: Path) -> None:
    with pytest.raises(UnitError, match=r"CNTS and Philips' factors \(7053,1009\).*\(7053,1000\).*missing or zero"):
        read_dicom(series(tmp_path, Units="CNTS"))


@pytest.mark.shared_data
@pytest.mark.parametrize("name", HEADERS)
def test_real_vendor_headers_give_the_published_suv_factor(shared_data: Path, tmp_path: Path, name: str) -> None:
    expected, rule = HEADERS[name]
    volume = read_dicom(written_from_header(shared_data, tmp_path, name))
    assert volume.record.parameters["decay_reference_rule"] == rule
    assert volume.record.parameters["suvbw_factor_ml_per_g"] == pytest.approx(expected, rel=SUV_FACTOR_TOLERANCE)


@pytest.mark.shared_data
def test_a_real_philips_header_in_counts_keeps_its_suv(shared_data: Path, tmp_path: Path) -> None:
    volume = read_dicom(written_from_header(shared_data, tmp_path, "PHILIPS_CNTS_AND_SUV"))
    suv = volume.array_kji[0, 0, 0] * volume.record.parameters["suvbw_factor_ml_per_g"]
    assert suv == pytest.approx(100 * 7.28e-4, rel=1e-6)


@pytest.mark.shared_data
def test_a_real_siemens_slice_has_its_known_activity_time_and_suv(shared_data: Path) -> None:
    volume = read_dicom(shared_data / "pet_dicom" / "1.dcm")
    parameters = volume.record.parameters
    assert volume.time == datetime(1960, 6, 14, 15, 23, 16, 921000)
    assert parameters["decay_factors_checked"] == 1
    assert parameters["injected_activity_bq"] == pytest.approx(178_340_011.6)
    assert parameters["suvbw_factor_ml_per_g"] == pytest.approx(5.942485e-4, rel=SUV_FACTOR_TOLERANCE)
    assert volume.array_kji.max() == pytest.approx(1327 * 9.12329, rel=1e-6)
    assert volume.array_kji.max() * parameters["suvbw_factor_ml_per_g"] == pytest.approx(7.194, abs=5e-4)


def written_from_header(shared_data: Path, folder: Path, name: str) -> Path:
    """A series of tiny slices with the attributes of a real header set."""
    datasets = []
    for index, header in enumerate(json.loads((shared_data / "pet_headers" / f"{name}-instances.json").read_text())):
        private = header.pop("PhilipsPETPrivateGroup", {})
        attributes = {
            key: value.strip() if isinstance(value, str) else value if isinstance(value, list) else f"{value:.12g}"
            for key, value in header.items()
        }
        dataset = pet_slice(index, np.full((3, 3), 100, np.int16), 3.0 * index, RescaleSlope="1", **attributes)
        if private:
            block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
            for element, key in ((0x00, "SUVScaleFactor"), (0x09, "ActivityConcentrationScaleFactor")):
                if key in private:
                    block.add_new(element, "DS", private[key].strip())
        datasets.append(dataset)
    return save_series(datasets, folder)
