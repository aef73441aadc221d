"""From regions over serial images to time-activity curves: activity in each region, the rest and the body."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, RegionError
from ..progress import Progress, report_progress
from ..provenance import Record
from ..units import SECONDS_PER_HOUR
from .curve_tables import curves_csv, read_curves
from .region_scans import REMAINDER, VOIDED, WHOLE_BODY, CurveOptions, RegionScan
from .time_activity_curve import TimeActivityCurve, require_rising_times

__all__ = [
    "REMAINDER",
    "VOIDED",
    "WHOLE_BODY",
    "CurveOptions",
    "RegionScan",
    "TimeActivityCurve",
    "curves_csv",
    "curves_from_volumes",
    "read_curves",
]

VOLUME_CHANGE_WARNING = 0.05
"""Change of a region's volume between scans of one label map above which part of it lies outside a scan."""

VOIDED_TOLERANCE = 0.05
"""Share by which the body may seem to hold more than decay has left, from noise and calibration: nothing voided yet."""

_NOTHING_THERE = {
    REMAINDER: f"There is no activity outside the regions at any time: the curve {REMAINDER} was left out.",
    VOIDED: f"The body lacks nothing of the administered activity at any time: the curve {VOIDED} was left out.",
}
"""Added curves that are left out, with a warning, where they are zero at every time."""


@dataclass(frozen=True)
class _Measured:
    """One region in one scan."""

    time_s: float
    activity_bq: float
    volume_ml: float
    recovery: float | None = None
    calibrated_bq: float | None = None
    """What the relative uncertainties apply to, where that is not `activity_bq`."""
    synthesis_std_bq: float = 0.0
    """Standard uncertainty from a scan that was synthesised."""


def curves_from_volumes(
    scans: Sequence[RegionScan], options: CurveOptions | None = None, progress: Progress | None = None
) -> list[TimeActivityCurve]:
    """Activity in each region over serial scans: sum of concentration times voxel volume.

    Parameters
    ----------
    scans
        Scans by rising time, each with the same regions on its own grid.
    options
        Remainder, whole body, recovery, uncertainties; see `CurveOptions`.
    progress
        Told the share of scans done.

    Returns
    -------
    list of TimeActivityCurve
        One per region in the order of the first scan, then remainder, whole body, voided. Without recovery
        coefficients and for regions that do not overlap, regions and remainder add up to the whole body; with them the
        activity that they bring back into the regions is taken from the remainder, so that they still do. Voxels
        below zero (noise of the reconstruction) count as they are. Remainder or voided activity that is zero at every
        time is left out, with a warning. The uncertainty of a synthetic scan is summed over the voxels of a region;
        for remainder, whole body and voided activity, which join regions of independent errors, that is an upper limit.

    Raises
    ------
    InputError
        No scan; times out of order, twice or before the administration; a curve negative or all zero.
    RegionError
        A region is absent in one scan, no region at all, or a name is taken.
    CancelledError
        The user cancelled.
    """
    options = options or CurveOptions()
    names = _require_series(scans, options)
    measured: dict[str, list[_Measured]] = {}
    for number, scan in enumerate(scans):
        report_progress(progress, number / len(scans), f"Regions of the scan at {scan.time_h:g} h")
        for name, values in _measure(scan, names, options).items():
            measured.setdefault(name, []).append(values)
    empty = [name for name in _NOTHING_THERE if name in measured and not any(one.activity_bq for one in measured[name])]
    curves = [_curve(name, values, scans, options) for name, values in measured.items() if name not in empty]
    if empty and curves:
        curves = [curve.with_warnings(*(_NOTHING_THERE[name] for name in empty)) for curve in curves]
    report_progress(progress, 1.0, "Curves done")
    return curves


def _require_series(scans: Sequence[RegionScan], options: CurveOptions) -> list[str]:
    """Names of the regions, once the scans are known to rise in time and to have the same ones."""
    if not scans:
        raise InputError("Found no scan; expected at least one. Give each scan with its time after administration.")
    require_rising_times([scan.time_s for scan in scans], "the scans")
    names = [region.name for region in scans[0].regions]
    every = list(dict.fromkeys(region.name for scan in scans for region in scan.regions))
    for scan in scans:
        absent = [name for name in every if name not in {region.name for region in scan.regions}]
        if absent:
            raise RegionError(
                f"The scan at {scan.time_h:g} h lacks the region{'s' if len(absent) > 1 else ''} {', '.join(absent)}, "
                "which another scan has; expected every region in every scan. Draw it there, or leave it out."
            )
    if options.body is not None and options.body not in names:
        raise RegionError(f"No region is called '{options.body}', which should be the body; found: {', '.join(names)}.")
    if not (names or options.whole_body or options.remainder or options.voided):
        raise RegionError("Found no region; expected at least one. Give labels, or ask for the whole body.")
    added = {REMAINDER: options.remainder, WHOLE_BODY: options.whole_body, VOIDED: options.voided}
    taken = [name for name, wanted in added.items() if wanted and name in names]
    if taken:
        raise RegionError(f"The name {taken[0]} of an added curve belongs to a region; rename the region.")
    return names


def _measure(scan: RegionScan, names: Sequence[str], options: CurveOptions) -> dict[str, _Measured]:
    """Everything asked for in one scan, in the order of the curves."""
    masks = {region.name: region.mask_kji for region in scan.regions}
    regions = {name: masks[name] for name in names if name != options.body}
    found = {name: _with_recovery(_inside(scan, mask, options), options) for name, mask in regions.items()}
    if not (options.remainder or options.whole_body or options.voided):
        return found
    union = np.zeros(scan.volume.array_kji.shape, dtype=bool)
    for mask in regions.values():
        union |= mask
    body = None if options.body is None else masks[options.body] | union
    if options.remainder:
        found[REMAINDER] = _remainder(scan, ~union if body is None else body & ~union, regions, found, options)
    whole = _inside(scan, body, options)
    if options.whole_body:
        found[WHOLE_BODY] = whole
    if options.voided:
        found[VOIDED] = _voided(whole, options)
    return found


def _voided(whole: _Measured, options: CurveOptions) -> _Measured:
    """What decay has left of the administered activity and the body lacks; zero where noise makes it negative."""
    administered_bq, rate_per_s = options.administered_bq, options.decay_constant_per_s
    if administered_bq is None or rate_per_s is None:
        raise InputError("The voided activity needs the administered activity and the nuclide; give both.")
    left_bq = administered_bq * math.exp(-rate_per_s * whole.time_s)
    voided_bq = left_bq - whole.activity_bq
    if -VOIDED_TOLERANCE * left_bq <= voided_bq < 0:
        voided_bq = 0.0
    if voided_bq < 0:
        raise InputError(
            f"The body holds {whole.activity_bq / 1e6:.4g} MBq at {whole.time_s / SECONDS_PER_HOUR:g} h, more than the "
            f"{left_bq / 1e6:.4g} MBq that decay leaves of the administered activity, so nothing can have been voided; "
            "check units, calibration and administered activity."
        )
    return _Measured(
        whole.time_s, voided_bq, math.nan, calibrated_bq=whole.activity_bq, synthesis_std_bq=whole.synthesis_std_bq
    )


def _inside(scan: RegionScan, mask: NDArray[np.bool_] | None, options: CurveOptions) -> _Measured:
    """Activity, volume and time of a mask (everything if None)."""
    values = scan.volume.array_kji
    inside = np.ones((), dtype=bool) if mask is None else mask
    voxel_ml = scan.volume.geometry.voxel_volume_ml
    per_slice = np.sum(values, axis=(1, 2), dtype=np.float64, where=inside) * voxel_ml
    count = values.size if mask is None else int(np.count_nonzero(mask))
    activity_bq, time_s = float(per_slice.sum()), scan.time_s
    std_bq = 0.0
    if scan.uncertainty is not None:
        std_bq = float(np.sum(scan.uncertainty.array_kji, dtype=np.float64, where=inside)) * voxel_ml
    if scan.slice_times_s is not None:
        if options.decay_constant_per_s is None:
            raise InputError("Slices with their own times need the nuclide's decay constant; give it.")
        weights = np.clip(per_slice, 0.0, None)
        if weights.sum() > 0:
            time_s = float(np.average(scan.slice_times_s, weights=weights))
        decay = math.exp(-options.decay_constant_per_s * (time_s - scan.time_s))
        activity_bq, std_bq = activity_bq * decay, std_bq * decay
    return _Measured(time_s, activity_bq, count * voxel_ml, synthesis_std_bq=std_bq)


def _with_recovery(measured: _Measured, options: CurveOptions) -> _Measured:
    if options.recovery is None:
        return measured
    coefficient = float(options.recovery.at(measured.volume_ml))
    return replace(
        measured,
        activity_bq=measured.activity_bq / coefficient,
        recovery=coefficient,
        synthesis_std_bq=measured.synthesis_std_bq / coefficient,
    )


def _remainder(
    scan: RegionScan,
    outside: NDArray[np.bool_],
    regions: Mapping[str, NDArray[np.bool_]],
    found: Mapping[str, _Measured],
    options: CurveOptions,
) -> _Measured:
    """What lies outside all regions, less what recovery has brought back into them from there."""
    if not outside.any():
        raise RegionError(f"The regions fill the body in the scan at {scan.time_h:g} h: there is no remainder.")
    measured = _inside(scan, outside, options)
    if options.recovery is None or _overlapping(regions):
        return measured
    brought_back_bq = 0.0
    for values in found.values():
        spilled = values.activity_bq * (1.0 - (values.recovery or 1.0))
        brought_back_bq += spilled * math.exp(
            -(options.decay_constant_per_s or 0.0) * (measured.time_s - values.time_s)
        )
    return replace(measured, activity_bq=measured.activity_bq - brought_back_bq)


def _overlapping(regions: Mapping[str, NDArray[np.bool_]]) -> bool:
    """Whether some voxel belongs to two regions."""
    union: NDArray[np.bool_] | None = None
    for mask in regions.values():
        if union is not None and bool((union & mask).any()):
            return True
        union = mask if union is None else union | mask
    return False


def _curve(
    name: str, measured: Sequence[_Measured], scans: Sequence[RegionScan], options: CurveOptions
) -> TimeActivityCurve:
    volumes_ml = np.array([values.volume_ml for values in measured])
    activity_bq = np.array([values.activity_bq for values in measured])
    uncertain_bq = np.abs([one.activity_bq if one.calibrated_bq is None else one.calibrated_bq for one in measured])
    parts = _relative_std(name, volumes_ml, uncertain_bq, measured, options)
    total = np.sqrt(sum((np.square(part) for part in parts.values()), np.zeros_like(activity_bq)))
    if any(values.calibrated_bq is not None for values in measured):
        share = np.divide(uncertain_bq, activity_bq, out=np.zeros_like(activity_bq), where=activity_bq > 0)
        parts = {cause: part * share for cause, part in parts.items()}
    warnings = tuple(dict.fromkeys(warning for scan in scans for warning in scan.warnings))
    return TimeActivityCurve(
        name,
        np.array([values.time_s for values in measured]),
        activity_bq,
        total * uncertain_bq if parts else None,
        None if np.isnan(volumes_ml).any() else volumes_ml,
        Record(
            "time-activity curve of a region over serial images",
            parameters=_parameters(name, measured, scans, options, parts),
            inputs={name: values for scan in scans for name, values in _inputs(scan).items()},
            warnings=(*warnings, *_warnings(name, measured, volumes_ml, scans, options)),
        ),
    )


def _inputs(scan: RegionScan) -> dict[str, object]:
    """What a scan was read from."""
    found: dict[str, object] = {f"scan at {scan.time_h:g} h": dict(scan.volume.record.inputs)}
    if scan.uncertainty is not None:
        found[f"uncertainty of the scan at {scan.time_h:g} h"] = dict(scan.uncertainty.record.inputs)
    return found


def _relative_std(
    name: str,
    volumes_ml: NDArray[np.float64],
    uncertain_bq: NDArray[np.float64],
    measured: Sequence[_Measured],
    options: CurveOptions,
) -> dict[str, NDArray[np.float64]]:
    """The known parts of the relative uncertainty of what was measured [Bq], per time."""
    ones = np.ones(len(measured))
    parts = {}
    synthesis_bq = np.array([values.synthesis_std_bq for values in measured])
    if synthesis_bq.any():
        parts["synthesis"] = np.divide(synthesis_bq, uncertain_bq, out=0.0 * ones, where=uncertain_bq > 0)
    if options.calibration_relative_std > 0:
        parts["calibration"] = options.calibration_relative_std * ones
    if name in (REMAINDER, WHOLE_BODY, VOIDED):
        return parts
    if options.volume_relative_std > 0:
        parts["volume"] = options.volume_relative_std * ones
    if options.recovery is not None:
        recovery = options.recovery.relative_std(volumes_ml)
        if recovery.any():
            parts["recovery"] = recovery
    return parts


def _parameters(
    name: str,
    measured: Sequence[_Measured],
    scans: Sequence[RegionScan],
    options: CurveOptions,
    relative_std: Mapping[str, NDArray[np.float64]],
) -> dict[str, object]:
    coefficients = [values.recovery for values in measured if values.recovery is not None]
    expressions = [region.expression for region in scans[0].regions if region.name == name]
    return {
        "region": name,
        "expression": expressions[0] if expressions else None,
        "body": options.body or "every voxel of the scan",
        "decay_correction": "none: activity present at each time",
        "times_h": [values.time_s / SECONDS_PER_HOUR for values in measured],
        "times": "middle of the frames of the region's own slices"
        if any(scan.slice_times_s is not None for scan in scans)
        else "of the scans",
        "recovery": None
        if options.recovery is None or not coefficients
        else {"applied": coefficients, **options.recovery.as_dict()},
        "relative_std": {part: values.tolist() for part, values in relative_std.items()},
        "scans": [dict(scan.volume.record.parameters) for scan in scans],
    }


def _warnings(
    name: str,
    measured: Sequence[_Measured],
    volumes_ml: NDArray[np.float64],
    scans: Sequence[RegionScan],
    options: CurveOptions,
) -> tuple[str, ...]:
    found: list[str] = []
    own = any(region.name == name for region in scans[0].regions)
    if own and options.same_labels and volumes_ml.min() < (1.0 - VOLUME_CHANGE_WARNING) * volumes_ml.max():
        worst = int(np.argmin(volumes_ml))
        found.append(
            f"Region '{name}' has {volumes_ml[worst]:.4g} mL in the scan at {scans[worst].time_h:g} h and "
            f"{volumes_ml.max():.4g} mL in another: part of it lies outside that scan."
        )
    nothing = [f"{scan.time_h:g}" for scan, values in zip(scans, measured, strict=True) if values.activity_bq == 0]
    if own and nothing:
        found.append(
            f"Region '{name}' holds no activity at all in the scan at {', '.join(nothing)} h: check whether the image "
            "reaches there."
        )
    if options.recovery is not None and own and name != options.body:
        found += options.recovery.warnings_for(name, volumes_ml)
    if name == REMAINDER and options.recovery is not None:
        masks = {region.name: region.mask_kji for region in scans[0].regions if region.name != options.body}
        if _overlapping(masks):
            found.append(
                "Regions overlap: the activity that recovery brought back into them was not taken from the remainder, "
                "and regions and remainder do not add up to the whole body."
            )
    if options.body is None and name in (REMAINDER, WHOLE_BODY, VOIDED):
        found.append(
            f"The body of '{name}' is every voxel of the scan: activity outside the field of view is missing, that of "
            "noise outside the patient is in it."
        )
    return tuple(found)
