"""The uncertainty that a model states of its doses, learned from its errors on patients it was not trained on.

A network does not know how far it is off, and networks of other seeds err alike. What its errors do depend on is known:
how much it changes the dose of its base, and where the dose ends, for an edge put wrong by a fraction of a voxel is an
error in proportion to the slope there. With D the dose, B that of the base and s the spread of the members, if any,

    σ² = (floor · D)² + (change · (D − B))² + (shift · edge)² + (spread · s)²,

where `edge` is the slope |∇D| of a voxel and, for the mean of a region, D times its surface over its volume: a surface
displaced by `shift` changes the volume, and what is in it, by that much. The four numbers are fitted to the errors with
a Laplace likelihood, whose tails are more like those of the errors than a normal distribution's. All are then scaled
until ± σ holds 68 % of the errors of patients left out one after the other: each patient's errors are held against
numbers fitted to the others', as in cross-conformal prediction. Regions and voxels have numbers of their own: the noise
of voxels is gone from a mean. Few patients make few independent errors; 68 % is what is aimed at, not a guarantee.

References
----------
.. [1] Lei et al., J Am Stat Assoc 113 (2018) 1094, DOI 10.1080/01621459.2017.1307116: intervals from held-out errors
       over a scale that depends on the case.
.. [2] Vovk, Ann Math Artif Intell 74 (2015) 9, DOI 10.1007/s10472-013-9368-4: cross-conformal predictors.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from ..errors import InputError
from ..learning.ensembles import CENTRAL_68_PERCENT

if TYPE_CHECKING:
    from .patients import DosePatient

_LOG = logging.getLogger(__name__)

Values = NDArray[np.floating]

FEWEST_REGIONS, FEWEST_PATIENTS = 20, 2
"""Errors of regions from which four numbers can be had, and patients of whom one can be left out."""

LEAST_FLOOR = 0.002
"""No dose is stated surer than the means of regions of the Monte Carlo that it is learned from, 0.2 %."""

VOXELS_PER_PATIENT = 4000
"""Voxels of each patient that are looked at, drawn at random: neighbours err together and tell little more."""

LEAST_DOSE_SHARE = 0.01
"""Voxels below this share of the body's mean dose are left out: of nothing, every error is large."""

STEP_FACTOR = 2.0 / 3.0
"""Area of a smooth surface over that of the voxel faces that approximate it, averaged over directions."""

STARTS = (0.02, 0.2, 1.0)
"""Where the search for the four numbers begins."""


@dataclass(frozen=True, eq=False)
class Errors:
    """Errors of doses and what their size may depend on, arrays (n,).

    Attributes
    ----------
    error_gy
        Dose less truth.
    dose_gy, change_gy, edge_gy_per_mm, spread_gy
        The dose, what the network changed, its slope or dose times surface over volume, and the members' spread.
    noise_gy
        Standard uncertainty of the truth, zero where it is not stated.
    """

    error_gy: Values
    dose_gy: Values
    change_gy: Values
    edge_gy_per_mm: Values
    spread_gy: Values
    noise_gy: Values

    @property
    def count(self) -> int:
        """Number of errors."""
        return int(self.error_gy.size)

    @classmethod
    def together(cls, parts: Sequence[Errors]) -> Errors:
        """Errors of several patients as one."""
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in cls.__dataclass_fields__))


@dataclass(frozen=True)
class ErrorModel:
    """The four numbers of σ, and what they came from.

    Attributes
    ----------
    floor, change, spread
        Without unit.
    shift_mm
        Displacement of edges [mm].
    count, patients
        Errors they were fitted to, and of how many patients; 0 if they were not.

    Raises
    ------
    InputError
        A number is negative or not finite.
    """

    floor: float = 0.0
    change: float = 0.0
    shift_mm: float = 0.0
    spread: float = 0.0
    count: int = 0
    patients: int = 0

    def __post_init__(self) -> None:
        numbers = (self.floor, self.change, self.shift_mm, self.spread)
        if not all(math.isfinite(one) and one >= 0 for one in numbers):
            raise InputError(f"An uncertainty is made of finite numbers from zero on, found {numbers}.")

    def sigma_gy(self, dose_gy: Values, change_gy: Values, edge_gy_per_mm: Values, spread_gy: Values) -> Values:
        """Standard uncertainty [Gy] of doses; arguments as in `Errors`."""
        squared = np.square(self.floor * dose_gy)
        squared += np.square(self.change * change_gy)
        squared += np.square(self.shift_mm * edge_gy_per_mm)
        squared += np.square(self.spread * spread_gy)
        return np.asarray(np.sqrt(squared))

    def of(self, errors: Errors) -> Values:
        """What it states of doses whose errors are known [Gy]."""
        return self.sigma_gy(errors.dose_gy, errors.change_gy, errors.edge_gy_per_mm, errors.spread_gy)

    def scaled(self, factor: float) -> ErrorModel:
        """The same shape with another size."""
        return replace(
            self, floor=factor * self.floor, change=factor * self.change, shift_mm=factor * self.shift_mm,
            spread=factor * self.spread,
        )  # fmt: skip


@dataclass(frozen=True)
class StatedUncertainty:
    """What a model states of the means of regions and of voxels."""

    regions: ErrorModel
    voxels: ErrorModel

    @classmethod
    def from_dict(cls, values: Mapping[str, Mapping[str, float]]) -> StatedUncertainty:
        """As a card holds it."""
        return cls(ErrorModel(**values["regions"]), ErrorModel(**values["voxels"]))  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, dict[str, float]]:
        """For cards and records."""
        return {"regions": asdict(self.regions), "voxels": asdict(self.voxels)}

    def of_voxels(
        self, dose_gy: Values, base_gy: Values, spacing_mm: Sequence[float], spread_gy: Values | None = None
    ) -> NDArray[np.float32]:
        """Relative standard uncertainty of each voxel, zero where there is no dose.

        Parameters
        ----------
        dose_gy, base_gy, spread_gy
            Doses of model and base, and the members' spread, (k, j, i).
        spacing_mm
            Of the voxels, as a geometry has it (i, j, k).
        """
        spread = np.zeros(1, dtype=np.float32) if spread_gy is None else spread_gy
        sigma = self.voxels.sigma_gy(dose_gy, dose_gy - base_gy, slope_gy_per_mm(dose_gy, spacing_mm), spread)
        relative = np.zeros(dose_gy.shape, dtype=np.float32)
        np.divide(sigma, dose_gy, out=relative, where=dose_gy > 0)
        return relative

    def of_region(
        self, dose_gy: float, base_gy: float, mask_kji: NDArray[np.bool_], spacing_mm: Sequence[float],
        spread_gy: float = 0.0,
    ) -> float:  # fmt: skip
        """Relative standard uncertainty of a region's mean dose, which is above zero."""
        edge = dose_gy * surface_over_volume_per_mm(mask_kji, spacing_mm)
        values = (np.array(one) for one in (dose_gy, dose_gy - base_gy, edge, spread_gy))
        return float(self.regions.sigma_gy(*values)) / dose_gy


SPREAD_ALONE = StatedUncertainty(ErrorModel(spread=1.0), ErrorModel(spread=1.0))
"""What an ensemble states that no patients calibrated."""


def slope_gy_per_mm(dose_gy: Values, spacing_mm: Sequence[float]) -> NDArray[np.float32]:
    """Length of the dose's gradient, (k, j, i), by central differences; spacing as a geometry has it (i, j, k)."""
    squared = np.zeros(dose_gy.shape, dtype=np.float32)
    for axis, step in enumerate(reversed(spacing_mm)):
        if dose_gy.shape[axis] > 1:
            squared += np.square(np.gradient(np.asarray(dose_gy, dtype=np.float32), step, axis=axis))
    return np.asarray(np.sqrt(squared))


def surface_over_volume_per_mm(mask_kji: NDArray[np.bool_], spacing_mm: Sequence[float]) -> float:
    """Surface of a region over its volume [1/mm] from its voxel faces; 0 for an empty region."""
    if not mask_kji.any():
        return 0.0
    (box,) = ndimage.find_objects(mask_kji.astype(np.uint8))
    region = mask_kji[box]
    faces = sum(
        int(np.count_nonzero(np.diff(region, axis=axis, prepend=False, append=False))) / step
        for axis, step in enumerate(reversed(spacing_mm))
    )
    return STEP_FACTOR * faces / int(np.count_nonzero(region))


def patient_errors(
    patient: DosePatient, dose_gy: Values, spread_gy: Values | None, region_spreads_gy: Mapping[str, float]
) -> tuple[Errors, Errors]:
    """Errors of a patient's regions and of some of its voxels.

    Parameters
    ----------
    patient
        With the truth and its noise; that of region means is not taken off and counts as error.
    dose_gy, spread_gy
        Of the model, and of its members if there are several, (k, j, i).
    region_spreads_gy
        Spread of the members' region means.
    """
    maps, truth = patient.maps, patient.label_gy
    base = maps.dose_gy(maps.base_kji)
    rows = []
    for name, mask in patient.regions.items():
        inside = mask & maps.matter_kji
        if not inside.any() or not truth[inside].any():
            continue
        weights = maps.density_kji[inside]
        true, dose, before = (float(np.average(one[inside], weights=weights)) for one in (truth, dose_gy, base))
        edge = dose * surface_over_volume_per_mm(inside, maps.geometry.spacing_mm)
        rows.append((dose - true, dose, dose - before, edge, region_spreads_gy.get(name, 0.0), 0.0))
    regions = Errors(*np.array(rows, dtype=np.float64).reshape(-1, 6).T)
    enough = patient.body_kji & (dose_gy > LEAST_DOSE_SHARE * float(dose_gy[patient.body_kji].mean()))
    voxels = np.flatnonzero(enough)
    rng = np.random.default_rng(0)
    voxels = rng.choice(voxels, min(VOXELS_PER_PATIENT, voxels.size), replace=False)
    slope = slope_gy_per_mm(dose_gy, maps.geometry.spacing_mm)
    none = np.zeros(dose_gy.shape, dtype=np.float32)
    noise = none if patient.noise_gy is None else patient.noise_gy
    spread = none if spread_gy is None else spread_gy
    columns = (dose_gy - truth, dose_gy, dose_gy - base, slope, spread, noise)
    return regions, Errors(*(np.asarray(one.ravel()[voxels], dtype=np.float64) for one in columns))


def calibrated(errors: Iterable[tuple[Errors, Errors]]) -> StatedUncertainty | None:
    """The uncertainty that errors speak for; None, with a line in the log, where they are too few or not finite.

    Parameters
    ----------
    errors
        `patient_errors` of patients that the model was neither trained nor is judged on.
    """
    parts = list(errors)
    count = sum(regions.count for regions, _ in parts)
    if len(parts) < FEWEST_PATIENTS or count < FEWEST_REGIONS:
        _LOG.warning(
            "No uncertainty was calibrated: it takes %d regions of %d patients, found %d of %d.",
            FEWEST_REGIONS, FEWEST_PATIENTS, count, len(parts),
        )  # fmt: skip
        return None
    try:
        return StatedUncertainty(fitted([one for one, _ in parts]), fitted([one for _, one in parts]))
    except InputError as error:
        _LOG.warning("No uncertainty was calibrated: %s", error)
        return None


def fitted(patients: Sequence[Errors]) -> ErrorModel:
    """The four numbers that errors of patients speak for, such that ± σ with the truth's noise holds 68 % of them.

    Parameters
    ----------
    patients
        Errors of each patient, two or more. The scale comes from every patient's errors over numbers that were fitted
        to the other patients'.

    Raises
    ------
    InputError
        Numbers are not finite, or a patient has no dose above zero.
    """
    for one in patients:
        if not (one.dose_gy > 0).any() or not all(np.isfinite(values).all() for values in vars(one).values()):
            raise InputError("An uncertainty is calibrated on finite errors of doses above zero, and found others.")
    ratios = [
        _ratios(_shape(Errors.together([*patients[:number], *patients[number + 1 :]])), left_out)
        for number, left_out in enumerate(patients)
    ]
    every = np.sort(np.concatenate(ratios))
    rank = min(math.ceil((every.size + 1) * CENTRAL_68_PERCENT), every.size)
    model = _shape(Errors.together(patients)).scaled(float(every[rank - 1]))
    return replace(model, floor=max(model.floor, LEAST_FLOOR), count=int(every.size), patients=len(patients))


def _shape(errors: Errors) -> ErrorModel:
    """The likeliest four numbers; their common size is not meant for 68 %."""
    used = errors.dose_gy > 0
    dose = errors.dose_gy[used]
    error, noise = np.abs(errors.error_gy[used]) / dose, errors.noise_gy[used] / dose
    terms = [np.ones(dose.size), errors.change_gy[used] / dose, errors.edge_gy_per_mm[used] / dose]
    if errors.spread_gy.any():
        terms.append(errors.spread_gy[used] / dose)
    squares = np.square(np.array(terms))

    def unlikelihood(weights: Values) -> float:
        scale = np.sqrt(np.square(weights) @ squares + np.square(noise))
        return float(np.mean(np.log(scale) + np.sqrt(2.0) * error / scale))

    bounds = [(LEAST_FLOOR, None), *([(0.0, None)] * (len(terms) - 1))]
    searches = [
        optimize.minimize(unlikelihood, np.full(len(terms), start), method="L-BFGS-B", bounds=bounds)
        for start in STARTS
    ]
    best = min(searches, key=lambda one: float(one.fun)).x
    floor, change, shift_mm, *spread = (float(one) for one in best)
    return ErrorModel(floor, change, shift_mm, spread[0] if spread else 0.0)


def _ratios(model: ErrorModel, errors: Errors) -> Values:
    """By how much σ must grow to reach each error, as far as the truth's noise does not explain it."""
    used = errors.dose_gy > 0
    beyond = np.sqrt(np.maximum(np.square(errors.error_gy) - np.square(errors.noise_gy), 0.0))
    return np.asarray(beyond[used] / model.of(errors)[used])


def coverage(model: ErrorModel, errors: Errors) -> dict[str, float]:
    """Shares of errors within one and two σ, the truth's noise included, and the median of σ over the dose [%].

    `errors` are one or more.
    """
    sigma, error = model.of(errors), np.abs(errors.error_gy)
    total = np.hypot(sigma, errors.noise_gy)
    return {
        "count": errors.count,
        "within_1_sigma": float(np.mean(error <= total)),
        "within_2_sigma": float(np.mean(error <= 2 * total)),
        "median_sigma_percent": float(100 * np.median(sigma / np.maximum(errors.dose_gy, np.finfo(float).tiny))),
    }
