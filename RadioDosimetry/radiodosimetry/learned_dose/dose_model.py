"""A learned dose method ready to use: networks of one kind with the card they came with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import FileFormatError, InputError
from ..learning.devices import torch_device
from ..learning.model_files import ModelCard, load_model, load_network_state
from ..learning.sliding_window import predict_windows
from ..progress import PartialProgress, Progress, report_progress
from . import dblur_dose, unet_dose
from .architectures import SLICES, DblurArchitecture, UNetArchitecture
from .dblurdosenet import DblurDoseNet
from .patient_maps import PatientMaps
from .residual_unet import ResidualUNet3D
from .stated_uncertainty import SPREAD_ALONE, StatedUncertainty

DoseNetwork = ResidualUNet3D | DblurDoseNet

WINDOW = 64
"""Edge of the windows of a U-Net [voxels], as it was trained by Kim et al. 2022."""

OVERLAP = 0.375
"""Share of a window that its neighbour sees too: 24 voxels, so that the outer 12 hardly count."""

MEMBER_PREFIX = "member"
"""Weights of an ensemble are named member0.…, member1.…; a single network's have no prefix."""


@dataclass(frozen=True, eq=False)
class DoseModel:
    """One network, or an ensemble of networks that differ in their seed.

    Attributes
    ----------
    card
        What the model file says of itself.
    networks
        The members, in evaluation mode.
    name
        Of the file, for messages and records.
    """

    card: ModelCard
    networks: tuple[DoseNetwork, ...]
    name: str

    @property
    def kind(self) -> str:
        """`unet_dose.KIND` or `dblur_dose.KIND`."""
        return self.card.kind

    @property
    def base_method(self) -> str:
        """The base its networks correct."""
        return str(self.card.preprocessing["base"]["method"])

    @property
    def needs_photons(self) -> bool:
        """Whether an input or the head takes the photons' part of the base."""
        return any(network.architecture.needs_photons for network in self.networks)

    @property
    def stated_uncertainty(self) -> StatedUncertainty | None:
        """What it states of its doses: as its card says, else the spread of its members; None for a single network."""
        calibration = self.card.training.get("calibration")
        if calibration:
            return StatedUncertainty.from_dict(calibration)
        return SPREAD_ALONE if len(self.networks) > 1 else None

    def member_doses(
        self,
        maps: PatientMaps,
        device: str = "cpu",
        progress: Progress | None = None,
        warnings: list[str] | None = None,
    ) -> Iterator[NDArray[np.float32]]:
        """Dose of each member in units of `maps.dose_scale_gy`, one after the other, not below zero and zero in air.

        Parameters
        ----------
        maps
            Of the patient, of the voxel size the model was trained on.
        device
            "cpu", "cuda" or "cuda:N".
        progress
            Told the share of the work done.
        warnings
            Receives what a reader of the dose must know, such as that a smaller window was used.
        """
        count = len(self.networks)
        for number, network in enumerate(self.networks):
            part = PartialProgress(progress, number / count, (number + 1) / count)
            if not maps.dose_scale_gy:
                yield np.zeros(maps.geometry.shape_kji, dtype=np.float32)
                continue
            dose = predict_normalised(network, maps, device, part, warnings)
            np.maximum(dose, 0.0, out=dose)
            dose[~maps.matter_kji] = 0.0
            yield dose

    def normalised_dose(self, maps: PatientMaps, device: str = "cpu") -> NDArray[np.float32]:
        """Mean dose of the members in units of `maps.dose_scale_gy`."""
        total = np.zeros(maps.geometry.shape_kji, dtype=np.float32)
        for dose in self.member_doses(maps, device):
            total += dose / np.float32(len(self.networks))
        return total


def build_network(kind: str, architecture: Mapping[str, Any], seed: int = 0) -> DoseNetwork:
    """An untrained network from what a card says of it.

    Raises
    ------
    FileFormatError
        The card's words make no network of this version.
    """
    values = {name: value for name, value in architecture.items() if name != "members"}
    try:
        if kind == unet_dose.KIND:
            return ResidualUNet3D(UNetArchitecture(**values), seed)
        return DblurDoseNet(DblurArchitecture(**values), seed)
    except (TypeError, InputError) as error:
        raise FileFormatError(
            f"The model card describes a network that this version does not know: {error}. Take the version of "
            "RadioDosimetry that wrote it, or train the model again."
        ) from error


def load_dose_model(path: Path, kind: str | None = None) -> DoseModel:
    """A model from its files.

    Parameters
    ----------
    path
        Of the model, with or without `.safetensors`.
    kind
        `unet_dose.KIND` or `dblur_dose.KIND` if only that will do.

    Raises
    ------
    FileFormatError
        As `learning.model_files.load_model`, or the card was written by a version with other preprocessing.
    InputError
        The model is not one of dose, or of another kind.
    """
    card, state = load_model(path, kind)
    if card.kind not in (unet_dose.KIND, dblur_dose.KIND):
        raise InputError(f"{path} is a model of kind {card.kind}; dose needs {unet_dose.KIND} or {dblur_dose.KIND}.")
    _require_known_preprocessing(card, path)
    members = int(card.architecture.get("members", 1))
    networks = []
    for number in range(members):
        prefix = f"{MEMBER_PREFIX}{number}." if members > 1 else ""
        own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        network = build_network(card.kind, card.architecture)
        load_network_state(network, own, path)
        networks.append(network.eval())
    return DoseModel(card, tuple(networks), Path(path).stem)


def ensemble_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Weights of several members under one roof; one member keeps its names."""
    if len(states) == 1:
        return dict(states[0])
    return {
        f"{MEMBER_PREFIX}{number}.{name}": value for number, state in enumerate(states) for name, value in state.items()
    }


def _require_known_preprocessing(card: ModelCard, path: Path) -> None:
    """Refuse a card whose preprocessing is not the one this version does."""
    module = unet_dose if card.kind == unet_dose.KIND else dblur_dose
    spacing = card.preprocessing.get("spacing_mm", ())
    expected = module.preprocessing((1.0, 1.0, 1.0))
    expected.pop("spacing_mm")
    differing = [name for name, value in expected.items() if card.preprocessing.get(name) != value]
    if differing or len(spacing) != 3 or "method" not in card.preprocessing.get("base", {}):
        wrong = ", ".join(differing) or "spacing_mm or base"
        raise FileFormatError(
            f"The card of {path} prepares its inputs otherwise than this version ({wrong}); take the version of "
            f"RadioDosimetry that wrote it ({card.package_version}), or train the model again."
        )


def predict_normalised(
    network: DoseNetwork,
    maps: PatientMaps,
    device: str = "cpu",
    progress: Progress | None = None,
    warnings: list[str] | None = None,
) -> NDArray[np.float32]:
    """What one network gives for a patient in units of `maps.dose_scale_gy`, below zero and in air as it comes."""
    if isinstance(network, ResidualUNet3D):
        return _predict_patches(network, maps, device, progress, warnings)
    return _predict_slices(network, maps, device, progress)


def _predict_patches(
    network: ResidualUNet3D, maps: PatientMaps, device: str, progress: Progress | None, warnings: list[str] | None
) -> NDArray[np.float32]:
    """Sliding windows over the box that holds matter."""
    box = _box(maps.matter_kji)
    dose = np.zeros(maps.geometry.shape_kji, dtype=np.float32)
    if box is None:
        return dose
    channels = unet_dose.inputs_and_carried(maps, network.architecture)[(slice(None), *box)]
    network.to(torch_device(device))

    def dose_of(windows: Tensor) -> Tensor:
        return unet_dose.network_dose(network, windows)

    divisor = network.architecture.divisor
    window = [min(WINDOW, -(-size // divisor) * divisor) for size in channels.shape[1:]]
    padded, inner = _padded_to_air(channels, window, unet_dose.in_air(maps, network.architecture))
    predicted = predict_windows(dose_of, padded, window, OVERLAP, device, progress, multiple=divisor, warnings=warnings)
    dose[box] = predicted[inner]
    return dose


def _padded_to_air(
    channels: NDArray[np.float32], window: Sequence[int], air: NDArray[np.float32]
) -> tuple[NDArray[np.float32], tuple[slice, ...]]:
    """The channels with air around them where they are smaller than a window, and where they lie in it."""
    sizes = channels.shape[1:]
    more = [max(0, edge - size) for size, edge in zip(sizes, window, strict=True)]
    inner = tuple(slice(extra // 2, extra // 2 + size) for size, extra in zip(sizes, more, strict=True))
    if not any(more):
        return channels, inner
    padded = np.empty((channels.shape[0], *(size + extra for size, extra in zip(sizes, more, strict=True))), np.float32)
    padded[:] = air[:, None, None, None]
    padded[(slice(None), *inner)] = channels
    return padded, inner


def _predict_slices(
    network: DblurDoseNet, maps: PatientMaps, device: str, progress: Progress | None
) -> NDArray[np.float32]:
    """Slice by slice over the rows and columns that hold matter."""
    box = _box(maps.matter_kji)
    dose = np.zeros(maps.geometry.shape_kji, dtype=np.float32)
    if box is None:
        return dose
    target = torch_device(device)
    network.to(target)
    channels = dblur_dose.padded_channels(maps, network.architecture.inputs, box[1:])
    matter = np.flatnonzero(maps.matter_kji.any(axis=(1, 2)))
    with torch.inference_mode():
        for number, k in enumerate(matter):
            report_progress(progress, number / matter.size, f"Slice {number + 1} of {matter.size}")
            pack = torch.from_numpy(channels[None, :, k : k + SLICES]).to(target)
            predicted = dblur_dose.network_dose(network, pack)[0, 0].cpu().numpy()
            dose[k, box[1], box[2]] = dblur_dose.without_padding(predicted, dose[0, box[1], box[2]].shape)
    return dose


def _box(mask_kji: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """The smallest box that holds the mask, None if it is empty."""
    if not mask_kji.any():
        return None
    found = []
    for axis in range(3):
        occupied = np.flatnonzero(mask_kji.any(axis=tuple(other for other in range(3) if other != axis)))
        found.append(slice(int(occupied[0]), int(occupied[-1]) + 1))
    return found[0], found[1], found[2]
