"""The extension configures, builds and installs against stand-ins of Slicer's macros; what is installed works alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_MODULES_FOLDER = Path("lib") / "Slicer-5.12" / "qt-scripted-modules"
"""Where an installed extension's modules, packages and resources lie."""


@dataclass(frozen=True)
class _Build:
    """What CMake made of an extension: where, or what it said when it refused."""

    build: Path
    installed: Path
    error: str = ""


def _build(project_root: Path, source: Path, folder: Path) -> _Build:
    """Configure, build and install an extension with the stand-in of Slicer."""
    build, installed = folder / "build", folder / "installed"
    configure = [
        "-S", str(source), "-B", str(build), "-DBUILD_TESTING=ON",
        f"-DSlicer_DIR={project_root / 'Testing' / 'Slicer' / 'cmake'}",
        # Nothing is compiled: any program will do where there is no compiler.
        *(f"-DCMAKE_{language}_{what}" for language in ("C", "CXX")
          for what in (f"COMPILER={sys.executable}", "COMPILER_FORCED=1")),
    ]  # fmt: skip
    steps = (configure, ["--build", str(build)], ["--install", str(build), "--prefix", str(installed)])
    for step in steps:
        result = subprocess.run([sys.executable, "-m", "cmake", *step], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return _Build(build, installed, result.stdout + result.stderr)
    return _Build(build, installed)


def _differences(extension_folder: Path, installed: Path) -> list[str]:
    """Files of the sources that were not installed, installed ones that are not sources, and changed ones."""
    expected = {file: (extension_folder / file).read_bytes() for file in _files(extension_folder)}
    found = {file: (installed / _MODULES_FOLDER / file).read_bytes() for file in _files(installed / _MODULES_FOLDER)}
    missing = [f"not installed: {file}" for file in expected.keys() - found.keys()]
    extra = [f"not a source: {file}" for file in found.keys() - expected.keys()]
    changed = [f"changed: {file}" for file in expected.keys() & found.keys() if expected[file] != found[file]]
    return sorted([*missing, *extra, *changed])


def _files(folder: Path) -> list[str]:
    return [
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file()
        and "__pycache__" not in file.parts
        and not file.name.startswith(".")
        and file.name != "CMakeLists.txt"
    ]


@pytest.fixture(scope="module")
def extension(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> _Build:
    """The extension itself, built and installed."""
    if shutil.which("make") is None and shutil.which("ninja") is None:
        pytest.skip("neither make nor ninja is installed")
    build = _build(project_root, project_root, tmp_path_factory.mktemp("extension"))
    assert build.error == ""
    return build


def test_the_installed_tree_is_that_of_the_sources(project_root: Path, extension: _Build) -> None:
    assert _differences(project_root / "RadioDosimetry", extension.installed) == []


def test_what_is_installed_finds_its_data_tables(extension: _Build) -> None:
    """The core of the installed tree alone, as PythonSlicer would import it."""
    check = (
        "import radiodosimetry, sys; from radiodosimetry.nuclides import Radionuclide; "
        "from radiodosimetry.media import named_material; from radiodosimetry.organ_dose import stylised_phantom; "
        "assert radiodosimetry.__file__.startswith(sys.argv[1]), radiodosimetry.__file__; "
        "assert Radionuclide('Lu-177').half_life_s > 5e5; assert named_material('water'); "
        "assert stylised_phantom('adult-male').regions"
    )
    folder = str(extension.installed / _MODULES_FOLDER)
    environment = {**os.environ, "PYTHONPATH": folder}
    command = [sys.executable, "-c", check, folder]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=extension.build)
    assert result.returncode == 0, result.stderr


def test_every_module_has_its_self_test_and_its_generic_test(project_root: Path, extension: _Build) -> None:
    ctest = Path(sys.executable).with_name("ctest")
    program = str(ctest) if ctest.exists() else shutil.which("ctest")
    if program is None:
        pytest.skip("ctest is not installed")
    command = [program, "--test-dir", str(extension.build), "--show-only=json-v1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = {test["name"] for test in json.loads(shown)["tests"]}
    modules = {file.stem for file in (project_root / "RadioDosimetry").glob("*.py")}
    assert {f"py_{module}" for module in modules} <= names
    assert {f"py_nomainwindow_qSlicer{module}ModuleGenericTest" for module in modules} <= names


def test_the_description_of_the_package_is_what_the_metadata_say(extension: _Build) -> None:
    description = json.loads((extension.build / "RadioDosimetry.json").read_text(encoding="utf-8"))
    assert description["depends"] == "PyTorch"
    assert "not a medical device" in description["description"]
    assert description["iconurl"].endswith("/Resources/RadioDosimetry.png")


_LISTS = """slicerMacroBuildScriptedModule(NAME Core SCRIPTS core/__init__.py RESOURCES core/py.typed)
slicerMacroBuildScriptedModule(NAME Panel SCRIPTS Panel.py RESOURCES Resources/UI/Panel.ui WITH_GENERIC_TESTS)
if(BUILD_TESTING)
  slicer_add_python_unittest(SCRIPT Panel.py)
endif()
"""


@pytest.fixture
def small_extension(project_root: Path, tmp_path: Path) -> Path:
    """A small extension in a folder of its own, with the top-level CMakeLists.txt of this one."""
    folder = tmp_path / "source"
    for file in ("core/__init__.py", "core/py.typed", "Panel.py", "Resources/UI/Panel.ui"):
        path = folder / "RadioDosimetry" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {file}\n", encoding="utf-8")
    (folder / "RadioDosimetry" / "CMakeLists.txt").write_text(_LISTS, encoding="utf-8")
    (folder / "Testing").mkdir()
    (folder / "Testing" / "CMakeLists.txt").write_text("", encoding="utf-8")
    for file in ("CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(project_root / file, folder / file)
    return folder


def test_the_small_extension_is_in_order(project_root: Path, small_extension: Path, tmp_path: Path) -> None:
    build = _build(project_root, small_extension, tmp_path)
    assert build.error == ""
    assert _differences(small_extension / "RadioDosimetry", build.installed) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("core/__init__.py", "core/gone.py", "nonexistent file 'core/gone.py'"),
        ("SCRIPTS Panel.py", "SCRIPTS Panel.py core/__init__.py", "'core/__init__.py' is listed twice"),
        ("core/__init__.py RESOURCES", "core/__init__.py", "nonexistent file 'core/py.typed.py'"),
        ("WITH_GENERIC_TESTS", "WITH_GENERIC_TEST", "nonexistent file 'WITH_GENERIC_TEST'"),
        ("NAME Panel SCRIPTS", "NAME Panel EXTRA SCRIPTS", "unknown keywords: EXTRA"),
        ("NAME Panel SCRIPTS", "SCRIPTS", "NAME is missing"),
        ("unittest(SCRIPT Panel.py)", "unittest(SCRIPT Panels.py)", "test of a nonexistent script 'Panels.py'"),
    ],
)
def test_the_contract_notices_a_mistake_in_the_lists(
    project_root: Path, small_extension: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    lists = small_extension / "RadioDosimetry" / "CMakeLists.txt"
    text = lists.read_text(encoding="utf-8")
    assert old in text
    lists.write_text(text.replace(old, new), encoding="utf-8")
    # CMake breaks its messages into lines.
    assert words in " ".join(_build(project_root, small_extension, tmp_path).error.split())


def test_the_contract_notices_a_file_that_is_not_packaged(
    project_root: Path, small_extension: Path, tmp_path: Path
) -> None:
    (small_extension / "RadioDosimetry" / "core" / "forgotten.csv").write_text("1\n", encoding="utf-8")
    build = _build(project_root, small_extension, tmp_path)
    assert _differences(small_extension / "RadioDosimetry", build.installed) == ["not installed: core/forgotten.csv"]


def test_the_contract_notices_a_change_on_the_way(project_root: Path, small_extension: Path, tmp_path: Path) -> None:
    build = _build(project_root, small_extension, tmp_path)
    (build.installed / _MODULES_FOLDER / "Panel.py").write_text("other\n", encoding="utf-8")
    assert _differences(small_extension / "RadioDosimetry", build.installed) == ["changed: Panel.py"]
