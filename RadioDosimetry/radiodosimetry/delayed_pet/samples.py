"""Samples that the published network learns from: normalised slices.

Everything that does not change is computed once when the samples are made; what is drawn (rotation, crop, scale) is
drawn from the generator that the training loop hands over, on the training side only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.resampling import AIR_HU, resample_ct
from ..images.volume import QuantitativeVolume
from ..units import SECONDS_PER_HOUR
from .normalisation import Normalisation, normalisation_named, normalised
from .pairs import SerialPet
from .resizing import SliceResizing
from .settings import DelayedPetSettings, ImageSettings, Pix2PixSettings

CT_SCALE_HU = 1000.0
"""CT numbers of the slices are shown as HU over this."""


def slice_channels(
    early_kji: NDArray[np.floating], ct_kji: NDArray[np.floating] | None, neighbours: int, time_channel: float | None
) -> NDArray[np.float32]:
    """Input of the slice network: the slice among its neighbours, the CT's, and a channel with the target time.

    Parameters
    ----------
    early_kji
        Normalised early slices, (k, j, i); beyond the ends the last slice is repeated.
    ct_kji
        CT numbers over `CT_SCALE_HU` on the same grid; None without.
    neighbours
        Slices on each side.
    time_channel
        Number that tells the target time; None where there is one target only.

    Returns
    -------
    ndarray
        Shape (k, channels, j, i).
    """
    count = early_kji.shape[0]
    places = np.clip(np.arange(count)[:, None] + np.arange(-neighbours, neighbours + 1), 0, count - 1)
    parts = [early_kji[places]]
    if ct_kji is not None:
        parts.append(ct_kji[places])
    if time_channel is not None:
        parts.append(np.full((count, 1, *early_kji.shape[1:]), time_channel))
    return np.concatenate(parts, axis=1).astype(np.float32)


def channel_count(images: ImageSettings, settings: Pix2PixSettings) -> int:
    """Channels that `slice_channels` makes."""
    shown = 2 * settings.neighbours + 1
    return shown * (2 if images.use_ct else 1) + int(len(images.target_hours) > 1)


def time_channel(images: ImageSettings, hour: float) -> float | None:
    """The number of `slice_channels` for a target time; None where there is one target only."""
    return None if len(images.target_hours) == 1 else hour / max(images.target_hours)


def slices_of(
    early: QuantitativeVolume,
    early_time_s: float,
    ct: QuantitativeVolume | None,
    normalisation: Normalisation,
    resizing: SliceResizing,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Normalised early slices and CT slices on the square matrix."""
    constant = normalisation.constant_bq_per_ml(early_time_s, early.array_kji)
    squares = resizing.forward(normalised(early.array_kji, constant))
    if ct is None:
        return squares, None
    on_grid = resample_ct(ct, early.geometry, AIR_HU)
    shifted = resizing.forward(np.asarray(on_grid.array_kji, dtype=np.float64) - AIR_HU)
    return squares, (np.clip(shifted + AIR_HU, AIR_HU, CT_SCALE_HU)) / CT_SCALE_HU


class SliceSamples:
    """(early, delayed) slices of patients on the square matrix; a sample is {"early": (c, j, i), "delayed": (1, j, i)}.

    Parameters
    ----------
    patients, settings
        Whose scans, and how.
    augment
        Draw a rotation and a crop for each sample.
    """

    def __init__(self, patients: Sequence[SerialPet], settings: DelayedPetSettings, augment: bool) -> None:
        images = settings.images
        self._settings = settings
        self._augment = augment
        self._early: list[NDArray[np.float64]] = []
        self._ct: list[NDArray[np.float64] | None] = []
        self._delayed: list[dict[float, NDArray[np.float32]]] = []
        self._index: list[tuple[int, float, int]] = []
        for number, patient in enumerate(patients):
            at_s, early = patient.scan_at(images.early_hour * SECONDS_PER_HOUR)
            normalisation = normalisation_named(images.normalisation, patient.nuclide)
            resizing = SliceResizing(*early.geometry.shape_kji[1:])
            ct = patient.ct if images.use_ct else None
            squares, ct_squares = slices_of(early, at_s, ct, normalisation, resizing)
            late: dict[float, NDArray[np.float32]] = {}
            for hour in images.target_hours:
                late_s, scan = patient.scan_at(hour * SECONDS_PER_HOUR)
                constant = normalisation.constant_bq_per_ml(late_s, early.array_kji)
                late[hour] = np.maximum(resizing.forward(normalised(scan.array_kji, constant)), 0.0).astype(np.float32)
                self._index += [(number, hour, k) for k in range(len(squares))]
            self._early.append(squares)
            self._ct.append(ct_squares)
            self._delayed.append(late)

    def __len__(self) -> int:
        return len(self._index)

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One pair of slices, turned and cropped if the samples are augmented."""
        number, hour, k = self._index[index]
        images, network = self._settings.images, self._settings.pix2pix
        reach = slice(max(0, k - network.neighbours), k + network.neighbours + 1)
        ct = self._ct[number]
        middle = k - reach.start
        early = slice_channels(
            self._early[number][reach],
            None if ct is None else ct[reach],
            network.neighbours,
            time_channel(images, hour),
        )[middle]
        delayed = self._delayed[number][hour][k][None]
        if self._augment:
            matrix = drawn_affine(rng, network.rotation_degrees, 1.0 / network.smallest_crop - 1.0)
            outside = np.zeros((len(early) + 1, 1, 1), dtype=np.float32)
            if ct is not None:
                shown = 2 * network.neighbours + 1
                outside[shown : 2 * shown] = AIR_HU / CT_SCALE_HU
            both = warped(np.concatenate((early, delayed)) - outside, matrix) + outside
            early, delayed = both[:-1], both[-1:]
            if time_channel(images, hour) is not None:
                early[-1] = time_channel(images, hour)
        return {"early": np.ascontiguousarray(early), "delayed": np.ascontiguousarray(delayed)}


def drawn_affine(rng: np.random.Generator, rotation_degrees: float, largest_zoom: float) -> NDArray[np.float32]:
    """A rotation, magnification and shift of the magnified part, as a matrix (2, 3) from output to input places."""
    angle = math.radians(rng.uniform(-rotation_degrees, rotation_degrees))
    zoom = 1.0 + rng.uniform(0.0, largest_zoom)
    shift = rng.uniform(-1.0, 1.0, 2) * (1.0 - 1.0 / zoom)
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]], dtype=np.float32)


def warped(image_cji: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Channels (c, j, i) at the places of a matrix; linear, zero outside."""
    import torch

    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(matrix)[None], [1, *image_cji.shape], align_corners=False
    )
    sampled = torch.nn.functional.grid_sample(torch.from_numpy(image_cji)[None], grid, align_corners=False)
    return np.array(sampled[0].numpy())


def time_weights(time_s: float, target_hours: Sequence[float]) -> list[float]:
    """Share of each target time in a time: linear between neighbours, the first or last one beyond them."""
    hours = [float(hour) for hour in target_hours]
    return [float(np.interp(time_s / SECONDS_PER_HOUR, hours, row)) for row in np.eye(len(hours))]
