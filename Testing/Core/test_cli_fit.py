"""`radiodosimetry fit`: the file of the interface, figures, residence times, and what it refuses."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import FileFormatError, InputError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.residence_times import read_residence_times
from radiodosimetry.report.figure_style import figure_paths
from radiodosimetry.time_activity.curve_tables import read_curves
from radiodosimetry.time_activity.fit_files import fits_json, read_fits
from radiodosimetry.workflows.fits import fit_curves

TIMES_H = (4.0, 24.0, 72.0, 120.0, 168.0)


def write_curves(path, rows, header="region,time_h,activity_mbq"):
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def curves(tmp_path):
    rows = [f"liver,{time},{300 * math.exp(-0.01 * time):.8f}" for time in TIMES_H]
    rows += [f"left kidney/1,{time},{100 * math.exp(-0.015 * time):.8f}" for time in TIMES_H]
    return write_curves(tmp_path / "curves.csv", rows)


def run(curves, tmp_path, *words, nuclide="Lu-177"):
    return main(["fit", str(curves), "--nuclide", nuclide, "--output", str(tmp_path / "fits.json"), *words])


def stored(tmp_path):
    return json.loads((tmp_path / "fits.json").read_text())


def rounded(value):
    """All numbers in it to ten digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def left_behind(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_the_file_has_what_the_interface_says(curves, tmp_path, capsys):
    assert run(curves, tmp_path, "--administered-mbq", "7400", "--model", "mono") == 0
    values = stored(tmp_path)
    liver = values["regions"]["liver"]
    assert list(values["regions"]) == ["liver", "left kidney/1"]
    assert liver["model"] == "mono"
    assert liver["parameters"]["a_mbq"]["value"] == pytest.approx(300, rel=1e-7)
    assert liver["parameters"]["lambda1_per_h"]["value"] == pytest.approx(0.01, rel=1e-7)
    assert set(liver["parameters"]["a_mbq"]) == {"value", "std"}
    assert liver["tia_mbq_h"] == pytest.approx(30000, rel=1e-6)
    assert liver["residence_time_h"] == pytest.approx(30000 / 7400, rel=1e-6)
    assert liver["effective_half_life_h"] == pytest.approx(math.log(2) / 0.01, rel=1e-6)
    assert {"aicc_weights", "tia_std_mbq_h", "warnings"} <= set(liver)
    assert values["administered_mbq"] == 7400
    assert {"version", "parameters", "inputs", "datasets"} <= set(values)
    assert len(values["inputs"]["curves"]["sha256"]) == 64
    out = capsys.readouterr().out
    assert "liver" in out
    assert "TIA [MBq h]" in out


def test_without_administered_activity_there_is_no_residence_time(curves, tmp_path):
    assert run(curves, tmp_path) == 0
    assert stored(tmp_path)["regions"]["liver"]["residence_time_h"] is None


def test_auto_lets_the_data_choose(curves, tmp_path):
    assert run(curves, tmp_path) == 0
    weights = stored(tmp_path)["regions"]["liver"]["aicc_weights"]
    assert weights["mono"] > 0.9
    assert sum(weights.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "model", ["auto", "mono", "uptake-clearance", "gamma-uptake", "trapezoid", "hanscheid", "madsen", "physical"]
)
def test_what_was_written_is_read_back(curves, tmp_path, model):
    words = ["--effective-half-life-h", "60"] if model in ("madsen", "hanscheid") else []
    assert run(curves, tmp_path, "--model", model, "--administered-mbq", "7400", *words) == 0
    back = read_fits(tmp_path / "fits.json")
    half_life_s = 60 * 3600 if words else None
    made = fit_curves(read_curves(curves), "Lu-177", model, half_life_s, administered_bq=7400e6)
    assert list(back) == list(made)
    for region, fit in made.items():
        read = back[region]
        assert (read.model, read.warnings, read.quality) == (fit.model, fit.warnings, fit.quality)
        assert read.tia_bq_s == pytest.approx(fit.tia_bq_s, rel=1e-12)
        assert rounded(read.tia_std_bq_s) == rounded(fit.tia_std_bq_s)
        times_s = np.array([0.0, 1.0, 30.0, 120.0, 500.0]) * 3600
        np.testing.assert_allclose(read.value(times_s), fit.value(times_s), rtol=1e-12, atol=1e-6)
        for name, parameter in fit.parameters.items():
            assert read.parameters[name].value == pytest.approx(parameter.value, rel=1e-12)
            assert read.parameters[name].unit == parameter.unit
    assert back.administered_bq == pytest.approx(7400e6)
    assert rounded(json.loads(fits_json(back))["regions"]) == rounded(stored(tmp_path)["regions"])


def test_a_file_by_hand_needs_model_and_parameters_only(tmp_path):
    path = tmp_path / "by_hand.json"
    path.write_text(
        json.dumps(
            {
                "regions": {
                    "liver": {
                        "model": "bi",
                        "parameters": {
                            "a1_mbq": 50,
                            "a2_mbq": {"value": 20},
                            "lambda1_per_h": 0.01,
                            "lambda2_per_h": {"value": 0.2, "std": None},
                        },
                    }
                }
            }
        )
    )
    fit = read_fits(path)["liver"]
    assert fit.tia_bq_s / 3.6e9 == pytest.approx(50 / 0.01 + 20 / 0.2)
    assert fit.value(3600.0) / 1e6 == pytest.approx(50 * math.exp(-0.01) + 20 * math.exp(-0.2))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "must hold a JSON object"),
        ("{", "cannot be read"),
        ("{}", "holds no regions"),
        ('{"regions": {"liver": {"parameters": {}}}}', "Region 'liver' .*'model' is missing"),
        ('{"regions": {"liver": {"model": "trapezoid"}}}', "Region 'liver' .* needs its curve"),
        ('{"regions": {"liver": {"model": "mono", "parameters": {"a_mbq": "x"}}}}', "found 'x', expected"),
        ('{"regions": {"liver": {"model": "mono", "curve": {"kind": "spline"}}}}', "kind 'spline' is unknown"),
        ('{"regions": {"l": {"model": "mono", "parameters": {"a_mbq": 1, "lambda1_per_h": -1}}}}', "above zero"),
    ],
)
def test_a_file_that_is_no_fit_is_refused_in_words(tmp_path, text, message):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_fits(path)


def test_figures_are_one_png_per_region(curves, tmp_path):
    assert run(curves, tmp_path, "--figures", str(tmp_path / "figures")) == 0
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["left_kidney_1.png", "liver.png"]
    for name in names:
        assert (tmp_path / "figures" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_names_of_figures_do_not_fall_together(tmp_path):
    names = [path.name for path in figure_paths(["a b", "a/b", "A_b", "..", "Lésion"], tmp_path)]
    assert names == ["a_b.png", "a_b-2.png", "A_b-3.png", "region.png", "Lésion.png"]


def test_residence_times_are_what_organ_dose_reads(curves, tmp_path):
    table = tmp_path / "rt.csv"
    assert run(curves, tmp_path, "--administered-mbq", "7400", "--residence-times", str(table)) == 0
    with table.open() as stream:
        assert next(csv.reader(stream)) == ["region", "residence_time_h", "std"]
    times = read_residence_times(table)
    assert times["liver"].value_s / 3600 == pytest.approx(30000 / 7400, rel=1e-6)
    assert json.loads((tmp_path / "rt.csv.json").read_text())["quantity"] == "residence time"


def test_more_than_was_administered_is_warned_of_with_the_number(curves, tmp_path):
    assert run(curves, tmp_path, "--administered-mbq", "100") == 0
    warnings = stored(tmp_path)["regions"]["liver"]["warnings"]
    assert any("288.2 % of the administered activity at 4 h" in warning for warning in warnings)
    assert any("more decays than were administered" in warning for warning in warnings)


def test_what_the_record_beside_the_curves_says_all_points_share_is_not_averaged_away(tmp_path):
    rows = [f"liver,{time},{300 * math.exp(-0.01 * time)},{15 * math.exp(-0.01 * time)}" for time in TIMES_H]
    curves = write_curves(tmp_path / "c.csv", rows, "region,time_h,activity_mbq,std_mbq")
    assert run(curves, tmp_path, "--model", "mono") == 0
    own = stored(tmp_path)["regions"]["liver"]["tia_std_mbq_h"]
    parts = {"regions": {"liver": {"relative_std": {"calibration": [0.05] * 5}}}}
    (tmp_path / "c.csv.json").write_text(json.dumps({"parameters": parts}))
    assert run(curves, tmp_path, "--model", "mono") == 0
    common = stored(tmp_path)["regions"]["liver"]["tia_std_mbq_h"]
    assert common / 30000 == pytest.approx(0.05, rel=1e-6)
    assert own < 0.8 * common
    (tmp_path / "c.csv.json").write_text('{"parameters": {"regions": {"liver": {"relative_std": {"x": [1]}}}}}')
    assert run(curves, tmp_path) == 2


def test_curves_of_another_nuclide_are_refused(tmp_path, capsys):
    curves = write_curves(tmp_path / "curves.csv", [f"liver,{time},{300 * math.exp(-0.01 * time)}" for time in TIMES_H])
    (tmp_path / "curves.csv.json").write_text('{"parameters": {"nuclide": "I-131", "regions": {}}}')
    assert run(curves, tmp_path, "--model", "mono") == 2
    assert "the curves are of I-131, asked for is Lu-177" in capsys.readouterr().err
    assert left_behind(tmp_path) == ["curves.csv", "curves.csv.json"]
    assert run(curves, tmp_path, "--model", "mono", nuclide="I-131") == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["liver,24,10", "liver,4,20"], "out of order"),
        (["liver,4,10", "liver,4,20"], "twice"),
        (["liver,-1,10", "liver,4,20"], "before the administration"),
        (["liver,1,10"], "1 time point"),
        (["liver,1,-10", "liver,4,20"], "below zero"),
        (["liver,1,0", "liver,4,0"], "zero at every time"),
        (["liver,1,x", "liver,4,1"], "x"),
        ([], "no line"),
    ],
)
def test_bad_curves_are_refused_in_one_line_and_nothing_is_written(tmp_path, capsys, rows, message):
    curves = write_curves(tmp_path / "curves.csv", rows)
    assert run(curves, tmp_path) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert left_behind(tmp_path) == ["curves.csv"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--administered-mbq", "0"], "expected a number above zero"),
        (["--effective-half-life-h", "-3"], "expected a number above zero"),
        (["--model", "quad"], "invalid choice"),
        (["--model", "madsen"], "needs --effective-half-life-h"),
        (["--model", "tri"], "tri has 6 parameters"),
        (["--model", "mono", "--tail", "physical"], "--tail belongs to --model trapezoid"),
        (["--residence-times", "rt.csv"], "needs --administered-mbq"),
        (["--figures", "CURVES"], "is a file"),
        (["--model", "madsen", "--effective-half-life-h", "500"], "longer than the physical"),
    ],
)
def test_wrong_options_are_refused_in_one_line(curves, tmp_path, capsys, words, message):
    assert run(curves, tmp_path, *[str(curves) if word == "CURVES" else word for word in words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert left_behind(tmp_path) == ["curves.csv"]


def test_an_unknown_nuclide_is_refused(curves, tmp_path, capsys):
    assert run(curves, tmp_path, nuclide="Lu-999") == 2
    assert "Lu-999" in capsys.readouterr().err


def test_the_curves_are_not_overwritten(curves, tmp_path, capsys):
    words = ["--administered-mbq", "1", "--residence-times", str(curves)]
    assert run(curves, tmp_path, *words) == 2
    assert "would be overwritten" in capsys.readouterr().err


def test_the_output_is_json(curves, tmp_path, capsys):
    assert main(["fit", str(curves), "--nuclide", "Lu-177", "--output", str(tmp_path / "fits.txt")]) == 2
    assert "must end in .json" in capsys.readouterr().err


def test_an_error_names_its_region(tmp_path, capsys):
    curves = write_curves(tmp_path / "curves.csv", ["spleen,0,10"])
    assert run(curves, tmp_path, "--model", "hanscheid") == 2
    assert "spleen" in capsys.readouterr().err


def test_the_workflow_takes_names_and_refuses_no_curves():
    with pytest.raises(InputError, match="no curve to fit"):
        fit_curves([], "Lu-177")
    assert Radionuclide("Lu-177").name == "Lu-177"
