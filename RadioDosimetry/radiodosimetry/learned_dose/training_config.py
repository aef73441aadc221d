"""Configurations of the two trainings, read from TOML; the defaults are as published."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..errors import InputError
from ..learning.training_settings import Schedule, TrainingSettings
from .architectures import DblurArchitecture, UNetArchitecture
from .dblur_dose import DIVISOR

Loss = Literal["l1", "mse", "relative-l1", "relative-mse", "relative-huber"]


@dataclass(frozen=True)
class LossSettings:
    """What a training makes small.

    Attributes
    ----------
    kind
        "l1" (Kim et al. 2022) or "mse" (Li et al. 2022) of the normalised dose. "relative-…": of the error over the
        base plus `relative_floor`, which lets voxels of low dose count; over the base and not the label, whose noise
        would pull the network below the truth. "relative-huber" is square up to `huber_width` and linear beyond: a
        median of noisy doses, which are skew, would lie below their mean.
    relative_floor
        Normalised dose below which errors count less and less.
    huber_width
        Relative error where "relative-huber" turns from square to linear.
    base_smoothing
        Width (σ) of the Gaussian that the base is smoothed with before errors are divided by it [voxels].
    density_weight
        Whether voxels count by their density too, so that energy and not dose is judged.
    end_slices
        Slices at either end of the volume that neither train nor judge: what lies beyond them is missing in labels.
    body_weight, outside_weight
        Weights of voxels of the body and of the air around it; 0.7 and 0.3 in the code released with Li et al. 2022.
    edge_weight
        Voxels within two voxels of a lung or bone surface count so many times.
    dose_weight
        Voxels count 1 + this × (base dose over its mean where there is dose) times: hot voxels are few.
    lesion_weight
        Voxels of lesions, and their means among those of regions, count so many times. What blurs small things makes
        their mean too low even in the best guess of every voxel, since a voxel at a border may lie on either side;
        this draws the guess towards the lesion.
    margin
        Voxels at each face of a patch that do not count, since half of their neighbourhood is missing.
    block, block_weight
        The mean error of lung, soft tissue and bone in blocks of so many voxels along each axis is judged too, and
        counts so much. Noise of labels averages out there, so that an error of a few parts in a thousand of an organ's
        mean can be seen, which among single voxels is lost; 0 judges voxels alone.
    region_weight
        The mean error of every region within a sample is judged too, relative to what it is and what it seemed, small
        and large alike, and counts so much. The best guess of every voxel draws small hot things down and their
        surroundings up; their means are what is reported. 0 judges voxels alone.
    """

    kind: Loss = "l1"
    relative_floor: float = 0.05
    huber_width: float = 0.5
    base_smoothing: float = 0.0
    density_weight: bool = False
    end_slices: int = 0
    body_weight: float = 1.0
    outside_weight: float = 1.0
    edge_weight: float = 1.0
    dose_weight: float = 0.0
    lesion_weight: float = 1.0
    margin: int = 0
    block: int = 8
    block_weight: float = 0.0
    region_weight: float = 0.0

    def __post_init__(self) -> None:
        if min(self.relative_floor, self.huber_width, self.edge_weight, self.lesion_weight, self.body_weight) <= 0:
            raise InputError(
                "'relative_floor', 'huber_width', 'body_weight', 'edge_weight' and 'lesion_weight' must be above 0."
            )
        for name in (
            "outside_weight", "margin", "base_smoothing", "end_slices", "dose_weight", "block_weight", "region_weight",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise InputError(f"'{name}' must be at least 0, found {getattr(self, name):g}.")
        if self.block < 1:
            raise InputError(f"'block' must be at least 1, found {self.block}.")


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
    edge_share, dose_share
        Shares of patches centred near lung and bone surfaces, and where the base dose says how often; the others lie
        anywhere with dose.
    least_dose
        Centres have at least this share of the patient's 99th percentile of base dose.
    augment
        Mirror patches and turn them: dose does not know left from right.
    activity_scale
        Activity and dose of a patch are multiplied by anything between one over this and this, every factor as likely
        on a logarithmic scale; 1 leaves them.
    scan_pairs
        Whether the activity at the scan that `scan_dose` is of, decaying where it is, gives each patient of the
        training a second distribution.
    """

    patch: int = 64
    samples_per_patient: int = 125
    validation_per_patient: int = 8
    edge_share: float = 0.0
    dose_share: float = 0.0
    least_dose: float = 0.01
    augment: bool = True
    activity_scale: float = 1.0
    scan_pairs: bool = False

    def __post_init__(self) -> None:
        _check_shares(self.activity_scale, self.edge_share, self.dose_share)
        if min(self.patch, self.samples_per_patient, self.validation_per_patient) < 1:
            raise InputError("'patch', 'samples_per_patient' and 'validation_per_patient' must be at least 1.")
        if not 0 <= self.least_dose < 1:
            raise InputError("'least_dose' is a share between 0 and 1.")


@dataclass(frozen=True)
class SliceSampling:
    """Which slices of the patients a training of `DblurDoseNet` sees.

    Attributes
    ----------
    crop
        Rows and columns of a training sample, a multiple of 16, centred where there is dose; 0: the smallest rectangle
        that holds the body of every patient, which validation always sees.
    slices
        Neighbouring slices of a training sample: the means of regions (`LossSettings.region_weight`) are those of a
        lesion rather than of its slices, of which those at its ends cannot be told. Validation sees single slices.
    samples_per_patient
        Samples of each patient in an epoch; 0: as many as slices hold body.
    validation_per_patient
        Slices of each validation patient, evenly spread over the body.
    dose_share
        Share of samples whose slice and centre are drawn where the base dose says how often.
    augment
        Mirror slices and packs. They are not turned: a camera turns about one axis.
    activity_scale
        As of `PatchSampling`.
    shifted_share, shift_mm
        So many of the training's patients are seen a second time with their scan moved against the CT by a normal
        distance of this standard deviation along each axis [mm], since real patients breathe and move; base and inputs
        are those of the moved scan, the label stays.
    """

    crop: int = 0
    slices: int = 1
    samples_per_patient: int = 0
    validation_per_patient: int = 16
    dose_share: float = 0.0
    augment: bool = True
    activity_scale: float = 1.0
    shifted_share: float = 0.0
    shift_mm: float = 2.5

    def __post_init__(self) -> None:
        _check_shares(self.activity_scale, self.dose_share)
        if not 0 <= self.shifted_share <= 1 or self.shift_mm < 0:
            raise InputError("'shifted_share' is a share between 0 and 1, 'shift_mm' at least 0.")
        if self.crop < 0 or self.crop % DIVISOR:
            raise InputError(f"'crop' must be a multiple of {DIVISOR}, found {self.crop}.")
        if self.samples_per_patient < 0 or min(self.validation_per_patient, self.slices) < 1:
            raise InputError(
                "'samples_per_patient' must be at least 0, 'slices' and 'validation_per_patient' at least 1."
            )


def _check_shares(activity_scale: float, *shares: float) -> None:
    """Refuse shares of samples that do not add up, and a range of activity that is none."""
    if min(shares) < 0 or sum(shares) > 1:
        raise InputError("'edge_share' and 'dose_share' are shares that together are at most 1.")
    if activity_scale < 1:
        raise InputError(f"'activity_scale' must be at least 1, found {activity_scale:g}.")


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


@dataclass(frozen=True, kw_only=True)
class SplitAndStop:
    """Who trains and who judges, and when a training stops.

    Attributes
    ----------
    validation_fraction
        Share of the training's patients that say when to stop.
    split_seed
        Of the division of patients, apart from the seed of the training: seeds that differ judge on the same patients.
    time_limit_minutes
        Stop after so long with the best weights so far; 0: no limit. A run stopped so can be resumed.
    """

    validation_fraction: float = 0.2
    split_seed: int = 0
    time_limit_minutes: float = 0.0


@dataclass(frozen=True)
class UNetTrainingConfig(SplitAndStop):
    """Training of a `ResidualUNet3D`: its tables, and what is common to both trainings."""

    network: UNetArchitecture = field(default_factory=UNetArchitecture)
    sampling: PatchSampling = field(default_factory=PatchSampling)
    loss: LossSettings = field(default_factory=LossSettings)
    training: UNetLoop = field(default_factory=UNetLoop)

    def __post_init__(self) -> None:
        if self.sampling.patch % self.network.divisor or 2 * self.loss.margin >= self.sampling.patch:
            raise InputError(
                f"Patches of {self.sampling.patch} voxels do not suit {self.network.levels} levels and a margin of "
                f"{self.loss.margin}; take a multiple of {self.network.divisor}, larger than twice the margin."
            )
        if self.loss.block_weight and self.loss.block > self.sampling.patch - 2 * self.loss.margin:
            raise InputError(
                f"Blocks of {self.loss.block} voxels do not fit into patches of {self.sampling.patch} with a margin of "
                f"{self.loss.margin}; make them smaller."
            )


@dataclass(frozen=True)
class DblurTrainingConfig(SplitAndStop):
    """Training of a `DblurDoseNet`: its tables, and what is common to both trainings."""

    network: DblurArchitecture = field(default_factory=DblurArchitecture)
    sampling: SliceSampling = field(default_factory=SliceSampling)
    loss: DblurLoss = field(default_factory=DblurLoss)
    training: DblurLoop = field(default_factory=DblurLoop)

    def __post_init__(self) -> None:
        if self.loss.block_weight and "density" not in self.network.inputs:
            raise InputError("'block_weight' takes the tissues of a block from the input channel 'density'; add it.")
        if self.sampling.slices > 1 and (self.loss.block_weight or self.loss.margin):
            raise InputError(
                f"'block_weight' and 'margin' belong to single slices, 'slices' is {self.sampling.slices}; make it 1."
            )
