"""What a training makes small: errors of normalised dose, weighed by voxel."""

from __future__ import annotations

import torch
from torch import Tensor

from .training_config import LossSettings


def dose_loss(dose: Tensor, label: Tensor, weight: Tensor, settings: LossSettings) -> Tensor:
    """Weighted mean error over the voxels of a batch.

    Parameters
    ----------
    dose, label, weight
        Of one shape (n, 1, …), normalised dose and how much each voxel counts.
    settings
        Kind and margin; voxels within the margin of a face do not count.

    Returns
    -------
    Tensor
        Scalar: mean |error|, mean error², or mean |error| / (label + floor).
    """
    if settings.margin:
        inner = (slice(None), slice(None), *(slice(settings.margin, -settings.margin),) * (dose.ndim - 2))
        dose, label, weight = dose[inner], label[inner], weight[inner]
    error = dose - label
    if settings.kind == "mse":
        size = error.square()
    elif settings.kind == "l1":
        size = error.abs()
    else:
        size = error.abs() / (label + settings.relative_floor)
    total: Tensor = (weight * size).sum() / torch.clamp(weight.sum(), min=1e-6)
    return total
