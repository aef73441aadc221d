"""A real patient's files loaded by Slicer give the voxels, grids and regions that the command reads from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402

from radiodosimetry.images.readers import read_volume  # noqa: E402
from radiodosimetry.images.regions import read_label_map, regions_of  # noqa: E402
from radiodosimetry.images.resampling import resample_labels  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from RadioDosimetryLib.geometries import geometryOfVolume  # noqa: E402
from RadioDosimetryLib.segmentations import regionsFromSegmentation  # noqa: E402
from RadioDosimetryLib.volumes import volumeFromNode  # noqa: E402

pytestmark = [pytest.mark.usefixtures("scene"), pytest.mark.shared_data]

FILES = {
    "patient15_ct_hu.nii.gz": (Quantity.CT_NUMBER, "HU"),
    "patient15_activity_235MBq_Bqml.nii.gz": (Quantity.ACTIVITY_CONCENTRATION, "Bq/mL"),
}


@pytest.mark.parametrize("name", FILES)
def test_slicer_and_core_read_the_same_voxels_at_the_same_place(shared_data: Path, name: str) -> None:
    path = shared_data / "lu177_dotatate_patient" / name
    quantity, unit = FILES[name]
    expected = read_volume(path, quantity, unit)
    found = volumeFromNode(slicer.util.loadVolume(str(path)), quantity, unit)
    assert np.array_equal(found.array_kji, expected.array_kji)
    assert np.abs(found.geometry.ijk_to_lps - expected.geometry.ijk_to_lps).max() < 1e-9


def test_regions_on_the_grids_of_ct_and_activity_are_those_of_the_command(shared_data: Path) -> None:
    folder = shared_data / "lu177_dotatate_patient"
    labels = folder / "patient15_labels.nii.gz"
    node = slicer.util.loadLabelVolume(str(labels))
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "organs")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(node)
    assert slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(node, segmentation)
    label_map = read_label_map(labels, folder / "labels.csv")
    for name in FILES:
        geometry = geometryOfVolume(slicer.util.loadVolume(str(folder / name)))
        expected = regions_of(resample_labels(label_map, geometry), skip_absent=True)
        found = regionsFromSegmentation(segmentation, geometry)
        for wanted, region in zip(expected, found, strict=True):
            assert np.array_equal(region.mask_kji, wanted.mask_kji), wanted.name
