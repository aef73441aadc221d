"""The ceiling on virtual patients: later activity of each region as far as the generator lets an early scan tell it.

The generator's conditional mean (`virtual_patients.oracle`) is applied to the early scan region by region, so that
noise, blur and misregistration of the scans are in it as in any method's volume. It knows the true early activity, the
true regions and the generator itself, which no network does.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..virtual_patients.kinetics import PatientKinetics
from ..virtual_patients.oracle import oracle_forecast
from ..virtual_patients.patient import Anatomy
from .baselines import early_decayed
from .normalisation import decay_factor
from .pairs import SerialPet


def oracle_log_ratios(patient: SerialPet, early_time_s: float, time_s: float) -> dict[str, float]:
    """Region to ln(conditional mean of the later activity / decayed early activity), from the true early activities.

    Raises
    ------
    InputError
        The patient is not virtual: kinetics, CT or regions are missing.
    """
    if patient.kinetics is None or patient.ct is None or patient.labels is None:
        raise InputError(f"{patient.id} has no true kinetics; only virtual patients have a conditional mean.")
    kinetics = PatientKinetics.from_dict(patient.kinetics)
    anatomy = Anatomy(patient.ct, patient.labels, patient.source, record=patient.ct.record)
    early_bq = {name: kinetics.activity_bq(name, early_time_s) for name in kinetics.regions}
    forecast = oracle_forecast(
        kinetics.tracer, anatomy, kinetics.administered_bq, early_bq, early_time_s, [time_s]
    )
    decay = decay_factor(patient.nuclide, time_s - early_time_s)
    return {
        name: math.log(float(one.mean_bq[0]) / (early_bq[name] * decay))
        for name, one in forecast.items()
        if early_bq.get(name, 0.0) > 0 and float(one.mean_bq[0]) > 0
    }


def oracle_volume(patient: SerialPet, early_time_s: float, time_s: float) -> NDArray[np.float64]:
    """The early scan with each region at its conditional mean [Bq/mL], shape (k, j, i); raises as above."""
    ratios = oracle_log_ratios(patient, early_time_s, time_s)
    at_s, early = patient.scan_at(early_time_s)
    values = early_decayed(early, patient.nuclide, at_s, time_s)
    if patient.labels is not None:
        for label, name in patient.labels.names.items():
            values[patient.labels.array_kji == label] *= math.exp(ratios.get(name, 0.0))
    return values
