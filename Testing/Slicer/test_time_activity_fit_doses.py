"""Organ doses in TimeActivityFit's panel, by clicks: whose S-values, which radiobiology, with real results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")

from fit_panel import (
    GIVEN_MBQ,
    ORGAN,
    REGION,
    choose,
    click,
    columns,
    loaded_torso,
    node_ids,
    opened_panel,
    parameters,
    type_path,
)

from radiodosimetry.organ_dose import ResidenceTime


@pytest.fixture
def panel(application: Any, scene: Any) -> Iterator[SimpleNamespace]:
    """The panel of the module, opened on an empty scene."""
    yield from opened_panel()


@pytest.fixture
def torso(panel: SimpleNamespace) -> SimpleNamespace:
    """The virtual torso in the table of scans."""
    return loaded_torso(panel)


def test_organ_doses_by_clicks_are_those_of_the_console(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    import slicer

    from RadioDosimetryLib.timeActivityDoses import lesionMasses
    from RadioDosimetryLib.timeActivityKept import curvesFromTable
    from RadioDosimetryLib.timeActivityResults import organsByName

    ui = panel.ui
    assert ui.regionsTable.cellWidget(3, ORGAN).currentText == "kidneys"
    click(panel, ui.applyButton)
    choose(ui.sValuesComboBox, "female")
    choose(ui.regionsTable.cellWidget(6, ORGAN), "none")
    click(panel, ui.organDosesButton)
    chosen = parameters(panel)
    regions = columns(chosen.fitsTable)["Region"]
    organs = {region: organ for region, organ in organsByName(regions).items() if region != regions[6]}
    masses = lesionMasses(curvesFromTable(chosen.curvesTable)[0])
    expected = panel.logic.organDoses(chosen.fitsTable, "adult-female", organs, lesionMassesG=masses)
    found = columns(ui.organDoseTableSelector.currentNode())
    assert found["Target"] == columns(expected)["Target"]
    np.testing.assert_allclose(found["Dose (Gy)"], columns(expected)["Dose (Gy)"], rtol=1e-12)
    assert ui.effectiveDoseLabel.text.startswith("Effective dose (ICRP 103): ")
    words = ui.effectiveDoseLabel.text
    assert slicer.util.saveScene(str(tmp_path / "case.mrb"))
    slicer.mrmlScene.Clear(0)
    assert (ui.effectiveDoseLabel.text, ui.messageLabel.text) == ("", "Add at least one scan.")
    slicer.util.loadScene(str(tmp_path / "case.mrb"))
    panel.widget.initializeParameterNode()
    assert ui.effectiveDoseLabel.text == words
    assert ui.organDosesTable.rowCount == len(found["Target"])


def test_s_values_of_the_patient_need_the_patients_ct(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    import qt

    ui = panel.ui
    for row in range(ui.regionsTable.rowCount):
        if ui.regionsTable.item(row, REGION).text() not in ("liver", "spleen"):
            ui.regionsTable.item(row, REGION).setCheckState(qt.Qt.Unchecked)
    click(panel, ui.applyButton)
    choose(ui.sValuesComboBox, "Patient")
    assert ui.organDosesButton.toolTip == "Choose the CT of the patient."
    ui.patientCTSelector.setCurrentNode(torso.ct)
    ui.spacingSpinBox.value = 16.0
    ui.historiesSpinBox.value = 2000
    click(panel, ui.organDosesButton)
    assert columns(ui.organDoseTableSelector.currentNode())["Target"] == ["liver", "spleen"]
    assert ui.effectiveDoseLabel.text == ""


def _with_organs(panel: SimpleNamespace, organs: dict[str, str]) -> None:
    """Choose these organs of regions, and none for all others."""
    table = panel.ui.regionsTable
    for row in range(table.rowCount):
        choose(table.cellWidget(row, ORGAN), organs.get(table.item(row, REGION).text(), "none"))


def _residence_times(panel: SimpleNamespace) -> dict[str, ResidenceTime]:
    found = columns(parameters(panel).residenceTimeTable)
    rows = zip(found["region"], found["residence_time_h"], found["std"], strict=True)
    return {region: ResidenceTime(3600.0 * value, 3600.0 * std) for region, value, std in rows}


PAIRS = (
    "target,source,s_mgy_per_mbq_s,std\n"
    "kidneys,kidneys,2.9e-4,1e-6\nkidneys,salivary_glands,1e-9,0\n"
    "salivary_glands,salivary_glands,1.1e-3,2e-6\nsalivary_glands,kidneys,2e-9,0\n"
)
MATRIX = "S in mGy/(MBq h),kidneys,salivary_glands\nkidneys,1.044,3.6e-6\nsalivary_glands,7.2e-6,3.96\n"
"""The same S-values per hour."""

FILES = [(PAIRS, ""), (MATRIX, ""), (MATRIX.replace("S in mGy/(MBq h)", "S"), "mGy/(MBq h)")]
"""Text of a file of S-values, and the unit that a person must choose for it."""


@pytest.mark.parametrize(("text", "unit"), FILES)
def test_s_values_of_a_file_bring_their_own_organs(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path, text: str, unit: str
) -> None:
    ui = panel.ui
    click(panel, ui.applyButton)
    assert ui.sValuesPathLineEdit.isVisibleTo(ui.organDosesCollapsibleButton) is False
    choose(ui.sValuesComboBox, "A file of yours")
    assert ui.sValuesPathLineEdit.isVisibleTo(ui.organDosesCollapsibleButton)
    assert ui.organDosesButton.toolTip == "Choose the file of S-values."
    path = tmp_path / "s.csv"
    path.write_text(text, encoding="utf-8")
    ui.sValuesPathLineEdit.currentPath = str(path)
    if unit:
        click(panel, ui.organDosesButton)
        assert "Found no unit of the S-values in 's.csv'" in ui.messageLabel.text
        choose(ui.sValuesUnitComboBox, unit)
    _with_organs(panel, {"left_kidney": "kidneys", "right_kidney": "kidneys", "spleen": "salivary glands"})
    click(panel, ui.organDosesButton)
    found = columns(ui.organDoseTableSelector.currentNode())
    times = _residence_times(panel)
    kidneys = times["left_kidney"].value_s + times["right_kidney"].value_s
    glands = times["spleen"].value_s
    expected = [
        GIVEN_MBQ * 1e6 * (2.9e-13 * kidneys + 1e-18 * glands),
        GIVEN_MBQ * 1e6 * (2e-18 * kidneys + 1.1e-12 * glands),
    ]
    assert found["Target"] == ["kidneys", "salivary_glands"]
    np.testing.assert_allclose(found["Dose (Gy)"], expected, rtol=1e-6)
    shown = [[ui.organDosesTable.item(row, column).text() for column in (0, 1, 3)] for row in (0, 1)]
    assert shown == [["salivary glands", f"{expected[1]:.3g}", ""], ["kidneys", f"{expected[0]:.3g}", ""]]
    assert ui.effectiveDoseLabel.text == ""


@pytest.mark.parametrize(
    ("field", "name", "what", "button"),
    [
        ("recoveryPathLineEdit", "recoveryFile", "table of recovery coefficients", "applyButton"),
        ("massesPathLineEdit", "massesFile", "table of organ masses", "organDosesButton"),
        ("sValuesPathLineEdit", "sValuesFile", "file of S-values", "organDosesButton"),
        ("radiobiologyPathLineEdit", "radiobiologyFile", "table of radiobiology", "organDosesButton"),
    ],
)
def test_a_file_that_is_not_there_is_named_on_the_button_and_none_is_kept_in_secret(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path, field: str, name: str, what: str, button: str
) -> None:
    ui = panel.ui
    click(panel, ui.applyButton)
    if name == "sValuesFile":
        choose(ui.sValuesComboBox, "A file of yours")
    if name == "radiobiologyFile":
        ui.bedCheckBox.click()
    edit, pressed = getattr(ui, field), getattr(ui, button)
    (tmp_path / "table.csv").write_text(PAIRS, encoding="utf-8")
    type_path(edit, str(tmp_path / "table.csv"))
    assert pressed.enabled, pressed.toolTip
    type_path(edit, str(tmp_path / "tabel.csv"))
    assert not pressed.enabled
    reason = f"tabel.csv' is no file that can be read: choose another {what}, or empty the field."
    assert pressed.toolTip.endswith(reason)
    edit.comboBox().lineEdit().clear()
    ui.wholeBodyCheckBox.click()  # something else that brings the panel up to date
    assert getattr(parameters(panel), name) == edit.currentPath == ""
    assert pressed.enabled or pressed.toolTip == "Choose the file of S-values."


def test_a_path_is_typed_in_the_middle_without_the_cursor_jumping(panel: SimpleNamespace) -> None:
    line = panel.ui.recoveryPathLineEdit.comboBox().lineEdit()
    line.setText("/data/recvery.csv")
    line.cursorPosition = len("/data/rec")
    panel.ui.wholeBodyCheckBox.click()
    assert line.cursorPosition == len("/data/rec")


def test_s_values_of_another_nuclide_are_refused(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    path = tmp_path / "s.csv"
    path.write_text(PAIRS, encoding="utf-8")
    (tmp_path / "s.csv.json").write_text('{"nuclide": "Y-90"}', encoding="utf-8")
    ui = panel.ui
    click(panel, ui.applyButton)
    choose(ui.sValuesComboBox, "A file of yours")
    ui.sValuesPathLineEdit.currentPath = str(path)
    before = node_ids()
    click(panel, ui.organDosesButton)
    assert "are for Y-90, asked was Lu-177" in ui.messageLabel.text
    assert node_ids() == before


def test_bed_is_that_of_the_linear_quadratic_model(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    """D(1 + D·T_rep/((T_rep + T_eff)·α/β) of each organ with activity; the others have none."""
    ui = panel.ui
    click(panel, ui.applyButton)
    assert not ui.organAlphaBetaSpinBox.isVisibleTo(ui.organDosesCollapsibleButton)
    ui.bedCheckBox.click()
    assert ui.organAlphaBetaSpinBox.isVisibleTo(ui.organDosesCollapsibleButton)
    ui.organAlphaBetaSpinBox.value = 3.0
    ui.organRepairSpinBox.value = 2.0
    ui.lesionAlphaBetaSpinBox.value = 12.0
    ui.lesionRepairSpinBox.value = 1.0
    _with_organs(panel, {"liver": "liver", "tumour1": "lesion"})
    click(panel, ui.organDosesButton)
    found = columns(ui.organDoseTableSelector.currentNode())
    fits = columns(parameters(panel).fitsTable)
    for target, alpha_beta, repair in (("liver", 3.0, 2.0), ("tumour1", 12.0, 1.0)):
        half_life = fits["Effective half-life (h)"][fits["Region"].index(target)]
        dose = found["Dose (Gy)"][found["Target"].index(target)]
        bed = found["BED (Gy)"][found["Target"].index(target)]
        assert bed == pytest.approx(dose * (1 + dose * repair / ((repair + half_life) * alpha_beta)), rel=1e-9)
    assert np.isnan(found["BED (Gy)"][found["Target"].index("pancreas")])
    table = ui.organDosesTable
    shown = {table.item(row, 0).text(): table.item(row, 3).text() for row in range(table.rowCount)}
    assert shown["tumour1"] == f"{bed:.3g}"
    assert shown["pancreas"] == ""
    assert "BED assumes for organs α/β 3 Gy, repair half-life 2 h; for lesions α/β 12 Gy" in ui.messageLabel.text


def test_a_radiobiology_table_takes_the_place_of_what_is_typed(
    panel: SimpleNamespace, torso: SimpleNamespace, tmp_path: Path
) -> None:
    ui = panel.ui
    click(panel, ui.applyButton)
    ui.bedCheckBox.click()
    path = tmp_path / "tissues.csv"
    path.write_text(
        "region,alpha_beta_gy,repair_half_life_h,effective_half_life_h\nliver,2,3,50\nred_marrow,10,0.5,40\n",
        encoding="utf-8",
    )
    ui.radiobiologyPathLineEdit.currentPath = str(path)
    _with_organs(panel, {"liver": "liver", "spleen": "spleen"})
    click(panel, ui.organDosesButton)
    found = columns(ui.organDoseTableSelector.currentNode())
    for target, alpha_beta, repair, half_life in (("liver", 2.0, 3.0, 50.0), ("red_marrow", 10.0, 0.5, 40.0)):
        row = found["Target"].index(target)
        dose = found["Dose (Gy)"][row]
        expected = dose * (1 + dose * repair / ((repair + half_life) * alpha_beta))
        assert found["BED (Gy)"][row] == pytest.approx(expected, rel=1e-9)
    path.write_text("region,alpha_beta_gy\nliver,2\n", encoding="utf-8")
    click(panel, ui.organDosesButton)
    assert "lacks the columns repair_half_life_h, effective_half_life_h" in ui.messageLabel.text


def test_bed_without_an_administered_activity_is_not_offered(panel: SimpleNamespace, torso: SimpleNamespace) -> None:
    panel.ui.administeredSpinBox.value = 0.0
    panel.ui.bedCheckBox.click()
    click(panel, panel.ui.applyButton)
    assert not panel.ui.organDosesButton.enabled
    assert panel.ui.organDosesButton.toolTip == "Give the administered activity, and measure and fit anew."
