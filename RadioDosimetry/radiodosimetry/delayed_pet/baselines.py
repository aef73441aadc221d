"""What any network must beat: the early scan decayed, and the kinetics of a population without a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.regions import LabelMap
from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR
from .normalisation import decay_factor
from .pairs import SerialPet
from .region_names import EVERYTHING_ELSE, REMAINDER, known_tissue, tissue_of

FEWEST_PATIENTS = 3
"""Training patients below which a region's own kinetics are not trusted: those of the whole image are used."""


def early_decayed(early: QuantitativeVolume, nuclide: str, early_time_s: float, time_s: float) -> NDArray[np.float64]:
    """The early scan with physical decay and nothing else [Bq/mL], shape (k, j, i); negative noise is zero."""
    factor = decay_factor(nuclide, time_s - early_time_s)
    return np.maximum(np.asarray(early.array_kji, dtype=np.float64), 0.0) * factor


@dataclass(frozen=True)
class RegionKinetics:
    """How a region's activity changed in a population beyond decay.

    Attributes
    ----------
    log_ratio
        Mean over patients of ln(delayed / decayed early).
    std
        Its standard deviation over patients: the relative uncertainty of a forecast.
    count
        Patients.
    """

    log_ratio: float
    std: float
    count: int


@dataclass(frozen=True)
class PopulationKinetics:
    """Each organ cleared as the training patients' did on average: no network, but regions.

    Attributes
    ----------
    early_time_s
        Time of the early scans [s].
    kinetics
        Time [s] to region to its change.
    """

    early_time_s: float
    kinetics: Mapping[float, Mapping[str, RegionKinetics]]

    def forecast(
        self, early: QuantitativeVolume, labels: LabelMap, nuclide: str, early_time_s: float, time_s: float
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Delayed activity concentration and its relative standard uncertainty, each (k, j, i).

        Raises
        ------
        InputError
            The population has no scans at this time.
        """
        table = self._at(time_s)
        rest = table.get(REMAINDER, table[EVERYTHING_ELSE])
        ratio = np.full(early.geometry.shape_kji, math.exp(rest.log_ratio))
        spread = np.full(early.geometry.shape_kji, rest.std)
        for label, name in labels.names.items():
            tissue = known_tissue(name, table)
            known = rest if tissue is None else table[tissue]
            mask = labels.array_kji == label
            ratio[mask], spread[mask] = math.exp(known.log_ratio), known.std
        return early_decayed(early, nuclide, early_time_s, time_s) * ratio, spread

    def unknown_regions(self, labels: LabelMap) -> list[str]:
        """Regions that are forecast as the remainder because the population knows none of their name."""
        tables = self.kinetics.values()
        return [name for name in labels.names.values() if not all(known_tissue(name, table) for table in tables)]

    def as_rows(self) -> list[dict[str, Any]]:
        """For model cards: a row per time and region."""
        return [
            {
                "early_hour": self.early_time_s / SECONDS_PER_HOUR,
                "hour": time_s / SECONDS_PER_HOUR,
                "region": region,
                "log_ratio": one.log_ratio,
                "std": one.std,
                "patients": one.count,
            }
            for time_s, table in self.kinetics.items()
            for region, one in table.items()
        ]

    @classmethod
    def from_rows(cls, rows: Sequence[Mapping[str, Any]]) -> PopulationKinetics:
        """What `as_rows` wrote; at least one row."""
        tables: dict[float, dict[str, RegionKinetics]] = {}
        for row in rows:
            table = tables.setdefault(float(row["hour"]) * SECONDS_PER_HOUR, {})
            table[str(row["region"])] = RegionKinetics(float(row["log_ratio"]), float(row["std"]), int(row["patients"]))
        return cls(float(rows[0]["early_hour"]) * SECONDS_PER_HOUR, tables)

    def _at(self, time_s: float) -> Mapping[str, RegionKinetics]:
        nearest = min(self.kinetics, key=lambda known: abs(known - time_s))
        if abs(nearest - time_s) > SECONDS_PER_HOUR:
            known = ", ".join(f"{time / SECONDS_PER_HOUR:g}" for time in self.kinetics)
            raise InputError(
                f"The population's kinetics are known at {known} h, asked for {time_s / SECONDS_PER_HOUR:g} h."
            )
        return self.kinetics[nearest]


def population_kinetics(
    training: Sequence[SerialPet], early_time_s: float, times_s: Sequence[float]
) -> PopulationKinetics:
    """Mean change of every region over training patients, from their scans and regions.

    Parameters
    ----------
    training
        Patients with regions; never those that are judged.
    early_time_s, times_s
        Of the scans [s after injection].

    Raises
    ------
    InputError
        There is no patient, or one has no regions or no such scan.
    """
    if not training:
        raise InputError("The kinetics of a population need training patients; found none.")
    found: dict[float, dict[str, list[float]]] = {float(time_s): {} for time_s in times_s}
    for patient in training:
        if patient.labels is None:
            raise InputError(f"{patient.id} has no regions; the kinetics of a population are those of its organs.")
        at_s, early = patient.scan_at(early_time_s)
        before = region_activities(early.array_kji, patient.labels)
        for time_s, table in found.items():
            late_s, late = patient.scan_at(time_s)
            decay = decay_factor(patient.nuclide, late_s - at_s)
            after = region_activities(late.array_kji, patient.labels)
            for region, activity in before.items():
                if activity > 0 and after[region] > 0:
                    table.setdefault(tissue_of(region), []).append(math.log(after[region] / (activity * decay)))
    return PopulationKinetics(
        early_time_s, {time_s: _with_fallback(table) for time_s, table in found.items()}
    )


def region_activities(array_kji: NDArray[np.floating], labels: LabelMap) -> dict[str, float]:
    """Sum of an image over each region, and over what has no label, negative noise included."""
    flat = np.asarray(labels.array_kji).ravel()
    values = np.asarray(array_kji, dtype=np.float64).ravel()
    sums = np.bincount(flat, values, minlength=max(labels.names, default=0) + 1)
    table = {name: float(sums[label]) for label, name in labels.names.items() if (flat == label).any()}
    table[EVERYTHING_ELSE] = float(sums[0])
    return table


def _with_fallback(table: Mapping[str, Sequence[float]]) -> dict[str, RegionKinetics]:
    everything = [value for values in table.values() for value in values]
    if not everything:
        raise InputError("No region of the training patients holds activity in both scans.")
    whole = _kinetics(table.get(EVERYTHING_ELSE) or everything)
    known = {region: _kinetics(values) for region, values in table.items() if len(values) >= FEWEST_PATIENTS}
    return {EVERYTHING_ELSE: whole, **known}


def _kinetics(values: Sequence[float]) -> RegionKinetics:
    column = np.asarray(values)
    return RegionKinetics(
        float(column.mean()), float(column.std(ddof=1)) if column.size > 1 else 0.5, int(column.size)
    )
