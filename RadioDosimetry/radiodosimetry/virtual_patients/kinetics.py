"""Kinetics of one virtual patient: how much activity each region holds at any time, never more than was given.

Uptakes and clearances are drawn log-normally from a tracer. With U the fraction that ends up in a region, the region
holds U·(exp(−k_c t) − exp(−k_u t))·exp(−λt); what has not arrived yet, U·exp(−k_u t), is in the remainder, which also
holds what no region takes up. The sum of all is thus at most exp(−λt) of the administered activity at any time, by
construction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError
from ..nuclides import Radionuclide
from ..provenance import Record
from ..time_activity.models import ExponentialSum
from .patient import REMAINDER, Anatomy
from .tracers import LN2, TRACERS, RegionKinetics, RemainderKinetics, Tracer, tracer_named

__all__ = [
    "LARGEST_TOTAL",
    "TRACERS",
    "PatientKinetics",
    "RegionDraw",
    "RegionKinetics",
    "RemainderKinetics",
    "Tracer",
    "draw_kinetics",
    "tracer_named",
]

LARGEST_TOTAL = 0.97
"""Fractions of all regions together above this are scaled down to it: no more than what was given can be taken up."""

CLEARANCE_OVER_UPTAKE = 0.9
"""Clearance as drawn is at most this part of the uptake rate: what leaves faster than it arrives would swap the two."""


@dataclass(frozen=True)
class RegionDraw:
    """What was drawn for a region.

    Attributes
    ----------
    early_fraction
        Part of the administered activity in it at the tracer's early time, without decay.
    plateau_fraction
        U, the part that ends up in it without decay and clearance.
    clearance_rate_per_s, uptake_rate_per_s
        Biological rates [1/s]; uptake infinite where it is instantaneous.
    """

    early_fraction: float
    plateau_fraction: float
    clearance_rate_per_s: float
    uptake_rate_per_s: float


@dataclass(frozen=True, eq=False)
class PatientKinetics:
    """Activity of each region of one patient at any time.

    Attributes
    ----------
    tracer, nuclide
        Names.
    administered_bq
        Activity given at time 0 [Bq].
    regions
        Activity present in each region of the anatomy [Bq] as a sum of exponentials with effective rates; regions that
        share the kinetics of the remainder hold their share of it by volume.
    draws
        What was drawn for regions with kinetics of their own.
    record
        Tracer, seed, citations and assumptions; a warning where fractions had to be scaled down.
    """

    tracer: str
    nuclide: str
    administered_bq: float
    regions: Mapping[str, ExponentialSum]
    draws: Mapping[str, RegionDraw] = field(default_factory=dict)
    record: Record = field(default_factory=lambda: Record("given kinetics"))

    def __post_init__(self) -> None:
        if not (math.isfinite(self.administered_bq) and self.administered_bq > 0):
            raise InputError(
                f"The administered activity must be a positive number of Bq, found {self.administered_bq}."
            )
        object.__setattr__(self, "regions", MappingProxyType(dict(self.regions)))
        object.__setattr__(self, "draws", MappingProxyType(dict(self.draws)))

    @property
    def decay_constant_per_s(self) -> float:
        """Of the nuclide [1/s]."""
        return Radionuclide(self.nuclide).decay_constant_per_s

    def activity_bq(self, region: str, time_s: float) -> float:
        """Activity present in a region [Bq] at a time after the administration [s]; refuses an unknown region."""
        return float(self._curve(region).value(time_s))

    def tia_bq_s(self, region: str) -> float:
        """Time-integrated activity of a region from the administration on [Bq s]."""
        return self._curve(region).integral_bq_s()

    def total_activity_bq(self, time_s: float) -> float:
        """Activity present in all regions [Bq]."""
        return float(sum(curve.value(time_s) for curve in self.regions.values()))

    def _curve(self, region: str) -> ExponentialSum:
        try:
            return self.regions[region]
        except KeyError:
            raise InputError(f"No region '{region}'; this patient has: {', '.join(self.regions)}.") from None

    def as_dict(self) -> dict[str, Any]:
        """All numbers as JSON-ready values, for `kinetics.json`."""
        return {
            "tracer": self.tracer,
            "nuclide": self.nuclide,
            "administered_bq": self.administered_bq,
            "regions": {
                name: {"amplitudes_bq": curve.amplitudes_bq.tolist(), "rates_per_s": curve.rates_per_s.tolist()}
                for name, curve in self.regions.items()
            },
            "draws": {
                name: {key: (None if math.isinf(value) else value) for key, value in vars(draw).items()}
                for name, draw in self.draws.items()
            },
            "record": self.record.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PatientKinetics:
        """The kinetics that `as_dict` wrote.

        Raises
        ------
        InputError
            A key is missing or a number cannot be used.
        """
        try:
            return cls(
                str(values["tracer"]),
                str(values["nuclide"]),
                float(values["administered_bq"]),
                {
                    name: ExponentialSum(np.array(row["amplitudes_bq"]), np.array(row["rates_per_s"]))
                    for name, row in values["regions"].items()
                },
                {
                    name: RegionDraw(**{key: math.inf if value is None else float(value) for key, value in row.items()})
                    for name, row in values.get("draws", {}).items()
                },
                Record.from_dict(values.get("record", {})),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(
                f"These kinetics cannot be read, {error!r} is missing or wrong; write them again."
            ) from error


def draw_kinetics(
    tracer: Tracer | str, anatomy: Anatomy, seed: int, administered_bq: float | None = None
) -> PatientKinetics:
    """Kinetics of one patient.

    Parameters
    ----------
    tracer
        A tracer or its name.
    anatomy
        Whose regions take it up.
    seed
        Whole number not below zero.
    administered_bq
        Activity given [Bq]; drawn around the tracer's usual one if None.

    Returns
    -------
    PatientKinetics
        One sum of exponentials for each region of the anatomy. The draws of a region depend on seed and name alone,
        not on which other regions there are.

    Raises
    ------
    InputError
        The tracer or seed cannot be used, or the anatomy has nothing that the tracer is caught in.
    """
    chosen = tracer_named(tracer) if isinstance(tracer, str) else tracer
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"The seed of kinetics must be a whole number from 0, found {seed!r}.")
    given_bq = _administered_bq(chosen, int(seed)) if administered_bq is None else float(administered_bq)
    volumes_ml = anatomy.volumes_ml
    draws = {
        name: _draw_region(kinetics, volume_ml, chosen, _stream(int(seed), name))
        for name, volume_ml in volumes_ml.items()
        if (kinetics := chosen.kinetics_of(name, anatomy.lesion_site(name))) is not None and name != REMAINDER
    }
    total = sum(draw.plateau_fraction for draw in draws.values())
    if chosen.lodged and not total > 0:
        raise InputError(
            f"{chosen.name} is caught in {', '.join(chosen.regions)} alone, and the anatomy has none of them; "
            "take a field of view or labels that show one."
        )
    factor = 1 / total if chosen.lodged else min(1.0, LARGEST_TOTAL / total if total > 0 else 1.0)
    draws = {name: _scaled(draw, factor) for name, draw in draws.items()}
    decay = Radionuclide(chosen.nuclide).decay_constant_per_s
    slow = _slow_rate_per_s(chosen.remainder, _stream(int(seed), REMAINDER))
    regions = _curves(chosen, draws, anatomy, given_bq, decay, slow)
    record = _record(chosen, int(seed), given_bq, slow, factor)
    return PatientKinetics(chosen.name, chosen.nuclide, given_bq, regions, draws, record)


def plateau_shape(
    time_s: np.ndarray | float, clearance_per_s: np.ndarray | float, uptake_per_s: np.ndarray | float
) -> np.ndarray:
    """exp(−k_c t) − exp(−k_u t): part of the plateau that is present, without decay; uptake may be infinite."""
    time = np.asarray(time_s, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        arriving = np.where(
            np.isinf(uptake_per_s), 0.0, np.exp(-np.where(np.isinf(uptake_per_s), 0, uptake_per_s) * time)
        )
    return np.asarray(np.exp(-np.asarray(clearance_per_s) * time) - arriving)


_ALIKE = {
    **dict.fromkeys(("left_kidney", "right_kidney"), "kidneys"),
    **dict.fromkeys(("left_lung", "right_lung"), "lungs"),
    "heart_contents": "blood_vessels",
}
"""Regions of one patient that take up and clear alike, by concentration."""


def alike(name: str) -> str:
    """What the draws of a region are named after: both kidneys, both lungs and all blood are drawn once."""
    return _ALIKE.get(name, name)


def _stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one region of one patient."""
    return np.random.default_rng(np.random.SeedSequence([seed, 0x6B696E, *alike(name).encode()]))


def _administered_bq(tracer: Tracer, seed: int) -> float:
    deviation = float(np.clip(_stream(seed, "administered").standard_normal(), -2.5, 2.5))
    return tracer.administered_bq * math.exp(tracer.administered_log_spread * deviation)


def _draw_region(kinetics: RegionKinetics, volume_ml: float, tracer: Tracer, rng: np.random.Generator) -> RegionDraw:
    """Early value, clearance and uptake of a region."""
    first, second, third = rng.standard_normal(3)
    early = volume_ml * kinetics.early_per_ml * math.exp(kinetics.early_log_spread * first)
    joint = kinetics.correlation * first + math.sqrt(1 - kinetics.correlation**2) * second
    clearance = rate_per_s(kinetics.clearance_half_time_h, kinetics.clearance_log_spread * joint)
    uptake = rate_per_s(kinetics.uptake_half_time_h, kinetics.uptake_log_spread * third)
    clearance = min(clearance, CLEARANCE_OVER_UPTAKE * uptake)
    present = float(plateau_shape(tracer.early_time_s, clearance, uptake))
    return RegionDraw(early, early / present, clearance, uptake)


def rate_per_s(half_time_h: float, log_deviation: float) -> float:
    """Rate [1/s] of a half-time [h] times exp(log_deviation); 0 of an infinite one, infinite of 0."""
    if math.isinf(half_time_h):
        return 0.0
    return math.inf if half_time_h == 0 else LN2 / (half_time_h * 3600.0 * math.exp(log_deviation))


def _scaled(draw: RegionDraw, factor: float) -> RegionDraw:
    if factor == 1.0:
        return draw
    return RegionDraw(
        factor * draw.early_fraction, factor * draw.plateau_fraction, draw.clearance_rate_per_s, draw.uptake_rate_per_s
    )


def _slow_rate_per_s(remainder: RemainderKinetics, rng: np.random.Generator) -> float:
    return rate_per_s(remainder.slow_half_time_h, remainder.slow_log_spread * float(rng.standard_normal()))


def _curves(
    tracer: Tracer,
    draws: Mapping[str, RegionDraw],
    anatomy: Anatomy,
    given_bq: float,
    decay_per_s: float,
    slow_per_s: float,
) -> dict[str, ExponentialSum]:
    """Activity of each region; what has none of its own shares the remainder by volume."""
    curves: dict[str, ExponentialSum] = {}
    for name, draw in draws.items():
        amplitude = given_bq * draw.plateau_fraction
        terms = [(amplitude, decay_per_s + draw.clearance_rate_per_s)]
        if math.isfinite(draw.uptake_rate_per_s):
            terms.append((-amplitude, decay_per_s + draw.uptake_rate_per_s))
        curves[name] = _sum_of(terms)
    rest = _remainder_terms(tracer, draws, slow_per_s)
    volumes_ml = anatomy.volumes_ml
    shared = [name for name in volumes_ml if name not in draws]
    # The remainder of the whole body, not that of the image, holds what no region does.
    seen_ml = sum(volumes_ml[name] for name in shared)
    whole_ml = max(anatomy.body_mass_kg * 1e3 - sum(volumes_ml[name] for name in draws), seen_ml)
    for name in shared:
        share = volumes_ml[name] / whole_ml
        curves[name] = _sum_of([(given_bq * share * a, decay_per_s + rate) for a, rate in rest])
    return {name: curves[name] for name in volumes_ml}


def _remainder_terms(tracer: Tracer, draws: Mapping[str, RegionDraw], slow_per_s: float) -> list[tuple[float, float]]:
    """Parts and biological rates of the remainder: what is on its way, what is excreted fast, what stays."""
    terms = [(d.plateau_fraction, d.uptake_rate_per_s) for d in draws.values() if math.isfinite(d.uptake_rate_per_s)]
    left = max(1 - sum(draw.plateau_fraction for draw in draws.values()), 0.0)
    fast = tracer.remainder.fast_fraction
    if tracer.lodged:
        left = 0.0
    terms.append((left * fast, rate_per_s(tracer.remainder.fast_half_time_h, 0.0)))
    terms.append((left * (1 - fast), slow_per_s))
    return terms


def _sum_of(terms: list[tuple[float, float]]) -> ExponentialSum:
    kept = [term for term in terms if term[0] != 0] or [(0.0, terms[0][1])]
    return ExponentialSum(np.array([term[0] for term in kept]), np.array([term[1] for term in kept]))


def _record(tracer: Tracer, seed: int, given_bq: float, slow_per_s: float, factor: float) -> Record:
    record = Record(
        "kinetics of a virtual patient",
        parameters={
            "tracer": tracer.name,
            "nuclide": tracer.nuclide,
            "administered_bq": given_bq,
            "remainder_slow_rate_per_s": slow_per_s,
            "fractions_scaled_by": factor,
            "assumptions": list(tracer.assumptions),
            "correlation_reason": tracer.correlation_reason,
        },
        datasets={f"kinetics {number}": text for number, text in enumerate(tracer.citations, start=1)},
        seed=seed,
    )
    if factor < 1 and not tracer.lodged:
        record = record.with_warnings(
            f"The regions drawn would have taken up {100 * LARGEST_TOTAL / factor:.0f} % of the activity; all were "
            f"scaled to "
            f"{100 * LARGEST_TOTAL:g} % together."
        )
    return record
