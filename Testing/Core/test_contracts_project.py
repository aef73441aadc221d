"""What must stay the same in several places does: dependencies, commands, versions, and words about every module."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from radiodosimetry import __version__

_BUNDLED_WITH_SLICER = {"numpy", "scipy", "simpleitk", "pydicom", "highdicom"}
"""Not in the requirements that the extension asks Slicer to install."""

_MAXIMUM_LINES = 500
"""Modules should have 100 to 400 lines; at this length one has certainly become two."""


@pytest.fixture(scope="module")
def pyproject(project_root: Path) -> dict[str, Any]:
    return tomllib.loads((project_root / "pyproject.toml").read_text(encoding="utf-8"))


def _requirement_lines(path: Path) -> set[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower()


def test_slicer_requirements_are_the_dependencies_that_slicer_lacks(
    project_root: Path, pyproject: dict[str, Any]
) -> None:
    dependencies = set(pyproject["project"]["dependencies"])
    missing_in_slicer = {line for line in dependencies if _name(line) not in _BUNDLED_WITH_SLICER}
    resources = project_root / "RadioDosimetry" / "Resources"
    assert _requirement_lines(resources / "requirements.txt") == missing_in_slicer
    learning = resources / "requirements-learning.txt"
    extra = pyproject["project"]["optional-dependencies"].get("learning", [])
    assert (_requirement_lines(learning) if learning.exists() else set()) == {
        line for line in extra if _name(line) != "torch"
    }


def test_slicer_requirements_have_lower_bounds_only(project_root: Path) -> None:
    for line in _requirement_lines(project_root / "RadioDosimetry" / "Resources" / "requirements.txt"):
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+", line), line


def test_continuous_integration_runs_the_command_of_the_readme(project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^python3 -m venv .*$", readme, flags=re.MULTILINE)
    assert len(commands) == 2
    ci = (project_root / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    for command in commands:
        assert command in ci


def test_changelog_opens_with_this_version(project_root: Path) -> None:
    text = (project_root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## ([0-9.]+)", text, flags=re.MULTILINE)
    assert headings[0] == __version__


def test_decision_records_are_numbered_without_gaps_and_say_what_was_decided(project_root: Path) -> None:
    records = sorted((project_root / "Resources" / "Docs" / "decisions").glob("*.md"))
    assert [int(record.name[:4]) for record in records] == list(range(1, len(records) + 1))
    for number, record in enumerate(records, start=1):
        text = record.read_text(encoding="utf-8")
        assert text.startswith(f"# {number}. "), record.name
        assert "\n## Decision\n" in text, record.name


def test_every_module_opens_with_a_sentence(package_folder: Path) -> None:
    silent = [
        str(file.relative_to(package_folder))
        for file in sorted(package_folder.rglob("*.py"))
        if len((ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").split()) < 3
    ]
    assert silent == []


def test_no_module_is_longer_than_a_reader_can_hold(package_folder: Path) -> None:
    lengths = {
        str(file.relative_to(package_folder)): len(file.read_text(encoding="utf-8").splitlines())
        for file in package_folder.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > _MAXIMUM_LINES} == {}


def test_readme_says_that_this_is_research_software(project_root: Path) -> None:
    readme = (project_root / "README.md").read_text(encoding="utf-8")
    assert "not a medical device" in readme.lower()
