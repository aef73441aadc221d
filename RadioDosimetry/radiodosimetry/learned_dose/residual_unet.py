"""The residual 3-D U-Net of Kim et al. 2022, and what may be put at its end instead of a plain sum.

The published network adds its output to the multiple-VSV dose. Dose is linear in activity and the error of
multiple-VSV lies where the density changes within an electron's reach, so further heads say more of the physics
and less of the training set:

- `scale`: base × (1 + output); no dose where the base has none, whatever the level of activity nearby.
- `log-ratio`: base × exp(output); never negative.
- `kernel`: the network sees the density alone and gives for every voxel the share of its neighbours' electron energy
  that the base put there too little, and a factor for the rest: base × (1 + output) + Σ output × neighbour's
  energy / ρ. The result is exactly linear in the activity, so that one anatomy teaches every distribution in it.
- `transport`: as `kernel`, with a factor of its own for the photons' part of the base, since the two parts err for
  different reasons: electrons by what lies within a voxel or two, photons by using the kernel of one medium for the
  whole way from source to target. Whatever the activity, its scale changes nothing if the inputs do not hold it.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from .architectures import UNetArchitecture
from .heads import soft_exponential
from .initialisation import initialise

SHARE_UNIT = 0.05
"""`kernel`: shares of energy are the output times this. They meet energies of ten or more in hot voxels, so that steps
of the size that suits the other heads would overshoot."""

PHOTON_UNIT = 0.2
"""`transport`: the change of the photons' part is the output times this. Multiple-VSV is about a fifth low in bone."""


class _DoubleConvolution(nn.Sequential):
    """Two 3×3×3 convolutions, each with its ReLU, with batch normalisation in between on request."""

    def __init__(self, incoming: int, outgoing: int, norm: bool) -> None:
        layers: list[nn.Module] = []
        for number in (incoming, outgoing):
            layers.append(nn.Conv3d(number, outgoing, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm3d(outgoing))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


class _Up(nn.Module):
    """Twice the resolution, one convolution, the encoder's features beside it, two convolutions."""

    def __init__(self, incoming: int, outgoing: int, norm: bool) -> None:
        super().__init__()
        self.widen = nn.Upsample(scale_factor=2, mode="nearest")
        single: list[nn.Module] = [nn.Conv3d(incoming, outgoing, 3, padding=1)]
        self.one = nn.Sequential(*single, *([nn.BatchNorm3d(outgoing)] if norm else []), nn.ReLU(inplace=True))
        self.pair = _DoubleConvolution(2 * outgoing, outgoing, norm)

    def forward(self, deep: Tensor, skipped: Tensor) -> Tensor:
        """Features (n, c, k, j, i) of the level above."""
        features: Tensor = self.pair(torch.cat([skipped, self.one(self.widen(deep))], dim=1))
        return features


class ResidualUNet3D(nn.Module):
    """3-D U-Net whose output corrects a base dose (Kim et al. 2022).

    Parameters
    ----------
    architecture
        Its shape; published by default.
    seed
        Of the initial weights.

    References
    ----------
    .. [1] Kim et al., Voxel-based internal dosimetry for Lu-177-labeled radiopharmaceutical therapy using deep
       residual learning, Nucl Med Mol Imaging (2022).
    .. [2] Çiçek et al., 3D U-Net, arXiv:1606.06650 (2016).
    """

    def __init__(self, architecture: UNetArchitecture | None = None, seed: int = 0) -> None:
        super().__init__()
        self.architecture = architecture or UNetArchitecture()
        widths = [self.architecture.features * 2**level for level in range(self.architecture.levels)]
        incoming = [len(self.architecture.inputs), *widths[:-1]]
        self.down = nn.ModuleList(
            _DoubleConvolution(before, after, norm=True) for before, after in zip(incoming, widths, strict=True)
        )
        self.pool = nn.MaxPool3d(2)
        self.up = nn.ModuleList(
            _Up(deep, shallow, self.architecture.decoder_norm)
            for deep, shallow in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.last = nn.Conv3d(widths[0], self.architecture.outputs, 1)
        initialise(self, seed, self.last)

    def forward(
        self, inputs: Tensor, base: Tensor, energy: Tensor, density: Tensor, photon: Tensor | None = None
    ) -> Tensor:
        """Corrected dose in the unit of the base.

        Parameters
        ----------
        inputs
            Channels (n, c, k, j, i), as `unet_dose.UNetDose` makes them; sides are multiples of `divisor`.
        base
            Base dose (n, 1, k, j, i).
        energy
            Electron energy per millilitre in the unit of the base times g/cm³, same shape; used by `kernel` and
            `transport`.
        density
            Mass density [g/cm³], same shape, at least that of air; used by both as well.
        photon
            The photons' part of the base, same shape; `transport` needs it.

        Returns
        -------
        Tensor
            Dose (n, 1, k, j, i). All heads but `log-ratio` and `transport` may fall below zero; `transport` never
            falls below what its photons give, whatever electrons it moves away.
        """
        return self.combine(self.correction(inputs), base, energy, density, photon)

    def correction(self, inputs: Tensor) -> Tensor:
        """Output of the last convolution, (n, outputs, k, j, i)."""
        skipped: list[Tensor] = []
        features = inputs
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else self.pool(features))
            skipped.append(features)
        for block, beside in zip(self.up, skipped[-2::-1], strict=True):
            features = block(features, beside)
        output: Tensor = self.last(features)
        return output

    def combine(
        self, output: Tensor, base: Tensor, energy: Tensor, density: Tensor, photon: Tensor | None = None
    ) -> Tensor:
        """Dose of output and base by the head."""
        head = self.architecture.head
        if head == "add":
            return base + output
        if head == "scale":
            return base * (1.0 + output)
        if head == "log-ratio":
            return base * soft_exponential(output)
        if head == "transport":
            assert photon is not None, "the head 'transport' takes the photons' part of the base"
            moved = self._moved_energy(SHARE_UNIT * output[:, 2:], energy) / density
            electrons = (1.0 + SHARE_UNIT * output[:, :1]) * (base - photon) + moved
            return torch.relu((1.0 + PHOTON_UNIT * output[:, 1:2]) * photon) + torch.relu(electrons)
        moved = self._moved_energy(SHARE_UNIT * output[:, 1:], energy) / density
        return base + SHARE_UNIT * output[:, :1] * base + moved

    def _moved_energy(self, shares: Tensor, energy: Tensor) -> Tensor:
        """Sum over the neighbours of share times energy, (n, 1, k, j, i); there is none beyond the border."""
        reach = self.architecture.neighbours
        size = energy.shape[2:]
        padded = nn.functional.pad(energy, (reach,) * 6)
        total = torch.zeros_like(energy)
        for number, (k, j, i) in enumerate(itertools.product(range(2 * reach + 1), repeat=3)):
            neighbour = padded[:, :, k : k + size[0], j : j + size[1], i : i + size[2]]
            total = total + shares[:, number : number + 1] * neighbour
        return total
