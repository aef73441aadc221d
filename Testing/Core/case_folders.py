"""Cases small enough for tests: the synthetic torso on a coarse grid, with four scans."""

from __future__ import annotations

import shutil
from pathlib import Path

from radiodosimetry.images.regions import write_label_map
from radiodosimetry.images.writers import write_volume
from radiodosimetry.virtual_patients import centred_geometry, torso_patient, torso_scans

HOURS = (4.0, 24.0, 96.0, 168.0)

CASE_TEXT = """\
format = 1
name = "torso"
nuclide = "Lu-177"
administered_mbq = 7400.0
ct = "ct.nii.gz"

[[scan]]
hours = 4.0
image = "scan_004h.nii.gz"

[[scan]]
hours = 24.0
image = "scan_024h.nii.gz"

[[scan]]
hours = 96.0
image = "scan_096h.nii.gz"

[[scan]]
hours = 168.0
image = "scan_168h.nii.gz"

[regions]
labels = "labels.nii.gz"
label_names = "labels.csv"
only = ["liver", "kidneys", "spleen", "tumour1"]
remainder = true
calibration_std_percent = 5.0

[regions.expressions]
kidneys = "left_kidney+right_kidney"

[dose]
methods = ["local", "multiple-vsv"]

[organ_dose]
phantom = "adult-male"
lesions = ["tumour1"]

[radiobiology.kidneys]
alpha_beta_gy = 2.5
repair_half_life_h = 2.8

[study]
patient_name = "Torso <never & lived>"

[report]
dicom = false
"""


def write_torso_case(folder: Path, text: str = CASE_TEXT) -> Path:
    """CT, scans, labels and `case.toml` of the torso on voxels of 12 mm."""
    grid = centred_geometry((27, 22, 32), (12.0, 12.0, 12.0))
    folder.mkdir()
    patient = torso_patient(grid, seed=3)
    write_volume(patient.ct, folder / "ct.nii.gz")
    write_label_map(patient.labels, folder / "labels.nii.gz", folder / "labels.csv")
    for hours, scan in zip(HOURS, torso_scans(HOURS, grid, seed=3), strict=True):
        write_volume(scan, folder / f"scan_{hours:03.0f}h.nii.gz")
    (folder / "case.toml").write_text(text, encoding="utf-8")
    return folder


def copy_of(case: Path, folder: Path) -> Path:
    """A copy of a case with its results, to be changed."""
    return Path(shutil.copytree(case, folder))


def change(case: Path, before: str, after: str) -> None:
    """Replace a piece of `case.toml`, which must be there."""
    path = case / "case.toml"
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")
