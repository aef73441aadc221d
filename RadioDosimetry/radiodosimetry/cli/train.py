"""`radiodosimetry train`: a network from a folder of patients."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import EXIT_OK, existing_file, existing_path, terminal_progress

if TYPE_CHECKING:
    from ..learning.model_files import ModelCard

    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

_TOLD = ("loop", "metrics", "calibration")
"""Parts of a card's training that are printed; settings and data stand in the card."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand to the command line."""
    parser = subparsers.add_parser(
        "train",
        help="train a network on a folder of patients",
        description="Trains a network on a data set as `radiodosimetry simulate` or, for delayed PET, `radiodosimetry "
        "collect` writes it and ends in a model file "
        "with its card. The folder of the run keeps the log, the learning curve and a checkpoint: a run that was "
        "killed goes on with --resume to the same result. Several processes: `torchrun --nproc-per-node N -m "
        "radiodosimetry train …`.",
    )
    parser.add_argument("network", choices=("unet", "dblurdosenet", "delayed-pet"), help="what to train")
    parser.add_argument("--data", required=True, type=existing_path, metavar="DIR", help="folder with manifest.json")
    parser.add_argument(
        "--config", type=existing_file, metavar="TOML", help="settings; what it leaves out is as published"
    )
    parser.add_argument("--output", required=True, type=Path, metavar="RUN", help="folder of the run, made if absent")
    parser.add_argument(
        "--start-from", type=Path, metavar="MODEL",
        help="unet, dblurdosenet: begin with the weights of a model, a file or the name of one that comes with "
        "RadioDosimetry; patients it learned from may not judge",
    )  # fmt: skip
    parser.add_argument("--resume", action="store_true", help="go on from the run's checkpoint")
    parser.add_argument(
        "--fold", type=fold_argument, metavar="K/N", help="hold out fold K of N, by source patient (default: nobody)"
    )
    add_device(parser)
    parser.set_defaults(run=run)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the option for where networks run."""
    parser.add_argument("--device", default="cpu", metavar="D", help="cpu (default), cuda or cuda:N")


def fold_argument(text: str) -> tuple[int, int]:
    """Argument type `K/N`: a fold and the number of folds."""
    match = re.fullmatch(r"([0-9]+)/([0-9]+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a fold as 1/5")
    number, count = int(match[1]), int(match[2])
    if not 1 <= number <= count or count < 2:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a fold from 1/N to N/N with N of at least 2")
    return number, count


def run(arguments: argparse.Namespace) -> int:
    """Train, and say where the model lies and what its card says of it.

    Raises
    ------
    InputError
        Data, configuration or fold cannot be used, or the folder holds another run.
    RadioDosimetryError
        The training stopped; the last checkpoint stays.
    """
    from ..learning.model_files import read_card
    from ..workflows.training import train_model

    leads = os.environ.get("RANK", "0") == "0"
    if not leads:
        arguments.quiet = True
    with terminal_progress(arguments, f"Training {arguments.network}") as progress:
        model = train_model(
            arguments.network,
            arguments.data,
            arguments.config,
            arguments.output,
            start=arguments.start_from,
            resume=arguments.resume,
            device=arguments.device,
            fold=arguments.fold,
            progress=progress,
        )
    if leads:
        print(f"Model: {model}\n{card_text(read_card(model))}", end="")
    return EXIT_OK


def card_text(card: ModelCard) -> str:
    """How a card says the training went, what came out and its limits, for reading on a terminal."""
    told = {name: card.training[name] for name in _TOLD if isinstance(card.training.get(name), dict)}
    lines = [f"{name}: {value}" for name, value in flat_values(told) if not isinstance(value, list)]
    return "".join(f"{line}\n" for line in (*lines, *(f"Limit: {limit}" for limit in card.limits)))


def flat_values(values: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as pairs of a dotted name and a value."""
    pairs: list[tuple[str, Any]] = []
    for name, value in dict(values).items():
        if isinstance(value, dict):
            pairs += flat_values(value, f"{prefix}{name}.")
        else:
            pairs.append((f"{prefix}{name}", f"{value:.6g}" if isinstance(value, float) else value))
    return pairs
