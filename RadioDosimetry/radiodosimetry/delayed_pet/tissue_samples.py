"""Samples that the tissue network learns from: slabs of patients with the tissue of each voxel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..units import SECONDS_PER_HOUR
from .forecast import given_places
from .normalisation import DecayNormalisation
from .pairs import SerialPet
from .ratio_inputs import labels_on_grid, ratio_inputs
from .settings import DelayedPetSettings

JITTER_LOG_UPTAKE, JITTER_HU = 0.05, 0.02
"""Standard deviations of what is added to the first channel and to the CT (over 500 HU) of a training sample."""


@dataclass(frozen=True, eq=False)
class _TissuePatient:
    """Channels with and without CT in half precision, and the tissue of each voxel."""

    channels: NDArray[np.float16]
    pet_only: NDArray[np.float16]
    tissues_kji: NDArray[np.int16]


class TissueSamples:
    """A slab of a patient: {"channels": (4, k, j, i), "tissues": (k, j, i)}; all of it where nothing is varied.

    Parameters
    ----------
    patients, settings
        Whose early scans, and how.
    augment
        Vary place, orientation, size and intensities.
    tissues
        Names of what is told apart.
    """

    def __init__(
        self, patients: Sequence[SerialPet], settings: DelayedPetSettings, augment: bool, tissues: Sequence[str]
    ) -> None:
        self._settings, self._augment = settings, augment
        self._patients = [_tissue_patient(patient, settings, tissues) for patient in patients]

    def __len__(self) -> int:
        return len(self._patients)

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One patient, varied if the samples are augmented."""
        patient, ratio = self._patients[index], self._settings.ratio
        with_ct = self._settings.images.use_ct and not (self._augment and rng.random() < ratio.drop_ct)
        channels = (patient.channels if with_ct else patient.pet_only).astype(np.float32)
        tissues = patient.tissues_kji
        if self._augment:
            channels[0] += rng.normal(0.0, JITTER_LOG_UPTAKE)
            if with_ct:
                channels[2] += rng.normal(0.0, JITTER_HU)
            channels, tissues = slab_of(channels, tissues, rng, ratio.slab, ratio.rotation_degrees, ratio.largest_zoom)
        return {"channels": channels, "tissues": tissues.astype(np.int64)}

    def shares(self, tissue_count: int) -> NDArray[np.float32]:
        """Logarithm of each tissue's share of the voxels, at least one voxel of each."""
        counts = np.ones(tissue_count)
        for patient in self._patients:
            counts += np.bincount(patient.tissues_kji.ravel(), minlength=tissue_count)
        return np.log(counts / counts.sum()).astype(np.float32)


def slab_of(
    channels: NDArray[np.float32],
    tissues_kji: NDArray[np.int16],
    rng: np.random.Generator,
    slices: int,
    rotation_degrees: float,
    largest_zoom: float,
) -> tuple[NDArray[np.float32], NDArray[np.int16]]:
    """A slab of a volume, turned within its slices and magnified along and across them; its edge goes on beyond it."""
    count, rows, columns = tissues_kji.shape
    kept = min(slices, count) if slices else count
    angle = math.radians(rng.uniform(-rotation_degrees, rotation_degrees))
    across, along = 1.0 + rng.uniform(-largest_zoom, largest_zoom, 2)
    first = rng.uniform(0.0, max(count - kept * along, 0.0))
    centre = (first + kept * along / 2 - count / 2) * 2 / count
    cosine, sine = across * math.cos(angle), across * math.sin(angle)
    # Places are told in halves of the sides, in the order i, j, k.
    matrix = torch.tensor(
        [
            [cosine, -sine * rows / columns, 0.0, 0.0],
            [sine * columns / rows, cosine, 0.0, 0.0],
            [0.0, 0.0, along * kept / count, centre],
        ],
        dtype=torch.float32,
    )
    grid = torch.nn.functional.affine_grid(matrix[None], [1, 1, kept, rows, columns], align_corners=False)
    turned = _sampled(channels, grid, "bilinear")
    numbers = _sampled(tissues_kji[None].astype(np.float32), grid, "nearest")[0]
    return turned, np.rint(numbers).astype(np.int16)


def _sampled(values: NDArray[np.float32], grid: torch.Tensor, mode: str) -> NDArray[np.float32]:
    sampled = torch.nn.functional.grid_sample(
        torch.from_numpy(values)[None], grid, mode=mode, padding_mode="border", align_corners=False
    )
    return np.asarray(sampled[0].numpy())


def _tissue_patient(patient: SerialPet, settings: DelayedPetSettings, tissues: Sequence[str]) -> _TissuePatient:
    if patient.labels is None:
        raise InputError(f"{patient.id} has no regions; the network 'ratio-3d' learns the activity of organs.")
    images = settings.images
    at_s, early = patient.scan_at(images.early_hour * SECONDS_PER_HOUR)
    ct = patient.ct if images.use_ct else None
    inputs = ratio_inputs(early, at_s, DecayNormalisation(patient.nuclide), ct, settings.ratio.grid_mm)
    places, numbers = given_places(labels_on_grid(patient.labels, inputs), patient.labels, inputs, tissues)
    return _TissuePatient(
        inputs.channels_ckji().astype(np.float16),
        inputs.channels_ckji(with_ct=False).astype(np.float16),
        numbers[places.argmax(axis=0)].astype(np.int16),
    )
