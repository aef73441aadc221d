"""Errors of learned dose: free of the truth's noise, of couch and tiny lesions, and with patients as the unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.evaluation.gamma import gamma_index
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.learned_dose.bootstrap import bootstrap, reduction_percent, root_reduction_percent
from radiodosimetry.learned_dose.figures import bland_altman_png
from radiodosimetry.learned_dose.measures import (
    BONE_EDGES,
    EDGES,
    LUNG_EDGES,
    NEAR_LESIONS,
    edge_strata,
    measure_edges,
    measure_patient,
    measure_regions,
)
from radiodosimetry.learned_dose.patient_maps import PatientMaps
from radiodosimetry.learned_dose.patients import DosePatient
from radiodosimetry.learned_dose.tables import edge_table, kim_table, lesion_table, li_table, paired_gains, voxel_table
from radiodosimetry.voxel_dose.edges import edge_mask

GRID = VolumeGeometry((24, 32, 32), (4.0, 4.0, 4.0))
NOISE = 0.2


def patient(seed: int, noise: float = NOISE, shift: float = 0.0) -> tuple[DosePatient, np.ndarray]:
    """Lung beside soft tissue with bone, two lesions and a couch; label with noise, and the dose without it [Gy]."""
    shape = GRID.shape_kji
    density = np.full(shape, 0.001, np.float32)
    density[:, 4:26, 4:28] = 1.0
    density[:, 6:24, 6:14] = 0.3
    density[4:20, 10:14, 20:24] = 1.6
    density[:, 29:31] = 0.9  # couch
    masks = {name: np.zeros(shape, bool) for name in ("left_lung", "bone", "lesion_1", "lesion_2", "liver")}
    masks["left_lung"][:, 6:24, 6:14] = True
    masks["bone"][4:20, 10:14, 20:24] = True
    masks["lesion_1"][2:10, 15:21, 8:12] = True  # 12 mL in the lung
    masks["lesion_2"][10:12, 18:21, 24:27] = True  # 1.2 mL
    masks["liver"][12:20, 15:22, 16:22] = True
    density[masks["lesion_1"]] = 1.0
    masks["left_lung"] &= ~masks["lesion_1"]
    body = (density > 0.01) & (np.arange(32) < 28)[None, :, None]
    masks["remainder"] = body & ~np.logical_or.reduce(list(masks.values()))
    dose = np.where(density > 0.01, 1.0 + 0.5 * np.random.default_rng(seed).random(shape), 0.0).astype(np.float32)
    dose[masks["lesion_1"]] *= 3
    dose[masks["lesion_2"]] *= 3
    dose *= 10 + shift
    rng = np.random.default_rng(seed + 100)
    label = (dose * (1 + noise * rng.standard_normal(shape))).astype(np.float32)
    relative = np.where(label != 0, noise * dose / np.where(label != 0, np.abs(label), 1), 1).astype(np.float32)
    hu = (1000 * density - 1000).astype(np.float32)
    maps = PatientMaps(hu, density, dose, dose, None, 1.0, 1.0, 150.0, GRID)
    known = {name: mask for name, mask in masks.items() if name != "remainder"}
    edges = edge_mask(density, known)
    made = DosePatient(f"p{seed}", f"s{seed}", "Lu-177", maps, label, edges, masks, np.abs(relative) if noise else None)
    return made, dose


def test_a_perfect_dose_has_no_error_once_the_noise_of_the_truth_is_taken_away() -> None:
    subject, dose = patient(1)
    raw = {one.stratum: one for one in measure_edges(subject, "perfect", dose)}
    assert raw[EDGES].nrmse == pytest.approx(NOISE, rel=0.05)
    for one in raw.values():
        assert abs(one.excess_square) < 6 * NOISE**2 * np.sqrt(2 / one.voxels)
    whole = measure_patient(subject, "perfect", dose, with_gamma=False)
    assert whole.gamma_pass_percent is None
    assert whole.body_rmse_gy > 5 * (whole.body_rmse_corrected_gy or 0.0)
    assert whole.pearson_r == pytest.approx(whole.highest_r, abs=0.005)
    assert whole.highest_r < 0.99
    for region in measure_regions(subject, "perfect", dose):
        assert abs(region.excess_square) < 0.3 * region.nrmse**2


def test_the_error_of_a_method_comes_back_through_noise_twice_as_large() -> None:
    subjects = [patient(seed, shift=3.0 * seed) for seed in range(8)]
    edges = []
    for subject, dose in subjects:
        for method, error in (("base", 0.10), ("network", 0.06)):
            rng = np.random.default_rng(int(subject.id[1:]) + (7 if method == "base" else 8))
            edges += measure_edges(subject, method, dose * (1 + error * rng.standard_normal(dose.shape)))
    rows = {row["method"]: row for row in edge_table(edges, ("base", "network")) if row["stratum"] == EDGES}
    assert rows["base"]["rmse_percent"] > 20
    assert rows["base"]["noise_percent"] == pytest.approx(20, rel=0.02)
    assert rows["base"]["rmse_without_noise_percent"] == pytest.approx(10, rel=0.15)
    assert rows["network"]["rmse_without_noise_percent"] == pytest.approx(6, rel=0.2)
    low, high = (rows["base"][f"without_noise_{end}_percent"] for end in ("low", "high"))
    assert 8 < low < rows["base"]["rmse_without_noise_percent"] < high < 12
    gains = paired_gains([], [], "base", "network", edges)
    free, raw = (gains[f"edges_all_rmse_{name}reduction_percent"] for name in ("without_noise_", ""))
    assert free["value"] == pytest.approx(40, abs=8)
    assert raw["value"] < 10  # the noise hides nearly all of it
    assert free["low"] < free["value"] < free["high"]


def test_edges_near_lesions_stand_apart_and_the_strata_do_not_overlap() -> None:
    subject, _ = patient(1)
    strata = edge_strata(subject)
    parts = [strata[name] for name in (NEAR_LESIONS, LUNG_EDGES, BONE_EDGES)]
    assert all(part.any() for part in parts)
    assert (np.sum(parts, axis=0) == strata[EDGES]).all()
    assert strata[NEAR_LESIONS][6, 18, 7:13].any()
    assert not strata[LUNG_EDGES][2:10, 15:21, 7:12].any()


def test_the_couch_is_no_body_where_regions_fill_it() -> None:
    subject, dose = patient(1, noise=0.0)
    assert not subject.body_kji[:, 28:].any()
    wrong = dose.copy()
    wrong[:, 29:31] += 1000.0
    assert measure_patient(subject, "m", wrong, with_gamma=False).body_rmse_gy == 0.0
    without = replace(subject, regions={"liver": subject.regions["liver"]})
    assert measure_patient(without, "m", wrong, with_gamma=False).body_rmse_gy > 100


def test_lesions_below_two_millilitres_are_not_among_the_tumours() -> None:
    subject, dose = patient(1)
    regions = measure_regions(subject, "m", dose * 1.1)
    assert {one.region: one.group for one in regions if "lesion" in one.region} == {
        "lesion_1": "tumours", "lesion_2": "tumours below 2 mL",
    }  # fmt: skip
    kim = [row for row in kim_table(regions, ("m",)) if row["region"] == "tumours"]
    assert [row["regions"] for row in kim] == [1]
    assert {row["region"] for row in li_table(regions, ("m",))} >= {"lesion", "lesion below 2 mL"}
    classes = lesion_table(regions, ("m",))
    assert [(row["least_ml"], row["below_ml"], row["lesions"]) for row in classes] == [(0.0, 2.0, 1), (10.0, None, 1)]


def test_patients_are_the_unit_of_both_tables_and_seeds_have_a_spread_of_their_own() -> None:
    regions = []
    for seed, factors in ((1, (1.1, 1.2)), (2, (1.3, 1.6))):
        subject, dose = patient(seed, noise=0.0)
        for name, factor in zip(("network", "seed 2"), factors, strict=True):
            regions += measure_regions(subject, name, dose * np.float32(factor))
    members = {"network": ("network", "seed 2")}
    (row,) = [one for one in kim_table(regions, ("network",), members) if one["region"] == "liver"]
    assert row["mae_percent"] == pytest.approx(20, rel=1e-4)
    assert row["mae_std_percent"] == pytest.approx(np.std([10, 30], ddof=1), rel=1e-4)
    assert row["mae_seed_std_percent"] == pytest.approx(np.std([20, 40], ddof=1), rel=1e-4)
    (same,) = [one for one in li_table(regions, ("network",), members) if one["region"] == "liver"]
    assert same["mean_dose_error_percent"] == pytest.approx(row["mae_percent"])
    assert same["mean_dose_error_seed_std_percent"] == pytest.approx(row["mae_seed_std_percent"])


def test_correlations_of_patients_are_averaged_and_what_was_not_measured_is_left_out() -> None:
    measures = [
        measure_patient(subject, "m", dose * np.float32(1.1), with_gamma=False)
        for subject, dose in (patient(1), patient(2))
    ]
    rows = {row["measure"]: row for row in voxel_table(measures, ("m",))}
    assert "gamma_pass_percent" not in rows
    assert rows["pearson_r"]["mean"] == pytest.approx(np.mean([one.pearson_r for one in measures]))
    assert rows["pearson_r"]["mean"] == pytest.approx(rows["highest_r"]["mean"], abs=0.01)
    assert rows["body_rmse_corrected_gy"]["mean"] < rows["body_rmse_gy"]["mean"]
    assert rows["nrmse"]["seed_std"] is None


def test_one_noisy_voxel_does_not_set_the_dose_that_gamma_refers_to() -> None:
    subject, dose = patient(1, noise=0.0)
    spiked = dose.copy()
    spiked[20, 20, 20] = 50 * dose.max()
    noisy = replace(subject, label_kji=spiked)
    wrong = dose * np.float32(1.3)
    before = measure_patient(subject, "m", wrong).gamma_pass_percent
    after = measure_patient(noisy, "m", wrong).gamma_pass_percent
    assert before is not None
    assert before < 75
    assert after == pytest.approx(before, abs=1.0)
    assert gamma_index(spiked, wrong, GRID.spacing_mm, 3.0, 4.0).pass_percent < 1  # judges the spike alone
    with pytest.raises(InputError, match="a gamma index needs a reference with dose"):
        gamma_index(np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), GRID.spacing_mm, normalisation=1.0)


def test_a_bland_altman_plot_has_a_panel_for_each_method_that_has_regions() -> None:
    subject, dose = patient(1)
    regions = measure_regions(subject, "base", dose * 1.1) + measure_regions(subject, "network", dose)
    one, two = (bland_altman_png(regions, names) for names in (("base", "absent"), ("base", "network")))
    widths = [int.from_bytes(png[16:20], "big") for png in (one, two)]
    assert all(png.startswith(b"\x89PNG") for png in (one, two))
    assert widths[1] > 1.5 * widths[0]


def test_a_reduction_of_squares_that_noise_pushed_below_zero_counts_as_zero() -> None:
    before, after = np.array([4.0, 4.0]), np.array([1.0, -1.0])
    assert float(root_reduction_percent(before, after)) == 100
    assert float(root_reduction_percent(before, np.array([1.0, 1.0]))) == 50
    assert np.isnan(root_reduction_percent(-before, after))
    assert bootstrap([[2.0, 2.0], [1.0, 1.0]], reduction_percent).value == 50
