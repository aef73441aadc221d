"""The ceiling on virtual patients: later activity of each region as far as the generator lets an early scan tell it.

The generator's conditional mean (`virtual_patients.oracle`) knows the true early activity, the true regions and the
generator itself, which no network does. Its image is the true later activity with each region scaled to that mean,
through the simulated scanner with noise of its own: a second acquisition, so to speak. Its organs are a ceiling; its
voxels differ from the acquired ones by the noise of two late scans, where a smoother image has that of one.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError, MissingDependencyError
from ..images.volume import QuantitativeVolume
from ..virtual_patients.kinetics import PatientKinetics
from ..virtual_patients.oracle import oracle_forecast
from ..virtual_patients.patient import Anatomy
from ..virtual_patients.pet import SIMULATED_PET, PetSettings, simulate_pet
from .baselines import early_decayed
from .normalisation import decay_factor
from .pairs import SerialPet
from .spill_over import FWHM_PER_SIGMA

_LOG = logging.getLogger(__name__)

ORACLE_SEED = 20250102
"""Of the noise in the images of the conditional mean."""


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

    The true later activity with each region scaled to its mean goes through the simulated scanner that made the
    acquired scan, with its counts and noise of its own: what else differs from the acquired scan (misregistration, its
    noise) nobody foretells. Without that scanner's settings, or without PyTomography, the activity is blurred to the
    scanner's resolution; without the true later activity the decayed early scan takes its place.
    """
    at_s, early = patient.scan_at(early_time_s)
    truth = patient.truth.get(time_s)
    if truth is None or patient.labels is None or patient.ct is None:
        values = early_decayed(early, patient.nuclide, at_s, time_s)
        decay = decay_factor(patient.nuclide, time_s - at_s)
        return _scaled(values, patient, {name: row.mean_bq / (row.early_bq * decay) for name, row in rows.items()})
    values = np.array(truth.array_kji, dtype=np.float64)
    mean = truth.with_array(_scaled(values, patient, {name: row.mean_bq / row.later_bq for name, row in rows.items()}))
    settings = scanner_of(patient.scan_at(time_s)[1])
    if settings is not None:
        try:
            return np.asarray(simulate_pet(mean, patient.ct, settings, ORACLE_SEED).array_kji, dtype=np.float64)
        except MissingDependencyError as error:
            _LOG.warning("The conditional mean is blurred rather than scanned: %s", error)
    settings = settings or PetSettings()
    fwhm_mm = math.hypot(settings.resolution_fwhm_mm, settings.post_filter_fwhm_mm)
    sigmas = [fwhm_mm / FWHM_PER_SIGMA / edge for edge in early.geometry.spacing_mm[::-1]]
    return np.asarray(ndimage.gaussian_filter(np.asarray(mean.array_kji, dtype=np.float64), sigmas))


def scanner_of(scan: QuantitativeVolume) -> PetSettings | None:
    """How a simulated scan was acquired; None for any other."""
    names = [one.name for one in fields(PetSettings)]
    known = scan.record.parameters
    if scan.record.operation != SIMULATED_PET or any(name not in known for name in names):
        return None
    return PetSettings(**{name: known[name] for name in names})


def _scaled(
    values: NDArray[np.float64], patient: SerialPet, factors: Mapping[str, float]
) -> NDArray[np.float64]:
    """Each region times its factor; what has none stays."""
    if patient.labels is not None:
        for label, name in patient.labels.names.items():
            values[patient.labels.array_kji == label] *= factors.get(name, 1.0)
    return values
