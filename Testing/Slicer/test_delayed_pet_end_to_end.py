"""One early PET to organ doses and a dose map by clicks through all three panels, as the commands do it with files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")
pytest.importorskip("PySide6", reason="PySide6 is not installed: no widgets")
pytest.importorskip("torch", reason="torch is not installed")

from panel_hands import choose, columns, opened, wait

from delayed_pet_samples import HOUR_S, ratio_settings, toy_patient
from radiodosimetry.cli import main
from radiodosimetry.delayed_pet import shipped
from radiodosimetry.delayed_pet.pairs import SerialPet
from radiodosimetry.delayed_pet.training import GENERAL_LIMITS, train_on_patients
from radiodosimetry.images.readers import read_volume
from radiodosimetry.images.regions import LabelMap, regions_of, write_label_map
from radiodosimetry.images.writers import write_volume

GIVEN_MBQ = 300.0
HOURS = (1.0, 24.0, 48.0)
RESULTS = ("curves.csv", "fits.json", "organs.csv", "tia.nii.gz", "dose.nii.gz")
UNKNOWN = "is synthetic and its uncertainty is not known here"
SYNTHETIC = "This volume is synthetic: it was made by a model from an early scan and was never measured."


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model trained for a moment, `toy`."""
    folder = tmp_path_factory.mktemp("models")
    trained = train_on_patients([toy_patient(seed) for seed in range(5)], ratio_settings(epochs=1), folder / "run")
    for suffix in (".safetensors", ".json"):
        trained.with_suffix(suffix).rename(folder / f"toy{suffix}")
    return folder


@pytest.fixture
def patient() -> SerialPet:
    """A patient whose regions have the names of organs."""
    patient = toy_patient(99)
    assert patient.labels is not None
    names = {**patient.labels.names, 1: "remainder_of_body"}
    return replace(patient, labels=LabelMap(patient.labels.array_kji, patient.labels.geometry, names))


@pytest.fixture
def shipped_toy(models: Path, monkeypatch: pytest.MonkeyPatch, scene: Any) -> Iterator[None]:
    """The model in the place of those that come with the package."""
    from RadioDosimetryLib.delayedPet import unregisterModel

    monkeypatch.setattr(shipped, "MODELS_FOLDER", models)
    yield
    unregisterModel("toy")


@contextmanager
def panel_of(module: str, message: str) -> Iterator[SimpleNamespace]:
    yield from opened(module, message)


def click(panel: SimpleNamespace, button: Any) -> None:
    """Press a button that can be pressed, and wait for what it starts."""
    assert button.enabled, button.toolTip
    button.click()
    wait(panel)
    assert "Beware" in panel.message.text or "TimeActivityFit has" in panel.message.text, panel.message.text


def warnings_of(node: Any) -> tuple[str, ...]:
    from RadioDosimetryLib.volumes import recordOf

    record = recordOf(node)
    assert record is not None, node.GetName()
    return record.warnings


def assert_once_and_short(warnings: Sequence[str], name: str) -> None:
    """They say once that scans were synthetic and whose the model is, and leave its limits to its card."""
    (said,) = [text for text in warnings if SYNTHETIC in text]
    assert said == f"{SYNTHETIC} The model is toy, trained on 5 patients; its card lists 2 limits.", name
    assert not [text for text in warnings if any(limit in text for limit in GENERAL_LIMITS)], name


def by_clicks(patient: SerialPet) -> dict[str, Any]:
    """Nodes that the path leaves: what each panel made."""
    import slicer

    from RadioDosimetryLib.segmentations import segmentationFromRegions
    from RadioDosimetryLib.volumes import nodeFromVolume

    assert patient.ct is not None
    assert patient.labels is not None
    early, ct = nodeFromVolume(patient.scans[HOUR_S], "Early PET"), nodeFromVolume(patient.ct, "CT")
    segmentation = segmentationFromRegions(regions_of(patient.labels), patient.labels.geometry, "Organs")
    with panel_of("DelayedPETSynthesis", "statusLabel") as panel:
        ui = panel.ui
        choose(ui.modelComboBox, "toy")
        ui.earlySelector.setCurrentNode(early)
        ui.ctSelector.setCurrentNode(ct)
        ui.regionsSelector.setCurrentNode(segmentation)
        choose(ui.tracerComboBox, "toy")
        ui.administeredSpinBox.value = GIVEN_MBQ
        click(panel, ui.applyButton)
        made = panel.logic.results()
        click(panel, ui.handOverButton)
    with panel_of("TimeActivityFit", "messageLabel") as panel:
        ui = panel.ui
        names = [ui.scansTable.item(row, 0).text() for row in range(3)]
        assert names == ["Early PET", *(one.GetName() for one in made)]
        assert [float(ui.scansTable.item(row, 1).text()) for row in range(3)] == list(HOURS)
        choose(ui.modelComboBox, "One exponential")
        click(panel, ui.applyButton)
        click(panel, ui.organDosesButton)
        assert panel.message.text.count(SYNTHETIC) == 1
        assert "Model not selected by data" not in panel.message.text  # of the fits, and said with them
        ui.patientCTSelector.setCurrentNode(ct)
        click(panel, ui.tiaButton)
        chosen = panel.logic.getParameterNode()
        fits, doses, tia = chosen.fitsTable, chosen.organDoseTable, chosen.tiaVolume
    with panel_of("VoxelDose", "statusLabel") as panel:
        ui = panel.ui
        assert (ui.activitySelector.currentNode(), ui.ctSelector.currentNode()) == (tia, ct)
        ui.segmentationSelector.setCurrentNode(segmentation)
        choose(ui.methodComboBox, "Local")
        click(panel, ui.applyButton)
        dose = ui.shownDoseSelector.currentNode()
        table = ui.resultsTableView.mrmlTableNode()
    assert slicer.mrmlScene.IsNodePresent(dose)
    return {"volumes": made, "fits": fits, "organ doses": doses, "tia": tia, "dose": dose, "dose table": table}


def by_commands(patient: SerialPet, folder: Path) -> None:
    """The same path with files: tables and images in `folder`."""
    assert patient.ct is not None
    assert patient.labels is not None
    early, ct, labels = (str(folder / f"{name}.nii.gz") for name in ("early", "ct", "labels"))
    write_volume(patient.scans[HOUR_S], Path(early))
    write_volume(patient.ct, Path(ct))
    write_label_map(patient.labels, Path(labels), folder / "labels.csv")
    regions = ["--labels", labels, "--label-names", str(folder / "labels.csv")]
    given = ["--nuclide", "Cu-64", "--administered-mbq", f"{GIVEN_MBQ:g}"]
    later = [f"{hour:g}={folder / f'pet_{hour:g}h.nii.gz'}" for hour in HOURS[1:]]
    scans = [word for scan in (f"1={early}", *later) for word in ("--scan", scan)]
    path = {name: str(folder / name) for name in RESULTS}
    for words in (
        ["synthesize", "--model", "toy", "--early", early, "--early-time-h", "1", "--time-h", "24", "--time-h", "48",
         "--ct", ct, "--tracer", "toy", *regions, *given, "--output", str(folder)],
        ["curves", *scans, *regions, *given, "--output", path["curves.csv"]],
        ["fit", path["curves.csv"], "--model", "mono", *given, "--output", path["fits.json"]],
        ["organ-dose", "--fits", path["fits.json"], "--phantom", "adult-male", *given, "--output", path["organs.csv"]],
        ["tia", "--method", "mono", *scans, "--nuclide", "Cu-64", "--output", path["tia.nii.gz"]],
        ["dose", "--method", "local", "--tia", path["tia.nii.gz"], "--ct", ct, "--nuclide", "Cu-64", *regions,
         "--output", path["dose.nii.gz"]],
    ):  # fmt: skip
        assert main(words) == 0, words[0]


def test_one_early_pet_becomes_organ_doses_and_a_dose_map_as_with_the_commands(
    shipped_toy: None, patient: SerialPet, tmp_path: Path
) -> None:
    import slicer

    made = by_clicks(patient)
    by_commands(patient, tmp_path)
    for hours, node in zip(HOURS[1:], made["volumes"], strict=True):
        expected = read_volume(tmp_path / f"pet_{hours:g}h.nii.gz").array_kji
        np.testing.assert_allclose(slicer.util.arrayFromVolume(node), expected, rtol=1e-5, atol=1e-4)
    with (tmp_path / "organs.csv").open(encoding="utf-8", newline="") as stream:
        rows = {row["target"]: row for row in csv.DictReader(stream)}
    organs = columns(made["organ doses"])
    assert organs["Target"] == list(rows)
    doses_gy = np.array(organs["Dose (Gy)"])
    assert np.isfinite(doses_gy).all()
    assert (doses_gy > 0).all()
    np.testing.assert_allclose(doses_gy, [float(row["absorbed_dose_gy"]) for row in rows.values()], rtol=1e-5)
    stds = np.array(organs["SD (mGy/MBq)"])
    np.testing.assert_allclose(stds, [float(row["std"]) for row in rows.values()], rtol=6e-3)  # three digits
    assert (stds > 0.01 * np.array(organs["Dose per activity (mGy/MBq)"])).all()  # of the synthetic scans
    assert not any(UNKNOWN in warning for warning in warnings_of(made["organ doses"]))
    dose_gy = slicer.util.arrayFromVolume(made["dose"])
    assert np.isfinite(dose_gy).all()
    assert dose_gy.max() > 0
    assert dose_gy.min() >= 0
    np.testing.assert_allclose(dose_gy, read_volume(tmp_path / "dose.nii.gz").array_kji, rtol=1e-5, atol=1e-7)
    for name in RESULTS:
        beside = tmp_path / (name if name.endswith(".json") else f"{name}.json")
        assert_once_and_short(json.loads(beside.read_text(encoding="utf-8"))["warnings"], name)


def test_every_result_of_the_path_says_that_scans_were_synthetic(shipped_toy: None, patient: SerialPet) -> None:
    made = by_clicks(patient)
    for name, node in made.items():
        for one in node if isinstance(node, list) else [node]:
            assert_once_and_short(warnings_of(one), name)
    assert all("synthetic" in node.GetName() for node in made["volumes"])
