"""Doses without a network that stand beside it: convolutions of the same activity, and Monte Carlo of the scan."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..media import segment_media
from ..nuclides import Radionuclide
from ..progress import Progress
from ..units import Quantity
from ..voxel_dose.convolution import single_vsv
from ..voxel_dose.sources import EmissionSource
from . import dblur_dose
from .bases import BASE_METHODS, base_dose
from .patients import BaseCache, DosePatient

if TYPE_CHECKING:
    from .contenders import Contender

REFERENCE_METHODS = ("single-vsv", "density-scaled", "multiple-vsv")
"""Convolutions that stand beside every network."""

RESCALED = "base, right in all"
"""The base times the one number per patient that makes the body's energy right: what is left is no calibration."""

MONTE_CARLO = "monte-carlo of the scan"
"""Monte Carlo of the activity that the network sees, the third method of Li et al. 2022."""

MONTE_CARLO_SEED = 41


def method_dose(patient: DosePatient, method: str, base: str) -> NDArray[np.float32]:
    """Dose [Gy] by one of `REFERENCE_METHODS`, the base or `RESCALED`, of the activity that the network sees."""
    if method == base:
        return patient.maps.dose_gy(patient.maps.base_kji)
    if method == RESCALED:
        return _rescaled(patient)
    ct, tia = patient.images()
    media = segment_media(ct)
    tia = replace(tia, geometry=media.geometry)
    source = EmissionSource.from_nuclide(Radionuclide(patient.nuclide))
    dose = single_vsv(tia, media, source) if method not in BASE_METHODS else base_dose(method, tia, media, source)
    assert dose.quantity is Quantity.ABSORBED_DOSE
    return np.asarray(dose.array_kji, dtype=np.float32)


def methods_beside(base: str, kind: str, monte_carlo_histories: int = 0) -> tuple[str, ...]:
    """Methods that are compared with a network of this kind and base, in the order of the tables."""
    scanned = kind == dblur_dose.KIND
    names = [*REFERENCE_METHODS, base]
    if scanned:
        names.append(RESCALED)
        if monte_carlo_histories:
            names.append(MONTE_CARLO)
    return tuple(dict.fromkeys(names))


def monte_carlo_of_scan(
    patient: DosePatient, histories: int, cache: BaseCache, progress: Progress | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Monte Carlo of the activity that the network sees, and its standard uncertainty, both [Gy]."""
    from ..virtual_patients.dose_labels import dose_label

    activity = np.ascontiguousarray(patient.maps.activity_kji)
    identity = hashlib.sha256(activity.tobytes() + f"{histories} {patient.nuclide}".encode()).hexdigest()[:16]
    key = f"{patient.id}-monte-carlo-{identity}"
    found = cache.get(key, ("dose", "noise"))
    if found is None:
        ct, tia = patient.images()
        label = dose_label(tia, ct, patient.nuclide, {}, histories, MONTE_CARLO_SEED, progress)
        dose = np.where(patient.maps.matter_kji, label.dose.array_kji, 0.0).astype(np.float32)
        noise = np.asarray(label.uncertainty.array_kji * dose, dtype=np.float32)
        found = {"dose": dose, "noise": noise}
        cache.put(key, found)
    return found["dose"], found["noise"]


def mean_doses_gy(
    patient: DosePatient, contender: Contender, device: str = "cpu", progress: Progress | None = None
) -> NDArray[np.float32]:
    """Mean dose of a contender's networks [Gy]."""
    total = np.zeros(patient.maps.geometry.shape_kji, dtype=np.float32)
    for dose in contender.member_doses_gy(patient.maps, device, progress):
        total += dose / np.float32(contender.count)
    return total


def _rescaled(patient: DosePatient) -> NDArray[np.float32]:
    base = patient.maps.dose_gy(patient.maps.base_kji)
    body = patient.body_kji
    mass = patient.maps.density_kji[body].astype(np.float64)
    right, own = (float(np.dot(values[body], mass)) for values in (patient.label_gy, base))
    return base * np.float32(right / own) if own > 0 else base
