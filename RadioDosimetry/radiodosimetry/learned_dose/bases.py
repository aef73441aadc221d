"""The base dose a network corrects, by the convolution method its card names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..media import MediaMap
from ..progress import Progress
from ..voxel_dose.convolution import density_scaled, multiple_vsv
from ..voxel_dose.convolution_settings import ConvolutionOptions
from ..voxel_dose.sources import EmissionSource

BASE_METHODS: Mapping[str, Callable[..., QuantitativeVolume]] = {
    "multiple-vsv": multiple_vsv,
    "density-scaled": density_scaled,
}
"""Name of a base to the method of `voxel_dose` that computes it."""

SECONDARIES = "transported"
"""Electrons set free by photons, as in the kernels a network was trained on."""


def base_dose(
    method: str,
    tia: QuantitativeVolume,
    media: MediaMap,
    source: EmissionSource,
    progress: Progress | None = None,
) -> QuantitativeVolume:
    """Base dose [Gy] of a time-integrated activity [Bq s/mL] in media of the same grid.

    Raises
    ------
    InputError
        The base is unknown, or the activity negative.
    UnitError, GeometryMismatchError
        As `voxel_dose.convolution.multiple_vsv`.
    """
    if method not in BASE_METHODS:
        raise InputError(f"The base '{method}' is unknown; expected one of {', '.join(BASE_METHODS)}.")
    return BASE_METHODS[method](tia, media, source, ConvolutionOptions(secondaries=SECONDARIES), progress)


def base_settings(method: str) -> dict[str, Any]:
    """What a card says of its base, so that prediction computes the same one."""
    return {"method": method, "secondaries": SECONDARIES}
