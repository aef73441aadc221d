"""How maps of time-integrated activity are made, and what they need of organs' fits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from .voxelwise_trapezoid import Start, Tail

LARGEST_RELATIVE_STD = 0.5
"""Relative standard uncertainty of a voxel beyond which it takes the shape of a curve of many."""


class OrganCurve(Protocol):
    """What `organ-shape` needs of an organ's fit; `CurveFit` is one."""

    @property
    def tia_bq_s(self) -> float:
        """Time-integrated activity of the organ [Bq s]."""

    @property
    def tia_std_bq_s(self) -> float | None:
        """Its standard uncertainty [Bq s], None if unknown."""

    def value(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Activity present in the organ at times after administration [Bq]."""


@dataclass(frozen=True)
class TiaOptions:
    """How a map of time-integrated activity is made; what a method does not use is ignored.

    Attributes
    ----------
    tail
        Trapezoid: "fitted" (mono-exponential through the last scans, never slower than physical decay) or
        "physical" (as Kim et al. 2022, for reproduction: it overstates what is still cleared after the last scan).
    start
        Trapezoid: "zero" (A(0) = 0, as Kim et al. 2022) or "constant" (A(0) is that of the first scan).
    noise_fraction
        Relative standard deviation of one voxel in one scan. None: told from the residuals, where the method
        leaves a degree of freedom.
    conserve_organ_tia
        Organ-shape: scale each region's voxels to the time-integrated activity of its organ's fit.
    reference_scan
        Index of the scan on whose grid the map lies.
    threads
        Threads that share the voxels, None for one per processor core; results do not depend on it.
    """

    tail: Tail = "fitted"
    start: Start = "zero"
    noise_fraction: float | None = None
    conserve_organ_tia: bool = True
    reference_scan: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.tail not in ("fitted", "physical"):
            raise InputError(f"The tail '{self.tail}' is unknown; expected fitted or physical.")
        if self.start not in ("zero", "constant"):
            raise InputError(f"The start '{self.start}' is unknown; expected zero or constant.")
        noise = self.noise_fraction
        if noise is not None and not (math.isfinite(noise) and 0 < noise < 10):
            raise InputError(f"The noise of a voxel must be a fraction above zero (0.1 for 10 %), found {noise!r}.")
        if self.threads is not None and self.threads < 1:
            raise InputError(f"The number of threads must be at least 1, found {self.threads}.")
