"""`radiodosimetry svalues`: S-values of a stylised adult, or of a patient's own CT and regions."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..images.sidecar import sidecar_path
from ..images.writers import write_table
from ..nuclides import Radionuclide
from ..organ_dose.icrp_safs import read_icrp_safs, s_values_from_safs
from ..organ_dose.importers import (
    S_VALUE_UNITS,
    SValueComparison,
    compare_s_values,
    comparison_csv,
    read_s_value_table,
)
from ..organ_dose.s_value_table import SValueTable, s_values_csv, s_values_record_json
from ..provenance import file_identity
from ..workflows.s_values import (
    DEFAULT_HISTORIES,
    PHANTOMS,
    PatientOptions,
    patient_s_value_table,
    phantom_s_value_table,
    read_fate_file,
)
from .common import (
    EXIT_OK,
    add_region_options,
    existing_file,
    existing_path,
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

_PATIENT_OPTIONS = (
    "labels",
    "label_names",
    "region",
    "spacing_mm",
    "remainder",
    "device",
    "secondaries",
    "clamp_hu",
)
"""Options that a stylised adult does not have."""

_STATISTICS_OPTIONS = ("histories", "seed")
"""Options that mean nothing for a stylised adult, whose photons were followed once and for all."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "svalues",
        help="S-values of a stylised adult, or of a patient's own CT and regions",
        description="Mean absorbed dose of each target per decay in each source, with its statistical uncertainty.",
    )
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide, such as Lu-177")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--phantom", choices=PHANTOMS, help="S-values of this stylised adult")
    which.add_argument("--ct", type=existing_path, metavar="FILE", help="S-values of this patient: CT in HU")
    parser.add_argument(
        "--output", required=True, type=Path, metavar="CSV", help="columns target,source,s_mgy_per_mbq_s,std"
    )
    parser.add_argument(
        "--fates", type=existing_file, metavar="CSV",
        help="daughters of a chain that leave their region: columns daughter,source,fraction,destination",
    )  # fmt: skip
    _add_patient(parser)
    _add_comparison(parser)
    parser.set_defaults(run=run)


def _add_patient(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("of a patient, with --ct")
    add_region_options(group)
    group.add_argument("--remainder", action="store_true", help="add the body without all regions as a region")
    group.add_argument("--spacing-mm", type=positive_number, metavar="D", help="voxel size (default: that of --labels)")
    group.add_argument(
        "--histories", type=positive_count, metavar="H", help=f"per source region (default: {DEFAULT_HISTORIES})"
    )
    group.add_argument("--seed", type=seed_number, help="of the random numbers (default: 1)")
    group.add_argument("--device", choices=("cpu", "cuda"), help="default: cpu")
    group.add_argument(
        "--secondaries", choices=("transported", "local"), help="electrons set free by photons (default: local)"
    )
    group.add_argument(
        "--clamp-hu", action="store_true", help="take CT numbers out of all range as air and as the densest bone"
    )


def _add_comparison(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("side by side with S-values of others")
    which = group.add_mutually_exclusive_group()
    which.add_argument("--compare", type=existing_file, metavar="FILE", help="table of one line per pair, or a matrix")
    which.add_argument(
        "--compare-saf", type=existing_file, action="append", default=[], metavar="FILE",
        help="SAF file of ICRP Publication 133, one for each particle: rcp-am_photon_….SAF",
    )  # fmt: skip
    group.add_argument("--compare-unit", choices=tuple(S_VALUE_UNITS), help="of a matrix that does not state it")
    group.add_argument("--comparison", type=Path, metavar="CSV", help="write both and their ratio, pair by pair")


def run(arguments: argparse.Namespace) -> int:
    """Compute the S-values and write everything asked for, all of it or nothing.

    Raises
    ------
    InputError
        Options contradict each other, or an input cannot be used.
    OutputError
        An output cannot be written.
    """
    _check_options(arguments)
    outputs = [path for path in (arguments.output, arguments.comparison) if path is not None]
    require_writable(outputs, _inputs(arguments))
    nuclide = Radionuclide(arguments.nuclide)
    theirs = _theirs(arguments, nuclide)
    table = _computed(arguments, nuclide)
    for warning in (*_unused_options(arguments), *table.record.warnings):
        _LOG.warning("%s", warning)
    comparison = None if theirs is None else compare_s_values(table, theirs)
    _write(arguments, table, comparison)
    sys.stdout.write(_summary(arguments, table, comparison))
    return EXIT_OK


def _check_options(arguments: argparse.Namespace) -> None:
    """Refuse options that do not fit together, before anything is read."""
    for option in _PATIENT_OPTIONS:
        value = getattr(arguments, option)
        if arguments.phantom is not None and value is not None and value is not False and value != []:
            raise InputError(
                f"{flag_of(option)} belongs to S-values of a patient (--ct), found --phantom; leave it out."
            )
    if arguments.ct is not None and arguments.labels is None:
        raise InputError("--ct needs the regions of the patient; give --labels.")
    if arguments.compare_unit is not None and arguments.compare is None:
        raise InputError("--compare-unit belongs to a matrix to compare with; give --compare.")
    if arguments.comparison is not None and arguments.compare is None and not arguments.compare_saf:
        raise InputError("--comparison needs a table to compare with; give --compare or --compare-saf.")
    refuse_repeated_regions(arguments.region)


def _unused_options(arguments: argparse.Namespace) -> list[str]:
    """What was asked for and makes no difference."""
    given = [f"--{name}" for name in _STATISTICS_OPTIONS if getattr(arguments, name) is not None]
    if arguments.phantom is None or not given:
        return []
    return [
        f"{' and '.join(given)} made no difference: the S-values of {arguments.phantom} come from stored photon SAFs, "
        "whose statistics are in std."
    ]


def _inputs(arguments: argparse.Namespace) -> list[Path]:
    """All files given."""
    names = ("ct", "labels", "label_names", "fates", "compare")
    paths = [path for path in (getattr(arguments, name) for name in names) if path is not None]
    paths += arguments.compare_saf
    return paths


def _theirs(arguments: argparse.Namespace, nuclide: Radionuclide) -> SValueTable | None:
    """The S-values of others, None where none are given."""
    if arguments.compare is not None:
        return read_s_value_table(arguments.compare, nuclide.name, arguments.compare_unit)
    if not arguments.compare_saf:
        return None
    tables = [read_icrp_safs(path) for path in arguments.compare_saf]
    particles = [table.particle for table in tables]
    repeated = sorted({particle for particle in particles if particles.count(particle) > 1})
    if repeated:
        raise InputError(f"--compare-saf is given more than once for {', '.join(repeated)}; give one of each particle.")
    return s_values_from_safs({table.particle: table for table in tables}, nuclide)


def _computed(arguments: argparse.Namespace, nuclide: Radionuclide) -> SValueTable:
    """The S-values asked for."""
    fates = read_fate_file(arguments.fates)
    if arguments.phantom is not None:
        return phantom_s_value_table(nuclide, arguments.phantom, fates=fates)
    options = PatientOptions(
        expressions=dict(arguments.region),
        spacing_mm=arguments.spacing_mm,
        remainder=arguments.remainder,
        histories=DEFAULT_HISTORIES if arguments.histories is None else arguments.histories,
        seed=1 if arguments.seed is None else arguments.seed,
        device=arguments.device or "cpu",
        secondaries=arguments.secondaries or "local",
        clamp_hu=arguments.clamp_hu,
        fates=fates,
    )
    with terminal_progress(arguments, "S-values") as progress:
        return patient_s_value_table(nuclide, arguments.ct, arguments.labels, arguments.label_names, options, progress)


def _write(arguments: argparse.Namespace, table: SValueTable, comparison: SValueComparison | None) -> None:
    """Write all outputs in one transaction."""
    with OutputTransaction() as transaction:
        transaction.write_text(arguments.output, s_values_csv(table))
        transaction.write_text(sidecar_path(arguments.output), s_values_record_json(table))
        if comparison is not None and arguments.comparison is not None:
            files = [arguments.compare] if arguments.compare is not None else arguments.compare_saf
            record = table.record.with_inputs(compared_with=[file_identity(file) for file in files]).with_parameters(
                median_ratio=comparison.median_ratio, unmatched=list(comparison.unmatched)
            )
            text, quantity = comparison_csv(comparison), "ratio of S-values"
            write_table(transaction, arguments.comparison, text, quantity, record, nuclide=comparison.nuclide)


def _summary(arguments: argparse.Namespace, table: SValueTable, comparison: SValueComparison | None) -> str:
    """What was written, and how it compares."""
    text = (
        f"{table.nuclide}: S-values of {len(table.targets)} targets from {len(table.sources)} sources "
        f"[mGy/(MBq s)] in {arguments.output}\n"
    )
    if comparison is None:
        return text
    text += (
        f"Ours over theirs: {len(comparison.pairs)} pairs, median ratio "
        f"{comparison.median_ratio:.4g}, {100 * comparison.share_within(0.05):.0f} % within 5 %, "
        f"{100 * comparison.share_within(0.1):.0f} % within 10 %\n"
    )
    if comparison.unmatched:
        text += f"Only in one of them: {'; '.join(comparison.unmatched)}\n"
    return text
