"""What the convolution methods share: settings, checks, the boxes to compute in, and the dose's record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryMismatchError, InputError, UnitError
from ..images.volume import QuantitativeVolume
from ..media import MediaMap
from ..provenance import Record
from ..units import Quantity
from .fourier import PRECISIONS, Box, ImageSpectrum, farthest_offset_kji
from .radial_energy import PointKernelProvider, kernel_datasets, transported_point_kernel
from .sources import EmissionSource

AIR_DENSITY_G_PER_CM3 = 0.1
"""Below this density a voxel is air and gets dose 0 (as Li et al. 2022)."""

FARTHEST_REACH_MM = 600.0
"""Kernels reach this far unless asked otherwise: nothing of the trunk is cut off."""

LI_2022_HALF_WIDTHS = (4, 49)
"""Half-widths of the β and the photon kernel (9³ and 99³ voxels) of Li et al. 2022."""


@dataclass(frozen=True)
class ConvolutionOptions:
    """Settings of the convolution methods.

    Attributes
    ----------
    reach_mm
        Farthest distance along an axis that a kernel covers [mm].
    precision
        Number type of the Fourier transform, one of `PRECISIONS`.
    workers
        Threads; all processors if None.
    secondaries
        "transported" or "local" electrons set free by photons.
    sharing_tolerance
        Error allowed to kernels shared between media (see `shared_kernels`); 0, the default, convolves one kernel per
        medium.
    single_medium
        Name of the medium of `single-vsv`.
    published_density_scaling
        True: `density-scaled` as printed by Li et al. 2022 (photon part scaled too, kernels cut at 9³ and 99³ voxels).
    point_kernels
        Where the energy per distance comes from; tests put closed forms here.
    """

    reach_mm: float = FARTHEST_REACH_MM
    precision: str = "auto"
    workers: int | None = None
    secondaries: str = "transported"
    sharing_tolerance: float = 0.0
    single_medium: str = "water"
    published_density_scaling: bool = False
    point_kernels: PointKernelProvider = transported_point_kernel

    def __post_init__(self) -> None:
        if not self.reach_mm > 0:
            raise InputError(f"The kernels' reach must be a positive distance in mm, found {self.reach_mm}.")
        if self.precision not in PRECISIONS:
            raise InputError(f"Precision '{self.precision}' is unknown; expected one of: {', '.join(PRECISIONS)}.")
        if not 0 <= self.sharing_tolerance < 1:
            raise InputError(f"The sharing tolerance must be from 0 to below 1, found {self.sharing_tolerance}.")


def boxes_of(tia: QuantitativeVolume, media: MediaMap) -> tuple[Box, Box] | None:
    """Where the activity is and where dose is wanted; None if either is nowhere."""
    source = Box.around(tia.array_kji > 0)
    target = Box.around(media.density_kji >= AIR_DENSITY_G_PER_CM3)
    return None if source is None or target is None else (source, target)


def spectrum_of(
    tia: QuantitativeVolume,
    boxes: tuple[Box, Box],
    options: ConvolutionOptions,
    reach_mm: float = np.inf,
    most_voxels: int | None = None,
) -> ImageSpectrum:
    """The activity transformed for kernels that reach so far from the source; by default as far as is needed."""
    farthest = farthest_offset_kji(*boxes)
    reach_mm = min(options.reach_mm, reach_mm)
    asked = [int(np.ceil(reach_mm / step)) + 1 for step in tia.geometry.spacing_mm[::-1]]
    half_width = [min(half, far, most_voxels or far) for half, far in zip(asked, farthest, strict=True)]
    return ImageSpectrum(
        tia.array_kji,
        *boxes,
        (half_width[0], half_width[1], half_width[2]),
        options.precision,
        options.workers,
    )


def media_present(media: MediaMap) -> list[int]:
    """Media of the voxels that are not air, in the order of the map's list."""
    inside = media.medium_index_kji[media.density_kji >= AIR_DENSITY_G_PER_CM3]
    return [int(index) for index in np.flatnonzero(np.bincount(inside, minlength=len(media.media)))]


def in_body(dose_in_box: NDArray[Any], media: MediaMap, boxes: tuple[Box, Box] | None) -> NDArray[Any]:
    """The dose on the whole grid, 0 in air; rounding below zero of the Fourier transform is cut off."""
    dose = np.zeros(media.geometry.shape_kji, dtype=dose_in_box.dtype if boxes else np.float64)
    if boxes is not None:
        inside = media.density_kji[boxes[1].slices] >= AIR_DENSITY_G_PER_CM3
        dose[boxes[1].slices] = np.where(inside, np.maximum(dose_in_box, 0.0), 0.0)
    return dose


def as_dose(
    tia: QuantitativeVolume,
    dose_gy: NDArray[Any],
    method: str,
    parameters: dict[str, Any],
    media: MediaMap,
    source: EmissionSource,
    warnings: tuple[str, ...] = (),
    options: ConvolutionOptions | None = None,
) -> QuantitativeVolume:
    """The dose map with the record of its method, and of its kernels if it has some (`options`)."""
    record = Record(
        f"voxel dose by {method}",
        {"method": method, "source": source.name, "air_below_g_per_cm3": AIR_DENSITY_G_PER_CM3, **parameters},
        {"tia": tia.record.as_dict(), "media": media.record.as_dict()},
        {"emissions": source.dataset, **(kernel_datasets(options.point_kernels) if options else {})},
    )
    return tia.with_array(dose_gy, Quantity.ABSORBED_DOSE, record.with_warnings(*source.record_notes, *warnings))


def used_settings(options: ConvolutionOptions) -> dict[str, Any]:
    """The options that change numbers, for the record."""
    return {
        "reach_mm": options.reach_mm,
        "precision": options.precision,
        "secondaries": options.secondaries,
        "sharing_tolerance": options.sharing_tolerance,
    }


def require_tia(tia: QuantitativeVolume) -> None:
    """Refuse what is not time-integrated activity.

    Raises
    ------
    UnitError, InputError
        Another quantity, or negative values.
    """
    if tia.quantity is not Quantity.TIME_INTEGRATED_ACTIVITY_CONCENTRATION:
        raise UnitError(
            f"Dose needs time-integrated activity [Bq s/mL], found {tia.quantity.value} [{tia.unit}]; "
            "integrate the activity over time first."
        )
    if float(tia.array_kji.min()) < 0:
        raise InputError("Time-integrated activity must not be negative; set reconstruction noise to zero first.")


def require_tia_on(tia: QuantitativeVolume, media: MediaMap) -> None:
    """Refuse what is not time-integrated activity on the grid of the media.

    Raises
    ------
    UnitError, InputError
        Another quantity, or negative values.
    GeometryMismatchError
        The grids differ.
    """
    require_tia(tia)
    if not tia.geometry.same_grid(media.geometry):
        raise GeometryMismatchError("Activity and media have different grids; resample the CT onto the activity first.")
