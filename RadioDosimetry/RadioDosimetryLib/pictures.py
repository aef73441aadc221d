"""The core's figures of results in the scene, as PNG files: slices and histograms of a dose, fitted curves.

Each is a `Task`: nodes are read at once, the work touches none, and what Slicer itself draws is drawn at the end, in
the thread of the scene. The files appear all together at the end or not at all, and never in place of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .segmentations import regionsFromSegmentation, segmentNames
from .tables import columnsOf
from .timeActivityTasks import Task
from .volumes import volumeFromNode
from .voxelDoseOutputs import CT_ROLE, SEGMENTATION_ROLE, histogramTablesOf

if TYPE_CHECKING:
    from radiodosimetry.images.regions import Region
    from radiodosimetry.images.volume import QuantitativeVolume
    from radiodosimetry.progress import Progress
    from radiodosimetry.report.slice_rendering import SliceRenderer
    from radiodosimetry.voxel_dose.dose_volume import DoseVolumeHistogram

WIDE_RANGE = 10.0
"""Histograms whose median doses lie further apart than this factor have a logarithmic axis of dose."""


def dosePictures(doseNode, folder: Path, ctNode=None, segmentationNode=None) -> Task:
    """Dose over CT with isodoses in three planes, `<name of the dose>.png`, and `<name>_histograms.png`.

    Parameters
    ----------
    doseNode
        Absorbed dose.
    folder
        An existing folder.
    ctNode
        Anatomy; the CT that the dose was computed from if None.
    segmentationNode
        Regions, whose histograms are computed. None: the segments and the histograms of the result.

    Returns
    -------
    Task
        It ends with the list of the files.

    Raises
    ------
    InputError
        There is no dose, or a node cannot be used.
    UnitError
        The volume holds no absorbed dose.
    OutputError
        The folder cannot be written, or has a file of these names already.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.report.figure_style import figure_paths
    from radiodosimetry.units import Quantity

    if doseNode is None:
        raise InputError("No dose is chosen; compute or choose one.")
    dose, name = volumeFromNode(doseNode, Quantity.ABSORBED_DOSE), doseNode.GetName()
    ctNode = ctNode or doseNode.GetNodeReference(CT_ROLE)
    ct = None if ctNode is None else volumeFromNode(ctNode, Quantity.CT_NUMBER)
    if segmentationNode is not None:
        regions, kept = regionsFromSegmentation(segmentationNode, dose.geometry), None
    else:
        regions, kept = _regionsOf(doseNode, dose), _histogramsOf(doseNode)
    hasHistograms = bool(regions if kept is None else kept)
    files = figure_paths([name, f"{name} histograms"] if hasHistograms else [name], Path(folder))
    requireNew(files)

    def work(progress: Progress | None = None) -> tuple[Any, Any]:
        from radiodosimetry.images.resampling import resample_ct
        from radiodosimetry.progress import report_progress
        from radiodosimetry.voxel_dose.dose_volume import dvh

        report_progress(progress, 0.1, "Resampling the CT")
        anatomy = None if ct is None else resample_ct(ct, dose.geometry)
        report_progress(progress, 0.5, "Drawing")
        return anatomy, [dvh(dose, region) for region in regions] if kept is None else kept

    def finish(made: tuple[Any, Any]) -> list[Path]:
        from radiodosimetry.report.figure_style import figure_bytes

        anatomy, histograms = made
        pictures = [figure_bytes(_overlay(dose, anatomy, regions, name))]
        if histograms:
            pictures.append(figure_bytes(_histogramFigure(histograms, name)))
        return _written(files, pictures)

    return Task(work, finish)


def curvePictures(curvesTableNode, fitsTableNode, folder: Path) -> Task:
    """Points, fitted curve with its band, and integral of each region: `<region>.png`.

    Parameters
    ----------
    curvesTableNode, fitsTableNode
        Tables of `TimeActivityFitLogic.measureCurves` and `fitCurves`.
    folder
        An existing folder.

    Returns
    -------
    Task
        It ends with the list of the files.

    Raises
    ------
    InputError
        A table is missing, or the fits are of other regions.
    OutputError
        The folder cannot be written, or has a file of these names already.
    """
    from radiodosimetry.errors import InputError
    from radiodosimetry.report.figure_style import figure_paths

    from .timeActivityKept import curvesFromTable, fitsFromTable

    measured, fits = curvesFromTable(curvesTableNode)[0], fitsFromTable(fitsTableNode)
    curves = [curve for curve in measured if curve.region in fits]
    if not curves:
        raise InputError("The fits are of other regions than the curves; fit the curves anew.")
    files = figure_paths([curve.region for curve in curves], Path(folder))
    requireNew(files)

    def work(progress: Progress | None = None) -> list[bytes]:
        from radiodosimetry.progress import report_progress
        from radiodosimetry.report.figure_style import figure_bytes
        from radiodosimetry.report.time_activity import time_activity_figure

        pictures = []
        for curve in curves:
            report_progress(progress, len(pictures) / len(curves), f"Drawing {curve.region}")
            pictures.append(figure_bytes(time_activity_figure(curve, fits[curve.region], fits.nuclide)))
        return pictures

    return Task(work, lambda pictures: _written(files, pictures))


def requireNew(files: Sequence[Path]) -> None:
    """Refuse files that are there already, and a folder that takes none.

    Raises
    ------
    OutputError
        Such a file or folder.
    """
    from radiodosimetry.errors import OutputError
    from radiodosimetry.images.atomic import check_writable

    old = [file.name for file in files if file.exists()]
    if old:
        names = old[0] if len(old) == 1 else f"{old[0]} and {len(old) - 1} more of these pictures"
        raise OutputError(
            f"The folder {files[0].parent} has {names} already, and nothing is overwritten; choose another folder, or "
            "move them away."
        )
    check_writable(files[0])


def _written(files: Sequence[Path], pictures: Sequence[bytes]) -> list[Path]:
    """Write all of them or none."""
    from radiodosimetry.images.atomic import OutputTransaction

    requireNew(files)
    with OutputTransaction(*files) as transaction:
        for file, picture in zip(files, pictures, strict=True):
            transaction.path_for(file).write_bytes(picture)
    return list(files)


def _renderer() -> SliceRenderer | None:
    """Slicer's own slices where the host has them; None for matplotlib's."""
    import slicer

    from .sliceRenderer import SlicerSlices

    return SlicerSlices() if hasattr(slicer, "vtkMRMLSliceLogic") else None


def _overlay(dose: QuantitativeVolume, ct: QuantitativeVolume | None, regions: Sequence[Region], title: str) -> Any:
    """The scale ends at the highest mean of a region; below half of the least isodose the CT shows."""
    from radiodosimetry.report import overlay_figure
    from radiodosimetry.report.figures import round_levels

    means = [float(dose.array_kji[region.mask_kji].mean()) for region in regions]
    top = max(means, default=float(dose.array_kji.max()))
    levels = round_levels(top)
    return overlay_figure(
        dose, ct, regions, title, highest=top or 1.0, threshold=0.5 * levels[0] if levels else None,
        square_root_scale=True, contour_levels=levels, renderer=_renderer(),
    )  # fmt: skip


def _histogramFigure(histograms: Sequence[DoseVolumeHistogram], title: str) -> Any:
    from radiodosimetry.report import dvh_figure

    medians = [float(one.dose_gy[np.searchsorted(-one.cumulative_volume_percent, -50.0)]) for one in histograms]
    isWide = min(medians) > 0 and max(medians) > WIDE_RANGE * min(medians)
    return dvh_figure({"": histograms}, title, logarithmic=isWide)


def _regionsOf(doseNode, dose: QuantitativeVolume) -> list[Region]:
    """The segments of a result as they are now; those that have gone stay out."""
    segmentation = doseNode.GetNodeReference(SEGMENTATION_ROLE)
    names = segmentNames(segmentation)
    wanted = [table.GetAttribute("DoseVolumeHistogram.SegmentID") for table in histogramTablesOf(doseNode)]
    found = [segmentID for segmentID in wanted if segmentID in names]
    return regionsFromSegmentation(segmentation, dose.geometry, found) if found else []


def _histogramsOf(doseNode) -> list[DoseVolumeHistogram]:
    """The histograms of a result, as they were computed with it."""
    from radiodosimetry.voxel_dose.dose_volume import DoseVolumeHistogram

    found = []
    for table in histogramTablesOf(doseNode):
        edges, shares = (np.array(columnsOf(table)[name]) for name in ("Dose", "Volume"))
        perGy = np.append(-np.diff(shares) / np.diff(edges), 0.0)
        region = table.GetAttribute("RadioDosimetry.Region")
        volumeMl = float(table.GetAttribute("RadioDosimetry.VolumeMl"))
        found.append(DoseVolumeHistogram(region, edges, shares, perGy, volumeMl))
    return found
