# ruff: noqa: N802, N815, N999 (camelCase, as everywhere in Slicer)
"""Curves and fits on table nodes, kept by scene files, and back; residence times; effective dose in words."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .plots import curveChart, residualChart
from .tables import curveTable, fitLineTable, fitTable, tableNode
from .timeActivityWork import LESION
from .volumes import recordOf

if TYPE_CHECKING:
    from radiodosimetry.time_activity import FitSet, TimeActivityCurve
    from radiodosimetry.workflows.organ_dose import OrganDoseResult

CURVES_ATTRIBUTE = "RadioDosimetry.Curves"
"""Node attribute with the curves of a table as JSON, in s and Bq, every digit kept."""

FITS_ATTRIBUTE = "RadioDosimetry.Fits"
"""Node attribute with the fits of a table as the core's JSON, and the nuclide."""

LESION_NAME = re.compile(r"tumou?r|lesion|metasta", re.IGNORECASE)
"""Regions that are lesions by their name."""

_POINTS_ROLE, _LINE_ROLE = "RadioDosimetry.Points", "RadioDosimetry.Line"
"""Node references from a chart to the tables of its region."""

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
        values["regions"][region]["common_relative_std"] = fit.common_relative_std
    node.SetAttribute(FITS_ATTRIBUTE, json.dumps(values, ensure_ascii=False))
    return node


def fitsFromTable(node) -> FitSet:
    """The fits of a table node that `fitsTable` made; without covariances, which no table keeps.

    Raises
    ------
    InputError
        There is no table, or it holds no fits of ours.
    """
    from radiodosimetry.time_activity import read_fits

    values = _attributeOf(node, FITS_ATTRIBUTE, "fits", "fit the curves first")
    with tempfile.TemporaryDirectory(prefix="RadioDosimetry-") as folder:
        path = Path(folder) / "fits.json"
        path.write_text(json.dumps(values), encoding="utf-8")
        found = read_fits(path)
    shared = {region: float(entry.get("common_relative_std") or 0.0) for region, entry in values["regions"].items()}
    fits = {region: replace(fit, common_relative_std=shared[region]) for region, fit in found.items()}
    return replace(found, fits=fits, record=recordOf(node) or found.record)


def residenceTimeTable(fits: FitSet, node=None):
    """Residence times of the regions [h], as `radiodosimetry organ-dose --residence-times` reads them from a CSV.

    Raises
    ------
    InputError
        The administered activity is not known.
    """
    times = fits.residence_times_s()
    columns = {
        "region": list(times),
        "residence_time_h": [value / 3600.0 for value, _ in times.values()],
        "std": [None if std is None else std / 3600.0 for _, std in times.values()],
    }
    return tableNode("Residence times", columns, {"residence_time_h": "h", "std": "h"}, node, fits.record)


def regionCharts(curves, fits, region: str, chartNode=None, residualNode=None, logScale: bool = False):
    """Charts of one region: points with error bars, fit and its band; residuals.

    Parameters
    ----------
    curves, fits
        Table nodes of `curvesTable` and `fitsTable`, or the core's curves and `FitSet`, which alone know the band.
    region
        Name of the region.
    chartNode, residualNode
        Charts to fill anew, with their tables; new ones if None.
    logScale
        Whether the activity axis is logarithmic.

    Returns
    -------
    tuple of vtkMRMLPlotChartNode
        Curve and residuals.

    Raises
    ------
    InputError
        No curve or fit has this name.
    """
    from radiodosimetry.errors import InputError

    curves = list(curves) if isinstance(curves, list | tuple) else curvesFromTable(curves)[0]
    fits = fits if hasattr(fits, "fits") else fitsFromTable(fits)
    curve = next((curve for curve in curves if curve.region == region), None)
    if curve is None or region not in fits:
        raise InputError(f"There is no fit of region '{region}'; found {', '.join(fits)}.")
    old = [None if chartNode is None else chartNode.GetNodeReference(role) for role in (_POINTS_ROLE, _LINE_ROLE)]
    points, line = curveTable(curve, fits[region], old[0]), fitLineTable(curve, fits[region], node=old[1])
    chart = curveChart([points], [line], f"{region}: {fits[region].model}", chartNode, logScale)
    residuals = residualChart([points], f"{region}: residuals", residualNode)
    for role, table in ((_POINTS_ROLE, points), (_LINE_ROLE, line)):
        chart.SetNodeReferenceID(role, table.GetID())
    return chart, residuals


def organsByName(regions: Iterable[str]) -> dict[str, str]:
    """Organ of the phantom, or `LESION`, of each region whose name says it.

    The whole body is none: what it holds is in its organs and the remainder.
    """
    from .organNames import organOf

    found = {region: LESION if LESION_NAME.search(region) else organOf(region) for region in regions}
    return {region: organ for region, organ in found.items() if organ and organ != "total_body"}


def effectiveDoseWords(result: OrganDoseResult) -> str:
    """Effective dose in one sentence; empty where there is none."""
    effective = result.effective
    if effective is None:
        return ""
    words = f"Effective dose (ICRP 103): {effective.value_sv_per_bq * 1e9:.4g} mSv/MBq"
    return words if effective.value_sv is None else f"{words}, {effective.value_sv * 1e3:.4g} mSv"


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
