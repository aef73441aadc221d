"""What the CMake lists name and what lies in the tree are the same: an unlisted file is silently not packaged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# Stands in for the macro of Slicer, so that CMake itself reads our lists: prints every file with its call and keyword.
_LIST_READER = """
cmake_minimum_required(VERSION 3.28)
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES")
  foreach(keyword SCRIPTS RESOURCES)
    foreach(file IN LISTS MODULE_${keyword})
      message(NOTICE "${MODULE_NAME}:${keyword}:${file}")
    endforeach()
  endforeach()
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "unknown arguments: ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
endfunction()
include("${CMAKE_LISTS}")
"""

_METADATA = (
    "EXTENSION_HOMEPAGE",
    "EXTENSION_CONTRIBUTORS",
    "EXTENSION_DESCRIPTION",
    "EXTENSION_ICONURL",
    "EXTENSION_SCREENSHOTURLS",
    "EXTENSION_DEPENDS",
)

_MODULES = frozenset({"DelayedPETSynthesis", "TimeActivityFit", "VoxelDose"})

_PACKAGES = {"RadioDosimetryCore": "radiodosimetry", "RadioDosimetryLib": "RadioDosimetryLib"}
"""Name of a package's call to its folder; what lies in Resources and belongs to no module goes with the first."""

Lists = dict[str, dict[str, list[str]]]
"""Call to keyword (SCRIPTS, RESOURCES) to files."""


@pytest.fixture(scope="module")
def listed_files(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Lists:
    """Files of RadioDosimetry/CMakeLists.txt by call and keyword, as CMake reads them."""
    script = tmp_path_factory.mktemp("cmake") / "read_lists.cmake"
    script.write_text(_LIST_READER, encoding="utf-8")
    lists = project_root / "RadioDosimetry" / "CMakeLists.txt"
    command = [sys.executable, "-m", "cmake", f"-DCMAKE_LISTS={lists}", "-P", str(script)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: Lists = {}
    for call, keyword, file in re.findall(r"^(\w+):(SCRIPTS|RESOURCES):(.+)$", result.stderr, flags=re.MULTILINE):
        found.setdefault(call, {"SCRIPTS": [], "RESOURCES": []})[keyword].append(file)
    return found


def _packaged_files(extension_folder: Path) -> Lists:
    """What must be packaged, sorted: every file with its call, scripts apart from everything else."""
    found: Lists = {}
    files = [
        *extension_folder.glob("*.py"),
        *(file for folder in (*_PACKAGES.values(), "Resources") for file in (extension_folder / folder).rglob("*")),
    ]
    for file in sorted(files):
        if not file.is_file() or "__pycache__" in file.parts or file.name.startswith("."):
            continue
        call = _call_of(file.relative_to(extension_folder))
        keyword = "SCRIPTS" if file.suffix == ".py" else "RESOURCES"
        lists = found.setdefault(call, {"SCRIPTS": [], "RESOURCES": []})
        lists[keyword].append(file.relative_to(extension_folder).as_posix())
    return {call: {keyword: sorted(names) for keyword, names in lists.items()} for call, lists in found.items()}


def _call_of(file: Path) -> str:
    """The call that must list a file: its package's, or its module's (script, panel and icon carry its name)."""
    for call, folder in _PACKAGES.items():
        if file.parts[0] == folder:
            return call
    if file.stem in _MODULES and file.suffix in {".py", ".svg", ".ui"}:
        return file.stem
    return next(iter(_PACKAGES))


def _as_cmake(files: Lists) -> str:
    lines = []
    for call in _PACKAGES:
        lines += ["slicerMacroBuildScriptedModule(", f"  NAME {call}"]
        for keyword, names in files.get(call, {}).items():
            lines += [f"  {keyword}", *(f"    {name}" for name in names)] if names else []
        lines.append("  )")
    return "\n".join(lines)


def test_every_packaged_file_is_listed_once_and_every_listed_file_exists(
    project_root: Path, listed_files: Lists
) -> None:
    expected = _packaged_files(project_root / "RadioDosimetry")
    listed = {
        call: {keyword: sorted(names) for keyword, names in lists.items()} for call, lists in listed_files.items()
    }
    assert listed == expected, (
        "RadioDosimetry/CMakeLists.txt and the tree differ; the packages' blocks must read as follows "
        "(`python Testing/Core/test_contracts_cmake.py` prints them):\n" + _as_cmake(expected)
    )


def test_lists_are_sorted_so_that_a_change_is_one_line(listed_files: Lists) -> None:
    for call, lists in listed_files.items():
        for keyword, files in lists.items():
            assert files == sorted(files), (call, keyword)


def test_extension_metadata_stand_on_one_line_each_for_the_extensions_index(project_root: Path) -> None:
    text = (project_root / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in _METADATA:
        assert len(re.findall(rf'^set\({name} "[^"\n]+"\)$', text, flags=re.MULTILINE)) == 1, name


def test_no_helper_script_lies_beside_the_slicer_modules(project_root: Path) -> None:
    # Slicer loads every script directly in this folder as a module.
    scripts = {file.stem for file in (project_root / "RadioDosimetry").glob("*.py")}
    assert scripts <= _MODULES


if __name__ == "__main__":
    print(_as_cmake(_packaged_files(Path(__file__).resolve().parents[2] / "RadioDosimetry")))
