"""A model and a folder of patients to tables of how well it does, on patients that it has not learned from."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from ..learning.model_files import ModelCard, card_path, read_card, weights_path
from ..learning.torch_import import torch_module
from ..progress import Progress
from .output_folder import output_folder

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset

_LOG = logging.getLogger(__name__)


class Evaluation(Protocol):
    """What judging a model came to; its tables and figures are in the output folder."""

    def as_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready."""


def evaluate_model(
    model: Path, data: Path, output: Path, *, device: str = "cpu", progress: Progress | None = None
) -> Evaluation:
    """Judge a model on a data set as `radiodosimetry simulate` writes it.

    Patients that the model learned from, or that derive from such patients, are left out with a warning.

    Parameters
    ----------
    model
        Its `.safetensors` or `.json`.
    data
        Folder of the data set, with its `manifest.json`.
    output
        Folder for tables and figures, made if absent.
    device
        "cpu", "cuda" or "cuda:N".
    progress
        Told how much is done.

    Returns
    -------
    Evaluation
        Numbers against the truth and against the methods without a network.

    Raises
    ------
    InputError
        Model or data cannot be used, or the model has learned from all patients of the data.
    OutputError, DeviceError, CancelledError
        As their names say.
    """
    card = read_card(model)
    torch_module()
    from ..virtual_patients.dataset import read_dataset

    dataset = unseen_patients(read_dataset(Path(data)), card, model)
    with output_folder(Path(output)):
        if card.kind == "delayed-pet":
            from ..delayed_pet.evaluation import evaluate_delayed_pet

            return evaluate_delayed_pet(model, dataset, output, device=device, progress=progress)
        from ..learned_dose.evaluation import evaluate_dose_model

        return evaluate_dose_model(model, dataset, output, device=device, progress=progress)


def unseen_patients(dataset: Dataset, card: ModelCard, model: Path) -> Dataset:
    """The data set without the patients that a model learned from or was chosen by, nor their derivatives.

    Raises
    ------
    InputError
        Nobody is left.
    """
    seen = training_sources(card)
    left = tuple(patient for patient in dataset.patients if patient.source not in seen)
    if not left:
        raise InputError(
            f"The model {weights_path(model)} has learned from all {len(dataset.patients)} patients of the data (see "
            f"{card_path(model).name}); give patients that it has not seen, or train with --fold to hold some out."
        )
    if len(left) == len(dataset.patients):
        return dataset
    names = [patient.id for patient in dataset.patients if patient.source in seen]
    _LOG.warning("The model has learned from %d of %d patients; left out: %s.", len(names),
                 len(dataset.patients), ", ".join(names))  # fmt: skip
    return dataclasses.replace(dataset, patients=left)


def training_sources(card: ModelCard) -> set[str]:
    """Sources of the patients that a model learned from or was chosen by, as its card names them."""
    split = card.training.get("split")
    named = split.get("training_sources") if isinstance(split, dict) else None
    return {str(source) for source in named or card.training.get("sources") or ()}
