"""Dose volumes in Slicer's dialog "Export to DICOM": each becomes one RT Dose file. Import it through
`registerRTDoseExport`: it needs the DICOM module."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import slicer
from DICOMLib import DICOMPlugin
from slicer.i18n import tr as _

from .hierarchy import subjectHierarchy
from .quantities import quantityOf
from .volumes import volumeFromNode

PLUGIN_NAME = "RadioDosimetryRTDosePlugin"
"""Key under which the DICOM module knows the plugin; each exportable names it."""

CONFIDENCE = 0.9
"""Above that of a scalar volume (0.5), below SlicerRT's (1.0), which also writes plan and structures."""

_STUDY_TAGS = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID", "StudyDate")
"""Tags of the dialog that go into a file without a CT as reference."""


class RTDoseExportPlugin(DICOMPlugin):
    """Writes absorbed dose as RT Dose; imports nothing (Slicer and SlicerRT read RT Dose)."""

    def __init__(self) -> None:
        super().__init__()
        self.loadType = _("RT Dose (RadioDosimetry)")

    def examineForExport(self, subjectHierarchyItemID: int) -> list:
        """One exportable for a volume that holds absorbed dose, else none."""
        node = subjectHierarchy().GetItemDataNode(subjectHierarchyItemID)
        if node is None or not node.IsA("vtkMRMLScalarVolumeNode"):
            return []
        quantity = quantityOf(node)
        if quantity is None or quantity.value != "absorbed_dose":
            return []
        exportable = slicer.qSlicerDICOMExportable()
        exportable.name = self.loadType
        exportable.tooltip = _("Writes one RT Dose file in Gy, on the grid of the volume")
        exportable.subjectHierarchyItemID = subjectHierarchyItemID
        exportable.pluginClass = PLUGIN_NAME
        exportable.confidence = CONFIDENCE
        exportable.setTag("SeriesDescription", node.GetName())
        exportable.setTag("Modality", "RTDOSE")
        return [exportable]

    def export(self, exportables) -> str:
        """Write the files into the folder that the dialog set; what went wrong, or nothing."""
        from radiodosimetry.errors import RadioDosimetryError

        problems = []
        for exportable in exportables:
            try:
                _export(exportable)
            except (RadioDosimetryError, OSError) as error:
                problems.append(str(error))
        return "\n".join(problems)


def registerRTDoseExport() -> None:
    """Offer the export in Slicer's dialog."""
    plugins = getattr(slicer.modules, "dicomPlugins", None)
    if plugins is None:
        plugins = slicer.modules.dicomPlugins = {}
    plugins[PLUGIN_NAME] = RTDoseExportPlugin


def _export(exportable) -> None:
    from radiodosimetry.errors import OutputError
    from radiodosimetry.images.dicom_rtdose_writer import write_rtdose
    from radiodosimetry.units import Quantity

    node = subjectHierarchy().GetItemDataNode(exportable.subjectHierarchyItemID)
    dose = volumeFromNode(node, Quantity.ABSORBED_DOSE)
    folder = Path(exportable.directory)
    if not folder.is_dir():
        raise OutputError(_("The folder {folder} does not exist; choose another one.").format(folder=folder))
    reference = _referenceFile(node)
    # the record beside the file has no place among DICOM files
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "dose.dcm"
        write_rtdose(dose, path, reference=reference, description=exportable.tag("SeriesDescription") or node.GetName())
        if reference is None:
            _setStudyTags(path, exportable)
        shutil.copy(path, folder / f"RTDOSE_{_uid(path)}.dcm")


def _referenceFile(doseNode) -> Path | None:
    """A file of the CT that the dose was made from, where it lies in the DICOM database."""
    from .voxelDoseOutputs import CT_ROLE

    database = getattr(slicer, "dicomDatabase", None)
    ct = doseNode.GetNodeReference(CT_ROLE)
    uids = (ct.GetAttribute("DICOM.instanceUIDs") or "").split() if ct is not None else []
    name = database.fileForInstance(uids[0]) if uids and database is not None else ""
    return Path(name) if name and Path(name).is_file() else None


def _setStudyTags(path: Path, exportable) -> None:
    """Patient and study of the dialog into a file that had no reference."""
    import pydicom

    dataset = pydicom.dcmread(path)
    for keyword in _STUDY_TAGS:
        value = exportable.tag(keyword)
        if value:
            setattr(dataset, keyword, value)
    dataset.save_as(path, enforce_file_format=True)


def _uid(path: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID)
