"""The CUDA twin of the transport: it compiles for every architecture in use, and agrees with the CPU where a GPU is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.media import named_material
from radiodosimetry.nuclides.spectrum import ParticleSpectrum
from radiodosimetry.transport import voxels
from radiodosimetry.transport.engine import HistoryRunner, initialise_warp
from radiodosimetry.transport.voxels import TransportResult, TransportSettings, VoxelScene, simulate_voxels


@pytest.mark.skipif(sys.platform == "darwin", reason="Warp comes without a CUDA compiler on macOS")
@pytest.mark.parametrize("architecture", [75, 86, 90])
def test_the_kernels_compile_for_cuda_without_a_gpu(architecture: int, tmp_path: Path) -> None:
    import warp as wp

    from radiodosimetry.transport import histories

    initialise_warp()
    (artifact,) = wp.compile_aot_module(histories, arch=architecture, module_dir=tmp_path, use_ptx=True)
    text = Path(artifact).read_text(encoding="utf-8")
    assert f".target sm_{architecture}" in text
    assert "run_histories" in text


CASES = pytest.mark.parametrize(
    ("particle", "energy_kev", "estimator", "secondaries"),
    [
        ("photon", 208.4, "track-length", "local"),
        ("photon", 208.4, "analog", "local"),
        ("photon", 1460.0, "analog", "transported"),
        ("electron", 935.0, "track-length", "local"),
        ("positron", 600.0, "track-length", "local"),
    ],
)


@CASES
def test_lanes_side_by_side_as_on_a_gpu_change_no_bit(
    particle: str, energy_kev: float, estimator: str, secondaries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spectrum = ParticleSpectrum(particle, np.array([energy_kev]), np.ones(1))
    alone = _run(spectrum, "cpu", 1, estimator, secondaries, histories=4_000)
    monkeypatch.setattr(voxels, "HistoryRunner", _RunnerOfManyLanes)
    together = _run(spectrum, "cpu", 1, estimator, secondaries, histories=4_000)
    assert alone.energy_mev_kji.tobytes() == together.energy_mev_kji.tobytes()
    assert alone.escaped_mev == together.escaped_mev


class _RunnerOfManyLanes(HistoryRunner):
    """Runs on the CPU as CUDA does: many lanes with stacks of their own, one tally."""

    def __post_init__(self) -> None:
        import warp as wp

        self.thread_count = 1
        super().__post_init__()
        self._lanes = 64
        self._stacks = [wp.zeros((64, *self._stacks[0].shape[1:]), dtype=wp.float32, device="cpu")]


@CASES
def test_cpu_and_cuda_agree_within_statistics(
    particle: str, energy_kev: float, estimator: str, secondaries: str
) -> None:
    import warp as wp

    initialise_warp()
    if wp.get_cuda_device_count() == 0:
        pytest.skip("no CUDA device here; the CPU runs the same source")
    spectrum = ParticleSpectrum(particle, np.array([energy_kev]), np.ones(1))
    cpu, cuda = (_run(spectrum, device, seed, estimator, secondaries) for device, seed in (("cpu", 1), ("cuda", 2)))
    error = np.hypot(cpu.standard_error_mev_kji, cuda.standard_error_mev_kji)
    deviation = (cpu.energy_mev_kji - cuda.energy_mev_kji)[error > 0] / error[error > 0]
    assert np.mean(deviation**2) == pytest.approx(1.05, abs=0.3)
    assert abs(deviation.mean()) < 0.4
    assert cuda.escaped_mev == pytest.approx(cpu.escaped_mev, rel=0.02)
    assert cuda.device.startswith("cuda:0")


def _run(
    spectrum: ParticleSpectrum, device: str, seed: int, estimator: str, secondaries: str, histories: int = 100_000
) -> TransportResult:
    medium = np.repeat(np.array([0, 0, 1, 1, 2, 2], dtype=np.uint8), 35).reshape(6, 5, 7)
    media = tuple(named_material(name) for name in ("lung", "water", "bone"))
    density = np.array([m.density_g_per_cm3 for m in media], dtype=np.float32)[medium]
    scene = VoxelScene(density, medium, media, (4.0, 5.0, 6.0))
    settings = TransportSettings(
        histories=histories,
        seed=seed,
        estimator=estimator,  # type: ignore[arg-type]
        secondaries=secondaries,  # type: ignore[arg-type]
        device=device,
    )
    return simulate_voxels(scene, np.ones(density.shape), [spectrum], settings)
