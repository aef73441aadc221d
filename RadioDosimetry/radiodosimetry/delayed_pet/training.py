"""Training of delayed PET on a data set: split by source, pairs checked, trained, calibrated, a model file written."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InputError
from ..images.volume import QuantitativeVolume
from ..learning.configuration import config_text, read_config
from ..learning.ensembles import calibrate_coverage
from ..learning.model_files import ModelCard, load_model, save_model, weights_path
from ..learning.samples import SampleSource
from ..learning.splits import Fold, fold_of
from ..progress import PartialProgress, Progress, report_progress
from ..units import SECONDS_PER_HOUR
from .baselines import population_kinetics
from .network_files import KIND, Declared, DelayedPetNetwork
from .organ_uncertainty import organ_log_errors
from .pairs import PatientFiles, SerialPet, require_pairs, serial_pet_of
from .samples import SliceSamples, channel_count
from .settings import DelayedPetSettings

_LOG = logging.getLogger(__name__)

MODEL_NAME = "model"
"""Of the model's files in the folder of a run."""

EARLY_TOLERANCE_H = 0.5
"""How far from the trained time an early scan may lie [h]: the tracer moves by some per cent in between."""

TARGET_TOLERANCE_H = 1.0
"""How far from a trained time a target may lie [h]."""

SPACING_MARGIN = 2.0
"""Factor by which the voxel edges may differ from those of the training, either way: the ratio network sees its own
grid, and the published one its own matrix."""

CONCENTRATION_MARGIN = 10.0
"""Factor on the largest training voxel above which a scan's unit is doubted."""

FIELD_OF_VIEW_SHARE = 0.6
"""Share of the smallest training field of view that a scan must have along each axis."""

GENERAL_LIMITS = (
    "Synthetic volumes must not be read as acquired scans, nor decide on a patient's treatment.",
    "One scan cannot tell how a patient clears the tracer beyond what early uptake is correlated with.",
)
"""On every card."""

VIRTUAL_LIMIT = "Trained on virtual patients: how real tracers move is known to it as far as the simulation does."


class SerialPetDataset(Protocol):
    """What training needs of a data set (`virtual_patients.dataset.Dataset`)."""

    @property
    def patients(self) -> Sequence[PatientFiles]:
        """All patients."""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What was simulated, or acquired."""


def train_delayed_pet(
    dataset: SerialPetDataset,
    config: Path | None,
    output: Path,
    *,
    resume: bool = False,
    device: str = "cpu",
    fold: tuple[int, int] | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
) -> Path:
    """Train a model of delayed PET.

    Parameters
    ----------
    dataset
        Patients with serial scans.
    config
        TOML file of `DelayedPetSettings`; None: its defaults.
    output
        Folder of the run, with `model.safetensors` and `model.json` in the end.
    resume
        Go on with the run in the folder.
    device
        "cpu" or "cuda", in the place of the configuration's.
    fold
        (number, K): hold out fold `number` of K. None: nobody is held out.
    progress
        Who watches, and may cancel.
    time_limit_s
        Stop training after this time and make the model of the best weights so far.

    Returns
    -------
    Path
        The model.

    Raises
    ------
    InputError
        The configuration or the data cannot be used: scans that make no pair, too few patients, …
    TrainingStoppedError
        The networks collapsed, or a loss became NaN.
    """
    settings = with_device(read_config(config, DelayedPetSettings), device)
    report_progress(progress, 0.0, "reading the scans")
    patients = read_patients(dataset, progress=PartialProgress(progress, 0.0, 0.1))
    _LOG.info("%d patients read", len(patients))
    return train_on_patients(
        patients,
        settings,
        output,
        manifest=dataset.manifest,
        resume=resume,
        fold=fold,
        progress=PartialProgress(progress, 0.1, 1.0),
        time_limit_s=time_limit_s,
    )


def train_on_patients(
    patients: Sequence[SerialPet],
    settings: DelayedPetSettings,
    output: Path,
    *,
    manifest: Mapping[str, Any] | None = None,
    resume: bool = False,
    fold: tuple[int, int] | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
) -> Path:
    """As `train_delayed_pet`, from patients in memory; `manifest` is what a data set's says of tracer and seed."""
    from ..learning.training import train
    from .kinetics_fit import tissues_of

    manifest = manifest or {}
    split = fold_of(patients, fold, settings.training.seed, settings.validation_fraction)
    doubts = check_patients((*split.training, *split.validation), settings)
    for doubt in doubts:
        _LOG.warning("%s", doubt)
    if settings.network == "ratio-3d" and settings.ratio.tissue_model:
        card, state = load_model(Path(settings.ratio.tissue_model), KIND)
        _require_fit_for_kinetics(card, settings, split, Path(output), resume)
        tissues = tuple(str(name) for name in card.architecture["tissue_names"])
        came = {"tissue_model": card.sha256, "tissue_sources": card.training.get("training_sources", [])}
        own = _card(settings, split, patients, manifest, doubts, came, tissues, card.architecture)
        Path(output).mkdir(parents=True, exist_ok=True)
        path = save_model(Path(output) / MODEL_NAME, state, own)
        return with_kinetics(path, split.training, split.validation, settings, progress)
    learner, training, validation = _made(settings, split)
    result = train(
        learner,
        training,
        validation,
        settings.training,
        Path(output),
        resume=resume,
        identity={"split": split.as_dict(), "settings": _identity(settings)},
        configuration=config_text(settings),
        progress=PartialProgress(progress, 0.0, 0.95),
        time_limit_s=time_limit_s,
    )
    state = {
        f"member_{number}.{key}": value
        for number, name in enumerate(sorted(name for name in result.weights if name != "discriminator"))
        for key, value in result.weights[name].items()
    }
    tissues = tissues_of(split.training) if settings.network == "ratio-3d" else ()
    card = _card(settings, split, patients, manifest, doubts, result.as_dict(), tissues)
    path = save_model(Path(output) / MODEL_NAME, state, card)
    if settings.network != "ratio-3d":
        return weights_path(path)
    return with_kinetics(path, split.training, split.validation, settings, PartialProgress(progress, 0.95, 1.0))


def with_kinetics(
    model: Path,
    training: Sequence[SerialPet],
    validation: Sequence[SerialPet],
    settings: DelayedPetSettings,
    progress: Progress | None = None,
) -> Path:
    """The model with kinetics fitted to training patients and its uncertainty calibrated on validation patients.

    The tissue networks stay as they are: a few patients of another tracer are enough for its kinetics.

    Parameters
    ----------
    model
        Model file of the network "ratio-3d", overwritten.
    training, validation
        Patients with regions.
    settings
        Of the images, and of the kinetics.
    progress
        Who watches, and may cancel.
    """
    from .kinetics_fit import fit_lines, patient_sums, reference_activity_bq
    from .network_files import members_of
    from .tissue_kinetics import CALIBRATIONS, GIVEN, OWN, TissueKinetics

    card, state = load_model(model, KIND)
    tissues = tuple(str(name) for name in card.architecture["tissue_names"])
    members = members_of(card.architecture, state, model)
    reference = reference_activity_bq(training)
    kinetics = TissueKinetics(tissues, reference, {})
    ratio, lines = settings.ratio, {}
    for turn, origin in enumerate((OWN, GIVEN)):
        sums = []
        for number, patient in enumerate(training):
            report_progress(progress, 0.4 * (turn + number / len(training)), f"summing over the organs of {patient.id}")
            scale = kinetics.activity_scale(patient.administered_bq)
            sums.append(patient_sums(patient, settings, members, tissues, scale, origin == GIVEN))
        lines[origin] = fit_lines(sums, len(tissues), ratio.use_uptake, ratio.smooth, ratio.fit_organs)
    kinetics = replace(kinetics, lines=lines)
    known = {name: value for name, value in card.training.items() if name not in CALIBRATIONS.values()}
    card = replace(
        card,
        preprocessing={**card.preprocessing, "response": asdict(ratio.response)},
        training={**known, "kinetics": kinetics.as_dict()},
    )
    report_progress(progress, 0.8, "calibrating the uncertainty")
    network = DelayedPetNetwork(card, Declared.from_dict(card.declared, str(model)), tuple(members), model, kinetics)
    factors = _calibrated(network, validation, settings)
    return save_model(model, state, replace(card, training={**card.training, **factors}))


def read_patients(
    dataset: SerialPetDataset, with_truth: bool = False, progress: Progress | None = None
) -> list[SerialPet]:
    """All patients of a data set, read from disk.

    Raises
    ------
    InputError
        The data set names no nuclide, or a file cannot be used.
    """
    nuclide = dataset.manifest.get("nuclide")
    if not isinstance(nuclide, str):
        raise InputError("The data set does not name its nuclide; expected 'nuclide' in its manifest.")
    tracer = str(dataset.manifest.get("tracer") or "")
    found = []
    for number, folder in enumerate(dataset.patients):
        report_progress(progress, number / max(len(dataset.patients), 1), f"reading {folder.id}")
        found.append(serial_pet_of(folder, nuclide, tracer, with_truth=with_truth))
    return found


def check_patients(patients: Sequence[SerialPet], settings: DelayedPetSettings) -> list[str]:
    """Refuse patients whose scans make no pair; the doubts about the others."""
    times_s = [hour * SECONDS_PER_HOUR for hour in settings.images.target_hours]
    doubts: list[str] = []
    for patient in patients:
        doubts += require_pairs(patient, settings.images.early_hour * SECONDS_PER_HOUR, times_s)
        if settings.images.use_ct and patient.ct is None:
            raise InputError(f"{patient.id} has no CT, which the configuration shows the network; set use_ct = false.")
        if settings.network == "ratio-3d" and patient.labels is None:
            raise InputError(f"{patient.id} has no regions; the network 'ratio-3d' learns the activity of organs.")
    return doubts


def with_device(settings: DelayedPetSettings, device: str) -> DelayedPetSettings:
    """The settings on another device."""
    return replace(settings, training=replace(settings.training, device=device))


def _made(settings: DelayedPetSettings, split: Fold[SerialPet]) -> tuple[Any, SampleSource, SampleSource]:
    """Learner, samples of training and of validation."""
    from .kinetics_fit import tissues_of
    from .learners import GanLearner, TissueLearner
    from .tissue_samples import TissueSamples

    if settings.network == "pix2pix":
        shown = SliceSamples(split.training, settings, augment=True)
        return GanLearner(settings), shown, SliceSamples(split.validation, settings, augment=False)
    tissues = tissues_of(split.training)
    seen = TissueSamples(split.training, settings, augment=True, tissues=tissues)
    learner = TissueLearner(settings, seen.shares(len(tissues)))
    return learner, seen, TissueSamples(split.validation, settings, augment=False, tissues=tissues)


def _identity(settings: DelayedPetSettings) -> dict[str, Any]:
    """What a resumed run must share: all that its networks depend on but the loop's own settings, which the loop
    compares itself, and the kinetics', which are fitted afterwards.
    """
    values = asdict(settings)
    del values["training"]
    for name in ("resolution_mm", "tail_share", "tail_mm", "use_uptake", "smooth", "fit_organs"):
        del values["ratio"][name]
    return values


def _card(
    settings: DelayedPetSettings,
    split: Fold[SerialPet],
    patients: Sequence[SerialPet],
    manifest: Mapping[str, Any],
    doubts: Sequence[str],
    trained: Mapping[str, Any],
    tissues: Sequence[str],
    like: Mapping[str, Any] | None = None,
) -> ModelCard:
    """The card of a model; `like` is the architecture of networks that were trained elsewhere."""
    images, seen = settings.images, (*split.training, *split.validation)
    early_s = images.early_hour * SECONDS_PER_HOUR
    times_s = [hour * SECONDS_PER_HOUR for hour in images.target_hours]
    architecture: dict[str, Any]
    if settings.network == "ratio-3d":
        ratio = settings.ratio
        architecture = {"in_channels": 4, "features": ratio.features, "levels": ratio.levels, "patch": ratio.patch}
        architecture |= {"members": ratio.members, "tissues": len(tissues), "tissue_names": list(tissues)}
        architecture = dict(like or architecture)
        preprocessing: dict[str, Any] = {"grid_mm": ratio.grid_mm, "response": asdict(ratio.response)}
    else:
        chosen = settings.pix2pix
        channels = channel_count(images, chosen)
        architecture = {"in_channels": channels, "features": chosen.features, "blocks": chosen.blocks, "members": 1}
        preprocessing = {"neighbours": chosen.neighbours, "matrix": 128}
    population = None
    if all(patient.labels is not None for patient in split.training):
        population = population_kinetics(split.training, early_s, times_s).as_rows()
    simulated = bool(manifest.get("seed") is not None)
    return ModelCard(
        KIND,
        architecture={"network": settings.network, **architecture},
        preprocessing={
            "normalisation": images.normalisation,
            "use_ct": images.use_ct,
            "early_hour": images.early_hour,
            "target_hours": list(images.target_hours),
            **preprocessing,
        },
        declared=_declared(settings, seen).as_dict(),
        training={
            "data": {
                "patients": len(patients),
                "tracer": manifest.get("tracer"),
                "seed": manifest.get("seed"),
                "virtual": simulated,
            },
            "split": split.as_dict(),
            "training_sources": sorted({patient.source for patient in seen} | set(trained.get("tissue_sources", ()))),
            "seed": settings.training.seed,
            "result": dict(trained),
            "population_kinetics": population,
            "doubtful_pairs": list(doubts),
        },
        limits=((VIRTUAL_LIMIT,) if simulated else ()) + GENERAL_LIMITS,
    )


def _declared(settings: DelayedPetSettings, patients: Sequence[SerialPet]) -> Declared:
    """Ranges of use from what was trained on."""
    images = settings.images
    scans = [patient.scan_at(images.early_hour * SECONDS_PER_HOUR)[1] for patient in patients]
    edges = np.array([scan.geometry.spacing_mm for scan in scans])
    extents = np.array([_extent_mm(scan) for scan in scans])
    early, tolerance = images.early_hour, min(EARLY_TOLERANCE_H, 0.5 * images.early_hour)
    least = FIELD_OF_VIEW_SHARE * extents.min(axis=0)
    largest = max(float(scan.array_kji.max()) for scan in scans)
    return Declared(
        nuclides=tuple(sorted({patient.nuclide for patient in patients})),
        tracer=images.tracer or next((patient.tracer for patient in patients if patient.tracer), "not stated"),
        early_range_s=((early - tolerance) * SECONDS_PER_HOUR, (early + tolerance) * SECONDS_PER_HOUR),
        target_ranges_s=tuple(
            ((hour - TARGET_TOLERANCE_H) * SECONDS_PER_HOUR, (hour + TARGET_TOLERANCE_H) * SECONDS_PER_HOUR)
            for hour in images.target_hours
        ),
        spacing_range_mm=(float(edges.min()) / SPACING_MARGIN, float(edges.max()) * SPACING_MARGIN),
        smallest_field_of_view_mm=(float(least[0]), float(least[1]), float(least[2])),
        largest_concentration_bq_per_ml=CONCENTRATION_MARGIN * largest,
        needs_ct=images.use_ct and (settings.network == "pix2pix" or settings.ratio.drop_ct == 0),
    )


def _extent_mm(scan: QuantitativeVolume) -> list[float]:
    return [n * edge for n, edge in zip(scan.geometry.shape_kji[::-1], scan.geometry.spacing_mm, strict=True)]


def _calibrated(
    network: DelayedPetNetwork, validation: Sequence[SerialPet], settings: DelayedPetSettings
) -> dict[str, Any]:
    """For the card: the factors on the stated uncertainty that hold 68 % of the organs of the validation patients."""
    from .tissue_kinetics import CALIBRATIONS, GIVEN

    found: dict[str, Any] = {}
    for origin, name in CALIBRATIONS.items():
        errors, spreads = organ_log_errors(network, validation, settings.images, origin == GIVEN)
        try:
            found[name] = calibrate_coverage(errors, spreads).as_dict()
        except InputError as error:
            _LOG.warning("The uncertainty was not calibrated: %s", error)
    return found


def _require_fit_for_kinetics(
    card: ModelCard, settings: DelayedPetSettings, split: Fold[SerialPet], output: Path, resume: bool
) -> None:
    """Refuse kinetics on networks that see another grid or know who calibrates, and to replace a model unasked."""
    path, wanted_mm = settings.ratio.tissue_model, settings.ratio.grid_mm
    if card.architecture.get("network") != "ratio-3d":
        raise InputError(f"The model {path} tells no tissues apart; give one of the network 'ratio-3d'.")
    grid_mm = float(card.preprocessing["grid_mm"])
    if grid_mm != wanted_mm:
        raise InputError(
            f"The networks of {path} see voxels of {grid_mm:g} mm, the configuration says {wanted_mm:g} mm; set "
            f"grid_mm = {grid_mm:g}."
        )
    known = card.training.get("split", {})
    everyone = card.training.get("training_sources") or known.get("training_sources", ())
    taught = set(everyone) - set(known.get("validation_sources", ()))
    seen = sorted(patient.id for patient in split.validation if patient.source in taught)
    if seen:
        raise InputError(
            f"The networks of {path} have learned from {', '.join(seen)}, who would calibrate the uncertainty, which "
            "would come out too small. Give patients that they have not seen, or the split of their training (seed, "
            "fold, validation_fraction)."
        )
    if weights_path(output / MODEL_NAME).exists() and not resume:
        raise InputError(f"The folder {output} holds a model already; add --resume to replace it, or give another.")
