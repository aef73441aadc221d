"""Weights that are judged and kept: an average of those of the last steps, with batch statistics that fit them.

Weights jump about from step to step, and the running statistics of batch normalisation lag behind them and hang on the
few samples of each batch. An exponential average of the weights stands in the middle of the jumps; statistics taken
anew over many batches belong to these very weights. Neither changes a step of the training.

References
----------
.. [1] Polyak and Juditsky, SIAM J Control Optim 30 (1992) 838-855, doi:10.1137/0330046.
.. [2] Izmailov et al., Averaging weights leads to wider optima, UAI (2018), arXiv:1803.05407, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .torch_import import torch_module

if TYPE_CHECKING:
    import torch

Networks = Mapping[str, "torch.nn.Module"]


class WeightAverage:
    """Exponential average of trainable weights, with less weight on the past while there is little of it.

    Parameters
    ----------
    networks
        By name; their weights now are where the average starts.
    decay
        Share of the average that a step keeps, at most; 0 keeps no average.
    """

    def __init__(self, networks: Networks, decay: float) -> None:
        self._decay, self._steps = decay, 0
        self._average = {
            name: {key: value.detach().clone() for key, value in network.named_parameters()}
            for name, network in networks.items()
            if decay
        }

    def add(self, networks: Networks) -> None:
        """Take the weights after a step into the average."""
        if not self._decay:
            return
        self._steps += 1
        keep = min(self._decay, self._steps / (self._steps + 9.0))
        with torch_module().no_grad():
            for name, average in self._average.items():
                for key, value in networks[name].named_parameters():
                    average[key].lerp_(value.detach(), 1.0 - keep)

    def put_into(self, networks: Networks) -> None:
        """Give the networks the averaged weights."""
        with torch_module().no_grad():
            for name, average in self._average.items():
                for key, value in networks[name].named_parameters():
                    value.copy_(average[key])

    def as_content(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"steps": self._steps, "average": self._average}

    def restore(self, content: Mapping[str, Any]) -> None:
        """From a checkpoint of the same networks."""
        self._steps = int(content["steps"])
        for name, average in self._average.items():
            for key, value in average.items():
                value.copy_(content["average"][name][key])


def reestimate_batch_statistics(networks: Networks, forward: Callable[[Any], object], batches: Iterator[Any]) -> None:
    """Set the running statistics of all batch normalisations to plain means over batches.

    Parameters
    ----------
    networks
        Left in evaluation mode.
    forward
        Sends a batch through the networks.
    batches
        As the networks are trained on.
    """
    torch = torch_module()
    norms = [
        module
        for network in networks.values()
        for module in network.modules()
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    ]
    momenta = [module.momentum for module in norms]
    if norms:
        for module in norms:
            module.reset_running_stats()
            module.momentum = None
            module.train()
        with torch.no_grad():
            for batch in batches:
                forward(batch)
    for module, momentum in zip(norms, momenta, strict=True):
        module.momentum = momentum
        module.eval()


@contextmanager
def kept_state(networks: Networks) -> Iterator[None]:
    """Put weights, buffers and modes of networks back as they were."""
    states = {name: {key: value.clone() for key, value in net.state_dict().items()} for name, net in networks.items()}
    modes = {name: network.training for name, network in networks.items()}
    try:
        yield
    finally:
        for name, network in networks.items():
            network.load_state_dict(states[name])
            network.train(modes[name])
