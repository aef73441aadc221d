"""`radiodosimetry case`: a patient's dosimetry described by one file, computed as far as it has changed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .common import EXIT_OK, flag_of, positive_number, print_json, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_INIT_OPTIONS = ("nuclide", "administered_mbq", "ct", "scan", "labels", "label_names", "phantom")


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "case",
        help="a patient's whole dosimetry from one case.toml, and its report",
        description="`case init` writes a case.toml that describes inputs, times, regions, nuclide and methods; `case "
        "run` computes curves, fits, time-integrated activity, doses, organ doses and the report from it, and on "
        "another run only what has changed since.",
    )
    parser.add_argument("action", choices=("init", "run"), help="write a case.toml, or compute the case")
    parser.add_argument("case", type=Path, metavar="CASE", help="folder with case.toml, or the file")
    parser.add_argument("--json", action="store_true", help="run: say what was done as JSON")
    group = parser.add_argument_group("init: what is known already; the rest is shown to be filled in")
    group.add_argument("--nuclide", metavar="N", help="default: Lu-177")
    group.add_argument("--administered-mbq", type=positive_number, metavar="A")
    group.add_argument("--ct", type=Path, metavar="FILE", help="CT in HU, file or DICOM folder")
    group.add_argument(
        "--scan", action="append", default=[], metavar="HOURS=FILE", help="hours after administration; once per scan"
    )
    group.add_argument("--labels", type=Path, metavar="FILE", help="label image, RTSTRUCT or SEG (.dcm)")
    group.add_argument("--label-names", type=Path, metavar="CSV", help="columns label,name")
    group.add_argument("--phantom", choices=("adult-male", "adult-female"), help="for organ doses")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the file, or run the case.

    Raises
    ------
    InputError
        The case or one of its inputs cannot be used.
    OutputError
        Something cannot be written.
    """
    if arguments.action == "init":
        if arguments.json:
            raise InputError("--json belongs to `case run`; leave it out.")
        return _init(arguments)
    given = [name for name in _INIT_OPTIONS if getattr(arguments, name) not in (None, [])]
    if given:
        raise InputError(f"{flag_of(given[0])} belongs to `case init`; `case run` takes everything from case.toml.")
    return _run(arguments)


def _init(arguments: argparse.Namespace) -> int:
    from ..workflows.case_template import CaseStart, write_case

    scans = tuple(_scan(text) for text in arguments.scan)
    start = CaseStart(
        arguments.nuclide or "Lu-177",
        arguments.administered_mbq,
        arguments.ct,
        scans,
        arguments.labels,
        arguments.label_names,
        arguments.phantom,
    )
    path = write_case(arguments.case, start)
    sys.stdout.write(f"Wrote {path}; look through it, then: radiodosimetry case run {arguments.case}\n")
    return EXIT_OK


def _scan(text: str) -> tuple[float, Path]:
    hours, _, path = text.partition("=")
    try:
        return float(hours), Path(path)
    except ValueError:
        raise InputError(f"--scan {text} must be HOURS=FILE, such as 24=spect_024h.nii.gz.") from None


def _run(arguments: argparse.Namespace) -> int:
    from ..workflows.case import run_case

    with terminal_progress(arguments, "Case") as progress:
        done = run_case(arguments.case, progress)
    if arguments.json:
        print_json({"case": done.case.name, "done": done.done, "kept": done.kept, "report": done.report})
    else:
        sys.stdout.write(done.text())
    return EXIT_OK
