"""`radiodosimetry evaluate`: how well a model does on patients that it has not learned from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..provenance import json_ready
from .common import EXIT_OK, existing_path, positive_count, print_json, terminal_progress
from .train import add_device, flat_values

if TYPE_CHECKING:
    from ..workflows.evaluation import Evaluation

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "evaluate",
        help="judge a model on patients that it has not learned from",
        description="Judges a model on a data set as `radiodosimetry simulate` writes it, against the truth and "
        "against the methods without a network. Patients that the model learned from, or that derive from such, are "
        "left out.",
    )
    parser.add_argument(
        "--model",
        required=True,
        action="append",
        type=Path,
        metavar="FILE",
        help="model: .safetensors with its .json beside it, or the name of one that comes with RadioDosimetry; give it "
        "again for further models of dose: those that differ in their seed alone are an ensemble, others stand beside "
        "each other",
    )
    parser.add_argument("--data", required=True, type=existing_path, metavar="DIR", help="folder with manifest.json")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for tables and figures")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
    parser.add_argument(
        "--inception",
        type=existing_path,
        metavar="FILE",
        help="delayed PET: Inception v3 as TorchScript, for the FID; another Fréchet distance is given without",
    )
    more = parser.add_argument_group("models of dose")
    more.add_argument(
        "--shifts",
        action="store_true",
        help="also judge the same patients seen otherwise: sharp and PET-like activity, other reconstructions and "
        "counts (needs PyTomography), other voxels",
    )
    more.add_argument(
        "--shift-data",
        action="append",
        default=[],
        type=existing_path,
        metavar="DIR",
        help="a further data set that stands beside, such as patients of another anatomy; may be given again",
    )
    more.add_argument(
        "--monte-carlo",
        type=positive_count,
        default=0,
        metavar="H",
        help="dblurdosenet: also Monte Carlo of each scan with so many histories",
    )
    more.add_argument(
        "--realisations",
        type=positive_count,
        default=0,
        metavar="N",
        help="dblurdosenet: noise over so many repeated scans of the first patients (needs PyTomography)",
    )
    more.add_argument(
        "--validation",
        type=existing_path,
        metavar="DIR",
        help="data that the models were trained with: its validation patients calibrate the uncertainty",
    )
    more.add_argument("--combine", type=Path, metavar="FILE", help="write the ensemble as one model")
    add_device(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge the model and print what was found.

    Raises
    ------
    InputError
        Model or data cannot be used.
    OutputError
        The folder cannot be written.
    """
    from ..workflows.evaluation import evaluate_model

    with terminal_progress(arguments, "Evaluation") as progress:
        result = evaluate_model(
            arguments.model,
            arguments.data,
            arguments.output,
            device=arguments.device,
            progress=progress,
            shifts=arguments.shifts,
            shift_data=arguments.shift_data,
            monte_carlo_histories=arguments.monte_carlo,
            realisations=arguments.realisations,
            validation=arguments.validation,
            combined=arguments.combine,
            inception=arguments.inception,
        )
    if arguments.json:
        print_json(result.as_dict())
    else:
        print(evaluation_text(result), end="")
    return EXIT_OK


def evaluation_text(result: Evaluation) -> str:
    """The result's own table if it has one, else a line per number."""
    text = getattr(result, "text", None)
    if callable(text):
        return str(text())
    pairs = flat_values(json_ready(result.as_dict()))
    return "".join(f"{name}: {value}\n" for name, value in pairs if not isinstance(value, list))
