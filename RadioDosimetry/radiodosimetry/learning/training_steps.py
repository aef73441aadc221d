"""The steps of a training on single batches, explained where they fail, and what their values come to."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import DeviceError
from .devices import is_out_of_memory
from .distributed import Processes
from .learners import Learner
from .torch_import import torch_module
from .training_errors import TrainingStoppedError
from .training_folder import RunFolder
from .training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch


class Steps:
    """What a learner does with a batch, and means of its values over the samples of all processes.

    Parameters
    ----------
    learner, settings, processes, device
        Of the training.
    """

    def __init__(
        self, learner: Learner, settings: TrainingSettings, processes: Processes, device: torch.device
    ) -> None:
        self._learner, self._settings, self._processes, self._device = learner, settings, processes, device

    def set_mode(self, training: bool) -> None:
        """Networks to training or to judging."""
        for network in self._learner.networks.values():
            network.train(training)

    def train(self, batch: Any) -> Mapping[str, float]:
        """A step that changes the weights; `DeviceError` where the memory does not suffice."""
        with self._memory_explained():
            return self._learner.training_step(batch)

    def validate(self, batch: Any) -> Mapping[str, float]:
        """A step that only judges; `DeviceError` where the memory does not suffice."""
        with self._memory_explained():
            return self._learner.validation_step(batch)

    @contextlib.contextmanager
    def _memory_explained(self) -> Iterator[None]:
        """Say of a step that ran out of memory how the next run can use less."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            size = self._settings.batch_size
            advice = f"a batch_size of {size // 2} (now {size}) or smaller windows" if size > 1 else "smaller windows"
            raise DeviceError(
                f"The memory of device '{self._settings.device}' does not suffice for a step; set {advice}."
            ) from error

    def means(self, sums: Mapping[str, float], count: int) -> dict[str, float]:
        """Means over the samples of all processes, from the sums over the `count` of this one."""
        names = sorted(sums)
        numbers = torch_module().tensor([*(sums[name] for name in names), float(count)], dtype=torch_module().float64)
        numbers = self._processes.add(numbers.to(self._device)) if self._processes.count > 1 else numbers
        total = max(float(numbers[-1]), 1.0)
        means = {name: float(value) / total for name, value in zip(names, numbers[:-1], strict=True)}
        return {name: means[name] for name in sums}


def add_values(sums: dict[str, float], values: Mapping[str, float], count: int) -> None:
    """Add the values of a batch of `count` samples to the sums."""
    for name, value in values.items():
        sums[name] = sums.get(name, 0.0) + float(value) * count


def require_finite(
    values: Mapping[str, float], where: str, folder: RunFolder, learning_rate: float
) -> Mapping[str, float]:
    """Refuse to go on with a value that is no number.

    Parameters
    ----------
    values
        Of a step; given back.
    where, folder
        For the error: the epoch and batch, and what is left of the run.
    learning_rate
        For the advice.

    Raises
    ------
    TrainingStoppedError
        As said.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            raise TrainingStoppedError(
                f"The value '{name}' became {value} in {where}; {folder.kept}. Use a smaller learning_rate "
                f"(now {learning_rate:g}), set largest_gradient_norm, or look for bad samples."
            )
    return values
