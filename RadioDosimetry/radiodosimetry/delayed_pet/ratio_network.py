"""The improved network: a 3-D field of bounded positive ratios that the decayed early scan is multiplied by.

delayed = early × 2^(−Δt/T½) × exp(B tanh(u/B)), u from a 3-D U-Net on a coarse isotropic grid that sees the early
scan, the CT and the conditions (times and decay). Activity is not negative, no voxel changes by more than exp(B),
slices belong together because the field is three-dimensional, and fine structure is that of the early scan, which the
field is smooth against. Training punishes totals above what decay leaves; inference scales them down.

u has two parts. The network tells for every voxel which kind of tissue it is; for each kind a line says how its
clearance depends on its early uptake, which is all that one scan can tell of it. The lines start as fitted to the
training patients and are learned on. What they leave (spill-over, lesions that differ) is a free field from zero on.
Where the patient's regions are given, the lines are taken at them rather than at the tissues that the network sees: a
lesion that takes the tracer up later can hardly be seen on an early scan.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from .tissue_lines import TissueLines

CONDITION_COUNT = 5
"""Numbers of `samples.conditions`."""

LOGARITHM_FLOOR = 0.01
"""What the inputs' logarithms were taken with (`ratio_inputs`)."""

LARGEST_LOG_RATIO = 3.0
"""B: a voxel's decay-corrected activity falls or rises at most twentyfold."""

INITIAL_LOG_STD = math.log(0.3)
"""Where the relative uncertainty starts."""

_GROUPS = 4


class _Block(nn.Module):
    """Two 3 × 3 × 3 convolutions with group normalisation, scaled and shifted by the conditions, beside a short cut."""

    def __init__(self, before: int, after: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(before, after, 3, padding=1)
        self.second = nn.Conv3d(after, after, 3, padding=1)
        self.first_norm = nn.GroupNorm(_GROUPS, after)
        self.second_norm = nn.GroupNorm(_GROUPS, after)
        self.modulation = nn.Linear(hidden, 2 * after)
        self.short_cut = nn.Conv3d(before, after, 1) if before != after else nn.Identity()
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, values: Tensor, hidden: Tensor) -> Tensor:
        scale, shift = self.modulation(hidden)[:, :, None, None, None].chunk(2, dim=1)
        inner = nn.functional.silu(self.first_norm(self.first(values)) * (1 + scale) + shift)
        result: Tensor = nn.functional.silu(self.second_norm(self.second(inner)) + self.short_cut(values))
        return result


class RatioNetwork(nn.Module):
    """3-D U-Net to logarithms of ratios and of their relative uncertainty.

    Parameters
    ----------
    in_channels
        Channels of the coarse grid.
    features
        Of the first level, a multiple of four; doubled at each of the next.
    levels
        Halvings.
    tissues
        Kinds of tissue, the first being what is not the patient.
    targets
        Target times, each with its own lines.
    patch
        Voxels along each edge of the cubes that are packed into channels before the first convolution and unpacked
        after the last: 2 takes an eighth of the time and keeps the field's resolution.

    Notes
    -----
    Group normalisation takes the level of the input away; the means of the input channels inside the body come to the
    network as conditions instead, and a last 1 × 1 × 1 layer sees the input itself.
    """

    def __init__(
        self,
        in_channels: int = 4,
        features: int = 24,
        levels: int = 2,
        patch: int = 2,
        tissues: int = 1,
        targets: int = 1,
    ) -> None:
        super().__init__()
        hidden = 32
        self.level = nn.Parameter(torch.zeros(targets, tissues))
        self.slope = nn.Parameter(torch.zeros(targets, tissues))
        self.tissue_log_std = nn.Parameter(torch.full((targets, tissues), INITIAL_LOG_STD))
        self.centre = nn.Parameter(torch.zeros(tissues), requires_grad=False)
        packed = in_channels * patch**3
        self.patch = patch
        widths = [features * 2**level for level in range(levels + 1)]
        self.levels = levels
        self.embedding = nn.Sequential(
            nn.Linear(CONDITION_COUNT + 1 + in_channels, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        self.down = nn.ModuleList(
            _Block(before, after, hidden) for before, after in zip([packed, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _Block(low + high, high, hidden) for low, high in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.mix = nn.Conv3d(features + packed, 2 * features, 1)
        self.out = nn.Conv3d(2 * features, (2 + tissues) * patch**3, 1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def set_lines(self, lines: TissueLines) -> None:
        """Start from lines fitted to patients."""
        with torch.no_grad():
            self.level.copy_(torch.as_tensor(lines.level))
            self.slope.copy_(torch.as_tensor(lines.slope))
            self.tissue_log_std.copy_(torch.as_tensor(lines.log_std))
            self.centre.copy_(torch.as_tensor(lines.centre))
            # What no voxel has been looked at for yet is as likely as it is frequent.
            share = torch.as_tensor(lines.log_share).repeat_interleave(self.patch**3)
            bias = self.out.bias
            if bias is not None:
                bias[2 * self.patch**3 :] = share

    def forward(self, inputs: Tensor, condition: Tensor, time_weights: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Fields on the coarse grid, and the tissues' logits (n, tissues, k, j, i).

        Parameters
        ----------
        inputs
            Coarse grid (n, in_channels, k, j, i); the last channel is the body, 0 or 1. Any size.
        condition
            `samples.conditions` of each, (n, CONDITION_COUNT).
        time_weights
            Share of each target time in the time asked for, (n, targets).
        known
            1 where the patient's regions are given besides, else 0, (n,).

        Returns
        -------
        tuple of Tensor
            (n, 4, k, j, i): the lines' part of the logarithm of the ratio, its free part, the lines' part of the
            logarithm of the uncertainty, its free part; and the logits. `bounded_log_ratio` joins the first two.
        """
        padded = _padded(inputs, self.patch * 2**self.levels)
        body = padded[:, -1:]
        means = (padded * body).sum(dim=(2, 3, 4)) / body.sum(dim=(2, 3, 4)).clamp(min=1.0)
        hidden = self.embedding(torch.cat((condition, known[:, None], means), dim=1))
        packed = _packed(padded, self.patch)
        values, kept = packed, []
        for level, block in enumerate(self.down):
            values = block(values, hidden)
            if level < self.levels:
                kept.append(values)
                values = nn.functional.avg_pool3d(values, 2)
        for block in self.up:
            values = nn.functional.interpolate(values, scale_factor=2, mode="trilinear", align_corners=False)
            values = block(torch.cat((values, kept.pop()), dim=1), hidden)
        values = self.out(nn.functional.silu(self.mix(torch.cat((values, packed), dim=1))))
        values = _unpacked(values, self.patch)
        k, j, i = inputs.shape[2:]
        values = values[:, :, :k, :j, :i]
        logits = values[:, 2:]
        line, log_std = self._by_tissue(inputs, logits, time_weights)
        return torch.stack((line, values[:, 0], log_std, torch.tanh(values[:, 1])), dim=1), logits

    def at_regions(
        self, early: Tensor, labels: Tensor, tissues: Tensor, time_weights: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The lines of given regions: parts of the logarithms of the ratio and of its uncertainty, each like `early`.

        Parameters
        ----------
        early
            Early scan of one patient, (k, j, i).
        labels
            Its regions, whole numbers; 0 is none.
        tissues
            Tissue of each label, (labels,); that of 0 is 0.
        time_weights
            Of the time asked for, (targets,).
        """
        flat = labels.reshape(-1)
        sums = torch.zeros(len(tissues), dtype=early.dtype, device=early.device).index_add(0, flat, early.reshape(-1))
        counts = torch.bincount(flat, minlength=len(tissues)).to(early.dtype)
        body = sums[1:].sum() / counts[1:].sum().clamp(min=1.0)
        relative = sums / counts.clamp(min=1.0) / body.clamp(min=1e-9)
        excess = torch.log(relative.clamp(min=LOGARITHM_FLOOR)) - self.centre[tissues]
        excess = torch.where(tissues > 0, excess, torch.zeros_like(excess))
        value = (time_weights @ self.level)[tissues] + (time_weights @ self.slope)[tissues] * excess
        return value[labels], (time_weights @ self.tissue_log_std)[tissues][labels]

    def _by_tissue(self, inputs: Tensor, logits: Tensor, time_weights: Tensor) -> tuple[Tensor, Tensor]:
        """The lines' part of the logarithm of the ratio and of its uncertainty, each (n, k, j, i)."""
        share = torch.softmax(logits, dim=1)
        uptake = torch.clamp(10.0 ** inputs[:, 1:2] - LOGARITHM_FLOOR, min=LOGARITHM_FLOOR)
        mean = (share * uptake).sum(dim=(2, 3, 4)) / share.sum(dim=(2, 3, 4)).clamp(min=1e-3)
        excess = torch.log(mean.clamp(min=LOGARITHM_FLOOR)) - self.centre
        value = time_weights @ self.level + (time_weights @ self.slope) * excess
        spread_of = time_weights @ self.tissue_log_std
        return (share * value[:, :, None, None, None]).sum(1), (share * spread_of[:, :, None, None, None]).sum(1)


def bounded_log_ratio(line: Tensor, free: Tensor) -> Tensor:
    """Logarithm of the ratio from its two parts, softly held within `LARGEST_LOG_RATIO`."""
    return LARGEST_LOG_RATIO * torch.tanh((line + free) / LARGEST_LOG_RATIO)


def spread(field: Tensor, weights: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """A coarse field (n, k, j, i) on a finer grid of parallel axes by linear interpolation.

    `weights` are matrices (fine, coarse) of the three axes in the order k, j, i.
    """
    along_k, along_j, along_i = weights
    field = torch.einsum("ab,nbcd->nacd", along_k, field)
    field = torch.einsum("ab,ncbd->ncad", along_j, field)
    return torch.einsum("ab,ncdb->ncda", along_i, field)


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
