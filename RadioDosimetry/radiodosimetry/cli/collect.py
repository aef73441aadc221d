"""`radiodosimetry collect`: a user's own serial PET as a data set to train on and judge by."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from .common import EXIT_OK, existing_file, terminal_progress

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "collect",
        help="your own serial PET, DICOM or image files, as a folder of patients",
        description="Makes a data set for `train delayed-pet` and `evaluate` from your own scans. The table has one "
        "row per scan, by rising time, with the columns patient, hours (after injection; may be empty where the DICOM "
        "header knows it) and scan (NIfTI, NRRD, MetaImage, DICOM file or folder), and if needed unit, ct, labels, "
        "label_names, administered_mbq and source. CT, labels and later scans are brought onto the grid of the "
        "earliest scan. Scans of different patients, of another nuclide or in another frame of reference are refused; "
        "either all patients are written or none.",
    )
    parser.add_argument("--patients", type=existing_file, required=True, metavar="CSV", help="one row per scan")
    parser.add_argument("--nuclide", required=True, help="nuclide of the tracer, as Cu-64")
    parser.add_argument("--tracer", required=True, metavar="NAME", help="name of the tracer")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write; absent or empty")
    parser.add_argument(
        "--register", action="store_true",
        help="register later scans rigidly to the earliest: CT to CT where later rows name the CT of their session, "
        "else PET to PET",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Collect and say what there is.

    Raises
    ------
    InputError
        The table or what it names cannot be used; nothing is written.
    OutputError
        The folder cannot be written.
    """
    from ..workflows.collection import collect_patients

    with terminal_progress(arguments, "collect") as progress:
        dataset = collect_patients(
            arguments.patients,
            arguments.nuclide,
            arguments.tracer,
            arguments.output,
            register=arguments.register,
            progress=progress,
        )
    for patient in dataset.patients:
        for warning in patient.entry["warnings"]:
            _LOG.warning("%s", warning)
    print(_summary(dataset), end="")
    return EXIT_OK


def _summary(dataset: Dataset) -> str:
    """A line for each patient, for a terminal."""
    count = len(dataset.patients)
    lines = [f"{count} patient{'s' if count > 1 else ''} with {dataset.manifest['tracer']} in {dataset.path}:\n"]
    for patient in dataset.patients:
        hours = ", ".join(f"{one:g}" for one in patient.scan_hours)
        doubts = len(patient.entry["warnings"])
        warned = f", {doubts} warning{'s' if doubts > 1 else ''}" if doubts else ""
        lines.append(f"  {patient.id}: {hours} h{warned}\n")
    return "".join(lines)
