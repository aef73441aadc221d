"""How long, how fast and on what a network is trained: the settings that every training has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError

Precision = Literal["off", "bf16"]
Schedule = Literal["constant", "plateau", "cosine"]


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of a training loop; those of the network and its data lie beside them.

    Attributes
    ----------
    epochs
        Passes over the training samples, at most.
    batch_size
        Samples of one step, over all processes of a `torchrun` together.
    learning_rate
        At the start.
    schedule
        Of the learning rate: constant, divided on a plateau of the monitored value, or falling as a cosine to zero.
    plateau_factor, plateau_patience
        On a plateau: by what the rate is multiplied, after how many epochs without gain.
    patience
        Stop after so many epochs without gain of the monitored value; 0 never.
    smallest_gain
        What counts as a gain, relative to the best value so far.
    monitor
        Value of the validation that decides when to stop and which weights are best; less is better.
    seed
        Of initial weights, order of samples, augmentation.
    mixed_precision
        "off", or "bf16" on devices and networks where it is sound.
    device
        "cpu", "cuda" or "cuda:N".
    threads
        Cores that PyTorch uses; 0 leaves its own choice. Another number changes the last bits.
    loader_workers
        Processes that prepare samples; 0 prepares them in the training's own. Changes no number.
    checkpoint_steps
        Write a checkpoint also every so many steps within an epoch; 0 at the end of epochs only.
    largest_gradient_norm
        Gradients of one network are scaled down to this norm; 0 never.
    average_decay
        Judge and keep an exponential average of the weights that keeps this share of itself at every step (0.999 looks
        back a thousand steps); 0 judges the weights themselves.
    statistics_batches
        Before judging, take the statistics of batch normalisation anew over so many training batches; 0 keeps those
        that ran along.
    """

    epochs: int = 100
    batch_size: int = 8
    learning_rate: float = 1e-3
    schedule: Schedule = "constant"
    plateau_factor: float = 0.2
    plateau_patience: int = 10
    patience: int = 0
    smallest_gain: float = 0.0
    monitor: str = "loss"
    seed: int = 0
    mixed_precision: Precision = "off"
    device: str = "cpu"
    threads: int = 0
    loader_workers: int = 0
    checkpoint_steps: int = 0
    largest_gradient_norm: float = 0.0
    average_decay: float = 0.0
    statistics_batches: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "plateau_patience"):
            if getattr(self, name) < 1:
                raise InputError(f"'{name}' must be at least 1, found {getattr(self, name)}.")
        for name in (
            "patience", "smallest_gain", "seed", "threads", "loader_workers", "checkpoint_steps",
            "largest_gradient_norm", "statistics_batches",
        ):  # fmt: skip
            if getattr(self, name) < 0:
                raise InputError(f"'{name}' must be at least 0, found {getattr(self, name)}.")
        if not self.learning_rate > 0.0:
            raise InputError(f"'learning_rate' must be above 0, found {self.learning_rate:g}.")
        if not 0.0 <= self.average_decay < 1.0:
            raise InputError(f"'average_decay' must be at least 0 and below 1, found {self.average_decay:g}.")
        if not 0.0 < self.plateau_factor < 1.0:
            raise InputError(f"'plateau_factor' must lie between 0 and 1, found {self.plateau_factor:g}.")
