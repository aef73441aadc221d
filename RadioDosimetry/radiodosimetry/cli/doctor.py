"""`radiodosimetry doctor`: what is installed, and whether it computes what is known."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .common import EXIT_FAILED, EXIT_OK, print_json, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "doctor",
        help="what is installed, devices, data sets, models, and a self-test",
        description="Looks at packages, devices, data sets and models with their hashes, and computes answers that are "
        "known. The exit code is 1 where something is wrong; absent optional parts are not.",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--no-self-test", action="store_true", help="look only, compute nothing")
    parser.add_argument(
        "--models", type=Path, action="append", default=[], metavar="DIR", help="folder with further models"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine and print."""
    from ..workflows.doctor import examine

    with terminal_progress(arguments, "Doctor") as progress:
        found = examine(not arguments.no_self_test, arguments.models, progress)
    if arguments.json:
        print_json(found.as_dict())
    else:
        sys.stdout.write(found.text())
    return EXIT_OK if found.healthy else EXIT_FAILED
