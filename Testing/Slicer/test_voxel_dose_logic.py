"""VoxelDose from the console: nodes in, nodes out, the numbers of the core, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

from radiodosimetry.errors import (
    CancelledError,
    GeometryMismatchError,
    InputError,
    OutputError,
    RadioDosimetryError,
    RegionError,
    UnitError,
)
from radiodosimetry.images.dicom_reader import read_dicom
from radiodosimetry.nuclides import Radionuclide
from radiodosimetry.units import Quantity
from radiodosimetry.workflows.dose import DoseOptions, compute_dose, integrate_physical_decay

VOXEL_MM = 16.0
"""Coarse enough for a dose in a fraction of a second."""


@pytest.fixture
def torso(scene: Any) -> tuple[Any, Any, Any]:
    """CT, activity and segmentation of the virtual torso."""
    from RadioDosimetryLib.hierarchy import itemOf
    from RadioDosimetryLib.voxelDoseSample import sampleTorso

    nodes = sampleTorso(VOXEL_MM)
    itemOf(nodes[0])  # outside Slicer the subject hierarchy node comes with the first question for it
    return nodes


@pytest.fixture
def logic(application: Any) -> Any:
    import VoxelDose

    return VoxelDose.VoxelDoseLogic()


def _core(torso: tuple[Any, Any, Any], method: str, **options: Any) -> Any:
    """What the core computes from the same nodes."""
    from RadioDosimetryLib.segmentations import regionsFromSegmentation
    from RadioDosimetryLib.volumes import volumeFromNode

    ct, activity, segmentation = torso
    tia = integrate_physical_decay(volumeFromNode(activity), "Lu-177")
    regions = regionsFromSegmentation(segmentation, tia.geometry)
    return compute_dose(volumeFromNode(ct), tia, "Lu-177", method, regions, DoseOptions(**options))


def _array(node: Any) -> Any:
    import slicer

    return slicer.util.arrayFromVolume(node)


def _node_count() -> int:
    import slicer

    return int(slicer.mrmlScene.GetNumberOfNodes())


def _columns(table: Any) -> dict[str, list[Any]]:
    from RadioDosimetryLib.tables import columnsOf

    return columnsOf(table)


def test_the_panel_offers_what_the_core_takes(application: Any) -> None:
    import VoxelDose
    from radiodosimetry.workflows.dose import DOSE_METHODS
    from RadioDosimetryLib.voxelDoseChoices import ActivityUnit, DoseMethod
    from RadioDosimetryLib.voxelDoseWork import ACTIVITY_UNITS, COUNTS_UNIT, TIA_UNITS

    assert [method.value for method in DoseMethod] == list(DOSE_METHODS)
    assert {unit.value for unit in ActivityUnit} == {"", COUNTS_UNIT, *ACTIVITY_UNITS, *TIA_UNITS}
    assert all(Radionuclide(name).half_life_s > 0 for name in VoxelDose.NUCLIDES)


def test_a_monte_carlo_dose_is_that_of_the_core_with_uncertainty_and_table(torso: Any, logic: Any) -> None:
    ct, activity, segmentation = torso
    nodes = logic.computeDose(ct, activity, "Lu-177", "monte-carlo", segmentation, histories=5000, seed=7)
    expected = _core(torso, "monte-carlo", histories=5000, seed=7)
    np.testing.assert_array_equal(_array(nodes.dose), expected.dose.array_kji)
    np.testing.assert_array_equal(_array(nodes.uncertainty), expected.uncertainty.array_kji)
    columns = _columns(nodes.table)
    assert columns["Structure"] == [row.region for row in expected.table]
    assert columns["Mean dose (Gy)"] == [row.mean_gy for row in expected.table]
    assert columns["Mean uncertainty (%)"] == [row.mean_uncertainty_percent for row in expected.table]
    assert nodes.chart.GetNumberOfPlotSeriesNodes() == len(expected.table)


def test_a_dose_says_what_it_is_and_what_it_was_made_from(torso: Any, logic: Any) -> None:
    from RadioDosimetryLib.quantities import quantityOf
    from RadioDosimetryLib.volumes import recordOf

    ct, activity, segmentation = torso
    dose = logic.computeDose(ct, activity, method="local", segmentationNode=segmentation).dose
    assert quantityOf(dose) is Quantity.ABSORBED_DOSE
    assert dose.GetVoxelValueUnits().GetCodeValue() == "Gy"
    assert dose.GetNodeReference("RadioDosimetry.ctRef") is ct
    record = recordOf(dose)
    assert record is not None
    assert record.parameters["method"] == "local"
    assert record.inputs["regions"]["liver"] == "liver"


def test_lesions_are_left_out_of_organs(torso: Any, logic: Any) -> None:
    import slicer

    ct, activity, segmentation = torso
    grown = segmentation.GetSegmentation().GetSegmentIdBySegmentName("liver")
    lesion = segmentation.GetSegmentation().GetSegmentIdBySegmentName("tumour1")
    liver = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, grown, activity)
    tumour = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, lesion, activity)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.asarray(liver | tumour), segmentation, grown, activity)
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.asarray(tumour), segmentation, lesion, activity)
    volumes = {}
    for excluded in (False, True):
        nodes = logic.computeDose(
            ct, activity, method="local", segmentationNode=segmentation, segmentIDs=[grown, lesion],
            lesionsExcluded=excluded,
        )  # fmt: skip
        columns = _columns(nodes.table)
        volumes[excluded] = dict(zip(columns["Structure"], columns["Volume (cc)"], strict=True))
    assert volumes[True]["tumour1"] == volumes[False]["tumour1"] > 0
    assert volumes[True]["liver"] == pytest.approx(volumes[False]["liver"] - volumes[False]["tumour1"])


def test_counts_become_activity_by_their_calibration_factor(torso: Any, logic: Any) -> None:
    import slicer

    from RadioDosimetryLib.quantities import QUANTITY_ATTRIBUTE

    ct, activity, _segmentation = torso
    expected = _array(logic.computeDose(ct, activity, method="local").dose).copy()
    counts = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, activity, "counts")
    counts.SetVoxelValueQuantity(None)
    counts.SetVoxelValueUnits(None)
    counts.RemoveAttribute(QUANTITY_ATTRIBUTE)
    slicer.util.updateVolumeFromArray(counts, _array(activity) / np.float32(4.0))
    found = logic.computeDose(ct, counts, method="local", activityUnit="counts", calibrationFactor=4.0).dose
    np.testing.assert_allclose(_array(found), expected, rtol=1e-6)
    with pytest.raises(InputError, match="calibration factor above zero"):
        logic.computeDose(ct, counts, method="local", activityUnit="counts")


def test_a_sequence_of_scans_is_integrated_voxel_by_voxel(torso: Any, logic: Any) -> None:
    from RadioDosimetryLib.sequences import sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    ct, activity, _segmentation = torso
    first = volumeFromNode(activity)
    decay_per_h = math.log(2.0) / 40.0
    scans = [(h, first.with_array(first.array_kji * np.exp(-decay_per_h * h))) for h in (1.0, 24.0, 96.0)]
    sequence = sequenceFromVolumes(scans, "Scans")
    dose = logic.computeDose(ct, sequence, method="local").dose
    once = _array(logic.computeDose(ct, activity, method="local").dose)
    physical_h = Radionuclide("Lu-177").half_life_s / 3600.0
    inside = once > 0.01 * once.max()
    np.testing.assert_allclose(_array(dose)[inside], once[inside] * 40.0 / physical_h, rtol=1e-4)


def test_a_dose_goes_into_the_node_chosen_and_its_old_histograms_leave(torso: Any, logic: Any) -> None:
    ct, activity, segmentation = torso
    first = logic.computeDose(ct, activity, method="local", segmentationNode=segmentation)
    count = _node_count()
    again = logic.computeDose(
        ct, activity, method="local", segmentationNode=segmentation, doseNode=first.dose, tableNode=first.table
    )
    assert again.dose is first.dose
    assert _node_count() == count


def test_a_difference_is_test_minus_reference(torso: Any, logic: Any) -> None:
    ct, activity, _segmentation = torso
    local = logic.computeDose(ct, activity, method="local").dose
    kernel = logic.computeDose(ct, activity, method="single-vsv").dose
    difference = logic.computeDifference(kernel, local)
    np.testing.assert_array_equal(_array(difference), _array(local) - _array(kernel))
    assert difference.GetAttribute("DicomRtImport.DoseVolume") is None
    with pytest.raises(InputError, match="two doses"):
        logic.computeDifference(local, local)


def test_an_exported_dose_is_read_back_from_its_file(torso: Any, logic: Any, tmp_path: Path) -> None:
    ct, activity, _segmentation = torso
    dose = logic.computeDose(ct, activity, method="local").dose
    logic.exportRtDose(dose, tmp_path / "dose.dcm")
    written = read_dicom(tmp_path / "dose.dcm")
    np.testing.assert_allclose(written.array_kji, _array(dose), rtol=1e-5, atol=1e-9 * _array(dose).max())


def test_a_dose_is_not_exported_into_a_folder_that_takes_no_file(torso: Any, logic: Any, tmp_path: Path) -> None:
    ct, activity, _segmentation = torso
    dose = logic.computeDose(ct, activity, method="local").dose
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(OutputError):
        logic.exportRtDose(dose, tmp_path / "taken" / "dose.dcm")


class _Cancel:
    """Cancels at the first look after some reports."""

    def __init__(self, reports: int) -> None:
        self._left = reports

    def report(self, fraction: float, message: str) -> None:
        self._left -= 1

    def cancelled(self) -> bool:
        return self._left <= 0


def test_a_cancelled_dose_leaves_the_scene_as_it_was(torso: Any, logic: Any) -> None:
    ct, activity, segmentation = torso
    before = _node_count()
    with pytest.raises(CancelledError):
        logic.computeDose(ct, activity, method="multiple-vsv", segmentationNode=segmentation, progress=_Cancel(2))
    assert _node_count() == before


def test_a_failure_while_results_are_stored_takes_back_what_was_made(
    torso: Any, logic: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from RadioDosimetryLib import voxelDoseOutputs

    def fail(*arguments: Any, **options: Any) -> None:
        raise RuntimeError("no chart today")

    monkeypatch.setattr(voxelDoseOutputs, "dvhChart", fail)
    before = _node_count()
    with pytest.raises(RuntimeError, match="no chart today"):
        logic.computeDose(*torso[:2], method="local", segmentationNode=torso[2])
    assert _node_count() == before


def _shear(node: Any) -> None:
    """Put a node under a transform that bends space."""
    import slicer
    import vtk

    bending = vtk.vtkThinPlateSplineTransform()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "Bend")
    transform.SetAndObserveTransformToParent(bending)
    node.SetAndObserveTransformNodeID(transform.GetID())


def _empty_segment(torso: Any) -> dict[str, Any]:
    torso[2].GetSegmentation().AddEmptySegment("nothing", "nothing")
    return {"segmentationNode": torso[2]}


def _segment_outside(torso: Any) -> dict[str, Any]:
    import slicer
    import vtk

    far = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "Far")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 5000.0)
    far.SetMatrixTransformToParent(matrix)
    torso[2].SetAndObserveTransformNodeID(far.GetID())
    return {"segmentationNode": torso[2]}


def _no_segment(torso: Any) -> dict[str, Any]:
    torso[2].GetSegmentation().RemoveAllSegments()
    return {"segmentationNode": torso[2]}


def _activity_bent(torso: Any) -> dict[str, Any]:
    _shear(torso[1])
    return {}


def _ct_bent(torso: Any) -> dict[str, Any]:
    _shear(torso[0])
    return {}


def _other_frames(torso: Any) -> dict[str, Any]:
    from RadioDosimetryLib.geometries import FRAME_ATTRIBUTE

    torso[0].SetAttribute(FRAME_ATTRIBUTE, "1.2.3")
    torso[1].SetAttribute(FRAME_ATTRIBUTE, "1.2.4")
    return {}


@pytest.mark.parametrize(
    ("spoil", "error", "text"),
    [
        (_empty_segment, RegionError, "'nothing' is empty"),
        (_segment_outside, RegionError, "no voxel inside"),
        (_no_segment, RegionError, "no segment"),
        (_activity_bent, InputError, "deforms space.*harden the transform"),
        (_ct_bent, InputError, "deforms space.*harden the transform"),
        (_other_frames, GeometryMismatchError, "different frames of reference"),
        (lambda torso: {"ctNode": None}, InputError, "No CT is chosen"),
        (lambda torso: {"activityNode": None}, InputError, "No activity is chosen"),
        (lambda torso: {"ctNode": torso[1]}, InputError, "two volumes"),
        (lambda torso: {"doseNode": torso[1]}, InputError, "is an input and is not overwritten"),
        (lambda torso: {"nuclide": "Xx-1"}, RadioDosimetryError, "Xx-1"),
        (lambda torso: {"method": "guess"}, InputError, "Method 'guess' is unknown"),
        (lambda torso: {"activityUnit": "MBq h/mL"}, UnitError, "time_integrated"),
        (lambda torso: {"activityUnit": "Ci"}, UnitError, "Unit 'Ci'"),
        (lambda torso: {"calibrationFactor": 2.0}, InputError, "belongs to a volume in counts"),
        (lambda torso: {"ctCalibrationFile": "/no/such/file.csv"}, InputError, "file.csv"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_changes_nothing(
    torso: Any, logic: Any, spoil: Any, error: type[Exception], text: str
) -> None:
    arguments = {"ctNode": torso[0], "activityNode": torso[1], "method": "local", **spoil(torso)}
    before, values = _node_count(), _array(torso[1]).copy()
    with pytest.raises(error, match=text):
        logic.computeDose(**arguments)
    assert _node_count() == before
    np.testing.assert_array_equal(_array(torso[1]), values)


def test_the_body_mask_reaches_the_core() -> None:
    from RadioDosimetryLib.voxelDoseWork import DoseSettings

    assert DoseSettings(bodyMask=True).asOptions().body_mask is True
    assert DoseSettings().asOptions().body_mask is False


def test_the_console_example_of_the_documentation_runs(scene: Any) -> None:
    import doctest

    from RadioDosimetryLib.tables import columnsOf

    page = Path(__file__).resolve().parents[2] / "Resources" / "Docs" / "VoxelDose.md"
    names: dict[str, Any] = {}
    for example in doctest.DocTestParser().get_examples(page.read_text(encoding="utf-8")):
        source = example.source.replace("loadSamplePatient()", "loadSamplePatient(16.0)")
        exec(compile(source, str(page), "exec"), names)
    columns = columnsOf(names["nodes"].table)
    assert all(bed > mean > 0 for bed, mean in zip(columns["BED (Gy)"], columns["Mean dose (Gy)"], strict=True))
