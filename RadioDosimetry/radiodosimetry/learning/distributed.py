"""Several processes that train one network together, as `torchrun` starts them; one process alone is the usual case.

Each process works on its share of every batch, and the gradients are summed by share just before an optimiser
takes its step. This is done here rather than by `DistributedDataParallel`, which wraps one network's forward pass,
weights all processes alike, and so serves neither two networks with two optimisers nor a last batch of uneven shares.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .devices import torch_device
from .torch_import import torch_module

if TYPE_CHECKING:
    import torch


class Processes:
    """The processes of a training, seen from one of them.

    Attributes
    ----------
    rank, count
        This is process `rank` (from 0) of `count`.
    weight
        Share of the current batch that this process works on; set by the loop before each step.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        self.weight = 1.0

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and shows the progress."""
        return self.rank == 0

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes."""
        if self.count > 1:
            torch_module().distributed.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """A value from each process, in their order."""
        if self.count == 1:
            return [value]
        gathered: list[Any] = [None] * self.count
        torch_module().distributed.all_gather_object(gathered, value)
        return gathered

    def share_buffers(self, networks: Mapping[str, torch.nn.Module]) -> None:
        """Give all processes the running statistics (batch normalisation) of the first."""
        if self.count > 1:
            for name in sorted(networks):
                for buffer in networks[name].buffers():
                    torch_module().distributed.broadcast(buffer, src=0)

    def synchronise(self, networks: Mapping[str, torch.nn.Module]) -> None:
        """Start from the weights of the first process; on CUDA let batch normalisation see the whole batch.

        On the CPU PyTorch has no such batch normalisation: it sees the share of each process there.
        """
        if self.count == 1:
            return
        torch = torch_module()
        for name in sorted(networks):
            network = networks[name]
            for parameter in network.parameters():
                torch.distributed.broadcast(parameter.data, src=0)
            if next(network.parameters()).is_cuda:
                torch.nn.SyncBatchNorm.convert_sync_batchnorm(network)
        self.share_buffers(networks)

    @contextlib.contextmanager
    def gradients(self, optimisers: Mapping[str, torch.optim.Optimizer], largest_norm: float = 0.0) -> Iterator[None]:
        """Within the block optimisers step along the whole batch's gradient, scaled down to a norm if one is given."""

        def prepare(optimiser: torch.optim.Optimizer, _arguments: object, _options: object) -> None:
            parameters = [one for group in optimiser.param_groups for one in group["params"] if one.grad is not None]
            if self.count > 1:
                self._sum_gradients(parameters)
            if largest_norm:
                torch_module().nn.utils.clip_grad_norm_(parameters, largest_norm)

        handles = [optimiser.register_step_pre_hook(prepare) for optimiser in optimisers.values()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _sum_gradients(self, parameters: list[torch.nn.Parameter]) -> None:
        """Replace gradients by their sum over processes, each times its share of the batch, in one message."""
        torch = torch_module()
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        # A process without a sample of its own must not add the NaN of a padded one times zero.
        joined = joined * self.weight if self.weight else torch.zeros_like(joined)
        self.add(joined)
        start = 0
        for gradient in gradients:
            gradient.copy_(joined[start : start + gradient.numel()].view_as(gradient))
            start += gradient.numel()


@contextlib.contextmanager
def joined_processes(device_name: str, batch_size: int) -> Iterator[Processes]:
    """Join the processes that `torchrun` started, or be the only one.

    Several machines need the folder of the run in common: the first process writes it and all read it on resuming.

    Raises
    ------
    InputError
        The batch has fewer samples than there are processes.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if count <= 1:
        yield Processes(0, 1)
        return
    if batch_size < count:
        raise InputError(f"A batch of {batch_size} cannot be shared by {count} processes; set a larger batch_size.")
    torch = torch_module()
    on_cuda = device_name.startswith("cuda")
    if on_cuda:
        torch.cuda.set_device(torch_device(device_name))
    own = not torch.distributed.is_initialized()
    if own:
        torch.distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield Processes(rank, count)
    finally:
        if own:
            torch.distributed.destroy_process_group()
