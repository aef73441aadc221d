"""Photon specific absorbed fractions: interpolation, both directions of a pair, and the stored tables as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from radiodosimetry.errors import FileFormatError, InputError, RegionError
from radiodosimetry.organ_dose import photon_safs
from radiodosimetry.organ_dose.phantom import PHANTOM_NAMES, stylised_phantom
from radiodosimetry.organ_dose.photon_safs import (
    ALIKE_STD,
    NO_SCORE_STD,
    SURFACE_REGIONS,
    UNLIKE_STD,
    PhotonSafTable,
    load_photon_safs,
    raw_photon_safs,
    with_reciprocal,
)

SPREAD_PER_HISTORY = 3.0
"""Of the energy balance, more than three standard deviations: what a photon is expected to transfer in all spreads by
0.8 of its energy at 10 keV in bone, and less elsewhere."""

PRINCIPLE_STD = np.full((2, 2), ALIKE_STD)

both_phantoms = pytest.mark.parametrize("phantom", PHANTOM_NAMES)


def table(**changes: Any) -> PhotonSafTable:
    """Two regions at 10, 100 and 1000 keV; the first gives the second nothing at 10 keV."""
    saf = np.array([[[5.0, 1.0, 0.5], [0.01, 0.2, 0.1]], [[0.0, 0.4, 0.1], [2.5, 0.5, 0.3]]])
    values: dict[str, Any] = {
        "phantom": "toy",
        "energies_kev": np.array([10.0, 100.0, 1000.0]),
        "targets": ("liver", "spleen"),
        "sources": ("liver", "spleen"),
        "saf_per_kg": saf,
        "relative_std": np.full(saf.shape, 0.02),
        "soft_tissue_saf_per_kg": saf.copy(),
        "soft_tissue_relative_std": np.full(saf.shape, 0.02),
        "masses_kg": np.array([0.2, 0.4]),
        "histories": np.full((2, 3), 1000),
    }
    return PhotonSafTable(**{**values, **changes})


# --- interpolation ---------------------------------------------------------------------------------------------------


def test_at_its_energies_a_table_gives_what_it_holds() -> None:
    assert table().at(table().energies_kev) == pytest.approx(table().saf_per_kg)


def test_between_two_energies_a_power_law_is_exact() -> None:
    energies = np.geomspace(10, 1000, 7)
    law = energies[[0, 3, 6]] ** -0.7
    power = table(saf_per_kg=np.broadcast_to(law, (2, 2, 3)).copy())
    assert power.at(energies)[1, 0] == pytest.approx(energies**-0.7)


def test_towards_a_zero_the_saf_falls_linearly() -> None:
    assert table().at([10.0, 55.0, 100.0])[1, 0] == pytest.approx([0.0, 0.2, 0.4])


def test_below_the_table_everything_stays_in_the_source() -> None:
    assert table().at([1.0, 9.99])[..., 1] == pytest.approx(np.diag([1 / 0.2, 1 / 0.4]))
    assert table().relative_std_at([9.99]) == pytest.approx(np.zeros((2, 2, 1)))


def test_one_energy_is_a_table_of_one() -> None:
    assert table().at(100.0).shape == (2, 2, 1)


def test_the_spread_between_two_energies_is_that_of_independent_ends() -> None:
    halfway = np.sqrt(10.0 * 100.0)
    assert table().relative_std_at([100.0, halfway])[0, 1] == pytest.approx([0.02, 0.02 / np.sqrt(2)])


@pytest.mark.parametrize("energy_kev", [0.0, -5.0, 1000.1, np.nan, np.inf])
def test_energies_without_a_saf_are_refused(energy_kev: float) -> None:
    with pytest.raises(InputError, match="SAFs of toy reach from above 0 to 1000 keV"):
        table().at([50.0, energy_kev])


def test_an_unknown_region_is_refused_with_the_nearest() -> None:
    with pytest.raises(RegionError, match="SAFs of toy have no source 'splen'. Nearest known: spleen"):
        table().source_index("splen")
    with pytest.raises(RegionError, match="no target 'Heart'"):
        table().target_index("Heart")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"relative_std": np.ones((2, 2))}, r"relative_std of shape \(2, 2\); expected \(2, 2, 3\)"),
        ({"saf_per_kg": np.full((2, 2, 3), -1.0)}, "negative number or none in saf_per_kg"),
        ({"soft_tissue_saf_per_kg": np.full((2, 2, 3), np.nan)}, "negative number or none in soft_tissue_saf_per_kg"),
        ({"energies_kev": np.array([10.0, 10.0, 20.0])}, "must be positive and ascend"),
        ({"masses_kg": np.array([0.2, 0.0])}, "positive ones in kg"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_that_does_not_fit_together_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        table(**changes)


def test_a_table_does_not_change() -> None:
    with pytest.raises(ValueError, match="read-only"):
        table().saf_per_kg[0, 0, 0] = 1.0


# --- both directions of a pair ---------------------------------------------------------------------------------------


def test_the_direction_with_the_better_statistics_decides() -> None:
    saf = np.array([[[1.0], [0.5]], [[0.4], [1.0]]])
    std = np.array([[[0.01], [0.5]], [[0.01], [0.02]]])
    combined, combined_std = with_reciprocal(saf, std, PRINCIPLE_STD)
    weight, opposite = 1 / 0.5**2, 1 / (0.01**2 + ALIKE_STD**2)
    assert combined[0, 1, 0] == pytest.approx((weight * 0.5 + opposite * 0.4) / (weight + opposite))
    assert combined_std[0, 1, 0] == pytest.approx((weight + opposite) ** -0.5)
    assert combined[1, 0, 0] == pytest.approx(0.4, rel=0.001)


def test_self_safs_have_no_opposite_direction() -> None:
    saf, std = np.full((2, 2, 1), 3.0), np.full((2, 2, 1), 0.1)
    combined, combined_std = with_reciprocal(saf, std, PRINCIPLE_STD)
    assert combined[0, 0] == pytest.approx(3.0)
    assert combined_std[0, 0] == pytest.approx(0.1)


def test_a_direction_without_a_photon_takes_the_other() -> None:
    saf = np.array([[[1.0, 1.0], [0.0, 0.0]], [[0.3, 0.0], [1.0, 1.0]]])
    std = np.where(saf > 0, 0.01, NO_SCORE_STD)
    combined, combined_std = with_reciprocal(saf, std, PRINCIPLE_STD)
    assert combined[0, 1] == pytest.approx([0.3, 0.0])
    assert combined_std[0, 1] == pytest.approx([np.hypot(0.01, ALIKE_STD), NO_SCORE_STD])


# --- the stored tables -----------------------------------------------------------------------------------------------


@both_phantoms
def test_the_tables_hold_every_region_from_10_kev_to_3_mev(phantom: str) -> None:
    safs = load_photon_safs(phantom)
    assert safs.targets == safs.sources == stylised_phantom(phantom).regions
    assert (safs.energies_kev[0], safs.energies_kev[-1]) == (10.0, 3000.0)
    printed = {10.0, 15.0, 20.0, 30.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 1500.0, 2000.0}
    assert printed <= set(safs.energies_kev.tolist())
    assert safs.phantom == phantom


@both_phantoms
def test_masses_are_those_of_the_phantom(phantom: str) -> None:
    safs, published = load_photon_safs(phantom), stylised_phantom(phantom).published_mass_g
    for name, mass_kg in zip(safs.targets, safs.masses_kg, strict=True):
        if name in published:
            assert 1e3 * mass_kg == pytest.approx(published[name], rel=0.02)


@both_phantoms
def test_no_source_gives_away_more_than_it_emits(phantom: str) -> None:
    safs = raw_photon_safs(phantom)
    absorbed = np.einsum("t,tse->se", safs.masses_kg, safs.saf_per_kg)
    spread = SPREAD_PER_HISTORY / np.sqrt(safs.histories)
    assert (absorbed < 1 + spread).all()
    hardly_leaves = np.isin(safs.sources, ["liver", "remaining_tissue", "brain", "pelvis"])
    assert (absorbed[hardly_leaves, 0] > 0.97 - spread[hardly_leaves, 0]).all()
    assert (absorbed[:, -1] < 0.6).all()


@both_phantoms
def test_the_softest_photons_stay_in_a_large_source(phantom: str) -> None:
    safs = load_photon_safs(phantom)
    for name in ("liver", "brain", "leg_bones"):
        own = safs.saf_per_kg[safs.target_index(name), safs.source_index(name), 0]
        assert 0.9 < own * safs.masses_kg[safs.target_index(name)] < 1.0


@both_phantoms
def test_soft_tissue_in_soft_tissue_is_the_region_itself(phantom: str) -> None:
    safs, body = load_photon_safs(phantom), stylised_phantom(phantom)
    soft = [n for n, name in enumerate(safs.targets) if body.tissue_of(name) == "soft"]
    assert len(soft) == len(safs.targets) - 12
    assert safs.soft_tissue_saf_per_kg[soft] == pytest.approx(safs.saf_per_kg[soft], rel=1e-6)


@both_phantoms
def test_soft_tissue_in_bone_takes_less_below_and_more_above_half_a_mev(phantom: str) -> None:
    safs = load_photon_safs(phantom)
    bone, liver = safs.target_index("middle_spine"), safs.source_index("liver")
    above = safs.energies_kev >= 30
    ratio = safs.soft_tissue_saf_per_kg[bone, liver, above] / safs.saf_per_kg[bone, liver, above]
    at = dict(zip(safs.energies_kev[above].tolist(), ratio.tolist(), strict=True))
    assert 0.2 < at[30.0] < 0.4
    assert 0.3 < at[100.0] < 0.9
    assert 1.0 < at[2000.0] < 1.05


@both_phantoms
@pytest.mark.parametrize(("alike", "principle_std"), [(True, ALIKE_STD), (False, UNLIKE_STD)])
def test_the_reciprocal_dose_principle_holds_as_well_as_it_is_said_to(
    phantom: str, alike: bool, principle_std: float
) -> None:
    safs, body = raw_photon_safs(phantom), stylised_phantom(phantom)
    tissues = np.array([body.tissue_of(name) for name in safs.targets])
    surface = np.isin(safs.targets, SURFACE_REGIONS)
    within = ~(surface[:, None] | surface)
    one, other = safs.soft_tissue_saf_per_kg, safs.soft_tissue_saf_per_kg.swapaxes(0, 1)
    std = np.hypot(safs.soft_tissue_relative_std, safs.soft_tissue_relative_std.swapaxes(0, 1))
    pairs = np.triu(((tissues[:, None] == tissues) & within) == alike, k=1)[..., None]
    for energies in ((20, 30), (40, 100), (150, 500), (1000, 3000)):
        inside = (safs.energies_kev >= energies[0]) & (safs.energies_kev <= energies[1])
        sure = pairs & inside & (std < 0.03)
        assert np.count_nonzero(sure) > 50
        beyond = np.mean(np.log(one[sure] / other[sure]) ** 2 - std[sure] ** 2)
        assert beyond < principle_std**2


@both_phantoms
def test_both_directions_together_are_nearly_one(phantom: str) -> None:
    safs = load_photon_safs(phantom)
    soft, raw = safs.soft_tissue_saf_per_kg, raw_photon_safs(phantom)
    assert (safs.soft_tissue_relative_std <= raw.soft_tissue_relative_std + 1e-9).all()
    liver, ovaries = safs.target_index("liver"), safs.target_index("ovaries")
    assert soft[ovaries, liver, 7] == pytest.approx(soft[liver, ovaries, 7], rel=3 * ALIKE_STD)


@both_phantoms
def test_statistics_of_common_sources_are_below_two_percent(phantom: str) -> None:
    safs = load_photon_safs(phantom)
    middle = (safs.energies_kev >= 50) & (safs.energies_kev <= 1000)
    near = {"liver": ("kidneys", "stomach_wall", "lungs", "heart_wall", "pancreas", "middle_spine"),
            "kidneys": ("liver", "spleen", "pancreas", "adrenals", "lower_spine")}  # fmt: skip
    for source, targets in near.items():
        for target in (source, *targets):
            std = safs.relative_std[safs.target_index(target), safs.source_index(source)]
            assert std[middle].max() < 0.02


@both_phantoms
@pytest.mark.parametrize(("energy_kev", "tolerance"), [(70.0, 0.06), (150.0, 0.02), (300.0, 0.02)])
def test_interpolation_finds_an_energy_left_out(phantom: str, energy_kev: float, tolerance: float) -> None:
    safs = load_photon_safs(phantom)
    node = safs.energies_kev.tolist().index(energy_kev)
    keep = np.arange(len(safs.energies_kev)) != node
    coarse = table(
        energies_kev=safs.energies_kev[keep], targets=safs.targets, sources=safs.sources, masses_kg=safs.masses_kg,
        **{name: getattr(safs, name)[..., keep] for name in
           ("saf_per_kg", "relative_std", "soft_tissue_saf_per_kg", "soft_tissue_relative_std")},
    )  # fmt: skip
    sure = safs.relative_std[..., node - 1 : node + 2].max(axis=-1) < 0.02
    assert np.count_nonzero(sure) > 300
    ratio = coarse.at(energy_kev)[..., 0][sure] / safs.saf_per_kg[..., node][sure]
    assert np.sqrt(np.mean((ratio - 1) ** 2)) < tolerance


def test_a_curve_between_positive_values_stays_between_them_beside_a_zero() -> None:
    between = table().at(np.geomspace(100.0, 1000.0, 30))[1, 0]
    assert (np.diff(between) <= 1e-12).all()
    assert 0.1 <= between.min() <= between.max() <= 0.4 * (1 + 1e-12)


def test_an_unknown_phantom_is_refused() -> None:
    with pytest.raises(InputError, match="no photon SAFs of 'child'; expected adult-male or adult-female"):
        load_photon_safs("child")


def test_a_damaged_table_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "photon_safs").mkdir(parents=True)
    (tmp_path / "data" / "photon_safs" / "adult_male.npz").write_bytes(b"PK damaged")
    monkeypatch.setattr(photon_safs, "files", lambda _: tmp_path)
    with pytest.raises(FileFormatError, match="'adult_male.npz' cannot be read"):
        raw_photon_safs.__wrapped__("adult-male")
