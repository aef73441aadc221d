"""Which words of a `radiodosimetry` command line name files: what they hold, and whether they are read or written."""

from __future__ import annotations

from argparse import Action
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

NODE_PREFIX = "node:"
"""What stands before the name or ID of a node in the place of a path."""


@dataclass(frozen=True)
class FileRole:
    """What a file of the command line is.

    Attributes
    ----------
    kind
        "image", "regions" (label image, RTSTRUCT, SEG), "table" (CSV), "text" (JSON, TOML), "dicom", "folder" or
        "model".
    quantity
        Value of the core's `Quantity` that an image must hold; None where several do.
    isOutput
        Whether the command writes it.
    """

    kind: str
    quantity: str | None = None
    isOutput: bool = False


_CT = FileRole("image", "ct_number")
_TIA = FileRole("image", "time_integrated_activity_concentration")
_ACTIVITY = FileRole("image", "activity_concentration")
_DOSE = FileRole("image", "absorbed_dose")
_REGIONS, _TABLE, _TEXT = FileRole("regions"), FileRole("table"), FileRole("text")
_IMAGE_OUT, _TABLE_OUT, _TEXT_OUT = (FileRole(kind, isOutput=True) for kind in ("image", "table", "text"))
_DICOM_OUT, _FOLDER_OUT = FileRole("dicom", isOutput=True), FileRole("folder", isOutput=True)
_FOLDER, _MODEL, _MODEL_OUT = FileRole("folder"), FileRole("model"), FileRole("model", isOutput=True)

FILES: Mapping[str, Mapping[str, FileRole]] = {
    "nuclide": {},
    "kernel": {"--spectrum": _TABLE, "--output": _IMAGE_OUT},
    "dose": {
        "--ct": _CT, "--tia": _TIA, "--activity": _ACTIVITY, "--labels": _REGIONS, "--label-names": _TABLE,
        "--radiobiology": _TABLE, "--model": _MODEL, "--output": _IMAGE_OUT, "--uncertainty": _IMAGE_OUT,
        "--table": _TABLE_OUT, "--dvh": _TABLE_OUT, "--rtdose": _DICOM_OUT,
    },
    "compare": {
        "reference": _DOSE, "test": _DOSE, "--labels": _REGIONS, "--label-names": _TABLE, "--output": _FOLDER_OUT,
    },
    "curves": {
        "--scan": _ACTIVITY, "--labels": _REGIONS, "--label-names": _TABLE, "--recovery": _TABLE,
        "--output": _TABLE_OUT, "--quantities": _TABLE_OUT,
    },
    "fit": {"curves": _TABLE, "--output": _TEXT_OUT, "--residence-times": _TABLE_OUT, "--figures": _FOLDER_OUT},
    "tia": {
        "--scan": _ACTIVITY, "--fits": _TEXT, "--labels": _REGIONS, "--label-names": _TABLE,
        "--output": _IMAGE_OUT, "--uncertainty": _IMAGE_OUT, "--model-map": _IMAGE_OUT,
    },
    "svalues": {
        "--ct": _CT, "--labels": _REGIONS, "--label-names": _TABLE, "--fates": _TABLE, "--compare": _TABLE,
        "--compare-saf": _TEXT, "--output": _TABLE_OUT, "--comparison": _TABLE_OUT,
    },
    "organ-dose": {
        "--residence-times": _TABLE, "--fits": _TEXT, "--organ-masses": _TABLE, "--s-values": _TABLE,
        "--radiobiology": _TABLE, "--fates": _TABLE, "--output": _TABLE_OUT, "--contributions": _TABLE_OUT,
    },
    "demo": {"--output": _FOLDER_OUT},
    "case": {"case": _FOLDER, "--ct": _CT, "--labels": _REGIONS, "--label-names": _TABLE},
    "cohort": {},
    "report": {"case": _FOLDER},
    "doctor": {"--models": _FOLDER},
    "synthesize": {
        "--model": _MODEL, "--early": _ACTIVITY, "--ct": _CT, "--labels": _REGIONS, "--label-names": _TABLE,
        "--output": _FOLDER_OUT,
    },
    "simulate": {"--ct": _CT, "--labels": _REGIONS, "--label-names": _TABLE, "--output": _FOLDER_OUT},
    "collect": {"--patients": _TABLE, "--output": _FOLDER_OUT},
    "train": {"--data": _FOLDER, "--config": _TEXT, "--start-from": _MODEL, "--output": _FOLDER_OUT},
    "evaluate": {
        "--model": _MODEL, "--data": _FOLDER, "--shift-data": _FOLDER, "--validation": _FOLDER, "--output": _FOLDER_OUT,
        "--combine": _MODEL_OUT, "--inception": _MODEL,
    },
}  # fmt: skip
"""Files of each command, by option or by the name of the positional argument; a test compares them with the parsers."""

IMAGE_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
"""Formats of the images that the command writes."""

TIMED_OPTION = "--scan"
"""Its value is HOURS=PATH."""


@dataclass(frozen=True)
class FileWord:
    """A file on the command line.

    Attributes
    ----------
    index
        Of the word.
    option
        Full name of the option, or of the positional argument.
    role
        What the file is.
    prefix
        What stands before the path in the same word: "", "--option=", "24=" or both.
    path
        The path as given, or `node:` and a node's name.
    """

    index: int
    option: str
    role: FileRole
    prefix: str
    path: str

    @property
    def isNode(self) -> bool:
        """Whether a node is meant."""
        return self.path.startswith(NODE_PREFIX)

    @property
    def nodeName(self) -> str:
        """Name or ID of the node."""
        return self.path.removeprefix(NODE_PREFIX)

    @property
    def hours(self) -> str:
        """What stands before "=" in HOURS=PATH; "" for other files."""
        return self.prefix.removeprefix(f"{self.option}=").removesuffix("=") if self.option == TIMED_OPTION else ""


def commandOf(words: Sequence[str]) -> str | None:
    """The command among the words, as `radiodosimetry` finds it; None where there is none."""
    from radiodosimetry.cli import COMMANDS

    return next((word for word in words if word in COMMANDS), None)


def fileWords(command: str, words: Sequence[str]) -> list[FileWord]:
    """Every file on the command line of a command, in the order of the words."""
    roles = FILES.get(command, {})
    positionals = iter([action.dest for action in _actions(command) if not action.option_strings])
    found = []
    for index, option, prefix, value in _values(command, words):
        name = option if option is not None else next(positionals, None)
        role = roles.get(name or "")
        if name is None or role is None:
            continue
        if name == TIMED_OPTION and not value.startswith(NODE_PREFIX) and "=" in value:
            hours, _, value = value.partition("=")
            prefix += f"{hours}="
        found.append(FileWord(index, name, role, prefix, value.strip()))
    return found


def optionValue(command: str, words: Sequence[str], option: str) -> str | None:
    """Last value of an option; None where it is not given."""
    return next(reversed(optionValues(command, words, option)), None)


def optionValues(command: str, words: Sequence[str], option: str) -> list[str]:
    """All values of an option, in the order of the words."""
    return [value for _, name, _, value in _values(command, words) if name == option]


def replaced(words: Sequence[str], changes: Mapping[FileWord, Sequence[str]]) -> list[str]:
    """The words with other files in the place of some; several are given by the option again."""
    result = list(words)
    for word in sorted(changes, key=lambda word: word.index, reverse=True):
        values = list(changes[word])
        again = [part for value in values[1:] for part in (word.option, value)]
        result[word.index : word.index + 1] = [_optionPart(word) + values[0], *again]
    return result


def stemOf(path: Path) -> str:
    """Name of a file without its format: `dose.nii.gz` is "dose"."""
    name = path.resolve().name
    for suffix in (*IMAGE_SUFFIXES, ".csv", ".json", ".dcm"):
        name = name.removesuffix(suffix)
    return name or "node"


def _optionPart(word: FileWord) -> str:
    start = f"{word.option}="
    return start if word.prefix.startswith(start) else ""


def _values(command: str, words: Sequence[str]) -> Iterator[tuple[int, str | None, str, str]]:
    """Index, option (None for a positional), part before the value in the same word, and value."""
    counts = _valueCounts(command)
    option, left = None, 0
    afterCommand = False
    for index, word in enumerate(words):
        if left > 0:
            left -= 1
            yield index, option, "", word
        elif word.startswith("-") and len(word) > 1 and not word[1].isdigit():
            start, equals, value = word.partition("=")
            option = _fullName(start, counts)
            if option is not None and equals:
                yield index, option, f"{option}=", value
            left = 0 if equals or option is None else counts[option]
        elif not afterCommand and word == command:
            afterCommand = True
        else:
            yield index, None, "", word


def _valueCounts(command: str) -> dict[str, int]:
    """Number of values of each option of a command."""
    counts = {}
    for action in _actions(command):
        for option in action.option_strings:
            counts[option] = action.nargs if isinstance(action.nargs, int) else 1
    return counts


def _actions(command: str) -> list[Action]:
    """What the parser of a command takes, in its order."""
    import importlib

    from radiodosimetry.cli import build_parser

    module = importlib.import_module(f"radiodosimetry.cli.{command.replace('-', '_')}")
    parser = build_parser(command, module)
    subparsers = next(action.choices for action in parser._actions if action.dest == "command")
    return list(subparsers[command]._actions)


def _fullName(start: str, counts: Mapping[str, int]) -> str | None:
    """The option that a word names, be it shortened; None where none or several fit (the command then refuses)."""
    if start in counts:
        return start
    fitting = [option for option in counts if option.startswith(start)] if start.startswith("--") else []
    return fitting[0] if len(fitting) == 1 else None
