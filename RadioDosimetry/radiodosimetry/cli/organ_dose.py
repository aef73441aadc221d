"""`radiodosimetry organ-dose`: organ absorbed doses from residence times."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..images.atomic import OutputTransaction
from ..images.sidecar import table_warnings
from ..images.writers import write_table
from ..nuclides import Radionuclide
from ..organ_dose.decay_fate import read_fates
from ..organ_dose.dose_tables import (
    MGY_PER_MBQ_PER_GY_PER_BQ,
    contributions_csv,
    effective_dose_text,
    effective_dose_values,
    organ_dose_csv,
)
from ..organ_dose.importers import read_s_value_table
from ..organ_dose.mird import OrganDoseTable
from ..organ_dose.phantom import PHANTOM_NAMES
from ..organ_dose.residence_times import ResidenceTime, read_organ_masses_g, read_residence_times
from ..provenance import Record, file_identity
from ..time_activity.fit_files import read_fits
from ..units import BECQUEREL_PER_MEGABECQUEREL
from ..voxel_dose.radiobiology import read_radiobiology
from ..workflows.organ_dose import OrganDoseResult, compute_organ_doses
from ..workflows.theranostics import residence_times_of_fits
from .common import EXIT_OK, existing_file, format_table, positive_number, require_writable

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_LOG = logging.getLogger(__name__)


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "organ-dose",
        help="organ absorbed doses from residence times",
        description="Absorbed dose of each organ by the MIRD sum of residence times and S-values of a stylised adult "
        "(or of a file), with its uncertainty and largest source, and the effective dose.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--residence-times", type=existing_file, metavar="CSV", help="columns region,residence_time_h,std"
    )
    which.add_argument(
        "--fits", type=existing_file, metavar="JSON",
        help="what `radiodosimetry fit` writes; of another nuclide on the same molecule, converted to this one",
    )  # fmt: skip
    parser.add_argument("--nuclide", required=True, metavar="N", help="radionuclide, such as Lu-177")
    parser.add_argument("--phantom", choices=PHANTOM_NAMES, help="whose S-values; optional with --s-values")
    parser.add_argument(
        "--organ-masses", type=existing_file, metavar="CSV", help="the patient's, columns organ,mass_g: scales S-values"
    )
    parser.add_argument(
        "--lesion", type=_lesion, action="append", default=[], metavar="NAME=MASS_G",
        help="a region that is no organ: a sphere of this mass with a dose of its own; once per lesion",
    )  # fmt: skip
    parser.add_argument("--administered-mbq", type=positive_number, metavar="A", help="for doses in Gy")
    parser.add_argument(
        "--s-values", type=existing_file, metavar="CSV",
        help="S-values to use in the place of the phantom's: target,source,s_mgy_per_mbq_s,std",
    )  # fmt: skip
    parser.add_argument(
        "--alpha-weight", type=positive_number, metavar="W",
        help="RBE or w_R of α particles: adds a column with the weighted dose",
    )  # fmt: skip
    parser.add_argument(
        "--radiobiology", type=existing_file, metavar="CSV",
        help="columns region,alpha_beta_gy,repair_half_life_h,effective_half_life_h: adds BED",
    )  # fmt: skip
    parser.add_argument(
        "--fates", type=existing_file, metavar="CSV",
        help="daughter,source,fraction,destination: which daughters of a chain leave which organs",
    )  # fmt: skip
    group = parser.add_argument_group("outputs, each with its record FILE.json beside it")
    group.add_argument("--output", required=True, type=Path, metavar="CSV", help="organ doses")
    group.add_argument("--contributions", type=Path, metavar="CSV", help="what each source gives each target")
    parser.set_defaults(run=run)


def _lesion(text: str) -> tuple[str, float]:
    """Argument type `NAME=MASS_G`."""
    name, _, mass = text.partition("=")
    if not name or not mass:
        raise argparse.ArgumentTypeError(f"expected NAME=MASS_G, such as tumour1=12.5, found '{text}'")
    return name, positive_number(mass)


def run(arguments: argparse.Namespace) -> int:
    """Compute the doses, print them and write everything asked for, all of it or nothing.

    Raises
    ------
    InputError
        An input cannot be used, or options contradict each other.
    OutputError
        An output cannot be written.
    """
    names = [name for name, _ in arguments.lesion]
    if len(set(names)) < len(names):
        raise InputError(f"--lesion is given more than once for {', '.join(sorted(names))}; give each its own name.")
    if arguments.phantom is None and arguments.s_values is None:
        raise InputError("Whose S-values shall be used is missing; give --phantom adult-male or adult-female.")
    outputs = [path for path in (arguments.output, arguments.contributions) if path is not None]
    require_writable(outputs, _inputs(arguments))
    result = _compute(arguments)
    record = result.doses.record.with_inputs(**_identities(arguments))
    for warning in record.warnings:
        _LOG.warning("%s", warning)
    _write(arguments, result, record)
    sys.stdout.write(_table_text(result.doses))
    if result.effective is not None:
        sys.stdout.write("\n" + effective_dose_text(result.effective))
    return EXIT_OK


def _inputs(arguments: argparse.Namespace) -> list[Path]:
    names = ("residence_times", "fits", "organ_masses", "s_values", "radiobiology", "fates")
    return [path for path in (getattr(arguments, name) for name in names) if path is not None]


def _identities(arguments: argparse.Namespace) -> dict[str, dict[str, str]]:
    names = ("residence_times", "fits", "organ_masses", "radiobiology", "fates")
    return {name: file_identity(path) for name in names if (path := getattr(arguments, name)) is not None}


def _compute(arguments: argparse.Namespace) -> OrganDoseResult:
    nuclide = Radionuclide(arguments.nuclide)
    masses = None if arguments.organ_masses is None else read_organ_masses_g(arguments.organ_masses)
    administered_mbq = arguments.administered_mbq
    times, warnings = _residence_times(arguments, nuclide)
    result = compute_organ_doses(
        times,
        nuclide,
        arguments.phantom,
        masses,
        None if administered_mbq is None else administered_mbq * BECQUEREL_PER_MEGABECQUEREL,
        None if arguments.s_values is None else read_s_value_table(arguments.s_values, nuclide.name),
        arguments.alpha_weight,
        None if arguments.radiobiology is None else read_radiobiology(arguments.radiobiology),
        None if arguments.fates is None else read_fates(arguments.fates),
        dict(arguments.lesion),
    )
    doses = replace(result.doses, record=result.doses.record.with_warnings(*warnings))
    return replace(result, doses=doses)


def _residence_times(
    arguments: argparse.Namespace, nuclide: Radionuclide
) -> tuple[dict[str, ResidenceTime], list[str]]:
    """Residence times from the table, or from fits, and what to say about them."""
    if arguments.residence_times is not None:
        return read_residence_times(arguments.residence_times), list(table_warnings(arguments.residence_times))
    return residence_times_of_fits(read_fits(arguments.fits), nuclide)


def _write(arguments: argparse.Namespace, result: OrganDoseResult, record: Record) -> None:
    """Both tables with their records in one transaction."""
    tables = {arguments.output: organ_dose_csv(result.doses, result.alpha_weight, result.bed_gy)}
    if arguments.contributions is not None:
        tables[arguments.contributions] = contributions_csv(result.doses)
    further = {
        "effective_dose": None if result.effective is None else effective_dose_values(result.effective),
        "alpha_weight": result.alpha_weight,
    }
    with OutputTransaction() as transaction:
        for path, text in tables.items():
            write_table(transaction, path, text, "organ absorbed dose", record, **further)


def _table_text(doses: OrganDoseTable) -> str:
    """The doses for the eye."""
    header = ["target", "mGy/MBq", "±1σ", "largest source", *(["Gy"] if doses.dose_gy is not None else [])]
    rows = []
    for row, target in enumerate(doses.targets):
        value, std = (array[row] * MGY_PER_MBQ_PER_GY_PER_BQ for array in (doses.dose_gy_per_bq, doses.std_gy_per_bq))
        cells = [target, f"{value:.4g}", f"{std:.2g}", doses.largest_sources[row] or "-"]
        rows.append([*cells, *([f"{doses.dose_gy[row]:.4g}"] if doses.dose_gy is not None else [])])
    return format_table(header, rows) + "\n"
