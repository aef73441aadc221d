"""S-values of others: matrices with their unit, our own table, SAF files of ICRP 133's layout, and comparisons."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError, UnitError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.icrp_safs import SafTable, read_icrp_safs, s_values_from_safs
from radiodosimetry.organ_dose.importers import (
    COMPARISON_COLUMNS,
    compare_s_values,
    comparison_csv,
    read_s_value_table,
)
from radiodosimetry.organ_dose.s_value_table import SValueTable, s_values_csv
from radiodosimetry.provenance import Record
from radiodosimetry.units import JOULE_PER_MEV

MATRIX = """\
# Lu-177, adult male, mGy/MBq-s
Target,GB Cont,Liver,Tot. Body
Adrenals,1.5e-8,9.0E-08,1.2e-7
Hrt Wall,2e-9,6e-8,1.3e-7
UB Wall,1e-10,3e-10,1.1e-7
"""


def written(folder: Path, text: str, name: str = "theirs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def own(values, targets=("liver", "spleen"), sources=("liver", "spleen"), nuclide="Lu-177") -> SValueTable:
    values = np.asarray(values, dtype=float)
    return SValueTable(targets, sources, values, 0.01 * values, nuclide, Record("test"))


def test_a_matrix_is_read_with_the_names_written_out(tmp_path: Path) -> None:
    table = read_s_value_table(written(tmp_path, MATRIX), "177Lu")
    assert table.nuclide == "Lu-177"
    assert table.targets == ("adrenals", "heart_wall", "urinary_bladder_wall")
    assert table.sources == ("gallbladder_contents", "liver", "total_body")
    assert table.value("Heart wall", "Liver") == pytest.approx(6e-8 * 1e-9)
    assert table.std("adrenals", "liver") == 0.0
    assert table.record.parameters["unit"] == "mGy/(MBq s)"
    assert any("come without uncertainties" in warning for warning in table.record.warnings)
    assert len(table.record.inputs["s_values"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("stated", "gy_per_bq_s"),
    [
        ("mGy/MBq-s", 1e-9), ("[mGy/(MBq s)]", 1e-9), ("rad/µCi-h", 0.01 / (3.7e4 * 3600)),
        ("RAD/uCi h", 0.01 / (3.7e4 * 3600)), ("Gy/(Bq s)", 1.0), ("mGy/MBq h", 1e-9 / 3600), ("Gy/GBq-h", 1e-9 / 3600),
    ],
)  # fmt: skip
def test_the_unit_is_taken_from_the_first_cell(tmp_path: Path, stated: str, gy_per_bq_s: float) -> None:
    path = written(tmp_path, f"target {stated}\tliver\nliver\t2.0\n")
    assert read_s_value_table(path, "I-131").value("liver", "liver") == pytest.approx(2.0 * gy_per_bq_s)


def test_a_unit_that_nobody_states_is_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, "target;liver\nliver;2\n")
    with pytest.raises(UnitError, match=r"Found no unit of the S-values in 'theirs.csv'; expected one of: Gy/\(Bq s\)"):
        read_s_value_table(path, "I-131")
    with pytest.raises(UnitError, match="Found the unit 'furlong'"):
        read_s_value_table(path, "I-131", "furlong")
    with pytest.raises(InputError, match="does not say its nuclide; name the nuclide"):
        read_s_value_table(path, None, "Gy/(Bq s)")
    assert read_s_value_table(path, "I-131", "mGy/(MBq s)").value("liver", "liver") == pytest.approx(2e-9)


def test_a_table_of_one_line_per_pair_is_read_too(tmp_path: Path) -> None:
    table = own([[2e-14, 1e-16], [1e-16, 2e-13]])
    path = written(tmp_path, s_values_csv(table))
    read = read_s_value_table(path, "Lu-177")
    assert read.s_gy_per_bq_s == pytest.approx(table.s_gy_per_bq_s, rel=1e-6)
    with pytest.raises(UnitError, match="names its unit; leave out the unit"):
        read_s_value_table(path, "Lu-177", "Gy/(Bq s)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("only one line", "has 1 lines; expected a header"),
        ("mGy/MBq s,liver,spleen\nliver,1\n", "Line 2 .* has 1 values, expected one for each of 2 sources"),
        ("mGy/MBq s,liver\nliver,1,2\n", "Line 2 .* has 2 values, expected one for each of 1 sources"),
        ("mGy/MBq s,liver\nliver,high\n", "from liver is 'high', expected a number of at least 0"),
        ("mGy/MBq s,liver\nliver,-1\n", "from liver is '-1', expected a number"),
        ("mGy/MBq s,liver\nliver,nan\n", "from liver is 'nan', expected a number"),
        ("mGy/MBq s,liver\nliver,1\nLiver,2\n", "target liver twice"),
        ("mGy/MBq s,liver,liver\nliver,1,2\n", "source liver twice"),
        ("mGy/MBq s,liver\n,1\n", "a target without a name"),
    ],
)
def test_a_matrix_that_is_none_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileFormatError, match=message):
        read_s_value_table(written(tmp_path, text), "Lu-177")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match=r"nowhere\.csv' cannot be read"):
        read_s_value_table(tmp_path / "nowhere.csv", "Lu-177")


def test_two_tables_stand_side_by_side_by_name() -> None:
    ours = own([[2e-14, 1e-16], [1e-16, 3e-13]])
    theirs = own([[5e-16, 4e-13, 7.0], [1e-14, 0.0, 7.0]], ("spleen", "liver"), ("liver", "spleen", "brain"))
    comparison = compare_s_values(ours, theirs)
    ratio = {(pair.target, pair.source): pair.ratio for pair in comparison.pairs}
    assert ratio["liver", "liver"] == pytest.approx(2.0)
    assert ratio["spleen", "spleen"] == pytest.approx(0.75)
    assert ratio["spleen", "liver"] == pytest.approx(0.2)
    assert np.isnan(ratio["liver", "spleen"])
    assert comparison.unmatched == ("theirs: source brain",)
    assert comparison.median_ratio == pytest.approx(0.75)
    assert comparison.share_within(0.3) == pytest.approx(1 / 3)


def test_a_comparison_is_a_table_with_ratios() -> None:
    ours = own([[2e-14, 1e-16], [1e-16, 3e-13]])
    text = comparison_csv(compare_s_values(ours, own([[1e-14, 0.0], [1e-16, 3e-13]])))
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == COMPARISON_COLUMNS
    assert rows[0] == {
        "target": "liver", "source": "liver", "ours_mgy_per_mbq_s": "2e-05", "ours_std": "2e-07",
        "theirs_mgy_per_mbq_s": "1e-05", "theirs_std": "1e-07", "ratio": "2",
    }  # fmt: skip
    assert rows[1]["ratio"] == ""
    assert len(rows) == 4


def test_tables_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(InputError, match="S-values of Lu-177 cannot be compared with those of Y-90"):
        compare_s_values(own(np.eye(2)), own(np.eye(2), nuclide="Y-90"))
    with pytest.raises(InputError, match="no pair in common: targets liver, spleen, … against brain"):
        compare_s_values(own(np.eye(2)), own([[1.0]], ("brain",), ("brain",)))


PHOTON_MEV = (0.0, 0.01, 0.1, 1.0, 10.0)
ALPHA_MEV = (2.0, 6.0, 12.0)


def saf_file(folder: Path, name: str, energies_mev, safs, tail: str = "{cut:10.5f}{number:3d}") -> Path:
    """A file of the layout of ICRP Publication 133 with numbers of our own; `safs` is (target, source) to values."""
    targets, sources = {target for target, _ in safs}, {source for _, source in safs}
    lines = ["ICRP-like SAFs, made up", "for testing alone", "Photons   SAF (1/kg)"]
    lines += [f"{len(targets):4d}{len(sources):4d}{'':14}" + "".join(f"{e:10.5f}" for e in energies_mev) + "   Ecutoff"]
    lines += ["-" * 60]
    for (target, source), values in safs.items():
        numbers = "".join(f"{value:10.3E}" for value in values)
        lines.append(f"{target:10}<-{source:10}{numbers}" + tail.format(cut=energies_mev[0], number=1))
    path = folder / name
    path.write_bytes("\r\n".join([*lines, ""]).encode("latin-1"))
    return path


def four(first: float, count: int) -> dict[tuple[str, str], list[float]]:
    pairs = [("Liver", "Liver"), ("UB-wall", "Liver"), ("Liver", "UB-cont"), ("UB-wall", "UB-cont")]
    return {pair: [first * (number + 1)] * count for number, pair in enumerate(pairs)}


def test_a_saf_file_is_read_by_its_columns(tmp_path: Path) -> None:
    safs = four(0.1, 5)
    safs["UB-wall", "UB-cont"] = [0.0, 1.0, 2.0, 4.0, 8.0]
    table = read_icrp_safs(saf_file(tmp_path, "rcp-am_photon_2016-08-12.SAF", PHOTON_MEV, safs))
    assert table.particle == "photon"
    assert table.targets == ("liver", "urinary_bladder_wall")
    assert table.sources == ("liver", "bladder_contents")
    assert table.energies_kev == pytest.approx([0.0, 10.0, 100.0, 1000.0, 10000.0])
    assert table.saf_per_kg[1, 1] == pytest.approx([0.0, 1.0, 2.0, 4.0, 8.0])
    assert table.saf_per_kg[1, 0] == pytest.approx([0.2] * 5)
    assert table.at(np.array([100.0]))[1, 1, 0] == pytest.approx(2.0)
    assert 2.0 < table.at(np.array([500.0]))[1, 1, 0] < 4.0
    assert table.record.parameters["description"][0] == "ICRP-like SAFs, made up"


def test_an_alpha_file_has_shorter_ends_and_an_exponent_may_lack_its_letter(tmp_path: Path) -> None:
    path = saf_file(tmp_path, "rcp-af_alpha_x.SAF", ALPHA_MEV, four(0.5, 3), tail="{cut:5.1f}{number:3d}")
    path.write_bytes(
        path.read_bytes().replace(b"Liver     <-Liver      5.000E-01", b"Liver     <-Liver      5.00-101 ")
    )
    table = read_icrp_safs(path)
    assert table.particle == "alpha"
    assert table.saf_per_kg[0, 0, 0] == pytest.approx(5e-101)
    assert table.saf_per_kg[0, 0, 1] == pytest.approx(0.5)


def test_s_values_are_yields_times_energies_times_safs(tmp_path: Path) -> None:
    """Constant SAFs make S the emitted energy times the SAF."""
    tables = {
        "photon": read_icrp_safs(saf_file(tmp_path, "photon.SAF", PHOTON_MEV, four(0.01, 5))),
        "electron": read_icrp_safs(saf_file(tmp_path, "electron.SAF", PHOTON_MEV, four(0.1, 5))),
        "alpha": read_icrp_safs(saf_file(tmp_path, "alpha.SAF", ALPHA_MEV, four(1.0, 3))),
    }
    table = s_values_from_safs(tables, "Ac-225")
    energy = Radionuclide("Ac-225").energy_per_decay_kev
    recoils = Radionuclide("Ac-225").emissions().alpha_recoils.energy_per_decay_kev
    alphas_gy = (energy["alphas"] + recoils) * 1e-3 * JOULE_PER_MEV
    others_gy = (0.01 * energy["photons"] + 0.1 * energy["electrons"]) * 1e-3 * JOULE_PER_MEV
    factors = np.array([[1.0, 3.0], [2.0, 4.0]])
    assert table.s_gy_per_bq_s == pytest.approx(factors * (alphas_gy + others_gy))
    assert table.alpha_gy_per_bq_s == pytest.approx(factors * alphas_gy)
    alone = s_values_from_safs(tables, "Ac-225", include_progeny=False)
    assert (alone.s_gy_per_bq_s < 0.3 * table.s_gy_per_bq_s).all()


def test_particles_without_safs_are_asked_for(tmp_path: Path) -> None:
    photons = read_icrp_safs(saf_file(tmp_path, "photon.SAF", PHOTON_MEV, four(0.01, 5)))
    with pytest.raises(InputError, match="Ac-225 needs SAFs of alpha, electron; give that file as well"):
        s_values_from_safs({"photon": photons}, "Ac-225")
    short = SafTable("electron", np.array([0.0, 100.0]), photons.targets, photons.sources, np.ones((2, 2, 2)),
                     Record("test"))  # fmt: skip
    with pytest.raises(InputError, match="keV among the electrons; their SAFs end at 100 keV"):
        s_values_from_safs({"photon": photons, "electron": short}, "Y-90")
    other = SafTable("electron", photons.energies_kev, ("brain",), ("brain",), np.ones((1, 1, 5)), Record("test"))
    with pytest.raises(InputError, match="different targets or sources; give files of one phantom"):
        s_values_from_safs({"photon": photons, "electron": other}, "Y-90")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"UB-wall   <-", b"UB-wall   ->", r"Line 7 of the SAF file 'photon.SAF' must have '<-' in columns 11 and 12"),
        (b" 2.000E-02", b" 2.0x0E-02", r"Line 7 .*SAF 1 of 5 is '2.0x0E-02', expected a number"),
        (b"   2   2  ", b"   3   2  ", "announces 3 targets and 2 sources, found 2, 2 and 4 pairs"),
        (b"   2   2  ", b"  two two ", "Line 4 of the SAF file 'photon.SAF' must hold the numbers of targets"),
        (b"Liver     <-UB-cont", b"Liver     <-Liver  ", "Line 8 of the SAF file 'photon.SAF' repeats Liver <- Liver"),
        (b"Liver     <-UB-cont", b"Liver     <-       ", "Line 8 of the SAF file 'photon.SAF' names no target"),
    ],
)
def test_a_broken_saf_file_is_refused_with_its_line(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    path = saf_file(tmp_path, "photon.SAF", PHOTON_MEV, four(0.01, 5))
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(FileFormatError, match=message):
        read_icrp_safs(path)


def test_a_saf_file_must_say_its_particle_and_exist(tmp_path: Path) -> None:
    path = saf_file(tmp_path, "some.SAF", PHOTON_MEV, four(0.01, 5))
    with pytest.raises(InputError, match="does not say which particle its SAFs are of; name one of photon"):
        read_icrp_safs(path)
    with pytest.raises(InputError, match="SAFs of 'neutron' are unknown"):
        read_icrp_safs(path, "neutron")
    assert read_icrp_safs(path, "photon").particle == "photon"
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_icrp_safs(tmp_path / "photon.SAF")
    with pytest.raises(FileFormatError, match="Line 4 of the SAF file 'photon.SAF' .*found 'nothing'"):
        read_icrp_safs(written(tmp_path, "too short", "photon.SAF"))
