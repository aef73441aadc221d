"""Lines from early uptake to later clearance, one per kind of tissue and target time, fitted to training patients.

ln(delayed / decayed early) = level + slope · (ln(early concentration / mean of the body) − centre). Slopes are held
towards zero as a normal prior holds them: with few patients, and where early uptake tells nothing, the line is the
population's mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR
from .baselines import EVERYTHING_ELSE, population_region, region_activities
from .normalisation import decay_factor
from .pairs import SerialPet

OUTSIDE = "outside"
"""Name of the first kind of tissue: what is not the patient."""

SLOPE_PRIOR_STD = 0.5
"""Standard deviation of the slopes' prior, about zero."""

SMALLEST_STD = 0.03
"""Relative uncertainty below which no tissue starts: a few patients can look alike by chance."""

_FEWEST = 3


@dataclass(frozen=True, eq=False)
class TissueLines:
    """Lines of all tissues.

    Attributes
    ----------
    tissues
        Names, `OUTSIDE` first.
    centre
        Mean of the logarithm of relative early uptake of each tissue, (tissues,).
    level, slope, log_std
        Of each target time and tissue, (targets, tissues); the last is the logarithm of the patients' spread about the
        line.
    log_share
        Logarithm of each tissue's share of the voxels, (tissues,).
    """

    tissues: tuple[str, ...]
    centre: NDArray[np.float32]
    level: NDArray[np.float32]
    slope: NDArray[np.float32]
    log_std: NDArray[np.float32]
    log_share: NDArray[np.float32]


def fit_tissue_lines(training: Sequence[SerialPet], early_time_s: float, target_hours: Sequence[float]) -> TissueLines:
    """Lines of all tissues that at least one training patient has.

    Raises
    ------
    InputError
        A patient has no regions or no such scan, or there is no patient.
    """
    points: dict[str, list[tuple[float, list[float]]]] = {}
    for patient in training:
        for name, excess, ratios in _points_of(patient, early_time_s, target_hours):
            points.setdefault(name, []).append((excess, ratios))
    if not points:
        raise InputError("No region of the training patients holds activity in all scans; check the regions.")
    tissues = (OUTSIDE, *sorted(points))
    everything = np.array([row for rows in points.values() for _, row in rows])
    shape = (len(target_hours), len(tissues))
    centre, level, slope = np.zeros(len(tissues)), np.zeros(shape), np.zeros(shape)
    log_std = np.full(shape, math.log(0.3))
    level[:, 0] = np.median(everything, axis=0)
    for number, name in enumerate(tissues[1:], start=1):
        x = np.array([excess for excess, _ in points[name]])
        centre[number] = x.mean()
        for target in range(len(target_hours)):
            y = np.array([row[target] for _, row in points[name]])
            level[target, number], slope[target, number], spread = _line(x - x.mean(), y)
            log_std[target, number] = math.log(max(spread, SMALLEST_STD))
    log_share = np.log(_shares(training, tissues))
    cast = [array.astype(np.float32) for array in (centre, level, slope, log_std, log_share)]
    return TissueLines(tissues, cast[0], cast[1], cast[2], cast[3], cast[4])


def _shares(training: Sequence[SerialPet], tissues: Sequence[str]) -> NDArray[np.float64]:
    """Share of the labelled scans' voxels that each tissue has, at least one voxel of each."""
    counts = np.ones(len(tissues))
    for patient in training:
        if patient.labels is not None:
            found = np.bincount(np.asarray(patient.labels.array_kji).ravel(), minlength=1)
            counts[0] += found[0]
            for label, name in patient.labels.names.items():
                if label < found.size and population_region(name) in tissues:
                    counts[tissues.index(population_region(name))] += found[label]
    return counts / counts.sum()


def _points_of(
    patient: SerialPet, early_time_s: float, target_hours: Sequence[float]
) -> list[tuple[str, float, list[float]]]:
    """Tissue, logarithm of relative early uptake and of the ratios at all targets, for each region of a patient."""
    if patient.labels is None:
        raise InputError(f"{patient.id} has no regions; the network 'ratio-3d' learns the activity of organs.")
    at_s, early = patient.scan_at(early_time_s)
    before = region_activities(early.array_kji, patient.labels)
    counts = region_activities(np.ones(early.geometry.shape_kji), patient.labels)
    regions = [name for name in before if name != EVERYTHING_ELSE]
    mean = sum(before[name] for name in regions) / max(sum(counts[name] for name in regions), 1.0)
    later = []
    for hour in target_hours:
        late_s, scan = patient.scan_at(hour * SECONDS_PER_HOUR)
        later.append((decay_factor(patient.nuclide, late_s - at_s), region_activities(scan.array_kji, patient.labels)))
    found = []
    for name in regions:
        if before[name] > 0 and all(after[name] > 0 for _, after in later) and mean > 0:
            ratios = [math.log(after[name] / (before[name] * decay)) for decay, after in later]
            found.append((population_region(name), math.log(before[name] / counts[name] / mean), ratios))
    return found


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Level, slope and spread about the line, of centred x; the prior of the slope is normal about zero."""
    level = float(y.mean())
    if len(x) < _FEWEST:
        return level, 0.0, 0.3
    noise = float(np.var(y - level, ddof=1))
    slope = float(x @ (y - level) / (x @ x + max(noise, SMALLEST_STD**2) / SLOPE_PRIOR_STD**2))
    return level, slope, float(np.sqrt(np.sum((y - level - slope * x) ** 2) / max(len(x) - 2, 1)))
