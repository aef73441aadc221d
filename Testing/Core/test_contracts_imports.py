"""Imports go one way down the layers, never to Slicer, and what is slow to load is loaded only where it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# From the bottom up; the packages of one line never import each other.
_LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__about__"}),
    frozenset({"errors", "processors", "progress", "provenance", "units"}),
    frozenset({"nuclides"}),
    frozenset({"images"}),
    frozenset({"media"}),
    frozenset({"transport", "evaluation"}),
    frozenset({"voxel_dose", "time_activity", "organ_dose"}),
    frozenset({"virtual_patients"}),
    frozenset({"learning"}),
    frozenset({"learned_dose", "delayed_pet"}),
    frozenset({"report"}),
    frozenset({"workflows"}),
    frozenset({"cli", "__init__"}),
    frozenset({"__main__"}),
)

_FOUNDATION = frozenset({"__about__", "errors", "processors", "progress", "provenance", "units"})
"""Modules of the bottom layers, which may use each other; circles among them fail at import."""

_SLICER_ONLY = frozenset({"slicer", "vtk", "qt", "ctk", "mrml", "vtkmodules", "RadioDosimetryLib"})

_SLOW_TO_LOAD = frozenset({"matplotlib", "monai", "torch", "warp"})

_MAY_LOAD_WARP = "transport"
"""The one package whose modules may import Warp at the top: its kernels are decorated functions."""

_MAY_LOAD_TORCH = frozenset({"learned_dose", "delayed_pet"})
"""Packages whose modules may import PyTorch at the top: networks are classes that derive from its own."""


def _modules(package_folder: Path) -> list[Path]:
    return sorted(package_folder.rglob("*.py"))


def _owner(file: Path, package_folder: Path) -> str:
    """The layer's member a file belongs to: its first folder, or its own name at the top."""
    relative = file.relative_to(package_folder)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def _imports(file: Path, package_folder: Path) -> Iterator[tuple[str, int, bool]]:
    """Absolute name of everything a file imports, with the line and whether it is imported as the file loads."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    deferred = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) or _is_type_checking(function)
        for node in ast.walk(function)
    }
    folder = ("radiodosimetry", *file.relative_to(package_folder).parts[:-1])
    for node in ast.walk(tree):
        at_load = id(node) not in deferred
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno, at_load
        elif isinstance(node, ast.ImportFrom):
            base = ".".join((*folder[: len(folder) - node.level + 1], node.module or "")) if node.level else node.module
            for alias in node.names:
                yield f"{str(base).rstrip('.')}.{alias.name}", node.lineno, at_load


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _level(member: str) -> int:
    return next((level for level, members in enumerate(_LAYERS) if member in members), -1)


def _violations(package_folder: Path) -> list[str]:
    """Imports that climb the layers or cross between neighbours, as `file:line: what`."""
    found = []
    for file in _modules(package_folder):
        owner = _owner(file, package_folder)
        for name, line, _ in _imports(file, package_folder):
            parts = name.split(".")
            if parts[0] != "radiodosimetry" or len(parts) < 2:
                continue
            target = parts[1]
            if target == owner or _level(target) < 0 or {owner, target} <= _FOUNDATION:
                continue
            if _level(target) >= _level(owner):
                found.append(f"{file.relative_to(package_folder)}:{line}: {owner} imports {target}")
    return found


def test_every_module_and_package_has_its_layer(package_folder: Path) -> None:
    owners = {_owner(file, package_folder) for file in _modules(package_folder)}
    assert {owner for owner in owners if _level(owner) < 0} == set()


def test_imports_go_one_way_down(package_folder: Path) -> None:
    assert _violations(package_folder) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("nuclides/a.py", "from ..images import volume"),
        ("voxel_dose/a.py", "from ..time_activity.fits import fit"),
        ("images/a.py", "import radiodosimetry.cli"),
        ("errors.py", "from .images import volume"),
        ("media/a.py", "def later():\n    from ..transport import engine"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, file: str, line: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line, encoding="utf-8")
    assert len(_violations(tmp_path)) == 1


def test_the_core_never_imports_slicer(package_folder: Path) -> None:
    found = [
        f"{file.relative_to(package_folder)}:{line}: {name}"
        for file in _modules(package_folder)
        for name, line, _ in _imports(file, package_folder)
        if name.split(".")[0] in _SLICER_ONLY
    ]
    assert found == []


def test_what_is_slow_to_load_is_imported_only_where_it_is_used(package_folder: Path) -> None:
    found = [
        f"{file.relative_to(package_folder)}:{line}: {name}"
        for file in _modules(package_folder)
        for name, line, at_load in _imports(file, package_folder)
        if at_load
        and name.split(".")[0] in _SLOW_TO_LOAD
        and not (name.split(".")[0] == "warp" and _owner(file, package_folder) == _MAY_LOAD_WARP)
        and not (name.split(".")[0] == "torch" and _owner(file, package_folder) in _MAY_LOAD_TORCH)
    ]
    assert found == []


def test_only_transport_imports_warp(package_folder: Path) -> None:
    found = {
        _owner(file, package_folder)
        for file in _modules(package_folder)
        for name, _, _ in _imports(file, package_folder)
        if name.split(".")[0] == "warp"
    }
    assert found <= {_MAY_LOAD_WARP}


@pytest.mark.parametrize(
    "statement",
    [
        "import radiodosimetry",
        "import radiodosimetry.workflows",
        "import radiodosimetry.delayed_pet, radiodosimetry.delayed_pet.training, radiodosimetry.delayed_pet.inference",
        "from radiodosimetry.cli import main; main(['--help'])",
        "from radiodosimetry.cli import main; main(['dose', '--help'])",
        "from radiodosimetry.cli import main; main(['demo', '--help'])",
    ],
)
def test_nothing_slow_is_loaded_before_it_is_needed(statement: str) -> None:
    loaded = f"{set(_SLOW_TO_LOAD)!r} & set(sys.modules)"
    check = f"import sys; {statement}; loaded = {loaded}; sys.exit(str(loaded) if loaded else 0)"
    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
