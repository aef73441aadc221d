"""What the record of a map of time-integrated activity says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..images.volume import QuantitativeVolume
from ..provenance import Record
from ..units import SECONDS_PER_HOUR
from .scans import Scan, is_synthetic
from .voxelwise_models import FEWEST_SCANS, LEGEND, VoxelModel
from .voxelwise_options import LARGEST_RELATIVE_STD, TiaOptions
from .voxelwise_trapezoid import tail_points
from .voxelwise_work import VoxelWork

CONSERVATION_WARNING = 0.1
"""Change of a region's voxels to the total of its organ's fit beyond which the record warns."""

FALLBACK_WARNING = 0.05
"""Share of the time-integrated activity from fallbacks beyond which the record warns."""

DECAY_REFERENCE_TOLERANCE = 0.01
"""Change of activity between the stated times and the times the images hold at beyond which the record warns."""

_ASKED_FOR = {
    "bi": (VoxelModel.BI_EXPONENTIAL, VoxelModel.UPTAKE_CLEARANCE),
    "mono": (VoxelModel.MONO_EXPONENTIAL, VoxelModel.MONO_PHYSICAL),
    "trapezoid": (VoxelModel.TRAPEZOID_FITTED_TAIL, VoxelModel.TRAPEZOID_PHYSICAL_TAIL),
    "organ-shape": (VoxelModel.ORGAN_SHAPE,),
}


def map_record(
    series: Sequence[Scan],
    volumes: Sequence[QuantitativeVolume],
    work: VoxelWork,
    decay_constant_per_s: float,
    method: str,
    options: TiaOptions,
    notes: Mapping[str, Any],
) -> Record:
    """Settings of a map, what became of its voxels, and what to beware of.

    Parameters
    ----------
    series, volumes
        The scans as given, and on one grid.
    work
        The voxels, all of them described.
    decay_constant_per_s, method, options
        As given to `tia_map`.
    notes
        What the steps of the work have to say.
    """
    total = float(work.tia.sum())
    counts = np.bincount(work.models, minlength=len(LEGEND))
    sums = np.bincount(work.models, weights=work.tia, minlength=len(LEGEND))
    present = [value for value in range(len(LEGEND)) if counts[value]]
    trapezoid = method == "trapezoid"
    parameters = {
        "method": method,
        "scan_times_h": [scan.time_s / SECONDS_PER_HOUR for scan in series],
        "half_life_s": math.log(2.0) / decay_constant_per_s,
        "tail": options.tail if trapezoid else None,
        "tail_scans": tail_points(len(series)) if trapezoid and options.tail == "fitted" else None,
        "activity_at_administration": options.start if trapezoid else None,
        "uncertainty": _uncertainty_words(work, options),
        "model_map_legend": {str(value): LEGEND[value] for value in LEGEND},
        "voxels_by_model": {LEGEND[value]: int(counts[value]) for value in present},
        "tia_share_by_model": {LEGEND[value]: float(sums[value]) / total for value in present} if total > 0 else {},
        "largest_relative_std": LARGEST_RELATIVE_STD,
        "scans": [dict(volume.record.parameters) for volume in volumes],
        **notes,
    }
    inputs = {
        f"scan at {scan.time_s / SECONDS_PER_HOUR:g} h": dict(volume.record.inputs)
        for scan, volume in zip(series, volumes, strict=True)
    }
    record = Record(f"time-integrated activity map by {method}", parameters=parameters, inputs=inputs)
    fallback = 1.0 - sum(float(sums[model]) for model in _ASKED_FOR[method]) / total if total > 0 else 0.0
    return record.with_warnings(
        *(warning for volume in volumes for warning in volume.record.warnings),
        *_warnings(series, work, decay_constant_per_s, method, options, fallback, notes),
    )


def _uncertainty_words(work: VoxelWork, options: TiaOptions) -> str:
    if options.noise_fraction is not None:
        percent = 100 * options.noise_fraction
        return f"relative standard uncertainty, from a stated noise of {percent:g} % per voxel and scan"
    if work.noise_known and work.noise_is_borrowed:
        return "relative standard uncertainty, from the residuals of simpler curves: uptake and clearance, or one phase"
    if work.noise_known:
        return "relative standard uncertainty, from the residuals of each voxel and of voxels of similar activity"
    return "none: the model leaves no degree of freedom and no noise was stated"


def _warnings(
    series: Sequence[Scan],
    work: VoxelWork,
    decay_constant_per_s: float,
    method: str,
    options: TiaOptions,
    fallback: float,
    notes: Mapping[str, Any],
) -> list[str]:
    found = []
    if method == "trapezoid" and options.tail == "physical":
        found.append(
            "The tail is physical decay alone: what is still cleared after the last scan is counted as decaying in "
            "place."
        )
    if len(series) == FEWEST_SCANS[method] and method in ("mono", "bi"):
        found.append(
            f"Method {method} has as many parameters as there are scans: it interpolates them, whatever their noise."
        )
    if work.noise_is_borrowed:
        found.append(
            f"Method {method} leaves no residuals to tell the noise by: the uncertainty takes for noise what simpler "
            "curves leave over (uptake and clearance where that describes a voxel, else one exponential), which is too "
            "much where they miss. State the noise of a voxel instead."
        )
    if method == "trapezoid" and series[0].time_s > 0:
        before = {"zero": "zero at administration", "constant": "that of the first scan from administration on"}
        found.append(f"Before the first scan the activity was taken to be {before[options.start]}.")
    if fallback > FALLBACK_WARNING:
        found.append(
            f"{100 * fallback:.1f} % of the time-integrated activity comes from voxels that fell back to another model "
            f"than {method}; the model map says where."
        )
    rising = float(work.tia[work.models == VoxelModel.TRAPEZOID_PHYSICAL_TAIL].sum())
    if rising > 0 and not (method == "trapezoid" and options.tail == "physical"):
        found.append(
            f"{100 * rising / float(work.tia.sum()):.3g} % of the time-integrated activity lies in voxels whose tail "
            "cannot be fitted (rising or not falling faster than decay at the end, or gone between two scans): "
            "physical decay was assumed after their last scan."
        )
    synthetic = [f"{scan.time_s / SECONDS_PER_HOUR:g}" for scan in series if is_synthetic(scan.volume)]
    if synthetic:
        found.append(
            f"Of synthetic scans (at {', '.join(synthetic)} h) the uncertainty, which the voxels of a region share, is "
            f"not in that of this map{' outside of the regions' if method == 'organ-shape' else ''}."
        )
    for name, values in notes.get("organs", {}).items():
        factor = values["factor_to_organ_tia"]
        if abs(factor - 1.0) > CONSERVATION_WARNING:
            said = "were scaled" if options.conserve_organ_tia else "would have to be scaled"
            found.append(f"The voxels of {name} {said} by {factor:.3g} to keep the fitted total of the organ.")
    return found + _time_warnings(series, decay_constant_per_s)


def _time_warnings(series: Sequence[Scan], decay_constant_per_s: float) -> list[str]:
    """Where the times that images say they hold at contradict the times given."""
    found = []
    first = series[0]
    for scan in series[1:]:
        if first.volume.time is None or scan.volume.time is None:
            continue
        if (first.volume.time.tzinfo is None) != (scan.volume.time.tzinfo is None):
            continue
        apart_s = (scan.volume.time - first.volume.time).total_seconds()
        wrong_s = apart_s - (scan.time_s - first.time_s)
        if abs(math.expm1(decay_constant_per_s * wrong_s)) > DECAY_REFERENCE_TOLERANCE:
            found.append(
                f"The images given for {first.time_s / SECONDS_PER_HOUR:g} and {scan.time_s / SECONDS_PER_HOUR:g} h "
                f"hold at times {apart_s / SECONDS_PER_HOUR:.3g} h apart according to their files: check whether they "
                "are decay-corrected to another time than that of the scan."
            )
    return found
