"""DblurDoseNet (Li et al. 2022): eleven slices to the dose of the middle one, on top of the density-scaled kernel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .architectures import SLICES, DblurArchitecture
from .heads import soft_exponential
from .initialisation import initialise

PUBLISHED_PARAMETER_COUNT = 1_143_233
"""Trainable values of the published network with its bias-free convolutions; asserted by a test."""

NEGATIVE_SLOPE = 0.1
"""Of LeakyReLU in the depth extractor and the encoder."""


class _DepthExtractor(nn.Sequential):
    """Depth 11 to 9, 5, 3 and 1 by 7×7 convolutions of depth 5, 3 and 3, with pooling over depth after the first."""

    def __init__(self, incoming: int, features: int) -> None:
        half = features // 2
        super().__init__(
            nn.Conv3d(incoming, half, (5, 7, 7), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(half),
            nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            nn.MaxPool3d((2, 1, 1), ceil_mode=True),
            nn.Conv3d(half, features, (3, 7, 7), padding=(0, 3, 3), bias=False),
            nn.BatchNorm3d(features),
            nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True),
            nn.Conv3d(features, features, (3, 7, 7), padding=(0, 3, 3)),
        )


class _DoubleConvolution(nn.Sequential):
    """Two 3×3 convolutions without bias, each with batch normalisation and its activation."""

    def __init__(self, incoming: int, middle: int, outgoing: int, slope: float) -> None:
        def activation() -> nn.Module:
            return nn.LeakyReLU(slope, inplace=True) if slope else nn.ReLU(inplace=True)

        super().__init__(
            nn.Conv2d(incoming, middle, 3, padding=1, bias=False),
            nn.BatchNorm2d(middle),
            activation(),
            nn.Conv2d(middle, outgoing, 3, padding=1, bias=False),
            nn.BatchNorm2d(outgoing),
            activation(),
        )


class _Pointwise(nn.Sequential):
    """Three 1×1 convolutions from features and input channels of a voxel to its output."""

    def __init__(self, incoming: int, hidden: int) -> None:
        super().__init__(
            nn.Conv2d(incoming, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(inplace=True),
        )


class DblurDoseNet(nn.Module):
    """Depth extractor, 2-D U-Net and sum with the base dose of the middle slice (Li et al. 2022).

    Parameters
    ----------
    architecture
        Its shape; published by default (1 143 233 parameters).
    seed
        Of the initial weights.

    References
    ----------
    .. [1] Li et al., DblurDoseNet, Med Phys 49 (2022) 1216-1230, doi:10.1002/mp.15397, Figure 3.
    """

    def __init__(self, architecture: DblurArchitecture | None = None, seed: int = 0) -> None:
        super().__init__()
        self.architecture = architecture or DblurArchitecture()
        features = self.architecture.features
        channels = self.architecture.extracted or len(self.architecture.inputs)
        three_dimensional = self.architecture.extractor == "3d"
        self.depth: nn.Module = _DepthExtractor(channels, features) if three_dimensional else nn.Flatten(1, 2)
        widths = [features, 2 * features, 4 * features, 8 * features, 8 * features]
        incoming = [features if three_dimensional else channels * SLICES, *widths[:-1]]
        self.down = nn.ModuleList(
            _DoubleConvolution(before, after, after, NEGATIVE_SLOPE)
            for before, after in zip(incoming, widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        self.widen = nn.Upsample(scale_factor=2, mode="nearest")
        self.up = nn.ModuleList()
        deep = widths[-1]
        for level in (3, 2, 1, 0):
            both = deep + widths[level]
            deep = widths[max(level - 1, 0)]
            self.up.append(_DoubleConvolution(both, both // 2, deep, 0.0))
        hidden = self.architecture.pointwise
        self.end: nn.Module = _Pointwise(deep + len(self.architecture.inputs), hidden) if hidden else nn.Identity()
        self.last = nn.Conv2d(hidden or deep, 1, 1)
        initialise(self, seed, self.last)

    def forward(self, inputs: Tensor, base: Tensor) -> Tensor:
        """Dose of the middle slice in the unit of the base.

        Parameters
        ----------
        inputs
            (n, c, 11, j, i), as `dblur_dose.DblurDose` makes them; j and i are multiples of 16.
        base
            Base dose of the middle slice (n, 1, j, i).

        Returns
        -------
        Tensor
            Dose (n, 1, j, i), possibly below zero.
        """
        features = self.depth(inputs[:, : self.architecture.extracted or None])
        if features.ndim == 5:
            features = features.squeeze(2)
        skipped: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else self.pool(features))
            skipped.append(features)
        for block, beside in zip(self.up, skipped[-2::-1], strict=True):
            features = block(torch.cat([beside, self.widen(features)], dim=1))
        if self.architecture.pointwise:
            features = torch.cat([features, _centred(inputs[:, :, SLICES // 2])], dim=1)
        output: Tensor = self.last(self.end(features))
        if not self.architecture.residual:
            return output
        if self.architecture.head == "add":
            return base + output
        if self.architecture.head == "scale":
            return base * (1.0 + output)
        return base * soft_exponential(output)


def _centred(shares: Tensor) -> Tensor:
    """Channels between 0 and 1 as values about zero, as large as features are."""
    return 4.0 * (shares - 0.5)
