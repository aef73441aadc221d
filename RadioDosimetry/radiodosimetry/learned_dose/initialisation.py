"""Initial weights that depend on a seed alone."""

from __future__ import annotations

import torch
from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
"""Layers that get random weights."""


def initialise(network: nn.Module, seed: int, head: nn.Module) -> None:
    """Set every weight of a network from a seed, in place.

    Convolutions get normal weights of variance 2/fan-in (He et al. 2015) and zero biases, batch normalisations the
    identity. The head starts at zero, so that an untrained residual network gives its base dose.

    Parameters
    ----------
    network
        Any network of convolutions and batch normalisations.
    seed
        Same seed, same weights, whatever was drawn before.
    head
        The last layer of `network`.

    References
    ----------
    .. [1] He et al., Delving deep into rectifiers, ICCV (2015), doi:10.1109/ICCV.2015.123.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, CONVOLUTIONS):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.reset_parameters()
            module.reset_running_stats()
    for parameter in head.parameters():
        nn.init.zeros_(parameter)


def parameter_count(network: nn.Module) -> int:
    """Number of trainable values."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
