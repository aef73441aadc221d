"""Whole transport runs in small grids: energy balance, symmetry, seeds and threads, estimators, bad input."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from radiodosimetry.errors import CancelledError, DeviceError, InputError, RadioDosimetryError
from radiodosimetry.media import electron_table, named_material
from radiodosimetry.nuclides.spectrum import ParticleSpectrum
from radiodosimetry.transport import batches as batches_module
from radiodosimetry.transport.bremsstrahlung import bremsstrahlung
from radiodosimetry.transport.voxels import (
    BATCHES,
    TransportResult,
    TransportSettings,
    VoxelScene,
    simulate_voxels,
)

WATER, LUNG, BONE = (named_material(name) for name in ("water", "lung", "bone"))

ENERGY_BALANCE = 1e-4
"""Relative: what single precision and the discrete lines of a spectrum leave over."""

BELOW_CUT = 1e-3
"""Share of the energy that bremsstrahlung photons below the cut leave where they are born, in vacuum as well."""


def lines(particle: str, *energy_kev: float) -> ParticleSpectrum:
    return ParticleSpectrum(particle, np.array(energy_kev), np.ones(len(energy_kev)))


def homogeneous(count: int = 7, side_mm: float = 4.0, **options: Any) -> VoxelScene:
    shape = (count, count, count)
    return VoxelScene(np.ones(shape, np.float32), np.zeros(shape, np.uint8), (WATER,), (side_mm,) * 3, **options)


def layered() -> VoxelScene:
    """Lung, water and bone one above another, unequal sides."""
    medium = np.repeat(np.array([0, 0, 1, 1, 2, 2], dtype=np.uint8), 35).reshape(6, 5, 7)
    density = np.array([0.26, 1.0, 1.85], dtype=np.float32)[medium]
    return VoxelScene(density, medium, (LUNG, WATER, BONE), (4.0, 5.0, 6.0))


def centre_source(scene: VoxelScene) -> np.ndarray:
    decays = np.zeros(scene.density_kji.shape)
    decays[tuple(count // 2 for count in decays.shape)] = 1.0
    return decays


def run(
    scene: VoxelScene, *spectra: ParticleSpectrum, decays: np.ndarray | None = None, **settings: Any
) -> TransportResult:
    source = centre_source(scene) if decays is None else decays
    return simulate_voxels(scene, source, spectra, TransportSettings(**{"histories": 20_000, **settings}))


def balance(result: TransportResult) -> float:
    return (result.energy_mev_kji.sum() + result.escaped_mev) / result.emitted_mev


# --- energy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spectrum", "settings"),
    [
        (lines("photon", 208.4), {"estimator": "analog"}),
        (lines("photon", 2614.5), {"estimator": "analog"}),
        (lines("photon", 1460.0), {"estimator": "analog", "secondaries": "transported", "histories": 5_000}),
        (lines("electron", 8.0), {"histories": 200_000}),
        (lines("electron", 100.0), {"histories": 200_000}),
    ],
    ids=["photon", "photon with pairs", "photon with electrons", "local electron", "electron"],
)
def test_what_is_deposited_and_what_leaves_is_what_was_emitted(
    spectrum: ParticleSpectrum, settings: dict[str, Any]
) -> None:
    assert balance(run(homogeneous(), spectrum, **settings)) == pytest.approx(1.0, abs=3 * ENERGY_BALANCE)


@pytest.mark.parametrize("spectrum", [lines("electron", 935.0), lines("positron", 600.0)], ids=lambda s: s.particle)
def test_bremsstrahlung_and_annihilation_are_part_of_the_balance(spectrum: ParticleSpectrum) -> None:
    result = run(homogeneous(), spectrum, estimator="analog", histories=100_000)
    assert balance(result) == pytest.approx(1.0, abs=10 * ENERGY_BALANCE)


def test_a_positron_brings_two_electron_masses_along() -> None:
    result = run(homogeneous(), lines("positron", 600.0), estimator="analog")
    assert result.emitted_mev == pytest.approx(0.6 + 2 * 0.51099895)


@pytest.mark.parametrize("energy_kev", [60.0, 208.4, 1332.5])
def test_the_expected_transfer_along_flights_balances_within_statistics(energy_kev: float) -> None:
    result = run(homogeneous(15, 10.0), lines("photon", energy_kev), histories=60_000)
    assert balance(result) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("energy_kev", [100.0, 935.0, 2280.0])
@pytest.mark.parametrize("material", [WATER, BONE], ids=lambda m: m.name)
def test_bremsstrahlung_photons_carry_the_radiation_yield(material: Any, energy_kev: float) -> None:
    radiated = bremsstrahlung(lines("electron", energy_kev), material).photons.energy_per_decay_kev
    expected = energy_kev * float(electron_table(material).at("radiation_yield", energy_kev))
    assert radiated == pytest.approx(expected, rel=1e-6)


def test_a_voxel_in_vacuum_keeps_little_of_its_photons() -> None:
    result = run(homogeneous(1), lines("photon", 208.4), estimator="analog")
    mean_chord_cm = 0.2
    assert result.energy_mev_kji.sum() / result.emitted_mev < 0.03 * mean_chord_cm
    assert balance(result) == pytest.approx(1.0, abs=ENERGY_BALANCE)


def test_surroundings_scatter_photons_back_into_the_grid() -> None:
    alone = run(homogeneous(3, 20.0), lines("photon", 100.0))
    within = run(homogeneous(3, 20.0, surroundings=WATER), lines("photon", 100.0))
    assert within.energy_mev_kji.sum() > 1.1 * alone.energy_mev_kji.sum()
    assert balance(within) == pytest.approx(1.0, abs=0.02)


def test_electrons_reach_one_csda_range_and_no_farther() -> None:
    scene = homogeneous(41, 0.5)
    result = run(scene, lines("electron", 1000.0), electron_cut_kev=50.0, histories=2_000)
    range_mm = 10 * float(electron_table(WATER).at("csda_range_g_per_cm2", 1000.0))
    k, j, i = np.indices(scene.density_kji.shape)
    radius_mm = 0.5 * np.sqrt((k - 20.0) ** 2 + (j - 20.0) ** 2 + (i - 20.0) ** 2)
    by_radius = np.bincount((radius_mm / range_mm * 5).astype(int).ravel(), result.energy_mev_kji.ravel())
    assert by_radius[:5].sum() > 0.98 * result.energy_mev_kji.sum()
    assert (by_radius[:4] > 0.05).all()


# --- symmetry and linearity ------------------------------------------------------------------------------------------


def test_energy_is_proportional_to_the_number_of_decays() -> None:
    scene = layered()
    decays = np.random.default_rng(1).random(scene.density_kji.shape)
    spectra = (lines("photon", 113.0, 208.4), lines("electron", 150.0))
    once, thrice = run(scene, *spectra, decays=decays), run(scene, *spectra, decays=3 * decays)
    assert thrice.energy_mev_kji == pytest.approx(3 * once.energy_mev_kji, rel=1e-12)
    assert thrice.escaped_mev == pytest.approx(3 * once.escaped_mev, rel=1e-12)


def difference_in_errors(first: TransportResult, second: TransportResult, **view: Any) -> np.ndarray:
    """Difference of two runs in units of their standard errors, voxels turned as `view` says."""
    turn = view.get("turn", lambda array: array)
    error = np.hypot(turn(first.standard_error_mev_kji), second.standard_error_mev_kji)
    return (turn(first.energy_mev_kji) - second.energy_mev_kji)[error > 0] / error[error > 0]


def assert_same_within_statistics(deviations: np.ndarray) -> None:
    """Student-distributed with about 38 degrees of freedom: unit variance, no drift, no far outlier."""
    assert np.mean(deviations**2) == pytest.approx(1.05, abs=0.3)
    assert abs(deviations.mean()) < 0.4
    assert np.abs(deviations).max() < 6


@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 2, 0)], ids=str)
@pytest.mark.parametrize("spectrum", [lines("photon", 150.0), lines("electron", 1500.0)], ids=lambda s: s.particle)
def test_turning_the_patient_turns_the_dose(axes: tuple[int, int, int], spectrum: ParticleSpectrum) -> None:
    scene = layered()
    turned = VoxelScene(
        scene.density_kji.transpose(axes),
        scene.medium_index_kji.transpose(axes),
        scene.media,
        tuple(scene.spacing_mm[::-1][axis] for axis in axes[::-1]),  # type: ignore[arg-type]
    )
    first = run(scene, spectrum, decays=np.ones(scene.density_kji.shape))
    second = run(turned, spectrum, decays=np.ones(turned.density_kji.shape), seed=2)
    assert_same_within_statistics(difference_in_errors(first, second, turn=lambda a: a.transpose(axes)))


@pytest.mark.parametrize("spectrum", [lines("photon", 80.0), lines("electron", 1500.0)], ids=lambda s: s.particle)
def test_a_mirrored_patient_has_the_mirrored_dose(spectrum: ParticleSpectrum) -> None:
    scene = layered()
    mirrored = VoxelScene(scene.density_kji[::-1], scene.medium_index_kji[::-1], scene.media, scene.spacing_mm)
    first = run(scene, spectrum, decays=np.ones(scene.density_kji.shape))
    second = run(mirrored, spectrum, decays=np.ones(scene.density_kji.shape), seed=2)
    assert_same_within_statistics(difference_in_errors(first, second, turn=lambda a: a[::-1]))


@pytest.mark.parametrize("energy_kev", [30.0, 208.4, 1800.0])
def test_both_estimators_give_the_same_dose_across_lung_water_and_bone(energy_kev: float) -> None:
    scene = layered()
    decays = np.ones(scene.density_kji.shape)
    traced = run(scene, lines("photon", energy_kev), decays=decays, histories=40_000)
    analog = run(scene, lines("photon", energy_kev), decays=decays, histories=80_000, estimator="analog", seed=9)
    for medium in range(3):
        here = scene.medium_index_kji == medium
        first, second = traced.energy_mev_kji[here].sum(), analog.energy_mev_kji[here].sum()
        error = np.sqrt((traced.standard_error_mev_kji[here] ** 2 + analog.standard_error_mev_kji[here] ** 2).sum())
        assert abs(first - second) < 4.5 * error + 0.002 * first


# --- random numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ["track-length", "analog"])
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(estimator: str) -> None:
    scene = layered()
    decays = np.ones(scene.density_kji.shape)
    spectra = (lines("photon", 208.4), lines("electron", 900.0), lines("positron", 600.0))
    one, two, five = (
        run(scene, *spectra, decays=decays, estimator=estimator, thread_count=count, histories=4_000)
        for count in (1, 2, 5)
    )
    assert one.energy_mev_kji.tobytes() == two.energy_mev_kji.tobytes() == five.energy_mev_kji.tobytes()
    assert one.standard_error_mev_kji.tobytes() == two.standard_error_mev_kji.tobytes()
    assert one.escaped_mev == two.escaped_mev == five.escaped_mev


def test_tallies_that_do_not_fit_memory_take_fewer_threads_and_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from radiodosimetry.transport import engine

    free = run(homogeneous(), lines("photon", 208.4), thread_count=3, histories=2_000)
    monkeypatch.setattr(engine, "TALLY_MEMORY_BYTES", 1)
    tight = run(homogeneous(), lines("photon", 208.4), thread_count=3, histories=2_000)
    assert free.energy_mev_kji.tobytes() == tight.energy_mev_kji.tobytes()


def test_another_seed_gives_another_result_of_the_same_dose() -> None:
    scene = homogeneous(5)
    first, second = (run(scene, lines("photon", 208.4), seed=seed) for seed in (1, 2))
    assert not np.array_equal(first.energy_mev_kji, second.energy_mev_kji)
    assert_same_within_statistics(difference_in_errors(first, second))


def test_standard_errors_are_the_spread_of_independent_runs() -> None:
    scene = homogeneous(5)
    runs = [run(scene, lines("photon", 208.4), seed=seed, histories=2_000) for seed in range(30)]
    spread = np.std([r.energy_mev_kji for r in runs], axis=0, ddof=1)
    stated = np.sqrt(np.mean([r.standard_error_mev_kji**2 for r in runs], axis=0))
    assert np.mean(spread**2 / stated**2) == pytest.approx(1.0, abs=0.25)


def test_histories_are_spread_over_the_source_in_proportion_to_its_decays() -> None:
    scene = homogeneous(5, 10.0)
    decays = np.random.default_rng(3).random(scene.density_kji.shape)
    result = run(scene, lines("photon", 5.0), decays=decays)
    one_history = decays.sum() * 0.005 / (20_000 / BATCHES)
    assert np.abs(result.energy_mev_kji - 0.005 * decays).max() < one_history
    assert (result.energy_mev_kji[decays > 0.05] > 0).all()


def test_particles_below_the_cuts_stay_without_adding_noise() -> None:
    scene = homogeneous(5)
    decays = np.random.default_rng(3).random(scene.density_kji.shape)
    without = run(scene, lines("photon", 208.4), decays=decays)
    with_soft = run(scene, lines("photon", 8.0, 208.4), lines("electron", 9.0), decays=decays)
    radiated = 0.009 * float(electron_table(WATER).at("radiation_yield", 9.0))
    added = with_soft.energy_mev_kji - without.energy_mev_kji
    assert added == pytest.approx(0.017 * decays, abs=2 * radiated)
    assert with_soft.standard_error_mev_kji == pytest.approx(without.standard_error_mev_kji, rel=1e-9)
    assert with_soft.emitted_mev == pytest.approx(without.emitted_mev + 0.017 * decays.sum())


# --- vacuum and air --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thin", [0.0, 0.0012])
@pytest.mark.parametrize("estimator", ["track-length", "analog"])
def test_vacuum_and_air_voxels_are_crossed(thin: float, estimator: str) -> None:
    scene = homogeneous(9)
    density = scene.density_kji.copy()
    density[:, :, 2:7] = thin
    scene = VoxelScene(density, scene.medium_index_kji, scene.media, scene.spacing_mm)
    spectra = (lines("photon", 208.4), lines("electron", 900.0), lines("positron", 600.0))
    result = run(scene, *spectra, estimator=estimator, histories=40_000)
    assert np.isfinite(result.energy_mev_kji).all()
    assert result.energy_mev_kji[:, :, [1, 7]].sum() > 0
    assert balance(result) == pytest.approx(1.0, abs=0.02)
    if thin == 0:
        assert result.energy_mev_kji[:, :, 3:6].sum() < BELOW_CUT * result.emitted_mev


@pytest.mark.parametrize("estimator", ["track-length", "analog"])
def test_everything_leaves_a_grid_of_vacuum(estimator: str) -> None:
    scene = homogeneous(3)
    scene = VoxelScene(np.zeros_like(scene.density_kji), scene.medium_index_kji, scene.media, scene.spacing_mm)
    result = run(scene, lines("photon", 208.4), lines("electron", 900.0), estimator=estimator, histories=2_000)
    assert result.energy_mev_kji.sum() < BELOW_CUT * result.emitted_mev
    assert balance(result) == pytest.approx(1.0, abs=0.01)


# --- running ---------------------------------------------------------------------------------------------------------


def test_a_target_uncertainty_is_reached_with_as_many_batches_as_it_takes() -> None:
    scene = homogeneous(5)
    everywhere = np.ones(scene.density_kji.shape, dtype=bool)
    corner = np.zeros_like(everywhere)
    corner[0, 0, 0] = True
    settings = TransportSettings(histories=1_000, target_uncertainty=0.06)
    result = simulate_voxels(
        scene, centre_source(scene), [lines("photon", 208.4)], settings, {"all": everywhere, "corner": corner}
    )
    assert result.batches > BATCHES
    assert result.histories == 50 * result.batches
    assert 0 < result.region_mean_uncertainty["all"] < result.region_mean_uncertainty["corner"] <= 0.06


def test_a_target_out_of_reach_is_said_after_the_first_batches_with_what_it_would_take() -> None:
    # 20 batches of 10: 10 % of a region and 1e-4 % wanted, so 1e10 times the histories
    said = r"After 200 histories the uncertainty of the whole grid is (\S+) %; 0\.0001 % would take about (\S+) "
    more = "histories, more than the 2e.04 that a run to a target makes"
    with pytest.raises(RadioDosimetryError, match=said + more) as caught:
        run(homogeneous(3), lines("photon", 208.4), histories=200, target_uncertainty=1e-6)
    found = re.search(said, str(caught.value))
    assert found is not None
    percent, histories = map(float, found.groups())
    assert histories == pytest.approx(200 * (percent / 1e-4) ** 2, rel=0.06)  # two digits are printed
    assert not isinstance(caught.value, InputError)  # a failed run


def test_an_error_that_does_not_fall_ends_with_the_last_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    # as in a region that one batch in many reaches: every forecast is within the margin, none comes true
    monkeypatch.setattr(batches_module, "MOST_BATCHES", BATCHES + 5)
    monkeypatch.setattr(batches_module.Batches, "region_uncertainty", lambda self: {"marrow": 0.011})
    with pytest.raises(RadioDosimetryError, match=r"After 250 histories the uncertainty of marrow is 1\.1 %; 1 %"):
        run(homogeneous(3), lines("photon", 208.4), histories=200, target_uncertainty=0.01)


def test_a_region_that_nothing_reaches_has_not_reached_its_target() -> None:
    scene = homogeneous(5)
    masks = {name: np.zeros(scene.density_kji.shape, dtype=bool) for name in ("source", "corner", "edge")}
    masks["source"][2, 2, 2] = masks["corner"][0, 0, 0] = masks["edge"][0, 0, 2] = True
    electrons = [lines("electron", 9.0)]  # below the cut, and without photons of bremsstrahlung
    settings = TransportSettings(histories=2_000, target_uncertainty=0.5)
    with pytest.raises(RadioDosimetryError, match=r"After 2e\+03 histories no energy has reached corner, edge, so"):
        simulate_voxels(scene, centre_source(scene), electrons, settings, masks)
    given = simulate_voxels(scene, centre_source(scene), electrons, TransportSettings(histories=2_000), masks)
    assert set(given.region_mean_uncertainty) == {"source"}


def test_energy_that_never_moves_counts_towards_the_target() -> None:
    # photons alone vary by several percent here; 99.9 % of the energy is of α particles
    scene = homogeneous(3)
    arguments = (scene, centre_source(scene), [lines("photon", 100.0)])
    masks = {"all": np.ones(scene.density_kji.shape, dtype=bool)}
    alone = simulate_voxels(*arguments, TransportSettings(histories=200), masks)
    settings = TransportSettings(histories=200, target_uncertainty=0.001)
    result = simulate_voxels(*arguments, settings, masks, local_energy_mev=5.0)
    assert alone.region_mean_uncertainty["all"] > 0.01
    assert result.batches == BATCHES
    photons = result.energy_mev_kji.sum() - 5.0
    expected = alone.region_mean_uncertainty["all"] * alone.energy_mev_kji.sum() / result.energy_mev_kji.sum()
    assert result.region_mean_uncertainty["all"] == pytest.approx(expected, rel=1e-6)
    assert photons == pytest.approx(alone.energy_mev_kji.sum(), rel=1e-9)
    assert result.emitted_mev == pytest.approx(5.1)
    assert balance(result) == pytest.approx(balance(alone) * 0.1 / 5.1 + 5.0 / 5.1, rel=1e-9)


class Watcher:
    """A progress that cancels after a number of reports."""

    def __init__(self, patience: int) -> None:
        self.fractions: list[float] = []
        self._patience = patience

    def report(self, fraction: float, message: str) -> None:
        self.fractions.append(fraction)

    def cancelled(self) -> bool:
        return len(self.fractions) >= self._patience


def test_progress_rises_and_cancel_is_heard() -> None:
    scene = homogeneous(3)
    patient, hasty = Watcher(10_000), Watcher(3)
    arguments = (scene, centre_source(scene), [lines("photon", 208.4)], TransportSettings(histories=1_000), None)
    simulate_voxels(*arguments, progress=patient)
    assert len(patient.fractions) == BATCHES
    assert patient.fractions == sorted(patient.fractions)
    with pytest.raises(CancelledError, match="Cancelled by the user during: Monte Carlo transport"):
        simulate_voxels(*arguments, progress=hasty)
    assert len(hasty.fractions) == 3


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"histories": 10}, "Found 10 histories; expected 40 or more"),
        ({"target_uncertainty": 1.5}, "target uncertainty must lie between 0 and 1, found 1.5"),
        ({"estimator": "woodcock"}, "Found 'woodcock' .* expected one of track-length, analog"),
        ({"secondaries": "some"}, "Found 'some' .* expected one of local, transported"),
        ({"secondaries": "transported"}, "only be followed with the analog estimator"),
        ({"photon_cut_kev": 0.1}, "photon cut must lie between 1 and 1000 keV, found 0.1 keV"),
        ({"photon_cut_kev": float("nan")}, "photon cut must lie between"),
        ({"electron_cut_kev": 0.1}, "electron cut must lie between 1 and 1000 keV, found 0.1 keV"),
        ({"local_range_share": -1.0}, "local range share must not be negative, found -1"),
        ({"thread_count": 0}, "Found 0 threads; expected at least 1"),
        ({"seed": -1}, "seed must be a whole number from 0 to 2³² − 1, found -1"),
        ({"seed": 1 << 32}, "seed must be a whole number"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TransportSettings(**settings)


def test_an_absent_device_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(DeviceError, match=r"Device 'cuda:99' is not available; found: cpu"):
        run(homogeneous(1), lines("photon", 208.4), device="cuda:99")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"medium_index_kji": np.zeros((1, 2, 3), np.uint8)}, "must share three axes"),
        ({"medium_index_kji": np.full((2, 2, 2), 4, np.uint8)}, "Found medium 4, but only 1 media are given"),
        ({"density_kji": np.full((2, 2, 2), -1.0, np.float32)}, "density is negative or not a number"),
        ({"density_kji": np.full((2, 2, 2), np.nan, np.float32)}, "density is negative or not a number"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "voxel size must be three positive lengths"),
    ],
)
def test_scenes_that_cannot_be_are_refused(changes: dict[str, Any], message: str) -> None:
    proper = {
        "density_kji": np.ones((2, 2, 2), np.float32),
        "medium_index_kji": np.zeros((2, 2, 2), np.uint8),
        "media": (WATER,),
        "spacing_mm": (1.0, 1.0, 1.0),
    }
    with pytest.raises(InputError, match=message):
        VoxelScene(**{**proper, **changes})


@pytest.mark.parametrize(
    ("decays", "message"),
    [
        (np.zeros((3, 3, 3)), "The source holds 0 decays; expected a positive number"),
        (np.full((3, 3, 3), np.nan), "The source holds nan decays"),
        (np.arange(-1.0, 26.0).reshape(3, 3, 3), "no negative voxel"),
        (np.ones((3, 3)), r"Found the source of shape \(3, 3\); expected \(3, 3, 3\)"),
    ],
)
def test_sources_that_cannot_be_are_refused(decays: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(homogeneous(3), lines("photon", 208.4), decays=decays)


def test_spectra_without_energy_or_beyond_the_tables_are_refused() -> None:
    with pytest.raises(InputError, match="hold no electron, positron or photon"):
        run(homogeneous(3), ParticleSpectrum.empty("photon"))
    with pytest.raises(InputError, match="Found a particle of 5000 keV; transport covers energies up to 3000 keV"):
        run(homogeneous(3), lines("photon", 5000.0))


def test_a_region_of_another_shape_is_refused() -> None:
    scene = homogeneous(3)
    with pytest.raises(InputError, match=r"Found liver of shape \(2, 2, 2\)"):
        simulate_voxels(
            scene, centre_source(scene), [lines("photon", 208.4)], None, {"liver": np.ones((2, 2, 2), dtype=bool)}
        )
