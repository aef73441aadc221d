"""Dose figures in the module Segment Statistics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import STRAIGHT, dose_volume, region  # noqa: E402

from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from radiodosimetry.voxel_dose.statistics import region_statistics  # noqa: E402
from RadioDosimetryLib.segmentations import segmentationFromRegions, segmentNames  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume  # noqa: E402

REGIONS = [region("liver", STRAIGHT, (9, 9, 9), 5), region("lesion", STRAIGHT, (9, 10, 12), 2)]


@pytest.fixture
def statistics(scene: Any) -> Any:
    pytest.importorskip("SegmentStatistics", reason="the host has no module Segment Statistics")
    import SegmentStatistics

    from RadioDosimetryLib.doseStatisticsPlugin import registerDoseStatistics

    registerDoseStatistics()
    return SegmentStatistics.SegmentStatisticsLogic()


def _computed(logic: Any, volume_node: Any, segmentation: Any) -> dict[str, dict[str, float]]:
    parameters = logic.getParameterNode()
    parameters.SetParameter("Segmentation", segmentation.GetID())
    parameters.SetParameter("ScalarVolume", volume_node.GetID())
    logic.computeStatistics()
    found = logic.getStatistics()
    prefix = "DoseStatisticsPlugin."
    return {
        name: {
            key[1].removeprefix(prefix): value
            for key, value in found.items()
            if isinstance(key, tuple) and key[0] == identifier and key[1].startswith(prefix)
        }
        for identifier, name in segmentNames(segmentation).items()
    }


def test_dose_figures_of_segments_are_those_of_the_core(statistics: Any) -> None:
    segmentation = segmentationFromRegions(REGIONS, STRAIGHT, "regions")
    found = _computed(statistics, nodeFromVolume(dose_volume(), "dose"), segmentation)
    for row in region_statistics(dose_volume(), None, REGIONS):
        figures = found[row.region]
        assert figures["mean_dose_gy"] == pytest.approx(row.mean_gy, rel=1e-12)
        assert (figures["d98_gy"], figures["d50_gy"], figures["d2_gy"]) == (row.d98_gy, row.d50_gy, row.d2_gy)
        assert (figures["min_dose_gy"], figures["max_dose_gy"]) == (row.min_gy, row.max_gy)
        assert figures["d98_gy"] <= figures["d95_gy"] <= figures["d50_gy"]
        assert "total_tia_mbq_h" not in figures


@pytest.mark.parametrize(
    ("quantity", "key", "factor"),
    [
        (Quantity.ACTIVITY_CONCENTRATION, "total_activity_mbq", 1e-6),
        (Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION, "total_tia_mbq_h", 1e-6 / 3600),
    ],
)
def test_activity_maps_have_their_totals(statistics: Any, quantity: Quantity, key: str, factor: float) -> None:
    volume = QuantitativeVolume(np.full(STRAIGHT.shape_kji, 5e5), STRAIGHT, quantity)
    segmentation = segmentationFromRegions(REGIONS[:1], STRAIGHT, "regions")
    found = _computed(statistics, nodeFromVolume(volume, "map"), segmentation)["liver"]
    expected = 5e5 * REGIONS[0].voxel_count * STRAIGHT.voxel_volume_ml * factor
    assert found == {key: pytest.approx(expected, rel=1e-12)}


def test_volumes_and_segments_that_have_no_dose_figures_have_none(statistics: Any) -> None:
    segmentation = segmentationFromRegions(REGIONS[:1], STRAIGHT, "regions")
    segmentation.GetSegmentation().AddEmptySegment("s", "nothing")
    ct = nodeFromVolume(QuantitativeVolume(np.zeros(STRAIGHT.shape_kji, np.int16), STRAIGHT, Quantity.CT_NUMBER), "ct")
    assert _computed(statistics, ct, segmentation) == {"liver": {}, "nothing": {}}
    foreign = slicer.util.addVolumeFromArray(np.ones((2, 2, 2)))
    assert _computed(statistics, foreign, segmentation) == {"liver": {}, "nothing": {}}
    dose = _computed(statistics, nodeFromVolume(dose_volume(), "dose"), segmentation)
    assert dose["nothing"] == {}
    assert dose["liver"]["mean_dose_gy"] > 0


def test_every_figure_has_a_name_and_a_unit(statistics: Any) -> None:
    from RadioDosimetryLib.doseStatisticsPlugin import DoseStatisticsPlugin

    plugin = DoseStatisticsPlugin()
    for key in plugin.keys:
        info = plugin.getMeasurementInfo(key)
        assert info["name"]
        assert info["units"] == {"y": "Gy", "q": "MBq", "h": "MBq.h"}[key[-1]]
    assert plugin.getMeasurementInfo("nonsense") is None
