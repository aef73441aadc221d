"""Published numbers of marrow and bone: as printed, between the printed ones, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from radiodosimetry.errors import InputError, RegionError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.anatomy import SKELETON
from radiodosimetry.organ_dose.phantom import PHANTOM_NAMES
from radiodosimetry.organ_dose.skeleton import (
    SKELETAL_SOURCES,
    SKELETAL_TARGETS,
    SKELETON_MODELS,
    bone_surface_photon_factor,
    published_contents_masses_g,
    published_organ_masses_g,
    red_marrow_weights,
    skeletal_absorbed_fraction,
)

ENERGY_KEV = {"Tc-99m": 102.5, "Lu-177": 200.0, "I-131": 272.3, "F-18": 317.1, "Y-90": 1223.5}


@pytest.mark.parametrize("nuclide", ENERGY_KEV)
def test_electron_energies_of_the_table_are_those_of_the_decay_data(nuclide: str) -> None:
    emissions = Radionuclide(nuclide).emissions(include_progeny=False)
    spectra = emissions.electron_spectrum(), emissions.positron_spectrum()
    energy = sum(float(np.sum(s.energy_kev * s.yield_per_decay)) for s in spectra)
    squared = sum(float(np.sum(s.energy_kev**2 * s.yield_per_decay)) for s in spectra)
    assert squared / energy == pytest.approx(ENERGY_KEV[nuclide], abs=0.06)


@pytest.mark.parametrize(
    ("phantom", "target", "source", "nuclide", "fraction"),
    [
        ("adult-male", "red_marrow", "red_marrow", "Tc-99m", 0.574),
        ("adult-male", "red_marrow", "red_marrow", "Y-90", 0.440),
        ("adult-male", "red_marrow", "trabecular_bone_volume", "I-131", 0.163),
        ("adult-male", "osteogenic_cells", "cortical_bone_volume", "Y-90", 0.021),
        ("adult-female", "red_marrow", "red_marrow", "Lu-177", 0.567),
        ("adult-female", "red_marrow", "trabecular_bone_volume", "Y-90", 0.334),
        ("adult-female", "osteogenic_cells", "trabecular_bone_surface", "F-18", 0.055),
        ("adult-male", "red_marrow", "cortical_bone_surface", "Y-90", 0.0),
    ],
)
def test_fractions_at_a_nuclide_are_those_of_the_table(
    phantom: str, target: str, source: str, nuclide: str, fraction: float
) -> None:
    assert skeletal_absorbed_fraction(target, source, phantom, ENERGY_KEV[nuclide]) == pytest.approx(fraction)


def test_between_two_nuclides_the_fraction_is_linear_in_the_logarithm_of_the_energy() -> None:
    middle = math.sqrt(ENERGY_KEV["F-18"] * ENERGY_KEV["Y-90"])
    fraction = skeletal_absorbed_fraction("red_marrow", "red_marrow", "adult-male", middle)
    assert fraction == pytest.approx((0.485 + 0.440) / 2)


def test_beyond_the_table_its_end_values_stay() -> None:
    low, high = (skeletal_absorbed_fraction("red_marrow", "red_marrow", "adult-male", e) for e in (1.0, 5000.0))
    assert (low, high) == (0.574, 0.440)


@pytest.mark.parametrize(
    ("target", "source", "particle", "energy_kev", "fraction"),
    [
        ("red_marrow", "red_marrow", "electron", 500, 1.0),
        ("red_marrow", "trabecular_bone_surface", "alpha", 5000, 0.5),
        ("red_marrow", "trabecular_bone_volume", "alpha", 5000, 0.05),
        ("red_marrow", "trabecular_bone_volume", "electron", 100, 0.35),
        ("osteogenic_cells", "cortical_bone_surface", "electron", 199, 0.25),
        ("osteogenic_cells", "cortical_bone_surface", "electron", 200, 0.015),
        ("osteogenic_cells", "trabecular_bone_surface", "electron", 300, 0.025),
        ("osteogenic_cells", "cortical_bone_volume", "alpha", 5000, 0.01),
        ("osteogenic_cells", "red_marrow", "alpha", 5000, 0.5 * 120 / 1500),
    ],
)
def test_fractions_of_icrp_30_are_as_printed(
    target: str, source: str, particle: str, energy_kev: float, fraction: float
) -> None:
    found = skeletal_absorbed_fraction(target, source, "adult-male", energy_kev, particle, model="icrp-30")
    assert found == pytest.approx(fraction)


@pytest.mark.parametrize("source", SKELETAL_SOURCES)
@pytest.mark.parametrize("target", SKELETAL_TARGETS)
def test_alphas_take_icrp_30_whatever_the_model_of_electrons(target: str, source: str) -> None:
    values = {skeletal_absorbed_fraction(target, source, "adult-female", 6000, "alpha", m) for m in SKELETON_MODELS}
    assert len(values) == 1


@pytest.mark.parametrize("phantom", PHANTOM_NAMES)
@pytest.mark.parametrize("model", SKELETON_MODELS)
@pytest.mark.parametrize("source", SKELETAL_SOURCES)
def test_marrow_and_surfaces_together_absorb_no_more_than_is_emitted(phantom: str, model: str, source: str) -> None:
    for energy_kev in np.geomspace(5, 5000, 30):
        shares = [skeletal_absorbed_fraction(t, source, phantom, energy_kev, model=model) for t in SKELETAL_TARGETS]
        assert min(shares) >= 0
        # ICRP 30 lets marrow keep all and gives surfaces their dose on top: 4 % of the energy twice.
        assert sum(shares) <= (1.05 if (model, source) == ("icrp-30", "red_marrow") else 1.0)


def test_marrow_weights_cover_the_skeleton_and_sum_to_one() -> None:
    weights = red_marrow_weights()
    assert set(weights) == set(SKELETON)
    assert sum(weights.values()) == pytest.approx(1.0)
    assert weights["pelvis"] == pytest.approx(0.274, abs=0.001)
    assert weights["cranium"] == pytest.approx(0.076, abs=0.001)


def test_the_factor_of_bone_surfaces_goes_through_the_published_points() -> None:
    energies = np.array([20.0, 50.0, 100.0, 200.0, 500.0, 1000.0])
    np.testing.assert_allclose(bone_surface_photon_factor(energies), [1.59, 1.65, 1.54, 1.37, 1.19, 1.19])
    np.testing.assert_allclose(bone_surface_photon_factor([5.0, 3000.0]), [1.59, 1.19])
    assert bone_surface_photon_factor(math.sqrt(100 * 200)) == pytest.approx((1.54 + 1.37) / 2)


def test_masses_follow_the_model_of_the_bone() -> None:
    assert published_organ_masses_g("adult-male")["red_marrow"] == 1120
    assert published_organ_masses_g("adult-male", bone_model_masses=False)["red_marrow"] == 1500
    assert published_organ_masses_g("adult-female")["osteogenic_cells"] == 90
    assert published_organ_masses_g("adult-female")["kidneys"] == 275
    assert published_contents_masses_g("adult-female")["heart_contents"] == 410
    assert published_contents_masses_g("adult-male") == {}


@pytest.mark.parametrize("target", ["liver", "cortical_bone_surface"])
def test_a_target_outside_the_skeleton_is_refused(target: str) -> None:
    with pytest.raises(RegionError, match=f"'{target}' is not a target of the skeleton; expected one of: red_marrow"):
        skeletal_absorbed_fraction(target, "red_marrow", "adult-male", 100)


def test_a_source_outside_the_skeleton_is_refused() -> None:
    with pytest.raises(RegionError, match="'blood' is not a source of the skeleton; expected one of: red_marrow"):
        skeletal_absorbed_fraction("red_marrow", "blood", "adult-male", 100)


@pytest.mark.parametrize("change", [{"particle": "neutron"}, {"model": "icrp-133"}])
def test_an_unknown_particle_or_model_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected electron or alpha and olinda or icrp-30"):
        skeletal_absorbed_fraction("red_marrow", "red_marrow", "adult-male", 100, **change)


@pytest.mark.parametrize("energy_kev", [0.0, -5.0, math.nan, math.inf])
def test_an_energy_that_is_none_is_refused(energy_kev: float) -> None:
    with pytest.raises(InputError, match="must be a positive number of keV, found"):
        skeletal_absorbed_fraction("red_marrow", "red_marrow", "adult-male", energy_kev)
    with pytest.raises(InputError, match="must be positive numbers of keV, found"):
        bone_surface_photon_factor(energy_kev)


@pytest.mark.parametrize("verb", [published_organ_masses_g, published_contents_masses_g])
def test_an_unknown_phantom_has_no_masses(verb: Any) -> None:
    with pytest.raises(InputError, match="no phantom 'adult'; expected adult-male or adult-female"):
        verb("adult")
