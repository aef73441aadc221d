"""Curves and fits on table nodes with every digit, kept by scene files, and back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .tables import fitTable, tableNode
from .volumes import recordOf

if TYPE_CHECKING:
    from radiodosimetry.time_activity import FitSet, TimeActivityCurve
    from radiodosimetry.time_activity.curve_fit import CurveFit
    from radiodosimetry.time_activity.parametric import CurveModel

CURVES_ATTRIBUTE = "RadioDosimetry.Curves"
"""Node attribute with the curves of a table as JSON, in s and Bq, every digit kept."""

FITS_ATTRIBUTE = "RadioDosimetry.Fits"
"""Node attribute with the fits of a table as the core's JSON, the nuclide, and what the band of each curve needs."""

_BQ_PER_MBQ = 1e6


def curvesTable(curves: Sequence[TimeActivityCurve], nuclide: str, administeredBq: float | None = None, node=None):
    """A table node of time-activity curves, a row for each region and time; `curvesFromTable` reads it back.

    Parameters
    ----------
    curves
        Activity present at each time.
    nuclide
        Its name.
    administeredBq
        Administered activity [Bq], for the column of percentages; None if not known.
    node
        Table to fill anew; a new one if None.
    """
    from radiodosimetry.provenance import Record

    rows = [(curve, index) for curve in curves for index in range(len(curve.times_s))]
    columns: dict[str, Sequence] = {
        "Region": [curve.region for curve, _ in rows],
        "Time (h)": [curve.times_h[index] for curve, index in rows],
        "Activity (MBq)": [curve.activity_bq[index] / _BQ_PER_MBQ for curve, index in rows],
    }
    if any(curve.std_bq is not None for curve in curves):
        columns["SD (MBq)"] = [
            None if curve.std_bq is None else curve.std_bq[index] / _BQ_PER_MBQ for curve, index in rows
        ]
    columns["Volume (mL)"] = [None if curve.volume_ml is None else curve.volume_ml[index] for curve, index in rows]
    if administeredBq is not None:
        columns["Share of injected (%)"] = [100.0 * curve.activity_bq[index] / administeredBq for curve, index in rows]
    units = {"Time (h)": "h", "Activity (MBq)": "MBq", "SD (MBq)": "MBq", "Volume (mL)": "ml"}
    units["Share of injected (%)"] = "%"
    record = Record("time-activity curves of regions over serial images", dict(curves[0].record.parameters),
                    dict(curves[0].record.inputs))  # fmt: skip
    warnings = [f"{curve.region}: {text}" for curve in curves for text in curve.record.warnings]
    node = tableNode("Time-activity curves", columns, units, node, record.with_warnings(*warnings))
    values = {
        "nuclide": nuclide,
        "administered_bq": administeredBq,
        "curves": [
            {
                "region": curve.region,
                "times_s": curve.times_s.tolist(),
                "activity_bq": curve.activity_bq.tolist(),
                "std_bq": None if curve.std_bq is None else curve.std_bq.tolist(),
                "volume_ml": None if curve.volume_ml is None else curve.volume_ml.tolist(),
                "record": curve.record.as_dict(),
            }
            for curve in curves
        ],
    }
    node.SetAttribute(CURVES_ATTRIBUTE, json.dumps(values, ensure_ascii=False))
    return node


def curvesFromTable(node) -> tuple[list[TimeActivityCurve], str, float | None]:
    """Curves, nuclide and administered activity [Bq] of a table node that `curvesTable` made.

    Raises
    ------
    InputError
        There is no table, or it holds no curves of ours.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.provenance import Record
    from radiodosimetry.time_activity import TimeActivityCurve

    values = _attributeOf(node, CURVES_ATTRIBUTE, "time-activity curves", "measure the regions first")
    try:
        curves = [
            TimeActivityCurve(
                one["region"],
                np.array(one["times_s"]),
                np.array(one["activity_bq"]),
                None if one["std_bq"] is None else np.array(one["std_bq"]),
                None if one["volume_ml"] is None else np.array(one["volume_ml"]),
                Record.from_dict(one["record"]),
            )
            for one in values["curves"]
        ]
        return curves, str(values["nuclide"]), values["administered_bq"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The curves of table '{node.GetName()}' are damaged; measure the regions anew.") from error


def fitsTable(fits: FitSet, node=None):
    """A table node of fits, a row per region; `fitsFromTable` reads it back."""
    from radiodosimetry.time_activity import fits_json

    node = fitTable(fits, node=node)
    values = json.loads(fits_json(fits))
    for region, fit in fits.items():
        values["regions"][region] |= _uncertaintyOf(fit)
    node.SetAttribute(FITS_ATTRIBUTE, json.dumps(values, ensure_ascii=False))
    return node


def fitsFromTable(node) -> FitSet:
    """The fits of a table node that `fitsTable` made, with their bands; without the least-squares solutions.

    Raises
    ------
    InputError
        There is no table, or it holds no fits of ours.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.time_activity import read_fits

    values = _attributeOf(node, FITS_ATTRIBUTE, "fits", "fit the curves first")
    with tempfile.TemporaryDirectory(prefix="RadioDosimetry-") as folder:
        path = Path(folder) / "fits.json"
        path.write_text(json.dumps(values), encoding="utf-8")
        found = read_fits(path)
    try:
        fits = {region: _withUncertainty(fit, values["regions"][region]) for region, fit in found.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"The fits of table '{node.GetName()}' are damaged; fit the curves anew.") from error
    return replace(found, fits=fits, record=recordOf(node) or found.record)


def _uncertaintyOf(fit: CurveFit) -> dict[str, Any]:
    """What the core's file of fits leaves out of a fit's uncertainty: covariance in SI units, bounds of the model."""
    found: dict[str, Any] = {"own_std_known": fit.own_std_known}
    if fit.fitted_model is not None and fit.covariance is not None:
        found["covariance_si"] = fit.covariance.tolist()
        found["fitted_model"] = _modelValues(fit.fitted_model)
    return found


def _withUncertainty(fit: CurveFit, entry: Mapping[str, Any]) -> CurveFit:
    """A fit as it was before it was kept; older scenes have no covariance, or what the points share as one number."""
    shared = fit.shared_relative_std
    if entry.get("common_relative_std"):
        shared = {"calibration, recovery, volume": float(entry["common_relative_std"])}
    fit = replace(fit, shared_relative_std=shared, own_std_known=bool(entry.get("own_std_known", True)))
    if "covariance_si" not in entry:
        return fit
    covariance = np.array(entry["covariance_si"], dtype=np.float64)
    if covariance.shape != (len(fit.parameters), len(fit.parameters)):
        raise ValueError(f"a covariance of shape {covariance.shape}")
    return replace(fit, covariance=covariance, fitted_model=_modelFrom(entry["fitted_model"]))


def _modelValues(model: CurveModel) -> dict[str, Any]:
    """Name and bounds of a model."""
    from radiodosimetry.time_activity.parametric import ExponentialModel

    values = {"name": model.name, "highest_rate_per_s": model.highest_rate_per_s}
    if isinstance(model, ExponentialModel):
        return values | {"lowest_rate_per_s": model.lowest_rate_per_s, "washout_only": model.washout_only}
    return values | {"decay_constant_per_s": model.decay_constant_per_s}


def _modelFrom(values: Mapping[str, Any]) -> CurveModel:
    """The model that `_modelValues` describes."""
    from radiodosimetry.time_activity.parametric import ExponentialModel, GammaUptakeModel

    highest = float(values["highest_rate_per_s"])
    if "decay_constant_per_s" in values:
        return GammaUptakeModel(float(values["decay_constant_per_s"]), highest)
    lowest = float(values["lowest_rate_per_s"])
    return ExponentialModel(str(values["name"]), lowest, highest, bool(values["washout_only"]))


def _attributeOf(node, attribute: str, what: str, advice: str) -> dict:
    from radiodosimetry.errors import InputError

    if node is None:
        raise InputError(f"There is no table of {what}; {advice}.")
    try:
        values = json.loads(node.GetAttribute(attribute) or "null")
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InputError(f"Table '{node.GetName()}' holds no {what} of RadioDosimetry; {advice}.")
    return values
