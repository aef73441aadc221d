"""The published networks: a generator of encoder, residual blocks and decoder, and a discriminator of patches.

Kim 2025 gives the scheme (pix2pix, least squares, initialisation of DCGAN) and lost the numbers of its figure in
print. What is taken instead are the field's defaults: 64 features, six residual blocks at 128 × 128, patches of 70.
The head is softplus: activity is not negative and has no upper limit, which a tanh has.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

INITIAL_STD = 0.02
"""Standard deviation of the initial weights (Radford 2016, DCGAN)."""

LEAKY_SLOPE = 0.2
"""Slope of the discriminator's units below zero (DCGAN, pix2pix)."""

HEAD_SHARPNESS = 10.0
"""β of the head's softplus: at β = 1 an output of zero would stand for 0.69 of N(t), a third of a patient's voxels."""


class ResidualBlock(nn.Module):
    """Two convolutions of 3 × 3 whose sum with the input goes on (He 2016; Johnson 2016)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(features, features, 3, bias=False),
            nn.BatchNorm2d(features),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(features, features, 3, bias=False),
            nn.BatchNorm2d(features),
        )

    def forward(self, values: Tensor) -> Tensor:
        """Values (n, features, j, i) of the same shape."""
        result: Tensor = values + self.layers(values)
        return result


class Generator(nn.Module):
    """Encoder, residual blocks, decoder: early slices to delayed ones, both normalised.

    Parameters
    ----------
    in_channels
        Channels of the input: the slice itself, its neighbours, CT, conditions.
    features
        Of the first layer (ngf); doubled by each of the two halvings.
    blocks
        Residual blocks between encoder and decoder.
    out_channels
        Channels of the output.
    sharpness
        β of the head's softplus.

    Notes
    -----
    Batch normalisation is DCGAN's and pix2pix's. Instance normalisation, which pix2pix with batches of one amounts to,
    would take the level of each slice away, which is what a dose is made of.
    """

    def __init__(
        self,
        in_channels: int = 1,
        features: int = 64,
        blocks: int = 6,
        out_channels: int = 1,
        sharpness: float = HEAD_SHARPNESS,
    ) -> None:
        super().__init__()
        first = nn.Conv2d(in_channels, features, 7, bias=False)
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), *_unit(first, features)]
        width = features
        for _ in range(2):
            layers += _unit(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False), 2 * width)
            width *= 2
        layers += [ResidualBlock(width) for _ in range(blocks)]
        for _ in range(2):
            up = nn.ConvTranspose2d(width, width // 2, 3, stride=2, padding=1, output_padding=1, bias=False)
            layers += _unit(up, width // 2)
            width //= 2
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(width, out_channels, 7)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Softplus(beta=sharpness)
        initialise(self)

    def forward(self, early: Tensor) -> Tensor:
        """Delayed slices (n, out, j, i), not negative, from early ones (n, in, j, i); j and i multiples of four."""
        result: Tensor = self.head(self.layers(early))
        return result


class PatchDiscriminator(nn.Module):
    """PatchGAN: for each patch of 70 × 70 pixels of (early, delayed) a number, 1 for acquired and 0 for generated."""

    def __init__(self, in_channels: int = 2, features: int = 64) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, features, 4, 2, 1), nn.LeakyReLU(LEAKY_SLOPE)]
        for factor_in, factor_out, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(factor_in * features, factor_out * features, 4, stride, 1, bias=False),
                nn.BatchNorm2d(factor_out * features),
                nn.LeakyReLU(LEAKY_SLOPE),
            ]
        layers.append(nn.Conv2d(8 * features, 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        initialise(self)

    def forward(self, early: Tensor, delayed: Tensor) -> Tensor:
        """Numbers (n, 1, p, q) of the patches."""
        result: Tensor = self.layers(torch.cat((early, delayed), dim=1))
        return result

    @staticmethod
    def receptive_field() -> int:
        """Side of the patch that one number sees [pixels], from the layers' kernels and strides."""
        field = 1
        for kernel, stride in ((4, 1), (4, 1), (4, 2), (4, 2), (4, 2)):
            field = (field - 1) * stride + kernel
        return field


def initialise(network: nn.Module, std: float = INITIAL_STD) -> None:
    """Initial weights of DCGAN: convolutions N(0, std), scales N(1, std), shifts 0; from torch's generator."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, std)
            nn.init.zeros_(layer.bias)


def parameter_count(network: nn.Module) -> int:
    """Numbers that are learned."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def _unit(convolution: nn.Module, features: int) -> list[nn.Module]:
    return [convolution, nn.BatchNorm2d(features), nn.ReLU(inplace=True)]
