"""The `radiodosimetry` command: one module per subcommand, each with `add_parser` and `run`.

Only the module of the subcommand that was asked for is imported, so that `radiodosimetry --help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from ..__about__ import __version__
from ..errors import CancelledError, InputError, RadioDosimetryError
from .common import EXIT_BAD_INPUT, EXIT_CANCELLED, EXIT_FAILED, EXIT_OK

COMMANDS = {
    "demo": "begin here: a virtual patient, and the whole way from his scans to a report",
    "doctor": "what is installed, devices, data sets, models, and a self-test",
    "case": "a patient's whole dosimetry from one case.toml, and its report",
    "report": "the report of a case: one HTML file, tables, DICOM objects",
    "cohort": "many cases over local cores or a Dask cluster, and their doses in one table",
    "dose": "absorbed dose map and region table from a CT and an activity image",
    "compare": "differences between two dose maps, per region and per voxel",
    "curves": "time-activity curves of regions over serial images",
    "fit": "fit time-activity curves: time-integrated activity, residence times, half-lives",
    "tia": "time-integrated activity map from serial images",
    "organ-dose": "organ absorbed doses from residence times",
    "svalues": "S-values of a stylised adult, or of a patient's own CT and regions",
    "nuclide": "half-life, emitted energies and progeny of a radionuclide",
    "kernel": "dose kernel around a voxel for a nuclide or a mono-energetic particle",
    "synthesize": "later PET volumes from one early scan, by a trained model",
    "simulate": "virtual patients with true activity, simulated scans and Monte Carlo dose",
    "collect": "your own serial PET, DICOM or image files, as a folder of patients to train on and judge by",
    "train": "train a network on a folder of patients",
    "evaluate": "judge a model on patients that it has not learned from",
}
"""Subcommand to its one-line help, in the order a newcomer needs them; the module of the same name implements it."""

_LOGGER = logging.getLogger("radiodosimetry")


class _Parser(argparse.ArgumentParser):
    """A parser that answers a wrong command line in one line, as every other failure is; the usage is in the help."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help).\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and say how it went.

    Parameters
    ----------
    argv
        Arguments without the program's name; those of the process if None.

    Returns
    -------
    int
        Exit code: 0 done, 1 failed run, 2 bad input, 130 cancelled with Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if word in COMMANDS), None)
    try:
        module = importlib.import_module(f".{command.replace('-', '_')}", __package__) if command else None
    except KeyboardInterrupt as error:
        return _failure(argparse.Namespace(), error, "Cancelled; no result was written.", EXIT_CANCELLED)
    try:
        arguments = build_parser(command, module).parse_args(words)
    except SystemExit as stop:
        return int(stop.code or EXIT_OK)
    _log_to_stderr(arguments)
    if module is None:
        return EXIT_BAD_INPUT
    return _run_and_report(module, arguments)


def build_parser(command: str | None, module: ModuleType | None) -> argparse.ArgumentParser:
    """The parser of the whole command, with the options of `command` alone filled in by its module."""
    parser = _Parser(
        prog="radiodosimetry",
        description="Absorbed dose of radiopharmaceuticals from quantitative images. "
        "Research software, not a medical device.",
    )
    parser.add_argument("--version", action="version", version=f"radiodosimetry {__version__}")
    _add_common_options(parser)
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name == command and module is not None:
            module.add_parser(subparsers)
            _add_common_options(subparsers.choices[name])
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    """What every subcommand understands; suppressed defaults let it stand before or after the subcommand."""
    group = parser.add_argument_group("messages")
    group.add_argument(
        "-v", "--verbose", action="count", default=argparse.SUPPRESS, help="say what is done; twice for every detail"
    )
    group.add_argument(
        "-q", "--quiet", action="store_true", default=argparse.SUPPRESS, help="errors only, no progress bar"
    )
    group.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of a failed run"
    )


def _log_to_stderr(arguments: argparse.Namespace) -> None:
    """Send the package's log to standard error, which leaves standard output to results."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(getattr(arguments, "verbose", 0), logging.DEBUG)
    if getattr(arguments, "quiet", False):
        level = logging.ERROR
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    _LOGGER.handlers = [handler]
    _LOGGER.setLevel(level)


def _run_and_report(module: ModuleType, arguments: argparse.Namespace) -> int:
    """Run a subcommand; turn what it raises into one line on standard error and an exit code."""
    try:
        code = int(module.run(arguments))
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, CancelledError) as error:
        return _failure(arguments, error, str(error) or "Cancelled; no result was written.", EXIT_CANCELLED)
    except InputError as error:
        return _failure(arguments, error, str(error), EXIT_BAD_INPUT)
    except RadioDosimetryError as error:
        return _failure(arguments, error, str(error), EXIT_FAILED)
    except BrokenPipeError:
        # Whoever read our output has gone; keep the interpreter from complaining once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except MemoryError as error:
        return _failure(arguments, error, "Not enough memory; give a coarser or smaller grid.", EXIT_FAILED)
    except Exception as error:  # the last resort: a defect of ours must still end in one readable line
        message = f"Unexpected {type(error).__name__}: {error} (run again with --debug for the traceback)."
        return _failure(arguments, error, message, EXIT_FAILED)


def _failure(arguments: argparse.Namespace, error: BaseException, message: str, code: int) -> int:
    """Say in one line on standard error what went wrong, with the traceback only on request."""
    if getattr(arguments, "debug", False):
        traceback.print_exception(error)
    print(f"radiodosimetry: {' '.join(message.split())}", file=sys.stderr)
    return code
