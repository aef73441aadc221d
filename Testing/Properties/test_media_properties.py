"""What holds for every mixture and every CT number."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.errors import InputError
from radiodosimetry.media import Material, electron_table, known_elements, photon_table, schneider_2000

mixtures = st.dictionaries(st.sampled_from(sorted(known_elements())), st.floats(0.01, 1.0), min_size=1, max_size=5).map(
    lambda shares: {symbol: share / sum(shares.values()) for symbol, share in shares.items()}
)
densities = st.floats(0.001, 5.0)


@settings(max_examples=20, deadline=None)
@given(mixtures, densities)
def test_every_mixture_has_sound_photon_coefficients(fractions: dict[str, float], density: float) -> None:
    table = photon_table(Material("mixture", fractions, density))
    for name in ("coherent", "incoherent", "photoelectric", "pair"):
        values = getattr(table, name)
        assert np.isfinite(values).all()
        assert np.all(values >= 0)
    assert np.all(table.energy_absorption <= table.energy_transfer)
    assert np.all(table.energy_transfer < table.total)
    assert np.all((table.compton_energy_transfer_fraction > 0) & (table.compton_energy_transfer_fraction < 1))
    assert np.all(np.diff(table.compton_energy_transfer_fraction) > 0)


@settings(max_examples=20, deadline=None)
@given(mixtures, densities)
def test_every_mixture_has_sound_stopping_powers(fractions: dict[str, float], density: float) -> None:
    for particle in ("electron", "positron"):
        table = electron_table(Material("mixture", fractions, density), particle)  # type: ignore[arg-type]
        assert np.all(table.collision_mev_cm2_per_g > 0)
        assert np.all(np.diff(table.csda_range_g_per_cm2) > 0)
        assert np.all(np.diff(table.density_effect) >= -1e-9)
        assert np.all((table.radiation_yield > 0) & (table.radiation_yield < 0.1))


@settings(max_examples=20, deadline=None)
@given(mixtures, mixtures, st.floats(0.0, 1.0))
def test_mixing_is_linear_in_mass(first: dict[str, float], second: dict[str, float], share: float) -> None:
    both = {
        symbol: share * first.get(symbol, 0.0) + (1 - share) * second.get(symbol, 0.0) for symbol in {*first, *second}
    }
    tables = [photon_table(Material("mixture", fractions, 1.0)) for fractions in (first, second, both)]
    for name in ("coherent", "incoherent", "photoelectric", "pair"):
        one, two, mixed = (getattr(table, name) for table in tables)
        np.testing.assert_allclose(mixed, share * one + (1 - share) * two, rtol=1e-9)


@given(st.floats(-40000, 31000))
def test_every_number_of_a_scanner_has_a_density_and_a_tissue(hu: float) -> None:
    conversion = schneider_2000()
    assert 0.00121 <= conversion.density_g_per_cm3(hu) <= 2.8
    assert 0 <= int(conversion.tissue_index(hu)) < 24


@given(st.floats(-3100, 3100), st.floats(0, 500))
def test_density_never_falls_but_at_the_published_step(hu: float, more: float) -> None:
    conversion = schneider_2000()
    low, high = float(conversion.density_g_per_cm3(hu)), float(conversion.density_g_per_cm3(hu + more))
    assert high >= low - (1.1199 - 1.0762) - 1e-12
    if not (hu <= 101 and hu + more >= 100):
        assert high >= low - 1e-12


@given(st.one_of(st.just(float("nan")), st.floats(31000.5, 1e300), st.just(float("inf")), st.just(float("-inf"))))
def test_what_no_scanner_writes_is_refused(hu: float) -> None:
    try:
        schneider_2000().density_g_per_cm3(hu)
    except InputError:
        return
    raise AssertionError("an absurd CT number was accepted")
