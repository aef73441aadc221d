"""Which patients train and which judge: never the same one on both sides, nor two made from the same one.

What may not be on both sides is a *source*: the patient that others are derived from, by deformation or by another
drawing of kinetics. Patients of one source always stay together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from ..errors import InputError


class SplitPatient(Protocol):
    """What a split must know of a patient."""

    @property
    def id(self) -> str:
        """Name of the patient in its data set."""

    @property
    def source(self) -> str:
        """The patient that this one derives from."""


Patient = TypeVar("Patient", bound=SplitPatient)


@dataclass(frozen=True)
class Fold(Generic[Patient]):
    """One division of patients, checked for leaks when it is made.

    Attributes
    ----------
    training, held_out
        Patients to learn from, and those that were never looked at.
    number, count
        This is fold `number` (from 1) of `count`; a single hold-out is fold 1 of 1.
    validation
        Patients that decide when to stop, which are in neither of the others; may be empty.
    """

    training: tuple[Patient, ...]
    held_out: tuple[Patient, ...]
    number: int = 1
    count: int = 1
    validation: tuple[Patient, ...] = ()

    def __post_init__(self) -> None:
        require_no_leak(self.training, (*self.held_out, *self.validation))
        require_no_leak(self.validation, self.held_out)

    def as_dict(self) -> dict[str, object]:
        """Number of the fold, names of its patients, and the sources that must not judge, for cards and records."""
        return {
            "fold": f"{self.number}/{self.count}",
            "training": [patient.id for patient in self.training],
            "validation": [patient.id for patient in self.validation],
            "held_out": [patient.id for patient in self.held_out],
            "training_sources": sorted({patient.source for patient in (*self.training, *self.validation)}),
            "validation_sources": sorted({patient.source for patient in self.validation}),
            "held_out_sources": sorted({patient.source for patient in self.held_out}),
        }


def k_folds(patients: Sequence[Patient], k: int, seed: int) -> tuple[Fold[Patient], ...]:
    """Divide patients k times so that each is held out once, all those of one source together.

    Parameters
    ----------
    patients
        In any order; it does not change the folds, the sources' names do.
    k
        Number of folds, from 2 to the number of sources.
    seed
        Of the order in which sources are dealt to folds.

    Returns
    -------
    tuple of Fold
        The folds' held-out patients are as many in each as their sources allow.

    Raises
    ------
    InputError
        k is below 2 or above the number of sources, or two patients have one name.
    """
    groups = _groups(patients)
    if k < 2:
        raise InputError(f"K-fold cross-validation needs K of at least 2, found {k}.")
    if k > len(groups):
        raise InputError(
            f"K = {k} is larger than the {len(groups)} independent patients of the data ({len(patients)} patients in "
            f"all; those that derive from one another stay together); use K of at most {len(groups)}."
        )
    dealt: list[list[str]] = [[] for _ in range(k)]
    sizes = [0] * k
    for source in _shuffled(groups, seed):
        smallest = sizes.index(min(sizes))
        dealt[smallest].append(source)
        sizes[smallest] += len(groups[source])
    return tuple(_fold(patients, set(sources), number, k) for number, sources in enumerate(dealt, start=1))


def hold_out(patients: Sequence[Patient], fraction: float, seed: int) -> Fold[Patient]:
    """Hold out at least one source and about this fraction of the sources.

    Raises
    ------
    InputError
        The fraction is not between 0 and 1, there are fewer than two sources, or two patients have one name.
    """
    groups = _groups(patients)
    if not 0.0 < fraction < 1.0:
        raise InputError(f"The fraction of patients held out must lie between 0 and 1, found {fraction:g}.")
    if len(groups) < 2:
        raise InputError(
            f"Found {len(groups)} independent patients ({len(patients)} patients in all); holding one out needs at "
            "least 2. Simulate or add patients that do not derive from each other."
        )
    count = min(max(1, round(fraction * len(groups))), len(groups) - 1)
    order = _shuffled(groups, seed, largest_first=False)
    return _fold(patients, set(order[:count]), 1, 1)


def fold_of(
    patients: Sequence[Patient], fold: tuple[int, int] | None, seed: int, validation_fraction: float = 0.2
) -> Fold[Patient]:
    """The division that a training uses: patients held out for judging, and of the others some that say when to stop.

    Parameters
    ----------
    patients
        All patients of the data.
    fold
        (number, K): fold `number` of K. None: nobody is held out, all but those of validation train.
    seed
        Of the division.
    validation_fraction
        Share of the remaining sources that validates, at least one of them.

    Raises
    ------
    InputError
        The fold does not exist, or there are too few independent patients.
    """
    if fold is None:
        division = hold_out(patients, validation_fraction, seed)
        return Fold(division.training, (), validation=division.held_out)
    number, count = fold
    if not 1 <= number <= count:
        raise InputError(f"Fold {number}/{count} does not exist; the first number runs from 1 to {count}.")
    outer = k_folds(patients, count, seed)[number - 1]
    inner = hold_out(outer.training, validation_fraction, seed)
    return Fold(inner.training, outer.held_out, number, count, inner.held_out)


def require_no_leak(training: Sequence[SplitPatient], held_out: Sequence[SplitPatient]) -> None:
    """Refuse a division in which a patient, or two that derive from the same one, stand on both sides.

    Raises
    ------
    InputError
        As said, with the names of both.
    """
    sources = {patient.source: patient.id for patient in training}
    for patient in held_out:
        if patient.source in sources:
            other = sources[patient.source]
            both = f"{patient.id}" if other == patient.id else f"{other} and {patient.id}"
            raise InputError(
                f"The split leaks: {both} derive{'s' if other == patient.id else ''} from '{patient.source}' and would "
                "stand on both sides; keep all patients of one source together (split before augmentation)."
            )


def _groups(patients: Sequence[Patient]) -> dict[str, list[Patient]]:
    """Patients by their source, sources in the order of their names."""
    names = [patient.id for patient in patients]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"Two patients are named {repeated[0]}; give each patient its own name.")
    groups: dict[str, list[Patient]] = {}
    for patient in sorted(patients, key=lambda one: (one.source, one.id)):
        groups.setdefault(patient.source, []).append(patient)
    return groups


def _shuffled(groups: dict[str, list[Patient]], seed: int, largest_first: bool = True) -> list[str]:
    """Names of the sources in random order; for even folds those with many patients are dealt first."""
    names = list(groups)
    order = [names[number] for number in np.random.default_rng(seed).permutation(len(names))]
    return sorted(order, key=lambda name: -len(groups[name])) if largest_first else order


def _fold(patients: Sequence[Patient], held_sources: set[str], number: int, count: int) -> Fold[Patient]:
    """The fold that holds these sources out, patients in the order of the data."""
    held = tuple(patient for patient in patients if patient.source in held_sources)
    return Fold(tuple(patient for patient in patients if patient.source not in held_sources), held, number, count)
