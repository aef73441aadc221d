"""One step of training: the adversarial pair of the published method, and the ensemble of ratio networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..learning.devices import seeded_torch, torch_device
from ..learning.precision import autocast
from ..learning.samples import NETWORK
from .collapse import CollapseWatch
from .losses import adversarial_loss, organ_losses, similarity_l1, similarity_perceptual
from .networks import Generator, PatchDiscriminator
from .ratio_inputs import CHANNELS
from .ratio_network import RatioNetwork, bounded_log_ratio, spread
from .samples import channel_count
from .settings import DelayedPetSettings
from .tissue_lines import TissueLines
from .vgg import Vgg19Features

ADAM_BETAS = (0.5, 0.999)
"""Of DCGAN and pix2pix, for adversarial training."""


class GanLearner:
    """Generator against discriminator with least squares, and a similarity that holds the image to its pair.

    Parameters
    ----------
    settings
        Of the training; device, rate and seed among them.
    """

    def __init__(self, settings: DelayedPetSettings) -> None:
        chosen, training = settings.pix2pix, settings.training
        device = torch_device(training.device)
        channels = channel_count(settings.images, chosen)
        with seeded_torch(training.seed, NETWORK):
            self.generator = Generator(channels, chosen.features, chosen.blocks).to(device)
            self.discriminator = PatchDiscriminator(channels + 1, chosen.discriminator_features).to(device)
        self._settings = chosen
        self._optimisers = {
            name: torch.optim.Adam(network.parameters(), lr=training.learning_rate, betas=ADAM_BETAS)
            for name, network in self.networks.items()
        }
        self._vgg: Vgg19Features | None = None
        if chosen.similarity == "perceptual":
            self._vgg = Vgg19Features(Path(chosen.vgg_weights)).to(device)
        self._watch = CollapseWatch()
        self._precision = autocast(training.mixed_precision, device, self.networks.values())

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """Both networks."""
        return {"generator": self.generator, "discriminator": self.discriminator}

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One for each network."""
        return self._optimisers

    @property
    def state(self) -> dict[str, Any]:
        """What the collapse watch has seen."""
        return {"watch": self._watch.state_dict()}

    @state.setter
    def state(self, values: dict[str, Any]) -> None:
        if "watch" in values:
            self._watch.load_state_dict(values["watch"])

    def training_step(self, batch: Any) -> Mapping[str, float]:
        """First the discriminator on acquired and generated slices, then the generator against it."""
        early, acquired = batch["early"], batch["delayed"]
        with self._precision():
            generated = self.generator(early)
            real = self.discriminator(early, acquired)
            fake = self.discriminator(early, generated.detach())
            judged = 0.5 * (adversarial_loss(real, True) + adversarial_loss(fake, False))
        self._take("discriminator", judged)
        with self._precision():
            adversarial = adversarial_loss(self.discriminator(early, generated), True)
            similarity = self._similarity(generated, acquired)
            loss = self._settings.adversarial_weight * adversarial + self._settings.similarity_weight * similarity
        self._take("generator", loss)
        numbers = torch.cat((real.detach().flatten(), fake.detach().flatten())).float()
        self._watch.observe(float(generated.detach().mean()), float(acquired.mean()), float(numbers.std()))
        return {
            "loss": float(loss.detach()),
            "adversarial": float(adversarial.detach()),
            "similarity": float(similarity.detach()),
            "discriminator": float(judged.detach()),
        }

    def validation_step(self, batch: Any) -> Mapping[str, float]:
        """Mean absolute difference of the slices, the published similarity whatever the training minimises."""
        with self._precision():
            generated = self.generator(batch["early"])
        difference = similarity_l1(generated.float(), batch["delayed"])
        return {"loss": float(difference), "share_of_activity": _share(generated, batch["delayed"])}

    def _similarity(self, generated: Tensor, acquired: Tensor) -> Tensor:
        if self._vgg is None:
            return similarity_l1(generated, acquired)
        return similarity_perceptual(generated, acquired, self._vgg)

    def _take(self, name: str, loss: Tensor) -> None:
        optimiser = self._optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        if bool(torch.isfinite(loss)):
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()


class RatioLearner:
    """Ratio networks that take turns: each step trains one member of the ensemble, so that members see other orders.

    Parameters
    ----------
    settings
        Of the training; device, rate and seed among them.
    lines
        Of the tissues, as fitted to the training patients.
    """

    def __init__(self, settings: DelayedPetSettings, lines: TissueLines) -> None:
        training, chosen = settings.training, settings.ratio
        self._settings = chosen
        device = torch_device(training.device)
        self.members: list[RatioNetwork] = []
        for number in range(self._settings.members):
            with seeded_torch(training.seed, NETWORK, number):
                network = RatioNetwork(
                    len(CHANNELS), chosen.features, chosen.levels, chosen.patch, len(lines.tissues), len(lines.level)
                )
            network.set_lines(lines)
            self.members.append(network.to(device))
        self._optimisers = {
            name: torch.optim.AdamW(
                network.parameters(), lr=training.learning_rate, weight_decay=chosen.weight_decay
            )
            for name, network in self.networks.items()
        }
        self._watch = CollapseWatch()
        self._step = 0

    @property
    def networks(self) -> Mapping[str, nn.Module]:
        """The members."""
        return {f"member_{number}": member for number, member in enumerate(self.members)}

    @property
    def optimisers(self) -> Mapping[str, torch.optim.Optimizer]:
        """One for each member."""
        return self._optimisers

    @property
    def state(self) -> dict[str, Any]:
        """Whose turn it is, and what the collapse watch has seen."""
        return {"step": self._step, "watch": self._watch.state_dict()}

    @state.setter
    def state(self, values: dict[str, Any]) -> None:
        if "step" in values:
            self._step = int(values["step"])
            self._watch.load_state_dict(values["watch"])

    def training_step(self, batch: Any) -> Mapping[str, float]:
        """One member learns from a batch."""
        name = f"member_{self._step % len(self.members)}"
        self._step += 1
        optimiser = self._optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        delayed, log_std, logits = delayed_of([self.networks[name]], batch)
        values = self._losses(delayed, log_std, logits, batch)
        if bool(torch.isfinite(values["loss"])):
            values["loss"].backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        self._watch.observe(float(delayed.detach().mean()), float(batch["delayed"].mean()))
        return {key: float(value.detach()) for key, value in values.items()}

    def validation_step(self, batch: Any) -> Mapping[str, float]:
        """The losses of the ensemble's mean."""
        delayed, log_std, logits = delayed_of(self.members, batch)
        values = self._losses(delayed, log_std, logits, batch)
        return {key: float(value) for key, value in values.items()}

    def _losses(self, delayed: Tensor, log_std: Tensor, logits: Tensor, batch: Any) -> dict[str, Tensor]:
        organs, voxels, likelihoods = [], [], []
        # Scaling down here would hide from the networks that all of it is too much; the excess is a loss of its own.
        total = delayed.sum(dim=(1, 2, 3))
        excess = torch.relu(torch.log(total.clamp(min=1e-6) / batch["largest_total"])).mean()
        for number in range(delayed.shape[0]):
            wanted, labels = batch["delayed"][number], batch["labels"][number].long()
            count = int(batch["region_count"][number])
            organ, likelihood = organ_losses(delayed[number], log_std[number], wanted, labels, count)
            organs.append(organ)
            likelihoods.append(likelihood)
            inside = labels > 0
            scale = torch.clamp(wanted[inside].mean(), min=1e-6)
            voxels.append(torch.mean(torch.abs(delayed[number][inside] - wanted[inside])) / scale)
        organ, voxel, stated = (torch.stack(parts).mean() for parts in (organs, voxels, likelihoods))
        tissues = _turned(batch["tissues"].float()[:, None], batch["there"], "nearest")[:, 0].long()
        # Unweighted, so that the shares are probabilities: weights for rare tissues would see lesions everywhere.
        tissue = nn.functional.cross_entropy(logits, tissues)
        chosen = self._settings
        judged = chosen.organ_weight * organ + chosen.voxel_weight * voxel + excess
        loss = judged + chosen.tissue_weight * tissue + chosen.uncertainty_weight * stated
        return {
            "loss": loss, "judged": judged, "organ": organ, "voxel": voxel, "tissue": tissue, "uncertainty": stated
        }  # fmt: skip


def delayed_of(members: list[Any], batch: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Normalised delayed images (n, k, j, i) and logarithms of their relative uncertainty on the scan's grid, and the
    mean logits of the tissues on the coarse grid as it was turned. The totals are not yet bounded by what decay leaves.

    The ratio of several members is the geometric mean of theirs; their spread is added to the variance they state.
    """
    there, back, known = batch["there"], batch["back"], batch["known"]
    turned = _turned(batch["channels"], there)
    weights = batch["weights_k"][0], batch["weights_j"][0], batch["weights_i"][0]
    ratios, variances, logits = [], [], []
    for member in members:
        fields, tissues = member(turned, batch["condition"], batch["time_weights"], known)
        logits.append(tissues)
        line, free, line_std, free_std = (spread(one, weights) for one in _turned(fields, back).unbind(dim=1))
        for number in torch.nonzero(known).flatten().tolist():
            at = member.at_regions(
                batch["early"][number],
                batch["labels"][number].long(),
                batch["region_tissues"][number].long(),
                batch["time_weights"][number],
            )
            line, line_std = _replaced(line, number, at[0]), _replaced(line_std, number, at[1])
        ratios.append(bounded_log_ratio(line, free))
        variances.append(torch.exp(2.0 * (line_std + free_std)))
    log_ratio = torch.stack(ratios).mean(dim=0)
    variance = torch.stack(variances).mean(dim=0)
    if len(members) > 1:
        variance = variance + torch.stack(ratios).var(dim=0)
    return batch["early"] * torch.exp(log_ratio), 0.5 * torch.log(variance), torch.stack(logits).mean(dim=0)


def _replaced(values: Tensor, number: int, one: Tensor) -> Tensor:
    """A batch with one of its members replaced."""
    return torch.cat((values[:number], one[None], values[number + 1 :]))


def _turned(volume: Tensor, matrices: Tensor, mode: str = "bilinear") -> Tensor:
    """Volumes (n, c, k, j, i) turned and magnified within their slices; beyond the edge its value goes on."""
    identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=volume.device)
    if torch.equal(matrices, identity.expand_as(matrices)):
        return volume
    count, channels, slices, rows, columns = volume.shape
    flat = volume.reshape(count, channels * slices, rows, columns)
    # Places are told in halves of the sides; a rotation in a slice that is not square needs them in voxels.
    ratio = torch.tensor(rows / columns, device=volume.device)
    squared = matrices.clone()
    squared[:, 0, 1] = matrices[:, 0, 1] * ratio
    squared[:, 1, 0] = matrices[:, 1, 0] / ratio
    grid = nn.functional.affine_grid(squared, [count, channels * slices, rows, columns], align_corners=False)
    sampled = nn.functional.grid_sample(flat, grid, mode=mode, padding_mode="border", align_corners=False)
    return sampled.reshape(volume.shape)


def _share(generated: Tensor, acquired: Tensor) -> float:
    return float(generated.sum() / torch.clamp(acquired.sum(), min=1e-6))
