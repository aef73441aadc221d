"""Energy around a point source in shells, as the radial tables are made of it."""

from __future__ import annotations

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.media import named_material
from radiodosimetry.transport.shells import simulate_shells

WATER = named_material("water")


def test_shells_of_either_steps_hold_the_same_energy_within_a_radius_both_have() -> None:
    """Factors of 2 among them, which a look at the first two bounds could take for equal steps."""
    linear, doubling = np.arange(1.0, 9.0), np.array([1.0, 2.0, 4.0, 8.0])
    photons = {"histories": 20_000, "secondaries": "transported"}
    one, _ = simulate_shells(WATER, "photon", 0.2084, linear, steps="linear", **photons)
    other, _ = simulate_shells(WATER, "photon", 0.2084, doubling, steps="logarithmic", **photons)
    np.testing.assert_allclose(np.cumsum(one)[[0, 1, 3, 7]], np.cumsum(other)[:-1], rtol=1e-6)
    assert one[-1] == pytest.approx(other[-1], rel=1e-6)


def test_nearly_all_energy_of_an_electron_stays_within_its_range() -> None:
    energy, error = simulate_shells(WATER, "electron", 0.5, np.linspace(0.0, 0.2, 21)[1:], 4_000, steps="linear")
    assert energy.shape == error.shape == (21,)
    assert energy[:18].sum() == pytest.approx(0.5, rel=0.005)  # CSDA range 0.177 g/cm² (ESTAR); a little is radiated
    assert energy[0] > 0


@pytest.mark.parametrize(
    ("edges", "steps", "message"),
    [
        ([1.0, 2.0, 4.0], "linear", "do not ascend in equal linear steps"),
        ([1.0, 2.0, 3.0], "logarithmic", "do not ascend in equal logarithmic steps"),
        ([2.0, 3.0, 4.0], "linear", "do not ascend in equal linear steps"),  # the first shell begins at zero
        ([3.0, 2.0, 1.0], "linear", "do not ascend"),
        ([1.0, 2.0], "cubic", "Found shells in cubic steps; expected one of linear, logarithmic"),
        ([1.0], "linear", "expected at least two positive radii"),
        ([0.0, 1.0], "linear", "expected at least two positive radii"),
        ([1.0, float("nan")], "linear", "expected at least two positive radii"),
    ],
)
def test_bounds_that_do_not_keep_their_steps_are_refused(edges, steps, message) -> None:
    with pytest.raises(InputError, match=message):
        simulate_shells(WATER, "photon", 0.2, np.array(edges), 1_000, steps=steps)
