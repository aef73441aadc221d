"""`radiodosimetry svalues`: the patient's table with its record, fates, comparisons, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import image_of
from radiodosimetry.organ_dose import s_values
from radiodosimetry.organ_dose.patient import patient_s_values
from radiodosimetry.organ_dose.s_value_table import SValueTable, read_s_values
from radiodosimetry.provenance import Record

SHAPE = (10, 12, 14)
SPACING_MM = (4.0, 4.0, 5.0)


def write(path: Path, array: np.ndarray) -> None:
    import SimpleITK as sitk

    sitk.WriteImage(image_of(array, VolumeGeometry(array.shape, SPACING_MM)), str(path))


@pytest.fixture
def patient(tmp_path: Path) -> Path:
    """A block of soft tissue in air with an organ and a lesion in it, as NIfTI files."""
    folder = tmp_path / "patient"
    folder.mkdir()
    ct = np.full(SHAPE, 40.0, np.float32)
    ct[:, :2] = -1000.0
    labels = np.zeros(SHAPE, np.uint8)
    labels[2:6, 4:9, 3:10] = 1
    labels[3:5, 5:7, 5:8] = 2
    write(folder / "ct.nii.gz", ct)
    write(folder / "labels.nii.gz", labels)
    (folder / "labels.csv").write_text("label,name\n1,Liver\n2,Tumour 1\n")
    return folder


def run(patient: Path, output: Path, *words: str, nuclide: str = "Lu-177", histories: str = "2000") -> int:
    inputs = ["--ct", str(patient / "ct.nii.gz"), "--labels", str(patient / "labels.nii.gz")]
    inputs += ["--label-names", str(patient / "labels.csv")]
    return main(["svalues", "--nuclide", nuclide, *inputs, "--histories", histories, "--output", str(output), *words])


def rows_of(path: Path) -> dict[tuple[str, str], dict[str, str]]:
    with path.open() as stream:
        return {(row["target"], row["source"]): row for row in csv.DictReader(stream)}


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "patient")


def test_the_table_has_the_columns_of_the_interface_and_its_record(patient, tmp_path, capsys) -> None:
    output = tmp_path / "s.csv"
    assert run(patient, output, "--seed", "4", "--region", "healthy=Liver-Tumour 1", "--remainder") == 0
    assert output.read_text().splitlines()[0] == "target,source,s_mgy_per_mbq_s,std"
    rows = rows_of(output)
    names = ["liver", "tumour_1", "healthy", "remainder_of_body"]
    assert list(rows) == [(target, source) for target in names for source in names]
    own = rows["tumour_1", "tumour_1"]
    # electrons of Lu-177 in 0.96 g, most of which stay
    assert 0.85 * 2.37e-2 / 0.996 < float(own["s_mgy_per_mbq_s"]) < 2.37e-2 / 0.996
    assert 0 < float(own["std"]) < 0.02 * float(own["s_mgy_per_mbq_s"])
    record = json.loads((tmp_path / "s.csv.json").read_text())
    assert record["quantity"] == "s_value"
    assert record["unit"] == "mGy/(MBq s)"
    assert record["seed"] == 4
    assert record["parameters"]["histories_per_source"] == 2000
    assert record["parameters"]["regions"]["healthy"] == "Liver-Tumour 1"
    assert {"ct", "labels", "label_names"} <= set(record["inputs"])
    assert record["inputs"]["labels"]["path"] == "labels.nii.gz"
    assert any("Region tumour_1 has 12 voxels" in warning for warning in record["warnings"])
    assert left_behind(tmp_path) == ["s.csv", "s.csv.json"]
    assert "4 targets from 4 sources" in capsys.readouterr().out


def test_what_is_written_reads_back_and_repeats_with_its_seed(patient, tmp_path) -> None:
    for name, seed in (("a.csv", "3"), ("b.csv", "3"), ("c.csv", "5")):
        assert run(patient, tmp_path / name, "--seed", seed) == 0
    table = read_s_values(tmp_path / "a.csv")
    assert table.nuclide == "Lu-177"
    assert table.source_masses_g["tumour_1"] == pytest.approx(1.0, rel=0.1)
    assert (tmp_path / "a.csv").read_text() == (tmp_path / "b.csv").read_text()
    assert (tmp_path / "a.csv").read_text() != (tmp_path / "c.csv").read_text()


def test_another_voxel_size_keeps_the_organ(patient, tmp_path) -> None:
    assert run(patient, tmp_path / "own.csv", histories="20000") == 0
    assert run(patient, tmp_path / "fine.csv", "--spacing-mm", "2.5", histories="20000") == 0
    record = json.loads((tmp_path / "fine.csv.json").read_text())
    assert record["parameters"]["spacing_mm"] == [2.5, 2.5, 2.5]
    own, fine = read_s_values(tmp_path / "own.csv"), read_s_values(tmp_path / "fine.csv")
    assert fine.value("liver", "liver") == pytest.approx(own.value("liver", "liver"), rel=0.05)


def test_daughters_that_leave_take_their_dose_along(patient, tmp_path) -> None:
    (tmp_path / "fates.csv").write_text("daughter,source,fraction,destination\nPo-212,tumour_1,0.5,liver\n")
    assert run(patient, tmp_path / "stay.csv", nuclide="Bi-212") == 0
    assert run(patient, tmp_path / "leave.csv", "--fates", str(tmp_path / "fates.csv"), nuclide="Bi-212") == 0
    stay, leave = read_s_values(tmp_path / "stay.csv"), read_s_values(tmp_path / "leave.csv")
    # Po-212 brings 5.6 of the 7.8 MeV of α particles per decay of Bi-212
    expected = 1 - 0.5 * 5.74 / 8.0
    assert leave.value("tumour_1", "tumour_1") == pytest.approx(expected * stay.value("tumour_1", "tumour_1"), rel=0.05)
    assert leave.value("liver", "tumour_1") > 10 * stay.value("liver", "tumour_1")
    record = json.loads((tmp_path / "leave.csv.json").read_text())
    assert record["parameters"]["fates"] == [["Po-212", "tumour_1", 0.5, "liver"]]
    assert record["inputs"]["fates"]["path"] == "fates.csv"


def test_the_table_stands_beside_that_of_others(patient, tmp_path, capsys) -> None:
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("mGy/MBq-s,Liver,Brain\nLiver,2e-4,1e-9\n")
    assert run(patient, tmp_path / "s.csv", "--compare", str(theirs), "--comparison", str(tmp_path / "c.csv")) == 0
    text = capsys.readouterr().out
    assert "Ours over theirs: 1 pairs" in text
    assert "theirs: source brain" in text
    row = rows_of(tmp_path / "c.csv")["liver", "liver"]
    ours = float(rows_of(tmp_path / "s.csv")["liver", "liver"]["s_mgy_per_mbq_s"])
    assert float(row["ratio"]) == pytest.approx(ours / 2e-4, rel=1e-3)
    record = json.loads((tmp_path / "c.csv.json").read_text())
    assert record["inputs"]["compared_with"][0]["path"] == "theirs.csv"
    assert record["parameters"]["unmatched"] == ["ours: target tumour_1", "ours: source tumour_1",
                                                 "theirs: source brain"]  # fmt: skip


def test_metal_out_of_all_range_is_refused_or_clamped(patient, tmp_path, capsys) -> None:
    ct = np.full(SHAPE, 40.0, np.float32)
    ct[0, 5, 5] = 9000.0
    write(patient / "ct.nii.gz", ct)
    assert run(patient, tmp_path / "s.csv") == 2
    assert "--clamp-hu" in capsys.readouterr().err
    assert run(patient, tmp_path / "s.csv", "--clamp-hu") == 0
    record = json.loads((tmp_path / "s.csv.json").read_text())
    assert record["parameters"]["media"]["clamp_hu"] is True


def saf_file(path: Path, saf_per_kg: float) -> None:
    """A SAF file of one pair and two energies."""
    header = f"{1:4d}{1:4d}{'':14}{0:10.5f}{10:10.5f}"
    pair = f"{'Liver':10}<-{'Liver':10}" + 2 * f"{saf_per_kg:10.3E}" + f"{0:10.5f}{1:3d}"
    path.write_text("\n".join(["a", "b", "c", header, "-" * 40, pair]))


def test_saf_files_stand_beside_ours_too(patient, tmp_path, capsys) -> None:
    files = {particle: tmp_path / f"rcp-am_{particle}.SAF" for particle in ("electron", "photon")}
    for number, path in enumerate(files.values()):
        saf_file(path, 10.0 / (1 + 9 * number))
    words = [word for path in files.values() for word in ("--compare-saf", str(path))]
    assert run(patient, tmp_path / "s.csv", *words, "--comparison", str(tmp_path / "c.csv")) == 0
    row = rows_of(tmp_path / "c.csv")["liver", "liver"]
    # 147.92 keV of electrons at 10 /kg and 35.10 keV of photons at 1 /kg
    expected_mgy_per_mbq_s = (0.14792 * 10 + 0.03510) * 1.602176634e-13 * 1e9
    assert float(row["theirs_mgy_per_mbq_s"]) == pytest.approx(expected_mgy_per_mbq_s, rel=1e-3)
    capsys.readouterr()
    assert run(patient, tmp_path / "s.csv", *words[:2], *words[:2]) == 2
    assert "--compare-saf is given more than once for electron" in capsys.readouterr().err
    assert run(patient, tmp_path / "s.csv", *words[:2]) == 2
    assert "Lu-177 needs SAFs of photon; give that file as well" in capsys.readouterr().err


def test_a_phantom_is_handed_to_its_own_function(tmp_path, monkeypatch) -> None:
    asked = []

    def stored(nuclide, name, organ_masses_g=None, include_progeny=True):
        asked.append((str(getattr(nuclide, "name", nuclide)), name))
        return SValueTable(("liver",), ("liver",), np.array([[1.4e-14]]), np.array([[1e-17]]), "Lu-177", Record("x"))

    monkeypatch.setattr(s_values, "phantom_s_values", stored, raising=False)
    output = tmp_path / "s.csv"
    assert main(["svalues", "--nuclide", "177Lu", "--phantom", "adult-female", "--output", str(output)]) == 0
    assert asked == [("Lu-177", "adult-female")]
    assert float(rows_of(output)["liver", "liver"]["s_mgy_per_mbq_s"]) == pytest.approx(1.4e-5)


def test_members_of_a_chain_have_random_numbers_of_their_own(patient, tmp_path, monkeypatch) -> None:
    (tmp_path / "fates.csv").write_text("daughter,source,fraction,destination\nPo-212,tumour_1,0.5,liver\n")
    seeds = {}

    def watched(ct, regions, nuclide, histories, seed, *rest, **settings):
        seeds[nuclide.name] = seed
        return patient_s_values(ct, regions, nuclide, histories, seed, *rest, **settings)

    monkeypatch.setattr("radiodosimetry.workflows.s_values.patient_s_values", watched)
    words = ["--fates", str(tmp_path / "fates.csv"), "--seed", "5"]
    assert run(patient, tmp_path / "s.csv", *words, nuclide="Bi-212", histories="100") == 0
    assert seeds["Bi-212"] == 5
    assert len(seeds) > 1
    assert len(set(seeds.values())) == len(seeds)


def test_histories_and_seed_of_a_phantom_make_no_difference_and_are_said_to(tmp_path, capsys) -> None:
    words = ["svalues", "--nuclide", "Lu-177", "--phantom", "adult-male", "--output"]
    plain, counted = tmp_path / "plain.csv", tmp_path / "counted.csv"
    assert main([*words, str(plain)]) == 0
    assert "made no difference" not in capsys.readouterr().err
    assert main([*words, str(counted), "--histories", "1000", "--seed", "7"]) == 0
    assert "--histories and --seed made no difference" in capsys.readouterr().err
    assert counted.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--phantom", "adult-male", "--labels", "{labels}"], "--labels belongs to S-values of a patient (--ct)"),
        (["--phantom", "adult-male", "--remainder"], "--remainder belongs to S-values of a patient"),
        (["--phantom", "adult-male", "--region", "a=b"], "--region belongs to S-values of a patient"),
        (["--phantom", "child"], "argument --phantom: invalid choice: 'child'"),
        (["--phantom", "adult-male", "--ct", "{ct}"], "not allowed with argument"),
        ([], "one of the arguments --phantom --ct is required"),
        (["--ct", "{ct}"], "--ct needs the regions of the patient; give --labels"),
        (["--ct", "nowhere.nii"], "'nowhere.nii' does not exist"),
        (["--ct", "{ct}", "--labels", "{labels}", "--comparison", "c.csv"], "--comparison needs a table to compare"),
        (["--ct", "{ct}", "--labels", "{labels}", "--histories", "0"], "found '0', expected a number above zero"),
        (["--ct", "{ct}", "--labels", "{labels}", "--histories", "10"], "Found 10 histories; expected 40 or more"),
        (["--ct", "{ct}", "--labels", "{labels}", "--region", "a=b"], "No region is called 'b'"),
        (["--ct", "{ct}", "--labels", "{labels}", "--region", "a=label_1", "--region", "a=label_2"], "more than once"),
        (["--ct", "{labels}", "--labels", "{labels}", "--label-names", "{ct}"], "cannot be read as a CSV table"),
    ],
)
def test_what_does_not_fit_together_is_one_line_and_no_file(patient, tmp_path, capsys, words, message) -> None:
    paths = {"ct": str(patient / "ct.nii.gz"), "labels": str(patient / "labels.nii.gz")}
    words = [word.format(**paths) for word in words]
    assert main(["svalues", "--nuclide", "Lu-177", "--output", str(tmp_path / "s.csv"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert left_behind(tmp_path) == []


def test_inputs_are_never_overwritten_and_folders_must_exist(patient, tmp_path, capsys) -> None:
    assert run(patient, patient / "labels.csv") == 2
    assert "is also an input and would be overwritten" in capsys.readouterr().err
    assert run(patient, tmp_path / "missing" / "s.csv") == 1
    assert "does not exist; create it first" in capsys.readouterr().err
    assert run(patient, tmp_path / "s.csv", nuclide="Xx-1") == 2
    assert "Xx-1" in capsys.readouterr().err
    assert left_behind(tmp_path) == []
