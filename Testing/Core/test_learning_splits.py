"""Splits by patient: nobody on both sides, nor anybody made from somebody on the other side."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from radiodosimetry.errors import InputError
from radiodosimetry.learning.splits import Fold, fold_of, hold_out, k_folds, require_no_leak


@dataclass(frozen=True)
class Patient:
    id: str
    source: str


def patients(sources: int, copies: int = 1) -> list[Patient]:
    return [
        Patient(f"patient_{source:02d}_{copy}", f"torso:{source}")
        for source in range(sources)
        for copy in range(copies)
    ]


def test_every_patient_is_held_out_once_and_sources_stay_together() -> None:
    everybody = patients(7, copies=3)
    folds = k_folds(everybody, 5, seed=1)
    held = [patient for fold in folds for patient in fold.held_out]
    assert sorted(held, key=lambda one: one.id) == everybody
    for fold in folds:
        assert {one.source for one in fold.training} & {one.source for one in fold.held_out} == set()
        assert sorted((*fold.training, *fold.held_out), key=lambda one: one.id) == everybody
    assert [len(fold.held_out) for fold in folds] == [6, 6, 3, 3, 3]


def test_the_seed_decides_the_folds_and_the_order_of_the_patients_does_not() -> None:
    everybody = patients(10)
    held = [set(fold.held_out) for fold in k_folds(everybody, 5, seed=1)]
    assert [set(fold.held_out) for fold in k_folds(everybody[::-1], 5, seed=1)] == held
    assert [set(fold.held_out) for fold in k_folds(everybody, 5, seed=2)] != held


@pytest.mark.parametrize(
    ("k", "message"),
    [
        (4, r"K = 4 is larger than the 3 independent patients of the data \(6 patients in all.*use K of at most 3"),
        (1, "needs K of at least 2, found 1"),
    ],
)
def test_more_folds_than_independent_patients_are_refused(k, message) -> None:
    with pytest.raises(InputError, match=message):
        k_folds(patients(3, copies=2), k, seed=0)


def test_a_patient_on_both_sides_is_refused() -> None:
    one = Patient("a", "torso:1")
    with pytest.raises(InputError, match="The split leaks: a derives from 'torso:1' and would stand on both sides"):
        require_no_leak([one], [one])


def test_a_deformed_copy_on_the_other_side_is_refused() -> None:
    original, copy = Patient("a", "ct:12ab"), Patient("a_deformed", "ct:12ab")
    with pytest.raises(InputError, match="The split leaks: a and a_deformed derive from 'ct:12ab'"):
        Fold((original,), (copy,))
    with pytest.raises(InputError, match="leaks"):
        Fold((original,), (Patient("b", "ct:other"),), validation=(copy,))
    with pytest.raises(InputError, match="leaks"):
        Fold((Patient("b", "ct:other"),), (original,), validation=(copy,))


def test_two_patients_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="Two patients are named a; give each patient its own name"):
        k_folds([Patient("a", "1"), Patient("a", "2")], 2, seed=0)


def test_a_hold_out_keeps_at_least_one_source_on_each_side() -> None:
    for fraction in (0.01, 0.3, 0.99):
        fold = hold_out(patients(4, copies=2), fraction, seed=3)
        assert fold.training
        assert fold.held_out
    assert len({one.source for one in hold_out(patients(10), 0.3, seed=3).held_out}) == 3
    with pytest.raises(InputError, match=r"Found 1 independent patients \(5 patients in all\)"):
        hold_out(patients(1, copies=5), 0.5, seed=3)
    with pytest.raises(InputError, match="must lie between 0 and 1, found 1"):
        hold_out(patients(4), 1.0, seed=3)


def test_a_training_has_three_sides_without_a_common_source() -> None:
    everybody = patients(10, copies=2)
    fold = fold_of(everybody, (2, 5), seed=4)
    sides = [{one.source for one in side} for side in (fold.training, fold.validation, fold.held_out)]
    assert [len(side) for side in sides] == [6, 2, 2]
    assert set.union(*sides) == {one.source for one in everybody}
    written = fold.as_dict()
    assert written["fold"] == "2/5"
    assert written["held_out_sources"] == sorted(sides[2])
    assert written["training_sources"] == sorted(sides[0] | sides[1])
    whole = fold_of(everybody, None, seed=4)
    assert whole.held_out == ()
    assert len(whole.training) + len(whole.validation) == 20
    with pytest.raises(InputError, match="Fold 6/5 does not exist"):
        fold_of(everybody, (6, 5), seed=4)
