"""A result comes into the scene as a whole or not at all, also where the user chose what it goes into."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer
from scene_state import failing_steps, state

from radiodosimetry.errors import InputError

VOXEL_MM = 16.0
"""Coarse enough for a dose in a fraction of a second."""


@pytest.fixture
def torso(scene: Any) -> tuple[Any, Any, Any]:
    """CT, activity and segmentation of the virtual torso, in a study of the subject hierarchy."""
    from RadioDosimetryLib.hierarchy import itemOf, subjectHierarchy
    from RadioDosimetryLib.voxelDoseSample import sampleTorso

    nodes = sampleTorso(VOXEL_MM)
    hierarchy = subjectHierarchy()
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    for node in nodes:
        hierarchy.SetItemParent(itemOf(node), study)
    return nodes


@pytest.fixture
def scans(scene: Any) -> tuple[Any, list[Any], list[float], Any]:
    """CT, four scans, their hours and the segmentation of the virtual torso."""
    from RadioDosimetryLib.timeActivitySample import sampleScans

    return sampleScans(VOXEL_MM)


def _new(className: str, name: str) -> Any:
    return slicer.mrmlScene.AddNewNodeByClass(className, name)


def _dose(torso: tuple[Any, Any, Any], method: str, **outputs: Any) -> Any:
    import VoxelDose

    ct, activity, segmentation = torso
    ids = [segmentation.GetSegmentation().GetNthSegmentID(number) for number in (2, 3)]
    return VoxelDose.VoxelDoseLogic().computeDose(
        ct, activity, "Lu-177", method, segmentation, ids, histories=2000, **outputs
    )


def _dose_steps() -> list[tuple[Any, str]]:
    from RadioDosimetryLib import voxelDoseOutputs

    names = ("nodeFromVolume", "doseTable", "dvhTable", "dvhChart", "placeUnderStudyOf", "placeInFolder")
    return [(voxelDoseOutputs, name) for name in names]


@pytest.mark.parametrize("chosen", ["nothing", "new nodes", "another result"])
def test_a_dose_that_cannot_be_stored_leaves_everything_as_it_was(
    torso: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    outputs: dict[str, Any] = {}
    if chosen == "new nodes":
        volumes = {name: _new("vtkMRMLScalarVolumeNode", name) for name in ("doseNode", "uncertaintyNode")}
        outputs = {**volumes, "tableNode": _new("vtkMRMLTableNode", "tableNode")}
    if chosen == "another result":
        earlier = _dose(torso, "monte-carlo", seed=3)
        outputs = {"doseNode": earlier.dose, "uncertaintyNode": earlier.uncertainty, "tableNode": earlier.table}
        transform = _new("vtkMRMLLinearTransformNode", "Moved")
        earlier.dose.SetAndObserveTransformNodeID(transform.GetID())
    before = state()
    for step in failing_steps(monkeypatch, _dose_steps(), lambda: _dose(torso, "monte-carlo", **outputs), 20):
        assert state() == before, f"step {step}"
    made = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotChartNode")
    assert made == 1  # the last one was stored, and the histograms of an earlier result went then


def test_the_histograms_of_an_earlier_dose_go_once_the_new_ones_are_there(torso: tuple[Any, Any, Any]) -> None:
    import VoxelDose

    first = _dose(torso, "local")
    count = slicer.mrmlScene.GetNumberOfNodes()
    again = _dose(torso, "single-vsv", doseNode=first.dose, tableNode=first.table)
    assert again.dose is first.dose
    assert slicer.mrmlScene.GetNumberOfNodes() == count
    assert again.chart is first.chart  # a plot view that shows it goes on to
    assert again.chart.GetNthPlotSeriesNode(0).GetTableNode() is again.histograms[0]
    assert not any(slicer.mrmlScene.IsNodePresent(table) for table in first.histograms)
    roles = again.dose.GetNumberOfNodeReferences("RadioDosimetry.dvhTableRef")
    assert roles == len(again.histograms) == 2
    folders = [name for _parent, name, node in state()["hierarchy"] if not node and "histogram" in name]
    assert len(folders) == 1
    bare = VoxelDose.VoxelDoseLogic().computeDose(*torso[:2], method="local", doseNode=first.dose)
    assert bare.chart is None
    assert not slicer.mrmlScene.IsNodePresent(first.chart)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == 0


def test_a_difference_that_cannot_be_stored_leaves_the_chosen_volume_as_it_was(
    torso: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import VoxelDose
    from RadioDosimetryLib import voxelDoseOutputs

    logic = VoxelDose.VoxelDoseLogic()
    doses = [_dose(torso, method).dose for method in ("local", "single-vsv")]
    output = logic.computeDifference(*doses)
    before = state()
    steps = [(voxelDoseOutputs, "nodeFromVolume"), (voxelDoseOutputs, "placeUnderStudyOf")]
    for step in failing_steps(monkeypatch, steps, lambda: logic.computeDifference(*reversed(doses), output), 4):
        assert state() == before, f"step {step}"


def _fits(scans: Any, into: dict[str, Any] | None = None, hours: float = 0.0) -> dict[str, Any]:
    """Curves, fits and residence times of two segments, as the panel makes them."""
    from RadioDosimetryLib.timeActivityScans import ScanNode
    from RadioDosimetryLib.timeActivitySeries import Series
    from RadioDosimetryLib.timeActivityTasks import measurementTask
    from RadioDosimetryLib.timeActivityWork import FitOptions, MeasurementOptions

    _ct, nodes, times, segmentation = scans
    series = Series(tuple(ScanNode(node, at + hours) for node, at in zip(nodes, times, strict=True)))
    ids = [segmentation.GetSegmentation().GetNthSegmentID(number) for number in (2, 3)]
    options = MeasurementOptions("Lu-177", 7400.0)
    return dict(measurementTask(series, segmentation, options, ids, FitOptions("mono"), into).run())


def test_fits_that_cannot_be_stored_leave_the_tables_of_before(scans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from RadioDosimetryLib import timeActivityKept, timeActivityResults, timeActivityTasks

    made = _fits(scans)
    before = state()
    steps = [
        (timeActivityKept, "tableNode"), (timeActivityKept, "fitTable"), (timeActivityResults, "tableNode"),
        (timeActivityTasks, "_placeBeside"),
    ]  # fmt: skip
    for step in failing_steps(monkeypatch, steps, lambda: _fits(scans, made, hours=1.0), 8):
        assert state() == before, f"step {step}"
    assert state() != before


def test_charts_that_cannot_be_drawn_stay_as_they_were(scans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import TimeActivityFit
    from RadioDosimetryLib import plots, timeActivityResults

    logic, made = TimeActivityFit.TimeActivityFitLogic(), _fits(scans)
    one, other = list(made["fitsMade"])
    charts = logic.charts(made["curves"], made["fits"], one)
    before = state()
    steps = [
        (timeActivityResults, "curveTable"), (timeActivityResults, "fitLineTable"), (plots, "_series"),
        (timeActivityResults, "curveChart"), (timeActivityResults, "residualChart"),
    ]  # fmt: skip

    def draw() -> Any:
        return logic.charts(made["curves"], made["fits"], other, *charts)

    for step in failing_steps(monkeypatch, steps, draw, 12):
        assert state() == before, f"step {step}"
    assert charts[0].GetTitle().startswith(other)
    assert len(state()) == len(before)


def test_maps_that_cannot_be_stored_leave_the_chosen_volumes(scans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import TimeActivityFit
    from RadioDosimetryLib import timeActivityTasks, volumes

    logic, rows = TimeActivityFit.TimeActivityFitLogic(), list(zip(scans[1], scans[2], strict=True))
    uncertainty = _new("vtkMRMLScalarVolumeNode", "Uncertainty")
    tia = logic.timeIntegratedActivity(rows, method="mono", uncertaintyNode=uncertainty)
    before = state()
    steps = [(volumes, "nodeFromVolume"), (timeActivityTasks, "_placeBeside")]

    def integrate() -> Any:
        return logic.timeIntegratedActivity(rows, method="trapezoid", volumeNode=tia, uncertaintyNode=uncertainty)

    for step in failing_steps(monkeypatch, steps, integrate, 6):
        assert state() == before, f"step {step}"


def test_organ_doses_that_cannot_be_stored_leave_the_table_of_before(
    scans: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import TimeActivityFit
    from RadioDosimetryLib import tables, timeActivityResults, timeActivityTasks

    logic, fits = TimeActivityFit.TimeActivityFitLogic(), _fits(scans)["fits"]
    table = logic.organDoses(fits)
    before = state()
    steps = [
        (tables, "tableNode"), (timeActivityResults, "effectiveDoseWords"), (timeActivityTasks, "_placeBeside"),
    ]  # fmt: skip
    for step in failing_steps(monkeypatch, steps, lambda: logic.organDoses(fits, "adult-female", tableNode=table), 6):
        assert state() == before, f"step {step}"


@pytest.mark.parametrize("oneSequence", [False, True])
def test_synthetic_scans_that_cannot_be_stored_leave_the_ones_of_before(
    scene: Any, monkeypatch: pytest.MonkeyPatch, oneSequence: bool
) -> None:
    import DelayedPETSynthesis
    from RadioDosimetryLib import delayedPetNodes, sequences
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel
    from RadioDosimetryLib.delayedPetSample import DecayOnly, sampleEarlyScan

    model, early, logic = DecayOnly(), sampleEarlyScan(), DelayedPETSynthesis.DelayedPETSynthesisLogic()
    registerModel(model)
    try:
        made = logic.synthesise(model.card.name, early, "Cu-64", 1.0, [24.0], oneSequence=oneSequence)
        sequence = made[0] if oneSequence else None
        before = state()
        steps = [
            (sequences, "nodeFromVolume"), (delayedPetNodes, "nodeFromVolume"), (delayedPetNodes, "_mark"),
        ]  # fmt: skip

        def synthesise() -> Any:
            return logic.synthesise(
                model.card.name, early, "Cu-64", 1.0, [30.0, 48.0], oneSequence=oneSequence, sequenceNode=sequence
            )

        for step in failing_steps(monkeypatch, steps, synthesise, 7):
            assert state() == before, f"step {step}"
    finally:
        unregisterModel(model.card.name)


def test_outputs_that_left_the_scene_during_the_work_are_made_anew(scans: Any) -> None:
    from RadioDosimetryLib.timeActivityScans import ScanNode
    from RadioDosimetryLib.timeActivitySeries import Series
    from RadioDosimetryLib.timeActivityTasks import tiaTask
    from RadioDosimetryLib.timeActivityWork import MeasurementOptions

    series = Series(tuple(ScanNode(node, at) for node, at in zip(scans[1], scans[2], strict=True)))
    output = _new("vtkMRMLScalarVolumeNode", "Map")
    task = tiaTask(series, MeasurementOptions("Lu-177"), volumeNode=output)
    made = task.work(None)
    slicer.mrmlScene.RemoveNode(output)
    node = task.finish(made)
    assert slicer.mrmlScene.IsNodePresent(node)
    assert node.GetImageData() is not None


def test_isodose_lines_that_cannot_be_made_leave_those_of_before(
    torso: tuple[Any, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from RadioDosimetryLib import isodose

    dose = _dose(torso, "local").dose
    isodose.isodoseLines(dose)
    before = state()
    steps = [(isodose, "_surface"), (isodose, "placeInFolder")]
    for step in failing_steps(monkeypatch, steps, lambda: isodose.isodoseLines(dose, [1.0, 2.0]), 4):
        assert state() == before, f"step {step}"
    models = slicer.util.getNodesByClass("vtkMRMLModelNode")
    assert sum(model.GetAttribute(isodose.LEVEL_ATTRIBUTE) is not None for model in models) == 2


# What is no output


def _browsed_sequence(scans: Any) -> tuple[Any, Any]:
    """A sequence of scans and the volume in which its browser shows one of them."""
    from RadioDosimetryLib.sequences import browserOf, sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    pairs = [(at, volumeFromNode(node)) for node, at in zip(scans[1], scans[2], strict=True)]
    sequence = sequenceFromVolumes(pairs, "Series")
    return sequence, browserOf(sequence).GetProxyNode(sequence)


def test_the_volume_that_shows_a_scan_of_the_input_sequence_is_no_output(scans: Any) -> None:
    import TimeActivityFit
    import VoxelDose

    sequence, proxy = _browsed_sequence(scans)
    words = f"'{proxy.GetName()}' shows a scan of '{sequence.GetName()}', which is an input and is not overwritten"
    before = state()
    calls: list[Callable[[], Any]] = [
        lambda: VoxelDose.VoxelDoseLogic().computeDose(scans[0], sequence, method="local", doseNode=proxy),
        lambda: VoxelDose.VoxelDoseLogic().computeDose(scans[0], sequence, method="local", uncertaintyNode=proxy),
        lambda: TimeActivityFit.TimeActivityFitLogic().timeIntegratedActivity([sequence], volumeNode=proxy),
        lambda: TimeActivityFit.TimeActivityFitLogic().timeIntegratedActivity([sequence], uncertaintyNode=proxy),
    ]
    for call in calls:
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value).startswith(words)
    assert state() == before


def test_a_new_image_leaves_the_old_one_to_whoever_looks_at_it(torso: tuple[Any, Any, Any]) -> None:
    first = _dose(torso, "local").dose
    array = slicer.util.arrayFromVolume(first)
    kept = array.copy()
    _dose(torso, "single-vsv", doseNode=first)
    np.testing.assert_array_equal(array, kept)
    assert not np.array_equal(slicer.util.arrayFromVolume(first), kept)
