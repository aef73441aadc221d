"""The sphere model: its geometric factor, its limits, tissues, and what is refused. Printed values: Validation."""

from __future__ import annotations

import numpy as np
import pytest

from radiodosimetry.errors import InputError, UnknownMediumError, UnknownNuclideError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.emissions import decay_emissions
from radiodosimetry.organ_dose.spheres import (
    absorbed_energy_mev,
    chord_weight,
    sphere_radius_mm,
    sphere_s_value,
    sphere_s_values,
)
from radiodosimetry.transport.point_kernels import PointKernel
from radiodosimetry.units import JOULE_PER_MEV


def test_the_chance_to_stay_in_the_sphere_is_that_of_random_points(rng: np.random.Generator) -> None:
    count = 200_000
    direction, way = rng.standard_normal((2, count, 3))
    start = direction / np.linalg.norm(direction, axis=1)[:, None] * rng.random(count)[:, None] ** (1 / 3)
    way /= np.linalg.norm(way, axis=1)[:, None]
    for distance in (0.2, 0.9, 1.7):
        inside = float(np.mean(np.linalg.norm(start + distance * way, axis=1) <= 1.0))
        # one standard error is 0.0011 at most
        assert chord_weight(distance * 4.0, 4.0) == pytest.approx(inside, abs=0.0045)
    assert chord_weight([0.0, 2.0, 9.0], 1.0) == pytest.approx([1.0, 0.0, 0.0])


def test_a_shell_of_energy_keeps_the_share_of_its_radius() -> None:
    radius_mm = np.array([0.0, 2.999, 3.001, 50.0])
    kernel = PointKernel(radius_mm, np.array([0.0, 0.0, 2.0, 2.0]), 2.0, np.array([0.0, 0.0, 0.1, 0.1]))
    absorbed, error = absorbed_energy_mev(kernel, 5.0)
    assert absorbed == pytest.approx(2.0 * (1 - 0.75 * 0.6 + 0.6**3 / 16), rel=1e-6)
    assert error == pytest.approx(0.1 * absorbed, rel=1e-6)


def test_a_radius_gives_back_the_mass() -> None:
    assert sphere_radius_mm(4 / 3 * np.pi * 1.04, 1.04) == pytest.approx(10.0)


def test_a_large_sphere_keeps_all_electrons_and_a_small_one_dose_by_the_way() -> None:
    large = sphere_s_value("Y-90", 1e6)
    assert large.electron_fraction == pytest.approx(1.0, abs=0.01)
    tiny, tinier = sphere_s_values("Y-90", [1e-3, 1e-3 / 8])
    # far below the range a particle's energy in the sphere goes with its radius
    assert tinier.absorbed_fraction / tiny.absorbed_fraction == pytest.approx(0.5, rel=0.15)


def test_the_absorbed_fraction_falls_with_the_mass_and_never_exceeds_one() -> None:
    spheres = sphere_s_values("I-131", [1e-3, 0.1, 1.0, 20.0, 400.0, 8000.0])
    fractions = [sphere.absorbed_fraction for sphere in spheres]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[-1] < 1
    assert all(0 < sphere.std_gy_per_bq_s < 0.01 * sphere.s_gy_per_bq_s for sphere in spheres)
    assert sphere_s_value("I-131", 20.0) == spheres[3]


def test_a_denser_tissue_is_a_smaller_sphere_with_the_same_paths_in_mass() -> None:
    """At the same composition a sphere of four times the density and a sixteenth of the mass keeps the same share."""
    light, dense = (
        sphere_s_value("Lu-177", 16.0, "soft-tissue", 0.5),
        sphere_s_value("Lu-177", 1.0, "soft-tissue", 2.0),
    )
    assert dense.radius_mm * 2.0 == pytest.approx(light.radius_mm * 0.5)
    # but for the density effect in bremsstrahlung and in the electrons' ranges, 6 in a million here
    assert dense.absorbed_fraction == pytest.approx(light.absorbed_fraction, rel=1e-4)


def test_lung_and_bone_differ_from_water_as_their_densities_say() -> None:
    lung, water, bone = (sphere_s_value("Y-90", 1.0, name) for name in ("lung", "water", "bone"))
    assert lung.radius_mm > water.radius_mm > bone.radius_mm
    assert lung.electron_fraction < water.electron_fraction < bone.electron_fraction


def test_alpha_particles_stay_and_small_spheres_are_warned_of() -> None:
    sphere = sphere_s_value("At-211", 1.0)
    emitted = decay_emissions("At-211")
    electrons_mev = emitted.electrons.energy_per_decay_kev * 1e-3 * sphere.electron_fraction
    kept_mev = emitted.local_energy_mev + electrons_mev + emitted.photon_energy_mev * sphere.photon_fraction
    assert emitted.local_energy_mev > 6.5
    assert sphere.s_gy_per_bq_s == pytest.approx(kept_mev * JOULE_PER_MEV / 1e-3)
    assert not any("leave a sphere" in warning for warning in sphere.record.warnings)
    small = sphere_s_value("At-211", 1e-7)
    assert any("α particles and recoils count as absorbed" in warning for warning in small.record.warnings)
    assert any("a few cells" in warning for warning in small.record.warnings)


def test_progeny_can_be_left_out_and_members_add_up() -> None:
    chain = sphere_s_value("Sr-90", 5.0)
    parent = Radionuclide("Sr-90")
    members = [(parent.name, 1.0), *parent.progeny]
    alone = sum(decays * sphere_s_value(name, 5.0, include_progeny=False).s_gy_per_bq_s for name, decays in members)
    assert chain.s_gy_per_bq_s == pytest.approx(alone, rel=1e-6)
    assert chain.s_gy_per_bq_s > 4 * sphere_s_value("Sr-90", 5.0, include_progeny=False).s_gy_per_bq_s


def test_the_record_says_what_was_computed() -> None:
    record = sphere_s_value("Ga-68", 12.0, "lung", 0.3).record
    assert record.parameters["medium"]["density_g_per_cm3"] == 0.3
    assert record.parameters["mass_g"] == 12.0
    assert "ICRP-107" in record.datasets["emissions"]
    assert len(record.datasets["point kernels"]) == 64


@pytest.mark.parametrize("mass_g", [0.0, -1.0, float("nan"), float("inf")])
def test_a_mass_that_is_none_is_refused(mass_g: float) -> None:
    with pytest.raises(InputError, match="mass of a sphere must be a number of grams above 0, found"):
        sphere_s_value("Lu-177", mass_g)


def test_unknown_tissues_nuclides_and_no_masses_are_refused() -> None:
    with pytest.raises(InputError, match="above 0, found none"):
        sphere_s_values("Lu-177", [])
    with pytest.raises(UnknownMediumError, match="There is no medium 'jelly'"):
        sphere_s_value("Lu-177", 1.0, "jelly")
    with pytest.raises(UnknownNuclideError, match="Lu-199"):
        sphere_s_value("Lu-199", 1.0)
    with pytest.raises(InputError, match="density"):
        sphere_s_value("Lu-177", 1.0, "water", -1.0)
