"""Errors over patients as tables in the form of Kim et al. 2022 and of Li et al. 2022, with paired intervals."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..evaluation.bland_altman import bland_altman
from .bootstrap import bootstrap, mean, reduction_percent
from .measures import DOSE_VOLUME_PERCENT, REGION_GROUPS, PatientMeasure, RegionMeasure

KIM_COLUMNS = (
    "region", "method", "patients", "regions", "mean_gy", "std_gy", "reference_mean_gy", "mae_percent",
    "mae_low_percent", "mae_high_percent", "bias_percent", "lower_limit_percent", "upper_limit_percent",
)  # fmt: skip
"""Table 1 of Kim et al. 2022 with its Bland-Altman figures and the 95 % interval of the MAE over patients."""

LI_COLUMNS = (
    "region", "method", "patients", "mean_dose_error_percent", "largest_dose_error_percent", "nrmse_percent",
    "largest_nrmse_percent", *(f"dr{percent}_error_percent" for percent in DOSE_VOLUME_PERCENT),
)  # fmt: skip
"""Table 3 and Figure 7 of Li et al. 2022: mean and largest over the regions of all patients."""

Row = dict[str, Any]


def kim_table(measures: Sequence[RegionMeasure], methods: Sequence[str]) -> list[Row]:
    """Rows of `KIM_COLUMNS`: organ groups by method."""
    rows = []
    for group in REGION_GROUPS:
        for method in methods:
            own = [one for one in measures if (one.group, one.method) == (group, method)]
            if not own:
                continue
            doses, references = np.array([one.dose_gy for one in own]), np.array([one.reference_gy for one in own])
            agreement = bland_altman(references, doses)
            absolute = bootstrap([_per_patient(own, lambda one: abs(one.error_percent))], mean)
            rows.append(
                {
                    "region": group, "method": method, "patients": absolute.patients, "regions": len(own),
                    "mean_gy": float(doses.mean()), "std_gy": float(doses.std(ddof=1)) if doses.size > 1 else 0.0,
                    "reference_mean_gy": float(references.mean()), "mae_percent": absolute.value,
                    "mae_low_percent": absolute.low, "mae_high_percent": absolute.high,
                    "bias_percent": agreement.bias_percent, "lower_limit_percent": agreement.lower_limit_percent,
                    "upper_limit_percent": agreement.upper_limit_percent,
                }
            )  # fmt: skip
    return rows


def li_table(measures: Sequence[RegionMeasure], methods: Sequence[str]) -> list[Row]:
    """Rows of `LI_COLUMNS`: every region, lesions together, by method."""
    rows = []
    names = sorted({_li_name(one) for one in measures})
    for name in names:
        for method in methods:
            own = [one for one in measures if (_li_name(one), one.method) == (name, method)]
            if not own:
                continue
            errors, nrmse = [abs(one.error_percent) for one in own], [100 * one.nrmse for one in own]
            row: Row = {
                "region": name, "method": method, "patients": len({one.patient for one in own}),
                "mean_dose_error_percent": float(np.mean(errors)), "largest_dose_error_percent": max(errors),
                "nrmse_percent": float(np.mean(nrmse)), "largest_nrmse_percent": max(nrmse),
            }  # fmt: skip
            for number, percent in enumerate(DOSE_VOLUME_PERCENT):
                known = [one.dose_volume_error_percent[number] for one in own]
                values = [value for value in known if value is not None]
                row[f"dr{percent}_error_percent"] = float(np.mean(values)) if values else None
            rows.append(row)
    return rows


def paired_gains(
    patients: Sequence[PatientMeasure], regions: Sequence[RegionMeasure], base: str, network: str
) -> dict[str, Any]:
    """By how much the network's errors are below the base's, with 95 % intervals over patients.

    Returns
    -------
    dict
        Reductions in percent (positive: the network is better), each an `Estimate` as values: of the RMSE near edges
        and over the body, of the NRMSE, and by organ group of the mean-dose error and the regions' NRMSE; differences
        of the voxel correlations.
    """
    of = {method: [one for one in patients if one.method == method] for method in (base, network)}

    def column(method: str, value: Callable[[PatientMeasure], float | None]) -> list[float]:
        return [float(value(one) or 0.0) for one in of[method]]

    gains: dict[str, Any] = {}
    for name in ("edge_rmse_gy", "body_rmse_gy", "nrmse"):
        pair = [column(method, lambda one, name=name: getattr(one, name)) for method in (base, network)]  # type: ignore[misc]
        if np.mean(pair[0]) > 0:
            gains[f"{name}_reduction_percent"] = bootstrap(pair, reduction_percent).as_dict()
    for name in ("pearson_r", "pearson_r_low"):
        pair = [column(method, lambda one, name=name: getattr(one, name)) for method in (network, base)]  # type: ignore[misc]
        gains[f"{name}_difference"] = bootstrap(pair, lambda new, old: mean(new) - mean(old)).as_dict()
    for group in REGION_GROUPS:
        own = {method: [one for one in regions if (one.group, one.method) == (group, method)] for method in of}
        if not own[base]:
            continue
        errors = [_per_patient(own[method], lambda one: abs(one.error_percent)) for method in (base, network)]
        nrmse = [_per_patient(own[method], lambda one: one.nrmse) for method in (base, network)]
        gains[f"{group}_dose_error_reduction_percent"] = bootstrap(errors, reduction_percent).as_dict()
        gains[f"{group}_nrmse_reduction_percent"] = bootstrap(nrmse, reduction_percent).as_dict()
    return gains


def table_csv(rows: Iterable[Row], columns: Sequence[str]) -> str:
    """Rows as CSV; unknowns are empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in columns])
    return stream.getvalue()


def _cell(value: Any) -> Any:
    return "" if value is None else f"{value:.5g}" if isinstance(value, float) else value


def _li_name(measure: RegionMeasure) -> str:
    return "lesion" if measure.group == "tumours" else measure.region


def _per_patient(measures: Sequence[RegionMeasure], value: Callable[[RegionMeasure], float]) -> list[float]:
    """Means over the regions of each patient, in the order of the patients' names."""
    names = sorted({one.patient for one in measures})
    return [float(np.mean([value(one) for one in measures if one.patient == name])) for name in names]
