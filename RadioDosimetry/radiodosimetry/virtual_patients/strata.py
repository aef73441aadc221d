"""Parts of an activity that are run apart by Monte Carlo, each as often as it takes, and their sum."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..voxel_dose.monte_carlo import MonteCarloDose
from ..voxel_dose.sources import EmissionSource

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Stratum:
    """A part of the activity, with some of its emissions, that gets histories of its own.

    Attributes
    ----------
    tia
        Activity of the part, zero elsewhere.
    source
        Its emissions that are followed.
    histories
        How many it gets.
    """

    tia: QuantitativeVolume
    source: EmissionSource
    histories: int


@dataclass(eq=False)
class Part:
    """What the runs of one stratum came to, each weighted by its histories.

    Attributes
    ----------
    stratum
        Which.
    dose_gy, std_gy
        Dose and its standard uncertainty [Gy], (k, j, i).
    energy_gy_g, energy_variance_gy2_g2
        Region to the energy that it gets, and the variance of that.
    histories
        Of all runs.
    """

    stratum: Stratum
    dose_gy: NDArray[np.float32]
    std_gy: NDArray[np.float32]
    energy_gy_g: dict[str, float] = field(default_factory=dict)
    energy_variance_gy2_g2: dict[str, float] = field(default_factory=dict)
    histories: int = 0

    def add(self, run: MonteCarloDose, mass_g: NDArray[np.float64], masks: Mapping[str, Mask]) -> None:
        """One more run, independent of those before."""
        total = self.histories + run.histories
        before, now = self.histories / total, run.histories / total
        dose = run.dose.array_kji.astype(np.float64)
        for name, mask in masks.items():
            energy = float(np.sum(dose[mask] * mass_g[mask]))
            error = energy * run.region_uncertainty.get(name, 0.0)
            self.energy_gy_g[name] = before * self.energy_gy_g.get(name, 0.0) + now * energy
            variance = before**2 * self.energy_variance_gy2_g2.get(name, 0.0) + (now * error) ** 2
            self.energy_variance_gy2_g2[name] = variance
        std = dose * run.uncertainty.array_kji
        self.dose_gy = (before * self.dose_gy + now * dose).astype(np.float32)
        self.std_gy = np.hypot(before * self.std_gy.astype(np.float64), now * std).astype(np.float32)
        self.histories = total


@dataclass(eq=False)
class StrataSum:
    """All strata together; the record is that of the first run."""

    parts: list[Part]
    record: Record

    @property
    def histories(self) -> int:
        """Of all runs."""
        return sum(part.histories for part in self.parts)

    @property
    def dose_gy(self) -> NDArray[np.float64]:
        """Dose of all strata."""
        dose = np.zeros(self.parts[0].dose_gy.shape)
        for part in self.parts:
            dose += part.dose_gy
        return dose

    def relative_variances(self, mask: Mask) -> list[float]:
        """What each stratum adds to the mean squared relative uncertainty of the voxels of a mask."""
        dose = np.sum([part.dose_gy[mask] for part in self.parts], axis=0, dtype=np.float64)
        inverse = np.zeros(dose.shape)
        np.divide(1.0, dose, out=inverse, where=dose > 0)
        return [float(np.mean(np.square(part.std_gy[mask] * inverse))) for part in self.parts]

    def relative(self) -> NDArray[np.float64]:
        """Relative standard uncertainty, 1 where there is no dose."""
        dose = self.dose_gy
        std = np.zeros_like(dose)
        for part in self.parts:
            np.hypot(std, part.std_gy, out=std)
        relative = np.ones_like(dose)
        np.divide(std, dose, out=relative, where=dose > 0)
        return relative

    def energy_gy_g(self, name: str) -> float:
        """Energy that a region gets [Gy g]."""
        return sum(part.energy_gy_g[name] for part in self.parts)

    def of_regions(self) -> dict[str, float]:
        """Relative standard uncertainty of each region's mean dose; regions without dose are left out."""
        return {
            name: math.sqrt(sum(part.energy_variance_gy2_g2[name] for part in self.parts)) / self.energy_gy_g(name)
            for name in self.parts[0].energy_gy_g
            if self.energy_gy_g(name) > 0
        }
