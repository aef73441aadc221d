"""The network of the improved method: a 3-D U-Net that tells from early scan and CT which tissue lies where.

What one early scan tells of the later ones is which tissue holds how much; what becomes of it there is a matter of
few numbers per tissue (`tissue_kinetics`), which are fitted rather than found by a network. The network gives, for each
voxel, how likely every tissue is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_GROUPS = 4


class _Block(nn.Module):
    """Two 3 × 3 × 3 convolutions with group normalisation, beside a short cut."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(before, after, 3, padding=1)
        self.second = nn.Conv3d(after, after, 3, padding=1)
        self.first_norm = nn.GroupNorm(_GROUPS, after)
        self.second_norm = nn.GroupNorm(_GROUPS, after)
        self.short_cut = nn.Conv3d(before, after, 1) if before != after else nn.Identity()

    def forward(self, values: Tensor) -> Tensor:
        inner = nn.functional.silu(self.first_norm(self.first(values)))
        result: Tensor = nn.functional.silu(self.second_norm(self.second(inner)) + self.short_cut(values))
        return result


class TissueNetwork(nn.Module):
    """3-D U-Net to logits of tissues.

    Parameters
    ----------
    in_channels
        Channels of the grid (`ratio_inputs.CHANNELS`).
    features
        Of the first level, a multiple of four; doubled at each of the next.
    levels
        Halvings.
    tissues
        Kinds of tissue, the first being what is not the patient.
    patch
        Voxels along each edge of the cubes that are packed into channels before the first convolution and unpacked
        after the last: 2 takes an eighth of the time and keeps the field's resolution.
    """

    def __init__(self, in_channels: int, features: int, levels: int, tissues: int, patch: int = 2) -> None:
        super().__init__()
        packed = in_channels * patch**3
        self.patch, self.levels = patch, levels
        widths = [features * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(
            _Block(before, after) for before, after in zip([packed, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _Block(low + high, high) for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.mix = nn.Conv3d(features + packed, 2 * features, 1)
        self.out = nn.Conv3d(2 * features, tissues * patch**3, 1)

    def start_from_shares(self, log_share: Tensor) -> None:
        """What no voxel has been looked at for yet is as likely as it is frequent."""
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            if self.out.bias is not None:
                self.out.bias.copy_(log_share.repeat_interleave(self.patch**3))

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits (n, tissues, k, j, i) of channels (n, in_channels, k, j, i) of any size."""
        packed = _packed(_padded(inputs, self.patch * 2**self.levels), self.patch)
        values, kept = packed, []
        for level, block in enumerate(self.down):
            values = block(values)
            if level < self.levels:
                kept.append(values)
                values = nn.functional.avg_pool3d(values, 2)
        for block in self.up:
            values = nn.functional.interpolate(values, scale_factor=2, mode="trilinear", align_corners=False)
            values = block(torch.cat((values, kept.pop()), dim=1))
        values = self.out(nn.functional.silu(self.mix(torch.cat((values, packed), dim=1))))
        k, j, i = inputs.shape[2:]
        return _unpacked(values, self.patch)[:, :, :k, :j, :i]


def _padded(inputs: Tensor, multiple: int) -> Tensor:
    """The grid continued with zeros at its ends to multiples of the halvings."""
    missing = [-size % multiple for size in inputs.shape[2:]]
    return nn.functional.pad(inputs, (0, missing[2], 0, missing[1], 0, missing[0]))


def _packed(volume: Tensor, patch: int) -> Tensor:
    """Volumes (n, c, k, j, i) with each cube of voxels as channels, (n, c · patch³, k / patch, …)."""
    n, c, k, j, i = volume.shape
    cubes = volume.reshape(n, c, k // patch, patch, j // patch, patch, i // patch, patch)
    return cubes.permute(0, 1, 3, 5, 7, 2, 4, 6).reshape(n, c * patch**3, k // patch, j // patch, i // patch)


def _unpacked(volume: Tensor, patch: int) -> Tensor:
    """The inverse of `_packed`."""
    n, c, k, j, i = volume.shape
    cubes = volume.reshape(n, c // patch**3, patch, patch, patch, k, j, i)
    return cubes.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // patch**3, k * patch, j * patch, i * patch)
