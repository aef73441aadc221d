"""The script that sets the published network beside its improvements: `Resources/Sources/delayed_pet_table.py`."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from delayed_pet_samples import HOUR_S, toy_patient
from radiodosimetry.learning.splits import fold_of
from radiodosimetry.nuclides import Radionuclide

SCRIPT = Path(__file__).resolve().parents[2] / "Resources" / "Sources" / "delayed_pet_table.py"
IDENTITY = {"seed": 1}
PATIENTS = [toy_patient(seed) for seed in range(1, 11)]
METHODS = ("early scan decayed", "population kinetics, regions given", "… and spill-over")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("delayed_pet_table", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["delayed_pet_table"] = module  # where dataclasses look for their module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def output(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it writes for methods without a network."""
    folder = tmp_path_factory.mktemp("table")
    for row in script.ROWS:
        if row.name in METHODS:
            assert script.make_row(row, _folds(script), folder, np.inf, IDENTITY)
    return folder


def _folds(script: ModuleType) -> list:  # type: ignore[type-arg]
    numbers = range(1, script.FOLDS + 1)
    return [fold_of(PATIENTS, (number, script.FOLDS), script.SEED, script.VALIDATION) for number in numbers]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_patient_is_judged_once_and_the_table_has_their_means(script: ModuleType, output: Path) -> None:
    half_life_s = Radionuclide("Cu-64").half_life_s
    folds = []
    for fold in _folds(script):
        errors = []
        for patient in fold.held_out:
            early, late = (np.asarray(patient.scans[hours * HOUR_S].array_kji, dtype=float) for hours in (1, 24))
            masks = [patient.labels.array_kji == label for label in patient.labels.names]
            decay = 2.0 ** (-23 * HOUR_S / half_life_s)
            errors.append(np.mean([abs(early[mask].sum() * decay / late[mask].sum() - 1) for mask in masks]))
        folds.append(100 * np.mean(errors))
    assert sorted(patient.id for fold in _folds(script) for patient in fold.held_out) == sorted(
        patient.id for patient in PATIENTS
    )
    rows = [row for row in _rows(output / "table.csv") if row["measure"] == "organ_error_percent"]
    (decayed,) = (row for row in rows if (row["method"], row["hour"]) == (METHODS[0], "24"))
    assert float(decayed["mean"]) == pytest.approx(np.mean(folds), rel=1e-3)
    assert float(decayed["std_over_folds"]) == pytest.approx(np.std(folds, ddof=1), rel=0.05)
    assert {row["method"] for row in rows} == set(METHODS)


def test_methods_are_compared_with_the_population_patient_by_patient(script: ModuleType, output: Path) -> None:
    rows = _rows(output / "differences.csv")
    assert {row["method"] for row in rows} == {METHODS[0], METHODS[2]}
    table = {(row["method"], row["hour"], row["measure"]): float(row["mean"]) for row in _rows(output / "table.csv")}
    for row in rows:
        own, other = (table[method, row["hour"], row["measure"]] for method in (row["method"], METHODS[1]))
        rounding = 5e-4 * (own + other + abs(own - other))  # four digits of each
        assert row["patients"] == "10"
        assert float(row["low_95"]) <= float(row["minus_population"]) <= float(row["high_95"])
        assert float(row["minus_population"]) == pytest.approx(own - other, rel=0, abs=rounding)
    (organs,) = (row for row in rows if (row["method"], row["hour"], row["measure"]) == (
        METHODS[0], "48", "organ_error_percent"))  # fmt: skip
    assert float(organs["low_95"]) > 5.0  # toys clear; decay alone does not know it


def test_what_is_made_is_kept_and_other_patients_are_refused(script: ModuleType, output: Path) -> None:
    row = next(one for one in script.ROWS if one.name == METHODS[0])
    path = output / METHODS[0] / "fold_1" / "judged.json"
    before = path.stat().st_mtime_ns
    assert script.make_row(row, _folds(script), output, 0.0, IDENTITY)
    assert path.stat().st_mtime_ns == before
    with pytest.raises(SystemExit, match="of other patients; give another output folder"):
        script.make_row(row, _folds(script), output, np.inf, {"seed": 2})


def test_an_ensembles_spread_is_held_against_its_errors(script: ModuleType) -> None:
    def member(made: float) -> list:  # type: ignore[type-arg]
        hour = {"organs": {"liver": [made, 10.0], "spleen": [20.0 + made, 20.0]}}
        return [{"patient": {"24": hour, "48": json.loads(json.dumps(hour))}}]

    rows = script._ensemble([member(9.0), member(11.0)])
    # the liver's mean is right; the spleen's is 50 % off with a spread of 7 %
    assert rows == [["24", "25", "50", "50", 2], ["48", "25", "50", "50", 2]]
