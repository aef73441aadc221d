# mypy: ignore-errors
"""Runs histories on a device and gathers batches: the only place that starts a transport kernel.

On the CPU every thread runs a slice of a batch into a tally of its own; on CUDA all lanes add to one. Tallies are
integers, histories are numbered, so the sum of a batch does not depend on either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import warp as wp
from numpy.typing import NDArray

from ..errors import DeviceError
from ..processors import core_count
from ..progress import Progress, report_progress
from . import histories
from .physics import PhysicsTables
from .scene import FIXED_POINT_PER_MEV, STACK_DEPTH, STACK_RESERVE, Scene, Source
from .tables import ENERGY_GRID_MEV, LN_X_GRID, medium_tables

CUDA_LANES = 1 << 16
"""Lanes of one CUDA launch: enough to fill the largest GPU several times over."""

CHUNK_HISTORIES = 100_000
"""Most histories of one CPU launch, so that cancel and Ctrl-C are heard within a second or so.

On CUDA a batch is one launch, a twentieth of a run: there both are heard when it ends.
"""

TALLY_MEMORY_BYTES = 3 << 30
"""Most memory for the tallies of all CPU threads; a large grid on many cores runs on fewer threads, same result."""


@lru_cache(maxsize=1)
def initialise_warp() -> None:
    """Start Warp quietly, once."""
    wp.config.log_level = wp.LOG_WARNING
    with _native_stderr_silenced():
        wp.init()


@contextmanager
def _native_stderr_silenced() -> Iterator[None]:
    """Hold back what native code writes to stderr: without a GPU, Warp's library says that it found no CUDA driver."""
    try:
        kept = os.dup(2)
    except OSError:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def require_device(name: str) -> str:
    """Warp's name of the device asked for: "cpu", "cuda" or "cuda:N".

    Raises
    ------
    DeviceError
        The device does not exist here.
    """
    initialise_warp()
    known = [device.alias for device in wp.get_devices()]
    if name == "cuda" and wp.get_cuda_device_count() > 0:
        return "cuda:0"
    if name in known:
        return name
    raise DeviceError(f"Device '{name}' is not available; found: {', '.join(known)}. Choose one of these.")


def device_description(device: str) -> str:
    """The device in words, for records."""
    return f"{device} ({wp.get_device(device).name})"


def cuda_device_names() -> list[str]:
    """Names of the CUDA devices of this machine; none without one."""
    initialise_warp()
    return [str(device.name) for device in wp.get_cuda_devices()]


@dataclass(eq=False)
class HistoryRunner:
    """A scene and a source on a device, ready to run batches.

    Attributes
    ----------
    device
        Warp's device name.
    thread_count
        Most CPU threads, fewer where their tallies would not fit `TALLY_MEMORY_BYTES`; ignored on CUDA.
    """

    scene: Scene
    tables: PhysicsTables
    source: Source
    voxel_count: int
    seed: int
    device: str
    thread_count: int = field(default_factory=core_count)

    def __post_init__(self) -> None:
        self._lanes = 1 if self.device == "cpu" else CUDA_LANES
        affordable = max(TALLY_MEMORY_BYTES // (8 * (self.voxel_count + 1)), 1)
        tally_count = min(self.thread_count, affordable) if self.device == "cpu" else 1
        with wp.ScopedDevice(self.device):
            self._tallies = [wp.zeros(self.voxel_count + 1, dtype=wp.int64) for _ in range(tally_count)]
            self._stacks = [
                wp.zeros((self._lanes, STACK_DEPTH + STACK_RESERVE, 8), dtype=wp.float32) for _ in range(tally_count)
            ]
        wp.load_module(histories, device=self.device)

    def run_batch(self, batch: int, history_count: int, progress: Progress | None = None, done: float = 0.0,
                  share: float = 1.0) -> NDArray[np.float64]:
        """Energy per bin [MeV times weight, summed over histories] of one batch; the last bin is what left the grid.

        Progress is told and cancel heard before each launch: every `CHUNK_HISTORIES` a thread on the CPU, once on CUDA.
        """
        line_shift = float(np.random.Generator(np.random.Philox(key=[self.seed, batch])).random())
        for tally in self._tallies:
            tally.zero_()
        step = CHUNK_HISTORIES * len(self._tallies) if self.device == "cpu" else history_count
        with ThreadPoolExecutor(len(self._tallies)) as pool:
            for first in range(0, history_count, step):
                report_progress(progress, done + share * first / history_count, "Monte Carlo transport")
                last = min(first + step, history_count)
                bounds = np.linspace(first, last, len(self._tallies) + 1).astype(np.int64)
                futures = [
                    pool.submit(self._launch, slot, batch, line_shift, int(low), int(high), history_count)
                    for slot, (low, high) in enumerate(zip(bounds[:-1], bounds[1:], strict=True))
                ]
                for future in futures:
                    future.result()
        if self.device != "cpu":
            wp.synchronize_device(self.device)
        total = self._tallies[0].numpy()
        for tally in self._tallies[1:]:
            total += tally.numpy()
        return total * (1.0 / float(FIXED_POINT_PER_MEV))

    def _launch(self, slot: int, batch: int, line_shift: float, first: int, last: int, batch_size: int) -> None:
        wp.launch(
            histories.run_histories,
            dim=self._lanes,
            inputs=[
                self.scene, self.tables, self.source, self._tallies[slot], self._stacks[slot],
                self.seed & 0xFFFFFFFF, batch, line_shift, first, last, batch_size, self._lanes,
            ],
            device=self.device,
        )


def upload_tables(media: tuple[Any, ...], device: str) -> PhysicsTables:
    """Interaction data of the media, one row each, on the device."""
    rows = [medium_tables(material) for material in media]

    def stack(name: str, dtype: Any) -> wp.array:
        return wp.array(np.stack([getattr(row, name) for row in rows]).astype(np.float32), dtype=dtype, device=device)

    tables = PhysicsTables()
    tables.photon = stack("photon", wp.vec4f)
    tables.photon_pair = stack("photon_pair", wp.float32)
    tables.scattering_function = stack("scattering_function", wp.float32)
    tables.form_factor_cumulative = stack("form_factor_cumulative", wp.float32)
    tables.electron = stack("electron", wp.vec4f)
    tables.hard_collision = stack("hard_collision", wp.vec2f)
    tables.elastic = stack("elastic", wp.vec4f)
    tables.elastic_screening = stack("elastic_screening", wp.float32)
    tables.ln_energy_min = float(np.log(ENERGY_GRID_MEV[0]))
    tables.ln_energy_step = float(np.log(ENERGY_GRID_MEV[1] / ENERGY_GRID_MEV[0]))
    tables.energy_count = len(ENERGY_GRID_MEV)
    tables.ln_x_min = float(LN_X_GRID[0])
    tables.ln_x_step = float(LN_X_GRID[1] - LN_X_GRID[0])
    tables.x_count = len(LN_X_GRID)
    return tables
