"""Pictures of results saved from the panels by clicks: files, reasons, refusals, and a scene left as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

import dose_panel
import fit_panel
from dose_panel import node_ids, type_path

DOSE_FILES = {"Dose_local_Torso_Lu-177_activity.png", "Dose_local_Torso_Lu-177_activity_histograms.png"}


@pytest.fixture
def dose(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """VoxelDose's panel with the virtual torso in it."""
    for panel in dose_panel.opened_panel():
        dose_panel.loaded_torso(panel)
        yield panel


@pytest.fixture
def fit(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """TimeActivityFit's panel with the scans of the virtual torso in it."""
    for panel in fit_panel.opened_panel():
        fit_panel.loaded_torso(panel)
        yield panel


def test_a_dose_is_saved_as_slices_and_histograms_and_the_scene_stays_as_it_was(
    dose: SimpleNamespace, tmp_path: Path
) -> None:
    ui = dose.ui
    assert not ui.savePicturesButton.enabled
    assert ui.savePicturesButton.toolTip == "Compute or select a dose."
    dose_panel.apply(dose)
    assert ui.savePicturesButton.toolTip == "Choose the folder of the pictures."
    type_path(ui.picturesPathLineEdit, str(tmp_path))
    nodes, items = node_ids(), _hierarchy_items()
    _save(dose, ui)
    assert {path.name for path in tmp_path.iterdir()} == DOSE_FILES
    assert str(tmp_path) in ui.statusLabel.text
    assert all(name in ui.statusLabel.text for name in DOSE_FILES)
    assert node_ids() == nodes
    assert _hierarchy_items() == items
    assert ui.applyButton.enabled


def test_the_slices_are_slicers_and_the_histograms_those_of_the_table(
    dose: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from radiodosimetry import report
    from RadioDosimetryLib.sliceRenderer import SlicerSlices
    from RadioDosimetryLib.voxelDoseOutputs import histogramTablesOf

    dose.ui.lesionsExcludedCheckBox.click()
    dose_panel.apply(dose)
    shown = dose.ui.shownDoseSelector.currentNode()
    drawn: dict[str, Any] = {}
    slices, histograms = report.overlay_figure, report.dvh_figure

    def overlay(*arguments: Any, **options: Any) -> Any:
        drawn.update(options, regions=[region.name for region in arguments[2]], ct=arguments[1])
        return slices(*arguments, **options)

    def curves(found: Any, *arguments: Any, **options: Any) -> Any:
        drawn["histograms"] = found[""]
        return histograms(found, *arguments, **options)

    monkeypatch.setattr(report, "overlay_figure", overlay)
    monkeypatch.setattr(report, "dvh_figure", curves)
    type_path(dose.ui.picturesPathLineEdit, str(tmp_path))
    _save(dose, dose.ui)
    assert isinstance(drawn["renderer"], SlicerSlices)
    assert drawn["ct"] is not None
    assert len(drawn["contour_levels"]) > 1
    tables = histogramTablesOf(shown)
    assert drawn["regions"] == [table.GetAttribute("RadioDosimetry.Region") for table in tables]
    for found, table in zip(drawn["histograms"], tables, strict=True):
        cells = dose_panel.columns(table)
        np.testing.assert_array_equal(found.dose_gy, cells["Dose"])
        np.testing.assert_array_equal(found.cumulative_volume_percent, cells["Volume"])
        width = np.diff(found.dose_gy)
        assert float((found.differential_volume_percent_per_gy[:-1] * width).sum()) == pytest.approx(100.0)


def test_pictures_that_are_there_stay_and_the_panel_says_so(dose: SimpleNamespace, tmp_path: Path) -> None:
    dose_panel.apply(dose)
    kept = tmp_path / min(DOSE_FILES)
    kept.write_text("mine")
    type_path(dose.ui.picturesPathLineEdit, str(tmp_path))
    _save(dose, dose.ui)
    assert "already" in dose.ui.statusLabel.text
    assert kept.name in dose.ui.statusLabel.text
    assert kept.read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_folder_that_takes_no_picture_gives_a_message(dose: SimpleNamespace, tmp_path: Path, name: str) -> None:
    dose_panel.apply(dose)
    (tmp_path / "file").write_text("no folder")
    type_path(dose.ui.picturesPathLineEdit, str(tmp_path / name))
    _save(dose, dose.ui)
    assert name in dose.ui.statusLabel.text
    assert "Written" not in dose.ui.statusLabel.text
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_write_protected_folder_gives_a_message(
    dose: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_arguments: Any, **_options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    dose_panel.apply(dose)
    type_path(dose.ui.picturesPathLineEdit, str(tmp_path))
    monkeypatch.setattr(Path, "touch", refuse)  # as for a user without rights; file modes do not stop root
    _save(dose, dose.ui)
    assert dose.ui.statusLabel.text.startswith("Cannot write")
    assert "ermission" in dose.ui.statusLabel.text
    assert list(tmp_path.iterdir()) == []


def test_a_host_without_slice_logic_gets_matplotlibs_slices(
    dose: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    from radiodosimetry.report.slice_rendering import MatplotlibSlices

    planes = []
    draw = MatplotlibSlices.draw
    monkeypatch.setattr(
        MatplotlibSlices, "draw", lambda self, axes, *others: (planes.append(others[1]), draw(self, axes, *others))
    )
    dose_panel.apply(dose)
    monkeypatch.delattr(slicer, "vtkMRMLSliceLogic")
    assert len(dose.logic.savePictures(dose.ui.shownDoseSelector.currentNode(), tmp_path)) == 2
    assert planes == ["axial", "coronal", "sagittal"]


def test_a_segment_that_has_gone_keeps_its_histogram_and_has_no_outline(dose: SimpleNamespace, tmp_path: Path) -> None:
    from RadioDosimetryLib.pictures import dosePictures

    dose_panel.apply(dose)
    shown, segmentation = dose.ui.shownDoseSelector.currentNode(), dose.ui.segmentationSelector.currentNode()
    segmentation.GetSegmentation().RemoveSegment(segmentation.GetSegmentation().GetNthSegmentID(0))
    assert [path.name in DOSE_FILES for path in dosePictures(shown, tmp_path).run()] == [True, True]


def test_a_dose_without_regions_or_ct_is_one_picture(dose: SimpleNamespace, tmp_path: Path) -> None:
    import slicer

    dose_panel.apply(dose)
    shown = dose.ui.shownDoseSelector.currentNode()
    alone = slicer.modules.volumes.logic().CloneVolume(slicer.mrmlScene, shown, "alone")
    for role in {role for role in _roles(alone) if role.startswith("RadioDosimetry")}:
        alone.RemoveNodeReferenceIDs(role)
    assert dose.logic.savePictures(alone, tmp_path) == [tmp_path / "alone.png"]


def test_every_fitted_curve_is_saved(fit: SimpleNamespace, tmp_path: Path) -> None:
    ui = fit.ui
    assert not ui.savePicturesButton.enabled
    assert ui.savePicturesButton.toolTip == "Measure the regions and fit their curves."
    fit_panel.click(fit, ui.applyButton)
    assert ui.savePicturesButton.toolTip == "Choose the folder of the pictures."
    type_path(ui.picturesPathLineEdit, str(tmp_path))
    nodes = node_ids()
    fit_panel.click(fit, ui.savePicturesButton)
    regions = fit_panel.columns(fit_panel.parameters(fit).fitsTable)["Region"]
    assert {path.name for path in tmp_path.iterdir()} == {f"{region}.png" for region in regions}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
    assert f"Written to {tmp_path}: {regions[0]}.png and {len(regions) - 1} other" in ui.messageLabel.text
    assert node_ids() == nodes
    fit_panel.click(fit, ui.savePicturesButton)
    assert f"and {len(regions) - 1} more of these pictures already" in ui.messageLabel.text


def test_cancelled_pictures_leave_no_file(fit: SimpleNamespace, tmp_path: Path) -> None:
    ui = fit.ui
    fit_panel.click(fit, ui.applyButton)
    type_path(ui.picturesPathLineEdit, str(tmp_path))
    ui.savePicturesButton.click()
    assert not ui.savePicturesButton.enabled
    assert "under way" in ui.savePicturesButton.toolTip
    ui.cancelButton.click()
    fit_panel.wait(fit)
    assert ui.messageLabel.text.startswith("Cancelled")
    assert list(tmp_path.iterdir()) == []


def _save(panel: SimpleNamespace, ui: Any) -> None:
    assert ui.savePicturesButton.enabled, ui.savePicturesButton.toolTip
    ui.savePicturesButton.click()
    dose_panel.wait(panel)


def _hierarchy_items() -> set[int]:
    import vtk

    from RadioDosimetryLib.hierarchy import subjectHierarchy

    hierarchy, items = subjectHierarchy(), vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    return {items.GetId(number) for number in range(items.GetNumberOfIds())}


def _roles(node: Any) -> list[str]:
    roles: list[str] = []
    node.GetNodeReferenceRoles(roles)
    return roles
