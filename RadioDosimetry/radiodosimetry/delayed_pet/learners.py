"""One step of training: the adversarial pair of the published method, and the ensemble of tissue networks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..learning.devices import seeded_torch, torch_device
from ..learning.precision import autocast
from ..learning.samples import NETWORK
from .collapse import CollapseWatch
from .losses import adversarial_loss, similarity_l1, similarity_perceptual, tissue_overlap
from .networks import Generator, PatchDiscriminator
from .ratio_inputs import CHANNELS
from .samples import channel_count
from .settings import DelayedPetSettings
from .tissue_network import TissueNetwork
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
            self.generator = Generator(channels, chosen.features, chosen.blocks)
            self.discriminator = PatchDiscriminator(channels + 1, chosen.discriminator_features)
        for network in self.networks.values():
            # Channels side by side in memory: a step takes a quarter to a third less time on the CPU.
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
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


class TissueLearner:
    """Tissue networks that take turns: each step trains one member of the ensemble, so that members see other orders.

    Parameters
    ----------
    settings
        Of the training; device, rate and seed among them.
    log_share
        Logarithm of each tissue's share of the training voxels, (tissues,).
    """

    def __init__(self, settings: DelayedPetSettings, log_share: NDArray[np.float32]) -> None:
        training, chosen = settings.training, settings.ratio
        self._settings = chosen
        device = torch_device(training.device)
        self.members: list[TissueNetwork] = []
        for number in range(chosen.members):
            with seeded_torch(training.seed, NETWORK, number):
                network = TissueNetwork(len(CHANNELS), chosen.features, chosen.levels, len(log_share), chosen.patch)
            network.start_from_shares(torch.from_numpy(log_share))
            self.members.append(network.to(device))
        self._optimisers = {
            name: torch.optim.AdamW(
                network.parameters(), lr=training.learning_rate, weight_decay=chosen.weight_decay
            )
            for name, network in self.networks.items()
        }
        self._step = 0
        self._precision = autocast(training.mixed_precision, device, self.members)

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
        """Whose turn it is."""
        return {"step": self._step}

    @state.setter
    def state(self, values: dict[str, Any]) -> None:
        if "step" in values:
            self._step = int(values["step"])

    def training_step(self, batch: Any) -> Mapping[str, float]:
        """One member learns from a batch."""
        name = f"member_{self._step % len(self.members)}"
        self._step += 1
        optimiser = self._optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        with self._precision():
            logits = self.networks[name](batch["channels"])
        values = self._losses(logits.float(), batch["tissues"])
        if bool(torch.isfinite(values["loss"])):
            values["loss"].backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return {key: float(value.detach()) for key, value in values.items()}

    def validation_step(self, batch: Any) -> Mapping[str, float]:
        """The losses of the members' mean."""
        with self._precision():
            logits = torch.stack([member(batch["channels"]).float() for member in self.members]).mean(dim=0)
        return {key: float(value) for key, value in self._losses(logits, batch["tissues"]).items()}

    def _losses(self, logits: Tensor, tissues: Tensor) -> dict[str, Tensor]:
        # Unweighted, so that the shares are probabilities: weights for rare tissues would see lesions everywhere.
        entropy = nn.functional.cross_entropy(logits, tissues)
        overlap = 1.0 - tissue_overlap(torch.softmax(logits, dim=1), tissues)
        return {"loss": entropy + self._settings.overlap_weight * overlap, "entropy": entropy, "overlap": overlap}


def _share(generated: Tensor, acquired: Tensor) -> float:
    return float(generated.sum() / torch.clamp(acquired.sum(), min=1e-6))
