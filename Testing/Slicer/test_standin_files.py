"""Files through the stand-in: what Slicer's own readers and writers make of them, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")


@pytest.fixture
def volume(scene: Any) -> Any:
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    matrix = np.array([[-2.0, 0, 0, 10.0], [0, -2.0, 0, 20.0], [0, 0, 3.0, -30.0], [0, 0, 0, 1.0]])
    return slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="SPECT")


def _matrix(node: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def _segmentation(volume: Any) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    identifier = node.GetSegmentation().AddEmptySegment("liver", "liver")
    inside = np.zeros((3, 4, 5), np.uint8)
    inside[1, 1:3, 2:4] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(inside, node, identifier, volume)
    return node


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
def test_a_volume_survives_its_file(volume: Any, tmp_path: Path, ending: str) -> None:
    assert slicer.util.saveNode(volume, str(tmp_path / f"dose.{ending}"), {})
    again = slicer.util.loadVolume(str(tmp_path / f"dose.{ending}"), {})
    assert again.GetName() == "dose"
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(volume))
    np.testing.assert_allclose(_matrix(again), _matrix(volume), atol=1e-5)


def test_a_label_volume_is_read_as_labels(volume: Any, tmp_path: Path) -> None:
    slicer.util.updateVolumeFromArray(volume, np.ones((3, 4, 5), np.uint8))
    slicer.util.saveNode(volume, str(tmp_path / "labels.nrrd"), {})
    assert slicer.util.loadLabelVolume(str(tmp_path / "labels.nrrd"), {}).IsA("vtkMRMLLabelMapVolumeNode")


def test_a_segmentation_survives_its_file(volume: Any, tmp_path: Path) -> None:
    organs = _segmentation(volume)
    assert slicer.util.saveNode(organs, str(tmp_path / "organs.seg.nrrd"), {})
    again = slicer.util.loadSegmentation(str(tmp_path / "organs.seg.nrrd"), {"name": "again"})
    assert again.GetName() == "again"
    np.testing.assert_array_equal(
        slicer.util.arrayFromSegmentBinaryLabelmap(again, "liver", volume),
        slicer.util.arrayFromSegmentBinaryLabelmap(organs, "liver", volume),
    )


def test_a_table_keeps_its_units(scene: Any, tmp_path: Path) -> None:
    table = scene.AddNewNodeByClass("vtkMRMLTableNode", "doses")
    slicer.util.updateTableFromArray(table, [np.array([1.5, 2.5])], ["mean"])
    table.SetColumnUnitLabel("mean", "Gy")
    assert slicer.util.saveNode(table, str(tmp_path / "doses.csv"), {})
    again = slicer.util.loadTable(str(tmp_path / "doses.csv"))
    assert again.GetColumnUnitLabel("mean") == "Gy"
    np.testing.assert_array_equal(slicer.util.arrayFromTableColumn(again, "mean"), [1.5, 2.5])


def test_a_sequence_keeps_its_hours(volume: Any, tmp_path: Path) -> None:
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "scans")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("h")
    for hours in ("4.0", "24.0"):
        sequence.SetDataNodeAtValue(volume, hours)
    assert slicer.util.saveNode(sequence, str(tmp_path / "scans.seq.nrrd"), {})
    again = slicer.util.loadSequence(str(tmp_path / "scans.seq.nrrd"), {})
    assert [again.GetNthIndexValue(index) for index in range(again.GetNumberOfDataNodes())] == ["4.0", "24.0"]
    assert again.GetIndexUnit() == "h"


@pytest.mark.parametrize("file", ["case.mrb", "case/case.mrml"])
def test_a_scene_survives_its_file(volume: Any, tmp_path: Path, file: str) -> None:
    _segmentation(volume)
    volume.SetAttribute("DicomRtImport.DoseVolume", "1")
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning("Gy", "UCUM", "Gy")
    volume.SetVoxelValueUnits(unit)
    if file.endswith(".mrb"):
        assert slicer.util.saveScene(str(tmp_path / file), {})
    else:
        # A folder: the scene with the files of all its nodes.
        (tmp_path / "case").mkdir()
        assert slicer.util.saveScene(str(tmp_path / "case"), {})
    before = slicer.util.arrayFromVolume(volume).copy()
    slicer.mrmlScene.Clear(0)

    slicer.util.loadScene(str(next((tmp_path / file).parent.glob("*.mr[mb]*"))), {})

    again = slicer.util.getNode("SPECT")
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(again), before)
    assert again.GetVoxelValueUnits().GetCodeValue() == "Gy"
    assert again.GetAttribute("DicomRtImport.DoseVolume") == "1"
    assert slicer.util.getNode("organs").GetSegmentation().GetSegment("liver") is not None


def test_loading_a_scene_adds_to_the_one_that_is_open_unless_told_to_clear(volume: Any, tmp_path: Path) -> None:
    slicer.util.saveScene(str(tmp_path / "case.mrb"), {})
    slicer.util.loadScene(str(tmp_path / "case.mrb"), {})
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 2
    slicer.util.loadScene(str(tmp_path / "case.mrb"), {"clear": True})
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1


def test_a_file_that_is_absent_or_unreadable_is_an_error(scene: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="absent.nrrd"):
        slicer.util.loadVolume(str(tmp_path / "absent.nrrd"), {})
    (tmp_path / "notes.xyz").write_text("nothing", encoding="utf-8")
    with pytest.raises(RuntimeError, match="Failed to load"):
        slicer.util.loadNodeFromFile(str(tmp_path / "notes.xyz"), None, {})
    (tmp_path / "broken.nrrd").write_text("NRRD0004\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"broken\.nrrd"):
        slicer.util.loadVolume(str(tmp_path / "broken.nrrd"), {})
    assert slicer.util.getNodesByClass("vtkMRMLVolumeNode") == []


def test_writing_where_nothing_can_be_written_returns_false(volume: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way of a folder", encoding="utf-8")
    assert not slicer.util.saveNode(volume, str(tmp_path / "file" / "dose.nrrd"), {})
    assert not slicer.util.saveScene(str(tmp_path / "absent" / "case.mrb"), {})


def test_a_volume_is_exported_without_changing_where_it_is_kept(volume: Any, tmp_path: Path) -> None:
    slicer.util.saveNode(volume, str(tmp_path / "kept.nrrd"), {})
    slicer.util.exportNode(volume, str(tmp_path / "copy.nrrd"), {})
    assert (tmp_path / "copy.nrrd").is_file()
    assert volume.GetStorageNode().GetFileName() == str(tmp_path / "kept.nrrd")
