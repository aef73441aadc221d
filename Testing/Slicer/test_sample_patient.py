"""The virtual patient of the Sample Data module: made quickly, the same every time, with units, times and regions."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

ORGANS = ["liver", "spleen", "left_kidney", "right_kidney", "left_lung", "right_lung", "red_marrow"]


def test_four_scans_come_within_ten_seconds_with_organs_and_lesions(scene: Any) -> None:
    from RadioDosimetryLib.samplePatient import lutetiumNodes
    from RadioDosimetryLib.segmentations import segmentNames

    start = time.perf_counter()
    ct, scans, segmentation = lutetiumNodes()
    assert time.perf_counter() - start < 10.0
    names = list(segmentNames(segmentation).values())
    assert names == [*ORGANS, *(f"lesion_{number}" for number in range(1, 8))]
    colors = {segmentation.GetSegmentation().GetNthSegment(n).GetColor() for n in range(len(names))}
    assert len(colors) == len(names)
    assert [node.GetName().split("Lu-177 ")[1][:4] for node in scans] == ["4 h", "24 h", "72 h", "168 "]
    assert ct.GetImageData().GetDimensions() == scans[0].GetImageData().GetDimensions() == (104, 72, 104)


def test_the_images_hold_the_activity_that_was_given_and_fall_with_time(scene: Any) -> None:
    from radiodosimetry.virtual_patients.sample_patient import LUTETIUM_SPECT
    from RadioDosimetryLib.samplePatient import lutetiumNodes
    from RadioDosimetryLib.volumes import volumeFromNode

    _ct, scans, _segmentation = lutetiumNodes((4.0, 24.0, 168.0), 8.0)
    volumes = [volumeFromNode(node) for node in scans]
    totals = [float(volume.array_kji.sum()) * volume.geometry.voxel_volume_ml for volume in volumes]
    given = LUTETIUM_SPECT.administered_bq
    assert given > totals[0] > totals[1] > totals[2] > 0.01 * given
    assert (volumes[1].time - volumes[0].time).total_seconds() == pytest.approx(20 * 3600.0)
    assert volumes[0].record.parameters["injection_time"]


def test_the_same_patient_comes_every_time(scene: Any) -> None:
    from RadioDosimetryLib.samplePatient import copperNodes

    first, again = copperNodes(8.0), copperNodes(8.0)
    for one, other in zip((first[0], *first[1]), (again[0], *again[1]), strict=True):
        np.testing.assert_array_equal(slicer.util.arrayFromVolume(one), slicer.util.arrayFromVolume(other))


def test_a_lesion_takes_up_antibody_from_one_hour_to_a_day(scene: Any) -> None:
    """With decay taken out: what the model that decays the early scan cannot know."""
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.samplePatient import copperNodes
    from RadioDosimetryLib.segmentations import regionsFromSegmentation

    _ct, (early, late), segmentation = copperNodes()
    masks = {r.name: r.mask_kji for r in regionsFromSegmentation(segmentation, geometryOfVolume(early))}
    decayed = 2.0 ** (-23.0 / 12.7)
    means = [slicer.util.arrayFromVolume(node)[masks["lesion_3"]].mean() for node in (early, late)]
    assert means[1] > 2.0 * means[0] * decayed


@pytest.mark.parametrize("name", ["VoxelDose", "TimeActivityFit", "DelayedPETSynthesis"])
def test_every_module_offers_the_patient_in_sample_data(
    scene: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib
    from pathlib import Path

    module = importlib.import_module(name)
    monkeypatch.setattr(slicer.modules, "sampleDataSources", {}, raising=False)
    module.registerSampleData()
    sources = [s for s in slicer.modules.sampleDataSources["RadioDosimetry"] if name in Path(s.thumbnailFileName).stem]
    assert [source.sampleName.split(":")[0] for source in sources] == ["Virtual patient"]
    assert Path(sources[0].thumbnailFileName).is_file()
