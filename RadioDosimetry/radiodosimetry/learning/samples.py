"""Where a training takes its samples from, in an order and with variations that only seed, epoch and index decide.

Nothing is drawn from a stream that runs on from sample to sample: a run that was killed, and one whose samples are
prepared by several processes, see exactly the same samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .torch_import import library_module, torch_module

if TYPE_CHECKING:
    import torch

ORDER, TRAINING, VALIDATION, NETWORK, STATISTICS = range(5)
"""What random numbers are drawn for; each purpose has its own, whatever the others draw."""


class SampleSource(Protocol):
    """Samples of one side of a split, such as windows of its patients."""

    def __len__(self) -> int:
        """Number of samples of an epoch."""

    def sample(self, index: int, rng: np.random.Generator) -> Any:
        """One sample.

        Parameters
        ----------
        index
            From 0.
        rng
            The only source of random numbers: seeded by (seed, epoch, index) in training, by (seed, index) in
            validation, where no variation should be drawn but may be needed to choose a window.

        Returns
        -------
        Any
            Arrays or tensors, or a mapping, tuple or list of them; PyTorch's `default_collate` stacks those of a batch.
        """


def generator_for(seed: int, *words: int) -> np.random.Generator:
    """Random numbers for one purpose, epoch, sample: independent of all others of the seed."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=words))


@dataclass(frozen=True)
class Share:
    """The part of a batch that one process works on.

    Attributes
    ----------
    indices
        Of its samples; never empty, so that all processes take part in every step.
    weight
        Samples that count, over those of the whole batch.
    count
        Samples that count: 0 where the batch was too small for all processes.
    """

    indices: tuple[int, ...]
    weight: float
    count: int


def shares(order: Sequence[int], batch_size: int, rank: int = 0, processes: int = 1) -> list[Share]:
    """Cut an order of samples into batches, and take of each what process `rank` of `processes` works on."""
    cut = []
    for start in range(0, len(order), batch_size):
        batch = [int(index) for index in order[start : start + batch_size]]
        own = batch[rank::processes]
        cut.append(Share(tuple(own or batch[:1]), len(own) / len(batch), len(own)))
    return cut


def batches(
    source: SampleSource, cut: Sequence[Share], seed: int, purpose: int, epoch: int, workers: int, device: torch.device
) -> Iterator[Any]:
    """The batches of an epoch on a device, prepared by `workers` further processes, or by this one if 0."""
    if not cut:
        return
    torch = torch_module()
    loader = library_module("torch.utils.data").DataLoader(
        _SeededSamples(source, seed, purpose, epoch),
        batch_sampler=[share.indices for share in cut],
        num_workers=workers,
        # Otherwise the loader would draw a seed from PyTorch's global random numbers.
        generator=torch.Generator().manual_seed(0),
    )
    for batch in loader:
        yield on_device(batch, device)


def on_device(batch: Any, device: torch.device) -> Any:
    """A batch with all its tensors moved to a device."""
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: on_device(value, device) for name, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(on_device(value, device) for value in batch)
    return batch


class _SeededSamples:
    """The samples of one epoch as PyTorch's loader wants them."""

    def __init__(self, source: SampleSource, seed: int, purpose: int, epoch: int) -> None:
        self._source, self._seed, self._purpose, self._epoch = source, seed, purpose, epoch

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Any:
        return self._source.sample(index, generator_for(self._seed, self._purpose, self._epoch, index))
