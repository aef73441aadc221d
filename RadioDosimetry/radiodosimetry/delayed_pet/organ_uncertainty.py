"""Errors of organs' activities and the uncertainty stated for them: for calibration and for judging it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR
from .baselines import region_activities
from .inference import DelayedPet, synthesize
from .network_files import DelayedPetNetwork
from .pairs import SerialPet
from .region_names import EVERYTHING_ELSE
from .settings import ImageSettings

LOWEST_SHARE = 1e-3
"""Organs with less than this share of the scan's activity are not judged: noise and spill-in are most of theirs."""


def organ_log_errors(
    network: DelayedPetNetwork, patients: Sequence[SerialPet], images: ImageSettings, with_regions: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln(synthetic / acquired) of the organs of patients at all target times, and the spread stated for each.

    With `with_regions` the network is given the patients' regions.

    Returns
    -------
    tuple of ndarray
        Each one number per organ, time and patient; both empty without regions.
    """
    errors: list[float] = []
    spreads: list[float] = []
    for patient in patients:
        at_s, early = patient.scan_at(images.early_hour * SECONDS_PER_HOUR)
        late = [patient.scan_at(hour * SECONDS_PER_HOUR) for hour in images.target_hours]
        made = synthesize(
            network, early, at_s, [time_s for time_s, _ in late], patient.nuclide, patient.ct,
            labels=patient.labels if with_regions else None, administered_bq=patient.administered_bq,
        )  # fmt: skip
        for index, (_, acquired) in enumerate(late):
            rows = organ_errors_of(made, index, acquired, patient)
            errors += [error for _, error, _ in rows]
            spreads += [spread for _, _, spread in rows]
    return np.asarray(errors), np.asarray(spreads)


def organ_errors_of(
    made: DelayedPet, index: int, acquired: QuantitativeVolume, patient: SerialPet
) -> list[tuple[str, float, float]]:
    """Region, logarithmic error and stated relative uncertainty at one time; regions of `LOWEST_SHARE` and more."""
    uncertainty = made.uncertainties[index]
    if patient.labels is None or uncertainty is None:
        return []
    wanted = region_activities(acquired.array_kji, patient.labels)
    found = region_activities(made.volumes[index].array_kji, patient.labels)
    # The voxels of an organ err together: standard uncertainties add up.
    spread = region_activities(uncertainty.array_kji, patient.labels)
    total = float(np.sum(acquired.array_kji, dtype=np.float64))
    return [
        (name, math.log(found[name] / wanted[name]), spread[name] / found[name])
        for name in wanted
        if name != EVERYTHING_ELSE and wanted[name] > LOWEST_SHARE * total and found[name] > 0 and spread[name] > 0
    ]
