"""The ceiling on virtual patients: later activity of each region as far as the generator lets an early scan tell it.

The generator's conditional mean (`virtual_patients.oracle`) knows the true early activity, the true regions and the
generator itself, which no network does. Its image is the true later activity with each region scaled to that mean, at
the scanner's resolution and without noise; what the acquired scan has beyond that (noise, misregistration) nobody
foretells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from ..virtual_patients.kinetics import PatientKinetics
from ..virtual_patients.oracle import oracle_forecast
from ..virtual_patients.patient import Anatomy
from ..virtual_patients.pet import PetSettings
from .baselines import early_decayed
from .normalisation import decay_factor
from .pairs import SerialPet

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))


@dataclass(frozen=True)
class RegionForecast:
    """What can be known of a region at a later time.

    Attributes
    ----------
    early_bq, later_bq
        True activities [Bq].
    mean_bq
        Conditional mean of the later one given the early one [Bq].
    """

    early_bq: float
    later_bq: float
    mean_bq: float


def region_forecasts(patient: SerialPet, early_time_s: float, time_s: float) -> dict[str, RegionForecast]:
    """Region to what can be known of it.

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
    found = oracle_forecast(kinetics.tracer, anatomy, kinetics.administered_bq, early_bq, early_time_s, [time_s])
    rows = {
        name: RegionForecast(early_bq[name], kinetics.activity_bq(name, time_s), float(one.mean_bq[0]))
        for name, one in found.items()
        if name in early_bq
    }
    return {name: row for name, row in rows.items() if min(row.early_bq, row.later_bq, row.mean_bq) > 0}


def oracle_volume(
    patient: SerialPet, rows: Mapping[str, RegionForecast], early_time_s: float, time_s: float
) -> NDArray[np.float64]:
    """The image of the conditional mean [Bq/mL], shape (k, j, i).

    Without the true later activity the decayed early scan takes its place, with its noise and region by region.
    """
    at_s, early = patient.scan_at(early_time_s)
    truth = patient.truth.get(time_s)
    if truth is None:
        values = early_decayed(early, patient.nuclide, at_s, time_s)
        decay = decay_factor(patient.nuclide, time_s - at_s)
        factors = {name: row.mean_bq / (row.early_bq * decay) for name, row in rows.items()}
    else:
        values = np.array(truth.array_kji, dtype=np.float64)
        factors = {name: row.mean_bq / row.later_bq for name, row in rows.items()}
    if patient.labels is not None:
        for label, name in patient.labels.names.items():
            values[patient.labels.array_kji == label] *= factors.get(name, 1.0)
    if truth is None:
        return values
    scanner = PetSettings()
    fwhm_mm = math.hypot(scanner.resolution_fwhm_mm, scanner.post_filter_fwhm_mm)
    sigmas = [fwhm_mm / FWHM_PER_SIGMA / edge for edge in early.geometry.spacing_mm[::-1]]
    return np.asarray(ndimage.gaussian_filter(values, sigmas))
