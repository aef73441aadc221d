"""Materials are compositions that add up, and media are found by name."""

from __future__ import annotations

import json
import pickle

import pytest

from radiodosimetry.errors import InputError, UnknownMediumError
from radiodosimetry.media import Material, known_elements, named_material, named_materials

WATER = {"H": 0.111894, "O": 0.888106}


def test_water_lung_and_bone_have_the_published_densities() -> None:
    assert named_material("water").density_g_per_cm3 == 1.0
    assert named_material("lung").density_g_per_cm3 == 0.26
    assert named_material("bone").density_g_per_cm3 == 1.85
    assert named_material("soft-tissue").density_g_per_cm3 == 1.04


def test_compact_bone_holds_what_icru_says() -> None:
    bone = named_material("bone")
    assert bone.mass_fractions["Ca"] == pytest.approx(0.147)
    assert bone.mass_fractions["H"] == pytest.approx(0.063984)
    assert bone.mean_excitation_energy_ev == 91.9


def test_there_are_28_named_media_and_every_one_sums_to_one() -> None:
    media = named_materials()
    assert len(media) == 28
    for material in media.values():
        assert sum(material.mass_fractions.values()) == pytest.approx(1, abs=1e-12)


def test_electrons_per_gram_of_water_are_those_of_estar() -> None:
    assert named_material("water").electrons_mol_per_g == pytest.approx(0.555087, rel=1e-5)


@pytest.mark.parametrize(
    ("fractions", "published_ev"),
    [
        ("H .063984 C .278 N .027 O .410016 Mg .002 P .07 S .002 Ca .147", 91.9),  # compact bone, ICRU
        (
            "H .047234 C .144330 N .041990 O .446096 Mg .0022 P .104970 S .00315 Ca .209930",
            106.4,
        ),  # cortical bone, ICRP
        ("H .119477 C .637240 N .00797 O .232333 Na .0005 P .00016 S .00073 Cl .00119 K .00032 Ca .00002", 63.2),  # fat
        ("H .101997 C .123 N .035 O .729003 Na .0008 Mg .0002 P .002 S .005 K .003", 74.7),  # striated muscle, ICRU
    ],
)
def test_additivity_rule_gives_the_mean_excitation_energies_of_icru_37(fractions: str, published_ev: float) -> None:
    words = fractions.split()
    composition = {symbol: float(share) for symbol, share in zip(words[::2], words[1::2], strict=True)}
    assert Material("tissue", composition, 1.0).mean_excitation_energy_ev == pytest.approx(published_ev, rel=0.004)


def test_elements_have_their_first_and_last_printed_values() -> None:
    elements = known_elements()
    assert list(elements)[0] == "H"
    assert list(elements)[-1] == "Ti"
    assert elements["H"].atomic_weight_g_per_mol == 1.00794
    assert elements["H"].mean_excitation_energy_ev == 19.2
    assert elements["Ti"].atomic_weight_g_per_mol == 47.88
    assert elements["Ti"].mean_excitation_energy_ev == 233
    for element in elements.values():
        assert element.shell_electrons.sum() == element.atomic_number


def test_fractions_that_round_are_normalised_and_zeros_dropped() -> None:
    material = Material("rounded", {"H": 0.112, "O": 0.898, "Ca": 0.0}, 1.0)
    assert dict(material.mass_fractions) == pytest.approx({"H": 0.112 / 1.01, "O": 0.898 / 1.01})


def test_another_density_keeps_composition_and_excitation_energy() -> None:
    dense = named_material("water").with_density(1.2)
    assert dense.density_g_per_cm3 == 1.2
    assert dense.mean_excitation_energy_ev == 75.0
    assert dense.mass_fractions == named_material("water").mass_fractions
    assert dense != named_material("water")


def test_equal_materials_are_one_key_and_survive_pickling() -> None:
    first, second = Material("w", WATER, 1.0), Material("w", dict(reversed(WATER.items())), 1.0)
    assert len({first, second}) == 1
    assert pickle.loads(pickle.dumps(first)) == first


def test_a_material_is_told_by_its_values_alone() -> None:
    lung = named_material("lung")
    values = lung.as_dict()
    assert json.loads(json.dumps(values)) == values
    assert Material(**values) == lung


def test_a_material_does_not_change() -> None:
    with pytest.raises(AttributeError, match="does not change"):
        named_material("water").density_g_per_cm3 = 2.0  # type: ignore[misc]


@pytest.mark.parametrize("name", ["Soft Tissue", "SOFT_TISSUE", " soft-tissue "])
def test_names_are_found_however_they_are_typed(name: str) -> None:
    assert named_material(name).name == "soft-tissue"


def test_an_unknown_medium_offers_the_nearest_names() -> None:
    with pytest.raises(UnknownMediumError, match=r"no medium 'watr'; did you mean water .* names: water, lung, bone"):
        named_material("watr")
    with pytest.raises(UnknownMediumError, match=r"no medium 'xqz'; all names: water"):
        named_material("xqz")


def test_an_element_without_tables_is_named() -> None:
    with pytest.raises(UnknownMediumError, match=r"element\(s\) U, .* expected only H, C"):
        Material("ore", {"U": 0.5, "O": 0.5}, 5.0)


def test_percent_instead_of_fractions_is_refused() -> None:
    with pytest.raises(InputError, match=r"sum to 100; expected 1 within 0.02\. Give fractions \(not percent\)"):
        Material("water", {"H": 11.2, "O": 88.8}, 1.0)


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_impossible_fractions_are_refused(share: float) -> None:
    with pytest.raises(InputError, match="expected a number from 0 to 1"):
        Material("odd", {"H": share, "O": 1.0}, 1.0)


@pytest.mark.parametrize("density", [0.0, -1.0, 1000.0, float("nan")])
def test_impossible_densities_are_refused(density: float) -> None:
    with pytest.raises(InputError, match=r"expected a number above 0 and up to 25 g/cm³"):
        Material("water", WATER, density)


def test_an_excitation_energy_in_kev_is_refused() -> None:
    with pytest.raises(InputError, match=r"expected 10 to 1000 eV\. Give it in eV"):
        Material("water", WATER, 1.0, 0.075)
