"""Photons in labelled regions: energy balance, closed forms, both estimators, the voxel engine, threads, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from radiodosimetry.errors import CancelledError, InputError, RegionError
from radiodosimetry.media import named_material, photon_table
from radiodosimetry.nuclides.spectrum import ParticleSpectrum
from radiodosimetry.transport.regions import RegionEnergy, RegionScene, RegionSettings, RegionTransport
from radiodosimetry.transport.voxels import TransportSettings, VoxelScene, simulate_voxels

WATER, LUNG, BONE, TITANIUM = (named_material(name) for name in ("water", "lung", "bone", "titanium"))
REGIONS = ("water", "lung", "bone")

FIXED_POINT = 1e-6
"""Relative: tallies are rounded to 2⁻³⁰ MeV event by event."""

STANDARD_ERRORS = 4.0
"""Agreement of two estimates in their joint standard errors; a chance of 1 in 3000 at 38 degrees of freedom."""


def layers() -> RegionScene:
    """Water, lung and bone one above another beside a strip of vacuum, 8 × 10 × 12 cm."""
    label = np.repeat(np.array([1, 1, 2, 2, 3, 3], dtype=np.uint8), 35).reshape(6, 5, 7)
    label[:, :, 6] = 0
    return RegionScene(label, REGIONS, (WATER, LUNG, BONE), (12.0, 20.0, 20.0), WATER)


def ball(material: Any, radius: int = 12, side_mm: float = 1.0) -> RegionScene:
    """A ball of voxels in vacuum, and a voxel of titanium far off it, whose attenuation makes virtual collisions many.
    """
    axis = np.arange(-radius, radius + 1)
    inside = axis[:, None, None] ** 2 + axis[:, None] ** 2 + axis**2 <= radius**2
    label = inside.astype(np.uint8)
    label[0, 0, 0] = 2
    return RegionScene(label, ("ball", "mote"), (material, TITANIUM), (side_mm,) * 3, WATER)


def run(scene: RegionScene, source: Any, energy_kev: float, progress: Any = None, **settings: Any) -> RegionEnergy:
    chosen = RegionSettings(**{"histories": 40_000, **settings})
    return RegionTransport(scene).run(source, energy_kev, chosen, progress)


def balance(result: RegionEnergy) -> float:
    return float(result.absorbed_fraction.sum()) + result.escaped_fraction


def deviations(first: RegionEnergy, second: RegionEnergy) -> np.ndarray:
    error = np.hypot(first.absorbed_fraction_std, second.absorbed_fraction_std)
    return (first.absorbed_fraction - second.absorbed_fraction) / error


# --- energy ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy_kev", [10.0, 60.0, 208.4, 1332.5, 3000.0])
def test_real_collisions_and_what_leaves_add_up_to_what_was_emitted(energy_kev: float) -> None:
    assert balance(run(layers(), "lung", energy_kev, estimator="analog")) == pytest.approx(1, abs=FIXED_POINT)


@pytest.mark.parametrize("energy_kev", [10.0, 20.0, 60.0, 208.4, 1332.5, 3000.0])
def test_expected_transfers_balance_within_statistics(energy_kev: float) -> None:
    assert balance(run(layers(), "water", energy_kev, histories=200_000)) == pytest.approx(1, abs=0.004)


@pytest.mark.parametrize("energy_kev", [15.0, 40.0, 140.5, 661.7, 2614.5])
@pytest.mark.parametrize("source", ["lung", "bone"])
def test_expected_transfers_are_those_of_real_collisions(energy_kev: float, source: str) -> None:
    expected = run(layers(), source, energy_kev, histories=100_000)
    analog = run(layers(), source, energy_kev, histories=200_000, estimator="analog", seed=2)
    assert np.abs(deviations(expected, analog)).max() < STANDARD_ERRORS


def test_expected_transfers_scatter_less_than_real_collisions() -> None:
    expected = run(layers(), "water", 140.5)
    analog = run(layers(), "water", 140.5, estimator="analog")
    lung = REGIONS.index("lung")
    assert expected.absorbed_fraction_std[lung] < 0.6 * analog.absorbed_fraction_std[lung]


@pytest.mark.parametrize("estimator", ["expected", "analog"])
def test_a_photon_below_the_cut_stays_in_its_source(estimator: str) -> None:
    result = run(layers(), "bone", 8.0, photon_cut_kev=8.0, histories=1000, estimator=estimator)
    assert result.absorbed_fraction == pytest.approx([0, 0, 1], abs=FIXED_POINT)
    assert result.reference_fraction == pytest.approx([0, 0, 1], abs=FIXED_POINT)


# --- closed forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy_kev", [30.0, 140.5, 1000.0])
def test_a_thin_ball_takes_its_mean_chord_times_the_energy_transfer(energy_kev: float) -> None:
    # A point and direction at random in a ball of radius R leave it after 3/4 R on average.
    scene = ball(WATER.with_density(1e-3))
    volume_cm3 = np.count_nonzero(scene.label_kji == 1) * 1e-3
    mean_path_cm = 0.75 * (volume_cm3 * 3 / (4 * np.pi)) ** (1 / 3)
    expected = mean_path_cm * 1e-3 * float(photon_table(WATER).at("energy_transfer", energy_kev))
    result = run(scene, "ball", energy_kev, histories=200_000)
    error = result.absorbed_fraction_std[0]
    assert error < 0.02 * expected
    assert abs(result.absorbed_fraction[0] - expected) < STANDARD_ERRORS * error


@pytest.mark.parametrize("energy_kev", [20.0, 50.0, 200.0])
def test_the_reference_kerma_of_thin_bone_is_that_of_the_reference_medium(energy_kev: float) -> None:
    result = run(ball(BONE.with_density(1e-3)), "ball", energy_kev)
    water, bone = (float(photon_table(m).at("energy_transfer", energy_kev)) for m in (WATER, BONE))
    assert result.reference_fraction[0] / result.absorbed_fraction[0] == pytest.approx(water / bone, rel=0.003)


def test_the_reference_kerma_of_the_reference_medium_is_its_energy() -> None:
    result = run(layers(), "lung", 100.0)
    assert result.reference_fraction[0] == result.absorbed_fraction[0]
    assert result.reference_fraction[2] != result.absorbed_fraction[2]


def test_without_a_reference_there_is_one_energy_only() -> None:
    scene = layers()
    plain = RegionScene(scene.label_kji, scene.regions, scene.media, scene.spacing_mm)
    result = run(plain, "lung", 100.0)
    assert (result.reference_fraction == result.absorbed_fraction).all()


def test_the_first_layers_over_a_plane_source_see_its_primary_photons() -> None:
    # Photons of 10 keV in water: 93 % of the attenuation is absorption. The kerma of primaries at a depth of x free
    # paths, half of E1(x), is a lower bound; with absorption alone, and scattered photons once more, an upper one.
    from scipy.special import expn

    label = np.ones((1, 1, 40), dtype=np.uint8)
    label[0, 0, 20:] = np.arange(2, 22)
    scene = RegionScene(label, tuple(f"layer_{n}" for n in range(21)), (WATER,) * 21, (0.2, 4000.0, 4000.0))
    source = np.zeros(label.shape, dtype=bool)
    source[0, 0, 20] = True
    shares = run(scene, source, 10.0, histories=200_000).absorbed_fraction[2:8]
    table = photon_table(WATER)
    transfer, total = (float(table.at(name, 10.0)) for name in ("energy_transfer", "total"))
    starts_cm = 0.02 * (np.arange(400) + 0.5) / 400

    def deposited(attenuation: float) -> np.ndarray:
        """Energy transfer per layer: half of ∫ E1 dx, averaged over the source's thickness."""
        edges = 0.02 * np.arange(1, 8)
        behind = np.array([np.mean(expn(2, attenuation * (edge - starts_cm))) for edge in edges])
        return 0.5 * transfer / attenuation * -np.diff(behind)

    assert (shares > 0.98 * deposited(total)).all()
    assert (shares < total / transfer * deposited(transfer)).all()
    assert total / transfer < 1.1


# --- another engine --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("energy_kev", [30.0, 113.0, 511.0, 2000.0])
def test_the_voxel_engine_gives_regions_the_same_energy(energy_kev: float) -> None:
    axis = np.arange(-10, 11) * 8.0
    k, j, i = np.meshgrid(axis, axis, axis, indexing="ij")
    label = np.where(k**2 + j**2 + i**2 <= 80**2, 1, 0).astype(np.uint8)
    label[(k - 30) ** 2 + j**2 + i**2 <= 40**2] = 2
    label[(k + 40) ** 2 + (j - 10) ** 2 + i**2 <= 25**2] = 3
    scene = RegionScene(label, REGIONS, (WATER, LUNG, BONE), (8.0, 8.0, 8.0))
    ours = run(scene, "lung", energy_kev, histories=200_000)
    density = np.array([0.0, *(m.density_g_per_cm3 for m in scene.media)], dtype=np.float32)[label]
    voxels = VoxelScene(density, np.maximum(label, 1) - 1, scene.media, scene.spacing_mm)
    masks = {name: label == n + 1 for n, name in enumerate(REGIONS)}
    photons = ParticleSpectrum("photon", np.array([energy_kev]), np.ones(1))
    settings = TransportSettings(histories=100_000, photon_cut_kev=5.0)
    theirs = simulate_voxels(voxels, (label == 2).astype(float), [photons], settings, masks)
    for n, name in enumerate(REGIONS):
        other = theirs.energy_mev_kji[masks[name]].sum() / theirs.emitted_mev
        error = np.hypot(ours.absorbed_fraction_std[n], theirs.region_mean_uncertainty[name] * other)
        assert abs(ours.absorbed_fraction[n] - other) < STANDARD_ERRORS * error
        assert error < 0.05 * other


def test_what_two_like_regions_give_each_other_is_the_same_per_mass() -> None:
    axis = np.arange(-12, 13) * 8.0
    k, j, i = np.meshgrid(axis, axis, axis, indexing="ij")
    label = np.ones(k.shape, dtype=np.uint8)
    label[(k - 40) ** 2 + j**2 + i**2 <= 30**2] = 2
    label[(k + 40) ** 2 + j**2 + (i - 20) ** 2 <= 45**2] = 3
    scene = RegionScene(label, ("body", "small", "large"), (WATER,) * 3, (8.0, 8.0, 8.0))
    masses = scene.masses_kg()
    to_large = run(scene, "small", 300.0, histories=400_000)
    to_small = run(scene, "large", 300.0, histories=400_000)
    forth = to_large.absorbed_fraction[2] / masses[2]
    back = to_small.absorbed_fraction[1] / masses[1]
    assert forth == pytest.approx(back, rel=0.04)


# --- numbers that must not depend on how they are computed -----------------------------------------------------------


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    one, three = (run(layers(), "water", 140.5, thread_count=count) for count in (1, 3))
    assert (one.absorbed_fraction == three.absorbed_fraction).all()
    assert (one.absorbed_fraction_std == three.absorbed_fraction_std).all()
    assert one.escaped_fraction == three.escaped_fraction


def test_another_seed_gives_another_result_that_agrees() -> None:
    first, second = run(layers(), "water", 140.5), run(layers(), "water", 140.5, seed=2)
    assert (first.absorbed_fraction != second.absorbed_fraction).all()
    assert np.abs(deviations(first, second)).max() < STANDARD_ERRORS


def test_standard_errors_are_those_of_repeated_runs() -> None:
    transport = RegionTransport(layers())
    runs = [transport.run("lung", 140.5, RegionSettings(histories=4000, seed=seed)) for seed in range(40)]
    spread = np.std([r.absorbed_fraction for r in runs], axis=0, ddof=1)
    claimed = np.sqrt(np.mean([r.absorbed_fraction_std**2 for r in runs], axis=0))
    assert claimed == pytest.approx(spread, rel=0.4)


def test_a_mask_of_a_region_is_that_region() -> None:
    scene = layers()
    named, masked = run(scene, "lung", 100.0), run(scene, scene.label_kji == 2, 100.0)
    assert (named.absorbed_fraction == masked.absorbed_fraction).all()


def test_masses_are_voxels_times_density() -> None:
    assert layers().masses_kg() == pytest.approx(60 * 4.8e-3 * np.array([m.density_g_per_cm3 for m in layers().media]))


# --- bad input -------------------------------------------------------------------------------------------------------


def test_an_unknown_source_is_refused_with_the_known_ones() -> None:
    with pytest.raises(RegionError, match="Found the source 'liver'; expected one of water, lung, bone"):
        run(layers(), "liver", 100.0)


def test_an_empty_source_is_refused() -> None:
    scene = layers()
    empty = RegionScene(scene.label_kji, (*REGIONS, "spleen"), (*scene.media, WATER), scene.spacing_mm)
    with pytest.raises(RegionError, match="source 'spleen' holds no voxel"):
        run(empty, "spleen", 100.0)


def test_a_mask_of_another_grid_is_refused() -> None:
    with pytest.raises(RegionError, match=r"source mask of shape \(2, 2, 2\); expected \(6, 5, 7\)"):
        run(layers(), np.ones((2, 2, 2), dtype=bool), 100.0)


@pytest.mark.parametrize("energy_kev", [0.5, 4000.0, -1.0, np.nan])
def test_energies_without_cross_sections_are_refused(energy_kev: float) -> None:
    with pytest.raises(InputError, match="expected 1 to 3000 keV"):
        run(layers(), "lung", energy_kev)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"label_kji": np.ones((2, 2), np.uint8)}, "expected uint8 with three axes"),
        ({"label_kji": np.ones((2, 2, 2), np.int64)}, "Found labels of type int64"),
        ({"label_kji": np.broadcast_to(np.uint8(1), (2048, 1024, 1024))}, "Found 2147483648 voxels"),
        ({"label_kji": np.full((2, 2, 2), 4, np.uint8)}, "Found label 4, but only 3 regions are named"),
        ({"regions": ("a", "a", "b")}, "1 to 254 with different names"),
        ({"media": (WATER,)}, "Found 1 media for 3 regions"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "three positive lengths in mm"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_scene_that_does_not_fit_together_is_refused(changes: dict[str, Any], text: str) -> None:
    scene = layers()
    values = {
        "label_kji": scene.label_kji, "regions": scene.regions, "media": scene.media, "spacing_mm": scene.spacing_mm,
    }  # fmt: skip
    with pytest.raises(InputError, match=text):
        RegionScene(**{**values, **changes})


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"histories": 10}, "Found 10 histories in 20 batches"),
        ({"batches": 1}, "expected two batches or more"),
        ({"estimator": "guess"}, "Found the estimator 'guess'; expected one of expected, analog"),
        ({"photon_cut_kev": 0.1}, "photon cut must lie between 1 and 1000 keV, found 0.1"),
        ({"thread_count": 0}, "Found 0 threads"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        RegionSettings(**settings)


class Cancelling:
    """Cancels after the first report."""

    def __init__(self) -> None:
        self.fractions: list[float] = []

    def report(self, fraction: float, message: str) -> None:
        self.fractions.append(fraction)

    def cancelled(self) -> bool:
        return len(self.fractions) > 3


def test_a_run_reports_its_progress_and_can_be_cancelled() -> None:
    progress = Cancelling()
    with pytest.raises(CancelledError, match="Monte Carlo transport in regions"):
        run(layers(), "lung", 100.0, progress)
    assert progress.fractions == pytest.approx([0, 0.05, 0.1, 0.15])
