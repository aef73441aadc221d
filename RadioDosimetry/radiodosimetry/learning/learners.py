"""What learns: networks, their optimisers and one step of each, which the training loop repeats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from .devices import torch_device
from .precision import autocast
from .torch_import import torch_module
from .training_settings import TrainingSettings

if TYPE_CHECKING:
    import torch


class Learner(Protocol):
    """One or several networks (a generator and its discriminator) that learn from batches.

    The loop puts the networks into training or evaluation mode, averages and limits the gradients when an
    optimiser takes its step, and keeps networks, optimisers and `state` in its checkpoint.
    """

    state: dict[str, Any]
    """Whatever else decides the next step, as numbers, text, tensors, lists and dictionaries: saved in a checkpoint and
    assigned when a run is resumed. A property with a setter serves as well."""

    @property
    def networks(self) -> Mapping[str, torch.nn.Module]:
        """Networks by name, on their device."""

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Optimisers by name."""

    def training_step(self, batch: Any) -> Mapping[str, float]:
        """Learn from a batch; values to be logged, each the mean over its samples.

        May raise `TrainingStoppedError` where going on is pointless, which a value that is NaN or infinite does too.
        """

    def validation_step(self, batch: Any) -> Mapping[str, float]:
        """Judge a batch without learning; values to be logged, each the mean over its samples."""


Losses = Callable[["torch.nn.Module", Any], Mapping[str, "torch.Tensor"]]
"""(network, batch) to values by name, each a scalar; the one named "loss" is made small, the others are logged."""


class SupervisedLearner:
    """One network that learns to give a known answer.

    Parameters
    ----------
    network
        Moved to the device of `settings`.
    losses
        (network, batch) to a mapping of scalars of which "loss" is made small.
    settings
        Device, learning rate and precision.
    optimiser
        None: Adam at the learning rate of `settings`.
    """

    def __init__(
        self,
        network: torch.nn.Module,
        losses: Losses,
        settings: TrainingSettings,
        optimiser: torch.optim.Optimizer | None = None,
    ) -> None:
        device = torch_device(settings.device)
        self.network = network.to(device)
        self._losses = losses
        self._optimiser: torch.optim.Optimizer = optimiser or torch_module().optim.Adam(
            self.network.parameters(), lr=settings.learning_rate
        )
        self._precision = autocast(settings.mixed_precision, device, [self.network])
        self.state: dict[str, Any] = {}

    @property
    def networks(self) -> Mapping[str, torch.nn.Module]:
        """The network, as "network"."""
        return {"network": self.network}

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """The optimiser, as "network"."""
        return {"network": self._optimiser}

    def training_step(self, batch: Any) -> Mapping[str, float]:
        """One step down the gradient of the loss."""
        self._optimiser.zero_grad(set_to_none=True)
        values = self._values(batch)
        loss = values["loss"]
        number = float(loss.detach())
        if number - number == 0.0:  # neither NaN nor infinite; else the loop stops before weights are spoilt
            loss.backward()
            self._optimiser.step()
        return {name: float(value.detach()) for name, value in values.items()}

    def validation_step(self, batch: Any) -> Mapping[str, float]:
        """The losses of a batch."""
        return {name: float(value.detach()) for name, value in self._values(batch).items()}

    def _values(self, batch: Any) -> Mapping[str, torch.Tensor]:
        with self._precision():
            values = self._losses(self.network, batch)
        if "loss" not in values:
            raise InputError(f"The losses of a network must contain 'loss', found {', '.join(values) or 'none'}.")
        return values
