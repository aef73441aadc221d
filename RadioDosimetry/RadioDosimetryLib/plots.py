"""Tables as charts: dose-volume histograms, time-activity curves with error bars and bands, residuals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import slicer

from .display import niceCeiling
from .outputs import removeOnceStored
from .segmentations import COLORS
from .tables import LOWEST_SHARE, columnsOf, tableNode
from .translation import tr as _

BAND_COLOR_SHARE = 0.5
"""How far the lines of a band are faded towards white."""

LEGEND_ROOM = 1.4
"""Length of a histogram's dose axis over the highest dose: the legend stands at its end, beside the curves."""

_OWNED = "RadioDosimetry.ChartPart"
"""Node reference from a chart to the helper tables that it alone uses, and mark of the series made for it."""


def dvhChart(tableNodes: Sequence, name: str = "Dose-volume histogram", node=None, colors: Sequence | None = None):
    """Chart of cumulative dose-volume histograms.

    Parameters
    ----------
    tableNodes
        Tables of `dvhTable`, or one of them.
    name
        Title, and name of a new chart.
    node
        Chart to fill anew; a new one if None.
    colors
        Colour (red, green, blue; 0 to 1) of each region.

    Returns
    -------
    vtkMRMLPlotChartNode
        One line per table.
    """
    tables = list(tableNodes) if isinstance(tableNodes, Sequence) else [tableNodes]
    chart = _chart(name, _("Absorbed dose (Gy)"), _("Volume (%)"), node)
    for number, table in enumerate(tables):
        label = table.GetAttribute("RadioDosimetry.Region") or table.GetName()
        color = colors[number] if colors is not None else COLORS[number % len(COLORS)]
        _addLine(chart, table, "Dose", "Volume", label, color)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(0.0, 105.0)
    highest = max((max(columnsOf(table)["Dose"], default=0.0) for table in tables), default=0.0)
    chart.SetXAxisRangeAuto(False)
    chart.SetXAxisRange(0.0, niceCeiling(LEGEND_ROOM * highest))
    return chart


def curveChart(
    pointTables: Sequence, lineTables: Sequence = (), name: str = "Time-activity curves", node=None, logScale=False
):
    """Chart of time-activity curves: measured points with error bars, fitted lines, and bands of one SD around them.

    Parameters
    ----------
    pointTables
        Tables of `curveTable`.
    lineTables
        Tables of `fitLineTable`; those of the same region take its colour.
    name
        Title, and name of a new chart.
    node
        Chart to fill anew; a new one if None.
    logScale
        Whether the activity axis is logarithmic.
    """
    chart = _chart(name, _("Time after administration (h)"), _("Activity (MBq)"), node)
    colorOf = _colorsOf(pointTables, lineTables)
    for table in lineTables:
        region = table.GetAttribute("RadioDosimetry.Region") or table.GetName()
        _addLine(chart, table, "Time (h)", "Fit (MBq)", f"{region} fit", colorOf[region])
        if "Upper (MBq)" in columnsOf(table):
            faded = _faded(colorOf[region])
            for column, side in (("Lower (MBq)", "− 1 SD"), ("Upper (MBq)", "+ 1 SD")):
                _addLine(chart, table, "Time (h)", column, f"{region} {side}", faded, dashed=True)
    for table in pointTables:
        region = table.GetAttribute("RadioDosimetry.Region") or table.GetName()
        bars = _errorBarTable(table)
        if bars is not None:
            chart.AddNodeReferenceID(_OWNED, bars.GetID())
            _addLine(chart, bars, "Time (h)", "Activity (MBq)", f"{region} ± 1 SD", colorOf[region])
        _addPoints(chart, table, "Time (h)", "Activity (MBq)", region, colorOf[region])
    chart.SetYAxisLogScale(bool(logScale))
    return chart


def residualChart(pointTables: Sequence, name: str = "Residuals", node=None):
    """Chart of measured minus fitted, in standard uncertainties where every table knows them, else in MBq."""
    known = [columnsOf(table) for table in pointTables]
    column = "Residual (SD)" if known and all("Residual (SD)" in columns for columns in known) else "Residual (MBq)"
    yTitle = _("Measured − fitted (SD)") if column == "Residual (SD)" else _("Measured − fitted (MBq)")
    chart = _chart(name, _("Time after administration (h)"), yTitle, node)
    colorOf = _colorsOf(pointTables, ())
    for table, columns in zip(pointTables, known, strict=True):
        if column in columns:
            region = table.GetAttribute("RadioDosimetry.Region") or table.GetName()
            _addPoints(chart, table, "Time (h)", column, region, colorOf[region])
    largest = max((abs(cell) for columns in known for cell in columns.get(column, ())), default=0.0)
    chart.SetYAxisRangeAuto(False)
    chart.SetYAxisRange(-niceCeiling(1.05 * largest), niceCeiling(1.05 * largest))
    return chart


def showInPlotView(chart) -> None:
    """Show a chart in the plot views, without changing the layout."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActivePlotChartID(chart.GetID())
    slicer.app.applicationLogic().PropagatePlotChartSelection()


def _chart(title: str, xTitle: str, yTitle: str, node):
    """A chart without series; those that an earlier call made leave the scene once the new ones are stored."""
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotChartNode", slicer.mrmlScene.GenerateUniqueName(title))
    else:
        _replaceParts(node)
    node.SetTitle(title)
    node.SetXAxisTitle(xTitle)
    node.SetYAxisTitle(yTitle)
    node.SetLegendVisibility(True)
    return node


def _replaceParts(chart) -> None:
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    helpers = [chart.GetNthNodeReference(_OWNED, index) for index in range(chart.GetNumberOfNodeReferences(_OWNED))]
    chart.RemoveAllPlotSeriesNodeIDs()
    chart.RemoveNodeReferenceIDs(_OWNED)
    removeOnceStored(part for part in (*series, *helpers) if part is not None and part.GetAttribute(_OWNED) == "1")


def _addLine(chart, table, xColumn: str, yColumn: str, name: str, color: Sequence[float], dashed: bool = False):
    series = _series(chart, table, xColumn, yColumn, name, color)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleNone)
    styles = slicer.vtkMRMLPlotSeriesNode
    series.SetLineStyle(styles.LineStyleDash if dashed else styles.LineStyleSolid)
    series.SetLineWidth(1 if dashed else 2)
    return series


def _addPoints(chart, table, xColumn: str, yColumn: str, name: str, color: Sequence[float]):
    series = _series(chart, table, xColumn, yColumn, name, color)
    series.SetMarkerStyle(slicer.vtkMRMLPlotSeriesNode.MarkerStyleCircle)
    series.SetMarkerSize(9)
    series.SetLineStyle(slicer.vtkMRMLPlotSeriesNode.LineStyleNone)
    return series


def _series(chart, table, xColumn: str, yColumn: str, name: str, color: Sequence[float]):
    series = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLPlotSeriesNode", name)  # what the legend says
    series.SetAndObserveTableNodeID(table.GetID())
    series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
    series.SetXColumnName(xColumn)
    series.SetYColumnName(yColumn)
    series.SetColor(*color)
    series.SetAttribute(_OWNED, "1")
    chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return series


def _errorBarTable(table):
    """Points up and down each error bar with a gap after it; None where no uncertainty is known."""
    columns = columnsOf(table)
    if "SD (MBq)" not in columns:
        return None
    times, values, stds = (np.array(columns[title]) for title in ("Time (h)", "Activity (MBq)", "SD (MBq)"))
    lowest = np.maximum(values - stds, LOWEST_SHARE * values)
    gap = np.full(times.size, np.nan)
    bars = {
        "Time (h)": np.column_stack([times, times, times]).ravel(),
        "Activity (MBq)": np.column_stack([lowest, values + stds, gap]).ravel(),
    }
    node = tableNode(f"{table.GetName()} error bars", bars, {"Time (h)": "h", "Activity (MBq)": "MBq"})
    node.SetAttribute(_OWNED, "1")
    node.SetHideFromEditors(True)
    return node


def _colorsOf(*groups: Sequence) -> dict[str, tuple[float, float, float]]:
    """A colour for each region, in the order of first appearance."""
    regions = dict.fromkeys(
        table.GetAttribute("RadioDosimetry.Region") or table.GetName() for tables in groups for table in tables
    )
    return {region: COLORS[number % len(COLORS)] for number, region in enumerate(regions)}


def _faded(color: Sequence[float]) -> tuple[float, ...]:
    return tuple(share + (1.0 - share) * BAND_COLOR_SHARE for share in color)
