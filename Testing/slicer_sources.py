"""Reads the sources of the Slicer side without Slicer: module scripts, the helpers they use, and their panels (.ui)."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

LIBRARY = "RadioDosimetryLib"


@dataclass(frozen=True)
class Import:
    """One imported name: `module` is absolute, `at_load` is whether it is imported as the file loads."""

    module: str
    line: int
    at_load: bool

    @property
    def root(self) -> str:
        """First part of the name."""
        return self.module.split(".")[0]


class ModuleSources:
    """A module script with the helpers of `RadioDosimetryLib` it uses, and its panel.

    Parameters
    ----------
    folder
        Folder of the extension's modules.
    name
        Name of the module.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.script = folder / f"{name}.py"

    @cached_property
    def tree(self) -> ast.Module:
        """The script."""
        return _parsed(self.script.read_text(encoding="utf-8"))

    @cached_property
    def helpers(self) -> list[Path]:
        """Files of `RadioDosimetryLib` that the script uses, directly or through each other, other panels left out."""
        return [file for file in self._reached(False) if not self._is_panel_of_another(file)]

    @cached_property
    def loaded(self) -> list[Path]:
        """The script, and the files that importing it loads."""
        return [self.script, *self._reached(True)]

    @cached_property
    def trees(self) -> list[ast.Module]:
        """The script and its helpers."""
        return [_parsed(text) for text in self.texts()]

    def texts(self) -> list[str]:
        """Text of the script and its helpers."""
        return [file.read_text(encoding="utf-8") for file in (self.script, *self.helpers)]

    @cached_property
    def panel(self) -> ElementTree.Element:
        """The panel."""
        return ElementTree.parse(self.folder / "Resources" / "UI" / f"{self.name}.ui").getroot()

    @cached_property
    def widgets(self) -> dict[str, ElementTree.Element]:
        """Widgets of the panel by name, the outermost first."""
        return {element.get("name", ""): element for element in self.panel.iter("widget")}

    def used_widgets(self) -> dict[str, int]:
        """Names that the script and its helpers take from `ui`, with a line of each."""
        return {
            node.attr: node.lineno
            for tree in self.trees
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and _is_ui(node.value)
        }

    def class_named(self, name: str) -> ast.ClassDef | None:
        """A class of the script; None if it has none of this name."""
        return next((node for node in self.tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)

    def parameters(self) -> dict[str, str]:
        """Fields of the parameter node and their annotations."""
        found = self.class_named(f"{self.name}ParameterNode")
        body = found.body if found is not None else []
        return {
            node.target.id: ast.unparse(node.annotation)
            for node in body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        }

    def hand_wired(self) -> tuple[str, ...]:
        """What the script declares in HAND_WIRED_PARAMETERS."""
        for node in self.tree.body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "HAND_WIRED_PARAMETERS":
                return tuple(ast.literal_eval(node.value))
        return ()

    def _reached(self, at_load: bool) -> list[Path]:
        reached: list[Path] = []
        waiting = [self.script]
        while waiting:
            for imported in imports_of(waiting.pop(), self.folder):
                if imported.root != LIBRARY or (at_load and not imported.at_load):
                    continue
                parts = imported.module.split(".")
                file = self.folder / LIBRARY / f"{parts[1]}.py" if len(parts) > 1 else self.folder / "none"
                if file.is_file() and file not in reached:
                    reached.append(file)
                    waiting.append(file)
        return sorted(reached)

    def _is_panel_of_another(self, file: Path) -> bool:
        """Whether a helper is named after another module and not after this one."""
        others = [path.stem for path in self.folder.glob("*.py") if path.stem != self.name]
        return any(_starts_alike(file.stem, other) for other in others) and not _starts_alike(file.stem, self.name)


def modules_of(folder: Path) -> list[str]:
    """Names of the modules in a folder: every script in it is one."""
    return sorted(file.stem for file in folder.glob("*.py"))


def imports_of(file: Path, folder: Path) -> tuple[Import, ...]:
    """Everything a file imports, relative names made absolute; `from package import name` gives `package.name`."""
    return _imports(file.read_text(encoding="utf-8"), file.relative_to(folder).parts[:-1])


@lru_cache(maxsize=1024)
def _parsed(text: str) -> ast.Module:
    """A source, parsed once however many copies there are of it; read it, never change it."""
    return ast.parse(text)


@lru_cache(maxsize=1024)
def _imports(text: str, package: tuple[str, ...]) -> tuple[Import, ...]:
    found = []
    waiting: list[tuple[ast.AST, bool]] = [(_parsed(text), True)]
    while waiting:
        node, at_load = waiting.pop()
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno, at_load) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, node.module or "")).rstrip(".")
            found += [Import(f"{base}.{alias.name}", node.lineno, at_load) for alias in node.names]
        is_later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_type_checking(node)
        waiting += [(child, at_load and not is_later) for child in ast.iter_child_nodes(node)]
    return tuple(sorted(found, key=lambda item: item.line))


def _is_ui(node: ast.expr) -> bool:
    """Whether an expression is the namespace of widgets: `ui`, `self.ui` or `self._ui`."""
    if isinstance(node, ast.Name):
        return node.id == "ui"
    return isinstance(node, ast.Attribute) and node.attr in {"ui", "_ui"}


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _starts_alike(helper: str, module: str) -> bool:
    """Whether a helper is named after a module: voxelDosePanel after VoxelDose, delayedPetPanel after DelayedPET…."""
    return helper.lower()[:8] == module.lower()[:8]
