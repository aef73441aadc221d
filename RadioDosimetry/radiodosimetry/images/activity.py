"""Activity images made fit for dose: reconstruction noise below zero is removed, and how much of it is recorded."""

from __future__ import annotations

import numpy as np

from ..errors import InputError, UnitError
from .resampling import DENSITY_LIKE
from .volume import QuantitativeVolume

LARGEST_NEGATIVE_SHARE = 0.05
"""Negative activity against positive beyond which an image is refused: noise of analytic reconstruction is less."""


def without_negative_activity(activity: QuantitativeVolume) -> QuantitativeVolume:
    """The image with its negative voxels set to zero and their share of the total recorded.

    Parameters
    ----------
    activity
        Activity or time-integrated activity concentration [Bq/mL, Bq s/mL].

    Returns
    -------
    QuantitativeVolume
        Without negative values; its record holds `negative_activity_share`, and a warning where it is not zero.

    Raises
    ------
    UnitError
        The quantity is not a concentration of activity.
    InputError
        Negative values are beyond `LARGEST_NEGATIVE_SHARE` of the positive ones, or nothing is positive.
    """
    if activity.quantity not in DENSITY_LIKE:
        raise UnitError(f"Expected an activity concentration, found {activity.quantity.value}.")
    values = activity.array_kji
    positive = float(np.sum(values, where=values > 0, dtype=np.float64))
    negative = -float(np.sum(values, where=values < 0, dtype=np.float64))
    if not positive > 0:
        raise InputError("The activity image has no positive voxel; check the file, its unit and its calibration.")
    share = negative / positive
    if share > LARGEST_NEGATIVE_SHARE:
        raise InputError(
            f"Negative activity is {100 * share:.1f} % of the positive, at most {100 * LARGEST_NEGATIVE_SHARE:g} % is "
            "taken for reconstruction noise; check the rescaling of the image."
        )
    if negative == 0:
        return activity
    record = activity.record.with_parameters(negative_activity_share=share).with_warnings(
        f"Negative activity ({100 * share:.3g} % of the positive) was taken for reconstruction noise and set to zero."
    )
    return activity.with_array(np.maximum(values, 0), record=record)
