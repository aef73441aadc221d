"""One early PET to organ doses by commands: how uncertain synthetic scans are is told to the end, or that it is not."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient
from radiodosimetry.cli import main
from radiodosimetry.delayed_pet.training import train_on_patients
from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.writers import write_volume
from radiodosimetry.time_activity.fit_files import read_fits

GIVEN = ["--nuclide", "Cu-64", "--administered-mbq", "300"]
UNKNOWN = "is synthetic and its uncertainty is not known here"


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an early scan, regions and what a model trained for a moment made of them, as DICOM too."""
    folder = tmp_path_factory.mktemp("chain")
    model = train_on_patients([toy_patient(seed) for seed in range(5)], ratio_settings(epochs=1), folder / "run")
    patient = toy_patient(99)
    assert patient.ct is not None
    assert patient.labels is not None
    labels = replace(patient.labels, names={**patient.labels.names, 1: "remainder_of_body"})
    write_volume(patient.scans[HOUR_S], folder / "early.nii.gz")
    write_volume(patient.ct, folder / "ct.nii.gz")
    write_label_map(labels, folder / "labels.nii.gz", folder / "labels.csv")
    words = ["synthesize", "--model", str(model), "--early", str(folder / "early.nii.gz"), "--early-time-h", "1",
             "--time-h", "24", "--time-h", "48", "--ct", str(folder / "ct.nii.gz"), "--tracer", "toy",
             "--dicom", "--injection-time", "2024-05-31T09:00", *regions(folder), *GIVEN,
             "--output", str(folder)]  # fmt: skip
    assert main(words) == 0
    return folder


def regions(folder: Path) -> list[str]:
    return ["--labels", str(folder / "labels.nii.gz"), "--label-names", str(folder / "labels.csv")]


def relative_std(folder: Path, output: Path, later: str) -> tuple[dict[str, float], list[str]]:
    """Relative standard uncertainty of each organ's dose, and what its record warns of; of fits, as printed."""
    scans = ["--scan", f"1={folder / 'early.nii.gz'}"]
    scans += [word for hours in (24, 48) for word in ("--scan", f"{hours}={folder / later.format(hours)}")]
    curves, fits, organs = (str(output / name) for name in ("curves.csv", "fits.json", "organs.csv"))
    assert main(["curves", *scans, *regions(folder), *GIVEN, "--output", curves]) == 0
    assert main(["fit", curves, "--model", "mono", *GIVEN, "--output", fits]) == 0
    assert main(["organ-dose", "--fits", fits, "--phantom", "adult-male", *GIVEN, "--output", organs]) == 0
    with (output / "organs.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    warnings = json.loads((output / "organs.csv.json").read_text(encoding="utf-8"))["warnings"]
    return {row["target"]: float(row["std"]) / float(row["absorbed_dose_mgy_per_mbq"]) for row in rows}, warnings


def test_organ_doses_of_synthetic_scans_are_as_uncertain_as_these(synthesised: Path, tmp_path: Path) -> None:
    found, warnings = relative_std(synthesised, tmp_path, "pet_{:g}h.nii.gz")
    assert min(found.values()) > 0.01
    assert not any(UNKNOWN in warning for warning in warnings)
    for region, fit in read_fits(tmp_path / "fits.json").items():
        assert fit.shared_relative_std["synthesis"] > 0.01, region
    record = json.loads((tmp_path / "curves.csv.json").read_text(encoding="utf-8"))
    assert record["inputs"]["uncertainty of scan 2"]["file"]["path"].endswith("pet_24h_uncertainty.nii.gz")
    shares = record["parameters"]["regions"]["liver"]["relative_std"]["synthesis"]
    assert shares[0] == 0
    assert min(shares[1:]) > 0.01


def test_a_dicom_copy_has_no_uncertainty_and_is_warned_of_to_the_end(synthesised: Path, tmp_path: Path) -> None:
    known, _ = relative_std(synthesised, tmp_path, "pet_{:g}h.nii.gz")
    found, warnings = relative_std(synthesised, tmp_path, "pet_{:g}h_dicom")
    assert [hours for hours in (24, 48) if any(f"at {hours} h {UNKNOWN}" in text for text in warnings)] == [24, 48]
    assert found["liver"] < known["liver"]
