"""The MIRD sum on tables small enough to compute by hand, and what is built on it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError, RegionError
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.effective_dose import (
    SURROGATES,
    TISSUE_WEIGHTS,
    effective_dose,
    is_therapy_nuclide,
    sex_averaged,
)
from radiodosimetry.organ_dose.marrow_dose import (
    marrow_residence_time_from_blood,
    marrow_residence_time_from_image,
    marrow_to_blood_ratio,
)
from radiodosimetry.organ_dose.mird import OrganDoseTable, organ_doses
from radiodosimetry.organ_dose.organ_names import STYLISED_TARGETS, organ_named
from radiodosimetry.organ_dose.residence_times import ResidenceTime, read_organ_masses_g, read_residence_times
from radiodosimetry.organ_dose.s_value_table import SValueTable
from radiodosimetry.organ_dose.theranostics import (
    converted_activity_bq,
    converted_rates_per_s,
    converted_residence_time_s,
)
from radiodosimetry.provenance import Record

MASSES_G = {"liver": 2000.0, "spleen": 200.0, "total_body": 70_000.0}


def small_table(nuclide: str = "F-18", alpha: np.ndarray | None = None) -> SValueTable:
    s = np.array([[4.0, 0.5, 1.2], [0.25, 9.0, 1.1], [1.0, 1.5, 2.0]])
    return SValueTable(
        ("liver", "spleen", "total_body"),
        ("liver", "spleen", "total_body"),
        s,
        0.1 * s,
        nuclide,
        Record("made up", datasets={"decay data": "none"}),
        alpha_gy_per_bq_s=alpha,
        source_masses_g=MASSES_G,
    )


def uniform_doses(dose: float = 1.0, nuclide: str = "F-18", administered_bq: float | None = None) -> OrganDoseTable:
    """The same dose per activity in every target of a stylised adult."""
    table = SValueTable(
        STYLISED_TARGETS,
        ("total_body",),
        np.full((len(STYLISED_TARGETS), 1), dose),
        np.zeros((len(STYLISED_TARGETS), 1)),
        nuclide,
        Record("made up"),
        alpha_gy_per_bq_s=np.full((len(STYLISED_TARGETS), 1), 0.5 * dose) if nuclide == "Ac-225" else None,
    )
    return organ_doses({"total_body": ResidenceTime(1.0)}, table, administered_bq)


def test_a_dose_is_the_sum_of_residence_times_times_s_values() -> None:
    doses = organ_doses({"liver": ResidenceTime(10.0, 1.0), "spleen": ResidenceTime(2.0)}, small_table(), 50.0)
    np.testing.assert_allclose(doses.dose_gy_per_bq, [41.0, 20.5, 13.0])
    np.testing.assert_allclose(doses.dose_gy, [2050.0, 1025.0, 650.0])
    np.testing.assert_allclose(doses.contributions_gy_per_bq[0], [40.0, 1.0])
    assert doses.largest_sources == ("liver", "spleen", "liver")
    assert doses.dose_of("Liver") == 41.0


def test_uncertainties_of_residence_times_and_s_values_add_in_squares() -> None:
    doses = organ_doses({"liver": ResidenceTime(10.0, 1.0), "spleen": ResidenceTime(2.0)}, small_table())
    expected = math.sqrt((4.0 * 1.0) ** 2 + (0.4 * 10.0) ** 2 + (0.05 * 2.0) ** 2)
    assert doses.std_gy_per_bq[0] == pytest.approx(expected)


def test_without_an_administered_activity_there_is_no_dose_in_gray() -> None:
    assert organ_doses({"liver": ResidenceTime(10.0)}, small_table()).dose_gy is None


def test_the_remainder_is_what_the_other_sources_leave_of_the_total_body() -> None:
    doses = organ_doses({"liver": ResidenceTime(0.0), "remainder of body": ResidenceTime(3.0)}, small_table())
    expected = (70_000.0 * np.array([1.2, 1.1, 2.0]) - 2000.0 * np.array([4.0, 0.25, 1.0])) / 68_000.0
    np.testing.assert_allclose(doses.dose_gy_per_bq, 3.0 * expected)


def test_activity_spread_by_mass_over_organ_and_remainder_is_that_of_the_total_body() -> None:
    shared = organ_doses(
        {
            "liver": ResidenceTime(7.0 * 2 / 70),
            "spleen": ResidenceTime(7.0 * 0.2 / 70),
            "remainder": ResidenceTime(7.0 * 67.8 / 70),
        },
        small_table(),
    )
    whole = organ_doses({"total_body": ResidenceTime(7.0)}, small_table())
    np.testing.assert_allclose(shared.dose_gy_per_bq, whole.dose_gy_per_bq)


def test_a_remainder_below_zero_counts_as_none_and_is_told() -> None:
    table = small_table()
    s = table.s_gy_per_bq_s.copy()
    s[0, 0] = 500.0
    bent = SValueTable(table.targets, table.sources, s, table.std_gy_per_bq_s, "F-18", table.record, None, MASSES_G)
    doses = organ_doses({"liver": ResidenceTime(0.0), "remainder": ResidenceTime(1.0)}, bent)
    assert doses.dose_gy_per_bq[0] == 0.0
    assert doses.dose_gy_per_bq[1] > 0.0
    assert any("below zero and counts as 0 for liver" in warning for warning in doses.record.warnings)


def test_what_all_residence_times_share_adds_up_over_the_sources() -> None:
    """A calibration that is 5 % too high makes every dose 5 % too high, however many sources it comes from."""
    times = {"liver": ResidenceTime(100.0, 5.0), "spleen": ResidenceTime(300.0, 15.0)}
    table = dataclasses.replace(small_table(), std_gy_per_bq_s=np.zeros((3, 3)))
    shared = organ_doses(times, table, common_relative_std=0.05)
    np.testing.assert_allclose(shared.std_gy_per_bq, 0.05 * shared.dose_gy_per_bq, rtol=1e-12)
    apart = organ_doses(times, table)
    np.testing.assert_allclose(apart.std_gy_per_bq[0], math.hypot(4.0 * 5.0, 0.5 * 15.0), rtol=1e-12)
    # Half of the variance of one is its own.
    mixed = {"liver": ResidenceTime(100.0, 5.0 * math.sqrt(2.0)), "spleen": ResidenceTime(300.0, 15.0)}
    found = organ_doses(mixed, table, common_relative_std=0.05).std_gy_per_bq[0]
    assert found == pytest.approx(math.hypot(4.0 * 5.0, 0.05 * (400.0 + 150.0)), rel=1e-12)
    with pytest.raises(InputError, match="common relative uncertainty must be zero or more, found -0.1"):
        organ_doses(times, table, common_relative_std=-0.1)


def test_a_remainder_needs_masses() -> None:
    table = small_table()
    bare = SValueTable(table.targets, table.sources, table.s_gy_per_bq_s, table.std_gy_per_bq_s, "F-18", table.record)
    with pytest.raises(InputError, match="remainder of the body needs the masses .* found none of total_body, liver"):
        organ_doses({"liver": ResidenceTime(1.0), "remainder": ResidenceTime(1.0)}, bare)


def test_a_remainder_beside_the_total_body_is_refused() -> None:
    with pytest.raises(InputError, match="Both the total body and its remainder are sources; give one of them"):
        organ_doses({"total_body": ResidenceTime(1.0), "remainder": ResidenceTime(1.0)}, small_table())


def test_an_unknown_source_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(RegionError, match="'livre' is not a source organ .*; did you mean liver"):
        organ_doses({"livre": ResidenceTime(1.0)}, small_table())


def test_two_names_of_one_source_are_refused() -> None:
    with pytest.raises(RegionError, match="total_body is given twice .*'whole body'.*; add them up"):
        organ_doses({"total_body": ResidenceTime(1.0), "whole body": ResidenceTime(1.0)}, small_table())


@pytest.mark.parametrize("activity", [0.0, -1.0, math.nan, math.inf])
def test_an_administered_activity_that_is_not_positive_is_refused(activity: float) -> None:
    with pytest.raises(InputError, match="administered activity must be above 0 Bq"):
        organ_doses({"liver": ResidenceTime(1.0)}, small_table(), activity)


def test_no_source_is_refused() -> None:
    with pytest.raises(InputError, match="There is no residence time; give at least one source organ"):
        organ_doses({}, small_table())


def test_more_decays_than_the_nuclide_has_are_told_with_the_number() -> None:
    doses = organ_doses({"liver": ResidenceTime(10_000.0)}, small_table())
    assert any("add up to 2.778 h, more than the 2.639 h" in warning for warning in doses.record.warnings)


def test_a_total_body_beside_organs_is_told() -> None:
    doses = organ_doses({"liver": ResidenceTime(1.0), "total_body": ResidenceTime(1.0)}, small_table())
    assert any("counts twice" in warning for warning in doses.record.warnings)


def test_alpha_particles_are_weighted_apart() -> None:
    alpha = np.array([[3.0, 0.0, 1.0], [0.0, 8.0, 1.0], [0.5, 0.5, 1.0]])
    doses = organ_doses({"liver": ResidenceTime(2.0)}, small_table("Ac-225", alpha))
    np.testing.assert_allclose(doses.dose_gy_per_bq, [8.0, 0.5, 2.0])
    np.testing.assert_allclose(doses.weighted_dose_gy_per_bq(5.0), [8.0 + 4 * 6.0, 0.5, 2.0 + 4 * 1.0])
    np.testing.assert_allclose(doses.weighted_dose_gy_per_bq(1.0), doses.dose_gy_per_bq)


def test_alpha_particles_that_are_not_told_apart_cannot_be_weighted() -> None:
    doses = organ_doses({"liver": ResidenceTime(2.0)}, small_table("Ac-225"))
    with pytest.raises(InputError, match="do not tell what its alpha particles give"):
        doses.weighted_dose_gy_per_bq(5.0)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Urinary bladder wall", "urinary_bladder_wall"),
        ("bladder_wall", "urinary_bladder_wall"),
        ("Bone surfaces", "osteogenic_cells"),
        ("LLI Wall", "lli_wall"),
        ("Adrenal glands", "adrenals"),
        ("Whole-body", "total_body"),
    ],
)
def test_other_spellings_of_an_organ_are_understood(written: str, name: str) -> None:
    assert organ_named(written, STYLISED_TARGETS, "target") == name


def test_a_name_of_two_organs_is_not_guessed() -> None:
    with pytest.raises(RegionError, match="'heart' is not a target; did you mean heart_wall"):
        organ_named("heart", STYLISED_TARGETS, "target")


def test_weights_of_icrp_103_add_up_to_one() -> None:
    assert sum(TISSUE_WEIGHTS.values()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("sex", ["male", "female"])
def test_a_uniform_dose_is_the_effective_dose_but_for_the_salivary_glands(sex: str) -> None:
    found = effective_dose(uniform_doses(2.0, administered_bq=0.1), sex)
    assert found.value_sv_per_bq == pytest.approx(2.0 * 0.99)
    assert found.value_sv == pytest.approx(0.2 * 0.99)
    assert found.surrogates == SURROGATES


def test_effective_dose_weighs_each_tissue_and_its_surrogates() -> None:
    doses = uniform_doses(0.0)
    for target, expected in {
        "thymus": 0.04 + 0.12 / 9,
        "uli_wall": 0.12 * 0.57,
        "lli_wall": 0.12 * 0.43,
        "testes": 0.08,
        "ovaries": 0.0,
        "uterus": 0.0,
        "spleen": 0.12 / 9,
        "osteogenic_cells": 0.01,
        "total_body": 0.0,
        "liver": 0.04,
    }.items():
        values = np.zeros((len(STYLISED_TARGETS), 1))
        values[STYLISED_TARGETS.index(target)] = 1.0
        one = OrganDoseTable(
            doses.targets,
            ("total_body",),
            values,
            values[:, 0],
            None,
            doses.residence_times,
            None,
            "F-18",
            doses.record,
        )
        assert effective_dose(one, "male").value_sv_per_bq == pytest.approx(expected), target


def test_alpha_particles_count_twenty_times_in_effective_dose() -> None:
    found = effective_dose(uniform_doses(1.0, "Ac-225"), "male")
    assert found.value_sv_per_bq == pytest.approx(0.99 * (0.5 + 20 * 0.5))


def test_effective_dose_of_a_therapy_is_flagged() -> None:
    assert any(
        "Lu-177 is given for therapy" in flag for flag in effective_dose(uniform_doses(1.0, "Lu-177"), "male").flags
    )
    assert not any("therapy" in flag for flag in effective_dose(uniform_doses(1.0, "F-18"), "male").flags)


def test_effective_dose_beside_a_high_organ_dose_is_flagged() -> None:
    flags = effective_dose(uniform_doses(1.0, "F-18", administered_bq=0.6), "male").flags
    assert any("gets 0.6 Gy, more than 0.5 Gy" in flag for flag in flags)


def test_the_mean_of_both_sexes_is_not_flagged_as_one() -> None:
    doses = uniform_doses(1.0, "F-18", 0.1)
    both = sex_averaged(effective_dose(doses, "male"), effective_dose(doses, "female"))
    assert both.value_sv_per_bq == pytest.approx(0.99)
    assert both.value_sv == pytest.approx(0.099)
    assert both.flags == ()
    nothing = effective_dose(uniform_doses(0.0, "F-18", 0.1), "male")
    assert sex_averaged(nothing, nothing).value_sv == 0.0


def test_effective_dose_of_another_word_than_a_sex_is_refused() -> None:
    with pytest.raises(InputError, match="is .adult., expected male or female"):
        effective_dose(uniform_doses(), "adult")


def test_alpha_emitters_are_therapies() -> None:
    assert is_therapy_nuclide("Ac225")
    assert not is_therapy_nuclide("Ga-68")


def test_marrow_from_blood_follows_the_published_ratio() -> None:
    assert marrow_to_blood_ratio(0.47) == pytest.approx(0.19 / 0.53)
    found = marrow_residence_time_from_blood(ResidenceTime(1.06, 0.106), 1120.0, ratio=1.0)
    assert found.value_s == pytest.approx(1120.0)
    assert found.std_s == pytest.approx(112.0)


def test_marrow_from_an_image_is_scaled_to_all_marrow() -> None:
    assert marrow_residence_time_from_image(ResidenceTime(12.3, 1.23)).value_s == pytest.approx(100.0)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, math.nan])
def test_a_share_of_marrow_out_of_its_range_is_refused(share: float) -> None:
    with pytest.raises(InputError, match="share of the red marrow must be above 0 and at most 1"):
        marrow_residence_time_from_image(ResidenceTime(1.0), share)


def test_a_haematocrit_in_percent_is_refused() -> None:
    with pytest.raises(InputError, match="share between 0 and 0.8, found 45"):
        marrow_to_blood_ratio(45.0)


def test_theranostic_conversion_exchanges_the_physical_decay() -> None:
    biological = math.log(2) / (50 * 3600)
    first, second = (Radionuclide(name).decay_constant_per_s for name in ("Ga-68", "Lu-177"))
    rates = converted_rates_per_s([biological + first], "Ga-68", "Lu-177")
    np.testing.assert_allclose(rates, biological + second, rtol=1e-12)


def test_a_converted_residence_time_is_the_integral_of_the_converted_curve() -> None:
    amplitudes, rates = np.array([5e6, -4e6]), np.array([2.5e-5, 3e-4])
    found = converted_residence_time_s(amplitudes, rates, 1e8, "Cu-64", "Cu-67")
    times = np.linspace(0.0, 8e6, 400_001)
    measured = (amplitudes * np.exp(-np.outer(times, rates))).sum(axis=1)
    curve = converted_activity_bq(times[:20_000], measured[:20_000], "Cu-64", "Cu-67")
    exact = (amplitudes * np.exp(-np.outer(times[:20_000], converted_rates_per_s(rates, "Cu-64", "Cu-67")))).sum(axis=1)
    np.testing.assert_allclose(curve, exact, rtol=1e-9)
    whole = (amplitudes * np.exp(-np.outer(times, converted_rates_per_s(rates, "Cu-64", "Cu-67")))).sum(axis=1)
    assert found == pytest.approx(np.trapezoid(whole, times) / 1e8, rel=1e-4)


def test_conversion_there_and_back_changes_nothing() -> None:
    there = converted_rates_per_s([3e-4, 5e-4], "Ga-68", "Lu-177")
    np.testing.assert_allclose(converted_rates_per_s(there, "Lu-177", "Ga-68"), [3e-4, 5e-4], rtol=1e-9)


def test_a_rate_slower_than_decay_cannot_be_converted() -> None:
    with pytest.raises(
        InputError, match="slower than the decay of Ga-68 .* fit activities that are not decay-corrected"
    ):
        converted_rates_per_s([1e-5], "Ga-68", "Lu-177")


def test_activity_of_a_nuclide_long_gone_cannot_be_converted() -> None:
    with pytest.raises(InputError, match="Ga-68 is gone by"):
        converted_activity_bq([1e8], [1.0], "Ga-68", "Lu-177")


def test_residence_times_read_back(tmp_path) -> None:
    path = tmp_path / "rt.csv"
    path.write_text("# of a patient\nregion,residence_time_h,std,note\nLiver,0.5,0.05,x\n\nkidneys,0.25,,y\n")
    found = read_residence_times(path)
    assert found == {"Liver": ResidenceTime(1800.0, 180.0), "kidneys": ResidenceTime(900.0, 0.0)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; expected the columns region,residence_time_h"),
        ("region,residence_time_h\n", "has a header and no row"),
        ("region,tia\nliver,1\n", "lacks the columns residence_time_h"),
        ("region,residence_time_h\nliver,-1\n", "Line 2 .*: residence_time_h is '-1', expected a number of at least 0"),
        ("region,residence_time_h\nliver,nan\n", "residence_time_h is 'nan', expected a number"),
        ("region,residence_time_h\nliver,1 h\n", "residence_time_h is '1 h', expected a number"),
        ("region,residence_time_h\nliver,1\nliver,2\n", "Line 3 .* names region 'liver' a second time"),
        ("region,residence_time_h\n,2\n", "Line 2 .* has no region; name it"),
        ("region,residence_time_h\nliver,1,2\n", "Line 2 .* has 3 fields, expected 2"),
        ("region,residence_time_h,std\nliver,1,x\n", "std is 'x', expected a number"),
    ],
)
def test_a_bad_table_of_residence_times_is_refused(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "rt.csv"
    path.write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_residence_times(path)


def test_a_missing_table_is_refused(tmp_path) -> None:
    with pytest.raises(FileFormatError, match="cannot be read .*; give a UTF-8 CSV with the columns"):
        read_residence_times(tmp_path / "absent.csv")


def test_a_mass_of_zero_is_refused(tmp_path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("organ,mass_g\nliver,0\n")
    with pytest.raises(FileFormatError, match="the mass of liver is 0, expected grams above zero"):
        read_organ_masses_g(path)
