"""A PET series as written is the volume that is read back, belongs to its patient, and says that it is synthetic."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from dicom_samples import pet_slice, save_series
from radiodosimetry.errors import InputError, UnitError
from radiodosimetry.images.dicom_pet_writer import PetSeriesDescription, injection_time_of, write_pet_series
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.units import Quantity

HALF_LIFE_S = 45720.0
DIRECTIONS = {
    "axial": np.eye(3),
    "feet first": np.diag([1.0, 1.0, -1.0]),
    "turned": np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]]),
}


def description(**changes: object) -> PetSeriesDescription:
    values = {
        "series": "PET 24 h", "derivation": "made from an early scan", "nuclide": "Cu-64", "half_life_s": HALF_LIFE_S,
        "injection": datetime(2024, 3, 1, 9, 0), "administered_bq": 3e8, "synthetic": True,
    }  # fmt: skip
    return PetSeriesDescription(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def volume(rng: np.random.Generator) -> QuantitativeVolume:
    return make_volume(rng, "axial")


def make_volume(rng: np.random.Generator, direction: str) -> QuantitativeVolume:
    geometry = VolumeGeometry((5, 7, 6), (3.0, 4.0, 2.5), (-10.0, 4.0, 100.0), DIRECTIONS[direction], "1.2.3.9")
    array = (rng.random((5, 7, 6)) * 10.0 ** rng.uniform(0, 5, (5, 1, 1))).astype(np.float32)
    array[2] = 0.0
    return QuantitativeVolume(array, geometry, Quantity.ACTIVITY_CONCENTRATION, datetime(2024, 3, 2, 9, 0))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_is_written_is_read_back(tmp_path: Path, rng: np.random.Generator, direction: str) -> None:
    volume = make_volume(rng, direction)
    write_pet_series(volume, tmp_path, description())
    found = read_volume(tmp_path, Quantity.ACTIVITY_CONCENTRATION)
    assert found.time == volume.time
    array = np.asarray(found.array_kji)
    if not found.geometry.same_grid(volume.geometry):  # the reader's slices run along rows × columns
        array = array[::-1]
    largest = volume.array_kji.max(axis=(1, 2), keepdims=True)
    assert (np.abs(array - volume.array_kji) <= 0.51 * largest / 32767 + 1e-6).all()
    assert found.record.parameters["injected_activity_bq"] == 3e8
    assert found.record.parameters["half_life_s"] == HALF_LIFE_S


def test_every_file_says_that_it_is_synthetic(tmp_path: Path, volume: QuantitativeVolume) -> None:
    paths = write_pet_series(volume, tmp_path, description())
    assert len(paths) == 5
    for path in paths:
        header = pydicom.dcmread(path)
        assert header.SeriesDescription == "SYNTHETIC PET 24 h"
        assert header.DerivationDescription == "SYNTHETIC made from an early scan"
        assert list(header.ImageType)[0] == "DERIVED"
        assert header.ReconstructionMethod == "SYNTHETIC"
        assert header.Units == "BQML"
    assert len({pydicom.dcmread(path).SOPInstanceUID for path in paths}) == 5
    assert len({pydicom.dcmread(path).SeriesInstanceUID for path in paths}) == 1


@pytest.mark.parametrize("synthetic", [True, False])
def test_what_is_read_back_warns_that_it_is_synthetic(
    tmp_path: Path, volume: QuantitativeVolume, synthetic: bool
) -> None:
    write_pet_series(volume, tmp_path, description(synthetic=synthetic))
    record = read_volume(tmp_path, Quantity.ACTIVITY_CONCENTRATION).record
    said = "The series is synthetic and was never measured; its header says: made from an early scan."
    assert record.warnings.count(said) == synthetic
    assert any("synthetic" in text for text in record.warnings) == synthetic


def test_it_belongs_to_the_patient_of_the_early_scan(tmp_path: Path, volume: QuantitativeVolume) -> None:
    stored = np.ones((7, 6), dtype=np.uint16)
    early = tmp_path / "early"
    save_series([pet_slice(n, stored, 3.0 * n, PatientSex="F") for n in (1, 2)], early)
    (tmp_path / "late").mkdir()
    geometry = VolumeGeometry((5, 7, 6), (3.0, 4.0, 2.5))
    unframed = QuantitativeVolume(volume.array_kji, geometry, volume.quantity, volume.time)
    path = write_pet_series(unframed, tmp_path / "late", description(), reference=early)[0]
    header = pydicom.dcmread(path)
    assert (header.PatientID, header.PatientSex, float(header.PatientWeight)) == ("T1", "F", 70.0)
    assert header.StudyInstanceUID == "1.2.3.4.3"
    assert header.FrameOfReferenceUID == "1.2.3.4.1"


def test_without_reference_the_patient_is_anonymous(tmp_path: Path, volume: QuantitativeVolume) -> None:
    header = pydicom.dcmread(write_pet_series(volume, tmp_path, description())[0])
    assert header.PatientID == "ANONYMOUS"
    assert header.FrameOfReferenceUID == "1.2.3.9"


def test_what_cannot_be_written_is_refused(tmp_path: Path, volume: QuantitativeVolume) -> None:
    timeless = QuantitativeVolume(volume.array_kji, volume.geometry, volume.quantity)
    with pytest.raises(InputError, match="names none"):
        write_pet_series(timeless, tmp_path, description())
    with pytest.raises(InputError, match="none below zero"):
        write_pet_series(volume.with_array(-volume.array_kji), tmp_path, description())
    dose = QuantitativeVolume(volume.array_kji, volume.geometry, Quantity.ABSORBED_DOSE)
    with pytest.raises(UnitError, match="found absorbed_dose"):
        write_pet_series(dose, tmp_path, description())
    assert list(tmp_path.iterdir()) == []


def test_the_injection_lies_before_the_volume(volume: QuantitativeVolume) -> None:
    assert injection_time_of(volume, 86400.0) == datetime(2024, 3, 1, 9, 0)
