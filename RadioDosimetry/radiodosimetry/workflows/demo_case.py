"""The demonstration as a case: four scans of the synthetic patient to curves, doses, organ doses and a report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ..images.atomic import write_text_atomically
from ..learned_dose.shipped import LEARNED_METHODS, MODELS_FOLDER
from ..progress import Progress
from .case import run_case
from .case_settings import CASE_FILE, CASE_FORMAT

CASE_HISTORIES = 2_000_000
"""Histories of the short Monte Carlo run of the case, at most."""


def run_demo_case(
    folder: Path,
    nuclide: str,
    administered_mbq: float,
    scans: Sequence[tuple[float, str]],
    histories: int,
    seed: int,
    device: str,
    progress: Progress | None,
) -> Path:
    """Write `case.toml` beside the demo's images, compute the case, and return its report.

    Parameters
    ----------
    folder
        With CT, scans and labels.
    nuclide, administered_mbq
        What the patient was given.
    scans
        Hours after the administration and file name of each scan.
    histories, seed, device
        Of the Monte Carlo run; histories beyond `CASE_HISTORIES` are not followed.
    progress
        Told the share of the work done.

    Raises
    ------
    OutputError
        Something cannot be written.
    CancelledError
        The user cancelled.
    """
    listed = "\n".join(f'[[scan]]\nhours = {float(hours)}\nimage = "{name}"\n' for hours, name in scans)
    text = _TEXT.format(
        format=CASE_FORMAT,
        nuclide=nuclide,
        administered=float(administered_mbq),
        scans=listed,
        methods=", ".join(f'"{method}"' for method in _methods()),
        histories=min(histories, CASE_HISTORIES),
        seed=max(seed, 1),
        device=device,
    )
    write_text_atomically(folder / CASE_FILE, text)
    return run_case(folder, progress).report


def _methods() -> list[str]:
    """Dose methods of the case: learned ones where their model and what runs it are there."""
    can_learn = find_spec("torch") is not None and find_spec("monai") is not None
    shipped = [name for name in LEARNED_METHODS if (MODELS_FOLDER / f"{name}.safetensors").exists()]
    return ["multiple-vsv", *(shipped if can_learn else []), "monte-carlo"]


_TEXT = """\
# The demonstration's patient as a case: change something, then `radiodosimetry case run` this folder again.
format = {format}
name = "virtual patient"
nuclide = "{nuclide}"
administered_mbq = {administered}
ct = "ct.nii.gz"

{scans}
[regions]
labels = "labels.nii.gz"
label_names = "labels.csv"
only = ["left_lung", "right_lung", "liver", "kidneys", "spleen", "marrow", "tumour1", "tumour2", "tumour3"]
remainder = true
calibration_std_percent = 5.0

[regions.expressions]
kidneys = "left_kidney+right_kidney"

[dose]
methods = [{methods}]
histories = {histories}
seed = {seed}
device = "{device}"

[organ_dose]
phantom = "adult-male"
lesions = ["tumour1", "tumour2", "tumour3"]
patient_masses = true

[report]
regions = ["left_lung", "right_lung", "liver", "kidneys", "spleen", "marrow", "tumour1", "tumour2", "tumour3"]

[study]
patient_name = "Virtual patient (never lived)"
radiopharmaceutical = "Lu-177-DOTATATE"
administered_on = 2026-01-04T10:00:00Z
comment = "Made by radiodosimetry demo; the scans have neither noise nor blur"
"""
