"""What TimeActivityFit shows of its results: residence times, charts, organs by name, effective dose in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .outputs import allOrNothing, inScene
from .plots import curveChart, residualChart
from .tables import curveTable, fitLineTable, tableNode
from .timeActivityDoses import LESION
from .timeActivityKept import curvesFromTable, fitsFromTable

if TYPE_CHECKING:
    from radiodosimetry.time_activity import FitSet
    from radiodosimetry.workflows.organ_dose import OrganDoseResult

LESION_NAME = re.compile(r"tumou?r|lesion|metasta", re.IGNORECASE)
"""Regions that are lesions by their name."""

EFFECTIVE_DOSE_ATTRIBUTE = "RadioDosimetry.EffectiveDose"
"""Node attribute of a table of organ doses with the effective dose in words; empty where there is none."""

_POINTS_ROLE, _LINE_ROLE = "RadioDosimetry.Points", "RadioDosimetry.Line"
"""Node references from a chart to the tables of its region."""


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
        Table nodes of `curvesTable` and `fitsTable`, or the core's curves and `FitSet`.
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
    chartNode, residualNode = inScene(chartNode), inScene(residualNode)
    old = [None if chartNode is None else chartNode.GetNodeReference(role) for role in (_POINTS_ROLE, _LINE_ROLE)]
    with allOrNothing((chartNode, residualNode, *old)):
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
