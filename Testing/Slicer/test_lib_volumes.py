"""Volume nodes and core volumes: grids between RAS and LPS, quantities, units, transforms, and inputs left alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
import vtk  # noqa: E402
from lib_samples import FRAME, MIRRORED, OBLIQUE, PERMUTED, STRAIGHT, dose_volume, rotation  # noqa: E402

from radiodosimetry.errors import InputError, UnitError  # noqa: E402
from radiodosimetry.images.geometry import VolumeGeometry  # noqa: E402
from radiodosimetry.images.readers import read_volume  # noqa: E402
from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.images.writers import write_volume  # noqa: E402
from radiodosimetry.units import _FACTOR_TO_CORE_UNIT, Quantity  # noqa: E402
from RadioDosimetryLib.geometries import geometryOfVolume  # noqa: E402
from RadioDosimetryLib.quantities import codedEntries, describeQuantity, quantityOf, setQuantity, unitOf  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume, recordOf, volumeFromNode  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

FLOAT64_STEPS = 8
"""A node keeps spacing, axes and origin apart in float64: a few roundings per matrix element."""


def _position_ras(node: Any, index_ijk: tuple[float, ...]) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return np.array(matrix.MultiplyPoint((*index_ijk, 1.0))[:3])


def _transform(matrix: np.ndarray) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    return node


@pytest.mark.parametrize(
    "geometry", [STRAIGHT, OBLIQUE, MIRRORED, PERMUTED], ids=["straight", "oblique", "mirrored", "permuted"]
)
def test_a_volume_comes_back_from_its_node_on_the_same_grid_with_the_same_voxels(geometry: VolumeGeometry) -> None:
    rng = np.random.default_rng(5)
    array = rng.normal(size=geometry.shape_kji)
    volume = QuantitativeVolume(array, geometry, Quantity.DIMENSIONLESS)
    back = volumeFromNode(nodeFromVolume(volume, "sample"))
    assert np.array_equal(back.array_kji, array)
    assert back.array_kji.dtype == np.float64
    scale = np.abs(geometry.ijk_to_lps).max() * np.finfo(float).eps
    assert np.abs(back.geometry.ijk_to_lps - geometry.ijk_to_lps).max() <= FLOAT64_STEPS * scale
    assert back.geometry.frame_of_reference_uid == geometry.frame_of_reference_uid


@pytest.mark.parametrize("geometry", [OBLIQUE, PERMUTED], ids=["oblique", "permuted"])
def test_a_voxel_lies_at_the_same_point_of_the_patient_in_ras_as_in_lps(geometry: VolumeGeometry) -> None:
    node = nodeFromVolume(QuantitativeVolume(np.zeros(geometry.shape_kji), geometry, Quantity.DIMENSIONLESS), "grid")
    for index in ((0, 0, 0), (7, 3, 2), (1.5, 0.25, 4)):
        lps = (geometry.ijk_to_lps @ np.array([*index, 1.0]))[:3]
        assert _position_ras(node, index) == pytest.approx(lps * (-1, -1, 1), abs=1e-12)


def test_the_value_of_a_voxel_is_found_at_its_own_indices() -> None:
    array = np.zeros(STRAIGHT.shape_kji)
    array[3, 5, 7] = 42.0
    node = nodeFromVolume(QuantitativeVolume(array, STRAIGHT, Quantity.DIMENSIONLESS), "one voxel")
    assert node.GetImageData().GetScalarComponentAsDouble(7, 5, 3, 0) == 42.0


@pytest.mark.parametrize("quantity", list(Quantity))
def test_every_quantity_comes_back_from_the_coded_entries_in_its_unit(quantity: Quantity) -> None:
    node = nodeFromVolume(
        QuantitativeVolume(np.ones((2, 2, 2), np.int16), VolumeGeometry((2, 2, 2), (1, 1, 1)), quantity), "q"
    )
    assert quantityOf(node) is quantity
    assert unitOf(node) == quantity.unit
    assert volumeFromNode(node).quantity is quantity
    assert len(codedEntries(quantity)[0].value) <= 16


def test_every_unit_of_the_core_has_a_ucum_code_of_its_own_and_scales_the_voxels() -> None:
    for quantity, factors in _FACTOR_TO_CORE_UNIT.items():
        codes = {unit: codedEntries(quantity, unit)[1].value for unit in factors}
        assert len(set(codes.values())) == len(codes)
        for unit, factor in factors.items():
            node = slicer.util.addVolumeFromArray(np.full((2, 2, 2), 3.0))
            setQuantity(node, quantity, unit)
            assert volumeFromNode(node).array_kji == pytest.approx(3.0 * factor), (quantity, unit)


@pytest.mark.parametrize("spelling", ["Bq/ml", "Bq/mL", "Bq/cc"])
def test_activity_is_known_by_its_unit_alone_however_it_is_spelt(spelling: str) -> None:
    node = slicer.util.addVolumeFromArray(np.ones((2, 2, 2)))
    unit = slicer.vtkCodedEntry()
    unit.SetValueSchemeMeaning(spelling, "UCUM", "x")
    node.SetVoxelValueUnits(unit)
    assert quantityOf(node) is Quantity.ACTIVITY_CONCENTRATION


def test_a_dose_carries_the_mark_of_slicerrt_and_its_mark_alone_counts_as_dose() -> None:
    node = nodeFromVolume(dose_volume(), "dose")
    assert node.GetAttribute("DicomRtImport.DoseVolume") == "1"
    foreign = slicer.util.addVolumeFromArray(np.ones((2, 2, 2)))
    assert quantityOf(foreign) is None
    foreign.SetAttribute("DicomRtImport.DoseVolume", "1")
    assert quantityOf(foreign) is Quantity.ABSORBED_DOSE
    setQuantity(foreign, Quantity.CT_NUMBER)
    assert foreign.GetAttribute("DicomRtImport.DoseVolume") is None


def test_a_standard_uptake_value_is_no_activity_and_says_so() -> None:
    node = slicer.util.addVolumeFromArray(np.ones((2, 2, 2)))
    node.SetName("suv")
    for setter, code in (
        (node.SetVoxelValueQuantity, ("126401", "DCM", "SUVbw")),
        (node.SetVoxelValueUnits, ("g/ml{SUVbw}", "UCUM", "SUV")),
    ):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(*code)
        setter(entry)
    assert quantityOf(node) is None
    assert describeQuantity(node) == "SUVbw [g/ml{SUVbw}]"
    with pytest.raises(UnitError, match=r"'suv' holds SUVbw \[g/ml\{SUVbw\}\], expected activity_concentration"):
        volumeFromNode(node, Quantity.ACTIVITY_CONCENTRATION)


def test_a_volume_without_quantity_needs_to_be_told_and_a_unit_that_was_guessed_is_a_warning() -> None:
    node = slicer.util.addVolumeFromArray(np.ones((2, 2, 2)))
    node.SetName("spect")
    with pytest.raises(UnitError, match="'spect' holds no quantity, which says too little; say what its voxels are"):
        volumeFromNode(node)
    guessed = volumeFromNode(node, Quantity.ACTIVITY_CONCENTRATION)
    assert guessed.record.warnings == ("Volume 'spect' says no unit: its voxels were taken to be in Bq/mL.",)
    told = volumeFromNode(node, Quantity.ACTIVITY_CONCENTRATION, "kBq/mL")
    assert told.record.warnings == ()
    assert told.array_kji == pytest.approx(1000.0)
    assert volumeFromNode(node, Quantity.CT_NUMBER).record.warnings == ()


def test_quantity_and_unit_that_contradict_the_node_are_refused() -> None:
    node = nodeFromVolume(dose_volume(), "dose")
    with pytest.raises(UnitError, match="'dose' holds absorbed_dose, expected ct_number"):
        volumeFromNode(node, Quantity.CT_NUMBER)
    with pytest.raises(UnitError, match="says that it is in Gy, but mGy was given"):
        volumeFromNode(node, Quantity.ABSORBED_DOSE, "mGy")


def test_a_rigid_transform_moves_the_grid_and_takes_away_the_frame_of_reference() -> None:
    node = nodeFromVolume(dose_volume(OBLIQUE), "dose")
    assert volumeFromNode(node).geometry.frame_of_reference_uid == FRAME
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(5, 10, -15), (12.0, -7.0, 3.0)
    node.SetAndObserveTransformNodeID(_transform(matrix).GetID())
    geometry = volumeFromNode(node).geometry
    for index in ((0, 0, 0), (7, 3, 2)):
        moved = (matrix @ np.array([*_position_ras(node, index), 1.0]))[:3]
        assert (geometry.ijk_to_lps @ np.array([*index, 1.0]))[:3] == pytest.approx(moved * (-1, -1, 1), abs=1e-9)
    assert geometry.frame_of_reference_uid is None
    assert np.array_equal(volumeFromNode(node).array_kji, dose_volume(OBLIQUE).array_kji)


def test_two_nested_rigid_transforms_are_both_applied() -> None:
    node = nodeFromVolume(dose_volume(STRAIGHT), "dose")
    shift = np.eye(4)
    shift[:3, 3] = (1.0, 2.0, 3.0)
    inner, outer = _transform(shift), _transform(shift)
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    expected = np.array(STRAIGHT.origin_mm) + (-2.0, -4.0, 6.0)
    assert geometryOfVolume(node).origin_mm == pytest.approx(tuple(expected))


@pytest.mark.parametrize(
    "matrix",
    [np.diag([1.1, 1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0]), np.eye(4) + np.diag([0.2, 0.0, 0.0], k=1)],
    ids=["scaled", "mirrored", "sheared"],
)
def test_a_transform_that_is_not_rigid_is_refused_with_the_way_out(matrix: np.ndarray) -> None:
    node = nodeFromVolume(dose_volume(), "dose")
    node.SetAndObserveTransformNodeID(_transform(matrix).GetID())
    with pytest.raises(InputError, match="'dose' lies under the transform 'moved', which scales.*harden the transform"):
        volumeFromNode(node)


def test_a_transform_that_deforms_is_refused() -> None:
    node = nodeFromVolume(dose_volume(), "dose")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "warp")
    spline = vtk.vtkThinPlateSplineTransform()
    points = vtk.vtkPoints()
    for point in ((0, 0, 0), (9, 0, 0), (0, 9, 0), (0, 0, 9)):
        points.InsertNextPoint(point)
    moved = vtk.vtkPoints()
    moved.DeepCopy(points)
    moved.SetPoint(1, 12.0, 3.0, 0.0)
    spline.SetSourceLandmarks(points)
    spline.SetTargetLandmarks(moved)
    spline.SetBasisToR()
    transform.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(transform.GetID())
    with pytest.raises(InputError, match="'warp', which deforms space; expected a rigid motion"):
        volumeFromNode(node)


def test_an_empty_a_coloured_a_sheared_and_no_volume_are_refused() -> None:
    with pytest.raises(InputError, match="No volume is chosen"):
        volumeFromNode(None)
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="'empty' has no voxels"):
        volumeFromNode(empty, Quantity.CT_NUMBER)
    colour = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "photo")
    slicer.util.updateVolumeFromArray(colour, np.zeros((2, 2, 2, 3), np.uint8))
    with pytest.raises(InputError, match="'photo' has 3 numbers per voxel; expected one"):
        volumeFromNode(colour, Quantity.CT_NUMBER)
    sheared = slicer.util.addVolumeFromArray(np.zeros((2, 2, 2)))
    shear = np.eye(4)
    shear[0, 1] = 0.3
    sheared.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(shear))
    with pytest.raises(InputError, match="orthonormal"):
        volumeFromNode(sheared, Quantity.CT_NUMBER)


def test_a_voxel_that_is_no_number_is_refused_with_the_name_of_the_volume() -> None:
    node = slicer.util.addVolumeFromArray(np.array([[[1.0, np.nan]]]))
    node.SetName("broken")
    with pytest.raises(InputError, match="Volume 'broken': 1 of 2 voxels"):
        volumeFromNode(node, Quantity.CT_NUMBER)


def test_reading_leaves_the_node_as_it_was_and_the_volume_is_a_copy() -> None:
    node = nodeFromVolume(dose_volume(), "dose")
    before, changed = slicer.util.arrayFromVolume(node).copy(), node.GetMTime()
    volume = volumeFromNode(node)
    assert node.GetMTime() == changed
    slicer.util.arrayFromVolume(node)[:] = -1.0
    assert np.array_equal(volume.array_kji, before)


def test_an_output_node_is_filled_in_place_and_an_input_is_never_one() -> None:
    source = nodeFromVolume(dose_volume(), "input")
    output = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "chosen")
    output.SetAndObserveTransformNodeID(_transform(np.diag([2.0, 1.0, 1.0, 1.0])).GetID())
    assert nodeFromVolume(dose_volume(OBLIQUE), "ignored", output, inputs=(source,)) is output
    assert output.GetName() == "chosen"
    assert output.GetParentTransformNode() is None
    assert volumeFromNode(output).geometry.same_grid(OBLIQUE)
    changed = source.GetMTime()
    with pytest.raises(InputError, match="'input' is an input and is not overwritten"):
        nodeFromVolume(dose_volume(OBLIQUE), "ignored", source, inputs=(source,))
    assert source.GetMTime() == changed


def test_new_nodes_get_names_of_their_own() -> None:
    names = [nodeFromVolume(dose_volume(), "dose").GetName() for _ in range(2)]
    assert len(set(names)) == 2


def test_record_and_time_stay_on_the_node() -> None:
    time = datetime(2024, 5, 31, 14, 5, tzinfo=UTC)
    node = nodeFromVolume(dose_volume(time=time), "dose")
    back = volumeFromNode(node)
    assert back.time == time
    written, kept = dose_volume().record.as_dict(), back.record.as_dict()
    assert {name: kept[name] for name in kept if name != "created"} == {
        name: written[name] for name in written if name != "created"
    }
    assert json.loads(node.GetAttribute("RadioDosimetry.Record"))["warnings"] == ["not a real dose"]
    node.SetAttribute("RadioDosimetry.Record", "{broken")
    assert recordOf(node) is None


def test_a_volume_that_the_core_did_not_make_is_known_by_its_instances_or_by_its_voxels() -> None:
    node = slicer.util.addVolumeFromArray(np.ones((2, 2, 2), np.int16))
    node.SetName("ct")
    by_voxels = volumeFromNode(node, Quantity.CT_NUMBER).record.inputs["file"]
    assert by_voxels["node"] == "ct"
    assert len(by_voxels["voxels_sha256"]) == 64
    slicer.util.arrayFromVolume(node)[0, 0, 0] = 7
    assert volumeFromNode(node, Quantity.CT_NUMBER).record.inputs["file"]["voxels_sha256"] != by_voxels["voxels_sha256"]
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    assert volumeFromNode(node, Quantity.CT_NUMBER).record.inputs["file"] == {
        "node": "ct",
        "uid": "1.2.3",
        "instances": 2,
    }


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int16, np.int32, np.int64, np.float32, np.float64])
def test_every_number_type_keeps_its_values(dtype: type) -> None:
    array = np.array([[[0, 1], [1, 1]]]).astype(dtype)
    volume = QuantitativeVolume(array, VolumeGeometry((1, 2, 2), (1, 1, 1)), Quantity.DIMENSIONLESS)
    back = slicer.util.arrayFromVolume(nodeFromVolume(volume, "numbers"))
    assert np.array_equal(back, array)


def test_labels_become_a_label_map_node() -> None:
    volume = QuantitativeVolume(np.ones((2, 2, 2), np.int32), VolumeGeometry((2, 2, 2), (1, 1, 1)), Quantity.LABEL)
    assert nodeFromVolume(volume, "labels").IsA("vtkMRMLLabelMapVolumeNode")


@pytest.mark.parametrize("ending", ["nrrd", "nii.gz", "mha"])
def test_a_file_of_the_core_is_read_by_slicer_at_the_same_place_with_its_sidecar(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"dose.{ending}"
    write_volume(dose_volume(OBLIQUE), path)
    node = slicer.util.loadVolume(str(path))
    volume = volumeFromNode(node)
    assert volume.quantity is Quantity.ABSORBED_DOSE
    assert volume.record.operation == "a dose for tests"
    assert np.array_equal(volume.array_kji, dose_volume(OBLIQUE).array_kji)
    assert volume.geometry.same_grid(OBLIQUE)
    slicer.util.arrayFromVolume(node)[:] += 1.0
    slicer.util.arrayFromVolumeModified(node)
    with pytest.raises(UnitError, match="says too little"):
        volumeFromNode(node)


def test_a_node_that_slicer_saves_is_read_by_the_core_at_the_same_place(tmp_path: Path) -> None:
    node = nodeFromVolume(dose_volume(OBLIQUE), "dose")
    path = tmp_path / "saved.nrrd"
    assert slicer.util.saveNode(node, str(path), properties={})
    back = read_volume(path, Quantity.ABSORBED_DOSE, "Gy")
    assert np.array_equal(back.array_kji, dose_volume(OBLIQUE).array_kji)
    assert back.geometry.same_grid(OBLIQUE)
