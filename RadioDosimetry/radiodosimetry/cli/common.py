"""What the subcommands share: exit codes, argument types, progress on a terminal, printing of results."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..progress import Progress, SilentProgress, TerminalProgress

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_CANCELLED = 130


def existing_path(text: str) -> Path:
    """Argument type: a file or folder that exists."""
    path = Path(text).expanduser()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"'{text}' does not exist; give an existing file or folder")
    return path


def existing_file(text: str) -> Path:
    """Argument type: a file that exists."""
    path = existing_path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"'{text}' is a folder; give a file")
    return path


def positive_number(text: str) -> float:
    """Argument type: a finite number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a number above zero")
    return value


def positive_count(text: str) -> int:
    """Argument type: a whole number above zero; `1e6` and `1_000_000` are understood."""
    value = positive_number(text.replace("_", ""))
    if value != int(value):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number above zero")
    return int(value)


def seed_number(text: str) -> int:
    """Argument type: a seed, a whole number from 0 to 2³² − 1."""
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number from 0 to {2**32 - 1}")
    return value


def named_expression(text: str) -> tuple[str, str]:
    """Argument type `NAME=EXPR`: a region's name and the labels it is made of."""
    from ..errors import RegionError
    from ..images.regions import split_region_option

    try:
        return split_region_option(text)
    except RegionError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_region_options(
    parser: argparse._ActionsContainer, *, labels_help: str = "", once_per_scan: bool = False
) -> None:
    """Add the options that say which regions there are.

    Parameters
    ----------
    parser
        The parser, or a group of it.
    labels_help
        What `--labels` means here beyond its formats.
    once_per_scan
        Whether `--labels` may be given several times.
    """
    parser.add_argument(
        "--labels", type=existing_path, action="append" if once_per_scan else "store", metavar="FILE",
        help=f"label image, RTSTRUCT or SEG (.dcm){labels_help}",
    )  # fmt: skip
    parser.add_argument("--label-names", type=existing_file, metavar="CSV", help="columns label,name")
    parser.add_argument(
        "--region", type=named_expression, action="append", default=[], metavar="NAME=EXPR",
        help="further region of label names with + and -, such as healthy_liver=liver-tumour1",
    )  # fmt: skip


def flag_of(option: str) -> str:
    """`--label-names` of `label_names`."""
    return "--" + option.replace("_", "-")


def refuse_repeated_regions(named: Sequence[tuple[str, str]]) -> None:
    """Refuse two `--region` of one name.

    Raises
    ------
    RegionError
        As said.
    """
    from ..errors import RegionError

    names = [name for name, _ in named]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RegionError(f"--region is given more than once for {', '.join(repeated)}; give each region its own name.")


def require_writable(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Find out before the work, rather than after it, whether results with records beside them can be written.

    Parameters
    ----------
    outputs
        Files to be written, each with its sidecar.
    inputs
        Files that were given, which may have sidecars too.

    Raises
    ------
    InputError
        An output is an input, or two outputs are one file.
    OutputError
        A folder takes no files.
    """
    from ..images.atomic import OutputTransaction, refuse_overwriting
    from ..images.sidecar import sidecar_path

    files = (*outputs, *map(sidecar_path, outputs))
    refuse_overwriting(files, (*inputs, *map(sidecar_path, inputs)))
    with OutputTransaction(*files):
        pass


@contextmanager
def terminal_progress(arguments: argparse.Namespace, description: str) -> Iterator[Progress]:
    """A progress bar on standard error if a person watches it, else silence."""
    if getattr(arguments, "quiet", False) or not sys.stderr.isatty():
        yield SilentProgress()
        return
    with TerminalProgress(description) as progress:
        yield progress


def print_json(values: Mapping[str, Any]) -> None:
    """Print a result as JSON on standard output."""
    from ..provenance import to_json

    sys.stdout.write(to_json(values))


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for reading: the first column to the left, the others to the right, under a line."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        others = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        return "  ".join([first, *others]).rstrip()

    return "\n".join([line(header), "-" * (sum(widths) + 2 * (len(widths) - 1)), *map(line, rows)])
