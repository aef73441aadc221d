"""Samples that networks learn from: normalised slices for the published one, whole patients for the improved one.

Everything that does not change is computed once when the samples are made; what is drawn (rotation, crop, scale) is
drawn from the generator that the training loop hands over, on the training side only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..images.regions import LabelMap
from ..images.resampling import AIR_HU, resample_ct
from ..images.volume import QuantitativeVolume
from ..nuclides import Radionuclide
from ..units import SECONDS_PER_HOUR
from .baselines import EVERYTHING_ELSE, REMAINDER, population_region
from .normalisation import DecayNormalisation, Normalisation, normalisation_named, normalised
from .pairs import SerialPet
from .ratio_inputs import RatioInputs, bounding_box, ratio_inputs, without_ct
from .resizing import SliceResizing
from .settings import DelayedPetSettings, ImageSettings, Pix2PixSettings, RatioSettings

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
            both = warped(np.concatenate((early, delayed)), matrix)
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


@dataclass(frozen=True, eq=False)
class _RatioPatient:
    """What of a patient does not change from epoch to epoch."""

    inputs: RatioInputs
    pet_only_ckji: NDArray[np.float32]
    early_kji: NDArray[np.float32]
    delayed_kji: dict[float, NDArray[np.float32]]
    labels_kji: NDArray[np.int16]
    regions: tuple[str, ...]
    conditions: dict[float, list[float]]
    largest_total: float
    tissues_kji: NDArray[np.int16]
    region_tissues: NDArray[np.int16]


class RatioSamples:
    """Whole patients at one target time each, for the ratio network.

    A sample holds the coarse "channels" and "weights_k", "weights_j", "weights_i", the normalised "early" and "delayed"
    on the scan's grid, "labels", "condition", "largest_total", and the affine matrices "there" and "back" of the
    augmentation; "tissues" are those of the coarse voxels as numbers in the list `tissues`, and "time_weights" the
    share of each target time; "known" is 1 where the network is given the regions.
    """

    def __init__(
        self, patients: Sequence[SerialPet], settings: DelayedPetSettings, augment: bool, tissues: Sequence[str]
    ) -> None:
        self._settings = settings
        self._augment = augment
        self._patients = [_ratio_patient(patient, settings.images, settings.ratio, tissues) for patient in patients]
        self._index = [
            (number, hour) for number in range(len(self._patients)) for hour in settings.images.target_hours
        ]

    def __len__(self) -> int:
        return len(self._index)

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One patient at one time, varied if the samples are augmented."""
        number, hour = self._index[index]
        patient, ratio = self._patients[number], self._settings.ratio
        channels, scale = patient.inputs.channels_ckji, 1.0
        known = float(number % 2)
        there = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)
        if self._augment:
            if not self._settings.images.use_ct or rng.random() < ratio.drop_ct:
                channels = patient.pet_only_ckji
            known = float(rng.random() < ratio.share_known)
            scale = math.exp(rng.normal(0.0, ratio.scale_std))
            there = drawn_affine(rng, ratio.rotation_degrees, ratio.largest_zoom)
        elif not self._settings.images.use_ct:
            channels = patient.pet_only_ckji
        if scale != 1.0:
            channels = channels.copy()
            channels[0] += math.log10(scale)
        square = np.vstack((there, [[0, 0, 1]]))
        weights = patient.inputs.weights
        return {
            "channels": channels,
            "weights_k": weights[0],
            "weights_j": weights[1],
            "weights_i": weights[2],
            "early": patient.early_kji * np.float32(scale),
            "delayed": patient.delayed_kji[hour] * np.float32(scale),
            "labels": patient.labels_kji,
            "region_count": len(patient.regions),
            "tissues": patient.tissues_kji,
            "region_tissues": patient.region_tissues,
            "known": np.float32(known),
            "time_weights": np.array(
                time_weights(hour * SECONDS_PER_HOUR, self._settings.images.target_hours), dtype=np.float32
            ),
            "condition": np.array(patient.conditions[hour], dtype=np.float32),
            "largest_total": np.float32(patient.largest_total * scale),
            "there": there,
            "back": np.linalg.inv(square)[:2].astype(np.float32),
        }


def _ratio_patient(
    patient: SerialPet, images: ImageSettings, ratio: RatioSettings, tissues: Sequence[str]
) -> _RatioPatient:
    at_s, early = patient.scan_at(images.early_hour * SECONDS_PER_HOUR)
    normalisation = DecayNormalisation(patient.nuclide)
    inputs = ratio_inputs(early, at_s, normalisation, patient.ct if images.use_ct else None, ratio.grid_mm)
    early_kji = normalised(np.maximum(early.array_kji, 0.0), normalisation.constant_bq_per_ml(at_s)).astype(np.float32)
    delayed, condition = {}, {}
    decay_constant = Radionuclide(patient.nuclide).decay_constant_per_s
    for hour in images.target_hours:
        late_s, scan = patient.scan_at(hour * SECONDS_PER_HOUR)
        constant = normalisation.constant_bq_per_ml(late_s)
        delayed[hour] = normalised(scan.array_kji, constant).astype(np.float32)
        condition[hour] = conditions(at_s, late_s, decay_constant)
    labels, regions = training_labels(patient, early, inputs)
    # What is not the body teaches nothing, and the scan around it is most of the voxels.
    box = bounding_box(labels > 0, 1)
    weights = tuple(np.ascontiguousarray(one[part]) for one, part in zip(inputs.weights, box, strict=True))
    return _RatioPatient(
        RatioInputs(inputs.channels_ckji, (weights[0], weights[1], weights[2])),
        without_ct(inputs),
        np.ascontiguousarray(early_kji[box]),
        {hour: np.ascontiguousarray(scan[box]) for hour, scan in delayed.items()},
        np.ascontiguousarray(labels[box]),
        regions,
        condition,
        largest_total(early, at_s, normalisation, patient.administered_bq),
        coarse_tissues(labels[box], regions, tissues, (weights[0], weights[1], weights[2])),
        region_tissues(regions, tissues),
    )


def conditions(early_time_s: float, time_s: float, decay_constant_per_s: float) -> list[float]:
    """What the network knows of times and nuclide: logarithms of both times [h], the delay [days], the decays in it and
    the logarithm of the half-life [days].
    """
    delay_s = time_s - early_time_s
    half_life_days = math.log(2) / decay_constant_per_s / 86400.0
    return [
        math.log(max(early_time_s, 60.0) / SECONDS_PER_HOUR),
        math.log(time_s / SECONDS_PER_HOUR) / 4.0,
        delay_s / 86400.0,
        decay_constant_per_s * delay_s / 4.0,
        math.log(half_life_days),
    ]


def time_weights(time_s: float, target_hours: Sequence[float]) -> list[float]:
    """Share of each target time in a time: linear between neighbours, the first or last one beyond them."""
    hours = [float(hour) for hour in target_hours]
    return [float(np.interp(time_s / SECONDS_PER_HOUR, hours, row)) for row in np.eye(len(hours))]


def coarse_tissues(
    labels_kji: NDArray[np.int16],
    regions: Sequence[str],
    tissues: Sequence[str],
    weights: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.int16]:
    """Number of the tissue in `tissues` at the places of the coarse voxels; what is in no region is the first one."""
    places = [one.argmax(axis=0) for one in weights]
    return np.asarray(region_tissues(regions, tissues)[labels_kji[np.ix_(*places)]])


def region_tissues(regions: Sequence[str], tissues: Sequence[str]) -> NDArray[np.int16]:
    """Number of the tissue of each label from 0 on; regions that no tissue is made of count as the body's remainder."""
    rest = tissues.index(REMAINDER) if REMAINDER in tissues else 0
    found = [tissues.index(name) if name in tissues else rest for name in map(population_region, regions)]
    return np.array([0, *found], dtype=np.int16)


def largest_total(
    early: QuantitativeVolume, early_time_s: float, normalisation: DecayNormalisation, administered_bq: float | None
) -> float:
    """Sum of normalised voxels that decay allows at any time: of the administered activity, or of the early scan's own
    where that is unknown. (Decay is in N(t), so that the bound is the same at all times.)
    """
    constant = normalisation.constant_bq_per_ml(early_time_s)
    seen = float(np.maximum(early.array_kji, 0.0).sum(dtype=np.float64)) / constant
    if administered_bq is None:
        return seen
    return max(seen, administered_bq / normalisation.initial_bq_per_ml / early.geometry.voxel_volume_ml)


def training_labels(
    patient: SerialPet, early: QuantitativeVolume, inputs: RatioInputs
) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Regions as whole numbers from 1 on the scan's grid, the last being the body without the others."""
    fine_body = inputs.channels_ckji[3].astype(np.float64)
    for axis, weights in enumerate(inputs.weights):
        fine_body = np.moveaxis(np.tensordot(weights.astype(np.float64), fine_body, axes=(1, axis)), 0, axis)
    names: tuple[str, ...] = ()
    labels = np.zeros(early.geometry.shape_kji, dtype=np.int16)
    if patient.labels is not None:
        labels, names = numbered_regions(patient.labels)
    labels[(labels == 0) & (fine_body >= 0.5)] = len(names) + 1
    return labels, (*names, EVERYTHING_ELSE)


def numbered_regions(label_map: LabelMap) -> tuple[NDArray[np.int16], tuple[str, ...]]:
    """Regions that have a voxel, numbered from 1, and their names."""
    labels = np.zeros(label_map.geometry.shape_kji, dtype=np.int16)
    names: list[str] = []
    for label, name in label_map.names.items():
        mask = label_map.array_kji == label
        if mask.any():
            names.append(name)
            labels[mask] = len(names)
    return labels, tuple(names)
