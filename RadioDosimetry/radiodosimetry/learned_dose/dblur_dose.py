"""From a patient's maps to the slices of a `DblurDoseNet` and from its output to dose: all in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..voxel_dose.convolution_settings import AIR_DENSITY_G_PER_CM3
from .architectures import SLICES
from .patient_maps import REFERENCE_VOLUME_ML, PatientMaps

if TYPE_CHECKING:
    from torch import Tensor

    from .dblurdosenet import DblurDoseNet

KIND = "dblurdosenet"
"""Kind of its model files."""

BASE = "density-scaled"
"""The dose it corrects (Li et al. 2022), with the electron part alone scaled."""

HALF_DEPTH = SLICES // 2
"""Slices on either side; the first and last slice of the volume are repeated that often."""

DIVISOR = 16
"""Rows and columns are padded with air to multiples of this."""


def preprocessing(spacing_mm: tuple[float, float, float]) -> dict[str, Any]:
    """What the card says of the way from images to inputs; a reader refuses a card that says otherwise."""
    return {
        "spacing_mm": list(spacing_mm),
        "normalisation": "total activity",
        "reference_volume_ml": REFERENCE_VOLUME_ML,
        "slices": SLICES,
        "axial_padding": "replicate",
        "air_density_g_per_cm3": AIR_DENSITY_G_PER_CM3,
    }


def padded_channels(
    maps: PatientMaps, inputs: tuple[str, ...], rows_and_columns: tuple[slice, slice]
) -> NDArray[np.float32]:
    """Input channels and then the base, (c, k + 10, j', i'): a rectangle of every slice, slices repeated at both ends.

    Rows and columns are brought to multiples of `DIVISOR` with air; `without_padding` takes it away again.
    """
    part = (slice(None), *rows_and_columns)
    channels = np.stack([*(maps.channel(name)[part] for name in inputs), maps.base_kji[part]])
    rows, columns = (-count % DIVISOR for count in channels.shape[2:])
    ends = [(0, 0), (HALF_DEPTH, HALF_DEPTH), (0, 0), (0, 0)]
    around = [(0, 0), (0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2)]
    return np.pad(np.pad(channels, ends, mode="edge"), around)


def in_air(maps: PatientMaps, names: tuple[str, ...]) -> NDArray[np.float32]:
    """What each channel is in air without activity."""
    return np.array([float(maps.density_kji.min()) if name == "density" else 0.0 for name in names], dtype=np.float32)


def without_padding(dose_ji: NDArray[np.float32], shape_ji: tuple[int, int]) -> NDArray[np.float32]:
    """A slice of dose without the air that `padded_channels` put around it."""
    rows, columns = ((-count % DIVISOR) // 2 for count in shape_ji)
    return dose_ji[rows : rows + shape_ji[0], columns : columns + shape_ji[1]]


def network_dose(network: DblurDoseNet, channels: Tensor) -> Tensor:
    """Normalised dose of slices that have five others on either side, by channels as `padded_channels` orders them.

    Eleven slices (n, c, 11, j, i) give that of the middle one (n, 1, j, i), s more give (n, 1, s + 1, j, i).
    """
    count, judged = len(network.architecture.inputs), channels.shape[2] - SLICES + 1
    packs = channels
    if judged > 1:
        packs = channels.unfold(2, SLICES, 1).movedim(2, 1).movedim(-1, 3).flatten(0, 1)
    dose: Tensor = network(packs[:, :count], packs[:, count : count + 1, HALF_DEPTH])
    return dose if judged == 1 else dose.unflatten(0, (len(channels), judged)).movedim(1, 2)


def judged_slices(channels: Tensor) -> Tensor:
    """The slices of some channels that `network_dose` gives the dose of, shaped like it."""
    return channels[:, :, HALF_DEPTH] if channels.shape[2] == SLICES else channels[:, :, HALF_DEPTH:-HALF_DEPTH]
