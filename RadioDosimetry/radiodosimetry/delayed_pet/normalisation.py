"""What networks see instead of Bq/mL, and the way back: decay taken out, numbers near one.

N(t) = N0 · 2^(−t/T½) of Kim 2025 takes physical decay out, so that a network learns where the tracer goes and not that
it decays. Nothing is clipped from above: an image has no limit. The way back is exact to the last bit of single
precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..nuclides import Radionuclide

INITIAL_CONSTANT_BQ_PER_ML = 1e4
"""N0 of Kim 2025, the usual height of their early images."""


class Normalisation(Protocol):
    """The constant that voxels of a time are divided by."""

    @property
    def name(self) -> str:
        """Name in model cards."""

    def constant_bq_per_ml(self, time_s: float, early_kji: NDArray[np.floating]) -> float:
        """Divisor of all voxels at a time [s after injection] of the patient whose early scan this is [Bq/mL]."""


@dataclass(frozen=True)
class DecayNormalisation:
    """N(t) = N0 · 2^(−t/T½) of any nuclide; the patient does not enter.

    Attributes
    ----------
    nuclide
        The radionuclide ("Cu-64").
    initial_bq_per_ml
        N0 [Bq/mL].

    Raises
    ------
    UnknownNuclideError
        The nuclide is not in the decay dataset.
    InputError
        N0 is not positive, or the nuclide is stable.

    References
    ----------
    .. [1] Kim et al., Sci Rep 15 (2025) 5627, Eq. 1, doi:10.1038/s41598-025-88498-z.
    """

    nuclide: str
    initial_bq_per_ml: float = INITIAL_CONSTANT_BQ_PER_ML

    def __post_init__(self) -> None:
        object.__setattr__(self, "nuclide", Radionuclide(self.nuclide).name)
        if not (math.isfinite(self.initial_bq_per_ml) and self.initial_bq_per_ml > 0):
            raise InputError(f"The initial constant must be above zero Bq/mL, found {self.initial_bq_per_ml}.")

    @property
    def name(self) -> str:
        """Name in model cards."""
        return "decay"

    def constant_bq_per_ml(self, time_s: float, early_kji: NDArray[np.floating] | None = None) -> float:
        """N at a time after injection [s]; the early scan is ignored.

        Raises
        ------
        InputError
            The time lies before the injection, or so late that nothing is left.
        """
        return self.initial_bq_per_ml * decay_factor(self.nuclide, time_s)


@dataclass(frozen=True)
class EarlyMaximumNormalisation:
    """The largest voxel of the early scan, at every time: the first approach of Kim 2025, kept for comparison.

    It holds all images between 0 and 1, and leaves the decay to the network.
    """

    @property
    def name(self) -> str:
        """Name in model cards."""
        return "early-maximum"

    def constant_bq_per_ml(self, time_s: float, early_kji: NDArray[np.floating]) -> float:
        """The largest voxel of the early scan [Bq/mL]; the time is ignored.

        Raises
        ------
        InputError
            The early scan has no positive voxel.
        """
        largest = float(np.max(early_kji))
        if largest <= 0:
            raise InputError("The early scan is empty: no voxel is above zero; check the file and its unit.")
        return largest


NORMALISATIONS = ("decay", "early-maximum")
"""Names that `normalisation_named` knows."""


def normalisation_named(name: str, nuclide: str) -> Normalisation:
    """The normalisation of this name.

    Raises
    ------
    InputError
        There is none.
    """
    if name == "decay":
        return DecayNormalisation(nuclide)
    if name == "early-maximum":
        return EarlyMaximumNormalisation()
    raise InputError(f"Normalisation '{name}' is unknown; expected one of: {', '.join(NORMALISATIONS)}.")


def normalised(array: NDArray[np.floating], constant_bq_per_ml: float) -> NDArray[np.float64]:
    """Voxels over the constant, in double precision."""
    return np.asarray(array, dtype=np.float64) / constant_bq_per_ml


def restored(array: NDArray[np.floating], constant_bq_per_ml: float) -> NDArray[np.float32]:
    """Voxels [Bq/mL] from normalised ones; undoes `normalised` to the last bit of single precision."""
    return (np.asarray(array, dtype=np.float64) * constant_bq_per_ml).astype(np.float32)


def decay_factor(nuclide: str, elapsed_s: float) -> float:
    """Share of the activity of a nuclide left after a time [s].

    Raises
    ------
    InputError
        The time is negative or not finite, or nothing that single precision can hold is left.
    UnknownNuclideError
        The nuclide is not in the decay dataset.
    """
    if not (math.isfinite(elapsed_s) and elapsed_s >= 0):
        raise InputError(f"A time after injection must be zero or later, found {elapsed_s} s.")
    factor = 2.0 ** (-elapsed_s / Radionuclide(nuclide).half_life_s)
    if factor < 1e-30:
        raise InputError(f"After {elapsed_s / 3600:g} h nothing of {nuclide} is left; give an earlier time.")
    return float(factor)
