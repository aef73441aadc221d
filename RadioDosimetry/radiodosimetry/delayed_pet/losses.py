"""What training minimises: the published adversarial and similarity losses, and one that knows of organs.

All images are normalised by N(t), so that every loss is a pure number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .vgg import Vgg19Features, gram_matrix

L1_WEIGHT = 100.0
"""λ of pix2pix (Isola 2017); Kim 2025 lost its own in print."""

LOWEST_ORGAN_SHARE = 1e-4
"""Organs with less than this share of all activity in the target do not count: their logarithm is noise."""

_SMALLEST = 1e-6


def adversarial_loss(judged: Tensor, real: bool) -> Tensor:
    """Least squares of the discriminator's numbers against 1 (real) or 0 (Mao 2017)."""
    target = torch.ones_like(judged) if real else torch.zeros_like(judged)
    return torch.mean((judged - target) ** 2)


def similarity_l1(generated: Tensor, acquired: Tensor) -> Tensor:
    """Mean absolute difference of the voxels."""
    return torch.mean(torch.abs(generated - acquired))


def similarity_perceptual(generated: Tensor, acquired: Tensor, features: Vgg19Features) -> Tensor:
    """Content and style of VGG19's features: root of the squared difference of the features, and Frobenius norms of the
    differences of their Gram matrices (Gatys 2016; Kim 2025, Eq. 4).
    """
    content_a, style_a = features(generated)
    content_b, style_b = features(acquired.detach())
    content = torch.mean((content_a - content_b) ** 2)
    pairs = zip(style_a, style_b, strict=True)
    style = [torch.linalg.matrix_norm(gram_matrix(a) - gram_matrix(b)).mean() for a, b in pairs]
    return content + torch.stack(style).sum()


def organ_sums(image: Tensor, labels: Tensor, count: int) -> Tensor:
    """Sum of an image over each region.

    Parameters
    ----------
    image
        Any shape.
    labels
        Whole numbers of the same shape; 0 is no region.
    count
        Largest label.

    Returns
    -------
    Tensor
        Shape (count,), region n at n − 1.
    """
    sums = torch.zeros(count + 1, dtype=image.dtype, device=image.device)
    return sums.index_add(0, labels.reshape(-1), image.reshape(-1))[1:]


def organ_losses(
    generated: Tensor, log_std: Tensor, acquired: Tensor, labels: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Error of the organs' activities, and how badly the stated uncertainty tells of it; means over organs.

    The errors of the voxels of one organ stand together (the organ's kinetics were guessed wrong), so that the relative
    uncertainty of its activity is the activity-weighted mean of its voxels' and does not shrink with their number.
    The two are apart: in one likelihood a network that knows its training patients by heart becomes so sure of itself
    that one organ of another patient outweighs all others.

    Parameters
    ----------
    generated, acquired
        Images of one shape, not negative.
    log_std
        Logarithm of each voxel's relative standard uncertainty.
    labels, count
        See `organ_sums`.

    Returns
    -------
    tuple of Tensor
        Mean of |ln generated − ln acquired|, and the negative log likelihood of these errors under the uncertainty,
        whose gradient reaches the uncertainty alone.
    """
    wanted = organ_sums(acquired, labels, count)
    found = organ_sums(generated, labels, count)
    known = wanted > LOWEST_ORGAN_SHARE * torch.clamp(acquired.sum(), min=_SMALLEST)
    weight = generated.detach()
    std = organ_sums(weight * torch.exp(log_std), labels, count) / torch.clamp(found.detach(), min=_SMALLEST)
    std = torch.clamp(std[known], min=1e-3)
    error = torch.log(torch.clamp(found[known], min=_SMALLEST)) - torch.log(wanted[known])
    likelihood = 0.5 * (error.detach() / std) ** 2 + torch.log(std)
    return torch.mean(torch.abs(error)), torch.mean(likelihood)
