"""Time-integrated activity of every voxel of serial scans, with its uncertainty and which model gave it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError, RegionError
from ..images.activity import without_negative_activity
from ..images.geometry import VolumeGeometry
from ..images.regions import LabelMap, Region
from ..images.resampling import resample_activity
from ..images.volume import QuantitativeVolume
from ..progress import PartialProgress, Progress, report_progress
from ..provenance import Record
from ..units import SECONDS_PER_HOUR, Quantity
from .scans import Scan, ordered_scans
from .voxelwise_models import FEWEST_SCANS, LEGEND, VoxelModel
from .voxelwise_models import residual_degrees as residual_degrees
from .voxelwise_options import LARGEST_RELATIVE_STD as LARGEST_RELATIVE_STD
from .voxelwise_options import OrganCurve as OrganCurve
from .voxelwise_options import TiaOptions as TiaOptions
from .voxelwise_record import map_record
from .voxelwise_work import VoxelWork

TIA_METHODS = ("trapezoid", "mono", "bi", "organ-shape")
"""Methods of `tia_map`."""

LATEST_SCAN_HALF_LIVES = 30.0
"""Physical half-lives after administration beyond which a scan's time is taken for a mistake."""

_CHAINS = {
    "bi": ("bi", "mono"),
    "mono": ("mono",),
    "trapezoid": ("trapezoid",),
    "organ-shape": ("mono",),
}
"""Models tried one after the other; of `organ-shape`, outside the regions."""


@dataclass(frozen=True, eq=False)
class TiaMap:
    """A map of time-integrated activity with what is known about it.

    Attributes
    ----------
    tia
        Time-integrated activity concentration from administration to infinity [Bq s/mL].
    uncertainty
        Relative standard uncertainty of each voxel from the noise of the scans (with `organ-shape` that of the
        organ's fit too), 0 where `tia` is 0; None where nothing tells the noise.
    model_map_kji
        Which model gave each voxel, uint8, shape (k, j, i); see `legend`.
    record
        How the map came to be; also the volumes'.
    legend
        Value of `model_map_kji` to its meaning.
    """

    tia: QuantitativeVolume
    uncertainty: QuantitativeVolume | None
    model_map_kji: NDArray[np.uint8]
    record: Record
    legend: Mapping[int, str] = field(default_factory=lambda: LEGEND)

    def with_record(self, record: Record) -> TiaMap:
        """The same map under another record."""
        uncertainty = None if self.uncertainty is None else self.uncertainty.with_record(record)
        return replace(self, tia=self.tia.with_record(record), uncertainty=uncertainty, record=record)

    @property
    def model_map(self) -> LabelMap:
        """The model of each voxel as labels with names; 0, no activity, is the background."""
        present = set(np.unique(self.model_map_kji).tolist()) - {VoxelModel.NONE.value}
        names = {value: self.legend[value] for value in sorted(present)}
        return LabelMap(self.model_map_kji, self.tia.geometry, names, self.record)


def tia_map(
    scans: Sequence[Scan],
    decay_constant_per_s: float,
    method: str = "mono",
    options: TiaOptions | None = None,
    regions: Sequence[Region] = (),
    organ_curves: Mapping[str, OrganCurve] = MappingProxyType({}),
    progress: Progress | None = None,
) -> TiaMap:
    """Time-integrated activity of every voxel of registered serial scans.

    No model falls slower than physical decay. Voxels that the method cannot describe fall back, and the model map
    says where: `bi` (terms not distinct, not resolved, or an integral more uncertain than `LARGEST_RELATIVE_STD`) to
    `mono`; `mono` (rising from the first to the last scan, or gone between two scans) to trapezoids with a physical
    tail; voxels more uncertain than that limit to the shape of the summed curve of all such voxels, which
    keeps their total. Trapezoids with the physical tail asked for never fall back. Voxels without activity in any scan
    stay zero.

    Parameters
    ----------
    scans
        Registered scans by rising time, each with the activity concentration present at its time. Scans on other
        grids are resampled onto that of the reference scan, their activity conserved. Negative noise becomes zero.
    decay_constant_per_s
        Of the nuclide [1/s].
    method
        One of `TIA_METHODS`. `organ-shape` scales the curve of each organ's fit to each voxel of its region by
        least squares over the scans; voxels outside the regions are described as by `mono` (one scan: trapezoid).
    options
        See `TiaOptions`.
    regions
        For `organ-shape`: disjoint regions on the grid of the reference scan.
    organ_curves
        For `organ-shape`: name of each region to its organ's fit; fits of other names are left aside.
    progress
        Told the share of the work done.

    Returns
    -------
    TiaMap
        Map [Bq s/mL], relative uncertainty, model map and record.

    Raises
    ------
    InputError
        The method is unknown, there are too few scans for it, times are not in order, a scan is empty or more
        negative than noise, or an organ's curve cannot be scaled.
    GeometryMismatchError
        Scans or regions lie on grids that do not overlap, or in different frames of reference.
    RegionError
        `organ-shape` without regions, with overlapping ones, or with one that has no fit or no activity.
    CancelledError
        The user cancelled.

    References
    ----------
    .. [1] Kim et al., Nucl Med Mol Imaging 56 (2022): trapezoids voxel by voxel with A(0) = 0 and a physical tail.
    """
    options = options or TiaOptions()
    series = ordered_scans(scans)
    _require_usable(series, decay_constant_per_s, method, options)
    _require_regions(method, regions, organ_curves)
    report_progress(progress, 0.0, "Scans")
    volumes = _on_one_grid(series, options.reference_scan)
    geometry = volumes[0].geometry
    times_s = np.array([scan.time_s for scan in series])
    work = VoxelWork(volumes, times_s, decay_constant_per_s, options)
    notes: dict[str, Any] = {}
    if method == "organ-shape":
        scaling = PartialProgress(progress, 0.02, 0.5)
        notes["organs"] = _scale_organs(work, regions, organ_curves, geometry, options, scaling)
    chain = ("trapezoid",) if len(series) < FEWEST_SCANS[_CHAINS[method][0]] else _CHAINS[method]
    left = np.flatnonzero(work.models == VoxelModel.NONE)
    begin = 0.5 if method == "organ-shape" else 0.02
    notes |= work.fit(left, chain, PartialProgress(progress, begin, 0.97))
    record = map_record(series, volumes, work, decay_constant_per_s, method, options, notes)
    result = _as_map(work, geometry, record)
    report_progress(progress, 1.0, "Time-integrated activity done")
    return result


def _require_usable(series: Sequence[Scan], decay_constant_per_s: float, method: str, options: TiaOptions) -> None:
    """Refuse what no map can be made of, before any work."""
    if method not in TIA_METHODS:
        raise InputError(f"Method '{method}' is unknown; expected one of: {', '.join(TIA_METHODS)}.")
    if not (math.isfinite(decay_constant_per_s) and decay_constant_per_s > 0):
        raise InputError(f"The decay constant must be a number above zero [1/s], found {decay_constant_per_s!r}.")
    fewest = FEWEST_SCANS[method]
    if len(series) < fewest:
        raise InputError(
            f"Method {method} has {fewest} parameters and needs at least {fewest} scans, found {len(series)}; "
            "add scans, or take a method with fewer parameters (organ-shape and trapezoid need one scan)."
        )
    if method == "trapezoid" and options.tail == "fitted" and len(series) < 2:
        raise InputError(
            "A fitted tail needs at least two scans, found one; take the physical tail, which overstates what is still "
            "cleared after the scan, or organ-shape."
        )
    if not 0 <= options.reference_scan < len(series):
        raise InputError(f"There is no scan with index {options.reference_scan}; found {len(series)} scans.")
    half_lives = series[-1].time_s * decay_constant_per_s / math.log(2.0)
    if half_lives > LATEST_SCAN_HALF_LIVES:
        raise InputError(
            f"The last scan lies {half_lives:.3g} physical half-lives after the administration, expected at most "
            f"{LATEST_SCAN_HALF_LIVES:g}; check the nuclide and the unit of the times."
        )


def _require_regions(method: str, regions: Sequence[Region], organ_curves: Mapping[str, OrganCurve]) -> None:
    if method != "organ-shape":
        if regions or organ_curves:
            raise InputError(f"Regions and fits belong to the method organ-shape, found {method}; leave them out.")
        return
    if not regions or not organ_curves:
        raise RegionError("organ-shape needs regions and the fits of their curves; give both.")
    lacking = [region.name for region in regions if region.name not in organ_curves]
    if lacking:
        raise RegionError(
            f"No fit for the region{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}; found fits of: "
            f"{', '.join(organ_curves)}. Fit the missing ones, or leave their labels out."
        )


def _on_one_grid(series: Sequence[Scan], reference: int) -> list[QuantitativeVolume]:
    """The scans without negative noise, on the grid of the reference scan."""
    geometry = series[reference].volume.geometry
    volumes = []
    for scan in series:
        try:
            volume = without_negative_activity(scan.volume)
        except InputError as error:
            raise InputError(f"The scan at {scan.time_s / SECONDS_PER_HOUR:g} h cannot be used: {error}") from error
        volumes.append(resample_activity(volume, geometry))
    return volumes


def _scale_organs(
    work: VoxelWork,
    regions: Sequence[Region],
    organ_curves: Mapping[str, OrganCurve],
    geometry: VolumeGeometry,
    options: TiaOptions,
    progress: Progress,
) -> dict[str, Any]:
    """Every region by the shape of its organ's curve; what is to be said of each in the record."""
    taken = np.zeros(work.active.size, bool)
    notes = {}
    for number, region in enumerate(regions):
        report_progress(progress, number / len(regions), f"Voxels of {region.name}")
        if region.mask_kji.shape != geometry.shape_kji:
            raise GeometryMismatchError(
                f"Region '{region.name}' has the grid {region.mask_kji.shape}, the map {geometry.shape_kji} (k, j, i); "
                "resample the region first."
            )
        inside = region.mask_kji.reshape(-1)[work.active]
        if not inside.any():
            raise RegionError(f"No voxel of region '{region.name}' has activity in any scan; leave it out.")
        if (inside & taken).any():
            raise RegionError(
                f"Region '{region.name}' shares {np.count_nonzero(inside & taken)} voxels with regions before it; "
                "a voxel can follow one organ only. Give disjoint regions."
            )
        taken |= inside
        places = np.flatnonzero(inside)
        notes[region.name] = work.scale_organ(
            places, region.name, organ_curves[region.name], geometry.voxel_volume_ml, options.conserve_organ_tia
        )
    return notes


def _as_map(work: VoxelWork, geometry: VolumeGeometry, record: Record) -> TiaMap:
    """The voxels back in their image."""
    tia = np.zeros(geometry.voxel_count)
    tia[work.active] = work.tia
    models = np.zeros(geometry.voxel_count, np.uint8)
    models[work.active] = work.models
    models.setflags(write=False)
    shape = geometry.shape_kji
    uncertainty = None
    if work.noise_known:
        relative = np.zeros(geometry.voxel_count, np.float32)
        positive = work.tia > 0
        relative[work.active[positive]] = np.sqrt(work.variance[positive]) / work.tia[positive]
        uncertainty = QuantitativeVolume(
            relative.reshape(shape), geometry, Quantity.RELATIVE_UNCERTAINTY, record=record
        )
    quantity = Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION
    return TiaMap(
        QuantitativeVolume(tia.reshape(shape), geometry, quantity, record=record),
        uncertainty,
        models.reshape(shape),
        record,
    )
