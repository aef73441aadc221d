"""What holds for any residence times, masses and kinetics: linear sums, scaling laws, there and back."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.effective_dose import effective_dose
from radiodosimetry.organ_dose.mird import OrganDoseTable, organ_doses
from radiodosimetry.organ_dose.organ_names import STYLISED_TARGETS, organ_named
from radiodosimetry.organ_dose.reference_masses import STYLISED_SOURCES, reference_masses_g
from radiodosimetry.organ_dose.residence_times import ResidenceTime
from radiodosimetry.organ_dose.s_value_table import SValueTable
from radiodosimetry.organ_dose.s_values import s_values_of_safs
from radiodosimetry.organ_dose.theranostics import converted_rates_per_s, converted_residence_time_s
from stylised_safs import closed_form_safs

PHANTOMS = ("adult-male", "adult-female")
NUCLIDES = ("F-18", "Cu-64", "Lu-177", "Y-90", "I-131", "Tc-99m", "Ac-225", "Ra-223")

phantoms = st.sampled_from(PHANTOMS)
nuclides = st.sampled_from(NUCLIDES)
organs = st.sampled_from([name for name in STYLISED_SOURCES if name != "total_body"])
seconds = st.floats(1.0, 1e6)
time_sets = st.dictionaries(organs, seconds, min_size=1, max_size=6)


@cache
def table_of(phantom: str, nuclide: str) -> SValueTable:
    return s_values_of_safs(nuclide, closed_form_safs(phantom))


def doses_of(times: dict[str, float], table: SValueTable, std: float = 0.0) -> OrganDoseTable:
    return organ_doses({name: ResidenceTime(value, std * value) for name, value in times.items()}, table)


@given(phantoms, nuclides, time_sets, st.floats(0.01, 100.0))
def test_doses_and_their_uncertainties_are_linear_in_the_residence_times(phantom, nuclide, times, factor) -> None:
    table = table_of(phantom, nuclide)
    once = doses_of(times, table, 0.1)
    scaled = doses_of({name: factor * value for name, value in times.items()}, table, 0.1)
    np.testing.assert_allclose(scaled.dose_gy_per_bq, factor * once.dose_gy_per_bq, rtol=1e-12)
    np.testing.assert_allclose(scaled.std_gy_per_bq, factor * once.std_gy_per_bq, rtol=1e-12)


@given(phantoms, nuclides, time_sets)
def test_doses_of_the_sources_add_up_in_any_order(phantom, nuclide, times) -> None:
    table = table_of(phantom, nuclide)
    together = doses_of(dict(reversed(times.items())), table).dose_gy_per_bq
    alone = sum(doses_of({name: value}, table).dose_gy_per_bq for name, value in times.items())
    np.testing.assert_allclose(together, alone, rtol=1e-12)


@given(phantoms, nuclides, time_sets)
def test_effective_dose_lies_between_the_doses_it_weighs(phantom, nuclide, times) -> None:
    doses = doses_of(times, table_of(phantom, nuclide))
    weighted = doses.weighted_dose_gy_per_bq(20.0)
    found = effective_dose(doses, phantom.removeprefix("adult-")).value_sv_per_bq
    assert 0.99 * weighted.min() * (1 - 1e-12) <= found <= 0.99 * weighted.max() * (1 + 1e-12)


@given(phantoms, st.sampled_from(("P-32", "Y-90", "Lu-177")), st.floats(0.2, 5.0), st.floats(0.2, 5.0))
def test_self_dose_falls_with_mass_between_both_scaling_laws(phantom, nuclide, first, second) -> None:
    safs = closed_form_safs(phantom)
    reference_g = reference_masses_g(phantom)["liver"]
    one, other = (s_values_of_safs(nuclide, safs, {"liver": factor * reference_g}) for factor in (first, second))
    ratio = one.value("liver", "liver") / other.value("liver", "liver")
    low, high = sorted(((second / first) ** (2 / 3), second / first))
    assert low * (1 - 1e-12) <= ratio <= high * (1 + 1e-12)
    assert one.value("spleen", "liver") == other.value("spleen", "liver")


@given(phantoms, nuclides, st.lists(organs, min_size=1, max_size=5, unique=True))
def test_activity_that_follows_mass_gives_an_organ_apart_from_them_the_dose_of_the_total_body(
    phantom, nuclide, sources
) -> None:
    table = table_of(phantom, nuclide)
    body_g = table.source_masses_g["total_body"]
    shares = {name: table.source_masses_g[name] / body_g for name in sources}
    parts = doses_of({**shares, "remainder_of_body": 1.0 - sum(shares.values())}, table)
    whole = doses_of({"total_body": 1.0}, table)
    floored = [row for row, value in enumerate(parts.contributions_gy_per_bq[:, -1]) if value == 0.0]
    kept = [row for row in range(len(STYLISED_TARGETS)) if row not in floored]
    np.testing.assert_allclose(parts.dose_gy_per_bq[kept], whole.dose_gy_per_bq[kept], rtol=1e-9)


@given(
    st.sampled_from(("Ga-68", "Cu-64", "F-18")), st.sampled_from(("Lu-177", "Cu-67", "Ac-225")), st.floats(0.0, 1e-3)
)
def test_conversion_there_and_back_is_the_identity(measured, wanted, biological) -> None:
    rate = biological + Radionuclide(measured).decay_constant_per_s
    there = converted_rates_per_s([rate], measured, wanted)
    np.testing.assert_allclose(converted_rates_per_s(there, wanted, measured), [rate], rtol=1e-9)


@given(st.floats(1e3, 1e9), st.floats(0.0, 1e-3), st.floats(1e3, 1e9))
def test_a_residence_time_never_exceeds_that_of_pure_decay(amplitude, biological, administered) -> None:
    rate = biological + Radionuclide("Ga-68").decay_constant_per_s
    found = converted_residence_time_s([amplitude], [rate], administered, "Ga-68", "Lu-177")
    most = amplitude / administered / Radionuclide("Lu-177").decay_constant_per_s
    assert 0 < found <= most * (1 + 1e-9)


@settings(max_examples=50)
@given(st.sampled_from(STYLISED_TARGETS), st.randoms(use_true_random=False))
def test_an_organ_is_found_under_any_case_and_separator(name, random) -> None:
    written = "".join(letter.upper() if random.random() < 0.5 else letter for letter in name)
    written = written.replace("_", random.choice([" ", "-", "_", "  "]))
    assert organ_named(f" {written} ", STYLISED_TARGETS, "target") == name


@pytest.mark.parametrize("phantom", PHANTOMS)
def test_every_source_has_a_mass_and_a_column(phantom) -> None:
    table = table_of(phantom, "Lu-177")
    assert set(table.source_masses_g) == set(STYLISED_SOURCES) == set(table.sources)
    assert min(table.source_masses_g.values()) > 0
