"""Delayed PET without its panel: what a card refuses, what is left in the scene, and the comparison with a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

from radiodosimetry.errors import InputError, RadioDosimetryError, UnitError

HALF_LIFE_H = 12.7006
"""Of Cu-64, ICRP Publication 107 [h]."""

CARD: dict[str, Any] = {
    "name": "Test model",
    "version": "0.1",
    "summary": "Decays the scan and moves one half of the activity into the next slice.",
    "trained_on": "Nothing; it was written for this test.",
    "nuclides": ("Cu-64",),
    "tracer": "antibody",
    "early_time_range_s": (0.5 * 3600, 2 * 3600),
    "target_time_ranges_s": ((24 * 3600, 24 * 3600), (48 * 3600, 48 * 3600)),
    "spacing_range_mm": (2.0, 6.0),
    "gives_uncertainty": True,
    "limits": ("Made up.",),
}


class HalfMoves:
    """A model whose output follows from its input: decay, and one half of each slice goes to the next."""

    def __init__(self, **changes: Any) -> None:
        from RadioDosimetryLib.delayedPet import ModelCard

        self.card = ModelCard(**{**CARD, **changes})
        self.spoil = lambda made: made

    def synthesise(self, early, *, early_time_s, times_s, progress=None, **known):
        from radiodosimetry.progress import report_progress
        from RadioDosimetryLib.delayedPet import SyntheticVolume

        made = []
        for time_s in times_s:
            report_progress(progress, 0.5, "moving")
            array = self.expected(early.array_kji, (time_s - early_time_s) / 3600)
            made.append(SyntheticVolume(time_s, early.with_array(array), early.with_array(0.1 * array)))
        return self.spoil(made)

    @staticmethod
    def expected(array: np.ndarray, hours: float) -> np.ndarray:
        return 0.5 * (array + np.roll(array, 1, axis=0)) * 2.0 ** (-hours / HALF_LIFE_H)


def _scaled(made: Any, factor: float) -> Any:
    return replace(made, volume=made.volume.with_array(factor * made.volume.array_kji))


@pytest.fixture(autouse=True)
def _no_shipped_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The models of these tests are the only ones, whatever comes with the package."""
    from radiodosimetry.delayed_pet import shipped

    monkeypatch.setattr(shipped, "MODELS_FOLDER", tmp_path)


@pytest.fixture
def model(scene: Any) -> Iterator[HalfMoves]:
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel

    model = HalfMoves()
    registerModel(model)
    yield model
    unregisterModel(model.card.name)


@pytest.fixture
def early(scene: Any) -> Any:
    from RadioDosimetryLib.delayedPetSample import sampleEarlyScan

    return sampleEarlyScan()


@pytest.fixture
def logic(scene: Any) -> Any:
    from DelayedPETSynthesis import DelayedPETSynthesisLogic

    return DelayedPETSynthesisLogic()


def test_no_model_is_installed_by_itself(logic: Any) -> None:
    assert logic.models() == {}


def test_volumes_hold_what_the_model_made_and_say_that_they_are_synthetic(
    logic: Any, model: HalfMoves, early: Any
) -> None:
    import slicer

    from RadioDosimetryLib.volumes import recordOf

    before = slicer.util.arrayFromVolume(early).copy()
    nodes = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0, 48.0])
    assert [node.GetName() for node in nodes] == ["Early PET synthetic 24 h", "Early PET synthetic 48 h"]
    for node, hours in zip(nodes, (24.0, 48.0), strict=True):
        expected = model.expected(before, hours - 1.0)
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), expected, rtol=1e-5)
        assert node.GetVoxelValueUnits().GetCodeValue() == "Bq/ml"
        assert node.GetAttribute("RadioDosimetry.Synthetic") == "1"
        assert node.GetAttribute("RadioDosimetry.HoursAfterInjection") == f"{hours:g}"
        record = recordOf(node)
        assert record.parameters["model_limits"] == ["Made up."]
        assert len([text for text in record.warnings if "never measured" in text]) == 1
        assert record.warnings[0].endswith(
            "The model is Test model, trained on Nothing; it was written for this test; its card lists 1 limit."
        )
        assert "Made up." not in record.warnings
        uncertainty = slicer.util.getNode(f"{node.GetName()} uncertainty")
        np.testing.assert_allclose(slicer.util.arrayFromVolume(uncertainty), 0.1 * expected, rtol=1e-5)
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(early), before)
    assert logic.results() == nodes


def test_a_scan_that_is_decay_corrected_to_the_injection_is_brought_to_its_time(
    logic: Any, model: HalfMoves, early: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header of what Slicer loaded from DICOM tells, since such a node has no record of ours."""
    import pydicom
    import slicer

    from RadioDosimetryLib.sequences import volumesFromSequence
    from RadioDosimetryLib.timeActivityScans import ImageUnits, ScanNode, timedVolumes
    from RadioDosimetryLib.timeActivityWork import MeasurementOptions, regionScans

    header = pydicom.Dataset()
    header.DecayCorrection = "ADMIN"
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.128", "1.2.3"
    pydicom.dcmwrite(tmp_path / "slice.dcm", header, enforce_file_format=True)
    database = SimpleNamespace(fileForInstance=lambda uid: str(tmp_path / "slice.dcm"))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    early.SetAttribute("DICOM.instanceUIDs", "1.2.3")
    stored = slicer.util.arrayFromVolume(early)
    (sequence,) = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0], oneSequence=True)
    (_, first), (_, second) = volumesFromSequence(sequence)
    present = stored * 2.0 ** (-1.0 / HALF_LIFE_H)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(first), present, rtol=1e-5)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(second), model.expected(present, 23.0), rtol=1e-5)
    # TimeActivityFit finds the same activity, from the scan as it was loaded and from the sequence.
    options = MeasurementOptions("Cu-64")
    loaded = regionScans(timedVolumes([ScanNode(early, 1.0)], ImageUnits()), options)
    kept = regionScans(timedVolumes([ScanNode(sequence)], ImageUnits()), options)
    assert [scan.time_s for scan in (*loaded, *kept)] == [3600.0, 3600.0, 86400.0]
    for scan in (loaded[0], kept[0]):
        np.testing.assert_allclose(scan.volume.array_kji, present, rtol=1e-5)


def test_one_sequence_holds_the_early_scan_and_the_synthetic_ones_over_hours(
    logic: Any, model: HalfMoves, early: Any
) -> None:
    from RadioDosimetryLib.delayedPetResults import timedResults
    from RadioDosimetryLib.sequences import volumesFromSequence

    (sequence,) = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0, 48.0], oneSequence=True)
    assert [hours for hours, _ in volumesFromSequence(sequence)] == [1.0, 24.0, 48.0]
    assert [hours for hours, _ in timedResults(logic.results())] == [24.0, 48.0]
    again = logic.synthesise(
        "Test model", early, "Cu-64", 1.0, [24.0], oneSequence=True, sequenceNode=sequence
    )
    assert again == [sequence]
    assert [hours for hours, _ in volumesFromSequence(sequence)] == [1.0, 24.0]


def test_a_sequence_of_measured_scans_is_not_overwritten(logic: Any, model: HalfMoves, early: Any) -> None:
    from RadioDosimetryLib.sequences import sequenceFromVolumes
    from RadioDosimetryLib.volumes import volumeFromNode

    measured = sequenceFromVolumes([(1.0, volumeFromNode(early))], "Measured")
    with pytest.raises(InputError, match="'Measured' holds scans that were not made here"):
        logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0], oneSequence=True, sequenceNode=measured)
    assert measured.GetNumberOfDataNodes() == 1


@pytest.mark.parametrize(
    ("changes", "nuclide", "early_h", "target_h", "words"),
    [
        ({}, "Lu-177", 1.0, [24.0], "was made for Cu-64, found Lu-177"),
        ({}, "Cu-64", 4.0, [24.0], "expects the early scan 0.5 to 2 h after injection, found 4 h"),
        ({}, "Cu-64", 1.0, [24.0, 36.0], "cannot synthesise 36 h after injection, only 24 h, 48 h"),
        ({"spacing_range_mm": (1.0, 3.0)}, "Cu-64", 1.0, [24.0], "voxel edges of 1 to 3 mm, found 4 × 4 × 4 mm"),
        ({"needs_ct": True}, "Cu-64", 1.0, [24.0], "needs the CT of the early scan"),
        ({"largest_concentration_bq_per_ml": 1e4}, "Cu-64", 1.0, [24.0], "reaches 35 kBq/mL, more than the 10 kBq/mL"),
    ],
)
def test_what_the_card_does_not_cover_is_refused_and_changes_nothing(
    logic: Any, early: Any, changes: dict[str, Any], nuclide: str, early_h: float, target_h: list[float], words: str
) -> None:
    import slicer

    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel

    registerModel(HalfMoves(**changes))
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)  # made when first asked for
    count = slicer.mrmlScene.GetNumberOfNodes()
    try:
        with pytest.raises(InputError, match=words):
            logic.synthesise("Test model", early, nuclide, early_h, target_h)
    finally:
        unregisterModel("Test model")
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_an_empty_scan_and_suv_are_refused(logic: Any, model: HalfMoves, early: Any) -> None:
    import slicer

    slicer.util.updateVolumeFromArray(early, np.zeros_like(slicer.util.arrayFromVolume(early)))
    with pytest.raises(InputError, match="no voxel is above zero"):
        logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0])
    suv = slicer.vtkCodedEntry()
    suv.SetValueSchemeMeaning("g/ml{SUVbw}", "UCUM", "SUVbw")
    early.SetVoxelValueUnits(suv)
    with pytest.raises(UnitError, match="SUVbw"):
        logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda made: made[:1], "returned the times"),
        (lambda made: [replace(made[0], time_s=1.0), *made[1:]], "returned the times"),
        (lambda made: [_scaled(made[0], -1.0), made[1]], "below zero"),
    ],
)
def test_a_model_that_returns_something_else_is_found_out(
    logic: Any, model: HalfMoves, early: Any, spoil: Any, words: str
) -> None:
    model.spoil = spoil
    with pytest.raises(RadioDosimetryError, match=words):
        logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0, 48.0])


def test_more_activity_than_decay_leaves_is_warned_of(logic: Any, model: HalfMoves, early: Any) -> None:
    model.spoil = lambda made: [_scaled(made[0], 3.0)]
    (node,) = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0])
    assert "more than the" in node.GetAttribute("RadioDosimetry.Record")


def test_decay_alone_is_not_warned_of(logic: Any, early: Any) -> None:
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel
    from RadioDosimetryLib.delayedPetSample import DecayOnly

    registerModel(DecayOnly())
    try:
        nodes = logic.synthesise(DecayOnly.card.name, early, "Zr-89", 1.0, [24.0, 48.0])
    finally:
        unregisterModel(DecayOnly.card.name)
    assert all("more than the" not in node.GetAttribute("RadioDosimetry.Record") for node in nodes)


def test_a_model_of_another_interface_or_without_a_card_is_not_installed(scene: Any) -> None:
    from RadioDosimetryLib.delayedPet import installedModels, registerModel

    with pytest.raises(InputError, match="was made for version 99 of the interface, expected 2"):
        registerModel(HalfMoves(interface_version=99))
    with pytest.raises(InputError, match="is no model of delayed PET"):
        registerModel(SimpleNamespace())
    assert installedModels() == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "There is no target time"), ("24, x", "not numbers"), ("48, 24", "must rise"), ("0, 24", "above zero")],
)
def test_times_that_cannot_be_read_are_refused(scene: Any, text: str, words: str) -> None:
    from RadioDosimetryLib.delayedPet import hoursFromText

    with pytest.raises(InputError, match=words):
        hoursFromText(text)


def test_times_are_read_with_commas_semicolons_or_spaces(scene: Any) -> None:
    from RadioDosimetryLib.delayedPet import hoursFromText

    assert hoursFromText("24, 48") == hoursFromText("24;48") == hoursFromText(" 24 48 ") == (24.0, 48.0)


def test_the_comparison_states_the_error_that_was_put_in(logic: Any, model: HalfMoves, early: Any) -> None:
    """An acquired scan 20 % below the synthetic one, two hours earlier: the decay between is taken out."""
    import slicer

    from RadioDosimetryLib.tables import columnsOf
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    (synthetic,) = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0])
    volume = volumeFromNode(synthetic)
    undecayed = volume.array_kji / 1.2 * 2.0 ** (1.5 / HALF_LIFE_H)
    acquired = nodeFromVolume(volume.with_array(undecayed), "Acquired")
    table = columnsOf(logic.compare(acquired, 22.5, "Cu-64"))
    assert table["Region"] == ["whole image"]
    assert table["Error (%)"][0] == pytest.approx(20.0, abs=0.01)
    assert table["NRMSE (%)"][0] == pytest.approx(20.0, abs=0.01)
    assert table["Correlation"][0] == pytest.approx(1.0)
    total_mbq = slicer.util.arrayFromVolume(synthetic).sum() * 0.064e-6
    assert table["Synthetic (MBq)"][0] == pytest.approx(total_mbq, rel=1e-5)
    with pytest.raises(InputError, match="expected one within 2 h"):
        logic.compare(acquired, 30.0, "Cu-64")


def test_regions_are_compared_each_by_itself(logic: Any, model: HalfMoves, early: Any) -> None:
    from radiodosimetry.images.regions import Region
    from RadioDosimetryLib.segmentations import segmentationFromRegions
    from RadioDosimetryLib.tables import columnsOf
    from RadioDosimetryLib.volumes import nodeFromVolume, volumeFromNode

    (synthetic,) = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0])
    volume = volumeFromNode(synthetic)
    left = np.zeros(volume.array_kji.shape, dtype=bool)
    left[8:16, 8:24, :20] = True
    changed = np.where(left, 2.0 * volume.array_kji, volume.array_kji)
    acquired = nodeFromVolume(volume.with_array(changed), "Acquired")
    regions = [Region("left", left, "left"), Region("right", np.roll(left, 20, axis=2), "right")]
    segmentation = segmentationFromRegions(regions, volume.geometry, "Halves")
    table = columnsOf(logic.compare(acquired, 24.0, "Cu-64", segmentation))
    assert table["Region"] == ["whole image", "left", "right"]
    assert table["Error (%)"][1:] == pytest.approx([-50.0, 0.0], abs=1e-3)


def test_results_are_remembered_in_a_saved_scene(logic: Any, model: HalfMoves, early: Any, tmp_path: Any) -> None:
    import slicer

    logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0])
    file = tmp_path / "scene.mrb"
    assert slicer.util.saveScene(str(file))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(file))
    (node,) = logic.results()
    assert node.GetName() == "Early PET synthetic 24 h"
    assert node.GetVoxelValueUnits().GetCodeValue() == "Bq/ml"


def test_the_series_goes_to_time_activity_fit_in_the_order_of_its_times(
    logic: Any, model: HalfMoves, early: Any
) -> None:
    fit_module = pytest.importorskip("TimeActivityFit")
    nodes = logic.synthesise("Test model", early, "Cu-64", 1.0, [24.0, 48.0])
    logic.handOver("Cu-64", 1.0)
    fit = fit_module.TimeActivityFitLogic().getParameterNode()
    assert list(fit.scanNodes) == [early, *nodes]
    assert list(fit.scanHours) == [1.0, 24.0, 48.0]
    assert fit.nuclide == "Cu-64"


def test_nothing_is_handed_over_before_there_are_results(logic: Any) -> None:
    pytest.importorskip("TimeActivityFit")
    with pytest.raises(InputError, match="no synthetic volumes"):
        logic.handOver("Cu-64", 1.0)


def test_the_sample_data_show_that_decay_alone_misses_the_tumours(logic: Any, scene: Any) -> None:
    """The early sample scan, decayed, against the late one: uptake of the tumours is missed by the factor put in."""
    import DelayedPETSynthesis
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel
    from RadioDosimetryLib.delayedPetSample import DecayOnly
    from RadioDosimetryLib.tables import columnsOf

    _ct, early, late, segmentation = DelayedPETSynthesis.loadSampleScans(8.0)
    registerModel(DecayOnly())
    try:
        logic.synthesise(DecayOnly.card.name, early, "Cu-64", 1.0, [24.0])
    finally:
        unregisterModel(DecayOnly.card.name)
    table = columnsOf(logic.compare(late, 24.0, "Cu-64", segmentation))
    error = dict(zip(table["Region"], table["Error (%)"], strict=True))
    # 14 against 12 kBq/mL in the liver; its edge is blurred into tissue of which the early scan has more.
    assert error["liver"] == pytest.approx(100.0 * (14.0 / 12.0 - 1.0), abs=3.0)
    assert all(error[name] < -30.0 for name in error if name.startswith("tumour"))


def test_the_console_example_of_the_documentation_runs(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the model that comes with the package: organs and lesions err as the page says of this patient."""
    pytest.importorskip("torch", reason="the shipped model needs PyTorch")
    monkeypatch.undo()
    import re
    from pathlib import Path

    import slicer

    from RadioDosimetryLib.delayedPet import unregisterModel
    from RadioDosimetryLib.tables import columnsOf

    page = Path(__file__).resolve().parents[2] / "Resources" / "Docs" / "DelayedPETSynthesis.md"
    (example,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    try:
        exec(compile(example, str(page), "exec"), names)
    finally:
        unregisterModel("cu64_antibody")
    table = columnsOf(names["table"])
    error = dict(zip(table["Region"], table["Error (%)"], strict=True))
    organs = ("liver", "spleen", "left_kidney", "right_kidney", "left_lung", "right_lung", "red_marrow")
    assert max(abs(error[name]) for name in organs) < 23.0
    lesions = [value for name, value in error.items() if name.startswith("lesion")]
    assert sum(-63.0 < value < -39.0 for value in lesions) > len(lesions) / 2
    assert slicer.util.getNode("Patient Cu-64 PET 1 h synthetic 48 h") is names["volumes"][1]


def test_the_self_test_of_the_module_passes(scene: Any) -> None:
    from DelayedPETSynthesis import DelayedPETSynthesisTest

    test = DelayedPETSynthesisTest()
    test.delayDisplay = lambda *words: None
    test.runTest()
