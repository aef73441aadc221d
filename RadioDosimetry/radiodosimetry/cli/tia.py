"""`radiodosimetry tia`: time-integrated activity map from serial images."""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..images.atomic import OutputTransaction, full_suffix
from ..images.volume import QuantitativeVolume
from ..images.writers import WRITABLE_SUFFIXES, write_volume
from ..nuclides import Radionuclide
from ..time_activity.voxelwise import TIA_METHODS, TiaMap, TiaOptions, residual_degrees
from ..units import SECONDS_PER_HOUR, Quantity
from ..workflows.curves import ScanFile
from ..workflows.tia import tia_from_files
from .common import (
    EXIT_OK,
    add_region_options,
    existing_file,
    flag_of,
    format_table,
    positive_number,
    refuse_repeated_regions,
    require_writable,
    terminal_progress,
)
from .curves import add_images, image_options, per_scan, require_once_or_per_scan

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)

_OUTPUTS = ("output", "uncertainty", "model_map")


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "tia",
        help="time-integrated activity map from serial images",
        description="Time-integrated activity of every voxel [Bq s/mL] from registered serial images, on the grid of "
        "the first; `radiodosimetry dose --tia` takes it as it is.",
    )
    # Lets a negative time reach `scan_argument`, which says what is wrong with it, instead of passing for an option.
    parser._negative_number_matcher = re.compile(r"^-\.?\d")  # type: ignore[misc]
    parser.add_argument(
        "--method", required=True, choices=TIA_METHODS,
        help="mono- or bi-exponential or trapezoid in every voxel, or the shape of its organ's curve",
    )  # fmt: skip
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide, such as Lu-177")
    _add_scans(parser)
    _add_method_options(parser)
    group = parser.add_argument_group("outputs, each with its record FILE.json beside it")
    group.add_argument("--output", required=True, type=Path, metavar="FILE", help="map [Bq s/mL]: .nrrd, .nii.gz, .mha")
    group.add_argument("--uncertainty", type=Path, metavar="FILE", help="relative standard uncertainty of each voxel")
    group.add_argument(
        "--model-map", type=Path, metavar="FILE", help="model or fallback of each voxel; its record has the legend"
    )
    parser.set_defaults(run=run)


def _add_scans(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scans, registered to each other, in the order of time")
    add_images(group)
    group.add_argument(
        "--noise-percent", type=positive_number, metavar="P",
        help="noise (1 σ) of one voxel in one scan (default: told from the residuals of the method, else from those of "
        "simpler curves)",
    )  # fmt: skip


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("trapezoid")
    group.add_argument(
        "--tail", choices=("fitted", "physical"),
        help="after the last scan: exponential through the last scans (default), or physical decay (Kim 2022)",
    )  # fmt: skip
    group.add_argument(
        "--start", choices=("zero", "constant"),
        help="activity at administration: zero (default, Kim 2022), or that of the first scan",
    )  # fmt: skip
    group = parser.add_argument_group("organ-shape")
    group.add_argument("--fits", type=existing_file, metavar="JSON", help="from `radiodosimetry fit`")
    add_region_options(group)
    group.add_argument(
        "--conserve-organ-tia", action=argparse.BooleanOptionalAction,
        help="scale each organ's voxels to the total of its fit (default)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Make the map and write everything asked for, all of it or nothing.

    Raises
    ------
    InputError
        Options contradict each other, or an input cannot be used.
    OutputError
        An output cannot be written.
    """
    _check_options(arguments)
    outputs = [path for path in (getattr(arguments, name) for name in _OUTPUTS) if path is not None]
    require_writable(outputs, _inputs(arguments))
    nuclide = Radionuclide(arguments.nuclide)
    noise = arguments.noise_percent
    options = TiaOptions(
        tail=arguments.tail or "fitted",
        start=arguments.start or "zero",
        noise_fraction=None if noise is None else noise / 100.0,
        conserve_organ_tia=arguments.conserve_organ_tia is not False,
    )
    with terminal_progress(arguments, "Time-integrated activity") as progress:
        made = tia_from_files(
            _scans(arguments),
            nuclide,
            arguments.method,
            options,
            arguments.fits,
            arguments.labels,
            arguments.label_names,
            dict(arguments.region),
            image_options(arguments),
            progress,
        )
    for warning in made.record.warnings:
        _LOG.warning("%s", warning)
    _write(arguments, made)
    sys.stdout.write(tia_text(made))
    return EXIT_OK


def tia_text(made: TiaMap) -> str:
    """Models of a map with their voxels and shares, for reading on a terminal."""
    counts, shares = made.record.parameters["voxels_by_model"], made.record.parameters["tia_share_by_model"]
    total_bq_s = float(made.tia.array_kji.sum(dtype=np.float64)) * made.tia.geometry.voxel_volume_ml
    rows = [(name, str(count), f"{100.0 * shares.get(name, 0.0):.2f}") for name, count in counts.items()]
    rows.append(("all", str(sum(counts.values())), "100.00"))
    table = format_table(("model", "voxels", "share of time-integrated activity [%]"), rows)
    return f"{table}\nTime-integrated activity of the image: {total_bq_s / 1e6 / SECONDS_PER_HOUR:.6g} MBq h\n"


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read."""
    method, count = arguments.method, len(arguments.scan)
    for option in ("tail", "start"):
        if getattr(arguments, option) is not None and method != "trapezoid":
            raise InputError(f"--{option} belongs to --method trapezoid, found {method}; leave it out.")
    for option in ("fits", "labels", "label_names", "region", "conserve_organ_tia"):
        value = getattr(arguments, option)
        if value is not None and value != [] and method != "organ-shape":
            raise InputError(f"{flag_of(option)} belongs to --method organ-shape, found {method}; leave it out.")
    require_once_or_per_scan(arguments, "frame_duration_s")
    refuse_repeated_regions(arguments.region)
    if method == "organ-shape" and (arguments.fits is None or arguments.labels is None):
        raise InputError("--method organ-shape needs organs and the fits of their curves: give --labels and --fits.")
    if arguments.noise_percent is not None and arguments.noise_percent >= 1000:
        raise InputError(f"--noise-percent must be below 1000, found {arguments.noise_percent:g}.")
    unknown = arguments.uncertainty is not None and arguments.noise_percent is None
    own, borrowed = residual_degrees(method, count, arguments.tail or "fitted"), residual_degrees("mono", count)
    if unknown and max(own, borrowed) < 1:
        raise InputError(
            f"--uncertainty cannot be told from {count} scan{'s' if count > 1 else ''} by method {method}, which "
            "leaves no residuals; state the noise of a voxel with --noise-percent."
        )
    if arguments.administration_time is not None and all(time_h is not None for time_h, _ in arguments.scan):
        raise InputError("--administration-time belongs to scans given as 'header=PATH'; leave it out.")
    for option in _OUTPUTS:
        path = getattr(arguments, option)
        if path is not None and full_suffix(path) not in WRITABLE_SUFFIXES:
            raise InputError(f"{flag_of(option)} {path} must end in one of {', '.join(WRITABLE_SUFFIXES)}.")


def _inputs(arguments: argparse.Namespace) -> list[Path]:
    """All files given."""
    paths = [path for _, path in arguments.scan]
    paths += [path for path in (arguments.fits, arguments.labels, arguments.label_names) if path is not None]
    return paths


def _scans(arguments: argparse.Namespace) -> list[ScanFile]:
    """Each scan with its frame duration."""
    durations_s = per_scan(arguments.frame_duration_s, len(arguments.scan))
    return [
        ScanFile(path, None if time_h is None else time_h * SECONDS_PER_HOUR, frame_duration_s=duration_s)
        for (time_h, path), duration_s in zip(arguments.scan, durations_s, strict=True)
    ]


def _write(arguments: argparse.Namespace, made: TiaMap) -> None:
    """Write all outputs in one transaction."""
    if arguments.uncertainty is not None and made.uncertainty is None:
        raise InputError(
            "--uncertainty cannot be told: no voxel leaves residuals to judge the noise by; state the noise with "
            "--noise-percent."
        )
    with OutputTransaction() as transaction:
        write_volume(made.tia, arguments.output, transaction)
        if arguments.uncertainty is not None and made.uncertainty is not None:
            write_volume(made.uncertainty, arguments.uncertainty, transaction)
        if arguments.model_map is not None:
            models = QuantitativeVolume(made.model_map_kji, made.tia.geometry, Quantity.LABEL, None, made.record)
            write_volume(models, arguments.model_map, transaction)
