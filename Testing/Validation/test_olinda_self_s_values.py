"""Self S-values of Lu-177 in the adult male against the published ones of OLINDA-like tables.

The published values hold for the masses of ICRP Publication 89; S times mass is compared, as the phantom's masses are
those of its geometry. Three digits are printed.
"""

from __future__ import annotations

import pytest

from radiodosimetry.organ_dose.reference_masses import reference_masses_g
from radiodosimetry.organ_dose.s_values import phantom_s_values

MGY_PER_MBQ_S = 1e-9

PUBLISHED = {"liver": (1.37e-5, 1800.0), "spleen": (1.60e-4, 150.0), "kidneys": (7.76e-5, 310.0)}
"""Organ to S [mGy/(MBq s)] and its mass [g]."""

TOLERANCE = 0.01
"""Agreement asked for: the decay data and the geometry of both differ by less."""


@pytest.mark.parametrize("organ", PUBLISHED)
def test_self_dose_times_mass_of_lu_177_is_the_published_one(organ: str) -> None:
    published, mass_g = PUBLISHED[organ]
    table = phantom_s_values("Lu-177", "adult-male")
    ours = table.value(organ, organ) / MGY_PER_MBQ_S * reference_masses_g("adult-male")[organ]
    assert ours == pytest.approx(published * mass_g, rel=TOLERANCE)


@pytest.mark.parametrize("organ", PUBLISHED)
def test_scaled_to_the_published_mass_the_s_value_is_the_published_one(organ: str) -> None:
    published, mass_g = PUBLISHED[organ]
    scaled = phantom_s_values("Lu-177", "adult-male", {organ: mass_g})
    assert scaled.value(organ, organ) / MGY_PER_MBQ_S == pytest.approx(published, rel=TOLERANCE)


def test_the_statistics_of_the_photons_leave_room_for_the_comparison() -> None:
    table = phantom_s_values("Lu-177", "adult-male")
    for organ in PUBLISHED:
        assert table.std(organ, organ) < 0.1 * TOLERANCE * table.value(organ, organ)
