"""Each step of TimeActivityFit in three parts: nodes to core values, work on core values, core values to nodes.

The first and the last belong to the thread of the scene; the work touches no node and may run in another. A step that
fails or is cancelled leaves the scene as it was, chosen outputs included; outputs that have left it are made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .outputs import allOrNothing, inScene, refuseInputAsOutput
from .segmentations import regionsFromSegmentation, segmentNames
from .timeActivityDoses import DoseOptions, PatientInput, organDosesOf
from .timeActivityRegions import scansWithRegions
from .timeActivitySeries import Series
from .timeActivityWork import FitOptions, MeasurementOptions, fittedCurves, measuredCurves, tiaMapOf

if TYPE_CHECKING:
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
        Regions that the scans without their own have in common, drawn on the reference scan. Without any, the whole
        body alone is measured.
    options
        What is measured.
    segmentIDs
        Segments to measure, of `Series.leadingSegmentation`; all if None. Other segmentations have segments of the
        same names.
    fitOptions
        How the curves are fitted; None only measures.
    nodes
        Output tables to fill, by "curves", "fits" and "residenceTimes"; new ones where there is none.

    Returns
    -------
    Task
        Its nodes: a mapping of the names above to the tables, "curvesMeasured" and "fitsMade" to the core's values.
    """
    scans = scansWithRegions(series, segmentationNode, segmentIDs)
    given = dict(nodes or {})

    def work(progress: Progress | None = None) -> tuple[Any, Any]:
        from radiodosimetry.progress import PartialProgress

        curves = measuredCurves(scans, options, PartialProgress(progress, 0.0, 0.5))
        if fitOptions is None:
            return curves, None
        part = PartialProgress(progress, 0.5, 1.0)
        return curves, fittedCurves(curves, options.nuclide, fitOptions, options.administeredBq, part)

    def finish(made: tuple[Any, Any]) -> dict[str, Any]:
        from .timeActivityKept import curvesTable, fitsTable
        from .timeActivityResults import residenceTimeTable

        curves, fits = made
        into = {name: inScene(given.get(name)) for name in ("curves", "fits", "residenceTimes")}
        with allOrNothing(into.values()):
            curvesNode = curvesTable(curves, options.nuclide, options.administeredBq, into["curves"])
            found = {"curves": curvesNode, "curvesMeasured": curves, "fitsMade": fits}
            if fits is not None:
                found["fits"] = fitsTable(fits, into["fits"])
                if fits.administered_bq is not None:
                    found["residenceTimes"] = residenceTimeTable(fits, into["residenceTimes"])
            _placeBeside([found.get(name) for name in into], series.rows[0].node)
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
    from radiodosimetry.errors import InputError

    from .volumes import nodeFromVolume

    for output in (volumeNode, uncertaintyNode):
        refuseInputAsOutput(output, series.inputs())
    if volumeNode is not None and volumeNode is uncertaintyNode:
        raise InputError(
            f"'{volumeNode.GetName()}' is chosen for the map and for its uncertainty; choose another volume for one."
        )
    scans = series.scans()
    regions: Sequence[Region] = ()
    if method == "organ-shape":
        grid = scans[series.referenceScan].volume.geometry
        names = segmentNames(segmentationNode)
        wanted = [one for one, name in names.items() if fits and name in fits and name != options.body]
        regions = regionsFromSegmentation(segmentationNode, grid, wanted) if wanted else ()

    def work(progress: Progress | None = None) -> Any:
        return tiaMapOf(scans, options, method, series.referenceScan, noisePercent, regions, fits, progress)

    def finish(made: Any) -> Any:
        into, uncertain = inScene(volumeNode), inScene(uncertaintyNode)
        with allOrNothing((into, uncertain)):
            created = [nodeFromVolume(made.tia, "Time-integrated activity", into, series.inputs())]
            if uncertain is not None and made.uncertainty is not None:
                created.append(nodeFromVolume(made.uncertainty, "Uncertainty", uncertain, series.inputs()))
            _placeBeside(created, series.rows[0].node)
        return created[0]

    return Task(work, finish)


def organDoseTask(fits, options: DoseOptions, tableNode=None, besideNode=None) -> Task:
    """Organ doses of fits; see `organDosesOf`. Its result: the table node and the core's `OrganDoseResult`."""

    def work(progress: Progress | None = None) -> Any:
        return organDosesOf(fits, options, progress)

    def finish(result: Any) -> Any:
        from .tables import organDoseTable
        from .timeActivityResults import EFFECTIVE_DOSE_ATTRIBUTE, effectiveDoseWords

        into = inScene(tableNode)
        with allOrNothing((into,)):
            node = organDoseTable(result.doses, result.bed_gy, node=into)
            node.SetAttribute(EFFECTIVE_DOSE_ATTRIBUTE, effectiveDoseWords(result))
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
    return PatientInput(ct, tuple(regionsFromSegmentation(segmentationNode, grid, wanted)), grid, histories, device)


def _placeBeside(nodes: Sequence[Any], inputNode) -> None:
    """Outputs under the study of an input, where it is in one."""
    from .hierarchy import placeUnderStudyOf

    if inScene(inputNode) is None:
        return
    for node in nodes:
        if node is not None:
            placeUnderStudyOf(node, inputNode)
