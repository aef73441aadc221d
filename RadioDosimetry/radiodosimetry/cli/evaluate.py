"""`radiodosimetry evaluate`: how well a model does on patients that it has not learned from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..provenance import json_ready
from .common import EXIT_OK, existing_path, print_json, terminal_progress
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
        "--model", required=True, type=Path, metavar="FILE", help="model: .safetensors with its .json beside it"
    )
    parser.add_argument("--data", required=True, type=existing_path, metavar="DIR", help="folder with manifest.json")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="for tables and figures")
    parser.add_argument("--json", action="store_true", help="print all numbers as JSON")
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
            arguments.model, arguments.data, arguments.output, device=arguments.device, progress=progress
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
