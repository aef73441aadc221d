"""The early scan as the activity present at its time: from SUV, or from what is decay-corrected to the injection."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta

import numpy as np

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..time_activity.acquisition_times import ImageTiming, at_its_time, region_scan
from ..units import Quantity
from .normalisation import decay_factor

SUV_UNITS = ("SUV", "g/mL")
"""How SUV by body weight is called in files."""

_WEIGHTS_KG = (1.0, 500.0)


def present_at(scan: QuantitativeVolume, time_s: float, nuclide: str) -> QuantitativeVolume:
    """A scan as the activity present at its time after injection.

    One that its scanner decay-corrected to the injection (Decay Correction ADMIN) is decayed to it. Any other holds
    there already.

    Parameters
    ----------
    scan
        Activity concentration [Bq/mL].
    time_s
        Time of the scan after injection [s].
    nuclide
        Of the tracer.

    Raises
    ------
    InputError
        The scan was brought to another time before, or lies before the injection; or there is no such nuclide.
    """
    if scan.record.parameters.get("decay_correction") != "ADMIN":
        return scan
    injected = scan.time  # the moment that such an activity is counted at
    timing = ImageTiming(time_s)
    present = region_scan(scan, (), Radionuclide(nuclide).decay_constant_per_s, timing, "the early scan").volume
    moment = None if injected is None else injected + timedelta(seconds=time_s)
    return replace(present, time=moment, record=at_its_time(present.record, injected))


def activity_from_suv(
    suv: QuantitativeVolume,
    weight_kg: float | None,
    administered_bq: float | None,
    elapsed_s: float,
    nuclide: str,
) -> QuantitativeVolume:
    """Activity concentration present at the scan from SUV by body weight.

    SUV = c · m / (A0 · 2^(−t/T½)), with a body of 1 g/mL.

    Parameters
    ----------
    suv
        SUV by body weight [g/mL], as dimensionless numbers.
    weight_kg, administered_bq
        Body weight [kg] and administered activity [Bq]; both must be known.
    elapsed_s
        From administration to scan [s].
    nuclide
        Of the tracer.

    Raises
    ------
    InputError
        Weight or activity is unknown or cannot be.
    """
    missing = [
        name
        for name, value in (("the body weight", weight_kg), ("the administered activity", administered_bq))
        if value is None
    ]
    if weight_kg is None or administered_bq is None:
        raise InputError(
            f"The scan is in SUV, and {' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not known; give "
            "both, or a scan in Bq/mL."
        )
    if not _WEIGHTS_KG[0] <= weight_kg <= _WEIGHTS_KG[1]:
        raise InputError(f"The body weight must lie from 1 to 500 kg, found {weight_kg:g} kg.")
    if not (math.isfinite(administered_bq) and administered_bq > 0):
        raise InputError(f"The administered activity must be above zero, found {administered_bq:g} Bq.")
    factor = administered_bq * decay_factor(nuclide, elapsed_s) / (1000.0 * weight_kg)
    record = at_its_time(suv.record, None).with_parameters(suv_factor_bq_per_ml=factor, weight_kg=weight_kg)
    values = np.asarray(suv.array_kji, dtype=np.float64) * factor
    return suv.with_array(values, Quantity.ACTIVITY_CONCENTRATION, record)
