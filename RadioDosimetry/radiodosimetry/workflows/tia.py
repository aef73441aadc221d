"""From serial images on disk to a map of time-integrated activity that `dose` takes as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import InputError
from ..images.regions import Region
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import file_identity
from ..time_activity.curves import CurveOptions
from ..time_activity.fit_files import FitSet, read_fits
from ..time_activity.voxelwise import OrganCurve, TiaMap, TiaOptions, tia_map
from .curves import ImageOptions, ScanFile, curves_from_files
from .dose import read_regions


def tia_from_files(
    scans: Sequence[ScanFile],
    nuclide: Radionuclide | str,
    method: str,
    options: TiaOptions | None = None,
    fits: Path | None = None,
    labels: Path | None = None,
    label_names: Path | None = None,
    expressions: Mapping[str, str] = MappingProxyType({}),
    images: ImageOptions | None = None,
    progress: Progress | None = None,
) -> TiaMap:
    """Time-integrated activity of every voxel of serial images.

    Parameters
    ----------
    scans
        Registered images by rising time; their own `labels` are left aside.
    nuclide
        The radionuclide, or its name.
    method
        One of `time_activity.voxelwise.TIA_METHODS`.
    options
        See `TiaOptions`.
    fits, labels, label_names, expressions
        For `organ-shape` alone: the fits of `radiodosimetry fit`, and the regions they are of, as a label image with
        its names, an RTSTRUCT or a SEG, resampled onto the grid of the reference scan.
    images
        Units, calibration and decay correction of the images.
    progress
        Told the share of the work done.

    Returns
    -------
    TiaMap
        Map [Bq s/mL], relative uncertainty, model map and record.

    Raises
    ------
    InputError
        Options do not fit together, or the scans cannot be used; see `tia_map` and `curves_from_files`.
    FileFormatError, UnitError
        An image or table cannot be read, or its unit is unknown.
    RegionError, GeometryMismatchError
        A region has no fit, or grids do not overlap.
    UnknownNuclideError
        The nuclide is not in the dataset.
    CancelledError
        The user cancelled.
    """
    options = options or TiaOptions()
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    _require_organ_inputs(method, fits, labels, label_names, expressions)
    unlabelled = [replace(scan, labels=None) for scan in scans]
    read = curves_from_files(
        unlabelled,
        nuclide,
        images=images,
        options=CurveOptions(whole_body=True),
        progress=PartialProgress(progress, 0.0, 0.3),
    )
    inputs: dict[str, Any] = {}
    regions: list[Region] = []
    organ_curves: Mapping[str, OrganCurve] = {}
    if fits is not None and labels is not None:
        report_progress(progress, 0.3, "Regions and fits")
        if not 0 <= options.reference_scan < len(read.scans):
            raise InputError(f"There is no scan with index {options.reference_scan}; found {len(read.scans)} scans.")
        grid = read.scans[options.reference_scan].volume.geometry
        regions, label_record = read_regions(labels, label_names, grid, expressions)
        organ_curves = _fits_of(fits, nuclide)
        inputs = {"labels": dict(label_record.inputs) or file_identity(labels), "fits": file_identity(fits)}
        inputs["regions"] = {region.name: region.expression for region in regions}
    made = tia_map(
        read.scans,
        nuclide.decay_constant_per_s,
        method,
        options,
        regions,
        organ_curves,
        PartialProgress(progress, 0.35, 1.0),
    )
    warnings = []
    if any(scan.slice_times_s is not None for scan in read.scans):
        warnings.append("Slices of a scan have their own times (several beds); every voxel was taken at their mean.")
    record = replace(
        made.record.with_inputs(**inputs).with_parameters(
            nuclide=nuclide.name, image_activity_bq=[float(value) for value in read.curves[0].activity_bq]
        ),
        datasets={"decay data": nuclide.dataset},
    ).with_warnings(*warnings)
    return made.with_record(record)


def _require_organ_inputs(
    method: str,
    fits: Path | None,
    labels: Path | None,
    label_names: Path | None,
    expressions: Mapping[str, str],
) -> None:
    """Fits and labels belong to `organ-shape`, and it needs both."""
    given = [
        name
        for name, value in (("fits", fits), ("labels", labels), ("label names", label_names), ("regions", expressions))
        if value
    ]
    if method != "organ-shape" and given:
        raise InputError(
            f"{', '.join(given).capitalize()} belong to the method organ-shape, found {method}; leave them out."
        )
    if method == "organ-shape" and (fits is None or labels is None):
        raise InputError(
            "The method organ-shape needs the fits of the organs' curves and the labels of the organs "
            f"(found {', '.join(given) or 'neither'}); give both."
        )


def _fits_of(path: Path, nuclide: Radionuclide) -> FitSet:
    """Fits from a file, which must be of this nuclide: their rates hold its decay."""
    fits = read_fits(path)
    if fits.nuclide not in (nuclide.name, "unknown"):
        raise InputError(
            f"The fits in {path} are of {fits.nuclide}, the scans of {nuclide.name}; give fits of the same."
        )
    return fits
