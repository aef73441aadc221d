"""What holds for the transport in any scene: energy balance, finite results, threads that do not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiodosimetry.media import named_material
from radiodosimetry.nuclides.spectrum import ParticleSpectrum
from radiodosimetry.transport.voxels import TransportResult, TransportSettings, VoxelScene, simulate_voxels

MEDIA = tuple(named_material(name) for name in ("lung", "water", "bone", "soft-tissue"))

sides_mm = st.floats(0.3, 20.0)
energies_kev = st.floats(3.0, 2900.0)


@st.composite
def scenes(draw: st.DrawFn) -> VoxelScene:
    """A small grid of random media and densities from vacuum to twice bone, with any voxel size."""
    shape = tuple(draw(st.integers(1, 5)) for _ in range(3))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    medium = random.integers(0, len(MEDIA), shape).astype(np.uint8)
    density = random.choice([0.0, 0.0012, 0.26, 1.0, 1.85, 3.7], shape).astype(np.float32)
    around = draw(st.sampled_from([None, MEDIA[1]]))
    return VoxelScene(density, medium, MEDIA, (draw(sides_mm), draw(sides_mm), draw(sides_mm)), around)


def run(scene: VoxelScene, particle: str, energy_kev: float, **options: object) -> TransportResult:
    spectrum = ParticleSpectrum(particle, np.array([energy_kev]), np.ones(1))
    chosen = TransportSettings(**{"histories": 600, **options})  # type: ignore[arg-type]
    return simulate_voxels(scene, np.ones(scene.density_kji.shape), [spectrum], chosen)


@settings(max_examples=25, deadline=None)
@given(scene=scenes(), energy_kev=energies_kev, secondaries=st.sampled_from(["local", "transported"]))
def test_photons_scored_collision_by_collision_lose_no_energy(
    scene: VoxelScene, energy_kev: float, secondaries: str
) -> None:
    result = run(scene, "photon", energy_kev, estimator="analog", secondaries=secondaries)
    assert result.energy_mev_kji.sum() + result.escaped_mev == pytest.approx(result.emitted_mev, rel=3e-4)


@settings(max_examples=25, deadline=None)
@given(
    scene=scenes(),
    energy_kev=energies_kev,
    particle=st.sampled_from(["photon", "electron", "positron"]),
    estimator=st.sampled_from(["track-length", "analog"]),
)
def test_results_are_finite_and_never_negative_and_matter_alone_takes_energy(
    scene: VoxelScene, energy_kev: float, particle: str, estimator: str
) -> None:
    result = run(scene, particle, energy_kev, estimator=estimator)
    assert np.isfinite(result.energy_mev_kji).all()
    assert np.isfinite(result.standard_error_mev_kji).all()
    assert result.energy_mev_kji.min() >= 0
    assert result.escaped_mev >= 0
    assert result.energy_mev_kji.sum() + result.escaped_mev < 3 * result.emitted_mev


@settings(max_examples=10, deadline=None)
@given(scene=scenes(), energy_kev=energies_kev, particle=st.sampled_from(["photon", "electron", "positron"]),
       seed=st.integers(0, (1 << 32) - 1), threads=st.integers(2, 7))
def test_threads_never_change_a_bit(
    scene: VoxelScene, energy_kev: float, particle: str, seed: int, threads: int
) -> None:
    one = run(scene, particle, energy_kev, seed=seed, thread_count=1)
    many = run(scene, particle, energy_kev, seed=seed, thread_count=threads)
    assert one.energy_mev_kji.tobytes() == many.energy_mev_kji.tobytes()
    assert one.escaped_mev == many.escaped_mev
