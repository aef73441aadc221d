"""What the Extensions Index checks of an entry: names, metadata lines, icon, screenshots, licence and category."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

_REQUIRED = {"$schema", "category", "scm_url"}

_KEYS = _REQUIRED | {"build_dependencies", "build_subdirectory", "dicom_support_rule", "enabled", "scm_revision",
                     "scm_type", "tier"}  # fmt: skip
"""Keys of schema 1.0.2; others are refused."""

_CATEGORIES = {"Nuclear Medicine", "Quantification", "Radiotherapy"}
"""Those of the index's categories that an extension for dosimetry may be in."""

_METADATA = ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS")

_REPOSITORY = re.compile(r"https://github\.com/(?P<owner>[\w-]+)/(?P<name>Slicer[\w-]+)\.git")
"""Address of an extension's repository; its name must begin with Slicer."""


def _findings(root: Path) -> list[str]:
    """Everything that the checks of the index would refuse, a line each."""
    lists = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    metadata = {name: re.findall(rf'^set\(EXTENSION_{name} "([^"\n]+)"\)$', lists, re.MULTILINE) for name in _METADATA}
    found = [f"EXTENSION_{name} is not one literal line" for name, lines in metadata.items() if len(lines) != 1]
    if found:
        return found
    values = {name: lines[0] for name, lines in metadata.items()}
    entries = sorted((root / "Resources").glob("*.json"))
    if len(entries) != 1:
        return [f"{len(entries)} entries in Resources, expected one"]
    return [*_entry_findings(entries[0], lists, values), *_picture_findings(root, entries[0], values), *_licence(root)]


def _entry_findings(entry: Path, lists: str, values: dict[str, str]) -> list[str]:
    """The entry's own rules, and what it must share with CMakeLists.txt."""
    text = entry.read_bytes().decode("utf-8")
    content = json.loads(text)
    found = [f"entry lacks {key}" for key in sorted(_REQUIRED - content.keys())]
    found += [f"entry has the unknown key {key}" for key in sorted(content.keys() - _KEYS)]
    if "\r" in text or not text.endswith("}\n"):
        found.append("entry does not end its lines as it should")
    if content.get("category") not in _CATEGORIES:
        found.append(f"category {content.get('category')!r} is not one of the index")
    if content.get("tier") not in (None, 1, 3, 5):
        found.append("tier is none of 1, 3, 5")
    if entry.stem.startswith("Slicer"):
        found.append("the extension's name begins with Slicer")
    if re.findall(r"^project\((\w+)", lists, re.MULTILINE) != [entry.stem]:
        found.append("project() is not named as the entry")
    repository = _REPOSITORY.fullmatch(content.get("scm_url", ""))
    if repository is None:
        found.append("scm_url is no https address of a repository whose name begins with Slicer")
    elif values["HOMEPAGE"] != f"https://github.com/{repository['owner']}/{repository['name']}":
        found.append("EXTENSION_HOMEPAGE is not the entry's repository")
    depends = [] if values["DEPENDS"] == "NA" else values["DEPENDS"].split()
    if depends != content.get("build_dependencies", []):
        found.append("EXTENSION_DEPENDS and build_dependencies differ")
    if not 20 <= len(values["DESCRIPTION"]) <= 300:
        found.append("the description is not one or two sentences")
    return found


def _picture_findings(root: Path, entry: Path, values: dict[str, str]) -> list[str]:
    """Icon and screenshots: addresses of files of this repository that are what they say."""
    content = json.loads(entry.read_text(encoding="utf-8"))
    repository = _REPOSITORY.fullmatch(content.get("scm_url", ""))
    if repository is None:
        return []
    branch = content.get("scm_revision", "main")
    base = f"https://raw.githubusercontent.com/{repository['owner']}/{repository['name']}/{branch}/"
    shown = [] if values["SCREENSHOTURLS"] == "NA" else values["SCREENSHOTURLS"].split()
    found = [f"{url} is no address of this repository" for url in (values["ICONURL"], *shown) if base not in url]
    if found:
        return found
    pictures = [root / url.removeprefix(base) for url in (values["ICONURL"], *shown)]
    found = [f"{path.relative_to(root).as_posix()} is no PNG" for path in pictures if _png_size(path) is None]
    icon_size = _png_size(pictures[0])
    if icon_size is not None and icon_size != (128, 128):
        found.append(f"the icon has {icon_size[0]} × {icon_size[1]} pixels, expected 128 × 128")
    screenshots = set((root / "Resources" / "Screenshots").glob("*.png"))
    modules = {path for path in screenshots if (root / "RadioDosimetry" / f"{path.stem}.py").exists()}
    found += [f"the screenshot {path.name} of a module is not listed" for path in sorted(modules - set(pictures[1:]))]
    return found


def _licence(root: Path) -> list[str]:
    licence = root / "LICENSE"
    known = licence.is_file() and "Apache License" in licence.read_text(encoding="utf-8")
    named = "Apache" in (root / "README.md").read_text(encoding="utf-8")
    return [
        *([] if known else ["LICENSE is not the Apache License"]),
        *([] if named else ["README.md does not name the licence"]),
    ]


def _png_size(path: Path) -> tuple[int, int] | None:
    """Width and height of a PNG file [px]; None if it is none."""
    if not path.is_file():
        return None
    head = path.read_bytes()[:24]
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", head[16:24])
    return width, height


def test_the_entry_for_the_extensions_index_is_ready(project_root: Path) -> None:
    assert _findings(project_root) == []


def test_the_icon_as_svg_is_what_its_script_draws(project_root: Path) -> None:
    import runpy

    script = project_root / "Resources" / "Sources" / "draw_icon.py"
    drawn = runpy.run_path(str(script))["icon_svg"]()
    assert (project_root / "Resources" / "RadioDosimetry.svg").read_text(encoding="utf-8") == drawn


@pytest.fixture
def copy(project_root: Path, tmp_path: Path) -> Path:
    """What the checks read, in a folder of its own."""
    for file in ("CMakeLists.txt", "LICENSE", "README.md"):
        shutil.copy(project_root / file, tmp_path / file)
    resources = project_root / "Resources"
    (tmp_path / "Resources").mkdir()
    for path in (*resources.glob("*.json"), *resources.glob("*.png")):
        shutil.copy(path, tmp_path / "Resources" / path.name)
    if (resources / "Screenshots").is_dir():
        shutil.copytree(resources / "Screenshots", tmp_path / "Resources" / "Screenshots")
    (tmp_path / "RadioDosimetry").mkdir()
    (tmp_path / "RadioDosimetry" / "VoxelDose.py").write_text("", encoding="utf-8")
    return tmp_path


def _replace(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / file).read_text(encoding="utf-8")
        assert old in text
        (root / file).write_text(text.replace(old, new), encoding="utf-8")

    return change


def _add_unlisted_screenshot(root: Path) -> None:
    (root / "Resources" / "Screenshots").mkdir(exist_ok=True)
    shutil.copy(root / "Resources" / "RadioDosimetry.png", root / "Resources" / "Screenshots" / "VoxelDose.png")
    text = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    text = re.sub(r'^set\(EXTENSION_SCREENSHOTURLS ".*"\)$', 'set(EXTENSION_SCREENSHOTURLS "NA")', text, flags=re.M)
    (root / "CMakeLists.txt").write_text(text, encoding="utf-8")


_ENTRY = "Resources/RadioDosimetry.json"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_replace("CMakeLists.txt", 'set(EXTENSION_HOMEPAGE "', 'set(EXTENSION_HOMEPAGE\n  "'), "HOMEPAGE is not one"),
        (_replace("CMakeLists.txt", 'DEPENDS "PyTorch"', 'DEPENDS "NA"'), "build_dependencies differ"),
        (_replace("CMakeLists.txt", "project(RadioDosimetry", "project(Dosimetry"), "not named as the entry"),
        (_replace("CMakeLists.txt", "Resources/RadioDosimetry.png", "Resources/Icon.png"), "Icon.png is no PNG"),
        (_replace("CMakeLists.txt", "raw.githubusercontent.com", "example.org"), "no address of this repository"),
        (_replace(_ENTRY, '"Nuclear Medicine"', '"Dosimetry"'), "category 'Dosimetry'"),
        (_replace(_ENTRY, '"tier": 1', '"tier": 2'), "tier is none of"),
        (_replace(_ENTRY, '"tier"', '"level"'), "unknown key level"),
        (_replace(_ENTRY, '"scm_url"', '"scm_type"'), "entry lacks scm_url"),
        (_replace(_ENTRY, "/SlicerRadioDosimetry.git", "/RadioDosimetry.git"), "whose name begins with Slicer"),
        (_replace("LICENSE", "Apache License", "Licence"), "LICENSE is not"),
        (lambda root: (root / "Resources/RadioDosimetry.png").write_bytes(b"GIF89a"), "RadioDosimetry.png is no PNG"),
        (_add_unlisted_screenshot, "VoxelDose.png of a module is not listed"),
    ],
)
def test_the_contract_notices_a_break(copy: Path, change: Callable[[Path], None], words: str) -> None:
    assert _findings(copy) == []
    change(copy)
    assert any(words in finding for finding in _findings(copy)), _findings(copy)
