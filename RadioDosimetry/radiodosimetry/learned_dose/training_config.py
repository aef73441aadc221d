"""Configurations of the two trainings, read from TOML; the defaults are as published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import InputError
from ..learning.training_settings import Schedule, TrainingSettings
from .architectures import DblurArchitecture, UNetArchitecture
from .dblur_dose import DIVISOR

Loss = Literal["l1", "mse", "relative-l1"]


@dataclass(frozen=True)
class LossSettings:
    """What a training makes small.

    Attributes
    ----------
    kind
        "l1" (Kim et al. 2022) or "mse" (Li et al. 2022) of the normalised dose, or "relative-l1": the absolute error
        over the label plus `relative_floor`, which lets voxels of low dose count.
    relative_floor
        Normalised dose below which errors count less and less.
    body_weight, outside_weight
        Weights of voxels of the body and of the air around it; 0.7 and 0.3 in the code released with Li et al. 2022.
    edge_weight
        Voxels within two voxels of a lung or bone surface (by density) count so many times.
    margin
        Voxels at each face of a patch that do not count, since half of their neighbourhood is missing.
    """

    kind: Loss = "l1"
    relative_floor: float = 0.05
    body_weight: float = 1.0
    outside_weight: float = 1.0
    edge_weight: float = 1.0
    margin: int = 0

    def __post_init__(self) -> None:
        if self.relative_floor <= 0 or self.edge_weight <= 0 or self.body_weight <= 0:
            raise InputError("'relative_floor', 'body_weight' and 'edge_weight' must be above 0.")
        if self.outside_weight < 0 or self.margin < 0:
            raise InputError("'outside_weight' and 'margin' must be at least 0.")


@dataclass(frozen=True)
class PatchSampling:
    """Which parts of the patients a training of `ResidualUNet3D` sees.

    Attributes
    ----------
    patch
        Voxels of a patch's edge.
    samples_per_patient
        Patches of each patient in an epoch (Kim et al. 2022: 125).
    validation_per_patient
        Patches of each validation patient, the same in every epoch.
    edge_share
        Share of patches centred near lung and bone surfaces; the others lie anywhere with dose.
    least_dose
        Centres have at least this share of the patient's 99th percentile of base dose.
    augment
        Mirror patches and turn them: dose does not know left from right.
    """

    patch: int = 64
    samples_per_patient: int = 125
    validation_per_patient: int = 8
    edge_share: float = 0.0
    least_dose: float = 0.01
    augment: bool = True

    def __post_init__(self) -> None:
        if min(self.patch, self.samples_per_patient, self.validation_per_patient) < 1:
            raise InputError("'patch', 'samples_per_patient' and 'validation_per_patient' must be at least 1.")
        if not 0 <= self.edge_share <= 1 or not 0 <= self.least_dose < 1:
            raise InputError("'edge_share' and 'least_dose' are shares between 0 and 1.")


@dataclass(frozen=True)
class SliceSampling:
    """Which slices of the patients a training of `DblurDoseNet` sees.

    Attributes
    ----------
    crop
        Rows and columns of a sample, a multiple of 16, centred where there is dose; 0: the smallest rectangle that
        holds the body of every patient.
    samples_per_patient
        Slices of each patient in an epoch; 0: as many as hold body.
    validation_per_patient
        Slices of each validation patient, evenly spread over the body.
    augment
        Mirror slices and packs, and turn square ones.
    """

    crop: int = 0
    samples_per_patient: int = 0
    validation_per_patient: int = 16
    augment: bool = True

    def __post_init__(self) -> None:
        if self.crop < 0 or self.crop % DIVISOR:
            raise InputError(f"'crop' must be a multiple of {DIVISOR}, found {self.crop}.")
        if self.samples_per_patient < 0 or self.validation_per_patient < 1:
            raise InputError("'samples_per_patient' must be at least 0, 'validation_per_patient' at least 1.")


@dataclass(frozen=True)
class DblurLoss(LossSettings):
    """The loss of Li et al. 2022 unless said otherwise."""

    kind: Loss = "mse"
    body_weight: float = 0.7
    outside_weight: float = 0.3


@dataclass(frozen=True)
class UNetLoop(TrainingSettings):
    """The loop of a `ResidualUNet3D`; Kim et al. 2022 print Adam and the loss, no more."""

    batch_size: int = 4


@dataclass(frozen=True)
class DblurLoop(TrainingSettings):
    """The loop of Li et al. 2022: Adam at 0.001, lowered on a plateau, batches of 32, 200 epochs."""

    epochs: int = 200
    batch_size: int = 32
    schedule: Schedule = "plateau"


@dataclass(frozen=True)
class UNetTrainingConfig:
    """Training of a `ResidualUNet3D`.

    Attributes
    ----------
    network, sampling, loss, training
        Its tables.
    validation_fraction
        Share of the training's patients that say when to stop.
    time_limit_minutes
        Stop after so long with the best weights so far; 0: no limit. A run stopped so can be resumed.
    """

    network: UNetArchitecture = field(default_factory=UNetArchitecture)
    sampling: PatchSampling = field(default_factory=PatchSampling)
    loss: LossSettings = field(default_factory=LossSettings)
    training: UNetLoop = field(default_factory=UNetLoop)
    validation_fraction: float = 0.2
    time_limit_minutes: float = 0.0

    def __post_init__(self) -> None:
        if self.sampling.patch % self.network.divisor or 2 * self.loss.margin >= self.sampling.patch:
            raise InputError(
                f"Patches of {self.sampling.patch} voxels do not suit {self.network.levels} levels and a margin of "
                f"{self.loss.margin}; take a multiple of {self.network.divisor}, larger than twice the margin."
            )


@dataclass(frozen=True)
class DblurTrainingConfig:
    """Training of a `DblurDoseNet`.

    Attributes
    ----------
    network, sampling, loss, training
        Its tables.
    validation_fraction
        Share of the training's patients that say when to stop.
    time_limit_minutes
        Stop after so long with the best weights so far; 0: no limit. A run stopped so can be resumed.
    """

    network: DblurArchitecture = field(default_factory=DblurArchitecture)
    sampling: SliceSampling = field(default_factory=SliceSampling)
    loss: DblurLoss = field(default_factory=DblurLoss)
    training: DblurLoop = field(default_factory=DblurLoop)
    validation_fraction: float = 0.2
    time_limit_minutes: float = 0.0
