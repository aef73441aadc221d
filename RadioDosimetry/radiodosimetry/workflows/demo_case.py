"""The demonstration as a case: four scans of the virtual patient to curves, doses, organ doses and a report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ..errors import InputError
from ..images.atomic import write_text_atomically
from ..images.regions import LabelMap
from ..learned_dose import shipped
from ..learned_dose.declared import RECONSTRUCTED
from ..learned_dose.shipped import LEARNED_METHODS
from ..learning.model_files import read_card
from ..progress import Progress
from ..virtual_patients.patient import LESION_PREFIX
from ..virtual_patients.uptake import ADMINISTRATION_TIME
from .case import run_case
from .case_settings import CASE_FILE, CASE_FORMAT

CASE_HISTORIES = 2_000_000
"""Histories of the short Monte Carlo run of the case, at most."""


CURVES = ("left_lung", "right_lung", "liver", "kidneys", "spleen")
"""Organs whose curves are kept; the rest of the body is the remainder, red marrow and bone in it."""


def run_demo_case(
    folder: Path,
    nuclide: str,
    administered_mbq: float,
    scans: Sequence[tuple[float, str]],
    labels: LabelMap,
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
    labels
        Regions; their lesions are lesions of the case.
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
    lesions = [name for name in labels.names.values() if name.startswith(LESION_PREFIX)]
    text = _TEXT.format(
        format=CASE_FORMAT,
        nuclide=nuclide,
        administered=float(administered_mbq),
        scans=listed,
        methods=_quoted(_methods(nuclide)),
        curves=_quoted([*CURVES, *lesions]),
        lesions=_quoted(lesions),
        shown=_quoted([*CURVES, "red_marrow", *lesions]),
        administered_on=ADMINISTRATION_TIME.isoformat(),
        histories=min(histories, CASE_HISTORIES),
        seed=max(seed, 1),
        device=device,
    )
    write_text_atomically(folder / CASE_FILE, text)
    return run_case(folder, progress).report


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _methods(nuclide: str) -> list[str]:
    """Dose methods of the case: learned ones where a model for the nuclide and what runs it are there.

    Not those that undo a reconstruction: nothing reconstructed the demonstration's scans, they are blurred and noisy.
    """
    can_learn = find_spec("torch") is not None and find_spec("monai") is not None
    learned = [method for method in LEARNED_METHODS if can_learn and _is_for(method, nuclide)]
    return ["multiple-vsv", *learned, "monte-carlo"]


def _is_for(method: str, nuclide: str) -> bool:
    """Whether a model of a method comes with RadioDosimetry and was made for a nuclide."""
    try:
        declared = read_card(shipped.MODELS_FOLDER / f"{method}.safetensors").declared
    except InputError:
        return False
    return nuclide in declared.get("nuclides", ()) and declared.get("activity") != RECONSTRUCTED


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
only = [{curves}]
remainder = true
calibration_std_percent = 5.0

[regions.expressions]
kidneys = "left_kidney+right_kidney"

[fit.regions.left_lung]              # blood first, then tissue: two phases
model = "bi"

[fit.regions.right_lung]
model = "bi"

[fit.regions.remainder_of_body]
model = "bi"

[tia]
method = "trapezoid"                 # in voxels, where noise lets no phases be told apart

[dose]
methods = [{methods}]
histories = {histories}
seed = {seed}
device = "{device}"

[organ_dose]
phantom = "adult-male"
lesions = [{lesions}]
patient_masses = true

[report]
regions = [{shown}]

[study]
patient_name = "Virtual patient (never lived)"
radiopharmaceutical = "Lu-177-DOTATATE"
administered_on = {administered_on}
sex = "male"
weight_kg = 68.0
height_cm = 174.0
comment = "Made by radiodosimetry demo; scans are the true activity, blurred to 11 mm and made noisy"
"""
