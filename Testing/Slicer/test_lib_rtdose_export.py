"""RT Dose through Slicer's dialog "Export to DICOM"; the dialog's own classes are stood in for here."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer", reason="slicer-core is not installed, and this is not Slicer")

import slicer  # noqa: E402
from lib_samples import FRAME, OBLIQUE, dose_volume  # noqa: E402

from radiodosimetry.images.readers import read_volume  # noqa: E402
from radiodosimetry.images.volume import QuantitativeVolume  # noqa: E402
from radiodosimetry.units import Quantity  # noqa: E402
from RadioDosimetryLib.hierarchy import itemOf  # noqa: E402
from RadioDosimetryLib.volumes import nodeFromVolume  # noqa: E402

pytestmark = pytest.mark.usefixtures("scene")


class Exportable:
    """What the plugin tells the dialog, and the dialog the plugin."""

    def __init__(self) -> None:
        self.name = self.tooltip = self.pluginClass = self.directory = ""
        self.subjectHierarchyItemID, self.confidence = 0, 0.0
        self.tags: dict[str, str] = {}

    def setTag(self, name: str, value: str) -> None:  # noqa: N802 - Slicer's name
        self.tags[name] = value

    def tag(self, name: str) -> str:
        return self.tags.get(name, "")


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    dicom_lib = types.ModuleType("DICOMLib")
    dicom_lib.DICOMPlugin = type("DICOMPlugin", (), {"__init__": lambda self: None})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "DICOMLib", dicom_lib)
    monkeypatch.setattr(slicer, "qSlicerDICOMExportable", Exportable, raising=False)
    monkeypatch.setattr(slicer.modules, "dicomPlugins", {}, raising=False)
    monkeypatch.delitem(sys.modules, "RadioDosimetryLib.rtDosePlugin", raising=False)
    from RadioDosimetryLib import rtDosePlugin

    rtDosePlugin.registerRTDoseExport()
    yield slicer.modules.dicomPlugins[rtDosePlugin.PLUGIN_NAME]()
    sys.modules.pop("RadioDosimetryLib.rtDosePlugin", None)


def test_a_dose_is_exported_on_its_grid_in_gray_with_the_words_of_the_dialog(plugin: Any, tmp_path: Path) -> None:
    import pydicom

    dose = nodeFromVolume(dose_volume(OBLIQUE), "Lu-177 dose")
    (exportable,) = plugin.examineForExport(itemOf(dose))
    assert slicer.modules.dicomPlugins[exportable.pluginClass] is type(plugin)
    assert exportable.tag("SeriesDescription") == "Lu-177 dose"
    exportable.directory = str(tmp_path)
    for name, value in {"PatientName": "Doe^Jane", "PatientID": "42", "StudyInstanceUID": "1.2.3"}.items():
        exportable.setTag(name, value)
    assert plugin.export([exportable]) == ""
    (path,) = tmp_path.iterdir()
    header = pydicom.dcmread(path)
    assert (header.Modality, header.DoseUnits, header.SeriesDescription) == ("RTDOSE", "GY", "Lu-177 dose")
    assert (str(header.PatientName), header.PatientID, header.StudyInstanceUID) == ("Doe^Jane", "42", "1.2.3")
    assert header.FrameOfReferenceUID == FRAME
    back = read_volume(path)
    assert back.array_kji == pytest.approx(dose_volume(OBLIQUE).array_kji, abs=float(header.DoseGridScaling))
    assert back.geometry.same_grid(OBLIQUE)


def test_the_patient_of_the_ct_goes_before_the_words_of_the_dialog(
    plugin: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pydicom

    from radiodosimetry.images.dicom_rtdose_writer import write_rtdose
    from RadioDosimetryLib.voxelDoseOutputs import CT_ROLE

    reference = tmp_path / "reference.dcm"
    write_rtdose(dose_volume(OBLIQUE), reference)
    changed = pydicom.dcmread(reference)
    changed.PatientID = "of the CT"
    changed.save_as(reference)
    database = types.SimpleNamespace(fileForInstance=lambda uid: str(reference) if uid == "1.9" else "")
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)
    ct = nodeFromVolume(QuantitativeVolume(np.zeros(OBLIQUE.shape_kji, np.int16), OBLIQUE, Quantity.CT_NUMBER), "ct")
    ct.SetAttribute("DICOM.instanceUIDs", "1.9 1.10")
    dose = nodeFromVolume(dose_volume(OBLIQUE), "dose")
    dose.SetNodeReferenceID(CT_ROLE, ct.GetID())
    (exportable,) = plugin.examineForExport(itemOf(dose))
    folder = tmp_path / "out"
    folder.mkdir()
    exportable.directory = str(folder)
    exportable.setTag("PatientID", "of the dialog")
    assert plugin.export([exportable]) == ""
    (path,) = folder.iterdir()
    assert pydicom.dcmread(path).PatientID == "of the CT"


def test_the_module_registers_the_export_when_slicer_has_started(plugin: Any) -> None:
    pytest.importorskip("qt", reason="no widgets here")
    import VoxelDose

    slicer.modules.dicomPlugins.clear()
    VoxelDose.registerWithSlicer()
    assert [found.__name__ for found in slicer.modules.dicomPlugins.values()] == [type(plugin).__name__]


def test_nothing_but_a_dose_is_offered(plugin: Any) -> None:
    ct = nodeFromVolume(QuantitativeVolume(np.zeros(OBLIQUE.shape_kji, np.int16), OBLIQUE, Quantity.CT_NUMBER), "ct")
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "table")
    for node in (ct, table):
        assert plugin.examineForExport(itemOf(node)) == []


def test_what_cannot_be_exported_is_said_and_leaves_no_file(plugin: Any, tmp_path: Path) -> None:
    volume = dose_volume(OBLIQUE)
    negative = nodeFromVolume(volume.with_array(volume.array_kji - 1.0), "negative")
    (exportable,) = plugin.examineForExport(itemOf(negative))
    exportable.directory = str(tmp_path)
    assert "The lowest dose is -1 Gy" in plugin.export([exportable])
    assert list(tmp_path.iterdir()) == []
    (exportable,) = plugin.examineForExport(itemOf(nodeFromVolume(volume, "dose")))
    exportable.directory = str(tmp_path / "absent")
    assert "does not exist; choose another one" in plugin.export([exportable])
