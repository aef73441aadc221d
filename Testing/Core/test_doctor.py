"""The doctor: what it looks at, and that it notices what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from radiodosimetry.cli import main
from radiodosimetry.workflows import doctor
from radiodosimetry.workflows.doctor import Examination, Finding, examine


@pytest.fixture(scope="module")
def found() -> Examination:
    return examine()


def test_a_sound_installation_is_healthy_and_computes_what_is_known(found: Examination) -> None:
    assert found.healthy, found.text()
    groups = {finding.group for finding in found.findings}
    assert groups == {"system", "packages", "devices", "data sets", "models", "checks"}
    checks = [finding for finding in found.findings if finding.group == "checks"]
    assert len(checks) == 4
    assert all(check.ok for check in checks)


def test_every_table_with_a_source_is_looked_at(found: Examination, package_folder: Path) -> None:
    seen = {finding.name for finding in found.findings if finding.group == "data sets"}
    sources = package_folder.glob("*/data/*/SOURCE.toml")
    assert seen == {"decay data", *(f"{path.parts[-4]}/{path.parent.name}" for path in sources)}


def test_a_changed_table_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_sha256", lambda path: "0" * 64)
    found = examine(self_test=False)
    assert not found.healthy
    assert "changed or missing: reinstall" in found.text()


def test_a_missing_package_is_wrong_and_an_optional_one_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "RUNTIME_PACKAGES", ("numpy", "no-such-package"))
    monkeypatch.setattr(doctor, "OPTIONAL_PACKAGES", {"no-such-option": "dreams"})
    found = {finding.name: finding for finding in examine(self_test=False).findings}
    assert found["numpy"].ok is True
    assert found["no-such-package"].ok is False
    assert found["no-such-option"].ok is None


def test_a_check_that_fails_or_breaks_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> tuple[str, bool]:
        raise RuntimeError("on fire")

    monkeypatch.setattr(doctor, "_CHECKS", {"one": lambda: ("2 is not 3", False), "two": broken})
    text = examine().text()
    assert "WRONG   one" in text
    assert "RuntimeError: on fire" in text
    assert "Something is wrong" in text


def test_a_known_answer_that_changes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LU177_HALF_LIFE_S", 574300.8 * 1.001)
    checks = {finding.name: finding for finding in examine().findings if finding.group == "checks"}
    assert checks["decay data"].ok is False
    assert checks["curve fit"].ok is True


def test_a_damaged_model_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"nonsense")
    found = examine(self_test=False, models=[tmp_path])
    model = next(finding for finding in found.findings if finding.name == "bad.safetensors")
    assert model.ok is False


def test_the_command_prints_text_and_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["doctor", "--no-self-test"]) == 0
    assert "All is well." in capsys.readouterr().out
    assert main(["doctor", "--no-self-test", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["healthy"] is True
    assert {"name", "found", "ok"} == set(values["packages"][0])
    monkeypatch.setattr(doctor, "_packages", lambda: [Finding("packages", "numpy", "missing", False)])
    assert main(["doctor", "--no-self-test"]) == 1
