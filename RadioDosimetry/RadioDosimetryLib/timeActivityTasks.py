# ruff: noqa: N802, N815, N999 (camelCase, as everywhere in Slicer)
"""Each step of TimeActivityFit in three parts: nodes to core values, work on core values, core values to nodes.

The first and the last belong to the thread of the scene; the work touches no node and may run in another. A step that
fails or is cancelled leaves the scene as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import slicer

from .segmentations import regionsFromSegmentation, segmentNames
from .timeActivityScans import ImageUnits, ScanNode, isSequence, timedVolumes, transformFromRegistration
from .timeActivityWork import (
    FitOptions,
    MeasurementOptions,
    PatientInput,
    TimedVolume,
    fittedCurves,
    measuredCurves,
    organDosesOf,
    tiaMapOf,
)

if TYPE_CHECKING:
    from radiodosimetry.images.geometry import VolumeGeometry
    from radiodosimetry.images.regions import Region
    from radiodosimetry.progress import Progress


class Task(NamedTuple):
    """One step: `finish(work(progress))` in one thread, or each in its own.

    Attributes
    ----------
    work
        Takes a `Progress` or None; touches no node.
    finish
        Takes what `work` gave; makes and returns the nodes.
    """

    work: Callable[[Progress | None], Any]
    finish: Callable[[Any], Any]

    def run(self, progress: Progress | None = None) -> Any:
        """Both parts here and now."""
        return self.finish(self.work(progress))


@dataclass(frozen=True)
class Series:
    """The scans of a patient: rows of the table, how images are read, and which scan the others are moved to."""

    rows: tuple[ScanNode, ...]
    units: ImageUnits = ImageUnits()
    referenceScan: int = 0

    def scans(self) -> list[TimedVolume]:
        """The scans as core values; see `timedVolumes`."""
        return timedVolumes(self.rows, self.units, self.referenceScan)

    def inputs(self) -> list[Any]:
        """All image nodes of the rows."""
        return [node for row in self.rows for node in (row.node, row.ct) if node is not None]


def measurementTask(
    series: Series,
    segmentationNode,
    options: MeasurementOptions,
    segmentIDs: Sequence[str] | None = None,
    fitOptions: FitOptions | None = None,
    nodes: Mapping[str, Any] | None = None,
) -> Task:
    """Curves of the segments over the scans and, with `fitOptions`, their fits.

    Parameters
    ----------
    series
        The scans.
    segmentationNode
        Regions, drawn on the reference scan; None measures the whole body alone.
    options
        What is measured.
    segmentIDs
        Segments to measure; all if None.
    fitOptions
        How the curves are fitted; None only measures.
    nodes
        Output tables to fill, by "curves", "fits" and "residenceTimes"; new ones where there is none.

    Returns
    -------
    Task
        Its nodes: a mapping of the names above to the tables, "curvesMeasured" and "fitsMade" to the core's values.
    """
    scans = _withRegions(series.scans(), segmentationNode, segmentIDs)
    given = dict(nodes or {})

    def work(progress: Progress | None = None) -> tuple[Any, Any]:
        from radiodosimetry.progress import PartialProgress

        curves = measuredCurves(scans, options, PartialProgress(progress, 0.0, 0.5))
        if fitOptions is None:
            return curves, None
        part = PartialProgress(progress, 0.5, 1.0)
        return curves, fittedCurves(curves, options.nuclide, fitOptions, options.administeredBq, part)

    def finish(made: tuple[Any, Any]) -> dict[str, Any]:
        from .timeActivityResults import curvesTable, fitsTable, residenceTimeTable

        curves, fits = made
        curvesNode = curvesTable(curves, options.nuclide, options.administeredBq, given.get("curves"))
        found = {"curves": curvesNode, "curvesMeasured": curves, "fitsMade": fits}
        if fits is not None:
            found["fits"] = fitsTable(fits, given.get("fits"))
            if fits.administered_bq is not None:
                found["residenceTimes"] = residenceTimeTable(fits, given.get("residenceTimes"))
        _placeBeside([found.get(name) for name in ("curves", "fits", "residenceTimes")], series.rows[0].node)
        return found

    return Task(work, finish)


def tiaTask(
    series: Series,
    options: MeasurementOptions,
    method: str = "mono",
    noisePercent: float | None = None,
    segmentationNode=None,
    fits=None,
    volumeNode=None,
    uncertaintyNode=None,
) -> Task:
    """A map of time-integrated activity for VoxelDose.

    Parameters
    ----------
    series, options
        Scans; nuclide and decay correction.
    method
        One of `radiodosimetry.time_activity.voxelwise.TIA_METHODS`.
    noisePercent
        Relative standard deviation of one voxel in one scan [%]; None tells it from the residuals.
    segmentationNode, fits
        For "organ-shape": regions, and the `FitSet` of their curves; segments without a fit are left aside.
    volumeNode
        Output volume; a new one if None.
    uncertaintyNode
        Volume for the relative uncertainty; none is made if None.

    Returns
    -------
    Task
        Its node: the volume [Bq s/mL].
    """
    from .volumes import nodeFromVolume, refuseInputAsOutput

    for output in (volumeNode, uncertaintyNode):
        refuseInputAsOutput(output, series.inputs())
    scans = series.scans()
    regions: Sequence[Region] = ()
    if method == "organ-shape":
        grid = scans[series.referenceScan].volume.geometry
        names = segmentNames(segmentationNode)
        wanted = [one for one, name in names.items() if fits and name in fits and name != options.body]
        regions = _regionsOn(segmentationNode, grid, wanted) if wanted else ()

    def work(progress: Progress | None = None) -> Any:
        return tiaMapOf(scans, options, method, series.referenceScan, noisePercent, regions, fits, progress)

    def finish(made: Any) -> Any:
        node = nodeFromVolume(made.tia, "Time-integrated activity", volumeNode, series.inputs())
        created = [node]
        if uncertaintyNode is not None and made.uncertainty is not None:
            created.append(nodeFromVolume(made.uncertainty, "Uncertainty", uncertaintyNode, series.inputs()))
        _placeBeside(created, series.rows[0].node)
        return node

    return Task(work, finish)


def organDoseTask(
    fits,
    organs: Mapping[str, str],
    phantom: str | None,
    massesFile: str | None = None,
    patient: PatientInput | None = None,
    lesionMassesG: Mapping[str, float] | None = None,
    tableNode=None,
    besideNode=None,
) -> Task:
    """Organ doses of fits; see `organDosesOf`. Its result: the table node and the core's `OrganDoseResult`."""

    def work(progress: Progress | None = None) -> Any:
        return organDosesOf(fits, organs, phantom, massesFile, patient, lesionMassesG, progress)

    def finish(result: Any) -> Any:
        from .tables import organDoseTable

        node = organDoseTable(result.doses, result.bed_gy, node=tableNode)
        _placeBeside([node], besideNode)
        return node, result

    return Task(work, finish)


def patientInput(
    ctNode, segmentationNode, fits, spacingMm: float, histories: int, device: str = "cpu"
) -> PatientInput:
    """What S-values of the patient are computed from: its CT, and the segments that have a fit.

    Raises
    ------
    InputError
        There is no CT, or no segment has a fit.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.organ_dose.patient import grid_with_spacing
    from radiodosimetry.units import Quantity

    from .volumes import volumeFromNode

    ct = volumeFromNode(ctNode, Quantity.CT_NUMBER)
    names = segmentNames(segmentationNode)
    wanted = [segmentID for segmentID, name in names.items() if name in fits]
    if not wanted:
        raise InputError("No segment of the segmentation has a fit; fit the curves of these segments first.")
    grid = grid_with_spacing(ct.geometry, spacingMm)
    return PatientInput(ct, tuple(_regionsOn(segmentationNode, grid, wanted)), grid, histories, device)


def registrationTask(series: Series) -> Task:
    """Rigid registration of the CT of every other row to that of the reference scan.

    Its result: a list with a new linear transform node for each row that was registered, None for the others.

    Raises
    ------
    InputError
        A row has no CT, or there is nothing to register.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.units import Quantity

    from .volumes import volumeFromNode

    rows = series.rows
    if any(isSequence(row.node) for row in rows):
        raise InputError("The volumes of a sequence share one space; expected single volumes to register.")
    missing = [row.node.GetName() for row in rows if row.ct is None]
    if missing:
        raise InputError(f"Registration compares CTs, and {', '.join(missing)} has none; choose the CT of every scan.")
    if len(rows) < 2 or not 0 <= series.referenceScan < len(rows):
        raise InputError("There is nothing to register; expected at least two scans with their CTs.")
    cts = [volumeFromNode(row.ct, Quantity.CT_NUMBER) for row in rows]
    # A scan taken on the same machine at the same time: the reference's own CT needs no transform.
    moving = [
        number
        for number, row in enumerate(rows)
        if number != series.referenceScan and row.ct is not rows[series.referenceScan].ct
    ]

    def work(progress: Progress | None = None) -> dict[int, Any]:
        from radiodosimetry.images.registration import register_rigid
        from radiodosimetry.progress import PartialProgress

        found = {}
        for step, number in enumerate(moving):
            part = PartialProgress(progress, step / len(moving), (step + 1) / len(moving))
            found[number] = register_rigid(cts[series.referenceScan], cts[number], progress=part)
        return found

    def finish(found: Mapping[int, Any]) -> list[Any]:
        from .volumes import setRecord

        reference = rows[series.referenceScan].node.GetName()
        nodes: list[Any] = [None] * len(rows)
        for number, registration in found.items():
            name = f"{rows[number].node.GetName()} to {reference}"
            nodes[number] = transformFromRegistration(registration, name)
            setRecord(nodes[number], registration.record)
        return nodes

    return Task(work, finish)


def _withRegions(scans: Sequence[TimedVolume], segmentationNode, segmentIDs: Sequence[str] | None) -> list[TimedVolume]:
    """The scans with the segments on each one's grid; scans on one grid share them."""
    if segmentationNode is None:
        return list(scans)
    known: list[tuple[VolumeGeometry, tuple[Region, ...]]] = []
    found = []
    for scan in scans:
        grid = scan.volume.geometry
        regions = next((masks for other, masks in known if other.same_grid(grid)), None)
        if regions is None:
            regions = tuple(_regionsOn(segmentationNode, grid, segmentIDs))
            known.append((grid, regions))
        found.append(replace(scan, regions=regions))
    return found


def _regionsOn(segmentationNode, grid: VolumeGeometry, segmentIDs: Sequence[str] | None) -> list[Region]:
    return regionsFromSegmentation(segmentationNode, grid, segmentIDs)


def _placeBeside(nodes: Sequence[Any], inputNode) -> None:
    """Outputs under the study of an input, where it is in one."""
    from .hierarchy import placeUnderStudyOf

    if inputNode is None or not slicer.mrmlScene.IsNodePresent(inputNode):
        return
    for node in nodes:
        if node is not None:
            placeUnderStudyOf(node, inputNode)
