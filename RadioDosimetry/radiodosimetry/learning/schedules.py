"""How the learning rate of each optimiser goes on from epoch to epoch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .learners import Learner
from .torch_import import torch_module
from .training_settings import TrainingSettings


def schedules_of(learner: Learner, settings: TrainingSettings) -> Sequence[Any]:
    """One schedule of the learning rate per optimiser."""
    module = torch_module().optim.lr_scheduler
    made: list[Any] = []
    for optimiser in learner.optimisers.values():
        if settings.schedule == "plateau":
            factor, patience = settings.plateau_factor, settings.plateau_patience
            made.append(module.ReduceLROnPlateau(optimiser, factor=factor, patience=patience))
        elif settings.schedule == "cosine":
            made.append(module.CosineAnnealingLR(optimiser, T_max=settings.epochs))
    return made


def advance(schedulers: Sequence[Any], schedule: str, monitored: float) -> None:
    """One step of each schedule.

    A run resumed after the last step of an epoch does so before its optimisers step, of which PyTorch warns as of a
    mistake; their steps are in the checkpoint.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Detected call of `lr_scheduler\.step\(\)` before")
        for scheduler in schedulers:
            scheduler.step(*((monitored,) if schedule == "plateau" else ()))
