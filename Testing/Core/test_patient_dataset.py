"""A data set folder: what it reads back, and how it refuses what is missing, changed or does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, GeometryMismatchError, InputError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.regions import LabelMap, write_label_map
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.images.writers import write_volume
from radiodosimetry.provenance import file_identity
from radiodosimetry.units import Quantity
from radiodosimetry.virtual_patients.dataset import (
    MANIFEST,
    describe_patient,
    read_dataset,
    scan_name,
    write_manifest,
)

GRID = VolumeGeometry((3, 4, 5), (4.0, 4.0, 4.0), (1.0, 2.0, 3.0))
FILES = {
    "ct": "ct.nii.gz",
    "labels": "labels.nii.gz",
    "label_names": "labels.csv",
    "scan_024h": "scan_024h.nii.gz",
    "tia": "tia.nrrd",
    "kinetics": "kinetics.json",
}


def volume(quantity: Quantity, value: float, grid: VolumeGeometry = GRID) -> QuantitativeVolume:
    return QuantitativeVolume(np.full(grid.shape_kji, value, np.float32), grid, quantity)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two patients of four images each."""
    entries = []
    for number in (1, 2):
        id = f"patient_{number:04d}"
        home = tmp_path / id
        home.mkdir()
        write_volume(volume(Quantity.CT_NUMBER, 40.0), home / "ct.nii.gz")
        write_volume(volume(Quantity.ACTIVITY_CONCENTRATION, number), home / "scan_024h.nii.gz")
        write_volume(volume(Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, 7.0), home / "tia.nrrd")
        labels = LabelMap(np.ones(GRID.shape_kji, np.int32), GRID, {1: "liver"})
        write_label_map(labels, home / "labels.nii.gz", home / "labels.csv")
        (home / "kinetics.json").write_text('{"tracer": "given"}')
        entries.append(describe_patient(tmp_path, id, f"clinic:{number}", [24.0], FILES))
    write_manifest(tmp_path, entries, seed=None, tracer="given", nuclide="Lu-177")
    return tmp_path


def edit_manifest(folder: Path, change: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)  # type: ignore[operator]
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_a_folder_reads_back_as_it_was_written(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert dataset.complete
    assert dataset.nuclide == "Lu-177"
    second = dataset.patients[1]
    assert (second.id, second.source, second.scan_hours) == ("patient_0002", "clinic:2", (24.0,))
    assert second.has("scan_024h")
    assert not second.has("dose")
    assert second.volume("scan_024h").array_kji.max() == 2.0
    assert second.volume("tia").quantity is Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
    assert second.labels().mask("liver").all()
    assert second.kinetics() == {"tracer": "given"}
    assert second.geometry.same_grid(GRID)


def test_scans_are_named_by_their_hour() -> None:
    assert scan_name("truth", 24.0) == "truth_024h"
    assert scan_name("scan", 3.5) == "scan_003.5h"


def test_a_missing_modality_names_patient_and_file(folder: Path) -> None:
    dataset = read_dataset(folder)
    with pytest.raises(InputError, match=r"patient_0001 of .* has no 'dose'; it has ct, labels"):
        dataset.require("ct", "dose")
    (folder / "patient_0002" / "tia.nrrd").unlink()
    with pytest.raises(InputError, match=r"tia of patient_0002 is missing: .*tia.nrrd does not exist"):
        read_dataset(folder)


def test_a_changed_file_names_patient_and_file(folder: Path) -> None:
    patient = read_dataset(folder).patients[0]
    write_volume(volume(Quantity.ACTIVITY_CONCENTRATION, 9.0), folder / "patient_0001" / "scan_024h.nii.gz")
    for read in (lambda: read_dataset(folder), lambda: patient.volume("scan_024h")):
        with pytest.raises(InputError, match=r"scan_024h of patient_0001 is not the file that the manifest describes"):
            read()


def test_a_changed_unit_in_a_sidecar_is_found(folder: Path) -> None:
    sidecar = folder / "patient_0001" / "tia.nrrd.json"
    sidecar.write_text(sidecar.read_text().replace('"unit": "Bq s/mL"', '"unit": "MBq h/mL"'))
    with pytest.raises(InputError, match=r"tia of patient_0001 is not the file .*json differs"):
        read_dataset(folder)


def test_an_image_on_another_grid_names_patient_and_file(folder: Path) -> None:
    shifted = VolumeGeometry(GRID.shape_kji, GRID.spacing_mm, (9.0, 2.0, 3.0))
    path = folder / "patient_0001" / "tia.nrrd"
    write_volume(volume(Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, 7.0, shifted), path)

    def accept(manifest: dict) -> None:
        file = manifest["patients"][0]["files"]["tia"]
        file["sha256"] = file_identity(path)["sha256"]
        file.pop("sidecar_sha256")

    edit_manifest(folder, accept)
    with pytest.raises(GeometryMismatchError, match=r"tia of patient_0001 .* lies on .*, the patient on"):
        read_dataset(folder).patients[0].volume("tia")


def test_an_image_of_another_quantity_is_refused(folder: Path) -> None:
    path = folder / "patient_0001" / "tia.nrrd"
    write_volume(volume(Quantity.ABSORBED_DOSE, 1.0), path)

    def accept(manifest: dict) -> None:
        file = manifest["patients"][0]["files"]["tia"]
        file["sha256"] = file_identity(path)["sha256"]
        file.pop("sidecar_sha256")

    edit_manifest(folder, accept)
    with pytest.raises(FileFormatError, match="tia of patient_0001 cannot be used: .* holds absorbed_dose"):
        read_dataset(folder).patients[0].volume("tia")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda m: m.update(format=2), "has format 2, this version reads format 1"),
        (lambda m: m.pop("format"), "is not a manifest of a data set"),
        (lambda m: m.update(patients={}), "lacks 'patients' or garbles it"),
        (lambda m: m.update(patients=[]), "holds no patient yet"),
        (lambda m: m["patients"][0].pop("source"), "cannot be understood"),
        (lambda m: m["patients"][0]["files"]["ct"].update(path="../ct.nii.gz"), "would lie outside"),
        (lambda m: m["patients"][0]["files"]["ct"].update(path="/etc/passwd"), "would lie outside"),
        (lambda m: m["patients"].append(m["patients"][0]), "holds patient_0001 more than once"),
        (lambda m: m["patients"][0].update(scan_hours=[float("nan")]), "scan hour that is not a number"),
    ],
)
def test_a_broken_manifest_is_refused_in_words(folder: Path, change: object, words: str) -> None:
    edit_manifest(folder, change)
    with pytest.raises(InputError, match=words):
        read_dataset(folder)


def test_a_folder_without_a_readable_manifest_is_no_data_set(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST).write_text("{")
    with pytest.raises(FileFormatError, match="cannot be read as a manifest"):
        read_dataset(folder)
    with pytest.raises(FileFormatError, match="is not a data set: it has no manifest.json"):
        read_dataset(tmp_path / "nowhere")
