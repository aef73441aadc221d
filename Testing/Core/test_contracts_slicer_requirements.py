"""What the extension asks Slicer to install: what pyproject says, and nothing that breaks Slicer's own packages."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

_BUNDLED = {"numpy", "scipy", "simpleitk", "pydicom", "highdicom", "requests", "pillow", "packaging"}
"""Packages that Slicer 5.12 brings: installing them anew may break Slicer."""

_FROM_THE_PYTORCH_EXTENSION = {"torch", "torchvision", "torchaudio"}
"""Installed through that extension alone, which finds the build for the graphics card."""

_LINE = re.compile(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?>=[0-9.]+(,<[0-9.]+)?")
"""A requirement with a lower bound; pins and options would take other extensions down."""


def _findings(resources: Path, pyproject: Path, helper: Path) -> list[str]:
    """What is wrong with the requirements files of an extension."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    learning = project["optional-dependencies"].get("learning", [])
    found = []
    for name, wanted in (
        ("requirements.txt", {line for line in project["dependencies"] if _name(line) not in _BUNDLED}),
        ("requirements-learning.txt", {line for line in learning if _name(line) not in _FROM_THE_PYTORCH_EXTENSION}),
    ):
        lines = _lines(resources / name)
        found += [f"{name} lacks {line}" for line in sorted(wanted - lines)]
        found += [f"{name} has {line}, which pyproject.toml lacks" for line in sorted(lines - wanted)]
        found += [f"{name}: '{line}' is no lower bound" for line in sorted(lines) if not _LINE.fullmatch(line)]
        refused = _BUNDLED | _FROM_THE_PYTORCH_EXTENSION
        found += [f"{name}: {line} must not be installed" for line in sorted(lines) if _name(line) in refused]
    declared = [line for line in learning if _name(line) == "torch"]
    asked = f"torch{_constant(helper, 'TORCH_VERSIONS')}"
    return found + [f"{line} is declared, {asked} is asked for" for line in declared if line != asked]


def _lines(path: Path) -> set[str]:
    """Requirements of a file, without comments; none where there is no file."""
    if not path.is_file():
        return set()
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return {line for line in lines if line}


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower()


def _constant(file: Path, name: str) -> str:
    """Value of a constant of a source file."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return str(ast.literal_eval(node.value))
    raise AssertionError(f"{file.name} has no constant {name}")


def test_the_requirements_files_are_those_of_pyproject(project_root: Path) -> None:
    folder = project_root / "RadioDosimetry"
    helper = folder / "RadioDosimetryLib" / "requirements.py"
    assert _findings(folder / "Resources", project_root / "pyproject.toml", helper) == []


_PYPROJECT = """[project]
dependencies = ["numpy>=2.4", "tqdm>=4.66"]
[project.optional-dependencies]
learning = ["torch>=2.8,<2.14", "monai>=1.5"]
"""


@pytest.mark.parametrize(
    ("requirements", "learning", "torch", "words"),
    [
        ("tqdm>=4.66\n", "monai>=1.5\n", ">=2.8,<2.14", None),
        ("", "monai>=1.5\n", ">=2.8,<2.14", "requirements.txt lacks tqdm>=4.66"),
        ("tqdm>=4.66\n", "", ">=2.8,<2.14", "requirements-learning.txt lacks monai>=1.5"),
        ("tqdm>=4.66\njinja2>=3\n", "monai>=1.5\n", ">=2.8,<2.14", "has jinja2>=3, which pyproject.toml lacks"),
        ("tqdm==4.66\n", "monai>=1.5\n", ">=2.8,<2.14", "'tqdm==4.66' is no lower bound"),
        ("-r other.txt\n", "monai>=1.5\n", ">=2.8,<2.14", "'-r other.txt' is no lower bound"),
        ("tqdm>=4.66\nnumpy>=2.4\n", "monai>=1.5\n", ">=2.8,<2.14", "numpy>=2.4 must not be installed"),
        ("tqdm>=4.66\n", "monai>=1.5\ntorch>=2.8,<2.14\n", ">=2.8,<2.14", "torch>=2.8,<2.14 must not be installed"),
        ("tqdm>=4.66\n", "monai>=1.5\n", ">=2.6", "torch>=2.6 is asked for"),
    ],
)
def test_the_contract_notices_a_break(
    tmp_path: Path, requirements: str, learning: str, torch: str, words: str | None
) -> None:
    (tmp_path / "requirements.txt").write_text(requirements, encoding="utf-8")
    (tmp_path / "requirements-learning.txt").write_text(learning, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text(_PYPROJECT, encoding="utf-8")
    (tmp_path / "helper.py").write_text(f'TORCH_VERSIONS = "{torch}"\n', encoding="utf-8")
    found = _findings(tmp_path, tmp_path / "pyproject.toml", tmp_path / "helper.py")
    assert any(words in finding for finding in found) if words else found == []
