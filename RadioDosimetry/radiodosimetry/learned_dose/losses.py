"""What a training makes small: errors of normalised dose, weighed by voxel."""

from __future__ import annotations

import torch
from torch import Tensor

from .training_config import LossSettings


def dose_loss(dose: Tensor, label: Tensor, weight: Tensor, base: Tensor, settings: LossSettings) -> Tensor:
    """Weighted mean error over the voxels of a batch.

    Parameters
    ----------
    dose, label, weight, base
        Of one shape (n, 1, …): normalised doses, how much each voxel counts, and the base dose that relative errors are
        relative to, smoothed or not.
    settings
        Kind and margin; voxels within the margin of a face do not count.

    Returns
    -------
    Tensor
        Scalar: weighted mean of |error|, error², or one of these of error / (base + floor).
    """
    if settings.margin:
        inner = (slice(None), slice(None), *(slice(settings.margin, -settings.margin),) * (dose.ndim - 2))
        dose, label, weight, base = dose[inner], label[inner], weight[inner], base[inner]
    error = dose - label
    if settings.kind.startswith("relative"):
        error = error / (base + settings.relative_floor)
    total: Tensor = (weight * _size(error, settings)).sum() / torch.clamp(weight.sum(), min=1e-6)
    return total


def _size(error: Tensor, settings: LossSettings) -> Tensor:
    """How bad an error is, voxel by voxel."""
    if settings.kind.endswith("mse"):
        return error.square()
    if settings.kind.endswith("l1"):
        return error.abs()
    width = settings.huber_width
    return torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=width) / width
