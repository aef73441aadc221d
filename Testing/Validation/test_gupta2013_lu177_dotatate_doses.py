"""Organ doses of virtual patients against published ones of patients.

Gupta et al., Clin Nucl Med 38 (2013) 188: 61 patients given Lu-177-DOTATATE, OLINDA/EXM 1.0: kidneys 0.57 ± 0.09, liver
0.27 ± 0.05, spleen 1.17 ± 0.14 mGy/MBq. Kim et al., Sci Rep 15 (2025) 5627, Table 2: Cu-64-DOTA-rituximab. The kinetics
of the virtual patients, in the volumes of the stylised adult male and with its S-values, must give the first, and the
second up to one common factor that the tracer states.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose.phantom import stylised_phantom
from radiodosimetry.organ_dose.s_values import phantom_s_values
from radiodosimetry.virtual_patients.kinetics import plateau_shape, rate_per_s
from radiodosimetry.virtual_patients.tracers import TRACERS

_DRAWS = 20_000
_SOFT_TISSUE_G_PER_ML = 1.04
_LUNG_G_PER_ML = 0.296
_REGION_OF = {"kidneys": "left_kidney", "lungs": "left_lung"}


def _mean_tia_per_administered_s(tracer_name: str, organ: str) -> float:
    """Mean residence time [s] of an organ of the stylised adult male over the population."""
    tracer = TRACERS[tracer_name]
    kinetics = tracer.regions[_REGION_OF.get(organ, organ)]
    mass_g = stylised_phantom("adult-male").published_mass_g[organ]
    volume_ml = mass_g / (_LUNG_G_PER_ML if organ == "lungs" else _SOFT_TISSUE_G_PER_ML)
    first, second, third = np.random.default_rng(0).standard_normal((3, _DRAWS))
    joint = kinetics.correlation * first + math.sqrt(1 - kinetics.correlation**2) * second
    early = volume_ml * kinetics.early_per_ml * np.exp(kinetics.early_log_spread * first)
    clearance = rate_per_s(kinetics.clearance_half_time_h, 0.0) * np.exp(-kinetics.clearance_log_spread * joint)
    uptake = rate_per_s(kinetics.uptake_half_time_h, 0.0) * np.exp(-kinetics.uptake_log_spread * third)
    decay = Radionuclide(tracer.nuclide).decay_constant_per_s
    plateau = early / plateau_shape(tracer.early_time_s, clearance, uptake)
    arriving = np.where(np.isinf(uptake), 0.0, 1 / (uptake + decay))
    return float(np.mean(plateau * (1 / (clearance + decay) - arriving)))


def _self_dose_mgy_per_mbq(tracer_name: str, source: str, target: str | None = None) -> float:
    table = phantom_s_values(TRACERS[tracer_name].nuclide, "adult-male")
    s = table.s_gy_per_bq_s[table.targets.index(target or source), table.sources.index(source)]
    return 1e9 * float(s) * _mean_tia_per_administered_s(tracer_name, source)


@pytest.mark.parametrize(
    ("organ", "mean", "spread"), [("kidneys", 0.57, 0.09), ("liver", 0.27, 0.05), ("spleen", 1.17, 0.14)]
)
def test_lu177_dotatate_gives_organs_the_published_doses(organ: str, mean: float, spread: float) -> None:
    assert _self_dose_mgy_per_mbq("lu177-dotatate", organ) == pytest.approx(mean, abs=spread)


_KIM_2025_MSV_PER_MBQ = {
    "heart_contents": 5.52e-2,  # of the heart's wall
    "liver": 2.47e-2,
    "lungs": 2.02e-2,
    "spleen": 5.11e-2,
    "kidneys": 2.99e-2,
}


def test_cu64_antibody_has_the_organ_doses_of_kim_2025_up_to_one_factor() -> None:
    """The tracer says that Table 2 implies some 60 % of its level; ratios between organs are those of the table."""
    ratios = [
        _self_dose_mgy_per_mbq("cu64-antibody", organ, "heart_wall" if organ == "heart_contents" else None) / published
        for organ, published in _KIM_2025_MSV_PER_MBQ.items()
    ]
    assert np.mean(ratios) == pytest.approx(1 / 0.6, rel=0.1)
    assert np.max(np.abs(np.array(ratios) / np.mean(ratios) - 1)) < 0.15


def test_cu64_antibody_has_the_order_of_residence_times_of_kim_2025() -> None:
    organs = ("heart_contents", "liver", "lungs", "spleen", "kidneys")
    times_s = [_mean_tia_per_administered_s("cu64-antibody", organ) for organ in organs]
    assert times_s == sorted(times_s, reverse=True)
