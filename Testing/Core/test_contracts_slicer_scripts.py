"""Module scripts are as Slicer wants them: classes, words, life cycle, imports, documented names, translatable text.

Each contract is a function that tells what is wrong with a module; it finds nothing in ours, and finds each of the
breaks that `_BREAKS` makes in copies of them.
"""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slicer_sources import LIBRARY, ModuleSources, imports_of, modules_of

_OF_SLICER = {"slicer", "vtk", "qt", "ctk"}
"""What Slicer itself gives."""

_LOADED_EARLY = {*_OF_SLICER, "numpy", LIBRARY}
"""What a module script and the helpers it loads may import as they load: Slicer imports every module at its start."""

_MODULES_OF_SLICER = {"DICOMLib", "SampleData", "SegmentStatistics", "SegmentStatisticsPlugins"}
"""Python modules that come with Slicer's own modules."""

_OF_THE_PYTORCH_EXTENSION = {"PyTorchUtils", "torch"}

_BUNDLED = {"packaging"}
"""Packages that Slicer 5.12 bundles and the core does not need."""

_DISTRIBUTIONS = {
    "distributed": "dask",
    "icrp107_database": "icrp107-database",
    "simpleitk": "simpleitk",
    "warp": "warp-lang",
}
"""Name to install of packages that are imported under another name."""

_NAMESPACES = {
    "app", "cli", "dicomDatabase", "i18n", "modules", "mrmlScene", "packaging", "parameterNodeWrapper",
    "ScriptedLoadableModule", "testing", "util",
}  # fmt: skip
"""What is documented of the package `slicer`, beside classes; the functions of slicer.util leak into it as well."""

_CLASS_OF_SLICER = re.compile(r"vtk[A-Z]|qMRML|qSlicer")

_WORDS = {"text", "title", "toolTip", "windowTitle", "placeholderText", "plainText"}
"""Properties that a user reads."""

_SIGNAL = re.compile(r"\w+\([\w*&:, ]*\)")

_LIFE_CYCLE = ("setup", "cleanup", "enter", "exit", "onSceneStartClose", "onSceneEndClose", "initializeParameterNode")


def _early_imports(module: ModuleSources) -> list[str]:
    """Imports at load that slow down Slicer's start or fail where a package is missing."""
    return [
        f"{file.name}:{found.line}: {found.module}"
        for file in module.loaded
        for found in imports_of(file, module.folder)
        if found.at_load and found.root not in _LOADED_EARLY and found.root not in sys.stdlib_module_names
    ]


def _missing_parts(module: ModuleSources) -> list[str]:
    """Classes and methods that Slicer or its users look for."""
    name = module.name
    suffixes = ("", "ParameterNode", "Widget", "Logic", "Test")
    classes = {suffix: module.class_named(f"{name}{suffix}") for suffix in suffixes}
    found = [f"no class {name}{suffix}" for suffix, node in classes.items() if node is None]
    for suffix, node in classes.items():
        bases = {ast.unparse(base) for base in node.bases} if node is not None else set()
        if node is not None and suffix != "ParameterNode" and f"ScriptedLoadableModule{suffix}" not in bases:
            found.append(f"{name}{suffix} is no ScriptedLoadableModule{suffix}")
    node = classes["ParameterNode"]
    if node is not None and "parameterNodeWrapper" not in {ast.unparse(item) for item in node.decorator_list}:
        found.append(f"{name}ParameterNode is not wrapped")
    return found


def _missing_words(module: ModuleSources) -> list[str]:
    """What Slicer shows of a module: title, category, contributors, help and acknowledgement, an icon."""
    node = module.class_named(module.name)
    if node is None:
        return ["no module class"]
    values = {
        target.attr: ast.unparse(item.value)
        for item in ast.walk(node)
        if isinstance(item, ast.Assign)
        for target in item.targets
        if isinstance(target, ast.Attribute)
    }
    wanted = {
        "title": r"_\('.+'\)",
        "categories": r"\[translate\('qSlicerAbstractCoreModule', 'Nuclear Medicine'\)\]",
        "contributors": r"\['.+'\]",
        "dependencies": r"\[.*\]",
        "helpText": r"_\(.*not a medical device.*\)",
        "acknowledgementText": r"_\(.{40,}\)",
    }
    found = [name for name, words in wanted.items() if not re.fullmatch(words, values.get(name, ""), re.DOTALL)]
    icon = module.folder / "Resources" / "Icons" / f"{module.name}.svg"
    if not icon.is_file() or not ElementTree.parse(icon).getroot().tag.endswith("svg"):
        found.append("icon")
    return [f"no proper {name}" for name in found]


def _incomplete_life_cycle(module: ModuleSources) -> list[str]:
    """Methods and observers without which a panel outlives its scene."""
    node = module.class_named(f"{module.name}Widget")
    if node is None:
        return ["no widget"]
    methods = _methods_with_inherited(module, node)
    found = [f"no {name}" for name in _LIFE_CYCLE if name not in methods]
    pieces = {
        "cleanup": ("self.removeObservers()", "setParameterNode(None)"),
        "exit": ("setParameterNode(None)",),
        "onSceneStartClose": ("setParameterNode(None)",),
        "onSceneEndClose": ("initializeParameterNode()",),
        "setup": ("setMRMLScene(slicer.mrmlScene)", "StartCloseEvent, self.onScene", "EndCloseEvent, self.onScene"),
        "setParameterNode": ("disconnectGui(", "connectGui(self.ui)", "self.removeObserver("),
    }
    lacking = [(name, piece) for name in pieces for piece in pieces[name] if piece not in methods.get(name, "")]
    return found + [f"{name} lacks {piece}" for name, piece in lacking]


def _methods_with_inherited(module: ModuleSources, node: ast.ClassDef) -> dict[str, str]:
    """Text of the methods of a class and of its bases in `RadioDosimetryLib`; what `super()` calls is part of it."""
    methods: dict[str, str] = {}
    bases = {ast.unparse(base) for base in node.bases}
    inherited = [
        item for tree in module.trees for item in tree.body if isinstance(item, ast.ClassDef) and item.name in bases
    ]
    for part in (*inherited, node):
        for item in part.body:
            if isinstance(item, ast.FunctionDef):
                text = ast.unparse(item)
                methods[item.name] = methods.get(item.name, "") + text if "super()." in text else text
    return methods


def _untested(module: ModuleSources) -> list[str]:
    """Tests of the self-test button that `runTest` leaves out, and a `setUp` that keeps the scene."""
    node = module.class_named(f"{module.name}Test")
    if node is None:
        return ["no test class"]
    methods = {item.name: ast.unparse(item) for item in node.body if isinstance(item, ast.FunctionDef)}
    tests = [name for name in methods if name.startswith("test_")]
    found = [] if tests else ["no test"]
    if "mrmlScene.Clear(" not in methods.get("setUp", ""):
        found.append("setUp does not clear the scene")
    return found + [f"runTest leaves out {name}" for name in tests if name not in methods.get("runTest", "")]


def _untranslatable(module: ModuleSources) -> list[str]:
    """Text that the translators' tools cannot find: no literal in `_()`, or a literal outside it."""
    found = []
    for tree in module.trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_":
                literal = len(node.args) == 1 and isinstance(node.args[0], ast.Constant)
                if not literal or not isinstance(node.args[0].value, str):
                    found.append(f"line {node.lineno}: {ast.unparse(node)} is no literal")
            elif isinstance(node, ast.Assign) and any(_is_read(target) for target in node.targets):
                bare = _bare_texts(node.value)
                found += [f"line {text.lineno}: {ast.unparse(text)} is not translated" for text in bare]
    return found


def _is_read(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and target.attr in _WORDS


def _bare_texts(value: ast.expr) -> Iterator[ast.expr]:
    """Literals with letters that an expression may give as it stands."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and re.search(r"[A-Za-z]{3}", value.value):
        yield value
    elif isinstance(value, ast.JoinedStr):
        yield from (part for item in value.values for part in _bare_texts(item))
    elif isinstance(value, ast.IfExp):
        yield from (*_bare_texts(value.body), *_bare_texts(value.orelse))
    elif isinstance(value, ast.BoolOp):
        yield from (part for item in value.values for part in _bare_texts(item))


def _undocumented(module: ModuleSources) -> list[str]:
    """Names of `slicer` that are not documented, and signals that are not written as Qt writes them."""
    found = []
    for tree in module.trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "slicer":
                if node.attr not in _NAMESPACES and not _CLASS_OF_SLICER.match(node.attr):
                    found.append(f"line {node.lineno}: slicer.{node.attr}")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect":
                signal = node.args[0] if node.args else None
                if isinstance(signal, ast.Constant) and not _SIGNAL.fullmatch(str(signal.value)):
                    found.append(f"line {node.lineno}: signal {signal.value!r}")
    return found


def _logic_with_windows(module: ModuleSources) -> list[str]:
    """What a logic must not know, since it also runs without a window."""
    node = module.class_named(f"{module.name}Logic")
    text = ast.unparse(node) if node is not None else ""
    windows = ("qt.", "ctk.", "self.ui", "layoutManager", "Display(")
    return [f"the logic uses {word}" for word in windows if word in text]


_CONTRACTS: dict[str, Callable[[ModuleSources], list[str]]] = {
    "early imports": _early_imports,
    "parts": _missing_parts,
    "words": _missing_words,
    "life cycle": _incomplete_life_cycle,
    "self-test": _untested,
    "translation": _untranslatable,
    "documented names": _undocumented,
    "logic": _logic_with_windows,
}


def _undeclared(extension_folder: Path, pyproject: Path) -> list[str]:
    """Packages that are imported and that nothing declares, and those declared that nothing imports."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    needed = {_name(line) for line in project["dependencies"]}
    optional = {_name(line) for extra in project["optional-dependencies"].values() for line in extra}
    own = {LIBRARY, "radiodosimetry", *modules_of(extension_folder)}
    given = {*_OF_SLICER, *_MODULES_OF_SLICER, *_OF_THE_PYTORCH_EXTENSION, *_BUNDLED}
    found, used = [], set()
    for file in sorted(extension_folder.rglob("*.py")):
        in_core = file.relative_to(extension_folder).parts[0] == "radiodosimetry"
        for imported in imports_of(file, extension_folder):
            if imported.root in sys.stdlib_module_names or imported.root in own:
                continue
            distribution = _DISTRIBUTIONS.get(imported.root.lower(), imported.root.lower())
            used.add(distribution)
            if distribution not in needed | optional and (in_core or imported.root not in given):
                found.append(f"{file.name}:{imported.line}: {imported.root} is not declared")
    texts = "".join(file.read_text(encoding="utf-8") for file in extension_folder.rglob("*.py"))
    unused = [name for name in sorted(needed - used) if name.replace("-", "_") not in texts]
    return found + [f"{name} is declared and not imported" for name in unused]


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~;\[]", requirement, maxsplit=1)[0].lower()


@pytest.mark.parametrize("contract", _CONTRACTS)
def test_every_module_keeps_the_contract(project_root: Path, contract: str) -> None:
    folder = project_root / "RadioDosimetry"
    modules = [ModuleSources(folder, name) for name in modules_of(folder)]
    assert modules
    found = {module.name: _CONTRACTS[contract](module) for module in modules}
    assert {name: findings for name, findings in found.items() if findings} == {}


def test_every_import_of_another_package_is_declared(project_root: Path) -> None:
    assert _undeclared(project_root / "RadioDosimetry", project_root / "pyproject.toml") == []


def test_helpers_import_no_core_and_nothing_else_as_they_load(project_root: Path) -> None:
    """Each helper is loaded for one step of a panel: it loads the core only in the functions that compute."""
    folder = project_root / "RadioDosimetry"
    plugins = {"rtDosePlugin.py": {"DICOMLib"}, "doseStatisticsPlugin.py": {"SegmentStatisticsPlugins"}}
    found = [
        f"{file.name}:{imported.line}: {imported.module}"
        for file in sorted((folder / LIBRARY).glob("*.py"))
        for imported in imports_of(file, folder)
        if imported.at_load
        and imported.root not in _LOADED_EARLY | plugins.get(file.name, set())
        and imported.root not in sys.stdlib_module_names
    ]
    assert found == []


def test_the_package_of_helpers_loads_nothing(project_root: Path) -> None:
    folder = project_root / "RadioDosimetry"
    assert list(imports_of(folder / LIBRARY / "__init__.py", folder)) == []


_BREAKS = [
    ("early imports", "py", "import slicer\n", "import slicer\nimport scipy.ndimage\n", "scipy.ndimage"),
    ("early imports", "py", "import slicer\n", "import slicer\nfrom radiodosimetry import units\n", "units"),
    ("early imports", "cycle", "import vtk\n", "import vtk\nfrom .early import a\n", "torch.nn"),
    ("parts", "py", "class DelayedPETSynthesisTest(", "class DelayedPETSynthesisTests(", "no class Delayed"),
    ("parts", "py", "@parameterNodeWrapper\n", "", "is not wrapped"),
    ("parts", "py", "Logic(ScriptedLoadableModuleLogic)", "Logic(object)", "is no Scripted"),
    ("words", "py", '"Nuclear Medicine"', '"Dosimetry"', "no proper categories"),
    ("words", "py", "not a medical device", "a medical device", "no proper helpText"),
    ("words", "icon", "<svg", "<svgs", "no proper icon"),
    ("life cycle", "py", "Widget(PanelLifeCycle, ", "Widget(", "no setup"),
    ("life cycle", "py", "def makeLogic(", "def exit(self):\n        pass\n\n    def makeLogic(", "exit lacks set"),
    ("life cycle", "cycle", "self.removeObservers()", "pass", "cleanup lacks self.removeObservers()"),
    ("life cycle", "cycle", "def onSceneStartClose", "def onSceneStarts", "no onSceneStartClose"),
    ("life cycle", "cycle", ".disconnectGui(", ".connectGui(", "setParameterNode lacks disconnectGui("),
    ("self-test", "py", "(self.test_decayed_scan_is_synthesised, ", "(", "leaves out test_decayed_scan_is_synthesised"),
    ("self-test", "py", "slicer.mrmlScene.Clear()", "pass", "setUp does not clear the scene"),
    ("translation", "panel", '_("Select the acquired scan.")', '_(f"Select {1}.")', "is no literal"),
    ("translation", "panel", "plainText = text", 'plainText = text or "Nothing to say"', "is not translated"),
    ("documented names", "panel", "slicer.util.selectModule(", "slicer.selectModule(", "slicer.select"),
    ("documented names", "panel", 'connect("clicked(bool)", slot)', 'connect("clicked", slot)', "signal "),
    ("logic", "py", "return rememberedResults(", "qt.QTimer(); return rememberedResults(", "the logic uses qt."),
]
"""Contract, file (script, panel's helper or icon), what is replaced everywhere by what, and what is found then."""


@pytest.fixture
def copied_folder(project_root: Path, tmp_path: Path) -> Path:
    """DelayedPETSynthesis, its helpers and icon, in a folder of their own, with a helper that loads too much."""
    folder = project_root / "RadioDosimetry"
    shutil.copy(folder / "DelayedPETSynthesis.py", tmp_path)
    shutil.copytree(folder / LIBRARY, tmp_path / LIBRARY)
    (tmp_path / LIBRARY / "early.py").write_text("import torch.nn\na = 1\n", encoding="utf-8")
    (tmp_path / "Resources" / "Icons").mkdir(parents=True)
    shutil.copy(folder / "Resources" / "Icons" / "DelayedPETSynthesis.svg", tmp_path / "Resources" / "Icons")
    return tmp_path


@pytest.mark.parametrize(("contract", "file", "old", "new", "words"), _BREAKS)
def test_the_contract_notices_a_break(
    copied_folder: Path, contract: str, file: str, old: str, new: str, words: str
) -> None:
    files = {
        "py": copied_folder / "DelayedPETSynthesis.py",
        "panel": copied_folder / LIBRARY / "delayedPetPanel.py",
        "cycle": copied_folder / LIBRARY / "panelLifeCycle.py",
        "icon": copied_folder / "Resources" / "Icons" / "DelayedPETSynthesis.svg",
    }
    check = _CONTRACTS[contract]
    assert check(ModuleSources(copied_folder, "DelayedPETSynthesis")) == []
    text = files[file].read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new)
    files[file].write_text(text.replace("</svg>", "</svgs>") if file == "icon" else text, encoding="utf-8")
    found = check(ModuleSources(copied_folder, "DelayedPETSynthesis"))
    assert any(words in finding for finding in found), found


@pytest.mark.parametrize(
    ("file", "line", "declared", "words"),
    [
        ("radiodosimetry/a.py", "import pandas", '"numpy>=2"', "pandas is not declared"),
        ("RadioDosimetryLib/a.py", "def f():\n    from skimage import measure", '"numpy>=2"', "skimage is not"),
        ("radiodosimetry/a.py", "import vtk", '"numpy>=2"', "vtk is not declared"),
        ("RadioDosimetryLib/a.py", "import vtk", '"numpy>=2", "jinja2"', "jinja2 is declared and not imported"),
    ],
)
def test_the_contract_notices_an_undeclared_import(
    tmp_path: Path, file: str, line: str, declared: str, words: str
) -> None:
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(f"import numpy\n{line}\n", encoding="utf-8")
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text(f"[project]\ndependencies = [{declared}]\noptional-dependencies = {{}}\n", encoding="utf-8")
    found = _undeclared(tmp_path, pyproject)
    assert len(found) == 1
    assert words in found[0]


def test_every_contract_was_seen_failing() -> None:
    assert {contract for contract, *_ in _BREAKS} == set(_CONTRACTS)
