"""Windows cut from volumes for training, and the variants of them that a lattice allows without interpolation.

MONAI finds the windows (`dense_patch_slices`, `weighted_patch_samples`). Its flips and turns are not used: they carry
each array through a MetaTensor and draw from a legacy generator of their own, where here every draw comes from the
generator of one sample, so that a run can be resumed in the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .torch_import import library_module

Window = tuple[slice, slice, slice]


def grid_windows(shape_kji: Sequence[int], window_kji: Sequence[int], step_kji: Sequence[int]) -> list[Window]:
    """Windows on a regular grid that cover a volume; the last of each axis is moved in to end with it.

    Raises
    ------
    InputError
        The window is larger than the volume, or a step is below one voxel.
    """
    _require_fit(shape_kji, window_kji)
    if min(step_kji) < 1:
        raise InputError(f"Windows must be at least one voxel apart, found {tuple(step_kji)}.")
    utils = library_module("monai.data.utils")
    windows: list[Window] = utils.dense_patch_slices(tuple(shape_kji), tuple(window_kji), tuple(step_kji))
    return windows


def random_window(
    shape_kji: Sequence[int],
    window_kji: Sequence[int],
    rng: np.random.Generator,
    weights_kji: NDArray[np.floating[Any]] | None = None,
) -> Window:
    """A window at random, everywhere alike or centred more often where weights are larger.

    Parameters
    ----------
    shape_kji, window_kji
        Of the volume and of the window.
    rng
        Of this sample.
    weights_kji
        At least 0, shape of the volume; windows that would stick out are moved in. All zero counts as none.

    Raises
    ------
    InputError
        The window is larger than the volume, or weights have another shape.
    """
    _require_fit(shape_kji, window_kji)
    if weights_kji is None or not np.any(weights_kji):
        starts = [int(rng.integers(0, size - edge + 1)) for size, edge in zip(shape_kji, window_kji, strict=True)]
    else:
        if weights_kji.shape != tuple(shape_kji):
            raise InputError(f"Weights must have the shape {tuple(shape_kji)}, found {weights_kji.shape}.")
        # MONAI draws from NumPy's legacy generator, which is seeded here from this sample's own.
        state = np.random.RandomState(int(rng.integers(0, 2**32)))  # noqa: NPY002
        sampler = library_module("monai.transforms.utils").weighted_patch_samples
        (centre,) = sampler(tuple(window_kji), np.asarray(weights_kji, dtype=np.float64), 1, state)
        starts = [
            min(max(int(middle) - edge // 2, 0), size - edge)
            for middle, edge, size in zip(centre, window_kji, shape_kji, strict=True)
        ]
    k, j, i = (slice(start, start + edge) for start, edge in zip(starts, window_kji, strict=True))
    return k, j, i


def lattice_variant(
    arrays: Sequence[NDArray[Any]], rng: np.random.Generator, flips: Sequence[int] = (-3, -2, -1), turns: bool = True
) -> list[NDArray[Any]]:
    """The same random mirroring and quarter turns for all arrays; voxel values stay exactly as they are.

    Parameters
    ----------
    arrays
        Of the same last three axes (k, j, i); leading axes are channels.
    rng
        Of this sample; the same number of draws whatever comes out.
    flips
        Axes that may be mirrored, counted from the end.
    turns
        Whether to turn about k, where rows and columns are alike in number and size.

    Raises
    ------
    InputError
        Arrays have different last three axes, or are to be turned and have another number of rows than columns.
    """
    shapes = {array.shape[-3:] for array in arrays}
    if len(shapes) > 1:
        raise InputError(f"Arrays of one sample must share their last three axes, found {sorted(shapes)}.")
    mirrored = tuple(axis for axis in flips if rng.random() < 0.5)
    quarter_turns = int(rng.integers(0, 4)) if turns else 0
    if turns and any(shape[-1] != shape[-2] for shape in shapes):
        raise InputError(f"Only square slices can be turned, found {sorted(shapes)}; switch turns off.")
    return [np.ascontiguousarray(np.rot90(np.flip(array, mirrored), quarter_turns, axes=(-2, -1))) for array in arrays]


def _require_fit(shape_kji: Sequence[int], window_kji: Sequence[int]) -> None:
    if len(shape_kji) != 3 or len(window_kji) != 3:
        raise InputError(f"Volume and window have three axes (k, j, i), found {shape_kji} and {window_kji}.")
    if any(edge > size or edge < 1 for size, edge in zip(shape_kji, window_kji, strict=True)):
        raise InputError(
            f"A window of {tuple(window_kji)} voxels does not fit into a volume of {tuple(shape_kji)}; make it smaller."
        )
