"""Photon tables against printed NIST values, closed forms and each other."""

from __future__ import annotations

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.media import Material, named_material, photon_table
from radiodosimetry.media.data_tables import read_package_table
from radiodosimetry.media.photons import AVOGADRO_PER_MOL_TIMES_BARN_CM2, PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM

CLASSICAL_RADIUS_SQUARED_BARN = 0.07940787
ELECTRON_MASS_KEV = 510.99895


@pytest.mark.parametrize(
    ("energy_kev", "printed"),
    [(100, 0.1707), (150, 0.1505), (200, 0.1370), (300, 0.1186), (500, 0.09687), (1000, 0.07072)],
)
def test_attenuation_of_water_is_that_of_nist(energy_kev: float, printed: float) -> None:
    assert photon_table(named_material("water")).at("total", energy_kev) == pytest.approx(printed, rel=5e-4)


@pytest.mark.parametrize(("energy_kev", "printed"), [(100, 0.02546), (500, 0.03299)])
def test_energy_absorption_of_water_is_that_of_nist(energy_kev: float, printed: float) -> None:
    assert photon_table(named_material("water")).at("energy_absorption", energy_kev) == pytest.approx(printed, rel=1e-3)


def test_attenuation_of_other_mixtures_is_that_of_nist() -> None:
    cortical_bone_icru44 = Material(
        "cortical bone ICRU-44",
        {"H": 0.034, "C": 0.155, "N": 0.042, "O": 0.435, "Na": 0.001, "Mg": 0.002, "P": 0.103, "S": 0.003, "Ca": 0.225},
        1.92,
    )
    dry_air = Material("dry air", {"C": 0.000124, "N": 0.755268, "O": 0.231781, "Ar": 0.012827}, 0.001205)
    assert photon_table(cortical_bone_icru44).at("total", 100.0) == pytest.approx(0.1855, rel=1e-3)
    assert photon_table(dry_air).at("total", [100.0, 1000.0]) == pytest.approx([0.1541, 0.06358], rel=1e-3)


def test_first_and_last_cross_sections_are_those_of_xcom() -> None:
    table = read_package_table("photon_cross_sections")
    assert table["element"][0] == "H"
    assert table["energy_kev"][0] == 1
    assert table["coherent_barn"][0] == 0.5805
    assert table["photoelectric_barn"][0] == 11.41
    oxygen = table["element"] == "O"
    assert table["energy_kev"][-1] == 3000
    assert table["incoherent_barn"][oxygen][-1] == 0.9226
    assert table["pair_nuclear_barn"][oxygen][-1] == 0.03241
    assert table["pair_electron_barn"][oxygen][-1] == 0.0003228


def test_pair_production_rises_with_the_third_power_from_its_threshold() -> None:
    water = photon_table(named_material("water"))
    assert np.all(water.pair[water.energy_kev < 1022] == 0)
    oxygen = photon_table(Material("oxygen", {"O": 1.0}, 1.0))
    at_1250 = oxygen.at("pair", 1250.0)
    assert at_1250 == pytest.approx(0.0005159 * 0.602214 / 15.9994, rel=5e-3)  # XCOM: 5.159e-4 barn
    assert oxygen.at("pair", 1050.0) < 0.01 * at_1250


def test_absorption_edge_of_calcium_is_a_step_of_two_points() -> None:
    calcium = photon_table(Material("calcium", {"Ca": 1.0}, 1.55))
    edge = np.flatnonzero(calcium.energy_kev == 4.0381e0)[0]
    assert calcium.energy_kev[edge - 1] == pytest.approx(4.0381, rel=2e-6)
    assert calcium.photoelectric[edge] / calcium.photoelectric[edge - 1] == pytest.approx(6.797e4 / 7.763e3, rel=1e-3)


@pytest.mark.parametrize("name", ["water", "bone", "lung", "titanium", "air"])
def test_all_media_share_one_grid_and_add_up(name: str) -> None:
    water, other = photon_table(named_material("water")), photon_table(named_material(name))
    np.testing.assert_array_equal(water.energy_kev, other.energy_kev)
    np.testing.assert_array_equal(water.momentum_transfer_per_angstrom, other.momentum_transfer_per_angstrom)
    np.testing.assert_allclose(
        other.total, other.coherent + other.incoherent + other.photoelectric + other.pair, rtol=1e-12
    )
    assert np.all(other.energy_absorption <= other.energy_transfer)
    assert np.all(other.energy_transfer <= other.total)


@pytest.mark.parametrize("name", ["water", "bone"])
@pytest.mark.parametrize("energy_kev", [30.0, 60.0, 100.0, 200.0, 500.0, 1000.0, 2500.0])
def test_scattering_functions_integrate_to_the_cross_sections_of_xcom(name: str, energy_kev: float) -> None:
    """Two independent sources, xraylib and XCOM, tell the same cross-section within 0.6 %."""
    material = named_material(name)
    table = photon_table(material)
    nodes, weights = np.polynomial.legendre.leggauss(600)
    t, weights = 0.5 * (nodes + 1), 0.5 * weights
    x = energy_kev / PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM * t
    cosine = 1 - 2 * t**2
    grid = np.log(table.momentum_transfer_per_angstrom)
    bound = np.interp(np.log(x), grid, table.incoherent_scattering_function)
    ratio = 1 / (1 + energy_kev / ELECTRON_MASS_KEV * (1 - cosine))
    klein_nishina = 0.5 * CLASSICAL_RADIUS_SQUARED_BARN * ratio**2 * (ratio + 1 / ratio - 1 + cosine**2)
    solid_angle = 2 * np.pi * 4 * t * weights
    per_barn = AVOGADRO_PER_MOL_TIMES_BARN_CM2 * material.electrons_mol_per_g
    assert per_barn * np.sum(klein_nishina * bound * solid_angle) == pytest.approx(
        float(table.at("incoherent", energy_kev)), rel=0.006
    )


def test_compton_electron_of_a_free_electron_takes_the_klein_nishina_share() -> None:
    """Klein-Nishina's mean shares are 0.1383 at 100 keV and 0.4401 at 1 MeV; binding adds at low energy."""
    share = photon_table(named_material("water")).at("compton_energy_transfer_fraction", [100.0, 1000.0])
    assert share[0] == pytest.approx(0.1383, rel=0.012)
    assert share[0] > 0.1383
    assert share[1] == pytest.approx(0.4401, rel=1e-3)


@pytest.mark.parametrize("name", ["water", "bone", "titanium"])
def test_sampling_tables_are_monotonic_and_reach_their_ends(name: str) -> None:
    table = photon_table(named_material(name))
    assert len(table.momentum_transfer_per_angstrom) == 128
    assert np.all(np.diff(table.coherent_cumulative) > 0)
    assert table.coherent_cumulative[-1] == 1
    assert np.all(np.diff(table.incoherent_scattering_function) >= 0)
    assert table.incoherent_scattering_function[-1] == pytest.approx(1, abs=1e-6)
    assert np.all(np.diff(table.form_factor_squared) <= 0)
    assert table.form_factor_squared[0] == 1
    assert table.momentum_transfer_per_angstrom[-1] > 3000 / PLANCK_TIMES_LIGHT_SPEED_KEV_ANGSTROM


def test_form_factors_begin_with_all_electrons() -> None:
    table = read_package_table("form_factors")
    for symbol, electrons in (("H", 1), ("O", 8), ("Ti", 22)):
        assert table["form_factor"][table["element"] == symbol][0] == pytest.approx(electrons, rel=1e-4)
        assert table["scattering_function"][table["element"] == symbol][-1] == pytest.approx(electrons, rel=1e-6)


def test_tables_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        photon_table(named_material("water")).total[0] = 0


@pytest.mark.parametrize("energy_kev", [0.5, 3001.0, float("nan")])
def test_energies_outside_the_tables_are_refused(energy_kev: float) -> None:
    with pytest.raises(InputError, match="the tables reach from 1 to 3000 keV"):
        photon_table(named_material("water")).at("total", energy_kev)
