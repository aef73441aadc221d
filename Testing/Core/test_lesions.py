"""Lesions beside organs: spheres with a dose of their own."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.errors import RegionError
from radiodosimetry.organ_dose import ResidenceTime, SValueTable, organ_doses, sphere_s_value, with_lesions
from radiodosimetry.provenance import Record


def organs(nuclide: str = "Lu-177", alpha: bool = False) -> SValueTable:
    """Two organs that see each other."""
    s = np.array([[4.0, 1.0], [1.0, 8.0]])
    return SValueTable(
        ("liver", "spleen"), ("liver", "spleen"), s, 0.1 * s, nuclide, Record("test"), 0.5 * s if alpha else None
    )


def test_lesions_have_the_s_value_of_their_sphere_and_see_nobody() -> None:
    table = with_lesions(organs(), {"tumour1": 12.0, "tumour2": 3.0})
    assert table.targets == table.sources == ("liver", "spleen", "tumour1", "tumour2")
    assert np.array_equal(table.s_gy_per_bq_s[:2, :2], organs().s_gy_per_bq_s)
    assert table.value("tumour1", "tumour1") == sphere_s_value("Lu-177", 12.0).s_gy_per_bq_s
    assert table.value("tumour2", "tumour1") == table.value("liver", "tumour1") == table.value("tumour1", "liver") == 0
    assert "spheres on their own (tumour1, tumour2)" in table.record.warnings[0]


def test_the_alpha_part_of_a_lesion_is_what_stays_where_it_is() -> None:
    table = with_lesions(organs("Ac-225", alpha=True), {"tumour": 10.0})
    assert table.alpha_gy_per_bq_s is not None
    # 27.5 MeV of α particles and half a MeV of recoils per decay of the chain
    assert table.alpha_gy_per_bq_s[2, 2] == pytest.approx(28.0 * 1.602e-13 / 0.01, rel=0.02)
    assert table.alpha_gy_per_bq_s[2, 2] < table.value("tumour", "tumour")


def test_a_lesion_cannot_be_named_like_an_organ() -> None:
    with pytest.raises(RegionError, match="liver is an organ of the S-values already"):
        with_lesions(organs(), {"liver": 10.0})


def test_a_lesion_is_found_however_its_name_is_written() -> None:
    table = with_lesions(organs(), {"Tumour 1": 10.0})
    assert table.targets[-1] == "tumour_1"
    doses = organ_doses({"Tumour 1": ResidenceTime(3600.0, 0.0)}, table)
    assert doses.dose_of("tumour-1") == pytest.approx(3600.0 * table.value("tumour_1", "tumour_1"))
    with pytest.raises(RegionError, match="Two lesions have the same name"):
        with_lesions(organs(), {"Tumour 1": 10.0, "tumour_1": 3.0})


def test_the_command_takes_lesions(tmp_path: Path) -> None:
    times = tmp_path / "rt.csv"
    times.write_text("region,residence_time_h,std\nliver,2,0.1\ntumour1,0.5,0.05\n", encoding="utf-8")
    output = tmp_path / "doses.csv"
    words = ["organ-dose", "--residence-times", str(times), "--nuclide", "Lu-177", "--phantom", "adult-male"]
    assert main([*words, "--lesion", "tumour1=12", "--output", str(output)]) == 0
    rows = {row["target"]: row for row in csv.DictReader(output.read_text(encoding="utf-8").splitlines())}
    expected = 0.5 * 3600 * sphere_s_value("Lu-177", 12.0).s_gy_per_bq_s * 1e9
    assert float(rows["tumour1"]["absorbed_dose_mgy_per_mbq"]) == pytest.approx(expected, rel=1e-6)
    assert float(rows["tumour1"]["std"]) == pytest.approx(0.1 * expected, rel=0.02)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--lesion", "tumour1"], "expected NAME=MASS_G"),
        (["--lesion", "tumour1=-3"], "'-3'"),
        (["--lesion", "tumour1=3", "--lesion", "tumour1=4"], "more than once"),
    ],
)
def test_lesions_that_make_no_sense_are_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = tmp_path / "rt.csv"
    times.write_text("region,residence_time_h,std\ntumour1,0.5,0.05\n", encoding="utf-8")
    command = ["organ-dose", "--residence-times", str(times), "--nuclide", "Lu-177", "--phantom", "adult-male"]
    assert main([*command, *words, "--output", str(tmp_path / "doses.csv")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "doses.csv").exists()
