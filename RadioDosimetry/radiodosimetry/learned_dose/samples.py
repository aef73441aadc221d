"""Training samples: patches or packs of slices of patients.

Both kinds are a `learning.samples.SampleSource`. A sample is a mapping of float32 arrays, channels first: `channels`
(what `unet_dose.network_dose` or `dblur_dose.network_dose` takes), `label` (normalised Monte Carlo dose, one channel),
`weight` (how much each of its voxels counts), `reference` (what relative errors are relative to) and `region` (the
number of the region that a voxel lies in, zero for none).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import InputError
from ..images.geometry import SPACING_TOLERANCE_MM
from ..learning.patches import lattice_variant
from . import dblur_dose, unet_dose
from .architectures import SLICES, DblurArchitecture, UNetArchitecture
from .losses import FIRST_LESION
from .measures import group_of
from .patient_maps import scaled_channel
from .patients import DosePatient, Mask
from .training_config import LossSettings, PatchSampling, SliceSampling

Stack = NDArray[np.float32]

LESIONS = "tumours"
"""Group of regions that `LossSettings.lesion_weight` is for."""

LEAST_DOSE = 0.01
"""Slices are centred where there is at least this share of a patient's 99th percentile of base dose."""

MOST_DOSE_PERCENTILE = 99.9
"""Above this percentile of a patient's base dose centres are not drawn more often, and voxels do not count more."""

WITHOUT_INPUT = ("label", "weight", "reference", "region")
"""What follows the channels of a network in an array of samples."""


class UNetSamples:
    """Patches of patients for a `ResidualUNet3D`.

    Parameters
    ----------
    patients
        Whose patches; all of one voxel size.
    architecture, sampling, loss
        Of the training.
    training
        Whether patches are varied and `samples_per_patient` of them make an epoch; else `validation_per_patient`, by
        turns near an edge, anywhere, and by dose if the training draws so.
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
        edge = (sampling.patch,) * 3
        names = (*architecture.inputs, *unet_dose.carried(architecture))
        self._variants = _Variants(patients, names, sampling.activity_scale, sampling.augment)
        self._stacks: list[Stack] = []
        self._centres: list[_Centres] = []
        for patient in patients:
            stack = _stack(unet_dose.inputs_and_carried(patient.maps, architecture), patient, loss)
            stack = _padded(stack, edge, _air(unet_dose.in_air(patient.maps, architecture)))
            self._stacks.append(stack)
            near = _padded(patient.edges_kji[None], edge, np.zeros(1, bool))[0]
            base, counts = stack[len(architecture.inputs)], stack[_place("weight")] > 0
            self._centres.append(_Centres(base, counts, sampling.least_dose, near))
        self._per_patient = sampling.samples_per_patient if training else sampling.validation_per_patient

    def __len__(self) -> int:
        """Samples of one epoch."""
        return self._per_patient * len(self._stacks)

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Sample `index` of an epoch, everything else drawn from `rng`."""
        number, shares = index % len(self._stacks), (self._sampling.edge_share, self._sampling.dose_share)
        if not self._training:
            turn = index // len(self._stacks) % (3 if shares[1] else 2)
            shares = (float(turn == 0), float(turn == 2))
        stack = self._stacks[number]
        centre = self._centres[number].draw(rng, *shares)
        window = _window(centre, stack.shape[1:], (self._sampling.patch,) * 3)
        part = stack[(slice(None), *window)]
        return self._variants.sample(part, rng) if self._training else _named(part)


class SliceSamples:
    """Packs of slices of patients for a `DblurDoseNet`: eleven for each slice that is judged, the middle one.

    Neighbouring slices (`SliceSampling.slices`) share most of their packs: a sample has ten more slices than labels.

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
        boxes = [_rows_and_columns(patient.maps.matter_kji) for patient in patients]
        sizes = [max(box[axis].stop - box[axis].start for box in boxes) for axis in (0, 1)]
        sides = [-(-size // dblur_dose.DIVISOR) * dblur_dose.DIVISOR for size in sizes]
        self._cropped = bool(sampling.crop) and training
        self._slices = sampling.slices if training else 1
        self._crop = (sampling.crop, sampling.crop) if self._cropped else (sides[0], sides[1])
        names = (*architecture.inputs, "base")
        self._variants = _Variants(patients, names, sampling.activity_scale, sampling.augment, turns=False)
        self._stacks: list[Stack] = []
        self._boxes: list[tuple[slice, slice]] = []
        self._bodies: list[NDArray[np.int64]] = []
        self._centres: list[_Centres] = []
        for patient in patients:
            maps = patient.maps
            if maps.density_kji.shape[0] < self._slices:
                raise InputError(
                    f"{patient.id} has {maps.density_kji.shape[0]} slices, fewer than the {self._slices} of a sample; "
                    "make 'slices' smaller."
                )
            stack = _stack(np.stack([maps.channel(name) for name in names]), patient, loss)
            counts = stack[_place("weight")] > 0
            self._bodies.append(np.flatnonzero((maps.matter_kji & counts).any(axis=(1, 2))))
            ends = [(0, 0), (dblur_dose.HALF_DEPTH, dblur_dose.HALF_DEPTH), (0, 0), (0, 0)]
            counts = np.pad(counts, ends[1:])
            air = _air(dblur_dose.in_air(maps, names))
            stack = _padded(np.pad(stack, ends, mode="edge"), (SLICES, *self._crop), air)
            self._stacks.append(stack)
            body = _padded(maps.matter_kji[None], (SLICES, *self._crop), np.zeros(1, bool))[0]
            self._boxes.append(_rows_and_columns(body))
            counts = _padded(counts[None], (SLICES, *self._crop), np.zeros(1, bool))[0]
            self._centres.append(_Centres(stack[len(names) - 1], counts, LEAST_DOSE))
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
        stack = self._stacks[number]
        middle, row, column = self._centre(number, within, rng)
        rows, columns = _window((row, column), stack.shape[2:], self._crop)
        first = min(max(middle - (self._slices - 1) // 2, 0), stack.shape[1] - SLICES + 1 - self._slices)
        part = stack[:, first : first + SLICES - 1 + self._slices, rows, columns]
        found = self._variants.sample(part, rng) if self._training else _named(part)
        half = dblur_dose.HALF_DEPTH
        inner = slice(half, -half) if self._slices > 1 else half
        return {name: values if name == "channels" else values[:, inner] for name, values in found.items()}

    def _centre(self, number: int, within: int, rng: np.random.Generator) -> tuple[int, int, int]:
        """The slice of the volume, row and column of a sample's middle."""
        body, half = self._bodies[number], dblur_dose.HALF_DEPTH
        centre = None
        if not self._training:
            middle = int(body[round(within * (body.size - 1) / max(1, self._lengths[number] - 1))])
        elif rng.random() < self._sampling.dose_share:
            centre = self._centres[number].draw(rng, 0.0, 1.0)
            middle = centre[0] - half
        elif self._sampling.samples_per_patient:
            middle = int(body[rng.integers(body.size)])
        else:
            middle = int(body[within])
        if self._cropped:
            centre = centre or self._centres[number].in_slice(middle + half, rng)
            if centre is not None:
                return middle, centre[1], centre[2]
        rows, columns = self._boxes[number]
        return middle, (rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2


class _Centres:
    """Voxels of a patient around which samples lie.

    Parameters
    ----------
    base_kji, counts_kji
        Base dose, and where it is judged.
    least_dose
        Share of the 99th percentile of the base dose that a centre has at least.
    edges_kji
        Voxels near surfaces of lung and bone.
    """

    def __init__(
        self,
        base_kji: NDArray[np.float32],
        counts_kji: NDArray[np.bool_],
        least_dose: float,
        edges_kji: NDArray[np.bool_] | None = None,
    ) -> None:
        self._shape = base_kji.shape
        dosed = counts_kji & (base_kji > least_dose * np.percentile(base_kji[base_kji > 0], 99))
        self._everywhere = np.flatnonzero(dosed)
        edges = self._everywhere[:0] if edges_kji is None else np.flatnonzero(dosed & edges_kji)
        self._edges = edges if edges.size else self._everywhere
        dose = base_kji.ravel()[self._everywhere].astype(np.float64)
        self._summed = np.cumsum(np.minimum(dose, np.percentile(dose, MOST_DOSE_PERCENTILE)))
        per_slice = int(np.prod(self._shape[1:]))
        self._starts = np.searchsorted(self._everywhere, per_slice * np.arange(self._shape[0] + 1))

    def draw(self, rng: np.random.Generator, edge_share: float, dose_share: float) -> tuple[int, int, int]:
        """A voxel near an edge, by dose, or anywhere; two numbers are drawn whatever comes out."""
        which, place = rng.random(2)
        if edge_share <= which < edge_share + dose_share:
            found = self._everywhere[np.searchsorted(self._summed, place * self._summed[-1], side="right")]
        else:
            among = self._edges if which < edge_share else self._everywhere
            found = among[int(place * among.size)]
        return self._index(found)

    def in_slice(self, k: int, rng: np.random.Generator) -> tuple[int, int, int] | None:
        """A voxel with dose of a slice, None where there is none."""
        among = self._everywhere[self._starts[k] : self._starts[k + 1]]
        return self._index(among[rng.integers(among.size)]) if among.size else None

    def _index(self, flat: int) -> tuple[int, int, int]:
        k, j, i = (int(one) for one in np.unravel_index(int(flat), self._shape))
        return k, j, i


class _Variants:
    """Mirrored, turned and scaled versions of samples that are as likely as the original.

    Parameters
    ----------
    patients
        Whose samples.
    names
        Of the channels.
    activity_scale
        Of the sampling.
    augment
        Whether samples are mirrored and turned.
    turns
        Whether quarter turns about k are allowed where rows and columns are alike.
    """

    def __init__(
        self,
        patients: Sequence[DosePatient],
        names: tuple[str, ...],
        activity_scale: float,
        augment: bool,
        turns: bool = True,
    ) -> None:
        self._names, self._scale, self._augment = names, activity_scale, augment
        steps = [patient.maps.geometry.spacing_mm for patient in patients]
        self._turns = turns and all(abs(step[0] - step[1]) <= SPACING_TOLERANCE_MM for step in steps)

    def sample(self, part: Stack, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """One of them, by name."""
        if self._augment:
            (part,) = lattice_variant([part], rng, turns=self._turns and part.shape[-1] == part.shape[-2])
        if self._scale > 1.0:
            factor = np.float32(self._scale ** rng.uniform(-1.0, 1.0))
            part = part.copy()
            for number, name in enumerate(self._names):
                part[number] = scaled_channel(name, part[number], factor)
            for name in ("label", "reference"):
                part[_place(name)] *= factor
        return _named(part)


def lesions_of(patient: DosePatient) -> dict[str, Mask]:
    """The regions of a patient that are lesions."""
    return {name: mask for name, mask in patient.regions.items() if group_of(name) == LESIONS}


def voxel_weights(patient: DosePatient, loss: LossSettings) -> NDArray[np.float32]:
    """How much each voxel counts, before the error itself is weighed."""
    maps = patient.maps
    weight = np.where(maps.matter_kji, loss.body_weight, loss.outside_weight)
    weight = np.where(patient.edges_kji, weight * loss.edge_weight, weight)
    if loss.lesion_weight != 1.0:
        for mask in lesions_of(patient).values():
            weight = np.where(mask, weight * loss.lesion_weight, weight)
    if loss.dose_weight:
        base = _smoothed(maps.base_kji, loss)
        dosed = base[base > LEAST_DOSE * np.percentile(base[base > 0], 99)]
        highest = np.percentile(dosed, MOST_DOSE_PERCENTILE)
        weight = weight * (1.0 + loss.dose_weight * np.minimum(base, highest) / dosed.mean())
    if loss.density_weight:
        weight = weight * maps.density_kji
    if loss.end_slices:
        if 2 * loss.end_slices >= weight.shape[0]:
            raise InputError(
                f"{patient.id} has {weight.shape[0]} slices; none is left without {loss.end_slices} at either end."
            )
        weight[: loss.end_slices] = weight[-loss.end_slices :] = 0.0
    return np.asarray(weight, dtype=np.float32)


def _stack(channels: Stack, patient: DosePatient, loss: LossSettings) -> Stack:
    """Channels, label, weight and reference in one array, so that they are cut and mirrored together."""
    reference = _smoothed(patient.maps.base_kji, loss)
    region = np.zeros(reference.shape, dtype=np.float32)
    lesions = lesions_of(patient)
    for number, (name, mask) in enumerate(patient.regions.items(), start=1):
        region[mask] = number + (FIRST_LESION if name in lesions else 0)
    return np.concatenate([channels, np.stack([patient.label_kji, voxel_weights(patient, loss), reference, region])])


def _smoothed(base_kji: NDArray[np.float32], loss: LossSettings) -> NDArray[np.float32]:
    """The base without its noise, which may not decide how much a voxel counts: high guesses would count more than low
    ones, and the best answer to that lies below the truth."""
    if not loss.base_smoothing:
        return base_kji
    return np.asarray(ndimage.gaussian_filter(base_kji, loss.base_smoothing), dtype=np.float32)


def _place(name: str) -> int:
    """Where a map of `WITHOUT_INPUT` lies in a stack."""
    return WITHOUT_INPUT.index(name) - len(WITHOUT_INPUT)


def _air(channels: NDArray[np.float32]) -> NDArray[np.float32]:
    """What each map of a stack is in air without activity, which counts for nothing."""
    return np.append(channels, np.zeros(len(WITHOUT_INPUT), dtype=np.float32))


def _named(part: Stack) -> dict[str, NDArray[np.float32]]:
    """The maps of a sample by name."""
    part = np.ascontiguousarray(part)
    last = {name: part[_place(name), None] for name in WITHOUT_INPUT}
    return {"channels": part[: -len(WITHOUT_INPUT)], **last}


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


def _rows_and_columns(mask_kji: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The smallest rectangle that holds a mask in every slice."""
    rows = np.flatnonzero(mask_kji.any(axis=(0, 2)))
    columns = np.flatnonzero(mask_kji.any(axis=(0, 1)))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
