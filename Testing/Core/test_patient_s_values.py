"""S-values of a patient: energy, reciprocity, superposition, overlapping regions, seeds, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from radiodosimetry.errors import CancelledError, GeometryMismatchError, InputError, RegionError, UnitError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import LabelMap, Region, read_label_map, regions_of
from radiodosimetry.images.volume import QuantitativeVolume
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose import patient
from radiodosimetry.organ_dose.emissions import decay_emissions
from radiodosimetry.organ_dose.patient import REMAINDER, grid_with_spacing, patient_s_values
from radiodosimetry.organ_dose.s_value_table import SValueTable
from radiodosimetry.organ_dose.spheres import sphere_s_value
from radiodosimetry.units import JOULE_PER_MEV, Quantity
from radiodosimetry.virtual_patients import centred_geometry, torso_patient
from radiodosimetry.workflows.dose import DoseOptions, compute_dose

SIGMAS = 4.0
"""A statistical comparison fails by chance once in 16 000."""

SHAPE = (12, 14, 16)
GRID = VolumeGeometry(SHAPE, (5.0, 5.0, 5.0))
SOFT_TISSUE_HU = 40.0


def soft_tissue(grid: VolumeGeometry = GRID) -> QuantitativeVolume:
    return QuantitativeVolume(np.full(grid.shape_kji, SOFT_TISSUE_HU, np.float32), grid, Quantity.CT_NUMBER)


def box(name: str, k: slice, j: slice, i: slice, shape=SHAPE) -> Region:
    mask = np.zeros(shape, bool)
    mask[k, j, i] = True
    return Region(name, mask, name)


ALL = slice(None)
LEFT = box("left", slice(2, 10), slice(2, 12), slice(2, 7))
RIGHT = box("right", slice(3, 9), slice(3, 11), slice(9, 14))


def masses_kg(table: SValueTable) -> np.ndarray:
    return np.array([table.record.parameters["mass_g"][name] for name in table.targets]) * 1e-3


def test_all_energy_is_found_in_the_regions_or_outside_where_they_fill_the_grid() -> None:
    halves = [box("low", slice(0, 5), ALL, ALL), box("high", slice(5, 12), ALL, ALL)]
    table = patient_s_values(soft_tissue(), halves, "I-131", histories=40_000)
    kept = (table.s_gy_per_bq_s * masses_kg(table)[:, None]).sum(axis=0) / JOULE_PER_MEV
    error = np.sqrt((np.square(table.std_gy_per_bq_s * masses_kg(table)[:, None])).sum(axis=0)) / JOULE_PER_MEV
    emitted_mev = decay_emissions("I-131").emitted_energy_mev
    escaped = np.array([table.record.parameters["escaped_share"][name] for name in ("low", "high")]) * emitted_mev
    assert (np.abs(kept + escaped - emitted_mev) < SIGMAS * error).all()
    assert (error < 0.01 * emitted_mev).all()
    assert (escaped > 0.1 * emitted_mev).all()


def test_two_regions_of_one_medium_give_each_other_the_same_dose() -> None:
    table = patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=60_000)
    there, back = table.value("left", "right"), table.value("right", "left")
    spread = np.hypot(table.std("left", "right"), table.std("right", "left"))
    assert there == pytest.approx(back, abs=SIGMAS * spread)
    assert spread < 0.05 * there


def test_a_ball_of_tissue_has_the_s_value_of_the_sphere_model() -> None:
    grid = VolumeGeometry((21, 21, 21), (4.0, 4.0, 4.0))
    offset = (np.arange(21) - 10) * 4.0
    inside = offset[:, None, None] ** 2 + offset[None, :, None] ** 2 + offset[None, None, :] ** 2 <= 20.0**2
    table = patient_s_values(soft_tissue(grid), [Region("ball", inside, "ball")], "Lu-177", histories=20_000)
    mass_g = table.record.parameters["mass_g"]["ball"]
    expected = sphere_s_value("Lu-177", mass_g, "soft-tissue", mass_g / (inside.sum() * 0.064))
    assert table.value("ball", "ball") == pytest.approx(expected.s_gy_per_bq_s, rel=0.01)


def test_a_region_of_two_parts_gets_the_mass_weighted_mean_of_their_doses() -> None:
    both = Region("both", LEFT.mask_kji | RIGHT.mask_kji, "left+right")
    table = patient_s_values(soft_tissue(), [LEFT, RIGHT, both], "Y-90", histories=4_000)
    mass = masses_kg(table)
    expected = (mass[0] * table.s_gy_per_bq_s[0] + mass[1] * table.s_gy_per_bq_s[1]) / mass[2]
    assert table.s_gy_per_bq_s[2] == pytest.approx(expected, rel=1e-9)


def test_s_values_times_activities_are_the_dose_of_all_sources_at_once() -> None:
    """Σ Ã(S) S(T←S) against one Monte Carlo of the whole map, on the synthetic torso."""
    anatomy = torso_patient(centred_geometry((40, 32, 48), (8.0, 8.0, 8.0)), seed=3)
    tia_bq_s = {"liver": 4e12, "left_kidney": 1e12, "spleen": 8e11, "tumour1": 3e11}
    regions = [region for region in regions_of(anatomy.labels) if region.name in (*tia_bq_s, "right_kidney", "marrow")]
    table = patient_s_values(anatomy.ct, regions, "I-131", histories=60_000, seed=5)
    concentration = np.zeros(anatomy.ct.geometry.shape_kji)
    for region in regions:
        volume_ml = region.voxel_count * anatomy.ct.geometry.voxel_volume_ml
        concentration[region.mask_kji] += tia_bq_s.get(region.name, 0.0) / volume_ml
    tia = QuantitativeVolume(concentration, anatomy.ct.geometry, Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION)
    whole = compute_dose(anatomy.ct, tia, "I-131", "monte-carlo", regions, DoseOptions(histories=200_000, seed=9))
    activity = np.array([tia_bq_s.get(name, 0.0) for name in table.sources])
    summed_gy = table.s_gy_per_bq_s @ activity
    summed_std_gy = np.sqrt(np.square(table.std_gy_per_bq_s) @ np.square(activity))
    for row, dose in enumerate(whole.table):
        assert dose.mass_g == pytest.approx(table.record.parameters["mass_g"][dose.region])
        spread = np.hypot(summed_std_gy[row], dose.mean_gy * dose.mean_uncertainty_percent / 100.0)
        assert summed_gy[row] == pytest.approx(dose.mean_gy, abs=SIGMAS * spread)
        assert spread < 0.05 * dose.mean_gy


def test_the_same_seed_gives_the_same_table_whichever_sources_are_asked_for() -> None:
    full = patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=2_000, seed=7)
    right_alone = patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=2_000, seed=7, sources=["Right"])
    other = patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=2_000, seed=8)
    assert right_alone.sources == ("right",)
    assert np.array_equal(full.s_gy_per_bq_s[:, 1:], right_alone.s_gy_per_bq_s)
    assert not np.array_equal(full.s_gy_per_bq_s, other.s_gy_per_bq_s)


def test_the_uncertainty_is_the_spread_between_seeds() -> None:
    runs = [patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=2_000, seed=seed) for seed in range(24)]
    spread = np.std([run.s_gy_per_bq_s for run in runs], axis=0, ddof=1)
    stated = np.sqrt(np.mean([np.square(run.std_gy_per_bq_s) for run in runs], axis=0))
    # 24 runs know their own spread to 15 %
    assert spread == pytest.approx(stated, rel=0.5)


def test_alpha_particles_stay_in_their_voxels_and_are_told_apart() -> None:
    half = Region("half", LEFT.mask_kji & box("x", ALL, ALL, slice(2, 4)).mask_kji, "half")
    table = patient_s_values(soft_tissue(), [LEFT, half, RIGHT], "Ac-225", histories=1_000)
    local_j = decay_emissions("Ac-225").local_energy_mev * JOULE_PER_MEV
    mass = masses_kg(table)
    assert table.alpha_gy_per_bq_s is not None
    assert table.alpha_gy_per_bq_s[:, 0] == pytest.approx([local_j / mass[0], 0.4 * local_j / mass[1], 0.0])
    assert table.alpha_gy_per_bq_s[0, 1] == pytest.approx(local_j / mass[0])
    assert local_j / mass[0] < table.value("left", "left") < 1.03 * local_j / mass[0]


def test_progeny_can_be_left_out() -> None:
    alone = patient_s_values(soft_tissue(), [LEFT], "Pb-212", histories=1_000, include_progeny=False)
    chain = patient_s_values(soft_tissue(), [LEFT], "Pb-212", histories=1_000)
    expected = decay_emissions("Pb-212", False).electrons.energy_per_decay_kev * 1e-3 * JOULE_PER_MEV
    assert alone.value("left", "left") == pytest.approx(expected / masses_kg(alone)[0], rel=0.1)
    alphas_j = decay_emissions("Pb-212").local_energy_mev * JOULE_PER_MEV
    assert chain.value("left", "left") > alphas_j / masses_kg(chain)[0] > 40 * alone.value("left", "left")
    assert alone.record.parameters["include_progeny"] is False


def test_a_pair_that_no_history_reaches_has_the_uncertainty_of_one_photon() -> None:
    far = [box("near", slice(0, 1), slice(0, 1), slice(0, 1)), box("far", slice(11, 12), slice(13, 14), slice(15, 16))]
    table = patient_s_values(soft_tissue(), far, "Lu-177", histories=40, secondaries="transported")
    one_photon_mev = decay_emissions("Lu-177").photon_energy_mev / (0.4 * 40)
    assert table.value("far", "near") == 0.0
    assert table.std("far", "near") == pytest.approx(one_photon_mev * JOULE_PER_MEV / masses_kg(table)[1])
    assert any("reached by no history" in warning for warning in table.record.warnings)
    assert any("1 voxels" in warning for warning in table.record.warnings)


def test_the_remainder_is_the_body_without_the_regions() -> None:
    ct = np.full(SHAPE, -1000.0, np.float32)
    ct[:, 1:13, 1:15] = SOFT_TISSUE_HU
    volume = QuantitativeVolume(ct, GRID, Quantity.CT_NUMBER)
    table = patient_s_values(volume, [LEFT, RIGHT], "Lu-177", histories=1_000, remainder=True)
    assert table.targets == ("left", "right", REMAINDER) == table.sources
    # what cuts the couch off the body rounds its eight corners
    expected_ml = (12 * 12 * 14 - 8 - LEFT.voxel_count - RIGHT.voxel_count) * 0.125
    assert table.record.parameters["volume_ml"][REMAINDER] == pytest.approx(expected_ml)


def test_a_label_map_brings_its_own_grid_and_the_ct_comes_onto_it() -> None:
    coarse = VolumeGeometry((6, 7, 8), (10.0, 10.0, 10.0), (2.5, 2.5, 2.5))
    labels = np.zeros((6, 7, 8), np.int32)
    labels[1:5, 1:6, 1:4] = 1
    table = patient_s_values(soft_tissue(), LabelMap(labels, coarse, {1: "Left Lobe"}), "Lu-177", histories=1_000)
    assert table.targets == ("left_lobe",)
    assert table.record.parameters["spacing_mm"] == [10.0, 10.0, 10.0]
    assert table.record.parameters["mass_g"]["left_lobe"] == pytest.approx(60 * 1.05, rel=0.01)


def test_a_grid_of_another_spacing_covers_the_same_box() -> None:
    turned = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    fine = VolumeGeometry((10, 20, 30), (1.0, 2.0, 3.0), (5.0, -7.0, 11.0), turned, "1.2.3")
    coarse = grid_with_spacing(fine, 4.0)
    assert coarse.shape_kji == (8, 10, 8)
    assert coarse.frame_of_reference_uid == "1.2.3"
    assert coarse.corners_lps_mm()[0] == pytest.approx(fine.corners_lps_mm()[0])
    with pytest.raises(InputError, match="positive length in mm, or three of them, found -1"):
        grid_with_spacing(fine, -1.0)


def test_regions_in_air_are_named_in_the_record() -> None:
    ct = np.full(SHAPE, SOFT_TISSUE_HU, np.float32)
    ct[:, :, 9:] = -1000.0
    volume = QuantitativeVolume(ct, GRID, Quantity.CT_NUMBER)
    table = patient_s_values(volume, [LEFT, RIGHT], "Lu-177", histories=1_000)
    assert any("100.0 % of region right lies in air" in warning for warning in table.record.warnings)
    assert not any("region left" in warning for warning in table.record.warnings)


class Watcher:
    """Progress that notes what it hears and cancels when told to."""

    def __init__(self, cancel_at: float = 2.0) -> None:
        self.heard: list[float] = []
        self.cancel_at = cancel_at

    def report(self, fraction: float, message: str) -> None:
        self.heard.append(fraction)

    def cancelled(self) -> bool:
        return bool(self.heard) and self.heard[-1] >= self.cancel_at


def test_progress_rises_to_one_and_cancel_is_heard() -> None:
    watcher = Watcher()
    patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=1_000, progress=watcher)
    assert watcher.heard == sorted(watcher.heard)
    assert watcher.heard[-1] == 1.0
    with pytest.raises(CancelledError, match="Cancelled by the user"):
        patient_s_values(soft_tissue(), [LEFT, RIGHT], "Lu-177", histories=1_000, progress=Watcher(cancel_at=0.4))


def test_what_cannot_be_used_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    ct = soft_tissue()
    with pytest.raises(UnitError, match=r"CT numbers in HU, found mass_density \[g/cm3\]"):
        patient_s_values(ct.with_array(ct.array_kji, Quantity.MASS_DENSITY), [LEFT], "Lu-177")
    with pytest.raises(RegionError, match="There is no region; give at least one"):
        patient_s_values(ct, [], "Lu-177")
    with pytest.raises(RegionError, match="More than one region is called left"):
        patient_s_values(ct, [LEFT, Region("Left", RIGHT.mask_kji, "")], "Lu-177")
    with pytest.raises(RegionError, match="'rihgt' is not a region of the patient; did you mean right"):
        patient_s_values(ct, [LEFT, RIGHT], "Lu-177", sources=["rihgt"])
    with pytest.raises(RegionError, match="Found no source region; expected some of left"):
        patient_s_values(ct, [LEFT], "Lu-177", sources=[])
    with pytest.raises(GeometryMismatchError, match=r"mask of shape \(2, 2, 2\), its grid \(12, 14, 16\)"):
        patient_s_values(ct, [Region("tiny", np.ones((2, 2, 2), bool), "")], "Lu-177")
    with pytest.raises(RegionError, match="The regions fill the body"):
        patient_s_values(ct, [Region("all", np.ones(SHAPE, bool), "")], "Lu-177", remainder=True)
    with pytest.raises(InputError, match="Found 10 histories; expected 40 or more"):
        patient_s_values(ct, [LEFT], "Lu-177", histories=10)
    with pytest.raises(InputError, match="seed must be a whole number"):
        patient_s_values(ct, [LEFT], "Lu-177", seed=-1)
    monkeypatch.setattr(patient, "MOST_VOXELS", 1000)
    with pytest.raises(InputError, match="has 2688 voxels, more than the 1000 that fit"):
        patient_s_values(ct, [LEFT], "Lu-177")


@pytest.mark.shared_data
def test_a_real_patient_keeps_its_energy_and_the_electrons_of_its_organs(shared_data) -> None:
    folder = shared_data / "lu177_dotatate_patient"
    ct = read_volume(folder / "patient15_ct_hu.nii.gz", Quantity.CT_NUMBER)
    labels = read_label_map(folder / "patient15_labels.nii.gz", folder / "labels.csv")
    table = patient_s_values(ct, labels, "Lu-177", histories=20_000, remainder=True)
    emitted_mev = decay_emissions("Lu-177").emitted_energy_mev
    kept = (table.s_gy_per_bq_s * masses_kg(table)[:, None]).sum(axis=0) / JOULE_PER_MEV / emitted_mev
    escaped = np.array(list(table.record.parameters["escaped_share"].values()))
    assert (kept < 1.0).all()
    # what is missing lies in couch and air
    assert kept + escaped == pytest.approx(np.ones(8), abs=0.01)
    electrons_j = Radionuclide("Lu-177").energy_per_decay_kev["electrons"] * 1e-3 * JOULE_PER_MEV
    for name in ("kidney_left", "kidney_right", "spleen", "liver"):
        mass_g = table.record.parameters["mass_g"][name]
        # electrons that leave against photons that stay: both below 4 % here
        assert table.value(name, name) == pytest.approx(electrons_j / (mass_g * 1e-3), rel=0.04)
        assert table.value(name, name) == pytest.approx(sphere_s_value("Lu-177", mass_g).s_gy_per_bq_s, rel=0.02)
