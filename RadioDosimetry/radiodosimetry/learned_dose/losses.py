"""What a training makes small: errors of normalised dose, weighed by voxel."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, avg_pool3d, huber_loss

from ..voxel_dose.edges import BONE_FROM_G_PER_CM3, LUNG_BELOW_G_PER_CM3
from .training_config import LossSettings

REGION_FLOOR = 0.05
"""Normalised mean dose below which errors of a region's mean count less and less."""

FIRST_LESION = 256
"""Lesions have region numbers above this, other regions below."""

REGION_TURN = 0.1
"""Relative error of a region's mean where its weight turns from square to linear: what nothing can tell from its
surroundings, a vessel or the gallbladder wrong by a factor, would otherwise leave the liver's tenth unseen."""

LEAST_REGION_VOXELS = 8
"""Parts of regions with fewer voxels in a sample are not judged by their mean."""


def dose_loss(
    dose: Tensor,
    label: Tensor,
    weight: Tensor,
    base: Tensor,
    settings: LossSettings,
    density: Tensor | None = None,
    region: Tensor | None = None,
) -> Tensor:
    """Weighted mean error over the voxels of a batch, and over blocks and regions of them if the settings say so.

    Parameters
    ----------
    dose, label, weight, base
        Of one shape (n, 1, …): normalised doses, how much each voxel counts, and the base dose that relative errors are
        relative to, smoothed or not.
    settings
        Kind, margin and blocks; voxels within the margin of a face do not count.
    density
        Mass density [g/cm³] of that shape; blocks need it.
    region
        Number of the region of every voxel, zero for none, of that shape; regions need it.

    Returns
    -------
    Tensor
        Scalar: weighted mean of |error|, error², or one of these of error / (base + floor), plus that of blocks, plus
        the mean size of the relative errors of the regions' means, square up to `REGION_TURN` and linear beyond.
    """
    inner = (..., *(slice(settings.margin, -settings.margin or None),) * (dose.ndim - 2))
    error, label, weight, base = (one[inner] for one in (dose - label, label, weight, base))
    counts = (weight > 0).to(error)
    total: Tensor = (weight * _size(error, base, settings)).sum() / torch.clamp(weight.sum(), min=1e-6)
    if settings.block_weight:
        assert density is not None, "the mean errors of blocks are taken tissue by tissue"
        total = total + settings.block_weight * _block_loss(error, counts, base, density[inner], settings)
    if settings.region_weight:
        assert region is not None, "the mean errors of regions need to know where regions are"
        total = total + settings.region_weight * _region_loss(error, counts, label, base, region[inner], settings)
    return total


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


def _region_loss(
    error: Tensor, counts: Tensor, label: Tensor, base: Tensor, region: Tensor, settings: LossSettings
) -> Tensor:
    """The mean error of each region of each sample, relative to the mean of label and base there, averaged."""
    numbers = region.long()
    most = int(numbers.max()) + 1
    samples = torch.arange(len(region), device=region.device).reshape(-1, *(1,) * (region.ndim - 1))
    places = (numbers + most * samples).flatten()

    def summed(values: Tensor) -> Tensor:
        return values.new_zeros(most * len(region)).index_add(0, places, (counts * values).flatten())

    voxels, number = summed(torch.ones_like(error)), torch.arange(most * len(region), device=region.device) % most
    judged = (voxels >= LEAST_REGION_VOXELS) & (number > 0)
    mean_error, mean_dose = (summed(values)[judged] / voxels[judged] for values in (error, 0.5 * (label + base)))
    weight = torch.where(number[judged] > FIRST_LESION, settings.lesion_weight, 1.0)
    relative = mean_error / (mean_dose + REGION_FLOOR)
    size = huber_loss(relative, torch.zeros_like(relative), reduction="none", delta=REGION_TURN) / REGION_TURN
    return (weight * size).sum() / torch.clamp(weight.sum(), min=1.0)
