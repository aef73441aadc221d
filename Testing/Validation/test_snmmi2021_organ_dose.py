"""Organ doses of patient 4 of the SNMMI Lu-177 dosimetry challenge 2021 from the published time-integrated activities.

The phantom's S-values are scaled to the volumes of the answer key at the density of soft tissue. One kidney counts as a
pair of kidneys of its mass.

References
----------
.. [1] Uribe et al., An international study of factors affecting variability of dosimetry calculations, part 1: design
   and early results of the SNMMI dosimetry challenge, J Nucl Med 62 (2021) 36S-47S, doi:10.2967/jnumed.121.262750.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from radiodosimetry.cli import main

ADMINISTERED_MBQ = 7210.43
DENSITY_G_PER_ML = 1.04

ANSWER_KEY = {"kidneys": (7593.75, 241.0, 2.741), "liver": (56425.3, 2115.0, 2.347)}
"""Organ (of the kidneys the left one) to time-integrated activity [MBq h], volume [mL] and absorbed dose [Gy]."""

TOLERANCE = 0.07
"""What the conversion from activity to dose varied by across the software of the participants."""


def doses_gy(folder: Path, organs: dict[str, tuple[float, float, float]]) -> dict[str, float]:
    """Doses by the command, S-values scaled to the volumes."""
    times, masses, output = folder / "rt.csv", folder / "m.csv", folder / "organ_dose.csv"
    hours = {organ: tia / ADMINISTERED_MBQ for organ, (tia, _, _) in organs.items()}
    times.write_text("region,residence_time_h,std\n" + "".join(f"{organ},{h!r},0\n" for organ, h in hours.items()))
    grams = {organ: DENSITY_G_PER_ML * volume for organ, (_, volume, _) in organs.items()}
    masses.write_text("organ,mass_g\n" + "".join(f"{organ},{mass!r}\n" for organ, mass in grams.items()))
    words = ["--residence-times", str(times), "--organ-masses", str(masses), "--output", str(output)]
    words += ["--nuclide", "Lu-177", "--phantom", "adult-male", "--administered-mbq", str(ADMINISTERED_MBQ)]
    assert main(["organ-dose", *words]) == 0
    with output.open() as stream:
        return {row["target"]: float(row["absorbed_dose_gy"]) for row in csv.DictReader(stream)}


def test_doses_of_the_challenge_patient_agree_with_the_answer_key(tmp_path) -> None:
    found = doses_gy(tmp_path, ANSWER_KEY)
    for organ, (_, _, expected_gy) in ANSWER_KEY.items():
        assert found[organ] == pytest.approx(expected_gy, rel=TOLERANCE), organ


@pytest.mark.parametrize("organ", ANSWER_KEY)
def test_each_organ_alone_agrees_too(tmp_path, organ: str) -> None:
    found = doses_gy(tmp_path, {organ: ANSWER_KEY[organ]})
    assert found[organ] == pytest.approx(ANSWER_KEY[organ][2], rel=TOLERANCE)
