"""`radiodosimetry compare`: differences between two dose maps, per region and per voxel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .common import (
    add_region_options,
    existing_path,
    format_table,
    positive_number,
    print_json,
    terminal_progress,
)

if TYPE_CHECKING:
    from ..evaluation import DoseComparison

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "compare",
        help="differences between two dose maps, per region and per voxel",
        description="Compares a dose map with a reference on the same grid: error of the mean dose per region "
        "(Kim 2022, Eq. 3), NRMSE (Li 2022), Pearson's r, global gamma index, error map, line profiles, Bland-Altman "
        "and dose-volume histograms.",
    )
    parser.add_argument("reference", metavar="REF", type=existing_path, help="reference dose: image file or RTDOSE")
    parser.add_argument("test", metavar="TEST", type=existing_path, help="dose to judge, on the same grid")
    add_region_options(parser, labels_help="; else no regions")
    gamma = parser.add_argument_group("gamma index")
    gamma.add_argument(
        "--gamma-percent",
        type=positive_number,
        default=1.0,
        metavar="P",
        help="dose criterion in percent of the reference's maximum (default: %(default)s)",
    )
    gamma.add_argument(
        "--gamma-mm",
        type=positive_number,
        default=2.0,
        metavar="D",
        help="distance criterion (default: %(default)s mm)",
    )
    gamma.add_argument(
        "--gamma-cutoff-percent",
        type=positive_number,
        default=10.0,
        metavar="C",
        help="voxels below this share of the reference's maximum are not judged (default: %(default)s %%)",
    )
    parser.add_argument("--dose-unit", metavar="UNIT", help="Gy, mGy or cGy: of dose images without a sidecar")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for tables, maps and figures")
    parser.add_argument("--json", action="store_true", help="write the numbers as JSON on standard output")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare the two doses, write the folder and print the numbers.

    Raises
    ------
    InputError
        An input cannot be used.
    OutputError
        The folder cannot be written.
    """
    from ..workflows.compare import compare_dose_files

    expressions = dict(arguments.region)
    if len(expressions) < len(arguments.region):
        raise InputError("--region gives the same name twice; give each region its own name.")
    if arguments.labels is None and (expressions or arguments.label_names):
        raise InputError("--region and --label-names need a label map; give --labels.")
    with terminal_progress(arguments, "compare") as progress:
        comparison = compare_dose_files(
            arguments.reference,
            arguments.test,
            arguments.output,
            arguments.labels,
            arguments.label_names,
            expressions,
            arguments.gamma_percent,
            arguments.gamma_mm,
            arguments.gamma_cutoff_percent,
            arguments.dose_unit,
            progress,
        )
    if arguments.json:
        print_json(comparison.as_dict())
    else:
        sys.stdout.write(comparison_text(comparison))
    return 0


def comparison_text(comparison: DoseComparison) -> str:
    """The numbers for reading on a terminal."""
    lines = []
    if comparison.regions:
        header = ("region", "reference [Gy]", "test [Gy]", "error [%]", "MAE [%]", "NRMSE", "gamma pass [%]")
        rows = [
            (
                region.region,
                f"{region.reference_mean_gy:.4g}",
                f"{region.test_mean_gy:.4g}",
                _number(region.mean_error_percent, "+.2f"),
                _number(region.mae_percent, ".2f"),
                _number(region.nrmse, ".4f"),
                _number(region.gamma_pass_percent, ".1f"),
            )
            for region in comparison.regions
        ]
        lines += [format_table(header, rows), ""]
    lines += [
        f"NRMSE        {_number(comparison.nrmse, '.4f')}",
        f"Pearson r    {_number(comparison.pearson_r, '.5f')}",
        f"gamma pass   {comparison.gamma_pass_percent:.2f} % of {int(comparison.gamma.judged_kji.sum())} voxels at "
        f"{comparison.gamma_percent:g} % / {comparison.gamma_mm:g} mm, cutoff {comparison.gamma_cutoff_percent:g} %",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float | None, style: str) -> str:
    return "-" if value is None else format(value, style)
