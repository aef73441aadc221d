"""What the CMake lists name and what lies in the tree are the same: an unlisted file is silently not packaged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# A stand-in for the macro of Slicer, so that CMake itself reads our lists: prints every file under its keyword.
_LIST_READER = """
cmake_minimum_required(VERSION 3.28)
function(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(PARSE_ARGV 0 MODULE "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES")
  foreach(keyword SCRIPTS RESOURCES)
    foreach(file IN LISTS MODULE_${keyword})
      message(NOTICE "${keyword}:${file}")
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


@pytest.fixture(scope="module")
def listed_files(project_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Files of RadioDosimetry/CMakeLists.txt by keyword, as CMake reads them."""
    script = tmp_path_factory.mktemp("cmake") / "read_lists.cmake"
    script.write_text(_LIST_READER, encoding="utf-8")
    lists = project_root / "RadioDosimetry" / "CMakeLists.txt"
    command = [sys.executable, "-m", "cmake", f"-DCMAKE_LISTS={lists}", "-P", str(script)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: dict[str, list[str]] = {"SCRIPTS": [], "RESOURCES": []}
    for keyword, file in re.findall(r"^(SCRIPTS|RESOURCES):(.+)$", result.stderr, flags=re.MULTILINE):
        found[keyword].append(file)
    return found


def _packaged_files(extension_folder: Path) -> dict[str, list[str]]:
    """What must be packaged, sorted: scripts apart from everything else."""
    files = [
        file.relative_to(extension_folder).as_posix()
        for folder in ("radiodosimetry", "Resources")
        for file in (extension_folder / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not file.name.startswith(".")
    ]
    scripts = sorted(file for file in files if file.endswith(".py"))
    return {"SCRIPTS": scripts, "RESOURCES": sorted(set(files) - set(scripts))}


def _as_cmake(files: dict[str, list[str]]) -> str:
    lines = ["slicerMacroBuildScriptedModule(", "  NAME RadioDosimetryCore"]
    for keyword, names in files.items():
        lines += [f"  {keyword}", *(f"    {name}" for name in names)]
    return "\n".join([*lines, "  )"])


def test_every_packaged_file_is_listed_once_and_every_listed_file_exists(
    project_root: Path, listed_files: dict[str, list[str]]
) -> None:
    expected = _packaged_files(project_root / "RadioDosimetry")
    assert {keyword: sorted(files) for keyword, files in listed_files.items()} == expected, (
        "RadioDosimetry/CMakeLists.txt and the tree differ; the core's block must read as follows "
        "(`python Testing/Core/test_contracts_cmake.py` prints it):\n" + _as_cmake(expected)
    )


def test_lists_are_sorted_so_that_a_change_is_one_line(listed_files: dict[str, list[str]]) -> None:
    for keyword, files in listed_files.items():
        assert files == sorted(files), keyword


def test_extension_metadata_stand_on_one_line_each_for_the_extensions_index(project_root: Path) -> None:
    text = (project_root / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in _METADATA:
        assert len(re.findall(rf'^set\({name} "[^"\n]+"\)$', text, flags=re.MULTILINE)) == 1, name


def test_no_helper_script_lies_beside_the_slicer_modules(project_root: Path) -> None:
    # Slicer loads every script directly in this folder as a module.
    allowed = {"DelayedPETSynthesis", "TimeActivityFit", "VoxelDose"}
    scripts = {file.stem for file in (project_root / "RadioDosimetry").glob("*.py")}
    assert scripts <= allowed


if __name__ == "__main__":
    print(_as_cmake(_packaged_files(Path(__file__).resolve().parents[2] / "RadioDosimetry")))
