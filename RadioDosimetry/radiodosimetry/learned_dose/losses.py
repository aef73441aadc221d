"""What a training makes small: errors of normalised dose, weighed by voxel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d, huber_loss

from ..voxel_dose.edges import BONE_FROM_G_PER_CM3, LUNG_BELOW_G_PER_CM3
from .training_config import LossSettings


def dose_loss(
    dose: Tensor, label: Tensor, weight: Tensor, base: Tensor, settings: LossSettings, density: Tensor | None = None
) -> Tensor:
    """Weighted mean error over the voxels of a batch, and over the tissues of blocks of voxels if the settings say so.

    Parameters
    ----------
    dose, label, weight, base
        Of one shape (n, 1, …): normalised doses, how much each voxel counts, and the base dose that relative errors are
        relative to, smoothed or not.
    settings
        Kind, margin and blocks; voxels within the margin of a face do not count.
    density
        Mass density [g/cm³] of that shape; blocks need it.

    Returns
    -------
    Tensor
        Scalar: weighted mean of |error|, error², or one of these of error / (base + floor), plus that of blocks.
    """
    maps = [dose - label, weight, base] if density is None else [dose - label, weight, base, density]
    if settings.margin:
        inner = (slice(None), slice(None), *(slice(settings.margin, -settings.margin),) * (dose.ndim - 2))
        maps = [one[inner] for one in maps]
    error, weight, base = maps[:3]
    total: Tensor = (weight * _size(error, base, settings)).sum() / torch.clamp(weight.sum(), min=1e-6)
    if not settings.block_weight:
        return total
    assert density is not None, "the mean errors of blocks are taken tissue by tissue"
    return total + settings.block_weight * _block_loss(error, (weight > 0).to(error), base, maps[3], settings)


def _size(error: Tensor, base: Tensor, settings: LossSettings) -> Tensor:
    """How bad an error is, voxel by voxel."""
    if settings.kind.startswith("relative"):
        error = error / (base + settings.relative_floor)
    if settings.kind.endswith("mse"):
        return error.square()
    if settings.kind.endswith("l1"):
        return error.abs()
    width = settings.huber_width
    return huber_loss(error, torch.zeros_like(error), reduction="none", delta=width) / width


def _block_loss(error: Tensor, counts: Tensor, base: Tensor, density: Tensor, settings: LossSettings) -> Tensor:
    """The same of the mean error of lung, soft tissue and bone in each block, by their number of voxels."""
    pool = avg_pool3d if error.ndim == 5 else avg_pool2d
    lung, bone = density < LUNG_BELOW_G_PER_CM3, density >= BONE_FROM_G_PER_CM3
    summed, number = error.new_zeros(()), error.new_zeros(())
    for tissue in (lung, ~lung & ~bone, bone):
        own = counts * tissue
        share = pool(own, settings.block)
        present = torch.clamp(share, min=1e-6)
        mean_error, mean_base = (pool(own * one, settings.block) / present for one in (error, base))
        summed = summed + (share * _size(mean_error, mean_base, settings)).sum()
        number = number + share.sum()
    return summed / torch.clamp(number, min=1e-6)
