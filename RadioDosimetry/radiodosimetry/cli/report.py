"""`radiodosimetry report`: the report of a case from its finished steps."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .common import EXIT_OK, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "report",
        help="the report of a case: one HTML file, tables, DICOM objects",
        description="Writes the report of a case whose steps are done and up to date (`radiodosimetry case run`): one "
        "self-contained HTML file to read, print and sign, every table as CSV and JSON, and DICOM RT Dose, "
        "Segmentation and Structured Report. Computes nothing.",
    )
    parser.add_argument("case", type=Path, metavar="CASE", help="folder with case.toml, or the file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report and print its path.

    Raises
    ------
    InputError
        The case cannot be used, or a step is missing or out of date.
    OutputError
        The report cannot be written.
    """
    from ..workflows.report import write_report

    with terminal_progress(arguments, "Report") as progress:
        path = write_report(arguments.case, progress)
    sys.stdout.write(f"{path}\n")
    return EXIT_OK
