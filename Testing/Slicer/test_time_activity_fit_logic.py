"""TimeActivityFit from the console: nodes in, nodes out, the numbers of the core, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

from radiodosimetry.errors import (
    CancelledError,
    InputError,
    RadioDosimetryError,
    RegionError,
)
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.organ_dose import ResidenceTime
from radiodosimetry.time_activity import CurveOptions, RegionScan, curves_from_volumes
from radiodosimetry.time_activity.voxelwise import TiaOptions, tia_map
from radiodosimetry.units import Quantity
from radiodosimetry.workflows.fits import fit_curves
from radiodosimetry.workflows.organ_dose import compute_organ_doses

VOXEL_MM = 16.0
"""Coarse enough for everything in a fraction of a second."""

GIVEN_MBQ = 7400.0


class Stops:
    """A user who cancels at once."""

    def report(self, fraction: float, message: str) -> None:
        """Nobody looks."""

    def cancelled(self) -> bool:
        """Whether to stop: yes."""
        return True


@pytest.fixture
def torso(scene: Any) -> SimpleNamespace:
    """CT, four noisy scans, their hours and the segmentation of the virtual torso."""
    import TimeActivityFit

    ct, scans, hours, segmentation = TimeActivityFit.loadSampleScans(VOXEL_MM, noisePercent=3.0)
    rows = list(zip(scans, hours, strict=True))
    return SimpleNamespace(ct=ct, scans=scans, hours=hours, segmentation=segmentation, rows=rows)


@pytest.fixture
def logic(application: Any) -> Any:
    import TimeActivityFit

    return TimeActivityFit.TimeActivityFitLogic()


def _core_scans(torso: SimpleNamespace) -> list[RegionScan]:
    """The scans with their regions as the core's values."""
    from RadioDosimetryLib.segmentations import regionsFromSegmentation
    from RadioDosimetryLib.volumes import volumeFromNode

    volumes = [volumeFromNode(scan) for scan in torso.scans]
    regions = tuple(regionsFromSegmentation(torso.segmentation, volumes[0].geometry))
    return [RegionScan(3600.0 * hours, volume, regions) for hours, volume in zip(torso.hours, volumes, strict=True)]


def _core_curves(torso: SimpleNamespace, **options: Any) -> list[Any]:
    rate = Radionuclide("Lu-177").decay_constant_per_s
    return curves_from_volumes(
        _core_scans(torso), CurveOptions(decay_constant_per_s=rate, administered_bq=GIVEN_MBQ * 1e6, **options)
    )


def _columns(node: Any) -> dict[str, list[Any]]:
    from RadioDosimetryLib.tables import columnsOf

    return columnsOf(node)


def _fits(logic: Any, torso: SimpleNamespace, **options: Any) -> Any:
    curves = logic.measureCurves(torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ, **options)
    return logic.fitCurves(curves, model="mono")


def _node_count() -> int:
    import slicer

    return int(slicer.mrmlScene.GetNumberOfNodes())


def test_curves_are_those_of_the_core_with_remainder_and_uncertainty(torso: SimpleNamespace, logic: Any) -> None:
    node = logic.measureCurves(
        torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ, remainder=True, wholeBody=True,
        calibrationUncertaintyPercent=5.0,
    )  # fmt: skip
    expected = _core_curves(torso, remainder=True, whole_body=True, calibration_relative_std=0.05)
    columns = _columns(node)
    assert columns["Region"] == [curve.region for curve in expected for _ in torso.hours]
    assert columns["Activity (MBq)"] == [value / 1e6 for curve in expected for value in curve.activity_bq]
    assert columns["SD (MBq)"] == [value / 1e6 for curve in expected for value in curve.std_bq]
    np.testing.assert_allclose(columns["Time (h)"][:4], torso.hours, rtol=1e-15)
    assert node.GetColumnUnitLabel("Activity (MBq)") == "MBq"


def test_fits_and_residence_times_are_those_of_the_core(torso: SimpleNamespace, logic: Any) -> None:
    node = _fits(logic, torso)
    expected = fit_curves(_core_curves(torso), "Lu-177", "mono", administered_bq=GIVEN_MBQ * 1e6)
    columns = _columns(node)
    np.testing.assert_allclose(columns["TIA (MBq h)"], [fit.tia_bq_s / 3.6e9 for fit in expected.values()], rtol=1e-14)
    times = _columns(logic.residenceTimes(node))
    assert times["region"] == list(expected)
    np.testing.assert_allclose(
        times["residence_time_h"], [value / 3600 for value, _ in expected.residence_times_s().values()], rtol=1e-12
    )


def test_each_region_may_have_its_own_model(torso: SimpleNamespace, logic: Any) -> None:
    curves = logic.measureCurves(torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ)
    columns = _columns(logic.fitCurves(curves, model="mono", models={"liver": "trapezoid", "spleen": "bi"}))
    models = dict(zip(columns["Region"], columns["Model"], strict=True))
    assert (models.pop("liver"), models.pop("spleen")) == ("trapezoid", "bi")
    assert set(models.values()) == {"mono"}
    assert columns["Region"] == [curve.region for curve in _core_curves(torso)]
    with pytest.raises(InputError, match="A model is given for heart, found curves of left_lung"):
        logic.fitCurves(curves, models={"heart": "mono"})


def test_recovery_coefficients_come_from_a_table(torso: SimpleNamespace, logic: Any, tmp_path: Path) -> None:
    path = tmp_path / "recovery.csv"
    path.write_text("volume_ml,recovery\n1,0.3\n10,0.6\n100,0.85\n1000,0.97\n", encoding="utf-8")
    node = logic.measureCurves(torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ, recoveryFile=path)
    from radiodosimetry.time_activity.recovery import read_recovery

    expected = _core_curves(torso, recovery=read_recovery(path))
    np.testing.assert_allclose(
        _columns(node)["Activity (MBq)"], [value / 1e6 for curve in expected for value in curve.activity_bq], rtol=1e-15
    )


def test_organ_doses_are_the_mird_sum_with_left_and_right_kidney_as_one(torso: SimpleNamespace, logic: Any) -> None:
    fits = _fits(logic, torso)
    node = logic.organDoses(fits, "adult-female")
    expected = fit_curves(_core_curves(torso), "Lu-177", "mono", administered_bq=GIVEN_MBQ * 1e6).residence_times_s()
    organs = {
        "lungs": ("left_lung", "right_lung"), "kidneys": ("left_kidney", "right_kidney"), "liver": ("liver",),
        "spleen": ("spleen",), "red_marrow": ("marrow",),
    }  # fmt: skip
    times = {
        organ: ResidenceTime(
            sum(expected[region][0] for region in regions),
            math.sqrt(sum((expected[region][1] or 0.0) ** 2 for region in regions)),
        )
        for organ, regions in organs.items()
    }
    doses = compute_organ_doses(times, "Lu-177", "adult-female", administered_bq=GIVEN_MBQ * 1e6).doses
    columns = _columns(node)
    assert columns["Target"] == list(doses.targets)
    np.testing.assert_allclose(columns["Dose (Gy)"], doses.dose_gy, rtol=1e-12)
    np.testing.assert_allclose(columns["SD (mGy/MBq)"], doses.std_gy_per_bq * 1e9, rtol=1e-9)


def test_what_all_points_share_is_common_to_both_kidneys(torso: SimpleNamespace, logic: Any) -> None:
    """A wrong calibration is wrong for both kidneys: its part adds up, it does not average out."""
    from RadioDosimetryLib.timeActivityDoses import regionsOfOrgans, residenceTimesOfOrgans
    from RadioDosimetryLib.timeActivityKept import fitsFromTable

    fits = fitsFromTable(_fits(logic, torso, calibrationUncertaintyPercent=10.0))
    organs = {"left_kidney": "kidneys", "right_kidney": "kidneys"}
    regions, warnings = regionsOfOrgans(fits, organs)
    times, _doubts = residenceTimesOfOrgans(fits, regions)
    assert times["kidneys"].std_s / times["kidneys"].value_s >= 0.1
    assert any("liver has no organ of the S-values" in warning for warning in warnings)


def test_a_lesion_is_a_sphere_of_its_own(torso: SimpleNamespace, logic: Any) -> None:
    fits = _fits(logic, torso)
    organs = {"liver": "liver", "tumour1": "lesion"}
    columns = _columns(logic.organDoses(fits, organs=organs, lesionMassesG={"tumour1": 21.0}))
    doses = dict(zip(columns["Target"], columns["Dose (Gy)"], strict=True))
    assert doses["tumour1"] > doses["liver"] > doses["spleen"] > 0
    with pytest.raises(InputError, match="The mass of the lesion tumour1 is not known"):
        logic.organDoses(fits, organs=organs)


def test_organ_doses_of_the_patient_use_the_patients_ct(torso: SimpleNamespace, logic: Any) -> None:
    from radiodosimetry.organ_dose import patient_s_values
    from radiodosimetry.organ_dose.patient import grid_with_spacing
    from RadioDosimetryLib.segmentations import regionsFromSegmentation, segmentNames
    from RadioDosimetryLib.volumes import volumeFromNode

    wanted = [one for one, name in segmentNames(torso.segmentation).items() if name in ("liver", "spleen")]
    fits = _fits(logic, torso, segmentIDs=wanted)
    node = logic.organDoses(
        fits, "patient", ctNode=torso.ct, segmentationNode=torso.segmentation, spacingMm=16.0, histories=2000
    )
    ct = volumeFromNode(torso.ct)
    grid = grid_with_spacing(ct.geometry, 16.0)
    regions = regionsFromSegmentation(torso.segmentation, grid, wanted)
    table = patient_s_values(ct, regions, "Lu-177", 2000, 1, geometry=grid, sources=["liver", "spleen"])
    kept = [curve for curve in _core_curves(torso) if curve.region in ("liver", "spleen")]
    seconds = fit_curves(kept, "Lu-177", "mono", administered_bq=GIVEN_MBQ * 1e6).residence_times_s()
    times = {region: ResidenceTime(value, std or 0.0) for region, (value, std) in seconds.items()}
    expected = compute_organ_doses(times, "Lu-177", None, administered_bq=GIVEN_MBQ * 1e6, s_values=table).doses
    assert _columns(node)["Target"] == ["liver", "spleen"]
    np.testing.assert_allclose(_columns(node)["Dose (Gy)"], expected.dose_gy, rtol=1e-9)


@pytest.mark.parametrize("method", ["mono", "trapezoid"])
def test_the_map_is_the_cores_and_says_its_unit(torso: SimpleNamespace, logic: Any, method: str) -> None:
    import slicer

    from RadioDosimetryLib.quantities import quantityOf

    node = logic.timeIntegratedActivity(torso.rows, method=method)
    rate = Radionuclide("Lu-177").decay_constant_per_s
    expected = tia_map(_core_scans(torso), rate, method, TiaOptions())
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(node), expected.tia.array_kji)
    assert quantityOf(node) is Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
    assert node.GetVoxelValueUnits().GetCodeValue() == "Bq.s/ml"


def test_the_shape_of_the_organs_curves_keeps_their_integrals(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.segmentations import regionsFromSegmentation
    from RadioDosimetryLib.volumes import volumeFromNode

    fits = _fits(logic, torso)
    made = volumeFromNode(
        logic.timeIntegratedActivity(
            torso.rows, method="organ-shape", segmentationNode=torso.segmentation, fitsTableNode=fits
        )
    )
    liver = next(one for one in regionsFromSegmentation(torso.segmentation, made.geometry) if one.name == "liver")
    columns = _columns(fits)
    tia = columns["TIA (MBq h)"][columns["Region"].index("liver")]
    in_liver = made.array_kji[liver.mask_kji].sum(dtype=np.float64) * made.geometry.voxel_volume_ml / 3.6e9
    assert in_liver == pytest.approx(tia, rel=1e-5)


def test_voxel_dose_takes_the_map_as_it_is(torso: SimpleNamespace, logic: Any) -> None:
    import slicer

    import VoxelDose

    tia = logic.timeIntegratedActivity(torso.rows)
    nodes = VoxelDose.VoxelDoseLogic().computeDose(torso.ct, tia, "Lu-177", "local")
    assert slicer.util.arrayFromVolume(nodes.dose).max() > 0


def test_curves_and_fits_survive_a_scene_file(torso: SimpleNamespace, logic: Any, tmp_path: Path) -> None:
    import slicer

    from RadioDosimetryLib.timeActivityKept import curvesFromTable, fitsFromTable

    curves = logic.measureCurves(
        torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ, calibrationUncertaintyPercent=5.0
    )
    fits = logic.fitCurves(curves, model="mono")
    with pytest.raises(InputError, match="is an input and is not overwritten"):
        logic.organDoses(fits, tableNode=fits)
    before = _columns(logic.organDoses(fits))
    measured = curvesFromTable(curves)[0]
    for node in torso.scans:
        slicer.mrmlScene.RemoveNode(node)
    path = tmp_path / "case.mrb"
    assert slicer.util.saveScene(str(path))
    names = curves.GetName(), fits.GetName()
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    again, fitted = (slicer.mrmlScene.GetFirstNodeByName(name) for name in names)
    for one, other in zip(curvesFromTable(again)[0], measured, strict=True):
        np.testing.assert_array_equal(one.activity_bq, other.activity_bq)
        np.testing.assert_array_equal(one.std_bq, other.std_bq)
    assert fitsFromTable(fitted)["liver"].common_relative_std == pytest.approx(0.05)
    assert _columns(logic.organDoses(fitted)) == before


def test_charts_are_filled_anew_and_leave_nothing_behind(torso: SimpleNamespace, logic: Any) -> None:
    curves = logic.measureCurves(torso.rows, torso.segmentation, administeredActivityMBq=GIVEN_MBQ)
    fits = logic.fitCurves(curves, model="mono")
    chart, residuals = logic.charts(curves, fits, "liver")
    count = _node_count()
    again = logic.charts(curves, fits, "spleen", chart, residuals, logScale=True)
    assert again == (chart, residuals)
    assert _node_count() == count
    assert "spleen" in chart.GetTitle()
    assert chart.GetYAxisLogScale()
    points = chart.GetNthPlotSeriesNode(chart.GetNumberOfPlotSeriesNodes() - 1).GetTableNode()
    assert len(_columns(points)["Time (h)"]) == len(torso.hours)
    with pytest.raises(InputError, match="There is no fit of region 'heart'"):
        logic.charts(curves, fits, "heart")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"rows": "reversed"}, InputError, "out of order"),
        ({"rows": "no hours"}, InputError, "has no time; give the hours"),
        ({"rows": "negative"}, InputError, "before the administration"),
        ({"rows": "empty"}, InputError, "There is no scan"),
        ({"segmentation": "empty"}, RegionError, "segment"),
        ({"nuclide": "Xx-1"}, InputError, "Xx-1"),
        ({"progress": Stops()}, CancelledError, "Cancelled"),
        ({"administeredActivityMBq": -1.0}, InputError, "administered activity"),
    ],
)
def test_what_cannot_be_measured_is_refused_and_changes_nothing(
    torso: SimpleNamespace, logic: Any, change: dict[str, Any], error: type[RadioDosimetryError], words: str
) -> None:
    import slicer

    rows = {
        "reversed": list(zip(torso.scans, torso.hours[::-1], strict=True)),
        "no hours": [(scan, None) for scan in torso.scans],
        "negative": [(torso.scans[0], -1.0)],
        "empty": [],
    }.get(change.get("rows", ""), torso.rows)
    segmentation = torso.segmentation
    if change.get("segmentation") == "empty":
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "empty")
    options = {name: value for name, value in change.items() if name not in ("rows", "segmentation")}
    count = _node_count()
    with pytest.raises(error, match=words):
        logic.measureCurves(rows, segmentation, **options)
    assert _node_count() == count


def test_a_table_without_our_curves_is_refused(scene: Any, logic: Any) -> None:
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "other")
    with pytest.raises(InputError, match="'other' holds no time-activity curves of RadioDosimetry; measure"):
        logic.fitCurves(table)
    with pytest.raises(InputError, match="There is no table of fits; fit the curves first"):
        logic.organDoses(None)


def test_an_input_is_never_overwritten(torso: SimpleNamespace, logic: Any) -> None:
    import slicer

    with pytest.raises(InputError, match="is an input and is not overwritten"):
        logic.timeIntegratedActivity(torso.rows, volumeNode=torso.scans[0])
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Both")
    with pytest.raises(InputError, match="'Both' is chosen for the map and for its uncertainty"):
        logic.timeIntegratedActivity(torso.rows, volumeNode=output, uncertaintyNode=output)


def test_every_choice_of_the_panel_is_one_of_the_core(application: Any) -> None:
    import TimeActivityFit
    from radiodosimetry.organ_dose import PHANTOM_NAMES
    from radiodosimetry.time_activity import FIT_MODELS
    from radiodosimetry.time_activity.trapezoid import TAILS
    from radiodosimetry.time_activity.voxelwise import TIA_METHODS
    from RadioDosimetryLib import timeActivityChoices as choices

    assert {choice.value for choice in choices.FitModel} == set(FIT_MODELS)
    assert {choice.value for choice in choices.TrapezoidTail} == {"", *TAILS}
    assert {choice.value for choice in choices.TiaMethod} == set(TIA_METHODS)
    assert {choice.value for choice in choices.SValueSource} == {"patient", "file", *PHANTOM_NAMES}
    assert [Radionuclide(name).name for name in TimeActivityFit.NUCLIDES] == list(TimeActivityFit.NUCLIDES)


def test_fits_of_a_table_know_their_band(torso: SimpleNamespace, logic: Any) -> None:
    """Covariance and model come back from the node alone: the uncertainty of the activity at any time is the core's."""
    from RadioDosimetryLib.timeActivityKept import fitsFromTable

    curves = logic.measureCurves(torso.rows, torso.segmentation, calibrationUncertaintyPercent=5.0)
    models = {"liver": "gamma-uptake", "spleen": "trapezoid"}
    found = fitsFromTable(logic.fitCurves(curves, model="mono", models=models))
    measured = {curve.region: curve for curve in _core_curves(torso, calibration_relative_std=0.05)}
    times = np.linspace(0.0, 1e6, 50)
    for region, model in (("left_lung", "mono"), ("liver", "gamma-uptake"), ("spleen", "trapezoid")):
        expected = fit_curves([measured[region]], "Lu-177", model)[region]
        std, known = found[region].value_std_bq(times), expected.value_std_bq(times)
        assert (std is None) == (known is None) == (region == "spleen")
        if known is not None:
            np.testing.assert_allclose(std, known, rtol=1e-6)
        assert found[region].own_std_known == expected.own_std_known


def test_damaged_fits_are_refused(torso: SimpleNamespace, logic: Any) -> None:
    import json

    from RadioDosimetryLib.timeActivityKept import FITS_ATTRIBUTE, fitsFromTable

    node = _fits(logic, torso)
    values = json.loads(node.GetAttribute(FITS_ATTRIBUTE))
    values["regions"]["liver"]["covariance_si"] = [[1.0]]
    node.SetAttribute(FITS_ATTRIBUTE, json.dumps(values))
    with pytest.raises(InputError, match="are damaged; fit the curves anew"):
        fitsFromTable(node)


def test_bed_from_the_console(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.timeActivityRadiobiology import BedOptions, Tissue
    from RadioDosimetryLib.volumes import recordOf

    fits = _fits(logic, torso)
    node = logic.organDoses(fits, bed=BedOptions(organs=Tissue(2.0, 3.0)))
    columns, of_fits = _columns(node), _columns(fits)
    row = columns["Target"].index("kidneys")
    tia, half_lives = of_fits["TIA (MBq h)"], of_fits["Effective half-life (h)"]
    rows = [of_fits["Region"].index(name) for name in ("left_kidney", "right_kidney")]
    mean = sum(tia[one] * half_lives[one] for one in rows) / sum(tia[one] for one in rows)
    dose = columns["Dose (Gy)"][row]
    assert columns["BED (Gy)"][row] == pytest.approx(dose * (1 + dose * 3.0 / ((3.0 + mean) * 2.0)), rel=1e-9)
    tissue = recordOf(node).parameters["radiobiology"]["kidneys"]
    assert tissue["effective_half_life_h"] == pytest.approx(mean, rel=1e-9)
    with pytest.raises(InputError, match="alpha_beta_gy must be a positive number"):
        logic.organDoses(fits, bed=BedOptions(organs=Tissue(0.0, 3.0)))
