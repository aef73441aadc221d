"""What README.md shows does run: its commands and its Python, in a folder that holds the demo's output."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from radiodosimetry.cli import main
from radiodosimetry.workflows.demo import DemoResult


def _code_blocks(project_root: Path, language: str) -> list[str]:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)


def test_commands_shown_run_and_say_something(
    project_root: Path, coarse_demo: DemoResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(coarse_demo.folder.parent)
    lines = "".join(_code_blocks(project_root, "sh")).replace("\\\n", " ").splitlines()
    commands = [line for line in lines if line.startswith("radiodosimetry ")]
    assert {shlex.split(command)[1] for command in commands} >= {"nuclide", "kernel", "dose", "compare"}
    for command in commands:
        assert main(shlex.split(command)[1:]) == 0, command
        assert capsys.readouterr().out, command


def test_python_shown_runs_and_prints_every_region(
    project_root: Path, coarse_demo: DemoResult, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(coarse_demo.folder.parent)
    blocks = _code_blocks(project_root, "python")
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert "whole_liver: " in capsys.readouterr().out


def test_links_to_files_of_the_repository_lead_somewhere(project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)]+)\)", readme) if "://" not in target]
    assert targets
    for target in targets:
        assert (project_root / target).exists(), target
