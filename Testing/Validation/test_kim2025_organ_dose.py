"""Organ doses of Cu-64-DOTA-rituximab as printed in Table 2 of Kim 2025, who used OLINDA/EXM 1.1 and the adult male.

The paper prints doses and no residence times. The residence times of its seven sources follow from the doses of their
own targets; the doses of all other targets are then a prediction that owes nothing to them. There is no remainder of
the body, and the radiation weighting factor is 1. What does not agree is told apart: the total body, red marrow and
osteogenic cells; the testes, for which the report's own SAFs are far from ours (from the kidneys at 500 keV 3.7e-7 per
g, ours 2.9e-7; EGSnrc in the same body finds 2.96e-7 with 1 %, `test_egsnrc_phantom.py`; such distant pairs had few
photons in 1987); and two doses of the column 'Generated' that
contradict all others (the testes 13 times, the thymus 0.73 times the acquired dose).

References
----------
.. [1] Kim et al., Sci Rep 15 (2025) 5627, doi:10.1038/s41598-025-88498-z, Table 2.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from radiodosimetry.organ_dose.mird import organ_doses
from radiodosimetry.organ_dose.organ_names import STYLISED_TARGETS
from radiodosimetry.organ_dose.residence_times import ResidenceTime
from radiodosimetry.organ_dose.s_values import phantom_s_values

HOUR_S = 3600.0
MGY_PER_MBQ = 1e-9

TABLE_2 = {
    "adrenals": (2.60e-03, 2.41e-03, 7.46e-02, 2.54e-03, 2.31e-02),
    "brain": (4.33e-05, 4.13e-05, 4.48e-02, 4.29e-05, 9.24e-03),
    "breasts": (1.26e-03, 1.22e-03, 3.42e-02, 1.22e-03, 3.17e-02),
    "gallbladder_wall": (2.62e-03, 2.48e-03, 5.64e-02, 2.62e-03, 0.0),
    "lli_wall": (1.69e-04, 1.70e-04, 4.27e-03, 1.64e-04, 2.96e-02),
    "small_intestine": (5.55e-04, 5.14e-04, 7.42e-02, 5.44e-04, 1.98e-02),
    "stomach_wall": (3.29e-03, 2.60e-03, 2.08e-01, 2.68e-03, 1.85e-01),
    "uli_wall": (7.34e-04, 6.85e-04, 6.70e-02, 7.23e-04, 1.50e-02),
    "heart_wall": (5.52e-02, 5.04e-02, 8.66e-02, 5.00e-02, 9.42e-02),
    "kidneys": (2.99e-02, 2.20e-02, 2.63e-01, 2.86e-02, 4.35e-02),
    "liver": (2.47e-02, 2.44e-02, 1.19e-02, 2.50e-02, 1.21e-02),
    "lungs": (2.02e-02, 2.20e-02, 8.90e-02, 2.19e-02, 8.42e-02),
    "muscle": (6.72e-04, 6.42e-04, 4.52e-02, 6.54e-04, 2.68e-02),
    "ovaries": (2.42e-04, 2.36e-04, 2.64e-02, 2.38e-04, 1.65e-02),
    "pancreas": (2.74e-03, 2.48e-03, 9.64e-02, 2.63e-03, 4.01e-02),
    "red_marrow": (8.81e-04, 8.04e-04, 8.74e-02, 8.55e-04, 2.95e-02),
    "osteogenic_cells": (5.79e-04, 5.56e-04, 3.87e-02, 5.64e-04, 2.59e-02),
    "skin": (3.44e-04, 3.26e-04, 5.23e-02, 3.35e-04, 2.62e-02),
    "spleen": (5.11e-02, 4.11e-02, 1.96e-01, 4.72e-02, 7.63e-02),
    "testes": (4.54e-05, 5.91e-04, 1.20e01, 4.47e-05, 1.54e-02),
    "thymus": (2.86e-03, 2.10e-03, 2.65e-01, 2.67e-03, 6.64e-02),
    "thyroid": (2.92e-04, 2.94e-04, 6.85e-03, 2.88e-04, 1.37e-02),
    "urinary_bladder_wall": (2.33e-03, 3.18e-03, 3.65e-01, 2.33e-03, 0.0),
    "uterus": (2.53e-04, 2.67e-04, 5.54e-02, 2.49e-04, 1.58e-02),
    "total_body": (2.00e-03, 1.91e-03, 4.50e-02, 1.98e-03, 1.00e-02),
}
"""Target to dose 'Acquired', 'Generated', its relative error, 'Generated (augmented)', its relative error [mSv/MBq]."""

ACQUIRED, GENERATED, GENERATED_ERROR, AUGMENTED, AUGMENTED_ERROR = range(5)

TARGET_OF_SOURCE = {
    "heart_contents": "heart_wall",
    "liver": "liver",
    "lungs": "lungs",
    "spleen": "spleen",
    "kidneys": "kidneys",
    "bladder_contents": "urinary_bladder_wall",
    "stomach_contents": "stomach_wall",
}

TRIAL_RESIDENCE_TIMES_H = {
    "heart_contents": 0.581,
    "liver": 0.502,
    "lungs": 0.235,
    "spleen": 0.113,
    "kidneys": 0.106,
    "bladder_contents": 0.011,
    "stomach_contents": 0.012,
}
"""The same exercise with the published SAFs of ORNL/TM-8381."""

BONE = ("red_marrow", "osteogenic_cells")
DISTANT = ("testes",)
"""Soft tissue so far from the sources that the published SAFs are uncertain."""

SOFT_TISSUE = [
    target for target in STYLISED_TARGETS if target not in (*TARGET_OF_SOURCE.values(), *BONE, *DISTANT, "total_body")
]
"""Targets whose dose is predicted."""

MISPRINTED = ("testes", "thymus")
"""Targets whose dose 'Generated' contradicts that of all others."""


@cache
def s_values() -> NDArray[np.float64]:
    """Dose of every target per hour of residence in each of the seven sources [mGy/MBq/h], (targets, sources)."""
    table = phantom_s_values("Cu-64", "adult-male")
    return np.array([[table.value(target, source) for source in TARGET_OF_SOURCE] for target in STYLISED_TARGETS]) * (
        HOUR_S / MGY_PER_MBQ
    )


def residence_times_h(column: int) -> dict[str, float]:
    """Residence times of the sources from the doses of their own targets [h]."""
    rows = [STYLISED_TARGETS.index(target) for target in TARGET_OF_SOURCE.values()]
    doses = [TABLE_2[target][column] for target in TARGET_OF_SOURCE.values()]
    return dict(zip(TARGET_OF_SOURCE, np.linalg.solve(s_values()[rows], doses), strict=True))


@cache
def doses_mgy_per_mbq(column: int) -> dict[str, float]:
    """Doses of all targets by the MIRD sum."""
    times = {source: ResidenceTime(hours * HOUR_S) for source, hours in residence_times_h(column).items()}
    doses = organ_doses(times, phantom_s_values("Cu-64", "adult-male"))
    return dict(zip(doses.targets, map(float, doses.dose_gy_per_bq / MGY_PER_MBQ), strict=True))


def relative_error(target: str, column: int) -> float:
    """What the paper calls relative error: of a column against 'Acquired', by our chain."""
    return abs(doses_mgy_per_mbq(column)[target] / doses_mgy_per_mbq(ACQUIRED)[target] - 1.0)


def test_every_target_of_the_table_is_ours() -> None:
    assert set(TABLE_2) == set(STYLISED_TARGETS)
    assert len(SOFT_TISSUE) == 14


@pytest.mark.parametrize("source", TARGET_OF_SOURCE)
def test_residence_times_are_those_found_with_the_published_safs(source: str) -> None:
    """To 2 %, and half of the last digit."""
    assert residence_times_h(ACQUIRED)[source] == pytest.approx(TRIAL_RESIDENCE_TIMES_H[source], rel=0.02, abs=5e-4)


@pytest.mark.parametrize("target", TARGET_OF_SOURCE.values())
def test_the_targets_that_were_solved_for_come_back(target: str) -> None:
    assert doses_mgy_per_mbq(ACQUIRED)[target] == pytest.approx(TABLE_2[target][ACQUIRED], rel=1e-9)


@pytest.mark.parametrize("target", SOFT_TISSUE)
def test_other_soft_tissue_follows_within_5_percent(target: str) -> None:
    assert doses_mgy_per_mbq(ACQUIRED)[target] == pytest.approx(TABLE_2[target][ACQUIRED], rel=0.05)


@pytest.mark.parametrize("target", BONE)
def test_marrow_and_bone_follow_within_the_spread_of_the_published_conversion(target: str) -> None:
    """Kerma weighted by marrow gives 0.89 to 1.12 of the published marrow doses of sources in the trunk."""
    assert 0.89 <= doses_mgy_per_mbq(ACQUIRED)[target] / TABLE_2[target][ACQUIRED] <= 1.12


def test_the_total_body_comes_out_higher_than_printed() -> None:
    """By a fifth to a quarter: its own definition of energy over mass cannot give the printed dose."""
    ratio = doses_mgy_per_mbq(ACQUIRED)["total_body"] / TABLE_2["total_body"][ACQUIRED]
    assert 1.15 < ratio < 1.27


@pytest.mark.xfail(strict=True, reason="-10.7 %: EGSnrc agrees with our SAFs to the testes, not with the report's")
def test_the_testes_agree_within_five_percent() -> None:
    assert doses_mgy_per_mbq(ACQUIRED)["testes"] == pytest.approx(TABLE_2["testes"][ACQUIRED], rel=0.05)


def test_the_heart_wall_cannot_be_the_source() -> None:
    """Solved with the wall instead of its contents, the thymus in front of the heart gets half of what is printed."""
    table = phantom_s_values("Cu-64", "adult-male")
    sources = ["heart_wall", *list(TARGET_OF_SOURCE)[1:]]
    s = np.array([[table.value(target, source) for source in sources] for target in STYLISED_TARGETS])
    rows = [STYLISED_TARGETS.index(target) for target in TARGET_OF_SOURCE.values()]
    doses = s @ np.linalg.solve(s[rows], [TABLE_2[target][ACQUIRED] for target in TARGET_OF_SOURCE.values()])
    assert doses[STYLISED_TARGETS.index("thymus")] < 0.5 * TABLE_2["thymus"][ACQUIRED]


@pytest.mark.parametrize("target", [*SOFT_TISSUE, *DISTANT, *TARGET_OF_SOURCE.values(), *BONE])
def test_relative_errors_of_the_augmented_column_are_reproduced(target: str) -> None:
    """To one point of a percent: three digits of both doses alone leave half of one."""
    assert relative_error(target, AUGMENTED) == pytest.approx(TABLE_2[target][AUGMENTED_ERROR], abs=0.01)


@pytest.mark.parametrize("target", TARGET_OF_SOURCE.values())
def test_relative_errors_of_the_generated_column_are_reproduced_where_there_is_activity(target: str) -> None:
    assert relative_error(target, GENERATED) == pytest.approx(TABLE_2[target][GENERATED_ERROR], abs=0.005)


def test_relative_errors_of_the_generated_column_are_reproduced_elsewhere() -> None:
    """The column is less of one piece than the other: within 4.5 points of a percent, half of them within 1.5."""
    targets = [target for target in (*SOFT_TISSUE, *BONE) if target not in MISPRINTED]
    differences = [abs(relative_error(target, GENERATED) - TABLE_2[target][GENERATED_ERROR]) for target in targets]
    assert np.median(differences) < 0.015
    assert max(differences) < 0.045


@pytest.mark.parametrize("target", MISPRINTED)
def test_two_doses_of_the_generated_column_are_misprints(target: str) -> None:
    assert abs(relative_error(target, GENERATED) - TABLE_2[target][GENERATED_ERROR]) > 0.15
