"""`radiodosimetry curves`: time-activity curves of regions over serial images."""

from __future__ import annotations

import argparse
import logging
import math
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..images.writers import write_table
from ..nuclides import Radionuclide
from ..time_activity.curve_quantities import CurveScales, quantities_csv
from ..time_activity.curve_tables import curves_csv
from ..time_activity.curves import CurveOptions, TimeActivityCurve
from ..time_activity.recovery import RECOVERY_METHODS, read_recovery
from ..units import BECQUEREL_PER_MEGABECQUEREL, SECONDS_PER_HOUR
from ..workflows.curves import CurvesResult, ImageOptions, ScanFile, curves_from_files
from .common import (
    EXIT_OK,
    add_region_options,
    existing_file,
    existing_path,
    flag_of,
    format_table,
    positive_number,
    refuse_repeated_regions,
    require_writable,
    terminal_progress,
)
from .dose import ACTIVITY_UNITS

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)

TIME_FROM_HEADER = "header"
"""In the place of HOURS: the time is the image's own."""

_GRAMS_PER_KILOGRAM = 1000.0


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "curves",
        help="time-activity curves of regions over serial images",
        description="Activity in each region at each scan: sum of concentration times voxel volume, as present at the "
        "time (not decay-corrected). Writes region,time_h,activity_mbq,std_mbq,percent_id,volume_ml.",
    )
    # Lets a negative time reach `scan_argument`, which says what is wrong with it, instead of passing for an option.
    parser._negative_number_matcher = re.compile(r"^-\.?\d")  # type: ignore[misc]
    _add_scans(parser)
    _add_regions(parser)
    _add_corrections(parser)
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide, such as Lu-177")
    parser.add_argument(
        "--administered-mbq", type=positive_number, metavar="A", help="administered activity, for percent_id"
    )
    group = parser.add_argument_group("outputs, each with its record FILE.json beside it")
    group.add_argument("--output", required=True, type=Path, metavar="CSV", help="the curves")
    group.add_argument(
        "--quantities", type=Path, metavar="CSV", help="concentration, %%ID, %%ID/g and SUV, decay-corrected and not"
    )
    group.add_argument("--weight-kg", type=positive_number, metavar="W", help="of the patient, for SUV")
    group.add_argument(
        "--density-g-per-ml", type=positive_number, metavar="D", help="of all regions, for %%ID/g by volume"
    )
    parser.set_defaults(run=run)


def add_images(group: argparse._ArgumentGroup) -> None:
    """Add the options of serial images that curves and maps share."""
    group.add_argument(
        "--scan", type=scan_argument, action="append", required=True, metavar="HOURS=PATH",
        help="activity image or DICOM folder and its time after administration; 'header=PATH' takes the image's own",
    )  # fmt: skip
    group.add_argument("--activity-unit", choices=ACTIVITY_UNITS, help="of image files (DICOM knows its own)")
    group.add_argument(
        "--calibration-bq-per-ml-per-count", type=positive_number, metavar="F", help="for images that hold counts"
    )
    group.add_argument(
        "--calibration-bq-per-count-per-s", type=positive_number, metavar="F",
        help="for images that hold counts, by the camera's sensitivity; files need --frame-duration-s",
    )  # fmt: skip
    group.add_argument(
        "--frame-duration-s", type=positive_number, action="append", metavar="T",
        help="the image is the mean over T seconds from HOURS on: corrected to their start; once, or once per scan",
    )  # fmt: skip
    group.add_argument(
        "--decay-corrected-to-administration", action="store_true",
        help="the image files are decay-corrected to the administration: decayed to HOURS",
    )  # fmt: skip
    group.add_argument(
        "--administration-time", type=moment_argument, metavar="ISO",
        help="for 'header=PATH' where the header lacks it, as 2024-05-31T09:30:00",
    )  # fmt: skip


def image_options(arguments: argparse.Namespace) -> ImageOptions:
    """How the images are to be read, from the options of `add_images`."""
    return ImageOptions(
        arguments.activity_unit,
        arguments.calibration_bq_per_ml_per_count,
        arguments.calibration_bq_per_count_per_s,
        arguments.decay_corrected_to_administration,
        arguments.administration_time,
    )


def _add_scans(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("scans, in the order of time")
    add_images(group)


def _add_regions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("regions")
    add_region_options(group, labels_help="; once for all scans, or once per scan in their order", once_per_scan=True)
    group.add_argument("--only", metavar="NAMES", help="regions to keep, separated by commas (default: all)")
    group.add_argument("--remainder", action="store_true", help="add remainder_of_body: the body outside all regions")
    group.add_argument("--whole-body", action="store_true", help="add whole_body")
    group.add_argument("--body", metavar="NAME", help="region that is the body (default: every voxel of the scan)")
    group.add_argument(
        "--voided", action="store_true", help="add voided: administered activity after decay, less the whole body"
    )


def _add_corrections(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recovery and uncertainty")
    group.add_argument(
        "--recovery", type=existing_file, metavar="CSV",
        help="columns volume_ml,recovery[,std]: each region's activity is divided by its coefficient",
    )  # fmt: skip
    group.add_argument(
        "--recovery-method", choices=RECOVERY_METHODS, help="curve 1/(1+(b/V)^c) (default from 3 points), or lines"
    )
    group.add_argument(
        "--calibration-std-percent", type=positive_number, metavar="P", help="uncertainty (1 σ) of the calibration"
    )
    group.add_argument(
        "--volume-std-percent", type=positive_number, metavar="P", help="uncertainty (1 σ) of the regions' volumes"
    )


def scan_argument(text: str) -> tuple[float | None, Path]:
    """Argument type `HOURS=PATH`: time after administration [h] (None for `header`) and an existing image."""
    hours, equals, name = text.partition("=")
    if not equals or not hours.strip() or not name.strip():
        raise argparse.ArgumentTypeError(f"found '{text}', expected HOURS=PATH, as 24=scan2.nii.gz")
    path = existing_path(name.strip())
    if hours.strip().lower() == TIME_FROM_HEADER:
        return None, path
    try:
        time_h = float(hours)
    except ValueError:
        time_h = math.nan
    if not math.isfinite(time_h):
        raise argparse.ArgumentTypeError(
            f"found '{hours}' before '=', expected hours after administration or '{TIME_FROM_HEADER}'"
        )
    if time_h < 0:
        raise argparse.ArgumentTypeError(
            f"a scan at {time_h:g} h lies before the administration; expected hours after it, zero or more"
        )
    return time_h, path


def moment_argument(text: str) -> datetime:
    """Argument type: a moment as ISO 8601."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a moment as 2024-05-31T09:30:00") from None


def run(arguments: argparse.Namespace) -> int:
    """Measure the curves and write everything asked for, all of it or nothing.

    Raises
    ------
    InputError
        Options contradict each other, or an input cannot be used.
    OutputError
        An output cannot be written.
    """
    _check_options(arguments)
    outputs = [path for path in (arguments.output, arguments.quantities) if path is not None]
    require_writable(outputs, _inputs(arguments))
    nuclide = Radionuclide(arguments.nuclide)
    options = _options(arguments, nuclide)
    with terminal_progress(arguments, "Curves") as progress:
        result = curves_from_files(
            _scans(arguments),
            nuclide,
            arguments.label_names,
            dict(arguments.region),
            image_options(arguments),
            options,
            progress,
            _kept(arguments),
        )
    for warning in result.record.warnings:
        _LOG.warning("%s", warning)
    _write(arguments, result, options)
    sys.stdout.write(curves_text(result.curves, options.administered_bq))
    return EXIT_OK


def _kept(arguments: argparse.Namespace) -> list[str]:
    """Names of the regions to keep, the body among them."""
    names = [name.strip() for name in (arguments.only or "").split(",") if name.strip()]
    return [*names, arguments.body] if names and arguments.body else names


def curves_text(curves: Sequence[TimeActivityCurve], administered_bq: float | None) -> str:
    """The curves for reading on a terminal."""
    rows = [
        (
            curve.region,
            f"{curve.times_h[index]:.5g}",
            f"{activity_bq / BECQUEREL_PER_MEGABECQUEREL:.5g}",
            "-" if administered_bq is None else f"{100.0 * activity_bq / administered_bq:.4g}",
            "-" if curve.volume_ml is None else f"{curve.volume_ml[index]:.5g}",
        )
        for curve in curves
        for index, activity_bq in enumerate(curve.activity_bq)
    ]
    return format_table(("region", "time [h]", "activity [MBq]", "uptake [%]", "volume [mL]"), rows) + "\n"


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read."""
    require_once_or_per_scan(arguments, "labels", "frame_duration_s")
    wanted = arguments.remainder or arguments.whole_body or arguments.voided
    if not arguments.labels and not wanted:
        raise InputError("Curves need regions: give --labels, or ask for --whole-body.")
    for option in ("label_names", "region", "body"):
        if getattr(arguments, option) and not arguments.labels:
            raise InputError(f"{flag_of(option)} needs regions; give --labels.")
    if arguments.body is not None and not wanted:
        raise InputError("--body belongs to --remainder, --whole-body or --voided; add one, or leave it out.")
    if arguments.voided and arguments.administered_mbq is None:
        raise InputError("--voided needs --administered-mbq; give it.")
    if arguments.recovery_method is not None and arguments.recovery is None:
        raise InputError("--recovery-method belongs to --recovery; give the coefficients, or leave it out.")
    if arguments.administration_time is not None and all(time_h is not None for time_h, _ in arguments.scan):
        raise InputError(
            f"--administration-time belongs to scans given as '{TIME_FROM_HEADER}=PATH', and all have hours; leave it "
            "out."
        )
    for option in ("weight_kg", "density_g_per_ml"):
        if getattr(arguments, option) is not None and arguments.quantities is None:
            raise InputError(f"{flag_of(option)} belongs to --quantities; give it too, or leave it out.")
    for option in ("calibration_std_percent", "volume_std_percent"):
        percent = getattr(arguments, option)
        if percent is not None and percent >= 100:
            raise InputError(f"{flag_of(option)} must be below 100, found {percent:g}.")
    refuse_repeated_regions(arguments.region)


def _inputs(arguments: argparse.Namespace) -> list[Path]:
    """All files given."""
    paths = [path for _, path in arguments.scan] + list(arguments.labels or [])
    paths += [path for path in (arguments.label_names, arguments.recovery) if path is not None]
    return paths


def _scans(arguments: argparse.Namespace) -> list[ScanFile]:
    """Each scan with its labels and frame duration."""
    count = len(arguments.scan)
    labels = per_scan(arguments.labels, count)
    durations_s = per_scan(arguments.frame_duration_s, count)
    return [
        ScanFile(path, None if time_h is None else time_h * SECONDS_PER_HOUR, labels[number], durations_s[number])
        for number, (time_h, path) in enumerate(arguments.scan)
    ]


def require_once_or_per_scan(arguments: argparse.Namespace, *options: str) -> None:
    """Refuse an option that is given neither once for all scans nor once for each.

    Raises
    ------
    InputError
        As said.
    """
    count = len(arguments.scan)
    for option in options:
        given = getattr(arguments, option) or []
        if len(given) not in (0, 1, count):
            raise InputError(
                f"{flag_of(option)} is given {len(given)} times for {count} scans; expected it once, or "
                "once per scan in their order."
            )


def per_scan(values: list | None, count: int) -> list:
    """A value per scan from none, one for all, or one each."""
    values = values or [None]
    return values * count if len(values) == 1 else values


def _options(arguments: argparse.Namespace, nuclide: Radionuclide) -> CurveOptions:
    recovery = None
    if arguments.recovery is not None:
        recovery = read_recovery(arguments.recovery, arguments.recovery_method)
    administered = arguments.administered_mbq
    return CurveOptions(
        decay_constant_per_s=nuclide.decay_constant_per_s,
        administered_bq=None if administered is None else administered * BECQUEREL_PER_MEGABECQUEREL,
        remainder=arguments.remainder,
        whole_body=arguments.whole_body,
        body=arguments.body,
        voided=arguments.voided,
        recovery=recovery,
        calibration_relative_std=(arguments.calibration_std_percent or 0.0) / 100.0,
        volume_relative_std=(arguments.volume_std_percent or 0.0) / 100.0,
    )


def _write(arguments: argparse.Namespace, result: CurvesResult, options: CurveOptions) -> None:
    """Write all outputs in one transaction."""
    tables = {arguments.output: ("time-activity curves", curves_csv(result.curves, options.administered_bq))}
    if arguments.quantities is not None:
        scales = CurveScales(
            options.administered_bq,
            options.decay_constant_per_s,
            None if arguments.weight_kg is None else arguments.weight_kg * _GRAMS_PER_KILOGRAM,
            arguments.density_g_per_ml,
        )
        tables[arguments.quantities] = ("quantities of time-activity curves", quantities_csv(result.curves, scales))
    with OutputTransaction() as transaction:
        for path, (quantity, text) in tables.items():
            write_table(transaction, path, text, quantity, result.record, time=None)
