# mypy: ignore-errors
"""Batches of histories: their running sums, the uncertainty these give, and when a run to a target ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import RadioDosimetryError
from ..progress import Progress
from .engine import HistoryRunner

Floats = NDArray[np.float64]

BATCHES = 20
"""Batches of a run with a given number of histories, and the fewest of a run to a target uncertainty."""

MOST_BATCHES = 2000
"""Batches after which a run to a target uncertainty gives up: with 2 million histories per `BATCHES`, 200 million."""

FORECAST_MARGIN = 2.0
"""A run gives up early where it would take this many times `MOST_BATCHES`.

The error of twenty batches is known to 16 % (1 σ), the histories it asks for to 32 %: this is three σ away.
"""

_WHOLE_GRID = "the whole grid"


@dataclass(eq=False)
class Batches:
    """Running sums over batches: Σ and Σ² per voxel, and each region's share batch by batch."""

    bin_count: int
    regions: Mapping[str, NDArray[np.intp] | slice]
    total: Floats = field(init=False)
    squares: Floats = field(init=False)
    region_values: dict[str, list[float]] = field(init=False)
    count: int = 0

    def __post_init__(self) -> None:
        self.total, self.squares = np.zeros(self.bin_count), np.zeros(self.bin_count)
        self.region_values = {name: [] for name in self.regions}

    def add(self, energy: Floats, on_the_spot: Floats) -> None:
        """Take a batch in; its array is used up, as copies of a large grid cost more than its histories."""
        energy[:-1] += on_the_spot
        self.total += energy
        self.count += 1
        for name, voxels in self.regions.items():
            self.region_values[name].append(float(energy[voxels].sum()))
        self.squares += np.square(energy, out=energy)

    def mean_and_error(self) -> tuple[Floats, Floats]:
        """Mean of the batches and its standard error (1σ), per bin."""
        mean = self.total / self.count
        variance = np.maximum(self.squares / self.count - mean * mean, 0.0) / max(self.count - 1, 1)
        return mean, np.sqrt(variance)

    def region_uncertainty(self) -> dict[str, float]:
        """Relative standard error (1σ) of the energy of each region that got any."""
        result = {}
        for name, values in self.region_values.items():
            mean = float(np.mean(values))
            error = float(np.std(values, ddof=1)) / np.sqrt(len(values)) if len(values) > 1 else np.inf
            if mean > 0:
                result[name] = error / mean
        return result

    def regions_without_energy(self) -> list[str]:
        """Regions that no history has reached."""
        return [name for name, values in self.region_values.items() if not any(values)]


def run_batches(
    runner: HistoryRunner,
    masks: Mapping[str, NDArray[np.intp]],
    on_the_spot_mev: Floats,
    per_batch: int,
    target_uncertainty: float | None,
    progress: Progress | None,
) -> Batches:
    """Batches until all are done or the target is reached; `on_the_spot_mev` per voxel belongs to each of them.

    Raises
    ------
    RadioDosimetryError
        A region of a run to a target gets no energy, or the target is out of reach; said after the first `BATCHES`
        batches if they show it.
    """
    if target_uncertainty is None:
        batches = Batches(runner.voxel_count + 1, masks)
        for batch in range(BATCHES):
            batches.add(runner.run_batch(batch, per_batch, progress, batch / BATCHES, 1 / BATCHES), on_the_spot_mev)
        return batches
    batches = Batches(runner.voxel_count + 1, masks or {_WHOLE_GRID: slice(runner.voxel_count)})
    reached = 0.0
    while True:
        batches.add(runner.run_batch(batches.count, per_batch, progress, reached, 0.0), on_the_spot_mev)
        if batches.count < BATCHES:
            continue
        _require_energy(batches, per_batch)
        worst = max(batches.region_uncertainty().values())
        if worst <= target_uncertainty:
            return batches
        reached = (target_uncertainty / worst) ** 2
        _require_target_in_reach(batches, per_batch, target_uncertainty)


def _require_energy(batches: Batches, per_batch: int) -> None:
    """Refuse to wait for the uncertainty of nothing."""
    empty = batches.regions_without_energy()
    if empty:
        raise RadioDosimetryError(
            f"After {batches.count * per_batch:.3g} histories no energy has reached {', '.join(empty)}, so its "
            "uncertainty cannot reach a target. Leave the region out, or ask for a number of histories."
        )


def _require_target_in_reach(batches: Batches, per_batch: int, target_uncertainty: float) -> None:
    """Give up where 1/√n says that the target lies beyond the last batch."""
    uncertainty = batches.region_uncertainty()
    region = max(uncertainty, key=uncertainty.__getitem__)
    batches_needed = batches.count * (uncertainty[region] / target_uncertainty) ** 2
    if batches.count < MOST_BATCHES and batches_needed <= FORECAST_MARGIN * MOST_BATCHES:
        return
    raise RadioDosimetryError(
        f"After {batches.count * per_batch:.3g} histories the uncertainty of {region} is "
        f"{100 * uncertainty[region]:.3g} %; {100 * target_uncertainty:.3g} % would take about "
        f"{batches_needed * per_batch:.2g} histories, more than the {MOST_BATCHES * per_batch:.2g} that a run to a "
        "target makes. Ask for a larger uncertainty, leave the region out, or ask for a number of histories."
    )
