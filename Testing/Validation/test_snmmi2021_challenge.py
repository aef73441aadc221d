"""The SNMMI 2021 dosimetry challenge, patient 4 (Lu-177 DOTATATE): fitted curves against the published answer key.

Points, parameters and time-integrated activities as listed with the answers of the challenge's organisers; the fit is
unweighted, A·(exp(−λ1·t) − exp(−λ2·t)).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from radiodosimetry.cli import main
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.time_activity.curve_fit import CurveFit
from radiodosimetry.time_activity.fitting import fit_curve
from radiodosimetry.time_activity.time_activity_curve import TimeActivityCurve

ADMINISTERED_MBQ = 7210.43
TIMES_H = np.array([3.741, 27.725, 103.094, 123.984])

AMPLITUDE_AND_CLEARANCE = 5e-4
"""Of A and λ1: the points are printed with four or five digits."""

UPTAKE = 2e-3
"""Of λ2, which the first point alone determines."""

INTEGRAL = 5e-3


@dataclass(frozen=True)
class Answer:
    """One region of the answer key."""

    activity_mbq: tuple[float, ...]
    amplitude_mbq: float
    clearance_per_h: float
    uptake_per_h: float
    tia_mbq_h: float


ANSWERS = {
    "left_kidney": Answer((98.56, 73.60, 25.40, 19.05), 108.742, 0.014081, 0.8454, 7593.75),
    "liver": Answer((378.47, 347.40, 192.66, 173.23), 426.698, 0.0074762, 0.6576, 56425.3),
}


def fitted(region: str, decay_constant_per_s: float | None = None) -> CurveFit:
    curve = TimeActivityCurve(region, TIMES_H * 3600, np.array(ANSWERS[region].activity_mbq) * 1e6)
    decay = Radionuclide("Lu-177").decay_constant_per_s if decay_constant_per_s is None else decay_constant_per_s
    return fit_curve(curve, decay, "uptake-clearance")


@pytest.mark.parametrize("region", list(ANSWERS))
def test_parameters_are_those_of_the_answer_key(region: str) -> None:
    answer, parameters = ANSWERS[region], fitted(region).parameters
    assert parameters["a_bq"].value == pytest.approx(answer.amplitude_mbq * 1e6, rel=AMPLITUDE_AND_CLEARANCE)
    clearance = parameters["lambda1_per_s"].value * 3600
    assert clearance == pytest.approx(answer.clearance_per_h, rel=AMPLITUDE_AND_CLEARANCE)
    assert parameters["lambda2_per_s"].value * 3600 == pytest.approx(answer.uptake_per_h, rel=UPTAKE)


@pytest.mark.parametrize("region", list(ANSWERS))
def test_integrals_are_those_of_the_answer_key(region: str) -> None:
    assert fitted(region).tia_bq_s / 3.6e9 == pytest.approx(ANSWERS[region].tia_mbq_h, rel=INTEGRAL)


@pytest.mark.parametrize("region", list(ANSWERS))
def test_the_lower_bound_of_the_rates_leaves_the_fit_alone(region: str) -> None:
    bounded, free = fitted(region), fitted(region, decay_constant_per_s=1e-12)
    for name, parameter in bounded.parameters.items():
        assert parameter.value == pytest.approx(free.parameters[name].value, rel=1e-9)
        assert parameter.std == pytest.approx(free.parameters[name].std, rel=1e-6)


def test_the_command_gives_the_answer_key(tmp_path: Path) -> None:
    rows = ["region,time_h,activity_mbq"]
    for region, answer in ANSWERS.items():
        rows += [f"{region},{time},{value}" for time, value in zip(TIMES_H, answer.activity_mbq, strict=True)]
    (tmp_path / "curves.csv").write_text("\n".join(rows) + "\n")
    words = ["fit", str(tmp_path / "curves.csv"), "--nuclide", "Lu-177", "--administered-mbq", str(ADMINISTERED_MBQ)]
    assert main([*words, "--model", "uptake-clearance", "--output", str(tmp_path / "fits.json")]) == 0
    regions = json.loads((tmp_path / "fits.json").read_text())["regions"]
    for region, answer in ANSWERS.items():
        found = regions[region]
        assert found["parameters"]["a_mbq"]["value"] == pytest.approx(answer.amplitude_mbq, rel=AMPLITUDE_AND_CLEARANCE)
        assert found["tia_mbq_h"] == pytest.approx(answer.tia_mbq_h, rel=INTEGRAL)
        assert found["residence_time_h"] == pytest.approx(answer.tia_mbq_h / ADMINISTERED_MBQ, rel=INTEGRAL)
        assert any("not selected by data" in warning for warning in found["warnings"])
