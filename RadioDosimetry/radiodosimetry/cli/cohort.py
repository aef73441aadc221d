"""`radiodosimetry cohort run`: many cases over local cores or a Dask cluster, one table at the end."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .common import EXIT_FAILED, EXIT_OK, positive_count, print_json, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser("cohort", help="run many cases and compare their doses")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    command = actions.add_parser(
        "run",
        help="run cases over local cores or a Dask cluster",
        description="Runs what is not up to date of each case, then writes tables and figures of their doses. "
        "A case that fails stops no other. The exit code is 1 if a case is not done; run again to go on.",
    )
    command.add_argument("cases", nargs="+", type=Path, metavar="CASE", help="case folder or its case.toml")
    command.add_argument(
        "--output", type=Path, default=Path("cohort"), metavar="DIR", help="folder for tables and figures (cohort)"
    )
    command.add_argument(
        "--workers", type=positive_count, default=1, metavar="N", help="processes on this machine (1); more need Dask"
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask scheduler whose workers run the cases, such as tcp://host:8786"
    )
    command.add_argument("--json", action="store_true", help="print what became of each case as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the cohort.

    Raises
    ------
    InputError
        A case is given twice, or the scheduler does not answer.
    OutputError
        The folder cannot be written.
    """
    from ..workflows.cohort import run_cohort

    with terminal_progress(arguments, "cohort") as progress:
        result = run_cohort(
            arguments.cases,
            arguments.output,
            workers=arguments.workers,
            scheduler=arguments.scheduler,
            progress=progress,
        )
    if arguments.json:
        print_json({"folder": result.folder, "files": result.files, "cases": [vars(each) for each in result.outcomes]})
    else:
        print(result.text(), end="")
    return EXIT_OK if result.complete else EXIT_FAILED
