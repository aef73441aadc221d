"""Where networks run, and what makes a run on it repeatable: device, threads, random numbers, memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..errors import DeviceError, InputError
from .torch_import import torch_module

if TYPE_CHECKING:
    import torch

DEVICE_NAMES = ("cpu", "cuda", "cuda:N")
"""Devices that can be asked for; N is the number of a graphics card, from 0."""


def torch_device(name: str = "cpu") -> torch.device:
    """The device that networks run on; it is never chosen behind the user's back.

    Parameters
    ----------
    name
        "cpu", "cuda" (the first graphics card, or in a `torchrun` the one of this process) or "cuda:N".

    Raises
    ------
    InputError
        The name is none of these.
    DeviceError
        CUDA is asked for and this machine, or this build of PyTorch, has none, or not so many cards.
    """
    torch = torch_module()
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdecimal())):
        raise InputError(f"The device must be one of {', '.join(DEVICE_NAMES)}, found '{name}'.")
    if kind == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError("This machine, or this build of PyTorch, has no CUDA device; use device 'cpu'.")
    # `torchrun` numbers the processes of a machine, each of which has its own card.
    wanted = int(number or os.environ.get("LOCAL_RANK", "") or torch.cuda.current_device())
    count = torch.cuda.device_count()
    if wanted >= count:
        raise DeviceError(f"Found {count} CUDA devices, asked for number {wanted}; use 'cuda:0' to 'cuda:{count - 1}'.")
    return torch.device(f"cuda:{wanted}")


@contextlib.contextmanager
def seeded_torch(*words: int) -> Iterator[None]:
    """PyTorch's own random numbers (initial weights, dropout) drawn from a seed within the block, as before after it.

    Parameters
    ----------
    words
        The seed, and what it is drawn for (a purpose's number, an epoch); each at least 0.
    """
    torch = torch_module()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(torch_seed(*words))
        yield


def torch_seed(*words: int) -> int:
    """A 63-bit seed for PyTorch from a seed and what it is drawn for."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[int]:
    """PyTorch on so many cores within the block; 0 leaves their number as it is. Yields the number used.

    Sums over voxels are split by threads, so the last bits of a result depend on their number.
    """
    torch = torch_module()
    before = torch.get_num_threads()
    if count:
        torch.set_num_threads(count)
    try:
        yield torch.get_num_threads()
    finally:
        if count:
            torch.set_num_threads(before)


@contextlib.contextmanager
def repeatable_kernels(device: torch.device) -> Iterator[None]:
    """Only kernels whose sums have a fixed order within the block; an operation that has none raises RuntimeError.

    On CUDA, where some operations of 3-D networks have no such form, those keep their other one and only the choice
    of kernels by timing is switched off: same seed gives the same bits on the CPU, nearly the same on CUDA.
    """
    torch = torch_module()
    cudnn = torch.backends.cudnn
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    tuned, fixed = cudnn.benchmark, cudnn.deterministic
    filled = torch.utils.deterministic.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(device.type == "cpu")
        torch.utils.deterministic.fill_uninitialized_memory = False
        cudnn.benchmark, cudnn.deterministic = False, True
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = filled
        cudnn.benchmark, cudnn.deterministic = tuned, fixed


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory did not suffice."""
    torch = torch_module()
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def release_device_memory(device: torch.device) -> None:
    """Give back what PyTorch keeps for later on a graphics card."""
    if device.type == "cuda":
        torch_module().cuda.empty_cache()
