"""Results as table nodes: one row per region, curve point or organ; units in the column names and as unit labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk

from .volumes import setRecord

if TYPE_CHECKING:
    from radiodosimetry.organ_dose.mird import OrganDoseTable
    from radiodosimetry.provenance import Record
    from radiodosimetry.time_activity.curve_fit import CurveFit
    from radiodosimetry.time_activity.fit_files import FitSet
    from radiodosimetry.time_activity.time_activity_curve import TimeActivityCurve
    from radiodosimetry.voxel_dose.dose_volume import DoseVolumeHistogram
    from radiodosimetry.voxel_dose.statistics import RegionDose

DVH_ATTRIBUTE = "DoseVolumeHistogram.DVH"
"""SlicerRT's mark of a dose-volume histogram table."""

LOWEST_SHARE = 0.01
"""Lower ends of bars and bands stay at this share of the value: zero has no place on a logarithmic axis."""

_BQ_PER_MBQ = 1e6
_MBQ_H = _BQ_PER_MBQ * 3600.0

_DOSE_COLUMNS = (
    ("Structure", "region", ""),
    ("Volume (cc)", "volume_ml", "cm3"),
    ("Mass (g)", "mass_g", "g"),
    ("Mean dose (Gy)", "mean_gy", "Gy"),
    ("Mean uncertainty (%)", "mean_uncertainty_percent", "%"),
    ("SD (Gy)", "std_gy", "Gy"),
    ("Min dose (Gy)", "min_gy", "Gy"),
    *((f"D{percent}% (Gy)", f"d{percent}_gy", "Gy") for percent in (98, 90, 70, 50, 30, 10, 2)),
    ("Max dose (Gy)", "max_gy", "Gy"),
    ("EUD (Gy)", "eud_gy", "Gy"),
    ("BED (Gy)", "bed_gy", "Gy"),
)
"""Column, attribute of `RegionDose` and unit; the names are those of SlicerRT's metrics where it has them."""

_ALWAYS_SHOWN = ("region", "volume_ml", "mean_gy")


def tableNode(
    name: str,
    columns: Mapping[str, Sequence],
    units: Mapping[str, str] | None = None,
    node=None,
    record: Record | None = None,
):
    """A table node of columns.

    Parameters
    ----------
    name
        Name of a new node, made unique in the scene; ignored with `node`.
    columns
        Column name to its cells, all of one length. A column with any text is text, "" for None; others are
        float64, NaN for None.
    units
        Column name to the unit of its cells.
    node
        Table to fill anew; a new one if None.
    record
        How the numbers came to be.

    Returns
    -------
    vtkMRMLTableNode
        The node.

    Raises
    ------
    InputError
        Columns differ in length.
    """
    from radiodosimetry.errors import InputError

    lengths = {column: len(cells) for column, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"The columns of table '{name}' differ in length: {lengths}; expected all alike.")
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", slicer.mrmlScene.GenerateUniqueName(name))
    table = vtk.vtkTable()
    for column, cells in columns.items():
        table.AddColumn(_array(column, cells))
    with slicer.util.NodeModify(node):
        node.RemoveAllColumns()
        node.SetAndObserveTable(table)
        node.SetUseColumnTitleAsColumnHeader(True)
        for column in columns:
            node.SetColumnTitle(column, column)
            if units and units.get(column):
                node.SetColumnUnitLabel(column, units[column])
        if record is not None:
            setRecord(node, record)
    return node


def doseTable(rows: Sequence[RegionDose], name: str = "Absorbed dose", node=None, record: Record | None = None):
    """Dose statistics, a row per region; columns that no region has (mass, uncertainty, EUD, BED) are left out."""
    columns, units = {}, {}
    for title, attribute, unit in _DOSE_COLUMNS:
        cells = [getattr(row, attribute) for row in rows]
        if attribute in _ALWAYS_SHOWN or any(cell is not None for cell in cells):
            columns[title], units[title] = cells, unit
    return tableNode(name, columns, units, node, record)


def dvhTable(
    histogram: DoseVolumeHistogram,
    doseNode=None,
    segmentationNode=None,
    segmentID: str | None = None,
    node=None,
):
    """Cumulative dose-volume histogram of a region as SlicerRT has it: columns "Dose" [Gy] and "Volume" [%].

    Parameters
    ----------
    histogram
        The histogram.
    doseNode, segmentationNode, segmentID
        What it was made from, for references; None leaves them out.
    node
        Table to fill anew; a new one, named "<region>_DvhTable", if None.
    """
    columns = {"Dose": histogram.dose_gy, "Volume": histogram.cumulative_volume_percent}
    node = tableNode(f"{histogram.region}_DvhTable", columns, {"Dose": "Gy", "Volume": "%"}, node)
    node.SetAttribute(DVH_ATTRIBUTE, "1")
    node.SetAttribute("DoseVolumeHistogram.DoseVolumeOversamplingFactor", "1")
    node.SetAttribute("RadioDosimetry.Region", histogram.region)
    node.SetAttribute("RadioDosimetry.VolumeMl", f"{histogram.volume_ml:.9g}")
    if segmentID is not None:
        node.SetAttribute("DoseVolumeHistogram.SegmentID", segmentID)
    if doseNode is not None:
        node.SetNodeReferenceID("doseVolumeRef", doseNode.GetID())
    if segmentationNode is not None:
        node.SetNodeReferenceID("segmentationRef", segmentationNode.GetID())
    return node


def curveTable(curve: TimeActivityCurve, fit: CurveFit | None = None, node=None):
    """Measured points of a curve: time [h], activity and its standard uncertainty [MBq], fitted value, residual.

    The residual is measured minus fitted, in standard uncertainties where they are known, else in MBq.
    """
    columns: dict[str, Sequence] = {
        "Time (h)": curve.times_h,
        "Activity (MBq)": curve.activity_bq / _BQ_PER_MBQ,
    }
    units = {"Time (h)": "h", "Activity (MBq)": "MBq", "SD (MBq)": "MBq", "Fit (MBq)": "MBq", "Residual (MBq)": "MBq"}
    if curve.std_bq is not None:
        columns["SD (MBq)"] = curve.std_bq / _BQ_PER_MBQ
    if fit is not None:
        fitted = fit.value(curve.times_s)
        columns["Fit (MBq)"] = fitted / _BQ_PER_MBQ
        columns["Residual (MBq)"] = (curve.activity_bq - fitted) / _BQ_PER_MBQ
        if curve.std_bq is not None and curve.std_bq.min() > 0:
            columns["Residual (SD)"] = (curve.activity_bq - fitted) / curve.std_bq
    node = tableNode(f"{curve.region} curve", columns, units, node, curve.record)
    node.SetAttribute("RadioDosimetry.Region", curve.region)
    return node


def fitLineTable(curve: TimeActivityCurve, fit: CurveFit, count: int = 400, node=None):
    """The fitted curve from injection past the last point: time [h], activity, and one standard uncertainty around it.

    The table ends two effective half-lives after the last point, or at 1.3 times its hour where none is known. Times
    without activity (the first of an uptake) are left out, and the band stays above `LOWEST_SHARE` of the fit, so that
    a logarithmic axis can show all of it.
    """
    last = float(curve.times_s[-1])
    beyond = 2.0 * fit.effective_half_life_s if fit.effective_half_life_s else 0.3 * last
    times = np.linspace(0.0, last + min(max(beyond, 0.1 * last), 2.0 * last), count)
    times = times[fit.value(times) > 0]
    value = fit.value(times)
    columns: dict[str, Sequence] = {"Time (h)": times / 3600.0, "Fit (MBq)": value / _BQ_PER_MBQ}
    std = fit.value_std_bq(times)
    if std is not None:
        columns["Lower (MBq)"] = np.maximum(value - std, LOWEST_SHARE * value) / _BQ_PER_MBQ
        columns["Upper (MBq)"] = (value + std) / _BQ_PER_MBQ
    units = {title: "h" if title.startswith("Time") else "MBq" for title in columns}
    node = tableNode(f"{curve.region} fit", columns, units, node)
    node.SetAttribute("RadioDosimetry.Region", curve.region)
    return node


def fitTable(fits: FitSet, name: str = "Time-activity fits", node=None):
    """Fits, a row per region: model, effective half-life [h], residence time [h], time-integrated activity [MBq h]."""
    rows = list(fits.values())
    columns: dict[str, Sequence] = {
        "Region": list(fits),
        "Model": [fit.model for fit in rows],
        "Effective half-life (h)": [_scaled(fit.effective_half_life_s, 1.0 / 3600.0) for fit in rows],
    }
    if fits.administered_bq is not None:
        times = fits.residence_times_s()
        columns["Residence time (h)"] = [times[region][0] / 3600.0 for region in fits]
        columns["Residence time SD (h)"] = [_scaled(times[region][1], 1.0 / 3600.0) for region in fits]
    columns["TIA (MBq h)"] = [fit.tia_bq_s / _MBQ_H for fit in rows]
    columns["TIA SD (MBq h)"] = [_scaled(fit.tia_std_bq_s, 1.0 / _MBQ_H) for fit in rows]
    columns["Quality"] = ["; ".join(fit.quality) for fit in rows]
    columns["Warnings"] = [" ".join(fit.warnings) for fit in rows]
    units = {title: "MBq.h" if "MBq h" in title else "h" for title in columns if title.endswith("h)")}
    return tableNode(name, columns, units, node, fits.record)


def organDoseTable(
    doses: OrganDoseTable, bedGy: Mapping[str, float] | None = None, name: str = "Organ doses", node=None
):
    """Organ doses, a row per target: dose [Gy], BED [Gy], dose per activity [mGy/MBq], its uncertainty, source.

    The first two are there where the administered activity and radiobiology are known.
    """
    columns: dict[str, Sequence] = {"Target": list(doses.targets)}
    if doses.dose_gy is not None:
        columns["Dose (Gy)"] = doses.dose_gy
    if bedGy:
        columns["BED (Gy)"] = [bedGy.get(target) for target in doses.targets]
    columns["Dose per activity (mGy/MBq)"] = doses.dose_gy_per_bq * 1e9
    columns["SD (mGy/MBq)"] = doses.std_gy_per_bq * 1e9
    columns["Largest source"] = list(doses.largest_sources)
    units = {"Dose per activity (mGy/MBq)": "mGy/MBq", "SD (mGy/MBq)": "mGy/MBq", "Dose (Gy)": "Gy", "BED (Gy)": "Gy"}
    return tableNode(name, columns, units, node, doses.record)


def columnsOf(node) -> dict[str, list]:
    """Cells of a table node by column name: text as str, numbers as float."""
    table = node.GetTable()
    found = {}
    for index in range(table.GetNumberOfColumns()):
        column = table.GetColumn(index)
        isText = isinstance(column, vtk.vtkStringArray)
        cells = [column.GetValue(row) for row in range(column.GetNumberOfValues())]
        found[column.GetName()] = cells if isText else [float(cell) for cell in cells]
    return found


def _array(name: str, cells: Sequence):
    isText = any(isinstance(cell, str) for cell in cells)
    array = vtk.vtkStringArray() if isText else vtk.vtkDoubleArray()
    array.SetName(name)
    array.SetNumberOfValues(len(cells))
    for row, cell in enumerate(cells):
        array.SetValue(
            row, ("" if cell is None else str(cell)) if isText else (np.nan if cell is None else float(cell))
        )
    return array


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor
