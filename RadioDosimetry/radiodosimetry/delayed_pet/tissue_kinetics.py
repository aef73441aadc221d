"""What becomes of each tissue's activity: few numbers per tissue, fitted to training patients (`kinetics_fit`).

ln(delayed / decayed early) of a region = level + slope · (ln(early concentration per administered activity) − centre)
of its tissue: all that one early scan can tell of a region's clearance is how much it took up early.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import FileFormatError
from .spill_over import FWHM_PER_SIGMA, SpillOver

OUTSIDE = "outside"
"""Name of the first kind of tissue: what is not the patient."""

OWN, GIVEN = "own", "given"
"""Where the regions come from: the network's own tissues, or the patient's regions as they were given."""

CALIBRATIONS = {OWN: "calibration", GIVEN: "calibration_with_regions"}
"""Names in a card of the factors on the stated uncertainty."""

LARGEST_EXCESS = 1.5
"""Beyond this distance from the tissue's centre (logarithm) a line goes on level: nothing like it was trained on."""

SMALL_REGION_ML = 6.4
"""Volume of a region at which half is believed of what its early concentration says of its kinetics; above it more.

In a few millilitres that concentration is mostly noise and what was wrongly unmixed. Chosen among folds of 50 training
patients (a hundred voxels of 4 mm)."""

LARGEST_LOG_RATIO = 3.0
"""No region's decay-corrected activity falls or rises more than twentyfold."""

SMOOTHING_MM = (8.0, 16.0)
"""Full widths at half maximum with which what a region's mean does not explain is smoothed [mm]."""

COMPONENTS = 2 + len(SMOOTHING_MM)
"""Images that are mixed: the early scan, the scan smoothed within its regions by each width, the regions' means."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines of all tissues for one origin of regions.

    Attributes
    ----------
    centre
        Mean logarithm of early concentration per administered activity, (tissues,).
    level, slope, log_std
        Of each target time and tissue, (targets, tissues); the last is the logarithm of the patients' spread about it.
    mixture
        Share of each of the `COMPONENTS` at each target time, (targets, components).
    """

    centre: NDArray[np.float64]
    level: NDArray[np.float64]
    slope: NDArray[np.float64]
    log_std: NDArray[np.float64]
    mixture: NDArray[np.float64]

    def log_ratios(
        self, regions: SpillOver, activity_scale: float, time_weights: Sequence[float]
    ) -> NDArray[np.float64]:
        """ln(delayed / decayed early) of each region, (regions,).

        Parameters
        ----------
        regions
            Of the patient.
        activity_scale
            Administered activity over the training's median one; 1 where it is not known.
        time_weights
            Share of each target time in the time asked for.
        """
        weights, tissues = np.asarray(time_weights, dtype=np.float64), regions.tissues
        excess = excess_of(regions, activity_scale, self.centre)
        value = (weights @ self.level)[tissues] + (weights @ self.slope)[tissues] * excess
        return np.asarray(np.clip(value, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))


@dataclass(frozen=True, eq=False)
class TissueKinetics:
    """Everything of a model that is not its tissue network.

    Attributes
    ----------
    tissues
        Names, `OUTSIDE` first.
    reference_bq
        Median administered activity of the training patients [Bq]; 0 where it was not known.
    lines
        By origin of the regions, `OWN` and `GIVEN`.
    """

    tissues: tuple[str, ...]
    reference_bq: float
    lines: Mapping[str, Lines]

    def activity_scale(self, administered_bq: float | None) -> float:
        """Administered activity over the training's median; 1 where either is unknown."""
        return administered_bq / self.reference_bq if administered_bq and self.reference_bq > 0 else 1.0

    def as_dict(self) -> dict[str, Any]:
        """For the card."""
        lines = {
            origin: {name: np.asarray(values).tolist() for name, values in vars(one).items()}
            for origin, one in self.lines.items()
        }
        return {"tissues": list(self.tissues), "reference_bq": self.reference_bq, "lines": lines}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], name: str) -> TissueKinetics:
        """From a card.

        Raises
        ------
        FileFormatError
            The card lacks a number.
        """
        try:
            tissues = tuple(str(one) for one in values["tissues"])
            lines = {
                origin: Lines(*(np.asarray(one[key], dtype=np.float64) for key in Lines.__dataclass_fields__))
                for origin, one in values["lines"].items()
            }
            found = cls(tissues, float(values["reference_bq"]), lines)
            shapes = {one.level.shape for one in lines.values()} | {one.slope.shape for one in lines.values()}
            fitting = shapes == {(len(one.mixture), len(tissues)) for one in lines.values()}
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(
                f"The card of the model {name} does not hold the kinetics of its tissues ({error}); train it again."
            ) from error
        if not fitting or set(lines) != {OWN, GIVEN}:
            raise FileFormatError(f"The kinetics on the card of the model {name} do not fit together; train it again.")
        return found


def excess_of(regions: SpillOver, activity_scale: float, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """What is believed of the logarithm of each region's early concentration over its tissue's usual one, (regions,).

    Concentrations are per administered activity.
    """
    uptake = np.log(np.maximum(regions.uptake / activity_scale, 1e-6))
    return believed_excess(uptake - centre[regions.tissues], regions.volume_ml)


def believed_excess(excess: NDArray[np.float64], volume_ml: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithms of concentrations over the usual: those of small regions lowered, none beyond `LARGEST_EXCESS`."""
    believed = np.clip(excess, -LARGEST_EXCESS, LARGEST_EXCESS) * volume_ml / (volume_ml + SMALL_REGION_ML)
    return np.asarray(believed)


def components(early_kji: Floats, model_kji: Floats, spacing_mm: Sequence[float]) -> list[Floats]:
    """The early scan from as it is to without any noise, `COMPONENTS` images.

    What is smoothed is the scan over the sum of its regions, which has no edges: smoothing it moves no activity from
    one organ into another.

    Parameters
    ----------
    early_kji
        The scan, shape (k, j, i).
    model_kji
        `SpillOver.image_kji` on the same grid.
    spacing_mm
        Of the voxels along i, j and k.
    """
    found = [early_kji]
    for width_mm in SMOOTHING_MM:
        sigma = [width_mm / FWHM_PER_SIGMA / edge for edge in spacing_mm[::-1]]
        above, below = (
            ndimage.gaussian_filter(one, sigma, mode="nearest", truncate=3.0) for one in (early_kji, model_kji)
        )
        found.append(model_kji * above / np.maximum(below, 1e-9))
    return [*found, model_kji]
