"""Energies per decay, half-lives and chains against the check sums of ICRP-107 and against radioactivedecay."""

from __future__ import annotations

import hashlib
import math
import tomllib
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.nuclides.chains import branchings
from radiodosimetry.nuclides.dataset import decay_data, nuclide_names

ENERGY_PER_DECAY_KEV = {
    "Lu-177": (147.92, 35.10, 0.005),
    "Y-90": (933.1, 0.0012, 0.05),
    "Cu-64": (124.75, 185.5, 0.05),
    "I-131": (191.85, 382.8, 0.05),
    "Ga-68": (737.9, 948.7, 0.05),
    "F-18": (241.6, 988.6, 0.05),
}
"""Electrons and photons [keV], and half of the last printed digit."""

CHAIN_ENERGY_KEV = {
    "Ac-225": {"alphas": 27481, "electrons": 690, "photons": 219},
    "Ra-223": {"alphas": 26377},
    "Pb-212": {"alphas": 7802},
}
"""Per decay of the parent, progeny in equilibrium, recoil not counted, to the printed digit."""

BRANCHING_TOLERANCE = 1e-6
"""The table is written with eight digits."""

HALF_LIFE_TOLERANCE = 1e-4
"""The two packages print half-lives with different numbers of digits."""


@pytest.mark.parametrize("name", ENERGY_PER_DECAY_KEV)
def test_energy_per_decay_is_that_of_icrp_107(name: str) -> None:
    electrons, photons, half_digit = ENERGY_PER_DECAY_KEV[name]
    energy = Radionuclide(name).energy_per_decay_kev
    assert energy["electrons"] == pytest.approx(electrons, abs=half_digit * 1.001)
    assert energy["photons"] == pytest.approx(photons, abs=half_digit * 1.001)
    assert energy["alphas"] == 0.0


def test_lutetium_177_parts_are_those_of_icrp_107() -> None:
    emissions = Radionuclide("Lu-177").emissions()
    assert emissions.beta_minus.energy_per_decay_kev == pytest.approx(133.27, abs=0.005)
    assert emissions.conversion_electrons.energy_per_decay_kev == pytest.approx(13.52, abs=0.005)
    assert emissions.auger_electrons.energy_per_decay_kev == pytest.approx(1.13, abs=0.005)


def test_copper_64_parts_are_those_of_icrp_107() -> None:
    emissions = Radionuclide("Cu-64").emissions()
    assert emissions.beta_minus.energy_per_decay_kev == pytest.approx(74.27, abs=0.005)
    assert emissions.beta_plus.energy_per_decay_kev == pytest.approx(48.43, abs=0.005)
    assert emissions.auger_electrons.energy_per_decay_kev == pytest.approx(2.05, abs=0.005)


def test_yttrium_90_parts_are_those_of_icrp_107() -> None:
    emissions = Radionuclide("Y-90").emissions()
    assert emissions.beta_minus.energy_per_decay_kev == pytest.approx(932.9, abs=0.05)
    assert emissions.conversion_electrons.energy_per_decay_kev == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("name", CHAIN_ENERGY_KEV)
def test_chain_energy_per_parent_decay_is_that_of_icrp_107(name: str) -> None:
    energy = Radionuclide(name).energy_per_decay_kev
    for kind, expected_kev in CHAIN_ENERGY_KEV[name].items():
        assert round(energy[kind]) == expected_kev


def test_alpha_energy_leaves_out_the_recoil_which_is_two_percent() -> None:
    emissions = Radionuclide("Ac-225").emissions()
    share = emissions.alpha_recoils.energy_per_decay_kev / emissions.alphas.energy_per_decay_kev
    assert share == pytest.approx(0.02, abs=0.003)
    assert emissions.alpha_recoils.particle == "recoil"


def test_lead_212_branches_into_polonium_and_thallium() -> None:
    progeny = dict(Radionuclide("Pb-212").progeny)
    assert progeny == pytest.approx({"Bi-212": 1.0, "Po-212": 0.6406, "Tl-208": 0.3594})


@pytest.mark.parametrize(
    ("parent", "left_out"), [("Tc-99m", "Tc-99"), ("I-131", "Xe-131m"), ("At-211", "Bi-207"), ("Th-227", "Ra-223")]
)
def test_progeny_that_outlive_their_parent_are_left_out_and_named(parent: str, left_out: str) -> None:
    nuclide = Radionuclide(parent)
    assert left_out in [member.name for member in nuclide.excluded_progeny]
    assert left_out not in dict(nuclide.progeny)
    assert any(f"{left_out} (" in warning and "is not counted" in warning for warning in nuclide.warnings)


def test_what_follows_a_progeny_left_out_is_left_out_too() -> None:
    assert Radionuclide("Th-227").progeny == ()
    assert [member.name for member in Radionuclide("Mo-99").excluded_progeny] == ["Tc-99"]
    assert dict(Radionuclide("Mo-99").progeny) == pytest.approx({"Tc-99m": 0.8773})


def test_decays_of_a_chain_end_at_stable_products() -> None:
    for parent in ("Ac-225", "Ra-223", "Pb-212", "Lu-177", "Sr-90"):
        atoms = sum(count for _, count in Radionuclide(parent).chain.stable_products)
        assert atoms == pytest.approx(1.0, abs=2e-4)  # 0.012 % of At-217 goes to Rn-217, which ICRP-107 leaves out


def test_half_lives_are_those_of_icrp_107() -> None:
    assert Radionuclide("Lu-177").half_life_s == pytest.approx(6.647 * 86400)
    assert Radionuclide("F-18").half_life_s == pytest.approx(109.77 * 60)
    assert Radionuclide("Po-212").half_life_s == pytest.approx(2.99e-7)
    assert Radionuclide("Sr-90").half_life_s == pytest.approx(28.79 * 365.2422 * 86400)
    assert Radionuclide("Y-90").decay_constant_per_s == pytest.approx(math.log(2) / (64.1 * 3600))


def test_branching_of_alpha_emitters_agrees_with_their_alpha_yields() -> None:
    for parent in ("Ac-225", "Bi-212", "Bi-213", "At-211", "Tb-149", "Ra-223", "Ra-226"):
        alpha_yield = Radionuclide(parent).emissions(include_progeny=False).alphas.particles_per_decay
        heavier_by_four = {
            progeny: fraction
            for progeny, fraction in branchings()[parent]
            if int(progeny.split("-")[1].rstrip("m")) == int(parent.split("-")[1]) - 4
        }
        assert sum(heavier_by_four.values()) == pytest.approx(alpha_yield, abs=1e-3)


def test_branching_table_is_the_one_its_source_describes(package_folder: Path) -> None:
    folder = package_folder / "nuclides" / "data" / "decay_chains"
    source = tomllib.loads((folder / "SOURCE.toml").read_text(encoding="utf-8"))
    assert hashlib.sha256((folder / source["file"]).read_bytes()).hexdigest() == source["sha256"]


def test_branching_fractions_are_fractions_of_known_nuclides() -> None:
    for parent, progeny in branchings().items():
        assert parent in nuclide_names()
        fractions = [fraction for _, fraction in progeny]
        assert all(0 < fraction <= 1 for fraction in fractions)
        assert sum(fractions) <= 1 + 1e-4, parent  # printed to four or five digits
        for name, _ in progeny:
            assert name not in nuclide_names() or name in branchings(), f"{parent} ends at {name}, which decays"


def test_branching_table_agrees_with_radioactivedecay() -> None:
    radioactivedecay = pytest.importorskip(
        "radioactivedecay", reason="radioactivedecay is not installed (extra 'data'): its decay scheme is the reference"
    )
    for parent, progeny in branchings().items():
        reference = radioactivedecay.Nuclide(parent)
        expected = {
            str(name): float(fraction)
            for name, fraction in zip(reference.progeny(), reference.branching_fractions(), strict=True)
            if name != "various" and str(name) != "SF"
        }
        assert dict(progeny) == pytest.approx(expected, rel=BRANCHING_TOLERANCE)
        assert decay_data(parent).half_life_s == pytest.approx(reference.half_life("s"), rel=HALF_LIFE_TOLERANCE)


def test_ingrowth_agrees_with_radioactivedecay() -> None:
    radioactivedecay = pytest.importorskip(
        "radioactivedecay", reason="radioactivedecay is not installed (extra 'data'): its decay scheme is the reference"
    )
    times_s = np.array([86400.0, 30 * 86400.0])
    for parent in ("Ac-225", "Pb-212", "Ra-226", "Mo-99"):
        ours = Radionuclide(parent).ingrowth(times_s)
        for index, time_s in enumerate(times_s):
            left = radioactivedecay.Inventory({parent: 1.0}, "Bq").decay(float(time_s), "s").activities("Bq")
            for name, ratios in ours.items():
                assert ratios[index] == pytest.approx(float(left[name]), rel=1e-4, abs=1e-12), (parent, name, time_s)
