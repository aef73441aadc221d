"""Sixteen-bit arithmetic, where it is sound.

bfloat16 keeps the range of float32, so that losses need no scaling; weights, sums of the optimiser and the loss stay in
float32. On the CPU it is never chosen unasked, and refused for large 3-D filters: PyTorch 2.13 crashed there in the
backward pass of a 3×7×7 convolution (a trial of this project).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..errors import InputError
from .torch_import import torch_module

if TYPE_CHECKING:
    import torch

LARGEST_BF16_EDGE_ON_CPU = 5
"""Voxels along the longest edge of a 3-D filter that may be trained in bfloat16 on the CPU."""


def autocast(
    mode: str, device: torch.device, networks: Iterable[torch.nn.Module]
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """What a forward pass runs inside: `with precision(): output = network(input)`.

    Parameters
    ----------
    mode
        "off" (float32) or "bf16".
    device
        That the networks run on.
    networks
        Looked through for filters that the mode is not sound for.

    Raises
    ------
    InputError
        bfloat16 is asked for where it is not sound, or the mode is unknown.
    """
    if mode == "off":
        return contextlib.nullcontext
    if mode != "bf16":
        raise InputError(f"'mixed_precision' must be 'off' or 'bf16', found '{mode}'.")
    torch = torch_module()
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise InputError("This graphics card has no bfloat16 arithmetic; set mixed_precision to 'off'.")
    if device.type == "cpu":
        edges = [max(one.kernel_size) for net in networks for one in net.modules() if isinstance(one, torch.nn.Conv3d)]
        if max(edges, default=0) > LARGEST_BF16_EDGE_ON_CPU:
            raise InputError(
                f"A network with 3-D filters of {max(edges)} voxels cannot be trained in bfloat16 on the CPU, where "
                "PyTorch crashes in its backward pass; set mixed_precision to 'off' or use device 'cuda'."
            )

    def cast() -> contextlib.AbstractContextManager[None]:
        context: contextlib.AbstractContextManager[None] = torch.autocast(device.type, dtype=torch.bfloat16)
        return context

    return cast
