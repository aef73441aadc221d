"""What VoxelDose leaves in the scene: dose, uncertainty, region table, histograms, differences; and RT Dose files.

All nodes of a result appear, or none does (`outputs.allOrNothing`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer

from .hierarchy import placeInFolder, placeUnderStudyOf
from .outputs import allOrNothing, inScene, refuseInputAsOutput, removeOnceStored
from .plots import dvhChart
from .quantities import DOSE_VOLUME_ATTRIBUTE
from .segmentations import segmentNames
from .tables import doseTable, dvhTable
from .translation import tr as _
from .volumes import nodeFromVolume, volumeFromNode

if TYPE_CHECKING:
    from radiodosimetry.workflows.dose import DoseResult

CT_ROLE, ACTIVITY_ROLE, SEGMENTATION_ROLE = (
    "RadioDosimetry.ctRef",
    "RadioDosimetry.activityRef",
    "RadioDosimetry.segmentationRef",
)
"""References of a dose node to what it was computed from."""

UNCERTAINTY_ROLE, TABLE_ROLE, HISTOGRAM_ROLE, CHART_ROLE = (
    "RadioDosimetry.uncertaintyRef",
    "RadioDosimetry.doseTableRef",
    "RadioDosimetry.dvhTableRef",
    "RadioDosimetry.dvhChartRef",
)
"""References of a dose node to what was made beside it."""


@dataclass(frozen=True, eq=False)
class DoseNodes:
    """Nodes of a dose.

    Attributes
    ----------
    dose
        Volume of absorbed dose [Gy].
    uncertainty
        Volume of the relative standard uncertainty; None for methods that state none.
    table
        Region table; None without regions.
    histograms
        Dose-volume histogram table of each region.
    chart
        Plot chart of the histograms; None without regions.
    """

    dose: Any
    uncertainty: Any
    table: Any
    histograms: tuple[Any, ...]
    chart: Any


@dataclass(frozen=True, eq=False)
class DoseTargets:
    """Where a dose comes from and goes to, as nodes; outputs that are None are made.

    Attributes
    ----------
    ct, activity, segmentation
        Inputs; never written.
    dose, uncertainty, table
        Outputs.
    """

    ct: Any
    activity: Any
    segmentation: Any = None
    dose: Any = None
    uncertainty: Any = None
    table: Any = None

    def requireDistinct(self) -> None:
        """Refuse an output that is an input, shows a scan of the input sequence, or is wanted twice.

        Raises
        ------
        InputError
            Such an output.
        """
        from radiodosimetry.errors import InputError

        for output in (self.dose, self.uncertainty, self.table):
            refuseInputAsOutput(output, (self.ct, self.activity, self.segmentation))
        if self.dose is not None and self.dose is self.uncertainty:
            raise InputError(
                f"'{self.dose.GetName()}' is chosen for the dose and for its uncertainty; choose two volumes."
            )

    def withNodesOfScene(self) -> DoseTargets:
        """The same without nodes that have left the scene."""
        names = ("ct", "activity", "segmentation", "dose", "uncertainty", "table")
        return replace(self, **{name: inScene(getattr(self, name)) for name in names})


def storeDose(result: DoseResult, targets: DoseTargets, title: str) -> DoseNodes:
    """Leave a dose in the scene.

    Parameters
    ----------
    result
        What the core computed.
    targets
        Inputs, and the outputs chosen.
    title
        Name of a new dose volume; the names of others begin with it.

    Raises
    ------
    InputError
        An output is an input.
    """
    targets.requireDistinct()
    targets = targets.withNodesOfScene()
    old = None if targets.dose is None else targets.dose.GetNodeReference(CHART_ROLE)
    with allOrNothing((targets.dose, targets.uncertainty, targets.table, old)):
        dose = nodeFromVolume(result.dose, title, targets.dose or _newDoseNode(title))
        uncertainty = None
        if result.uncertainty is not None:
            uncertainty = nodeFromVolume(result.uncertainty, f"{title} uncertainty", targets.uncertainty)
        removeOnceStored(histogramTablesOf(dose))
        table, histograms, chart = None, (), None
        if result.table:
            table = doseTable(result.table, f"{title} table", targets.table, result.record)
            histograms = _histogramTables(result, dose, targets.segmentation)
            chart = dvhChart(histograms, f"{title} histogram", old, _colors(result, targets.segmentation))
            chart.SetTitle(_("Dose-volume histogram"))
        elif old is not None:
            removeOnceStored([old, *(old.GetNthPlotSeriesNode(n) for n in range(old.GetNumberOfPlotSeriesNodes()))])
        nodes = DoseNodes(dose, uncertainty, table, histograms, chart)
        _connect(nodes, targets)
    return nodes


def histogramTablesOf(doseNode) -> list[Any]:
    """Tables of the histograms that were computed with a dose, in the order of its regions."""
    count = doseNode.GetNumberOfNodeReferences(HISTOGRAM_ROLE)
    tables = [doseNode.GetNthNodeReference(HISTOGRAM_ROLE, number) for number in range(count)]
    return [table for table in tables if table is not None]


def storeDifference(referenceNode, testNode, title: str, node=None):
    """Volume of the difference of two doses, test minus reference [Gy].

    Raises
    ------
    InputError
        A node is missing or holds no absorbed dose, or the output is an input.
    GeometryMismatchError
        The doses lie on different grids.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.images.geometry import require_same_grid
    from radiodosimetry.provenance import Record
    from radiodosimetry.units import Quantity

    if referenceNode is None or testNode is None or referenceNode is testNode:
        raise InputError("A difference needs two doses; choose a reference dose and another one.")
    refuseInputAsOutput(node, (referenceNode, testNode))
    reference = volumeFromNode(referenceNode, Quantity.ABSORBED_DOSE)
    test = volumeFromNode(testNode, Quantity.ABSORBED_DOSE)
    require_same_grid(reference.geometry, test.geometry, referenceNode.GetName(), testNode.GetName())
    record = Record(
        "difference of two absorbed doses, test minus reference",
        inputs={"reference": reference.record.as_dict(), "test": test.record.as_dict()},
    )
    difference = test.with_array(test.array_kji - reference.array_kji, record=record)
    node = inScene(node)
    with allOrNothing((node,)):
        made = nodeFromVolume(difference, title, node)
        made.RemoveAttribute(DOSE_VOLUME_ATTRIBUTE)  # below zero, so that no histogram is to be made of it
        placeUnderStudyOf(made, referenceNode)
    return made


def exportRtDose(doseNode, path: Path, reference: Path | None = None) -> None:
    """Write a dose volume as DICOM RT Dose, complete or not at all.

    Parameters
    ----------
    doseNode
        Volume of absorbed dose.
    path
        File to write.
    reference
        DICOM file or folder of the CT, whose patient, study and frame of reference the dose gets. None: the file of
        the CT that the dose was computed from, where Slicer's DICOM database has it.

    Raises
    ------
    UnitError
        The volume holds no absorbed dose.
    OutputError
        The file cannot be written.
    InputError
        No dose, a negative dose, or a reference that does not fit.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.images.dicom_rtdose_writer import write_rtdose
    from radiodosimetry.units import Quantity

    if doseNode is None:
        raise InputError("No dose is chosen; compute or choose one.")
    dose = volumeFromNode(doseNode, Quantity.ABSORBED_DOSE)
    write_rtdose(dose, Path(path), reference=reference or _fileOfCt(doseNode), description=doseNode.GetName())


def _newDoseNode(title: str):
    """An empty dose volume, marked as one before it enters the scene: boxes that list doses look at that moment."""
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetName(slicer.mrmlScene.GenerateUniqueName(title))
    node.SetAttribute(DOSE_VOLUME_ATTRIBUTE, "1")
    return slicer.mrmlScene.AddNode(node)


def _histogramTables(result: DoseResult, doseNode, segmentationNode) -> tuple[Any, ...]:
    from radiodosimetry.voxel_dose.dose_volume import dvh

    ofName = {name: segmentID for segmentID, name in segmentNames(segmentationNode).items()}
    return tuple(
        dvhTable(dvh(result.dose, region), doseNode, segmentationNode, ofName.get(region.name))
        for region in result.regions
    )


def _colors(result: DoseResult, segmentationNode) -> list[tuple[float, ...]] | None:
    """Colours of the segments, in the order of the regions; None without a segmentation."""
    names = segmentNames(segmentationNode)
    ofName = {name: segmentationNode.GetSegmentation().GetSegment(key).GetColor() for key, name in names.items()}
    found = [ofName.get(region.name) for region in result.regions]
    return [color for color in found if color is not None] if None not in found else None


def _connect(nodes: DoseNodes, targets: DoseTargets) -> None:
    """References between the nodes, and their place in the subject hierarchy."""
    for role, node in (
        (CT_ROLE, targets.ct),
        (ACTIVITY_ROLE, targets.activity),
        (SEGMENTATION_ROLE, targets.segmentation),
    ):
        nodes.dose.SetNodeReferenceID(role, node.GetID() if node is not None else None)
    made = ((UNCERTAINTY_ROLE, nodes.uncertainty), (TABLE_ROLE, nodes.table), (CHART_ROLE, nodes.chart))
    for role, node in made:
        nodes.dose.SetNodeReferenceID(role, node.GetID() if node is not None else None)
    nodes.dose.RemoveNodeReferenceIDs(HISTOGRAM_ROLE)
    for number, histogram in enumerate(nodes.histograms):
        nodes.dose.SetNthNodeReferenceID(HISTOGRAM_ROLE, number, histogram.GetID())
    for node in (nodes.dose, nodes.uncertainty, nodes.table, nodes.chart):
        if node is not None:
            placeUnderStudyOf(node, targets.activity)
    if nodes.histograms:
        placeInFolder(nodes.histograms, f"{nodes.dose.GetName()} histogram tables", nodes.dose)


def _fileOfCt(doseNode) -> Path | None:
    """A DICOM file of the CT that a dose was computed from; None where there is none."""
    ct = doseNode.GetNodeReference(CT_ROLE)
    uids = (ct.GetAttribute("DICOM.instanceUIDs") or "").split() if ct is not None else []
    database = getattr(slicer, "dicomDatabase", None)
    name = database.fileForInstance(uids[0]) if uids and database is not None else ""
    return Path(name) if name and Path(name).is_file() else None
