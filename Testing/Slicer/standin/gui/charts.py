"""MRML plot charts drawn by VTK's charts, with the meaning Slicer's plot view gives to the fields of the nodes."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6.QtGui import QImage

from .rendered import imageOf

LEFT, BOTTOM = 0, 1


def chartImage(node: Any, width: int, height: int) -> QImage:
    """Draw a chart node into a picture of that size [pixels]."""
    view = vtk.vtkContextView()
    view.GetRenderer().SetBackground(1.0, 1.0, 1.0)
    window = view.GetRenderWindow()
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(8)
    window.SetSize(width, height)
    view.GetScene().AddItem(chartOf(node))
    view.Render()
    return imageOf(window)


def chartOf(node: Any) -> Any:
    """VTK chart of a chart node."""
    chart = vtk.vtkChartXY()
    for index in range(node.GetNumberOfPlotSeriesNodes()):
        plot = _plotOf(node.GetNthPlotSeriesNode(index))
        if plot is not None:
            chart.AddPlot(plot)
    family = chart.GetTitleProperties().GetFontFamilyFromString(node.GetFontType() or "Arial")
    chart.SetTitle((node.GetTitle() or "") if node.GetTitleVisibility() else "")
    chart.GetTitleProperties().SetFontFamily(family)
    chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
    chart.SetShowLegend(bool(node.GetLegendVisibility()))
    chart.GetLegend().GetLabelProperties().SetFontSize(node.GetLegendFontSize())
    chart.GetLegend().SetDragEnabled(True)
    xTitle, yTitle = node.GetXAxisTitle() or "", node.GetYAxisTitle() or ""
    _setAxis(chart.GetAxis(BOTTOM), node, xTitle if node.GetXAxisTitleVisibility() else "", isX=True)
    _setAxis(chart.GetAxis(LEFT), node, yTitle if node.GetYAxisTitleVisibility() else "", isX=False)
    return chart


def _setAxis(axis: Any, node: Any, title: str, isX: bool) -> None:
    axis.SetTitle(title)
    axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
    axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
    axis.SetGridVisible(bool(node.GetGridVisibility()))
    isLog, isAuto = (
        (node.GetXAxisLogScale(), node.GetXAxisRangeAuto())
        if isX
        else (node.GetYAxisLogScale(), node.GetYAxisRangeAuto())
    )
    axis.SetLogScale(bool(isLog))
    if isAuto:
        axis.SetBehavior(vtk.vtkAxis.AUTO)
    else:
        axis.SetBehavior(vtk.vtkAxis.FIXED)
        axis.SetUnscaledRange(*(node.GetXAxisRange() if isX else node.GetYAxisRange()))


def _plotOf(series: Any) -> Any:
    """VTK plot of a series; None where Slicer's view would leave it out: no table, no such column."""
    tableNode = series.GetTableNode() if series is not None else None
    table = tableNode.GetTable() if tableNode is not None else None
    if table is None or not series.GetYColumnName() or table.GetColumnByName(series.GetYColumnName()) is None:
        return None
    kind = slicer.vtkMRMLPlotSeriesNode
    isBar = series.GetPlotType() in (kind.PlotTypeBar, kind.PlotTypeScatterBar)
    needsX = series.IsXColumnRequired()
    if needsX and (not series.GetXColumnName() or table.GetColumnByName(series.GetXColumnName()) is None):
        return None
    plot = vtk.vtkPlotBar() if isBar else vtk.vtkPlotLine()
    if needsX:
        plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
    else:
        plot.SetInputData(table, series.GetYColumnName(), series.GetYColumnName())
        plot.SetUseIndexForXSeries(True)
    plot.SetLabel(series.GetName())
    red, green, blue = series.GetColor()
    plot.SetColorF(red, green, blue, series.GetOpacity())
    plot.SetWidth(series.GetLineWidth())
    if not isBar:
        _setLook(plot, series)
    return plot


def _setLook(plot: Any, series: Any) -> None:
    kind, pen = slicer.vtkMRMLPlotSeriesNode, vtk.vtkPen
    lines = {
        kind.LineStyleNone: pen.NO_PEN, kind.LineStyleSolid: pen.SOLID_LINE, kind.LineStyleDash: pen.DASH_LINE,
        kind.LineStyleDot: pen.DOT_LINE, kind.LineStyleDashDot: pen.DASH_DOT_LINE,
        kind.LineStyleDashDotDot: pen.DASH_DOT_DOT_LINE,
    }  # fmt: skip
    markers = {
        kind.MarkerStyleNone: vtk.vtkPlotPoints.NONE, kind.MarkerStyleCross: vtk.vtkPlotPoints.CROSS,
        kind.MarkerStylePlus: vtk.vtkPlotPoints.PLUS, kind.MarkerStyleSquare: vtk.vtkPlotPoints.SQUARE,
        kind.MarkerStyleCircle: vtk.vtkPlotPoints.CIRCLE, kind.MarkerStyleDiamond: vtk.vtkPlotPoints.DIAMOND,
    }  # fmt: skip
    plot.GetPen().SetLineType(lines[series.GetLineStyle()])
    plot.SetMarkerStyle(markers[series.GetMarkerStyle()])
    plot.SetMarkerSize(series.GetMarkerSize())
