"""One of several processes that train a toy together, as `torchrun` starts them: `python toy_processes.py RUN`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from toy_training import NoisySamples, losses, toy_network

from radiodosimetry.learning.devices import seeded_torch
from radiodosimetry.learning.learners import SupervisedLearner
from radiodosimetry.learning.training import TrainingResult, train
from radiodosimetry.learning.training_errors import ShareDoneError
from radiodosimetry.learning.training_settings import TrainingSettings

SETTINGS = TrainingSettings(epochs=2, batch_size=3, learning_rate=0.01, seed=3, threads=1, checkpoint_steps=1)
"""Of ten samples: batches of three, shared two and one, and a last one that only one of two processes works on."""


def train_together(run: Path, **options: Any) -> TrainingResult:
    """Steps straight down the gradient, without normalisation, which sees each process's share alone on the CPU."""
    import torch

    with seeded_torch(SETTINGS.seed):
        network = toy_network(normalised=False)
    optimiser = torch.optim.SGD(network.parameters(), lr=SETTINGS.learning_rate)
    learner = SupervisedLearner(network, losses, SETTINGS, optimiser)
    return train(learner, NoisySamples(10), NoisySamples(5), SETTINGS, run, **options)


if __name__ == "__main__":
    try:
        train_together(Path(sys.argv[1]))
        print("first", os.environ["RANK"])
    except ShareDoneError as done:
        print(done)
