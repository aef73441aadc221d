"""A training that goes on from a model: its weights to begin with, and the patients it has seen already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..learning.model_files import ModelCard, load_model, weights_path
from ..learning.splits import Fold

if TYPE_CHECKING:
    from torch import Tensor

    from .dblurdosenet import DblurDoseNet
    from .residual_unet import ResidualUNet3D


@dataclass(frozen=True, eq=False)
class StartingModel:
    """A trained network whose weights another training begins with.

    Attributes
    ----------
    name
        Of its file.
    card
        What it is and whom it learned from.
    state
        Its weights.
    """

    name: str
    card: ModelCard
    state: Mapping[str, Tensor]

    @classmethod
    def read(cls, path: Path, kind: str) -> StartingModel:
        """From a model file.

        Raises
        ------
        FileFormatError, InputError
            As `learning.model_files.load_model`; or it is an ensemble.
        """
        card, state = load_model(path, kind)
        if int(card.architecture.get("members", 1)) > 1:
            raise InputError(f"{path} is an ensemble; start from one of the networks that it was made of.")
        return cls(weights_path(path).stem, card, state)

    def require_unseen(self, division: Fold[Any]) -> None:
        """Refuse a division in which a patient judges whom the model has learned from.

        Raises
        ------
        InputError
            A patient is held out whom the model was trained or validated with, or validates whom it was trained with.
        """
        seen, learned = _seen(self.card), _learned(self.card)
        leaks = [one.id for one in division.held_out if one.source in seen]
        leaks += [one.id for one in division.validation if one.source in learned]
        if leaks:
            raise InputError(
                f"{self.name} has learned from {', '.join(leaks)}, who would judge what is made of it; train with the "
                "split_seed and folds that it was trained with, or on other patients."
            )

    def begin(self, network: DblurDoseNet | ResidualUNet3D) -> None:
        """Give a network the weights.

        Raises
        ------
        InputError
            It has another architecture.
        """
        mine, wanted = dict(self.card.architecture), network.architecture.as_dict()
        differing = [name for name in sorted({*mine, *wanted}) if mine.get(name) != wanted.get(name)]
        if differing:
            raise InputError(
                f"{self.name} has another network than the configuration ({', '.join(differing)}); take its table "
                "[network] from its card."
            )
        network.load_state_dict(dict(self.state))

    @property
    def identity(self) -> dict[str, Any]:
        """What a resumed run must share."""
        return {"started_from": self.card.sha256}

    def on_card(self, card: ModelCard) -> ModelCard:
        """The card of what was made of it: how the model itself was trained, and its patients among those seen."""
        earlier, later = self.card.training, card.training
        seen, learned = _seen(self.card) | _seen(card), _learned(self.card) | _learned(card)
        split = {
            **(later.get("split") or {}),
            "training_sources": sorted(seen),
            "validation_sources": sorted(seen - learned),
        }
        sources = sorted({*later.get("sources", ()), *earlier.get("sources", ())})
        kept = ("seed", "loop", "loss", "sampling", "data", "started_from")
        start = {"sha256": self.card.sha256, **{name: earlier[name] for name in kept if name in earlier}}
        training = {**later, "split": split, "sources": sources, "patients": len(sources), "started_from": start}
        return replace(card, training=training)


def _seen(card: ModelCard) -> set[str]:
    """Sources of the patients that trained or validated a model."""
    split = card.training.get("split") or {}
    return set(split.get("training_sources") or card.training.get("sources") or ())


def _learned(card: ModelCard) -> set[str]:
    """Sources of those that trained it; all that it has seen where its card does not tell them apart."""
    return _seen(card) - set((card.training.get("split") or {}).get("validation_sources") or ())
