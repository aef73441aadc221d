"""Activity from counts: of probes, planar regions and uncalibrated tomograms, by a calibration factor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError, UnitError
from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import Quantity
from .acquisition_times import mean_to_start_factor
from .time_activity_curve import TimeActivityCurve

FEW_COUNTS = 100.0
"""Net counts below which Poisson's standard deviation exceeds a tenth of them, and the record warns."""


def curve_from_counts(
    region: str,
    times_s: ArrayLike,
    counts: ArrayLike,
    durations_s: ArrayLike,
    bq_per_count_per_s: float,
    *,
    background_counts: ArrayLike = 0.0,
    calibration_relative_std: float = 0.0,
    decay_constant_per_s: float | None = None,
) -> TimeActivityCurve:
    """Activity in a region from counts, A = (N − B)/T · F.

    Parameters
    ----------
    region
        Name of the region.
    times_s
        When counting started, after administration [s], shape (n,); when it holds, without `decay_constant_per_s`.
    counts
        Counts N collected in the region, shape (n,) or one for all.
    durations_s
        Counting times T [s], shape (n,) or one for all.
    bq_per_count_per_s
        Calibration factor F [Bq per count/s], the inverse of the sensitivity.
    background_counts
        Counts B of the background scaled to the region, in the same time; their Poisson variance counts too.
    calibration_relative_std
        Relative standard uncertainty of F, common to all times.
    decay_constant_per_s
        Of the nuclide [1/s]: decay during counting is corrected with λT/(1 − exp(−λT)), so that the activity holds at
        the start. None leaves the mean over the counting time.

    Returns
    -------
    TimeActivityCurve
        With standard uncertainties from Poisson statistics and calibration.

    Raises
    ------
    InputError
        Counts, durations or the factor are out of range; or as `TimeActivityCurve`.
    """
    times = np.atleast_1d(np.asarray(times_s, dtype=np.float64))
    gross, duration, background = (
        _column(values, times, what)
        for values, what in ((counts, "counts"), (durations_s, "durations"), (background_counts, "background counts"))
    )
    if not (np.isfinite(bq_per_count_per_s) and bq_per_count_per_s > 0):
        raise InputError(f"The calibration factor must be above zero, found {bq_per_count_per_s:g} Bq per count/s.")
    if not 0 <= calibration_relative_std < 1:
        raise InputError(
            f"The relative std of the calibration must be from 0 to below 1, found {calibration_relative_std:g}."
        )
    if duration.min() <= 0 or gross.min() < 0 or background.min() < 0:
        raise InputError(
            f"Region '{region}' needs counts of zero or more and counting times above zero; found counts from "
            f"{min(gross.min(), background.min()):g} and times from {duration.min():g} s."
        )
    factors = bq_per_count_per_s / duration
    if decay_constant_per_s is not None:
        factors = factors * np.array([mean_to_start_factor(decay_constant_per_s, length) for length in duration])
    net = gross - background
    std = np.hypot(np.sqrt(gross + background), calibration_relative_std * net)
    few = net < FEW_COUNTS
    return TimeActivityCurve(
        region,
        times,
        net * factors,
        std * factors,
        record=Record(
            "time-activity curve from counts",
            parameters={
                "bq_per_count_per_s": bq_per_count_per_s,
                "durations_s": duration,
                "background_counts": background,
                "decay_during_counting": "corrected to the start"
                if decay_constant_per_s is not None
                else "not corrected: mean over the counting time",
                "relative_std": {"calibration": [calibration_relative_std] * len(times)}
                if calibration_relative_std
                else {},
            },
            warnings=(f"Region '{region}' has fewer than {FEW_COUNTS:g} net counts at {int(few.sum())} times.",)
            if few.any()
            else (),
        ),
    )


def calibrated_volume(counts: QuantitativeVolume, bq_per_count_per_s: float, duration_s: float) -> QuantitativeVolume:
    """Activity concentration [Bq/mL] of a tomogram of counts, mean over the acquisition.

    Parameters
    ----------
    counts
        Reconstructed counts, array (k, j, i).
    bq_per_count_per_s
        Calibration factor [Bq per count/s].
    duration_s
        Time the counts were collected over, with the meaning it had for the factor [s].

    Raises
    ------
    UnitError
        The volume does not hold counts.
    InputError
        A number is not above zero.
    """
    if counts.quantity is not Quantity.COUNTS:
        raise UnitError(
            f"A calibration factor turns counts into activity, found {counts.quantity.value} [{counts.unit}]; leave "
            "the factor out."
        )
    for name, value in (("calibration factor", bq_per_count_per_s), ("duration", duration_s)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"The {name} must be above zero, found {value:g}.")
    factor = bq_per_count_per_s / duration_s / counts.geometry.voxel_volume_ml
    record = counts.record.with_parameters(
        calibration=f"{bq_per_count_per_s:g} Bq per count/s over {duration_s:g} s",
    )
    return counts.with_array(counts.array_kji.astype(np.float64) * factor, Quantity.ACTIVITY_CONCENTRATION, record)


def _column(values: ArrayLike | Sequence[float], times: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim > 1 or column.size not in (1, times.size) or not np.isfinite(column).all():
        raise InputError(f"The {what} must be {times.size} finite numbers, one per time, or one; found {column.size}.")
    return np.array(np.broadcast_to(column, times.shape))
