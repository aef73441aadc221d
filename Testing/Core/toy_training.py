"""A training small enough for a test; run as a program it trains in a folder, and can be killed at a chosen moment.

`python toy_training.py RUN [--kill-at-step N | --kill-at-replace N] [--resume]`: SIGKILL comes inside the Nth step, or
just before the Nth file of the run would be put in its place.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from radiodosimetry.learning.devices import seeded_torch
from radiodosimetry.learning.learners import SupervisedLearner
from radiodosimetry.learning.training import TrainingResult, train
from radiodosimetry.learning.training_settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=3, batch_size=3, learning_rate=1e-2, schedule="plateau", seed=5, threads=1)


class NoisySamples:
    """Volumes with noise of each sample's own generator; the answer, a sum of neighbours, is what filters can give."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def sample(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        image = rng.normal(size=(1, 6, 6, 6)).astype(np.float32) + np.float32(index)
        neighbour = np.roll(image, 1, axis=-1)
        neighbour[..., 0] = 0.0
        return {"image": image, "answer": image + neighbour}


def losses(network: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    error = network(batch["image"]) - batch["answer"]
    return {"loss": (error**2).mean(), "mae": error.abs().mean()}


def toy_network(normalised: bool = True) -> Any:
    """Convolutions, batch normalisation and dropout: everything that has a state or draws random numbers."""
    from torch import nn

    middle = [nn.BatchNorm3d(4), nn.Dropout(0.2)] if normalised else []
    return nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), *middle, nn.LeakyReLU(0.1), nn.Conv3d(4, 1, 1))


def toy_learner(settings: TrainingSettings = SETTINGS, normalised: bool = True) -> SupervisedLearner:
    with seeded_torch(settings.seed):
        network = toy_network(normalised)
    return SupervisedLearner(network, losses, settings)


def toy_training(
    run: Path, settings: TrainingSettings = SETTINGS, learner: Any = None, **options: Any
) -> TrainingResult:
    chosen = learner or toy_learner(settings)
    return train(chosen, NoisySamples(10), NoisySamples(4), settings, run, **options)


class _Killed(SupervisedLearner):
    steps_left = 0

    def training_step(self, batch: Any) -> Mapping[str, float]:
        values = super().training_step(batch)
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return values


def _kill_at_replace(number: int) -> None:
    replace, count = os.replace, 0

    def killing(source: Any, target: Any) -> None:
        nonlocal count
        count += Path(target).suffix in (".pt", ".png")
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = killing


def main() -> None:
    run, *words = sys.argv[1:]
    learner = toy_learner()
    if "--kill-at-step" in words:
        learner.__class__ = _Killed
        learner.steps_left = int(words[words.index("--kill-at-step") + 1])
    if "--kill-at-replace" in words:
        _kill_at_replace(int(words[words.index("--kill-at-replace") + 1]))
    toy_training(Path(run), learner=learner, resume="--resume" in words)


if __name__ == "__main__":
    main()
