"""Training samples: patches or packs of slices of patients.

Both kinds are a `learning.samples.SampleSource`. A sample is a mapping of float32 arrays, channels first: `channels`
(what `unet_dose.network_dose` or `dblur_dose.network_dose` takes), `label` (normalised Monte Carlo dose, one channel)
and `weight` (how much each of its voxels counts).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..learning.patches import lattice_variant
from . import dblur_dose, unet_dose
from .architectures import SLICES, DblurArchitecture, UNetArchitecture
from .patient_maps import PatientMaps
from .patients import DosePatient
from .training_config import LossSettings, PatchSampling, SliceSampling


class UNetSamples:
    """Patches of patients for a `ResidualUNet3D`.

    Parameters
    ----------
    patients
        Whose patches; all of one voxel size.
    architecture, sampling, loss
        Of the training.
    training
        Whether patches are mirrored and turned and `samples_per_patient` of them make an epoch; else
        `validation_per_patient`, every other one near an edge.
    """

    def __init__(
        self,
        patients: Sequence[DosePatient],
        architecture: UNetArchitecture,
        sampling: PatchSampling,
        loss: LossSettings,
        training: bool,
    ) -> None:
        self._sampling, self._training = sampling, training
        edge = sampling.patch
        self._stacks: list[NDArray[np.float32]] = []
        self._centres: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._channels = len(architecture.inputs) + len(unet_dose.CARRIED)
        for patient in patients:
            stack = _stack(unet_dose.inputs_and_carried(patient.maps, architecture.inputs), patient, loss)
            air = _air(patient.maps, architecture.inputs)
            stack = _padded(stack, (edge, edge, edge), air)
            self._stacks.append(stack)
            base = stack[len(architecture.inputs)]
            dosed = base > sampling.least_dose * np.percentile(base[base > 0], 99)
            near = _padded(patient.edges_kji[None], (edge, edge, edge), np.zeros(1, bool))[0]
            everywhere = np.flatnonzero(dosed)
            edges = np.flatnonzero(dosed & near)
            self._centres.append((everywhere, edges if edges.size else everywhere))
        self._per_patient = sampling.samples_per_patient if training else sampling.validation_per_patient

    def __len__(self) -> int:
        """Samples of one epoch."""
        return self._per_patient * len(self._stacks)

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Sample `index` of an epoch, everything else drawn from `rng`."""
        number = index % len(self._stacks)
        stack, (everywhere, edges) = self._stacks[number], self._centres[number]
        share = self._sampling.edge_share if self._training else (index // len(self._stacks)) % 2
        centres = edges if rng.random() < share else everywhere
        centre = np.unravel_index(int(centres[rng.integers(centres.size)]), stack.shape[1:])
        window = _window(centre, stack.shape[1:], (self._sampling.patch,) * 3)
        return _sample(stack[(slice(None), *window)], self._channels, rng, self._training and self._sampling.augment)


class SliceSamples:
    """Packs of eleven slices of patients for a `DblurDoseNet`; the label is of the middle slice.

    Parameters as `UNetSamples`; the boxes around the bodies of `patients` decide the size of uncropped samples.
    """

    def __init__(
        self,
        patients: Sequence[DosePatient],
        architecture: DblurArchitecture,
        sampling: SliceSampling,
        loss: LossSettings,
        training: bool,
    ) -> None:
        self._sampling, self._training = sampling, training
        boxes = [_body_rows_and_columns(patient.maps) for patient in patients]
        sizes = [max(box[axis].stop - box[axis].start for box in boxes) for axis in (0, 1)]
        sides = [-(-size // dblur_dose.DIVISOR) * dblur_dose.DIVISOR for size in sizes]
        self._crop = (sampling.crop, sampling.crop) if sampling.crop else (sides[0], sides[1])
        self._channels = len(architecture.inputs) + 1
        self._stacks: list[NDArray[np.float32]] = []
        self._bodies: list[NDArray[np.int64]] = []
        self._dosed: list[NDArray[np.bool_]] = []
        for patient in patients:
            maps = patient.maps
            channels = np.stack([*(maps.channel(name) for name in architecture.inputs), maps.base_kji])
            stack = _stack(channels, patient, loss)
            self._bodies.append(np.flatnonzero(maps.matter_kji.any(axis=(1, 2))))
            ends = [(0, 0), (dblur_dose.HALF_DEPTH, dblur_dose.HALF_DEPTH), (0, 0), (0, 0)]
            stack = np.pad(stack, ends, mode="edge")
            stack = _padded(stack, (SLICES, *self._crop), _air(maps, architecture.inputs, carried=False))
            self._stacks.append(stack)
            base = stack[self._channels - 1]
            self._dosed.append(base > 0.01 * np.percentile(base[base > 0], 99))
        self._lengths = self._numbers()

    def _numbers(self) -> list[int]:
        if not self._training:
            return [min(self._sampling.validation_per_patient, body.size) for body in self._bodies]
        asked = self._sampling.samples_per_patient
        return [asked or int(body.size) for body in self._bodies]

    def __len__(self) -> int:
        """Samples of one epoch."""
        return sum(self._lengths)

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Sample `index` of an epoch, everything else drawn from `rng`."""
        number = int(np.searchsorted(np.cumsum(self._lengths), index, side="right"))
        within = index - sum(self._lengths[:number])
        body, stack = self._bodies[number], self._stacks[number]
        if not self._training:
            middle = int(body[round(within * (body.size - 1) / max(1, self._lengths[number] - 1))])
        elif self._sampling.samples_per_patient:
            middle = int(body[rng.integers(body.size)])
        else:
            middle = int(body[within])
        places = np.argwhere(self._dosed[number][middle + dblur_dose.HALF_DEPTH])
        if places.size == 0 or (not self._training) or not self._sampling.crop:
            centre = (stack.shape[2] // 2, stack.shape[3] // 2)
            if places.size:
                low, high = places.min(axis=0), places.max(axis=0)
                centre = (int(low[0] + high[0]) // 2, int(low[1] + high[1]) // 2)
        else:
            row, column = places[rng.integers(len(places))]
            centre = (int(row), int(column))
        rows, columns = _window(centre, stack.shape[2:], self._crop)
        pack = stack[:, middle : middle + SLICES, rows, columns]
        sample = _sample(pack, self._channels, rng, self._training and self._sampling.augment)
        half = dblur_dose.HALF_DEPTH
        return {"channels": sample["channels"], "label": sample["label"][:, half], "weight": sample["weight"][:, half]}


def voxel_weights(patient: DosePatient, loss: LossSettings) -> NDArray[np.float32]:
    """How much each voxel counts, before the error itself is weighed."""
    matter = patient.maps.matter_kji
    weight = np.where(matter, loss.body_weight, loss.outside_weight)
    return np.asarray(np.where(patient.edges_kji, weight * loss.edge_weight, weight), dtype=np.float32)


def _stack(channels: NDArray[np.float32], patient: DosePatient, loss: LossSettings) -> NDArray[np.float32]:
    """Channels, label and weight in one array, so that they are cut and mirrored together."""
    return np.concatenate([channels, patient.label_kji[None], voxel_weights(patient, loss)[None]])


def _air(maps: PatientMaps, inputs: tuple[str, ...], carried: bool = True) -> NDArray[np.float32]:
    """What each channel of `_stack` is in air without activity, which counts for nothing."""
    values = {"hu": -1.0, "density": float(maps.density_kji.min()), "nuclide": float(maps.channel("nuclide").flat[0])}
    behind = [0.0, 0.0, 1.0] if carried else [0.0]
    return np.array([*(values.get(name, 0.0) for name in inputs), *behind, 0.0, 0.0], dtype=np.float32)


def _padded(stack: NDArray[Any], least: tuple[int, int, int], air: NDArray[Any]) -> NDArray[Any]:
    """The stack, surrounded by air where it is smaller than a window."""
    shape = stack.shape[1:]
    wanted = [max(size, edge) for size, edge in zip(shape, least, strict=True)]
    if list(shape) == wanted:
        return np.ascontiguousarray(stack)
    padded = np.empty((stack.shape[0], *wanted), dtype=stack.dtype)
    padded[:] = air[:, None, None, None]
    starts = [(more - size) // 2 for size, more in zip(shape, wanted, strict=True)]
    k, j, i = (slice(start, start + size) for start, size in zip(starts, shape, strict=True))
    padded[:, k, j, i] = stack
    return padded


def _window(centre: Sequence[Any], shape: Sequence[int], edges: Sequence[int]) -> tuple[slice, ...]:
    """A window around a centre, moved in where it would stick out."""
    starts = [
        min(max(int(middle) - edge // 2, 0), size - edge)
        for middle, edge, size in zip(centre, edges, shape, strict=True)
    ]
    return tuple(slice(start, start + edge) for start, edge in zip(starts, edges, strict=True))


def _sample(
    part: NDArray[np.float32], channels: int, rng: np.random.Generator, augment: bool
) -> dict[str, NDArray[np.float32]]:
    if augment:
        (part,) = lattice_variant([part], rng, turns=part.shape[-1] == part.shape[-2])
    part = np.ascontiguousarray(part)
    return {"channels": part[:channels], "label": part[channels : channels + 1], "weight": part[channels + 1 :]}


def _body_rows_and_columns(maps: PatientMaps) -> tuple[slice, slice]:
    """The smallest rectangle that holds the body in every slice."""
    rows = np.flatnonzero(maps.matter_kji.any(axis=(0, 2)))
    columns = np.flatnonzero(maps.matter_kji.any(axis=(0, 1)))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
