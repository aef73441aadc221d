"""Scans of TimeActivityFit from the console: sequences, counts, transforms, registration, times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

from radiodosimetry.errors import (
    GeometryMismatchError,
    InputError,
    UnitError,
)
from radiodosimetry.images.registered import Registration
from radiodosimetry.provenance import Record, to_json
from radiodosimetry.units import Quantity

VOXEL_MM = 16.0
"""Coarse enough for everything in a fraction of a second."""

GIVEN_MBQ = 7400.0


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


def _columns(node: Any) -> dict[str, list[Any]]:
    from RadioDosimetryLib.tables import columnsOf

    return columnsOf(node)


def _node_count() -> int:
    import slicer

    return int(slicer.mrmlScene.GetNumberOfNodes())


def test_a_sequence_is_as_good_as_its_volumes(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.sequences import sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    scans = [(hours, volumeFromNode(scan)) for scan, hours in torso.rows]
    sequence = sequenceFromVolumes(scans, "Torso")
    of_sequence = logic.measureCurves([sequence], torso.segmentation)
    of_volumes = logic.measureCurves(torso.rows, torso.segmentation)
    assert _columns(of_sequence) == _columns(of_volumes)


def test_counts_are_calibrated(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    rows = []
    for scan, hours in torso.rows:
        volume = volumeFromNode(scan)
        rows.append((nodeFromVolume(volume.with_array(volume.array_kji / 8.0, Quantity.COUNTS), "counts"), hours))
    counted = logic.measureCurves(rows, torso.segmentation, calibrationBqPerMlPerCount=8.0)
    calibrated = logic.measureCurves(torso.rows, torso.segmentation)
    np.testing.assert_allclose(_columns(counted)["Activity (MBq)"], _columns(calibrated)["Activity (MBq)"], rtol=1e-6)
    with pytest.raises(UnitError, match="expected counts"):
        logic.measureCurves(torso.rows, torso.segmentation, calibrationBqPerMlPerCount=8.0)


def test_a_transform_brings_a_moved_scan_back(torso: SimpleNamespace, logic: Any) -> None:
    """A scan shifted by two voxels and a transform that shifts it back measure as the scan in its place."""
    import slicer

    from RadioDosimetryLib.timeActivityScans import ScanNode
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    shift_mm = 2 * VOXEL_MM
    volume = volumeFromNode(torso.scans[1])
    origin = (volume.geometry.origin_mm[0] + shift_mm, *volume.geometry.origin_mm[1:])
    moved = nodeFromVolume(replace(volume, geometry=replace(volume.geometry, origin_mm=origin)), "moved")
    back = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "back")
    matrix = np.eye(4)
    matrix[0, 3] = shift_mm  # in RAS what was minus in LPS
    back.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    rows = list(torso.rows)
    rows[1] = ScanNode(moved, torso.hours[1], None, back)
    expected = logic.measureCurves(torso.rows, torso.segmentation)
    assert _columns(logic.measureCurves(rows, torso.segmentation)) == _columns(expected)
    assert moved.GetParentTransformNode() is None  # an input is not touched


def test_scans_of_other_sessions_need_a_transform(torso: SimpleNamespace, logic: Any) -> None:
    """Two frames of reference are two spaces: measured only once a transform says how they lie to each other."""
    import slicer

    from RadioDosimetryLib.geometries import FRAME_ATTRIBUTE
    from RadioDosimetryLib.timeActivityScans import ScanNode

    for number, scan in enumerate(torso.scans):
        scan.SetAttribute(FRAME_ATTRIBUTE, f"1.2.{number + 1}")
    count = _node_count()
    with pytest.raises(GeometryMismatchError, match="lie in different frames of reference; register them, or give"):
        logic.measureCurves(torso.rows, torso.segmentation)
    assert _node_count() == count
    identity = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "identity")
    rows = [ScanNode(scan, hours, None, identity) for scan, hours in torso.rows]
    found = logic.measureCurves(rows, torso.segmentation)
    for scan in torso.scans:
        scan.RemoveAttribute(FRAME_ATTRIBUTE)
    assert _columns(found) == _columns(logic.measureCurves(torso.rows, torso.segmentation))


def test_one_segmentation_on_many_grids_is_a_warning(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.volumes import nodeFromVolume, recordOf, volumeFromNode

    volume = volumeFromNode(torso.scans[1])
    origin = (volume.geometry.origin_mm[0] + 1.0, *volume.geometry.origin_mm[1:])
    moved = nodeFromVolume(replace(volume, geometry=replace(volume.geometry, origin_mm=origin)), "moved")
    node = logic.measureCurves([torso.rows[0], (moved, torso.hours[1])], torso.segmentation)
    assert any("which nothing checks" in warning for warning in recordOf(node).warnings)


def test_a_deforming_transform_brings_the_voxels_onto_the_reference(torso: SimpleNamespace, logic: Any) -> None:
    """A grid of displacements that are all alike moves the voxels as the core's translation by their inverse does."""
    import SimpleITK as sitk
    import slicer
    import vtk

    from RadioDosimetryLib.timeActivityTransforms import movedBy
    from RadioDosimetryLib.volumes import volumeFromNode

    grid = vtk.vtkImageData()
    grid.SetDimensions(5, 5, 5)
    grid.SetOrigin(-400.0, -400.0, -400.0)
    grid.SetSpacing(200.0, 200.0, 200.0)
    grid.AllocateScalars(vtk.VTK_DOUBLE, 3)
    for component, shift in enumerate((12.0, -5.0, VOXEL_MM)):
        grid.GetPointData().GetScalars().FillComponent(component, shift)
    displacement = slicer.vtkOrientedGridTransform()
    displacement.SetDisplacementGridData(grid)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLGridTransformNode", "shift")
    node.SetAndObserveTransformToParent(displacement)
    volume = volumeFromNode(torso.scans[0])
    moved = movedBy(volume, node, volume.geometry)
    back = sitk.TranslationTransform(3, (12.0, -5.0, -VOXEL_MM))
    known = Registration(back, "b-spline", volume.geometry, None, {}, Record("translation"))
    np.testing.assert_allclose(moved.array_kji, known.apply_to_activity(volume).array_kji, rtol=1e-5, atol=1.0)


def test_registration_finds_how_a_ct_was_moved(scene: Any, logic: Any) -> None:
    """The transform node takes the moved CT back onto the other, in Slicer's sense and space."""
    import slicer

    import TimeActivityFit
    from RadioDosimetryLib.timeActivityScans import ScanNode
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    ct, scans, hours, _segmentation = TimeActivityFit.loadSampleScans(8.0)
    volume = volumeFromNode(ct)
    origin = (volume.geometry.origin_mm[0] + 9.0, volume.geometry.origin_mm[1] - 6.0, volume.geometry.origin_mm[2])
    moved = nodeFromVolume(replace(volume, geometry=replace(volume.geometry, origin_mm=origin)), "moved CT")
    rows = [ScanNode(scans[0], hours[0], ct), ScanNode(scans[1], hours[1], moved)]
    none, node = logic.registerScans(rows)
    assert none is None
    matrix = slicer.util.arrayFromTransformMatrix(node)
    np.testing.assert_allclose(matrix[:3, :3], np.eye(3), atol=0.02)
    np.testing.assert_allclose(matrix[:3, 3], [9.0, -6.0, 0.0], atol=1.5)
    with pytest.raises(InputError, match="has none; choose the CT of every scan"):
        logic.registerScans([rows[0], ScanNode(scans[1], hours[1])])


def test_hours_come_from_a_dicom_header(torso: SimpleNamespace, tmp_path: Path, monkeypatch: Any) -> None:
    import slicer
    from pydicom.dataset import Dataset, FileMetaDataset

    from RadioDosimetryLib.timeActivityScans import hoursFromDicom

    path = tmp_path / "slice.dcm"
    dataset, item = Dataset(), Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.128"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = "1.2.3"
    dataset.SeriesDate, dataset.SeriesTime = "20260106", "093000"
    item.RadiopharmaceuticalStartDateTime = "20260105083000"
    dataset.RadiopharmaceuticalInformationSequence = [item]
    dataset.save_as(path, enforce_file_format=True)

    class Database:
        def fileForInstance(self, uid: str) -> str:  # noqa: N802 - Slicer's name
            return str(path) if uid == "1.2.3" else ""

    monkeypatch.setattr(slicer, "dicomDatabase", Database(), raising=False)
    node = torso.scans[0]
    node.RemoveAttribute("RadioDosimetry.Record")
    with pytest.raises(InputError, match="was not loaded from the DICOM database; give its hours by hand"):
        hoursFromDicom(node)
    node.SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
    assert hoursFromDicom(node) == (25.0, ())
    dataset.DecayCorrection = "ADMIN"
    dataset.save_as(path, enforce_file_format=True)
    hours, (warning,) = hoursFromDicom(node)
    assert hours == 25.0
    assert "is decay-corrected to the injection; it will be decayed to its time" in warning


def test_a_scan_of_ours_that_is_corrected_to_the_injection_has_the_hours_of_its_frames(torso: SimpleNamespace) -> None:
    """Its time is that of the injection, which its activity counts at."""
    from RadioDosimetryLib.timeActivityScans import hoursFromDicom
    from RadioDosimetryLib.volumes import RECORD_ATTRIBUTE, TIME_ATTRIBUTE, recordOf

    node, injected = torso.scans[0], "2026-01-05T08:30:00"
    record = recordOf(node)
    assert isinstance(record, Record)
    told = record.with_parameters(
        decay_correction="ADMIN", injection_time=injected, first_acquisition_time="2026-01-05T12:30:00"
    )
    node.SetAttribute(RECORD_ATTRIBUTE, to_json(told.as_dict()))
    node.SetAttribute(TIME_ATTRIBUTE, injected)
    hours, (warning,) = hoursFromDicom(node)
    assert hours == 4.0
    assert "it will be decayed to its time" in warning


def test_a_row_brings_its_own_regions(torso: SimpleNamespace, logic: Any) -> None:
    """Regions of a scan's own measure that scan where it lies, in whatever frame of reference."""
    from RadioDosimetryLib.geometries import FRAME_ATTRIBUTE
    from RadioDosimetryLib.timeActivityScans import ScanNode
    from RadioDosimetryLib.volumes import recordOf

    expected = _columns(logic.measureCurves(torso.rows, torso.segmentation))
    torso.scans[1].SetAttribute(FRAME_ATTRIBUTE, "1.2.9")
    rows = list(torso.rows)
    rows[1] = ScanNode(torso.scans[1], torso.hours[1], segmentation=torso.segmentation)
    node = logic.measureCurves(rows, torso.segmentation)
    assert _columns(node) == expected
    assert recordOf(node).warnings == ()
    with pytest.raises(InputError, match="has no segmentation, while other scans have their own"):
        logic.measureCurves(rows, None)


def test_an_unknown_registration_is_refused(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.timeActivityScans import ScanNode

    rows = [ScanNode(scan, hours, torso.ct) for scan, hours in torso.rows]
    with pytest.raises(InputError, match="There is no registration 'affine'; expected rigid or b-spline"):
        logic.registerScans(rows, kind="affine")
