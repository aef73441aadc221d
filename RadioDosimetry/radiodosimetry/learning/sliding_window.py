"""A network over a volume larger than its memory: overlapping windows, blended, with bounded memory.

MONAI's `sliding_window_inference` cuts, pads and blends; added here are what it leaves to its caller: progress and
cancelling between windows, arrays in and out, and a smaller window where the device's memory does not suffice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DeviceError, InputError
from ..progress import Progress, report_progress
from .devices import is_out_of_memory, release_device_memory, torch_device
from .torch_import import library_module, torch_module

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)

BLEND_SIGMA = 0.125
"""Width of the Gaussian that weights a window's voxels, per window edge: MONAI's default."""


def predict_windows(
    network: Callable[[torch.Tensor], torch.Tensor],
    inputs_ckji: NDArray[np.floating[Any]],
    window_kji: Sequence[int],
    overlap: float = 0.5,
    device: str = "cpu",
    progress: Progress | None = None,
    *,
    batch: int = 1,
    multiple: int = 1,
    warnings: list[str] | None = None,
) -> NDArray[np.float32]:
    """One output value per voxel, from a network that sees a window at a time.

    Parameters
    ----------
    network
        (n, c, k, j, i) to (n, 1, k, j, i), float32, on `device`; put into evaluation mode by the caller.
    inputs_ckji
        Channels first, shape (c, k, j, i). Stays in main memory; only windows go to the device.
    window_kji
        Voxels of a window along each axis. A volume smaller than it is padded with zeros.
    overlap
        Fraction of a window that neighbouring windows share, from 0 to below 1; outputs are blended with a Gaussian
        weight that is largest at the centre of each window.
    device
        Of the network, as `torch_device` names it.
    progress
        Reports windows done; cancelling is heard between windows.
    batch
        Windows that go through the network together.
    multiple
        Of this many voxels must every edge of a window be (a U-Net of n levels down: 2ⁿ).
    warnings
        A list that receives what a reader of the result must know: that a smaller window was used.

    Returns
    -------
    array
        Shape (k, j, i), float32. Memory beside inputs and output: the padded input, one float32 volume of weights, and
        what the network needs for `batch` windows.

    Raises
    ------
    InputError
        Shapes, overlap or window make no sense, or the output has another shape than the window.
    DeviceError
        The memory does not suffice even for the smallest window, or the device is not there.
    CancelledError
        The user cancelled.
    """
    inputs = np.asarray(inputs_ckji)
    window = _checked_window(inputs, window_kji, overlap, multiple)
    target = torch_device(device)
    first = window
    while True:
        try:
            output = _blend(network, inputs, window, overlap, target, batch, progress)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            release_device_memory(target)
            smaller = smaller_window(window, multiple)
            if smaller is None and batch == 1:
                raise DeviceError(
                    f"The memory of device '{device}' does not suffice for windows of {_words(window)} voxels, the "
                    "smallest tried; free memory, or use device 'cpu'."
                ) from error
            window, batch = smaller or window, 1
            _LOG.warning("The memory of '%s' does not suffice; trying windows of %s voxels.", device, _words(window))
            continue
        if window != first and warnings is not None:
            warnings.append(
                f"The memory of device '{device}' did not suffice for windows of {_words(first)} voxels; windows of "
                f"{_words(window)} were used, which changes the result slightly. Ask for that window to repeat it."
            )
        return output


def smaller_window(window_kji: Sequence[int], multiple: int = 1) -> tuple[int, int, int] | None:
    """The window with its longest edge halved, on a multiple; None if no edge can be halved."""
    edges = [int(edge) for edge in window_kji]
    for axis in sorted(range(3), key=lambda one: (-edges[one], one)):
        halved = edges[axis] // 2 // multiple * multiple
        if halved >= multiple and halved >= _SMALLEST_EDGE:
            edges[axis] = halved
            return edges[0], edges[1], edges[2]
    return None


_SMALLEST_EDGE = 8
"""Windows are not halved below this: a network sees too little of the neighbourhood."""


def _blend(
    network: Callable[[torch.Tensor], torch.Tensor],
    inputs: NDArray[Any],
    window: tuple[int, int, int],
    overlap: float,
    device: torch.device,
    batch: int,
    progress: Progress | None,
) -> NDArray[np.float32]:
    """All windows of one size through the network."""
    from_numpy, inference_mode = torch_module().from_numpy, torch_module().inference_mode
    inference = library_module("monai.inferers").sliding_window_inference
    total, done = window_count(inputs.shape[1:], window, overlap), 0

    def predictor(windows: torch.Tensor) -> torch.Tensor:
        nonlocal done
        report_progress(progress, done / total, f"Window {min(done + 1, total)} of {total}")
        output = network(windows)
        if output.shape != (windows.shape[0], 1, *windows.shape[2:]):
            raise InputError(
                f"The network must give (n, 1, k, j, i) for its windows {tuple(windows.shape)}, found "
                f"{tuple(output.shape)}."
            )
        done += windows.shape[0]
        # MONAI weights the output in place; a network that hands its input through would have the image altered.
        shared = output.untyped_storage().data_ptr() == windows.untyped_storage().data_ptr()
        return output.float().clone() if shared else output.float()

    with inference_mode():
        tensor = from_numpy(np.ascontiguousarray(inputs, dtype=np.float32))[None]
        output = inference(
            tensor, window, batch, predictor, overlap=overlap, mode="gaussian", sigma_scale=BLEND_SIGMA,
            sw_device=device, device="cpu",
        )  # fmt: skip
    report_progress(progress, 1.0, f"Window {total} of {total}")
    blended: NDArray[np.float32] = output[0, 0].numpy()
    return blended


def window_count(shape_kji: Sequence[int], window_kji: Sequence[int], overlap: float) -> int:
    """How many windows cover a volume."""
    count = 1
    for size, edge in zip(shape_kji, window_kji, strict=True):
        step = edge if edge >= size else max(1, int(edge * (1.0 - overlap)))
        count *= 1 if edge >= size else -(-(size - edge) // step) + 1
    return count


def _checked_window(
    inputs: NDArray[Any], window_kji: Sequence[int], overlap: float, multiple: int
) -> tuple[int, int, int]:
    """The window, if it, the inputs and the overlap make sense."""
    if inputs.ndim != 4 or inputs.size == 0:
        raise InputError(f"Inputs must have the shape (c, k, j, i) and at least one voxel, found {inputs.shape}.")
    window = tuple(int(edge) for edge in window_kji)
    if len(window) != 3 or min(window) < 1:
        raise InputError(f"A window has three edges of at least one voxel (k, j, i), found {tuple(window_kji)}.")
    if any(edge % multiple for edge in window):
        raise InputError(f"Every edge of a window must be a multiple of {multiple} voxels, found {_words(window)}.")
    if not 0.0 <= overlap < 1.0:
        raise InputError(f"The overlap of windows must lie from 0 to below 1, found {overlap:g}.")
    return window[0], window[1], window[2]


def _words(window: Sequence[int]) -> str:
    return "×".join(str(edge) for edge in window)
