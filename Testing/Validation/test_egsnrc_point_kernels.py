"""Energy around a point source in water against EGSnrc (v2025a+3, 2026-11-20), shell by shell."""

from __future__ import annotations

import numpy as np
import pytest
from egsnrc_reference import read_columns
from numpy.typing import NDArray

from radiodosimetry.media import named_material
from radiodosimetry.nuclides.spectrum import ParticleSpectrum
from radiodosimetry.transport.point_kernels import point_kernel

ELECTRON_CUMULATIVE_PERCENT_OF_EMITTED = 1.5
"""Energy within any radius of an electron source: what the source voxel may differ by."""

NEAR_SHELL_PERCENT = 3.0
"""Shells within a quarter of the range, where electrons still fly straight."""


def within_radii(particle: str, energy_kev: float, radius_cm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Energy [MeV] our point kernel in water holds within radii."""
    spectrum = ParticleSpectrum(particle, np.array([energy_kev]), np.array([1.0]))
    kernel = point_kernel(named_material("water"), spectrum)
    return np.interp(10 * radius_cm, kernel.radius_mm, kernel.cumulative_energy_mev)


def test_electrons_leave_their_energy_within_the_same_radii() -> None:
    theirs = read_columns("dpk_e_water_497keV")
    ours = within_radii("electron", 497.0, theirs["outer_cm"])
    difference = 100 * (ours - np.cumsum(theirs["energy_mev"])) / 0.497
    assert np.abs(difference).max() <= ELECTRON_CUMULATIVE_PERCENT_OF_EMITTED


def test_electrons_give_the_first_shells_as_much() -> None:
    theirs = read_columns("dpk_e_water_497keV")
    near = theirs["outer_cm"] < 0.25 * 0.1766
    ours = np.diff(within_radii("electron", 497.0, theirs["outer_cm"]), prepend=0.0)
    ratio = ours[near] / theirs["energy_mev"][near]
    assert np.abs(ratio - 1).max() * 100 <= NEAR_SHELL_PERCENT, ratio


def test_bremsstrahlung_carries_as_much_beyond_the_range() -> None:
    theirs = read_columns("dpk_e_water_497keV")
    beyond = 0.497 - within_radii("electron", 497.0, theirs["inner_cm"][-1:])[0]
    sigma = theirs["energy_mev"][-1] * theirs["uncertainty_percent"][-1] / 100
    assert abs(beyond - theirs["energy_mev"][-1]) <= 3 * sigma


def test_photons_fill_shells_alike_from_one_millimetre_on() -> None:
    theirs = read_columns("dpk_g_water_208keV")
    shells = theirs["inner_cm"] > 0.1
    ours = np.diff(within_radii("photon", 208.4, theirs["outer_cm"]), prepend=0.0)
    sigma = theirs["energy_mev"] * theirs["uncertainty_percent"] / 100
    deviation = ((ours - theirs["energy_mev"]) / sigma)[shells]
    percent = 100 * (ours / theirs["energy_mev"] - 1)[shells]
    assert np.mean((np.abs(deviation) <= 3) | (np.abs(percent) <= 3)) >= 0.99
    assert np.abs(np.cumsum(ours - theirs["energy_mev"])).max() / 0.2084 <= 0.003


@pytest.mark.parametrize(("file", "emitted_mev"), [("dpk_e_water_497keV", 0.497), ("dpk_g_water_208keV", 0.2084)])
def test_the_reference_itself_holds_all_energy(file: str, emitted_mev: float) -> None:
    assert read_columns(file)["energy_mev"].sum() == pytest.approx(emitted_mev, rel=5e-4)
