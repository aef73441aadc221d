"""`radiodosimetry fit`: fit time-activity curves, and give residence times and half-lives."""

from __future__ import annotations

import argparse
import contextlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..images.atomic import OutputTransaction, refuse_overwriting
from ..images.sidecar import sidecar_path
from ..nuclides import Radionuclide
from ..provenance import to_json
from ..time_activity.fit_files import (
    BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR,
    FitSet,
    fits_json,
    residence_times_csv,
)
from ..time_activity.fitting import FIT_MODELS
from ..time_activity.time_activity_curve import TimeActivityCurve
from ..time_activity.trapezoid import TAILS
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from ..workflows.fits import fit_curves, read_measured_curves, write_fit_figures
from ..workflows.output_folder import output_folder
from .common import EXIT_OK, existing_file, format_table, positive_number, terminal_progress

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "fit",
        help="fit time-activity curves: time-integrated activity, residence times, half-lives",
        description="Fit the activity of each region over time and integrate it. The curves hold the activity present "
        "at each time (not decay-corrected); rates and half-lives are effective, with physical decay in them.",
    )
    parser.add_argument(
        "curves", type=existing_file, metavar="CURVES.CSV",
        help="columns region,time_h,activity_mbq and, if known, std_mbq; what `radiodosimetry curves` writes",
    )  # fmt: skip
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide, such as Lu-177")
    parser.add_argument(
        "--administered-mbq", type=positive_number, metavar="A", help="administered activity, for residence times"
    )
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model", choices=FIT_MODELS, default="auto",
        help="default: auto, the data's choice by AICc from 5 points on, else the simplest that can have such a shape",
    )  # fmt: skip
    group.add_argument(
        "--effective-half-life-h", type=positive_number, metavar="T",
        help="of a population or an earlier cycle: for madsen, hanscheid, physical and the tail of trapezoid",
    )  # fmt: skip
    group.add_argument(
        "--tail", choices=TAILS, help="of trapezoid (default: half-life if one is given, else physical decay)"
    )
    group = parser.add_argument_group("outputs")
    group.add_argument("--output", required=True, type=Path, metavar="FILE", help="fits and their record: .json")
    group.add_argument("--figures", type=Path, metavar="DIR", help="one PNG per region; the folder is made if absent")
    group.add_argument(
        "--residence-times", type=Path, metavar="CSV",
        help="region,residence_time_h,std as organ-dose reads it, with its record CSV.json (needs --administered-mbq)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fit and write everything asked for, all of it or nothing.

    Raises
    ------
    InputError
        Options contradict each other, or a curve cannot be read or fitted.
    OutputError
        An output cannot be written.
    """
    _check_options(arguments)
    outputs = _outputs(arguments)
    refuse_overwriting(outputs, [arguments.curves, sidecar_path(arguments.curves)])
    with OutputTransaction(*outputs):
        pass  # every folder takes files; found out before the work rather than after it
    nuclide = Radionuclide(arguments.nuclide)
    curves = read_measured_curves(arguments.curves, nuclide)
    half_life_h = arguments.effective_half_life_h
    administered_mbq = arguments.administered_mbq
    with terminal_progress(arguments, "Fits") as progress:
        fit_set = fit_curves(
            curves,
            nuclide,
            arguments.model,
            None if half_life_h is None else half_life_h * SECONDS_PER_HOUR,
            arguments.tail,
            None if administered_mbq is None else administered_mbq * BECQUEREL_PER_MEGABECQUEREL,
            progress,
        )
    for warning in fit_set.record.warnings:
        _LOG.warning("%s", warning)
    _write(arguments, fit_set, curves)
    sys.stdout.write(fits_text(fit_set))
    return EXIT_OK


def fits_text(fit_set: FitSet) -> str:
    """The fits for reading on a terminal."""
    administered = fit_set.administered_bq
    rows = []
    for region, fit in fit_set.items():
        tia, std = fit.tia_bq_s, fit.tia_std_bq_s
        rows.append(
            (
                region,
                fit.model,
                f"{tia / BECQUEREL_SECONDS_PER_MEGABECQUEREL_HOUR:.5g}",
                "-" if std is None or tia == 0 else f"{100 * std / tia:.2g}",
                "-" if administered is None else f"{tia / administered / SECONDS_PER_HOUR:.4g}",
                "-" if fit.effective_half_life_s is None else f"{fit.effective_half_life_s / SECONDS_PER_HOUR:.4g}",
            )
        )
    header = ("region", "model", "TIA [MBq h]", "std [%]", "residence time [h]", "half-life [h]")
    return format_table(header, rows) + "\n"


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read."""
    if arguments.tail is not None and arguments.model != "trapezoid":
        raise InputError(f"--tail belongs to --model trapezoid, found {arguments.model}; leave it out.")
    if arguments.model == "madsen" and arguments.effective_half_life_h is None:
        raise InputError("--model madsen needs --effective-half-life-h; give it, or use hanscheid.")
    if arguments.residence_times is not None and arguments.administered_mbq is None:
        raise InputError("--residence-times needs --administered-mbq; give it.")
    if arguments.output.suffix.lower() != ".json":
        raise InputError(f"--output {arguments.output} must end in .json.")
    if arguments.figures is not None and arguments.figures.exists() and not arguments.figures.is_dir():
        raise InputError(f"--figures {arguments.figures} is a file; give a folder.")


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    """All files asked for but the figures, whose names the regions give."""
    table = arguments.residence_times
    return [arguments.output, *([] if table is None else [table, sidecar_path(table)])]


def _write(arguments: argparse.Namespace, fit_set: FitSet, curves: list[TimeActivityCurve]) -> None:
    """Write all outputs in one transaction."""
    with contextlib.ExitStack() as stack:
        if arguments.figures is not None:
            from ..report.figure_style import figure_paths

            paths = figure_paths([curve.region for curve in curves], arguments.figures)
            refuse_overwriting(paths, [arguments.curves])
            stack.enter_context(output_folder(arguments.figures))
        transaction = stack.enter_context(OutputTransaction())
        transaction.write_text(arguments.output, fits_json(fit_set))
        if arguments.residence_times is not None:
            transaction.write_text(arguments.residence_times, residence_times_csv(fit_set))
            values = {"quantity": "residence time", "unit": "h", "nuclide": fit_set.nuclide}
            record = to_json({**values, **fit_set.record.as_dict()})
            transaction.write_text(sidecar_path(arguments.residence_times), record)
        if arguments.figures is not None:
            write_fit_figures(fit_set, curves, arguments.figures, transaction)
