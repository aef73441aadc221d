"""The report: what it says, that everybody can read it, and that its numbers are those of the results."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from case_folders import change, copy_of, write_torso_case
from html_checks import Page, accessibility_problems, contrast

from radiodosimetry.report.document import (
    Column,
    Picture,
    Report,
    ReportSection,
    ReportTable,
    Text,
    number_text,
    render_html,
)
from radiodosimetry.report.figure_style import CATEGORY_COLOURS, line_colour_of
from radiodosimetry.report.figures import round_levels
from radiodosimetry.report.methods_text import REFERENCES, MethodsFacts, methods_paragraph
from radiodosimetry.workflows.case import CaseRun, run_case
from radiodosimetry.workflows.report_origins import compact_json


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> CaseRun:
    """A case that has run; only to be read."""
    return run_case(write_torso_case(tmp_path_factory.mktemp("reports") / "torso"))


@pytest.fixture(scope="module")
def html(done: CaseRun) -> str:
    return done.report.read_text(encoding="utf-8")


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_page_is_valid_and_readable_by_everybody(html: str) -> None:
    assert accessibility_problems(html) == []
    assert Page(html).language == "en"


def test_a_second_parser_finds_the_page_valid(html: str) -> None:
    html5lib = pytest.importorskip("html5lib")
    html5lib.HTMLParser(strict=True).parse(html)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ("</table>", "", "closes"),
        ('<html lang="en">', "<html>", "language"),
        ('alt="', 'title="', "alternative text None"),
        ('scope="col"', "", "lacks a caption, column headers or scopes"),
        ("<caption>", "<caption><h5></h5>", "jumps from"),
        ('<img src="data:', '<img src="https://example.org/data:', "fetches"),
        ("color: #444", "color: #aaa", "contrast of 2.3"),
    ],
)
def test_the_check_finds_what_is_wrong(html: str, before: str, after: str, problem: str) -> None:
    assert before in html
    assert any(problem in found for found in accessibility_problems(html.replace(before, after)))


def test_warnings_come_before_everything_else(html: str) -> None:
    headings = re.findall(r"<h2[^>]*>([^<]*)</h2>", html)
    assert headings[:3] == ["Read this first", "Patient and study", "Absorbed dose of regions"]
    assert "No recovery coefficients were given" in html
    said = "4 points cannot tell models apart; mono was taken because no uptake is seen."
    warnings = html[: html.index("Patient and study")]
    assert warnings.count(said) == 1
    assert "liver, spleen, tumour1, kidneys, remainder of body:" in warnings
    assert re.search(r"not scaled to the patient&#39;s masses .*: liver \d+ g in the CT, 1\d{3} g in the S", warnings)


def test_names_from_the_case_are_shown_as_they_are_written(html: str) -> None:
    assert "Torso &lt;never &amp; lived&gt;" in html
    assert "<never" not in html


def test_the_tables_hold_the_numbers_of_the_results(done: CaseRun) -> None:
    shown = {row["region"]: row for row in _rows(done.report.parent / "tables" / "region_doses.csv")}
    results = _rows(done.results / "dose" / "multiple-vsv" / "table.csv")
    assert set(shown) == {row["region"] for row in results}
    for row in results:
        for column in ("mean_gy", "d98_gy", "d2_gy", "mass_g"):
            assert float(shown[row["region"]][column]) == pytest.approx(float(row[column]), rel=1e-6)
    compared = _rows(done.report.parent / "tables" / "method_comparison.csv")
    for row in compared:
        expected = 100 * (float(row["local_gy"]) / float(row["multiple_vsv_gy"]) - 1)
        assert float(row["local_difference_percent"]) == pytest.approx(expected, abs=1e-4)


def test_the_budget_adds_up_and_the_calibration_is_in_it(done: CaseRun) -> None:
    for row in _rows(done.report.parent / "tables" / "uncertainty_budget.csv"):
        causes = ("volume", "recovery", "calibration", "fit", "model", "statistics")
        parts = [float(row[f"{cause}_percent"] or 0) for cause in causes]
        assert parts[2] == pytest.approx(5.0)
        total = float(row["total_percent"])
        assert total == pytest.approx(sum(part**2 for part in parts) ** 0.5, rel=1e-5)
        assert float(row["expanded_percent"]) == pytest.approx(2 * total, rel=1e-5)


def test_every_table_is_there_as_csv_and_json(done: CaseRun, html: str) -> None:
    values = json.loads((done.report.parent / "report.json").read_text(encoding="utf-8"))
    files = {path.stem for path in (done.report.parent / "tables").glob("*.csv")}
    assert files == {*values["tables"], "dvh"}
    for name, table in values["tables"].items():
        assert len(_rows(done.report.parent / "tables" / f"{name}.csv")) == len(table["rows"]), name
        assert table["caption"] in html, name


def test_inputs_are_named_with_their_hashes(done: CaseRun, html: str) -> None:
    rows = {row["role"]: row for row in _rows(done.report.parent / "tables" / "inputs.csv")}
    assert set(rows) == {"ct", "scan 1", "scan 2", "scan 3", "scan 4", "labels", "label names"}
    for row in rows.values():
        assert re.fullmatch("[0-9a-f]{64}", row["sha256"])
        assert row["sha256"] in html


def test_isodoses_and_shown_method_follow_the_case(done: CaseRun, tmp_path: Path) -> None:
    case = copy_of(done.results.parent, tmp_path / "torso")
    change(case, "[report]\n", "[report]\nisodoses_gy = [3.0, 7.0]\n")
    change(case, "[dose]\n", '[dose]\nshown = "local"\n')
    again = run_case(case)
    assert again.done == ("report",)
    text = again.report.read_text(encoding="utf-8")
    assert "isodoses of 3, 7 Gy" in text
    assert "Absorbed dose of regions by local" in text


def test_a_calibration_without_uncertainty_is_the_first_warning(done: CaseRun, tmp_path: Path) -> None:
    case = copy_of(done.results.parent, tmp_path / "torso")
    change(case, "calibration_std_percent = 5.0\n", "")
    text = run_case(case).report.read_text(encoding="utf-8")
    assert "No uncertainty of the calibration was stated" in text
    assert "&lt; 0.01" in text


def test_a_noisy_dose_map_that_is_shown_is_warned_of(done: CaseRun, tmp_path: Path) -> None:
    case = copy_of(done.results.parent, tmp_path / "torso")
    change(case, 'methods = ["local", "multiple-vsv"]', 'methods = ["monte-carlo"]\nhistories = 20000')
    text = run_case(case).report.read_text(encoding="utf-8")
    assert "histograms and isodoses are broadened by noise" in text
    assert "20\N{NO-BREAK SPACE}000 histories" in text


def test_a_learned_dose_is_shown_with_the_uncertainty_that_its_model_states(done: CaseRun, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="networks need PyTorch")
    pytest.importorskip("monai", reason="networks need MONAI")
    case = copy_of(done.results.parent, tmp_path / "torso")
    change(case, 'methods = ["local", "multiple-vsv"]', 'methods = ["dblurdosenet"]')
    text = run_case(case).report.read_text(encoding="utf-8")
    assert "Absorbed dose of regions by DblurDoseNet" in text
    assert "histograms and isodoses may be off by as much" in text
    assert "broadened by noise" not in text


def test_the_page_prints_in_a_browser_without_errors(done: CaseRun, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed")
    target = tmp_path / "report.pdf"
    words = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"]
    words += [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={target}", done.report.as_uri()]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={**os.environ})
    assert target.read_bytes().startswith(b"%PDF"), ran.stderr[-500:]
    assert target.stat().st_size > 50_000
    assert "CONSOLE" not in ran.stderr


# Parts


def test_a_report_without_anything_to_warn_of_says_so() -> None:
    table = ReportTable("one", "A table", (Column("a", "A"), Column("b_gy", "B", "Gy")), (("x", 1.5), ("y", None)))
    picture = Picture(b"<svg/>", "Below", "Four words of text", ".svg")
    section = ReportSection("Part", (table, picture, Text(("First", "second"), "list"), Text(("{}",), "record")))
    page = render_html(Report("Title", "Sub", "2026-01-05T10:00:00+00:00", (), (("Patient", "<b>"),), (section,)))
    assert "No step of the computation warns of anything." in page
    assert "&lt;b&gt;" in page
    assert accessibility_problems(page) == []


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (1250.7, 3, "1251"),
        (0.0123456, 3, "0.0123"),
        (9.996, 3, "10.0"),
        (-3.14159, 3, "\N{MINUS SIGN}3.14"),
        (0.0, 3, "0"),
        (7, 3, "7"),
        (1.5e9, 3, "1.50e+09"),
        (2.5e-7, 2, "2.5e-07"),
    ],
)
def test_numbers_have_the_digits_asked_for(value: float, digits: int, text: str) -> None:
    assert number_text(value, digits) == text


@pytest.mark.parametrize(
    ("top", "levels"),
    [(29.8, (2.0, 5.0, 10.0, 20.0)), (1.0, (0.05, 0.1, 0.2, 0.5)), (0.034, (0.002, 0.005, 0.01, 0.02))],
)
def test_isodoses_are_round_numbers_below_the_top(top: float, levels: tuple[float, ...]) -> None:
    assert round_levels(top) == levels


def test_compact_json_is_json_in_short_lines() -> None:
    value = {"a": list(range(60)), "b": {"c": [1, 2], "d": "é"}, "e": None, "f": [{"g": "x" * 50}, {"g": "y" * 50}]}
    text = compact_json(value)
    assert json.loads(text) == value
    assert max(map(len, text.splitlines())) < 80


def test_citations_are_numbered_in_their_order_and_listed_once() -> None:
    facts = MethodsFacts(
        "Lu-177", 159.5, [4, 24], "mono", ["mono", "hanscheid"], ["multiple-vsv", "monte-carlo"], "0.1",
        histories=10**6, phantom="adult-male", with_lesions=True, effective_dose=True, with_radiobiology=True,
    )  # fmt: skip
    text, references = methods_paragraph(facts)
    numbers = [int(number) for group in re.findall(r"\[([\d; ]+)\]", text) for number in group.split("; ")]
    assert list(dict.fromkeys(numbers)) == list(range(1, len(references) + 1))
    assert "@" not in text
    assert len(set(references)) == len(references)
    assert "1\N{NO-BREAK SPACE}000\N{NO-BREAK SPACE}000 histories" in text
    assert REFERENCES["hanscheid"] in references


def test_colours_of_lines_stand_out_on_white() -> None:
    for number in range(len(CATEGORY_COLOURS)):
        assert contrast(line_colour_of(number), "#ffffff") > 2.0, line_colour_of(number)
