"""S-values of the stylised adults against sums done by hand, and the table's file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError, RegionError
from radiodosimetry.images.sidecar import sidecar_path
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.mird import organ_doses
from radiodosimetry.organ_dose.organ_names import STYLISED_TARGETS
from radiodosimetry.organ_dose.reference_masses import STYLISED_SOURCES, reference_masses_g
from radiodosimetry.organ_dose.residence_times import ResidenceTime
from radiodosimetry.organ_dose.s_value_table import SValueTable, read_s_values, s_values_csv, s_values_record_json
from radiodosimetry.organ_dose.s_values import s_values_of_safs
from radiodosimetry.organ_dose.skeleton import bone_surface_photon_factor, skeletal_absorbed_fraction
from radiodosimetry.provenance import Record
from radiodosimetry.units import JOULE_PER_MEV
from stylised_safs import CROSS_SAF_PER_KG, RELATIVE_STD, SELF_FRACTION, closed_form_safs

JOULE_PER_KEV = JOULE_PER_MEV / 1e3
MALE = "adult-male"


@pytest.fixture(scope="module")
def safs():
    return closed_form_safs(MALE)


@pytest.fixture(scope="module")
def copper(safs) -> SValueTable:
    return s_values_of_safs("Cu-64", safs)


def energies_kev(nuclide: str, lowest_kev: float = 10.0) -> tuple[float, float]:
    """Energy per decay that stays and that goes as photons [keV]: what is below the SAFs stays."""
    known = Radionuclide(nuclide)
    photons = known.photon_spectrum()
    going = photons.above(lowest_kev).energy_per_decay_kev
    whole = known.energy_per_decay_kev
    return whole["electrons"] + whole["photons"] - going, going


def test_an_organ_keeps_its_electrons_and_a_share_of_its_photons(copper) -> None:
    local, photons = energies_kev("Cu-64")
    expected = (local / 1.910 + photons * (CROSS_SAF_PER_KG + SELF_FRACTION / 1.910)) * JOULE_PER_KEV
    assert copper.value("liver", "liver") == pytest.approx(expected, rel=1e-9)


def test_two_organs_exchange_photons_alone(copper) -> None:
    _, photons = energies_kev("Cu-64")
    expected = photons * CROSS_SAF_PER_KG * JOULE_PER_KEV
    assert copper.value("liver", "kidneys") == pytest.approx(expected, rel=1e-9)
    assert copper.value("heart_wall", "liver") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("wall", "contents", "grams"),
    [
        ("heart_wall", "heart_contents", 454.0),
        ("stomach_wall", "stomach_contents", 260.0),
        ("urinary_bladder_wall", "bladder_contents", 211.0),
        ("gallbladder_wall", "gallbladder_contents", 55.7),
        ("uli_wall", "uli_contents", 232.0),
        ("lli_wall", "lli_contents", 143.0),
    ],
)
def test_a_wall_gets_half_of_its_contents_electrons(copper, wall: str, contents: str, grams: float) -> None:
    local, photons = energies_kev("Cu-64")
    expected = (0.5 * local / (grams / 1e3) + photons * CROSS_SAF_PER_KG) * JOULE_PER_KEV
    assert copper.value(wall, contents) == pytest.approx(expected, rel=1e-9)


def test_the_small_intestine_gets_half_of_400_g_of_contents(copper) -> None:
    local, photons = energies_kev("Cu-64")
    expected = (0.5 * local / 0.4 + photons * (CROSS_SAF_PER_KG + SELF_FRACTION / 1.1)) * JOULE_PER_KEV
    assert copper.value("small_intestine", "small_intestine_contents") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("target", ["liver", "red_marrow", "skin", "total_body", "urinary_bladder_wall"])
def test_the_total_body_gives_every_organ_its_mean_of_electrons(safs, target: str) -> None:
    pure = s_values_of_safs("P-32", safs)
    local, _ = energies_kev("P-32")
    assert pure.value(target, "total_body") == pytest.approx(local / 73.7 * JOULE_PER_KEV, rel=1e-9)


def test_all_electrons_of_an_organ_stay_in_the_body(safs) -> None:
    pure = s_values_of_safs("P-32", safs)
    local, _ = energies_kev("P-32")
    for source in STYLISED_SOURCES:
        assert pure.value("total_body", source) == pytest.approx(local / 73.7 * JOULE_PER_KEV, rel=1e-9)


def test_photons_from_the_total_body_are_the_mean_over_its_regions(safs, copper) -> None:
    local, photons = energies_kev("Cu-64")
    body_kg = safs.masses_kg.sum()
    expected = (local / 73.7 + photons * (CROSS_SAF_PER_KG + SELF_FRACTION / body_kg)) * JOULE_PER_KEV
    assert copper.value("spleen", "total_body") == pytest.approx(expected, rel=1e-9)
    assert copper.value("total_body", "spleen") == pytest.approx(expected, rel=1e-9)


def test_photon_energy_is_accounted_for_between_regions(safs, copper) -> None:
    """Mass times S over all regions that tile the body is the mass of the body times its S."""
    _, photons = energies_kev("Cu-64")
    from_liver = (safs.masses_kg * safs.saf_per_kg[:, safs.source_index("liver"), 0]).sum() * photons * JOULE_PER_KEV
    local, _ = energies_kev("Cu-64")
    body_kg = safs.masses_kg.sum()
    found = (copper.value("total_body", "liver") - local / 73.7 * JOULE_PER_KEV) * body_kg
    assert found == pytest.approx(from_liver, rel=1e-9)


def test_red_marrow_gets_the_soft_tissue_kerma_of_its_bones(copper) -> None:
    _, photons = energies_kev("Cu-64")
    expected = 2 * CROSS_SAF_PER_KG * photons * JOULE_PER_KEV
    assert copper.value("red_marrow", "liver") == pytest.approx(expected, rel=1e-9)


def test_bone_surface_gets_the_kerma_of_the_skeleton_times_the_published_factor(copper) -> None:
    lines = Radionuclide("Cu-64").photon_spectrum().above(10.0)
    weighted = float(lines.energy_kev * lines.yield_per_decay @ bone_surface_photon_factor(lines.energy_kev))
    expected = CROSS_SAF_PER_KG * weighted * JOULE_PER_KEV
    assert copper.value("osteogenic_cells", "liver") == pytest.approx(expected, rel=1e-9)


def test_marrow_absorbs_the_published_share_of_its_own_electrons(safs) -> None:
    beta = s_values_of_safs("P-32", safs)
    spectrum = Radionuclide("P-32").electron_spectrum()
    emitted = spectrum.energy_kev * spectrum.yield_per_decay
    mean_kev = float(emitted @ spectrum.energy_kev / emitted.sum())
    for target, grams in (("red_marrow", 1120.0), ("osteogenic_cells", 120.0)):
        for source in ("red_marrow", "trabecular_bone_surface", "cortical_bone_volume"):
            share = skeletal_absorbed_fraction(target, source, MALE, mean_kev)
            expected = share * emitted.sum() / (grams / 1e3) * JOULE_PER_KEV
            assert beta.value(target, source) == pytest.approx(expected, rel=1e-9)


def test_bone_surface_as_a_source_is_half_of_either_surface(copper) -> None:
    for target in ("red_marrow", "osteogenic_cells"):
        halves = [copper.value(target, f"{bone}_bone_surface") for bone in ("cortical", "trabecular")]
        assert copper.value(target, "osteogenic_cells") == pytest.approx(np.mean(halves), rel=1e-9)


def test_all_targets_of_the_published_table_are_there_as_targets_and_sources(copper) -> None:
    assert copper.targets == STYLISED_TARGETS
    assert len(STYLISED_TARGETS) == 25
    assert set(STYLISED_TARGETS) < set(copper.sources)
    assert copper.s_gy_per_bq_s.min() > 0.0


def test_alpha_particles_stay_and_are_told_apart(safs) -> None:
    table = s_values_of_safs("Ac-225", safs)
    emitted = Radionuclide("Ac-225").emissions()
    alphas = emitted.alphas.energy_per_decay_kev + emitted.alpha_recoils.energy_per_decay_kev
    row, column = table.index("liver", "liver")
    assert table.alpha_gy_per_bq_s[row, column] == pytest.approx(alphas / 1.910 * JOULE_PER_KEV, rel=1e-9)
    row, column = table.index("heart_wall", "heart_contents")
    assert table.alpha_gy_per_bq_s[row, column] == pytest.approx(0.005 * alphas / 0.454 * JOULE_PER_KEV, rel=1e-9)
    assert any("one hundredth" in warning for warning in table.record.warnings)


def test_progeny_can_be_left_out(safs) -> None:
    alone = s_values_of_safs("Ac-225", safs, include_progeny=False)
    with_chain = s_values_of_safs("Ac-225", safs)
    own = Radionuclide("Ac-225").emissions(include_progeny=False)
    own_kev = own.alphas.energy_per_decay_kev + own.alpha_recoils.energy_per_decay_kev
    row, column = alone.index("liver", "liver")
    assert alone.alpha_gy_per_bq_s[row, column] == pytest.approx(own_kev / 1.910 * JOULE_PER_KEV, rel=1e-9)
    assert with_chain.value("liver", "liver") > 4 * alone.value("liver", "liver")


def test_a_patients_mass_scales_what_an_organ_gives_itself(safs, copper) -> None:
    local, photons = energies_kev("Cu-64")
    scaled = s_values_of_safs("Cu-64", safs, {"Liver": 955.0})
    self_photons = photons * (CROSS_SAF_PER_KG + SELF_FRACTION / 1.910) * 2 ** (2 / 3)
    expected = (local / 0.955 + self_photons) * JOULE_PER_KEV
    assert scaled.value("liver", "liver") == pytest.approx(expected, rel=1e-9)
    others = [(row, column) for row in range(25) for column in range(len(STYLISED_SOURCES))]
    others.remove(scaled.index("liver", "liver"))
    rows, columns = np.array(others).T
    np.testing.assert_array_equal(scaled.s_gy_per_bq_s[rows, columns], copper.s_gy_per_bq_s[rows, columns])
    assert scaled.source_masses_g["liver"] == 955.0


def test_reference_masses_given_as_the_patients_change_nothing(safs, copper) -> None:
    same = s_values_of_safs("Cu-64", safs, reference_masses_g(MALE))
    np.testing.assert_allclose(same.s_gy_per_bq_s, copper.s_gy_per_bq_s, rtol=1e-12)


def test_the_female_has_the_masses_of_olinda_and_not_of_her_geometry() -> None:
    table = s_values_of_safs("P-32", closed_form_safs("adult-female"))
    local, _ = energies_kev("P-32")
    for organ, kilogram in (("brain", 1.2), ("kidneys", 0.275), ("muscle", 17.0), ("liver", 1.4), ("spleen", 0.15)):
        assert table.value(organ, organ) == pytest.approx(local / kilogram * JOULE_PER_KEV, rel=1e-9)
    assert table.source_masses_g["total_body"] == 56912.0
    assert table.source_masses_g["heart_contents"] == 410.0


def test_male_masses_are_those_of_the_report() -> None:
    masses = reference_masses_g(MALE)
    expected = {"liver": 1910.0, "spleen": 183.0, "kidneys": 299.0, "muscle": 28000.0, "red_marrow": 1120.0}
    assert {name: masses[name] for name in expected} == expected


def test_statistical_errors_of_the_nodes_around_a_line_add_in_squares(safs) -> None:
    """Be-7 has one line at 477.6 keV, between the nodes at 200 and 500 keV, which are right to 2 % each."""
    table = s_values_of_safs("Be-7", safs)
    place = np.log(477.595 / 200.0) / np.log(500.0 / 200.0)
    expected = RELATIVE_STD * np.hypot(place, 1 - place)
    photons = Radionuclide("Be-7").photon_spectrum().above(10.0).energy_per_decay_kev
    found = table.std("liver", "kidneys") / (photons * CROSS_SAF_PER_KG * JOULE_PER_KEV)
    assert found == pytest.approx(expected, rel=1e-4)


def test_statistical_errors_of_regions_average_out_over_the_body(copper) -> None:
    assert 0 < copper.std("total_body", "liver") < 0.9 * copper.std("liver", "liver")
    assert 0 < copper.std("red_marrow", "liver") < RELATIVE_STD * copper.value("red_marrow", "liver")


def test_photons_above_the_safs_count_at_their_end_and_are_told(safs) -> None:
    table = s_values_of_safs("N-16", safs)
    photons = Radionuclide("N-16").photon_spectrum()
    assert photons.max_energy_kev > 3000.0
    expected = photons.above(10.0).energy_per_decay_kev * CROSS_SAF_PER_KG * JOULE_PER_KEV
    assert table.value("liver", "kidneys") == pytest.approx(expected, rel=1e-9)
    assert any("above 3000 keV, where the SAFs end" in warning for warning in table.record.warnings)


def test_a_remainder_of_uniform_activity_is_the_body(safs) -> None:
    """With the masses of the table, the organ and the remainder together are the total body again."""
    table = s_values_of_safs("P-32", safs)
    share = 1910.0 / 73700.0
    parts = organ_doses({"liver": ResidenceTime(share), "remainder": ResidenceTime(1 - share)}, table)
    whole = organ_doses({"total_body": ResidenceTime(1.0)}, table)
    np.testing.assert_allclose(parts.dose_gy_per_bq, whole.dose_gy_per_bq, rtol=1e-9)


def test_a_mass_of_an_unknown_organ_is_refused(safs) -> None:
    with pytest.raises(
        RegionError, match="'livver' is not a known organ of the adult-male phantom; did you mean liver"
    ):
        s_values_of_safs("Cu-64", safs, {"livver": 1.0})


def test_two_masses_of_one_organ_are_refused(safs) -> None:
    with pytest.raises(RegionError, match="The mass of urinary_bladder_wall is given twice"):
        s_values_of_safs("Cu-64", safs, {"urinary_bladder_wall": 40.0, "bladder wall": 50.0})


@pytest.mark.parametrize("mass_g", [0.0, -1.0, float("nan")])
def test_a_mass_that_is_not_positive_is_refused(safs, mass_g: float) -> None:
    with pytest.raises(InputError, match="The mass of liver must be above 0 g"):
        s_values_of_safs("Cu-64", safs, {"liver": mass_g})


def test_the_record_says_what_the_numbers_rest_on(copper) -> None:
    record = copper.record
    assert record.parameters["nuclide"] == "Cu-64"
    assert record.parameters["electrons_in_marrow_and_bone"] == "olinda"
    assert record.parameters["reference_masses_g"]["liver"] == 1910.0
    assert {"decay data", "photon SAFs", "stylised phantom", "marrow and bone"} <= set(record.datasets)


def test_a_table_reads_back_from_its_file(tmp_path, copper) -> None:
    path = tmp_path / "s.csv"
    path.write_text(s_values_csv(copper))
    sidecar_path(path).write_text(s_values_record_json(copper))
    assert path.read_text().splitlines()[0] == "target,source,s_mgy_per_mbq_s,std"
    back = read_s_values(path)
    assert back.nuclide == "Cu-64"
    assert (back.targets, back.sources) == (copper.targets, copper.sources)
    np.testing.assert_allclose(back.s_gy_per_bq_s, copper.s_gy_per_bq_s, rtol=1e-6)
    np.testing.assert_allclose(back.std_gy_per_bq_s, copper.std_gy_per_bq_s, rtol=6e-3)
    assert back.source_masses_g == copper.source_masses_g


def test_the_part_of_alpha_particles_reads_back(tmp_path, safs) -> None:
    table = s_values_of_safs("Ac-225", safs)
    path = tmp_path / "s.csv"
    path.write_text(s_values_csv(table))
    sidecar_path(path).write_text(s_values_record_json(table))
    np.testing.assert_allclose(read_s_values(path).alpha_gy_per_bq_s, table.alpha_gy_per_bq_s, rtol=1e-6)


def test_a_file_without_sidecar_needs_the_nuclide(tmp_path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("target,source,s_mgy_per_mbq_s,std\nliver,liver,1e-5,1e-7\n")
    with pytest.raises(InputError, match="Nothing says which nuclide"):
        read_s_values(path)
    assert read_s_values(path, "177Lu").value("liver", "liver") == pytest.approx(1e-14)


def test_the_file_of_another_nuclide_is_refused(tmp_path, copper) -> None:
    path = tmp_path / "s.csv"
    path.write_text(s_values_csv(copper))
    sidecar_path(path).write_text(s_values_record_json(copper))
    with pytest.raises(InputError, match="are for Cu-64, asked was Lu-177"):
        read_s_values(path, "Lu-177")


def test_pairs_that_a_file_lacks_count_as_none_and_are_told(tmp_path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("target,source,s_mgy_per_mbq_s\nliver,liver,1e-5\nspleen,kidneys,1e-6\n")
    table = read_s_values(path, "Lu-177")
    assert table.value("liver", "kidneys") == 0.0
    assert any("2 pairs of target and source are not in 's.csv'" in warning for warning in table.record.warnings)
    assert any("2 S-values of 's.csv' have no standard deviation" in warning for warning in table.record.warnings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("target,source\nliver,liver\n", "lacks the columns s_mgy_per_mbq_s"),
        ("target,source,s_mgy_per_mbq_s\nliver,liver,-1\n", "s_mgy_per_mbq_s is '-1', expected a number of at least 0"),
        ("target,source,s_mgy_per_mbq_s\nliver,liver,1\nLiver,liver,2\n", "repeats the pair liver from liver"),
        ("target,source,s_mgy_per_mbq_s\n,liver,1\n", "names no target or no source"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_s_values(path, "Lu-177")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        json.dumps({"quantity": "absorbed_dose"}),
        json.dumps({"nuclide": 3}),
        json.dumps({"alpha_s_mgy_per_mbq_s": {"liver": 3}}),
    ],
)
def test_a_bad_sidecar_is_refused(tmp_path, text: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text("target,source,s_mgy_per_mbq_s\nliver,liver,1\n")
    sidecar_path(path).write_text(text)
    with pytest.raises(FileFormatError, match="The sidecar .* cannot be used"):
        read_s_values(path, "Lu-177")


def test_a_table_is_checked_at_birth() -> None:
    record = Record("made up")
    with pytest.raises(InputError, match="found a more than once"):
        SValueTable(("a", "a"), ("b",), np.ones((2, 1)), np.ones((2, 1)), "F-18", record)
    with pytest.raises(InputError, match="s_gy_per_bq_s must have the shape"):
        SValueTable(("a",), ("b",), np.ones((2, 1)), np.ones((1, 1)), "F-18", record)
    with pytest.raises(InputError, match="std_gy_per_bq_s must be finite and not negative"):
        SValueTable(("a",), ("b",), np.ones((1, 1)), np.full((1, 1), np.nan), "F-18", record)
    with pytest.raises(InputError, match="cannot be more than the whole"):
        SValueTable(("a",), ("b",), np.ones((1, 1)), np.ones((1, 1)), "F-18", record, np.full((1, 1), 2.0))


def test_bremsstrahlung_that_other_organs_lack_is_warned_of(safs) -> None:
    """Y-90: 4 of the 933 keV that its electrons carry per decay are radiated, thousands of times its photons."""
    (warning,) = [text for text in s_values_of_safs("Y-90", safs).record.warnings if "bremsstrahlung" in text]
    assert "The electrons of Y-90 radiate 4 keV per decay as bremsstrahlung, its photons carry 0.0012 keV" in warning
    for nuclide in ("Lu-177", "I-131", "Cu-64"):
        assert not any("bremsstrahlung" in text for text in s_values_of_safs(nuclide, safs).record.warnings)
