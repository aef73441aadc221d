"""A scene saved and opened again: volumes, units, colours, regions, tables, charts, sequences; and serial scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import FRAME, OBLIQUE, dose_volume, region  # noqa: E402

from radiodosimetry.errors import InputError  # noqa: E402
from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from radiodosimetry.voxel_dose.dose_volume import dvh  # noqa: E402
from radiodosimetry.voxel_dose.statistics import region_statistics  # noqa: E402
from RadioDosimetryLib import display, isodose, plots, sequences, tables  # noqa: E402
from RadioDosimetryLib.hierarchy import placeUnderStudyOf  # noqa: E402
from RadioDosimetryLib.segmentations import regionsFromSegmentation, segmentationFromRegions  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume, recordOf, volumeFromNode  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")

REGIONS = [region("kidney", OBLIQUE, (5, 6, 6), 4), region("lesion", OBLIQUE, (5, 6, 8), 3)]


def _reopened(path: Path) -> None:
    slicer.util.saveScene(str(path))
    assert path.stat().st_size > 1000
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    slicer.util.loadScene(str(path))


def _fill_scene() -> None:
    volume = dose_volume(OBLIQUE)
    dose = nodeFromVolume(volume, "dose")
    ct = nodeFromVolume(QuantitativeVolume(np.zeros(OBLIQUE.shape_kji, np.int16), OBLIQUE, Quantity.CT_NUMBER), "ct")
    display.showDose(dose, ct)
    placeUnderStudyOf(dose, ct)
    isodose.isodoseLines(dose, [4.0])
    segmentation = segmentationFromRegions(REGIONS, OBLIQUE, "regions")
    made = [tables.dvhTable(dvh(volume, entry), dose, segmentation) for entry in REGIONS]
    tables.doseTable(region_statistics(volume, None, REGIONS), "region table", record=volume.record)
    plots.dvhChart(made, "histograms")


def test_a_saved_scene_opens_with_units_colours_regions_tables_and_charts(tmp_path: Path) -> None:
    _fill_scene()
    _reopened(tmp_path / "case.mrb")
    dose = slicer.util.getNode("dose")
    volume = volumeFromNode(dose)
    assert np.array_equal(volume.array_kji, dose_volume(OBLIQUE).array_kji)
    assert volume.array_kji.dtype == np.float32
    assert volume.geometry.same_grid(OBLIQUE)
    assert volume.geometry.frame_of_reference_uid == FRAME
    assert volume.quantity is Quantity.ABSORBED_DOSE
    assert recordOf(dose).warnings == ("not a real dose",)
    assert dose.GetAttribute("DicomRtImport.DoseVolume") == "1"
    shown = dose.GetDisplayNode()
    assert shown.GetColorNode().GetName() == "RadioDosimetry_Dose"
    assert shown.GetColorNode().GetNumberOfColors() == 256
    assert shown.GetApplyThreshold()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorLegendDisplayNode") == 1
    found = regionsFromSegmentation(slicer.util.getNode("regions"), OBLIQUE)
    for given, back in zip(REGIONS, found, strict=True):
        assert np.array_equal(given.mask_kji, back.mask_kji)
    table = slicer.util.getNode("region table")
    assert tables.columnsOf(table)["Structure"] == ["kidney", "lesion"]
    assert table.GetColumnUnitLabel("Mean dose (Gy)") == "Gy"
    histogram = slicer.util.getNode("kidney_DvhTable")
    assert histogram.GetNodeReference("doseVolumeRef") is dose
    chart = slicer.util.getNode("histograms")
    assert chart.GetNthPlotSeriesNode(0).GetTableNode() is histogram
    assert slicer.util.getNode("4 Gy isodose").GetPolyData().GetNumberOfPoints() > 0


def test_colours_of_an_opened_scene_are_used_again(tmp_path: Path) -> None:
    _fill_scene()
    _reopened(tmp_path / "case.mrb")
    display.showDose(slicer.util.getNode("dose"))
    assert len(slicer.util.getNodes("RadioDosimetry_Dose*")) == 1


def test_serial_scans_come_back_from_a_sequence_in_order_of_time_with_their_units() -> None:
    scans = [(24.0, 3.0), (1.5, 2.0), (96.25, 5.0)]
    volumes = [
        (hours, QuantitativeVolume(np.full(OBLIQUE.shape_kji, value), OBLIQUE, Quantity.ACTIVITY_CONCENTRATION))
        for hours, value in scans
    ]
    before = slicer.mrmlScene.GetNumberOfNodes()
    node = sequences.sequenceFromVolumes(volumes, "scans")
    assert slicer.mrmlScene.GetNumberOfNodes() == before + 1
    assert node.GetIndexUnit() == "h"
    found = sequences.volumesFromSequence(node)
    assert [hours for hours, _ in found] == [1.5, 24.0, 96.25]
    back = [volumeFromNode(item) for _, item in found]
    assert [float(volume.array_kji.max()) for volume in back] == [2.0, 3.0, 5.0]
    assert {volume.quantity for volume in back} == {Quantity.ACTIVITY_CONCENTRATION}
    assert all(volume.geometry.same_grid(OBLIQUE) for volume in back)


@pytest.mark.parametrize(("unit", "hours"), [("s", 7200 / 3600), ("min", 7200 / 60), ("h", 7200.0), ("days", 172800.0)])
def test_times_of_a_sequence_are_hours_whatever_its_unit(unit: str, hours: float) -> None:
    node = sequences.sequenceFromVolumes([(7200.0, dose_volume(OBLIQUE))], "scans")
    node.SetIndexUnit(unit)
    assert sequences.volumesFromSequence(node)[0][0] == pytest.approx(hours)


def test_times_written_as_text_are_put_in_order() -> None:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "texts")
    node.SetIndexType(slicer.vtkMRMLSequenceNode.TextIndex)
    node.SetIndexUnit("h")
    for hours in ("24", "4", "168"):
        node.SetDataNodeAtValue(nodeFromVolume(dose_volume(OBLIQUE), f"at {hours}"), hours)
    assert [hours for hours, _ in sequences.volumesFromSequence(node)] == [4.0, 24.0, 168.0]


def test_a_sequence_survives_a_saved_scene(tmp_path: Path) -> None:
    sequences.sequenceFromVolumes([(4.0, dose_volume(OBLIQUE)), (24.0, dose_volume(OBLIQUE))], "scans")
    _reopened(tmp_path / "case.mrb")
    found = sequences.volumesFromSequence(slicer.util.getNode("scans"))
    assert [hours for hours, _ in found] == [4.0, 24.0]
    volume = volumeFromNode(found[1][1])
    assert volume.quantity is Quantity.ABSORBED_DOSE
    assert volume.array_kji == pytest.approx(dose_volume(OBLIQUE).array_kji)
    assert volume.geometry.same_grid(OBLIQUE)


def test_a_sequence_is_shown_by_one_browser() -> None:
    node = sequences.sequenceFromVolumes([(4.0, dose_volume(OBLIQUE))], "scans")
    browser = sequences.browserOf(node)
    assert browser.GetMasterSequenceNode() is node
    assert sequences.browserOf(node) is browser


def test_sequences_that_are_no_serial_scans_are_refused() -> None:
    with pytest.raises(InputError, match="No sequence is chosen"):
        sequences.volumesFromSequence(None)
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "empty")
    with pytest.raises(InputError, match="Sequence 'empty' is empty"):
        sequences.volumesFromSequence(empty)
    node = sequences.sequenceFromVolumes([(4.0, dose_volume(OBLIQUE))], "scans")
    node.SetIndexUnit("mm")
    with pytest.raises(InputError, match="index of sequence 'scans' is in 'mm', expected a time in h, min, s or d"):
        sequences.volumesFromSequence(node)
    words = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "words")
    words.SetIndexType(slicer.vtkMRMLSequenceNode.TextIndex)
    words.SetIndexUnit("h")
    words.SetDataNodeAtValue(nodeFromVolume(dose_volume(OBLIQUE), "dose"), "early")
    with pytest.raises(InputError, match="stands at 'early', expected a number"):
        sequences.volumesFromSequence(words)
    transforms = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", "transforms")
    transforms.SetIndexUnit("h")
    transforms.SetDataNodeAtValue(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), "1")
    with pytest.raises(InputError, match="expected volumes"):
        sequences.volumesFromSequence(transforms)
