"""`radiodosimetry organ-dose`: tables, records, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from radiodosimetry.cli import main
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose import s_values as s_values_module
from radiodosimetry.organ_dose.organ_names import STYLISED_TARGETS
from radiodosimetry.organ_dose.s_values import phantom_s_values
from stylised_safs import closed_form_safs

LIVER_H, KIDNEYS_H = 0.5, 0.25


@pytest.fixture(autouse=True)
def closed_forms(monkeypatch):
    """Closed forms in the place of the stored SAFs."""
    monkeypatch.setattr(s_values_module, "load_photon_safs", closed_form_safs)


@pytest.fixture
def times(tmp_path) -> Path:
    path = tmp_path / "rt.csv"
    path.write_text(f"region,residence_time_h,std\nliver,{LIVER_H},0.05\nkidneys,{KIDNEYS_H},0\n")
    return path


def run(times: Path, tmp_path: Path, *words: str, nuclide: str = "Cu-64") -> int:
    phantom = [] if "--s-values" in words or "--phantom" in words else ["--phantom", "adult-male"]
    inputs = ["--residence-times", str(times), "--nuclide", nuclide, *phantom]
    return main(["organ-dose", *inputs, "--output", str(tmp_path / "organ_dose.csv"), *words])


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open() as stream:
        return {row["target"]: row for row in csv.DictReader(stream)}


def left_behind(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir() if "organ_dose" in path.name)


def test_a_dose_table_has_the_columns_promised_and_the_doses_of_the_sum(times, tmp_path) -> None:
    assert run(times, tmp_path, "--administered-mbq", "200") == 0
    path = tmp_path / "organ_dose.csv"
    header = "target,absorbed_dose_mgy_per_mbq,std,largest_source,absorbed_dose_gy"
    assert path.read_text().splitlines()[0] == header
    rows = rows_of(path)
    assert tuple(rows) == STYLISED_TARGETS
    table = phantom_s_values("Cu-64", "adult-male")
    for target, row in rows.items():
        seconds = {"liver": LIVER_H * 3600, "kidneys": KIDNEYS_H * 3600}
        expected = 1e9 * sum(table.value(target, source) * seconds[source] for source in seconds)
        assert float(row["absorbed_dose_mgy_per_mbq"]) == pytest.approx(expected, rel=1e-6)
        assert float(row["absorbed_dose_gy"]) == pytest.approx(expected * 0.2, rel=1e-6)
        assert float(row["std"]) > 0.0
    assert rows["liver"]["largest_source"] == "liver"
    assert rows["kidneys"]["largest_source"] == "kidneys"
    assert float(rows["liver"]["std"]) == pytest.approx(
        0.1 * float(rows["liver"]["absorbed_dose_mgy_per_mbq"]), rel=0.1
    )


def test_without_administered_activity_the_doses_in_gray_are_empty(times, tmp_path) -> None:
    assert run(times, tmp_path) == 0
    assert {row["absorbed_dose_gy"] for row in rows_of(tmp_path / "organ_dose.csv").values()} == {""}


def test_the_record_lies_beside_the_table(times, tmp_path) -> None:
    assert run(times, tmp_path, "--administered-mbq", "200") == 0
    record = json.loads((tmp_path / "organ_dose.csv.json").read_text())
    assert record["operation"] == "organ absorbed doses by the MIRD sum"
    assert record["parameters"]["nuclide"] == "Cu-64"
    assert record["parameters"]["administered_bq"] == 2e8
    assert record["parameters"]["residence_times_s"] == {"liver": 1800.0, "kidneys": 900.0}
    assert record["inputs"]["residence_times"]["path"] == "rt.csv"
    assert record["effective_dose"]["value_msv_per_mbq"] > 0
    assert any("salivary glands absent" in text for text in record["effective_dose"]["surrogates"])
    assert "ICRP-107" in record["dataset"]


def test_the_table_and_effective_dose_are_printed(times, tmp_path, capsys) -> None:
    assert run(times, tmp_path) == 0
    printed = capsys.readouterr().out
    assert "urinary_bladder_wall" in printed
    assert "effective dose (ICRP 103):" in printed
    assert "thymus for oesophagus" in printed


def test_effective_dose_of_a_therapy_is_printed_with_its_flag(times, tmp_path, capsys) -> None:
    assert run(times, tmp_path, nuclide="Lu-177") == 0
    assert "! Lu-177 is given for therapy: effective dose is meaningless there" in capsys.readouterr().out


def test_contributions_add_up_to_the_dose(times, tmp_path) -> None:
    assert run(times, tmp_path, "--contributions", str(tmp_path / "parts.csv")) == 0
    with (tmp_path / "parts.csv").open() as stream:
        parts = [row for row in csv.DictReader(stream) if row["target"] == "spleen"]
    assert [row["source"] for row in parts] == ["liver", "kidneys"]
    whole = float(rows_of(tmp_path / "organ_dose.csv")["spleen"]["absorbed_dose_mgy_per_mbq"])
    assert sum(float(row["absorbed_dose_mgy_per_mbq"]) for row in parts) == pytest.approx(whole, rel=1e-6)
    assert sum(float(row["share"]) for row in parts) == pytest.approx(1.0, abs=1e-5)
    assert (tmp_path / "parts.csv.json").exists()


def test_organ_masses_scale_the_dose(times, tmp_path) -> None:
    masses = tmp_path / "m.csv"
    masses.write_text("organ,mass_g\nliver,955\n")
    assert run(times, tmp_path) == 0
    before = float(rows_of(tmp_path / "organ_dose.csv")["liver"]["absorbed_dose_mgy_per_mbq"])
    assert run(times, tmp_path, "--organ-masses", str(masses)) == 0
    after = float(rows_of(tmp_path / "organ_dose.csv")["liver"]["absorbed_dose_mgy_per_mbq"])
    assert 1.8 * before < after < 2.0 * before


def test_s_values_of_a_file_give_the_same_as_the_phantom(times, tmp_path) -> None:
    from radiodosimetry.organ_dose.s_value_table import s_values_csv

    table = tmp_path / "s.csv"
    table.write_text(s_values_csv(phantom_s_values("Cu-64", "adult-male")))
    assert run(times, tmp_path) == 0
    ours = rows_of(tmp_path / "organ_dose.csv")
    assert run(times, tmp_path, "--s-values", str(table)) == 0
    theirs = rows_of(tmp_path / "organ_dose.csv")
    for target, row in ours.items():
        expected = pytest.approx(float(row["absorbed_dose_mgy_per_mbq"]), rel=1e-5)
        assert float(theirs[target]["absorbed_dose_mgy_per_mbq"]) == expected
    record = json.loads((tmp_path / "organ_dose.csv.json").read_text())
    assert record["inputs"]["s_values"]["path"] == "s.csv"
    assert record["effective_dose"] is None


def test_s_values_without_the_targets_of_an_adult_give_no_effective_dose(times, tmp_path) -> None:
    table = tmp_path / "s.csv"
    table.write_text("target,source,s_mgy_per_mbq_s,std\nliver,liver,1e-5,0\nliver,kidneys,1e-7,0\n")
    assert run(times, tmp_path, "--s-values", str(table), "--phantom", "adult-male") == 0
    record = json.loads((tmp_path / "organ_dose.csv.json").read_text())
    assert record["effective_dose"] is None
    assert any(warning.startswith("No effective dose with these S-values") for warning in record["warnings"])


def test_a_weight_of_alpha_particles_adds_a_column(times, tmp_path) -> None:
    assert run(times, tmp_path, "--alpha-weight", "5", nuclide="Ac-225") == 0
    row = rows_of(tmp_path / "organ_dose.csv")["liver"]
    emitted = Radionuclide("Ac-225").emissions()
    alphas = emitted.alphas.energy_per_decay_kev + emitted.alpha_recoils.energy_per_decay_kev
    whole = alphas + sum(emitted.energy_per_decay_kev[kind] for kind in ("electrons",))
    ratio = float(row["alpha_weighted_dose_mgy_per_mbq"]) / float(row["absorbed_dose_mgy_per_mbq"])
    assert ratio == pytest.approx((5 * alphas + whole - alphas) / whole, rel=5e-3)
    assert json.loads((tmp_path / "organ_dose.csv.json").read_text())["alpha_weight"] == 5.0


def test_daughters_that_leave_take_their_dose_along(times, tmp_path) -> None:
    fates = tmp_path / "fates.csv"
    fates.write_text("daughter,source,fraction,destination\nFr-221,liver,1,kidneys\n")
    assert run(times, tmp_path, nuclide="Ac-225") == 0
    before = rows_of(tmp_path / "organ_dose.csv")
    assert run(times, tmp_path, "--fates", str(fates), nuclide="Ac-225") == 0
    after = rows_of(tmp_path / "organ_dose.csv")
    liver, kidneys = (
        [float(rows[organ]["absorbed_dose_mgy_per_mbq"]) for rows in (before, after)] for organ in ("liver", "kidneys")
    )
    own = Radionuclide("Ac-225").emissions(include_progeny=False)
    whole = Radionuclide("Ac-225").emissions()
    kept = [e.alphas.energy_per_decay_kev + e.alpha_recoils.energy_per_decay_kev for e in (own, whole)]
    assert liver[1] / liver[0] == pytest.approx(kept[0] / kept[1], rel=0.03)
    assert kidneys[1] / kidneys[0] == pytest.approx(1 + LIVER_H / KIDNEYS_H * (1 - kept[0] / kept[1]), rel=0.03)
    record = json.loads((tmp_path / "organ_dose.csv.json").read_text())
    assert record["inputs"]["fates"]["path"] == "fates.csv"


def test_fates_beside_s_values_of_a_file_are_refused(times, tmp_path, capsys) -> None:
    fates, table = tmp_path / "fates.csv", tmp_path / "s.csv"
    fates.write_text("daughter,source,fraction,destination\nFr-221,liver,1,kidneys\n")
    table.write_text("target,source,s_mgy_per_mbq_s,std\nliver,liver,1e-5,0\nliver,kidneys,1e-7,0\n")
    assert run(times, tmp_path, "--fates", str(fates), "--s-values", str(table), nuclide="Ac-225") == 2
    assert "compute those with the fates" in capsys.readouterr().err


def test_radiobiology_adds_bed(times, tmp_path) -> None:
    table = tmp_path / "bio.csv"
    table.write_text("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nkidneys,2.5,2.8,51.6\n")
    assert run(times, tmp_path, "--radiobiology", str(table), "--administered-mbq", "7400", nuclide="Lu-177") == 0
    rows = rows_of(tmp_path / "organ_dose.csv")
    dose = float(rows["kidneys"]["absorbed_dose_gy"])
    expected = dose * (1 + dose * 2.8 / ((2.8 + 51.6) * 2.5))
    assert float(rows["kidneys"]["bed_gy"]) == pytest.approx(expected, rel=1e-5)
    assert rows["liver"]["bed_gy"] == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("region,residence_time_h,std\nkidney,1,0\n", "'kidney' is not a source organ .*; did you mean kidneys"),
        ("region,residence_time_h,std\nleft_kidney,1,0\n", "did you mean .*kidneys"),
        ("region,residence_time_h,std\nliver,-1,0\n", "residence_time_h is '-1', expected a number of at least 0"),
        ("region,time\nliver,1\n", "lacks the columns residence_time_h"),
        ("", "is empty"),
        ("region,residence_time_h,std\ntotal_body,1,0\nremainder,1,0\n", "Both the total body and its remainder"),
    ],
)
def test_bad_residence_times_are_refused_and_nothing_is_written(tmp_path, capsys, text: str, message: str) -> None:
    times = tmp_path / "rt.csv"
    times.write_text(text)
    assert run(times, tmp_path) == 2
    assert left_behind(tmp_path) == []
    assert re.search(message, capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--administered-mbq", "0"], "expected a number above zero"),
        (["--administered-mbq", "-5"], "expected a number above zero"),
        (["--alpha-weight", "0"], "expected a number above zero"),
        (["--phantom", "child"], "invalid choice: 'child'"),
        (["--organ-masses", "absent.csv"], "does not exist"),
    ],
)
def test_bad_options_are_refused(times, tmp_path, capsys, words: list[str], message: str) -> None:
    assert run(times, tmp_path, *words) == 2
    assert message in capsys.readouterr().err
    assert left_behind(tmp_path) == []


def test_an_unknown_nuclide_is_refused(times, tmp_path, capsys) -> None:
    assert run(times, tmp_path, nuclide="Lu-199") == 2
    assert "nearest: Lu-181" in capsys.readouterr().err


def test_neither_phantom_nor_s_values_is_refused(times, tmp_path, capsys) -> None:
    words = ["--residence-times", str(times), "--nuclide", "Cu-64", "--output", str(tmp_path / "organ_dose.csv")]
    assert main(["organ-dose", *words]) == 2
    assert "give --phantom adult-male or adult-female" in capsys.readouterr().err


def test_masses_do_not_scale_s_values_of_a_file(times, tmp_path, capsys) -> None:
    table, masses = tmp_path / "s.csv", tmp_path / "m.csv"
    table.write_text("target,source,s_mgy_per_mbq_s,std\nliver,liver,1e-5,0\nliver,kidneys,1e-7,0\n")
    masses.write_text("organ,mass_g\nliver,955\n")
    assert run(times, tmp_path, "--s-values", str(table), "--organ-masses", str(masses)) == 2
    assert "scale those beforehand, or leave the masses out" in capsys.readouterr().err


def test_bed_without_administered_activity_is_refused(times, tmp_path, capsys) -> None:
    table = tmp_path / "bio.csv"
    table.write_text("region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nkidneys,2.5,2.8,51.6\n")
    assert run(times, tmp_path, "--radiobiology", str(table)) == 2
    assert "BED needs absorbed doses in Gy; give the administered activity" in capsys.readouterr().err


def test_an_output_never_takes_an_inputs_place(times, tmp_path, capsys) -> None:
    before = times.read_text()
    words = ["--residence-times", str(times), "--nuclide", "Cu-64", "--phantom", "adult-male", "--output", str(times)]
    assert main(["organ-dose", *words]) == 2
    assert "is also an input" in capsys.readouterr().err
    assert times.read_text() == before


def test_an_output_folder_that_is_not_there_fails_the_run(times, tmp_path, capsys) -> None:
    words = ["--residence-times", str(times), "--nuclide", "Cu-64", "--phantom", "adult-male"]
    assert main(["organ-dose", *words, "--output", str(tmp_path / "absent" / "organ_dose.csv")]) == 1
    assert "does not exist; create it first" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["--fits", "--residence-times"])
def test_what_the_curves_warn_of_is_still_said_of_the_doses(tmp_path, by) -> None:
    """Once what holds for all regions, the rest with the region it is about and no other."""
    curves = tmp_path / "curves.csv"
    points = [f"{region},{hour},{100 * 0.97**hour:.6f},1" for region in ("liver", "spleen") for hour in (1, 24, 48)]
    curves.write_text("\n".join(("region,time_h,activity_mbq,std_mbq", *points)))
    warnings = ["The scan at 24 h was made up.", "Region 'spleen' holds no activity at all in the scan at 24 h."]
    beside = {"warnings": warnings, "parameters": {"nuclide": "Lu-177", "regions": {}}}
    (tmp_path / "curves.csv.json").write_text(json.dumps(beside))
    words = ["--nuclide", "Lu-177", "--administered-mbq", "7400", "--model", "mono"]
    files = {"--fits": tmp_path / "fits.json", "--residence-times": tmp_path / "rt.csv"}
    outputs = ["--output", str(files["--fits"]), "--residence-times", str(files["--residence-times"])]
    assert main(["fit", str(curves), *words, *outputs]) == 0
    given = [by, str(files[by]), "--nuclide", "Lu-177", "--phantom", "adult-male"]
    assert main(["organ-dose", *given, "--output", str(tmp_path / "organ_dose.csv")]) == 0
    said = json.loads((tmp_path / "organ_dose.csv.json").read_text())["warnings"]
    assert [text for text in said if "made up" in text or "no activity" in text] == [
        warnings[0], f"spleen: {warnings[1]}"
    ]  # fmt: skip
