"""DelayedPETSynthesis: what is known of the patient by clicks, what is refused, and how uncertain results are shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from delayed_panel import HALF_LIFE_H, Doubles, opened_panel
from panel_hands import choose, columns, node_ids, wait


@pytest.fixture(autouse=True)
def _no_shipped_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from radiodosimetry.delayed_pet import shipped

    monkeypatch.setattr(shipped, "MODELS_FOLDER", tmp_path)


@pytest.fixture
def model(scene: Any) -> Iterator[Doubles]:
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel

    model = Doubles(
        takes_regions=True, largest_concentration_bq_per_ml=1e5, smallest_field_of_view_mm=(100.0, 100.0, 80.0)
    )
    registerModel(model)
    yield model
    unregisterModel(model.card.name)


@pytest.fixture
def panel(model: Doubles) -> Iterator[SimpleNamespace]:
    yield from opened_panel()


@pytest.fixture
def early(panel: SimpleNamespace) -> Any:
    """An early scan, chosen in the panel."""
    from RadioDosimetryLib.delayedPetSample import sampleEarlyScan

    early = sampleEarlyScan()
    panel.ui.earlySelector.setCurrentNode(early)
    return early


@pytest.fixture
def regions(early: Any) -> Any:
    """A body with a lesion inside, as segments that overlap."""
    import slicer

    from radiodosimetry.images.regions import Region
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.segmentations import segmentationFromRegions

    voxels = slicer.util.arrayFromVolume(early)
    parts = {"body": voxels > 0, "lesion": voxels > 30000}
    return segmentationFromRegions(
        [Region(name, mask, name) for name, mask in parts.items()], geometryOfVolume(early), "Known regions"
    )


def apply(panel: SimpleNamespace) -> None:
    assert panel.ui.applyButton.enabled, panel.ui.applyButton.toolTip
    panel.ui.applyButton.click()
    wait(panel)


def record_of(name: str) -> Any:
    import slicer

    from RadioDosimetryLib.volumes import recordOf

    return recordOf(slicer.util.getNode(name))


def test_what_is_known_of_the_patient_reaches_the_model_and_the_record(
    panel: SimpleNamespace, model: Doubles, regions: Any
) -> None:
    ui = panel.ui
    ui.regionsSelector.setCurrentNode(regions)
    choose(ui.tracerComboBox, "antibody")
    ui.administeredSpinBox.value = 250.0
    apply(panel)
    labels = model.known["labels"]
    assert list(labels.names.values()) == ["body", "lesion"]
    voxels = np.asarray(labels.array_kji)
    import slicer

    early = slicer.util.arrayFromVolume(slicer.util.getNode("Early PET"))
    np.testing.assert_array_equal(voxels == 2, early > 30000)
    np.testing.assert_array_equal(voxels == 1, (early > 0) & (early <= 30000))
    assert (model.known["tracer"], model.known["administered_bq"]) == ("antibody", 2.5e8)
    record = record_of("Early PET synthetic 24 h")
    assert record.parameters["regions"] == ["body", "lesion"]
    assert record.parameters["tracer"] == record.parameters["model_tracer"] == "antibody"
    assert record.inputs["regions"]["parameters"]["segmentation"] == "Known regions"


def test_nothing_known_is_nothing_said(panel: SimpleNamespace, model: Doubles, early: Any) -> None:
    apply(panel)
    assert (model.known["labels"], model.known["tracer"], model.known["administered_bq"]) == (None, None, None)
    assert record_of("Early PET synthetic 24 h").parameters["regions"] is None


def test_the_console_takes_the_same_choices(panel: SimpleNamespace, model: Doubles, early: Any, regions: Any) -> None:
    (node,) = panel.logic.synthesise(
        "Doubling model", early, "Cu-64", 1.0, [24.0], regionsNode=regions, tracer="Antibody", administeredMBq=250.0
    )
    assert list(model.known["labels"].names.values()) == ["body", "lesion"]
    assert record_of(node.GetName()).parameters["administered_bq"] == 2.5e8


def test_another_tracer_is_refused_with_the_one_the_model_is_for(
    panel: SimpleNamespace, early: Any, tmp_path: Path
) -> None:
    import slicer

    ui = panel.ui
    words = [ui.tracerComboBox.itemText(index) for index in range(ui.tracerComboBox.count)]
    assert words == ["not stated", "antibody", "another tracer"]
    choose(ui.tracerComboBox, "another")
    assert not ui.applyButton.enabled
    assert "was made for the tracer antibody, found another" in ui.applyButton.toolTip
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert ui.tracerComboBox.currentText == "not stated"
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.widget.initializeParameterNode()
    assert ui.tracerComboBox.currentText == "another tracer"
    choose(ui.tracerComboBox, "antibody")
    assert ui.applyButton.enabled, ui.applyButton.toolTip


def test_times_filled_in_are_those_of_the_training_not_the_ends_of_their_tolerance(
    panel: SimpleNamespace, early: Any
) -> None:
    from radiodosimetry.delayed_pet import models
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel
    from RadioDosimetryLib.delayedPetFiles import cardOfFile

    shipped = cardOfFile(Path(models.__path__[0]) / "cu64_antibody.safetensors")
    assert shipped.target_time_ranges_s == ((23 * 3600.0, 25 * 3600.0), (47 * 3600.0, 49 * 3600.0))
    same = {"target_time_ranges_s": shipped.target_time_ranges_s, "target_times_s": shipped.target_times_s}
    registerModel(Doubles("Tolerant model", **same))
    try:
        panel.widget.exit()
        panel.widget.enter()
        choose(panel.ui.modelComboBox, "Tolerant")
        panel.ui.modelTimesButton.click()
        assert panel.ui.targetTimesLineEdit.text == "24, 48"
    finally:
        unregisterModel("Tolerant model")


def test_a_tracer_stated_for_one_model_stays_when_another_is_chosen(panel: SimpleNamespace, early: Any) -> None:
    from RadioDosimetryLib.delayedPet import registerModel, unregisterModel

    ui = panel.ui
    choose(ui.tracerComboBox, "antibody")
    registerModel(Doubles("Peptide model", tracer="peptide"))
    try:
        panel.widget.exit()
        panel.widget.enter()
        choose(ui.modelComboBox, "Peptide")
        assert ui.tracerComboBox.currentText == "antibody"
        assert "was made for the tracer peptide, found antibody" in ui.applyButton.toolTip
        assert not ui.regionsSelector.enabled
        assert ui.regionsSelector.toolTip == "This model does not look at regions."
    finally:
        unregisterModel("Peptide model")


@pytest.mark.parametrize(
    ("spacing_mm", "factor", "words"),
    [
        (8.0, 1.0, "expects voxel edges of 2 to 6 mm, found 8 × 8 × 8 mm; resample the scan."),
        (4.0, 10.0, "reaches 350 kBq/mL, more than the 100 kBq/mL that 'Doubling model' accepts; check"),
        (4.0, 0.0, "holds no activity"),
        (2.5, 1.0, "covers 100 × 80 × 60 mm, 'Doubling model' needs at least 100 × 100 × 80 mm of the body."),
    ],
)
def test_a_scan_that_the_card_does_not_cover_is_refused_before_anything_runs(
    panel: SimpleNamespace, spacing_mm: float, factor: float, words: str
) -> None:
    import slicer

    from RadioDosimetryLib.delayedPetSample import sampleEarlyScan

    early = sampleEarlyScan()
    early.SetSpacing(spacing_mm, spacing_mm, spacing_mm)
    slicer.util.updateVolumeFromArray(early, factor * slicer.util.arrayFromVolume(early))
    panel.ui.earlySelector.setCurrentNode(early)
    assert not panel.ui.applyButton.enabled
    assert words in panel.ui.applyButton.toolTip


def test_regions_that_cannot_be_used_are_named(panel: SimpleNamespace, early: Any) -> None:
    import slicer

    from radiodosimetry.images.regions import Region
    from RadioDosimetryLib.geometries import geometryOfVolume
    from RadioDosimetryLib.segmentations import segmentationFromRegions

    ui = panel.ui
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Empty")
    ui.regionsSelector.setCurrentNode(empty)
    assert ui.applyButton.toolTip == "Segmentation 'Empty' has no segment; draw a region, or select none."
    mask = slicer.util.arrayFromVolume(early) > 30000
    beside = replace(geometryOfVolume(early), origin_mm=(5000.0, 0.0, 0.0))
    node = segmentationFromRegions([Region("lesion", mask, "lesion")], beside, "Beside")
    ui.regionsSelector.setCurrentNode(node)
    before = node_ids()
    ui.applyButton.click()
    wait(panel)
    assert "Segment 'lesion' is empty, or has no voxel inside the volume" in ui.statusLabel.text
    assert node_ids() == before


def test_activities_and_their_uncertainties_are_in_a_table(panel: SimpleNamespace, early: Any, regions: Any) -> None:
    import slicer

    ui = panel.ui
    ui.regionsSelector.setCurrentNode(regions)
    apply(panel)
    assert not ui.resultsCollapsibleButton.collapsed
    node = ui.activitiesTableSelector.currentNode()
    assert ui.activitiesTableView.mrmlTableNode() is node
    table = columns(node)
    assert table["Region"] == ["whole image", "body", "lesion"] * 2
    assert table["Time (h)"] == [24.0] * 3 + [48.0] * 3
    voxels = slicer.util.arrayFromVolume(early).astype(float)
    doubled = 2.0 * voxels * 2.0 ** (-23.0 / HALF_LIFE_H)
    expected_mbq = doubled[voxels > 30000].sum() * 0.064e-6
    assert table["Activity (MBq)"][2] == pytest.approx(expected_mbq, rel=1e-5)
    assert table["± (MBq)"][2] == pytest.approx(0.1 * expected_mbq, rel=1e-5)
    assert table["± (%)"] == pytest.approx([10.0] * 6, rel=1e-5)
    assert "never measured" in node.GetAttribute("RadioDosimetry.Record")
    before = node_ids()
    panel.logic.activities(regions, node)
    assert node_ids() == before


@pytest.mark.parametrize("as_sequence", [False, True])
def test_the_uncertainty_of_a_time_is_shown_beside_its_volume_at_a_window_of_its_own(
    panel: SimpleNamespace, early: Any, as_sequence: bool
) -> None:
    import slicer

    from RadioDosimetryLib.display import sliceCompositeNodes

    ui = panel.ui
    assert ui.showUncertaintyButton.toolTip == "Synthesise volumes first."
    if as_sequence:
        ui.oneSequenceCheckBox.click()
    apply(panel)
    assert [ui.shownTimeComboBox.itemText(index) for index in range(ui.shownTimeComboBox.count)] == ["24 h", "48 h"]
    choose(ui.shownTimeComboBox, "48")
    ui.showUncertaintyButton.click()
    shown = {one.GetLayoutName(): one.GetBackgroundVolumeID() for one in sliceCompositeNodes()}
    volume, uncertain = (slicer.mrmlScene.GetNodeByID(shown[name]) for name in ("Red", "Yellow"))
    doubled = 2.0 * slicer.util.arrayFromVolume(early) * 2.0 ** (-47.0 / HALF_LIFE_H)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(volume), doubled, rtol=1e-5)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(uncertain), 0.1 * doubled, rtol=1e-5)
    for node, array, title in (
        (volume, doubled, "Activity\nBq/mL"), (uncertain, 0.1 * doubled, "Standard uncertainty\nBq/mL")
    ):  # fmt: skip
        window = [node.GetDisplayNode().GetWindowLevelMin(), node.GetDisplayNode().GetWindowLevelMax()]
        assert window[0] == 0.0
        assert 1.0 <= window[1] / array.max() < 1.5, node.GetName()
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
        assert legend.GetTitleText() == title
        assert legend.GetVisibility()
    tops = [f"{node.GetDisplayNode().GetWindowLevelMax() / 1e3:g} kBq/mL" for node in (volume, uncertain)]
    assert tops[0] != tops[1]
    said = f"Shown at 48 h: the activity from 0 to {tops[0]}, its standard uncertainty from 0 to {tops[1]}."
    assert ui.statusLabel.text == f"{said} The colours of the two do not compare."
    assert "a window of its own" in ui.showUncertaintyButton.toolTip


def test_without_uncertainty_the_button_says_so_and_the_table_has_none(panel: SimpleNamespace, early: Any) -> None:
    ui = panel.ui
    ui.uncertaintyCheckBox.click()
    apply(panel)
    assert not ui.showUncertaintyButton.enabled
    assert ui.showUncertaintyButton.toolTip == "No uncertainty was made with the results."
    table = columns(ui.activitiesTableSelector.currentNode())
    assert list(table) == ["Region", "Time (h)", "Activity (MBq)", "Mean (kBq/mL)"]


def test_a_sequence_filled_anew_has_one_uncertainty_of_the_same_times(panel: SimpleNamespace, early: Any) -> None:
    import slicer

    ui = panel.ui
    ui.oneSequenceCheckBox.click()
    apply(panel)
    before = node_ids()
    ui.targetTimesLineEdit.text = "48"
    apply(panel)
    assert node_ids() == before
    assert ui.shownTimeComboBox.count == 1
    ui.uncertaintyCheckBox.click()
    apply(panel)
    assert ui.shownTimeComboBox.count == 0
    assert slicer.util.getNode("Early PET with synthetic scans").GetNodeReference("RadioDosimetry.Uncertainty") is None


def test_what_is_known_goes_to_time_activity_fit(panel: SimpleNamespace, early: Any, regions: Any) -> None:
    from TimeActivityFit import TimeActivityFitLogic

    ui = panel.ui
    ui.regionsSelector.setCurrentNode(regions)
    ui.administeredSpinBox.value = 250.0
    apply(panel)
    ui.handOverButton.click()
    fit = TimeActivityFitLogic().getParameterNode()
    assert fit.segmentation is regions
    assert fit.administeredActivityMBq == 250.0
