"""What training minimises: the published adversarial and similarity losses, and the overlap of tissues.

All images are normalised by N(t), so that every loss is a pure number.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .vgg import Vgg19Features, gram_matrix

L1_WEIGHT = 100.0
"""λ of pix2pix (Isola 2017); Kim 2025 lost its own in print."""


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


def tissue_overlap(shares: Tensor, tissues: Tensor) -> Tensor:
    """Mean Dice coefficient of the tissues that are there: 2 Σ p y / (Σ p + Σ y) with probabilities p.

    Parameters
    ----------
    shares
        Probability of each tissue, (n, tissues, k, j, i).
    tissues
        Number of the true one, (n, k, j, i).
    """
    flat = tissues.reshape(-1)
    count = shares.shape[1]
    own = torch.gather(shares, 1, tissues[:, None])[:, 0].reshape(-1)
    both = torch.zeros(count, dtype=shares.dtype, device=shares.device).index_add(0, flat, own)
    there = torch.bincount(flat, minlength=count).to(shares.dtype)
    dice = 2.0 * both / (shares.sum(dim=(0, 2, 3, 4)) + there)
    return dice[there > 0].mean()
