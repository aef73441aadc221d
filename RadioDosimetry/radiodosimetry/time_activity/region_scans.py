"""A scan with its regions, and what curves are to be made of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError, RegionError, UnitError
from ..images.geometry import require_same_grid
from ..images.regions import Region
from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR, Quantity
from .curve_tables import require_administered
from .recovery import RecoveryCurve
from .scans import Scan, is_synthetic

REMAINDER = "remainder_of_body"
"""Name of what lies in the body outside all regions."""

WHOLE_BODY = "whole_body"
"""Name of everything in the body."""

VOIDED = "voided"
"""Name of what has left the body, present outside it at the time."""


@dataclass(frozen=True, eq=False)
class RegionScan(Scan):
    """A scan with the regions on its grid.

    Attributes
    ----------
    regions
        Regions on the grid of `volume`; they may overlap.
    slice_times_s
        When each slice was measured, middle of its frame after administration [s], shape (k,): in a scan of several
        beds each region then has its own time. None where the whole scan counts as measured at `time_s`.
    uncertainty
        Standard uncertainty of each voxel on the grid of `volume` [Bq/mL], of a scan that was synthesised. Errors of a
        region's voxels stand together: that of its activity is the sum over them. None: not known.
    """

    regions: tuple[Region, ...] = ()
    slice_times_s: NDArray[np.float64] | None = None
    uncertainty: QuantitativeVolume | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "regions", tuple(self.regions))
        names = [region.name for region in self.regions]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RegionError(f"The scan at {self.time_h:g} h has two regions called {', '.join(twice)}; rename one.")
        for region in self.regions:
            if region.mask_kji.shape != self.volume.array_kji.shape:
                raise GeometryMismatchError(
                    f"Region '{region.name}' has a mask of shape {region.mask_kji.shape}, the scan at {self.time_h:g} "
                    f"h has {self.volume.array_kji.shape} (k, j, i); resample the labels onto its grid first."
                )
        if self.slice_times_s is not None:
            times = np.array(self.slice_times_s, dtype=np.float64)
            if times.shape != self.volume.array_kji.shape[:1] or not np.isfinite(times).all() or times.min() < 0:
                raise InputError(
                    f"The scan at {self.time_h:g} h needs one time of zero or later per slice "
                    f"({self.volume.array_kji.shape[0]}), found {times.size}."
                )
            times.setflags(write=False)
            object.__setattr__(self, "slice_times_s", times)
        if self.uncertainty is not None:
            self._require_uncertainty(self.uncertainty)

    def _require_uncertainty(self, uncertainty: QuantitativeVolume) -> None:
        """Refuse one of another quantity or grid, or below zero."""
        if uncertainty.quantity is not Quantity.ACTIVITY_CONCENTRATION:
            raise UnitError(
                f"The uncertainty of the scan at {self.time_h:g} h must be an activity concentration [Bq/mL], found "
                f"{uncertainty.quantity.value} [{uncertainty.unit}]; give the one that was made with the scan."
            )
        require_same_grid(
            self.volume.geometry, uncertainty.geometry, f"The scan at {self.time_h:g} h", "its uncertainty"
        )
        if float(uncertainty.array_kji.min()) < 0:
            raise InputError(
                f"The uncertainty of the scan at {self.time_h:g} h is below zero in some voxel; expected zero or more. "
                "Give the one that was made with the scan."
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What its record warns of, and that it is synthetic without a known uncertainty."""
        if self.uncertainty is not None or not is_synthetic(self.volume):
            return self.volume.record.warnings
        return (
            *self.volume.record.warnings,
            f"The scan at {self.time_h:g} h is synthetic and its uncertainty is not known here: what is stated for "
            "curves, residence times and doses leaves it out and is too small.",
        )

    @property
    def time_h(self) -> float:
        """Time after administration [h]."""
        return self.time_s / SECONDS_PER_HOUR


@dataclass(frozen=True, eq=False)
class CurveOptions:
    """What curves are made of, besides the regions.

    Attributes
    ----------
    decay_constant_per_s
        Of the nuclide [1/s]; needed for slices with their own times, for `voided`, and to see activity that physical
        decay forbids.
    administered_bq
        Administered activity [Bq]; needed for `voided` and to see uptake above 100 %.
    remainder, whole_body
        Add the curves `REMAINDER` and `WHOLE_BODY`. The body is every voxel of the scan, or the region `body` with
        all other regions.
    body
        Name of the region that is the body; it counts as no other region then.
    voided
        Add the curve `VOIDED`, what excretion has taken out of the body: administered activity left by physical decay,
        less the whole body. The scans must show all of the body.
    recovery
        Recovery coefficients by volume, each region's activity divided by its own; never the remainder's or the body's.
    calibration_relative_std, volume_relative_std
        Relative standard uncertainties of the calibration (common to all times and regions) and of the regions'
        volumes, taken over to activity one to one.
    same_labels
        Whether all scans share one label map, whose regions then must have one volume.
    """

    decay_constant_per_s: float | None = None
    administered_bq: float | None = None
    remainder: bool = False
    whole_body: bool = False
    body: str | None = None
    voided: bool = False
    recovery: RecoveryCurve | None = None
    calibration_relative_std: float = 0.0
    volume_relative_std: float = 0.0
    same_labels: bool = True

    def __post_init__(self) -> None:
        require_administered(self.administered_bq)
        rate = self.decay_constant_per_s
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            raise InputError(f"The decay constant must be above zero, found {rate:g} 1/s.")
        for name in ("calibration_relative_std", "volume_relative_std"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value < 1):
                raise InputError(f"{name} must be a share from 0 to below 1, found {value:g}.")
        if self.voided and (self.administered_bq is None or rate is None):
            raise InputError("The voided activity needs the administered activity and the nuclide; give both.")
