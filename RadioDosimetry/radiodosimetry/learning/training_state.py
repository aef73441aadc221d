"""How far a training has come, and everything else that decides its next step, as a checkpoint holds it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .learners import Learner
from .torch_import import torch_module
from .training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch

_CHECKPOINT_FORMAT = 2

_FREE_TO_CHANGE = ("epochs", "patience", "device", "threads", "loader_workers", "checkpoint_steps")
"""Settings that a resumed run may have other than before."""


@dataclass
class Advance:
    """What a training has done so far.

    Attributes
    ----------
    history
        A row per epoch that is over.
    step
        Steps done of the epoch under way.
    sums, sample_count, seconds
        Of those steps: sum of each value over samples, number of samples, time.
    best_epoch, best_value, best_weights
        The epoch from 1 with the least monitored value, that value, and name of each network to its weights then.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    sample_count: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_value: float = math.inf
    best_weights: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)

    def as_content(self) -> dict[str, Any]:
        """For a checkpoint."""
        names = [one.name for one in dataclasses.fields(self)]
        return {"format": _CHECKPOINT_FORMAT, "advance": {name: getattr(self, name) for name in names}}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Advance:
        """From a checkpoint."""
        return cls(**content["advance"])


def learner_content(learner: Learner, schedulers: Sequence[Any]) -> dict[str, Any]:
    """Networks, optimisers, schedules and state of a learner, for a checkpoint."""
    return {
        "networks": {name: network.state_dict() for name, network in learner.networks.items()},
        "optimisers": {name: optimiser.state_dict() for name, optimiser in learner.optimisers.items()},
        "schedulers": [scheduler.state_dict() for scheduler in schedulers],
        "learner": dict(learner.state),
    }


def restore_learner(learner: Learner, schedulers: Sequence[Any], content: Mapping[str, Any], path: Path) -> None:
    """Put a learner into the state of a checkpoint.

    Raises
    ------
    InputError
        The checkpoint is of other networks or optimisers.
    """
    try:
        for name, network in learner.networks.items():
            network.load_state_dict(content["networks"][name])
        for name, optimiser in learner.optimisers.items():
            optimiser.load_state_dict(content["optimisers"][name])
        for scheduler, state in zip(schedulers, content["schedulers"], strict=True):
            scheduler.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError) as error:
        raise InputError(
            f"The checkpoint {path} is of another network; resume with the settings it had, or begin in another folder."
        ) from error
    learner.state = dict(content["learner"])


def require_same_run(
    content: Mapping[str, Any], settings: TrainingSettings, identity: Mapping[str, Any], path: Path
) -> None:
    """Refuse a checkpoint made with other settings or of other data.

    Raises
    ------
    InputError
        As said, with the first difference.
    """
    if content.get("format") != _CHECKPOINT_FORMAT:
        raise InputError(f"The checkpoint {path} is of another version of RadioDosimetry; begin in another folder.")
    free = set(_FREE_TO_CHANGE) - ({"epochs"} if settings.schedule == "cosine" else set())
    for own, was, allowed in (
        (dataclasses.asdict(settings), content["settings"], free),
        (identity, content["identity"], set()),
    ):
        for name in sorted({*own, *was} - allowed):
            if own.get(name) != was.get(name):
                raise InputError(
                    f"The run in {path.parent} was begun with '{name}' {_short(was.get(name))}, now it is "
                    f"{_short(own.get(name))}; resume with what it had, or begin in another folder."
                )


Weights = dict[str, dict[str, "torch.Tensor"]]
"""Name of each network to its weights."""


def copied_weights(learner: Learner) -> Weights:
    """Name of each network to a copy of its weights on the CPU."""
    return {
        name: {key: value.detach().cpu().clone() for key, value in network.state_dict().items()}
        for name, network in learner.networks.items()
    }


def random_state(device: torch.device) -> dict[str, Any]:
    """Where PyTorch's random numbers of this process stand."""
    torch = torch_module()
    state = {"cpu": torch.get_rng_state()}
    return state | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random_state(state: Mapping[str, Any], device: torch.device) -> None:
    """Put PyTorch's random numbers of this process where they stood."""
    torch = torch_module()
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
