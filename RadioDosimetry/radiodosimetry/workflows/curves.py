"""Time-activity curves from files: serial images, their labels, and the times they hold at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..errors import InputError, RegionError
from ..images.atomic import full_suffix
from ..images.file_checks import IMAGE_IO_OF_SUFFIX
from ..images.geometry import VolumeGeometry
from ..images.readers import read_volume
from ..images.regions import Region
from ..images.sidecar import read_sidecar
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record, file_identity
from ..time_activity.acquisition_times import ImageTiming, region_scan, slice_middles_of
from ..time_activity.counts import calibrated_volume
from ..time_activity.curve_quantities import uptake_warnings
from ..time_activity.curves import CurveOptions, RegionScan, TimeActivityCurve, curves_from_volumes
from ..time_activity.time_activity_curve import require_rising_times
from ..units import SECONDS_PER_HOUR, Quantity
from .dose import read_regions

UNCERTAINTY_FILE = "uncertainty_file"
"""Parameter of the record of an image file that names the file of its voxels' standard uncertainty, beside it."""


@dataclass(frozen=True)
class ScanFile:
    """One scan of the series.

    Attributes
    ----------
    path
        Image file or DICOM folder.
    time_s
        Time after administration [s]; None takes it from the image.
    labels
        Label image, RTSTRUCT or SEG of this scan; the same path for all where one serves all.
    frame_duration_s
        Length of the frame [s] that starts at `time_s` and over which the image is the mean; None if it is not. With
        `bq_per_count_per_s` also the time counts were collected over.
    """

    path: Path
    time_s: float | None
    labels: Path | None = None
    frame_duration_s: float | None = None

    @property
    def name(self) -> str:
        """The scan in messages."""
        when = "timed by its header" if self.time_s is None else f"at {self.time_s / SECONDS_PER_HOUR:g} h"
        return f"the scan {when} ({Path(self.path).name})"


@dataclass(frozen=True)
class ImageOptions:
    """How the images are read.

    Attributes
    ----------
    unit
        Unit of image files without a sidecar.
    bq_per_ml_per_count, bq_per_count_per_s
        Calibration factor of images that hold counts; one of the two.
    corrected_to_administration
        The images are decay-corrected to the administration.
    administration
        Moment of the administration, for scans whose time comes from the image; None takes the header's.
    """

    unit: str | None = None
    bq_per_ml_per_count: float | None = None
    bq_per_count_per_s: float | None = None
    corrected_to_administration: bool = False
    administration: datetime | None = None

    def __post_init__(self) -> None:
        if self.bq_per_ml_per_count is not None and self.bq_per_count_per_s is not None:
            raise InputError("Two calibration factors were given, expected one: Bq/mL per count or Bq per count/s.")
        if self.unit is not None and self.calibrated:
            raise InputError("A unit and a calibration factor were given; expected one: calibrated images hold counts.")

    @property
    def calibrated(self) -> bool:
        """Whether the images hold counts."""
        return self.bq_per_ml_per_count is not None or self.bq_per_count_per_s is not None


@dataclass(frozen=True, eq=False)
class CurvesResult:
    """Curves with what is known about them.

    Attributes
    ----------
    curves
        One per region, then remainder, whole body and voided where asked for.
    scans
        The images at their times, with their regions.
    record
        How the curves came to be, with the warnings of all.
    """

    curves: tuple[TimeActivityCurve, ...]
    scans: tuple[RegionScan, ...]
    record: Record


def curves_from_files(
    scans: Sequence[ScanFile],
    nuclide: Radionuclide | str,
    label_names: Path | None = None,
    expressions: Mapping[str, str] = MappingProxyType({}),
    images: ImageOptions | None = None,
    options: CurveOptions | None = None,
    progress: Progress | None = None,
    only: Sequence[str] = (),
) -> CurvesResult:
    """Time-activity curves of regions over serial images.

    Parameters
    ----------
    scans
        The scans by rising time.
    nuclide
        The radionuclide, or its name.
    label_names
        CSV `label,name` of the label images.
    expressions
        Further regions of label names with + and -.
    images
        Units, calibration and decay correction of the images.
    options
        Remainder, whole body, recovery, uncertainties. Its decay constant and `same_labels` are set here.
    progress
        Told the share of the work done.
    only
        Names of the regions to keep, all if empty; a remainder is the body outside of those kept.

    Returns
    -------
    CurvesResult
        Curves of activity present at each time.

    Raises
    ------
    InputError
        Times out of order, twice or before the administration; curves negative or all zero; corrections made twice.
    FileFormatError, UnitError
        An image or table cannot be read, or its unit is unknown.
    RegionError, GeometryMismatchError
        A region is absent in one scan (the text says which), or labels and image do not overlap.
    UnknownNuclideError
        The nuclide is not in the dataset.
    CancelledError
        The user cancelled.
    """
    images = images or ImageOptions()
    nuclide = Radionuclide(nuclide) if isinstance(nuclide, str) else nuclide
    if not scans:
        raise InputError("Found no scan; expected at least one. Give each scan with its time after administration.")
    given = [scan.time_s for scan in scans if scan.time_s is not None]
    if len(given) == len(scans):
        require_rising_times(given, "the scans")  # found out before any image is read
    same_labels = len({scan.labels for scan in scans}) == 1
    options = replace(
        options or CurveOptions(), decay_constant_per_s=nuclide.decay_constant_per_s, same_labels=same_labels
    )
    drawn = _Regions(label_names, expressions, only)
    timed = []
    for number, scan in enumerate(scans):
        report_progress(progress, 0.9 * number / len(scans), f"Reading {scan.name}")
        timed.append(_read(scan, drawn, nuclide, images))
    curves = curves_from_volumes(timed, options, PartialProgress(progress, 0.9, 1.0))
    uptake = uptake_warnings(curves, options.administered_bq, options.decay_constant_per_s)
    curves = [curve.with_warnings(uptake[curve.region]) if curve.region in uptake else curve for curve in curves]
    record = _record(curves, timed, scans, drawn, nuclide, images, options)
    return CurvesResult(tuple(curves), tuple(timed), record)


@dataclass
class _Regions:
    """Regions read once per label file and grid."""

    names: Path | None
    expressions: Mapping[str, str]
    only: Sequence[str] = ()
    known: list[tuple[Path, VolumeGeometry, list[Region], Record]] = field(default_factory=list)

    def on(self, labels: Path | None, geometry: VolumeGeometry) -> list[Region]:
        """Regions of a label file on a grid; none without a file."""
        if labels is None:
            return []
        for path, grid, regions, _ in self.known:
            if path == labels and grid.same_grid(geometry) and grid.same_frame(geometry):
                return regions
        found, record = read_regions(labels, self.names, geometry, self.expressions)
        found = self._kept(found)
        self.known.append((labels, geometry, found, record))
        return found

    def _kept(self, found: list[Region]) -> list[Region]:
        """The regions asked for, all of them if none was named."""
        missing = sorted(set(self.only) - {region.name for region in found})
        if missing:
            raise RegionError(
                f"There is no region {', '.join(missing)} to keep; the regions are "
                f"{', '.join(region.name for region in found)}."
            )
        return [region for region in found if not self.only or region.name in self.only]

    def inputs(self) -> dict[str, Any]:
        """Identities of all label files and of their names."""
        files = {path: dict(record.inputs) or file_identity(path) for path, _, _, record in self.known}
        labels = list(files.values())
        found: dict[str, Any] = {"labels": labels[0] if len(labels) == 1 else labels} if labels else {}
        if self.names is not None:
            found["label_names"] = file_identity(self.names)
        return found

    def warnings(self) -> tuple[str, ...]:
        """What reading the labels warned of, and that one label map was laid over unlike grids."""
        warnings = [warning for *_, record in self.known for warning in record.warnings]
        if len({path for path, *_ in self.known}) < len(self.known):
            warnings.append(
                "One label map serves scans on different grids: they must be registered to each other, which nothing "
                "checks."
            )
        return tuple(dict.fromkeys(warnings))


def uncertainty_file_of(image: Path) -> Path | None:
    """The file beside an image that its record names as its voxels' standard uncertainty, whether it is there or not.

    Raises
    ------
    FileFormatError
        The record cannot be read.
    """
    sidecar = None if _is_dicom(image) else read_sidecar(image)
    named = None if sidecar is None or sidecar.record is None else sidecar.record.parameters.get(UNCERTAINTY_FILE)
    return image.with_name(Path(named).name) if isinstance(named, str) else None


def _read(scan: ScanFile, drawn: _Regions, nuclide: Radionuclide, images: ImageOptions) -> RegionScan:
    """One image, its regions and its time."""
    with _named(scan):
        volume = _read_image(scan, images)
        if not np.any(volume.array_kji):
            raise InputError("The image is zero everywhere; expected activity. Check file and calibration.")
        regions = drawn.on(scan.labels, volume.geometry)
        timing = ImageTiming(
            time_s=scan.time_s,
            frame_duration_s=scan.frame_duration_s,
            corrected_to_administration=images.corrected_to_administration,
            administration=images.administration,
            slice_middles=_slice_middles(scan, volume),
        )
        volume, uncertainty = _with_uncertainty(scan, volume)
        return region_scan(volume, regions, nuclide.decay_constant_per_s, timing, "the image", uncertainty)


def _with_uncertainty(
    scan: ScanFile, volume: QuantitativeVolume
) -> tuple[QuantitativeVolume, QuantitativeVolume | None]:
    """A scan, and the standard uncertainty that its record names: a file beside it; a missing one is warned of."""
    path = uncertainty_file_of(Path(scan.path))
    if path is None:
        return volume, None
    if not path.exists():
        missing = f"The record of {Path(scan.path).name} names {path.name} as its uncertainty, which is not beside it."
        return volume.with_record(volume.record.with_warnings(missing)), None
    return volume, read_volume(path, Quantity.ACTIVITY_CONCENTRATION)


def _read_image(scan: ScanFile, images: ImageOptions) -> QuantitativeVolume:
    path = Path(scan.path)
    quantity = Quantity.ACTIVITY_CONCENTRATION
    if _is_dicom(path):
        return read_volume(
            path,
            quantity,
            images.unit,
            calibration_bq_per_ml_per_count=images.bq_per_ml_per_count,
            calibration_bq_per_count_per_s=images.bq_per_count_per_s,
            acquisition_duration_s=scan.frame_duration_s if images.bq_per_count_per_s is not None else None,
        )
    if not images.calibrated:
        return read_volume(path, quantity, images.unit)
    counts = read_volume(path, Quantity.COUNTS)
    if images.bq_per_ml_per_count is not None:
        record = counts.record.with_parameters(calibration=f"{images.bq_per_ml_per_count:g} Bq/mL per count")
        return counts.with_array(counts.array_kji * float(images.bq_per_ml_per_count), quantity, record)
    if images.bq_per_count_per_s is None or scan.frame_duration_s is None:
        raise InputError("A calibration in Bq per count/s needs the time counts were collected over; give it.")
    return calibrated_volume(counts, images.bq_per_count_per_s, scan.frame_duration_s)


def _is_dicom(path: Path) -> bool:
    return path.is_dir() or full_suffix(path) not in IMAGE_IO_OF_SUFFIX


def _slice_middles(scan: ScanFile, volume: QuantitativeVolume) -> tuple[datetime, ...] | None:
    """The slices' own times, where the scan's time comes from the header of a PET series."""
    if scan.time_s is not None or "decay_correction" not in volume.record.parameters or not _is_dicom(scan.path):
        return None
    return slice_middles_of(scan.path) or None


@contextmanager
def _named(scan: ScanFile) -> Iterator[None]:
    """Say in an error which scan it belongs to."""
    try:
        yield
    except InputError as error:
        name = scan.name
        raise type(error)(f"In {name}: {error}") from error


def _record(
    curves: Sequence[TimeActivityCurve],
    timed: Sequence[RegionScan],
    scans: Sequence[ScanFile],
    drawn: _Regions,
    nuclide: Radionuclide,
    images: ImageOptions,
    options: CurveOptions,
) -> Record:
    """The record of all curves: what was read, what was corrected, and every warning once."""
    recovery = options.recovery
    return Record(
        "time-activity curves of regions over serial images",
        parameters={
            "nuclide": nuclide.name,
            "half_life_s": nuclide.half_life_s,
            "administered_bq": options.administered_bq,
            "decay_correction": "none: activity present at each time; percent_id likewise",
            "body": options.body or "every voxel of the scan",
            "one_label_map_for_all_scans": options.same_labels,
            "scans": [
                {
                    "time_h": scan.time_h,
                    "timing": scan.volume.record.parameters.get("timing"),
                    "decay_factor_applied": scan.volume.record.parameters.get("decay_factor_applied"),
                    "time_source": scan.volume.record.parameters.get("time_source"),
                    "frame_duration_s": scan.volume.record.parameters.get("frame_duration_s"),
                    "calibration": scan.volume.record.parameters.get("calibration"),
                    "times_per_slice": scan.slice_times_s is not None,
                }
                for scan in timed
            ],
            "unit_given": images.unit,
            "regions": {
                curve.region: {
                    name: curve.record.parameters.get(name) for name in ("expression", "recovery", "relative_std")
                }
                for curve in curves
            },
            "calibration_relative_std": options.calibration_relative_std,
            "volume_relative_std": options.volume_relative_std,
        },
        inputs={
            **{
                f"scan {number}": dict(scan.volume.record.inputs) or file_identity(Path(file.path))
                for number, (scan, file) in enumerate(zip(timed, scans, strict=True), start=1)
            },
            **{
                f"uncertainty of scan {number}": dict(scan.uncertainty.record.inputs)
                for number, scan in enumerate(timed, start=1)
                if scan.uncertainty is not None
            },
            **drawn.inputs(),
            **({} if recovery is None else dict(recovery.record.inputs)),
        },
        datasets={"decay data": nuclide.dataset},
        warnings=tuple(
            dict.fromkeys((*drawn.warnings(), *(warning for curve in curves for warning in curve.record.warnings)))
        ),
    )
