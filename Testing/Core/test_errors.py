"""Advice in error texts: what is not installed is named with a command that finds this package where it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radiodosimetry import errors
from radiodosimetry.errors import extra_advice


def test_an_extra_is_installed_from_the_repository_the_package_runs_from(project_root: Path) -> None:
    assert extra_advice("cluster") == f"install the extra 'cluster': pip install '{project_root}[cluster]'"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A package far from its repository; what pip noted of where it came from."""
    noted: dict[str, str] = {}

    class Distribution:
        def read_text(self, name: str) -> str | None:
            return noted.get(name)

    monkeypatch.setattr(errors, "__file__", str(tmp_path / "site-packages" / "radiodosimetry" / "errors.py"))
    monkeypatch.setattr(errors, "distribution", lambda name: Distribution())
    return noted


def test_an_installed_package_names_the_copy_it_was_installed_from(installed: dict[str, str], tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    copy.mkdir()
    installed["direct_url.json"] = json.dumps({"url": copy.as_uri(), "dir_info": {}})
    assert f"{copy}" not in extra_advice("learning")  # the copy has gone
    (copy / "pyproject.toml").write_text("", encoding="utf-8")
    assert extra_advice("learning").endswith(f"pip install '{copy}[learning]'")


@pytest.mark.parametrize("noted", [None, "{", '{"url": "https://example.org/radiodosimetry.whl"}'])
def test_where_nothing_is_known_the_repository_is_named_in_words(installed: dict[str, str], noted: str | None) -> None:
    if noted is not None:
        installed["direct_url.json"] = noted
    advice = extra_advice("simulation")
    assert advice.endswith("in a copy of the repository of RadioDosimetry, pip install '.[simulation]'")


def test_no_error_text_names_an_index_that_does_not_have_the_package(package_folder: Path) -> None:
    for path in package_folder.rglob("*.py"):
        assert "radiodosimetry[" not in path.read_text(encoding="utf-8").replace("{", ""), path
