"""A model and a folder of patients to tables of how well it does, on patients that it has not learned from."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ..delayed_pet.shipped import model_named
from ..errors import InputError
from ..learned_dose.shipped import LEARNED_METHODS, model_of
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
    model: Path | Sequence[Path],
    data: Path,
    output: Path,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    shifts: bool = False,
    shift_data: Sequence[Path] = (),
    monte_carlo_histories: int = 0,
    realisations: int = 0,
    validation: Path | None = None,
    combined: Path | None = None,
    inception: Path | None = None,
) -> Evaluation:
    """Judge models on a data set as `radiodosimetry simulate` writes it.

    Patients that a model learned from, or that derive from such patients, are left out with a warning.

    Parameters
    ----------
    model
        Its `.safetensors` or `.json`, or the name of one that comes with RadioDosimetry; several of dose are judged
        together, those that differ in their seed as an ensemble.
    data
        Folder of the data set, with its `manifest.json`.
    output
        Folder for tables and figures, made if absent.
    device
        "cpu", "cuda" or "cuda:N".
    progress
        Told how much is done.
    shifts, monte_carlo_histories, realisations
        As `learned_dose.evaluation.EvaluationOptions`.
    shift_data
        Folders of further data sets that stand beside, such as patients of another anatomy; named after the folders.
    validation
        The data that the models were trained with, whose validation patients calibrate the uncertainty.
    combined
        Where the ensemble is written as one model.
    inception
        Inception v3 as TorchScript, for the FID of delayed PET.

    Returns
    -------
    Evaluation
        Numbers against the truth and against the methods without a network.

    Raises
    ------
    InputError
        Models or data cannot be used, or the models have learned from all patients of the data.
    OutputError, DeviceError, CancelledError
        As their names say.
    """
    models = [model_file(one) for one in ([model] if isinstance(model, str | Path) else model)]
    cards = {path: read_card(path) for path in models}
    torch_module()
    from ..virtual_patients.dataset import read_dataset

    dataset = unseen_patients(read_dataset(Path(data)), cards)
    if any(card.kind == "delayed-pet" for card in cards.values()):
        if len(models) > 1 or shifts or shift_data or monte_carlo_histories or realisations or validation or combined:
            raise InputError("A model of kind delayed-pet is judged alone and as it is; leave the other options out.")
        with output_folder(Path(output)):
            from ..delayed_pet.evaluation import evaluate_delayed_pet

            return evaluate_delayed_pet(
                models[0], dataset, output, inception=inception, device=device, progress=progress
            )
    if inception is not None:
        raise InputError("A FID is of images: give a model of delayed PET, or leave --inception out.")
    more: dict[str, Any] = {}
    if shifts or monte_carlo_histories or realisations:
        from ..learned_dose.judge import EvaluationOptions

        more["options"] = EvaluationOptions(shifts, monte_carlo_histories, realisations)
    if shift_data:
        more["beside"] = {
            Path(one).resolve().name: unseen_patients(read_dataset(Path(one)), cards) for one in shift_data
        }
    if validation is not None:
        more["validation"] = read_dataset(Path(validation))
    if combined is not None:
        more["combined"] = Path(combined)
    with output_folder(Path(output)):
        from ..learned_dose.evaluation import evaluate_dose_model

        judged = models[0] if len(models) == 1 else models
        return evaluate_dose_model(judged, dataset, output, device=device, progress=progress, **more)


def model_file(model: str | Path) -> Path:
    """A model by its file, or one that comes with RadioDosimetry by its name: of delayed PET, or a learned method of
    dose.

    Raises
    ------
    InputError
        There is no such model.
    """
    if str(model) in LEARNED_METHODS and not Path(model).exists():
        return model_of(str(model))
    return model_named(model)


def unseen_patients(dataset: Dataset, cards: Mapping[Path, ModelCard]) -> Dataset:
    """The data set without the patients that a model learned from or was chosen by, nor their derivatives.

    Raises
    ------
    InputError
        Nobody is left.
    """
    seen = set().union(*map(training_sources, cards.values()))
    left = tuple(patient for patient in dataset.patients if patient.source not in seen)
    if not left:
        which = ", ".join(str(weights_path(path)) for path in cards)
        files = ", ".join(card_path(path).name for path in cards)
        raise InputError(
            f"The model {which} has learned from all {len(dataset.patients)} patients of the data (see {files}); give "
            "patients that it has not seen, or train with --fold to hold some out."
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
    named = list(split.get("training_sources") or ()) if isinstance(split, dict) else []
    named += card.training.get("training_sources") or ()  # of delayed PET, with those of the tissue networks
    return {str(source) for source in named or card.training.get("sources") or ()}
