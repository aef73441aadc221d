"""TimeActivityFit with synthetic scans: their uncertainty is found, moved along, and missed where it is not there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

from radiodosimetry.errors import GeometryMismatchError
from radiodosimetry.images.geometry import VolumeGeometry
from radiodosimetry.images.volume import QuantitativeVolume

VOXEL_MM = 16.0
"""Coarse enough for everything in a fraction of a second."""

SHARES = (0.0, 0.0, 0.2, 0.3)
"""Relative standard uncertainty of each scan; the last two count as synthetic."""

UNKNOWN = "is synthetic and its uncertainty is not known here"


@pytest.fixture
def torso(scene: Any) -> SimpleNamespace:
    """Scans of the virtual torso as nodes, the later ones marked as synthetic, with their uncertainties."""
    import TimeActivityFit
    from RadioDosimetryLib.delayedPetNodes import UNCERTAINTY_REFERENCE
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    _, scans, hours, segmentation = TimeActivityFit.loadSampleScans(VOXEL_MM, noisePercent=3.0)
    volumes = [marked(volumeFromNode(scan), share) for scan, share in zip(scans, SHARES, strict=True)]
    stated = [volume.with_array(share * volume.array_kji) for volume, share in zip(volumes, SHARES, strict=True)]
    nodes = [nodeFromVolume(volume, f"{time:g} h") for volume, time in zip(volumes, hours, strict=True)]
    uncertain = [nodeFromVolume(volume, "uncertainty") for volume in stated[2:]]
    for node, one in zip(nodes[2:], uncertain, strict=True):
        node.SetNodeReferenceID(UNCERTAINTY_REFERENCE, one.GetID())
    return SimpleNamespace(
        hours=hours, segmentation=segmentation, volumes=volumes, stated=stated, nodes=nodes, uncertain=uncertain,
        rows=list(zip(nodes, hours, strict=True)),
    )  # fmt: skip


def marked(volume: QuantitativeVolume, share: float) -> QuantitativeVolume:
    return volume.with_record(volume.record.with_parameters(synthetic=True)) if share else volume


@pytest.fixture
def logic(application: Any) -> Any:
    import TimeActivityFit

    return TimeActivityFit.TimeActivityFitLogic()


def shares_of(table: Any) -> dict[str, list[float]]:
    """Region to the relative uncertainty of its synthesis at each time."""
    from RadioDosimetryLib.timeActivityKept import curvesFromTable

    curves = curvesFromTable(table)[0]
    return {one.region: one.record.parameters["relative_std"].get("synthesis") for one in curves}


def warnings_of(table: Any) -> str:
    from RadioDosimetryLib.volumes import recordOf

    record = recordOf(table)
    assert record is not None
    return " ".join(record.warnings)


def test_the_uncertainty_of_synthetic_volumes_reaches_the_organ_doses(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.tables import columnsOf
    from RadioDosimetryLib.timeActivityKept import fitsFromTable

    curves = logic.measureCurves(torso.rows, torso.segmentation, administeredActivityMBq=7400.0)
    for shares in shares_of(curves).values():
        np.testing.assert_allclose(shares, SHARES, rtol=1e-5, atol=0)
    assert UNKNOWN not in warnings_of(curves)
    fits = logic.fitCurves(curves, model="mono")
    kept = fitsFromTable(fits)["liver"]
    assert kept.shared_relative_std["synthesis"] > 0.01
    assert kept.tia_std_bq_s > kept.shared_relative_std["synthesis"] * kept.tia_bq_s
    doses = columnsOf(logic.organDoses(fits))
    assert (np.array(doses["SD (mGy/MBq)"]) > 0.01 * np.array(doses["Dose per activity (mGy/MBq)"])).all()


def test_a_sequence_finds_its_uncertainties_by_their_times(torso: SimpleNamespace, logic: Any) -> None:
    from RadioDosimetryLib.delayedPetNodes import UNCERTAINTY_REFERENCE
    from RadioDosimetryLib.sequences import sequenceFromVolumes

    sequence = sequenceFromVolumes(list(zip(torso.hours, torso.volumes, strict=True)), "Torso")
    stated = sequenceFromVolumes(list(zip(torso.hours, torso.stated, strict=True))[2:], "Torso uncertainty")
    sequence.SetNodeReferenceID(UNCERTAINTY_REFERENCE, stated.GetID())
    found = shares_of(logic.measureCurves([sequence], torso.segmentation))
    np.testing.assert_allclose(found["liver"], SHARES, rtol=1e-5, atol=0)


@pytest.mark.parametrize("deforming", [False, True])
def test_a_moved_scan_takes_its_uncertainty_along(torso: SimpleNamespace, logic: Any, deforming: bool) -> None:
    import slicer
    import vtk

    from RadioDosimetryLib.timeActivityScans import ScanNode

    matrix = np.eye(4)
    matrix[0, 3] = VOXEL_MM
    if deforming:
        motion = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "deformation")
        general = vtk.vtkThinPlateSplineTransform()
        points = [vtk.vtkPoints(), vtk.vtkPoints()]
        for corner in np.array(np.meshgrid((-500, 500), (-500, 500), (-500, 500))).reshape(3, -1).T:
            points[0].InsertNextPoint(corner)
            points[1].InsertNextPoint(corner + [VOXEL_MM * (1 + 0.001 * corner[1]), 0, 0])
        general.SetSourceLandmarks(points[0])
        general.SetTargetLandmarks(points[1])
        general.SetBasisToR()
        motion.SetAndObserveTransformToParent(general)
    else:
        motion = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "motion")
        motion.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    rows = list(torso.rows)
    rows[3] = ScanNode(torso.nodes[3], torso.hours[3], None, motion)
    found = shares_of(logic.measureCurves(rows, torso.segmentation))
    np.testing.assert_allclose(found["liver"], SHARES, rtol=1e-4, atol=0)


def test_what_moves_a_volume_in_the_scene_moves_its_uncertainty(torso: SimpleNamespace, logic: Any) -> None:
    """The transform above a synthetic volume need not be put above its uncertainty too; another grid is refused."""
    import slicer

    from RadioDosimetryLib.delayedPetNodes import UNCERTAINTY_REFERENCE
    from RadioDosimetryLib.volumes import nodeFromVolume

    motion = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "motion")
    matrix = np.eye(4)
    matrix[0, 3] = VOXEL_MM
    motion.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    torso.nodes[3].SetAndObserveTransformNodeID(motion.GetID())
    found = shares_of(logic.measureCurves(torso.rows, torso.segmentation))
    np.testing.assert_allclose(found["liver"], SHARES, rtol=1e-5, atol=0)
    cut = torso.stated[2]
    fewer_slices = (cut.array_kji.shape[0] - 1, *cut.array_kji.shape[1:])
    grid = VolumeGeometry(fewer_slices, cut.geometry.spacing_mm, (1.0, 2.0, 3.0))
    smaller = QuantitativeVolume(cut.array_kji[:-1], grid, cut.quantity)
    torso.nodes[2].SetNodeReferenceID(UNCERTAINTY_REFERENCE, nodeFromVolume(smaller, "of another scan").GetID())
    with pytest.raises(GeometryMismatchError, match="its uncertainty have different grids"):
        logic.measureCurves(torso.rows, torso.segmentation)


def test_a_synthetic_scan_without_uncertainty_is_warned_of_in_every_table(torso: SimpleNamespace, logic: Any) -> None:
    import slicer

    for node in torso.uncertain:
        slicer.mrmlScene.RemoveNode(node)
    curves = logic.measureCurves(torso.rows, torso.segmentation, administeredActivityMBq=7400.0)
    assert set(map(str, shares_of(curves).values())) == {"None"}
    fits = logic.fitCurves(curves, model="mono")
    for table in (curves, fits, logic.organDoses(fits)):
        for hours in torso.hours[2:]:
            assert f"The scan at {hours:g} h {UNKNOWN}" in warnings_of(table)


def test_a_series_loaded_from_dicom_says_itself_that_it_is_synthetic(
    torso: SimpleNamespace, logic: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Slicer loads from DICOM has no record of ours: the header's derivation tells."""
    import pydicom
    import slicer

    path = tmp_path / "slice.dcm"
    header = pydicom.Dataset()
    header.DerivationDescription = "SYNTHETIC by a network"
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", "1.2.3"
    pydicom.dcmwrite(path, header, enforce_file_format=True)
    database = SimpleNamespace(fileForInstance=lambda uid: str(path) if uid == "1.2.3" else "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    torso.nodes[1].SetAttribute("DICOM.instanceUIDs", "1.2.3")
    curves = logic.measureCurves(torso.rows, torso.segmentation)
    assert f"The scan at {torso.hours[1]:g} h {UNKNOWN}" in warnings_of(curves)
    assert f"The scan at {torso.hours[0]:g} h {UNKNOWN}" not in warnings_of(curves)


def test_fits_of_an_older_scene_keep_what_their_points_share(torso: SimpleNamespace, logic: Any) -> None:
    """Older scenes have one number for all causes, and none of synthetic scans."""
    import json

    from RadioDosimetryLib.timeActivityKept import FITS_ATTRIBUTE, fitsFromTable

    fits = logic.fitCurves(logic.measureCurves(torso.rows, torso.segmentation), model="mono")
    older = json.loads(fits.GetAttribute(FITS_ATTRIBUTE))
    for region in older["regions"].values():
        del region["shared_relative_std"]
        region["common_relative_std"] = 0.05
    fits.SetAttribute(FITS_ATTRIBUTE, json.dumps(older))
    assert fitsFromTable(fits)["liver"].common_relative_std == pytest.approx(0.05)
