"""Theranostic conversion: from the kinetics of one nuclide to the doses of another on the same molecule.

What a molecule does is the same with either nuclide; only the physical decay differs. Each exponential of an effective
curve gives up the decay constant of the first nuclide and takes that of the second, λ' = λ − λ₁ + λ₂.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..nuclides import Radionuclide

SLOWER_THAN_DECAY_TOLERANCE = 1e-6
"""Relative amount by which an effective rate may be below the physical one by rounding."""


def converted_rates_per_s(rates_per_s: ArrayLike, measured: str, wanted: str) -> NDArray[np.float64]:
    """Effective rates of another nuclide on the same molecule.

    Parameters
    ----------
    rates_per_s
        Effective rates λ of the measured nuclide's activity [1/s], any shape.
    measured, wanted
        The nuclide that was measured and the one asked for ("Ga-68", "Lu-177").

    Returns
    -------
    ndarray
        λ − λ₁ + λ₂ [1/s], shape of `rates_per_s`.

    Raises
    ------
    InputError
        A rate is slower than the measured nuclide's decay: its activity cannot have been present and not
        decay-corrected.
    UnknownNuclideError
        A nuclide is not in the decay dataset.
    """
    rates = np.asarray(rates_per_s, dtype=np.float64)
    first, second = Radionuclide(measured), Radionuclide(wanted)
    biological = rates - first.decay_constant_per_s
    slack = SLOWER_THAN_DECAY_TOLERANCE * first.decay_constant_per_s
    if not np.isfinite(rates).all() or (biological < -slack).any():
        raise InputError(
            f"An effective rate of {rates.min():.4g} per s is slower than the decay of {first.name} "
            f"({first.decay_constant_per_s:.4g} per s); fit activities that are not decay-corrected."
        )
    return np.maximum(biological, 0.0) + second.decay_constant_per_s


def converted_activity_bq(
    times_s: ArrayLike, activity_bq: ArrayLike, measured: str, wanted: str
) -> NDArray[np.float64]:
    """Activity of another nuclide at the same times, for the same administered activity, A(t)·exp((λ₁ − λ₂)t).

    Parameters
    ----------
    times_s
        Times after administration [s], shape (n,).
    activity_bq
        Activity of the measured nuclide present then [Bq], shape (n,).
    measured, wanted
        The two nuclides.

    Returns
    -------
    ndarray
        Activity [Bq], shape (n,); where the exponential would overflow, the times are too late for the conversion to
        mean anything and the error says so.

    Raises
    ------
    InputError
        Shapes differ, or a time is so late that the measured nuclide is gone.
    """
    times = np.asarray(times_s, dtype=np.float64)
    activity = np.asarray(activity_bq, dtype=np.float64)
    if times.shape != activity.shape:
        raise InputError(f"There are {times.size} times and {activity.size} activities; give one for each.")
    difference = Radionuclide(measured).decay_constant_per_s - Radionuclide(wanted).decay_constant_per_s
    exponents = difference * times
    if exponents.size and exponents.max() > np.log(np.finfo(np.float64).max):
        raise InputError(f"{measured} is gone by {times.max():.4g} s; no activity of {wanted} follows from it.")
    return activity * np.exp(exponents)


def converted_residence_time_s(
    amplitudes_bq: ArrayLike, rates_per_s: ArrayLike, administered_bq: float, measured: str, wanted: str
) -> float:
    """Residence time of another nuclide from the exponentials fitted to the measured one, Σ A / (λ − λ₁ + λ₂) / A₀.

    Parameters
    ----------
    amplitudes_bq, rates_per_s
        The fitted sum of exponentials Σ A exp(−λt): activity of the measured nuclide [Bq] and effective rates [1/s],
        shape (m,). Amplitudes of uptake are negative.
    administered_bq
        Administered activity of the measured nuclide [Bq].
    measured, wanted
        The two nuclides ("Cu-64", "Cu-67").

    Returns
    -------
    float
        Residence time of the wanted nuclide [s], not negative for a curve that is not.

    Raises
    ------
    InputError
        Shapes differ, the administered activity is not positive, or a rate is slower than the decay.
    """
    amplitudes = np.asarray(amplitudes_bq, dtype=np.float64)
    rates = converted_rates_per_s(rates_per_s, measured, wanted)
    if amplitudes.shape != rates.shape:
        raise InputError(f"There are {amplitudes.size} amplitudes and {rates.size} rates; give one for each.")
    if not (np.isfinite(administered_bq) and administered_bq > 0):
        raise InputError(f"The administered activity must be above 0 Bq, found {administered_bq:g}.")
    return float((amplitudes / rates).sum() / administered_bq)
