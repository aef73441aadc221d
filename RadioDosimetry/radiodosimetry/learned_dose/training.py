"""Training of the two learned dose methods: from a dataset folder to a model file with its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..learning.configuration import config_text, read_config
from ..learning.learners import SupervisedLearner
from ..learning.model_files import ModelCard, save_model
from ..learning.samples import SampleSource
from ..learning.splits import Fold, fold_of
from ..learning.training import TrainingResult, train
from ..progress import PartialProgress, Progress
from . import dblur_dose, unet_dose
from .bases import base_settings
from .contenders import NETWORK, Contender, calibration_on
from .dataset_patients import BASES, stream_patients
from .dblurdosenet import DblurDoseNet
from .declared import RECONSTRUCTED, TRUE_ACTIVITY
from .dose_model import DoseModel, DoseNetwork
from .figures import error_maps_png
from .losses import dose_loss
from .measures import PatientMeasure, RegionMeasure, measure_patient, measure_regions
from .patients import DosePatient, common_spacing_mm
from .residual_unet import ResidualUNet3D
from .samples import WITHOUT_INPUT, SliceSamples, UNetSamples, lesions_of
from .shipped import KINDS
from .starting_model import StartingModel
from .training_config import DblurTrainingConfig, UNetTrainingConfig
from .training_patients import further_patients

if TYPE_CHECKING:
    from ..virtual_patients.dataset import Dataset

MODEL_NAME = "model"
"""Name of the model that a run ends in, without suffix."""

CACHE_NAME = "base-doses"
"""Folder beside the run where base doses are kept; runs of other folds and seeds share it."""

ERROR_MAPS = "error_maps.png"

SPACING_TOLERANCE = 0.1
"""Voxels may be this much larger or smaller than those of the training before images are resampled."""

Config = UNetTrainingConfig | DblurTrainingConfig


@dataclass(frozen=True, eq=False)
class TrainedDose:
    """What a training gives.

    Attributes
    ----------
    model
        The network with its card, ready to use.
    state
        Its weights.
    result
        What the loop says.
    """

    model: DoseModel
    state: Mapping[str, Tensor]
    result: TrainingResult


def train_dose_network(
    kind: str,
    dataset: Dataset,
    config: Path | None,
    output: Path,
    *,
    start: Path | None = None,
    resume: bool = False,
    device: str = "cpu",
    fold: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train a network on a dataset.

    Parameters
    ----------
    kind
        "unet" or "dblurdosenet".
    dataset
        Virtual patients with Monte Carlo doses.
    config
        TOML of a `UNetTrainingConfig` or `DblurTrainingConfig`; None: the published settings.
    output
        Folder of the run; base doses are kept in `CACHE_NAME` beside it.
    start
        Model of the same network whose weights to begin with; None: initial ones of the seed.
    resume
        Whether to go on with the run in `output`.
    device
        "cpu", "cuda" or "cuda:N".
    fold
        (number, K): hold out fold `number` of K by patient. None: all patients train or validate.
    progress
        Told the share of the work done.

    Returns
    -------
    Path
        The model's weights; the card lies beside them.

    Raises
    ------
    InputError
        Configuration, dataset or split cannot be used, or the folder holds another run.
    RadioDosimetryError
        As `learning.training.train`.
    """
    if kind not in KINDS:
        raise InputError(f"The network '{kind}' is unknown; expected one of {', '.join(KINDS)}.")
    settings = _settings(kind, config, device)
    division = fold_of(dataset.patients, fold, settings.split_seed, settings.validation_fraction)
    model = None if start is None else StartingModel.read(start, KINDS[kind])
    if model is not None:
        model.require_unseen(division)
    folders = (*division.training, *division.validation, *division.held_out)
    cache = Path(output).parent / CACHE_NAME
    seen = stream_patients(
        dataset, folders, KINDS[kind], with_photons=settings.network.needs_photons, cache=cache,
        progress=PartialProgress(progress, 0.0, 0.07),
    )  # fmt: skip
    patients = list(seen)
    learning = len(division.training)
    every = settings.loss.region_weight > 0
    training = [  # what only judges need is let go
        replace(patient, regions=patient.regions if every else lesions_of(patient), noise_kji=None)
        for patient in patients[:learning]
    ]
    validation = patients[learning : learning + len(division.validation)]
    held_out = patients[learning + len(validation) :]
    del patients
    training += further_patients(
        dataset, division.training, training, settings, cache=cache, progress=PartialProgress(progress, 0.07, 0.1)
    )
    trained = train_on_patients(
        training, validation, settings, Path(output), start=model, resume=resume,
        identity=_identity(dataset, division), progress=PartialProgress(progress, 0.1, 0.95),
    )  # fmt: skip
    judged = held_out or validation
    card = with_metrics(trained.model, judged, "held out" if held_out else "validation", settings.training.device)
    stated = calibration_on(validation, Contender(NETWORK, (trained.model,)), settings.training.device)
    calibration = {} if stated is None else {"calibration": stated.as_dict()}
    card = replace(card, training={**card.training, **calibration, "split": division.as_dict(), "data": _data(dataset)})
    card = card if model is None else model.on_card(card)
    (Path(output) / ERROR_MAPS).write_bytes(error_maps_png(judged[0], *_doses(trained.model, judged[0], device)))
    return save_model(Path(output) / MODEL_NAME, trained.state, card)


def train_on_patients(
    training: Sequence[DosePatient],
    validation: Sequence[DosePatient],
    config: Config,
    run: Path,
    *,
    start: StartingModel | None = None,
    resume: bool = False,
    identity: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> TrainedDose:
    """Train a network on patients in memory; the kind follows from the type of `config`.

    Parameters
    ----------
    training, validation
        Patients to learn from, and those that say when to stop; none of one may derive from one of the other.
    config
        Settings.
    run
        Folder of the run (`learning.training.train`).
    start
        Whose weights the network begins with.
    resume, progress
        As `train_dose_network`.
    identity
        What a resumed run must share besides its settings.

    Returns
    -------
    TrainedDose
        The network of the best epoch.
    """
    seed = config.training.seed
    network: DoseNetwork
    sources: list[SampleSource] = []
    if isinstance(config, UNetTrainingConfig):
        network = ResidualUNet3D(config.network, seed)
        for patients in (training, validation):
            sources.append(
                UNetSamples(patients, config.network, config.sampling, config.loss, training=patients is training)
            )
    else:
        network = DblurDoseNet(config.network, seed)
        for patients in (training, validation):
            sources.append(
                SliceSamples(patients, config.network, config.sampling, config.loss, training=patients is training)
            )
    if start is not None:
        start.begin(network)
    result = train(
        SupervisedLearner(network, _losses(config), config.training),
        sources[0],
        sources[1],
        config.training,
        run,
        resume=resume,
        identity={
            "network": config.network.as_dict(),
            "loss": vars(config.loss),
            "sampling": vars(config.sampling),
            **(identity or {}),
            **({} if start is None else start.identity),
        },  # fmt: skip
        configuration=config_text(config),
        progress=progress,
        time_limit_s=60.0 * config.time_limit_minutes or None,
    )
    state = result.weights["network"]
    network.load_state_dict(dict(state))
    card = _card(config, [*training, *validation], result)
    return TrainedDose(DoseModel(card, (network.eval(),), run.name), state, result)


def with_metrics(model: DoseModel, patients: Sequence[DosePatient], what: str, device: str = "cpu") -> ModelCard:
    """The card with errors of model and base on patients it did not learn from."""
    measures: list[PatientMeasure] = []
    regions: list[RegionMeasure] = []
    for patient in patients:
        base, dose = _doses(model, patient, device)
        for method, values in (("base", base), ("network", dose)):
            measures.append(measure_patient(patient, method, values))
            regions += measure_regions(patient, method, values)
    return replace(model.card, training={**model.card.training, "metrics": _summary(measures, regions, what)})


def _summary(measures: Sequence[PatientMeasure], regions: Sequence[RegionMeasure], what: str) -> dict[str, Any]:
    """Means over patients for base and network."""
    summary: dict[str, Any] = {"patients": what, "count": len({measure.patient for measure in measures})}
    for method in ("base", "network"):
        own = [measure for measure in measures if measure.method == method]
        summary[method] = {
            "edge_rmse_gy": float(np.mean([measure.edge_rmse_gy for measure in own])),
            "body_rmse_gy": float(np.mean([measure.body_rmse_gy for measure in own])),
            "nrmse": float(np.mean([measure.nrmse for measure in own])),
            "pearson_r": float(np.mean([measure.pearson_r for measure in own if measure.pearson_r is not None])),
            "mae_percent": _mae_percent([one for one in regions if one.method == method]),
        }
    return summary


def _mae_percent(regions: Sequence[RegionMeasure]) -> dict[str, float]:
    """Mean absolute error of the regions' mean doses by the rows of Kim et al. 2022 [%]."""
    groups = sorted({one.group for one in regions if one.group})
    return {
        group: float(np.mean([abs(one.error_percent) for one in regions if one.group == group])) for group in groups
    }


def _doses(model: DoseModel, patient: DosePatient, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Base and network dose of a patient [Gy]."""
    normalised = model.normalised_dose(patient.maps, device)
    return patient.maps.dose_gy(patient.maps.base_kji), patient.maps.dose_gy(normalised)


def _losses(config: Config) -> Any:
    """What the learner makes small, and what it logs: the base's loss beside the network's."""
    dose_of: Any = unet_dose.network_dose if isinstance(config, UNetTrainingConfig) else dblur_dose.network_dose
    inputs = config.network.inputs
    density_at = inputs.index("density") if "density" in inputs else len(inputs) + unet_dose.CARRIED.index("density")

    def judged(channels: Tensor, at: int) -> Tensor:
        """A channel where the label lies: all of it, or the slices between those that only tell of them."""
        found = channels[:, at : at + 1]
        return found if isinstance(config, UNetTrainingConfig) else dblur_dose.judged_slices(found)

    def losses(network: torch.nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        channels, label, weight, reference, region = (batch[name] for name in ("channels", *WITHOUT_INPUT))
        density = judged(channels, density_at) if config.loss.block_weight else None

        def loss_of(dose: Tensor) -> Tensor:
            return dose_loss(dose, label, weight, reference, config.loss, density, region)

        base = judged(channels, len(inputs))
        return {"loss": loss_of(dose_of(network, channels)), "base_loss": loss_of(base).detach()}

    return losses


def _card(config: Config, patients: Sequence[DosePatient], result: TrainingResult) -> ModelCard:
    """What the model's file says of it, metrics aside."""
    kind = unet_dose.KIND if isinstance(config, UNetTrainingConfig) else dblur_dose.KIND
    module = unet_dose if kind == unet_dose.KIND else dblur_dose
    spacing = common_spacing_mm(patients)
    density = [float(patient.maps.density_kji.max()) for patient in patients]
    return ModelCard(
        kind,
        config.network.as_dict(),
        {**module.preprocessing(spacing), "base": base_settings(BASES[kind])},
        {
            "nuclides": sorted({patient.nuclide for patient in patients}),
            "spacing_mm": [[step * (1 - SPACING_TOLERANCE), step * (1 + SPACING_TOLERANCE)] for step in spacing],
            "density_g_per_cm3": [0.0, max(density)],
            "activity": RECONSTRUCTED if kind == dblur_dose.KIND else TRUE_ACTIVITY,
        },
        {
            "seed": config.training.seed,
            "loop": result.as_dict(),
            "loss": vars(config.loss),
            "sampling": vars(config.sampling),
            "patients": len({patient.source for patient in patients}),
            "sources": sorted({patient.source for patient in patients}),
        },
        (
            "Trained on virtual patients alone; for research, not for clinical decisions.",
            "Outside the declared nuclides it is refused; outside the declared voxel sizes images are resampled.",
        ),
    )


def _settings(kind: str, path: Path | None, device: str) -> Config:
    """The configuration of a run, on another device than its own unless that is the default."""
    if kind == "unet":
        unet = read_config(path, UNetTrainingConfig)
        return unet if device == "cpu" else replace(unet, training=replace(unet.training, device=device))
    dblur = read_config(path, DblurTrainingConfig)
    return dblur if device == "cpu" else replace(dblur, training=replace(dblur.training, device=device))


def _data(dataset: Dataset) -> dict[str, Any]:
    """What the card says of the data."""
    manifest = dataset.manifest
    return {name: manifest[name] for name in ("seed", "tracer", "nuclide", "version") if name in manifest}


def _identity(dataset: Dataset, division: Fold[Any]) -> dict[str, Any]:
    """What a resumed run must share with the one it goes on with."""
    return {"data": _data(dataset), "split": division.as_dict()}
