"""The command's frame: help, version, exit codes, what goes to which stream."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import radiodosimetry.cli as cli
from radiodosimetry import __version__
from radiodosimetry.cli import common
from radiodosimetry.errors import CancelledError, FileFormatError, OutputError
from radiodosimetry.progress import SilentProgress

Outcome = Callable[[argparse.Namespace], int]


@pytest.fixture
def run_nuclide_as(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command with a stand-in for a subcommand that does what the test says."""

    def run(outcome: Outcome, *options: str) -> int:
        module = ModuleType("stand_in")
        module.add_parser = lambda subparsers: subparsers.add_parser("nuclide")  # type: ignore[attr-defined]
        module.run = outcome  # type: ignore[attr-defined]
        monkeypatch.setattr(importlib, "import_module", lambda name, package=None: module)
        return cli.main(["nuclide", *options])

    return run


def _raise(error: BaseException) -> Outcome:
    def outcome(arguments: argparse.Namespace) -> int:
        raise error

    return outcome


def test_help_names_every_subcommand_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for name in cli.COMMANDS:
        assert name in printed.out


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_subcommand_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([name, "--help"]) == 0
    assert f"usage: radiodosimetry {name}" in capsys.readouterr().out


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"radiodosimetry {__version__}\n"


def test_package_runs_as_a_program() -> None:
    command = [sys.executable, "-m", "radiodosimetry", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == f"radiodosimetry {__version__}"


@pytest.mark.parametrize("words", [[], ["unknown"], ["--unknown"], ["nuclide", "Lu-177", "--unknown"]])
def test_a_wrong_command_line_is_bad_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("radiodosimetry")
    assert "--help" in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FileFormatError("The file is not an image."), 2),
        (OutputError("The disk is full."), 1),
        (CancelledError("Cancelled by the user."), 130),
        (KeyboardInterrupt(), 130),
        (RuntimeError("a defect"), 1),
        (MemoryError(), 1),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(
    run_nuclide_as: Callable[..., int], capsys: pytest.CaptureFixture[str], error: BaseException, code: int
) -> None:
    assert run_nuclide_as(_raise(error)) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("radiodosimetry: ")
    assert printed.err.count("\n") == 1
    assert str(error) in printed.err


def test_ctrl_c_while_a_subcommand_is_loaded_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("radiodosimetry.cli.importlib.import_module", interrupted)
    assert cli.main(["nuclide", "Lu-177"]) == 130
    assert capsys.readouterr().err == "radiodosimetry: Cancelled; no result was written.\n"


def test_a_message_of_several_lines_becomes_one(
    run_nuclide_as: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run_nuclide_as(_raise(OutputError("first\n  second")))
    assert capsys.readouterr().err == "radiodosimetry: first second\n"


def test_the_traceback_is_shown_only_on_request(
    run_nuclide_as: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run_nuclide_as(_raise(RuntimeError("a defect")))
    assert "Traceback" not in capsys.readouterr().err
    run_nuclide_as(_raise(RuntimeError("a defect")), "--debug")
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], ["warned"]),
        (["-v"], ["informed", "warned"]),
        (["-vv"], ["detailed", "informed", "warned"]),
        (["-q"], []),
    ],
)
def test_the_log_goes_to_standard_error_as_much_as_is_asked_for(
    run_nuclide_as: Callable[..., int], capsys: pytest.CaptureFixture[str], options: list[str], shown: list[str]
) -> None:
    def outcome(arguments: argparse.Namespace) -> int:
        logger = logging.getLogger("radiodosimetry.test")
        logger.debug("detailed")
        logger.info("informed")
        logger.warning("warned")
        return 0

    assert run_nuclide_as(outcome, *options) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert [line.split(": ")[1] for line in printed.err.splitlines()] == shown


def test_results_as_json_are_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_json({"half_life_s": 1.0, "path": Path("a.nrrd")})
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"half_life_s": 1.0, "path": "a.nrrd"}
    assert printed.err == ""


def test_no_progress_bar_is_drawn_where_nobody_watches() -> None:
    with common.terminal_progress(argparse.Namespace(), "work") as progress:
        assert isinstance(progress, SilentProgress)


@pytest.mark.parametrize(
    ("argument_type", "text", "message"),
    [
        (common.positive_number, "0", "found '0', expected a number above zero"),
        (common.positive_number, "inf", "expected a number above zero"),
        (common.positive_number, "many", "expected a number above zero"),
        (common.positive_count, "1.5", "expected a whole number above zero"),
        (common.seed_number, "-1", "expected a whole number from 0 to 4294967295"),
        (common.named_expression, "liver", "expected NAME=EXPR"),
        (common.named_expression, "=liver", "expected NAME=EXPR"),
    ],
)
def test_a_bad_argument_says_what_was_expected(
    argument_type: Callable[[str], object], text: str, message: str
) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=message):
        argument_type(text)


def test_good_arguments_are_understood() -> None:
    assert common.positive_count("1e6") == common.positive_count("1_000_000") == 1_000_000
    assert common.named_expression("healthy = liver-tumour1") == ("healthy", "liver-tumour1")
    assert common.seed_number("7") == 7


def test_paths_are_checked_before_work_begins(tmp_path: Path) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="does not exist"):
        common.existing_path(str(tmp_path / "absent.nii.gz"))
    with pytest.raises(argparse.ArgumentTypeError, match="is a folder; give a file"):
        common.existing_file(str(tmp_path))


def test_a_table_is_aligned() -> None:
    table = common.format_table(["region", "mean"], [["liver", "1.0"], ["left_kidney", "12.5"]])
    assert table.splitlines() == [
        "region       mean",
        "-----------------",
        "liver         1.0",
        "left_kidney  12.5",
    ]
