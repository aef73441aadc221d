"""A `case.toml` to start from: filled in as far as is known, every further key shown and explained."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..images.atomic import write_text_atomically
from ..images.regions import read_label_map, read_label_names
from .case_settings import CASE_FILE, CASE_FORMAT
from .dose import DEFAULT_METHOD
from .output_folder import output_folder

FAR = 2
"""Folders up from that of the case beyond which a path is written in full."""

_LESION_WORDS = ("tumour", "tumor", "lesion", "metastas", "gtv")


@dataclass(frozen=True)
class CaseStart:
    """What is known of a new case; placeholders stand for what is None.

    Attributes
    ----------
    nuclide, administered_mbq, phantom
        As in `Case`.
    ct, labels, label_names
        Paths from the current folder.
    scans
        Hours after the administration and image of each scan.
    methods, extra
        Dose methods, and further lines at the end of the file.
    """

    nuclide: str = "Lu-177"
    administered_mbq: float | None = None
    ct: Path | None = None
    scans: tuple[tuple[float, Path], ...] = ()
    labels: Path | None = None
    label_names: Path | None = None
    phantom: str | None = None
    methods: tuple[str, ...] = (DEFAULT_METHOD,)


def write_case(folder: Path, start: CaseStart) -> Path:
    """Write `case.toml` into a folder, which is made if it is absent.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    InputError
        The folder has a `case.toml` already.
    OutputError
        The file cannot be written.
    """
    folder = Path(folder)
    path = folder / CASE_FILE
    if path.exists():
        raise InputError(f"{path} exists already; edit it, or give another folder.")
    with output_folder(folder):
        write_text_atomically(path, case_text(start, folder))
    return path


def case_text(start: CaseStart, folder: Path) -> str:
    """The text of `case.toml`, paths relative to `folder`."""
    names = _region_names(start)
    lesions = [name for name in names if any(word in name.lower() for word in _LESION_WORDS)]
    given = start.scans or ((4.0, Path("spect_004h.nii.gz")), (24.0, Path("spect_024h.nii.gz")))
    scans = "\n".join(
        f"[[scan]]\nhours = {hours:g}{'' if hours != int(hours) else '.0'}\nimage = {_path(path, folder)}\n"
        for hours, path in given
    )
    administered = "# administered_mbq = 7400.0" if start.administered_mbq is None else (
        f"administered_mbq = {float(start.administered_mbq)}"
    )
    labels = start.labels or Path("labels.nii.gz")
    label_names = (
        '# label_names = "labels.csv"        # columns label,name'
        if start.labels is not None and start.label_names is None
        else f"label_names = {_path(start.label_names or Path('labels.csv'), folder)}        # columns label,name"
    )
    phantom = f'phantom = "{start.phantom}"' if start.phantom else '# phantom = "adult-male"        # or "adult-female"'
    return f"""\
# A case of RadioDosimetry. Paths start from this file's folder. `radiodosimetry case run` computes what has changed.
format = {CASE_FORMAT}
nuclide = {json.dumps(start.nuclide)}
{administered}
ct = {_path(start.ct or Path("ct.nii.gz"), folder)}        # CT numbers [HU], file or DICOM folder

# Each scan: hours after the administration (leave out for DICOM, which knows them), image present at that time.
{scans}
[images]
# unit = "Bq/mL"                     # of images that do not say
# bq_per_ml_per_count = 1.0          # calibration of images that hold counts; or bq_per_count_per_s
# decay_corrected_to_administration = false
# check_times = true                 # hold hours against the images' own times

[regions]
labels = {_path(labels, folder)}        # label image, RTSTRUCT or SEG (.dcm)
{label_names}
calibration_std_percent = 0.0        # relative standard uncertainty of the calibration [%]
# volume_std_percent = 10.0
# only = ["liver", "kidneys"]        # curves of these regions alone
# remainder = true                   # a curve of the rest of the body
# recovery = "recovery.csv"

[regions.expressions]
# kidneys = "left_kidney+right_kidney"

[fit]
model = "auto"                       # or mono, bi, tri, uptake-clearance, trapezoid, hanscheid, madsen, physical
# [fit.regions.tumour1]
# model = "mono"

[tia]
method = "auto"                      # or mono, bi, trapezoid, organ-shape

[dose]
methods = {json.dumps(list(start.methods))}        # local, single-vsv, density-scaled, multiple-vsv, monte-carlo
# reference = "monte-carlo"          # the others are compared with it
# shown = "multiple-vsv"             # shown in full
# histories = 2000000
seed = 1
# body_mask = false                  # couch and blankets are air
# clamp_hu = false                   # metal counts as the densest bone
# models = {{ unet = "model.safetensors" }}        # of the learned methods unet and dblurdosenet

[organ_dose]
{phantom}
lesions = {json.dumps(lesions)}
# patient_masses = true              # scale self-doses to the organs' masses in the CT
# organs = {{ left_kidney = "kidneys", right_kidney = "kidneys" }}

# [radiobiology.kidneys]
# alpha_beta_gy = 2.5
# repair_half_life_h = 2.8

[study]                              # printed at the head of the report
# patient_name = ""
# patient_id = ""
# radiopharmaceutical = "Lu-177-DOTATATE"
# administered_on = 2026-01-05T10:00:00
# institution = ""
# physicist = ""

[report]
# isodoses_gy = [2.0, 5.0, 10.0, 20.0]
# regions = ["liver", "kidneys"]     # drawn and tabled, in the order of the labels
# dicom = true                       # RT Dose, Segmentation, Structured Report and a picture beside the report
"""


def _path(path: Path, folder: Path) -> str:
    """A path as TOML writes it, from the case's folder where that is possible."""
    if not path.is_absolute() and not path.exists():
        return json.dumps(path.as_posix())
    try:
        near = Path(os.path.relpath(path.resolve(), folder.resolve()))
    except ValueError:  # another drive
        near = path.resolve()
    return json.dumps((path.resolve() if near.parts.count("..") > FAR else near).as_posix())


def _region_names(start: CaseStart) -> list[str]:
    """Names of the regions as far as their files are there."""
    if start.label_names is not None and start.label_names.is_file():
        return list(read_label_names(start.label_names).values())
    is_image = start.labels is not None and start.labels.suffix.lower() not in (".dcm", ".ima", ".dicom")
    if is_image and start.labels is not None and start.labels.is_file():
        return list(read_label_map(start.labels).names.values())
    return []
