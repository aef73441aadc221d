"""Every data table of the package says where it comes from and is the file its generator wrote."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "RadioDosimetry" / "radiodosimetry"
PROJECT_ROOT = PACKAGE.parents[1]
REQUIRED = ("title", "doi", "table", "licence", "sha256", "generator")
TOTAL_LIMIT_BYTES = 4_000_000


def data_files() -> list[Path]:
    """All tables: what lies under a `data` folder of the package, SOURCE.toml aside."""
    found = [
        path for folder in PACKAGE.rglob("data") if folder.is_dir() for path in folder.rglob("*") if path.is_file()
    ]
    return sorted({path for path in found if path.name != "SOURCE.toml" and path.suffix not in (".py", ".pyc")})


def source_of(table: Path) -> dict[str, Any]:
    """The entry of SOURCE.toml beside `table` that names it: the whole file, or one of its [[table]] entries."""
    text = (table.parent / "SOURCE.toml").read_text(encoding="utf-8")
    source = tomllib.loads(text)
    entries = source.get("table") if isinstance(source.get("table"), list) else [source]
    mine = [entry for entry in entries if entry.get("file") == table.name]
    assert len(mine) == 1, f"{table.parent}/SOURCE.toml must name {table.name} once"
    return mine[0]


def test_there_are_tables_to_walk() -> None:
    assert len(data_files()) >= 7


@pytest.mark.parametrize("table", data_files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_table_names_its_source(table: Path) -> None:
    source = source_of(table)
    for key in REQUIRED:
        assert str(source.get(key, "")).strip(), f"SOURCE.toml beside {table.name} lacks '{key}'"


@pytest.mark.parametrize("table", data_files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_table_is_the_file_its_source_describes(table: Path) -> None:
    assert hashlib.sha256(table.read_bytes()).hexdigest() == source_of(table)["sha256"]


@pytest.mark.parametrize("table", [path for path in data_files() if path.suffix == ".csv"], ids=lambda path: path.name)
def test_every_csv_begins_with_a_sentence(table: Path) -> None:
    first = table.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first.split()) > 5


@pytest.mark.parametrize("table", data_files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_generators_named_by_a_source_exist(table: Path) -> None:
    generator = source_of(table)["generator"]
    if generator.endswith(".py"):
        assert (PROJECT_ROOT / generator).is_file()


def test_tables_stay_small() -> None:
    assert sum(path.stat().st_size for path in data_files()) < TOTAL_LIMIT_BYTES
