"""Results as tables and charts: cells, names, units, SlicerRT's conventions, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import STRAIGHT, dose_volume, region  # noqa: E402

from radiodosimetry.errors import InputError  # noqa: E402
from radiodosimetry.organ_dose.residence_times import ResidenceTime  # noqa: E402
from radiodosimetry.time_activity.fit_files import FitSet  # noqa: E402
from radiodosimetry.time_activity.time_activity_curve import TimeActivityCurve  # noqa: E402
from radiodosimetry.voxel_dose.dose_volume import dvh  # noqa: E402
from radiodosimetry.voxel_dose.statistics import region_statistics  # noqa: E402
from radiodosimetry.workflows.fits import fit_curves  # noqa: E402
from radiodosimetry.workflows.organ_dose import compute_organ_doses  # noqa: E402
from RadioDosimetryLib import plots, tables  # noqa: E402
from RadioDosimetryLib.segmentations import segmentationFromRegions, segmentNames  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume, recordOf  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

REGIONS = [region("liver", STRAIGHT, (9, 9, 9), 5), region("lesion", STRAIGHT, (9, 10, 12), 2)]
TIMES_S = np.array([4.0, 24.0, 96.0, 168.0]) * 3600.0


def _curve(name: str, scale: float = 1.0, with_std: bool = True) -> TimeActivityCurve:
    activity = scale * 2e8 * np.exp(-TIMES_S / 2e5) * np.array([1.01, 0.99, 1.02, 0.98])
    return TimeActivityCurve(name, TIMES_S, activity, 0.03 * activity if with_std else None)


@pytest.fixture(scope="module")
def fits() -> FitSet:
    return fit_curves([_curve("kidneys"), _curve("liver", 3.0)], "Lu-177", administered_bq=7.4e9)


def _count(class_name: str) -> int:
    return slicer.mrmlScene.GetNumberOfNodesByClass(class_name)


def test_a_table_has_its_columns_text_as_text_numbers_as_numbers_and_gaps_where_nothing_is_known() -> None:
    node = tables.tableNode("t", {"Name": ["a", None], "Mass (g)": [1.5, None], "Count": [1, 2]}, {"Mass (g)": "g"})
    found = tables.columnsOf(node)
    assert found["Name"] == ["a", ""]
    assert found["Mass (g)"][0] == 1.5
    assert np.isnan(found["Mass (g)"][1])
    assert found["Count"] == [1.0, 2.0]
    assert node.GetColumnUnitLabel("Mass (g)") == "g"
    with pytest.raises(InputError, match="columns of table 't' differ in length"):
        tables.tableNode("t", {"a": [1], "b": [1, 2]})


def test_a_table_that_is_filled_anew_keeps_nothing_of_before() -> None:
    node = tables.tableNode("t", {"a": [1, 2, 3]}, {"a": "g"})
    assert tables.tableNode("other", {"b": [1]}, node=node) is node
    assert tables.columnsOf(node) == {"b": [1.0]}
    assert node.GetName() == "t"


def test_the_dose_table_says_what_the_core_found_and_leaves_out_what_no_region_has() -> None:
    rows = region_statistics(dose_volume(), None, REGIONS)
    node = tables.doseTable(rows, record=dose_volume().record)
    found = tables.columnsOf(node)
    assert found["Structure"] == ["liver", "lesion"]
    assert found["Mean dose (Gy)"] == [row.mean_gy for row in rows]
    assert found["D2% (Gy)"] == [row.d2_gy for row in rows]
    assert found["Volume (cc)"] == [row.volume_ml for row in rows]
    assert not {"Mass (g)", "BED (Gy)", "Mean uncertainty (%)"} & found.keys()
    assert recordOf(node).seed == 3
    dense = region_statistics(dose_volume(), np.ones(STRAIGHT.shape_kji), REGIONS, {"liver": 0.02})
    found = tables.columnsOf(tables.doseTable(dense))
    assert found["Mean uncertainty (%)"][0] == pytest.approx(2.0)
    assert np.isnan(found["Mean uncertainty (%)"][1])


def test_a_histogram_is_a_table_that_slicerrt_reads() -> None:
    dose = nodeFromVolume(dose_volume(), "dose")
    segmentation = segmentationFromRegions(REGIONS, STRAIGHT, "regions")
    identifier = next(iter(segmentNames(segmentation)))
    histogram = dvh(dose_volume(), REGIONS[0])
    node = tables.dvhTable(histogram, dose, segmentation, identifier)
    assert node.GetName() == "liver_DvhTable"
    assert tables.columnsOf(node).keys() == {"Dose", "Volume"}
    assert tables.columnsOf(node)["Volume"] == list(histogram.cumulative_volume_percent)
    assert node.GetAttribute("DoseVolumeHistogram.DVH") == "1"
    assert node.GetAttribute("DoseVolumeHistogram.SegmentID") == identifier
    assert node.GetNodeReference("doseVolumeRef") is dose
    assert node.GetNodeReference("segmentationRef") is segmentation


def test_the_table_of_a_curve_has_hours_megabecquerels_and_residuals(fits: FitSet) -> None:
    curve = _curve("kidneys")
    found = tables.columnsOf(tables.curveTable(curve, fits["kidneys"]))
    assert found["Time (h)"] == pytest.approx([4, 24, 96, 168])
    assert found["Activity (MBq)"] == pytest.approx(curve.activity_bq / 1e6)
    assert found["Residual (MBq)"] == pytest.approx((curve.activity_bq - fits["kidneys"].value(TIMES_S)) / 1e6)
    assert found["Residual (SD)"] == pytest.approx(np.array(found["Residual (MBq)"]) / (0.03 * curve.activity_bq / 1e6))
    assert tables.columnsOf(tables.curveTable(_curve("x", with_std=False))).keys() == {"Time (h)", "Activity (MBq)"}


def test_the_fitted_line_runs_from_injection_past_the_last_scan_with_its_band(fits: FitSet) -> None:
    found = tables.columnsOf(tables.fitLineTable(_curve("kidneys"), fits["kidneys"]))
    times = np.array(found["Time (h)"])
    assert times[0] == 0.0
    assert times[-1] > 168.0
    assert found["Fit (MBq)"] == pytest.approx(fits["kidneys"].value(times * 3600.0) / 1e6)
    assert np.all(np.array(found["Lower (MBq)"]) < found["Fit (MBq)"])
    assert np.all(np.array(found["Upper (MBq)"]) > found["Fit (MBq)"])


def test_the_fit_table_has_integrals_and_residence_times_in_hours(fits: FitSet) -> None:
    node = tables.fitTable(fits)
    found = tables.columnsOf(node)
    assert found["Region"] == ["kidneys", "liver"]
    assert found["TIA (MBq h)"] == pytest.approx([fit.tia_bq_s / 3.6e9 for fit in fits.values()])
    assert found["Residence time (h)"] == pytest.approx([fit.tia_bq_s / 7.4e9 / 3600.0 for fit in fits.values()])
    assert node.GetColumnUnitLabel("Residence time (h)") == "h"
    without = tables.columnsOf(tables.fitTable(FitSet("Lu-177", dict(fits))))
    assert "Residence time (h)" not in without


def test_the_organ_dose_table_has_every_target_per_activity_and_in_gray() -> None:
    result = compute_organ_doses({"kidneys": ResidenceTime(3600.0, 100.0)}, "Lu-177", "adult-male", administered_bq=1e9)
    found = tables.columnsOf(tables.organDoseTable(result.doses))
    assert found["Target"] == list(result.doses.targets)
    assert found["Dose per activity (mGy/MBq)"] == pytest.approx(result.doses.dose_gy_per_bq * 1e9)
    assert found["Dose (Gy)"] == pytest.approx(result.doses.dose_gy_per_bq * 1e9)
    assert set(found["Largest source"]) == {"kidneys"}
    assert "BED (Gy)" not in found
    with_bed = tables.columnsOf(tables.organDoseTable(result.doses, {"kidneys": 1.25}))
    assert with_bed["BED (Gy)"][found["Target"].index("kidneys")] == 1.25


def test_a_dvh_chart_has_a_named_line_per_region_from_zero_to_all_of_the_volume() -> None:
    made = [tables.dvhTable(dvh(dose_volume(), entry)) for entry in REGIONS]
    chart = plots.dvhChart(made)
    assert chart.GetNumberOfPlotSeriesNodes() == 2
    assert chart.GetNthPlotSeriesNode(0).GetName() == "liver"
    assert chart.GetNthPlotSeriesNode(0).GetTableNode() is made[0]
    assert chart.GetXAxisTitle() == "Absorbed dose (Gy)"
    assert tuple(chart.GetYAxisRange()) == (0.0, 105.0)
    assert plots.dvhChart(made[0]).GetNumberOfPlotSeriesNodes() == 1


def test_every_series_names_columns_that_its_table_has(fits: FitSet) -> None:
    points = [tables.curveTable(_curve(name), fits[name]) for name in fits]
    lines = [tables.fitLineTable(_curve(name), fits[name]) for name in fits]
    for chart in (plots.curveChart(points, lines), plots.residualChart(points), plots.dvhChart([])):
        for index in range(chart.GetNumberOfPlotSeriesNodes()):
            series = chart.GetNthPlotSeriesNode(index)
            assert {series.GetXColumnName(), series.GetYColumnName()} <= tables.columnsOf(series.GetTableNode()).keys()


def test_error_bars_reach_one_standard_uncertainty_up_and_down_with_gaps_between() -> None:
    curve = _curve("kidneys")
    chart = plots.curveChart([tables.curveTable(curve)])
    bars = chart.GetNthPlotSeriesNode(0)
    heights = np.array(tables.columnsOf(bars.GetTableNode())["Activity (MBq)"]).reshape(-1, 3)
    assert heights[:, 0] == pytest.approx(0.97 * curve.activity_bq / 1e6)
    assert heights[:, 1] == pytest.approx(1.03 * curve.activity_bq / 1e6)
    assert np.isnan(heights[:, 2]).all()


def test_curve_points_fit_and_band_of_a_region_share_a_colour_and_regions_differ(fits: FitSet) -> None:
    points = [tables.curveTable(_curve(name), fits[name]) for name in fits]
    lines = [tables.fitLineTable(_curve(name), fits[name]) for name in fits]
    chart = plots.curveChart(points, lines)
    series = [chart.GetNthPlotSeriesNode(index) for index in range(chart.GetNumberOfPlotSeriesNodes())]
    colour = {node.GetName(): node.GetColor() for node in series}
    assert colour["kidneys"] == colour["kidneys fit"] == colour["kidneys ± 1 SD"]
    assert colour["kidneys"] != colour["liver"]
    assert len(series) == 2 * (1 + 1 + 2 + 1)


def test_a_chart_that_is_filled_anew_leaves_no_series_and_no_helper_table_behind(fits: FitSet) -> None:
    points, lines = [tables.curveTable(_curve("kidneys"))], [tables.fitLineTable(_curve("kidneys"), fits["kidneys"])]
    chart = plots.curveChart(points, lines)
    before = _count("vtkMRMLPlotSeriesNode"), _count("vtkMRMLTableNode"), chart.GetNumberOfPlotSeriesNodes()
    assert plots.curveChart(points, lines, node=chart) is chart
    assert (_count("vtkMRMLPlotSeriesNode"), _count("vtkMRMLTableNode"), chart.GetNumberOfPlotSeriesNodes()) == before


def test_residuals_are_in_standard_uncertainties_only_where_all_are_known(fits: FitSet) -> None:
    known = tables.curveTable(_curve("kidneys"), fits["kidneys"])
    unknown = tables.curveTable(_curve("liver", 3.0, with_std=False), fits["liver"])
    assert plots.residualChart([known]).GetYAxisTitle() == "Measured − fitted (SD)"
    assert plots.residualChart([known, unknown]).GetYAxisTitle() == "Measured − fitted (MBq)"


def test_all_that_a_curve_chart_draws_has_a_place_on_a_logarithmic_axis() -> None:
    rising = np.array([20.0, 80.0, 60.0, 20.0]) * 1e6
    curve = TimeActivityCurve("tumour", TIMES_S, rising, 1.5 * rising)
    fit = fit_curves([curve], "Lu-177", model="uptake-clearance")["tumour"]
    assert fit.value(np.array([0.0]))[0] == pytest.approx(0.0, abs=1.0)
    chart = plots.curveChart([tables.curveTable(curve, fit)], [tables.fitLineTable(curve, fit)], logScale=True)
    assert chart.GetYAxisLogScale()
    for index in range(chart.GetNumberOfPlotSeriesNodes()):
        series = chart.GetNthPlotSeriesNode(index)
        drawn = np.array(tables.columnsOf(series.GetTableNode())[series.GetYColumnName()])
        assert np.nanmin(drawn) > 0, series.GetName()


def test_residuals_are_drawn_about_zero(fits: FitSet) -> None:
    table = tables.curveTable(_curve("kidneys"), fits["kidneys"])
    low, high = plots.residualChart([table]).GetYAxisRange()
    assert low == -high
    assert high > np.abs(tables.columnsOf(table)["Residual (SD)"]).max()
