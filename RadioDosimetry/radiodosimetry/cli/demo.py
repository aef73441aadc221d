"""`radiodosimetry demo`: a virtual patient, his dose by two methods, and his scans the whole way to a report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .common import EXIT_OK, positive_count, seed_number, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "demo",
        help="begin here: a virtual patient, and the whole way from his scans to a report",
        description="Generates a virtual patient after Lu-177 therapy (CT, activity, four scans, labels), computes "
        "his dose by multiple voxel S-values and by a short Monte Carlo run, prints how far they differ in each "
        "region, and writes images, dose maps, table and pictures, each with its record. The four scans then go the "
        "whole way as a case: curves, fits, time-integrated activity, doses, organ doses, report. Where models of "
        "learned dose and delayed PET come with RadioDosimetry and PyTorch is installed, they take part.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to write to; made if absent")
    parser.add_argument("--seed", type=seed_number, default=0, help="of the scans' noise and of Monte Carlo")
    parser.add_argument(
        "--histories", type=positive_count, default=None, metavar="H", help="particles to follow in the Monte Carlo run"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the Monte Carlo run goes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and print its table.

    Raises
    ------
    OutputError
        The folder cannot be made or written.
    DeviceError
        The device asked for is not there.
    """
    from ..workflows.demo import DEFAULT_HISTORIES, run_demo

    with terminal_progress(arguments, "demo") as progress:
        result = run_demo(
            arguments.output,
            seed=arguments.seed,
            histories=arguments.histories or DEFAULT_HISTORIES,
            device=arguments.device,
            progress=progress,
        )
    print(result.text(), end="")
    return EXIT_OK
