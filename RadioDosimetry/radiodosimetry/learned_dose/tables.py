"""Errors over patients as tables in the form of Kim et al. 2022 and of Li et al. 2022, with paired intervals.

Patients are the unit everywhere: a patient's regions of one kind (kidneys, lesions) are averaged first, then patients.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.bland_altman import bland_altman
from .bootstrap import bootstrap, mean, reduction_percent, root_reduction_percent
from .measures import (
    DOSE_VOLUME_PERCENT,
    EDGE_STRATA,
    LESION_CLASSES_ML,
    REGION_GROUPS,
    SMALL_TUMOURS,
    EdgeMeasure,
    PatientMeasure,
    RegionMeasure,
)

KIM_COLUMNS = (
    "region", "method", "patients", "regions", "mean_gy", "std_gy", "reference_mean_gy", "mae_percent",
    "mae_low_percent", "mae_high_percent", "mae_std_percent", "mae_seed_std_percent", "bias_percent",
    "lower_limit_percent", "upper_limit_percent",
)  # fmt: skip
"""Table 1 of Kim et al. 2022 with its Bland-Altman figures, the 95 % interval of the MAE and its standard deviations
over patients and over seeds."""

LI_COLUMNS = (
    "region", "method", "patients", "regions", "mean_dose_error_percent", "mean_dose_error_std_percent",
    "mean_dose_error_seed_std_percent", "largest_dose_error_percent", "nrmse_percent", "nrmse_std_percent",
    "nrmse_seed_std_percent", "largest_nrmse_percent", "nrmse_without_noise_percent",
    *(f"dr{percent}_error_percent" for percent in DOSE_VOLUME_PERCENT),
)  # fmt: skip
"""Table 3 and Figure 7 of Li et al. 2022: mean over patients and largest over regions, with standard deviations over
patients and over seeds."""

EDGE_COLUMNS = (
    "stratum", "method", "patients", "voxels", "rmse_percent", "rmse_low_percent", "rmse_high_percent",
    "noise_percent", "rmse_without_noise_percent", "without_noise_low_percent", "without_noise_high_percent",
)  # fmt: skip
"""Errors near surfaces of lung and bone, in percent of each patient's root mean square dose there."""

VOXEL_MEASURES = (
    "pearson_r", "pearson_r_low", "highest_r", "highest_r_low", "nrmse", "body_rmse_gy", "body_rmse_corrected_gy",
    "gamma_pass_percent",
)  # fmt: skip
VOXEL_COLUMNS = ("measure", "method", "patients", "mean", "low", "high", "std", "seed_std")
"""Measures over the voxels of the body, such as the correlations of Kim et al. 2022, with intervals over patients."""

LESION_COLUMNS = (
    "least_ml", "below_ml", "method", "patients", "lesions", "mae_percent", "mae_std_percent", "bias_percent",
    "nrmse_percent",
)  # fmt: skip
"""Lesions by their volume."""

Row = dict[str, Any]
Members = Mapping[str, Sequence[str]]
"""Method to the names under which its members, one per seed, were measured."""


def kim_table(measures: Sequence[RegionMeasure], methods: Sequence[str], members: Members | None = None) -> list[Row]:
    """Rows of `KIM_COLUMNS`: organ groups by method."""
    rows = []
    for group in REGION_GROUPS:
        for method in methods:
            own = _of(measures, group, method)
            if not own:
                continue
            doses, references = np.array([one.dose_gy for one in own]), np.array([one.reference_gy for one in own])
            agreement = bland_altman(references, doses)
            errors = per_patient(own, _absolute_error)
            absolute = bootstrap([errors], mean)
            seeds = [
                per_patient(_of(measures, group, name), _absolute_error) for name in (members or {}).get(method, ())
            ]
            rows.append(
                {
                    "region": group, "method": method, "patients": absolute.patients, "regions": len(own),
                    "mean_gy": float(doses.mean()), "std_gy": _std(doses),
                    "reference_mean_gy": float(references.mean()), "mae_percent": absolute.value,
                    "mae_low_percent": absolute.low, "mae_high_percent": absolute.high,
                    "mae_std_percent": _std(errors), "mae_seed_std_percent": _seed_std(seeds),
                    "bias_percent": agreement.bias_percent, "lower_limit_percent": agreement.lower_limit_percent,
                    "upper_limit_percent": agreement.upper_limit_percent,
                }
            )  # fmt: skip
    return rows


def li_table(measures: Sequence[RegionMeasure], methods: Sequence[str], members: Members | None = None) -> list[Row]:
    """Rows of `LI_COLUMNS`: every region, lesions together, by method."""
    rows = []
    for name in sorted({_li_name(one) for one in measures}):
        named = [one for one in measures if _li_name(one) == name]
        for method in methods:
            own = [one for one in named if one.method == method]
            if not own:
                continue
            errors, nrmse = per_patient(own, _absolute_error), per_patient(own, _nrmse_percent)
            seeds = [[one for one in named if one.method == member] for member in (members or {}).get(method, ())]
            excess = float(np.mean(per_patient(own, lambda one: one.excess_square)))
            row: Row = {
                "region": name, "method": method, "patients": len(errors), "regions": len(own),
                "mean_dose_error_percent": float(np.mean(errors)), "mean_dose_error_std_percent": _std(errors),
                "mean_dose_error_seed_std_percent": _seed_std([per_patient(one, _absolute_error) for one in seeds]),
                "largest_dose_error_percent": max(map(_absolute_error, own)),
                "nrmse_percent": float(np.mean(nrmse)), "nrmse_std_percent": _std(nrmse),
                "nrmse_seed_std_percent": _seed_std([per_patient(one, _nrmse_percent) for one in seeds]),
                "largest_nrmse_percent": max(map(_nrmse_percent, own)),
                "nrmse_without_noise_percent": 100 * float(np.sqrt(max(excess, 0.0))),
            }  # fmt: skip
            for number, percent in enumerate(DOSE_VOLUME_PERCENT):
                known = [one for one in own if one.dose_volume_error_percent[number] is not None]
                values = per_patient(known, lambda one, number=number: one.dose_volume_error_percent[number])  # type: ignore[misc]
                row[f"dr{percent}_error_percent"] = float(np.mean(values)) if values else None
            rows.append(row)
    return rows


def edge_table(measures: Sequence[EdgeMeasure], methods: Sequence[str]) -> list[Row]:
    """Rows of `EDGE_COLUMNS`: each stratum by method, with 95 % intervals over patients."""
    rows = []
    for stratum in EDGE_STRATA:
        for method in methods:
            own = [one for one in measures if (one.stratum, one.method) == (stratum, method)]
            if not own:
                continue
            raw = bootstrap([[100 * one.nrmse for one in own]], mean)
            noise = [100 * one.noise_gy / one.dose_gy for one in own if one.noise_gy is not None]
            row: Row = {
                "stratum": stratum, "method": method, "patients": len(own), "voxels": sum(one.voxels for one in own),
                "rmse_percent": raw.value, "rmse_low_percent": raw.low, "rmse_high_percent": raw.high,
                "noise_percent": float(np.sqrt(np.mean(np.square(noise)))) if noise else None,
            }  # fmt: skip
            if len(noise) == len(own):
                free = bootstrap([[one.excess_square for one in own]], _root_percent)
                row |= {
                    "rmse_without_noise_percent": free.value, "without_noise_low_percent": free.low,
                    "without_noise_high_percent": free.high,
                }  # fmt: skip
            rows.append(row)
    return rows


def voxel_table(
    measures: Sequence[PatientMeasure], methods: Sequence[str], members: Members | None = None
) -> list[Row]:
    """Rows of `VOXEL_COLUMNS`: each measure of the body's voxels by method; those that were not made are left out."""
    rows = []

    def values(name: str, method: str) -> list[float]:
        known = [getattr(one, name) for one in measures if one.method == method]
        return [float(value) for value in known if value is not None]

    for name in VOXEL_MEASURES:
        for method in methods:
            own = values(name, method)
            if not own:
                continue
            found = bootstrap([own], mean)
            seeds = [values(name, member) for member in (members or {}).get(method, ())]
            rows.append(
                {
                    "measure": name, "method": method, "patients": found.patients, "mean": found.value,
                    "low": found.low, "high": found.high, "std": _std(own),
                    "seed_std": _seed_std([one for one in seeds if one]),
                }
            )  # fmt: skip
    return rows


def lesion_table(measures: Sequence[RegionMeasure], methods: Sequence[str]) -> list[Row]:
    """Rows of `LESION_COLUMNS`: lesions of each class of volume by method."""
    rows = []
    lesions = [one for one in measures if one.group in ("tumours", SMALL_TUMOURS)]
    for least, below in zip(LESION_CLASSES_ML[:-1], LESION_CLASSES_ML[1:], strict=True):
        for method in methods:
            own = [one for one in lesions if one.method == method and least <= one.volume_ml < below]
            if not own:
                continue
            errors = per_patient(own, _absolute_error)
            rows.append(
                {
                    "least_ml": least, "below_ml": below if np.isfinite(below) else None, "method": method,
                    "patients": len(errors), "lesions": len(own), "mae_percent": float(np.mean(errors)),
                    "mae_std_percent": _std(errors),
                    "bias_percent": float(np.mean(per_patient(own, lambda one: one.error_percent))),
                    "nrmse_percent": float(np.mean(per_patient(own, _nrmse_percent))),
                }
            )  # fmt: skip
    return rows


def paired_gains(
    patients: Sequence[PatientMeasure],
    regions: Sequence[RegionMeasure],
    base: str,
    network: str,
    edges: Sequence[EdgeMeasure] = (),
) -> dict[str, Any]:
    """By how much the network's errors are below the base's, with 95 % intervals over patients.

    Returns
    -------
    dict
        Reductions in percent (positive: the network is better), each an `Estimate` as values: of the RMSE near edges
        and over the body, of the NRMSE, and by organ group of the mean-dose error and the regions' NRMSE; differences
        of the voxel correlations; by stratum of the edges the reductions of the RMSE over each patient's dose there,
        as it is and without the truth's noise.
    """
    of = {method: [one for one in patients if one.method == method] for method in (base, network)}

    def column(method: str, value: Callable[[PatientMeasure], float | None]) -> list[float]:
        return [float(value(one) or 0.0) for one in of[method]]

    gains: dict[str, Any] = {}
    for name in ("edge_rmse_gy", "body_rmse_gy", "nrmse"):
        pair = [column(method, lambda one, name=name: getattr(one, name)) for method in (base, network)]  # type: ignore[misc]
        if any(pair[0]):
            gains[f"{name}_reduction_percent"] = bootstrap(pair, reduction_percent).as_dict()
    for name in ("pearson_r", "pearson_r_low") if of[base] else ():
        pair = [column(method, lambda one, name=name: getattr(one, name)) for method in (network, base)]  # type: ignore[misc]
        gains[f"{name}_difference"] = bootstrap(pair, lambda new, old: mean(new) - mean(old)).as_dict()
    for group in REGION_GROUPS:
        own = {method: _of(regions, group, method) for method in of}
        if not own[base]:
            continue
        errors = [per_patient(own[method], _absolute_error) for method in (base, network)]
        nrmse = [per_patient(own[method], lambda one: one.nrmse) for method in (base, network)]
        gains[f"{group}_dose_error_reduction_percent"] = bootstrap(errors, reduction_percent).as_dict()
        gains[f"{group}_nrmse_reduction_percent"] = bootstrap(nrmse, reduction_percent).as_dict()
    return gains | _edge_gains(edges, base, network)


def _edge_gains(edges: Sequence[EdgeMeasure], base: str, network: str) -> dict[str, Any]:
    """Reductions by stratum, as the RMSE is and without noise."""
    gains: dict[str, Any] = {}
    for stratum in EDGE_STRATA:
        pair = [[one for one in edges if (one.stratum, one.method) == (stratum, method)] for method in (base, network)]
        if not pair[0] or not any(one.rmse_gy for one in pair[0]):
            continue
        raw = bootstrap([[one.nrmse for one in own] for own in pair], reduction_percent)
        gains[f"edges_{stratum}_rmse_reduction_percent"] = raw.as_dict()
        excess = [[one.excess_square for one in own] for own in pair]
        if pair[0][0].noise_gy is not None and np.mean(excess[0]) > 0:
            free = bootstrap(excess, root_reduction_percent)
            gains[f"edges_{stratum}_rmse_without_noise_reduction_percent"] = free.as_dict()
    return gains


def table_csv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Rows as CSV; unknowns are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return stream.getvalue()


def per_patient(measures: Sequence[RegionMeasure], value: Callable[[RegionMeasure], float | None]) -> list[float]:
    """Means over the regions of each patient, in the order of the patients' names."""
    values: dict[str, list[float]] = {}
    for one in measures:
        values.setdefault(one.patient, []).append(float(value(one) or 0.0))
    return [float(np.mean(values[name])) for name in sorted(values)]


def _of(measures: Sequence[RegionMeasure], group: str, method: str) -> list[RegionMeasure]:
    return [one for one in measures if (one.group, one.method) == (group, method)]


def _absolute_error(measure: RegionMeasure) -> float:
    return abs(measure.error_percent)


def _nrmse_percent(measure: RegionMeasure) -> float:
    return 100 * measure.nrmse


def _root_percent(squares: Any) -> Any:
    """Root of the mean square in percent, zero where the mean is below zero."""
    return 100 * np.sqrt(np.maximum(np.mean(squares, axis=-1), 0.0))


def _std(values: Any) -> float | None:
    """Standard deviation of a sample, None for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _seed_std(per_seed: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation over seeds of the mean over patients, None for fewer than two seeds."""
    return _std([float(np.mean(values)) for values in per_seed])


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else value


def _li_name(measure: RegionMeasure) -> str:
    return {"tumours": "lesion", SMALL_TUMOURS: "lesion below 2 mL"}.get(measure.group or "", measure.region)
