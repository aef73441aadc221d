"""`radiodosimetry dose`: absorbed dose map and region table from a CT and an activity image."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..images.atomic import OutputTransaction, full_suffix
from ..images.readers import read_volume
from ..images.regions import Region
from ..images.volume import QuantitativeVolume
from ..images.writers import WRITABLE_SUFFIXES, write_table, write_volume
from ..learned_dose.shipped import LEARNED_METHODS
from ..media import schneider_2000
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress
from ..provenance import file_identity
from ..units import Quantity
from ..voxel_dose.convolution_settings import ConvolutionOptions
from ..voxel_dose.dose_volume import dvh, dvh_csv
from ..voxel_dose.radiobiology import read_radiobiology
from ..voxel_dose.statistics import table_csv, table_text
from ..workflows.dose import (
    DEFAULT_HISTORIES,
    DEFAULT_METHOD,
    DOSE_METHODS,
    DoseOptions,
    DoseResult,
    compute_dose,
    integrate_physical_decay,
    read_regions,
)
from .common import (
    EXIT_OK,
    add_region_options,
    existing_file,
    flag_of,
    positive_count,
    positive_number,
    refuse_repeated_regions,
    require_writable,
    seed_number,
    terminal_progress,
)

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)

ACTIVITY_UNITS = ("Bq/mL", "kBq/mL", "MBq/mL")
"""Units an activity image may come in."""

LARGEST_TARGET_PERCENT = 50.0


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "dose",
        help="absorbed dose map and region table from a CT and an activity image",
        description="Absorbed dose per voxel and region from a CT and a time-integrated activity image (or an activity "
        "image integrated by physical decay). The dose lies on the grid of the activity.",
    )
    parser.add_argument("--method", choices=DOSE_METHODS, default=DEFAULT_METHOD, help="default: %(default)s")
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide, such as Lu-177")
    parser.add_argument("--ct", required=True, type=Path, metavar="FILE", help="CT in HU, file or DICOM folder")
    parser.add_argument(
        "--clamp-hu", action="store_true",
        help="take CT numbers above 3095 HU (metal on an extended scale) as the densest bone and below -3100 HU "
        "(padding) as air, instead of refusing the CT",
    )  # fmt: skip
    parser.add_argument(
        "--body-mask", action="store_true", help="couch and blankets on the CT are air, and get no dose"
    )
    _add_activity(parser)
    _add_regions(parser)
    _add_outputs(parser)
    _add_method_options(parser)
    parser.set_defaults(run=run)


def _add_activity(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("activity, one of two")
    which = group.add_mutually_exclusive_group(required=True)
    which.add_argument("--tia", type=Path, metavar="FILE", help="time-integrated activity concentration")
    which.add_argument(
        "--activity",
        type=Path,
        metavar="FILE",
        help="activity concentration at scan time, not decay-corrected to injection",
    )
    group.add_argument("--tia-unit", metavar="UNIT", help="unit of --tia where it has no sidecar, such as 'Bq s/mL'")
    group.add_argument("--activity-unit", choices=ACTIVITY_UNITS, help="unit of --activity (DICOM knows its own)")
    group.add_argument(
        "--integrate", choices=("physical-decay",), help="how --activity is integrated: A/λ from scan time on"
    )
    group.add_argument(
        "--calibration-bq-per-ml-per-count", type=positive_number, metavar="F", help="for DICOM SPECT that holds counts"
    )


def _add_regions(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("regions")
    add_region_options(group)
    group.add_argument(
        "--radiobiology", type=existing_file, metavar="CSV",
        help="columns region,alpha_beta_gy,repair_half_life_h,effective_half_life_h: adds EUD and BED to the table",
    )  # fmt: skip


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("outputs, each with its record FILE.json beside it")
    group.add_argument("--output", required=True, type=Path, metavar="FILE", help="dose map [Gy]: .nrrd, .nii.gz, .mha")
    group.add_argument("--table", type=Path, metavar="CSV", help="dose statistics of each region")
    group.add_argument("--dvh", type=Path, metavar="CSV", help="dose-volume histograms")
    group.add_argument("--rtdose", type=Path, metavar="FILE", help="dose map as DICOM RT Dose")
    group.add_argument("--uncertainty", type=Path, metavar="FILE", help="its relative uncertainty (not of kernels)")


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("monte-carlo")
    amount = group.add_mutually_exclusive_group()
    amount.add_argument("--histories", type=positive_count, metavar="H", help=f"default: {DEFAULT_HISTORIES}")
    amount.add_argument(
        "--target-uncertainty-percent", type=positive_number, metavar="P",
        help="go on until the largest uncertainty (1 σ) of a region's mean is below P (without --labels, the whole "
        "grid's); fails early where a region gets no energy or 200 million histories would not do",
    )  # fmt: skip
    group.add_argument("--seed", type=seed_number, help="of the random numbers (default: 1)")
    group.add_argument("--device", choices=("cpu", "cuda"), help="also of learned methods (default: cpu)")
    other = parser.add_argument_group("other methods")
    other.add_argument("--medium", metavar="NAME", help="single-vsv: water (default) or soft-tissue")
    other.add_argument(
        "--published-density-scaling", action="store_true",
        help="density-scaled: as printed by Li 2022 (photons scaled too, kernels of 9³ and 99³ voxels)",
    )  # fmt: skip
    other.add_argument(
        "--secondaries", choices=("transported", "local"),
        help="electrons set free by photons (default: transported; local with monte-carlo); not with --method local",
    )  # fmt: skip
    other.add_argument(
        "--model", type=Path, metavar="M",
        help="unet, dblurdosenet: the model's .safetensors, its .json beside it (default: the one of this version)",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    """Compute the dose and write everything asked for, all of it or nothing.

    Raises
    ------
    InputError
        Options contradict each other, or an input cannot be used.
    OutputError
        An output cannot be written.
    """
    _check_options(arguments)
    outputs = _outputs(arguments)
    require_writable(outputs, _inputs(arguments))
    nuclide = Radionuclide(arguments.nuclide)
    with terminal_progress(arguments, "Dose") as progress:
        result = _compute(arguments, nuclide, progress)
    for warning in result.record.warnings:
        _LOG.warning("%s", warning)
    _write(arguments, result)
    if result.table:
        sys.stdout.write(table_text(result.table))
    return EXIT_OK


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read."""
    monte_carlo = arguments.method == "monte-carlo"
    learned = arguments.method in LEARNED_METHODS
    for option in ("histories", "target_uncertainty_percent", "seed", "device", "uncertainty"):
        allowed = monte_carlo or (learned and option in ("device", "uncertainty"))
        if getattr(arguments, option) is not None and not allowed:
            raise InputError(
                f"{flag_of(option)} belongs to --method monte-carlo, found {arguments.method}; leave it out."
            )
    if arguments.model is not None and not learned:
        raise InputError(
            f"--model belongs to a learned method ({', '.join(LEARNED_METHODS)}), found --method {arguments.method}; "
            "leave it out."
        )
    if arguments.secondaries is not None and learned:
        raise InputError("--secondaries of a learned method is that of its training; leave it out.")
    if arguments.published_density_scaling and arguments.method != "density-scaled":
        raise InputError("--published-density-scaling belongs to --method density-scaled; leave it out.")
    if arguments.secondaries is not None and arguments.method == "local":
        raise InputError(
            "--secondaries belongs to methods with photons, found --method local, which leaves them out; leave it out."
        )
    if arguments.medium is not None and arguments.method != "single-vsv":
        raise InputError("--medium belongs to --method single-vsv; leave it out.")
    percent = arguments.target_uncertainty_percent
    if percent is not None and percent > LARGEST_TARGET_PERCENT:
        raise InputError(f"--target-uncertainty-percent must be at most {LARGEST_TARGET_PERCENT:g}, found {percent:g}.")
    if arguments.activity is not None and arguments.integrate is None:
        raise InputError("--activity must be integrated over time: add --integrate physical-decay, or give --tia.")
    if arguments.tia is not None and (arguments.integrate or arguments.activity_unit):
        raise InputError("--tia is integrated already; --integrate and --activity-unit belong to --activity.")
    if arguments.tia is not None and arguments.calibration_bq_per_ml_per_count is not None:
        raise InputError("--calibration-bq-per-ml-per-count belongs to --activity; leave it out.")
    if arguments.activity is not None and arguments.tia_unit:
        raise InputError("--tia-unit belongs to --tia; give --activity-unit for --activity.")
    for option in ("label_names", "region", "table", "dvh", "radiobiology"):
        if getattr(arguments, option) and arguments.labels is None:
            raise InputError(f"{flag_of(option)} needs regions; give --labels.")
    if arguments.radiobiology is not None and arguments.table is None:
        raise InputError("--radiobiology adds EUD and BED to the region table; give --table.")
    refuse_repeated_regions(arguments.region)
    for option in ("output", "uncertainty"):
        path = getattr(arguments, option)
        if path is not None and full_suffix(path) not in WRITABLE_SUFFIXES:
            raise InputError(f"--{option} {path} must end in one of {', '.join(WRITABLE_SUFFIXES)}.")


def _outputs(arguments: argparse.Namespace) -> list[Path]:
    """All files asked for."""
    paths = (getattr(arguments, name) for name in ("output", "table", "dvh", "rtdose", "uncertainty"))
    return [path for path in paths if path is not None]


def _inputs(arguments: argparse.Namespace) -> list[Path]:
    """All files given."""
    names = ("ct", "tia", "activity", "labels", "label_names", "radiobiology", "model")
    paths = [path for path in (getattr(arguments, name) for name in names) if path is not None]
    return paths


def _compute(arguments: argparse.Namespace, nuclide: Radionuclide, progress: Progress) -> DoseResult:
    """Read the inputs and compute."""
    ct = read_volume(arguments.ct, Quantity.CT_NUMBER)
    tia = _read_tia(arguments, nuclide)
    regions: list[Region] = []
    inputs = {}
    label_warnings: tuple[str, ...] = ()
    if arguments.labels is not None:
        regions, label_record = read_regions(
            arguments.labels, arguments.label_names, tia.geometry, dict(arguments.region)
        )
        label_warnings = label_record.warnings
        inputs["labels"] = dict(label_record.inputs) or file_identity(arguments.labels)
        inputs["regions"] = {region.name: region.expression for region in regions}
    radiobiology = None
    if arguments.radiobiology is not None:
        radiobiology = read_radiobiology(arguments.radiobiology)
        inputs["radiobiology"] = file_identity(arguments.radiobiology)
    percent = arguments.target_uncertainty_percent
    options = DoseOptions(
        convolution=ConvolutionOptions(
            secondaries=arguments.secondaries or "transported",
            single_medium=arguments.medium or "water",
            published_density_scaling=arguments.published_density_scaling,
        ),
        histories=arguments.histories,
        target_uncertainty=None if percent is None else percent / 100.0,
        seed=1 if arguments.seed is None else arguments.seed,
        device=arguments.device or "cpu",
        secondaries=arguments.secondaries or "local",
        conversion=schneider_2000().with_clamped_hu() if arguments.clamp_hu else None,
        body_mask=arguments.body_mask,
        model=arguments.model,
    )
    result = compute_dose(
        ct, tia, nuclide, arguments.method, regions, options, radiobiology, PartialProgress(progress, 0.05, 0.95)
    )
    if arguments.uncertainty is not None and result.uncertainty is None:
        raise InputError("The card of the model states no uncertainty; leave --uncertainty out.")
    return result.with_record(result.record.with_inputs(**inputs).with_warnings(*label_warnings))


def _read_tia(arguments: argparse.Namespace, nuclide: Radionuclide) -> QuantitativeVolume:
    """Time-integrated activity, read or integrated."""
    if arguments.tia is not None:
        return read_volume(arguments.tia, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, arguments.tia_unit)
    activity = read_volume(
        arguments.activity,
        Quantity.ACTIVITY_CONCENTRATION,
        arguments.activity_unit,
        calibration_bq_per_ml_per_count=arguments.calibration_bq_per_ml_per_count,
    )
    return integrate_physical_decay(activity, nuclide)


def _write(arguments: argparse.Namespace, result: DoseResult) -> None:
    """Write all outputs in one transaction."""
    from ..images.dicom_rtdose_writer import write_rtdose

    time = None if result.dose.time is None else result.dose.time.isoformat()
    with OutputTransaction() as transaction:
        write_volume(result.dose, arguments.output, transaction)
        if arguments.uncertainty is not None and result.uncertainty is not None:
            write_volume(result.uncertainty, arguments.uncertainty, transaction)
        if arguments.rtdose is not None:
            reference = arguments.ct if arguments.ct.is_dir() or arguments.ct.suffix.lower() == ".dcm" else None
            write_rtdose(result.dose, arguments.rtdose, reference=reference, transaction=transaction)
        if arguments.table is not None:
            text = table_csv(result.table, with_radiobiology=arguments.radiobiology is not None)
            write_table(transaction, arguments.table, text, "region dose statistics", result.record, time=time)
        if arguments.dvh is not None:
            text = dvh_csv([dvh(result.dose, region) for region in result.regions])
            write_table(transaction, arguments.dvh, text, "dose-volume histogram", result.record, time=time)
