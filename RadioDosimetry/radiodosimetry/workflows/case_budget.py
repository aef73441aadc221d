"""The uncertainty budget of each region's time-integrated activity and dose, cause by cause."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError
from ..organ_dose.csv_rows import rows_of_csv
from ..time_activity.curve_fit import CurveFit
from ..time_activity.uncertainty import chain_inputs_of, dose_uncertainty

BUDGET_CAUSES = ("volume", "recovery", "calibration", "synthesis", "fit", "model")
"""Causes known from curves and fits; what the dose method adds comes later."""

BUDGET_COLUMNS = ("region", *(f"{cause}_percent" for cause in BUDGET_CAUSES), "total_percent")

_LATER_COLUMNS = ("synthesis_percent",)
"""Columns that older tables lack."""


def budget_csv(fits: Mapping[str, CurveFit]) -> str:
    """Relative standard uncertainty of a region's self-dose by cause [%], empty where a fit does not know its own.

    The volume enters activity and mass: what a region drawn too large gains in counts it loses in dose per decay, so
    that the two cancel where activity is uniform.

    Parameters
    ----------
    fits
        Region to the fit of its curve, a row for each.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(BUDGET_COLUMNS)
    for region, fit in fits.items():
        writer.writerow([region, *_percents(fit)])
    return stream.getvalue()


def read_budget(path: Path) -> dict[str, dict[str, float | None]]:
    """Region to cause to relative standard uncertainty [%], None where unknown, from the table of `budget_csv`."""
    found = {}
    required = [column for column in BUDGET_COLUMNS if column not in _LATER_COLUMNS]
    for _, row in rows_of_csv(path, "uncertainty budget", required):
        found[row["region"]] = {
            column.removesuffix("_percent"): float(row[column]) if row.get(column) else None
            for column in BUDGET_COLUMNS[1:]
        }
    return found


def with_statistics(total_percent: float | None, statistics_percent: float | None) -> float | None:
    """Total with the uncertainty that the dose computation states, independent of the rest [%]."""
    return None if total_percent is None else math.hypot(total_percent, statistics_percent or 0.0)


def _percents(fit: CurveFit) -> list[str]:
    try:
        found = dose_uncertainty(fit.tia_bq_s, 1.0, chain_inputs_of(fit))
    except InputError:  # the fit does not know its own uncertainty, and its warnings say so
        return [""] * (len(BUDGET_CAUSES) + 1)
    parts = [abs(found.contributions[cause]) for cause in BUDGET_CAUSES]
    return [f"{100 * part:.6g}" for part in (*parts, found.relative_std)]
